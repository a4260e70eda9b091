//! Owns Gemma 3n's attention, whose later layers read the keys of earlier ones.

use olivine_core::{Array, Result, fast};
use olivine_nn::{Layer, Module};

use crate::{
    AttentionRule, Cache, Sequences, attend,
    attend::attend_held,
    layers::{Linear, Norm, Rope, split_heads},
};

/// Attention to keys of its own, or to those that an earlier layer has put into its cache.
#[derive(Clone, Debug, Module)]
pub(super) struct Attention {
    pub(super) q_proj: Linear,
    /// Layers that share keys have these in their files, too.
    pub(super) k_proj: Option<Linear>,
    pub(super) v_proj: Option<Linear>,
    pub(super) o_proj: Linear,
    pub(super) q_norm: Norm,
    pub(super) k_norm: Option<Norm>,
    #[module(skip)]
    pub(super) rope: Rope,
    #[module(skip)]
    pub(super) rule: AttentionRule,
    pub(super) shares: bool,
    pub(super) cache: usize,
    pub(super) head_dim: usize,
    pub(super) eps: f32,
}

impl Attention {
    pub(super) fn forward(&self, x: &Array, sequences: &mut Sequences<'_>) -> Result<Array> {
        let queries = split_heads(&self.q_proj.forward(x)?, self.head_dim)?;
        let mut inputs = vec![self.q_norm.forward(&queries)?];
        if let (false, Some(k_proj), Some(v_proj), Some(k_norm)) =
            (self.shares, &self.k_proj, &self.v_proj, &self.k_norm)
        {
            let keys = split_heads(&k_proj.forward(x)?, self.head_dim)?;
            let values = split_heads(&v_proj.forward(x)?, self.head_dim)?;
            inputs.push(k_norm.forward(&keys)?);
            inputs.push(fast::rms_norm(&values, None, self.eps)?);
        }
        let inputs: Vec<&Array> = inputs.iter().collect();
        let mixed = sequences.each(self.cache, &inputs, |parts, cache| {
            let cache = cache.and_then(Cache::kv);
            let queries = parts[0].swapaxes(1, 2)?;
            let new = queries.dim(2)?;
            let mixed = match (parts, cache) {
                ([_, keys, values], cache) => {
                    let offset = cache.as_ref().map_or(0, |cache| cache.len());
                    let queries = self.rope.apply(&queries, offset)?;
                    let keys = self.rope.apply(&keys.swapaxes(1, 2)?, offset)?;
                    attend(
                        [&queries, &keys, &values.swapaxes(1, 2)?],
                        cache,
                        &self.rule,
                    )?
                }
                (_, Some(cache)) => {
                    // The layer that it belongs to has added the new keys already.
                    let queries = self.rope.apply(&queries, cache.len().saturating_sub(new))?;
                    attend_held(&queries, cache, &self.rule)?
                }
                (_, None) => {
                    let reason = "layers that share keys need a cache".to_owned();
                    return Err(olivine_core::Error::Argument {
                        op: "attention",
                        reason,
                    });
                }
            };
            let mixed = mixed.swapaxes(1, 2)?;
            let (batch, width) = (mixed.dim(0)?, mixed.dim(2)? * mixed.dim(3)?);
            mixed.reshape([batch, new, width])
        })?;
        self.o_proj.forward(&mixed)
    }
}
