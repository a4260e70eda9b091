//! Owns how Python objects become arrays: numbers, nested lists, and objects that hold arrays.

use olivine::{Array, Dtype};
use pyo3::{intern, prelude::*};

use super::{
    PyArray, buffer, dlpack,
    list::{self, Number},
};
use crate::{
    arg::Operand,
    dtype::PyDtype,
    error::{OrRaise, type_error, value_error},
};

/// An array of a number, nested sequences, or an object that holds an array.
pub(crate) fn array(object: &Bound<'_, PyAny>, dtype: Option<Dtype>) -> PyResult<Array> {
    if let Some(operand) = Operand::number(object)? {
        let Some(dtype) = dtype else {
            return operand.alone();
        };
        return Ok(match operand {
            Operand::Bool(value) => list::scalar(Number::Bool(value), dtype),
            Operand::Int(value) => list::scalar(Number::Int(value), dtype),
            Operand::Wide(value) => list::scalar(Number::Wide(value), dtype),
            Operand::Float(value) => list::scalar(Number::Float(value), dtype),
            Operand::Complex(value) => list::scalar(Number::Complex(value), dtype),
            Operand::Array(array) | Operand::Foreign(array) => array.astype(dtype).or_raise()?,
        });
    }
    if let Some(array) = list::array(object, dtype)? {
        return Ok(array);
    }
    if let Some(array) = foreign(object, dtype)? {
        return Ok(array);
    }
    let array = match own(object)? {
        Some(array) => array,
        None => numpy(object)?.ok_or_else(|| invalid(object))?,
    };
    match dtype {
        Some(dtype) => array.astype(dtype).or_raise(),
        None => Ok(array),
    }
}

/// An array, or an object that holds one, as an operand.
pub(crate) fn operand(object: &Bound<'_, PyAny>) -> PyResult<Operand> {
    if let Some(array) = foreign(object, None)? {
        return Ok(Operand::Foreign(array));
    }
    own(object)?
        .map(Operand::Array)
        .ok_or_else(|| invalid(object))
}

/// The error that says that no array can be made of an object.
pub(super) fn invalid(object: &Bound<'_, PyAny>) -> PyErr {
    match object.get_type().name() {
        Ok(name) => value_error(format!(
            "Invalid type {name} received in array initialization."
        )),
        Err(error) => error,
    }
}

/// An array of this package, or what an object says is its array.
fn own(object: &Bound<'_, PyAny>) -> PyResult<Option<Array>> {
    if let Ok(array) = object.cast::<PyArray>() {
        return Ok(Some(array.get().get()));
    }
    let Some(method) = object.getattr_opt(intern!(object.py(), "__mlx_array__"))? else {
        return Ok(None);
    };
    let answer = method.call0()?;
    match answer.cast::<PyArray>() {
        Ok(array) => Ok(Some(array.get().get())),
        Err(_) => Err(type_error(format!(
            "__mlx_array__ returned {}, which is no array",
            answer.get_type().name()?
        ))),
    }
}

/// A copy of what another library's array holds.
fn foreign(object: &Bound<'_, PyAny>, dtype: Option<Dtype>) -> PyResult<Option<Array>> {
    if object.is_instance_of::<PyArray>() {
        return Ok(None);
    }
    let py = object.py();
    let tensor = || object.hasattr(intern!(py, "__dlpack__"));
    if buffer::lends(object) {
        // NumPy itself has no such dtype, so such arrays lend no buffer.
        if let Some(dtype_of) = object.getattr_opt(intern!(py, "dtype"))?
            && dtype_of.eq(intern!(py, "bfloat16")).unwrap_or(false)
        {
            let bits = object.call_method1(intern!(py, "view"), (intern!(py, "uint16"),))?;
            return buffer::copied(&bits, dtype, true).map(Some);
        }
        let copied = buffer::copied(object, dtype, false);
        if copied.is_ok() || !tensor()? {
            return copied.map(Some);
        }
        return match dlpack::imported(object, dtype, Some(true)) {
            Ok(array) => Ok(Some(array)),
            // The first error is about what was asked for.
            Err(_) => copied.map(Some),
        };
    }
    if tensor()? {
        return dlpack::imported(object, dtype, Some(true)).map(Some);
    }
    Ok(None)
}

