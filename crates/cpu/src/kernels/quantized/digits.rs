//! Owns dot products of packed rows with a few vectors of halves, in whole numbers.
//!
//! The halves of a block share a unit, of which each is a whole number `d₂ 2¹⁶ + d₁ 2⁸ + d₀` with digits from
//! -128 to 127. Codes meet digit after digit as bytes, four products in one instruction, and their sums
//! are exact. Halves have few bits, so nothing is lost of them either, but where one is smaller than the largest
//! of its block by more than 2¹⁴, or 2¹¹ with `f16`: then it is wrong by at most 2⁻²² of that, which is what
//! sums of a few `f32` of its size lose. Of blocks below 2⁻¹⁰⁴, what is below 2⁻¹²⁷ is lost.

use std::ops::Range;

use super::{
    codes::Codes,
    few::{Ahead, GroupSums, LINE, Products, Rows, begin, blocks, end, near},
    integer::{NEAREST, every_other},
};
use crate::{
    dots::{Dots, mask},
    isa::{Isa, Level, level_for_bytes, per_isa},
};

/// The most vectors that are multiplied at a time.
pub(super) const WIDE: usize = 4;

/// The digits of a number.
pub(super) const DIGITS: usize = 3;

/// Half of the base in each digit's place: with it added, digits are counted from zero.
const HALVES: u32 = 0x0080_8080;

/// The bits of a whole number that its digits are sure to hold.
const BITS: u32 = 22;

/// The most codes that a block of words has.
pub(super) const MOST: usize = 256;

/// True if vectors in digits can meet these codes: the sums of a lane have at most 30 bits.
pub(super) const fn takes<C: Codes>() -> bool {
    C::BIASED && C::BITS > 1 && C::BITS < 8
}

/// True if digits are faster than numbers: where four products are one instruction over a wide register.
/// With AVX2 they are three, and codes take as long as they do as numbers.
pub(super) fn are_fast() -> bool {
    cfg!(target_arch = "x86_64") && level_for_bytes() == Level::Bf16
}

/// Up to [`WIDE`] vectors in digits, in the order in which codes are taken from words: of each block of
/// words the first digits that meet the first code of each byte, of one vector after the other, then
/// those that meet the second ones; then the second digits.
pub(super) struct Digits {
    len: usize,
    group: usize,
    count: usize,
    /// The vectors that there is room for: one, two or four.
    width: usize,
    /// Preceded by so many that they begin with a line of the cache.
    words: Vec<u32>,
    skipped: usize,
    /// Of each block the unit of each vector.
    units: Vec<f32>,
    sums: GroupSums,
}

impl Digits {
    /// Vectors of `len` numbers, which are whole groups.
    pub(super) fn new<'a, C: Codes>(
        vectors: impl ExactSizeIterator<Item = &'a [f32]>,
        len: usize,
        group: usize,
    ) -> Self {
        let (count, width) = (vectors.len(), vectors.len().next_power_of_two());
        let codes = codes_of_block::<C>();
        let blocks = len.div_ceil(codes);
        let mut words = vec![0u32; blocks * DIGITS * codes / 4 * width + LINE];
        let skipped = words.as_ptr().align_offset(LINE * size_of::<u32>()) % LINE;
        let mut units = vec![0.0; blocks * width];
        let mut sums = GroupSums::new(width, len / group);
        for (place, vector) in vectors.enumerate() {
            take_apart::<C>(vector, (place, width), &mut words[skipped..], &mut units);
            sums.add(place, vector, 1.0);
        }
        Digits {
            len,
            group,
            count,
            width,
            words,
            skipped,
            units,
            sums,
        }
    }
}

per_isa! {
    [bytes]
    /// The codes of the words that fill a register.
    fn codes_of_block<C: Codes>() -> usize = codes_of_block_body;
}

#[inline(always)]
fn codes_of_block_body<S: Dots, C: Codes>() -> usize {
    S::N * C::OF_LANE
}

per_isa! {
    [bytes]
    /// Writes the digits of a vector to its place among `width`, and its units.
    fn take_apart<C: Codes>(
        vector: &[f32], places: (usize, usize), words: &mut [u32], units: &mut [f32],
    ) = take_apart_body;
}

