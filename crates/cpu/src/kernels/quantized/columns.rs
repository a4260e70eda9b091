//! Owns products of packed rows with vectors of halves in whole numbers, for so many vectors that packed
//! rows are worth laying out anew: side by side as the columns of a panel, one in each lane, with a byte for
//! each code. What a lane sums is then of one row, and becomes a number once for each group.
//!
//! Vectors are in the digits that [`digits`] has, with a unit for each block of 256 numbers.
//! With a scale `s` and a bias `b` of a group of codes `q`, and whole numbers `n` in units of `u`, a block
//! has `u Σ (s Σ q n + b Σ n)`: sums of products are exact, and rounded as they are scaled.

use std::ops::Range;

use super::{
    codes::Codes,
    convert::bytes,
    digits::{self, DIGITS, in_units, write_step},
    few::{LINE_BYTES, blocks, sum},
    integer::panel_width,
    operands::{Job, Packed, Sides},
    ways::{lefts, made_in_parallel},
};
use crate::{
    dots::{Dots, FEW, mask},
    isa::{Isa, per_isa},
    kernels::matmul::{MANY, interleave_many},
    pool::{num_threads, parallel_for},
    simd::prefetch,
};

/// The codes of a row that are laid out at a time. Those of a panel stay in the first cache.
const BLOCK: usize = digits::MOST;

/// The most vectors that meet a panel at a time.
const WIDE: usize = 4;

/// The bytes of digits that stay in the second cache while panels go by.
const NEAR: usize = 1 << 20;

/// The bytes of digits that are held at a time. Rows that have more are few enough in so many that laying
/// out codes again is little beside their products.
const HELD: usize = 4 << 20;

/// The most panels for which digits are read once, where there are more of them.
const STRIP: usize = 8;

/// True if it is worth it for so many vectors. Where only 16 codes share a scale, sums become numbers all the
/// time: then a few vectors more are needed, and for many, packed rows are rather unpacked.
pub(super) fn takes<C: Codes>(group: usize, vectors: usize) -> bool {
    let worth = match (group >= 32, C::IN_WORDS) {
        (true, true) => 5..=usize::MAX,
        (true, false) => 3..=usize::MAX,
        (false, true) => 9..=48,
        (false, false) => 3..=48,
    };
    (C::BIASED || C::HALVES.is_some()) && worth.contains(&vectors)
}

/// The codes of a byte of words that are laid out side by side as they are.
const fn steps<C: Codes>() -> usize {
    8 / C::IN_LANE
}

/// Up to [`WIDE`] vectors in digits.
struct Vectors {
    width: usize,
    /// For each four codes that are met at a time, of each vector the first digits of the numbers that meet
    /// them, the second ones and the third ones.
    words: Vec<u32>,
    /// Of each block the unit of each vector.
    units: Vec<f32>,
    /// Of each group the sum of each vector, in units.
    sums: Vec<f32>,
}

impl Vectors {
    /// Rows on the left, `width` of them, of `len` numbers, which are whole groups.
    fn new<C: Codes>(
        width: usize,
        len: usize,
        group: usize,
        mut read: impl FnMut(usize, &mut [f32]),
    ) -> Self {
        let mut vectors = Vectors {
            width,
            words: vec![0; len / 4 * DIGITS * width],
            units: vec![0.0; len.div_ceil(BLOCK) * width],
            sums: vec![0.0; len / group * width],
        };
        let mut vector = vec![0.0; len];
        for place in 0..width {
            read(place, &mut vector);
            take_apart::<C>(&vector, group, place, &mut vectors);
        }
        vectors
    }

    /// The part that a block of codes meets.
    fn part(&self, block: Range<usize>, group: usize) -> Part<'_> {
        let words = block.start / 4 * DIGITS * self.width..block.end / 4 * DIGITS * self.width;
        let groups = block.start / group * self.width..block.end / group * self.width;
        Part {
            words: &self.words[words],
            units: &self.units[block.start / BLOCK * self.width..][..self.width],
            sums: &self.sums[groups],
        }
    }
}

