//! Owns tests of matrix products against plain loops in `f64`.

use half::bf16;
use olivine_core::{Array, Complex64, Dtype, Result};

use super::{Matrix, Paired, Results, Rounded, Sizes, Target, multiply_sides};
use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

fn naive(a: &Array, b: &Array) -> Result<Vec<f64>> {
    let (m, k) = (a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]);
    let n = b.shape()[b.ndim() - 1];
    let batches = a.shape().elements() / (m * k).max(1);
    let (a, b) = (values(a)?, values(b)?);
    let mut product = vec![0.0; batches * m * n];
    for batch in 0..batches {
        for i in 0..m {
            for j in 0..n {
                product[(batch * m + i) * n + j] = (0..k)
                    .map(|l| a[(batch * m + i) * k + l] * b[(batch * k + l) * n + j])
                    .sum();
            }
        }
    }
    Ok(product)
}

#[test]
fn products_of_random_shapes_and_layouts_match_plain_loops() -> Result<()> {
    let mut random = Random(1);
    for dtype in [
        Dtype::Float32,
        Dtype::Float64,
        Dtype::Float16,
        Dtype::BFloat16,
    ] {
        for round in 0..60 {
            let size = |random: &mut Random| match random.below(4) {
                0 => 1,
                1 => 1 + random.below(8),
                2 => 1 + random.below(40),
                _ => 1 + random.below(200),
            };
            let (m, n, k) = (size(&mut random), size(&mut random), size(&mut random));
            let batch = 1 + random.below(3);
            let a = random.array(&[batch, m, k], dtype)?;
            let b = random.array(&[batch, k, n], dtype)?;
            let expected = naive(&a, &b)?;
            let found = values(&a.matmul(&b)?)?;
            let tolerance = rounding(dtype).max(1e-14) + 1e-7 * f64::from(dtype != Dtype::Float64);
            let what = format!("{dtype} round {round}: {batch} x ({m}, {k}) @ ({k}, {n})");
            assert_close(&found, &expected, tolerance * 20.0, &what);
        }
    }
    Ok(())
}

#[test]
fn halves_are_rounded_once() -> Result<()> {
    let mut random = Random(2);
    for (m, n, k) in [
        (1, 70, 300),
        (3, 70, 300),
        (60, 70, 300),
        (70, 1, 300),
        (600, 300, 70),
    ] {
        let a = random.array(&[1, m, k], Dtype::BFloat16)?;
        let b = random.array(&[1, k, n], Dtype::BFloat16)?;
        let found = values(&a.matmul(&b)?)?;
        for (found, expected) in found.iter().zip(naive(&a, &b)?) {
            // Half a place in the last digit, and a little for cancellation in `float32`.
            let bound = expected.abs() / 256.0 + 1e-4;
            assert!(
                (found - expected).abs() <= bound,
                "{found} instead of {expected}"
            );
        }
    }
    Ok(())
}

#[test]
fn complex_products_multiply_and_add_both_parts() -> Result<()> {
    let z = |re, im| Complex64::new(re, im);
    let a = Array::from_slice(&[z(1.0, 2.0), z(0.0, 1.0)], [1, 2])?;
    let b = Array::from_slice(&[z(3.0, -1.0), z(2.0, 2.0)], [2, 1])?;
    assert_eq!(a.matmul(&b)?.to_vec::<Complex64>()?, [z(3.0, 7.0)]);
    Ok(())
}

#[test]
fn products_over_nothing_are_zero() -> Result<()> {
    for dtype in [
        Dtype::Float32,
        Dtype::Float64,
        Dtype::Float16,
        Dtype::Complex64,
    ] {
        for (m, n) in [(1, 3), (2, 3), (3, 1), (40, 50)] {
            let product = Array::ones([m, 0], dtype)?.matmul(Array::ones([0, n], dtype)?)?;
            assert_eq!(values(&product)?, vec![0.0; m * n]);
        }
    }
    assert!(
        Array::ones([0, 3], Dtype::Float32)?
            .matmul(Array::ones([3, 2], Dtype::Float32)?)?
            .to_vec::<f32>()?
            .is_empty()
    );
    Ok(())
}

