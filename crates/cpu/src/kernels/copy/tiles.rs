//! Owns copies that turn rows into columns. They go by tiles, which are transposed into a block in
//! the first-level cache and leave it row by row: so whole lines of the cache are read and written
//! at once. In arrays of a power of two all lines of a column compete for the same few places in
//! the cache, where none would wait for its neighbour to be copied.

use std::{mem::MaybeUninit, ops::Range};

use smallvec::SmallVec;

use super::squares::{Squares, transpose};
use crate::{
    isa::{Portable, per_isa},
    nontemporal::{LINE, NonTemporal},
    pool::parallel_for,
    simd::Lanes,
    tensor::Loops,
};

/// The bytes of a block.
const BLOCK: usize = 1 << 15;

/// The bytes that are read side by side, and the fewest rows that they fall to.
const RUN: usize = 256;
const ROWS: usize = 64;

/// Outputs from this size on are written past the caches, which they would not fit into.
pub(super) const STREAMED: usize = 1 << 23;

/// The outer axis along which neighbours lie closest, if they lie farther apart along the innermost
/// one: copying along that would touch a line of the cache for each element.
pub(crate) fn transposed(loops: &Loops<1>) -> Option<usize> {
    let [inner] = loops.inner_strides();
    if inner.unsigned_abs() < 16 || loops.inner_len() < 8 {
        return None;
    }
    let sizes = &loops.sizes()[..loops.sizes().len() - 1];
    (0..sizes.len()).find(|&axis| loops.strides()[axis] == [1] && sizes[axis] >= 8)
}

/// Tiles over the innermost axis and one more; the other axes are outside. Strides are in bytes.
struct Tiles {
    source: *const u8,
    target: *mut u8,
    /// The bytes of an element.
    size: usize,
    /// Size, source stride and target stride of the outside axes.
    outside: SmallVec<[(usize, isize, usize); 4]>,
    /// The same of the other axis.
    rows: (usize, isize, usize),
    /// The length of the innermost axis and its stride in the source.
    inner: (usize, isize),
    /// The rows of a tile and the elements in each.
    tile: (usize, usize),
    /// Whether the output is written past the caches.
    streamed: bool,
}

// SAFETY: threads read shared memory and copy disjoint tiles.
unsafe impl Sync for Tiles {}

/// Copies strided elements of `size` bytes, as [`super::pack_strided`] does, by tiles over the
/// innermost axis and `axis`.
///
/// # Safety
/// As for `pack_strided`.
pub(super) unsafe fn copy(
    source: *const u8,
    loops: &Loops<1>,
    axis: usize,
    size: usize,
    target: *mut u8,
) {
    let tiles = Tiles::new(source, loops, axis, size, target);
    let elements = tiles.tile.0 * tiles.tile.1;
    parallel_for(tiles.count(), elements, |range| copy_tiles(&tiles, range));
}

impl Tiles {
    fn new(
        source: *const u8,
        loops: &Loops<1>,
        axis: usize,
        size: usize,
        target: *mut u8,
    ) -> Tiles {
        let last = loops.sizes().len() - 1;
        let bytes = size as isize;
        let height = (RUN / size).max(ROWS);
        let mut tiles = Tiles {
            source,
            target,
            size,
            outside: SmallVec::new(),
            rows: (0, 0, 0),
            inner: (loops.sizes()[last], loops.strides()[last][0] * bytes),
            tile: (height, BLOCK / size / height),
            streamed: false,
        };
        let mut step = size;
        for (i, (&size, &[stride])) in loops.sizes().iter().zip(loops.strides()).enumerate().rev() {
            if i == axis {
                tiles.rows = (size, stride * bytes, step);
            } else if i != last {
                tiles.outside.push((size, stride * bytes, step));
            }
            step *= size;
        }
        let aligned = (target.addr() | tiles.rows.2).is_multiple_of(LINE);
        tiles.streamed = step >= STREAMED && aligned;
        tiles
    }

    /// How many tiles lie side by side, and how many below each other.
    fn grid(&self) -> (usize, usize) {
        let (height, width) = self.tile;
        (self.inner.0.div_ceil(width), self.rows.0.div_ceil(height))
    }

    /// The number of tiles.
    fn count(&self) -> usize {
        let outside: usize = self.outside.iter().map(|axis| axis.0).product();
        outside * self.grid().0 * self.grid().1
    }

