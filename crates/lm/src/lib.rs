//! Owns language models: tokenizer, templates, caches, sampling, generation.

mod chat;
mod config;
mod error;
mod folder;
mod generation_config;
mod json;
mod sampling;
mod stats;
mod stop;
mod stream;
#[cfg(test)]
mod test_tokenizers;
mod tokenizer;

pub use chat::{ChatTemplate, Message, Role};
pub use config::{ModelConfig, RopeScaling, SUPPORTED_MODEL_TYPES};
pub use error::{Error, Result};
pub use folder::{EmbeddedFile, ModelFolder, WeightFile, WeightFiles};
pub use generation_config::GenerationConfig;
pub use sampling::SamplerOptions;
pub use stats::{GenerationStats, peak_memory};
pub use stop::{FinishReason, StopRules, TextStep, TextStream};
pub use stream::StreamingDetokenizer;
pub use tokenizer::Tokenizer;
