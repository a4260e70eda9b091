//! Owns structured output: which tokens may come next so that a text fits a schema or a grammar.
//!
//! The `llguidance` crate walks a trie of all tokens' bytes with a parser; here are its inputs, its
//! errors as ours, and the masking of logits.

mod gbnf;
mod speller;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{
    ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie,
};
use llguidance::{ParserFactory, panic_utils};
use serde_json::Value;

use self::speller::Speller;
use crate::{Error, Result, Tokenizer};

/// A description of the texts that may be generated.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, Tokenizer};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let (config, generation) = (folder.config()?, folder.generation_config()?);
/// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
/// use olivine_lm::{Grammar, Sampler, SamplerOptions};
/// let schema = r#"{"type": "object", "properties": {"happy": {"type": "boolean"}},
///     "required": ["happy"], "additionalProperties": false}"#;
/// let matcher = Grammar::json_schema(schema)?.matcher(&tokenizer)?;
/// // A model that has no opinion writes what fits.
/// let options = SamplerOptions { temperature: 1.0, seed: Some(1), ..SamplerOptions::greedy() };
/// let mut sampler = Sampler::new(options)?.with_grammar(matcher);
/// let mut tokens = Vec::new();
/// while !sampler.is_finished() {
///     let logits = vec![0.0; tokenizer.vocab_size()];
///     tokens.push(sampler.sample(&logits, &tokens)?.token);
/// }
/// let answer: serde_json::Value = serde_json::from_str(&tokenizer.decode(&tokens)?)?;
/// assert!(answer["happy"].is_boolean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Grammar {
    kind: &'static str,
    grammar: TopLevelGrammar,
}

impl Grammar {
    /// JSON that fits a JSON schema.
    ///
    /// # Errors
    /// [`Error::Grammar`] for text that is no schema, one that nothing fits, and one with keywords that
    /// cannot be enforced while writing.
    ///
    /// ```
    /// use olivine_lm::Grammar;
    /// assert!(Grammar::json_schema(r#"{"type": "integer", "minimum": 3}"#).is_ok());
    /// assert!(Grammar::json_schema(r#"{"type": "whatever"}"#).is_err());
    /// ```
    pub fn json_schema(schema: &str) -> Result<Self> {
        const KIND: &str = "JSON schema";
        let mut schema: Value = serde_json::from_str(schema).map_err(|error| Error::Grammar {
            kind: KIND,
            message: error.to_string(),
        })?;
        // Enough for lines indented as people do, and an end for models that love blanks.
        const BLANKS: &str = r"[ \n\t\r]{1,40}";
        if let Some(fields) = schema.as_object_mut()
            && !fields.contains_key("x-guidance")
        {
            let options = serde_json::json!({"whitespace_pattern": BLANKS});
            fields.insert("x-guidance".to_owned(), options);
        }
        Self::checked(KIND, TopLevelGrammar::from_json_schema(schema))
    }

