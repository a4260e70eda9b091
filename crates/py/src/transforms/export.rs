//! Owns functions in files: traced in one process, called in another; and pictures of graphs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use olivine::{
    Array,
    graph::{Op, Program, Slot, Spec, to_dot},
    io::{self, ImportedFunction, Traces},
};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};

use super::{callable, returned};
use crate::{
    arg::shape_tuple,
    array::PyArray,
    dtype::PyDtype,
    error::{carried, file_exception, type_error, value_error},
    tree::arrays_in,
};

/// Arrays by position and by name.
struct Arguments {
    positional: Vec<Array>,
    named: BTreeMap<String, Array>,
}

fn one(object: &Bound<'_, PyAny>) -> Option<Array> {
    object.cast::<PyArray>().ok().map(|array| array.get().get())
}

fn list(object: &Bound<'_, PyAny>) -> Option<Vec<Array>> {
    if !object.is_instance_of::<PyList>() && !object.is_instance_of::<PyTuple>() {
        return None;
    }
    let items = object.try_iter().ok()?;
    items.map(|item| one(&item.ok()?)).collect()
}

fn dict(object: &Bound<'_, PyAny>) -> Option<BTreeMap<String, Array>> {
    let dict = object.cast::<PyDict>().ok()?;
    let pairs = dict.iter();
    pairs
        .map(|(key, item)| Some((key.extract().ok()?, one(&item)?)))
        .collect()
}

impl Arguments {
    /// The arrays of a call: as they are, or in a list or tuple, a dictionary, or both.
    fn new(
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        what: &str,
    ) -> PyResult<Self> {
        Self::found(args, kwargs).ok_or_else(|| {
            value_error(format!(
                "[{what}] Inputs can either be a variable number of positional and keyword arrays or a \
                 single tuple and/or dictionary of arrays."
            ))
        })
    }

    fn found(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Option<Self> {
        let named = match kwargs {
            Some(kwargs) => dict(kwargs)?,
            None => BTreeMap::new(),
        };
        if let Some(positional) = list(args) {
            return Some(Arguments { positional, named });
        }
        if !named.is_empty() {
            return None;
        }
        let first = args.get_item(0).ok()?;
        let second = args.get_item(1).ok();
        match (list(&first), second, args.len()) {
            (Some(positional), None, _) => Some(Arguments { positional, named }),
            (Some(positional), Some(second), 2) => Some(Arguments {
                positional,
                named: dict(&second)?,
            }),
            (None, None, _) => Some(Arguments {
                positional: Vec::new(),
                named: dict(&first)?,
            }),
            _ => None,
        }
    }

    fn named(&self) -> Vec<(&str, Array)> {
        let pairs = self.named.iter();
        pairs
            .map(|(name, array)| (name.as_str(), array.clone()))
            .collect()
    }

    /// Traces a function for arguments like these.
    fn trace(&self, function: &Bound<'_, PyAny>, traces: &mut Traces) -> PyResult<()> {
        let py = function.py();
        let run = |arrays: &[Array]| {
            let call = || {
                let mut arrays = arrays.iter().cloned().map(PyArray::from);
                let positional: Vec<PyArray> =
                    arrays.by_ref().take(self.positional.len()).collect();
                let kwargs = PyDict::new(py);
                for (name, array) in self.named.keys().zip(arrays) {
                    kwargs.set_item(name, array)?;
                }
                let result = function.call(PyTuple::new(py, positional)?, Some(&kwargs))?;
                returned(&result, "export_function")
            };
            call().map_err(carried)
        };
        traces
            .add(run, &self.positional, &self.named())
            .map_err(file_exception)
    }
}

/// Collects traces of a function and writes them to a file when it is closed; made by :func:`exporter`.
///
/// Calling it traces the function for arguments like those it is called with.
#[pyclass(name = "FunctionExporter", module = "olivine.core", weakref)]
struct FunctionExporter {
    /// `None` once closed, or after the garbage collector has broken a cycle.
    function: Option<Py<PyAny>>,
    path: PathBuf,
    traces: Mutex<Traces>,
}

#[pymethods]
impl FunctionExporter {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let Some(function) = &self.function else {
            return Err(PyRuntimeError::new_err(
                "[export_function] Attempting to write after exporting is closed.",
            ));
        };
        let arguments = Arguments::new(args, kwargs, "export_function")?;
        // The function runs without the lock: it may come back here.
        let mut traces = Traces::new(self.lock().shapeless, "");
        arguments.trace(function.bind(py), &mut traces)?;
        self.lock().append(traces);
        Ok(())
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (exc_type=None, exc_value=None, traceback=None))]
    fn __exit__(
        &mut self,
        py: Python<'_>,
        exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (exc_value, traceback);
        if exc_type.is_some() {
            self.function = None;
            return Ok(());
        }
        self.close(py)
    }

    /// Writes the file, whole or not at all. Nothing can be traced any more.
    fn close(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.function.take().is_none() {
            return Ok(());
        }
        py.detach(|| self.lock().save(&self.path))
            .map_err(file_exception)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)
    }

    fn __clear__(&mut self) {
        self.function = None;
    }
}

