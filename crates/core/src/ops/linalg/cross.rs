//! Owns the cross product.

use super::{Input, OpInfo, Sample, kinds, samples};
use crate::{Array, Error, Result, concatenate};

/// The cross product of vectors of two or three numbers along an axis; other axes broadcast.
///
/// Vectors of two numbers have zero as their third; the result always has three.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let product = linalg::cross(&array!([1.0, 0.0, 0.0]), &array!([0.0, 1.0, 0.0]), -1)?;
/// assert_eq!(product.to_vec::<f32>()?, [0.0, 0.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn cross(a: &Array, b: &Array, axis: i64) -> Result<Array> {
    const OP: &str = "linalg.cross";
    let dtype = a.dtype().promote(b.dtype());
    let rank = a.ndim().max(b.ndim());
    let axis = crate::shape::normalize_axis(axis, rank, OP)?;
    // Three vectors, one for each number, with the axis of size one.
    let numbers = |x: &Array| -> Result<[Array; 3]> {
        let ones = std::iter::repeat_n(1, rank - x.ndim());
        let x = x.astype(dtype)?.reshape_to(ones.chain(x.shape().iter().copied()).collect());
        let third = match x.shape()[axis] {
            2 => x.narrow(axis, 0, 1).zeros_like()?,
            3 => x.narrow(axis, 2, 3),
            size => {
                let reason = format!("axis {axis} has size {size}, not 2 or 3");
                return Err(Error::Shape { op: OP, reason });
            }
        };
        Ok([x.narrow(axis, 0, 1), x.narrow(axis, 1, 2), third])
    };
    let (a, b) = (numbers(a)?, numbers(b)?);
    let term = |i: usize, j: usize| a[i].multiply(&b[j])?.subtract(a[j].multiply(&b[i])?);
    concatenate(&[term(1, 2)?, term(2, 0)?, term(0, 1)?], axis as i64)
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![samples::op(
        "linalg.cross",
        "The cross product of vectors along an axis.",
        "linalg.cross(a, b, axis=-1)",
        kinds::ALL,
        || {
            let case = |a: &[usize], b: &[usize], axis: i64| {
                let inputs = [Input::any(a), Input::any(b)];
                Sample::new(format!("axis={axis}"), inputs, move |x| cross(&x[0], &x[1], axis))
            };
            vec![
                case(&[3], &[3], -1),
                case(&[4, 3], &[3], -1),
                case(&[3, 2], &[3, 1], 0),
                case(&[2, 2], &[2, 2], -1),
                case(&[2, 2], &[2, 3], 1),
                case(&[0, 3], &[1, 3], -1),
            ]
        },
    )]
}
