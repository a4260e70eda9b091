//! Owns the Qwen 2 family: biases on queries, keys and values.

use olivine_nn::Activation;
use serde::Deserialize;

use super::yes;
use crate::{
    Family, LanguageModel, ModelConfig, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, GatedMlp, LayerType, PreNorm, Windows},
};

crate::family! { Family::new(&["qwen2"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    #[serde(default)]
    rope_traditional: bool,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
    #[serde(default)]
    use_sliding_window: bool,
    sliding_window: Option<usize>,
    #[serde(default)]
    max_window_layers: usize,
    layer_types: Option<Vec<LayerType>>,
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
        output_bias: false,
    };
    let rope = config.turns(shape.head_dim, 1e6, c.rope_traditional)?;
    let windows = Windows {
        size: c.sliding_window.filter(|_| c.use_sliding_window),
        listed: c.layer_types,
        pattern: None,
    };
    let block = |weights: &Weights, number: usize| {
        let reach = match windows.listed {
            None if number < c.max_window_layers => crate::Reach::default(),
            _ => windows.reach(number),
        };
        let heads = shape.heads(Some(rope.clone()), reach);
        let mlp = weights.at("mlp");
        let mlp = GatedMlp::new(&mlp, width, c.intermediate_size, false, Activation::Silu)?;
        let attention = Attention::new(&weights.at("self_attn"), shape, heads)?;
        let norm = |name: &str| weights.rms_norm(name, width, c.rms_norm_eps);
        PreNorm::new(attention, mlp, reach, norm)
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
