//! Owns the feed-forward layers.

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};

use super::Linear;
use crate::Weights;

/// A feed-forward layer whose activation gates a second projection (SwiGLU and its like).
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_lm::{Weights, layers::GatedMlp};
/// use olivine_nn::{Activation, Layer};
/// let mlp = GatedMlp::new(&Weights::random(), 8, 16, false, Activation::Silu)?;
/// let x = Array::ones([1, 8], Dtype::Float32)?;
/// assert_eq!(mlp.forward(&x)?.shape(), x.shape());
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct GatedMlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    #[module(skip)]
    activation: Activation,
}

impl GatedMlp {
    /// A layer of the given width, `inner` wide inside.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Weights, layers::GatedMlp};
    /// use olivine_nn::{Activation, Module};
    /// let mlp = GatedMlp::new(&Weights::random(), 8, 16, true, Activation::Gelu)?;
    /// assert_eq!(mlp.num_parameters(), 3 * 8 * 16 + 16 + 16 + 8);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn new(
        weights: &Weights,
        width: usize,
        inner: usize,
        bias: bool,
        activation: Activation,
    ) -> crate::Result<Self> {
        Ok(GatedMlp {
            gate_proj: weights.linear("gate_proj", width, inner, bias)?,
            up_proj: weights.linear("up_proj", width, inner, bias)?,
            down_proj: weights.linear("down_proj", inner, width, bias)?,
            activation,
        })
    }
}

impl Layer for GatedMlp {
    fn forward(&self, x: &Array) -> Result<Array> {
        let gate = self.activation.forward(&self.gate_proj.forward(x)?)?;
        self.down_proj
            .forward(&gate.multiply(self.up_proj.forward(x)?)?)
    }
}

/// A feed-forward layer of two projections with an activation between them.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_lm::{Weights, layers::Mlp};
/// use olivine_nn::{Activation, Layer};
/// let mlp = Mlp::new(&Weights::random(), ["fc1", "fc2"], [8, 16], true, Activation::GeluTanh)?;
/// let x = Array::ones([1, 8], Dtype::Float32)?;
/// assert_eq!(mlp.forward(&x)?.shape(), x.shape());
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mlp {
    names: [&'static str; 2],
    layers: [Linear; 2],
    activation: Activation,
}

impl Mlp {
    /// A layer with the sizes `[width, inner]`, whose projections have the given names in files.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Weights, layers::Mlp};
    /// use olivine_nn::{Activation, Module};
    /// let mlp = Mlp::new(&Weights::random(), ["up", "down"], [8, 16], true, Activation::Relu)?;
    /// assert!(mlp.parameters().contains_key("down.bias"));
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn new(
        weights: &Weights,
        names: [&'static str; 2],
        [width, inner]: [usize; 2],
        bias: bool,
        activation: Activation,
    ) -> crate::Result<Self> {
        let layers = [
            weights.linear(names[0], width, inner, bias)?,
            weights.linear(names[1], inner, width, bias)?,
        ];
        Ok(Mlp {
            names,
            layers,
            activation,
        })
    }
}

impl Module for Mlp {
    fn visit(&self, prefix: &str, visitor: &mut dyn FnMut(&str, &olivine_nn::Param)) {
        for (name, layer) in self.names.iter().zip(&self.layers) {
            layer.visit(&olivine_nn::module::join(prefix, name), visitor);
        }
    }

    fn visit_mut(&mut self, prefix: &str, visitor: &mut dyn FnMut(&str, &mut olivine_nn::Param)) {
        for (name, layer) in self.names.iter().zip(&mut self.layers) {
            layer.visit_mut(&olivine_nn::module::join(prefix, name), visitor);
        }
    }

    fn set_training(&mut self, _training: bool) {}
}

impl Layer for Mlp {
    fn forward(&self, x: &Array) -> Result<Array> {
        let inner = self.activation.forward(&self.layers[0].forward(x)?)?;
        self.layers[1].forward(&inner)
    }
}
