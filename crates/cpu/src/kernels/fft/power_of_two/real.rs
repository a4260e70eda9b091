//! Owns transforms of real lines whose size is a power of two to the first half of their spectrum, and
//! back: of complex lines half as long, whose real parts are the numbers at even places and whose
//! imaginary parts are those at odd places.

use super::{
    ALIGNED, Complex64, Direction, Forwards, Inverse, PowerOfTwo, butterflies::Complexes,
    is_aligned, lanes, order, root,
};
use crate::{
    isa::{Level, level, per_isa},
    simd::Lanes,
};

/// The transform of real lines of one size to the first half of their spectrum.
pub(crate) struct RealPowerOfTwo {
    complex: PowerOfTwo,
    roots: Vec<f32>,
}

/// The transform of the first half of a spectrum back to a real line of one size.
pub(crate) struct HalfPowerOfTwo {
    complex: PowerOfTwo,
    roots: Vec<f32>,
}

impl RealPowerOfTwo {
    /// The plan for a size, if there is one.
    pub(crate) fn new(size: usize) -> Option<Self> {
        Some(RealPowerOfTwo {
            complex: PowerOfTwo::new(size / 2, false).filter(|_| size.is_power_of_two())?,
            roots: roots(level(), size),
        })
    }

    /// The `f32` that [`run`](Self::run) needs room for.
    pub(crate) fn room(&self) -> usize {
        self.complex.room() + room_between(self.complex.size)
    }

    /// Transforms a line to half as many numbers and one, with a factor.
    pub(crate) fn run(&self, from: &[f32], to: &mut [Complex64], room: &mut [f32], scale: f32) {
        let half = self.complex.size;
        assert!(from.len() == 2 * half && to.len() == half + 1);
        // SAFETY: a complex number is two `f32` and nothing else.
        let from = unsafe { std::slice::from_raw_parts(from.as_ptr().cast(), half) };
        let (between, room) = between(room, half);
        // Complex lines are transformed faster to where vectors begin.
        let aligned = is_aligned(to.as_ptr());
        let folded = if aligned { &mut *to } else { &mut *between };
        self.complex
            .run(from, &mut folded[..half], room, scale / 2.0);
        let middle = folded[half / 2].conj() * 2.0;
        folded[half] = folded[0];
        if aligned {
            fold::<Forwards>(None, to, &self.roots);
        } else {
            fold::<Forwards>(Some(between), to, &self.roots);
        }
        to[half / 2] = middle;
    }
}

impl HalfPowerOfTwo {
    /// The plan for a size, if there is one.
    pub(crate) fn new(size: usize) -> Option<Self> {
        Some(HalfPowerOfTwo {
            complex: PowerOfTwo::new(size / 2, true).filter(|_| size.is_power_of_two())?,
            roots: roots(level(), size),
        })
    }

    /// The `f32` that [`run`](Self::run) needs room for.
    pub(crate) fn room(&self) -> usize {
        self.complex.room() + room_between(self.complex.size)
    }

    /// Transforms half a spectrum, of which the first and the last number count without their imaginary
    /// parts, to a line, with a factor.
    pub(crate) fn run(&self, from: &[Complex64], to: &mut [f32], room: &mut [f32], scale: f32) {
        let half = self.complex.size;
        assert!(from.len() == half + 1 && to.len() == 2 * half);
        // SAFETY: a complex number is two `f32` and nothing else.
        let to = unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), half) };
        let (folded, room) = between(room, half);
        fold::<Inverse>(Some(from), folded, &self.roots);
        let (first, last) = (from[0].re, from[half].re);
        folded[0] = Complex64::new(first + last, first - last);
        folded[half / 2] = from[half / 2].conj() * 2.0;
        self.complex.run(&folded[..half], to, room, scale);
    }
}

/// The `f32` that [`between`] takes.
fn room_between(half: usize) -> usize {
    2 * (half + 1) + ALIGNED
}

