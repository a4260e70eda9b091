//! Owns evaluation: with the interpreter released, and until somebody presses Ctrl-C.

use olivine::{Array, depends, eval_until};
use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyList, PyTuple},
};

use crate::{
    array::PyArray,
    error::{OrRaise, evaluation_exception, value_error},
    tree::arrays_in,
};

/// Computes arrays with the interpreter released. A signal whose handler raises, such as Ctrl-C, ends
/// the wait.
pub(crate) fn compute(py: Python<'_>, arrays: &[&Array]) -> PyResult<()> {
    if arrays.iter().all(|array| array.is_evaluated()) {
        // There may be an error to report.
        let evaluated = arrays.iter().try_for_each(|array| array.eval());
        return evaluated.map_err(evaluation_exception);
    }
    let mut raised = None;
    let done = py.detach(|| {
        eval_until(arrays, &mut || {
            raised = Python::attach(signalled);
            raised.is_some()
        })
    });
    match (raised, done) {
        (Some(error), _) => Err(error),
        (None, Ok(true)) => Ok(()),
        (None, Ok(false)) => Err(PyRuntimeError::new_err("the evaluation was interrupted")),
        (None, Err(error)) => Err(evaluation_exception(error)),
    }
}

/// What a handler of signals has raised, if anything.
fn signalled(py: Python<'_>) -> Option<PyErr> {
    py.check_signals().err()
}

/// Computes arrays and everything that they depend on.
///
/// Args:
///     *args: Arrays, or trees of arrays: lists, tuples and dictionaries that hold them. Whatever else
///         is in the trees is passed over.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> x = mx.array([1.0, 2.0])  # shape (2,)
///     >>> y = {"twice": x * 2, "name": "x"}
///     >>> mx.eval(y)
///     >>> y["twice"]
///     array([2, 4], dtype=float32)
#[pyfunction]
#[pyo3(signature = (*args))]
fn eval(py: Python<'_>, args: &Bound<'_, PyTuple>) -> PyResult<()> {
    let mut arrays = Vec::new();
    arrays_in(args, &mut arrays)?;
    compute(py, &arrays.iter().collect::<Vec<_>>())
}

/// Starts computing arrays on other threads and returns at once.
///
/// Args:
///     *args: Arrays, or trees of arrays.
///
/// Raises:
///     ValueError: If an array belongs to a function that is being transformed.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> y = mx.array([1.0, 4.0]) * 3
///     >>> mx.async_eval(y)
///     >>> y.tolist()  # waits for the values
///     [3.0, 12.0]
#[pyfunction]
#[pyo3(signature = (*args))]
fn async_eval(py: Python<'_>, args: &Bound<'_, PyTuple>) -> PyResult<()> {
    let mut arrays = Vec::new();
    arrays_in(args, &mut arrays)?;
    if arrays.iter().any(Array::is_traced) {
        return Err(value_error(
            "[async_eval] an array of a function that is being transformed is evaluated by `eval` alone",
        ));
    }
    py.detach(|| drop(olivine::async_eval(&arrays)));
    Ok(())
}

/// The same arrays, computed only once others have been.
///
/// Args:
///     inputs: An array, or a list or tuple of arrays of any shapes.
///     dependencies: An array, or a list or tuple of arrays, to compute first.
///
/// Returns:
///     The inputs: an array if one was given, otherwise a list.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> first = mx.array(1.0) + 1
///     >>> x = mx.depends(mx.array([5, 6]), first)
///     >>> x
///     array([5, 6], dtype=int32)
#[pyfunction(name = "depends")]
fn depends_on<'py>(
    py: Python<'py>,
    inputs: &Bound<'py, PyAny>,
    dependencies: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let given = super::returned(inputs, "depends")?;
    let first = super::returned(dependencies, "depends")?;
    let mut results = depends(&given, &first)
        .or_raise()?
        .into_iter()
        .map(PyArray::from);
    if inputs.is_instance_of::<PyArray>()
        && let Some(one) = results.next()
    {
        return Ok(Bound::new(py, one)?.into_any());
    }
    let results = results.map(|array| Bound::new(py, array));
    Ok(PyList::new(py, results.collect::<PyResult<Vec<_>>>()?)?.into_any())
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(eval, module)?)?;
    module.add_function(wrap_pyfunction!(async_eval, module)?)?;
    module.add_function(wrap_pyfunction!(depends_on, module)?)
}
