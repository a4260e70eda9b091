//! Owns layers that remember a state instead of all tokens: short convolutions and Mamba 2.

use olivine_core::{Array, Dtype, Result, concatenate, fast::rms_norm, ops::conv::ConvOptions};
use olivine_nn::{Layer, Module, Param, init, silu, softplus};
use serde::Deserialize;
use serde_json::Value;

use super::{Block, Linear, Names};
use crate::{Cache, Sequences, StateCache, Weights};

impl Names {
    /// As Mamba names its parts.
    pub(crate) const BACKBONE: Names = Names {
        embeddings: "backbone.embeddings",
        layers: "backbone.layers",
        norm: "backbone.norm_f",
        head: "lm_head",
    };
}

/// A convolution over the latest tokens, of each channel alone.
#[derive(Clone, Debug, Module)]
pub(crate) struct CausalConv {
    weight: Param,
    bias: Option<Param>,
}

impl CausalConv {
    /// The slot of the state that holds the latest inputs.
    const SLOT: usize = 0;

    /// Reads weights in MLX's layout (channels, size, 1) or PyTorch's (channels, 1, size).
    pub(crate) fn new(
        weights: &Weights,
        channels: usize,
        size: usize,
        bias: bool,
    ) -> crate::Result<Self> {
        if size == 0 {
            return Err(weights.bad(format!("{} has no width", weights.name(""))));
        }
        let limit = 1.0 / (size as f32).sqrt();
        let uniform = |shape: olivine_core::Shape| init::uniform(shape, -limit, limit);
        let found = weights.any("weight");
        let other = [channels, 1, size];
        let weight = if size > 1 && found.is_some_and(|found| found.shape().dims() == other) {
            weights.tensor("weight", other, &uniform)?.swapaxes(1, 2)?
        } else {
            weights.tensor("weight", [channels, size, 1], &uniform)?
        };
        let bias = if bias {
            Some(weights.tensor("bias", [channels], &uniform)?.into())
        } else {
            None
        };
        Ok(CausalConv {
            weight: weight.into(),
            bias,
        })
    }

    /// Convolves (batch, tokens, channels), after what the state remembers.
    pub(crate) fn forward(&self, x: &Array, state: Option<&mut StateCache>) -> Result<Array> {
        let (size, channels) = (self.weight.dim(1)?, x.dim(2)?);
        let before = match state.as_ref().and_then(|state| state.get(Self::SLOT)) {
            Some(before) => before.clone(),
            None => Array::zeros([x.dim(0)?, size - 1, channels], x.dtype())?,
        };
        let x = concatenate(&[before, x.clone()], 1)?;
        if let Some(state) = state {
            let kept = x.dim(1)? - (size - 1);
            state.set(Self::SLOT, x.index((.., kept..))?.contiguous()?);
        }
        let options = ConvOptions {
            groups: channels,
            ..ConvOptions::default()
        };
        let y = x.conv1d(self.weight.value(), options)?;
        match &self.bias {
            Some(bias) => y.add(bias.value()),
            None => Ok(y),
        }
    }
}

/// The shortest and the longest step, as configurations have them; infinity is not a number there.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct StepLimits(Option<Value>, Option<Value>);

impl StepLimits {
    pub(crate) fn steps(&self) -> [f32; 2] {
        let number = |limit: &Option<Value>, usual: f32| {
            let number = limit.as_ref().and_then(Value::as_f64);
            number.map_or(usual, |number| number as f32)
        };
        [number(&self.0, 0.0), number(&self.1, f32::INFINITY)]
    }
}

/// The sizes of a Mamba 2 layer.
#[derive(Clone, Debug)]
pub(crate) struct Mamba2Shape {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    /// Groups of heads that share how they write and read.
    pub(crate) groups: usize,
    /// Numbers that each element of a head remembers.
    pub(crate) state: usize,
    /// Width of the convolution.
    pub(crate) conv: usize,
    pub(crate) bias: bool,
    pub(crate) conv_bias: bool,
    /// The norm is over each group alone.
    pub(crate) grouped_norm: bool,
    pub(crate) eps: f64,
    /// The shortest and the longest step.
    pub(crate) steps: [f32; 2],
}

impl Mamba2Shape {
    fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    fn shared(&self) -> usize {
        self.groups * self.state
    }
}

/// A norm of gated rows.
#[derive(Clone, Debug, Module)]
struct GatedNorm {
    weight: Param,
}

/// A mixer whose state fades and is written to, step by step (Mamba 2, arXiv:2405.21060).
#[derive(Clone, Debug, Module)]
pub(crate) struct Mamba2 {
    in_proj: Linear,
    conv1d: CausalConv,
    dt_bias: Param,
    #[module(rename = "A_log")]
    decay: Param,
    #[module(rename = "D")]
    skip: Param,
    norm: GatedNorm,
    out_proj: Linear,
    #[module(skip)]
    shape: Mamba2Shape,
}

impl Mamba2 {
    /// The slot of the cache that holds the state (batch, heads, size, numbers).
    const SLOT: usize = 1;

