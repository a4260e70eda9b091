//! Owns the methods of arrays whose arguments are irregular: shapes, axes in any form, dtypes.

use olivine::ops::split::Sections;
use pyo3::{prelude::*, types::PyTuple};
use smallvec::SmallVec;

use super::PyArray;
use crate::{
    arg::{Ints, axes, made},
    device::On,
    dtype::PyDtype,
    error::{OrRaise, type_error},
    ops::{
        math::rounded,
        reduce::{degrees_of_freedom, one_axis},
    },
};

/// Whole numbers that may come one by one or in a list.
fn loose(arguments: &Bound<'_, PyTuple>) -> PyResult<SmallVec<[i64; 4]>> {
    if arguments.len() == 1 {
        return Ok(arguments.get_item(0)?.extract::<Ints>()?.0);
    }
    arguments.iter().map(|item| item.extract()).collect()
}

#[pymethods]
impl PyArray {
    /// The same values in another dtype.
    ///
    /// Args:
    ///     dtype: The type of the result's elements. Floats lose their fraction in integers.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array of the same shape.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([1.7, -1.7]).astype(mx.int32)
    ///     array([1, -1], dtype=int32)
    #[pyo3(signature = (dtype, stream=None))]
    fn astype(&self, dtype: PyDtype, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().astype(dtype.into()))
    }

    /// The same bytes read as another dtype.
    ///
    /// Args:
    ///     dtype: The type to read them as. If its size differs, the last axis grows or shrinks.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array of the same shape, but for the last axis.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([1.0]).view(mx.uint32)
    ///     array([1065353216], dtype=uint32)
    #[pyo3(signature = (dtype, *, stream=None))]
    fn view(&self, dtype: PyDtype, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().view(dtype.into()))
    }

    /// The same values under another shape.
    ///
    /// Args:
    ///     *shape: The sizes, one by one or in a tuple; ``-1`` is what is left for that axis.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array of this shape.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.arange(6).reshape(2, -1).shape
    ///     (2, 3)
    #[pyo3(signature = (*shape, stream=None))]
    fn reshape(&self, shape: &Bound<'_, PyTuple>, stream: Option<On>) -> PyResult<Self> {
        // The stream may follow a shape without being named.
        if shape.len() == 2
            && stream.is_none()
            && let (first, second) = (shape.get_item(0)?, shape.get_item(1)?)
            && first.extract::<i64>().is_err()
            && let (Ok(Ints(sizes)), Ok(stream)) = (first.extract(), second.extract::<On>())
        {
            return made(Some(stream), || self.get().reshape(&sizes[..]));
        }
        if shape.is_empty() && self.get().size() != 1 {
            return Err(type_error("reshape() expects a shape"));
        }
        let sizes = loose(shape)?;
        made(stream, || self.get().reshape(&sizes[..]))
    }

    /// The array with neighbouring axes joined into one.
    ///
    /// Args:
    ///     start_axis: The first axis to join.
    ///     end_axis: The last axis to join.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array with one axis in their place.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.zeros((2, 3, 4)).flatten(1).shape
    ///     (2, 12)
    #[pyo3(signature = (start_axis=0, end_axis=-1, *, stream=None),
        text_signature = "($self, start_axis=0, end_axis=-1, *, stream=None)")]
    fn flatten(&self, start_axis: i64, end_axis: i64, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().flatten(start_axis, end_axis))
    }

    /// The array without axes of size one.
    ///
    /// Args:
    ///     axis: The axis or axes to leave out. By default, all of size one.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array with the same values.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.zeros((1, 3, 1)).squeeze(0).shape
    ///     (3, 1)
    #[pyo3(signature = (axis=None, *, stream=None))]
    fn squeeze(&self, axis: Option<Ints>, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().squeeze(axes(axis, false)))
    }

    /// The array with its axes in another order.
    ///
    /// Args:
    ///     *axes: The axes in their new order, one by one or in a tuple. By default, the reverse.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array with the same values.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.zeros((2, 3, 4)).transpose(1, 2, 0).shape
    ///     (3, 4, 2)
    #[pyo3(signature = (*axes, stream=None))]
    fn transpose(&self, axes: &Bound<'_, PyTuple>, stream: Option<On>) -> PyResult<Self> {
        if axes.is_empty() {
            return made(stream, || self.get().transpose(..));
        }
        let order = loose(axes)?;
        made(stream, || self.get().transpose(&order[..]))
    }

    /// The array with two axes exchanged.
    ///
    /// Args:
    ///     axis1: One axis.
    ///     axis2: The other.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array with the same values.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.zeros((2, 3, 4)).swapaxes(0, 2).shape
    ///     (4, 3, 2)
    #[pyo3(signature = (axis1, axis2, *, stream=None))]
    fn swapaxes(&self, axis1: i64, axis2: i64, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().swapaxes(axis1, axis2))
    }

    /// The array with one axis at another place.
    ///
    /// Args:
    ///     source: The axis to move.
    ///     destination: Where it is to be.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array with the same values.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.zeros((2, 3, 4)).moveaxis(0, -1).shape
    ///     (3, 4, 2)
    #[pyo3(signature = (source, destination, *, stream=None))]
    fn moveaxis(&self, source: i64, destination: i64, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().moveaxis(source, destination))
    }

    /// The array cut into parts along an axis.
    ///
    /// Args:
    ///     indices_or_sections: The number of equal parts, or the positions to cut at.
    ///     axis: The axis to cut.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     A list of arrays.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.arange(4).split([1])
    ///     [array([0], dtype=int32), array([1, 2, 3], dtype=int32)]
    #[pyo3(signature = (indices_or_sections, axis=0, *, stream=None))]
    fn split(
        &self,
        indices_or_sections: &Bound<'_, PyAny>,
        axis: i64,
        stream: Option<On>,
    ) -> PyResult<Vec<Self>> {
        let sections = match indices_or_sections.extract::<i64>() {
            Ok(count) => Sections::Equal(count),
            Err(_) => Sections::At(indices_or_sections.extract::<Ints>()?.0.to_vec()),
        };
        let parts = stream
            .unwrap_or_default()
            .run(|| self.get().split(sections, axis));
        Ok(parts.or_raise()?.into_iter().map(Self::from).collect())
    }

    /// The elements of a diagonal, along a new last axis.
    ///
    /// Args:
    ///     offset: How far above the main diagonal; below, if negative.
    ///     axis1: The axis of the rows.
    ///     axis2: The axis of the columns.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array with one axis fewer.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.arange(4).reshape(2, 2).diagonal()
    ///     array([0, 3], dtype=int32)
    #[pyo3(signature = (offset=0, axis1=0, axis2=1, stream=None))]
    fn diagonal(&self, offset: i64, axis1: i64, axis2: i64, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().diagonal(offset, axis1, axis2))
    }

    /// The matrix with a vector on a diagonal, or the diagonal of a matrix.
    ///
    /// Args:
    ///     k: How far above the main diagonal; below, if negative.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     A matrix for a vector, a vector for a matrix.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([1, 2]).diag()
    ///     array([[1, 0],
    ///            [0, 2]], dtype=int32)
    #[pyo3(signature = (k=0, *, stream=None))]
    fn diag(&self, k: i64, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().diag(k))
    }

    /// The variance over axes.
    ///
    /// Args:
    ///     axis: The axis or axes to go over. By default, all.
    ///     keepdims: Keeps these axes, with size one.
    ///     ddof: What to subtract from the number of elements before dividing by it.
    ///     correction: Another name of ``ddof``, which it takes the place of.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array without the axes gone over.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([1.0, 2.0, 3.0]).var(ddof=1).item()
    ///     1.0
    #[pyo3(signature = (axis=None, keepdims=false, ddof=0, *, correction=None, stream=None))]
    fn var(
        &self,
        axis: Option<Ints>,
        keepdims: bool,
        ddof: i64,
        correction: Option<i64>,
        stream: Option<On>,
    ) -> PyResult<Self> {
        let ddof = degrees_of_freedom("var", correction.unwrap_or(ddof))?;
        made(stream, || self.get().var(axes(axis, keepdims), ddof))
    }

    /// The standard deviation over axes.
    ///
    /// Args:
    ///     axis: The axis or axes to go over. By default, all.
    ///     keepdims: Keeps these axes, with size one.
    ///     ddof: What to subtract from the number of elements before dividing by it.
    ///     correction: Another name of ``ddof``, which it takes the place of.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array without the axes gone over.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([1.0, 3.0]).std().item()
    ///     1.0
    #[pyo3(signature = (axis=None, keepdims=false, ddof=0, *, correction=None, stream=None))]
    fn std(
        &self,
        axis: Option<Ints>,
        keepdims: bool,
        ddof: i64,
        correction: Option<i64>,
        stream: Option<On>,
    ) -> PyResult<Self> {
        let ddof = degrees_of_freedom("std", correction.unwrap_or(ddof))?;
        made(stream, || self.get().std(axes(axis, keepdims), ddof))
    }

    /// The position of the greatest element along an axis.
    ///
    /// Args:
    ///     axis: The axis to go along. By default, the flattened array's.
    ///     keepdims: Keeps this axis, with size one.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array of ``uint32`` without the axis.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([3, 9, 2]).argmax().item()
    ///     1
    #[pyo3(signature = (axis=None, keepdims=false, *, stream=None))]
    fn argmax(&self, axis: Option<i64>, keepdims: bool, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().argmax(one_axis(axis, keepdims)))
    }

    /// The position of the smallest element along an axis.
    ///
    /// Args:
    ///     axis: The axis to go along. By default, the flattened array's.
    ///     keepdims: Keeps this axis, with size one.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array of ``uint32`` without the axis.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([3, 9, 2]).argmin().item()
    ///     2
    #[pyo3(signature = (axis=None, keepdims=false, *, stream=None))]
    fn argmin(&self, axis: Option<i64>, keepdims: bool, stream: Option<On>) -> PyResult<Self> {
        made(stream, || self.get().argmin(one_axis(axis, keepdims)))
    }

    /// The values rounded to decimals, those in the middle to the even neighbour.
    ///
    /// Args:
    ///     decimals: How many to keep; negative ones round to tens, hundreds and so on.
    ///     stream: Where to compute it.
    ///
    /// Returns:
    ///     An array of the same shape and dtype.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([1.26, 2.5]).round(1)
    ///     array([1.3, 2.5], dtype=float32)
    #[pyo3(signature = (decimals=0, *, stream=None))]
    fn round(&self, decimals: i32, stream: Option<On>) -> PyResult<Self> {
        made(stream, || rounded(&self.get(), decimals))
    }
}
