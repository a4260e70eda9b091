//! Owns linear layers and embeddings whose weights are plain or packed.

use olivine_core::{Array, Result};
use olivine_nn::{Layer, Module, QuantizedEmbedding, QuantizedLinear};

/// Multiplies by a matrix, plain or packed, and perhaps adds a vector.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, quantized::Quantization};
/// use olivine_lm::layers::Linear;
/// use olivine_nn::{Layer, Module};
/// let dense = Linear::Dense(olivine_nn::Linear::new(64, 2)?);
/// let packed = dense.quantized(Quantization::default())?;
/// let x = Array::ones([1, 64], Dtype::Float32)?;
/// assert_eq!(packed.forward(&x)?.shape(), dense.forward(&x)?.shape());
/// assert!(packed.parameters().contains_key("scales"));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub enum Linear {
    /// The matrix is of floats.
    Dense(olivine_nn::Linear),
    /// The matrix is packed.
    Quantized(QuantizedLinear),
}

impl Linear {
    /// The same layer with its matrix packed; a packed one stays as it is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::quantized::Quantization;
    /// use olivine_lm::layers::Linear;
    /// let dense = Linear::Dense(olivine_nn::Linear::new(64, 2)?);
    /// assert!(matches!(dense.quantized(Quantization::MXFP8)?, Linear::Quantized(_)));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn quantized(&self, scheme: olivine_core::quantized::Quantization) -> Result<Self> {
        match self {
            Linear::Dense(layer) => Ok(Linear::Quantized(QuantizedLinear::from_linear(
                layer, scheme,
            )?)),
            Linear::Quantized(_) => Ok(self.clone()),
        }
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Array) -> Result<Array> {
        match self {
            Linear::Dense(layer) => layer.forward(x),
            Linear::Quantized(layer) => layer.forward(x),
        }
    }
}

/// Looks up a vector for each token, in a table that is plain or packed.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::layers::Embedding;
/// use olivine_nn::Layer;
/// let table = Embedding::Dense(olivine_nn::Embedding::new(10, 4)?);
/// assert_eq!(table.forward(&array!([[1, 2]]))?.shape().dims(), &[1, 2, 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub enum Embedding {
    /// The table is of floats.
    Dense(olivine_nn::Embedding),
    /// The table is packed.
    Quantized(QuantizedEmbedding),
}

impl Embedding {
    /// The number of vectors.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::layers::Embedding;
    /// assert_eq!(Embedding::Dense(olivine_nn::Embedding::new(10, 4)?).count(), 10);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn count(&self) -> usize {
        match self {
            Embedding::Dense(table) => table.weight.shape()[0],
            Embedding::Quantized(table) => table.weight.packed().codes.shape()[0],
        }
    }

    /// Multiplies by the table: the logits of models that share it between input and output.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::layers::Embedding;
    /// let table = Embedding::Dense(olivine_nn::Embedding::new(10, 4)?);
    /// let logits = table.as_linear(&Array::ones([3, 4], Dtype::Float32)?)?;
    /// assert_eq!(logits.shape().dims(), &[3, 10]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn as_linear(&self, x: &Array) -> Result<Array> {
        match self {
            Embedding::Dense(table) => table.as_linear(x),
            Embedding::Quantized(table) => table.as_linear(x),
        }
    }
}

impl Layer for Embedding {
    fn forward(&self, ids: &Array) -> Result<Array> {
        match self {
            Embedding::Dense(table) => table.forward(ids),
            Embedding::Quantized(table) => table.forward(ids),
        }
    }
}
