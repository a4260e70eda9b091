//! Owns `olivine.core.distributed` for one process: a group of one, in which everything stays the same.

use pyo3::{exceptions::PyRuntimeError, prelude::*, types::PyAny};

use crate::{
    arg::{Input, Sizes},
    array::PyArray,
    device::On,
    dtype::PyDtype,
    error::{type_error, value_error},
    ops::submodule,
};

/// Processes that work together. In this build that is one.
#[pyclass(name = "Group", module = "olivine.core.distributed", frozen)]
struct Group;

#[pymethods]
impl Group {
    /// The number of this process in the group.
    #[expect(clippy::unused_self, reason = "Python passes it")]
    fn rank(&self) -> usize {
        0
    }

    /// How many processes the group has.
    #[expect(clippy::unused_self, reason = "Python passes it")]
    fn size(&self) -> usize {
        1
    }

    /// Splits the group by color.
    ///
    /// Args:
    ///     color: Processes of the same color form a group.
    ///     key: What they are ordered by.
    ///
    /// Raises:
    ///     RuntimeError: Since one process cannot be split.
    #[pyo3(signature = (color, key=-1), text_signature = "($self, color, key=-1)")]
    #[expect(clippy::unused_self, reason = "Python passes it")]
    fn split(&self, color: i64, key: i64) -> PyResult<Group> {
        Err(PyRuntimeError::new_err(format!(
            "[distributed] a group of one process cannot be split (color {color}, key {key})"
        )))
    }
}

/// The ways of communication that programs may name.
const BACKENDS: [&str; 5] = ["any", "mpi", "nccl", "jaccl", "ring"];

/// Whether processes can communicate. A group of one is always available, a named backend is not.
///
/// Args:
///     backend: The way of communication.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.distributed.is_available("mpi")
///     False
#[pyfunction]
#[pyo3(signature = (backend="any"))]
fn is_available(backend: &str) -> bool {
    backend == "any"
}

/// Joins the processes that were started together: in this build, a group of one.
///
/// Args:
///     strict: Whether it is an error that there is nobody to communicate with.
///     backend: The way of communication.
///     all_gather_factory: Takes a rank and a size and returns a function that exchanges bytes; not
///         needed by a group of one.
///
/// Returns:
///     The group.
///
/// Raises:
///     RuntimeError: With ``strict``, since no backend is built in.
///     ValueError: If there is no backend of this name.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> world = mx.distributed.init()
///     >>> world.rank(), world.size()
///     (0, 1)
#[pyfunction]
#[pyo3(signature = (strict=false, backend="any", *, all_gather_factory=None))]
fn init(
    strict: bool,
    backend: &str,
    all_gather_factory: Option<&Bound<'_, PyAny>>,
) -> PyResult<Group> {
    if all_gather_factory.is_some_and(|factory| !factory.is_callable()) {
        return Err(type_error("all_gather_factory is a function"));
    }
    if !BACKENDS.contains(&backend) {
        return Err(value_error(format!(
            "[distributed] the backends are 'any', 'mpi', 'nccl', 'jaccl' and 'ring', not '{backend}'"
        )));
    }
    if strict {
        return Err(PyRuntimeError::new_err(format!(
            "[distributed] this build of olivine has no backend to initialize for '{backend}'"
        )));
    }
    Ok(Group)
}

/// What all processes of a group get is what its only one has.
fn same(x: Input, group: Option<&Bound<'_, Group>>, stream: Option<On>) -> PyArray {
    let _ = (group, stream);
    PyArray::from(x.0)
}

macro_rules! collective {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Args:
        ///     x: An array of any shape.
        ///     group: The processes. By default, all.
        ///     stream: Where to compute. By default, the current stream.
        ///
        /// Returns:
        ///     In a group of one, the array itself.
        ///
        /// Example:
        ///     >>> import olivine.core as mx
        #[doc = concat!("    >>> mx.distributed.", stringify!($name), "(mx.array([1, 2]))")]
        ///     array([1, 2], dtype=int32)
        #[pyfunction]
        #[pyo3(signature = (x, *, group=None, stream=None))]
        fn $name(
            x: Input,
            group: Option<&Bound<'_, Group>>,
            stream: Option<On>,
        ) -> PyArray {
            same(x, group, stream)
        }
    )*};
}

collective! {
    /// The sum of the arrays of all processes.
    all_sum;
    /// The largest elements among the arrays of all processes.
    all_max;
    /// The smallest elements among the arrays of all processes.
    all_min;
    /// The arrays of all processes, joined along the first axis.
    all_gather;
    /// This process's part, along the first axis, of the sum of the arrays of all processes.
    sum_scatter;
}

/// Sends an array to another process.
///
/// Args:
///     x: An array of any shape.
///     dst: The number of the process to send to.
///     group: The processes. By default, all.
///     stream: Where to compute. By default, the current stream.
///
/// Raises:
///     ValueError: In a group of one, which has nobody to send to.
#[pyfunction]
#[pyo3(signature = (x, dst, *, group=None, stream=None))]
fn send(
    x: Input,
    dst: i64,
    group: Option<&Bound<'_, Group>>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let _ = (x, group, stream);
    Err(value_error(format!(
        "[send] a group of one process cannot send to process {dst}"
    )))
}

fn nobody_sends(source: i64) -> PyErr {
    value_error(format!(
        "[recv] a group of one process cannot receive from process {source}"
    ))
}

/// Receives an array from another process.
///
/// Args:
///     shape: The shape of the array.
///     dtype: Its dtype.
///     src: The number of the process that sends it.
///     group: The processes. By default, all.
///     stream: Where to compute. By default, the current stream.
///
/// Raises:
///     ValueError: In a group of one, which has nobody to receive from.
#[pyfunction]
#[pyo3(signature = (shape, dtype, src, *, group=None, stream=None))]
fn recv(
    shape: Sizes,
    dtype: PyDtype,
    src: i64,
    group: Option<&Bound<'_, Group>>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let _ = (shape, dtype, group, stream);
    Err(nobody_sends(src))
}

/// Receives an array like another one from another process.
///
/// Args:
///     x: An array of the shape and dtype to receive.
///     src: The number of the process that sends it.
///     group: The processes. By default, all.
///     stream: Where to compute. By default, the current stream.
///
/// Raises:
///     ValueError: In a group of one, which has nobody to receive from.
#[pyfunction]
#[pyo3(signature = (x, src, *, group=None, stream=None))]
fn recv_like(
    x: Input,
    src: i64,
    group: Option<&Bound<'_, Group>>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let _ = (x, group, stream);
    Err(nobody_sends(src))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let distributed = submodule(module, "distributed")?;
    distributed.add_class::<Group>()?;
    distributed.add_function(wrap_pyfunction!(is_available, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(init, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(all_sum, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(all_max, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(all_min, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(all_gather, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(sum_scatter, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(send, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(recv, &distributed)?)?;
    distributed.add_function(wrap_pyfunction!(recv_like, &distributed)?)
}