/// Room for a folded spectrum, where vectors begin, and what is left.
fn between(room: &mut [f32], half: usize) -> (&mut [Complex64], &mut [f32]) {
    let (between, left) = room.split_at_mut(room_between(half));
    let skipped = between.as_ptr().align_offset(ALIGNED * size_of::<f32>());
    let between = &mut between[skipped..][..2 * (half + 1)];
    // SAFETY: a complex number is two `f32` and nothing else.
    let between = unsafe { std::slice::from_raw_parts_mut(between.as_mut_ptr().cast(), half + 1) };
    (between, left)
}

/// `-i exp(-2πi k / n)` for a quarter of all `k`, in vectors of real and of imaginary parts.
pub(super) fn roots(level: Level, size: usize) -> Vec<f32> {
    let lanes = lanes(level);
    let vector = |first: usize| {
        let numbers = (0..lanes).map(move |place| root(first + order(level, lanes, place), size));
        numbers.clone().map(|z| z.im).chain(numbers.map(|z| -z.re))
    };
    (0..size / 4).step_by(lanes).flat_map(vector).collect()
}

per_isa! {
    fn fold<D: Direction>(
        from: Option<&[Complex64]>,
        to: &mut [Complex64],
        roots: &[f32],
    ) = fold_body;
}

/// For a number and the one as far from the end: their sum and their difference times a root, where the
/// second is conjugated, are added for the first, and for the second subtracted and conjugated.
/// The numbers are those of the target if no others are given.
#[inline(always)]
pub(super) fn fold_body<S: Lanes, D: Direction>(
    from: Option<&[Complex64]>,
    to: &mut [Complex64],
    roots: &[f32],
) {
    let half = to.len() - 1;
    assert!(from.is_none_or(|from| from.len() == to.len()));
    assert!(half.is_multiple_of(2 * S::N) && roots.len() == half);
    let to = to.as_mut_ptr().cast::<f32>();
    let from = from.map_or(to.cast_const(), |from| from.as_ptr().cast());
    for first in (0..half / 2).step_by(S::N) {
        let second = half + 1 - S::N - first;
        // SAFETY: `N` numbers of the first half, and as many of the second.
        unsafe {
            let root = Complexes::<S>::load(roots.as_ptr().add(2 * first));
            let a = split::<S>(from.add(2 * first));
            let b = reversed(split::<S>(from.add(2 * second)));
            let sum = Complexes::<S> {
                re: S::add(a.re, b.re),
                im: S::sub(a.im, b.im),
            };
            let difference = Complexes::<S> {
                re: S::sub(a.re, b.re),
                im: S::add(a.im, b.im),
            };
            let turned = if D::INVERSE {
                difference.mul(root.conjugate())
            } else {
                difference.mul(root)
            };
            join::<S>(sum.add(turned), to.add(2 * first));
            join::<S>(reversed(sum.sub(turned).conjugate()), to.add(2 * second));
        }
    }
}

/// # Safety
/// `N` complex numbers must be readable.
#[inline(always)]
unsafe fn split<S: Lanes>(from: *const f32) -> Complexes<S> {
    // SAFETY: the caller's promise.
    let (re, im) = unsafe { S::split(S::load(from), S::load(from.add(S::N))) };
    Complexes { re, im }
}

/// # Safety
/// `N` complex numbers must be writable.
#[inline(always)]
unsafe fn join<S: Lanes>(x: Complexes<S>, to: *mut f32) {
    let (a, b) = S::join(x.re, x.im);
    // SAFETY: the caller's promise.
    unsafe {
        S::store(a, to);
        S::store(b, to.add(S::N));
    }
}

#[inline(always)]
fn reversed<S: Lanes>(x: Complexes<S>) -> Complexes<S> {
    Complexes {
        re: S::reverse(x.re),
        im: S::reverse(x.im),
    }
}
