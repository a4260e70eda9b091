//! Owns blocked products of matrices. Blocks of both operands are packed, so that the innermost loop
//! reads memory in order and keeps a tile of the product in registers.
//!
//! The blocking is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication" (2008).

use std::{cell::Cell, ops::Range};

use half::{bf16, f16};
use olivine_core::Dtype;

use super::{
    Matrix, PER_COST, Sizes, Target,
    sides::{Panels, Side, Wide, Words, pack},
};
use crate::{
    isa::{Isa, per_isa},
    kernels::row::narrow,
    pool::{num_threads, parallel_for, parallel_units},
    simd::{Lanes, Narrow, prefetch},
};

/// The most words summed before a tile goes back to memory: a panel of either operand with this
/// many stays in the first two levels of cache.
const DEPTH: usize = 512;

/// Terms are cut at multiples of this, which every group of quantized numbers divides.
const UNIT: usize = 128;

/// The most rows of a packed block of the left operand, which fills half of a second-level cache.
const ROWS: usize = 336;

/// The most columns of the packed part of the right operand, which all threads share.
const COLUMNS: usize = 4096;

/// The fewest columns that make packing rows anew for each thread cheap.
const WIDTH: usize = 1024;

/// The most sums that wait for more terms, for products of so few rows: 4 MiB.
const WAITING: usize = 1 << 20;

/// The numbers in a line of the cache.
const LINE: usize = 16;

/// The most columns of a tile.
const WIDE: usize = 32;

/// A cache line, which the packed operands are aligned to.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(in crate::kernels) struct Line(
    #[expect(dead_code, reason = "read through pointers to its elements")] [f32; 16],
);

/// Memory that starts with a line of the cache.
pub(in crate::kernels) type Scratch = Vec<Line>;

thread_local! {
    static LEFT: Cell<Scratch> = const { Cell::new(Vec::new()) };
    static RIGHT: Cell<Scratch> = const { Cell::new(Vec::new()) };
    /// Lines of a panel before they are interleaved.
    static LINES: Cell<Scratch> = const { Cell::new(Vec::new()) };
    /// Sums of products whose results are not `f32`.
    static SUMS: Cell<Scratch> = const { Cell::new(Vec::new()) };
}

/// Room for `len` elements.
pub(in crate::kernels) fn room(scratch: &mut Scratch, len: usize) -> *mut f32 {
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
    let out = Out::Sums(Sums { to: out, add });
    // SAFETY: passed on to the caller.
    unsafe { product(sizes, &Wide(a), &Wide(b.transposed()), out, parallel) }
}

/// Results that are narrower than the sums they are rounded from.
pub(in crate::kernels) trait Rounded: Narrow {
    /// # Safety
    /// As many elements must be writable at `to`.
    unsafe fn round(sums: &[f32], to: *mut u8);
    /// Rounds rows of `columns` sums.
    ///
    /// # Safety
    /// As many rows of as many elements must be writable.
    unsafe fn round_rows(sums: &[[f32; WIDE]], columns: usize, to: Target<u8>);
}

macro_rules! rounded {
    ($($ty:ty)*) => {$(
        impl Rounded for $ty {
            unsafe fn round(sums: &[f32], to: *mut u8) {
                // SAFETY: passed on to the caller.
                narrow(sums, unsafe { std::slice::from_raw_parts_mut(to.cast::<$ty>(), sums.len()) });
            }
            unsafe fn round_rows(sums: &[[f32; WIDE]], columns: usize, to: Target<u8>) {
                narrow_rows::<$ty>(sums, columns, to);
            }
        }
    )*};
}

rounded!(f16 bf16 f32);

per_isa! {
    /// As [`Rounded::round_rows`].
    fn narrow_rows<T: Narrow>(sums: &[[f32; WIDE]], columns: usize, to: Target<u8>) = narrow_rows_body;
}

#[inline(always)]
fn narrow_rows_body<S: Isa, T: Narrow>(sums: &[[f32; WIDE]], columns: usize, to: Target<u8>) {
    for (i, sums) in sums.iter().enumerate() {
        // SAFETY: the caller promises such rows.
        let to = unsafe { std::slice::from_raw_parts_mut(to.at(i, 0).cast::<T>(), columns) };
        for (to, &sum) in to.iter_mut().zip(sums) {
            *to = T::narrow(sum);
        }
    }
}

