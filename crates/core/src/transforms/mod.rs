//! Owns function transforms: programs over recorded graphs.

mod tree;
mod vjp;

pub use tree::Tree;
pub use vjp::{Objective, grad, stop_gradient, value_and_grad, vjp};
