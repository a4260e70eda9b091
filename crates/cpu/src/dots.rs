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
}

/// The dot products after which sums of few have to end.
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
                vdupq_n_u32, vget_low_s8, vmull_high_s8, vmull_s8, vpaddlq_s16, vpaddq_s32,
                vreinterpretq_s8_u32, vshlq_u32,
            },
            asm,
        },
        array::from_fn,
    };

    use super::Dots;
    use crate::isa::Plain;

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
