//! Owns the options that shape how the next token is chosen, and their validity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the next token is chosen from the model's logits; an option at its default is off.
///
/// [`Sampler`](crate::Sampler) says in which order the options apply. With temperature 0 the likeliest
/// token is taken after the penalties, and the filters have nothing left to do.
///
/// ```
/// use olivine_lm::SamplerOptions;
/// let options: SamplerOptions = serde_json::from_str(
///     r#"{"temperature": 0.5, "top_k": 3, "logit_bias": {"17": -4.5}}"#,
/// )?;
/// assert_eq!((options.top_k, options.top_p), (3, 1.0));
/// assert_eq!(options.logit_bias[&17], -4.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Keeps the tokens whose surprise is closest to the expected one and which together reach this
    /// probability (locally typical sampling, <https://arxiv.org/abs/2202.00666>); 1 keeps all.
    pub typical_p: f32,
    /// How often the most likely tokens are excluded (XTC); 0 never.
    pub xtc_probability: f32,
    /// Tokens above this probability count as choices; XTC excludes all of them but the least likely.
    pub xtc_threshold: f32,
    /// Weight of the penalty on tokens that would continue a repetition (DRY); 0 is off.
    pub dry_multiplier: f32,
    /// How fast that penalty grows with the length of the repetition.
    pub dry_base: f32,
    /// The shortest repetition that is penalised.
    pub dry_allowed_length: usize,
    /// How many of the last tokens are searched for repetitions; 0 means all.
    pub dry_range: usize,
    /// Texts that no repetition reaches across.
    pub dry_sequence_breakers: Vec<String>,
    /// Divides positive logits of recent tokens and multiplies negative ones
    /// (<https://arxiv.org/abs/1909.05858>); 1 is off.
    pub repetition_penalty: f32,
    /// How many of the last tokens count as recent for `repetition_penalty`; 0 means all.
    pub repetition_context_size: usize,
    /// Subtracted from the logits of recent tokens.
    pub presence_penalty: f32,
    /// How many of the last tokens count as recent for `presence_penalty`; 0 means all.
    pub presence_context_size: usize,
    /// Subtracted from the logits of recent tokens for each time they occur.
    pub frequency_penalty: f32,
    /// How many of the last tokens count as recent for `frequency_penalty`; 0 means all.
    pub frequency_context_size: usize,
    /// Added to the logits of these tokens.
    pub logit_bias: BTreeMap<u32, f32>,
    /// The surprise in bits that Mirostat 2 steers to (<https://arxiv.org/abs/2007.14966>); 0 is off.
    /// When it is on, it takes the place of every other filter.
    pub mirostat_tau: f32,
    /// How fast Mirostat learns.
    pub mirostat_eta: f32,
    /// Makes sampling repeatable; without it each run differs.
    pub seed: Option<u64>,
    /// How many of the model's most likely tokens are reported beside the chosen one.
    pub logprobs: usize,
}

