//! Owns indexing: what may stand between the brackets, and how it becomes views and gathers.
//!
//! The rules are NumPy's. Integers, ranges, [`Ellipsis`] and [`NewAxis`] make views. As soon as one
//! index is an array, arrays and integers are broadcast together and their axes stand where the
//! first of them stood, or in front if a range or new axis lies between two of them.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use smallvec::SmallVec;

use crate::{
    Array, Dtype, Error, IntoOperand, Result, Shape, ops::scatter::Combine, shape::Strides,
    stop_gradient,
};

/// One index.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Ellipsis, Index, IntoIndex};
/// let x = array!([[1, 2], [3, 4]]);
/// // Indices are mostly made from numbers and ranges; written out they are these.
/// let column = [Index::Ellipsis, Index::At(-1)];
/// assert_eq!(x.index((Ellipsis, -1))?.to_vec::<i32>()?, [2, 4]);
/// assert!(matches!((-1).to_index(), Index::At(-1)));
/// assert_eq!(column.len(), x.ndim());
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub enum Index {
    /// One position; the axis disappears.
    At(i64),
    /// A range of positions; a missing bound is the end in the direction of the step.
    Slice {
        /// The first position.
        start: Option<i64>,
        /// The position before which to stop.
        stop: Option<i64>,
        /// The distance from one to the next.
        step: i64,
    },
    /// An axis of size one that the array does not have.
    NewAxis,
    /// As many whole axes as are not indexed otherwise.
    Ellipsis,
    /// Positions from an array of integers, whose axes take the axis's place; or, in updates, a mask
    /// of `bool` over as many axes as it has, which selects where it is true.
    Array(Array),
}

/// An axis of size one in the result: `x.index((.., NewAxis))`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, NewAxis};
/// let x = array!([1.0, 2.0, 3.0]);
/// assert_eq!(x.index((.., NewAxis))?.shape().dims(), &[3, 1]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewAxis;

/// All axes that are not indexed otherwise: `x.index((Ellipsis, 0))`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Ellipsis};
/// let x = Array::arange(0, 24, 1)?.reshape([2, 3, 4])?;
/// assert_eq!(x.index((Ellipsis, 0))?.shape().dims(), &[2, 3]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ellipsis;

/// A range with a step, made by [`step`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, step, Stepped};
/// let every_other: Stepped<std::ops::RangeFull> = step(.., 2);
/// let x = array!([1, 2, 3, 4, 5]);
/// assert_eq!(x.index(every_other)?.to_vec::<i32>()?, [1, 3, 5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stepped<R> {
    range: R,
    step: i64,
}

/// Every `step`-th position of a range, backwards if negative: `step(.., -1)`, `step(1..5, 2)`.
///
/// As in Python, a backward range starts at its first bound and goes down.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{step, Array};
/// let x = Array::arange(0, 6, 1)?;
/// assert_eq!(x.index(step(.., -2))?.to_vec::<i32>()?, [5, 3, 1]);
/// assert_eq!(x.index(step(4..1, -2))?.to_vec::<i32>()?, [4, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn step<R>(range: R, step: i64) -> Stepped<R> {
    Stepped { range, step }
}

/// Anything that can index one axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let x = array!([10, 20, 30]);
/// // Numbers, ranges and arrays of positions all index an axis.
/// assert_eq!(x.index(-1)?.item::<i32>()?, 30);
/// assert_eq!(x.index(..2)?.to_vec::<i32>()?, [10, 20]);
/// assert_eq!(x.index(&array!([2, 2]))?.to_vec::<i32>()?, [30, 30]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait IntoIndex {
    /// The index.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Index, IntoIndex};
    /// let range = IntoIndex::to_index(&(1..3));
    /// assert!(matches!(range, Index::Slice { start: Some(1), stop: Some(3), step: 1 }));
    /// ```
    fn to_index(&self) -> Index;
}

