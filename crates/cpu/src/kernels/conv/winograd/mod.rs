//! Owns convolutions with 3 by 3 weights and many channels, by minimal filtering: F(2×2, 3×3) of Lavin
//! and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015). Tiles of 4 by 4 elements, two
//! apart, become 16 sums and differences; each is multiplied with the same of the weights, summed over
//! the channels as a product of matrices; and the 16 sums of a tile become 2 by 2 results. That takes 16
//! multiplications where there were 36. Errors are small beside the largest elements of a tile, rather than of
//! what a result meets.

mod points;
mod products;

use std::{
    cell::Cell,
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use olivine_core::Dtype;

use self::{
    points::{Spread, gather_tile, spread_tile, spread_weights},
    products::multiply,
};
use super::{Axis, Task, direct};
use crate::{
    kernels::{
        matmul::{Matrix, Panels, Rounded, Scratch, Wide, pack_lines, room, tile_size},
        row::RowElement,
    },
    pool::{num_threads, parallel_for, parallel_units},
    tensor::Output,
};

/// The sums of a tile.
const POINTS: usize = 16;

/// Channels of neighbouring tiles lie together by so many: a line of the cache.
const CHUNK: usize = 16;

/// The most elements of the sums of a block of tiles, before and after they are multiplied: 384 KiB, most of
/// a second-level cache.
const ROOM: usize = 96 * 1024;

/// The fewest tiles of a block where there are enough: as many times the weights are used once they are
/// read.
const REUSE: usize = 48;

/// The fewest channels, of the input and of the results, that are worth it. Elements take as long to
/// transform for few channels of results as for many, and so do results for few of the input: with 8 and
/// 64, direct sums are as fast.
const FEWEST: usize = 16;

/// The fewest pairs of channels that are worth it: with 16 and 16, direct sums are as fast.
const PRODUCTS: usize = 32 * 32;

/// The fewest tiles that are worth transforming the weights: with 49 of them, direct sums take one and a half
/// times as long, with 16 they take less.
const TILES: usize = 40;

thread_local! {
    /// Room for the sums of a block, and for rows of results.
    static ROOMS: Cell<(Scratch, Scratch)> = Cell::default();
}

/// True if minimal filtering is possible and worth it.
pub(super) fn suits<T: RowElement>(task: &Task<T>) -> bool {
    let (fewer, more) = if task.channels < task.out_channels {
        (task.channels, task.out_channels)
    } else {
        (task.out_channels, task.channels)
    };
    let [_, second, third] = &task.axes;
    let tiles = second.output.div_ceil(2) * third.output.div_ceil(2) * task.batches;
    is_possible(task) && fewer >= FEWEST && fewer * more >= PRODUCTS && tiles >= TILES
}

/// True if the weights are 3 by 3 and meet neighbouring elements.
pub(super) fn is_possible<T: RowElement>(task: &Task<T>) -> bool {
    let [first, second, third] = &task.axes;
    let plain = |axis: &Axis| (axis.kernel, axis.stride, axis.dilation, axis.step) == (3, 1, 1, 1);
    first.is_single() && plain(second) && plain(third) && task.groups == 1 && task.channels > 0
}

/// How a convolution is cut into blocks of tiles.
#[derive(Clone, Copy)]
struct Cuts {
    /// The tiles along a column and along a row of an image.
    down: usize,
    across: usize,
    /// All tiles.
    count: usize,
    /// The tiles of a block.
    block: usize,
}

impl Cuts {
    fn new<T: RowElement>(task: &Task<T>) -> Self {
        let [_, second, third] = &task.axes;
        let (down, across) = (second.output.div_ceil(2), third.output.div_ceil(2));
        let count = task.batches * down * across;
        let (tall, _) = tile_size();
        let most = ROOM / (POINTS * (task.channels + task.out_channels));
        let even = count.div_ceil(4 * num_threads()).max(2 * tall);
        let block = most.max(REUSE).min(even).next_multiple_of(tall);
        Cuts {
            down,
            across,
            count,
            block,
        }
    }

    fn blocks(&self) -> usize {
        self.count.div_ceil(self.block)
    }

    fn block(&self, number: usize) -> Range<usize> {
        let first = number * self.block;
        first..(first + self.block).min(self.count)
    }

    /// The image of a tile, and where it begins along the axes.
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (row, column) = (tile / self.across, tile % self.across);
        (row / self.down, row % self.down * 2, column * 2)
    }
}

