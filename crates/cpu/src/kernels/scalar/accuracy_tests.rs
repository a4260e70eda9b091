//! Owns tests of the `f32` functions: every instruction set against double precision.

use super::{Map1, Map2, body1, body2, math32};
use crate::isa::{self, Isa, Level};

/// Evaluates at every level this machine has.
fn levels1<F: Map1<In = f32, Out = f32>>(x: &[f32], mut check: impl FnMut(Level, &[f32])) {
    let mut y = vec![0.0; x.len()];
    body1::<isa::Portable, F>(x, &mut y);
    check(Level::Portable, &y);
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma,f16c,bmi2")]
        fn v3<F: Map1<In = f32, Out = f32>>(x: &[f32], y: &mut [f32]) {
            body1::<isa::V3, F>(x, y);
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi2")]
        fn v4<F: Map1<In = f32, Out = f32>>(x: &[f32], y: &mut [f32]) {
            body1::<isa::V4, F>(x, y);
        }
        if isa::detect() >= Level::V3 {
            // SAFETY: just detected.
            unsafe { v3::<F>(x, &mut y) };
            check(Level::V3, &y);
        }
        if isa::detect() >= Level::V4 {
            // SAFETY: just detected.
            unsafe { v4::<F>(x, &mut y) };
            check(Level::V4, &y);
        }
    }
}

/// As `levels1`, for functions of two elements.
fn levels2<F: Map2<In = f32, Out = f32>>(
    a: &[f32],
    b: &[f32],
    mut check: impl FnMut(Level, &[f32]),
) {
    let mut y = vec![0.0; a.len()];
    body2::<isa::Portable, F>(a, b, &mut y);
    check(Level::Portable, &y);
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi2")]
        fn v4<F: Map2<In = f32, Out = f32>>(a: &[f32], b: &[f32], y: &mut [f32]) {
            body2::<isa::V4, F>(a, b, y);
        }
        if isa::detect() >= Level::V4 {
            // SAFETY: just detected.
            unsafe { v4::<F>(a, b, &mut y) };
            check(Level::V4, &y);
        }
    }
}

