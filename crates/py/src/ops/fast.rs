//! Owns `fast`: fused building blocks of neural networks.

use olivine::fast::{
    self, AttentionMask, AttentionOptions, GatedDelta, RopeFrequencies, RopeOffset, RopeOptions,
};
use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};

use super::{functions, metal_kernel, shape::list};
use crate::{
    arg::{Input, Operand, made},
    array::PyArray,
    device::On,
    error::{OrRaise, value_error},
};

/// The cross entropy of logits with the indices of classes.
///
/// Args:
///     logits: An array of shape ``(..., classes)``.
///     targets: Integers of shape ``(...)``.
///     stream: Where to compute it.
///
/// Returns:
///     An array of shape ``(...)``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fast.cross_entropy(mx.zeros((1, 2)), mx.array([0]))
///     array([0.693147], dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, targets, *, stream=None))]
fn cross_entropy(logits: Input, targets: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || fast::cross_entropy(&logits.0, &targets.0))
}

/// What queries read from a memory that fades and is corrected step by step, and the last state.
///
/// Args:
///     q: Queries of shape ``(batch, steps, heads, size)``.
///     k: Keys of the same shape.
///     v: Values of shape ``(batch, steps, heads, value_size)``.
///     gamma: What is kept of the state at each step.
///     beta: How far a value is corrected.
///     initial_state: The state before the first step; by default zeros.
///     mask: The steps that count.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fast.gated_delta_update(*[mx.ones((1, 1, 1, 1))] * 3, *[mx.ones((1, 1, 1))] * 2)[0].item()
///     1.0
#[pyfunction]
#[pyo3(signature = (q, k, v, gamma, beta, initial_state=None, mask=None, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn gated_delta_update(
    py: Python<'_>,
    q: Input,
    k: Input,
    v: Input,
    gamma: Input,
    beta: Input,
    initial_state: Option<Input>,
    mask: Option<Input>,
    stream: Option<On>,
) -> PyResult<Bound<'_, PyList>> {
    let gates = GatedDelta {
        gamma: &gamma.0,
        beta: &beta.0,
        state: initial_state.as_ref().map(|state| &state.0),
        mask: mask.as_ref().map(|mask| &mask.0),
    };
    let run = || fast::gated_delta_update(&q.0, &k.0, &v.0, &gates);
    let (read, state) = stream.unwrap_or_default().run(run).or_raise()?;
    list(py, [read, state])
}

/// Shifts and scales the last axis to mean zero and variance one.
///
/// Args:
///     x: An array of shape ``(..., n)``.
///     weight: A vector of ``n`` factors, or ``None``.
///     bias: A vector of ``n`` summands, or ``None``.
///     eps: What is added to the variance.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fast.layer_norm(mx.array([1.0, 3.0]), None, None, 0.0)
///     array([-1, 1], dtype=float32)
#[pyfunction]
#[pyo3(signature = (x, weight, bias, eps, *, stream=None))]
fn layer_norm(
    x: Input,
    weight: Option<Input>,
    bias: Option<Input>,
    eps: f32,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let (weight, bias) = (weight.as_ref().map(|w| &w.0), bias.as_ref().map(|b| &b.0));
    made(stream, || fast::layer_norm(&x.0, weight, bias, eps))
}

/// Divides the last axis by the root of its mean square.
///
/// Args:
///     x: An array of shape ``(..., n)``.
///     weight: A vector of ``n`` factors, or ``None``.
///     eps: What is added to the mean square.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fast.rms_norm(mx.array([3.0, 4.0]), None, 0.0)
///     array([0.848528, 1.13137], dtype=float32)
#[pyfunction]
#[pyo3(signature = (x, weight, eps, *, stream=None))]
fn rms_norm(x: Input, weight: Option<Input>, eps: f32, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || {
        fast::rms_norm(&x.0, weight.as_ref().map(|w| &w.0), eps)
    })
}

