//! Owns tests of convolutions against plain loops in `f64`.

use olivine_core::{
    Array, Dtype, Result, bf16, f16,
    ops::conv::{Conv, ConvGeneralOptions, ConvOptions},
};

use super::{Axis, Task, winograd};
use crate::{
    kernels::{
        matmul::Rounded,
        row::RowElement,
        test_inputs::{Random, assert_close, rounding, values},
    },
    num_threads, set_num_threads,
    tensor::Output,
};

/// The convolution of (batch, height, width, channels) with (filters, height, width, channels).
fn naive(x: &Array, w: &Array, options: &ConvGeneralOptions) -> Result<Vec<f64>> {
    let sizes = |array: &Array| array.shape().dims().to_vec();
    let (x_shape, w_shape) = (sizes(x), sizes(w));
    let (x, w) = (values(x)?, values(w)?);
    let stretched = |i: usize| (x_shape[i + 1] - 1) * options.input_dilation[i] + 1;
    let out = |i: usize| {
        let (before, after) = options.padding[i];
        let room = stretched(i) as i64 + before + after;
        let kernel = ((w_shape[i + 1] - 1) * options.kernel_dilation[i] + 1) as i64;
        ((room - kernel) / options.stride[i] as i64 + 1) as usize
    };
    let (per_group, filters) = (w_shape[3], w_shape[0]);
    let element = |i: usize, at: i64| {
        let step = options.input_dilation[i] as i64;
        let inside = at >= 0 && at % step == 0 && at / step < x_shape[i + 1] as i64;
        inside.then(|| (at / step) as usize)
    };
    let mut result = Vec::new();
    for batch in 0..x_shape[0] {
        for y in 0..out(0) {
            for z in 0..out(1) {
                for filter in 0..filters {
                    let group = filter / (filters / options.groups);
                    let mut sum = 0.0;
                    for i in 0..w_shape[1] {
                        for j in 0..w_shape[2] {
                            let tap = |axis: usize, tap: usize, count: usize| {
                                let tap = if options.flip { count - 1 - tap } else { tap };
                                tap * options.kernel_dilation[axis]
                            };
                            let at = |axis: usize, place: usize, reach: usize| {
                                (place * options.stride[axis] + reach) as i64
                                    - options.padding[axis].0
                            };
                            let row = element(0, at(0, y, tap(0, i, w_shape[1])));
                            let column = element(1, at(1, z, tap(1, j, w_shape[2])));
                            let Some((row, column)) = row.zip(column) else {
                                continue;
                            };
                            for channel in 0..per_group {
                                let from =
                                    ((batch * x_shape[1] + row) * x_shape[2] + column) * x_shape[3];
                                let weight =
                                    ((filter * w_shape[1] + i) * w_shape[2] + j) * per_group;
                                sum += x[from + group * per_group + channel] * w[weight + channel];
                            }
                        }
                    }
                    result.push(sum);
                }
            }
        }
    }
    Ok(result)
}

#[test]
fn convolutions_of_random_options_match_plain_loops() -> Result<()> {
    let mut random = Random(21);
    for round in 0..150 {
        let dtype = [Dtype::Float32, Dtype::Float16, Dtype::BFloat16][random.below(3)];
        let groups = 1 + random.below(3);
        let kernel = [1 + random.below(4), 1 + random.below(4)];
        let options = ConvGeneralOptions {
            stride: vec![1 + random.below(3), 1 + random.below(3)],
            padding: (0..2)
                .map(|_| (random.below(5) as i64, random.below(5) as i64))
                .collect(),
            kernel_dilation: vec![1 + random.below(2), 1 + random.below(2)],
            input_dilation: vec![1 + random.below(2), 1 + random.below(2)],
            groups,
            flip: random.below(2) == 1,
        };
        let channels = 1 + random.below(6);
        let filters = (1 + random.below(40)) * groups;
        let x_shape = [
            1 + random.below(3),
            8 + random.below(8),
            8 + random.below(25),
            channels * groups,
        ];
        let x = random.array(&x_shape, dtype)?;
        let w = random.array(&[filters, kernel[0], kernel[1], channels], dtype)?;
        let found = x.conv_general(&w, &options)?;
        let what = format!("round {round}: {dtype} {x_shape:?} {filters} {options:?}");
        // Up to 144 terms are summed as `f32`.
        let tolerance = rounding(dtype) + 5e-6;
        assert_close(
            &values(&found)?,
            &naive(&x, &w, &options)?,
            tolerance,
            &what,
        );
    }
    Ok(())
}

