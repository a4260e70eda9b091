//! Owns comparing arrays as wholes, within tolerances, and keeping elements within bounds.

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, IntoOperand, Result};

/// How far two numbers may lie apart and still count as close.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Tolerance};
/// let (x, y) = (array!([100.0, f32::NAN]), array!([101.0, f32::NAN]));
/// let loose = Tolerance { relative: 0.02, equal_nan: true, ..Tolerance::default() };
/// assert_eq!(x.isclose(&y, loose)?.to_vec::<bool>()?, [true, true]);
/// assert_eq!(x.isclose(&y, Tolerance::default())?.to_vec::<bool>()?, [false, false]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// As a fraction of the second number.
    pub relative: f64,
    /// In addition.
    pub absolute: f64,
    /// NaN is close to NaN.
    pub equal_nan: bool,
}

impl Default for Tolerance {
    /// One part in 100,000 plus 1e-8; NaN is close to nothing.
    fn default() -> Self {
        Tolerance { relative: 1e-5, absolute: 1e-8, equal_nan: false }
    }
}

impl Array {
    /// Keeps elements between `low` and `high`. NaN stays; if the bounds cross, `high` wins.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[-2.0f32, 0.5, 7.0], [3])?;
    /// assert_eq!(x.clip(0.0, 1.0)?.to_vec::<f32>()?, [0.0, 0.5, 1.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn clip(&self, low: impl IntoOperand, high: impl IntoOperand) -> Result<Array> {
        self.maximum(low)?.minimum(high)
    }

    /// True where `|a − b| ≤ absolute + relative · |b|`, or where both are the same infinity.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Tolerance};
    /// let x = array!([1.0, 2.0, f32::INFINITY]);
    /// let y = array!([1.0000001, 2.1, f32::INFINITY]);
    /// assert_eq!(x.isclose(&y, Tolerance::default())?.to_vec::<bool>()?, [true, false, true]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn isclose(&self, other: impl IntoOperand, tolerance: Tolerance) -> Result<Array> {
        let other = other.to_operand(self);
        let dtype = self.dtype().promote(other.dtype()).to_inexact();
        let (a, b) = (self.astype(dtype)?, other.astype(dtype)?);
        let room = b.abs()?.multiply(tolerance.relative)?.add(tolerance.absolute)?;
        // An infinite bound would accept any number beside an infinity.
        let near = a.subtract(&b)?.abs()?.less_equal(&room)?.logical_and(b.isfinite()?)?;
        let close = near.logical_or(a.equal(&b)?)?;
        if tolerance.equal_nan {
            return close.logical_or(a.isnan()?.logical_and(b.isnan()?)?);
        }
        Ok(close)
    }

    /// True, as an array, if all elements are close; see [`Array::isclose`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1.0f32, 2.0], [2])?;
    /// assert!(x.allclose(&x.add(1e-7)?, Default::default())?.item::<bool>()?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn allclose(&self, other: impl IntoOperand, tolerance: Tolerance) -> Result<Array> {
        self.isclose(other, tolerance)?.all(..)
    }

    /// True, as an array, if the shapes are equal and so are all elements.
    ///
    /// With `equal_nan`, NaN equals NaN.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1.0f32, f32::NAN], [2])?;
    /// assert!(x.array_equal(&x, true)?.item::<bool>()?);
    /// assert!(!x.array_equal(&x, false)?.item::<bool>()?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn array_equal(&self, other: &Array, equal_nan: bool) -> Result<Array> {
        if self.shape() != other.shape() {
            return Ok(Array::scalar(false));
        }
        let equal = self.equal(other)?;
        if equal_nan {
            return equal.logical_or(self.isnan()?.logical_and(other.isnan()?)?)?.all(..);
        }
        equal.all(..)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Binary,
        kinds: kinds::ALL,
        gradient: Gradient::Zero,
        samples,
    };
    vec![
        OpInfo {
            family: Family::Elementwise,
            gradient: Gradient::Smooth,
            ..op("clip", "Keeps elements within bounds.", "clip(x, a_min, a_max)", || {
                vec![
                    Sample::new("-0.5, 0.5", [Input::any([3, 4])], |x| x[0].clip(-0.5, 0.5)),
                    Sample::new(
                        "arrays",
                        [Input::any([3, 4]), Input::any([4]), Input::any([3, 1])],
                        |x| x[0].clip(&x[1], &x[2]),
                    ),
                ]
            })
        },
        op(
            "isclose",
            "True where elements are nearly equal.",
            "isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False)",
            || {
                vec![Sample::new("", [Input::any([3, 4]), Input::any([4])], |x| {
                    x[0].isclose(&x[1], Tolerance::default())
                })]
            },
        ),
        op(
            "allclose",
            "True if all elements are nearly equal.",
            "allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False)",
            || {
                vec![Sample::new("itself", [Input::any([3, 4])], |x| {
                    x[0].allclose(&x[0], Tolerance::default())
                })]
            },
        ),
        op(
            "array_equal",
            "True if shapes and elements are equal.",
            "array_equal(a, b, equal_nan=False)",
            || {
                vec![
                    Sample::new("itself", [Input::any([3, 4])], |x| x[0].array_equal(&x[0], false)),
                    Sample::new("shapes", [Input::any([3]), Input::any([1])], |x| {
                        x[0].array_equal(&x[1], true)
                    }),
                ]
            },
        ),
    ]
}
