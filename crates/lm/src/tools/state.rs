//! Owns what has been understood of an output so far.

use super::OutputFormat;
use super::marks::{Block, MESSAGE, REASONING};

#[derive(Debug, Clone)]
pub(super) enum State {
    /// Before anything but white space, where reasoning and bare JSON may begin.
    Start {
        drop_space: bool,
    },
    Reasoning {
        close: &'static str,
        begun: bool,
    },
    /// `after_call`: white space is only text if more text follows.
    Text {
        after_call: bool,
    },
    /// In a block whose mark, of this length, is at the beginning of the buffer.
    Call {
        block: Block,
        mark: usize,
        searched: usize,
        tries: usize,
        json: Scan,
    },
    /// Before the body of a gpt-oss message.
    Header,
    /// In such a body; a call's header stays at the beginning of the buffer.
    Body {
        body: Body,
        searched: usize,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Answer,
    Reasoning,
    Call { tool: String, header: usize },
}

impl State {
    /// The state after a prompt.
    pub(super) fn after(format: OutputFormat, prompt: &str) -> Self {
        if format == OutputFormat::Harmony {
            let begun = prompt
                .rsplit_once("<|start|>")
                .map_or("", |(_, begun)| begun);
            return match begun.split_once(MESSAGE) {
                Some((header, _)) => Self::Body {
                    body: Body::of(header, 0),
                    searched: 0,
                },
                None => Self::Header,
            };
        }
        let open = REASONING
            .iter()
            .find(|(open, _)| prompt.trim_end().ends_with(open));
        match open {
            Some(&(_, close)) => Self::Reasoning {
                close,
                begun: false,
            },
            None => Self::Start { drop_space: false },
        }
    }
}

impl Body {
    pub(super) fn of(header: &str, length: usize) -> Self {
        let target = header.split_once("to=").map(|(_, rest)| rest);
        let target = target.map(|rest| {
            let end = rest
                .find(|c: char| c.is_whitespace() || c == '<')
                .unwrap_or(rest.len());
            rest[..end].trim_start_matches("functions.")
        });
        match target {
            Some(tool) if !tool.is_empty() => Self::Call {
                tool: tool.to_owned(),
                header: length,
            },
            _ if header.contains("<|channel|>analysis") => Self::Reasoning,
            _ => Self::Answer,
        }
    }
}

/// Finds the end of a JSON object or array in a buffer that grows, looking at each byte once.
#[derive(Debug, Clone, Default)]
pub(super) struct Scan {
    at: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// The position after the value which begins at `start`, if it is complete.
    pub(super) fn end(&mut self, text: &str, start: usize) -> Option<usize> {
        self.at = self.at.max(start);
        for &byte in &text.as_bytes()[self.at..] {
            self.at += 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ => {}
            }
        }
        None
    }
}
