//! Owns the continuous distributions: uniform, normal, truncated normal, Gumbel and Laplace.

use std::f64::consts::SQRT_2;

use super::Bits;
use crate::{Array, Complex64, Dtype, Error, IntoOperand, Result, Shape, bf16, f16};

/// A parameter in the dtype of a draw, which must not lose an imaginary part.
fn parameter(op: &'static str, value: &Array, dtype: Dtype) -> Result<Array> {
    if value.dtype() == Dtype::Complex64 && dtype != Dtype::Complex64 {
        let reason = "parameters of real numbers are real";
        return Err(Error::Dtype { op, dtype: Dtype::Complex64, reason });
    }
    value.astype(dtype)
}

/// A number or array as an argument of a distribution; numbers become `float32`.
pub(super) fn argument(value: impl IntoOperand) -> Array {
    value.to_operand(&Array::scalar(0.0f32)).into_owned()
}

/// A draw of numbers spread evenly from a low end up to, not including, a high end.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, Uniform};
/// let x = Uniform::new([1000]).low(-2.0).high(3.0).key(&random::key(0)).sample()?;
/// assert!(x.min(..)?.item::<f32>()? >= -2.0);
/// assert!(x.max(..)?.item::<f32>()? < 3.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Uniform {
    bits: Bits,
    shape: Shape,
    dtype: Dtype,
    low: Option<Array>,
    high: Option<Array>,
}

impl Uniform {
    /// Numbers of `shape` between 0 and 1, as `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Uniform::new([1000]).key(&random::key(0)).sample()?;
    /// assert!(x.min(..)?.item::<f32>()? >= 0.0 && x.max(..)?.item::<f32>()? < 1.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        let bits = Bits::new(shape.clone());
        Uniform { bits, shape, dtype: Dtype::Float32, low: None, high: None }
    }

    /// Sets the low end: a number, or an array that broadcasts to the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Uniform::new([1000]).low(0.75).key(&random::key(0)).sample()?;
    /// assert!(x.min(..)?.item::<f32>()? >= 0.75);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn low(mut self, low: impl IntoOperand) -> Self {
        self.low = Some(argument(low));
        self
    }

    /// Sets the high end: a number, or an array that broadcasts to the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// let draw = random::Uniform::new([1000, 2]).high(array!([1.0, 10.0]));
    /// let x = draw.key(&random::key(0)).sample()?;
    /// let greatest = x.max(0)?.to_vec::<f32>()?;
    /// assert!(greatest[0] < 1.0 && greatest[1] > 9.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn high(mut self, high: impl IntoOperand) -> Self {
        self.high = Some(argument(high));
        self
    }

    /// Sets the dtype: `float16`, `bfloat16` or `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let x = random::Uniform::new([2]).dtype(Dtype::BFloat16).key(&random::key(0)).sample()?;
    /// assert_eq!(x.dtype(), Dtype::BFloat16);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let draw = |key| random::Uniform::new([2]).key(key).sample()?.to_vec::<f32>();
    /// let (one, two) = (random::key(1), random::key(2));
    /// assert_eq!(draw(&one)?, draw(&one)?);
    /// assert_ne!(draw(&one)?, draw(&two)?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.bits = self.bits.key(key);
        self
    }

    /// The numbers. Fails for other dtypes and for ends that do not broadcast to the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// random::seed(3);
    /// let x = random::Uniform::new([2]).sample()?;
    /// assert_eq!(x.to_vec::<f32>()?, [0.52085847, 0.24485554]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let Uniform { bits, shape, dtype, low, high } = self;
        // The largest number below one: rounding up to one would leave the interval.
        let below_one = match dtype {
            Dtype::Float32 => 1.0f32.next_down(),
            Dtype::Float16 => f16::from_bits(f16::ONE.to_bits() - 1).to_f32(),
            Dtype::BFloat16 => bf16::from_bits(bf16::ONE.to_bits() - 1).to_f32(),
            _ => {
                let reason = "uniform numbers come as float16, bfloat16 or float32";
                return Err(Error::Dtype { op: "random.uniform", dtype, reason });
            }
        };
        let steps = bits.sample()?.astype(Dtype::Float32)?;
        let mut x = steps.multiply(2.0f64.powi(-32))?.minimum(below_one)?.astype(dtype)?;
        if low.is_some() || high.is_some() {
            let end = |end: Option<Array>, otherwise| {
                parameter("random.uniform", &end.unwrap_or_else(|| Array::scalar(otherwise)), dtype)
            };
            let (low, high) = (end(low, 0.0f32)?, end(high, 1.0f32)?);
            x = x.multiply(high.subtract(&low)?)?.add(&low)?;
        }
        if *x.shape() != shape {
            let reason = format!("the ends do not broadcast to the shape {shape}");
            return Err(Error::Shape { op: "random.uniform", reason });
        }
        Ok(x)
    }
}

