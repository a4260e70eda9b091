//! Owns compiled Python functions: what tells calls apart, and states that are captured and updated.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use olivine::{Array, CompileOptions, Trace, runs_untraced};
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::{Function, Transform};
use crate::{
    error::{OrRaise, carried, exception, type_error, value_error},
    tree::{Node, Others, Standins, flatten},
};

/// A compiled function's settings and traces.
pub(super) struct Compiled {
    /// The state that the function reads.
    inputs: Option<Py<PyAny>>,
    /// The state that it updates.
    outputs: Option<Py<PyAny>>,
    options: CompileOptions,
    traces: Mutex<HashMap<Vec<u64>, Arc<Traced>>>,
}

/// What a function does for arguments of one signature.
struct Traced {
    trace: Trace,
    /// What it returns.
    result: Node,
    /// How many arrays that has.
    count: usize,
    /// What it leaves in the state that it updates.
    state: Option<Node>,
}

impl Compiled {
    fn new(
        inputs: Option<&Bound<'_, PyAny>>,
        outputs: Option<&Bound<'_, PyAny>>,
        shapeless: bool,
    ) -> Self {
        let kept = |tree: Option<&Bound<'_, PyAny>>| tree.map(|tree| tree.clone().unbind());
        Compiled {
            inputs: kept(inputs),
            outputs: kept(outputs),
            options: CompileOptions { shapeless },
            traces: Mutex::default(),
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.inputs)?;
        visit.call(&self.outputs)?;
        let Ok(traces) = self.traces.try_lock() else {
            return Ok(());
        };
        for traced in traces.values() {
            traced.result.traverse(visit)?;
            if let Some(state) = &traced.state {
                state.traverse(visit)?;
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.inputs = None;
        self.outputs = None;
        let traces = self
            .traces
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        drop(std::mem::take(traces));
    }

    pub(super) fn call<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if runs_untraced() {
            return function.call(args, kwargs);
        }
        let py = function.py();
        let mut call = Call::new(args, kwargs, self.inputs.as_ref())?;
        let key = call.signature(py, self.options.shapeless)?;
        let lock = || self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&key).cloned();
        let traced = if let Some(traced) = known {
            traced
        } else {
            let traced = Arc::new(self.trace(function, &call)?);
            if !traced.trace.is_passing() {
                lock().insert(key, traced.clone());
            }
            traced
        };
        let arrays = std::mem::take(&mut call.arrays);
        let mut results = traced.trace.call(arrays).or_raise()?.into_iter();
        let mut own = results.by_ref().take(traced.count);
        let result = traced.result.fill(py, &mut own)?;
        if let (Some(node), Some(outputs)) = (&traced.state, &self.outputs) {
            node.fill_into(outputs.bind(py), &mut results)?;
        }
        Ok(result)
    }

    /// Calls the function with arrays that have no values, and records what it does.
    fn trace(&self, function: &Bound<'_, PyAny>, call: &Call) -> PyResult<Traced> {
        let py = function.py();
        let bound = |tree: &Option<Py<PyAny>>| tree.as_ref().map(|tree| tree.bind(py).clone());
        let (inputs, outputs) = (bound(&self.inputs), bound(&self.outputs));
        // What the state was, if the function fails halfway.
        let mut before = Vec::new();
        let before_node = match &outputs {
            Some(outputs) => Some(flatten(outputs, &mut before, Others::Keep)?),
            None => None,
        };
        let standins = RefCell::new(Standins::new());
        let mut found = None;
        let run = |traced: &[Array]| {
            let mut body = || -> PyResult<Vec<Array>> {
                let mut arrays = traced.iter().cloned();
                let args = call.args.fill(py, &mut arrays)?.cast_into::<PyTuple>()?;
                let kwargs = match &call.kwargs {
                    Some(node) => Some(node.fill(py, &mut arrays)?.cast_into::<PyDict>()?),
                    None => None,
                };
                if let Some(inputs) = &inputs {
                    standins.borrow_mut().place(inputs, &mut arrays)?;
                }
                let value = function.call(&args, kwargs.as_ref())?;
                let mut results = Vec::new();
                let result = flatten(&value, &mut results, Others::Keep)?;
                let count = results.len();
                let state = match &outputs {
                    Some(outputs) => Some(flatten(outputs, &mut results, Others::Keep)?),
                    None => None,
                };
                found = Some((result, count, state));
                Ok(results)
            };
            body().map_err(carried)
        };
        let trace = Trace::record(self.options, &call.arrays, run);
        if let Some(inputs) = &inputs {
            standins.borrow().remove(inputs)?;
        }
        let finish = || {
            let mut trace = trace.map_err(exception)?;
            let given = call.arrays[..call.given].iter();
            let given: Vec<Array> = given.filter(|x| !x.is_traced()).cloned().collect();
            if trace.captures(&given) {
                return Err(value_error(
                    "[compile] Attempting to compile a function with uncaptured inputs is not allowed: it \
                     also uses an array that it is called with, or one made from it, by another way.",
                ));
            }
            trace.optimize().or_raise()?;
            Ok(trace)
        };
        let trace = match finish() {
            Ok(trace) => trace,
            Err(error) => {
                if let (Some(node), Some(outputs)) = (&before_node, &outputs) {
                    node.fill_into(outputs, &mut before.into_iter())?;
                }
                return Err(error);
            }
        };
        let (result, count, state) =
            found.ok_or_else(|| type_error("the function was not called"))?;
        Ok(Traced {
            trace,
            result,
            count,
            state,
        })
    }
}

