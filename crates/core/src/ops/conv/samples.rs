//! Owns what the list of ops says of convolutions.

use super::{
    ConvGeneralOptions, ConvOptions, ConvTransposeOptions, ConvolveMode, Family, Gradient, Input,
    OpInfo, Sample, kinds,
};

fn info(
    name: &'static str,
    doc: &'static str,
    signature: &'static str,
    samples: fn() -> Vec<Sample>,
) -> OpInfo {
    OpInfo {
        name,
        doc,
        signature,
        family: Family::Linear,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples,
    }
}

/// Samples of one of the plain forms: shapes of input and weights, then stride, padding, dilation
/// and groups.
macro_rules! plain {
    ($method:ident, $dims:literal: $(($x:expr, $w:expr, $s:expr, $p:expr, $d:expr, $g:expr)),* $(,)?) => {
        || vec![$({
            let options = ConvOptions::<$dims> { stride: $s, padding: $p, dilation: $d, groups: $g };
            let label = format!(
                "stride={:?}, padding={:?}, dilation={:?}, groups={}",
                options.stride, options.padding, options.dilation, options.groups
            );
            Sample::new(label, [Input::any($x), Input::any($w)], move |x| {
                x[0].$method(&x[1], options)
            })
        }),*]
    };
}

/// As `plain!`, with the output's padding before the groups.
macro_rules! transposed {
    ($method:ident, $dims:literal: $(($x:expr, $w:expr, $s:expr, $p:expr, $d:expr, $o:expr, $g:expr)),* $(,)?) => {
        || vec![$({
            let options = ConvTransposeOptions::<$dims> {
                stride: $s, padding: $p, dilation: $d, output_padding: $o, groups: $g,
            };
            let label = format!(
                "stride={:?}, padding={:?}, dilation={:?}, output_padding={:?}, groups={}",
                options.stride, options.padding, options.dilation, options.output_padding,
                options.groups
            );
            Sample::new(label, [Input::any($x), Input::any($w)], move |x| {
                x[0].$method(&x[1], options)
            })
        }),*]
    };
}

fn general() -> Vec<Sample> {
    let case = |x: &[usize], w: &[usize], options: ConvGeneralOptions| {
        let low: Vec<i64> = options.padding.iter().map(|pair| pair.0).collect();
        let high: Vec<i64> = options.padding.iter().map(|pair| pair.1).collect();
        let label = format!(
            "stride={:?}, low={low:?}, high={high:?}, dilation={:?}, input_dilation={:?}, \
             groups={}, flip={}",
            options.stride,
            options.kernel_dilation,
            options.input_dilation,
            options.groups,
            options.flip
        );
        Sample::new(label, [Input::any(x), Input::any(w)], move |x| x[0].conv_general(&x[1], &options))
    };
    vec![
        case(&[2, 5, 3], &[4, 2, 3], ConvGeneralOptions::default()),
        case(
            &[1, 6, 5, 2],
            &[4, 3, 2, 1],
            ConvGeneralOptions {
                stride: vec![2, 1],
                padding: vec![(2, 1), (0, 3)],
                kernel_dilation: vec![1, 2],
                input_dilation: vec![2, 3],
                groups: 2,
                flip: true,
            },
        ),
        case(
            &[2, 7, 2],
            &[3, 2, 2],
            ConvGeneralOptions {
                stride: vec![3],
                padding: vec![(-1, -2)],
                input_dilation: vec![2],
                ..Default::default()
            },
        ),
        case(
            &[1, 2, 3, 4, 2],
            &[2, 2, 1, 3, 1],
            ConvGeneralOptions {
                padding: vec![(1, 0)],
                groups: 2,
                ..Default::default()
            },
        ),
        case(
            &[1, 0, 2],
            &[3, 2, 2],
            ConvGeneralOptions { padding: vec![(2, 2)], ..Default::default() },
        ),
    ]
}

