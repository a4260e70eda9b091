//! Owns the normalising layers.

use olivine_core::{Array, Dtype, Result, fast};

use crate::{Layer, Module, Param};

/// Scales the last axis to a mean square of one, then by a learnt vector.
///
/// Source: Zhang and Sennrich, "Root mean square layer normalization" (2019).
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_nn::{Layer, RMSNorm};
/// let norm = RMSNorm { weight: array!([1.0, 10.0]).into(), eps: 0.0 };
/// assert_eq!(norm.forward(&array!([[5.0, 5.0]]))?.to_vec::<f32>()?, [1.0, 10.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct RMSNorm {
    /// The scale of each element.
    pub weight: Param,
    /// Added to the mean square.
    pub eps: f32,
}

impl RMSNorm {
    /// A norm over `size` elements whose scales start at one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Layer, RMSNorm};
    /// let norm = RMSNorm::new(2, 0.0)?;
    /// assert_eq!(norm.forward(&array!([[3.0, -3.0]]))?.to_vec::<f32>()?, [1.0, -1.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(size: usize, eps: f32) -> Result<Self> {
        Ok(RMSNorm {
            weight: Array::ones([size], Dtype::Float32)?.into(),
            eps,
        })
    }
}

impl Layer for RMSNorm {
    fn forward(&self, x: &Array) -> Result<Array> {
        fast::rms_norm(x, Some(&self.weight), self.eps)
    }
}

/// Shifts and scales the last axis to mean zero and variance one, then by learnt vectors.
///
/// Source: Ba, Kiros and Hinton, "Layer normalization" (2016).
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_nn::{Layer, LayerNorm};
/// let plain = LayerNorm { weight: None, bias: None, eps: 0.0 };
/// assert_eq!(plain.forward(&array!([[1.0, 3.0]]))?.to_vec::<f32>()?, [-1.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct LayerNorm {
    /// The scale of each element, if it is learnt.
    pub weight: Option<Param>,
    /// The shift of each element, if it is learnt.
    pub bias: Option<Param>,
    /// Added to the variance.
    pub eps: f32,
}

impl LayerNorm {
    /// A norm over `size` elements with learnt scales and shifts, which start at one and zero.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{LayerNorm, Module};
    /// let norm = LayerNorm::new(8, 1e-5)?;
    /// // A weight and a bias for each element.
    /// assert_eq!(norm.num_parameters(), 16);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(size: usize, eps: f32) -> Result<Self> {
        let weight = Some(Array::ones([size], Dtype::Float32)?.into());
        let bias = Some(Array::zeros([size], Dtype::Float32)?.into());
        Ok(LayerNorm { weight, bias, eps })
    }
}

impl Layer for LayerNorm {
    fn forward(&self, x: &Array) -> Result<Array> {
        fast::layer_norm(x, self.weight.as_deref(), self.bias.as_deref(), self.eps)
    }
}
