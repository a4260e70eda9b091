//! Owns the options that shape how the next token is chosen, and their validity.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the next token is chosen from the model's logits.
///
/// The filters apply in the order top-k, top-p, min-p; a filter at its neutral value is off.
///
/// ```
/// use olivine_lm::SamplerOptions;
/// let options: SamplerOptions = serde_json::from_str(r#"{"temperature": 0.5, "top_k": 3}"#)?;
/// assert_eq!((options.top_k, options.top_p), (3, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerOptions {
    /// Divides the logits; 0 picks the most likely token always.
    pub temperature: f32,
    /// Keeps this many of the most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest tokens whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this likely relative to the most likely one; 0 keeps all.
    pub min_p: f32,
    /// Makes sampling repeatable; without it each run differs.
    pub seed: Option<u64>,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self::greedy()
    }
}

impl SamplerOptions {
    /// Always the most likely token.
    ///
    /// ```
    /// use olivine_lm::SamplerOptions;
    /// assert_eq!(SamplerOptions::greedy().temperature, 0.0);
    /// ```
    pub const fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: None,
        }
    }

    /// Whether every token is the most likely one, so that no random numbers are needed.
    ///
    /// ```
    /// use olivine_lm::SamplerOptions;
    /// // Of one token there is no choice, however hot.
    /// let one = SamplerOptions { temperature: 2.0, top_k: 1, ..SamplerOptions::greedy() };
    /// assert!(one.is_greedy());
    /// ```
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0 || self.top_k == 1
    }

    /// Checks every option's range and returns the options unchanged.
    ///
    /// # Errors
    /// [`Error::SamplerOption`] for NaN, infinite or negative values, `top_p` outside (0, 1] and
    /// `min_p` outside [0, 1].
    ///
    /// ```
    /// use olivine_lm::SamplerOptions;
    /// assert!(SamplerOptions::greedy().validate().is_ok());
    /// assert!(SamplerOptions { top_p: 1.5, ..SamplerOptions::greedy() }.validate().is_err());
    /// ```
    pub fn validate(self) -> Result<Self> {
        let check = |option, value: f32, fits: bool, expected| {
            if fits {
                Ok(())
            } else {
                Err(Error::SamplerOption {
                    option,
                    value: value.to_string(),
                    expected,
                })
            }
        };
        let Self {
            temperature: t,
            top_p,
            min_p,
            ..
        } = self;
        check(
            "temperature",
            t,
            t.is_finite() && t >= 0.0,
            "a finite number, 0 or above",
        )?;
        check(
            "top_p",
            top_p,
            top_p > 0.0 && top_p <= 1.0,
            "above 0 and at most 1",
        )?;
        check(
            "min_p",
            min_p,
            (0.0..=1.0).contains(&min_p),
            "between 0 and 1",
        )?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_greedy_and_valid() {
        let options = SamplerOptions::default().validate().unwrap();
        assert!(options.is_greedy());
    }

    #[test]
    fn one_candidate_is_greedy_at_any_temperature() {
        let options = SamplerOptions {
            temperature: 1.0,
            top_k: 1,
            ..SamplerOptions::greedy()
        };
        assert!(options.is_greedy());
        assert!(
            !SamplerOptions {
                top_k: 2,
                ..options
            }
            .is_greedy()
        );
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let base = SamplerOptions::greedy();
        for bad in [f32::NAN, f32::INFINITY, -0.5] {
            for (option, options) in [
                (
                    "temperature",
                    SamplerOptions {
                        temperature: bad,
                        ..base
                    },
                ),
                ("top_p", SamplerOptions { top_p: bad, ..base }),
                ("min_p", SamplerOptions { min_p: bad, ..base }),
            ] {
                let error = options.validate().unwrap_err();
                assert!(
                    matches!(error, Error::SamplerOption { option: named, .. } if named == option),
                    "{option} = {bad}: {error}"
                );
            }
        }
        for options in [
            SamplerOptions { top_p: 0.0, ..base },
            SamplerOptions {
                top_p: 1.01,
                ..base
            },
            SamplerOptions {
                min_p: 1.01,
                ..base
            },
        ] {
            assert!(options.validate().is_err(), "{options:?}");
        }
        assert!(
            SamplerOptions {
                top_p: 1.0,
                min_p: 1.0,
                ..base
            }
            .validate()
            .is_ok()
        );
    }
}
