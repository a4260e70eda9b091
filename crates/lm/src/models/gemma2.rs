//! Owns the Gemma 2 family: norms around every layer, and scores and logits that are squeezed.

use olivine_nn::Activation;
use serde::Deserialize;

use crate::{
    AttentionRule, Family, LanguageModel, ModelConfig, Reach, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, GatedMlp, Heads, LayerType, Sandwich},
};

crate::family! { Family::new(&["gemma2"], build) }

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
    #[serde(default = "score_cap")]
    attn_logit_softcapping: f32,
    #[serde(default = "logit_cap")]
    final_logit_softcapping: f32,
    #[serde(default = "pre_attention_scalar")]
    query_pre_attn_scalar: f32,
    sliding_window: Option<usize>,
    layer_types: Option<Vec<LayerType>>,
}

fn score_cap() -> f32 {
    50.0
}

fn logit_cap() -> f32 {
    30.0
}

fn pre_attention_scalar() -> f32 {
    144.0
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
    let block = |weights: &Weights, number: usize| {
        let slides = match &c.layer_types {
            Some(types) => types.get(number) == Some(&LayerType::SlidingAttention),
            None => number.is_multiple_of(2),
        };
        let rule = AttentionRule {
            scale: c.query_pre_attn_scalar.powf(-0.5),
            reach: Reach::window(c.sliding_window.filter(|_| slides)),
            softcap: Some(c.attn_logit_softcapping),
            sinks: None,
        };
        let heads = Heads {
            rope: Some(rope.clone()),
            rule,
        };
        let mlp = weights.at("mlp");
        let mlp = GatedMlp::new(
            &mlp,
            width,
            c.intermediate_size,
            false,
            Activation::GeluTanh,
        )?;
        let attention = Attention::new(&weights.at("self_attn"), shape, heads)?;
        let norm = |name: &str| weights.rms_norm_plus_one(name, width, c.rms_norm_eps);
        Sandwich::new(attention, mlp, norm)
    };
    let norm = weights.rms_norm_plus_one("model.norm", width, c.rms_norm_eps)?;
    let sizes = [c.vocab_size, width];
    let mut model = CausalLm::new(weights, sizes, true, norm, c.num_hidden_layers, block)?;
    model.embedding_scale = Some((width as f32).sqrt());
    model.logit_softcap = Some(c.final_logit_softcapping);
    weights.finish()?;
    Ok(Box::new(model))
}
