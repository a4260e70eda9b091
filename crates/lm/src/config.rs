//! Owns `config.json`: the shape of a model, checked before a single weight is read.

use std::path::Path;

use crate::error::{Error, Result};
use crate::json::Object;
use crate::models::SUPPORTED_MODEL_TYPES;

// Beyond these a file is damaged or hostile: an order of magnitude above the largest published models.
const MAX_WIDTH: usize = 1 << 20;
const MAX_LAYERS: usize = 4096;
const MAX_VOCABULARY: usize = 1 << 24;
const MAX_POSITIONS: usize = 1 << 31;
const MAX_PARAMETERS: u128 = 1 << 43;

/// The architecture of a model of the Llama family, as its `config.json` describes it.
///
/// Field names are those of the file. Values are validated: no size is zero, head counts
/// divide, and the parameter count fits any machine's address space.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let config: olivine_lm::ModelConfig = folder.config()?;
/// assert_eq!((config.num_hidden_layers, config.vocab_size), (4, 2048));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the fields are those of the file, independent of each other"
)]
pub struct ModelConfig {
    /// The architecture's name, one of [`SUPPORTED_MODEL_TYPES`].
    pub model_type: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of transformer blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head; even, as rotary embeddings need pairs.
    pub head_dim: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Number of rows of the embedding table.
    pub vocab_size: usize,
    /// Added to the mean square in RMS normalisation.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How rotary frequencies are stretched to longer contexts.
    pub rope_scaling: RopeScaling,
    /// Rotates neighbouring pairs instead of the two halves of a head.
    pub rope_traditional: bool,
    /// The output projection is the embedding table.
    pub tie_word_embeddings: bool,
    /// The attention projections have biases.
    pub attention_bias: bool,
    /// The feed-forward projections have biases.
    pub mlp_bias: bool,
    /// Longest context the model was trained for, in tokens.
    pub max_position_embeddings: usize,
    /// Number of latest tokens a query can see, or all of them.
    pub sliding_window: Option<usize>,
    /// The dtype the weights were trained in, as the file spells it.
    pub dtype: Option<String>,
    /// Token prepended to a text.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
}

/// How rotary frequencies are adapted to a context longer than the pre-training's.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// assert_eq!(folder.config()?.rope_scaling, olivine_lm::RopeScaling::Default);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum RopeScaling {
    /// Frequencies are used as they are.
    #[default]
    Default,
    /// Positions are divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low frequencies are divided by `factor`, high ones kept, those between blended (Llama 3.1).
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are stretched.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length of the pre-training, in tokens.
        original_max_position_embeddings: usize,
    },
}

impl ModelConfig {
    /// Parses and validates the text of a `config.json`; `path` appears in errors.
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
        if !SUPPORTED_MODEL_TYPES.contains(&model_type) {
            return Err(Error::UnsupportedArchitecture {
                path: path.to_owned(),
                found: model_type.chars().take(40).collect(),
                supported: SUPPORTED_MODEL_TYPES,
            });
        }
        refuse_unsupported(&object)?;

        let required = |field: &str, limit| object.required(field, object.size(field, limit)?);
        let hidden_size = required("hidden_size", MAX_WIDTH)?;
        let num_attention_heads = required("num_attention_heads", MAX_WIDTH)?;
        let num_key_value_heads = object
            .size("num_key_value_heads", MAX_WIDTH)?
            .unwrap_or(num_attention_heads);
        if num_attention_heads % num_key_value_heads != 0 {
            return Err(object.bad(
                "num_key_value_heads",
                format!("is {num_key_value_heads}, which does not divide num_attention_heads = {num_attention_heads}"),
            ));
        }
        let head_dim = match object.size("head_dim", MAX_WIDTH)? {
            Some(size) => size,
            None if hidden_size % num_attention_heads == 0 => hidden_size / num_attention_heads,
            None => {
                return Err(object.bad(
                    "num_attention_heads",
                    format!("is {num_attention_heads}, which does not divide hidden_size = {hidden_size}, and there is no head_dim"),
                ));
            }
        };
        if head_dim % 2 != 0 {
            return Err(object.bad(
                "head_dim",
                format!("is {head_dim}; rotary embeddings need an even number"),
            ));
        }
        let rope = Rope::read(&object)?;
        let dtype = match object.string("dtype")? {
            Some(name) => Some(name),
            None => object.string("torch_dtype")?,
        };
        let config = Self {
            model_type: model_type.to_owned(),
            hidden_size,
            num_hidden_layers: required("num_hidden_layers", MAX_LAYERS)?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            intermediate_size: required("intermediate_size", MAX_WIDTH)?,
            vocab_size: required("vocab_size", MAX_VOCABULARY)?,
            rms_norm_eps: object.positive("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: rope.theta,
            rope_scaling: rope.scaling,
            rope_traditional: object.bool("rope_traditional")?.unwrap_or(false),
            tie_word_embeddings: object.bool("tie_word_embeddings")?.unwrap_or(false),
            attention_bias: object.bool("attention_bias")?.unwrap_or(false),
            mlp_bias: object.bool("mlp_bias")?.unwrap_or(false),
            max_position_embeddings: object
                .size("max_position_embeddings", MAX_POSITIONS)?
                .unwrap_or(2048),
            sliding_window: object.size("sliding_window", MAX_POSITIONS)?,
            dtype: dtype.map(str::to_owned),
            bos_token_id: object.token_ids("bos_token_id")?.first().copied(),
            eos_token_ids: object.token_ids("eos_token_id")?,
        };
        let parameters = config.parameter_count();
        if parameters > MAX_PARAMETERS {
            return Err(object.bad(
                "num_hidden_layers",
                format!("and the widths make {parameters} parameters, more than any machine holds"),
            ));
        }
        Ok(config)
    }

