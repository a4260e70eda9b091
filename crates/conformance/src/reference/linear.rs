//! Owns the reference of matrix products.

use num_complex::Complex;

use super::Args;
use crate::{Tensor, Value, tensor::broadcast};

/// A matrix product.
pub(super) fn linear(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    match (op, inputs) {
        ("matmul", [a, b]) => Some(match args.label() {
            "a.T @ b" => matmul(&a.transposed(&[1, 0]), b),
            "a @ b.T" => matmul(a, &b.transposed(&[1, 0])),
            _ => matmul(a, b),
        }),
        ("addmm", [c, a, b]) => {
            let (alpha, beta) = (
                args.number("alpha").unwrap_or(1.0),
                args.number("beta").unwrap_or(1.0),
            );
            let product = matmul(a, b);
            let dtype = product.dtype.promote(c.dtype);
            let shape = broadcast(&[&product.shape, &c.shape]);
            Some(Tensor::build(dtype, shape, |index| {
                let (product, c) = (
                    product.at_broadcast(index).complex(),
                    c.at_broadcast(index).complex(),
                );
                Value::Complex(product * alpha + c * beta)
            }))
        }
        _ => None,
    }
}

/// The matrix product by NumPy's rules for vectors and batches.
pub(super) fn matmul(a: &Tensor, b: &Tensor) -> Tensor {
    if a.rank() == 1 {
        let mut product = matmul(&a.reshaped([1, a.shape[0]]), b);
        let axis = product.rank() - if b.rank() == 1 { 1 } else { 2 };
        product.shape.remove(axis);
        return product;
    }
    if b.rank() == 1 {
        let mut product = matmul(a, &b.reshaped([b.shape[0], 1]));
        product.shape.pop();
        return product;
    }
    let (batch_a, rows) = a.shape.split_at(a.rank() - 2);
    let (batch_b, columns) = b.shape.split_at(b.rank() - 2);
    let (m, k, n) = (rows[0], rows[1], columns[1]);
    let mut shape = broadcast(&[batch_a, batch_b]);
    shape.extend([m, n]);
    let at = |x: &Tensor, batch: &[usize], i: usize, j: usize| {
        let own = &x.shape[..x.rank() - 2];
        let start = batch.len() - own.len();
        let place = own
            .iter()
            .zip(&batch[start..])
            .fold(0, |at, (&n, &i)| at * n + if n == 1 { 0 } else { i });
        x.values[(place * x.shape[x.rank() - 2] + i) * x.shape[x.rank() - 1] + j].complex()
    };
    let complex =
        a.dtype == olivine_core::Dtype::Complex64 || b.dtype == olivine_core::Dtype::Complex64;
    Tensor::build(a.dtype.promote(b.dtype), shape, |index| {
        let (batch, place) = index.split_at(index.len() - 2);
        let pairs = (0..k).map(|l| (at(a, batch, place[0], l), at(b, batch, l, place[1])));
        if complex {
            Value::Complex(pairs.map(|(a, b)| a * b).sum::<Complex<f64>>())
        } else {
            Value::Real(pairs.map(|(a, b)| a.re * b.re).sum())
        }
    })
}
