//! Owns what is remembered of a prompt between generations, in memory and in files.

use std::path::Path;

use olivine_core::{
    Array,
    quantized::{Quantization, QuantizationMode},
};
use olivine_io::{Metadata, load_safetensors, save_safetensors};
use serde::{Deserialize, Serialize};

use crate::{Cache, Error, KvCache, Reach, Result, StateCache, generate::truncate};

/// What a model remembers of some tokens.
///
/// A prompt that begins with the same tokens need not be read from its start. Keys and values can
/// go back to any of the tokens, unless they have left a window; states go back to checkpoints.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::PromptCache;
/// let cache = PromptCache::new(vec![1, 2, 3], Vec::new());
/// assert_eq!(cache.common(&[1, 2, 9]), 2);
/// ```
#[derive(Clone, Default)]
pub struct PromptCache {
    tokens: Vec<u32>,
    pub(crate) caches: Vec<Cache>,
    /// What was remembered of the first so many tokens.
    checkpoints: Vec<(usize, Vec<Cache>)>,
}

impl PromptCache {
    /// What `caches` remember of `tokens`.
    ///
    /// ```
    /// use olivine_lm::PromptCache;
    /// assert_eq!(PromptCache::new(vec![7], Vec::new()).tokens(), &[7]);
    /// ```
    pub fn new(tokens: Vec<u32>, caches: Vec<Cache>) -> Self {
        PromptCache {
            tokens,
            caches,
            checkpoints: Vec::new(),
        }
    }

    /// The tokens that are remembered.
    ///
    /// ```
    /// assert!(olivine_lm::PromptCache::default().tokens().is_empty());
    /// ```
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The number of tokens at the start that are the same.
    ///
    /// ```
    /// use olivine_lm::PromptCache;
    /// assert_eq!(PromptCache::new(vec![1, 2, 3], Vec::new()).common(&[2]), 0);
    /// ```
    pub fn common(&self, tokens: &[u32]) -> usize {
        self.tokens
            .iter()
            .zip(tokens)
            .take_while(|(a, b)| a == b)
            .count()
    }

    /// Remembers the present state, to come back to it: for models that cannot go back to any
    /// token.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::PromptCache;
    /// let mut cache = PromptCache::new(vec![1, 2], Vec::new());
    /// cache.checkpoint();
    /// assert_eq!(cache.rewind(2), Some(2));
    /// ```
    pub fn checkpoint(&mut self) {
        self.checkpoints
            .push((self.tokens.len(), self.caches.clone()));
    }

    /// Goes back to the first `len` tokens, or to a checkpoint before; returns to how many, or
    /// none if it can only start anew.
    ///
    /// ```
    /// use olivine_lm::PromptCache;
    /// let mut cache = PromptCache::new(vec![1, 2, 3], Vec::new());
    /// assert_eq!(cache.rewind(2), Some(2));
    /// assert_eq!(cache.tokens(), &[1, 2]);
    /// ```
    pub fn rewind(&mut self, len: usize) -> Option<usize> {
        let len = len.min(self.tokens.len());
        if len == 0 {
            return None;
        }
        if !truncate(&mut self.caches, len) {
            let found = self.checkpoints.iter().rev().find(|(at, _)| *at <= len)?;
            let (at, caches) = (found.0, found.1.clone());
            self.caches = caches;
            self.tokens.truncate(at);
            self.checkpoints.retain(|(other, _)| *other <= at);
            return Some(at);
        }
        self.tokens.truncate(len);
        self.checkpoints.retain(|(at, _)| *at <= len);
        Some(len)
    }

    /// The bytes of memory it takes.
    ///
    /// ```
    /// assert_eq!(olivine_lm::PromptCache::default().bytes(), 0);
    /// ```
    pub fn bytes(&self) -> usize {
        self.caches.iter().map(Cache::bytes).sum()
    }

