//! Owns the reference of convolutions: every weight visits every place.

use super::{Args, args::integers};
use crate::{Tensor, Value};

/// The arguments of a convolution, an entry for each axis.
struct Slide {
    stride: Vec<i64>,
    low: Vec<i64>,
    high: Vec<i64>,
    dilation: Vec<i64>,
    input_dilation: Vec<i64>,
    groups: usize,
    flip: bool,
}

/// The size of an axis whose neighbours lie `step` apart.
fn spread(size: usize, step: i64) -> i64 {
    if size == 0 {
        0
    } else {
        (size as i64 - 1) * step + 1
    }
}

fn correlate(x: &Tensor, w: &Tensor, slide: &Slide) -> Tensor {
    let dims = x.rank() - 2;
    let (channels, per_group) = (w.shape[dims + 1], w.shape[0] / slide.groups);
    let mut shape = vec![x.shape[0]];
    for axis in 0..dims {
        let room = spread(x.shape[axis + 1], slide.input_dilation[axis]);
        let room = room + slide.low[axis] + slide.high[axis];
        let kernel = spread(w.shape[axis + 1], slide.dilation[axis]);
        shape.push(((room - kernel) / slide.stride[axis] + 1) as usize);
    }
    shape.push(w.shape[0]);
    let taps = crate::tensor::indices(&w.shape[1..=dims]);
    Tensor::build(x.dtype.promote(w.dtype), shape, |index| {
        let out = index[dims + 1];
        let mut sum = 0.0;
        for tap in &taps {
            let mut place = vec![index[0]];
            for axis in 0..dims {
                let kernel = w.shape[axis + 1];
                let tap = if slide.flip {
                    kernel - 1 - tap[axis]
                } else {
                    tap[axis]
                } as i64;
                let at = index[axis + 1] as i64 * slide.stride[axis] - slide.low[axis]
                    + tap * slide.dilation[axis];
                let step = slide.input_dilation[axis];
                let size = x.shape[axis + 1] as i64;
                if at >= 0 && at % step == 0 && at / step < size {
                    place.push((at / step) as usize);
                }
            }
            for channel in 0..channels {
                let from = out / per_group * channels + channel;
                // What is not there counts as zero, which infinite weights make NaN.
                let there = place.len() == dims + 1;
                let x = if there {
                    x.at(&[&place[..], &[from]].concat()).real()
                } else {
                    0.0
                };
                sum += x * w.at(&[&[out], &tap[..], &[channel]].concat()).real();
            }
        }
        Value::Real(sum)
    })
}

/// An operation with one result.
pub(super) fn conv(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let [x, w] = inputs else { return None };
    let dims = x.rank().saturating_sub(2);
    let each = |name: &str, usual: i64| -> Option<Vec<i64>> {
        let list = integers(args.get(name)?)?;
        Some(match list[..] {
            [] => vec![usual; dims],
            [one] => vec![one; dims],
            _ => list,
        })
    };
    let groups = || Some(args.integer("groups")? as usize);
    match op {
        "conv1d" | "conv2d" | "conv3d" => {
            let padding = each("padding", 0)?;
            let slide = Slide {
                stride: each("stride", 1)?,
                low: padding.clone(),
                high: padding,
                dilation: each("dilation", 1)?,
                input_dilation: vec![1; dims],
                groups: groups()?,
                flip: false,
            };
            Some(correlate(x, w, &slide))
        }
        "conv_general" => {
            let slide = Slide {
                stride: each("stride", 1)?,
                low: each("low", 0)?,
                high: each("high", 0)?,
                dilation: each("dilation", 1)?,
                input_dilation: each("input_dilation", 1)?,
                groups: groups()?,
                flip: args.get("flip")? == "true",
            };
            Some(correlate(x, w, &slide))
        }
        "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d" => {
            let (padding, output) = (each("padding", 0)?, each("output_padding", 0)?);
            Some(transpose(
                x,
                w,
                [
                    &each("stride", 1)?,
                    &padding,
                    &each("dilation", 1)?,
                    &output,
                ],
                groups()?,
            ))
        }
        "convolve" => convolve(args, x, w),
        _ => None,
    }
}

