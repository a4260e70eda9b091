//! Owns embeddings of texts: encoders of the BERT family, decoders, and how their tokens are pooled.

mod bert;

use olivine_core::{Array, Dtype, concatenate, stack};
use olivine_nn::Module;

use crate::{
    Error, LanguageModel, ModelFolder, Result, Sequences, Tokenizer, Weights, json::Object, models,
};

/// A network that gives every token of a text a vector.
pub(crate) trait Encoder: Module + Send + Sync {
    /// The vectors (1, tokens, width) of texts that follow each other and have these lengths.
    fn encode(&self, tokens: &Array, lengths: &[usize]) -> Result<Array>;

    /// The most tokens that a text can have.
    fn longest(&self) -> usize;
}

/// How the vectors of a text's tokens become one.
///
/// ```
/// use olivine_lm::Pooling;
/// assert_eq!("mean".parse::<Pooling>()?, Pooling::Mean);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first token.
    First,
    /// That of the last token.
    Last,
    /// The largest of each element.
    Max,
}

impl std::str::FromStr for Pooling {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "mean" => Ok(Pooling::Mean),
            "cls" | "first" => Ok(Pooling::First),
            "last" => Ok(Pooling::Last),
            "max" => Ok(Pooling::Max),
            _ => Err(Error::Option {
                option: "pooling",
                value: name.to_owned(),
                expected: "mean, cls, last or max",
            }),
        }
    }
}

enum Network {
    Encoder(Box<dyn Encoder>),
    Decoder(Box<dyn LanguageModel>),
}

/// A model that turns texts into vectors.
///
/// Folders of sentence-transformers say how tokens are pooled and whether vectors are normalised;
/// otherwise encoders take the mean, decoders the last token, and vectors are normalised.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{Embedder, ModelFolder};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let embedder = Embedder::load(&ModelFolder::open(path)?)?;
/// let vectors = embedder.embed(&["A dog ran.", "A cat slept under the tree."])?;
/// assert_eq!(vectors.shape().dims(), &[2, 256]);
/// let lengths = vectors.square()?.sum(-1)?.to_vec::<f32>()?;
/// assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-4));
/// # Ok::<(), olivine_lm::Error>(())
/// ```
pub struct Embedder {
    network: Network,
    tokenizer: Tokenizer,
    pooling: Pooling,
    normalize: bool,
}

pub(crate) fn is_encoder(model_type: &str) -> bool {
    bert::MODEL_TYPES.contains(&model_type)
}

impl Embedder {
    /// Loads the model of a folder.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Embedder, ModelFolder};
    /// assert!(Embedder::load(&ModelFolder::embedded(&[])).is_err());
    /// ```
    pub fn load(folder: &ModelFolder) -> Result<Self> {
        let config = folder.config()?;
        let tokenizer = Tokenizer::load(folder, &config, &folder.generation_config()?)?;
        let (network, pooling) = if is_encoder(&config.model_type) {
            let weights = Weights::new(folder.path(), folder.tensors()?);
            (
                Network::Encoder(Box::new(bert::Bert::new(&config, &weights)?)),
                Pooling::Mean,
            )
        } else {
            (Network::Decoder(models::load(folder)?), Pooling::Last)
        };
        let mut embedder = Embedder {
            network,
            tokenizer,
            pooling,
            normalize: true,
        };
        if let Some(modules) = folder.sentence_modules()? {
            embedder.normalize = modules.normalize;
            embedder.pooling = modules.pooling.unwrap_or(embedder.pooling);
        }
        Ok(embedder)
    }

