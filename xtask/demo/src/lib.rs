//! Owns the making of the shipped model: its corpus, its tokenizer, its packed token streams, its
//! training and the folder it is shipped in.

// Backends register themselves when linked.
use olivine_cpu as _;

pub mod card;
pub mod chart;
pub mod checkpoint;
pub mod corpus;
pub mod data;
pub mod job;
pub mod recipe;
pub mod samples;
pub mod stream;
pub mod tokenizer;
pub mod training;

use std::fs;
use std::path::{Path, PathBuf};

/// What can go wrong while the model is made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The tokenizer refused to train, encode or save.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A token file is empty or has half a token.
    #[error("{path}: {bytes} bytes are not a stream of 16-bit tokens")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
    /// A setting has a value that cannot work.
    #[error("--{name} {value}: {reason}")]
    Setting {
        /// The flag, without its dashes.
        name: &'static str,
        /// The value given.
        value: String,
        /// What would work.
        reason: String,
    },
    /// A run would write over an earlier one.
    #[error(
        "{path} holds a run at step {step} of {steps}: pass --resume to go on with it, or --fresh to \
         throw it away"
    )]
    CheckpointExists {
        /// The checkpoint.
        path: PathBuf,
        /// Steps it has taken.
        step: u64,
        /// Steps it was to take.
        steps: u64,
    },
    /// There is nothing to resume.
    #[error("{path} does not exist: leave --resume out to start from the beginning")]
    NoCheckpoint {
        /// Where the checkpoint was looked for.
        path: PathBuf,
    },
    /// A file is a checkpoint of something else, or of an older version.
    #[error("{path} cannot be resumed: {reason}; pass --fresh to throw it away")]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Training fell apart.
    #[error(
        "the training loss is {loss} at step {step}: start over with --fresh and a lower --lr than {rate}"
    )]
    NotFinite {
        /// The step.
        step: u64,
        /// The loss.
        loss: f32,
        /// The highest learning rate of the run.
        rate: f64,
    },
    /// The token streams hold too little text.
    #[error("{path} holds {tokens} tokens, fewer than one batch")]
    TooFewTokens {
        /// The file.
        path: PathBuf,
        /// What is there.
        tokens: usize,
    },
    /// An array could not be computed.
    #[error(transparent)]
    Array(#[from] olivine_core::Error),
    /// An array file could not be read or written.
    #[error(transparent)]
    ArrayFile(#[from] olivine_io::Error),
    /// The finished model could not be used.
    #[error(transparent)]
    Model(#[from] olivine_lm::Error),
}

impl Error {
    /// Wraps the reason why `path` could not be read or written.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File {
            path: path.into(),
            source,
        }
    }
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Writes a file whole or not at all: under another name first, which then takes its place.
pub(crate) fn write_file(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    fs::write(&part, contents).map_err(|source| Error::file(&part, source))?;
    fs::rename(&part, path).map_err(|source| Error::file(path, source))
}

/// Makes a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| Error::file(path, source))
}
