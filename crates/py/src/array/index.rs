//! Owns indexing from Python: what may stand between the brackets, and iteration.

#![expect(clippy::unused_self, reason = "Python deletes from the array")]

use std::sync::atomic::{AtomicUsize, Ordering};

use olivine::{Array, Dtype, Index};
use pyo3::{
    exceptions::{PyAttributeError, PyIndexError, PyOverflowError},
    intern,
    prelude::*,
    types::{PyBool, PyEllipsis, PyInt, PyList, PySlice, PyTuple},
};
use smallvec::SmallVec;

use super::{PyArray, buffer, list};
use crate::{
    arg::Operand,
    error::{OrRaise, axis_error, type_error, value_error},
};

type Indices = SmallVec<[Index; 6]>;

/// Whole numbers as indices are: those of Python, of NumPy, and arrays of one without axes.
fn whole(object: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if object.is_instance_of::<PyBool>() {
        return Ok(None);
    }
    if !object.is_exact_instance_of::<PyInt>() {
        // Arrays with axes are no numbers; others say so themselves.
        let py = object.py();
        if !object.hasattr(intern!(py, "__index__"))?
            || object
                .getattr_opt(intern!(py, "ndim"))?
                .is_some_and(|n| !n.eq(0).unwrap_or(false))
        {
            return Ok(None);
        }
    }
    match object.extract::<i64>() {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
            let message = format!("The index {object} is out of range.");
            Err(PyErr::from_type(axis_error(object.py())?.clone(), message))
        }
        Err(_) => Ok(None),
    }
}

/// A bound of a slice. As in MLX, whose programs count on it, wide numbers are refused.
fn bound(object: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if object.is_none() {
        return Ok(None);
    }
    let wide = || value_error("Slice indices must be 32-bit integers.");
    match whole(object) {
        Ok(Some(value)) if i32::try_from(value).is_ok() => Ok(Some(value)),
        Ok(Some(_)) => Err(wide()),
        Ok(None) => Err(value_error("Slice indices must be integers or None.")),
        Err(error) if error.is_instance_of::<PyIndexError>(object.py()) => Err(wide()),
        Err(error) => Err(error),
    }
}

fn slice(object: &Bound<'_, PySlice>) -> PyResult<Index> {
    let py = object.py();
    let step = bound(&object.getattr(intern!(py, "step"))?)?.unwrap_or(1);
    if step == 0 {
        return Err(value_error("The step of a slice must not be zero."));
    }
    Ok(Index::Slice {
        start: bound(&object.getattr(intern!(py, "start"))?)?,
        stop: bound(&object.getattr(intern!(py, "stop"))?)?,
        step,
    })
}

/// An array of positions or truth values; `None` if the object is neither array nor list.
fn positions(object: &Bound<'_, PyAny>) -> PyResult<Option<Array>> {
    if let Ok(array) = object.cast::<PyArray>() {
        return Ok(Some(array.get().get()));
    }
    if let Ok(items) = object.cast::<PyList>() {
        // An empty list selects nothing, though it has no integers.
        let dtype = items.is_empty().then_some(Dtype::Int32);
        return list::array(object, dtype);
    }
    // Of the buffers, bytes are no positions.
    if buffer::lends(object) && object.hasattr(intern!(object.py(), "ndim"))? {
        return buffer::copied(object, None, false).map(Some);
    }
    Ok(None)
}

/// One index; `None` if the object is none.
fn index(object: &Bound<'_, PyAny>) -> PyResult<Option<Index>> {
    if object.is_exact_instance_of::<PyInt>() {
        return Ok(whole(object)?.map(Index::At));
    }
    if object.is_none() {
        return Ok(Some(Index::NewAxis));
    }
    if let Ok(range) = object.cast::<PySlice>() {
        return slice(range).map(Some);
    }
    if object.is_instance_of::<PyEllipsis>() {
        return Ok(Some(Index::Ellipsis));
    }
    // Before numbers: the value of an array without axes need not be known yet.
    if let Ok(array) = object.cast::<PyArray>() {
        return Ok(Some(Index::Array(array.get().get())));
    }
    if let Some(position) = whole(object)? {
        return Ok(Some(Index::At(position)));
    }
    Ok(positions(object)?.map(Index::Array))
}

