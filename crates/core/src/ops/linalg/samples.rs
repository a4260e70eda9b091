//! Owns the matrices that samples of linear algebra use.

use super::{Family, Gradient, Input, OpInfo, Sample};
use crate::{Array, Kind, Result};

/// The matrices with 6, 12, 18, … added on the diagonal. They are far from singular, their
/// eigenvalues and singular values lie apart, and the lower triangle is that of a positive definite
/// matrix.
pub(in crate::ops) fn graded(x: &Array) -> Result<Array> {
    let [.., rows, columns] = x.shape()[..] else { return Ok(x.clone()) };
    let steps = Array::arange::<i32>(6, 6 * columns as i32 + 6, 6)?.astype(x.dtype())?;
    x.add(Array::eye(rows, columns, 0, x.dtype())?.multiply(steps)?)
}

/// The directions, or signs, of the diagonal, for the columns. Vectors that are only determined up to
/// a factor of magnitude one become unique when they are divided by it.
pub(super) fn directions(vectors: &Array) -> Result<Array> {
    vectors.diagonal(0, -2, -1)?.sign()?.conjugate()
}

/// A case on a matrix of a shape that is made graded first.
pub(super) fn on(
    shape: &[usize],
    label: &str,
    call: impl Fn(&Array) -> Result<Vec<Array>> + Send + Sync + 'static,
) -> Sample {
    Sample::many(label, [Input::any(shape)], move |x| call(&graded(&x[0])?))
}

/// An entry of the list.
pub(super) fn op(
    name: &'static str,
    doc: &'static str,
    signature: &'static str,
    kinds: &'static [Kind],
    samples: fn() -> Vec<Sample>,
) -> OpInfo {
    OpInfo {
        name,
        doc,
        signature,
        family: Family::Linear,
        kinds,
        gradient: Gradient::Smooth,
        samples,
    }
}
