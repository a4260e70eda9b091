//! Owns mixtures of experts: matrices of which each token uses a few.

use olivine_core::{Array, Ellipsis, Result, quantized::Quantized};
use olivine_nn::{Activation, Layer, Module, Param, QuantizedWeight};

use crate::Weights;

/// One matrix for each expert, plain or packed, and perhaps a vector for each.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, array};
/// use olivine_lm::{Weights, layers::SwitchLinear};
/// let experts = Weights::random().experts("up_proj", [4, 8, 16], false, &|_| String::new())?;
/// let x = Array::ones([1, 3, 1, 1, 8], Dtype::Float32)?; // batch, tokens, 1, 1, width
/// let chosen = array!([[[0, 1], [2, 3], [0, 3]]]); // two experts for each token
/// assert_eq!(experts.forward(&x, &chosen)?.shape().dims(), &[1, 3, 2, 1, 16]);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct SwitchLinear {
    #[module(flatten)]
    pub(crate) matrices: Matrices,
    pub(crate) bias: Option<Param>,
}

#[derive(Clone, Debug, Module)]
pub(crate) enum Matrices {
    Dense { weight: Param },
    Quantized(QuantizedWeight),
}

impl SwitchLinear {
    /// Multiplies rows (…, 1, inputs) by the matrices that `chosen` names, whose shape broadcasts
    /// against the axes before the last two.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, array};
    /// use olivine_lm::Weights;
    /// let experts = Weights::random().experts("up_proj", [4, 8, 16], true, &|_| String::new())?;
    /// let x = Array::ones([5, 1, 8], Dtype::Float32)?;
    /// assert_eq!(experts.forward(&x, &array!([3, 0, 0, 1, 2]))?.shape().dims(), &[5, 1, 16]);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn forward(&self, x: &Array, chosen: &Array) -> Result<Array> {
        let y = match &self.matrices {
            Matrices::Dense { weight } => {
                x.gather_mm(weight.swapaxes(-1, -2)?, None, Some(chosen))?
            }
            Matrices::Quantized(weight) => {
                let packed: Quantized = weight.packed();
                x.gather_qmm(&packed, None, Some(chosen), true)?
            }
        };
        match &self.bias {
            Some(bias) => y.add(bias.take(chosen, 0)?.expand_dims(-2)?),
            None => Ok(y),
        }
    }
}

/// Gated feed-forward layers, one for each expert.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, array};
/// use olivine_lm::{Weights, layers::SwitchGlu};
/// use olivine_nn::Activation;
/// let experts = SwitchGlu::new(&Weights::random(), [4, 8, 16], false, Activation::Silu, &|_, _| String::new())?;
/// let x = Array::ones([1, 3, 8], Dtype::Float32)?;
/// let chosen = array!([[[0, 1], [2, 3], [0, 3]]]);
/// assert_eq!(experts.forward(&x, &chosen)?.shape().dims(), &[1, 3, 2, 8]);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct SwitchGlu {
    gate_proj: SwitchLinear,
    up_proj: SwitchLinear,
    down_proj: SwitchLinear,
    #[module(skip)]
    activation: Activation,
}

impl SwitchGlu {
    /// Layers of `[experts, width, inner]`. Where files hold every expert on its own, `single`
    /// gives the full name of the projection `gate_proj`, `up_proj` or `down_proj` of one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Weights, layers::SwitchGlu};
    /// use olivine_nn::{Activation, Module};
    /// let name = |expert: usize, projection: &str| format!("experts.{expert}.{projection}");
    /// let experts = SwitchGlu::new(&Weights::random(), [4, 8, 16], false, Activation::Silu, &name)?;
    /// assert_eq!(experts.num_parameters(), 4 * 3 * 8 * 16);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn new(
        weights: &Weights,
        [experts, width, inner]: [usize; 3],
        bias: bool,
        activation: Activation,
        single: &dyn Fn(usize, &str) -> String,
    ) -> crate::Result<Self> {
        let layer = |name: &str, inputs, outputs| {
            weights.experts(name, [experts, inputs, outputs], bias, &|e| single(e, name))
        };
        Ok(SwitchGlu {
            gate_proj: layer("gate_proj", width, inner)?,
            up_proj: layer("up_proj", width, inner)?,
            down_proj: layer("down_proj", inner, width)?,
            activation,
        })
    }

    /// What the chosen experts (batch, tokens, count) make of `x` (batch, tokens, width):
    /// (batch, tokens, count, width).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, array};
    /// use olivine_lm::{Weights, layers::SwitchGlu};
    /// use olivine_nn::Activation;
    /// let experts = SwitchGlu::new(&Weights::random(), [2, 8, 16], false, Activation::Silu, &|_, _| String::new())?;
    /// let x = Array::ones([1, 1, 8], Dtype::Float32)?;
    /// assert_eq!(experts.forward(&x, &array!([[[1]]]))?.shape().dims(), &[1, 1, 1, 8]);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn forward(&self, x: &Array, chosen: &Array) -> Result<Array> {
        self.forward_with(x, chosen, |gate, up| {
            self.activation.forward(gate)?.multiply(up)
        })
    }

    /// As [`SwitchGlu::forward`], with another way to join the gate and the second projection.
    pub(crate) fn forward_with(
        &self,
        x: &Array,
        chosen: &Array,
        join: impl Fn(&Array, &Array) -> Result<Array>,
    ) -> Result<Array> {
        let x = x.expand_dims(-2)?.expand_dims(-2)?;
        let gate = self.gate_proj.forward(&x, chosen)?;
        let up = self.up_proj.forward(&x, chosen)?;
        self.down_proj
            .forward(&join(&gate, &up)?, chosen)?
            .squeeze(-2)
    }
}

/// The numbers of the `count` experts with the largest scores, of (…, experts), in no order.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::layers::top_experts;
/// let chosen = top_experts(&array!([[0.1, 0.7, 0.2]]), 1)?;
/// assert_eq!(chosen.astype(olivine_core::Dtype::Int32)?.to_vec::<i32>()?, [1]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn top_experts(scores: &Array, count: usize) -> Result<Array> {
    let all = scores.dim(-1)?;
    if count == 0 || count > all {
        let reason = format!("{count} of {all} experts cannot be chosen");
        return Err(olivine_core::Error::Argument {
            op: "top_experts",
            reason,
        });
    }
    scores
        .argpartition(-(count as i64), -1)?
        .index((Ellipsis, -(count as i64)..))
}

/// The sum of what experts made (batch, tokens, count, width), weighted (batch, tokens, count).
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::layers::weighted;
/// let made = array!([[[[1.0], [10.0]]]]);
/// assert_eq!(weighted(&made, &array!([[[0.5, 0.1]]]))?.to_vec::<f32>()?, [1.5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn weighted(made: &Array, weights: &Array) -> Result<Array> {
    made.multiply(weights.expand_dims(-1)?)?
        .sum(-2)?
        .astype(made.dtype())
}
