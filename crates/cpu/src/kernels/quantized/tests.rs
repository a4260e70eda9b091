//! Owns tests of products with packed matrices, against products with what they stand for.

use olivine_core::{
    Array, Dtype, Result,
    quantized::{Quantization, QuantizationMode, Quantized},
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
    Ok(schemes)
}

/// The product of rows with the numbers that were packed.
fn product(x: &Array, w: &Quantized) -> Result<Array> {
    let wide = w.dequantize(Some(Dtype::Float32))?.astype(Dtype::Float64)?;
    x.astype(Dtype::Float64)?.matmul(wide.transpose(..)?)
}

#[test]
fn products_of_few_and_of_many_rows_are_those_of_the_numbers_packed() -> Result<()> {
    let mut random = Random(11);
    for scheme in schemes()? {
        for dtype in [Dtype::Float32, Dtype::Float16, Dtype::BFloat16] {
            for rows in [1, 2, 3, 4, 5, 8, 9, 21] {
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
                let tolerance = (rounding(dtype) + 1e-6) * scale;
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
    for tokens in [3, 60] {
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
