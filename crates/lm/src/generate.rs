//! Owns generation: the loop from a prompt to tokens, with guesses that are checked many at once.

use std::{collections::VecDeque, ops::Deref};

use olivine_core::{Array, Dtype, eval, quantized::Quantization};

use crate::{
    Cache, Choice, Error, KvCache, LanguageModel, PromptCache, Reach, Result, Sampler, Sequences,
    draft::Draft,
};

/// How a prompt is read, and what is remembered of it.
///
/// ```
/// use olivine_lm::GeneratorOptions;
/// assert_eq!(GeneratorOptions::default().prefill_chunk, 512);
/// ```
#[derive(Clone, Debug)]
pub struct GeneratorOptions {
    /// A prompt is processed so many tokens at a time, which bounds memory.
    pub prefill_chunk: usize,
    /// Keys and values of only the latest so many tokens are remembered, by layers that would
    /// remember all.
    pub max_kv_size: Option<usize>,
    /// With `max_kv_size`, so many tokens at the start are remembered as well.
    pub keep: usize,
    /// How keys and values are packed.
    pub kv_quantization: Option<Quantization>,
    /// They are packed once so many tokens have been seen.
    pub quantized_kv_start: usize,
    /// Prompts of more tokens are refused, unless only the latest are remembered:
    /// [`ModelConfig::context`](crate::ModelConfig::context) says how many a model was trained to see.
    pub context: Option<usize>,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        GeneratorOptions {
            prefill_chunk: 512,
            max_kv_size: None,
            keep: 4,
            kv_quantization: None,
            quantized_kv_start: 0,
            context: None,
        }
    }
}

impl GeneratorOptions {
    /// A model's fresh caches with the limits that these options ask for.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{GeneratorOptions, ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let options = GeneratorOptions { max_kv_size: Some(128), ..Default::default() };
    /// assert_eq!(options.limited(model.caches()).len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn limited(&self, mut caches: Vec<Cache>) -> Vec<Cache> {
        if let Some(size) = self.max_kv_size {
            for kv in caches.iter_mut().filter_map(Cache::kv) {
                if kv.reach() == Reach::All {
                    *kv = KvCache::reaching(Reach::Window(size.max(1))).keeping(self.keep);
                }
            }
        }
        caches
    }

    /// Refuses prompts that no model of the size knows, or that are too long.
    pub(crate) fn check(&self, prompt: &[u32], vocab_size: usize) -> Result<()> {
        check(prompt, vocab_size)?;
        match self.context {
            Some(context) if prompt.len() > context && self.max_kv_size.is_none() => {
                let tokens = prompt.len();
                Err(Error::PromptTooLong { tokens, context })
            }
            _ => Ok(()),
        }
    }

    /// Makes room for so many tokens, if keys and values are held in the form that they stay in once so
    /// many were seen: packed ones take less.
    fn reserve(&self, caches: &mut [Cache], tokens: usize, seen: usize) {
        if self.kv_quantization.is_none() || seen > 0 && seen >= self.quantized_kv_start {
            for cache in caches {
                cache.reserve(tokens);
            }
        }
    }

    /// Packs what the caches hold, if it is time to.
    ///
    /// It is done before the tokens just fed are computed: then no layer's plain keys and values outlive
    /// its attention, which is of plain ones still.
    pub(crate) fn pack(&self, caches: &mut [Cache]) -> Result<()> {
        let Some(scheme) = self.kv_quantization else {
            return Ok(());
        };
        for kv in caches.iter_mut().filter_map(Cache::kv) {
            if !kv.is_empty() && kv.len() >= self.quantized_kv_start {
                // What cannot be packed stays as it is.
                *kv = kv.clone().quantized(scheme)?;
            }
        }
        Ok(())
    }
}

