//! Owns Fourier transforms of complex lines whose size is a power of two.
//!
//! A line of `n` numbers is seen as a matrix of `w` rows, as many as a vector has elements. The first
//! pass transforms its columns, a vector of them at a time, multiplies by roots of one, and transposes
//! in registers (Bailey 1990). What follows transforms the `n / w` rows of this along their columns, a
//! row being a vector of real and one of imaginary parts, so that no pass exchanges elements. The first
//! pass leaves the rows with the digits of their numbers reversed. Then every pass can work in place, and
//! results are where they belong after the last.

mod butterflies;
mod first;
mod passes;
mod real;
#[cfg(test)]
mod tests;

use std::f64::consts::TAU;

use olivine_core::Complex64;

use crate::{
    isa::{Level, level, per_isa},
    simd::Lanes,
};

pub(super) use real::{HalfPowerOfTwo, RealPowerOfTwo};

/// Forwards or inverse, as a type.
pub(crate) trait Direction {
    const INVERSE: bool;
}

struct Forwards;
struct Inverse;

impl Direction for Forwards {
    const INVERSE: bool = false;
}

impl Direction for Inverse {
    const INVERSE: bool = true;
}

/// The largest size: passes over larger lines would have to be planned for the second-level cache too.
const MAX_SIZE: usize = 1 << 20;

/// Passes over more rows than this are finished before the next begins; over fewer, which fit into the
/// first-level cache, all passes follow one another.
const CACHED: usize = 1 << 15;

/// The alignment of the rows in between, in `f32`.
const ALIGNED: usize = 16;

/// One of the passes between the first and the last.
struct Pass {
    /// How many rows are transformed at once.
    radix: usize,
    /// How many rows lie between them, which is also how many neighbours have the same roots.
    step: usize,
    /// The groups of neighbours in one of the blocks that the inner passes stay in, or in all.
    groups: usize,
    /// For each group of neighbours, and each result but the first, a root of one.
    roots: Vec<f32>,
}

/// The transform of lines of one size.
pub(crate) struct PowerOfTwo {
    size: usize,
    inverse: bool,
    /// The elements of the vectors that it is for.
    lanes: usize,
    /// The roots of one for the first pass.
    roots: Vec<f32>,
    /// The passes over blocks of rows that the first-level cache holds.
    inner: usize,
    passes: Vec<Pass>,
    /// How many blocks these are, and their rows.
    blocks: usize,
    rows: usize,
    /// How many rows the last pass transforms at once.
    radix: usize,
    /// How many rows lie between them.
    step: usize,
    /// The rows for the columns of the first block, and for the first column of each.
    places: Vec<usize>,
    starts: Vec<usize>,
}

impl PowerOfTwo {
    /// The plan for a size, if there is one.
    pub(crate) fn new(size: usize, inverse: bool) -> Option<Self> {
        Self::at_level(level(), size, inverse)
    }

