//! Owns printing generated text: streamed as it comes, or collected into one JSON object.

use std::io::Write;

use olivine_lm::{FinishReason, GenerationStats};
use serde_json::json;

use crate::error::CliError;

/// Where a generated text goes.
pub(crate) enum Output<W: Write> {
    /// Printed piece by piece.
    Stream { out: W, ends_line: bool },
    /// Printed as one JSON object when it is finished.
    Json { out: W, text: String },
}

impl<W: Write> Output<W> {
    pub(crate) fn new(out: W, json: bool) -> Self {
        if json {
            Self::Json {
                out,
                text: String::new(),
            }
        } else {
            Self::Stream {
                out,
                ends_line: true,
            }
        }
    }

    /// Adds a piece of text.
    pub(crate) fn push(&mut self, piece: &str) -> Result<(), CliError> {
        match self {
            Self::Json { text, .. } => text.push_str(piece),
            Self::Stream { .. } if piece.is_empty() => {}
            Self::Stream { out, ends_line } => {
                out.write_all(piece.as_bytes()).map_err(CliError::Write)?;
                // Text that waits in a buffer does not stream.
                out.flush().map_err(CliError::Write)?;
                *ends_line = piece.ends_with('\n');
            }
        }
        Ok(())
    }

    /// Ends the text: finishes the line, or prints the object; `None` means it was interrupted.
    pub(crate) fn finish(
        self,
        stats: &GenerationStats,
        finish: Option<&FinishReason>,
    ) -> Result<(), CliError> {
        match self {
            Self::Stream {
                ends_line: true, ..
            } => Ok(()),
            Self::Stream { mut out, .. } => writeln!(out)
                .and_then(|()| out.flush())
                .map_err(CliError::Write),
            Self::Json { mut out, text } => {
                let (reason, detail) = match finish {
                    None => ("interrupted", json!(null)),
                    Some(FinishReason::Length) => ("length", json!(null)),
                    Some(FinishReason::Grammar) => ("grammar", json!(null)),
                    Some(FinishReason::StopToken(id)) => ("stop_token", json!(id)),
                    Some(FinishReason::StopString(stop)) => ("stop_string", json!(stop)),
                };
                let object = json!({
                    "text": text, "finish_reason": reason, "stop": detail, "stats": stats,
                });
                writeln!(out, "{object}")
                    .and_then(|()| out.flush())
                    .map_err(CliError::Write)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streamed_text_ends_with_exactly_one_newline() {
        for (pieces, expected) in [
            (vec!["a", "b\n"], "ab\n"),
            (vec!["a\n", "b", ""], "a\nb\n"),
            (vec![], ""),
        ] {
            let mut bytes = Vec::new();
            let mut output = Output::new(&mut bytes, false);
            for piece in pieces {
                output.push(piece).unwrap();
            }
            output.finish(&GenerationStats::default(), None).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
    }

    #[test]
    fn json_is_one_line_with_text_reason_and_stats() {
        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes, true);
        output.push("a \"b\"\n").unwrap();
        output.push("🙂").unwrap();
        output
            .finish(
                &GenerationStats::default(),
                Some(&FinishReason::StopToken(7)),
            )
            .unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 1);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["text"], "a \"b\"\n🙂");
        assert_eq!(json["finish_reason"], "stop_token");
        assert_eq!(json["stop"], 7);
        assert_eq!(json["stats"]["generation_tokens"], 0);
    }
}
