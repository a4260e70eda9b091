//! Owns shapes, strides and the arithmetic between them; arrays and kernels build on it.

use std::{fmt, ops::Deref};

use smallvec::SmallVec;

use crate::{Error, Result};

/// The sizes of an array's axes, outermost first. A scalar's shape is empty.
///
/// ```
/// use olivine_core::Shape;
/// let shape = Shape::from([2, 3]);
/// assert_eq!(shape.elements(), 6);
/// assert_eq!(shape.to_string(), "(2, 3)");
/// ```
#[derive(PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Clone for Shape {
    fn clone(&self) -> Self {
        // Cloning the vector would push one size after the other.
        Shape(SmallVec::from_slice(&self.0))
    }
}

/// The distance between neighbours along each axis, in elements. May be zero or negative.
pub type Strides = SmallVec<[isize; 4]>;

impl Shape {
    /// The shape of a scalar.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!((Shape::scalar().rank(), Shape::scalar().elements()), (0, 1));
    /// ```
    pub fn scalar() -> Self {
        Shape(SmallVec::new())
    }

    /// The number of elements: the product of the sizes.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(Shape::from([2, 3, 4]).elements(), 24);
    /// assert_eq!(Shape::from([2, 0]).elements(), 0);
    /// ```
    pub fn elements(&self) -> usize {
        // With an axis of size zero the product of the others need not fit.
        self.0
            .iter()
            .fold(1, |count, &size| count.wrapping_mul(size))
    }

    /// Checks that the element count times `item_size` fits in memory addresses.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(Shape::from([2, 3]).checked_bytes(4, "zeros")?, 24);
    /// assert!(Shape::from([usize::MAX, 2]).checked_bytes(4, "zeros").is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn checked_bytes(&self, item_size: usize, op: &'static str) -> Result<usize> {
        if self.0.contains(&0) {
            return Ok(0);
        }
        self.0
            .iter()
            .try_fold(item_size, |bytes, &n| bytes.checked_mul(n))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or_else(|| Error::Shape {
                op,
                reason: format!("{self} has too many elements"),
            })
    }

    /// The sizes.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(Shape::from([2, 3]).dims(), &[2, 3]);
    /// ```
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// The number of axes.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(Shape::from([2, 3, 4]).rank(), 3);
    /// ```
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The strides of a row-major array of this shape.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(&Shape::from([2, 3, 4]).contiguous_strides()[..], &[12, 4, 1]);
    /// ```
    pub fn contiguous_strides(&self) -> Strides {
        let mut strides: Strides = SmallVec::from_elem(0, self.0.len());
        let mut step = 1isize;
        for (stride, &size) in strides.iter_mut().zip(self.0.iter()).rev() {
            *stride = step;
            step = step.wrapping_mul(size.max(1) as isize);
        }
        strides
    }

    /// The shape two operands broadcast to, by NumPy's rule.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// let (a, b) = (Shape::from([3, 1]), Shape::from([4]));
    /// assert_eq!(a.broadcast(&b, "add")?, Shape::from([3, 4]));
    /// let error = Shape::from([3]).broadcast(&b, "add").unwrap_err();
    /// assert!(error.to_string().starts_with("[add]"));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn broadcast(&self, other: &Shape, op: &'static str) -> Result<Shape> {
        if self == other {
            return Ok(self.clone());
        }
        let fail = || Error::Broadcast {
            op,
            left: self.clone(),
            right: other.clone(),
        };
        let rank = self.rank().max(other.rank());
        let mut dims = SmallVec::from_elem(1, rank);
        for (i, dim) in dims.iter_mut().enumerate() {
            let a = (i + self.rank()).checked_sub(rank).map_or(1, |j| self.0[j]);
            let b = (i + other.rank())
                .checked_sub(rank)
                .map_or(1, |j| other.0[j]);
            *dim = match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return Err(fail()),
            };
        }
        Ok(Shape(dims))
    }

    /// The axis that a possibly negative `axis` names.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(Shape::from([2, 3]).axis(-1, "sum")?, 1);
    /// assert!(Shape::from([2, 3]).axis(2, "sum").is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn axis(&self, axis: i64, op: &'static str) -> Result<usize> {
        normalize_axis(axis, self.rank(), op)
    }

    /// The same shape with one size replaced.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(Shape::from([2, 3]).with_axis(1, 5), Shape::from([2, 5]));
    /// ```
    pub fn with_axis(&self, axis: usize, size: usize) -> Shape {
        let mut shape = self.clone();
        shape.0[axis] = size;
        shape
    }

    /// The same shape without one axis.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(Shape::from([2, 3]).without_axis(0), Shape::from([3]));
    /// ```
    pub fn without_axis(&self, axis: usize) -> Shape {
        let mut shape = self.clone();
        shape.0.remove(axis);
        shape
    }

    /// The same shape with one more axis before position `axis`.
    ///
    /// ```
    /// use olivine_core::Shape;
    /// assert_eq!(Shape::from([2, 3]).insert_axis(1, 7), Shape::from([2, 7, 3]));
    /// ```
    pub fn insert_axis(&self, axis: usize, size: usize) -> Shape {
        let mut shape = self.clone();
        shape.0.insert(axis, size);
        shape
    }
}