/// Each element of the input adds the weights, times itself, to the result.
fn transpose(
    x: &Tensor,
    w: &Tensor,
    [stride, padding, dilation, output]: [&[i64]; 4],
    groups: usize,
) -> Tensor {
    let dims = x.rank() - 2;
    let mut shape = vec![x.shape[0]];
    for axis in 0..dims {
        let size = (x.shape[axis + 1] as i64 - 1) * stride[axis] - 2 * padding[axis]
            + spread(w.shape[axis + 1], dilation[axis])
            + output[axis];
        shape.push(size as usize);
    }
    shape.push(w.shape[0]);
    let mut sums = vec![0.0; shape.iter().product()];
    let mut met = std::collections::HashSet::new();
    let (channels, per_group) = (w.shape[dims + 1], w.shape[0] / groups);
    for place in crate::tensor::indices(&x.shape[..=dims]) {
        for tap in crate::tensor::indices(&w.shape[1..=dims]) {
            let mut to = vec![place[0]];
            for axis in 0..dims {
                let at = place[axis + 1] as i64 * stride[axis] + tap[axis] as i64 * dilation[axis]
                    - padding[axis];
                if at >= 0 && at < shape[axis + 1] as i64 {
                    to.push(at as usize);
                }
            }
            if to.len() < dims + 1 {
                continue;
            }
            met.insert((to.clone(), tap.clone()));
            for out in 0..w.shape[0] {
                let at = crate::tensor::offset(&shape, &[&to[..], &[out]].concat());
                for channel in 0..channels {
                    let from = out / per_group * channels + channel;
                    let x = x.at(&[&place[..], &[from]].concat()).real();
                    sums[at] += x * w.at(&[&[out], &tap[..], &[channel]].concat()).real();
                }
            }
        }
    }
    // Weights that meet no element meet a zero, which infinite ones make NaN.
    for to in crate::tensor::indices(&shape[..=dims]) {
        for tap in crate::tensor::indices(&w.shape[1..=dims]) {
            if met.contains(&(to.clone(), tap.clone())) {
                continue;
            }
            for out in 0..w.shape[0] {
                let at = crate::tensor::offset(&shape, &[&to[..], &[out]].concat());
                for channel in 0..channels {
                    sums[at] += 0.0 * w.at(&[&[out], &tap[..], &[channel]].concat()).real();
                }
            }
        }
    }
    Tensor::reals(x.dtype.promote(w.dtype), shape, sums)
}

/// The part of the sums of products of elements whose positions add up to the same that a mode keeps.
fn convolve(args: &Args, a: &Tensor, b: &Tensor) -> Option<Tensor> {
    let (m, n) = (a.values.len(), b.values.len());
    // The longer one is continued with zeros.
    let (x, w) = if m < n { (b, a) } else { (a, b) };
    let sum = |at: usize| -> f64 {
        let product = |(j, w): (usize, &Value)| {
            let x = at.checked_sub(j).and_then(|i| x.values.get(i));
            x.map_or(0.0, |x| x.real()) * w.real()
        };
        w.values.iter().enumerate().map(product).sum()
    };
    let full: Vec<f64> = (0..m + n - 1).map(sum).collect();
    let (long, short) = (m.max(n), m.min(n));
    let kept = match args.get("mode")? {
        "full" => 0..m + n - 1,
        "same" => (short - 1) / 2..(short - 1) / 2 + long,
        "valid" => short - 1..long,
        _ => return None,
    };
    let kept = full[kept].to_vec();
    Some(Tensor::reals(
        a.dtype.promote(b.dtype),
        vec![kept.len()],
        kept,
    ))
}
