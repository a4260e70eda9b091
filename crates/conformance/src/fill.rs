//! Owns the numbers that sample inputs are filled with.

use num_complex::Complex;
use olivine_core::{
    Dtype, Kind,
    ops::{Domain, Input},
};

use crate::{Rng, Tensor, Value};

/// The dtype that an input of a sample has when the sample is run for `dtype`.
pub fn dtype_of(input: &Input, dtype: Dtype) -> Dtype {
    match input.domain {
        Domain::Index(_) => Dtype::Int32,
        Domain::Truth => Dtype::Bool,
        Domain::Any
        | Domain::Positive
        | Domain::Unit
        | Domain::AboveOne
        | Domain::NonZero
        | Domain::Distinct => dtype,
    }
}

/// A tensor for an input of a sample.
pub fn fill(input: &Input, dtype: Dtype, rng: &mut Rng) -> Tensor {
    let dtype = dtype_of(input, dtype);
    let count: usize = input.shape.iter().product();
    let values: Vec<Value> = match (input.domain, dtype.kind()) {
        (Domain::Distinct, kind) => distinct(count, kind, rng),
        (domain, Kind::Bool) => {
            let truth = |rng: &mut Rng| match domain {
                Domain::Positive | Domain::NonZero | Domain::AboveOne => 1,
                _ => rng.below(2) as i128,
            };
            (0..count).map(|_| Value::Int(truth(rng))).collect()
        }
        (domain, kind @ (Kind::Unsigned | Kind::Signed)) => (0..count)
            .map(|_| Value::Int(whole(domain, kind == Kind::Signed, rng)))
            .collect(),
        (domain, Kind::Float) => (0..count).map(|_| Value::Real(real(domain, rng))).collect(),
        (domain, Kind::Complex) => (0..count)
            .map(|_| Value::Complex(Complex::new(real(domain, rng), real(domain, rng))))
            .collect(),
    };
    Tensor::new(dtype, input.shape.clone(), values)
}

fn whole(domain: Domain, signed: bool, rng: &mut Rng) -> i128 {
    let sign = |rng: &mut Rng| if signed && rng.below(2) == 1 { -1 } else { 1 };
    match domain {
        Domain::Any => sign(rng) * rng.below(10) as i128,
        Domain::Positive => 1 + rng.below(9) as i128,
        Domain::Unit => sign(rng) * rng.below(2) as i128,
        Domain::AboveOne => 2 + rng.below(8) as i128,
        Domain::NonZero => sign(rng) * (1 + rng.below(9) as i128),
        Domain::Index(bound) => rng.below(bound) as i128,
        Domain::Distinct | Domain::Truth => unreachable!("filled elsewhere"),
    }
}

fn real(domain: Domain, rng: &mut Rng) -> f64 {
    let sign = |rng: &mut Rng| if rng.below(2) == 1 { -1.0 } else { 1.0 };
    match domain {
        Domain::Any => rng.normal(),
        Domain::Positive => rng.between(0.3, 3.0),
        Domain::Unit => rng.between(-0.9, 0.9),
        Domain::AboveOne => rng.between(1.2, 4.0),
        Domain::NonZero => sign(rng) * rng.between(0.3, 3.0),
        Domain::Distinct | Domain::Index(_) | Domain::Truth => unreachable!("filled elsewhere"),
    }
}

/// Evenly spaced numbers in random order, a good step apart.
fn distinct(count: usize, kind: Kind, rng: &mut Rng) -> Vec<Value> {
    let mut ranks: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        ranks.swap(i, rng.below(i + 1));
    }
    let middle = count as f64 / 2.0;
    let value = |rank: usize| match kind {
        Kind::Bool | Kind::Unsigned | Kind::Signed => Value::Int(rank as i128),
        Kind::Float => Value::Real((rank as f64 - middle) * 0.25),
        Kind::Complex => Value::Complex(Complex::new(
            (rank as f64 - middle) * 0.25,
            (rank % 3) as f64,
        )),
    };
    ranks.into_iter().map(value).collect()
}

/// The same tensor with about a third of its values replaced by those where kernels go wrong.
/// Without `tiny`, none of them is below the normal numbers.
pub fn sprinkle(tensor: &Tensor, tiny: bool, rng: &mut Rng) -> Tensor {
    if tensor.dtype.kind() != Kind::Float {
        return tensor.clone();
    }
    let subnormal = match tensor.dtype {
        _ if !tiny => 1.0,
        Dtype::Float16 => 1e-6,
        Dtype::Float64 => 1e-310,
        _ => 1e-40,
    };
    let special = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.0,
        subnormal,
        -subnormal,
    ];
    let values = tensor.values.iter().map(|&v| {
        if rng.below(3) == 0 {
            Value::Real(*rng.pick(&special))
        } else {
            v
        }
    });
    Tensor::new(
        tensor.dtype,
        tensor.shape.clone(),
        values.collect::<Vec<_>>(),
    )
}
