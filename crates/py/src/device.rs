//! Owns devices and streams as Python sees them, and the `stream` argument of every operation.

use std::{
    hash::{Hash, Hasher},
    thread::{self, ThreadId},
};

use olivine::{Device, Stream, ThreadLocalStream};
use pyo3::{
    exceptions::PyRuntimeError,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyAny, PyDict},
};

use crate::dtype::enumeration;
use crate::error::{evaluation_exception, type_error, value_error};

/// A kind of device; a member of Python's enumeration `DeviceType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PyDeviceType(Device);

/// The kinds in the order of their numbers.
const KINDS: [(&str, Device); 2] = [("cpu", Device::Cpu), ("gpu", Device::Gpu)];

/// `DeviceType`, a Python enumeration.
fn kind_class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let members = KINDS.iter().zip(0usize..);
        let members: Vec<(&str, usize)> = members.map(|((name, _), i)| (*name, i)).collect();
        enumeration(py, "DeviceType", members, "A kind of device.")
    })?;
    Ok(class.bind(py))
}

impl<'py> FromPyObject<'_, 'py> for PyDeviceType {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = object.py();
        if !object.is_instance(kind_class(py)?)? {
            let class = object.get_type();
            let name = class.name()?;
            return Err(type_error(format!(
                "a kind of device is needed, not {name}"
            )));
        }
        let number: usize = object.getattr(intern!(py, "value"))?.extract()?;
        match KINDS.get(number) {
            Some(&(_, device)) => Ok(PyDeviceType(device)),
            None => Err(type_error(format!("there is no kind of device {number}"))),
        }
    }
}

impl<'py> IntoPyObject<'py> for PyDeviceType {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let kind = KINDS.iter().find(|(_, device)| *device == self.0);
        let (name, _) = kind.expect("all kinds of devices are listed");
        kind_class(py)?.getattr(*name)
    }
}

/// A device: a kind and its number.
#[pyclass(name = "Device", module = "olivine.core", frozen, from_py_object)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct PyDevice {
    kind: Device,
    index: i32,
}

impl PyDevice {
    pub(crate) fn of(device: Device) -> Self {
        PyDevice {
            kind: device,
            index: 0,
        }
    }
}

#[pymethods]
impl PyDevice {
    #[new]
    #[pyo3(signature = (r#type, index=0))]
    fn new(r#type: PyDeviceType, index: i32) -> Self {
        PyDevice {
            kind: r#type.0,
            index,
        }
    }

    /// The kind of device.
    #[getter]
    fn r#type(&self) -> PyDeviceType {
        PyDeviceType(self.kind)
    }

    /// The device's number among those of its kind.
    #[getter]
    fn index(&self) -> i32 {
        self.index
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        if let Ok(other) = other.extract::<PyDevice>() {
            return (self.kind, self.index) == (other.kind, other.index);
        }
        other
            .extract::<PyDeviceType>()
            .is_ok_and(|kind| kind.0 == self.kind)
    }

    fn __hash__(&self) -> u64 {
        (self.kind as u64) << 32 | u64::from(self.index.unsigned_abs())
    }

    fn __repr__(&self) -> String {
        format!("Device({}, {})", self.kind, self.index)
    }
}

/// A queue of work on a device. Work on different streams runs concurrently.
///
/// A stream is for the thread that made it; see :func:`new_thread_local_stream` for one that every
/// thread may use.
#[pyclass(
    name = "Stream",
    module = "olivine.core",
    frozen,
    eq,
    hash,
    from_py_object
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct PyStream {
    pub(crate) stream: Stream,
    /// The only thread that may use it, if there is one.
    owner: Option<ThreadId>,
}

impl PartialEq for PyStream {
    fn eq(&self, other: &Self) -> bool {
        self.stream == other.stream
    }
}

impl Hash for PyStream {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.stream.hash(state);
    }
}

impl PyStream {
    /// A stream that any thread may use.
    fn shared(stream: Stream) -> Self {
        PyStream {
            stream,
            owner: None,
        }
    }

    /// The stream, if this thread may use it.
    fn here(&self) -> PyResult<Stream> {
        if self
            .owner
            .is_some_and(|owner| owner != thread::current().id())
        {
            return Err(PyRuntimeError::new_err(format!(
                "{} belongs to another thread; a stream for several threads is made by \
                 new_thread_local_stream",
                self.__repr__()
            )));
        }
        Ok(self.stream)
    }
}

