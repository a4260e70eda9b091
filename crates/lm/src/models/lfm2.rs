//! Owns LFM 2: gated convolutions over a few tokens, and attention in some layers.

use olivine_core::Array;
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use super::yes;
use crate::{
    Cache, Family, KvCache, ModelConfig, Reach, Result, Sequences, StateCache, Weights,
    layers::{
        AttentionShape, Block, CausalConv, CausalLm, Heads, Linear, Names, Norm, split_heads,
    },
};

crate::family! {
    Family::new(&["lfm2"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    norm_eps: f64,
    #[serde(default)]
    conv_bias: bool,
    #[serde(rename = "conv_L_cache", default = "three")]
    conv_size: usize,
    #[serde(default = "multiple")]
    block_multiple_of: usize,
    block_ffn_dim_multiplier: Option<f64>,
    #[serde(default = "yes")]
    block_auto_adjust_ff_dim: bool,
    block_ff_dim: Option<usize>,
    intermediate_size: Option<usize>,
    full_attn_idxs: Option<Vec<usize>>,
    layer_types: Option<Vec<Kind>>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    FullAttention,
    Conv,
}

fn three() -> usize {
    3
}

fn multiple() -> usize {
    256
}

/// Attention with normalised heads.
#[derive(Clone, Debug, Module)]
struct Attention {
    q_layernorm: Norm,
    k_layernorm: Norm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    #[module(skip)]
    heads: Heads,
    head_dim: usize,
}

impl Attention {
    fn new(weights: &Weights, shape: AttentionShape, heads: Heads, eps: f64) -> Result<Self> {
        let AttentionShape {
            width, head_dim, ..
        } = shape;
        shape.check(weights)?;
        let (all, kept) = (shape.heads * head_dim, shape.kv_heads * head_dim);
        Ok(Attention {
            q_layernorm: weights.rms_norm("q_layernorm", head_dim, eps)?,
            k_layernorm: weights.rms_norm("k_layernorm", head_dim, eps)?,
            q_proj: weights.linear("q_proj", width, all, false)?,
            k_proj: weights.linear("k_proj", width, kept, false)?,
            v_proj: weights.linear("v_proj", width, kept, false)?,
            out_proj: weights.linear("out_proj", all, width, false)?,
            heads,
            head_dim,
        })
    }
}

impl Block for Attention {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let split = |layer: &Linear| split_heads(&layer.forward(x)?, self.head_dim);
        let queries = self.q_layernorm.forward(&split(&self.q_proj)?)?;
        let keys = self.k_layernorm.forward(&split(&self.k_proj)?)?;
        let values = split(&self.v_proj)?;
        let mixed = self
            .heads
            .attend([&queries, &keys, &values], cache, sequences)?;
        self.out_proj.forward(&mixed)
    }
}

/// A convolution over a few tokens between two gates.
#[derive(Clone, Debug, Module)]
struct ShortConv {
    conv: CausalConv,
    in_proj: Linear,
    out_proj: Linear,
}

impl Block for ShortConv {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let parts = self.in_proj.forward(x)?.split(3, -1)?;
        let [before, after, x] = &parts[..] else {
            unreachable!("three parts were asked for")
        };
        let x = before.multiply(x)?;
        let mixed = sequences.each(cache, &[&x], |parts, cache| {
            let mut state = cache.and_then(Cache::state);
            let y = self.conv.forward(&parts[0], state.as_deref_mut())?;
            if let Some(state) = state {
                state.advance(parts[0].dim(1)?);
            }
            Ok(y)
        })?;
        self.out_proj.forward(&after.multiply(mixed)?)
    }
}

/// What mixes the tokens of a block.
#[derive(Clone, Debug, Module)]
enum Mixer {
    Attention { self_attn: Attention },
    Conv { conv: ShortConv },
}

/// A feed-forward layer by Llama's first names.
#[derive(Clone, Debug, Module)]
struct Mlp {
    w1: Linear,
    w2: Linear,
    w3: Linear,
}