impl FunctionExporter {
    fn lock(&self) -> std::sync::MutexGuard<'_, Traces> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prepares a file that holds a function traced for several kinds of arguments.
///
/// Args:
///     file: The path of the file.
///     fun: A function of arrays that returns an array, or a list or tuple of arrays.
///     shapeless: Whether the file's function takes arguments of other shapes, with as many axes.
///     metadata: A text to store with the function.
///
/// Returns:
///     An object to call with arguments of each kind. The file is written when its ``with`` statement
///     ends, or by its method ``close``.
///
/// Example:
///     >>> import os, tempfile
///     >>> import olivine.core as mx
///     >>> with tempfile.TemporaryDirectory() as folder:
///     ...     path = os.path.join(folder, "double.olivine")
///     ...     with mx.exporter(path, lambda x: x * 2) as exporter:
///     ...         exporter(mx.array([1.0]))
///     ...         exporter(mx.array([[1.0]]))
///     ...     mx.import_function(path)(mx.array([[3.0]]))
///     (array([[6]], dtype=float32),)
#[pyfunction]
#[pyo3(signature = (file, fun, *, shapeless=false, metadata=None))]
fn exporter(
    file: PathBuf,
    fun: &Bound<'_, PyAny>,
    shapeless: bool,
    metadata: Option<String>,
) -> PyResult<FunctionExporter> {
    let traces = Traces::new(shapeless, metadata.unwrap_or_default());
    Ok(FunctionExporter {
        function: Some(callable(fun)?),
        path: file,
        traces: Mutex::new(traces),
    })
}

/// Traces a function and writes a file that another process can call.
///
/// Args:
///     file_or_callback: The path of the file; or a function that is told what would be written: it is
///         called with dictionaries about the arguments, the results, the constants and each operation.
///     fun: A function of arrays that returns an array, or a list or tuple of arrays.
///     *args: Arrays like those it will be called with; or a list or tuple of them, and a dictionary of
///         those by name.
///     shapeless: Whether the file's function takes arguments of other shapes, with as many axes.
///     metadata: A text to store with the function.
///     **kwargs: Arrays that it will be called with by name.
///
/// Raises:
///     ValueError: If arguments or results are anything but arrays.
///
/// Example:
///     >>> import os, tempfile
///     >>> import olivine.core as mx
///     >>> with tempfile.TemporaryDirectory() as folder:
///     ...     path = os.path.join(folder, "double.olivine")
///     ...     mx.export_function(path, lambda x: x * 2, mx.array([1.0, 2.0]))
///     ...     double = mx.import_function(path)
///     ...     double(mx.array([3.0, 4.0]))
///     (array([6, 8], dtype=float32),)
#[pyfunction]
#[pyo3(signature = (file_or_callback, fun, *args, shapeless=false, metadata=None, **kwargs))]
fn export_function(
    file_or_callback: &Bound<'_, PyAny>,
    fun: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    shapeless: bool,
    metadata: Option<String>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let py = fun.py();
    callable(fun)?;
    let arguments = Arguments::new(args, kwargs, "export_function")?;
    let mut traces = Traces::new(shapeless, metadata.unwrap_or_default());
    if let Ok(path) = file_or_callback.extract::<PathBuf>() {
        arguments.trace(fun, &mut traces)?;
        return py.detach(|| traces.save(path)).map_err(file_exception);
    }
    if !traces.note.is_empty() {
        return Err(value_error(
            "[export_function] The metadata argument is only supported when exporting to a file, not when \
             using a callback.",
        ));
    }
    arguments.trace(fun, &mut traces)?;
    for (keywords, program) in traces.programs() {
        tell(
            &callable(file_or_callback)?.into_bound(py),
            keywords,
            program,
        )?;
    }
    Ok(())
}

/// Tells a function of Python what a program has.
fn tell(callback: &Bound<'_, PyAny>, keywords: &[String], program: &Program) -> PyResult<()> {
    let py = callback.py();
    let name = |slot: Slot| match slot {
        Slot::Input(i) => format!("input{i}"),
        Slot::Constant(i) => format!("constant{i}"),
        Slot::Step(step, output) => format!("step{step}.{output}"),
    };
    let described = |slot: Slot, spec: &Spec| -> PyResult<Bound<'_, PyAny>> {
        let shape = shape_tuple(py, &spec.shape)?;
        Ok((name(slot), shape, PyDtype(spec.dtype))
            .into_pyobject(py)?
            .into_any())
    };
    let message = |kind: &str, fields: &[(&str, Bound<'_, PyAny>)]| -> PyResult<()> {
        let dict = PyDict::new(py);
        dict.set_item("type", kind)?;
        for (key, value) in fields {
            dict.set_item(key, value)?;
        }
        callback.call1((dict,))?;
        Ok(())
    };
    let mut inputs = Vec::new();
    for (i, spec) in program.inputs.iter().enumerate() {
        inputs.push(described(Slot::Input(i as u32), spec)?);
    }
    message("inputs", &[("inputs", PyList::new(py, inputs)?.into_any())])?;
    let first = program.inputs.len() - keywords.len();
    let named = keywords
        .iter()
        .enumerate()
        .map(|(i, keyword)| (keyword, name(Slot::Input((first + i) as u32))));
    let named = PyList::new(py, named.collect::<Vec<_>>())?;
    message("keyword_inputs", &[("keywords", named.into_any())])?;
    let mut outputs = Vec::new();
    for &slot in &program.outputs {
        outputs.push(described(slot, program.spec(slot))?);
    }
    message(
        "outputs",
        &[("outputs", PyList::new(py, outputs)?.into_any())],
    )?;
    let mut constants = Vec::new();
    for (i, array) in program.constants.iter().enumerate() {
        let array = Bound::new(py, PyArray::from(array.clone()))?;
        constants.push((name(Slot::Constant(i as u32)), array));
    }
    let constants = PyList::new(py, constants)?.into_any();
    message("constants", &[("constants", constants)])?;
    for (at, step) in program.steps.iter().enumerate() {
        let mut inputs = Vec::new();
        for &slot in &step.inputs {
            inputs.push(described(slot, program.spec(slot))?);
        }
        let mut outputs = Vec::new();
        for (i, spec) in step.specs.iter().enumerate() {
            outputs.push(described(Slot::Step(at as u32, i as u32), spec)?);
        }
        let (name, arguments) = operation(py, &step.op, &step.specs[0])?;
        message(
            "primitive",
            &[
                ("name", name.into_pyobject(py)?.into_any()),
                ("inputs", PyList::new(py, inputs)?.into_any()),
                ("outputs", PyList::new(py, outputs)?.into_any()),
                ("arguments", arguments.into_any()),
            ],
        )?;
    }
    Ok(())
}

/// An operation's name, in the way of classes, and what it is told besides its inputs.
fn operation<'py>(py: Python<'py>, op: &Op, spec: &Spec) -> PyResult<(String, Bound<'py, PyList>)> {
    let arguments = PyList::empty(py);
    let name = match op.name() {
        // The base of a logarithm: two, ten or e.
        "log2" => {
            arguments.append(0)?;
            "Log".to_owned()
        }
        "log10" => {
            arguments.append(1)?;
            "Log".to_owned()
        }
        "log" => {
            arguments.append(2)?;
            "Log".to_owned()
        }
        "astype" => {
            arguments.append(PyDtype(spec.dtype))?;
            "AsType".to_owned()
        }
        name => {
            if matches!(op, Op::View(_)) {
                arguments.append(shape_tuple(py, &spec.shape)?)?;
            } else if let Op::Primitive(primitive) = op {
                arguments.append(format!("{primitive:?}"))?;
            }
            let parts = name.split('_').map(|part| {
                let mut letters = part.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                first.into_iter().chain(letters).collect::<String>()
            });
            parts.collect()
        }
    };
    Ok((name, arguments))
}

