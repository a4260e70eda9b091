//! Owns the identity that gradients do not pass.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap},
};

/// The input's values, cut off from its history for transforms.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, grad};
/// use olivine_core::ops::stop_gradient::StopGradient;
/// let f = |x: &Array| x.multiply(Array::apply_one(StopGradient, [x.clone()])?);
/// // As if the second factor were a number.
/// assert_eq!(grad(f)(&array!(3.0))?.item::<f32>()?, 3.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StopGradient;

crate::stored!(StopGradient);

impl Primitive for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(None))
    }

    fn stops_gradients(&self) -> bool {
        true
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        Ok(inputs.to_vec())
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "stop_gradient",
        doc: "The same values, through which no gradient flows.",
        signature: "stop_gradient(x)",
        family: Family::Elementwise,
        kinds: kinds::ALL,
        gradient: Gradient::Zero,
        samples: || {
            vec![Sample::new("", [Input::any([3, 4])], |x| crate::stop_gradient(&x[0]))]
        },
    }]
}
