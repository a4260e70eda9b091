//! Owns dot products of packed rows with a few vectors: codes become numbers in registers and nowhere
//! else, as the packed rows are read.
//!
//! With a scale `s` and a bias `b` for each group and a number `c` in the middle of all codes `q`,
//! `Σ (s q + b) x = Σ s (Σ (q - c) x) + Σ (b + s c) (Σ x)`. The last sums are taken once for all rows.
//! Each product is summed in the same order whatever else is multiplied beside it.

use std::ops::Range;

use super::codes::Codes;
use crate::{
    isa::per_isa,
    kernels::matmul::{Words, pair},
    simd::{Lanes, Narrow, prefetch},
};

/// The most numbers of a vector register.
const WIDEST: usize = 16;

/// Words of nothing.
const NOTHING: [u32; WIDEST] = [0; WIDEST];

/// The rows that are taken together.
pub(super) const TALL: usize = 32;

/// The most vectors that are multiplied at a time.
pub(super) const WIDE: usize = 8;

/// The numbers that follow the scales and biases of rows, so that registers can be filled.
pub(super) const SPARE: usize = WIDEST;

/// The bytes of all vectors together that stay in the first cache while rows go by.
const NEAR: usize = 24 * 1024;

/// How many bytes ahead of those that are read others are asked for.
const DISTANCE: usize = 8192;

/// The numbers of a line of the cache, across whose ends reading a register takes twice as long.
pub(super) const LINE: usize = 16;

/// The bytes of a line.
pub(super) const LINE_BYTES: usize = LINE * size_of::<f32>();

/// How vectors are laid out for an instruction set.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    lanes: usize,
    /// Codes are read where they stand in their words, and vectors make up for that.
    in_place: bool,
}

impl Layout {
    /// What the numbers of vectors are multiplied by in all.
    fn unit<C: Codes>(self) -> f32 {
        if C::FLOAT8 {
            power(FLOAT8_UNIT)
        } else if self.in_place {
            power(32 - 2 * C::IN_LANE)
        } else {
            1.0
        }
    }

    /// What sums are multiplied by in the end.
    fn scale<C: Codes>(self) -> f32 {
        if C::FLOAT8 {
            power(FLOAT8_LOST - FLOAT8_UNIT)
        } else {
            self.unit::<C>().recip()
        }
    }

    /// What a code of a word, as it is read, is too large by.
    fn excess<C: Codes>(self, code: usize) -> f32 {
        let shift = code * C::IN_LANE;
        if self.in_place && shift + C::IN_LANE < 32 {
            power(shift)
        } else {
            1.0
        }
    }
}

/// The power of two that floats of eight bits are too small by as [`Lanes::float8`] has them, and the one that
/// vectors are multiplied by, so that products with the smallest are not subnormal.
const FLOAT8_LOST: usize = 120;
const FLOAT8_UNIT: usize = 96;

/// Two to a power.
fn power(exponent: usize) -> f32 {
    f32::from_bits((127 + exponent as u32) << 23)
}

per_isa! {
    fn layout_of_singles<C: Codes, P: Words>() -> Layout = layout_body;
}

per_isa! {
    [bf16]
    fn layout_of_pairs<C: Codes, P: Words>() -> Layout = layout_body;
}

#[inline(always)]
fn layout_body<S: Lanes, C: Codes, P: Words>() -> Layout {
    Layout {
        lanes: S::N,
        in_place: P::TERMS == 1 && !looks_up::<S, C>() && !C::FLOAT8,
    }
}

/// True if codes are looked up in a table.
#[inline(always)]
fn looks_up<S: Lanes, C: Codes>() -> bool {
    C::BITS <= 4 && (S::LOOKS_UP || !C::BIASED)
}

/// The numbers of codes, less `centre`, for each value of four bits: what follows a shorter code is ignored.
#[inline(always)]
fn numbers<C: Codes>(centre: f32) -> [f32; 16] {
    let mask = (1 << C::BITS.min(4)) - 1;
    std::array::from_fn(|bits| C::value(bits as u32 & mask) - centre)
}