    pub(crate) fn new(weights: &Weights, shape: Mamba2Shape) -> crate::Result<Self> {
        let heads = shape.heads;
        let sizes = [heads, shape.head_dim, shape.groups, shape.state];
        if sizes.contains(&0) || !heads.is_multiple_of(shape.groups) {
            return Err(weights.bad(format!("Mamba 2 cannot have these sizes: {shape:?}")));
        }
        let inner = shape.inner();
        let channels = inner + 2 * shape.shared();
        let outputs = inner + channels + heads;
        let conv = weights.at("conv1d");
        let ones = |shape: olivine_core::Shape| Array::ones(shape, Dtype::Float32);
        let decay = |_| Array::arange(1.0f32, heads as f32 + 1.0, 1.0)?.log();
        let norm = weights.at("norm").tensor("weight", [inner], &ones)?;
        Ok(Mamba2 {
            in_proj: weights.linear("in_proj", shape.width, outputs, shape.bias)?,
            conv1d: CausalConv::new(&conv, channels, shape.conv, shape.conv_bias)?,
            dt_bias: weights.tensor("dt_bias", [heads], &ones)?.into(),
            decay: weights.exact("A_log", [heads], &decay)?.into(),
            skip: weights.tensor("D", [heads], &ones)?.into(),
            norm: GatedNorm {
                weight: norm.into(),
            },
            out_proj: weights.linear("out_proj", inner, shape.width, shape.bias)?,
            shape,
        })
    }

    /// Mixes the projected tokens of one sequence.
    fn mix(&self, projected: &Array, mut state: Option<&mut StateCache>) -> Result<Array> {
        let shape = &self.shape;
        let (inner, shared) = (shape.inner(), shape.shared());
        let (batch, tokens) = (projected.dim(0)?, projected.dim(1)?);
        let parts = projected.split([inner, 2 * inner + 2 * shared], -1)?;
        let [gate, x, dt] = &parts[..] else {
            unreachable!("two cuts make three parts")
        };
        let x = silu(&self.conv1d.forward(x, state.as_deref_mut())?)?;
        let parts = x.split([inner, inner + shared], -1)?;
        let [x, write, read] = &parts[..] else {
            unreachable!("two cuts make three parts")
        };
        let heads = [batch, tokens, shape.heads, shape.head_dim];
        let grouped = [batch, tokens, shape.groups, shape.state];
        let [shortest, longest] = shape.steps;
        let dt = softplus(&dt.astype(Dtype::Float32)?.add(self.dt_bias.value())?)?
            .clip(shortest, longest)?;
        let fade = dt.multiply(self.decay.astype(Dtype::Float32)?.exp()?.negative()?)?;
        let x = x.reshape(heads)?;
        let steps = Steps {
            written: dt.expand_dims(-1)?.multiply(&x)?,
            fade,
            write: write.astype(Dtype::Float32)?.reshape(grouped)?,
            read: read.astype(Dtype::Float32)?.reshape(grouped)?,
        };
        let before = state.as_ref().and_then(|state| state.get(Self::SLOT));
        let (y, after) = steps.run(before.cloned())?;
        if let Some(state) = state {
            state.set(Self::SLOT, after);
            state.advance(tokens);
        }
        let y = y.astype(x.dtype())?;
        let y = y.add(x.multiply(self.skip.astype(x.dtype())?.expand_dims(-1)?)?)?;
        let y = silu(gate)?.multiply(y.reshape([batch, tokens, inner])?)?;
        let (weight, eps) = (self.norm.weight.value(), shape.eps as f32);
        if !shape.grouped_norm {
            return rms_norm(&y, Some(weight), eps);
        }
        let groups = y.reshape([batch, tokens, shape.groups, inner / shape.groups])?;
        rms_norm(&groups, None, eps)?
            .reshape([batch, tokens, inner])?
            .multiply(weight)
    }
}

impl Block for Mamba2 {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let projected = self.in_proj.forward(x)?;
        let mixed = sequences.each(cache, &[&projected], |parts, cache| {
            self.mix(&parts[0], cache.and_then(Cache::state))
        })?;
        self.out_proj.forward(&mixed)
    }

    fn cache(&self) -> Cache {
        StateCache::new(2).into()
    }
}

/// What happens to the state at each step, in `float32`.
struct Steps {
    /// What is written, (batch, steps, heads, size).
    written: Array,
    /// The logarithm of the part of the state that is kept, (batch, steps, heads).
    fade: Array,
    /// Where it is written and from where it is read, (batch, steps, groups, numbers).
    write: Array,
    read: Array,
}

impl Steps {
    /// Steps that are worked on at once; the work on each grows with their number.
    const AT_ONCE: usize = 256;

