//! Owns the types of GGUF that equal MLX's affine quantization, and the change between the layouts.

use olivine_core::{
    Array, Dtype, Shape, f16,
    quantized::{Quantization, join_codes},
};

use super::{
    Packed,
    blocks::{
        Stored, five_bits, half, nibble, q2_k_code, q3_k_code, q6_k_code, signed_six_bits, six_bits,
    },
};
use crate::source::{ArrayProblem, filled};

/// The scheme of a type's packed form, if it has one.
pub(super) fn scheme(stored: Stored) -> Option<Quantization> {
    Some(Kind::of(stored)?.scheme())
}

/// Whether MLX, too, reads the type in packed form.
pub(super) fn is_packed_by_mlx(stored: Stored) -> bool {
    matches!(Kind::of(stored), Some(Kind::Q4_0 | Kind::Q4_1 | Kind::Q8_0))
}

/// A tensor's packed form, if its type has one.
///
/// Fails if memory runs out. `bytes` are the tensor's whole blocks.
pub(super) fn unpack(
    stored: Stored,
    shape: &Shape,
    bytes: &[u8],
) -> Option<Result<Packed, ArrayProblem>> {
    let kind = Kind::of(stored)?;
    Some(kind.unpack(shape, bytes, stored.block().1))
}

/// The most elements that share a scale.
const LARGEST_GROUP: usize = 32;

#[derive(Clone, Copy, PartialEq)]
#[expect(non_camel_case_types, reason = "they are GGUF's names")]
enum Kind {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

impl Kind {
    fn of(stored: Stored) -> Option<Kind> {
        match stored.name() {
            "Q4_0" => Some(Kind::Q4_0),
            "Q4_1" => Some(Kind::Q4_1),
            "Q5_0" => Some(Kind::Q5_0),
            "Q5_1" => Some(Kind::Q5_1),
            "Q8_0" => Some(Kind::Q8_0),
            "Q2_K" => Some(Kind::Q2_K),
            "Q3_K" => Some(Kind::Q3_K),
            "Q4_K" => Some(Kind::Q4_K),
            "Q5_K" => Some(Kind::Q5_K),
            "Q6_K" => Some(Kind::Q6_K),
            _ => None,
        }
    }

    /// The bits of a code in packed form: three of `Q3_K` have a fourth, so that a group fills words.
    fn bits(self) -> usize {
        match self {
            Kind::Q2_K => 2,
            Kind::Q4_0 | Kind::Q4_1 | Kind::Q3_K | Kind::Q4_K => 4,
            Kind::Q5_0 | Kind::Q5_1 | Kind::Q5_K => 5,
            Kind::Q6_K => 6,
            Kind::Q8_0 => 8,
        }
    }

    /// The elements that share a scale.
    fn group(self) -> usize {
        match self {
            Kind::Q2_K | Kind::Q3_K | Kind::Q6_K => 16,
            Kind::Q4_0 | Kind::Q4_1 | Kind::Q5_0 | Kind::Q5_1 | Kind::Q8_0 => 32,
            Kind::Q4_K | Kind::Q5_K => 32,
        }
    }

    fn scheme(self) -> Quantization {
        Quantization::affine(self.group(), self.bits()).expect("groups of 16 have even bits")
    }

    /// The groups in a block.
    fn groups(self) -> usize {
        match self {
            Kind::Q4_0 | Kind::Q4_1 | Kind::Q5_0 | Kind::Q5_1 | Kind::Q8_0 => 1,
            Kind::Q4_K | Kind::Q5_K => 8,
            Kind::Q2_K | Kind::Q3_K | Kind::Q6_K => 16,
        }
    }

    /// What the bias is, as a multiple of the scale, unless the block says it.
    fn centre(self) -> Option<f32> {
        match self {
            Kind::Q3_K => Some(-4.0),
            Kind::Q4_0 => Some(-8.0),
            Kind::Q5_0 => Some(-16.0),
            Kind::Q6_K => Some(-32.0),
            Kind::Q8_0 => Some(-128.0),
            Kind::Q4_1 | Kind::Q5_1 | Kind::Q2_K | Kind::Q4_K | Kind::Q5_K => None,
        }
    }

