//! Owns the layers whose weights are packed into few bits.

use olivine_core::{
    Array, Result,
    quantized::{Quantization, Quantized},
};

use crate::{Embedding, Layer, Linear, Module, Param};

/// A matrix packed into few bits. It is not trained.
///
/// Its parameters have the names that MLX's files use: `weight` for the codes, `scales`, and
/// `biases` where the format has them.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, quantized::Quantization};
/// use olivine_nn::{Module, QuantizedWeight};
/// let packed = Array::ones([2, 64], Dtype::Float32)?.quantize(Quantization::default(), None)?;
/// let weight = QuantizedWeight::from(packed);
/// let names: Vec<String> = weight.parameters().into_keys().collect();
/// assert_eq!(names, ["biases", "scales", "weight"]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct QuantizedWeight {
    weight: Param,
    scales: Param,
    biases: Option<Param>,
    #[module(skip)]
    scheme: Quantization,
    #[module(skip)]
    global_scale: Option<Array>,
}

impl From<Quantized> for QuantizedWeight {
    fn from(packed: Quantized) -> Self {
        QuantizedWeight {
            weight: Param::frozen(packed.codes),
            scales: Param::frozen(packed.scales),
            biases: packed.biases.map(Param::frozen),
            scheme: packed.scheme,
            global_scale: packed.global_scale,
        }
    }
}

impl QuantizedWeight {
    /// The packed matrix, for operations that take one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// use olivine_nn::QuantizedWeight;
    /// let packed = Array::ones([2, 64], Dtype::Float32)?.quantize(Quantization::default(), None)?;
    /// let weight = QuantizedWeight::from(packed);
    /// assert_eq!(weight.packed().shape()?.dims(), &[2, 64]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn packed(&self) -> Quantized {
        Quantized {
            codes: self.weight.value().clone(),
            scales: self.scales.value().clone(),
            biases: self.biases.as_deref().cloned(),
            global_scale: self.global_scale.clone(),
            scheme: self.scheme,
        }
    }

    /// How it is packed.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// use olivine_nn::QuantizedWeight;
    /// let packed = Array::ones([2, 64], Dtype::Float32)?.quantize(Quantization::default(), None)?;
    /// assert_eq!(QuantizedWeight::from(packed).scheme().bits(), 4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn scheme(&self) -> Quantization {
        self.scheme
    }

    /// The rows that `ids` names, unpacked to the dtype of the scales or, where these are bytes,
    /// to bfloat16.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, array, quantized::Quantization};
    /// use olivine_nn::QuantizedWeight;
    /// let packed = Array::ones([5, 64], Dtype::Float32)?.quantize(Quantization::default(), None)?;
    /// let rows = QuantizedWeight::from(packed).rows(&array!([[4, 0]]))?;
    /// assert_eq!(rows.shape().dims(), &[1, 2, 64]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn rows(&self, ids: &Array) -> Result<Array> {
        let chosen = Quantized {
            codes: self.weight.take(ids, 0)?,
            scales: self.scales.take(ids, 0)?,
            biases: match &self.biases {
                Some(biases) => Some(biases.take(ids, 0)?),
                None => None,
            },
            global_scale: self.global_scale.clone(),
            scheme: self.scheme,
        };
        chosen.dequantize(None)
    }
}

/// A [`Linear`] layer with a packed weight: `x @ dequantize(weight).T + bias`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, quantized::Quantization};
/// use olivine_nn::{Layer, Linear, QuantizedLinear};
/// let dense = Linear { weight: Array::ones([2, 64], Dtype::Float32)?.into(), bias: None };
/// let packed = QuantizedLinear::from_linear(&dense, Quantization::default())?;
/// let x = Array::ones([1, 64], Dtype::Float32)?;
/// assert_eq!(packed.forward(&x)?.to_vec::<f32>()?, [64.0, 64.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct QuantizedLinear {
    /// The matrix, of shape (outputs, inputs).
    #[module(flatten)]
    pub weight: QuantizedWeight,
    /// The vector, of shape (outputs,), if there is one.
    pub bias: Option<Param>,
}

impl QuantizedLinear {
    /// Packs the weight of a layer, whose inputs must be a multiple of the group size.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::quantized::Quantization;
    /// use olivine_nn::{Linear, Module, QuantizedLinear};
    /// let layer = QuantizedLinear::from_linear(&Linear::new(64, 2)?, Quantization::affine(32, 8)?)?;
    /// let names: Vec<String> = layer.parameters().into_keys().collect();
    /// assert_eq!(names, ["bias", "biases", "scales", "weight"]);
    /// assert!(layer.trainable_parameters().is_empty() || layer.bias.is_some());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn from_linear(layer: &Linear, scheme: Quantization) -> Result<Self> {
        Ok(QuantizedLinear {
            weight: layer.weight.quantize(scheme, None)?.into(),
            bias: layer.bias.clone(),
        })
    }
}

impl Layer for QuantizedLinear {
    fn forward(&self, x: &Array) -> Result<Array> {
        let y = x.quantized_matmul(&self.weight.packed(), true)?;
        match &self.bias {
            Some(bias) => y.add(bias),
            None => Ok(y),
        }
    }
}

/// An [`Embedding`] with a packed table.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, quantized::Quantization};
/// use olivine_nn::{Embedding, Layer, QuantizedEmbedding};
/// let packed = QuantizedEmbedding::from_embedding(&Embedding::new(10, 64)?, Quantization::default())?;
/// assert_eq!(packed.forward(&array!([[1, 2, 3]]))?.shape().dims(), &[1, 3, 64]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct QuantizedEmbedding {
    /// The vectors, as rows: of shape (count, size).
    #[module(flatten)]
    pub weight: QuantizedWeight,
}

impl QuantizedEmbedding {
    /// Packs a table, whose vectors must be a multiple of the group size long.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::quantized::Quantization;
    /// use olivine_nn::{Embedding, QuantizedEmbedding};
    /// let odd = Embedding::new(10, 40)?;
    /// assert!(QuantizedEmbedding::from_embedding(&odd, Quantization::default()).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn from_embedding(table: &Embedding, scheme: Quantization) -> Result<Self> {
        let weight = table.weight.quantize(scheme, None)?.into();
        Ok(QuantizedEmbedding { weight })
    }

    /// Multiplies by the table, as [`Embedding::as_linear`] does.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// use olivine_nn::{Embedding, QuantizedEmbedding};
    /// let packed = QuantizedEmbedding::from_embedding(&Embedding::new(10, 64)?, Quantization::default())?;
    /// let logits = packed.as_linear(&Array::ones([2, 64], Dtype::Float32)?)?;
    /// assert_eq!(logits.shape().dims(), &[2, 10]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn as_linear(&self, x: &Array) -> Result<Array> {
        x.quantized_matmul(&self.weight.packed(), true)
    }
}

impl Layer for QuantizedEmbedding {
    fn forward(&self, ids: &Array) -> Result<Array> {
        self.weight.rows(ids)
    }
}
