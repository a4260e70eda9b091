//! Owns what only depends on an array's shape, for functions that are to follow shapes.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::OpInfo;
use crate::{
    Array, Dtype, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, exactly},
};

/// The second input repeated to the shape of the first, without a copy.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct FilledLike;

crate::stored!(FilledLike);

impl Primitive for FilledLike {
    fn name(&self) -> &'static str {
        "full_like"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        exactly(self.name(), 2, inputs)?;
        let (shape, value) = (inputs[0].shape(), &inputs[1]);
        if value.shape().broadcast(shape, self.name())? != *shape {
            let (left, right) = (value.shape().clone(), shape.clone());
            return Err(Error::Broadcast { op: self.name(), left, right });
        }
        shape.checked_bytes(value.dtype().size(), self.name())?;
        Ok([Spec { shape: shape.clone(), dtype: value.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|i| match i {
            0 => Ok(None),
            _ => vjp.cotangent().sum_to(vjp.inputs[1].shape()).map(Some),
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let like = |tangent: &Array| {
            Array::apply_one(FilledLike, [jvp.inputs[0].clone(), tangent.clone()])
        };
        Ok([jvp.tangents[1].as_ref().map(like).transpose()?].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let like = vmap.input(0);
        let mut value = vmap.inputs[1].clone();
        if vmap.batched[1] {
            let places: Vec<usize> = (1..=like.ndim() - value.ndim()).collect();
            value = value.with_axes(&places);
        }
        Array::apply(FilledLike, [like, value])
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        Ok(vec![inputs[1].broadcast_to(inputs[0].shape())?])
    }
}

/// The number of elements along axes, a scalar of `int64`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Extent {
    pub(super) axes: SmallVec<[usize; 4]>,
}

crate::stored!(Extent);

impl Primitive for Extent {
    fn name(&self) -> &'static str {
        "number_of_elements"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        exactly(self.name(), 1, inputs)?;
        let rank = inputs[0].ndim();
        match self.axes.iter().find(|&&axis| axis >= rank) {
            Some(&axis) => Err(Error::Axis { op: self.name(), axis: axis as i64, rank }),
            None => Ok([Spec::new([], Dtype::Int64)].into()),
        }
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(None))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let axes = self.axes.iter().map(|axis| axis + 1).collect();
        let one = Array::apply_one(Extent { axes }, vmap.inputs.to_vec())?;
        Ok([one.broadcast_to([vmap.size])?].into())
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let sizes = self.axes.iter().map(|&axis| inputs[0].shape()[axis] as i64);
        Ok(vec![Array::scalar(sizes.fold(1i64, i64::wrapping_mul))])
    }
}

/// Compiled functions record these; they have no public name.
pub(super) fn ops() -> Vec<OpInfo> {
    Vec::new()
}
