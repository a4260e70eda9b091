//! Owns printing generated text: streamed as it comes, or collected into one JSON object.

use std::io::Write;

use olivine_lm::{Event, FinishReason, GenerationStats, OutputParser};
use serde_json::{Value, json};

use crate::error::CliError;

/// Where a generated text goes, and what tells its parts apart.
pub(crate) struct Output<W: Write> {
    out: W,
    /// The text is collected, not streamed.
    json: bool,
    ends_line: bool,
    text: String,
    reasoning: String,
    calls: Vec<Value>,
    parser: Option<OutputParser>,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(out: W, json: bool) -> Self {
        Self {
            out,
            json,
            ends_line: true,
            text: String::new(),
            reasoning: String::new(),
            calls: Vec::new(),
            parser: None,
        }
    }

    /// The same output, which tells reasoning and tool calls from the text.
    pub(crate) fn parsed(mut self, parser: OutputParser) -> Self {
        self.parser = Some(parser);
        self
    }

    /// Whether pieces are printed as they come.
    pub(crate) fn streams(&self) -> bool {
        !self.json
    }

    /// Adds a piece of text.
    pub(crate) fn push(&mut self, piece: &str) -> Result<(), CliError> {
        let events = match &mut self.parser {
            Some(parser) => parser.push(piece),
            None => vec![Event::Text(piece.to_owned())],
        };
        self.take(events)
    }

    fn take(&mut self, events: Vec<Event>) -> Result<(), CliError> {
        for event in events {
            match event {
                Event::Text(text) => self.print(&text)?,
                Event::Reasoning(text) if self.json => self.reasoning.push_str(&text),
                // To standard error, so that a pipe receives nothing but the answer.
                Event::Reasoning(text) => {
                    let mut error = std::io::stderr();
                    // When even that is closed, there is nobody left to tell.
                    let _ = error
                        .write_all(text.as_bytes())
                        .and_then(|()| error.flush());
                }
                Event::ToolCall {
                    name,
                    arguments,
                    id,
                } => {
                    let call = json!({"name": name, "arguments": arguments, "id": id});
                    if self.json {
                        self.calls.push(call);
                    } else {
                        let start = if self.ends_line { "" } else { "\n" };
                        self.print(&format!("{start}{}\n", json!({"tool_call": call})))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn print(&mut self, piece: &str) -> Result<(), CliError> {
        if self.json {
            self.text.push_str(piece);
        } else if !piece.is_empty() {
            self.out
                .write_all(piece.as_bytes())
                .map_err(CliError::Write)?;
            // Text that waits in a buffer does not stream.
            self.out.flush().map_err(CliError::Write)?;
            self.ends_line = piece.ends_with('\n');
        }
        Ok(())
    }

    /// Ends the text: finishes the line, or prints the object; `None` means it was interrupted.
    pub(crate) fn finish(
        mut self,
        stats: &GenerationStats,
        finish: Option<&FinishReason>,
    ) -> Result<(), CliError> {
        if let Some(mut parser) = self.parser.take() {
            self.take(parser.finish())?;
        }
        if !self.json {
            if self.ends_line {
                return Ok(());
            }
            return writeln!(self.out)
                .and_then(|()| self.out.flush())
                .map_err(CliError::Write);
        }
        let (reason, detail) = match finish {
            None => ("interrupted", json!(null)),
            Some(FinishReason::Length) => ("length", json!(null)),
            Some(FinishReason::Grammar) => ("grammar", json!(null)),
            Some(FinishReason::StopToken(id)) => ("stop_token", json!(id)),
            Some(FinishReason::StopString(stop)) => ("stop_string", json!(stop)),
        };
        let mut object = json!({
            "text": self.text, "finish_reason": reason, "stop": detail, "stats": stats,
        });
        if !self.reasoning.is_empty() {
            object["reasoning"] = json!(self.reasoning);
        }
        if !self.calls.is_empty() {
            object["tool_calls"] = json!(self.calls);
        }
        writeln!(self.out, "{object}")
            .and_then(|()| self.out.flush())
            .map_err(CliError::Write)
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

    #[test]
    fn reasoning_and_tool_calls_are_told_from_the_text() {
        let text = "<think>hm</think>Wait.<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        let parser = || OutputParser::new(olivine_lm::OutputFormat::Hermes);
        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes, true).parsed(parser());
        for piece in text.split_inclusive('a') {
            output.push(piece).unwrap();
        }
        output.finish(&GenerationStats::default(), None).unwrap();
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["text"].as_str().unwrap().trim(), "Wait.");
        assert_eq!(json["reasoning"], "hm");
        assert_eq!(json["tool_calls"][0]["name"], "add");
        assert_eq!(json["tool_calls"][0]["arguments"]["a"], 1);

        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes, false).parsed(parser());
        output.push(text).unwrap();
        output.finish(&GenerationStats::default(), None).unwrap();
        let shown = String::from_utf8(bytes).unwrap();
        assert!(
            shown.starts_with("Wait.") && shown.ends_with("}\n"),
            "{shown}"
        );
        assert!(
            !shown.contains("hm") && shown.contains("\"tool_call\""),
            "{shown}"
        );
    }
}
