//! Owns the functions of `f32`: branch-free, so that loops over them vectorise.
//!
//! Each reduces its argument to a short interval and evaluates a polynomial there. The coefficients
//! are minimax fits (Remez exchange, rounded to `f32` one after the other) of the remainder that
//! the comment beside them names. Errors are below two units in the last place unless noted.

use std::f32::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4, LN_2, LOG2_E, LOG10_E, PI};

use crate::isa::Isa;

/// Adding this to a small float rounds it to a whole number, which appears in the low bits.
const ROUNDER: f32 = 12_582_912.0;

// Logarithms in two parts: the first is short, so that its product with an exponent is exact.
const LN_2_HIGH: f32 = 0.69314575;
const LN_2_LOW: f32 = 1.4286068e-6;
const LOG10_2_HIGH: f32 = 0.301_025_4;
const LOG10_2_LOW: f32 = 4.605_039e-6;
const LOG2_E_LOW: f32 = 1.925963e-8;
const LOG10_E_LOW: f32 = -1.010305e-8;

// The polynomials' coefficients, beginning with the lowest power; each is explained where it is used.
const EXP: [f32; 5] = [0.49999997, 0.16666538, 0.04166774, 0.008367317, 0.001383815];
const LOG: [f32; 8] = [
    0.3333333,
    -0.25000823,
    0.20001262,
    -0.16623324,
    0.14200835,
    -0.13159594,
    0.12768465,
    -0.07645121,
];
const SIN: [f32; 3] = [-0.16666654, 0.008332106, -0.00019507838];
const COS: [f32; 3] = [0.041666646, -0.0013887308, 2.4432102e-5];
const TAN: [f32; 7] = [
    0.3333335,
    0.1333267,
    0.054059975,
    0.021279374,
    0.01084779,
    6.977231e-5,
    0.0043878546,
];
const ASIN: [f32; 5] = [
    0.16666752,
    0.074953094,
    0.045469154,
    0.02418473,
    0.042158462,
];
const ATAN: [f32; 5] = [
    -0.33333316,
    0.19998528,
    -0.14244391,
    0.10599168,
    -0.06090045,
];
const SINH: [f32; 4] = [0.16666667, 0.0083333105, 0.00019842896, 2.782212e-6];
const ERF: [f32; 7] = [
    0.12837917,
    -0.37612626,
    0.11283579,
    -0.026853347,
    0.005187162,
    -0.0007997853,
    7.806903e-5,
];
const ERFC: [f32; 8] = [
    -0.00018846181,
    1.1295803,
    0.63321656,
    0.10842184,
    -0.025210105,
    0.004205163,
    -0.00044143925,
    2.1693895e-5,
];
const LOG_WIDE: [f64; 5] = [
    0.666_666_666_757_640_7,
    0.399_999_956_341_462_1,
    0.285_721_079_106_78,
    0.221_762_382_217_384_2,
    0.195_834_742_641_158_65,
];
const EXP2_WIDE: [f64; 8] = [
    0.999_999_999_961_391_2,
    0.693_147_180_729_802_3,
    0.240_226_512_011_667_9,
    0.055_504_103_504_078_47,
    0.009_618_026_843_016_83,
    0.001_333_392_396_141_553_8,
    0.000_154_694_240_085_979_7,
    1.520_183_781_637_448_7e-5,
];

/// Evaluates a polynomial by Horner's rule; the coefficients begin with the lowest power.
#[inline(always)]
fn polynomial<S: Isa, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = S::fma(sum, x, coefficients[i]);
    }
    sum
}

