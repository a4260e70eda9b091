//! Owns writing into a slice: a copy of an array with a part replaced or added to.

use smallvec::SmallVec;

use super::OpInfo;
use crate::{
    Array, Result,
    graph::{Gradients, Primitive, Specs, Vjp, no_decomposition},
    shape::Strides,
};

/// A copy of the first input whose slice holds the second input. The slice has the second input's
/// shape; the dtypes are equal.
#[derive(Clone, Debug)]
pub struct SliceUpdate {
    /// The slice's first element along each axis.
    pub starts: SmallVec<[usize; 4]>,
    /// The distance to its next element.
    pub steps: Strides,
}

impl Primitive for SliceUpdate {
    fn name(&self) -> &'static str {
        "slice_update"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let update = &vjp.inputs[1];
        vjp.each(|i| {
            let cotangent = vjp.cotangent();
            let (starts, steps) = (self.starts.clone(), self.steps.clone());
            Ok(Some(if i == 0 {
                let zeros = Array::zeros(update.shape(), update.dtype())?;
                cotangent.slice_update_at(&zeros, starts, steps)?
            } else {
                cotangent.sliced(starts, steps, update.shape().clone())
            }))
        })
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    /// A copy whose slice at `starts` in `steps` holds `update`, which is of this dtype.
    pub(crate) fn slice_update_at(
        &self,
        update: &Array,
        starts: SmallVec<[usize; 4]>,
        steps: Strides,
    ) -> Result<Array> {
        Array::apply_one(SliceUpdate { starts, steps }, [self.clone(), update.clone()])
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    Vec::new()
}
