//! Owns what is known of the machine: its name, and the bandwidth and arithmetic that bound every kernel.

use std::{
    fs,
    hint::black_box,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use olivine_cpu::Level;
use serde::{Deserialize, Serialize};

/// A machine and its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    /// The instruction set that Olivine's kernels use.
    pub(crate) isa: String,
    /// The threads that every library uses.
    pub(crate) threads: usize,
    /// Bytes that all threads read and write in a second while copying memory, in 10⁹.
    pub(crate) copy_gb_s: f64,
    /// Float32 operations of all threads in a second, in 10⁹, two for each multiply-add.
    pub(crate) f32_gflop_s: f64,
}

impl Machine {
    /// Finds out and measures.
    pub(crate) fn measure() -> Machine {
        let threads = olivine_cpu::num_threads();
        Machine {
            cpu: cpu(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            isa: match olivine_cpu::level() {
                Level::Portable => "portable",
                Level::Dot => "dot",
                Level::V3 => "v3",
                Level::V4 => "v4",
                Level::Bf16 => "bf16",
            }
            .to_owned(),
            threads,
            copy_gb_s: copy_bandwidth(threads),
            f32_gflop_s: multiply_adds(threads),
        }
    }

    /// The machine in lines of a name and a value.
    pub(crate) fn lines(&self) -> [(&'static str, String); 4] {
        let threads = match self.threads {
            1 => "1 thread".to_owned(),
            n => format!("{n} threads"),
        };
        [
            ("processor", format!("{}, {} cores", self.cpu, self.cores)),
            (
                "used by every library",
                format!("{threads}; Olivine's kernels: {}", self.isa),
            ),
            (
                "copying memory",
                format!("{:.1} GB/s, read and written", self.copy_gb_s),
            ),
            (
                "float32 multiply-adds",
                format!("{:.0} GFLOP/s", self.f32_gflop_s),
            ),
        ]
    }
}

/// The processor's name as the system has it.
fn cpu() -> String {
    let linux = || {
        let text = fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let apple = || {
        let output = Command::new("sysctl")
            .args(["-n", "machdep.cpu.brand_string"])
            .output()
            .ok()?;
        let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (!name.is_empty()).then_some(name)
    };
    linux()
        .or_else(apple)
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The least time of several attempts at `work` on threads of which each has something of its own.
fn fastest<T: Send>(attempts: usize, own: &mut [T], work: impl Fn(&mut T) + Sync) -> Duration {
    (0..attempts)
        .map(|_| {
            let started = Instant::now();
            thread::scope(|scope| {
                for own in &mut *own {
                    scope.spawn(|| work(own));
                }
            });
            started.elapsed()
        })
        .min()
        .unwrap_or_default()
}

/// Gigabytes read and written in a second by threads that copy memory no cache holds.
fn copy_bandwidth(threads: usize) -> f64 {
    /// Of float32, over all threads.
    const LENGTH: usize = 1 << 26;
    let part = LENGTH / threads;
    let mut arrays: Vec<_> = (0..threads)
        .map(|_| (vec![1.0f32; part], vec![0.0f32; part]))
        .collect();
    let took = fastest(7, &mut arrays, |(from, to)| {
        to.copy_from_slice(black_box(from));
    });
    (2 * threads * part * size_of::<f32>()) as f64 / took.as_secs_f64() / 1e9
}

/// Gigaflops of threads that do nothing but independent multiply-adds in registers.
fn multiply_adds(threads: usize) -> f64 {
    const ROUNDS: usize = 4 << 20;
    let took = fastest(7, &mut vec![0.0; threads], |sum| {
        *sum = chains::run(black_box(ROUNDS));
    });
    (threads * ROUNDS * chains::operations()) as f64 / took.as_secs_f64() / 1e9
}

/// Chains of multiply-adds, as many as hide the latency of each.
mod chains {
    use std::array::from_fn;

    use olivine_cpu::Level;

    /// Registers that accumulate at once: latency times throughput is 8 to 10 on processors of today.
    const CHAINS: usize = 12;

    /// Float32 operations of a round.
    pub(super) fn operations() -> usize {
        let lanes = match olivine_cpu::level() {
            Level::V3 => 8,
            Level::V4 | Level::Bf16 if cfg!(target_arch = "x86_64") => 16,
            _ => 4,
        };
        2 * CHAINS * lanes
    }

    /// The sum over rounds, so that none can be left out.
    pub(super) fn run(rounds: usize) -> f32 {
        match olivine_cpu::level() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level says that the processor has these instructions.
            Level::V4 | Level::Bf16 => unsafe { avx512(rounds) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level says that the processor has these instructions.
            Level::V3 => unsafe { avx2(rounds) },
            _ => portable(rounds),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn avx512(rounds: usize) -> f32 {
        use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
        let (factor, term) = (_mm512_set1_ps(0.999), _mm512_set1_ps(0.001));
        let mut sums: [_; CHAINS] = from_fn(|i| _mm512_set1_ps(i as f32));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, term);
            }
        }
        sums.iter().map(|sum| _mm512_reduce_add_ps(*sum)).sum()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(rounds: usize) -> f32 {
        use std::arch::x86_64::{_mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps};
        let (factor, term) = (_mm256_set1_ps(0.999), _mm256_set1_ps(0.001));
        let mut sums: [_; CHAINS] = from_fn(|i| _mm256_set1_ps(i as f32));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, term);
            }
        }
        sums.iter().map(|sum| _mm256_cvtss_f32(*sum)).sum()
    }

    fn portable(rounds: usize) -> f32 {
        let mut sums: [[f32; 4]; CHAINS] = from_fn(|i| [i as f32; 4]);
        for _ in 0..rounds {
            for value in sums.as_flattened_mut() {
                *value = if cfg!(target_arch = "aarch64") {
                    value.mul_add(0.999, 0.001)
                } else {
                    *value * 0.999 + 0.001
                };
            }
        }
        sums.as_flattened().iter().sum()
    }
}
