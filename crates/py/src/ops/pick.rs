//! Owns reading and writing by position: `take`, `put_along_axis`, dynamic slices.

use olivine::Array;
use pyo3::prelude::*;

use super::functions;
use crate::{
    arg::{Input, Ints, Operand, Sizes, made},
    array::PyArray,
    device::On,
};

/// An array along an axis; without one, flattened, along its only axis.
fn flattened(a: &Array, axis: Option<i64>) -> olivine::Result<(Array, i64)> {
    Ok(match axis {
        Some(axis) => (a.clone(), axis),
        None => (a.reshape([-1])?, 0),
    })
}

/// The slices at positions along an axis; without one, the elements of the flattened array.
///
/// Args:
///     a: An array.
///     indices: Positions, integers.
///     axis: The axis; by default the flattened array is read.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.take(mx.array([10, 20, 30]), mx.array([2, 0]))
///     array([30, 10], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, indices, axis=None, *, stream=None))]
fn take(a: Input, indices: Input, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || {
        let (a, axis) = flattened(&a.0, axis)?;
        a.take(&indices.0, axis)
    })
}

/// One element for each position along an axis; without one, of the flattened array.
///
/// Args:
///     a: An array.
///     indices: Positions, integers.
///     axis: The axis; ``None`` reads the flattened array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.take_along_axis(mx.array([[1, 2], [3, 4]]), mx.array([[1], [0]]), axis=1)
///     array([[2],
///            [3]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, indices, axis=Some(-1), *, stream=None), text_signature = "(a, /, indices, axis=-1, *, stream=None)")]
fn take_along_axis(
    a: Input,
    indices: Input,
    axis: Option<i64>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    made(stream, || {
        let (a, axis) = flattened(&a.0, axis)?;
        a.take_along_axis(&indices.0, axis)
    })
}

/// A copy with one value put at each position along an axis; without one, of the flattened array.
///
/// Args:
///     a: An array.
///     indices: Positions, integers.
///     values: An array of values.
///     axis: The axis; ``None`` writes to the flattened array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.put_along_axis(mx.array([[1, 2], [3, 4]]), mx.array([[1], [0]]), mx.array(0), axis=1)
///     array([[1, 0],
///            [0, 4]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, indices, values, axis=None, *, stream=None))]
fn put_along_axis(
    a: Input,
    indices: Input,
    values: Operand,
    axis: Option<i64>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let values = values.beside(a.0.dtype())?;
    if indices.0.size() == 0 {
        return Ok(a.0.into());
    }
    made(stream, || {
        let (flat, along) = flattened(&a.0, axis)?;
        let put = flat.put_along_axis(&indices.0, &values, along)?;
        match axis {
            Some(_) => Ok(put),
            None => put.reshape(a.0.shape().clone()),
        }
    })
}

/// A part of an array, from positions that are an array themselves.
///
/// Args:
///     a: An array.
///     start_indices: The first position along each of ``axes``.
///     axes: The axes.
///     slice_size: The shape of the part.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.slice(mx.arange(5), mx.array([1]), (0,), (3,))
///     array([1, 2, 3], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, start_indices, axes, slice_size, *, stream=None))]
fn slice(
    a: Input,
    start_indices: Input,
    axes: Ints,
    slice_size: Sizes,
    stream: Option<On>,
) -> PyResult<PyArray> {
    made(stream, || {
        a.0.slice(&start_indices.0, &axes.0, slice_size.0)
    })
}

/// A copy with a part replaced, from positions that are an array themselves.
///
/// Args:
///     a: An array.
///     update: What takes the place of the part.
///     start_indices: The first position along each of ``axes``.
///     axes: The axes.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.slice_update(mx.arange(5), mx.array([9, 9]), mx.array([1]), (0,))
///     array([0, 9, 9, 3, 4], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, update, start_indices, axes, *, stream=None))]
fn slice_update(
    a: Input,
    update: Operand,
    start_indices: Input,
    axes: Ints,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let update = update.beside(a.0.dtype())?;
    made(stream, || {
        a.0.slice_update(&update, &start_indices.0, &axes.0)
    })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; take, take_along_axis, put_along_axis, slice, slice_update);
    Ok(())
}
