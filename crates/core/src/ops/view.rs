//! Owns views: reshape, transpose, broadcast and slice. Kernels never see them; they see strides.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Error, Result, Shape,
    device::{Backend, Data, Operand},
    graph::{Gradients, Op, Spec, Vjp, copy_now},
    shape::{Strides, normalize_axis, reshape_strides},
};

/// The same elements under another shape or order.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, graph::{Op, Program}};
/// use olivine_core::ops::view::View;
/// let program = Program::trace(&[array!([[1, 2]])], |x| Ok(vec![x[0].transpose(..)?]))?;
/// let Op::View(view) = &program.steps[0].op else { unreachable!("transposing is a view") };
/// assert_eq!(view, &View::Transpose([1, 0].into_iter().collect()));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// No change; marks an argument of a transform.
    Alias,
    /// The same elements in row-major order under another shape. Copies if strides do not allow.
    Reshape(Meaning),
    /// Axes in another order: axis `i` of the result is axis `order[i]` of the input.
    Transpose(SmallVec<[u8; 8]>),
    /// Axes of size one, and missing leading axes, repeated.
    Broadcast,
    /// Along each axis, elements from `starts` on in steps of `steps`, which may be negative.
    Slice {
        /// The first element along each axis.
        starts: SmallVec<[usize; 4]>,
        /// The distance to the next one.
        steps: Strides,
    },
}

/// What a reshape was meant to do, which says its sizes for an input of another shape of the same rank.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, graph::{Op, Program}};
/// use olivine_core::ops::view::{Meaning, View};
/// let program = Program::trace(&[array!([[1, 2]])], |x| Ok(vec![x[0].flatten(0, 1)?]))?;
/// let Op::View(View::Reshape(meaning)) = &program.steps[0].op else { unreachable!() };
/// assert_eq!(meaning, &Meaning::Joined { first: 0, last: 1 });
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meaning {
    /// Groups of neighbouring axes hold the same elements before and after; each follows the input's.
    Grouped,
    /// One size is worked out. The first and last axes follow the input's; the sizes between stay as they
    /// were written.
    Written {
        /// How many first axes follow.
        before: u8,
        /// How many last axes follow.
        after: u8,
        /// The axis of the result whose size is worked out.
        free: u8,
    },
    /// Axes of size one are put in; these are their places in the result, in order.
    Inserted(SmallVec<[u8; 4]>),
    /// These axes, in order, have size one and are left out.
    Removed(SmallVec<[u8; 4]>),
    /// One axis takes the place of several.
    Joined {
        /// The first of them.
        first: u8,
        /// The last of them.
        last: u8,
    },
}

impl Meaning {
    /// The same for the axes behind a first one that follows the input's.
    fn behind_one(&self) -> Meaning {
        let later = |axes: &SmallVec<[u8; 4]>| axes.iter().map(|axis| axis + 1).collect();
        match self {
            Meaning::Grouped => Meaning::Grouped,
            Meaning::Written {
                before,
                after,
                free,
            } => Meaning::Written {
                before: before + 1,
                after: *after,
                free: free + 1,
            },
            Meaning::Inserted(axes) => Meaning::Inserted(later(axes)),
            Meaning::Removed(axes) => Meaning::Removed(later(axes)),
            Meaning::Joined { first, last } => Meaning::Joined {
                first: first + 1,
                last: last + 1,
            },
        }
    }

    /// What undoes it.
    fn inverse(&self) -> Meaning {
        match self {
            Meaning::Inserted(axes) => Meaning::Removed(axes.clone()),
            Meaning::Removed(axes) => Meaning::Inserted(axes.clone()),
            Meaning::Grouped | Meaning::Written { .. } | Meaning::Joined { .. } => Meaning::Grouped,
        }
    }
}

