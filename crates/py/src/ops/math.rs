//! Owns scalar math with parameters, and choosing by a condition.

use olivine::{Array, Dtype, Finite, Tolerance};
use pyo3::{prelude::*, types::PyList};

use super::{functions, shape::list};
use crate::{
    arg::{Input, Operand, made},
    array::PyArray,
    device::On,
    error::{OrRaise, value_error},
};

/// Chooses elementwise between two arrays by a condition.
///
/// Args:
///     condition: Truth values.
///     x: What is chosen where the condition is true.
///     y: What is chosen elsewhere.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.where(mx.array([True, False]), 1.0, 2.0)
///     array([1, 2], dtype=float32)
#[pyfunction]
#[pyo3(signature = (condition, x, y, /, *, stream=None))]
#[pyo3(name = "where")]
fn choose(condition: Operand, x: Operand, y: Operand, stream: Option<On>) -> PyResult<PyArray> {
    let condition = condition.alone()?;
    let (x, y) = x.pair(y)?;
    made(stream, || condition.select(&x, &y))
}

/// Keeps elements within bounds, of which one may be ``None``.
///
/// Args:
///     a: An array.
///     a_min: The lower bound, or ``None``.
///     a_max: The upper bound, or ``None``.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.clip(mx.array([-1.0, 0.5, 2.0]), 0, 1)
///     array([0, 0.5, 1], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, a_min, a_max, *, stream=None))]
fn clip(
    a: Input,
    a_min: Option<Operand>,
    a_max: Option<Operand>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let dtype = a.0.dtype();
    let bound = |bound: Option<Operand>| bound.map(|bound| bound.beside(dtype)).transpose();
    let (low, high) = (bound(a_min)?, bound(a_max)?);
    made(stream, || match (&low, &high) {
        (Some(low), Some(high)) => a.0.clip(low, high),
        (Some(low), None) => a.0.maximum(low),
        (None, Some(high)) => a.0.minimum(high),
        (None, None) => Ok(a.0.clone()),
    })
    .and_then(|array| match (low, high) {
        (None, None) => Err(value_error("At most one of a_min and a_max may be None")),
        _ => Ok(array),
    })
}

/// The nearest number with so many decimals; ties go to the even one.
///
/// Args:
///     a: An array.
///     decimals: The number of decimals; tens if negative.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.round(mx.array([1.25, 2.75]), decimals=1)
///     array([1.2, 2.8], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, decimals=0, stream=None))]
fn round(a: Input, decimals: i32, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || rounded(&a.0, decimals))
}

pub(crate) fn rounded(a: &Array, decimals: i32) -> olivine::Result<Array> {
    let dtype = a.dtype();
    if decimals == 0 {
        return a.round();
    }
    if dtype.is_integer() || dtype == Dtype::Bool {
        if decimals > 0 {
            return Ok(a.clone());
        }
        let scale = 10f32.powi(-decimals);
        return a.divide(scale)?.round()?.multiply(scale)?.astype(dtype);
    }
    let scale = 10f64.powi(decimals.abs());
    if decimals > 0 {
        a.multiply(scale)?.round()?.divide(scale)
    } else {
        a.divide(scale)?.round()?.multiply(scale)
    }
}

/// The array itself.
///
/// Args:
///     a: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.positive(mx.array([-1, 2]))
///     array([-1, 2], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, /, *, stream=None))]
fn positive(a: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.positive())
}

/// The quotient rounded down, and the remainder.
///
/// Args:
///     a: An array.
///     b: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.divmod(mx.array([7, -7]), 2)[1]
///     array([1, 1], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, b, stream=None))]
fn divmod(
    py: Python<'_>,
    a: Operand,
    b: Operand,
    stream: Option<On>,
) -> PyResult<Bound<'_, PyList>> {
    let (a, b) = a.pair(b)?;
    let (quotient, remainder) = stream.unwrap_or_default().run(|| a.divmod(&b)).or_raise()?;
    // Neither has a gradient here; `remainder` has one.
    let (quotient, remainder) = (
        olivine::stop_gradient(&quotient).or_raise()?,
        olivine::stop_gradient(&remainder).or_raise()?,
    );
    list(py, [quotient, remainder])
}

