//! Owns dropout.

use olivine_core::{Array, Error, Result, random::Bernoulli};

use crate::{Layer, Module, Param};

/// Sets elements to zero at random while training, and scales up the others to make up for them.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_nn::{Dropout, Layer, Module};
/// let mut dropout = Dropout::new(0.5)?;
/// let x = Array::ones([100], Dtype::Float32)?;
/// assert!(dropout.forward(&x)?.to_vec::<f32>()?.iter().all(|&y| y == 0.0 || y == 2.0));
/// dropout.set_training(false);
/// assert_eq!(dropout.forward(&x)?.to_vec::<f32>()?, [1.0; 100]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dropout {
    p: f64,
    training: bool,
}

impl Dropout {
    /// A layer that drops each element with probability `p`. Fails unless `p` is at least zero and
    /// below one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_nn::{Dropout, Layer};
    /// let half = Dropout::new(0.5)?;
    /// // What is kept is scaled up, so that the mean stays.
    /// let y = half.forward(&Array::ones([1000], Dtype::Float32)?)?;
    /// assert!((y.mean(..)?.item::<f32>()? - 1.0).abs() < 0.2);
    /// assert!(Dropout::new(1.0).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(p: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&p) {
            let reason = format!("the probability {p} is not at least 0 and below 1");
            return Err(Error::Argument {
                op: "dropout",
                reason,
            });
        }
        Ok(Dropout { p, training: true })
    }
}

impl Module for Dropout {
    fn visit(&self, _prefix: &str, _visitor: &mut dyn FnMut(&str, &Param)) {}

    fn visit_mut(&mut self, _prefix: &str, _visitor: &mut dyn FnMut(&str, &mut Param)) {}

    fn set_training(&mut self, training: bool) {
        self.training = training;
    }
}

impl Layer for Dropout {
    fn forward(&self, x: &Array) -> Result<Array> {
        if !self.training || self.p == 0.0 {
            return Ok(x.clone());
        }
        let kept = Bernoulli::new(1.0 - self.p).shape(x.shape()).sample()?;
        kept.select(x.multiply(1.0 / (1.0 - self.p))?, 0)
    }
}
