//! Owns the special functions that the standard library lacks, in `f64`.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// The error function, by its series of positive terms (DLMF 7.6.2).
pub fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() > 6.0 {
        return 1f64.copysign(x);
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-18 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// The inverse error function: bisection, then Newton's method.
pub fn erfinv(y: f64) -> f64 {
    if y.abs() >= 1.0 || y.is_nan() {
        return if y.abs() == 1.0 {
            f64::INFINITY.copysign(y)
        } else {
            f64::NAN
        };
    }
    let (mut low, mut high) = (0.0, 6.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if erf(middle) < y.abs() {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut x: f64 = f64::midpoint(low, high);
    for _ in 0..3 {
        x -= (erf(x) - y.abs()) * (PI.sqrt() / 2.0) * (x * x).exp();
    }
    if y.abs() < 1e-9 {
        y * PI.sqrt() / 2.0
    } else {
        x.copysign(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_has_its_tabulated_values() {
        for (x, y) in [
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
        ] {
            assert!((erf(x) - y).abs() < 1e-14, "erf({x}) = {}", erf(x));
            assert!((erfinv(y) - x).abs() < 1e-12, "erfinv({y}) = {}", erfinv(y));
        }
    }
}
