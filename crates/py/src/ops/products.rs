//! Owns products of vectors and matrices, and Einstein summation.

use olivine::ops::block_masked_mm::BlockMasks;
use pyo3::{prelude::*, types::PyList};

use super::{functions, shape::plain};
use crate::{
    arg::{Input, Ints, Operand, binary, bounded, made},
    array::PyArray,
    device::On,
    error::{OrRaise, value_error},
};

/// The product of matrices in the last two axes; leading axes are broadcast.
///
/// Args:
///     a: An array.
///     b: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.matmul(mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([[1.0, 2.0], [3.0, 4.0]]))
///     array([[7, 10],
///            [15, 22]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, /, *, stream=None))]
fn matmul(a: Operand, b: Operand, stream: Option<On>) -> PyResult<PyArray> {
    binary(a, b, stream, |a, b| a.matmul(b))
}

/// ``alpha * (a @ b) + beta * c``.
///
/// Args:
///     c: What is added.
///     a: The left matrix.
///     b: The right matrix.
///     alpha: The factor of the product.
///     beta: How far a value is corrected.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.addmm(mx.ones((2, 2)), mx.ones((2, 3)), mx.ones((3, 2)))
///     array([[4, 4],
///            [4, 4]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (c, a, b, /, alpha=1.0, beta=1.0, *, stream=None))]
fn addmm(
    c: Input,
    a: Input,
    b: Input,
    alpha: f32,
    beta: f32,
    stream: Option<On>,
) -> PyResult<PyArray> {
    made(stream, || c.0.addmm(&a.0, &b.0, alpha, beta))
}

/// Sums of products over the last axes.
///
/// Args:
///     a: An array.
///     b: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.inner(mx.array([1.0, 2.0, 3.0]), mx.array([1.0, 2.0, 3.0]))
///     array(14, dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, /, *, stream=None))]
fn inner(a: Operand, b: Operand, stream: Option<On>) -> PyResult<PyArray> {
    binary(a, b, stream, olivine::Array::inner)
}

/// Each element of one flattened array times each of another.
///
/// Args:
///     a: An array.
///     b: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.outer(mx.array([1, 2]), mx.array([3, 4]))
///     array([[3, 4],
///            [6, 8]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, b, /, *, stream=None))]
fn outer(a: Operand, b: Operand, stream: Option<On>) -> PyResult<PyArray> {
    binary(a, b, stream, olivine::Array::outer)
}

/// The Kronecker product.
///
/// Args:
///     a: An array.
///     b: An array.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.kron(mx.array([1, 2]), mx.array([1, 1]))
///     array([1, 1, 2, 2], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, b, *, stream=None))]
fn kron(a: Operand, b: Operand, stream: Option<On>) -> PyResult<PyArray> {
    let (a, b) = a.pair(b)?;
    if a.size() == 0 || b.size() == 0 {
        return Err(value_error("[kron] Input arrays cannot be empty."));
    }
    bounded(made(stream, || a.kron(&b)))
}

/// Sums of products along an axis; complex numbers of ``a`` are conjugated.
///
/// Args:
///     a: An array.
///     b: An array.
///     axis: The axis.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.vecdot(mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([[1.0, 2.0], [3.0, 4.0]]))
///     array([5, 25], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, /, *, axis=-1, stream=None), text_signature = "(a, b, /, *, axis=-1, stream=None)")]
fn vecdot(a: Operand, b: Operand, axis: i64, stream: Option<On>) -> PyResult<PyArray> {
    binary(a, b, stream, |a, b| a.vecdot(b, axis))
}

/// Sums of products over pairs of axes: the last of one and the first of the other, or two lists.
///
/// Args:
///     a: An array.
///     b: An array.
///     axes: The number of axes, or two lists of axes.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.tensordot(mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([[1.0, 2.0], [3.0, 4.0]]), axes=1)
///     array([[7, 10],
///            [15, 22]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, /, axes=None, *, stream=None), text_signature = "(a, b, /, axes=2, *, stream=None)")]
fn tensordot(
    a: Operand,
    b: Operand,
    axes: Option<&Bound<'_, PyAny>>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let (left, right) = match axes.map(pyo3::types::PyAnyMethods::extract::<i64>) {
        None => (vec![-2, -1], vec![0, 1]),
        Some(Ok(count)) if count >= 0 => ((-count..0).collect(), (0..count).collect()),
        Some(Ok(count)) => {
            return Err(value_error(format!(
                "[tensordot] axes must be a non-negative number, not {count}."
            )));
        }
        Some(Err(_)) => {
            let lists = axes
                .map(pyo3::types::PyAnyMethods::extract::<Vec<Ints>>)
                .transpose()?;
            match lists.as_deref() {
                Some([Ints(left), Ints(right)]) => (left.to_vec(), right.to_vec()),
                _ => return Err(value_error("[tensordot] axes must be a list of two lists.")),
            }
        }
    };
    binary(a, b, stream, |a, b| a.tensordot(b, &left, &right))
}