    fn at_level(level: Level, size: usize, inverse: bool) -> Option<Self> {
        if !size.is_power_of_two() || !(32..=MAX_SIZE).contains(&size) {
            return None;
        }
        // Shorter lines have too few rows for vectors of sixteen.
        let lanes = if size < 256 { 8 } else { lanes(level) };
        let columns = if size == 32 { 8 } else { size / lanes };
        let mut roots = Vec::with_capacity(2 * size);
        for block in 0..columns / lanes {
            for i in 1..size / columns {
                let order = |place| block * lanes + order(level, lanes, place);
                let row: Vec<_> = (0..lanes).map(|l| root(i * order(l), size)).collect();
                roots.extend(row.iter().map(|z| z.re));
                roots.extend(row.iter().map(|z| z.im));
            }
        }
        let radices = radices(columns);
        let (&radix, others) = radices.split_last()?;
        let (mut passes, mut step) = (Vec::new(), 1);
        for (i, &radix) in others.iter().enumerate() {
            let left = &radices[i + 1..];
            let groups = columns / step / radix;
            let roots = (0..groups)
                .flat_map(|group| {
                    let column = column(group, left);
                    (1..radix).map(move |i| root(i * column, groups * radix))
                })
                .flat_map(|z| [z.re, z.im]);
            passes.push(Pass {
                radix,
                step,
                groups,
                roots: roots.collect(),
            });
            step *= radix;
        }
        let small =
            |pass: &&Pass| pass.step * pass.radix * lanes * size_of::<Complex64>() <= CACHED;
        let inner = passes.iter().take_while(small).count();
        let blocks = match passes[..inner].last() {
            Some(pass) => columns / pass.step / pass.radix,
            None => 0,
        };
        for pass in &mut passes[..inner] {
            pass.groups /= blocks;
        }
        Some(PowerOfTwo {
            size,
            inverse,
            lanes,
            roots,
            inner,
            blocks,
            rows: columns / blocks.max(1),
            passes,
            radix,
            step,
            places: (0..lanes).map(|i| place(i, &radices)).collect(),
            starts: (0..columns / lanes)
                .map(|block| place(block * lanes, &radices))
                .collect(),
        })
    }

    /// The `f32` that [`run`](Self::run) needs room for.
    pub(crate) fn room(&self) -> usize {
        2 * self.size + passes::KEPT + first::BLOCKS + ALIGNED
    }

    /// Transforms a line, with a factor.
    pub(crate) fn run(
        &self,
        from: &[Complex64],
        to: &mut [Complex64],
        room: &mut [f32],
        scale: f32,
    ) {
        if self.inverse {
            run::<Inverse>(self, from, to, room, scale);
        } else {
            run::<Forwards>(self, from, to, room, scale);
        }
    }
}

/// Whether vectors begin at an address.
fn is_aligned<T>(at: *const T) -> bool {
    at.addr().is_multiple_of(ALIGNED * size_of::<f32>())
}

/// `exp(-2πi k / n)`.
fn root(k: usize, n: usize) -> Complex64 {
    let angle = TAU * (k % n) as f64 / n as f64;
    Complex64::new(angle.cos() as f32, -angle.sin() as f32)
}

/// The elements of the longest vectors.
fn lanes(level: Level) -> usize {
    if cfg!(target_arch = "x86_64") && level >= Level::V4 {
        16
    } else {
        8
    }
}

/// As [`Lanes::order`], of vectors of so many elements.
fn order(level: Level, lanes: usize, place: usize) -> usize {
    match (level, lanes) {
        #[cfg(target_arch = "x86_64")]
        (_, 16) => crate::isa::V4::order(place),
        #[cfg(target_arch = "x86_64")]
        (Level::V3 | Level::V4 | Level::Bf16, _) => crate::isa::V3::order(place),
        (_, _) => crate::isa::Portable::order(place),
    }
}

/// How many rows each pass transforms at once, given all of them.
fn radices(rows: usize) -> Vec<usize> {
    match rows {
        ..=16 => vec![rows],
        32 => vec![8, 4],
        64 => vec![16, 4],
        128 => vec![8, 16],
        256 => vec![16, 16],
        _ => {
            // Rows of the last pass lie so far apart that they have the same place in the first-level
            // cache, which has no room for sixteen of them.
            let mut radices = Vec::new();
            let mut left = rows / 8;
            while left > 1 {
                let radix = match left {
                    ..=16 => left,
                    32 => 8,
                    _ => 16,
                };
                radices.push(radix);
                left /= radix;
            }
            radices.push(8);
            radices
        }
    }
}

/// The row for a column: its digits, of which the first has as many values as the first of the
/// radices, in reverse order.
fn place(mut column: usize, radices: &[usize]) -> usize {
    let mut place = 0;
    for &radix in radices.iter().rev() {
        place = place * radix + column % radix;
        column /= radix;
    }
    place
}

/// The column for a row.
fn column(mut place: usize, radices: &[usize]) -> usize {
    let mut column = 0;
    for &radix in radices {
        column = column * radix + place % radix;
        place /= radix;
    }
    column
}

