//! Owns language models: tokenizer, templates, caches, sampling, generation.

// Tests and doctests run on the CPU backend, which registers itself when linked.
#[cfg(test)]
use olivine_cpu as _;

mod cache;
mod chat;
mod config;
mod error;
mod folder;
mod generate;
mod generation_config;
mod json;
pub mod models;
mod sampler;
mod sampling;
mod stats;
mod stop;
mod stream;
#[cfg(test)]
mod test_tokenizers;
mod tokenizer;

pub use cache::KvCache;
pub use chat::{ChatTemplate, Message, Role};
pub use config::{ModelConfig, RopeScaling};
pub use error::{Error, Result};
pub use folder::{EmbeddedFile, ModelFolder, WeightFile, WeightFiles};
pub use generate::Generator;
pub use generation_config::GenerationConfig;
pub use models::{LanguageModel, SUPPORTED_MODEL_TYPES};
pub use sampler::Sampler;
pub use sampling::SamplerOptions;
pub use stats::{GenerationStats, peak_memory};
pub use stop::{FinishReason, StopRules, TextStep, TextStream};
pub use stream::StreamingDetokenizer;
pub use tokenizer::Tokenizer;
