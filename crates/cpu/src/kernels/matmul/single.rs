//! Owns products of `f32` matrices. Blocks of both operands are packed, so that the innermost loop
//! reads memory in order and keeps a tile of the product in registers.
//!
//! The blocking is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication" (2008).

use std::{cell::Cell, ops::Range};

use super::{Matrix, PER_COST, Sizes, Target};
use crate::{
    isa::per_isa,
    pool::{num_threads, parallel_for},
    simd::{Lanes, transpose4},
};

/// The most terms summed before a tile goes back to memory: a panel of either operand with this
/// many stays in the first two levels of cache.
const DEPTH: usize = 512;

/// The most rows of a packed block of the left operand, which fills half of a second-level cache.
const ROWS: usize = 336;

/// The most columns of the packed part of the right operand, which all threads share.
const COLUMNS: usize = 4096;

/// A cache line, which the packed operands are aligned to.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read through pointers to its elements")] [f32; 16]);

type Scratch = Vec<Line>;

thread_local! {
    static LEFT: Cell<Scratch> = const { Cell::new(Vec::new()) };
    static RIGHT: Cell<Scratch> = const { Cell::new(Vec::new()) };
}

/// Room for `len` elements.
fn room(scratch: &mut Scratch, len: usize) -> *mut f32 {
    let lines = len.div_ceil(16);
    if scratch.len() < lines {
        scratch.resize(lines, Line([0.0; 16]));
    }
    scratch.as_mut_ptr().cast()
}

/// Cuts `len` into pieces as equal as possible, none longer than `most`, of a multiple of `unit`
/// except the last. Returns the length of a piece.
fn piece(len: usize, most: usize, unit: usize) -> usize {
    let count = len.div_ceil(most).max(1);
    len.div_ceil(count).next_multiple_of(unit).max(unit)
}

/// `out = a @ b`, or `out += a @ b` if `add`; rows of `out` are contiguous. Uses several threads if
/// `parallel`.
///
/// # Safety
/// The matrices must hold evaluated elements for the sizes, and `out` be ours alone.
pub(in crate::kernels) unsafe fn multiply(
    sizes: Sizes,
    a: Matrix<f32>,
    b: Matrix<f32>,
    out: Target<f32>,
    add: bool,
    parallel: bool,
) {
    let Sizes { m, n, k } = sizes;
    if k == 0 && !add {
        for row in 0..m {
            // SAFETY: a row of the output.
            unsafe { std::slice::from_raw_parts_mut(out.at(row, 0), n) }.fill(0.0);
        }
    }
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let (tall, wide) = tile_size();
    let depth = piece(k, DEPTH, 1);
    let columns = piece(n, COLUMNS, wide);
    let threads = if parallel { num_threads() } else { 1 };
    // At least four blocks for each thread, as long as they are worth packing.
    let enough = m.div_ceil(4 * threads).next_multiple_of(tall);
    let most = if threads == 1 {
        ROWS
    } else {
        enough.clamp(4 * tall, ROWS)
    };
    let rows = piece(m, most, 1);
    let blocks = m.div_ceil(rows);
    // Where rows do not go round, columns are cut as well.
    let cuts = (2 * threads)
        .div_ceil(blocks)
        .min(n.div_ceil(4 * wide))
        .max(1);
    let cuts = if threads == 1 { 1 } else { cuts };

    let mut scratch = RIGHT.take();
    // One row of panels, which threads write in parts and then only read.
    let packed = Target::new(room(&mut scratch, depth * columns), 0);
    for column in (0..n).step_by(columns) {
        let columns = columns.min(n - column);
        let panels = columns.div_ceil(wide);
        for first in (0..k).step_by(depth) {
            let depth = depth.min(k - first);
            let part = b.skip(first, column);
            let pack = |range: Range<usize>| {
                let at = range.start * wide;
                let columns = columns.min(range.end * wide) - at;
                pack_columns(part.skip(0, at), depth, columns, packed.at(0, at * depth));
            };
            let add = add || first > 0;
            let panels_of = |cut: usize| panels * cut / cuts..panels * (cut + 1) / cuts;
            let compute = |range: Range<usize>| {
                let mut scratch = LEFT.take();
                let left = room(&mut scratch, rows * depth);
                let mut held = None;
                for unit in range {
                    let (block, cut) = (unit / cuts, unit % cuts);
                    let row = block * rows;
                    let rows = rows.min(m - row);
                    let height = piece(rows, tall, 1);
                    if held != Some(block) {
                        pack_rows(a.skip(row, first), rows, height, depth, left);
                        held = Some(block);
                    }
                    let range = panels_of(cut);
                    let at = range.start * wide;
                    let work = Block {
                        left,
                        right: packed.at(0, at * depth),
                        out: out.skip(row, column + at),
                        rows,
                        height,
                        columns: columns.min(range.end * wide) - at,
                        depth,
                        add,
                    };
                    multiply_block(work);
                }
                LEFT.set(scratch);
            };
            let units = blocks * cuts;
            if threads > 1 {
                parallel_for(panels, wide * depth, pack);
                parallel_for(
                    units,
                    (m * columns / units * depth / PER_COST).max(1),
                    compute,
                );
            } else {
                pack(0..panels);
                compute(0..units);
            }
        }
    }
    RIGHT.set(scratch);
}

