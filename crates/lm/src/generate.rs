//! Owns generation: the loop from a prompt to tokens, one ahead of the reader.

use std::ops::Deref;

use olivine_core::{Array, async_eval, eval};

use crate::{Cache, Error, LanguageModel, Result, Sampler, SamplerOptions, Sequences};

/// The prompt is processed this many tokens at a time, which bounds memory.
const PREFILL: usize = 512;

/// An endless stream of tokens that continue a prompt.
///
/// The prompt is processed at the first call of `next`. While a token is being read, the one after
/// it is computed already. After an error the stream is at its end.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, Tokenizer};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let (config, generation) = (folder.config()?, folder.generation_config()?);
/// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
/// use olivine_lm::{Generator, SamplerOptions, models};
/// let model = models::load(&folder)?;
/// let prompt = tokenizer.encode_prompt("Once upon a time")?;
/// let tokens = Generator::new(model, &prompt, SamplerOptions::greedy())?.take(5);
/// let tokens: Vec<u32> = tokens.collect::<olivine_lm::Result<_>>()?;
/// assert!(!tokenizer.decode(&tokens)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Generator<M> {
    model: M,
    sampler: Sampler,
    cache: Vec<Cache>,
    state: State,
}

enum State {
    /// The prompt's tokens.
    Prompt(Vec<u32>),
    /// The token to return next, perhaps still being computed.
    Next(Array),
    Finished,
}

impl<M: Deref<Target: LanguageModel>> Generator<M> {
    /// Continues `prompt`, which must hold at least one token.
    ///
    /// The model may be borrowed, boxed or shared.
    ///
    /// # Errors
    /// An empty prompt, a token outside the vocabulary, options out of range.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::{Generator, SamplerOptions, models};
    /// let model = models::load(&folder)?;
    /// let first = Generator::new(&*model, &[5, 6, 7], SamplerOptions::greedy())?.next();
    /// assert!(first.is_some_and(|token| token.is_ok()));
    /// assert!(Generator::new(&*model, &[], SamplerOptions::greedy()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(model: M, prompt: &[u32], options: SamplerOptions) -> Result<Self> {
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let size = model.vocab_size();
        if let Some(&id) = prompt.iter().find(|&&id| id as usize >= size) {
            return Err(Error::UnknownToken {
                id,
                vocab_size: size,
            });
        }
        Ok(Generator {
            sampler: Sampler::new(options.validate()?)?,
            cache: model.caches(),
            model,
            state: State::Prompt(prompt.to_vec()),
        })
    }

    /// Reads the prompt chunk by chunk and chooses the first token.
    fn prefill(&mut self, prompt: &[u32]) -> Result<Array> {
        let (body, last) = prompt.split_at((prompt.len() - 1) / PREFILL * PREFILL);
        for chunk in body.chunks(PREFILL) {
            let tokens = Array::from_slice(chunk, [1, chunk.len()])?;
            self.model
                .hidden(&tokens, &mut Sequences::one(&mut self.cache))?;
            // The hidden state of inner chunks is not needed, only what the caches keep of it.
            eval(self.cache.iter().flat_map(Cache::arrays))?;
        }
        self.step(&Array::from_slice(last, [1, last.len()])?)
    }

    /// Feeds tokens and starts computing the one that follows.
    fn step(&mut self, tokens: &Array) -> Result<Array> {
        let hidden = self
            .model
            .hidden(tokens, &mut Sequences::one(&mut self.cache))?;
        let logits = self.model.logits(&hidden.index((.., -1))?)?;
        let token = self.sampler.sample(&logits)?;
        // An error of this evaluation is reported when the token is read.
        let _event = async_eval([&token]);
        Ok(token)
    }

    fn advance(&mut self, state: State) -> Result<Option<u32>> {
        let token = match state {
            State::Prompt(prompt) => self.prefill(&prompt)?,
            State::Next(token) => token,
            State::Finished => return Ok(None),
        };
        let next = self.step(&token.reshape([1, 1])?)?;
        let value = token.item::<u32>()?;
        self.state = State::Next(next);
        Ok(Some(value))
    }
}

impl<M: Deref<Target: LanguageModel>> Iterator for Generator<M> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Result<u32>> {
        let state = std::mem::replace(&mut self.state, State::Finished);
        self.advance(state).transpose()
    }
}
