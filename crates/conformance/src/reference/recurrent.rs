//! Owns the reference of the fused recurrence and of the fused loss.

use olivine_core::Dtype;

use super::Args;
use crate::{Tensor, Value, tensor::indices};

/// The recurrence of gated delta networks: what was read, and the last state.
pub(super) fn gated_delta(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    if op != "gated_delta_update" {
        return None;
    }
    let (q, k, v, gamma, beta) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3], &inputs[4]);
    let (batch, steps, key_heads, size) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
    let (heads, values) = (v.shape[2], v.shape[3]);
    let mut state = vec![vec![vec![vec![0.0; size]; values]; heads]; batch];
    if args.has("state") {
        for at in indices(&inputs[5].shape) {
            state[at[0]][at[1]][at[2]][at[3]] = inputs[5].at(&at).real();
        }
    }
    let wide = if q.dtype == Dtype::Float64 {
        q.dtype
    } else {
        Dtype::Float32
    };
    let mut read = Tensor::reals(wide, v.shape.clone(), vec![0.0; v.values.len()]);
    for at in indices(&[batch, steps, heads, values]) {
        let [b, t, h, i] = at[..] else { return None };
        if args.has("mask") && !inputs[6].at(&[b, t]).truth() {
            continue;
        }
        let row = &mut state[b][h][i];
        let keys: Vec<usize> = vec![b, t, h / (heads / key_heads)];
        let of = |x: &Tensor, j: usize| x.at(&[&keys[..], &[j]].concat()).real();
        let mut known = 0.0;
        for (j, memory) in row.iter_mut().enumerate() {
            *memory *= gamma.at(&[b, t, h]).real();
            known += *memory * of(k, j);
        }
        let change = (v.at(&at).real() - known) * beta.at(&[b, t, h]).real();
        let mut found = 0.0;
        for (j, memory) in row.iter_mut().enumerate() {
            *memory += change * of(k, j);
            found += *memory * of(q, j);
        }
        let place = ((b * steps + t) * heads + h) * values + i;
        read.values[place] = Value::Real(found);
    }
    let state: Vec<f64> = state.into_iter().flatten().flatten().flatten().collect();
    let shape = [batch, heads, values, size];
    Some(vec![read.cast(q.dtype), Tensor::reals(wide, shape, state)])
}

/// The cross entropy of logits with classes.
pub(super) fn cross_entropy(op: &str, inputs: &[Tensor]) -> Option<Tensor> {
    if op != "cross_entropy" {
        return None;
    }
    let (logits, targets) = (&inputs[0], &inputs[1]);
    let classes = logits.shape.last().copied()?;
    let wide = if logits.dtype == Dtype::Float64 {
        Dtype::Float64
    } else {
        Dtype::Float32
    };
    let rows = logits
        .values
        .chunks(classes)
        .zip(&targets.values)
        .map(|(row, target)| {
            let row: Vec<f64> = row.iter().map(|v| v.real()).collect();
            let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shift = if greatest.is_finite() { greatest } else { 0.0 };
            let sum: f64 = row.iter().map(|v| (v - shift).exp()).sum();
            sum.ln() + shift - row[target.int() as usize]
        });
    Some(Tensor::reals(
        wide,
        targets.shape.clone(),
        rows.collect::<Vec<_>>(),
    ))
}
