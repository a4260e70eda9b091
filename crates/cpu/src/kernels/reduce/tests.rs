//! Owns tests of reductions against plain loops in `f64`.

use olivine_core::{Array, Complex64, Dtype, Result, keep};

use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

/// Reduces axes by hand.
fn naive(x: &Array, axes: &[usize], start: f64, f: impl Fn(f64, f64) -> f64) -> Result<Vec<f64>> {
    let shape = x.shape().dims().to_vec();
    let kept: Vec<usize> = (0..shape.len()).filter(|i| !axes.contains(i)).collect();
    let mut result = vec![start; kept.iter().map(|&i| shape[i]).product()];
    for (position, &value) in values(x)?.iter().enumerate() {
        let mut rest = position;
        let mut index = vec![0; shape.len()];
        for i in (0..shape.len()).rev() {
            index[i] = rest % shape[i];
            rest /= shape[i];
        }
        let at = kept.iter().fold(0, |at, &i| at * shape[i] + index[i]);
        result[at] = f(result[at], value);
    }
    Ok(result)
}

fn shapes(random: &mut Random) -> (Vec<usize>, Vec<usize>) {
    let rank = 1 + random.below(4);
    let shape: Vec<usize> = (0..rank)
        .map(|_| match random.below(4) {
            0 => 1 + random.below(3),
            1 => 1 + random.below(70),
            _ => 1 + random.below(9),
        })
        .collect();
    let axes = (0..rank).filter(|_| random.below(2) == 0).collect();
    (shape, axes)
}

#[test]
fn sums_and_extrema_of_random_layouts_match_plain_loops() -> Result<()> {
    let mut random = Random(4);
    for dtype in [
        Dtype::Float32,
        Dtype::Float64,
        Dtype::Float16,
        Dtype::BFloat16,
    ] {
        for _ in 0..80 {
            let (shape, axes) = shapes(&mut random);
            let x = random.array(&shape, dtype)?;
            let what = format!("{dtype} {shape:?} over {axes:?}");
            let sum = values(&x.sum(&axes[..])?)?;
            assert_close(
                &sum,
                &naive(&x, &axes, 0.0, |a, b| a + b)?,
                rounding(dtype) * 8.0,
                &what,
            );
            let min = values(&x.min(&axes[..])?)?;
            assert_close(
                &min,
                &naive(&x, &axes, f64::INFINITY, f64::min)?,
                0.0,
                &what,
            );
            let max = values(&x.max(keep(&axes[..]))?)?;
            assert_close(
                &max,
                &naive(&x, &axes, f64::NEG_INFINITY, f64::max)?,
                0.0,
                &what,
            );
        }
    }
    Ok(())
}

#[test]
fn integers_add_and_multiply_in_32_bits_and_wrap() -> Result<()> {
    let x = Array::from_slice(&[200u8; 300], [300])?;
    assert_eq!(x.sum(..)?.item::<u32>()?, 60_000);
    let x = Array::from_slice(&[-128i8; 300], [3, 100])?;
    assert_eq!(x.sum(-1)?.to_vec::<i32>()?, [-12_800; 3]);
    let x = Array::from_slice(&[i32::MAX, 1], [2])?;
    assert_eq!(x.sum(..)?.item::<i32>()?, i32::MIN);
    let x = Array::from_slice(&[true, false, true], [3])?;
    assert_eq!(x.sum(..)?.item::<i32>()?, 2);
    let x = Array::from_slice(&[3i64, -4, 5], [3])?;
    assert_eq!(x.prod(..)?.item::<i64>()?, -60);
    assert_eq!(x.min(..)?.item::<i64>()?, -4);
    Ok(())
}

#[test]
fn every_dtype_reduces() -> Result<()> {
    for dtype in Dtype::ALL {
        for n in [1, 5, 40, 200] {
            let x = Array::ones([2, n], dtype)?.contiguous()?;
            assert_eq!(values(&x.sum(1)?)?, [n as f64; 2], "{dtype}");
            assert_eq!(values(&x.sum(0)?)?, vec![2.0; n], "{dtype}");
            assert_eq!(values(&x.prod(1)?)?, [1.0; 2], "{dtype}");
            assert_eq!(values(&x.min(..)?)?, [1.0], "{dtype}");
            assert_eq!(values(&x.max(0)?)?, vec![1.0; n], "{dtype}");
            assert!(
                x.all(..)?.item::<bool>()? && x.any(..)?.item::<bool>()?,
                "{dtype}"
            );
        }
    }
    Ok(())
}