    /// The scale and the bias of a group.
    fn affine(self, block: &[u8], group: usize) -> (f32, f32) {
        let own = match self {
            Kind::Q2_K => {
                let both = block[group];
                let minimum = half(block, 82) * f32::from(both >> 4);
                return (half(block, 80) * f32::from(both & 15), -minimum);
            }
            Kind::Q4_K | Kind::Q5_K => {
                let (own, minimum) = six_bits(&block[4..16], group);
                return (half(block, 0) * own, -(half(block, 2) * minimum));
            }
            Kind::Q3_K => half(block, 108) * signed_six_bits(&block[96..108], group),
            Kind::Q6_K => half(block, 208) * f32::from(block[192 + group].cast_signed()),
            Kind::Q4_0 | Kind::Q4_1 | Kind::Q5_0 | Kind::Q5_1 | Kind::Q8_0 => half(block, 0),
        };
        match self.centre() {
            Some(centre) => (own, centre * own),
            None => (own, half(block, 2)),
        }
    }

    /// An element's code, counted from zero.
    #[inline(always)]
    fn code(self, block: &[u8], group: usize, i: usize) -> u8 {
        // In blocks of 256, two groups of 32 share 32 bytes.
        let long = |front: usize| block[front + group / 2 * 32 + i] >> (4 * (group % 2)) & 15;
        match self {
            Kind::Q4_0 => nibble(&block[2..], i),
            Kind::Q4_1 => nibble(&block[4..], i),
            Kind::Q5_0 => five_bits(&block[2..6], &block[6..], i),
            Kind::Q5_1 => five_bits(&block[4..8], &block[8..], i),
            // Signed to unsigned: the bias of -128 makes up for it.
            Kind::Q8_0 => block[2 + i] ^ 0x80,
            Kind::Q2_K => q2_k_code(block, 16 * group + i),
            Kind::Q3_K => q3_k_code(block, 16 * group + i),
            Kind::Q4_K => long(16),
            Kind::Q5_K => long(48) | (block[16 + i] >> group & 1) << 4,
            Kind::Q6_K => q6_k_code(block, 16 * group + i),
        }
    }

    fn unpack(self, shape: &Shape, bytes: &[u8], block: usize) -> Result<Packed, ArrayProblem> {
        let last = |of: &dyn Fn(usize) -> usize| {
            let mut sizes: Vec<usize> = shape.dims().to_vec();
            if let Some(last) = sizes.last_mut() {
                *last = of(*last);
            }
            Shape::from(sizes)
        };
        let groups = || {
            let blocks = bytes.chunks_exact(block);
            blocks.flat_map(|block| (0..self.groups()).map(move |group| (block, group)))
        };
        let (of_group, bits) = (self.group(), self.bits());
        let weight = filled(last(&|size| size * bits / 32), Dtype::Uint32, |target| {
            let targets = target.chunks_exact_mut(of_group / 8 * bits);
            for ((block, group), target) in groups().zip(targets) {
                self.pack(block, group, target);
            }
        })?;
        let fits = |x: f32| f16::from_f32(x).to_f32() == x;
        // The products of blocks of 256 take more digits than a half has, and so may large biases.
        let dtype = if self.groups() == 1
            && groups().all(|(block, group)| fits(self.affine(block, group).1))
        {
            Dtype::Float16
        } else {
            Dtype::Float32
        };
        let of_groups = |value: &dyn Fn(&[u8], usize) -> f32| {
            filled(last(&|size| size / of_group), dtype, |target| {
                let targets = target.chunks_exact_mut(dtype.size());
                for ((block, group), target) in groups().zip(targets) {
                    let value = value(block, group);
                    match dtype {
                        Dtype::Float16 => {
                            target.copy_from_slice(&f16::from_f32(value).to_le_bytes());
                        }
                        _ => target.copy_from_slice(&value.to_le_bytes()),
                    }
                }
            })
        };
        Ok(Packed {
            weight,
            scales: of_groups(&|block, group| self.affine(block, group).0)?,
            biases: of_groups(&|block, group| self.affine(block, group).1)?,
            scheme: self.scheme(),
        })
    }

