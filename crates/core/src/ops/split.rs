//! Owns cutting an array into parts along an axis.

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Error, Result};

/// Where to cut: into a number of equal parts, or before given positions.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::ops::split::Sections;
/// assert_eq!(Sections::from(3), Sections::Equal(3));
/// assert_eq!(Sections::from([1, -1]), Sections::At(vec![1, -1]));
/// let parts = array!([1, 2, 3, 4]).split([1, -1], 0)?;
/// assert_eq!(parts[1].to_vec::<i32>()?, [2, 3]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sections {
    /// This many parts of equal size.
    Equal(i64),
    /// Cuts before these positions; negative ones count from the end.
    At(Vec<i64>),
}

macro_rules! sections_from {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Sections {
            fn from(count: $ty) -> Self {
                Sections::Equal(count as i64)
            }
        }
        impl<const N: usize> From<[$ty; N]> for Sections {
            fn from(positions: [$ty; N]) -> Self {
                Sections::from(&positions[..])
            }
        }
        impl<const N: usize> From<&[$ty; N]> for Sections {
            fn from(positions: &[$ty; N]) -> Self {
                Sections::from(&positions[..])
            }
        }
        impl From<&[$ty]> for Sections {
            fn from(positions: &[$ty]) -> Self {
                Sections::At(positions.iter().map(|&position| position as i64).collect())
            }
        }
    )*};
}

sections_from!(i32, i64, usize);

impl Array {
    /// Cuts an axis into equal parts (`3`), or before positions (`[1, 4]`). Nothing is copied.
    ///
    /// Positions outside the axis, or before an earlier cut, give empty parts. Fails if the axis
    /// does not divide into equal parts.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::arange(0, 6, 1)?;
    /// assert_eq!(x.split(3, 0)?[1].to_vec::<i32>()?, [2, 3]);
    /// assert_eq!(x.split([1, -2], 0)?[1].to_vec::<i32>()?, [1, 2, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn split(&self, sections: impl Into<Sections>, axis: i64) -> Result<Vec<Array>> {
        let axis = self.shape().axis(axis, "split")?;
        let size = self.shape()[axis];
        let mut cuts = vec![0];
        match sections.into() {
            Sections::Equal(count) => {
                let parts = usize::try_from(count).ok().filter(|&n| n > 0 && size.is_multiple_of(n));
                let Some(parts) = parts else {
                    let shape = self.shape();
                    let reason = format!("axis {axis} of shape {shape} has no {count} equal parts");
                    return Err(Error::Argument { op: "split", reason });
                };
                cuts.extend((1..parts).map(|i| i * (size / parts)));
            }
            Sections::At(positions) => {
                let size = size as i64;
                let from_start = |p: i64| if p < 0 { p.saturating_add(size) } else { p };
                cuts.extend(positions.iter().map(|&p| from_start(p).clamp(0, size) as usize));
            }
        }
        let ends = cuts.iter().copied().skip(1).chain([size]);
        Ok(cuts.iter().zip(ends).map(|(&cut, end)| self.narrow(axis, cut, end.max(cut))).collect())
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "split",
        doc: "Cuts an array into parts along an axis.",
        signature: "split(x, indices_or_sections, axis=0)",
        family: Family::Shape,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            vec![
                Sample::many("3, axis=1", [Input::any([2, 6])], |x| x[0].split(3, 1)),
                Sample::many("[1, 4], axis=0", [Input::any([6, 2])], |x| x[0].split([1, 4], 0)),
                Sample::many("[4, 1, 9], axis=0", [Input::any([6])], |x| x[0].split([4, 1, 9], 0)),
            ]
        },
    }]
}
