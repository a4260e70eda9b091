//! Owns vectors that the compiler makes of arrays.

use super::{Lanes, Narrow, bf16, each, f16, narrowed, pair_of};
use crate::isa::{Isa, Portable};

impl Lanes for Portable {
    type F = [f32; 8];
    const N: usize = 8;
    type Short = Self;
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
    fn sub(a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] - b[i])
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

    #[inline(always)]
    fn split(a: Self::F, b: Self::F) -> (Self::F, Self::F) {
        let pairs = |i| {
            if i < 4 {
                [a[2 * i], a[2 * i + 1]]
            } else {
                [b[2 * i - 8], b[2 * i - 7]]
            }
        };
        (each(|i| pairs(i)[0]), each(|i| pairs(i)[1]))
    }
    #[inline(always)]
    fn join(first: Self::F, second: Self::F) -> (Self::F, Self::F) {
        let element = |i: usize| {
            if i.is_multiple_of(2) {
                first[i / 2]
            } else {
                second[i / 2]
            }
        };
        (each(element), each(|i| element(i + 8)))
    }
    #[inline(always)]
    fn reverse(a: Self::F) -> Self::F {
        each(|i| a[7 - i])
    }
    #[inline(always)]
    fn transpose_squares(rows: [Self::F; 4]) -> [Self::F; 4] {
        [0, 1, 2, 3].map(|i| each(|j| rows[j % 4][j / 4 * 4 + i]))
    }
    #[inline(always)]
    fn exchange_squares<const R: usize>(mut rows: [Self::F; R]) -> [Self::F; R] {
        assert!(R == 2);
        let (a, b) = (rows[0], rows[1]);
        rows[0] = each(|i| if i < 4 { a[i] } else { b[i - 4] });
        rows[1] = each(|i| if i < 4 { a[i + 4] } else { b[i] });
        rows
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
    fn float8(words: Self::W, shift: u32) -> Self::F {
        each(|i| {
            let code = words[i] >> shift;
            f32::from_bits((code & 0x80) << 24 | (code & 0x7f) << 20)
        })
    }
    #[inline(always)]
    fn bytes_of_codes<const BITS: usize>(words: Self::W) -> Self::W {
        let words = words.map(u32::to_le_bytes);
        let bytes = words.as_flattened();
        let code = |i: usize| {
            let (at, shift) = (i * BITS / 8, i * BITS % 8);
            u16::from_le_bytes([bytes[at], bytes[at + 1]]) >> shift & ((1 << BITS) - 1)
        };
        [0, 1, 2, 3, 4, 5, 6, 7]
            .map(|i| u32::from_le_bytes([0, 1, 2, 3].map(|j| code(4 * i + j) as u8)))
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
