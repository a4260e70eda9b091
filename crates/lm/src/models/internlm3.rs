//! Owns the InternLM 3 family: as Llama, with two switches for biases.

use olivine_nn::Activation;
use serde::Deserialize;

use crate::{
    Family, LanguageModel, ModelConfig, Reach, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, GatedMlp, PreNorm},
};

crate::family! { Family::new(&["internlm3"], build) }

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
    bias: bool,
    #[serde(default)]
    qkv_bias: bool,
    #[serde(default)]
    rope_traditional: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

fn build(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads) = (c.hidden_size, c.num_attention_heads);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads.unwrap_or(heads),
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.qkv_bias,
        output_bias: c.qkv_bias,
    };
    let rope = config.turns(shape.head_dim, 10_000.0, c.rope_traditional)?;
    let block = |weights: &Weights, _number: usize| {
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let attention = Attention::new(&weights.at("self_attn"), shape, heads)?;
        let (mlp, inner) = (weights.at("mlp"), c.intermediate_size);
        let mlp = GatedMlp::new(&mlp, width, inner, c.bias, Activation::Silu)?;
        let norm = |name: &str| weights.rms_norm(name, width, c.rms_norm_eps);
        PreNorm::new(attention, mlp, Reach::All, norm)
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
