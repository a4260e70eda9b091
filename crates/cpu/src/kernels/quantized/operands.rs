//! Owns what products with packed matrices read and write: numbers of any dtype, codes with their scales, and
//! which rows meet which matrix.

use std::{borrow::Cow, ops::Range};

use olivine_core::{
    Call, Result, bf16, dispatch, f16,
    quantized::{Quantization, QuantizationMode},
};

use super::{
    codes::{Codes, scales_of, unpack},
    convert::bytes,
    dense,
};
use crate::{
    kernels::{
        matmul::{
            MANY, Matrix, Paired, Results, Rounded, Side, Singles, Wide, interleave_many,
            pairs_are_fast,
        },
        row::RowElement,
    },
    tensor::wrong_dtype,
};

/// What products read besides their left sides, and what they write.
trait Number: Rounded + RowElement<Wide = f32> {}
impl Number for f32 {}
impl Number for f16 {}
impl Number for bf16 {}

/// The elements of an operand in row-major order. What is done with their type is done behind this
/// trait, so that products are compiled for each sort of code only.
pub(super) trait Floats: Sync {
    /// Widens a range of them.
    fn widen(&self, range: Range<usize>, to: &mut [f32]);
    /// A range of them as they are stored.
    fn stored(&self, range: Range<usize>) -> &[u8];
    /// Rows of `len` as a side of a product.
    fn rows(&self, len: usize) -> Box<dyn Side<Words = Singles>>;
    /// True if they are of 16 bits.
    fn are_halves(&self) -> bool;
    /// True if pairs are fast with their type.
    fn in_pairs(&self) -> bool;
    /// Rows as a side in pairs, if these are fast.
    fn pairs(&self, len: usize) -> Option<Paired>;
}

impl<T: Number> Floats for Cow<'_, [T]> {
    fn widen(&self, range: Range<usize>, to: &mut [f32]) {
        T::widen_slice(&self[range], to);
    }

    fn stored(&self, range: Range<usize>) -> &[u8] {
        bytes(&self[range])
    }

    fn rows(&self, len: usize) -> Box<dyn Side<Words = Singles>> {
        Box::new(Wide(rows_of(self, len)))
    }

    fn are_halves(&self) -> bool {
        size_of::<T>() == 2
    }

    fn in_pairs(&self) -> bool {
        pairs_are_fast::<T>()
    }

    fn pairs(&self, len: usize) -> Option<Paired> {
        self.in_pairs()
            .then(|| Paired::new(rows_of(self, len), len))
    }
}

fn rows_of<T>(elements: &[T], len: usize) -> Matrix<T> {
    Matrix {
        start: elements.as_ptr(),
        rows: len as isize,
        columns: 1,
    }
}

/// Reads an operand of the dtype of the call's output.
pub(super) fn floats<'a>(
    call: &'a Call,
    i: usize,
    op: &'static str,
) -> Result<Box<dyn Floats + 'a>> {
    let dtype = call.dtype(0);
    dispatch!(narrow, dtype, T => Ok(Box::new(dense::<T>(call.input(i), op)?)), else {
        Err(wrong_dtype(op, dtype))
    })
}

/// Scales as they are stored.
pub(super) enum Scales<'a> {
    /// With biases.
    Floats(Box<dyn Floats + 'a>, Box<dyn Floats + 'a>),
    Bytes(Cow<'a, [u8]>),
}

/// Packed matrices, one after the other.
pub(super) struct Packed<'a> {
    pub(super) scheme: Quantization,
    pub(super) codes: Cow<'a, [u32]>,
    pub(super) scales: Scales<'a>,
    /// The rows of one matrix, and the codes in a row.
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Scales and biases as they are multiplied with.
#[derive(Default)]
pub(super) struct Room {
    scales: Vec<f32>,
    biases: Vec<f32>,
}

impl<'a> Packed<'a> {
    pub(super) fn new(call: &'a Call, scheme: Quantization, op: &'static str) -> Result<Self> {
        let shape = &call.input(1).shape;
        let scales = if scheme.mode() == QuantizationMode::Affine {
            Scales::Floats(floats(call, 2, op)?, floats(call, 3, op)?)
        } else {
            Scales::Bytes(dense(call.input(2), op)?)
        };
        Ok(Packed {
            scheme,
            codes: dense(call.input(1), op)?,
            scales,
            rows: shape[shape.rank() - 2],
            columns: shape[shape.rank() - 1] * 32 / scheme.bits(),
        })
    }

