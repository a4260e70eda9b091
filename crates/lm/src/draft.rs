//! Owns guesses of the tokens to come, which a model checks many at once.

use std::ops::Deref;

use olivine_core::Array;

use crate::{
    Cache, LanguageModel, Result, Sequences,
    generate::{check, floats, truncate},
};

/// Guesses how a text goes on.
///
/// ```
/// use olivine_lm::{Draft, Result};
/// /// Guesses that the last token comes again.
/// struct Stutter;
/// impl Draft for Stutter {
///     fn guess(&mut self, tokens: &[u32]) -> Result<Vec<u32>> {
///         Ok(tokens.last().copied().into_iter().collect())
///     }
/// }
/// assert_eq!(Stutter.guess(&[1, 2])?, [2]);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
pub trait Draft: Send {
    /// Some tokens that may follow `tokens`; none is a good guess, too.
    fn guess(&mut self, tokens: &[u32]) -> Result<Vec<u32>>;
}

/// Guesses that a text goes on as it did when its last tokens occurred before.
///
/// ```
/// use olivine_lm::{Draft, NgramDraft};
/// let mut draft = NgramDraft { longest: 3, guesses: 2 };
/// assert_eq!(draft.guess(&[1, 2, 3, 4, 9, 1, 2])?, [3, 4]);
/// assert!(draft.guess(&[1, 2, 3])?.is_empty());
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NgramDraft {
    /// So many tokens are looked for first, then fewer.
    pub longest: usize,
    /// So many tokens are guessed.
    pub guesses: usize,
}

impl Default for NgramDraft {
    fn default() -> Self {
        NgramDraft {
            longest: 3,
            guesses: 8,
        }
    }
}

impl Draft for NgramDraft {
    fn guess(&mut self, tokens: &[u32]) -> Result<Vec<u32>> {
        for length in (1..=self.longest.min(tokens.len().saturating_sub(1))).rev() {
            let (earlier, last) = tokens.split_at(tokens.len() - length);
            // The latest occurrence says most about what comes.
            let found = (0..earlier.len())
                .rev()
                .find(|&start| tokens[start..].starts_with(last));
            if let Some(start) = found {
                let next = &tokens[start + length..];
                return Ok(next[..next.len().min(self.guesses)].to_vec());
            }
        }
        Ok(Vec::new())
    }
}

/// Guesses what a smaller model of the same vocabulary would say.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{Draft, ModelDraft, ModelFolder, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let small = models::load(&ModelFolder::open(path)?)?;
/// let mut draft = ModelDraft::new(small, 3);
/// assert_eq!(draft.guess(&[5, 6, 7])?.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ModelDraft<M> {
    model: M,
    guesses: usize,
    caches: Vec<Cache>,
    seen: Vec<u32>,
}

impl<M: Deref<Target: LanguageModel>> ModelDraft<M> {
    /// A draft of so many tokens by `model`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelDraft, ModelFolder, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let _draft = ModelDraft::new(models::load(&ModelFolder::open(path)?)?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(model: M, guesses: usize) -> Self {
        ModelDraft {
            caches: model.caches(),
            model,
            guesses,
            seen: Vec::new(),
        }
    }
}

impl<M: Deref<Target: LanguageModel> + Send> Draft for ModelDraft<M> {
    fn guess(&mut self, tokens: &[u32]) -> Result<Vec<u32>> {
        check(tokens, self.model.vocab_size())?;
        let same = tokens
            .iter()
            .zip(&self.seen)
            .take_while(|(a, b)| a == b)
            .count();
        let same = same.min(tokens.len() - 1);
        if !truncate(&mut self.caches, same) {
            self.caches = self.model.caches();
            self.seen.clear();
        }
        self.seen.truncate(same);
        let mut next = tokens[self.seen.len()..].to_vec();
        let mut guesses = Vec::with_capacity(self.guesses);
        while guesses.len() < self.guesses {
            let array = Array::from_slice(&next, [1, next.len()])?;
            let hidden = self
                .model
                .hidden(&array, &mut Sequences::one(&mut self.caches).wanting(1))?;
            self.seen.append(&mut next);
            let logits = floats(&self.model.logits(&hidden.index((.., -1))?)?)?;
            let best = logits
                .iter()
                .enumerate()
                .max_by(|(_, a), (_, b)| a.total_cmp(b));
            let Some((token, _)) = best else { break };
            guesses.push(token as u32);
            next.push(token as u32);
        }
        Ok(guesses)
    }
}
