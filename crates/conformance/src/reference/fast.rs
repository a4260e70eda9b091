//! Owns the reference of the fused building blocks of neural networks.

use olivine_core::Dtype;

use super::Args;
use crate::{Tensor, Value};

/// An operation with one result.
pub(super) fn fast(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    match op {
        "rms_norm" | "layer_norm" => norm(op, args, inputs),
        "rope" => rope(args, inputs.first()?),
        "scaled_dot_product_attention" => attention(args, inputs),
        _ => None,
    }
}

/// Normalisation of the last axis.
fn norm(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let x = &inputs[0];
    let (weight, bias) = match (op, args.label()) {
        ("rms_norm", "no weight") | ("layer_norm", "plain") => (None, None),
        ("rms_norm" | "layer_norm", "weight") => (Some(&inputs[1]), None),
        ("layer_norm", "bias") => (None, Some(&inputs[1])),
        ("layer_norm", "both" | "empty") => (Some(&inputs[1]), Some(&inputs[2])),
        _ => return None,
    };
    let size = *x.shape.last()?;
    let rows: Vec<Vec<f64>> = x
        .values
        .chunks(size.max(1))
        .map(|row| row.iter().map(|v| v.real()).collect())
        .collect();
    let mut values = Vec::new();
    for row in rows {
        let count = size as f64;
        let mean = if op == "layer_norm" {
            row.iter().sum::<f64>() / count
        } else {
            0.0
        };
        let square = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        for (i, v) in row.iter().enumerate() {
            let normal = (v - mean) / (square + f64::from(1e-5f32)).sqrt();
            // Halves are rounded before the weight is multiplied in.
            let normal = Value::Real(normal).stored(x.dtype).real();
            let scaled = weight.map_or(normal, |w| normal * w.values[i].real());
            values.push(Value::Real(
                bias.map_or(scaled, |b| scaled + b.values[i].real()),
            ));
        }
    }
    Some(Tensor::new(x.dtype, x.shape.clone(), values))
}

/// Rotary position embedding: pairs in the last axis turn by their position on the axis before it.
fn rope(args: &Args, x: &Tensor) -> Option<Tensor> {
    let (mut dims, mut scale, mut offsets) = (8, 1.0, vec![0.0; 2]);
    let mut wavelengths: Option<[f64; 2]> = None;
    match args.label() {
        "dims=8" | "empty" => {}
        "dims=4, traditional" => dims = 4,
        "offset=7, scale=.5" => (offsets, scale) = (vec![7.0; 2], 0.5),
        "offset=array" => (dims, offsets) = (6, vec![3.0, 11.0]),
        "freqs" => (dims, wavelengths) = (4, Some([1.0, 100.0])),
        _ => return None,
    }
    let (traditional, half) = (args.has("traditional"), dims / 2);
    let (last, before) = (x.rank() - 1, x.rank() - 2);
    Some(Tensor::build(x.dtype, x.shape.clone(), |index| {
        let i = index[last];
        if i >= dims {
            return x.at(index);
        }
        let (pair, second) = if traditional {
            (i / 2, i % 2 == 1)
        } else {
            (i % half, i >= half)
        };
        let other = match (traditional, second) {
            (true, true) => i - 1,
            (true, false) => i + 1,
            (false, true) => i - half,
            (false, false) => i + half,
        };
        let mut place = index.to_vec();
        place[last] = other;
        let speed = match wavelengths {
            Some(lengths) => 1.0 / lengths[pair],
            None => 10_000f64.powf(-(pair as f64) / half as f64),
        };
        let angle = (index[before] as f64 + offsets[index[0]]) * scale * speed;
        let (own, other) = (x.at(index).real(), x.at(&place).real());
        let sign = if second { 1.0 } else { -1.0 };
        Value::Real(own * angle.cos() + sign * other * angle.sin())
    }))
}

/// Attention of grouped queries, one query at a time, with the scale of its samples.
pub(super) fn attention(args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let (q, k, v) = (&inputs[0], &inputs[1], &inputs[2]);
    let (heads, queries, keys) = (q.shape[1], q.shape[2], k.shape[2]);
    let group = heads / k.shape[1];
    let added = match args.label() {
        "added mask" => Some(&inputs[3]),
        _ => None,
    };
    let sinks = (args.label() == "sinks").then(|| &inputs[3]);
    let visible = |i: usize, j: usize| match args.label() {
        "bool mask" => [
            [true, false, false],
            [true, true, false],
            [false, true, true],
        ][i][j],
        label if label.starts_with("causal") => j as i64 <= i as i64 + keys as i64 - queries as i64,
        _ => true,
    };
    if !matches!(
        args.label(),
        "" | "grouped" | "one query" | "added mask" | "bool mask" | "sinks" | "no keys"
    ) && !args.has("causal")
    {
        return None;
    }
    let shape = vec![q.shape[0], heads, queries, v.shape[3]];
    Some(Tensor::build(q.dtype, shape, |index| {
        let (batch, head, i) = (index[0], index[1], index[2]);
        let score = |j: usize| {
            if !visible(i, j) {
                return f64::from(f32::MIN);
            }
            let product = |l: usize| {
                q.at(&[batch, head, i, l]).real() * k.at(&[batch, head / group, j, l]).real()
            };
            let score = f64::from(0.4f32) * (0..q.shape[3]).map(product).sum::<f64>();
            score + added.map_or(0.0, |mask| mask.at(&[i, j]).real())
        };
        let scores: Vec<f64> = (0..keys).map(score).collect();
        let sink = sinks.map(|sinks| sinks.at(&[head]).real());
        let highest = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
        let high = scores
            .iter()
            .copied()
            .chain(sink)
            .fold(f64::NEG_INFINITY, highest);
        let weights: Vec<f64> = scores.iter().map(|score| (score - high).exp()).collect();
        let total = weights.iter().sum::<f64>() + sink.map_or(0.0, |sink| (sink - high).exp());
        let value = |j: usize| v.at(&[batch, head / group, j, index[3]]).real();
        let terms = weights
            .iter()
            .enumerate()
            .map(|(j, weight)| weight / total * value(j));
        Value::Real(terms.sum())
    }))
}

/// One step of AdamW with the rates of its sample: parameter, mean and mean square.
pub(super) fn adamw(inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    let [parameter, gradient, mean, square, rates] = inputs else {
        return None;
    };
    let moment = if parameter.dtype == Dtype::Float64 {
        Dtype::Float64
    } else {
        Dtype::Float32
    };
    let rate = |i: usize| rates.values[i].real();
    let at = |x: &Tensor, i: usize| x.values[i].real();
    // The moments are numbers of their dtype, so what overflows it is infinite for the step too.
    let held = |x: f64| {
        if moment == Dtype::Float64 {
            x
        } else {
            f64::from(x as f32)
        }
    };
    let (mut parameters, mut means, mut squares) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..parameter.values.len() {
        let g = at(gradient, i);
        let m = held(0.9 * at(mean, i) + (1.0 - 0.9) * g);
        let v = held(0.99 * at(square, i) + (1.0 - 0.99) * held(g * g));
        let change = rate(0) * (m / rate(1)) / ((v / rate(2)).sqrt() + 1e-3);
        parameters.push(at(parameter, i) * (1.0 - rate(0) * 0.1) - change);
        means.push(m);
        squares.push(v);
    }
    Some(vec![
        Tensor::reals(parameter.dtype, parameter.shape.clone(), parameters),
        Tensor::reals(moment, parameter.shape.clone(), means),
        Tensor::reals(moment, parameter.shape.clone(), squares),
    ])
}
