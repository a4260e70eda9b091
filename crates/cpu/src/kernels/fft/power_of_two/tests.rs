//! Owns tests of transforms at every level that the machine has.

use std::f64::consts::TAU;

use super::{real::fold_body, *};
use crate::{
    isa::{Portable, detect},
    kernels::test_inputs::Random,
};

type Complex128 = num_complex::Complex<f64>;

fn random_line(random: &mut Random, size: usize) -> Vec<Complex64> {
    let number = |_| Complex64::new(random.unit(), random.unit());
    (0..size).map(number).collect()
}

fn levels() -> Vec<Level> {
    let all = [Level::Portable, Level::V3, Level::V4];
    all.into_iter()
        .filter(|&level| {
            level == Level::Portable || cfg!(target_arch = "x86_64") && level <= detect()
        })
        .collect()
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::*;
    use crate::isa::{V3, V4};

    #[target_feature(enable = "avx2,fma,f16c,bmi2")]
    pub(super) fn v3<D: Direction>(
        plan: &PowerOfTwo,
        from: &[Complex64],
        to: &mut [Complex64],
        room: &mut [f32],
        scale: f32,
    ) {
        run_body::<V3, D>(plan, from, to, room, scale);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi2")]
    pub(super) fn v4<D: Direction>(
        plan: &PowerOfTwo,
        from: &[Complex64],
        to: &mut [Complex64],
        room: &mut [f32],
        scale: f32,
    ) {
        run_body::<V4, D>(plan, from, to, room, scale);
    }

    #[target_feature(enable = "avx2,fma,f16c,bmi2")]
    pub(super) fn fold_v3<D: Direction>(
        from: Option<&[Complex64]>,
        to: &mut [Complex64],
        roots: &[f32],
    ) {
        fold_body::<V3, D>(from, to, roots);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi2")]
    pub(super) fn fold_v4<D: Direction>(
        from: Option<&[Complex64]>,
        to: &mut [Complex64],
        roots: &[f32],
    ) {
        fold_body::<V4, D>(from, to, roots);
    }
}

/// As [`run`], at a level.
fn run_at<D: Direction>(
    level: Level,
    plan: &PowerOfTwo,
    from: &[Complex64],
    to: &mut [Complex64],
    room: &mut [f32],
    scale: f32,
) {
    match level {
        // SAFETY: the processor has the level.
        #[cfg(target_arch = "x86_64")]
        Level::V3 => unsafe { wide::v3::<D>(plan, from, to, room, scale) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::V4 => unsafe { wide::v4::<D>(plan, from, to, room, scale) },
        _ => run_body::<Portable, D>(plan, from, to, room, scale),
    }
}

/// A transform at a level, of slices that begin where they may.
fn transform(
    level: Level,
    line: &[Complex64],
    inverse: bool,
    scale: f32,
    offset: usize,
) -> Vec<Complex64> {
    let size = line.len();
    let plan = PowerOfTwo::at_level(level, size, inverse).expect("a size that there are plans for");
    let mut from = vec![Complex64::ZERO; size + offset];
    from[offset..].copy_from_slice(line);
    // Eight numbers fill a line of the cache; around the result nothing is written.
    let fence = Complex64::new(1e30, -1e30);
    let mut to = vec![fence; size + 16];
    let start = to.as_ptr().align_offset(64) + offset % 8;
    let mut room = vec![f32::NAN; plan.room() + offset];
    let (from, room) = (&from[offset..], &mut room[offset..]);
    let result = &mut to[start..start + size];
    if inverse {
        run_at::<Inverse>(level, &plan, from, result, room, scale);
    } else {
        run_at::<Forwards>(level, &plan, from, result, room, scale);
    }
    let bits = |z: &Complex64| [z.re.to_bits(), z.im.to_bits()];
    assert!(from.iter().map(bits).eq(line.iter().map(bits)));
    assert!(to[..start].iter().all(|&z| z == fence));
    assert!(to[start + size..].iter().all(|&z| z == fence));
    to[start..start + size].to_vec()
}

fn wide(line: &[Complex64]) -> Vec<Complex128> {
    line.iter()
        .map(|z| Complex128::new(f64::from(z.re), f64::from(z.im)))
        .collect()
}

fn roots_of_one(size: usize, inverse: bool) -> Vec<Complex128> {
    let sign = if inverse { TAU } else { -TAU };
    (0..size)
        .map(|k| Complex128::cis(sign * k as f64 / size as f64))
        .collect()
}

fn naive(line: &[Complex64], inverse: bool) -> Vec<Complex128> {
    let (line, size) = (wide(line), line.len());
    let roots = roots_of_one(size, inverse);
    let number = |k: usize| -> Complex128 {
        let terms = line.iter().enumerate();
        terms.map(|(i, z)| z * roots[i * k % size]).sum()
    };
    (0..size).map(number).collect()
}

/// The transform in `f64`, of two halves.
fn exact(line: &[Complex64], inverse: bool) -> Vec<Complex128> {
    let mut numbers = wide(line);
    halves(&mut numbers, &roots_of_one(line.len(), inverse));
    numbers
}

fn halves(line: &mut [Complex128], roots: &[Complex128]) {
    let half = line.len() / 2;
    if half == 0 {
        return;
    }
    let mut parts = [0, 1].map(|first| -> Vec<_> {
        let numbers = line.iter().skip(first).step_by(2);
        numbers.copied().collect()
    });
    for part in &mut parts {
        halves(part, roots);
    }
    let step = roots.len() / line.len();
    for k in 0..half {
        let (a, b) = (parts[0][k], parts[1][k] * roots[k * step]);
        (line[k], line[k + half]) = (a + b, a - b);
    }
}

/// The root of the mean square of errors over that of what is expected.
fn error(found: &[Complex64], expected: &[Complex128], factor: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let wrong = wide(found)
        .into_iter()
        .zip(expected)
        .map(|(a, b)| (a - b * factor).norm_sqr());
    let all = expected.iter().map(|b| (b * factor).norm_sqr());
    (wrong.sum::<f64>() / all.sum::<f64>()).sqrt()
}

fn sizes(largest: usize) -> impl Iterator<Item = usize> {
    (5..=largest.ilog2()).map(|power| 1 << power)
}

#[test]
fn lines_have_the_transform_of_its_definition() {
    let mut random = Random(1);
    for size in sizes(2048) {
        let line = random_line(&mut random, size);
        for inverse in [false, true] {
            let expected = naive(&line, inverse);
            for level in levels() {
                let found = transform(level, &line, inverse, 1.0, 0);
                let error = error(&found, &expected, 1.0);
                assert!(error < 2e-7, "{level:?} {size} {inverse}: {error:e}");
                let worst = wide(&found)
                    .iter()
                    .zip(&expected)
                    .map(|(a, b)| (a - b).norm())
                    .fold(0.0, f64::max);
                assert!(worst < 1e-6 * (size as f64).sqrt(), "{size}: {worst}");
            }
        }
    }
}

#[test]
fn large_lines_have_the_transform_in_f64() {
    let mut random = Random(2);
    for size in sizes(MAX_SIZE) {
        let line = random_line(&mut random, size);
        for inverse in [false, true] {
            let expected = exact(&line, inverse);
            for level in levels() {
                let found = transform(level, &line, inverse, 0.25, 0);
                let error = error(&found, &expected, 0.25);
                assert!(error < 3e-7, "{level:?} {size} {inverse}: {error:e}");
            }
        }
    }
}

#[test]
fn there_and_back_is_a_multiple() {
    let mut random = Random(3);
    for size in sizes(1 << 16) {
        let line = random_line(&mut random, size);
        for level in levels() {
            let there = transform(level, &line, false, 1.0, 0);
            let back = transform(level, &there, true, 1.0, 0);
            let error = error(&back, &wide(&line), size as f64);
            assert!(error < 5e-7, "{level:?} {size}: {error:e}");
        }
    }
}

#[test]
fn neither_alignment_nor_factor_changes_more_than_the_factor() {
    let mut random = Random(4);
    for size in sizes(1 << 14) {
        let line = random_line(&mut random, size);
        for level in levels() {
            let whole = transform(level, &line, false, 1.0, 0);
            for offset in [1, 2, 3, 5, 7, 8] {
                assert_eq!(transform(level, &line, false, 1.0, offset), whole);
                // Factors that are powers of two change no digit.
                let scaled = transform(level, &line, false, 0.125, offset);
                assert!(scaled.iter().zip(&whole).all(|(a, b)| *a == b * 0.125));
            }
        }
    }
}

#[test]
fn infinities_and_nan_reach_the_first_number() {
    for size in sizes(4096) {
        for level in levels() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for place in [0, size / 3, size - 1] {
                    let mut line = vec![Complex64::new(1.0, 2.0); size];
                    line[place].im = bad;
                    assert!(!transform(level, &line, false, 1.0, 0)[0].is_finite());
                }
            }
        }
    }
}

#[test]
fn other_sizes_have_no_plan() {
    for size in [0, 1, 2, 16, 33, 48, 100, 4095, 2 * MAX_SIZE] {
        assert!(PowerOfTwo::new(size, false).is_none(), "{size}");
    }
    for size in [0, 1, 2, 32, 65, 96, 100] {
        assert!(RealPowerOfTwo::new(size).is_none(), "{size}");
        assert!(HalfPowerOfTwo::new(size).is_none(), "{size}");
    }
}

#[test]
fn real_lines_have_half_the_spectrum_and_come_back() {
    let mut random = Random(5);
    for size in (6..=17).map(|power| 1 << power) {
        let line: Vec<f32> = (0..size).map(|_| random.unit()).collect();
        let complex: Vec<_> = line.iter().map(|&x| Complex64::new(x, 0.0)).collect();
        let mut expected = exact(&complex, false);
        expected.truncate(size / 2 + 1);
        let there = RealPowerOfTwo::new(size).expect("a size that there are plans for");
        let mut spectrum = vec![Complex64::ZERO; size / 2 + 1];
        there.run(&line, &mut spectrum, &mut vec![0.0; there.room()], 0.5);
        let wrong = error(&spectrum, &expected, 0.5);
        assert!(wrong < 3e-7, "{size}: {wrong:e}");
        assert_eq!((spectrum[0].im, spectrum[size / 2].im), (0.0, 0.0));

        // Parts that the symmetry makes zero do not count.
        (spectrum[0].im, spectrum[size / 2].im) = (3.0, f32::NAN);
        let back = HalfPowerOfTwo::new(size).expect("a size that there are plans for");
        let mut again = vec![0.0; size];
        back.run(
            &spectrum,
            &mut again,
            &mut vec![0.0; back.room()],
            2.0 / size as f32,
        );
        let worst = line.iter().zip(&again).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, f32::max);
        assert!(worst < 2e-6, "{size}: {worst}");
    }
}

