//! Owns codes: how their bits lie, and the numbers that they stand for.
//!
//! The codes of a row are one stream of bits, least significant first, so eight codes of `b` bits
//! always fill `b` bytes.

use olivine_core::quantized::{QuantizationMode, join_codes};

use crate::isa::{Isa, per_isa};

/// A sort of code.
pub(super) trait Codes: Copy + 'static {
    /// The bits of a code.
    const BITS: usize;
    /// Whether groups have a bias.
    const BIASED: bool = false;
    /// The number that a code stands for.
    fn value(code: u32) -> f32;
    /// Whether whole words are whole codes.
    const IN_WORDS: bool = false;
    /// The bits of a code in a lane of a register, which holds words as they are packed if these are whole
    /// codes, or else a byte for each code.
    const IN_LANE: usize = if Self::IN_WORDS { Self::BITS } else { 8 };
    /// The codes in a lane.
    const OF_LANE: usize = 32 / Self::IN_LANE;
    /// The bytes of the codes in an even number of lanes.
    fn bytes_of(lanes: usize) -> usize {
        lanes * Self::OF_LANE * Self::BITS / 8
    }
    /// Whether codes are floats of eight bits, and some of them NaN.
    const FLOAT8: bool = false;
    /// Of codes that stand for halves of whole numbers, how many halves each is more than
    /// [`LEAST`](Codes::LEAST), which is the least.
    const HALVES: Option<[u8; 16]> = None;
    const LEAST: f32 = 0.0;
    /// The number in the middle of those that codes with a bias stand for.
    const CENTRE: f32 = 0.0;
}

/// Whole numbers from zero.
#[derive(Clone, Copy)]
pub(super) struct Whole<const BITS: usize>;

impl<const B: usize> Codes for Whole<B> {
    const BITS: usize = B;
    const BIASED: bool = true;
    const IN_WORDS: bool = matches!(B, 1 | 2 | 4 | 8);
    const CENTRE: f32 = (1 << (B - 1)) as f32;
    #[inline(always)]
    fn value(code: u32) -> f32 {
        // Through a signed integer, for which every instruction set has a conversion.
        code as i32 as f32
    }
}

/// Floats with two bits of exponent and one of mantissa.
#[derive(Clone, Copy)]
pub(super) struct E2m1;

impl Codes for E2m1 {
    const BITS: usize = 4;
    const IN_WORDS: bool = true;
    const HALVES: Option<[u8; 16]> =
        Some([12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0]);
    const LEAST: f32 = -6.0;
    #[inline(always)]
    fn value(code: u32) -> f32 {
        // The bits moved to their place in an f32; the factor makes up for the other bias of the
        // exponent, for subnormals too.
        let magnitude = f32::from_bits((code & 7) << 22) * f32::from_bits((127 + 126) << 23);
        f32::from_bits(magnitude.to_bits() | (code & 8) << 28)
    }
}

/// Floats with four bits of exponent and three of mantissa, without infinities.
#[derive(Clone, Copy)]
pub(super) struct E4m3;

impl Codes for E4m3 {
    const BITS: usize = 8;
    const IN_WORDS: bool = true;
    const FLOAT8: bool = true;
    #[inline(always)]
    fn value(code: u32) -> f32 {
        // Subnormal codes are whole numbers of 2^-9. As subnormal numbers of 32 bits, with which the bits
        // of others begin, they would take a hundred times as long to multiply.
        let magnitude = code & 0x7f;
        let bits = if magnitude < 8 {
            (magnitude as i32 as f32 * f32::from_bits((127 - 9) << 23)).to_bits()
        } else {
            (magnitude << 20) + (120 << 23)
        };
        let nan = if magnitude == 0x7f { 0x7fc0_0000 } else { 0 };
        f32::from_bits(bits | nan | (code & 0x80) << 24)
    }
}

/// Calls `$body` with `$C` bound to the codes of a format; with a format that there is not, the
/// other expression.
macro_rules! with_codes {
    ($scheme:expr, $C:ident => $body:expr, else $otherwise:expr) => {{
        use olivine_core::quantized::QuantizationMode::{Affine, Mxfp4, Mxfp8, Nvfp4};
        use $crate::kernels::quantized::codes::{E2m1, E4m3, Whole};
        match ($scheme.mode(), $scheme.bits()) {
            (Affine, 1) => {
                type $C = Whole<1>;
                $body
            }
            (Affine, 2) => {
                type $C = Whole<2>;
                $body
            }
            (Affine, 3) => {
                type $C = Whole<3>;
                $body
            }
            (Affine, 4) => {
                type $C = Whole<4>;
                $body
            }
            (Affine, 5) => {
                type $C = Whole<5>;
                $body
            }
            (Affine, 6) => {
                type $C = Whole<6>;
                $body
            }
            (Affine, 8) => {
                type $C = Whole<8>;
                $body
            }
            (Mxfp4 | Nvfp4, 4) => {
                type $C = E2m1;
                $body
            }
            (Mxfp8, 8) => {
                type $C = E4m3;
                $body
            }
            (Affine | Mxfp4 | Mxfp8 | Nvfp4, _) => $otherwise,
        }
    }};
}
pub(super) use with_codes;

