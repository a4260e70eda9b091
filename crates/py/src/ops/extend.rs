//! Owns repetition, diagonals, borders, and other readings of the same memory.

use olivine::{Dtype, ops::pad::Border};
use pyo3::prelude::*;

use super::functions;
use crate::{
    arg::{Input, Ints, Operand, Sizes, bounded, made},
    array::PyArray,
    device::On,
    dtype::PyDtype,
    error::value_error,
};

fn times(op: &str, count: i64) -> PyResult<usize> {
    usize::try_from(count)
        .map_err(|_| value_error(format!("[{op}] Number of repeats cannot be negative")))
}

/// Repeats each slice along an axis; without one, each element.
///
/// Args:
///     array: An array.
///     repeats: How often.
///     axis: The axis; by default each element of the flattened array is repeated.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.repeat(mx.array([1, 2]), 2)
///     array([1, 1, 2, 2], dtype=int32)
#[pyfunction]
#[pyo3(signature = (array, repeats, axis=None, *, stream=None))]
fn repeat(array: Input, repeats: i64, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    let repeats = times("repeat", repeats)?;
    bounded(made(stream, || match axis {
        Some(axis) => array.0.repeat(repeats, axis),
        None => array.0.reshape([-1])?.repeat(repeats, 0),
    }))
}

/// Repeats the whole array along its last axes.
///
/// Args:
///     a: An array.
///     reps: How often, for each axis.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.tile(mx.array([1, 2]), 2)
///     array([1, 2, 1, 2], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, reps, /, *, stream=None))]
fn tile(a: Input, reps: Ints, stream: Option<On>) -> PyResult<PyArray> {
    let counts: PyResult<Vec<usize>> = reps.0.iter().map(|&count| times("tile", count)).collect();
    let counts = counts?;
    made(stream, || a.0.tile(&counts))
}

/// Differences of neighbours.
///
/// Args:
///     a: An array.
///     n: How many times.
///     axis: The axis.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.diff(mx.array([1, 4, 9]))
///     array([3, 5], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, n=1, axis=-1, *, stream=None), text_signature = "(a, /, n=1, axis=-1, *, stream=None)")]
fn diff(a: Input, n: i64, axis: i64, stream: Option<On>) -> PyResult<PyArray> {
    let order = usize::try_from(n)
        .map_err(|_| value_error(format!("[diff] order {n} must be non-negative.")))?;
    made(stream, || a.0.diff(order, axis))
}

/// The diagonal of a matrix, or a matrix of a diagonal.
///
/// Args:
///     a: An array.
///     k: Which diagonal: positive above the main one, negative below.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.diag(mx.array([1, 2]))
///     array([[1, 0],
///            [0, 2]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, k=0, *, stream=None))]
fn diag(a: Input, k: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.diag(k))
}

/// The diagonals of matrices.
///
/// Args:
///     a: An array.
///     offset: Which diagonal: positive above the main one, negative below.
///     axis1: The first axis.
///     axis2: The second axis.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.diagonal(mx.array([[1.0, 2.0], [3.0, 4.0]]))
///     array([1, 4], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, offset=0, axis1=0, axis2=1, stream=None))]
fn diagonal(
    a: Input,
    offset: i64,
    axis1: i64,
    axis2: i64,
    stream: Option<On>,
) -> PyResult<PyArray> {
    made(stream, || a.0.diagonal(offset, axis1, axis2))
}

/// The sums of diagonals.
///
/// Args:
///     a: An array.
///     offset: Which diagonal: positive above the main one, negative below.
///     axis1: The first axis.
///     axis2: The second axis.
///     dtype: The type to sum in.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.trace(mx.array([[1.0, 2.0], [3.0, 4.0]]))
///     array(5, dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, offset=0, axis1=0, axis2=1, dtype=None, *, stream=None))]
fn trace(
    a: Input,
    offset: i64,
    axis1: i64,
    axis2: i64,
    dtype: Option<PyDtype>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    made(stream, || match dtype {
        Some(dtype) => a.0.astype(dtype.into())?.trace(offset, axis1, axis2),
        None => a.0.trace(offset, axis1, axis2),
    })
}

/// Puts a border around an array.
///
/// Args:
///     a: An array.
///     pad_width: How many elements: a number, a pair for before and after, or a pair for each axis.
///     mode: ``"constant"``, ``"edge"``, ``"reflect"`` or ``"symmetric"``.
///     constant_values: The value of a constant border.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.pad(mx.array([1, 2]), (1, 2))
///     array([0, 1, 2, 0, 0], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, pad_width, mode="constant", constant_values=Operand::Int(0), *, stream=None),
    text_signature = "(a, pad_width, mode='constant', constant_values=0, *, stream=None)")]
