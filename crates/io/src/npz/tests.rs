//! Owns the proof that NumPy's archives are read right, and that wrong ones fail.

use olivine_core::{Complex64, Dtype, Element};

use super::*;
use crate::safetensors::samples::{any_array, bytes_of};

fn archive(compression: Compression) -> Vec<u8> {
    let arrays = [
        ("x", any_array(Dtype::Float32, &[3, 5])),
        ("käse/y", any_array(Dtype::Bool, &[7])),
        ("empty", any_array(Dtype::Int64, &[0, 2])),
    ];
    let mut bytes = Vec::new();
    write_npz(&mut bytes, arrays, compression).unwrap();
    bytes
}

fn open(bytes: Vec<u8>) -> Result<Npz> {
    Npz::new(Source::from_bytes(bytes))
}

/// Uses all of an archive that opens; returns whether every array was there.
fn exercise(bytes: Vec<u8>) -> bool {
    let Ok(file) = open(bytes) else { return false };
    let arrays: Vec<_> = file.arrays().collect();
    for (_, array) in arrays.iter().flatten() {
        assert_eq!(bytes_of(array).len(), array.nbytes());
    }
    arrays.iter().all(Result::is_ok)
}

#[test]
fn arrays_come_back_stored_or_deflated() {
    for compression in [Compression::Stored, Compression::Deflated] {
        let file = open(archive(compression)).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["x", "käse/y", "empty"]);
        let x = any_array(Dtype::Float32, &[3, 5]);
        assert_eq!(bytes_of(&file.array("x").unwrap()), bytes_of(&x));
        assert_eq!(file.array("käse/y").unwrap().shape().dims(), &[7]);
        assert_eq!(file.array("empty").unwrap().shape().dims(), &[0, 2]);
        let error = file.array("z").unwrap_err().to_string();
        assert_eq!(error, r#"<bytes>: tensor "z": not in this file"#);
    }
}

#[test]
fn every_prefix_is_an_error() {
    for compression in [Compression::Stored, Compression::Deflated] {
        let whole = archive(compression);
        for end in 0..whole.len() {
            assert!(!exercise(whole[..end].to_vec()), "{end} of {}", whole.len());
        }
        assert!(exercise(whole));
    }
}

#[test]
fn changed_bytes_never_panic() {
    let mut failures = 0;
    for compression in [Compression::Stored, Compression::Deflated] {
        let whole = archive(compression);
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                failures += usize::from(!exercise(bytes));
            }
        }
    }
    assert!(failures > 500, "{failures} changes were noticed");
}

#[test]
fn a_deflated_array_that_claims_too_much_is_refused() {
    let mut bytes = archive(Compression::Deflated);
    // The first directory entry: its uncompressed size becomes nearly 4 GiB.
    let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[at + 24..at + 28].copy_from_slice(&0xf000_0000u32.to_le_bytes());
    let error = open(bytes).unwrap().array("x").unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error}");
}

#[test]
fn a_name_may_not_occur_twice() {
    let x = any_array(Dtype::Int8, &[1]);
    let error = write_npz(Vec::new(), [("x", &x), ("x", &x)], Compression::Stored).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"<writer>: tensor "x": the name occurs twice"#
    );
}

#[cfg(not(miri))]
mod files {
    use super::*;

    fn value<T: Element + PartialEq + std::fmt::Debug>(array: &Array, expected: [T; 6]) {
        assert_eq!(array.shape().dims(), &[2, 3]);
        assert_eq!(array.to_vec::<T>().unwrap(), expected);
    }

    #[test]
    fn every_array_that_numpy_writes_is_read() {
        for name in ["numpy.npz", "numpy_deflated.npz"] {
            let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");
            let file = load_npz(Path::new(golden).join(name)).unwrap();
            assert_eq!(file.len(), 13 * 2 * 2);
            for item in file.arrays() {
                let (name, array) = item.unwrap();
                let signed = [-3i8, -2, -1, 0, 1, 2];
                match array.dtype() {
                    Dtype::Bool => value(&array, [0, 1, 2, 3, 4, 5].map(|k| k % 2 == 1)),
                    Dtype::Complex64 => {
                        let number = |k: u8| Complex64::new(k.into(), (k + 1).into());
                        value(&array, [0, 1, 2, 3, 4, 5].map(number));
                    }
                    Dtype::Uint8 => value(&array, [0u8, 1, 2, 3, 4, 5]),
                    Dtype::Uint16 => value(&array, [0u16, 1, 2, 3, 4, 5]),
                    Dtype::Uint32 => value(&array, [0u32, 1, 2, 3, 4, 5]),
                    Dtype::Uint64 => value(&array, [0u64, 1, 2, 3, 4, 5]),
                    Dtype::Int8 => value(&array, signed),
                    Dtype::Int16 => value(&array, signed.map(i16::from)),
                    Dtype::Int32 => value(&array, signed.map(i32::from)),
                    Dtype::Int64 => value(&array, signed.map(i64::from)),
                    Dtype::Float16 => value(&array, signed.map(olivine_core::f16::from)),
                    Dtype::Float32 => value(&array, signed.map(f32::from)),
                    Dtype::Float64 => value(&array, signed.map(f64::from)),
                    Dtype::BFloat16 => panic!("NumPy has no bfloat16"),
                }
                let size = array.dtype().size();
                assert!(name[1..].starts_with(&size.to_string()), "{name}");
            }
        }
    }

    #[test]
    fn stored_arrays_are_viewed_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        savez(&path, [("x", any_array(Dtype::Float64, &[9]))]).unwrap();
        let file = load_npz(&path).unwrap();
        let data = file.array("x").unwrap().data().unwrap();
        assert_eq!(data.buffer.host(), file.source.memory.host());
        assert_eq!(data.offset % 64, 0);
    }
}
