//! Owns Mamba 2: blocks of nothing but a mixer with a state.

use olivine_core::Array;
use olivine_nn::{Layer, Module};
use serde::Deserialize;

use super::yes;
use crate::{
    Cache, Family, ModelConfig, Result, Sequences, Weights,
    layers::{Block, CausalLm, Mamba2, Mamba2Shape, Names, Norm, StepLimits},
};

crate::family! {
    Family::new(&["mamba2"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    num_heads: usize,
    head_dim: usize,
    vocab_size: usize,
    hidden_size: usize,
    state_size: usize,
    ssm_state_size: Option<usize>,
    num_hidden_layers: usize,
    #[serde(default = "eps")]
    layer_norm_epsilon: f64,
    #[serde(default = "four")]
    conv_kernel: usize,
    #[serde(default = "eight")]
    n_groups: usize,
    #[serde(default)]
    use_bias: bool,
    #[serde(default = "yes")]
    use_conv_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    time_step_limit: StepLimits,
}

fn eps() -> f64 {
    1e-5
}

fn four() -> usize {
    4
}

fn eight() -> usize {
    8
}

/// A block of Mamba's.
#[derive(Clone, Debug, Module)]
struct MambaBlock {
    mixer: Mamba2,
    norm: Norm,
}

impl Block for MambaBlock {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let y = self.norm.forward(x)?;
        x.add(self.mixer.forward(&y, cache, sequences)?)
    }

    fn cache(&self) -> Cache {
        self.mixer.cache()
    }
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<MambaBlock>> {
    let c: Config = config.read()?;
    let (width, eps) = (c.hidden_size, c.layer_norm_epsilon);
    let shape = Mamba2Shape {
        width,
        heads: c.num_heads,
        head_dim: c.head_dim,
        groups: c.n_groups,
        state: c.ssm_state_size.unwrap_or(c.state_size),
        conv: c.conv_kernel,
        bias: c.use_bias,
        conv_bias: c.use_conv_bias,
        grouped_norm: false,
        eps,
        steps: c.time_step_limit.steps(),
    };
    const BLOCK_EPS: f64 = 1e-5;
    let block = |weights: &Weights, _| {
        Ok(MambaBlock {
            mixer: Mamba2::new(&weights.at("mixer"), shape.clone())?,
            norm: weights.rms_norm("norm", width, BLOCK_EPS)?,
        })
    };
    let norm = weights.rms_norm(Names::BACKBONE.norm, width, eps)?;
    let (sizes, layers) = ([c.vocab_size, width], c.num_hidden_layers);
    let tied = c.tie_word_embeddings;
    let model = CausalLm::named(weights, Names::BACKBONE, sizes, tied, norm, (layers, block))?;
    weights.finish()?;
    Ok(model)
}
