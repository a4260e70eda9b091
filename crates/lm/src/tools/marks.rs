//! Owns the marks that models put around reasoning, tool calls and messages.

use super::OutputFormat;

/// The marks around reasoning at the beginning of an output.
pub(super) const REASONING: [(&str, &str); 3] = [
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel>thought", "<channel|>"),
];

/// A header, such as a tool's name, is never longer than this.
pub(super) const LONGEST_HEADER: usize = 256;

/// How many ends of a block are tried, as strings inside of it may contain the mark.
pub(super) const MOST_ENDS: usize = 64;

pub(super) const CALLS: &str = "[TOOL_CALLS]";
pub(super) const ARGUMENTS: &str = "[ARGS]";
pub(super) const PYTHON: &str = "<|python_tag|>";
pub(super) const MESSAGE: &str = "<|message|>";
/// What ends a message of gpt-oss; the last two begin the next.
pub(super) const MESSAGE_ENDS: [&str; 5] = [
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|start|>",
    "<|channel|>",
];

/// Where a tool call's text is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Block {
    /// Between two marks.
    Between(&'static str, &'static str),
    /// After a mark, up to the end of what Mistral's models write.
    Mistral,
    /// After a mark, or at the beginning of the output without one, up to the end of JSON.
    Json(&'static str),
    /// After such a call, where more may follow.
    MoreJson,
    /// A mark that means nothing by itself.
    Nothing(&'static str),
}

impl Block {
    pub(super) fn open(self) -> &'static str {
        match self {
            Self::Between(open, _) | Self::Json(open) | Self::Nothing(open) => open,
            Self::Mistral => CALLS,
            Self::MoreJson => "",
        }
    }
}

pub(super) fn blocks(format: OutputFormat) -> &'static [Block] {
    match format {
        OutputFormat::Plain | OutputFormat::Harmony => &[],
        OutputFormat::Hermes => &[Block::Between("<tool_call>", "</tool_call>")],
        OutputFormat::Mistral => &[Block::Mistral],
        OutputFormat::Llama => &[
            Block::Json(PYTHON),
            Block::Between("<function=", "</function>"),
        ],
        OutputFormat::Gemma => &[
            Block::Between("```tool_code", "```"),
            Block::Between("```function_call", "```"),
            Block::Between("```json", "```"),
            Block::Between("<start_function_call>", "<end_function_call>"),
            Block::Between("<|tool_call>", "<tool_call|>"),
        ],
        OutputFormat::DeepSeek => &[
            Block::Between("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
            Block::Nothing("<｜tool▁calls▁begin｜>"),
            Block::Nothing("<｜tool▁calls▁end｜>"),
        ],
        OutputFormat::Pythonic => &[Block::Between("<|tool_call_start|>", "<|tool_call_end|>")],
    }
}

pub(super) fn markers(format: OutputFormat) -> Vec<&'static str> {
    let mut markers: Vec<&str> = REASONING
        .iter()
        .flat_map(|&(open, close)| [open, close])
        .collect();
    markers.push("<|channel>");
    for block in blocks(format) {
        markers.push(block.open());
        if let Block::Between(_, close) = block {
            markers.push(close);
        }
    }
    match format {
        OutputFormat::Harmony => {
            markers.extend(MESSAGE_ENDS);
            markers.extend([MESSAGE, "<|constrain|>"]);
        }
        OutputFormat::Mistral => markers.extend([ARGUMENTS, "[CALL_ID]"]),
        OutputFormat::DeepSeek => markers.push("<｜tool▁sep｜>"),
        OutputFormat::Gemma => markers.extend(["<escape>", "<|\"|>"]),
        _ => {}
    }
    markers
}

/// Length of the longest end of a text that may be the beginning of one of the marks.
pub(super) fn held_back<'m>(text: &str, marks: impl IntoIterator<Item = &'m str>) -> usize {
    let longest = |mark: &str| {
        mark.char_indices()
            .map(|(length, _)| length)
            .filter(|&length| text.ends_with(&mark[..length]))
            .max()
            .unwrap_or(0)
    };
    marks.into_iter().map(longest).max().unwrap_or(0)
}