#[test]
fn large_products_use_all_threads_and_match() -> Result<()> {
    let mut random = Random(3);
    for dtype in [Dtype::Float32, Dtype::Float16] {
        for (batch, m, n, k) in [
            (1, 300, 310, 290),
            (9, 90, 100, 110),
            (1, 1, 2000, 600),
            (1, 1500, 1, 300),
            (1, 4, 3000, 100),
        ] {
            let a = random.array(&[batch, m, k], dtype)?;
            let b = random.array(&[batch, k, n], dtype)?;
            let found = values(&a.matmul(&b)?)?;
            assert_close(&found, &naive(&a, &b)?, rounding(dtype) * 60.0, "large");
        }
    }
    Ok(())
}

#[test]
fn halves_of_several_depths_are_rounded_once() -> Result<()> {
    let mut random = Random(4);
    for dtype in [Dtype::Float16, Dtype::BFloat16] {
        for (m, n, k) in [(70, 90, 1025), (33, 500, 1537), (100, 20, 2048)] {
            let a = random.array(&[1, m, k], dtype)?;
            let b = random.array(&[1, k, n], dtype)?;
            let what = format!("{dtype} ({m}, {k}) @ ({k}, {n})");
            let tolerance = rounding(dtype) + 1e-4;
            assert_close(&values(&a.matmul(&b)?)?, &naive(&a, &b)?, tolerance, &what);
        }
    }
    Ok(())
}

/// A product of pairs, on whatever level this machine has.
fn in_pairs<T: Rounded>(a: &[bf16], b: &[bf16], sizes: Sizes, turned: [bool; 2]) -> Vec<T> {
    let matrix = |x: &[bf16], rows: usize, columns: usize, turned: bool| {
        let (rows, columns) = if turned { (1, rows) } else { (columns, 1) };
        Matrix {
            start: x.as_ptr(),
            rows: rows as isize,
            columns: columns as isize,
        }
    };
    let Sizes { m, n, k } = sizes;
    let lines = [
        matrix(a, m, k, turned[0]),
        matrix(b, k, n, turned[1]).transposed(),
    ];
    let [a, b] = lines.map(|lines| Paired::new(lines, k));
    let mut out = vec![T::narrow(0.0); m * n];
    let results = Results::new(Target::new(out.as_mut_ptr(), n));
    // SAFETY: the matrices have these sizes, and the output is ours.
    unsafe { multiply_sides(sizes, &a, &b, results, true) };
    out
}

#[test]
fn pairs_are_multiplied_as_their_terms_are() {
    let mut random = Random(5);
    for round in 0..60 {
        let size = |random: &mut Random, most| 1 + random.below(most);
        let (m, n) = (size(&mut random, 70), size(&mut random, 90));
        let k = [1, 2, 3, 64, 129, 1024, 1027][random.below(7)];
        let [a, b] = [m * k, k * n].map(|len| {
            let numbers = (0..len).map(|_| bf16::from_f32(random.unit()));
            numbers.collect::<Vec<_>>()
        });
        let turned = [random.below(2) == 1, random.below(2) == 1];
        let at =
            |x: &[bf16], (row, column): (usize, usize), (rows, columns): (usize, usize), turned| {
                let place = if turned {
                    column * rows + row
                } else {
                    row * columns + column
                };
                f64::from(x[place])
            };
        let mut expected = Vec::with_capacity(m * n);
        for i in 0..m {
            for j in 0..n {
                let terms = (0..k)
                    .map(|l| at(&a, (i, l), (m, k), turned[0]) * at(&b, (l, j), (k, n), turned[1]));
                expected.push(terms.sum::<f64>());
            }
        }
        let what = format!("round {round}: ({m}, {k}) @ ({k}, {n}), turned {turned:?}");
        let sizes = Sizes { m, n, k };
        let found: Vec<f64> = in_pairs::<f32>(&a, &b, sizes, turned)
            .into_iter()
            .map(f64::from)
            .collect();
        assert_close(&found, &expected, 1e-5, &what);
        let found: Vec<f64> = in_pairs::<bf16>(&a, &b, sizes, turned)
            .into_iter()
            .map(f64::from)
            .collect();
        assert_close(&found, &expected, rounding(Dtype::BFloat16) + 1e-5, &what);
    }
}
