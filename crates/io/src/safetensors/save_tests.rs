//! Owns the proof that saved files are right, equal for equal arrays, and whole or absent.

use std::{collections::HashMap, fs, path::Path};

use olivine_core::{Array, Dtype, stop_gradient};

use super::{samples::*, *};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn no_metadata() -> Metadata {
    Metadata::new()
}

#[test]
fn every_dtype_and_shape_comes_back() {
    let folder = folder();
    let path = folder.path().join("all.safetensors");
    let shapes: [&[usize]; 6] = [&[], &[1], &[3], &[2, 0, 4], &[2, 3, 5], &[0]];
    let mut arrays = HashMap::new();
    for dtype in Dtype::ALL {
        for shape in shapes {
            arrays.insert(format!("{dtype}{shape:?}"), any_array(dtype, shape));
        }
    }
    save_safetensors(&path, &arrays, &no_metadata()).unwrap();
    let file = load_safetensors(&path).unwrap();
    assert_eq!(file.len(), arrays.len());
    for (name, array) in &arrays {
        let found = file.array(name).unwrap();
        assert_eq!(
            (found.shape(), found.dtype()),
            (array.shape(), array.dtype()),
            "{name}"
        );
        assert_eq!(bytes_of(&found), bytes_of(array), "{name}");
        let view = found.data().unwrap().buffer.host() == file.source.memory.host();
        let wanted = array.dtype() != Dtype::Bool;
        assert!(
            view == wanted || array.size() == 0,
            "{name} is aligned, so it is viewed"
        );
    }
    assert_eq!(files_in(folder.path()), ["all.safetensors"]);
}

#[test]
fn views_are_written_in_row_major_order() {
    let folder = folder();
    let path = folder.path().join("views.safetensors");
    let x = array(&[0i32, 1, 2, 3, 4, 5], &[2, 3]);
    let arrays = [
        ("transposed", x.transpose(..).unwrap()),
        (
            "broadcast",
            array(&[7u8], &[1]).broadcast_to([2, 2]).unwrap(),
        ),
        ("lazy", x.add(10).unwrap()),
    ];
    save_safetensors(&path, arrays, &no_metadata()).unwrap();
    let file = load_safetensors(&path).unwrap();
    let transposed = file.array("transposed").unwrap();
    assert_eq!(transposed.shape().dims(), [3, 2]);
    assert_eq!(transposed.to_vec::<i32>().unwrap(), [0, 3, 1, 4, 2, 5]);
    assert_eq!(
        file.array("broadcast").unwrap().to_vec::<u8>().unwrap(),
        [7; 4]
    );
    let lazy = file.array("lazy").unwrap().to_vec::<i32>().unwrap();
    assert_eq!(lazy, [10, 11, 12, 13, 14, 15]);
}

#[test]
fn names_and_metadata_may_hold_any_text() {
    let folder = folder();
    let path = folder.path().join("text.safetensors");
    let odd = "quote\" back\\slash \u{1f980} \0 käse";
    let metadata = Metadata::from([
        (odd.to_owned(), odd.to_owned()),
        (String::new(), String::new()),
    ]);
    save_safetensors(
        &path,
        [(odd, array(&[1u8], &[])), ("", array(&[2u8], &[]))],
        &metadata,
    )
    .unwrap();
    let file = load_safetensors(&path).unwrap();
    assert_eq!(file.metadata(), &metadata);
    assert_eq!(file.array(odd).unwrap().item::<u8>().unwrap(), 1);
    assert_eq!(file.array("").unwrap().item::<u8>().unwrap(), 2);
}

#[test]
fn equal_arrays_give_equal_files() {
    let folder = folder();
    let (one, two) = (folder.path().join("1"), folder.path().join("2"));
    let arrays: Vec<(String, Array)> = Dtype::ALL
        .iter()
        .map(|&dtype| (dtype.to_string(), any_array(dtype, &[3])))
        .collect();
    save_safetensors(&one, arrays.clone(), &no_metadata()).unwrap();
    save_safetensors(&two, arrays.into_iter().rev(), &no_metadata()).unwrap();
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    let file = load_safetensors(&one).unwrap();
    let first: Vec<&str> = file.names().take(5).collect();
    assert_eq!(
        first,
        ["complex64", "float64", "int64", "uint64", "float32"]
    );
    let length = fs::read(&one).unwrap()[0];
    assert_eq!(length % 8, 0, "the header is padded");
}

