//! Owns the way of tensors into a model: from files or at random, checked, packed or unpacked.

mod layers;
mod matrices;
pub(crate) mod packed;

pub(crate) use packed::Foreign;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Display,
    path::{Path, PathBuf},
    rc::Rc,
};

use olivine_core::{
    Array, Dtype, Shape,
    quantized::{Activations, Quantization},
};

use crate::{Error, QuantizationConfig, Recipe, Result};

/// Where a model takes its layers from, by their names in weight files.
///
/// A constructor asks for layers of the sizes that the configuration says, and gets them plain or
/// packed, as the files have them or as a [`Recipe`] asks. So quantization is no concern of a
/// model's. Nothing is computed or copied here: tensors stay in their files until they are used.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_lm::Weights;
/// let tensors = [("head.weight".to_owned(), Array::ones([2, 4], Dtype::Float32)?)];
/// let weights = Weights::new("model.safetensors", tensors);
/// assert!(weights.linear("head", 4, 2, false).is_ok());
/// // The error says what the file has.
/// assert!(weights.linear("head", 5, 2, false).unwrap_err().to_string().contains("(2, 4)"));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Weights {
    shared: Rc<Shared>,
    prefix: String,
}

struct Shared {
    path: PathBuf,
    /// None makes random weights.
    tensors: Option<HashMap<String, Array>>,
    used: RefCell<BTreeSet<String>>,
    config: Option<QuantizationConfig>,
    /// How tensors are packed that have another layout than MLX's.
    foreign: Option<packed::Foreign>,
    change: Change,
    /// How layers were packed, by name.
    packed: Rc<RefCell<BTreeMap<String, Option<Quantization>>>>,
}

/// What is done with weights on their way.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Packs plain weights.
    pub quantize: Option<Recipe>,
    /// Unpacks packed weights.
    pub dequantize: bool,
    /// Takes weights that are packed as MLX cannot read them for plain ones: groups of 16 of GGUF files.
    pub for_mlx: bool,
    /// Casts floating-point weights, scales and biases included.
    pub dtype: Option<Dtype>,
    /// What packed weights are to be multiplied with.
    pub activations: Activations,
}

impl Weights {
    /// The named tensors; `path` appears in errors.
    ///
    /// ```
    /// use olivine_lm::Weights;
    /// assert!(!Weights::new("model.safetensors", []).has("weight"));
    /// ```
    pub fn new(
        path: impl Into<PathBuf>,
        tensors: impl IntoIterator<Item = (String, Array)>,
    ) -> Self {
        Self::made(path.into(), Some(tensors.into_iter().collect()))
    }

    /// New weights of every size that is asked for, as a fresh layer has them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// let layer = olivine_lm::Weights::random().linear("up_proj", 4, 8, true);
    /// assert!(layer.is_ok());
    /// ```
    pub fn random() -> Self {
        Self::made("random weights".into(), None)
    }

    fn made(path: PathBuf, tensors: Option<HashMap<String, Array>>) -> Self {
        let shared = Shared {
            path,
            tensors,
            used: RefCell::default(),
            config: None,
            foreign: None,
            change: Change::default(),
            packed: Rc::default(),
        };
        Weights {
            shared: Rc::new(shared),
            prefix: String::new(),
        }
    }

    fn with(self, edit: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Rc::try_unwrap(self.shared).unwrap_or_else(|shared| Shared {
            path: shared.path.clone(),
            tensors: shared.tensors.clone(),
            used: shared.used.clone(),
            config: shared.config.clone(),
            foreign: shared.foreign,
            change: shared.change.clone(),
            packed: Rc::clone(&shared.packed),
        });
        edit(&mut shared);
        Weights {
            shared: Rc::new(shared),
            prefix: self.prefix,
        }
    }

