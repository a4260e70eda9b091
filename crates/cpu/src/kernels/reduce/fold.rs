//! Owns what reductions combine: the start, one step and the end, for each dtype.

use std::marker::PhantomData;

use half::{bf16, f16};
use olivine_core::{Complex64, Element};

use crate::simd::{Lanes, Narrow};

/// A reduction of elements of one type.
///
/// Short runs gather in `Acc`, which vectorises; their results gather in `Total`, which may be
/// wider.
pub(super) trait Fold: 'static {
    type In: Element;
    type Out: Element;
    type Acc: Copy + Send + Sync;
    type Total: Copy + Send + Sync;

    /// The value of no elements.
    const START: Self::Acc;
    /// The value of no runs.
    const ZERO: Self::Total;

    fn take(acc: Self::Acc, x: Self::In) -> Self::Acc;
    /// Combines a short run of elements.
    #[inline(always)]
    fn run<S: Lanes>(run: &[Self::In]) -> Self::Acc {
        in_lanes::<S, Self>(run)
    }
    fn combine(a: Self::Acc, b: Self::Acc) -> Self::Acc;
    fn absorb(total: Self::Total, acc: Self::Acc) -> Self::Total;
    fn join(a: Self::Total, b: Self::Total) -> Self::Total;
    fn finish(total: Self::Total) -> Self::Out;
}

/// Elements of a run that are combined side by side.
pub(super) const LANES: usize = 32;

#[inline(always)]
fn in_lanes<S: Lanes, F: Fold + ?Sized>(run: &[F::In]) -> F::Acc {
    let mut sum = F::START;
    let (chunks, rest) = run.as_chunks::<LANES>();
    if !chunks.is_empty() {
        let mut lanes = [F::START; LANES];
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane = F::take(*lane, x);
            }
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] = F::combine(lanes[i], lanes[i + width]);
            }
        }
        sum = lanes[0];
    }
    for &x in rest {
        sum = F::take(sum, x);
    }
    sum
}

/// The sum of floats. The compiler keeps the lanes of the general form in memory, where each waits
/// for the last store to it.
#[inline(always)]
fn in_vectors<S: Lanes, F: Fold<In: Narrow, Acc = f32>>(run: &[F::In]) -> f32 {
    const VECTORS: usize = 4;
    if run.len() < LANES {
        // One by one, as short rows are taken wherever they lie.
        return run.iter().fold(F::START, |sum, &x| F::take(sum, x));
    }
    let mut sums = [S::splat(0.0); VECTORS];
    let mut done = 0;
    while run.len() - done >= VECTORS * S::N {
        for sum in &mut sums {
            // SAFETY: so many elements are left.
            *sum = S::add(*sum, unsafe { F::In::load::<S>(run.as_ptr().add(done)) });
            done += S::N;
        }
    }
    while run.len() - done >= S::N {
        // SAFETY: as above.
        sums[0] = S::add(sums[0], unsafe { F::In::load::<S>(run.as_ptr().add(done)) });
        done += S::N;
    }
    let [a, b, c, d] = sums;
    let sum = S::sum(S::add(S::add(a, b), S::add(c, d)));
    run[done..].iter().fold(sum, |sum, &x| F::take(sum, x))
}

/// Sums of `T`.
pub(super) struct SumOf<T>(PhantomData<T>);
/// Products of `T`.
pub(super) struct ProdOf<T>(PhantomData<T>);
/// The smallest `T`.
pub(super) struct MinOf<T>(PhantomData<T>);
/// The greatest `T`.
pub(super) struct MaxOf<T>(PhantomData<T>);
/// Whether all are true.
pub(super) struct AllOf;
/// Whether any is true.
pub(super) struct AnyOf;

