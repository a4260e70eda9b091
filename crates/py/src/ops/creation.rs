//! Owns arrays made from nothing: numbers in steps, constants, diagonals, windows.

use olivine::{Array, Dtype, Shape};
use pyo3::{
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::functions;
use crate::{
    arg::{Input, Operand, Sizes, made},
    array::PyArray,
    device::On,
    dtype::PyDtype,
    error::{OrRaise, type_error, value_error},
};

/// The dtype that was given, or the usual one.
fn or_float(dtype: Option<PyDtype>) -> Dtype {
    dtype.map_or(Dtype::Float32, Dtype::from)
}

/// Numbers in even steps, without the end.
///
/// Args:
///     start: The first number, 0 if only ``stop`` is given.
///     stop: The number to stop before.
///     step: The distance from one number to the next.
///     dtype: The dtype; by default ``int32`` if all numbers are whole, else ``float32``.
///     stream: Where to compute it.
///
/// Returns:
///     A vector.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.arange(1, 7, 2)
///     array([1, 3, 5], dtype=int32)
#[pyfunction]
#[pyo3(signature = (*args, **kwargs),
    text_signature = "(start, stop=None, step=None, dtype=None, *, stream=None)")]
fn arange(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<PyArray> {
    let given = Given::of(
        "arange",
        &["start", "stop", "step", "dtype", "stream"],
        args,
        kwargs,
    )?;
    let stream: Option<On> = given.take("stream")?;
    let dtype: Option<PyDtype> = given.take("dtype")?;
    let step = given.take("step")?.unwrap_or(Operand::Int(1)).known()?;
    let (start, stop) = match (
        given.take::<Operand>("start")?,
        given.take::<Operand>("stop")?,
    ) {
        (start, Some(stop)) => (start.unwrap_or(Operand::Int(0)).known()?, stop.known()?),
        // The only number given in its place is the one to stop before.
        (Some(stop), None) if !args.is_empty() => (Operand::Int(0), stop.known()?),
        _ => return Err(type_error("arange() needs a stop")),
    };
    let all = [start, stop, step];
    let whole = |operand: &Operand| match operand {
        Operand::Int(value) => Some(*value),
        Operand::Bool(value) => Some(i64::from(*value)),
        _ => None,
    };
    let integers: Option<Vec<i64>> = all.iter().map(whole).collect();
    let usual = match &integers {
        Some(all) if all.iter().all(|&value| i32::try_from(value).is_ok()) => Dtype::Int32,
        Some(_) => Dtype::Int64,
        None => Dtype::Float32,
    };
    let dtype = dtype.map_or(usual, Dtype::from);
    let mut numbers = [0.0; 3];
    for (number, operand) in numbers.iter_mut().zip(&all) {
        *number = real(operand)?;
    }
    let [start, stop, step] = numbers;
    let count = steps(start, stop, step)?;
    if step.is_infinite() {
        // There is no second number.
        return made(stream, || {
            Array::full([count as usize], start)?.astype(dtype)
        });
    }
    if dtype.is_float() {
        return made(stream, || match dtype {
            Dtype::Float32 => Array::arange(start as f32, stop as f32, step as f32),
            _ => Array::arange(start, stop, step)?.astype(dtype),
        });
    }
    // Whole numbers move by whole steps, however many fractions fit between start and stop.
    let (start, step) = match integers.as_deref() {
        Some(&[start, _, step]) => (start, step),
        _ => (start as i64, (start + step) as i64 - start as i64),
    };
    made(stream, || {
        let places = Array::arange(0, count, 1)?;
        places.multiply(step)?.add(start)?.astype(dtype)
    })
}

/// Arguments by their names.
struct Given<'py>(Vec<(&'static str, Bound<'py, PyAny>)>);

impl<'py> Given<'py> {
    /// Sorts arguments out; all but the last name may be given by position.
    fn of(
        function: &str,
        names: &[&'static str],
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        if args.len() >= names.len() {
            return Err(type_error(format!("{function}() got too many arguments")));
        }
        let mut given: Vec<_> = names.iter().copied().zip(args.iter()).collect();
        for (key, value) in kwargs.iter().flat_map(|kwargs| kwargs.iter()) {
            let key: String = key.extract()?;
            match names.iter().find(|&&name| name == key) {
                Some(name) if given.iter().all(|(other, _)| other != name) => {
                    given.push((name, value));
                }
                Some(_) => return Err(type_error(format!("{function}() got {key} twice"))),
                None => return Err(type_error(format!("{function}() has no argument {key}"))),
            }
        }
        Ok(Given(given))
    }

    /// The value of an argument; `None` if it is not given or is Python's.
    fn take<T>(&self, name: &str) -> PyResult<Option<T>>
    where
        T: for<'a> FromPyObject<'a, 'py>,
    {
        match self
            .0
            .iter()
            .find(|(other, value)| *other == name && !value.is_none())
        {
            Some((_, value)) => value.extract().map(Some).map_err(Into::into),
            None => Ok(None),
        }
    }
}

/// The value of a real number.
fn real(operand: &Operand) -> PyResult<f64> {
    match operand {
        Operand::Int(value) => Ok(*value as f64),
        Operand::Bool(value) => Ok(f64::from(u8::from(*value))),
        Operand::Wide(value) => Ok(*value as f64),
        Operand::Float(value) => Ok(*value),
        Operand::Array(_) | Operand::Foreign(_) | Operand::Complex(_) => {
            Err(type_error("arange() takes real numbers"))
        }
    }
}

/// How many steps lead from the start to before the stop.
fn steps(start: f64, stop: f64, step: f64) -> PyResult<i64> {
    let fail = |why: &str| Err(value_error(format!("[arange] {why}")));
    if start.is_nan() || stop.is_nan() || step.is_nan() || start.is_infinite() || step == 0.0 {
        return fail("Cannot compute length.");
    }
    if stop.is_infinite() {
        return fail("Cannot compute length: it has no end.");
    }
    if step.is_infinite() {
        return Ok(i64::from(start != stop && (stop > start) == (step > 0.0)));
    }
    let count = ((stop - start) / step).ceil();
    if count > f64::from(i32::MAX) {
        return fail("Maximum size exceeded.");
    }
    Ok(count.max(0.0) as i64)
}

/// Evenly spaced numbers, both ends included.
///
/// Args:
///     start: The first number.
///     stop: The last number.
///     num: How many numbers.
///     endpoint: Whether ``stop`` is the last one; otherwise the one after it would be.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.linspace(0, 1, 5)
///     array([0, 0.25, 0.5, 0.75, 1], dtype=float32)
#[pyfunction]
#[pyo3(signature = (start, stop, num=50, endpoint=true, dtype=None, stream=None))]
fn linspace(
    start: f64,
    stop: f64,
    num: i64,
    endpoint: bool,
    dtype: Option<PyDtype>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let count = usize::try_from(num).map_err(|_| {
        value_error(format!(
            "[linspace] number of samples, {num}, must be non-negative."
        ))
    })?;
    let dtype = or_float(dtype);
    made(stream, || {
        if endpoint {
            return Array::linspace(start, stop, count, dtype);
        }
        // One point more, of which the last is left out.
        Array::linspace(start, stop, count + 1, dtype)?.index(..count)
    })
}

/// A number, or the numbers of an array, repeated to fill a shape.
///
/// Args:
///     shape: The sizes of the axes.
///     vals: A number, or an array that broadcasts to the shape.
///     dtype: The type of the elements; by default that of the values.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.full((2, 2), 7)
///     array([[7, 7],
///            [7, 7]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (shape, vals, dtype=None, *, stream=None))]
fn full(
    shape: Sizes,
    vals: Operand,
    dtype: Option<PyDtype>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let dtype = dtype.map_or(vals.dtype(), Dtype::from);
    filled(shape.0, vals, dtype, stream)
}

/// The array with memory for each element: programs write into it through views of NumPy.
fn own(array: Array) -> olivine::Result<Array> {
    if array.size() == 1 {
        return Ok(array);
    }
    array.contiguous()
}

fn filled(shape: Shape, vals: Operand, dtype: Dtype, stream: Option<On>) -> PyResult<PyArray> {
    let vals = match vals {
        // Not by way of `float32`.
        Operand::Float(_) => vals.beside(dtype)?,
        _ => vals.alone()?,
    };
    made(stream, || own(vals.astype(dtype)?.broadcast_to(shape)?))
}

/// A number, or the numbers of an array, in another array's shape.
///
/// Args:
///     a: An array.
///     vals: A number, or an array that broadcasts to the shape.
///     dtype: The type of the elements; by default the array's.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.full_like(mx.array([1.0, 2.0, 3.0]), 0.5)
///     array([0.5, 0.5, 0.5], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, vals, dtype=None, *, stream=None))]
fn full_like(
    a: Input,
    vals: Operand,
    dtype: Option<PyDtype>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let dtype = dtype.map_or(a.0.dtype(), Dtype::from);
    let vals = vals.alone()?;
    made(stream, || own(a.0.filled_like(&vals.astype(dtype)?)?))
}

/// Zeros.
///
/// Args:
///     shape: The sizes of the axes.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.zeros((2, 2))
///     array([[0, 0],
///            [0, 0]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, *, stream=None))]
fn zeros(shape: Sizes, dtype: Option<PyDtype>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || own(Array::zeros(shape.0, or_float(dtype))?))
}

/// Zeros in another array's shape.
///
/// Args:
///     a: An array.
///     dtype: The type of the elements; by default the array's.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.zeros_like(mx.array([1.0, 2.0, 3.0]))
///     array([0, 0, 0], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, dtype=None, *, stream=None))]
fn zeros_like(a: Input, dtype: Option<PyDtype>, stream: Option<On>) -> PyResult<PyArray> {
    let dtype = dtype.map_or(a.0.dtype(), Dtype::from);
    made(stream, || {
        own(a.0.filled_like(&Array::scalar(false).astype(dtype)?)?)
    })
}

/// Ones.
///
/// Args:
///     shape: The sizes of the axes.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.ones((2,), dtype=mx.int32)
///     array([1, 1], dtype=int32)
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, *, stream=None))]
fn ones(shape: Sizes, dtype: Option<PyDtype>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || own(Array::ones(shape.0, or_float(dtype))?))
}