    /// The same weights, packed as a configuration says.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// use olivine_lm::{QuantizationConfig, Weights};
    /// use olivine_nn::Module;
    /// let packed = Array::ones([2, 64], Dtype::Float32)?.quantize(Quantization::default(), None)?;
    /// let weights = Weights::new("model.safetensors", [
    ///     ("head.weight".to_owned(), packed.codes),
    ///     ("head.scales".to_owned(), packed.scales),
    ///     ("head.biases".to_owned(), packed.biases.unwrap()),
    /// ]);
    /// let weights = weights.packed_as(QuantizationConfig::new(Quantization::default()));
    /// assert_eq!(weights.linear("head", 64, 2, false)?.parameters().len(), 3);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn packed_as(self, config: QuantizationConfig) -> Self {
        self.with(|shared| shared.config = Some(config))
    }

    /// The same weights, packed as other tools do.
    pub(crate) fn packed_by(self, foreign: Option<packed::Foreign>) -> Self {
        self.with(|shared| shared.foreign = foreign)
    }

    /// The same weights, changed on their way.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, quantized::Quantization};
    /// use olivine_lm::{Change, Recipe, Weights};
    /// use olivine_nn::Module;
    /// let change = Change { quantize: Some(Recipe::uniform(Quantization::MXFP8)), ..Change::default() };
    /// let layer = Weights::random().changed(change).linear("up_proj", 64, 8, false)?;
    /// assert!(layer.parameters().contains_key("scales"));
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn changed(self, change: Change) -> Self {
        self.with(|shared| shared.change = change)
    }

    /// The same tensors under other names; without a name a tensor is left out.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::Weights;
    /// let weights = Weights::new("model.safetensors", [("old.w".to_owned(), array!([1.0]))]);
    /// let weights = weights.renamed(|name| Some(name.replace("old", "new")));
    /// assert!(weights.has("new.w"));
    /// ```
    pub fn renamed(&self, rename: impl Fn(&str) -> Option<String>) -> Self {
        self.clone().with(|shared| {
            if let Some(tensors) = shared.tensors.take() {
                let named = tensors.into_iter();
                shared.tensors = Some(
                    named
                        .filter_map(|(name, value)| Some((rename(&name)?, value)))
                        .collect(),
                );
            }
        })
    }

    /// The same tensors with those changed that `change` gives another value for.
    pub(crate) fn edited(
        &self,
        change: impl Fn(&str, &Array) -> olivine_core::Result<Option<Array>>,
    ) -> Result<Self> {
        let mut result = Ok(());
        let edited = self.clone().with(|shared| {
            for (name, value) in shared.tensors.iter_mut().flatten() {
                match change(name, value) {
                    Ok(Some(other)) => *value = other,
                    Ok(None) => {}
                    Err(error) => result = Err(error),
                }
            }
        });
        result?;
        Ok(edited)
    }

    /// The same tensors and others, which take the place of those of the same names.
    pub(crate) fn and(&self, more: impl IntoIterator<Item = (String, Array)>) -> Self {
        self.clone().with(|shared| {
            if let Some(tensors) = &mut shared.tensors {
                tensors.extend(more);
            }
        })
    }

    /// The full names of the tensors of this part.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.shared.tensors.iter().flat_map(HashMap::keys);
        names
            .filter(|name| name.starts_with(&self.prefix))
            .cloned()
            .collect()
    }

    /// The part under a name.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::Weights;
    /// let weights = Weights::new("model.safetensors", [("layers.0.w".to_owned(), array!([1.0]))]);
    /// assert!(weights.at("layers").at(0).has("w"));
    /// ```
    pub fn at(&self, name: impl Display) -> Self {
        Weights {
            shared: Rc::clone(&self.shared),
            prefix: self.name(name),
        }
    }

    /// The full name of a tensor or layer of this part.
    pub(crate) fn name(&self, name: impl Display) -> String {
        let name = name.to_string();
        if name.is_empty() {
            self.prefix.clone()
        } else {
            olivine_nn::module::join(&self.prefix, &name)
        }
    }

    /// Whether weights are made at random.
    pub(crate) fn is_random(&self) -> bool {
        self.shared.tensors.is_none()
    }

    /// Whether there is a tensor of that name.
    ///
    /// ```
    /// use olivine_lm::Weights;
    /// assert!(!Weights::random().has("bias"));
    /// ```
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// An error about these weights.
    ///
    /// ```
    /// use olivine_lm::Weights;
    /// let error = Weights::random().bad("are too heavy");
    /// assert!(error.to_string().ends_with("are too heavy"));
    /// ```
    pub fn bad(&self, problem: impl Into<String>) -> Error {
        Error::Weights {
            path: self.shared.path.clone(),
            problem: problem.into(),
        }
    }

    /// The file or folder they come from.
    pub(crate) fn path(&self) -> &Path {
        &self.shared.path
    }

    fn find(&self, name: &str) -> Option<&Array> {
        self.shared.tensors.as_ref()?.get(&self.name(name))
    }

    /// Takes note that the tensors under a name are known, though nobody takes them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::Weights;
    /// let weights = Weights::new("model.safetensors", [("rope.freqs".to_owned(), array!([1.0]))]);
    /// weights.ignore("rope");
    /// assert!(weights.finish().is_ok());
    /// ```
    pub fn ignore(&self, name: &str) {
        let prefix = self.name(name);
        let Some(tensors) = &self.shared.tensors else {
            return;
        };
        let mut used = self.shared.used.borrow_mut();
        let under = |other: &&String| {
            let rest = other.strip_prefix(&prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        used.extend(tensors.keys().filter(under).cloned());
    }

    /// Checks that every tensor has been taken.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::Weights;
    /// let weights = Weights::new("model.safetensors", [("extra".to_owned(), array!([1.0]))]);
    /// assert!(weights.finish().unwrap_err().to_string().contains("extra"));
    /// ```
    pub fn finish(&self) -> Result<()> {
        let Some(tensors) = &self.shared.tensors else {
            return Ok(());
        };
        let used = self.shared.used.borrow();
        let mut unknown: Vec<&str> = tensors
            .keys()
            .filter(|name| !used.contains(*name))
            .map(String::as_str)
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        let (count, first) = (unknown.len(), unknown[..unknown.len().min(3)].join(", "));
        let dots = if count > 3 { ", …" } else { "" };
        Err(self.bad(format!(
            "{count} tensors are not part of the model: {first}{dots}"
        )))
    }

    /// How the layers taken so far are packed; none if no layer is.
    ///
    /// ```
    /// assert!(olivine_lm::Weights::random().packing().is_none());
    /// ```
    pub fn packing(&self) -> Option<QuantizationConfig> {
        let packed = self.shared.packed.borrow();
        let change = self
            .shared
            .change
            .quantize
            .as_ref()
            .map(Recipe::default_scheme);
        let own = self.shared.config.as_ref().map(|config| config.default);
        let own = own.filter(|own| packed.values().flatten().any(|scheme| scheme == own));
        let default = change
            .or(own)
            .or_else(|| packed.values().flatten().next().copied())?;
        if packed.values().all(Option::is_none) {
            return None;
        }
        let different = packed
            .iter()
            .filter(|(_, scheme)| scheme.is_some_and(|own| own != default));
        let layers = different
            .map(|(name, scheme)| (name.clone(), *scheme))
            .collect();
        Some(QuantizationConfig { default, layers })
    }

    /// A tensor of any shape, if it is there.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::Weights;
    /// let weights = Weights::new("model.safetensors", [("sinks".to_owned(), array!([1.0]))]);
    /// assert!(weights.any("sinks").is_some() && weights.any("bias").is_none());
    /// ```
    pub fn any(&self, name: &str) -> Option<Array> {
        let found = self.find(name)?.clone();
        self.shared.used.borrow_mut().insert(self.name(name));
        Some(found)
    }

    /// A floating-point tensor of the given shape; `fresh` makes it where weights are random.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::Weights;
    /// let fresh = Weights::random().tensor("sinks", [4], &|shape| Array::zeros(shape, Dtype::Float32))?;
    /// assert_eq!(fresh.shape().dims(), &[4]);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn tensor(
        &self,
        name: &str,
        shape: impl Into<Shape>,
        fresh: &dyn Fn(Shape) -> olivine_core::Result<Array>,
    ) -> Result<Array> {
        let value = self.uncast(name, shape.into(), fresh)?;
        self.cast(value)
    }

    fn uncast(
        &self,
        name: &str,
        shape: Shape,
        fresh: &dyn Fn(Shape) -> olivine_core::Result<Array>,
    ) -> Result<Array> {
        if self.is_random() {
            Ok(fresh(shape)?)
        } else {
            let Some(found) = self.any(name) else {
                return Err(self.bad(format!("{} is missing", self.name(name))));
            };
            if found.shape() != &shape {
                let (name, own) = (self.name(name), found.shape());
                return Err(self.bad(format!(
                    "{name} has shape {own}, the configuration says {shape}"
                )));
            }
            if !found.dtype().is_inexact() {
                let (name, dtype) = (self.name(name), found.dtype());
                return Err(self.bad(format!("{name} is {dtype}; weights are floating-point")));
            }
            Ok(found)
        }
    }

    fn cast(&self, value: Array) -> Result<Array> {
        match self.shared.change.dtype {
            Some(dtype) if value.dtype().is_float() => Ok(value.astype(dtype)?),
            _ => Ok(value),
        }
    }
}