/// More alternatives than anybody reads; the limit of the services that report them.
const MOST_LOGPROBS: usize = 20;

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
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_range: 0,
            dry_sequence_breakers: ["\n", ":", "\"", "*"].map(str::to_owned).to_vec(),
            repetition_penalty: 1.0,
            repetition_context_size: 20,
            presence_penalty: 0.0,
            presence_context_size: 20,
            frequency_penalty: 0.0,
            frequency_context_size: 20,
            logit_bias: BTreeMap::new(),
            mirostat_tau: 0.0,
            mirostat_eta: 0.1,
            seed: None,
            logprobs: 0,
        }
    }

    /// Whether every token is the most likely one left by the penalties, so that no random numbers
    /// are needed.
    ///
    /// ```
    /// use olivine_lm::SamplerOptions;
    /// // Of one token there is no choice, however hot.
    /// let one = SamplerOptions { temperature: 2.0, top_k: 1, ..SamplerOptions::greedy() };
    /// assert!(one.is_greedy());
    /// // These may leave out the most likely token.
    /// assert!(!SamplerOptions { xtc_probability: 0.5, ..one }.is_greedy());
    /// ```
    pub fn is_greedy(&self) -> bool {
        let keeps_the_likeliest =
            self.typical_p == 1.0 && self.xtc_probability == 0.0 && self.mirostat_tau == 0.0;
        self.temperature == 0.0 || (self.top_k == 1 && keeps_the_likeliest)
    }

    /// Checks every option's range and returns the options unchanged.
    ///
    /// # Errors
    /// [`Error::SamplerOption`] names the first option that is out of range; NaN and infinities
    /// always are.
    ///
    /// ```
    /// use olivine_lm::SamplerOptions;
    /// assert!(SamplerOptions::greedy().validate().is_ok());
    /// assert!(SamplerOptions { top_p: 1.5, ..SamplerOptions::greedy() }.validate().is_err());
    /// ```
    pub fn validate(self) -> Result<Self> {
        const NOT_NEGATIVE: &str = "a finite number, 0 or above";
        const POSITIVE: &str = "a finite number above 0";
        const SHARE: &str = "above 0 and at most 1";
        const FRACTION: &str = "between 0 and 1";
        let not_negative = |value: f32| value.is_finite() && value >= 0.0;
        let positive = |value: f32| value.is_finite() && value > 0.0;
        let share = |value: f32| value > 0.0 && value <= 1.0;
        let fraction = |value: f32| (0.0..=1.0).contains(&value);
        #[rustfmt::skip]
        let checks = [
            ("temperature", self.temperature, not_negative(self.temperature), NOT_NEGATIVE),
            ("top_p", self.top_p, share(self.top_p), SHARE),
            ("min_p", self.min_p, fraction(self.min_p), FRACTION),
            ("typical_p", self.typical_p, share(self.typical_p), SHARE),
            ("xtc_probability", self.xtc_probability, fraction(self.xtc_probability), FRACTION),
            ("xtc_threshold", self.xtc_threshold, (0.0..=0.5).contains(&self.xtc_threshold), "between 0 and 0.5"),
            ("dry_multiplier", self.dry_multiplier, not_negative(self.dry_multiplier), NOT_NEGATIVE),
            ("dry_base", self.dry_base, self.dry_base.is_finite() && self.dry_base >= 1.0, "a finite number, 1 or above"),
            ("repetition_penalty", self.repetition_penalty, positive(self.repetition_penalty), POSITIVE),
            ("presence_penalty", self.presence_penalty, self.presence_penalty.is_finite(), "a finite number"),
            ("frequency_penalty", self.frequency_penalty, self.frequency_penalty.is_finite(), "a finite number"),
            ("mirostat_tau", self.mirostat_tau, not_negative(self.mirostat_tau), NOT_NEGATIVE),
            ("mirostat_eta", self.mirostat_eta, positive(self.mirostat_eta), POSITIVE),
        ];
        let refuse = |option, value: String, expected| {
            Err(Error::SamplerOption {
                option,
                value,
                expected,
            })
        };
        for (option, value, fits, expected) in checks {
            if !fits {
                return refuse(option, value.to_string(), expected);
            }
        }
        if let Some((token, bias)) = self.logit_bias.iter().find(|(_, bias)| !bias.is_finite()) {
            return refuse("logit_bias", format!("{token}: {bias}"), "finite numbers");
        }
        if self.dry_sequence_breakers.iter().any(String::is_empty) {
            return refuse(
                "dry_sequence_breakers",
                "\"\"".into(),
                "texts of some length",
            );
        }
        if self.logprobs > MOST_LOGPROBS {
            return refuse("logprobs", self.logprobs.to_string(), "at most 20");
        }
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
        // Every option that is a number, through its name in JSON, so that none is forgotten.
        let neutral = serde_json::to_value(SamplerOptions::greedy()).unwrap();
        let floats: Vec<&String> = neutral
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.is_f64())
            .map(|(name, _)| name)
            .collect();
        assert_eq!(floats.len(), 13);
        for name in floats {
            for bad in [f64::from(f32::MAX) * 10.0, -1e39] {
                let mut json = neutral.clone();
                json[name] = bad.into();
                let options: SamplerOptions = serde_json::from_value(json).unwrap();
                let error = options.validate().unwrap_err();
                assert!(
                    matches!(&error, Error::SamplerOption { option, .. } if option == name),
                    "{name} = {bad}: {error}"
                );
            }
        }
        for (text, name) in [
            (r#"{"temperature": -0.5}"#, "temperature"),
            (r#"{"top_p": 0}"#, "top_p"),
            (r#"{"top_p": 1.01}"#, "top_p"),
            (r#"{"typical_p": 0}"#, "typical_p"),
            (r#"{"min_p": 1.01}"#, "min_p"),
            (r#"{"xtc_threshold": 0.6}"#, "xtc_threshold"),
            (r#"{"dry_base": 0.5}"#, "dry_base"),
            (
                r#"{"dry_sequence_breakers": ["a", ""]}"#,
                "dry_sequence_breakers",
            ),
            (r#"{"repetition_penalty": 0}"#, "repetition_penalty"),
            (r#"{"mirostat_eta": 0}"#, "mirostat_eta"),
            (r#"{"logprobs": 21}"#, "logprobs"),
        ] {
            let options: SamplerOptions = serde_json::from_str(text).unwrap();
            let error = options.validate().unwrap_err();
            assert!(
                matches!(error, Error::SamplerOption { option, .. } if option == name),
                "{text}: {error}"
            );
        }
        let nan = SamplerOptions {
            min_p: f32::NAN,
            ..SamplerOptions::greedy()
        };
        assert!(nan.validate().is_err());
        let certain = SamplerOptions {
            logit_bias: BTreeMap::from([(3, f32::INFINITY)]),
            ..SamplerOptions::greedy()
        };
        assert!(certain.validate().is_err());
        let edge = r#"{"top_p": 1.0, "min_p": 1.0, "typical_p": 1.0, "logprobs": 20}"#;
        let options: SamplerOptions = serde_json::from_str(edge).unwrap();
        assert!(options.validate().is_ok());
    }

    #[test]
    fn options_survive_json_and_unknown_ones_are_refused() {
        let options = SamplerOptions {
            logit_bias: BTreeMap::from([(3, -1.5), (200_000, 2.0)]),
            seed: Some(u64::MAX),
            ..SamplerOptions::greedy()
        };
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(
            serde_json::from_str::<SamplerOptions>(&text).unwrap(),
            options
        );
        assert!(serde_json::from_str::<SamplerOptions>(r#"{"topk": 3}"#).is_err());
    }
}
