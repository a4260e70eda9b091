//! Owns transforms of a few complex numbers, each the elements of two vectors: many transforms at
//! once, in registers.

use std::f32::consts::FRAC_1_SQRT_2;

use crate::simd::Lanes;

/// As many complex numbers as a vector has elements.
#[derive(Clone, Copy)]
pub(super) struct Complexes<S: Lanes> {
    pub(super) re: S::F,
    pub(super) im: S::F,
}

impl<S: Lanes> Complexes<S> {
    #[inline(always)]
    pub(super) fn zero() -> Self {
        let zero = S::splat(0.0);
        Complexes { re: zero, im: zero }
    }

    /// The numbers of which `N` real parts are followed by `N` imaginary parts.
    ///
    /// # Safety
    /// These must be readable.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        let (re, im) = unsafe { (S::load(from), S::load(from.add(S::N))) };
        Complexes { re, im }
    }

    /// One number in all places.
    ///
    /// # Safety
    /// Two `f32` must be readable.
    #[inline(always)]
    pub(super) unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        let (re, im) = unsafe { (S::splat(from.read()), S::splat(from.add(1).read())) };
        Complexes { re, im }
    }

    /// Writes what [`load`](Self::load) reads.
    ///
    /// # Safety
    /// There must be room.
    #[inline(always)]
    pub(super) unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            S::store(self.re, to);
            S::store(self.im, to.add(S::N));
        }
    }

    #[inline(always)]
    pub(super) fn add(self, other: Self) -> Self {
        Complexes {
            re: S::add(self.re, other.re),
            im: S::add(self.im, other.im),
        }
    }

    #[inline(always)]
    pub(super) fn sub(self, other: Self) -> Self {
        Complexes {
            re: S::sub(self.re, other.re),
            im: S::sub(self.im, other.im),
        }
    }

    #[inline(always)]
    pub(super) fn mul(self, other: Self) -> Self {
        Complexes {
            re: S::sub_mul(self.im, other.im, S::mul(self.re, other.re)),
            im: S::mul_add(self.im, other.re, S::mul(self.re, other.im)),
        }
    }

    #[inline(always)]
    pub(super) fn conjugate(self) -> Self {
        Complexes {
            re: self.re,
            im: S::sub(S::splat(0.0), self.im),
        }
    }

    /// The product with `-i`, whose imaginary part has the wrong sign.
    #[inline(always)]
    fn exchanged(self) -> Self {
        Complexes {
            re: self.im,
            im: self.re,
        }
    }
}

/// `a + factor * b`, where the imaginary part of `b` has the wrong sign if `flipped`.
#[inline(always)]
fn add_scaled<S: Lanes>(
    a: Complexes<S>,
    factor: S::F,
    b: Complexes<S>,
    flipped: bool,
) -> Complexes<S> {
    Complexes {
        re: S::mul_add(factor, b.re, a.re),
        im: if flipped {
            S::sub_mul(factor, b.im, a.im)
        } else {
            S::mul_add(factor, b.im, a.im)
        },
    }
}

/// As [`add_scaled`], of the difference.
#[inline(always)]
fn sub_scaled<S: Lanes>(
    a: Complexes<S>,
    factor: S::F,
    b: Complexes<S>,
    flipped: bool,
) -> Complexes<S> {
    Complexes {
        re: S::sub_mul(factor, b.re, a.re),
        im: if flipped {
            S::mul_add(factor, b.im, a.im)
        } else {
            S::sub_mul(factor, b.im, a.im)
        },
    }
}

/// Transforms four numbers.
#[inline(always)]
pub(super) fn transform4<S: Lanes>([a, b, c, d]: [Complexes<S>; 4]) -> [Complexes<S>; 4] {
    let (even, odd) = ([a.add(c), a.sub(c)], [b.add(d), b.sub(d)]);
    let turned = odd[1].exchanged();
    [
        even[0].add(odd[0]),
        Complexes {
            re: S::add(even[1].re, turned.re),
            im: S::sub(even[1].im, turned.im),
        },
        even[0].sub(odd[0]),
        Complexes {
            re: S::sub(even[1].re, turned.re),
            im: S::add(even[1].im, turned.im),
        },
    ]
}

/// The last step of a transform of four numbers: the sums of `even` and of `factor * odd`, where the
/// first of each are sums themselves and the second differences.
#[inline(always)]
fn finish4<S: Lanes>(
    even: [Complexes<S>; 2],
    factor: S::F,
    odd: [Complexes<S>; 2],
) -> [Complexes<S>; 4] {
    let turned = odd[1].exchanged();
    [
        add_scaled(even[0], factor, odd[0], false),
        add_scaled(even[1], factor, turned, true),
        sub_scaled(even[0], factor, odd[0], false),
        sub_scaled(even[1], factor, turned, true),
    ]
}

