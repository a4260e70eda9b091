//! Owns the table of benchmarks: what each measures, and what it cannot do without.

use olivine::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ours;

/// What one call does at least; its speed is compared with what the machine can do of it.
#[derive(Clone, Copy)]
pub(crate) enum Cost {
    /// Additions and multiplications of float32.
    Flops(f64),
    /// Bytes of inputs and results.
    Bytes(f64),
    /// Neither bounds it.
    Other,
}

/// A speed in 10⁹ of a unit per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// The part of what the machine can do.
    pub(crate) of_limit: f64,
}

impl Cost {
    /// The speed of a call that takes so many milliseconds.
    pub(crate) fn rate(self, ms: f64, machine: &crate::machine::Machine) -> Option<Rate> {
        let (amount, unit, limit) = match self {
            Cost::Flops(flops) => (flops, "GFLOP/s", machine.f32_gflop_s),
            Cost::Bytes(bytes) => (bytes, "GB/s", machine.copy_gb_s),
            Cost::Other => return None,
        };
        let value = amount / ms / 1e6;
        Some(Rate {
            value,
            unit: unit.to_owned(),
            of_limit: value / limit,
        })
    }
}

/// One benchmark; `peers/peer.py` says precisely what its call does.
pub(crate) struct Job {
    /// The name, the same in every peer.
    pub(crate) name: &'static str,
    /// What it measures.
    pub(crate) what: &'static str,
    pub(crate) cost: Cost,
    /// Makes the inputs and returns the call.
    pub(crate) setup: fn() -> Result<ours::Work>,
}

/// The elements of a large vector, and of a matrix of 4096 by 4096.
const LARGE: f64 = ours::LARGE as f64;

/// The operations of a product of square matrices.
const fn cube(n: f64) -> Cost {
    Cost::Flops(2.0 * n * n * n)
}

/// The bytes of reading and writing so many large arrays of float32.
const fn arrays(count: f64) -> Cost {
    Cost::Bytes(4.0 * count * LARGE)
}

/// The bytes of half-byte codes with a scale and a bias of some size for every 64.
const fn codes(size: f64) -> Cost {
    Cost::Bytes(LARGE / 2.0 + 2.0 * size * LARGE / 64.0)
}

