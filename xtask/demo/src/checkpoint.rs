//! Owns the file from which an interrupted run goes on.

use std::path::{Path, PathBuf};

use olivine_core::Array;
use olivine_io::{Metadata, SafeTensors, load_safetensors, save_safetensors};
use olivine_nn::Parameters;
use serde::{Deserialize, Serialize};

use crate::recipe::Recipe;
use crate::{Error, Result};

/// The metadata entry that holds [`Progress`] as JSON.
const PROGRESS: &str = "olivine-demo";

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What the run follows.
    pub recipe: Recipe,
    /// Steps taken.
    pub step: u64,
    /// Seconds of training and measuring so far.
    pub seconds: f64,
}

/// The losses of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// The training loss of each step.
    pub train: Vec<f32>,
    /// Held-out losses, each with the number of steps taken before it was measured.
    pub held_out: Vec<(u64, f32)>,
}

/// Everything a run needs to go on as if it had never stopped.
#[derive(Clone)]
pub struct Checkpoint {
    /// How far the run has come.
    pub progress: Progress,
    /// The weights.
    pub model: Parameters,
    /// What the optimiser remembers.
    pub optimizer: Parameters,
    /// The losses so far.
    pub curve: Curve,
}

/// The checkpoint's path in a run's folder.
pub fn path(out: &Path) -> PathBuf {
    out.join("checkpoint.safetensors")
}

/// Reads how far the run at `path` has come; None if there is no file.
pub fn peek(path: &Path) -> Result<Option<Progress>> {
    if !path.exists() {
        return Ok(None);
    }
    progress(&load_safetensors(path)?).map(Some)
}

fn refuse(path: &Path, reason: impl Into<String>) -> Error {
    Error::Checkpoint {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn progress(file: &SafeTensors) -> Result<Progress> {
    let path = file.path();
    let text = file
        .metadata()
        .get(PROGRESS)
        .ok_or_else(|| refuse(path, "it is not a checkpoint of this program"))?;
    serde_json::from_str(text).map_err(|error| refuse(path, error.to_string()))
}

impl Checkpoint {
    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let Curve { train, held_out } = &self.curve;
        let steps: Vec<u64> = held_out.iter().map(|(step, _)| *step).collect();
        let losses: Vec<f32> = held_out.iter().map(|(_, loss)| *loss).collect();
        let curve = [
            ("curve/train", Array::from_slice(train, [train.len()])?),
            (
                "curve/held_out/steps",
                Array::from_slice(&steps, [steps.len()])?,
            ),
            (
                "curve/held_out/losses",
                Array::from_slice(&losses, [losses.len()])?,
            ),
        ];
        let mut arrays: Vec<(String, Array)> = Vec::new();
        for (prefix, parameters) in [("model/", &self.model), ("optimizer/", &self.optimizer)] {
            let named = parameters.iter();
            arrays.extend(named.map(|(name, array)| (format!("{prefix}{name}"), array.clone())));
        }
        arrays.extend(curve.map(|(name, array)| (name.to_owned(), array)));
        let text = serde_json::to_string(&self.progress).expect("numbers serialise");
        let metadata = Metadata::from([(PROGRESS.to_owned(), text)]);
        Ok(save_safetensors(path, arrays, &metadata)?)
    }

    /// Reads a file that [`Checkpoint::save`] wrote.
    pub fn load(path: &Path) -> Result<Self> {
        let file = load_safetensors(path)?;
        let (mut model, mut optimizer) = (Parameters::new(), Parameters::new());
        for entry in file.arrays() {
            let (name, array) = entry?;
            if let Some(name) = name.strip_prefix("model/") {
                model.insert(name.to_owned(), array);
            } else if let Some(name) = name.strip_prefix("optimizer/") {
                optimizer.insert(name.to_owned(), array);
            }
        }
        let steps = file.array("curve/held_out/steps")?.to_vec::<u64>()?;
        let losses = file.array("curve/held_out/losses")?.to_vec::<f32>()?;
        let checkpoint = Checkpoint {
            progress: progress(&file)?,
            model,
            optimizer,
            curve: Curve {
                train: file.array("curve/train")?.to_vec::<f32>()?,
                held_out: steps.into_iter().zip(losses).collect(),
            },
        };
        let Progress { step, recipe, .. } = &checkpoint.progress;
        if *step > recipe.steps || checkpoint.curve.train.len() as u64 != *step {
            return Err(refuse(
                path,
                format!("its step {step} does not fit its losses"),
            ));
        }
        Ok(checkpoint)
    }
}
