//! Owns vectors of AVX2 and AVX-512.

use std::{
    arch::asm,
    arch::x86_64::{
        __m256, __m256bh, __m256i, __m512, __m512bh, __m512i, _mm_add_ps, _mm_add_ss,
        _mm_cvtsi32_si128, _mm_cvtss_f32, _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps,
        _mm_storeu_ps, _mm_unpacklo_ps, _mm256_add_ps, _mm256_and_si256, _mm256_blend_epi16,
        _mm256_blend_epi32, _mm256_blendv_ps, _mm256_castps256_ps128, _mm256_castsi256_ps,
        _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_extractf128_ps,
        _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_mul_ps,
        _mm256_or_si256, _mm256_permute_ps, _mm256_permute2f128_ps, _mm256_permutevar8x32_epi32,
        _mm256_permutevar8x32_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x,
        _mm256_set1_ps, _mm256_setr_epi32, _mm256_shuffle_epi8, _mm256_shuffle_ps,
        _mm256_sll_epi16, _mm256_slli_epi32, _mm256_sllv_epi32, _mm256_sllv_epi64,
        _mm256_srav_epi32, _mm256_srlv_epi32, _mm256_storeu_ps, _mm256_stream_ps, _mm256_sub_ps,
        _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm256_xor_si256, _mm512_add_ps, _mm512_and_si512,
        _mm512_castsi512_ps, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh,
        _mm512_cvtph_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_mask_blend_epi16,
        _mm512_mask_blend_epi32, _mm512_mul_ps, _mm512_or_si512, _mm512_permutexvar_epi16,
        _mm512_permutexvar_ps, _mm512_reduce_add_ps, _mm512_set1_epi8, _mm512_set1_epi16,
        _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set1_ps, _mm512_setr_epi32,
        _mm512_shuffle_epi8, _mm512_shuffle_f32x4, _mm512_shuffle_ps, _mm512_slli_epi32,
        _mm512_sllv_epi16, _mm512_sllv_epi32, _mm512_sllv_epi64, _mm512_srav_epi32,
        _mm512_srlv_epi32, _mm512_storeu_ps, _mm512_stream_ps, _mm512_sub_ps, _mm512_unpackhi_ps,
        _mm512_unpacklo_ps, _mm512_xor_si512,
    },
    mem::transmute,
};

use super::{Lanes, bf16, f16};
use crate::isa::{V3, V4, V4Bf16};

/// Of 32 codes the words in which those of each half begin.
const fn places_of_words(bits: usize) -> [u32; 8] {
    let mut places = [0; 8];
    let mut i = 0;
    while i < 8 {
        places[i] = (i / 4 * (2 * bits / 4) + i % 4) as u32;
        i += 1;
    }
    places
}

/// Of 16 codes in each half the bytes of the first eight, and those of the others.
const fn places_of_bytes(bits: usize) -> [u8; 32] {
    let mut places = [0; 32];
    let mut i = 0;
    while i < 32 {
        // The second half may begin within a word.
        let skipped = i / 16 * (2 * bits % 4);
        places[i] = (skipped + i % 16 / 8 * bits + i % 8) as u8;
        i += 1;
    }
    places
}

/// Of 64 codes the half words in which those of each lane begin.
const fn places_of_halves(bits: usize) -> [u16; 32] {
    let mut places = [0; 32];
    let mut i = 0;
    while i < 32 {
        places[i] = (i / 8 * bits + i % 8) as u16;
        i += 1;
    }
    places
}

/// Of 16 codes in each lane the bytes of the first eight, and those of the others.
const fn places_in_lanes(bits: usize) -> [u8; 64] {
    let mut places = [0; 64];
    let mut i = 0;
    while i < 64 {
        places[i] = (i % 16 / 8 * bits + i % 8) as u8;
        i += 1;
    }
    places
}

