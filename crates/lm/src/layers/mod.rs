//! Owns the layers that model families share.

mod attention;
mod decoder;
mod experts;
mod feed_forward;
mod fused;
mod kinds;
mod linear;
mod norm;
mod rope;
mod sandwich;

pub(crate) use attention::split_heads;
pub use attention::{Attention, AttentionShape, Heads};
pub(crate) use decoder::Names;
pub use decoder::{Block, CausalLm, Decoder, PreNorm};
pub(crate) use experts::Matrices;
pub use experts::{SwitchGlu, SwitchLinear, top_experts, weighted};
pub use feed_forward::{GatedMlp, Mlp};
pub(crate) use fused::FusedMlp;
pub(crate) use kinds::{LayerType, Windows};
pub use linear::{Embedding, Linear};
pub use norm::Norm;
pub use rope::{Rope, RopeScaling};
pub(crate) use sandwich::Sandwich;
