//! Owns the layers that model families share.

mod attention;
mod decoder;
mod experts;
mod feed_forward;
mod fused;
mod gated_delta;
mod kinds;
mod latent;
mod linear;
mod moe;
mod norm;
mod rope;
mod sandwich;
mod state_space;

pub(crate) use attention::split_heads;
pub use attention::{Attention, AttentionShape, Heads};
pub(crate) use decoder::Names;
pub use decoder::{Block, CausalLm, Decoder, PreNorm};
pub(crate) use experts::Matrices;
pub use experts::{SwitchGlu, SwitchLinear, top_experts, weighted};
pub use feed_forward::{GatedMlp, Mlp};
pub(crate) use fused::FusedMlp;
pub(crate) use gated_delta::{DeltaNet, DeltaShape};
pub(crate) use kinds::{LayerType, Windows};
pub(crate) use latent::{LatentAttention, LatentShape};
pub use linear::{Embedding, Linear};
pub(crate) use moe::{FeedForward, Gate, Groups, Moe, Router, Scores};
pub use norm::Norm;
pub use rope::{Rope, RopeScaling};
pub(crate) use sandwich::Sandwich;
pub(crate) use state_space::{CausalConv, Mamba2, Mamba2Shape, StepLimits};