#[test]
fn bands_larger_than_the_cache_are_cut() -> Result<()> {
    let mut random = Random(22);
    let options = ConvGeneralOptions {
        stride: vec![1, 2],
        padding: vec![(0, 0), (1, 1)],
        kernel_dilation: vec![1, 1],
        input_dilation: vec![1, 1],
        groups: 1,
        flip: false,
    };
    let x = random.array(&[1, 1, 3000, 80], Dtype::Float32)?;
    let w = random.array(&[9, 1, 3, 80], Dtype::Float32)?;
    let found = x.conv_general(&w, &options)?;
    assert_close(&values(&found)?, &naive(&x, &w, &options)?, 1e-5, "long");
    Ok(())
}

#[test]
fn axes_of_one_element_change_no_bit() -> Result<()> {
    let mut random = Random(41);
    let (x, w) = (
        random.array(&[2, 10, 16], Dtype::Float32)?,
        random.array(&[16, 3, 16], Dtype::Float32)?,
    );
    let padded = ConvOptions {
        padding: [1],
        ..ConvOptions::default()
    };
    let line = x.conv1d(&w, padded)?;
    for (axis, padding) in [(1, [0, 1]), (2, [1, 0])] {
        let (x, w) = (x.expand_dims(axis)?, w.expand_dims(axis)?);
        let padded = ConvOptions {
            padding,
            ..ConvOptions::default()
        };
        let plane = x.conv2d(&w, padded)?.squeeze(axis)?;
        assert!(line.array_equal(&plane, false)?.item::<bool>()?, "{axis}");
    }
    Ok(())
}

/// The convolution by minimal filtering, however small it is; `None` if weights are not finite.
fn filtered<T: RowElement<Wide = f32> + Rounded>(
    x: &Array,
    w: &Array,
    options: &ConvGeneralOptions,
) -> Result<Option<Array>> {
    let conv = Conv {
        stride: options.stride.clone().into(),
        padding: options.padding.clone().into(),
        kernel_dilation: options.kernel_dilation.clone().into(),
        input_dilation: options.input_dilation.clone().into(),
        groups: options.groups,
        flip: options.flip,
    };
    let shape = x.conv_general(w, options)?.shape().clone();
    let (elements, weights) = (x.to_vec::<T>()?, w.astype(Dtype::Float32)?);
    let axis = |i: usize| Axis::new(&conv, i, [x.shape()[i + 1], shape[i + 1], w.shape()[i + 1]]);
    let task = Task {
        x: &elements,
        batches: x.shape()[0],
        axes: [Axis::single(), axis(0), axis(1)],
        channels: x.shape()[3],
        groups: 1,
        out_channels: shape[3],
    };
    assert!(winograd::is_possible(&task));
    let mut room = vec![f32::NAN; winograd::room_for_weights(&task)];
    let mut results = vec![T::narrow_one(f32::NAN); shape.elements()];
    let out = Output::over(&mut results);
    // SAFETY: the room is as large as it says.
    let done = unsafe { winograd::run(&task, &weights.to_vec::<f32>()?, room.as_mut_ptr(), &out) };
    done.then(|| Array::from_slice(&results, &shape))
        .transpose()
}

/// Neighbouring weights that meet neighbouring elements.
fn three_by_three(padding: [(i64, i64); 2], flip: bool) -> ConvGeneralOptions {
    ConvGeneralOptions {
        stride: vec![1, 1],
        padding: padding.to_vec(),
        kernel_dilation: vec![1, 1],
        input_dilation: vec![1, 1],
        groups: 1,
        flip,
    }
}

