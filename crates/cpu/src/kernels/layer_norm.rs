//! Owns normalisation to zero mean and unit variance.

use olivine_core::{
    Call, Result,
    fast::{LayerNorm, LayerNormVjp},
};

use super::norm::Norm;

fn norm(primitive: LayerNorm) -> Norm {
    let LayerNorm { eps, weight, bias } = primitive;
    Norm {
        op: "layer_norm",
        eps,
        centred: true,
        weight: weight.then_some(1),
        bias: bias.then_some(1 + usize::from(weight)),
    }
}

/// Runs the kernel.
pub(super) fn run(primitive: LayerNorm, call: &mut Call) -> Result<()> {
    norm(primitive).forward(call)
}

/// Runs the kernel of the gradient.
pub(super) fn run_vjp(primitive: LayerNormVjp, call: &mut Call) -> Result<()> {
    norm(primitive.forward).backward(call)
}
