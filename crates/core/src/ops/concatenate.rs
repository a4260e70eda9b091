//! Owns joining arrays: along an axis they have, or along a new one.

use serde::{Deserialize, Serialize};

use std::borrow::Borrow;

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
    shape::normalize_axis,
};

/// The inputs, of one dtype, one after another along an axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::concatenate::Concatenate;
/// let (a, b) = (array!([[1], [2]]), array!([[3, 4], [5, 6]]));
/// let joined = Array::apply_one(Concatenate { axis: 1 }, [a, b])?;
/// assert_eq!(joined.to_vec::<i32>()?, [1, 3, 4, 2, 5, 6]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Concatenate {
    /// The axis along which they are joined.
    pub axis: usize,
}

crate::stored!(Concatenate);

impl Primitive for Concatenate {
    fn name(&self) -> &'static str {
        "concatenate"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::between(self.name(), 1, usize::MAX, inputs)?;
        let first = inputs[0].shape();
        let axis = self.axis;
        if axis >= first.rank() || inputs.iter().any(|x| x.dtype() != inputs[0].dtype()) {
            let reason = format!("inputs of several dtypes, or no axis {axis} in shape {first}");
            return Err(Error::Shape { op: self.name(), reason });
        }
        let mut size = 0usize;
        for input in inputs {
            let shape = input.shape();
            if shape.rank() != first.rank()
                || shape.with_axis(self.axis, 0) != first.with_axis(self.axis, 0)
            {
                let reason = format!("shapes {first} and {shape} differ outside axis {axis}");
                return Err(Error::Shape { op: self.name(), reason });
            }
            size = size.saturating_add(shape[self.axis]);
        }
        Ok([Spec { shape: first.with_axis(self.axis, size), dtype: inputs[0].dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let mut ends = vec![0];
        for input in vjp.inputs {
            ends.push(ends[ends.len() - 1] + input.shape()[self.axis]);
        }
        vjp.each(|i| Ok(Some(vjp.cotangent().narrow(self.axis, ends[i], ends[i + 1]))))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.linear(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(Concatenate { axis: self.axis + 1 })
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    /// The part from `start` to `end` of a checked axis.
    pub(crate) fn narrow(&self, axis: usize, start: usize, end: usize) -> Array {
        let mut starts = SmallVec::from_elem(0, self.ndim());
        starts[axis] = start;
        let steps = SmallVec::from_elem(1, self.ndim());
        self.sliced(starts, steps, self.shape().with_axis(axis, end - start))
    }
}

/// Converts arrays to the dtype that holds the values of all.
fn promoted<A: Borrow<Array>>(op: &'static str, arrays: &[A]) -> Result<Vec<Array>> {
    let dtype = arrays.iter().map(|a| a.borrow().dtype()).reduce(Dtype::promote);
    let Some(dtype) = dtype else {
        let reason = "there are no arrays to join".to_owned();
        return Err(Error::Argument { op, reason });
    };
    arrays.iter().map(|a| a.borrow().astype(dtype)).collect()
}

/// Joins arrays along an axis they have. Their other axes have the same sizes.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{concatenate, Array};
/// let a = Array::from_slice(&[1, 2], [1, 2])?;
/// let b = Array::from_slice(&[3, 4, 5, 6], [2, 2])?;
/// assert_eq!(concatenate(&[a, b], 0)?.to_vec::<i32>()?, [1, 2, 3, 4, 5, 6]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn concatenate<A: Borrow<Array>>(arrays: &[A], axis: i64) -> Result<Array> {
    let mut arrays = promoted("concatenate", arrays)?;
    let axis = arrays[0].shape().axis(axis, "concatenate")?;
    if arrays.len() == 1 {
        return Ok(arrays.remove(0));
    }
    Array::apply_one(Concatenate { axis }, arrays)
}

/// Joins arrays of one shape along a new axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{stack, Array};
/// let (a, b) = (Array::from_slice(&[1, 2], [2])?, Array::from_slice(&[3, 4], [2])?);
/// assert_eq!(stack(&[a, b], 1)?.to_vec::<i32>()?, [1, 3, 2, 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn stack<A: Borrow<Array>>(arrays: &[A], axis: i64) -> Result<Array> {
    let arrays = promoted("stack", arrays)?;
    let first: &Shape = arrays[0].shape();
    if let Some(other) = arrays.iter().find(|a| a.shape() != first) {
        let reason = format!("shapes {first} and {} differ", other.shape());
        return Err(Error::Shape { op: "stack", reason });
    }
    let axis = normalize_axis(axis, first.rank() + 1, "stack")?;
    let rows = arrays.iter().map(|a| a.expand_dims(axis as i64)).collect::<Result<Vec<_>>>()?;
    concatenate(&rows, axis as i64)
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Shape,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples,
    };
    vec![
        op("concatenate", "Joins arrays along an axis.", "concatenate(arrays, axis=0)", || {
            let inputs = |shapes: &[&[usize]]| -> Vec<Input> {
                shapes.iter().map(|&shape| Input::any(shape)).collect()
            };
            vec![
                Sample::new("axis=0", inputs(&[&[2, 3], &[1, 3], &[4, 3]]), |x| concatenate(x, 0)),
                Sample::new("axis=-1", inputs(&[&[2, 3], &[2, 0], &[2, 1]]), |x| {
                    concatenate(x, -1)
                }),
                Sample::new("axis=1", inputs(&[&[2, 3, 2], &[2, 1, 2]]), |x| concatenate(x, 1)),
                Sample::new("transposed", inputs(&[&[2, 3], &[2, 3]]), |x| {
                    concatenate(&[x[0].transpose(..)?, x[1].transpose(..)?], 0)
                }),
            ]
        }),
        op("stack", "Joins arrays along a new axis.", "stack(arrays, axis=0)", || {
            let inputs = [Input::any([2, 3]), Input::any([2, 3])];
            vec![
                Sample::new("axis=0", inputs.clone(), |x| stack(x, 0)),
                Sample::new("axis=-1", inputs, |x| stack(x, -1)),
                Sample::new("scalars", [Input::any([]), Input::any([])], |x| stack(x, 0)),
            ]
        }),
    ]
}
