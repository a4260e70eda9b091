//! Owns normalisation by the root of the mean square.

use serde::{Deserialize, Serialize};

use super::{
    Family, Gradient, Input, OpInfo, Sample, accumulator, check_cotangent, check_norm, fused, kinds,
};
use crate::{
    Array, Dtype, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
    keep,
};

/// Divides the last axis by the root of its mean square; a second input multiplies it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::fast::RmsNorm;
/// let y = Array::apply_one(RmsNorm { eps: 0.0 }, [array!([[3.0, -3.0]])])?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, -1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RmsNorm {
    /// Added to the mean square.
    #[serde(with = "crate::graph::number")]
    pub eps: f32,
}

/// The gradients of [`RmsNorm`] with respect to its inputs, which come first; the cotangent is the
/// last input.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::fast::RmsNormVjp;
/// let x = array!([[2.0, 2.0]]);
/// // Along the vector itself nothing changes, since its length does not count.
/// let gradients = Array::apply(RmsNormVjp { eps: 0.0 }, [x.clone(), x])?;
/// assert_eq!(gradients[0].to_vec::<f32>()?, [0.0, 0.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RmsNormVjp {
    /// Added to the mean square.
    #[serde(with = "crate::graph::number")]
    pub eps: f32,
}

crate::stored!(RmsNorm);

impl Primitive for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::between(self.name(), 1, 2, inputs)?;
        check_norm(self.name(), &inputs[0], &[("weight", inputs.get(1))])?;
        let dtype = inputs.iter().map(Array::dtype).reduce(Dtype::promote);
        let dtype = dtype.expect("there is at least the array itself");
        Ok([Spec { shape: inputs[0].shape().clone(), dtype }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let inputs = vjp.inputs.iter().chain([vjp.cotangent()]).cloned();
        let gradients = Array::apply(RmsNormVjp { eps: self.eps }, inputs)?;
        vjp.each(|i| Ok(Some(gradients[i].clone())))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        if vmap.batched[0] && vmap.batched.get(1) != Some(&true) {
            return Array::apply(*self, vmap.inputs.iter().cloned());
        }
        vmap.through(|inputs| self.decompose(inputs))
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (normal, _) = normalised(&inputs[0], self.eps)?;
        let Some(weight) = inputs.get(1) else {
            return Ok(vec![normal.astype(inputs[0].dtype())?]);
        };
        let dtype = inputs[0].dtype().promote(weight.dtype());
        Ok(vec![normal.astype(dtype)?.multiply(weight)?])
    }
}

/// The normalised array and what it was multiplied by, in the accumulator's dtype.
fn normalised(x: &Array, eps: f32) -> Result<(Array, Array)> {
    let x = x.astype(accumulator(x.dtype()))?;
    let inverse = x.square()?.mean(keep(-1))?.add(eps)?.rsqrt()?;
    Ok((x.multiply(&inverse)?, inverse))
}

crate::stored!(RmsNormVjp);

impl Primitive for RmsNormVjp {
    fn name(&self) -> &'static str {
        "rms_norm_vjp"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::between(self.name(), 2, 3, inputs)?;
        let (cotangent, inputs) = inputs.split_last().expect("there are at least two");
        check_cotangent(self.name(), cotangent, RmsNorm { eps: self.eps }.infer(inputs)?[0].clone())?;
        Ok(inputs.iter().map(|input| input.spec().clone()).collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.through(|inputs| self.decompose(inputs))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        if vmap.inputs.len() == 2 {
            return vmap.lifted(*self);
        }
        // The kernel would sum the weight's gradient over the batch.
        vmap.through(|inputs| self.decompose(inputs))
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (cotangent, inputs) = inputs.split_last().expect("the cotangent is the last input");
        let x = &inputs[0];
        let (normal, inverse) = normalised(x, self.eps)?;
        let cotangent = cotangent.astype(normal.dtype())?;
        let weighted = match inputs.get(1) {
            Some(weight) => cotangent.multiply(weight.astype(normal.dtype())?)?,
            None => cotangent.clone(),
        };
        let along = weighted.multiply(&normal)?.mean(keep(-1))?;
        let gradient = weighted.subtract(normal.multiply(along)?)?.multiply(inverse)?;
        let mut gradients = vec![gradient.astype(x.dtype())?];
        if let Some(weight) = inputs.get(1) {
            let gradient = cotangent.multiply(normal)?.sum_to(weight.shape())?;
            gradients.push(gradient.astype(weight.dtype())?);
        }
        Ok(gradients)
    }
}

/// Divides the last axis of `x` by the root of its mean square plus `eps`, and multiplies by
/// `weight`, a vector. Sums are held in `float32`, or `float64` for `float64`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, fast};
/// let x = Array::from_slice(&[3.0f32, 4.0], [1, 2])?;
/// let y = fast::rms_norm(&x, None, 0.0)?.to_vec::<f32>()?;
/// assert!((y[0] - 0.8485).abs() < 1e-4 && (y[1] - 1.1314).abs() < 1e-4);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn rms_norm(x: &Array, weight: Option<&Array>, eps: f32) -> Result<Array> {
    let inputs = [Some(x), weight].into_iter().flatten().cloned().collect();
    fused(RmsNorm { eps }, inputs)
}

pub(super) fn op() -> OpInfo {
    OpInfo {
        name: "rms_norm",
        doc: "Divides the last axis by the root of its mean square.",
        signature: "rms_norm(x, weight, eps)",
        family: Family::Fast,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples: || {
            let weighted = |shape: &[usize]| {
                let last = *shape.last().expect("samples have a last axis");
                Sample::new("weight", [Input::any(shape), Input::any([last])], |x| {
                    rms_norm(&x[0], Some(&x[1]), 1e-5)
                })
            };
            vec![
                Sample::new("no weight", [Input::any([3, 8])], |x| rms_norm(&x[0], None, 1e-5)),
                weighted(&[2, 3, 37]),
                weighted(&[5]),
                weighted(&[3, 0]),
                weighted(&[0, 4]),
            ]
        },
    }
}
