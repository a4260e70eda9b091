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
    acos acos, acosh acosh, asin asin, asinh asinh, atan atan, atanh atanh, cos cos, cosh cosh,
    exp exp, expm1 exp_m1, log ln, log10 log10, log1p ln_1p, log2 log2, sin sin, sinh sinh, tan tan,
    tanh tanh,
}

#[inline(always)]
pub(crate) fn erf<S: crate::isa::Isa>(x: f64) -> f64 {
    libm::erf(x)
}

/// The inverse error function: the single-precision value refined by Newton's method.
#[inline(always)]
pub(crate) fn erfinv<S: crate::isa::Isa>(x: f64) -> f64 {
    if x.abs() >= 1.0 || x.is_nan() {
        return if x.abs() == 1.0 {
            x * f64::INFINITY
        } else {
            f64::NAN
        };
    }
    // Winitzki's closed form is a start good to three digits on the whole interval.
    let a = 0.147;
    let log = (-x * x).ln_1p();
    let b = 2.0 / (std::f64::consts::PI * a) + log / 2.0;
    let mut y = ((b * b - log / a).sqrt() - b).max(0.0).sqrt().copysign(x);
    for _ in 0..4 {
        // Near one the error function rounds to one, its complement does not.
        let error = if x.abs() < 0.5 {
            libm::erf(y) - x
        } else {
            (1.0 - x.abs() - libm::erfc(y.abs())).copysign(1.0).abs()
                * (1.0 - x.abs() - libm::erfc(y.abs())).signum()
                * x.signum()
        };
        let step = error / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y
}

#[inline(always)]
pub(crate) fn atan2<S: crate::isa::Isa>(y: f64, x: f64) -> f64 {
    y.atan2(x)
}

#[inline(always)]
pub(crate) fn pow<S: crate::isa::Isa>(x: f64, y: f64) -> f64 {
    x.powf(y)
}
