//! Owns the SmolLM 3 family: as Llama, with layers that have no positions.

use std::num::NonZeroUsize;

use olivine_nn::Activation;
use serde::Deserialize;

use super::yes;
use crate::{
    Family, LanguageModel, ModelConfig, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, GatedMlp, LayerType, PreNorm, Windows},
};

crate::family! { Family::new(&["smollm3"], build) }

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
    #[serde(default = "four")]
    no_rope_layer_interval: NonZeroUsize,
    /// One for each layer, and zero where positions do not turn heads.
    no_rope_layers: Option<Vec<u8>>,
    layer_types: Option<Vec<LayerType>>,
    sliding_window: Option<usize>,
}

fn four() -> NonZeroUsize {
    const { NonZeroUsize::new(4).expect("4 is not zero") }
}

fn build(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads) = (c.hidden_size, c.num_attention_heads);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads.unwrap_or(heads),
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    if let Some(listed) = &c.no_rope_layers
        && listed.len() != c.num_hidden_layers
    {
        let problem = format!("lists {} of {} layers", listed.len(), c.num_hidden_layers);
        return Err(config.bad("no_rope_layers", problem));
    }
    let rope = config.turns(shape.head_dim, 10_000.0, c.rope_traditional)?;
    let windows = Windows {
        size: c.sliding_window,
        listed: Some(c.layer_types.unwrap_or_default()),
        pattern: None,
    };
    let block = |weights: &Weights, number: usize| {
        let turns = match &c.no_rope_layers {
            Some(listed) => listed.get(number) != Some(&0),
            None => !(number + 1).is_multiple_of(c.no_rope_layer_interval.get()),
        };
        let reach = windows.reach(number);
        let heads = shape.heads(turns.then(|| rope.clone()), reach);
        let attention = Attention::new(&weights.at("self_attn"), shape, heads)?;
        let (mlp, inner) = (weights.at("mlp"), c.intermediate_size);
        let mlp = GatedMlp::new(&mlp, width, inner, c.mlp_bias, Activation::Silu)?;
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
