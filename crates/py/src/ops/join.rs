//! Owns joining, cutting and broadcasting arrays.

use olivine::{Array, Shape, concatenate as join};
use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};

use super::{
    functions,
    shape::{list, plain, tuple},
};
use crate::{
    arg::{Input, Ints, Sizes, bounded, made},
    array::PyArray,
    device::On,
    error::{OrRaise, value_error},
};

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
    ///
    /// Args:
    ///     arys: Arrays.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.atleast_1d(mx.array(1))
    ///     array([1], dtype=int32)
    atleast_1d
    /// Makes scalars and vectors rows of a matrix; other arrays stay as they are.
    ///
    /// Args:
    ///     arys: The arrays.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.atleast_2d(mx.array([1.0, 2.0, 3.0])).shape
    ///     (1, 3)
    atleast_2d
    /// Adds axes of size one up to three; other arrays stay as they are.
    ///
    /// Args:
    ///     arys: The arrays.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.atleast_3d(mx.array([1.0, 2.0, 3.0])).shape
    ///     (1, 3, 1)
    atleast_3d
}

/// Arrays broadcast to their common shape.
///
/// Args:
///     arrays: The arrays.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.broadcast_arrays(mx.array([1.0, 2.0, 3.0]), mx.array([[1], [2]]))[1].shape
///     (2, 3)
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
///
/// Args:
///     shapes: The shapes.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.broadcast_shapes((2, 1), (3,))
///     (2, 3)
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
///
/// Args:
///     a: An array.
///     shape: The sizes of the axes.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.broadcast_to(mx.array([1, 2]), (2, 2))
///     array([[1, 2],
///            [1, 2]], dtype=int32)
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
    bounded(made(stream, || f(&arrays, axis.unwrap_or(0))))
}

/// Joins arrays along an axis; without one, flattens them first.
///
/// Args:
///     arrays: The arrays.
///     axis: The axis; ``None`` flattens the arrays first.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.concatenate([mx.array([1]), mx.array([2, 3])])
///     array([1, 2, 3], dtype=int32)
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
///
/// Args:
///     arrays: The arrays.
///     axis: The axis; ``None`` flattens the arrays first.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.concat([mx.array([1]), mx.array([2, 3])])
///     array([1, 2, 3], dtype=int32)
#[pyfunction]
#[pyo3(signature = (arrays, axis=0, *, stream=None))]
fn concat(arrays: Vec<Input>, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    concatenate(arrays, axis, stream)
}

/// Joins arrays of one shape along a new axis.
///
/// Args:
///     arrays: The arrays.
///     axis: The place of the new axis.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.stack([mx.array([1, 2]), mx.array([3, 4])])
///     array([[1, 2],
///            [3, 4]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (arrays, axis=0, *, stream=None))]
fn stack(arrays: Vec<Input>, axis: Option<i64>, stream: Option<On>) -> PyResult<PyArray> {
    joined(arrays, axis, stream, |arrays, axis| {
        olivine::stack(arrays, axis)
    })
}

/// Cuts an axis into a number of equal parts, or before positions.
///
/// Args:
///     a: An array.
///     indices_or_sections: The number of parts, or the positions that the parts after the first begin at.
///     axis: The axis.
///     stream: Where to compute it.
///
/// Returns:
///     A list of arrays.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.split(mx.arange(5), [2, 3])
///     [array([0, 1], dtype=int32), array([2], dtype=int32), array([3, 4], dtype=int32)]
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
///
/// Args:
///     x: An array.
///     axis: The axis.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.unstack(mx.array([[1, 2], [3, 4]]))[1]
///     array([3, 4], dtype=int32)
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

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; atleast_1d, atleast_2d, atleast_3d, broadcast_arrays, broadcast_shapes,
        broadcast_to, concatenate, concat, stack, split, unstack);
    Ok(())
}
