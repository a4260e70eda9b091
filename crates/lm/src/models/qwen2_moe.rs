//! Owns the mixtures of experts of Qwen 1.5 and 2, with an expert for every token.

use olivine_nn::Activation;
use serde::Deserialize;

use super::eps;
use crate::{
    Family, ModelConfig, Reach, Result, Weights,
    layers::{
        Attention, AttentionShape, CausalLm, FeedForward, GatedMlp, Moe, PreNorm, Router, Scores,
    },
};

crate::family! {
    Family::new(&["qwen2_moe"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    num_experts: usize,
    num_experts_per_tok: usize,
    moe_intermediate_size: usize,
    shared_expert_intermediate_size: usize,
    #[serde(default)]
    norm_topk_prob: bool,
    #[serde(default = "one")]
    decoder_sparse_step: usize,
    #[serde(default)]
    mlp_only_layers: Vec<usize>,
    #[serde(default = "eps")]
    rms_norm_eps: f64,
    vocab_size: usize,
    #[serde(default)]
    rope_traditional: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

fn one() -> usize {
    1
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<PreNorm<FeedForward>>> {
    let c: Config = config.read()?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads.unwrap_or(heads),
        head_dim: config.head_dim(None, width, heads)?,
        bias: true,
        output_bias: false,
    };
    let rope = config.turns(shape.head_dim, 1e6, c.rope_traditional)?;
    let router = Router::new(Scores::Softmax, c.num_experts_per_tok, c.norm_topk_prob);
    let block = |weights: &Weights, number: usize| {
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let self_attn = Attention::new(&weights.at("self_attn"), shape, heads)?;
        let own = weights.at("mlp");
        let sparse = !c.mlp_only_layers.contains(&number)
            && (number + 1).is_multiple_of(c.decoder_sparse_step);
        let mlp = if sparse {
            let sizes = [c.num_experts, width, c.moe_intermediate_size];
            let shared = c.shared_expert_intermediate_size;
            FeedForward::Sparse(Box::new(Moe::with_gated_expert(
                &own, sizes, shared, router,
            )?))
        } else {
            let inner = c.intermediate_size;
            FeedForward::Dense(GatedMlp::new(&own, width, inner, false, Activation::Silu)?)
        };
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
