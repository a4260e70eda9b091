//! Owns the square root of symmetric matrices, which correlates random numbers.

use serde::{Deserialize, Serialize};

use super::{Triangle, eigh, eigh::hermitian, inverse_or_zero, square, transpose, transposed};
use crate::{
    Array, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// The symmetric matrices whose squares are the given positive semi-definite ones, of which the
/// lower triangle is read.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::SquareRoot;
/// let root = Array::apply_one(SquareRoot, [array!([[4.0, 0.0], [0.0, 9.0]])])?;
/// let expected = array!([[2.0, 0.0], [0.0, 3.0]]);
/// assert!(root.subtract(expected)?.abs()?.max(..)?.item::<f32>()? < 1e-5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SquareRoot;

impl SquareRoot {
    fn forward(input: &Array, tangents: &[Option<Array>]) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else { return Ok([None].into()) };
        let (values, vectors) = eigh(input, Triangle::Lower)?;
        let roots = values.abs()?.sqrt()?;
        let sums = roots.expand_dims(-1)?.add(roots.expand_dims(-2)?)?;
        let inner = transpose(&vectors)?.matmul(hermitian(tangent)?)?.matmul(&vectors)?;
        let inner = inner.multiply(inverse_or_zero(&sums)?)?;
        Ok([Some(vectors.matmul(inner)?.matmul(transpose(&vectors)?)?)].into())
    }
}

crate::stored!(SquareRoot);

impl Primitive for SquareRoot {
    fn name(&self) -> &'static str {
        "linalg.square_root"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        square(self.name(), &inputs[0])?;
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, _| Self::forward(&vjp.inputs[0], tangents))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Self::forward(&jvp.inputs[0], jvp.tangents)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}
