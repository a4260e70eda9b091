//! Owns writing by position: whole slices by integer arrays, and single elements along an axis.

use serde::{Deserialize, Serialize};

use smallvec::SmallVec;

use super::{
    Family, Gradient, Input, OpInfo, Sample,
    gather::{check_indices, check_lines, gathered_shape},
    info::kinds,
};
use crate::{
    Array, Dtype, Error, IntoOperand, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// What happens where an update meets an element.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::ops::scatter::Combine;
/// let x = array!([1, 1]);
/// let at = array!([0, 0]);
/// let both = |combine| x.index_combine(combine, &at, array!([2, 3]))?.index(0)?.item::<i32>();
/// assert_eq!((both(Combine::Assign)?, both(Combine::Add)?), (3, 6));
/// assert_eq!((both(Combine::Multiply)?, both(Combine::Minimum)?), (6, 1));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Combine {
    /// The update takes its place; of several for one element, the last does.
    Assign,
    /// The update is added.
    Add,
    /// The update is multiplied in.
    Multiply,
    /// The greater stays; NaN if either is.
    Maximum,
    /// The lesser stays; NaN if either is.
    Minimum,
}

impl Combine {
    const fn name(self) -> &'static str {
        match self {
            Combine::Assign => "scatter",
            Combine::Add => "scatter_add",
            Combine::Multiply => "scatter_multiply",
            Combine::Maximum => "scatter_maximum",
            Combine::Minimum => "scatter_minimum",
        }
    }

    /// The dtype that repeated updates accumulate in, if it is not their own.
    fn widened(self, dtype: Dtype) -> Option<Dtype> {
        let sums = matches!(self, Combine::Add | Combine::Multiply);
        // bfloat16 stops counting at 256, so halves accumulate in float32.
        (sums && dtype.is_float() && dtype.size() == 2).then_some(Dtype::Float32)
    }
}

/// A copy of the first input into which slices are written. Inputs: the array, one index array for
/// each of `axes`, and the updates, of the shape that [`Gather`](super::gather::Gather) returns.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::scatter::{Combine, Scatter};
/// let rows = Scatter { axes: [0].into_iter().collect(), combine: Combine::Add };
/// let (x, at, updates) = (array!([[1, 2], [3, 4]]), array!([1]), array!([[10, 20]]));
/// assert_eq!(Array::apply_one(rows, [x, at, updates])?.to_vec::<i32>()?, [1, 2, 13, 24]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scatter {
    /// The indexed axes, distinct, one for each index array.
    pub axes: SmallVec<[usize; 4]>,
    /// What happens to the elements.
    pub combine: Combine,
}

/// A copy of the first input into which elements are written along an axis. Inputs: the array,
/// positions, and updates of the positions' shape.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::scatter::{Combine, ScatterAxis};
/// let along = ScatterAxis { axis: 1, combine: Combine::Assign };
/// let (x, at, updates) = (array!([[1, 2], [3, 4]]), array!([[1], [0]]), array!([[8], [9]]));
/// assert_eq!(Array::apply_one(along, [x, at, updates])?.to_vec::<i32>()?, [1, 8, 9, 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScatterAxis {
    /// The axis that the positions count along.
    pub axis: usize,
    /// What happens to the elements.
    pub combine: Combine,
}

/// The gradients of a scatter, given how to read at its positions, how to write there, and, for
/// each update, the product of the others that meet the same element.
fn gradients(
    combine: Combine,
    vjp: &Vjp,
    read: impl Fn(&Array) -> Result<Array>,
    write: impl Fn(&Array, &Array) -> Result<Array>,
    others: impl Fn(&Array) -> Result<Array>,
) -> Result<Gradients> {
    let (x, y, cotangent) = (&vjp.inputs[0], &vjp.outputs[0], vjp.cotangent());
    let last = vjp.inputs.len() - 1;
    let updates = &vjp.inputs[last];
    let zero = || x.zeros_like();
    vjp.each(|i| {
        let gradient = match combine {
            Combine::Add if i == 0 => cotangent.clone(),
            Combine::Add if i == last => read(cotangent)?,
            Combine::Assign if i == 0 => {
                let none = updates.zeros_like()?.astype(cotangent.dtype())?;
                write(cotangent, &none)?
            }
            Combine::Assign if i == last => {
                // Updates that a later one overwrote have no part in the result.
                let count = updates.size() as i64;
                let order = Array::arange(0i64, count, 1i64)?.reshape_to(updates.shape().clone());
                let slots = x.filled_like(&Array::scalar(0i64))?;
                let stayed = read(&write(&slots, &order)?)?.equal(&order)?;
                stayed.select(read(cotangent)?, 0)?
            }
            Combine::Maximum | Combine::Minimum if i == 0 => {
                x.equal(y)?.select(cotangent, zero()?)?
            }
            Combine::Maximum | Combine::Minimum if i == last => {
                updates.equal(read(y)?)?.select(read(cotangent)?, 0)?
            }
            Combine::Multiply if i == 0 => {
                let factors = write(&x.ones_like()?, updates)?;
                cotangent.multiply(factors)?
            }
            Combine::Multiply if i == last => {
                read(&cotangent.multiply(x)?)?.multiply(others(updates)?)?
            }
            _ => return vjp.of_positions(),
        };
        Ok(Some(gradient))
    })
}

