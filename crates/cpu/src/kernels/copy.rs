//! Owns row-major copies. Transposed inputs are copied in tiles that fit the first-level cache.

use std::mem::MaybeUninit;

use olivine_core::{Call, Operand, Result};
use smallvec::SmallVec;

use super::elementwise::gather;
use crate::{pool::parallel_for, tensor::Loops};

/// Tiles have this many elements on each side: two cache lines of `f32`.
const TILE: usize = 32;

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
        parallel_for(count * size, 1, |range| {
            // SAFETY: both hold `count * size` bytes without overlap.
            unsafe {
                let target = target.get().add(range.start);
                target.copy_from_nonoverlapping(source.get().add(range.start), range.len());
            }
        });
    } else if let Some(axis) = transposed(&loops) {
        let tiles = Tiles::new(&loops, axis);
        parallel_for(tiles.units(), TILE * loops.inner_len(), |range| {
            for unit in range {
                // SAFETY: units write disjoint tiles; sizes match the type chosen.
                unsafe {
                    match size {
                        1 => tiles.copy::<u8>(source.get().cast(), target.get().cast(), unit),
                        2 => tiles.copy::<u16>(source.get().cast(), target.get().cast(), unit),
                        4 => tiles.copy::<u32>(source.get().cast(), target.get().cast(), unit),
                        _ => tiles.copy::<u64>(source.get().cast(), target.get().cast(), unit),
                    }
                }
            }
        });
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

/// The outer axis along which neighbours lie side by side, if the innermost one jumps: copying
/// along either alone would touch a cache line for each element.
pub(crate) fn transposed(loops: &Loops<1>) -> Option<usize> {
    let [inner] = loops.inner_strides();
    if inner.unsigned_abs() < 16 || loops.inner_len() < 8 {
        return None;
    }
    let sizes = &loops.sizes()[..loops.sizes().len() - 1];
    (0..sizes.len()).find(|&axis| loops.strides()[axis] == [1] && sizes[axis] >= 8)
}

/// Tiles over the innermost axis and one more; the other axes are outside.
struct Tiles {
    /// Size, source stride and target stride of the outside axes.
    outside: SmallVec<[(usize, isize, usize); 4]>,
    /// The same of the axis along which the source is gapless.
    rows: (usize, usize),
    /// The length of the innermost axis and its stride in the source.
    inner: (usize, isize),
}

impl Tiles {
    fn new(loops: &Loops<1>, axis: usize) -> Tiles {
        let last = loops.sizes().len() - 1;
        let mut step = 1;
        let mut tiles = Tiles {
            outside: SmallVec::new(),
            rows: (0, 0),
            inner: (loops.sizes()[last], loops.strides()[last][0]),
        };
        for (i, (&size, &[stride])) in loops.sizes().iter().zip(loops.strides()).enumerate().rev() {
            if i == axis {
                tiles.rows = (size, step);
            } else if i != last {
                tiles.outside.push((size, stride, step));
            }
            step *= size;
        }
        tiles
    }

    /// The number of pieces of work: strips of rows, for every outside position.
    fn units(&self) -> usize {
        let outside: usize = self.outside.iter().map(|axis| axis.0).product();
        outside * self.rows.0.div_ceil(TILE)
    }

    /// Copies one strip of rows.
    ///
    /// # Safety
    /// As `pack_strided` says, for elements of type `T`.
    unsafe fn copy<T: Copy>(&self, source: *const T, target: *mut T, unit: usize) {
        let strips = self.rows.0.div_ceil(TILE);
        let first = unit % strips * TILE;
        let height = TILE.min(self.rows.0 - first);
        let (mut from, mut to) = (first as isize, first * self.rows.1);
        let mut rest = unit / strips;
        for &(size, source_step, target_step) in &self.outside {
            from += (rest % size) as isize * source_step;
            to += rest % size * target_step;
            rest /= size;
        }
        let (length, jump) = self.inner;
        // Through a block, so that each line of either side is touched once, in one go: in arrays of
        // a power of two all lines of a column compete for the same few places in the cache.
        let mut block = [[const { MaybeUninit::<T>::uninit() }; TILE]; TILE];
        for start in (0..length).step_by(TILE) {
            let width = TILE.min(length - start);
            // SAFETY: rows and columns stay inside the shape, which the caller vouches for, and
            // what is read from the block was written just before.
            unsafe {
                for column in 0..width {
                    let from = source.wrapping_offset(from + (start + column) as isize * jump);
                    for (row, line) in block[..height].iter_mut().enumerate() {
                        line[column].write(from.add(row).read());
                    }
                }
                for (row, line) in block[..height].iter().enumerate() {
                    let to = target.add(to + row * self.rows.1 + start);
                    to.copy_from_nonoverlapping(line.as_ptr().cast(), width);
                }
            }
        }
    }
}
