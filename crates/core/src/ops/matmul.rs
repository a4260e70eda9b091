//! Owns matrix products.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Error, IntoOperand, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// The product of matrices in the last two axes; the axes before them, of which a side may have
/// fewer, broadcast together.
///
/// Kernels read transposed and broadcast views as they are.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::matmul::Matmul;
/// let (a, b) = (array!([[1.0, 2.0]]), array!([[3.0], [4.0]]));
/// assert_eq!(Array::apply_one(Matmul, [a, b])?.item::<f32>()?, 11.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Matmul;

crate::stored!(Matmul);

impl Primitive for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        let (a, b) = (&inputs[0], &inputs[1]);
        let fits = a.ndim() >= 2
            && b.ndim() >= 2
            && a.shape()[a.ndim() - 1] == b.shape()[b.ndim() - 2]
            && a.dtype() == b.dtype();
        if !fits {
            let (left, right) = (a.shape().clone(), b.shape().clone());
            return Err(Error::InnerDimensions { op: self.name(), left, right });
        }
        let batch = |x: &Array| Shape::from(&x.shape()[..x.ndim() - 2]);
        let batch = batch(a).broadcast(&batch(b), self.name())?;
        let matrix = [a.shape()[a.ndim() - 2], b.shape()[b.ndim() - 1]];
        let shape = batch.iter().chain(&matrix).copied().collect();
        Ok([Spec { shape, dtype: a.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let (a, b, cotangent) = (&vjp.inputs[0], &vjp.inputs[1], vjp.cotangent());
        vjp.each(|i| {
            if i == 0 {
                return cotangent.matmul(b.swapaxes(-1, -2)?)?.sum_to(a.shape()).map(Some);
            }
            if b.ndim() == 2 {
                // The rows of all batches make one large product.
                let rows = a.flatten(0, -2)?;
                return rows.swapaxes(-1, -2)?.matmul(cotangent.flatten(0, -2)?).map(Some);
            }
            a.swapaxes(-1, -2)?.matmul(cotangent)?.sum_to(b.shape()).map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let [left, right] = [&jvp.inputs[0], &jvp.inputs[1]];
        let by_left = jvp.tangents[0].as_ref().map(|tangent| tangent.matmul(right)).transpose()?;
        let by_right = jvp.tangents[1].as_ref().map(|tangent| left.matmul(tangent)).transpose()?;
        let tangent = match (by_left, by_right) {
            (Some(left), Some(right)) => Some(left.add(right)?),
            (left, right) => left.or(right),
        };
        Ok([tangent].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let [left, right] = [&vmap.inputs[0], &vmap.inputs[1]];
        if !vmap.batched[0] && left.ndim() == 2 {
            // Turned round, one matrix for all batches makes one large product.
            let turned = right.swapaxes(-1, -2)?.matmul(left.swapaxes(-1, -2)?)?;
            return Ok([turned.swapaxes(-1, -2)?].into());
        }
        // The batch stands before the axes of the side that has more.
        let own = |i: usize| vmap.inputs[i].ndim() - usize::from(vmap.batched[i]);
        let aligned = |i: usize| {
            let missing = own(1 - i).saturating_sub(own(i));
            let places: Vec<usize> = (1..=missing).collect();
            vmap.inputs[i].with_axes(if vmap.batched[i] { &places } else { &[] })
        };
        Ok([aligned(0).matmul(aligned(1))?].into())
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    /// The matrix product over the last axis of this and the last but one of `other`.
    ///
    /// Vectors count as a row on the left and a column on the right; leading axes broadcast.
    /// Halves accumulate in `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let a = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
    /// let x = Array::from_slice(&[1.0f32, 1.0], [2])?;
    /// assert_eq!(a.matmul(&x)?.to_vec::<f32>()?, [3.0, 7.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn matmul(&self, other: impl IntoOperand) -> Result<Array> {
        let other = other.to_operand(self);
        let dtype = self.dtype().promote(other.dtype());
        if !dtype.is_inexact() {
            let reason = "it takes floating-point or complex arrays; convert with astype first";
            return Err(Error::Dtype { op: "matmul", dtype, reason });
        }
        if self.ndim() == 0 || other.ndim() == 0 {
            let reason = format!("scalars have no rows: {} @ {}", self.shape(), other.shape());
            return Err(Error::Shape { op: "matmul", reason });
        }
        let (mut a, mut b) = (self.astype(dtype)?, other.astype(dtype)?);
        let (row, column) = (a.ndim() == 1, b.ndim() == 1);
        if row {
            a = a.expand_dims(0)?;
        }
        if column {
            b = b.expand_dims(1)?;
        }
        if a.shape()[a.ndim() - 1] != b.shape()[b.ndim() - 2] {
            let (left, right) = (self.shape().clone(), other.shape().clone());
            return Err(Error::InnerDimensions { op: "matmul", left, right });
        }
        let mut product = Array::apply_one(Matmul, [a, b])?;
        if row {
            product = product.squeeze(-2)?;
        }
        if column {
            product = product.squeeze(-1)?;
        }
        Ok(product)
    }

    /// `alpha * (a @ b) + beta * self`: the matrix product added to this array.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let a = Array::ones([2, 3], Dtype::Float32)?;
    /// let c = Array::ones([2, 2], Dtype::Float32)?;
    /// assert_eq!(c.addmm(&a, a.transpose(..)?, 2.0, 1.0)?.to_vec::<f32>()?, [7.0; 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn addmm(
        &self,
        a: impl IntoOperand,
        b: impl IntoOperand,
        alpha: f32,
        beta: f32,
    ) -> Result<Array> {
        let mut product = a.to_operand(self).matmul(b)?;
        if alpha != 1.0 {
            product = product.multiply(alpha)?;
        }
        if self.shape().broadcast(product.shape(), "addmm")? != *product.shape() {
            let (c, shape) = (self.shape(), product.shape());
            let reason = format!("what is added, of shape {c}, does not broadcast to {shape}");
            return Err(Error::Shape { op: "addmm", reason });
        }
        if beta == 1.0 { product.add(self) } else { product.add(self.multiply(beta)?) }
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![
        OpInfo {
            name: "matmul",
            doc: "The product of matrices in the last two axes.",
            signature: "matmul(a, b)",
            family: Family::Linear,
            kinds: kinds::INEXACT,
            gradient: Gradient::Smooth,
            samples: || {
                let product = |a: &[usize], b: &[usize]| {
                    let label = format!("{a:?} @ {b:?}");
                    Sample::new(label, [Input::any(a), Input::any(b)], |x| x[0].matmul(&x[1]))
                };
                vec![
                    product(&[3, 4], &[4, 5]),
                    product(&[2, 3, 4], &[4, 5]),
                    product(&[2, 1, 3, 4], &[3, 4, 2]),
                    product(&[4], &[4]),
                    product(&[3, 4], &[4]),
                    product(&[4], &[2, 4, 3]),
                    product(&[0, 4], &[4, 3]),
                    product(&[3, 0], &[0, 2]),
                    product(&[17, 33], &[33, 65]),
                    Sample::new("a.T @ b", [Input::any([4, 3]), Input::any([4, 5])], |x| {
                        x[0].transpose(..)?.matmul(&x[1])
                    }),
                    Sample::new("a @ b.T", [Input::any([1, 40]), Input::any([50, 40])], |x| {
                        x[0].matmul(x[1].transpose(..)?)
                    }),
                ]
            },
        },
        OpInfo {
            name: "addmm",
            doc: "The matrix product added to an array.",
            signature: "addmm(c, a, b, alpha=1.0, beta=1.0)",
            family: Family::Linear,
            kinds: kinds::INEXACT,
            gradient: Gradient::Smooth,
            samples: || {
                let inputs = [Input::any([5]), Input::any([3, 4]), Input::any([4, 5])];
                vec![
                    Sample::new("", inputs.clone(), |x| x[0].addmm(&x[1], &x[2], 1.0, 1.0)),
                    Sample::new("alpha=2, beta=.5", inputs, |x| x[0].addmm(&x[1], &x[2], 2.0, 0.5)),
                ]
            },
        },
    ]
}
