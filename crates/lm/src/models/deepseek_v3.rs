//! Owns DeepSeek V3 and R1: latent attention that remembers the small vectors, and experts that
//! are chosen by corrected scores.

use olivine_nn::Activation;
use serde::Deserialize;

use super::{eps, yes};
use crate::{
    Family, ModelConfig, Reach, Result, Weights,
    layers::{
        CausalLm, FeedForward, Gate, GatedMlp, Groups, LatentAttention, LatentShape, Moe, PreNorm,
        Router, Scores,
    },
};

crate::family! {
    Family::new(&["deepseek_v3"], |config, weights| Ok(Box::new(model(config, weights)?)))
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
    #[serde(default = "one_times")]
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
    #[serde(default = "corrected")]
    topk_method: String,
    #[serde(default = "yes")]
    norm_topk_prob: bool,
    #[serde(default = "one")]
    n_group: usize,
    #[serde(default = "one")]
    topk_group: usize,
    #[serde(default = "one")]
    num_experts_per_tok: usize,
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

fn one_times() -> f32 {
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

fn corrected() -> String {
    "noaux_tc".to_owned()
}

fn one() -> usize {
    1
}

/// The matrices of each head for queries and for values, of the one that the published files have.
fn apart(weights: &Weights, shape: LatentShape) -> Result<Weights> {
    let LatentShape {
        heads,
        kv_rank,
        still,
        value,
        ..
    } = shape;
    let mut made = Vec::new();
    for name in weights.names() {
        let ends = [".kv_b_proj.weight", ".kv_b_proj.qweight"];
        let Some(layer) = ends.iter().find_map(|end| name.strip_suffix(end)) else {
            continue;
        };
        let own = weights.at(layer);
        let both = own.plain("kv_b_proj", heads * (still + value), kv_rank)?;
        let both = both.reshape([heads, still + value, kv_rank])?;
        let keys = both.index((.., ..still))?.swapaxes(-1, -2)?.contiguous()?;
        let values = both.index((.., still..))?.contiguous()?;
        made.push((own.name("embed_q.weight"), keys));
        made.push((own.name("unembed_out.weight"), values));
    }
    Ok(weights.and(made))
}

fn model(
    config: &ModelConfig,
    weights: &Weights,
) -> Result<CausalLm<PreNorm<FeedForward, LatentAttention>>> {
    let c: Config = config.read()?;
    if c.topk_method != "noaux_tc" {
        return Err(config.fields().unsupported("topk_method", "noaux_tc"));
    }
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
    let weights = apart(weights, shape)?;
    // Further layers predict more tokens than the next.
    weights.ignore(&format!("model.layers.{}", c.num_hidden_layers));
    let factor = config.rope()?.scaling.attention_factor();
    let rope = config.turns(shape.turned, 10_000.0, true)?;
    let (count, normalised) = (c.num_experts_per_tok, c.norm_topk_prob);
    let router = Router {
        groups: (c.n_group != 1).then_some(Groups {
            count: c.n_group,
            kept: c.topk_group,
            judges: 2,
        }),
        scale: c.routed_scaling_factor,
        ..Router::new(Scores::Sigmoid, count, normalised && count > 1)
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
                let gate = Gate::plain(&own, width, experts, true)?;
                let mut moe = Moe::new(&own, [experts, width, inner], false, gate, router)?;
                if let Some(shared) = c.n_shared_experts {
                    moe.shared_experts = Some(dense(&own.at("shared_experts"), inner * shared)?);
                }
                FeedForward::Sparse(Box::new(moe))
            }
        };
        let attention = weights.at("self_attn");
        let self_attn = LatentAttention::new(&attention, shape, true, rope.clone(), factor)?;
        PreNorm::new(self_attn, mlp, Reach::All, |name| {
            weights.rms_norm(name, width, eps)
        })
    };
    let norm = weights.rms_norm("model.norm", width, eps)?;
    let sizes = [c.vocab_size, width];
    let tied = c.tie_word_embeddings;
    let model = CausalLm::new(&weights, sizes, tied, norm, c.num_hidden_layers, block)?;
    weights.finish()?;
    Ok(model)
}
