//! Owns evenly spaced numbers.

use serde::{Deserialize, Serialize};

use half::{bf16, f16};

use super::{Family, Gradient, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Element, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// Two numbers of a kind: where a count starts, and how it goes on.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::ops::arange::{Countable, Progression};
/// let (numbers, length) = i32::progression(5, 0, -2)?;
/// assert_eq!((numbers, length), (Progression::Integer { first: 5, step: -2 }, 3));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Progression {
    /// Integers; unsigned 64-bit ones keep their bits.
    Integer {
        /// The first number.
        first: i64,
        /// The distance to the next.
        step: i64,
    },
    /// Floating-point numbers.
    Float {
        /// The first number.
        #[serde(with = "crate::graph::number")]
        first: f64,
        /// The distance to the next.
        #[serde(with = "crate::graph::number")]
        step: f64,
    },
}

/// The numbers `first`, `first + step`, `first + 2 step`, …
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, f16};
/// use olivine_core::ops::arange::{Arange, Progression};
/// let progression = Progression::Float { first: 1.0, step: 0.5 };
/// let count = Arange { progression, length: 3, dtype: Dtype::Float16 };
/// assert_eq!(Array::apply_one(count, [])?.to_vec::<f16>()?, [1.0, 1.5, 2.0].map(f16::from_f32));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Arange {
    /// The numbers to count.
    pub progression: Progression,
    /// How many.
    pub length: usize,
    /// What they are rounded to.
    pub dtype: Dtype,
}

crate::stored!(Arange);

impl Primitive for Arange {
    fn name(&self) -> &'static str {
        "arange"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 0, inputs)?;
        Ok([Spec::new([self.length], self.dtype)].into())
    }

    fn vjp(&self, _vjp: &Vjp) -> Result<Gradients> {
        Ok(Gradients::new())
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.each(self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// A Rust number that [`Array::arange`] counts with.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Result, step};
/// use olivine_core::ops::arange::Countable;
/// fn below<T: Countable>(start: T, stop: T, step: T) -> Result<usize> {
///     Ok(T::progression(start, stop, step)?.1)
/// }
/// assert_eq!((below(0u8, 10, 3)?, below(0.0f32, 1.0, 0.25)?), (4, 4));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Countable: Element {
    /// The progression from `start` up to, not including, `stop`, and its length.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::ops::arange::Countable;
    /// assert_eq!(i64::progression(3, 3, 1)?.1, 0);
    /// assert!(i64::progression(0, 3, 0).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn progression(start: Self, stop: Self, step: Self) -> Result<(Progression, usize)>;
}

fn error<T>(reason: &str) -> Result<T> {
    Err(Error::Argument { op: "arange", reason: reason.to_owned() })
}

macro_rules! count_integers {
    ($($ty:ty),*) => {$(
        impl Countable for $ty {
            fn progression(start: Self, stop: Self, step: Self) -> Result<(Progression, usize)> {
                if step == 0 {
                    return error("the step must not be zero");
                }
                let (distance, pace) = (stop as i128 - start as i128, step as i128);
                let whole = distance / pace + i128::from(distance % pace != 0);
                let ahead = (distance > 0) == (pace > 0);
                let length = if ahead && distance != 0 { whole } else { 0 };
                let Ok(length) = usize::try_from(length) else {
                    return error("the range has too many numbers");
                };
                Ok((Progression::Integer { first: start as i64, step: step as i64 }, length))
            }
        }
    )*};
}

count_integers!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! count_floats {
    ($($ty:ty),*) => {$(
        impl Countable for $ty {
            fn progression(start: Self, stop: Self, step: Self) -> Result<(Progression, usize)> {
                let (first, stop, step) = (f64::from(start), f64::from(stop), f64::from(step));
                if step == 0.0 {
                    return error("the step must not be zero");
                }
                let length = ((stop - first) / step).ceil();
                if !length.is_finite() || length > isize::MAX as f64 {
                    return error("the range has no finite number of elements");
                }
                Ok((Progression::Float { first, step }, length.max(0.0) as usize))
            }
        }
    )*};
}

count_floats!(f16, bf16, f32, f64);

impl Array {
    /// The numbers from `start` up to, not including, `stop`, in steps of `step`.
    ///
    /// The dtype is the one of the Rust type. Element `i` is `start + i * step`, rounded once.
    /// Fails if the step is zero or the range is not finite.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::arange(5, 0, -2)?.to_vec::<i32>()?, [5, 3, 1]);
    /// assert_eq!(Array::arange(0.0f32, 1.0, 0.25)?.to_vec::<f32>()?, [0.0, 0.25, 0.5, 0.75]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn arange<T: Countable>(start: T, stop: T, step: T) -> Result<Array> {
        let (progression, length) = T::progression(start, stop, step)?;
        Array::apply_one(Arange { progression, length, dtype: T::DTYPE }, [])
    }

    /// `count` evenly spaced numbers from `start` to `stop`, both included.
    ///
    /// Computed in `float32`, or `float64` if that is the dtype, and converted to `dtype`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::linspace(0.0, 1.0, 3, Dtype::Float32)?;
    /// assert_eq!(x.to_vec::<f32>()?, [0.0, 0.5, 1.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn linspace(start: f64, stop: f64, count: usize, dtype: Dtype) -> Result<Array> {
        let wide = if dtype == Dtype::Float64 { dtype } else { Dtype::Float32 };
        let progression = Progression::Float { first: 0.0, step: 1.0 };
        let counted = Array::apply_one(Arange { progression, length: count, dtype: wide }, [])?;
        let t = counted.divide(count.saturating_sub(1).max(1))?;
        // Blending both ends makes the last number exactly `stop`.
        let blend = t.subtract(1.0)?.negative()?.multiply(start)?.add(t.multiply(stop)?)?;
        blend.astype(dtype)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Creation,
        kinds: kinds::ALL,
        gradient: Gradient::Zero,
        samples,
    };
    vec![
        op(
            "arange",
            "Numbers in even steps, without the end.",
            "arange(start, stop, step=1, dtype=None)",
            || {
                vec![
                    Sample::new("0, 1000, 1", [], |_| Array::arange(0, 1000, 1)),
                    Sample::new("5, 0, -2", [], |_| Array::arange(5i64, 0, -2)),
                    Sample::new("0, 1, 0.1", [], |_| Array::arange(0.0f32, 1.0, 0.1)),
                    Sample::new("none", [], |_| Array::arange(0, 5, -1)),
                ]
            },
        ),
        op(
            "linspace",
            "Evenly spaced numbers, both ends included.",
            "linspace(start, stop, num=50, dtype=float32)",
            || {
                vec![
                    Sample::new("-1, 1, 7", [], |_| Array::linspace(-1.0, 1.0, 7, Dtype::Float32)),
                    Sample::new("0, 10, 4, int32", [], |_| {
                        Array::linspace(0.0, 10.0, 4, Dtype::Int32)
                    }),
                    Sample::new("one", [], |_| Array::linspace(3.0, 9.0, 1, Dtype::Float64)),
                    Sample::new("none", [], |_| Array::linspace(0.0, 1.0, 0, Dtype::Float32)),
                ]
            },
        ),
    ]
}
