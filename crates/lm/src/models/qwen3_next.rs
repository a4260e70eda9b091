//! Owns Qwen 3 Next: gated delta networks, gated attention in every fourth layer, and experts.

use olivine_core::Array;
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use crate::{
    Cache, Family, KvCache, ModelConfig, Reach, Result, Sequences, Weights,
    layers::{
        AttentionShape, Block, CausalLm, DeltaNet, DeltaShape, FeedForward, GatedMlp, Heads,
        Linear, Moe, Norm, Router, Scores, split_heads,
    },
};

crate::family! {
    Family::new(&["qwen3_next"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: Option<usize>,
    linear_num_value_heads: usize,
    linear_num_key_heads: usize,
    linear_key_head_dim: usize,
    linear_value_head_dim: usize,
    linear_conv_kernel_dim: usize,
    num_experts: usize,
    num_experts_per_tok: usize,
    #[serde(default = "one")]
    decoder_sparse_step: usize,
    shared_expert_intermediate_size: usize,
    #[serde(default)]
    mlp_only_layers: Vec<usize>,
    moe_intermediate_size: usize,
    rms_norm_eps: f64,
    vocab_size: usize,
    #[serde(default)]
    norm_topk_prob: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default = "four")]
    full_attention_interval: usize,
}

fn one() -> usize {
    1
}

fn four() -> usize {
    4
}

/// Attention whose outputs are gated; the gates come with the queries.
#[derive(Clone, Debug, Module)]
struct GatedAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Norm,
    k_norm: Norm,
    #[module(skip)]
    heads: Heads,
    head_dim: usize,
}

impl GatedAttention {
    fn new(weights: &Weights, shape: AttentionShape, heads: Heads, eps: f64) -> Result<Self> {
        let AttentionShape {
            width,
            head_dim,
            bias,
            output_bias,
            ..
        } = shape;
        shape.check(weights)?;
        let (all, kept) = (shape.heads * head_dim, shape.kv_heads * head_dim);
        Ok(GatedAttention {
            q_proj: weights.linear("q_proj", width, 2 * all, bias)?,
            k_proj: weights.linear("k_proj", width, kept, bias)?,
            v_proj: weights.linear("v_proj", width, kept, bias)?,
            o_proj: weights.linear("o_proj", all, width, output_bias)?,
            q_norm: weights.rms_norm("q_norm", head_dim, eps)?,
            k_norm: weights.rms_norm("k_norm", head_dim, eps)?,
            heads,
            head_dim,
        })
    }
}

impl Block for GatedAttention {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let both = split_heads(&self.q_proj.forward(x)?, 2 * self.head_dim)?.split(2, -1)?;
        let queries = self.q_norm.forward(&both[0])?;
        let keys = split_heads(&self.k_proj.forward(x)?, self.head_dim)?;
        let keys = self.k_norm.forward(&keys)?;
        let values = split_heads(&self.v_proj.forward(x)?, self.head_dim)?;
        let mixed = self
            .heads
            .attend([&queries, &keys, &values], cache, sequences)?;
        let gate = both[1].flatten(2, 3)?.sigmoid()?;
        self.o_proj.forward(&mixed.multiply(gate)?)
    }
}

/// What mixes the tokens of a block.
#[derive(Clone, Debug, Module)]
enum Mixer {
    Attention { self_attn: GatedAttention },
    Delta { linear_attn: Box<DeltaNet> },
}

/// A block of Qwen 3 Next's.
#[derive(Clone, Debug, Module)]
struct NextBlock {
    #[module(flatten)]
    mixer: Mixer,
    mlp: FeedForward,
    input_layernorm: Norm,
    post_attention_layernorm: Norm,
}

impl Block for NextBlock {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let y = self.input_layernorm.forward(x)?;
        let y = match &self.mixer {
            Mixer::Attention { self_attn } => self_attn.forward(&y, cache, sequences)?,
            Mixer::Delta { linear_attn } => linear_attn.forward(&y, cache, sequences)?,
        };
        let x = x.add(y)?;
        let y = self.post_attention_layernorm.forward(&x)?;
        x.add(self.mlp.forward(&y)?)
    }

    fn cache(&self) -> Cache {
        match &self.mixer {
            Mixer::Attention { .. } => KvCache::new().into(),
            Mixer::Delta { linear_attn } => linear_attn.cache(),
        }
    }
}

/// The published norms multiply by one more than their weights, MLX's by the weights.
fn with_whole_norms(weights: &Weights) -> Result<Weights> {
    let published = weights
        .names()
        .iter()
        .any(|name| name.ends_with(".mlp.experts.0.up_proj.weight"));
    if !published {
        return Ok(weights.clone());
    }
    let norms = [
        ".input_layernorm.weight",
        ".post_attention_layernorm.weight",
        "model.norm.weight",
        ".q_norm.weight",
        ".k_norm.weight",
    ];
    let weights = weights.renamed(|name| (!name.contains("mtp.")).then(|| name.to_owned()));
    weights.edited(|name, value| {
        if norms.iter().any(|end| name.ends_with(end)) {
            return Ok(Some(value.add(1.0)?));
        }
        Ok(None)
    })
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<NextBlock>> {
    let c: Config = config.read()?;
    let weights = with_whole_norms(weights)?;
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    let delta = DeltaShape {
        width,
        key_heads: c.linear_num_key_heads,
        value_heads: c.linear_num_value_heads,
        key_dim: c.linear_key_head_dim,
        value_dim: c.linear_value_head_dim,
        conv: c.linear_conv_kernel_dim,
        eps,
    };
    let turned = config.turned(shape.head_dim, Some(0.25))?;
    let rope = config.turns(turned, 10_000.0, false)?;
    let router = Router::new(Scores::Softmax, c.num_experts_per_tok, c.norm_topk_prob);
    let block = |weights: &Weights, number: usize| {
        let mixer = if (number + 1).is_multiple_of(c.full_attention_interval) {
            let heads = shape.heads(Some(rope.clone()), Reach::All);
            let own = weights.at("self_attn");
            Mixer::Attention {
                self_attn: GatedAttention::new(&own, shape, heads, eps)?,
            }
        } else {
            let net = DeltaNet::new(&weights.at("linear_attn"), delta)?;
            Mixer::Delta {
                linear_attn: Box::new(net),
            }
        };
        let own = weights.at("mlp");
        let sparse = !c.mlp_only_layers.contains(&number)
            && c.num_experts > 0
            && (number + 1).is_multiple_of(c.decoder_sparse_step);
        let mlp = if sparse {
            let sizes = [c.num_experts, width, c.moe_intermediate_size];
            let shared = c.shared_expert_intermediate_size;
            let moe = Moe::with_gated_expert(&own, sizes, shared, router)?;
            FeedForward::Sparse(Box::new(moe))
        } else {
            let inner = c.intermediate_size;
            FeedForward::Dense(GatedMlp::new(&own, width, inner, false, Activation::Silu)?)
        };
        Ok(NextBlock {
            mixer,
            mlp,
            input_layernorm: weights.rms_norm("input_layernorm", width, eps)?,
            post_attention_layernorm: weights.rms_norm("post_attention_layernorm", width, eps)?,
        })
    };
    let norm = weights.rms_norm("model.norm", width, eps)?;
    let sizes = [c.vocab_size, width];
    let tied = c.tie_word_embeddings;
    let model = CausalLm::new(&weights, sizes, tied, norm, c.num_hidden_layers, block)?;
    weights.finish()?;
    Ok(model)
}
