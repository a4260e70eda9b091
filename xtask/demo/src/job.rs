//! Owns a whole run, from nothing to the finished folder: what is shown, saved and refused.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use olivine_core::{Array, Dtype};
use olivine_io::{Metadata, save_safetensors};
use olivine_lm::{Weights, models::llama::Llama};
use olivine_nn::Module;

use crate::card::{self, Facts, duration, grouped};
use crate::checkpoint::{self, Checkpoint, Progress};
use crate::data::{self, Data};
use crate::recipe::Recipe;
use crate::samples::{self, Samples};
use crate::stream::token_bar;
use crate::training::Training;
use crate::{Error, Result, chart, create_folder, tokenizer, write_file};

/// Steps between two measurements of the held-out loss, each followed by a checkpoint.
const MEASURE_EVERY: u64 = 200;

/// Steps between two lines where there is no terminal to draw a bar on.
const LINE_EVERY: u64 = 20;

/// Training losses that are averaged for showing.
const SHOWN_LOSSES: usize = 50;

/// What to do about an earlier run in the same folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Refuse to touch it.
    New,
    /// Go on with it.
    Resume,
    /// Throw it away.
    Fresh,
}

/// Settings that were asked for; what is None is the default, or what the resumed run has.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// See [`Recipe::seed`].
    pub seed: Option<u64>,
    /// See [`Recipe::steps`].
    pub steps: Option<u64>,
    /// See [`Recipe::batch`].
    pub batch: Option<usize>,
    /// See [`Recipe::seq`].
    pub seq: Option<usize>,
    /// See [`Recipe::learning_rate`].
    pub learning_rate: Option<f64>,
}

/// One run of the command.
#[derive(Clone, Debug)]
pub struct Job {
    /// Folder for the data and the checkpoint.
    pub out: PathBuf,
    /// Folder for the finished model.
    pub model_dir: PathBuf,
    /// What to do about an earlier run.
    pub start: Start,
    /// Settings that differ from `base`.
    pub wishes: Wishes,
    /// The settings without wishes.
    pub base: Recipe,
    /// Whether to show progress.
    pub quiet: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// The folder is written.
    Finished(Box<(Facts, Samples)>),
    /// It was interrupted, and can go on.
    Interrupted(Progress),
}

impl Wishes {
    /// The recipe with the wishes fulfilled.
    fn apply(&self, base: &Recipe) -> Recipe {
        Recipe {
            seed: self.seed.unwrap_or(base.seed),
            steps: self.steps.unwrap_or(base.steps),
            batch: self.batch.unwrap_or(base.batch),
            seq: self.seq.unwrap_or(base.seq),
            learning_rate: self.learning_rate.unwrap_or(base.learning_rate),
            ..base.clone()
        }
    }
}

impl Job {
    /// Does everything: data, training, the model folder, samples. Looks at `stop` between steps.
    pub fn run(&self, stop: &AtomicBool) -> Result<Outcome> {
        let path = checkpoint::path(&self.out);
        let (recipe, resumed) = self.begin(&path)?;
        recipe.validate()?;
        create_folder(&self.out)?;
        // Found out now rather than after the training.
        create_folder(&self.model_dir)?;
        let data = data::prepare(&recipe, &self.out, |name| {
            self.bar_or_hidden(|| token_bar(name))
        })?;
        self.say(&format!(
            "data: {} training tokens, {} held out, in {}",
            grouped(data.facts.train_tokens as u64),
            grouped(data.facts.held_out_tokens as u64),
            self.out.display()
        ));
        let mut training = match resumed {
            Some(checkpoint) => Training::resume(checkpoint, &data)?,
            None => Training::new(&recipe, &data)?,
        };
        if !self.train(&mut training, &path, stop)? {
            return Ok(Outcome::Interrupted(training.checkpoint().progress));
        }
        self.finish(&mut training, &data)
    }

    /// What to follow, and from where to go on.
    fn begin(&self, path: &Path) -> Result<(Recipe, Option<Checkpoint>)> {
        let fresh = || (self.wishes.apply(&self.base), None);
        match self.start {
            Start::Fresh => Ok(fresh()),
            Start::New => match checkpoint::peek(path)? {
                None => Ok(fresh()),
                Some(Progress { step, recipe, .. }) => Err(Error::CheckpointExists {
                    path: path.to_owned(),
                    step,
                    steps: recipe.steps,
                }),
            },
            Start::Resume => {
                if !path.exists() {
                    let path = path.to_owned();
                    return Err(Error::NoCheckpoint { path });
                }
                let checkpoint = Checkpoint::load(path)?;
                let recipe = checkpoint.progress.recipe.clone();
                let wished = self.wishes.apply(&recipe);
                if let Some((flag, old, new)) = difference(&recipe, &wished) {
                    let reason = format!("it was begun with --{flag} {old}, not {new}");
                    let path = path.to_owned();
                    return Err(Error::Checkpoint { path, reason });
                }
                Ok((recipe, Some(checkpoint)))
            }
        }
    }