    /// Writes it to a file, which appears whole or not at all. `model` is a name by which
    /// [`PromptCache::load`] knows that the cache is one of the same model.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, ModelFolder, PromptCache, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// # let place = tempfile::tempdir()?;
    /// # let file = place.path().join("prompt.safetensors");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut generator = Generator::new(&*model, &[5, 6, 7], SamplerOptions::greedy())?;
    /// generator.prefill(&mut |_, _| true)?;
    /// generator.into_cache().save(&file, "stories")?;
    /// assert_eq!(PromptCache::load(&file, "stories", model.caches())?.tokens(), &[5, 6]);
    /// assert!(PromptCache::load(&file, "novels", model.caches()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>, model: &str) -> Result<()> {
        let mut arrays = Vec::new();
        let mut layers = Vec::new();
        for (number, cache) in self.caches.iter().enumerate() {
            layers.push(describe(cache, &number.to_string(), &mut arrays)?);
        }
        let failed = "numbers and strings have no cause to fail";
        let metadata = Metadata::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("model".to_owned(), model.to_owned()),
            (
                "tokens".to_owned(),
                serde_json::to_string(&self.tokens).expect(failed),
            ),
            (
                "layers".to_owned(),
                serde_json::to_string(&layers).expect(failed),
            ),
        ]);
        Ok(save_safetensors(path, arrays, &metadata)?)
    }

    /// Reads a file that [`PromptCache::save`] has written; `fresh` are new caches of the model.
    ///
    /// # Errors
    /// A file of another kind or of another model.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::PromptCache;
    /// assert!(PromptCache::load("/nowhere", "stories", Vec::new()).is_err());
    /// ```
    pub fn load(path: impl AsRef<Path>, model: &str, fresh: Vec<Cache>) -> Result<Self> {
        let path = path.as_ref();
        let wrong = |problem: String| Error::PromptCache {
            path: path.to_owned(),
            problem,
        };
        let file = load_safetensors(path)?;
        let field = |name: &str| file.metadata().get(name).map(String::as_str);
        if field("format") != Some(FORMAT) {
            return Err(wrong("is not a prompt cache".to_owned()));
        }
        if let Some(other) = field("model").filter(|other| *other != model) {
            return Err(wrong(format!(
                "belongs to the model {other}, not to {model}"
            )));
        }
        let text = |name: &str| field(name).ok_or_else(|| wrong(format!("has no {name}")));
        let bad = |error: serde_json::Error| wrong(format!("is damaged: {error}"));
        let tokens: Vec<u32> = serde_json::from_str(text("tokens")?).map_err(bad)?;
        let layers: Vec<Layer> = serde_json::from_str(text("layers")?).map_err(bad)?;
        if layers.len() != fresh.len() {
            let problem = format!("has {} layers, the model {}", layers.len(), fresh.len());
            return Err(wrong(problem));
        }
        let mut caches = Vec::with_capacity(layers.len());
        for (number, (layer, fresh)) in layers.iter().zip(fresh).enumerate() {
            let read = |name: &str| file.array(name).ok();
            let cache = rebuild(layer, &number.to_string(), &fresh, &read);
            let cache = cache.filter(|cache| cache.len() == tokens.len() || cache.is_empty());
            caches.push(
                cache.ok_or_else(|| wrong(format!("does not fit layer {number} of the model")))?,
            );
        }
        Ok(PromptCache::new(tokens, caches))
    }
}

const FORMAT: &str = "olivine prompt cache 1";

/// What a file says of one cache beside its arrays.
#[derive(Serialize, Deserialize)]
enum Layer {
    Kv {
        len: usize,
        dropped: usize,
        keep: usize,
        reach: (String, usize),
        parts: [usize; 2],
        scheme: Option<(String, usize, usize)>,
    },
    State {
        len: usize,
        slots: Vec<bool>,
    },
    List(Vec<Layer>),
}

