//! Owns the Gemma 3 family: windows with a base of their own, and normalised queries and keys.
//! Of the models that see pictures too, only the part that deals with text is loaded.

use std::num::NonZeroUsize;

use olivine_core::{Array, Dtype};
use olivine_nn::Activation;
use serde::Deserialize;

use crate::{
    AttentionRule, Family, LanguageModel, ModelConfig, Result, RopeConfig, Weights,
    layers::{
        Attention, AttentionShape, CausalLm, GatedMlp, Heads, LayerType, Names, Rope, RopeScaling,
        Sandwich, Windows,
    },
};

crate::family! { Family::new(&["gemma3_text"], |config, weights| build(config, weights, ALONE)) }
crate::family! { Family::new(&["gemma3"], with_pictures) }

#[derive(Deserialize)]
#[serde(default)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    rope_local_base_freq: f64,
    query_pre_attn_scalar: f32,
    sliding_window: usize,
    sliding_window_pattern: NonZeroUsize,
    layer_types: Option<Vec<LayerType>>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            hidden_size: 1152,
            num_hidden_layers: 26,
            num_attention_heads: 4,
            num_key_value_heads: 1,
            head_dim: 256,
            intermediate_size: 6912,
            vocab_size: 262_144,
            rms_norm_eps: 1e-6,
            rope_local_base_freq: 10_000.0,
            query_pre_attn_scalar: 256.0,
            sliding_window: 512,
            sliding_window_pattern: const { NonZeroUsize::new(6).expect("6 is not zero") },
            layer_types: None,
        }
    }
}

/// What differs between the model alone and as a part of one that sees pictures.
struct Place {
    names: Names,
    vocab_size: Option<usize>,
    heads: Option<[usize; 2]>,
}

const ALONE: Place = Place {
    names: Names::USUAL,
    vocab_size: None,
    heads: None,
};

/// The fields beside `text_config`, and those in it whose defaults differ.
#[derive(Deserialize)]
struct Outer {
    #[serde(default = "vocabulary")]
    vocab_size: usize,
    text_config: Inner,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default = "eight")]
    num_attention_heads: usize,
    #[serde(default = "four")]
    num_key_value_heads: usize,
}

fn vocabulary() -> usize {
    262_208
}

fn eight() -> usize {
    8
}

fn four() -> usize {
    4
}

fn with_pictures(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    let Outer {
        vocab_size,
        text_config: inner,
    } = config.read()?;
    let weights = weights.renamed(|name| {
        let pictures = ["vision_tower.", "multi_modal_projector."];
        let bare = name.strip_prefix("model.").unwrap_or(name);
        if pictures.iter().any(|part| bare.starts_with(part)) {
            return None;
        }
        // Newer exports say `model.language_model.layers`, older ones `language_model.model.layers`.
        Some(match (name.strip_prefix("model.language_model."), name) {
            (Some(rest), _) => format!("language_model.model.{rest}"),
            (None, "lm_head.weight") => "language_model.lm_head.weight".to_owned(),
            (None, name) => name.to_owned(),
        })
    });
    let names = Names {
        embeddings: "language_model.model.embed_tokens",
        layers: "language_model.model.layers",
        norm: "language_model.model.norm",
        head: "language_model.lm_head",
    };
    let heads = Some([inner.num_attention_heads, inner.num_key_value_heads]);
    build(
        &config.text()?,
        &weights,
        Place {
            names,
            vocab_size: Some(vocab_size),
            heads,
        },
    )
}

fn build(config: &ModelConfig, weights: &Weights, place: Place) -> Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, eps, names) = (c.hidden_size, c.rms_norm_eps, place.names);
    let [heads, kv_heads] = place
        .heads
        .unwrap_or([c.num_attention_heads, c.num_key_value_heads]);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads,
        head_dim: config.head_dim(Some(c.head_dim), width, heads)?,
        ..AttentionShape::default()
    };
    let far = match config.rope_of("full_attention", 1e6)? {
        Some(far) => far,
        None => config.rope_or(1e6)?,
    };
    let near = config.rope_of("sliding_attention", c.rope_local_base_freq)?;
    let near = near.unwrap_or(RopeConfig {
        theta: c.rope_local_base_freq,
        scaling: RopeScaling::Default,
    });
    let [near, far] =
        [near, far].map(|rope| Rope::new(shape.head_dim, rope.theta, false, &rope.scaling));
    let (near, far) = (near?, far?);
    let windows = Windows {
        size: Some(c.sliding_window),
        listed: c.layer_types,
        pattern: Some(c.sliding_window_pattern),
    };
    let block = |weights: &Weights, number: usize| {
        let rope = if windows.hides(number) { &near } else { &far };
        let rule = AttentionRule {
            scale: c.query_pre_attn_scalar.powf(-0.5),
            reach: windows.reach(number),
            ..AttentionRule::default()
        };
        let own = weights.at("self_attn");
        let heads = Heads {
            rope: Some(rope.clone()),
            rule,
        };
        let mut attention = Attention::new(&own, shape, heads)?;
        attention.q_norm = Some(own.rms_norm_plus_one("q_norm", shape.head_dim, eps)?);
        attention.k_norm = Some(own.rms_norm_plus_one("k_norm", shape.head_dim, eps)?);
        let mlp = weights.at("mlp");
        let mlp = GatedMlp::new(
            &mlp,
            width,
            c.intermediate_size,
            false,
            Activation::GeluTanh,
        )?;
        Sandwich::new(attention, mlp, |name| {
            weights.rms_norm_plus_one(name, width, eps)
        })
    };
    let norm = weights.rms_norm_plus_one(names.norm, width, eps)?;
    let sizes = [place.vocab_size.unwrap_or(c.vocab_size), width];
    // The files alone say whether the output has a table of its own.
    let head = weights.at(names.head);
    let tied = !head.has("weight") && !weights.is_random();
    let layers = (c.num_hidden_layers, block);
    let mut model = CausalLm::named(weights, names, sizes, tied, norm, layers)?;
    // The factor is a number of bfloat16 whatever the weights are.
    let scale = Array::scalar((width as f32).sqrt()).astype(Dtype::BFloat16)?;
    model.embedding_scale = Some(scale.astype(Dtype::Float32)?.item()?);
    weights.finish()?;
    Ok(Box::new(model))
}
