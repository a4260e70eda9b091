//! Owns the numbers that a run follows: the model's shape, the training's settings, the data's.

use std::path::Path;

use olivine_lm::ModelConfig;
use olivine_nn::optimizers::{AdamW, Schedule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::tokenizer::VOCAB_SIZE;
use crate::{Error, Result};

/// Longest text, in tokens, that the model file promises to handle.
pub const MAX_POSITIONS: usize = 512;

/// Gradients longer than this are shortened to it.
pub const MAX_GRADIENT_NORM: f64 = 1.0;

/// How much of the running mean of gradients, and of their squares, is kept at each step.
pub const BETAS: (f64, f64) = (0.9, 0.95);

/// The part of each matrix, times the learning rate, that is taken off at each step.
pub const WEIGHT_DECAY: f64 = 0.1;

/// The learning rate ends at this part of its peak.
pub const FINAL_RATE: f64 = 0.1;

/// The shape of a Llama.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSize {
    /// Blocks of attention and feed-forward.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width inside the feed-forward blocks.
    pub inner: usize,
}

/// Everything a run depends on: equal recipes make equal models on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Decides the corpus, the first weights and the order of the batches.
    pub seed: u64,
    /// Batches to learn from.
    pub steps: u64,
    /// Rows of a batch.
    pub batch: usize,
    /// Tokens of a row.
    pub seq: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The model's shape.
    pub model: ModelSize,
    /// Documents from which the tokenizer learns.
    pub tokenizer_documents: u64,
    /// Tokens that are only measured on.
    pub held_out_tokens: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            seed: 1,
            steps: 3000,
            batch: 8,
            seq: 384,
            learning_rate: 2e-3,
            model: ModelSize {
                layers: 4,
                width: 256,
                heads: 4,
                kv_heads: 2,
                inner: 512,
            },
            tokenizer_documents: 20_000,
            held_out_tokens: 200_000,
        }
    }
}

impl Recipe {
    /// Checks that the settings can work.
    pub fn validate(&self) -> Result<()> {
        let refuse = |name, value: String, reason: &str| {
            Err(Error::Setting {
                name,
                value,
                reason: reason.to_owned(),
            })
        };
        if self.steps == 0 {
            return refuse("steps", self.steps.to_string(), "at least one is needed");
        }
        if self.batch == 0 || self.batch > 4096 {
            let reason = "a batch has between 1 and 4096 rows";
            return refuse("batch", self.batch.to_string(), reason);
        }
        if self.seq < 2 || self.seq > MAX_POSITIONS {
            let reason = format!("a row has between 2 and {MAX_POSITIONS} tokens");
            return refuse("seq", self.seq.to_string(), &reason);
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            let reason = "a learning rate is above 0 and at most 1";
            return refuse("lr", self.learning_rate.to_string(), reason);
        }
        Ok(())
    }

    /// Tokens of one batch.
    pub fn batch_tokens(&self) -> usize {
        self.batch * self.seq
    }

    /// Tokens to learn from: as many as the run sees, so that nothing is seen twice.
    pub fn train_tokens(&self) -> usize {
        self.batch_tokens()
            .saturating_mul(usize::try_from(self.steps).unwrap_or(usize::MAX))
    }

    /// Steps in which the learning rate rises.
    pub fn warmup(&self) -> u64 {
        (self.steps / 10).min(100)
    }

    /// The optimiser, before its first step.
    pub fn optimizer(&self) -> AdamW {
        let (peak, warmup) = (self.learning_rate, self.warmup());
        let schedule = Schedule::cosine(peak, peak * FINAL_RATE, self.steps - warmup);
        AdamW::new(schedule.with_warmup(warmup))
            .betas(BETAS.0, BETAS.1)
            .weight_decay(WEIGHT_DECAY)
            // Norms have a natural scale of one, from which decay would pull them away.
            .decay_where(|_, parameter| parameter.ndim() >= 2)
    }

    /// The contents of the model's `config.json`.
    pub fn config_json(&self) -> Value {
        let ModelSize {
            layers,
            width,
            heads,
            kv_heads,
            inner,
        } = self.model;
        json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "head_dim": width / heads,
            "intermediate_size": inner,
            "hidden_act": "silu",
            "vocab_size": VOCAB_SIZE,
            "max_position_embeddings": MAX_POSITIONS,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "attention_bias": false,
            "mlp_bias": false,
            "tie_word_embeddings": true,
            "torch_dtype": "bfloat16",
            "bos_token_id": 0,
            "eos_token_id": [0, 3],
        })
    }

    /// The model's shape as the language model crate reads it.
    pub fn model_config(&self) -> Result<ModelConfig> {
        let text = self.config_json().to_string();
        Ok(ModelConfig::parse(Path::new("config.json"), &text)?)
    }
}

#[cfg(test)]
mod tests {
    use olivine_lm::{Weights, models::llama::Llama};
    use olivine_nn::{Module, optimizers::Optimizer};

    use super::*;

    #[test]
    fn impossible_settings_are_refused_by_the_name_of_their_flag() {
        let good = Recipe::default();
        good.validate().expect("the defaults work");
        for (name, recipe) in [
            (
                "steps",
                Recipe {
                    steps: 0,
                    ..good.clone()
                },
            ),
            (
                "batch",
                Recipe {
                    batch: 0,
                    ..good.clone()
                },
            ),
            (
                "seq",
                Recipe {
                    seq: 1,
                    ..good.clone()
                },
            ),
            (
                "seq",
                Recipe {
                    seq: 513,
                    ..good.clone()
                },
            ),
            (
                "lr",
                Recipe {
                    learning_rate: 0.0,
                    ..good.clone()
                },
            ),
            (
                "lr",
                Recipe {
                    learning_rate: f64::NAN,
                    ..good.clone()
                },
            ),
        ] {
            let error = recipe.validate().expect_err("refused").to_string();
            assert!(error.starts_with(&format!("--{name} ")), "{error}");
        }
    }

    #[test]
    fn the_default_model_has_a_few_million_weights() {
        let config = Recipe::default().model_config().expect("valid");
        let model = Llama::new(&config, &Weights::random()).expect("valid");
        assert_eq!(model.num_parameters(), 2_885_888);
        assert_eq!(config.eos_token_ids, [0, 3]);
    }

    #[test]
    fn the_learning_rate_starts_at_zero() {
        assert_eq!(Recipe::default().optimizer().learning_rate(), 0.0);
        // A single step has no room to warm up.
        let one = Recipe {
            steps: 1,
            ..Recipe::default()
        };
        assert_eq!(one.optimizer().learning_rate(), 2e-3);
    }
}
