//! Owns `olivine.core.metal` and `olivine.core.cuda`: names that programs ask for, without such devices.

use pyo3::{exceptions::PyRuntimeError, prelude::*, types::PyDict};

use crate::{memory, ops::submodule};

/// Whether there is a device of this kind. This build has none.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.metal.is_available(), mx.cuda.is_available()
///     (False, False)
#[pyfunction]
fn is_available() -> bool {
    false
}

/// What there is to know about the device: nothing, where there is none.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.metal.device_info()
///     {}
#[pyfunction]
fn device_info(py: Python<'_>) -> Bound<'_, PyDict> {
    PyDict::new(py)
}

/// Starts to record what the device does.
///
/// Args:
///     path: The file to record to.
///
/// Raises:
///     RuntimeError: If there is no such device.
#[pyfunction]
fn start_capture(path: &str) -> PyResult<()> {
    Err(PyRuntimeError::new_err(format!(
        "[metal] cannot record to {path}: there is no Metal device in this build of olivine"
    )))
}

/// Stops recording what the device does.
///
/// Raises:
///     RuntimeError: If there is no such device.
#[pyfunction]
fn stop_capture() -> PyResult<()> {
    Err(PyRuntimeError::new_err(
        "[metal] there is no Metal device in this build of olivine",
    ))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let metal = submodule(module, "metal")?;
    metal.add_function(wrap_pyfunction!(is_available, &metal)?)?;
    metal.add_function(wrap_pyfunction!(device_info, &metal)?)?;
    metal.add_function(wrap_pyfunction!(start_capture, &metal)?)?;
    metal.add_function(wrap_pyfunction!(stop_capture, &metal)?)?;
    metal.add_function(wrap_pyfunction!(memory::get_active_memory, &metal)?)?;
    metal.add_function(wrap_pyfunction!(memory::get_peak_memory, &metal)?)?;
    metal.add_function(wrap_pyfunction!(memory::reset_peak_memory, &metal)?)?;
    metal.add_function(wrap_pyfunction!(memory::get_cache_memory, &metal)?)?;
    metal.add_function(wrap_pyfunction!(memory::set_memory_limit, &metal)?)?;
    metal.add_function(wrap_pyfunction!(memory::set_cache_limit, &metal)?)?;
    metal.add_function(wrap_pyfunction!(memory::set_wired_limit, &metal)?)?;
    metal.add_function(wrap_pyfunction!(memory::clear_cache, &metal)?)?;
    let cuda = submodule(module, "cuda")?;
    cuda.add_function(wrap_pyfunction!(is_available, &cuda)?)
}
