//! Owns the discrete distributions: coin throws, whole numbers in a range, permutations.

use super::{Bits, Uniform, continuous::argument};
use crate::{Array, Dtype, Error, IntoOperand, Result, Shape};

/// A draw of truth values.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, Bernoulli};
/// let heads = Bernoulli::new(0.25).shape([10_000]).key(&random::key(0)).sample()?;
/// assert!((heads.mean(..)?.item::<f32>()? - 0.25).abs() < 0.02);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Bernoulli {
    p: Array,
    shape: Option<Shape>,
    key: Option<Array>,
}

impl Bernoulli {
    /// Truth values that are true with probability `p`, a number or a floating-point array. Their
    /// shape is that of `p` unless another is set.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// let x = random::Bernoulli::new(array!([0.0, 1.0])).key(&random::key(0)).sample()?;
    /// assert_eq!(x.to_vec::<bool>()?, [false, true]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(p: impl IntoOperand) -> Self {
        Bernoulli { p: argument(p), shape: None, key: None }
    }

    /// Sets the shape, to which the probability must broadcast.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Bernoulli::new(0.5).shape([2, 3]).key(&random::key(0)).sample()?;
    /// assert_eq!(x.shape().dims(), &[2, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn shape(mut self, shape: impl Into<Shape>) -> Self {
        self.shape = Some(shape.into());
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let key = random::key(5);
    /// let draw = || random::Bernoulli::new(0.5).shape([50]).key(&key).sample()?.to_vec::<bool>();
    /// assert_eq!(draw()?, draw()?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// The truth values. Fails if the probability is not floating-point or does not broadcast.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Dtype, random};
    /// assert_eq!(random::Bernoulli::new(0.5).sample()?.dtype(), Dtype::Bool);
    /// assert!(random::Bernoulli::new(array!([1, 0])).sample().is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let dtype = self.p.dtype();
        if !dtype.is_float() {
            let reason = "a probability is a floating-point number";
            return Err(Error::Dtype { op: "random.bernoulli", dtype, reason });
        }
        let shape = self.shape.unwrap_or_else(|| self.p.shape().clone());
        let mut bits = Bits::new(shape.clone());
        if let Some(key) = &self.key {
            bits = bits.key(key);
        }
        // One step above 2^32, so that a probability of one is above all bits.
        let bound = self.p.astype(Dtype::Float32)?.multiply(2.0f32.powi(32).next_up())?;
        let bound = bound.broadcast_to(shape)?;
        bits.sample()?.astype(Dtype::Float32)?.less(bound)
    }
}

/// Truth values of `shape` that are true with probability `p`. See [`Bernoulli`].
///
/// ```
/// # use olivine_cpu as _;
/// let certain = olivine_core::random::bernoulli(1.0, [4])?;
/// assert_eq!(certain.to_vec::<bool>()?, [true; 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn bernoulli(p: impl IntoOperand, shape: impl Into<Shape>) -> Result<Array> {
    Bernoulli::new(p).shape(shape).sample()
}

/// A draw of whole numbers from a low end up to, not including, a high end.
///
/// They come from 32-bit fractions, so in ranges wider than 2^24 not every number is reached.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{random::{self, Randint}, Dtype};
/// let dice = Randint::new([8], 1, 7).dtype(Dtype::Uint8).key(&random::key(0)).sample()?;
/// assert!(dice.to_vec::<u8>()?.iter().all(|n| (1..7).contains(n)));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Randint {
    shape: Shape,
    low: Array,
    high: Array,
    dtype: Dtype,
    key: Option<Array>,
}

impl Randint {
    /// Numbers of `shape` from `low` up to, not including, `high`, as `int32`. The ends are numbers
    /// or arrays that broadcast to the shape.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let x = random::Randint::new([100], -3, 3).key(&random::key(0)).sample()?;
    /// assert!(x.min(..)?.item::<i32>()? >= -3 && x.max(..)?.item::<i32>()? < 3);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(shape: impl Into<Shape>, low: impl IntoOperand, high: impl IntoOperand) -> Self {
        let integer = |end: &dyn IntoOperand| end.to_operand(&Array::scalar(0i64)).into_owned();
        let (low, high) = (integer(&low), integer(&high));
        Randint { shape: shape.into(), low, high, dtype: Dtype::Int32, key: None }
    }

    /// Sets the dtype, which must be an integer or `bool`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let x = random::Randint::new([2], 0, 9).dtype(Dtype::Uint8).key(&random::key(0)).sample()?;
    /// assert_eq!(x.dtype(), Dtype::Uint8);
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
    ///     random::Randint::new([9], 0, 1000).key(&random::key(seed)).sample()?.to_vec::<i32>()
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
    /// use olivine_core::{array, random};
    /// // Each place has bounds of its own if these are arrays.
    /// let x = random::Randint::new([2], array!([0, 100]), array!([1, 101])).sample()?;
    /// assert_eq!(x.to_vec::<i32>()?, [0, 100]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let Randint { shape, low, high, dtype, key } = self;
        if dtype.is_inexact() {
            let reason = "whole numbers come in integer dtypes";
            return Err(Error::Dtype { op: "random.randint", dtype, reason });
        }
        let mut uniform = Uniform::new(shape).low(&low).high(&high);
        if let Some(key) = &key {
            uniform = uniform.key(key);
        }
        let x = uniform.sample()?.floor()?.astype(dtype)?;
        // Rounding in float32 may have stepped over an end.
        x.minimum(high.subtract(1)?.astype(dtype)?)?.maximum(low.astype(dtype)?)
    }
}

/// `int32` numbers of `shape` from `low` up to, not including, `high`. See [`Randint`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// let dice = random::randint(1, 7, [100])?;
/// assert!(dice.min(..)?.item::<i32>()? >= 1 && dice.max(..)?.item::<i32>()? <= 6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn randint(
    low: impl IntoOperand,
    high: impl IntoOperand,
    shape: impl Into<Shape>,
) -> Result<Array> {
    Randint::new(shape, low, high).sample()
}

/// A draw of the numbers from zero up to a bound in random order, each once.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, Permutation};
/// let mut order = Permutation::new(5).key(&random::key(0)).sample()?.to_vec::<u32>()?;
/// order.sort_unstable();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Permutation {
    bits: Bits,
}

impl Permutation {
    /// The numbers below `bound` in random order, as `uint32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let order = random::Permutation::new(5).key(&random::key(0)).sample()?;
    /// assert_eq!(order.sort(-1)?.to_vec::<u32>()?, [0, 1, 2, 3, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(bound: usize) -> Self {
        Permutation { bits: Bits::new([bound]) }
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let draw = |key| random::Permutation::new(50).key(key).sample()?.to_vec::<u32>();
    /// let (one, two) = (random::key(1), random::key(2));
    /// assert_eq!(draw(&one)?, draw(&one)?);
    /// assert_ne!(draw(&one)?, draw(&two)?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.bits = self.bits.key(key);
        self
    }

    /// The numbers.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// let x = array!([10, 20, 30]);
    /// let shuffled = x.take(&random::Permutation::new(3).sample()?, 0)?;
    /// assert_eq!(shuffled.sum(..)?.item::<i32>()?, 60);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        self.bits.sample()?.argsort(0)
    }
}

/// The numbers below `bound` in random order, as `uint32`. See [`Permutation`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// let order = random::permutation(4)?;
/// assert_eq!(order.sum(..)?.item::<u32>()?, 6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn permutation(bound: usize) -> Result<Array> {
    Permutation::new(bound).sample()
}
