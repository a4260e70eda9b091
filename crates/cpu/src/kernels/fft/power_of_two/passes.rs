//! Owns the passes over rows: each transforms a few of them that lie equally far apart, and all of
//! them such groups.

use super::{
    Direction, Pass,
    butterflies::{Complexes, finish16, transform4, transform8},
};
use crate::simd::Lanes;

/// The `f32` of sixteen vectors of complex numbers, for those that there are no registers for.
pub(super) const KEPT: usize = 256;

/// Where a transform has its numbers from.
pub(super) trait Source<S: Lanes>: Copy {
    /// # Safety
    /// What makes a number must be readable.
    unsafe fn number(self, i: usize) -> Complexes<S>;
}

/// Where a transform has its results go.
pub(super) trait Sink<S: Lanes>: Copy {
    /// # Safety
    /// There must be room for a result.
    unsafe fn put(self, i: usize, result: Complexes<S>);
}

/// Transforms 4, 8 or 16 numbers.
///
/// # Safety
/// As of the source and the sink, and `KEPT` numbers must be writable at `kept`.
#[inline(always)]
unsafe fn transform<S: Lanes, const R: usize>(
    from: impl Source<S>,
    to: impl Sink<S>,
    kept: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match R {
            4 => {
                let x = transform4([
                    from.number(0),
                    from.number(1),
                    from.number(2),
                    from.number(3),
                ]);
                to.put(0, x[0]);
                to.put(1, x[1]);
                to.put(2, x[2]);
                to.put(3, x[3]);
            }
            8 => {
                let mut x = [Complexes::<S>::zero(); 8];
                for (i, x) in x.iter_mut().enumerate() {
                    *x = from.number(i);
                }
                transform8(&mut x);
                for (i, x) in x.into_iter().enumerate() {
                    to.put(i, x);
                }
            }
            _ => {
                assert!(R == 16);
                let a = start16(from, 0, kept);
                let b = start16(from, 1, kept);
                let c = start16(from, 2, kept);
                let d = start16(from, 3, kept);
                put16(to, 0, finish16::<S, 0>([a[0], b[0], c[0], d[0]]));
                put16(to, 1, finish16::<S, 1>([a[1], b[1], c[1], d[1]]));
                put16(to, 2, finish16::<S, 2>(kept16(2, kept)));
                put16(to, 3, finish16::<S, 3>(kept16(3, kept)));
            }
        }
    }
}

/// Transforms every fourth of sixteen numbers, from `i` on. Two of the results are kept in memory: there
/// are no registers for more.
///
/// # Safety
/// As for [`transform`].
#[inline(always)]
pub(super) unsafe fn start16<S: Lanes>(
    from: impl Source<S>,
    i: usize,
    kept: *mut f32,
) -> [Complexes<S>; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let x = transform4([
            from.number(i),
            from.number(i + 4),
            from.number(i + 8),
            from.number(i + 12),
        ]);
        x[2].store(kept.add(2 * S::N * i));
        x[3].store(kept.add(2 * S::N * (i + 4)));
        [x[0], x[1]]
    }
}

/// What [`start16`] keeps in memory.
///
/// # Safety
/// It must have been called.
#[inline(always)]
pub(super) unsafe fn kept16<S: Lanes>(part: usize, kept: *mut f32) -> [Complexes<S>; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let kept = kept.add(2 * S::N * 4 * (part - 2));
        [
            Complexes::load(kept),
            Complexes::load(kept.add(2 * S::N)),
            Complexes::load(kept.add(2 * S::N * 2)),
            Complexes::load(kept.add(2 * S::N * 3)),
        ]
    }
}

/// # Safety
/// As of the sink.
#[inline(always)]
unsafe fn put16<S: Lanes>(to: impl Sink<S>, i: usize, x: [Complexes<S>; 4]) {
    // SAFETY: the caller's promise.
    unsafe {
        to.put(i, x[0]);
        to.put(i + 4, x[1]);
        to.put(i + 8, x[2]);
        to.put(i + 12, x[3]);
    }
}

