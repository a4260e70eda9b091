//! Owns the reference of products over chosen axes, of diagonals, and of differences.

use num_complex::Complex;

use super::{Args, args::integers};
use crate::{
    Tensor, Value,
    tensor::{broadcast, indices},
};

/// A product of two arrays that is not a matrix product.
pub(super) fn products(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let [a, b] = inputs else { return None };
    let dtype = a.dtype.promote(b.dtype);
    match op {
        "outer" => {
            let shape = [a.values.len(), b.values.len()];
            Some(Tensor::build(dtype, shape, |index| {
                times(a.values[index[0]], b.values[index[1]])
            }))
        }
        "inner" => Some(contract(a, b, &[a.rank() - 1], &[b.rank() - 1])),
        "tensordot" => {
            let (left, right) = args.label().split_once("], [")?;
            let axes = |x: &Tensor, text: &str| -> Option<Vec<usize>> {
                Some(integers(text)?.into_iter().map(|i| x.axis(i)).collect())
            };
            Some(contract(a, b, &axes(a, left)?, &axes(b, right)?))
        }
        "vecdot" => {
            let shape = broadcast(&[&a.shape, &b.shape]);
            let axis = (args.integer("axis")? + shape.len() as i64) as usize % shape.len();
            let mut rest = shape.clone();
            rest.remove(axis);
            Some(Tensor::build(
                super::reduce::accumulator(dtype),
                rest,
                |index| {
                    let terms = (0..shape[axis]).map(|i| {
                        let mut at = index.to_vec();
                        at.insert(axis, i);
                        times(conjugate(a.at_broadcast(&at)), b.at_broadcast(&at)).stored(dtype)
                    });
                    total(terms)
                },
            ))
        }
        "kron" => {
            let rank = a.rank().max(b.rank());
            let grown =
                |x: &Tensor| x.reshaped([vec![1; rank - x.rank()], x.shape.clone()].concat());
            let (a, b) = (grown(a), grown(b));
            let shape: Vec<usize> = a.shape.iter().zip(&b.shape).map(|(m, n)| m * n).collect();
            Some(Tensor::build(dtype, shape, |index| {
                let part = |f: fn(usize, usize) -> usize| -> Vec<usize> {
                    index.iter().zip(&b.shape).map(|(&i, &n)| f(i, n)).collect()
                };
                times(a.at(&part(|i, n| i / n)), b.at(&part(|i, n| i % n)))
            }))
        }
        _ => None,
    }
}

/// A diagonal, its sum, or a matrix that has it; differences of neighbours.
pub(super) fn diagonals(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let [x] = inputs else { return None };
    if op == "diff" {
        let order: usize = args.label().split(',').next()?.parse().ok()?;
        let axis = x.axis(args.integer("axis")?);
        return Some((0..order).fold(x.clone(), |x, _| differences(&x, axis)));
    }
    match (op, &args.numbers()?[..]) {
        ("diagonal", &[offset, first, second]) => Some(diagonal(x, offset, first, second)),
        ("trace", &[offset, first, second]) => {
            let lines = diagonal(x, offset, first, second);
            let (count, shape) = lines
                .shape
                .split_last()
                .map(|(n, rest)| (*n, rest.to_vec()))?;
            let dtype = super::reduce::accumulator(x.dtype);
            Some(Tensor::build(dtype, shape, |index| {
                total((0..count).map(|i| lines.at(&[index, &[i]].concat())))
            }))
        }
        ("diag", &[k]) if x.rank() == 2 => Some(diagonal(x, k, 0, 1)),
        ("diag", &[k]) => {
            let size = x.shape[0] + k.unsigned_abs() as usize;
            Some(Tensor::build(x.dtype, [size, size], |index| {
                let (i, j) = (index[0] as i64, index[1] as i64);
                if j - i == k {
                    x.values[i.min(j) as usize]
                } else {
                    Value::Int(0)
                }
            }))
        }
        _ => None,
    }
}

fn differences(x: &Tensor, axis: usize) -> Tensor {
    let mut shape = x.shape.clone();
    shape[axis] = shape[axis].saturating_sub(1);
    Tensor::build(x.dtype, shape, |index| {
        let mut next = index.to_vec();
        next[axis] += 1;
        match (x.at(&next), x.at(index)) {
            (Value::Int(a), Value::Int(b)) => Value::Int(a - b),
            (a, b) => Value::Complex(a.complex() - b.complex()),
        }
    })
}

fn diagonal(x: &Tensor, offset: i64, first: i64, second: i64) -> Tensor {
    let (first, second) = (x.axis(first), x.axis(second));
    let others: Vec<usize> = (0..x.rank())
        .filter(|&axis| axis != first && axis != second)
        .collect();
    let (n, m) = (x.shape[first] as i64, x.shape[second] as i64);
    let places: Vec<i64> = (0..n).filter(|i| (0..m).contains(&(i + offset))).collect();
    let mut shape: Vec<usize> = others.iter().map(|&axis| x.shape[axis]).collect();
    shape.push(places.len());
    Tensor::build(x.dtype, shape, |index| {
        let mut at = vec![0; x.rank()];
        for (&axis, &i) in others.iter().zip(index) {
            at[axis] = i;
        }
        let row = places[index[others.len()]];
        at[first] = row as usize;
        at[second] = (row + offset) as usize;
        x.at(&at)
    })
}

fn contract(a: &Tensor, b: &Tensor, axes: &[usize], other: &[usize]) -> Tensor {
    let rest = |x: &Tensor, axes: &[usize]| -> Vec<usize> {
        (0..x.rank()).filter(|axis| !axes.contains(axis)).collect()
    };
    let (left, right) = (rest(a, axes), rest(b, other));
    let summed: Vec<usize> = axes.iter().map(|&axis| a.shape[axis]).collect();
    let rows = left.iter().map(|&axis| a.shape[axis]);
    let shape: Vec<usize> = rows
        .chain(right.iter().map(|&axis| b.shape[axis]))
        .collect();
    let place = |rank: usize, parts: [(&[usize], &[usize]); 2]| {
        let mut index = vec![0; rank];
        for (axes, at) in parts {
            for (&axis, &i) in axes.iter().zip(at) {
                index[axis] = i;
            }
        }
        index
    };
    Tensor::build(a.dtype.promote(b.dtype), shape, |index| {
        let (own, others) = index.split_at(left.len());
        total(indices(&summed).iter().map(|at| {
            let one = a.at(&place(a.rank(), [(&left, own), (axes, at)]));
            times(one, b.at(&place(b.rank(), [(&right, others), (other, at)])))
        }))
    })
}

fn times(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a * b),
        (Value::Complex(_), _) | (_, Value::Complex(_)) => {
            Value::Complex(a.complex() * b.complex())
        }
        _ => Value::Real(a.real() * b.real()),
    }
}

fn conjugate(value: Value) -> Value {
    match value {
        Value::Complex(z) => Value::Complex(z.conj()),
        Value::Int(_) | Value::Real(_) => value,
    }
}

fn total(terms: impl Iterator<Item = Value>) -> Value {
    terms
        .reduce(|a, b| match (a, b) {
            (Value::Int(a), Value::Int(b)) => Value::Int(a + b),
            _ => Value::Complex(a.complex() + b.complex()),
        })
        .unwrap_or(Value::Complex(Complex::new(0.0, 0.0)))
}