/// What may stand between the brackets: an index, or a tuple of up to six.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, IntoIndices, Result};
/// fn corner(x: &Array, indices: impl IntoIndices) -> Result<i32> {
///     x.index(indices)?.item()
/// }
/// let x = array!([[1, 2], [3, 4]]);
/// assert_eq!((corner(&x, (0, 0))?, corner(&x, (-1, -1))?), (1, 4));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait IntoIndices {
    /// The indices, for the first axes of the array.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{IntoIndices, NewAxis};
    /// assert_eq!((0, 1.., NewAxis).to_indices().len(), 3);
    /// assert_eq!(5.to_indices().len(), 1);
    /// ```
    fn to_indices(&self) -> SmallVec<[Index; 6]>;
}

fn slice(start: Option<i64>, stop: Option<i64>) -> Index {
    Index::Slice {
        start,
        stop,
        step: 1,
    }
}

/// The position after `last`; the end, if `last` is the last one counted from the end.
fn after(last: i64) -> Option<i64> {
    if last == -1 {
        None
    } else {
        Some(last.saturating_add(1))
    }
}

macro_rules! into_index {
    ($($ty:ty),*) => {$(
        impl IntoIndex for $ty {
            fn to_index(&self) -> Index {
                Index::At(*self as i64)
            }
        }
        impl IntoIndex for Range<$ty> {
            fn to_index(&self) -> Index {
                slice(Some(self.start as i64), Some(self.end as i64))
            }
        }
        impl IntoIndex for RangeInclusive<$ty> {
            fn to_index(&self) -> Index {
                slice(Some(*self.start() as i64), after(*self.end() as i64))
            }
        }
        impl IntoIndex for RangeFrom<$ty> {
            fn to_index(&self) -> Index {
                slice(Some(self.start as i64), None)
            }
        }
        impl IntoIndex for RangeTo<$ty> {
            fn to_index(&self) -> Index {
                slice(None, Some(self.end as i64))
            }
        }
        impl IntoIndex for RangeToInclusive<$ty> {
            fn to_index(&self) -> Index {
                slice(None, after(self.end as i64))
            }
        }
    )*};
}

into_index!(i32, i64, usize);

impl IntoIndex for RangeFull {
    fn to_index(&self) -> Index {
        slice(None, None)
    }
}

impl<R: IntoIndex> IntoIndex for Stepped<R> {
    fn to_index(&self) -> Index {
        match self.range.to_index() {
            Index::Slice { start, stop, step } => Index::Slice {
                start,
                stop,
                step: step.saturating_mul(self.step),
            },
            other => other,
        }
    }
}

impl IntoIndex for NewAxis {
    fn to_index(&self) -> Index {
        Index::NewAxis
    }
}

impl IntoIndex for Ellipsis {
    fn to_index(&self) -> Index {
        Index::Ellipsis
    }
}

impl IntoIndex for Array {
    fn to_index(&self) -> Index {
        Index::Array(self.clone())
    }
}

impl IntoIndex for Index {
    fn to_index(&self) -> Index {
        self.clone()
    }
}

impl<T: IntoIndex + ?Sized> IntoIndex for &T {
    fn to_index(&self) -> Index {
        (**self).to_index()
    }
}

impl<T: IntoIndex> IntoIndices for T {
    fn to_indices(&self) -> SmallVec<[Index; 6]> {
        SmallVec::from_iter([self.to_index()])
    }
}

impl IntoIndices for &[Index] {
    fn to_indices(&self) -> SmallVec<[Index; 6]> {
        self.iter().cloned().collect()
    }
}

impl IntoIndices for () {
    fn to_indices(&self) -> SmallVec<[Index; 6]> {
        SmallVec::new()
    }
}

macro_rules! tuples {
    ($($($name:ident $position:tt),+;)*) => {$(
        impl<$($name: IntoIndex),+> IntoIndices for ($($name,)+) {
            fn to_indices(&self) -> SmallVec<[Index; 6]> {
                SmallVec::from_iter([$(self.$position.to_index()),+])
            }
        }
    )*};
}

tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
}

/// What indices select from an array of some shape: first a slice of each axis, then, along some
/// axes, positions from arrays.
struct Plan {
    starts: SmallVec<[usize; 4]>,
    steps: Strides,
    /// The shape of the slice, with size one for single positions.
    sliced: Shape,
    /// The positions to gather in the slice, by axis.
    gathers: SmallVec<[(usize, Array); 4]>,
    /// A mask, and the first of the axes that it selects from.
    mask: Option<(usize, Array)>,
    /// The axes of the result that the arrays' axes come after. Zero if there are no arrays.
    place: usize,
    /// The result's shape without the arrays' axes.
    rest: Shape,
    /// The axes of the slice that single positions leave, in order; the result lacks them.
    singles: SmallVec<[usize; 4]>,
    /// Where the result, without the arrays' axes, has new axes.
    news: SmallVec<[usize; 4]>,
}