impl View {
    /// The view's name, as users know it.
    ///
    /// ```
    /// use olivine_core::ops::view::View;
    /// assert_eq!((View::Alias.name(), View::Broadcast.name()), ("alias", "broadcast_to"));
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            View::Alias => "alias",
            View::Reshape(_) => "reshape",
            View::Transpose(_) => "transpose",
            View::Broadcast => "broadcast_to",
            View::Slice { .. } => "slice",
        }
    }

    /// Lays the view over evaluated data.
    pub(crate) fn apply(
        &self,
        input: Operand,
        shape: &Shape,
        backend: &'static dyn Backend,
    ) -> Result<Data> {
        let Data {
            offset, strides, ..
        } = &input.data;
        let (offset, strides) = match self {
            View::Alias => return Ok(input.data),
            View::Reshape(_) => match reshape_strides(&input.shape, strides, shape) {
                Some(strides) => (*offset, strides),
                None => return copy_now(input, shape, backend),
            },
            View::Transpose(order) => (
                *offset,
                order
                    .iter()
                    .map(|&axis| strides[usize::from(axis)])
                    .collect(),
            ),
            View::Broadcast => {
                let missing = shape.rank() - input.shape.rank();
                let stretched = input.shape.iter().zip(strides).zip(&shape[missing..]);
                let kept = stretched.map(
                    |((&from, &stride), &to)| {
                        if from == 1 && to != 1 { 0 } else { stride }
                    },
                );
                (
                    *offset,
                    std::iter::repeat_n(0, missing).chain(kept).collect(),
                )
            }
            View::Slice { starts, steps } => {
                let mut first = 0isize;
                if shape.elements() > 0 {
                    first = starts
                        .iter()
                        .zip(strides)
                        .map(|(&s, &d)| s as isize * d)
                        .sum();
                }
                let start = *offset as isize + first * input.dtype.size() as isize;
                // The step along an axis of one element or none leads nowhere, whatever it is.
                let steps = strides.iter().zip(steps).map(|(a, b)| a.wrapping_mul(*b));
                (start as usize, steps.collect())
            }
        };
        Ok(Data {
            buffer: input.data.buffer,
            offset,
            strides,
        })
    }

    /// The gradient of the view's input.
    pub(crate) fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let cotangent = vjp.cotangent();
        let shape = vjp.inputs[0].shape();
        vjp.each(|_| {
            Ok(Some(match self {
                View::Alias => cotangent.clone(),
                View::Reshape(meaning) => cotangent.reshape_as(shape.clone(), meaning.inverse()),
                View::Transpose(order) => {
                    let mut inverse: SmallVec<[u8; 8]> = SmallVec::from_elem(0, order.len());
                    for (i, &axis) in order.iter().enumerate() {
                        inverse[usize::from(axis)] = i as u8;
                    }
                    cotangent.permuted(inverse)
                }
                View::Broadcast => cotangent.sum_to(shape)?,
                View::Slice { starts, steps } => {
                    let zeros = vjp.inputs[0].zeros_like()?.astype(cotangent.dtype())?;
                    zeros.slice_update_at(cotangent, starts.clone(), steps.clone())?
                }
            }))
        })
    }
}

impl View {
    /// The view of an input with a batch along its first axis; `shape` is the view's without one.
    pub(crate) fn batched(&self, input: &Array, shape: &Shape) -> Array {
        let n = input.shape()[0];
        let whole = shape.insert_axis(0, n);
        match self {
            View::Alias => input.clone(),
            View::Reshape(meaning) => input.reshape_as(whole, meaning.behind_one()),
            View::Transpose(order) => input.permuted(
                std::iter::once(0)
                    .chain(order.iter().map(|axis| axis + 1))
                    .collect(),
            ),
            View::Broadcast => {
                let missing = whole.rank() - input.ndim();
                let sizes = std::iter::once(n).chain(std::iter::repeat_n(1, missing));
                let padded = sizes.chain(input.shape()[1..].iter().copied()).collect();
                let inserted = (1..=missing as u8).collect();
                input
                    .reshape_as(padded, Meaning::Inserted(inserted))
                    .broadcast_shape(&whole)
            }
            View::Slice { starts, steps } => {
                let starts = std::iter::once(0).chain(starts.iter().copied()).collect();
                let steps = std::iter::once(1).chain(steps.iter().copied()).collect();
                input.sliced(starts, steps, whole)
            }
        }
    }

    /// The same view of another array of the same shape.
    pub(crate) fn of(&self, input: &Array, shape: &Shape) -> Array {
        input.viewed(self.clone(), shape.clone())
    }
}

