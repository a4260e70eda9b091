//! Owns finding the model a subcommand works on: a folder, a GGUF file, a name on the hub, or the one shipped inside.

use std::path::Path;

use clap::Args;
use olivine::quantized::Activations;
use olivine_lm::{EmbeddedFile, Hub, HubModel, ModelFolder, embed_model};

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::progress::Download;

/// The model trained by `cargo xtask train-demo`; inside the program, so every directory will do.
const SHIPPED: &[EmbeddedFile] = embed_model!(
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/olivine-tiny-stories"
    ),
    [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
);

/// How a model computes.
#[derive(Debug, Args)]
pub(crate) struct ComputeArgs {
    /// What meets packed weights: `exact` activations, or `int8` ones, which are rounded to whole
    /// numbers where five tokens or more are read at once, and read faster
    #[arg(long, value_name = "KIND", default_value_t = Activations::Exact)]
    activations: Activations,
}

impl ComputeArgs {
    /// As [`open`], of a model that computes so.
    pub(crate) fn open(
        &self,
        path: Option<&Path>,
        interrupt: &Interrupt,
    ) -> Result<ModelFolder, CliError> {
        Ok(open(path, interrupt)?.with_activations(self.activations))
    }
}

/// Opens the folder or GGUF file at a path, or the model of that name on the hub, or the shipped one.
///
/// What exists is never looked for on the hub; what is not named like a model there is not either.
pub(crate) fn open(path: Option<&Path>, interrupt: &Interrupt) -> Result<ModelFolder, CliError> {
    let Some(path) = path else {
        return Ok(ModelFolder::embedded(SHIPPED));
    };
    if path.is_file() && !is_gguf(path) {
        return Err(CliError::ModelIsFile(path.to_owned()));
    }
    if !path.exists()
        && let Some(Ok(model)) = path.to_str().map(str::parse::<HubModel>)
    {
        let download = Download::new(&model, interrupt);
        let folder = Hub::from_env()?.fetch(&model, &download);
        download.end();
        return Ok(ModelFolder::open(folder?)?);
    }
    Ok(ModelFolder::open(path)?)
}

/// Whether a path's name says that it is a GGUF file.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}