/// `float32` numbers of `shape`, spread evenly from 0 up to, not including, 1. See [`Uniform`].
///
/// ```
/// # use olivine_cpu as _;
/// let x = olivine_core::random::uniform([2, 3])?;
/// assert!(x.less(1.0)?.all(..)?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn uniform(shape: impl Into<Shape>) -> Result<Array> {
    Uniform::new(shape).sample()
}

/// A draw of normally distributed numbers.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, Normal};
/// let x = Normal::new([10_000]).loc(5.0).scale(0.1).key(&random::key(0)).sample()?;
/// assert!((x.mean(..)?.item::<f32>()? - 5.0).abs() < 0.01);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Normal {
    shape: Shape,
    dtype: Dtype,
    loc: Option<Array>,
    scale: Option<Array>,
    key: Option<Array>,
}

impl Normal {
    /// Numbers of `shape` with mean 0 and standard deviation 1, as `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Normal::new([10_000]).key(&random::key(0)).sample()?;
    /// assert!(x.mean(..)?.item::<f32>()?.abs() < 0.05);
    /// assert!((x.std(.., 0)?.item::<f32>()? - 1.0).abs() < 0.05);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(shape: impl Into<Shape>) -> Self {
        let dtype = Dtype::Float32;
        Normal { shape: shape.into(), dtype, loc: None, scale: None, key: None }
    }

    /// Sets the mean: a number, or an array that broadcasts to the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// let draw = random::Normal::new([1000, 2]).loc(array!([0.0, 100.0]));
    /// let x = draw.key(&random::key(0)).sample()?;
    /// assert!((x.mean(0)?.index(1)?.item::<f32>()? - 100.0).abs() < 0.2);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn loc(mut self, loc: impl IntoOperand) -> Self {
        self.loc = Some(argument(loc));
        self
    }

    /// Sets the standard deviation: a number, or an array that broadcasts to the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Normal::new([10_000]).scale(3.0).key(&random::key(0)).sample()?;
    /// assert!((x.std(.., 0)?.item::<f32>()? - 3.0).abs() < 0.1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn scale(mut self, scale: impl IntoOperand) -> Self {
        self.scale = Some(argument(scale));
        self
    }

    /// Sets the dtype, which must be inexact. `complex64` has independent real and imaginary parts
    /// whose variances add up to one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let x = random::Normal::new([2]).dtype(Dtype::Float16).key(&random::key(0)).sample()?;
    /// assert_eq!(x.dtype(), Dtype::Float16);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let draw = |key| random::Normal::new([2]).key(key).sample()?.to_vec::<f32>();
    /// let (one, two) = (random::key(1), random::key(2));
    /// assert_eq!(draw(&one)?, draw(&one)?);
    /// assert_ne!(draw(&one)?, draw(&two)?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// The numbers. Fails for integer dtypes and for parameters that do not fit the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Normal::new([3]).loc(1.0).scale(0.0).key(&random::key(0)).sample()?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0; 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let Normal { shape, dtype, loc, scale, key } = self;
        if !dtype.is_inexact() {
            let reason = "normal numbers come in floating-point or complex dtypes";
            return Err(Error::Dtype { op: "random.normal", dtype, reason });
        }
        let complex = dtype == Dtype::Complex64;
        let drawn = if complex { shape.insert_axis(shape.rank(), 2) } else { shape.clone() };
        let mut uniform = Uniform::new(drawn).low((-1.0f32).next_up());
        if let Some(key) = &key {
            uniform = uniform.key(key);
        }
        let x = uniform.sample()?.erfinv()?;
        let mut factor = scale.map(|scale| parameter("random.normal", &scale, dtype)).transpose()?;
        let mut x = if complex {
            pair_up(&x)?
        } else {
            let sqrt_2 = Array::scalar(SQRT_2 as f32).astype(dtype)?;
            factor = Some(match factor {
                Some(scale) => sqrt_2.multiply(scale)?,
                None => sqrt_2,
            });
            x.astype(dtype)?
        };
        if let Some(factor) = factor {
            x = x.multiply(factor)?;
        }
        if let Some(loc) = loc {
            x = x.add(parameter("random.normal", &loc, dtype)?)?;
        }
        if *x.shape() != shape {
            let reason = format!("the parameters do not broadcast to the shape {shape}");
            return Err(Error::Shape { op: "random.normal", reason });
        }
        Ok(x)
    }
}

/// Complex numbers whose parts are the pairs in the last axis.
fn pair_up(x: &Array) -> Result<Array> {
    let half = |part: usize| {
        let rank = x.ndim() - 1;
        let starts = (0..=rank).map(|axis| if axis == rank { part } else { 0 }).collect();
        let steps = (0..=rank).map(|_| 1).collect();
        x.sliced(starts, steps, x.shape().with_axis(rank, 1)).squeeze(-1)?.astype(Dtype::Complex64)
    };
    half(1)?.multiply(Complex64::new(0.0, 1.0))?.add(half(0)?)
}

