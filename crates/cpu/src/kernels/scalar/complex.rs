//! Owns the functions of complex numbers, computed in double precision and rounded once.

use olivine_core::Complex64;

type Wide = num_complex::Complex<f64>;

#[inline]
fn wide(z: Complex64) -> Wide {
    Wide::new(z.re as f64, z.im as f64)
}

#[inline]
fn round(z: Wide) -> Complex64 {
    Complex64::new(z.re as f32, z.im as f32)
}

macro_rules! through_wide {
    ($($name:ident $method:ident),* $(,)?) => {$(
        pub(crate) fn $name(z: Complex64) -> Complex64 {
            round(wide(z).$method())
        }
    )*};
}

through_wide! {
    acos acos, acosh acosh, asin asin, asinh asinh, atan atan, atanh atanh, cos cos, cosh cosh,
    exp exp, log ln, log10 log10, log2 log2, sin sin, sinh sinh, sqrt sqrt, tan tan, tanh tanh,
    reciprocal finv,
}

pub(crate) fn log1p(z: Complex64) -> Complex64 {
    round(log1p_wide(wide(z)))
}

fn log1p_wide(z: Wide) -> Wide {
    // |1 + z|² - 1 without cancellation.
    let excess = z.re * (2.0 + z.re) + z.im * z.im;
    let re = if excess.abs() < 0.5 {
        0.5 * excess.ln_1p()
    } else {
        (z.re + 1.0).hypot(z.im).ln()
    };
    Wide::new(re, z.im.atan2(z.re + 1.0))
}

/// The logarithm of the sum of exponentials, of which the later one is taken out.
pub(crate) fn logaddexp(a: Complex64, b: Complex64) -> Complex64 {
    let (high, low) = if less(b, a) {
        (wide(a), wide(b))
    } else {
        (wide(b), wide(a))
    };
    let rest = if high == low {
        // Equal infinities have no difference.
        Wide::new(std::f64::consts::LN_2, 0.0)
    } else {
        log1p_wide((low - high).exp())
    };
    round(high + rest)
}

pub(crate) fn rsqrt(z: Complex64) -> Complex64 {
    round(wide(z).sqrt().finv())
}

pub(crate) fn sign(z: Complex64) -> Complex64 {
    let z = wide(z);
    let size = z.norm();
    if size == 0.0 {
        Complex64::new(0.0, 0.0)
    } else {
        round(z / size)
    }
}

pub(crate) fn divide(a: Complex64, b: Complex64) -> Complex64 {
    round(wide(a) / wide(b))
}

pub(crate) fn power(a: Complex64, b: Complex64) -> Complex64 {
    let (base, exponent) = (wide(a), wide(b));
    if base.norm_sqr() == 0.0 && !exponent.norm_sqr().is_nan() {
        let one = exponent.norm_sqr() == 0.0;
        return Complex64::new(one as u8 as f32, 0.0);
    }
    round((exponent * base.ln()).exp())
}

/// True if `a` comes before `b`: by the real part, then by the imaginary.
#[inline]
pub(crate) fn less(a: Complex64, b: Complex64) -> bool {
    a.re < b.re || (a.re == b.re && a.im < b.im)
}

/// True if `a` comes before `b` or is equal.
#[inline]
pub(crate) fn less_equal(a: Complex64, b: Complex64) -> bool {
    a.re < b.re || (a.re == b.re && a.im <= b.im)
}

/// The later of two; the first NaN if there is one.
#[inline]
pub(crate) fn maximum(a: Complex64, b: Complex64) -> Complex64 {
    if a.re.is_nan() || a.im.is_nan() || (less(b, a) && !b.re.is_nan() && !b.im.is_nan()) {
        a
    } else {
        b
    }
}

/// The earlier of two; the first NaN if there is one.
#[inline]
pub(crate) fn minimum(a: Complex64, b: Complex64) -> Complex64 {
    if a.re.is_nan() || a.im.is_nan() || (less(a, b) && !b.re.is_nan() && !b.im.is_nan()) {
        a
    } else {
        b
    }
}
