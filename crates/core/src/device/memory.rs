//! Owns the memory counters and limits that users see; each backend's allocator keeps its own.

use std::{borrow::Borrow, collections::BTreeMap};

use super::{Device, backend};
use crate::{Array, Result};

/// What an allocator has handed out, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Held by live arrays.
    pub active: usize,
    /// The most that was ever active since the last reset.
    pub peak: usize,
    /// Freed by arrays and kept for reuse.
    pub cache: usize,
}

/// A caching allocator's controls.
pub trait MemoryPool: Send + Sync {
    /// The current counters.
    fn usage(&self) -> MemoryUse;
    /// Sets the peak to what is active now.
    fn reset_peak(&self);
    /// Fails allocations that would push `active` over `bytes`; `None` lifts the limit. Returns the
    /// previous limit.
    fn set_memory_limit(&self, bytes: Option<usize>) -> Option<usize>;
    /// Keeps at most `bytes` of freed memory for reuse. Returns the previous limit.
    fn set_cache_limit(&self, bytes: usize) -> usize;
    /// Returns all cached memory to the system.
    fn clear_cache(&self);
}

/// The memory controls of a device.
///
/// ```
/// use olivine_core::{Array, Device, memory};
/// # use olivine_cpu as _;
/// let x = Array::zeros([1024], olivine_core::Dtype::Float32)?.add(1.0)?;
/// x.eval()?;
/// assert!(memory::of(Device::Cpu)?.usage().active >= 4096);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn of(device: Device) -> Result<&'static dyn MemoryPool> {
    Ok(backend(device)?.memory())
}

/// The bytes of the buffers behind arrays, which are computed first; a buffer that several arrays view
/// counts once, and in whole.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, memory};
/// let x = array!([1.0, 2.0, 3.0, 4.0]);
/// let both = memory::array_buffer_size(&[&x, &x.index(1..)?])?;
/// assert_eq!(both, memory::array_buffer_size(&[&x])?);
/// assert!(both >= 16);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn array_buffer_size<A: Borrow<Array>>(arrays: &[A]) -> Result<usize> {
    let mut buffers = BTreeMap::new();
    for array in arrays {
        let data = array.borrow().data()?;
        buffers.insert(data.buffer.host().as_ptr() as usize, data.buffer.bytes());
    }
    Ok(buffers.values().sum())
}