/// Up to [`WIDE`] vectors in the order in which codes are taken from words: of each block of words,
/// first the numbers that meet the first codes, of one vector after the other, then those that meet the
/// second ones.
pub(super) struct Vectors {
    len: usize,
    group: usize,
    layout: Layout,
    count: usize,
    /// The vectors that there is room for: one, two, four or eight.
    width: usize,
    /// Preceded by so many numbers that they begin with a line of the cache.
    ordered: Vec<f32>,
    skipped: usize,
    sums: GroupSums,
}

/// The sums of the groups of vectors.
pub(super) struct GroupSums {
    /// The groups of a vector.
    groups: usize,
    /// Of each vector as many as there are groups, and then nothing to fill registers.
    sums: Vec<f32>,
    step: usize,
}

impl GroupSums {
    /// Sums of none of `width` vectors so far.
    pub(super) fn new(width: usize, groups: usize) -> Self {
        let step = groups.next_multiple_of(WIDEST);
        GroupSums {
            groups,
            sums: vec![0.0; step * width],
            step,
        }
    }

    /// Sums the groups of a vector, times a factor.
    pub(super) fn add(&mut self, place: usize, vector: &[f32], factor: f32) {
        let group = vector.len() / self.groups.max(1);
        let of_groups = vector
            .chunks_exact(group.max(1))
            .map(|group| sum(group) * factor);
        let to = &mut self.sums[place * self.step..];
        to.iter_mut().zip(of_groups).for_each(|(to, sum)| *to = sum);
    }
}

impl Vectors {
    /// Vectors of `len` numbers, which are whole groups.
    pub(super) fn new<'a, C: Codes, P: Words>(
        vectors: impl ExactSizeIterator<Item = &'a [f32]>,
        len: usize,
        group: usize,
    ) -> Self {
        let layout = if P::BF16 {
            layout_of_pairs::<C, P>()
        } else {
            layout_of_singles::<C, P>()
        };
        let (per_word, lanes, unit) = (C::OF_LANE, layout.lanes, layout.unit::<C>());
        let (count, width) = (vectors.len(), vectors.len().next_power_of_two());
        let steps = per_word / P::TERMS;
        let mut sums = GroupSums::new(width, len / group);
        let len_of_blocks = len.next_multiple_of(per_word * lanes) / P::TERMS;
        let mut ordered = vec![0.0f32; len_of_blocks * width + LINE];
        let skipped = ordered.as_ptr().align_offset(LINE * size_of::<f32>()) % LINE;
        for (place, vector) in vectors.enumerate() {
            let blocks = ordered[skipped..].chunks_exact_mut(steps * lanes * width);
            for (to, from) in blocks.zip(vector.chunks(per_word * lanes)) {
                for step in 0..steps {
                    let factor = unit / layout.excess::<C>(step);
                    let to = to[(step * width + place) * lanes..][..lanes].iter_mut();
                    for (to, word) in to.zip(from.chunks_exact(per_word)) {
                        *to = if P::TERMS == 1 {
                            word[step] * factor
                        } else {
                            let [first, second] = [word[step], word[step + steps]];
                            pair(Narrow::narrow(first), Narrow::narrow(second))
                        };
                    }
                }
            }
            sums.add(place, vector, unit);
        }
        Vectors {
            len,
            group,
            layout,
            count,
            width,
            ordered,
            skipped,
            sums,
        }
    }
}

/// The sum of a group.
pub(super) fn sum(numbers: &[f32]) -> f32 {
    let mut parts = [0.0f64; 8];
    for numbers in numbers.chunks(parts.len()) {
        for (part, &number) in parts.iter_mut().zip(numbers) {
            *part += f64::from(number);
        }
    }
    parts.into_iter().sum::<f64>() as f32
}

/// Packed rows, at most [`TALL`], one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) count: usize,
    /// Those of the rows, and then of those that come next.
    pub(super) codes: &'a [u8],
    /// One for each group, and then [`SPARE`] more.
    pub(super) scales: &'a [f32],
    /// As scales, or none.
    pub(super) biases: &'a [f32],
    /// What the rows that come next are scaled with, as it is stored.
    pub(super) later: Later<'a>,
}