    /// Counts the weights that this architecture has.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// // Between two and three million.
    /// assert_eq!(folder.config()?.parameter_count() / 1_000_000, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parameter_count(&self) -> u128 {
        let wide = |size: usize| size as u128;
        let hidden = wide(self.hidden_size);
        let queries = wide(self.num_attention_heads) * wide(self.head_dim);
        let keys = wide(self.num_key_value_heads) * wide(self.head_dim);
        let inner = wide(self.intermediate_size);
        let attention = 2 * hidden * queries + 2 * hidden * keys;
        let attention_bias = u128::from(self.attention_bias) * (queries + 2 * keys + hidden);
        let mlp = 3 * hidden * inner;
        let mlp_bias = u128::from(self.mlp_bias) * (2 * inner + hidden);
        let block = attention + attention_bias + mlp + mlp_bias + 2 * hidden;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        wide(self.num_hidden_layers) * block + tables * wide(self.vocab_size) * hidden + hidden
    }
}

/// Refuses what would otherwise be ignored and give wrong text.
fn refuse_unsupported(object: &Object) -> Result<()> {
    if let Some(activation) = object.string("hidden_act")?
        && !matches!(activation, "silu" | "swish")
    {
        return Err(object.unsupported("hidden_act", "silu"));
    }
    for field in ["quantization", "quantization_config"] {
        if object.get(field).is_some() {
            return Err(object.unsupported(field, "unquantized weights"));
        }
    }
    if let Some(layers) = object.get("layer_types") {
        let full = layers
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one == "full_attention"));
        if !full {
            return Err(object.unsupported("layer_types", "full_attention in every layer"));
        }
    }
    Ok(())
}

struct Rope {
    theta: f64,
    scaling: RopeScaling,
}

impl Rope {
    /// Reads `rope_theta` and `rope_scaling`, or the newer `rope_parameters` that holds both.
    fn read(object: &Object) -> Result<Self> {
        const DEFAULT_THETA: f64 = 10_000.0;
        let newer = object.object("rope_parameters")?;
        let theta = match &newer {
            Some(parameters) => parameters.positive("rope_theta")?,
            None => None,
        };
        let theta = match theta {
            Some(theta) => theta,
            None => object.positive("rope_theta")?.unwrap_or(DEFAULT_THETA),
        };
        let scaling = match newer {
            Some(parameters) => Some(parameters),
            None => object.object("rope_scaling")?,
        };
        let scaling = match scaling {
            Some(parameters) => Self::scaling(object, &parameters)?,
            None => RopeScaling::Default,
        };
        Ok(Self { theta, scaling })
    }

    fn scaling(config: &Object, scaling: &Object) -> Result<RopeScaling> {
        let field = if scaling.get("rope_type").is_some() {
            "rope_type"
        } else {
            "type"
        };
        let required = |name: &str| scaling.required(name, scaling.positive(name)?);
        match scaling.string(field)? {
            None if scaling.get("factor").is_none() => Ok(RopeScaling::Default),
            None => Err(scaling.bad("rope_type", "is missing")),
            Some("default") => Ok(RopeScaling::Default),
            Some("linear") => Ok(RopeScaling::Linear {
                factor: required("factor")?,
            }),
            Some("llama3") => {
                let low_freq_factor = required("low_freq_factor")?;
                let high_freq_factor = required("high_freq_factor")?;
                if high_freq_factor <= low_freq_factor {
                    return Err(scaling.bad(
                        "high_freq_factor",
                        format!("is {high_freq_factor}; must be above low_freq_factor = {low_freq_factor}"),
                    ));
                }
                let name = "original_max_position_embeddings";
                let original = match scaling.size(name, MAX_POSITIONS)? {
                    Some(length) => Some(length),
                    None => config.size(name, MAX_POSITIONS)?,
                };
                Ok(RopeScaling::Llama3 {
                    factor: required("factor")?,
                    low_freq_factor,
                    high_freq_factor,
                    original_max_position_embeddings: scaling.required(name, original)?,
                })
            }
            Some(_) => Err(scaling.unsupported(field, "default, linear, llama3")),
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
