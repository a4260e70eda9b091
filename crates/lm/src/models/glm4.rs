//! Owns the dense GLM 4 family: norms around every layer, and half of each head turned.

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use super::yes;
use crate::{
    Family, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{Attention, AttentionShape, Block, CausalLm, FusedMlp, Norm},
};

crate::family! { Family::new(&["glm4"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    attention_bias: bool,
    #[serde(default = "yes")]
    rope_traditional: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

/// A block with norms around both of its parts.
#[derive(Clone, Debug, Module)]
struct Glm4Block {
    self_attn: Attention,
    mlp: FusedMlp,
    input_layernorm: Norm,
    post_attention_layernorm: Norm,
    post_self_attn_layernorm: Norm,
    post_mlp_layernorm: Norm,
}

impl Block for Glm4Block {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let normed = self.input_layernorm.forward(x)?;
        let mixed = self.self_attn.forward(&normed, cache, sequences)?;
        let x = x.add(self.post_self_attn_layernorm.forward(&mixed)?)?;
        let y = self
            .mlp
            .forward(&self.post_attention_layernorm.forward(&x)?)?;
        x.add(self.post_mlp_layernorm.forward(&y)?)
    }
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads) = (c.hidden_size, c.num_attention_heads);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: false,
    };
    let dims = config.turned(shape.head_dim, None)?;
    let rope = config.turns(dims, 10_000.0, c.rope_traditional)?;
    let block = |weights: &Weights, _number: usize| {
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let (mlp, inner) = (weights.at("mlp"), c.intermediate_size);
        let norm = |name: &str| weights.rms_norm(name, width, c.rms_norm_eps);
        Ok(Glm4Block {
            self_attn: Attention::new(&weights.at("self_attn"), shape, heads)?,
            mlp: FusedMlp::new(&mlp, width, inner, Activation::Silu)?,
            input_layernorm: norm("input_layernorm")?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            post_self_attn_layernorm: norm("post_self_attn_layernorm")?,
            post_mlp_layernorm: norm("post_mlp_layernorm")?,
        })
    };
    let norm = weights.rms_norm("model.norm", width, c.rms_norm_eps)?;
    let (sizes, tied, layers) = (
        [c.vocab_size, width],
        c.tie_word_embeddings,
        c.num_hidden_layers,
    );
    let model = CausalLm::new(weights, sizes, tied, norm, layers, block)?;
    weights.finish()?;
    Ok(Box::new(model))
}