per_isa! {
    [bytes]
    /// Writes the digits of a vector to its place, its units and its sums.
    fn take_apart<C: Codes>(vector: &[f32], group: usize, place: usize, to: &mut Vectors) = take_apart_body;
}

#[inline(always)]
fn take_apart_body<S: Isa, C: Codes>(vector: &[f32], group: usize, place: usize, to: &mut Vectors) {
    let (steps, width) = (steps::<C>(), to.width);
    let blocks = to.words.chunks_mut(BLOCK / 4 * DIGITS * width);
    let sums = to.sums.chunks_mut(BLOCK / group * width);
    let units = to.units.chunks_exact_mut(width);
    for (((block, sums), units), numbers) in blocks.zip(sums).zip(units).zip(vector.chunks(BLOCK)) {
        let whole = in_units::<S>(numbers);
        units[place] = whole.unit;
        for (to, group) in sums
            .chunks_exact_mut(width)
            .zip(numbers.chunks_exact(group))
        {
            to[place] = sum(group) * whole.inverse;
        }
        for digit in 0..DIGITS {
            let bytes = &whole.digits(digit)[..numbers.len()];
            for step in 0..steps {
                let mut words = [0; BLOCK / 4];
                let words = &mut words[..numbers.len() / 4 / steps];
                write_step(bytes, (step, steps), words);
                let to = block
                    .chunks_exact_mut(DIGITS * width)
                    .skip(step)
                    .step_by(steps);
                for (to, word) in to.zip(words) {
                    to[place * DIGITS + digit] = *word;
                }
            }
        }
    }
}

/// What a block of codes meets of some vectors.
#[derive(Clone, Copy)]
struct Part<'a> {
    words: &'a [u32],
    units: &'a [f32],
    sums: &'a [f32],
}

/// A block of each column of a panel, with a byte for each code.
#[derive(Clone, Copy)]
struct Tile<'a> {
    /// Four codes of each column, then the next four that are met.
    words: &'a [u32],
    /// For each group one of each column; so the biases.
    scales: &'a [f32],
    biases: &'a [f32],
}

per_isa! {
    [bytes]
    /// Adds the products of a tile and some vectors to their totals, vector by vector, and asks for what is
    /// read later.
    fn add_products(tile: Tile, vectors: Part, totals: &mut [f32], later: &mut Later) = add_products_body;
}

#[inline(always)]
fn add_products_body<S: Dots>(tile: Tile, vectors: Part, totals: &mut [f32], later: &mut Later) {
    match vectors.units.len() {
        2 => add_products_with::<S, 2>(tile, vectors, totals, later),
        3 => add_products_with::<S, 3>(tile, vectors, totals, later),
        _ => add_products_with::<S, WIDE>(tile, vectors, totals, later),
    }
}