impl Layer for Mlp {
    fn forward(&self, x: &Array) -> olivine_core::Result<Array> {
        let gate = Activation::Silu.forward(&self.w1.forward(x)?)?;
        self.w2.forward(&gate.multiply(self.w3.forward(x)?)?)
    }
}

/// A block of LFM's.
#[derive(Clone, Debug, Module)]
struct LfmBlock {
    #[module(flatten)]
    mixer: Mixer,
    feed_forward: Mlp,
    operator_norm: Norm,
    ffn_norm: Norm,
}

impl Block for LfmBlock {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let y = self.operator_norm.forward(x)?;
        let y = match &self.mixer {
            Mixer::Attention { self_attn } => self_attn.forward(&y, cache, sequences)?,
            Mixer::Conv { conv } => conv.forward(&y, cache, sequences)?,
        };
        let x = x.add(y)?;
        x.add(self.feed_forward.forward(&self.ffn_norm.forward(&x)?)?)
    }

    fn cache(&self) -> Cache {
        match self.mixer {
            Mixer::Attention { .. } => KvCache::new().into(),
            Mixer::Conv { .. } => StateCache::new(1).into(),
        }
    }
}

impl Config {
    /// Width of the feed-forward layers, which two thirds of what is written may be meant by.
    fn inner(&self, config: &ModelConfig) -> Result<usize> {
        let Some(inner) = self.block_ff_dim.or(self.intermediate_size) else {
            return Err(config.bad("block_ff_dim", "is missing"));
        };
        if !self.block_auto_adjust_ff_dim {
            return Ok(inner);
        }
        if self.block_multiple_of == 0 {
            return Err(config.bad("block_multiple_of", "must not be zero"));
        }
        let inner = 2 * inner / 3;
        let inner = match self.block_ffn_dim_multiplier {
            Some(multiplier) => (multiplier * inner as f64) as usize,
            None => inner,
        };
        Ok(inner
            .div_ceil(self.block_multiple_of)
            .saturating_mul(self.block_multiple_of))
    }

    fn attends(&self, number: usize) -> bool {
        match (&self.full_attn_idxs, &self.layer_types) {
            (Some(listed), _) => listed.contains(&number),
            (None, Some(types)) => types.get(number) == Some(&Kind::FullAttention),
            (None, None) => false,
        }
    }
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<LfmBlock>> {
    let c: Config = config.read()?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.norm_eps);
    let inner = c.inner(config)?;
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads.unwrap_or(heads),
        head_dim: config.head_dim(None, width, heads)?,
        ..AttentionShape::default()
    };
    let rope = config.turns(shape.head_dim, 1e6, false)?;
    let block = |weights: &Weights, number: usize| {
        let mixer = if c.attends(number) {
            let heads = shape.heads(Some(rope.clone()), Reach::All);
            Mixer::Attention {
                self_attn: Attention::new(&weights.at("self_attn"), shape, heads, eps)?,
            }
        } else {
            let (own, bias) = (weights.at("conv"), c.conv_bias);
            let conv = CausalConv::new(&own.at("conv"), width, c.conv_size, bias)?;
            Mixer::Conv {
                conv: ShortConv {
                    conv,
                    in_proj: own.linear("in_proj", width, 3 * width, bias)?,
                    out_proj: own.linear("out_proj", width, width, bias)?,
                },
            }
        };
        let own = weights.at("feed_forward");
        Ok(LfmBlock {
            mixer,
            feed_forward: Mlp {
                w1: own.linear("w1", width, inner, false)?,
                w2: own.linear("w2", inner, width, false)?,
                w3: own.linear("w3", width, inner, false)?,
            },
            operator_norm: weights.rms_norm("operator_norm", width, eps)?,
            ffn_norm: weights.rms_norm("ffn_norm", width, eps)?,
        })
    };
    let names = Names {
        norm: "model.embedding_norm",
        ..Names::USUAL
    };
    let norm = weights.rms_norm(names.norm, width, eps)?;
    let (sizes, layers) = ([c.vocab_size, width], c.num_hidden_layers);
    let model = CausalLm::named(weights, names, sizes, true, norm, (layers, block))?;
    weights.finish()?;
    Ok(model)
}
