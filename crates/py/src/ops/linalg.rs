//! Owns `linalg`: decompositions, solutions and norms.

use olivine::linalg::{self, Order, Triangle};
use pyo3::{prelude::*, types::PyTuple};

use super::{functions, shape::tuple};
use crate::{
    arg::{Input, Ints, axes as all_or, made},
    array::PyArray,
    device::On,
    error::{OrRaise, value_error},
};

macro_rules! of_one {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[pyfunction]
        #[pyo3(signature = (a, *, stream=None))]
        fn $name(a: Input, stream: Option<On>) -> PyResult<PyArray> {
            made(stream, || linalg::$name(&a.0))
        }
    )*};
}

of_one! {
    /// The determinants of square matrices.
    ///
    /// Args:
    ///     a: Square matrices, of shape ``(..., n, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.det(mx.array([[1.0, 2.0], [3.0, 4.0]]))
    ///     array(-2, dtype=float32)
    det;
    /// The eigenvalues of square matrices, ``complex64``.
    ///
    /// Args:
    ///     a: Square matrices, of shape ``(..., n, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.eigvals(mx.array([[2.0, 0.0], [0.0, 2.0]]))
    ///     array([2+0j, 2+0j], dtype=complex64)
    eigvals;
    /// The inverses of square matrices.
    ///
    /// Args:
    ///     a: Square matrices, of shape ``(..., n, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.inv(mx.array([[2.0, 0.0], [0.0, 4.0]]))
    ///     array([[0.5, 0],
    ///            [0, 0.25]], dtype=float32)
    inv;
    /// The pseudo-inverses of matrices.
    ///
    /// Args:
    ///     a: Matrices, of shape ``(..., m, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.pinv(mx.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])).shape
    ///     (2, 3)
    pinv;
}

macro_rules! of_triangles {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[pyfunction]
        #[pyo3(signature = (a, upper=false, *, stream=None))]
        fn $name(a: Input, upper: bool, stream: Option<On>) -> PyResult<PyArray> {
            made(stream, || linalg::$name(&a.0, upper))
        }
    )*};
}

of_triangles! {
    /// The Cholesky factors of positive definite matrices.
    ///
    /// Args:
    ///     a: Matrices of shape ``(..., n, n)``.
    ///     upper: Works with the upper triangle instead of the lower one.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.cholesky(mx.array([[4.0, 0.0], [0.0, 9.0]]))
    ///     array([[2, 0],
    ///            [0, 3]], dtype=float32)
    cholesky;
    /// The inverses of matrices, from their Cholesky factors.
    ///
    /// Args:
    ///     a: Matrices of shape ``(..., n, n)``.
    ///     upper: Works with the upper triangle instead of the lower one.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.cholesky_inv(mx.array([[2.0, 0.0], [0.0, 4.0]]))
    ///     array([[0.25, 0],
    ///            [0, 0.0625]], dtype=float32)
    cholesky_inv;
    /// The inverses of triangular matrices.
    ///
    /// Args:
    ///     a: Matrices of shape ``(..., n, n)``.
    ///     upper: Works with the upper triangle instead of the lower one.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.tri_inv(mx.array([[2.0, 0.0], [0.0, 4.0]]))
    ///     array([[0.5, 0],
    ///            [0, 0.25]], dtype=float32)
    tri_inv;
}

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident ($($part:ident),*);)*) => {$(
        $(#[$doc])*
        #[pyfunction]
        #[pyo3(signature = (a, *, stream=None))]
        fn $name(
            py: Python<'_>,
            a: Input,
            stream: Option<On>,
        ) -> PyResult<Bound<'_, PyTuple>> {
            let ($($part),*) =
                stream.unwrap_or_default().run(|| linalg::$name(&a.0)).or_raise()?;
            tuple(py, [$($part),*])
        }
    )*};
}

parts! {
    /// The eigenvalues and right eigenvectors of square matrices, ``complex64``.
    ///
    /// Args:
    ///     a: Square matrices, of shape ``(..., n, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.eig(mx.array([[2.0, 0.0], [0.0, 2.0]]))[0]
    ///     array([2+0j, 2+0j], dtype=complex64)
    eig(values, vectors);
    /// The order of rows, and the lower and upper triangular factors of matrices.
    ///
    /// Args:
    ///     a: Matrices, of shape ``(..., m, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.lu(mx.array([[1.0, 2.0], [3.0, 4.0]]))[0]
    ///     array([1, 0], dtype=uint32)
    lu(order, lower, upper);
    /// The triangular factors of matrices in one, and the exchanges of rows.
    ///
    /// Args:
    ///     a: Matrices, of shape ``(..., m, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.lu_factor(mx.array([[1.0, 2.0], [3.0, 4.0]]))[0].shape
    ///     (2, 2)
    lu_factor(factors, exchanges);
    /// An orthonormal basis and a triangle whose product is the matrix.
    ///
    /// Args:
    ///     a: Matrices, of shape ``(..., m, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.qr(mx.ones((3, 2)))[1].shape
    ///     (2, 2)
    qr(q, r);
    /// The signs of determinants and the logarithms of their magnitudes.
    ///
    /// Args:
    ///     a: Square matrices, of shape ``(..., n, n)``.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.linalg.slogdet(mx.array([[1.0, 2.0], [3.0, 4.0]]))[0]
    ///     array(-1, dtype=float32)
    slogdet(sign, logarithm);
}