const OP: &str = "index";

impl Plan {
    fn new(shape: &Shape, indices: &[Index]) -> Result<Plan> {
        let fail = |reason: String| Error::Argument { op: OP, reason };
        let taken = |index: &Index| match index {
            Index::NewAxis | Index::Ellipsis => 0,
            Index::Array(mask) if mask.dtype() == Dtype::Bool => mask.ndim(),
            Index::Array(_) | Index::At(_) | Index::Slice { .. } => 1,
        };
        let used: usize = indices.iter().map(taken).sum();
        let ellipses = indices
            .iter()
            .filter(|index| matches!(index, Index::Ellipsis))
            .count();
        if used > shape.rank() || ellipses > 1 {
            let reason = if ellipses > 1 {
                "there may be only one ellipsis".to_owned()
            } else {
                format!("{used} indices are too many for shape {shape}")
            };
            return Err(fail(reason));
        }
        let whole = shape.rank() - used;
        let advanced = indices.iter().any(|index| matches!(index, Index::Array(_)));
        let mut plan = Plan {
            starts: SmallVec::new(),
            steps: Strides::new(),
            sliced: Shape::scalar(),
            gathers: SmallVec::new(),
            mask: None,
            place: 0,
            rest: Shape::scalar(),
            singles: SmallVec::new(),
            news: SmallVec::new(),
        };
        let (mut sliced, mut rest) = (SmallVec::<[usize; 4]>::new(), SmallVec::<[usize; 4]>::new());
        // Where arrays were met: the result's axes before them, and whether others came between.
        let (mut place, mut apart) = (None, false);
        let mut axis = 0;
        let trailing = (ellipses == 0).then_some(&Index::Ellipsis);
        for index in indices.iter().chain(trailing) {
            match index {
                Index::NewAxis => {
                    plan.news.push(rest.len());
                    rest.push(1);
                }
                Index::Ellipsis => {
                    for &size in &shape[axis..axis + whole] {
                        plan.starts.push(0);
                        plan.steps.push(1);
                        sliced.push(size);
                        rest.push(size);
                    }
                    axis += whole;
                }
                Index::Slice { start, stop, step } => {
                    let (first, count) = bounds(*start, *stop, *step, shape[axis])?;
                    plan.starts.push(first);
                    // One position or none has no distance to the next.
                    plan.steps.push(if count > 1 { *step as isize } else { 1 });
                    sliced.push(count);
                    rest.push(count);
                    axis += 1;
                }
                Index::At(at) => {
                    let position = position(*at, axis, shape[axis])?;
                    plan.starts.push(position);
                    plan.steps.push(1);
                    plan.singles.push(sliced.len());
                    sliced.push(1);
                    if advanced {
                        apart |= place.is_some_and(|place| place != rest.len());
                        place.get_or_insert(rest.len());
                    }
                    axis += 1;
                }
                Index::Array(mask) if mask.dtype() == Dtype::Bool => {
                    let masked = &shape[axis..axis + mask.ndim()];
                    if *masked != mask.shape()[..] {
                        let (mask, masked) = (mask.shape(), Shape::from(masked));
                        let reason = format!("a mask of shape {mask} for axes of shape {masked}");
                        return Err(Error::Shape { op: OP, reason });
                    }
                    for &size in masked {
                        plan.starts.push(0);
                        plan.steps.push(1);
                        sliced.push(size);
                    }
                    apart |= place.is_some_and(|place| place != rest.len());
                    place.get_or_insert(rest.len());
                    if plan.mask.replace((axis, mask.clone())).is_some() {
                        return Err(fail("there may be only one mask".to_owned()));
                    }
                    axis += mask.ndim();
                }
                Index::Array(array) => {
                    plan.starts.push(0);
                    plan.steps.push(1);
                    sliced.push(shape[axis]);
                    apart |= place.is_some_and(|place| place != rest.len());
                    place.get_or_insert(rest.len());
                    plan.gathers.push((axis, array.clone()));
                    axis += 1;
                }
            }
        }
        if plan.mask.is_some() && !plan.gathers.is_empty() {
            let reason = "a mask selects a number of elements that is not known, so it cannot stand \
                beside arrays of positions";
            return Err(fail(reason.to_owned()));
        }
        plan.place = if apart { 0 } else { place.unwrap_or(0) };
        plan.sliced = Shape::from(&sliced[..]);
        plan.rest = Shape::from(&rest[..]);
        Ok(plan)
    }

