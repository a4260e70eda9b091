//! Owns tests of products with packed matrices, against products with what they stand for.

use olivine_core::{
    Array, Dtype, Result,
    quantized::{Activations, Quantization, QuantizationMode, Quantized},
};

use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

fn schemes() -> Result<Vec<Quantization>> {
    let mut schemes = vec![
        Quantization::new(QuantizationMode::Mxfp4, None, None)?,
        Quantization::new(QuantizationMode::Mxfp8, None, None)?,
        Quantization::new(QuantizationMode::Nvfp4, None, None)?,
    ];
    for bits in [2, 3, 4, 5, 6, 8] {
        for group in [32, 64, 128] {
            schemes.push(Quantization::affine(group, bits)?);
        }
    }
    for bits in [2, 4, 6, 8] {
        schemes.push(Quantization::affine(16, bits)?);
    }
    Ok(schemes)
}

/// The product of rows with the numbers that were packed.
fn product(x: &Array, w: &Quantized) -> Result<Array> {
    let wide = w.dequantize(Some(Dtype::Float32))?.astype(Dtype::Float64)?;
    x.astype(Dtype::Float64)?.matmul(wide.transpose(..)?)
}

/// The largest sum of the magnitudes of what a product of rows with packed ones is the sum of.
fn largest_terms(x: &Array, w: &Quantized) -> Result<f64> {
    let wide = w.dequantize(Some(Dtype::Float32))?.abs()?;
    let terms = x
        .astype(Dtype::Float32)?
        .abs()?
        .matmul(wide.transpose(..)?)?;
    Ok(values(&terms)?.iter().fold(0.0, |most, sum| sum.max(most)))
}

#[test]
fn products_of_few_and_of_many_rows_are_those_of_the_numbers_packed() -> Result<()> {
    let mut random = Random(11);
    for scheme in schemes()? {
        for dtype in [Dtype::Float32, Dtype::Float16, Dtype::BFloat16] {
            for rows in [1, 2, 3, 4, 5, 8, 9, 21, 50] {
                // One to five groups, so that registers are not always filled.
                let inner = scheme.group_size() * (1 + random.below(5));
                let columns = 1 + random.below(40);
                let w = random
                    .array(&[columns, inner], dtype)?
                    .quantize(scheme, None)?;
                let x = random.array(&[rows, inner], dtype)?;
                let expected = product(&x, &w)?;
                let found = x.quantized_matmul(&w, true)?;
                // Weights are rounded to the dtype as well where products of it are faster.
                let scale = (inner as f64).sqrt();
                let tolerance = rounding(dtype) * scale + 1e-6 * largest_terms(&x, &w)?;
                let what = format!("{scheme:?} {dtype} ({rows}, {inner}) by {columns}");
                assert_close(&values(&found)?, &values(&expected)?, tolerance, &what);
            }
        }
    }
    Ok(())
}

#[test]
fn rows_over_several_depths_are_summed_whole() -> Result<()> {
    let mut random = Random(12);
    for dtype in [Dtype::Float32, Dtype::BFloat16] {
        let scheme = Quantization::affine(64, 4)?;
        let (rows, inner, columns) = (70, 2112, 100);
        let w = random
            .array(&[columns, inner], dtype)?
            .quantize(scheme, None)?;
        let x = random.array(&[rows, inner], dtype)?;
        let expected = product(&x, &w)?;
        let found = x.quantized_matmul(&w, true)?;
        let tolerance = (rounding(dtype) + 1e-6) * 46.0;
        assert_close(&values(&found)?, &values(&expected)?, tolerance, "deep");
    }
    Ok(())
}

#[test]
fn gathered_products_pick_matrices_and_put_rows_where_they_belong() -> Result<()> {
    let mut random = Random(13);
    let scheme = Quantization::affine(32, 4)?;
    for tokens in [3, 60, 300] {
        let w = random
            .array(&[4, 24, 96], Dtype::Float32)?
            .quantize(scheme, None)?;
        let x = random.array(&[tokens, 1, 96], Dtype::Float32)?;
        let picked: Vec<u32> = (0..tokens).map(|_| random.below(4) as u32).collect();
        let places = Array::from_slice(&picked, [tokens])?;
        let found = x.gather_qmm(&w, None, Some(&places), true)?;
        let wide = w.dequantize(None)?.take(&places, 0)?;
        let expected = x.matmul(wide.transpose(&[0, 2, 1][..])?)?;
        assert_close(&values(&found)?, &values(&expected)?, 1e-5, "gathered");
    }
    Ok(())
}