/// Where results go, in bytes, and how sums become results.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Results {
    to: Target<u8>,
    round: unsafe fn(&[f32], *mut u8),
    round_rows: unsafe fn(&[[f32; WIDE]], usize, Target<u8>),
    /// True if results are sums as they are.
    exact: bool,
}

impl Results {
    /// Results at a place for them, with contiguous rows.
    pub(in crate::kernels) fn new<T: Rounded>(to: Target<T>) -> Self {
        Results {
            to: Target {
                start: to.start.cast(),
                row: to.row * size_of::<T>(),
                column: size_of::<T>(),
            },
            round: T::round,
            round_rows: T::round_rows,
            exact: T::DTYPE == Dtype::Float32,
        }
    }

    /// The part from a row and column on.
    pub(in crate::kernels) fn skip(self, row: usize, column: usize) -> Self {
        Results {
            to: self.to.skip(row, column),
            ..self
        }
    }

    /// The address of a result.
    pub(in crate::kernels) fn at(self, row: usize, column: usize) -> *mut u8 {
        self.to.at(row, column)
    }

    /// The bytes of a result.
    pub(in crate::kernels) fn size(self) -> usize {
        self.to.column
    }

    /// The same results elsewhere: in rows of `columns` at an address.
    pub(in crate::kernels) fn elsewhere(self, start: *mut u8, columns: usize) -> Self {
        let to = Target {
            start,
            row: columns * self.size(),
            column: self.size(),
        };
        Results { to, ..self }
    }

    /// Rounds sums to results in one row.
    ///
    /// # Safety
    /// As many results must be there from `row` and `column` on.
    pub(in crate::kernels) unsafe fn write(self, sums: &[f32], row: usize, column: usize) {
        // SAFETY: passed on to the caller.
        unsafe { (self.round)(sums, self.at(row, column)) };
    }
}

/// `out = a @ b`, of the rows of `a` and the lines of `b`, which are columns. Each result is rounded
/// once.
///
/// # Safety
/// The sides must have the lines and terms of `sizes`, and `out` be ours alone.
pub(in crate::kernels) unsafe fn multiply_sides<W: Words>(
    sizes: Sizes,
    a: &dyn Side<Words = W>,
    b: &dyn Side<Words = W>,
    out: Results,
    parallel: bool,
) {
    let out = if out.exact {
        let to = Target {
            start: out.to.start.cast(),
            row: out.to.row / size_of::<f32>(),
            column: 1,
        };
        Out::Sums(Sums { to, add: false })
    } else {
        Out::Results(out)
    };
    // SAFETY: passed on to the caller.
    unsafe { product(sizes, a, b, out, parallel) };
}

/// What a product writes.
#[derive(Clone, Copy)]
enum Out {
    Sums(Sums),
    Results(Results),
}

/// Where sums are kept.
#[derive(Clone, Copy)]
struct Sums {
    to: Target<f32>,
    /// Whether they add to what is there.
    add: bool,
}

