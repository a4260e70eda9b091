//! Owns the Phi 3 and Phi 4 family: projections in one matrix, and long contexts by LongRoPE.

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use crate::{
    Family, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{AttentionShape, Block, CausalLm, FusedMlp, Heads, Linear, PreNorm, split_heads},
};

crate::family! { Family::new(&["phi3"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    #[serde(default)]
    rope_traditional: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    sliding_window: Option<usize>,
}

/// Attention whose queries, keys and values come from one matrix.
#[derive(Clone, Debug, Module)]
struct FusedAttention {
    qkv_proj: Linear,
    o_proj: Linear,
    #[module(skip)]
    shape: AttentionShape,
    #[module(skip)]
    heads: Heads,
}

impl FusedAttention {
    fn new(weights: &Weights, shape: AttentionShape, heads: Heads) -> crate::Result<Self> {
        let AttentionShape {
            width,
            heads: count,
            kv_heads,
            head_dim,
            ..
        } = shape;
        shape.check(weights)?;
        Ok(FusedAttention {
            qkv_proj: weights.linear(
                "qkv_proj",
                width,
                (count + 2 * kv_heads) * head_dim,
                false,
            )?,
            o_proj: weights.linear("o_proj", count * head_dim, width, false)?,
            shape,
            heads,
        })
    }
}

impl Block for FusedAttention {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let AttentionShape {
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.shape;
        let (keys, values) = (heads * head_dim, (heads + kv_heads) * head_dim);
        let parts = self.qkv_proj.forward(x)?.split([keys, values], -1)?;
        let [queries, keys, values] = [0, 1, 2].map(|i| split_heads(&parts[i], head_dim));
        let mixed = self
            .heads
            .attend([&queries?, &keys?, &values?], cache, sequences)?;
        self.o_proj.forward(&mixed)
    }
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads) = (c.hidden_size, c.num_attention_heads);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads.unwrap_or(heads),
        head_dim: config.head_dim(None, width, heads)?,
        ..AttentionShape::default()
    };
    let dims = config.turned(shape.head_dim, Some(1.0))?;
    let rope = config.turns(dims, 10_000.0, c.rope_traditional)?;
    let reach = Reach::window(c.sliding_window);
    let block = |weights: &Weights, _number: usize| {
        let heads = shape.heads(Some(rope.clone()), reach);
        let attention = FusedAttention::new(&weights.at("self_attn"), shape, heads)?;
        let mlp = weights.at("mlp");
        let mlp = FusedMlp::new(&mlp, width, c.intermediate_size, Activation::Silu)?;
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
