//! Owns slices that begin where an array says, which is known only when they are evaluated.

use serde::{Deserialize, Serialize};

use smallvec::SmallVec;

use crate::{
    Array, Dtype, Error, IntoOperand, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
    ops::{gather::Gather, scatter::Combine},
};

/// The part of the first input that begins, along each of `axes`, where the second input says: a
/// vector of integers. Along other axes it begins at zero.
///
/// A negative position counts from the end; a part that is not inside fails the evaluation.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::dynamic_slice::DynamicSlice;
/// let part = DynamicSlice { axes: [0].into_iter().collect(), shape: [2].into() };
/// let y = Array::apply_one(part, [array!([1, 2, 3, 4]), array!([-2])])?;
/// assert_eq!(y.to_vec::<i32>()?, [3, 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DynamicSlice {
    /// The axes that have a position, distinct.
    pub axes: SmallVec<[usize; 4]>,
    /// The sizes of the part.
    pub shape: Shape,
}

/// A copy of the first input whose part that begins where the third input says, as
/// [`DynamicSlice`] reads it, holds the second input.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::dynamic_slice::DynamicSliceUpdate;
/// let part = DynamicSliceUpdate { axes: [0].into_iter().collect() };
/// let y = Array::apply_one(part, [array!([1, 2, 3, 4]), array!([8, 9]), array!([1])])?;
/// assert_eq!(y.to_vec::<i32>()?, [1, 8, 9, 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DynamicSliceUpdate {
    /// The axes that have a position, distinct.
    pub axes: SmallVec<[usize; 4]>,
}

/// Checks that a part of `part`'s shape fits into `x` and has a position for each axis.
fn check(op: &'static str, x: &Array, part: &Shape, starts: &Array, axes: &[usize]) -> Result<()> {
    if !starts.dtype().is_integer() {
        let reason = "positions are integers";
        return Err(Error::Dtype {
            op,
            dtype: starts.dtype(),
            reason,
        });
    }
    if starts.shape()[..] != [axes.len()] {
        let (starts, count) = (starts.shape(), axes.len());
        let reason = format!("positions of shape {starts} do not fit {count} axes");
        return Err(Error::Shape { op, reason });
    }
    if (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
        let reason = format!("axes {axes:?} repeat an axis");
        return Err(Error::Argument { op, reason });
    }
    let fits = part.rank() == x.ndim() && part.iter().zip(x.shape().iter()).all(|(p, n)| p <= n);
    if !fits || axes.iter().any(|&axis| axis >= x.ndim()) {
        let reason = format!(
            "a part of shape {part} does not fit into shape {}",
            x.shape()
        );
        return Err(Error::Shape { op, reason });
    }
    Ok(())
}

/// All axes, and the positions along each of the elements of a part that begins at `starts`.
fn places(
    x: &Array,
    part: &Shape,
    starts: &Array,
    axes: &[usize],
) -> Result<(SmallVec<[usize; 4]>, Vec<Array>)> {
    let along = |axis: usize| -> Result<Array> {
        let size = x.shape()[axis] as i64;
        let mut line = vec![1; x.ndim()];
        line[axis] = part[axis];
        let offsets = Array::arange(0i64, part[axis] as i64, 1i64)?.reshape(&line[..])?;
        let first = match axes.iter().position(|&own| own == axis) {
            Some(i) => {
                let start = starts.index(i)?.astype(Dtype::Int64)?;
                let start = start.less(0i64)?.select(start.add(size)?, &start)?;
                // What is still negative lies outside, and must not count from the end again.
                start.less(0i64)?.select(size, &start)?
            }
            None => Array::scalar(0i64),
        };
        offsets.add(first)?.broadcast_to(part)
    };
    let places = (0..x.ndim()).map(along).collect::<Result<_>>()?;
    Ok(((0..x.ndim()).collect(), places))
}

crate::stored!(DynamicSlice);

