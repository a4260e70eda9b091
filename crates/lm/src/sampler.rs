//! Owns the choice of the next token from a model's logits, as lazy array operations.

use olivine_core::{Array, Dtype, Result, keep, random};

use crate::SamplerOptions;

/// Chooses tokens. The choice is an array, so it can be computed while the last one is printed.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_lm::{Sampler, SamplerOptions};
/// let logits = Array::from_slice(&[0.1f32, 2.0, 0.3], [1, 3])?;
/// let token = Sampler::new(SamplerOptions::greedy())?.sample(&logits)?;
/// assert_eq!(token.to_vec::<u32>()?, [1]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct Sampler {
    options: SamplerOptions,
    key: Array,
}

impl Sampler {
    /// A sampler with validated options. Without a seed, one is drawn from the clock.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// let options = SamplerOptions { temperature: 1.0, seed: Some(7), ..Default::default() };
    /// let logits = Array::zeros([1, 1000], Dtype::Float32)?;
    /// // The same seed, the same choice.
    /// let choose = || Sampler::new(options)?.sample(&logits)?.item::<u32>();
    /// assert_eq!(choose()?, choose()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(options: SamplerOptions) -> Result<Self> {
        let seed = options.seed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(0, |time| time.as_nanos() as u64)
        });
        Ok(Sampler {
            options,
            key: random::key(seed),
        })
    }

    /// One token for each row of `logits` (batch, vocabulary), as uint32.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{Sampler, SamplerOptions};
    /// let logits = array!([[0.0, 9.0], [9.0, 0.0]]);
    /// let tokens = Sampler::new(SamplerOptions::greedy())?.sample(&logits)?;
    /// assert_eq!(tokens.to_vec::<u32>()?, [1, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sample(&mut self, logits: &Array) -> Result<Array> {
        if self.options.is_greedy() {
            return logits.argmax(-1);
        }
        let SamplerOptions {
            temperature,
            top_k,
            top_p,
            min_p,
            ..
        } = self.options;
        let mut logits = logits.astype(Dtype::Float32)?.divide(temperature)?;
        let vocabulary = logits.dim(-1)?;
        if (1..vocabulary).contains(&top_k) {
            let least = logits.topk(top_k, -1)?.min(keep(-1))?;
            logits = without(&logits, &logits.less(least)?)?;
        }
        if top_p < 1.0 {
            logits = without(&logits, &outside_nucleus(&logits, top_p)?)?;
        }
        if min_p > 0.0 {
            let least = logits.max(keep(-1))?.add(min_p.ln())?;
            logits = without(&logits, &logits.less(least)?)?;
        }
        let keys = random::split(&self.key, 2)?;
        self.key = keys.index(0)?;
        random::Categorical::new(&logits)
            .key(&keys.index(1)?)
            .sample()
    }
}

/// The logits with some tokens made impossible.
fn without(logits: &Array, out: &Array) -> Result<Array> {
    out.select(f32::NEG_INFINITY, logits)
}

/// True for tokens that come after the likeliest ones which together reach probability `top_p`.
fn outside_nucleus(logits: &Array, top_p: f32) -> Result<Array> {
    let probabilities = logits.softmax(-1)?;
    let order = probabilities.negative()?.argsort(-1)?;
    let sorted = probabilities.take_along_axis(&order, -1)?;
    // What is likelier than a token, without itself: the likeliest one always stays.
    let before = sorted.cumsum(-1)?.subtract(&sorted)?;
    let out = before.greater_equal(top_p)?;
    let places = order.argsort(-1)?;
    out.take_along_axis(&places, -1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const LOGITS: [f32; 5] = [0.5, 3.0, 1.0, 2.5, -1.0];

    fn drawn(options: SamplerOptions) -> HashSet<u32> {
        let logits = Array::from_slice(&LOGITS, [1, 5]).unwrap();
        let mut sampler = Sampler::new(SamplerOptions {
            seed: Some(7),
            ..options
        })
        .unwrap();
        (0..200)
            .map(|_| sampler.sample(&logits).unwrap().item::<u32>().unwrap())
            .collect()
    }

    fn hot() -> SamplerOptions {
        SamplerOptions {
            temperature: 3.0,
            ..SamplerOptions::greedy()
        }
    }

    #[test]
    fn greedy_takes_the_likeliest() {
        assert_eq!(drawn(SamplerOptions::greedy()), HashSet::from([1]));
    }

    #[test]
    fn temperature_alone_reaches_every_token() {
        assert_eq!(drawn(hot()).len(), 5);
    }

    #[test]
    fn top_k_keeps_the_k_likeliest() {
        assert_eq!(
            drawn(SamplerOptions { top_k: 2, ..hot() }),
            HashSet::from([1, 3])
        );
    }

    #[test]
    fn top_p_keeps_the_nucleus() {
        let sharp = SamplerOptions {
            temperature: 1.0,
            top_p: 0.6,
            ..SamplerOptions::greedy()
        };
        assert_eq!(drawn(sharp), HashSet::from([1, 3]));
        assert_eq!(
            drawn(SamplerOptions {
                top_p: 0.01,
                ..sharp
            }),
            HashSet::from([1])
        );
    }

    #[test]
    fn min_p_is_relative_to_the_likeliest() {
        let options = SamplerOptions {
            temperature: 1.0,
            min_p: 0.5,
            ..SamplerOptions::greedy()
        };
        assert_eq!(drawn(options), HashSet::from([1, 3]));
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens() {
        let logits = Array::from_slice(&LOGITS, [1, 5]).unwrap();
        let run = |seed| -> Vec<u32> {
            let options = SamplerOptions {
                seed: Some(seed),
                ..hot()
            };
            let mut sampler = Sampler::new(options).unwrap();
            (0..20)
                .map(|_| sampler.sample(&logits).unwrap().item::<u32>().unwrap())
                .collect()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
