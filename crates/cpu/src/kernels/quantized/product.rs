//! Owns products with packed matrices. With few rows on the left, packed rows are read into a small
//! buffer and multiplied there; with many, whole panels are, and go through the products of `f32`.

use std::{borrow::Cow, ops::Range};

use olivine_core::{
    Call, Error, Result, bf16, dispatch, f16,
    quantized::{GatherQmm, Quantization, QuantizedMatmul},
};

use super::{
    codes::{Codes, scale_of, unpack, with_codes},
    convert::bytes,
    dense,
};
use crate::{
    kernels::{
        indices::Positions,
        matmul::{Matrix, Sizes, Target, dots, multiply},
        row::{RowElement, narrow},
    },
    pool::parallel_for,
    simd::Narrow,
    tensor::{Output, wrong_dtype},
};

/// The most rows on the left for which dot products are taken row by row.
const FEW: usize = 8;

/// Numbers of a packed row that are read at a time: four rows of them stay in the first cache.
const CHUNK: usize = 1024;

/// The most numbers of a panel: 2 MiB.
const PANEL: usize = 512 * 1024;

/// What products read besides their left sides, and what they write.
trait Number: Narrow + RowElement<Wide = f32> {}
impl Number for f32 {}
impl Number for f16 {}
impl Number for bf16 {}

/// Scales as they are stored.
enum Scales<'a, T: Clone> {
    /// With biases.
    Floats(Cow<'a, [T]>, Cow<'a, [T]>),
    Bytes(Cow<'a, [u8]>),
}

/// Packed matrices, one after the other.
struct Packed<'a, T: Clone> {
    scheme: Quantization,
    codes: Cow<'a, [u32]>,
    scales: Scales<'a, T>,
    /// The rows of one matrix, and the codes in a row.
    rows: usize,
    columns: usize,
}

/// Scales and biases as they are multiplied with.
#[derive(Default)]
struct Room {
    scales: Vec<f32>,
    biases: Vec<f32>,
}

impl<'a, T: Number> Packed<'a, T> {
    fn new(call: &'a Call, scheme: Quantization, op: &'static str) -> Result<Self> {
        let shape = &call.input(1).shape;
        let scales = if scheme.mode() == olivine_core::quantized::QuantizationMode::Affine {
            Scales::Floats(dense(call.input(2), op)?, dense(call.input(3), op)?)
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

    /// Reads part of a row, which begins and ends with groups; rows are counted over all matrices.
    fn read<C: Codes>(&self, row: usize, columns: Range<usize>, room: &mut Room, to: &mut [f32]) {
        let group = self.scheme.group_size();
        let first = row * (self.columns / group);
        let groups = first + columns.start / group..first + columns.end / group;
        room.scales.resize(groups.len(), 0.0);
        match &self.scales {
            Scales::Floats(scales, biases) => {
                room.biases.resize(groups.len(), 0.0);
                T::widen_slice(&scales[groups.clone()], &mut room.scales);
                T::widen_slice(&biases[groups], &mut room.biases);
            }
            Scales::Bytes(scales) => {
                for (to, &byte) in room.scales.iter_mut().zip(&scales[groups]) {
                    *to = scale_of(byte, self.scheme.mode());
                }
            }
        }
        let start = (row * self.columns + columns.start) * C::BITS / 8;
        let codes = &bytes(&self.codes)[start..start + columns.len() * C::BITS / 8];
        unpack::<C>(codes, group, &room.scales, &room.biases, to);
    }
}

/// The products with one packed matrix: for each, a row on the left and one of the result.
struct Job {
    matrix: usize,
    rows: Vec<(usize, usize)>,
}

/// Where rows on the left come from and results go.
struct Sides<'a, T> {
    x: Cow<'a, [f32]>,
    /// The length of a row on the left.
    inner: usize,
    out: Target<T>,
    /// The length of a row of the result.
    columns: usize,
    transpose: bool,
}

impl<T: Number> Sides<'_, T> {
    fn row(&self, row: usize) -> &[f32] {
        &self.x[row * self.inner..(row + 1) * self.inner]
    }

    /// The rows of a job, one after the other.
    fn rows(&self, job: &Job) -> Cow<'_, [f32]> {
        let first = job.rows[0].0;
        if job
            .rows
            .iter()
            .enumerate()
            .all(|(i, &(row, _))| row == first + i)
        {
            let rows = first * self.inner..(first + job.rows.len()) * self.inner;
            return Cow::Borrowed(&self.x[rows]);
        }
        job.rows
            .iter()
            .flat_map(|&(row, _)| self.row(row))
            .copied()
            .collect()
    }
}

