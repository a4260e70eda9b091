//! Owns the StableLM 2 family: norms by mean and variance, perhaps one for each head.

use olivine_core::{Array, Result, fast, stack};
use olivine_nn::{Activation, Layer, Module, Param};
use serde::Deserialize;

use crate::{
    Family, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{AttentionShape, Block, CausalLm, GatedMlp, Heads, Linear, Norm, split_heads},
};

crate::family! { Family::new(&["stablelm"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    layer_norm_eps: f64,
    use_qkv_bias: bool,
    #[serde(default)]
    use_parallel_residual: bool,
    #[serde(default)]
    qk_layernorm: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

/// One weight of a norm.
#[derive(Clone, Debug, Module)]
struct Scale {
    weight: Param,
}

/// Normalises every head with weights of its own.
#[derive(Clone, Debug, Module)]
struct HeadNorms {
    norms: Vec<Scale>,
    eps: f32,
}

impl HeadNorms {
    fn new(weights: &Weights, heads: usize, size: usize, eps: f32) -> crate::Result<Self> {
        let own = weights.at("norms");
        let one = |head: usize| {
            let fresh = |shape| Array::ones(shape, olivine_core::Dtype::Float32);
            let weight = own.at(head).tensor("weight", [size], &fresh)?.into();
            Ok(Scale { weight })
        };
        let norms = (0..heads).map(one).collect::<crate::Result<_>>()?;
        Ok(HeadNorms { norms, eps })
    }

    /// Normalises (batch, tokens, heads, size).
    fn forward(&self, heads: &Array) -> Result<Array> {
        let scales: Vec<&Array> = self.norms.iter().map(|norm| norm.weight.value()).collect();
        fast::layer_norm(heads, None, None, self.eps)?.multiply(stack(&scales, 0)?)
    }
}

/// Attention whose heads of queries and keys may be normalised one by one.
#[derive(Clone, Debug, Module)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_layernorm: Option<HeadNorms>,
    k_layernorm: Option<HeadNorms>,
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
            bias,
            ..
        } = shape;
        shape.check(weights)?;
        Ok(Attention {
            q_proj: weights.linear("q_proj", width, count * head_dim, bias)?,
            k_proj: weights.linear("k_proj", width, kv_heads * head_dim, bias)?,
            v_proj: weights.linear("v_proj", width, kv_heads * head_dim, bias)?,
            o_proj: weights.linear("o_proj", count * head_dim, width, false)?,
            q_layernorm: None,
            k_layernorm: None,
            heads,
            head_dim,
        })
    }
}

impl Block for Attention {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let mut queries = split_heads(&self.q_proj.forward(x)?, self.head_dim)?;
        let mut keys = split_heads(&self.k_proj.forward(x)?, self.head_dim)?;
        let values = split_heads(&self.v_proj.forward(x)?, self.head_dim)?;
        if let Some(norm) = &self.q_layernorm {
            queries = norm.forward(&queries)?;
        }
        if let Some(norm) = &self.k_layernorm {
            keys = norm.forward(&keys)?;
        }
        let mixed = self
            .heads
            .attend([&queries, &keys, &values], cache, sequences)?;
        self.o_proj.forward(&mixed)
    }
}

/// A block; without the second norm both parts work on the same input.
#[derive(Clone, Debug, Module)]
struct StableBlock {
    self_attn: Attention,
    mlp: GatedMlp,
    input_layernorm: Norm,
    post_attention_layernorm: Option<Norm>,
}

impl Block for StableBlock {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let normed = self.input_layernorm.forward(x)?;
        let mixed = self.self_attn.forward(&normed, cache, sequences)?;
        let x = x.add(mixed)?;
        let y = match &self.post_attention_layernorm {
            Some(norm) => self.mlp.forward(&norm.forward(&x)?)?,
            None => self.mlp.forward(&normed)?,
        };
        x.add(y)
    }
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.layer_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(None, width, heads)?,
        bias: c.use_qkv_bias,
        output_bias: false,
    };
    let dims = config.turned(shape.head_dim, None)?;
    let rope = config.turns(dims, 10_000.0, false)?;
    let block = |weights: &Weights, _number: usize| {
        let own = weights.at("self_attn");
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let mut attention = Attention::new(&own, shape, heads)?;
        if c.qk_layernorm {
            let norms = |name: &str, heads: usize| {
                HeadNorms::new(&own.at(name), heads, shape.head_dim, eps as f32)
            };
            attention.q_layernorm = Some(norms("q_layernorm", shape.heads)?);
            attention.k_layernorm = Some(norms("k_layernorm", shape.kv_heads)?);
        }
        let (mlp, inner) = (weights.at("mlp"), c.intermediate_size);
        let norm = |name: &str| weights.layer_norm(name, width, eps, true);
        Ok(StableBlock {
            self_attn: attention,
            mlp: GatedMlp::new(&mlp, width, inner, false, Activation::Silu)?,
            input_layernorm: norm("input_layernorm")?,
            post_attention_layernorm: if c.use_parallel_residual {
                None
            } else {
                Some(norm("post_attention_layernorm")?)
            },
        })
    };
    let norm = weights.layer_norm("model.norm", width, eps, true)?;
    let (sizes, tied, layers) = (
        [c.vocab_size, width],
        c.tie_word_embeddings,
        c.num_hidden_layers,
    );
    let model = CausalLm::new(weights, sizes, tied, norm, layers, block)?;
    weights.finish()?;
    Ok(Box::new(model))
}