/// Ones in another array's shape.
///
/// Args:
///     a: An array.
///     dtype: The type of the elements; by default the array's.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.ones_like(mx.array([1.0, 2.0, 3.0]))
///     array([1, 1, 1], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, /, dtype=None, *, stream=None))]
fn ones_like(a: Input, dtype: Option<PyDtype>, stream: Option<On>) -> PyResult<PyArray> {
    let dtype = dtype.map_or(a.0.dtype(), Dtype::from);
    made(stream, || {
        own(a.0.filled_like(&Array::scalar(true).astype(dtype)?)?)
    })
}

/// An array to be filled later: zeros.
///
/// Args:
///     shape: The sizes of the axes.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.empty((2,)).shape
///     (2,)
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, *, stream=None))]
fn empty(shape: Sizes, dtype: Option<PyDtype>, stream: Option<On>) -> PyResult<PyArray> {
    zeros(shape, dtype, stream)
}

/// An array of another's shape, to be filled later: zeros.
///
/// Args:
///     a: An array.
///     dtype: The type of the elements; by default the array's.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.empty_like(mx.array([1.0, 2.0, 3.0])).shape
///     (3,)
#[pyfunction]
#[pyo3(signature = (a, /, dtype=None, *, stream=None))]
fn empty_like(a: Input, dtype: Option<PyDtype>, stream: Option<On>) -> PyResult<PyArray> {
    zeros_like(a, dtype, stream)
}

