//! Owns reading GGUF metadata, so that every complaint names the file and the key.

use std::path::Path;

use olivine_io::{GgufMetadata, GgufValue, GgufValues};

use crate::error::{Error, Result};

/// Beyond this a number is damaged or hostile.
const MAX_NUMBER: i64 = 1 << 40;

/// The metadata of a file, and the prefix of the keys that belong to its architecture.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) path: &'a Path,
    pub(super) metadata: &'a GgufMetadata,
    pub(super) architecture: &'a str,
}

impl<'a> Keys<'a> {
    /// An error about a key.
    pub(super) fn bad(&self, key: &str, problem: impl Into<String>) -> Error {
        Error::Field {
            path: self.path.to_owned(),
            field: key.to_owned(),
            problem: problem.into(),
        }
    }

    /// A typed refusal of a key's value.
    pub(super) fn unsupported(
        &self,
        key: &str,
        found: impl ToString,
        supported: &'static str,
    ) -> Error {
        Error::UnsupportedSetting {
            path: self.path.to_owned(),
            field: key.to_owned(),
            found: found.to_string().chars().take(60).collect(),
            supported,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a GgufValue> {
        self.metadata.get(key)
    }

    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.bad(key, "is missing"))
    }

    /// The key of the architecture with this end.
    pub(super) fn own(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) => Ok(Some(text)),
                None => Err(self.bad(key, "must be a text")),
            },
        }
    }

    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_bool() {
                Some(truth) => Ok(Some(truth)),
                None => Err(self.bad(key, "must be true or false")),
            },
        }
    }

    /// A whole number; of a list with one number for each layer, the one that all have.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let numbers = match value {
            GgufValue::Array(values) => integers(values)
                .ok_or_else(|| self.bad(key, "must be a whole number or a list of them"))?,
            one => vec![
                one.as_i64()
                    .ok_or_else(|| self.bad(key, "must be a whole number"))?,
            ],
        };
        let Some(&first) = numbers.first() else {
            return Err(self.bad(key, "must not be an empty list"));
        };
        if let Some(other) = numbers.iter().find(|&&other| other != first) {
            let found = format!("{first} and {other} in different layers");
            return Err(self.unsupported(key, found, "the same number in all layers"));
        }
        match u64::try_from(first) {
            Ok(size) if first <= MAX_NUMBER => Ok(Some(size)),
            _ => Err(self.bad(
                key,
                format!("is {first}; from 0 to {MAX_NUMBER} makes sense"),
            )),
        }
    }

    /// A finite number.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match number_of(value) {
                Some(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(self.bad(key, "must be a finite number")),
            },
        }
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<&'a [String]>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.strings() {
                Some(texts) => Ok(Some(texts)),
                None => Err(self.bad(key, "must be a list of texts")),
            },
        }
    }

    pub(super) fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::Array(values)) => match integers(values) {
                Some(numbers) => Ok(Some(numbers)),
                None => Err(self.bad(key, "must be a list of whole numbers")),
            },
            Some(_) => Err(self.bad(key, "must be a list of whole numbers")),
        }
    }

    pub(super) fn floats(&self, key: &str) -> Result<Option<&'a [f32]>> {
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::Array(GgufValues::Float32(numbers))) => Ok(Some(numbers)),
            Some(_) => Err(self.bad(key, "must be a list of float32 numbers")),
        }
    }
}

/// A number as decimal digits mean it: 0.000001 of single precision is not 9.99999997e-7.
fn number_of(value: &GgufValue) -> Option<f64> {
    match value {
        GgufValue::Float32(x) => x.to_string().parse().ok(),
        other => other.as_f64(),
    }
}

fn integers(values: &GgufValues) -> Option<Vec<i64>> {
    fn wide<T: Copy + Into<i64>>(numbers: &[T]) -> Vec<i64> {
        numbers.iter().map(|&x| x.into()).collect()
    }
    Some(match values {
        GgufValues::Uint8(x) => wide(x),
        GgufValues::Int8(x) => wide(x),
        GgufValues::Uint16(x) => wide(x),
        GgufValues::Int16(x) => wide(x),
        GgufValues::Uint32(x) => wide(x),
        GgufValues::Int32(x) => wide(x),
        GgufValues::Int64(x) => x.clone(),
        GgufValues::Uint64(x) => x
            .iter()
            .map(|&x| i64::try_from(x).ok())
            .collect::<Option<_>>()?,
        _ => return None,
    })
}
