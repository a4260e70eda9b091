//! Owns the choice of the next token from one row of a model's logits.

mod candidates;
mod penalties;
mod weights;

use std::collections::HashSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use self::candidates::Candidates;
use crate::{Error, Matcher, Result, SamplerOptions, Tokenizer};

/// Chooses tokens one after another, for one sequence.
///
/// The steps, in the order of mlx-lm where it has them:
///
/// 1. `logit_bias`, `repetition_penalty`, `presence_penalty`, `frequency_penalty`;
/// 2. DRY;
/// 3. the grammar, if there is one;
/// 4. with temperature 0 the likeliest token is taken here;
/// 5. `typical_p`, `top_p`, `min_p`, XTC, `top_k`, each on what is left by the one before;
/// 6. the temperature: the filters judge the model's own probabilities, not heated ones;
/// 7. the draw. With Mirostat, its cut comes after the temperature and step 5 is left out.
///
/// A seed gives the same tokens on every platform.
///
/// ```
/// use olivine_lm::{Sampler, SamplerOptions};
/// let mut sampler = Sampler::new(SamplerOptions::greedy())?;
/// let choice = sampler.sample(&[0.1, 2.0, 0.3], &[])?;
/// assert_eq!(choice.token, 1);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
pub struct Sampler {
    options: SamplerOptions,
    random: ChaCha8Rng,
    breakers: HashSet<u32>,
    /// Tokens that XTC never excludes.
    special: HashSet<u32>,
    grammar: Option<Matcher>,
    /// The greatest surprise that Mirostat lets pass, in bits.
    most_surprise: f64,
    candidates: Candidates,
}

/// A chosen token and how likely the model itself found it, before any option applied.
///
/// ```
/// use olivine_lm::{Sampler, SamplerOptions};
/// let options = SamplerOptions { logprobs: 2, ..SamplerOptions::greedy() };
/// let choice = Sampler::new(options)?.sample(&[0.0, 0.0, -9.0], &[])?;
/// assert!((choice.logprob.exp() - 0.5).abs() < 1e-3);
/// let tokens: Vec<u32> = choice.top.iter().map(|&(token, _)| token).collect();
/// assert_eq!(tokens, [0, 1]);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// The natural logarithm of its probability.
    pub logprob: f32,
    /// The model's likeliest tokens with theirs, likeliest first; as many as `logprobs` asks for.
    pub top: Vec<(u32, f32)>,
}

/// The model's own probabilities, as logarithms.
struct Own {
    log_total: f64,
    top: Vec<(u32, f32)>,
}

impl TryFrom<SamplerOptions> for Sampler {
    type Error = crate::Error;

    fn try_from(options: SamplerOptions) -> Result<Self> {
        Self::new(options)
    }
}