    /// The part of `x` that the slices select; single positions keep an axis of size one.
    fn slice(&self, x: &Array) -> Array {
        x.sliced(self.starts.clone(), self.steps.clone(), self.sliced.clone())
    }

    /// The axes to gather along, and the positions broadcast together.
    fn positions(&self, x: &Array) -> Result<(SmallVec<[usize; 4]>, Vec<Array>)> {
        let axes: SmallVec<[i64; 4]> = self.gathers.iter().map(|(axis, _)| *axis as i64).collect();
        let arrays: SmallVec<[&Array; 4]> = self.gathers.iter().map(|(_, array)| array).collect();
        x.index_operands(OP, &arrays, &axes)
    }

    /// A copy of `x` with the slice replaced.
    fn put_back(self, x: &Array, part: Array) -> Result<Array> {
        if part.shape() == x.shape() && self.steps.iter().all(|&step| step == 1) {
            return Ok(part);
        }
        x.slice_update_at(&part, self.starts, self.steps)
    }

    /// Combines values with the elements of the slice that a mask of the axes from `axis` on selects:
    /// one for all of them, or one after another in the order of the selected places.
    fn combine_where(
        &self,
        combine: Combine,
        part: &Array,
        axis: usize,
        mask: &Array,
        value: &Array,
    ) -> Result<Array> {
        // The mask's axes come first, then what is left of the others.
        let masked = axis..axis + mask.ndim();
        let others = (0..part.ndim()).filter(|axis| !masked.contains(axis));
        let order: SmallVec<[u8; 8]> = masked.clone().chain(others).map(|i| i as u8).collect();
        let mut back: SmallVec<[u8; 8]> = SmallVec::from_elem(0, order.len());
        for (i, &axis) in order.iter().enumerate() {
            back[usize::from(axis)] = i as u8;
        }
        let turned = part.permuted(order);
        let front: Shape = mask
            .shape()
            .iter()
            .chain(self.rest.iter())
            .copied()
            .collect();
        let x = turned.reshape_to(front.clone());
        // In the selection's shape one axis stands for all of the mask's.
        let rank = self.rest.rank() + 1;
        let extra = value.ndim().saturating_sub(rank);
        if value.shape()[..extra].iter().any(|&size| size != 1) {
            let (value, rest) = (value.shape(), &self.rest);
            let reason =
                format!("values of shape {value} for a selection of {rest} and one axis more");
            return Err(Error::Shape { op: OP, reason });
        }
        let missing = std::iter::repeat_n(1, rank.saturating_sub(value.ndim()));
        let sizes = missing.chain(value.shape()[extra..].iter().copied());
        let value = value
            .reshape_to(sizes.collect())
            .moveaxis(self.place as i64, 0)?;
        let count = value.shape()[0];
        let value = if count == 1 {
            value
                .reshape_to(value.shape().without_axis(0))
                .broadcast_to(&self.rest)?
        } else {
            if count == 0 && mask.size() > 0 {
                let reason = "there are no values for the elements that a mask selects".to_owned();
                return Err(Error::Shape { op: OP, reason });
            }
            // What is selected takes the value of its rank; the others take any.
            let flat = mask.flatten(0, -1)?.astype(Dtype::Int64)?;
            let ranks = flat.multiply(flat.cumsum(0)?.subtract(1)?)?;
            let values = value.broadcast_to(self.rest.insert_axis(0, count))?;
            values.take(&stop_gradient(&ranks)?, 0)?.reshape_to(front)
        };
        let tail = std::iter::repeat_n(1, self.rest.rank());
        let mask = mask.reshape_to(mask.shape().iter().copied().chain(tail).collect());
        let chosen = mask.select(combined(combine, &x, &value)?, &x)?;
        Ok(chosen.reshape_to(turned.shape().clone()).permuted(back))
    }