/// The distance of `y` from the exact value, in units of the last place of a `f32` there.
fn ulps(y: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if y.is_nan() || rounded.is_nan() {
        return if y.is_nan() && rounded.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if y == rounded {
        return if y.is_infinite() {
            0.0
        } else {
            (y as f64 - exact).abs() / ulp(rounded)
        };
    }
    if y.is_infinite() || rounded.is_infinite() {
        // One step from the largest float to infinity is one unit.
        let near = if y.is_infinite() { rounded } else { y };
        return if near.abs() >= f32::MAX * 0.999_999_9 {
            1.0
        } else {
            f64::INFINITY
        };
    }
    (y as f64 - exact).abs() / ulp(rounded)
}

fn ulp(x: f32) -> f64 {
    let exponent = ((x.to_bits() >> 23) & 0xff).max(1) as i32;
    f64::powi(2.0, exponent - 127 - 23)
}

/// Arguments of every magnitude, and those where functions change course.
fn arguments() -> Vec<f32> {
    let step = if cfg!(miri) { 40_000_003 } else { 12_007 };
    let mut x: Vec<f32> = (0..=u32::MAX).step_by(step).map(f32::from_bits).collect();
    for centre in [
        0.0f32,
        0.125,
        0.293,
        0.35,
        0.414_213_6,
        0.5,
        0.625,
        std::f32::consts::FRAC_1_SQRT_2,
        std::f32::consts::FRAC_PI_4,
        1.0,
        std::f32::consts::SQRT_2,
        std::f32::consts::FRAC_PI_2,
        2.0,
        2.414_213_6,
        std::f32::consts::PI,
        4.0,
        9.0,
        11.0,
        15.0,
        22.0,
        44.0,
        87.0,
        88.0,
        88.7,
        89.4,
        100.0,
        103.9,
        104.0,
        110.0,
        355.0,
        1000.0,
        65_536.0,
        1e5,
        1e8,
        1.342_177_3e8,
        1e30,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-45,
        f32::INFINITY,
    ] {
        for sign in [1.0, -1.0] {
            let bits = (sign * centre).to_bits();
            x.extend((0..40u32).map(|i| f32::from_bits(bits.wrapping_add(i).wrapping_sub(20))));
        }
    }
    // Ordinary arguments, densely.
    let count = if cfg!(miri) { 50 } else { 200_000 };
    x.extend((0..count).map(|i| (i as f32 / count as f32 - 0.5) * 40.0));
    x.extend((0..count).map(|i| (i as f32 / count as f32 - 0.5) * 2.1));
    x.extend((0..count / 4).map(|i| i as f32 * 0.3));
    x
}

macro_rules! accurate {
    ($($test:ident $function:ident $limit:literal $reference:expr;)*) => {$(
        #[test]
        fn $test() {
            struct F;
            impl Map1 for F {
                type In = f32;
                type Out = f32;
                #[inline(always)]
                fn map<S: Isa>(x: f32) -> f32 {
                    math32::$function::<S>(x)
                }
            }
            let reference: fn(f64) -> f64 = $reference;
            let mut x = arguments();
            if matches!(stringify!($function), "sin" | "cos" | "tan") {
                x.retain(|x| !math32::is_large_angle(*x));
            }
            let exact: Vec<f64> = x.iter().map(|x| reference(*x as f64)).collect();
            levels1::<F>(&x, |level, y| {
                let errors = x.iter().zip(y).zip(&exact).map(|((x, y), exact)| (ulps(*y, *exact), *x, *y, *exact));
                let worst = errors.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
                println!("{} {level:?}: {worst:?}", stringify!($function));
                assert!(worst.0 <= $limit, "{level:?}: (ulps, x, y, exact) = {worst:?}");
            });
        }
    )*};
}

accurate! {
    exp_is_accurate exp 1.1 f64::exp;
    expm1_is_accurate expm1 2.0 f64::exp_m1;
    sigmoid_is_accurate sigmoid 2.5 |x| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) };
    log_is_accurate log 1.5 f64::ln;
    log2_is_accurate log2 2.0 f64::log2;
    log10_is_accurate log10 2.0 f64::log10;
    log1p_is_accurate log1p 1.5 f64::ln_1p;
    sin_is_accurate sin 1.7 f64::sin;
    cos_is_accurate cos 1.7 f64::cos;
    tan_is_accurate tan 2.5 f64::tan;
    asin_is_accurate asin 2.5 f64::asin;
    acos_is_accurate acos 2.5 f64::acos;
    atan_is_accurate atan 2.5 f64::atan;
    sinh_is_accurate sinh 2.5 f64::sinh;
    cosh_is_accurate cosh 2.0 f64::cosh;
    tanh_is_accurate tanh 2.0 f64::tanh;
    asinh_is_accurate asinh 3.5 f64::asinh;
    acosh_is_accurate acosh 3.5 f64::acosh;
    atanh_is_accurate atanh 3.5 f64::atanh;
    erf_is_accurate erf 2.0 libm::erf;
}

/// Pairs of arguments: all of a list of special ones, and ordinary ones.
fn pairs() -> (Vec<f32>, Vec<f32>) {
    let special = [
        0.0f32,
        1.0,
        2.0,
        3.0,
        0.5,
        1.5,
        1e-3,
        7.25,
        100.0,
        1e10,
        8_388_607.5,
        8_388_609.0,
        16_777_215.0,
        16_777_216.0,
        1e20,
        1e-20,
        1e38,
        1e-38,
        1e-45,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        0.999_999_94,
        1.000_000_1,
    ];
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for x in special.iter().flat_map(|x| [*x, -*x]) {
        for y in special.iter().flat_map(|y| [*y, -*y]) {
            a.push(x);
            b.push(y);
        }
    }
    let count = if cfg!(miri) { 50 } else { 400_000u32 };
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    for i in 0..count {
        a.push(if i % 2 == 0 {
            next() * 10.0
        } else {
            (next() - 0.5) * 1e4
        });
        b.push(if i % 3 == 0 {
            (next() * 20.0 - 10.0).round()
        } else {
            next() * 20.0 - 10.0
        });
    }
    (a, b)
}

