//! Owns which weights of a model are packed, and how: what `config.json` says and what is asked for.

use std::{collections::BTreeMap, fmt, sync::Arc};

use olivine_core::quantized::{Quantization, QuantizationMode};
use serde_json::{Map, Value, json};

use crate::{Result, json::Object};

/// How the layers of a model are packed, as its `config.json` says.
///
/// ```
/// use olivine_lm::ModelConfig;
/// let text = r#"{"model_type": "llama", "quantization": {"group_size": 32, "bits": 8,
///     "model.layers.0.mlp.down_proj": {"group_size": 64, "bits": 4}}}"#;
/// let config = ModelConfig::parse("config.json".as_ref(), text)?;
/// let packing = config.quantization.unwrap();
/// assert_eq!(packing.of("lm_head").unwrap().bits(), 8);
/// assert_eq!(packing.of("model.layers.0.mlp.down_proj").unwrap().bits(), 4);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantizationConfig {
    /// How layers are packed that are not named.
    pub default: Quantization,
    /// How named layers are packed; `None` where they are not.
    pub layers: BTreeMap<String, Option<Quantization>>,
}

impl QuantizationConfig {
    /// One way for all layers.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// use olivine_lm::QuantizationConfig;
    /// assert!(QuantizationConfig::new(Quantization::default()).of("lm_head").is_some());
    /// ```
    pub fn new(default: Quantization) -> Self {
        QuantizationConfig {
            default,
            layers: BTreeMap::new(),
        }
    }

    /// How the layer of that name is packed, if it is.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// use olivine_lm::QuantizationConfig;
    /// let mut packing = QuantizationConfig::new(Quantization::default());
    /// packing.layers.insert("lm_head".to_owned(), None);
    /// assert!(packing.of("lm_head").is_none());
    /// ```
    pub fn of(&self, layer: &str) -> Option<Quantization> {
        self.layers
            .get(layer)
            .copied()
            .unwrap_or(Some(self.default))
    }

    pub(crate) fn read(object: &Object) -> Result<Self> {
        let default = scheme(object)?;
        let mut layers = BTreeMap::new();
        for (name, value) in object.entries() {
            match value {
                Value::Bool(false) => layers.insert(name.to_owned(), None),
                Value::Object(_) => {
                    let own = object.required(name, object.object(name)?)?;
                    layers.insert(name.to_owned(), Some(scheme(&own)?))
                }
                _ => None,
            };
        }
        Ok(QuantizationConfig { default, layers })
    }

    /// The object that `config.json` holds.
    pub(crate) fn to_json(&self) -> Value {
        let own = |scheme: Quantization| json!({"group_size": scheme.group_size(), "bits": scheme.bits(), "mode": scheme.mode().name()});
        let mut object: Map<String, Value> = match own(self.default) {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        for (name, scheme) in &self.layers {
            object.insert(name.clone(), scheme.map_or(Value::Bool(false), own));
        }
        Value::Object(object)
    }
}

fn scheme(object: &Object) -> Result<Quantization> {
    let mode = match object.string("mode")? {
        Some(name) => name
            .parse()
            .map_err(|error: olivine_core::Error| object.bad("mode", error.to_string()))?,
        None => QuantizationMode::Affine,
    };
    let size = |name: &str| object.size(name, 1 << 16);
    Quantization::new(mode, size("group_size")?, size("bits")?)
        .map_err(|error| object.bad("bits", error.to_string()))
}

type Choose = dyn Fn(&str, Quantization) -> Option<Quantization> + Send + Sync;

/// Decides which layers to pack: from a layer's name and shape to how.
///
/// ```
/// use olivine_core::quantized::Quantization;
/// use olivine_lm::Recipe;
/// // Everything that fits, except the output table.
/// let recipe = Recipe::new(Quantization::default(), |name, scheme| {
///     (name != "lm_head").then_some(scheme)
/// });
/// assert!(recipe.of("lm_head", 64).is_none());
/// assert!(recipe.of("model.layers.0.mlp.up_proj", 64).is_some());
/// assert!(recipe.of("model.layers.0.mlp.up_proj", 40).is_none()); // groups do not fill the rows
/// ```
#[derive(Clone)]
pub struct Recipe {
    default: Quantization,
    choose: Arc<Choose>,
}

impl Recipe {
    /// Packs as `choose` says, which gets a layer's name and the usual way.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// use olivine_lm::Recipe;
    /// let all = Recipe::new(Quantization::MXFP4, |_, scheme| Some(scheme));
    /// assert_eq!(all.of("lm_head", 64), Some(Quantization::MXFP4));
    /// ```
    pub fn new(
        default: Quantization,
        choose: impl Fn(&str, Quantization) -> Option<Quantization> + Send + Sync + 'static,
    ) -> Self {
        Recipe {
            default,
            choose: Arc::new(choose),
        }
    }

    /// Packs every layer whose rows groups fill.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// use olivine_lm::Recipe;
    /// assert!(Recipe::uniform(Quantization::default()).of("lm_head", 128).is_some());
    /// ```
    pub fn uniform(default: Quantization) -> Self {
        Self::new(default, |_, scheme| Some(scheme))
    }

    /// The usual way.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// use olivine_lm::Recipe;
    /// assert_eq!(Recipe::uniform(Quantization::NVFP4).default_scheme(), Quantization::NVFP4);
    /// ```
    pub fn default_scheme(&self) -> Quantization {
        self.default
    }

    /// How to pack the layer of that name, whose rows have so many numbers.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// use olivine_lm::Recipe;
    /// assert!(Recipe::uniform(Quantization::default()).of("lm_head", 100).is_none());
    /// ```
    pub fn of(&self, layer: &str, columns: usize) -> Option<Quantization> {
        (self.choose)(layer, self.default)
            .filter(|scheme| columns.is_multiple_of(scheme.group_size()))
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipe({:?})", self.default)
    }
}
