//! Owns `config.json`: what it says of any model, checked before a single weight is read.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::json::Object;
use crate::layers::{Rope, RopeScaling};
use crate::models;
use crate::quantization::QuantizationConfig;
use crate::weights::Foreign;

// Beyond these a file is damaged or hostile: an order of magnitude above the largest published models.
const MAX_SIZE: u64 = 1 << 24;
const MAX_NUMBER: u64 = 1 << 40;

/// Sizes that no model has zero of.
const NEVER_ZERO: &[&str] = &[
    "hidden_size",
    "n_embd",
    "num_hidden_layers",
    "n_layer",
    "num_attention_heads",
    "n_head",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "sliding_window",
    "max_position_embeddings",
];

/// A model's `config.json`: what all families share, and the fields that each reads itself.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let config: olivine_lm::ModelConfig = folder.config()?;
/// assert_eq!((config.model_type.as_str(), config.eos_token_ids.len()), ("llama", 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// The family's name, one of [`supported_model_types`](models::supported_model_types).
    pub model_type: String,
    /// The dtype the weights were trained in, as the file spells it.
    pub dtype: Option<String>,
    /// Token prepended to a text.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// How the weights are packed, if they are.
    pub quantization: Option<QuantizationConfig>,
    /// How they are packed by other tools.
    pub(crate) foreign: Option<Foreign>,
    fields: Object,
}

/// How positions turn heads.
///
/// ```
/// use olivine_lm::{ModelConfig, RopeConfig};
/// let text = r#"{"model_type": "llama", "rope_theta": 5e5}"#;
/// let config = ModelConfig::parse("config.json".as_ref(), text)?;
/// let rope: RopeConfig = config.rope()?;
/// assert_eq!(rope.theta, 500_000.0);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub theta: f64,
    /// How contexts are stretched.
    pub scaling: RopeScaling,
}

