//! Owns Fourier transforms of lines, and the plans that are kept for sizes seen before.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

type Z = Complex<f32>;

/// How many plans are kept. A plan's tables are about as large as its line.
const KEPT: usize = 256;

/// The planners, which remember what they planned, and how many plans were asked of them.
#[derive(Default)]
struct Planners {
    complex: Option<FftPlanner<f32>>,
    real: Option<RealFftPlanner<f32>>,
    asked: Vec<(usize, u8)>,
}

static PLANNERS: LazyLock<Mutex<Planners>> = LazyLock::new(Mutex::default);

fn plan<P>(size: usize, kind: u8, make: impl FnOnce(&mut Planners) -> P) -> P {
    let mut planners = PLANNERS.lock().unwrap_or_else(PoisonError::into_inner);
    if !planners.asked.contains(&(size, kind)) {
        if planners.asked.len() == KEPT {
            *planners = Planners::default();
        }
        planners.asked.push((size, kind));
    }
    make(&mut planners)
}

/// The transform of complex lines, without a factor.
#[derive(Clone)]
pub struct Complexes(Arc<dyn Fft<f32>>);

impl Complexes {
    /// The plan for lines of `size`, at least one.
    pub fn new(size: usize, inverse: bool) -> Self {
        Complexes(plan(size, u8::from(inverse), |planners| {
            let planner = planners.complex.get_or_insert_with(FftPlanner::new);
            if inverse {
                planner.plan_fft_inverse(size)
            } else {
                planner.plan_fft_forward(size)
            }
        }))
    }

    /// Room that [`Complexes::run`] needs.
    pub fn scratch(&self) -> Vec<Z> {
        vec![Z::ZERO; self.0.get_inplace_scratch_len()]
    }

    /// Transforms lines that lie one after the other, in place.
    pub fn run(&self, lines: &mut [Z], scratch: &mut [Z]) {
        self.0.process_with_scratch(lines, scratch);
    }
}

/// The transform of real lines to the first half of their spectrum, without a factor.
#[derive(Clone)]
pub struct Reals(Arc<dyn RealToComplex<f32>>);

impl Reals {
    /// The plan for lines of `size`, at least one.
    pub fn new(size: usize) -> Self {
        Reals(plan(size, 2, |planners| {
            let planner = planners.real.get_or_insert_with(RealFftPlanner::new);
            planner.plan_fft_forward(size)
        }))
    }

    /// Room that [`Reals::run`] needs.
    pub fn scratch(&self) -> Vec<Z> {
        self.0.make_scratch_vec()
    }

    /// Transforms one line, whose memory is used up, to `size / 2 + 1` numbers.
    pub fn run(&self, line: &mut [f32], spectrum: &mut [Z], scratch: &mut [Z]) {
        let done = self.0.process_with_scratch(line, spectrum, scratch);
        done.expect("the line and its spectrum have the sizes of the plan");
    }
}

/// The transform of the first half of a spectrum back to a real line, without a factor.
#[derive(Clone)]
pub struct Halves(Arc<dyn ComplexToReal<f32>>);

impl Halves {
    /// The plan for lines of `size`, at least one.
    pub fn new(size: usize) -> Self {
        Halves(plan(size, 3, |planners| {
            let planner = planners.real.get_or_insert_with(RealFftPlanner::new);
            planner.plan_fft_inverse(size)
        }))
    }

    /// Room that [`Halves::run`] needs.
    pub fn scratch(&self) -> Vec<Z> {
        self.0.make_scratch_vec()
    }

    /// Transforms one half spectrum, whose memory is used up. The numbers that the symmetry makes
    /// real count without their imaginary part.
    pub fn run(&self, spectrum: &mut [Z], line: &mut [f32], scratch: &mut [Z]) {
        spectrum[0].im = 0.0;
        if line.len().is_multiple_of(2)
            && let Some(last) = spectrum.last_mut()
        {
            last.im = 0.0;
        }
        let done = self.0.process_with_scratch(spectrum, line, scratch);
        done.expect("the line and its spectrum have the sizes of the plan");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(line: &[Z], sign: f64) -> Vec<Z> {
        let n = line.len();
        let term = |k: usize, i: usize| {
            let angle = sign * std::f64::consts::TAU * ((k * i) % n) as f64 / n as f64;
            Complex::new(f64::from(line[i].re), f64::from(line[i].im)) * Complex::cis(angle)
        };
        let sums = (0..n).map(|k| (0..n).map(|i| term(k, i)).sum::<Complex<f64>>());
        sums.map(|z| Z::new(z.re as f32, z.im as f32)).collect()
    }

    #[test]
    fn lines_of_any_size_have_the_naive_transform() {
        for n in [1, 2, 3, 4, 5, 7, 8, 13, 30, 31, 64, 97] {
            let line: Vec<Z> = (0..n)
                .map(|i| Z::new((i * i % 7) as f32 - 3.0, (i % 5) as f32))
                .collect();
            for (inverse, sign) in [(false, -1.0), (true, 1.0)] {
                let plan = Complexes::new(n, inverse);
                let mut found = line.clone();
                plan.run(&mut found, &mut plan.scratch());
                for (a, b) in found.iter().zip(naive(&line, sign)) {
                    assert!((a - b).norm() < 1e-4 * n as f32, "{n} {inverse}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn plans_are_forgotten_when_there_are_too_many() {
        for size in 1..2 * KEPT {
            let plan = Complexes::new(size, false);
            let mut line = vec![Z::ONE; size];
            plan.run(&mut line, &mut plan.scratch());
            assert!((line[0].re - size as f32).abs() < 1e-2);
        }
        let asked = PLANNERS.lock().map(|planners| planners.asked.len());
        assert!(asked.unwrap_or_default() <= KEPT);
    }
}
