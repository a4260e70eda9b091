//! Owns matrix products.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Error, IntoOperand, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// The product of matrices in the last two axes; the axes before them are equal batches.
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

#[typetag::serde]
impl Primitive for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        let (a, b) = (&inputs[0], &inputs[1]);
        let rank = a.ndim();
        let fits = rank >= 2
            && b.ndim() == rank
            && a.shape()[..rank - 2] == b.shape()[..rank - 2]
            && a.shape()[rank - 1] == b.shape()[rank - 2]
            && a.dtype() == b.dtype();
        if !fits {
            let (left, right) = (a.shape().clone(), b.shape().clone());
            return Err(Error::InnerDimensions { op: self.name(), left, right });
        }
        let shape = a.shape().with_axis(a.ndim() - 1, b.shape()[b.ndim() - 1]);
        Ok([Spec { shape, dtype: a.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let cotangent = vjp.cotangent();
        vjp.each(|i| {
            Ok(Some(if i == 0 {
                cotangent.matmul(vjp.inputs[1].swapaxes(-1, -2)?)?
            } else {
                vjp.inputs[0].swapaxes(-1, -2)?.matmul(cotangent)?
            }))
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
        Ok([left.matmul(right)?].into())
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
        let mut product = if b.ndim() == 2 && a.ndim() > 2 {
            // One matrix for all batches: fold them into rows, one large product.
            let mut shape = a.shape().clone();
            let columns = b.shape()[1];
            let folded = a.flatten(0, -2)?;
            shape = shape.with_axis(a.ndim() - 1, columns);
            Array::apply_one(Matmul, [folded, b])?.reshape_to(shape)
        } else {
            let (batch_a, matrix_a) = a.shape().split_at(a.ndim() - 2);
            let (batch_b, matrix_b) = b.shape().split_at(b.ndim() - 2);
            let batch = crate::Shape::from(batch_a).broadcast(&batch_b.into(), "matmul")?;
            let full = |matrix: &[usize]| batch.iter().chain(matrix).copied().collect();
            let a = a.broadcast_shape(&full(matrix_a));
            let b = b.broadcast_shape(&full(matrix_b));
            Array::apply_one(Matmul, [a, b])?
        };
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