    /// The order of axes that moves the first `count` to their place in the result.
    fn order(&self, count: usize) -> SmallVec<[u8; 8]> {
        let rank = count + self.rest.rank();
        let before = count..count + self.place;
        before
            .chain(0..count)
            .chain(count + self.place..rank)
            .map(|axis| axis as u8)
            .collect()
    }
}

/// The first position and the number of positions of a slice, by Python's rules.
fn bounds(start: Option<i64>, stop: Option<i64>, step: i64, size: usize) -> Result<(usize, usize)> {
    if step == 0 {
        let reason = "the step of a range must not be zero".to_owned();
        return Err(Error::Argument { op: OP, reason });
    }
    let size = size as i64;
    // Forward, positions lie in 0..=size; backward, in -1..size.
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let clamp = |bound: i64| {
        let bound = if bound < 0 {
            bound.saturating_add(size)
        } else {
            bound
        };
        bound.clamp(low, high)
    };
    let first = start.map_or(if step > 0 { low } else { high }, clamp);
    let end = stop.map_or(if step > 0 { high } else { low }, clamp);
    let distance = if step > 0 { end - first } else { first - end };
    if distance <= 0 {
        return Ok((0, 0));
    }
    let pace = step.unsigned_abs();
    Ok((first as usize, (distance as u64).div_ceil(pace) as usize))
}

/// The position that a possibly negative index names.
fn position(index: i64, axis: usize, size: usize) -> Result<usize> {
    let shifted = if index < 0 {
        index.saturating_add(size as i64)
    } else {
        index
    };
    usize::try_from(shifted)
        .ok()
        .filter(|&position| position < size)
        .ok_or(Error::Index {
            op: OP,
            index,
            axis,
            size,
        })
}

