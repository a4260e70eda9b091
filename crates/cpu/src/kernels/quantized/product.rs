//! Owns products with packed matrices, and the choice between their kinds. With few rows on the left, packed
//! rows are multiplied as they are read; with many, they are laid out or unpacked anew.

use std::ops::Range;

use olivine_core::{
    Call, Result,
    quantized::{Activations, GatherQmm, Quantization, QuantizedMatmul},
};

use super::{
    codes::{Codes, with_codes},
    columns, digits,
    integer::{self, Panel, Rounded as RoundedRows},
    lines::{Lines, Picked},
    no_such,
    operands::{Job, Packed, Room, Sides, floats},
    results,
    ways::{self, AsNumbers, InDigits},
};
use crate::{
    kernels::{
        indices::Positions,
        matmul::{Matrix, Pairs, Singles, Sizes, Target, multiply, multiply_sides},
    },
    pool::{num_threads, parallel_for, parallel_units},
};

/// The most rows on the left for which codes become numbers as they are read: with more, unpacking the packed
/// matrix first is as fast.
const FEW: usize = 48;

/// The same where pairs make large products twice as fast, and where only these are in pairs.
const FEW_IN_PAIRS: usize = 16;
const FEW_BESIDE_PAIRS: usize = 8;

/// The fewest rows on the left that are rounded, where that is asked for: fewer wait for packed rows.
const SOME_ROUNDED: usize = 5;
/// The most numbers of a panel: 2 MiB.
const PANEL: usize = 512 * 1024;
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
    with_codes!(scheme, C => products::<C>(op, scheme, transpose, jobs, call), else {
        Err(no_such(op, scheme))
    })
}

fn products<C: Codes>(
    op: &'static str,
    scheme: Quantization,
    transpose: bool,
    jobs: &[Job],
    call: &mut Call,
) -> Result<()> {
    let out = results(call, op)?;
    let shape = call.shape(0);
    if shape.elements() == 0 {
        return Ok(());
    }
    let columns = shape[shape.rank() - 1];
    let x = floats(call, 0, op)?;
    let inner = call.input(0).shape.last().copied().unwrap_or(0);
    let sides = Sides {
        x,
        inner,
        out,
        columns,
    };
    let packed = Packed::new(call, scheme, op)?;
    let jobs = jobs.iter().filter(|job| !job.rows.is_empty());
    if inner == 0 {
        let zeros = vec![0.0; columns];
        for (_, to) in jobs.flat_map(|job| &job.rows) {
            // SAFETY: a row of the output.
            unsafe { sides.out.write(&zeros, *to, 0) };
        }
        return Ok(());
    }
    if !transpose {
        let jobs: Vec<&Job> = jobs.collect();
        let some = |range: Range<usize>| {
            for job in &jobs[range] {
                panels::<C>(&packed, job, &sides);
            }
        };
        // Where there are matrices for all threads, as with packed values of attention, these are
        // shared out: each may be a single panel.
        if jobs.len() >= num_threads() {
            parallel_units(jobs.len(), inner * columns, some);
        } else {
            some(0..jobs.len());
        }
        return Ok(());
    }
    let rounds = scheme.activations() == Activations::Int8;
    let (in_pairs, pairs_of_codes) = (sides.x.in_pairs(), sides.x.in_pairs() && C::BITS <= 4);
    let in_digits = sides.x.are_halves() && digits::are_fast();
    let few_rows = match in_pairs {
        true if pairs_of_codes => FEW_IN_PAIRS,
        true => FEW_BESIDE_PAIRS,
        false => FEW,
    };
    let in_columns =
        |rows| in_digits && !in_pairs && columns::takes::<C>(scheme.group_size(), rows);
    let (mut waiting, mut by_columns): (Vec<&Job>, Vec<&Job>) = Default::default();
    let mut rows_waiting = 0;
    let some = |jobs: &mut Vec<&Job>| {
        if pairs_of_codes {
            ways::multiply::<C, AsNumbers<Pairs>>(&packed, jobs, &sides);
        } else if in_digits && digits::takes::<C>() {
            ways::multiply::<C, InDigits>(&packed, jobs, &sides);
        } else {
            ways::multiply::<C, AsNumbers<Singles>>(&packed, jobs, &sides);
        }
        jobs.clear();
    };
    for job in jobs {
        let count = job.rows.len();
        if count >= SOME_ROUNDED && rounds && many_rounded::<C>(&packed, job, &sides) {
            // Nothing is left to do.
        } else if in_columns(count) {
            by_columns.push(job);
        } else if count > few_rows {
            many::<C>(&packed, job, &sides);
        } else {
            waiting.push(job);
            rows_waiting += count;
            if rows_waiting >= TOGETHER {
                some(&mut waiting);
                rows_waiting = 0;
            }
        }
    }
    some(&mut waiting);
    columns::multiply::<C>(&packed, &by_columns, &sides);
    Ok(())
}

