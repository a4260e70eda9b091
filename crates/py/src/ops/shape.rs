//! Owns reordering the axes and elements of arrays.

use olivine::{Array, Axes};
use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};

use super::functions;
use crate::{
    arg::{Input, Ints, axes, fitting, made},
    array::PyArray,
    device::On,
    error::value_error,
};

/// Arrays as Python's tuple.
pub(super) fn tuple(
    py: Python<'_>,
    arrays: impl IntoIterator<Item = Array>,
) -> PyResult<Bound<'_, PyTuple>> {
    let arrays: Vec<PyArray> = arrays.into_iter().map(PyArray::from).collect();
    PyTuple::new(py, arrays)
}

/// Arrays as Python's list.
pub(super) fn list(
    py: Python<'_>,
    arrays: impl IntoIterator<Item = Array>,
) -> PyResult<Bound<'_, PyList>> {
    let arrays: Vec<PyArray> = arrays.into_iter().map(PyArray::from).collect();
    PyList::new(py, arrays)
}

pub(super) fn plain(inputs: Vec<Input>) -> Vec<Array> {
    inputs.into_iter().map(|Input(array)| array).collect()
}

/// The same elements under another shape; one size may be -1.
///
/// Args:
///     a: An array.
///     shape: The sizes of the axes.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.reshape(mx.arange(4), (2, -1))
///     array([[0, 1],
///            [2, 3]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, shape, *, stream=None))]
fn reshape(a: Input, shape: Ints, stream: Option<On>) -> PyResult<PyArray> {
    let Ints(shape) = fitting(shape)?;
    made(stream, || a.0.reshape(&shape[..]))
}

/// One axis in place of several.
///
/// Args:
///     a: An array.
///     start_axis: The first axis.
///     end_axis: The last axis.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.flatten(mx.array([[1.0, 2.0], [3.0, 4.0]]))
///     array([1, 2, 3, 4], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, start_axis=0, end_axis=-1, *, stream=None), text_signature = "(a, /, start_axis=0, end_axis=-1, *, stream=None)")]
fn flatten(a: Input, start_axis: i64, end_axis: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.flatten(start_axis, end_axis))
}

/// Several axes in place of one.
///
/// Args:
///     a: An array.
///     axis: The axis.
///     shape: The sizes of the axes.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.unflatten(mx.arange(6), 0, (2, 3)).shape
///     (2, 3)
#[pyfunction]
#[pyo3(signature = (a, /, axis, shape, *, stream=None))]
fn unflatten(a: Input, axis: i64, shape: Ints, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.unflatten(axis, &shape.0[..]))
}

/// Removes axes of size one.
///
/// Args:
///     a: An array.
///     axis: The axes; by default all of size one.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.squeeze(mx.zeros((1, 3, 1))).shape
///     (3,)
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, *, stream=None))]
fn squeeze(a: Input, axis: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.squeeze(axes(axis, false)))
}

/// Inserts axes of size one.
///
/// Args:
///     a: An array.
///     axis: The place or places of new axes in the result.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.expand_dims(mx.zeros((2, 3)), (0, 3)).shape
///     (1, 2, 3, 1)
#[pyfunction]
#[pyo3(signature = (a, /, axis, *, stream=None))]
fn expand_dims(a: Input, axis: Ints, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || expanded(&a.0, &axis.0))
}

/// With axes of size one at positions in the result.
fn expanded(a: &Array, axes: &[i64]) -> olivine::Result<Array> {
    if let [axis] = axes {
        return a.expand_dims(*axis);
    }
    let rank = a.ndim() + axes.len();
    // Any array of the result's rank knows whether the axes are there, and told apart.
    let places = Axes::from(axes).resolve(rank, "expand_dims")?;
    places
        .iter()
        .try_fold(a.clone(), |array, &axis| array.expand_dims(axis as i64))
}

/// The axes in another order: reversed, or as given.
///
/// Args:
///     a: An array.
///     axes: The order of axes; by default reversed.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.transpose(mx.array([[1.0, 2.0], [3.0, 4.0]]))
///     array([[1, 3],
///            [2, 4]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, axes=None, *, stream=None))]
fn transpose(a: Input, axes: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || match axes {
        None => a.0.transpose(..),
        Some(Ints(axes)) => a.0.transpose(&axes[..]),
    })
}

/// The axes in another order: reversed, or as given.
///
/// Args:
///     a: An array.
///     axes: The order of axes; by default reversed.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.permute_dims(mx.zeros((2, 3, 4)), (1, 2, 0)).shape
///     (3, 4, 2)
#[pyfunction]
#[pyo3(signature = (a, /, axes=None, *, stream=None))]
fn permute_dims(a: Input, axes: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    transpose(a, axes, stream)
}

/// Exchanges the last two axes.
///
/// Args:
///     a: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.matrix_transpose(mx.zeros((2, 3, 4))).shape
///     (2, 4, 3)
#[pyfunction]
#[pyo3(signature = (a, /, *, stream=None))]
fn matrix_transpose(a: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.matrix_transpose())
}

/// Exchanges two axes.
///
/// Args:
///     a: An array.
///     axis1: The first axis.
///     axis2: The second axis.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.swapaxes(mx.zeros((2, 3, 4)), 0, 2).shape
///     (4, 3, 2)
#[pyfunction]
#[pyo3(signature = (a, /, axis1, axis2, *, stream=None))]
fn swapaxes(a: Input, axis1: i64, axis2: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.swapaxes(axis1, axis2))
}

/// Moves one axis to another place.
///
/// Args:
///     a: An array.
///     source: The axis to move.
///     destination: Its new place.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.moveaxis(mx.zeros((2, 3, 4)), 0, 2).shape
///     (3, 4, 2)
#[pyfunction]
#[pyo3(signature = (a, /, source, destination, *, stream=None))]
fn moveaxis(a: Input, source: i64, destination: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.moveaxis(source, destination))
}

/// Reverses axes.
///
/// Args:
///     a: An array.
///     axis: The axes; by default all.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.flip(mx.array([1, 2, 3]))
///     array([3, 2, 1], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, *, stream=None))]
fn flip(a: Input, axis: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.flip(axes(axis, false)))
}

/// Moves elements round axes; without one, round the flattened array.
///
/// Args:
///     a: An array.
///     shift: How far, for each axis or for all.
///     axis: The axes; by default the flattened array is rolled.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.roll(mx.array([1, 2, 3]), 1)
///     array([3, 1, 2], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, shift, axis=None, /, *, stream=None))]
fn roll(a: Input, shift: Ints, axis: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    let Ints(shifts) = shift;
    let Some(Ints(axes)) = axis else {
        let total = shifts
            .iter()
            .fold(0i64, |sum, &shift| sum.wrapping_add(shift));
        return made(stream, || {
            a.0.reshape([-1])?
                .roll(total, 0)?
                .reshape(a.0.shape().clone())
        });
    };
    if shifts.len() != 1 && axes.len() != 1 && shifts.len() != axes.len() {
        return Err(value_error(format!(
            "[roll] At least one shift value is required for each of {} axes; there are {}.",
            axes.len(),
            shifts.len()
        )));
    }
    made(stream, || {
        let count = shifts.len().max(axes.len());
        (0..count).try_fold(a.0.clone(), |array, i| {
            let shift = shifts[if shifts.len() == 1 { 0 } else { i }];
            array.roll(shift, axes[if axes.len() == 1 { 0 } else { i }])
        })
    })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; reshape, flatten, unflatten, squeeze, expand_dims, transpose, permute_dims,
        matrix_transpose, swapaxes, moveaxis, flip, roll);
    Ok(())
}