/// The product of two sides.
///
/// # Safety
/// As for `multiply_sides`.
unsafe fn product<W: Words>(
    sizes: Sizes,
    a: &dyn Side<Words = W>,
    b: &dyn Side<Words = W>,
    out: Out,
    parallel: bool,
) {
    let Sizes { m, n, k } = sizes;
    if k == 0 {
        let zeros = vec![0.0; n];
        for row in 0..m {
            // SAFETY: a row of the output.
            unsafe {
                match out {
                    Out::Sums(Sums { add: true, .. }) => {}
                    Out::Sums(sums) => sums
                        .to
                        .at(row, 0)
                        .copy_from_nonoverlapping(zeros.as_ptr(), n),
                    Out::Results(results) => results.write(&zeros, row, 0),
                }
            }
        }
    }
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let terms = W::TERMS;
    let (tall, wide) = if W::BF16 {
        pairs_tile_size()
    } else {
        tile_size()
    };
    let depth = if k <= DEPTH * terms {
        k
    } else {
        piece(k, DEPTH * terms, UNIT)
    };
    let most_words = depth.div_ceil(terms);
    // Sums that are not the results wait in memory for the next terms; there should not be many.
    let waiting = depth < k && matches!(out, Out::Results(_));
    let most = if waiting {
        (WAITING / m).clamp(16 * wide, COLUMNS)
    } else {
        COLUMNS
    };
    let columns = piece(n, most, wide);
    let threads = if parallel { num_threads() } else { 1 };
    // Enough units that threads end together, of blocks that are worth packing. Where rows do not go
    // round, columns are cut as well; each thread then packs all blocks, so parts should be wide.
    let units = if threads == 1 { 1 } else { 8 * threads };
    let enough = m.div_ceil(units).next_multiple_of(tall);
    let rows = piece(m, enough.clamp(4 * tall, ROWS), 1);
    let blocks = m.div_ceil(rows);
    let needed = units.div_ceil(4).div_ceil(blocks).min(n.div_ceil(4 * wide));
    let wanted = units.div_ceil(blocks).min(n / WIDTH);
    let cuts = needed.max(wanted).max(1);

    let mut scratch = RIGHT.take();
    // One row of panels, which threads write in parts and then only read.
    let packed = Target::new(room(&mut scratch, most_words * columns), 0);
    let mut waiting_sums = SUMS.take();
    let len = if waiting { m * columns } else { 0 };
    let waiting_at = Target::new(room(&mut waiting_sums, len), columns);
    for column in (0..n).step_by(columns) {
        let columns = columns.min(n - column);
        let panels = columns.div_ceil(wide);
        for first in (0..k).step_by(depth) {
            let last = (first + depth).min(k);
            let words = (last - first).div_ceil(terms);
            let pack_right = |range: Range<usize>| {
                let at = range.start * wide;
                let panels = Panels {
                    lines: column + at..column + columns.min(range.end * wide),
                    terms: first..last,
                    height: wide,
                    fill: true,
                };
                let mut scratch = LINES.take();
                let rooms = (room(&mut scratch, wide * words), packed.at(0, at * words));
                // SAFETY: the lines and terms exist, and these panels are this thread's alone.
                unsafe { pack(b, panels, rooms) };
                LINES.set(scratch);
            };
            let (sums, results) = match out {
                Out::Sums(Sums { to, add }) => {
                    let (to, add) = (to.skip(0, column), add || first > 0);
                    (Sums { to, add }, None)
                }
                Out::Results(results) => {
                    let results = (last == k).then_some(results.skip(0, column));
                    let (to, add) = (waiting_at, first > 0);
                    (Sums { to, add }, results)
                }
            };
            let panels_of = |cut: usize| panels * cut / cuts..panels * (cut + 1) / cuts;
            let compute = |range: Range<usize>| {
                let mut scratch = LEFT.take();
                let left = room(&mut scratch, rows * words);
                let mut held = None;
                for unit in range {
                    let (block, cut) = (unit / cuts, unit % cuts);
                    let row = block * rows;
                    let rows = rows.min(m - row);
                    let height = piece(rows, tall, 1);
                    if held != Some(block) {
                        let mut scratch = LINES.take();
                        let rooms = (room(&mut scratch, height * words), left);
                        let panels = Panels {
                            lines: row..row + rows,
                            terms: first..last,
                            height,
                            fill: false,
                        };
                        // SAFETY: the lines and terms exist, and the block is this thread's.
                        unsafe { pack(a, panels, rooms) };
                        LINES.set(scratch);
                        held = Some(block);
                    }
                    let range = panels_of(cut);
                    let at = range.start * wide;
                    let work = Block {
                        left,
                        right: packed.at(0, at * words),
                        sums: Sums {
                            to: sums.to.skip(row, at),
                            ..sums
                        },
                        results: results.map(|results| results.skip(row, at)),
                        rows,
                        height,
                        columns: columns.min(range.end * wide) - at,
                        words,
                    };
                    if W::BF16 {
                        multiply_pairs::<W>(work);
                    } else {
                        multiply_block::<W>(work);
                    }
                }
                LEFT.set(scratch);
            };
            let units = blocks * cuts;
            if threads > 1 {
                parallel_for(panels, wide * words, pack_right);
                let cost = m * columns / units * words / PER_COST;
                parallel_units(units, cost.max(1), compute);
            } else {
                pack_right(0..panels);
                compute(0..units);
            }
        }
    }
    RIGHT.set(scratch);
    SUMS.set(waiting_sums);
}