impl Lanes for V3 {
    type F = __m256;
    const N: usize = 8;
    type Short = Self;
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
    fn sub(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: as above.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn sub_mul(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: as above.
        unsafe { _mm256_fnmadd_ps(a, b, c) }
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

    #[inline(always)]
    fn split(a: Self::F, b: Self::F) -> (Self::F, Self::F) {
        // SAFETY: as above.
        unsafe {
            (
                _mm256_shuffle_ps::<0b10_00_10_00>(a, b),
                _mm256_shuffle_ps::<0b11_01_11_01>(a, b),
            )
        }
    }
    #[inline(always)]
    fn join(first: Self::F, second: Self::F) -> (Self::F, Self::F) {
        // SAFETY: as above.
        unsafe {
            (
                _mm256_unpacklo_ps(first, second),
                _mm256_unpackhi_ps(first, second),
            )
        }
    }
    #[inline(always)]
    fn order(place: usize) -> usize {
        // Instructions keep to the quarters of two pairs each that elements are in.
        place / 4 * 2 + place % 2 + place / 2 % 2 * (Self::N / 2)
    }
    #[inline(always)]
    fn reverse(a: Self::F) -> Self::F {
        // SAFETY: as above.
        unsafe { _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0)) }
    }
    #[inline(always)]
    fn transpose_squares([a, b, c, d]: [Self::F; 4]) -> [Self::F; 4] {
        // SAFETY: as above.
        unsafe {
            let [a, b, c, d] = [
                _mm256_unpacklo_ps(a, b),
                _mm256_unpackhi_ps(a, b),
                _mm256_unpacklo_ps(c, d),
                _mm256_unpackhi_ps(c, d),
            ];
            [
                _mm256_shuffle_ps::<0b01_00_01_00>(a, c),
                _mm256_shuffle_ps::<0b11_10_11_10>(a, c),
                _mm256_shuffle_ps::<0b01_00_01_00>(b, d),
                _mm256_shuffle_ps::<0b11_10_11_10>(b, d),
            ]
        }
    }
    #[inline(always)]
    fn exchange_squares<const R: usize>(mut rows: [Self::F; R]) -> [Self::F; R] {
        assert!(R == 2);
        let (a, b) = (rows[0], rows[1]);
        // SAFETY: as above.
        unsafe {
            rows[0] = _mm256_permute2f128_ps::<0x20>(a, b);
            rows[1] = _mm256_permute2f128_ps::<0x31>(a, b);
        }
        rows
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
    fn float8(words: Self::W, shift: u32) -> Self::F {
        // SAFETY: as above.
        unsafe {
            let sign = _mm256_sllv_epi32(words, _mm256_set1_epi32(24 - shift as i32));
            let magnitude = if shift > 20 {
                _mm256_srlv_epi32(words, _mm256_set1_epi32(shift as i32 - 20))
            } else {
                _mm256_sllv_epi32(words, _mm256_set1_epi32(20 - shift as i32))
            };
            _mm256_castsi256_ps(_mm256_or_si256(
                _mm256_and_si256(sign, _mm256_set1_epi32(i32::MIN)),
                _mm256_and_si256(magnitude, _mm256_set1_epi32(0x7f << 20)),
            ))
        }
    }
    #[inline(always)]
    fn bytes_of_codes<const BITS: usize>(words: Self::W) -> Self::W {
        // SAFETY: as above; there are eight places of words and 32 of bytes.
        unsafe {
            let places = const { places_of_words(BITS) };
            let places = _mm256_loadu_si256(places.as_ptr().cast());
            let words = _mm256_permutevar8x32_epi32(words, places);
            let places = const { places_of_bytes(BITS) };
            let places = _mm256_loadu_si256(places.as_ptr().cast());
            let mut codes = _mm256_shuffle_epi8(words, places);
            // Eight codes in the first bits of 64 are parted by halves.
            let shift = 32 - 4 * BITS as i64;
            let moved = _mm256_sllv_epi64(codes, _mm256_set1_epi64x(shift));
            codes = _mm256_blend_epi32::<0b1010_1010>(codes, moved);
            let shift = 16 - 2 * BITS as i32;
            let moved = _mm256_sllv_epi32(codes, _mm256_set1_epi32(shift));
            codes = _mm256_blend_epi16::<0b1010_1010>(codes, moved);
            let moved = _mm256_sll_epi16(codes, _mm_cvtsi32_si128(8 - BITS as i32));
            let mask = (1 << BITS) - 1;
            _mm256_or_si256(
                _mm256_and_si256(codes, _mm256_set1_epi16(mask)),
                _mm256_and_si256(moved, _mm256_set1_epi16(mask << 8)),
            )
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
        type Short = V3;
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
        fn sub(a: Self::F, b: Self::F) -> Self::F {
            // SAFETY: as above.
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        fn sub_mul(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            // SAFETY: as above.
            unsafe { _mm512_fnmadd_ps(a, b, c) }
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

        #[inline(always)]
        fn split(a: Self::F, b: Self::F) -> (Self::F, Self::F) {
            // SAFETY: as above.
            unsafe {
                (
                    _mm512_shuffle_ps::<0b10_00_10_00>(a, b),
                    _mm512_shuffle_ps::<0b11_01_11_01>(a, b),
                )
            }
        }
        #[inline(always)]
        fn join(first: Self::F, second: Self::F) -> (Self::F, Self::F) {
            // SAFETY: as above.
            unsafe {
                (
                    _mm512_unpacklo_ps(first, second),
                    _mm512_unpackhi_ps(first, second),
                )
            }
        }
        #[inline(always)]
        fn order(place: usize) -> usize {
            place / 4 * 2 + place % 2 + place / 2 % 2 * (Self::N / 2)
        }
        #[inline(always)]
        fn reverse(a: Self::F) -> Self::F {
            // SAFETY: as above.
            unsafe {
                let places =
                    _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
                _mm512_permutexvar_ps(places, a)
            }
        }
        #[inline(always)]
        fn transpose_squares([a, b, c, d]: [Self::F; 4]) -> [Self::F; 4] {
            // SAFETY: as above.
            unsafe {
                let [a, b, c, d] = [
                    _mm512_unpacklo_ps(a, b),
                    _mm512_unpackhi_ps(a, b),
                    _mm512_unpacklo_ps(c, d),
                    _mm512_unpackhi_ps(c, d),
                ];
                [
                    _mm512_shuffle_ps::<0b01_00_01_00>(a, c),
                    _mm512_shuffle_ps::<0b11_10_11_10>(a, c),
                    _mm512_shuffle_ps::<0b01_00_01_00>(b, d),
                    _mm512_shuffle_ps::<0b11_10_11_10>(b, d),
                ]
            }
        }
        #[inline(always)]
        fn exchange_squares<const R: usize>(mut rows: [Self::F; R]) -> [Self::F; R] {
            assert!(R == 4);
            let [a, b, c, d] = [rows[0], rows[1], rows[2], rows[3]];
            // SAFETY: as above.
            unsafe {
                let even = [
                    _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b),
                    _mm512_shuffle_f32x4::<0b10_00_10_00>(c, d),
                ];
                let odd = [
                    _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b),
                    _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d),
                ];
                rows[0] = _mm512_shuffle_f32x4::<0b10_00_10_00>(even[0], even[1]);
                rows[1] = _mm512_shuffle_f32x4::<0b10_00_10_00>(odd[0], odd[1]);
                rows[2] = _mm512_shuffle_f32x4::<0b11_01_11_01>(even[0], even[1]);
                rows[3] = _mm512_shuffle_f32x4::<0b11_01_11_01>(odd[0], odd[1]);
            }
            rows
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
        fn float8(words: Self::W, shift: u32) -> Self::F {
            // SAFETY: as above.
            unsafe {
                let sign = _mm512_sllv_epi32(words, _mm512_set1_epi32(24 - shift as i32));
                let magnitude = if shift > 20 {
                    _mm512_srlv_epi32(words, _mm512_set1_epi32(shift as i32 - 20))
                } else {
                    _mm512_sllv_epi32(words, _mm512_set1_epi32(20 - shift as i32))
                };
                _mm512_castsi512_ps(_mm512_or_si512(
                    _mm512_and_si512(sign, _mm512_set1_epi32(i32::MIN)),
                    _mm512_and_si512(magnitude, _mm512_set1_epi32(0x7f << 20)),
                ))
            }
        }
        #[inline(always)]
        fn bytes_of_codes<const BITS: usize>(words: Self::W) -> Self::W {
            // SAFETY: as above; there are 32 places of half words and 64 of bytes.
            unsafe {
                let places = const { places_of_halves(BITS) };
                let places = _mm512_loadu_si512(places.as_ptr().cast());
                let words = _mm512_permutexvar_epi16(places, words);
                let places = const { places_in_lanes(BITS) };
                let places = _mm512_loadu_si512(places.as_ptr().cast());
                let mut codes = _mm512_shuffle_epi8(words, places);
                // Eight codes in the first bits of 64 are parted by halves.
                let shift = 32 - 4 * BITS as i64;
                let moved = _mm512_sllv_epi64(codes, _mm512_set1_epi64(shift));
                codes = _mm512_mask_blend_epi32(0xaaaa, codes, moved);
                let shift = 16 - 2 * BITS as i32;
                let moved = _mm512_sllv_epi32(codes, _mm512_set1_epi32(shift));
                codes = _mm512_mask_blend_epi16(0xaaaa_aaaa, codes, moved);
                let moved = _mm512_sllv_epi16(codes, _mm512_set1_epi16(8 - BITS as i16));
                codes = _mm512_mask_blend_epi8(0xaaaa_aaaa_aaaa_aaaa, codes, moved);
                _mm512_and_si512(codes, _mm512_set1_epi8((1 << BITS) - 1))
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