#[pymethods]
impl PyStream {
    /// The device that the stream belongs to.
    #[getter]
    fn device(&self) -> PyDevice {
        PyDevice::of(self.stream.device())
    }

    fn __repr__(&self) -> String {
        let device = self.device();
        format!("Stream({}, {})", device.__repr__(), self.stream.index())
    }
}

/// The `stream` argument of operations: a stream, a device, or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct On(Option<Stream>);

impl<'py> FromPyObject<'_, 'py> for On {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(On(None));
        }
        stream_of(&object).map(|stream| On(Some(stream)))
    }
}

/// The stream that an argument names: a stream, a device or a kind of device.
fn stream_of(object: &Bound<'_, PyAny>) -> PyResult<Stream> {
    if let Ok(stream) = object.extract::<PyStream>() {
        return stream.here();
    }
    if let Ok(stream) = object.extract::<PyThreadLocalStream>() {
        return Ok(stream.0.get());
    }
    device_of(object).and_then(stream_for)
}

/// A stream of its own for every thread that uses it; made by :func:`new_thread_local_stream`.
#[pyclass(
    name = "ThreadLocalStream",
    module = "olivine.core",
    frozen,
    eq,
    hash,
    from_py_object
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PyThreadLocalStream(ThreadLocalStream);

#[pymethods]
impl PyThreadLocalStream {
    /// The device that its streams belong to.
    #[getter]
    fn device(&self) -> PyDevice {
        PyDevice::of(self.0.device())
    }

    fn __repr__(&self) -> String {
        format!("ThreadLocal{}", PyStream::shared(self.0.get()).__repr__())
    }
}

/// The device that an argument names: a device or a kind of device.
fn device_of(object: &Bound<'_, PyAny>) -> PyResult<PyDevice> {
    if let Ok(device) = object.extract::<PyDevice>() {
        return Ok(device);
    }
    let kind = object
        .extract::<PyDeviceType>()
        .map_err(|_| type_error(format!("a stream or a device is needed, not {object}")))?;
    Ok(PyDevice::of(kind.0))
}

/// The kind of device that an argument names, which need not be there; by default the current stream's.
pub(crate) fn kind_of(stream: Option<&Bound<'_, PyAny>>) -> PyResult<Device> {
    let Some(stream) = stream else {
        return Ok(Stream::current().device());
    };
    match stream_of(stream) {
        Ok(stream) => Ok(stream.device()),
        Err(_) => device_of(stream).map(|device| device.kind),
    }
}

fn no_gpu(what: &str) -> PyErr {
    value_error(format!(
        "[{what}] there is no GPU backend in this build of olivine"
    ))
}

/// The stream that work on `device` goes to if none is named.
fn stream_for(device: PyDevice) -> PyResult<Stream> {
    if device.kind == Device::Gpu {
        return Err(no_gpu("default_stream"));
    }
    let current = Stream::current();
    Ok(if current.device() == device.kind {
        current
    } else {
        Stream::default_for(device.kind)
    })
}

impl On {
    /// Runs `f`; the operations it builds are placed on the stream, if there is one.
    #[inline]
    pub(crate) fn run<T>(self, f: impl FnOnce() -> T) -> T {
        match self.0 {
            None => f(),
            Some(stream) => stream.scope(f),
        }
    }
}

/// Makes operations go to a stream inside a ``with`` statement; made by :func:`stream`.
#[pyclass(name = "StreamContext", module = "olivine.core")]
struct StreamContext {
    /// A stream, a device or a kind of device.
    target: Py<PyAny>,
    /// What was current before each entry.
    before: Vec<Stream>,
}

#[pymethods]
impl StreamContext {
    #[new]
    fn new(s: &Bound<'_, PyAny>) -> PyResult<Self> {
        if s.extract::<PyStream>().is_err() && s.extract::<PyThreadLocalStream>().is_err() {
            device_of(s)?;
        }
        Ok(StreamContext {
            target: s.clone().unbind(),
            before: Vec::new(),
        })
    }