/// The target of a reshape; at most one size may be −1, to be worked out from the others.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Result};
/// use olivine_core::ops::view::IntoReshape;
/// fn last_axis(x: &Array, shape: impl IntoReshape) -> Result<usize> {
///     x.reshape(shape)?.dim(-1)
/// }
/// let x = array!([1, 2, 3, 4, 5, 6]);
/// assert_eq!((last_axis(&x, [2, -1])?, last_axis(&x, [3, 2])?), (3, 2));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait IntoReshape {
    /// The sizes as signed numbers.
    ///
    /// ```
    /// use olivine_core::ops::view::IntoReshape;
    /// assert_eq!(&[2, -1].sizes()[..], &[2, -1]);
    /// ```
    fn sizes(&self) -> SmallVec<[i64; 4]>;
}

macro_rules! into_reshape {
    ($($ty:ty),*) => {$(
        impl IntoReshape for [$ty] {
            fn sizes(&self) -> SmallVec<[i64; 4]> {
                self.iter().map(|&n| n as i64).collect()
            }
        }
        impl<const N: usize> IntoReshape for [$ty; N] {
            fn sizes(&self) -> SmallVec<[i64; 4]> {
                self[..].sizes()
            }
        }
    )*};
}

into_reshape!(i32, i64, usize);

impl<T: IntoReshape + ?Sized> IntoReshape for &T {
    fn sizes(&self) -> SmallVec<[i64; 4]> {
        (**self).sizes()
    }
}

impl IntoReshape for Shape {
    fn sizes(&self) -> SmallVec<[i64; 4]> {
        self.dims().sizes()
    }
}

impl Array {
    fn viewed(&self, view: View, shape: Shape) -> Array {
        Array::record(
            Op::View(view),
            [self.clone()],
            Spec {
                shape,
                dtype: self.dtype(),
            },
        )
    }

    /// One part of an array along its first axis.
    pub(crate) fn at_front(&self, at: usize) -> Array {
        let rank = self.ndim();
        let mut starts: SmallVec<[usize; 4]> = SmallVec::from_elem(0, rank);
        starts[0] = at;
        let part = self.sliced(
            starts,
            SmallVec::from_elem(1, rank),
            self.shape().with_axis(0, 1),
        );
        part.without_axes(&[0])
    }

    /// The same elements under another shape of equal size.
    pub(crate) fn reshape_to(&self, shape: Shape) -> Array {
        self.reshape_as(shape, Meaning::Grouped)
    }

    /// As [`Array::reshape_to`], where more is known of what it means.
    pub(crate) fn reshape_as(&self, shape: Shape, meaning: Meaning) -> Array {
        debug_assert_eq!(shape.elements(), self.size());
        if shape == *self.shape() {
            self.clone()
        } else {
            self.viewed(View::Reshape(meaning), shape)
        }
    }

    /// The array without the given axes, which are in order and have size one.
    pub(crate) fn without_axes(&self, axes: &[usize]) -> Array {
        let kept = self.shape().iter().enumerate();
        let kept = kept.filter(|(axis, _)| !axes.contains(axis));
        let removed = axes.iter().map(|&axis| axis as u8).collect();
        self.reshape_as(kept.map(|(_, &n)| n).collect(), Meaning::Removed(removed))
    }

    /// The array with axes of size one, whose places in the result are given in order.
    pub(crate) fn with_axes(&self, axes: &[usize]) -> Array {
        let mut shape = self.shape().clone();
        for &axis in axes {
            shape = shape.insert_axis(axis, 1);
        }
        let inserted = axes.iter().map(|&axis| axis as u8).collect();
        self.reshape_as(shape, Meaning::Inserted(inserted))
    }

    pub(crate) fn permuted(&self, order: SmallVec<[u8; 8]>) -> Array {
        if order
            .iter()
            .enumerate()
            .all(|(i, &axis)| i == usize::from(axis))
        {
            return self.clone();
        }
        let shape = order
            .iter()
            .map(|&axis| self.shape()[usize::from(axis)])
            .collect();
        self.viewed(View::Transpose(order), shape)
    }

    /// Repeats axes of size one; the caller has checked that the shapes fit.
    pub(crate) fn broadcast_shape(&self, shape: &Shape) -> Array {
        if shape == self.shape() {
            self.clone()
        } else {
            self.viewed(View::Broadcast, shape.clone())
        }
    }

