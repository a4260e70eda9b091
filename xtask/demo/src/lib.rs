//! Owns the making of the shipped model: its corpus, its tokenizer and its packed token streams.

pub mod corpus;
pub mod stream;
pub mod tokenizer;

use std::path::PathBuf;

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