/// How the sums of a block of tiles lie.
#[derive(Clone, Copy)]
struct Layout {
    channels: usize,
    out_channels: usize,
    /// As many channels of results, up to the width of a tile.
    columns: usize,
    tiles: usize,
    /// The tiles of a panel, an even number.
    height: usize,
    panels: usize,
}

impl Layout {
    fn new<T: RowElement>(task: &Task<T>, tiles: usize) -> Self {
        let (tall, wide) = tile_size();
        let panels = tiles.div_ceil(tall);
        Layout {
            channels: task.channels,
            out_channels: task.out_channels,
            columns: task.out_channels.next_multiple_of(wide),
            tiles,
            height: tiles.div_ceil(panels).next_multiple_of(2),
            panels,
        }
    }

    /// The elements of a panel.
    fn panel(self) -> usize {
        self.height * self.channels.next_multiple_of(CHUNK)
    }

    /// How far the points of the input are apart. One line more than they need keeps them from meeting in
    /// the same lines of the cache.
    fn left_step(self) -> usize {
        self.panels * self.panel() + CHUNK
    }

    /// The same for points of the results.
    fn sums_step(self) -> usize {
        self.panels * self.height * self.columns + CHUNK
    }

    /// Where the first channel of a tile is.
    fn tile(self, tile: usize) -> usize {
        tile / self.height * self.panel() + tile % self.height * CHUNK
    }
}

/// The elements that transformed weights take.
pub(super) fn room_for_weights<T: RowElement>(task: &Task<T>) -> usize {
    let (_, wide) = tile_size();
    POINTS * task.channels * task.out_channels.next_multiple_of(wide)
}

/// Computes the convolution, or returns false if transformed weights, which `packed` takes, are not finite.
///
/// # Safety
/// As many elements as [`room_for_weights`] says must be writable at `packed`.
pub(super) unsafe fn run<T: RowElement<Wide = f32> + Rounded>(
    task: &Task<T>,
    weights: &[f32],
    packed: *mut f32,
    out: &Output<T>,
) -> bool {
    let packed = Shared(packed);
    if !transform_weights(task, weights, packed) {
        return false;
    }
    let cuts = Cuts::new(task);
    let again = Again {
        task,
        cuts,
        weights,
        packed: OnceLock::new(),
        out,
    };
    let zeros = vec![T::narrow_one(0.0); task.channels];
    let cost = cuts.block * 2 * task.channels * task.out_channels;
    parallel_units(cuts.blocks(), cost, |blocks| {
        let mut rooms = ROOMS.take();
        for block in blocks {
            let tiles = cuts.block(block);
            let layout = Layout::new(task, tiles.len());
            let left_len = POINTS * layout.left_step();
            let left = room(&mut rooms.0, left_len + POINTS * layout.sums_step());
            let sums = left.wrapping_add(left_len);
            for (i, tile) in tiles.clone().enumerate() {
                let spread = Spread {
                    channels: layout.channels,
                    to: left.wrapping_add(layout.tile(i)),
                    chunk: layout.height * CHUNK,
                    point: layout.left_step(),
                };
                spread_tile(elements(task, cuts.place(tile), &zeros), spread);
            }
            multiply(layout, left, packed.at(0), sums);
            // Neighbouring tiles that are computed once more.
            let mut bad = 0..0;
            for (i, tile) in tiles.clone().enumerate() {
                let from = sums.wrapping_add(i * layout.columns);
                if write(task, cuts.place(tile), (from, layout), &mut rooms.1, out) {
                    continue;
                }
                if bad.end != tile || tile % cuts.across == 0 {
                    again.compute(bad);
                    bad = tile..tile;
                }
                bad.end = tile + 1;
            }
            again.compute(bad);
        }
        ROOMS.set(rooms);
    });
    true
}

/// The address of memory of which each thread writes a part of its own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: threads write parts of their own.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn at(self, place: usize) -> *mut f32 {
        self.0.wrapping_add(place)
    }
}

