//! Owns reordering, joining and cutting arrays.

use olivine::{Array, Axes, Dtype, Shape, concatenate as join, ops::pad::Border};
use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};

use super::functions;
use crate::{
    arg::{Input, Ints, Operand, Sizes, axes, made},
    array::PyArray,
    device::On,
    dtype::PyDtype,
    error::{OrRaise, value_error},
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

macro_rules! at_least {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[pyfunction]
        #[pyo3(signature = (*arys, stream=None))]
        fn $name(
            py: Python<'_>,
            arys: Vec<Input>,
            stream: Option<On>,
        ) -> PyResult<Bound<'_, PyAny>> {
            let arrays = plain(arys);
            let run = || arrays.iter().map(Array::$name).collect::<olivine::Result<Vec<Array>>>();
            let mut arrays = stream.unwrap_or_default().run(run).or_raise()?;
            if arrays.len() == 1 {
                return Ok(Bound::new(py, PyArray::from(arrays.remove(0)))?.into_any());
            }
            Ok(list(py, arrays)?.into_any())
        }
    )*};
}

at_least! {
    /// Makes scalars vectors; other arrays stay as they are.
    atleast_1d
    /// Makes scalars and vectors rows of a matrix; other arrays stay as they are.
    atleast_2d
    /// Adds axes of size one up to three; other arrays stay as they are.
    atleast_3d
}

/// Arrays broadcast to their common shape.
#[pyfunction]
#[pyo3(signature = (*arrays, stream=None))]
fn broadcast_arrays(
    py: Python<'_>,
    arrays: Vec<Input>,
    stream: Option<On>,
) -> PyResult<Bound<'_, PyTuple>> {
    let arrays = plain(arrays);
    let run = || olivine::broadcast_arrays(&arrays);
    tuple(py, stream.unwrap_or_default().run(run).or_raise()?)
}

/// The shape that arrays of given shapes broadcast to.
#[pyfunction]
#[pyo3(signature = (*shapes))]
fn broadcast_shapes(py: Python<'_>, shapes: Vec<Sizes>) -> PyResult<Bound<'_, PyTuple>> {
    let shapes: Vec<Shape> = shapes.into_iter().map(|Sizes(shape)| shape).collect();
    if shapes.is_empty() {
        return Err(value_error(
            "[broadcast_shapes] Must provide at least one shape.",
        ));
    }
    crate::arg::shape_tuple(py, &olivine::broadcast_shapes(&shapes).or_raise()?)
}

/// The array with axes of size one repeated; nothing is copied.
#[pyfunction]
#[pyo3(signature = (a, /, shape, *, stream=None))]
fn broadcast_to(a: Input, shape: Sizes, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.broadcast_to(shape.0))
}

fn joined(
    arrays: Vec<Input>,
    axis: Option<i64>,
    stream: Option<On>,
    f: impl FnOnce(&[Array], i64) -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    let arrays = plain(arrays);
    made(stream, || f(&arrays, axis.unwrap_or(0)))
}

/// Joins arrays along an axis; without one, flattens them first.
#[pyfunction]
#[pyo3(signature = (arrays, axis=0, *, stream=None))]
fn concatenate(arrays: Vec<Input>, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    joined(arrays, axis, stream, |arrays, along| {
        if axis.is_some() {
            return join(arrays, along);
        }
        let flat: olivine::Result<Vec<Array>> =
            arrays.iter().map(|array| array.reshape([-1])).collect();
        join(&flat?, 0)
    })
}

/// Joins arrays along an axis; without one, flattens them first.
#[pyfunction]
#[pyo3(signature = (arrays, axis=0, *, stream=None))]
fn concat(arrays: Vec<Input>, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    concatenate(arrays, axis, stream)
}

/// Joins arrays of one shape along a new axis.
#[pyfunction]
#[pyo3(signature = (arrays, axis=0, *, stream=None))]
fn stack(arrays: Vec<Input>, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    joined(arrays, axis, stream, |arrays, axis| {
        olivine::stack(arrays, axis)
    })
}