/// Sums and products: how sums take runs in; input, output, accumulator, total; how to widen and to
/// finish.
macro_rules! arithmetic {
    ($sum:ident: $($In:ty => $Out:ty, $Acc:ty, $Total:ty, $zero:expr, $one:expr, $add:expr, $multiply:expr,
        |$x:ident| $widen:expr, |$acc:ident| $absorb:expr, |$total:ident| $finish:expr;)*) => {$(
        arithmetic!(@impl SumOf, $sum, $In, $Out, $Acc, $Total, $zero, $add,
            $x, $widen, $acc, $absorb, $total, $finish);
        arithmetic!(@impl ProdOf, in_lanes, $In, $Out, $Acc, $Total, $one, $multiply,
            $x, $widen, $acc, $absorb, $total, $finish);
    )*};
    (@impl $Fold:ident, $run:ident, $In:ty, $Out:ty, $Acc:ty, $Total:ty, $start:expr, $combine:expr,
        $x:ident, $widen:expr, $acc:ident, $absorb:expr, $total:ident, $finish:expr) => {
        impl Fold for $Fold<$In> {
            type In = $In;
            type Out = $Out;
            type Acc = $Acc;
            type Total = $Total;
            const START: $Acc = { let $acc = $start; $acc };
            const ZERO: $Total = { let $acc = $start; $absorb };
            #[inline(always)]
            fn take(acc: $Acc, $x: $In) -> $Acc {
                let combine: fn($Acc, $Acc) -> $Acc = $combine;
                combine(acc, $widen)
            }
            #[inline(always)]
            fn run<S: Lanes>(run: &[$In]) -> $Acc {
                $run::<S, Self>(run)
            }
            #[inline(always)]
            fn combine(a: $Acc, b: $Acc) -> $Acc {
                let combine: fn($Acc, $Acc) -> $Acc = $combine;
                combine(a, b)
            }
            #[inline(always)]
            fn absorb(total: $Total, $acc: $Acc) -> $Total {
                Self::join(total, $absorb)
            }
            #[inline(always)]
            fn join(a: $Total, b: $Total) -> $Total {
                let combine: fn($Total, $Total) -> $Total = $combine;
                combine(a, b)
            }
            #[inline(always)]
            fn finish($total: $Total) -> $Out {
                $finish
            }
        }
    };
}

arithmetic! {
    in_lanes:
    i8 => i32, i32, i32, 0, 1, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b),
        |x| i32::from(x), |acc| acc, |total| total;
    i16 => i32, i32, i32, 0, 1, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b),
        |x| i32::from(x), |acc| acc, |total| total;
    i32 => i32, i32, i32, 0, 1, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b),
        |x| x, |acc| acc, |total| total;
    i64 => i64, i64, i64, 0, 1, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b),
        |x| x, |acc| acc, |total| total;
    u8 => u32, u32, u32, 0, 1, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b),
        |x| u32::from(x), |acc| acc, |total| total;
    u16 => u32, u32, u32, 0, 1, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b),
        |x| u32::from(x), |acc| acc, |total| total;
    f64 => f64, f64, f64, 0.0, 1.0, |a, b| a + b, |a, b| a * b,
        |x| x, |acc| acc, |total| total;
    Complex64 => Complex64, Complex64, Complex64,
        Complex64::new(0.0, 0.0), Complex64::new(1.0, 0.0), |a, b| a + b, |a, b| a * b,
        |x| x, |acc| acc, |total| total;
}

arithmetic! {
    in_vectors:
    f16 => f16, f32, f64, 0.0, 1.0, |a, b| a + b, |a, b| a * b,
        |x| x.widen(), |acc| acc as f64, |total| f16::narrow(total as f32);
    bf16 => bf16, f32, f64, 0.0, 1.0, |a, b| a + b, |a, b| a * b,
        |x| x.widen(), |acc| acc as f64, |total| bf16::narrow(total as f32);
    f32 => f32, f32, f64, 0.0, 1.0, |a, b| a + b, |a, b| a * b,
        |x| x, |acc| acc as f64, |total| total as f32;
}

/// An element with an order in which NaN beats everything.
pub(in crate::kernels) trait Ordered: Element {
    const LEAST: Self;
    const GREATEST: Self;
    /// True if `self` is greater than `other`, or NaN.
    fn over(self, other: Self) -> bool;
    /// True if `self` is less than `other`, or NaN.
    fn under(self, other: Self) -> bool;
}

