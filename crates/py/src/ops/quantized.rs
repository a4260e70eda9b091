//! Owns numbers in few bits.

use olivine::{
    Array,
    quantized::{QqmmWeights, Quantization, Quantized},
};
use pyo3::{prelude::*, types::PyList};

use super::{functions, shape::list};
use crate::{
    arg::{Input, made},
    array::PyArray,
    device::On,
    dtype::PyDtype,
    error::{OrRaise, value_error},
};

/// The format that arguments name.
fn scheme(mode: &str, group_size: Option<usize>, bits: Option<usize>) -> PyResult<Quantization> {
    Quantization::new(mode.parse().or_raise()?, group_size, bits).or_raise()
}

fn array(input: Option<&Input>) -> Option<&Array> {
    input.map(|input| &input.0)
}

/// An array in few bits, by groups of neighbours in the last axis.
///
/// Args:
///     w: An array of shape ``(..., n)``.
///     group_size: How many neighbours share a scale; by default what is usual for the mode.
///     bits: The bits of a number; by default what is usual for the mode.
///     mode: ``"affine"``, ``"mxfp4"``, ``"mxfp8"`` or ``"nvfp4"``.
///     global_scale: A scale for the whole array, for ``"nvfp4"`` only.
///     stream: Where to compute it.
///
/// Returns:
///     The codes, packed in ``uint32``, the scales and, for ``"affine"``, the biases.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> [part.shape for part in mx.quantize(mx.ones((4, 64)))]
///     [(4, 8), (4, 1), (4, 1)]
#[pyfunction]
#[pyo3(signature = (w, /, group_size=None, bits=None, mode="affine", *, global_scale=None, stream=None))]
fn quantize<'py>(
    py: Python<'py>,
    w: Input,
    group_size: Option<usize>,
    bits: Option<usize>,
    mode: &str,
    global_scale: Option<Input>,
    stream: Option<On>,
) -> PyResult<Bound<'py, PyList>> {
    let scheme = scheme(mode, group_size, bits)?;
    let run = || w.0.quantize(scheme, array(global_scale.as_ref()));
    let packed = stream.unwrap_or_default().run(run).or_raise()?;
    list(
        py,
        [packed.codes, packed.scales]
            .into_iter()
            .chain(packed.biases),
    )
}

/// The numbers that codes of few bits stand for.
///
/// Args:
///     w: Packed codes, ``uint32``.
///     scales: The scales of groups.
///     biases: The biases of groups, for ``"affine"``.
///     group_size: How many neighbours share a scale; by default what is usual for the mode.
///     bits: The bits of a number; by default what is usual for the mode.
///     mode: The format: ``"affine"``, ``"mxfp4"``, ``"mxfp8"`` or ``"nvfp4"``.
///     global_scale: A scale for the whole array, for ``"nvfp4"``.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.dequantize(*mx.quantize(mx.ones((4, 64)))).shape
///     (4, 64)
#[pyfunction]
#[pyo3(signature = (w, /, scales, biases=None, group_size=None, bits=None, mode="affine",
    global_scale=None, dtype=None, *, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn dequantize(
    w: Input,
    scales: Input,
    biases: Option<Input>,
    group_size: Option<usize>,
    bits: Option<usize>,
    mode: &str,
    global_scale: Option<Input>,
    dtype: Option<PyDtype>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let packed = Quantized {
        codes: w.0,
        scales: scales.0,
        biases: biases.map(|Input(biases)| biases),
        global_scale: global_scale.map(|Input(scale)| scale),
        scheme: scheme(mode, group_size, bits)?,
    };
    made(stream, || packed.dequantize(dtype.map(Into::into)))
}