/// What stands between the brackets.
fn indices(object: &Bound<'_, PyAny>) -> PyResult<Indices> {
    let Ok(tuple) = object.cast::<PyTuple>() else {
        return match index(object)? {
            Some(index) => Ok(SmallVec::from_iter([index])),
            None => Err(value_error("Cannot index mlx array using the given type.")),
        };
    };
    let mut indices = Indices::new();
    for item in tuple.iter() {
        match index(&item)? {
            Some(Index::Ellipsis) if indices.iter().any(|i| matches!(i, Index::Ellipsis)) => {
                return Err(value_error(
                    "An index can only have a single ellipsis (...)",
                ));
            }
            Some(index) => indices.push(index),
            None => {
                return Err(value_error(
                    "Cannot index mlx array using the given type yet",
                ));
            }
        }
    }
    Ok(indices)
}

/// Refuses more indices than there are axes.
fn checked(array: &Array, indices: &Indices) -> PyResult<()> {
    let axes: usize = indices
        .iter()
        .map(|index| match index {
            Index::NewAxis | Index::Ellipsis => 0,
            Index::Array(mask) if mask.dtype() == Dtype::Bool => mask.ndim(),
            Index::At(_) | Index::Slice { .. } | Index::Array(_) => 1,
        })
        .sum();
    if axes <= array.ndim() {
        return Ok(());
    }
    Err(value_error(match array.ndim() {
        0 => "too many indices for array: array is 0-dimensional".to_owned(),
        rank => format!("Too many indices for array with {rank} dimensions."),
    }))
}

/// The array's elements that indices select.
fn select(array: &Array, indices: &Indices) -> PyResult<Array> {
    checked(array, indices)?;
    let is_bool =
        |index: &Index| matches!(index, Index::Array(array) if array.dtype() == Dtype::Bool);
    if indices.iter().any(is_bool) {
        return Err(value_error("boolean indices are not yet supported"));
    }
    array.index(&indices[..]).or_raise()
}

/// The value of an assignment.
fn value(object: &Bound<'_, PyAny>, array: &Array) -> PyResult<Array> {
    if object.is_none() {
        return Err(type_error(
            "None cannot be assigned to elements of an array",
        ));
    }
    match object.extract::<Operand>()? {
        // Numbers are cast to what the elements are, whatever they would become beside them.
        operand @ (Operand::Array(_) | Operand::Foreign(_)) => operand.alone(),
        operand => operand.beside(array.dtype()),
    }
}

/// Where an assignment or update goes: a mask may be one truth value.
fn targets(object: &Bound<'_, PyAny>) -> PyResult<Indices> {
    if let Ok(truth) = object.cast::<PyBool>() {
        return Ok(SmallVec::from_iter([Index::Array(Array::scalar(
            truth.is_true(),
        ))]));
    }
    indices(object)
}

#[pymethods]
impl PyArray {
    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Self> {
        select(&self.get(), &indices(key)?).map(Self::from)
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let array = self.get();
        let indices = targets(key)?;
        let value = value(item, &array)?;
        checked(&array, &indices)?;
        self.set(array.index_update(&indices[..], &value).or_raise()?);
        Ok(())
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = key;
        Err(PyAttributeError::new_err(
            "elements of an array cannot be deleted",
        ))
    }

    fn __iter__(&self) -> PyResult<ArrayIterator> {
        let array = self.get();
        if array.ndim() == 0 {
            return Err(type_error("iter() 0-dimensional array."));
        }
        Ok(ArrayIterator {
            array,
            next: AtomicUsize::new(0),
        })
    }

    /// Updates of the elements that indices select: ``a.at[indices].add(value)``.
    ///
    /// Each update returns a new array. Unlike ``a[indices] += value``, an element that is selected
    /// several times is updated several times.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> a = mx.array([0, 0])
    ///     >>> a.at[mx.array([0, 1, 0, 1])].add(1)
    ///     array([2, 2], dtype=int32)
    #[getter]
    fn at(&self) -> ArrayAt {
        ArrayAt {
            array: self.get(),
            indices: None,
        }
    }
}

