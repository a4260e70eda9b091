//! Owns reading JSON objects field by field, so that every complaint names the file and the field.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// One JSON object and the file it came from.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    path: PathBuf,
    prefix: String,
    map: Map<String, Value>,
}

impl Object {
    /// Parses the text of a file whose top level must be an object.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let value = serde_json::from_str(text).or_else(|source| {
            let usual = without_infinities(text).and_then(|text| serde_json::from_str(&text).ok());
            usual.ok_or_else(|| Error::Json {
                path: path.to_owned(),
                source,
            })
        })?;
        match value {
            Value::Object(map) => Ok(Self {
                path: path.to_owned(),
                prefix: String::new(),
                map,
            }),
            other => Err(Error::Field {
                path: path.to_owned(),
                field: "(top level)".to_owned(),
                problem: format!("must be an object, not {}", kind(&other)),
            }),
        }
    }

    /// The value of a field; `null` counts as absent.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.map.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// An error about a field of this object.
    pub(crate) fn bad(&self, field: &str, problem: impl Into<String>) -> Error {
        Error::Field {
            path: self.path.clone(),
            field: format!("{}{field}", self.prefix),
            problem: problem.into(),
        }
    }

    /// A typed refusal of a field's value.
    pub(crate) fn unsupported(&self, field: &str, supported: &'static str) -> Error {
        let found = self.map.get(field).map_or("null".to_owned(), show);
        Error::UnsupportedSetting {
            path: self.path.clone(),
            field: format!("{}{field}", self.prefix),
            found,
            supported,
        }
    }

    fn wrong_kind(&self, field: &str, value: &Value, expected: &str) -> Error {
        self.bad(
            field,
            format!("must be {expected}, not {} {}", kind(value), show(value)),
        )
    }

    pub(crate) fn required<T>(&self, field: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.bad(field, "is missing"))
    }

    pub(crate) fn object(&self, field: &str) -> Result<Option<Self>> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self {
                path: self.path.clone(),
                prefix: format!("{}{field}.", self.prefix),
                map: map.clone(),
            })),
            Some(other) => Err(self.wrong_kind(field, other, "an object")),
        }
    }

    pub(crate) fn string(&self, field: &str) -> Result<Option<&str>> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong_kind(field, other, "a string")),
        }
    }

    pub(crate) fn bool(&self, field: &str) -> Result<Option<bool>> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong_kind(field, other, "true or false")),
        }
    }

    pub(crate) fn float(&self, field: &str) -> Result<Option<f64>> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(self.wrong_kind(field, value, "a finite number")),
            },
        }
    }

    /// A finite number above zero.
    pub(crate) fn positive(&self, field: &str) -> Result<Option<f64>> {
        match self.float(field)? {
            Some(number) if number <= 0.0 => {
                Err(self.bad(field, format!("must be above zero, not {number}")))
            }
            other => Ok(other),
        }
    }

    /// A list of finite numbers.
    pub(crate) fn floats(&self, field: &str) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let list = value
            .as_array()
            .and_then(|list| list.iter().map(Value::as_f64).collect());
        list.map(Some)
            .ok_or_else(|| self.wrong_kind(field, value, "a list of numbers"))
    }

    /// The whole object as a type of its own; fields that the type does not have are passed over.
    pub(crate) fn deserialize<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        // An absent field and `null` are the same.
        let present = self.map.iter().filter(|(_, value)| !value.is_null());
        let map: Map<String, Value> = present
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        serde_path_to_error::deserialize(Value::Object(map)).map_err(|error| {
            let (path, reason) = (error.path().to_string(), error.inner().to_string());
            // serde names a missing field in its message only.
            let missing = reason
                .strip_prefix("missing field `")
                .and_then(|rest| rest.split('`').next());
            match (missing, path.as_str()) {
                (Some(field), ".") => self.bad(field, "is missing"),
                (Some(field), _) => self.bad(&format!("{path}.{field}"), "is missing"),
                (None, ".") => self.bad("(top level)", reason),
                (None, _) => self.bad(&path, format!("makes no sense: {reason}")),
            }
        })
    }

    /// A whole number between 1 and `limit`.
    pub(crate) fn size(&self, field: &str, limit: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let Some(number) = value.as_u64() else {
            return Err(self.wrong_kind(field, value, "a whole number"));
        };
        match usize::try_from(number) {
            Ok(0) => Err(self.bad(field, "must not be zero")),
            Ok(size) if size <= limit => Ok(Some(size)),
            _ => Err(self.bad(field, format!("is {number}; at most {limit} makes sense"))),
        }
    }

    /// One token id or a list of them.
    pub(crate) fn token_ids(&self, field: &str) -> Result<Vec<u32>> {
        let one = |value: &Value| {
            value
                .as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| self.wrong_kind(field, value, "a token id or a list of them"))
        };
        match self.get(field) {
            None => Ok(Vec::new()),
            Some(Value::Array(ids)) => ids.iter().map(one).collect(),
            Some(value) => Ok(vec![one(value)?]),
        }
    }
}

/// The text with `null` for numbers that JSON lacks and Python writes all the same; none if there
/// is no such number.
fn without_infinities(text: &str) -> Option<String> {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let mut usual = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    let (mut quoted, mut escaped) = (false, false);
    while let Some(next) = rest.chars().next() {
        let word = WORDS.iter().find(|word| rest.starts_with(**word));
        if let Some(word) = word.filter(|_| !quoted) {
            usual.push_str("null");
            rest = &rest[word.len()..];
            found = true;
            continue;
        }
        quoted ^= next == '"' && !escaped;
        escaped = next == '\\' && !escaped;
        usual.push(next);
        rest = &rest[next.len_utf8()..];
    }
    found.then_some(usual)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "the boolean",
        Value::Number(_) => "the number",
        Value::String(_) => "the string",
        Value::Array(_) => "the list",
        Value::Object(_) => "the object",
    }
}

/// The value as JSON, cut so that an error stays one line.
fn show(value: &Value) -> String {
    const LONGEST: usize = 40;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let mut cut: String = text.chars().take(LONGEST).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_outside_of_texts_count_as_absent() {
        let text = r#"{"a": [0.0, Infinity], "b": -Infinity, "c": "\"NaN\\", "d": NaN}"#;
        let object = Object::parse(Path::new("config.json"), text).unwrap();
        assert_eq!(object.get("a").unwrap().to_string(), "[0.0,null]");
        assert!(object.get("b").is_none() && object.get("d").is_none());
        assert_eq!(object.string("c").unwrap(), Some("\"NaN\\"));
        assert!(Object::parse(Path::new("config.json"), r#"{"a": Infinite}"#).is_err());
    }
}
