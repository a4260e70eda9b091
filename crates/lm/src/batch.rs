//! Owns generating several texts at once: requests join and leave between tokens.

use std::{collections::VecDeque, ops::Deref};

use olivine_core::{Array, eval, stack};

use crate::{
    Cache, Choice, GeneratorOptions, LanguageModel, PromptCache, Result, Sampler, Sequences,
    generate::floats,
};

/// One of the texts of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

/// What a step brought for one text.
///
/// ```
/// use olivine_lm::BatchEvent;
/// fn token(event: &BatchEvent) -> Option<u32> {
///     match event {
///         BatchEvent::Token(choice) => Some(choice.token),
///         BatchEvent::Finished | BatchEvent::Failed(_) => None,
///     }
/// }
/// assert_eq!(token(&BatchEvent::Finished), None);
/// ```
#[derive(Debug)]
pub enum BatchEvent {
    /// The next token.
    Token(Choice),
    /// Its grammar has come to its end; it has left.
    Finished,
    /// Something is wrong with it, and only with it; it has left.
    Failed(crate::Error),
}

/// Texts that are generated together.
///
/// Every step reads a piece of the prompts that have not been read yet and makes one token of each
/// text whose prompt has been. Weights are read once for all of them, which is what takes time, so
/// eight texts take little longer than one. Each text is the same that it would be alone.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{Batch, BatchEvent, ModelFolder, SamplerOptions, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let model = models::load(&ModelFolder::open(path)?)?;
/// let mut batch = Batch::new(&*model, Default::default());
/// let long = batch.add(&[5, 6, 7, 8], SamplerOptions::greedy())?;
/// let short = batch.add(&[9], SamplerOptions::greedy())?;
/// let first = batch.step()?;
/// assert_eq!(first.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [long, short]);
/// batch.remove(long);
/// assert!(matches!(batch.step()?[..], [(id, BatchEvent::Token(_))] if id == short));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch<M> {
    model: M,
    options: GeneratorOptions,
    rows: Vec<Row>,
    waiting: VecDeque<Row>,
    most: usize,
    next: u64,
}

struct Row {
    id: RequestId,
    sampler: Sampler,
    caches: Vec<Cache>,
    tokens: Vec<u32>,
    seen: usize,
}

