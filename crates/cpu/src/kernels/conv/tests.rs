//! Owns tests of convolutions against plain loops in `f64`.

use olivine_core::{
    Array, Dtype, Result,
    ops::conv::{ConvGeneralOptions, ConvOptions},
};

use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

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