impl ModelConfig {
    /// Parses the text of a `config.json`; `path` appears in errors.
    ///
    /// # Errors
    /// JSON that is malformed, fields that are missing or impossible, an architecture or setting
    /// that is not implemented.
    ///
    /// ```
    /// use olivine_lm::ModelConfig;
    /// let text = r#"{"model_type": "other"}"#;
    /// let error = ModelConfig::parse("config.json".as_ref(), text).unwrap_err();
    /// assert!(error.to_string().contains("other"));
    /// ```
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let object = Object::parse(path, text)?;
        let model_type = object.required("model_type", object.string("model_type")?)?;
        if !models::is_supported(model_type) && !crate::embed::is_encoder(model_type) {
            return Err(Error::UnsupportedArchitecture {
                path: path.to_owned(),
                found: model_type.chars().take(40).collect(),
                supported: models::supported_model_types(),
            });
        }
        check_numbers(&object)?;
        let dtype = match object.string("dtype")? {
            Some(name) => Some(name),
            None => object.string("torch_dtype")?,
        };
        // mlx-lm writes both, with the same contents.
        let quantization = match object.object("quantization")? {
            Some(own) => Some(QuantizationConfig::read(&own)?),
            None => None,
        };
        let foreign = match object.object("quantization_config")? {
            Some(other) if quantization.is_none() => Some(Foreign::read_config(&other)?),
            _ => None,
        };
        Ok(Self {
            model_type: model_type.to_owned(),
            dtype: dtype.map(str::to_owned),
            bos_token_id: object.token_ids("bos_token_id")?.first().copied(),
            eos_token_ids: object.token_ids("eos_token_id")?,
            quantization,
            foreign,
            fields: object,
        })
    }

    /// Reads the fields of a family.
    ///
    /// ```
    /// use olivine_lm::ModelConfig;
    /// #[derive(Debug, serde::Deserialize)]
    /// struct Mine {
    ///     hidden_size: usize,
    /// }
    /// let text = r#"{"model_type": "llama", "hidden_size": 64}"#;
    /// let config = ModelConfig::parse("config.json".as_ref(), text)?;
    /// assert_eq!(config.read::<Mine>()?.hidden_size, 64);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.fields.deserialize()
    }

    /// The part of a model that sees pictures too which deals with text: the fields of
    /// `text_config`, or all where there is no such part.
    ///
    /// ```
    /// use olivine_lm::ModelConfig;
    /// let text = r#"{"model_type": "llama", "text_config": {"rope_theta": 7.0}}"#;
    /// let config = ModelConfig::parse("config.json".as_ref(), text)?;
    /// assert_eq!(config.text()?.rope()?.theta, 7.0);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn text(&self) -> Result<Self> {
        let part = self.fields.object("text_config")?;
        Ok(Self {
            fields: part.unwrap_or_else(|| self.fields.clone()),
            ..self.clone()
        })
    }

    /// The most tokens that the model was trained to see at once, stretched as its rotary embeddings are;
    /// `None` if the file does not say it.
    ///
    /// ```
    /// use olivine_lm::ModelConfig;
    /// let text = r#"{"model_type": "qwen2", "max_position_embeddings": 32768,
    ///     "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}"#;
    /// let config = ModelConfig::parse("config.json".as_ref(), text)?;
    /// assert_eq!(config.context()?, Some(131_072));
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn context(&self) -> Result<Option<usize>> {
        const MOST: usize = u32::MAX as usize;
        let fields = self.text()?.fields;
        let mut trained = None;
        for name in ["max_position_embeddings", "n_positions"] {
            trained = trained.max(fields.size(name, MOST)?);
        }
        let Some(trained) = trained else {
            return Ok(None);
        };
        let scaling = match fields.object("rope_parameters")? {
            Some(parameters) => Some(parameters),
            None => fields.object("rope_scaling")?,
        };
        let Some(scaling) = scaling else {
            return Ok(Some(trained));
        };
        let original = scaling.size("original_max_position_embeddings", MOST)?;
        let factor = scaling.positive("factor")?.unwrap_or(1.0);
        let stretched = original.unwrap_or(trained) as f64 * factor;
        Ok(Some(trained.max(stretched as usize)))
    }

    /// Reads `rope_theta` and `rope_scaling`, or the newer `rope_parameters` that holds both.
    ///
    /// ```
    /// use olivine_lm::{ModelConfig, layers::RopeScaling};
    /// let text = r#"{"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.0}}"#;
    /// let config = ModelConfig::parse("config.json".as_ref(), text)?;
    /// assert_eq!(config.rope()?.scaling, RopeScaling::Linear { factor: 2.0 });
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn rope(&self) -> Result<RopeConfig> {
        self.rope_or(10_000.0)
    }

    /// As [`ModelConfig::rope`], with another base where the file has none.
    pub(crate) fn rope_or(&self, theta: f64) -> Result<RopeConfig> {
        let usual = theta;
        let newer = self.fields.object("rope_parameters")?;
        if let Some(parameters) = &newer
            && parameters.entries().any(|(_, value)| value.is_object())
        {
            return Err(self.bad(
                "rope_parameters",
                "differ by kind of layer, which this family does not know",
            ));
        }
        let theta = match &newer {
            Some(parameters) => parameters.positive("rope_theta")?,
            None => None,
        };
        let theta = match theta {
            Some(theta) => theta,
            None => self.fields.positive("rope_theta")?.unwrap_or(usual),
        };
        let scaling = match newer {
            Some(parameters) => Some(parameters),
            None => self.fields.object("rope_scaling")?,
        };
        let scaling = match scaling {
            Some(parameters) => RopeScaling::read(&self.fields, &parameters)?,
            None => RopeScaling::Default,
        };
        Ok(RopeConfig { theta, scaling })
    }

    /// What `rope_parameters` say of layers of one kind, where they differ by kind.
    pub(crate) fn rope_of(&self, kind: &str, theta: f64) -> Result<Option<RopeConfig>> {
        let all = self.fields.object("rope_parameters")?;
        let Some(own) = all.map(|all| all.object(kind)).transpose()?.flatten() else {
            return Ok(None);
        };
        let theta = own.positive("rope_theta")?.unwrap_or(theta);
        let scaling = RopeScaling::read(&self.fields, &own)?;
        Ok(Some(RopeConfig { theta, scaling }))
    }

    /// An error about one of the fields.
    ///
    /// ```
    /// use olivine_lm::ModelConfig;
    /// let config = ModelConfig::parse("config.json".as_ref(), r#"{"model_type": "llama"}"#)?;
    /// assert_eq!(config.bad("n_head", "is odd").to_string(), "config.json: field `n_head` is odd");
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn bad(&self, field: &str, problem: impl Into<String>) -> Error {
        self.fields.bad(field, problem)
    }

    /// The size of each of `heads` heads where the file does not say it.
    pub(crate) fn head_dim(&self, own: Option<usize>, width: usize, heads: usize) -> Result<usize> {
        let size = match own {
            Some(size) => size,
            None if heads > 0 && width.is_multiple_of(heads) => width / heads,
            None => {
                return Err(self.bad(
                    "num_attention_heads",
                    format!("is {heads}, which does not divide hidden_size = {width}, and there is no head_dim"),
                ));
            }
        };
        if !size.is_multiple_of(2) {
            let problem = format!("is {size}; rotary embeddings need an even number");
            return Err(self.bad("head_dim", problem));
        }
        Ok(size)
    }

    /// How positions turn the first `dims` elements of each head; `theta` is the usual base.
    pub(crate) fn turns(&self, dims: usize, theta: f64, traditional: bool) -> Result<Rope> {
        let RopeConfig { theta, scaling } = self.rope_or(theta)?;
        Ok(Rope::new(dims, theta, traditional, &scaling)?)
    }

    /// The number of elements of a head that turn, where only a part does: what `rope_parameters` or
    /// `partial_rotary_factor` say, or else the usual part; without one they have to say it.
    pub(crate) fn turned(&self, head_dim: usize, usual: Option<f64>) -> Result<usize> {
        const FIELD: &str = "partial_rotary_factor";
        let newer = match self.fields.object("rope_parameters")? {
            Some(parameters) => parameters.positive(FIELD)?,
            None => None,
        };
        let part = match newer {
            Some(part) => part,
            None => {
                let own = self.fields.positive(FIELD)?;
                self.fields.required(FIELD, own.or(usual))?
            }
        };
        let dims = (head_dim as f64 * part) as usize;
        if dims == 0 || dims > head_dim || !dims.is_multiple_of(2) {
            let problem = format!("makes {dims} of {head_dim} elements turn; they must be pairs");
            return Err(self.bad(FIELD, problem));
        }
        Ok(dims)
    }

    /// The activation of that name.
    pub(crate) fn activation(&self, name: &str) -> Result<olivine_nn::Activation> {
        use olivine_nn::Activation;
        Ok(match name {
            "silu" | "swish" => Activation::Silu,
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            _ => {
                let supported = "silu, gelu, gelu_new, gelu_pytorch_tanh, relu";
                return Err(self.fields.unsupported("hidden_act", supported));
            }
        })
    }

    /// A short name by which files know that they belong to a model of this configuration: a hash
    /// of its fields.
    ///
    /// ```
    /// use olivine_lm::ModelConfig;
    /// let config = |text| ModelConfig::parse("config.json".as_ref(), text);
    /// let (one, other) = (config(r#"{"model_type": "llama"}"#)?, config(r#"{"model_type": "mistral"}"#)?);
    /// assert_ne!(one.fingerprint(), other.fingerprint());
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn fingerprint(&self) -> String {
        let mut fields: Vec<String> = self
            .fields
            .entries()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        fields.sort_unstable();
        // FNV-1a, which is the same on every machine and in every version.
        let hash = fields
            .join("\n")
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
            });
        format!("{}-{hash:016x}", self.model_type)
    }

    pub(crate) fn fields(&self) -> &Object {
        &self.fields
    }

    /// The fields as the file has them.
    pub(crate) fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        self.fields
            .entries()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }
}

