//! Owns function transforms: programs over recorded graphs.

mod checkpoint;
pub(crate) mod compile;
pub(crate) mod integers;
mod jvp;
pub(crate) mod tape;
mod tree;
mod vjp;
mod vmap;

pub use checkpoint::checkpoint;
pub use compile::{
    CompileOptions, Trace, compile, compile_with, compile_with_state, disable_compile,
    enable_compile, is_exporting, runs_untraced,
};
pub use integers::with_integer_derivatives;
pub use jvp::jvp;
pub use tree::Tree;
pub use vjp::{Objective, grad, stop_gradient, value_and_grad, vjp};
pub(crate) use vjp::{backward, conjugate, pull_back};
pub use vmap::{BatchAxes, LeafAxes, vmap};
