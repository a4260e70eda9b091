//! Owns the softmax function.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Axes, Dtype, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap},
    keep,
};

/// The softmax over the last axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::softmax::Softmax;
/// let y = Array::apply_one(Softmax, [array!([[0.0, f32::NEG_INFINITY]])])?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 0.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Softmax;

crate::stored!(Softmax);

impl Primitive for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let dtype = inputs[0].dtype();
        if !dtype.is_float() {
            let reason = "it takes real floating-point arrays";
            return Err(Error::Dtype { op: self.name(), dtype, reason });
        }
        if inputs[0].ndim() == 0 {
            return Err(Error::Axis { op: self.name(), axis: -1, rank: 0 });
        }
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let y = &vjp.outputs[0];
        vjp.each(|_| {
            let weighted = vjp.cotangent().multiply(y)?;
            weighted.subtract(y.multiply(weighted.sum(keep(-1))?)?).map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let x = &inputs[0];
        if x.size() == 0 {
            return Ok(vec![x.contiguous()?]);
        }
        let exp = x.subtract(x.max(keep(-1))?)?.exp()?;
        Ok(vec![exp.divide(exp.sum(keep(-1))?)?])
    }
}

impl Array {
    /// The softmax over axes: exponentials divided by their sum. Halves are summed in `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[0.0f32, 0.0], [2])?;
    /// assert_eq!(x.softmax(-1)?.to_vec::<f32>()?, [0.5, 0.5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn softmax(&self, axes: impl Into<Axes>) -> Result<Array> {
        let x = self.astype(self.dtype().to_inexact())?;
        let axes = axes.into().resolve(x.ndim(), "softmax")?;
        if x.dtype() == Dtype::Complex64 {
            let exp = x.subtract(complex_shift(&x, &axes)?)?.exp()?;
            return exp.divide(exp.sum(keep(&axes[..]))?);
        }
        if axes.is_empty() {
            return x.reshape([1])?.softmax(0)?.reshape(x.shape());
        }
        if let [axis] = axes[..] {
            if axis + 1 == x.ndim() {
                return Array::apply_one(Softmax, [x]);
            }
            // Rows with gaps are slow to read element by element: bring them together first.
            let rows = x.swapaxes(axis as i64, -1)?.contiguous()?;
            return rows.softmax(-1)?.swapaxes(axis as i64, -1);
        }
        // Several axes: bring them together at the end, and back.
        let mut order: Vec<i64> = (0..x.ndim() as i64).collect();
        order.sort_by_key(|&i| axes.contains(&(i as usize)));
        let moved = x.transpose(&order[..])?;
        let flat = moved.flatten((x.ndim() - axes.len()) as i64, -1)?;
        let result = Array::apply_one(Softmax, [flat])?.reshape(moved.shape())?;
        let mut inverse = vec![0i64; order.len()];
        for (i, &axis) in order.iter().enumerate() {
            inverse[axis as usize] = i as i64;
        }
        result.transpose(&inverse[..])
    }
}

/// The greatest real part over axes, which stay with size one: what complex numbers are moved by so
/// that their exponentials do not overflow. The results do not depend on it.
pub(super) fn complex_shift(x: &Array, axes: &[usize]) -> Result<Array> {
    if x.size() == 0 {
        return Ok(Array::scalar(0.0f32));
    }
    let greatest = crate::stop_gradient(&x.real()?.max(keep(axes))?)?;
    greatest.isfinite()?.select(&greatest, 0.0)
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "softmax",
        doc: "Exponentials divided by their sum.",
        signature: "softmax(x, axis=None)",
        family: Family::Reduction,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            vec![
                Sample::new("axis=-1", [Input::any([3, 37])], |x| x[0].softmax(-1)),
                Sample::new("axis=0", [Input::any([4, 5])], |x| x[0].softmax(0)),
                Sample::new("axis=(0, 2)", [Input::any([2, 3, 4])], |x| x[0].softmax([0, 2])),
                Sample::new("axis=None", [Input::any([2, 3])], |x| x[0].softmax(..)),
                Sample::new("empty axis", [Input::any([3, 0])], |x| x[0].softmax(-1)),
                Sample::new("scalar", [Input::any([])], |x| x[0].softmax(..)),
            ]
        },
    }]
}
