//! Owns putting a border around an array.

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Error, IntoOperand, Result, Shape, shape::Strides};

/// Which of the array's own elements a border repeats.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::ops::pad::Border;
/// let x = array!([1, 2, 3]);
/// assert_eq!(x.pad_border(&[(2, 1)], Border::Edge)?.to_vec::<i32>()?, [1, 1, 1, 2, 3, 3]);
/// assert_eq!(x.pad_border(&[(2, 1)], Border::Reflect)?.to_vec::<i32>()?, [3, 2, 1, 2, 3, 2]);
/// assert_eq!(x.pad_border(&[(2, 1)], Border::Symmetric)?.to_vec::<i32>()?, [2, 1, 1, 2, 3, 3]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Border {
    /// The nearest: `1 1 | 1 2 3 | 3 3`.
    Edge,
    /// Mirrored at the outermost: `3 2 | 1 2 3 | 2 1`.
    Reflect,
    /// Mirrored beyond the outermost: `2 1 | 1 2 3 | 3 2`.
    Symmetric,
}

impl Border {
    /// The element of an axis of `size` that stands at a position that may be outside.
    fn source(self, position: i64, size: i64) -> i64 {
        let mirrored = |period: i64, offset: i64| {
            let p = position.rem_euclid(period);
            if p < size { p } else { period - offset - p }
        };
        match self {
            Border::Edge => position.clamp(0, size - 1),
            Border::Reflect if size == 1 => 0,
            Border::Reflect => mirrored(2 * size - 2, 0),
            Border::Symmetric => mirrored(2 * size, 1),
        }
    }
}

impl Array {
    /// The widths for each axis; a single pair counts for all axes.
    fn border_widths(
        &self,
        widths: &[(usize, usize)],
        op: &'static str,
    ) -> Result<SmallVec<[(usize, usize); 4]>> {
        match widths {
            [pair] => Ok(SmallVec::from_elem(*pair, self.ndim())),
            _ if widths.len() == self.ndim() => Ok(SmallVec::from_slice(widths)),
            _ => {
                let reason = format!("{} widths for shape {}", widths.len(), self.shape());
                Err(Error::Argument { op, reason })
            }
        }
    }

    /// The array with a border of `value` around it, which takes the array's dtype.
    ///
    /// `widths` has how much to add before and after each axis; one pair counts for all axes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2], [2])?;
    /// assert_eq!(x.pad(&[(1, 2)], 0)?.to_vec::<i32>()?, [0, 1, 2, 0, 0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn pad(&self, widths: &[(usize, usize)], value: impl IntoOperand) -> Result<Array> {
        let widths = self.border_widths(widths, "pad")?;
        let value = value.to_operand(self).astype(self.dtype())?;
        let grown = |(&size, &(before, after)): (&usize, &(usize, usize))| {
            size.saturating_add(before).saturating_add(after)
        };
        let shape: Shape = self.shape().iter().zip(&widths).map(grown).collect();
        let starts = widths.iter().map(|&(before, _)| before).collect();
        let steps = Strides::from_elem(1, self.ndim());
        value.broadcast_to(shape)?.slice_update_at(self, starts, steps)
    }

    /// The array with a border of its own elements around it.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, ops::pad::Border};
    /// let x = Array::from_slice(&[1, 2, 3], [3])?;
    /// assert_eq!(x.pad_border(&[(2, 1)], Border::Edge)?.to_vec::<i32>()?, [1, 1, 1, 2, 3, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn pad_border(&self, widths: &[(usize, usize)], border: Border) -> Result<Array> {
        let widths = self.border_widths(widths, "pad")?;
        let mut padded = self.clone();
        for (axis, &(before, after)) in widths.iter().enumerate() {
            if (before, after) == (0, 0) {
                continue;
            }
            let size = self.shape()[axis] as i64;
            if size == 0 {
                let reason = format!("axis {axis} of shape {} has nothing to repeat", self.shape());
                return Err(Error::Shape { op: "pad", reason });
            }
            let places = -(before as i64)..size + after as i64;
            let sources: Vec<i64> = places.map(|place| border.source(place, size)).collect();
            padded = padded.take(&Array::from_slice(&sources, [sources.len()])?, axis as i64)?;
        }
        Ok(padded)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "pad",
        doc: "Puts a border around an array.",
        signature: "pad(x, pad_width, mode='constant', constant_values=0)",
        family: Family::Shape,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            let border = |label: &str, border| {
                Sample::new(label, [Input::any([3, 4])], move |x| {
                    x[0].pad_border(&[(2, 2), (0, 3)], border)
                })
            };
            vec![
                Sample::new("[(1, 2), (0, 1)]", [Input::any([3, 4])], |x| {
                    x[0].pad(&[(1, 2), (0, 1)], 0)
                }),
                Sample::new("(1, 1), 1", [Input::any([2, 0, 3])], |x| x[0].pad(&[(1, 1)], 1)),
                border("edge", Border::Edge),
                border("reflect", Border::Reflect),
                border("symmetric", Border::Symmetric),
            ]
        },
    }]
}
