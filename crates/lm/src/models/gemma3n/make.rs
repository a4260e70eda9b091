//! Owns making Gemma 3n's layers from its configuration and weights.

use olivine_core::{Array, Dtype};
use serde::Deserialize;

use super::{
    Text,
    altup::{AltUp, Coefficients},
    attention::Attention,
    block::{Gemma3nBlock, Laurel, SparseMlp},
};
use crate::{
    AttentionRule, ModelConfig, Reach, RopeConfig, Weights,
    layers::{LayerType, Rope, RopeScaling},
};

#[derive(Deserialize)]
pub(super) struct Config {
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) num_key_value_heads: usize,
    pub(super) head_dim: usize,
    pub(super) intermediate_size: PerLayer<usize>,
    pub(super) vocab_size: usize,
    pub(super) rms_norm_eps: f64,
    pub(super) num_kv_shared_layers: usize,
    pub(super) vocab_size_per_layer_input: usize,
    pub(super) hidden_size_per_layer_input: usize,
    pub(super) sliding_window: usize,
    #[serde(default = "near")]
    pub(super) rope_local_base_freq: f64,
    #[serde(default = "far")]
    pub(super) rope_theta: f64,
    pub(super) final_logit_softcapping: Option<f32>,
    pub(super) layer_types: Vec<LayerType>,
    pub(super) activation_sparsity_pattern: Option<PerLayer<f64>>,
    pub(super) altup_num_inputs: u8,
    pub(super) altup_active_idx: u8,
    pub(super) altup_coef_clip: Option<f32>,
    pub(super) altup_correct_scale: bool,
    pub(super) laurel_rank: usize,
}

fn near() -> f64 {
    10_000.0
}

fn far() -> f64 {
    1e6
}

/// One value for all layers, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum PerLayer<T> {
    Same(T),
    Each(Vec<T>),
}

impl<T: Copy> PerLayer<T> {
    fn get(&self, number: usize) -> Option<T> {
        match self {
            PerLayer::Same(value) => Some(*value),
            PerLayer::Each(values) => values.get(number).copied(),
        }
    }
}

/// Makes the layers of a configuration that has been checked.
pub(super) struct Maker<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) c: Config,
    pub(super) streams: usize,
}

