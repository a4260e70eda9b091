//! Owns attention of a single query, as when text is generated: keys and values are read once, as
//! they lie, for all query heads that share them.

use std::{ops::Range, sync::Mutex};

use super::{
    Matrix, Problem, Side,
    forward::{absorb, read_scaled},
};
use crate::{
    isa::per_isa,
    kernels::row::{RowElement, narrow},
    pool::{num_threads, parallel_for},
    simd::{Lanes, Narrow},
    tensor::Output,
};

/// Keys whose scores are computed before their values are summed.
const COLUMNS: usize = 128;

/// The fewest keys that a thread takes from a head.
const SHARE: usize = 512;

/// What the heads of a group have seen: sums of weighted values, and of weights relative to the
/// greatest score.
#[derive(Clone, Default)]
struct Seen {
    sums: Vec<f32>,
    totals: Vec<f32>,
    greatest: Vec<f32>,
}

impl Seen {
    fn nothing(group: usize, value_size: usize) -> Self {
        Seen {
            sums: vec![0.0; group * value_size],
            totals: vec![0.0; group],
            greatest: vec![f32::NEG_INFINITY; group],
        }
    }

    /// Adds what another part of the keys gave.
    fn join(&mut self, other: &Seen, value_size: usize) {
        for i in 0..self.totals.len() {
            let (ours, theirs) = (self.greatest[i], other.greatest[i]);
            let now = if theirs > ours { theirs } else { ours };
            let factor = |before: f32| {
                if before == f32::NEG_INFINITY {
                    0.0
                } else {
                    (before - now).exp()
                }
            };
            let (a, b) = (factor(ours), factor(theirs));
            // A total that is NaN stays so, whatever the factors.
            self.totals[i] = self.totals[i] * a + other.totals[i] * b;
            let range = i * value_size..(i + 1) * value_size;
            for (sum, other) in self.sums[range.clone()].iter_mut().zip(&other.sums[range]) {
                *sum = *sum * a + other * b;
            }
            self.greatest[i] = now;
        }
    }
}

pub(super) fn run<T: Narrow + RowElement<Wide = f32>>(problem: &Problem<T>, out: &Output<T>) {
    let (group, value_size) = (problem.group(), problem.value_size);
    let heads = problem.batch * problem.key_heads;
    // Long caches are cut in parts, so that there is something for every thread.
    let parts = (2 * num_threads())
        .div_ceil(heads)
        .min(problem.keys.div_ceil(SHARE))
        .max(1);
    let share = problem.keys.div_ceil(parts);
    let work = share * (problem.size + value_size) * group.max(2) / 8;
    let results: Vec<Mutex<Seen>> = (0..heads * parts).map(|_| Mutex::default()).collect();
    parallel_for(heads * parts, work, |units| {
        let mut queries = Vec::new();
        for unit in units {
            let (head, part) = (unit / parts, unit % parts);
            let (batch, key_head) = (head / problem.key_heads, head % problem.key_heads);
            let keys = part * share..((part + 1) * share).min(problem.keys);
            let mut seen = Seen::nothing(group, value_size);
            let first = problem.q.matrix(batch, key_head * group);
            let rows = Matrix {
                rows: problem.q.strides[1],
                ..first
            };
            read_scaled(problem, rows, group, &mut queries);
            look(problem, (batch, key_head), keys, &queries, &mut seen);
            if parts == 1 {
                finish(problem, head, &mut seen, out);
            } else {
                *results[unit]
                    .lock()
                    .expect("no thread panics while it holds this") = seen;
            }
        }
    });
    if parts == 1 {
        return;
    }
    for (head, parts) in results.chunks(parts).enumerate() {
        let mut seen = Seen::nothing(group, value_size);
        for part in parts {
            let part = part.lock().expect("no thread panics while it holds this");
            seen.join(&part, value_size);
        }
        finish(problem, head, &mut seen, out);
    }
}