/// Sums of products over labelled axes, in the order that costs least.
///
/// Args:
///     subscripts: The labels of each operand's axes, and after ``->`` those of the result.
///     operands: The arrays.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.einsum("ij,j->i", mx.ones((2, 3)), mx.array([1.0, 2.0, 3.0]))
///     array([6, 6], dtype=float32)
#[pyfunction]
#[pyo3(signature = (subscripts, *operands, stream=None))]
fn einsum(subscripts: &str, operands: Vec<Input>, stream: Option<On>) -> PyResult<PyArray> {
    let operands = plain(operands);
    made(stream, || olivine::einsum(subscripts, &operands))
}

/// The order in which :func:`einsum` multiplies, as a list of pairs, and a description of its cost.
///
/// Args:
///     subscripts: The labels of axes.
///     operands: The arrays.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.einsum_path("ij,jk->ik", mx.ones((2, 3)), mx.ones((3, 4)))[0]
///     [(0, 1)]
#[pyfunction]
#[pyo3(signature = (subscripts, *operands))]
fn einsum_path<'py>(
    py: Python<'py>,
    subscripts: &str,
    operands: Vec<Input>,
) -> PyResult<(Bound<'py, PyList>, String)> {
    let path = olivine::einsum_path(subscripts, &plain(operands)).or_raise()?;
    let steps = path
        .contractions
        .iter()
        .map(|step| pyo3::types::PyTuple::new(py, step))
        .collect::<PyResult<Vec<_>>>()?;
    Ok((PyList::new(py, steps)?, path.to_string()))
}

/// The matrix product with blocks masked out.
///
/// Args:
///     a: An array.
///     b: An array.
///     block_size: The size of a block: 32 or 64.
///     mask_out: The mask of the result.
///     mask_lhs: The mask of ``a``.
///     mask_rhs: The mask of ``b``.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.block_masked_mm(mx.ones((32, 32)), mx.ones((32, 32)), 32, mask_out=mx.array([[False]])).sum()
///     array(0, dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, /, block_size=64, mask_out=None, mask_lhs=None, mask_rhs=None, *, stream=None))]
fn block_masked_mm(
    a: Input,
    b: Input,
    block_size: usize,
    mask_out: Option<Input>,
    mask_lhs: Option<Input>,
    mask_rhs: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let masks = BlockMasks {
        out: mask_out.as_ref().map(|mask| &mask.0),
        lhs: mask_lhs.as_ref().map(|mask| &mask.0),
        rhs: mask_rhs.as_ref().map(|mask| &mask.0),
    };
    made(stream, || a.0.block_masked_mm(&b.0, block_size, masks))
}

/// Products of chosen matrices.
///
/// Args:
///     a: An array.
///     b: An array.
///     lhs_indices: Which matrices of the left side.
///     rhs_indices: Which matrices of the right side.
///     sorted_indices: Has no effect: the kernel finds neighbours that choose the same matrix.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.gather_mm(mx.ones((2, 1, 3)), mx.ones((4, 3, 2)), rhs_indices=mx.array([3, 0])).shape
///     (2, 1, 2)
#[pyfunction]
#[pyo3(signature = (a, b, /, lhs_indices=None, rhs_indices=None, *, sorted_indices=false, stream=None))]
fn gather_mm(
    a: Input,
    b: Input,
    lhs_indices: Option<Input>,
    rhs_indices: Option<Input>,
    sorted_indices: bool,
    stream: Option<On>,
) -> PyResult<PyArray> {
    // The kernel finds out by itself which neighbours choose the same matrix.
    let _ = sorted_indices;
    let (lhs, rhs) = (
        lhs_indices.as_ref().map(|indices| &indices.0),
        rhs_indices.as_ref().map(|indices| &indices.0),
    );
    made(stream, || a.0.gather_mm(&b.0, lhs, rhs))
}

/// The matrix products of segments of the inner axis.
///
/// Args:
///     a: An array.
///     b: An array.
///     segments: Pairs of the first position of a segment and the one after its last.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.segmented_mm(mx.ones((1, 4)), mx.ones((4, 1)), mx.array([[0, 1], [1, 4]])).flatten()
///     array([1, 3], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, /, segments, *, stream=None))]
fn segmented_mm(a: Input, b: Input, segments: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || a.0.segmented_mm(&b.0, &segments.0))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; matmul, addmm, inner, outer, kron, vecdot, tensordot, einsum, einsum_path,
        block_masked_mm, gather_mm, segmented_mm);
    Ok(())
}
