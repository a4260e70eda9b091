//! Owns language models: tokenizer, templates, caches, sampling, generation.

#![expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    clippy::single_match_else,
    clippy::large_enum_variant,
    reason = "configurations and layers have the fields of files, and there is one of each for a layer"
)]

// Tests and doctests run on the CPU backend, which registers itself when linked.
#[cfg(test)]
use olivine_cpu as _;

mod attend;
mod batch;
mod cache;
mod chat;
mod config;
mod convert;
mod draft;
mod embed;
mod error;
mod folder;
mod generate;
mod generation_config;
mod gguf;
mod grammar;
mod hub;
mod json;
pub mod layers;
mod model;
pub mod models;
mod perplexity;
mod prompt_cache;
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
mod tools;
mod weights;

pub use attend::{AttentionRule, attend};
pub use batch::{Batch, BatchEvent, RequestId};
pub use cache::{Cache, KvCache, Reach, StateCache};
pub use chat::{ChatTemplate, Message, Role};
pub use config::{ModelConfig, RopeConfig};
pub use convert::{ConvertOptions, ConvertSummary, MixedBits, convert, dtype_of};
pub use draft::{Draft, ModelDraft, NgramDraft};
pub use embed::{Embedder, Pooling};
pub use error::{Error, Result};
pub use folder::{EmbeddedFile, ModelFolder, WeightFile, WeightFiles};
pub use generate::{Generator, GeneratorOptions};
pub use generation_config::GenerationConfig;
pub use gguf::save_gguf_model;
pub use grammar::{Grammar, Matcher};
pub use hub::{
    CachedFile, CachedModel, CachedRevision, Hub, HubError, HubModel, ModelSummary, Notice,
    PlannedFile, Progress,
};
pub use model::{Model, TextGenerator, TextOptions};
pub use models::{Family, LanguageModel, supported_model_types};
pub use perplexity::{PerplexityMeasure, perplexity};
pub use prompt_cache::PromptCache;
pub use quantization::{QuantizationConfig, Recipe};
pub use sampler::{Choice, Sampler};
pub use sampling::SamplerOptions;
pub use sequences::Sequences;
pub use stats::{GenerationStats, peak_memory};
pub use stop::{FinishReason, StopRules, TextStep, TextStream};
pub use stream::StreamingDetokenizer;
pub use tokenizer::Tokenizer;
pub use tools::{Event, OutputFormat, OutputParser};
pub use weights::{Change, Weights};

pub use olivine_io::GgufKind;
