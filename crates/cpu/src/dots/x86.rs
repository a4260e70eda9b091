//! Owns dot products of bytes with AVX2 and with AVX-512 VNNI.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_loadu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_cvtepi32_ps, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi32, _mm256_srlv_epi32, _mm256_storeu_si256, _mm512_and_si512,
    _mm512_broadcast_i32x4, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_slli_epi32, _mm512_srlv_epi32,
    _mm512_storeu_si512,
};

use super::Dots;
use crate::isa::{V3, V4Bf16};

impl Dots for V3 {
    type Sums = __m256i;
    /// Of 16 bits: eight times twice 15 times 128 is less than 2^15.
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
    fn times_256(sums: Self::Sums) -> Self::Sums {
        // SAFETY: as above.
        unsafe { _mm256_slli_epi32::<8>(sums) }
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
    fn bytes_at(table: &[u8; 16], places: Self::W) -> Self::W {
        // SAFETY: as above; there are sixteen bytes.
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            _mm256_shuffle_epi8(table, places)
        }
    }
    #[inline(always)]
    unsafe fn store_words(words: Self::W, to: *mut u32) {
        // SAFETY: as above; the caller promises eight writable words.
        unsafe { _mm256_storeu_si256(to.cast(), words) }
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
    fn times_256(sums: Self::Sums) -> Self::Sums {
        // SAFETY: as above.
        unsafe { _mm512_slli_epi32::<8>(sums) }
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
    fn bytes_at(table: &[u8; 16], places: Self::W) -> Self::W {
        // SAFETY: as above; there are sixteen bytes.
        unsafe {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
            _mm512_shuffle_epi8(table, places)
        }
    }
    #[inline(always)]
    unsafe fn store_words(words: Self::W, to: *mut u32) {
        // SAFETY: as above; the caller promises sixteen writable words.
        unsafe { _mm512_storeu_si512(to.cast(), words) }
    }
    #[inline(always)]
    unsafe fn splat_word(from: *const u32) -> Self::W {
        // SAFETY: as above; the caller promises a readable word.
        unsafe { _mm512_set1_epi32(from.read().cast_signed()) }
    }
}
