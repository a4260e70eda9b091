//! Owns the types of GGUF that equal MLX's affine quantization, and the change between the layouts.

use olivine_core::{Array, Dtype, Shape, f16};

use super::{Packed, blocks::Stored};
use crate::source::{ArrayProblem, filled};

/// The elements that share a scale.
const GROUP: usize = 32;

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

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Q4_0,
    Q4_1,
    Q8_0,
}

impl Kind {
    fn of(stored: Stored) -> Option<Kind> {
        match stored.name() {
            "Q4_0" => Some(Kind::Q4_0),
            "Q4_1" => Some(Kind::Q4_1),
            "Q8_0" => Some(Kind::Q8_0),
            _ => None,
        }
    }

    fn bits(self) -> u32 {
        match self {
            Kind::Q4_0 | Kind::Q4_1 => 4,
            Kind::Q8_0 => 8,
        }
    }

    /// Bytes before the elements of a block.
    fn front(self) -> usize {
        match self {
            Kind::Q4_1 => 4,
            Kind::Q4_0 | Kind::Q8_0 => 2,
        }
    }

    /// What the bias is, as a multiple of the scale, unless the block says it.
    fn centre(self) -> Option<f32> {
        match self {
            Kind::Q4_0 => Some(-8.0),
            Kind::Q4_1 => None,
            Kind::Q8_0 => Some(-128.0),
        }
    }

    fn unpack(self, shape: &Shape, bytes: &[u8], block: usize) -> Result<Packed, ArrayProblem> {
        let with_last = |divide: usize| {
            let mut sizes: Vec<usize> = shape.dims().to_vec();
            if let Some(last) = sizes.last_mut() {
                *last /= divide;
            }
            Shape::from(sizes)
        };
        let blocks = || bytes.chunks_exact(block);
        let width = GROUP * self.bits() as usize / 8;
        let weight = filled(
            with_last(32 / self.bits() as usize),
            Dtype::Uint32,
            |target| {
                for (block, target) in blocks().zip(target.chunks_exact_mut(width)) {
                    self.change_codes(&block[self.front()..], target);
                }
            },
        )?;
        let scales = filled(with_last(GROUP), Dtype::Float16, |target| {
            for (block, target) in blocks().zip(target.chunks_exact_mut(2)) {
                target.copy_from_slice(&block[..2]);
            }
        })?;
        let biases = filled(with_last(GROUP), Dtype::Float16, |target| {
            for (block, target) in blocks().zip(target.chunks_exact_mut(2)) {
                match self.centre() {
                    None => target.copy_from_slice(&block[2..4]),
                    Some(centre) => {
                        let bias = centre * super::blocks::half(block, 0);
                        target.copy_from_slice(&f16::from_f32(bias).to_le_bytes());
                    }
                }
            }
        })?;
        Ok(Packed {
            weight,
            scales,
            biases,
            bits: self.bits(),
        })
    }

    /// From a block's order of elements to that of `uint32` words, lowest bits first.
    fn change_codes(self, codes: &[u8], target: &mut [u8]) {
        if self == Kind::Q8_0 {
            // Signed to unsigned: the bias of -128 makes up for it.
            for (code, target) in codes.iter().zip(target) {
                *target = code ^ 0x80;
            }
            return;
        }
        for (i, target) in target.iter_mut().enumerate() {
            // Low nibbles are the first half of the elements.
            let (pair, shift) = (2 * (i % 8), 4 * (i / 8));
            *target = (codes[pair] >> shift & 15) | (codes[pair + 1] >> shift & 15) << 4;
        }
    }

    /// The inverse of `change_codes`.
    fn restore_codes(self, words: &[u8], codes: &mut Vec<u8>) {
        match self {
            Kind::Q8_0 => codes.extend(words.iter().map(|word| word ^ 0x80)),
            Kind::Q4_0 | Kind::Q4_1 => codes.extend((0..16).map(|i| {
                let shift = 4 * (i % 2);
                (words[i / 2] >> shift & 15) | (words[8 + i / 2] >> shift & 15) << 4
            })),
        }
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
    let width = GROUP * kind.bits() as usize / 8;
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
