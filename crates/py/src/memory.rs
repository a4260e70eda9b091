//! Owns the memory counters and limits.

use std::sync::atomic::{AtomicUsize, Ordering};

use olivine::{Device, memory};
use pyo3::{prelude::*, types::PyTuple};

use crate::{error::OrRaise, transforms::eval::compute, tree::arrays_in};

/// The limit that is in force until another one is set: more than any machine has.
const UNLIMITED: usize = isize::MAX as usize;

/// The memory limit that is in force.
static LIMIT: AtomicUsize = AtomicUsize::new(UNLIMITED);

/// What was in use when the peak was last reset, which does not count.
static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);

/// The limit of wired memory, which means nothing to processors.
static WIRED: AtomicUsize = AtomicUsize::new(0);

fn pool() -> PyResult<&'static dyn memory::MemoryPool> {
    memory::of(Device::Cpu).or_raise()
}

/// The bytes that live arrays hold.
///
/// Returns:
///     A number of bytes, without what is kept for reuse.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> x = mx.zeros((1024,)) + 1
///     >>> mx.eval(x)
///     >>> mx.get_active_memory() >= 4096
///     True
#[pyfunction]
pub(crate) fn get_active_memory() -> PyResult<usize> {
    Ok(pool()?.usage().active)
}

/// The most bytes that live arrays held at once since the start or :func:`reset_peak_memory`.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.get_peak_memory() >= mx.get_active_memory()
///     True
#[pyfunction]
pub(crate) fn get_peak_memory() -> PyResult<usize> {
    let peak = pool()?.usage().peak;
    Ok(if peak <= FORGOTTEN.load(Ordering::Relaxed) {
        0
    } else {
        peak
    })
}

/// Counts the most memory in use anew, from zero.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.reset_peak_memory()
#[pyfunction]
pub(crate) fn reset_peak_memory() -> PyResult<()> {
    let pool = pool()?;
    pool.reset_peak();
    FORGOTTEN.store(pool.usage().peak, Ordering::Relaxed);
    Ok(())
}

/// The bytes that arrays have freed and that are kept for reuse.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.clear_cache()
///     >>> mx.get_cache_memory()
///     0
#[pyfunction]
pub(crate) fn get_cache_memory() -> PyResult<usize> {
    Ok(pool()?.usage().cache)
}

/// The memory limit that :func:`set_memory_limit` has set.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.get_memory_limit() > 0
///     True
#[pyfunction]
fn get_memory_limit() -> usize {
    LIMIT.load(Ordering::Relaxed)
}

/// Limits the memory that arrays take; one that would take more is an error.
///
/// Args:
///     limit: A number of bytes.
///
/// Returns:
///     The previous limit.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> previous = mx.set_memory_limit(1 << 40)
///     >>> mx.set_memory_limit(previous) == 1 << 40
///     True
#[pyfunction]
pub(crate) fn set_memory_limit(limit: usize) -> PyResult<usize> {
    pool()?.set_memory_limit(Some(limit));
    Ok(LIMIT.swap(limit, Ordering::Relaxed))
}

/// Limits the freed memory that is kept for reuse.
///
/// Args:
///     limit: A number of bytes; zero keeps none.
///
/// Returns:
///     The previous limit.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> previous = mx.set_cache_limit(0)
///     >>> mx.set_cache_limit(previous)
///     0
#[pyfunction]
pub(crate) fn set_cache_limit(limit: usize) -> PyResult<usize> {
    Ok(pool()?.set_cache_limit(limit))
}

/// Limits the memory that a graphics processor keeps resident. Without one it changes nothing.
///
/// Args:
///     limit: A number of bytes.
///
/// Returns:
///     The previous limit; zero without a graphics processor.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.set_wired_limit(0)
///     0
#[pyfunction]
pub(crate) fn set_wired_limit(limit: usize) -> usize {
    let _ = limit;
    WIRED.load(Ordering::Relaxed)
}

/// Gives the memory that is kept for reuse back to the system.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.clear_cache()
#[pyfunction]
pub(crate) fn clear_cache() -> PyResult<()> {
    pool()?.clear_cache();
    Ok(())
}

/// The bytes of the memory behind arrays, which are computed first.
///
/// Args:
///     *args: Arrays, or trees of arrays.
///
/// Returns:
///     A number of bytes. Memory that several arrays view counts once, and in whole.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> x = mx.arange(4)
///     >>> mx.get_array_buffer_size(x, x) == mx.get_array_buffer_size(x)
///     True
#[pyfunction]
#[pyo3(signature = (*args))]
fn get_array_buffer_size(py: Python<'_>, args: &Bound<'_, PyTuple>) -> PyResult<usize> {
    let mut arrays = Vec::new();
    arrays_in(args, &mut arrays)?;
    compute(py, &arrays.iter().collect::<Vec<_>>())?;
    memory::array_buffer_size(&arrays).or_raise()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(get_active_memory, module)?)?;
    module.add_function(wrap_pyfunction!(get_peak_memory, module)?)?;
    module.add_function(wrap_pyfunction!(reset_peak_memory, module)?)?;
    module.add_function(wrap_pyfunction!(get_cache_memory, module)?)?;
    module.add_function(wrap_pyfunction!(get_memory_limit, module)?)?;
    module.add_function(wrap_pyfunction!(set_memory_limit, module)?)?;
    module.add_function(wrap_pyfunction!(set_cache_limit, module)?)?;
    module.add_function(wrap_pyfunction!(set_wired_limit, module)?)?;
    module.add_function(wrap_pyfunction!(clear_cache, module)?)?;
    module.add_function(wrap_pyfunction!(get_array_buffer_size, module)?)
}