#[test]
fn a_file_without_tensors_comes_back() {
    let folder = folder();
    let path = folder.path().join("none");
    save_safetensors::<String, Array>(&path, [], &no_metadata()).unwrap();
    assert!(load_safetensors(&path).unwrap().is_empty());
}

#[test]
fn names_must_be_distinct_and_free() {
    let folder = folder();
    let path = folder.path().join("bad");
    let one = array(&[1u8], &[]);
    let wide = array(&[1i64], &[]);
    let duplicate = save_safetensors(&path, [("a", &one), ("a", &wide)], &no_metadata());
    let reserved = save_safetensors(&path, [("__metadata__", &one)], &no_metadata());
    for (result, wanted) in [
        (duplicate, TensorProblem::Duplicate),
        (reserved, TensorProblem::Reserved),
    ] {
        let Err(Error::Tensor { file, problem, .. }) = result else {
            panic!("saved anyway");
        };
        assert_eq!((file.as_path(), problem), (path.as_path(), wanted));
    }
    assert!(files_in(folder.path()).is_empty());
}

/// An array that fails when it is computed.
fn failing() -> Array {
    let huge = array(&[1u8], &[1]).broadcast_to([1 << 50]).unwrap();
    huge.contiguous().unwrap()
}

#[test]
fn a_failed_evaluation_keeps_the_old_file() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    save_safetensors(&path, [("a", array(&[5u8], &[]))], &no_metadata()).unwrap();
    let old = fs::read(&path).unwrap();
    let arrays = [("a", array(&[1i64; 100], &[100])), ("b", failing())];
    let error = save_safetensors(&path, arrays, &no_metadata()).unwrap_err();
    let Error::Tensor {
        tensor, problem, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(tensor, "b");
    assert!(matches!(problem, TensorProblem::Evaluation(_)), "{problem}");
    assert_eq!(files_in(folder.path()), ["model.safetensors"]);
    assert_eq!(fs::read(&path).unwrap(), old);
}

#[test]
fn a_place_that_cannot_be_written_is_an_error() {
    let folder = folder();
    let one = [("a", array(&[1u8], &[]))];
    let inside = folder.path().join("no/such/folder/model");
    for path in [
        inside.as_path(),
        folder.path(),
        Path::new("/"),
        Path::new(""),
    ] {
        let error = save_safetensors(path, one.clone(), &no_metadata()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
    assert!(files_in(folder.path()).is_empty());
    let parent = folder.path().parent().unwrap();
    let mine = format!(".olivine-{}", std::process::id());
    assert!(!files_in(parent).iter().any(|name| name.starts_with(&mine)));
}

#[test]
fn arrays_stay_valid_while_their_file_is_replaced() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let x = array(&[1.0f32, 2.0, 3.0], &[3]);
    save_safetensors(&path, [("x", &x)], &no_metadata()).unwrap();
    let viewed = load_safetensors(&path).unwrap().array("x").unwrap();
    let doubled = viewed.add(&viewed).unwrap();
    save_safetensors(&path, [("x", &doubled)], &no_metadata()).unwrap();
    assert_eq!(viewed.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0]);
    let again = load_safetensors(&path).unwrap().array("x").unwrap();
    assert_eq!(
        stop_gradient(&again).unwrap().to_vec::<f32>().unwrap(),
        [2.0, 4.0, 6.0]
    );
}

#[cfg(unix)]
#[test]
fn saved_files_are_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let (plain, saved) = (folder.path().join("plain"), folder.path().join("saved"));
    fs::write(&plain, b"").unwrap();
    save_safetensors(&saved, [("a", array(&[1u8], &[]))], &no_metadata()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&plain), mode(&saved));
}