    /// The same embedder with another way to pool.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Embedder, ModelFolder, Pooling};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let embedder = Embedder::load(&ModelFolder::open(path)?)?.pooled(Pooling::Max);
    /// assert_eq!(embedder.embed(&["Hi"])?.shape().dims(), &[1, 256]);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn pooled(mut self, pooling: Pooling) -> Self {
        self.pooling = pooling;
        self
    }

    /// The same embedder, whose vectors have length 1 or are left as they are.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Embedder, ModelFolder};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let embedder = Embedder::load(&ModelFolder::open(path)?)?.normalized(false);
    /// let length = embedder.embed(&["Hi"])?.square()?.sum(-1)?.item::<f32>()?;
    /// assert!((length - 1.0).abs() > 1e-3);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn normalized(mut self, normalize: bool) -> Self {
        self.normalize = normalize;
        self
    }

    /// The vectors (texts, width) of texts, as float32. Texts are cut to what the model can read.
    ///
    /// Texts of different lengths are computed together, without padding.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Embedder, ModelFolder};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let embedder = Embedder::load(&ModelFolder::open(path)?)?;
    /// let texts: [&str; 0] = [];
    /// assert!(embedder.embed(&texts).is_err()); // no texts
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn embed<T: AsRef<str>>(&self, texts: &[T]) -> Result<Array> {
        let mut all: Vec<u32> = Vec::new();
        let mut lengths = Vec::with_capacity(texts.len());
        for text in texts {
            let mut tokens = self.tokenizer.encode_prompt(text.as_ref())?;
            if let Network::Encoder(encoder) = &self.network
                && tokens.len() > encoder.longest()
                && let Some(last) = tokens.last().copied()
            {
                // The token at the end is one that the model was trained to find there.
                tokens.truncate(encoder.longest() - 1);
                tokens.push(last);
            }
            if tokens.is_empty() {
                return Err(Error::EmptyPrompt);
            }
            lengths.push(tokens.len());
            all.append(&mut tokens);
        }
        if lengths.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let tokens = Array::from_slice(&all, [1, all.len()])?;
        let vectors = match &self.network {
            Network::Encoder(encoder) => encoder.encode(&tokens, &lengths)?,
            Network::Decoder(model) => {
                crate::generate::check(&all, model.vocab_size())?;
                let mut caches: Vec<_> = lengths.iter().map(|_| model.caches()).collect();
                let rows = lengths.iter().copied();
                let rows = rows.zip(caches.iter_mut().map(|caches| &mut caches[..]));
                model.hidden(&tokens, &mut Sequences::many(rows))?
            }
        };
        let vectors = vectors.astype(Dtype::Float32)?;
        let (mut start, mut pooled) = (0, Vec::with_capacity(lengths.len()));
        for length in lengths {
            let end = start + length;
            let own = vectors.index((0, start..end))?;
            pooled.push(match self.pooling {
                Pooling::Mean => own.mean(0)?,
                Pooling::First => own.index(0)?,
                Pooling::Last => own.index(-1)?,
                Pooling::Max => own.max(0)?,
            });
            start = end;
        }
        let vectors = stack(&pooled, 0)?;
        if !self.normalize {
            return Ok(vectors);
        }
        let lengths = vectors.square()?.sum(olivine_core::keep(-1))?.sqrt()?;
        Ok(vectors.divide(lengths.maximum(1e-12)?)?)
    }
}

/// What the modules of a folder of sentence-transformers say.
pub(crate) struct SentenceModules {
    pub(crate) pooling: Option<Pooling>,
    pub(crate) normalize: bool,
}

/// Reads `modules.json`, and the configuration of the pooling that it names through `read`.
pub(crate) fn sentence_modules(
    list: &Object,
    read: &dyn Fn(&str) -> Result<Option<Object>>,
) -> Result<SentenceModules> {
    let mut modules = SentenceModules {
        pooling: None,
        normalize: false,
    };
    for (number, _) in list.entries() {
        let module = list.required(number, list.object(number)?)?;
        let kind = module.required("type", module.string("type")?)?;
        match kind.rsplit('.').next() {
            Some("Transformer") => {}
            Some("Normalize") => modules.normalize = true,
            Some("Pooling") => {
                let path = module.required("path", module.string("path")?)?;
                if !crate::folder::is_plain_name(path) {
                    return Err(module.bad("path", "is not the name of a folder"));
                }
                if let Some(config) = read(&format!("{path}/config.json"))? {
                    modules.pooling = Some(pooling(&config)?);
                }
            }
            _ => return Err(module.unsupported("type", "Transformer, Pooling, Normalize")),
        }
    }
    Ok(modules)
}

fn pooling(config: &Object) -> Result<Pooling> {
    let known = [
        ("pooling_mode_cls_token", Pooling::First),
        ("pooling_mode_mean_tokens", Pooling::Mean),
        ("pooling_mode_max_tokens", Pooling::Max),
        ("pooling_mode_lasttoken", Pooling::Last),
    ];
    let mut found = None;
    for (field, pooling) in known {
        if config.bool(field)? == Some(true) {
            if found.is_some() {
                return Err(config.unsupported(field, "one way to pool"));
            }
            found = Some(pooling);
        }
    }
    found.ok_or_else(|| config.bad("pooling_mode_mean_tokens", "and all known others are off"))
}

/// Joins what is made of each text, along the axis of tokens.
fn each_text(
    lengths: &[usize],
    inputs: [&Array; 3],
    mut work: impl FnMut([Array; 3]) -> olivine_core::Result<Array>,
) -> olivine_core::Result<Array> {
    let (mut start, mut made) = (0, Vec::with_capacity(lengths.len()));
    for length in lengths {
        let end = start + length;
        let [a, b, c] = inputs.map(|input| input.index((.., start..end)));
        made.push(work([a?, b?, c?])?);
        start = end;
    }
    concatenate(&made, 1)
}

#[cfg(test)]
mod tests;
