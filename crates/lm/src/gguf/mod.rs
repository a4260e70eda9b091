//! Owns models in single GGUF files: as a folder of Hugging Face's files would have them.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod config;
mod families;
mod keys;
mod pre;
mod save;
mod save_tokenizer;
mod tensors;
mod tokenizer;

#[cfg(test)]
mod tests;

use std::path::Path;

use olivine_core::Array;
use olivine_io::Gguf;

pub use self::save::save_gguf_model;
use self::{families::Architecture, keys::Keys};
use crate::error::{Error, Result};

const ARCHITECTURE: &str = "general.architecture";

/// An open GGUF file of a model that is known here.
#[derive(Debug)]
pub(crate) struct GgufModel {
    file: Gguf,
    architecture: &'static Architecture,
}

impl std::fmt::Debug for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl GgufModel {
    /// Takes an open file whose architecture is known.
    pub(crate) fn new(file: Gguf) -> Result<Self> {
        let path = file.path();
        let keys = Keys {
            path,
            metadata: file.metadata(),
            architecture: "",
        };
        let name = keys.required(ARCHITECTURE, keys.text(ARCHITECTURE)?)?;
        let Some(architecture) = families::architecture(name) else {
            return Err(Error::UnsupportedArchitecture {
                path: path.to_owned(),
                found: name.chars().take(40).collect(),
                supported: families::names(),
            });
        };
        if keys.size("split.count")?.unwrap_or(1) > 1 {
            let count = keys.size("split.count")?.unwrap_or(1);
            return Err(keys.unsupported("split.count", count, "1: merge the parts first"));
        }
        Ok(GgufModel { file, architecture })
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            path: self.file.path(),
            metadata: self.file.metadata(),
            architecture: self.architecture.name,
        }
    }

    /// The text that `config.json` would have.
    pub(crate) fn config(&self) -> Result<String> {
        config::text(&self.file, self.keys(), self.architecture)
    }

    /// The text that `tokenizer.json` would have.
    pub(crate) fn tokenizer(&self) -> Result<String> {
        tokenizer::text(self.keys())
    }

    /// The text that `tokenizer_config.json` would have, chat template included.
    pub(crate) fn tokenizer_config(&self) -> Result<String> {
        tokenizer::config_text(self.keys())
    }

    /// The text that `generation_config.json` would have, if the file recommends a sampler.
    pub(crate) fn generation_config(&self) -> Result<Option<String>> {
        tokenizer::generation_text(self.keys())
    }

    /// All tensors under the names of families.
    pub(crate) fn tensors(&self) -> Result<Vec<(String, Array)>> {
        tensors::read(&self.file, self.keys(), self.architecture)
    }
}