/// The axis that a possibly negative `axis` names in an array of `rank` axes.
///
/// ```
/// use olivine_core::shape::normalize_axis;
/// assert_eq!(normalize_axis(-2, 3, "sum")?, 1);
/// assert!(normalize_axis(3, 3, "sum").is_err());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn normalize_axis(axis: i64, rank: usize, op: &'static str) -> Result<usize> {
    let shifted = if axis < 0 { axis + rank as i64 } else { axis };
    if (0..rank as i64).contains(&shifted) {
        Ok(shifted as usize)
    } else {
        Err(Error::Axis { op, axis, rank })
    }
}

/// True if elements of `shape` with `strides` lie in row-major order without gaps.
///
/// ```
/// use olivine_core::shape::is_contiguous;
/// assert!(is_contiguous(&[2, 3], &[3, 1]));
/// assert!(!is_contiguous(&[2, 3], &[1, 2]));
/// ```
pub fn is_contiguous(shape: &[usize], strides: &[isize]) -> bool {
    let mut step = 1isize;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        if size == 0 {
            return true;
        }
        if size != 1 && stride != step {
            return false;
        }
        step *= size as isize;
    }
    true
}

/// The strides that make `target` a view of the same elements, where that is possible.
///
/// ```
/// use olivine_core::shape::reshape_strides;
/// // Every other row of four: splitting rows needs no copy, joining them does.
/// assert_eq!(reshape_strides(&[2, 4], &[8, 1], &[2, 2, 2]).as_deref(), Some(&[8, 2, 1][..]));
/// assert_eq!(reshape_strides(&[2, 4], &[8, 1], &[8]), None);
/// ```
pub fn reshape_strides(shape: &[usize], strides: &[isize], target: &[usize]) -> Option<Strides> {
    if shape.contains(&0) || is_contiguous(shape, strides) {
        return Some(Shape::from(target).contiguous_strides());
    }
    // Merge neighbouring axes that are contiguous with each other, then split each merged run.
    let mut runs: SmallVec<[(usize, isize); 4]> = SmallVec::new();
    for (&size, &stride) in shape.iter().zip(strides).filter(|(size, _)| **size != 1) {
        match runs.last_mut() {
            Some((run, step)) if *step == stride * size as isize => {
                *run *= size;
                *step = stride;
            }
            _ => runs.push((size, stride)),
        }
    }
    let mut result = Strides::new();
    let mut runs = runs.into_iter();
    let (mut left, mut stride) = runs.next().unwrap_or((1, 1));
    let mut span = stride * left as isize;
    for &size in target {
        if size == 1 {
            result.push(span);
            continue;
        }
        if left == 1 {
            (left, stride) = runs.next()?;
            span = stride * left as isize;
        }
        if left % size != 0 {
            return None;
        }
        left /= size;
        span /= size as isize;
        result.push(span);
    }
    Some(result)
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(SmallVec::from_slice(dims))
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(SmallVec::from_slice(&dims))
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(dims: &[usize; N]) -> Self {
        Shape(SmallVec::from_slice(dims))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(SmallVec::from_vec(dims))
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(iter: I) -> Self {
        // Short lists need no more, and this is compiled for many iterators.
        let mut sizes = SmallVec::new();
        for size in iter {
            sizes.push(size);
        }
        Shape(sizes)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, size) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{size}")?;
        }
        f.write_str(if self.0.len() == 1 { ",)" } else { ")" })
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The axes a reduction runs over: all (`..`), one (`-1`) or several (`[0, 2]`).
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{keep, Array};
/// let x = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
/// assert_eq!(x.sum(..)?.shape().dims(), &[0usize; 0]);
/// assert_eq!(x.sum(-1)?.shape().dims(), &[2]);
/// assert_eq!(x.sum(keep(-1))?.shape().dims(), &[2, 1]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axes {
    list: Option<SmallVec<[i64; 4]>>,
    keep_dims: bool,
}

