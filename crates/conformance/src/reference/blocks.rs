//! Owns the reference of products with masked blocks, of segments, and with Hadamard matrices.

use num_complex::Complex;
use olivine_core::Dtype;

use super::{Args, linear::matmul};
use crate::{Tensor, Value};

/// The matrix of order 12, as the reference package has it.
const H12: [&str; 12] = [
    "+-++++++++++",
    "--+-+-+-+-+-",
    "+++-++----++",
    "+---+--+-++-",
    "+++++-++----",
    "+-+---+--+-+",
    "++--+++-++--",
    "+--++---+--+",
    "++----+++-++",
    "+--+-++---+-",
    "++++----+++-",
    "+-+--+-++---",
];

/// The matrix of order 20, as the reference package has it.
const H20: [&str; 20] = [
    "+----+----++--++-++-",
    "-+----+---+++---+-++",
    "--+----+---+++-+-+-+",
    "---+----+---+++++-+-",
    "----+----++--++-++-+",
    "-+++++-----+--+++--+",
    "+-+++-+---+-+--+++--",
    "++-++--+---+-+--+++-",
    "+++-+---+---+-+--+++",
    "++++-----++--+-+--++",
    "--++-+-++-+-----++++",
    "---++-+-++-+---+-+++",
    "+---++-+-+--+--++-++",
    "++---++-+----+-+++-+",
    "-++---++-+----+++++-",
    "-+--+--++-+----+----",
    "+-+-----++-+----+---",
    "-+-+-+---+--+----+--",
    "--+-+++------+----+-",
    "+--+--++------+----+",
];

/// The matrix of order 28, as the reference package has it.
const H28: [&str; 28] = [
    "+------++----++-+--+-+--++--",
    "-+-----+++-----+-+--+-+--++-",
    "--+-----+++---+-+-+----+--++",
    "---+-----+++---+-+-+-+--+--+",
    "----+-----+++---+-+-+++--+--",
    "-----+-----++++--+-+--++--+-",
    "------++----++-+--+-+--++--+",
    "--++++-+-------++--+++-+--+-",
    "---++++-+-----+-++--+-+-+--+",
    "+---+++--+----++-++--+-+-+--",
    "++---++---+----++-++--+-+-+-",
    "+++---+----+----++-++--+-+-+",
    "++++--------+-+--++-++--+-+-",
    "-++++--------+++--++--+--+-+",
    "-+-++-++--++--+--------++++-",
    "+-+-++--+--++--+--------++++",
    "-+-+-++--+--++--+----+---+++",
    "+-+-+-++--+--+---+---++---++",
    "++-+-+-++--+------+--+++---+",
    "-++-+-+-++--+------+-++++---",
    "+-++-+---++--+------+-++++--",
    "-++--++-+-++-+++----++------",
    "+-++--++-+-++-+++-----+-----",
    "++-++---+-+-++-+++-----+----",
    "-++-++-+-+-+-+--+++-----+---",
    "--++-++++-+-+----+++-----+--",
    "+--++-+-++-+-+----+++-----+-",
    "++--++-+-++-+-+----++------+",
];

/// An element of a Hadamard matrix: that of a listed order times one of a power of two.
fn sign(size: usize, row: usize, column: usize) -> f64 {
    let listed = [(12, &H12[..]), (20, &H20[..]), (28, &H28[..])];
    for (order, rows) in listed {
        if size.is_multiple_of(order) && (size / order).is_power_of_two() {
            let rest = size / order;
            let plus = rows[row / rest].as_bytes()[column / rest] == b'+';
            let small = sign(rest, row % rest, column % rest);
            return if plus { small } else { -small };
        }
    }
    1.0 - 2.0 * f64::from((row & column).count_ones() % 2)
}

fn hadamard(args: &Args, x: &Tensor) -> Tensor {
    let size = x.shape.last().copied().unwrap_or(1);
    let scale = args.number("scale").unwrap_or(1.0 / (size as f64).sqrt());
    Tensor::build(x.dtype.to_inexact(), x.shape.clone(), |index| {
        let row = index.last().copied().unwrap_or(0);
        let mut at = index.to_vec();
        let sum: Complex<f64> = (0..size)
            .map(|column| {
                if let Some(last) = at.last_mut() {
                    *last = column;
                }
                x.at(&at).complex() * sign(size, row, column)
            })
            .sum();
        if x.dtype == Dtype::Complex64 {
            Value::Complex(sum * scale)
        } else {
            Value::Real(sum.re * scale)
        }
    })
}

/// The matrices with each block of 32 rows and columns times its element of a mask.
fn masked(x: &Tensor, mask: &Tensor) -> Tensor {
    Tensor::build(x.dtype, x.shape.clone(), |index| {
        let (rank, mut block) = (index.len(), index[index.len() - 2..].to_vec());
        for at in &mut block {
            *at /= 32;
        }
        let factor = mask.at(&block);
        let own = x.at(&index[..rank]).real();
        match factor {
            Value::Int(0) => Value::Real(0.0),
            Value::Int(_) => Value::Real(own),
            _ => Value::Real(own * factor.real()),
        }
    })
}

fn segmented(a: &Tensor, b: &Tensor, segments: &Tensor) -> Tensor {
    let (m, k, n) = (a.shape[0], a.shape[1], b.shape[1]);
    let mut shape = segments.shape[..segments.rank() - 1].to_vec();
    shape.extend([m, n]);
    Tensor::build(a.dtype.promote(b.dtype), shape, |index| {
        let (at, place) = index.split_at(index.len() - 2);
        let bound = |i: usize| segments.at(&[at, &[i]].concat()).int().clamp(0, k as i128) as usize;
        let products = (bound(0)..bound(1).max(bound(0)))
            .map(|l| a.at(&[place[0], l]).real() * b.at(&[l, place[1]]).real());
        Value::Real(products.sum())
    })
}

/// An operation with one result.
pub(super) fn blocks(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    match (op, inputs) {
        ("hadamard_transform", [x]) => Some(hadamard(args, x)),
        ("segmented_mm", [a, b, segments]) => Some(segmented(a, b, segments)),
        ("block_masked_mm", [a, b, masks @ ..]) => {
            let exact = |x: &Tensor| Tensor {
                dtype: Dtype::Float64,
                ..x.clone()
            };
            let mut masks = masks.iter();
            let mut mask = |name: &str, x: Tensor| -> Option<Tensor> {
                if args.has(name) {
                    Some(masked(&x, masks.next()?))
                } else {
                    Some(x)
                }
            };
            let (a, b) = (mask("lhs", a.clone())?, mask("rhs", b.clone())?);
            let product = mask("out", matmul(&exact(&a), &exact(&b)))?;
            Some(Tensor::new(
                a.dtype.promote(b.dtype),
                product.shape,
                product.values,
            ))
        }
        _ => None,
    }
}
