//! Owns finding tool calls and reasoning in a model's output while it is being generated.
//!
//! Every family of models marks them in its own way. Text that may be the beginning of a mark is held
//! back, as for stop strings; what turns out not to be a call is text.

mod calls;
mod engine;
mod harmony;
mod literals;
mod marks;
mod state;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::engine::Engine;
use self::state::State;

/// A piece of a model's output.
///
/// ```
/// use olivine_lm::{Event, OutputFormat, OutputParser};
/// let mut parser = OutputParser::new(OutputFormat::Hermes);
/// let mut events = parser.push("<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool");
/// assert!(events.is_empty());
/// events.extend(parser.push("_call>"));
/// let Event::ToolCall { name, arguments, .. } = &events[0] else { panic!("{events:?}") };
/// assert_eq!((name.as_str(), arguments), ("now", &serde_json::json!({})));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Part of the answer.
    Text(String),
    /// Part of the reasoning before an answer.
    Reasoning(String),
    /// A whole call of a tool.
    ToolCall {
        /// The tool's name.
        name: String,
        /// Its arguments, always an object.
        arguments: Value,
        /// The call's id, where the model gives one.
        id: Option<String>,
    },
}

/// How a family of models writes tool calls and reasoning.
///
/// Reasoning between `<think>` and `</think>` (or `[THINK]` and `[/THINK]`) at the beginning is found in
/// every format.
///
/// ```
/// use olivine_lm::OutputFormat;
/// assert_eq!(serde_json::to_string(&OutputFormat::DeepSeek)?, "\"deepseek\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// No tool calls.
    #[default]
    Plain,
    /// `<tool_call>…</tool_call>` around JSON, the XML of Qwen3-Coder or that of GLM-4.5; or bare JSON
    /// with `name` and `arguments` as the whole output.
    Hermes,
    /// `[TOOL_CALLS]` before a JSON array, or `[TOOL_CALLS]name[ARGS]{…}`.
    Mistral,
    /// `<|python_tag|>` before JSON, bare JSON with `name` and `parameters`, or
    /// `<function=name>{…}</function>`.
    Llama,
    /// Fenced `tool_code`, `function_call` or `json`; `<start_function_call>call:name{…}` of
    /// FunctionGemma; `<|tool_call>call:name{…}` of Gemma 4.
    Gemma,
    /// `<｜tool▁call▁begin｜>…<｜tool▁call▁end｜>` of DeepSeek V3, V3.1 and R1.
    DeepSeek,
    /// The channels of gpt-oss.
    Harmony,
    /// `<|tool_call_start|>[name(key=value)]<|tool_call_end|>` of LFM2.
    Pythonic,
}

impl OutputFormat {
    /// The format of a model, by its chat template where there is one, and else by its `model_type`.
    ///
    /// ```
    /// use olivine_lm::OutputFormat;
    /// let hermes = "… within <tool_call></tool_call> tags …";
    /// assert_eq!(OutputFormat::detect("llama", Some(hermes)), OutputFormat::Hermes);
    /// assert_eq!(OutputFormat::detect("mistral", None), OutputFormat::Mistral);
    /// assert_eq!(OutputFormat::detect("phi", Some("no tools")), OutputFormat::Plain);
    /// ```
    pub fn detect(model_type: &str, template: Option<&str>) -> Self {
        let marks = [
            ("<|channel|>", Self::Harmony),
            ("<start_function_call>", Self::Gemma),
            ("<|tool_call>", Self::Gemma),
            ("<｜tool▁call", Self::DeepSeek),
            ("<|tool_call_start|>", Self::Pythonic),
            ("<|tool_list_start|>", Self::Pythonic),
            ("<tool_call>", Self::Hermes),
            ("[TOOL_CALLS]", Self::Mistral),
            ("<|python_tag|>", Self::Llama),
            ("\"parameters\"", Self::Llama),
        ];
        let families = [
            ("gpt_oss", Self::Harmony),
            ("gemma", Self::Gemma),
            ("deepseek", Self::DeepSeek),
            ("lfm2", Self::Pythonic),
            ("qwen", Self::Hermes),
            ("glm", Self::Hermes),
            ("mistral", Self::Mistral),
            ("ministral", Self::Mistral),
            ("mixtral", Self::Mistral),
            ("llama", Self::Llama),
        ];
        let family = families
            .iter()
            .find(|(family, _)| model_type.starts_with(family));
        let family = family.map(|&(_, format)| format);
        match (template, family) {
            // These have no mark that a template would have to mention.
            (_, Some(Self::Harmony)) => Self::Harmony,
            (Some(_), Some(Self::Gemma)) => Self::Gemma,
            (Some(text), _) => {
                let mark = marks.iter().find(|(mark, _)| text.contains(mark));
                mark.map_or(Self::Plain, |&(_, format)| format)
            }
            (None, family) => family.unwrap_or_default(),
        }
    }