/// An endless stream of tokens that continue a prompt.
///
/// The prompt is processed at the first call of `next`. After an error the stream is at its end,
/// and so it is where a grammar has come to its end. Where a grammar leaves no choice of text, its
/// tokens are checked together, as guesses are.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{Generator, ModelFolder, SamplerOptions, Tokenizer, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let (config, generation) = (folder.config()?, folder.generation_config()?);
/// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
/// let model = models::load(&folder)?;
/// let prompt = tokenizer.encode_prompt("Once upon a time")?;
/// let choices = Generator::new(model, &prompt, SamplerOptions::greedy())?.take(5);
/// let tokens: Vec<u32> = choices.map(|choice| Ok(choice?.token)).collect::<olivine_lm::Result<_>>()?;
/// assert!(!tokenizer.decode(&tokens)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Generator<M> {
    model: M,
    sampler: Sampler,
    options: GeneratorOptions,
    caches: Vec<Cache>,
    /// The prompt and what has been chosen.
    tokens: Vec<u32>,
    /// How many of the tokens the caches have seen.
    seen: usize,
    /// Chosen and checked, but not yet returned.
    ready: VecDeque<Choice>,
    draft: Option<Box<dyn Draft>>,
    accepted: usize,
    finished: bool,
}

impl<M: Deref<Target: LanguageModel>> Generator<M> {
    /// How many tokens there is room for beyond a prompt.
    const ROOM: usize = 128;

    /// More are not checked at once: caches with a window can take back only so many.
    const MOST_GUESSES: usize = 32;

    /// Continues `prompt`, which must hold at least one token, with a sampler or its options.
    ///
    /// The model may be borrowed, boxed or shared.
    ///
    /// # Errors
    /// An empty prompt, a token outside the vocabulary, options out of range.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let first = Generator::new(&*model, &[5, 6, 7], SamplerOptions::greedy())?.next();
    /// assert!(first.is_some_and(|token| token.is_ok()));
    /// assert!(Generator::new(&*model, &[], SamplerOptions::greedy()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new<S>(model: M, prompt: &[u32], sampler: S) -> Result<Self>
    where
        S: TryInto<Sampler>,
        Error: From<S::Error>,
    {
        Self::with_options(model, prompt, sampler, GeneratorOptions::default())
    }

