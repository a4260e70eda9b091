//! Owns the GPT-2 family: a table of positions instead of turning heads.

use olivine_core::{Array, Result};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use crate::{
    Cache, Family, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{
        AttentionShape, Block, CausalLm, Embedding, Heads, Linear, Mlp, Names, Norm, split_heads,
    },
};

crate::family! { Family::new(&["gpt2"], build) }

#[derive(Deserialize)]
struct Config {
    n_embd: usize,
    n_head: usize,
    n_layer: usize,
    n_positions: usize,
    layer_norm_epsilon: f64,
    vocab_size: usize,
}

/// Attention whose queries, keys and values come from one matrix.
#[derive(Clone, Debug, Module)]
struct Attention {
    c_attn: Linear,
    c_proj: Linear,
    #[module(skip)]
    heads: Heads,
    head_dim: usize,
}

impl Block for Attention {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let parts = self.c_attn.forward(x)?.split(3, -1)?;
        let [queries, keys, values] = [0, 1, 2].map(|i| split_heads(&parts[i], self.head_dim));
        let mixed = self
            .heads
            .attend([&queries?, &keys?, &values?], cache, sequences)?;
        self.c_proj.forward(&mixed)
    }
}

/// A block that normalises before both of its parts.
#[derive(Clone, Debug, Module)]
struct Gpt2Block {
    attn: Attention,
    mlp: Mlp,
    ln_1: Norm,
    ln_2: Norm,
}

impl Block for Gpt2Block {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let mixed = self
            .attn
            .forward(&self.ln_1.forward(x)?, cache, sequences)?;
        let x = x.add(mixed)?;
        x.add(self.mlp.forward(&self.ln_2.forward(&x)?)?)
    }
}

/// The decoder and its table of positions.
#[derive(Clone, Debug, Module)]
struct Gpt2 {
    #[module(flatten)]
    inner: CausalLm<Gpt2Block>,
    #[module(rename = "model.wpe")]
    positions: Embedding,
}

impl LanguageModel for Gpt2 {
    fn hidden(&self, tokens: &Array, sequences: &mut Sequences<'_>) -> crate::Result<Array> {
        let places = sequences.positions(tokens.dim(1)?)?;
        let x = self.inner.model.embed_tokens.forward(tokens)?;
        let x = x.add(self.positions.forward(&places)?)?;
        Ok(self.inner.run_embedded(x, sequences)?)
    }

    fn logits(&self, hidden: &Array) -> crate::Result<Array> {
        self.inner.logits(hidden)
    }

    fn caches(&self) -> Vec<Cache> {
        self.inner.caches()
    }

    fn vocab_size(&self) -> usize {
        self.inner.vocab_size()
    }
}

/// The parameters of this family, from Hugging Face's files, whose matrices lie the other way.
fn converted(weights: &Weights) -> crate::Result<Weights> {
    let matrices = [
        "attn.c_attn.weight",
        "attn.c_proj.weight",
        "mlp.c_fc.weight",
        "mlp.c_proj.weight",
    ];
    let weights = weights.renamed(|name| {
        // A mask of ones.
        let bare = name.strip_prefix("transformer.").unwrap_or(name);
        (!bare.ends_with(".attn.bias") && !bare.ends_with(".attn.masked_bias"))
            .then(|| bare.to_owned())
    });
    let weights = weights.edited(|name, value| {
        let turned = name.starts_with("h.") && matrices.iter().any(|end| name.ends_with(end));
        (turned && value.ndim() == 2)
            .then(|| value.swapaxes(0, 1))
            .transpose()
    })?;
    Ok(weights.renamed(|name| {
        let bare = name.starts_with("model.") || name.starts_with("lm_head.");
        Some(if bare {
            name.to_owned()
        } else {
            format!("model.{name}")
        })
    }))
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, eps) = (c.n_embd, c.layer_norm_epsilon);
    if !width.is_multiple_of(c.n_head) {
        return Err(config.bad(
            "n_head",
            format!("is {}, which does not divide {width}", c.n_head),
        ));
    }
    let weights = &converted(weights)?;
    let head_dim = width / c.n_head;
    let shape = AttentionShape {
        head_dim,
        ..AttentionShape::default()
    };
    let block = |weights: &Weights, _number: usize| {
        let own = weights.at("attn");
        let (names, sizes) = (["c_fc", "c_proj"], [width, 4 * width]);
        Ok(Gpt2Block {
            attn: Attention {
                c_attn: own.linear("c_attn", width, 3 * width, true)?,
                c_proj: own.linear("c_proj", width, width, true)?,
                heads: shape.heads(None, Reach::All),
                head_dim,
            },
            mlp: Mlp::new(&weights.at("mlp"), names, sizes, true, Activation::GeluTanh)?,
            ln_1: weights.layer_norm("ln_1", width, eps, true)?,
            ln_2: weights.layer_norm("ln_2", width, eps, true)?,
        })
    };
    let names = Names {
        embeddings: "model.wte",
        layers: "model.h",
        norm: "model.ln_f",
        ..Names::USUAL
    };
    let norm = weights.layer_norm(names.norm, width, eps, true)?;
    let (sizes, layers) = ([c.vocab_size, width], (c.n_layer, block));
    let model = Gpt2 {
        inner: CausalLm::named(weights, names, sizes, true, norm, layers)?,
        positions: weights.embedding("model.wpe", c.n_positions, width)?,
    };
    weights.finish()?;
    Ok(Box::new(model))
}
