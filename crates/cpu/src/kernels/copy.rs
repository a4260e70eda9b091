//! Owns row-major copies.

use olivine_core::{Call, Result};

use super::elementwise::gather;
use crate::{pool::parallel_for, tensor::Loops};

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
    let target = Address(call.allocate(0)?);
    let input = call.input(0);
    let source = Address(input.ptr());
    let size = input.dtype.size();
    let count = input.shape.elements();
    if input.is_contiguous() {
        parallel_for(count, 1, |range| {
            // SAFETY: both hold `count` elements; the target is fresh.
            unsafe {
                let target = target.get().add(range.start * size);
                let source = source.get().add(range.start * size);
                target.copy_from_nonoverlapping(source, range.len() * size);
            }
        });
        return Ok(());
    }
    let loops = Loops::new(&input.shape, [&input.data.strides]);
    parallel_for(count, 2, |range| {
        // SAFETY: the loops stay inside the operand and the target has room for `count` elements.
        unsafe {
            let target = target.get().add(range.start * size);
            gather(source.get(), &loops, range.start, range.len(), size, target);
        }
    });
    Ok(())
}
