//! Owns gpt-oss: experts with clipped gates, attention with sinks, every other layer by a window.

use olivine_core::{Array, step};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use crate::{
    Family, ModelConfig, Reach, Result, Weights,
    layers::{
        Attention, AttentionShape, CausalLm, LayerType, Linear, PreNorm, Router, Scores, SwitchGlu,
        weighted,
    },
    weights::packed::mxfp4_words,
};

crate::family! {
    Family::new(&["gpt_oss"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
#[serde(default)]
struct Config {
    num_hidden_layers: usize,
    num_local_experts: usize,
    num_experts_per_tok: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    hidden_size: usize,
    intermediate_size: usize,
    head_dim: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    sliding_window: usize,
    layer_types: Option<Vec<LayerType>>,
    tie_word_embeddings: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            num_hidden_layers: 36,
            num_local_experts: 128,
            num_experts_per_tok: 4,
            vocab_size: 201_088,
            rms_norm_eps: 1e-5,
            hidden_size: 2880,
            intermediate_size: 2880,
            head_dim: 64,
            num_attention_heads: 64,
            num_key_value_heads: 8,
            sliding_window: 128,
            layer_types: None,
            tie_word_embeddings: false,
        }
    }
}

/// Experts with clipped gates.
#[derive(Clone, Debug, Module)]
struct Experts {
    experts: SwitchGlu,
    router: Linear,
    #[module(skip)]
    choice: Router,
}

impl Layer for Experts {
    fn forward(&self, x: &Array) -> olivine_core::Result<Array> {
        let (chosen, weights) = self.choice.choose(&self.router.forward(x)?, None)?;
        weighted(&self.experts.forward_with(x, &chosen, clipped)?, &weights)
    }
}

/// The gate, by a sharper sigmoid than silu's, times one more than the other projection.
fn clipped(gate: &Array, up: &Array) -> olivine_core::Result<Array> {
    const LIMIT: f32 = 7.0;
    const SHARPNESS: f32 = 1.702;
    let gate = gate.minimum(LIMIT)?;
    let up = up.clip(-LIMIT, LIMIT)?.add(1.0)?;
    gate.multiply(gate.multiply(SHARPNESS)?.sigmoid()?)?
        .multiply(up)
}

/// The published layout, where rows of gates and the other projections take turns, by MLX's names.
fn apart(weights: &Weights) -> Result<Weights> {
    let rows = |x: &Array, first: usize| -> olivine_core::Result<Array> {
        x.index((.., step(first.., 2)))?.contiguous()
    };
    let mut made = Vec::new();
    for name in weights.names() {
        let Some((layer, part)) = name.split_once(".mlp.experts.") else {
            continue;
        };
        let both = part.strip_prefix("gate_up_proj");
        let Some(end) = both.or(part.strip_prefix("down_proj")) else {
            continue;
        };
        let kind = match end {
            "" | "_blocks" => "weight",
            "_scales" => "scales",
            "_bias" => "bias",
            _ => continue,
        };
        let Some(found) = weights.any(&name) else {
            continue;
        };
        let value = match end {
            "" => found.swapaxes(-1, -2)?,
            "_blocks" => mxfp4_words(&found)?,
            _ => found,
        };
        let mut add = |part: &str, value: Array| {
            made.push((format!("{layer}.mlp.experts.{part}.{kind}"), value));
        };
        if both.is_some() {
            add("gate_proj", rows(&value, 0)?);
            add("up_proj", rows(&value, 1)?);
        } else {
            add("down_proj", value);
        }
    }
    Ok(weights.and(made))
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<PreNorm<Experts>>> {
    let c: Config = config.read()?;
    let weights = apart(weights)?;
    let (width, eps) = (c.hidden_size, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads: c.num_attention_heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(Some(c.head_dim), width, c.num_attention_heads)?,
        bias: true,
        output_bias: true,
    };
    let rope = config.turns(shape.head_dim, 150_000.0, false)?;
    let choice = Router::new(Scores::SoftmaxOfChosen, c.num_experts_per_tok, false);
    let block = |weights: &Weights, number: usize| {
        let slides = match &c.layer_types {
            Some(types) => types.get(number) == Some(&LayerType::SlidingAttention),
            None => number.is_multiple_of(2),
        };
        let reach = Reach::window(Some(c.sliding_window).filter(|_| slides));
        let attention = weights.at("self_attn");
        let heads = shape.heads(Some(rope.clone()), reach);
        let mut self_attn = Attention::new(&attention, shape, heads)?;
        let sinks = attention.tensor("sinks", [shape.heads], &|shape| {
            Array::zeros(shape, olivine_core::Dtype::Float32)
        })?;
        self_attn.sinks = Some(sinks.into());
        let own = weights.at("mlp");
        let (experts, at) = (c.num_local_experts, own.at("experts"));
        let single = |expert: usize, name: &str| at.name(format!("{expert}.{name}"));
        let sizes = [experts, width, c.intermediate_size];
        let mlp = Experts {
            experts: SwitchGlu::new(&at, sizes, true, Activation::Silu, &single)?,
            router: own.router("router", width, experts, true)?,
            choice: choice.checked(&own, experts)?,
        };
        PreNorm::new(self_attn, mlp, reach, |name| {
            weights.rms_norm(name, width, eps)
        })
    };
    let norm = weights.rms_norm("model.norm", width, eps)?;
    let sizes = [c.vocab_size, width];
    let tied = c.tie_word_embeddings;
    let model = CausalLm::new(&weights, sizes, tied, norm, c.num_hidden_layers, block)?;
    weights.finish()?;
    Ok(model)
}
