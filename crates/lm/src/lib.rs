//! Owns language models: tokenizer, templates, caches, sampling, generation.

// Tests and doctests run on the CPU backend, which registers itself when linked.
#[cfg(test)]
use olivine_cpu as _;

mod attend;
mod cache;
mod chat;
mod config;
mod convert;
mod error;
mod folder;
mod generate;
mod generation_config;
mod gguf;
mod json;
pub mod layers;
pub mod models;
mod quantization;
mod sampler;
mod sampling;
mod sequences;
mod stats;
mod stop;
mod stream;
#[cfg(test)]
mod test_tokenizers;
mod tokenizer;
mod weights;

pub use attend::{AttentionRule, attend};
pub use cache::{Cache, KvCache, Reach, StateCache};
pub use chat::{ChatTemplate, Message, Role};
pub use config::{ModelConfig, RopeConfig};
pub use convert::{ConvertOptions, ConvertSummary, MixedBits, convert, dtype_of};
pub use error::{Error, Result};
pub use folder::{EmbeddedFile, ModelFolder, WeightFile, WeightFiles};
pub use generate::Generator;
pub use generation_config::GenerationConfig;
pub use gguf::{GgufKind, save_gguf_model};
pub use models::{Family, LanguageModel, supported_model_types};
pub use quantization::{QuantizationConfig, Recipe};
pub use sampler::Sampler;
pub use sampling::SamplerOptions;
pub use sequences::Sequences;
pub use stats::{GenerationStats, peak_memory};
pub use stop::{FinishReason, StopRules, TextStep, TextStream};
pub use stream::StreamingDetokenizer;
pub use tokenizer::Tokenizer;
pub use weights::{Change, Weights};
