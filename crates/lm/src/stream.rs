//! Owns turning a stream of tokens into text that is safe to print piece by piece.
//!
//! A token may be part of a character, and the first token's leading space may not be part of the
//! text, so tokens cannot simply be decoded one by one. Decoders that work token by token on bytes
//! are followed exactly with a few bytes of state; all others through a short window of tokens.

use std::collections::HashSet;
use std::sync::LazyLock;

use tokenizers::DecoderWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::tokenizer::Decoder;

use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;

/// How a tokenizer's decoder makes bytes of one token.
#[derive(Debug, Clone)]
pub(crate) enum Pieces {
    /// Every character of a token stands for a byte (GPT-2 and its heirs).
    ByteLevel,
    /// Every token is text in which a visible mark stands for the space (sentencepiece).
    Metaspace { mark: char, drop_first: bool },
    /// Every token is text after some replacements, or one byte written `<0xNN>`; a few
    /// leading characters of the whole text may be dropped.
    Fallback {
        replacements: Vec<DecoderWrapper>,
        bytes: bool,
        strip: Option<(char, usize)>,
    },
    /// A decoder whose tokens depend on their neighbours.
    Windowed,
}

impl Pieces {
    pub(crate) fn of(decoder: Option<&DecoderWrapper>) -> Self {
        let mut steps = Vec::new();
        if let Some(decoder) = decoder {
            flatten(decoder, &mut steps);
        }
        match steps.as_slice() {
            [DecoderWrapper::ByteLevel(_)] => Self::ByteLevel,
            [DecoderWrapper::Metaspace(metaspace)] => Self::Metaspace {
                mark: metaspace.get_replacement(),
                drop_first: metaspace.get_prepend_scheme() != PrependScheme::Never,
            },
            steps => Self::fallback(steps).unwrap_or(Self::Windowed),
        }
    }

    /// Recognises `Replace* ByteFallback? Fuse Strip?`, the chain of sentencepiece conversions.
    fn fallback(steps: &[&DecoderWrapper]) -> Option<Self> {
        let replaces = |step: &&&DecoderWrapper| matches!(step, DecoderWrapper::Replace(_));
        let count = steps.iter().take_while(replaces).count();
        let (replacements, rest) = steps.split_at(count);
        let (bytes, rest) = match rest {
            [DecoderWrapper::ByteFallback(_), rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let strip = match rest {
            [DecoderWrapper::Fuse(_)] => None,
            [DecoderWrapper::Fuse(_), DecoderWrapper::Strip(strip)] if strip.stop == 0 => {
                Some((strip.content, strip.start))
            }
            _ => return None,
        };
        Some(Self::Fallback {
            replacements: replacements.iter().map(|&step| step.clone()).collect(),
            bytes,
            strip,
        })
    }
}

impl Pieces {
    /// The bytes that a token adds to a text, where they do not depend on its neighbours.
    pub(crate) fn bytes(&self, token: String) -> Result<Option<Vec<u8>>> {
        Ok(match self {
            Self::ByteLevel => Some(byte_level(token)),
            Self::Metaspace { mark, .. } => Some(token.replace(*mark, " ").into_bytes()),
            Self::Fallback {
                replacements,
                bytes,
                ..
            } => Some(fallback_bytes(token, replacements, *bytes)?),
            Self::Windowed => None,
        })
    }
}

fn flatten<'d>(decoder: &'d DecoderWrapper, steps: &mut Vec<&'d DecoderWrapper>) {
    match decoder {
        DecoderWrapper::Sequence(sequence) => {
            for step in sequence.get_decoders() {
                flatten(step, steps);
            }
        }
        step => steps.push(step),
    }
}

/// Turns tokens into text as they arrive, never splitting a character.
///
/// The pieces joined are what [`Tokenizer::decode`] gives for all tokens at once, with one
/// exception made for the sake of streaming: a tokenizer that spells bytes as `<0xNN>` tokens
/// gives up on a whole run of them when one is invalid, while here the valid characters of the
/// run are kept.
///
/// Each token costs its own length, however long the text grows.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, Tokenizer};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let (config, generation) = (folder.config()?, folder.generation_config()?);
/// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
/// use olivine_lm::StreamingDetokenizer;
/// let mut stream = StreamingDetokenizer::new(&tokenizer);
/// let mut text = String::new();
/// for id in tokenizer.encode("Once upon a time")? {
///     text += &stream.push(id)?.unwrap_or_default();
/// }
/// text += &stream.finish()?.unwrap_or_default();
/// assert_eq!(text, "Once upon a time");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StreamingDetokenizer<'t> {
    tokenizer: &'t Tokenizer,
    at_start: bool,
    strip_left: usize,
    shown: HashSet<u32>,
    utf8: Utf8Buffer,
    window: Window,
}