/// Cuts an axis into a number of equal parts, or before positions.
#[pyfunction]
#[pyo3(signature = (a, /, indices_or_sections, axis=0, *, stream=None))]
pub(crate) fn split<'py>(
    py: Python<'py>,
    a: Input,
    indices_or_sections: &Bound<'py, PyAny>,
    axis: i64,
    stream: Option<On>,
) -> PyResult<Bound<'py, PyList>> {
    use olivine::ops::split::Sections;
    let sections = match indices_or_sections.extract::<i64>() {
        Ok(count) => Sections::Equal(count),
        Err(_) => Sections::At(indices_or_sections.extract::<Ints>()?.0.to_vec()),
    };
    let parts = stream.unwrap_or_default().run(|| a.0.split(sections, axis));
    list(py, parts.or_raise()?)
}

/// The slices along an axis.
#[pyfunction]
#[pyo3(signature = (x, /, *, axis=0, stream=None))]
fn unstack(
    py: Python<'_>,
    x: Input,
    axis: i64,
    stream: Option<On>,
) -> PyResult<Bound<'_, PyTuple>> {
    tuple(
        py,
        stream
            .unwrap_or_default()
            .run(|| x.0.unstack(axis))
            .or_raise()?,
    )
}

/// The same elements under another shape; one size may be -1.
#[pyfunction]
#[pyo3(signature = (a, /, shape, *, stream=None))]
fn reshape(a: Input, shape: Ints, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.reshape(&shape.0[..]))
}

/// One axis in place of several.
#[pyfunction]
#[pyo3(signature = (a, /, start_axis=0, end_axis=-1, *, stream=None), text_signature = "(a, /, start_axis=0, end_axis=-1, *, stream=None)")]
fn flatten(a: Input, start_axis: i64, end_axis: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.flatten(start_axis, end_axis))
}

/// Several axes in place of one.
#[pyfunction]
#[pyo3(signature = (a, /, axis, shape, *, stream=None))]
fn unflatten(a: Input, axis: i64, shape: Ints, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.unflatten(axis, &shape.0[..]))
}

/// Removes axes of size one.
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, *, stream=None))]
fn squeeze(a: Input, axis: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.squeeze(axes(axis, false)))
}

/// Inserts axes of size one.
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
#[pyfunction]
#[pyo3(signature = (a, /, axes=None, *, stream=None))]
fn transpose(a: Input, axes: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || match axes {
        None => a.0.transpose(..),
        Some(Ints(axes)) => a.0.transpose(&axes[..]),
    })
}

/// The axes in another order: reversed, or as given.
#[pyfunction]
#[pyo3(signature = (a, /, axes=None, *, stream=None))]
fn permute_dims(a: Input, axes: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    transpose(a, axes, stream)
}

/// Exchanges the last two axes.
#[pyfunction]
#[pyo3(signature = (a, /, *, stream=None))]
fn matrix_transpose(a: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.matrix_transpose())
}

/// Exchanges two axes.
#[pyfunction]
#[pyo3(signature = (a, /, axis1, axis2, *, stream=None))]
fn swapaxes(a: Input, axis1: i64, axis2: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.swapaxes(axis1, axis2))
}

/// Moves one axis to another place.
#[pyfunction]
#[pyo3(signature = (a, /, source, destination, *, stream=None))]
fn moveaxis(a: Input, source: i64, destination: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.moveaxis(source, destination))
}

/// Reverses axes.
#[pyfunction]
#[pyo3(signature = (a, /, axis=None, *, stream=None))]
fn flip(a: Input, axis: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.flip(axes(axis, false)))
}

