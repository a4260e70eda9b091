//! Owns linear algebra: decompositions, systems of equations, determinants and norms.
//!
//! All functions work on the matrices in the last two axes; the axes before them are batches. They
//! take `float32` and `float64`, some `complex64` too; halves are computed in `float32`. A matrix that
//! holds an infinity or NaN gives NaN everywhere. Where a matrix has no result, because it is singular
//! or not positive definite, evaluation fails with [`Error::Argument`](crate::Error::Argument).
//!
//! ```
//! # use olivine_cpu as _;
//! use olivine_core::{array, linalg};
//! let a = array!([[4.0, 2.0], [2.0, 3.0]]);
//! let x = linalg::solve(&a, &array!([2.0, -1.0]))?;
//! assert!(a.matmul(&x)?.allclose(array!([2.0, -1.0]), Default::default())?.item::<bool>()?);
//! # Ok::<(), olivine_core::Error>(())
//! ```

mod cholesky;
mod cross;
mod determinant;
mod eig;
mod eigh;
mod lu;
mod norm;
mod pinv;
mod qr;
mod samples;
mod solve;
mod square_root;
mod svd;

pub use cholesky::{Cholesky, cholesky, cholesky_inv};
pub use cross::cross;
pub use determinant::{Cofactors, Determinant, SignedLogDeterminant, det, slogdet};
pub use eig::{Eig, eig, eigvals};
pub use eigh::{Eigh, Triangle, eigh, eigvalsh};
pub use lu::{Lu, lu, lu_factor};
pub use norm::{Order, norm};
pub use pinv::{Pinv, pinv};
pub use qr::{Qr, qr};
pub(in crate::ops) use samples::graded;
pub use solve::{Inverse, Solve, SolveTriangular, inv, solve, solve_triangular, tri_inv};
pub use square_root::SquareRoot;
pub use svd::{Svd, svd, svdvals};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Error, Result,
    graph::{Gradients, Tangents, Vjp},
};

/// The numbers of rows and columns.
fn matrix(op: &'static str, a: &Array) -> Result<(usize, usize)> {
    if let [.., rows, columns] = a.shape()[..] {
        return Ok((rows, columns));
    }
    let reason = format!("it takes matrices, and the shape {} has no two axes", a.shape());
    Err(Error::Shape { op, reason })
}

/// The number of rows of square matrices.
fn square(op: &'static str, a: &Array) -> Result<usize> {
    let (rows, columns) = matrix(op, a)?;
    if rows != columns {
        let reason = format!("it takes square matrices, not those of shape {}", a.shape());
        return Err(Error::Shape { op, reason });
    }
    Ok(rows)
}

/// The matrices in a dtype that has decompositions.
fn real(op: &'static str, a: &Array) -> Result<Array> {
    if !a.dtype().is_float() {
        let reason = "it takes real floating-point matrices; convert with astype first";
        return Err(Error::Dtype { op, dtype: a.dtype(), reason });
    }
    inexact(op, a)
}

/// As [`real`], but complex matrices stay what they are.
fn inexact(op: &'static str, a: &Array) -> Result<Array> {
    match a.dtype() {
        Dtype::Float16 | Dtype::BFloat16 => a.astype(Dtype::Float32),
        Dtype::Float32 | Dtype::Float64 | Dtype::Complex64 => Ok(a.clone()),
        dtype => {
            let reason = "it takes floating-point or complex matrices; convert with astype first";
            Err(Error::Dtype { op, dtype, reason })
        }
    }
}

/// The dtype of magnitudes of `dtype`.
const fn magnitude(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::Complex64 => Dtype::Float32,
        _ => dtype,
    }
}

/// The transposed matrices.
fn transpose(a: &Array) -> Result<Array> {
    a.swapaxes(-1, -2)
}

/// The conjugate transposes of matrices that are constants to a rule.
fn adjoint(a: &Array) -> Result<Array> {
    let a = transpose(a)?;
    if a.dtype() == Dtype::Complex64 { a.conjugate() } else { Ok(a) }
}

/// The complex conjugate, built from operations whose reverse rules are transposes.
fn conjugate(z: &Array) -> Result<Array> {
    if z.dtype() == Dtype::Complex64 {
        z.real()?.multiply(2.0)?.subtract(z)
    } else {
        Ok(z.clone())
    }
}

/// The sum of a matrix and its conjugate transpose.
fn plus_adjoint(a: &Array) -> Result<Array> {
    a.add(conjugate(&transpose(a)?)?)
}

/// The identity of `n` rows in the dtype of `a`.
fn identity_like(a: &Array, n: usize) -> Result<Array> {
    Array::identity(n, a.dtype())
}

/// `1 / (values[j] - values[i])` in row i and column j, and zero where the two are equal: there the
/// vectors that belong to them are arbitrary, and no sound use of them depends on the choice.
fn inverse_gaps(values: &Array) -> Result<Array> {
    let gaps = values.expand_dims(-2)?.subtract(values.expand_dims(-1)?)?;
    inverse_or_zero(&gaps)
}

/// The reciprocal, and zero for zero.
fn inverse_or_zero(x: &Array) -> Result<Array> {
    let zero = x.equal(0)?;
    zero.select(0, zero.select(1, x)?.reciprocal()?)
}

/// The gradients of an operation by its forward-mode rule, of which reverse mode is the transpose.
///
/// `forward` gets the tangents of the wanted inputs, and for each output whether it is needed.
fn transposed(
    vjp: &Vjp,
    forward: impl FnOnce(&[Option<Array>], &[bool]) -> Result<Tangents>,
) -> Result<Gradients> {
    let needed: Vec<bool> = vjp.cotangents.iter().map(Option::is_some).collect();
    let primals: Vec<Array> = (vjp.inputs.iter().zip(vjp.wanted))
        .filter(|(_, wanted)| **wanted)
        .map(|(input, _)| Array::zeros(input.shape(), input.dtype()))
        .collect::<Result<_>>()?;
    let cotangents: Vec<Array> = vjp.cotangents.iter().flatten().cloned().collect();
    let function = |tangents: &[Array]| {
        let mut tangents = tangents.iter().cloned();
        let inputs: Vec<Option<Array>> = (vjp.wanted.iter())
            .map(|&wanted| if wanted { tangents.next() } else { None })
            .collect();
        let outputs = forward(&inputs, &needed)?.into_iter().zip(vjp.outputs).zip(&needed);
        let needed = outputs.filter(|(_, needed)| **needed);
        needed
            .map(|((tangent, output), _)| match tangent {
                Some(tangent) => Ok(tangent),
                None => Array::zeros(output.shape(), output.dtype()),
            })
            .collect()
    };
    let (_, gradients) = crate::transforms::pull_back(function, &primals, &cotangents)?;
    let mut gradients = gradients.into_iter();
    let per_input = vjp.wanted.iter();
    Ok(per_input.map(|&wanted| if wanted { gradients.next() } else { None }).collect())
}

/// What `make` builds, if it is needed.
fn when(needed: bool, make: impl FnOnce() -> Result<Array>) -> Result<Option<Array>> {
    if needed { make().map(Some) } else { Ok(None) }
}

pub(super) fn ops() -> Vec<OpInfo> {
    [
        cholesky::ops(),
        cross::ops(),
        determinant::ops(),
        eig::ops(),
        eigh::ops(),
        lu::ops(),
        norm::ops(),
        pinv::ops(),
        qr::ops(),
        solve::ops(),
        svd::ops(),
    ]
    .concat()
}
