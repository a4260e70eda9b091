//! Owns the first Gemma family: large embeddings and norms whose weights are offsets from one.

use olivine_nn::Activation;
use serde::Deserialize;

use crate::{
    Family, LanguageModel, ModelConfig, Reach, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, GatedMlp, PreNorm},
};

crate::family! { Family::new(&["gemma"], build) }

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
    #[serde(default)]
    rope_traditional: bool,
}

fn build(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let width = c.hidden_size;
    let shape = AttentionShape {
        width,
        heads: c.num_attention_heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(Some(c.head_dim), width, c.num_attention_heads)?,
        ..AttentionShape::default()
    };
    let rope = config.turns(shape.head_dim, 10_000.0, c.rope_traditional)?;
    let block = |weights: &Weights, _number: usize| {
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let mlp = weights.at("mlp");
        let mlp = GatedMlp::new(&mlp, width, c.intermediate_size, false, Activation::Gelu)?;
        let attention = Attention::new(&weights.at("self_attn"), shape, heads)?;
        let norm = |name: &str| weights.rms_norm_plus_one(name, width, c.rms_norm_eps);
        PreNorm::new(attention, mlp, Reach::All, norm)
    };
    let norm = weights.rms_norm_plus_one("model.norm", width, c.rms_norm_eps)?;
    let sizes = [c.vocab_size, width];
    let mut model = CausalLm::new(weights, sizes, true, norm, c.num_hidden_layers, block)?;
    model.embedding_scale = Some((width as f32).sqrt());
    weights.finish()?;
    Ok(Box::new(model))
}