/// Keeps the reduced axes, with size one.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, keep};
/// let x = array!([[1.0, 3.0], [5.0, 7.0]]);
/// let centred = x.subtract(x.mean(keep(-1))?)?;
/// assert_eq!(centred.to_vec::<f32>()?, [-1.0, 1.0, -1.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn keep(axes: impl Into<Axes>) -> Axes {
    Axes {
        keep_dims: true,
        ..axes.into()
    }
}

impl Axes {
    /// True if reduced axes stay, with size one.
    ///
    /// ```
    /// use olivine_core::{Axes, keep};
    /// assert!(keep(-1).keeps_dims());
    /// assert!(!Axes::from(-1).keeps_dims());
    /// ```
    pub fn keeps_dims(&self) -> bool {
        self.keep_dims
    }

    /// The axes as they were given; `None` for all.
    pub(crate) fn as_given(&self) -> Option<&[i64]> {
        self.list.as_deref()
    }

    /// The sorted, distinct axes of an array of `rank` axes.
    ///
    /// ```
    /// use olivine_core::Axes;
    /// assert_eq!(&Axes::from([-1, 0]).resolve(3, "sum")?[..], &[0, 2]);
    /// assert_eq!(&Axes::from(..).resolve(2, "sum")?[..], &[0, 1]);
    /// assert!(Axes::from([1, -1]).resolve(2, "sum").is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn resolve(&self, rank: usize, op: &'static str) -> Result<SmallVec<[usize; 4]>> {
        let Some(list) = &self.list else {
            return Ok((0..rank).collect());
        };
        let mut axes = SmallVec::new();
        for &axis in list {
            axes.push(normalize_axis(axis, rank, op)?);
        }
        axes.sort_unstable();
        if axes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::Argument {
                op,
                reason: format!("axes {list:?} repeat an axis"),
            });
        }
        Ok(axes)
    }
}

impl From<std::ops::RangeFull> for Axes {
    fn from(_: std::ops::RangeFull) -> Self {
        Axes {
            list: None,
            keep_dims: false,
        }
    }
}

macro_rules! axes_from {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Axes {
            fn from(axis: $ty) -> Self {
                Axes { list: Some(SmallVec::from_slice(&[axis as i64])), keep_dims: false }
            }
        }
        impl<const N: usize> From<[$ty; N]> for Axes {
            fn from(axes: [$ty; N]) -> Self {
                Axes::from(&axes[..])
            }
        }
        impl<const N: usize> From<&[$ty; N]> for Axes {
            fn from(axes: &[$ty; N]) -> Self {
                Axes::from(&axes[..])
            }
        }
        impl From<&[$ty]> for Axes {
            fn from(axes: &[$ty]) -> Self {
                Axes { list: Some(axes.iter().map(|&a| a as i64).collect()), keep_dims: false }
            }
        }
    )*};
}

axes_from!(i32, i64, usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_of_a_transposed_view_needs_a_copy() {
        assert_eq!(reshape_strides(&[3, 2], &[1, 3], &[6]), None);
        assert_eq!(
            reshape_strides(&[2, 3], &[6, 2], &[6]).as_deref(),
            Some(&[2][..])
        );
        assert_eq!(
            reshape_strides(&[2, 3, 4], &[24, 8, 1], &[6, 2, 2]).as_deref(),
            Some(&[8, 2, 1][..])
        );
    }

    #[test]
    fn broadcast_follows_numpy() {
        let a = Shape::from([3, 1]);
        let b = Shape::from([2, 1, 4]);
        assert_eq!(a.broadcast(&b, "t"), Ok(Shape::from([2, 3, 4])));
        assert!(Shape::from([2]).broadcast(&Shape::from([3]), "t").is_err());
        assert_eq!(
            Shape::from([0]).broadcast(&Shape::from([1]), "t"),
            Ok(Shape::from([0]))
        );
    }

    #[test]
    fn huge_shapes_are_an_error_not_an_overflow() {
        assert!(Shape::from([usize::MAX, 4]).checked_bytes(4, "t").is_err());
        assert_eq!(Shape::from([usize::MAX, 0]).checked_bytes(4, "t"), Ok(0));
    }
}
