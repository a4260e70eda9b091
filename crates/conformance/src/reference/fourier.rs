//! Owns the reference of Fourier transforms: sums over every element for every frequency.

use std::f64::consts::TAU;

use olivine_core::Dtype;

use super::{Args, args::integers, dense::Z};
use crate::{Tensor, Value, tensor::indices};

/// The results of a sample whose name starts with `fft.`.
pub(super) fn fourier(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    if let "fftfreq" | "rfftfreq" = op {
        let (n, spacing) = args.label().split_once(", ")?;
        let (n, spacing): (usize, f64) = (n.parse().ok()?, spacing.parse().ok()?);
        let count = if op == "rfftfreq" { n / 2 + 1 } else { n };
        let signed = |i: usize| {
            if op == "fftfreq" && 2 * i >= n {
                i as f64 - n as f64
            } else {
                i as f64
            }
        };
        let values = (0..count).map(|i| signed(i) / (n as f64 * spacing));
        return Some(vec![Tensor::reals(Dtype::Float32, [count], values)]);
    }
    let [x] = inputs else { return None };
    match op {
        "fftshift" | "ifftshift" => {
            let axes = if args.get("axes")? == "None" {
                0..x.rank()
            } else {
                1..2
            };
            Some(vec![Tensor::build(x.dtype, x.shape.clone(), |index| {
                let mut at = index.to_vec();
                for axis in axes.clone() {
                    let n = x.shape[axis];
                    let shift = if op == "fftshift" { n - n / 2 } else { n / 2 };
                    at[axis] = (at[axis] + shift) % n;
                }
                x.at(&at)
            })])
        }
        "stft" => Some(parts(&stft(args, x)?)),
        "istft" => Some(vec![istft(args, x)?]),
        _ => {
            let kind = op.trim_end_matches(['2', 'n']);
            let axes = args.get("axis").or(args.get("axes"))?;
            let axes: Vec<usize> = integers(axes)?
                .into_iter()
                .map(|axis| x.axis(axis))
                .collect();
            let sizes: Option<Vec<usize>> = match (args.get("n"), args.get("s")) {
                (Some(n), _) => Some(vec![n.parse().ok()?]),
                (None, Some(s)) => Some(integers(s)?.into_iter().map(|n| n as usize).collect()),
                (None, None) => None,
            };
            Some(parts(&transform(
                kind,
                x,
                &axes,
                sizes.as_deref(),
                args.get("norm")?,
            )))
        }
    }
}

/// The parts of complex numbers, or real numbers as they are.
fn parts(x: &Tensor) -> Vec<Tensor> {
    if x.dtype != Dtype::Complex64 {
        return vec![x.clone()];
    }
    let part = |f: fn(Z) -> f64| {
        let values = x.values.iter().map(|v| f(v.complex()));
        Tensor::reals(Dtype::Float32, x.shape.clone(), values)
    };
    vec![part(|z| z.re), part(|z| z.im)]
}

/// One of `fft`, `ifft`, `rfft` and `irfft` over axes.
fn transform(
    kind: &str,
    x: &Tensor,
    axes: &[usize],
    sizes: Option<&[usize]>,
    norm: &str,
) -> Tensor {
    let inverse = kind.starts_with('i');
    let (from_real, to_real) = (kind == "rfft", kind == "irfft");
    let last = axes[axes.len() - 1];
    let whole: Vec<usize> = (0..axes.len())
        .map(|i| match sizes {
            Some(sizes) => sizes[i],
            None if to_real && axes[i] == last => 2 * (x.shape[axes[i]] - 1),
            None => x.shape[axes[i]],
        })
        .collect();
    // What is read of the input, and what is written.
    let (mut read, mut written) = (x.shape.clone(), x.shape.clone());
    for (&axis, &n) in axes.iter().zip(&whole) {
        let halved = axis == last;
        read[axis] = if to_real && halved { n / 2 + 1 } else { n };
        written[axis] = if from_real && halved { n / 2 + 1 } else { n };
    }
    let elements = whole.iter().product::<usize>() as f64;
    let factor = match (norm, inverse) {
        ("Ortho", _) => 1.0 / elements.sqrt(),
        ("Backward", true) | ("Forward", false) => 1.0 / elements,
        _ => 1.0,
    };
    let value = |at: &[usize]| -> Z {
        let inside = at.iter().zip(&x.shape).all(|(i, n)| i < n);
        let z = if inside { x.at(at).complex() } else { Z::ZERO };
        if from_real { Z::from(z.re) } else { z }
    };
    let sign = if inverse { 1.0 } else { -1.0 };
    let dtype = if to_real {
        Dtype::Float32
    } else {
        Dtype::Complex64
    };
    let inner: Vec<usize> = axes.iter().map(|&axis| read[axis]).collect();
    Tensor::build(dtype, written, |index| {
        let mut sum = Z::ZERO;
        let mut known = true;
        for place in indices(&inner) {
            let mut at = index.to_vec();
            let mut angle = 0.0;
            for ((&axis, &i), &n) in axes.iter().zip(&place).zip(&whole) {
                at[axis] = i;
                angle += ((i * index[axis]) % n) as f64 / n as f64;
            }
            let z = value(&at);
            known &= z.is_finite();
            let term = z * Z::cis(sign * TAU * angle);
            let n = whole[whole.len() - 1];
            let once = at[last] == 0 || 2 * at[last] == n;
            sum += if to_real && !once { term * 2.0 } else { term };
        }
        Value::Complex(if known {
            sum * factor
        } else {
            Z::new(f64::NAN, f64::NAN)
        })
    })
}