/// Finite numbers in place of NaN and the infinities.
///
/// Args:
///     a: An array.
///     nan: What takes the place of NaN.
///     posinf: What takes the place of infinity; by default the greatest number.
///     neginf: What takes the place of negative infinity; by default the least number.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.nan_to_num(mx.array([1.0, float("nan")]))
///     array([1, 0], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, nan=0.0, posinf=None, neginf=None, *, stream=None))]
fn nan_to_num(
    a: Input,
    nan: f64,
    posinf: Option<f64>,
    neginf: Option<f64>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let finite = Finite {
        nan,
        positive: posinf,
        negative: neginf,
    };
    made(stream, || a.0.nan_to_num(finite))
}

/// True where two arrays are nearly equal.
///
/// Args:
///     a: An array.
///     b: An array.
///     rtol: The relative tolerance.
///     atol: The absolute tolerance.
///     equal_nan: Whether NaN equals NaN.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.isclose(mx.array([1.0, 2.0]), mx.array([1.0, 2.1]))
///     array([True, False], dtype=bool)
#[pyfunction]
#[pyo3(signature = (a, b, /, rtol=1e-5, atol=1e-8, *, equal_nan=false, stream=None), text_signature = "(a, b, /, rtol=1e-5, atol=1e-8, *, equal_nan=False, stream=None)")]
fn isclose(
    a: Operand,
    b: Operand,
    rtol: f64,
    atol: f64,
    equal_nan: bool,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let tolerance = Tolerance {
        relative: rtol,
        absolute: atol,
        equal_nan,
    };
    let (a, b) = a.pair(b)?;
    made(stream, || a.isclose(&b, tolerance))
}

/// True if all elements of two arrays are nearly equal.
///
/// Args:
///     a: An array.
///     b: An array.
///     rtol: The relative tolerance.
///     atol: The absolute tolerance.
///     equal_nan: Whether NaN equals NaN.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.allclose(mx.array([1.0]), mx.array([1.0 + 1e-7]))
///     array(True, dtype=bool)
#[pyfunction]
#[pyo3(signature = (a, b, /, rtol=1e-5, atol=1e-8, *, equal_nan=false, stream=None), text_signature = "(a, b, /, rtol=1e-5, atol=1e-8, *, equal_nan=False, stream=None)")]
fn allclose(
    a: Operand,
    b: Operand,
    rtol: f64,
    atol: f64,
    equal_nan: bool,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let tolerance = Tolerance {
        relative: rtol,
        absolute: atol,
        equal_nan,
    };
    let (a, b) = a.pair(b)?;
    made(stream, || a.allclose(&b, tolerance))
}

/// True if two arrays have the same shape and elements.
///
/// Args:
///     a: An array.
///     b: An array.
///     equal_nan: Whether NaN equals NaN.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.array_equal(mx.array([1, 2]), mx.array([1, 3]))
///     array(False, dtype=bool)
#[pyfunction]
#[pyo3(signature = (a, b, equal_nan=false, stream=None))]
fn array_equal(a: Operand, b: Operand, equal_nan: bool, stream: Option<On>) -> PyResult<PyArray> {
    let (a, b) = a.pair(b)?;
    made(stream, || a.array_equal(&b, equal_nan))
}

/// The Walsh-Hadamard transform of the last axis.
///
/// Args:
///     a: An array.
///     scale: A factor; by default one over the root of the size.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.hadamard_transform(mx.array([1.0, 1.0, 0.0, 0.0]))
///     array([1, 0, 1, 0], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, scale=None, stream=None))]
fn hadamard_transform(a: Input, scale: Option<f32>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.hadamard_transform(scale))
}

/// The same values, through which no gradient flows.
///
/// Args:
///     a: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.grad(lambda x: x * mx.stop_gradient(x))(mx.array(3.0))
///     array(3, dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, *, stream=None))]
fn stop_gradient(a: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || olivine::stop_gradient(&a.0))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; choose, clip, round, positive, divmod, nan_to_num, isclose, allclose, array_equal,
        hadamard_transform, stop_gradient);
    Ok(())
}
