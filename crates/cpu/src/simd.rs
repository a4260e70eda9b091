//! Owns vectors of `f32` in registers, one width per instruction set, for loops that the compiler
//! does not vectorise by itself: dot products and their like.

use half::{bf16, f16};

use crate::isa::Isa;
#[cfg(not(target_arch = "aarch64"))]
use crate::isa::Portable;
#[cfg(target_arch = "x86_64")]
use crate::isa::{V3, V4, V4Bf16};

/// A vector of `f32` and what can be done with it. The methods are sound only where the
/// instruction set is present: inside the bodies that `per_isa!` compiles.
pub(crate) trait Lanes: Isa {
    /// The vector.
    type F: Copy;
    /// The number of elements in it.
    const N: usize;
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

#[cfg(not(target_arch = "aarch64"))]
impl Lanes for Portable {
    type F = [f32; 8];
    const N: usize = 8;
    const TILE: (usize, usize) = (4, 1);

    #[inline(always)]
    fn splat(value: f32) -> Self::F {
        [value; 8]
    }
    #[inline(always)]
    fn add(a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn mul(a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        each(|i| Self::fma(a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn sum(a: Self::F) -> f32 {
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        // SAFETY: the caller promises eight readable elements.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self::F {
        // SAFETY: the caller promises eight readable elements.
        let values = unsafe { from.cast::<[bf16; 8]>().read_unaligned() };
        each(|i| values[i].widen())
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self::F {
        // SAFETY: the caller promises eight readable elements.
        let values = unsafe { from.cast::<[f16; 8]>().read_unaligned() };
        each(|i| values[i].widen())
    }
    #[inline(always)]
    unsafe fn store(a: Self::F, to: *mut f32) {
        // SAFETY: the caller promises eight writable elements.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(a) }
    }

    type W = [u32; 8];
    type Table = [f32; 16];
    const LOOKS_UP: bool = false;

    #[inline(always)]
    unsafe fn load_words(from: *const u32) -> Self::W {
        // SAFETY: the caller promises eight readable words.
        unsafe { from.cast::<[u32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    fn flip(words: Self::W, bits: u32) -> Self::W {
        words.map(|word| word ^ bits)
    }
    #[inline(always)]
    fn field(words: Self::W, shift: u32, bits: u32) -> Self::F {
        each(|i| ((words[i] << (32 - bits - shift)) as i32 >> (32 - bits)) as f32)
    }
    #[inline(always)]
    fn in_place(words: Self::W, shift: u32, bits: u32) -> Self::F {
        if shift + bits == 32 {
            return each(|i| (words[i] >> shift) as i32 as f32);
        }
        let mask = ((1 << bits) - 1) << shift;
        each(|i| (words[i] & mask) as i32 as f32)
    }
    #[inline(always)]
    fn table(numbers: &[f32; 16]) -> Self::Table {
        *numbers
    }
    #[inline(always)]
    fn look_up(table: Self::Table, words: Self::W, shift: u32) -> Self::F {
        each(|i| table[(words[i] >> shift & 15) as usize])
    }
    type PairTable = [u16; 16];
    #[inline(always)]
    fn pair_table(numbers: &[f32; 16]) -> Self::PairTable {
        narrowed(numbers)
    }
    #[inline(always)]
    fn look_up_pairs(table: Self::PairTable, words: Self::W, shift: u32) -> Self::F {
        each(|i| pair_of(table, words[i], shift))
    }
    #[inline(always)]
    unsafe fn spread(from: *const f32, steps: u32) -> Self::F {
        // SAFETY: the caller promises eight readable elements.
        each(|i| unsafe { from.add(i >> steps).read() })
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::{
        arch::{
            aarch64::{
                float32x4_t, uint8x16_t, uint8x16x2_t, uint8x16x4_t, uint32x4_t, vadd_f32,
                vaddq_f32, vandq_u32, vcvt_f32_f16, vcvt_high_f32_f16, vcvtq_f32_s32, vdupq_n_f32,
                vdupq_n_s32, vdupq_n_u32, veorq_u32, vfmaq_f32, vget_high_f32, vget_low_f16,
                vget_low_f32, vget_low_u16, vld1q_f32, vld1q_u8_x2, vld1q_u8_x4, vld1q_u16,
                vld1q_u32, vmlaq_u32, vmulq_f32, vpadds_f32, vqtbl2q_u8, vqtbl4q_u8,
                vreinterpretq_f16_u16, vreinterpretq_f32_u8, vreinterpretq_f32_u32,
                vreinterpretq_s32_u32, vreinterpretq_u8_u32, vshll_high_n_u16, vshll_n_u16,
                vshlq_s32, vshlq_u32, vst1q_f32,
            },
            asm,
        },
        array::from_fn,
    };

    use super::{Lanes, bf16, f16};
    use crate::isa::{MORE_BF16, Plain};

    /// Two registers for as many elements as a line of half the size has.
    impl<const MORE: u8> Lanes for Plain<MORE> {
        type F = [float32x4_t; 2];
        const N: usize = 8;
        const TILE: (usize, usize) = (6, 2);

        #[inline(always)]
        fn splat(value: f32) -> Self::F {
            // SAFETY: NEON is part of the architecture; so for all that has no comment of its own.
            unsafe { [vdupq_n_f32(value); 2] }
        }
        #[inline(always)]
        fn add(a: Self::F, b: Self::F) -> Self::F {
            // SAFETY: as above.
            from_fn(|i| unsafe { vaddq_f32(a[i], b[i]) })
        }
        #[inline(always)]
        fn mul(a: Self::F, b: Self::F) -> Self::F {
            // SAFETY: as above.
            from_fn(|i| unsafe { vmulq_f32(a[i], b[i]) })
        }
        #[inline(always)]
        fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            // SAFETY: as above.
            from_fn(|i| unsafe { vfmaq_f32(c[i], a[i], b[i]) })
        }
        #[inline(always)]
        fn mul_add_pairs(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            if MORE == MORE_BF16 {
                // SAFETY: see the trait: only code compiled for this level gets here.
                from_fn(|i| unsafe { dot_of_pairs(a[i], b[i], c[i]) })
            } else {
                super::mul_add_pairs::<Self>(a, b, c)
            }
        }
        #[inline(always)]
        fn sum([low, high]: Self::F) -> f32 {
            // SAFETY: as above.
            unsafe {
                let four = vaddq_f32(low, high);
                vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
            }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self::F {
            // SAFETY: the caller promises eight readable elements.
            from_fn(|i| unsafe { vld1q_f32(from.add(4 * i)) })
        }
        #[inline(always)]
        unsafe fn load_bf16(from: *const bf16) -> Self::F {
            // SAFETY: the caller promises eight readable elements.
            unsafe {
                let halves = vld1q_u16(from.cast());
                [
                    vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(halves))),
                    vreinterpretq_f32_u32(vshll_high_n_u16::<16>(halves)),
                ]
            }
        }
        #[inline(always)]
        unsafe fn load_f16(from: *const f16) -> Self::F {
            // SAFETY: the caller promises eight readable elements.
            unsafe {
                let halves = vreinterpretq_f16_u16(vld1q_u16(from.cast()));
                [
                    vcvt_f32_f16(vget_low_f16(halves)),
                    vcvt_high_f32_f16(halves),
                ]
            }
        }
        #[inline(always)]
        unsafe fn store(a: Self::F, to: *mut f32) {
            for (i, four) in a.into_iter().enumerate() {
                // SAFETY: the caller promises eight writable elements.
                unsafe { vst1q_f32(to.add(4 * i), four) };
            }
        }

        type W = [uint32x4_t; 2];
        type Table = uint8x16x4_t;
        const LOOKS_UP: bool = false;

        #[inline(always)]
        unsafe fn load_words(from: *const u32) -> Self::W {
            // SAFETY: the caller promises eight readable words.
            from_fn(|i| unsafe { vld1q_u32(from.add(4 * i)) })
        }
        #[inline(always)]
        fn flip(words: Self::W, bits: u32) -> Self::W {
            // SAFETY: as above.
            words.map(|four| unsafe { veorq_u32(four, vdupq_n_u32(bits)) })
        }
        #[inline(always)]
        fn field(words: Self::W, shift: u32, bits: u32) -> Self::F {
            let (up, down) = ((32 - bits - shift) as i32, (32 - bits) as i32);
            // SAFETY: as above; shifts by less than nothing go to the right.
            words.map(|four| unsafe {
                let up = vreinterpretq_s32_u32(vshlq_u32(four, vdupq_n_s32(up)));
                vcvtq_f32_s32(vshlq_s32(up, vdupq_n_s32(-down)))
            })
        }
        #[inline(always)]
        fn in_place(words: Self::W, shift: u32, bits: u32) -> Self::F {
            // SAFETY: as above.
            words.map(|four| unsafe {
                let bits = if shift + bits == 32 {
                    moved(four, shift)
                } else {
                    vandq_u32(four, vdupq_n_u32(((1 << bits) - 1) << shift))
                };
                vcvtq_f32_s32(vreinterpretq_s32_u32(bits))
            })
        }
        #[inline(always)]
        fn table(numbers: &[f32; 16]) -> Self::Table {
            // SAFETY: as above; the numbers are 64 bytes.
            unsafe { vld1q_u8_x4(numbers.as_ptr().cast()) }
        }
        #[inline(always)]
        fn look_up(table: Self::Table, words: Self::W, shift: u32) -> Self::F {
            // SAFETY: as above.
            words.map(|four| unsafe {
                let places = vandq_u32(moved(four, shift), vdupq_n_u32(15));
                // The bytes of each number lie one after the other.
                let bytes = bytes_at(places, 0x0302_0100, 0x0404_0404);
                vreinterpretq_f32_u8(vqtbl4q_u8(table, bytes))
            })
        }
        type PairTable = uint8x16x2_t;
        #[inline(always)]
        fn pair_table(numbers: &[f32; 16]) -> Self::PairTable {
            let numbers = super::narrowed(numbers);
            // SAFETY: as above; the numbers are 32 bytes.
            unsafe { vld1q_u8_x2(numbers.as_ptr().cast()) }
        }
        #[inline(always)]
        fn look_up_pairs(table: Self::PairTable, words: Self::W, shift: u32) -> Self::F {
            // SAFETY: as above.
            words.map(|four| unsafe {
                let places = vandq_u32(moved(four, shift), vdupq_n_u32(0x000f_000f));
                let bytes = bytes_at(places, 0x0100_0100, 0x0202);
                vreinterpretq_f32_u8(vqtbl2q_u8(table, bytes))
            })
        }
        #[inline(always)]
        unsafe fn spread(from: *const f32, steps: u32) -> Self::F {
            // SAFETY: the caller promises eight readable elements.
            let numbers: [f32; 8] = from_fn(|i| unsafe { from.add(i >> steps).read() });
            // SAFETY: eight elements.
            unsafe { Self::load(numbers.as_ptr()) }
        }
    }

    /// Words moved to the right.
    #[inline(always)]
    unsafe fn moved(words: uint32x4_t, shift: u32) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vshlq_u32(words, vdupq_n_s32(-(shift as i32))) }
    }

    /// The places of bytes: `first` and, for each place of a number, `step` more.
    #[inline(always)]
    unsafe fn bytes_at(places: uint32x4_t, first: u32, step: u32) -> uint8x16_t {
        // SAFETY: as above.
        unsafe {
            let bytes = vmlaq_u32(vdupq_n_u32(first), places, vdupq_n_u32(step));
            vreinterpretq_u8_u32(bytes)
        }
    }

    /// As [`Lanes::mul_add_pairs`]; the standard library has no stable function for it.
    #[inline]
    #[target_feature(enable = "bf16")]
    fn dot_of_pairs(a: float32x4_t, b: float32x4_t, mut c: float32x4_t) -> float32x4_t {
        // SAFETY: the instruction reads and writes these registers only.
        unsafe {
            asm!(
                "bfdot {c:v}.4s, {a:v}.8h, {b:v}.8h",
                c = inout(vreg) c,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        c
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{
        arch::asm,
        arch::x86_64::{
            __m256, __m256bh, __m256i, __m512, __m512bh, __m512i, _mm_add_ps, _mm_add_ss,
            _mm_cvtss_f32, _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps, _mm_storeu_ps,
            _mm_unpacklo_ps, _mm256_add_ps, _mm256_and_si256, _mm256_blendv_ps,
            _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32,
            _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
            _mm256_loadu_si256, _mm256_mul_ps, _mm256_permute_ps, _mm256_permute2f128_ps,
            _mm256_permutevar8x32_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32,
            _mm256_slli_epi32, _mm256_sllv_epi32, _mm256_srav_epi32, _mm256_srlv_epi32,
            _mm256_storeu_ps, _mm256_stream_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
            _mm256_xor_si256, _mm512_add_ps, _mm512_and_si512, _mm512_castsi512_ps,
            _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh, _mm512_cvtph_ps,
            _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
            _mm512_or_si512, _mm512_permutexvar_epi16, _mm512_permutexvar_ps, _mm512_reduce_add_ps,
            _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32, _mm512_slli_epi32,
            _mm512_sllv_epi32, _mm512_srav_epi32, _mm512_srlv_epi32, _mm512_storeu_ps,
            _mm512_stream_ps, _mm512_xor_si512,
        },
        mem::transmute,
    };

    use super::{Lanes, V3, V4, V4Bf16, bf16, f16};

    impl Lanes for V3 {
        type F = __m256;
        const N: usize = 8;
        const TILE: (usize, usize) = (6, 2);

        #[inline(always)]
        fn splat(value: f32) -> Self::F {
            // SAFETY: see the trait: only code compiled for this level gets here.
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        fn add(a: Self::F, b: Self::F) -> Self::F {
            // SAFETY: as above.
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        fn mul(a: Self::F, b: Self::F) -> Self::F {
            // SAFETY: as above.
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            // SAFETY: as above.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn sum(a: Self::F) -> f32 {
            // In the order of portable vectors.
            // SAFETY: as above.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
            }
        }
        #[inline(always)]
        fn four_sums([a, b, c, d]: [Self::F; 4]) -> [f32; 4] {
            // SAFETY: as above.
            unsafe {
                let ab = _mm256_add_ps(
                    _mm256_permute2f128_ps::<0x20>(a, b),
                    _mm256_permute2f128_ps::<0x31>(a, b),
                );
                let cd = _mm256_add_ps(
                    _mm256_permute2f128_ps::<0x20>(c, d),
                    _mm256_permute2f128_ps::<0x31>(c, d),
                );
                let two = _mm256_add_ps(_mm256_unpacklo_ps(ab, cd), _mm256_unpackhi_ps(ab, cd));
                let one = _mm256_add_ps(two, _mm256_permute_ps::<0b1110>(two));
                let (ac, bd) = (_mm256_castps256_ps128(one), _mm256_extractf128_ps::<1>(one));
                let mut sums = [0.0; 4];
                _mm_storeu_ps(sums.as_mut_ptr(), _mm_unpacklo_ps(ac, bd));
                sums
            }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self::F {
            // SAFETY: the caller promises eight readable elements.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn load_bf16(from: *const bf16) -> Self::F {
            // SAFETY: the caller promises eight readable elements.
            unsafe {
                let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
            }
        }
        #[inline(always)]
        unsafe fn load_f16(from: *const f16) -> Self::F {
            // SAFETY: the caller promises eight readable elements.
            unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
        }
        #[inline(always)]
        unsafe fn store(a: Self::F, to: *mut f32) {
            // SAFETY: the caller promises eight writable elements.
            unsafe { _mm256_storeu_ps(to, a) }
        }
        #[inline(always)]
        unsafe fn store_past(a: Self::F, to: *mut f32) {
            // SAFETY: the caller promises eight writable elements at a multiple of their size.
            unsafe { _mm256_stream_ps(to, a) }
        }

        type W = __m256i;
        type Table = [__m256; 2];
        const LOOKS_UP: bool = false;

        #[inline(always)]
        unsafe fn load_words(from: *const u32) -> Self::W {
            // SAFETY: the caller promises eight readable words.
            unsafe { _mm256_loadu_si256(from.cast()) }
        }
        #[inline(always)]
        fn flip(words: Self::W, bits: u32) -> Self::W {
            // SAFETY: as above.
            unsafe { _mm256_xor_si256(words, _mm256_set1_epi32(bits as i32)) }
        }
        #[inline(always)]
        fn field(words: Self::W, shift: u32, bits: u32) -> Self::F {
            // SAFETY: as above.
            unsafe {
                let up = _mm256_set1_epi32((32 - bits - shift) as i32);
                let down = _mm256_set1_epi32((32 - bits) as i32);
                let moved = _mm256_srav_epi32(_mm256_sllv_epi32(words, up), down);
                _mm256_cvtepi32_ps(moved)
            }
        }
        #[inline(always)]
        fn in_place(words: Self::W, shift: u32, bits: u32) -> Self::F {
            // SAFETY: as above.
            unsafe {
                let bits = if shift + bits == 32 {
                    _mm256_srlv_epi32(words, _mm256_set1_epi32(shift as i32))
                } else {
                    _mm256_and_si256(words, _mm256_set1_epi32(((1 << bits) - 1) << shift))
                };
                _mm256_cvtepi32_ps(bits)
            }
        }
        #[inline(always)]
        fn table(numbers: &[f32; 16]) -> Self::Table {
            // SAFETY: as above; there are twice eight numbers.
            unsafe { [0, 8].map(|i| _mm256_loadu_ps(numbers.as_ptr().add(i))) }
        }
        #[inline(always)]
        fn look_up(table: Self::Table, words: Self::W, shift: u32) -> Self::F {
            // SAFETY: as above.
            unsafe {
                let places = _mm256_srlv_epi32(words, _mm256_set1_epi32(shift as i32));
                // The fourth bit, as the sign, chooses the half.
                let half = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(places));
                let [low, high] = table.map(|part| _mm256_permutevar8x32_ps(part, places));
                _mm256_blendv_ps(low, high, half)
            }
        }
        type PairTable = [u16; 16];
        #[inline(always)]
        fn pair_table(numbers: &[f32; 16]) -> Self::PairTable {
            super::narrowed(numbers)
        }
        #[inline(always)]
        fn look_up_pairs(table: Self::PairTable, words: Self::W, shift: u32) -> Self::F {
            // SAFETY: as above; vectors have eight elements.
            unsafe {
                let words: [u32; 8] = transmute(words);
                transmute(super::each(|i| super::pair_of(table, words[i], shift)))
            }
        }
        #[inline(always)]
        unsafe fn spread(from: *const f32, steps: u32) -> Self::F {
            // SAFETY: the caller promises eight readable elements.
            unsafe {
                let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
                let places = _mm256_srlv_epi32(lanes, _mm256_set1_epi32(steps as i32));
                _mm256_permutevar8x32_ps(_mm256_loadu_ps(from), places)
            }
        }
    }

    /// As [`Lanes::mul_add_at`]. The compiler would rather broadcast the number to a register.
    ///
    /// # Safety
    /// The number must be readable.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn mul_add_at_512<const AT: usize>(a: *const f32, b: __m512, mut c: __m512) -> __m512 {
        // SAFETY: the instruction reads one number, which the caller promises.
        unsafe {
            asm!(
                "vfmadd231ps {c}, {b}, dword ptr [{a} + 4*{at}]{{1to16}}",
                c = inout(zmm_reg) c,
                b = in(zmm_reg) b,
                a = in(reg) a,
                at = const AT,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        c
    }

    /// Vectors of 512 bits, with the methods of a level that has more of its own.
    macro_rules! lanes_512 {
        ($level:ty { $($own:item)* }) => {
            impl Lanes for $level {
            type F = __m512;
            const N: usize = 16;
            const TILE: (usize, usize) = (14, 2);

            #[inline(always)]
            fn splat(value: f32) -> Self::F {
                // SAFETY: see the trait: only code compiled for this level gets here.
                unsafe { _mm512_set1_ps(value) }
            }
            #[inline(always)]
            fn add(a: Self::F, b: Self::F) -> Self::F {
                // SAFETY: as above.
                unsafe { _mm512_add_ps(a, b) }
            }
            #[inline(always)]
            fn mul(a: Self::F, b: Self::F) -> Self::F {
                // SAFETY: as above.
                unsafe { _mm512_mul_ps(a, b) }
            }
            #[inline(always)]
            fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
                // SAFETY: as above.
                unsafe { _mm512_fmadd_ps(a, b, c) }
            }
            #[inline(always)]
            unsafe fn mul_add_at<const AT: usize>(a: *const f32, b: Self::F, c: Self::F) -> Self::F {
                // SAFETY: as above; the caller promises a readable number.
                unsafe { mul_add_at_512::<AT>(a, b, c) }
            }
            #[inline(always)]
            fn sum(a: Self::F) -> f32 {
                // SAFETY: as above.
                unsafe { _mm512_reduce_add_ps(a) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self::F {
                // SAFETY: the caller promises sixteen readable elements.
                unsafe { _mm512_loadu_ps(from) }
            }
            #[inline(always)]
            unsafe fn load_bf16(from: *const bf16) -> Self::F {
                // SAFETY: the caller promises sixteen readable elements.
                unsafe {
                    let halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(halves))
                }
            }
            #[inline(always)]
            unsafe fn load_f16(from: *const f16) -> Self::F {
                // SAFETY: the caller promises sixteen readable elements.
                unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
            }
            #[inline(always)]
            unsafe fn store(a: Self::F, to: *mut f32) {
                // SAFETY: the caller promises sixteen writable elements.
                unsafe { _mm512_storeu_ps(to, a) }
            }
            #[inline(always)]
            unsafe fn store_past(a: Self::F, to: *mut f32) {
                // SAFETY: the caller promises sixteen writable elements at a multiple of their size.
                unsafe { _mm512_stream_ps(to, a) }
            }

            type W = __m512i;
            type Table = __m512;
            const LOOKS_UP: bool = true;

            #[inline(always)]
            unsafe fn load_words(from: *const u32) -> Self::W {
                // SAFETY: the caller promises sixteen readable words.
                unsafe { _mm512_loadu_si512(from.cast()) }
            }
            #[inline(always)]
            fn flip(words: Self::W, bits: u32) -> Self::W {
                // SAFETY: as above.
                unsafe { _mm512_xor_si512(words, _mm512_set1_epi32(bits as i32)) }
            }
            #[inline(always)]
            fn field(words: Self::W, shift: u32, bits: u32) -> Self::F {
                // SAFETY: as above.
                unsafe {
                    let up = _mm512_set1_epi32((32 - bits - shift) as i32);
                    let down = _mm512_set1_epi32((32 - bits) as i32);
                    let moved = _mm512_srav_epi32(_mm512_sllv_epi32(words, up), down);
                    _mm512_cvtepi32_ps(moved)
                }
            }
            #[inline(always)]
            fn in_place(words: Self::W, shift: u32, bits: u32) -> Self::F {
                // SAFETY: as above.
                unsafe {
                    let bits = if shift + bits == 32 {
                        _mm512_srlv_epi32(words, _mm512_set1_epi32(shift as i32))
                    } else {
                        _mm512_and_si512(words, _mm512_set1_epi32(((1 << bits) - 1) << shift))
                    };
                    _mm512_cvtepi32_ps(bits)
                }
            }
            #[inline(always)]
            fn table(numbers: &[f32; 16]) -> Self::Table {
                // SAFETY: as above; there are sixteen numbers.
                unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
            }
            #[inline(always)]
            fn look_up(table: Self::Table, words: Self::W, shift: u32) -> Self::F {
                // SAFETY: as above; the instruction ignores all but the last four bits.
                unsafe {
                    let places = _mm512_srlv_epi32(words, _mm512_set1_epi32(shift as i32));
                    _mm512_permutexvar_ps(places, table)
                }
            }
            #[inline(always)]
            unsafe fn spread(from: *const f32, steps: u32) -> Self::F {
                // SAFETY: the caller promises sixteen readable elements.
                unsafe {
                    let lanes =
                        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                    let places = _mm512_srlv_epi32(lanes, _mm512_set1_epi32(steps as i32));
                    _mm512_permutexvar_ps(places, _mm512_loadu_ps(from))
                }
            }

                $($own)*
            }
        };
    }

    lanes_512!(V4 {
        type PairTable = [u16; 16];
        #[inline(always)]
        fn pair_table(numbers: &[f32; 16]) -> Self::PairTable {
            super::narrowed(numbers)
        }
        #[inline(always)]
        fn look_up_pairs(table: Self::PairTable, words: Self::W, shift: u32) -> Self::F {
            // SAFETY: see the trait; vectors have sixteen elements.
            unsafe {
                let words: [u32; 16] = transmute(words);
                transmute(words.map(|word| super::pair_of(table, word, shift)))
            }
        }
    });
    lanes_512!(V4Bf16 {
        type PairTable = __m512i;
        #[inline(always)]
        fn pair_table(numbers: &[f32; 16]) -> Self::PairTable {
            // Twice, for the instruction takes five bits.
            let numbers = super::narrowed(numbers);
            // SAFETY: see the trait; thirty-two numbers of sixteen bits.
            unsafe { transmute([numbers, numbers]) }
        }
        #[inline(always)]
        fn look_up_pairs(table: Self::PairTable, words: Self::W, shift: u32) -> Self::F {
            // SAFETY: see the trait; the instruction ignores all but the last five bits.
            unsafe {
                let places = _mm512_srlv_epi32(words, _mm512_set1_epi32(shift as i32));
                _mm512_castsi512_ps(_mm512_permutexvar_epi16(places, table))
            }
        }
        #[inline(always)]
        fn mul_add_pairs(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            // SAFETY: see the trait; all three types are 512 bits of anything.
            unsafe { _mm512_dpbf16_ps(c, transmute::<__m512, __m512bh>(a), transmute::<__m512, __m512bh>(b)) }
        }
        #[inline(always)]
        fn pair(low: Self::F, high: Self::F) -> Self::F {
            // SAFETY: see the trait; `bf16` registers are as many bits as those of whole numbers.
            unsafe {
                let low = transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(low));
                let high = transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(high));
                let high = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(high));
                _mm512_castsi512_ps(_mm512_or_si512(_mm512_cvtepu16_epi32(low), high))
            }
        }
    });
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