    /// As [`Generator::new`], with options.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, GeneratorOptions, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let options = GeneratorOptions { prefill_chunk: 2, ..Default::default() };
    /// let chunked = Generator::with_options(&*model, &[5, 6, 7], SamplerOptions::greedy(), options)?;
    /// let whole = Generator::new(&*model, &[5, 6, 7], SamplerOptions::greedy())?;
    /// let token = |mut of: Generator<_>| of.next().unwrap().unwrap().token;
    /// assert_eq!(token(chunked), token(whole));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_options<S>(
        model: M,
        prompt: &[u32],
        sampler: S,
        options: GeneratorOptions,
    ) -> Result<Self>
    where
        S: TryInto<Sampler>,
        Error: From<S::Error>,
    {
        options.check(prompt, model.vocab_size())?;
        Ok(Generator {
            sampler: sampler.try_into()?,
            caches: options.limited(model.caches()),
            model,
            options,
            tokens: prompt.to_vec(),
            seen: 0,
            ready: VecDeque::new(),
            draft: None,
            accepted: 0,
            finished: false,
        })
    }

    /// The same generator, with guesses of what comes next: they are checked together, at most 32 at
    /// a time, which costs little more than one token, and change nothing of what is generated.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, ModelFolder, NgramDraft, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let plain = || Generator::new(&*model, &[5, 6, 7], SamplerOptions::greedy()).unwrap();
    /// let tokens = |of: Generator<_>| -> Vec<u32> { of.take(20).map(|c| c.unwrap().token).collect() };
    /// assert_eq!(tokens(plain().guessing(NgramDraft::default())), tokens(plain()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn guessing(mut self, draft: impl Draft + 'static) -> Self {
        self.draft = Some(Box::new(draft));
        self
    }

    /// The same generator, which starts from what a cache remembers of the prompt's beginning.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut first = Generator::new(&*model, &[5, 6, 7, 8], SamplerOptions::greedy())?;
    /// first.next();
    /// let cache = first.into_cache();
    /// // Three tokens are the same; the fourth is read anew.
    /// let again = Generator::new(&*model, &[5, 6, 7, 9], SamplerOptions::greedy())?.after(cache);
    /// assert_eq!(again.reused(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after(mut self, mut cache: PromptCache) -> Self {
        // The last token is read again, since its logits choose the next.
        let most = self.tokens.len() - 1;
        let same = cache.common(&self.tokens).min(most);
        if let Some(len) = cache.rewind(same) {
            self.seen = len;
            self.caches = cache.caches;
        }
        self
    }

    /// How many tokens of the prompt need not be read, as a cache remembers them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// assert_eq!(Generator::new(&*model, &[5, 6], SamplerOptions::greedy())?.reused(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reused(&self) -> usize {
        self.seen
    }

    /// How many tokens were guessed right so far, by a draft or because a grammar left no choice.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// assert_eq!(Generator::new(&*model, &[5, 6], SamplerOptions::greedy())?.guessed(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn guessed(&self) -> usize {
        self.accepted
    }

    /// What is remembered of all tokens so far, for a prompt that starts with them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut generator = Generator::new(&*model, &[5, 6, 7], SamplerOptions::greedy())?;
    /// generator.next();
    /// assert_eq!(generator.into_cache().tokens(), &[5, 6, 7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_cache(self) -> PromptCache {
        PromptCache::new(self.tokens[..self.seen].to_vec(), self.caches)
    }

    /// Reads the prompt, but for its last token; `progress` is told how much of it has been read,
    /// and false stops: what has been read stays read.
    ///
    /// The first call of `next` does this, too; alone it serves to fill a cache.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Generator, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut generator = Generator::new(&*model, &[5, 6, 7], SamplerOptions::greedy())?;
    /// generator.prefill(&mut |_read, _all| true)?;
    /// assert_eq!(generator.into_cache().tokens().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefill(&mut self, progress: &mut dyn FnMut(usize, usize) -> bool) -> Result<()> {
        let all = self.tokens.len() - 1;
        let room = all + Self::ROOM;
        while self.seen < all {
            let end = all.min(self.seen + self.options.prefill_chunk.max(1));
            self.options.reserve(&mut self.caches, room, self.seen);
            self.feed(self.seen, end, 1)?;
            self.options.reserve(&mut self.caches, room, end);
            self.options.pack(&mut self.caches)?;
            // What the caches keep is all that is needed of these.
            eval(self.caches.iter().flat_map(Cache::arrays))?;
            if !progress(end, all) {
                break;
            }
        }
        Ok(())
    }

    /// The hidden states of tokens that the caches have not seen, or at least of the last `wanted` ones.
    fn feed(&mut self, start: usize, end: usize, wanted: usize) -> Result<Array> {
        let tokens = Array::from_slice(&self.tokens[start..end], [1, end - start])?;
        let hidden = self.model.hidden(
            &tokens,
            &mut Sequences::one(&mut self.caches).wanting(wanted),
        )?;
        self.seen = end;
        Ok(hidden)
    }

    /// Chooses the next tokens: one, and those that were guessed right.
    fn advance(&mut self) -> Result<()> {
        let unseen = self.tokens.len() - self.seen;
        if unseen > 1 {
            // So that a short prompt is read at once.
            if unseen > self.options.prefill_chunk {
                self.prefill(&mut |_, _| true)?;
            }
        }
        let forced = self.sampler.forced();
        let guesses = match &mut self.draft {
            _ if !forced.is_empty() => forced,
            Some(draft) if unseen == 1 => draft.guess(&self.tokens)?,
            _ => Vec::new(),
        };
        let vocabulary = self.model.vocab_size();
        let guesses: Vec<u32> = guesses
            .into_iter()
            .take(Self::MOST_GUESSES)
            .take_while(|&guess| (guess as usize) < vocabulary)
            .collect();
        if guesses.is_empty() {
            let hidden = self.feed(self.seen, self.tokens.len(), 1)?;
            let logits = self.model.logits(&hidden.index((.., -1))?)?;
            self.options.pack(&mut self.caches)?;
            // The logits do not need what has just been packed.
            eval(self.caches.iter().flat_map(Cache::arrays).chain([&logits]))?;
            let choice = self.sampler.sample(&floats(&logits)?, &self.tokens)?;
            self.tokens.push(choice.token);
            self.ready.push_back(choice);
            return Ok(());
        }
        self.check_guesses(&guesses)
    }

    /// Feeds the last token and the guesses, keeps those that the model would have chosen, and
    /// forgets the rest.
    fn check_guesses(&mut self, guesses: &[u32]) -> Result<()> {
        let start = self.seen;
        let states = snapshot(&self.caches);
        let chosen = self.tokens.len();
        self.tokens.extend(guesses);
        let hidden = self.feed(start, self.tokens.len(), guesses.len() + 1)?;
        let judged = hidden.index((.., -(guesses.len() as i64 + 1)..))?;
        let logits = self.model.logits(&judged)?;
        let rows = floats(&logits)?;
        let vocabulary = rows.len() / (guesses.len() + 1);
        self.tokens.truncate(chosen);
        for (i, row) in rows.chunks_exact(vocabulary).enumerate() {
            let choice = self.sampler.sample(row, &self.tokens)?;
            let right = guesses.get(i) == Some(&choice.token);
            self.tokens.push(choice.token);
            self.ready.push_back(choice);
            if !right || self.sampler.is_finished() {
                break;
            }
            self.accepted += 1;
        }
        // The last choice has not been fed.
        let kept = self.tokens.len() - 1;
        if self.seen > kept && !truncate(&mut self.caches, kept) {
            restore(&mut self.caches, &states, start);
            self.seen = start;
            self.feed(start, kept, 1)?;
        }
        self.seen = kept;
        Ok(())
    }
}

