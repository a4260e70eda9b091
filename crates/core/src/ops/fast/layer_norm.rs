//! Owns normalisation to zero mean and unit variance.

use serde::{Deserialize, Serialize};

use super::{
    Family, Gradient, Input, OpInfo, Sample, accumulator, check_cotangent, check_norm, fused, kinds,
};
use crate::{
    Array, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
    keep,
};

/// Shifts and scales the last axis to mean zero and variance one. The inputs after the array are
/// the weight and the bias, as far as they are there.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::fast::LayerNorm;
/// let plain = LayerNorm { eps: 0.0, weight: false, bias: false };
/// let y = Array::apply_one(plain, [array!([[1.0, 3.0]])])?;
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Added to the variance.
    #[serde(with = "crate::graph::number")]
    pub eps: f32,
    /// Whether there is a weight.
    pub weight: bool,
    /// Whether there is a bias.
    pub bias: bool,
}

/// The gradients of [`LayerNorm`] with respect to its inputs, which come first; the cotangent is
/// the last input.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::fast::{LayerNorm, LayerNormVjp};
/// let forward = LayerNorm { eps: 0.0, weight: false, bias: true };
/// let (x, bias) = (array!([[1.0, 3.0], [4.0, 2.0]]), array!([0.0, 0.0]));
/// let gradients = Array::apply(LayerNormVjp { forward }, [x.clone(), bias, x.ones_like()?])?;
/// // The gradient of the bias is the sum of the cotangents.
/// assert_eq!(gradients[1].to_vec::<f32>()?, [2.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LayerNormVjp {
    /// The operation whose gradients these are.
    pub forward: LayerNorm,
}

impl LayerNorm {
    /// The weight and the bias among the inputs.
    fn parameters(self, inputs: &[Array]) -> (Option<&Array>, Option<&Array>) {
        let weight = self.weight.then(|| &inputs[1]);
        let bias = self.bias.then(|| &inputs[1 + usize::from(self.weight)]);
        (weight, bias)
    }

    /// The normalised array and what it was multiplied by, in the accumulator's dtype.
    fn normalised(self, x: &Array) -> Result<(Array, Array)> {
        let x = x.astype(accumulator(x.dtype()))?;
        let centred = x.subtract(x.mean(keep(-1))?)?;
        let inverse = centred.square()?.mean(keep(-1))?.add(self.eps)?.rsqrt()?;
        Ok((centred.multiply(&inverse)?, inverse))
    }
}

crate::stored!(LayerNorm);

impl Primitive for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        let count = 1 + usize::from(self.weight) + usize::from(self.bias);
        crate::graph::exactly(self.name(), count, inputs)?;
        let x = &inputs[0];
        let (weight, bias) = self.parameters(inputs);
        check_norm(self.name(), x, &[("weight", weight), ("bias", bias)])?;
        // A bias widens the result only where there is a weight, as in MLX.
        let dtype = weight.map_or(x.dtype(), |weight| {
            let dtype = x.dtype().promote(weight.dtype());
            bias.map_or(dtype, |bias| dtype.promote(bias.dtype()))
        });
        Ok([Spec { shape: x.shape().clone(), dtype }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let inputs = vjp.inputs.iter().chain([vjp.cotangent()]).cloned();
        let gradients = Array::apply(LayerNormVjp { forward: *self }, inputs)?;
        vjp.each(|i| Ok(Some(gradients[i].clone())))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        if vmap.batched[0] && !vmap.batched[1..].contains(&true) {
            return Array::apply(*self, vmap.inputs.iter().cloned());
        }
        vmap.through(|inputs| self.decompose(inputs))
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let dtype = self.infer(inputs)?[0].dtype;
        let (weight, bias) = self.parameters(inputs);
        let mut y = self.normalised(&inputs[0])?.0.astype(dtype)?;
        if let Some(weight) = weight {
            y = y.multiply(weight)?;
        }
        if let Some(bias) = bias {
            y = y.add(bias.astype(dtype)?)?;
        }
        Ok(vec![y])
    }
}