per_isa! {
    /// The rows and columns of the largest tile.
    pub(in crate::kernels) fn tile_size() -> (usize, usize) = tile_size_body;
}

per_isa! {
    [bf16]
    /// The rows and columns of the largest tile of pairs.
    fn pairs_tile_size() -> (usize, usize) = tile_size_body;
}

#[inline(always)]
fn tile_size_body<S: Lanes>() -> (usize, usize) {
    (S::TILE.0, S::TILE.1 * S::N)
}

/// A product of packed operands.
#[derive(Clone, Copy)]
struct Block {
    /// Panels of `height` rows, the last of what is left.
    left: *const f32,
    /// Panels of the width of a tile.
    right: *const f32,
    sums: Sums,
    /// Where the results go, if these words are the last and results are not the sums.
    results: Option<Results>,
    rows: usize,
    height: usize,
    columns: usize,
    words: usize,
}

per_isa! {
    /// Multiplies a block, tile by tile.
    fn multiply_block<W: Words>(block: Block) = multiply_block_body;
}

per_isa! {
    [bf16]
    /// Multiplies a block of pairs, with instructions for them where there are some.
    fn multiply_pairs<W: Words>(block: Block) = multiply_block_body;
}

#[inline(always)]
fn multiply_block_body<S: Lanes, W: Words>(block: Block) {
    let wide = S::TILE.1 * S::N;
    for column in (0..block.columns).step_by(wide) {
        for row in (0..block.rows).step_by(block.height) {
            let rows = block.height.min(block.rows - row);
            let columns = wide.min(block.columns - column);
            let left = block.left.wrapping_add(row * block.words);
            // The first tiles ask for the next panel, each for as many lines as there are words; others
            // for what is there.
            let (turn, panel) = (row / block.height, (column + wide) * block.words);
            let next = if turn < wide / LINE {
                block.right.wrapping_add(panel + turn * block.words * LINE)
            } else {
                left
            };
            let tile = Tile {
                left,
                right: block.right.wrapping_add(column * block.words),
                next,
                sums: Sums {
                    to: block.sums.to.skip(row, column),
                    ..block.sums
                },
                results: block.results.map(|results| results.skip(row, column)),
                columns,
                words: block.words,
            };
            if S::TILE.1 == 1 || columns <= S::N {
                tile_of_rows::<S, W, 1>(rows, tile);
            } else {
                tile_of_rows::<S, W, 2>(rows, tile);
            }
        }
    }
}

/// A product of one panel of each operand.
#[derive(Clone, Copy)]
struct Tile {
    left: *const f32,
    right: *const f32,
    /// What is asked for on the way, a line for each word.
    next: *const f32,
    sums: Sums,
    results: Option<Results>,
    columns: usize,
    words: usize,
}

