//! Owns eigenvalues and eigenvectors of symmetric and Hermitian matrices.

use serde::{Deserialize, Serialize};

use super::{
    OpInfo, adjoint, identity_like, inexact, inverse_gaps, kinds, magnitude, plus_adjoint, samples,
    square, transposed, when,
};
use crate::{
    Array, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
};

const OP: &str = "linalg.eigh";

/// One half of a matrix, with the diagonal.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::linalg::{self, Triangle};
/// // What lies in the other triangle does not count.
/// let a = array!([[1.0, 100.0], [0.0, 1.0]]);
/// assert_eq!(linalg::eigvalsh(&a, Triangle::Lower)?.to_vec::<f32>()?, [1.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Triangle {
    /// On and below the diagonal.
    #[default]
    Lower,
    /// On and above the diagonal.
    Upper,
}

/// The eigenvalues of symmetric or Hermitian matrices in ascending order, and with vectors those as
/// columns. The lower triangle is read.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Tolerance};
/// use olivine_core::linalg::Eigh;
/// let values = Array::apply_one(Eigh { vectors: false }, [array!([[2.0, 0.0], [0.0, 1.0]])])?;
/// assert!(values.allclose(array!([1.0, 2.0]), Tolerance::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Eigh {
    /// Whether vectors are wanted.
    pub vectors: bool,
}

/// What a lower triangle stands for: a symmetric or Hermitian matrix. It is linear.
pub(super) fn hermitian(a: &Array) -> Result<Array> {
    let diagonal = a.multiply(identity_like(a, a.shape()[a.ndim() - 1])?)?;
    plus_adjoint(&a.tril(-1)?.add(diagonal.multiply(0.5)?)?)
}

impl Eigh {
    fn forward(
        self,
        input: &Array,
        outputs: &[Array],
        tangents: &[Option<Array>],
        needed: &[bool],
    ) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else {
            return Ok(outputs.iter().map(|_| None).collect());
        };
        if !self.vectors {
            let all = Eigh { vectors: true };
            let found = Array::apply(all, [input.clone()])?;
            let tangents = all.forward(input, &found, tangents, &[true, false])?;
            return Ok([tangents[0].clone()].into());
        }
        let (values, vectors) = (&outputs[0], &outputs[1]);
        let inner = adjoint(vectors)?.matmul(hermitian(tangent)?)?.matmul(vectors)?;
        let of_values = when(needed[0], || inner.diagonal(0, -2, -1)?.real())?;
        let of_vectors =
            when(needed[1], || vectors.matmul(inner.multiply(inverse_gaps(values)?)?))?;
        Ok([of_values, of_vectors].into_iter().collect())
    }
}

crate::stored!(Eigh);

impl Primitive for Eigh {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let a = &inputs[0];
        square(OP, a)?;
        let values = Spec::new(a.shape().without_axis(a.ndim() - 1), magnitude(a.dtype()));
        let vectors = self.vectors.then(|| a.spec().clone());
        Ok([values].into_iter().chain(vectors).collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, needed| {
            self.forward(&vjp.inputs[0], vjp.outputs, tangents, needed)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        self.forward(&jvp.inputs[0], jvp.outputs, jvp.tangents, &[true, true])
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The matrices whose lower triangle says what the chosen triangle of `a` says.
fn lowered(op: &'static str, a: &Array, triangle: Triangle) -> Result<Array> {
    let a = inexact(op, a)?;
    square(op, &a)?;
    match triangle {
        Triangle::Lower => Ok(a),
        Triangle::Upper => super::conjugate(&super::transpose(&a)?),
    }
}

/// The eigenvalues, in ascending order, and eigenvectors, as columns of length one, of symmetric or
/// Hermitian matrices.
///
/// One triangle of each matrix is read; the gradient lies in that triangle. Vectors are determined up
/// to their sign, or phase, and those of equal values up to a rotation among them; the gradient is
/// right for whatever does not depend on that choice.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg, linalg::Triangle};
/// let a = array!([[1.0, -2.0], [-2.0, 1.0]]);
/// let (values, vectors) = linalg::eigh(&a, Triangle::Lower)?;
/// assert!(values.allclose(array!([-1.0, 3.0]), Default::default())?.item::<bool>()?);
/// let difference = a.matmul(&vectors)?.subtract(vectors.multiply(&values)?)?;
/// assert!(difference.abs()?.max(..)?.item::<f32>()? < 1e-5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn eigh(a: &Array, triangle: Triangle) -> Result<(Array, Array)> {
    let found = Array::apply(Eigh { vectors: true }, [lowered(OP, a, triangle)?])?;
    Ok((found[0].astype(magnitude(a.dtype()))?, found[1].astype(a.dtype())?))
}

/// The eigenvalues of symmetric or Hermitian matrices in ascending order. One triangle is read.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg, linalg::Triangle};
/// let values = linalg::eigvalsh(&array!([[1.0, -2.0], [-2.0, 1.0]]), Triangle::Upper)?;
/// assert!(values.allclose(array!([-1.0, 3.0]), Default::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn eigvalsh(a: &Array, triangle: Triangle) -> Result<Array> {
    let a_lowered = lowered("linalg.eigvalsh", a, triangle)?;
    let found = Array::apply_one(Eigh { vectors: false }, [a_lowered])?;
    found.astype(magnitude(a.dtype()))
}

pub(super) fn ops() -> Vec<OpInfo> {
    const TRIANGLES: [(&str, Triangle); 2] =
        [("UPLO=L", Triangle::Lower), ("UPLO=U", Triangle::Upper)];
    const SHAPES: [&[usize]; 5] = [&[3, 3], &[2, 4, 4], &[1, 1], &[0, 0], &[0, 2, 2]];
    fn cases(call: fn(&Array, Triangle) -> Result<Vec<Array>>) -> Vec<crate::ops::Sample> {
        let each = TRIANGLES.iter().flat_map(|&(label, triangle)| {
            let case = move |shape: &&[usize]| samples::on(shape, label, move |a| call(a, triangle));
            SHAPES.iter().map(case)
        });
        each.collect()
    }
    vec![
        samples::op(
            OP,
            "Eigenvalues and eigenvectors of symmetric or Hermitian matrices.",
            "linalg.eigh(a, UPLO='L')",
            kinds::INEXACT,
            || {
                cases(|a, triangle| {
                    let (values, vectors) = eigh(a, triangle)?;
                    let turn = samples::directions(&vectors)?.expand_dims(-2)?;
                    Ok(vec![values, vectors.multiply(turn)?])
                })
            },
        ),
        samples::op(
            "linalg.eigvalsh",
            "Eigenvalues of symmetric or Hermitian matrices.",
            "linalg.eigvalsh(a, UPLO='L')",
            kinds::INEXACT,
            || cases(|a, triangle| Ok(vec![eigvalsh(a, triangle)?])),
        ),
    ]
}
