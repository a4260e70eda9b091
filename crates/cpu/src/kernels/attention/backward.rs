//! Owns the gradients of attention: the weights are computed again, a block of queries at a time,
//! and never stored.

use olivine_core::{Call, Result, fast::ScaledDotProductAttentionVjp};

use super::{Heads, Mask, OP, Problem, dense, forward::read_scaled, multiply, wide};
use crate::{
    isa::{Isa, per_isa},
    kernels::{
        norm::narrow as of_dtype,
        row::{RowElement, narrow},
        softmax::{exp_body, max_body},
    },
    pool::parallel_for,
    simd::Narrow,
    tensor::Output,
};

/// Scores in a block: 1 MiB, half of it for their gradients.
const BLOCK: usize = 128 * 1024;

/// Runs the kernel.
pub(in crate::kernels) fn run(
    primitive: ScaledDotProductAttentionVjp,
    call: &mut Call,
) -> Result<()> {
    of_dtype!(OP, call.dtype(0), T => gradients::<T>(primitive, call))
}

fn gradients<T: Narrow + RowElement<Wide = f32>>(
    primitive: ScaledDotProductAttentionVjp,
    call: &mut Call,
) -> Result<()> {
    let mut outputs = [
        Output::<T>::allocate(call, 0, OP)?,
        Output::<T>::allocate(call, 1, OP)?,
        Output::<T>::allocate(call, 2, OP)?,
    ];
    let problem = Problem::<T>::new(primitive.forward, call.inputs())?;
    if problem.batch * problem.heads * problem.queries * problem.keys == 0 {
        for output in &mut outputs {
            output.slice().fill(T::default());
        }
        return Ok(());
    }
    let inputs = call.inputs();
    let given = Given {
        output: Heads::new(&inputs[inputs.len() - 2])?,
        cotangent: Heads::new(&inputs[inputs.len() - 1])?,
    };
    let units = problem.batch * problem.key_heads;
    let work = problem.group() * problem.queries * problem.keys;
    let work = work * (problem.size + problem.value_size) / 4;
    parallel_for(units, work, |units| {
        let mut room = Room::default();
        for unit in units {
            key_head(&problem, unit, &given, &outputs, &mut room);
        }
    });
    Ok(())
}

/// The output and its cotangent.
struct Given<T> {
    output: Heads<T>,
    cotangent: Heads<T>,
}

/// What one thread works in.
#[derive(Default)]
struct Room {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    cotangent: Vec<f32>,
    weights: Vec<f32>,
    scores: Vec<f32>,
    to_q: Vec<f32>,
    to_k: Vec<f32>,
    to_v: Vec<f32>,
}