/// Scales and biases that are asked for while other rows are multiplied: read only when they are needed,
/// they keep the codes waiting for as long as memory takes to answer.
#[derive(Clone, Copy, Default)]
pub(super) struct Later<'a> {
    pub(super) stored: [&'a [u8]; 2],
    /// The bytes of a row.
    pub(super) of_row: [usize; 2],
}

impl Rows<'_> {
    /// Where the words and the scales of `R` rows start, which repeat the last one where there are no more.
    #[inline(always)]
    pub(super) fn starts<C: Codes, const R: usize>(
        self,
        row: usize,
        words: usize,
        groups: usize,
    ) -> ([*const u8; R], [*const f32; R]) {
        let len = C::bytes_of(words);
        let mut starts = ([self.codes.as_ptr(); R], [self.scales.as_ptr(); R]);
        for i in 0..R {
            let row = (row + i).min(self.count - 1);
            starts.0[i] = self.codes[row * len..][..len].as_ptr();
            starts.1[i] = self.scales[row * groups..][..groups + SPARE].as_ptr();
        }
        starts
    }

    /// Asks for the share of some rows of what comes later, when the first words of rows are read.
    #[inline(always)]
    pub(super) fn ask_for_later(self, words: &Range<usize>, rows: Range<usize>) {
        if words.start > 0 {
            return;
        }
        for (stored, of_row) in self.later.stored.iter().zip(self.later.of_row) {
            let end = stored.len().min(rows.end * of_row);
            for at in (rows.start * of_row..end).step_by(LINE_BYTES) {
                prefetch(stored.as_ptr().wrapping_add(at));
            }
        }
    }
}

/// Dot products, and room for those that are not summed yet.
#[repr(C, align(64))]
pub(super) struct Products {
    /// Of each vector, one with each row.
    sums: [[f32; TALL]; WIDE],
    parts: [f32; TALL * WIDE * WIDEST],
}

impl Products {
    pub(super) fn new() -> Self {
        Products {
            sums: [[0.0; TALL]; WIDE],
            parts: [0.0; TALL * WIDE * WIDEST],
        }
    }

    /// The parts of the products of some rows with `M` vectors.
    #[inline(always)]
    pub(super) fn parts_of<S: Lanes, const M: usize>(&mut self, rows: Range<usize>) -> &mut [f32] {
        &mut self.parts[rows.start * M * S::N..rows.end * M * S::N]
    }

    /// Of a vector.
    pub(super) fn of(&mut self, vector: usize) -> &mut [f32; TALL] {
        &mut self.sums[vector]
    }
}

/// The dot products of rows with vectors.
pub(super) fn dots<C: Codes, P: Words>(rows: Rows, vectors: &Vectors, products: &mut Products) {
    match (vectors.width, P::BF16) {
        (0, _) => products.sums = [[0.0; TALL]; WIDE],
        (1, false) => four_by_one::<C, P>(rows, vectors, products),
        (1, true) => four_by_one_in_pairs::<C, P>(rows, vectors, products),
        (2, false) => two_by_two::<C, P>(rows, vectors, products),
        (2, true) => two_by_two_in_pairs::<C, P>(rows, vectors, products),
        (4, false) => two_by_four::<C, P>(rows, vectors, products),
        (4, true) => two_by_four_in_pairs::<C, P>(rows, vectors, products),
        (_, false) => one_by_eight::<C, P>(rows, vectors, products),
        (_, true) => one_by_eight_in_pairs::<C, P>(rows, vectors, products),
    }
}

/// Kernels for so many rows by so many vectors at a time.
macro_rules! kernels {
    ($($name:ident, $in_pairs:ident, $body:ident, $rows:literal by $vectors:literal;)*) => {$(
        per_isa! {
            fn $name<C: Codes, P: Words>(
                rows: Rows, vectors: &Vectors, products: &mut Products,
            ) = $body;
        }
        per_isa! {
            [bf16]
            fn $in_pairs<C: Codes, P: Words>(
                rows: Rows, vectors: &Vectors, products: &mut Products,
            ) = $body;
        }
        #[inline(always)]
        fn $body<S: Lanes, C: Codes, P: Words>(
            rows: Rows, vectors: &Vectors, products: &mut Products,
        ) {
            dots_body::<S, C, P, $rows, $vectors>(rows, vectors, products);
        }
    )*};
}

