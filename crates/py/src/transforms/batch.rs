//! Owns vectorisation of Python functions: which axis of each array is the batch.

use std::cell::RefCell;

use olivine::{Array, BatchAxes, LeafAxes};
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyInt, PyList, PyTuple},
};

use super::{Function, Transform};
use crate::{
    array::PyArray,
    error::{carried, exception, type_error, value_error},
    tree::{Node, Others, flatten, only_arrays},
};

/// Where the batch is in arguments and results, as Python trees.
pub(super) struct Axes {
    inputs: Py<PyAny>,
    outputs: Py<PyAny>,
}

fn sequence(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>()
}

/// Appends the axis of each array in a tree.
fn append(
    tree: &Bound<'_, PyAny>,
    axes: &Bound<'_, PyAny>,
    list: &mut Vec<Option<i64>>,
) -> PyResult<()> {
    let one = axes.is_none() || axes.is_instance_of::<PyInt>();
    if tree.is_instance_of::<PyArray>() {
        if sequence(axes) && axes.len()? == 1 {
            return append(tree, &axes.get_item(0)?, list);
        }
        if !one {
            return Err(value_error("[vmap] axis must be int or None."));
        }
        list.push(if axes.is_none() {
            None
        } else {
            Some(axes.extract()?)
        });
        return Ok(());
    }
    let differ = |what: &str| {
        Err(value_error(format!(
            "[vmap] the axes do not fit the {what}"
        )))
    };
    if sequence(tree) {
        if !one && !sequence(axes) {
            return if axes.is_instance_of::<PyDict>() {
                differ("list or tuple")
            } else {
                Err(value_error("[vmap] axis must be int or None."))
            };
        }
        if !one && axes.len()? != tree.len()? {
            return differ("list or tuple, which has another length");
        }
        for (i, item) in tree.try_iter()?.enumerate() {
            let axes = if one { axes.clone() } else { axes.get_item(i)? };
            append(&item?, &axes, list)?;
        }
        return Ok(());
    }
    if let Ok(dict) = tree.cast::<PyDict>() {
        if one {
            return dict
                .values()
                .iter()
                .try_for_each(|item| append(&item, axes, list));
        }
        let Ok(by_key) = axes.cast::<PyDict>() else {
            return differ("dictionary");
        };
        for (key, item) in dict.iter() {
            let Some(axes) = by_key.get_item(&key)? else {
                return differ("dictionary, which has another key");
            };
            append(&item, &axes, list)?;
        }
        return Ok(());
    }
    Err(only_arrays())
}

/// The axes of the results, which are known once the function has been called.
struct Results<'a, 'py> {
    axes: &'a Bound<'py, PyAny>,
    tree: &'a RefCell<Option<(Bound<'py, PyAny>, Node)>>,
}

impl BatchAxes<Vec<Array>> for Results<'_, '_> {
    fn append(&self, arrays: &Vec<Array>, axes: &mut Vec<Option<i64>>) -> olivine::Result<()> {
        let tree = self.tree.borrow();
        let Some((tree, _)) = &*tree else {
            axes.resize(arrays.len(), Some(0));
            return Ok(());
        };
        append(tree, self.axes, axes).map_err(carried)
    }
}

impl Axes {
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.inputs)?;
        visit.call(&self.outputs)
    }

    pub(super) fn call<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        if kwargs.is_some_and(|kwargs| !kwargs.is_empty()) {
            return Err(type_error("[vmap] Keyword arguments are not supported."));
        }
        let mut arrays = Vec::new();
        let node = flatten(args, &mut arrays, Others::Refuse)?;
        let mut axes = Vec::new();
        let given = self.inputs.bind(py);
        if sequence(given) {
            append(args, given, &mut axes)?;
        } else {
            // What is given stands for each argument.
            for tree in args.iter() {
                append(&tree, given, &mut axes)?;
            }
        }
        if axes.iter().all(Option::is_none) {
            return Err(value_error("At least one of in_axes must be non-None."));
        }
        let result = RefCell::new(None);
        let run = |traced: &Vec<Array>| {
            let call = || {
                let args = node.fill(py, &mut traced.iter().cloned())?;
                let value = function.call1(args.cast_into::<PyTuple>()?)?;
                let mut outputs = Vec::new();
                let node = flatten(&value, &mut outputs, Others::Refuse)?;
                *result.borrow_mut() = Some((value, node));
                Ok(outputs)
            };
            call().map_err(carried)
        };
        let outputs = Results {
            axes: self.outputs.bind(py),
            tree: &result,
        };
        let batch = olivine::vmap(run, LeafAxes(axes), outputs)(&arrays).map_err(exception)?;
        match &*result.borrow() {
            Some((_, node)) => node.fill(py, &mut batch.into_iter()),
            None => Err(type_error("the function was not called")),
        }
    }
}

/// The function that does for a batch, at once, what another one does for one example.
///
/// Args:
///     fun: A function of trees of arrays that returns a tree of arrays.
///     in_axes: Which axis of the arguments is the batch: a whole number, or ``None`` for what all
///         examples share, or a tree of those like the arguments.
///     out_axes: Where to put the batch in the results, likewise.
///
/// Returns:
///     A function of arrays with one more axis than those that ``fun`` takes, and so are its results.
///
/// Raises:
///     ValueError: If the axes do not fit the arguments, or batches differ in size.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> dot = lambda x, y: (x * y).sum()
///     >>> rows = mx.array([[1.0, 2.0], [3.0, 4.0]])  # shape (2, 2): two examples
///     >>> mx.vmap(dot, in_axes=(0, None))(rows, mx.array([1.0, 10.0]))
///     array([21, 43], dtype=float32)
#[pyfunction]
#[pyo3(signature = (fun, in_axes=Tree(None), out_axes=Tree(None)), text_signature = "(fun, in_axes=0, out_axes=0)")]
fn vmap(fun: &Bound<'_, PyAny>, in_axes: Tree, out_axes: Tree) -> PyResult<Function> {
    let py = fun.py();
    let axes = Axes {
        inputs: in_axes.or_zero(py),
        outputs: out_axes.or_zero(py),
    };
    Function::new(fun, Transform::Vmap(axes))
}

/// A tree of axes that was given; `None` is one too.
struct Tree(Option<Py<PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Tree {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Tree(Some(object.to_owned().unbind())))
    }
}

impl Tree {
    fn or_zero(self, py: Python<'_>) -> Py<PyAny> {
        self.0
            .unwrap_or_else(|| PyInt::new(py, 0).into_any().unbind())
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(vmap, module)?)
}