/// The gradients of one key head and of the query heads that share it.
fn key_head<T: Narrow + RowElement<Wide = f32>>(
    problem: &Problem<T>,
    unit: usize,
    given: &Given<T>,
    [out_q, out_k, out_v]: &[Output<T>; 3],
    room: &mut Room,
) {
    let Room {
        q,
        k,
        v,
        cotangent,
        weights,
        scores,
        to_q,
        to_k,
        to_v,
    } = room;
    let (size, value_size) = (problem.size, problem.value_size);
    let (batch, key_head) = (unit / problem.key_heads, unit % problem.key_heads);
    let head = (batch, key_head);
    // SAFETY: the whole matrices of this head.
    let (keys, values) = unsafe {
        (
            problem.k.wide(head, 0..problem.keys, size, k),
            problem.v.wide(head, 0..problem.keys, value_size, v),
        )
    };
    to_k.clear();
    to_k.resize(problem.keys * size, 0.0);
    to_v.clear();
    to_v.resize(problem.keys * value_size, 0.0);
    let block = (BLOCK / problem.keys).clamp(8, 128);
    for head in key_head * problem.group()..(key_head + 1) * problem.group() {
        let queries = problem.q.matrix(batch, head);
        let sink = problem.sinks.get(head).copied();
        for first in (0..problem.queries).step_by(block) {
            let rows = (problem.queries - first).min(block);
            let columns = problem.needed(first, first + rows);
            read_scaled(problem, queries.skip(first, 0), rows, q);
            weights.resize((rows * columns).max(weights.len()), 0.0);
            scores.resize((rows * columns).max(scores.len()), 0.0);
            to_q.resize((rows * size).max(to_q.len()), 0.0);
            let given_rows = given.cotangent.matrix(batch, head).skip(first, 0);
            // SAFETY: blocks within the operands, and room for the results.
            let cotangents = unsafe {
                multiply(
                    (rows, columns, size),
                    dense(q, size),
                    keys.transposed(),
                    weights,
                    false,
                );
                let cotangents = wide(given_rows, rows, value_size, cotangent);
                multiply(
                    (rows, columns, value_size),
                    cotangents,
                    values.transposed(),
                    scores,
                    false,
                );
                cotangents
            };
            for i in 0..rows {
                let row = first + i;
                let weights = &mut weights[i * columns..][..columns];
                let scores = &mut scores[i * columns..][..columns];
                problem.apply_mask(batch, head, row, 0, weights);
                softmax(weights, sink);
                let output = given.output.matrix(batch, head);
                let total: f32 = (0..value_size)
                    .map(|j| {
                        // SAFETY: a row of the output, and of the cotangent.
                        unsafe { output.at(row, j).read().widen() * cotangents.at(i, j).read() }
                    })
                    .sum();
                through_softmax(weights, scores, total);
                hide(problem, (batch, head, row), scores);
            }
            // The queries carry the scale already, which the gradient of the keys needs; that of
            // the queries gets it below.
            // SAFETY: as above.
            unsafe {
                let (weights, scores) = (dense(weights, columns), dense(scores, columns));
                multiply(
                    (columns, value_size, rows),
                    weights.transposed(),
                    cotangents,
                    to_v,
                    true,
                );
                multiply((rows, size, columns), scores, keys, to_q, false);
                multiply(
                    (columns, size, rows),
                    scores.transposed(),
                    dense(q, size),
                    to_k,
                    true,
                );
            }
            let at = ((batch * problem.heads + head) * problem.queries + first) * size;
            // SAFETY: these rows are one thread's alone.
            let out = unsafe { out_q.part(at..at + rows * size) };
            for x in &mut to_q[..rows * size] {
                *x *= problem.scale;
            }
            narrow(&to_q[..rows * size], out);
        }
    }
    let (at_k, at_v) = (unit * to_k.len(), unit * to_v.len());
    // SAFETY: this head's gradients are one thread's alone.
    unsafe {
        narrow(to_k, out_k.part(at_k..at_k + to_k.len()));
        narrow(to_v, out_v.part(at_v..at_v + to_v.len()));
    }
}

per_isa! {
    /// Replaces scores by their softmax, in which a sink may take part.
    fn softmax(scores: &mut [f32], sink: Option<f32>) = softmax_body;
}

#[inline(always)]
fn softmax_body<S: Isa>(scores: &mut [f32], sink: Option<f32>) {
    let mut greatest = max_body::<S>(scores);
    let mut total = 0.0;
    if let Some(sink) = sink {
        greatest = if sink > greatest { sink } else { greatest };
        total = (sink - greatest).exp();
    }
    total += exp_body::<S>(scores, greatest);
    let scale = 1.0 / total;
    for score in scores {
        *score *= scale;
    }
}

per_isa! {
    /// Turns the gradients of weights into those of scores before the scale.
    fn through_softmax(weights: &[f32], gradients: &mut [f32], total: f32) = through_body;
}

#[inline(always)]
fn through_body<S: Isa>(weights: &[f32], gradients: &mut [f32], total: f32) {
    for (gradient, weight) in gradients.iter_mut().zip(weights) {
        *gradient = weight * (*gradient - total);
    }
}

/// Clears the gradients of scores that a mask replaced.
fn hide<T: Narrow>(
    problem: &Problem<T>,
    (batch, head, row): (usize, usize, usize),
    gradients: &mut [f32],
) {
    let visible = problem.visible(row).min(gradients.len());
    gradients[visible..].fill(0.0);
    if let Mask::Visible(mask) = problem.mask {
        let mask = mask.matrix(batch, head);
        for (i, gradient) in gradients.iter_mut().enumerate() {
            // SAFETY: the mask has an element for each query and key.
            if !unsafe { mask.at(row, i).read() } {
                *gradient = 0.0;
            }
        }
    }
}
