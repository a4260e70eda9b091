//! Owns draws from categories by their logits.

use super::{Gumbel, Uniform};
use crate::{Array, Dtype, Error, Result, Shape, keep, ops::searchsorted::Side};

/// A draw of categories whose probabilities are the softmax of logits over an axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{random::{self, Categorical}, Array};
/// let logits = Array::from_slice(&[0.0f32, f32::NEG_INFINITY, 0.0], [3])?;
/// let drawn = Categorical::new(&logits).samples(20).key(&random::key(0)).sample()?;
/// assert!(drawn.to_vec::<u32>()?.iter().all(|&category| category != 1));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Categorical {
    logits: Array,
    axis: i64,
    shape: Wanted,
    key: Option<Array>,
}

#[derive(Clone)]
enum Wanted {
    OneEach,
    ManyEach(usize),
    Shape(Shape),
}

impl Categorical {
    /// One category for each distribution in the last axis of `logits`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// let logits = array!([[0.0, f32::NEG_INFINITY], [f32::NEG_INFINITY, 0.0]]);
    /// let drawn = random::Categorical::new(&logits).key(&random::key(0)).sample()?;
    /// assert_eq!(drawn.to_vec::<u32>()?, [0, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(logits: &Array) -> Self {
        Categorical { logits: logits.clone(), axis: -1, shape: Wanted::OneEach, key: None }
    }

    /// Sets the axis that holds a distribution's logits.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, random};
    /// let logits = Array::zeros([3, 5], Dtype::Float32)?;
    /// let drawn = random::Categorical::new(&logits).axis(0).key(&random::key(0)).sample()?;
    /// assert_eq!(drawn.shape().dims(), &[5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }

    /// Draws `count` categories from each distribution, along a new last axis.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, random};
    /// let logits = Array::zeros([3, 5], Dtype::Float32)?;
    /// let drawn = random::Categorical::new(&logits).samples(7).key(&random::key(0)).sample()?;
    /// assert_eq!(drawn.shape().dims(), &[3, 7]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn samples(mut self, count: usize) -> Self {
        self.shape = Wanted::ManyEach(count);
        self
    }

    /// Draws a result of this shape, whose last axes the distributions broadcast to.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, random};
    /// let logits = Array::zeros([3, 5], Dtype::Float32)?;
    /// let drawn = random::Categorical::new(&logits).shape([2, 3]).key(&random::key(0)).sample()?;
    /// assert_eq!(drawn.shape().dims(), &[2, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn shape(mut self, shape: impl Into<Shape>) -> Self {
        self.shape = Wanted::Shape(shape.into());
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, random};
    /// let logits = Array::zeros([5], Dtype::Float32)?;
    /// let key = random::key(1);
    /// let many = || random::Categorical::new(&logits).samples(9);
    /// let draw = || many().key(&key).sample()?.to_vec::<u32>();
    /// assert_eq!(draw()?, draw()?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// The categories as `uint32`. Fails if there are none to choose from, if the logits are
    /// complex, or if the distributions do not broadcast to the shape that was asked for.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, Dtype, random};
    /// let drawn = random::Categorical::new(&array!([0.0, 0.0])).samples(100).sample()?;
    /// assert!(drawn.max(..)?.item::<u32>()? < 2);
    /// assert!(random::Categorical::new(&Array::zeros([0], Dtype::Float32)?).sample().is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let Categorical { logits, axis, shape: wanted, key } = self;
        let op = "categorical";
        if logits.dtype() == Dtype::Complex64 {
            let reason = "logits are real";
            return Err(Error::Dtype { op, dtype: logits.dtype(), reason });
        }
        // Integers of either sign have differences that their own dtype may not hold.
        let logits = logits.astype(logits.dtype().to_inexact())?;
        let axis = logits.shape().axis(axis, op)?;
        let choices = logits.shape()[axis];
        if choices == 0 {
            let reason = format!("axis {axis} of shape {} has no categories", logits.shape());
            return Err(Error::Shape { op, reason });
        }
        let batch = logits.shape().without_axis(axis);
        let shape = match &wanted {
            Wanted::OneEach => batch.clone(),
            Wanted::ManyEach(count) => batch.insert_axis(batch.rank(), *count),
            Wanted::Shape(shape) => {
                if batch.broadcast(shape, op)? != *shape {
                    let (left, right) = (batch, shape.clone());
                    return Err(Error::Broadcast { op, left, right });
                }
                shape.clone()
            }
        };
        if logits.size() == choices && shape.rank() > 0 {
            return from_one(&logits.reshape_to(Shape::from([choices])), shape, key.as_ref());
        }
        // The category whose logit plus Gumbel noise is greatest.
        let (logits, at) = match wanted {
            Wanted::ManyEach(_) => (logits.expand_dims(-1)?, axis),
            Wanted::OneEach | Wanted::Shape(_) => (logits, shape.rank() - batch.rank() + axis),
        };
        let mut noise = Gumbel::new(shape.insert_axis(at, choices));
        if let Some(key) = &key {
            noise = noise.key(key);
        }
        noise.sample()?.add(logits)?.argmax(at as i64)
    }
}

/// Draws from one distribution by looking up where a uniform number falls.
fn from_one(logits: &Array, shape: Shape, key: Option<&Array>) -> Result<Array> {
    let largest = logits.max(keep(0))?;
    // Where the greatest logit is infinite, those equal to it share all the probability.
    let certain = logits.equal(&largest)?;
    let weights = logits.subtract(&largest)?.exp()?;
    let weights = largest.isinf()?.select(certain.astype(weights.dtype())?, weights)?;
    let weights = weights.astype(Dtype::Float32)?;
    // A category is chosen by the number of categories that end at or before the place; the last
    // one's end is left out, because rounding may put a place there.
    let (starts, steps) = ([0].into_iter().collect(), [1].into_iter().collect());
    let ends = weights.cumsum(0)?.sliced(starts, steps, Shape::from([weights.size() - 1]));
    let mut uniform = Uniform::new(shape);
    if let Some(key) = key {
        uniform = uniform.key(key);
    }
    let place = uniform.sample()?.multiply(weights.sum(..)?)?;
    ends.searchsorted(&place, Side::Right)
}

/// One category, as `uint32`, for each distribution in the last axis of `logits`, whose softmax
/// gives the probabilities. See [`Categorical`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{random, Array};
/// let certain = Array::from_slice(&[f32::NEG_INFINITY, 0.0], [2])?;
/// assert_eq!(random::categorical(&certain)?.item::<u32>()?, 1);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn categorical(logits: &Array) -> Result<Array> {
    Categorical::new(logits).sample()
}
