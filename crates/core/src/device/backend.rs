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
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Backend, backend, Device};
/// let cpu: &dyn Backend = backend(Device::Cpu)?;
/// assert_eq!(cpu.device(), Device::Cpu);
/// assert!(backend(Device::Gpu).is_err());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Backend: Send + Sync + 'static {
    /// The device this backend drives.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{backend, Device};
    /// assert_eq!(backend(Device::Cpu)?.device(), Device::Cpu);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn device(&self) -> Device;
    /// The number of devices that it found.
    fn count(&self) -> usize;
    /// Facts about the device.
    fn info(&self) -> DeviceInfo;
    /// Memory for at least `bytes` bytes, aligned to 64.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{backend, Device};
    /// let block = backend(Device::Cpu)?.allocate(100)?;
    /// assert!(block.bytes() >= 100);
    /// assert_eq!(block.host().as_ptr() as usize % 64, 0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Buffer>>;
    /// The allocator's counters and limits.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{backend, Device};
    /// let pool = backend(Device::Cpu)?.memory();
    /// let block = backend(Device::Cpu)?.allocate(1000)?;
    /// assert!(pool.usage().active >= block.bytes());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn memory(&self) -> &dyn MemoryPool;
    /// The kernels of structured primitives.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{backend, Device, KernelTable};
    /// // Calls of primitives look here first; what is not found is decomposed.
    /// let kernels: &KernelTable = backend(Device::Cpu)?.kernels();
    /// assert!(std::ptr::eq(kernels, backend(Device::Cpu)?.kernels()));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn kernels(&self) -> &KernelTable;
    /// Runs a scalar function over one input of any layout.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// // What this call does on the CPU is `Backend::unary` with `Unary::Negative`.
    /// assert_eq!(array!([1, -2]).negative()?.to_vec::<i32>()?, [-1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn unary(&self, op: Unary, call: &mut Call) -> Result<()>;
    /// Runs a scalar function over two inputs of equal shape and dtype, of any layout.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// // Inputs of a kernel have the same shape: broadcasting has made views of them before.
    /// let y = array!([1, 2]).add(array!([[10], [20]]))?;
    /// assert_eq!(y.to_vec::<i32>()?, [11, 12, 21, 22]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn binary(&self, op: Binary, call: &mut Call) -> Result<()>;
    /// Chooses elementwise: inputs are a bool condition and two arrays of the output's dtype.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let keep = array!([true, false]);
    /// assert_eq!(keep.select(array!([1, 2]), array!([3, 4]))?.to_vec::<i32>()?, [1, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn select(&self, call: &mut Call) -> Result<()>;
    /// Converts the input's elements to the output's dtype.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Dtype};
    /// assert_eq!(array!([1.7, -1.7]).astype(Dtype::Int32)?.to_vec::<i32>()?, [1, -1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn cast(&self, call: &mut Call) -> Result<()>;
    /// Copies the input to a new row-major buffer.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1, 2], [3, 4]]).transpose(..)?.contiguous()?;
    /// assert_eq!(&x.data()?.strides[..], &[2, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn copy(&self, call: &mut Call) -> Result<()>;
}

type Kernel = Box<dyn Fn(&dyn Any, &mut Call) -> Result<()> + Send + Sync>;

/// A backend's kernels, by the type of primitive they run.
///
/// ```standalone_crate
/// # use olivine_cpu as _;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
/// # use example::*;
/// use olivine_core::{array, Call};
/// // A table with one kernel; `softmax_with` makes a backend of it and calls softmax there.
/// let x = array!([1.0, 2.0]);
/// let y = softmax_with(&x, |call: &mut Call| {
///     let data = call.input(0).data.clone();
///     call.set_output(0, data);
///     Ok(())
/// })?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Default)]
pub struct KernelTable {
    kernels: HashMap<TypeId, Kernel>,
}

impl KernelTable {
    /// A table without kernels: everything falls back to decomposition.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::{Error, array};
    /// // Softmax becomes simpler operations, and in the end one that has to have a kernel.
    /// let error = softmax_without_kernel(&array!([0.0, 0.0])).unwrap_err();
    /// assert!(matches!(error, Error::NoKernel { .. }));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the kernel that runs primitives of type `P`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Call, KernelTable, Result};
    /// use olivine_core::ops::reduce::Reduce;
    /// /// Gets the primitive with its parameters, and the call with inputs and outputs.
    /// fn run(reduce: &Reduce, call: &mut Call) -> Result<()> {
    ///     assert!(reduce.axes.len() <= call.input(0).shape.rank());
    ///     call.allocate(0).map(|_| ())
    /// }
    /// let mut kernels = KernelTable::new();
    /// kernels.add::<Reduce>(run);
    /// ```
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
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{backend, Device, Registration};
/// // What a crate with a backend does; here with the one that is linked.
/// let registration = Registration(|| backend(Device::Cpu).expect("it is linked"));
/// assert_eq!((registration.0)().device(), Device::Cpu);
/// ```
pub struct Registration(pub fn() -> &'static dyn Backend);

inventory::collect!(Registration);

/// The backend linked for a device.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{backend, Device, Error};
/// let cpu = backend(Device::Cpu)?;
/// assert!(cpu.allocate(64)?.writable());
/// let missing = backend(Device::Gpu).map(|_| ()).unwrap_err();
/// assert_eq!(missing, Error::NoBackend(Device::Gpu));
/// # Ok::<(), olivine_core::Error>(())
/// ```
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
