//! Owns the reference of sorting, running folds, comparison of arrays, and repetition.

use std::cmp::Ordering;

use num_complex::Complex;
use olivine_core::{Dtype, Kind};

use super::{Args, scalar::extremum};
use crate::{
    Tensor, Value,
    tensor::{bounds, broadcast, indices, offset},
};

/// Replaces each line along an axis by what a function makes of it.
fn lines(
    x: &Tensor,
    axis: usize,
    dtype: Dtype,
    length: usize,
    f: impl Fn(&[Value]) -> Vec<Value>,
) -> Tensor {
    let mut across = x.shape.clone();
    across[axis] = 1;
    let mut shape = x.shape.clone();
    shape[axis] = length;
    let mut values = vec![Value::Int(0); shape.iter().product()];
    for start in indices(&across) {
        let place = |i: usize| {
            let mut place = start.clone();
            place[axis] = i;
            place
        };
        let line: Vec<Value> = (0..x.shape[axis]).map(|i| x.at(&place(i))).collect();
        for (i, value) in f(&line).into_iter().enumerate() {
            values[offset(&shape, &place(i))] = value;
        }
    }
    Tensor::new(dtype, shape, values)
}

/// The order in which a line is sorted: stable, NaN last.
fn order(line: &[Value]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..line.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (line[a], line[b]);
        a.order(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
    order
}

/// Sorting and its relatives. Samples of partial orders sort what they got.
pub(super) fn sort(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let x = inputs.first()?;
    if op == "searchsorted" {
        return searchsorted(args, x);
    }
    if !matches!(
        op,
        "sort" | "argsort" | "partition" | "argpartition" | "topk"
    ) {
        return None;
    }
    let axis = x.axis(args.integer("axis")?);
    let size = x.shape[axis];
    let positions = |order: Vec<usize>| {
        order
            .into_iter()
            .map(|i| Value::Int(i as i128))
            .collect::<Vec<_>>()
    };
    let sorted = |line: &[Value]| order(line).into_iter().map(|i| line[i]).collect::<Vec<_>>();
    Some(match op {
        "sort" | "partition" => lines(x, axis, x.dtype, size, sorted),
        "argsort" => lines(x, axis, Dtype::Uint32, size, |line| positions(order(line))),
        "argpartition" => lines(x, axis, Dtype::Uint32, size, |line| {
            positions((0..line.len()).collect())
        }),
        _ => lines(x, axis, x.dtype, 2, |line| sorted(line).split_off(size - 2)),
    })
}

fn searchsorted(args: &Args, x: &Tensor) -> Option<Tensor> {
    let sorted: &[i128] = if args.label() == "in nothing" {
        &[]
    } else {
        &[0, 0, 1, 3]
    };
    let sorted: Vec<Value> = sorted
        .iter()
        .map(|&v| Value::Int(v).stored(x.dtype))
        .collect();
    let right = match args.label() {
        "side=left" | "scalar" | "in nothing" => false,
        "side=right" | "empty" => true,
        _ => return None,
    };
    // NaN belongs behind everything.
    let before = |a: Value, v: Value| match a.order(v) {
        None => v.is_nan(),
        Some(Ordering::Less) => true,
        Some(Ordering::Equal) => right,
        Some(Ordering::Greater) => false,
    };
    let count = |v: &Value| Value::Int(sorted.iter().filter(|a| before(**a, *v)).count() as i128);
    Some(Tensor::new(
        Dtype::Uint32,
        x.shape.clone(),
        x.values.iter().map(count),
    ))
}

/// Running sums, products and extrema.
pub(super) fn cumulative(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let x = inputs.first()?;
    if !matches!(
        op,
        "cumsum" | "cumprod" | "cummax" | "cummin" | "logcumsumexp"
    ) {
        return None;
    }
    let dtype = if op == "cumsum" && x.dtype == Dtype::Bool {
        Dtype::Int32
    } else if op == "logcumsumexp" {
        x.dtype.to_inexact()
    } else {
        x.dtype
    };
    let axis = if args.label() == "empty" {
        0
    } else {
        x.axis(args.integer("axis")?)
    };
    let (reverse, exclusive) = (args.has("reverse"), args.has("exclusive"));
    Some(lines(x, axis, dtype, x.shape[axis], |line| {
        let mut line = line.to_vec();
        if reverse {
            line.reverse();
        }
        let mut running = start(op, dtype);
        let mut results = Vec::new();
        for value in line {
            let next = step(op, running, value.stored(dtype), dtype);
            results.push(if exclusive { running } else { next });
            running = next;
        }
        if reverse {
            results.reverse();
        }
        results
    }))
}

fn start(op: &str, dtype: Dtype) -> Value {
    let whole = !matches!(dtype.kind(), Kind::Float | Kind::Complex);
    let both = |part| Value::Complex(Complex::new(part, part));
    match op {
        "cumsum" => Value::Int(0).stored(dtype),
        "logcumsumexp" => Value::Real(f64::NEG_INFINITY).stored(dtype),
        "cumprod" => Value::Int(1).stored(dtype),
        "cummax" if whole => Value::Int(bounds(dtype).0),
        "cummin" if whole => Value::Int(bounds(dtype).1),
        "cummax" if dtype == Dtype::Complex64 => both(f64::NEG_INFINITY),
        "cummin" if dtype == Dtype::Complex64 => both(f64::INFINITY),
        "cummax" => Value::Real(f64::NEG_INFINITY),
        _ => Value::Real(f64::INFINITY),
    }
}

fn step(op: &str, a: Value, b: Value, dtype: Dtype) -> Value {
    let (sum, kind) = (op == "cumsum", dtype.kind());
    match op {
        "cummax" => extremum(a, b, Ordering::Greater),
        "cummin" => extremum(a, b, Ordering::Less),
        "logcumsumexp" => {
            let (a, b) = (a.complex(), b.complex());
            let (low, high) = if a.re < b.re { (a, b) } else { (b, a) };
            let ratio = (low - high).exp();
            match kind {
                _ if low.re == f64::NEG_INFINITY && !high.re.is_nan() => Value::Complex(high),
                Kind::Complex => Value::Complex(high + (ratio + 1.0).ln()),
                _ if a.re == b.re => Value::Real(a.re + 2f64.ln()),
                _ => Value::Real(high.re + (low.re - high.re).exp().ln_1p()),
            }
        }
        _ => match kind {
            Kind::Complex if sum => Value::Complex(a.complex() + b.complex()),
            Kind::Complex => Value::Complex(a.complex() * b.complex()),
            Kind::Float if sum => Value::Real(a.real() + b.real()),
            Kind::Float => Value::Real(a.real() * b.real()),
            _ if sum => Value::Int(a.int() + b.int()).stored(dtype),
            _ => Value::Int(a.int() * b.int()).stored(dtype),
        },
    }
}

/// Comparison of whole arrays, and bounds.
pub(super) fn compare(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let x = inputs.first()?;
    let truth = |value: bool| Tensor::new(Dtype::Bool, [], [Value::Int(i128::from(value))]);
    match (op, args.label()) {
        ("clip", label) => {
            // A real bound beside integers makes the result real.
            let bound = if matches!(x.dtype.kind(), Kind::Float | Kind::Complex) {
                x.dtype
            } else {
                Dtype::Float32
            };
            let (low, high) = match label {
                "-0.5, 0.5" => (
                    Tensor::reals(bound, [], [-0.5]),
                    Tensor::reals(bound, [], [0.5]),
                ),
                "arrays" => (inputs[1].clone(), inputs[2].clone()),
                _ => return None,
            };
            let dtype = x.dtype.promote(low.dtype).promote(high.dtype);
            let shape = broadcast(&[&x.shape, &low.shape, &high.shape]);
            Some(Tensor::build(dtype, shape, |index| {
                let raised = extremum(
                    x.at_broadcast(index).stored(dtype),
                    low.at_broadcast(index).stored(dtype),
                    Ordering::Greater,
                );
                extremum(
                    raised,
                    high.at_broadcast(index).stored(dtype),
                    Ordering::Less,
                )
            }))
        }
        ("isclose", "") => {
            let y = &inputs[1];
            let shape = broadcast(&[&x.shape, &y.shape]);
            Some(Tensor::build(Dtype::Bool, shape, |index| {
                Value::Int(i128::from(near(
                    x.at_broadcast(index),
                    y.at_broadcast(index),
                )))
            }))
        }
        ("allclose", "itself") => Some(truth(x.values.iter().all(|&v| near(v, v)))),
        ("array_equal", "itself") => Some(truth(!x.values.iter().any(|v| v.is_nan()))),
        ("array_equal", "shapes") => Some(truth(false)),
        _ => None,
    }
}

fn near(a: Value, b: Value) -> bool {
    let (a, b) = (a.complex(), b.complex());
    a == b || b.is_finite() && a.is_finite() && (a - b).norm() <= 1e-8 + 1e-5 * b.norm()
}

/// Borders, repetition and rotation.
pub(super) fn repeat(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let x = inputs.first()?;
    // Each element of the result is read at a place of `x`, or is the given number.
    let read = |shape: Vec<usize>, value: i128, place: &dyn Fn(usize, usize) -> Option<usize>| {
        Some(Tensor::build(x.dtype, shape, |index| {
            let skip = index.len() - x.rank();
            let place: Option<Vec<usize>> = index[skip..]
                .iter()
                .enumerate()
                .map(|(axis, &i)| place(axis, i))
                .collect();
            place.map_or(Value::Int(value), |place| x.at(&place))
        }))
    };
    let count_and_axis = || {
        let (count, _) = args.label().split_once(',')?;
        Some((
            count.trim().parse::<i64>().ok()?,
            x.axis(args.integer("axis")?),
        ))
    };
    let border: Option<(Vec<(usize, usize)>, i128)> = match (op, args.label()) {
        ("pad", "[(1, 2), (0, 1)]") => Some((vec![(1, 2), (0, 1)], 0)),
        ("pad", "(1, 1), 1") => Some((vec![(1, 1); x.rank()], 1)),
        ("pad", "edge" | "reflect" | "symmetric") => Some((vec![(2, 2), (0, 3)], 0)),
        _ => None,
    };
    match op {
        "pad" => {
            let (widths, value) = border?;
            let shape = x
                .shape
                .iter()
                .zip(&widths)
                .map(|(n, (a, b))| n + a + b)
                .collect();
            read(shape, value, &|axis, i| {
                let (size, at) = (x.shape[axis] as i64, i as i64 - widths[axis].0 as i64);
                let inside = (0..size).contains(&at);
                let folded = match args.label() {
                    "edge" => at.clamp(0, size - 1),
                    "reflect" if at < 0 => -at,
                    "reflect" if !inside => 2 * size - 2 - at,
                    "symmetric" if at < 0 => -at - 1,
                    "symmetric" if !inside => 2 * size - 1 - at,
                    _ if inside => at,
                    _ => return None,
                };
                Some(folded as usize)
            })
        }
        "repeat" => {
            let (count, axis) = count_and_axis()?;
            let mut shape = x.shape.clone();
            shape[axis] *= count as usize;
            read(shape, 0, &|own, i| {
                Some(if own == axis { i / count as usize } else { i })
            })
        }
        "tile" => {
            let counts: Vec<usize> = args.numbers()?.into_iter().map(|n| n as usize).collect();
            let rank = x.rank().max(counts.len());
            let pad = |list: &[usize]| [vec![1; rank - list.len()], list.to_vec()].concat();
            let shape = pad(&x.shape)
                .iter()
                .zip(pad(&counts))
                .map(|(n, c)| n * c)
                .collect();
            read(shape, 0, &|axis, i| Some(i % x.shape[axis]))
        }
        "flip" => {
            let axes = args.axes(x.rank())?;
            read(x.shape.clone(), 0, &|own, i| {
                Some(if axes.contains(&own) {
                    x.shape[own] - 1 - i
                } else {
                    i
                })
            })
        }
        "roll" => {
            let (shift, axis) = count_and_axis()?;
            let size = x.shape[axis] as i64;
            read(x.shape.clone(), 0, &|own, i| {
                Some(if own == axis {
                    (i as i64 - shift).rem_euclid(size) as usize
                } else {
                    i
                })
            })
        }
        _ => None,
    }
}