/// The rows of products with several matrices that are shared out at once.
const TOGETHER: usize = 64;
/// Products of many rows with all rows of a packed matrix.
fn many<C: Codes>(packed: &Packed, job: &Job, sides: &Sides) {
    let sizes = Sizes {
        m: job.rows.len(),
        n: sides.columns,
        k: sides.inner,
    };
    let first = job.rows[0].1;
    let together = job
        .rows
        .iter()
        .enumerate()
        .all(|(i, &(_, row))| row == first + i);
    // Results that do not lie together are put where they belong afterwards, as bytes.
    let size = sides.out.size();
    let len = if together { 0 } else { sizes.m * sizes.n };
    let mut apart = vec![0.0f32; (len * size).div_ceil(size_of::<f32>())];
    let out = if together {
        sides.out.skip(first, 0)
    } else {
        sides.out.elsewhere(apart.as_mut_ptr().cast(), sizes.n)
    };
    let lines = &job.rows;
    // SAFETY: the left side has these rows, the packed matrix as many as the result has columns,
    // and the result is ours.
    unsafe {
        if let Some(side) = sides.x.pairs(sides.inner) {
            let left = Picked { side: &side, lines };
            let right = Lines::<C, Pairs>::new(packed, job.matrix);
            multiply_sides(sizes, &left, &right, out, true);
        } else {
            let side = &*sides.x.rows(sides.inner);
            let left = Picked { side, lines };
            let right = Lines::<C, Singles>::new(packed, job.matrix);
            multiply_sides(sizes, &left, &right, out, true);
        }
    }
    if !together {
        for (i, &(_, row)) in job.rows.iter().enumerate() {
            let (from, to) = (out.at(i, 0), sides.out.at(row, 0));
            // SAFETY: a row of results and its place in the output.
            unsafe { to.copy_from_nonoverlapping(from, sizes.n * size) };
        }
    }
}

/// Products of many rows, rounded to whole numbers, with all rows of a packed matrix; or does nothing
/// and returns false, where the codes do not allow it or numbers are not finite.
fn many_rounded<C: Codes>(packed: &Packed, job: &Job, sides: &Sides) -> bool {
    if !integer::takes::<C>() {
        return false;
    }
    let (inner, group) = (sides.inner, packed.scheme.group_size());
    let read = |row: usize, to: &mut [f32]| {
        let (row, _) = job.rows[row];
        sides.x.widen(row * inner..(row + 1) * inner, to);
    };
    let Some(rows) = RoundedRows::new::<C>(job.rows.len(), inner, group, read) else {
        return false;
    };
    let (width, height) = (integer::panel_width(), integer::tile_height());
    let (words, groups) = (inner * C::BITS / 32, inner / group);
    let cost = width * inner * (1 + rows.count() / 16);
    parallel_for(sides.columns.div_ceil(width), cost, |panels| {
        let mut panel_words = vec![0u32; words * width];
        let mut factors = [(); 2].map(|()| vec![0.0; groups * width]);
        let mut line_factors = [(); 2].map(|()| vec![0.0; groups]);
        let mut sums = vec![0.0; height * width];
        for panel in panels {
            let columns = panel * width..sides.columns.min((panel + 1) * width);
            let first = job.matrix * packed.rows + columns.start;
            for (i, row) in (first..first + columns.len()).enumerate() {
                let [scales, biases] = &mut line_factors;
                packed.scales(row * groups..(row + 1) * groups, scales, biases);
                for (to, from) in factors.iter_mut().zip(&line_factors) {
                    for (group, &factor) in from.iter().enumerate() {
                        to[group * width + i] = factor;
                    }
                }
            }
            let lines = first..first + columns.len();
            let to = panel_words.as_mut_ptr().cast();
            // SAFETY: the panel has room for the words of `width` columns.
            unsafe { packed.interleave::<C>(lines, 0..words, to, width) };
            let panel = Panel {
                words: &panel_words,
                scales: &factors[0],
                biases: &factors[1],
            };
            for start in (0..rows.count()).step_by(height) {
                let range = start..rows.count().min(start + height);
                integer::multiply::<C>(&rows, range.clone(), panel, &mut sums);
                for (sums, row) in sums.chunks_exact_mut(width).zip(range) {
                    let sums = &mut sums[..columns.len()];
                    // Infinities have to meet the numbers that codes stand for.
                    for (i, sum) in sums.iter_mut().enumerate() {
                        if !sum.is_finite() {
                            let mut wide = vec![0.0; inner];
                            read(row, &mut wide);
                            *sum = packed.dot::<C>(first + i, &wide);
                        }
                    }
                    // SAFETY: within the output, in columns that are this thread's alone.
                    unsafe { sides.out.write(sums, job.rows[row].1, columns.start) };
                }
            }
        }
    });
    true
}

/// Products of rows with panels of a packed matrix that is not transposed.
fn panels<C: Codes>(packed: &Packed, job: &Job, sides: &Sides) {
    let (inner, group) = (sides.inner, packed.scheme.group_size());
    let start = job.matrix * packed.rows;
    let x = sides.wide_rows(job);
    let wide = (PANEL / inner.max(1)).clamp(16, 256);
    // Panels are cut between groups.
    let wide = (wide - wide % group).max(group);
    let tall = 512.min(job.rows.len());
    let cost = inner * wide * (4 + job.rows.len() / 8);
    parallel_for(sides.columns.div_ceil(wide), cost, |panels| {
        let (mut room, mut numbers) = (Room::default(), vec![0.0f32; wide * inner]);
        let mut result = vec![0.0f32; tall * wide];
        for panel in panels {
            let first = panel * wide;
            let width = (sides.columns - first).min(wide);
            for (i, to) in numbers.chunks_exact_mut(width).enumerate().take(inner) {
                packed.read::<C>(start + i, first..first + width, &mut room, to);
            }
            let right = Matrix {
                start: numbers.as_ptr(),
                rows: width as isize,
                columns: 1,
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
                    unsafe { sides.out.write(from, row, first) };
                }
            }
        }
    });
}
