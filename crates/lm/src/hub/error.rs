//! Owns what can go wrong between a model's name and its folder, and what to do about it.

use std::path::PathBuf;

/// Everything that can go wrong while a model is looked up, downloaded or removed.
///
/// The `Display` form is one line of facts; [`HubError::help`] says what to do about it.
///
/// ```
/// use olivine_lm::{Error, HubError, HubModel};
/// let error = "../etc/passwd".parse::<HubModel>().unwrap_err();
/// assert!(matches!(error, Error::Hub(HubError::Name { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The text is not the name of a model on the hub.
    #[error("`{}` is not the name of a model: {problem}", text.escape_debug())]
    Name {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A setting from the environment makes no sense.
    #[error("{variable} = `{}` {problem}", value.escape_debug())]
    Setting {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nothing says where downloads are to be kept.
    #[error("there is no home directory to keep downloads in")]
    NoHome,
    /// No connection to the server came about.
    #[error("cannot reach {url}: {problem}")]
    Unreachable {
        /// The address asked.
        url: String,
        /// The reason.
        problem: String,
    },
    /// The server cannot prove that it is the one asked for.
    #[error("the connection to {url} is not secure: {problem}")]
    Insecure {
        /// The address asked.
        url: String,
        /// What is wrong with its certificate or its encryption.
        problem: String,
    },
    /// The server stopped answering.
    #[error("{url} did not answer for {seconds} seconds")]
    Timeout {
        /// The address asked.
        url: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The processor lacks the instructions that encrypted connections are written for.
    #[error(
        "this processor lacks instructions that encrypted connections need (AES, AVX2 and ADX, or AES and SHA2)"
    )]
    NoTls,
    /// The hub wants to know who is asking, or does not know the model.
    #[error("the hub does not show {model} to {}", if *token { "the owner of this token" } else { "strangers" })]
    Unauthorized {
        /// The model.
        model: String,
        /// Whether a token was sent.
        token: bool,
    },
    /// The hub knows who is asking and refuses.
    #[error("the hub refuses access to {model}")]
    Forbidden {
        /// The model.
        model: String,
        /// The page on which access is granted.
        page: String,
    },
    /// There is no such model.
    #[error("the hub has no model {model}")]
    NotFound {
        /// The model.
        model: String,
    },
    /// There is no such branch, tag or commit.
    #[error("{model} has no revision `{}`", revision.escape_debug())]
    NoRevision {
        /// The model.
        model: String,
        /// The revision asked for.
        revision: String,
    },
    /// The server answered with a failure.
    #[error("{url} answered with status {status}")]
    Status {
        /// The address asked.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// The seconds after which the server wants to be asked again.
        retry_after: Option<u64>,
    },
    /// The server's answer makes no sense.
    #[error("{url} gave an answer that cannot be used: {problem}")]
    Answer {
        /// The address asked.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server names a file that would lie outside the model's folder.
    #[error("{model} lists a file named `{}`, which could be written outside its folder", name.escape_debug())]
    UnsafeName {
        /// The model.
        model: String,
        /// The name.
        name: String,
    },
    /// The model has no weights in the format that can be read.
    #[error("{model} has no model*.safetensors{}", match found.as_slice() { [] => String::new(), found => format!(", only {}", found.join(", ")) })]
    NoSafetensors {
        /// The model.
        model: String,
        /// Other weights it has.
        found: Vec<String>,
    },
    /// The server sent more or fewer bytes than the file has.
    #[error("the server sent {found} of the {expected} bytes of {file}")]
    Size {
        /// The file.
        file: String,
        /// Its size.
        expected: u64,
        /// The bytes that came.
        found: u64,
    },
    /// The bytes that came are not those that were published.
    #[error("{file} was damaged on the way: its SHA-256 is {found}, not {expected}")]
    Damaged {
        /// The file.
        file: String,
        /// The hash that was published.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// The model is not in the cache, and the network must not be used.
    #[error("{model} is {} in the cache, and HF_HUB_OFFLINE is set", if *partly { "only in part" } else { "not" })]
    Offline {
        /// The model.
        model: String,
        /// Whether some of its files are there.
        partly: bool,
    },
    /// The model is not in the cache.
    #[error("{model} is not among the downloaded models")]
    NotCached {
        /// The model.
        model: String,
    },
    /// There is no room for a file.
    #[error("the disk is full: {} needs {needed} more bytes", path.display())]
    DiskFull {
        /// The file being written.
        path: PathBuf,
        /// The bytes that are still missing.
        needed: u64,
    },
    /// The cache cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the operating system.
        source: std::io::Error,
    },
    /// The cache cannot be changed.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the operating system.
        source: std::io::Error,
    },
    /// The download was interrupted on request.
    #[error("the download of {model} was interrupted")]
    Interrupted {
        /// The model.
        model: String,
    },
}

