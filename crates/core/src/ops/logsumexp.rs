//! Owns the logarithm of a sum of exponentials.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds, softmax::complex_shift};
use crate::{
    Array, Axes, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
    keep,
};

/// `log(sum(exp(x)))` over the last axis, which stays with size one, without overflow.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::logsumexp::LogSumExp;
/// let y = Array::apply_one(LogSumExp, [array!([[0.0, f32::NEG_INFINITY]])])?;
/// assert_eq!((y.shape().dims(), y.item::<f32>()?), (&[1, 1][..], 0.0));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LogSumExp;

crate::stored!(LogSumExp);

impl Primitive for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let x = &inputs[0];
        if x.shape().last().is_none_or(|&n| n == 0) {
            let reason = format!("the last axis of shape {} is empty", x.shape());
            return Err(Error::Shape { op: self.name(), reason });
        }
        if !x.dtype().is_float() {
            let reason = "it takes real floating-point arrays";
            return Err(Error::Dtype { op: self.name(), dtype: x.dtype(), reason });
        }
        let shape = x.shape().with_axis(x.ndim() - 1, 1);
        Ok([Spec { shape, dtype: x.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| vjp.inputs[0].softmax(-1)?.multiply(vjp.cotangent()).map(Some))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let x = &inputs[0];
        // An infinite maximum is left where it is: subtracting it from itself would give NaN.
        let greatest = x.max(keep(-1))?;
        let shift = greatest.isfinite()?.select(&greatest, 0.0)?;
        let sum = x.subtract(&shift)?.exp()?.sum(keep(-1))?;
        Ok(vec![sum.log()?.add(shift)?])
    }
}

impl Array {
    /// `log(sum(exp(x)))` over axes, without overflow. Halves are summed in `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1000.0f32, 1000.0], [2])?;
    /// let y = x.logsumexp(-1)?.item::<f32>()?;
    /// assert!((y - 1000.6931).abs() < 1e-3);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn logsumexp(&self, axes: impl Into<Axes>) -> Result<Array> {
        let x = self.astype(self.dtype().to_inexact())?;
        let axes = axes.into();
        let list = axes.resolve(x.ndim(), "logsumexp")?;
        if x.dtype() == Dtype::Complex64 {
            if let Some(axis) = list.iter().find(|&&axis| x.shape()[axis] == 0) {
                let reason = format!("axis {axis} of shape {} is empty", x.shape());
                return Err(Error::Shape { op: "logsumexp", reason });
            }
            let shift = complex_shift(&x, &list)?;
            let sum = x.subtract(&shift)?.exp()?.sum(keep(&list[..]))?.log()?.add(shift)?;
            return if axes.keeps_dims() { Ok(sum) } else { sum.squeeze(&list[..]) };
        }
        let reduced = |i: &usize| list.contains(i);
        let shape: Shape = if axes.keeps_dims() {
            (0..x.ndim()).map(|i| if reduced(&i) { 1 } else { x.shape()[i] }).collect()
        } else {
            (0..x.ndim()).filter(|i| !reduced(i)).map(|i| x.shape()[i]).collect()
        };
        // Bring the axes together at the end.
        let mut order: Vec<i64> = (0..x.ndim() as i64).collect();
        order.sort_by_key(|&i| reduced(&(i as usize)));
        let moved = x.transpose(&order[..])?;
        let (rest, last) = moved.shape().split_at(x.ndim() - list.len());
        let flat = rest.iter().copied().chain([last.iter().product()]).collect();
        Ok(Array::apply_one(LogSumExp, [moved.reshape_to(flat)])?.reshape_to(shape))
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "logsumexp",
        doc: "The logarithm of the sum of exponentials over axes, without overflow.",
        signature: "logsumexp(x, axis=None, keepdims=False)",
        family: Family::Reduction,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            vec![
                Sample::new("axis=-1", [Input::any([3, 37])], |x| x[0].logsumexp(-1)),
                Sample::new("axis=0", [Input::any([4, 5])], |x| x[0].logsumexp(0)),
                Sample::new("axis=1, keepdims", [Input::any([2, 3, 4])], |x| {
                    x[0].logsumexp(keep(1))
                }),
                Sample::new("axis=(0, 2)", [Input::any([2, 3, 4])], |x| x[0].logsumexp([0, 2])),
                Sample::new("axis=None", [Input::any([2, 3])], |x| x[0].logsumexp(..)),
                Sample::new("scalar", [Input::any([])], |x| x[0].logsumexp(..)),
                Sample::new("empty result", [Input::any([0, 3])], |x| x[0].logsumexp(-1)),
            ]
        },
    }]
}