    /// The marks of the format that may be control tokens: whoever turns tokens into text for an
    /// [`OutputParser`] has to print these, although control tokens are not printed otherwise.
    ///
    /// ```
    /// use olivine_lm::OutputFormat;
    /// assert!(OutputFormat::Llama.markers().contains(&"<|python_tag|>"));
    /// ```
    pub fn markers(self) -> Vec<&'static str> {
        marks::markers(self)
    }
}

/// Splits a model's output into text, reasoning and tool calls as it arrives.
///
/// How the output is cut into pieces makes no difference to the events, except for how many pieces text
/// comes in. Calls that make no sense come out as text.
///
/// ```
/// use olivine_lm::{Event, OutputFormat, OutputParser};
/// let mut parser = OutputParser::new(OutputFormat::Plain);
/// let mut events = parser.push("<think>Hm.</think>\n\nYes");
/// events.extend(parser.finish());
/// assert_eq!(events, [Event::Reasoning("Hm.".into()), Event::Text("Yes".into())]);
/// ```
#[derive(Debug, Clone)]
pub struct OutputParser {
    engine: Engine,
}

impl OutputParser {
    /// A parser at the beginning of an output.
    ///
    /// ```
    /// use olivine_lm::{OutputFormat, OutputParser};
    /// assert!(OutputParser::new(OutputFormat::Llama).finish().is_empty());
    /// ```
    pub fn new(format: OutputFormat) -> Self {
        Self {
            engine: Engine::new(format),
        }
    }

    /// Takes into account what the prompt ends with: it may have opened the reasoning already.
    ///
    /// ```
    /// use olivine_lm::{Event, OutputFormat, OutputParser};
    /// let parser = OutputParser::new(OutputFormat::DeepSeek);
    /// let mut parser = parser.after_prompt("<｜Assistant｜><think>\n");
    /// assert_eq!(parser.push("So"), [Event::Reasoning("So".into())]);
    /// ```
    #[must_use]
    pub fn after_prompt(mut self, prompt: &str) -> Self {
        self.engine.state = State::after(self.engine.format, prompt);
        self
    }

    /// Makes the tools known that the model was told of, as OpenAI's API describes them: formats without
    /// types of their own (the XML of Qwen3-Coder and GLM-4.5) take those of the arguments from there.
    ///
    /// ```
    /// use olivine_lm::{Event, OutputFormat, OutputParser};
    /// let tools = serde_json::json!([{"type": "function", "function": {
    ///     "name": "wait", "parameters": {"properties": {"seconds": {"type": "integer"}}}}}]);
    /// let mut parser = OutputParser::new(OutputFormat::Hermes).with_tools(tools.as_array().unwrap());
    /// let events = parser.push(
    ///     "<tool_call><function=wait><parameter=seconds>3</parameter></function></tool_call>",
    /// );
    /// let Event::ToolCall { arguments, .. } = &events[0] else { panic!("{events:?}") };
    /// assert_eq!(arguments["seconds"], 3);
    /// ```
    #[must_use]
    pub fn with_tools(mut self, tools: &[Value]) -> Self {
        let mut types = HashMap::new();
        for tool in tools {
            let function = tool.get("function").unwrap_or(tool);
            let (Some(name), Some(properties)) = (
                function["name"].as_str(),
                function["parameters"]["properties"].as_object(),
            ) else {
                continue;
            };
            for (key, property) in properties {
                if let Some(kind) = property["type"].as_str() {
                    types.insert((name.to_owned(), key.clone()), kind.to_owned());
                }
            }
        }
        self.engine.types = types;
        self
    }

    /// Takes the next piece of output and returns what is certain now.
    ///
    /// ```
    /// use olivine_lm::{Event, OutputFormat, OutputParser};
    /// let mut parser = OutputParser::new(OutputFormat::Mistral);
    /// // The end may be the beginning of a mark.
    /// assert_eq!(parser.push("Hi [TOOL"), [Event::Text("Hi ".into())]);
    /// assert_eq!(parser.push("S]"), [Event::Text("[TOOLS]".into())]);
    /// ```
    pub fn push(&mut self, text: &str) -> Vec<Event> {
        self.engine.buffer.push_str(text);
        self.engine.run(false)
    }

    /// Ends the output and returns what was held back.
    ///
    /// ```
    /// use olivine_lm::{Event, OutputFormat, OutputParser};
    /// let mut parser = OutputParser::new(OutputFormat::Hermes);
    /// assert!(parser.push("<tool_call>{\"name\"").is_empty());
    /// assert_eq!(parser.finish(), [Event::Text("<tool_call>{\"name\"".into())]);
    /// ```
    pub fn finish(&mut self) -> Vec<Event> {
        self.engine.run(true)
    }
}

#[cfg(test)]
#[path = "tools/tests.rs"]
mod tests;