/// Moves elements round axes; without one, round the flattened array.
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
    if shifts.len() != 1 && shifts.len() != axes.len() {
        return Err(value_error(format!(
            "[roll] At least one shift value is required for each of {} axes; there are {}.",
            axes.len(),
            shifts.len()
        )));
    }
    made(stream, || {
        axes.iter()
            .enumerate()
            .try_fold(a.0.clone(), |array, (i, &axis)| {
                array.roll(shifts[if shifts.len() == 1 { 0 } else { i }], axis)
            })
    })
}

fn times(op: &str, count: i64) -> PyResult<usize> {
    usize::try_from(count)
        .map_err(|_| value_error(format!("[{op}] Number of repeats cannot be negative")))
}

/// Repeats each slice along an axis; without one, each element.
#[pyfunction]
#[pyo3(signature = (array, repeats, axis=None, *, stream=None))]
fn repeat(array: Input, repeats: i64, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    let repeats = times("repeat", repeats)?;
    made(stream, || match axis {
        Some(axis) => array.0.repeat(repeats, axis),
        None => array.0.reshape([-1])?.repeat(repeats, 0),
    })
}

/// Repeats the whole array along its last axes.
#[pyfunction]
#[pyo3(signature = (a, reps, /, *, stream=None))]
fn tile(a: Input, reps: Ints, stream: Option<On>) -> PyResult<PyArray> {
    let counts: PyResult<Vec<usize>> = reps.0.iter().map(|&count| times("tile", count)).collect();
    let counts = counts?;
    made(stream, || a.0.tile(&counts))
}

/// Differences of neighbours.
#[pyfunction]
#[pyo3(signature = (a, /, n=1, axis=-1, *, stream=None), text_signature = "(a, /, n=1, axis=-1, *, stream=None)")]
fn diff(a: Input, n: i64, axis: i64, stream: Option<On>) -> PyResult<PyArray> {
    let order = usize::try_from(n)
        .map_err(|_| value_error(format!("[diff] order {n} must be non-negative.")))?;
    made(stream, || a.0.diff(order, axis))
}

/// The diagonal of a matrix, or a matrix of a diagonal.
#[pyfunction]
#[pyo3(signature = (a, /, k=0, *, stream=None))]
fn diag(a: Input, k: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.diag(k))
}

/// The diagonals of matrices.
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
#[pyfunction]
#[pyo3(signature = (a, /, allow_col_major=false, *, stream=None))]
fn contiguous(a: Input, allow_col_major: bool, stream: Option<On>) -> PyResult<PyArray> {
    // Row-major order is what every caller can take.
    let _ = allow_col_major;
    made(stream, || a.0.contiguous())
}

/// The same bytes as elements of another dtype.
#[pyfunction]
#[pyo3(signature = (a, dtype, stream=None))]
fn view(a: Input, dtype: PyDtype, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.view(dtype.into()))
}

/// The elements converted to another dtype.
#[pyfunction]
#[pyo3(signature = (a, dtype, /, *, stream=None))]
fn astype(a: Input, dtype: PyDtype, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.astype(dtype.into()))
}

/// The nearest E4M3 floats, as bytes.
#[pyfunction]
#[pyo3(signature = (x, *, stream=None))]
fn to_fp8(x: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || x.0.to_fp8())
}

/// The numbers that bytes stand for as E4M3 floats.
#[pyfunction]
#[pyo3(signature = (x, dtype=PyDtype(Dtype::BFloat16), *, stream=None),
    text_signature = "(x, dtype=bfloat16, *, stream=None)")]
fn from_fp8(x: Input, dtype: PyDtype, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || x.0.from_fp8(dtype.into()))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; atleast_1d, atleast_2d, atleast_3d, broadcast_arrays, broadcast_shapes,
        broadcast_to, concatenate, concat, stack, split, unstack, reshape, flatten, unflatten, squeeze,
        expand_dims, transpose, permute_dims, matrix_transpose, swapaxes, moveaxis, flip, roll, repeat,
        tile, diff, diag, diagonal, trace, pad, as_strided, contiguous, view, astype, to_fp8, from_fp8);
    Ok(())
}