per_isa! {
    fn run<D: Direction>(
        plan: &PowerOfTwo,
        from: &[Complex64],
        to: &mut [Complex64],
        room: &mut [f32],
        scale: f32,
    ) = run_body;
}

#[inline(always)]
fn run_body<S: Lanes, D: Direction>(
    plan: &PowerOfTwo,
    from: &[Complex64],
    to: &mut [Complex64],
    room: &mut [f32],
    scale: f32,
) {
    assert!(from.len() == plan.size && to.len() == plan.size && room.len() >= plan.room());
    let (from, to) = (from.as_ptr().cast(), to.as_mut_ptr().cast::<f32>());
    let room = room.as_mut_ptr();
    let kept = room.wrapping_add(room.align_offset(ALIGNED * size_of::<f32>()));
    let blocks = kept.wrapping_add(passes::KEPT);
    // The rows are where the result will be, if they fit there.
    let rows = if is_aligned(to) {
        to
    } else {
        blocks.wrapping_add(first::BLOCKS)
    };
    // SAFETY: the slices are as long as the plan wants them, and the plan is for vectors as long.
    unsafe {
        if S::N == 16 && plan.lanes == 16 {
            first::first16::<S, D>(plan, from, rows, (kept, blocks));
            finish::<S, D>(plan, (rows, kept), to, scale);
            return;
        }
        assert_eq!(plan.lanes, 8);
        match plan.size {
            32 => first::whole8::<S::Short, D, 4>(plan, from, to, scale),
            64 => first::whole8::<S::Short, D, 8>(plan, from, to, scale),
            _ => {
                first::first8::<S::Short, D>(plan, from, rows);
                finish::<S::Short, D>(plan, (rows, kept), to, scale);
            }
        }
    }
}

/// All passes but the first.
///
/// # Safety
/// The rows of the plan must be readable and writable, and the result writable.
#[inline(always)]
unsafe fn finish<S: Lanes, D: Direction>(
    plan: &PowerOfTwo,
    (rows, kept): (*mut f32, *mut f32),
    to: *mut f32,
    scale: f32,
) {
    let (inner, outer) = plan.passes.split_at(plan.inner);
    // SAFETY: blocks of the rows.
    unsafe {
        for block in 0..plan.blocks {
            let rows = rows.add(2 * S::N * plan.rows * block);
            for pass in inner {
                middle::<S>((pass, pass.groups * block), rows, kept);
            }
        }
        for pass in outer {
            middle::<S>((pass, 0), rows, kept);
        }
        // Two calls, so that each is compiled without asking about the factor.
        if scale == 1.0 {
            last::<S, D>(plan, (rows, kept), to, None);
        } else {
            last::<S, D>(plan, (rows, kept), to, Some(scale));
        }
    }
}

/// One pass over a block of rows.
///
/// # Safety
/// They must be readable and writable.
#[inline(always)]
unsafe fn middle<S: Lanes>(pass: (&Pass, usize), rows: *mut f32, kept: *mut f32) {
    // SAFETY: passed on to the caller.
    unsafe {
        match pass.0.radix {
            4 => passes::middle::<S, 4>(pass, rows, kept),
            8 => passes::middle::<S, 8>(pass, rows, kept),
            _ => passes::middle::<S, 16>(pass, rows, kept),
        }
    }
}

/// The last pass.
///
/// # Safety
/// As for [`finish`].
#[inline(always)]
unsafe fn last<S: Lanes, D: Direction>(
    plan: &PowerOfTwo,
    (rows, kept): (*mut f32, *mut f32),
    to: *mut f32,
    scale: Option<f32>,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        match plan.radix {
            4 => passes::last::<S, D, 4>(plan.step, rows, to, scale, kept),
            8 => passes::last::<S, D, 8>(plan.step, rows, to, scale, kept),
            _ => passes::last::<S, D, 16>(plan.step, rows, to, scale, kept),
        }
    }
}
