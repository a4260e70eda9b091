//! Owns modules, losses, initialisers, optimisers and schedules.
//!
//! A model is a struct whose fields are parameters and other modules:
//!
//! ```
//! # use olivine_cpu as _;
//! use olivine_core::{Array, Result, random};
//! use olivine_nn::{Layer, Linear, Module, losses, optimizers::{AdamW, Optimizer}, relu};
//!
//! #[derive(Clone, Module)]
//! struct Mlp {
//!     hidden: Linear,
//!     output: Linear,
//! }
//!
//! impl Mlp {
//!     fn forward(&self, x: &Array) -> Result<Array> {
//!         self.output.forward(&relu(&self.hidden.forward(x)?)?)
//!     }
//! }
//!
//! random::seed(0);
//! let mut model = Mlp { hidden: Linear::new(2, 16)?, output: Linear::new(16, 1)? };
//! let mut optimizer = AdamW::new(0.02);
//! let x = random::normal([32, 2])?;
//! let y = x.prod(olivine_core::keep(1))?;
//! let loss = |model: &Mlp| losses::mse(&model.forward(&x)?, &y);
//! let before = loss(&model)?.item::<f32>()?;
//! for _ in 0..50 {
//!     let (_, gradients) = olivine_nn::value_and_grad(&model, loss)?;
//!     optimizer.update(&mut model, &gradients)?;
//!     olivine_core::eval(model.parameters().values())?;
//! }
//! assert!(loss(&model)?.item::<f32>()? < 0.5 * before);
//! # Ok::<(), olivine_core::Error>(())
//! ```

// The derive macro names this crate from outside.
extern crate self as olivine_nn;

// Tests and doctests run on the CPU backend, which registers itself when linked.
#[cfg(test)]
use olivine_cpu as _;

mod activations;
pub mod init;
mod layers;
pub mod losses;
pub mod module;
pub mod optimizers;

pub use activations::{
    Activation, elu, gelu, gelu_tanh, leaky_relu, log_softmax, relu, sigmoid, silu, softmax,
    softplus, tanh,
};
pub use layers::{
    Dropout, Embedding, Layer, LayerNorm, Linear, QuantizedEmbedding, QuantizedLinear,
    QuantizedWeight, RMSNorm, Sequential,
};
pub use module::{Module, ModuleField, Param, Parameters, value_and_grad};
pub use olivine_nn_derive::Module;
