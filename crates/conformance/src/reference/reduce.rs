//! Owns the reference of reductions and of softmax.

use std::cmp::Ordering;

use num_complex::Complex;
use olivine_core::{Dtype, Kind};

use super::{Args, scalar::extremum};
use crate::{Tensor, Value, tensor::indices};

/// The dtype of sums and products.
pub(super) fn accumulator(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::Bool | Dtype::Int8 | Dtype::Int16 => Dtype::Int32,
        Dtype::Uint8 | Dtype::Uint16 => Dtype::Uint32,
        other => other,
    }
}

fn inexact(dtype: Dtype) -> Dtype {
    if matches!(dtype.kind(), Kind::Float | Kind::Complex) {
        dtype
    } else {
        Dtype::Float32
    }
}

/// A reduction over axes, or a softmax over them.
pub(super) fn reduce(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let [x] = inputs else { return None };
    let (axes, keep) = axes(op, args, x)?;
    let groups = groups(x, &axes);
    if op == "softmax" {
        return Some(softmax(x, &axes));
    }
    let result = match op {
        "sum" | "prod" => accumulator(x.dtype),
        "min" | "max" => x.dtype,
        "all" | "any" => Dtype::Bool,
        "count_nonzero" => Dtype::Int32,
        "mean" | "logsumexp" => inexact(x.dtype),
        "var" | "std" if x.dtype == Dtype::Complex64 => Dtype::Float32,
        "var" | "std" => inexact(x.dtype),
        "argmin" | "argmax" => Dtype::Uint32,
        _ => return None,
    };
    let ddof = args.number("ddof").unwrap_or(0.0);
    let f = |values: &[Value]| -> Value {
        match op {
            "sum" => sum(values, result),
            "prod" => product(values, result),
            "min" => extreme(values, Ordering::Less),
            "max" => extreme(values, Ordering::Greater),
            "all" => Value::Int(i128::from(values.iter().all(|v| v.truth()))),
            "any" => Value::Int(i128::from(values.iter().any(|v| v.truth()))),
            "count_nonzero" => Value::Int(values.iter().filter(|v| v.truth()).count() as i128),
            "mean" => mean(values),
            "var" => Value::Real(variance(values, ddof)),
            "std" => Value::Real(variance(values, ddof).sqrt()),
            "argmin" => Value::Int(position(values, Ordering::Less)),
            "argmax" => Value::Int(position(values, Ordering::Greater)),
            _ if result == Dtype::Complex64 => {
                let high = values
                    .iter()
                    .map(|v| v.real())
                    .fold(f64::NEG_INFINITY, f64::max);
                let sum: Complex<f64> = values.iter().map(|v| (v.complex() - high).exp()).sum();
                Value::Complex(sum.ln() + high)
            }
            _ => Value::Real(log_sum_exp(values)),
        }
    };
    let shape: Vec<usize> = if keep {
        (0..x.rank())
            .map(|i| if axes.contains(&i) { 1 } else { x.shape[i] })
            .collect()
    } else {
        (0..x.rank())
            .filter(|i| !axes.contains(i))
            .map(|i| x.shape[i])
            .collect()
    };
    Some(Tensor::new(
        result,
        shape,
        groups.iter().map(|group| f(group)),
    ))
}

/// The axes a label names, and whether they stay with size one.
fn axes(op: &str, args: &Args, x: &Tensor) -> Option<(Vec<usize>, bool)> {
    let keep = args.has("keepdims");
    let axes = match args.label() {
        "scalar" => Vec::new(),
        "empty result" => vec![1],
        "of none" => vec![0],
        "empty axis" if op == "softmax" => vec![1],
        _ => args.axes(x.rank())?,
    };
    Some((axes, keep))
}

/// The values that share their index on the axes that stay, in row-major order.
fn groups(x: &Tensor, axes: &[usize]) -> Vec<Vec<Value>> {
    let inner: Vec<usize> = axes.iter().map(|&axis| x.shape[axis]).collect();
    let outer: Vec<usize> = (0..x.rank()).filter(|i| !axes.contains(i)).collect();
    let sizes: Vec<usize> = outer.iter().map(|&axis| x.shape[axis]).collect();
    let within = indices(&inner);
    indices(&sizes)
        .iter()
        .map(|fixed| {
            let mut index = vec![0; x.rank()];
            for (&axis, &i) in outer.iter().zip(fixed) {
                index[axis] = i;
            }
            let at = |moving: &Vec<usize>| {
                for (&axis, &i) in axes.iter().zip(moving) {
                    index[axis] = i;
                }
                x.at(&index)
            };
            within.iter().map(at).collect()
        })
        .collect()
}

