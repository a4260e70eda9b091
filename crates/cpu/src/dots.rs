//! Owns dot products of bytes in registers: four unsigned ones by four signed ones in each lane.

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(not(target_arch = "aarch64"))]
use crate::isa::Portable;
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
    /// Adds a dot product in each lane, of bytes of at most four bits and signed bytes.
    fn add_dots(few: Self::Few, codes: Self::W, numbers: Self::W) -> Self::Few;
    fn end(sums: Self::Sums, few: Self::Few) -> Self::Sums;
    fn times_256(sums: Self::Sums) -> Self::Sums;
    fn to_floats(sums: Self::Sums) -> Self::F;
    /// The bits from `shift` on of each word that `mask` has.
    fn bits(words: Self::W, shift: u32, mask: u32) -> Self::W;
    /// The bytes of a table in the places that bytes less than sixteen say.
    fn bytes_at(table: &[u8; 16], places: Self::W) -> Self::W;
    /// # Safety
    /// `N` words must be writable at `to`.
    unsafe fn store_words(words: Self::W, to: *mut u32);
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
pub(crate) fn mask(bits: usize) -> u32 {
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
    fn times_256(sums: Self::Sums) -> Self::Sums {
        sums.map(|sum| sum << 8)
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
    fn bytes_at(table: &[u8; 16], places: Self::W) -> Self::W {
        places.map(|word| {
            u32::from_le_bytes(
                word.to_le_bytes()
                    .map(|place| table[usize::from(place & 15)]),
            )
        })
    }
    #[inline(always)]
    unsafe fn store_words(words: Self::W, to: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u32; 8]>().write_unaligned(words) };
    }
    #[inline(always)]
    unsafe fn splat_word(from: *const u32) -> Self::W {
        // SAFETY: the caller's promise.
        [unsafe { from.read() }; 8]
    }
}