#[inline(always)]
fn add_products_with<S: Dots, const V: usize>(
    tile: Tile,
    vectors: Part,
    totals: &mut [f32],
    later: &mut Later,
) {
    let wide = 2 * S::N;
    let groups = tile.scales.len() / wide;
    // The words of a group, and those whose dot products end a sum of few.
    let steps = tile.words.len() / wide / groups;
    let few = steps.min(FEW);
    assert!(steps.is_multiple_of(few) && tile.words.len() == groups * steps * wide);
    assert!(tile.scales.len() == groups * wide && tile.biases.len() == groups * wide);
    assert!(vectors.units.len() == V && vectors.words.len() == groups * steps * DIGITS * V);
    assert!(vectors.sums.len() == groups * V && totals.len() == V * wide);
    let (mut words, mut digits) = (tile.words.as_ptr(), vectors.words.as_ptr());
    let base = S::splat(256.0);
    let mut of_block = [[S::splat(0.0); 2]; V];
    for group in 0..groups {
        let mut sums = [[[S::zero(); 2]; DIGITS]; V];
        // SAFETY: the assertions above: there are so many words of each column and of each vector, and
        // scales, biases and sums for each group.
        unsafe {
            for _ in (0..steps).step_by(few) {
                later.ask();
                let mut some = [[[S::begin(S::zero()); 2]; DIGITS]; V];
                for (some, sums) in some
                    .as_flattened_mut()
                    .as_flattened_mut()
                    .iter_mut()
                    .zip(sums.as_flattened().as_flattened())
                {
                    *some = S::begin(*sums);
                }
                for _ in 0..few {
                    let codes = [S::load_words(words), S::load_words(words.add(S::N))];
                    words = words.add(wide);
                    for (i, some) in some.as_flattened_mut().iter_mut().enumerate() {
                        let numbers = S::splat_word(digits.add(i));
                        for (some, codes) in some.iter_mut().zip(codes) {
                            *some = S::add_dots(*some, codes, numbers);
                        }
                    }
                    digits = digits.add(V * DIGITS);
                }
                for (sums, some) in sums
                    .as_flattened_mut()
                    .as_flattened_mut()
                    .iter_mut()
                    .zip(some.as_flattened().as_flattened())
                {
                    *sums = S::end(*sums, *some);
                }
            }
            for half in 0..2 {
                let place = group * wide + half * S::N;
                let scales = S::load(tile.scales.as_ptr().add(place));
                let biases = S::load(tile.biases.as_ptr().add(place));
                for vector in 0..V {
                    let [first, rest @ ..] = &sums[vector];
                    let mut sum = S::to_floats(first[half]);
                    for next in rest {
                        sum = S::mul_add(sum, base, S::to_floats(next[half]));
                    }
                    let of_numbers = S::splat(vectors.sums.as_ptr().add(group * V + vector).read());
                    let total = S::mul_add(scales, sum, of_block[vector][half]);
                    of_block[vector][half] = S::mul_add(biases, of_numbers, total);
                }
            }
        }
    }
    for vector in 0..V {
        let unit = S::splat(vectors.units[vector]);
        for half in 0..2 {
            let to = totals[vector * wide + half * S::N..][..S::N].as_mut_ptr();
            // SAFETY: there is a register of totals.
            unsafe { S::store(S::mul_add(of_block[vector][half], unit, S::load(to)), to) };
        }
    }
}

/// A block of each row of a panel, with a byte for each code, where registers do not cross lines of the cache.
#[repr(align(64))]
struct Block([u32; BLOCK / 4 * MANY]);

/// Room for what is made of packed rows.
struct Room {
    /// The lanes of a panel.
    width: usize,
    /// Words, side by side, or the bytes of codes, row by row.
    packed: Block,
    /// The bytes of codes, side by side.
    bytes: Block,
    /// Of rows, and then of panels.
    factors: [Vec<f32>; 2],
    scales: Vec<f32>,
    biases: Vec<f32>,
}

impl Room {
    /// Lays out the scales and biases of the rows of a panel.
    fn read_factors<C: Codes>(&mut self, packed: &Packed, rows: Range<usize>, panel: usize) {
        let groups = packed.columns / packed.scheme.group_size();
        let len = rows.len() * groups;
        let [scales, biases] = &mut self.factors;
        scales.resize(self.width * groups, 0.0);
        biases.resize(self.width * groups, 0.0);
        packed.scales(
            rows.start * groups..rows.end * groups,
            &mut scales[..len],
            &mut biases[..len],
        );
        if C::HALVES.is_some() {
            for (scale, bias) in scales.iter_mut().zip(biases) {
                *bias = *scale * C::LEAST;
                *scale *= 0.5;
            }
        }
        let of_panel = groups * self.width;
        for (to, from) in [&mut self.scales, &mut self.biases]
            .into_iter()
            .zip(&self.factors)
        {
            if to.len() < (panel + 1) * of_panel {
                to.resize((panel + 1) * of_panel, 0.0);
            }
            let to = to[panel * of_panel..][..of_panel].as_mut_ptr();
            // SAFETY: rows have `groups` factors, and there is room for those of `width` rows.
            unsafe { side_by_side(from.as_ptr(), groups, rows.len(), to, self.width) };
        }
    }