/// Refuses sizes of zero, numbers beyond any model and heads that cannot be shared, wherever they are.
fn check_numbers(object: &Object) -> Result<()> {
    let number = |name: &str| object.get(name).and_then(serde_json::Value::as_u64);
    if let (Some(heads), Some(shared)) =
        (number("num_attention_heads"), number("num_key_value_heads"))
        && shared > 0
        && !heads.is_multiple_of(shared)
    {
        let problem = format!("is {shared}, which does not divide num_attention_heads = {heads}");
        return Err(object.bad("num_key_value_heads", problem));
    }
    for (name, value) in object.entries() {
        if let Some(number) = value.as_u64() {
            let size = ["_size", "_dim", "_heads", "_layers", "_rank", "_experts"];
            let limit = if size.iter().any(|end| name.ends_with(end)) {
                MAX_SIZE
            } else {
                MAX_NUMBER
            };
            if number > limit {
                return Err(object.bad(name, format!("is {number}; at most {limit} makes sense")));
            }
            if number == 0 && NEVER_ZERO.contains(&name) {
                return Err(object.bad(name, "must not be zero"));
            }
        }
        if (name.ends_with("_eps") || name.ends_with("_epsilon")) && value.is_number() {
            object.positive(name)?;
        }
        if value.is_object()
            && let Some(inner) = object.object(name)?
        {
            check_numbers(&inner)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
