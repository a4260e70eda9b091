//! Owns dot products of bytes in registers: four unsigned ones by four signed ones in each lane.

#[cfg(not(target_arch = "aarch64"))]
use crate::isa::Portable;
#[cfg(target_arch = "x86_64")]
use crate::isa::{V3, V4Bf16};
use crate::simd::Lanes;

/// Vectors of whole numbers of 32 bits, and what they sum. As for [`Lanes`], the methods are sound only
/// where the instruction set is present.
pub(crate) trait Dots: Lanes {
    /// Sums.
    type Sums: Copy;
    /// Sums of few products, perhaps in fewer bits.
    type Few: Copy;
    /// The rows of the largest tile of products whose sums fit into the registers.
    const ROWS: usize;

    fn zero() -> Self::Sums;
    /// Sums to which at most [`FEW`] dot products can be added.
    fn begin(sums: Self::Sums) -> Self::Few;
    /// Adds a dot product in each lane, of bytes of at most four bits and bytes above -128.
    fn add_dots(few: Self::Few, codes: Self::W, numbers: Self::W) -> Self::Few;
    fn end(sums: Self::Sums, few: Self::Few) -> Self::Sums;
    fn to_floats(sums: Self::Sums) -> Self::F;
    /// The bits from `shift` on of each word that `mask` has.
    fn bits(words: Self::W, shift: u32, mask: u32) -> Self::W;
    /// One word in all lanes.
    ///
    /// # Safety
    /// The word must be readable.
    unsafe fn splat_word(from: *const u32) -> Self::W;

    /// The dot products of `R` rows, an even number, with the columns of two vectors, over an even
    /// number of words of each column. A word has codes of `bits` bits, as many as some words of a row
    /// have numbers: the first of these meets the first code of each byte, and so on. The words of
    /// columns are interleaved.
    ///
    /// # Safety
    /// The words must be readable.
    #[inline(always)]
    unsafe fn dots<const R: usize>(
        bits: usize,
        words: usize,
        columns: *const u32,
        rows: [*const u32; R],
    ) -> [[Self::Sums; 2]; R] {
        // SAFETY: passed on to the caller.
        unsafe { dots::<Self, R>(bits, words, columns, rows) }
    }
}

/// As [`Dots::dots`], by [`Dots::add_dots`].
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn dots<S: Dots, const R: usize>(
    bits: usize,
    words: usize,
    mut columns: *const u32,
    rows: [*const u32; R],
) -> [[S::Sums; 2]; R] {
    let (steps, mask) = (8 / bits, mask(bits));
    // The words whose dot products end a sum of few.
    let few = FEW / steps;
    let mut sums = [[S::zero(); 2]; R];
    let mut word_at = 0;
    for _ in (0..words).step_by(few) {
        let mut some = [[S::begin(S::zero()); 2]; R];
        for (some, sums) in some.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            *some = S::begin(*sums);
        }
        for _ in 0..few {
            // SAFETY: the caller's promise.
            unsafe {
                let pair = [S::load_words(columns), S::load_words(columns.add(S::N))];
                columns = columns.add(2 * S::N);
                for step in 0..steps {
                    let shift = (step * bits) as u32;
                    let [first, second] = pair.map(|words| S::bits(words, shift, mask));
                    for (some, row) in some.iter_mut().zip(&rows) {
                        let numbers = S::splat_word(row.add(word_at));
                        some[0] = S::add_dots(some[0], first, numbers);
                        some[1] = S::add_dots(some[1], second, numbers);
                    }
                    word_at += 1;
                }
            }
        }
        for (sums, some) in sums.as_flattened_mut().iter_mut().zip(some.as_flattened()) {
            *sums = S::end(*sums, *some);
        }
    }
    sums
}

/// The first code of each byte of a word.
#[inline(always)]
fn mask(bits: usize) -> u32 {
    0x0101_0101 * ((1 << bits) - 1)
}

/// The dot products after which sums of few have to end: `words` is a multiple of as many words.
pub(crate) const FEW: usize = 8;

#[cfg(not(target_arch = "aarch64"))]
impl Dots for Portable {
    type Sums = [i32; 8];
    type Few = [i32; 8];
    const ROWS: usize = 2;

