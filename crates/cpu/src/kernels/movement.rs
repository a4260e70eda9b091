//! Owns moving elements between layouts; the kernels that only move data stand on it.

use crate::{pool::parallel_for, tensor::Loops};

/// An address that threads share; each writes its own elements.
#[derive(Clone, Copy)]
pub(crate) struct Target(*mut u8);

// SAFETY: whoever makes a target promises that threads write disjoint elements through it.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// Shares `ptr` with threads that write disjoint elements.
    pub(crate) fn new(ptr: *mut u8) -> Self {
        Target(ptr)
    }

    /// The address. A method, so that closures capture the target and not the pointer inside.
    pub(crate) fn get(self) -> *mut u8 {
        self.0
    }
}

/// An address that threads read from.
#[derive(Clone, Copy)]
pub(crate) struct Source(*const u8);

// SAFETY: threads only read, and whoever makes a source keeps the memory unchanged meanwhile.
unsafe impl Send for Source {}
// SAFETY: as above.
unsafe impl Sync for Source {}

impl Source {
    /// Shares `ptr` with threads that read it while nobody writes there.
    pub(crate) fn new(ptr: *const u8) -> Self {
        Source(ptr)
    }

    /// The address.
    pub(crate) fn get(self) -> *const u8 {
        self.0
    }
}

/// Runs an expression with `$word` bound to the unsigned integer as wide as an element.
macro_rules! by_size {
    ($size:expr, $word:ident => $body:expr) => {
        match $size {
            1 => {
                type $word = u8;
                $body
            }
            2 => {
                type $word = u16;
                $body
            }
            4 => {
                type $word = u32;
                $body
            }
            _ => {
                type $word = u64;
                $body
            }
        }
    };
}
pub(crate) use by_size;

/// Copies elements of `size` bytes from one layout of `shape` to another, on several threads if
/// that is worth it.
///
/// # Safety
/// Both layouts must stay inside memory that is readable, or writable, from their address; the
/// target's elements must be distinct and must not overlap the source's.
pub(crate) unsafe fn copy_strided(
    size: usize,
    shape: &[usize],
    (source, source_strides): (*const u8, &[isize]),
    (target, target_strides): (*mut u8, &[isize]),
) {
    let loops = Loops::new(shape, [source_strides, target_strides]);
    let (source, target) = (Source::new(source), Target::new(target));
    parallel_for(loops.elements(), 1, |range| {
        // SAFETY: the ranges are disjoint parts of the layouts that the caller vouches for.
        by_size!(size, Word => unsafe {
            copy_words(&loops, range, source.get().cast::<Word>(), target.get().cast::<Word>());
        });
    });
}

/// Copies the elements at the row-major positions `range`.
///
/// # Safety
/// As for [`copy_strided`], within the range.
unsafe fn copy_words<W: Copy>(
    loops: &Loops<2>,
    range: std::ops::Range<usize>,
    source: *const W,
    target: *mut W,
) {
    let [from_step, to_step] = loops.inner_strides();
    loops.for_each_run(range, |[from, to], len| {
        let (source, target) = (source.wrapping_offset(from), target.wrapping_offset(to));
        // SAFETY: the run lies inside both layouts. Complex numbers may be aligned to half a word.
        unsafe {
            if (from_step, to_step) == (1, 1) {
                let bytes = len * size_of::<W>();
                std::ptr::copy_nonoverlapping(source.cast::<u8>(), target.cast::<u8>(), bytes);
            } else if from_step == 0 {
                let value = source.read_unaligned();
                for i in 0..len as isize {
                    target.wrapping_offset(i * to_step).write_unaligned(value);
                }
            } else {
                for i in 0..len as isize {
                    let value = source.wrapping_offset(i * from_step).read_unaligned();
                    target.wrapping_offset(i * to_step).write_unaligned(value);
                }
            }
        }
    });
}

/// True if each element has a place of its own and the places have no gaps: any order of the axes
/// of a row-major array.
pub(crate) fn is_dense(shape: &[usize], strides: &[isize]) -> bool {
    let mut axes: Vec<(isize, usize)> = strides
        .iter()
        .copied()
        .zip(shape.iter().copied())
        .filter(|&(_, n)| n != 1)
        .collect();
    axes.sort_unstable();
    let mut step = 1;
    axes.iter().all(|&(stride, size)| {
        let fits = stride == step;
        step *= size as isize;
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposed_arrays_are_dense_and_slices_are_not() {
        assert!(is_dense(&[2, 3], &[3, 1]));
        assert!(is_dense(&[3, 2], &[1, 3]));
        assert!(is_dense(&[3, 1, 2], &[2, 77, 1]));
        assert!(!is_dense(&[2, 2], &[3, 1]));
        assert!(!is_dense(&[2, 2], &[0, 1]));
        assert!(!is_dense(&[3], &[-1]));
    }
}
