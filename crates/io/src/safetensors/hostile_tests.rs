//! Owns the proof that wrong files give typed errors: one test for each way to be wrong.

use super::{header::MAX_HEADER, samples::*};
use crate::{Error, FileProblem, SafeTensors, TensorProblem};

fn one(dtype: &str, shape: &[u64], range: [u64; 2], data: usize) -> (String, TensorProblem) {
    let header = header(&[tensor("w", dtype, shape, range)]);
    let found = tensor_problem(&file(header, &vec![0; data]));
    assert_eq!(found.0, "w");
    found
}

fn two(first: [u64; 2], second: [u64; 2], data: usize) -> Vec<u8> {
    let shape = |[begin, end]: [u64; 2]| [end - begin];
    let entries = [
        tensor("a", "U8", &shape(first), first),
        tensor("b", "U8", &shape(second), second),
    ];
    file(header(&entries), &vec![0; data])
}

#[test]
fn an_empty_file_is_too_short() {
    assert_eq!(file_problem(b""), FileProblem::TooShort { bytes: 0 });
    assert_eq!(file_problem(&[0; 7]), FileProblem::TooShort { bytes: 7 });
}

#[test]
fn an_empty_header_is_malformed() {
    let problem = file_problem(&[0; 8]);
    assert!(
        matches!(problem, FileProblem::Malformed { .. }),
        "{problem}"
    );
}

#[test]
fn a_header_longer_than_the_file_is_truncated() {
    let mut bytes = file("{}", &[]);
    bytes[0] = 3;
    assert_eq!(
        file_problem(&bytes),
        FileProblem::HeaderTruncated {
            length: 3,
            bytes: 10
        }
    );
}

#[test]
fn a_header_over_the_limit_is_refused_before_it_is_read() {
    for length in [MAX_HEADER as u64 + 1, u64::MAX, 1 << 63] {
        let problem = file_problem(&length.to_le_bytes());
        let limit = MAX_HEADER;
        assert_eq!(problem, FileProblem::HeaderTooLong { length, limit });
    }
}

#[test]
fn a_header_that_is_not_utf8_says_where() {
    let problem = file_problem(&file(b"{\"\xff\":1}", &[]));
    assert_eq!(problem, FileProblem::HeaderNotUtf8 { at: 2 });
}