impl Maker<'_> {
    pub(super) fn reach(&self, number: usize) -> Reach {
        let slides = self.c.layer_types.get(number) == Some(&LayerType::SlidingAttention);
        Reach::window(slides.then_some(self.c.sliding_window))
    }

    /// The layer whose cache the layer of that number uses.
    fn owner(&self, number: usize) -> crate::Result<usize> {
        let (c, owners) = (
            &self.c,
            self.c.num_hidden_layers - self.c.num_kv_shared_layers,
        );
        if number < owners {
            return Ok(number);
        }
        let found = (0..owners).rfind(|&other| c.layer_types[other] == c.layer_types[number]);
        found.ok_or_else(|| {
            let problem = format!("has no layer of the kind of layer {number} that keeps its keys");
            self.config.bad("layer_types", problem)
        })
    }

    fn attention(&self, weights: &Weights, number: usize) -> crate::Result<Attention> {
        let (c, reach, cache) = (&self.c, self.reach(number), self.owner(number)?);
        let (width, size, shares) = (c.hidden_size, c.head_dim, cache != number);
        let (kind, theta) = match reach {
            Reach::All => ("full_attention", c.rope_theta),
            _ => ("sliding_attention", c.rope_local_base_freq),
        };
        let rope = self.config.rope_of(kind, theta)?.unwrap_or(RopeConfig {
            theta,
            scaling: RopeScaling::Default,
        });
        let absent = |name: &str| {
            let own = weights.at(name);
            shares && !own.has("weight") && !own.has("scales")
        };
        let heads = |name: &str| {
            if absent(name) {
                Ok(None)
            } else {
                weights
                    .linear(name, width, c.num_key_value_heads * size, false)
                    .map(Some)
            }
        };
        let k_norm = if absent("k_norm") {
            None
        } else {
            Some(weights.rms_norm("k_norm", size, c.rms_norm_eps)?)
        };
        Ok(Attention {
            q_proj: weights.linear("q_proj", width, c.num_attention_heads * size, false)?,
            k_proj: heads("k_proj")?,
            v_proj: heads("v_proj")?,
            o_proj: weights.linear("o_proj", c.num_attention_heads * size, width, false)?,
            q_norm: weights.rms_norm("q_norm", size, c.rms_norm_eps)?,
            k_norm,
            rope: Rope::new(size, rope.theta, false, &rope.scaling)?,
            rule: AttentionRule {
                scale: 1.0,
                reach,
                ..AttentionRule::default()
            },
            shares,
            cache,
            head_dim: size,
            eps: c.rms_norm_eps as f32,
        })
    }

    fn mlp(&self, weights: &Weights, number: usize) -> crate::Result<SparseMlp> {
        const LARGEST: usize = 1 << 24;
        let (c, width) = (&self.c, self.c.hidden_size);
        let Some(inner) = c
            .intermediate_size
            .get(number)
            .filter(|&size| size <= LARGEST)
        else {
            let problem = format!("has no sensible size for layer {number}");
            return Err(self.config.bad("intermediate_size", problem));
        };
        let sparsity = match &c.activation_sparsity_pattern {
            Some(pattern) => pattern.get(number).ok_or_else(|| {
                let problem = format!("has no number for layer {number}");
                self.config.bad("activation_sparsity_pattern", problem)
            })?,
            None => 0.0,
        };
        let cutoff = if sparsity > 0.0 {
            Some(
                Array::scalar(2.0 * sparsity as f32 - 1.0)
                    .erfinv()?
                    .item::<f32>()?,
            )
        } else {
            None
        };
        Ok(SparseMlp {
            gate_proj: weights.linear("gate_proj", width, inner, false)?,
            up_proj: weights.linear("up_proj", width, inner, false)?,
            down_proj: weights.linear("down_proj", inner, width, false)?,
            cutoff: cutoff.map(|deviations| deviations * 2f32.sqrt()),
        })
    }

    fn altup(&self, weights: &Weights) -> crate::Result<AltUp> {
        let (c, width, streams) = (&self.c, self.c.hidden_size, self.streams);
        let zeros = |shape| Array::zeros(shape, Dtype::Float32);
        let coefficients = |name: &str, outputs: usize| {
            let weight = weights
                .at(name)
                .tensor("weight", [outputs, streams], &zeros)?;
            Ok::<_, crate::Error>(Coefficients {
                weight: weight.into(),
                clip: c.altup_coef_clip,
            })
        };
        Ok(AltUp {
            correct_output_scale: weights
                .tensor("correct_output_scale", [width], &zeros)?
                .into(),
            correction_coefs: coefficients("correction_coefs", streams)?,
            prediction_coefs: coefficients("prediction_coefs", streams * streams)?,
            modality_router: weights.linear("modality_router", width, streams, false)?,
            router_norm: weights.rms_norm("router_norm", width, c.rms_norm_eps)?,
            active: usize::from(c.altup_active_idx),
        })
    }

    fn block(&self, weights: &Weights, number: usize) -> crate::Result<Gemma3nBlock> {
        let (c, width, own) = (
            &self.c,
            self.c.hidden_size,
            self.c.hidden_size_per_layer_input,
        );
        let (laurel, rank) = (weights.at("laurel"), c.laurel_rank);
        let norm = |weights: &Weights, name: &str| weights.rms_norm(name, width, c.rms_norm_eps);
        Ok(Gemma3nBlock {
            self_attn: self.attention(&weights.at("self_attn"), number)?,
            mlp: self.mlp(&weights.at("mlp"), number)?,
            input_layernorm: norm(weights, "input_layernorm")?,
            post_attention_layernorm: norm(weights, "post_attention_layernorm")?,
            pre_feedforward_layernorm: norm(weights, "pre_feedforward_layernorm")?,
            post_feedforward_layernorm: norm(weights, "post_feedforward_layernorm")?,
            altup: self.altup(&weights.at("altup"))?,
            laurel: Laurel {
                linear_left: laurel.linear("linear_left", width, rank, false)?,
                linear_right: laurel.linear("linear_right", rank, width, false)?,
                post_laurel_norm: norm(&laurel, "post_laurel_norm")?,
            },
            per_layer_input_gate: weights.linear("per_layer_input_gate", width, own, false)?,
            per_layer_projection: weights.linear("per_layer_projection", own, width, false)?,
            post_per_layer_input_norm: norm(weights, "post_per_layer_input_norm")?,
            scales: c.altup_correct_scale,
        })
    }

    pub(super) fn text(&self, weights: &Weights) -> crate::Result<Text> {
        let (c, width, layers) = (&self.c, self.c.hidden_size, self.c.num_hidden_layers);
        let (own, blocks) = (c.hidden_size_per_layer_input, weights.at("layers"));
        let projections = |name: &str| {
            let all = weights.at(name);
            let one = |i: usize| all.linear(&i.to_string(), width, width, false);
            (0..self.streams - 1)
                .map(one)
                .collect::<crate::Result<Vec<_>>>()
        };
        let table = "embed_tokens_per_layer";
        let projection = "per_layer_model_projection";
        Ok(Text {
            embed_tokens: weights.embedding("embed_tokens", c.vocab_size, width)?,
            layers: (0..layers)
                .map(|number| self.block(&blocks.at(number), number))
                .collect::<crate::Result<_>>()?,
            embed_tokens_per_layer: weights.embedding(
                table,
                c.vocab_size_per_layer_input,
                layers * own,
            )?,
            per_layer_model_projection: weights.linear(projection, width, layers * own, false)?,
            per_layer_projection_norm: weights.rms_norm(
                "per_layer_projection_norm",
                own,
                c.rms_norm_eps,
            )?,
            altup_projections: projections("altup_projections")?,
            altup_unembed_projections: projections("altup_unembed_projections")?,
            norm: weights.rms_norm("norm", width, c.rms_norm_eps)?,
        })
    }
}