crate::stored!(Scatter);

impl Primitive for Scatter {
    fn name(&self) -> &'static str {
        self.combine.name()
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::between(self.name(), 3, usize::MAX, inputs)?;
        let (x, rest) = (&inputs[0], &inputs[1..]);
        let (indices, updates) = (&rest[..rest.len() - 1], &rest[rest.len() - 1]);
        check_indices(self.name(), x.shape(), &self.axes, indices)?;
        let wanted = gathered_shape(x.shape(), &self.axes, indices[0].shape());
        if *updates.shape() != wanted || updates.dtype() != x.dtype() {
            let reason = format!(
                "updates of {} {} where {} {wanted} is read",
                updates.dtype(),
                updates.shape(),
                x.dtype()
            );
            return Err(Error::Shape { op: self.name(), reason });
        }
        Ok([x.spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let indices = &vjp.inputs[1..vjp.inputs.len() - 1];
        let positions: Vec<&Array> = indices.iter().collect();
        let axes: Vec<i64> = self.axes.iter().map(|&axis| axis as i64).collect();
        gradients(
            self.combine,
            vjp,
            |x| x.gather(&positions, &axes),
            |x, updates| x.scattered(self.combine, &self.axes, indices, updates),
            |updates| {
                let mut keys = Array::scalar(0i64);
                for (&axis, index) in self.axes.iter().zip(indices) {
                    let size = vjp.inputs[0].shape()[axis];
                    keys = keys.multiply(size)?.add(index.counted_from_start(size)?)?;
                }
                // One line of updates, whatever the shape of the positions.
                let count = keys.size();
                let rest = &updates.shape()[keys.ndim()..];
                let lines = std::iter::once(count).chain(rest.iter().copied()).collect();
                let column = std::iter::once(count).chain(std::iter::repeat_n(1, rest.len()));
                let keys = keys.reshape_to(column.collect());
                let others = updates.reshape_to(lines).product_of_others(&keys, 0)?;
                Ok(others.reshape_to(updates.shape().clone()))
            },
        )
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.check_positions(1..jvp.inputs.len() - 1)?;
        match self.combine {
            Combine::Add => jvp.linear(self),
            _ => jvp.transposed(self),
        }
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let last = vmap.inputs.len() - 1;
        let axes = self.axes.iter().map(|axis| axis + 1);
        let combine = self.combine;
        if !vmap.batched[1..last].contains(&true) {
            // The batch is the first of the axes that are not indexed.
            let places = vmap.inputs[1].ndim() as i64;
            let mut inputs: Vec<Array> = vmap.inputs.to_vec();
            inputs[0] = vmap.input(0);
            inputs[last] = vmap.input(last).moveaxis(0, places)?;
            return Array::apply(Scatter { axes: axes.collect(), combine }, inputs);
        }
        let axes = std::iter::once(0).chain(axes).collect();
        let rest = (1..=last).map(|i| vmap.input(i));
        let inputs = [vmap.input(0), vmap.places(1)?].into_iter().chain(rest);
        Array::apply(Scatter { axes, combine }, inputs)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

crate::stored!(ScatterAxis);

impl Primitive for ScatterAxis {
    fn name(&self) -> &'static str {
        match self.combine {
            Combine::Assign => "put_along_axis",
            _ => self.combine.name(),
        }
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 3, inputs)?;
        let (x, indices, updates) = (&inputs[0], &inputs[1], &inputs[2]);
        check_indices(self.name(), x.shape(), &[self.axis], &inputs[1..2])?;
        check_lines(self.name(), x.shape(), self.axis, indices.shape())?;
        if updates.shape() != indices.shape() || updates.dtype() != x.dtype() {
            let (updates, indices) = (updates.shape(), indices.shape());
            let reason = format!("updates of shape {updates} for indices of shape {indices}");
            return Err(Error::Shape { op: self.name(), reason });
        }
        Ok([x.spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let indices = &vjp.inputs[1];
        gradients(
            self.combine,
            vjp,
            |x| x.take_along_axis(indices, self.axis as i64),
            |x, updates| x.scattered_along(self.combine, self.axis, indices, updates),
            |updates| {
                let keys = indices.counted_from_start(vjp.inputs[0].shape()[self.axis])?;
                updates.product_of_others(&keys, self.axis)
            },
        )
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.check_positions(1..jvp.inputs.len() - 1)?;
        match self.combine {
            Combine::Add => jvp.linear(self),
            _ => jvp.transposed(self),
        }
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(ScatterAxis { axis: self.axis + 1, ..*self })
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    /// Positions on an axis of `size` elements counted from its start, as `int64`.
    fn counted_from_start(&self, size: usize) -> Result<Array> {
        let positions = self.astype(Dtype::Int64)?;
        positions.less(0)?.select(positions.add(size)?, positions)
    }

    /// Writes `updates`, of the shape a gather returns, at checked axes.
    pub(crate) fn scattered(
        &self,
        combine: Combine,
        axes: &[usize],
        indices: &[Array],
        updates: &Array,
    ) -> Result<Array> {
        if let Some(wide) = combine.widened(self.dtype()) {
            let updates = updates.astype(wide)?;
            let result = self.astype(wide)?.scattered(combine, axes, indices, &updates)?;
            return result.astype(self.dtype());
        }
        let inputs = std::iter::once(self).chain(indices).chain([updates]).cloned();
        Array::apply_one(Scatter { axes: axes.into(), combine }, inputs)
    }

    /// Writes one update for each position along a checked axis.
    pub(crate) fn scattered_along(
        &self,
        combine: Combine,
        axis: usize,
        indices: &Array,
        updates: &Array,
    ) -> Result<Array> {
        if let Some(wide) = combine.widened(self.dtype()) {
            let updates = updates.astype(wide)?;
            let result = self.astype(wide)?.scattered_along(combine, axis, indices, &updates)?;
            return result.astype(self.dtype());
        }
        let inputs = [self.clone(), indices.clone(), updates.clone()];
        Array::apply_one(ScatterAxis { axis, combine }, inputs)
    }

    /// A copy with slices at positions along several axes combined with `updates`.
    ///
    /// The positions broadcast together. The updates are converted to this array's dtype and
    /// broadcast to the shape that [`Array::gather`] would return.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, ops::scatter::Combine};
    /// let x = Array::from_slice(&[1, 2, 3], [3])?;
    /// let at = Array::from_slice(&[0, 0, 2], [3])?;
    /// let y = x.scatter(Combine::Maximum, &[&at], 5, &[0])?;
    /// assert_eq!(y.to_vec::<i32>()?, [5, 2, 5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn scatter(
        &self,
        combine: Combine,
        indices: &[&Array],
        updates: impl IntoOperand,
        axes: &[i64],
    ) -> Result<Array> {
        let op = combine.name();
        let (axes, indices) = self.index_operands(op, indices, axes)?;
        if axes.is_empty() {
            let reason = "at least one index array is needed".to_owned();
            return Err(Error::Argument { op, reason });
        }
        let shape = gathered_shape(self.shape(), &axes, indices[0].shape());
        let updates = updates.to_operand(self).astype(self.dtype())?.broadcast_to(shape)?;
        self.scattered(combine, &axes, &indices, &updates)
    }

    /// A copy to which `updates` are added at `indices` along `axis`; repeated positions add up.
    ///
    /// The updates have the shape of `indices`, then the other axes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1.0f32, 2.0], [2])?;
    /// let y = x.scatter_add(&Array::from_slice(&[0, 0, 1], [3])?, 10.0, 0)?;
    /// assert_eq!(y.to_vec::<f32>()?, [21.0, 12.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn scatter_add(
        &self,
        indices: &Array,
        updates: impl IntoOperand,
        axis: i64,
    ) -> Result<Array> {
        self.scatter(Combine::Add, &[indices], updates, &[axis])
    }

    /// A copy that holds `values` at one position for each index along `axis`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2, 3, 4], [2, 2])?;
    /// let y = x.put_along_axis(&Array::from_slice(&[1, 0], [2, 1])?, 0, 1)?;
    /// assert_eq!(y.to_vec::<i32>()?, [1, 0, 0, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn put_along_axis(
        &self,
        indices: &Array,
        values: impl IntoOperand,
        axis: i64,
    ) -> Result<Array> {
        self.combine_along(Combine::Assign, "put_along_axis", indices, values, axis)
    }

    /// A copy to which `values` are added at one position for each index along `axis`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, Dtype};
    /// let x = Array::zeros([3], Dtype::Int32)?;
    /// let y = x.scatter_add_axis(&array!([0, 2, 0]), array!([1, 10, 100]), 0)?;
    /// assert_eq!(y.to_vec::<i32>()?, [101, 0, 10]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn scatter_add_axis(
        &self,
        indices: &Array,
        values: impl IntoOperand,
        axis: i64,
    ) -> Result<Array> {
        self.combine_along(Combine::Add, "scatter_add_axis", indices, values, axis)
    }

