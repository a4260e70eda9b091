//! Owns the backend trait: what a device must offer so that graphs can run on it.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use super::{Buffer, Call, Device, memory::MemoryPool};
use crate::{
    Error, Result,
    graph::Primitive,
    ops::scalar::{Binary, Unary},
};

/// Facts about a device, as its system states them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The product's name.
    pub device_name: String,
    /// The instruction set's family, such as `x86_64`.
    pub architecture: String,
    /// The bytes of its memory, if the system says so.
    pub memory_size: Option<usize>,
}

/// A device's allocator and kernels.
///
/// The scalar operations are methods with a closed enum, so a backend that matches exhaustively is
/// told by the compiler what it lacks. Everything structured is looked up in the [`KernelTable`].
/// Kernels write their results through [`Call`].
pub trait Backend: Send + Sync + 'static {
    /// The device this backend drives.
    fn device(&self) -> Device;
    /// The number of devices that it found.
    fn count(&self) -> usize;
    /// Facts about the device.
    fn info(&self) -> DeviceInfo;
    /// Memory for at least `bytes` bytes, aligned to 64.
    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Buffer>>;
    /// The allocator's counters and limits.
    fn memory(&self) -> &dyn MemoryPool;
    /// The kernels of structured primitives.
    fn kernels(&self) -> &KernelTable;
    /// Runs a scalar function over one input of any layout.
    fn unary(&self, op: Unary, call: &mut Call) -> Result<()>;
    /// Runs a scalar function over two inputs of equal shape and dtype, of any layout.
    fn binary(&self, op: Binary, call: &mut Call) -> Result<()>;
    /// Chooses elementwise: inputs are a bool condition and two arrays of the output's dtype.
    fn select(&self, call: &mut Call) -> Result<()>;
    /// Converts the input's elements to the output's dtype.
    fn cast(&self, call: &mut Call) -> Result<()>;
    /// Copies the input to a new row-major buffer.
    fn copy(&self, call: &mut Call) -> Result<()>;
}

type Kernel = Box<dyn Fn(&dyn Any, &mut Call) -> Result<()> + Send + Sync>;

/// A backend's kernels, by the type of primitive they run.
#[derive(Default)]
pub struct KernelTable {
    kernels: HashMap<TypeId, Kernel>,
}

impl KernelTable {
    /// A table without kernels: everything falls back to decomposition.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the kernel that runs primitives of type `P`.
    pub fn add<P: Primitive>(
        &mut self,
        kernel: impl Fn(&P, &mut Call) -> Result<()> + Send + Sync + 'static,
    ) {
        self.kernels.insert(
            TypeId::of::<P>(),
            Box::new(move |primitive, call| {
                let primitive = primitive
                    .downcast_ref()
                    .expect("the table is keyed by this type");
                kernel(primitive, call)
            }),
        );
    }

    /// Runs the kernel for `primitive`; `None` if there is none.
    pub(crate) fn run(&self, primitive: &dyn Primitive, call: &mut Call) -> Option<Result<()>> {
        let any: &dyn Any = primitive;
        self.kernels
            .get(&any.type_id())
            .map(|kernel| kernel(any, call))
    }

    /// True if the table has a kernel for `primitive`.
    pub(crate) fn has(&self, primitive: &dyn Primitive) -> bool {
        let any: &dyn Any = primitive;
        self.kernels.contains_key(&any.type_id())
    }
}

/// How a backend makes itself known: `inventory::submit! { Registration(|| &BACKEND) }`.
pub struct Registration(pub fn() -> &'static dyn Backend);

inventory::collect!(Registration);

/// The backend linked for a device.
pub fn backend(device: Device) -> Result<&'static dyn Backend> {
    static BACKENDS: OnceLock<[Option<&'static dyn Backend>; 2]> = OnceLock::new();
    let table = BACKENDS.get_or_init(|| {
        let mut table = [None; 2];
        for registration in inventory::iter::<Registration> {
            let backend = (registration.0)();
            table[backend.device() as usize] = Some(backend);
        }
        table
    });
    table[device as usize].ok_or(Error::NoBackend(device))
}
