//! Owns packing plain numbers as GGUF's types: blocks of 32 that share a scale.
//!
//! The blocks are those of GGML's `ggml-common.h`.

use std::io::Write;

use olivine_core::{Array, Dtype, Error, Shape, f16};

use super::blocks::Stored;
use crate::write::{WriteProblem, with_elements, write_elements};

const GROUP: usize = 32;
/// Blocks are written so many at a time.
const BLOCKS: usize = 1 << 12;

/// How a tensor of plain numbers is stored in a GGUF file.
///
/// ```
/// use olivine_io::GgufKind;
/// assert_eq!(GgufKind::named("q8_0"), Some(GgufKind::Q8_0));
/// assert_eq!(GgufKind::Q8_0.name(), "Q8_0");
/// assert_eq!(GgufKind::named("q2_k"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GgufKind {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// `bfloat16`.
    BF16,
    /// Four bits around zero, with a scale for 32.
    Q4_0,
    /// Four bits, with a scale and a lowest value for 32.
    Q4_1,
    /// Eight bits around zero, with a scale for 32.
    Q8_0,
}

impl GgufKind {
    const ALL: [GgufKind; 6] = [
        GgufKind::F32,
        GgufKind::F16,
        GgufKind::BF16,
        GgufKind::Q4_0,
        GgufKind::Q4_1,
        GgufKind::Q8_0,
    ];

    /// The type of this name, in small letters or large ones.
    ///
    /// ```
    /// assert!(olivine_io::GgufKind::named("bf16").is_some());
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// The name of the type, as GGUF spells it.
    ///
    /// ```
    /// assert_eq!(olivine_io::GgufKind::BF16.name(), "BF16");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            GgufKind::F32 => "F32",
            GgufKind::F16 => "F16",
            GgufKind::BF16 => "BF16",
            GgufKind::Q4_0 => "Q4_0",
            GgufKind::Q4_1 => "Q4_1",
            GgufKind::Q8_0 => "Q8_0",
        }
    }

    /// Whether rows of so many numbers can be stored: blocks must fill them.
    ///
    /// ```
    /// use olivine_io::GgufKind;
    /// assert!(GgufKind::F16.fits(33) && !GgufKind::Q4_0.fits(33));
    /// ```
    pub fn fits(self, columns: usize) -> bool {
        columns.is_multiple_of(self.stored().block().0)
    }

    /// The bytes of a tensor of whole blocks.
    ///
    /// ```
    /// use olivine_io::GgufKind;
    /// assert_eq!(GgufKind::Q8_0.bytes(&[2, 64].into()), 2 * 2 * 34);
    /// ```
    pub fn bytes(self, shape: &Shape) -> usize {
        let (elements, bytes) = self.stored().block();
        shape.elements() / elements * bytes
    }

    pub(super) fn stored(self) -> Stored {
        Stored::named(self.name()).expect("the table has every type that is written")
    }

    /// The dtype, if elements are stored as arrays have them.
    pub(super) fn dtype(self) -> Option<Dtype> {
        self.stored().dtype()
    }

    /// Evaluates an array and writes its blocks.
    pub(super) fn write(self, writer: &mut dyn Write, array: &Array) -> Result<(), WriteProblem> {
        let cast = |dtype| array.astype(dtype).map_err(WriteProblem::Evaluation);
        if let Some(dtype) = self.dtype() {
            return write_elements(writer, &cast(dtype)?);
        }
        with_elements(&cast(Dtype::Float32)?, |bytes| {
            let mut blocks = Vec::with_capacity(BLOCKS * self.stored().block().1);
            let mut group = [0.0f32; GROUP];
            for part in bytes.chunks(BLOCKS * GROUP * size_of::<f32>()) {
                blocks.clear();
                for numbers in part.chunks_exact(GROUP * size_of::<f32>()) {
                    for (number, bytes) in group.iter_mut().zip(numbers.as_chunks().0) {
                        *number = f32::from_ne_bytes(*bytes);
                    }
                    if !self.pack(&group, &mut blocks) {
                        return Err(WriteProblem::Evaluation(Error::Argument {
                            op: "quantize",
                            reason: "numbers are too large for scales of half precision".to_owned(),
                        }));
                    }
                }
                writer.write_all(&blocks)?;
            }
            Ok(())
        })
    }

    /// Appends the block of 32 numbers, or returns false if no scale reaches them.
    fn pack(self, group: &[f32; GROUP], blocks: &mut Vec<u8>) -> bool {
        let extreme = |wins: &dyn Fn(f32, f32) -> bool| {
            let first = group[0];
            group
                .iter()
                .fold(first, |most, &x| if wins(x, most) { x } else { most })
        };
        let farthest = extreme(&|x, most| x.abs() > most.abs());
        let lowest = extreme(&|x, least| x < least);
        let (scale, low) = match self {
            // Four bits reach further below zero, so that is where the farthest number goes.
            GgufKind::Q4_0 => (farthest / -8.0, None),
            GgufKind::Q4_1 => {
                let range = extreme(&|x, most| x > most) - lowest;
                (range / 15.0, Some(f16::from_f32(lowest)))
            }
            _ => (farthest.abs() / 127.0, None),
        };
        let scale = f16::from_f32(scale);
        let reached = scale.is_finite() && low.is_none_or(f16::is_finite);
        if !reached || group.iter().any(|x| !x.is_finite()) {
            return false;
        }
        blocks.extend(scale.to_le_bytes());
        if let Some(low) = low {
            blocks.extend(low.to_le_bytes());
        }
        let steps = match scale.to_f32() {
            0.0 => 0.0,
            scale => scale.recip(),
        };
        let low = low.map_or(0.0, f16::to_f32);
        let code = |x: f32, centre: f32, last: f32| {
            ((x - low) * steps + centre).round().clamp(0.0, last) as u8
        };
        if self == GgufKind::Q8_0 {
            // Signed codes, from unsigned ones around 128.
            blocks.extend(group.map(|x| code(x, 128.0, 255.0) ^ 0x80));
            return true;
        }
        let centre = if self == GgufKind::Q4_0 { 8.0 } else { 0.0 };
        let (first, second) = group.split_at(GROUP / 2);
        let pairs = first.iter().zip(second);
        blocks.extend(pairs.map(|(&a, &b)| code(a, centre, 15.0) | code(b, centre, 15.0) << 4));
        true
    }
}