#[inline(always)]
fn take_apart_body<S: Dots, C: Codes>(
    vector: &[f32],
    (place, width): (usize, usize),
    words: &mut [u32],
    units: &mut [f32],
) {
    let (steps, codes) = (8 / C::IN_LANE, S::N * C::OF_LANE);
    let of_block = DIGITS * steps * width * S::N;
    let blocks = words
        .chunks_exact_mut(of_block)
        .zip(units.chunks_exact_mut(width));
    for (numbers, (words, units)) in vector.chunks(codes).zip(blocks) {
        let whole = in_units::<S>(numbers);
        units[place] = whole.unit;
        for digit in 0..DIGITS {
            let bytes = whole.digits(digit);
            for step in 0..steps {
                let at = ((digit * steps + step) * width + place) * S::N;
                write_step(&bytes[..codes], (step, steps), &mut words[at..at + S::N]);
            }
        }
    }
}

/// Numbers that share a unit, of which each is a whole number.
pub(super) struct Whole {
    /// A power of two, and its inverse. NaN if there is a number that is not finite.
    pub(super) unit: f32,
    pub(super) inverse: f32,
    /// With [`HALVES`] added.
    counted: [u32; MOST],
}

/// At most [`MOST`] numbers in their unit; zeros follow them.
#[inline(always)]
pub(super) fn in_units<S: Isa>(numbers: &[f32]) -> Whole {
    let mut some = [0.0f32; MOST];
    some[..numbers.len()].copy_from_slice(numbers);
    // Bits of magnitudes are ordered as these are, and infinities and NaN above all.
    let mut largest = 0;
    for number in &some {
        largest = (number.to_bits() & 0x7fff_ffff).max(largest);
    }
    // The largest number, of at least 2^(e - 127), is less than 2^22 units of 2^(e - 127 - 21).
    // Where it is tiny, units are the smallest that have an inverse.
    let exponent = (largest >> 23).max(BITS);
    let inverse = f32::from_bits((254 + BITS - 1 - exponent) << 23);
    let unit = if largest < f32::INFINITY.to_bits() {
        f32::from_bits((exponent + 1 - BITS) << 23)
    } else {
        f32::NAN
    };
    let mut counted = [0u32; MOST];
    for (to, number) in counted.iter_mut().zip(&some) {
        // To the nearest, by what additions to a large number lose.
        let near = S::fma(*number, inverse, NEAREST);
        *to = near.to_bits().wrapping_sub(NEAREST.to_bits() - HALVES);
    }
    Whole {
        unit,
        inverse,
        counted,
    }
}

impl Whole {
    /// One digit of each number, of which the first is worth most.
    #[inline(always)]
    pub(super) fn digits(&self, digit: usize) -> [u8; MOST] {
        let mut bytes = [0u8; MOST];
        for (byte, counted) in bytes.iter_mut().zip(&self.counted) {
            *byte = (counted >> (8 * (DIGITS - 1 - digit))) as u8 ^ 0x80;
        }
        bytes
    }
}

/// Writes what meets one code of each byte, a word for each word of codes: one of so many steps.
#[inline(always)]
pub(super) fn write_step(bytes: &[u8], (step, steps): (usize, usize), words: &mut [u32]) {
    if steps == 2 {
        let (eights, _) = bytes.as_chunks::<8>();
        for (word, eight) in words.iter_mut().zip(eights) {
            *word = every_other(u64::from_le_bytes(*eight) >> (8 * step));
        }
    } else {
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4 * steps)) {
            *word = u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[i * steps + step]));
        }
    }
}

/// The dot products of rows with vectors.
pub(super) fn dots<C: Codes>(rows: Rows, vectors: &Digits, products: &mut Products) {
    match vectors.width {
        0 => {}
        1 => four_by_one::<C>(rows, vectors, products),
        2 => two_by_two::<C>(rows, vectors, products),
        _ => two_by_four::<C>(rows, vectors, products),
    }
}

/// Kernels for so many rows by so many vectors at a time.
macro_rules! kernels {
    ($($name:ident, $body:ident, $rows:literal by $vectors:literal;)*) => {$(
        per_isa! {
            [bytes]
            fn $name<C: Codes>(rows: Rows, vectors: &Digits, products: &mut Products) = $body;
        }
        #[inline(always)]
        fn $body<S: Dots, C: Codes>(rows: Rows, vectors: &Digits, products: &mut Products) {
            dots_body::<S, C, $rows, $vectors>(rows, vectors, products);
        }
    )*};
}

kernels! {
    four_by_one, four_by_one_body, 4 by 1;
    two_by_two, two_by_two_body, 2 by 2;
    two_by_four, two_by_four_body, 2 by 4;
}

