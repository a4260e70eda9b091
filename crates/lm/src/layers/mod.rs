//! Owns the layers that model families share.

mod attention;
mod decoder;
mod experts;
mod feed_forward;
mod linear;
mod norm;
mod rope;

pub use attention::{Attention, AttentionShape, Heads};
pub use decoder::{Block, CausalLm, Decoder, PreNorm};
pub(crate) use experts::Matrices;
pub use experts::{SwitchGlu, SwitchLinear, top_experts, weighted};
pub use feed_forward::{GatedMlp, Mlp};
pub use linear::{Embedding, Linear};
pub use norm::Norm;
pub use rope::{Rope, RopeScaling};
