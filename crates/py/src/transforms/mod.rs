//! Owns function transforms as Python sees them, and the functions that they return.

pub(crate) mod autograd;
mod batch;
mod checkpoint;
mod compile;
mod custom;
pub(crate) mod eval;
mod export;

use olivine::Array;
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyTuple},
};

use self::{autograd::Grad, batch::Axes, compile::Compiled};
use crate::error::type_error;

// A function that a transform has made of another one, whose name, documentation and signature it has: a
// documentation of the class would stand in the way.
#[pyclass(name = "function", module = "olivine.core", weakref)]
pub(crate) struct Function {
    /// `None` only after the garbage collector has broken a cycle.
    function: Option<Py<PyAny>>,
    transform: Transform,
}

enum Transform {
    Grad(Grad),
    Vmap(Axes),
    Compile(Compiled),
    Checkpoint,
}

impl Function {
    fn new(function: &Bound<'_, PyAny>, transform: Transform) -> PyResult<Self> {
        let function = Some(callable(function)?);
        Ok(Function {
            function,
            transform,
        })
    }

    fn inner<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        match &self.function {
            Some(function) => Ok(function.bind(py)),
            None => Err(type_error("the function was deleted")),
        }
    }
}

#[pymethods]
impl Function {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let function = self.inner(py)?;
        match &self.transform {
            Transform::Grad(grad) => grad.call(function, args, kwargs),
            Transform::Vmap(axes) => axes.call(function, args, kwargs),
            Transform::Compile(compiled) => compiled.call(function, args, kwargs),
            Transform::Checkpoint => checkpoint::call(function, args, kwargs),
        }
    }

    #[getter]
    fn __doc__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.inner(py)?.getattr("__doc__")
    }

    /// The function that this one was made of is in ``__wrapped__``; it is asked for everything else.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let inner = self.inner(py)?;
        if name == "__wrapped__" {
            return Ok(inner.clone());
        }
        inner.getattr(name)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        match &self.transform {
            Transform::Grad(_) | Transform::Checkpoint => Ok(()),
            Transform::Vmap(axes) => axes.traverse(&visit),
            Transform::Compile(compiled) => compiled.traverse(&visit),
        }
    }

    fn __clear__(&mut self) {
        self.function = None;
        if let Transform::Compile(compiled) = &mut self.transform {
            compiled.clear();
        }
    }
}

/// A callable object to keep; anything else is a `TypeError`.
fn callable(function: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if function.is_callable() {
        return Ok(function.clone().unbind());
    }
    let class = function.get_type();
    let name = class.name()?;
    Err(type_error(format!("a function is needed, not {name}")))
}

/// The arrays that a function returned: one, or a list or tuple of them.
fn returned(result: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<Array>> {
    use crate::array::PyArray;
    if let Ok(array) = result.cast::<PyArray>() {
        return Ok(vec![array.get().get()]);
    }
    let wrong = || {
        let class = result.get_type();
        let name = class
            .name()
            .map_or_else(|_| String::new(), |name| name.to_string());
        crate::error::value_error(format!(
            "[{what}] the function has to return an array, or a list or tuple of arrays, not {name}"
        ))
    };
    let is_sequence =
        result.is_instance_of::<PyTuple>() || result.is_instance_of::<pyo3::types::PyList>();
    if !is_sequence {
        return Err(wrong());
    }
    let mut arrays = Vec::new();
    for item in result.try_iter()? {
        arrays.push(item?.cast::<PyArray>().map_err(|_| wrong())?.get().get());
    }
    Ok(arrays)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<custom::CustomFunction>()?;
    eval::register(module)?;
    autograd::register(module)?;
    batch::register(module)?;
    compile::register(module)?;
    checkpoint::register(module)?;
    export::register(module)
}