impl Primitive for DynamicSlice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        check(self.name(), &inputs[0], &self.shape, &inputs[1], &self.axes)?;
        Ok([Spec {
            shape: self.shape.clone(),
            dtype: inputs[0].dtype(),
        }]
        .into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let x = &vjp.inputs[0];
        vjp.each(|i| {
            if i > 0 {
                return vjp.of_positions();
            }
            let zeros = x.zeros_like()?;
            let back = DynamicSliceUpdate {
                axes: self.axes.clone(),
            };
            let inputs = [zeros, vjp.cotangent().clone(), vjp.inputs[1].clone()];
            Array::apply_one(back, inputs).map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.check_positions(1..2)?;
        jvp.linear(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        if vmap.batched[1] {
            return vmap.each(self);
        }
        let whole = DynamicSlice {
            axes: self.axes.iter().map(|axis| axis + 1).collect(),
            shape: self.shape.insert_axis(0, vmap.size),
        };
        Array::apply(whole, [vmap.input(0), vmap.inputs[1].clone()])
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let x = &inputs[0];
        let (axes, places) = places(x, &self.shape, &inputs[1], &self.axes)?;
        if axes.is_empty() {
            return Ok(vec![x.clone()]);
        }
        let inputs = std::iter::once(x.clone()).chain(places);
        Ok(vec![Array::apply_one(Gather { axes }, inputs)?])
    }
}

crate::stored!(DynamicSliceUpdate);

impl Primitive for DynamicSliceUpdate {
    fn name(&self) -> &'static str {
        "slice_update"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 3, inputs)?;
        let (x, update) = (&inputs[0], &inputs[1]);
        check(self.name(), x, update.shape(), &inputs[2], &self.axes)?;
        if x.dtype() != update.dtype() {
            let reason = "the update has another dtype than the array";
            return Err(Error::Dtype {
                op: self.name(),
                dtype: update.dtype(),
                reason,
            });
        }
        Ok([x.spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let (update, starts, cotangent) = (&vjp.inputs[1], &vjp.inputs[2], vjp.cotangent());
        vjp.each(|i| match i {
            0 => {
                let zeros = update.zeros_like()?;
                let inputs = [cotangent.clone(), zeros, starts.clone()];
                Array::apply_one(self.clone(), inputs).map(Some)
            }
            1 => {
                let read = DynamicSlice {
                    axes: self.axes.clone(),
                    shape: update.shape().clone(),
                };
                Array::apply_one(read, [cotangent.clone(), starts.clone()]).map(Some)
            }
            _ => vjp.of_positions(),
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        if vmap.batched[2] {
            return vmap.each(self);
        }
        let whole = DynamicSliceUpdate {
            axes: self.axes.iter().map(|axis| axis + 1).collect(),
        };
        Array::apply(
            whole,
            [vmap.input(0), vmap.input(1), vmap.inputs[2].clone()],
        )
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (x, update) = (&inputs[0], &inputs[1]);
        let (axes, places) = places(x, update.shape(), &inputs[2], &self.axes)?;
        if axes.is_empty() {
            return Ok(vec![update.clone()]);
        }
        Ok(vec![x.scattered(
            Combine::Assign,
            &axes,
            &places,
            update,
        )?])
    }
}

impl Array {
    /// The part of the given shape that begins at the positions in `starts` along `axes`, and at
    /// zero along the others.
    ///
    /// The positions are read when the result is evaluated. Negative ones count from the end; a
    /// part that reaches outside is an error then.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// let x = Array::arange(0, 12, 1)?.reshape([3, 4])?;
    /// let part = x.slice(&array!([1, 2]), &[0, 1], [2, 2])?;
    /// assert_eq!(part.to_vec::<i32>()?, [6, 7, 10, 11]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn slice(&self, starts: &Array, axes: &[i64], shape: impl Into<Shape>) -> Result<Array> {
        let axes = self.distinct("slice", axes)?;
        let starts = starts.reshape([-1])?;
        Array::apply_one(
            DynamicSlice {
                axes,
                shape: shape.into(),
            },
            [self.clone(), starts],
        )
    }

    /// A copy whose part that begins at the positions in `starts` along `axes`, and at zero along
    /// the others, holds `update`, which is converted to this array's dtype.
    ///
    /// The update may lack leading axes. The positions are read as by [`Array::slice`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, Dtype};
    /// let x = Array::zeros([2, 3], Dtype::Int32)?;
    /// let y = x.slice_update(&array!([[7, 8]]), &array!([1, 1]), &[0, 1])?;
    /// assert_eq!(y.to_vec::<i32>()?, [0, 0, 0, 0, 7, 8]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn slice_update(
        &self,
        update: impl IntoOperand,
        starts: &Array,
        axes: &[i64],
    ) -> Result<Array> {
        let axes = self.distinct("slice_update", axes)?;
        let update = update.to_operand(self).astype(self.dtype())?;
        let missing = std::iter::repeat_n(1, self.ndim().saturating_sub(update.ndim()));
        let shape = missing.chain(update.shape().iter().copied()).collect();
        let inputs = [
            self.clone(),
            update.reshape_to(shape),
            starts.reshape([-1])?,
        ];
        Array::apply_one(DynamicSliceUpdate { axes }, inputs)
    }

    fn distinct(&self, op: &'static str, axes: &[i64]) -> Result<SmallVec<[usize; 4]>> {
        let mut list: SmallVec<[usize; 4]> = SmallVec::new();
        for &axis in axes {
            let axis = self.shape().axis(axis, op)?;
            if list.contains(&axis) {
                let reason = format!("axes {axes:?} repeat an axis");
                return Err(Error::Argument { op, reason });
            }
            list.push(axis);
        }
        Ok(list)
    }
}
