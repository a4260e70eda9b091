//! Owns the training loop's state: one step, one measurement, stopping and going on.

use std::iter;
use std::time::Instant;

use olivine_core::{Array, Dtype, eval, random};
use olivine_lm::{Weights, models::llama::Llama};
use olivine_nn::losses::cross_entropy;
use olivine_nn::optimizers::{AdamW, Optimizer, clip_grad_norm};
use olivine_nn::{Module, Parameters, value_and_grad};

use crate::checkpoint::{Checkpoint, Curve, Progress};
use crate::data::Data;
use crate::recipe::{MAX_GRADIENT_NORM, Recipe};
use crate::stream::TokenStream;
use crate::{Error, Result};

/// Held-out batches of a measurement during the run.
const MEASURED_BATCHES: usize = 8;

/// Held-out batches of the measurement at the end, where there is as much text.
const FINAL_BATCHES: usize = 48;

/// A run: the model, what its optimiser remembers, and where it is in the text.
pub struct Training {
    recipe: Recipe,
    model: Llama,
    optimizer: AdamW,
    stream: TokenStream,
    held_out: TokenStream,
    curve: Curve,
    seconds: f64,
}

impl Training {
    /// A run before its first step.
    pub fn new(recipe: &Recipe, data: &Data) -> Result<Self> {
        random::seed(recipe.seed);
        let mut model = Llama::new(&recipe.model_config()?, &Weights::random())?;
        // Each block adds to the residual stream twice. Smaller additions at first keep the sum's
        // size independent of depth (Radford et al., "Language models are unsupervised multitask
        // learners", 2019).
        let factor = (2.0 * recipe.model.layers as f32).sqrt().recip();
        let mut scaled = Parameters::new();
        for (name, weight) in model.parameters() {
            if name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight") {
                scaled.insert(name, weight.multiply(factor)?);
            }
        }
        model.update(&scaled)?;
        eval(model.parameters().values())?;
        Ok(Training {
            recipe: recipe.clone(),
            model,
            optimizer: recipe.optimizer(),
            stream: data.train.clone(),
            held_out: data.held_out.clone(),
            curve: Curve::default(),
            seconds: 0.0,
        })
    }

    /// Goes on from a checkpoint.
    pub fn resume(checkpoint: Checkpoint, data: &Data) -> Result<Self> {
        let Progress {
            recipe,
            step,
            seconds,
        } = checkpoint.progress;
        let mut training = Training::new(&recipe, data)?;
        training.model.load(&checkpoint.model)?;
        training.optimizer.load_state(&checkpoint.optimizer)?;
        training.stream.set_step(step);
        training.curve = checkpoint.curve;
        training.seconds = seconds;
        Ok(training)
    }

    /// Everything needed to go on from here.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            progress: Progress {
                recipe: self.recipe.clone(),
                step: self.step_count(),
                seconds: self.seconds,
            },
            model: self.model.parameters(),
            optimizer: self.optimizer.state(),
            curve: self.curve.clone(),
        }
    }

    /// Learns from the next batch; returns its loss before that.
    pub fn step(&mut self) -> Result<f32> {
        let begun = Instant::now();
        let (inputs, targets) = self.batch_of(true)?;
        let loss = |model: &Llama| cross_entropy(&model.forward(&inputs)?, &targets);
        let (loss, gradients) = value_and_grad(&self.model, loss)?;
        let (gradients, _) = clip_grad_norm(&gradients, MAX_GRADIENT_NORM)?;
        self.optimizer.update(&mut self.model, &gradients)?;
        drop(gradients);
        let (weights, state) = (self.model.parameters(), self.optimizer.state());
        eval(
            iter::once(&loss)
                .chain(weights.values())
                .chain(state.values()),
        )?;
        let loss = loss.item::<f32>()?;
        if !loss.is_finite() {
            return Err(Error::NotFinite {
                step: self.step_count(),
                loss,
                rate: self.recipe.learning_rate,
            });
        }
        self.curve.train.push(loss);
        self.seconds += begun.elapsed().as_secs_f64();
        Ok(loss)
    }

    fn batch_of(&mut self, train: bool) -> Result<(Array, Array)> {
        let (batch, seq) = (self.recipe.batch, self.recipe.seq);
        let stream = if train {
            &mut self.stream
        } else {
            &mut self.held_out
        };
        let (inputs, targets) = stream.batch(batch, seq);
        let array = |tokens: &[i32]| Array::from_slice(tokens, [batch, seq]);
        Ok((array(&inputs)?, array(&targets)?))
    }

    /// Measures the held-out loss on a few batches, always the same, and notes it in the curve.
    pub fn measure(&mut self) -> Result<f32> {
        let begun = Instant::now();
        let loss = self.held_out_loss(&self.model.clone(), MEASURED_BATCHES)?;
        self.curve.held_out.push((self.step_count(), loss));
        self.seconds += begun.elapsed().as_secs_f64();
        Ok(loss)
    }

    /// Measures the held-out loss of the weights as they are shipped, on more batches.
    pub fn final_loss(&mut self) -> Result<f32> {
        let mut model = self.model.clone();
        model.set_dtype(Dtype::BFloat16)?;
        model.set_dtype(Dtype::Float32)?;
        self.held_out_loss(&model, FINAL_BATCHES)
    }

    fn held_out_loss(&mut self, model: &Llama, batches: usize) -> Result<f32> {
        let there = self
            .held_out
            .batches_per_epoch(self.recipe.batch, self.recipe.seq);
        let batches = batches.min(there);
        self.held_out.set_step(0);
        let mut sum = 0.0;
        for _ in 0..batches {
            let (inputs, targets) = self.batch_of(false)?;
            sum += f64::from(cross_entropy(&model.forward(&inputs)?, &targets)?.item::<f32>()?);
        }
        Ok((sum / batches as f64) as f32)
    }

    /// Steps taken.
    pub fn step_count(&self) -> u64 {
        self.stream.step()
    }

    /// True after the last step.
    pub fn is_finished(&self) -> bool {
        self.step_count() >= self.recipe.steps
    }

    /// The losses so far.
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// What the run follows.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Seconds of training and measuring so far, over all parts of the run.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The weights, in float32.
    pub fn weights(&self) -> Parameters {
        self.model.parameters()
    }
}