fn convolve() -> Vec<Sample> {
    let modes = [
        ("full", ConvolveMode::Full),
        ("same", ConvolveMode::Same),
        ("valid", ConvolveMode::Valid),
    ];
    let sizes = [(5, 3), (4, 4), (3, 6), (7, 2), (1, 1)];
    let case = |(name, mode): (&str, ConvolveMode), (a, b): (usize, usize)| {
        let inputs = [Input::any([a]), Input::any([b])];
        Sample::new(format!("mode={name}"), inputs, move |x| x[0].convolve(&x[1], mode))
    };
    modes.into_iter().flat_map(|mode| sizes.map(|sizes| case(mode, sizes))).collect()
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![
        info(
            "conv1d",
            "The correlation of an input with weights along one axis.",
            "conv1d(input, weight, stride=1, padding=0, dilation=1, groups=1)",
            plain!(conv1d, 1:
                ([2, 7, 3], [4, 3, 3], [1], [0], [1], 1),
                ([2, 9, 4], [6, 3, 2], [2], [1], [2], 2),
                ([3, 8, 5], [5, 4, 1], [1], [2], [1], 5),
                ([0, 6, 2], [3, 2, 2], [1], [0], [1], 1),
                ([2, 6, 0], [3, 2, 0], [1], [0], [1], 1),
                ([2, 6, 2], [0, 2, 2], [1], [0], [1], 1),
                ([1, 70, 9], [33, 3, 9], [1], [2], [1], 1)
            ),
        ),
        info(
            "conv2d",
            "The correlation of images with weights.",
            "conv2d(input, weight, stride=1, padding=0, dilation=1, groups=1)",
            plain!(conv2d, 2:
                ([2, 5, 6, 3], [4, 3, 3, 3], [1, 1], [0, 0], [1, 1], 1),
                ([1, 7, 5, 4], [6, 3, 2, 2], [2, 1], [1, 2], [1, 2], 2),
                ([1, 6, 6, 4], [4, 3, 3, 1], [2, 2], [1, 1], [1, 1], 4),
                ([2, 4, 4, 3], [5, 1, 1, 3], [1, 1], [0, 0], [1, 1], 1),
                ([1, 5, 5, 2], [4, 2, 2, 1], [1, 1], [0, 0], [1, 1], 2)
            ),
        ),
        info(
            "conv3d",
            "The correlation of volumes with weights.",
            "conv3d(input, weight, stride=1, padding=0, dilation=1, groups=1)",
            plain!(conv3d, 3:
                ([1, 3, 4, 3, 2], [3, 2, 2, 2, 2], [1, 1, 1], [0, 0, 0], [1, 1, 1], 1),
                ([2, 4, 3, 5, 2], [2, 2, 3, 2, 1], [2, 1, 2], [1, 1, 0], [1, 1, 2], 2)
            ),
        ),
        info(
            "conv_general",
            "The correlation of an input with weights, with everything that it may have.",
            "conv_general(input, weight, stride=1, padding=0, kernel_dilation=1, input_dilation=1, \
             groups=1, flip=False)",
            general,
        ),
        info(
            "conv_transpose1d",
            "The transpose of a convolution along one axis.",
            "conv_transpose1d(input, weight, stride=1, padding=0, dilation=1, output_padding=0, \
             groups=1)",
            transposed!(conv_transpose1d, 1:
                ([2, 5, 3], [4, 3, 3], [1], [0], [1], [0], 1),
                ([1, 4, 4], [6, 3, 2], [2], [1], [2], [1], 2),
                ([1, 5, 2], [3, 2, 2], [3], [2], [1], [2], 1)
            ),
        ),
        info(
            "conv_transpose2d",
            "The transpose of a convolution of images.",
            "conv_transpose2d(input, weight, stride=1, padding=0, dilation=1, output_padding=0, \
             groups=1)",
            transposed!(conv_transpose2d, 2:
                ([1, 3, 4, 2], [3, 2, 3, 2], [2, 1], [0, 1], [1, 2], [1, 0], 1),
                ([2, 3, 3, 4], [4, 3, 3, 1], [2, 2], [1, 1], [1, 1], [0, 1], 4)
            ),
        ),
        info(
            "conv_transpose3d",
            "The transpose of a convolution of volumes.",
            "conv_transpose3d(input, weight, stride=1, padding=0, dilation=1, output_padding=0, \
             groups=1)",
            transposed!(conv_transpose3d, 3:
                ([1, 2, 3, 2, 2], [3, 2, 2, 2, 2], [2, 1, 1], [0, 1, 0], [1, 1, 2], [1, 0, 0], 1)
            ),
        ),
        info(
            "convolve",
            "The discrete convolution of two vectors.",
            "convolve(a, v, mode='full')",
            convolve,
        ),
    ]
}
