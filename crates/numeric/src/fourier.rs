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
///
/// ```
/// use num_complex::Complex;
/// use olivine_numeric::fourier::Complexes;
/// let forwards = Complexes::new(2, false);
/// let (mut line, mut spectrum) = ([3.0, 1.0].map(|x| Complex::new(x, 0.0f32)), [Complex::default(); 2]);
/// forwards.run(&mut line, &mut spectrum, &mut forwards.scratch());
/// assert_eq!(spectrum.map(|x| x.re), [4.0, 2.0]);
/// ```
#[derive(Clone)]
pub struct Complexes(Arc<dyn Fft<f32>>);

impl Complexes {
    /// The plan for lines of `size`, at least one.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Complexes;
    /// let (there, back) = (Complexes::new(4, false), Complexes::new(4, true));
    /// let mut line = [1.0, 2.0, 3.0, 4.0].map(|x| Complex::new(x, 0.0f32));
    /// let mut spectrum = [Complex::default(); 4];
    /// there.run(&mut line, &mut spectrum, &mut there.scratch());
    /// back.run(&mut spectrum, &mut line, &mut back.scratch());
    /// // Without factors, each number has become four times itself.
    /// assert_eq!(line.map(|x| x.re), [4.0, 8.0, 12.0, 16.0]);
    /// ```
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

    /// Room that [`Complexes::run`] and [`Complexes::run_from`] need.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Complexes;
    /// let transform = Complexes::new(8, false);
    /// let mut scratch = transform.scratch();
    /// // One after the other, all lines can use the same room.
    /// for _ in 0..3 {
    ///     let (mut line, mut spectrum) = ([Complex::new(1.0f32, 0.0); 8], [Complex::default(); 8]);
    ///     transform.run(&mut line, &mut spectrum, &mut scratch);
    ///     assert_eq!(spectrum[0].re, 8.0);
    /// }
    /// ```
    pub fn scratch(&self) -> Vec<Z> {
        let (used_up, kept) = (
            self.0.get_outofplace_scratch_len(),
            self.0.get_immutable_scratch_len(),
        );
        vec![Z::ZERO; used_up.max(kept)]
    }

    /// Transforms one line, whose memory is used up.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Complexes;
    /// let transform = Complexes::new(2, false);
    /// let (mut line, mut spectrum) = ([5.0, 3.0].map(|x| Complex::new(x, 0.0f32)), [Complex::default(); 2]);
    /// transform.run(&mut line, &mut spectrum, &mut transform.scratch());
    /// assert_eq!(spectrum.map(|x| x.re), [8.0, 2.0]);
    /// ```
    pub fn run(&self, line: &mut [Z], spectrum: &mut [Z], scratch: &mut [Z]) {
        self.0
            .process_outofplace_with_scratch(line, spectrum, scratch);
    }

    /// Transforms one line, which stays as it is.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Complexes;
    /// let transform = Complexes::new(2, false);
    /// let (line, mut spectrum) = ([5.0, 3.0].map(|x| Complex::new(x, 0.0f32)), [Complex::default(); 2]);
    /// transform.run_from(&line, &mut spectrum, &mut transform.scratch());
    /// assert_eq!(spectrum.map(|x| x.re), [8.0, 2.0]);
    /// ```
    pub fn run_from(&self, line: &[Z], spectrum: &mut [Z], scratch: &mut [Z]) {
        self.0
            .process_immutable_with_scratch(line, spectrum, scratch);
    }
}

/// The transform of real lines to the first half of their spectrum, without a factor.
///
/// ```
/// use num_complex::Complex;
/// use olivine_numeric::fourier::Reals;
/// let transform = Reals::new(4);
/// let mut spectrum = [Complex::default(); 3];
/// transform.run(&mut [1.0f32; 4], &mut spectrum, &mut transform.scratch());
/// assert_eq!(spectrum.map(|x| x.re), [4.0, 0.0, 0.0]);
/// ```
#[derive(Clone)]
pub struct Reals(Arc<dyn RealToComplex<f32>>);

impl Reals {
    /// The plan for lines of `size`, at least one.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Reals;
    /// let transform = Reals::new(2);
    /// let mut spectrum = [Complex::default(); 2];
    /// transform.run(&mut [3.0f32, 1.0], &mut spectrum, &mut transform.scratch());
    /// assert_eq!(spectrum.map(|x| x.re), [4.0, 2.0]);
    /// ```
    pub fn new(size: usize) -> Self {
        Reals(plan(size, 2, |planners| {
            let planner = planners.real.get_or_insert_with(RealFftPlanner::new);
            planner.plan_fft_forward(size)
        }))
    }