impl<'t> StreamingDetokenizer<'t> {
    /// Starts a text of its own: the space that marks the first word is not printed.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::StreamingDetokenizer;
    /// assert_eq!(StreamingDetokenizer::new(&tokenizer).finish()?.unwrap_or_default(), "");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        let strip_left = match tokenizer.pieces() {
            Pieces::Fallback {
                strip: Some((_, count)),
                ..
            } => *count,
            _ => 0,
        };
        Self {
            tokenizer,
            at_start: true,
            strip_left,
            shown: HashSet::new(),
            utf8: Utf8Buffer::default(),
            window: Window::default(),
        }
    }

    /// Prints these control tokens by their names, as an [`OutputParser`](crate::OutputParser) needs
    /// for [`OutputFormat::markers`](crate::OutputFormat::markers); names without a token are ignored.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::StreamingDetokenizer;
    /// let mut stream = StreamingDetokenizer::new(&tokenizer).showing(&["<|end|>", "<|call|>"]);
    /// assert_eq!(stream.push(3)?.as_deref(), Some("<|end|>"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn showing(mut self, names: &[&str]) -> Self {
        let ids = names
            .iter()
            .filter_map(|name| self.tokenizer.token_to_id(name));
        self.shown.extend(ids);
        self
    }

    /// Continues a text that ends with these tokens: a leading space is kept.
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
    /// use olivine_lm::StreamingDetokenizer;
    /// let (prompt, rest) = (tokenizer.encode("Once upon")?, tokenizer.encode(" a time")?);
    /// let mut stream = StreamingDetokenizer::continuing(&tokenizer, &prompt)?;
    /// let mut text = String::new();
    /// for id in rest {
    ///     text += &stream.push(id)?.unwrap_or_default();
    /// }
    /// text += &stream.finish()?.unwrap_or_default();
    /// assert_eq!(text, " a time");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn continuing(tokenizer: &'t Tokenizer, prompt: &[u32]) -> Result<Self> {
        let mut stream = Self::new(tokenizer);
        if let Some(&last) = prompt.iter().rev().find(|&&id| !tokenizer.is_special(id)) {
            tokenizer.known(last)?;
            stream.at_start = false;
            stream.strip_left = 0;
            stream.window.context.push(last);
        }
        Ok(stream)
    }

    /// Takes the next token and returns the text that is now complete, if there is any.
    ///
    /// # Errors
    /// [`Error::UnknownToken`] for an id outside the vocabulary; the stream stays usable.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::StreamingDetokenizer;
    /// let mut stream = StreamingDetokenizer::new(&tokenizer);
    /// assert!(stream.push(u32::MAX).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        let token = self.tokenizer.known(id)?;
        if self.tokenizer.is_special(id) {
            if !self.shown.contains(&id) {
                return Ok(None);
            }
            // A character that has not been finished by now never will be.
            return Ok(Some(self.finish()?.unwrap_or_default() + &token));
        }
        let text = match self.tokenizer.pieces() {
            Pieces::ByteLevel => self.utf8.push(&byte_level(token)),
            Pieces::Metaspace { mark, drop_first } => {
                let space = if self.at_start && *drop_first {
                    ""
                } else {
                    " "
                };
                self.utf8.push(token.replace(*mark, space).as_bytes())
            }
            Pieces::Fallback {
                replacements,
                bytes,
                strip,
            } => {
                let bytes = fallback_bytes(token, replacements, *bytes)?;
                let text = self.utf8.push(&bytes);
                self.strip_start(text, *strip)
            }
            Pieces::Windowed => self.window.push(self.tokenizer, id)?,
        };
        self.at_start = false;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Ends the text: bytes that never became a character print as U+FFFD.
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
    /// use olivine_lm::StreamingDetokenizer;
    /// let mut stream = StreamingDetokenizer::new(&tokenizer);
    /// let id = tokenizer.encode("Hello")?[0];
    /// let text = stream.push(id)?.unwrap_or_default() + &stream.finish()?.unwrap_or_default();
    /// assert!("Hello".starts_with(&text));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(&mut self) -> Result<Option<String>> {
        let mut text = self.utf8.finish();
        if let Pieces::Windowed = self.tokenizer.pieces() {
            text.push_str(&self.window.flush(self.tokenizer)?);
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn strip_start(&mut self, text: String, strip: Option<(char, usize)>) -> String {
        let Some((content, _)) = strip else {
            return text;
        };
        let mut rest = text.as_str();
        while self.strip_left > 0 && !rest.is_empty() {
            match rest.strip_prefix(content) {
                Some(shorter) => {
                    rest = shorter;
                    self.strip_left -= 1;
                }
                None => self.strip_left = 0,
            }
        }
        rest.to_owned()
    }
}

