//! Owns what a download tells whoever waits for it; how it is shown is the program's affair.

use std::time::Duration;

use super::error::HubError;

/// A file that is about to be downloaded.
///
/// ```
/// let file = olivine_lm::PlannedFile { name: "model.safetensors".into(), size: 90, present: 30 };
/// assert_eq!(file.size - file.present, 60);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its name in the model's folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The bytes that an earlier, interrupted download left.
    pub present: u64,
}

/// Something worth telling while a download goes on.
///
/// ```
/// use olivine_lm::Notice;
/// let notice = Notice::Waiting { file: "model.safetensors".into() };
/// assert_eq!(notice.to_string(), "another process is downloading model.safetensors; waiting for it");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The network failed, and what is in the cache is taken instead.
    Cached {
        /// The model.
        model: String,
        /// How the network failed.
        why: HubError,
    },
    /// A request failed and is made again.
    Retrying {
        /// How it failed.
        why: HubError,
        /// The time until then.
        after: Duration,
    },
    /// Another process downloads the same file.
    Waiting {
        /// The file.
        file: String,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cached { model, why } => write!(f, "{why}; taking {model} from the cache"),
            Self::Retrying { why, after } => {
                write!(f, "{why}; trying again in {:.1} s", after.as_secs_f64())
            }
            Self::Waiting { file } => {
                write!(f, "another process is downloading {file}; waiting for it")
            }
        }
    }
}

/// Follows a download and may end it. Called from several threads at once.
///
/// Every method does nothing unless it is overridden, so `&()` follows silently.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// struct Bytes(AtomicU64);
/// impl olivine_lm::Progress for Bytes {
///     fn position(&self, _file: &str, bytes: u64) {
///         self.0.store(bytes, Ordering::Relaxed);
///     }
/// }
/// let progress = Bytes(AtomicU64::new(0));
/// olivine_lm::Progress::position(&progress, "config.json", 7);
/// assert_eq!(progress.0.into_inner(), 7);
/// ```
pub trait Progress: Sync {
    /// Learns which files are to be downloaded, before the first byte of them.
    fn begin(&self, files: &[PlannedFile]) {
        let _ = files;
    }

    /// Learns how many bytes of a file are there; fewer than before when it had to start again.
    fn position(&self, file: &str, bytes: u64) {
        let _ = (file, bytes);
    }

    /// Learns that a file is whole.
    fn finished(&self, file: &str) {
        let _ = file;
    }

    /// Learns about something unusual.
    fn notice(&self, notice: &Notice) {
        let _ = notice;
    }

    /// Says whether the download should end, as after Ctrl-C; what has come stays for the next time.
    fn cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}
