//! Owns the layers: modules that turn one array into another.

mod dropout;
mod embedding;
mod linear;
mod norm;
mod sequential;

pub use dropout::Dropout;
pub use embedding::Embedding;
pub use linear::Linear;
pub use norm::{LayerNorm, RMSNorm};
use olivine_core::{Array, Result};
pub use sequential::Sequential;

use crate::Module;

/// A module that computes one array from one array.
pub trait Layer: Module + Send + Sync {
    /// Applies the layer.
    fn forward(&self, x: &Array) -> Result<Array>;
}

impl<L: Layer + ?Sized> Layer for Box<L> {
    fn forward(&self, x: &Array) -> Result<Array> {
        (**self).forward(x)
    }
}