    /// Sums over the axes that broadcasting `shape` to this array's shape repeats.
    pub(crate) fn sum_to(&self, shape: &Shape) -> Result<Array> {
        let missing = self.ndim() - shape.rank();
        let repeated: Vec<usize> = (0..self.ndim())
            .filter(|&i| i < missing || (shape[i - missing] == 1 && self.shape()[i] != 1))
            .collect();
        if repeated.is_empty() {
            return Ok(self.clone());
        }
        let sum = self.sum(crate::keep(&repeated[..]))?;
        Ok(sum.astype(self.dtype())?.reshape_to(shape.clone()))
    }

    pub(crate) fn sliced(
        &self,
        starts: SmallVec<[usize; 4]>,
        steps: Strides,
        shape: Shape,
    ) -> Array {
        if shape == *self.shape() && steps.iter().all(|&step| step == 1) {
            return self.clone();
        }
        self.viewed(View::Slice { starts, steps }, shape)
    }

    /// The same elements in row-major order under another shape; one size may be −1.
    ///
    /// No element is copied unless the layout forces it.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::zeros([2, 6], Dtype::Float32)?.reshape([3, -1])?;
    /// assert_eq!(x.shape().dims(), &[3, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn reshape(&self, shape: impl IntoReshape) -> Result<Array> {
        let sizes = shape.sizes();
        let fail = |why: &str| Error::Shape {
            op: "reshape",
            reason: format!(
                "{} elements of shape {} do not fit {sizes:?}: {why}",
                self.size(),
                self.shape()
            ),
        };
        let known = sizes
            .iter()
            .filter(|&&n| n != -1)
            .try_fold(1usize, |product, &n| {
                product.checked_mul(usize::try_from(n).ok()?)
            })
            .ok_or_else(|| fail("sizes are zero or more, or -1 once"))?;
        let wild = match sizes.iter().filter(|&&n| n == -1).count() {
            0 => 1,
            1 if known > 0 && self.size().is_multiple_of(known) => self.size() / known,
            1 => return Err(fail("-1 has no whole value")),
            _ => return Err(fail("only one size may be -1")),
        };
        let shape: Shape = sizes
            .iter()
            .map(|&n| if n == -1 { wild } else { n as usize })
            .collect();
        if known * wild != self.size() {
            return Err(fail("the numbers of elements differ"));
        }
        let meaning = match sizes.iter().position(|&n| n == -1) {
            Some(free) => Meaning::Written {
                before: 0,
                after: 0,
                free: free as u8,
            },
            // They may well come from the shape of this array, which a caller cannot tell us.
            None => Meaning::Grouped,
        };
        Ok(self.reshape_as(shape, meaning))
    }

    /// One axis in place of axes `first` to `last`, both included.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::zeros([2, 3, 4], Dtype::Float32)?;
    /// assert_eq!(x.flatten(0, -1)?.shape().dims(), &[24]);
    /// assert_eq!(x.flatten(1, 2)?.shape().dims(), &[2, 12]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn flatten(&self, first: i64, last: i64) -> Result<Array> {
        if self.ndim() == 0 {
            return Ok(self.with_axes(&[0]));
        }
        let first = normalize_axis(first, self.ndim(), "flatten")?;
        let last = normalize_axis(last, self.ndim(), "flatten")?;
        if first > last {
            let reason = format!("first axis {first} comes after last axis {last}");
            return Err(Error::Argument {
                op: "flatten",
                reason,
            });
        }
        let (head, rest) = self.shape().split_at(first);
        let (merged, tail) = rest.split_at(last - first + 1);
        let merged = Shape::from(merged).checked_bytes(1, "flatten")?;
        let sizes = head.iter().copied().chain([merged]);
        let shape = sizes.chain(tail.iter().copied()).collect();
        let (first, last) = (first as u8, last as u8);
        Ok(self.reshape_as(shape, Meaning::Joined { first, last }))
    }

    /// The array without the given axes, each of which must have size one; `..` removes all such.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::zeros([1, 3, 1], Dtype::Float32)?;
    /// assert_eq!(x.squeeze(..)?.shape().dims(), &[3]);
    /// assert_eq!(x.squeeze(0)?.shape().dims(), &[3, 1]);
    /// assert!(x.squeeze(1).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn squeeze(&self, axes: impl Into<crate::Axes>) -> Result<Array> {
        let axes = axes.into();
        let all = axes == crate::Axes::from(..);
        let axes = axes.resolve(self.ndim(), "squeeze")?;
        if let Some(&axis) = axes.iter().find(|&&axis| !all && self.shape()[axis] != 1) {
            let reason = format!("axis {axis} of shape {} is not of size 1", self.shape());
            return Err(Error::Shape {
                op: "squeeze",
                reason,
            });
        }
        let mut removed: SmallVec<[usize; 4]> = axes.iter().copied().collect();
        removed.retain(|axis| self.shape()[*axis] == 1);
        removed.sort_unstable();
        Ok(self.without_axes(&removed))
    }

    /// A new axis of size one before position `axis` of the result.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1, 2, 3]);
    /// assert_eq!(x.expand_dims(0)?.shape().dims(), &[1, 3]);
    /// assert_eq!(x.expand_dims(-1)?.shape().dims(), &[3, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn expand_dims(&self, axis: i64) -> Result<Array> {
        let axis = normalize_axis(axis, self.ndim() + 1, "expand_dims")?;
        Ok(self.with_axes(&[axis]))
    }

    /// The axes in another order; `..` reverses them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::zeros([2, 3, 4], Dtype::Float32)?;
    /// assert_eq!(x.transpose([1, 0, 2])?.shape().dims(), &[3, 2, 4]);
    /// assert_eq!(x.transpose(..)?.shape().dims(), &[4, 3, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn transpose(&self, order: impl IntoOrder) -> Result<Array> {
        let rank = self.ndim();
        let Some(order) = order.order() else {
            return Ok(self.permuted((0..rank as u8).rev().collect()));
        };
        let mut axes: SmallVec<[u8; 8]> = SmallVec::new();
        for &axis in &order {
            let axis = normalize_axis(axis, rank, "transpose")? as u8;
            if axes.contains(&axis) {
                let reason = format!("the order {order:?} repeats axis {axis}");
                return Err(Error::Argument {
                    op: "transpose",
                    reason,
                });
            }
            axes.push(axis);
        }
        if axes.len() != rank {
            let reason = format!("the order {order:?} does not name all {rank} axes");
            return Err(Error::Argument {
                op: "transpose",
                reason,
            });
        }
        Ok(self.permuted(axes))
    }

    /// Two axes exchanged.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::zeros([2, 3, 4], Dtype::Float32)?;
    /// assert_eq!(x.swapaxes(0, -1)?.shape().dims(), &[4, 3, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn swapaxes(&self, first: i64, second: i64) -> Result<Array> {
        let first = normalize_axis(first, self.ndim(), "swapaxes")?;
        let second = normalize_axis(second, self.ndim(), "swapaxes")?;
        let mut order: SmallVec<[u8; 8]> = (0..self.ndim() as u8).collect();
        order.swap(first, second);
        Ok(self.permuted(order))
    }

    /// One axis moved to another position; the others keep their order.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::zeros([2, 3, 4], Dtype::Float32)?;
    /// assert_eq!(x.moveaxis(0, -1)?.shape().dims(), &[3, 4, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn moveaxis(&self, source: i64, destination: i64) -> Result<Array> {
        let source = normalize_axis(source, self.ndim(), "moveaxis")?;
        let destination = normalize_axis(destination, self.ndim(), "moveaxis")?;
        let mut order: SmallVec<[u8; 8]> = (0..self.ndim() as u8).collect();
        let axis = order.remove(source);
        order.insert(destination, axis);
        Ok(self.permuted(order))
    }

    /// The array repeated along axes of size one and new leading axes, without copying.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1, 2]).broadcast_to([3, 2])?;
    /// assert_eq!(x.to_vec::<i32>()?, [1, 2, 1, 2, 1, 2]);
    /// assert!(array!([1, 2]).broadcast_to([3]).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Array> {
        let shape = shape.into();
        shape.checked_bytes(self.dtype().size(), "broadcast_to")?;
        if self.shape().broadcast(&shape, "broadcast_to")? != shape {
            let left = self.shape().clone();
            return Err(Error::Broadcast {
                op: "broadcast_to",
                left,
                right: shape,
            });
        }
        Ok(self.broadcast_shape(&shape))
    }
}

