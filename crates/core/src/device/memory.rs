//! Owns the memory counters and limits that users see; each backend's allocator keeps its own.

use std::{borrow::Borrow, collections::BTreeMap};

use super::{Device, backend};
use crate::{Array, Result};

/// What an allocator has handed out, in bytes.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Device, memory};
/// let used: memory::MemoryUse = memory::of(Device::Cpu)?.usage();
/// assert!(used.peak >= used.active);
/// # Ok::<(), olivine_core::Error>(())
/// ```
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
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Device, Dtype, memory};
/// let pool: &dyn memory::MemoryPool = memory::of(Device::Cpu)?;
/// let before = pool.usage().active;
/// let x = Array::zeros([1 << 16], Dtype::Float32)?.add(1.0)?;
/// x.eval()?;
/// assert!(pool.usage().active >= before + (1 << 18));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait MemoryPool: Send + Sync {
    /// The current counters.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Device, Dtype, memory};
    /// let pool = memory::of(Device::Cpu)?;
    /// let x = Array::ones([1024], Dtype::Float32)?.exp()?;
    /// x.eval()?;
    /// assert!(pool.usage().active >= 4096);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn usage(&self) -> MemoryUse;
    /// Sets the peak to what is active now.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Device, Dtype, memory};
    /// let pool = memory::of(Device::Cpu)?;
    /// Array::ones([1024], Dtype::Float32)?.exp()?.eval()?;
    /// pool.reset_peak();
    /// assert_eq!(pool.usage().peak, pool.usage().active);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn reset_peak(&self);
    /// Fails allocations that would push `active` over `bytes`; `None` lifts the limit. Returns the
    /// previous limit.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Device, Dtype, memory};
    /// let pool = memory::of(Device::Cpu)?;
    /// let before = pool.set_memory_limit(Some(1 << 20));
    /// let large = Array::ones([1 << 20], Dtype::Float32)?.exp()?;
    /// assert!(large.eval().is_err());
    /// assert_eq!(pool.set_memory_limit(before), Some(1 << 20));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn set_memory_limit(&self, bytes: Option<usize>) -> Option<usize>;
    /// Keeps at most `bytes` of freed memory for reuse. Returns the previous limit.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Device, Dtype, memory};
    /// let pool = memory::of(Device::Cpu)?;
    /// pool.set_cache_limit(0);
    /// Array::ones([1024], Dtype::Float32)?.exp()?.eval()?;
    /// assert_eq!(pool.usage().cache, 0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn set_cache_limit(&self, bytes: usize) -> usize;
    /// Returns all cached memory to the system.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Device, Dtype, memory};
    /// let pool = memory::of(Device::Cpu)?;
    /// Array::ones([1024], Dtype::Float32)?.exp()?.eval()?;
    /// pool.clear_cache();
    /// assert_eq!(pool.usage().cache, 0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
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
