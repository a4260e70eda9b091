//! Owns finding the model a subcommand works on: a folder of the user's, or the one shipped inside.

use std::path::Path;

use olivine_lm::{EmbeddedFile, ModelFolder, embed_model};

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

/// Opens the folder at a path, or the shipped model when there is none.
pub(crate) fn open(path: Option<&Path>) -> Result<ModelFolder, CliError> {
    match path {
        None => Ok(ModelFolder::embedded(SHIPPED)),
        Some(path) if path.is_file() => Err(CliError::ModelIsFile(path.to_owned())),
        Some(path) => Ok(ModelFolder::open(path)?),
    }
}