macro_rules! ordered {
    ($($ty:ty: $least:expr, $greatest:expr, |$x:ident| $nan:expr;)*) => {$(
        impl Ordered for $ty {
            const LEAST: Self = $least;
            const GREATEST: Self = $greatest;
            #[inline(always)]
            fn over(self, other: Self) -> bool {
                let $x = self;
                (self > other) | $nan
            }
            #[inline(always)]
            fn under(self, other: Self) -> bool {
                let $x = self;
                (self < other) | $nan
            }
        }
    )*};
}

ordered! {
    u8: u8::MIN, u8::MAX, |_x| false;
    u16: u16::MIN, u16::MAX, |_x| false;
    u32: u32::MIN, u32::MAX, |_x| false;
    u64: u64::MIN, u64::MAX, |_x| false;
    i8: i8::MIN, i8::MAX, |_x| false;
    i16: i16::MIN, i16::MAX, |_x| false;
    i32: i32::MIN, i32::MAX, |_x| false;
    i64: i64::MIN, i64::MAX, |_x| false;
    f32: f32::NEG_INFINITY, f32::INFINITY, |x| x.is_nan();
    f64: f64::NEG_INFINITY, f64::INFINITY, |x| x.is_nan();
}

macro_rules! ordered_halves {
    ($($ty:ty),*) => {$(
        impl Ordered for $ty {
            const LEAST: Self = <$ty>::NEG_INFINITY;
            const GREATEST: Self = <$ty>::INFINITY;
            #[inline(always)]
            fn over(self, other: Self) -> bool {
                self.widen().over(other.widen())
            }
            #[inline(always)]
            fn under(self, other: Self) -> bool {
                self.widen().under(other.widen())
            }
        }
    )*};
}

ordered_halves!(f16, bf16);

/// Complex numbers are ordered by their real parts, then by their imaginary ones.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches it vectorises"
)]
impl Ordered for Complex64 {
    const LEAST: Self = Complex64::new(f32::NEG_INFINITY, f32::NEG_INFINITY);
    const GREATEST: Self = Complex64::new(f32::INFINITY, f32::INFINITY);
    #[inline(always)]
    fn over(self, other: Self) -> bool {
        let nan = self.re.is_nan() | self.im.is_nan();
        nan | (self.re > other.re) | ((self.re == other.re) & (self.im > other.im))
    }
    #[inline(always)]
    fn under(self, other: Self) -> bool {
        let nan = self.re.is_nan() | self.im.is_nan();
        nan | (self.re < other.re) | ((self.re == other.re) & (self.im < other.im))
    }
}

macro_rules! extremum {
    ($Fold:ident, $start:ident, $beats:ident) => {
        impl<T: Ordered> Fold for $Fold<T> {
            type In = T;
            type Out = T;
            type Acc = T;
            type Total = T;
            const START: T = T::$start;
            const ZERO: T = T::$start;
            #[inline(always)]
            fn take(acc: T, x: T) -> T {
                if x.$beats(acc) { x } else { acc }
            }
            #[inline(always)]
            fn combine(a: T, b: T) -> T {
                Self::take(a, b)
            }
            #[inline(always)]
            fn absorb(total: T, acc: T) -> T {
                Self::take(total, acc)
            }
            #[inline(always)]
            fn join(a: T, b: T) -> T {
                Self::take(a, b)
            }
            #[inline(always)]
            fn finish(total: T) -> T {
                total
            }
        }
    };
}

extremum!(MinOf, GREATEST, under);
extremum!(MaxOf, LEAST, over);

macro_rules! truth {
    ($Fold:ident, $start:literal, $combine:tt) => {
        impl Fold for $Fold {
            type In = bool;
            type Out = bool;
            type Acc = bool;
            type Total = bool;
            const START: bool = $start;
            const ZERO: bool = $start;
            #[inline(always)]
            fn take(acc: bool, x: bool) -> bool {
                acc $combine x
            }
            #[inline(always)]
            fn combine(a: bool, b: bool) -> bool {
                a $combine b
            }
            #[inline(always)]
            fn absorb(total: bool, acc: bool) -> bool {
                total $combine acc
            }
            #[inline(always)]
            fn join(a: bool, b: bool) -> bool {
                a $combine b
            }
            #[inline(always)]
            fn finish(total: bool) -> bool {
                total
            }
        }
    };
}

truth!(AllOf, true, &);
truth!(AnyOf, false, |);
