//! Owns vectors of two NEON registers.

use std::{
    arch::{
        aarch64::{
            float32x4_t, uint8x16_t, uint8x16x2_t, uint8x16x4_t, uint32x4_t, vadd_f32, vaddq_f32,
            vandq_u8, vandq_u32, vcvt_f32_f16, vcvt_high_f32_f16, vcvtq_f32_s32, vdupq_n_f32,
            vdupq_n_s32, vdupq_n_u8, vdupq_n_u32, veorq_u32, vextq_f32, vfmaq_f32, vfmsq_f32,
            vget_high_f32, vget_low_f16, vget_low_f32, vget_low_u16, vld1q_f32, vld1q_s8, vld1q_u8,
            vld1q_u8_x2, vld1q_u8_x4, vld1q_u16, vld1q_u32, vmlaq_u32, vmulq_f32, vorrq_u8,
            vorrq_u32, vpadds_f32, vqtbl2q_u8, vqtbl4q_u8, vreinterpretq_f16_u16,
            vreinterpretq_f32_f64, vreinterpretq_f32_u8, vreinterpretq_f32_u32,
            vreinterpretq_f64_f32, vreinterpretq_s32_u32, vreinterpretq_u8_u32,
            vreinterpretq_u32_u8, vrev64q_f32, vshll_high_n_u16, vshll_n_u16, vshlq_s32, vshlq_u8,
            vshlq_u32, vst1q_f32, vsubq_f32, vtrn1q_f32, vtrn2q_f32, vuzp1q_f32, vuzp2q_f32,
            vzip1q_f32, vzip1q_f64, vzip2q_f32, vzip2q_f64,
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
    type Short = Self;
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
    fn sub(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: as above.
        from_fn(|i| unsafe { vsubq_f32(a[i], b[i]) })
    }
    #[inline(always)]
    fn sub_mul(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: as above.
        from_fn(|i| unsafe { vfmsq_f32(c[i], a[i], b[i]) })
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

    #[inline(always)]
    fn split(a: Self::F, b: Self::F) -> (Self::F, Self::F) {
        // SAFETY: as above.
        unsafe {
            (
                [vuzp1q_f32(a[0], a[1]), vuzp1q_f32(b[0], b[1])],
                [vuzp2q_f32(a[0], a[1]), vuzp2q_f32(b[0], b[1])],
            )
        }
    }
    #[inline(always)]
    fn join(first: Self::F, second: Self::F) -> (Self::F, Self::F) {
        // SAFETY: as above.
        let join = |i: usize| unsafe {
            [
                vzip1q_f32(first[i], second[i]),
                vzip2q_f32(first[i], second[i]),
            ]
        };
        (join(0), join(1))
    }
    #[inline(always)]
    fn reverse([low, high]: Self::F) -> Self::F {
        // SAFETY: as above.
        [high, low].map(|four| unsafe {
            let pairs = vrev64q_f32(four);
            vextq_f32::<2>(pairs, pairs)
        })
    }
    #[inline(always)]
    fn transpose_squares(rows: [Self::F; 4]) -> [Self::F; 4] {
        // SAFETY: as above.
        unsafe {
            let left = transposed4(rows.map(|row| row[0]));
            let right = transposed4(rows.map(|row| row[1]));
            from_fn(|i| [left[i], right[i]])
        }
    }
    #[inline(always)]
    fn exchange_squares<const R: usize>(mut rows: [Self::F; R]) -> [Self::F; R] {
        assert!(R == 2);
        (rows[0][1], rows[1][0]) = (rows[1][0], rows[0][1]);
        rows
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
    fn float8(words: Self::W, shift: u32) -> Self::F {
        let (sign, magnitude) = (24 - shift.cast_signed(), 20 - shift.cast_signed());
        // SAFETY: as above; shifts by less than nothing go to the right.
        words.map(|four| unsafe {
            let sign = vandq_u32(vshlq_u32(four, vdupq_n_s32(sign)), vdupq_n_u32(1 << 31));
            let magnitude = vshlq_u32(four, vdupq_n_s32(magnitude));
            let magnitude = vandq_u32(magnitude, vdupq_n_u32(0x7f << 20));
            vreinterpretq_f32_u32(vorrq_u32(sign, magnitude))
        })
    }
    #[inline(always)]
    fn bytes_of_codes<const BITS: usize>(words: Self::W) -> Self::W {
        from_fn(|half| {
            // Where the codes begin: the byte, and how many of its bits come before.
            let bits: [usize; 16] = from_fn(|i| (16 * half + i) * BITS);
            let (places, next) = (
                bits.map(|bit| (bit / 8) as u8),
                bits.map(|bit| (bit / 8 + 1) as u8),
            );
            let (before, after) = (
                bits.map(|bit| -((bit % 8) as i8)),
                bits.map(|bit| 8 - (bit % 8) as i8),
            );
            // SAFETY: as above; shifts by less than nothing go to the right.
            unsafe {
                let table = uint8x16x2_t(
                    vreinterpretq_u8_u32(words[0]),
                    vreinterpretq_u8_u32(words[1]),
                );
                let low = vqtbl2q_u8(table, vld1q_u8(places.as_ptr()));
                let high = vqtbl2q_u8(table, vld1q_u8(next.as_ptr()));
                let low = vshlq_u8(low, vld1q_s8(before.as_ptr()));
                let high = vshlq_u8(high, vld1q_s8(after.as_ptr()));
                let codes = vandq_u8(vorrq_u8(low, high), vdupq_n_u8((1 << BITS) - 1));
                vreinterpretq_u32_u8(codes)
            }
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

/// Exchanges rows and columns.
#[inline(always)]
unsafe fn transposed4([a, b, c, d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
    // SAFETY: as above.
    unsafe {
        let [a, b, c, d] = [a, b, c, d].map(|row| vreinterpretq_f64_f32(row));
        let [a, b, c, d] = [
            vreinterpretq_f32_f64(vzip1q_f64(a, c)),
            vreinterpretq_f32_f64(vzip1q_f64(b, d)),
            vreinterpretq_f32_f64(vzip2q_f64(a, c)),
            vreinterpretq_f32_f64(vzip2q_f64(b, d)),
        ];
        [
            vtrn1q_f32(a, b),
            vtrn2q_f32(a, b),
            vtrn1q_f32(c, d),
            vtrn2q_f32(c, d),
        ]
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