crate::stored!(LayerNormVjp);

impl Primitive for LayerNormVjp {
    fn name(&self) -> &'static str {
        "layer_norm_vjp"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::between(self.name(), 2, 4, inputs)?;
        let (cotangent, inputs) = inputs.split_last().expect("there are at least two");
        check_cotangent(self.name(), cotangent, self.forward.infer(inputs)?[0].clone())?;
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
        // The kernel would sum the parameters' gradients over the batch.
        vmap.through(|inputs| self.decompose(inputs))
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (cotangent, inputs) = inputs.split_last().expect("the cotangent is the last input");
        let x = &inputs[0];
        let (weight, bias) = self.forward.parameters(inputs);
        let (normal, inverse) = self.forward.normalised(x)?;
        let cotangent = cotangent.astype(normal.dtype())?;
        let weighted = match weight {
            Some(weight) => cotangent.multiply(weight.astype(normal.dtype())?)?,
            None => cotangent.clone(),
        };
        let along = weighted.multiply(&normal)?.mean(keep(-1))?;
        let centred = weighted.subtract(weighted.mean(keep(-1))?)?;
        let gradient = centred.subtract(normal.multiply(along)?)?.multiply(inverse)?;
        let mut gradients = vec![gradient.astype(x.dtype())?];
        if let Some(weight) = weight {
            let gradient = cotangent.multiply(normal)?.sum_to(weight.shape())?;
            gradients.push(gradient.astype(weight.dtype())?);
        }
        if let Some(bias) = bias {
            gradients.push(cotangent.sum_to(bias.shape())?.astype(bias.dtype())?);
        }
        Ok(gradients)
    }
}

/// Shifts and scales the last axis of `x` to mean zero and variance one (`eps` is added to the
/// variance), then multiplies by `weight` and adds `bias`, both vectors. Sums are held in
/// `float32`, or `float64` for `float64`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, fast};
/// let x = Array::from_slice(&[1.0f32, 3.0], [1, 2])?;
/// assert_eq!(fast::layer_norm(&x, None, None, 0.0)?.to_vec::<f32>()?, [-1.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn layer_norm(
    x: &Array,
    weight: Option<&Array>,
    bias: Option<&Array>,
    eps: f32,
) -> Result<Array> {
    let primitive = LayerNorm { eps, weight: weight.is_some(), bias: bias.is_some() };
    let inputs = [Some(x), weight, bias].into_iter().flatten().cloned().collect();
    fused(primitive, inputs)
}

pub(super) fn op() -> OpInfo {
    OpInfo {
        name: "layer_norm",
        doc: "Shifts and scales the last axis to mean zero and variance one.",
        signature: "layer_norm(x, weight, bias, eps)",
        family: Family::Fast,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples: || {
            let inputs = |shape: &[usize], parameters: usize| {
                let last = *shape.last().expect("samples have a last axis");
                let parameters = std::iter::repeat_n(Input::any([last]), parameters);
                [Input::any(shape)].into_iter().chain(parameters).collect::<Vec<_>>()
            };
            vec![
                Sample::new("plain", inputs(&[3, 8], 0), |x| layer_norm(&x[0], None, None, 1e-5)),
                Sample::new("weight", inputs(&[3, 8], 1), |x| {
                    layer_norm(&x[0], Some(&x[1]), None, 1e-5)
                }),
                Sample::new("bias", inputs(&[3, 8], 1), |x| {
                    layer_norm(&x[0], None, Some(&x[1]), 1e-5)
                }),
                Sample::new("both", inputs(&[2, 3, 37], 2), |x| {
                    layer_norm(&x[0], Some(&x[1]), Some(&x[2]), 1e-5)
                }),
                Sample::new("empty", inputs(&[0, 4], 2), |x| {
                    layer_norm(&x[0], Some(&x[1]), Some(&x[2]), 1e-5)
                }),
            ]
        },
    }
}
