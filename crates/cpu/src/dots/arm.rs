//! Owns dot products of bytes in NEON registers.

use std::{
    arch::{
        aarch64::{
            int32x4_t, uint32x4_t, vaddq_s32, vandq_u32, vcvtq_f32_s32, vdupq_n_s32, vdupq_n_u32,
            vget_low_s8, vld1q_u8, vld1q_u32, vmull_high_s8, vmull_s8, vpaddlq_s16, vpaddq_s32,
            vqtbl1q_u8, vreinterpretq_s8_u32, vreinterpretq_s32_s64, vreinterpretq_s64_s32,
            vreinterpretq_u8_u32, vreinterpretq_u32_u8, vshlq_n_s32, vshlq_u32, vst1q_u32,
            vzip1q_s64, vzip1q_u32, vzip2q_s64, vzip2q_u32,
        },
        asm,
    },
    array::from_fn,
};

use super::Dots;
use crate::isa::{MORE_BF16, Plain};

impl<const MORE: u8> Dots for Plain<MORE> {
    type Sums = [int32x4_t; 2];
    type Few = [int32x4_t; 2];
    const ROWS: usize = 4;

    #[inline(always)]
    fn zero() -> Self::Sums {
        // SAFETY: NEON is part of the architecture; so for all that has no comment of its own.
        unsafe { [vdupq_n_s32(0); 2] }
    }
    #[inline(always)]
    fn begin(sums: Self::Sums) -> Self::Few {
        sums
    }
    #[inline(always)]
    fn add_dots(few: Self::Few, codes: Self::W, numbers: Self::W) -> Self::Few {
        from_fn(|i| {
            // SAFETY: as above, and see the trait: only code compiled for a level with more gets to
            // its instruction.
            unsafe {
                if MORE == 0 {
                    add_dots(few[i], codes[i], numbers[i])
                } else {
                    add_dots_at_once(few[i], codes[i], numbers[i])
                }
            }
        })
    }
    #[inline(always)]
    fn end(_: Self::Sums, few: Self::Few) -> Self::Sums {
        few
    }
    #[inline(always)]
    fn times_256(sums: Self::Sums) -> Self::Sums {
        // SAFETY: as above.
        sums.map(|four| unsafe { vshlq_n_s32::<8>(four) })
    }
    #[inline(always)]
    fn to_floats(sums: Self::Sums) -> Self::F {
        // SAFETY: as above.
        sums.map(|four| unsafe { vcvtq_f32_s32(four) })
    }
    #[inline(always)]
    fn bits(words: Self::W, shift: u32, mask: u32) -> Self::W {
        // SAFETY: as above; shifts by less than nothing go to the right.
        words.map(|four| unsafe {
            let moved = vshlq_u32(four, vdupq_n_s32(-shift.cast_signed()));
            vandq_u32(moved, vdupq_n_u32(mask))
        })
    }
    #[inline(always)]
    fn bytes_at(table: &[u8; 16], places: Self::W) -> Self::W {
        // SAFETY: as above; there are sixteen bytes.
        unsafe {
            let table = vld1q_u8(table.as_ptr());
            places.map(|four| vreinterpretq_u32_u8(vqtbl1q_u8(table, vreinterpretq_u8_u32(four))))
        }
    }
    #[inline(always)]
    unsafe fn store_words(words: Self::W, to: *mut u32) {
        for (i, four) in words.into_iter().enumerate() {
            // SAFETY: the caller promises eight writable words.
            unsafe { vst1q_u32(to.add(4 * i), four) };
        }
    }
    #[inline(always)]
    unsafe fn splat_word(from: *const u32) -> Self::W {
        // SAFETY: the caller promises a readable word.
        unsafe { [vdupq_n_u32(from.read()); 2] }
    }
    #[inline(always)]
    unsafe fn dots<const R: usize>(
        bits: usize,
        words: usize,
        columns: *const u32,
        rows: [*const u32; R],
    ) -> [[Self::Sums; 2]; R] {
        // SAFETY: passed on to the caller; see the trait: only code compiled for this level takes
        // products of squares.
        unsafe {
            if MORE == MORE_BF16 {
                dots_by_squares(bits, words, columns, rows)
            } else {
                super::dots::<Self, R>(bits, words, columns, rows)
            }
        }
    }
}

