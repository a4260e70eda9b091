//! Owns the pseudo-inverse.

use serde::{Deserialize, Serialize};

use super::{OpInfo, identity_like, kinds, matrix, real, samples, transpose, transposed};
use crate::{
    Array, Dtype, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
};

const OP: &str = "linalg.pinv";

/// The Moore-Penrose inverse of matrices, from their singular values.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Tolerance};
/// use olivine_core::linalg::Pinv;
/// // With this cutoff, one of the two singular values counts as zero.
/// let y = Array::apply_one(Pinv { cutoff: 0.5 }, [array!([[4.0, 0.0], [0.0, 1.0]])])?;
/// let expected = array!([[0.25, 0.0], [0.0, 0.0]]);
/// assert!(y.allclose(expected, Tolerance::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Pinv {
    /// Singular values up to this part of the greatest count as zero.
    #[serde(with = "crate::graph::number")]
    pub cutoff: f64,
}

impl Pinv {
    /// The rule of matrices whose rank stays as it is (Golub and Pereyra, 1973).
    fn forward(a: &Array, inverse: &Array, tangents: &[Option<Array>]) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else { return Ok([None].into()) };
        let (rows, columns) = matrix(OP, a)?;
        let turned = transpose(tangent)?;
        let inner = inverse.matmul(tangent)?.matmul(inverse)?;
        let outside_rows = identity_like(a, rows)?.subtract(a.matmul(inverse)?)?;
        let outside_columns = identity_like(a, columns)?.subtract(inverse.matmul(a)?)?;
        let other = transpose(inverse)?;
        let left = inverse.matmul(&other)?.matmul(&turned)?.matmul(outside_rows)?;
        let right = outside_columns.matmul(&turned)?.matmul(&other)?.matmul(inverse)?;
        Ok([Some(left.add(right)?.subtract(inner)?)].into())
    }
}

crate::stored!(Pinv);

impl Primitive for Pinv {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let a = &inputs[0];
        let (rows, columns) = matrix(OP, a)?;
        let shape = a.shape().with_axis(a.ndim() - 2, columns).with_axis(a.ndim() - 1, rows);
        Ok([Spec::new(shape, a.dtype())].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, _| Self::forward(&vjp.inputs[0], &vjp.outputs[0], tangents))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Self::forward(&jvp.inputs[0], &jvp.outputs[0], jvp.tangents)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The Moore-Penrose pseudo-inverse of matrices of any shape and rank.
///
/// Singular values up to `10 max(rows, columns)` rounding steps of the greatest count as zero. The
/// gradient is that of matrices whose rank stays as it is.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let inverse = linalg::pinv(&array!([[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))?;
/// assert!(inverse.allclose(array!([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]), Default::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn pinv(a: &Array) -> Result<Array> {
    let wide = real(OP, a)?;
    let (rows, columns) = matrix(OP, a)?;
    let step = if wide.dtype() == Dtype::Float64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    let cutoff = 10.0 * rows.max(columns) as f64 * step;
    Array::apply_one(Pinv { cutoff }, [wide])?.astype(a.dtype())
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![samples::op(
        OP,
        "The pseudo-inverse of matrices.",
        "linalg.pinv(a)",
        kinds::FLOAT,
        || {
            let case = |shape: &[usize]| samples::on(shape, "", |a| Ok(vec![pinv(a)?]));
            vec![
                case(&[3, 3]),
                case(&[4, 2]),
                case(&[2, 3]),
                case(&[2, 3, 2]),
                case(&[1, 1]),
                case(&[0, 3]),
                case(&[0, 2, 2]),
            ]
        },
    )]
}
