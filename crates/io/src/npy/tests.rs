//! Owns the proof that files of NumPy's are read right, ours are well formed, and wrong ones fail.

use olivine_core::{Array, Complex64, Dtype};

use super::*;
use crate::safetensors::samples::{any_array, bytes_of};

fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY".to_vec();
    file.extend([version, 0]);
    let length = header.len().to_le_bytes();
    file.extend_from_slice(if version == 1 {
        &length[..2]
    } else {
        &length[..4]
    });
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

fn dictionary(descr: &str, fortran: bool, shape: &str) -> String {
    let fortran = if fortran { "True" } else { "False" };
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
}

fn read(bytes: Vec<u8>) -> Result<Array> {
    read_npy(&Source::from_bytes(bytes))
}

fn problem(bytes: Vec<u8>) -> FileProblem {
    match read(bytes).expect_err("the file is wrong") {
        Error::File { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn every_dtype_and_shape_comes_back() {
    let shapes: [&[usize]; 6] = [&[], &[1], &[3], &[2, 0, 4], &[2, 3, 5], &[0]];
    for dtype in Dtype::ALL {
        for shape in shapes {
            let array = any_array(dtype, shape);
            let mut bytes = Vec::new();
            write_npy(&mut bytes, &array).unwrap();
            assert_eq!((bytes.len() - array.nbytes()) % 64, 0);
            let found = read(bytes).unwrap();
            assert_eq!((found.dtype(), found.shape()), (dtype, array.shape()));
            assert_eq!(bytes_of(&found), bytes_of(&array), "{dtype} {shape:?}");
        }
    }
}

#[test]
fn headers_are_as_numpy_writes_them() {
    for (shape, text) in [(&[][..], "()"), (&[3], "(3,)"), (&[2, 3], "(2, 3)")] {
        let header = Header::of(&any_array(Dtype::Int16, shape)).unwrap();
        let text = format!("{{'descr': '<i2', 'fortran_order': False, 'shape': {text}, }}");
        assert_eq!(&header[..10], b"\x93NUMPY\x01\0\x76\0");
        assert_eq!(&header[10..10 + text.len()], text.as_bytes());
        assert!(
            header[10 + text.len()..127]
                .iter()
                .all(|&byte| byte == b' ')
        );
        assert_eq!(header[127..], *b"\n");
    }
}

#[test]
fn the_other_byte_order_is_swapped() {
    let x = read(file(
        1,
        &dictionary(">i4", false, "(2,)"),
        &[0, 0, 1, 2, 255, 255, 255, 254],
    ));
    assert_eq!(x.unwrap().to_vec::<i32>().unwrap(), [258, -2]);
    let data = [0x3f, 0x80, 0, 0, 0x40, 0, 0, 0];
    let x = read(file(1, &dictionary(">c8", false, "()"), &data)).unwrap();
    assert_eq!(x.item::<Complex64>().unwrap(), Complex64::new(1.0, 2.0));
    let x = read(file(1, &dictionary("=u2", false, "()"), &[1, 2])).unwrap();
    assert_eq!(x.item::<u16>().unwrap(), 513);
}

// Copies run on the backend, which Miri cannot.
#[cfg(not(miri))]
#[test]
fn fortran_order_is_a_transposed_view() {
    let data = [1, 4, 2, 5, 3, 6];
    let x = read(file(2, &dictionary("|u1", true, "(2, 3)"), &data)).unwrap();
    assert_eq!(x.shape().dims(), &[2, 3]);
    assert_eq!(x.to_vec::<u8>().unwrap(), [1, 2, 3, 4, 5, 6]);
    let x = read(file(1, &dictionary("|u1", true, "(6,)"), &data)).unwrap();
    assert_eq!(x.to_vec::<u8>().unwrap(), data);
}

#[test]
fn odd_but_valid_headers_are_read() {
    for header in [
        "{'shape':(2L,3L),'fortran_order':False,'descr':\"|u1\"}",
        "{ 'descr' : 'u1' , 'fortran_order' : False , 'shape' : ( 2 , 3 , ) , }   \n",
        "\n{'descr': '=u1',\n'fortran_order': False, 'shape': (2, 3)}",
    ] {
        let x = read(file(1, header, &[0, 1, 2, 3, 4, 5, 99])).unwrap();
        assert_eq!(x.to_vec::<u8>().unwrap(), [0, 1, 2, 3, 4, 5], "{header}");
    }
}

#[test]
fn every_prefix_is_an_error() {
    for version in [1, 2, 3] {
        let whole = file(version, &dictionary("<f4", false, "(2, 3)"), &[0; 24]);
        assert!(read(whole.clone()).is_ok());
        for end in 0..whole.len() {
            let found = problem(whole[..end].to_vec());
            let truncated = matches!(found, FileProblem::Truncated { .. });
            assert!(truncated, "{end} bytes: {found}");
        }
    }
}

#[test]
fn malformed_headers_are_errors() {
    for header in [
        "",
        "{",
        "[]",
        "{'descr'}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'extra': 1}",
    ] {
        let found = problem(file(1, header, &[0; 64]));
        let malformed = matches!(found, FileProblem::Malformed { .. });
        assert!(malformed, "{header}: {found}");
    }
}

#[test]
fn dtypes_that_arrays_lack_say_what_to_do() {
    for (descr, fix) in [
        ("'<c16'", "complex64"),
        ("'<f16'", "float64"),
        ("'|O'", "pickled"),
        ("'<U3'", "numbers"),
        ("'>V2'", "numbers"),
        ("'<M8[s]'", "numbers"),
        ("[('a', '<f4'), ('b', '<i4')]", "fields"),
    ] {
        let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
        let found = problem(file(1, &header, &[0; 64]));
        assert!(
            matches!(found, FileProblem::UnsupportedDtype { .. }),
            "{found}"
        );
        assert!(found.to_string().contains(fix), "{found}");
    }
}

#[test]
fn huge_shapes_are_refused_without_memory() {
    for shape in [
        "(18446744073709551615,)",
        "(4294967296, 4294967296)",
        "(0, 9223372036854775807)",
    ] {
        let found = problem(file(1, &dictionary("<f4", false, shape), &[0; 8]));
        assert!(matches!(found, FileProblem::TooLarge { .. }), "{found}");
    }
    let found = problem(file(
        1,
        &dictionary("<f4", false, "(1099511627776,)"),
        &[0; 8],
    ));
    assert!(matches!(found, FileProblem::Truncated { .. }), "{found}");
    let shape = format!("({})", "1,".repeat(65));
    let found = problem(file(1, &dictionary("<f4", false, &shape), &[0; 8]));
    assert_eq!(
        found,
        FileProblem::TooManyAxes {
            rank: 65,
            limit: 64
        }
    );
    let mut long = b"\x93NUMPY\x02\0".to_vec();
    long.extend(u32::MAX.to_le_bytes());
    assert!(matches!(problem(long), FileProblem::HeaderTooLong { .. }));
}

#[test]
fn other_files_and_versions_are_told_apart() {
    let found = problem(b"PK\x03\x04 and more".to_vec());
    assert!(
        matches!(found, FileProblem::NotThisFormat { .. }),
        "{found}"
    );
    let found = problem(file(4, "{}", &[]));
    assert!(
        matches!(found, FileProblem::UnsupportedVersion { .. }),
        "{found}"
    );
    let found = problem(file(1, &dictionary("|b1", false, "(2,)"), &[1, 7]));
    assert_eq!(found, FileProblem::NotBool { index: 1, value: 7 });
}

#[cfg(not(miri))]
mod files {
    use super::*;

    #[test]
    fn every_version_that_numpy_writes_is_read() {
        for version in 1..=3 {
            let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");
            let x = load_npy(format!("{golden}/v{version}.npy")).unwrap();
            assert_eq!(x.shape().dims(), &[2, 3]);
            assert_eq!(x.to_vec::<f32>().unwrap(), [-3., -2., -1., 0., 1., 2.]);
        }
    }

    #[test]
    fn files_are_viewed_in_place_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        save_npy(&path, &any_array(Dtype::Float32, &[4, 4])).unwrap();
        let source = Source::open(&path).unwrap();
        let x = read_npy(&source).unwrap();
        let data = x.data().unwrap();
        assert_eq!(data.buffer.host(), source.memory.host());
        assert_eq!(data.offset, 128);
        let before = bytes_of(&x);
        save_npy(&path, &any_array(Dtype::Int8, &[2])).unwrap();
        assert_eq!(bytes_of(&x), before);
        assert_eq!(load_npy(&path).unwrap().dtype(), Dtype::Int8);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_file_is_truncated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.npy");
        std::fs::write(&path, b"").unwrap();
        let error = load_npy(&path).unwrap_err().to_string();
        assert!(
            error.contains("empty.npy") && error.contains("truncated"),
            "{error}"
        );
    }
}
