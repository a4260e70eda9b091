//! Owns reading by position: whole slices by integer arrays, and single elements along an axis.

use serde::{Deserialize, Serialize};

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds, scatter::Combine};
use crate::{
    Array, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// Reads slices of the first input. The other inputs hold, for each of `axes`, the positions to
/// read; they share one shape. The result has that shape, then the axes that are not indexed.
///
/// A negative position counts from the end; one that is still outside fails the evaluation.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::gather::Gather;
/// let rows = Gather { axes: [0].into_iter().collect() };
/// let x = array!([[1, 2], [3, 4], [5, 6]]);
/// assert_eq!(Array::apply_one(rows, [x, array!([2, 0])])?.to_vec::<i32>()?, [5, 6, 1, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gather {
    /// The indexed axes, distinct, one for each index array.
    pub axes: SmallVec<[usize; 4]>,
}

/// Reads one element for each position: `out[.., i, ..] = x[.., indices[.., i, ..], ..]`. Both
/// inputs have the same shape but for `axis`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::gather::GatherAxis;
/// let x = array!([[1, 2], [3, 4]]);
/// let y = Array::apply_one(GatherAxis { axis: 1 }, [x, array!([[1], [0]])])?;
/// assert_eq!(y.to_vec::<i32>()?, [2, 3]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GatherAxis {
    /// The axis that the positions count along.
    pub axis: usize,
}

/// The shape of what positions of shape `indices` along `axes` select from `shape`.
pub(crate) fn gathered_shape(shape: &Shape, axes: &[usize], indices: &Shape) -> Shape {
    let kept = (0..shape.rank()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]);
    indices.iter().copied().chain(kept).collect()
}

/// Checks that `indices` hold integers, and that none is read from an axis without elements.
pub(crate) fn check_indices(
    op: &'static str,
    shape: &Shape,
    axes: &[usize],
    indices: &[Array],
) -> Result<()> {
    if axes.is_empty() || axes.len() != indices.len() || axes.iter().any(|&a| a >= shape.rank()) {
        let reason = format!("{} index arrays do not fit axes {axes:?}", indices.len());
        return Err(Error::Argument { op, reason });
    }
    for (i, (&axis, index)) in axes.iter().zip(indices).enumerate() {
        if axes[..i].contains(&axis) {
            let reason = format!("axes {axes:?} repeat an axis");
            return Err(Error::Argument { op, reason });
        }
        if !index.dtype().is_integer() {
            let reason = "positions are integers";
            return Err(Error::Dtype { op, dtype: index.dtype(), reason });
        }
        if index.shape() != indices[0].shape() {
            let reason = format!(
                "index arrays have shapes {} and {}",
                indices[0].shape(),
                index.shape()
            );
            return Err(Error::Shape { op, reason });
        }
        if shape[axis] == 0 && index.size() > 0 {
            let reason = format!("axis {axis} of shape {shape} is empty and has nothing to read");
            return Err(Error::Shape { op, reason });
        }
    }
    Ok(())
}

/// Checks that two shapes are equal but for one axis.
pub(crate) fn check_lines(
    op: &'static str,
    shape: &Shape,
    axis: usize,
    indices: &Shape,
) -> Result<()> {
    if shape.rank() == indices.rank() && shape.with_axis(axis, 0) == indices.with_axis(axis, 0) {
        return Ok(());
    }
    let reason = format!("indices of shape {indices} do not fit shape {shape} beside axis {axis}");
    Err(Error::Shape { op, reason })
}

crate::stored!(Gather);