    /// Where a tile starts in the source and in the target, its rows and the elements in each.
    fn place(&self, tile: usize) -> (*const u8, *mut u8, usize, usize) {
        let (across, down) = self.grid();
        let column = tile % across * self.tile.1;
        let row = tile / across % down * self.tile.0;
        let mut from = row as isize * self.rows.1 + column as isize * self.inner.1;
        let mut to = row * self.rows.2 + column * self.size;
        let mut rest = tile / across / down;
        for &(size, source_step, target_step) in &self.outside {
            from += (rest % size) as isize * source_step;
            to += rest % size * target_step;
            rest /= size;
        }
        (
            self.source.wrapping_offset(from),
            self.target.wrapping_add(to),
            self.tile.0.min(self.rows.0 - row),
            self.tile.1.min(self.inner.0 - column),
        )
    }
}

per_isa! {
    [v3]
    /// Copies the tiles in `range`.
    fn copy_tiles(tiles: &Tiles, range: Range<usize>) = copy_tiles_body;
}

#[inline(always)]
fn copy_tiles_body<S: Squares + Lanes>(tiles: &Tiles, range: Range<usize>) {
    match tiles.size {
        1 => copy_sized::<S, u8, 1, 16>(tiles, range),
        2 => copy_sized::<S, u16, 2, 8>(tiles, range),
        4 => copy_sized::<S, u32, 4, 4>(tiles, range),
        _ => copy_sized::<S, u64, 8, 2>(tiles, range),
    }
}

/// Room for one tile.
#[repr(align(64))]
struct Block([MaybeUninit<u8>; BLOCK]);

#[inline(always)]
fn copy_sized<S: Squares + Lanes, T: Copy, const SIZE: usize, const N: usize>(
    tiles: &Tiles,
    range: Range<usize>,
) {
    #[expect(
        clippy::large_stack_arrays,
        reason = "every thread's stack has room for one tile"
    )]
    let mut block = Block([const { MaybeUninit::uninit() }; BLOCK]);
    let block: *mut u8 = block.0.as_mut_ptr().cast();
    let (step, jump) = (tiles.rows.1, tiles.inner.1);
    let pitch = tiles.tile.1 * SIZE;
    let past = tiles.streamed.then(NonTemporal::new);
    for tile in range {
        let (from, to, rows, columns) = tiles.place(tile);
        // SAFETY: tiles stay inside the shape, which the caller of `copy` vouches for, and fit
        // into the block. What is read from it was written just before.
        unsafe {
            // Rows and columns that squares cover.
            let (mut high, wide) = (0, columns / N * N);
            if step == SIZE as isize {
                high = rows / N * N;
                let double = high / (N * S::COUNT) * (N * S::COUNT);
                for column in (0..wide).step_by(N) {
                    let from = from.wrapping_offset(column as isize * jump);
                    let to = block.add(column * SIZE);
                    for row in (0..double).step_by(N * S::COUNT) {
                        let place = (to.add(row * pitch), pitch);
                        transpose::<S, SIZE, N>((from.add(row * SIZE), jump), place);
                    }
                    for row in (double..high).step_by(N) {
                        let place = (to.add(row * pitch), pitch);
                        transpose::<Portable, SIZE, N>((from.add(row * SIZE), jump), place);
                    }
                }
            }
            for column in 0..columns {
                let from = from.wrapping_offset(column as isize * jump);
                let to = block.add(column * SIZE);
                for row in if column < wide { high } else { 0 }..rows {
                    let value = from.wrapping_offset(row as isize * step).cast::<T>();
                    to.add(row * pitch)
                        .cast::<T>()
                        .write_unaligned(value.read_unaligned());
                }
            }
            let lines = (columns * SIZE).is_multiple_of(LINE);
            for row in 0..rows {
                let (from, to) = (block.add(row * pitch), to.add(row * tiles.rows.2));
                match &past {
                    Some(_) if lines => {
                        for line in (0..columns * SIZE).step_by(LINE) {
                            NonTemporal::copy_line::<S>(from.add(line), to.add(line));
                        }
                    }
                    _ => to.copy_from_nonoverlapping(from, columns * SIZE),
                }
            }
        }
    }
}
