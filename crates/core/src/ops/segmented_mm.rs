//! Owns matrix products of segments of the inner axis.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Error, IntoOperand, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
};

const OP: &str = "segmented_mm";

/// The product of two matrices for each pair of bounds on the inner axis: inputs are the matrices
/// and, as `int64` with two columns, the bounds.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::ops::segmented_mm::SegmentedMm;
/// let (a, b) = (array!([[1.0, 2.0, 3.0]]), array!([[1.0], [1.0], [1.0]]));
/// let bounds = array!([[0, 1], [1, 3]]).astype(Dtype::Int64)?;
/// assert_eq!(Array::apply_one(SegmentedMm, [a, b, bounds])?.to_vec::<f32>()?, [1.0, 5.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SegmentedMm;

crate::stored!(SegmentedMm);

impl Primitive for SegmentedMm {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 3, inputs)?;
        let (a, b, segments) = (&inputs[0], &inputs[1], &inputs[2]);
        super::gather_mm::check_factors(OP, a, b)?;
        if a.ndim() != 2 || b.ndim() != 2 || a.shape()[1] != b.shape()[0] {
            let (left, right) = (a.shape().clone(), b.shape().clone());
            return Err(Error::InnerDimensions { op: OP, left, right });
        }
        if segments.dtype() != Dtype::Int64 {
            let reason = "the bounds of segments are int64";
            return Err(Error::Dtype { op: OP, dtype: segments.dtype(), reason });
        }
        let shape = segments.shape();
        if shape.rank() != 2 || shape[1] != 2 {
            let reason = format!("the bounds of segments are pairs, not of shape {shape}");
            return Err(Error::Shape { op: OP, reason });
        }
        let shape = Shape::from([segments.shape()[0], a.shape()[0], b.shape()[1]]);
        Ok([Spec { shape, dtype: a.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let [a, b, segments] = vjp.inputs else {
            unreachable!("the operation has three inputs");
        };
        let cotangent = vjp.cotangent();
        // Segments may overlap, so each has gradients of its own, of which only its part counts.
        let within = within(segments, a.shape()[1])?;
        let zero = Array::zeros([], a.dtype())?;
        vjp.each(|i| match i {
            0 => {
                let each = cotangent.matmul(b.transpose(..)?)?;
                within.expand_dims(1)?.select(each, &zero)?.sum(0).map(Some)
            }
            1 => {
                let each = a.transpose(..)?.matmul(cotangent)?;
                within.expand_dims(2)?.select(each, &zero)?.sum(0).map(Some)
            }
            _ => Ok(None),
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let mut sum: Option<Array> = None;
        for i in 0..2 {
            if let Some(tangent) = &jvp.tangents[i] {
                let mut inputs = jvp.inputs.to_vec();
                inputs[i] = tangent.clone();
                let part = Array::apply_one(*self, inputs)?;
                sum = Some(match sum {
                    Some(sum) => sum.add(part)?,
                    None => part,
                });
            }
        }
        Ok([sum].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.each(self)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (a, b) = (&inputs[0], &inputs[1]);
        let within = within(&inputs[2], a.shape()[1])?;
        let zero = Array::zeros([], a.dtype())?;
        let left = within.expand_dims(1)?.select(a, &zero)?;
        let right = within.expand_dims(2)?.select(b, &zero)?;
        Ok(vec![left.matmul(right)?])
    }
}

/// For each segment, which positions of the inner axis lie in it.
fn within(segments: &Array, size: usize) -> Result<Array> {
    let places = Array::arange(0i64, size as i64, 1i64)?;
    let bound = |i: i64| segments.take(&Array::row([i]), 1);
    places.greater_equal(bound(0)?)?.logical_and(places.less(bound(1)?)?)
}

impl Array {
    /// The products of segments of this matrix's columns with the same segments of `other`'s rows.
    ///
    /// `segments` holds integers of shape `(…, 2)`: where each begins, and where it ends. What
    /// lies outside the inner axis is left out, and a segment that ends before it begins is empty.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::ones([1, 5], Dtype::Float32)?;
    /// let segments = Array::from_slice(&[0, 3, 3, 5], [2, 2])?;
    /// let y = x.segmented_mm(x.transpose(..)?, &segments)?;
    /// assert_eq!(y.to_vec::<f32>()?, [3.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn segmented_mm(&self, other: impl IntoOperand, segments: &Array) -> Result<Array> {
        let other = other.to_operand(self);
        let dtype = self.dtype().promote(other.dtype());
        if !dtype.is_float() {
            let reason = "it takes real floating-point arrays; convert with astype first";
            return Err(Error::Dtype { op: OP, dtype, reason });
        }
        if !segments.dtype().is_integer() {
            let reason = "the bounds of segments are integers";
            return Err(Error::Dtype { op: OP, dtype: segments.dtype(), reason });
        }
        if self.ndim() != 2 || other.ndim() != 2 {
            let reason = format!("it takes two matrices, not {} @ {}", self.shape(), other.shape());
            return Err(Error::Shape { op: OP, reason });
        }
        if self.shape()[1] != other.shape()[0] {
            let (left, right) = (self.shape().clone(), other.shape().clone());
            return Err(Error::InnerDimensions { op: OP, left, right });
        }
        if segments.shape().last() != Some(&2) {
            let reason = format!("segments have two bounds each, not shape {}", segments.shape());
            return Err(Error::Shape { op: OP, reason });
        }
        let count = segments.size() / 2;
        let bounds = segments.astype(Dtype::Int64)?.reshape_to(Shape::from([count, 2]));
        let (a, b) = (self.astype(dtype)?, other.astype(dtype)?);
        let sizes = [a.shape()[0], b.shape()[1]];
        let out = Array::apply_one(SegmentedMm, [a, b, bounds])?;
        let batch = segments.shape()[..segments.ndim() - 1].iter().copied();
        Ok(out.reshape_to(batch.chain(sizes).collect()))
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let samples = || {
        let case = |m: usize, k: usize, n: usize, segments: &[usize]| {
            let inputs =
                [Input::any([m, k]), Input::any([k, n]), Input::index(segments, k.max(1) + 3)];
            Sample::new("", inputs, |x| x[0].segmented_mm(&x[1], &x[2]))
        };
        vec![
            case(3, 17, 4, &[6, 2]),
            case(2, 9, 3, &[2, 3, 2]),
            case(3, 5, 2, &[2]),
            case(3, 5, 2, &[0, 2]),
            case(3, 0, 2, &[2, 2]),
        ]
    };
    vec![OpInfo {
        name: OP,
        doc: "The matrix products of segments of the inner axis.",
        signature: "segmented_mm(a, b, segments)",
        family: Family::Linear,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples,
    }]
}
