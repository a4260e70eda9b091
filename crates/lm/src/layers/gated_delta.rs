//! Owns mixers that correct a memory by what it fails to recall (gated delta networks,
//! arXiv:2412.06464), as Qwen 3 Next has them.

use olivine_core::{
    Array, Dtype, Result, concatenate,
    fast::{GatedDelta, gated_delta_update, rms_norm},
};
use olivine_nn::{Layer, Module, Param, init, silu, softplus};

use super::{Block, CausalConv, Linear, Norm};
use crate::{Cache, Sequences, StateCache, Weights};

/// The sizes of a gated delta network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeltaShape {
    pub(crate) width: usize,
    pub(crate) key_heads: usize,
    pub(crate) value_heads: usize,
    pub(crate) key_dim: usize,
    pub(crate) value_dim: usize,
    /// Width of the convolution.
    pub(crate) conv: usize,
    pub(crate) eps: f64,
}

impl DeltaShape {
    fn keys(self) -> usize {
        self.key_heads * self.key_dim
    }

    fn values(self) -> usize {
        self.value_heads * self.value_dim
    }
}

/// A gated delta network.
#[derive(Clone, Debug, Module)]
pub(crate) struct DeltaNet {
    conv1d: CausalConv,
    in_proj_qkvz: Linear,
    in_proj_ba: Linear,
    dt_bias: Param,
    #[module(rename = "A_log")]
    decay: Param,
    norm: Norm,
    out_proj: Linear,
    #[module(skip)]
    shape: DeltaShape,
}

impl DeltaNet {
    /// The slot of the cache that holds the memory (batch, heads, value size, key size).
    const SLOT: usize = 1;

    pub(crate) fn new(weights: &Weights, shape: DeltaShape) -> crate::Result<Self> {
        let (keys, values, width) = (shape.keys(), shape.values(), shape.width);
        let (heads, channels) = (shape.value_heads, 2 * keys + values);
        if keys == 0 || values == 0 || !heads.is_multiple_of(shape.key_heads) {
            return Err(weights.bad(format!(
                "a gated delta network cannot have these sizes: {shape:?}"
            )));
        }
        let conv = weights.at("conv1d");
        let decay = |shape: olivine_core::Shape| init::uniform(shape, 0.01, 16.0)?.log();
        let ones = |shape: olivine_core::Shape| Array::ones(shape, Dtype::Float32);
        Ok(DeltaNet {
            conv1d: CausalConv::new(&conv, channels, shape.conv, false)?,
            in_proj_qkvz: weights.linear("in_proj_qkvz", width, channels + values, false)?,
            in_proj_ba: weights.linear("in_proj_ba", width, 2 * heads, false)?,
            dt_bias: weights.tensor("dt_bias", [heads], &ones)?.into(),
            decay: weights.tensor("A_log", [heads], &decay)?.into(),
            norm: weights.rms_norm("norm", shape.value_dim, shape.eps)?,
            out_proj: weights.linear("out_proj", values, width, false)?,
            shape,
        })
    }

    /// Mixes one sequence: rows of queries, keys and values (batch, tokens, channels), and the
    /// two gates of each head (batch, tokens, heads).
    fn mix(&self, [rows, rate, fade]: [&Array; 3], cache: Option<&mut Cache>) -> Result<Array> {
        let shape = self.shape;
        let (batch, tokens, keys) = (rows.dim(0)?, rows.dim(1)?, shape.keys());
        let mut state = cache.and_then(Cache::state);
        let rows = silu(&self.conv1d.forward(rows, state.as_deref_mut())?)?;
        let key_heads = [batch, tokens, shape.key_heads, shape.key_dim];
        let value_heads = [batch, tokens, shape.value_heads, shape.value_dim];
        let queries = rows.index((.., .., ..keys))?.reshape(key_heads)?;
        let keys_of = rows.index((.., .., keys..2 * keys))?.reshape(key_heads)?;
        let values = rows.index((.., .., 2 * keys..))?.reshape(value_heads)?;
        // Rows of length one, by the norm that divides by the root of the mean.
        let root = (shape.key_dim as f32).powf(-0.5);
        let unit = |x: &Array| rms_norm(x, None, 1e-6 * root * root)?.multiply(root);
        let fade = softplus(&fade.add(self.dt_bias.value())?)?;
        let decay = self.decay.astype(Dtype::Float32)?.exp()?.negative()?;
        let (kept, rate) = (decay.multiply(fade)?.exp()?, rate.sigmoid()?);
        let before = state.as_ref().and_then(|state| state.get(Self::SLOT));
        let gates = GatedDelta {
            gamma: &kept,
            beta: &rate,
            state: before,
            mask: None,
        };
        let queries = unit(&queries)?.multiply(root)?;
        let (read, after) = gated_delta_update(&queries, &unit(&keys_of)?, &values, &gates)?;
        if let Some(state) = state {
            state.set(Self::SLOT, after);
            state.advance(tokens);
        }
        Ok(read)
    }
}

impl Block for DeltaNet {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let shape = self.shape;
        let (batch, tokens) = (x.dim(0)?, x.dim(1)?);
        let by_key_heads = |y: Array| y.unflatten(-1, [shape.key_heads as i64, -1]);
        let rows = |y: &Array| y.flatten(2, 3);
        let (key, values) = (
            shape.key_dim,
            shape.value_heads / shape.key_heads * shape.value_dim,
        );
        // Each head of keys has its own query, key, values and their gates beside each other.
        let mixed = by_key_heads(self.in_proj_qkvz.forward(x)?)?;
        let parts = mixed.split([key, 2 * key, 2 * key + values], -1)?;
        let all: Result<Vec<Array>> = parts[..3].iter().map(rows).collect();
        let qkv = concatenate(&all?, -1)?;
        let heads = [batch, tokens, shape.value_heads, shape.value_dim];
        let gate = parts[3].reshape(heads)?;
        let gates = by_key_heads(self.in_proj_ba.forward(x)?)?.split(2, -1)?;
        let (rate, fade) = (rows(&gates[0])?, rows(&gates[1])?);
        let read = sequences.each(cache, &[&qkv, &rate, &fade], |parts, cache| {
            self.mix([&parts[0], &parts[1], &parts[2]], cache)
        })?;
        let normed = self.norm.forward(&read)?.astype(Dtype::Float32)?;
        let gated = silu(&gate.astype(Dtype::Float32)?)?.multiply(normed)?;
        self.out_proj.forward(&rows(&gated.astype(x.dtype())?)?)
    }

    fn cache(&self) -> Cache {
        StateCache::new(2).into()
    }
}