impl<M: Deref<Target: LanguageModel>> Batch<M> {
    /// No texts yet. Prompts are read in pieces of `prefill_chunk` tokens at most, all together.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Batch, ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// assert!(Batch::new(model, Default::default()).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(model: M, options: GeneratorOptions) -> Self {
        const MOST: usize = 64;
        Batch {
            model,
            options,
            rows: Vec::new(),
            waiting: VecDeque::new(),
            most: MOST,
            next: 0,
        }
    }

    /// The same batch, in which at most so many texts are generated at once; others wait.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Batch, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut batch = Batch::new(model, Default::default()).at_most(1);
    /// batch.add(&[5], SamplerOptions::greedy())?;
    /// batch.add(&[6], SamplerOptions::greedy())?;
    /// assert_eq!(batch.step()?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at_most(mut self, texts: usize) -> Self {
        self.most = texts.max(1);
        self
    }

    /// Adds a text that continues `prompt`.
    ///
    /// # Errors
    /// A prompt that is empty or too long, a token outside the vocabulary, options out of range.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Batch, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut batch = Batch::new(model, Default::default());
    /// assert!(batch.add(&[], SamplerOptions::greedy()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add<S>(&mut self, prompt: &[u32], sampler: S) -> Result<RequestId>
    where
        S: TryInto<Sampler>,
        crate::Error: From<S::Error>,
    {
        self.options.check(prompt, self.model.vocab_size())?;
        let id = RequestId(self.next);
        self.next += 1;
        self.waiting.push_back(Row {
            id,
            sampler: sampler.try_into()?,
            caches: self.options.limited(self.model.caches()),
            tokens: prompt.to_vec(),
            seen: 0,
        });
        Ok(id)
    }

    /// Takes a text out; returns what is remembered of it, if it is there.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Batch, ModelFolder, SamplerOptions, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut batch = Batch::new(model, Default::default());
    /// let id = batch.add(&[5, 6], SamplerOptions::greedy())?;
    /// batch.step()?;
    /// assert_eq!(batch.remove(id).unwrap().tokens(), &[5, 6]);
    /// assert!(batch.remove(id).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&mut self, id: RequestId) -> Option<PromptCache> {
        self.waiting.retain(|row| row.id != id);
        let place = self.rows.iter().position(|row| row.id == id)?;
        let row = self.rows.remove(place);
        Some(PromptCache::new(
            row.tokens[..row.seen].to_vec(),
            row.caches,
        ))
    }

    /// True if there are no texts, neither in work nor waiting.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Batch, ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// assert!(Batch::new(model, Default::default()).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.waiting.is_empty()
    }

    /// Reads a piece of the prompts and makes one token of each text whose prompt has been read,
    /// in the order in which they were added.
    ///
    /// # Errors
    /// Those of computing, such as too little memory: they end all texts in work, since none of them has seen its
    /// last tokens. Those that wait begin with the next step.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Batch, ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// assert!(Batch::new(model, Default::default()).step()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn step(&mut self) -> Result<Vec<(RequestId, BatchEvent)>> {
        let events = self.advance();
        if events.is_err() {
            self.rows.clear();
        }
        events
    }

    fn advance(&mut self) -> Result<Vec<(RequestId, BatchEvent)>> {
        while self.rows.len() < self.most
            && let Some(row) = self.waiting.pop_front()
        {
            self.rows.push(row);
        }
        let pieces = self.pieces();
        let mut fed: Vec<u32> = Vec::new();
        for (row, &piece) in self.rows.iter().zip(&pieces) {
            fed.extend(&row.tokens[row.seen..row.seen + piece]);
        }
        if fed.is_empty() {
            return Ok(Vec::new());
        }
        let tokens = Array::from_slice(&fed, [1, fed.len()])?;
        let taking = self
            .rows
            .iter_mut()
            .zip(&pieces)
            .filter(|(_, piece)| **piece > 0);
        let sequences = taking.map(|(row, &piece)| (piece, &mut row.caches[..]));
        let hidden = self
            .model
            .hidden(&tokens, &mut Sequences::many(sequences))?;

        // Only the last token of a text that has been read chooses something.
        let (mut end, mut last, mut choosing) = (0, Vec::new(), Vec::new());
        for (place, (row, &piece)) in self.rows.iter_mut().zip(&pieces).enumerate() {
            end += piece;
            row.seen += piece;
            if piece > 0 && row.seen == row.tokens.len() {
                last.push(hidden.index((0, end as i64 - 1))?);
                choosing.push(place);
            }
        }
        for row in &mut self.rows {
            self.options.pack(&mut row.caches)?;
        }
        let kept = self
            .rows
            .iter()
            .flat_map(|row| row.caches.iter().flat_map(Cache::arrays));
        if choosing.is_empty() {
            eval(kept)?;
            return Ok(Vec::new());
        }
        let logits = self.model.logits(&stack(&last, 0)?)?;
        eval(kept.chain([&logits]))?;
        let all = floats(&logits)?;
        let vocabulary = all.len() / choosing.len();
        let mut events = Vec::with_capacity(choosing.len());
        for (&place, logits) in choosing.iter().zip(all.chunks_exact(vocabulary)) {
            let row = &mut self.rows[place];
            let event = if row.sampler.is_finished() {
                BatchEvent::Finished
            } else {
                match row.sampler.sample(logits, &row.tokens) {
                    Ok(choice) => {
                        row.tokens.push(choice.token);
                        BatchEvent::Token(choice)
                    }
                    Err(error) => BatchEvent::Failed(error),
                }
            };
            events.push((row.id, event));
        }
        for (id, event) in &events {
            if !matches!(event, BatchEvent::Token(_)) {
                self.rows.retain(|row| row.id != *id);
            }
        }
        Ok(events)
    }

    /// How many tokens of each text the next step takes: one of those that are being written, and
    /// what the first others can have of a chunk.
    fn pieces(&self) -> Vec<usize> {
        let mut room = self.options.prefill_chunk.max(1);
        let piece = |row: &Row| {
            let unseen = row.tokens.len() - row.seen;
            if unseen == 1 {
                return 1;
            }
            let piece = unseen.min(room);
            room -= piece;
            piece
        };
        self.rows.iter().map(piece).collect()
    }
}