/// Transforms weights, and packs those of each point in panels. Returns whether all are finite.
fn transform_weights<T: RowElement>(task: &Task<T>, weights: &[f32], packed: Shared) -> bool {
    let [_, second, third] = &task.axes;
    let (channels, columns) = (task.channels, task.out_channels);
    let (_, wide) = tile_size();
    let finite = AtomicBool::new(true);
    let panel = channels * wide;
    let panels = columns.div_ceil(wide);
    parallel_for(panels, POINTS * panel, |range| {
        let mut transformed = vec![0.0f32; POINTS * panel];
        let mut lines = vec![0.0f32; panel];
        for number in range {
            let first = number * wide;
            let count = wide.min(columns - first);
            for line in 0..count {
                let mut taps = [[std::ptr::null(); 3]; 3];
                for (i, taps) in taps.iter_mut().enumerate() {
                    for (j, tap) in taps.iter_mut().enumerate() {
                        let place = 3 * second.reach(i) + third.reach(j);
                        *tap = weights[((first + line) * 9 + place) * channels..].as_ptr();
                    }
                }
                let to = transformed[line * channels..].as_mut_ptr();
                if !spread_weights(taps, channels, to, panel) {
                    finite.store(false, Ordering::Relaxed);
                }
            }
            for (point, lines_of) in transformed.chunks_exact(panel).enumerate() {
                let matrix = Matrix {
                    start: lines_of.as_ptr(),
                    rows: channels as isize,
                    columns: 1,
                };
                let which = Panels {
                    lines: 0..count,
                    terms: 0..channels,
                    height: wide,
                    fill: true,
                };
                let to = packed.at((point * panels + number) * panel);
                // SAFETY: `count` lines have been transformed, and this panel is this thread's alone.
                unsafe { pack_lines(&Wide(matrix), which, (lines.as_mut_ptr(), to)) };
            }
        }
    });
    finite.into_inner()
}

/// Where the elements of a tile are; zeros where there is none.
fn elements<T: RowElement>(
    task: &Task<T>,
    (batch, row, column): (usize, usize, usize),
    zeros: &[T],
) -> [[*const T; 4]; 4] {
    let [_, second, third] = &task.axes;
    let mut places = [[zeros.as_ptr(); 4]; 4];
    for (i, places) in places.iter_mut().enumerate() {
        let Some(row) = second.element(row + i) else {
            continue;
        };
        for (j, place) in places.iter_mut().enumerate() {
            if let Some(column) = third.element(column + j) {
                let at = (batch * second.input + row) * third.input + column;
                *place = task.x[at * task.channels..].as_ptr();
            }
        }
    }
    places
}

/// Writes the results of a tile. Returns whether all are finite.
fn write<T: RowElement<Wide = f32>>(
    task: &Task<T>,
    (batch, row, column): (usize, usize, usize),
    (from, layout): (*const f32, Layout),
    lines: &mut Scratch,
    out: &Output<T>,
) -> bool {
    let [_, second, third] = &task.axes;
    let columns = task.out_channels;
    let lines = room(lines, 4 * layout.columns);
    let in_place = T::DTYPE == Dtype::Float32 && columns.is_multiple_of(CHUNK);
    let mut to = [std::ptr::null_mut(); 4];
    let mut starts = [None; 4];
    for (i, (to, start)) in to.iter_mut().zip(&mut starts).enumerate() {
        *to = lines.wrapping_add(i * layout.columns);
        let (row, column) = (row + i / 2, column + i % 2);
        if row < second.output && column < third.output {
            let place = (batch * second.output + row) * third.output + column;
            if in_place {
                *to = out.ptr().wrapping_add(place * columns).cast();
            } else {
                *start = Some(place * columns);
            }
        }
    }
    let finite = gather_tile(from, layout.sums_step(), columns, to);
    for (i, start) in starts.into_iter().enumerate() {
        if let Some(start) = start {
            // SAFETY: the line has been written; each tile has results of its own.
            unsafe {
                let line = std::slice::from_raw_parts(lines.add(i * layout.columns), columns);
                T::narrow_slice(line, out.part(start..start + columns));
            }
        }
    }
    finite
}

/// Computes results once more, directly: what is not finite spreads in sums and differences to results
/// that never meet it.
struct Again<'a, T: RowElement> {
    task: &'a Task<'a, T>,
    cuts: Cuts,
    weights: &'a [f32],
    /// The weights as direct sums read them.
    packed: OnceLock<Vec<f32>>,
    out: &'a Output<'a, T>,
}

impl<T: RowElement<Wide = f32> + Rounded> Again<'_, T> {
    /// Computes the results of neighbouring tiles in one row, or of none.
    fn compute(&self, tiles: Range<usize>) {
        if tiles.is_empty() {
            return;
        }
        let inner = 9 * self.task.channels;
        let pack = || direct::pack(self.task, self.weights, inner);
        let [_, second, third] = &self.task.axes;
        let (batch, row, column) = self.cuts.place(tiles.start);
        let part = direct::Part {
            batch,
            group: 0,
            first: 0,
            second: row..(row + 2).min(second.output),
            third: column..(column + 2 * tiles.len()).min(third.output),
        };
        let packed = self.packed.get_or_init(pack);
        direct::compute(self.task, &part, packed, inner, self.out);
    }
}
