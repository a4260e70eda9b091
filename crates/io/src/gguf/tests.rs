//! Owns the proof that GGUF files read right, come back, and fail with reasons when they are wrong.

use olivine_core::{Element, f16};

use super::{blocks::Stored, *};
use crate::{
    FileProblem,
    safetensors::samples::{any_array, array, bytes_of},
};

fn open(bytes: Vec<u8>) -> Result<Gguf> {
    Gguf::from_bytes(bytes)
}

fn metadata() -> GgufMetadata {
    let nested = GgufValues::Array(vec![
        GgufValues::Int32(vec![1, -2]),
        GgufValues::String(vec!["a".into(), "é".into()]),
        GgufValues::Array(vec![]),
    ]);
    let values: Vec<GgufValue> = vec![
        7u8.into(),
        (-7i8).into(),
        700u16.into(),
        (-700i16).into(),
        70_000u32.into(),
        (-70_000i32).into(),
        u64::MAX.into(),
        i64::MIN.into(),
        0.5f32.into(),
        0.1f64.into(),
        true.into(),
        "text".into(),
        vec![1u8, 2].into(),
        vec![-1i8].into(),
        vec![1u16].into(),
        vec![-1i16].into(),
        vec![1u32].into(),
        vec![-1i32].into(),
        vec![u64::MAX].into(),
        vec![i64::MIN].into(),
        vec![1.5f32].into(),
        vec![1.5f64].into(),
        vec![true, false].into(),
        Vec::<String>::new().into(),
        GgufValue::Array(nested),
    ];
    let keys = (0..values.len()).map(|i| format!("key.{i:02}"));
    keys.zip(values).collect()
}

fn sample() -> Vec<u8> {
    let arrays = [
        ("a", any_array(Dtype::Float32, &[2, 3])),
        ("b", any_array(Dtype::BFloat16, &[5])),
        ("scalar", any_array(Dtype::Int64, &[])),
        ("empty", any_array(Dtype::Float16, &[0, 4])),
    ];
    let mut bytes = Vec::new();
    write_gguf(&mut bytes, arrays, &metadata()).unwrap();
    bytes
}

/// Uses all of a file that opens; returns whether everything was there.
fn exercise(bytes: Vec<u8>) -> bool {
    let Ok(file) = open(bytes) else { return false };
    for name in file.names() {
        let info = file.info(name).unwrap();
        if let Ok(array) = file.array(name) {
            assert_eq!(array.shape(), info.shape);
            assert_eq!(bytes_of(&array).len(), array.nbytes());
        }
    }
    file.arrays().is_ok()
}

#[test]
fn every_dtype_that_gguf_has_comes_back() {
    let shapes: [&[usize]; 5] = [&[], &[3], &[2, 0, 4], &[2, 3, 5], &[1, 2, 1, 2, 1, 2]];
    for dtype in Dtype::ALL {
        let arrays = shapes.map(|shape| (format!("{shape:?}"), any_array(dtype, shape)));
        let mut bytes = Vec::new();
        let written = write_gguf(&mut bytes, arrays.clone(), &GgufMetadata::new());
        if Stored::of(dtype).is_none() {
            let error = written.unwrap_err().to_string();
            assert!(error.contains("astype"), "{error}");
            continue;
        }
        let file = open(bytes).unwrap();
        for (name, array) in arrays {
            let found = file.array(&name).unwrap();
            assert_eq!((found.dtype(), found.shape()), (dtype, array.shape()));
            assert_eq!(bytes_of(&found), bytes_of(&array));
        }
    }
}

#[test]
fn metadata_of_every_type_comes_back() {
    assert_eq!(*open(sample()).unwrap().metadata(), metadata());
}

#[test]
fn tensors_start_at_the_alignment_that_metadata_asks_for() {
    let metadata = GgufMetadata::from([("general.alignment".into(), 256u32.into())]);
    let arrays = [
        ("a", any_array(Dtype::Int8, &[3])),
        ("b", any_array(Dtype::Int8, &[5])),
    ];
    let mut bytes = Vec::new();
    write_gguf(&mut bytes, arrays, &metadata).unwrap();
    assert_eq!(bytes.len() % 256, 0);
    let file = open(bytes).unwrap();
    assert!(file.entries.iter().all(|entry| entry.begin % 256 == 0));
    assert_eq!(
        bytes_of(&file.array("b").unwrap()),
        bytes_of(&any_array(Dtype::Int8, &[5]))
    );
    let wrong = GgufMetadata::from([("general.alignment".into(), 3u32.into())]);
    assert!(write_gguf(Vec::new(), Vec::<(String, Array)>::new(), &wrong).is_err());
}