#[test]
fn levels_fold_alike() {
    let mut random = Random(6);
    for size in [64, 128, 1024] {
        let line = random_line(&mut random, size / 2 + 1);
        let mut found = Vec::new();
        for level in levels() {
            let roots = real::roots(level, size);
            let (mut there, mut back) = (line.clone(), line.clone());
            match level {
                // SAFETY: the processor has the level.
                #[cfg(target_arch = "x86_64")]
                Level::V3 => unsafe {
                    wide::fold_v3::<Forwards>(None, &mut there, &roots);
                    wide::fold_v3::<Inverse>(Some(&line), &mut back, &roots);
                },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Level::V4 => unsafe {
                    wide::fold_v4::<Forwards>(None, &mut there, &roots);
                    wide::fold_v4::<Inverse>(Some(&line), &mut back, &roots);
                },
                _ => {
                    fold_body::<Portable, Forwards>(None, &mut there, &roots);
                    fold_body::<Portable, Inverse>(Some(&line), &mut back, &roots);
                }
            }
            found.push([there, back]);
        }
        for others in &found[1..] {
            for (a, b) in others.iter().flatten().zip(found[0].iter().flatten()) {
                assert!((a - b).norm() < 1e-5, "{size}: {a} {b}");
            }
        }
    }
}
