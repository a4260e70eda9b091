//! Owns fused building blocks of neural networks: each computes in one pass what several
//! operations would, and carries those operations as its own slow meaning.

mod attention;
mod cross_entropy;
mod gated_delta;
mod layer_norm;
mod rms_norm;
mod rope;

pub use attention::{
    AttentionMask, AttentionOptions, ScaledDotProductAttention, ScaledDotProductAttentionVjp,
    scaled_dot_product_attention,
};
pub use cross_entropy::cross_entropy;
pub use gated_delta::{GatedDelta, GatedDeltaUpdate, gated_delta_update};
pub use layer_norm::{LayerNorm, LayerNormVjp, layer_norm};
pub use rms_norm::{RmsNorm, RmsNormVjp, rms_norm};
pub use rope::{Rope, RopeFrequencies, RopeOffset, RopeOptions, rope};

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Error, Result,
    graph::{Primitive, Spec},
};

/// Records a fused operation, or what it means where there is `float64`: that is rare enough for
/// backends to have no kernel for it.
fn fused(primitive: impl Primitive, inputs: Vec<Array>) -> Result<Array> {
    if inputs.iter().any(|input| input.dtype() == Dtype::Float64) {
        primitive.infer(&inputs)?;
        return Ok(primitive.decompose(&inputs)?.remove(0));
    }
    Array::apply_one(primitive, inputs)
}

/// The dtype that sums over elements of `dtype` are held in.
const fn accumulator(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::Float64 => Dtype::Float64,
        _ => Dtype::Float32,
    }
}

fn check_float(op: &'static str, dtype: Dtype) -> Result<()> {
    if dtype.is_float() {
        return Ok(());
    }
    let reason = "it takes real floating-point arrays; convert with astype first";
    Err(Error::Dtype { op, dtype, reason })
}

/// Checks that a cotangent is like the output that it belongs to.
fn check_cotangent(op: &'static str, cotangent: &Array, output: Spec) -> Result<()> {
    if *cotangent.spec() == output {
        return Ok(());
    }
    let (given, due) = (cotangent.shape(), output.shape);
    let reason = format!("a cotangent of shape {given} for an output of shape {due}");
    Err(Error::Shape { op, reason })
}

/// Checks that `x` has a last axis and that a parameter of a norm is a vector of its size.
fn check_norm(op: &'static str, x: &Array, parameters: &[(&str, Option<&Array>)]) -> Result<()> {
    check_float(op, x.dtype())?;
    let Some(&size) = x.shape().last() else {
        let reason = "a scalar has no axis to normalise".to_owned();
        return Err(Error::Shape { op, reason });
    };
    for (name, parameter) in parameters {
        let Some(parameter) = parameter else { continue };
        check_float(op, parameter.dtype())?;
        if parameter.shape()[..] != [size] {
            let (given, x) = (parameter.shape(), x.shape());
            let reason = format!("a {name} of shape {given} does not fit the last axis of {x}");
            return Err(Error::Shape { op, reason });
        }
    }
    Ok(())
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![attention::op(), cross_entropy::op(), gated_delta::op(), layer_norm::op(), rms_norm::op(), rope::op()]
}