    fn __enter__(&mut self, py: Python<'_>) -> PyResult<()> {
        let stream = stream_of(self.target.bind(py))?;
        self.before.push(stream.make_current());
        Ok(())
    }

    #[pyo3(signature = (exc_type=None, exc_value=None, traceback=None))]
    fn __exit__(
        &mut self,
        exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) {
        let _ = (exc_type, exc_value, traceback);
        if let Some(before) = self.before.pop() {
            before.make_current();
        }
    }
}

/// The device that operations run on if they name none.
///
/// Returns:
///     The device of this thread's current stream.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.default_device()
///     Device(cpu, 0)
#[pyfunction]
fn default_device() -> PyDevice {
    PyDevice::of(Stream::current().device())
}

/// Makes operations run on a device if they name none.
///
/// Args:
///     device: A device or a kind of device.
///
/// Raises:
///     ValueError: If there is no such device.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.set_default_device(mx.cpu)
#[pyfunction]
fn set_default_device(device: &Bound<'_, PyAny>) -> PyResult<()> {
    let device = device_of(device)?;
    if device.kind == Device::Gpu {
        return Err(no_gpu("set_default_device"));
    }
    stream_for(device)?.make_current();
    Ok(())
}

/// The stream that operations on a device go to if they name none.
///
/// Args:
///     device: A device or a kind of device.
///
/// Returns:
///     This thread's current stream on the device.
///
/// Raises:
///     ValueError: If there is no such device.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.default_stream(mx.cpu).device
///     Device(cpu, 0)
#[pyfunction]
fn default_stream(device: &Bound<'_, PyAny>) -> PyResult<PyStream> {
    stream_for(device_of(device)?).map(PyStream::shared)
}

/// Makes this thread's operations go to a stream if they name none.
///
/// Args:
///     stream: A stream.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> before = mx.default_stream(mx.cpu)
///     >>> mx.set_default_stream(mx.new_stream(mx.cpu))
///     >>> mx.set_default_stream(before)
#[pyfunction]
fn set_default_stream(stream: PyStream) -> PyResult<()> {
    stream.here()?.make_current();
    Ok(())
}

/// A new stream, for this thread.
///
/// Args:
///     device: A device or a kind of device.
///
/// Returns:
///     A stream whose work runs concurrently with that of others.
///
/// Raises:
///     ValueError: If there is no such device.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> side = mx.new_stream(mx.cpu)
///     >>> mx.add(mx.array(1), mx.array(2), stream=side)
///     array(3, dtype=int32)
#[pyfunction]
fn new_stream(device: &Bound<'_, PyAny>) -> PyResult<PyStream> {
    let device = device_of(device)?;
    if device.kind == Device::Gpu {
        return Err(no_gpu("new_stream"));
    }
    Ok(PyStream {
        stream: Stream::new(device.kind),
        owner: Some(thread::current().id()),
    })
}

/// A new stream that is another one on every thread.
///
/// Args:
///     device: A device or a kind of device.
///
/// Returns:
///     What stands for a stream of its own on every thread that uses it.
///
/// Raises:
///     ValueError: If there is no such device.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> side = mx.new_thread_local_stream(mx.cpu)
///     >>> with mx.stream(side):
///     ...     x = mx.array(1) + 2
///     >>> x
///     array(3, dtype=int32)
#[pyfunction]
fn new_thread_local_stream(device: &Bound<'_, PyAny>) -> PyResult<PyThreadLocalStream> {
    let device = device_of(device)?;
    if device.kind == Device::Gpu {
        return Err(no_gpu("new_thread_local_stream"));
    }
    let stream = olivine::new_thread_local_stream(device.kind);
    Ok(PyThreadLocalStream(stream))
}

/// A new stream that any thread may use.
///
/// Args:
///     device: A device or a kind of device.
///
/// Returns:
///     A stream.
///
/// Raises:
///     ValueError: If there is no such device.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.new_thread_unsafe_stream(mx.cpu).device
///     Device(cpu, 0)
#[pyfunction(name = "new_thread_unsafe_stream")]
fn new_shared_stream(device: &Bound<'_, PyAny>) -> PyResult<PyStream> {
    let device = device_of(device)?;
    if device.kind == Device::Gpu {
        return Err(no_gpu("new_thread_unsafe_stream"));
    }
    let stream = olivine::new_thread_unsafe_stream(device.kind);
    Ok(PyStream::shared(stream))
}

