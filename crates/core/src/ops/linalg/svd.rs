//! Owns the singular value decomposition.

use serde::{Deserialize, Serialize};

use super::{
    OpInfo, adjoint, conjugate, inexact, inverse_gaps, inverse_or_zero, kinds, magnitude, matrix,
    plus_adjoint, samples, transpose, transposed, when,
};
use crate::{
    Array, Complex64, Dtype, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
    stop_gradient,
};

const OP: &str = "linalg.svd";

/// The singular values of matrices, greatest first. With vectors, the left ones come before them as
/// columns and the right ones after them as rows, both in square matrices.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Tolerance};
/// use olivine_core::linalg::Svd;
/// let a = array!([[0.0, 2.0], [1.0, 0.0]]);
/// assert_eq!(Array::apply(Svd { vectors: true }, [a.clone()])?.len(), 3);
/// let values = Array::apply_one(Svd { vectors: false }, [a])?;
/// assert!(values.allclose(array!([2.0, 1.0]), Tolerance::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Svd {
    /// Whether vectors are wanted.
    pub vectors: bool,
}

impl Svd {
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
            let found = Array::apply(Svd { vectors: true }, [input.clone()])?;
            let all = Svd { vectors: true };
            let tangents = all.forward(input, &found, tangents, &[false, true, false])?;
            return Ok([tangents[1].clone()].into());
        }
        let (u, s, vt) = (&outputs[0], &outputs[1], &outputs[2]);
        let (rows, columns) = matrix(OP, input)?;
        let v = adjoint(vt)?;
        // The tangent in the bases of the vectors.
        let inner = adjoint(u)?.matmul(tangent)?.matmul(&v)?;
        let of_values = when(needed[1], || inner.diagonal(0, -2, -1)?.real())?;
        // Squares of singular values, with zeros where a side has more vectors than values.
        let padded = |size: usize| -> Result<Array> {
            let mut widths = vec![(0, 0); s.ndim()];
            widths[s.ndim() - 1].1 = size - rows.min(columns);
            s.pad(&widths, 0.0)
        };
        // Complex vectors may turn by a phase; both sides take half of what the values cannot.
        let phases = |sign: f32| -> Result<Option<Array>> {
            if input.dtype() != Dtype::Complex64 {
                return Ok(None);
            }
            let diagonal = inner.diagonal(0, -2, -1)?;
            let imaginary = diagonal.multiply(Array::scalar(Complex64::new(0.0, -1.0)))?.real()?;
            let turn = imaginary.multiply(inverse_or_zero(s)?)?;
            Ok(Some(turn.multiply(Array::scalar(Complex64::new(0.0, 0.5 * sign)))?))
        };
        let turned = |vectors: &Array, size: usize, numerator: Array, sign: f32| {
            let squares = padded(size)?.square()?;
            let mut turn = plus_adjoint(&numerator)?.multiply(inverse_gaps(&squares)?)?;
            if let Some(phases) = phases(sign)? {
                let mut widths = vec![(0, 0); phases.ndim()];
                widths[phases.ndim() - 1].1 = size - rows.min(columns);
                let phases = phases.pad(&widths, 0.0)?.expand_dims(-1)?;
                turn = turn.add(phases.multiply(Array::identity(size, s.dtype())?)?)?;
            }
            vectors.matmul(turn)
        };
        // The products of the tangent with the transposed matrix of singular values.
        let of_u = when(needed[0], || {
            let small = inner.narrow(inner.ndim() - 1, 0, rows.min(columns));
            let scaled = small.multiply(s.expand_dims(-2)?)?;
            let mut widths = vec![(0, 0); scaled.ndim()];
            widths[scaled.ndim() - 1].1 = rows - rows.min(columns);
            turned(u, rows, scaled.pad(&widths, 0.0)?, 1.0)
        })?;
        let of_vt = when(needed[2], || {
            let small = inner.narrow(inner.ndim() - 2, 0, rows.min(columns));
            let scaled = small.multiply(s.expand_dims(-1)?)?;
            let mut widths = vec![(0, 0); scaled.ndim()];
            widths[scaled.ndim() - 2].1 = columns - rows.min(columns);
            let of_v = turned(&v, columns, scaled.pad(&widths, 0.0)?, -1.0)?;
            conjugate(&transpose(&of_v)?)
        })?;
        Ok([of_u, of_values, of_vt].into_iter().collect())
    }
}

crate::stored!(Svd);