fn triangle(name: &str) -> PyResult<Triangle> {
    match name {
        "L" | "l" => Ok(Triangle::Lower),
        "U" | "u" => Ok(Triangle::Upper),
        _ => Err(value_error(format!(
            "[linalg] UPLO is 'L' or 'U', not '{name}'"
        ))),
    }
}

/// The eigenvalues of symmetric or Hermitian matrices, ascending, and their eigenvectors.
///
/// Args:
///     a: An array.
///     UPLO: Which triangle is read: ``"L"`` or ``"U"``.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.linalg.eigh(mx.array([[2.0, 0.0], [0.0, 1.0]]))[0]
///     array([1, 2], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, UPLO="L", *, stream=None))]
#[expect(non_snake_case, reason = "the name that Python sees")]
fn eigh<'py>(
    py: Python<'py>,
    a: Input,
    UPLO: &str,
    stream: Option<On>,
) -> PyResult<Bound<'py, PyTuple>> {
    let triangle = triangle(UPLO)?;
    let run = || linalg::eigh(&a.0, triangle);
    let (values, vectors) = stream.unwrap_or_default().run(run).or_raise()?;
    tuple(py, [values, vectors])
}

/// The eigenvalues of symmetric or Hermitian matrices, ascending.
///
/// Args:
///     a: An array.
///     UPLO: Which triangle is read: ``"L"`` or ``"U"``.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.linalg.eigvalsh(mx.array([[2.0, 0.0], [0.0, 1.0]]))
///     array([1, 2], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, UPLO="L", *, stream=None))]
#[expect(non_snake_case, reason = "the name that Python sees")]
fn eigvalsh(a: Input, UPLO: &str, stream: Option<On>) -> PyResult<PyArray> {
    let triangle = triangle(UPLO)?;
    made(stream, || linalg::eigvalsh(&a.0, triangle))
}

/// Singular values, descending, with orthonormal vectors on both sides unless ``compute_uv`` is false.
///
/// Args:
///     a: An array.
///     compute_uv: Whether vectors are computed.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.linalg.svd(mx.array([[2.0, 0.0], [0.0, 1.0]]), compute_uv=False)
///     array([2, 1], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, compute_uv=true, *, stream=None))]
fn svd(
    py: Python<'_>,
    a: Input,
    compute_uv: bool,
    stream: Option<On>,
) -> PyResult<Bound<'_, PyAny>> {
    if !compute_uv {
        let values = made(stream, || linalg::svdvals(&a.0))?;
        return Ok(Bound::new(py, values)?.into_any());
    }
    let (u, s, vt) = stream
        .unwrap_or_default()
        .run(|| linalg::svd(&a.0))
        .or_raise()?;
    Ok(tuple(py, [u, s, vt])?.into_any())
}

/// The cross product of vectors of two or three numbers along an axis.
///
/// Args:
///     a: An array.
///     b: An array.
///     axis: The axis of the vectors.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.linalg.cross(mx.array([1.0, 0.0, 0.0]), mx.array([0.0, 1.0, 0.0]))
///     array([0, 0, 1], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, axis=-1, *, stream=None), text_signature = "(a, b, axis=-1, *, stream=None)")]
fn cross(a: Input, b: Input, axis: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || linalg::cross(&a.0, &b.0, axis))
}

/// The solution of systems of linear equations.
///
/// Args:
///     a: An array.
///     b: The right-hand sides, a vector or columns of a matrix.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.linalg.solve(mx.array([[2.0, 0.0], [0.0, 4.0]]), mx.array([2.0, 2.0]))
///     array([1, 0.5], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, *, stream=None))]
fn solve(a: Input, b: Input, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || linalg::solve(&a.0, &b.0))
}

/// The solution of systems of linear equations with triangular matrices.
///
/// Args:
///     a: An array.
///     b: The right-hand sides, a vector or columns of a matrix.
///     upper: Works with the upper triangle instead of the lower one.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.linalg.solve_triangular(mx.array([[2.0, 0.0], [1.0, 1.0]]), mx.array([2.0, 3.0]))
///     array([1, 2], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, *, upper=false, stream=None))]
fn solve_triangular(a: Input, b: Input, upper: bool, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || linalg::solve_triangular(&a.0, &b.0, upper))
}

/// Norms of vectors and matrices.
///
/// Args:
///     a: The array.
///     ord: The order of the norm, ``"fro"`` or ``"nuc"``; by default the Euclidean norm.
///     axis: The axis of vectors, or the two axes of matrices; by default all.
///     keepdims: Keeps these axes, with size one.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.linalg.norm(mx.array([3.0, 4.0]))
///     array(5, dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, ord=None, axis=None, keepdims=false, *, stream=None))]
fn norm(
    a: Input,
    ord: Option<&Bound<'_, PyAny>>,
    axis: Option<Ints>,
    keepdims: bool,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let order = match ord {
        None => Order::Euclidean,
        Some(ord) => match ord.extract::<f64>() {
            Ok(order) => Order::P(order),
            Err(_) => match ord.extract::<String>()?.as_str() {
                "f" | "fro" => Order::Frobenius,
                "nuc" => Order::Nuclear,
                other => {
                    return Err(value_error(format!(
                        "[linalg.norm] Invalid ord value '{other}'."
                    )));
                }
            },
        },
    };
    made(stream, || linalg::norm(&a.0, order, all_or(axis, keepdims)))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; det, eigvals, inv, pinv, cholesky, cholesky_inv, tri_inv, eig, lu, lu_factor, qr,
        slogdet, eigh, eigvalsh, svd, cross, solve, solve_triangular, norm);
    Ok(())
}
