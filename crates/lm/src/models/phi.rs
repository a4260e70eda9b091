//! Owns the Phi 1.5 and Phi 2 family: parallel layers with biases, and a part of each head turned.

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use crate::{
    Family, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{AttentionShape, Block, CausalLm, Heads, Linear, Mlp, Names, Norm, split_heads},
};

crate::family! { Family::new(&["phi"], build) }

#[derive(Deserialize)]
#[serde(default)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    layer_norm_eps: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            hidden_size: 2560,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            intermediate_size: 10240,
            vocab_size: 51200,
            layer_norm_eps: 1e-5,
        }
    }
}

/// Attention with biases, whose output projection is called `dense`.
#[derive(Clone, Debug, Module)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    dense: Linear,
    #[module(skip)]
    heads: Heads,
    head_dim: usize,
}

impl Attention {
    fn new(weights: &Weights, shape: AttentionShape, heads: Heads) -> crate::Result<Self> {
        let AttentionShape {
            width,
            heads: count,
            kv_heads,
            head_dim,
            ..
        } = shape;
        shape.check(weights)?;
        Ok(Attention {
            q_proj: weights.linear("q_proj", width, count * head_dim, true)?,
            k_proj: weights.linear("k_proj", width, kv_heads * head_dim, true)?,
            v_proj: weights.linear("v_proj", width, kv_heads * head_dim, true)?,
            dense: weights.linear("dense", count * head_dim, width, true)?,
            heads,
            head_dim,
        })
    }
}

impl Block for Attention {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let queries = split_heads(&self.q_proj.forward(x)?, self.head_dim)?;
        let keys = split_heads(&self.k_proj.forward(x)?, self.head_dim)?;
        let values = split_heads(&self.v_proj.forward(x)?, self.head_dim)?;
        let mixed = self
            .heads
            .attend([&queries, &keys, &values], cache, sequences)?;
        self.dense.forward(&mixed)
    }
}

/// A block whose parts work on the same normalised input.
#[derive(Clone, Debug, Module)]
struct PhiBlock {
    self_attn: Attention,
    mlp: Mlp,
    input_layernorm: Norm,
}

impl Block for PhiBlock {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let normed = self.input_layernorm.forward(x)?;
        let mixed = self.self_attn.forward(&normed, cache, sequences)?;
        mixed.add(self.mlp.forward(&normed)?)?.add(x)
    }
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.layer_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads.unwrap_or(heads),
        head_dim: config.head_dim(None, width, heads)?,
        ..AttentionShape::default()
    };
    let dims = config.turned(shape.head_dim, Some(0.4))?;
    let rope = config.turns(dims, 10_000.0, false)?;
    let block = |weights: &Weights, _number: usize| {
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let (names, sizes) = (["fc1", "fc2"], [width, c.intermediate_size]);
        Ok(PhiBlock {
            self_attn: Attention::new(&weights.at("self_attn"), shape, heads)?,
            mlp: Mlp::new(&weights.at("mlp"), names, sizes, true, Activation::GeluTanh)?,
            input_layernorm: weights.layer_norm("input_layernorm", width, eps, true)?,
        })
    };
    let names = Names {
        norm: "model.final_layernorm",
        ..Names::USUAL
    };
    let norm = weights.layer_norm(names.norm, width, eps, true)?;
    let (sizes, layers) = ([c.vocab_size, width], (c.num_hidden_layers, block));
    let model = CausalLm::named(weights, names, sizes, false, norm, layers)?;
    weights.finish()?;
    Ok(Box::new(model))
}
