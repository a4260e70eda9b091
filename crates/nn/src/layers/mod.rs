//! Owns the layers: modules that turn one array into another.

mod dropout;
mod embedding;
mod linear;
mod norm;
mod quantized;
mod sequential;

pub use dropout::Dropout;
pub use embedding::Embedding;
pub use linear::Linear;
pub use norm::{LayerNorm, RMSNorm};
use olivine_core::{Array, Result};
pub use quantized::{QuantizedEmbedding, QuantizedLinear, QuantizedWeight};
pub use sequential::Sequential;

use crate::Module;

/// A module that computes one array from one array.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, Result};
/// use olivine_nn::{Layer, Linear, Module, Param, relu};
/// #[derive(Clone, Module)]
/// struct Residual {
///     inner: Linear,
/// }
/// impl Layer for Residual {
///     fn forward(&self, x: &Array) -> Result<Array> {
///         x.add(relu(&self.inner.forward(x)?)?)
///     }
/// }
/// let block = Residual { inner: Linear::new(4, 4)? };
/// let x = Array::zeros([2, 4], Dtype::Float32)?;
/// assert_eq!(block.forward(&x)?.shape(), x.shape());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Layer: Module + Send + Sync {
    /// Applies the layer.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Activation, Layer};
    /// let y = Activation::Relu.forward(&array!([-1.0, 1.0]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 1.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn forward(&self, x: &Array) -> Result<Array>;
}

impl<L: Layer + ?Sized> Layer for Box<L> {
    fn forward(&self, x: &Array) -> Result<Array> {
        (**self).forward(x)
    }
}