    fn combine_along(
        &self,
        combine: Combine,
        op: &'static str,
        indices: &Array,
        values: impl IntoOperand,
        axis: i64,
    ) -> Result<Array> {
        let (axis, x, indices) = self.along_axis(op, indices, axis)?;
        if x.shape() != self.shape() {
            let (x, indices) = (self.shape(), indices.shape());
            let reason = format!("indices of shape {indices} reach outside shape {x}");
            return Err(Error::Shape { op, reason });
        }
        let values = values.to_operand(self).astype(self.dtype())?;
        let values = values.broadcast_to(indices.shape())?;
        self.scattered_along(combine, axis, &indices, &values)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    fn samples(combine: Combine) -> Vec<Sample> {
        let one = [Input::any([4, 3]), Input::index([5], 4), Input::any([5, 3])];
        let two = [
            Input::any([3, 2, 4]),
            Input::index([3], 3),
            Input::index([2, 1], 4),
            Input::any([2, 3, 2]),
        ];
        let none = [Input::any([4, 3]), Input::index([0], 4), Input::any([0, 3])];
        let at_one = move |x: &[Array]| x[0].scatter(combine, &[&x[1]], &x[2], &[0]);
        vec![
            Sample::new("axis=0", one, at_one),
            Sample::new("axes=(0, 2)", two, move |x| {
                x[0].scatter(combine, &[&x[1], &x[2]], &x[3], &[0, 2])
            }),
            Sample::new("nothing", none, at_one),
        ]
    }
    fn along(call: fn(&[Array]) -> Result<Array>) -> Vec<Sample> {
        vec![
            Sample::new("axis=1", [Input::any([3, 4]), Input::index([3, 2], 4), Input::any([3, 2])], call),
            Sample::new("value", [Input::any([3, 4]), Input::index([3, 1], 4), Input::any([])], call),
        ]
    }
    let op = |name, doc, signature, gradient, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Indexing,
        kinds: kinds::ALL,
        gradient,
        samples,
    };
    use Gradient::Smooth;
    vec![
        op("scatter", "Puts slices at positions.", "scatter(x, indices, updates, axes)", Smooth, || {
            samples(Combine::Assign)
        }),
        op(
            "scatter_add",
            "Adds slices at positions.",
            "scatter_add(x, indices, updates, axes)",
            Smooth,
            || samples(Combine::Add),
        ),
        op(
            "scatter_multiply",
            "Multiplies slices at positions.",
            "scatter_multiply(x, indices, updates, axes)",
            Smooth,
            || samples(Combine::Multiply),
        ),
        op(
            "scatter_maximum",
            "Keeps the greater of slices at positions.",
            "scatter_maximum(x, indices, updates, axes)",
            Smooth,
            || samples(Combine::Maximum),
        ),
        op(
            "scatter_minimum",
            "Keeps the lesser of slices at positions.",
            "scatter_minimum(x, indices, updates, axes)",
            Smooth,
            || samples(Combine::Minimum),
        ),
        op(
            "put_along_axis",
            "Puts one value for each position along an axis.",
            "put_along_axis(x, indices, values, axis=None)",
            Smooth,
            || along(|x| x[0].put_along_axis(&x[1], &x[2], 1)),
        ),
        op(
            "scatter_add_axis",
            "Adds one value for each position along an axis.",
            "scatter_add_axis(x, indices, values, axis)",
            Smooth,
            || along(|x| x[0].scatter_add_axis(&x[1], &x[2], 1)),
        ),
    ]
}