/// The position that a position beyond the ends of a signal of `size` stands for.
fn inside(i: i64, size: i64, pad: &str) -> Option<usize> {
    let mut i = i;
    if pad == "Edge" {
        i = i.clamp(0, size - 1);
    }
    while pad == "Reflect" && !(0..size).contains(&i) {
        i = if i < 0 { -i } else { 2 * (size - 1) - i };
    }
    (0..size).contains(&i).then_some(i as usize)
}

/// The elements of a window of ones in the middle of `n`.
fn window(args: &Args, n: usize) -> Vec<f64> {
    let size = args.integer("window").map_or(n, |w| w as usize);
    let before = (n - size) / 2;
    (0..n)
        .map(|i| f64::from(u8::from((before..before + size).contains(&i))))
        .collect()
}

fn swapped(x: &Tensor) -> Tensor {
    let mut order: Vec<usize> = (0..x.rank()).collect();
    order.swap(x.rank() - 1, x.rank() - 2);
    x.transposed(&order)
}

fn stft(args: &Args, x: &Tensor) -> Option<Tensor> {
    let (n, hop) = (
        args.integer("n_fft")? as usize,
        args.integer("hop")? as usize,
    );
    let pad = args.get("pad")?;
    let size = x.shape[x.rank() - 1] as i64;
    let margin = if pad == "None" { 0 } else { n / 2 } as i64;
    let count = (size + 2 * margin - n as i64) as usize / hop + 1;
    let window = window(args, n);
    let shape = [&x.shape[..x.rank() - 1], &[count, n]].concat();
    let frames = Tensor::build(Dtype::Complex64, shape, |index| {
        let (outer, at) = index.split_at(index.len() - 2);
        let place = inside((at[0] * hop + at[1]) as i64 - margin, size, pad);
        let value = place.map_or(Z::ZERO, |i| x.at(&[outer, &[i]].concat()).complex());
        Value::Complex(value * window[at[1]])
    });
    let norm = args.get("norm").unwrap_or("Backward");
    let twosided = args.has("twosided") || x.dtype == Dtype::Complex64 && !args.has("onesided");
    let axis = frames.rank() - 1;
    let mut spectra = transform("fft", &frames, &[axis], None, norm);
    if !twosided {
        let shape = [&spectra.shape[..axis], &[n / 2 + 1]].concat();
        spectra = Tensor::build(Dtype::Complex64, shape, |index| spectra.at(index));
    }
    Some(swapped(&spectra))
}

fn istft(args: &Args, x: &Tensor) -> Option<Tensor> {
    let (n, hop) = (
        args.integer("n_fft")? as usize,
        args.integer("hop")? as usize,
    );
    let spectra = swapped(x);
    let (axis, count) = (spectra.rank() - 1, spectra.shape[spectra.rank() - 2]);
    let norm = args.get("norm").unwrap_or("Backward");
    let kind = if args.has("twosided") {
        "ifft"
    } else {
        "irfft"
    };
    let frames = transform(kind, &spectra, &[axis], Some(&[n]), norm);
    let window = window(args, n);
    let margin = if args.has("center") { n / 2 } else { 0 };
    let total = (count - 1) * hop + n;
    let length = args
        .integer("length")
        .map_or(total - 2 * margin, |l| l as usize);
    let shape = [&spectra.shape[..axis - 1], &[length]].concat();
    Some(Tensor::build(Dtype::Float32, shape, |index| {
        let (&i, outer) = index.split_last().expect("signals have an axis");
        let (mut sum, mut weight) = (0.0, 0.0);
        for frame in 0..count {
            let Some(at) = (i + margin).checked_sub(frame * hop).filter(|&at| at < n) else {
                continue;
            };
            sum += frames.at(&[outer, &[frame, at]].concat()).real() * window[at];
            weight += window[at] * window[at];
        }
        Value::Real(if weight > 0.0 { sum / weight } else { 0.0 })
    }))
}