/// Divides the sums by the totals, sinks included, and writes a group's results.
fn finish<T: Narrow + RowElement<Wide = f32>>(
    problem: &Problem<T>,
    head: usize,
    seen: &mut Seen,
    out: &Output<T>,
) {
    let (group, value_size) = (problem.group(), problem.value_size);
    if !problem.sinks.is_empty() {
        let first = head % problem.key_heads * group;
        let sinks = Seen {
            sums: vec![0.0; group * value_size],
            totals: vec![1.0; group],
            greatest: problem.sinks[first..first + group].to_vec(),
        };
        seen.join(&sinks, value_size);
    }
    for i in 0..group {
        let scale = 1.0 / seen.totals[i];
        let sums = &mut seen.sums[i * value_size..(i + 1) * value_size];
        for sum in sums.iter_mut() {
            *sum *= scale;
        }
        let at = (head * group + i) * value_size;
        // SAFETY: each head is one thread's alone.
        narrow(sums, unsafe { out.part(at..at + value_size) });
    }
}

/// Calls `$body` with some rows of a side: as they lie, or unpacked to `f32`.
macro_rules! with_rows {
    (($side:expr, $head:expr, $first:expr, $count:expr, $size:expr, $room:expr) => |$rows:ident| $body:expr) => {{
        let (first, count, size) = ($first, $count, $size);
        match $side {
            Side::Plain(heads) => {
                let rows = heads.matrix($head.0, $head.1).skip(first, 0);
                let $rows = Keys { rows, count, size };
                $body
            }
            packed => {
                // SAFETY: the keys are there.
                let rows = unsafe { packed.wide($head, first..first + count, size, &mut $room) };
                let $rows = Keys { rows, count, size };
                $body
            }
        }
    }};
}

/// Lets a group of queries see a range of keys.
fn look<T: Narrow + RowElement<Wide = f32>>(
    problem: &Problem<T>,
    head: (usize, usize),
    keys: Range<usize>,
    queries: &[f32],
    seen: &mut Seen,
) {
    let (group, size, value_size) = (problem.group(), problem.size, problem.value_size);
    let mut scores = vec![0.0; group * COLUMNS];
    let mut room = Vec::new();
    for first in keys.clone().step_by(COLUMNS) {
        let count = (keys.end - first).min(COLUMNS);
        with_rows!((&problem.k, head, first, count, size, room) => |rows| dots(rows, queries, &mut scores));
        for (i, row) in scores[..group * count].chunks_mut(count).enumerate() {
            let (batch, key_head) = head;
            problem.apply_mask(batch, key_head * group + i, 0, first, row);
            let sums = &mut seen.sums[i * value_size..(i + 1) * value_size];
            absorb(row, &mut seen.greatest[i], &mut seen.totals[i], sums);
        }
        with_rows!((&problem.v, head, first, count, value_size, room) => |rows| {
            add_values(rows, &scores, &mut seen.sums);
        });
    }
}

/// Some rows of keys or values of a view, each `size` neighbours.
#[derive(Clone, Copy)]
struct Keys<T> {
    rows: Matrix<T>,
    count: usize,
    size: usize,
}

per_isa! {
    /// The dot products of keys with queries: a row of scores for each query.
    fn dots<T: Narrow>(keys: Keys<T>, queries: &[f32], scores: &mut [f32]) = dots_body;
}

#[inline(always)]
fn dots_body<S: Lanes, T: Narrow>(keys: Keys<T>, queries: &[f32], scores: &mut [f32]) {
    let Keys { count, size, .. } = keys;
    for (four, queries) in queries.chunks(4 * size.max(1)).enumerate() {
        let scores = &mut scores[four * 4 * count..];
        match queries.len() / size.max(1) {
            0 => {}
            1 => dots_of::<S, T, 1>(keys, queries, scores),
            2 => dots_of::<S, T, 2>(keys, queries, scores),
            3 => dots_of::<S, T, 3>(keys, queries, scores),
            _ => dots_of::<S, T, 4>(keys, queries, scores),
        }
    }
}

