//! Owns the fused optimiser step of AdamW, which reads and writes each array once.

use serde::{Deserialize, Serialize};

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
};

/// One step of AdamW.
///
/// Inputs are the parameter, its gradient, the two moments and the rates; outputs are the next
/// parameter and the next moments, which take over the memory of the old ones where nobody else
/// holds it. See [`AdamW::step`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::graph::Primitive;
/// use olivine_core::ops::adamw::AdamW;
/// let adamw = AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 };
/// assert_eq!(adamw.name(), "adamw");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    /// How much of the mean gradient is kept at each step.
    #[serde(with = "crate::graph::number")]
    pub beta1: f64,
    /// How much of the mean squared gradient is kept at each step.
    #[serde(with = "crate::graph::number")]
    pub beta2: f64,
    /// Added to the divisor.
    #[serde(with = "crate::graph::number")]
    pub eps: f64,
    /// The part of the parameter, times the learning rate, that is taken off at each step.
    #[serde(with = "crate::graph::number")]
    pub weight_decay: f64,
}

/// A parameter and its moments after a step.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::ops::adamw::Stepped;
/// let x = array!([1.0]);
/// let after = Stepped { parameter: x.clone(), mean: x.zeros_like()?, square: x.zeros_like()? };
/// assert_eq!(after.mean.shape(), after.parameter.shape());
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Stepped {
    /// The parameter.
    pub parameter: Array,
    /// The running mean of its gradients.
    pub mean: Array,
    /// The running mean of its squared gradients.
    pub square: Array,
}

impl AdamW {
    /// The dtype of moments and rates for parameters of `dtype`: halves are too coarse to sum in.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Dtype;
    /// use olivine_core::ops::adamw::AdamW;
    /// assert_eq!(AdamW::moment_dtype(Dtype::BFloat16), Dtype::Float32);
    /// assert_eq!(AdamW::moment_dtype(Dtype::Float64), Dtype::Float64);
    /// ```
    pub const fn moment_dtype(dtype: Dtype) -> Dtype {
        match dtype {
            Dtype::Float64 => Dtype::Float64,
            _ => Dtype::Float32,
        }
    }

    /// Takes one step: `mean` and `square` move towards the gradient and its square, and the
    /// parameter against `mean / (sqrt(square) + eps)`.
    ///
    /// `rates` holds the learning rate and what `mean` and `square` are divided by to make up for
    /// having started from zero. Moments and rates have the [`AdamW::moment_dtype`] of the
    /// parameter.
    ///
    /// Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, ops::adamw::AdamW};
    /// let rule = AdamW { beta1: 0.9, beta2: 0.999, eps: 0.0, weight_decay: 0.0 };
    /// let (w, zero) = (Array::scalar(1.0f32), Array::scalar(0.0f32));
    /// let rates = Array::from_slice(&[0.5f32, 1.0 - 0.9, 1.0 - 0.999], [3])?;
    /// let stepped = rule.step(&w, &Array::scalar(8.0f32), &zero, &zero, &rates)?;
    /// assert!((stepped.parameter.item::<f32>()? - 0.5).abs() < 1e-4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn step(
        self,
        parameter: &Array,
        gradient: &Array,
        mean: &Array,
        square: &Array,
        rates: &Array,
    ) -> Result<Stepped> {
        let gradient = gradient.astype(parameter.dtype())?;
        let inputs = [parameter.clone(), gradient, mean.clone(), square.clone(), rates.clone()];
        let mut outputs = Array::apply(self, inputs)?.into_iter();
        let mut next = || outputs.next().expect("infer() promises three outputs");
        Ok(Stepped { parameter: next(), mean: next(), square: next() })
    }
}

crate::stored!(AdamW);

impl Primitive for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 5, inputs)?;
        let op = self.name();
        let (parameter, rates) = (&inputs[0], &inputs[4]);
        let dtype = parameter.dtype();
        if !dtype.is_float() {
            let reason = "parameters are floating-point";
            return Err(Error::Dtype { op, dtype, reason });
        }
        let moment = Self::moment_dtype(dtype);
        for (name, input) in ["gradient", "mean", "square"].into_iter().zip(&inputs[1..4]) {
            if input.shape() != parameter.shape() {
                let reason = format!(
                    "a {name} of shape {} does not fit a parameter of shape {}",
                    input.shape(),
                    parameter.shape()
                );
                return Err(Error::Shape { op, reason });
            }
        }
        if let Some(input) = inputs[2..].iter().find(|input| input.dtype() != moment) {
            let (dtype, reason) = (input.dtype(), "moments and rates are float32, or float64");
            return Err(Error::Dtype { op, dtype, reason });
        }
        if rates.shape()[..] != [3] {
            let reason = format!("the rates are three numbers, not of shape {}", rates.shape());
            return Err(Error::Shape { op, reason });
        }
        let spec = |dtype| Spec::new(parameter.shape(), dtype);
        Ok([spec(dtype), spec(moment), spec(moment)].into_iter().collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.through(|inputs| self.decompose(inputs))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        if vmap.batched[4] {
            return vmap.through(|inputs| self.decompose(inputs));
        }
        let inputs = (0..4).map(|i| vmap.input(i)).chain([vmap.inputs[4].clone()]);
        Array::apply(*self, inputs)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let [parameter, gradient, mean, square, rates] = inputs else {
            unreachable!("infer() checked the inputs");
        };
        let rate = |i| {
            let (starts, steps) = ([i].into_iter().collect(), [1].into_iter().collect());
            rates.sliced(starts, steps, [1].into()).reshape_to([0usize; 0].into())
        };
        let (learning_rate, mean_correction, square_correction) = (rate(0), rate(1), rate(2));
        let moment = mean.dtype();
        let g = gradient.astype(moment)?;
        let mean = mean.multiply(self.beta1)?.add(g.multiply(1.0 - self.beta1)?)?;
        let square =
            square.multiply(self.beta2)?.add(g.square()?.multiply(1.0 - self.beta2)?)?;
        let divisor = square.divide(square_correction)?.sqrt()?.add(self.eps)?;
        let change = mean.divide(mean_correction)?.divide(divisor)?.multiply(&learning_rate)?;
        let kept = learning_rate.multiply(-self.weight_decay)?.add(1.0)?;
        let next = parameter.astype(moment)?.multiply(kept)?.subtract(change)?;
        Ok(vec![next.astype(parameter.dtype())?, mean, square])
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "adamw",
        doc: "One step of the AdamW optimiser.",
        signature: "adamw(parameter, gradient, mean, square, rates)",
        family: Family::Fast,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples: || {
            let sample = |shape: &[usize]| {
                let inputs = [
                    Input::any(shape),
                    Input::any(shape),
                    Input::any(shape),
                    Input::new(shape, Domain::Positive),
                    Input::new([3], Domain::Positive),
                ];
                Sample::many("", inputs, |x| {
                    let moment = AdamW::moment_dtype(x[0].dtype());
                    let wide = |i: usize| x[i].astype(moment);
                    let rule =
                        AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-3, weight_decay: 0.1 };
                    let next = rule.step(&x[0], &x[1], &wide(2)?, &wide(3)?, &wide(4)?)?;
                    Ok(vec![next.parameter, next.mean, next.square])
                })
            };
            vec![sample(&[3, 5]), sample(&[]), sample(&[0, 2]), sample(&[131])]
        },
    }]
}