/// An order of axes: `[1, 0]`, or `..` for all in reverse.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Result};
/// use olivine_core::ops::view::IntoOrder;
/// fn turned(x: &Array, order: impl IntoOrder) -> Result<Vec<i32>> {
///     x.transpose(order)?.to_vec()
/// }
/// let x = array!([[1, 2], [3, 4]]);
/// assert_eq!((turned(&x, ..)?, turned(&x, [0, 1])?), (vec![1, 3, 2, 4], vec![1, 2, 3, 4]));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait IntoOrder {
    /// The axes, or `None` for the reverse of all.
    ///
    /// ```
    /// use olivine_core::ops::view::IntoOrder;
    /// assert_eq!((..).order(), None);
    /// assert_eq!([1, 0].order().as_deref(), Some(&[1, 0][..]));
    /// ```
    fn order(&self) -> Option<SmallVec<[i64; 4]>>;
}

impl IntoOrder for std::ops::RangeFull {
    fn order(&self) -> Option<SmallVec<[i64; 4]>> {
        None
    }
}

impl<T: IntoReshape> IntoOrder for T {
    fn order(&self) -> Option<SmallVec<[i64; 4]>> {
        Some(self.sizes())
    }
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
        op(
            "reshape",
            "The same elements under another shape.",
            "reshape(x, shape)",
            || {
                vec![
                    Sample::new("[6, -1]", [Input::any([2, 3, 4])], |x| {
                        x[0].reshape([6, -1])
                    }),
                    Sample::new("[]", [Input::any([1, 1])], |x| x[0].reshape([0usize; 0])),
                    Sample::new("transposed", [Input::any([3, 4])], |x| {
                        x[0].transpose(..)?.reshape([12])
                    }),
                    Sample::new("empty", [Input::any([0, 3])], |x| x[0].reshape([3, 0])),
                ]
            },
        ),
        op(
            "flatten",
            "One axis in place of several.",
            "flatten(x, start_axis=0, end_axis=-1)",
            || {
                vec![
                    Sample::new("0, -1", [Input::any([2, 3, 4])], |x| x[0].flatten(0, -1)),
                    Sample::new("1, 2", [Input::any([2, 3, 4])], |x| x[0].flatten(1, 2)),
                    Sample::new("scalar", [Input::any([])], |x| x[0].flatten(0, -1)),
                ]
            },
        ),
        op(
            "squeeze",
            "Removes axes of size one.",
            "squeeze(x, axis=None)",
            || {
                vec![
                    Sample::new("..", [Input::any([1, 3, 1])], |x| x[0].squeeze(..)),
                    Sample::new("0", [Input::any([1, 3, 1])], |x| x[0].squeeze(0)),
                ]
            },
        ),
        op(
            "expand_dims",
            "Inserts an axis of size one.",
            "expand_dims(x, axis)",
            || {
                vec![Sample::new("-1", [Input::any([2, 3])], |x| {
                    x[0].expand_dims(-1)
                })]
            },
        ),
        op(
            "transpose",
            "The axes in another order.",
            "transpose(x, axes=None)",
            || {
                vec![
                    Sample::new("..", [Input::any([2, 3, 4])], |x| x[0].transpose(..)),
                    Sample::new("[1, 0, 2]", [Input::any([2, 3, 4])], |x| {
                        x[0].transpose([1, 0, 2])
                    }),
                ]
            },
        ),
        op(
            "swapaxes",
            "Exchanges two axes.",
            "swapaxes(x, axis1, axis2)",
            || {
                vec![Sample::new("0, -1", [Input::any([2, 3, 4])], |x| {
                    x[0].swapaxes(0, -1)
                })]
            },
        ),
        op(
            "moveaxis",
            "Moves one axis.",
            "moveaxis(x, source, destination)",
            || {
                vec![Sample::new("0, -1", [Input::any([2, 3, 4])], |x| {
                    x[0].moveaxis(0, -1)
                })]
            },
        ),
        op(
            "broadcast_to",
            "Repeats axes of size one without copying.",
            "broadcast_to(x, shape)",
            || {
                vec![
                    Sample::new("[2, 3, 4]", [Input::any([3, 1])], |x| {
                        x[0].broadcast_to([2, 3, 4])
                    }),
                    Sample::new("[0]", [Input::any([])], |x| x[0].broadcast_to([0])),
                ]
            },
        ),
    ]
}