/// One call's arguments and captured state, taken apart.
struct Call {
    args: Node,
    kwargs: Option<Node>,
    inputs: Option<Node>,
    /// All arrays, in this order.
    arrays: Vec<Array>,
    /// How many of them are arguments.
    given: usize,
}

impl Call {
    fn new(
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        inputs: Option<&Py<PyAny>>,
    ) -> PyResult<Self> {
        let mut arrays = Vec::new();
        let mut taken = |tree: &Bound<'_, PyAny>| flatten(tree, &mut arrays, Others::Keep);
        let args_node = taken(args)?;
        let kwargs = match kwargs {
            Some(kwargs) if !kwargs.is_empty() => Some(taken(kwargs)?),
            _ => None,
        };
        let given = arrays.len();
        let inputs = match inputs {
            Some(inputs) => {
                let inputs = inputs.bind(args.py());
                Some(flatten(inputs, &mut arrays, Others::Keep)?)
            }
            None => None,
        };
        Ok(Call {
            args: args_node,
            kwargs,
            inputs,
            arrays,
            given,
        })
    }

    /// What a trace is found by.
    fn signature(&self, py: Python<'_>, shapeless: bool) -> PyResult<Vec<u64>> {
        let mut words = Vec::with_capacity(4 * self.arrays.len() + 8);
        let refused = |object: &Bound<'_, PyAny>| {
            let class = object.get_type();
            let name = class
                .name()
                .map_or_else(|_| String::new(), |name| name.to_string());
            value_error(format!(
                "[compile] Function arguments must be trees of arrays or constants (floats, ints, strings, \
                 or None), but received type {name}."
            ))
        };
        self.args.sign(py, &mut words, Others::Refuse, &refused)?;
        if let Some(kwargs) = &self.kwargs {
            kwargs.sign(py, &mut words, Others::Refuse, &refused)?;
        }
        if let Some(inputs) = &self.inputs {
            inputs.sign(py, &mut words, Others::Keep, &refused)?;
        }
        for array in &self.arrays {
            words.push((array.dtype() as u64) << 32 | array.ndim() as u64);
            if !shapeless {
                words.extend(array.shape().iter().map(|&size| size as u64));
            }
        }
        Ok(words)
    }
}

/// The function that does what another one does, but records it once for arguments of the same shapes
/// and dtypes, and from then on repeats what it recorded: in fewer, larger steps.
///
/// Arguments and results are trees of arrays and constants: numbers, texts and ``None``. Other constants,
/// as well as other shapes or dtypes, are recorded anew. Arrays that the function takes from elsewhere
/// become part of the record; a state, which it is to read and change, has to be named.
///
/// Args:
///     fun: The function to compile. It must not ask for the values of arrays.
///     inputs: A tree of arrays, such as a list or a dictionary, that the function reads besides its
///         arguments.
///     outputs: A tree of arrays that the function changes. Each call changes it likewise.
///     shapeless: Whether arguments that differ in shape only, not in the number of axes, use the same
///         record.
///
/// Returns:
///     The compiled function.
///
/// Raises:
///     ValueError: When called with arguments that are neither arrays nor constants.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> gelu = mx.compile(lambda x: x * mx.sigmoid(1.702 * x))
///     >>> gelu(mx.zeros((2,)))
///     array([0, 0], dtype=float32)
#[pyfunction]
#[pyo3(signature = (fun, inputs=None, outputs=None, shapeless=false))]
fn compile(
    fun: &Bound<'_, PyAny>,
    inputs: Option<&Bound<'_, PyAny>>,
    outputs: Option<&Bound<'_, PyAny>>,
    shapeless: bool,
) -> PyResult<Function> {
    let compiled = Compiled::new(inputs, outputs, shapeless);
    Function::new(fun, Transform::Compile(compiled))
}

/// Lets compiled functions run as they are, until :func:`enable_compile`. It helps to find mistakes.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.disable_compile()
///     >>> mx.compile(lambda x: print("called") or x)(mx.array(1))
///     called
///     array(1, dtype=int32)
///     >>> mx.enable_compile()
#[pyfunction]
fn disable_compile() {
    olivine::disable_compile();
}

/// Undoes :func:`disable_compile`.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.enable_compile()
#[pyfunction]
fn enable_compile() {
    olivine::enable_compile();
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(compile, module)?)?;
    module.add_function(wrap_pyfunction!(disable_compile, module)?)?;
    module.add_function(wrap_pyfunction!(enable_compile, module)?)
}
