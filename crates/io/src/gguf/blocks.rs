//! Owns GGUF's tensor types: what a block of each is, and the numbers it stands for.
//!
//! A block holds 32 or 256 elements, with their common scales. Layouts are those of GGML's `ggml-common.h`.

use olivine_core::{Dtype, f16};

/// The most elements in a block.
pub(super) const LARGEST_BLOCK: usize = 256;

/// Writes the numbers that a block stands for.
type Unpacker = fn(&[u8], &mut [f32]);

/// A type of tensors as files know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored(&'static Row);

#[derive(Debug)]
struct Row {
    code: u32,
    name: &'static str,
    elements: usize,
    bytes: usize,
    meaning: Meaning,
}

#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// Numbers as arrays have them.
    Plain(Dtype),
    /// Numbers with common scales.
    Block(Unpacker),
    /// Indices into tables that are not known here.
    Unknown,
}

const fn row(
    code: u32,
    name: &'static str,
    elements: usize,
    bytes: usize,
    meaning: Meaning,
) -> Row {
    Row {
        code,
        name,
        elements,
        bytes,
        meaning,
    }
}

static ROWS: [Row; 34] = [
    row(0, "F32", 1, 4, Meaning::Plain(Dtype::Float32)),
    row(1, "F16", 1, 2, Meaning::Plain(Dtype::Float16)),
    row(2, "Q4_0", 32, 18, Meaning::Block(q4_0)),
    row(3, "Q4_1", 32, 20, Meaning::Block(q4_1)),
    row(6, "Q5_0", 32, 22, Meaning::Block(q5_0)),
    row(7, "Q5_1", 32, 24, Meaning::Block(q5_1)),
    row(8, "Q8_0", 32, 34, Meaning::Block(q8_0)),
    row(9, "Q8_1", 32, 36, Meaning::Block(q8_1)),
    row(10, "Q2_K", 256, 84, Meaning::Block(q2_k)),
    row(11, "Q3_K", 256, 110, Meaning::Block(q3_k)),
    row(12, "Q4_K", 256, 144, Meaning::Block(q4_k)),
    row(13, "Q5_K", 256, 176, Meaning::Block(q5_k)),
    row(14, "Q6_K", 256, 210, Meaning::Block(q6_k)),
    row(15, "Q8_K", 256, 292, Meaning::Block(q8_k)),
    row(16, "IQ2_XXS", 256, 66, Meaning::Unknown),
    row(17, "IQ2_XS", 256, 74, Meaning::Unknown),
    row(18, "IQ3_XXS", 256, 98, Meaning::Unknown),
    row(19, "IQ1_S", 256, 50, Meaning::Unknown),
    row(20, "IQ4_NL", 32, 18, Meaning::Block(iq4_nl)),
    row(21, "IQ3_S", 256, 110, Meaning::Unknown),
    row(22, "IQ2_S", 256, 82, Meaning::Unknown),
    row(23, "IQ4_XS", 256, 136, Meaning::Block(iq4_xs)),
    row(24, "I8", 1, 1, Meaning::Plain(Dtype::Int8)),
    row(25, "I16", 1, 2, Meaning::Plain(Dtype::Int16)),
    row(26, "I32", 1, 4, Meaning::Plain(Dtype::Int32)),
    row(27, "I64", 1, 8, Meaning::Plain(Dtype::Int64)),
    row(28, "F64", 1, 8, Meaning::Plain(Dtype::Float64)),
    row(29, "IQ1_M", 256, 56, Meaning::Unknown),
    row(30, "BF16", 1, 2, Meaning::Plain(Dtype::BFloat16)),
    row(34, "TQ1_0", 256, 54, Meaning::Block(tq1_0)),
    row(35, "TQ2_0", 256, 66, Meaning::Block(tq2_0)),
    row(39, "MXFP4", 32, 17, Meaning::Block(mxfp4)),
    row(40, "NVFP4", 64, 36, Meaning::Unknown),
    row(41, "Q1_0", 128, 18, Meaning::Unknown),
];

impl Stored {
    /// The type of a number in a file.
    pub(super) fn from_code(code: u32) -> Option<Stored> {
        ROWS.iter().find(|row| row.code == code).map(Stored)
    }

    /// The type of this name.
    pub(super) fn named(name: &str) -> Option<Stored> {
        ROWS.iter().find(|row| row.name == name).map(Stored)
    }

