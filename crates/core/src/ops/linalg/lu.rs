//! Owns the LU decomposition.

use serde::{Deserialize, Serialize};

use super::{
    OpInfo, identity_like, kinds, matrix, real, samples, solve_triangular, transpose, transposed,
};
use crate::{
    Array, Dtype, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
};

const OP: &str = "linalg.lu";

/// The triangular factors of matrices with rows in another order: L without its ones below the
/// diagonal and U on and above it; the exchange made at each column; and which row each one was.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::Lu;
/// let outputs = Array::apply(Lu, [array!([[1.0, 2.0], [2.0, 8.0]])])?;
/// assert_eq!(outputs[0].to_vec::<f32>()?, [2.0, 8.0, 0.5, -2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Lu;

impl Lu {
    fn forward(outputs: &[Array], tangents: &[Option<Array>]) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else { return Ok([None, None, None].into_iter().collect()) };
        let (factors, order) = (&outputs[0], &outputs[2]);
        let (rows, columns) = matrix(OP, factors)?;
        let (last, small) = (factors.ndim() - 1, rows.min(columns));
        // Both triangles are completed to squares by ones on the diagonal.
        let grown = |part: Array, axis: usize, size: usize| {
            let mut widths = vec![(0, 0); part.ndim()];
            widths[axis].1 = size - small;
            part.pad(&widths, 0.0)
        };
        let lower = grown(factors.narrow(last, 0, small).tril(-1)?, last, rows)?;
        let lower = lower.add(identity_like(factors, rows)?)?;
        let beyond = Array::arange::<i32>(0, columns as i32, 1)?.greater_equal(small as i32)?;
        let beyond = identity_like(factors, columns)?.multiply(beyond)?;
        let upper = grown(factors.narrow(last - 1, 0, small).triu(0)?, last - 1, columns)?;
        let upper = upper.add(beyond)?;
        let order = order.expand_dims(-1)?.broadcast_shape(tangent.shape());
        let moved = tangent.take_along_axis(&order, -2)?;
        let half = solve_triangular(&lower, &moved, false)?;
        let inner = solve_triangular(&transpose(&upper)?, &transpose(&half)?, false)?;
        let inner = transpose(&inner)?;
        let along = lower.matmul(inner.tril(-1)?)?.tril(-1)?;
        let along = along.add(inner.triu(0)?.matmul(&upper)?.triu(0)?)?;
        Ok([Some(along), None, None].into_iter().collect())
    }
}

crate::stored!(Lu);

impl Primitive for Lu {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let a = &inputs[0];
        let (rows, columns) = matrix(OP, a)?;
        let rank = a.ndim();
        let vector = |size: usize| {
            let shape = a.shape().without_axis(rank - 1).with_axis(rank - 2, size);
            Spec::new(shape, Dtype::Uint32)
        };
        Ok([a.spec().clone(), vector(rows.min(columns)), vector(rows)].into_iter().collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, _| Self::forward(vjp.outputs, tangents))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Self::forward(jvp.outputs, jvp.tangents)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The LU decomposition P, L, U: a lower triangle L with ones on the diagonal and an upper triangle
/// U, and for each row of `a` which row of `L U` it is, so that `a = L[P, :] U`.
///
/// The gradient takes the order of rows as it is. It needs the first columns to be independent; if
/// they are not, evaluating it fails.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let (p, l, u) = linalg::lu(&array!([[1.0, 2.0], [2.0, 8.0]]))?;
/// assert_eq!(p.to_vec::<u32>()?, [1, 0]);
/// assert_eq!(l.to_vec::<f32>()?, [1.0, 0.0, 0.5, 1.0]);
/// assert_eq!(u.to_vec::<f32>()?, [2.0, 8.0, 0.0, -2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn lu(a: &Array) -> Result<(Array, Array, Array)> {
    let found = Array::apply(Lu, [real(OP, a)?])?;
    let (rows, columns) = matrix(OP, a)?;
    let (last, small) = (a.ndim() - 1, rows.min(columns));
    let factors = &found[0];
    let ones = Array::eye(rows, small, 0, factors.dtype())?;
    let lower = factors.narrow(last, 0, small).tril(-1)?.add(ones)?;
    let upper = factors.narrow(last - 1, 0, small).triu(0)?;
    let places = found[2].argsort(-1)?;
    Ok((places, lower.astype(a.dtype())?, upper.astype(a.dtype())?))
}

/// The LU decomposition in one matrix, as LAPACK gives it: L without its ones below the diagonal and
/// U on and above it; and for each column the row, counted from 0, that was exchanged with the one
/// on the diagonal.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let (factors, pivots) = linalg::lu_factor(&array!([[1.0, 2.0], [2.0, 8.0]]))?;
/// assert_eq!(factors.to_vec::<f32>()?, [2.0, 8.0, 0.5, -2.0]);
/// assert_eq!(pivots.to_vec::<u32>()?, [1, 1]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn lu_factor(a: &Array) -> Result<(Array, Array)> {
    let found = Array::apply(Lu, [real("linalg.lu_factor", a)?])?;
    Ok((found[0].astype(a.dtype())?, found[1].clone()))
}

pub(super) fn ops() -> Vec<OpInfo> {
    const SHAPES: [&[usize]; 8] =
        [&[3, 3], &[4, 2], &[2, 4], &[2, 3, 3], &[1, 1], &[0, 3], &[3, 0], &[0, 2, 2]];
    fn cases(call: fn(&Array) -> Result<Vec<Array>>) -> Vec<crate::ops::Sample> {
        // Rows in reverse, so that there is something to exchange.
        let case = |shape: &&[usize]| samples::on(shape, "", move |a| call(&a.flip(-2)?));
        SHAPES.iter().map(case).collect()
    }
    vec![
        samples::op(
            OP,
            "Triangular factors of a matrix, and the order of its rows in them.",
            "linalg.lu(a)",
            kinds::FLOAT,
            || {
                cases(|a| {
                    let (p, l, u) = lu(a)?;
                    Ok(vec![p, l, u])
                })
            },
        ),
        samples::op(
            "linalg.lu_factor",
            "Triangular factors of a matrix in one, and the exchanges of rows.",
            "linalg.lu_factor(a)",
            kinds::FLOAT,
            || {
                cases(|a| {
                    let (factors, pivots) = lu_factor(a)?;
                    Ok(vec![factors, pivots])
                })
            },
        ),
    ]
}