impl Primitive for Svd {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let a = &inputs[0];
        let (rows, columns) = matrix(OP, a)?;
        let rank = a.ndim();
        let values = a.shape().without_axis(rank - 1).with_axis(rank - 2, rows.min(columns));
        let values = Spec::new(values, magnitude(a.dtype()));
        if !self.vectors {
            return Ok([values].into());
        }
        let left = Spec::new(a.shape().with_axis(rank - 1, rows), a.dtype());
        let right = Spec::new(a.shape().with_axis(rank - 2, columns), a.dtype());
        Ok([left, values, right].into_iter().collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, needed| {
            self.forward(&vjp.inputs[0], vjp.outputs, tangents, needed)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        self.forward(&jvp.inputs[0], jvp.outputs, jvp.tangents, &[true; 3])
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The singular value decomposition U, S, Vt of real or complex matrices: `U diag(S) Vt = a`.
///
/// U and Vt are square, with vectors as the columns of U and the rows of Vt; S holds the singular
/// values, greatest first. Vectors are determined up to their sign, or phase, and those of equal
/// values up to a rotation among them; the gradient is right for whatever does not depend on that
/// choice.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let (u, s, vt) = linalg::svd(&array!([[0.0, 2.0], [1.0, 0.0]]))?;
/// assert!(s.allclose(array!([2.0, 1.0]), Default::default())?.item::<bool>()?);
/// let again = u.multiply(&s)?.matmul(&vt)?;
/// assert!(again.subtract(array!([[0.0, 2.0], [1.0, 0.0]]))?.abs()?.max(..)?.item::<f32>()? < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn svd(a: &Array) -> Result<(Array, Array, Array)> {
    let found = Array::apply(Svd { vectors: true }, [inexact(OP, a)?])?;
    let of = |i: usize, dtype| found[i].astype(dtype);
    Ok((of(0, a.dtype())?, of(1, magnitude(a.dtype()))?, of(2, a.dtype())?))
}

/// The singular values of real or complex matrices, greatest first, without vectors.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let s = linalg::svdvals(&array!([[3.0, 0.0, 0.0], [0.0, -4.0, 0.0]]))?;
/// assert!(s.allclose(array!([4.0, 3.0]), Default::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn svdvals(a: &Array) -> Result<Array> {
    let found = Array::apply_one(Svd { vectors: false }, [inexact(OP, a)?])?;
    found.astype(magnitude(a.dtype()))
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![samples::op(
        OP,
        "Singular values, and orthonormal vectors on both sides.",
        "linalg.svd(a, compute_uv=True)",
        kinds::INEXACT,
        || {
            let values = |shape: &[usize]| {
                samples::on(shape, "compute_uv=False", |a| Ok(vec![svdvals(a)?]))
            };
            // Divided by the direction of the greatest element on the left, vectors are unique.
            let vectors = |shape: &[usize]| {
                samples::on(shape, "", |a| {
                    let (u, s, vt) = svd(a)?;
                    let small = s.shape()[s.ndim() - 1];
                    let last = u.ndim() - 1;
                    let (left, right) = (u.narrow(last, 0, small), vt.narrow(last - 1, 0, small));
                    let peak = stop_gradient(&left.abs()?.argmax(crate::keep(-2))?)?;
                    let turn = left.take_along_axis(&peak, -2)?.sign()?;
                    Ok(vec![
                        left.multiply(turn.conjugate()?)?,
                        s,
                        right.multiply(transpose(&turn)?)?,
                    ])
                })
            };
            // Vectors beyond the singular values span what is left: their projection is unique.
            let rest = |shape: &[usize]| {
                samples::on(shape, "projections", |a| {
                    let (u, s, vt) = svd(a)?;
                    let small = s.shape()[s.ndim() - 1];
                    let last = u.ndim() - 1;
                    let left = u.narrow(last, small, u.shape()[last]);
                    let right = vt.narrow(last - 1, small, vt.shape()[last]);
                    Ok(vec![left.matmul(adjoint(&left)?)?, adjoint(&right)?.matmul(right)?])
                })
            };
            vec![
                values(&[3, 3]),
                values(&[2, 4, 2]),
                values(&[0, 3]),
                values(&[0, 2, 2]),
                vectors(&[3, 3]),
                vectors(&[4, 2]),
                vectors(&[2, 2, 3]),
                vectors(&[1, 1]),
                rest(&[4, 2]),
                rest(&[2, 5]),
                rest(&[0, 2]),
            ]
        },
    )]
}
