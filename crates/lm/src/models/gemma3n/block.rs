//! Owns a block of Gemma 3n: attention and a low-rank layer, sparse activations, inputs of its own.

use olivine_core::{Array, Result, concatenate};
use olivine_nn::{Activation, Layer, Module};

use super::{altup::AltUp, attention::Attention};
use crate::{
    Sequences,
    layers::{Linear, Norm},
};

/// A gated feed-forward layer of which only the largest inputs of the activation may count.
#[derive(Clone, Debug, Module)]
pub(super) struct SparseMlp {
    pub(super) gate_proj: Linear,
    pub(super) up_proj: Linear,
    pub(super) down_proj: Linear,
    /// How many standard deviations above the mean inputs start to count.
    pub(super) cutoff: Option<f32>,
}

impl Layer for SparseMlp {
    fn forward(&self, x: &Array) -> Result<Array> {
        let mut gate = self.gate_proj.forward(x)?;
        if let Some(cutoff) = self.cutoff {
            let (mean, deviation) = (gate.mean(-1)?.expand_dims(-1)?, gate.std(-1, 0)?);
            let least = mean.add(deviation.expand_dims(-1)?.multiply(cutoff)?)?;
            gate = gate.subtract(least)?.maximum(0.0)?;
        }
        let gate = Activation::GeluTanh.forward(&gate)?;
        self.down_proj
            .forward(&gate.multiply(self.up_proj.forward(x)?)?)
    }
}

/// A low-rank layer beside attention.
#[derive(Clone, Debug, Module)]
pub(super) struct Laurel {
    pub(super) linear_left: Linear,
    pub(super) linear_right: Linear,
    pub(super) post_laurel_norm: Norm,
}

impl Layer for Laurel {
    fn forward(&self, x: &Array) -> Result<Array> {
        let narrow = self.linear_left.forward(x)?;
        x.add(
            self.post_laurel_norm
                .forward(&self.linear_right.forward(&narrow)?)?,
        )
    }
}

/// A block that works on one of the streams.
#[derive(Clone, Debug, Module)]
pub(super) struct Gemma3nBlock {
    pub(super) self_attn: Attention,
    pub(super) mlp: SparseMlp,
    pub(super) input_layernorm: Norm,
    pub(super) post_attention_layernorm: Norm,
    pub(super) pre_feedforward_layernorm: Norm,
    pub(super) post_feedforward_layernorm: Norm,
    pub(super) altup: AltUp,
    pub(super) laurel: Laurel,
    pub(super) per_layer_input_gate: Linear,
    pub(super) per_layer_projection: Linear,
    pub(super) post_per_layer_input_norm: Norm,
    pub(super) scales: bool,
}

impl Gemma3nBlock {
    /// The streams after the block, whose own input of each token is (batch, tokens, size).
    pub(super) fn forward(
        &self,
        streams: &Array,
        own: &Array,
        sequences: &mut Sequences<'_>,
    ) -> Result<Array> {
        let predicted = self.altup.predict(streams)?;
        let x = predicted.index(self.altup.active as i64)?;
        let normed = self.input_layernorm.forward(&x)?;
        let beside = self.laurel.forward(&normed)?;
        let mixed = self.self_attn.forward(&normed, sequences)?;
        let mixed = x.add(self.post_attention_layernorm.forward(&mixed)?)?;
        let x = mixed.add(beside)?.multiply(0.5f32.sqrt())?;
        let y = self
            .mlp
            .forward(&self.pre_feedforward_layernorm.forward(&x)?)?;
        let x = x.add(self.post_feedforward_layernorm.forward(&y)?)?;
        let corrected = self.altup.correct(&predicted, &x)?;
        let mut first = corrected.index(self.altup.active as i64)?;
        if self.scales {
            first = first.multiply(&self.altup.correct_output_scale)?;
        }
        let gate = Activation::GeluTanh.forward(&self.per_layer_input_gate.forward(&first)?)?;
        let added = self.per_layer_projection.forward(&gate.multiply(own)?)?;
        let added = self.post_per_layer_input_norm.forward(&added)?;
        concatenate(
            &[corrected.index(..1)?, corrected.index(1..)?.add(added)?],
            0,
        )
    }
}
