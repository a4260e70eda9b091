//! Owns the reference of random numbers: Threefry-2x32 (Salmon et al., 2011) counted per element,
//! and the distributions made from its bits. Every sample draws with the key of seed one.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use olivine_core::Dtype;

use super::{Args, erf, erfinv};
use crate::{
    Tensor, Value,
    tensor::{broadcast, offset},
};

const KEY: [u32; 2] = [0, 1];

fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    let schedule = [key[0], key[1], 0x1bd1_1bda ^ key[0] ^ key[1]];
    let mut x = [
        counter[0].wrapping_add(schedule[0]),
        counter[1].wrapping_add(schedule[1]),
    ];
    for group in 0..5u32 {
        for rotation in ROTATIONS[group as usize % 2] {
            x[0] = x[0].wrapping_add(x[1]);
            x[1] = x[1].rotate_left(rotation) ^ x[0];
        }
        let next = group as usize + 1;
        x[0] = x[0].wrapping_add(schedule[next % 3]);
        x[1] = x[1]
            .wrapping_add(schedule[(next + 1) % 3])
            .wrapping_add(group + 1);
    }
    x
}

/// `count` random words: the first half of the counters pair with the second.
fn words(key: [u32; 2], count: usize) -> Vec<u32> {
    let (half, odd) = (count / 2, count % 2);
    let mut words = vec![0; count];
    for i in 0..half {
        let [a, b] = threefry(key, [i as u32, (half + odd + i) as u32]);
        (words[i], words[half + odd + i]) = (a, b);
    }
    if odd == 1 {
        words[half] = threefry(key, [half as u32, 0])[0];
    }
    words
}

/// Uniform numbers in [0, 1), as `float32` has them.
fn unit(count: usize) -> Vec<f32> {
    let below_one = 1.0 - 2f32.powi(-24);
    words(KEY, count)
        .into_iter()
        .map(|w| (w as f32 / u32::MAX as f32).min(below_one))
        .collect()
}

fn uniform(count: usize, low: f32, high: f32) -> Vec<f32> {
    unit(count)
        .into_iter()
        .map(|u| (high - low) * u + low)
        .collect()
}

fn normal(count: usize) -> Vec<f64> {
    let low = -1.0 + 2f32.powi(-24);
    uniform(count, low, 1.0)
        .into_iter()
        .map(|u| SQRT_2 * erfinv(f64::from(u)))
        .collect()
}

fn gumbel(count: usize) -> Vec<f64> {
    unit(count)
        .into_iter()
        .map(|u| -(-f64::from(u).ln()).ln())
        .collect()
}

fn laplace(count: usize) -> Vec<f64> {
    let low = -1.0 + 2f32.powi(-24);
    uniform(count, low, 1.0)
        .into_iter()
        .map(|u| f64::from(u).signum() * (-f64::from(u.abs())).ln_1p())
        .collect()
}