impl Array {
    /// The elements that indices select, by NumPy's rules.
    ///
    /// Indices are integers (negative ones count from the end), ranges, ranges with a [`step`],
    /// [`NewAxis`], [`Ellipsis`] and integer arrays; several stand in a tuple. Without arrays the
    /// result is a view. Fails if an integer lies outside its axis; a position from an array that
    /// does is an error when the result is evaluated.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, NewAxis};
    /// let x = Array::arange(0, 12, 1)?.reshape([3, 4])?;
    /// assert_eq!(x.index((-1, 1..3))?.to_vec::<i32>()?, [9, 10]);
    /// assert_eq!(x.index((.., NewAxis, 0))?.shape().dims(), &[3, 1]);
    /// let rows = Array::from_slice(&[2, 0], [2])?;
    /// assert_eq!(x.index((&rows, ..2))?.to_vec::<i32>()?, [8, 9, 0, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn index(&self, indices: impl IntoIndices) -> Result<Array> {
        let plan = Plan::new(self.shape(), &indices.to_indices())?;
        if plan.mask.is_some() {
            let reason = "how many elements a mask selects is not known before it is evaluated; \
                update with masks, or choose with select";
            return Err(Error::Dtype {
                op: OP,
                dtype: Dtype::Bool,
                reason,
            });
        }
        let part = plan.slice(self);
        if plan.gathers.is_empty() {
            return Ok(part.without_axes(&plan.singles).with_axes(&plan.news));
        }
        let (axes, positions) = plan.positions(&part)?;
        let shape = positions[0].shape().clone();
        let gathered = Array::apply_one(
            crate::ops::gather::Gather { axes },
            std::iter::once(part).chain(positions),
        )?;
        let front: Shape = shape.iter().chain(plan.rest.iter()).copied().collect();
        Ok(gathered
            .reshape_to(front)
            .permuted(plan.order(shape.rank())))
    }

    /// A copy in which the elements that indices select are replaced.
    ///
    /// The value is converted to this array's dtype and broadcast to the selection's shape. If
    /// arrays select an element several times, the last value stays.
    ///
    /// One of the indices may be a mask: an array of `bool`, for as many axes as it has, which selects
    /// where it is true. Of the selection's shape, its axes make one; the value either does not
    /// depend on it, or has a part for each selected place, in order. If there are too few, the
    /// evaluation fails; more are not used. A mask cannot stand beside arrays of positions.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::arange(0, 6, 1)?.reshape([2, 3])?;
    /// assert_eq!(x.index_update((.., 1..), 9)?.to_vec::<i32>()?, [0, 9, 9, 3, 9, 9]);
    /// let odd = Array::from_slice(&[false, true, false], [3])?;
    /// assert_eq!(x.index_update((1, &odd), 9)?.to_vec::<i32>()?, [0, 1, 2, 3, 9, 5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn index_update(
        &self,
        indices: impl IntoIndices,
        value: impl IntoOperand,
    ) -> Result<Array> {
        self.index_combine(Combine::Assign, indices, value)
    }

    /// A copy in which a value is added to the elements that indices select.
    ///
    /// If arrays select an element several times, all values are added.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2, 3], [3])?;
    /// let at = Array::from_slice(&[0, 0, 2], [3])?;
    /// assert_eq!(x.index_add(&at, 10)?.to_vec::<i32>()?, [21, 2, 13]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn index_add(&self, indices: impl IntoIndices, value: impl IntoOperand) -> Result<Array> {
        self.index_combine(Combine::Add, indices, value)
    }

    /// A copy in which a value is combined with the elements that indices select.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_core::ops::scatter::Combine;
    /// let x = array!([5, 5, 5]);
    /// // Of all values for one element, and the element itself, the greatest stays.
    /// let y = x.index_combine(Combine::Maximum, &array!([0, 0, 2]), array!([7, 6, 1]))?;
    /// assert_eq!(y.to_vec::<i32>()?, [7, 5, 5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn index_combine(
        &self,
        combine: Combine,
        indices: impl IntoIndices,
        value: impl IntoOperand,
    ) -> Result<Array> {
        let indices = indices.to_indices();
        let value = value.to_operand(self).astype(self.dtype())?;
        let plan = Plan::new(self.shape(), &indices)?;
        let part = plan.slice(self);
        if let Some((axis, mask)) = &plan.mask {
            let part = plan.combine_where(combine, &part, *axis, mask, &value)?;
            return plan.put_back(self, part);
        }
        if plan.gathers.is_empty() {
            let value = fitted(&value, &plan.rest)?.reshape_to(plan.sliced.clone());
            return self.slice_update_at(
                &combined(combine, &part, &value)?,
                plan.starts,
                plan.steps,
            );
        }
        let (axes, positions) = plan.positions(&part)?;
        let count = positions[0].ndim();
        let order = plan.order(count);
        let front: Shape = positions[0]
            .shape()
            .iter()
            .chain(plan.rest.iter())
            .copied()
            .collect();
        let selected = order.iter().map(|&axis| front[usize::from(axis)]).collect();
        // Back to the gather's order: the positions' axes, then the axes they do not index.
        let mut back: SmallVec<[u8; 8]> = SmallVec::from_elem(0, order.len());
        for (i, &axis) in order.iter().enumerate() {
            back[usize::from(axis)] = i as u8;
        }
        let updates = fitted(&value, &selected)?.permuted(back);
        let shape = crate::ops::gather::gathered_shape(part.shape(), &axes, positions[0].shape());
        let updates = updates.reshape_to(shape);
        let part = part.scattered(combine, &axes, &positions, &updates)?;
        plan.put_back(self, part)
    }
}

/// The value broadcast to a shape; leading axes of size one too many are dropped.
fn fitted(value: &Array, shape: &Shape) -> Result<Array> {
    let extra = value.ndim().saturating_sub(shape.rank());
    if value.shape()[..extra].iter().all(|&size| size == 1) {
        value
            .reshape_to(Shape::from(&value.shape()[extra..]))
            .broadcast_to(shape)
    } else {
        value.broadcast_to(shape)
    }
}

/// Elements combined one by one.
fn combined(combine: Combine, old: &Array, update: &Array) -> Result<Array> {
    match combine {
        Combine::Assign => Ok(update.clone()),
        Combine::Add => old.add(update),
        Combine::Multiply => old.multiply(update),
        Combine::Maximum => old.maximum(update),
        Combine::Minimum => old.minimum(update),
    }
}
