//! Owns the OLMo 2 family: norms after each layer, and over all queries or keys together.

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use super::yes;
use crate::{
    Family, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{Attention, AttentionShape, Block, CausalLm, GatedMlp, Norm},
};

crate::family! { Family::new(&["olmo2"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    rope_traditional: bool,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

/// A block that normalises what its parts add.
#[derive(Clone, Debug, Module)]
struct PostNorm {
    self_attn: Attention,
    mlp: GatedMlp,
    post_attention_layernorm: Norm,
    post_feedforward_layernorm: Norm,
}

impl Block for PostNorm {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let mixed = self.self_attn.forward(x, cache, sequences)?;
        let x = x.add(self.post_attention_layernorm.forward(&mixed)?)?;
        let y = self.mlp.forward(&x)?;
        x.add(self.post_feedforward_layernorm.forward(&y)?)
    }
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads.unwrap_or(heads),
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    let rope = config.turns(shape.head_dim, 10_000.0, c.rope_traditional)?;
    let block = |weights: &Weights, _number: usize| {
        let own = weights.at("self_attn");
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let mut attention = Attention::new(&own, shape, heads)?;
        let norm = |name: &str, heads: usize| own.rms_norm(name, heads * shape.head_dim, eps);
        attention.q_norm = Some(norm("q_norm", shape.heads)?);
        attention.k_norm = Some(norm("k_norm", shape.kv_heads)?);
        attention.joint_norms = true;
        let (mlp, inner) = (weights.at("mlp"), c.intermediate_size);
        Ok(PostNorm {
            self_attn: attention,
            mlp: GatedMlp::new(&mlp, width, inner, c.mlp_bias, Activation::Silu)?,
            post_attention_layernorm: weights.rms_norm("post_attention_layernorm", width, eps)?,
            post_feedforward_layernorm: weights.rms_norm(
                "post_feedforward_layernorm",
                width,
                eps,
            )?,
        })
    };
    let norm = weights.rms_norm("model.norm", width, eps)?;
    let (sizes, tied, layers) = (
        [c.vocab_size, width],
        c.tie_word_embeddings,
        c.num_hidden_layers,
    );
    let model = CausalLm::new(weights, sizes, tied, norm, layers, block)?;
    weights.finish()?;
    Ok(Box::new(model))
}