/// A function that was read from a file.
#[pyclass(name = "ImportedFunction", module = "olivine.core", frozen, weakref)]
struct Imported(Arc<ImportedFunction>);

#[pymethods]
impl Imported {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let arguments = Arguments::new(args, kwargs, "import_function::call")?;
        let results = self
            .0
            .call_named(&arguments.positional, &arguments.named())
            .map_err(file_exception)?;
        PyTuple::new(
            py,
            results.into_iter().map(PyArray::from).collect::<Vec<_>>(),
        )
    }

    fn __repr__(&self) -> String {
        format!("<imported function {}>", self.0.signatures().join(" or "))
    }
}

/// Reads a function from a file that :func:`export_function` or :func:`exporter` has written.
///
/// Args:
///     file: The path of the file.
///     return_metadata: Whether to return the text that was stored with the function too.
///
/// Returns:
///     A function that returns a tuple of arrays; with ``return_metadata``, a pair of it and the text.
///
/// Raises:
///     ValueError: When it is called with arrays of other shapes or dtypes than it was traced for.
///
/// Example:
///     >>> import os, tempfile
///     >>> import olivine.core as mx
///     >>> with tempfile.TemporaryDirectory() as folder:
///     ...     path = os.path.join(folder, "sum.olivine")
///     ...     mx.export_function(path, lambda x, y: x + y, mx.array(0), y=mx.array(0))
///     ...     mx.import_function(path)(mx.array(1), y=mx.array(2))
///     (array(3, dtype=int32),)
#[pyfunction]
#[pyo3(signature = (file, return_metadata=false))]
fn import_function(
    py: Python<'_>,
    file: PathBuf,
    return_metadata: bool,
) -> PyResult<Bound<'_, PyAny>> {
    let function = py
        .detach(|| io::import_function(file))
        .map_err(file_exception)?;
    let note = function.note().to_owned();
    let function = Bound::new(py, Imported(Arc::new(function)))?.into_any();
    if !return_metadata {
        return Ok(function);
    }
    Ok((function, note).into_pyobject(py)?.into_any())
}

