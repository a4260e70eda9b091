//! Owns the StarCoder 2 family: biases everywhere and a feed-forward layer without a gate.

use olivine_nn::Activation;
use serde::Deserialize;

use super::yes;
use crate::{
    Family, LanguageModel, ModelConfig, Reach, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, Mlp, PreNorm},
};

crate::family! { Family::new(&["starcoder2"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    intermediate_size: usize,
    #[serde(default = "vocabulary")]
    vocab_size: usize,
    #[serde(default = "epsilon")]
    norm_epsilon: f64,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
    sliding_window: Option<usize>,
}

fn vocabulary() -> usize {
    49152
}

fn epsilon() -> f64 {
    1e-5
}

fn build(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads) = (c.hidden_size, c.num_attention_heads);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(None, width, heads)?,
        bias: true,
        output_bias: true,
    };
    let rope = config.turns(shape.head_dim, 100_000.0, false)?;
    let reach = Reach::window(c.sliding_window);
    let block = |weights: &Weights, _number: usize| {
        let heads = shape.heads(Some(rope.clone()), reach);
        let attention = Attention::new(&weights.at("self_attn"), shape, heads)?;
        let (names, sizes) = (["c_fc", "c_proj"], [width, c.intermediate_size]);
        let mlp = Mlp::new(&weights.at("mlp"), names, sizes, true, Activation::Gelu)?;
        let norm = |name: &str| weights.layer_norm(name, width, c.norm_epsilon, true);
        PreNorm::new(attention, mlp, reach, norm)
    };
    let norm = weights.layer_norm("model.norm", width, c.norm_epsilon, true)?;
    let (sizes, tied, layers) = (
        [c.vocab_size, width],
        c.tie_word_embeddings,
        c.num_hidden_layers,
    );
    let model = CausalLm::new(weights, sizes, tied, norm, layers, block)?;
    weights.finish()?;
    Ok(Box::new(model))
}
