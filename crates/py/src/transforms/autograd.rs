//! Owns differentiation of Python functions.

use std::cell::RefCell;

use olivine::{Array, Dtype, with_integer_derivatives};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyString, PyTuple},
};

use super::{Function, Transform, callable, returned};
use crate::{
    array::PyArray,
    error::{OrRaise, carried, exception, type_error, value_error},
    tree::{Node, Others, Standins, flatten},
};

/// Which arguments a function is differentiated by, and what comes out.
pub(super) struct Grad {
    /// The name that errors begin with.
    name: &'static str,
    positions: Vec<i64>,
    names: Vec<String>,
    /// Whether the function's value is returned as well.
    value: bool,
}

impl Grad {
    fn new(
        name: &'static str,
        argnums: Option<&Bound<'_, PyAny>>,
        argnames: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut names = Vec::new();
        match argnames {
            None => {}
            Some(one) if one.is_instance_of::<PyString>() => names.push(one.extract()?),
            Some(several) => names = several.extract()?,
        }
        let positions: Vec<i64> = match argnums {
            None if names.is_empty() => vec![0],
            None => Vec::new(),
            Some(argnums) => match argnums.extract::<i64>() {
                Ok(one) => vec![one],
                Err(_) => argnums.extract().map_err(|_| {
                    type_error("argnums is a whole number or a list of whole numbers")
                })?,
            },
        };
        if positions.is_empty() && names.is_empty() {
            return Err(value_error(format!(
                "[{name}] Gradient wrt no argument requested"
            )));
        }
        for (i, position) in positions.iter().enumerate() {
            if positions[..i].contains(position) {
                return Err(value_error(format!(
                    "[{name}] Duplicate argument index {position} is not allowed."
                )));
            }
        }
        Ok(Grad {
            name,
            positions,
            names,
            value: name == "value_and_grad",
        })
    }

    fn check(&self, args: &Bound<'_, PyTuple>, kwargs: &Bound<'_, PyDict>) -> PyResult<()> {
        let name = self.name;
        for &position in &self.positions {
            if position < 0 {
                return Err(value_error(format!(
                    "[{name}] Can't compute the gradient of negative argument index {position}"
                )));
            }
            if position as usize >= args.len() {
                return Err(value_error(format!(
                    "[{name}] Can't compute the gradient of argument index {position} because the function \
                     is called with only {} positional arguments.",
                    args.len()
                )));
            }
        }
        for wanted in &self.names {
            if !kwargs.contains(wanted)? {
                return Err(value_error(format!(
                    "[{name}] Can't compute the gradient of keyword argument '{wanted}' because the \
                     function is called with the following keyword arguments {}",
                    kwargs.keys()
                )));
            }
        }
        Ok(())
    }

