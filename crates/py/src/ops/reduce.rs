//! Owns reductions with parameters, sorting and searching.

use olivine::{Array, Axes, ops::searchsorted::Side};
use pyo3::{prelude::*, types::PyTuple};

use super::{functions, shape::tuple};
use crate::{
    arg::{Input, Ints, Operand, along, axes, made},
    array::PyArray,
    device::On,
    error::{OrRaise, value_error},
};

pub(crate) fn one_axis(axis: Option<i64>, keepdims: bool) -> Axes {
    axes(axis.map(|axis| Ints(smallvec::smallvec![axis])), keepdims)
}

/// The position of the greatest element along an axis, or in the flattened array, as ``uint32``.
///
/// Args:
///     a: An array.
///     axis: The axis; by default the flattened array is searched.
///     keepdims: Keeps the axes gone over, with size one.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.argmax(mx.array([3, 9, 1]))
///     array(1, dtype=uint32)
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, keepdims=false, *, stream=None))]
fn argmax(a: Input, axis: Option<i64>, keepdims: bool, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.argmax(one_axis(axis, keepdims)))
}

/// The position of the smallest element along an axis, or in the flattened array, as ``uint32``.
///
/// Args:
///     a: An array.
///     axis: The axis; by default the flattened array is searched.
///     keepdims: Keeps the axes gone over, with size one.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.argmin(mx.array([3, 9, 1]))
///     array(2, dtype=uint32)
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, keepdims=false, *, stream=None))]
fn argmin(a: Input, axis: Option<i64>, keepdims: bool, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.argmin(one_axis(axis, keepdims)))
}

/// The smallest and the greatest element over axes.
///
/// Args:
///     a: An array.
///     axis: The axis or axes; by default all.
///     keepdims: Keeps the axes gone over, with size one.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.minmax(mx.array([3, 9, 1]))
///     (array(1, dtype=int32), array(9, dtype=int32))
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, keepdims=false, *, stream=None))]
fn minmax(
    py: Python<'_>,
    a: Input,
    axis: Option<Ints>,
    keepdims: bool,
    stream: Option<On>,
) -> PyResult<Bound<'_, PyTuple>> {
    let run = || a.0.minmax(axes(axis, keepdims));
    let (low, high) = stream.unwrap_or_default().run(run).or_raise()?;
    tuple(py, [low, high])
}

pub(crate) fn degrees_of_freedom(op: &str, ddof: i64) -> PyResult<usize> {
    usize::try_from(ddof).map_err(|_| value_error(format!("[{op}] ddof must not be negative")))
}

/// The variance over axes.
///
/// Args:
///     a: An array.
///     axis: The axis or axes; by default all.
///     keepdims: Keeps the axes gone over, with size one.
///     ddof: What is subtracted from the number of elements in the divisor.
///     correction: Another name of ``ddof``, which it takes the place of.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.var(mx.array([1.0, 2.0, 3.0]))
///     array(0.666667, dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, keepdims=false, ddof=0, *, correction=None, stream=None))]
fn var(
    a: Input,
    axis: Option<Ints>,
    keepdims: bool,
    ddof: i64,
    correction: Option<i64>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let ddof = degrees_of_freedom("var", correction.unwrap_or(ddof))?;
    made(stream, || a.0.var(axes(axis, keepdims), ddof))
}

/// The standard deviation over axes.
///
/// Args:
///     a: An array.
///     axis: The axis or axes; by default all.
///     keepdims: Keeps the axes gone over, with size one.
///     ddof: What is subtracted from the number of elements in the divisor.
///     correction: Another name of ``ddof``, which it takes the place of.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.std(mx.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
///     array([1, 1], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, keepdims=false, ddof=0, *, correction=None, stream=None))]
#[pyo3(name = "std")]
fn standard_deviation(
    a: Input,
    axis: Option<Ints>,
    keepdims: bool,
    ddof: i64,
    correction: Option<i64>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let ddof = degrees_of_freedom("std", correction.unwrap_or(ddof))?;
    made(stream, || a.0.std(axes(axis, keepdims), ddof))
}

/// Exponentials divided by their sum over axes.
///
/// Args:
///     a: An array.
///     axis: The axis or axes; by default all.
///     precise: Has no effect: halves are summed in ``float32`` in any case.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.softmax(mx.array([0.0, 0.0]))
///     array([0.5, 0.5], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, *, precise=false, stream=None))]
fn softmax(a: Input, axis: Option<Ints>, precise: bool, stream: Option<On>) -> PyResult<PyArray> {
    // Halves are summed in float32 in any case.
    let _ = precise;
    made(stream, || a.0.softmax(axes(axis, false)))
}