/// Rows with each group rounded to whole numbers times a scale.
fn rounded(x: &Array, group: usize) -> Result<Array> {
    let mut numbers = values(x)?;
    for group in numbers.chunks_exact_mut(group) {
        let largest = group.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        let (scale, inverse) = (largest as f32 / 127.0, 127.0 / largest as f32);
        for number in group {
            *number = (*number * f64::from(inverse)).round_ties_even() * f64::from(scale);
        }
    }
    Array::from_slice(&numbers, x.shape().dims())
}

#[test]
fn rounded_activations_give_the_products_of_the_rounded_numbers() -> Result<()> {
    let mut random = Random(14);
    for (group, bits) in [(32, 4), (64, 4), (128, 4), (64, 2), (64, 3), (64, 8)] {
        for dtype in [Dtype::Float32, Dtype::Float16, Dtype::BFloat16] {
            for rows in [1, 4, 5, 9, 17, 70] {
                let inner = group * (1 + random.below(5));
                let columns = 1 + random.below(80);
                let scheme = Quantization::affine(group, bits)?;
                let mut w = random
                    .array(&[columns, inner], dtype)?
                    .quantize(scheme, None)?;
                let x = random.array(&[rows, inner], dtype)?;
                let exact = x.quantized_matmul(&w, true)?;
                w.scheme = scheme.with_activations(Activations::Int8);
                let found = x.quantized_matmul(&w, true)?;
                let what = format!("{group} {bits} {dtype} ({rows}, {inner}) by {columns}");
                let scale = (inner as f64).sqrt();
                if rows > 4 && matches!(bits, 2 | 4) {
                    let x = rounded(&x, group)?;
                    let expected = values(&product(&x, &w)?)?;
                    let tolerance = (rounding(dtype) + 1e-6) * scale;
                    assert_close(&values(&found)?, &expected, tolerance, &what);
                    // Rounding results hides it where they are of few bits.
                    let same = values(&found)? == values(&exact)?;
                    assert!(!same || dtype != Dtype::Float32, "{what}");
                } else {
                    assert_eq!(values(&found)?, values(&exact)?, "{what}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn numbers_that_are_not_finite_are_not_rounded() -> Result<()> {
    let mut random = Random(15);
    let scheme = Quantization::default();
    let mut w = random
        .array(&[40, 128], Dtype::Float32)?
        .quantize(scheme, None)?;
    w.scheme = scheme.with_activations(Activations::Int8);
    let x = random.array(&[20, 128], Dtype::Float32)?;
    let product = |x: &Array, w: &Quantized| values(&x.quantized_matmul(w, true)?);
    for number in [f64::NAN, f64::INFINITY, 1e-40] {
        let mut numbers = values(&x)?;
        numbers[3 * 128..4 * 128].fill(number);
        let changed = Array::from_slice(&numbers, [20, 128])?.astype(Dtype::Float32)?;
        for (row, sums) in product(&changed, &w)?.chunks(40).enumerate() {
            let finite = row != 3 || number.is_finite();
            assert!(
                sums.iter().all(|sum| sum.is_finite() == finite),
                "{number} {row}"
            );
            // Nothing is left of the smallest numbers.
            assert_eq!(sums.iter().all(|&sum| sum == 0.0), row == 3 && finite);
        }
    }
    let mut scales = values(&w.scales)?;
    scales[2 * 7] = f64::INFINITY;
    w.scales = Array::from_slice(&scales, [40, 2])?.astype(Dtype::Float32)?;
    for sums in product(&x, &w)?.chunks(40) {
        let wrong = sums.iter().enumerate().filter(|(_, sum)| !sum.is_finite());
        assert_eq!(wrong.map(|(column, _)| column).collect::<Vec<_>>(), [7]);
    }
    Ok(())
}

#[test]
fn halves_that_are_not_finite_stay_in_their_rows_and_columns() -> Result<()> {
    let mut random = Random(16);
    for bits in [4, 6] {
        for rows in [1, 4, 20] {
            let scheme = Quantization::affine(64, bits)?;
            let mut w = random
                .array(&[40, 320], Dtype::BFloat16)?
                .quantize(scheme, None)?;
            let x = random.array(&[rows, 320], Dtype::BFloat16)?;
            for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut numbers = values(&x)?;
                numbers[(rows - 1) * 320 + 290] = number;
                let changed = Array::from_slice(&numbers, [rows, 320])?.astype(Dtype::BFloat16)?;
                let found = values(&changed.quantized_matmul(&w, true)?)?;
                for (row, sums) in found.chunks(40).enumerate() {
                    let finite = row + 1 < rows;
                    assert!(sums.iter().all(|sum| sum.is_finite() == finite), "{number}");
                }
            }
            let mut scales = values(&w.scales)?;
            scales[5 * 7 + 2] = f64::INFINITY;
            w.scales = Array::from_slice(&scales, [40, 5])?.astype(Dtype::BFloat16)?;
            for sums in values(&x.quantized_matmul(&w, true)?)?.chunks(40) {
                let wrong = sums.iter().enumerate().filter(|(_, sum)| !sum.is_finite());
                assert_eq!(wrong.map(|(column, _)| column).collect::<Vec<_>>(), [7]);
            }
        }
    }
    Ok(())
}

#[test]
fn codes_that_are_nan_make_their_columns_so_and_subnormal_ones_do_not_vanish() -> Result<()> {
    let mut random = Random(17);
    let scheme = Quantization::new(QuantizationMode::Mxfp8, None, None)?;
    for dtype in [Dtype::Float32, Dtype::BFloat16] {
        for rows in [1, 3, 9, 60] {
            let mut w = random.array(&[40, 96], dtype)?.quantize(scheme, None)?;
            let x = random.array(&[rows, 96], dtype)?;
            // The codes of all magnitudes, with both signs, but for one column with a NaN.
            let mut words: Vec<u32> = (0..40 * 24)
                .map(|i| (i % 30) * 0x0404_0404 + 0x8300_8102)
                .collect();
            words[7 * 24 + 20] = 0x0000_ff00;
            w.codes = Array::from_slice(&words, [40, 24])?;
            let found = values(&x.quantized_matmul(&w, true)?)?;
            let expected = values(&product(&x, &w)?)?;
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                let most = (rounding(dtype) + 1e-5) * 448.0;
                assert_eq!(found.is_nan(), i % 40 == 7);
                assert!(
                    i % 40 == 7 || (found - expected).abs() < most,
                    "{found} {expected}"
                );
            }
            // Codes below the smallest normal number, and a row that is as small.
            w.codes = Array::from_slice(&vec![0x0102_8307u32; 40 * 24], [40, 24])?;
            let x = x.multiply(1e-20)?;
            let expected = values(&product(&x, &w)?)?;
            for (found, expected) in values(&x.quantized_matmul(&w, true)?)?.iter().zip(expected) {
                let most = 1e-2 * expected.abs() + 1e-25;
                assert!((found - expected).abs() < most, "{found} {expected}");
            }
        }
    }
    Ok(())
}

#[test]
fn products_over_nothing_are_zeros() -> Result<()> {
    for scheme in schemes()? {
        for dtype in [Dtype::Float32, Dtype::BFloat16] {
            for rows in [1, 6, 60] {
                let mut w =
                    Array::ones([40, scheme.group_size()], dtype)?.quantize(scheme, None)?;
                w.codes = w.codes.index((.., ..0usize))?;
                w.scales = w.scales.index((.., ..0usize))?;
                w.biases = match w.biases {
                    Some(biases) => Some(biases.index((.., ..0usize))?),
                    None => None,
                };
                let x = Array::zeros([rows, 0], dtype)?;
                let found = values(&x.quantized_matmul(&w, true)?)?;
                assert_eq!(found, vec![0.0; rows * 40], "{scheme:?} {dtype} {rows}");
            }
        }
    }
    Ok(())
}