/// The matrix product with a packed matrix, by default transposed, which is never unpacked whole.
///
/// Args:
///     x: An array.
///     w: Packed codes, ``uint32``.
///     scales: The scales of groups.
///     biases: The biases of groups, for ``"affine"``.
///     transpose: Whether the packed matrix is transposed.
///     group_size: How many neighbours share a scale; by default what is usual for the mode.
///     bits: The bits of a number; by default what is usual for the mode.
///     mode: The format: ``"affine"``, ``"mxfp4"``, ``"mxfp8"`` or ``"nvfp4"``.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.quantized_matmul(mx.ones((2, 64)), *mx.quantize(mx.ones((4, 64)))).shape
///     (2, 4)
#[pyfunction]
#[pyo3(signature = (x, w, /, scales, biases=None, transpose=true, group_size=None, bits=None,
    mode="affine", *, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn quantized_matmul(
    x: Input,
    w: Input,
    scales: Input,
    biases: Option<Input>,
    transpose: bool,
    group_size: Option<usize>,
    bits: Option<usize>,
    mode: &str,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let packed = Quantized {
        codes: w.0,
        scales: scales.0,
        biases: biases.map(|Input(biases)| biases),
        global_scale: None,
        scheme: scheme(mode, group_size, bits)?,
    };
    made(stream, || x.0.quantized_matmul(&packed, transpose))
}

/// Matrix products with chosen ones of several packed matrices.
///
/// Args:
///     x: An array.
///     w: Packed codes, ``uint32``.
///     scales: The scales of groups.
///     biases: The biases of groups, for ``"affine"``.
///     lhs_indices: Which matrices of the left side.
///     rhs_indices: Which matrices of the right side.
///     transpose: Whether the packed matrix is transposed.
///     group_size: How many neighbours share a scale; by default what is usual for the mode.
///     bits: The bits of a number; by default what is usual for the mode.
///     mode: The format: ``"affine"``, ``"mxfp4"``, ``"mxfp8"`` or ``"nvfp4"``.
///     global_scale: A scale for the whole array, for ``"nvfp4"``.
///     sorted_indices: Has no effect: the kernel finds neighbours that choose the same matrix.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.gather_qmm(mx.ones((2, 1, 64)), *mx.quantize(mx.ones((5, 4, 64))), rhs_indices=mx.array([4, 1])).shape
///     (2, 1, 4)
#[pyfunction]
#[pyo3(signature = (x, w, /, scales, biases=None, lhs_indices=None, rhs_indices=None, transpose=true,
    group_size=None, bits=None, mode="affine", global_scale=None, *, sorted_indices=false, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn gather_qmm(
    x: Input,
    w: Input,
    scales: Input,
    biases: Option<Input>,
    lhs_indices: Option<Input>,
    rhs_indices: Option<Input>,
    transpose: bool,
    group_size: Option<usize>,
    bits: Option<usize>,
    mode: &str,
    global_scale: Option<Input>,
    sorted_indices: bool,
    stream: Option<On>,
) -> PyResult<PyArray> {
    // The kernel finds out by itself which neighbours choose the same matrix.
    let _ = sorted_indices;
    let packed = Quantized {
        codes: w.0,
        scales: scales.0,
        biases: biases.map(|Input(biases)| biases),
        global_scale: global_scale.map(|Input(scale)| scale),
        scheme: scheme(mode, group_size, bits)?,
    };
    let (lhs, rhs) = (array(lhs_indices.as_ref()), array(rhs_indices.as_ref()));
    made(stream, || x.0.gather_qmm(&packed, lhs, rhs, transpose))
}

/// The scales that go together, or none.
fn pair<'a>(
    x: Option<&'a Input>,
    w: Option<&'a Input>,
) -> PyResult<Option<(&'a Array, &'a Array)>> {
    match (array(x), array(w)) {
        (None, None) => Ok(None),
        (Some(x), Some(w)) => Ok(Some((x, w))),
        _ => Err(value_error(
            "[qqmm] global_scale_x and global_scale_w go together",
        )),
    }
}