per_isa! {
    /// The rows and columns of the largest tile.
    fn tile_size() -> (usize, usize) = tile_size_body;
}

#[inline(always)]
fn tile_size_body<S: Lanes>() -> (usize, usize) {
    (S::TILE.0, S::TILE.1 * S::N)
}

/// Copies `rows` rows to `to` in panels of `height`, each with the first elements of its rows before
/// the second ones.
fn pack_rows(a: Matrix<f32>, rows: usize, height: usize, depth: usize, to: *mut f32) {
    if a.rows != 1 {
        for i in (0..rows).step_by(height) {
            let height = height.min(rows - i);
            interleave(
                a.skip(i, 0),
                height,
                depth,
                to.wrapping_add(i * depth),
                height,
            );
        }
        return;
    }
    // Neighbours in memory belong to neighbouring rows: all panels take theirs from one run.
    for k in 0..depth {
        for i in (0..rows).step_by(height) {
            let height = height.min(rows - i);
            let to = to.wrapping_add(i * depth + k * height);
            // SAFETY: `height` neighbours of the matrix; the block has room for all rows.
            unsafe { copy_few(a.at(i, k), to, height) };
        }
    }
}

/// Copies a handful of elements: calling a function for so few would take longer than the copy.
///
/// # Safety
/// `len` elements must be readable at `from` and writable at `to`.
#[inline(always)]
unsafe fn copy_few(from: *const f32, to: *mut f32, len: usize) {
    let mut i = 0;
    // SAFETY: the caller's promise: no index reaches `len`.
    unsafe {
        while i + 4 <= len {
            let four = from.add(i).cast::<[f32; 4]>().read_unaligned();
            to.add(i).cast::<[f32; 4]>().write_unaligned(four);
            i += 4;
        }
        while i < len {
            to.add(i).write(from.add(i).read());
            i += 1;
        }
    }
}

per_isa! {
    /// Copies `columns` columns to `to` in panels as wide as a tile, row after row. The last panel
    /// is filled up with zeros.
    fn pack_columns(b: Matrix<f32>, depth: usize, columns: usize, to: *mut f32) = pack_columns_body;
}

#[inline(always)]
fn pack_columns_body<S: Lanes>(b: Matrix<f32>, depth: usize, columns: usize, to: *mut f32) {
    let wide = S::TILE.1 * S::N;
    let whole = columns - columns % wide;
    if b.columns == 1 {
        for k in 0..depth {
            for j in (0..whole).step_by(S::N) {
                let to = to.wrapping_add(j / wide * wide * depth + k * wide + j % wide);
                // SAFETY: `N` neighbours of a row; the panels have room for all columns.
                unsafe { S::store(S::load(b.at(k, j)), to) };
            }
        }
    } else {
        for j in (0..whole).step_by(wide) {
            let to = to.wrapping_add(j * depth);
            interleave(b.skip(0, j).transposed(), wide, depth, to, wide);
        }
    }
    if whole < columns {
        let to = to.wrapping_add(whole * depth);
        // SAFETY: the last panel.
        unsafe { std::slice::from_raw_parts_mut(to, wide * depth) }.fill(0.0);
        interleave(
            b.skip(0, whole).transposed(),
            columns - whole,
            depth,
            to,
            wide,
        );
    }
}

/// Copies `count` rows of `depth` elements so that neighbours come to lie `step` apart.
#[inline(always)]
fn interleave(rows: Matrix<f32>, count: usize, depth: usize, to: *mut f32, step: usize) {
    let whole = if rows.columns == 1 {
        (count - count % 4, depth - depth % 4)
    } else {
        (0, 0)
    };
    for i in (0..whole.0).step_by(4) {
        let from: [*const f32; 4] = std::array::from_fn(|r| rows.at(i + r, 0));
        for k in (0..whole.1).step_by(4) {
            // SAFETY: four neighbours of four rows; the packed panel has room for all rows.
            unsafe { transpose4(from.map(|row| row.add(k)), to.add(k * step + i), step) };
        }
    }
    // What is left of every row, and the rows that are left.
    for i in 0..count {
        for k in if i < whole.0 { whole.1 } else { 0 }..depth {
            // SAFETY: an element of the matrix; the packed panel has room.
            unsafe { to.add(k * step + i).write(rows.at(i, k).read()) };
        }
    }
}

