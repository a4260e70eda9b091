//! Owns the proof that good files read right, and without copies where that is promised.

use std::{fs, thread};

use olivine_core::Dtype;

use super::{samples::*, *};

/// The addresses of a file's memory and of an array's first element.
fn addresses(file: &SafeTensors, array: &Array) -> (std::ops::Range<usize>, usize) {
    let start = file.memory.host().as_ptr() as usize;
    let data = array.data().unwrap();
    let first = data.buffer.host().as_ptr() as usize + data.offset;
    (start..start + file.memory.bytes(), first)
}

fn sample() -> Vec<u8> {
    let entries = [
        r#""__metadata__":{"format":"pt"}"#.to_owned(),
        tensor("second", "I16", &[3], [8, 14]),
        tensor("first", "F32", &[1, 2], [0, 8]),
        tensor("empty", "F64", &[0, 5], [14, 14]),
        tensor("mask", "BOOL", &[2], [14, 16]),
    ];
    let mut data = Vec::new();
    data.extend(1.5f32.to_le_bytes());
    data.extend((-2.0f32).to_le_bytes());
    data.extend([1i16, -2, 300].iter().flat_map(|n| n.to_le_bytes()));
    data.extend([1, 0]);
    aligned_file(&header(&entries), &data)
}

fn check_sample(file: &SafeTensors) {
    assert_eq!(
        file.names().collect::<Vec<_>>(),
        ["first", "second", "empty", "mask"]
    );
    assert_eq!(file.metadata()["format"], "pt");
    assert_eq!(
        file.array("first").unwrap().to_vec::<f32>().unwrap(),
        [1.5, -2.0]
    );
    assert_eq!(
        file.array("second").unwrap().to_vec::<i16>().unwrap(),
        [1, -2, 300]
    );
    assert_eq!(
        file.array("mask").unwrap().to_vec::<bool>().unwrap(),
        [true, false]
    );
    let empty = file.array("empty").unwrap();
    assert_eq!(empty.shape().dims(), [0, 5]);
    assert!(empty.to_vec::<f64>().unwrap().is_empty());
    let info = file.info("first").unwrap();
    assert_eq!(
        (info.shape.dims(), info.dtype),
        (&[1, 2][..], Some(Dtype::Float32))
    );
}

#[test]
fn arrays_view_aligned_bytes_without_a_copy() {
    let file = open(&sample()).unwrap();
    check_sample(&file);
    for name in ["first", "second"] {
        let (memory, first) = addresses(&file, &file.array(name).unwrap());
        assert!(memory.contains(&first), "{name}");
    }
    let (memory, first) = addresses(&file, &file.array("mask").unwrap());
    assert!(
        !memory.contains(&first),
        "truth values are checked, so they are copied"
    );
}

#[test]
fn unaligned_tensors_are_copied_to_aligned_memory() {
    for shift in 1..8 {
        let file = SafeTensors::from_bytes(Aligned::new(&sample(), shift)).unwrap();
        check_sample(&file);
        let (memory, first) = addresses(&file, &file.array("first").unwrap());
        assert_eq!(memory.contains(&first), shift == 4, "shift {shift}");
        assert_eq!(first % 4, 0);
    }
}

#[test]
fn arrays_outlive_the_file_they_view() {
    let array = open(&sample()).unwrap().array("first").unwrap();
    assert_eq!(array.to_vec::<f32>().unwrap(), [1.5, -2.0]);
}

#[test]
fn all_kinds_of_bytes_can_be_opened() {
    let bytes = sample();
    check_sample(&SafeTensors::from_bytes(bytes.clone()).unwrap());
    check_sample(&SafeTensors::from_bytes(Arc::<[u8]>::from(bytes.as_slice())).unwrap());
    let leaked: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    let file = SafeTensors::from_bytes(leaked).unwrap();
    check_sample(&file);
    let start = file.memory.host().as_ptr();
    assert!(
        std::ptr::eq(start, leaked.as_ptr()),
        "static bytes are not copied"
    );
    drop(file);
    // SAFETY: the file is gone, the slice came from this box, and it is not used again.
    drop(unsafe { Box::from_raw(std::ptr::from_ref(leaked).cast_mut()) });
}

#[test]
fn every_dtype_has_a_spelling() {
    for dtype in Dtype::ALL {
        let size = dtype.size() as u64;
        let entry = tensor("w", header::stored_name(dtype), &[2], [0, 2 * size]);
        let file = open(&aligned_file(
            &header(&[entry]),
            &[1; 16][..2 * dtype.size()],
        ))
        .unwrap();
        let array = file.array("w").unwrap();
        assert_eq!(array.dtype(), dtype);
        assert!(bytes_of(&array).iter().all(|&byte| byte == 1));
    }
}

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
