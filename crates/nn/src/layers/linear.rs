//! Owns the linear layer.

use olivine_core::{Array, Result};

use crate::{Layer, Module, Param, init};

/// Multiplies by a matrix and adds a vector: `x @ weight.T + bias`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_nn::{Layer, Linear};
/// let weight = Array::from_slice(&[1.0f32, 2.0], [1, 2])?;
/// let layer = Linear { weight: weight.into(), bias: Some(Array::full([1], 0.5f32)?.into()) };
/// let x = Array::from_slice(&[10.0f32, 20.0], [1, 2])?;
/// assert_eq!(layer.forward(&x)?.to_vec::<f32>()?, [50.5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct Linear {
    /// The matrix, of shape (outputs, inputs).
    pub weight: Param,
    /// The vector, of shape (outputs,), if there is one.
    pub bias: Option<Param>,
}

impl Linear {
    /// A layer with a bias. Both start evenly spread within `1 / sqrt(inputs)` of zero.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// let linear = Linear::new(3, 2)?;
    /// assert_eq!(linear.weight.shape().dims(), &[2, 3]);
    /// assert_eq!(linear.num_parameters(), 3 * 2 + 2);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(inputs: usize, outputs: usize) -> Result<Self> {
        let mut layer = Self::without_bias(inputs, outputs)?;
        let limit = limit(inputs);
        layer.bias = Some(init::uniform([outputs], -limit, limit)?.into());
        Ok(layer)
    }

    /// A layer that only multiplies. Its weight starts as that of [`Linear::new`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_nn::{Layer, Linear};
    /// let linear = Linear::without_bias(3, 2)?;
    /// let zeros = Array::zeros([1, 3], Dtype::Float32)?;
    /// assert_eq!(linear.forward(&zeros)?.to_vec::<f32>()?, [0.0, 0.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn without_bias(inputs: usize, outputs: usize) -> Result<Self> {
        let limit = limit(inputs);
        let weight = init::uniform([outputs, inputs], -limit, limit)?.into();
        Ok(Linear { weight, bias: None })
    }
}

fn limit(inputs: usize) -> f32 {
    1.0 / (inputs.max(1) as f32).sqrt()
}

impl Layer for Linear {
    fn forward(&self, x: &Array) -> Result<Array> {
        let y = x.matmul(self.weight.transpose([1, 0])?)?;
        match &self.bias {
            Some(bias) => y.add(bias),
            None => Ok(y),
        }
    }
}
