//! Owns the model families: one file each, named by `model_type`.

mod cohere2;
mod deepseek_v2;
mod deepseek_v3;
mod ernie4_5_moe;
mod gemma;
mod gemma2;
mod gemma3_text;
mod gemma3n;
mod glm4;
mod glm4_moe;
mod gpt2;
mod gpt_neox;
mod gpt_oss;
mod granite;
mod internlm3;
mod lfm2;
pub mod llama;
mod llama4_text;
mod mamba2;
mod minicpm3;
mod mixtral;
mod nemotron_h;
mod olmo2;
mod olmoe;
mod phi;
mod phi3;
mod qwen2;
mod qwen2_moe;
mod qwen3;
mod qwen3_moe;
mod qwen3_next;
mod smollm3;
mod stablelm;
mod starcoder2;

use olivine_core::Array;
use olivine_nn::Module;

use crate::{Cache, Change, Error, ModelConfig, ModelFolder, Result, Sequences, Weights};

/// What `config.json` means where it does not speak of a switch that is usually on.
fn yes() -> bool {
    true
}

/// What is usually added to a mean square before its root is taken.
fn eps() -> f64 {
    1e-6
}

/// A decoder-only language model.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::{ModelFolder, Sequences, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let model = models::load(&ModelFolder::open(path)?)?;
/// let hidden = model.hidden(&array!([[1, 2, 3]]), &mut Sequences::forgotten())?;
/// assert_eq!(model.logits(&hidden)?.shape().dims(), &[1, 3, 2048]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LanguageModel: Module + Send + Sync {
    /// The final hidden states (batch, tokens, width) of `tokens` (batch, tokens).
    ///
    /// Where the sequences have caches, the tokens follow those seen before. Where only the last tokens are
    /// [wanted](Sequences::wanting), others may be left out.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{ModelFolder, Sequences, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let tokens = array!([[1, 2, 3, 4]]);
    /// let whole = model.hidden(&tokens, &mut Sequences::forgotten())?;
    /// // The same in two parts, the second of which remembers the first.
    /// let mut caches = model.caches();
    /// model.hidden(&tokens.index((.., ..2))?, &mut Sequences::one(&mut caches))?;
    /// let rest = model.hidden(&tokens.index((.., 2..))?, &mut Sequences::one(&mut caches))?;
    /// assert_eq!(rest.shape(), whole.index((.., 2..))?.shape());
    /// assert_eq!(caches[0].len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn hidden(&self, tokens: &Array, sequences: &mut Sequences<'_>) -> Result<Array>;

    /// The scores of every token of the vocabulary, from hidden states.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{ModelFolder, Sequences, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let hidden = model.hidden(&array!([[1, 2, 3]]), &mut Sequences::forgotten())?;
    /// // The scores of the last position only.
    /// let last = hidden.index((.., -1))?;
    /// assert_eq!(model.logits(&last)?.shape().dims(), &[1, 2048]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn logits(&self, hidden: &Array) -> Result<Array>;

    /// Fresh caches for one sequence: one for each layer that remembers something.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// assert_eq!(model.caches().len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn caches(&self) -> Vec<Cache>;

    /// The number of tokens that can be given.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// assert_eq!(model.vocab_size(), 2048);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn vocab_size(&self) -> usize;
}

/// A model family: the `model_type`s it serves and how its models are built.
///
/// Every file in this folder makes its own known, and so can any other crate:
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{Family, ModelConfig, Weights, models::llama::Llama};
/// olivine_lm::family! {
///     Family::new(&["mine"], |config: &ModelConfig, weights: &Weights| {
///         Ok(Box::new(Llama::new(config, weights)?))
///     })
/// }
/// # fn main() {
/// assert!(olivine_lm::supported_model_types().contains(&"mine"));
/// # }
/// ```
pub struct Family {
    model_types: &'static [&'static str],
    build: fn(&ModelConfig, &Weights) -> Result<Box<dyn LanguageModel>>,
}

impl Family {
    /// A family of the given names and constructor.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Family, models::llama::Llama};
    /// const LIKE_LLAMA: Family = Family::new(&["mine"], |config, weights| {
    ///     Ok(Box::new(Llama::new(config, weights)?))
    /// });
    /// ```
    pub const fn new(
        model_types: &'static [&'static str],
        build: fn(&ModelConfig, &Weights) -> Result<Box<dyn LanguageModel>>,
    ) -> Self {
        Family { model_types, build }
    }
}

inventory::collect!(Family);

#[doc(hidden)]
pub use inventory::submit;

/// Makes a [`Family`] known, so that its models can be loaded.
#[macro_export]
macro_rules! family {
    ($family:expr) => {
        $crate::models::submit! { $family }
    };
}

fn family(model_type: &str) -> Option<&'static Family> {
    inventory::iter::<Family>
        .into_iter()
        .find(|family| family.model_types.contains(&model_type))
}

pub(crate) fn is_supported(model_type: &str) -> bool {
    family(model_type).is_some()
}

/// Every `model_type` that can be loaded, in alphabetical order.
///
/// ```
/// assert!(olivine_lm::supported_model_types().contains(&"llama"));
/// ```
pub fn supported_model_types() -> Vec<&'static str> {
    let families = inventory::iter::<Family>.into_iter();
    let mut names: Vec<&str> = families
        .flat_map(|family| family.model_types)
        .copied()
        .collect();
    names.sort_unstable();
    names
}

/// Builds the model that a configuration describes from weights, all of which it has to use.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, Weights, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let model = models::build(&folder.config()?, &Weights::random())?;
/// assert_eq!(model.caches().len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn build(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    let family = family(&config.model_type).ok_or_else(|| Error::UnsupportedArchitecture {
        path: weights.path().to_owned(),
        found: config.model_type.clone(),
        supported: supported_model_types(),
    })?;
    (family.build)(config, weights)
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
/// let model = models::load(&ModelFolder::open(path)?)?;
/// assert!(model.num_parameters() > 2_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(folder: &ModelFolder) -> Result<Box<dyn LanguageModel>> {
    Ok(load_changed(folder, Change::default())?.0)
}

/// As [`load`], with weights packed, unpacked or cast on their way; also returns the weights,
/// which know how layers came to be packed.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::quantized::Quantization;
/// use olivine_lm::{Change, ModelFolder, Recipe, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let change = Change { quantize: Some(Recipe::uniform(Quantization::default())), ..Change::default() };
/// let (_model, weights) = models::load_changed(&ModelFolder::open(path)?, change)?;
/// assert_eq!(weights.packing().unwrap().default.bits(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_changed(
    folder: &ModelFolder,
    change: Change,
) -> Result<(Box<dyn LanguageModel>, Weights)> {
    let config = folder.config()?;
    let weights = Weights::new(folder.path(), folder.tensors()?).packed_by(config.foreign);
    let weights = match &config.quantization {
        Some(packing) => weights.packed_as(packing.clone()),
        None => weights,
    };
    let dtype = change.dtype.or(folder.usual_dtype(&config));
    let activations = folder.activations();
    let weights = weights.changed(Change {
        dtype,
        activations,
        ..change
    });
    // Some exports carry what every model computes.
    let weights =
        weights.renamed(|name| (!name.ends_with("rotary_emb.inv_freq")).then(|| name.to_owned()));
    Ok((build(&config, &weights)?, weights))
}
