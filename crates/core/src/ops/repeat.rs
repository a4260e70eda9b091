//! Owns repetition: of elements, of whole arrays, and turning an axis round.

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Result, Shape, concatenate};

impl Array {
    /// Each slice along an axis `count` times, one after another.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2], [2])?;
    /// assert_eq!(x.repeat(2, 0)?.to_vec::<i32>()?, [1, 1, 2, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn repeat(&self, count: usize, axis: i64) -> Result<Array> {
        let axis = self.shape().axis(axis, "repeat")?;
        let size = self.shape()[axis].saturating_mul(count);
        let column = self.reshape_to(self.shape().insert_axis(axis + 1, 1));
        let repeated = column.broadcast_to(self.shape().insert_axis(axis + 1, count))?;
        Ok(repeated.reshape_to(self.shape().with_axis(axis, size)))
    }

    /// The whole array repeated along each axis; missing leading axes are added.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2], [2])?;
    /// assert_eq!(x.tile(&[2, 2])?.to_vec::<i32>()?, [1, 2, 1, 2, 1, 2, 1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn tile(&self, counts: &[usize]) -> Result<Array> {
        let rank = self.ndim().max(counts.len());
        let size = |i: usize| (i + self.ndim()).checked_sub(rank).map_or(1, |j| self.shape()[j]);
        let count = |i: usize| (i + counts.len()).checked_sub(rank).map_or(1, |j| counts[j]);
        // Each axis becomes two, of which the outer one is repeated.
        let split: Shape = (0..rank).flat_map(|i| [1, size(i)]).collect();
        let grown: Shape = (0..rank).flat_map(|i| [count(i), size(i)]).collect();
        let merged: Shape = (0..rank).map(|i| count(i).saturating_mul(size(i))).collect();
        Ok(self.reshape_to(split).broadcast_to(grown)?.reshape_to(merged))
    }

    /// The elements moved `shift` places along an axis; those pushed out come in at the other end.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::arange(0, 5, 1)?.roll(2, 0)?.to_vec::<i32>()?, [3, 4, 0, 1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn roll(&self, shift: i64, axis: i64) -> Result<Array> {
        let axis = self.shape().axis(axis, "roll")?;
        let size = self.shape()[axis];
        if size == 0 {
            return Ok(self.clone());
        }
        let cut = size - shift.rem_euclid(size as i64) as usize;
        concatenate(&[self.narrow(axis, cut, size), self.narrow(axis, 0, cut)], axis as i64)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Shape,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples,
    };
    vec![
        op("repeat", "Repeats each slice.", "repeat(x, repeats, axis=None)", || {
            vec![
                Sample::new("2, axis=0", [Input::any([3, 2])], |x| x[0].repeat(2, 0)),
                Sample::new("3, axis=-1", [Input::any([2, 3])], |x| x[0].repeat(3, -1)),
                Sample::new("0, axis=0", [Input::any([2, 3])], |x| x[0].repeat(0, 0)),
            ]
        }),
        op("tile", "Repeats the whole array.", "tile(x, reps)", || {
            vec![
                Sample::new("(2, 3)", [Input::any([3, 2])], |x| x[0].tile(&[2, 3])),
                Sample::new("(2,)", [Input::any([2, 3])], |x| x[0].tile(&[2])),
                Sample::new("(2, 1, 1)", [Input::any([2])], |x| x[0].tile(&[2, 1, 1])),
            ]
        }),
        op("roll", "Moves elements round an axis.", "roll(x, shift, axis=None)", || {
            vec![
                Sample::new("2, axis=0", [Input::any([5, 2])], |x| x[0].roll(2, 0)),
                Sample::new("-1, axis=1", [Input::any([2, 5])], |x| x[0].roll(-1, 1)),
            ]
        }),
    ]
}