fn sum(values: &[Value], dtype: Dtype) -> Value {
    match dtype.kind() {
        Kind::Complex => Value::Complex(values.iter().map(|v| v.complex()).sum()),
        Kind::Float => Value::Real(values.iter().map(|v| v.real()).sum()),
        Kind::Bool | Kind::Unsigned | Kind::Signed => {
            Value::Int(values.iter().map(|v| v.int()).sum())
        }
    }
}

fn product(values: &[Value], dtype: Dtype) -> Value {
    match dtype.kind() {
        Kind::Complex => Value::Complex(values.iter().map(|v| v.complex()).product()),
        Kind::Float => Value::Real(values.iter().map(|v| v.real()).product()),
        Kind::Bool | Kind::Unsigned | Kind::Signed => {
            let step =
                |product: Value, v: &Value| Value::Int(product.int() * v.int()).stored(dtype);
            values.iter().fold(Value::Int(1), step)
        }
    }
}

fn extreme(values: &[Value], wanted: Ordering) -> Value {
    values
        .iter()
        .copied()
        .reduce(|a, b| extremum(a, b, wanted))
        .expect("not called for no values")
}

/// The first position of the extreme value, or of the first NaN.
fn position(values: &[Value], wanted: Ordering) -> i128 {
    if let Some(at) = values.iter().position(|v| v.is_nan()) {
        return at as i128;
    }
    let best = extreme(values, wanted);
    values
        .iter()
        .position(|v| v.order(best) == Some(Ordering::Equal))
        .expect("it is one of them") as i128
}

fn mean(values: &[Value]) -> Value {
    let total: Complex<f64> = values.iter().map(|v| v.complex()).sum();
    Value::Complex(total / values.len() as f64)
}

fn variance(values: &[Value], ddof: f64) -> f64 {
    let mean = mean(values).complex();
    let total: f64 = values.iter().map(|v| (v.complex() - mean).norm_sqr()).sum();
    total / (values.len() as f64 - ddof).max(0.0)
}

fn log_sum_exp(values: &[Value]) -> f64 {
    let high = extreme(values, Ordering::Greater).real();
    if high.is_infinite() || high.is_nan() {
        return high;
    }
    high + values
        .iter()
        .map(|v| (v.real() - high).exp())
        .sum::<f64>()
        .ln()
}

fn softmax(x: &Tensor, axes: &[usize]) -> Tensor {
    if x.dtype == Dtype::Complex64 {
        return complex_softmax(x, axes);
    }
    let order: Vec<usize> = (0..x.rank()).filter(|i| !axes.contains(i)).collect();
    let groups: Vec<(f64, f64)> = groups(x, axes)
        .iter()
        .map(|values| {
            let high = values
                .iter()
                .copied()
                .reduce(|a, b| extremum(a, b, Ordering::Greater));
            let high = high.map_or(0.0, Value::real);
            (high, values.iter().map(|v| (v.real() - high).exp()).sum())
        })
        .collect();
    Tensor::build(inexact(x.dtype), x.shape.clone(), |index| {
        let at = |at: usize, &axis: &usize| at * x.shape[axis] + index[axis];
        let (high, total) = groups[order.iter().fold(0, at)];
        Value::Real((x.at(index).real() - high).exp() / total)
    })
}

fn complex_softmax(x: &Tensor, axes: &[usize]) -> Tensor {
    let order: Vec<usize> = (0..x.rank()).filter(|i| !axes.contains(i)).collect();
    let total = |values: &Vec<Value>| values.iter().map(|v| v.complex().exp()).sum();
    let totals: Vec<Complex<f64>> = groups(x, axes).iter().map(total).collect();
    Tensor::build(x.dtype, x.shape.clone(), |index| {
        let at = |at: usize, &axis: &usize| at * x.shape[axis] + index[axis];
        Value::Complex(x.at(index).complex().exp() / totals[order.iter().fold(0, at)])
    })
}