/// The array of an object that can give NumPy one.
fn numpy(object: &Bound<'_, PyAny>) -> PyResult<Option<Array>> {
    let py = object.py();
    // Classes have the method too, but no array.
    if object.is_instance_of::<pyo3::types::PyType>() {
        return Ok(None);
    }
    match object.getattr_opt(intern!(py, "__array__"))? {
        Some(method) => foreign(&method.call0()?, None),
        None => Ok(None),
    }
}

/// Makes an array of the input.
///
/// Args:
///     a: A number, nested lists of numbers, an array, or anything with a buffer or DLPack.
///     dtype: The type of the elements. By default, that of the input.
///     copy: ``True`` and ``None`` copy what is not an array yet; ``False`` is an error, as memory
///         is only shared by :func:`from_dlpack`.
///
/// Returns:
///     An array of the input's shape.
///
/// Raises:
///     ValueError: If ``copy`` is ``False``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.asarray([[1, 2], [3, 4]], mx.float32).shape
///     (2, 2)
#[pyfunction]
#[pyo3(signature = (a, /, dtype=None, *, copy=None))]
fn asarray(a: &Bound<'_, PyAny>, dtype: Option<PyDtype>, copy: Option<bool>) -> PyResult<PyArray> {
    if copy == Some(false) {
        return Err(value_error(
            "Unable to avoid copy while creating an array as requested.",
        ));
    }
    let array = array(a, dtype.map(Into::into))?;
    if copy == Some(true) && a.is_instance_of::<PyArray>() {
        return array.contiguous().map(PyArray::from).or_raise();
    }
    Ok(array.into())
}

/// Makes an array of an object that speaks DLPack, such as a PyTorch or JAX array.
///
/// Args:
///     x: An object with ``__dlpack__`` and ``__dlpack_device__``, in memory the processor reads.
///     copy: ``True`` copies; ``False`` shares the memory or fails; ``None`` shares it if the
///         elements can stay as they are. Shared memory must not change while the array is used.
///
/// Returns:
///     An array of the same shape; ``float64`` becomes ``float32``.
///
/// Raises:
///     ValueError: If ``copy`` is ``False`` and the memory cannot be shared.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.from_dlpack(mx.arange(3))
///     array([0, 1, 2], dtype=int32)
#[pyfunction]
#[pyo3(signature = (x, /, *, copy=None))]
fn from_dlpack(x: &Bound<'_, PyAny>, copy: Option<bool>) -> PyResult<PyArray> {
    if let Ok(array) = x.cast::<PyArray>() {
        let array = array.get().get();
        return match copy {
            Some(true) => array.contiguous().map(PyArray::from).or_raise(),
            Some(false) | None => Ok(array.into()),
        };
    }
    if x.hasattr(intern!(x.py(), "__dlpack__"))? {
        return dlpack::imported(x, None, copy).map(PyArray::from);
    }
    Err(type_error(format!(
        "from_dlpack() expects an object with __dlpack__, not {}",
        x.get_type().name()?
    )))
}

/// An object whose ``__mlx_array__`` method returns an array.
///
/// Wherever operations take an array, they take such an object too.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> class Half:
///     ...     def __mlx_array__(self):
///     ...         return mx.array(0.5)
///     >>> (mx.array(2.0) * Half()).item()
///     1.0
#[pyclass(name = "ArrayLike", module = "olivine.core", frozen)]
struct ArrayLike(Py<PyAny>);

#[pymethods]
impl ArrayLike {
    #[new]
    fn new(object: Py<PyAny>) -> Self {
        ArrayLike(object)
    }

    /// What the object says is its array.
    fn __mlx_array__(&self, py: Python<'_>) -> PyResult<PyArray> {
        array(self.0.bind(py), None).map(PyArray::from)
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ArrayLike>()?;
    module.add_function(wrap_pyfunction!(asarray, module)?)?;
    module.add_function(wrap_pyfunction!(from_dlpack, module)?)
}