    /// Room that [`Reals::run`] needs.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Reals;
    /// let transform = Reals::new(6);
    /// let (mut scratch, mut spectrum) = (transform.scratch(), [Complex::default(); 4]);
    /// transform.run(&mut [1.0f32; 6], &mut spectrum, &mut scratch);
    /// assert_eq!(spectrum[0].re, 6.0);
    /// ```
    pub fn scratch(&self) -> Vec<Z> {
        self.0.make_scratch_vec()
    }

    /// Transforms one line, whose memory is used up, to `size / 2 + 1` numbers.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Reals;
    /// let transform = Reals::new(4);
    /// let mut spectrum = [Complex::default(); 3];
    /// // A wave of the highest frequency has its strength in the last number.
    /// transform.run(&mut [1.0f32, -1.0, 1.0, -1.0], &mut spectrum, &mut transform.scratch());
    /// assert_eq!(spectrum.map(|x| x.re), [0.0, 0.0, 4.0]);
    /// ```
    pub fn run(&self, line: &mut [f32], spectrum: &mut [Z], scratch: &mut [Z]) {
        let done = self.0.process_with_scratch(line, spectrum, scratch);
        done.expect("the line and its spectrum have the sizes of the plan");
    }
}

/// The transform of the first half of a spectrum back to a real line, without a factor.
///
/// ```
/// use num_complex::Complex;
/// use olivine_numeric::fourier::Halves;
/// let transform = Halves::new(4);
/// let mut spectrum = [1.0f32, 0.0, 0.0].map(|x| Complex::new(x, 0.0));
/// let mut line = [0.0; 4];
/// transform.run(&mut spectrum, &mut line, &mut transform.scratch());
/// assert_eq!(line, [1.0; 4]);
/// ```
#[derive(Clone)]
pub struct Halves(Arc<dyn ComplexToReal<f32>>);

impl Halves {
    /// The plan for lines of `size`, at least one.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Halves;
    /// let transform = Halves::new(2);
    /// let (mut spectrum, mut line) = ([4.0f32, 2.0].map(|x| Complex::new(x, 0.0)), [0.0; 2]);
    /// transform.run(&mut spectrum, &mut line, &mut transform.scratch());
    /// assert_eq!(line, [6.0, 2.0]);
    /// ```
    pub fn new(size: usize) -> Self {
        Halves(plan(size, 3, |planners| {
            let planner = planners.real.get_or_insert_with(RealFftPlanner::new);
            planner.plan_fft_inverse(size)
        }))
    }

    /// Room that [`Halves::run`] needs.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Halves;
    /// let transform = Halves::new(5);
    /// let mut scratch = transform.scratch();
    /// let (mut spectrum, mut line) = ([Complex::new(0.0f32, 0.0); 3], [1.0; 5]);
    /// transform.run(&mut spectrum, &mut line, &mut scratch);
    /// assert_eq!(line, [0.0; 5]);
    /// ```
    pub fn scratch(&self) -> Vec<Z> {
        self.0.make_scratch_vec()
    }

    /// Transforms one half spectrum, whose memory is used up. The numbers that the symmetry makes
    /// real count without their imaginary part.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::fourier::Halves;
    /// let transform = Halves::new(4);
    /// // The imaginary part of the first number, which symmetry makes real, does not count.
    /// let mut spectrum = [Complex::new(2.0f32, 9.0), Complex::default(), Complex::default()];
    /// let mut line = [0.0; 4];
    /// transform.run(&mut spectrum, &mut line, &mut transform.scratch());
    /// assert_eq!(line, [2.0; 4]);
    /// ```
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
                let mut found = vec![Z::ZERO; n];
                plan.run(&mut line.clone(), &mut found, &mut plan.scratch());
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
            let (mut line, mut spectrum) = (vec![Z::ONE; size], vec![Z::ZERO; size]);
            plan.run(&mut line, &mut spectrum, &mut plan.scratch());
            assert!((spectrum[0].re - size as f32).abs() < 1e-2);
        }
        let asked = PLANNERS.lock().map(|planners| planners.asked.len());
        assert!(asked.unwrap_or_default() <= KEPT);
    }
}