    /// What is read at each step, (batch, steps, heads, size), and the state in the end.
    fn run(&self, mut state: Option<Array>) -> Result<(Array, Array)> {
        let (count, shape) = (self.fade.dim(1)?, self.written.shape());
        let mut read = Vec::new();
        for start in (0..count).step_by(Self::AT_ONCE) {
            let part = start..(start + Self::AT_ONCE).min(count);
            let cut = |x: &Array| x.index((.., part.clone()));
            let steps = Steps {
                written: cut(&self.written)?,
                fade: cut(&self.fade)?,
                write: cut(&self.write)?,
                read: cut(&self.read)?,
            };
            let (y, after) = steps.at_once(state)?;
            read.push(y);
            state = Some(after);
        }
        let numbers = self.write.dim(3)?;
        let state = match state {
            Some(state) => state,
            None => Array::zeros([shape[0], shape[2], shape[3], numbers], Dtype::Float32)?,
        };
        match read.len() {
            0 => Ok((self.written.clone(), state)),
            1 => Ok((read.remove(0), state)),
            _ => Ok((concatenate(&read, 1)?, state)),
        }
    }

    /// The same for all steps in one go: what was written at one step is read at another one as
    /// far as it has not faded between them, so this is attention with weights of its own.
    fn at_once(&self, state: Option<Array>) -> Result<(Array, Array)> {
        let (batch, count) = (self.fade.dim(0)?, self.fade.dim(1)?);
        let (heads, size) = (self.written.dim(2)?, self.written.dim(3)?);
        let (groups, numbers) = (self.write.dim(2)?, self.write.dim(3)?);
        let each = heads / groups;
        // (batch, groups, heads of each, steps, …)
        let written = self.written.reshape([batch, count, groups, each, size])?;
        let written = written.transpose([0, 2, 3, 1, 4])?;
        let fade = self.fade.reshape([batch, count, groups, each])?;
        let fade = fade.transpose([0, 2, 3, 1])?;
        let shared = |x: &Array| x.swapaxes(1, 2)?.expand_dims(2);
        let (write, read) = (shared(&self.write)?, shared(&self.read)?);

        // Sums of what lies between two steps; differences of long sums would lose digits.
        let between = fade
            .expand_dims(-1)?
            .broadcast_to([batch, groups, each, count, count])?
            .tril(-1)?
            .cumsum(-2)?;
        let kept = between.exp()?.tril(0)?;
        let weights = read.matmul(write.swapaxes(-1, -2)?)?.multiply(&kept)?;
        let mut y = weights.matmul(&written)?;
        let last = kept.index((.., .., .., -1))?.expand_dims(-1)?;
        let mut after = written.multiply(last)?.swapaxes(-1, -2)?.matmul(&write)?;
        if let Some(state) = state {
            let state = state.reshape([batch, groups, each, size, numbers])?;
            let kept = fade.cumsum(-1)?.exp()?.expand_dims(-1)?;
            let old = read.matmul(state.swapaxes(-1, -2)?)?;
            y = y.add(old.multiply(&kept)?)?;
            after = after.add(state.multiply(kept.index((.., .., .., -1..))?)?)?;
        }
        let y = y.transpose([0, 3, 1, 2, 4])?;
        Ok((
            y.reshape([batch, count, heads, size])?,
            after.reshape([batch, heads, size, numbers])?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use olivine_core::{Tolerance, random};

    use super::*;

    #[test]
    fn steps_at_once_are_the_recurrence() {
        random::seed(3);
        let uniform = |shape: &[usize]| random::uniform(shape).unwrap();
        let count = Steps::AT_ONCE + 44;
        let steps = Steps {
            written: uniform(&[2, count, 4, 3]),
            fade: uniform(&[2, count, 4]).negative().unwrap(),
            write: uniform(&[2, count, 2, 5]),
            read: uniform(&[2, count, 2, 5]),
        };
        let first = uniform(&[2, 4, 3, 5]);
        let (read, last) = steps.run(Some(first.clone())).unwrap();

        let mut state = first;
        for step in 0..count {
            let at = |x: &Array| x.index((.., step)).unwrap();
            let by_heads = |x: &Array| at(x).repeat(2, 1).unwrap().expand_dims(-2).unwrap();
            let kept = at(&steps.fade).exp().unwrap();
            let kept = kept.expand_dims(-1).unwrap().expand_dims(-1).unwrap();
            let written = at(&steps.written).expand_dims(-1).unwrap();
            let new = written.multiply(by_heads(&steps.write)).unwrap();
            state = state.multiply(kept).unwrap().add(new).unwrap();
            let expected = state.multiply(by_heads(&steps.read)).unwrap();
            let expected = expected.sum(-1).unwrap();
            let tolerance = Tolerance {
                relative: 1e-4,
                absolute: 1e-4,
                ..Tolerance::default()
            };
            let same = at(&read).allclose(&expected, tolerance).unwrap();
            assert!(same.item::<bool>().unwrap(), "step {step}");
        }
        let apart = last.subtract(state).unwrap().abs().unwrap();
        assert!(apart.max(..).unwrap().item::<f32>().unwrap() < 1e-4);
    }

    #[test]
    fn limits_that_are_no_numbers_are_none() {
        for text in [r"[0.5, null]", r#"[0.5, {"__float__": "Infinity"}]"#] {
            let limits: StepLimits = serde_json::from_str(text).unwrap();
            assert_eq!(limits.steps(), [0.5, f32::INFINITY]);
        }
        assert_eq!(StepLimits::default().steps(), [0.0, f32::INFINITY]);
    }
}