macro_rules! accurate_pairs {
    ($($test:ident $function:ident $limit:literal $reference:expr;)*) => {$(
        #[test]
        fn $test() {
            struct F;
            impl Map2 for F {
                type In = f32;
                type Out = f32;
                #[inline(always)]
                fn map<S: Isa>(a: f32, b: f32) -> f32 {
                    math32::$function::<S>(a, b)
                }
            }
            let reference: fn(f64, f64) -> f64 = $reference;
            let (a, b) = pairs();
            levels2::<F>(&a, &b, |level, y| {
                let mut worst = (0.0, 0.0, 0.0, 0.0, 0.0);
                for ((a, b), y) in a.iter().zip(&b).zip(y) {
                    let exact = reference(*a as f64, *b as f64);
                    let error = ulps(*y, exact);
                    if error > worst.0 {
                        worst = (error, *a, *b, *y, exact);
                    }
                    if exact == 0.0 {
                        assert_eq!(y.is_sign_negative(), exact.is_sign_negative(), "{a} {b}");
                    }
                }
                println!("{} {level:?}: {worst:?}", stringify!($function));
                assert!(worst.0 <= $limit, "{level:?}: (ulps, a, b, y, exact) = {worst:?}");
            });
        }
    )*};
}

accurate_pairs! {
    pow_is_accurate_and_obeys_the_standards_special_cases pow 0.6 f64::powf;
    atan2_is_accurate_in_every_quadrant atan2 3.0 f64::atan2;
}

#[test]
fn large_angles_are_reduced_exactly() {
    use olivine_core::Array;
    let x: Vec<f32> = (0..3000)
        .map(|i| 1.000_7f32.powi(i * 40) * if i % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let array = Array::from_slice(&x, [x.len()]).unwrap();
    let results = [
        (array.sin().unwrap(), f64::sin as fn(f64) -> f64),
        (array.cos().unwrap(), f64::cos),
        (array.tan().unwrap(), f64::tan),
    ];
    for (y, reference) in results {
        for (x, y) in x.iter().zip(y.to_vec::<f32>().unwrap()) {
            assert!(ulps(y, reference(*x as f64)) <= 2.5, "{x}");
        }
    }
}

#[test]
fn erfinv_undoes_erf() {
    use olivine_core::Array;
    let x: Vec<f64> = (-400..=400).map(|i| i as f64 / 100.0).collect();
    let erf: Vec<f64> = x.iter().map(|x| libm::erf(*x)).collect();
    let wide = Array::from_slice(&erf, [erf.len()])
        .unwrap()
        .erfinv()
        .unwrap();
    for (x, y) in x.iter().zip(wide.to_vec::<f64>().unwrap()) {
        // Near one, neighbouring numbers have inverses far apart.
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp();
        assert!((x - y).abs() <= 1e-15 + 2e-16 / slope, "{x} {y}");
    }
    let narrow: Vec<f32> = (-999..1000).map(|i| i as f32 / 1000.0).collect();
    let array = Array::from_slice(&narrow, [narrow.len()]).unwrap();
    for (x, y) in narrow
        .iter()
        .zip(array.erfinv().unwrap().to_vec::<f32>().unwrap())
    {
        assert!(
            (libm::erf(y as f64) - *x as f64).abs() <= 3e-7 * x.abs() as f64,
            "{x} {y}"
        );
    }
    let edges = Array::from_slice(&[1.0f32, -1.0, 1.5, 0.0], [4])
        .unwrap()
        .erfinv()
        .unwrap();
    let edges = edges.to_vec::<f32>().unwrap();
    assert_eq!(edges[..2], [f32::INFINITY, f32::NEG_INFINITY]);
    assert!(edges[2].is_nan() && edges[3] == 0.0);
}