#[inline(always)]
fn tile_of_rows<S: Lanes, W: Words, const V: usize>(rows: usize, tile: Tile) {
    macro_rules! sizes {
        ($($rows:literal)*) => {
            match rows {
                // SAFETY: the panels hold as many rows and columns as the tile needs.
                $($rows if const { $rows <= S::TILE.0 } => unsafe { multiply_tile::<S, W, $rows, V>(tile) },)*
                _ => unreachable!("a tile has at most {} rows, not {rows}", S::TILE.0),
            }
        };
    }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// Adds the products of `R` neighbouring words with `V` vectors of them to sums.
///
/// # Safety
/// The words must be readable.
#[inline(always)]
pub(in crate::kernels) unsafe fn add_products<
    S: Lanes,
    W: Words,
    const R: usize,
    const V: usize,
>(
    left: *const f32,
    right: *const f32,
    sums: &mut [[S::F; V]; R],
) {
    // SAFETY: the caller's promise.
    let b: [S::F; V] = std::array::from_fn(|j| unsafe { S::load(right.add(j * S::N)) });
    macro_rules! rows {
        ($($row:literal)*) => {$(
            if $row < R {
                // Words from registers cost instructions, words from memory loads: some of each.
                if $row % 2 == 0 {
                    // SAFETY: the caller's promise.
                    let a = S::splat(unsafe { left.add($row).read() });
                    for (sum, &b) in sums[$row].iter_mut().zip(&b) {
                        *sum = W::mul_add::<S>(a, b, *sum);
                    }
                } else {
                    for (sum, &b) in sums[$row].iter_mut().zip(&b) {
                        // SAFETY: the caller's promise.
                        *sum = unsafe { W::mul_add_at::<S, $row>(left, b, *sum) };
                    }
                }
            }
        )*};
    }
    rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
}

/// Writes a row of a tile, and what has been summed so far to it.
///
/// # Safety
/// `V * N` sums must be readable, and writable at `to`, which may be the same place.
#[inline(always)]
unsafe fn store_row<S: Lanes, const V: usize>(
    sums: [S::F; V],
    so_far: Option<*const f32>,
    to: *mut f32,
) {
    for (j, &sum) in sums.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let sum = match so_far {
                Some(so_far) => S::add(sum, S::load(so_far.add(j * S::N))),
                None => sum,
            };
            S::store(sum, to.add(j * S::N));
        }
    }
}

/// Multiplies panels of `R` rows and `V` vectors of columns.
///
/// # Safety
/// The left panel must hold `R` lines of `words` words, the right one lines for the width of a tile,
/// and the output `R` rows of `columns` elements.
#[inline(always)]
unsafe fn multiply_tile<S: Lanes, W: Words, const R: usize, const V: usize>(tile: Tile) {
    let wide = S::TILE.1 * S::N;
    let (mut left, mut right, mut next) = (tile.left, tile.right, tile.next);
    let mut sums = [[S::splat(0.0); V]; R];
    for i in 0..R {
        for j in 0..V {
            prefetch(tile.sums.to.at(i, j * S::N));
        }
    }
    for _ in 0..tile.words {
        // SAFETY: the caller promises panels of `words` words.
        unsafe {
            add_products::<S, W, R, V>(left, right, &mut sums);
            left = left.add(R);
            right = right.add(wide);
            prefetch(next);
            next = next.wrapping_add(LINE);
        }
    }
    let whole = tile.columns == V * S::N;
    // Rows are written out, since an iterator over the array would keep it in memory.
    macro_rules! store_rows {
        ($row:ident => $to:expr, $so_far:expr) => {
            store_rows!($row => $to, $so_far, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
        };
        ($row:ident => $to:expr, $so_far:expr, $($number:literal)*) => {$(
            if $number < R {
                let $row = $number;
                // SAFETY: the caller promises `R` rows of `V * N` elements if the tile is whole; two vectors
                // have at most `WIDE` elements.
                unsafe { store_row::<S, V>(sums[$number], $so_far, $to) };
            }
        )*};
    }
    let at = |row: usize| tile.sums.to.at(row, 0);
    if whole && tile.results.is_none() {
        if tile.sums.add {
            store_rows!(row => at(row), Some(at(row).cast_const()));
        } else {
            store_rows!(row => at(row), None);
        }
        return;
    }
    let mut rows = [[0.0f32; WIDE]; R];
    if tile.sums.add && whole {
        store_rows!(row => rows[row].as_mut_ptr(), Some(at(row).cast_const()));
    } else {
        store_rows!(row => rows[row].as_mut_ptr(), None);
    }
    if tile.sums.add && !whole {
        for (i, row) in rows.iter_mut().enumerate() {
            // SAFETY: the caller promises rows of `columns` sums.
            let so_far = unsafe { std::slice::from_raw_parts(tile.sums.to.at(i, 0), tile.columns) };
            for (sum, &so_far) in row.iter_mut().zip(so_far) {
                *sum += so_far;
            }
        }
    }
    // SAFETY: the caller promises rows of `columns` elements.
    unsafe {
        if let Some(results) = tile.results {
            (results.round_rows)(&rows, tile.columns, results.to);
            return;
        }
        for (i, row) in rows.iter().enumerate() {
            let to = tile.sums.to.at(i, 0);
            to.copy_from_nonoverlapping(row.as_ptr(), tile.columns);
        }
    }
}
