//! Owns Python functions with rules of their own for transforms.

use std::sync::{Arc, Mutex, PoisonError};

use olivine::Array;
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyAttributeError,
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::callable;
use crate::{
    array::PyArray,
    error::{carried, exception, type_error, value_error},
    tree::{Node, Others, arrays_in, flatten, visit},
};

/// A function with rules of its own for transforms, in place of those of what it is made of.
///
/// Each rule is set by a decorator. A function of one argument gets it as it is in its rules; of several,
/// a tuple of them.
///
/// Args:
///     f: A function of trees of arrays.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> @mx.custom_function
///     ... def step(x):  # any shape
///     ...     return (x > 0).astype(x.dtype)
///     >>> @step.vjp
///     ... def step_vjp(primals, cotangents, outputs):
///     ...     return cotangents  # as if the step were the identity
///     >>> mx.grad(step)(mx.array(0.5))
///     array(1, dtype=float32)
#[pyclass(name = "custom_function", module = "olivine.core", weakref)]
pub(crate) struct CustomFunction {
    /// `None` only after the garbage collector has broken a cycle.
    function: Option<Py<PyAny>>,
    vjp: Option<Py<PyAny>>,
    jvp: Option<Py<PyAny>>,
    vmap: Option<Py<PyAny>>,
}

/// The structures of one call's arguments and results, which its rules need.
struct Shape {
    args: Node,
    kwargs: Node,
    /// Known once the function has been called.
    result: Mutex<Option<Arc<Node>>>,
}

impl Shape {
    /// The arguments with these arrays.
    fn arguments<'py>(
        &self,
        py: Python<'py>,
        arrays: &[Array],
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let mut arrays = arrays.iter().cloned();
        let args = self.args.fill(py, &mut arrays)?.cast_into::<PyTuple>()?;
        let kwargs = self.kwargs.fill(py, &mut arrays)?.cast_into::<PyDict>()?;
        Ok((args, kwargs))
    }

    /// As [`Shape::arguments`], of a rule that takes none by name.
    fn positional<'py>(
        &self,
        py: Python<'py>,
        arrays: &[Array],
        rule: &str,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (args, kwargs) = self.arguments(py, arrays)?;
        if kwargs.is_empty() {
            return Ok(args);
        }
        Err(value_error(format!(
            "[custom {rule}] Function should only accept positional arguments"
        )))
    }

    fn result(&self) -> PyResult<Arc<Node>> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result
            .clone()
            .ok_or_else(|| type_error("the function was not called"))
    }
}

/// The only item of a tuple of one, otherwise the tuple.
fn one_or_all(items: Bound<'_, PyTuple>) -> PyResult<Bound<'_, PyAny>> {
    if items.len() == 1 {
        items.get_item(0)
    } else {
        Ok(items.into_any())
    }
}

fn arrays_of(tree: &Bound<'_, PyAny>) -> PyResult<Vec<Array>> {
    let mut arrays = Vec::new();
    arrays_in(tree, &mut arrays)?;
    Ok(arrays)
}

/// Calls the function and remembers the structure of its result.
fn run(function: &Py<PyAny>, shape: &Shape, arrays: &[Array]) -> PyResult<Vec<Array>> {
    Python::attach(|py| {
        let (args, kwargs) = shape.arguments(py, arrays)?;
        let value = function.bind(py).call(args, Some(&kwargs))?;
        let mut outputs = Vec::new();
        let node = flatten(&value, &mut outputs, Others::Keep)?;
        *shape.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(node));
        Ok(outputs)
    })
}

fn pull_back(
    rule: &Py<PyAny>,
    shape: &Shape,
    primals: &[Array],
    cotangents: &[Array],
    outputs: &[Array],
) -> PyResult<Vec<Array>> {
    Python::attach(|py| {
        let (args, kwargs) = shape.arguments(py, primals)?;
        let node = shape.result()?;
        let cotangents = node.fill(py, &mut cotangents.iter().cloned())?;
        let outputs = node.fill(py, &mut outputs.iter().cloned())?;
        let gradients = rule
            .bind(py)
            .call((one_or_all(args)?, cotangents, outputs), Some(&kwargs))?;
        arrays_of(&gradients)
    })
}

fn push_forward(
    rule: &Py<PyAny>,
    shape: &Shape,
    primals: &[Array],
    tangents: &[Array],
) -> PyResult<Vec<Array>> {
    Python::attach(|py| {
        let args = shape.positional(py, primals, "jvp")?;
        let tangents = shape.positional(py, tangents, "jvp")?;
        arrays_of(
            &rule
                .bind(py)
                .call1((one_or_all(args)?, one_or_all(tangents)?))?,
        )
    })
}

type Batched = (Vec<Array>, Vec<Option<usize>>);

fn batch(
    rule: &Py<PyAny>,
    shape: &Shape,
    arrays: &[Array],
    axes: &[Option<usize>],
) -> PyResult<Batched> {
    Python::attach(|py| {
        let args = shape.positional(py, arrays, "vmap")?;
        // The axes in a tree like the arguments', which is made for them.
        let (mut axes, tree) = (axes.iter(), shape.positional(py, arrays, "vmap")?);
        let axes = axes_like(&tree, &mut || axes.next().copied().flatten())?;
        let axes = one_or_all(axes.cast_into::<PyTuple>()?)?;
        let result = rule.bind(py).call1((one_or_all(args)?, axes))?;
        let wrong =
            || value_error("[custom vmap] Vmap function should return a tuple with 2 items.");
        let result = result.cast::<PyTuple>().map_err(|_| wrong())?;
        if result.len() != 2 {
            return Err(wrong());
        }
        let outputs = arrays_of(&result.get_item(0)?)?;
        let mut out_axes = Vec::new();
        visit(&result.get_item(1)?, &mut |axis| {
            out_axes.push(axis.extract::<Option<usize>>()?);
            Ok(())
        })?;
        if out_axes.len() == 1 {
            out_axes.resize(outputs.len(), out_axes[0]);
        }
        if out_axes.len() != outputs.len() {
            return Err(value_error(format!(
                "[custom vmap] {} axes for {} arrays",
                out_axes.len(),
                outputs.len()
            )));
        }
        Ok((outputs, out_axes))
    })
}