/// Turns pairs of elements by angles that grow with their position.
///
/// Args:
///     a: An array of shape ``(..., positions, n)``.
///     dims: How many elements of the last axis turn.
///     traditional: True if pairs are neighbours, false if they are half of ``dims`` apart.
///     base: The base of the speeds, or ``None`` if there are ``freqs``.
///     scale: What positions are multiplied by.
///     offset: The position of the first row, or a vector with one for each of the first axis.
///     freqs: For each pair, how many positions make one radian.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fast.rope(mx.ones((1, 4, 8)), 8, traditional=False, base=10000.0, scale=1.0, offset=0).shape
///     (1, 4, 8)
#[pyfunction]
#[pyo3(signature = (a, dims, *, traditional, base, scale, offset, freqs=None, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn rope(
    a: Input,
    dims: i64,
    traditional: bool,
    base: Option<f32>,
    scale: f32,
    offset: Operand,
    freqs: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let frequencies = match (base, freqs) {
        (None, None) => return Err(value_error("[rope] Neither base nor freqs has a value.")),
        (Some(_), Some(_)) => {
            return Err(value_error(
                "[rope] Only one of base or freqs can have a value.",
            ));
        }
        (Some(base), None) => RopeFrequencies::Base(base),
        (None, Some(Input(freqs))) => RopeFrequencies::Wavelengths(freqs),
    };
    let offset = match offset {
        Operand::Int(offset) => RopeOffset::At(i32::try_from(offset).map_err(|_| {
            value_error(format!(
                "[rope] the offset {offset} does not fit in 32 bits"
            ))
        })?),
        other => RopeOffset::Each(other.alone()?),
    };
    let dims = usize::try_from(dims)
        .ok()
        .filter(|&dims| dims > 0)
        .ok_or_else(|| value_error(format!("[rope] dims must be positive but got {dims}.")))?;
    let options = RopeOptions {
        dims,
        traditional,
        frequencies,
        scale,
        offset,
    };
    made(stream, || fast::rope(&a.0, &options))
}

/// Means of values, weighted by the softmax of scaled dot products of queries and keys.
///
/// Args:
///     q: Queries of shape ``(batch, heads, queries, size)``.
///     k: Keys of shape ``(batch, key_heads, keys, size)``; heads are a multiple of key heads.
///     v: Values of shape ``(batch, key_heads, keys, value_size)``.
///     scale: What dot products are multiplied by.
///     mask: ``"causal"``, or an array that broadcasts to ``(batch, heads, queries, keys)``: where a
///         ``bool_`` is true a key is seen, other dtypes are added to the scores.
///     sinks: For each head a score that takes part in the softmax but has no value.
///     force_fused: Has no effect: there is one kernel for all shapes.
///     stream: Where to compute it.
///
/// Returns:
///     An array of shape ``(batch, heads, queries, value_size)``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fast.scaled_dot_product_attention(*[mx.ones((1, 2, 3, 4))] * 3, scale=0.5, mask="causal").shape
///     (1, 2, 3, 4)
#[pyfunction]
#[pyo3(signature = (q, k, v, *, scale, mask=None, sinks=None, force_fused=false, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn scaled_dot_product_attention(
    q: Input,
    k: Input,
    v: Input,
    scale: f32,
    mask: Option<&Bound<'_, PyAny>>,
    sinks: Option<Input>,
    force_fused: bool,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let _ = force_fused;
    let array;
    let mask = match mask {
        None => AttentionMask::None,
        Some(mask) => match mask.extract::<String>() {
            Ok(name) if name == "causal" => AttentionMask::Causal,
            Ok(name) if name.is_empty() => AttentionMask::None,
            Ok(name) => {
                return Err(value_error(format!(
                    "[scaled_dot_product_attention] Invalid mask type '{name}': it is 'causal' or an array."
                )));
            }
            Err(_) => {
                array = mask.extract::<Input>()?.0;
                AttentionMask::Array(&array)
            }
        },
    };
    let options = AttentionOptions {
        scale,
        mask,
        sinks: sinks.as_ref().map(|sinks| &sinks.0),
    };
    made(stream, || {
        fast::scaled_dot_product_attention(&q.0, &k.0, &v.0, &options)
    })
}

macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident $device:literal $text:literal;)*) => {$(
        $(#[$doc])*
        #[pyfunction]
        #[pyo3(signature = (*args, **kwargs), text_signature = $text)]
        fn $name(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
            let _ = (args, kwargs);
            Err(PyRuntimeError::new_err(concat!(
                "[", stringify!($name), "] No ", $device, " back-end."
            )))
        }
    )*};
}

kernels! {
    /// A kernel in CUDA's language; an error where there is no CUDA device.
    cuda_kernel "CUDA" "(name, input_names, output_names, source, header='', ensure_row_contiguous=True, \
        shared_memory=0)";
    /// A compiled CUDA kernel; an error where there is no CUDA device.
    precompiled_cuda_kernel "CUDA" "(*, name, compiled_source, inputs, output_shapes, output_dtypes, scalars, \
        grid, threadgroup, shared_memory=0, init_value=None, ensure_row_contiguous=False, stream=None)";
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; cross_entropy, gated_delta_update, layer_norm, rms_norm, rope,
        scaled_dot_product_attention, cuda_kernel, precompiled_cuda_kernel);
    metal_kernel::register(module)?;
    Ok(())
}
