//! Owns the array as Python sees it: a handle that in-place operations point at another array.

mod abi;
mod buffer;
pub(crate) mod convert;
mod dlpack;
mod foreign;
mod index;
mod list;
mod methods;
mod namespace;
mod operators;
mod print;
mod values;

use std::sync::{LazyLock, Mutex, PoisonError};

use olivine::Array;
use pyo3::{
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::{
    arg::shape_tuple,
    dtype::PyDtype,
    error::{OrRaise, type_error},
    transforms::eval::compute,
};

/// An array of numbers, computed when its values are needed.
///
/// Args:
///     val: A number, nested lists of numbers or arrays, or anything with a buffer.
///     dtype: The type of the elements. By default, that of the numbers: ``int32``, ``float32``,
///         ``bool_`` or ``complex64``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.array([[1, 2], [3, 4]]).sum(axis=0)
///     array([4, 6], dtype=int32)
#[pyclass(
    name = "array",
    module = "olivine.core",
    frozen,
    sequence,
    subclass,
    weakref
)]
pub(crate) struct PyArray(Mutex<Array>);

impl From<Array> for PyArray {
    #[inline]
    fn from(array: Array) -> Self {
        PyArray(Mutex::new(array))
    }
}

impl PyArray {
    /// The array that the handle points at now.
    #[inline]
    pub(crate) fn get(&self) -> Array {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Points the handle at another array.
    pub(crate) fn set(&self, array: Array) {
        let old = {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *held, array)
        };
        // Freed only after the lock: an array may own Python objects.
        drop(old);
    }

    /// Computes the values with the interpreter released.
    pub(crate) fn evaluated(&self, py: Python<'_>) -> PyResult<Array> {
        let array = self.get();
        if !array.is_evaluated() {
            compute(py, &[&array])?;
        }
        Ok(array)
    }
}

#[pymethods]
impl PyArray {
    /// An array without values yet, for `__init__` or a pickle to give it some.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(val, dtype=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        static NOTHING: LazyLock<Array> = LazyLock::new(|| Array::scalar(0.0f32));
        NOTHING.clone().into()
    }

    #[pyo3(signature = (val, dtype=None))]
    fn __init__(&self, val: &Bound<'_, PyAny>, dtype: Option<PyDtype>) -> PyResult<()> {
        if val.is_none() {
            return Err(type_error("None cannot be made an array"));
        }
        self.set(convert::array(val, dtype.map(Into::into))?);
        Ok(())
    }

    /// The sizes of the axes, a tuple.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        shape_tuple(py, self.get().shape())
    }

    /// The type of the elements.
    #[getter]
    fn dtype(&self) -> PyDtype {
        PyDtype(self.get().dtype())
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.get().ndim()
    }

    /// The number of elements.
    #[getter]
    fn size(&self) -> usize {
        self.get().size()
    }

    /// The bytes of all elements.
    #[getter]
    fn nbytes(&self) -> usize {
        self.get().nbytes()
    }

    /// The bytes of one element.
    #[getter]
    fn itemsize(&self) -> usize {
        self.get().dtype().size()
    }

    /// The array with its axes in reverse order.
    #[getter]
    #[expect(non_snake_case, reason = "the name that Python sees")]
    fn T(&self) -> PyResult<Self> {
        self.get().transpose(..).map(Self::from).or_raise()
    }

    /// The array with its last two axes exchanged.
    #[getter]
    #[expect(non_snake_case, reason = "the name that Python sees")]
    fn mT(&self) -> PyResult<Self> {
        self.get().matrix_transpose().map(Self::from).or_raise()
    }

    /// The array itself.
    #[getter]
    fn real(&self) -> PyResult<Self> {
        self.get().real().map(Self::from).or_raise()
    }

    /// The imaginary part.
    #[getter]
    fn imag(&self) -> PyResult<Self> {
        self.get().imag().map(Self::from).or_raise()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        print::text(py, &self.evaluated(py)?)
    }

    fn __len__(&self) -> PyResult<usize> {
        match self.get().shape().first() {
            Some(&size) => Ok(size),
            None => Err(type_error("len() 0-dimensional array.")),
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyArray>()?;
    buffer::register(module)?;
    convert::register(module)?;
    index::register(module)?;
    print::register(module)?;
    namespace::register(module)
}