/// Runs [`QuantizedMatmul`].
pub(in crate::kernels) fn quantized_matmul(
    primitive: &QuantizedMatmul,
    call: &mut Call,
) -> Result<()> {
    let rows = call.input(0).shape[0];
    let jobs = vec![Job {
        matrix: 0,
        rows: (0..rows).map(|row| (row, row)).collect(),
    }];
    let QuantizedMatmul { scheme, transpose } = *primitive;
    run("quantized_matmul", scheme, transpose, &jobs, call)
}

/// Runs [`GatherQmm`].
pub(in crate::kernels) fn gather_qmm(primitive: &GatherQmm, call: &mut Call) -> Result<()> {
    let op = "gather_qmm";
    let places = call.inputs().len() - 2;
    let counts = [call.input(0).shape[0], call.input(1).shape[0]];
    let rows = call.input(0).shape[1];
    let jobs = jobs(op, call, places, counts, rows)?;
    let GatherQmm { scheme, transpose } = *primitive;
    run(op, scheme, transpose, &jobs, call)
}

/// The products of each right side, from the places of both sides.
fn jobs(
    op: &'static str,
    call: &Call,
    places: usize,
    counts: [usize; 2],
    rows: usize,
) -> Result<Vec<Job>> {
    let pairs = places_of(op, call, places, counts)?;
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&i| pairs[i].1);
    let mut jobs: Vec<Job> = Vec::new();
    for i in order {
        let (left, right) = pairs[i];
        if jobs.last().is_none_or(|job| job.matrix != right) {
            jobs.push(Job {
                matrix: right,
                rows: Vec::new(),
            });
        }
        if let Some(job) = jobs.last_mut() {
            job.rows
                .extend((0..rows).map(|row| (left * rows + row, i * rows + row)));
        }
    }
    Ok(jobs)
}

/// The places on the left and on the right of each product, from two inputs.
pub(in crate::kernels) fn places_of(
    op: &'static str,
    call: &Call,
    first: usize,
    counts: [usize; 2],
) -> Result<Vec<(usize, usize)>> {
    let list = |side: usize| -> Result<Vec<usize>> {
        let operand = call.input(first + side);
        let mut list = vec![0; operand.shape.elements()];
        let stride = operand.data.strides.first().copied().unwrap_or(1);
        let positions = Positions::new(op, operand, 0, counts[side]);
        positions.read(0, stride, list.len(), |i, position| list[i] = position)?;
        Ok(list)
    };
    Ok(list(0)?.into_iter().zip(list(1)?).collect())
}

fn run(
    op: &'static str,
    scheme: Quantization,
    transpose: bool,
    jobs: &[Job],
    call: &mut Call,
) -> Result<()> {
    let dtype = call.dtype(0);
    with_codes!(scheme, C => dispatch!(narrow, dtype, T => {
        products::<T, C>(op, scheme, transpose, jobs, call)
    }, else Err(wrong_dtype(op, dtype))), else {
        let reason = format!("there are no {} codes of {} bits", scheme.mode(), scheme.bits());
        Err(Error::Argument { op, reason })
    })
}

fn products<T: Number, C: Codes>(
    op: &'static str,
    scheme: Quantization,
    transpose: bool,
    jobs: &[Job],
    call: &mut Call,
) -> Result<()> {
    let out = Output::<T>::allocate(call, 0, op)?;
    let shape = call.shape(0);
    if out.len() == 0 {
        return Ok(());
    }
    let columns = shape[shape.rank() - 1];
    let x = dense::<T>(call.input(0), op)?;
    let x = if let Some(same) = T::as_wide(&x) {
        Cow::Borrowed(same)
    } else {
        let mut wide = vec![0.0; x.len()];
        T::widen_slice(&x, &mut wide);
        Cow::Owned(wide)
    };
    let inner = call.input(0).shape.last().copied().unwrap_or(0);
    let sides = Sides {
        x,
        inner,
        out: Target::new(out.ptr(), columns),
        columns,
        transpose,
    };
    let packed = Packed::new(call, scheme, op)?;
    for job in jobs.iter().filter(|job| !job.rows.is_empty()) {
        if transpose && job.rows.len() <= FEW {
            few::<T, C>(&packed, job, &sides);
        } else {
            many::<T, C>(&packed, job, &sides);
        }
    }
    Ok(())
}

