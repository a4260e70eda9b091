// Owns a backend for examples in the documentation: the CPU's, but for its kernels.
// Examples include this file; it is no part of the library.

use std::sync::{Arc, OnceLock};

use olivine_core::{
    Array, Backend, Buffer, Call, Device, DeviceInfo, KernelTable, Registration, Result, Stream, backend,
    memory::MemoryPool,
    ops::{
        scalar::{Binary, Unary},
        softmax::Softmax,
    },
};

/// Stands in the place of the graphics processor's backend.
struct Example;

static KERNELS: OnceLock<KernelTable> = OnceLock::new();

inventory::submit! { Registration(|| &Example) }

fn cpu() -> &'static dyn Backend {
    backend(Device::Cpu).expect("it is linked")
}

impl Backend for Example {
    fn device(&self) -> Device {
        Device::Gpu
    }
    fn count(&self) -> usize {
        1
    }
    fn info(&self) -> DeviceInfo {
        cpu().info()
    }
    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Buffer>> {
        cpu().allocate(bytes)
    }
    fn memory(&self) -> &dyn MemoryPool {
        cpu().memory()
    }
    fn kernels(&self) -> &KernelTable {
        KERNELS.get_or_init(KernelTable::new)
    }
    fn unary(&self, op: Unary, call: &mut Call) -> Result<()> {
        cpu().unary(op, call)
    }
    fn binary(&self, op: Binary, call: &mut Call) -> Result<()> {
        cpu().binary(op, call)
    }
    fn select(&self, call: &mut Call) -> Result<()> {
        cpu().select(call)
    }
    fn cast(&self, call: &mut Call) -> Result<()> {
        cpu().cast(call)
    }
    fn copy(&self, call: &mut Call) -> Result<()> {
        cpu().copy(call)
    }
}

fn on_example(x: &Array) -> Result<Array> {
    let y = Stream::default_for(Device::Gpu)
        .scope(|| Array::apply_one(Softmax, [x.clone()]))?;
    y.eval()?;
    Ok(y)
}

/// The softmax of `x` on a backend with this kernel for it.
pub fn softmax_with(
    x: &Array,
    kernel: impl Fn(&mut Call) -> Result<()> + Send + Sync + 'static,
) -> Result<Array> {
    KERNELS.get_or_init(|| {
        let mut kernels = KernelTable::new();
        kernels.add::<Softmax>(move |_, call| kernel(call));
        kernels
    });
    on_example(x)
}

/// The softmax of `x` on a backend without kernels.
pub fn softmax_without_kernel(x: &Array) -> Result<Array> {
    on_example(x)
}