    /// Lays out a block of the rows of a panel.
    fn read_codes<C: Codes>(&mut self, packed: &Packed, rows: Range<usize>, block: Range<usize>) {
        let (width, steps) = (self.width, steps::<C>());
        let to = &mut self.bytes.0[..block.len() / 4 * width];
        if steps > 1 {
            let words = block.start * C::BITS / 32..block.end * C::BITS / 32;
            let packed_words = &mut self.packed.0[..words.len() * width];
            let room = packed_words.as_mut_ptr().cast();
            // SAFETY: there is room for the words of `width` rows.
            unsafe { packed.interleave::<C>(rows, words, room, width) };
            bytes_of_words::<C>(packed_words, width, to);
            return;
        }
        let len = block.len() / 4;
        let of_row = packed.columns * C::BITS / 8;
        let codes = &bytes(&packed.codes)[rows.start * of_row..];
        for row in 0..rows.len() {
            let codes = &codes[row * of_row + block.start * C::BITS / 8..];
            bytes_of_codes::<C>(codes, len, &mut self.packed.0[row * len..]);
        }
        // SAFETY: as above.
        unsafe {
            let from = self.packed.0.as_ptr().cast();
            side_by_side(from, len, rows.len(), to.as_mut_ptr().cast(), width);
        }
    }
}

/// Codes that are read later, and are asked for bit by bit, in the order of memory: at once, they would wait
/// for each other, and read side by side, rows come slowly.
struct Later {
    at: *const u8,
    /// The lines of the cache that are left, and those that are asked for at a time.
    left: usize,
    at_a_time: usize,
}

impl Later {
    /// Those of some rows, as far as there are so many, in `times` times.
    fn new<C: Codes>(packed: &Packed, row: usize, rows: usize, times: usize) -> Self {
        let of_row = packed.columns * C::BITS / 8;
        let codes = bytes(&packed.codes);
        let codes = &codes[row * of_row..codes.len().min((row + rows) * of_row)];
        let left = codes.len() / LINE_BYTES;
        Later {
            at: codes.as_ptr(),
            left,
            at_a_time: left.div_ceil(times),
        }
    }

    #[inline(always)]
    fn ask(&mut self) {
        let lines = self.at_a_time.min(self.left);
        for _ in 0..lines {
            prefetch(self.at);
            self.at = self.at.wrapping_add(LINE_BYTES);
        }
        self.left -= lines;
    }
}

/// Writes `count` rows of `len` words so that neighbours come to lie side by side, `width` of them.
///
/// # Safety
/// There must be these rows, and room for `width`.
unsafe fn side_by_side(from: *const f32, len: usize, count: usize, to: *mut f32, width: usize) {
    let mut lines = [std::ptr::null(); MANY];
    for (row, line) in lines.iter_mut().enumerate().take(count) {
        *line = from.wrapping_add(row * len);
    }
    // SAFETY: the caller's promise.
    unsafe { interleave_many(&lines[..count], len, to, width) };
}

per_isa! {
    [bytes]
    /// Makes a byte of each code, four to a word, and perhaps of some that follow.
    fn bytes_of_codes<C: Codes>(codes: &[u8], words: usize, to: &mut [u32]) = bytes_of_codes_body;
}

#[inline(always)]
fn bytes_of_codes_body<S: Dots, C: Codes>(codes: &[u8], words: usize, to: &mut [u32]) {
    assert!(C::OF_LANE == 4 && codes.len() >= C::bytes_of(words));
    assert!(to.len() >= words.next_multiple_of(S::N));
    for word in (0..words).step_by(S::N) {
        // SAFETY: there are so many codes, and there is room for whole registers.
        unsafe {
            let end = codes.as_ptr_range().end;
            let [block] = blocks::<S, C, 1>([codes.as_ptr()], word, words, end);
            S::store_words(block, to.as_mut_ptr().add(word));
        }
    }
}

