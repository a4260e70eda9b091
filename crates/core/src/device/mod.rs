//! Owns devices, streams and the boundary to backends. Nothing here names a backend.

mod backend;
mod buffer;
mod call;
pub mod memory;
mod stream;

use std::fmt;

use crate::Result;

pub use backend::{Backend, DeviceInfo, KernelTable, Registration, backend};
pub(crate) use buffer::Few;
pub use buffer::{Buffer, Data, HostBuffer};
pub use call::{Call, Operand};
pub use stream::{
    Event, Stream, ThreadLocalStream, clear_streams, new_thread_local_stream,
    new_thread_unsafe_stream, synchronize,
};
pub(crate) use stream::{Job, failed, submit, told};

/// Where operations run.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Device, Stream};
/// assert_eq!(Device::Cpu.to_string(), "cpu");
/// assert_eq!(Stream::current().device(), Device::Cpu);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Device {
    /// The processor.
    Cpu,
    /// The graphics processor.
    Gpu,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Device::Cpu => "cpu",
            Device::Gpu => "gpu",
        })
    }
}

/// The number of devices of a kind that this program can use: those whose backend is linked.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Device, device_count};
/// assert_eq!(device_count(Device::Cpu), 1);
/// ```
pub fn device_count(device: Device) -> usize {
    backend(device).map_or(0, Backend::count)
}

/// True if this program can use a device of this kind.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Device, is_available};
/// assert!(is_available(Device::Cpu));
/// ```
pub fn is_available(device: Device) -> bool {
    device_count(device) > 0
}

/// What the system says about a device. Fails if no backend is linked for it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Device, device_info};
/// let info = device_info(Device::Cpu)?;
/// assert_eq!(info.architecture, std::env::consts::ARCH);
/// assert!(!info.device_name.is_empty());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn device_info(device: Device) -> Result<DeviceInfo> {
    Ok(backend(device)?.info())
}
