//! Owns attention of many queries: blocks of queries, of all heads that share keys, meet blocks of keys,
//! and the softmax is kept up as keys arrive, so that only one block of scores exists at a time.

use std::{cell::Cell, ops::Range};

use super::{Problem, dense, multiply};
use crate::{
    isa::{Isa, per_isa},
    kernels::{
        row::{RowElement, narrow},
        softmax::{exp_body, max_body},
    },
    pool::{num_threads, parallel_units},
    simd::Narrow,
    tensor::Output,
};

/// The rows of a block: the queries of one head after those of another.
const ROWS: usize = 256;

/// The most queries of one head in a block: more of them meet more keys that causal attention hides.
const QUERIES: usize = 128;

/// Fewer queries of one head are not taken apart.
const FEWEST: usize = 64;

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
    greatest: Vec<f32>,
    totals: Vec<f32>,
}

thread_local! {
    static ROOM: Cell<Room> = Cell::default();
}

pub(super) fn run<T: Narrow + RowElement<Wide = f32>>(problem: &Problem<T>, out: &Output<T>) {
    let group = problem.group();
    // Enough blocks that threads end together, but not too few queries in each.
    let pairs = problem.batch * problem.key_heads;
    let enough = (8 * num_threads()).div_ceil(pairs).max(1);
    let most = (problem.queries.div_ceil(enough)).max(FEWEST);
    let rows = (ROWS / group).clamp(FEWEST, QUERIES).min(most);
    let blocks = problem.queries.div_ceil(rows);
    let work = group * rows * problem.keys * (problem.size + problem.value_size);
    let work = work / if problem.causal { 16 } else { 8 };
    parallel_units(pairs * blocks, work, |units| {
        let mut room = ROOM.take();
        for unit in units {
            // The longest blocks of causal attention come first, so that threads end together.
            let first = (blocks - 1 - unit / pairs) * rows;
            let queries = first..(first + rows).min(problem.queries);
            block(problem, unit % pairs, queries, out, &mut room);
        }
        ROOM.set(room);
    });
}

/// Computes the results of some queries of all heads of one head of keys.
fn block<T: Narrow + RowElement<Wide = f32>>(
    problem: &Problem<T>,
    pair: usize,
    queries: Range<usize>,
    out: &Output<T>,
    room: &mut Room,
) {
    let (batch, key_head) = (pair / problem.key_heads, pair % problem.key_heads);
    let (group, count, first) = (problem.group(), queries.len(), queries.start);
    let rows = group * count;
    let (size, value_size) = (problem.size, problem.value_size);
    let Room {
        q,
        k,
        v,
        scores,
        sums,
        greatest,
        totals,
    } = room;
    let heads = key_head * group..(key_head + 1) * group;
    q.clear();
    greatest.clear();
    totals.clear();
    for head in heads.clone() {
        let queries = problem.q.matrix(batch, head).skip(first, 0);
        append_scaled(problem, queries, count, q);
        // A sink is a score that is there from the start and has no value.
        let sink = problem.sinks.get(head).copied();
        greatest.resize(greatest.len() + count, sink.unwrap_or(f32::NEG_INFINITY));
        totals.resize(totals.len() + count, if sink.is_some() { 1.0 } else { 0.0 });
    }
    scores.resize((rows * COLUMNS).max(scores.len()), 0.0);
    sums.clear();
    sums.resize(rows * value_size, 0.0);
    let head = (batch, key_head);
    let end = problem.needed(first, queries.end);
    for column in (0..end).step_by(COLUMNS) {
        let columns = (end - column).min(COLUMNS);
        // SAFETY: the blocks lie within the operands, and the results have room.
        unsafe {
            let keys = problem.k.wide(head, column..column + columns, size, k);
            let keys = keys.transposed();
            multiply((rows, columns, size), dense(q, size), keys, scores, false);
        }
        for (i, row) in scores[..rows * columns].chunks_mut(columns).enumerate() {
            let (head, query) = (heads.start + i / count, first + i % count);
            problem.apply_mask(batch, head, query, column, row);
            let sums = &mut sums[i * value_size..][..value_size];
            absorb(row, &mut greatest[i], &mut totals[i], sums);
        }
        // SAFETY: as above.
        unsafe {
            let values = problem
                .v
                .wide(head, column..column + columns, value_size, v);
            let weights = dense(scores, columns);
            multiply((rows, value_size, columns), weights, values, sums, true);
        }
    }
    for (i, sums) in sums.chunks_mut(value_size.max(1)).enumerate() {
        let scale = 1.0 / totals[i];
        for sum in sums.iter_mut() {
            *sum *= scale;
        }
        let (head, query) = (heads.start + i / count, first + i % count);
        let row = (batch * problem.heads + head) * problem.queries + query;
        let at = row * value_size;
        // SAFETY: each row is one thread's alone.
        narrow(sums, unsafe { out.part(at..at + value_size) });
    }
}

/// Reads rows of queries as `f32`, times the scale.
pub(super) fn read_scaled<T: Narrow + RowElement<Wide = f32>>(
    problem: &Problem<T>,
    queries: super::Matrix<T>,
    rows: usize,
    to: &mut Vec<f32>,
) {
    to.clear();
    append_scaled(problem, queries, rows, to);
}

fn append_scaled<T: Narrow + RowElement<Wide = f32>>(
    problem: &Problem<T>,
    queries: super::Matrix<T>,
    rows: usize,
    to: &mut Vec<f32>,
) {
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
