//! Owns saying in a few words what a model's folder holds, without loading it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

/// Configurations and cards are kilobytes; what is larger is something else.
const LARGEST_TEXT: u64 = 16 << 20;

/// What the files of a model say about it; what they do not say is absent.
///
/// ```
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let summary = olivine_lm::ModelSummary::read(folder.as_ref());
/// assert_eq!(summary.model_type.as_deref(), Some("llama"));
/// assert!(summary.parameters.is_some_and(|count| count > 2_000_000));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelSummary {
    /// The `model_type` of `config.json`.
    pub model_type: Option<String>,
    /// How weights are packed, such as `4-bit, groups of 64`.
    pub quantization: Option<String>,
    /// The number of parameters; packed ones are counted as unpacked.
    pub parameters: Option<u64>,
    /// The dtype that most parameters are stored in, as safetensors spells it, such as `BF16`;
    /// for packed ones, that of their scales.
    pub dtype: Option<String>,
    /// The licence that the model's card names.
    pub licence: Option<String>,
}

impl ModelSummary {
    /// Reads the configuration, the headers of the weights and the card of a folder.
    ///
    /// Files that are absent or damaged tell nothing, and are no errors.
    ///
    /// ```
    /// let summary = olivine_lm::ModelSummary::read("/nowhere".as_ref());
    /// assert_eq!(summary, olivine_lm::ModelSummary::default());
    /// ```
    pub fn read(folder: &Path) -> Self {
        let config = Self::of_config(folder);
        let (parameters, dtype) = match count(folder) {
            Some((parameters, dtype)) => (Some(parameters), dtype),
            None => (None, None),
        };
        Self {
            parameters,
            dtype,
            licence: text(&folder.join("README.md")).and_then(|card| licence(&card)),
            ..config
        }
    }

    /// Reads the configuration alone, which is fast.
    ///
    /// ```
    /// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let summary = olivine_lm::ModelSummary::of_config(folder.as_ref());
    /// assert_eq!((summary.model_type.as_deref(), summary.parameters), (Some("llama"), None));
    /// ```
    pub fn of_config(folder: &Path) -> Self {
        let config = config(folder);
        Self {
            model_type: config["model_type"].as_str().map(str::to_owned),
            quantization: quantization(&config),
            ..Self::default()
        }
    }
}

