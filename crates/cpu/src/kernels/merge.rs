//! Owns combining two elements of any dtype: what scatters and running reductions have in common.

use olivine_core::{Complex64, bf16, f16};

/// Elements that can be combined in pairs.
pub(super) trait Mergeable: Copy {
    /// The sum; integers wrap, truth values are or-ed.
    fn plus(self, other: Self) -> Self;
    /// The product; integers wrap.
    fn times(self, other: Self) -> Self;
    /// The greater; NaN if either is.
    fn greater(self, other: Self) -> Self;
    /// The lesser; NaN if either is.
    fn lesser(self, other: Self) -> Self;
}

macro_rules! mergeable {
    ($($ty:ty: |$a:ident, $b:ident| $plus:expr, $times:expr, $greater:expr, $lesser:expr;)*) => {$(
        impl Mergeable for $ty {
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $plus
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $times
            }
            #[inline(always)]
            fn greater(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $greater
            }
            #[inline(always)]
            fn lesser(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $lesser
            }
        }
    )*};
}

macro_rules! mergeable_integers {
    ($($ty:ty),*) => {
        mergeable! {$(
            $ty: |a, b| a.wrapping_add(b), a.wrapping_mul(b), a.max(b), a.min(b);
        )*}
    };
}

mergeable_integers!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! mergeable_floats {
    ($($ty:ty),*) => {
        mergeable! {$(
            // A comparison with NaN is false, so NaN must be asked for.
            $ty: |a, b| a + b, a * b, if a > b || a.is_nan() { a } else { b },
                if a < b || a.is_nan() { a } else { b };
        )*}
    };
}

mergeable_floats!(f16, bf16, f32, f64);

mergeable! {
    bool: |a, b| a | b, a & b, a | b, a & b;
    Complex64: |a, b| a + b, a * b, if before(b, a) || a.is_nan() { a } else { b },
        if before(a, b) || a.is_nan() { a } else { b };
}

/// Complex numbers are ordered by real part, then by imaginary part.
fn before(a: Complex64, b: Complex64) -> bool {
    a.re < b.re || (a.re == b.re && a.im < b.im)
}
