//! Owns `generation_config.json`: the sampling defaults a model's publisher recommends.

use std::path::Path;

use crate::error::Result;
use crate::json::Object;
use crate::sampling::SamplerOptions;

/// The publisher's defaults for generation; every field is optional in the file.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let config: olivine_lm::GenerationConfig = folder.generation_config()?;
/// assert_eq!((config.temperature, config.max_new_tokens), (Some(0.7), Some(320)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GenerationConfig {
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// Token prepended to a text.
    pub bos_token_id: Option<u32>,
    /// Whether to sample; when false the defaults are greedy.
    pub do_sample: Option<bool>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Number of most likely tokens to keep.
    pub top_k: Option<usize>,
    /// Probability mass to keep.
    pub top_p: Option<f64>,
    /// Smallest probability to keep, relative to the most likely token's.
    pub min_p: Option<f64>,
    /// Largest number of tokens to generate.
    pub max_new_tokens: Option<usize>,
}

impl GenerationConfig {
    /// Parses the text of a `generation_config.json`; `path` appears in errors.
    ///
    /// # Errors
    /// Malformed JSON and fields of the wrong kind.
    ///
    /// ```
    /// use olivine_lm::GenerationConfig;
    /// let config = GenerationConfig::parse("generation_config.json".as_ref(), r#"{"top_k": 0}"#)?;
    /// assert_eq!(config.top_k, Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let object = Object::parse(path, text)?;
        // Zero means "off" for top_k, so `size`, which refuses zero, does not fit here.
        let top_k = match object.get("top_k") {
            None => None,
            Some(value) => Some(
                value
                    .as_u64()
                    .and_then(|count| usize::try_from(count).ok())
                    .ok_or_else(|| {
                        object.bad("top_k", format!("must be a whole number, not {value}"))
                    })?,
            ),
        };
        let config = Self {
            eos_token_ids: object.token_ids("eos_token_id")?,
            bos_token_id: object.token_ids("bos_token_id")?.first().copied(),
            do_sample: object.bool("do_sample")?,
            temperature: object.float("temperature")?,
            top_k,
            top_p: object.float("top_p")?,
            min_p: object.float("min_p")?,
            max_new_tokens: object.size("max_new_tokens", usize::MAX)?,
        };
        config
            .sampler_options()
            .validate()
            .map_err(|error| match error {
                crate::Error::SamplerOption {
                    option,
                    value,
                    expected,
                } => object.bad(option, format!("must be {expected}, got {value}")),
                other => other,
            })?;
        Ok(config)
    }

    /// The recommended sampler: greedy unless the file asks to sample.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let options = folder.generation_config()?.sampler_options();
    /// assert_eq!((options.temperature, options.top_k, options.top_p), (0.7, 40, 0.9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sampler_options(&self) -> SamplerOptions {
        if self.do_sample != Some(true) {
            return SamplerOptions::greedy();
        }
        SamplerOptions {
            temperature: self.temperature.unwrap_or(1.0) as f32,
            top_k: self.top_k.unwrap_or(0),
            top_p: self.top_p.unwrap_or(1.0) as f32,
            min_p: self.min_p.unwrap_or(0.0) as f32,
            ..SamplerOptions::greedy()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn parse(text: &str) -> Result<GenerationConfig> {
        GenerationConfig::parse(Path::new("m/generation_config.json"), text)
    }

    #[test]
    fn reads_one_or_several_end_tokens() {
        assert_eq!(parse(r#"{"eos_token_id": 2}"#).unwrap().eos_token_ids, [2]);
        let several = parse(r#"{"eos_token_id": [128001, 128009]}"#).unwrap();
        assert_eq!(several.eos_token_ids, [128001, 128009]);
        assert!(parse("{}").unwrap().eos_token_ids.is_empty());
    }

    #[test]
    fn sampling_is_off_unless_asked_for() {
        let quiet = parse(r#"{"temperature": 0.7}"#).unwrap();
        assert_eq!(quiet.sampler_options().temperature, 0.0);
        let lively = parse(r#"{"do_sample": true, "temperature": 0.5, "top_k": 0, "top_p": 0.9}"#);
        let options = lively.unwrap().sampler_options();
        assert_eq!((options.temperature, options.top_p), (0.5, 0.9));
        assert_eq!(options.top_k, 0);
    }

    #[test]
    fn impossible_values_name_the_file_and_field() {
        for (text, field) in [
            (r#"{"eos_token_id": -1}"#, "eos_token_id"),
            (r#"{"eos_token_id": [1, "x"]}"#, "eos_token_id"),
            (r#"{"eos_token_id": 4294967296}"#, "eos_token_id"),
            (r#"{"top_k": 1.5}"#, "top_k"),
            (r#"{"do_sample": true, "top_p": 7}"#, "top_p"),
            (r#"{"do_sample": "yes"}"#, "do_sample"),
            (r#"{"max_new_tokens": 0}"#, "max_new_tokens"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                matches!(&error, Error::Field { field: named, path, .. }
                    if named == field && path.ends_with("generation_config.json")),
                "{text}: {error}"
            );
        }
    }
}