    /// Any JSON object.
    ///
    /// # Errors
    /// None in practice.
    ///
    /// ```
    /// assert!(olivine_lm::Grammar::json().is_ok());
    /// ```
    pub fn json() -> Result<Self> {
        Self::json_schema(r#"{"type": "object"}"#)
    }

    /// Texts that a regular expression matches as a whole, in the syntax of the `regex` crate without
    /// look-around and back-references.
    ///
    /// # Errors
    /// [`Error::Grammar`] for an expression that is malformed or too large.
    ///
    /// ```
    /// use olivine_lm::Grammar;
    /// assert!(Grammar::regex(r"\d{4}-\d{2}-\d{2}").is_ok());
    /// assert!(Grammar::regex("(").is_err());
    /// ```
    pub fn regex(expression: &str) -> Result<Self> {
        Self::checked(
            "regular expression",
            TopLevelGrammar::from_regex(expression),
        )
    }

    /// Texts of a context-free grammar in the Lark syntax of llguidance, whose first rule is `start`.
    ///
    /// Such a grammar may name a model's control tokens (`<|im_end|>`), so it is checked by
    /// [`Grammar::matcher`].
    ///
    /// ```
    /// use olivine_lm::Grammar;
    /// let grammar = Grammar::lark(r#"start: ("a" | "b")+ "c""#);
    /// ```
    pub fn lark(grammar: &str) -> Self {
        Self {
            kind: "Lark grammar",
            grammar: TopLevelGrammar::from_lark(grammar.to_owned()),
        }
    }

    /// Texts of a context-free grammar in llama.cpp's GBNF syntax, whose first rule is `root`.
    ///
    /// The parts that are not recursive match like one regular expression each, and take as much text
    /// as they can.
    ///
    /// # Errors
    /// [`Error::Grammar`] with the line of what is malformed, and for rules that are missing.
    ///
    /// ```
    /// use olivine_lm::Grammar;
    /// assert!(Grammar::gbnf(r#"root ::= "(" root? ")""#).is_ok());
    /// assert!(Grammar::gbnf("root ::= missing").is_err());
    /// ```
    pub fn gbnf(grammar: &str) -> Result<Self> {
        const KIND: &str = "GBNF grammar";
        let lark = gbnf::to_lark(grammar).map_err(|message| Error::Grammar {
            kind: KIND,
            message,
        })?;
        let grammar = TopLevelGrammar::from_lark(lark.text);
        if lark.names_tokens {
            return Ok(Self {
                kind: KIND,
                grammar,
            });
        }
        Self::checked(KIND, grammar)
    }

    fn checked(kind: &'static str, grammar: TopLevelGrammar) -> Result<Self> {
        let grammar = Self { kind, grammar };
        // Whether a grammar makes sense does not depend on the tokens, so the simplest ones do.
        let bytes = ApproximateTokEnv::single_byte_env();
        let check = factory(&bytes, &[]).and_then(|factory| grammar.parser(&factory));
        match check {
            Ok(_) => Ok(grammar),
            Err(message) => Err(Error::Grammar { kind, message }),
        }
    }

    fn parser(&self, factory: &ParserFactory) -> Result<llguidance::TokenParser, String> {
        guarded(|| factory.create_parser(self.grammar.clone()))
    }

    /// Starts a text in this grammar, made of a tokenizer's tokens.
    ///
    /// The first call for a tokenizer prepares its vocabulary, which takes seconds for a large one.
    ///
    /// # Errors
    /// [`Error::Grammar`] for a grammar that is malformed, and for tokenizers whose tokens do not stand
    /// for bytes of their own (WordPiece).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::Grammar;
    /// assert!(Grammar::json()?.matcher(&tokenizer).is_ok());
    /// assert!(Grammar::lark("start: missing").matcher(&tokenizer).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matcher(&self, tokenizer: &Tokenizer) -> Result<Matcher> {
        let vocabulary = tokenizer.vocabulary()?;
        let parser = self
            .parser(&vocabulary.factory)
            .map_err(|message| Error::Grammar {
                kind: self.kind,
                message,
            })?;
        let eos = vocabulary
            .factory
            .tok_env()
            .tok_trie()
            .eos_tokens()
            .to_vec();
        Ok(Matcher {
            kind: self.kind,
            eos,
            speller: vocabulary.speller.clone(),
            inner: llguidance::Matcher::new(Ok(parser)),
        })
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammar")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A text in a grammar as far as it has come.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, Tokenizer};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let (config, generation) = (folder.config()?, folder.generation_config()?);
/// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
/// use olivine_lm::Grammar;
/// let mut matcher = Grammar::regex("Hello!*")?.matcher(&tokenizer)?;
/// assert!(!matcher.may_stop()?);
/// for token in tokenizer.encode("Hello")? {
///     matcher.accept(token)?;
/// }
/// assert!(matcher.may_stop()? && !matcher.is_finished());
/// // Nothing but exclamation marks and an end may follow.
/// let mut logits = vec![0.0; tokenizer.vocab_size()];
/// matcher.mask(&mut logits)?;
/// assert!(logits[3] == 0.0 && logits.iter().filter(|&&logit| logit == 0.0).count() < 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Matcher {
    kind: &'static str,
    eos: Vec<u32>,
    speller: Speller,
    inner: llguidance::Matcher,
}

impl Matcher {
    /// Makes every token impossible that does not continue the text; once the text is complete, all but
    /// those that end it. A tokenizer without such a token has none left then.
    ///
    /// # Errors
    /// [`Error::Grammar`] when the grammar turns out too costly to follow.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::Grammar;
    /// let mut matcher = Grammar::regex("[0-9]")?.matcher(&tokenizer)?;
    /// let mut logits = vec![1.0; tokenizer.vocab_size()];
    /// matcher.mask(&mut logits)?;
    /// assert_eq!(logits.iter().filter(|&&logit| logit == 1.0).count(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mask(&mut self, logits: &mut [f32]) -> Result<()> {
        let mask = self.inner.compute_mask_or_eos();
        let mask = mask.map_err(|error| self.too_costly(&error.to_string()))?;
        let mut words = mask.as_slice().iter().copied();
        // A model may have more logits than its tokenizer has tokens: these are impossible as well.
        for logits in logits.chunks_mut(32) {
            match words.next().unwrap_or(0) {
                u32::MAX => {}
                0 => logits.fill(f32::NEG_INFINITY),
                word => {
                    for (bit, logit) in logits.iter_mut().enumerate() {
                        if word & (1 << bit) == 0 {
                            *logit = f32::NEG_INFINITY;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Goes on with a token.
    ///
    /// # Errors
    /// [`Error::NotInGrammar`] if the token does not continue the text; the matcher stays where it is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::Grammar;
    /// let mut matcher = Grammar::regex("a")?.matcher(&tokenizer)?;
    /// assert!(matcher.accept(tokenizer.encode("b")?[0]).is_err());
    /// assert!(matcher.accept(tokenizer.encode("a")?[0]).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept(&mut self, token: u32) -> Result<()> {
        let refuse = |message: &str| Error::NotInGrammar {
            id: token,
            kind: self.kind,
            message: message.to_owned(),
        };
        if self.is_finished() {
            return if self.eos.contains(&token) {
                Ok(())
            } else {
                Err(refuse("the text is complete"))
            };
        }
        match self.inner.try_consume_tokens(&[token]) {
            Ok(0) => Err(refuse("it does not continue the text")),
            Ok(_) => Ok(()),
            Err(error) => Err(self.too_costly(&error.to_string())),
        }
    }

    /// Whether the text is complete and nothing may follow.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::Grammar;
    /// let mut matcher = Grammar::regex("a")?.matcher(&tokenizer)?;
    /// matcher.accept(tokenizer.encode("a")?[0])?;
    /// assert!(matcher.is_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        self.inner.is_stopped()
    }

    /// Whether the text may end here, although more may follow.
    ///
    /// # Errors
    /// [`Error::Grammar`] when the grammar turns out too costly to follow.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::Grammar;
    /// assert!(Grammar::regex("a*")?.matcher(&tokenizer)?.may_stop()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn may_stop(&mut self) -> Result<bool> {
        if self.is_finished() {
            return Ok(true);
        }
        let accepting = self.inner.is_accepting();
        accepting.map_err(|error| self.too_costly(&error.to_string()))
    }

    /// Tokens for the text that has to come next, where the grammar leaves no choice: those that the
    /// tokenizer makes of it. A model may choose others that spell the same.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::Grammar;
    /// let mut matcher = Grammar::regex("The little (dog|cat)")?.matcher(&tokenizer)?;
    /// assert_eq!(tokenizer.decode(&matcher.forced())?, "The little ");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forced(&mut self) -> Vec<u32> {
        let bytes = self.inner.compute_ff_bytes();
        self.speller.spell(&bytes)
    }

    fn too_costly(&self, message: &str) -> Error {
        Error::Grammar {
            kind: self.kind,
            message: plain(message),
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A tokenizer's tokens as bytes in a trie, with what is precomputed for common grammars.
pub(crate) struct Vocabulary {
    factory: ParserFactory,
    speller: Speller,
}

impl Vocabulary {
    pub(crate) fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let refuse = |message: String| Error::Grammar {
            kind: "tokenizer for structured output",
            message,
        };
        let bytes = tokenizer.all_bytes()?;
        let mut words =
            bytes.ok_or_else(|| refuse("its tokens depend on their neighbours".into()))?;
        let mut eos = Vec::new();
        for id in 0..words.len() as u32 {
            if tokenizer.is_special(id) {
                // The mark keeps the names of control tokens apart from text.
                let mut word = vec![TokTrie::SPECIAL_TOKEN_MARKER];
                word.extend(tokenizer.known(id)?.into_bytes());
                words[id as usize] = word;
            }
            if tokenizer.eos_ids().contains(&id) {
                eos.push(id);
            }
        }
        // The trie counts lengths in 16 bits; no model generates such a token.
        for word in &mut words {
            if word.len() > 1024 {
                word.clear();
            }
        }
        let first = eos.first().copied().unwrap_or(INVALID_TOKEN);
        let info = TokRxInfo::new(words.len() as u32, first);
        let factory = guarded(|| {
            let mut trie = TokTrie::from(&info, &words);
            if !eos.is_empty() {
                trie = trie.with_eos_tokens(&eos);
            }
            let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
            Ok(env)
        })
        .and_then(|env| {
            let slices = llguidance::earley::SlicedBiasComputer::general_slices();
            factory(&env, &slices)
        })
        .map_err(refuse)?;
        let speller = Speller::new(tokenizer.shared(), factory.tok_env().clone());
        Ok(Self { factory, speller })
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").finish_non_exhaustive()
    }
}

fn factory(env: &TokEnv, slices: &[String]) -> Result<ParserFactory, String> {
    guarded(|| {
        let mut factory = ParserFactory::new(env, InferenceCapabilities::default(), slices)?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(factory)
    })
}

/// Runs the `llguidance` crate, whose panics become errors as well.
fn guarded<T>(work: impl FnOnce() -> anyhow::Result<T>) -> Result<T, String> {
    panic_utils::catch_unwind(AssertUnwindSafe(work)).map_err(|error| plain(&format!("{error:#}")))
}

/// An error's message in one line, without the state that the crate appends to it.
fn plain(message: &str) -> String {
    if message.contains("NoExtensionBias") {
        return "no token of the tokenizer continues the text".to_owned();
    }
    let end = message.find("\n<").unwrap_or(message.len());
    message[..end]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
#[path = "grammar/tests.rs"]
mod tests;