    pub(super) fn call<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        let kwargs = match kwargs {
            Some(kwargs) => kwargs.clone(),
            None => PyDict::new(py),
        };
        self.check(args, &kwargs)?;
        // The arguments to differentiate by: their arrays, one after another.
        let mut trees = Vec::new();
        for &position in &self.positions {
            trees.push(args.get_item(position as usize)?);
        }
        for name in &self.names {
            trees.push(kwargs.as_any().get_item(name)?);
        }
        let mut arrays = Vec::new();
        let mut nodes = Vec::new();
        for tree in &trees {
            nodes.push(flatten(tree, &mut arrays, Others::Refuse)?);
        }
        let value = RefCell::new(None);
        let standins = RefCell::new(Standins::new());
        let run = |traced: &Vec<Array>| {
            let call = || -> PyResult<Array> {
                let mut traced = traced.iter().cloned();
                let mut items: Vec<Bound<'py, PyAny>> = args.iter().collect();
                let mut named = kwargs.clone();
                if !self.names.is_empty() {
                    named = kwargs.copy()?;
                }
                for (i, tree) in trees.iter().enumerate() {
                    let placed = standins.borrow_mut().place(tree, &mut traced)?;
                    match self.positions.get(i) {
                        Some(&position) => items[position as usize] = placed,
                        None => named.set_item(&self.names[i - self.positions.len()], placed)?,
                    }
                }
                let items = PyTuple::new(py, items)?;
                let result = function.call(&items, Some(&named))?;
                let loss = self.loss(&result)?;
                *value.borrow_mut() = Some(result);
                Ok(loss)
            };
            call().map(|loss| (loss, ())).map_err(carried)
        };
        let outcome = with_integer_derivatives(|| olivine::value_and_grad(run)(&arrays));
        for tree in &trees {
            standins.borrow().remove(tree)?;
        }
        let (_, gradients) = outcome.map_err(exception)?;
        let gradients = self.gradients(py, &nodes, gradients)?;
        if !self.value {
            return Ok(gradients);
        }
        let value = value.into_inner();
        let value = value.ok_or_else(|| type_error("the function was not called"))?;
        Ok(PyTuple::new(py, [value, gradients])?.into_any())
    }

    /// The scalar in what the function returned.
    fn loss(&self, result: &Bound<'_, PyAny>) -> PyResult<Array> {
        let name = self.name;
        let class = result.get_type();
        let mut first = result.clone();
        if self.value
            && let Ok(tuple) = result.cast::<PyTuple>()
        {
            first = tuple.get_item(0).map_err(|_| {
                value_error(format!(
                    "[{name}] the function returned an empty tuple; the first item has to be the scalar to \
                     differentiate"
                ))
            })?;
        }
        let Ok(loss) = first.cast::<PyArray>() else {
            let may = if self.value {
                " or a tuple whose first item is one"
            } else {
                ""
            };
            return Err(value_error(format!(
                "[{name}] the function to differentiate has to return a scalar array{may}, but it returned {}",
                class.name()?
            )));
        };
        let loss = loss.get().get();
        if loss.ndim() != 0 {
            return Err(value_error(format!(
                "[{name}] the function to differentiate has to return a scalar, but its result has shape {}",
                loss.shape()
            )));
        }
        Ok(loss)
    }

    /// The gradients in the trees of their arguments.
    fn gradients<'py>(
        &self,
        py: Python<'py>,
        nodes: &[Node],
        gradients: Vec<Array>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut arrays = gradients.into_iter();
        let mut filled = Vec::new();
        for node in nodes {
            filled.push(node.fill(py, &mut arrays)?);
        }
        let named = filled.split_off(self.positions.len());
        let positional = match filled.len() {
            0 => py.None().into_bound(py),
            1 => filled.remove(0),
            _ => PyTuple::new(py, filled)?.into_any(),
        };
        if named.is_empty() {
            return Ok(positional);
        }
        let dict = PyDict::new(py);
        for (name, gradient) in self.names.iter().zip(named) {
            dict.set_item(name, gradient)?;
        }
        Ok(PyTuple::new(py, [positional, dict.into_any()])?.into_any())
    }
}

/// The function that computes the gradient of another one.
///
/// Args:
///     fun: A function of trees of arrays that returns a scalar array.
///     argnums: The position, or positions, of the arguments to differentiate by. By default the first,
///         unless ``argnames`` is given.
///     argnames: The name, or names, of keyword arguments to differentiate by as well.
///
/// Returns:
///     A function of the same arguments. It returns the gradient, in the shape of its argument: one for
///     one position, a tuple for several. With ``argnames`` it returns a pair: what belongs to the
///     positions, and a dictionary of what belongs to the names.
///
/// Raises:
///     ValueError: If an argument to differentiate by holds anything but arrays, or the result is no
///         scalar.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> loss = lambda w, x: (w * x).sum()
///     >>> mx.grad(loss)(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))  # shape (2,)
///     array([3, 4], dtype=float32)
#[pyfunction]
#[pyo3(signature = (fun, argnums=None, argnames=None))]
fn grad(
    fun: &Bound<'_, PyAny>,
    argnums: Option<&Bound<'_, PyAny>>,
    argnames: Option<&Bound<'_, PyAny>>,
) -> PyResult<Function> {
    Function::new(fun, Transform::Grad(Grad::new("grad", argnums, argnames)?))
}

/// The function that computes the value and the gradient of another one.
///
/// Args:
///     fun: A function of trees of arrays that returns a scalar array, or a tuple whose first item is
///         one. The other items are passed on as they are.
///     argnums: The position, or positions, of the arguments to differentiate by. By default the first,
///         unless ``argnames`` is given.
///     argnames: The name, or names, of keyword arguments to differentiate by as well.
///
/// Returns:
///     A function of the same arguments that returns a pair: what ``fun`` returns, and the gradient as
///     :func:`grad` has it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> params = {"w": mx.array([2.0, 3.0]), "b": mx.array(1.0)}
///     >>> loss = lambda p, x: (p["w"] * x + p["b"]).sum()
///     >>> value, gradients = mx.value_and_grad(loss)(params, mx.array([1.0, 10.0]))
///     >>> value.item(), gradients["b"].item()
///     (34.0, 2.0)
#[pyfunction]
#[pyo3(signature = (fun, argnums=None, argnames=None))]
fn value_and_grad(
    fun: &Bound<'_, PyAny>,
    argnums: Option<&Bound<'_, PyAny>>,
    argnames: Option<&Bound<'_, PyAny>>,
) -> PyResult<Function> {
    let grad = Grad::new("value_and_grad", argnums, argnames)?;
    Function::new(fun, Transform::Grad(grad))
}