#[test]
fn sums_of_halves_do_not_stop_counting() -> Result<()> {
    let x = Array::ones([4096], Dtype::BFloat16)?;
    assert_eq!(values(&x.sum(..)?)?, [4096.0]);
    let x = Array::ones([4096, 3], Dtype::Float16)?.contiguous()?;
    assert_eq!(values(&x.sum(0)?)?, [4096.0; 3]);
    Ok(())
}

#[test]
fn a_long_sum_does_not_lose_places() -> Result<()> {
    let x = Array::full([3_000_000], 0.1f32)?.contiguous()?;
    let expected = 3_000_000.0 * f64::from(0.1f32);
    assert!((values(&x.sum(..)?)?[0] / expected - 1.0).abs() < 1e-6);
    let columns = x.reshape([1_000_000, 3])?.sum(0)?;
    assert!((values(&columns)?[1] * 3.0 / expected - 1.0).abs() < 1e-6);
    Ok(())
}

#[test]
fn reductions_shared_by_threads_match() -> Result<()> {
    let mut random = Random(5);
    for shape in [
        [3, 50_000, 2],
        [2, 40, 3000],
        [1, 1, 300_000],
        [400, 300, 2],
        [300, 1, 800],
    ] {
        for axes in [
            &[0usize][..],
            &[1],
            &[2],
            &[0, 1],
            &[0, 2],
            &[1, 2],
            &[0, 1, 2],
        ] {
            let x = random.array(&shape, Dtype::Float32)?;
            let expected = naive(&x, axes, 0.0, |a, b| a + b)?;
            assert_close(
                &values(&x.sum(axes)?)?,
                &expected,
                1e-5,
                &format!("{shape:?} {axes:?}"),
            );
        }
    }
    Ok(())
}

#[test]
fn extrema_are_nan_if_any_element_is() -> Result<()> {
    for position in [0, 7, 31, 32, 99] {
        let mut values = vec![1.0f32; 100];
        values[position] = f32::NAN;
        let x = Array::from_slice(&values, [100])?;
        assert!(x.max(..)?.item::<f32>()?.is_nan());
        assert!(x.min(..)?.item::<f32>()?.is_nan());
        let y = x.reshape([100, 1])?.broadcast_to([100, 3])?;
        assert!(y.max(0)?.to_vec::<f32>()?.iter().all(|x| x.is_nan()));
        assert!(
            x.astype(Dtype::BFloat16)?
                .min(..)?
                .astype(Dtype::Float32)?
                .item::<f32>()?
                .is_nan()
        );
    }
    Ok(())
}

#[test]
fn reductions_of_nothing_give_their_start_or_an_error() -> Result<()> {
    let x = Array::zeros([0, 3], Dtype::Float32)?;
    assert_eq!(x.sum(0)?.to_vec::<f32>()?, [0.0; 3]);
    assert_eq!(x.prod(0)?.to_vec::<f32>()?, [1.0; 3]);
    assert!(x.sum(1)?.to_vec::<f32>()?.is_empty());
    assert!(x.max(0).is_err() && x.min(0).is_err());
    assert!(x.all(..)?.item::<bool>()? && !x.any(..)?.item::<bool>()?);
    assert!(x.mean(0)?.to_vec::<f32>()?[0].is_nan());
    Ok(())
}

#[test]
fn complex_numbers_are_ordered_by_real_part_first() -> Result<()> {
    let z = Complex64::new;
    let x = Array::from_slice(&[z(1.0, 5.0), z(2.0, -1.0), z(2.0, 0.0)], [3])?;
    assert_eq!(x.max(..)?.item::<Complex64>()?, z(2.0, 0.0));
    assert_eq!(x.sum(..)?.item::<Complex64>()?, z(5.0, 4.0));
    Ok(())
}

#[test]
fn sums_of_any_length_take_every_element_once() -> Result<()> {
    for len in (1..150).chain([255, 256]) {
        for dtype in [Dtype::Float32, Dtype::Float16, Dtype::BFloat16] {
            let ones = vec![1.0f32; len];
            let sum = |x: &[f32]| -> Result<f32> {
                let x = Array::from_slice(x, [x.len()])?.astype(dtype)?;
                x.sum(..)?.astype(Dtype::Float32)?.item::<f32>()
            };
            assert_eq!(sum(&ones)?, len as f32, "{dtype} {len}");
            for at in [0, len / 2, len - 1] {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut x = ones.clone();
                    x[at] = bad;
                    let found = sum(&x)?;
                    let same = found == bad || found.is_nan() && bad.is_nan();
                    assert!(same, "{dtype} {len} {at}: {found}");
                }
            }
        }
    }
    Ok(())
}
