//! Owns products of rounded rows with packed ones: sums of whole numbers, group by group.
//!
//! A group of a row becomes whole numbers `n` from -127 to 127 times a scale `d`. With a scale `s` and
//! a bias `b` of the group of codes `q` that it meets, the products add up to
//! `s d (Σ q n) + b d (Σ n)`. Codes stay as they are packed: a register of words, one for each
//! column, is taken apart as it is multiplied.

use std::ops::Range;

use super::codes::Codes;
use crate::{
    dots::{Dots, FEW},
    isa::{Isa, per_isa},
    pool::parallel_for,
};

/// The largest whole number.
const LARGEST: f32 = 127.0;

/// True if rounded rows can meet these codes, whose products are summed in 16 bits.
pub(super) const fn takes<C: Codes>() -> bool {
    C::BIASED && (C::BITS == 2 || C::BITS == 4)
}

/// Rows rounded to whole numbers.
pub(super) struct Rounded {
    group: usize,
    /// Of each row so many words of four numbers.
    words: usize,
    /// In the order in which codes are taken from words: of each word first the numbers that meet the
    /// first code of each byte.
    numbers: Vec<u32>,
    /// For each group of each row, its scale, and its numbers' sum times that.
    scales: Vec<[f32; 2]>,
}

impl Rounded {
    /// Rounds `count` rows of `len` numbers, which are whole groups and which `read` writes; `None` if
    /// some are not finite.
    pub(super) fn new<C: Codes>(
        count: usize,
        len: usize,
        group: usize,
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Option<Self> {
        let (words, groups) = (len / 4, len / group);
        let mut numbers = vec![0u32; count * words];
        let mut scales = vec![[0.0f32; 2]; count * groups];
        let to = Room {
            numbers: numbers.as_mut_ptr(),
            scales: scales.as_mut_ptr(),
        };
        parallel_for(count, 2 * len, |range| {
            let mut wide = vec![0.0; len];
            for row in range {
                read(row, &mut wide);
                // SAFETY: each row has words and groups of its own.
                let (numbers, scales) = unsafe { to.row(row, words, groups) };
                round_row::<C>(&wide, group, numbers, scales);
            }
        });
        let finite = scales.iter().all(|[scale, _]| scale.is_finite());
        finite.then_some(Rounded {
            group,
            words,
            numbers,
            scales,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.numbers.len() / self.words.max(1)
    }

    fn groups(&self) -> usize {
        self.words * 4 / self.group
    }
}

/// Where rows are rounded to.
#[derive(Clone, Copy)]
struct Room {
    numbers: *mut u32,
    scales: *mut [f32; 2],
}

// SAFETY: threads write rows of their own.
unsafe impl Send for Room {}
// SAFETY: as above.
unsafe impl Sync for Room {}

impl Room {
    /// # Safety
    /// There must be such a row, and nothing else refer to it.
    unsafe fn row<'a>(
        self,
        row: usize,
        words: usize,
        groups: usize,
    ) -> (&'a mut [u32], &'a mut [[f32; 2]]) {
        // SAFETY: the caller's promise.
        unsafe {
            (
                std::slice::from_raw_parts_mut(self.numbers.add(row * words), words),
                std::slice::from_raw_parts_mut(self.scales.add(row * groups), groups),
            )
        }
    }
}

per_isa! {
    [v3]
    fn round_row<C: Codes>(row: &[f32], group: usize, numbers: &mut [u32], scales: &mut [[f32; 2]]) = round_row_body;
}

/// The numbers that are rounded at a time; groups are as many or more.
const SOME: usize = 32;

#[inline(always)]
fn round_row_body<S: Isa, C: Codes>(
    row: &[f32],
    group: usize,
    numbers: &mut [u32],
    scales: &mut [[f32; 2]],
) {
    let (row, []) = row.as_chunks::<SOME>() else {
        return;
    };
    let (numbers, _) = numbers.as_chunks_mut::<{ SOME / 4 }>();
    let parts = group / SOME;
    let groups = row.chunks_exact(parts).zip(numbers.chunks_exact_mut(parts));
    for ((row, numbers), scales) in groups.zip(scales) {
        // Bits of magnitudes are ordered as these are, and infinities and NaN above all.
        let mut largest = [0; SOME];
        for some in row {
            for (largest, number) in largest.iter_mut().zip(some) {
                *largest = (number.to_bits() & 0x7fff_ffff).max(*largest);
            }
        }
        let largest = f32::from_bits(largest.into_iter().max().unwrap_or(0));
        // Nothing is left of groups whose scale has no inverse.
        let inverse = LARGEST / largest;
        let (scale, inverse) = if inverse == f32::INFINITY {
            (0.0, 0.0)
        } else {
            (largest / LARGEST, inverse)
        };
        let mut sum = 0i32;
        for (to, some) in numbers.iter_mut().zip(row) {
            let (mut whole, mut bytes) = ([0i32; SOME], [0u8; SOME]);
            for (whole, number) in whole.iter_mut().zip(some) {
                // To the nearest, by what additions to a large number lose. What becomes of numbers
                // that are not finite is not used.
                let near = S::fma(*number, inverse, NEAREST);
                *whole = near.to_bits().wrapping_sub(NEAREST.to_bits()).cast_signed();
            }
            sum = whole
                .iter()
                .fold(sum, |sum: i32, &whole| sum.wrapping_add(whole));
            for (byte, whole) in bytes.iter_mut().zip(whole) {
                *byte = whole as u8;
            }
            *to = ordered::<C>(bytes);
        }
        *scales = [scale, scale * sum as f32];
    }
}

/// One and a half times 2^23: sums with it are whole numbers.
pub(super) const NEAREST: f32 = 12_582_912.0;

/// Every other byte of two words.
#[inline(always)]
pub(super) fn every_other(two: u64) -> u32 {
    let two = two & 0x00ff_00ff_00ff_00ff;
    let two = (two | two >> 8) & 0x0000_ffff_0000_ffff;
    (two | two >> 16) as u32
}

/// Numbers in the order in which codes are taken from words.
#[inline(always)]
fn ordered<C: Codes>(bytes: [u8; SOME]) -> [u32; SOME / 4] {
    let steps = 8 / C::BITS;
    let mut words = [0; SOME / 4];
    if steps == 2 {
        let (from, _) = bytes.as_chunks::<8>();
        for (to, from) in words.chunks_exact_mut(2).zip(from) {
            let two = u64::from_le_bytes(*from);
            to[0] = every_other(two);
            to[1] = every_other(two >> 8);
        }
        return words;
    }
    for (word, to) in words.chunks_exact_mut(steps).enumerate() {
        let from = &bytes[word * 4 * steps..][..4 * steps];
        for (step, to) in to.iter_mut().enumerate() {
            let four = [0, 1, 2, 3].map(|i| from[i * steps + step]);
            *to = u32::from_le_bytes(four);
        }
    }
    words
}

/// The words of some columns, interleaved, and what they are scaled by.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) words: &'a [u32],
    /// For each group one of each column; so the biases.
    pub(super) scales: &'a [f32],
    pub(super) biases: &'a [f32],
}

per_isa! {
    [bytes]
    /// The columns of a panel.
    pub(super) fn panel_width() -> usize = panel_width_body;
}

#[inline(always)]
fn panel_width_body<S: Dots>() -> usize {
    2 * S::N
}

per_isa! {
    [bytes]
    /// The rows whose products with a panel are taken at a time.
    pub(super) fn tile_height() -> usize = tile_height_body;
}

#[inline(always)]
fn tile_height_body<S: Dots>() -> usize {
    S::ROWS
}

per_isa! {
    [bytes]
    /// Writes the products of some rows, at most [`tile_height`], with a panel, row by row.
    pub(super) fn multiply<C: Codes>(rows: &Rounded, range: Range<usize>, panel: Panel, to: &mut [f32]) = multiply_body;
}

#[inline(always)]
fn multiply_body<S: Dots, C: Codes>(
    rows: &Rounded,
    range: Range<usize>,
    panel: Panel,
    to: &mut [f32],
) {
    match S::ROWS {
        8 => tile::<S, C, 8>(rows, range, panel, to),
        4 => tile::<S, C, 4>(rows, range, panel, to),
        _ => tile::<S, C, 2>(rows, range, panel, to),
    }
}

#[inline(always)]
fn tile<S: Dots, C: Codes, const R: usize>(
    rows: &Rounded,
    range: Range<usize>,
    panel: Panel,
    to: &mut [f32],
) {
    let (steps, per_word) = (8 / C::BITS, 32 / C::BITS);
    let (groups, words, wide) = (rows.groups(), rows.words / steps, 2 * S::N);
    let words_of_group = rows.group / per_word;
    assert!(range.len() <= R && range.end <= rows.count() && to.len() >= R * wide);
    assert!(panel.words.len() >= words * wide && panel.scales.len() >= groups * wide);
    assert!(panel.biases.len() >= groups * wide && words_of_group.is_multiple_of(FEW / steps));
    let mut numbers = [rows.numbers.as_ptr(); R];
    let mut scales = [rows.scales.as_ptr(); R];
    for i in 0..R {
        // Rows that there are not repeat the last one.
        let row = (range.start + i).min(range.end - 1);
        numbers[i] = rows.numbers[row * rows.words..][..rows.words].as_ptr();
        scales[i] = rows.scales[row * groups..][..groups].as_ptr();
    }
    let mut totals = [[S::splat(0.0); 2]; R];
    for group in 0..groups {
        // SAFETY: the assertions above: there are `words` words of each column, and of each row as many
        // as these have codes.
        unsafe {
            let first = group * words_of_group;
            let columns = panel.words.as_ptr().add(first * wide);
            let rows = numbers.map(|row| row.add(first * steps));
            let sums = S::dots::<R>(C::BITS, words_of_group, columns, rows);
            for half in 0..2 {
                let place = group * wide + half * S::N;
                let of_codes = S::load(panel.scales.as_ptr().add(place));
                let biases = S::load(panel.biases.as_ptr().add(place));
                for i in 0..R {
                    let [scale, sum] = scales[i].add(group).read();
                    let product = S::mul(S::to_floats(sums[i][half]), S::splat(scale));
                    let total = S::mul_add(of_codes, product, totals[i][half]);
                    totals[i][half] = S::mul_add(biases, S::splat(sum), total);
                }
            }
        }
    }
    for (to, total) in to.chunks_exact_mut(S::N).zip(totals.as_flattened()) {
        // SAFETY: the chunk has room for a register.
        unsafe { S::store(*total, to.as_mut_ptr()) };
    }
}