impl Sampler {
    /// A sampler that knows nothing of the tokens' texts. Without a seed, one is drawn from the clock.
    ///
    /// # Errors
    /// [`Error::SamplerOption`] for options out of range, and for DRY with sequence breakers, whose
    /// tokens only [`Sampler::with_tokenizer`] finds.
    ///
    /// ```
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// let options = SamplerOptions { temperature: 1.0, seed: Some(7), ..Default::default() };
    /// let logits = vec![0.0; 1000];
    /// // The same seed, the same choice.
    /// let choose = || Sampler::new(options.clone())?.sample(&logits, &[]);
    /// assert_eq!(choose()?, choose()?);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn new(options: SamplerOptions) -> Result<Self> {
        let options = options.validate()?;
        if options.dry_multiplier > 0.0 && !options.dry_sequence_breakers.is_empty() {
            return Err(Error::SamplerOption {
                option: "dry_sequence_breakers",
                value: format!("{:?}", options.dry_sequence_breakers),
                expected: "empty where no tokenizer finds their tokens",
            });
        }
        Ok(Self::over(options))
    }

    /// A sampler for a model with this tokenizer: it finds the tokens of DRY's sequence breakers, and
    /// those that end a text or a line, which XTC never excludes.
    ///
    /// A token breaks sequences if its text contains a breaker. If no token's does, the last one that
    /// spells the breaker breaks them.
    ///
    /// # Errors
    /// [`Error::SamplerOption`] for options out of range.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// let options = SamplerOptions { dry_multiplier: 0.8, ..SamplerOptions::greedy() };
    /// assert!(Sampler::with_tokenizer(options, &tokenizer).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_tokenizer(options: SamplerOptions, tokenizer: &Tokenizer) -> Result<Self> {
        let mut sampler = Self::over(options.validate()?);
        if sampler.options.dry_multiplier > 0.0 {
            for breaker in &sampler.options.dry_sequence_breakers {
                let found = tokenizer.tokens_containing(breaker)?;
                if found.is_empty() {
                    sampler.breakers.extend(tokenizer.encode(breaker)?.last());
                }
                sampler.breakers.extend(found);
            }
        }
        sampler.special.extend(tokenizer.eos_ids());
        sampler.special.extend(tokenizer.encode("\n")?);
        Ok(sampler)
    }

    /// Lets only tokens through that continue a grammar's output.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{ModelFolder, Tokenizer};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let (config, generation) = (folder.config()?, folder.generation_config()?);
    /// let tokenizer = Tokenizer::load(&folder, &config, &generation)?;
    /// use olivine_lm::{Grammar, Sampler, SamplerOptions};
    /// let matcher = Grammar::regex("(yes|no)")?.matcher(&tokenizer)?;
    /// let mut sampler = Sampler::new(SamplerOptions::greedy())?.with_grammar(matcher);
    /// let mut tokens = Vec::new();
    /// while !sampler.is_finished() {
    ///     let logits = vec![0.0; tokenizer.vocab_size()];
    ///     tokens.push(sampler.sample(&logits, &tokens)?.token);
    /// }
    /// assert!(["yes", "no"].contains(&&*tokenizer.decode(&tokens)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_grammar(mut self, matcher: Matcher) -> Self {
        self.grammar = Some(matcher);
        self
    }

    fn over(options: SamplerOptions) -> Self {
        let seed = options.seed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(0, |time| time.as_nanos() as u64)
        });
        Sampler {
            random: ChaCha8Rng::seed_from_u64(seed),
            breakers: HashSet::new(),
            special: HashSet::new(),
            grammar: None,
            most_surprise: 2.0 * f64::from(options.mirostat_tau),
            candidates: Candidates::default(),
            options,
        }
    }

    /// The options that the sampler was made with.
    ///
    /// ```
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// let sampler = Sampler::new(SamplerOptions::greedy())?;
    /// assert!(sampler.options().is_greedy());
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn options(&self) -> &SamplerOptions {
        &self.options
    }

    /// Whether the grammar's output is complete and nothing may follow; false without a grammar.
    ///
    /// ```
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// assert!(!Sampler::new(SamplerOptions::greedy())?.is_finished());
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        self.grammar.as_ref().is_some_and(Matcher::is_finished)
    }

    /// Tokens that the grammar's next text is likely to be made of, where it leaves no choice of text.
    pub(crate) fn forced(&mut self) -> Vec<u32> {
        match &mut self.grammar {
            Some(grammar) => grammar.forced(),
            None => Vec::new(),
        }
    }

    /// Chooses a token: `logits` are one for each token of the vocabulary, and `history` is the prompt
    /// and what was generated.
    ///
    /// NaN counts as impossible. Infinite logits share all probability between them.
    ///
    /// # Errors
    /// [`Error::NoPossibleToken`] if nothing is left to choose from.
    ///
    /// ```
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// let options = SamplerOptions { presence_penalty: 1.0, ..SamplerOptions::greedy() };
    /// let mut sampler = Sampler::new(options)?;
    /// // Token 1 has just been used.
    /// assert_eq!(sampler.sample(&[0.5, 1.0], &[1])?.token, 0);
    /// assert!(sampler.sample(&[f32::NAN, f32::NEG_INFINITY], &[]).is_err());
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn sample(&mut self, logits: &[f32], history: &[u32]) -> Result<Choice> {
        let own = self.narrow(logits, history)?;
        let token = if self.options.is_greedy() {
            self.candidates.likeliest()
        } else {
            // 53 random bits, as many as a number below one has.
            let place = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            self.candidates.at(place)
        };
        self.accept(token)?;
        // An infinite logit is certain, whatever it shares the certainty with.
        let logprob = match logits[token as usize] {
            logit if logit.is_finite() => (f64::from(logit) - own.log_total) as f32,
            _ => -own.log_total as f32,
        };
        Ok(Choice {
            token,
            logprob,
            top: own.top,
        })
    }

    /// The probabilities that [`Sampler::sample`] draws with, of every token that is possible; what
    /// speculative decoding compares. The token that is taken in the end has to be told to
    /// [`Sampler::accept`].
    ///
    /// # Errors
    /// [`Error::NoPossibleToken`] if nothing is left to choose from.
    ///
    /// ```
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// let options = SamplerOptions { temperature: 1.0, top_k: 2, ..SamplerOptions::greedy() };
    /// let likely = Sampler::new(options)?.distribution(&[1.0, 1.0, 0.0], &[])?;
    /// assert_eq!(likely, [(0, 0.5), (1, 0.5)]);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn distribution(&mut self, logits: &[f32], history: &[u32]) -> Result<Vec<(u32, f32)>> {
        self.narrow(logits, history)?;
        if self.options.is_greedy() {
            return Ok(vec![(self.candidates.likeliest(), 1.0)]);
        }
        Ok(self.candidates.probabilities())
    }

    /// Notes that a token was taken: the grammar and Mirostat go on from there.
    ///
    /// [`Sampler::sample`] does so itself.
    ///
    /// # Errors
    /// [`Error::NotInGrammar`] for a token that the grammar does not allow here.
    ///
    /// ```
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// let mut sampler = Sampler::new(SamplerOptions::greedy())?;
    /// sampler.distribution(&[0.0, 1.0], &[])?;
    /// sampler.accept(1)?;
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn accept(&mut self, token: u32) -> Result<()> {
        if self.steers() {
            let surprise = self.candidates.surprise(token);
            if surprise.is_finite() {
                let error = surprise - f64::from(self.options.mirostat_tau);
                self.most_surprise -= f64::from(self.options.mirostat_eta) * error;
            }
        }
        match &mut self.grammar {
            Some(grammar) => grammar.accept(token),
            None => Ok(()),
        }
    }

    fn steers(&self) -> bool {
        self.options.mirostat_tau > 0.0 && !self.options.is_greedy()
    }

    /// Every step up to the draw, in order.
    fn narrow(&mut self, logits: &[f32], history: &[u32]) -> Result<Own> {
        let options = &self.options;
        let candidates = &mut self.candidates;
        let impossible = |why| Error::NoPossibleToken {
            vocab_size: logits.len(),
            why,
        };
        if !candidates.start(logits) {
            return Err(impossible(
                "the model's logits are NaN or negative infinity",
            ));
        }
        let own = Own::of(candidates, options.logprobs);

        if options.changes_logits() || self.grammar.is_some() {
            let logits = &mut candidates.logits;
            penalties::bias(logits, &options.logit_bias);
            penalties::repetition(logits, history, options);
            penalties::presence(logits, history, options);
            penalties::frequency(logits, history, options);
            penalties::dry(logits, history, options, &self.breakers);
            if let Some(grammar) = &mut self.grammar {
                grammar.mask(logits)?;
            }
            if !candidates.changed() {
                return Err(impossible(
                    "the grammar allows none that the model finds possible",
                ));
            }
        }
        if options.is_greedy() {
            return Ok(own);
        }
        if options.mirostat_tau > 0.0 {
            candidates.temper(options.temperature);
            candidates.surprise_at_most(self.most_surprise);
            return Ok(own);
        }
        candidates.typical(options.typical_p);
        candidates.top_p(options.top_p);
        candidates.min_p(options.min_p);
        if options.xtc_probability > 0.0 {
            let place = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            if place < f64::from(options.xtc_probability) {
                candidates.xtc(options.xtc_threshold, &self.special);
            }
        }
        candidates.top_k(options.top_k);
        candidates.temper(options.temperature);
        Ok(own)
    }
}

impl Own {
    fn of(candidates: &mut Candidates, count: usize) -> Self {
        let log_total = candidates.log_total();
        let top = weights::greatest(&candidates.logits, count)
            .into_iter()
            .map(|(token, logit)| (token as u32, (f64::from(logit) - log_total) as f32))
            .collect();
        Self { log_total, top }
    }
}

impl SamplerOptions {
    fn changes_logits(&self) -> bool {
        !self.logit_bias.is_empty()
            || self.repetition_penalty != 1.0
            || self.presence_penalty != 0.0
            || self.frequency_penalty != 0.0
            || self.dry_multiplier != 0.0
    }
}

#[cfg(test)]
#[path = "sampler/tests.rs"]
mod tests;