/// Two to a whole power between -126 and 127.
#[inline(always)]
fn exp2i(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// Splits `x` into `n` and `r` with `x = n ln 2 + r`, and returns `n`, `r` and `(exp(r) - 1 - r) / r²`.
#[inline(always)]
fn exp_parts<S: Isa>(x: f32) -> (i32, f32, f32) {
    let rounded = S::fma(x, LOG2_E, ROUNDER);
    let n = rounded.to_bits().wrapping_sub(ROUNDER.to_bits()) as i32;
    let whole = rounded - ROUNDER;
    let r = S::fma(whole, -LN_2_LOW, S::fma(whole, -LN_2_HIGH, x));
    // (exp(r) - 1 - r) / r² on ±0.35.
    let q = polynomial::<S, _>(r, EXP);
    (n, r, q)
}

/// `exp(x)` times two to the power `shift`, without overflow in between.
#[inline(always)]
fn exp_scaled<S: Isa>(x: f32, shift: i32) -> f32 {
    // Written so that NaN passes through.
    let x = if x < -110.0 { -110.0 } else { x };
    let x = if x > 100.0 { 100.0 } else { x };
    let (n, r, q) = exp_parts::<S>(x);
    let y = S::fma(r * r, q, r) + 1.0;
    // In two factors, because results below 2^-126 and above 2^127 exist.
    let n = n.wrapping_add(shift);
    let half = n >> 1;
    y * exp2i(half) * exp2i(n.wrapping_sub(half))
}

#[inline(always)]
pub(crate) fn exp<S: Isa>(x: f32) -> f32 {
    exp_scaled::<S>(x, 0)
}

#[inline(always)]
pub(crate) fn expm1<S: Isa>(x: f32) -> f32 {
    let clamped = if x < -20.0 { -20.0 } else { x };
    let clamped = if clamped > 89.0 { 89.0 } else { clamped };
    let (n, r, q) = exp_parts::<S>(clamped);
    let p = S::fma(r * r, q, r);
    // 2^n (p + 1) - 1, at half scale because n may be 128.
    let scale = exp2i(n.wrapping_sub(1));
    let y = 2.0 * S::fma(scale, p, scale - 0.5);
    let y = if n == 0 { p } else { y };
    // Zero keeps its sign.
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub(crate) fn sigmoid<S: Isa>(x: f32) -> f32 {
    let e = exp::<S>(-x.abs());
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}

/// `2^e (1 + f)` is a positive float; `f` lies between `sqrt(1/2) - 1` and `sqrt(2) - 1`.
#[inline(always)]
fn log_parts(x: f32) -> (f32, f32) {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let shifted = scaled.to_bits().wrapping_sub(SQRT_HALF_BITS) as i32;
    let e = (shifted >> 23) as f32 - if tiny { 23.0 } else { 0.0 };
    let m = f32::from_bits((shifted as u32 & 0x007f_ffff).wrapping_add(SQRT_HALF_BITS));
    (e, m - 1.0)
}

/// The bits of `sqrt(1/2)`.
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;

/// `ln(1 + f) - f` for `f` as from `log_parts`.
#[inline(always)]
fn log_tail<S: Isa>(f: f32) -> f32 {
    // (ln(1 + f) - f + f²/2) / f³ on [sqrt(1/2) - 1, sqrt(2) - 1].
    let q = polynomial::<S, _>(f, LOG);
    let square = f * f;
    S::fma(square * f, q, -0.5 * square)
}

/// Puts the values at and outside the ends of a logarithm's domain in place.
#[inline(always)]
fn log_edges(x: f32, y: f32) -> f32 {
    let y = if x == f32::INFINITY { x } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { f32::NAN }
}

#[inline(always)]
pub(crate) fn log<S: Isa>(x: f32) -> f32 {
    let (e, f) = log_parts(x);
    let low = S::fma(e, LN_2_LOW, log_tail::<S>(f));
    log_edges(x, S::fma(e, LN_2_HIGH, f + low))
}

/// The logarithm to another base, whose natural logarithm is one over `high + low`.
#[inline(always)]
fn log_to_base<S: Isa>(f: f32, high: f32, low: f32) -> f32 {
    let tail = log_tail::<S>(f);
    S::fma(f, high, S::fma(tail, high, (f + tail) * low))
}

#[inline(always)]
pub(crate) fn log2<S: Isa>(x: f32) -> f32 {
    let (e, f) = log_parts(x);
    log_edges(x, e + log_to_base::<S>(f, LOG2_E, LOG2_E_LOW))
}

#[inline(always)]
pub(crate) fn log10<S: Isa>(x: f32) -> f32 {
    let (e, f) = log_parts(x);
    let low = S::fma(e, LOG10_2_LOW, log_to_base::<S>(f, LOG10_E, LOG10_E_LOW));
    log_edges(x, S::fma(e, LOG10_2_HIGH, low))
}

#[inline(always)]
pub(crate) fn log1p<S: Isa>(x: f32) -> f32 {
    let u = 1.0 + x;
    let u = if u < f32::MAX { u } else { f32::MAX };
    let shifted = u.to_bits().wrapping_sub(SQRT_HALF_BITS) as i32;
    let e = shifted >> 23;
    // 2^-e (1 + x) - 1, rounded once: the sum 1 + x itself would lose what makes log1p exact.
    // The exponent reaches 128, so the scale is applied in two steps.
    let half = e >> 1;
    let (first, second) = (exp2i(-half), exp2i(half - e));
    let f = S::fma(x * first, second, first * second - 1.0);
    let whole = e as f32;
    let low = S::fma(whole, LN_2_LOW, log_tail::<S>(f));
    let y = S::fma(whole, LN_2_HIGH, f + low);
    let y = if x == f32::INFINITY || x == 0.0 { x } else { y };
    let y = if x == -1.0 { f32::NEG_INFINITY } else { y };
    if x >= -1.0 { y } else { f32::NAN }
}

/// Angles up to here are reduced in the vector loop; larger ones are left to [`libm`].
const LARGE_ANGLE: f32 = 65_536.0;

/// True if the angle is too large for [`quadrant`].
#[inline(always)]
pub(crate) fn is_large_angle(x: f32) -> bool {
    x.abs() > LARGE_ANGLE
}

/// Splits an angle into quarter turns, of which the last bits are right, and a rest within ±π/4.
#[inline(always)]
fn quadrant<S: Isa>(x: f32) -> (i32, f32) {
    let rounded = S::fma(x, FRAC_2_PI, ROUNDER);
    let n = rounded.to_bits() as i32;
    let whole = rounded - ROUNDER;
    let r = if S::FMA {
        // π/2 in three parts of 24 bits; the first difference is exact.
        let r = S::fma(whole, -1.5707964, x);
        let r = S::fma(whole, 4.371_139e-8, r);
        S::fma(whole, 1.7151245e-15, r)
    } else {
        // π/2 in a part of 33 bits, whose products are exact, and the rest.
        let (x, whole) = (x as f64, whole as f64);
        ((x - whole * 1.570_796_326_734_125_6) - whole * 6.077_100_506_506_192e-11) as f32
    };
    (n, r)
}

/// `sin(r)` on ±π/4.
#[inline(always)]
fn sin_poly<S: Isa>(r: f32) -> f32 {
    let z = r * r;
    // (sin(r) - r) / r³.
    S::fma(polynomial::<S, _>(z, SIN) * z, r, r)
}

/// `cos(r)` on ±π/4.
#[inline(always)]
fn cos_poly<S: Isa>(r: f32) -> f32 {
    let z = r * r;
    // (cos(r) - 1 + r²/2) / r⁴.
    S::fma(z * z, polynomial::<S, _>(z, COS), S::fma(z, -0.5, 1.0))
}

#[inline(always)]
fn turn<S: Isa>(n: i32, r: f32) -> f32 {
    let y = if n & 1 == 0 {
        sin_poly::<S>(r)
    } else {
        cos_poly::<S>(r)
    };
    f32::from_bits(y.to_bits() ^ ((n as u32 & 2) << 30))
}

/// The sine, for angles that are not large.
#[inline(always)]
pub(crate) fn sin<S: Isa>(x: f32) -> f32 {
    let (n, r) = quadrant::<S>(x);
    // Zero keeps its sign.
    if x == 0.0 { x } else { turn::<S>(n, r) }
}

/// The cosine, for angles that are not large.
#[inline(always)]
pub(crate) fn cos<S: Isa>(x: f32) -> f32 {
    let (n, r) = quadrant::<S>(x);
    turn::<S>(n.wrapping_add(1), r)
}

/// The tangent, for angles that are not large.
#[inline(always)]
pub(crate) fn tan<S: Isa>(x: f32) -> f32 {
    let (n, r) = quadrant::<S>(x);
    let z = r * r;
    // (tan(r) - r) / r³ on ±π/4.
    let t = S::fma(polynomial::<S, _>(z, TAN) * z, r, r);
    let y = if n & 1 == 0 { t } else { -1.0 / t };
    if x == 0.0 { x } else { y }
}

/// `asin(x)` on ±1/2.
#[inline(always)]
fn asin_poly<S: Isa>(x: f32) -> f32 {
    let z = x * x;
    // (asin(x) - x) / x³.
    S::fma(polynomial::<S, _>(z, ASIN) * z, x, x)
}

#[inline(always)]
pub(crate) fn asin<S: Isa>(x: f32) -> f32 {
    let a = x.abs();
    let wide = a > 0.5;
    // asin(a) = π/2 - 2 asin(sqrt((1 - a) / 2)).
    let root = (0.5 * (1.0 - a)).sqrt();
    let p = asin_poly::<S>(if wide { root } else { a });
    let y = if wide {
        FRAC_PI_2 - (2.0 * p + FRAC_PI_2_LOW)
    } else {
        p
    };
    y.copysign(x)
}

#[inline(always)]
pub(crate) fn acos<S: Isa>(x: f32) -> f32 {
    let a = x.abs();
    let wide = a > 0.5;
    let root = (0.5 * (1.0 - a)).sqrt();
    let p = asin_poly::<S>(if wide { root } else { x });
    let near_one = 2.0 * p;
    let y = if x < 0.0 { PI - near_one } else { near_one };
    if wide {
        y
    } else {
        FRAC_PI_2 - (p + FRAC_PI_2_LOW)
    }
}

/// π/2 less its `f32`, negated.
const FRAC_PI_2_LOW: f32 = 4.371_139e-8;

/// `atan(q)` on ±tan(π/8).
#[inline(always)]
fn atan_poly<S: Isa>(q: f32) -> f32 {
    let z = q * q;
    // (atan(q) - q) / q³.
    S::fma(polynomial::<S, _>(z, ATAN) * z, q, q)
}

const TAN_PI_8: f32 = 0.41421357;

/// The angle of a point with `0 <= y <= x`, or NaN if one coordinate is.
#[inline(always)]
fn octant<S: Isa>(y: f32, x: f32) -> f32 {
    let wide = y > TAN_PI_8 * x;
    // atan(t) = π/4 + atan((t - 1) / (t + 1)).
    let numerator = if wide { y - x } else { y };
    let denominator = if wide { y + x } else { x };
    let p = atan_poly::<S>(numerator / denominator);
    if wide {
        FRAC_PI_4 + (p - 0.5 * FRAC_PI_2_LOW)
    } else {
        p
    }
}

#[inline(always)]
pub(crate) fn atan<S: Isa>(x: f32) -> f32 {
    let a = x.abs();
    let steep = a > 1.0;
    let p = octant::<S>(if steep { 1.0 / a } else { a }, 1.0);
    let y = if steep {
        FRAC_PI_2 - (p + FRAC_PI_2_LOW)
    } else {
        p
    };
    y.copysign(x)
}

/// The angle of the point (x, y), to three units in the last place.
#[inline(always)]
pub(crate) fn atan2<S: Isa>(y: f32, x: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let steep = ay > ax;
    let (low, high) = if steep { (ax, ay) } else { (ay, ax) };
    // Away from both ends of the range, so that sums and quotients neither overflow nor lose bits.
    let scale = if high > 1e30 { 9.313226e-10 } else { 1.0 };
    let scale = if high < 1e-20 { 1.1529215e18 } else { scale };
    let (low, high) = (low * scale, high * scale);
    // The angle of (0, 0) is that of (1, 0), and of (inf, inf) that of (1, 1).
    let both = high == 0.0 || (low == high && high == f32::INFINITY);
    let (low, high) = if both {
        ((low != 0.0) as u8 as f32, 1.0)
    } else {
        (low, high)
    };
    let infinite = high == f32::INFINITY;
    let (low, high) = if infinite && !low.is_nan() {
        (0.0, 1.0)
    } else {
        (low, high)
    };
    let p = octant::<S>(low, high);
    let p = if steep {
        FRAC_PI_2 - (p + FRAC_PI_2_LOW)
    } else {
        p
    };
    let p = if x.is_sign_negative() {
        PI - (p + 2.0 * FRAC_PI_2_LOW)
    } else {
        p
    };
    if x.is_nan() || y.is_nan() {
        f32::NAN
    } else {
        p.copysign(y)
    }
}

#[inline(always)]
pub(crate) fn sinh<S: Isa>(x: f32) -> f32 {
    let a = x.abs();
    let z = x * x;
    // (sinh(x) - x) / x³ on ±1.
    let near = S::fma(polynomial::<S, _>(z, SINH) * z, a, a);
    let half = exp_scaled::<S>(a, -1);
    let y = if a < 1.0 { near } else { half - 0.25 / half };
    y.copysign(x)
}

#[inline(always)]
pub(crate) fn cosh<S: Isa>(x: f32) -> f32 {
    let half = exp_scaled::<S>(x.abs(), -1);
    half + 0.25 / half
}

#[inline(always)]
pub(crate) fn tanh<S: Isa>(x: f32) -> f32 {
    let a = x.abs();
    // From here on it is one.
    let a = if a > 10.0 { 10.0 } else { a };
    // tanh(a) = -e / (2 + e) with e = exp(-2a) - 1. With exp(2a) instead, both sums would be rounded
    // coarsely where the quotient is nearly one.
    let (n, r, q) = exp_parts::<S>(-2.0 * a);
    let p = S::fma(r * r, q, r);
    let scale = exp2i(n);
    let y = S::fma(scale, p, scale - 1.0) / S::fma(scale, p, scale + 1.0);
    y.copysign(x)
}

/// Beyond this, `x² + 1` is `x²` and `ln(1 + x)` is `ln(x)`.
const LARGE: f32 = 134_217_728.0;

#[inline(always)]
pub(crate) fn asinh<S: Isa>(x: f32) -> f32 {
    let a = x.abs();
    let square = a * a;
    let large = a > LARGE;
    let argument = a + square / (1.0 + (square + 1.0).sqrt());
    let y = log1p::<S>(if large { a } else { argument }) + if large { LN_2 } else { 0.0 };
    y.copysign(x)
}

#[inline(always)]
pub(crate) fn acosh<S: Isa>(x: f32) -> f32 {
    let t = x - 1.0;
    let large = x > LARGE;
    let argument = t + S::fma(t, t, 2.0 * t).sqrt();
    let y = log1p::<S>(if large { x } else { argument }) + if large { LN_2 } else { 0.0 };
    if x >= 1.0 { y } else { f32::NAN }
}

#[inline(always)]
pub(crate) fn atanh<S: Isa>(x: f32) -> f32 {
    let a = x.abs();
    let y = 0.5 * log1p::<S>(2.0 * a / (1.0 - a));
    if a > 1.0 { f32::NAN } else { y.copysign(x) }
}

#[inline(always)]
pub(crate) fn erf<S: Isa>(x: f32) -> f32 {
    let a = x.abs();
    let z = x * x;
    // erf(x) / x - 1 on ±1.
    let near = S::fma(polynomial::<S, _>(z, ERF), a, a);
    // -ln(1 - erf(x)) on [1, 4]; the function is one above.
    let far = if a > 4.0 { 4.0 } else { a };
    let far = 1.0 - exp::<S>(-polynomial::<S, _>(far, ERFC));
    let y = if a < 1.0 { near } else { far };
    if x.is_nan() { x } else { y.copysign(x) }
}

/// The logarithm that `erfinv` takes first. The platform's, because arrays of random normal
/// numbers are the same bit for bit as elsewhere only with the same logarithm.
#[inline(always)]
pub(crate) fn erfinv_log(x: f32) -> f32 {
    x.mul_add(-x, 1.0).ln()
}

/// The inverse error function of `x`, given [`erfinv_log`] of it: two polynomials, as published by
/// N. Juffa.
#[inline(always)]
pub(crate) fn erfinv_of_log(x: f32, t: f32) -> f32 {
    let outer = [
        3.0369757e-10f32,
        2.932431e-8,
        1.2215033e-6,
        2.8410896e-5,
        0.00039355297,
        0.0030269881,
        0.004831858,
        -0.26464614,
        0.8400165,
    ];
    let inner = [
        5.4387783e-9f32,
        1.4328545e-7,
        1.2277479e-6,
        1.12963626e-7,
        -5.6153076e-5,
        -0.00014769763,
        0.0023146868,
        0.011539258,
        -0.23201548,
        0.8862269,
    ];
    let mut far = outer[0];
    for c in &outer[1..] {
        far = far.mul_add(t, *c);
    }
    let mut near = inner[0];
    for c in &inner[1..] {
        near = near.mul_add(t, *c);
    }
    x * if t.abs() > 6.125 { far } else { near }
}

/// How to compute the inverse error function of arrays.
pub(crate) fn erfinv_plan() -> crate::kernels::elementwise::Plan {
    crate::kernels::elementwise::Plan::new(super::erfinv_loop, 30)
}

/// `x` to the power `y`, through the logarithm in double precision.
#[inline(always)]
pub(crate) fn pow<S: Isa>(x: f32, y: f32) -> f32 {
    let a = x.abs();
    let (e, f) = log_parts(a);
    let f = f as f64;
    // ln(1 + f) = 2 atanh(s); (2 atanh(s) - 2 s) / s³ on ±0.172, in units of ln 2.
    let s = f / (2.0 + f);
    let z = s * s;
    let mut tail = LOG_WIDE[LOG_WIDE.len() - 1];
    for c in LOG_WIDE.iter().rev().skip(1) {
        tail = tail * z + c;
    }
    let log2 = e as f64 + std::f64::consts::LOG2_E * s * (2.0 + z * tail);
    let log2 = if a == 0.0 { f64::NEG_INFINITY } else { log2 };
    let log2 = if a == f32::INFINITY {
        f64::INFINITY
    } else {
        log2
    };
    let power = y as f64 * log2;
    let power = if power < -200.0 { -200.0 } else { power };
    let power = if power > 200.0 { 200.0 } else { power };
    // Rounds to a whole number as `ROUNDER` does for `f32`.
    let rounder = 6_755_399_441_055_744.0f64;
    let rounded = power + rounder;
    let n = rounded.to_bits().wrapping_sub(rounder.to_bits());
    let r = power - (rounded - rounder);
    let mut exp2 = EXP2_WIDE[EXP2_WIDE.len() - 1];
    for c in EXP2_WIDE.iter().rev().skip(1) {
        exp2 = exp2 * r + c;
    }
    let magnitude = (exp2 * f64::from_bits(n.wrapping_add(1023) << 52)) as f32;
    // Odd whole exponents keep the sign; other exponents of negative numbers have no real power.
    let truncated = y as i32;
    let whole = y.abs() >= 8_388_608.0 || truncated as f32 == y;
    let odd = y.abs() < 16_777_216.0 && whole && truncated & 1 == 1;
    let signed = if odd {
        magnitude.copysign(x)
    } else {
        magnitude
    };
    let real = if x < 0.0 && !whole && a != f32::INFINITY {
        f32::NAN
    } else {
        signed
    };
    let checked = if x.is_nan() || y.is_nan() {
        f32::NAN
    } else {
        real
    };
    // Whatever the other is, even NaN.
    let one = y == 0.0 || x == 1.0 || (x == -1.0 && y.abs() == f32::INFINITY);
    if one { 1.0 } else { checked }
}
