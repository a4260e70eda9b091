//! Owns the mixtures of experts of GLM 4.5 and later: heads that turn in part, corrected scores.

use olivine_nn::Activation;
use serde::Deserialize;

use crate::{
    Family, ModelConfig, Reach, Result, Weights,
    layers::{
        Attention, AttentionShape, CausalLm, FeedForward, Gate, GatedMlp, Groups, Moe, PreNorm,
        Router, Scores,
    },
};

crate::family! {
    Family::new(&["glm4_moe"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    moe_intermediate_size: usize,
    norm_topk_prob: bool,
    num_attention_heads: usize,
    n_group: usize,
    head_dim: Option<usize>,
    topk_group: usize,
    n_shared_experts: Option<usize>,
    n_routed_experts: usize,
    routed_scaling_factor: f32,
    num_experts_per_tok: usize,
    first_k_dense_replace: usize,
    num_hidden_layers: usize,
    num_key_value_heads: usize,
    rms_norm_eps: f64,
    #[serde(default)]
    use_qk_norm: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<PreNorm<FeedForward>>> {
    let c: Config = config.read()?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: false,
    };
    let turned = config.turned(shape.head_dim, Some(0.5))?;
    let rope = config.turns(turned, 1e6, false)?;
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
    // Further layers predict more tokens than the next.
    weights.ignore(&format!("model.layers.{}", c.num_hidden_layers));
    let block = |weights: &Weights, number: usize| {
        let own = weights.at("mlp");
        let dense = |weights: &Weights, inner: usize| {
            GatedMlp::new(weights, width, inner, false, Activation::Silu)
        };
        let mlp = if number < c.first_k_dense_replace {
            FeedForward::Dense(dense(&own, c.intermediate_size)?)
        } else {
            let (experts, inner) = (c.n_routed_experts, c.moe_intermediate_size);
            let gate = Gate::plain(&own, width, experts, true)?;
            let mut moe = Moe::new(&own, [experts, width, inner], false, gate, router)?;
            if let Some(shared) = c.n_shared_experts {
                moe.shared_experts = Some(dense(&own.at("shared_experts"), inner * shared)?);
            }
            FeedForward::Sparse(Box::new(moe))
        };
        let attention = weights.at("self_attn");
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let mut self_attn = Attention::new(&attention, shape, heads)?;
        if c.use_qk_norm {
            self_attn.q_norm = Some(attention.rms_norm("q_norm", shape.head_dim, eps)?);
            self_attn.k_norm = Some(attention.rms_norm("k_norm", shape.head_dim, eps)?);
        }
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
