//! Owns the meaning of every operation, spelled out in plain loops over single numbers.
//!
//! Nothing here shares code with the library. An operation or a sample whose label is not
//! understood has no reference, and the suite fails for it.

mod args;
mod arrays;
mod blocks;
mod conv;
mod creation;
mod dense;
mod einsum;
mod fast;
mod fourier;
mod index;
mod linalg;
mod linear;
mod order;
mod products;
mod quantized;
mod random;
mod recurrent;
mod reduce;
mod scalar;
mod shape;
mod special;

pub use args::Args;
pub use special::{erf, erfinv};

use crate::Tensor;

/// The results of the operation `op` with the parameters in `label`; `None` if there is no
/// reference for them.
pub fn reference(op: &str, label: &str, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    let op = olivine_core::ops::aliases::original(op);
    let args = Args::parse(label);
    if let Some(several) = arrays::several(op, &args, inputs) {
        return Some(several);
    }
    if let Some(recurrent) = recurrent::gated_delta(op, &args, inputs) {
        return Some(recurrent);
    }
    if let Some(op) = op.strip_prefix("linalg.") {
        return linalg::linalg(op, &args, inputs);
    }
    if let Some(op) = op.strip_prefix("fft.") {
        return fourier::fourier(op, &args, inputs);
    }
    if let Some(op) = op.strip_prefix("random.") {
        return random::random(op, &args, inputs).map(|tensor| vec![tensor]);
    }
    if op == "split" {
        return index::split(&args, inputs.first()?);
    }
    if op == "depends" {
        return Some(inputs[..1].to_vec());
    }
    if op == "quantize" {
        return quantized::quantize(&args, inputs.first()?);
    }
    if op == "adamw" {
        return fast::adamw(inputs);
    }
    let one = scalar::unary(op, inputs)
        .or_else(|| scalar::binary(op, inputs))
        .or_else(|| scalar::elementwise(op, &args, inputs))
        .or_else(|| shape::shape(op, &args, inputs))
        .or_else(|| index::index(op, &args, inputs))
        .or_else(|| creation::creation(op, &args, inputs))
        .or_else(|| reduce::reduce(op, &args, inputs))
        .or_else(|| linear::linear(op, &args, inputs))
        .or_else(|| products::products(op, &args, inputs))
        .or_else(|| products::diagonals(op, &args, inputs))
        .or_else(|| order::sort(op, &args, inputs))
        .or_else(|| order::cumulative(op, &args, inputs))
        .or_else(|| order::compare(op, &args, inputs))
        .or_else(|| order::repeat(op, &args, inputs))
        .or_else(|| blocks::blocks(op, &args, inputs))
        .or_else(|| conv::conv(op, &args, inputs))
        .or_else(|| quantized::quantized(op, &args, inputs))
        .or_else(|| fast::fast(op, &args, inputs))
        .or_else(|| arrays::arrays(op, &args, inputs))
        .or_else(|| einsum::einsum(op, label, inputs))
        .or_else(|| recurrent::cross_entropy(op, inputs));
    one.map(|tensor| vec![tensor])
}
