//! Owns finding the model a subcommand works on: a folder or file of the user's, or the one shipped inside.

use std::path::Path;

use olivine_lm::{
    EmbeddedFile, Generator, LanguageModel, ModelConfig, ModelFolder, SamplerOptions, embed_model,
    models,
};

use crate::error::CliError;

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

/// Opens the folder or GGUF file at a path, or the shipped model when there is none.
pub(crate) fn open(path: Option<&Path>) -> Result<ModelFolder, CliError> {
    match path {
        None => Ok(ModelFolder::embedded(SHIPPED)),
        Some(path) if path.is_file() && !is_gguf(path) => Err(CliError::ModelIsFile(path.to_owned())),
        Some(path) => Ok(ModelFolder::open(path)?),
    }
}

/// Whether a path's name says that it is a GGUF file.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

/// Loads a model and starts the tokens that continue `prompt`.
pub(crate) fn start(
    folder: &ModelFolder,
    _config: &ModelConfig,
    prompt: &[u32],
    options: SamplerOptions,
) -> Result<Generator<Box<dyn LanguageModel>>, CliError> {
    Ok(Generator::new(models::load(folder)?, prompt, options)?)
}
