//! Owns writing into a slice: a copy of an array with a part replaced or added to.

use serde::{Deserialize, Serialize};

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap, no_decomposition},
    shape::Strides,
};

/// A copy of the first input whose slice holds the second input. The slice has the second input's
/// shape; the dtypes are equal.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::slice_update::SliceUpdate;
/// let (starts, steps) = ([0].into_iter().collect(), [2].into_iter().collect());
/// let every_other = SliceUpdate { starts, steps };
/// let y = Array::apply_one(every_other, [array!([1, 2, 3]), array!([8, 9])])?;
/// assert_eq!(y.to_vec::<i32>()?, [8, 2, 9]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SliceUpdate {
    /// The slice's first element along each axis.
    pub starts: SmallVec<[usize; 4]>,
    /// The distance to its next element.
    pub steps: Strides,
}

crate::stored!(SliceUpdate);

impl Primitive for SliceUpdate {
    fn name(&self) -> &'static str {
        "slice_update"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        let (x, slice) = (&inputs[0], &inputs[1]);
        let fits = x.ndim() == slice.ndim()
            && [self.starts.len(), self.steps.len()] == [x.ndim(); 2]
            && (0..x.ndim()).all(|axis| match slice.shape()[axis] as isize {
                0 => true,
                count => {
                    let start = self.starts[axis] as isize;
                    let end = start.saturating_add(self.steps[axis].saturating_mul(count - 1));
                    start.min(end) >= 0 && start.max(end) < x.shape()[axis] as isize
                }
            });
        if !fits || x.dtype() != slice.dtype() {
            let reason = format!(
                "{} {} in steps {:?} from {:?} does not fit into {} {}",
                slice.dtype(),
                slice.shape(),
                self.steps,
                self.starts,
                x.dtype(),
                x.shape()
            );
            return Err(Error::Shape { op: self.name(), reason });
        }
        Ok([x.spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let update = &vjp.inputs[1];
        vjp.each(|i| {
            let cotangent = vjp.cotangent();
            let (starts, steps) = (self.starts.clone(), self.steps.clone());
            Ok(Some(if i == 0 {
                let zeros = update.zeros_like()?;
                cotangent.slice_update_at(&zeros, starts, steps)?
            } else {
                cotangent.sliced(starts, steps, update.shape().clone())
            }))
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.linear(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(SliceUpdate {
            starts: std::iter::once(0).chain(self.starts.iter().copied()).collect(),
            steps: std::iter::once(1).chain(self.steps.iter().copied()).collect(),
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
    vec![OpInfo {
        name: "slice_update",
        doc: "A copy with a slice replaced.",
        signature: "slice_update(x, update, start_indices, axes)",
        family: Family::Indexing,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            let case = |label: &str, starts: [usize; 2], steps: [isize; 2], slice: [usize; 2]| {
                let inputs = [Input::any([5, 4]), Input::any(slice)];
                Sample::new(label, inputs, move |x| {
                    x[0].slice_update_at(&x[1], starts.as_slice().into(), steps.as_slice().into())
                })
            };
            vec![
                case("[1:3, 2:4]", [1, 2], [1, 1], [2, 2]),
                case("[::2, ::-1]", [0, 3], [2, -1], [3, 4]),
                case("nothing", [2, 0], [1, 1], [0, 4]),
                Sample::new(
                    "from",
                    [Input::any([5, 4]), Input::any([2, 2]), Input::index([2], 3)],
                    |x| x[0].slice_update(&x[1], &x[2], &[1, 0]),
                ),
                Sample::new(
                    "from",
                    [Input::any([5, 4]), Input::any([2]), Input::index([], 3)],
                    |x| x[0].slice_update(&x[1], &x[2], &[1]),
                ),
            ]
        },
    }]
}
