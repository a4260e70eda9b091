//! Owns convolutions.

use olivine::ops::conv::{ConvGeneralOptions, ConvOptions, ConvTransposeOptions, ConvolveMode};
use pyo3::prelude::*;

use super::functions;
use crate::{
    arg::{Input, Ints, made},
    array::PyArray,
    device::On,
    error::value_error,
};

/// A number for each of `D` axes, or one for all.
fn each<const D: usize>(name: &str, Ints(list): &Ints) -> PyResult<[usize; D]> {
    let mut numbers = [0; D];
    if list.len() != 1 && list.len() != D {
        let message = format!("[conv] {name} has {} numbers, not 1 or {D}", list.len());
        return Err(value_error(message));
    }
    for (i, number) in numbers.iter_mut().enumerate() {
        let given = list[if list.len() == 1 { 0 } else { i }];
        *number = usize::try_from(given)
            .map_err(|_| value_error(format!("[conv] {name} must not be negative: {given}")))?;
    }
    Ok(numbers)
}

/// A number for each axis that an input is convolved over, or one for all.
fn each_of(name: &str, Ints(list): &Ints, input: &Input) -> PyResult<Vec<usize>> {
    let dims = input.0.ndim().saturating_sub(2);
    let count = if list.len() == 1 { dims } else { list.len() };
    (0..count)
        .map(|i| {
            let given = list[if list.len() == 1 { 0 } else { i }];
            usize::try_from(given)
                .map_err(|_| value_error(format!("[conv] {name} must not be negative: {given}")))
        })
        .collect()
}

fn one(number: i64) -> Ints {
    Ints(smallvec::smallvec![number])
}

macro_rules! convolutions {
    ($($(#[$doc:meta])* $name:ident $transposed:ident $dims:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// Args:
        ///     input: An array of shape ``(batch, *sizes, channels)``.
        ///     weight: An array of shape ``(outputs, *sizes, channels / groups)``.
        ///     stride: How far the weights move from one place to the next.
        ///     padding: How many zeros are added at both ends of each axis.
        ///     dilation: The distance between the places that neighbouring weights are applied to.
        ///     groups: The number of groups that channels are divided into.
        ///     stream: Where to compute it.
        ///
        /// Returns:
        ///     An array of shape ``(batch, *sizes, outputs)``.
        ///
        /// Example:
        ///     >>> import olivine.core as mx
        #[doc = concat!("    >>> image, weight = mx.ones((1, *[5] * ", $dims, ", 2)), mx.ones((4, *[3] * ", $dims, ", 2))")]
        #[doc = concat!("    >>> mx.", stringify!($name), "(image, weight).shape == (1, *[3] * ", $dims, ", 4)")]
        ///     True
        #[pyfunction]
        #[pyo3(signature = (input, weight, /, stride=one(1), padding=one(0), dilation=one(1), groups=1, *,
            stream=None), text_signature =
            "(input, weight, /, stride=1, padding=0, dilation=1, groups=1, *, stream=None)")]
        fn $name(
            input: Input,
            weight: Input,
            stride: Ints,
            padding: Ints,
            dilation: Ints,
            groups: usize,
            stream: Option<On>,
        ) -> PyResult<PyArray> {
            if input.0.ndim() != $dims + 2 {
                // What has other axes than the name says is still a convolution.
                let padding = each_of("padding", &padding, &input)?;
                let options = ConvGeneralOptions {
                    stride: each_of("stride", &stride, &input)?,
                    padding: padding.into_iter().map(|width| (width as i64, width as i64)).collect(),
                    kernel_dilation: each_of("dilation", &dilation, &input)?,
                    groups,
                    ..ConvGeneralOptions::default()
                };
                return made(stream, || input.0.conv_general(&weight.0, &options));
            }
            let options = ConvOptions::<$dims> {
                stride: each("stride", &stride)?,
                padding: each("padding", &padding)?,
                dilation: each("dilation", &dilation)?,
                groups,
            };
            made(stream, || input.0.$name(&weight.0, options))
        }

        /// The transpose of the convolution of the same number of axes.
        ///
        /// Args:
        ///     input: An array of shape ``(batch, *sizes, channels)``.
        ///     weight: An array of shape ``(outputs, *sizes, channels / groups)``.
        ///     stride: How far apart the places are that neighbouring inputs contribute to.
        ///     padding: How many places are cut off at both ends of each axis.
        ///     dilation: The distance between the places that neighbouring weights contribute to.
        ///     output_padding: How many places are added at the end of each axis.
        ///     groups: The number of groups that channels are divided into.
        ///     stream: Where to compute it.
        ///
        /// Returns:
        ///     An array of shape ``(batch, *sizes, outputs)``.
        ///
        /// Example:
        ///     >>> import olivine.core as mx
        #[doc = concat!("    >>> image, weight = mx.ones((1, *[5] * ", $dims, ", 2)), mx.ones((4, *[3] * ", $dims, ", 2))")]
        #[doc = concat!("    >>> mx.", stringify!($transposed), "(image, weight).shape == (1, *[7] * ", $dims, ", 4)")]
        ///     True
        #[pyfunction]
        #[pyo3(signature = (input, weight, /, stride=one(1), padding=one(0), dilation=one(1),
            output_padding=one(0), groups=1, *, stream=None), text_signature =
            "(input, weight, /, stride=1, padding=0, dilation=1, output_padding=0, groups=1, *, stream=None)")]
        #[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
        fn $transposed(
            input: Input,
            weight: Input,
            stride: Ints,
            padding: Ints,
            dilation: Ints,
            output_padding: Ints,
            groups: usize,
            stream: Option<On>,
        ) -> PyResult<PyArray> {
            let options = ConvTransposeOptions::<$dims> {
                stride: each("stride", &stride)?,
                padding: each("padding", &padding)?,
                dilation: each("dilation", &dilation)?,
                output_padding: each("output_padding", &output_padding)?,
                groups,
            };
            made(stream, || input.0.$transposed(&weight.0, options))
        }
    )*};
}

