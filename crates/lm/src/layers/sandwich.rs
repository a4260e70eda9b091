//! Owns blocks that normalise before and after attention and the feed-forward layer (Gemma 2 and 3).

use olivine_core::{Array, Dtype, Result};
use olivine_nn::{Layer, Module};

use super::{Attention, Block, Norm, decoder::last};
use crate::{Cache, Sequences};

/// A block with norms around both of its parts.
#[derive(Clone, Debug, Module)]
pub(crate) struct Sandwich<M> {
    self_attn: Attention,
    mlp: M,
    input_layernorm: Norm,
    post_attention_layernorm: Norm,
    pre_feedforward_layernorm: Norm,
    post_feedforward_layernorm: Norm,
}

impl<M> Sandwich<M> {
    pub(crate) fn new(
        self_attn: Attention,
        mlp: M,
        norm: impl Fn(&str) -> crate::Result<Norm>,
    ) -> crate::Result<Self> {
        Ok(Sandwich {
            self_attn,
            mlp,
            input_layernorm: norm("input_layernorm")?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            pre_feedforward_layernorm: norm("pre_feedforward_layernorm")?,
            post_feedforward_layernorm: norm("post_feedforward_layernorm")?,
        })
    }
}

impl<M: Layer + Module + Send + Sync> Block for Sandwich<M> {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        self.forward_last(x, x.shape()[1], cache, sequences)
    }

    fn forward_last(
        &self,
        x: &Array,
        wanted: usize,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> Result<Array> {
        let normed = self.input_layernorm.forward(x)?;
        let mixed = self
            .self_attn
            .forward_last(&normed, wanted, cache, sequences)?;
        let mixed = self.post_attention_layernorm.forward(&mixed)?;
        let x = add(&last(x, wanted)?, &mixed)?;
        let y = self
            .mlp
            .forward(&self.pre_feedforward_layernorm.forward(&x)?)?;
        add(&x, &self.post_feedforward_layernorm.forward(&y)?)
    }

    fn cache(&self) -> Cache {
        Block::cache(&self.self_attn)
    }
}

/// The sum; these models were trained in bfloat16 and leave the range of float16, which is kept.
fn add(x: &Array, y: &Array) -> Result<Array> {
    const LARGEST: f32 = 65504.0;
    if x.dtype() != Dtype::Float16 {
        return x.add(y);
    }
    let sum = x.astype(Dtype::Float32)?.add(y.astype(Dtype::Float32)?)?;
    sum.clip(-LARGEST, LARGEST)?.astype(Dtype::Float16)
}