#[cfg(test)]
mod tests {
    use olivine_core::array;

    use super::*;
    use crate::{Gguf, GgufMetadata, write_gguf_as};

    fn back(kind: GgufKind, matrix: &Array) -> Vec<f32> {
        let mut bytes = Vec::new();
        let tensors = [("w".to_owned(), matrix.clone(), kind)];
        write_gguf_as(&mut bytes, tensors, &GgufMetadata::new()).unwrap();
        let file = Gguf::from_bytes(bytes).unwrap();
        assert_eq!(file.info("w").unwrap().stored, kind.name());
        assert_eq!(file.info("w").unwrap().bytes, kind.bytes(matrix.shape()));
        let array = file.array("w").unwrap().astype(Dtype::Float32).unwrap();
        array.to_vec().unwrap()
    }

    #[test]
    fn numbers_stay_within_half_a_step() {
        let values: Vec<f32> = (0..GROUP * BLOCKS + 128)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0)
            .collect();
        let matrix = Array::from_slice(&values, [values.len() / 64, 64]).unwrap();
        // The end opposite to the farthest number is cut by up to a step with four bits around zero.
        for (kind, allowed) in [
            (GgufKind::F32, 0.0),
            (GgufKind::F16, 1.25 / 2048.0),
            (GgufKind::BF16, 1.25 / 256.0),
            (GgufKind::Q4_0, 1.25 / 8.0),
            (GgufKind::Q4_1, 0.51 * 2.5 / 15.0),
            (GgufKind::Q8_0, 0.51 * 1.25 / 127.0),
        ] {
            for (own, expected) in back(kind, &matrix).iter().zip(&values) {
                assert!(
                    (own - expected).abs() <= allowed,
                    "{kind:?} {own} {expected}"
                );
            }
        }
    }

    #[test]
    fn whole_codes_come_back_as_they_are() {
        let codes = |low: i32, high: i32| {
            let values: Vec<f32> = (0..64)
                .map(|i| (low + i * 7 % (high - low + 1)) as f32)
                .collect();
            Array::from_slice(&values, [1, 64]).unwrap()
        };
        for (kind, matrix) in [
            (GgufKind::Q4_0, codes(-8, 7)),
            (GgufKind::Q4_1, codes(3, 18)),
            (GgufKind::Q8_0, codes(-127, 127)),
        ] {
            let ends = matrix.to_vec::<f32>().unwrap();
            if kind == GgufKind::Q8_0 {
                // Sixty-four steps of seven do not reach both ends, so the scale is another one.
                let own = back(kind, &matrix);
                assert!(own.iter().zip(&ends).all(|(a, b)| (a - b).abs() <= 0.5));
            } else {
                assert_eq!(back(kind, &matrix), ends);
            }
        }
        assert_eq!(back(GgufKind::Q4_0, &codes(0, 0)), [0.0; 64]);
        assert_eq!(back(GgufKind::Q4_1, &codes(5, 5)), [5.0; 64]);
    }

    #[test]
    fn what_cannot_be_packed_is_an_error() {
        let refused = |kind: GgufKind, matrix: Array| {
            let tensors = [("w".to_owned(), matrix, kind)];
            let written = write_gguf_as(Vec::new(), tensors, &GgufMetadata::new());
            written.unwrap_err().to_string()
        };
        let filled = |x: f32, columns: usize| Array::from_slice(&vec![x; columns], [1, columns]);
        for (x, columns, kind, problem) in [
            (1.0, 33, GgufKind::Q8_0, "blocks of 32"),
            (f32::INFINITY, 32, GgufKind::Q8_0, "too large"),
            (f32::NAN, 32, GgufKind::Q4_1, "too large"),
            (1e9, 32, GgufKind::Q4_0, "too large"),
            (1e9, 32, GgufKind::Q4_1, "too large"),
        ] {
            let error = refused(kind, filled(x, columns).unwrap());
            assert!(error.contains(problem), "{error}");
        }
        let scalar = refused(GgufKind::Q4_0, Array::scalar(1.0f32));
        assert!(scalar.contains("blocks of 32"), "{scalar}");
        let complex = array!([1.0, 2.0]).astype(Dtype::Complex64).unwrap();
        assert!(refused(GgufKind::F32, complex).contains("complex64"));
    }
}