    #[inline(always)]
    fn zero() -> Self::Sums {
        [0; 8]
    }
    #[inline(always)]
    fn begin(sums: Self::Sums) -> Self::Few {
        sums
    }
    #[inline(always)]
    fn add_dots(few: Self::Few, codes: Self::W, numbers: Self::W) -> Self::Few {
        std::array::from_fn(|lane| {
            let (codes, numbers) = (codes[lane].to_le_bytes(), numbers[lane].to_le_bytes());
            let products = codes.into_iter().zip(numbers);
            few[lane]
                + products
                    .map(|(code, number)| i32::from(code) * i32::from(number.cast_signed()))
                    .sum::<i32>()
        })
    }
    #[inline(always)]
    fn end(_: Self::Sums, few: Self::Few) -> Self::Sums {
        few
    }
    #[inline(always)]
    fn to_floats(sums: Self::Sums) -> Self::F {
        sums.map(|sum| sum as f32)
    }
    #[inline(always)]
    fn bits(words: Self::W, shift: u32, mask: u32) -> Self::W {
        words.map(|word| word >> shift & mask)
    }
    #[inline(always)]
    unsafe fn splat_word(from: *const u32) -> Self::W {
        // SAFETY: the caller's promise.
        [unsafe { from.read() }; 8]
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::{
        arch::{
            aarch64::{
                int32x4_t, uint32x4_t, vaddq_s32, vandq_u32, vcvtq_f32_s32, vdupq_n_s32,
                vdupq_n_u32, vget_low_s8, vld1q_u32, vmull_high_s8, vmull_s8, vpaddlq_s16,
                vpaddq_s32, vreinterpretq_s8_u32, vreinterpretq_s32_s64, vreinterpretq_s64_s32,
                vshlq_u32, vzip1q_s64, vzip1q_u32, vzip2q_s64, vzip2q_u32,
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
                    let codes = pairs.map(|pairs| {
                        pairs.map(|pair| vandq_u32(vshlq_u32(pair, down), vdupq_n_u32(mask)))
                    });
                    for row in (0..R).step_by(2) {
                        let at = word * steps + step;
                        let numbers = [0, 1]
                            .map(|next| [at, at + steps].map(|at| rows[row + next].add(at).read()));
                        let numbers = vld1q_u32(numbers.as_flattened().as_ptr());
                        for (quarter, codes) in codes.iter().enumerate() {
                            let sums = &mut sums[row + quarter % 2][quarter / 2];
                            for (sums, codes) in sums.iter_mut().zip(codes) {
                                *sums = add_square(*sums, numbers, *codes);
                            }
                        }
                    }
                }
            }
            for row in (0..R).step_by(2) {
                for vector in 0..2 {
                    let halves = [sums[row][vector], sums[row + 1][vector]];
                    let pairs = halves.map(|half| half.map(|pair| vreinterpretq_s64_s32(pair)));
                    sums[row][vector] = pairs.map(|[a, b]| vreinterpretq_s32_s64(vzip1q_s64(a, b)));
                    sums[row + 1][vector] =
                        pairs.map(|[a, b]| vreinterpretq_s32_s64(vzip2q_s64(a, b)));
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
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256, _mm256_cvtepi32_ps,
        _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_srlv_epi32, _mm512_and_si512, _mm512_cvtepi32_ps,
        _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_srlv_epi32,
    };

    use super::{Dots, V3, V4Bf16};

    impl Dots for V3 {
        type Sums = __m256i;
        /// Of 16 bits: eight times twice 15 times 127 is less than 2^15.
        type Few = __m256i;
        const ROWS: usize = 4;

        #[inline(always)]
        fn zero() -> Self::Sums {
            // SAFETY: see the trait: only code compiled for this level gets here.
            unsafe { _mm256_setzero_si256() }
        }
        #[inline(always)]
        fn begin(_: Self::Sums) -> Self::Few {
            Self::zero()
        }
        #[inline(always)]
        fn add_dots(few: Self::Few, codes: Self::W, numbers: Self::W) -> Self::Few {
            // SAFETY: as above.
            unsafe { _mm256_add_epi16(few, _mm256_maddubs_epi16(codes, numbers)) }
        }
        #[inline(always)]
        fn end(sums: Self::Sums, few: Self::Few) -> Self::Sums {
            // SAFETY: as above.
            unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(few, _mm256_set1_epi16(1))) }
        }
        #[inline(always)]
        fn to_floats(sums: Self::Sums) -> Self::F {
            // SAFETY: as above.
            unsafe { _mm256_cvtepi32_ps(sums) }
        }
        #[inline(always)]
        fn bits(words: Self::W, shift: u32, mask: u32) -> Self::W {
            // SAFETY: as above.
            unsafe {
                let moved = _mm256_srlv_epi32(words, _mm256_set1_epi32(shift.cast_signed()));
                _mm256_and_si256(moved, _mm256_set1_epi32(mask.cast_signed()))
            }
        }
        #[inline(always)]
        unsafe fn splat_word(from: *const u32) -> Self::W {
            // SAFETY: as above; the caller promises a readable word.
            unsafe { _mm256_set1_epi32(from.read().cast_signed()) }
        }
    }

    impl Dots for V4Bf16 {
        type Sums = __m512i;
        type Few = __m512i;
        const ROWS: usize = 8;

        #[inline(always)]
        fn zero() -> Self::Sums {
            // SAFETY: as above.
            unsafe { _mm512_setzero_si512() }
        }
        #[inline(always)]
        fn begin(sums: Self::Sums) -> Self::Few {
            sums
        }
        #[inline(always)]
        fn add_dots(few: Self::Few, codes: Self::W, numbers: Self::W) -> Self::Few {
            // SAFETY: as above.
            unsafe { _mm512_dpbusd_epi32(few, codes, numbers) }
        }
        #[inline(always)]
        fn end(_: Self::Sums, few: Self::Few) -> Self::Sums {
            few
        }
        #[inline(always)]
        fn to_floats(sums: Self::Sums) -> Self::F {
            // SAFETY: as above.
            unsafe { _mm512_cvtepi32_ps(sums) }
        }
        #[inline(always)]
        fn bits(words: Self::W, shift: u32, mask: u32) -> Self::W {
            // SAFETY: as above.
            unsafe {
                let moved = _mm512_srlv_epi32(words, _mm512_set1_epi32(shift.cast_signed()));
                _mm512_and_si512(moved, _mm512_set1_epi32(mask.cast_signed()))
            }
        }
        #[inline(always)]
        unsafe fn splat_word(from: *const u32) -> Self::W {
            // SAFETY: as above; the caller promises a readable word.
            unsafe { _mm512_set1_epi32(from.read().cast_signed()) }
        }
    }
}