    /// The type that stores a dtype's elements as they are.
    pub(super) fn of(dtype: Dtype) -> Option<Stored> {
        let plain = |row: &&Row| matches!(row.meaning, Meaning::Plain(found) if found == dtype);
        ROWS.iter().find(plain).map(Stored)
    }

    pub(super) fn code(self) -> u32 {
        self.0.code
    }

    pub(super) fn name(self) -> &'static str {
        self.0.name
    }

    /// Elements and bytes of a block.
    pub(super) fn block(self) -> (usize, usize) {
        (self.0.elements, self.0.bytes)
    }

    /// The dtype, if elements are stored as arrays have them.
    pub(super) fn dtype(self) -> Option<Dtype> {
        match self.0.meaning {
            Meaning::Plain(dtype) => Some(dtype),
            Meaning::Block(_) | Meaning::Unknown => None,
        }
    }

    /// What turns blocks into numbers, if that is known.
    pub(super) fn unpacker(self) -> Option<Unpacker> {
        match self.0.meaning {
            Meaning::Block(unpack) => Some(unpack),
            Meaning::Plain(_) | Meaning::Unknown => None,
        }
    }
}

/// The half-precision number at a position of a block.
pub(super) fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Where a nibble of 32 lies: the first sixteen elements are the low halves of sixteen bytes.
pub(super) fn nibble(bytes: &[u8], i: usize) -> u8 {
    if i < 16 {
        bytes[i] & 15
    } else {
        bytes[i - 16] >> 4
    }
}

/// Gives each element of a block a value.
fn each(out: &mut [f32], value: impl Fn(usize) -> f32) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = value(i);
    }
}

fn q4_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    each(out, |i| scale * (nibble(&block[2..], i) as f32 - 8.0));
}

fn q4_1(block: &[u8], out: &mut [f32]) {
    let (scale, low) = (half(block, 0), half(block, 2));
    each(out, |i| scale * nibble(&block[4..], i) as f32 + low);
}

/// Four bits from `low` and a fifth from 32 bits of `high`.
pub(super) fn five_bits(high: &[u8], low: &[u8], i: usize) -> u8 {
    nibble(low, i) | (high[i / 8] >> (i % 8) & 1) << 4
}

fn q5_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    each(out, |i| {
        scale * (five_bits(&block[2..6], &block[6..], i) as f32 - 16.0)
    });
}

fn q5_1(block: &[u8], out: &mut [f32]) {
    let (scale, low) = (half(block, 0), half(block, 2));
    each(out, |i| {
        scale * five_bits(&block[4..8], &block[8..], i) as f32 + low
    });
}

fn q8_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    each(out, |i| scale * (block[2 + i] as i8) as f32);
}

fn q8_1(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    // Two more bytes hold the sum of the elements, which speeds up products.
    each(out, |i| scale * (block[4 + i] as i8) as f32);
}

fn q2_k(block: &[u8], out: &mut [f32]) {
    let scales = &block[..16];
    let (scale, low) = (half(block, 80), half(block, 82));
    each(out, |i| {
        let own = scales[i / 16];
        let code = q2_k_code(block, i);
        (scale * (own & 15) as f32) * code as f32 - low * (own >> 4) as f32
    });
}

/// The code of an element, from 0 to 3.
pub(super) fn q2_k_code(block: &[u8], i: usize) -> u8 {
    block[16 + i / 128 * 32 + i % 32] >> (2 * (i / 32 % 4)) & 3
}

fn q3_k(block: &[u8], out: &mut [f32]) {
    let (scales, scale) = (&block[96..108], half(block, 108));
    each(out, |i| {
        (scale * signed_six_bits(scales, i / 16)) * (q3_k_code(block, i) as f32 - 4.0)
    });
}

/// The code of an element, from 0 to 7.
pub(super) fn q3_k_code(block: &[u8], i: usize) -> u8 {
    let low = block[32 + i / 128 * 32 + i % 32] >> (2 * (i / 32 % 4)) & 3;
    low | (block[i % 32] >> (i / 32) & 1) << 2
}

/// The scale of one of sixteen groups, six bits each, packed into twelve bytes: nibbles first, then pairs of
/// bits.
pub(super) fn signed_six_bits(packed: &[u8], group: usize) -> f32 {
    let low = if group < 8 {
        packed[group] & 15
    } else {
        packed[group - 8] >> 4
    };
    let high = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
    (low | high << 4) as f32 - 32.0
}

