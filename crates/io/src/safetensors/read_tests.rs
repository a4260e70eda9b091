//! Owns the proof that good files read right, and without copies where that is promised.

use std::sync::OnceLock;

use olivine_core::Dtype;

use std::sync::Arc;

use super::{samples::*, *};

/// The addresses of a file's memory and of an array's first element.
pub(super) fn addresses(file: &SafeTensors, array: &Array) -> (std::ops::Range<usize>, usize) {
    let start = file.source.memory.host().as_ptr() as usize;
    let data = array.data().unwrap();
    let first = data.buffer.host().as_ptr() as usize + data.offset;
    (start..start + file.source.memory.bytes(), first)
}

pub(super) fn sample() -> Vec<u8> {
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

pub(super) fn check_sample(file: &SafeTensors) {
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
    check_sample(&SafeTensors::from_bytes(sample()).unwrap());
    check_sample(&SafeTensors::from_bytes(Arc::<[u8]>::from(sample())).unwrap());
    static EMBEDDED: OnceLock<Vec<u8>> = OnceLock::new();
    let embedded: &'static [u8] = EMBEDDED.get_or_init(sample);
    let file = SafeTensors::from_bytes(embedded).unwrap();
    check_sample(&file);
    let start = file.source.memory.host().as_ptr();
    assert!(
        std::ptr::eq(start, embedded.as_ptr()),
        "static bytes are not copied"
    );
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