    /// Reads the scales and biases of groups; where there are no biases, nothing for them.
    pub(super) fn scales(
        &self,
        groups: Range<usize>,
        to_scales: &mut [f32],
        to_biases: &mut [f32],
    ) {
        match &self.scales {
            Scales::Floats(scales, biases) => {
                scales.widen(groups.clone(), to_scales);
                biases.widen(groups, to_biases);
            }
            Scales::Bytes(scales) => {
                scales_of(&scales[groups], self.scheme.mode(), to_scales);
            }
        }
    }

    /// The scales and biases of groups as they are stored.
    pub(super) fn stored_scales(&self, groups: Range<usize>) -> [&[u8]; 2] {
        match &self.scales {
            Scales::Floats(scales, biases) => {
                [scales.stored(groups.clone()), biases.stored(groups)]
            }
            Scales::Bytes(scales) => [&scales[groups], &[]],
        }
    }

    /// Writes some words of rows so that neighbours come to lie `step` apart; rows are counted over all
    /// matrices.
    ///
    /// # Safety
    /// There must be room for the words of `step` rows.
    pub(super) unsafe fn interleave<C: Codes>(
        &self,
        rows: Range<usize>,
        words: Range<usize>,
        to: *mut f32,
        step: usize,
    ) {
        let in_row = self.columns * C::BITS / 32;
        for (i, row) in rows.clone().enumerate().step_by(MANY) {
            let some = (rows.end - row).min(MANY);
            let mut lines = [std::ptr::null(); MANY];
            for (line, row) in lines.iter_mut().zip(row..row + some) {
                *line = self.codes[row * in_row..][words.clone()].as_ptr().cast();
            }
            // SAFETY: the rows have these words; the room is the caller's promise.
            unsafe { interleave_many(&lines[..some], words.len(), to.add(i), step) };
        }
    }

    /// The dot product of a row with as many numbers, term by term.
    pub(super) fn dot<C: Codes>(&self, row: usize, x: &[f32]) -> f32 {
        let mut numbers = vec![0.0; x.len()];
        self.read::<C>(row, 0..x.len(), &mut Room::default(), &mut numbers);
        numbers.iter().zip(x).map(|(number, x)| number * x).sum()
    }

    /// Reads part of a row, which begins and ends with groups; rows are counted over all matrices.
    pub(super) fn read<C: Codes>(
        &self,
        row: usize,
        columns: Range<usize>,
        room: &mut Room,
        to: &mut [f32],
    ) {
        let group = self.scheme.group_size();
        let first = row * (self.columns / group);
        let groups = first + columns.start / group..first + columns.end / group;
        room.scales.resize(groups.len(), 0.0);
        room.biases.resize(groups.len(), 0.0);
        self.scales(groups, &mut room.scales, &mut room.biases);
        let start = (row * self.columns + columns.start) * C::BITS / 8;
        let codes = &bytes(&self.codes)[start..start + columns.len() * C::BITS / 8];
        unpack::<C>(codes, group, &room.scales, &room.biases, to);
    }
}
/// The products with one packed matrix: for each, a row on the left and one of the result.
pub(super) struct Job {
    pub(super) matrix: usize,
    /// Pairs of the rows on the left and of the result.
    pub(super) rows: Vec<(usize, usize)>,
}

/// Where rows on the left come from and results go.
pub(super) struct Sides<'a> {
    pub(super) x: Box<dyn Floats + 'a>,
    /// The length of a row on the left.
    pub(super) inner: usize,
    pub(super) out: Results,
    /// The length of a row of the result.
    pub(super) columns: usize,
}

impl Sides<'_> {
    /// The rows of a job as `f32`, one after the other.
    pub(super) fn wide_rows(&self, job: &Job) -> Vec<f32> {
        let mut wide = vec![0.0; job.rows.len() * self.inner];
        for (to, &(row, _)) in wide.chunks_exact_mut(self.inner.max(1)).zip(&job.rows) {
            self.x.widen(row * self.inner..(row + 1) * self.inner, to);
        }
        wide
    }
}
