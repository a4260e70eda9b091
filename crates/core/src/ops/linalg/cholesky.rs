//! Owns the Cholesky decomposition and the inverse that it gives.

use serde::{Deserialize, Serialize};

use super::{OpInfo, kinds, real, samples, square, transpose, transposed, tri_inv};
use crate::{
    Array, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// The lower triangle L with `L L^T = a`, where the lower triangle of `a` is read.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::Cholesky;
/// let l = Array::apply_one(Cholesky, [array!([[4.0, 0.0], [2.0, 5.0]])])?;
/// assert_eq!(l.to_vec::<f32>()?, [2.0, 0.0, 1.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cholesky;

impl Cholesky {
    fn forward(l: &Array, tangents: &[Option<Array>]) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else { return Ok([None].into()) };
        // The matrix is symmetric: what is below the diagonal counts above it, too.
        let symmetric = tangent.tril(0)?.add(transpose(&tangent.tril(-1)?)?)?;
        let half = super::solve_triangular(l, &symmetric, false)?;
        let middle = super::solve_triangular(l, &transpose(&half)?, false)?;
        Ok([Some(l.matmul(half_diagonal(&middle)?)?)].into())
    }
}

/// The lower triangle with half of the diagonal.
fn half_diagonal(a: &Array) -> Result<Array> {
    a.tril(0)?.add(a.tril(-1)?)?.multiply(0.5)
}

crate::stored!(Cholesky);

impl Primitive for Cholesky {
    fn name(&self) -> &'static str {
        "linalg.cholesky"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        square(self.name(), &inputs[0])?;
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, _| Self::forward(&vjp.outputs[0], tangents))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Self::forward(&jvp.outputs[0], jvp.tangents)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The Cholesky factor of symmetric positive definite matrices: the lower triangle L with
/// `L L^T = a`, or with `upper` the upper triangle U with `U^T U = a`.
///
/// Only that triangle of `a` is read. Evaluation fails if a matrix is not positive definite.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let l = linalg::cholesky(&array!([[4.0, 2.0], [2.0, 5.0]]), false)?;
/// assert_eq!(l.to_vec::<f32>()?, [2.0, 0.0, 1.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn cholesky(a: &Array, upper: bool) -> Result<Array> {
    const OP: &str = "linalg.cholesky";
    square(OP, a)?;
    let matrix = real(OP, a)?;
    let factor = if upper {
        transpose(&Array::apply_one(Cholesky, [transpose(&matrix)?])?)?
    } else {
        Array::apply_one(Cholesky, [matrix])?
    };
    factor.astype(a.dtype())
}

/// The inverse of the matrices whose Cholesky factors are given: lower triangles, or with `upper`
/// upper ones.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let l = array!([[2.0, 0.0], [0.0, 4.0]]);
/// assert_eq!(linalg::cholesky_inv(&l, false)?.to_vec::<f32>()?, [0.25, 0.0, 0.0, 0.0625]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn cholesky_inv(factor: &Array, upper: bool) -> Result<Array> {
    let wide = real("linalg.cholesky_inv", factor)?;
    square("linalg.cholesky_inv", factor)?;
    let inverse = tri_inv(&wide, upper)?;
    let other = transpose(&inverse)?;
    let product = if upper { inverse.matmul(other)? } else { other.matmul(inverse)? };
    product.astype(factor.dtype())
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![
        samples::op(
            "linalg.cholesky",
            "The Cholesky factor of positive definite matrices.",
            "linalg.cholesky(a, upper=False)",
            kinds::FLOAT,
            || {
                let case = |shape: &[usize], label: &str, upper: bool| {
                    samples::on(shape, label, move |a| Ok(vec![cholesky(a, upper)?]))
                };
                vec![
                    case(&[3, 3], "", false),
                    case(&[3, 3], "upper", true),
                    case(&[2, 4, 4], "", false),
                    case(&[1, 1], "", false),
                    case(&[0, 0], "", false),
                    case(&[0, 3, 3], "upper", true),
                ]
            },
        ),
        samples::op(
            "linalg.cholesky_inv",
            "The inverse of matrices, from their Cholesky factors.",
            "linalg.cholesky_inv(a, upper=False)",
            kinds::FLOAT,
            || {
                let case = |shape: &[usize], label: &str, upper: bool| {
                    samples::on(shape, label, move |a| Ok(vec![cholesky_inv(a, upper)?]))
                };
                vec![
                    case(&[3, 3], "", false),
                    case(&[3, 3], "upper", true),
                    case(&[2, 2, 2], "", false),
                    case(&[0, 0], "", false),
                ]
            },
        ),
    ]
}
