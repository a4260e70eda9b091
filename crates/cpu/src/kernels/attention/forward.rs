//! Owns attention of many queries: blocks of queries meet blocks of keys, and the softmax is kept
//! up as keys arrive, so that only one block of scores exists at a time.

use super::{Problem, dense, multiply, wide};
use crate::{
    isa::{Isa, per_isa},
    kernels::{
        row::{RowElement, narrow},
        softmax::{exp_body, max_body},
    },
    pool::parallel_for,
    simd::Narrow,
    tensor::Output,
};

/// Queries in a block.
const ROWS: usize = 64;

/// Keys in a block.
const COLUMNS: usize = 256;

/// What one thread works in.
#[derive(Default)]
struct Room {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    scores: Vec<f32>,
    sums: Vec<f32>,
}

pub(super) fn run<T: Narrow + RowElement<Wide = f32>>(problem: &Problem<T>, out: &Output<T>) {
    let blocks = problem.queries.div_ceil(ROWS);
    let rows = problem.queries.min(ROWS);
    let work = rows * problem.keys * (problem.size + problem.value_size);
    let work = work / if problem.causal { 16 } else { 8 };
    let units = problem.batch * problem.heads * blocks;
    parallel_for(units, work, |units| {
        let mut room = Room::default();
        for unit in units {
            // The longest blocks of causal attention come first, so that threads end together.
            block(
                problem,
                unit / blocks,
                blocks - 1 - unit % blocks,
                out,
                &mut room,
            );
        }
    });
}

fn block<T: Narrow + RowElement<Wide = f32>>(
    problem: &Problem<T>,
    unit: usize,
    block: usize,
    out: &Output<T>,
    room: &mut Room,
) {
    let (batch, head) = (unit / problem.heads, unit % problem.heads);
    let key_head = head / problem.group();
    let first = block * ROWS;
    let rows = (problem.queries - first).min(ROWS);
    let (size, value_size) = (problem.size, problem.value_size);
    let Room {
        q,
        k,
        v,
        scores,
        sums,
    } = room;
    let queries = problem.q.matrix(batch, head);
    read_scaled(problem, queries.skip(first, 0), rows, q);
    scores.resize(ROWS * COLUMNS, 0.0);
    sums.clear();
    sums.resize(rows * value_size, 0.0);
    // A sink is a score that is there from the start and has no value.
    let sink = problem.sinks.get(head).copied();
    let mut greatest = [sink.unwrap_or(f32::NEG_INFINITY); ROWS];
    let mut totals = [if sink.is_some() { 1.0 } else { 0.0 }; ROWS];
    let (keys, values) = (
        problem.k.matrix(batch, key_head),
        problem.v.matrix(batch, key_head),
    );
    let end = problem.needed(first, first + rows);
    for column in (0..end).step_by(COLUMNS) {
        let columns = (end - column).min(COLUMNS);
        // SAFETY: the blocks lie within the operands, and the results have room.
        unsafe {
            let keys = wide(keys.skip(column, 0), columns, size, k).transposed();
            multiply((rows, columns, size), dense(q, size), keys, scores, false);
        }
        for (i, row) in scores[..rows * columns].chunks_mut(columns).enumerate() {
            problem.apply_mask(batch, head, first + i, column, row);
            let sums = &mut sums[i * value_size..][..value_size];
            absorb(row, &mut greatest[i], &mut totals[i], sums);
        }
        // SAFETY: as above.
        unsafe {
            let values = wide(values.skip(column, 0), columns, value_size, v);
            let weights = dense(scores, columns);
            multiply((rows, value_size, columns), weights, values, sums, true);
        }
    }
    for (i, sums) in sums.chunks_mut(value_size.max(1)).enumerate() {
        let scale = 1.0 / totals[i];
        for sum in sums.iter_mut() {
            *sum *= scale;
        }
        let at = (unit * problem.queries + first + i) * value_size;
        // SAFETY: each row is one thread's alone.
        narrow(sums, unsafe { out.part(at..at + value_size) });
    }
}

/// Reads rows of queries as `f32`, times the scale.
pub(super) fn read_scaled<T: Narrow>(
    problem: &Problem<T>,
    queries: super::Matrix<T>,
    rows: usize,
    to: &mut Vec<f32>,
) {
    to.clear();
    for i in 0..rows {
        // SAFETY: the caller names rows within the queries.
        let row = (0..problem.size).map(|j| unsafe { queries.at(i, j).read() }.widen());
        to.extend(row.map(|x| x * problem.scale));
    }
}

per_isa! {
    /// Turns a row of scores to weights relative to the greatest score so far, and rescales what
    /// was summed before if that grew.
    pub(super) fn absorb(scores: &mut [f32], greatest: &mut f32, total: &mut f32, sums: &mut [f32]) = absorb_body;
}

#[inline(always)]
fn absorb_body<S: Isa>(scores: &mut [f32], greatest: &mut f32, total: &mut f32, sums: &mut [f32]) {
    let before = *greatest;
    let here = max_body::<S>(scores);
    let now = if here > before { here } else { before };
    // While all scores are minus infinity, zero stands in for the greatest: weights are zero.
    let shift = if now == f32::NEG_INFINITY { 0.0 } else { now };
    let sum = exp_body::<S>(scores, shift);
    if now > before {
        let factor = (before - now).exp();
        *total *= factor;
        for sum in sums {
            *sum *= factor;
        }
        *greatest = now;
    }
    *total += sum;
}
