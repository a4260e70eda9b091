//! Owns OLMoE: many small experts, and norms over all heads of queries and keys.

use serde::Deserialize;

use super::yes;
use crate::{
    Family, ModelConfig, Reach, Result, Weights,
    layers::{Attention, AttentionShape, CausalLm, Gate, Moe, PreNorm, Router, Scores},
};

crate::family! {
    Family::new(&["olmoe"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    num_experts: usize,
    num_experts_per_tok: usize,
    #[serde(default)]
    norm_topk_prob: bool,
    #[serde(default = "eps")]
    rms_norm_eps: f64,
    vocab_size: usize,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    rope_traditional: bool,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

fn eps() -> f64 {
    1e-5
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<PreNorm<Moe>>> {
    let c: Config = config.read()?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads.unwrap_or(heads),
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    let rope = config.turns(shape.head_dim, 10_000.0, c.rope_traditional)?;
    let router = Router::new(Scores::Softmax, c.num_experts_per_tok, c.norm_topk_prob);
    let block = |weights: &Weights, _| {
        let attention = weights.at("self_attn");
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let mut self_attn = Attention::new(&attention, shape, heads)?;
        let all = |heads: usize| heads * shape.head_dim;
        self_attn.q_norm = Some(attention.rms_norm("q_norm", all(shape.heads), eps)?);
        self_attn.k_norm = Some(attention.rms_norm("k_norm", all(shape.kv_heads), eps)?);
        self_attn.joint_norms = true;
        let own = weights.at("mlp");
        let sizes = [c.num_experts, width, c.intermediate_size];
        let gate = Gate::new(&own, width, c.num_experts)?;
        let mlp = Moe::new(&own, sizes, c.mlp_bias, gate, router)?;
        PreNorm::new(self_attn, mlp, Reach::All, |name| {
            weights.rms_norm(name, width, eps)
        })
    };
    let norm = weights.rms_norm("model.norm", width, eps)?;
    let sizes = [c.vocab_size, width];
    let tied = c.tie_word_embeddings;
    let model = CausalLm::new(weights, sizes, tied, norm, c.num_hidden_layers, block)?;
    weights.finish()?;
    Ok(model)
}
