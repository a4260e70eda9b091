//! Owns what the list of ops says of random numbers.

use super::{
    Bernoulli, Bits, Categorical, Gumbel, Laplace, MultivariateNormal, Normal, Randint,
    TruncatedNormal, Uniform, key, split,
};
use crate::{
    Array, Dtype, Result,
    ops::{Family, Gradient, Input, OpInfo, Sample, info::kinds, linalg::graded},
};

fn without_inputs(label: &str, call: fn() -> Result<Array>) -> Sample {
    Sample::new(label, [], move |_| call())
}

pub(in crate::ops) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Random,
        kinds: kinds::FLOAT,
        gradient: Gradient::Zero,
        samples,
    };
    vec![
        op("random.bits", "Random unsigned integers.", "random.bits(shape, width=4, key=None)", || {
            vec![
                without_inputs("", || Bits::new([5]).key(&key(1)).sample()),
                without_inputs("width=1", || {
                    Bits::new([3, 3]).dtype(Dtype::Uint8).key(&key(1)).sample()
                }),
                without_inputs("width=2", || {
                    Bits::new([7]).dtype(Dtype::Uint16).key(&key(1)).sample()
                }),
                without_inputs("empty", || Bits::new([0]).key(&key(1)).sample()),
            ]
        }),
        op("random.split", "Keys made from a key.", "random.split(key, num=2)", || {
            vec![without_inputs("num=3", || split(&key(1), 3))]
        }),
        OpInfo {
            kinds: kinds::REAL,
            gradient: Gradient::Smooth,
            ..op(
                "random.uniform",
                "Numbers spread evenly over an interval.",
                "random.uniform(low=0, high=1, shape=[], dtype=float32, key=None)",
                || {
                    vec![
                        without_inputs("", || Uniform::new([2, 3]).key(&key(1)).sample()),
                        Sample::new("low, high", [Input::any([4]), Input::any([3, 1])], |x| {
                            Uniform::new([3, 4]).low(&x[0]).high(&x[1]).key(&key(1)).sample()
                        }),
                    ]
                },
            )
        },
        OpInfo {
            kinds: kinds::REAL,
            gradient: Gradient::Smooth,
            ..op(
                "random.normal",
                "Normally distributed numbers.",
                "random.normal(shape=[], dtype=float32, loc=None, scale=None, key=None)",
                || {
                    vec![
                        without_inputs("", || Normal::new([2, 3]).key(&key(1)).sample()),
                        Sample::new("loc, scale", [Input::any([4]), Input::any([3, 1])], |x| {
                            Normal::new([3, 4]).loc(&x[0]).scale(&x[1]).key(&key(1)).sample()
                        }),
                    ]
                },
            )
        },
        op(
            "random.truncated_normal",
            "Normally distributed numbers within an interval.",
            "random.truncated_normal(lower, upper, shape=None, dtype=float32, key=None)",
            || {
                vec![without_inputs("", || {
                    TruncatedNormal::new([2, 3], -1.0, 2.0).key(&key(1)).sample()
                })]
            },
        ),
        op(
            "random.gumbel",
            "Numbers from the Gumbel distribution.",
            "random.gumbel(shape=[], dtype=float32, key=None)",
            || vec![without_inputs("", || Gumbel::new([2, 3]).key(&key(1)).sample())],
        ),
        OpInfo {
            kinds: kinds::REAL,
            gradient: Gradient::Smooth,
            ..op(
                "random.laplace",
                "Numbers from the Laplace distribution.",
                "random.laplace(shape=[], dtype=float32, loc=0.0, scale=1.0, key=None)",
                || {
                    vec![
                        without_inputs("", || Laplace::new([2, 3]).key(&key(1)).sample()),
                        Sample::new("loc, scale", [Input::any([4]), Input::any([3, 1])], |x| {
                            Laplace::new([3, 4]).loc(&x[0]).scale(&x[1]).key(&key(1)).sample()
                        }),
                    ]
                },
            )
        },
        OpInfo {
            kinds: kinds::REAL,
            gradient: Gradient::Smooth,
            ..op(
                "random.multivariate_normal",
                "Vectors whose numbers are normally distributed together.",
                "random.multivariate_normal(mean, cov, shape=[], dtype=float32, key=None)",
                || {
                    let inputs = [Input::any([3, 1, 2]), Input::any([2, 2])];
                    vec![Sample::new("", inputs, |x| {
                        // Whole numbers of up to nine stay far from indefinite.
                        let covariance = graded(&graded(&graded(&x[1])?)?)?;
                        MultivariateNormal::new(&x[0], &covariance).shape([2]).key(&key(1)).sample()
                    })]
                },
            )
        },
        op(
            "random.bernoulli",
            "Truth values that are true with a probability.",
            "random.bernoulli(p=0.5, shape=None, key=None)",
            || {
                vec![without_inputs("", || {
                    Bernoulli::new(0.5).shape([2, 3]).key(&key(1)).sample()
                })]
            },
        ),
        op(
            "random.randint",
            "Whole numbers in a range.",
            "random.randint(low, high, shape=[], dtype=int32, key=None)",
            || vec![without_inputs("", || Randint::new([2, 3], -5, 5).key(&key(1)).sample())],
        ),
        OpInfo {
            kinds: kinds::REAL,
            ..op(
            "random.categorical",
            "Categories drawn by their logits.",
            "random.categorical(logits, axis=-1, shape=None, num_samples=None, key=None)",
            || {
                vec![
                    Sample::new("", [Input::any([3, 7])], |x| {
                        Categorical::new(&x[0]).key(&key(1)).sample()
                    }),
                    Sample::new("axis=0", [Input::any([3, 7])], |x| {
                        Categorical::new(&x[0]).axis(0).key(&key(1)).sample()
                    }),
                    Sample::new("num_samples=4", [Input::any([7])], |x| {
                        Categorical::new(&x[0]).samples(4).key(&key(1)).sample()
                    }),
                ]
            },
        )
        },
        op(
            "random.permutation",
            "The whole numbers below a bound in random order.",
            "random.permutation(x, axis=0, key=None)",
            || vec![without_inputs("", || super::Permutation::new(10).key(&key(1)).sample())],
        ),
    ]
}