impl HubError {
    /// Says in one line what the user can do about the error, where there is something to say.
    ///
    /// ```
    /// use olivine_lm::HubError;
    /// let error = HubError::Unauthorized { model: "org/name".into(), token: false };
    /// assert!(error.help().expect("there is advice").contains("HF_TOKEN"));
    /// ```
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::Name { .. } => {
                "names look like org/name or org/name@revision, as on the model's page"
            }
            Self::Setting { .. } => "unset the variable, or correct it",
            Self::NoHome => "set HF_HOME to a folder with room for models",
            Self::Unreachable { .. } | Self::Timeout { .. } => {
                "check the connection, the proxy (HTTPS_PROXY) and HF_ENDPOINT; what was downloaded is kept"
            }
            Self::Insecure { .. } => {
                "check the clock and HF_ENDPOINT; behind a proxy that decrypts, set SSL_CERT_FILE to its certificates"
            }
            Self::NoTls => {
                "download the model on another machine and pass its folder, or set HF_ENDPOINT to a mirror without https"
            }
            Self::Unauthorized { token: true, .. } => {
                "check the name, and that HF_TOKEN is valid and may read the model"
            }
            Self::Unauthorized { token: false, .. } => {
                "check the name; for a private or gated model set HF_TOKEN to a token from https://huggingface.co/settings/tokens"
            }
            Self::Forbidden { page, .. } => {
                return Some(format!(
                    "accept the model's terms on {page} and set HF_TOKEN to a token that may read it"
                ));
            }
            Self::NotFound { .. } => {
                "check the name; names are case-sensitive and look like org/name"
            }
            Self::NoRevision { .. } => {
                "check the branch, tag or commit after the @, or leave it out"
            }
            Self::Status {
                retry_after: Some(seconds),
                ..
            } => return Some(format!("try again in {seconds} seconds")),
            Self::Status { .. } => "try again later; what was downloaded is kept",
            Self::Answer { .. } => "check HF_ENDPOINT, and that no proxy or login page answers",
            Self::UnsafeName { .. } => "the model may be hostile; get it from another publisher",
            Self::NoSafetensors { .. } => {
                "pick a model with safetensors, such as one of https://huggingface.co/mlx-community"
            }
            Self::Size { .. } | Self::Damaged { .. } => "run the command again",
            Self::Offline { .. } => "unset HF_HUB_OFFLINE and run the command again",
            Self::NotCached { .. } => "`olivine models list` shows what is there",
            Self::DiskFull { .. } => {
                "make room (`olivine models rm`), or set HF_HOME to a folder on a larger disk; what was downloaded is kept"
            }
            Self::Read { .. } | Self::Write { .. } => {
                "check the permissions, or set HF_HOME to a folder that you may write to"
            }
            Self::Interrupted { .. } => "run the command again to go on where it stopped",
        };
        Some(text.to_owned())
    }

    /// Whether it is the network's fault, so that the cache is the better answer.
    pub(super) fn is_of_the_network(&self) -> bool {
        self.is_transient() || matches!(self, Self::Insecure { .. })
    }

    /// Whether asking again may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Size { .. }
            | Self::Damaged { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Reports that a file or folder could not be read.
    pub(super) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::Read { path, source }
    }

    /// Reports that a file or folder could not be written.
    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::Write { path, source }
    }
}