/// `float32` numbers of `shape` with mean 0 and standard deviation 1. See [`Normal`].
///
/// ```
/// # use olivine_cpu as _;
/// let x = olivine_core::random::normal([1024, 64])?;
/// assert!(x.std(.., 0)?.item::<f32>()? > 0.9);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn normal(shape: impl Into<Shape>) -> Result<Array> {
    Normal::new(shape).sample()
}

/// A draw of normally distributed numbers of which only those in an interval are kept.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, TruncatedNormal};
/// let x = TruncatedNormal::new([1000], -2.0, 1.0).key(&random::key(0)).sample()?;
/// assert!(x.max(..)?.item::<f32>()? <= 1.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct TruncatedNormal {
    shape: Shape,
    low: Array,
    high: Array,
    dtype: Dtype,
    key: Option<Array>,
}

impl TruncatedNormal {
    /// Numbers of `shape` between `low` and `high`, as `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::TruncatedNormal::new([1000], -1.0, 0.5).key(&random::key(0)).sample()?;
    /// assert!(x.min(..)?.item::<f32>()? >= -1.0 && x.max(..)?.item::<f32>()? <= 0.5);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(shape: impl Into<Shape>, low: impl IntoOperand, high: impl IntoOperand) -> Self {
        let (low, high) = (argument(low), argument(high));
        TruncatedNormal { shape: shape.into(), low, high, dtype: Dtype::Float32, key: None }
    }

    /// Sets the dtype: `float16`, `bfloat16` or `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let draw = random::TruncatedNormal::new([2], -1.0, 1.0).dtype(Dtype::Float16);
    /// assert_eq!(draw.key(&random::key(0)).sample()?.dtype(), Dtype::Float16);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let draw = |seed| {
    ///     let numbers = random::TruncatedNormal::new([2], -1.0, 1.0);
    ///     numbers.key(&random::key(seed)).sample()?.to_vec::<f32>()
    /// };
    /// assert_eq!(draw(1)?, draw(1)?);
    /// assert_ne!(draw(1)?, draw(2)?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// The numbers. Fails for other dtypes and for ends that do not broadcast to the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::TruncatedNormal::new([1000], 2.0, 3.0).key(&random::key(0)).sample()?;
    /// // Nearer to zero is more likely.
    /// assert!(x.mean(..)?.item::<f32>()? < 2.5);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let TruncatedNormal { shape, low, high, dtype, key } = self;
        let (low, high) = (low.astype(dtype)?, high.astype(dtype)?);
        let quantile = |end: &Array| end.divide(SQRT_2)?.erf();
        let mut uniform = Uniform::new(shape).dtype(dtype);
        uniform = uniform.low(quantile(&low)?).high(quantile(&high)?);
        if let Some(key) = &key {
            uniform = uniform.key(key);
        }
        let x = uniform.sample()?.erfinv()?.multiply(SQRT_2)?;
        // Rounding may have stepped over an end. If the ends cross, the lower one wins.
        x.minimum(high)?.maximum(low)
    }
}

/// `float32` numbers of `shape`, normally distributed but for those outside `low` to `high`, which
/// are left out. See [`TruncatedNormal`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// let x = random::truncated_normal(-2.0, 2.0, [1000])?;
/// assert!(x.abs()?.max(..)?.item::<f32>()? <= 2.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn truncated_normal(
    low: impl IntoOperand,
    high: impl IntoOperand,
    shape: impl Into<Shape>,
) -> Result<Array> {
    TruncatedNormal::new(shape, low, high).sample()
}

/// A draw from the Gumbel distribution: the largest of many exponential variables.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, Gumbel};
/// let x = Gumbel::new([10_000]).key(&random::key(0)).sample()?;
/// assert!((x.mean(..)?.item::<f32>()? - 0.5772).abs() < 0.05);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Gumbel {
    uniform: Uniform,
}

impl Gumbel {
    /// Numbers of `shape` as `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Gumbel::new([20_000]).key(&random::key(0)).sample()?;
    /// // The mean is Euler's constant.
    /// assert!((x.mean(..)?.item::<f32>()? - 0.5772).abs() < 0.03);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(shape: impl Into<Shape>) -> Self {
        Gumbel { uniform: Uniform::new(shape) }
    }

    /// Sets the dtype: `float16`, `bfloat16` or `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let x = random::Gumbel::new([2]).dtype(Dtype::Float16).key(&random::key(0)).sample()?;
    /// assert_eq!(x.dtype(), Dtype::Float16);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.uniform = self.uniform.dtype(dtype);
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let draw = |key| random::Gumbel::new([2]).key(key).sample()?.to_vec::<f32>();
    /// let (one, two) = (random::key(1), random::key(2));
    /// assert_eq!(draw(&one)?, draw(&one)?);
    /// assert_ne!(draw(&one)?, draw(&two)?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.uniform = self.uniform.key(key);
        self
    }

    /// The numbers. Fails for other dtypes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Gumbel::new([1000]).key(&random::key(0)).sample()?;
    /// assert!(x.isfinite()?.all(..)?.item::<bool>()?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        self.uniform.sample()?.log()?.negative()?.log()?.negative()
    }
}