/// Rows, so many `f32` apart.
#[derive(Clone, Copy)]
struct Rows(*const f32, usize);

impl<S: Lanes> Source<S> for Rows {
    #[inline(always)]
    unsafe fn number(self, i: usize) -> Complexes<S> {
        // SAFETY: the caller's promise.
        unsafe { Complexes::load(self.0.add(self.1 * i)) }
    }
}

/// The same rows, and roots of one to multiply by.
#[derive(Clone, Copy)]
struct Turned(*mut f32, usize, *const f32);

impl<S: Lanes> Sink<S> for Turned {
    #[inline(always)]
    unsafe fn put(self, i: usize, mut result: Complexes<S>) {
        // SAFETY: the caller's promise.
        unsafe {
            if i > 0 {
                result = result.mul(Complexes::splat(self.2.add(2 * (i - 1))));
            }
            result.store(self.0.add(self.1 * i));
        }
    }
}

/// Rows of the result, so many `f32` apart.
#[derive(Clone, Copy)]
pub(super) struct Results {
    pub(super) to: *mut f32,
    pub(super) step: usize,
    pub(super) inverse: bool,
    pub(super) scale: Option<f32>,
}

impl Results {
    /// The two halves of a row.
    #[inline(always)]
    fn halves<S: Lanes>(self, row: Complexes<S>) -> (S::F, S::F) {
        let (a, b) = if self.inverse {
            S::join(row.im, row.re)
        } else {
            S::join(row.re, row.im)
        };
        match self.scale.map(S::splat) {
            Some(scale) => (S::mul(a, scale), S::mul(b, scale)),
            None => (a, b),
        }
    }

    /// Writes the first half of a row.
    ///
    /// # Safety
    /// As for [`Sink::put`].
    #[inline(always)]
    pub(super) unsafe fn put_half<S: Lanes>(self, i: usize, row: Complexes<S>) {
        // SAFETY: the caller's promise.
        unsafe { S::store(self.halves::<S>(row).0, self.to.add(self.step * i)) };
    }
}

impl<S: Lanes> Sink<S> for Results {
    #[inline(always)]
    unsafe fn put(self, i: usize, result: Complexes<S>) {
        let (a, b) = self.halves::<S>(result);
        // SAFETY: the caller's promise.
        unsafe {
            let to = self.to.add(self.step * i);
            S::store(a, to);
            S::store(b, to.add(S::N));
        }
    }
}

/// A pass over a block of rows, in place: rows `pass.step` apart become their transforms times roots
/// of one.
///
/// # Safety
/// The rows must be readable and writable.
#[inline(always)]
pub(super) unsafe fn middle<S: Lanes, const R: usize>(
    (pass, first): (&Pass, usize),
    rows: *mut f32,
    kept: *mut f32,
) {
    let step = 2 * S::N * pass.step;
    for group in 0..pass.groups {
        // SAFETY: rows of the block, and as many roots for each group.
        unsafe {
            let roots = pass.roots.as_ptr().add(2 * (R - 1) * (first + group));
            for row in 0..pass.step {
                let at = rows.add(step * R * group + 2 * S::N * row);
                transform::<S, R>(Rows(at, step), Turned(at, step, roots), kept);
            }
        }
    }
}

/// The last pass: as [`middle`], without roots, but to the result, whose rows are complex numbers.
///
/// # Safety
/// The rows must be readable, and the result, which may be in their place, writable.
#[inline(always)]
pub(super) unsafe fn last<S: Lanes, D: Direction, const R: usize>(
    step: usize,
    rows: *const f32,
    to: *mut f32,
    scale: Option<f32>,
    kept: *mut f32,
) {
    for row in 0..step {
        // SAFETY: one of the rows, and of those of the result.
        unsafe {
            let from = Rows(rows.add(2 * S::N * row), 2 * S::N * step);
            let to = Results {
                to: to.add(2 * S::N * row),
                step: 2 * S::N * step,
                inverse: D::INVERSE,
                scale,
            };
            transform::<S, R>(from, to, kept);
        }
    }
}