/// The scale that a byte stands for.
pub(in crate::kernels) fn scale_of(byte: u8, mode: QuantizationMode) -> f32 {
    match mode {
        QuantizationMode::Nvfp4 => E4m3::value(u32::from(byte)),
        QuantizationMode::Affine | QuantizationMode::Mxfp4 | QuantizationMode::Mxfp8 => power(byte),
    }
}

/// The power of two that a byte stands for.
pub(super) fn power(byte: u8) -> f32 {
    // The smallest is subnormal.
    f32::from_bits(if byte == 0 {
        0x40_0000
    } else {
        u32::from(byte) << 23
    })
}

/// Eight codes in `C::BITS` bytes.
#[inline(always)]
fn eight<C: Codes>(bytes: &[u8]) -> [u32; 8] {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let mask = (1u32 << C::BITS) - 1;
    match C::BITS {
        1 => std::array::from_fn(|i| u32::from(bytes[0]) >> i & mask),
        2 => {
            let word = u32::from(bytes[0]) | u32::from(bytes[1]) << 8;
            std::array::from_fn(|i| word >> (2 * i) & mask)
        }
        3 => {
            let word = u32::from(bytes[0]) | u32::from(bytes[1]) << 8 | u32::from(bytes[2]) << 16;
            std::array::from_fn(|i| word >> (3 * i) & mask)
        }
        4 => {
            let word = word(0);
            std::array::from_fn(|i| word >> (4 * i) & mask)
        }
        5 | 6 => {
            // Four codes from the first four bytes, four from the last four.
            let (low, high) = (word(0), word(C::BITS - 4));
            let skip = 4 * C::BITS - 8 * (C::BITS - 4);
            std::array::from_fn(|i| {
                let (word, shift) = if i < 4 {
                    (low, C::BITS * i)
                } else {
                    (high, skip + C::BITS * (i - 4))
                };
                word >> shift & mask
            })
        }
        _ => std::array::from_fn(|i| u32::from(bytes[i])),
    }
}

per_isa! {
    /// Reads whole groups of `group` codes, as many as there are scales.
    pub(super) fn unpack<C: Codes>(
        codes: &[u8], group: usize, scales: &[f32], biases: &[f32], to: &mut [f32],
    ) = unpack_body;
}

#[inline(always)]
fn unpack_body<S: Isa, C: Codes>(
    codes: &[u8],
    group: usize,
    scales: &[f32],
    biases: &[f32],
    to: &mut [f32],
) {
    let groups = codes
        .chunks_exact(group / 8 * C::BITS)
        .zip(to.chunks_exact_mut(group));
    for (i, (codes, to)) in groups.enumerate() {
        let scale = scales[i];
        let bias = if C::BIASED { biases[i] } else { 0.0 };
        for (codes, to) in codes.chunks_exact(C::BITS).zip(to.chunks_exact_mut(8)) {
            let values = eight::<C>(codes);
            for (to, code) in to.iter_mut().zip(values) {
                // Rounded twice on purpose: the same result on every machine.
                let scaled = C::value(code) * scale;
                *to = if C::BIASED { scaled + bias } else { scaled };
            }
        }
    }
}

per_isa! {
    /// True if a code of floats of eight bits is NaN.
    pub(super) fn any_nan(codes: &[u8]) -> bool = any_nan_body;
}

#[inline(always)]
fn any_nan_body<S: Isa>(codes: &[u8]) -> bool {
    let mut any = 0;
    for code in codes {
        any |= u8::from(code & 0x7f == 0x7f);
    }
    any != 0
}

per_isa! {
    /// The scales that bytes stand for.
    pub(super) fn scales_of(bytes: &[u8], mode: QuantizationMode, to: &mut [f32]) = scales_of_body;
}

#[inline(always)]
fn scales_of_body<S: Isa>(bytes: &[u8], mode: QuantizationMode, to: &mut [f32]) {
    if mode == QuantizationMode::Nvfp4 {
        for (to, &byte) in to.iter_mut().zip(bytes) {
            *to = E4m3::value(u32::from(byte));
        }
    } else {
        for (to, &byte) in to.iter_mut().zip(bytes) {
            *to = power(byte);
        }
    }
}

/// Reads codes one by one, into whatever they are wanted as.
pub(super) fn unpack_each<C: Codes>(codes: &[u8], mut place: impl FnMut(usize, f32)) {
    for (i, codes) in codes.chunks_exact(C::BITS).enumerate() {
        for (j, code) in eight::<C>(codes).into_iter().enumerate() {
            place(8 * i + j, C::value(code));
        }
    }
}

