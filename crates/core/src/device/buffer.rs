//! Owns the memory an evaluated array points into. Backends and files supply the memory.

use std::{any::Any, cell::UnsafeCell, ptr::NonNull, sync::Arc};

use crate::{Element, shape::Strides};

/// A block of memory that arrays share. It is freed, or returned to its pool, when dropped.
///
/// # Safety
/// `host` must point to `bytes` readable bytes for as long as the buffer lives, and to writable
/// ones if `writable` is true.
pub unsafe trait Buffer: Send + Sync + 'static {
    /// The first byte, as the host sees it. Backends without unified memory mirror lazily.
    fn host(&self) -> NonNull<u8>;
    /// The size in bytes.
    fn bytes(&self) -> usize;
    /// False for memory that must not change, such as a mapped file.
    fn writable(&self) -> bool;
}

/// Memory owned by some other value: a vector, a mapped file, a foreign tensor.
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
#[derive(Clone)]
pub struct Data {
    /// The memory.
    pub buffer: Arc<dyn Buffer>,
    /// Bytes from the buffer's start to the element at index zero.
    pub offset: usize,
    /// Elements between neighbours along each axis.
    pub strides: Strides,
}
