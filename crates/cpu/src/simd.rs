//! Owns vectors of `f32` in registers, one width per instruction set, for loops that the compiler
//! does not vectorise by itself: dot products and their like.

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(not(target_arch = "aarch64"))]
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::{bf16, f16};

use crate::isa::Isa;

/// A vector of `f32` and what can be done with it. The methods are sound only where the
/// instruction set is present: inside the bodies that `per_isa!` compiles.
pub(crate) trait Lanes: Isa {
    /// The vector.
    type F: Copy;
    /// The number of elements in it.
    const N: usize;
    /// The level whose vectors are for arrays too short for these.
    type Short: Lanes;
    /// The rows, at most 14, and the vectors of columns, one or two, of the largest tile of a
    /// matrix product that fits into the registers.
    const TILE: (usize, usize);

    fn splat(value: f32) -> Self::F;
    fn add(a: Self::F, b: Self::F) -> Self::F;
    fn mul(a: Self::F, b: Self::F) -> Self::F;
    #[inline(always)]
    fn sub(a: Self::F, b: Self::F) -> Self::F {
        Self::mul_add(b, Self::splat(-1.0), a)
    }
    /// `c - a * b`.
    #[inline(always)]
    fn sub_mul(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        Self::sub(c, Self::mul(a, b))
    }
    /// `a * b + c`.
    fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a * b + c`, where `a` is the number `AT` places from an address in each element. Where there is
    /// one instruction for it, it needs no register for `a`, but reads it anew for each `b`.
    ///
    /// # Safety
    /// The number must be readable.
    #[inline(always)]
    unsafe fn mul_add_at<const AT: usize>(a: *const f32, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the caller's promise.
        Self::mul_add(Self::splat(unsafe { a.add(AT).read() }), b, c)
    }
    /// `a * b + c`, where each element of `a` and `b` is a pair of `bf16` whose products are summed.
    #[inline(always)]
    fn mul_add_pairs(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        mul_add_pairs::<Self>(a, b, c)
    }
    /// Pairs of `bf16`: the elements of `low` and of `high`, rounded.
    #[inline(always)]
    fn pair(low: Self::F, high: Self::F) -> Self::F {
        let mut halves = [[0.0f32; 16]; 2];
        // SAFETY: no vector has more than 16 elements.
        unsafe {
            Self::store(low, halves[0].as_mut_ptr());
            Self::store(high, halves[1].as_mut_ptr());
            for i in 0..Self::N {
                let [low, high] = halves.map(|half| u32::from(bf16::narrow(half[i]).to_bits()));
                halves[0][i] = f32::from_bits(low | high << 16);
            }
            Self::load(halves[0].as_ptr())
        }
    }
    /// The sum of the elements.
    fn sum(a: Self::F) -> f32;
    /// The sums of four vectors, each as [`sum`](Self::sum) has it.
    #[inline(always)]
    fn four_sums([a, b, c, d]: [Self::F; 4]) -> [f32; 4] {
        [Self::sum(a), Self::sum(b), Self::sum(c), Self::sum(d)]
    }
    /// # Safety
    /// `N` elements must be readable at `from`; so for the other loads.
    unsafe fn load(from: *const f32) -> Self::F;
    /// # Safety
    /// As `load`.
    unsafe fn load_bf16(from: *const bf16) -> Self::F;
    /// # Safety
    /// As `load`.
    unsafe fn load_f16(from: *const f16) -> Self::F;
    /// # Safety
    /// `N` elements must be writable at `to`.
    unsafe fn store(a: Self::F, to: *mut f32);
    /// Stores past the caches, where there is an instruction for it: see
    /// [`NonTemporal`](crate::nontemporal::NonTemporal).
    ///
    /// # Safety
    /// As for `store`, and `to` must be a multiple of the vector's size.
    #[inline(always)]
    unsafe fn store_past(a: Self::F, to: *mut f32) {
        // SAFETY: passed on to the caller.
        unsafe { Self::store(a, to) }
    }

    /// The first and the second elements of the pairs in two vectors. Which place each gets is
    /// [`order`](Self::order)'s choice.
    fn split(a: Self::F, b: Self::F) -> (Self::F, Self::F);
    /// What [`split`](Self::split) had before.
    fn join(first: Self::F, second: Self::F) -> (Self::F, Self::F);
    /// The pair whose elements [`split`](Self::split) puts in a place. Pairs in reverse order are
    /// places in reverse order.
    #[inline(always)]
    fn order(place: usize) -> usize {
        place
    }
    /// The elements in reverse order.
    fn reverse(a: Self::F) -> Self::F;
    /// Exchanges rows and columns of each square that a quarter of the elements of four vectors is: four
    /// elements of each.
    fn transpose_squares(rows: [Self::F; 4]) -> [Self::F; 4];
    /// Exchanges the squares: those in one place of several vectors become those of one vector.
    fn exchange_squares<const R: usize>(rows: [Self::F; R]) -> [Self::F; R];

    /// As many words of 32 bits.
    type W: Copy;
    /// Sixteen numbers to look up.
    type Table: Copy;
    /// True if looking up is one instruction.
    const LOOKS_UP: bool;
    /// # Safety
    /// `N` words must be readable at `from`.
    unsafe fn load_words(from: *const u32) -> Self::W;
    /// Each word with the same bits flipped.
    fn flip(words: Self::W, bits: u32) -> Self::W;
    /// The `bits` bits of each word from `shift` on, as whole numbers of which the first bit is the
    /// sign.
    fn field(words: Self::W, shift: u32, bits: u32) -> Self::F;
    /// The `bits` bits of each word from `shift` on, as whole numbers, where they stand: `2^shift` times
    /// too large, but for the last bits of words, which are moved to their place.
    fn in_place(words: Self::W, shift: u32, bits: u32) -> Self::F;
    /// The floats of eight bits (E4M3) from `shift` on in each word, `2^-120` times as large, and not NaN.
    fn float8(words: Self::W, shift: u32) -> Self::F;
    /// A byte for each of the first codes of `BITS` bits: 3, 5 or 6 of them.
    fn bytes_of_codes<const BITS: usize>(words: Self::W) -> Self::W;
    fn table(numbers: &[f32; 16]) -> Self::Table;
    /// The numbers that four bits of each word, from `shift` on, are the places of.
    fn look_up(table: Self::Table, words: Self::W, shift: u32) -> Self::F;
    /// Sixteen numbers to look up in pairs.
    type PairTable: Copy;
    /// The numbers are rounded to `bf16`.
    fn pair_table(numbers: &[f32; 16]) -> Self::PairTable;
    /// Pairs of `bf16`: the numbers that four bits of each half of a word, from `shift` on, are the
    /// places of.
    fn look_up_pairs(table: Self::PairTable, words: Self::W, shift: u32) -> Self::F;
    /// Each of the first numbers `1 << steps` times.
    ///
    /// # Safety
    /// As [`Lanes::load`].
    unsafe fn spread(from: *const f32, steps: u32) -> Self::F;
}

/// As [`Lanes::mul_add_pairs`], element by element.
#[inline(always)]
fn mul_add_pairs<S: Lanes>(a: S::F, b: S::F, c: S::F) -> S::F {
    let (mut low, mut high, mut sums) = ([[0.0f32; 16]; 2], [[0.0f32; 16]; 2], [0.0f32; 16]);
    // SAFETY: no vector has more than 16 elements.
    unsafe {
        for (i, pairs) in [a, b].into_iter().enumerate() {
            S::store(pairs, low[i].as_mut_ptr());
        }
        S::store(c, sums.as_mut_ptr());
        for i in 0..S::N {
            for side in 0..2 {
                let bits = low[side][i].to_bits();
                low[side][i] = f32::from_bits(bits << 16);
                high[side][i] = f32::from_bits(bits & 0xffff_0000);
            }
            sums[i] += low[0][i] * low[1][i] + high[0][i] * high[1][i];
        }
        S::load(sums.as_ptr())
    }
}

/// An element that is computed with in `f32`.
pub(crate) trait Narrow: olivine_core::Element {
    /// # Safety
    /// As [`Lanes::load`].
    unsafe fn load<S: Lanes>(from: *const Self) -> S::F;
    fn widen(self) -> f32;
    /// The nearest element; ties go to even.
    fn narrow(value: f32) -> Self;
}

impl Narrow for f32 {
    #[inline(always)]
    unsafe fn load<S: Lanes>(from: *const Self) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { S::load(from) }
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        value
    }
}

impl Narrow for bf16 {
    #[inline(always)]
    unsafe fn load<S: Lanes>(from: *const Self) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { S::load_bf16(from) }
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let quiet = (bits >> 16) | 0x40;
        bf16::from_bits(if value.is_nan() { quiet } else { rounded } as u16)
    }
}

impl Narrow for f16 {
    #[inline(always)]
    unsafe fn load<S: Lanes>(from: *const Self) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { S::load_f16(from) }
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        // Shift exponent and mantissa into place, then scale by the difference of the biases,
        // which also normalises subnormals. Branch-free, so that it vectorises.
        let bits = u32::from(self.to_bits());
        let scaled = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
        let special = if bits & 0x7c00 == 0x7c00 {
            0x7f80_0000
        } else {
            0
        };
        f32::from_bits(scaled.to_bits() | special | (bits & 0x8000) << 16)
    }
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        let bits = value.to_bits();
        let (sign, magnitude) = (bits >> 16 & 0x8000, bits & 0x7fff_ffff);
        // Normal results: rebias the exponent and round away 13 bits, ties to even.
        let odd = magnitude >> 13 & 1;
        let normal = magnitude
            .wrapping_sub(0x3800_0000)
            .wrapping_add(0xfff + odd)
            >> 13;
        // Subnormal results: adding 0.5 makes the hardware round to a multiple of 2^-24.
        let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits() & 0x7ff;
        let finite = if magnitude < 0x3880_0000 {
            subnormal
        } else {
            normal.min(0x7c00)
        };
        let infinite = if magnitude > 0x7f80_0000 {
            0x7e00
        } else {
            0x7c00
        };
        let result = if magnitude >= 0x4780_0000 {
            infinite
        } else {
            finite
        };
        f16::from_bits((result | sign) as u16)
    }
}

/// Asks for the line at an address, which need not be readable, to be brought to the second-level cache.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: SSE is part of the architecture, and the instruction accesses nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

/// As [`prefetch`], to the first-level cache.
#[inline(always)]
pub(crate) fn prefetch_first<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

/// Writes four elements of each of four rows as four columns, `step` apart.
///
/// # Safety
/// Four elements must be readable at each row and writable at each column.
#[inline(always)]
pub(crate) unsafe fn transpose4(rows: [*const f32; 4], to: *mut f32, step: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of the architecture; the rest is the caller's promise.
    unsafe {
        use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
        let [mut a, mut b, mut c, mut d] = rows.map(|row| _mm_loadu_ps(row));
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        for (i, column) in [a, b, c, d].into_iter().enumerate() {
            _mm_storeu_ps(to.add(i * step), column);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: the caller's promise.
    unsafe {
        let rows = rows.map(|row| row.cast::<[f32; 4]>().read_unaligned());
        for i in 0..4 {
            let column = rows.map(|row| row[i]);
            to.add(i * step).cast::<[f32; 4]>().write_unaligned(column);
        }
    }
}

/// Applies a function to each element of portable vectors.
#[cfg(not(target_arch = "aarch64"))]
#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; 8] {
    std::array::from_fn(f)
}

/// Numbers as the bits of `bf16`.
#[inline(always)]
fn narrowed(numbers: &[f32; 16]) -> [u16; 16] {
    numbers.map(|number| bf16::narrow(number).to_bits())
}

/// As [`Lanes::look_up_pairs`], of one word.
#[cfg(not(target_arch = "aarch64"))]
#[inline(always)]
fn pair_of(table: [u16; 16], word: u32, shift: u32) -> f32 {
    let [low, high] = [0, 16].map(|half| u32::from(table[(word >> (shift + half) & 15) as usize]));
    f32::from_bits(low | high << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_widens_as_the_half_crate_says() {
        for bits in 0..=u16::MAX {
            let (f, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert!(
                f.widen() == f.to_f32() || f.is_nan() && f.widen().is_nan(),
                "{bits:#x}"
            );
            assert!(
                b.widen() == b.to_f32() || b.is_nan() && b.widen().is_nan(),
                "{bits:#x}"
            );
        }
    }

    #[test]
    fn floats_narrow_as_the_half_crate_says() {
        for high in 0..=u16::MAX {
            for low in [
                0, 1, 0x0fff, 0x1000, 0x1001, 0x2000, 0x7fff, 0x8000, 0x8001, 0xffff,
            ] {
                let value = f32::from_bits(u32::from(high) << 16 | low);
                let (f, b) = (f16::narrow(value), bf16::narrow(value));
                if value.is_nan() {
                    assert!(f.is_nan() && b.is_nan(), "{value}");
                } else {
                    assert_eq!(f.to_bits(), f16::from_f32(value).to_bits(), "{value:e}");
                    assert_eq!(b.to_bits(), bf16::from_f32(value).to_bits(), "{value:e}");
                }
            }
        }
    }
}