/// As [`Dots::dots`], by products of two rows of eight bytes with two columns of as many, which are
/// two words. While they are summed, two rows share their registers: the first has the sums of
/// both for the first half of each vector, the second those for the other half.
#[inline(always)]
unsafe fn dots_by_squares<const R: usize>(
    bits: usize,
    words: usize,
    columns: *const u32,
    rows: [*const u32; R],
) -> [[[int32x4_t; 2]; 2]; R] {
    let (steps, mask, wide) = (8 / bits, super::mask(bits), 16);
    // SAFETY: the caller promises the words, and the instructions.
    unsafe {
        let mut sums = [[[vdupq_n_s32(0); 2]; 2]; R];
        for word in (0..words).step_by(2) {
            // For each quarter of the columns two pairs of them, with both words of each column.
            let pairs: [[uint32x4_t; 2]; 4] = from_fn(|quarter| {
                let first = columns.add(word * wide + 4 * quarter);
                let (first, second) = (vld1q_u32(first), vld1q_u32(first.add(wide)));
                [vzip1q_u32(first, second), vzip2q_u32(first, second)]
            });
            for step in 0..steps {
                let down = vdupq_n_s32(-((step * bits) as i32));
                let at = word * steps + step;
                // Of a row and the next one; those of odd rows are not used.
                let numbers: [uint32x4_t; R] = from_fn(|row| {
                    let two = [rows[row], rows[(row + 1) % R]];
                    let two = two.map(|row| [at, at + steps].map(|at| row.add(at).read()));
                    vld1q_u32(two.as_flattened().as_ptr())
                });
                for (quarter, pairs) in pairs.iter().enumerate() {
                    for (i, &pair) in pairs.iter().enumerate() {
                        let codes = vandq_u32(vshlq_u32(pair, down), vdupq_n_u32(mask));
                        for row in (0..R).step_by(2) {
                            let sums = &mut sums[row + quarter % 2][quarter / 2][i];
                            *sums = add_square(*sums, numbers[row], codes);
                        }
                    }
                }
            }
        }
        for two in sums.chunks_exact_mut(2) {
            for vector in [0, 1] {
                let halves = [two[0][vector], two[1][vector]];
                let pairs = halves.map(|half| half.map(|pair| vreinterpretq_s64_s32(pair)));
                two[0][vector] = pairs.map(|[a, b]| vreinterpretq_s32_s64(vzip1q_s64(a, b)));
                two[1][vector] = pairs.map(|[a, b]| vreinterpretq_s32_s64(vzip2q_s64(a, b)));
            }
        }
        sums
    }
}

/// Adds the products of two rows with two columns, of eight bytes each: those of the first row come
/// first. The standard library has no stable function for it.
#[inline]
#[target_feature(enable = "i8mm")]
fn add_square(mut sums: int32x4_t, rows: uint32x4_t, columns: uint32x4_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes these registers only.
    unsafe {
        asm!(
            "smmla {sums:v}.4s, {rows:v}.16b, {columns:v}.16b",
            sums = inout(vreg) sums,
            rows = in(vreg) rows,
            columns = in(vreg) columns,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Products of bytes, and their sums by fours.
#[inline(always)]
unsafe fn add_dots(sums: int32x4_t, codes: uint32x4_t, numbers: uint32x4_t) -> int32x4_t {
    // SAFETY: as above.
    unsafe {
        let (codes, numbers) = (vreinterpretq_s8_u32(codes), vreinterpretq_s8_u32(numbers));
        let low = vpaddlq_s16(vmull_s8(vget_low_s8(codes), vget_low_s8(numbers)));
        let high = vpaddlq_s16(vmull_high_s8(codes, numbers));
        vaddq_s32(sums, vpaddq_s32(low, high))
    }
}

/// As [`add_dots`], by one instruction for which the standard library has no stable function.
#[inline]
#[target_feature(enable = "dotprod")]
fn add_dots_at_once(mut sums: int32x4_t, codes: uint32x4_t, numbers: uint32x4_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes these registers only.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {codes:v}.16b, {numbers:v}.16b",
            sums = inout(vreg) sums,
            codes = in(vreg) codes,
            numbers = in(vreg) numbers,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
