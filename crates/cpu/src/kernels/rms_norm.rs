//! Owns normalisation by the root of the mean square.

use olivine_core::{
    Call, Result,
    fast::{RmsNorm, RmsNormVjp},
};

use super::norm::Norm;

fn norm(eps: f32, parameters: usize) -> Norm {
    let weight = (parameters > 0).then_some(1);
    Norm {
        op: "rms_norm",
        eps,
        centred: false,
        weight,
        bias: None,
    }
}

/// Runs the kernel.
pub(super) fn run(primitive: RmsNorm, call: &mut Call) -> Result<()> {
    norm(primitive.eps, call.inputs().len() - 1).forward(call)
}

/// Runs the kernel of the gradient.
pub(super) fn run_vjp(primitive: RmsNormVjp, call: &mut Call) -> Result<()> {
    norm(primitive.eps, call.inputs().len() - 2).backward(call)
}
