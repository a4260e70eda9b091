//! Owns the memory an evaluated array points into. Backends and files supply the memory.

use std::{any::Any, cell::UnsafeCell, ptr::NonNull, sync::Arc};

use crate::{Element, shape::Strides};

/// A block of memory that arrays share. It is freed, or returned to its pool, when dropped.
///
/// # Safety
/// `host` must point to `bytes` readable bytes for as long as the buffer lives, and to writable
/// ones if `writable` is true.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Buffer};
/// use std::sync::Arc;
/// let buffer: Arc<dyn Buffer> = array!([1.0, 2.0]).data()?.buffer;
/// assert!(buffer.bytes() >= 8);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub unsafe trait Buffer: Send + Sync + 'static {
    /// The first byte, as the host sees it. Backends without unified memory mirror lazily.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let data = array!([7u8, 8]).data()?;
    /// // SAFETY: the array's first element lies at this offset.
    /// assert_eq!(unsafe { data.buffer.host().as_ptr().add(data.offset).read() }, 7);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn host(&self) -> NonNull<u8>;
    /// The size in bytes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let data = array!([1.0, 2.0, 3.0]).data()?;
    /// assert!(data.buffer.bytes() >= 12);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn bytes(&self) -> usize;
    /// False for memory that must not change, such as a mapped file.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::HostBuffer;
    /// use std::ptr::NonNull;
    /// static NUMBERS: [u8; 2] = [1, 2];
    /// // SAFETY: statics are never dropped or changed.
    /// let shared = unsafe { HostBuffer::share(NonNull::from(&NUMBERS).cast(), 2, Box::new(())) };
    /// assert!(!shared.writable());
    /// ```
    fn writable(&self) -> bool;
    /// The bytes that truth values were made of, each in the place of its own, if they were made by
    /// looking at bytes.
    fn bytes_of_truths(&self) -> Option<&Arc<dyn Buffer>> {
        None
    }
}

/// Memory owned by some other value: a vector, a mapped file, a foreign tensor.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, HostBuffer};
/// use std::ptr::NonNull;
/// let owner = vec![1.0f32, 2.0];
/// let start = NonNull::from(&owner[..]).cast();
/// // SAFETY: the vector keeps its elements in place when it moves, and nobody changes them.
/// let buffer = unsafe { HostBuffer::share(start, 8, Box::new(owner)) };
/// // SAFETY: it holds two numbers of float32.
/// let x = unsafe { Array::from_buffer(buffer, 0, [2], Dtype::Float32)? };
/// assert_eq!(x.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct HostBuffer {
    start: NonNull<u8>,
    bytes: usize,
    _owner: Box<dyn Any + Send + Sync>,
}

impl HostBuffer {
    /// Wraps `bytes` read-only bytes at `start`, which `owner` keeps alive.
    ///
    /// # Safety
    /// The bytes must be readable and unchanged until `owner` is dropped.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::HostBuffer;
    /// use std::{ptr::NonNull, sync::Arc};
    /// let owner = Arc::new([1u8, 2, 3]);
    /// let start = NonNull::from(&*owner).cast();
    /// // SAFETY: the buffer holds the owner.
    /// let buffer = unsafe { HostBuffer::share(start, 3, Box::new(owner.clone())) };
    /// assert_eq!(Arc::strong_count(&owner), 2);
    /// drop(buffer);
    /// assert_eq!(Arc::strong_count(&owner), 1);
    /// ```
    pub unsafe fn share(
        start: NonNull<u8>,
        bytes: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Arc<dyn Buffer> {
        Arc::new(HostBuffer {
            start,
            bytes,
            _owner: owner,
        })
    }
}

// SAFETY: the bytes are read-only for the buffer's life and the owner is Send + Sync.
unsafe impl Send for HostBuffer {}
// SAFETY: as above.
unsafe impl Sync for HostBuffer {}

// SAFETY: `share` requires readable bytes for as long as the owner lives, and we hold the owner.
unsafe impl Buffer for HostBuffer {
    fn host(&self) -> NonNull<u8> {
        self.start
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn writable(&self) -> bool {
        false
    }
}

/// A few elements that lie in the buffer itself.
pub(crate) struct Few<T, const N: usize>(UnsafeCell<[T; N]>);

impl<T: Element, const N: usize> Few<T, N> {
    pub(crate) fn new(values: [T; N]) -> Self {
        Few(UnsafeCell::new(values))
    }
}

// SAFETY: as with every buffer, those who write see to it that nobody else reads or writes.
unsafe impl<T: Element, const N: usize> Sync for Few<T, N> {}

// SAFETY: the elements lie in a cell, so they may be written; `Arc` keeps them in place.
unsafe impl<T: Element, const N: usize> Buffer for Few<T, N> {
    fn host(&self) -> NonNull<u8> {
        NonNull::from(&self.0).cast()
    }
    fn bytes(&self) -> usize {
        size_of::<[T; N]>()
    }
    fn writable(&self) -> bool {
        true
    }
}

/// Where the elements of an evaluated array lie.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Data};
/// let x = array!([1.0, 2.0, 3.0, 4.0]);
/// // A slice is a view: it starts eight bytes later in the same memory.
/// let (whole, tail): (Data, Data) = (x.data()?, x.index(2..)?.data()?);
/// assert_eq!(tail.offset, whole.offset + 8);
/// assert_eq!(tail.buffer.host(), whole.buffer.host());
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Data {
    /// The memory.
    pub buffer: Arc<dyn Buffer>,
    /// Bytes from the buffer's start to the element at index zero.
    pub offset: usize,
    /// Elements between neighbours along each axis.
    pub strides: Strides,
}