convolutions! {
    /// The correlation of an input with weights along one axis.
    conv1d conv_transpose1d 1;
    /// The correlation of images with weights.
    conv2d conv_transpose2d 2;
    /// The correlation of volumes with weights.
    conv3d conv_transpose3d 3;
}

/// What a general convolution's padding may be: one for both ends, or one for each.
fn paddings(given: Option<&Bound<'_, PyAny>>, dims: usize) -> PyResult<Vec<(i64, i64)>> {
    let Some(given) = given else {
        return Ok(Vec::new());
    };
    let fill = |list: &[i64]| match list {
        [one] => vec![*one; dims],
        list => list.to_vec(),
    };
    if let Ok(Ints(both)) = given.extract::<Ints>() {
        return Ok(fill(&both)
            .into_iter()
            .map(|width| (width, width))
            .collect());
    }
    let (Ints(low), Ints(high)) = given.extract::<(Ints, Ints)>()?;
    Ok(fill(&low).into_iter().zip(fill(&high)).collect())
}

/// The correlation of an input with weights over any number of axes.
///
/// Args:
///     input: An array of shape ``(batch, *sizes, channels)``.
///     weight: An array of shape ``(outputs, *sizes, channels / groups)``.
///     stride: How far the weights move from one place to the next.
///     padding: How many zeros are added at the ends of each axis, or a pair of lists: at the
///         beginnings and at the ends.
///     kernel_dilation: The distance between the places that neighbouring weights are applied to.
///     input_dilation: The distance between neighbouring inputs, with zeros between them.
///     groups: The number of groups that channels are divided into.
///     flip: Reverses the weights' axes, which makes it a convolution in the strict sense.
///     stream: Where to compute it.
///
/// Returns:
///     An array of shape ``(batch, *sizes, outputs)``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.conv_general(mx.ones((1, 8, 1)), mx.ones((1, 3, 1)), padding=([2], [0])).shape
///     (1, 8, 1)
#[pyfunction]
#[pyo3(signature = (input, weight, /, stride=one(1), padding=None, kernel_dilation=one(1),
    input_dilation=one(1), groups=1, flip=false, *, stream=None), text_signature =
    "(input, weight, /, stride=1, padding=0, kernel_dilation=1, input_dilation=1, groups=1, flip=False, *, stream=None)")]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn conv_general(
    input: Input,
    weight: Input,
    stride: Ints,
    padding: Option<&Bound<'_, PyAny>>,
    kernel_dilation: Ints,
    input_dilation: Ints,
    groups: usize,
    flip: bool,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let dims = input.0.ndim().saturating_sub(2);
    let options = ConvGeneralOptions {
        stride: each_of("stride", &stride, &input)?,
        padding: paddings(padding, dims)?,
        kernel_dilation: each_of("kernel_dilation", &kernel_dilation, &input)?,
        input_dilation: each_of("input_dilation", &input_dilation, &input)?,
        groups,
        flip,
    };
    made(stream, || input.0.conv_general(&weight.0, &options))
}

/// The discrete convolution of two vectors.
///
/// Args:
///     a: A vector.
///     v: A vector.
///     mode: ``"full"`` for all places where they overlap, ``"same"`` for as many as the longer has
///         elements, ``"valid"`` for those where they overlap completely.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.convolve(mx.array([1.0, 2.0]), mx.array([1.0, 1.0]))
///     array([1, 3, 2], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, v, /, mode="full", *, stream=None))]
fn convolve(a: Input, v: Input, mode: &str, stream: Option<On>) -> PyResult<PyArray> {
    let mode = match mode {
        "full" => ConvolveMode::Full,
        "same" => ConvolveMode::Same,
        "valid" => ConvolveMode::Valid,
        _ => return Err(value_error(format!("[convolve] Invalid mode '{mode}'."))),
    };
    made(stream, || a.0.convolve(&v.0, mode))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d,
        conv_general, convolve);
    Ok(())
}
