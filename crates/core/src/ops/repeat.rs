//! Owns repetition, of elements and of whole arrays, and neighbours along an axis: moved, turned
//! round, subtracted.

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Axes, Result, Shape, concatenate};

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
        let column = self.with_axes(&[axis + 1]);
        let repeated = column.broadcast_to(self.shape().insert_axis(axis + 1, count))?;
        repeated.flatten(axis as i64, axis as i64 + 1)
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

    /// The elements in reverse order along axes. It is a view.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1, 2, 3]).flip(0)?.to_vec::<i32>()?, [3, 2, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn flip(&self, axes: impl Into<Axes>) -> Result<Array> {
        let axes = axes.into().resolve(self.ndim(), "flip")?;
        let mut starts = SmallVec::from_elem(0, self.ndim());
        let mut steps = SmallVec::from_elem(1, self.ndim());
        for axis in axes {
            starts[axis] = self.shape()[axis].saturating_sub(1);
            steps[axis] = -1;
        }
        Ok(self.sliced(starts, steps, self.shape().clone()))
    }

    /// Each element but the first less the one before it, along an axis; `order` times over.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1, 4, 9, 16]).diff(1, 0)?.to_vec::<i32>()?, [3, 5, 7]);
    /// assert_eq!(array!([1, 4, 9, 16]).diff(2, 0)?.to_vec::<i32>()?, [2, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn diff(&self, order: usize, axis: i64) -> Result<Array> {
        let axis = self.shape().axis(axis, "diff")?;
        let mut x = self.clone();
        // Once nothing is left, nothing more happens.
        for _ in 0..order.min(self.shape()[axis]) {
            let size = x.shape()[axis];
            let later = x.narrow(axis, 1, size);
            x = later.subtract(x.narrow(axis, 0, size - 1))?;
        }
        Ok(x)
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
        op("flip", "Reverses axes.", "flip(x, axis=None)", || {
            vec![
                Sample::new("axis=None", [Input::any([3, 4])], |x| x[0].flip(..)),
                Sample::new("axis=-1", [Input::any([3, 4])], |x| x[0].flip(-1)),
                Sample::new("axis=(0, 2)", [Input::any([2, 3, 2])], |x| x[0].flip([0, 2])),
                Sample::new("axis=0", [Input::any([0, 3])], |x| x[0].flip(0)),
            ]
        }),
        op("diff", "Differences of neighbours.", "diff(x, n=1, axis=-1)", || {
                vec![
                    Sample::new("1, axis=0", [Input::any([4, 3])], |x| x[0].diff(1, 0)),
                    Sample::new("2, axis=-1", [Input::any([2, 5])], |x| x[0].diff(2, -1)),
                    Sample::new("0, axis=0", [Input::any([3])], |x| x[0].diff(0, 0)),
                    Sample::new("5, axis=0", [Input::any([3, 2])], |x| x[0].diff(5, 0)),
                ]
            }),
    ]
}
