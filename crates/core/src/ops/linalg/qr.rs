//! Owns the QR decomposition.

use serde::{Deserialize, Serialize};

use super::{OpInfo, kinds, matrix, real, samples, solve_triangular, transpose, transposed, when};
use crate::{
    Array, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
};

/// Q and R with `Q R = a`: Q has orthonormal columns, R is an upper triangle.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::Qr;
/// let outputs = Array::apply(Qr, [array!([[3.0], [4.0]])])?;
/// assert!((outputs[1].item::<f32>()?.abs() - 5.0).abs() < 1e-5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Qr;

impl Qr {
    fn forward(
        outputs: &[Array],
        tangents: &[Option<Array>],
        needed: &[bool],
    ) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else { return Ok([None, None].into_iter().collect()) };
        let (q, r) = (&outputs[0], &outputs[1]);
        let (rows, rank) = matrix("linalg.qr", q)?;
        // What the first columns decide: the rest of R follows.
        let last = r.ndim() - 1;
        let (head, along) = (r.narrow(last, 0, rank), tangent.narrow(last, 0, rank));
        let scaled = solve_triangular(&transpose(&head)?, &transpose(&along)?, false)?;
        let scaled = transpose(&scaled)?;
        let within = transpose(q)?.matmul(&scaled)?;
        let below = within.tril(-1)?;
        let turn = below.subtract(transpose(&below)?)?;
        let of_q = when(needed[0], || {
            let inside = q.matmul(&turn)?;
            if rows == rank {
                return Ok(inside);
            }
            inside.add(scaled.subtract(q.matmul(&within)?)?)
        })?;
        let of_r = when(needed[1], || {
            transpose(q)?.matmul(tangent)?.subtract(turn.matmul(r)?)?.triu(0)
        })?;
        Ok([of_q, of_r].into_iter().collect())
    }
}

crate::stored!(Qr);

impl Primitive for Qr {
    fn name(&self) -> &'static str {
        "linalg.qr"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let a = &inputs[0];
        let (rows, columns) = matrix(self.name(), a)?;
        let (rank, small) = (a.ndim(), rows.min(columns));
        let q = Spec::new(a.shape().with_axis(rank - 1, small), a.dtype());
        let r = Spec::new(a.shape().with_axis(rank - 2, small), a.dtype());
        Ok([q, r].into_iter().collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, needed| Self::forward(vjp.outputs, tangents, needed))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Self::forward(jvp.outputs, jvp.tangents, &[true, true])
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The QR decomposition: Q with orthonormal columns and an upper triangle R, with `Q R = a`.
///
/// Q has as many columns, and R as many rows, as the smaller side of `a`. Signs are those of
/// Householder's method, as in LAPACK. The gradient is that of matrices whose first columns are
/// independent; where they are not there is none, and evaluating it fails.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let (q, r) = linalg::qr(&array!([[3.0, 1.0], [4.0, 2.0]]))?;
/// assert!((r.take(&array!([0]), 0)?.to_vec::<f32>()?[0] + 5.0).abs() < 1e-5);
/// let again = q.matmul(&r)?;
/// assert!(again.allclose(array!([[3.0, 1.0], [4.0, 2.0]]), Default::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn qr(a: &Array) -> Result<(Array, Array)> {
    let found = Array::apply(Qr, [real("linalg.qr", a)?])?;
    Ok((found[0].astype(a.dtype())?, found[1].astype(a.dtype())?))
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![samples::op(
        "linalg.qr",
        "An orthonormal basis and a triangle whose product is the matrix.",
        "linalg.qr(a)",
        kinds::FLOAT,
        || {
            let case = |shape: &[usize]| {
                samples::on(shape, "", |a| {
                    let (q, r) = qr(a)?;
                    Ok(vec![q, r])
                })
            };
            vec![
                case(&[3, 3]),
                case(&[5, 3]),
                case(&[2, 4]),
                case(&[2, 3, 2]),
                case(&[1, 1]),
                case(&[0, 3]),
                case(&[3, 0]),
                case(&[0, 2, 2]),
            ]
        },
    )]
}