/// The number of rows, which is not negative.
fn count(op: &str, n: i64) -> PyResult<usize> {
    usize::try_from(n)
        .map_err(|_| value_error(format!("[{op}] N and M must be positive integers.")))
}

/// Ones on a diagonal, zeros elsewhere.
///
/// Args:
///     n: The number of rows.
///     m: The number of columns, by default as many as rows.
///     k: Which diagonal: positive above the main one, negative below.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.eye(2)
///     array([[1, 0],
///            [0, 1]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (n, m=None, k=0, dtype=None, *, stream=None))]
fn eye(
    n: i64,
    m: Option<i64>,
    k: i64,
    dtype: Option<PyDtype>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let (n, m) = (count("eye", n)?, count("eye", m.unwrap_or(n))?);
    made(stream, || Array::eye(n, m, k, or_float(dtype)))
}

/// Ones on the main diagonal of a square matrix, zeros elsewhere.
///
/// Args:
///     n: The number of rows.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.identity(2)
///     array([[1, 0],
///            [0, 1]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (n, dtype=None, *, stream=None))]
fn identity(n: i64, dtype: Option<PyDtype>, stream: Option<On>) -> PyResult<PyArray> {
    eye(n, None, 0, dtype, stream)
}

/// Ones on and below a diagonal, zeros above.
///
/// Args:
///     n: The number of rows.
///     m: The number of columns, by default as many as rows.
///     k: Which diagonal: positive above the main one, negative below.
///     dtype: The type of the elements.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.tri(2)
///     array([[1, 0],
///            [1, 1]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (n, m=None, k=0, dtype=None, *, stream=None))]
fn tri(
    n: i64,
    m: Option<i64>,
    k: i64,
    dtype: Option<PyDtype>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let (n, m) = (count("tri", n)?, count("tri", m.unwrap_or(n))?);
    made(stream, || Array::tri(n, m, k, or_float(dtype)))
}

