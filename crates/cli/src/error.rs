//! Owns how the command fails: one line that says what, one that says how to mend it, an exit code.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success,
    Failure,
    /// Ended by Ctrl-C: 128 + SIGINT, as shells have it.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Failure => Self::FAILURE,
            Exit::Interrupted => Self::from(130),
        }
    }
}

/// Everything that ends a subcommand early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Model(#[from] olivine_lm::Error),
    #[error("cannot write the output: {0}")]
    Write(std::io::Error),
    #[error("cannot read the prompt from standard input: {0}")]
    ReadPrompt(std::io::Error),
    #[error("the prompt on standard input is not UTF-8 text (first bad byte at offset {0})")]
    PromptNotUtf8(usize),
    #[error("the prompt is empty")]
    EmptyPrompt,
    #[error("cannot read {}: {source}", path.display())]
    ReadFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot read or write {}: {_1}", _0.display())]
    File(PathBuf, std::io::Error),
    #[error("cannot use the terminal: {0}")]
    Terminal(rustyline::error::ReadlineError),
    #[error("the draft model has {0} tokens, the model {1}")]
    Draft(usize, usize),
    #[error("`{0}` is not NAME=JSON")]
    TemplateArgument(String),
    #[error("cannot watch for Ctrl-C: {0}")]
    Interrupt(ctrlc::Error),
    #[error("{} is a file, not a model folder", .0.display())]
    ModelIsFile(PathBuf),
    #[error("cannot read the answer from standard input: {0}")]
    ReadAnswer(std::io::Error),
    #[error("there is no terminal on which to ask whether to remove {0}")]
    NeedsYes(String),
}

impl CliError {
    fn help(&self) -> Option<String> {
        let text = match self {
            Self::Model(error) => return error.help(),
            Self::ReadPrompt(_) | Self::EmptyPrompt => {
                "pass --prompt TEXT, or --prompt - and pipe the text in"
            }
            Self::ModelIsFile(_) => {
                "pass a .gguf file, or the folder with config.json, tokenizer.json and *.safetensors"
            }
            Self::ReadAnswer(_) | Self::NeedsYes(_) => "pass --yes to remove without being asked",
            Self::Draft(..) => "pick a smaller model of the same family",
            Self::TemplateArgument(_) => "write it like enable_thinking=false, or name='\"text\"'",
            Self::Write(_)
            | Self::File(..)
            | Self::Terminal(_)
            | Self::PromptNotUtf8(_)
            | Self::ReadFile { .. }
            | Self::Interrupt(_) => return None,
        };
        Some(text.to_owned())
    }

    /// How the process ends because of the error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Model(olivine_lm::Error::Hub(olivine_lm::HubError::Interrupted { .. })) => {
                Exit::Interrupted
            }
            _ => Exit::Failure,
        }
    }

    /// Prints the error to standard error, in at most two lines.
    pub(crate) fn print(&self) {
        say(&self.message());
    }

    fn message(&self) -> String {
        let one_line = |text: String| text.split('\n').collect::<Vec<_>>().join(" ");
        let mut message = format!("error: {}", one_line(self.to_string()));
        if let Some(help) = self.help() {
            message.push_str("\nhelp: ");
            message.push_str(&one_line(help));
        }
        message
    }
}

/// Prints a line to standard error; when even that is closed, there is nobody left to tell.
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_line_and_one_line_of_help() {
        let error = CliError::from(olivine_lm::Error::NotAFolder {
            path: "a\nb".into(),
            why: "it does not exist",
        });
        let message = error.message();
        let mut lines = message.lines();
        assert!(lines.next().unwrap().starts_with("error: a b is not"));
        assert!(lines.next().unwrap().starts_with("help: "));
        assert_eq!(lines.next(), None);
        assert!(!CliError::PromptNotUtf8(3).message().contains("help"));
    }
}
