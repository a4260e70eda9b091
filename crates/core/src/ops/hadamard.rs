//! Owns the Walsh–Hadamard transform, as products with small matrices of ones and minus ones.

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Dtype, Error, Result, Shape};

const OP: &str = "hadamard_transform";

/// The first rows of the blocks of the matrices of order 20 and 28: four by four circulant blocks.
const CIRCULANT: [[&[u8]; 4]; 2] = [
    [
        b"+----+----++--++-++-",
        b"-+++++-----+--+++--+",
        b"--++-+-++-+-----++++",
        b"-+--+--++-+----+----",
    ],
    [
        b"+------++----++-+--+-+--++--",
        b"--++++-+-------++--+++-+--+-",
        b"-+-++-++--++--+--------++++-",
        b"-++--++-+-++-+++----++------",
    ],
];

/// An element of the Hadamard matrix of order 12, 20 or 28.
fn element(order: usize, row: usize, column: usize) -> bool {
    if order == 12 {
        // Paley's second construction, from the squares modulo 5.
        let (i, j) = (row / 2, column / 2);
        if i == j {
            return row.is_multiple_of(2) && column.is_multiple_of(2);
        }
        let square = i == 0 || j == 0 || matches!((i + 5 - j) % 5, 1 | 4);
        return square != (row % 2 == 1 && column % 2 == 1);
    }
    let size = order / 4;
    let first = CIRCULANT[usize::from(order == 28)][row / size];
    let turn = (column % size + size - row % size) % size;
    first[column / size * size + turn] == b'+'
}

/// The matrix of an order that is a power of two, or 12, 20 or 28.
fn matrix(order: usize, dtype: Dtype) -> Result<Array> {
    let sign = |at: usize| {
        let (row, column) = (at / order, at % order);
        let plus = if order.is_power_of_two() {
            (row & column).count_ones().is_multiple_of(2)
        } else {
            element(order, row, column)
        };
        if plus { 1.0f32 } else { -1.0 }
    };
    let signs: Vec<f32> = (0..order * order).map(sign).collect();
    Array::from_slice(&signs, [order, order])?.astype(dtype)
}

/// The orders of small matrices whose Kronecker product has order `size`, largest step first.
fn factors(size: usize) -> Option<Vec<usize>> {
    let odd = [1, 12, 20, 28].into_iter().find(|&m| size.is_multiple_of(m) && (size / m).is_power_of_two())?;
    let mut power = size / odd;
    let mut factors: Vec<usize> = Vec::new();
    factors.extend((odd > 1).then_some(odd));
    while power > 1 {
        let factor = power.min(64);
        factors.push(factor);
        power /= factor;
    }
    Some(factors)
}

impl Array {
    /// The Walsh–Hadamard transform of the last axis, times `scale`: with `None`, one over the root
    /// of its size, which makes it orthonormal.
    ///
    /// The size is `m` times a power of two, `m` one of 1, 12, 20 and 28. Integers become
    /// `float32`; halves are summed in it.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [4])?;
    /// assert_eq!(x.hadamard_transform(Some(1.0))?.to_vec::<f32>()?, [10.0, -2.0, -4.0, 0.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn hadamard_transform(&self, scale: Option<f32>) -> Result<Array> {
        let dtype = self.dtype().to_inexact();
        let size = self.shape().last().copied().unwrap_or(1);
        let Some(factors) = factors(size) else {
            let reason = format!("size {size} is not m * 2^k with m of 1, 12, 20 and 28");
            return Err(Error::Shape { op: OP, reason });
        };
        let wide = dtype.promote(Dtype::Float32);
        let mut x = self.astype(wide)?;
        // The matrix is the Kronecker product of the factors': each transforms an axis of its own.
        let mut inner = size;
        for factor in factors {
            inner /= factor;
            let rows = self.size() / (factor * inner).max(1);
            let h = matrix(factor, wide)?;
            x = if inner == 1 {
                x.reshape_to(Shape::from([rows, factor])).matmul(h.transpose(..)?)?
            } else {
                h.matmul(x.reshape_to(Shape::from([rows, factor, inner])))?
            };
        }
        let scale = scale.map_or_else(|| 1.0 / (size as f64).sqrt(), f64::from);
        x.reshape_to(self.shape().clone()).multiply(scale)?.astype(dtype)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: OP,
        doc: "The Walsh–Hadamard transform of the last axis.",
        signature: "hadamard_transform(a, scale=None)",
        family: Family::Linear,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            let case = |shape: &[usize], scale: Option<f32>| {
                let label = scale.map_or(String::new(), |scale| format!("scale={scale}"));
                Sample::new(label, [Input::any(shape)], move |x| x[0].hadamard_transform(scale))
            };
            vec![
                case(&[3, 4], None),
                case(&[2, 12], Some(0.5)),
                case(&[1, 20], None),
                case(&[56], None),
                case(&[2, 128], Some(0.125)),
                case(&[2, 2, 2], Some(1.0)),
                case(&[3, 1], None),
                case(&[], Some(2.0)),
                case(&[0, 8], None),
                case(&[2, 24], None),
            ]
        },
    }]
}
