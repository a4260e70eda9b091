//! Owns deciding where a generated text ends: stop tokens, stop strings, and text held back for them.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::stream::StreamingDetokenizer;
use crate::tokenizer::Tokenizer;

/// What ends a generated text.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, Tokenizer};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let (config, generation) = (folder.config()?, folder.generation_config()?);
/// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
/// use olivine_lm::{FinishReason, StopRules, TextStream};
/// let rules = StopRules::new([3], [])?;
/// let step = TextStream::new(&tokenizer, rules).push(3)?;
/// assert_eq!(step.finish, Some(FinishReason::StopToken(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopRules {
    tokens: BTreeSet<u32>,
    strings: Vec<String>,
}

/// Why a generated text ended.
///
/// ```
/// use olivine_lm::FinishReason;
/// assert_eq!(serde_json::to_string(&FinishReason::Length)?, "\"length\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model produced this token, which is not part of the text.
    StopToken(u32),
    /// The text contained this string, which is cut off.
    StopString(String),
    /// The requested number of tokens was reached.
    Length,
    /// The grammar that the text follows has come to its end.
    Grammar,
}

impl StopRules {
    /// Stops at any of these tokens and before any of these strings.
    ///
    /// # Errors
    /// [`Error::EmptyStopString`] when a string is empty.
    ///
    /// ```
    /// use olivine_lm::StopRules;
    /// assert!(StopRules::new([0, 3], ["\n\n".to_owned()]).is_ok());
    /// assert!(StopRules::new([], [String::new()]).is_err());
    /// ```
    pub fn new(
        tokens: impl IntoIterator<Item = u32>,
        strings: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let strings: Vec<String> = strings.into_iter().collect();
        if strings.iter().any(String::is_empty) {
            return Err(Error::EmptyStopString);
        }
        Ok(Self {
            tokens: tokens.into_iter().collect(),
            strings,
        })
    }

    /// Finds the first stop string in a text: its position and which one it is.
    fn find(&self, text: &str) -> Option<(usize, &str)> {
        self.strings
            .iter()
            .filter_map(|stop| Some((text.find(stop.as_str())?, stop.as_str())))
            .min_by_key(|(position, _)| *position)
    }

    /// Length of the longest end of a text that may be the beginning of a stop string.
    fn held_back(&self, text: &str) -> usize {
        let longest = |stop: &String| {
            stop.char_indices()
                .map(|(length, _)| length)
                .filter(|&length| text.ends_with(&stop[..length]))
                .max()
                .unwrap_or(0)
        };
        self.strings.iter().map(longest).max().unwrap_or(0)
    }
}

/// The text one token completed, and whether it was the last.
///
/// ```
/// assert_eq!(olivine_lm::TextStep::default().finish, None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextStep {
    /// Text that is safe to print; may be empty.
    pub text: String,
    /// Set once the text has ended.
    pub finish: Option<FinishReason>,
}

/// Turns generated tokens into printable text and says when to stop.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, Tokenizer};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let (config, generation) = (folder.config()?, folder.generation_config()?);
/// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
/// use olivine_lm::{FinishReason, StopRules, TextStream};
/// let rules = StopRules::new([], ["dog".to_owned()])?;
/// let mut stream = TextStream::new(&tokenizer, rules);
/// let mut text = String::new();
/// for id in tokenizer.encode("The cat and the dog played")? {
///     let step = stream.push(id)?;
///     text += &step.text;
///     if let Some(reason) = step.finish {
///         assert_eq!(reason, FinishReason::StopString("dog".into()));
///         break;
///     }
/// }
/// assert_eq!(text.trim(), "The cat and the");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TextStream<'t> {
    detokenizer: StreamingDetokenizer<'t>,
    rules: StopRules,
    held: String,
}

impl<'t> TextStream<'t> {
    /// Starts a text of its own.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::{StopRules, TextStream};
    /// let mut stream = TextStream::new(&tokenizer, StopRules::default());
    /// assert_eq!(stream.finish()?.text, "");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(tokenizer: &'t Tokenizer, rules: StopRules) -> Self {
        Self::over(StreamingDetokenizer::new(tokenizer), rules)
    }

    /// Continues what a detokenizer has begun.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::{StopRules, StreamingDetokenizer, TextStream};
    /// let begun = StreamingDetokenizer::new(&tokenizer);
    /// let mut stream = TextStream::over(begun, StopRules::default());
    /// assert_eq!(stream.finish()?.finish, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn over(detokenizer: StreamingDetokenizer<'t>, rules: StopRules) -> Self {
        Self {
            detokenizer,
            rules,
            held: String::new(),
        }
    }

    /// Takes the next token.
    ///
    /// # Errors
    /// [`Error::UnknownToken`] for an id outside the vocabulary.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::{StopRules, TextStream};
    /// let mut stream = TextStream::new(&tokenizer, StopRules::default());
    /// let ids = tokenizer.encode("Hello")?;
    /// let mut text = String::new();
    /// for id in ids {
    ///     text += &stream.push(id)?.text;
    /// }
    /// text += &stream.finish()?.text;
    /// assert_eq!(text, "Hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push(&mut self, id: u32) -> Result<TextStep> {
        if self.rules.tokens.contains(&id) {
            let mut step = self.finish()?;
            step.finish.get_or_insert(FinishReason::StopToken(id));
            return Ok(step);
        }
        let text = self.detokenizer.push(id)?;
        Ok(self.accept(text))
    }

    /// Ends the text and releases what was held back; a stop string completed only now still counts.
    ///
    /// # Errors
    /// When the tokenizer's own decoder fails.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::{StopRules, TextStream};
    /// // `He` may be the beginning of a stop string, so it is held back until the end.
    /// let mut stream = TextStream::new(&tokenizer, StopRules::new([], ["Hello!".to_owned()])?);
    /// let mut text = String::new();
    /// for id in tokenizer.encode("Hello")? {
    ///     text += &stream.push(id)?.text;
    /// }
    /// assert_eq!(text, "");
    /// assert_eq!(stream.finish()?.text, "Hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(&mut self) -> Result<TextStep> {
        let text = self.detokenizer.finish()?;
        let mut step = self.accept(text);
        step.text.push_str(&std::mem::take(&mut self.held));
        Ok(step)
    }

    fn accept(&mut self, text: Option<String>) -> TextStep {
        let Some(text) = text else {
            return TextStep::default();
        };
        self.held.push_str(&text);
        if let Some((position, stop)) = self.rules.find(&self.held) {
            let finish = Some(FinishReason::StopString(stop.to_owned()));
            self.held.truncate(position);
            return TextStep {
                text: std::mem::take(&mut self.held),
                finish,
            };
        }
        let keep = self.rules.held_back(&self.held);
        let rest = self.held.split_off(self.held.len() - keep);
        TextStep {
            text: std::mem::replace(&mut self.held, rest),
            finish: None,
        }
    }
}

#[cfg(test)]
#[path = "stop_tests.rs"]
mod tests;
