//! Owns the GPT-NeoX family (Pythia): the projections of each head lie together in one matrix.

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use super::yes;
use crate::{
    Family, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{AttentionShape, Block, CausalLm, Heads, Linear, Mlp, Names, Norm, split_heads},
};

crate::family! { Family::new(&["gpt_neox"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    vocab_size: usize,
    layer_norm_eps: f64,
    rotary_emb_base: Option<f64>,
    rotary_pct: Option<f64>,
    #[serde(default = "yes")]
    use_parallel_residual: bool,
}

/// Attention whose matrix holds query, key and value of one head after the other.
#[derive(Clone, Debug, Module)]
struct Attention {
    query_key_value: Linear,
    dense: Linear,
    #[module(skip)]
    heads: Heads,
    head_dim: usize,
}

impl Block for Attention {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let together = split_heads(&self.query_key_value.forward(x)?, 3 * self.head_dim)?;
        let parts = together.split(3, -1)?;
        let mixed = self
            .heads
            .attend([&parts[0], &parts[1], &parts[2]], cache, sequences)?;
        self.dense.forward(&mixed)
    }
}

/// A block whose parts work one after the other, or side by side on the same input.
#[derive(Clone, Debug, Module)]
struct NeoxBlock {
    attention: Attention,
    mlp: Mlp,
    input_layernorm: Norm,
    post_attention_layernorm: Norm,
    parallel: bool,
}

impl Block for NeoxBlock {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let normed = self.input_layernorm.forward(x)?;
        let mixed = x.add(self.attention.forward(&normed, cache, sequences)?)?;
        let input = if self.parallel { x } else { &mixed };
        mixed.add(
            self.mlp
                .forward(&self.post_attention_layernorm.forward(input)?)?,
        )
    }
}

/// The names of this family, from those that Hugging Face's files have.
fn rename(name: &str) -> Option<String> {
    let buffers = [
        ".attention.bias",
        ".attention.masked_bias",
        ".rotary_emb.inv_freq",
    ];
    if buffers.iter().any(|end| name.ends_with(end)) {
        return None;
    }
    let bare = name.strip_prefix("model.").unwrap_or(name);
    let bare = bare.strip_prefix("gpt_neox.").unwrap_or(bare);
    Some(match bare.strip_prefix("layers.") {
        Some(rest) => format!("model.h.{rest}"),
        None => format!("model.{bare}"),
    })
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let weights = &weights.renamed(rename);
    let (width, eps) = (c.hidden_size, c.layer_norm_eps);
    let head_dim = config.head_dim(None, width, c.num_attention_heads)?;
    let shape = AttentionShape {
        head_dim,
        ..AttentionShape::default()
    };
    let dims = config.turned(head_dim, c.rotary_pct.or(Some(0.25)))?;
    let rope = config.turns(dims, c.rotary_emb_base.unwrap_or(10_000.0), false)?;
    let block = |weights: &Weights, _number: usize| {
        let own = weights.at("attention");
        let attention = Attention {
            query_key_value: own.linear("query_key_value", width, 3 * width, true)?,
            dense: own.linear("dense", width, width, true)?,
            heads: shape.heads(Some(rope.clone()), Reach::All),
            head_dim,
        };
        let (names, sizes) = (["dense_h_to_4h", "dense_4h_to_h"], [width, 4 * width]);
        let norm = |name: &str| weights.layer_norm(name, width, eps, true);
        Ok(NeoxBlock {
            attention,
            mlp: Mlp::new(&weights.at("mlp"), names, sizes, true, Activation::GeluTanh)?,
            input_layernorm: norm("input_layernorm")?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            parallel: c.use_parallel_residual,
        })
    };
    let names = Names {
        embeddings: "model.embed_in",
        layers: "model.h",
        norm: "model.final_layer_norm",
        head: "model.embed_out",
    };
    let norm = weights.layer_norm(names.norm, width, eps, true)?;
    let (sizes, layers) = ([c.vocab_size, width], (c.num_hidden_layers, block));
    let model = CausalLm::named(weights, names, sizes, false, norm, layers)?;
    weights.finish()?;
    Ok(Box::new(model))
}
