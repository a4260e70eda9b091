//! Owns the embedding layer.

use olivine_core::{Array, Result};

use crate::{Layer, Module, Param, init};

/// Looks up a vector for each integer.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_nn::{Embedding, Layer};
/// let table = Array::from_slice(&[0.0f32, 0.0, 1.0, 2.0], [2, 2])?;
/// let embedding = Embedding { weight: table.into() };
/// let ids = Array::from_slice(&[1i32, 0, 1], [3])?;
/// assert_eq!(embedding.forward(&ids)?.to_vec::<f32>()?, [1.0, 2.0, 0.0, 0.0, 1.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct Embedding {
    /// The vectors, as rows: of shape (count, size).
    pub weight: Param,
}

impl Embedding {
    /// A table of `count` vectors of `size` elements, which start normally distributed with
    /// variance `1 / size`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Embedding, Layer};
    /// let embedding = Embedding::new(100, 8)?;
    /// assert_eq!(embedding.forward(&array!([[1, 2, 3]]))?.shape().dims(), &[1, 3, 8]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(count: usize, size: usize) -> Result<Self> {
        let deviation = 1.0 / (size.max(1) as f32).sqrt();
        Ok(Embedding {
            weight: init::normal([count, size], 0.0, deviation)?.into(),
        })
    }

    /// Multiplies by the table as a [`Linear`](crate::Linear) layer does: models that share it
    /// between input and output compute their logits so.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::Embedding;
    /// let embedding = Embedding { weight: array!([[1.0, 0.0], [0.0, 2.0]]).into() };
    /// assert_eq!(embedding.as_linear(&array!([[3.0, 4.0]]))?.to_vec::<f32>()?, [3.0, 8.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn as_linear(&self, x: &Array) -> Result<Array> {
        x.matmul(self.weight.transpose([1, 0])?)
    }
}

impl Layer for Embedding {
    fn forward(&self, ids: &Array) -> Result<Array> {
        self.weight.take(ids, 0)
    }
}
