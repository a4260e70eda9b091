//! Owns the facade that users depend on: everything re-exported, and the backends linked.
//!
//! Arrays and transforms are at the top level, files in [`io`], networks in [`mod@nn`]. `use
//! olivine::prelude::*;` brings what most programs need.
//!
//! ```
//! use olivine::prelude::*;
//!
//! let x = array!([1.0, 2.0, 3.0]);
//! let slope = grad(|x: &Array| x.square()?.sum(..))(&x)?;
//! assert_eq!(slope.to_vec::<f32>()?, [2.0, 4.0, 6.0]);
//! # Ok::<(), olivine::Error>(())
//! ```

// Backends register themselves when linked.
#[cfg(feature = "cpu")]
pub use olivine_cpu::{num_threads, set_num_threads};

pub use olivine_core::*;
pub use olivine_io as io;

/// Networks: modules, layers, losses and optimisers.
pub mod nn {
    pub use olivine_nn::*;
    pub use olivine_nn_derive::FacadeModule as Module;
}

/// What most programs need.
pub mod prelude {
    pub use crate::nn::{Layer, Module};
    pub use olivine_core::{
        Array, Axes, CompileOptions, CustomFunction, Device, Dtype, Ellipsis, Error, IntoOperand,
        NewAxis, Result, Shape, Stream, Tree, array, async_eval, checkpoint, compile, concatenate,
        eval, fast, grad, jvp, keep, random, stack, step, stop_gradient, value_and_grad, vjp, vmap,
    };
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