per_isa! {
    [bytes]
    /// Makes a byte of each code of words that lie side by side.
    fn bytes_of_words<C: Codes>(words: &[u32], width: usize, to: &mut [u32]) = bytes_of_words_body;
}

#[inline(always)]
fn bytes_of_words_body<S: Dots, C: Codes>(words: &[u32], width: usize, to: &mut [u32]) {
    let steps = steps::<C>();
    assert!(width == 2 * S::N && to.len() == steps * words.len());
    let rows = words
        .chunks_exact(width)
        .zip(to.chunks_exact_mut(steps * width));
    for (words, to) in rows {
        // SAFETY: two registers of words, and as many for each step.
        unsafe {
            let pair = [0, S::N].map(|at| words.as_ptr().add(at));
            for (half, from) in pair.into_iter().enumerate() {
                let words = S::load_words(from);
                for step in 0..steps {
                    let mut bytes = S::bits(words, (step * C::BITS) as u32, mask(C::BITS));
                    if let Some(halves) = &C::HALVES {
                        bytes = S::bytes_at(halves, bytes);
                    }
                    S::store_words(bytes, to.as_mut_ptr().add(step * width + half * S::N));
                }
            }
        }
    }
}

/// Products of the rows of jobs with all rows of their matrices: of as many rows at a time as their digits
/// have room for.
pub(super) fn multiply<C: Codes>(packed: &Packed, jobs: &[&Job], sides: &Sides) {
    let most = HELD / (sides.inner * DIGITS).max(1);
    let most = most.next_multiple_of(WIDE).max(16 * WIDE);
    let parts: Vec<Job> = jobs.iter().flat_map(|job| parts(job, most)).collect();
    let mut left = &parts[..];
    while !left.is_empty() {
        let mut rows = 0;
        let fits = |part: &&Job| {
            rows += part.rows.len();
            rows <= most
        };
        let fitting = left.iter().take_while(fits).count().max(1);
        let (parts, rest) = left.split_at(fitting);
        multiply_at_once::<C>(packed, &parts.iter().collect::<Vec<_>>(), sides);
        left = rest;
    }
}

/// A job in parts of at most so many rows, with about as many in each: none is left with a single one.
fn parts(job: &Job, most: usize) -> impl Iterator<Item = Job> {
    let rows = job.rows.len();
    let count = rows.div_ceil(most);
    (0..count).map(move |i| Job {
        matrix: job.matrix,
        rows: job.rows[i * rows / count..(i + 1) * rows / count].to_vec(),
    })
}

/// Products of rows whose digits are held at once. All matrices are shared out.
fn multiply_at_once<C: Codes>(packed: &Packed, jobs: &[&Job], sides: &Sides) {
    let (inner, group) = (sides.inner, packed.scheme.group_size());
    let (lefts, left_of) = lefts(jobs, |job| {
        let rows = job.rows.len();
        let count = rows.div_ceil(WIDE);
        made_in_parallel(count, 4 * inner * WIDE, |i| {
            // About as many in each.
            let rows = &job.rows[i * rows / count..(i + 1) * rows / count];
            Vectors::new::<C>(rows.len(), inner, group, |place, to| {
                let row = rows[place].0;
                sides.x.widen(row * inner..(row + 1) * inner, to);
            })
        })
    });
    let rows: usize = jobs.iter().map(|job| job.rows.len()).sum();
    let rows = rows.div_ceil(jobs.len().max(1));
    let panels = sides.columns.div_ceil(panel_width());
    let strip = if rows * inner * DIGITS > NEAR {
        STRIP.min(panels.div_ceil(4 * num_threads()))
    } else {
        1
    };
    let strips = panels.div_ceil(strip);
    let cost = strip * panel_width() * inner * (1 + rows / 8) / 8;
    parallel_for(jobs.len() * strips, cost, |range| {
        let width = panel_width();
        let mut room = Room {
            width,
            packed: Block([0; BLOCK / 4 * MANY]),
            bytes: Block([0; BLOCK / 4 * MANY]),
            factors: [Vec::new(), Vec::new()],
            scales: Vec::new(),
            biases: Vec::new(),
        };
        for at in range {
            let (i, first) = (at / strips, at % strips * strip * width);
            let columns = first..sides.columns.min(first + strip * width);
            multiply_strip::<C>(
                packed,
                jobs[i],
                &lefts[left_of[i]],
                sides,
                columns,
                &mut room,
            );
        }
    });
}

