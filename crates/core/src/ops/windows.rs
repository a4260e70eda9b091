//! Owns windows: weights that let a stretch of a signal fade in and out.

use super::{Family, Gradient, OpInfo, Sample, info::kinds};
use crate::{Array, Dtype, Result};

impl Array {
    /// The Bartlett window of `count` points, a triangle: `1 − |2n / (count − 1) − 1|`, in float32.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::bartlett(3)?.to_vec::<f32>()?, [0.0, 1.0, 0.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn bartlett(count: usize) -> Result<Array> {
        let place = Array::linspace(-1.0, 1.0, count, Dtype::Float32)?;
        at_least_two(count, || Array::scalar(1.0f32).subtract(place.abs()?))
    }

    /// The Hanning window of `count` points: `0.5 − 0.5 cos(2πn / (count − 1))`, in float32.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::hanning(3)?.to_vec::<f32>()?, [0.0, 1.0, 0.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn hanning(count: usize) -> Result<Array> {
        at_least_two(count, || raised(count, 0.5))
    }

    /// The Hamming window of `count` points: `0.54 − 0.46 cos(2πn / (count − 1))`, in float32.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::hamming(1)?.to_vec::<f32>()?, [1.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn hamming(count: usize) -> Result<Array> {
        at_least_two(count, || raised(count, 0.54))
    }

    /// The Blackman window of `count` points: `0.42 − 0.5 cos a + 0.08 cos 2a` with
    /// `a = 2πn / (count − 1)`, in float32.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert!((Array::blackman(3)?.max(..)?.item::<f32>()? - 1.0).abs() < 1e-6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn blackman(count: usize) -> Result<Array> {
        at_least_two(count, || {
            let angles = angles(count)?;
            let twice = angles.multiply(2.0)?.cos()?.multiply(0.08)?;
            twice.subtract(angles.cos()?.multiply(0.5)?)?.add(0.42)
        })
    }
}

/// Windows of one point are a single one, and those of none are empty.
fn at_least_two(count: usize, window: impl FnOnce() -> Result<Array>) -> Result<Array> {
    if count < 2 {
        Array::ones([count], Dtype::Float32)
    } else {
        window()
    }
}

/// Once around the circle, both ends included.
fn angles(count: usize) -> Result<Array> {
    Array::linspace(0.0, std::f64::consts::TAU, count, Dtype::Float32)
}

fn raised(count: usize, mean: f64) -> Result<Array> {
    angles(count)?.cos()?.multiply(mean - 1.0)?.add(mean)
}

pub(super) fn ops() -> Vec<OpInfo> {
    type Call = fn(usize) -> Result<Array>;
    fn samples(call: Call) -> Vec<Sample> {
        [0, 1, 2, 9, 40]
            .map(|count: usize| Sample::new(count.to_string(), [], move |_| call(count)))
            .to_vec()
    }
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Creation,
        kinds: kinds::FLOAT,
        gradient: Gradient::Zero,
        samples,
    };
    vec![
        op("bartlett", "A triangle.", "bartlett(M)", || samples(Array::bartlett)),
        op("blackman", "A window of two cosines.", "blackman(M)", || {
            samples(Array::blackman)
        }),
        op("hamming", "A raised cosine that ends above zero.", "hamming(M)", || {
            samples(Array::hamming)
        }),
        op("hanning", "A raised cosine that ends at zero.", "hanning(M)", || {
            samples(Array::hanning)
        }),
    ]
}
