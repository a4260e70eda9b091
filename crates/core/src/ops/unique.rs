//! Owns finding the distinct elements of an array.

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, info::kinds, scatter::Combine};
use crate::{Array, Dtype, Error, IntoOperand, Result};

/// What [`Array::unique`] finds. Each part is computed only if it is used.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Unique};
/// let found: Unique = array!([3, 1, 3]).unique(2, None::<i32>)?;
/// assert_eq!(found.values.to_vec::<i32>()?, [1, 3]);
/// assert_eq!(found.counts.to_vec::<i32>()?, [1, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Unique {
    /// The distinct elements in ascending order, then the fill value.
    pub values: Array,
    /// For each of them, the position of its first occurrence in the flattened array, as `uint32`.
    pub index: Array,
    /// For each element of the array, the place of its value among all distinct ones, as `uint32`.
    pub inverse: Array,
    /// How often each value occurs, as `int32`: zero past the last distinct one.
    pub counts: Array,
}

impl Array {
    /// The smallest `size` distinct elements in ascending order, and where and how often they occur.
    ///
    /// The size does not depend on the elements, so nothing is evaluated. Places that are left hold
    /// `fill`, or the smallest element if there is none, and count zero. NaN differs from NaN and
    /// comes last. Fails for an empty array without a fill value, unless `size` is zero.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let found = array!([2, 1, 2, 3, 1]).unique(4, Some(0))?;
    /// assert_eq!(found.values.to_vec::<i32>()?, [1, 2, 3, 0]);
    /// assert_eq!(found.index.to_vec::<u32>()?, [1, 0, 3, 1]);
    /// assert_eq!(found.inverse.to_vec::<u32>()?, [1, 0, 1, 2, 0]);
    /// assert_eq!(found.counts.to_vec::<i32>()?, [2, 2, 1, 0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn unique<T: IntoOperand>(&self, size: usize, fill: Option<T>) -> Result<Unique> {
        const OP: &str = "unique";
        let fill = match fill {
            Some(fill) => {
                let fill = fill.to_operand(self).astype(self.dtype())?;
                if fill.size() != 1 {
                    let reason = format!("the fill value is one number, not {}", fill.shape());
                    return Err(Error::Shape { op: OP, reason });
                }
                Some(fill.reshape([1])?)
            }
            None => None,
        };
        let (count, more) = (self.size(), size.saturating_add(1));
        if count == 0 {
            let Some(fill) = fill.or((size == 0).then(|| self.flatten(0, -1)).transpose()?) else {
                let reason = "an empty array has no element to fill with".to_owned();
                return Err(Error::Argument { op: OP, reason });
            };
            return Ok(Unique {
                values: fill.broadcast_to([size])?,
                index: Array::zeros([size], Dtype::Uint32)?,
                inverse: Array::zeros(self.shape(), Dtype::Uint32)?,
                counts: Array::zeros([size], Dtype::Int32)?,
            });
        }
        let flat = self.flatten(0, -1)?;
        let order = flat.argsort(0)?;
        let sorted = flat.take(&order, 0)?;
        let differs = sorted.narrow(0, 1, count).not_equal(sorted.narrow(0, 0, count - 1))?;
        let first = crate::concatenate(&[&Array::row([true]), &differs], 0)?;
        // The place of each sorted element's value among the distinct ones.
        let place = first.astype(Dtype::Int64)?.cumsum(0)?.subtract(1)?;
        // What does not fit, or is no first occurrence, goes to one more place, which is cut off.
        let kept = place.minimum(size)?;
        let slot = first.select(&kept, Array::scalar(size as i64))?;
        let scattered = |start: Array, combine: Combine, slots: &Array, updates: &Array| {
            Ok::<_, Error>(start.scatter(combine, &[slots], updates, &[0])?.narrow(0, 0, size))
        };
        let least = |array: &Array| array.narrow(0, 0, 1).broadcast_to([more]);
        let empty = match &fill {
            Some(fill) => fill.broadcast_to([more])?,
            None => least(&sorted)?,
        };
        let zeros = |size: usize| Array::zeros([size], Dtype::Int32);
        let inverse = Array::zeros([count], Dtype::Uint32)?;
        let inverse = inverse.scatter(Combine::Assign, &[&order], place, &[0])?;
        Ok(Unique {
            values: scattered(empty, Combine::Assign, &slot, &sorted)?,
            index: scattered(least(&order)?, Combine::Assign, &slot, &order)?,
            inverse: inverse.reshape_to(self.shape().clone()),
            counts: scattered(zeros(more)?, Combine::Add, &kept, &zeros(count)?.add(1)?)?,
        })
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    fn sample(label: &'static str, shape: &[usize], domain: Domain, size: usize, fill: Option<i32>) -> Sample {
        Sample::many(label, [Input::new(shape, domain)], move |x| {
            let found = x[0].unique(size, fill)?;
            Ok(vec![found.values, found.index, found.inverse, found.counts])
        })
    }
    vec![OpInfo {
        name: "unique",
        doc: "The distinct elements in ascending order, where and how often they occur.",
        signature: "unique(x, size, return_index=False, return_inverse=False, return_counts=False, \
                    fill_value=None)",
        family: Family::Sorting,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            vec![
                sample("20", &[3, 5], Domain::Any, 20, None),
                sample("12, fill=1", &[8], Domain::Any, 12, Some(1)),
                sample("3", &[2, 4], Domain::Distinct, 3, None),
                sample("2", &[], Domain::Any, 2, None),
                sample("0", &[0, 2], Domain::Any, 0, None),
                sample("2, fill=3", &[0], Domain::Any, 2, Some(3)),
            ]
        },
    }]
}
