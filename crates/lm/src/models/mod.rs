//! Owns the model families: one file each, named by `model_type`.

use olivine_core::Array;
use olivine_nn::{Module, Parameters};

use crate::{Error, KvCache, ModelConfig, ModelFolder, Result, WeightFile};

/// A decoder-only language model.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::{ModelFolder, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let model = models::load(&folder)?;
/// let hidden = model.hidden(&array!([[1, 2, 3]]), None)?;
/// assert_eq!(model.logits(&hidden)?.shape().dims(), &[1, 3, 2048]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LanguageModel: Module + Send + Sync {
    /// The final hidden states (batch, tokens, width) of `tokens` (batch, tokens).
    ///
    /// With caches, one for each layer, the tokens follow those seen before.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let model = models::load(&folder)?;
    /// use olivine_lm::KvCache;
    /// let tokens = array!([[1, 2, 3, 4]]);
    /// let whole = model.hidden(&tokens, None)?;
    /// // The same in two parts, the second of which remembers the first.
    /// let mut cache = vec![KvCache::new(); model.num_layers()];
    /// model.hidden(&tokens.index((.., ..2))?, Some(&mut cache))?;
    /// let rest = model.hidden(&tokens.index((.., 2..))?, Some(&mut cache))?;
    /// assert_eq!(rest.shape(), whole.index((.., 2..))?.shape());
    /// assert_eq!(cache[0].len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn hidden(&self, tokens: &Array, cache: Option<&mut [KvCache]>) -> Result<Array>;

    /// The scores of every token of the vocabulary, from hidden states.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let model = models::load(&folder)?;
    /// let hidden = model.hidden(&array!([[1, 2, 3]]), None)?;
    /// // The scores of the last position only.
    /// let last = hidden.index((.., -1))?;
    /// assert_eq!(model.logits(&last)?.shape().dims(), &[1, 2048]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn logits(&self, hidden: &Array) -> Result<Array>;

    /// The number of layers that keep a cache.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let model = models::load(&folder)?;
    /// assert_eq!(model.num_layers(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn num_layers(&self) -> usize;

    /// The number of tokens that can be given.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let model = models::load(&folder)?;
    /// assert_eq!(model.vocab_size(), 2048);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn vocab_size(&self) -> usize;
}

/// Declares the model files and which `model_type`s each serves.
macro_rules! models {
    ($($module:ident::$model:ident: $($model_type:literal)|+;)*) => {
        $(pub mod $module;)*

        /// Every `model_type` that can be loaded.
        pub const SUPPORTED_MODEL_TYPES: &[&str] = &[$($($model_type),+),*];

        /// Builds the model that a configuration describes, with random weights.
        ///
        /// ```
        /// # use olivine_cpu as _;
        /// use olivine_lm::ModelFolder;
        /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
        /// let folder = ModelFolder::open(path)?;
        /// let model = olivine_lm::models::build(&folder.config()?)?;
        /// assert_eq!(model.num_layers(), 4);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn build(config: &ModelConfig) -> Result<Box<dyn LanguageModel>> {
            match config.model_type.as_str() {
                $($($model_type)|+ => Ok(Box::new($module::$model::new(config)?)),)*
                other => Err(Error::UnsupportedArchitecture {
                    path: "config.json".into(),
                    found: other.to_owned(),
                    supported: SUPPORTED_MODEL_TYPES,
                }),
            }
        }
    };
}

models! {
    llama::Llama: "llama" | "mistral";
}

/// Loads a model folder's weights into the model its configuration describes.
///
/// Weights are mapped into memory and used where they lie.
///
/// # Errors
/// Whatever is wrong with the files; weights that are missing, unknown, or of the wrong shape.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let model = models::load(&folder)?;
/// assert_eq!(model.vocab_size(), folder.config()?.vocab_size);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(folder: &ModelFolder) -> Result<Box<dyn LanguageModel>> {
    let config = folder.config()?;
    let mut model = build(&config)?;
    let mut weights = Parameters::new();
    for file in folder.weights()?.files {
        let (path, tensors) = match file {
            WeightFile::Path(path) => {
                let tensors = olivine_io::load_safetensors(&path)?;
                (path, tensors)
            }
            WeightFile::Embedded(name, bytes) => (
                folder.path_of(name),
                olivine_io::SafeTensors::from_bytes(bytes)?,
            ),
        };
        for name in tensors.names() {
            // Some exports carry what the model computes, or a tied output table a second time.
            let derived = name.ends_with("rotary_emb.inv_freq")
                || (config.tie_word_embeddings && name == "lm_head.weight");
            if !derived {
                let weight = tensors.array(name)?;
                if !weight.dtype().is_inexact() {
                    let problem =
                        format!("{name} is {}; weights are floating-point", weight.dtype());
                    return Err(Error::Weights { path, problem });
                }
                weights.insert(name.to_owned(), weight);
            }
        }
    }
    model.load(&weights).map_err(|error| Error::Weights {
        path: folder.path().to_owned(),
        problem: error.to_string(),
    })?;
    Ok(model)
}