kernels! {
    four_by_one, four_by_one_in_pairs, four_by_one_body, 4 by 1;
    two_by_two, two_by_two_in_pairs, two_by_two_body, 2 by 2;
    two_by_four, two_by_four_in_pairs, two_by_four_body, 2 by 4;
    one_by_eight, one_by_eight_in_pairs, one_by_eight_body, 1 by 8;
}

#[inline(always)]
fn dots_body<S: Lanes, C: Codes, P: Words, const R: usize, const M: usize>(
    rows: Rows,
    vectors: &Vectors,
    products: &mut Products,
) {
    assert_eq!(vectors.width, M);
    begin::<S, C, M>(rows, &vectors.sums, centre::<S, C, P>(), products);
    let words = vectors.len / C::OF_LANE;
    for range in near::<S, C, M>(words, size_of::<f32>() / P::TERMS) {
        for row in (0..rows.count).step_by(R) {
            rows.ask_for_later(&range, row..row + R);
            let parts = products.parts_of::<S, M>(row..row + R);
            add_products::<S, C, P, R, M>(rows, row, vectors, range.clone(), parts);
        }
    }
    let scale = vectors.layout.scale::<C>();
    end::<S, M>(rows.count, vectors.count, scale, products);
}

/// The ranges of words whose numbers, of so many bytes each, stay in the first cache while rows go by.
#[inline(always)]
pub(super) fn near<S: Lanes, C: Codes, const M: usize>(
    words: usize,
    size: usize,
) -> impl Iterator<Item = Range<usize>> {
    let near = (NEAR / M / size / C::OF_LANE).max(1).next_multiple_of(S::N);
    (0..words)
        .step_by(near)
        .map(move |start| start..words.min(start + near))
}

/// Begins the products of all rows with their offsets: `Σ (b + s c) x` over groups, in parts, where `c` is
/// taken from all codes.
#[inline(always)]
pub(super) fn begin<S: Lanes, C: Codes, const M: usize>(
    rows: Rows,
    sums: &GroupSums,
    centre: f32,
    products: &mut Products,
) {
    for row in 0..rows.count {
        let parts = products.parts_of::<S, M>(row..row + 1);
        offsets::<S, C, M>(rows, row, sums, centre, parts);
    }
}

/// Sums what the parts of products have become, times `unit`.
#[inline(always)]
pub(super) fn end<S: Lanes, const M: usize>(
    rows: usize,
    vectors: usize,
    unit: f32,
    products: &mut Products,
) {
    let Products { sums, parts } = products;
    for (vector, sums) in sums.iter_mut().enumerate().take(vectors) {
        for (row, sum) in sums.iter_mut().enumerate().take(rows) {
            // SAFETY: one register for each row and vector.
            let parts = unsafe { S::load(parts[(row * M + vector) * S::N..].as_ptr()) };
            *sum = S::sum(parts) * unit;
        }
    }
}

/// Writes the offsets of a row, in parts, for each vector.
#[inline(always)]
fn offsets<S: Lanes, C: Codes, const M: usize>(
    rows: Rows,
    row: usize,
    vectors: &GroupSums,
    centre: f32,
    to: &mut [f32],
) {
    let groups = vectors.groups;
    let mut parts = [S::splat(0.0); M];
    if C::BIASED {
        let (scales, biases) = (&rows.scales[row * groups..], &rows.biases[row * groups..]);
        assert!(scales.len() >= groups + SPARE && biases.len() >= groups + SPARE);
        for at in (0..groups).step_by(S::N) {
            // SAFETY: there is room to spare beyond the groups. What is read there is of another
            // row or nothing, and meets sums of zero; if it is infinite, so is the result, which
            // is then computed anew by the caller.
            unsafe {
                let scales = S::load(scales.as_ptr().add(at));
                let whole = S::mul_add(scales, S::splat(centre), S::load(biases.as_ptr().add(at)));
                for (part, sums) in parts.iter_mut().zip(vectors.sums.chunks(vectors.step)) {
                    *part = S::mul_add(whole, S::load(sums[at..].as_ptr()), *part);
                }
            }
        }
    }
    for (to, part) in to.chunks_exact_mut(S::N).zip(parts) {
        // SAFETY: the chunk has room for a register.
        unsafe { S::store(part, to.as_mut_ptr()) };
    }
}