fn config(folder: &Path) -> Value {
    text(&folder.join("config.json"))
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn text(path: &Path) -> Option<String> {
    let data = fs::metadata(path).ok()?;
    if !data.is_file() || data.len() > LARGEST_TEXT {
        return None;
    }
    fs::read_to_string(path).ok()
}

fn quantization(config: &Value) -> Option<String> {
    let (settings, method) = match (&config["quantization"], &config["quantization_config"]) {
        (Value::Object(settings), _) => (settings, None),
        (_, Value::Object(settings)) => (
            settings,
            settings.get("quant_method").and_then(Value::as_str),
        ),
        _ => return None,
    };
    let mut parts = Vec::new();
    if let Some(bits) = settings.get("bits").and_then(Value::as_u64) {
        parts.push(format!("{bits}-bit"));
    }
    if let Some(mode) = settings
        .get("mode")
        .and_then(Value::as_str)
        .filter(|mode| *mode != "affine")
        .or(method)
    {
        parts.push(mode.to_owned());
    }
    if let Some(group) = settings.get("group_size").and_then(Value::as_u64) {
        parts.push(format!("groups of {group}"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Counts the parameters in the headers of the weights.
fn count(folder: &Path) -> Option<(u64, Option<String>)> {
    let config = config(folder);
    let settings = &config["quantization"];
    let mut parameters = 0;
    let mut of_dtype: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut found = false;
    for entry in fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?;
        if !(name.starts_with("model") && name.ends_with(".safetensors")) {
            continue;
        }
        let file = olivine_io::load_safetensors(&path).ok()?;
        found = true;
        for name in file.names() {
            let info = file.info(name)?;
            let size: u64 = info.shape.iter().map(|side| *side as u64).product();
            let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
            let is_packed = |suffix: &str| file.info(&format!("{layer}.{suffix}")).is_some();
            if name.ends_with(".weight") && info.stored_dtype == "U32" && is_packed("scales") {
                let bits = settings[layer]["bits"]
                    .as_u64()
                    .or(settings["bits"].as_u64())?;
                parameters += size * 32 / bits.max(1);
            } else if (name.ends_with(".scales") || name.ends_with(".biases"))
                && is_packed("weight")
            {
                *of_dtype.entry(info.stored_dtype).or_default() += size;
            } else {
                parameters += size;
                *of_dtype.entry(info.stored_dtype).or_default() += size;
            }
        }
    }
    let dtype = of_dtype
        .into_iter()
        .max_by_key(|(_, size)| *size)
        .map(|(dtype, _)| dtype.to_owned());
    found.then_some((parameters, dtype))
}

/// The licence in the lines between `---` at the top of a card.
fn licence(card: &str) -> Option<String> {
    let mut lines = card.lines();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let mut licence = None;
    let mut wants_item = false;
    for line in lines.take_while(|line| line.trim_end() != "---") {
        let value = |rest: &str| rest.trim().trim_matches(['"', '\'']).to_owned();
        if let Some(rest) = line.strip_prefix("license_name:") {
            // The field itself only says `other`.
            licence = Some(value(rest));
        } else if let Some(rest) = line.strip_prefix("license:") {
            wants_item = rest.trim().is_empty();
            licence.get_or_insert(value(rest));
        } else if let Some(rest) = line.trim_start().strip_prefix("- ")
            && std::mem::take(&mut wants_item)
        {
            licence = Some(value(rest));
        }
    }
    licence.filter(|text| !text.is_empty() && !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_read_from_the_top_of_the_card() {
        let of = |card: &str| licence(card);
        assert_eq!(of("---\nlicense: mit\n---\n# x").as_deref(), Some("mit"));
        assert_eq!(
            of("---\r\ntags:\r\n- a\r\nlicense: \"apache-2.0\"\r\n---\r\n").as_deref(),
            Some("apache-2.0")
        );
        assert_eq!(
            of("---\nlicense: other\nlicense_name: gemma\n---\n").as_deref(),
            Some("gemma")
        );
        assert_eq!(
            of("---\nlicense:\n- cc0-1.0\n- mit\n---\n").as_deref(),
            Some("cc0-1.0")
        );
        assert_eq!(of("# x\nlicense: mit"), None);
        assert_eq!(of("---\ntags:\n- mit\n---\nlicense: mit"), None);
    }

    #[test]
    fn quantization_is_told_in_a_few_words() {
        let of = |text: &str| quantization(&serde_json::from_str(text).unwrap());
        assert_eq!(
            of(r#"{"quantization": {"group_size": 64, "bits": 4}}"#).as_deref(),
            Some("4-bit, groups of 64")
        );
        assert_eq!(
            of(r#"{"quantization": {"group_size": 32, "bits": 8, "mode": "mxfp8"}}"#).as_deref(),
            Some("8-bit, mxfp8, groups of 32")
        );
        assert_eq!(
            of(r#"{"quantization_config": {"quant_method": "gptq", "bits": 4}}"#).as_deref(),
            Some("4-bit, gptq")
        );
        assert_eq!(of("{}"), None);
    }

    #[test]
    fn packed_parameters_are_counted_as_unpacked() {
        use olivine_core::Array;
        use olivine_io::{Metadata, save_safetensors};
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("config.json"),
            r#"{"quantization": {"bits": 4, "group_size": 32}}"#,
        )
        .unwrap();
        let words = Array::from_slice(&[0u32; 2 * 8], [2, 8]).unwrap();
        let scales = Array::from_slice(&[1.0f32; 4], [2, 2]).unwrap();
        let norm = Array::from_slice(&[1.0f32; 5], [5]).unwrap();
        save_safetensors(
            folder.path().join("model.safetensors"),
            [
                ("a.weight", &words),
                ("a.scales", &scales),
                ("a.biases", &scales),
                ("norm.weight", &norm),
            ],
            &Metadata::new(),
        )
        .unwrap();
        let summary = ModelSummary::read(folder.path());
        assert_eq!(summary.parameters, Some(2 * 64 + 5));
        assert_eq!(summary.dtype.as_deref(), Some("F32"));
    }
}
