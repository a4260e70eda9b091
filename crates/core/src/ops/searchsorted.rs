//! Owns the search for positions in sorted vectors.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Error, IntoOperand, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
};

/// Where a value goes among elements equal to it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::ops::searchsorted::Side;
/// let sorted = array!([1, 2, 2, 3]);
/// assert_eq!(sorted.searchsorted(array!([2]), Side::Left)?.to_vec::<u32>()?, [1]);
/// assert_eq!(sorted.searchsorted(array!([2]), Side::Right)?.to_vec::<u32>()?, [3]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// Before them.
    #[default]
    Left,
    /// After them.
    Right,
}

/// For each element of the second input, how many elements of the first, a sorted vector of the
/// same dtype, come before it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::searchsorted::{SearchSorted, Side};
/// let search = SearchSorted { side: Side::Left };
/// let at = Array::apply_one(search, [array!([1.0, 2.0]), array!([0.0, 1.5, 9.0])])?;
/// assert_eq!(at.to_vec::<u32>()?, [0, 1, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SearchSorted {
    /// Whether elements equal to the value come before it.
    pub side: Side,
}

crate::stored!(SearchSorted);

impl Primitive for SearchSorted {
    fn name(&self) -> &'static str {
        "searchsorted"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        if inputs[0].ndim() != 1 || inputs[0].dtype() != inputs[1].dtype() {
            let reason = format!("it takes a vector and values of its dtype, not {}", inputs[0].shape());
            return Err(Error::Shape { op: self.name(), reason });
        }
        Ok([Spec::new(inputs[1].shape(), Dtype::Uint32)].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(None))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        if vmap.batched[0] {
            return vmap.each(self);
        }
        Array::apply(*self, vmap.inputs.iter().cloned())
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (sorted, value) = (&inputs[0], inputs[1].expand_dims(-1)?);
        let before = match self.side {
            Side::Left => value.greater(sorted)?,
            Side::Right => value.greater_equal(sorted)?,
        };
        Ok(vec![before.sum(-1)?.astype(Dtype::Uint32)?])
    }
}

impl Array {
    /// For each of `values`, the position in this sorted vector where it belongs, as `uint32`.
    ///
    /// Fails for arrays that are not vectors and for complex numbers.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, ops::searchsorted::Side};
    /// let sorted = Array::from_slice(&[1i32, 3, 3, 7], [4])?;
    /// assert_eq!(sorted.searchsorted(3, Side::Left)?.item::<u32>()?, 1);
    /// assert_eq!(sorted.searchsorted(3, Side::Right)?.item::<u32>()?, 3);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn searchsorted(&self, values: impl IntoOperand, side: Side) -> Result<Array> {
        let op = "searchsorted";
        let values = values.to_operand(self);
        let dtype = self.dtype().promote(values.dtype());
        if dtype == Dtype::Complex64 {
            let reason = "it takes real numbers";
            return Err(Error::Dtype { op, dtype, reason });
        }
        if self.ndim() != 1 {
            let reason = format!("it searches a vector, not an array of shape {}", self.shape());
            return Err(Error::Shape { op, reason });
        }
        let inputs = [self.astype(dtype)?, values.astype(dtype)?];
        Array::apply_one(SearchSorted { side }, inputs)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "searchsorted",
        doc: "The positions in a sorted vector where values belong.",
        signature: "searchsorted(a, v, right=False)",
        family: Family::Sorting,
        kinds: kinds::REAL,
        gradient: Gradient::Zero,
        samples: || {
            let sample = |label, shape: &[usize], side| {
                Sample::new(label, [Input::any(shape)], move |x| {
                    // Sorted in every dtype, bool included.
                    let sorted = Array::row([0, 0, 1, 3]).astype(x[0].dtype())?;
                    sorted.searchsorted(&x[0], side)
                })
            };
            vec![
                sample("side=left", &[4, 3], Side::Left),
                sample("side=right", &[4, 3], Side::Right),
                sample("scalar", &[], Side::Left),
                sample("empty", &[0], Side::Right),
                Sample::new("in nothing", [Input::any([3])], |x| {
                    Array::row::<i32, 0>([]).astype(x[0].dtype())?.searchsorted(&x[0], Side::Left)
                }),
            ]
        },
    }]
}
