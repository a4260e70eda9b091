//! Owns reading one call, or several, out of the text between a format's marks.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Event;
use super::literals::{brace_call, python_calls};

pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Value,
    pub(super) id: Option<String>,
}

impl From<Call> for Event {
    fn from(call: Call) -> Self {
        Self::ToolCall {
            name: call.name,
            arguments: call.arguments,
            id: call.id,
        }
    }
}

/// The keys of a call in JSON; the first one decides early whether an object is a call.
const KEYS: [&str; 6] = ["name", "arguments", "parameters", "id", "type", "function"];

/// The calls between an opening mark and the mark that ends it.
pub(super) fn between(
    open: &str,
    body: &str,
    types: &HashMap<(String, String), String>,
) -> Option<Vec<Call>> {
    let body = body.trim();
    match open {
        "<function=" => {
            let (name, arguments) = body.split_once('>')?;
            one(name, arguments_or_none(arguments)?)
        }
        "<start_function_call>" | "<|tool_call>" => {
            let (name, arguments) = brace_call(body)?;
            one(&name, arguments)
        }
        "<|tool_call_start|>" => python_calls(body),
        "```tool_code" => json(body, false).or_else(|| python_calls(body)),
        "```json" => json(body, true),
        "<｜tool▁call▁begin｜>" => deepseek(body),
        _ if body.starts_with("<function=") => qwen_coder(body, types),
        _ if body.contains("<arg_key>") => glm(body, types),
        _ => json(body, false),
    }
}

fn one(name: &str, arguments: Value) -> Option<Vec<Call>> {
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return None;
    }
    Some(vec![Call {
        name: name.to_owned(),
        arguments,
        id: None,
    }])
}

/// Whether a text is JSON that is only cut short.
pub(super) fn unfinished(text: &str) -> bool {
    let error = serde_json::from_str::<serde::de::IgnoredAny>(text.trim()).err();
    error.is_some_and(|error| error.is_eof())
}

/// Whether JSON that begins like this may be a call.
pub(super) fn may_be_call(text: &str) -> bool {
    let text = match text.strip_prefix('[') {
        Some(rest) => rest.trim_start(),
        None => text,
    };
    let Some(rest) = text.strip_prefix('{') else {
        return text.is_empty();
    };
    let Some(key) = rest.trim_start().strip_prefix('"') else {
        return rest.trim_start().is_empty();
    };
    match key.split_once('"') {
        Some((key, _)) => KEYS.contains(&key),
        None => KEYS.iter().any(|known| known.starts_with(key)),
    }
}

/// Calls as a JSON object or an array of them; `strict` ones have nothing but a call's keys, and
/// arguments, so that other JSON is not mistaken for them.
pub(super) fn json(text: &str, strict: bool) -> Option<Vec<Call>> {
    match serde_json::from_str(text).ok()? {
        Value::Array(calls) if !calls.is_empty() => {
            calls.into_iter().map(|call| object(call, strict)).collect()
        }
        call => Some(vec![object(call, strict)?]),
    }
}

fn object(call: Value, strict: bool) -> Option<Call> {
    let Value::Object(mut call) = call else {
        return None;
    };
    if strict && !call.keys().all(|key| KEYS.contains(&key.as_str())) {
        return None;
    }
    let id = call
        .remove("id")
        .and_then(|id| id.as_str().map(str::to_owned));
    // OpenAI's own form has the call one level down.
    if let Some(Value::Object(inner)) = call.get("function") {
        call = inner.clone();
    }
    let name = call.remove("name").or_else(|| call.remove("function"))?;
    let name = name.as_str().filter(|name| !name.is_empty())?.to_owned();
    let arguments = call
        .remove("arguments")
        .or_else(|| call.remove("parameters"));
    let arguments = match arguments {
        None if strict => return None,
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(Value::String(text)) => arguments_or_none(&text)?,
        Some(Value::Object(arguments)) => Value::Object(arguments),
        Some(_) => return None,
    };
    Some(Call {
        name,
        arguments,
        id,
    })
}

/// Arguments as the text of a JSON object.
pub(super) fn arguments(text: &str) -> Option<Value> {
    arguments_or_none(text)
}

fn arguments_or_none(text: &str) -> Option<Value> {
    match text.trim() {
        "" => Some(Value::Object(Map::new())),
        text => serde_json::from_str(text).ok().filter(Value::is_object),
    }
}

/// `function<｜tool▁sep｜>name` and fenced JSON (V3, R1), or `name<｜tool▁sep｜>{…}` (V3.1).
fn deepseek(body: &str) -> Option<Vec<Call>> {
    let (first, rest) = body.split_once("<｜tool▁sep｜>")?;
    if first.trim() != "function" || rest.trim_start().starts_with('{') {
        return one(first, arguments_or_none(rest)?);
    }
    let (name, arguments) = rest.split_once("```json")?;
    let arguments = arguments.trim_end().strip_suffix("```")?;
    one(name, arguments_or_none(arguments)?)
}

/// `<function=name><parameter=key>value</parameter>…</function>`.
fn qwen_coder(body: &str, types: &HashMap<(String, String), String>) -> Option<Vec<Call>> {
    let inner = body
        .strip_prefix("<function=")?
        .strip_suffix("</function>")?;
    let (name, mut rest) = inner.split_once('>')?;
    let mut arguments = Map::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return one(name, Value::Object(arguments));
        }
        let (key, after) = rest.strip_prefix("<parameter=")?.split_once('>')?;
        let (text, after) = after.split_once("</parameter>")?;
        // One line end on either side belongs to the format.
        let text = text.strip_prefix('\n').unwrap_or(text);
        let text = text.strip_suffix('\n').unwrap_or(text);
        arguments.insert(key.to_owned(), typed(name, key, text, types));
        rest = after;
    }
}

/// `name<arg_key>key</arg_key><arg_value>value</arg_value>…`.
fn glm(body: &str, types: &HashMap<(String, String), String>) -> Option<Vec<Call>> {
    let (name, _) = body.split_once("<arg_key>")?;
    let name = name.trim();
    let mut rest = body[body.find("<arg_key>")?..].trim_start();
    let mut arguments = Map::new();
    while !rest.is_empty() {
        let (key, after) = rest.strip_prefix("<arg_key>")?.split_once("</arg_key>")?;
        let after = after.trim_start().strip_prefix("<arg_value>")?;
        let (text, after) = after.split_once("</arg_value>")?;
        arguments.insert(key.to_owned(), typed(name, key, text, types));
        rest = after.trim_start();
    }
    one(name, Value::Object(arguments))
}

/// A value written without quotes: by its type where that is known, else only objects and arrays are
/// more than text.
fn typed(tool: &str, key: &str, text: &str, types: &HashMap<(String, String), String>) -> Value {
    let kind = types.get(&(tool.to_owned(), key.to_owned()));
    let value = serde_json::from_str(text.trim()).ok();
    let value = value.filter(|value: &Value| match kind.map(String::as_str) {
        Some("string") => false,
        Some(_) => true,
        None => value.is_object() || value.is_array(),
    });
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}
