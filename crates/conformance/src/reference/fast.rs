//! Owns the reference of the fused building blocks of neural networks.

use olivine_core::Dtype;

use super::Args;
use crate::{Tensor, Value};

/// An operation with one result.
pub(super) fn fast(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    match op {
        "rms_norm" | "layer_norm" => norm(op, args, inputs),
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
    let (mut parameters, mut means, mut squares) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..parameter.values.len() {
        let g = at(gradient, i);
        let m = 0.9 * at(mean, i) + (1.0 - 0.9) * g;
        let v = 0.99 * at(square, i) + (1.0 - 0.99) * g * g;
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