impl Primitive for Gather {
    fn name(&self) -> &'static str {
        "take"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::between(self.name(), 2, usize::MAX, inputs)?;
        let (x, indices) = (&inputs[0], &inputs[1..]);
        check_indices(self.name(), x.shape(), &self.axes, indices)?;
        let shape = gathered_shape(x.shape(), &self.axes, indices[0].shape());
        Ok([Spec { shape, dtype: x.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|i| {
            if i > 0 {
                return vjp.of_positions();
            }
            let zeros = vjp.inputs[0].zeros_like()?.astype(vjp.cotangent().dtype())?;
            zeros
                .scattered(Combine::Add, &self.axes, &vjp.inputs[1..], vjp.cotangent())
                .map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.check_positions(1..jvp.inputs.len())?;
        jvp.linear(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let axes = self.axes.iter().map(|axis| axis + 1);
        if !vmap.batched[0] {
            let indices = (1..vmap.inputs.len()).map(|i| vmap.input(i));
            return Array::apply(self.clone(), [vmap.inputs[0].clone()].into_iter().chain(indices));
        }
        if !vmap.batched[1..].contains(&true) {
            // The batch is the first of the axes that are not indexed.
            let slices = Array::apply_one(Gather { axes: axes.collect() }, vmap.inputs.to_vec())?;
            return Ok([slices.moveaxis(vmap.inputs[1].ndim() as i64, 0)?].into());
        }
        let axes = std::iter::once(0).chain(axes).collect();
        let indices = (1..vmap.inputs.len()).map(|i| vmap.input(i));
        let inputs = [vmap.input(0), vmap.places(1)?].into_iter().chain(indices);
        Array::apply(Gather { axes }, inputs)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

crate::stored!(GatherAxis);

impl Primitive for GatherAxis {
    fn name(&self) -> &'static str {
        "take_along_axis"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        let (x, indices) = (&inputs[0], &inputs[1]);
        check_indices(self.name(), x.shape(), &[self.axis], &inputs[1..])?;
        check_lines(self.name(), x.shape(), self.axis, indices.shape())?;
        Ok([Spec { shape: indices.shape().clone(), dtype: x.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|i| {
            if i > 0 {
                return vjp.of_positions();
            }
            let zeros = vjp.inputs[0].zeros_like()?.astype(vjp.cotangent().dtype())?;
            zeros
                .scattered_along(Combine::Add, self.axis, &vjp.inputs[1], vjp.cotangent())
                .map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.check_positions(1..jvp.inputs.len())?;
        jvp.linear(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(GatherAxis { axis: self.axis + 1 })
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    /// Slices at positions along several axes; the positions broadcast together.
    ///
    /// The result has the positions' shape, then the axes that are not indexed.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2, 3, 4], [2, 2])?;
    /// let (rows, columns) = (Array::from_slice(&[0, 1], [2])?, Array::from_slice(&[1, 0], [2])?);
    /// assert_eq!(x.gather(&[&rows, &columns], &[0, 1])?.to_vec::<i32>()?, [2, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn gather(&self, indices: &[&Array], axes: &[i64]) -> Result<Array> {
        let (axes, indices) = self.index_operands("take", indices, axes)?;
        if axes.is_empty() {
            return Ok(self.clone());
        }
        let inputs = std::iter::once(self.clone()).chain(indices);
        Array::apply_one(Gather { axes }, inputs)
    }

    /// The distinct axes and the index arrays broadcast together.
    pub(crate) fn index_operands(
        &self,
        op: &'static str,
        indices: &[&Array],
        axes: &[i64],
    ) -> Result<(SmallVec<[usize; 4]>, Vec<Array>)> {
        let fail = |reason| Err(Error::Argument { op, reason });
        if indices.len() != axes.len() {
            return fail(format!("{} index arrays for {} axes", indices.len(), axes.len()));
        }
        let mut list = SmallVec::new();
        for &axis in axes {
            let axis = self.shape().axis(axis, op)?;
            if list.contains(&axis) {
                return fail(format!("axes {axes:?} repeat an axis"));
            }
            list.push(axis);
        }
        let mut shape = Shape::scalar();
        for index in indices {
            shape = shape.broadcast(index.shape(), op)?;
        }
        Ok((list, indices.iter().map(|index| index.broadcast_shape(&shape)).collect()))
    }

    /// The slices at `indices` along `axis`, which the axes of `indices` replace.
    ///
    /// Negative positions count from the end. A position outside the axis is an error when the
    /// array is evaluated.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let table = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 2])?;
    /// let rows = table.take(&Array::from_slice(&[2, 0], [2])?, 0)?;
    /// assert_eq!(rows.to_vec::<f32>()?, [5.0, 6.0, 1.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn take(&self, indices: &Array, axis: i64) -> Result<Array> {
        let axis = self.shape().axis(axis, "take")?;
        let taken = self.gather(&[indices], &[axis as i64])?;
        let rank = indices.ndim();
        let order = (rank..rank + axis).chain(0..rank).chain(rank + axis..taken.ndim());
        Ok(taken.permuted(order.map(|i| i as u8).collect()))
    }

    /// One element for each position along `axis`; the other axes are walked together.
    ///
    /// Axes of size one are repeated to match. What [`Array::argsort`] returns, given back here,
    /// sorts.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2, 3, 4], [2, 2])?;
    /// let last = x.take_along_axis(&Array::from_slice(&[-1, 0], [2, 1])?, 1)?;
    /// assert_eq!(last.to_vec::<i32>()?, [2, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn take_along_axis(&self, indices: &Array, axis: i64) -> Result<Array> {
        let (axis, x, indices) = self.along_axis("take_along_axis", indices, axis)?;
        Array::apply_one(GatherAxis { axis }, [x, indices])
    }

    /// This array and `indices` broadcast to each other in all axes but one.
    pub(crate) fn along_axis(
        &self,
        op: &'static str,
        indices: &Array,
        axis: i64,
    ) -> Result<(usize, Array, Array)> {
        let axis = self.shape().axis(axis, op)?;
        if indices.ndim() != self.ndim() {
            let reason = format!(
                "indices of shape {} have another number of axes than shape {}",
                indices.shape(),
                self.shape()
            );
            return Err(Error::Shape { op, reason });
        }
        let common = self
            .shape()
            .with_axis(axis, 1)
            .broadcast(&indices.shape().with_axis(axis, 1), op)?;
        let x = self.broadcast_shape(&common.with_axis(axis, self.shape()[axis]));
        let indices = indices.broadcast_shape(&common.with_axis(axis, indices.shape()[axis]));
        Ok((axis, x, indices))
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let take = || {
        let case = |shape: &[usize], indices: &[usize], axis: i64| {
            let bound = shape[axis as usize];
            let inputs = [Input::any(shape), Input::index(indices, bound)];
            Sample::new(format!("axis={axis}"), inputs, move |x| x[0].take(&x[1], axis))
        };
        vec![
            case(&[5, 4], &[3], 0),
            case(&[3, 5, 2], &[2, 2], 1),
            case(&[3, 7], &[6], 1),
            case(&[4], &[], 0),
            case(&[4, 3], &[0], 0),
        ]
    };
    let gather = || {
        let inputs = [Input::any([3, 4, 2]), Input::index([5], 3), Input::index([2, 1], 4)];
        vec![Sample::new("axes=(0, 1)", inputs, |x| x[0].gather(&[&x[1], &x[2]], &[0, 1]))]
    };
    let along = || {
        let case = |shape: &[usize], indices: &[usize], axis: i64| {
            let bound = shape[axis as usize];
            let inputs = [Input::any(shape), Input::index(indices, bound)];
            let call = move |x: &[Array]| x[0].take_along_axis(&x[1], axis);
            Sample::new(format!("axis={axis}"), inputs, call)
        };
        vec![case(&[3, 4], &[3, 2], 1), case(&[4, 3], &[1, 3], 0), case(&[1, 5], &[3, 2], 1)]
    };
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Indexing,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples,
    };
    vec![
        op("take", "The slices at given positions along an axis.", "take(x, indices, axis=None)", take),
        op("gather", "The slices at positions along several axes.", "gather(x, indices, axes)", gather),
        op(
            "take_along_axis",
            "One element for each position along an axis.",
            "take_along_axis(x, indices, axis=None)",
            along,
        ),
    ]
}
