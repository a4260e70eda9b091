//! Owns chains of layers.

use olivine_core::{Array, Result};

use crate::{Layer, Module};

/// A layer of any type that can be copied with the chain it is in.
trait AnyLayer: Layer {
    fn copy(&self) -> Box<dyn AnyLayer>;
}

impl<L: Layer + Clone + 'static> AnyLayer for L {
    fn copy(&self) -> Box<dyn AnyLayer> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn AnyLayer> {
    fn clone(&self) -> Self {
        (**self).copy()
    }
}

/// Applies layers one after the other.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// use olivine_nn::{Activation, Layer, Linear, Module, Sequential};
/// let model = Sequential::new()
///     .then(Linear::new(8, 16)?)
///     .then(Activation::Relu)
///     .then(Linear::new(16, 2)?);
/// assert_eq!(model.forward(&random::normal([4, 8])?)?.shape().dims(), &[4, 2]);
/// assert!(model.parameters().contains_key("layers.2.weight"));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Default, Module)]
pub struct Sequential {
    layers: Vec<Box<dyn AnyLayer>>,
}

impl Sequential {
    /// An empty chain, which returns what it is given.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Layer, Sequential};
    /// let x = array!([1.0, 2.0]);
    /// assert_eq!(Sequential::new().forward(&x)?.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The chain with one more layer at its end.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Activation, Layer, Sequential};
    /// let model = Sequential::new().then(Activation::Relu).then(Activation::Sigmoid);
    /// assert_eq!(model.forward(&array!([-5.0]))?.to_vec::<f32>()?, [0.5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn then(mut self, layer: impl Layer + Clone + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Array) -> Result<Array> {
        self.layers
            .iter()
            .try_fold(x.clone(), |x, layer| layer.forward(&x))
    }
}