/// A tree with an axis or `None` in the place of each array.
fn axes_like<'py>(
    tree: &Bound<'py, PyAny>,
    next: &mut dyn FnMut() -> Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = tree.py();
    crate::tree::replace(tree, &mut |leaf| {
        if !leaf.is_instance_of::<PyArray>() {
            return Ok(Some(py.None().into_bound(py)));
        }
        Ok(Some(next().into_pyobject(py)?))
    })
}

#[pymethods]
impl CustomFunction {
    #[new]
    fn new(f: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(CustomFunction {
            function: Some(callable(f)?),
            vjp: None,
            jvp: None,
            vmap: None,
        })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(function) = &self.function else {
            return Err(type_error("the function was deleted"));
        };
        if self.vjp.is_none() && self.jvp.is_none() && self.vmap.is_none() {
            return function.bind(py).call(args, kwargs);
        }
        let kwargs = match kwargs {
            Some(kwargs) => kwargs.clone(),
            None => PyDict::new(py),
        };
        let mut arrays = Vec::new();
        let shape = Arc::new(Shape {
            args: flatten(args, &mut arrays, Others::Keep)?,
            kwargs: flatten(&kwargs, &mut arrays, Others::Keep)?,
            result: Mutex::default(),
        });
        let body = {
            let (function, shape) = (function.clone_ref(py), shape.clone());
            move |x: &[Array]| run(&function, &shape, x).map_err(carried)
        };
        let mut custom = olivine::CustomFunction::new(body);
        if let Some(rule) = &self.vjp {
            let (rule, shape) = (rule.clone_ref(py), shape.clone());
            custom = custom.with_vjp(move |x, cotangents, outputs| {
                pull_back(&rule, &shape, x, cotangents, outputs).map_err(carried)
            });
        }
        if let Some(rule) = &self.jvp {
            let (rule, shape) = (rule.clone_ref(py), shape.clone());
            custom = custom.with_jvp(move |x, tangents| {
                push_forward(&rule, &shape, x, tangents).map_err(carried)
            });
        } else {
            // Tangents go through the function itself, whatever its reverse rule.
            let (function, shape) = (function.clone_ref(py), shape.clone());
            custom = custom.with_jvp(move |x, tangents| {
                let body = |x: &[Array]| run(&function, &shape, x).map_err(carried);
                Ok(olivine::jvp(body, x, tangents)?.1)
            });
        }
        if let Some(rule) = &self.vmap {
            let (rule, shape) = (rule.clone_ref(py), shape.clone());
            custom =
                custom.with_vmap(move |x, axes| batch(&rule, &shape, x, axes).map_err(carried));
        }
        let outputs = custom.call(&arrays).map_err(exception)?;
        shape.result()?.fill(py, &mut outputs.into_iter())
    }

    /// Sets the rule of reverse mode.
    ///
    /// Args:
    ///     f: A function of the arguments, the cotangents of the results, and the results, that returns
    ///         the gradients of all arrays among the arguments, in their shapes.
    ///
    /// Returns:
    ///     This function.
    fn vjp<'py>(
        mut this: PyRefMut<'py, Self>,
        f: &Bound<'py, PyAny>,
    ) -> PyResult<PyRefMut<'py, Self>> {
        this.vjp = Some(callable(f)?);
        Ok(this)
    }

    /// Sets the rule of forward mode.
    ///
    /// Args:
    ///     f: A function of the arguments and their tangents that returns the tangents of the results, in
    ///         their shapes.
    ///
    /// Returns:
    ///     This function.
    fn jvp<'py>(
        mut this: PyRefMut<'py, Self>,
        f: &Bound<'py, PyAny>,
    ) -> PyResult<PyRefMut<'py, Self>> {
        this.jvp = Some(callable(f)?);
        Ok(this)
    }

    /// Sets the rule for batches.
    ///
    /// Args:
    ///     f: A function of the arguments, with their batch axes, and of these axes, ``None`` where an
    ///         array has none. It returns a pair: the results, and their batch axes.
    ///
    /// Returns:
    ///     This function.
    fn vmap<'py>(
        mut this: PyRefMut<'py, Self>,
        f: &Bound<'py, PyAny>,
    ) -> PyResult<PyRefMut<'py, Self>> {
        this.vmap = Some(callable(f)?);
        Ok(this)
    }

    /// The function as it was given is in ``__wrapped__``, which the class itself must not have.
    fn __getattr__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        match &self.function {
            Some(function) if name == "__wrapped__" => Ok(function.clone_ref(py)),
            _ => Err(PyAttributeError::new_err(format!(
                "custom_function has no attribute '{name}'"
            ))),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let all = [&self.function, &self.vjp, &self.jvp, &self.vmap];
        all.into_iter().try_for_each(|kept| visit.call(kept))
    }

    fn __clear__(&mut self) {
        (self.function, self.vjp, self.jvp, self.vmap) = (None, None, None, None);
    }
}
