//! Owns the encoders of the BERT family: BERT, RoBERTa, XLM-RoBERTa.

use olivine_core::{
    Array, Result,
    fast::{AttentionMask, AttentionOptions, scaled_dot_product_attention},
};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use super::{Encoder, each_text};
use crate::{
    ModelConfig, Weights,
    layers::{Embedding, Linear, Norm},
};

pub(super) const MODEL_TYPES: &[&str] = &["bert", "roberta", "xlm-roberta"];

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    #[serde(default = "eps")]
    layer_norm_eps: f64,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    #[serde(default)]
    pad_token_id: usize,
}

fn eps() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn absolute() -> String {
    "absolute".to_owned()
}

/// An encoder: embeddings, and blocks in which every token sees all others of its text.
#[derive(Module)]
pub(super) struct Bert {
    embeddings: Embeddings,
    encoder: Blocks,
    /// The position of the first token in the table.
    first: usize,
    longest: usize,
}

#[derive(Module)]
struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    #[module(rename = "LayerNorm")]
    norm: Norm,
}

#[derive(Module)]
struct Blocks {
    layer: Vec<Block>,
}

#[derive(Module)]
struct Block {
    attention: Attention,
    intermediate: Dense,
    output: Added,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module)]
struct Attention {
    #[module(rename = "self")]
    own: Projections,
    output: Added,
    heads: usize,
}

#[derive(Module)]
struct Projections {
    query: Linear,
    key: Linear,
    value: Linear,
}

#[derive(Module)]
struct Dense {
    dense: Linear,
}

/// A projection whose result is added to what came in, then normalised.
#[derive(Module)]
struct Added {
    dense: Linear,
    #[module(rename = "LayerNorm")]
    norm: Norm,
}

impl Bert {
    pub(super) fn new(config: &ModelConfig, weights: &Weights) -> crate::Result<Self> {
        let c: Config = config.read()?;
        if c.position_embedding_type != "absolute" {
            let supported = "absolute";
            return Err(config
                .fields()
                .unsupported("position_embedding_type", supported));
        }
        let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.layer_norm_eps);
        config.head_dim(None, width, heads)?;
        let activation = config.activation(&c.hidden_act)?;
        // RoBERTa numbers positions after that of padding.
        let first = if config.model_type == "bert" {
            0
        } else {
            c.pad_token_id + 1
        };
        let Some(longest) = c
            .max_position_embeddings
            .checked_sub(first)
            .filter(|&most| most > 1)
        else {
            return Err(config.bad("max_position_embeddings", "leaves no room for a text"));
        };
        // Some files hold the encoder inside a model for a task; the task's head is not used.
        let weights = weights.renamed(|name| {
            let inner = ["bert.", "roberta."]
                .iter()
                .find_map(|outer| name.strip_prefix(outer));
            let name = inner.unwrap_or(name);
            let used = name.starts_with("embeddings.") || name.starts_with("encoder.");
            (used && !name.ends_with("position_ids") && !name.ends_with("token_type_ids")).then(
                || {
                    name.replace("LayerNorm.gamma", "LayerNorm.weight")
                        .replace("LayerNorm.beta", "LayerNorm.bias")
                },
            )
        });
        let tables = weights.at("embeddings");
        let embeddings = Embeddings {
            word_embeddings: tables.embedding("word_embeddings", c.vocab_size, width)?,
            position_embeddings: tables.embedding(
                "position_embeddings",
                c.max_position_embeddings,
                width,
            )?,
            token_type_embeddings: tables.embedding(
                "token_type_embeddings",
                c.type_vocab_size,
                width,
            )?,
            norm: tables.layer_norm("LayerNorm", width, eps, true)?,
        };
        let added = |weights: &Weights, inputs: usize| -> crate::Result<Added> {
            Ok(Added {
                dense: weights.linear("dense", inputs, width, true)?,
                norm: weights.layer_norm("LayerNorm", width, eps, true)?,
            })
        };
        let block = |weights: &Weights| -> crate::Result<Block> {
            let attention = weights.at("attention");
            let project = |name| attention.at("self").linear(name, width, width, true);
            Ok(Block {
                attention: Attention {
                    own: Projections {
                        query: project("query")?,
                        key: project("key")?,
                        value: project("value")?,
                    },
                    output: added(&attention.at("output"), width)?,
                    heads,
                },
                intermediate: Dense {
                    dense: weights.at("intermediate").linear(
                        "dense",
                        width,
                        c.intermediate_size,
                        true,
                    )?,
                },
                output: added(&weights.at("output"), c.intermediate_size)?,
                activation,
            })
        };
        let layers = weights.at("encoder").at("layer");
        let layer = (0..c.num_hidden_layers).map(|number| block(&layers.at(number)));
        let encoder = Blocks {
            layer: layer.collect::<crate::Result<_>>()?,
        };
        weights.finish()?;
        Ok(Bert {
            embeddings,
            encoder,
            first,
            longest,
        })
    }
}

impl Encoder for Bert {
    fn encode(&self, tokens: &Array, lengths: &[usize]) -> crate::Result<Array> {
        let positions: Vec<i32> = lengths
            .iter()
            .flat_map(|&length| self.first..self.first + length)
            .map(|position| position as i32)
            .collect();
        let positions = Array::from_slice(&positions, [1, positions.len()])?;
        let tables = &self.embeddings;
        let sum = tables
            .word_embeddings
            .forward(tokens)?
            .add(tables.position_embeddings.forward(&positions)?)?
            .add(
                tables
                    .token_type_embeddings
                    .forward(&positions.zeros_like()?)?,
            )?;
        let mut x = tables.norm.forward(&sum)?;
        for block in &self.encoder.layer {
            x = block.forward(&x, lengths)?;
        }
        Ok(x)
    }

    fn longest(&self) -> usize {
        self.longest
    }
}

impl Block {
    fn forward(&self, x: &Array, lengths: &[usize]) -> Result<Array> {
        let x = self.attention.forward(x, lengths)?;
        let inner = self
            .activation
            .forward(&self.intermediate.dense.forward(&x)?)?;
        self.output.forward(&inner, &x)
    }
}

impl Added {
    fn forward(&self, x: &Array, before: &Array) -> Result<Array> {
        self.norm.forward(&self.dense.forward(x)?.add(before)?)
    }
}

impl Attention {
    fn forward(&self, x: &Array, lengths: &[usize]) -> Result<Array> {
        let width = x.dim(-1)?;
        let size = width / self.heads.max(1);
        let heads = |y: Array| {
            let tokens = y.dim(1)?;
            y.reshape([1, tokens, self.heads, size])?.swapaxes(1, 2)
        };
        let Projections { query, key, value } = &self.own;
        let (queries, keys, values) = (query.forward(x)?, key.forward(x)?, value.forward(x)?);
        let mixed = each_text(
            lengths,
            [&queries, &keys, &values],
            |[queries, keys, values]| {
                let (queries, keys, values) = (heads(queries)?, heads(keys)?, heads(values)?);
                let options = AttentionOptions {
                    scale: (size as f32).powf(-0.5),
                    mask: AttentionMask::None,
                    sinks: None,
                };
                let mixed = scaled_dot_product_attention(&queries, &keys, &values, &options)?;
                let tokens = mixed.dim(2)?;
                mixed.swapaxes(1, 2)?.reshape([1, tokens, width])
            },
        )?;
        self.output.forward(&mixed, x)
    }
}