/// The scale and the minimum of one of eight groups, six bits each, packed into twelve bytes.
pub(super) fn six_bits(packed: &[u8], group: usize) -> (f32, f32) {
    if group < 4 {
        return ((packed[group] & 63) as f32, (packed[group + 4] & 63) as f32);
    }
    let both = packed[group + 4];
    let scale = both & 15 | packed[group - 4] >> 6 << 4;
    let low = both >> 4 | packed[group] >> 6 << 4;
    (scale as f32, low as f32)
}

fn q4_k(block: &[u8], out: &mut [f32]) {
    let (scale, low, packed) = (half(block, 0), half(block, 2), &block[4..16]);
    each(out, |i| {
        let (own, minimum) = six_bits(packed, i / 32);
        let code = block[16 + i / 64 * 32 + i % 32] >> (4 * (i / 32 % 2)) & 15;
        (scale * own) * code as f32 - low * minimum
    });
}

fn q5_k(block: &[u8], out: &mut [f32]) {
    let (scale, low, packed) = (half(block, 0), half(block, 2), &block[4..16]);
    each(out, |i| {
        let (own, minimum) = six_bits(packed, i / 32);
        let code = block[48 + i / 64 * 32 + i % 32] >> (4 * (i / 32 % 2)) & 15;
        let fifth = block[16 + i % 32] >> (i / 32) & 1;
        (scale * own) * (code | fifth << 4) as f32 - low * minimum
    });
}

fn q6_k(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 208);
    each(out, |i| {
        let own = block[192 + i / 16] as i8;
        (scale * own as f32) * (q6_k_code(block, i) as f32 - 32.0)
    });
}

/// The code of an element, from 0 to 63.
pub(super) fn q6_k_code(block: &[u8], i: usize) -> u8 {
    let (part, i) = (i / 128, i % 128);
    let low = block[part * 64 + i % 64] >> (4 * (i / 64)) & 15;
    let high = block[128 + part * 32 + i % 32] >> (2 * (i / 32)) & 3;
    low | high << 4
}

fn q8_k(block: &[u8], out: &mut [f32]) {
    let scale = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    each(out, |i| scale * (block[4 + i] as i8) as f32);
}

/// What the sixteen codes of the non-linear types stand for.
const NON_LINEAR: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

fn iq4_nl(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    each(out, |i| {
        scale * NON_LINEAR[nibble(&block[2..], i) as usize] as f32
    });
}

fn iq4_xs(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    let high = u16::from_le_bytes([block[2], block[3]]);
    each(out, |i| {
        let group = i / 32;
        let low = block[4 + group / 2] >> (4 * (group % 2)) & 15;
        let own = (low | ((high >> (2 * group) & 3) as u8) << 4) as f32 - 32.0;
        let codes = &block[8 + group * 16..];
        (scale * own) * NON_LINEAR[nibble(codes, i % 32) as usize] as f32
    });
}

/// The digit 0, 1 or 2 at a place of a byte that is a fraction in base 3.
fn ternary(byte: u8, place: usize) -> f32 {
    const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
    ((byte.wrapping_mul(POWERS[place]) as u16 * 3) >> 8) as f32
}

fn tq1_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 52);
    each(out, |i| {
        // Runs of 32, 16 and 4 bytes, each read once for each place.
        let digit = match i {
            0..160 => ternary(block[i % 32], i / 32),
            160..240 => ternary(block[32 + i % 16], (i - 160) / 16),
            _ => ternary(block[48 + i % 4], (i - 240) / 4),
        };
        scale * (digit - 1.0)
    });
}

fn tq2_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 64);
    each(out, |i| {
        let code = block[i / 128 * 32 + i % 32] >> (2 * (i / 32 % 4)) & 3;
        scale * (code as f32 - 1.0)
    });
}

fn mxfp4(block: &[u8], out: &mut [f32]) {
    /// Numbers of four bits: a sign, two bits of exponent, one of fraction.
    const VALUES: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    // A byte of exponent only.
    let scale = (block[0] as f64 - 127.0).exp2() as f32;
    each(out, |i| {
        let code = nibble(&block[1..], i);
        let value = VALUES[(code & 7) as usize] * scale;
        if code < 8 { value } else { -value }
    });
}
