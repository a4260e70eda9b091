//! Owns row-major copies.

mod squares;
#[cfg(test)]
mod tests;
mod tiles;

use olivine_core::{Call, Operand, Result};

pub(crate) use self::tiles::transposed;
use super::elementwise::gather;
use crate::{nontemporal::NonTemporal, pool::parallel_for, tensor::Loops};

#[derive(Clone, Copy)]
struct Address<T>(T);

// SAFETY: threads read shared memory and write disjoint ranges.
unsafe impl<T> Sync for Address<T> {}

impl<T: Copy> Address<T> {
    fn get(&self) -> T {
        self.0
    }
}

/// Copies the input, in its own row-major order, to fresh memory.
pub(crate) fn run(call: &mut Call) -> Result<()> {
    let target = call.allocate(0)?;
    // SAFETY: the output has as many elements as the input, and its memory is fresh.
    unsafe { pack(call.input(0), target) };
    Ok(())
}

/// Copies an operand's elements in row-major order to a gapless target.
///
/// # Safety
/// The target must have room for them and not overlap the operand.
pub(crate) unsafe fn pack(input: &Operand, target: *mut u8) {
    // SAFETY: the caller's promise, and operands hold what their strides reach.
    unsafe {
        let (ptr, size) = (input.ptr(), input.dtype.size());
        pack_strided(ptr, &input.shape, &input.data.strides, size, target);
    }
}

/// Copies strided elements of `size` bytes in row-major order to a gapless target.
///
/// # Safety
/// The shape and strides must stay inside readable memory around `source`; the target must have
/// room for all elements and not overlap them.
pub(crate) unsafe fn pack_strided(
    source: *const u8,
    shape: &[usize],
    strides: &[isize],
    size: usize,
    target: *mut u8,
) {
    let loops = Loops::new(shape, [strides]);
    let count = loops.elements();
    let (source, target) = (Address(source), Address(target));
    if let ([_], [[1]]) = (loops.sizes(), loops.strides()) {
        let large = NonTemporal::suits(count * size);
        parallel_for(count * size, 1, |range| {
            // SAFETY: both hold `count * size` bytes without overlap.
            unsafe {
                let target = target.get().add(range.start);
                let source = source.get().add(range.start);
                if large {
                    NonTemporal::new().copy(source, target, range.len());
                } else {
                    target.copy_from_nonoverlapping(source, range.len());
                }
            }
        });
    } else if let Some(axis) = transposed(&loops) {
        // SAFETY: the caller's promise.
        unsafe { tiles::copy(source.get(), &loops, axis, size, target.get()) };
    } else {
        parallel_for(count, 2, |range| {
            // SAFETY: the loops stay inside readable memory, the target has room for `count`.
            unsafe {
                let target = target.get().add(range.start * size);
                gather(source.get(), &loops, range.start, range.len(), size, target);
            }
        });
    }
}
