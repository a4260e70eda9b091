//! Owns the one error type of this crate: what went wrong, in which file, and how to mend it.

use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between a model folder and its text.
///
/// The `Display` form is one line of facts; [`Error::help`] says what to do about it.
///
/// ```
/// use olivine_lm::{Error, ModelFolder};
/// let error = ModelFolder::open("/nowhere").unwrap_err();
/// assert!(matches!(error, Error::NotAFolder { .. }));
/// assert!(error.to_string().contains("/nowhere"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read a file.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason given by the operating system.
        source: std::io::Error,
    },
    /// The model path is not a directory.
    #[error("{} is not a model folder: {why}", path.display())]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
    },
    /// A file the model needs is absent.
    #[error("{} has no {file}", folder.display())]
    MissingFile {
        /// The model folder.
        folder: PathBuf,
        /// The file looked for.
        file: &'static str,
    },
    /// A file is larger than anything of its kind can sensibly be.
    #[error("{} is {bytes} bytes; at most {limit} are accepted", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest accepted size.
        limit: u64,
    },
    /// A text file holds bytes that are not UTF-8.
    #[error("{} is not UTF-8 text (first bad byte at offset {offset})", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset of the first invalid byte.
        offset: usize,
    },
    /// A file is not well-formed JSON.
    #[error("{} is not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's complaint, with line and column.
        source: serde_json::Error,
    },
    /// A field of a configuration file is missing or makes no sense.
    #[error("{}: field `{field}` {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field, dotted when nested.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The model's architecture is not one this crate implements.
    #[error("{}: unsupported architecture `{found}`; supported: {}", path.display(), supported.join(", "))]
    UnsupportedArchitecture {
        /// The configuration file.
        path: PathBuf,
        /// Its `model_type`.
        found: String,
        /// Every `model_type` that works.
        supported: Vec<&'static str>,
    },
    /// A setting is understood but not implemented.
    #[error("{}: `{field}` = {found} is not supported; supported: {supported}", path.display())]
    UnsupportedSetting {
        /// The configuration file.
        path: PathBuf,
        /// The field, dotted when nested.
        field: String,
        /// Its value.
        found: String,
        /// What would work.
        supported: &'static str,
    },
    /// The weight index points outside the model folder.
    #[error("{}: tensor `{tensor}` is mapped to `{entry}`, which is not a plain file name in the folder", path.display())]
    UnsafePath {
        /// The index file.
        path: PathBuf,
        /// The tensor whose entry is bad.
        tensor: String,
        /// The entry.
        entry: String,
    },
    /// The weight index names shards that are absent.
    #[error("{} names missing shards: {}", path.display(), missing.join(", "))]
    MissingShards {
        /// The index file.
        path: PathBuf,
        /// The absent shards.
        missing: Vec<String>,
    },
    /// The tokenizer file cannot be used.
    #[error("{}: {message}", path.display())]
    Tokenizer {
        /// The tokenizer file.
        path: PathBuf,
        /// The reason.
        message: String,
    },
    /// Text could not be turned into tokens.
    #[error("the tokenizer could not encode the text: {message}")]
    Encode {
        /// The reason.
        message: String,
    },
    /// Tokens could not be turned into text.
    #[error("the tokenizer could not decode the tokens: {message}")]
    Decode {
        /// The reason.
        message: String,
    },
    /// A token id lies outside the tokenizer's vocabulary.
    #[error("token {id} is not in the vocabulary of {vocab_size} tokens")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Number of tokens the tokenizer knows.
        vocab_size: usize,
    },
    /// A prompt has no tokens.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// A prompt is longer than what the model was trained to see.
    #[error("the prompt has {tokens} tokens, but the model sees {context} at most")]
    PromptTooLong {
        /// The number of tokens.
        tokens: usize,
        /// The most that there may be.
        context: usize,
    },
    /// The weights do not fit the model that the configuration describes.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// The weight file or the folder.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// A weight file cannot be read.
    #[error(transparent)]
    Files(#[from] olivine_io::Error),
    /// A model could not be found on the hub, downloaded or removed.
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
    /// An array could not be computed.
    #[error(transparent)]
    Array(#[from] olivine_core::Error),
    /// The chat template is malformed or fails while rendering.
    #[error("{}: chat template{}: {message}", path.display(), line.map(|n| format!(" line {n}")).unwrap_or_default())]
    ChatTemplate {
        /// The file the template came from.
        path: PathBuf,
        /// Line in the template.
        line: Option<usize>,
        /// The reason.
        message: String,
    },
    /// The chat template itself rejected the conversation, through `raise_exception`.
    #[error("the chat template rejects this conversation: {message}")]
    ChatRejected {
        /// The template's own words.
        message: String,
    },
    /// A sampling option is out of range.
    #[error("`{option}` must be {expected}, got {value}")]
    SamplerOption {
        /// The option.
        option: &'static str,
        /// The value given.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// An option has a value that is not one of those it may have.
    #[error("`{option}` must be {expected}, got {value}")]
    Option {
        /// The option.
        option: &'static str,
        /// The value given.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// A file does not hold what a model remembers of a prompt.
    #[error("{} {problem}", path.display())]
    PromptCache {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The work was stopped by who asked for it.
    #[error("stopped; nothing has been written")]
    Stopped,
    /// The folder to write is there already.
    #[error("{} exists already", path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused to write a file.
    #[error("cannot write {}: {source}", path.display())]
    WriteFile {
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the operating system.
        source: std::io::Error,
    },
    /// No token can be chosen: every logit is NaN or negative infinity.
    #[error("no token of {vocab_size} can be chosen: {why}")]
    NoPossibleToken {
        /// Number of logits.
        vocab_size: usize,
        /// What makes them impossible.
        why: &'static str,
    },
    /// A description of structured output makes no sense, or asks for what is not supported.
    #[error("bad {kind}: {message}")]
    Grammar {
        /// What was described: a JSON schema, a regular expression, a grammar.
        kind: &'static str,
        /// The reason.
        message: String,
    },
    /// A token does not continue the structured output.
    #[error("token {id} is not what the {kind} allows here: {message}")]
    NotInGrammar {
        /// The token.
        id: u32,
        /// What describes the output.
        kind: &'static str,
        /// The reason.
        message: String,
    },
    /// A stop string is empty, so it would match everywhere.
    #[error("a stop string must not be empty")]
    EmptyStopString,
}

// A sampler becomes a sampler without fail.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl Error {
    /// Says in one line what the user can do about the error, where there is something to say.
    ///
    /// ```
    /// let error = olivine_lm::ModelFolder::open("/nowhere").unwrap_err();
    /// assert!(error.help().expect("there is advice").contains("config.json"));
    /// ```
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::Io { .. } | Self::NotAFolder { .. } => {
                "pass a folder that holds config.json, tokenizer.json and *.safetensors, a .gguf file, or a model on the hub as org/name"
            }
            Self::MissingFile { file, .. } if file.ends_with(".safetensors") => {
                "convert the weights to safetensors, or finish the download"
            }
            Self::MissingFile { .. } | Self::MissingShards { .. } => {
                "finish the download, or copy the missing file from the model's page"
            }
            Self::NotUtf8 { .. } | Self::Json { .. } | Self::TooLarge { .. } => {
                "the file may be damaged or cut short; download it again"
            }
            Self::UnsupportedArchitecture { .. } => {
                "pick a model whose config.json or GGUF file names a supported architecture"
            }
            Self::UnsupportedSetting { .. } => "pick a variant of the model without this setting",
            Self::UnsafePath { .. } => "the index may be hostile; get the model from its publisher",
            Self::ChatTemplate { .. } => "pass --ignore-chat-template to send the prompt as it is",
            Self::PromptCache { .. } => "write it again with `olivine cache` and the same model",
            Self::OutputExists { .. } => "remove it, or choose another name",
            Self::PromptTooLong { .. } => {
                "shorten it, or pass --max-kv-size to remember only the latest tokens"
            }
            Self::WriteFile { .. } => "check that the place exists, is writable and has room",
            Self::Field { .. }
            | Self::Option { .. }
            | Self::Stopped
            | Self::Tokenizer { .. }
            | Self::Encode { .. }
            | Self::Decode { .. }
            | Self::UnknownToken { .. }
            | Self::ChatRejected { .. }
            | Self::SamplerOption { .. }
            | Self::NotInGrammar { .. }
            | Self::Grammar { .. }
            | Self::EmptyPrompt
            | Self::EmptyStopString => return None,
            Self::NoPossibleToken { .. } => {
                "the weights may be damaged, or the model needs wider floats than it runs with"
            }
            Self::Weights { .. } => "config.json and the weights must come from the same model",
            Self::Hub(error) => return error.help(),
            Self::Files(_) => "the file may be damaged or cut short; download it again",
            Self::Array(olivine_core::Error::OutOfMemory { .. }) => {
                "close other programs, or pick a smaller model"
            }
            Self::Array(_) => return None,
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_and_name_the_file() {
        let error = Error::MissingShards {
            path: "m/model.safetensors.index.json".into(),
            missing: vec!["a.safetensors".into(), "b.safetensors".into()],
        };
        let text = error.to_string();
        assert_eq!(
            text,
            "m/model.safetensors.index.json names missing shards: a.safetensors, b.safetensors"
        );
        assert!(error.help().is_some());
    }

    #[test]
    fn template_errors_show_the_line_only_when_known() {
        let error = |line| Error::ChatTemplate {
            path: "t".into(),
            line,
            message: "no".into(),
        };
        assert_eq!(error(Some(3)).to_string(), "t: chat template line 3: no");
        assert_eq!(error(None).to_string(), "t: chat template: no");
    }
}
