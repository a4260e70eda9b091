//! Owns feed-forward layers that keep the gate and the second projection in one matrix.

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};

use super::Linear;
use crate::Weights;

/// As `GatedMlp`, with the rows of both first projections one after the other.
#[derive(Clone, Debug, Module)]
pub(crate) struct FusedMlp {
    gate_up_proj: Linear,
    down_proj: Linear,
    #[module(skip)]
    activation: Activation,
}

impl FusedMlp {
    pub(crate) fn new(
        weights: &Weights,
        width: usize,
        inner: usize,
        activation: Activation,
    ) -> crate::Result<Self> {
        Ok(FusedMlp {
            gate_up_proj: weights.linear("gate_up_proj", width, 2 * inner, false)?,
            down_proj: weights.linear("down_proj", inner, width, false)?,
            activation,
        })
    }
}

impl Layer for FusedMlp {
    fn forward(&self, x: &Array) -> Result<Array> {
        let halves = self.gate_up_proj.forward(x)?.split(2, -1)?;
        self.down_proj
            .forward(&self.activation.forward(&halves[0])?.multiply(&halves[1])?)
    }
}