#[test]
fn minimal_filtering_matches_plain_loops() -> Result<()> {
    let mut random = Random(51);
    for round in 0..120 {
        let dtype = [Dtype::Float32, Dtype::Float16, Dtype::BFloat16][random.below(3)];
        let mut ends = || {
            let after = random.below(4) as i64;
            (random.below(4) as i64 - i64::from(after > 1), after)
        };
        let options = three_by_three([ends(), ends()], random.below(2) == 1);
        let x_shape = [
            1 + random.below(3),
            4 + random.below(9),
            4 + random.below(20),
            1 + random.below(40),
        ];
        let filters = 1 + random.below(70);
        let x = random.array(&x_shape, dtype)?;
        let w = random.array(&[filters, 3, 3, x_shape[3]], dtype)?;
        let found = match dtype {
            Dtype::Float16 => filtered::<f16>(&x, &w, &options)?,
            Dtype::BFloat16 => filtered::<bf16>(&x, &w, &options)?,
            _ => filtered::<f32>(&x, &w, &options)?,
        };
        let found = values(&found.expect("weights are finite"))?;
        let what = format!("round {round}: {dtype} {x_shape:?} {filters} {options:?}");
        // Up to 360 terms are summed as `f32`.
        let tolerance = rounding(dtype) + 1e-5;
        assert_close(&found, &naive(&x, &w, &options)?, tolerance, &what);
    }
    Ok(())
}

#[test]
fn padding_around_nothing_is_filtered_to_zeros() -> Result<()> {
    let x = Array::zeros([2, 0, 5, 3], Dtype::Float32)?;
    let w = Array::ones([20, 3, 3, 3], Dtype::Float32)?;
    let options = three_by_three([(2, 3), (1, 1)], false);
    let found = filtered::<f32>(&x, &w, &options)?.expect("weights are finite");
    assert_eq!(found.shape().dims(), [2, 3, 5, 20]);
    assert!(values(&found)?.iter().all(|&value| value == 0.0));
    Ok(())
}

#[test]
fn numbers_that_are_not_finite_reach_only_results_that_meet_them() -> Result<()> {
    let mut random = Random(52);
    let options = three_by_three([(1, 1), (0, 2)], false);
    let shape = [2, 11, 13, 20];
    let w = random.array(&[33, 3, 3, 20], Dtype::Float32)?;
    // The last is so large that differences of neighbours are infinite; there, errors are small beside it.
    for (special, scale) in [
        (f32::NAN, 1.0),
        (f32::INFINITY, 1.0),
        (f32::NEG_INFINITY, 1.0),
        (3e38, 1e-38),
    ] {
        let mut elements: Vec<f32> = (0..shape.iter().product()).map(|_| random.unit()).collect();
        for _ in 0..4 {
            let place = random.below(elements.len() - 20);
            elements[place] = special;
            elements[place + 20] = if special.is_finite() { -special } else { 0.5 };
        }
        let x = Array::from_slice(&elements, shape)?;
        // Results stay in range.
        let w = w.multiply(if special.is_finite() { 0.01 } else { 1.0 })?;
        let found = filtered::<f32>(&x, &w, &options)?.expect("weights are finite");
        let scaled = |values: Vec<f64>| values.into_iter().map(|value| value * scale).collect();
        let (found, expected): (Vec<f64>, Vec<f64>) =
            (scaled(values(&found)?), scaled(naive(&x, &w, &options)?));
        assert_close(&found, &expected, 1e-5, &format!("{special}"));
    }
    Ok(())
}

#[test]
fn weights_that_are_not_finite_are_not_filtered() -> Result<()> {
    let options = three_by_three([(1, 1), (1, 1)], false);
    let x = Array::ones([1, 6, 6, 3], Dtype::Float32)?;
    for special in [f32::NAN, f32::INFINITY, f32::MAX] {
        let mut weights = vec![1.0; 17 * 9 * 3];
        weights[300..306].fill(special);
        let w = Array::from_slice(&weights, [17, 3, 3, 3])?;
        assert!(filtered::<f32>(&x, &w, &options)?.is_none(), "{special}");
    }
    Ok(())
}

#[test]
fn convolutions_have_the_same_bits_on_any_number_of_threads() -> Result<()> {
    let mut random = Random(53);
    let options = three_by_three([(1, 1), (1, 1)], false);
    let x = random.array(&[3, 29, 31, 48], Dtype::Float32)?;
    let w = random.array(&[64, 3, 3, 48], Dtype::Float32)?;
    let threads = num_threads();
    set_num_threads(1);
    let one = x.conv_general(&w, &options)?;
    one.eval()?;
    set_num_threads(threads);
    let many = x.conv_general(&w, &options)?;
    assert!(one.array_equal(&many, false)?.item::<bool>()?);
    assert_close(&values(&one)?, &naive(&x, &w, &options)?, 3e-5, "large");
    Ok(())
}