/// The elements of an array along its first axis, one after another.
#[pyclass(name = "ArrayIterator", module = "olivine.core", frozen)]
pub(crate) struct ArrayIterator {
    array: Array,
    next: AtomicUsize,
}

#[pymethods]
impl ArrayIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> PyResult<Option<PyArray>> {
        let position = self.next.fetch_add(1, Ordering::Relaxed);
        if self
            .array
            .shape()
            .first()
            .is_none_or(|&size| position >= size)
        {
            // Past the end it stays there.
            self.next.fetch_sub(1, Ordering::Relaxed);
            return Ok(None);
        }
        let element = self.array.index(Index::At(position as i64)).or_raise()?;
        Ok(Some(element.into()))
    }
}

/// The elements of an array that indices select, to be updated. ``array.at`` makes it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.array([1, 2, 3]).at[1:].multiply(mx.array([5, 6]))
///     array([1, 10, 18], dtype=int32)
#[pyclass(name = "ArrayAt", module = "olivine.core", frozen)]
pub(crate) struct ArrayAt {
    array: Array,
    indices: Option<Indices>,
}

impl ArrayAt {
    fn update(
        &self,
        item: &Bound<'_, PyAny>,
        f: impl FnOnce(&olivine::At<'_>, &Array) -> olivine::Result<Array>,
    ) -> PyResult<PyArray> {
        let Some(indices) = &self.indices else {
            return Err(value_error(
                "Must give indices to array.at (e.g. `x.at[0].add(4)`).",
            ));
        };
        checked(&self.array, indices)?;
        let value = value(item, &self.array)?;
        f(&self.array.at(&indices[..]), &value)
            .map(PyArray::from)
            .or_raise()
    }
}

#[pymethods]
impl ArrayAt {
    fn __getitem__(&self, indices: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(ArrayAt {
            array: self.array.clone(),
            indices: Some(targets(indices)?),
        })
    }

    /// Adds to the selected elements.
    ///
    /// Args:
    ///     value: An array or a number that broadcasts to the selection.
    ///
    /// Returns:
    ///     A new array of the same shape and dtype.
    fn add(&self, value: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        self.update(value, |at, value| at.add(value))
    }

    /// Subtracts from the selected elements.
    ///
    /// Args:
    ///     value: An array or a number that broadcasts to the selection.
    ///
    /// Returns:
    ///     A new array of the same shape and dtype.
    fn subtract(&self, value: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        self.update(value, |at, value| at.subtract(value))
    }

    /// Multiplies the selected elements.
    ///
    /// Args:
    ///     value: An array or a number that broadcasts to the selection.
    ///
    /// Returns:
    ///     A new array of the same shape and dtype.
    fn multiply(&self, value: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        self.update(value, |at, value| at.multiply(value))
    }

    /// Divides the selected elements; integers are divided towards zero.
    ///
    /// Args:
    ///     value: An array or a number that broadcasts to the selection.
    ///
    /// Returns:
    ///     A new array of the same shape and dtype.
    fn divide(&self, value: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        self.update(value, |at, value| at.divide(value))
    }

    /// Keeps the greater of each selected element and a value.
    ///
    /// Args:
    ///     value: An array or a number that broadcasts to the selection.
    ///
    /// Returns:
    ///     A new array of the same shape and dtype.
    fn maximum(&self, value: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        self.update(value, |at, value| at.maximum(value))
    }

    /// Keeps the lesser of each selected element and a value.
    ///
    /// Args:
    ///     value: An array or a number that broadcasts to the selection.
    ///
    /// Returns:
    ///     A new array of the same shape and dtype.
    fn minimum(&self, value: &Bound<'_, PyAny>) -> PyResult<PyArray> {
        self.update(value, |at, value| at.minimum(value))
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ArrayIterator>()?;
    module.add_class::<ArrayAt>()
}
