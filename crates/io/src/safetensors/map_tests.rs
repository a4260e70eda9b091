//! Owns the proof that mapped files read right. Miri cannot map files, so it skips this.

use std::{fs, thread};

use super::{
    read_tests::{addresses, check_sample, sample},
    samples::*,
    *,
};
use crate::FileProblem;

#[test]
fn a_mapped_file_is_viewed_without_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("käse.safetensors");
    fs::write(&path, sample()).unwrap();
    let file = load_safetensors(&path).unwrap();
    check_sample(&file);
    let (memory, first) = addresses(&file, &file.array("first").unwrap());
    assert!(memory.contains(&first));
    assert_eq!(
        memory.start % 4096,
        0,
        "memory that starts at a page is a map"
    );
    assert_eq!(file.path(), path);
}

#[test]
fn a_mapped_file_with_an_unpadded_header_reads_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.safetensors");
    let entry = tensor("w", "F32", &[2], [0, 8]);
    let mut text = header(&[entry]);
    text.extend(std::iter::repeat_n(' ', 7 - text.len() % 8 + 2));
    assert_eq!(text.len() % 8, 1);
    let data: Vec<u8> = [3.0f32, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(&path, file(text, &data)).unwrap();
    let file = load_safetensors(&path).unwrap();
    let array = file.array("w").unwrap();
    assert_eq!(array.to_vec::<f32>().unwrap(), [3.0, 4.0]);
    let (memory, first) = addresses(&file, &array);
    assert!(!memory.contains(&first));
}

#[test]
fn what_is_no_file_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.safetensors");
    let error = load_safetensors(&missing).unwrap_err();
    assert!(
        matches!(&error, Error::Io { action: "open", .. }),
        "{error}"
    );
    assert!(error.to_string().contains("missing.safetensors"), "{error}");

    let error = load_safetensors(folder.path()).unwrap_err();
    let Error::File { problem, file } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (problem, file.as_path()),
        (FileProblem::NotRegular, folder.path())
    );

    let empty = folder.path().join("empty");
    fs::write(&empty, b"").unwrap();
    let error = load_safetensors(&empty).unwrap_err();
    let Error::File { problem, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(problem, FileProblem::TooShort { bytes: 0 });
}

#[test]
fn threads_load_the_same_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.safetensors");
    fs::write(&path, sample()).unwrap();
    let shared = load_safetensors(&path).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    check_sample(&shared);
                    check_sample(&load_safetensors(&path).unwrap());
                }
            });
        }
    });
}

#[test]
fn files_of_the_reference_writers_read_right() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/golden");
    let file = load_safetensors(golden.join("llama/model.safetensors")).unwrap();
    assert_eq!(file.metadata()["format"], "mlx");
    assert_eq!(
        file.array("model.embed_tokens.weight")
            .unwrap()
            .shape()
            .dims(),
        [256, 64]
    );
    let mut bytes = 0;
    for tensor in file.arrays() {
        let (name, array) = tensor.unwrap();
        let values = array.to_vec::<f32>().unwrap();
        assert!(values.iter().all(|x| x.abs() < 10.0), "{name}");
        assert!(values.iter().any(|&x| x != 0.0), "{name}");
        bytes += array.nbytes();
    }
    let header = fs::read(file.path()).unwrap().len() - bytes;
    assert!(header > 8 && header < bytes);
    let expected = load_safetensors(golden.join("llama/expected.safetensors")).unwrap();
    assert!(expected.metadata().is_empty(), "a null is no metadata");
    assert_eq!(
        expected.array("prompt_logits").unwrap().shape().dims(),
        [24, 256]
    );
}
