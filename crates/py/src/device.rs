//! Owns devices and streams as Python sees them, and the `stream` argument of every operation.

use olivine::{Device, Stream};
use pyo3::{prelude::*, types::PyAny};

use crate::error::value_error;

/// A kind of device.
#[pyclass(
    name = "DeviceType",
    module = "olivine.core",
    frozen,
    eq,
    eq_int,
    hash,
    from_py_object
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, reason = "the names that Python sees")]
pub(crate) enum PyDeviceType {
    /// The processor.
    cpu,
    /// The graphics processor.
    gpu,
}

impl PyDeviceType {
    fn native(self) -> Device {
        match self {
            PyDeviceType::cpu => Device::Cpu,
            PyDeviceType::gpu => Device::Gpu,
        }
    }

    fn of(device: Device) -> Self {
        match device {
            Device::Cpu => PyDeviceType::cpu,
            Device::Gpu => PyDeviceType::gpu,
        }
    }
}

/// A device: a kind and its number.
#[pyclass(name = "Device", module = "olivine.core", frozen, from_py_object)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct PyDevice {
    kind: PyDeviceType,
    index: i32,
}

#[pymethods]
impl PyDevice {
    #[new]
    #[pyo3(signature = (r#type, index=0))]
    fn new(r#type: PyDeviceType, index: i32) -> Self {
        PyDevice {
            kind: r#type,
            index,
        }
    }

    /// The kind of device.
    #[getter]
    fn r#type(&self) -> PyDeviceType {
        self.kind
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
            .is_ok_and(|kind| kind == self.kind)
    }

    fn __hash__(&self) -> u64 {
        (self.kind as u64) << 32 | u64::from(self.index.unsigned_abs())
    }

    fn __repr__(&self) -> String {
        format!("Device({}, {})", self.kind.native(), self.index)
    }
}

/// A queue of work on a device. Work on different streams runs concurrently.
#[pyclass(
    name = "Stream",
    module = "olivine.core",
    frozen,
    eq,
    hash,
    from_py_object
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PyStream(pub(crate) Stream);

#[pymethods]
impl PyStream {
    /// The device that the stream belongs to.
    #[getter]
    fn device(&self) -> PyDevice {
        PyDevice {
            kind: PyDeviceType::of(self.0.device()),
            index: 0,
        }
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
        if let Ok(stream) = object.extract::<PyStream>() {
            return Ok(On(Some(stream.0)));
        }
        let kind = match object.extract::<PyDevice>() {
            Ok(device) => device.kind,
            Err(_) => object.extract::<PyDeviceType>()?,
        };
        Ok(On(Some(default_stream(kind.native())?)))
    }
}

/// The stream that work on `device` goes to if none is named.
pub(crate) fn default_stream(device: Device) -> PyResult<Stream> {
    if device == Device::Gpu {
        return Err(value_error(
            "[default_stream] there is no GPU backend in this build of olivine",
        ));
    }
    let current = Stream::current();
    Ok(if current.device() == device {
        current
    } else {
        Stream::default_for(device)
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

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDeviceType>()?;
    module.add_class::<PyDevice>()?;
    module.add_class::<PyStream>()?;
    module.add("cpu", PyDeviceType::cpu)?;
    module.add("gpu", PyDeviceType::gpu)
}
