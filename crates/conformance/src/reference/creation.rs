//! Owns the reference of arrays made from nothing, or from another's shape.

use std::f64::consts::TAU;

use olivine_core::Dtype;

use super::{Args, args::integers};
use crate::{Tensor, Value};

/// A new array.
pub(super) fn creation(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let like = |value: i128| {
        let x = inputs.first()?;
        Some(Tensor::new(
            x.dtype,
            x.shape.clone(),
            vec![Value::Int(value); x.values.len()],
        ))
    };
    let matrix = |n: i64, m: i64, at: &dyn Fn(i64) -> bool| {
        Some(Tensor::build(
            Dtype::Float32,
            [n as usize, m as usize],
            |index| Value::Int(i128::from(at(index[1] as i64 - index[0] as i64))),
        ))
    };
    let sizes = |text: &str| {
        Some(
            integers(text)?
                .into_iter()
                .map(|n| n as usize)
                .collect::<Vec<_>>(),
        )
    };
    match (op, args.label()) {
        ("full_like", value) => like(value.parse().ok()?),
        ("zeros_like", "") => like(0),
        ("ones_like", "") => like(1),
        ("full", "(2, 3), 2.5") => Some(Tensor::reals(Dtype::Float32, [2, 3], [2.5; 6])),
        ("zeros", "(2, 0, 3)") => Some(Tensor::new(Dtype::Int8, [2, 0, 3], [])),
        ("zeros", label) => {
            let shape = sizes(label)?;
            Some(Tensor::build(Dtype::Float32, shape, |_| Value::Int(0)))
        }
        ("ones", "(4,)") => Some(Tensor::reals(Dtype::BFloat16, [4], [1.0; 4])),
        ("eye", _) => {
            let [n, m, k] = args.numbers()?[..] else {
                return None;
            };
            matrix(n, m, &|diagonal| diagonal == k)
        }
        ("tri", _) => {
            let [n, m, k] = args.numbers()?[..] else {
                return None;
            };
            matrix(n, m, &|diagonal| diagonal <= k)
        }
        ("identity", n) => {
            let n = n.parse().ok()?;
            matrix(n, n, &|diagonal| diagonal == 0)
        }
        ("arange", "0, 1000, 1") => Some(counted(Dtype::Int32, 0..1000)),
        ("arange", "5, 0, -2") => Some(counted(Dtype::Int64, [5, 3, 1])),
        ("arange", "none") => Some(counted(Dtype::Int32, [])),
        ("arange", "0, 1, 0.1") => {
            let tenth = f64::from(0.1f32);
            Some(Tensor::reals(
                Dtype::Float32,
                [10],
                (0..10).map(|i| f64::from(i) * tenth),
            ))
        }
        ("linspace", "-1, 1, 7") => Some(Tensor::reals(
            Dtype::Float32,
            [7],
            (0..7).map(|i| -1.0 + f64::from(i) / 3.0),
        )),
        ("linspace", "0, 10, 4, int32") => Some(counted(Dtype::Int32, [0, 3, 6, 10])),
        ("linspace", "one") => Some(Tensor::reals(Dtype::Float64, [1], [3.0])),
        ("bartlett", count) => window(count, |turn| 1.0 - (2.0 * turn - 1.0).abs()),
        ("hanning", count) => window(count, |turn| 0.5 - 0.5 * (TAU * turn).cos()),
        ("hamming", count) => window(count, |turn| 0.54 - 0.46 * (TAU * turn).cos()),
        ("blackman", count) => window(count, |turn| {
            0.42 - 0.5 * (TAU * turn).cos() + 0.08 * (2.0 * TAU * turn).cos()
        }),
        ("linspace", "none") => Some(Tensor::reals(Dtype::Float32, [0], [])),
        _ => None,
    }
}

/// A window whose value depends on how far along its points are, from 0 to 1.
fn window(count: &str, at: impl Fn(f64) -> f64) -> Option<Tensor> {
    let count: usize = count.parse().ok()?;
    let values = (0..count).map(|n| match count {
        1 => 1.0,
        _ => at(n as f64 / (count - 1) as f64),
    });
    Some(Tensor::reals(Dtype::Float32, [count], values))
}

fn counted(dtype: Dtype, values: impl IntoIterator<Item = i128>) -> Tensor {
    let values: Vec<Value> = values.into_iter().map(Value::Int).collect();
    Tensor::new(dtype, [values.len()], values)
}