#[test]
fn headers_that_are_not_the_right_json_are_malformed() {
    for header in [
        "{",
        "[]",
        "null",
        "1",
        "{}x",
        "{} {}",
        "{1:2}",
        r#"{"__metadata__":[]}"#,
        r#"{"__metadata__":{"a":1}}"#,
        r#"{"__metadata__":"x"}"#,
        "{\"\\ud800\":1}",
    ] {
        let problem = file_problem(&file(header, &[]));
        assert!(
            matches!(problem, FileProblem::Malformed { .. }),
            "{header}: {problem}"
        );
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    let depth = if cfg!(miri) { 1_000 } else { 200_000 };
    let nested = format!("{{\"w\":{}", "[".repeat(depth));
    let (name, problem) = tensor_problem(&file(nested, &[]));
    assert_eq!(name, "w");
    assert!(
        matches!(problem, TensorProblem::Malformed { .. }),
        "{problem}"
    );
}

#[test]
fn malformed_descriptions_name_the_tensor() {
    for description in [
        "1",
        "null",
        "{}",
        r#"{"dtype":"U8","shape":[1]}"#,
        r#"{"dtype":"U8","data_offsets":[0,1]}"#,
        r#"{"shape":[1],"data_offsets":[0,1]}"#,
        r#"{"dtype":8,"shape":[1],"data_offsets":[0,1]}"#,
        r#"{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}"#,
        r#"{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}"#,
        r#"{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}"#,
        r#"{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}"#,
        r#"{"dtype":"U8","shape":1,"data_offsets":[0,1]}"#,
        r#"{"dtype":"U8","shape":[1],"data_offsets":[0]}"#,
        r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}"#,
        r#"{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}"#,
        r#"{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}"#,
    ] {
        let good = tensor("good", "U8", &[], [0, 1]);
        let header = header(&[good, format!(r#""bad":{description}"#)]);
        let (name, problem) = tensor_problem(&file(header, &[0; 2]));
        assert_eq!(name, "bad", "{description}");
        assert!(
            matches!(problem, TensorProblem::Malformed { .. }),
            "{description}: {problem}"
        );
    }
}

#[test]
fn a_name_may_not_occur_twice_however_it_is_spelt() {
    let plain = tensor("a", "U8", &[], [0, 1]);
    let escaped = tensor("\\u0061", "U8", &[], [1, 2]);
    let problem = tensor_problem(&file(header(&[plain, escaped]), &[0; 2]));
    assert_eq!(problem, ("a".to_owned(), TensorProblem::Duplicate));

    let metadata = r#""__metadata__":{}"#.to_owned();
    let problem = tensor_problem(&file(header(&[metadata.clone(), metadata]), &[]));
    assert_eq!(problem.1, TensorProblem::Duplicate);
}

#[test]
fn ranges_must_lie_in_the_file() {
    let (begin, end) = (4, 3);
    let problem = one("U8", &[1], [begin, end], 8).1;
    assert_eq!(problem, TensorProblem::Reversed { begin, end });
    for end in [9, u64::MAX] {
        let problem = one("U8", &[end], [0, end], 8).1;
        assert_eq!(problem, TensorProblem::OutOfBounds { end, available: 8 });
    }
}

#[test]
fn a_truncated_file_names_the_tensor_that_is_cut() {
    let whole = two([0, 4], [4, 8], 8);
    let (name, problem) = tensor_problem(&whole[..whole.len() - 1]);
    assert_eq!(name, "b");
    assert!(problem.to_string().contains("truncated"), "{problem}");
}

#[test]
fn tensors_must_not_overlap() {
    for (first, second) in [([0, 4], [2, 6]), ([0, 6], [2, 4]), ([0, 6], [0, 6])] {
        let (name, problem) = tensor_problem(&two(first, second, 6));
        let other = if name == "a" { "b" } else { "a" }.to_owned();
        assert_eq!(problem, TensorProblem::Overlap { other });
    }
}

#[test]
fn every_byte_must_belong_to_a_tensor() {
    let problem = tensor_problem(&two([0, 2], [5, 6], 6));
    assert_eq!(problem, ("b".to_owned(), TensorProblem::Gap { bytes: 3 }));
    let problem = tensor_problem(&two([1, 2], [2, 6], 6));
    assert_eq!(problem, ("a".to_owned(), TensorProblem::Gap { bytes: 1 }));
    let problem = file_problem(&two([0, 2], [2, 5], 6));
    assert_eq!(problem, FileProblem::TrailingBytes { bytes: 1 });
    let problem = file_problem(&file("{}", &[0; 3]));
    assert_eq!(problem, FileProblem::TrailingBytes { bytes: 3 });
}

#[test]
fn bytes_must_fit_shape_and_dtype() {
    let problem = one("F32", &[2, 3], [0, 8], 8).1;
    assert_eq!(
        problem,
        TensorProblem::WrongSize {
            shape: vec![2, 3],
            dtype: "F32",
            expected: 24,
            actual: 8
        }
    );
    let problem = one("F4", &[3], [0, 2], 2).1;
    assert!(
        matches!(problem, TensorProblem::WrongSize { .. }),
        "half a byte is left: {problem}"
    );
}

#[test]
fn huge_shapes_do_not_overflow() {
    for shape in [
        vec![u64::MAX],
        vec![1 << 32, 1 << 32],
        vec![1 << 60, 2],
        vec![u64::MAX, 2, 0],
        vec![1 << 63, 0],
    ] {
        let problem = one("F32", &shape, [0, 0], 0).1;
        assert_eq!(problem, TensorProblem::TooLarge { shape });
    }
    let problem = one("U8", &[1; 65], [0, 1], 1).1;
    let (rank, limit) = (65, 64);
    assert_eq!(problem, TensorProblem::TooManyAxes { rank, limit });
}

#[test]
fn an_unknown_dtype_names_tensor_and_dtype() {
    let problem = one("f32", &[1], [0, 4], 4).1;
    let dtype = "f32".to_owned();
    assert_eq!(problem, TensorProblem::UnknownDtype { dtype });
}

#[test]
fn a_dtype_arrays_lack_fails_only_when_its_tensor_is_asked_for() {
    let entries = [
        tensor("scale", "F32", &[1], [0, 4]),
        tensor("w", "F8_E5M2", &[3], [4, 7]),
    ];
    let file = open(&aligned_file(&header(&entries), &[0; 7])).unwrap();
    assert_eq!(file.array("scale").unwrap().item::<f32>().unwrap(), 0.0);
    let info = file.info("w").unwrap();
    assert_eq!(
        (info.dtype, info.stored_dtype, info.bytes),
        (None, "F8_E5M2", 3)
    );
    let error = file.array("w").err().unwrap();
    assert_eq!(
        error.to_string(),
        r#"<bytes>: tensor "w": arrays cannot hold dtype F8_E5M2"#
    );
}

#[test]
fn truth_values_must_be_zero_or_one() {
    let header = header(&[tensor("mask", "BOOL", &[3], [0, 3])]);
    let file = open(&file(header, &[0, 1, 2])).unwrap();
    let Err(Error::Tensor { problem, .. }) = file.array("mask") else {
        panic!("2 is no truth value");
    };
    let (index, value) = (2, 2);
    assert_eq!(problem, TensorProblem::NotBool { index, value });
}

#[test]
fn a_name_that_is_not_there_is_an_error() {
    let error = open(&file("{}", &[])).unwrap().array("w").err().unwrap();
    assert_eq!(
        error.to_string(),
        r#"<bytes>: tensor "w": not in this file"#
    );
}

#[test]
fn errors_are_small_enough_to_return() {
    assert!(size_of::<Error>() <= 128, "{}", size_of::<Error>());
    assert!(size_of::<crate::Result<SafeTensors>>() <= 256);
}