/// The number that is taken from all codes.
#[inline(always)]
fn centre<S: Lanes, C: Codes, P: Words>() -> f32 {
    if P::BF16 || looks_up::<S, C>() {
        C::CENTRE
    } else {
        0.0
    }
}

/// What is asked for while rows are multiplied: what is read some time later, in the order of memory and as
/// fast as rows are read themselves. Several rows that are read side by side look like nothing that a
/// processor foresees, and then come at two thirds of the speed of memory.
pub(super) struct Ahead {
    at: *const u8,
    last: *const u8,
    /// The bytes that are read of a row, those of them that are left, and those that are not read.
    len: usize,
    left: usize,
    skipped: usize,
}

impl Ahead {
    /// For some of the words of rows from `row` on, of which `R` are read at a time.
    #[inline(always)]
    pub(super) fn new<C: Codes, const R: usize>(
        rows: Rows,
        words: usize,
        row: usize,
        range: &Range<usize>,
    ) -> Self {
        let of_row = C::bytes_of(words);
        let (start, end) = (C::bytes_of(range.start), C::bytes_of(range.end));
        let len = end - start;
        let at = if len == of_row {
            row * of_row + DISTANCE
        } else {
            // Of parts of rows, the next is that of other rows, then the next part of the first ones,
            // then the first part of those that come after all of these.
            let later = row + DISTANCE.div_ceil(len.max(1)).max(R);
            if later < rows.count {
                later * of_row + start
            } else if end < of_row {
                (later - rows.count) * of_row + end
            } else {
                later * of_row
            }
        };
        let last = rows.codes.len().saturating_sub(LINE_BYTES);
        let start = rows.codes.as_ptr();
        Ahead {
            at: start.wrapping_add(at),
            last: start.wrapping_add(last),
            len,
            left: len,
            skipped: of_row - len,
        }
    }

    /// Asks for as many bytes.
    #[inline(always)]
    pub(super) fn ask(&mut self, bytes: usize) {
        for _ in (0..bytes).step_by(LINE_BYTES) {
            prefetch(self.at.min(self.last));
            self.at = self.at.wrapping_add(LINE_BYTES);
            if self.left > LINE_BYTES {
                self.left -= LINE_BYTES;
            } else {
                self.at = self.at.wrapping_add(self.skipped);
                self.left = self.len;
            }
        }
    }
}

/// Adds `Σ s (Σ (q - c) x)` over some words of `R` rows from `row` on, in parts, for each vector.
#[inline(always)]
fn add_products<S: Lanes, C: Codes, P: Words, const R: usize, const M: usize>(
    rows: Rows,
    row: usize,
    vectors: &Vectors,
    range: Range<usize>,
    parts: &mut [f32],
) {
    let per_word = C::OF_LANE;
    let (words, groups) = (vectors.len / per_word, vectors.len / vectors.group);
    // The words of a group, as a power of two.
    let steps = (vectors.group / per_word).trailing_zeros();
    let numbers = numbers::<C>(centre::<S, C, P>());
    let (table, pair_table) = (S::table(&numbers), S::pair_table(&numbers));
    let x = vectors.ordered[vectors.skipped..].as_ptr();
    let mut ahead = Ahead::new::<C, R>(rows, words, row, &range);
    let (codes, scales) = rows.starts::<C, R>(row, words, groups);
    let codes_end = rows.codes.as_ptr_range().end;
    // SAFETY: rows have `words` words and scales with room to spare, vectors are filled up to whole
    // registers, and there is a part for each row and vector.
    unsafe {
        // Loops, and not closures, which would be functions without these instructions.
        let mut totals = [[S::splat(0.0); M]; R];
        for (i, total) in totals.as_flattened_mut().iter_mut().enumerate() {
            *total = S::load(parts.as_ptr().add(i * S::N));
        }
        let mut word = range.start;
        while word < range.end {
            ahead.ask(R * C::bytes_of(S::N));
            let blocks = blocks::<S, C, R>(codes, word, words, codes_end);
            let mut sums = [[S::splat(0.0); M]; R];
            for step in 0..per_word / P::TERMS {
                let x = x.add((word * per_word / P::TERMS + step * S::N) * M);
                let shift = (step * C::IN_LANE) as u32;
                for (&block, sums) in blocks.iter().zip(&mut sums) {
                    let numbers = if P::BF16 {
                        S::look_up_pairs(pair_table, block, shift)
                    } else if looks_up::<S, C>() {
                        S::look_up(table, block, shift)
                    } else if C::FLOAT8 {
                        S::float8(block, shift)
                    } else {
                        S::in_place(block, shift, C::IN_LANE as u32)
                    };
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = P::mul_add::<S>(numbers, S::load(x.add(i * S::N)), *sum);
                    }
                }
            }
            for (scales, (totals, sums)) in scales.iter().zip(totals.iter_mut().zip(sums)) {
                let scales = S::spread(scales.add(word >> steps), steps);
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = S::mul_add(scales, sum, *total);
                }
            }
            word += S::N;
        }
        for (i, total) in totals.as_flattened().iter().enumerate() {
            S::store(*total, parts.as_mut_ptr().add(i * S::N));
        }
    }
}

