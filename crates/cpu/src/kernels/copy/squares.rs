//! Owns squares of elements that are transposed in registers: as many columns as 16 bytes hold
//! elements become as many rows of 16 bytes.

#[cfg(target_arch = "x86_64")]
use crate::isa::V3;
use crate::isa::{Isa, Portable};

/// A register that holds 16 bytes of each of several squares. The methods are sound only where the
/// instruction set is present: inside the bodies that `per_isa!` compiles.
pub(super) trait Squares: Isa {
    /// The register.
    type Bytes: Copy;
    /// The number of squares.
    const COUNT: usize;

    /// # Safety
    /// As many bytes must be readable at `from` as a register has.
    unsafe fn load(from: *const u8) -> Self::Bytes;
    /// # Safety
    /// The bytes of one square must be writable at `to`.
    unsafe fn store(bytes: Self::Bytes, square: usize, to: *mut u8);
    /// Takes the elements of the first halves of each square's bytes by turns.
    fn low<const SIZE: usize>(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Takes the elements of the second halves of each square's bytes by turns.
    fn high<const SIZE: usize>(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
}

/// Writes `N` columns, `jump` bytes apart, as rows that are `pitch` bytes apart, with 16 bytes in
/// each. The columns have `SIZE * N * S::COUNT` bytes, `SIZE * N` being 16.
///
/// # Safety
/// The columns must be readable and the rows writable.
#[inline(always)]
pub(super) unsafe fn transpose<S: Squares, const SIZE: usize, const N: usize>(
    (from, jump): (*const u8, isize),
    (to, pitch): (*mut u8, usize),
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut lines: [S::Bytes; N] =
            std::array::from_fn(|i| S::load(from.wrapping_offset(i as isize * jump)));
        // Taking turns moves the first bit of an element's column behind the last bit of its
        // row: once for each bit, and rows and columns have changed places.
        for _ in 0..N.ilog2() {
            lines = std::array::from_fn(|i| {
                let (a, b) = (lines[i / 2], lines[i / 2 + N / 2]);
                if i % 2 == 0 {
                    S::low::<SIZE>(a, b)
                } else {
                    S::high::<SIZE>(a, b)
                }
            });
        }
        for square in 0..S::COUNT {
            for (i, &line) in lines.iter().enumerate() {
                S::store(line, square, to.add((square * N + i) * pitch));
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Squares for Portable {
    type Bytes = [u8; 16];
    const COUNT: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self::Bytes {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[u8; 16]>().read() }
    }
    #[inline(always)]
    unsafe fn store(bytes: Self::Bytes, _: usize, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u8; 16]>().write(bytes) }
    }
    #[inline(always)]
    fn low<const SIZE: usize>(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        std::array::from_fn(|i| {
            let from = if (i / SIZE).is_multiple_of(2) { &a } else { &b };
            from[i / SIZE / 2 * SIZE + i % SIZE]
        })
    }
    #[inline(always)]
    fn high<const SIZE: usize>(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        std::array::from_fn(|i| {
            let from = if (i / SIZE).is_multiple_of(2) { &a } else { &b };
            from[8 + i / SIZE / 2 * SIZE + i % SIZE]
        })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpackhi_epi16,
        _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi8, _mm_unpacklo_epi16,
        _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm256_castsi256_si128, _mm256_extracti128_si256,
        _mm256_loadu_si256, _mm256_unpackhi_epi8, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32,
        _mm256_unpackhi_epi64, _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32,
        _mm256_unpacklo_epi64,
    };

    use super::{Portable, Squares, V3};

    impl Squares for Portable {
        type Bytes = __m128i;
        const COUNT: usize = 1;

        #[inline(always)]
        unsafe fn load(from: *const u8) -> Self::Bytes {
            // SAFETY: the caller's promise.
            unsafe { _mm_loadu_si128(from.cast()) }
        }
        #[inline(always)]
        unsafe fn store(bytes: Self::Bytes, _: usize, to: *mut u8) {
            // SAFETY: the caller's promise.
            unsafe { _mm_storeu_si128(to.cast(), bytes) }
        }
        #[inline(always)]
        fn low<const SIZE: usize>(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            // SAFETY: SSE2 is part of the architecture.
            unsafe {
                match SIZE {
                    1 => _mm_unpacklo_epi8(a, b),
                    2 => _mm_unpacklo_epi16(a, b),
                    4 => _mm_unpacklo_epi32(a, b),
                    _ => _mm_unpacklo_epi64(a, b),
                }
            }
        }
        #[inline(always)]
        fn high<const SIZE: usize>(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            // SAFETY: SSE2 is part of the architecture.
            unsafe {
                match SIZE {
                    1 => _mm_unpackhi_epi8(a, b),
                    2 => _mm_unpackhi_epi16(a, b),
                    4 => _mm_unpackhi_epi32(a, b),
                    _ => _mm_unpackhi_epi64(a, b),
                }
            }
        }
    }

    impl Squares for V3 {
        type Bytes = __m256i;
        const COUNT: usize = 2;

        #[inline(always)]
        unsafe fn load(from: *const u8) -> Self::Bytes {
            // SAFETY: the caller's promise.
            unsafe { _mm256_loadu_si256(from.cast()) }
        }
        #[inline(always)]
        unsafe fn store(bytes: Self::Bytes, square: usize, to: *mut u8) {
            // SAFETY: the caller's promise.
            unsafe {
                let bytes = match square {
                    0 => _mm256_castsi256_si128(bytes),
                    _ => _mm256_extracti128_si256::<1>(bytes),
                };
                _mm_storeu_si128(to.cast(), bytes);
            }
        }
        #[inline(always)]
        fn low<const SIZE: usize>(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            // SAFETY: see the trait: only code compiled for this level gets here.
            unsafe {
                match SIZE {
                    1 => _mm256_unpacklo_epi8(a, b),
                    2 => _mm256_unpacklo_epi16(a, b),
                    4 => _mm256_unpacklo_epi32(a, b),
                    _ => _mm256_unpacklo_epi64(a, b),
                }
            }
        }
        #[inline(always)]
        fn high<const SIZE: usize>(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            // SAFETY: as above.
            unsafe {
                match SIZE {
                    1 => _mm256_unpackhi_epi8(a, b),
                    2 => _mm256_unpackhi_epi16(a, b),
                    4 => _mm256_unpackhi_epi32(a, b),
                    _ => _mm256_unpackhi_epi64(a, b),
                }
            }
        }
    }
}