fn describe(cache: &Cache, name: &str, arrays: &mut Vec<(String, Array)>) -> Result<Layer> {
    Ok(match cache {
        Cache::Kv(kv) => {
            let held = kv.held();
            for (side, part) in [("keys", &kv.keys), ("values", &kv.values)] {
                for (i, array) in part.iter().enumerate() {
                    arrays.push((format!("{name}.{side}.{i}"), array.index((.., .., ..held))?));
                }
            }
            let reach = match kv.reach {
                Reach::All => ("all".to_owned(), 0),
                Reach::Window(size) => ("window".to_owned(), size),
                Reach::Chunk(size) => ("chunk".to_owned(), size),
            };
            let scheme = kv.scheme.map(|scheme| {
                (
                    scheme.mode().name().to_owned(),
                    scheme.group_size(),
                    scheme.bits(),
                )
            });
            let parts = [kv.keys.len(), kv.values.len()];
            Layer::Kv {
                len: kv.len,
                dropped: kv.dropped,
                keep: kv.keep,
                reach,
                parts,
                scheme,
            }
        }
        Cache::State(state) => {
            for (i, slot) in state.slots.iter().enumerate() {
                if let Some(array) = slot {
                    arrays.push((format!("{name}.state.{i}"), array.clone()));
                }
            }
            let slots = state.slots.iter().map(Option::is_some).collect();
            Layer::State {
                len: state.len,
                slots,
            }
        }
        Cache::List(caches) => {
            let mut layers = Vec::new();
            for (i, cache) in caches.iter().enumerate() {
                layers.push(describe(cache, &format!("{name}.{i}"), arrays)?);
            }
            Layer::List(layers)
        }
    })
}

fn rebuild(
    layer: &Layer,
    name: &str,
    fresh: &Cache,
    read: &dyn Fn(&str) -> Option<Array>,
) -> Option<Cache> {
    match (layer, fresh) {
        (
            Layer::Kv {
                len,
                dropped,
                keep,
                reach,
                parts,
                scheme,
            },
            Cache::Kv(_),
        ) => {
            let held = len.checked_sub(*dropped)?;
            let side = |side: &str, count: usize| -> Option<Vec<Array>> {
                let array = |i| read(&format!("{name}.{side}.{i}"));
                let fits = |array: &Array| array.ndim() == 4 && array.shape()[2] == held;
                (0..count.min(3)).map(|i| array(i).filter(fits)).collect()
            };
            let reach = match (reach.0.as_str(), reach.1) {
                ("all", _) => Reach::All,
                ("window", size @ 1..) => Reach::Window(size),
                ("chunk", size @ 1..) => Reach::Chunk(size),
                _ => return None,
            };
            let scheme = match scheme {
                Some((mode, group, bits)) => {
                    let mode: QuantizationMode = mode.parse().ok()?;
                    Some(Quantization::new(mode, Some(*group), Some(*bits)).ok()?)
                }
                None => None,
            };
            let (keys, values) = (side("keys", parts[0])?, side("values", parts[1])?);
            let expected = match scheme {
                None => 1,
                Some(scheme) if scheme.mode() == QuantizationMode::Affine => 3,
                Some(_) => 2,
            };
            let empty = *len == 0 && keys.is_empty() && values.is_empty();
            let whole = keys.len() == expected && values.len() == expected;
            (empty || whole).then(|| {
                KvCache {
                    keys,
                    values,
                    len: *len,
                    dropped: *dropped,
                    keep: *keep,
                    reach,
                    scheme,
                    room: 0,
                }
                .into()
            })
        }
        (Layer::State { len, slots }, Cache::State(_)) => {
            let mut state = StateCache::new(slots.len().min(64));
            for (i, there) in slots.iter().enumerate() {
                if *there {
                    state.set(i, read(&format!("{name}.state.{i}"))?);
                }
            }
            state.advance(*len);
            Some(state.into())
        }
        (Layer::List(layers), Cache::List(fresh)) if layers.len() == fresh.len() => {
            let caches = layers.iter().zip(fresh).enumerate();
            let caches: Option<Vec<Cache>> = caches
                .map(|(i, (layer, fresh))| rebuild(layer, &format!("{name}.{i}"), fresh, read))
                .collect();
            Some(Cache::List(caches?))
        }
        _ => None,
    }
}
