//! Owns orders: sorting, the positions that sort, and the greatest elements.

use serde::{Deserialize, Serialize};

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, info::kinds, scatter::Combine};
use crate::{
    Array, Dtype, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
    stop_gradient,
};

/// The elements of each line of the last axis in ascending order; equal ones keep theirs. NaN is
/// greater than all numbers; complex numbers compare by real part, then by imaginary part.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::sort::Sort;
/// let y = Array::apply_one(Sort, [array!([f32::NAN, 2.0, 1.0])])?.to_vec::<f32>()?;
/// assert!(y[..2] == [1.0, 2.0] && y[2].is_nan());
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sort;

/// The positions, as `uint32`, that put each line of the last axis in order.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::sort::ArgSort;
/// let order = Array::apply_one(ArgSort { pivot: None }, [array!([30, 10, 20])])?;
/// assert_eq!(order.to_vec::<u32>()?, [1, 2, 0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ArgSort {
    /// If given, only the element at this place of the result must be the right one, those before
    /// it not greater and those after it not smaller.
    pub pivot: Option<usize>,
}

crate::stored!(Sort);

impl Primitive for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        check_line(self.name(), &inputs[0])?;
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| {
            let order = stop_gradient(&vjp.inputs[0].argsort(-1)?)?;
            let cotangent = vjp.cotangent();
            let axis = order.ndim() - 1;
            let zeros = cotangent.zeros_like()?;
            zeros.scattered_along(Combine::Assign, axis, &order, cotangent).map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

crate::stored!(ArgSort);

impl Primitive for ArgSort {
    fn name(&self) -> &'static str {
        if self.pivot.is_some() { "argpartition" } else { "argsort" }
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let size = check_line(self.name(), &inputs[0])?;
        if u32::try_from(size).is_err() || self.pivot.is_some_and(|pivot| pivot >= size) {
            let reason = format!("{self:?} does not fit a line of {size} elements");
            return Err(Error::Argument { op: self.name(), reason });
        }
        Ok([Spec { shape: inputs[0].shape().clone(), dtype: Dtype::Uint32 }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(None))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The size of the last axis.
fn check_line(op: &'static str, x: &Array) -> Result<usize> {
    x.shape().last().copied().ok_or(Error::Axis { op, axis: -1, rank: 0 })
}

impl Array {
    /// Applies `f`, which works along the last axis, along `axis`.
    fn along_last(
        &self,
        axis: i64,
        op: &'static str,
        f: impl FnOnce(Array) -> Result<Array>,
    ) -> Result<Array> {
        let axis = self.shape().axis(axis, op)? as i64;
        f(self.swapaxes(axis, -1)?)?.swapaxes(axis, -1)
    }

    /// The elements in ascending order along an axis; NaN comes last.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[3.0f32, f32::NAN, 1.0], [3])?.sort(-1)?.to_vec::<f32>()?;
    /// assert!(x[..2] == [1.0, 3.0] && x[2].is_nan());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sort(&self, axis: i64) -> Result<Array> {
        self.along_last(axis, "sort", |x| Array::apply_one(Sort, [x]))
    }

    /// The positions, as `uint32`, that sort along an axis; equal elements keep their order.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[3, 1, 3, 2], [4])?;
    /// assert_eq!(x.argsort(-1)?.to_vec::<u32>()?, [1, 3, 0, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn argsort(&self, axis: i64) -> Result<Array> {
        self.along_last(axis, "argsort", |x| Array::apply_one(ArgSort { pivot: None }, [x]))
    }

    /// The positions, as `uint32`, that put the element of rank `kth` in its place, none greater
    /// before it and none smaller after it. A negative `kth` counts from the end.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[5, 1, 4, 2, 3], [5])?;
    /// assert_eq!(x.argpartition(-1, 0)?.to_vec::<u32>()?[4], 0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn argpartition(&self, kth: i64, axis: i64) -> Result<Array> {
        let at = self.shape().axis(axis, "argpartition")?;
        let size = self.shape()[at];
        let shifted = if kth < 0 { kth + size as i64 } else { kth };
        let Some(pivot) = usize::try_from(shifted).ok().filter(|&pivot| pivot < size) else {
            return Err(Error::Index { op: "argpartition", index: kth, axis: at, size });
        };
        self.along_last(axis, "argpartition", |x| {
            Array::apply_one(ArgSort { pivot: Some(pivot) }, [x])
        })
    }

    /// The elements with the one of rank `kth` in its place, none greater before it and none
    /// smaller after it. Faster than sorting.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[5, 1, 4, 2, 3], [5])?.partition(2, 0)?;
    /// assert_eq!(x.to_vec::<i32>()?[2], 3);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn partition(&self, kth: i64, axis: i64) -> Result<Array> {
        self.take_along_axis(&stop_gradient(&self.argpartition(kth, axis)?)?, axis)
    }

    /// The `k` greatest elements along an axis, in no particular order. NaN is the greatest.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[5, 1, 4, 2, 3], [5])?;
    /// assert_eq!(x.topk(2, -1)?.sort(-1)?.to_vec::<i32>()?, [4, 5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn topk(&self, k: usize, axis: i64) -> Result<Array> {
        let at = self.shape().axis(axis, "topk")?;
        let size = self.shape()[at];
        if k > size {
            let reason = format!("axis {at} of shape {} has no {k} elements", self.shape());
            return Err(Error::Argument { op: "topk", reason });
        }
        if k == size {
            return Ok(self.clone());
        }
        if k == 0 {
            return Ok(self.narrow(at, 0, 0));
        }
        let order = stop_gradient(&self.argpartition((size - k) as i64, axis)?)?;
        self.take_along_axis(&order.narrow(at, size - k, size), axis)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, gradient, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Sorting,
        kinds: kinds::ALL,
        gradient,
        samples,
    };
    fn samples(call: fn(&Array, i64) -> Result<Array>, empty: bool) -> Vec<Sample> {
        let case = |shape: &[usize], axis: i64| {
            let inputs = [Input::new(shape, Domain::Distinct)];
            Sample::new(format!("axis={axis}"), inputs, move |x| call(&x[0], axis))
        };
        let mut samples = vec![case(&[3, 7], -1), case(&[5, 2, 3], 0), case(&[130], 0)];
        if empty {
            samples.push(case(&[0, 3], 0));
            samples.push(case(&[3, 0], 1));
        }
        samples
    }
    use Gradient::{Smooth, Zero};
    vec![
        op("sort", "Ascending order, NaN last.", "sort(x, axis=-1)", Smooth, || {
            samples(Array::sort, true)
        }),
        op("argsort", "The positions that sort.", "argsort(x, axis=-1)", Zero, || {
            samples(Array::argsort, true)
        }),
        op(
            "partition",
            "Puts the element of one rank in its place.",
            "partition(x, kth, axis=-1)",
            Smooth,
            || samples(|x, axis| x.partition(2, axis)?.sort(axis), false),
        ),
        op(
            "argpartition",
            "The positions that partition.",
            "argpartition(x, kth, axis=-1)",
            Zero,
            || samples(|x, axis| x.argpartition(-1, axis)?.sort(axis), false),
        ),
        op("topk", "The greatest elements.", "topk(x, k, axis=-1)", Smooth, || {
            samples(|x, axis| x.topk(2, axis)?.sort(axis), false)
        }),
    ]
}
