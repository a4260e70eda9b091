//! Owns forward-mode differentiation: it walks the recorded graph in the order it runs.

use std::{borrow::Borrow, collections::HashMap};

use smallvec::SmallVec;

use super::{
    integers::is_smooth,
    tape::{Key, Step, key, outputs_of, steps_between},
};
use crate::{
    Array, Error, Result,
    graph::{Jvp, TraceScope},
};

/// Differentiates a function of several arrays forwards.
///
/// Returns the function's outputs at `primals` and, for each output, how it changes when the primals
/// move along `tangents`. A tangent has the shape of its primal; those of integers do not count.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{jvp, Array};
/// let x = Array::scalar(3.0f32);
/// let (_, tangents) = jvp(|x| Ok(vec![x[0].square()?]), &[x], &[Array::scalar(1.0f32)])?;
/// assert_eq!(tangents[0].item::<f32>()?, 6.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn jvp<P: Borrow<Array>, T: Borrow<Array>>(
    f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    primals: &[P],
    tangents: &[T],
) -> Result<(Vec<Array>, Vec<Array>)> {
    let primals: Vec<&Array> = primals.iter().map(Borrow::borrow).collect();
    let tangents: Vec<&Array> = tangents.iter().map(Borrow::borrow).collect();
    if primals.len() != tangents.len() {
        let reason = format!("{} tangents for {} primals", tangents.len(), primals.len());
        return Err(Error::Argument { op: "jvp", reason });
    }
    for (primal, tangent) in primals.iter().zip(&tangents) {
        if primal.shape() != tangent.shape() {
            let (primal, given) = (primal.shape(), tangent.shape());
            let reason = format!("a tangent of shape {given} for a primal of shape {primal}");
            return Err(Error::Shape { op: "jvp", reason });
        }
    }
    let scope = TraceScope::open();
    let leaves: Vec<Array> = primals
        .iter()
        .map(|primal| primal.traced(&scope.0))
        .collect();
    let outputs = f(&leaves)?;
    let mut known: HashMap<(Key, u32), Array> = HashMap::new();
    for (leaf, tangent) in leaves.iter().zip(tangents) {
        if is_smooth(leaf.dtype()) {
            known.insert(key(leaf), tangent.astype(leaf.dtype())?);
        }
    }
    for Step { node, op, inputs } in steps_between(&leaves, &outputs) {
        let tangents: SmallVec<[Option<Array>; 3]> = inputs
            .iter()
            .map(|input| known.get(&key(input)).cloned())
            .collect();
        if tangents.iter().all(Option::is_none) {
            continue;
        }
        let outputs = outputs_of(&node);
        let rule = Jvp {
            op: op.name(),
            inputs: &inputs,
            outputs: &outputs,
            tangents: &tangents,
        };
        let found = node.stream.scope(|| op.jvp(&rule))?;
        for (output, tangent) in outputs.iter().zip(found) {
            if let Some(tangent) = tangent {
                known.insert(key(output), tangent);
            }
        }
    }
    let tangents = outputs.iter().map(|output| match known.get(&key(output)) {
        Some(tangent) => Ok(tangent.clone()),
        None => Array::zeros(output.shape(), output.dtype()),
    });
    let tangents = tangents.collect::<Result<_>>()?;
    Ok((outputs, tangents))
}