/// Undoes GPT-2's map from bytes to visible characters: printable Latin-1 stands for itself, the
/// other bytes, in order, for the characters from U+0100 on.
fn byte_level(token: String) -> Vec<u8> {
    static BYTE_OF: LazyLock<Vec<Option<u8>>> = LazyLock::new(|| {
        let visible = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let mut table: Vec<Option<u8>> = (0..=u8::MAX)
            .map(|byte| Some(byte).filter(visible))
            .collect();
        table.extend((0..=u8::MAX).filter(|byte| !visible(byte)).map(Some));
        table
    });
    let byte_of = |c: char| BYTE_OF.get(c as usize).copied().flatten();
    match token.chars().map(byte_of).collect() {
        Some(bytes) => bytes,
        // An added token with other characters is meant as it is.
        None => token.into_bytes(),
    }
}

fn fallback_bytes(token: String, replacements: &[DecoderWrapper], bytes: bool) -> Result<Vec<u8>> {
    let mut token = token;
    for replacement in replacements {
        token = replacement
            .decode_chain(vec![token])
            .map_err(|error| Error::Decode {
                message: error.to_string(),
            })?
            .concat();
    }
    let byte = token
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        .filter(|digits| bytes && digits.len() == 2)
        .and_then(|digits| u8::from_str_radix(digits, 16).ok());
    Ok(match byte {
        Some(byte) => vec![byte],
        None => token.into_bytes(),
    })
}

/// Collects bytes and releases whole characters; agrees with [`String::from_utf8_lossy`].
#[derive(Debug, Default)]
struct Utf8Buffer {
    // Between calls: at most three bytes, the start of a character.
    bytes: Vec<u8>,
}

impl Utf8Buffer {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.bytes.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.bytes.len());
        let mut done = 0;
        loop {
            match std::str::from_utf8(&self.bytes[done..]) {
                Ok(valid) => {
                    text.push_str(valid);
                    done = self.bytes.len();
                    break;
                }
                Err(error) => {
                    let valid = done + error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.bytes[done..valid]));
                    done = valid;
                    let Some(invalid) = error.error_len() else {
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    done += invalid;
                }
            }
        }
        self.bytes.drain(..done);
        text
    }

    fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned()
    }
}

/// Decodes through the tokenizer, comparing with and without the newest tokens.
#[derive(Debug, Default)]
struct Window {
    context: Vec<u32>,
    pending: Vec<u32>,
}

impl Window {
    // A character is at most four byte tokens; the rest is slack for decoders that merge tokens.
    const LONGEST: usize = 8;

    fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String> {
        self.pending.push(id);
        let text = self.fresh(tokenizer)?;
        let unfinished = text.ends_with(char::REPLACEMENT_CHARACTER);
        if unfinished && self.pending.len() < Self::LONGEST {
            return Ok(String::new());
        }
        self.context = std::mem::take(&mut self.pending);
        Ok(text)
    }

    fn flush(&mut self, tokenizer: &Tokenizer) -> Result<String> {
        let text = self.fresh(tokenizer)?;
        self.context = std::mem::take(&mut self.pending);
        Ok(text)
    }

    /// What the pending tokens add to the text of the context.
    fn fresh(&self, tokenizer: &Tokenizer) -> Result<String> {
        if self.pending.is_empty() {
            return Ok(String::new());
        }
        let before = tokenizer.decode(&self.context)?;
        let all = [self.context.as_slice(), &self.pending].concat();
        let after = tokenizer.decode(&all)?;
        let common: usize = before
            .chars()
            .zip(after.chars())
            .take_while(|(left, right)| left == right)
            .map(|(c, _)| c.len_utf8())
            .sum();
        Ok(after[common..].to_owned())
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