#[inline(always)]
fn dots_body<S: Dots, C: Codes, const R: usize, const M: usize>(
    rows: Rows,
    vectors: &Digits,
    products: &mut Products,
) {
    assert_eq!(vectors.width, M);
    begin::<S, C, M>(rows, &vectors.sums, 0.0, products);
    let words = vectors.len / C::OF_LANE;
    for range in near::<S, C, M>(words, DIGITS) {
        for row in (0..rows.count).step_by(R) {
            rows.ask_for_later(&range, row..row + R);
            let parts = products.parts_of::<S, M>(row..row + R);
            add_products::<S, C, R, M>(rows, row, vectors, range.clone(), parts);
        }
    }
    end::<S, M>(rows.count, vectors.count, 1.0, products);
}

/// Adds `Σ s (Σ q x)` over some words of `R` rows from `row` on, in parts, for each vector.
#[inline(always)]
fn add_products<S: Dots, C: Codes, const R: usize, const M: usize>(
    rows: Rows,
    row: usize,
    vectors: &Digits,
    range: Range<usize>,
    parts: &mut [f32],
) {
    let (per_word, steps, mask) = (C::OF_LANE, 8 / C::IN_LANE, mask(C::IN_LANE));
    let (words, groups) = (vectors.len / per_word, vectors.len / vectors.group);
    // The words of a group, as a power of two.
    let words_of_group = (vectors.group / per_word).trailing_zeros();
    let blocks_of_vectors = words.div_ceil(S::N);
    let digits = &vectors.words[vectors.skipped..];
    assert!(digits.len() >= blocks_of_vectors * DIGITS * steps * M * S::N);
    assert!(vectors.units.len() >= blocks_of_vectors * M && range.end <= words);
    let mut ahead = Ahead::new::<C, R>(rows, words, row, &range);
    let (codes, scales) = rows.starts::<C, R>(row, words, groups);
    let codes_end = rows.codes.as_ptr_range().end;
    // SAFETY: rows have `words` words and scales with room to spare, vectors have digits and units for
    // each block, and there is a part for each row and vector.
    unsafe {
        // Loops, and not closures, which would be functions without these instructions.
        let mut totals = [[S::splat(0.0); M]; R];
        for (i, total) in totals.as_flattened_mut().iter_mut().enumerate() {
            *total = S::load(parts.as_ptr().add(i * S::N));
        }
        let mut word = range.start;
        while word < range.end {
            ahead.ask(R * C::bytes_of(S::N));
            let block = word / S::N;
            let words_of_rows = blocks::<S, C, R>(codes, word, words, codes_end);
            // Four codes in a byte at most.
            let mut bytes = [words_of_rows; 4];
            for (step, bytes) in bytes.iter_mut().enumerate().take(steps) {
                for byte in bytes {
                    *byte = S::bits(*byte, (step * C::IN_LANE) as u32, mask);
                }
            }
            let mut x = digits.as_ptr().add(block * DIGITS * steps * M * S::N);
            let mut sums = [[S::zero(); M]; R];
            for _ in 0..DIGITS {
                // Vector by vector, so that shifts, which have one unit, come between products.
                for vector in 0..M {
                    let mut some = [S::begin(S::zero()); R];
                    for (some, sums) in some.iter_mut().zip(&mut sums) {
                        sums[vector] = S::times_256(sums[vector]);
                        *some = S::begin(sums[vector]);
                    }
                    for (step, bytes) in bytes.iter().enumerate().take(steps) {
                        let numbers = S::load_words(x.add((step * M + vector) * S::N));
                        for (&bytes, some) in bytes.iter().zip(&mut some) {
                            *some = S::add_dots(*some, bytes, numbers);
                        }
                    }
                    for (sums, some) in sums.iter_mut().zip(some) {
                        sums[vector] = S::end(sums[vector], some);
                    }
                }
                x = x.add(steps * M * S::N);
            }
            let units = vectors.units.as_ptr().add(block * M);
            for (scales, (totals, sums)) in scales.iter().zip(totals.iter_mut().zip(sums)) {
                let scales = S::spread(scales.add(word >> words_of_group), words_of_group);
                for (i, (total, sums)) in totals.iter_mut().zip(sums).enumerate() {
                    let sums = S::mul(S::to_floats(sums), S::splat(units.add(i).read()));
                    *total = S::mul_add(scales, sums, *total);
                }
            }
            word += S::N;
        }
        for (i, total) in totals.as_flattened().iter().enumerate() {
            S::store(*total, parts.as_mut_ptr().add(i * S::N));
        }
    }
}

#[cfg(test)]
mod tests {
    use olivine_core::{bf16, f16};

    use super::{
        super::{
            codes::Whole,
            convert::bytes,
            few::{Later, SPARE, TALL},
        },
        *,
    };
    use crate::kernels::test_inputs::Random;