/// `float32` numbers of `shape` from the Gumbel distribution. See [`Gumbel`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Dtype, random};
/// let x = random::gumbel([2, 3])?;
/// assert_eq!((x.dtype(), x.size()), (Dtype::Float32, 6));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn gumbel(shape: impl Into<Shape>) -> Result<Array> {
    Gumbel::new(shape).sample()
}

/// A draw from the Laplace distribution: exponential on both sides of its mean.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, Laplace};
/// let x = Laplace::new([10_000]).loc(3.0).scale(0.5).key(&random::key(0)).sample()?;
/// assert!((x.mean(..)?.item::<f32>()? - 3.0).abs() < 0.05);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Laplace {
    uniform: Uniform,
    dtype: Dtype,
    loc: Option<Array>,
    scale: Option<Array>,
}

impl Laplace {
    /// Numbers of `shape` with mean 0 and scale 1, as `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let x = random::Laplace::new([2, 3]).key(&random::key(0)).sample()?;
    /// assert_eq!((x.dtype(), x.shape().dims()), (Dtype::Float32, &[2, 3][..]));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(shape: impl Into<Shape>) -> Self {
        let uniform = Uniform::new(shape).low((-1.0f32).next_up());
        Laplace { uniform, dtype: Dtype::Float32, loc: None, scale: None }
    }

    /// Sets the mean: a number, or an array that broadcasts to the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Laplace::new([10_000]).loc(5.0).key(&random::key(0)).sample()?;
    /// assert!((x.mean(..)?.item::<f32>()? - 5.0).abs() < 0.1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn loc(mut self, loc: impl IntoOperand) -> Self {
        self.loc = Some(argument(loc));
        self
    }

    /// Sets the scale, the mean distance from the mean: a number, or an array that broadcasts to
    /// the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Laplace::new([20_000]).scale(3.0).key(&random::key(0)).sample()?;
    /// // The scale is the mean distance from the centre.
    /// assert!((x.abs()?.mean(..)?.item::<f32>()? - 3.0).abs() < 0.1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn scale(mut self, scale: impl IntoOperand) -> Self {
        self.scale = Some(argument(scale));
        self
    }

    /// Sets the dtype, a floating-point one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let x = random::Laplace::new([2]).dtype(Dtype::BFloat16).key(&random::key(0)).sample()?;
    /// assert_eq!(x.dtype(), Dtype::BFloat16);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let draw = |key| random::Laplace::new([2]).key(key).sample()?.to_vec::<f32>();
    /// let (one, two) = (random::key(1), random::key(2));
    /// assert_eq!(draw(&one)?, draw(&one)?);
    /// assert_ne!(draw(&one)?, draw(&two)?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.uniform = self.uniform.key(key);
        self
    }

    /// The numbers. Fails for other dtypes and for parameters that do not fit the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Laplace::new([10_000]).key(&random::key(0)).sample()?;
    /// assert!((x.greater(0.0)?.mean(..)?.item::<f32>()? - 0.5).abs() < 0.02);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let Laplace { uniform, dtype, loc, scale } = self;
        if !dtype.is_float() {
            let reason = "Laplace numbers come in floating-point dtypes";
            return Err(Error::Dtype { op: "random.laplace", dtype, reason });
        }
        let side = uniform.sample()?;
        let shape = side.shape().clone();
        let x = side.sign()?.multiply(side.abs()?.negative()?.log1p()?)?;
        let mut x = x.astype(dtype)?;
        if let Some(scale) = scale {
            x = parameter("random.laplace", &scale, dtype)?.multiply(x)?;
        }
        if let Some(loc) = loc {
            x = parameter("random.laplace", &loc, dtype)?.add(x)?;
        }
        if *x.shape() != shape {
            let reason = format!("the parameters do not broadcast to the shape {shape}");
            return Err(Error::Shape { op: "random.laplace", reason });
        }
        Ok(x)
    }
}

/// `float32` numbers of `shape` from the Laplace distribution. See [`Laplace`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// random::seed(1);
/// let x = random::laplace([10_000])?;
/// assert!((x.abs()?.mean(..)?.item::<f32>()? - 1.0).abs() < 0.1);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn laplace(shape: impl Into<Shape>) -> Result<Array> {
    Laplace::new(shape).sample()
}
