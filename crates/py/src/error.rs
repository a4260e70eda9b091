//! Owns how errors of the library become Python exceptions.

use std::cell::RefCell;

use olivine::Error;
use pyo3::{
    exceptions::{
        PyFileNotFoundError, PyIndexError, PyMemoryError, PyOSError, PyRuntimeError, PyTypeError,
        PyValueError,
    },
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple, PyType},
};

/// `AxisError`, which is both a `ValueError` and an `IndexError`, as NumPy's is.
pub(crate) fn axis_error(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let bases = [py.get_type::<PyValueError>(), py.get_type::<PyIndexError>()];
        let doc = "An axis or a position that the array does not have.";
        class(py, "AxisError", doc, &bases.each_ref())
    })?;
    Ok(class.bind(py))
}

/// The operation that errors which carry an exception name.
const PYTHON: &str = "python";

thread_local! {
    /// The exception that a function of Python has raised inside a transform.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// The error that takes a Python exception through the library, out of which [`exception`] makes the
/// very same exception again.
pub(crate) fn carried(error: PyErr) -> Error {
    let reason = error.to_string();
    RAISED.set(Some(error));
    Error::Argument { op: PYTHON, reason }
}

/// The exception that says what an error says.
pub(crate) fn exception(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Argument { op: PYTHON, reason } => {
            let raised = RAISED.take();
            raised.unwrap_or_else(|| PyRuntimeError::new_err(reason))
        }
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

/// The exception that says what an error of an evaluation says: a `RuntimeError` and a `ValueError`, as
/// programs expect the one or the other.
pub(crate) fn evaluation_exception(error: Error) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let raised = exception(error);
    Python::attach(|py| {
        if !raised.get_type(py).is(py.get_type::<PyValueError>()) {
            return raised;
        }
        let class = CLASS.get_or_try_init(py, || {
            let bases = [
                py.get_type::<PyRuntimeError>(),
                py.get_type::<PyValueError>(),
            ];
            let doc = "The values of an array could not be computed.";
            class(py, "EvaluationError", doc, &bases.each_ref())
        });
        match class {
            Ok(class) => PyErr::from_type(class.bind(py).clone(), raised.value(py).to_string()),
            Err(error) => error,
        }
    })
}

/// A new class of exceptions.
fn class(
    py: Python<'_>,
    name: &str,
    doc: &str,
    bases: &[&Bound<'_, PyType>],
) -> PyResult<Py<PyType>> {
    let members = PyDict::new(py);
    members.set_item("__module__", "olivine.core")?;
    members.set_item("__doc__", doc)?;
    let made = py
        .get_type::<PyType>()
        .call1((name, PyTuple::new(py, bases)?, members))?;
    Ok(made.cast_into::<PyType>()?.unbind())
}

/// The classes of errors about files: what is wrong inside, what the system refuses, what is missing.
///
/// All are `RuntimeError` and `ValueError`, as programs expect the one or the other; the system's are
/// Python's own too.
fn file_classes(py: Python<'_>) -> PyResult<&[Py<PyType>; 3]> {
    static CLASSES: PyOnceLock<[Py<PyType>; 3]> = PyOnceLock::new();
    CLASSES.get_or_try_init(py, || {
        let (runtime, value) = (
            py.get_type::<PyRuntimeError>(),
            py.get_type::<PyValueError>(),
        );
        let wrong = class(
            py,
            "FileError",
            "A file of arrays is not what it should be.",
            &[&runtime, &value],
        )?;
        let refused = class(
            py,
            "FileAccessError",
            "A file cannot be opened, read or written.",
            &[wrong.bind(py), &py.get_type::<PyOSError>()],
        )?;
        let missing = class(
            py,
            "FileMissingError",
            "There is no such file or folder.",
            &[refused.bind(py), &py.get_type::<PyFileNotFoundError>()],
        )?;
        Ok([wrong, refused, missing])
    })
}

/// The exception that says what an error about a file says.
pub(crate) fn file_exception(error: olivine::io::Error) -> PyErr {
    use std::io::ErrorKind;

    let message = error.to_string();
    let kind = match error {
        olivine::io::Error::Array(error) => return exception(error),
        olivine::io::Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => 2,
        olivine::io::Error::Io { .. } => 1,
        _ => 0,
    };
    Python::attach(|py| match file_classes(py) {
        Ok(classes) => PyErr::from_type(classes[kind].bind(py).clone(), message),
        Err(error) => error,
    })
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