/// Joins codes, a byte each, to a stream of bits: eight for each `C::BITS` bytes.
#[inline(always)]
pub(super) fn join<C: Codes>(codes: &[u8], to: &mut [u8]) {
    let eights = codes.as_chunks::<8>().0;
    for (codes, to) in eights.iter().zip(to.chunks_exact_mut(C::BITS)) {
        to.copy_from_slice(&join_codes(*codes, C::BITS).to_le_bytes()[..C::BITS]);
    }
}

/// The nearest E4M3 float; ties go to even, what is too large becomes the largest.
#[inline(always)]
pub(super) fn to_e4m3(value: f32) -> u8 {
    let bits = value.to_bits();
    let (sign, magnitude) = (bits >> 24 & 0x80, bits & 0x7fff_ffff);
    // Subnormal: a multiple of 2^-9, to which adding 2^14 rounds. Rounded up to eight it is the smallest
    // normal number.
    let subnormal = (f32::from_bits(magnitude) + 16384.0).to_bits() & 0xf;
    let rounded = (magnitude + 0x7_ffff + (magnitude >> 20 & 1)) >> 20;
    let normal = rounded.wrapping_sub(120 << 3).min(0x7e);
    let finite = if magnitude < 0x3c80_0000 {
        subnormal
    } else {
        normal
    };
    let nan = magnitude > 0x7f80_0000;
    (sign | if nan { 0x7f } else { finite }) as u8
}

/// The nearest E2M1 float; of two equally near the one nearer to zero, which has no sign here.
#[inline(always)]
pub(super) fn to_e2m1_down(value: f32) -> u32 {
    let magnitude = value.abs();
    let mut code = 0;
    for tie in [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0] {
        code += u32::from(magnitude > tie);
    }
    if code == 0 {
        0
    } else {
        code | value.to_bits() >> 28 & 8
    }
}

/// The nearest E2M1 float; ties go to even.
#[inline(always)]
pub(super) fn to_e2m1_even(value: f32) -> u32 {
    let magnitude = value.abs();
    let code = [
        magnitude > 0.25,
        magnitude >= 0.75,
        magnitude > 1.25,
        magnitude >= 1.75,
        magnitude > 2.5,
        magnitude >= 3.5,
        magnitude > 5.0,
    ];
    code.into_iter().map(u32::from).sum::<u32>() | value.to_bits() >> 28 & 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::test_inputs::Random;

    fn check_join<C: Codes>(random: &mut Random) {
        let codes: Vec<u8> = (0..64).map(|_| random.below(1 << C::BITS) as u8).collect();
        let mut stream = vec![0; 8 * C::BITS];
        join::<C>(&codes, &mut stream);
        for (i, code) in codes.iter().enumerate() {
            for bit in 0..C::BITS {
                let at = i * C::BITS + bit;
                let found = stream[at / 8] >> (at % 8) & 1;
                assert_eq!(
                    found,
                    code >> bit & 1,
                    "bit {bit} of code {i} of {}",
                    C::BITS
                );
            }
        }
        for (eight, bytes) in codes.chunks(8).zip(stream.chunks(C::BITS)) {
            assert!(
                eight
                    .iter()
                    .map(|&code| u32::from(code))
                    .eq(super::eight::<C>(bytes))
            );
        }
    }

    #[test]
    fn codes_are_joined_to_a_stream_of_bits() {
        let mut random = Random(5);
        check_join::<Whole<1>>(&mut random);
        check_join::<Whole<2>>(&mut random);
        check_join::<Whole<3>>(&mut random);
        check_join::<Whole<4>>(&mut random);
        check_join::<Whole<5>>(&mut random);
        check_join::<Whole<6>>(&mut random);
        check_join::<Whole<8>>(&mut random);
    }

    #[test]
    fn floats_of_eight_bits_are_the_nearest() {
        let values: Vec<f32> = (0..0x7f).map(E4m3::value).collect();
        for (code, pair) in values.windows(2).enumerate() {
            let tie = f32::midpoint(pair[0], pair[1]);
            // Half way between two it is the even one.
            let even = (code + code % 2) as u8;
            for (value, expected) in [
                (pair[0], code as u8),
                (tie.next_down(), code as u8),
                (tie, even),
                (tie.next_up(), code as u8 + 1),
            ] {
                assert_eq!(to_e4m3(value), expected, "{value}");
                assert_eq!(to_e4m3(-value), expected | 0x80, "-{value}");
            }
        }
        assert_eq!([449.0, 1e30, f32::INFINITY].map(to_e4m3), [0x7e; 3]);
        assert_eq!([f32::NAN, -f32::NAN].map(to_e4m3), [0x7f, 0xff]);
    }
}
