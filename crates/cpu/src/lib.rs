//! Owns the CPU backend: allocator, thread pool and kernels.
//!
//! Linking this crate registers the backend; nothing needs to be called.

mod alloc;
mod dots;
mod isa;
mod kernels;
mod machine;
mod nontemporal;
mod pool;
mod simd;
mod tensor;

use std::sync::{Arc, LazyLock};

use olivine_core::{
    Backend, Buffer, Call, Device, DeviceInfo, KernelTable, Registration, Result,
    memory::MemoryPool,
    ops::scalar::{Binary, Unary},
};

pub use isa::{Level, level};
pub use pool::{num_threads, set_num_threads};

/// The CPU backend.
struct CpuBackend {
    kernels: KernelTable,
}

impl Backend for CpuBackend {
    fn device(&self) -> Device {
        Device::Cpu
    }

    fn count(&self) -> usize {
        1
    }

    fn info(&self) -> DeviceInfo {
        machine::info()
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Buffer>> {
        alloc::POOL.allocate(bytes)
    }

    fn memory(&self) -> &dyn MemoryPool {
        &alloc::POOL
    }

    fn kernels(&self) -> &KernelTable {
        &self.kernels
    }

    fn unary(&self, op: Unary, call: &mut Call) -> Result<()> {
        kernels::unary::run(op, call)
    }

    fn binary(&self, op: Binary, call: &mut Call) -> Result<()> {
        kernels::binary::run(op, call)
    }

    fn select(&self, call: &mut Call) -> Result<()> {
        kernels::select::run(call)
    }

    fn cast(&self, call: &mut Call) -> Result<()> {
        kernels::cast::run(call)
    }

    fn copy(&self, call: &mut Call) -> Result<()> {
        kernels::copy::run(call)
    }
}

fn backend() -> &'static dyn Backend {
    static BACKEND: LazyLock<CpuBackend> = LazyLock::new(|| {
        alloc::keep_heap();
        CpuBackend {
            kernels: kernels::table(),
        }
    });
    &*BACKEND
}

inventory::submit! { Registration(backend) }
