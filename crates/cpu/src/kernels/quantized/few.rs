//! Owns dot products of packed rows with a few vectors, which are bound by reading the packed rows:
//! codes become numbers in registers and nowhere else.
//!
//! With a scale `s` and a bias `b` for each group and a number `c` in the middle of all codes `q`,
//! `Σ (s q + b) x = Σ s (Σ (q - c) x) + Σ (b + s c) (Σ x)`. The last sums are taken once for all rows.

use super::codes::Codes;
use crate::{
    isa::per_isa,
    simd::{Lanes, prefetch},
};

/// The most numbers of a vector register.
const WIDEST: usize = 16;

/// Words of nothing.
const NOTHING: [u32; WIDEST] = [0; WIDEST];

/// Vectors in the order in which codes are taken from words: of each block of words, first the
/// numbers that meet the first codes, then those that meet the second ones.
pub(super) struct Vectors {
    len: usize,
    group: usize,
    ordered: Vec<f32>,
    /// The sums of groups, as many as there are for each vector.
    sums: Vec<f32>,
    /// The length of one vector in `ordered`.
    step: usize,
}

impl Vectors {
    /// Vectors of `len` numbers, which are whole groups.
    pub(super) fn new<'a, C: Codes>(
        vectors: impl Iterator<Item = &'a [f32]>,
        len: usize,
        group: usize,
    ) -> Self {
        let (per_word, lanes) = (32 / C::BITS, lanes());
        let block = per_word * lanes;
        let step = len.next_multiple_of(block);
        let (mut ordered, mut sums) = (Vec::new(), Vec::new());
        for vector in vectors {
            let start = ordered.len();
            ordered.resize(start + step, 0.0);
            let blocks = ordered[start..].chunks_exact_mut(block);
            for (to, from) in blocks.zip(vector.chunks(block)) {
                for (word, numbers) in from.chunks_exact(per_word).enumerate() {
                    for (code, &number) in numbers.iter().enumerate() {
                        to[code * lanes + word] = number;
                    }
                }
            }
            sums.extend(
                vector
                    .chunks_exact(group)
                    .map(|group| group.iter().copied().map(f64::from).sum::<f64>() as f32),
            );
        }
        Vectors {
            len,
            group,
            ordered,
            sums,
            step,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.ordered.len() / self.step.max(1)
    }

    fn sums(&self, vector: usize) -> &[f32] {
        let groups = self.len / self.group;
        &self.sums[vector * groups..][..groups]
    }
}

/// A packed row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) codes: &'a [u32],
    /// One for each group, and room for more than a register.
    pub(super) scales: &'a [f32],
    /// One for each group, or none.
    pub(super) biases: &'a [f32],
}

/// The numbers that follow the scales of a row, so that registers can be filled.
pub(super) const SPARE: usize = WIDEST;

/// The rows that are multiplied at a time.
pub(super) const ROWS: usize = 4;

/// The dot products of four rows with four vectors from `first` on, or as many as there are.
pub(super) fn dots<C: Codes>(
    rows: [Row; ROWS],
    vectors: &Vectors,
    first: usize,
) -> [[f32; 4]; ROWS] {
    let mut products = [[0.0; 4]; ROWS];
    let count = (vectors.count() - first).min(4);
    match count {
        0 => {}
        1 => {
            for (all, product) in products
                .iter_mut()
                .zip(four_by_one::<C>(rows, vectors, first))
            {
                all[0] = product;
            }
        }
        2 => {
            for i in [0, 2] {
                let found = two_by_two::<C>([rows[i], rows[i + 1]], vectors, first);
                products[i][..2].copy_from_slice(&found[0]);
                products[i + 1][..2].copy_from_slice(&found[1]);
            }
        }
        _ => {
            // A third vector for want of a fourth.
            let places = std::array::from_fn(|i| first + i.min(count - 1));
            for (products, row) in products.iter_mut().zip(rows) {
                *products = one_by_four::<C>(row, vectors, places);
            }
        }
    }
    for (row, products) in rows.iter().zip(&mut products) {
        for (i, product) in products.iter_mut().enumerate().take(count) {
            if C::BIASED {
                *product += offset(row.biases, row.scales, vectors.sums(first + i), C::CENTRE);
            }
        }
    }
    products
}

per_isa! {
    /// `Σ (b + s c) x` over groups.
    fn offset(biases: &[f32], scales: &[f32], sums: &[f32], centre: f32) -> f32 = offset_body;
}