/// The arrays of a list or tuple that is an argument.
fn listed(list: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<Array>> {
    returned(list, "vjp").map_err(|_| type_error(format!("{what} is a list of arrays")))
}

fn pair(
    py: Python<'_>,
    (outputs, derivatives): (Vec<Array>, Vec<Array>),
) -> PyResult<Bound<'_, PyTuple>> {
    let list = |arrays: Vec<Array>| {
        let arrays = arrays
            .into_iter()
            .map(|array| Bound::new(py, PyArray::from(array)));
        PyList::new(py, arrays.collect::<PyResult<Vec<_>>>()?)
    };
    PyTuple::new(py, [list(outputs)?, list(derivatives)?])
}

/// Calls a function of arrays inside a transform.
fn inside<'py>(
    function: &Bound<'py, PyAny>,
    what: &'static str,
) -> impl Fn(&[Array]) -> olivine::Result<Vec<Array>> {
    move |arrays| {
        let call = || {
            let arrays = arrays.iter().cloned().map(PyArray::from);
            let arrays = PyTuple::new(function.py(), arrays.collect::<Vec<_>>())?;
            returned(&function.call1(arrays)?, what)
        };
        call().map_err(carried)
    }
}

/// A function's results, and the product of cotangents with its derivative.
///
/// Args:
///     fun: A function of arrays that returns an array, or a list or tuple of arrays.
///     primals: The list of arrays to call it with.
///     cotangents: The list of arrays to multiply the derivative by, in the shapes of the results.
///
/// Returns:
///     A pair of lists: the results, and for each primal the product, in its shape.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.vjp(lambda x: x * x, [mx.array([1.0, 3.0])], [mx.array([1.0, 10.0])])
///     ([array([1, 9], dtype=float32)], [array([2, 60], dtype=float32)])
#[pyfunction]
fn vjp<'py>(
    py: Python<'py>,
    fun: &Bound<'py, PyAny>,
    primals: &Bound<'py, PyAny>,
    cotangents: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    callable(fun)?;
    let primals = listed(primals, "primals")?;
    let cotangents = listed(cotangents, "cotangents")?;
    let run = || olivine::vjp(inside(fun, "vjp"), &primals, &cotangents);
    pair(py, with_integer_derivatives(run).or_raise()?)
}

/// A function's results, and the product of its derivative with tangents.
///
/// Args:
///     fun: A function of arrays that returns an array, or a list or tuple of arrays.
///     primals: The list of arrays to call it with.
///     tangents: The list of directions to differentiate in, in the shapes of the primals.
///
/// Returns:
///     A pair of lists: the results, and how each of them changes along the tangents, in its shape.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.jvp(lambda x: x * x, [mx.array([1.0, 3.0])], [mx.array([1.0, 10.0])])
///     ([array([1, 9], dtype=float32)], [array([2, 60], dtype=float32)])
#[pyfunction]
fn jvp<'py>(
    py: Python<'py>,
    fun: &Bound<'py, PyAny>,
    primals: &Bound<'py, PyAny>,
    tangents: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    callable(fun)?;
    let primals = listed(primals, "primals")?;
    let tangents = listed(tangents, "tangents")?;
    let run = || olivine::jvp(inside(fun, "jvp"), &primals, &tangents);
    let (outputs, tangents) = with_integer_derivatives(run).or_raise()?;
    // Truth values have no tangents of their own dtype.
    let tangents = tangents.into_iter().map(|tangent| match tangent.dtype() {
        Dtype::Bool => tangent.astype(Dtype::Float32),
        _ => Ok(tangent),
    });
    let tangents = tangents.collect::<olivine::Result<_>>().or_raise()?;
    pair(py, (outputs, tangents))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(grad, module)?)?;
    module.add_function(wrap_pyfunction!(value_and_grad, module)?)?;
    module.add_function(wrap_pyfunction!(vjp, module)?)?;
    module.add_function(wrap_pyfunction!(jvp, module)?)
}