/// Products of a few rows with each packed row.
fn few<T: Number, C: Codes>(packed: &Packed<T>, job: &Job, sides: &Sides<T>) {
    let inner = sides.inner;
    let start = job.matrix * packed.rows;
    parallel_for(sides.columns, inner * (1 + job.rows.len() / 4), |range| {
        let (mut room, mut numbers) = (Room::default(), vec![0.0f32; 4 * CHUNK.min(inner)]);
        for column in range.clone().step_by(4) {
            let tall = (range.end - column).min(4);
            let mut sums = [[0.0f32; FEW]; 4];
            for first in (0..inner).step_by(CHUNK) {
                let len = (inner - first).min(CHUNK);
                for (i, to) in numbers.chunks_exact_mut(len).enumerate().take(tall) {
                    packed.read::<C>(start + column + i, first..first + len, &mut room, to);
                }
                let w = std::array::from_fn(|i| numbers[len * i.min(tall - 1)..].as_ptr());
                for block in (0..job.rows.len()).step_by(4) {
                    let wide = (job.rows.len() - block).min(4);
                    let x = std::array::from_fn(|j| {
                        sides.row(job.rows[block + j.min(wide - 1)].0)[first..].as_ptr()
                    });
                    let dots = dots::<f32>(w, x, wide, len);
                    for (sums, dots) in sums.iter_mut().zip(dots) {
                        for (sum, dot) in sums[block..].iter_mut().zip(&dots[..wide]) {
                            *sum += dot;
                        }
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate().take(tall) {
                for (&(_, row), &sum) in job.rows.iter().zip(sums) {
                    // SAFETY: within the output, in columns that are this thread's alone.
                    unsafe { sides.out.at(row, column + i).write(T::narrow(sum)) };
                }
            }
        }
    });
}

/// Products of many rows with panels of the packed matrix.
fn many<T: Number, C: Codes>(packed: &Packed<T>, job: &Job, sides: &Sides<T>) {
    let (inner, group) = (sides.inner, packed.scheme.group_size());
    let start = job.matrix * packed.rows;
    let x = sides.rows(job);
    let wide = (PANEL / inner.max(1)).clamp(16, 256);
    // Panels of a matrix that is not transposed are cut between groups.
    let wide = if sides.transpose {
        wide
    } else {
        (wide - wide % group).max(group)
    };
    let tall = 512.min(job.rows.len());
    let cost = inner * wide * (4 + job.rows.len() / 8);
    parallel_for(sides.columns.div_ceil(wide), cost, |panels| {
        let (mut room, mut numbers) = (Room::default(), vec![0.0f32; wide * inner]);
        let mut result = vec![0.0f32; tall * wide];
        for panel in panels {
            let first = panel * wide;
            let width = (sides.columns - first).min(wide);
            let start_of = |matrix: &Vec<f32>| matrix.as_ptr();
            let right = if sides.transpose {
                for (i, to) in numbers
                    .chunks_exact_mut(inner.max(1))
                    .enumerate()
                    .take(width)
                {
                    packed.read::<C>(start + first + i, 0..inner, &mut room, to);
                }
                Matrix {
                    start: start_of(&numbers),
                    rows: 1,
                    columns: inner as isize,
                }
            } else {
                for (i, to) in numbers.chunks_exact_mut(width).enumerate().take(inner) {
                    packed.read::<C>(start + i, first..first + width, &mut room, to);
                }
                Matrix {
                    start: start_of(&numbers),
                    rows: width as isize,
                    columns: 1,
                }
            };
            for (at, rows) in job.rows.chunks(tall).enumerate() {
                let left = x[at * tall * inner..].as_ptr();
                let left = Matrix {
                    start: left,
                    rows: inner as isize,
                    columns: 1,
                };
                let sizes = Sizes {
                    m: rows.len(),
                    n: width,
                    k: inner,
                };
                let to = Target::new(result.as_mut_ptr(), width);
                // SAFETY: the left side has these rows, the panel was filled, and the result has
                // room for the block.
                unsafe { multiply(sizes, left, right, to, false, false) };
                for (from, &(_, row)) in result.chunks_exact(width).zip(rows) {
                    // SAFETY: part of a row of the output, in columns that are this thread's alone.
                    let to =
                        unsafe { std::slice::from_raw_parts_mut(sides.out.at(row, first), width) };
                    narrow(from, to);
                }
            }
        }
    });
}
