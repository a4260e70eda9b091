//! Owns the dense Granite family: multipliers of embeddings, scores, residuals and logits.

use olivine_nn::Activation;
use serde::Deserialize;

use super::yes;
use crate::{
    AttentionRule, Family, LanguageModel, ModelConfig, Reach, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, GatedMlp, Heads, PreNorm},
};

crate::family! { Family::new(&["granite"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    attention_bias: bool,
    mlp_bias: bool,
    logits_scaling: f32,
    attention_multiplier: f32,
    embedding_multiplier: f32,
    residual_multiplier: f32,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

fn build(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads) = (c.hidden_size, c.num_attention_heads);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(None, width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    let rope = config.turns(shape.head_dim, 10_000.0, false)?;
    let rule = AttentionRule {
        scale: c.attention_multiplier,
        ..AttentionRule::default()
    };
    let heads = Heads {
        rope: Some(rope),
        rule,
    };
    let block = |weights: &Weights, _number: usize| {
        let attention = Attention::new(&weights.at("self_attn"), shape, heads.clone())?;
        let (mlp, inner) = (weights.at("mlp"), c.intermediate_size);
        let mlp = GatedMlp::new(&mlp, width, inner, c.mlp_bias, Activation::Silu)?;
        let norm = |name: &str| weights.rms_norm(name, width, c.rms_norm_eps);
        let mut block = PreNorm::new(attention, mlp, Reach::All, norm)?;
        block.residual_scale = Some(c.residual_multiplier);
        Ok(block)
    };
    let norm = weights.rms_norm("model.norm", width, c.rms_norm_eps)?;
    let (sizes, tied, layers) = (
        [c.vocab_size, width],
        c.tie_word_embeddings,
        c.num_hidden_layers,
    );
    let mut model = CausalLm::new(weights, sizes, tied, norm, layers, block)?;
    model.embedding_scale = Some(c.embedding_multiplier);
    model.logit_scale = Some(c.logits_scaling.recip());
    weights.finish()?;
    Ok(Box::new(model))
}
