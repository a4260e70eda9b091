//! Owns packed keys and values: their rows are read where they lie, a block of one head at a time.

use std::{cell::RefCell, ops::Range};

use olivine_core::{Element, Operand, Result, quantized::Quantization};

use super::{Heads, Matrix, OP, dense};
use crate::{
    kernels::{
        quantized::{self, Unpack, scale_of},
        row::RowElement,
    },
    simd::Narrow,
};

/// Packed matrices, one for each head.
pub(super) struct Packed<T> {
    scheme: Quantization,
    unpack: Unpack,
    codes: Rows<u32>,
    scales: Scales<T>,
}

enum Scales<T> {
    /// With biases.
    Floats(Rows<T>, Rows<T>),
    Bytes(Rows<u8>),
}

/// Rows that are contiguous.
struct Rows<T> {
    heads: Heads<T>,
    /// The elements of a row.
    len: usize,
    /// What the rows are in, where they were copied because they were not contiguous.
    _copy: Vec<T>,
}

impl<T: Element> Rows<T> {
    fn new(operand: &Operand) -> Result<Self> {
        let shape = &operand.shape;
        let heads = Heads::new(operand)?;
        let len = shape[3];
        if heads.columns() == 1 || len == 1 {
            return Ok(Rows {
                heads,
                len,
                _copy: Vec::new(),
            });
        }
        let copy = quantized::dense(operand, OP)?.into_owned();
        let strides =
            [shape[1] * shape[2] * len, shape[2] * len, len, 1].map(|stride| stride as isize);
        let heads = Heads {
            start: copy.as_ptr(),
            strides,
        };
        Ok(Rows {
            heads,
            len,
            _copy: copy,
        })
    }

    /// Whether a row begins where the one before it ends.
    fn adjoin(&self) -> bool {
        self.heads.strides[2] == self.len as isize
    }

    /// Neighbouring rows, more than one only if they adjoin.
    ///
    /// # Safety
    /// The operand must have them, and live.
    unsafe fn get(&self, batch: usize, head: usize, rows: Range<usize>) -> &[T] {
        let start = self.heads.matrix(batch, head).at(rows.start, 0);
        // SAFETY: the rows are contiguous and adjoin; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(start, rows.len() * self.len) }
    }
}

impl<T: Narrow + RowElement<Wide = f32>> Packed<T> {
    /// From codes, scales and, for affine formats, biases.
    pub(super) fn new(scheme: Quantization, inputs: &[Operand]) -> Result<Self> {
        let scales = match inputs {
            [_, scales, biases] => Scales::Floats(Rows::new(scales)?, Rows::new(biases)?),
            _ => Scales::Bytes(Rows::new(&inputs[1])?),
        };
        Ok(Packed {
            scheme,
            unpack: quantized::unpack_of(OP, scheme)?,
            codes: Rows::new(&inputs[0])?,
            scales,
        })
    }

    /// The numbers in a row.
    pub(super) fn size(&self) -> usize {
        self.codes.len * 32 / self.scheme.bits()
    }

    /// Reads rows of a head.
    ///
    /// # Safety
    /// The operands must have them, and live.
    pub(super) unsafe fn read(
        &self,
        (batch, head): (usize, usize),
        rows: Range<usize>,
        room: &mut Vec<f32>,
    ) -> Matrix<f32> {
        thread_local! {
            static FACTORS: RefCell<[Vec<f32>; 2]> = RefCell::default();
        }
        let size = self.size();
        room.resize(room.len().max(rows.len() * size), 0.0);
        let adjoin = self.codes.adjoin()
            && match &self.scales {
                Scales::Floats(scales, biases) => scales.adjoin() && biases.adjoin(),
                Scales::Bytes(scales) => scales.adjoin(),
            };
        let step = if adjoin { rows.len().max(1) } else { 1 };
        FACTORS.with_borrow_mut(|[scales, biases]| {
            for first in rows.clone().step_by(step) {
                let some = first..first + step;
                // SAFETY: passed on to the caller.
                unsafe { self.read_factors((batch, head), some.clone(), scales, biases) };
                let at = (first - rows.start) * size;
                let to = &mut room[at..at + some.len() * size];
                // SAFETY: passed on to the caller.
                let codes = unsafe { self.codes.get(batch, head, some) };
                (self.unpack)(
                    quantized::bytes(codes),
                    self.scheme.group_size(),
                    scales,
                    biases,
                    to,
                );
            }
        });
        dense(room, size)
    }

    /// Reads the scales and biases of rows.
    ///
    /// # Safety
    /// As for `read`.
    unsafe fn read_factors(
        &self,
        (batch, head): (usize, usize),
        rows: Range<usize>,
        to_scales: &mut Vec<f32>,
        to_biases: &mut Vec<f32>,
    ) {
        match &self.scales {
            Scales::Floats(scales, biases) => {
                for (part, to) in [(scales, to_scales), (biases, to_biases)] {
                    // SAFETY: passed on to the caller.
                    let part = unsafe { part.get(batch, head, rows.clone()) };
                    to.resize(part.len(), 0.0);
                    T::widen_slice(part, to);
                }
            }
            Scales::Bytes(scales) => {
                // SAFETY: passed on to the caller.
                let scales = unsafe { scales.get(batch, head, rows) };
                to_scales.clear();
                to_scales.extend(
                    scales
                        .iter()
                        .map(|&byte| scale_of(byte, self.scheme.mode())),
                );
            }
        }
    }
}
