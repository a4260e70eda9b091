//! Owns the mixtures of experts of Qwen 3, whose heads are normalised.

use serde::Deserialize;

use super::eps;
use crate::{
    Family, ModelConfig, Reach, Result, Weights,
    layers::{
        Attention, AttentionShape, CausalLm, FeedForward, Gate, GatedMlp, Moe, PreNorm, Router,
        Scores,
    },
};

crate::family! {
    Family::new(&["qwen3_moe"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: Option<usize>,
    num_experts: usize,
    num_experts_per_tok: usize,
    moe_intermediate_size: usize,
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
    attention_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default = "silu")]
    hidden_act: String,
}

fn one() -> usize {
    1
}

fn silu() -> String {
    "silu".to_owned()
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<PreNorm<FeedForward>>> {
    let c: Config = config.read()?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let activation = config.activation(&c.hidden_act)?;
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    let rope = config.turns(shape.head_dim, 1e6, false)?;
    let router = Router::new(Scores::Softmax, c.num_experts_per_tok, c.norm_topk_prob);
    let block = |weights: &Weights, number: usize| {
        let attention = weights.at("self_attn");
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let mut self_attn = Attention::new(&attention, shape, heads)?;
        self_attn.q_norm = Some(attention.rms_norm("q_norm", shape.head_dim, eps)?);
        self_attn.k_norm = Some(attention.rms_norm("k_norm", shape.head_dim, eps)?);
        let own = weights.at("mlp");
        let sparse = !c.mlp_only_layers.contains(&number)
            && c.num_experts > 0
            && (number + 1).is_multiple_of(c.decoder_sparse_step);
        let mlp = if sparse {
            let sizes = [c.num_experts, width, c.moe_intermediate_size];
            let gate = Gate::new(&own, width, c.num_experts)?;
            FeedForward::Sparse(Box::new(Moe::new(&own, sizes, false, gate, router)?))
        } else {
            let inner = c.intermediate_size;
            FeedForward::Dense(GatedMlp::new(&own, width, inner, false, activation)?)
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