/// Every benchmark.
pub(crate) const ALL: &[Job] = &[
    job("matmul_512", "product of f32 matrices", cube(512.0), || {
        ours::matmul(512, Dtype::Float32)
    }),
    job(
        "matmul_1024",
        "product of f32 matrices",
        cube(1024.0),
        || ours::matmul(1024, Dtype::Float32),
    ),
    job(
        "matmul_2048",
        "product of f32 matrices",
        cube(2048.0),
        || ours::matmul(2048, Dtype::Float32),
    ),
    job(
        "matmul_1024_bf16",
        "product of bf16 matrices",
        cube(1024.0),
        || ours::matmul(1024, Dtype::BFloat16),
    ),
    job(
        "matmul_2048_bf16",
        "product of bf16 matrices",
        cube(2048.0),
        || ours::matmul(2048, Dtype::BFloat16),
    ),
    job(
        "matmul_1024_f16",
        "product of f16 matrices",
        cube(1024.0),
        || ours::matmul(1024, Dtype::Float16),
    ),
    job(
        "add_16m",
        "sum of two vectors of 2²⁴",
        arrays(3.0),
        || ours::over2([ours::LARGE], [ours::LARGE], |a, b| a.add(b)),
    ),
    job(
        "exp_16m",
        "exponential of 2²⁴ numbers",
        arrays(2.0),
        || ours::over([ours::LARGE], Array::exp),
    ),
    job(
        "gelu_16m",
        "tanh GELU of 2²⁴ numbers, op by op",
        arrays(2.0),
        || ours::over([ours::LARGE], ours::gelu),
    ),
    job("gelu_fused_16m", "the same, compiled", arrays(2.0), || {
        ours::over([ours::LARGE], compile(olivine::nn::gelu_tanh))
    }),
    job(
        "squared_error_16m",
        "mean squared difference of two vectors of 2²⁴, compiled",
        arrays(2.0),
        ours::squared_error,
    ),
    job("sum_16m", "sum of all of 4096²", arrays(1.0), || {
        ours::over([ours::LARGE], |x| x.sum(..))
    }),
    job(
        "sum_axis0_4096",
        "sum of 4096² over the first axis",
        arrays(1.0),
        || ours::over([4096, 4096], |x| x.sum(0)),
    ),
    job(
        "softmax_4096",
        "softmax of 4096 rows of 4096",
        arrays(2.0),
        || ours::over([4096, 4096], |x| x.softmax(-1)),
    ),
    job(
        "rms_norm_4096",
        "RMS norm of 4096 rows of 4096",
        arrays(2.0),
        || {
            ours::over2([4096, 4096], [4096], |x, weight| {
                fast::rms_norm(x, Some(weight), 1e-5)
            })
        },
    ),
    job(
        "layer_norm_4096",
        "layer norm of 4096 rows of 4096",
        arrays(2.0),
        ours::layer_norm,
    ),
    job(
        "transpose_4096",
        "transpose of 4096², copied",
        arrays(2.0),
        || ours::over([4096, 4096], |x| x.transpose(..)?.contiguous()),
    ),
    job(
        "sort_1m",
        "2²⁰ numbers in ascending order",
        Cost::Other,
        || ours::over([1 << 20], |x| x.sort(-1)),
    ),
    job(
        "sdpa_decode",
        "attention of one query over 1024 keys, 32 heads on 8",
        Cost::Bytes(2.0 * 4.0 * 8.0 * 1024.0 * 128.0),
        || ours::attention(1),
    ),
    job(
        "sdpa_prefill",
        "causal attention of 1024 queries, 32 heads on 8",
        // Two products, each with half of a square of scores.
        Cost::Flops(2.0 * 2.0 * 32.0 * 128.0 * (1024.0 * 1025.0 / 2.0)),
        || ours::attention(1024),
    ),
    job(
        "q4_matvec_4096",
        "f32 vector times 4096² of 4 bits",
        codes(4.0),
        || ours::quantized(1, Dtype::Float32),
    ),
    job(
        "q4_matvec_4096_bf16",
        "bf16 vector times 4096² of 4 bits",
        codes(2.0),
        || ours::quantized(1, Dtype::BFloat16),
    ),
    job(
        "q4_matmul_4096",
        "256 f32 rows times 4096² of 4 bits",
        Cost::Flops(2.0 * 256.0 * LARGE),
        || ours::quantized(256, Dtype::Float32),
    ),
    job(
        "q4_matmul_4096_bf16",
        "256 bf16 rows times 4096² of 4 bits",
        Cost::Flops(2.0 * 256.0 * LARGE),
        || ours::quantized(256, Dtype::BFloat16),
    ),
    job(
        "conv2d_56",
        "8 images of 56² with 64 channels, 64 filters of 3²",
        Cost::Flops(2.0 * 8.0 * 56.0 * 56.0 * 64.0 * 64.0 * 9.0),
        ours::conv2d,
    ),
    job(
        "fft_4096",
        "complex Fourier transforms of 256 rows of 4096",
        // Of a radix-2 transform: 5 n log₂ n.
        Cost::Flops(256.0 * 5.0 * 4096.0 * 12.0),
        ours::fft,
    ),
    job(
        "small_adds_1000",
        "a thousand dependent adds of one number",
        Cost::Other,
        ours::small_adds,
    ),
    job(
        "train_step",
        "forward, backward and AdamW of a Llama of 4 layers, 256 wide",
        Cost::Other,
        ours::train_step,
    ),
];

const fn job(
    name: &'static str,
    what: &'static str,
    cost: Cost,
    setup: fn() -> Result<ours::Work>,
) -> Job {
    Job {
        name,
        what,
        cost,
        setup,
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::peer::Peer;

    #[test]
    fn names_are_unique_and_every_peer_knows_no_others() {
        let mut names: Vec<_> = ALL.iter().map(|job| job.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for peer in Peer::value_variants() {
            let setups = std::fs::read_to_string(peer.script()).unwrap();
            let (_, table) = setups.split_once("\nSETUPS = {\n").unwrap();
            let (table, _) = table.split_once("\n}").unwrap();
            for line in table.lines() {
                let name = line.trim().split('"').nth(1).unwrap();
                assert!(names.contains(&name), "{peer:?} has {name}");
            }
        }
    }
}
