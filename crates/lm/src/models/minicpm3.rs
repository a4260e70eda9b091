//! Owns the MiniCPM 3 family: queries, keys and values from narrow latent vectors.

use olivine_core::{Array, Result, concatenate};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use crate::{
    AttentionRule, Cache, Family, LanguageModel, ModelConfig, Reach, Sequences, Weights, attend,
    layers::{Block, CausalLm, GatedMlp, Linear, Norm, PreNorm, Rope, split_heads},
};

crate::family! { Family::new(&["minicpm3"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    dim_model_base: f32,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    q_lora_rank: usize,
    qk_nope_head_dim: usize,
    qk_rope_head_dim: usize,
    kv_lora_rank: usize,
    scale_depth: f32,
    scale_emb: f32,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

/// Attention whose projections go through vectors narrower than the heads; of each head a part
/// turns, which all heads of keys share.
#[derive(Clone, Debug, Module)]
struct LatentAttention {
    q_a_proj: Linear,
    q_a_layernorm: Norm,
    q_b_proj: Linear,
    kv_a_proj_with_mqa: Linear,
    kv_a_layernorm: Norm,
    kv_b_proj: Linear,
    o_proj: Linear,
    #[module(skip)]
    rope: Rope,
    #[module(skip)]
    rule: AttentionRule,
    /// Elements of a head of queries that do not turn, and elements of a head of values.
    #[module(skip)]
    sizes: [usize; 2],
    latent: usize,
}

impl LatentAttention {
    fn new(weights: &Weights, c: &Config, rope: Rope) -> crate::Result<Self> {
        // The norms of the latent vectors do not heed `rms_norm_eps`.
        const EPS: f64 = 1e-5;
        let (width, heads, bias) = (c.hidden_size, c.num_attention_heads, c.attention_bias);
        let (still, turned, value) = (c.qk_nope_head_dim, c.qk_rope_head_dim, width / heads);
        let (latent, rank) = (c.kv_lora_rank, c.q_lora_rank);
        let rule = AttentionRule {
            scale: ((still + turned) as f32).powf(-0.5),
            ..AttentionRule::default()
        };
        Ok(LatentAttention {
            q_a_proj: weights.linear("q_a_proj", width, rank, bias)?,
            q_a_layernorm: weights.rms_norm("q_a_layernorm", rank, EPS)?,
            q_b_proj: weights.linear("q_b_proj", rank, heads * (still + turned), false)?,
            kv_a_proj_with_mqa: weights.linear(
                "kv_a_proj_with_mqa",
                width,
                latent + turned,
                bias,
            )?,
            kv_a_layernorm: weights.rms_norm("kv_a_layernorm", latent, EPS)?,
            kv_b_proj: weights.linear("kv_b_proj", latent, heads * (still + value), false)?,
            o_proj: weights.linear("o_proj", heads * value, width, bias)?,
            rope,
            rule,
            sizes: [still, value],
            latent,
        })
    }
}

impl Block for LatentAttention {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let ([still, value], turned) = (self.sizes, self.rope.dims());
        let narrow = self.q_a_layernorm.forward(&self.q_a_proj.forward(x)?)?;
        let queries = split_heads(&self.q_b_proj.forward(&narrow)?, still + turned)?;
        let both = self
            .kv_a_proj_with_mqa
            .forward(x)?
            .split([self.latent], -1)?;
        let shared = both[1].expand_dims(2)?;
        let narrow = self.kv_a_layernorm.forward(&both[0])?;
        let pairs = split_heads(&self.kv_b_proj.forward(&narrow)?, still + value)?;
        let mixed = sequences.each(cache, &[&queries, &pairs, &shared], |parts, cache| {
            let cache = cache.and_then(Cache::kv);
            let offset = cache.as_ref().map_or(0, |cache| cache.len());
            let [queries, pairs, shared] = [0, 1, 2].map(|i| parts[i].swapaxes(1, 2));
            let (queries, pairs) = (queries?.split([still], -1)?, pairs?.split([still], -1)?);
            let turning = self.rope.apply(&shared?, offset)?;
            let shape = queries[1].shape().clone();
            let turning = turning.broadcast_to(shape)?;
            let keys = concatenate(&[&pairs[0], &turning], -1)?;
            let queries = concatenate(&[&queries[0], &self.rope.apply(&queries[1], offset)?], -1)?;
            let mixed = attend([&queries, &keys, &pairs[1]], cache, &self.rule)?.swapaxes(1, 2)?;
            let (batch, tokens) = (mixed.dim(0)?, mixed.dim(1)?);
            let width = mixed.dim(2)? * mixed.dim(3)?;
            mixed.reshape([batch, tokens, width])
        })?;
        self.o_proj.forward(&mixed)
    }
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let c: Config = config.read()?;
    let (width, heads, layers) = (c.hidden_size, c.num_attention_heads, c.num_hidden_layers);
    if !width.is_multiple_of(heads) {
        let problem = format!("is {heads}, which does not divide hidden_size = {width}");
        return Err(config.bad("num_attention_heads", problem));
    }
    let dims = config.turned(c.qk_rope_head_dim, Some(1.0))?;
    let rope = config.turns(dims, 1e6, false)?;
    let block = |weights: &Weights, _number: usize| {
        let attention = LatentAttention::new(&weights.at("self_attn"), &c, rope.clone())?;
        let mlp = weights.at("mlp");
        let mlp = GatedMlp::new(&mlp, width, c.intermediate_size, false, Activation::Silu)?;
        let norm = |name: &str| weights.rms_norm(name, width, c.rms_norm_eps);
        let mut block = PreNorm::new(attention, mlp, Reach::All, norm)?;
        block.residual_scale = Some(c.scale_depth / (layers as f32).sqrt());
        Ok(block)
    };
    let norm = weights.rms_norm("model.norm", width, c.rms_norm_eps)?;
    let (sizes, tied) = ([c.vocab_size, width], c.tie_word_embeddings);
    let mut model = CausalLm::new(weights, sizes, tied, norm, layers, block)?;
    model.embedding_scale = Some(c.scale_emb);
    model.logit_scale = (!tied).then(|| c.dim_model_base / width as f32);
    weights.finish()?;
    Ok(Box::new(model))
}