/// The product with `(1 - i)`.
#[inline(always)]
fn eighth<S: Lanes>(a: Complexes<S>) -> Complexes<S> {
    Complexes {
        re: S::add(a.re, a.im),
        im: S::sub(a.im, a.re),
    }
}

/// The product with `(-1 - i)`, whose imaginary part has the wrong sign.
#[inline(always)]
fn three_eighths<S: Lanes>(a: Complexes<S>) -> Complexes<S> {
    Complexes {
        re: S::sub(a.im, a.re),
        im: S::add(a.re, a.im),
    }
}

/// Transforms eight numbers.
#[inline(always)]
pub(super) fn transform8<S: Lanes>(x: &mut [Complexes<S>; 8]) {
    let factor = S::splat(FRAC_1_SQRT_2);
    let odd = transform4([x[1], x[3], x[5], x[7]]);
    let even = transform4([x[0], x[2], x[4], x[6]]);
    (x[0], x[4]) = (even[0].add(odd[0]), even[0].sub(odd[0]));
    let turned = eighth(odd[1]);
    x[1] = add_scaled(even[1], factor, turned, false);
    x[5] = sub_scaled(even[1], factor, turned, false);
    let turned = odd[2].exchanged();
    x[2].re = S::add(even[2].re, turned.re);
    x[2].im = S::sub(even[2].im, turned.im);
    x[6].re = S::sub(even[2].re, turned.re);
    x[6].im = S::add(even[2].im, turned.im);
    let turned = three_eighths(odd[3]);
    x[3] = add_scaled(even[3], factor, turned, true);
    x[7] = sub_scaled(even[3], factor, turned, true);
}

/// The cosine and the tangent of π/8.
const COSINE: f32 = 0.923_879_5;
const TANGENT: f32 = 0.414_213_57;

/// The product with `exp(-πi/8)`, over the cosine.
#[inline(always)]
fn first<S: Lanes>(a: Complexes<S>) -> Complexes<S> {
    let tangent = S::splat(TANGENT);
    Complexes {
        re: S::mul_add(tangent, a.im, a.re),
        im: S::sub_mul(tangent, a.re, a.im),
    }
}

/// The product with `exp(-3πi/8)`, over the same cosine; the imaginary part has the wrong sign.
#[inline(always)]
fn third<S: Lanes>(a: Complexes<S>) -> Complexes<S> {
    let tangent = S::splat(TANGENT);
    Complexes {
        re: S::mul_add(tangent, a.re, a.im),
        im: S::sub_mul(tangent, a.im, a.re),
    }
}

/// The second half of a transform of sixteen numbers: its results `P`, `P + 4`, `P + 8` and `P + 12`.
/// The first half are transforms of four of the numbers each: every fourth one from the first, the
/// second, the third and the fourth on; given is what these have at `P`. To be transformed are their
/// products with sixteenth roots of one, each of which is a factor, which sums multiply by for nothing,
/// times a number one part of which is one.
#[inline(always)]
pub(super) fn finish16<S: Lanes, const P: usize>(
    [a, b, c, d]: [Complexes<S>; 4],
) -> [Complexes<S>; 4] {
    let (root, cosine) = (S::splat(FRAC_1_SQRT_2), S::splat(COSINE));
    match P {
        0 => transform4([a, b, c, d]),
        1 => {
            let c = eighth(c);
            let even = [add_scaled(a, root, c, false), sub_scaled(a, root, c, false)];
            finish4(even, cosine, sum_and_difference(first(b), third(d)))
        }
        2 => {
            let even = sum_and_difference(a, c.exchanged());
            finish4(even, root, sum_and_difference(eighth(b), three_eighths(d)))
        }
        _ => {
            let c = three_eighths(c);
            let even = [add_scaled(a, root, c, true), sub_scaled(a, root, c, true)];
            // The imaginary part of `b` has the wrong sign here. The root for `d` is minus the first,
            // so sum and difference change places, and those of imaginary parts once more.
            let (b, d) = (third(b), first(d));
            let sum = Complexes::<S> {
                re: S::sub(b.re, d.re),
                im: S::add(b.im, d.im),
            };
            let turned = Complexes::<S> {
                re: S::sub(b.im, d.im),
                im: S::add(b.re, d.re),
            };
            [
                add_scaled(even[0], cosine, sum, true),
                sub_scaled(even[1], cosine, turned, false),
                sub_scaled(even[0], cosine, sum, true),
                add_scaled(even[1], cosine, turned, false),
            ]
        }
    }
}

/// The sum and the difference of `a` and of `b`, whose imaginary part has the wrong sign.
#[inline(always)]
fn sum_and_difference<S: Lanes>(a: Complexes<S>, b: Complexes<S>) -> [Complexes<S>; 2] {
    [
        Complexes {
            re: S::add(a.re, b.re),
            im: S::sub(a.im, b.im),
        },
        Complexes {
            re: S::sub(a.re, b.re),
            im: S::add(a.im, b.im),
        },
    ]
}
