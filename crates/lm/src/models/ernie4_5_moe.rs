//! Owns the mixtures of experts of ERNIE 4.5, which begin and end at given layers.

use olivine_nn::Activation;
use serde::Deserialize;

use crate::{
    Family, ModelConfig, Reach, Result, Weights,
    layers::{
        Attention, AttentionShape, CausalLm, FeedForward, Gate, GatedMlp, Moe, PreNorm, Router,
        Scores,
    },
};

crate::family! {
    Family::new(&["ernie4_5_moe"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    num_hidden_layers: usize,
    rms_norm_eps: f64,
    vocab_size: usize,
    #[serde(default)]
    use_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    moe_num_experts: usize,
    #[serde(default)]
    moe_layer_start_index: Layers,
    moe_layer_end_index: Option<Layers>,
    #[serde(default)]
    moe_intermediate_size: usize,
    #[serde(default = "one")]
    moe_k: usize,
    #[serde(default = "one")]
    moe_layer_interval: usize,
    #[serde(default)]
    moe_num_shared_experts: usize,
    head_dim: Option<usize>,
    #[serde(default)]
    moe_gate_act: GateAct,
}

/// The number of a layer, or of one for text and one for pictures.
#[derive(Deserialize)]
#[serde(untagged)]
enum Layers {
    One(usize),
    Each(Vec<usize>),
}

impl Default for Layers {
    fn default() -> Self {
        Layers::One(0)
    }
}

impl Layers {
    fn all(&self) -> &[usize] {
        match self {
            Layers::One(number) => std::slice::from_ref(number),
            Layers::Each(numbers) => numbers,
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GateAct {
    #[default]
    Softmax,
    Sigmoid,
}

fn one() -> usize {
    1
}

/// Parts that predict more tokens than the next, and corrections that serve training.
fn known(name: &str) -> Option<String> {
    let extra = [
        "mtp_block.",
        "mtp_linear_proj.",
        "mtp_hidden_norm.",
        "mtp_emb_norm.",
        "e_score_correction_bias",
    ];
    let extra = extra.iter().any(|part| name.contains(part));
    (!extra).then(|| name.to_owned())
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<PreNorm<FeedForward>>> {
    let c: Config = config.read()?;
    let weights = weights.renamed(known);
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.use_bias,
        output_bias: c.use_bias,
    };
    let rope = config.turns(shape.head_dim, 500_000.0, true)?;
    let scores = match c.moe_gate_act {
        GateAct::Softmax => Scores::Softmax,
        GateAct::Sigmoid => Scores::Sigmoid,
    };
    let router = Router::new(scores, c.moe_k, true);
    let start = c.moe_layer_start_index.all().iter().min().copied();
    let start = start.unwrap_or(0);
    let end = c.moe_layer_end_index.as_ref();
    let end = end.and_then(|end| end.all().iter().max().copied());
    let end = end.unwrap_or(c.num_hidden_layers);
    let inner = match c.moe_intermediate_size {
        0 => c.intermediate_size,
        own => own,
    };
    let block = |weights: &Weights, number: usize| {
        let own = weights.at("mlp");
        let dense = |weights: &Weights, inner: usize| {
            GatedMlp::new(weights, width, inner, c.use_bias, Activation::Silu)
        };
        let sparse =
            (number + 1).is_multiple_of(c.moe_layer_interval) && (start..=end).contains(&number);
        let mlp = if sparse {
            let sizes = [c.moe_num_experts, width, inner];
            let gate = Gate::new(&own, width, c.moe_num_experts)?;
            let mut moe = Moe::new(&own, sizes, c.use_bias, gate, router)?;
            if c.moe_num_shared_experts > 0 {
                let inner = inner * c.moe_num_shared_experts;
                moe.shared_experts = Some(dense(&own.at("shared_experts"), inner)?);
            }
            FeedForward::Sparse(Box::new(moe))
        } else {
            FeedForward::Dense(dense(&own, c.intermediate_size)?)
        };
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let self_attn = Attention::new(&weights.at("self_attn"), shape, heads)?;
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
