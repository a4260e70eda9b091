//! Owns the two notations of calls that are not JSON: Python's, and that of Google's function tokens.

use serde_json::{Map, Number, Value};

use super::calls::Call;

/// Values may be nested this deep, so that recursion here ends.
const DEPTH: usize = 64;

/// Calls as Python writes them: `name(key=value)`, several in a list or one to a line, perhaps inside
/// of `print(…)`.
pub(super) fn python_calls(text: &str) -> Option<Vec<Call>> {
    let mut reader = Reader::new(text);
    let in_list = reader.eat("[");
    let mut calls = Vec::new();
    loop {
        reader.space();
        if (in_list && reader.eat("]")) || reader.rest.is_empty() {
            break;
        }
        let printed = reader.eat("print(");
        reader.space();
        calls.push(reader.python_call()?);
        reader.space();
        if printed && !reader.eat(")") {
            return None;
        }
        reader.space();
        // Line ends are space already.
        let _separated = reader.eat(",") || reader.eat(";");
    }
    reader.space();
    Some(calls).filter(|calls| !calls.is_empty() && reader.rest.is_empty())
}

/// `call:name{key:value,…}`, where strings stand between `<escape>` or `<|"|>`.
pub(super) fn brace_call(text: &str) -> Option<(String, Value)> {
    let mut reader = Reader::new(text);
    if !reader.eat("call:") {
        return None;
    }
    let name = reader.name();
    reader.space();
    let arguments = reader.brace_value(0)?;
    reader.space();
    (!name.is_empty() && arguments.is_object() && reader.rest.is_empty())
        .then_some((name, arguments))
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let mut reader = Reader { rest: text };
        reader.space();
        reader
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn until(&mut self, end: impl Fn(char) -> bool) -> &'t str {
        let length = self.rest.find(end).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        text
    }

    fn name(&mut self) -> String {
        let name = self.until(|c| !(c.is_alphanumeric() || "_.-".contains(c)));
        name.to_owned()
    }

    fn python_call(&mut self) -> Option<Call> {
        let name = self.name();
        // How Gemma is told to name its tools.
        let name = name
            .strip_prefix("default_api.")
            .unwrap_or(&name)
            .to_owned();
        self.space();
        if name.is_empty() || !self.eat("(") {
            return None;
        }
        let mut arguments = Map::new();
        loop {
            self.space();
            if self.eat(")") {
                return Some(Call {
                    name,
                    arguments: Value::Object(arguments),
                    id: None,
                });
            }
            let key = self.name();
            self.space();
            if key.is_empty() || !self.eat("=") {
                return None;
            }
            let value = self.python_value(0)?;
            arguments.insert(key, value);
            self.space();
            if !self.eat(",") && !self.rest.starts_with(')') {
                return None;
            }
        }
    }

    fn python_value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH {
            return None;
        }
        self.space();
        match self.rest.chars().next()? {
            '"' | '\'' => self.python_string().map(Value::String),
            '[' => {
                self.eat("[");
                self.list("]", |reader| reader.python_value(depth + 1))
                    .map(Value::Array)
            }
            '(' => {
                self.eat("(");
                self.list(")", |reader| reader.python_value(depth + 1))
                    .map(Value::Array)
            }
            '{' => {
                self.eat("{");
                let pairs = self.list("}", |reader| {
                    let key = reader.python_string()?;
                    reader.space();
                    let value = reader.eat(":").then(|| reader.python_value(depth + 1))??;
                    Some((key, value))
                })?;
                Some(Value::Object(pairs.into_iter().collect()))
            }
            _ => match self.until(|c| !(c.is_alphanumeric() || "+-._".contains(c))) {
                "True" | "true" => Some(Value::Bool(true)),
                "False" | "false" => Some(Value::Bool(false)),
                "None" | "null" => Some(Value::Null),
                number => number.parse::<i64>().map(Value::from).ok().or_else(|| {
                    let number = Number::from_f64(number.parse().ok()?)?;
                    Some(Value::Number(number))
                }),
            },
        }
    }

    /// Items up to a closing bracket, with commas between them and perhaps after the last.
    fn list<T>(&mut self, close: &str, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        loop {
            self.space();
            if self.eat(close) {
                return Some(items);
            }
            items.push(item(self)?);
            self.space();
            if !self.eat(",") && !self.rest.starts_with(close) {
                return None;
            }
        }
    }

    fn python_string(&mut self) -> Option<String> {
        let quote = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|quote| self.eat(quote))?;
        let mut text = String::new();
        loop {
            if self.eat(quote) {
                return Some(text);
            }
            let c = self.next()?;
            if c != '\\' {
                text.push(c);
                continue;
            }
            match self.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                '\n' => {}
                c @ ('\\' | '\'' | '"') => text.push(c),
                digits @ ('x' | 'u' | 'U') => {
                    let count = match digits {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let code = self.rest.get(..count)?;
                    self.rest = &self.rest[count..];
                    text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                }
                // Python keeps what it does not know.
                c => text.extend(['\\', c]),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn brace_value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH {
            return None;
        }
        self.space();
        for quote in ["<escape>", "<|\"|>"] {
            if self.eat(quote) {
                let (text, rest) = self.rest.split_once(quote)?;
                self.rest = rest;
                return Some(Value::String(text.to_owned()));
            }
        }
        if self.eat("[") {
            return self
                .list("]", |reader| reader.brace_value(depth + 1))
                .map(Value::Array);
        }
        if self.eat("{") {
            let pairs = self.list("}", |reader| {
                let key = match reader.brace_value_key() {
                    Some(key) => key,
                    None => reader.until(|c| ":,{}[]".contains(c)).trim().to_owned(),
                };
                if !reader.eat(":") {
                    return None;
                }
                Some((key, reader.brace_value(depth + 1)?))
            })?;
            return Some(Value::Object(pairs.into_iter().collect()));
        }
        if self.rest.starts_with('"') {
            return self.python_string().map(Value::String);
        }
        let bare = self.until(|c| ",{}[]".contains(c)).trim();
        if bare.is_empty() {
            return None;
        }
        Some(serde_json::from_str(bare).unwrap_or_else(|_| Value::String(bare.to_owned())))
    }

    /// A key between quotes of either kind.
    fn brace_value_key(&mut self) -> Option<String> {
        for quote in ["<escape>", "<|\"|>", "\""] {
            if self.eat(quote) {
                let (key, rest) = self.rest.split_once(quote)?;
                self.rest = rest;
                return Some(key.to_owned());
            }
        }
        None
    }
}