fn pad(
    a: Input,
    pad_width: &Bound<'_, PyAny>,
    mode: &str,
    constant_values: Operand,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let widths = pad_widths(pad_width)?;
    let border = match mode {
        "constant" => None,
        "edge" => Some(Border::Edge),
        "reflect" => Some(Border::Reflect),
        "symmetric" => Some(Border::Symmetric),
        _ => {
            return Err(value_error(format!(
                "Invalid padding mode ({mode}) passed to pad"
            )));
        }
    };
    let value = constant_values.beside(a.0.dtype())?;
    if value.is_batched() {
        // MLX has no rule for it, and programs that ask whether it works expect to be told.
        return Err(value_error(
            "[pad] under vmap the value has to be the same for all examples",
        ));
    }
    made(stream, || match border {
        None => a.0.pad(&widths, value),
        Some(border) => a.0.pad_border(&widths, border),
    })
}

/// One width, one pair, or a pair for each axis.
fn pad_widths(given: &Bound<'_, PyAny>) -> PyResult<Vec<(usize, usize)>> {
    let width = |width: i64| {
        usize::try_from(width).map_err(|_| {
            value_error(format!(
                "[pad] Invalid padding size {width}: padding must be non-negative"
            ))
        })
    };
    let pair = |Ints(list): Ints| match list[..] {
        [both] => Ok((width(both)?, width(both)?)),
        [before, after] => Ok((width(before)?, width(after)?)),
        _ => Err(value_error(
            "[pad] a width has one number, or one before and one after",
        )),
    };
    if let Ok(numbers) = given.extract::<Ints>() {
        return Ok(vec![pair(numbers)?]);
    }
    given
        .extract::<Vec<Ints>>()?
        .into_iter()
        .map(pair)
        .collect()
}

/// The elements that a pattern of steps visits, by default the array itself, flattened to a shape.
///
/// Args:
///     a: An array.
///     shape: The sizes of the axes.
///     strides: The distances between neighbours along each axis, in elements.
///     offset: The position of the first element.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.as_strided(mx.arange(4), (3, 2), (1, 1))
///     array([[0, 1],
///            [1, 2],
///            [2, 3]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, shape=None, strides=None, offset=0, *, stream=None))]
fn as_strided(
    a: Input,
    shape: Option<Sizes>,
    strides: Option<Ints>,
    offset: usize,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let shape = shape.map_or_else(|| a.0.shape().clone(), |Sizes(shape)| shape);
    let strides: Vec<isize> = match strides {
        Some(Ints(strides)) => strides.iter().map(|&stride| stride as isize).collect(),
        None => shape.contiguous_strides().to_vec(),
    };
    made(stream, || a.0.as_strided(shape, &strides, offset))
}

/// The array in row-major order.
///
/// Args:
///     a: An array.
///     allow_col_major: Has no effect: row-major order is what every caller can take.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.contiguous(mx.array([[1.0, 2.0], [3.0, 4.0]]).T)
///     array([[1, 3],
///            [2, 4]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, allow_col_major=false, *, stream=None))]
fn contiguous(a: Input, allow_col_major: bool, stream: Option<On>) -> PyResult<PyArray> {
    // Row-major order is what every caller can take.
    let _ = allow_col_major;
    made(stream, || a.0.contiguous())
}

/// The same bytes as elements of another dtype.
///
/// Args:
///     a: An array.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.view(mx.array([1.0]), mx.int32)
///     array([1065353216], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, dtype, stream=None))]
fn view(a: Input, dtype: PyDtype, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.view(dtype.into()))
}

/// The elements converted to another dtype.
///
/// Args:
///     a: An array.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.astype(mx.array([1.5, -2.5]), mx.int32)
///     array([1, -2], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, dtype, /, *, stream=None))]
fn astype(a: Input, dtype: PyDtype, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.astype(dtype.into()))
}

/// The nearest E4M3 floats, as bytes.
///
/// Args:
///     x: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.to_fp8(mx.array([1.0, 2.0]))
///     array([56, 64], dtype=uint8)
#[pyfunction]
#[pyo3(signature = (x, *, stream=None))]
fn to_fp8(x: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || x.0.to_fp8())
}

/// The numbers that bytes stand for as E4M3 floats.
///
/// Args:
///     x: An array.
///     dtype: The type of the elements. By default, ``bfloat16``.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.from_fp8(mx.array([56, 64], dtype=mx.uint8), dtype=mx.float32)
///     array([1, 2], dtype=float32)
#[pyfunction]
#[pyo3(signature = (x, dtype=PyDtype(Dtype::BFloat16), *, stream=None),
    text_signature = "(x, dtype=..., *, stream=None)")]
fn from_fp8(x: Input, dtype: PyDtype, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || x.0.from_fp8(dtype.into()))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; repeat, tile, diff, diag, diagonal, trace, pad, as_strided, contiguous, view,
        astype, to_fp8, from_fp8);
    Ok(())
}
