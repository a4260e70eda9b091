//! Owns Mixtral: Mistral's attention, and experts chosen by their logits alone.

use olivine_core::Array;
use olivine_nn::{Layer, Module};
use serde::Deserialize;

use crate::{
    Family, ModelConfig, Reach, Result, Sequences, Weights,
    layers::{Attention, AttentionShape, Block, CausalLm, Gate, Moe, Norm, Router, Scores},
};

crate::family! {
    Family::new(&["mixtral"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
#[serde(default)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_experts_per_tok: usize,
    num_key_value_heads: usize,
    head_dim: Option<usize>,
    num_local_experts: usize,
    rms_norm_eps: f64,
    rope_traditional: bool,
    tie_word_embeddings: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            vocab_size: 32000,
            hidden_size: 4096,
            intermediate_size: 14336,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_experts_per_tok: 2,
            num_key_value_heads: 8,
            head_dim: None,
            num_local_experts: 8,
            rms_norm_eps: 1e-5,
            rope_traditional: false,
            tie_word_embeddings: false,
        }
    }
}

/// A block of Mixtral's.
#[derive(Clone, Debug, Module)]
struct MixtralBlock {
    self_attn: Attention,
    block_sparse_moe: Moe,
    input_layernorm: Norm,
    post_attention_layernorm: Norm,
}

impl Block for MixtralBlock {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let y = self.input_layernorm.forward(x)?;
        let x = x.add(self.self_attn.forward(&y, cache, sequences)?)?;
        let y = self.post_attention_layernorm.forward(&x)?;
        x.add(self.block_sparse_moe.forward(&y)?)
    }
}

/// Names of single experts' layers, as most families have them.
#[expect(
    clippy::unnecessary_wraps,
    reason = "Weights::renamed leaves out what has no name"
)]
fn usual_name(name: &str) -> Option<String> {
    let names = [("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")];
    for (own, usual) in names {
        let (own, usual) = (format!(".{own}."), format!(".{usual}."));
        if name.contains(".experts.") && name.contains(&own) {
            return Some(name.replace(&own, &usual));
        }
    }
    Some(name.to_owned())
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<MixtralBlock>> {
    let c: Config = config.read()?;
    let weights = weights.renamed(usual_name);
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        ..AttentionShape::default()
    };
    let rope = config.turns(shape.head_dim, 1e6, c.rope_traditional)?;
    let router = Router::new(Scores::SoftmaxOfChosen, c.num_experts_per_tok, false);
    let block = |weights: &Weights, _| {
        let heads = shape.heads(Some(rope.clone()), Reach::All);
        let own = weights.at("block_sparse_moe");
        let sizes = [c.num_local_experts, width, c.intermediate_size];
        let gate = Gate::new(&own, width, c.num_local_experts)?;
        let norm = |name: &str| weights.rms_norm(name, width, eps);
        Ok(MixtralBlock {
            self_attn: Attention::new(&weights.at("self_attn"), shape, heads)?,
            block_sparse_moe: Moe::new(&own, sizes, false, gate, router)?,
            input_layernorm: norm("input_layernorm")?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
        })
    };
    let norm = weights.rms_norm("model.norm", width, eps)?;
    let sizes = [c.vocab_size, width];
    let tied = c.tie_word_embeddings;
    let model = CausalLm::new(&weights, sizes, tied, norm, c.num_hidden_layers, block)?;
    weights.finish()?;
    Ok(model)
}
