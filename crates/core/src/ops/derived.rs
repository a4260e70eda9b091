//! Owns scalar functions that are short compositions of others.

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, IntoOperand, Result};

impl Array {
    /// Radians as degrees.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::scalar(std::f32::consts::PI).degrees()?.item::<f32>()?, 180.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn degrees(&self) -> Result<Array> {
        self.astype(self.dtype().to_inexact())?.multiply(180.0 / std::f64::consts::PI)
    }

    /// Degrees as radians.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::scalar(180.0f32).radians()?.item::<f32>()?, std::f32::consts::PI);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn radians(&self) -> Result<Array> {
        self.astype(self.dtype().to_inexact())?.multiply(std::f64::consts::PI / 180.0)
    }

    /// True where the element is positive infinity; complex numbers have no imaginary part there.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([f32::INFINITY, f32::NEG_INFINITY, 1.0]);
    /// assert_eq!(x.isposinf()?.to_vec::<bool>()?, [true, false, false]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn isposinf(&self) -> Result<Array> {
        self.equal(f64::INFINITY)
    }

    /// True where the element is negative infinity; complex numbers have no imaginary part there.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([f32::INFINITY, f32::NEG_INFINITY, 1.0]);
    /// assert_eq!(x.isneginf()?.to_vec::<bool>()?, [false, true, false]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn isneginf(&self) -> Result<Array> {
        self.equal(f64::NEG_INFINITY)
    }

    /// True where just one of two elements is nonzero.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let (a, b) = (array!([true, true, false]), array!([true, false, false]));
    /// assert_eq!(a.logical_xor(b)?.to_vec::<bool>()?, [false, true, false]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn logical_xor(&self, other: impl IntoOperand) -> Result<Array> {
        let other = other.to_operand(self);
        self.logical_not()?.not_equal(other.logical_not()?)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    type Call = fn(&Array) -> Result<Array>;
    let op = |name, doc, signature, gradient, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Unary,
        kinds: kinds::ALL,
        gradient,
        samples,
    };
    fn samples(call: Call) -> Vec<Sample> {
        [vec![3, 5], vec![], vec![0, 2]]
            .map(|shape| Sample::new("", [Input::any(shape)], move |x| call(&x[0])))
            .to_vec()
    }
    vec![
        op("degrees", "Radians as degrees.", "degrees(x)", Gradient::Smooth, || {
            samples(Array::degrees)
        }),
        op("radians", "Degrees as radians.", "radians(x)", Gradient::Smooth, || {
            samples(Array::radians)
        }),
        op("isposinf", "True where the element is positive infinity.", "isposinf(x)", Gradient::Zero, || {
            samples(Array::isposinf)
        }),
        op("isneginf", "True where the element is negative infinity.", "isneginf(x)", Gradient::Zero, || {
            samples(Array::isneginf)
        }),
        OpInfo {
            family: Family::Binary,
            ..op(
                "logical_xor",
                "True where just one is nonzero.",
                "logical_xor(a, b)",
                Gradient::Zero,
                || {
                    vec![Sample::new("", [Input::any([3, 5]), Input::any([5])], |x| {
                        x[0].logical_xor(&x[1])
                    })]
                },
            )
        },
    ]
}