#[inline(always)]
fn dots_of<S: Lanes, T: Narrow, const M: usize>(
    keys: Keys<T>,
    queries: &[f32],
    scores: &mut [f32],
) {
    let Keys { rows, count, size } = keys;
    assert!(queries.len() >= M * size && scores.len() >= M * count);
    let whole = size - size % S::N;
    for key in 0..count {
        let row = rows.at(key, 0);
        let mut sums = [[S::splat(0.0); 2]; M];
        let mut at = 0;
        let mut odd = 0;
        while at < whole {
            // SAFETY: a key has `size` elements, as each of the queries.
            unsafe {
                let k = T::load::<S>(row.add(at));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let q = S::load(queries.as_ptr().add(i * size + at));
                    // Two sums take turns, so that one does not wait for the other.
                    sums[odd] = S::mul_add(k, q, sums[odd]);
                }
            }
            at += S::N;
            odd = 1 - odd;
        }
        let mut dots = [S::splat(0.0); 4];
        for (dot, [even, odd]) in dots.iter_mut().zip(sums) {
            *dot = S::add(even, odd);
        }
        let dots = S::four_sums(dots);
        for (i, mut dot) in dots.into_iter().enumerate().take(M) {
            for j in whole..size {
                // SAFETY: as above.
                dot += unsafe { row.add(j).read() }.widen() * queries[i * size + j];
            }
            scores[i * count + key] = dot;
        }
    }
}

per_isa! {
    /// Adds to each query's sums the values, weighted by its row of scores.
    fn add_values<T: Narrow>(values: Keys<T>, weights: &[f32], sums: &mut [f32]) = add_body;
}

#[inline(always)]
fn add_body<S: Lanes, T: Narrow>(values: Keys<T>, weights: &[f32], sums: &mut [f32]) {
    let Keys { count, size, .. } = values;
    for (four, sums) in sums.chunks_mut(4 * size.max(1)).enumerate() {
        let weights = &weights[four * 4 * count..];
        match sums.len() / size.max(1) {
            0 => {}
            1 => add_of::<S, T, 1>(values, weights, sums),
            2 => add_of::<S, T, 2>(values, weights, sums),
            3 => add_of::<S, T, 3>(values, weights, sums),
            _ => add_of::<S, T, 4>(values, weights, sums),
        }
    }
}

#[inline(always)]
fn add_of<S: Lanes, T: Narrow, const M: usize>(values: Keys<T>, weights: &[f32], sums: &mut [f32]) {
    let Keys { rows, count, size } = values;
    assert!(weights.len() >= M * count && sums.len() >= M * size);
    let whole = size - size % (2 * S::N);
    let mut at = 0;
    while at < whole {
        let mut parts = [[S::splat(0.0); 2]; M];
        // SAFETY: a value has `size` elements, as each query's sums.
        unsafe {
            for key in 0..count {
                let row = rows.at(key, at);
                let v = [T::load::<S>(row), T::load::<S>(row.add(S::N))];
                for (i, parts) in parts.iter_mut().enumerate() {
                    let weight = S::splat(*weights.get_unchecked(i * count + key));
                    parts[0] = S::mul_add(v[0], weight, parts[0]);
                    parts[1] = S::mul_add(v[1], weight, parts[1]);
                }
            }
            let one = S::splat(1.0);
            for (i, parts) in parts.iter().enumerate() {
                let to = sums.as_mut_ptr().add(i * size + at);
                S::store(S::mul_add(S::load(to), one, parts[0]), to);
                let to = to.add(S::N);
                S::store(S::mul_add(S::load(to), one, parts[1]), to);
            }
        }
        at += 2 * S::N;
    }
    for j in whole..size {
        for i in 0..M {
            let mut sum = 0.0;
            for key in 0..count {
                // SAFETY: as above.
                sum += unsafe { rows.at(key, j).read() }.widen() * weights[i * count + key];
            }
            sums[i * size + j] += sum;
        }
    }
}
