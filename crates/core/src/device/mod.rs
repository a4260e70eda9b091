//! Owns devices, streams and the boundary to backends. Nothing here names a backend.

mod backend;
mod buffer;
mod call;
pub mod memory;
mod stream;

use std::fmt;

pub use backend::{Backend, KernelTable, Registration, backend};
pub(crate) use buffer::Few;
pub use buffer::{Buffer, Data, HostBuffer};
pub use call::{Call, Operand};
pub use stream::{Event, Stream, synchronize};
pub(crate) use stream::{Job, submit};

/// Where operations run.
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