/// A matrix, or several, with zeros above a diagonal.
///
/// Args:
///     x: An array.
///     k: Which diagonal: positive above the main one, negative below.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.tril(mx.array([[1.0, 2.0], [3.0, 4.0]]))
///     array([[1, 0],
///            [3, 4]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (x, k=0, *, stream=None))]
fn tril(x: Input, k: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || x.0.tril(k))
}

/// A matrix, or several, with zeros below a diagonal.
///
/// Args:
///     x: An array.
///     k: Which diagonal: positive above the main one, negative below.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.triu(mx.array([[1.0, 2.0], [3.0, 4.0]]))
///     array([[1, 2],
///            [0, 4]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (x, k=0, *, stream=None))]
fn triu(x: Input, k: i64, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || x.0.triu(k))
}

/// The coordinates of the points of a grid, an array for each vector.
///
/// Args:
///     arrays: The arrays.
///     sparse: Leaves axes of size one instead of repeating.
///     indexing: ``"xy"`` if the first vector runs along columns, ``"ij"`` if along rows.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.meshgrid(mx.array([1, 2]), mx.array([3, 4]))[0]
///     array([[1, 2],
///            [1, 2]], dtype=int32)
#[pyfunction]
#[pyo3(signature = (*arrays, sparse=Some(false), indexing=Some("xy".to_owned()), stream=None), text_signature = "(*arrays, sparse=False, indexing='xy', stream=None)")]
fn meshgrid(
    py: Python<'_>,
    arrays: Vec<Input>,
    sparse: Option<bool>,
    indexing: Option<String>,
    stream: Option<On>,
) -> PyResult<Bound<'_, pyo3::types::PyTuple>> {
    use olivine::Indexing;
    let indexing = match indexing.as_deref() {
        None | Some("xy") => Indexing::Xy,
        Some("ij") => Indexing::Ij,
        Some(_) => {
            let message = "[meshgrid] Invalid indexing value. Valid values are 'xy' and 'ij'.";
            return Err(value_error(message));
        }
    };
    let arrays: Vec<Array> = arrays.into_iter().map(|Input(array)| array).collect();
    let grid = stream
        .unwrap_or_default()
        .run(|| olivine::meshgrid(&arrays, indexing, sparse.unwrap_or(false)))
        .or_raise()?;
    super::shape::tuple(py, grid)
}

macro_rules! windows {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[pyfunction]
        #[pyo3(signature = (M, *, stream=None))]
        #[expect(non_snake_case, reason = "the name that Python sees")]
        fn $name(M: i64, stream: Option<On>) -> PyResult<PyArray> {
            made(stream, || Array::$name(usize::try_from(M).unwrap_or(0)))
        }
    )*};
}

windows! {
    /// A triangle.
    ///
    /// Args:
    ///     M: The number of points; none if it is not positive.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.bartlett(5)
    ///     array([0, 0.5, 1, 0.5, 0], dtype=float32)
    bartlett
    /// A window of two cosines.
    ///
    /// Args:
    ///     M: The number of points; none if it is not positive.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.blackman(3).shape
    ///     (3,)
    blackman
    /// A raised cosine that ends above zero.
    ///
    /// Args:
    ///     M: The number of points; none if it is not positive.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.hamming(3)
    ///     array([0.08, 1, 0.08], dtype=float32)
    hamming
    /// A raised cosine that ends at zero.
    ///
    /// Args:
    ///     M: The number of points; none if it is not positive.
    ///     stream: Where to compute it.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.hanning(5)
    ///     array([0, 0.5, 1, 0.5, 0], dtype=float32)
    hanning
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; arange, linspace, full, full_like, zeros, zeros_like, ones, ones_like, empty,
        empty_like, eye, identity, tri, tril, triu, meshgrid, bartlett, blackman, hamming, hanning);
    Ok(())
}