    /// The products of some vectors with rows of random codes, and what they are in `f64`.
    fn products<C: Codes>(
        random: &mut Random,
        vectors: &[Vec<f32>],
        (scales, biases): (&[f32], &[f32]),
    ) -> (Vec<f32>, Vec<f64>) {
        let (len, group, count) = (vectors[0].len(), 32, 1 + random.below(TALL));
        let words = len * C::BITS / 32;
        let codes: Vec<u32> = (0..count * words)
            .map(|_| random.below(1 << 16) as u32 | (random.below(1 << 16) as u32) << 16)
            .collect();
        let groups = len / group;
        let of_groups = |numbers: &[f32]| -> Vec<f32> {
            let numbers = numbers.iter().cycle().copied();
            let spare = std::iter::repeat_n(0.0, SPARE);
            numbers.take(count * groups).chain(spare).collect()
        };
        let (scales, biases) = (of_groups(scales), of_groups(biases));
        let rows = Rows {
            count,
            codes: bytes(&codes),
            scales: &scales,
            biases: &biases,
            later: Later::default(),
        };
        let digits = Digits::new::<C>(vectors.iter().map(|x| &x[..]), len, group);
        let mut products = Products::new();
        dots::<C>(rows, &digits, &mut products);
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for (i, vector) in vectors.iter().enumerate() {
            found.extend_from_slice(&products.of(i)[..count]);
            for row in 0..count {
                let terms = vector.iter().enumerate().map(|(at, &x)| {
                    let word = codes[row * words + at * C::BITS / 32];
                    let code = word >> (at * C::BITS % 32) & ((1 << C::BITS) - 1);
                    let place = row * groups + at / group;
                    let weight =
                        f64::from(scales[place]) * f64::from(code) + f64::from(biases[place]);
                    weight * f64::from(x)
                });
                expected.push(terms.sum());
            }
        }
        (found, expected)
    }

    #[test]
    fn products_of_halves_have_one_rounding_for_each_block() {
        let mut random = Random(31);
        for count in 1..=4 {
            for groups in [1, 2, 3, 4, 7, 8, 9, 64] {
                let vectors: Vec<Vec<f32>> = (0..count)
                    .map(|i| {
                        let half = |x| {
                            if i % 2 == 0 {
                                bf16::from_f32(x).to_f32()
                            } else {
                                f16::from_f32(x).to_f32()
                            }
                        };
                        (0..32 * groups).map(|_| half(random.unit())).collect()
                    })
                    .collect();
                let factors = (&[0.5, -1.25, 0.001][..], &[-3.0, 0.25][..]);
                for (found, expected) in [
                    products::<Whole<4>>(&mut random, &vectors, factors),
                    products::<Whole<2>>(&mut random, &vectors, factors),
                ] {
                    assert_eq!(found.len(), expected.len());
                    for (found, expected) in found.iter().zip(expected) {
                        let most = 1e-7 * 16.0 * (32 * groups) as f64;
                        assert!(
                            (f64::from(*found) - expected).abs() < most,
                            "{found} {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn whole_numbers_of_a_block_meet_codes_exactly() {
        let mut random = Random(32);
        // Largest numbers at both ends, and those that carry from digit to digit.
        let numbers = [
            255.0,
            -255.0,
            1.0,
            -1.0,
            128.0,
            -128.0,
            127.0,
            0.0,
            2.0f32.powi(-6),
        ];
        for exponent in [-100, -3, 0, 11, 100] {
            let vector: Vec<f32> = (0..256)
                .map(|_| numbers[random.below(numbers.len())] * 2.0f32.powi(exponent))
                .collect();
            let (found, expected) = products::<Whole<4>>(&mut random, &[vector], (&[1.0], &[0.0]));
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(f64::from(*found), expected, "{exponent}");
            }
        }
    }

    #[test]
    fn vectors_that_are_not_finite_have_no_finite_products() {
        let mut random = Random(33);
        for strange in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 100, 319] {
                let mut vector = vec![1.0; 320];
                vector[place] = strange;
                let (found, _) = products::<Whole<4>>(&mut random, &[vector], (&[1.0], &[0.0]));
                assert!(
                    found.iter().all(|sum| !sum.is_finite()),
                    "{strange} {place}"
                );
            }
        }
        // The smallest and the largest numbers are.
        for tiny in [0.0, f32::from_bits(1), f32::MIN_POSITIVE, 1e-30, 1e30] {
            let (found, expected) =
                products::<Whole<2>>(&mut random, &[vec![tiny; 64]], (&[1.0], &[0.0]));
            for (found, expected) in found.iter().zip(expected) {
                let most = 1e-6 * expected.abs() + 1e-36;
                assert!(
                    (f64::from(*found) - expected).abs() < most,
                    "{found} {expected}"
                );
            }
        }
    }
}
