//! Owns the Command R7B and Command A family: parallel layers, and windows that alone have positions.

use std::num::NonZeroUsize;

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use crate::{
    Cache, Family, LanguageModel, ModelConfig, Sequences, Weights,
    layers::{Attention, AttentionShape, Block, CausalLm, GatedMlp, LayerType, Norm, Windows},
};

crate::family! { Family::new(&["cohere2"], build) }

#[derive(Deserialize)]
#[serde(default)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    intermediate_size: usize,
    vocab_size: usize,
    layer_norm_eps: f64,
    layer_norm_bias: bool,
    attention_bias: bool,
    logit_scale: f32,
    sliding_window: usize,
    sliding_window_pattern: NonZeroUsize,
    layer_types: Option<Vec<LayerType>>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            hidden_size: 4096,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 8,
            head_dim: 128,
            intermediate_size: 14336,
            vocab_size: 256_000,
            layer_norm_eps: 1e-5,
            layer_norm_bias: false,
            attention_bias: false,
            logit_scale: 0.0625,
            sliding_window: 4096,
            sliding_window_pattern: const { NonZeroUsize::new(4).expect("4 is not zero") },
            layer_types: None,
        }
    }
}

/// A block whose parts work on the same normalised input.
#[derive(Clone, Debug, Module)]
struct Parallel {
    self_attn: Attention,
    mlp: GatedMlp,
    input_layernorm: Norm,
}

impl Block for Parallel {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let normed = self.input_layernorm.forward(x)?;
        let mixed = self.self_attn.forward(&normed, cache, sequences)?;
        mixed.add(self.mlp.forward(&normed)?)?.add(x)
    }

    fn cache(&self) -> Cache {
        Block::cache(&self.self_attn)
    }
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads) = (c.hidden_size, c.num_attention_heads);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(Some(c.head_dim), width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    let rope = config.turns(shape.head_dim, 50_000.0, true)?;
    let windows = Windows {
        size: Some(c.sliding_window),
        listed: c.layer_types,
        pattern: Some(c.sliding_window_pattern),
    };
    let norm = |weights: &Weights, name: &str| {
        weights.layer_norm(name, width, c.layer_norm_eps, c.layer_norm_bias)
    };
    let block = |weights: &Weights, number: usize| {
        let rope = windows.hides(number).then(|| rope.clone());
        let heads = shape.heads(rope, windows.reach(number));
        let (mlp, inner) = (weights.at("mlp"), c.intermediate_size);
        Ok(Parallel {
            self_attn: Attention::new(&weights.at("self_attn"), shape, heads)?,
            mlp: GatedMlp::new(&mlp, width, inner, false, Activation::Silu)?,
            input_layernorm: norm(weights, "input_layernorm")?,
        })
    };
    let last = norm(weights, "model.norm")?;
    let sizes = [c.vocab_size, width];
    let mut model = CausalLm::new(weights, sizes, true, last, c.num_hidden_layers, block)?;
    model.logit_scale = Some(c.logit_scale);
    weights.finish()?;
    Ok(Box::new(model))
}
