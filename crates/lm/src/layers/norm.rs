//! Owns the normalisations of model families.

use olivine_core::{Array, Result, fast};
use olivine_nn::{Layer, LayerNorm, Module, Param, RMSNorm};

/// A normalisation over the last axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, array};
/// use olivine_lm::layers::Norm;
/// use olivine_nn::Layer;
/// // One is added to the weight, here zero.
/// let norm = Norm::rms_plus_one(Array::zeros([2], Dtype::Float32)?, 0.0);
/// assert_eq!(norm.forward(&array!([3.0, 3.0]))?.to_vec::<f32>()?, [1.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub enum Norm {
    /// By the root mean square, times a weight.
    Rms(RMSNorm),
    /// By the root mean square, times one more than a weight (Gemma).
    RmsPlusOne {
        /// One less than the factor, of shape (size,).
        weight: Param,
        /// Added to the mean square.
        eps: f32,
    },
    /// By mean and variance, times a weight, plus a bias.
    Layer(LayerNorm),
}

impl Norm {
    /// By the root mean square, times `weight`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::layers::Norm;
    /// use olivine_nn::Layer;
    /// let norm = Norm::rms(array!([1.0, 2.0]), 0.0);
    /// assert_eq!(norm.forward(&array!([3.0, 3.0]))?.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn rms(weight: Array, eps: f32) -> Self {
        Norm::Rms(RMSNorm {
            weight: weight.into(),
            eps,
        })
    }

    /// By the root mean square, times one more than `weight`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::layers::Norm;
    /// use olivine_nn::Layer;
    /// let norm = Norm::rms_plus_one(array!([0.0, 1.0]), 0.0);
    /// assert_eq!(norm.forward(&array!([3.0, 3.0]))?.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn rms_plus_one(weight: Array, eps: f32) -> Self {
        Norm::RmsPlusOne {
            weight: weight.into(),
            eps,
        }
    }
}

impl Layer for Norm {
    fn forward(&self, x: &Array) -> Result<Array> {
        match self {
            Norm::Rms(norm) => norm.forward(x),
            Norm::RmsPlusOne { weight, eps } => fast::rms_norm(x, Some(&weight.add(1.0)?), *eps),
            Norm::Layer(norm) => norm.forward(x),
        }
    }
}
