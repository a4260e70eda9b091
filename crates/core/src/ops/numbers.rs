//! Owns short compositions that return two arrays, medians, and finite numbers in place of others.

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, dtypes::finfo, info::kinds};
use crate::{Array, Axes, Error, IntoOperand, Kind, Result, Shape, keep};

/// What [`Array::nan_to_num`] writes in place of what is no finite number.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Finite};
/// let x = array!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
/// let places = Finite { nan: 0.0, positive: Some(9.0), negative: None };
/// assert_eq!(x.nan_to_num(places)?.to_vec::<f32>()?, [0.0, 9.0, f32::MIN]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Finite {
    /// In place of NaN.
    pub nan: f64,
    /// In place of infinity; the greatest number of the dtype if there is none.
    pub positive: Option<f64>,
    /// In place of negative infinity; the least number of the dtype if there is none.
    pub negative: Option<f64>,
}

impl Array {
    /// The quotient rounded down, and the remainder.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let (quotient, rest) = array!([7, -7]).divmod(2)?;
    /// assert_eq!(quotient.to_vec::<i32>()?, [3, -4]);
    /// assert_eq!(rest.to_vec::<i32>()?, [1, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn divmod(&self, other: impl IntoOperand) -> Result<(Array, Array)> {
        let other = other.to_operand(self);
        Ok((self.floor_divide(&*other)?, self.remainder(&*other)?))
    }

    /// The array itself, as a sign `+` in front of it means.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([-1]).positive()?.to_vec::<i32>()?, [-1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn positive(&self) -> Result<Array> {
        Ok(self.clone())
    }

    /// The smallest and the greatest element over axes; NaN if any is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let (least, greatest) = array!([3, 1, 2]).minmax(..)?;
    /// assert_eq!((least.item::<i32>()?, greatest.item::<i32>()?), (1, 3));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn minmax(&self, axes: impl Into<Axes>) -> Result<(Array, Array)> {
        let axes = axes.into();
        Ok((self.min(axes.clone())?, self.max(axes)?))
    }

    /// Finite numbers in place of NaN and the infinities. Integers are finite already.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, ops::numbers::Finite};
    /// let x = array!([f32::NAN, f32::INFINITY, 1.0]);
    /// let finite = Finite { positive: Some(9.0), ..Finite::default() };
    /// assert_eq!(x.nan_to_num(finite)?.to_vec::<f32>()?, [0.0, 9.0, 1.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn nan_to_num(&self, finite: Finite) -> Result<Array> {
        match self.dtype().kind() {
            Kind::Bool | Kind::Unsigned | Kind::Signed => Ok(self.clone()),
            Kind::Float => {
                let range = finfo(self.dtype())?;
                let greatest = finite.positive.unwrap_or(range.max);
                let least = finite.negative.unwrap_or(range.min);
                let x = self.isnan()?.select(finite.nan, self)?;
                let x = self.isposinf()?.select(greatest, x)?;
                self.isneginf()?.select(least, x)
            }
            Kind::Complex => {
                let unit = Array::scalar(crate::Complex64::new(0.0, 1.0));
                let imaginary = self.imag()?.nan_to_num(finite)?;
                self.real()?.nan_to_num(finite)?.add(imaginary.multiply(unit)?)
            }
        }
    }

    /// The middle element over axes in sorted order, or the mean of the two in the middle; NaN if
    /// any is. Integers become `float32`.
    ///
    /// Fails if there is no element.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([3, 1, 2, 9]).median(..)?.item::<f32>()?, 2.5);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn median(&self, axes: impl Into<Axes>) -> Result<Array> {
        const OP: &str = "median";
        let axes = axes.into();
        let list = axes.resolve(self.ndim(), OP)?;
        let (kept, line): (Vec<usize>, Vec<usize>) =
            (0..self.ndim()).partition(|axis| !list.contains(axis));
        let sizes = |axes: &[usize]| axes.iter().map(|&axis| self.shape()[axis]).collect::<Vec<_>>();
        let count: usize = sizes(&line).iter().product();
        if count == 0 {
            let reason = format!("no elements along axes {line:?} of shape {}", self.shape());
            return Err(Error::Shape { op: OP, reason });
        }
        let order = kept.iter().chain(&line).map(|&axis| axis as u8).collect();
        let lines: Shape = sizes(&kept).into_iter().chain([count]).collect();
        // Sorted before it is converted, so that wide integers keep their order.
        let sorted = self.permuted(order).reshape_to(lines).sort(-1)?;
        let sorted = sorted.astype(self.dtype().to_inexact())?;
        let at = |i: usize| sorted.narrow(kept.len(), i, i + 1);
        let mut middle = at(count / 2);
        if count.is_multiple_of(2) {
            // Halved first, so that the sum does not overflow.
            middle = middle.multiply(0.5)?.add(at(count / 2 - 1).multiply(0.5)?)?;
        }
        // NaN sorts last.
        let last = at(count - 1);
        let result = last.isnan()?.select(last, middle)?;
        let shape = if axes.keeps_dims() {
            (0..self.ndim()).map(|i| if list.contains(&i) { 1 } else { self.shape()[i] }).collect()
        } else {
            sizes(&kept).into_iter().collect()
        };
        Ok(result.reshape_to(shape))
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, family, samples| OpInfo {
        name,
        doc,
        signature,
        family,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples,
    };
    vec![
        OpInfo {
            kinds: kinds::REAL,
            ..op(
                "divmod",
                "The quotient rounded down, and the remainder.",
                "divmod(a, b)",
                Family::Binary,
                || {
                    let pair = |a: &[usize], b: &[usize]| {
                        [Input::any(a), Input::new(b, Domain::NonZero)]
                    };
                    let call = |x: &[Array]| x[0].divmod(&x[1]).map(|(a, b)| vec![a, b]);
                    vec![
                        Sample::many("", pair(&[3, 5], &[5]), call),
                        Sample::many("", pair(&[], &[2]), call),
                        Sample::many("", pair(&[0, 2], &[1]), call),
                    ]
                },
            )
        },
        op("positive", "The array itself.", "positive(x)", Family::Unary, || {
            [vec![3, 5], vec![], vec![0]]
                .map(|shape| Sample::new("", [Input::any(shape)], |x| x[0].positive()))
                .to_vec()
        }),
        op(
            "nan_to_num",
            "Finite numbers in place of NaN and the infinities.",
            "nan_to_num(x, nan=0, posinf=None, neginf=None)",
            Family::Elementwise,
            || {
                let given = Finite { nan: 1.0, positive: Some(5.0), negative: Some(-3.0) };
                vec![
                    Sample::new("", [Input::any([3, 5])], |x| x[0].nan_to_num(Finite::default())),
                    Sample::new("1, 5, -3", [Input::any([7])], move |x| x[0].nan_to_num(given)),
                    Sample::new("", [Input::any([])], |x| x[0].nan_to_num(Finite::default())),
                ]
            },
        ),
        op(
            "minmax",
            "The smallest and the greatest element over axes.",
            "minmax(x, axis=None, keepdims=False)",
            Family::Reduction,
            || {
                fn sample(label: &'static str, shape: &[usize], axes: Axes) -> Sample {
                    let inputs = [Input::new(shape, Domain::Distinct)];
                    Sample::many(label, inputs, move |x| {
                        x[0].minmax(axes.clone()).map(|(least, greatest)| vec![least, greatest])
                    })
                }
                vec![
                    sample("axis=None", &[4, 5], (..).into()),
                    sample("axis=0", &[4, 5], 0.into()),
                    sample("axis=(0, 2), keepdims", &[2, 3, 2], keep([0, 2])),
                    sample("axis=1", &[0, 3], 1.into()),
                ]
            },
        ),
        op(
            "median",
            "The middle element over axes in sorted order.",
            "median(x, axis=None, keepdims=False)",
            Family::Reduction,
            || {
                fn sample(label: &'static str, shape: &[usize], axes: Axes) -> Sample {
                    let inputs = [Input::new(shape, Domain::Distinct)];
                    Sample::new(label, inputs, move |x| x[0].median(axes.clone()))
                }
                vec![
                    sample("axis=None", &[4, 5], (..).into()),
                    sample("axis=0", &[5, 4], 0.into()),
                    sample("axis=-1", &[3, 4], (-1).into()),
                    sample("axis=(0, 2), keepdims", &[2, 3, 2], keep([0, 2])),
                    sample("axis=1", &[0, 3], 1.into()),
                    sample("axis=None", &[], (..).into()),
                ]
            },
        ),
    ]
}
