//! Owns recomputation of Python functions' inner values when gradients need them.

use std::cell::RefCell;

use olivine::Array;
use pyo3::{
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::{Function, Transform};
use crate::{
    error::{carried, exception, type_error},
    tree::{Others, flatten},
};

pub(super) fn call<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = function.py();
    let mut arrays = Vec::new();
    let args = flatten(args, &mut arrays, Others::Keep)?;
    let kwargs = match kwargs {
        Some(kwargs) => Some(flatten(kwargs, &mut arrays, Others::Keep)?),
        None => None,
    };
    let result = RefCell::new(None);
    let run = |traced: &Vec<Array>| {
        let call = || {
            let mut traced = traced.iter().cloned();
            let args = args.fill(py, &mut traced)?.cast_into::<PyTuple>()?;
            let kwargs = match &kwargs {
                Some(node) => Some(node.fill(py, &mut traced)?.cast_into::<PyDict>()?),
                None => None,
            };
            let value = function.call(&args, kwargs.as_ref())?;
            let mut outputs = Vec::new();
            let node = flatten(&value, &mut outputs, Others::Keep)?;
            *result.borrow_mut() = Some(node);
            Ok(outputs)
        };
        call().map_err(carried)
    };
    let outputs = olivine::checkpoint(run)(&arrays).map_err(exception)?;
    match &*result.borrow() {
        Some(node) => node.fill(py, &mut outputs.into_iter()),
        None => Err(type_error("the function was not called")),
    }
}

/// The function that does what another one does but keeps nothing from inside it for gradients, which
/// compute it again: less memory, for one more evaluation.
///
/// Args:
///     fun: A function of trees of arrays. It is called once, with values; what it decides by them stays
///         decided when it is done again.
///
/// Returns:
///     The function that forgets.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> layer = mx.checkpoint(lambda w, x: mx.maximum(w * x, 0.0))
///     >>> mx.grad(lambda w: layer(w, mx.array([1.0, -2.0])).sum())(mx.array(3.0))
///     array(1, dtype=float32)
#[pyfunction]
fn checkpoint(fun: &Bound<'_, PyAny>) -> PyResult<Function> {
    Function::new(fun, Transform::Checkpoint)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(checkpoint, module)?)
}