impl<M: Deref<Target: LanguageModel>> Iterator for Generator<M> {
    type Item = Result<Choice>;

    fn next(&mut self) -> Option<Result<Choice>> {
        if let Some(choice) = self.ready.pop_front() {
            return Some(Ok(choice));
        }
        if self.finished || self.sampler.is_finished() {
            return None;
        }
        if let Err(error) = self.advance() {
            self.finished = true;
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Refuses prompts that are empty or have tokens that no model of the size knows.
pub(crate) fn check(prompt: &[u32], vocab_size: usize) -> Result<()> {
    if prompt.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    match prompt.iter().find(|&&id| id as usize >= vocab_size) {
        Some(&id) => Err(Error::UnknownToken { id, vocab_size }),
        None => Ok(()),
    }
}

/// Logits as a sampler takes them.
pub(crate) fn floats(logits: &Array) -> Result<Vec<f32>> {
    Ok(logits.astype(Dtype::Float32)?.to_vec::<f32>()?)
}

/// Forgets all but the first tokens in all caches, or in none.
pub(crate) fn truncate(caches: &mut [Cache], len: usize) -> bool {
    let possible = caches.iter().all(|cache| cache.can_truncate(len));
    if possible {
        for cache in caches {
            cache.truncate(len);
        }
    }
    possible
}

/// The states of recurrences, which cannot go back by themselves.
fn snapshot(caches: &[Cache]) -> Vec<Option<Cache>> {
    caches
        .iter()
        .map(|cache| (!cache.is_kv()).then(|| cache.clone()))
        .collect()
}

/// Puts states back to where they were, and truncates keys and values.
fn restore(caches: &mut [Cache], states: &[Option<Cache>], len: usize) {
    for (cache, state) in caches.iter_mut().zip(states) {
        match state {
            Some(state) => *cache = state.clone(),
            None => {
                cache.truncate(len);
            }
        }
    }
}