/// Products of the rows of a job with some rows of its matrix, which become columns.
fn multiply_strip<C: Codes>(
    packed: &Packed,
    job: &Job,
    left: &[Vectors],
    sides: &Sides,
    columns: Range<usize>,
    room: &mut Room,
) {
    let (inner, group, width) = (sides.inner, packed.scheme.group_size(), room.width);
    let groups = inner / group;
    let rows_of = |panel: usize| {
        let first = columns.start + panel * width;
        let start = job.matrix * packed.rows;
        start + first..start + columns.end.min(first + width)
    };
    let panels = columns.len().div_ceil(width);
    for panel in 0..panels {
        room.read_factors::<C>(packed, rows_of(panel), panel);
    }
    let times = panels * left.len() * (inner / 4).div_ceil(FEW);
    let mut later = Later::new::<C>(packed, rows_of(panels - 1).end, columns.len(), times);
    let of_panel = job.rows.len() * width;
    let mut totals = vec![0.0f32; panels * of_panel];
    for start in (0..inner).step_by(BLOCK) {
        let block = start..inner.min(start + BLOCK);
        for (panel, mut totals) in totals.chunks_exact_mut(of_panel).enumerate() {
            room.read_codes::<C>(packed, rows_of(panel), block.clone());
            let of_groups = (panel * groups + start / group) * width
                ..(panel * groups + block.end / group) * width;
            let tile = Tile {
                words: &room.bytes.0[..block.len() / 4 * width],
                scales: &room.scales[of_groups.clone()],
                biases: &room.biases[of_groups],
            };
            for vectors in left {
                let (some, rest) = totals.split_at_mut(vectors.width * width);
                add_products(tile, vectors.part(block.clone(), group), some, &mut later);
                totals = rest;
            }
        }
    }
    for (panel, totals) in totals.chunks_exact_mut(of_panel).enumerate() {
        let rows = rows_of(panel);
        for (sums, &(from, to)) in totals.chunks_exact_mut(width).zip(&job.rows) {
            let sums = &mut sums[..rows.len()];
            if sums.iter().any(|sum| !sum.is_finite()) {
                // Infinities have to meet the numbers that codes stand for.
                let mut wide = vec![0.0; inner];
                sides.x.widen(from * inner..(from + 1) * inner, &mut wide);
                for (sum, row) in sums.iter_mut().zip(rows.clone()) {
                    if !sum.is_finite() {
                        *sum = packed.dot::<C>(row, &wide);
                    }
                }
            }
            // SAFETY: within the output, in columns that are this thread's alone.
            unsafe { sides.out.write(sums, to, columns.start + panel * width) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use olivine_core::{Result, bf16, quantized::Quantization};

    use super::{
        super::codes::{E2m1, Whole},
        *,
    };
    use crate::kernels::{
        matmul::{Results, Target},
        quantized::operands::Scales,
        test_inputs::Random,
    };

    /// Checks products of jobs with two matrices of random codes.
    fn check<C: Codes>(
        random: &mut Random,
        (rows, inner, columns): (usize, usize, usize),
        group: usize,
    ) -> Result<()> {
        let words = 2 * columns * inner * C::BITS / 32;
        let codes: Vec<u32> = (0..words)
            .map(|_| random.below(1 << 16) as u32 | (random.below(1 << 16) as u32) << 16)
            .collect();
        let mut numbers = |len: usize| -> Vec<f32> { (0..len).map(|_| random.unit()).collect() };
        let (scales, biases) = (
            numbers(2 * columns * inner / group),
            numbers(2 * columns * inner / group),
        );
        let x: Vec<bf16> = numbers(rows * inner)
            .into_iter()
            .map(bf16::from_f32)
            .collect();
        let packed = Packed {
            scheme: Quantization::affine(group, C::BITS)?,
            codes: Cow::Borrowed(&codes),
            scales: Scales::Floats(
                Box::new(Cow::Borrowed(&scales[..])),
                Box::new(Cow::Borrowed(&biases[..])),
            ),
            rows: columns,
            columns: inner,
        };
        // Every second row meets the second matrix, and results change places.
        let jobs = [0, 1].map(|matrix| Job {
            matrix,
            rows: (matrix..rows)
                .step_by(2)
                .map(|row| (row, rows - 1 - row))
                .collect(),
        });
        let mut found = vec![f32::NAN; rows * columns];
        let sides = Sides {
            x: Box::new(Cow::Borrowed(&x[..])),
            inner,
            out: Results::new(Target::new(found.as_mut_ptr(), columns)),
            columns,
        };
        let jobs: Vec<&Job> = jobs.iter().filter(|job| !job.rows.is_empty()).collect();
        multiply::<C>(&packed, &jobs, &sides);
        for (row, x) in x.chunks_exact(inner).enumerate() {
            let found = &found[(rows - 1 - row) * columns..][..columns];
            for (column, found) in found.iter().enumerate() {
                let w = row % 2 * columns + column;
                let (mut expected, mut size) = (0.0f64, 0.0f64);
                for (at, x) in x.iter().enumerate() {
                    let code = codes[(w * inner + at) * C::BITS / 32] >> (at * C::BITS % 32)
                        & ((1 << C::BITS) - 1);
                    let place = (w * inner + at) / group;
                    let scaled = f64::from(scales[place]) * f64::from(code);
                    let term = (scaled + f64::from(biases[place])) * f64::from(x.to_f32());
                    expected += term;
                    size += term.abs();
                }
                let most = 1e-6 * size + 1e-9;
                assert!(
                    (f64::from(*found) - expected).abs() < most,
                    "({rows}, {inner}, {columns}) {group}: {found} {expected} at {row}, {column}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn halves_are_what_codes_stand_for() {
        for (code, halves) in E2m1::HALVES.unwrap_or_default().into_iter().enumerate() {
            let number = E2m1::LEAST + 0.5 * f32::from(halves);
            assert_eq!(E2m1::value(code as u32), number, "{code}");
        }
    }

    #[test]
    fn parts_of_jobs_are_about_as_large() {
        for most in [64, 172] {
            for rows in (3..200).chain([64 * 64 + 1, 172 * 43 + 1, 9999]) {
                let rows: Vec<_> = (0..rows).map(|row| (row, row + 1)).collect();
                let (matrix, whole) = (7, rows.clone());
                let parts: Vec<Job> = parts(&Job { matrix, rows }, most).collect();
                let least = whole.len().min(most / 2);
                for part in &parts {
                    assert_eq!(part.matrix, matrix);
                    assert!((least..=most).contains(&part.rows.len()), "{}", whole.len());
                }
                let joined: Vec<_> = parts.into_iter().flat_map(|part| part.rows).collect();
                assert_eq!(joined, whole);
            }
        }
    }

    #[test]
    fn products_with_whole_and_with_broken_panels_blocks_and_strips() -> Result<()> {
        let mut random = Random(41);
        for group in [16, 32, 64, 128] {
            for rows in [4, 5, 10, 19, 30] {
                for columns in [1, 31, 32, 70] {
                    let inner = group * (1 + random.below(8));
                    check::<Whole<4>>(&mut random, (rows, inner, columns), group)?;
                    check::<Whole<2>>(&mut random, (rows, inner, columns), group)?;
                }
            }
        }
        // Digits that do not stay in the cache.
        check::<Whole<4>>(&mut random, (350, 2112, 300), 64)?;
        // Rows that have more digits than are held.
        check::<Whole<4>>(&mut random, (401, 8192, 33), 64)
    }
}