/// ``x @ w.T`` with both sides rounded to a format of few bits.
///
/// Args:
///     x: An array.
///     w: Weights: an array, or packed codes if there are ``scales``.
///     scales: The scales of groups.
///     group_size: How many neighbours share a scale; by default what is usual for the mode.
///     bits: The bits of a number; by default what is usual for the mode.
///     mode: The format: ``"affine"``, ``"mxfp4"``, ``"mxfp8"`` or ``"nvfp4"``.
///     global_scale_x: A scale for all of ``x``, for ``"nvfp4"``.
///     global_scale_w: A scale for all of ``w``, for ``"nvfp4"``.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.qqmm(mx.ones((2, 32)), mx.ones((3, 32)), mode="mxfp8").shape
///     (2, 3)
#[pyfunction]
#[pyo3(signature = (x, w, scales=None, group_size=None, bits=None, mode="nvfp4", global_scale_x=None,
    global_scale_w=None, *, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn qqmm(
    x: Input,
    w: Input,
    scales: Option<Input>,
    group_size: Option<usize>,
    bits: Option<usize>,
    mode: &str,
    global_scale_x: Option<Input>,
    global_scale_w: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let scheme = scheme(mode, group_size, bits)?;
    let global = pair(global_scale_x.as_ref(), global_scale_w.as_ref())?;
    let packed = packed_weights(&w, scales, global, scheme);
    let weights = packed
        .as_ref()
        .map_or(QqmmWeights::Plain(&w.0), QqmmWeights::Packed);
    made(stream, || x.0.qqmm(weights, scheme, global))
}

fn packed_weights(
    w: &Input,
    scales: Option<Input>,
    global: Option<(&Array, &Array)>,
    scheme: Quantization,
) -> Option<Quantized> {
    scales.map(|Input(scales)| Quantized {
        codes: w.0.clone(),
        scales,
        biases: None,
        global_scale: global.map(|(_, scale)| scale.clone()),
        scheme,
    })
}

/// :func:`qqmm` of chosen matrices.
///
/// Args:
///     x: An array.
///     w: Weights: an array, or packed codes if there are ``scales``.
///     scales: The scales of groups.
///     lhs_indices: Which matrices of the left side.
///     rhs_indices: Which matrices of the right side.
///     group_size: How many neighbours share a scale; by default what is usual for the mode.
///     bits: The bits of a number; by default what is usual for the mode.
///     mode: The format: ``"affine"``, ``"mxfp4"``, ``"mxfp8"`` or ``"nvfp4"``.
///     global_scale_x: A scale for all of ``x``, for ``"nvfp4"``.
///     global_scale_w: A scale for all of ``w``, for ``"nvfp4"``.
///     sorted_indices: Has no effect: the kernel finds neighbours that choose the same matrix.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.gather_qqmm(mx.ones((2, 1, 32)), mx.ones((4, 3, 32)), rhs_indices=mx.array([3, 0]), mode="mxfp8").shape
///     (2, 1, 3)
#[pyfunction]
#[pyo3(signature = (x, w, /, scales=None, lhs_indices=None, rhs_indices=None, group_size=None, bits=None,
    mode="nvfp4", global_scale_x=None, global_scale_w=None, *, sorted_indices=false, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn gather_qqmm(
    x: Input,
    w: Input,
    scales: Option<Input>,
    lhs_indices: Option<Input>,
    rhs_indices: Option<Input>,
    group_size: Option<usize>,
    bits: Option<usize>,
    mode: &str,
    global_scale_x: Option<Input>,
    global_scale_w: Option<Input>,
    sorted_indices: bool,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let _ = sorted_indices;
    let scheme = scheme(mode, group_size, bits)?;
    let global = pair(global_scale_x.as_ref(), global_scale_w.as_ref())?;
    let packed = packed_weights(&w, scales, global, scheme);
    let weights = packed
        .as_ref()
        .map_or(QqmmWeights::Plain(&w.0), QqmmWeights::Packed);
    let (lhs, rhs) = (array(lhs_indices.as_ref()), array(rhs_indices.as_ref()));
    made(stream, || {
        x.0.gather_qqmm(weights, lhs, rhs, scheme, global)
    })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; quantize, dequantize, quantized_matmul, gather_qmm, qqmm, gather_qqmm);
    Ok(())
}