/// Puts the element of one rank in its place: smaller ones before it, greater ones after.
///
/// Args:
///     a: An array.
///     kth: The rank.
///     axis: The axis; ``None`` flattens the array first.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.partition(mx.array([3, 1, 2]), 0)[0]
///     array(1, dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, kth, axis=-1, *, stream=None), text_signature = "(a, /, kth, axis=-1, *, stream=None)")]
fn partition(a: Operand, kth: i64, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    along(a, axis, stream, |a, axis| a.partition(kth, axis))
}

/// The positions that put the element of one rank in its place, as ``uint32``.
///
/// Args:
///     a: An array.
///     kth: The rank.
///     axis: The axis; ``None`` flattens the array first.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.argpartition(mx.array([3, 1, 2]), 0)[0]
///     array(1, dtype=uint32)
#[pyfunction]
#[pyo3(signature = (a, /, kth, axis=-1, *, stream=None), text_signature = "(a, /, kth, axis=-1, *, stream=None)")]
fn argpartition(a: Operand, kth: i64, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    along(a, axis, stream, |a, axis| a.argpartition(kth, axis))
}

/// The greatest elements along an axis, in no particular order.
///
/// Args:
///     a: An array.
///     k: How many.
///     axis: The axis; ``None`` flattens the array first.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.topk(mx.array([3, 1, 2]), 1)
///     array([3], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, k, axis=-1, *, stream=None), text_signature = "(a, /, k, axis=-1, *, stream=None)")]
fn topk(a: Operand, k: i64, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    let count = usize::try_from(k)
        .map_err(|_| value_error(format!("[topk] k must be non-negative, not {k}.")))?;
    along(a, axis, stream, |a, axis| a.topk(count, axis))
}

/// The positions in a sorted vector where values belong, as ``uint32``.
///
/// Args:
///     sorted_sequence: A vector in ascending order.
///     values: An array of values.
///     side: ``"left"`` for the position before equal elements, ``"right"`` for the one after.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.searchsorted(mx.array([1, 3, 5]), mx.array([2, 5]))
///     array([1, 2], dtype=uint32)
#[pyfunction]
#[pyo3(signature = (sorted_sequence, values, /, side="left", *, stream=None))]
fn searchsorted(
    sorted_sequence: Input,
    values: Operand,
    side: &str,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let side = match side {
        "left" => Side::Left,
        "right" => Side::Right,
        _ => {
            return Err(value_error(format!(
                "[searchsorted] side is 'left' or 'right', not '{side}'"
            )));
        }
    };
    if sorted_sequence.0.is_batched() {
        // MLX has no rule for it, and programs that ask whether it works expect to be told.
        return Err(value_error(
            "[searchsorted] under vmap the sorted sequence has to be the same for all examples",
        ));
    }
    let values = values.beside(sorted_sequence.0.dtype())?;
    made(stream, || sorted_sequence.0.searchsorted(&values, side))
}

/// The smallest ``size`` distinct elements in ascending order, and where and how often they occur.
///
/// Args:
///     a: An array.
///     size: How many elements are returned.
///     return_index: Returns the positions of first occurrences too.
///     return_inverse: Returns the place of each element among the distinct ones too.
///     return_counts: Returns how often each occurs too.
///     fill_value: What fills up places that are left; by default the smallest element.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.unique(mx.array([3, 1, 3]), 2)
///     array([1, 3], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, size, return_index=false, return_inverse=false, return_counts=false,
    fill_value=None, *, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn unique(
    py: Python<'_>,
    a: Input,
    size: i64,
    return_index: bool,
    return_inverse: bool,
    return_counts: bool,
    fill_value: Option<Operand>,
    stream: Option<On>,
) -> PyResult<Bound<'_, PyAny>> {
    let size = usize::try_from(size)
        .map_err(|_| value_error(format!("[unique] size must be non-negative, not {size}.")))?;
    let fill = fill_value
        .map(|fill| fill.beside(a.0.dtype()))
        .transpose()?;
    let found = stream
        .unwrap_or_default()
        .run(|| a.0.unique::<Array>(size, fill))
        .or_raise()?;
    let mut parts = vec![found.values];
    parts.extend(return_index.then_some(found.index));
    parts.extend(return_inverse.then_some(found.inverse));
    parts.extend(return_counts.then_some(found.counts));
    if parts.len() == 1 {
        return Ok(Bound::new(py, PyArray::from(parts.remove(0)))?.into_any());
    }
    Ok(tuple(py, parts)?.into_any())
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; argmax, argmin, minmax, var, standard_deviation, softmax, partition, argpartition, topk,
        searchsorted, unique);
    Ok(())
}