/// Writes the graph of what is still to be computed, for Graphviz to draw.
///
/// Args:
///     file: A path, or an object with the method ``write`` that takes text.
///     *args: Arrays, or trees of arrays.
///     **kwargs: Arrays.
///
/// Example:
///     >>> import io
///     >>> import olivine.core as mx
///     >>> file = io.StringIO()
///     >>> mx.export_to_dot(file, mx.array([1.0]).exp())
///     >>> "exp" in file.getvalue()
///     True
#[pyfunction]
#[pyo3(signature = (file, *args, **kwargs))]
fn export_to_dot(
    file: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let mut arrays = Vec::new();
    arrays_in(args, &mut arrays)?;
    if let Some(kwargs) = kwargs {
        arrays_in(kwargs, &mut arrays)?;
    }
    if file.hasattr("write")? {
        file.call_method1("write", (to_dot(&arrays),))?;
        return Ok(());
    }
    let path: PathBuf = file.extract().map_err(|_| {
        type_error("[export_to_dot] a file is a path, or an object that writes text")
    })?;
    io::export_to_dot(path, &arrays).map_err(file_exception)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FunctionExporter>()?;
    module.add_function(wrap_pyfunction!(exporter, module)?)?;
    module.add_function(wrap_pyfunction!(export_function, module)?)?;
    module.add_function(wrap_pyfunction!(import_function, module)?)?;
    module.add_function(wrap_pyfunction!(export_to_dot, module)?)
}