/// A product of packed operands.
#[derive(Clone, Copy)]
struct Block {
    /// Panels of `height` rows, the last of what is left.
    left: *const f32,
    /// Panels of the width of a tile.
    right: *const f32,
    out: Target<f32>,
    rows: usize,
    height: usize,
    columns: usize,
    depth: usize,
    add: bool,
}

per_isa! {
    /// Multiplies a block, tile by tile.
    fn multiply_block(block: Block) = multiply_block_body;
}

#[inline(always)]
fn multiply_block_body<S: Lanes>(block: Block) {
    let wide = S::TILE.1 * S::N;
    for column in (0..block.columns).step_by(wide) {
        for row in (0..block.rows).step_by(block.height) {
            let rows = block.height.min(block.rows - row);
            let columns = wide.min(block.columns - column);
            let tile = Tile {
                left: block.left.wrapping_add(row * block.depth),
                right: block.right.wrapping_add(column * block.depth),
                out: block.out.skip(row, column),
                columns,
                depth: block.depth,
                add: block.add,
            };
            if S::TILE.1 == 1 || columns <= S::N {
                tile_of_rows::<S, 1>(rows, tile);
            } else {
                tile_of_rows::<S, 2>(rows, tile);
            }
        }
    }
}

/// A product of one panel of each operand.
#[derive(Clone, Copy)]
struct Tile {
    left: *const f32,
    right: *const f32,
    out: Target<f32>,
    columns: usize,
    depth: usize,
    add: bool,
}

#[inline(always)]
fn tile_of_rows<S: Lanes, const V: usize>(rows: usize, tile: Tile) {
    macro_rules! sizes {
        ($($rows:literal)*) => {
            match rows {
                // SAFETY: the panels hold as many rows and columns as the tile needs.
                $($rows if $rows <= S::TILE.0 => unsafe { multiply_tile::<S, $rows, V>(tile) },)*
                _ => unreachable!("a tile has at most {} rows, not {rows}", S::TILE.0),
            }
        };
    }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// Multiplies panels of `R` rows and `V` vectors of columns.
///
/// # Safety
/// The left panel must hold `R` elements for each of the `depth` terms, the right one the width of
/// a tile, and the output `R` rows of `columns` elements.
#[inline(always)]
unsafe fn multiply_tile<S: Lanes, const R: usize, const V: usize>(tile: Tile) {
    let wide = S::TILE.1 * S::N;
    let (mut left, mut right) = (tile.left, tile.right);
    let mut sums = [[S::splat(0.0); V]; R];
    for _ in 0..tile.depth {
        // SAFETY: the caller promises panels of `depth` terms.
        unsafe {
            let b: [S::F; V] = std::array::from_fn(|j| S::load(right.add(j * S::N)));
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = S::splat(left.add(i).read());
                for (sum, &b) in sums.iter_mut().zip(&b) {
                    *sum = S::mul_add(a, b, *sum);
                }
            }
            left = left.add(R);
            right = right.add(wide);
        }
    }
    if tile.columns == V * S::N {
        for (i, sums) in sums.into_iter().enumerate() {
            for (j, mut sum) in sums.into_iter().enumerate() {
                let to = tile.out.at(i, j * S::N);
                // SAFETY: the caller promises `R` rows of `V * N` elements.
                unsafe {
                    if tile.add {
                        sum = S::mul_add(S::splat(1.0), sum, S::load(to));
                    }
                    S::store(sum, to);
                }
            }
        }
        return;
    }
    let mut row = [0.0f32; 32];
    for (i, sums) in sums.into_iter().enumerate() {
        for (j, sum) in sums.into_iter().enumerate() {
            // SAFETY: two vectors have at most 32 elements.
            unsafe { S::store(sum, row.as_mut_ptr().add(j * S::N)) };
        }
        // SAFETY: the caller promises rows of `columns` elements.
        let to = unsafe { std::slice::from_raw_parts_mut(tile.out.at(i, 0), tile.columns) };
        for (to, &sum) in to.iter_mut().zip(&row) {
            *to = if tile.add { *to + sum } else { sum };
        }
    }
}