    /// Writes a group's codes as a stream of bits, lowest first.
    fn pack(self, block: &[u8], group: usize, target: &mut [u8]) {
        // Each kind has code of its own, in which what it is is known.
        match self {
            Kind::Q4_0 => Kind::Q4_0.pack_in::<4>(block, group, target),
            Kind::Q4_1 => Kind::Q4_1.pack_in::<4>(block, group, target),
            Kind::Q5_0 => Kind::Q5_0.pack_in::<5>(block, group, target),
            Kind::Q5_1 => Kind::Q5_1.pack_in::<5>(block, group, target),
            Kind::Q8_0 => Kind::Q8_0.pack_in::<8>(block, group, target),
            Kind::Q2_K => Kind::Q2_K.pack_in::<2>(block, group, target),
            Kind::Q3_K => Kind::Q3_K.pack_in::<4>(block, group, target),
            Kind::Q4_K => Kind::Q4_K.pack_in::<4>(block, group, target),
            Kind::Q5_K => Kind::Q5_K.pack_in::<5>(block, group, target),
            Kind::Q6_K => Kind::Q6_K.pack_in::<6>(block, group, target),
        }
    }

    #[inline(always)]
    fn pack_in<const BITS: usize>(self, block: &[u8], group: usize, target: &mut [u8]) {
        assert!(BITS == self.bits());
        let mut codes = [0; LARGEST_GROUP];
        let codes = &mut codes[..self.group()];
        for (i, code) in codes.iter_mut().enumerate() {
            *code = self.code(block, group, i);
        }
        let (eights, _) = codes.as_chunks::<8>();
        for (eight, target) in eights.iter().zip(target.chunks_exact_mut(BITS)) {
            target.copy_from_slice(&join_codes(*eight, BITS).to_le_bytes()[..BITS]);
        }
    }

    /// From a stream of bits to a block's codes.
    fn restore_codes(self, words: &[u8], codes: &mut Vec<u8>) {
        if self == Kind::Q8_0 {
            codes.extend(words.iter().map(|word| word ^ 0x80));
            return;
        }
        codes.extend((0..16).map(|i| {
            let shift = 4 * (i % 2);
            (words[i / 2] >> shift & 15) | (words[8 + i / 2] >> shift & 15) << 4
        }));
    }
}

/// A packed tensor's bytes as GGUF stores them, and the type.
pub(super) struct Repacked {
    pub(super) stored: Stored,
    pub(super) shape: Shape,
    pub(super) bytes: Vec<u8>,
}

/// Whether arrays of these shapes and dtypes are a packed tensor that GGUF can store.
pub(super) fn is_packed(weight: &Array, scales: &Array, biases: &Array) -> bool {
    let half = |array: &Array| array.dtype() == Dtype::Float16;
    let (Some((&words, rows)), Some((&groups, others))) =
        (weight.shape().split_last(), scales.shape().split_last())
    else {
        return false;
    };
    weight.dtype() == Dtype::Uint32
        && half(scales)
        && half(biases)
        && scales.shape() == biases.shape()
        && rows == others
        && (words == groups * 4 || words == groups * 8)
}

/// Turns a packed tensor into blocks; `None` if its biases fit no type.
pub(super) fn repack(
    weight: &Array,
    scales: &Array,
    biases: &Array,
) -> olivine_core::Result<Option<Repacked>> {
    let words = weight.to_vec::<u32>()?;
    let (scales, biases) = (scales.to_vec::<f16>()?, biases.to_vec::<f16>()?);
    let bits = if words.len() == scales.len() * 4 {
        4
    } else {
        8
    };
    let centred = |kind: Kind| {
        let centre = kind.centre().unwrap_or_default();
        let fits = |(scale, bias): (&f16, &f16)| f16::from_f32(centre * scale.to_f32()) == *bias;
        scales.iter().zip(&biases).all(fits)
    };
    let (kind, name) = match bits {
        4 if centred(Kind::Q4_0) => (Kind::Q4_0, "Q4_0"),
        4 => (Kind::Q4_1, "Q4_1"),
        _ if centred(Kind::Q8_0) => (Kind::Q8_0, "Q8_0"),
        _ => return Ok(None),
    };
    let stored = Stored::named(name).expect("the table has every packed type");
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut bytes = Vec::with_capacity(scales.len() * stored.block().1);
    let width = kind.group() / 8 * kind.bits();
    for ((words, scale), bias) in words.chunks_exact(width).zip(&scales).zip(&biases) {
        bytes.extend(scale.to_le_bytes());
        if kind == Kind::Q4_1 {
            bytes.extend(bias.to_le_bytes());
        }
        kind.restore_codes(words, &mut bytes);
    }
    let mut sizes = weight.shape().dims().to_vec();
    if let Some(last) = sizes.last_mut() {
        *last *= 32 / bits;
    }
    Ok(Some(Repacked {
        stored,
        shape: Shape::from(sizes),
        bytes,
    }))
}
