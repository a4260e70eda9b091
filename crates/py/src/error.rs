//! Owns how errors of the library become Python exceptions.

use olivine::Error;
use pyo3::{
    exceptions::{PyIndexError, PyMemoryError, PyRuntimeError, PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple, PyType},
};

/// `AxisError`, which is both a `ValueError` and an `IndexError`, as NumPy's is.
pub(crate) fn axis_error(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let bases = PyTuple::new(
            py,
            [py.get_type::<PyValueError>(), py.get_type::<PyIndexError>()],
        )?;
        let members = PyDict::new(py);
        members.set_item("__module__", "olivine.core")?;
        members.set_item(
            "__doc__",
            "An axis or a position that the array does not have.",
        )?;
        let class = py
            .get_type::<PyType>()
            .call1(("AxisError", bases, members))?;
        Ok::<_, PyErr>(class.cast_into::<PyType>()?.unbind())
    })?;
    Ok(class.bind(py))
}

/// The exception that says what an error says.
pub(crate) fn exception(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Axis { .. } | Error::Index { .. } => Python::attach(|py| match axis_error(py) {
            Ok(class) => PyErr::from_type(class.clone(), message),
            Err(error) => error,
        }),
        Error::OutOfMemory { .. } => PyMemoryError::new_err(message),
        Error::Internal { .. } | Error::NoKernel { .. } | Error::NoBackend(_) => {
            PyRuntimeError::new_err(message)
        }
        _ => PyValueError::new_err(message),
    }
}

/// A `ValueError`.
pub(crate) fn value_error(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

/// A `TypeError`.
pub(crate) fn type_error(message: impl Into<String>) -> PyErr {
    PyTypeError::new_err(message.into())
}

/// Turns the library's results into Python's.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception that says what the error says.
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for olivine::Result<T> {
    #[inline]
    fn or_raise(self) -> PyResult<T> {
        self.map_err(exception)
    }
}
