//! Owns reading the golden files: results of the reference package, written bit for bit.

use std::path::Path;

use num_complex::Complex;
use olivine_core::{Dtype, bf16, f16};
use serde_json::Value as Json;

use crate::{Tensor, Value};

/// Reads a golden file.
pub fn read(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The dtype that a golden file names.
pub fn dtype(name: &Json) -> Dtype {
    let name = name.as_str().expect("a dtype is a string");
    Dtype::ALL
        .into_iter()
        .find(|dtype| dtype.name() == name)
        .unwrap_or_else(|| panic!("no dtype {name}"))
}

/// The array that a list of `list`, in the files' encoding, stands for.
pub fn tensor(dtype: Dtype, shape: Vec<usize>, list: &Json) -> Tensor {
    let words = list.as_array().expect("values are a list");
    let values: Vec<Value> = if dtype == Dtype::Complex64 {
        let part = |word: &Json| f64::from(f32::from_bits(bits(word) as u32));
        words
            .chunks(2)
            .map(|pair| Value::Complex(Complex::new(part(&pair[0]), part(&pair[1]))))
            .collect()
    } else {
        words.iter().map(|word| value(dtype, word)).collect()
    };
    Tensor::new(dtype, shape, values)
}

/// The array written as `[dtype, shape, data]`.
pub fn triple(json: &Json) -> Tensor {
    let shape = json[1].as_array().expect("a shape is a list");
    let shape = shape
        .iter()
        .map(|n| n.as_u64().expect("a size") as usize)
        .collect();
    tensor(dtype(&json[0]), shape, &json[2])
}

fn bits(word: &Json) -> u64 {
    word.as_u64().expect("a bit pattern")
}

fn value(dtype: Dtype, word: &Json) -> Value {
    match dtype {
        Dtype::Float16 => Value::Real(f16::from_bits(bits(word) as u16).to_f64()),
        Dtype::BFloat16 => Value::Real(bf16::from_bits(bits(word) as u16).to_f64()),
        Dtype::Float32 => Value::Real(f64::from(f32::from_bits(bits(word) as u32))),
        Dtype::Float64 => Value::Real(f64::from_bits(bits(word))),
        Dtype::Complex64 => unreachable!("complex numbers take two words"),
        Dtype::Bool
        | Dtype::Uint8
        | Dtype::Uint16
        | Dtype::Uint32
        | Dtype::Uint64
        | Dtype::Int8
        | Dtype::Int16
        | Dtype::Int32
        | Dtype::Int64 => Value::Int(match word.as_u64() {
            Some(v) => i128::from(v),
            None => i128::from(word.as_i64().expect("a whole number")),
        }),
    }
}
