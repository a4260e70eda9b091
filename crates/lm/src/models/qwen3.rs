//! Owns the dense Qwen 3 family: normalised heads of queries and keys.

use olivine_nn::Activation;
use serde::Deserialize;

use crate::{
    Family, LanguageModel, ModelConfig, Reach, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, GatedMlp, PreNorm},
};

crate::family! { Family::new(&["qwen3"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    tie_word_embeddings: bool,
}

fn build(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, eps) = (c.hidden_size, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads: c.num_attention_heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(Some(c.head_dim), width, c.num_attention_heads)?,
        ..AttentionShape::default()
    };
    let rope = config.turns(shape.head_dim, 1e6, false)?;
    let block = |weights: &Weights, _number: usize| {
        let own = weights.at("self_attn");
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let mut attention = Attention::new(&own, shape, heads)?;
        attention.q_norm = Some(own.rms_norm("q_norm", shape.head_dim, eps)?);
        attention.k_norm = Some(own.rms_norm("k_norm", shape.head_dim, eps)?);
        let mlp = weights.at("mlp");
        let mlp = GatedMlp::new(&mlp, width, c.intermediate_size, false, Activation::Silu)?;
        PreNorm::new(attention, mlp, Reach::All, |name| {
            weights.rms_norm(name, width, eps)
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
