//! Owns turning text into token ids and back, and knowing which ids end a text.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::folder::ModelFolder;
use crate::generation_config::GenerationConfig;
use crate::grammar::Vocabulary;
use crate::json::Object;
use crate::stream::Pieces;

/// A model's tokenizer with the special tokens its configuration names.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, Tokenizer};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let (config, generation) = (folder.config()?, folder.generation_config()?);
/// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
/// let ids = tokenizer.encode("Once upon a time")?;
/// assert_eq!(tokenizer.decode(&ids)?, "Once upon a time");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    pieces: Pieces,
    /// Counted once, since the crate makes a list of all tokens to count them.
    vocab_size: usize,
    bos: Option<(String, u32)>,
    eos_ids: BTreeSet<u32>,
    vocabulary: OnceLock<Vocabulary>,
}

impl Tokenizer {
    /// Loads `tokenizer.json` and the special tokens of `tokenizer_config.json`.
    ///
    /// The end-of-text set is the union of what the two configurations and the tokenizer name.
    ///
    /// # Errors
    /// Missing, unreadable or malformed files.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// assert_eq!(tokenizer.vocab_size(), 2048);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(
        folder: &ModelFolder,
        config: &ModelConfig,
        generation: &GenerationConfig,
    ) -> Result<Self> {
        let (path, json) = folder.tokenizer_json()?;
        let mut tokenizer = Self::parse(&path, &json)?;
        if let Some(object) = folder.tokenizer_config()? {
            let mut tokens = special_tokens(&object)?;
            let eos = tokens.remove("eos_token");
            tokenizer
                .eos_ids
                .extend(eos.and_then(|token| tokenizer.inner.token_to_id(&token)));
            tokenizer.bos = tokens.remove("bos_token").and_then(|token| {
                let id = tokenizer.inner.token_to_id(&token)?;
                Some((token, id))
            });
        }
        tokenizer.eos_ids.extend(&config.eos_token_ids);
        tokenizer.eos_ids.extend(&generation.eos_token_ids);
        Ok(tokenizer)
    }

    /// Parses the text of a `tokenizer.json`, with no special tokens named; `path` appears in errors.
    ///
    /// # Errors
    /// Text that is not a tokenizer of a known kind.
    ///
    /// ```
    /// use olivine_lm::Tokenizer;
    /// assert!(Tokenizer::parse("tokenizer.json".as_ref(), "{}").is_err());
    /// ```
    pub fn parse(path: &Path, json: &str) -> Result<Self> {
        serde_json::from_str::<serde::de::IgnoredAny>(json).map_err(|source| Error::Json {
            path: path.to_owned(),
            source,
        })?;
        let refuse = |message| Error::Tokenizer {
            path: path.to_owned(),
            message,
        };
        let mut inner = guarded(|| tokenizers::Tokenizer::from_bytes(json)).map_err(refuse)?;
        // Limits saved by a training script would silently cut or pad prompts.
        guarded(|| inner.with_truncation(None).map(drop)).map_err(refuse)?;
        inner.with_padding(None);
        let pieces = Pieces::of(inner.get_decoder());
        Ok(Self {
            vocab_size: inner.get_vocab_size(true),
            inner: Arc::new(inner),
            pieces,
            bos: None,
            eos_ids: BTreeSet::new(),
            vocabulary: OnceLock::new(),
        })
    }

    /// Number of tokens, special and added ones included.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// assert_eq!(tokenizer.vocab_size(), 2048);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token given by its text in the vocabulary.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// assert_eq!(tokenizer.token_to_id("<|end|>"), Some(3));
    /// assert_eq!(tokenizer.token_to_id("no such token"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// A token's text in the vocabulary, which for most tokenizers is not what it prints as.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// assert_eq!(tokenizer.id_to_token(0).as_deref(), Some("<|endoftext|>"));
    /// assert_eq!(tokenizer.id_to_token(1_000_000), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of the beginning-of-text token, where the model has one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// assert_eq!(tokenizer.bos_id(), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bos_id(&self) -> Option<u32> {
        self.bos.as_ref().map(|(_, id)| *id)
    }

    /// Every token that ends a text.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// assert!(tokenizer.eos_ids().contains(&3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn eos_ids(&self) -> &BTreeSet<u32> {
        &self.eos_ids
    }

    /// Whether a token is a control token that is not printed.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// assert!(tokenizer.is_special(0));
    /// assert!(!tokenizer.is_special(tokenizer.encode("a")?[0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.inner.get_added_vocabulary();
        added
            .simple_id_to_token(id)
            .is_some_and(|token| added.is_special_token(&token))
    }

    /// Turns text into tokens, exactly as written: no beginning-of-text token is added.
    ///
    /// # Errors
    /// When the text cannot be expressed in the vocabulary.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// assert!(tokenizer.encode("")?.is_empty());
    /// assert!(tokenizer.encode("Hello")?.len() >= tokenizer.encode("Hel")?.len().min(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_with(text, false)
    }

    /// Turns a prompt into tokens, adding the tokenizer's own framing (such as a beginning-of-text
    /// token) unless the prompt already begins with it, as rendered chat templates do.
    ///
    /// # Errors
    /// When the text cannot be expressed in the vocabulary.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// let framed = tokenizer.encode_prompt("<|endoftext|>Hello")?;
    /// assert_eq!(framed[0], 0);
    /// assert_eq!(framed[1..], tokenizer.encode("Hello")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let framed = self
            .bos
            .as_ref()
            .is_some_and(|(token, _)| text.starts_with(token.as_str()));
        self.encode_with(text, !framed)
    }

    fn encode_with(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let encoding = guarded(|| self.inner.encode_fast(text, add_special_tokens))
            .map_err(|message| Error::Encode { message })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Turns tokens into text, leaving out special tokens.
    ///
    /// # Errors
    /// [`Error::UnknownToken`] for ids outside the vocabulary.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// let ids = tokenizer.encode("Hello")?;
    /// // Special tokens are left out.
    /// assert_eq!(tokenizer.decode(&[&[0], &ids[..]].concat())?, "Hello");
    /// assert!(tokenizer.decode(&[1_000_000]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        for &id in ids {
            self.known(id)?;
        }
        guarded(|| self.inner.decode(ids, true)).map_err(|message| Error::Decode { message })
    }

    /// A token's text in the vocabulary, or the typed complaint that there is none.
    pub(crate) fn known(&self, id: u32) -> Result<String> {
        self.id_to_token(id).ok_or_else(|| Error::UnknownToken {
            id,
            vocab_size: self.vocab_size(),
        })
    }

    /// The text of the `tokenizer.json` that is this tokenizer.
    #[cfg(test)]
    pub(crate) fn json(&self) -> String {
        self.inner
            .to_string(false)
            .expect("tokenizers can be written")
    }

    /// What grammars need to know of the tokens, prepared at the first use.
    pub(crate) fn vocabulary(&self) -> Result<&Vocabulary> {
        if let Some(vocabulary) = self.vocabulary.get() {
            return Ok(vocabulary);
        }
        let vocabulary = Vocabulary::of(self)?;
        Ok(self.vocabulary.get_or_init(|| vocabulary))
    }

    /// The bytes of every token by its id, `None` where they depend on the tokens around it. Control
    /// tokens and ids without a token have none.
    pub(crate) fn all_bytes(&self) -> Result<Option<Vec<Vec<u8>>>> {
        let vocabulary = self.inner.get_vocab(true);
        let size = vocabulary.values().max().map_or(0, |&id| id as usize + 1);
        let mut all = vec![Vec::new(); size];
        for (token, id) in vocabulary {
            if !self.is_special(id) {
                match self.pieces.bytes(token)? {
                    Some(bytes) => all[id as usize] = bytes,
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(all))
    }

    /// Every token whose text contains a text.
    pub(crate) fn tokens_containing(&self, text: &str) -> Result<Vec<u32>> {
        let contains = |bytes: &[u8]| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        let mut found = Vec::new();
        for (token, id) in self.inner.get_vocab(true) {
            let bytes = match self.pieces.bytes(token.clone())? {
                Some(bytes) => bytes,
                None => token.into_bytes(),
            };
            if !self.is_special(id) && contains(&bytes) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// The tokenizer itself, for what outlives a borrow of this.
    pub(crate) fn shared(&self) -> Arc<tokenizers::Tokenizer> {
        self.inner.clone()
    }

    pub(crate) fn pieces(&self) -> &Pieces {
        &self.pieces
    }
}

/// The `*_token` fields of a `tokenizer_config.json`, each a string or an object with `content`.
pub(crate) fn special_tokens(config: &Object) -> Result<BTreeMap<String, String>> {
    let mut tokens = BTreeMap::new();
    for field in config.keys().filter(|key| key.ends_with("_token")) {
        let text = match config.get(field) {
            Some(value) if value.is_object() => {
                let object = config.required(field, config.object(field)?)?;
                object
                    .required("content", object.string("content")?)?
                    .to_owned()
            }
            // Flags such as `add_bos_token` share the ending but are no tokens.
            Some(value) if value.is_boolean() => continue,
            Some(_) => config.required(field, config.string(field)?)?.to_owned(),
            None => continue,
        };
        tokens.insert(field.to_owned(), text);
    }
    Ok(tokens)
}

/// Runs the `tokenizers` crate, which panics on some files that are valid JSON but make no sense
/// (a damaged `precompiled_charsmap`, a `Strip` decoder longer than a token).
pub(crate) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    let message = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the file describes something no tokenizer does".to_owned(),
    };
    Err(message.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