#[inline(always)]
fn offset_body<S: Lanes>(biases: &[f32], scales: &[f32], sums: &[f32], centre: f32) -> f32 {
    let len = sums.len();
    let (biases, scales) = (&biases[..len], &scales[..len]);
    let (mut parts, mut at) = (S::splat(0.0), 0);
    while at + S::N <= len {
        // SAFETY: the slices are equally long, and `at + N` is at most their length.
        unsafe {
            let (bias, scale) = (
                S::load(biases.as_ptr().add(at)),
                S::load(scales.as_ptr().add(at)),
            );
            let whole = S::mul_add(scale, S::splat(centre), bias);
            parts = S::mul_add(whole, S::load(sums.as_ptr().add(at)), parts);
        }
        at += S::N;
    }
    let mut offset = S::sum(parts);
    for i in at..len {
        offset += (biases[i] + scales[i] * centre) * sums[i];
    }
    offset
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
        let mut table = C::TABLE;
        for number in &mut table {
            *number -= C::CENTRE;
        }
        // With its first bit flipped, what is left of a code is its distance from the centre.
        let mut first_bits = 0;
        for code in 0..32 / C::BITS {
            first_bits |= 1 << (code * C::BITS + C::BITS - 1);
        }
        Numbers {
            table: S::table(&table),
            first_bits,
        }
    }

    /// True if codes are looked up in a table.
    #[inline(always)]
    fn looks_up<C: Codes>() -> bool {
        C::BITS == 4 && (S::LOOKS_UP || !C::BIASED)
    }

    /// Words as `at` takes them.
    #[inline(always)]
    pub(super) fn prepared<C: Codes>(&self, words: S::W) -> S::W {
        if Self::looks_up::<C>() {
            words
        } else {
            S::flip(words, self.first_bits)
        }
    }

    /// The numbers of one code of each word.
    #[inline(always)]
    pub(super) fn at<C: Codes>(&self, words: S::W, code: usize) -> S::F {
        let shift = (code * C::BITS) as u32;
        if Self::looks_up::<C>() {
            S::look_up(self.table, words, shift)
        } else {
            S::field(words, shift, C::BITS as u32)
        }
    }
}

per_isa! {
    fn four_by_one<C: Codes>(rows: [Row; 4], vectors: &Vectors, first: usize) -> [f32; 4] = four_by_one_body;
}

#[inline(always)]
fn four_by_one_body<S: Lanes, C: Codes>(
    rows: [Row; 4],
    vectors: &Vectors,
    first: usize,
) -> [f32; 4] {
    products::<S, C, 4, 1>(rows, vectors, [first]).map(|[product]| product)
}

per_isa! {
    fn two_by_two<C: Codes>(rows: [Row; 2], vectors: &Vectors, first: usize) -> [[f32; 2]; 2] = two_by_two_body;
}

#[inline(always)]
fn two_by_two_body<S: Lanes, C: Codes>(
    rows: [Row; 2],
    vectors: &Vectors,
    first: usize,
) -> [[f32; 2]; 2] {
    products::<S, C, 2, 2>(rows, vectors, [first, first + 1])
}

per_isa! {
    fn one_by_four<C: Codes>(row: Row, vectors: &Vectors, places: [usize; 4]) -> [f32; 4] = one_by_four_body;
}

#[inline(always)]
fn one_by_four_body<S: Lanes, C: Codes>(
    row: Row,
    vectors: &Vectors,
    places: [usize; 4],
) -> [f32; 4] {
    products::<S, C, 1, 4>([row], vectors, places)[0]
}

/// `Σ s (Σ (q - c) x)` for each row and vector.
#[inline(always)]
fn products<S: Lanes, C: Codes, const R: usize, const M: usize>(
    rows: [Row; R],
    vectors: &Vectors,
    places: [usize; M],
) -> [[f32; M]; R] {
    let per_word = 32 / C::BITS;
    let words = vectors.len / per_word;
    // The words of a group, as a power of two.
    let steps = (vectors.group / per_word).trailing_zeros();
    let numbers = Numbers::<S>::new::<C>();
    let x = places.map(|place| vectors.ordered[place * vectors.step..].as_ptr());
    let mut totals = [[S::splat(0.0); M]; R];
    let mut word = 0;
    while word < words {
        // SAFETY: rows have `words` words and scales with room to spare, and vectors are filled up
        // to whole registers.
        unsafe {
            // Loops, and not closures, which would be functions without these instructions.
            let mut blocks = [S::load_words(NOTHING.as_ptr()); R];
            for (block, row) in blocks.iter_mut().zip(&rows) {
                // The rows that come next: each is too short for the processor to foresee them.
                prefetch(row.codes.as_ptr().wrapping_add(word + R * words));
                if word + S::N <= words {
                    *block = S::load_words(row.codes.as_ptr().add(word));
                } else {
                    let mut last = NOTHING;
                    last[..words - word].copy_from_slice(&row.codes[word..words]);
                    *block = S::load_words(last.as_ptr());
                }
                *block = numbers.prepared::<C>(*block);
            }
            let mut sums = [[S::splat(0.0); M]; R];
            for code in 0..per_word {
                let at = word * per_word + code * S::N;
                let mut vectors_at = [S::splat(0.0); M];
                for (vector, x) in vectors_at.iter_mut().zip(&x) {
                    *vector = S::load(x.add(at));
                }
                for (block, sums) in blocks.iter().zip(&mut sums) {
                    let numbers = numbers.at::<C>(*block, code);
                    for (sum, &x) in sums.iter_mut().zip(&vectors_at) {
                        *sum = S::mul_add(numbers, x, *sum);
                    }
                }
            }
            for (row, (totals, sums)) in rows.iter().zip(totals.iter_mut().zip(sums)) {
                let scales = S::spread(row.scales.as_ptr().add(word >> steps), steps);
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = S::mul_add(scales, sum, *total);
                }
            }
        }
        word += S::N;
    }
    let mut products = [[0.0; M]; R];
    for (products, totals) in products.iter_mut().zip(totals) {
        for (product, total) in products.iter_mut().zip(totals) {
            *product = S::sum(total);
        }
    }
    products
}
