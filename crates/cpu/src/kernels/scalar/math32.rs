//! Owns the functions of `f32`.

macro_rules! from_std {
    ($($name:ident $std:ident),* $(,)?) => {$(
        #[inline(always)]
        pub(crate) fn $name<S: crate::isa::Isa>(x: f32) -> f32 {
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
pub(crate) fn erf<S: crate::isa::Isa>(x: f32) -> f32 {
    libm::erff(x)
}

/// The inverse error function: two polynomials in `ln(1 - x²)`, as published by N. Juffa.
#[inline(always)]
pub(crate) fn erfinv<S: crate::isa::Isa>(x: f32) -> f32 {
    let t = x.mul_add(-x, 1.0).ln();
    let outer = [
        3.03697567e-10f32,
        2.93243101e-8,
        1.22150334e-6,
        2.84108955e-5,
        3.93552968e-4,
        3.02698812e-3,
        4.83185798e-3,
        -2.64646143e-1,
        8.40016484e-1,
    ];
    let inner = [
        5.43877832e-9f32,
        1.43285448e-7,
        1.22774793e-6,
        1.12963626e-7,
        -5.61530760e-5,
        -1.47697632e-4,
        2.31468678e-3,
        1.15392581e-2,
        -2.32015476e-1,
        8.86226892e-1,
    ];
    let horner = |coefficients: &[f32]| {
        coefficients[1..]
            .iter()
            .fold(coefficients[0], |p, c| p.mul_add(t, *c))
    };
    x * if t.abs() > 6.125 {
        horner(&outer)
    } else {
        horner(&inner)
    }
}

#[inline(always)]
pub(crate) fn atan2<S: crate::isa::Isa>(y: f32, x: f32) -> f32 {
    y.atan2(x)
}

#[inline(always)]
pub(crate) fn pow<S: crate::isa::Isa>(x: f32, y: f32) -> f32 {
    x.powf(y)
}