/// The lanes of `R` rows from `word` on that fill a register, of `words` in a row: what is missing is zero.
///
/// # Safety
/// The rows must have these words, and end no later than `end`.
#[inline(always)]
pub(super) unsafe fn blocks<S: Lanes, C: Codes, const R: usize>(
    rows: [*const u8; R],
    word: usize,
    words: usize,
    end: *const u8,
) -> [S::W; R] {
    // SAFETY: there are as many words of nothing; the rest is the caller's promise.
    unsafe {
        let mut blocks = [S::load_words(NOTHING.as_ptr()); R];
        for (block, row) in blocks.iter_mut().zip(rows) {
            let from = row.add(C::bytes_of(word));
            // Registers of codes that do not fill words are read beyond the codes that they get.
            let whole = word + S::N <= words
                && (C::IN_WORDS || from.wrapping_add(S::N * size_of::<u32>()) <= end);
            *block = if whole {
                S::load_words(from.cast())
            } else {
                let mut last = NOTHING;
                let some = C::bytes_of(S::N.min(words - word));
                last.as_mut_ptr()
                    .cast::<u8>()
                    .copy_from_nonoverlapping(from, some);
                S::load_words(last.as_ptr())
            };
            if !C::IN_WORDS {
                *block = match C::BITS {
                    3 => S::bytes_of_codes::<3>(*block),
                    5 => S::bytes_of_codes::<5>(*block),
                    _ => S::bytes_of_codes::<6>(*block),
                };
            }
        }
        blocks
    }
}

per_isa! {
    /// The lanes of a register.
    pub(super) fn lanes() -> usize = lanes_body;
}

#[inline(always)]
fn lanes_body<S: Lanes>() -> usize {
    S::N
}

/// How words become the numbers of their codes, less the centre of all.
#[derive(Clone, Copy)]
pub(super) struct Numbers<S: Lanes> {
    table: S::Table,
    first_bits: u32,
}

impl<S: Lanes> Numbers<S> {
    #[inline(always)]
    pub(super) fn new<C: Codes>() -> Self {
        // With its first bit flipped, what is left of a code is its distance from the centre.
        let mut first_bits = 0;
        for code in 0..32 / C::BITS {
            first_bits |= 1 << (code * C::BITS + C::BITS - 1);
        }
        Numbers {
            table: S::table(&numbers::<C>(C::CENTRE)),
            first_bits,
        }
    }

    /// Words as `at` takes them.
    #[inline(always)]
    pub(super) fn prepared<C: Codes>(&self, words: S::W) -> S::W {
        if looks_up::<S, C>() {
            words
        } else {
            S::flip(words, self.first_bits)
        }
    }

    /// The numbers of one code of each word.
    #[inline(always)]
    pub(super) fn at<C: Codes>(&self, words: S::W, code: usize) -> S::F {
        let shift = (code * C::BITS) as u32;
        if looks_up::<S, C>() {
            S::look_up(self.table, words, shift)
        } else {
            S::field(words, shift, C::BITS as u32)
        }
    }
}