/// A draw; `op` is its name in the module of random numbers.
pub(super) fn random(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let reals =
        |shape: [usize; 2], values: Vec<f64>| Some(Tensor::reals(Dtype::Float32, shape, values));
    let at_most_f32 = |x: &Tensor, index: &[usize]| x.at_broadcast(index).real() as f32;
    match (op, args.label()) {
        ("bits", label) => {
            let (dtype, shape): (_, Vec<usize>) = match label {
                "" => (Dtype::Uint32, vec![5]),
                "width=1" => (Dtype::Uint8, vec![3, 3]),
                "width=2" => (Dtype::Uint16, vec![7]),
                "empty" => (Dtype::Uint32, vec![0]),
                _ => return None,
            };
            let bytes = shape.iter().product::<usize>() * dtype.size();
            let stream: Vec<u8> = words(KEY, bytes.div_ceil(4))
                .into_iter()
                .flat_map(u32::to_le_bytes)
                .collect();
            let whole = |chunk: &[u8]| {
                Value::Int(
                    chunk
                        .iter()
                        .rev()
                        .fold(0, |word, &byte| word << 8 | i128::from(byte)),
                )
            };
            Some(Tensor::new(
                dtype,
                shape,
                stream[..bytes].chunks(dtype.size()).map(whole),
            ))
        }
        ("split", "num=3") => {
            let words = words(KEY, 6).into_iter().map(|w| Value::Int(i128::from(w)));
            Some(Tensor::new(Dtype::Uint32, [3, 2], words))
        }
        ("uniform", "") => reals([2, 3], unit(6).into_iter().map(f64::from).collect()),
        ("uniform", "low, high") => {
            let unit = unit(12);
            Some(Tensor::build(Dtype::Float32, [3, 4], |index| {
                let (low, high) = (
                    at_most_f32(&inputs[0], index),
                    at_most_f32(&inputs[1], index),
                );
                Value::Real(f64::from((high - low) * unit[offset(&[3, 4], index)] + low))
            }))
        }
        ("normal", "") => reals([2, 3], normal(6)),
        ("normal", "loc, scale") => {
            let normal = normal(12);
            Some(Tensor::build(Dtype::Float32, [3, 4], |index| {
                let (loc, scale) = (
                    at_most_f32(&inputs[0], index),
                    at_most_f32(&inputs[1], index),
                );
                let normal = normal[offset(&[3, 4], index)];
                Value::Real(normal * f64::from(scale) + f64::from(loc))
            }))
        }
        ("truncated_normal", "") => {
            let (a, b) = (erf(-FRAC_1_SQRT_2) as f32, erf(2.0 * FRAC_1_SQRT_2) as f32);
            let draw = |u| (SQRT_2 * erfinv(f64::from(u))).clamp(-1.0, 2.0);
            reals([2, 3], uniform(6, a, b).into_iter().map(draw).collect())
        }
        ("laplace", "") => reals([2, 3], laplace(6)),
        ("laplace", "loc, scale") => {
            let drawn = laplace(12);
            Some(Tensor::build(Dtype::Float32, [3, 4], |index| {
                let (loc, scale) = (
                    at_most_f32(&inputs[0], index),
                    at_most_f32(&inputs[1], index),
                );
                let drawn = drawn[offset(&[3, 4], index)];
                Value::Real(drawn * f64::from(scale) + f64::from(loc))
            }))
        }
        ("multivariate_normal", "") => {
            let (normal, mean) = (normal(12), &inputs[0]);
            let root = super::linalg::square_root(&inputs[1]);
            Some(Tensor::build(Dtype::Float32, [3, 2, 2], |index| {
                let first = offset(&[3, 2], &index[..2]) * 2;
                let spread: f64 = (0..2)
                    .map(|i| normal[first + i] * root[i * 2 + index[2]])
                    .sum();
                Value::Real(f64::from(at_most_f32(mean, index)) + spread)
            }))
        }
        ("gumbel", "") => reals([2, 3], gumbel(6)),
        ("bernoulli", "") => {
            // One more than the greatest word, as float32 has it, so that one is always true.
            let bound = 0.5 * 4_294_967_808f32;
            let draws = words(KEY, 6)
                .into_iter()
                .map(|w| Value::Int(i128::from((w as f32) < bound)));
            Some(Tensor::new(Dtype::Bool, [2, 3], draws))
        }
        ("randint", "") => {
            let draw = |u: f32| Value::Int((u.floor() as i128).clamp(-5, 4));
            Some(Tensor::new(
                Dtype::Int32,
                [2, 3],
                uniform(6, -5.0, 5.0).into_iter().map(draw),
            ))
        }
        ("permutation", "") => {
            let words = words(KEY, 10);
            let mut order: Vec<usize> = (0..10).collect();
            order.sort_by_key(|&i| words[i]);
            let order = order.into_iter().map(|i| Value::Int(i as i128));
            Some(Tensor::new(Dtype::Uint32, [10], order))
        }
        ("categorical", label) => categorical(label, inputs.first()?),
        _ => None,
    }
}

fn categorical(label: &str, logits: &Tensor) -> Option<Tensor> {
    if label == "num_samples=4" {
        return Some(from_one(logits, 4));
    }
    let axis = match label {
        "" => 1,
        "axis=0" => 0,
        _ => return None,
    };
    let noise = Tensor::reals(
        Dtype::Float32,
        logits.shape.clone(),
        gumbel(logits.values.len()),
    );
    let noisy = Tensor::build(Dtype::Float32, logits.shape.clone(), |index| {
        Value::Real(noise.at(index).real() + logits.at(index).real())
    });
    super::reduce::reduce("argmax", &Args::parse(&format!("axis={axis}")), &[noisy])
}

/// Draws from one distribution by its cumulative weights.
fn from_one(logits: &Tensor, count: usize) -> Tensor {
    let logits: Vec<f64> = logits.values.iter().map(|v| v.real()).collect();
    let high = logits.iter().fold(
        f64::NEG_INFINITY,
        |a, &b| if b > a || b.is_nan() { b } else { a },
    );
    let weight = |&l: &f64| {
        if high.is_infinite() {
            f64::from(u8::from(l == high))
        } else {
            (l - high).exp()
        }
    };
    let weights: Vec<f64> = logits.iter().map(weight).collect();
    let total: f64 = weights.iter().sum();
    let draw = |u: f32| {
        let place = f64::from(u) * total;
        let mut end = 0.0;
        let ended = |w: &&f64| {
            end += **w;
            end <= place || place.is_nan()
        };
        Value::Int(
            weights[..weights.len() - 1]
                .iter()
                .take_while(ended)
                .count() as i128,
        )
    };
    Tensor::new(
        Dtype::Uint32,
        broadcast(&[&[count]]),
        unit(count).into_iter().map(draw),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threefry_has_its_published_values() {
        // The known-answer tests of the Random123 distribution.
        assert_eq!(threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(
            threefry([u32::MAX; 2], [u32::MAX; 2]),
            [0x1cb9_96fc, 0xbb00_2be7]
        );
    }
}
