//! Owns the functions of `f64`: the platform's, and libm's where it has none.

macro_rules! from_std {
    ($($name:ident $std:ident),* $(,)?) => {$(
        #[inline(always)]
        pub(crate) fn $name<S: crate::isa::Isa>(x: f64) -> f64 {
            x.$std()
        }
    )*};
}

from_std! {
    acos acos, asin asin, asinh asinh, atan atan, atanh atanh, cos cos, cosh cosh,
    exp exp, expm1 exp_m1, log ln, log10 log10, log1p ln_1p, log2 log2, sin sin, sinh sinh, tan tan,
    tanh tanh,
}

/// Not the standard library's, which is infinite from half the greatest number on.
#[inline(always)]
pub(crate) fn acosh<S: crate::isa::Isa>(x: f64) -> f64 {
    libm::acosh(x)
}

#[inline(always)]
pub(crate) fn sigmoid<S: crate::isa::Isa>(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}

#[inline(always)]
pub(crate) fn erf<S: crate::isa::Isa>(x: f64) -> f64 {
    libm::erf(x)
}

/// The inverse error function, by Halley's iteration from Winitzki's closed form.
#[inline(always)]
pub(crate) fn erfinv<S: crate::isa::Isa>(x: f64) -> f64 {
    let target = x.abs();
    if target >= 1.0 || x.is_nan() {
        return if target == 1.0 {
            x * f64::INFINITY
        } else {
            f64::NAN
        };
    }
    let a = 0.147;
    let log = (-x * x).ln_1p();
    let b = 2.0 / (std::f64::consts::PI * a) + log / 2.0;
    // Near zero the closed form cancels, but there the function is a line.
    let mut y = ((b * b - log / a).sqrt() - b).max(0.0).sqrt();
    if target < 1e-3 {
        y = target / std::f64::consts::FRAC_2_SQRT_PI;
    }
    for _ in 0..3 {
        // Near one the function rounds to one, its complement does not round to zero.
        let excess = if target < 0.5 {
            libm::erf(y) - target
        } else {
            (1.0 - target) - libm::erfc(y)
        };
        let step = excess / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// How to compute [`erfinv`] of arrays.
pub(crate) fn erfinv_plan() -> crate::kernels::elementwise::Plan {
    super::plan1!(loop1_v3, 200, f64 => f64, |x| erfinv::<S>(x))
}

/// No angle needs special care: the platform's functions reduce them all.
#[inline(always)]
pub(crate) fn is_large_angle(_: f64) -> bool {
    false
}

#[inline(always)]
pub(crate) fn atan2<S: crate::isa::Isa>(y: f64, x: f64) -> f64 {
    y.atan2(x)
}

#[inline(always)]
pub(crate) fn pow<S: crate::isa::Isa>(x: f64, y: f64) -> f64 {
    x.powf(y)
}
