//! Owns the choice between our own transforms, of lines whose size is a power of two, and those of the
//! library, and keeps plans for sizes seen before.

use std::sync::{Arc, Mutex, PoisonError};

use olivine_core::{Complex64, Element};
use olivine_numeric::fourier::{Complexes, Halves, Reals};

use super::power_of_two::{HalfPowerOfTwo, PowerOfTwo, RealPowerOfTwo};
use crate::isa::{Level, level};

/// A transform of lines.
pub(super) trait Plan: Sync {
    type From: Parts;
    type To: Parts;

    /// Room that `run` needs.
    fn scratch(&self) -> Vec<Complex64>;
    /// Transforms a line, whose memory is used up, with a factor.
    fn run(
        &self,
        from: &mut [Self::From],
        to: &mut [Self::To],
        scratch: &mut [Complex64],
        scale: f32,
    );
    /// Transforms a line that stays as it is, with a factor, to numbers the first of which is finite only if
    /// all of the line is; or does nothing and returns false.
    fn run_from(&self, _: &[Self::From], _: &mut [Self::To], _: &mut [Complex64], _: f32) -> bool {
        false
    }
}

/// A number that consists of `f32`.
pub(super) trait Parts: Element {
    fn parts(numbers: &[Self]) -> &[f32];
    fn parts_mut(numbers: &mut [Self]) -> &mut [f32];
}

impl Parts for f32 {
    fn parts(numbers: &[Self]) -> &[f32] {
        numbers
    }
    fn parts_mut(numbers: &mut [Self]) -> &mut [f32] {
        numbers
    }
}

impl Parts for Complex64 {
    fn parts(numbers: &[Self]) -> &[f32] {
        // SAFETY: a complex number is two `f32` and nothing else.
        unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), 2 * numbers.len()) }
    }
    fn parts_mut(numbers: &mut [Self]) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), 2 * numbers.len()) }
    }
}

/// True if our transforms of a size are faster here than the library's, where both were timed.
fn is_ours(size: usize) -> bool {
    let least = match level() {
        Level::V4 | Level::Bf16 => 128,
        Level::Portable | Level::Dot | Level::V3 => 1024,
    };
    cfg!(target_arch = "x86_64") && size.is_power_of_two() && size >= least
}

/// Plans for sizes seen before; the inverse ones apart. There are few powers of two, so none is forgotten.
struct Kept<P>(Mutex<Vec<(usize, bool, Arc<P>)>>);

impl<P> Kept<P> {
    const fn new() -> Self {
        Kept(Mutex::new(Vec::new()))
    }

    fn get(&self, size: usize, inverse: bool, make: impl FnOnce() -> Option<P>) -> Option<Arc<P>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|plan| (plan.0, plan.1) == (size, inverse));
        if let Some((_, _, plan)) = found {
            return Some(Arc::clone(plan));
        }
        let plan = Arc::new(make()?);
        kept.push((size, inverse, Arc::clone(&plan)));
        Some(plan)
    }
}

static COMPLEX: Kept<PowerOfTwo> = Kept::new();
static REAL: Kept<RealPowerOfTwo> = Kept::new();
static HALF: Kept<HalfPowerOfTwo> = Kept::new();

/// Our own plan, or the library's.
pub(super) enum Choice<P, L> {
    Ours(Arc<P>),
    Library(L),
}

impl<P, L> Choice<P, L> {
    fn new(
        size: usize,
        ours: impl FnOnce() -> Option<Arc<P>>,
        library: impl FnOnce() -> L,
    ) -> Self {
        let ours = if is_ours(size) { ours() } else { None };
        ours.map_or_else(|| Choice::Library(library()), Choice::Ours)
    }
}

/// The transform of complex lines.
pub(super) type ComplexLines = Choice<PowerOfTwo, Complexes>;
/// The transform of real lines to the first half of their spectrum.
pub(super) type RealLines = Choice<RealPowerOfTwo, Reals>;
/// The transform of the first half of a spectrum to a real line.
pub(super) type HalfLines = Choice<HalfPowerOfTwo, Halves>;

/// The plan for complex lines of a size.
pub(super) fn complex_lines(size: usize, inverse: bool) -> ComplexLines {
    let ours = || COMPLEX.get(size, inverse, || PowerOfTwo::new(size, inverse));
    Choice::new(size, ours, || Complexes::new(size, inverse))
}

/// The plan for real lines of a size.
pub(super) fn real_lines(size: usize) -> RealLines {
    let ours = || REAL.get(size, false, || RealPowerOfTwo::new(size));
    Choice::new(size, ours, || Reals::new(size))
}

/// The plan for the spectra of real lines of a size.
pub(super) fn half_lines(size: usize) -> HalfLines {
    let ours = || HALF.get(size, false, || HalfPowerOfTwo::new(size));
    Choice::new(size, ours, || Halves::new(size))
}

/// What the plans of all sorts of lines have in common.
macro_rules! chosen {
    ($from:ty => $to:ty) => {
        type From = $from;
        type To = $to;

        fn scratch(&self) -> Vec<Complex64> {
            match self {
                Choice::Ours(plan) => room(plan.room()),
                Choice::Library(plan) => plan.scratch(),
            }
        }
        fn run(&self, from: &mut [$from], to: &mut [$to], scratch: &mut [Complex64], scale: f32) {
            match self {
                Choice::Ours(plan) => plan.run(from, to, Parts::parts_mut(scratch), scale),
                Choice::Library(plan) => {
                    plan.run(from, to, scratch);
                    multiply(to, scale);
                }
            }
        }
    };
}

impl Plan for ComplexLines {
    chosen!(Complex64 => Complex64);

    fn run_from(
        &self,
        from: &[Complex64],
        to: &mut [Complex64],
        scratch: &mut [Complex64],
        scale: f32,
    ) -> bool {
        // The first number is the sum of the line.
        match self {
            Choice::Ours(plan) => plan.run(from, to, Parts::parts_mut(scratch), scale),
            Choice::Library(plan) => {
                plan.run_from(from, to, scratch);
                multiply(to, scale);
            }
        }
        true
    }
}

impl Plan for RealLines {
    chosen!(f32 => Complex64);

    fn run_from(
        &self,
        from: &[f32],
        to: &mut [Complex64],
        scratch: &mut [Complex64],
        scale: f32,
    ) -> bool {
        // As of complex lines.
        let Choice::Ours(plan) = self else {
            return false;
        };
        plan.run(from, to, Parts::parts_mut(scratch), scale);
        true
    }
}

impl Plan for HalfLines {
    chosen!(Complex64 => f32);
}

/// Room for so many `f32`.
fn room(parts: usize) -> Vec<Complex64> {
    vec![Complex64::default(); parts.div_ceil(2)]
}

fn multiply<T: Parts>(numbers: &mut [T], scale: f32) {
    if scale != 1.0 {
        for part in T::parts_mut(numbers) {
            *part *= scale;
        }
    }
}