    /// Trains to the end; false if `stop` became true before.
    fn train(&self, training: &mut Training, path: &Path, stop: &AtomicBool) -> Result<bool> {
        let recipe = training.recipe().clone();
        let bar = self.bar_or_hidden(|| training_bar(recipe.steps));
        bar.set_position(training.step_count());
        bar.reset_eta();
        let mut held_out = training.curve().held_out.last().map(|(_, loss)| *loss);
        if held_out.is_none() {
            held_out = Some(training.measure()?);
            self.report(training, held_out, &bar, None);
        }
        let mut pace = Pace::default();
        while !training.is_finished() {
            if stop.load(Ordering::Relaxed) {
                training.checkpoint().save(path)?;
                bar.abandon();
                return Ok(false);
            }
            let begun = Instant::now();
            training.step()?;
            pace.add(recipe.batch_tokens() as f64 / begun.elapsed().as_secs_f64());
            let step = training.step_count();
            let shown = mean_of_last(&training.curve().train);
            bar.set_position(step);
            bar.set_message(format!(
                "loss {shown:.3}, held out {:.3}, {} tokens/s",
                held_out.unwrap_or(f32::NAN),
                grouped(pace.tokens_per_second as u64)
            ));
            let measured = step.is_multiple_of(MEASURE_EVERY) || training.is_finished();
            if measured {
                held_out = Some(training.measure()?);
                training.checkpoint().save(path)?;
            }
            if measured || (bar.is_hidden() && step.is_multiple_of(LINE_EVERY)) {
                self.report(training, held_out.filter(|_| measured), &bar, Some(&pace));
            }
        }
        bar.finish_and_clear();
        Ok(true)
    }

    /// Prints one line about where the run is.
    fn report(
        &self,
        training: &Training,
        held_out: Option<f32>,
        bar: &ProgressBar,
        pace: Option<&Pace>,
    ) {
        let mut line = format!("step {:>5}", training.step_count());
        if let Some(pace) = pace {
            let left = training.recipe().steps - training.step_count();
            let tokens = left as f64 * training.recipe().batch_tokens() as f64;
            let loss = mean_of_last(&training.curve().train);
            let speed = grouped(pace.tokens_per_second as u64);
            let rest = duration(tokens / pace.tokens_per_second);
            line = format!("{line}  loss {loss:.3}  {speed} tokens/s  {rest} left");
        }
        if let Some(loss) = held_out {
            line = format!("{line}  held out {loss:.3}");
        }
        bar.suspend(|| self.say(&line));
    }

    /// Writes the model folder and lets its model speak.
    fn finish(&self, training: &mut Training, data: &Data) -> Result<Outcome> {
        let recipe = training.recipe().clone();
        let folder = &self.model_dir;
        let mut weights: Vec<(String, Array)> = Vec::new();
        for (name, weight) in training.weights() {
            weights.push((name, weight.astype(Dtype::BFloat16)?));
        }
        let metadata = Metadata::from([("format".to_owned(), "pt".to_owned())]);
        save_safetensors(folder.join("model.safetensors"), weights, &metadata)?;
        let config = format!("{:#}\n", recipe.config_json());
        write_file(&folder.join("config.json"), config)?;
        tokenizer::save(&data.tokenizer, folder)?;
        write_file(
            &folder.join("loss.svg"),
            chart::svg(training.curve(), recipe.steps),
        )?;
        let facts = Facts {
            weights: Llama::new(&recipe.model_config()?, &Weights::random())?.num_parameters()
                as u128,
            data: data.facts.clone(),
            train_loss: mean_of_last(&training.curve().train),
            held_out_loss: training.final_loss()?,
            seconds: training.seconds(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        };
        self.say(&format!(
            "held-out loss of the shipped weights: {:.3} (training: {:.3})",
            facts.held_out_loss, facts.train_loss
        ));
        let samples = samples::write(folder, recipe.seed)?;
        let readme = card::markdown(&recipe, &facts, &samples);
        write_file(&folder.join("README.md"), readme)?;
        for sample in &samples.all {
            let mark = if sample.chat { "> " } else { "" };
            let between = if sample.chat { "\n" } else { "" };
            self.say(&format!(
                "\n{mark}{}{between}{}",
                sample.prompt,
                sample.text.trim_end()
            ));
        }
        self.say(&format!("\n{} is written", folder.display()));
        Ok(Outcome::Finished(Box::new((facts, samples))))
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }

    fn bar_or_hidden(&self, bar: impl FnOnce() -> ProgressBar) -> ProgressBar {
        if self.quiet {
            ProgressBar::hidden()
        } else {
            bar()
        }
    }
}

/// The first setting in which two recipes differ: its flag and both values.
fn difference(old: &Recipe, new: &Recipe) -> Option<(&'static str, String, String)> {
    let pairs = [
        ("seed", old.seed.to_string(), new.seed.to_string()),
        ("steps", old.steps.to_string(), new.steps.to_string()),
        ("batch", old.batch.to_string(), new.batch.to_string()),
        ("seq", old.seq.to_string(), new.seq.to_string()),
        (
            "lr",
            old.learning_rate.to_string(),
            new.learning_rate.to_string(),
        ),
    ];
    pairs.into_iter().find(|(_, old, new)| old != new)
}

fn training_bar(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} steps, {msg}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps).with_style(style)
}

fn mean_of_last(losses: &[f32]) -> f32 {
    let last = &losses[losses.len().saturating_sub(SHOWN_LOSSES)..];
    last.iter().sum::<f32>() / last.len() as f32
}

/// A moving mean of the speed.
#[derive(Default)]
struct Pace {
    tokens_per_second: f64,
}

impl Pace {
    fn add(&mut self, tokens_per_second: f64) {
        let old = self.tokens_per_second;
        self.tokens_per_second = if old == 0.0 {
            tokens_per_second
        } else {
            0.9 * old + 0.1 * tokens_per_second
        };
    }
}