#[test]
fn every_prefix_is_an_error() {
    let whole = sample();
    // The last tensor has no bytes, and padding follows the one before it.
    let file = open(whole.clone()).unwrap();
    let entries = file.entries.iter().filter(|entry| entry.bytes > 0);
    let end = entries
        .map(|entry| entry.begin + entry.bytes)
        .max()
        .unwrap();
    for length in 0..end {
        assert!(!exercise(whole[..length].to_vec()), "{length} of {end}");
    }
    assert!(exercise(whole));
}

#[test]
fn changed_bytes_never_panic() {
    let whole = sample();
    let mut failures = 0;
    for at in 0..whole.len() {
        for value in [0, 1, 9, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            failures += usize::from(!exercise(bytes));
        }
    }
    assert!(failures > 500, "{failures} changes were noticed");
}

fn front(version: u32, tensors: u64, pairs: u64) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(pairs.to_le_bytes());
    bytes
}

fn problem(bytes: Vec<u8>) -> String {
    open(bytes).unwrap_err().to_string()
}

#[test]
fn counts_that_lie_cost_no_memory() {
    assert!(problem(front(3, u64::MAX, 0)).contains("truncated"));
    assert!(problem(front(3, 0, u64::MAX)).contains("truncated"));
    let mut bytes = front(3, 0, 1);
    bytes.extend(u64::MAX.to_le_bytes());
    assert!(problem(bytes).contains("a metadata key takes 18446744073709551615 bytes"));
    for kind in [
        value::code::FLOAT64,
        value::code::STRING,
        value::code::ARRAY,
    ] {
        let mut bytes = front(3, 0, 1);
        bytes.extend(1u64.to_le_bytes());
        bytes.push(b'k');
        bytes.extend(value::code::ARRAY.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend((u64::MAX / 2).to_le_bytes());
        assert!(problem(bytes).contains("truncated"));
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    let mut bytes = front(3, 0, 1);
    bytes.extend(1u64.to_le_bytes());
    bytes.push(b'k');
    bytes.extend(value::code::ARRAY.to_le_bytes());
    for _ in 0..10_000 {
        bytes.extend(value::code::ARRAY.to_le_bytes());
        bytes.extend(1u64.to_le_bytes());
    }
    assert!(problem(bytes).contains("nested"));
}

#[test]
fn versions_and_other_files_are_told_apart() {
    assert!(problem(front(1, 0, 0)).contains("version 1 of GGUF"));
    assert!(problem(front(3u32.swap_bytes(), 0, 0)).contains("big-endian"));
    assert!(problem(b"PK\x03\x04".to_vec()).contains("not a GGUF file"));
    assert!(exercise(front(2, 0, 0)));
}

fn one(sizes: &[u64], kind: u32, offset: u64, data: usize) -> Vec<u8> {
    let mut bytes = front(3, 1, 0);
    bytes.extend(1u64.to_le_bytes());
    bytes.push(b'w');
    bytes.extend((sizes.len() as u32).to_le_bytes());
    for size in sizes {
        bytes.extend(size.to_le_bytes());
    }
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

#[test]
fn tensors_must_be_what_they_can_be() {
    for (bytes, reason) in [
        (one(&[2], 0, 0, 7), "truncated"),
        (one(&[2], 0, 3, 64), "no multiple of 32"),
        (one(&[2], 99, 0, 64), "number 99"),
        (one(&[33], 2, 0, 64), "no multiple of the 32"),
        (one(&[], 2, 0, 64), "no multiple of the 32"),
        (one(&[1 << 62, 4], 24, 0, 64), "too many elements"),
        (one(&[1 << 62, 4, 0], 24, 0, 64), "too many elements"),
        (one(&[1; 9], 24, 0, 64), "9 axes"),
        (one(&[1], 24, 1 << 63, 64), "truncated"),
        (one(&[1], 24, !31, 64), "truncated"),
    ] {
        let found = problem(bytes);
        assert!(
            found.contains("tensor \"w\"") && found.contains(reason),
            "{found}"
        );
    }
    assert!(exercise(one(&[2], 0, 0, 8)));
    assert!(exercise(one(&[0], 0, !31, 0)));
    let error = open(one(&[256], 16, 0, 66))
        .unwrap()
        .array("w")
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("arrays cannot hold dtype IQ2_XXS"),
        "{error}"
    );
    let error = open(sample()).unwrap().array("none").unwrap_err();
    assert!(matches!(error, crate::Error::Tensor { .. }), "{error}");
}

#[test]
fn names_and_bytes_belong_to_one_tensor_each() {
    let entry = |name: u8, offset: u64| {
        let mut bytes = 1u64.to_le_bytes().to_vec();
        bytes.push(name);
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(40u64.to_le_bytes());
        bytes.extend(24u32.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes
    };
    for (second, reason) in [((b'a', 64), "occurs twice"), ((b'b', 32), "overlap")] {
        let mut bytes = front(3, 2, 0);
        bytes.extend(entry(b'a', 0));
        bytes.extend(entry(second.0, second.1));
        bytes.resize(512, 0);
        let found = problem(bytes);
        assert!(found.contains(reason), "{found}");
    }
}

#[test]
fn packed_tensors_come_back_as_the_same_blocks() {
    for kind in ["Q4_0", "Q4_1", "Q8_0"] {
        let (elements, block) = Stored::named(kind).unwrap().block();
        let code = Stored::named(kind).unwrap().code();
        let mut bytes = one(&[2 * elements as u64, 3], code, 0, 0);
        let begin = bytes.len();
        bytes.extend((0..6 * block).map(|i| match i % block {
            // Scales and biases that are small and differ.
            0 | 2 if kind == "Q4_1" => i as u8,
            1 | 3 if kind == "Q4_1" => 0x31,
            0 => i as u8,
            1 => 0x31,
            _ => (i * 29 + 5) as u8,
        }));
        let file = open(bytes.clone()).unwrap();
        let packed = file.packed("w").unwrap().unwrap();
        let bits = if kind == "Q8_0" { 8 } else { 4 };
        assert_eq!(packed.scheme.bits(), bits);
        assert_eq!(packed.weight.shape().dims(), &[3, 2 * bits]);
        assert_eq!(packed.scales.shape().dims(), &[3, 2]);
        let mut again = Vec::new();
        write_gguf(&mut again, file.arrays().unwrap(), &GgufMetadata::new()).unwrap();
        let again = open(again).unwrap();
        assert_eq!(again.info("w").unwrap().stored, kind);
        assert_eq!(again.bytes(&again.entries[0]), &bytes[begin..], "{kind}");
    }
}

#[test]
fn packed_numbers_mean_what_their_blocks_mean() {
    // scale 0.5, codes 0…15 in both halves.
    let mut block = f16::from_f32(0.5).to_le_bytes().to_vec();
    block.extend((0..16).map(|i| i << 4 | i));
    let mut bytes = one(&[32], 2, 0, 0);
    bytes.extend(block);
    let file = open(bytes).unwrap();
    let packed = file.packed("w").unwrap().unwrap();
    let words = packed.weight.to_vec::<u32>().unwrap();
    assert_eq!(words, [0x7654_3210, 0xfedc_ba98, 0x7654_3210, 0xfedc_ba98]);
    let bias = packed.biases.item::<f16>().unwrap();
    assert_eq!(bias, f16::from_f32(-4.0));
    let values = file.array("w").unwrap().to_vec::<f16>().unwrap();
    let expected = (0..32).map(|i| f16::from_f32(0.5 * (i % 16) as f32 - 4.0));
    assert_eq!(values, expected.collect::<Vec<_>>());
}

#[test]
fn biases_beyond_halves_are_kept_in_single_precision() {
    // 128 times 1024 is more than a half can hold.
    let mut bytes = one(&[32], 8, 0, 0);
    bytes.extend(f16::from_f32(1024.0).to_le_bytes());
    bytes.extend([0x81; 32]);
    let file = open(bytes).unwrap();
    let packed = file.packed("w").unwrap().unwrap();
    assert_eq!(packed.biases.item::<f32>().unwrap(), -131_072.0);
    assert_eq!(packed.scales.item::<f32>().unwrap(), 1024.0);
}

#[cfg(not(miri))]
mod files {
    use super::*;

    fn golden(name: &str) -> std::path::PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden")).join(name)
    }

    fn same<T: Element + PartialEq + std::fmt::Debug>(
        found: &Array,
        values: &[T],
        shape: &[usize],
    ) {
        assert_eq!(found.shape().dims(), shape);
        assert_eq!(found.to_vec::<T>().unwrap(), values);
    }

    #[test]
    fn files_of_the_public_writer_are_read() {
        let file = load_gguf(golden("quants.gguf")).unwrap();
        let metadata = file.metadata();
        assert_eq!(metadata["general.architecture"].as_str(), Some("golden"));
        assert_eq!(metadata["some.names"].strings().unwrap(), ["a", "é", ""]);
        let numbers = metadata["some.numbers"].to_array().unwrap().unwrap();
        assert_eq!(numbers.to_vec::<i32>().unwrap(), [1, -2, 3]);
        assert_eq!(metadata["some.float"], GgufValue::Float64(0.1));
        assert_eq!(metadata["some.truth"].as_bool(), Some(true));
        let floats = [1.5f32, -2.25, 3.0];
        same(&file.array("plain.f32").unwrap(), &floats, &[1, 3]);
        same(
            &file.array("plain.f16").unwrap(),
            &floats.map(f16::from_f32),
            &[1, 3],
        );
        same(
            &file.array("plain.f64").unwrap(),
            &floats.map(f64::from),
            &[1, 3],
        );
        same(
            &file.array("plain.i64").unwrap(),
            &[1i64 << 40, -1, 0, 7],
            &[1, 2, 2],
        );
        let ones = [1.0, 2.0].map(olivine_core::bf16::from_f32);
        same(&file.array("plain.bf16").unwrap(), &ones, &[1, 2]);
    }

    #[test]
    fn quantized_types_mean_what_the_public_reader_says() {
        let file = load_gguf(golden("quants.gguf")).unwrap();
        let expected = crate::load_npz(golden("quants.npz")).unwrap();
        let mut types = 0;
        for name in file.names() {
            let Some(kind) = name.strip_suffix(".weight") else {
                continue;
            };
            types += 1;
            let found = file.array(name).unwrap();
            let wanted = expected.array(kind).unwrap();
            assert_eq!(
                (found.dtype(), found.shape()),
                (Dtype::Float16, wanted.shape())
            );
            let pairs = found
                .to_vec::<f16>()
                .unwrap()
                .into_iter()
                .zip(wanted.to_vec::<f16>().unwrap());
            for (i, (a, b)) in pairs.enumerate() {
                // Products may be rounded in another order before they become halves.
                let (a, b) = (a.to_f32(), b.to_f32());
                assert!(
                    (a - b).abs() <= b.abs() / 1024.0 + 1e-6,
                    "{kind} {i}: {a} {b}"
                );
            }
        }
        assert_eq!(types, 15);
        let arrays: HashMap<String, Array> = file.arrays().unwrap().into_iter().collect();
        let triples: Vec<&str> = expected.names().filter(|name| name.contains('.')).collect();
        assert_eq!(triples.len(), 9);
        for name in triples {
            let wanted = expected.array(name).unwrap();
            assert_eq!(arrays[name].shape(), wanted.shape(), "{name}");
            assert_eq!(bytes_of(&arrays[name]), bytes_of(&wanted), "{name}");
        }
    }

    #[test]
    fn packed_types_stand_for_the_numbers_of_the_public_reader() {
        let file = load_gguf(golden("quants.gguf")).unwrap();
        let expected = crate::load_npz(golden("packed.npz")).unwrap();
        let mut types = 0;
        for name in file.names() {
            let Some(packed) = file.packed(name).unwrap() else {
                assert!(file.info(name).unwrap().packed.is_none());
                continue;
            };
            types += 1;
            assert_eq!(file.info(name).unwrap().packed, Some(packed.scheme));
            let kind = name.strip_suffix(".weight").unwrap();
            let quantized = olivine_core::quantized::Quantized {
                codes: packed.weight,
                // Half-precision scales would round the products.
                scales: packed.scales.astype(Dtype::Float32).unwrap(),
                biases: Some(packed.biases.astype(Dtype::Float32).unwrap()),
                global_scale: None,
                scheme: packed.scheme,
            };
            let wanted = expected.array(kind).unwrap();
            assert_eq!(quantized.shape().unwrap(), *wanted.shape(), "{kind}");
            let own = quantized.dequantize(Some(Dtype::Float32)).unwrap();
            let (own, exact) = (
                own.to_vec::<f32>().unwrap(),
                wanted.to_vec::<f32>().unwrap(),
            );
            for (i, (a, b)) in own.iter().zip(&exact).enumerate() {
                // A product and a sum may be rounded once or twice.
                assert!(
                    (a - b).abs() <= 3e-7 * (b.abs() + 32.0),
                    "{kind} {i}: {a} {b}"
                );
            }
            let x = any_array(Dtype::Float32, &[3, 512]);
            let product = x.quantized_matmul(&quantized, true).unwrap();
            assert_eq!(product.dtype(), Dtype::Float32);
            let plain = x.matmul(wanted.transpose([1, 0]).unwrap()).unwrap();
            let (own, plain) = (
                product.to_vec::<f32>().unwrap(),
                plain.to_vec::<f32>().unwrap(),
            );
            for (a, b) in own.iter().zip(&plain) {
                assert!(
                    (a - b).abs() <= 1e-4 * b.abs().max(100.0),
                    "{kind}: {a} {b}"
                );
            }
        }
        assert_eq!(types, 10);
    }

    #[test]
    fn plain_tensors_view_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        save_gguf(
            &path,
            [("x", array(&[1.0f32, 2.0], &[2]))],
            &GgufMetadata::new(),
        )
        .unwrap();
        let file = load_gguf(&path).unwrap();
        let data = file.array("x").unwrap().data().unwrap();
        assert_eq!(data.buffer.host(), file.source.memory.host());
        let error = load_gguf(folder.path()).unwrap_err();
        let crate::Error::File { problem, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(problem, FileProblem::NotRegular);
    }
}
