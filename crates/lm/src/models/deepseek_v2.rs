//! Owns DeepSeek V2: latent attention that remembers keys and values, and grouped experts.

use olivine_nn::Activation;
use serde::Deserialize;

use super::eps;
use crate::{
    Family, ModelConfig, Reach, Result, Weights,
    layers::{
        CausalLm, FeedForward, Gate, GatedMlp, Groups, LatentAttention, LatentShape, Moe, PreNorm,
        Router, Scores,
    },
};

crate::family! {
    Family::new(&["deepseek_v2"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    #[serde(default = "moe_intermediate_size")]
    moe_intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    n_shared_experts: Option<usize>,
    n_routed_experts: Option<usize>,
    #[serde(default = "routed_scaling_factor")]
    routed_scaling_factor: f32,
    #[serde(default = "kv_lora_rank")]
    kv_lora_rank: usize,
    q_lora_rank: Option<usize>,
    #[serde(default = "qk_rope_head_dim")]
    qk_rope_head_dim: usize,
    #[serde(default = "head_dim")]
    v_head_dim: usize,
    #[serde(default = "head_dim")]
    qk_nope_head_dim: usize,
    #[serde(default)]
    topk_method: String,
    #[serde(default)]
    norm_topk_prob: bool,
    n_group: Option<usize>,
    topk_group: Option<usize>,
    num_experts_per_tok: Option<usize>,
    #[serde(default = "one")]
    moe_layer_freq: usize,
    #[serde(default)]
    first_k_dense_replace: usize,
    #[serde(default = "eps")]
    rms_norm_eps: f64,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

fn moe_intermediate_size() -> usize {
    1407
}

fn routed_scaling_factor() -> f32 {
    1.0
}

fn kv_lora_rank() -> usize {
    512
}

fn qk_rope_head_dim() -> usize {
    64
}

fn head_dim() -> usize {
    128
}

fn one() -> usize {
    1
}

fn model(
    config: &ModelConfig,
    weights: &Weights,
) -> Result<CausalLm<PreNorm<FeedForward, LatentAttention>>> {
    let c: Config = config.read()?;
    let (width, eps) = (c.hidden_size, c.rms_norm_eps);
    let shape = LatentShape {
        width,
        heads: c.num_attention_heads,
        q_rank: c.q_lora_rank,
        kv_rank: c.kv_lora_rank,
        turned: c.qk_rope_head_dim,
        still: c.qk_nope_head_dim,
        value: c.v_head_dim,
        bias: c.attention_bias,
    };
    let factor = config.rope()?.scaling.attention_factor();
    let rope = config.turns(shape.turned, 10_000.0, true)?;
    let grouped = c.topk_method == "group_limited_greedy";
    let router = Router {
        groups: grouped.then_some(Groups {
            count: c.n_group.unwrap_or(1),
            kept: c.topk_group.unwrap_or(1),
            judges: 1,
        }),
        scale: c.routed_scaling_factor,
        ..Router::new(
            Scores::Softmax,
            c.num_experts_per_tok.unwrap_or(1),
            c.norm_topk_prob,
        )
    };
    let block = |weights: &Weights, number: usize| {
        let own = weights.at("mlp");
        let dense = |weights: &Weights, inner: usize| {
            GatedMlp::new(weights, width, inner, false, Activation::Silu)
        };
        let sparse = number >= c.first_k_dense_replace && number.is_multiple_of(c.moe_layer_freq);
        let mlp = match c.n_routed_experts.filter(|_| sparse) {
            None => FeedForward::Dense(dense(&own, c.intermediate_size)?),
            Some(experts) => {
                let inner = c.moe_intermediate_size;
                let gate = Gate::plain(&own, width, experts, false)?;
                let mut moe = Moe::new(&own, [experts, width, inner], false, gate, router)?;
                if let Some(shared) = c.n_shared_experts {
                    moe.shared_experts = Some(dense(&own.at("shared_experts"), inner * shared)?);
                }
                FeedForward::Sparse(Box::new(moe))
            }
        };
        let attention = weights.at("self_attn");
        let self_attn = LatentAttention::new(&attention, shape, false, rope.clone(), factor)?;
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