/// Waits for the streams that this thread has made, and frees what they hold.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.clear_streams()
#[pyfunction]
fn clear_streams(py: Python<'_>) {
    py.detach(olivine::clear_streams);
}

/// Makes operations go to a stream or device inside a ``with`` statement.
///
/// Args:
///     s: A stream, a device or a kind of device.
///
/// Returns:
///     A context manager.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> with mx.stream(mx.cpu):
///     ...     x = mx.ones((2,)) + 1
///     >>> x
///     array([2, 2], dtype=float32)
#[pyfunction]
fn stream(s: &Bound<'_, PyAny>) -> PyResult<StreamContext> {
    StreamContext::new(s)
}

/// Waits for all work that has been given to a stream.
///
/// Args:
///     stream: A stream, a device or a kind of device. By default, this thread's current stream.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.async_eval(mx.ones((2,)) + 1)
///     >>> mx.synchronize()
#[pyfunction]
#[pyo3(signature = (stream=None))]
fn synchronize(py: Python<'_>, stream: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let stream = match stream {
        Some(stream) => stream_of(stream)?,
        None => Stream::current(),
    };
    py.detach(|| olivine::synchronize(stream))
        .map_err(evaluation_exception)
}

/// Whether there is a device.
///
/// Args:
///     device: A device or a kind of device.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.is_available(mx.cpu), mx.is_available(mx.gpu)
///     (True, False)
#[pyfunction]
fn is_available(device: &Bound<'_, PyAny>) -> PyResult<bool> {
    let device = device_of(device)?;
    Ok(device.kind == Device::Cpu && device.index == 0)
}

/// How many devices of a kind there are.
///
/// Args:
///     device_type: The kind of device.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.device_count(mx.cpu)
///     1
#[pyfunction]
fn device_count(device_type: PyDeviceType) -> usize {
    usize::from(device_type.0 == Device::Cpu)
}

/// What there is to know about a device.
///
/// Args:
///     d: A device or a kind of device. By default, the default device.
///
/// Returns:
///     A dictionary with at least ``device_name`` and ``architecture``; empty if there is no such device.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> "device_name" in mx.device_info(mx.cpu)
///     True
#[pyfunction]
#[pyo3(signature = (d=None))]
fn device_info<'py>(
    py: Python<'py>,
    d: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let device = match d {
        Some(device) => device_of(device)?,
        None => default_device(),
    };
    let info = PyDict::new(py);
    if device.kind == Device::Cpu && device.index == 0 {
        info.set_item("device_name", processor())?;
        info.set_item("architecture", std::env::consts::ARCH)?;
    }
    Ok(info)
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let table = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = table
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = name.and_then(|rest| rest.split_once(':'));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("DeviceType", kind_class(module.py())?)?;
    module.add_class::<PyDevice>()?;
    module.add_class::<PyStream>()?;
    module.add_class::<PyThreadLocalStream>()?;
    module.add_class::<StreamContext>()?;
    module.add_function(wrap_pyfunction!(new_thread_local_stream, module)?)?;
    module.add_function(wrap_pyfunction!(new_shared_stream, module)?)?;
    module.add_function(wrap_pyfunction!(clear_streams, module)?)?;
    module.add_function(wrap_pyfunction!(default_device, module)?)?;
    module.add_function(wrap_pyfunction!(set_default_device, module)?)?;
    module.add_function(wrap_pyfunction!(default_stream, module)?)?;
    module.add_function(wrap_pyfunction!(set_default_stream, module)?)?;
    module.add_function(wrap_pyfunction!(new_stream, module)?)?;
    module.add_function(wrap_pyfunction!(stream, module)?)?;
    module.add_function(wrap_pyfunction!(synchronize, module)?)?;
    module.add_function(wrap_pyfunction!(is_available, module)?)?;
    module.add_function(wrap_pyfunction!(device_count, module)?)?;
    module.add_function(wrap_pyfunction!(device_info, module)?)?;
    module.add("cpu", PyDeviceType(Device::Cpu))?;
    module.add("gpu", PyDeviceType(Device::Gpu))
}
