//! Owns arguments: what Python programs may pass where an array, axes or a shape is expected.

use olivine::{Array, Axes, Complex64, Dtype, Kind, Shape, Walk, bf16, f16, iinfo, keep};
use pyo3::{
    exceptions::PyOverflowError,
    prelude::*,
    types::{PyAny, PyBool, PyComplex, PyFloat, PyInt, PyTuple},
};
use smallvec::SmallVec;

use crate::{
    array::{PyArray, convert},
    device::On,
    dtype::PyDtype,
    error::{OrRaise, value_error},
};

/// An array, or a Python number, whose dtype depends on the array it stands beside.
pub(crate) enum Operand {
    Array(Array),
    /// An array of another library, which takes the dtype of the array beside it.
    Foreign(Array),
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`.
    Wide(u64),
    Float(f64),
    Complex(Complex64),
}

impl<'py> FromPyObject<'_, 'py> for Operand {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = object.cast_exact::<PyArray>() {
            return Ok(Operand::Array(array.get().get()));
        }
        match Self::number(&object)? {
            Some(number) => Ok(number),
            None => convert::operand(&object),
        }
    }
}

impl Operand {
    /// A Python number; `None` if the object is none.
    pub(crate) fn number(object: &Bound<'_, PyAny>) -> PyResult<Option<Operand>> {
        if object.is_exact_instance_of::<PyFloat>() {
            return Ok(Some(Operand::Float(object.extract()?)));
        }
        if object.is_instance_of::<PyBool>() {
            return Ok(Some(Operand::Bool(object.extract()?)));
        }
        if object.is_instance_of::<PyInt>() {
            return Ok(Some(match object.extract::<i64>() {
                Ok(value) => Operand::Int(value),
                Err(_) => Operand::Wide(object.extract::<u64>().map_err(|_| {
                    value_error(format!("the integer {object} does not fit in 64 bits"))
                })?),
            }));
        }
        if object.is_instance_of::<PyFloat>() {
            return Ok(Some(Operand::Float(object.extract()?)));
        }
        if object.is_instance_of::<PyComplex>() {
            return Ok(Some(Operand::Complex(complex(object)?)));
        }
        Ok(None)
    }

    /// The dtype that it has, or that a number brings along if nothing else decides.
    pub(crate) fn dtype(&self) -> Dtype {
        match self {
            Operand::Array(array) | Operand::Foreign(array) => array.dtype(),
            Operand::Bool(_) => Dtype::Bool,
            Operand::Int(value) => match i32::try_from(*value) {
                Ok(_) => Dtype::Int32,
                Err(_) => Dtype::Int64,
            },
            Operand::Wide(_) => Dtype::Uint64,
            Operand::Float(_) => Dtype::Float32,
            Operand::Complex(_) => Dtype::Complex64,
        }
    }

    /// A number of another library, such as NumPy's, as Python's; others stay as they are.
    pub(crate) fn known(self) -> PyResult<Operand> {
        match self {
            Operand::Foreign(array) if array.ndim() == 0 => match array.dtype().kind() {
                Kind::Bool | Kind::Unsigned | Kind::Signed => {
                    let array = array.astype(Dtype::Int64).or_raise()?;
                    array.item().or_raise().map(Operand::Int)
                }
                Kind::Float => {
                    let array = array.astype(Dtype::Float64).or_raise()?;
                    array.item().or_raise().map(Operand::Float)
                }
                Kind::Complex => array.item().or_raise().map(Operand::Complex),
            },
            other => Ok(other),
        }
    }

    /// As an array; a number gets the dtype of its kind.
    pub(crate) fn alone(self) -> PyResult<Array> {
        let dtype = self.dtype();
        self.beside(dtype)
    }

    /// As an array; a number takes `dtype` if that can hold its kind.
    pub(crate) fn beside(self, dtype: Dtype) -> PyResult<Array> {
        let kind = dtype.kind();
        match self {
            Operand::Array(array) => Ok(array),
            Operand::Foreign(array) => array.astype(dtype).or_raise(),
            Operand::Bool(value) => exact(value as i64, dtype),
            Operand::Int(value) => {
                if matches!(kind, Kind::Unsigned | Kind::Signed) && !fits(value, dtype) {
                    let message =
                        format!("Converting {value} to {dtype} would result in overflow.");
                    return Err(value_error(message));
                }
                let dtype = if kind == Kind::Bool {
                    Dtype::Int32
                } else {
                    dtype
                };
                exact(value, dtype)
            }
            Operand::Wide(value) => match kind {
                Kind::Bool | Kind::Unsigned | Kind::Signed if dtype != Dtype::Uint64 => {
                    let message =
                        format!("Converting {value} to {dtype} would result in overflow.");
                    Err(value_error(message))
                }
                Kind::Bool | Kind::Unsigned | Kind::Signed => Ok(Array::scalar(value)),
                Kind::Float | Kind::Complex => float(value as f64, dtype),
            },
            Operand::Float(value) => match kind {
                Kind::Float | Kind::Complex => float(value, dtype),
                Kind::Bool | Kind::Unsigned | Kind::Signed => Ok(Array::scalar(value as f32)),
            },
            Operand::Complex(value) => Ok(Array::scalar(value)),
        }
    }

    /// Two operands as arrays: a number takes the dtype of the array beside it.
    #[inline]
    pub(crate) fn pair(self, other: Operand) -> PyResult<(Array, Array)> {
        match (self, other) {
            (Operand::Array(a), Operand::Array(b)) => Ok((a, b)),
            (Operand::Array(a), b) => {
                let b = b.beside(a.dtype())?;
                Ok((a, b))
            }
            (a, Operand::Array(b)) => Ok((a.beside(b.dtype())?, b)),
            (a, b) => Ok((a.alone()?, b.alone()?)),
        }
    }
}

/// The value of a Python complex number.
pub(crate) fn complex(object: &Bound<'_, PyAny>) -> PyResult<Complex64> {
    let re: f64 = object.getattr("real")?.extract()?;
    let im: f64 = object.getattr("imag")?.extract()?;
    Ok(Complex64::new(re as f32, im as f32))
}

fn fits(value: i64, dtype: Dtype) -> bool {
    iinfo(dtype).is_ok_and(|info| {
        i128::from(value) >= info.min.into() && i128::from(value) <= info.max.into()
    })
}

fn exact(value: i64, dtype: Dtype) -> PyResult<Array> {
    Ok(match dtype {
        Dtype::Bool => Array::scalar(value != 0),
        Dtype::Uint8 => Array::scalar(value as u8),
        Dtype::Uint16 => Array::scalar(value as u16),
        Dtype::Uint32 => Array::scalar(value as u32),
        Dtype::Uint64 => Array::scalar(value as u64),
        Dtype::Int8 => Array::scalar(value as i8),
        Dtype::Int16 => Array::scalar(value as i16),
        Dtype::Int32 => Array::scalar(value as i32),
        Dtype::Int64 => Array::scalar(value),
        Dtype::Float16 | Dtype::BFloat16 | Dtype::Float32 | Dtype::Float64 | Dtype::Complex64 => {
            return float(value as f64, dtype);
        }
    })
}

/// A number in a floating-point dtype; others hold what it is cast to.
pub(crate) fn float(value: f64, dtype: Dtype) -> PyResult<Array> {
    Ok(match dtype {
        Dtype::Float16 => Array::scalar(f16::from_f64(value)),
        Dtype::BFloat16 => Array::scalar(bf16::from_f64(value)),
        Dtype::Float32 => Array::scalar(value as f32),
        Dtype::Float64 => Array::scalar(value),
        Dtype::Complex64 => Array::scalar(Complex64::new(value as f32, 0.0)),
        Dtype::Bool
        | Dtype::Uint8
        | Dtype::Uint16
        | Dtype::Uint32
        | Dtype::Uint64
        | Dtype::Int8
        | Dtype::Int16
        | Dtype::Int32
        | Dtype::Int64 => return Array::scalar(value).astype(dtype).or_raise(),
    })
}

/// An array argument of an operation: an array or a number, which takes the dtype of its kind.
pub(crate) struct Input(pub(crate) Array);

impl<'py> FromPyObject<'_, 'py> for Input {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Operand::extract(object)?.alone().map(Input)
    }
}

/// A list or tuple of whole numbers, or one of them.
#[derive(Clone, Debug)]
pub(crate) struct Ints(pub(crate) SmallVec<[i64; 4]>);

impl<'py> FromPyObject<'_, 'py> for Ints {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(one) = object.extract::<i64>() {
            return Ok(Ints(SmallVec::from_elem(one, 1)));
        }
        let mut list = SmallVec::new();
        for item in object.try_iter()? {
            list.push(item?.extract()?);
        }
        Ok(Ints(list))
    }
}

/// The axes that a reduction runs over.
pub(crate) fn axes(axis: Option<Ints>, keepdims: bool) -> Axes {
    let axes: Axes = match axis {
        None => (..).into(),
        Some(Ints(list)) => Axes::from(&list[..]),
    };
    if keepdims { keep(axes) } else { axes }
}

/// The sizes of axes; one number is a vector's.
pub(crate) struct Sizes(pub(crate) Shape);

/// A shape whose sizes fit in 32 bits, which is what programs written for MLX rely on.
pub(crate) fn fitting(Ints(list): Ints) -> PyResult<Ints> {
    match list.iter().find(|&&size| i32::try_from(size).is_err()) {
        None => Ok(Ints(list)),
        Some(size) => Err(PyOverflowError::new_err(format!(
            "Shape dimension {size} does not fit in 32 bits."
        ))),
    }
}

/// A result, unless an axis has grown beyond 32 bits.
pub(crate) fn bounded(result: PyResult<PyArray>) -> PyResult<PyArray> {
    let array = result?;
    for &size in array.get().shape().iter() {
        if i32::try_from(size).is_err() {
            return Err(PyOverflowError::new_err(format!(
                "Shape dimension {size} does not fit in 32 bits."
            )));
        }
    }
    Ok(array)
}

impl<'py> FromPyObject<'_, 'py> for Sizes {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Ints(list) = fitting(Ints::extract(object)?)?;
        list.into_iter()
            .map(|size| {
                usize::try_from(size)
                    .map_err(|_| value_error(format!("Negative dimensions not allowed: {size}")))
            })
            .collect::<PyResult<Shape>>()
            .map(Sizes)
    }
}

/// A shape as Python's tuple.
pub(crate) fn shape_tuple<'py>(py: Python<'py>, shape: &Shape) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, shape.iter())
}

/// Builds on a stream, if one is given.
#[inline]
pub(crate) fn made(
    stream: Option<On>,
    f: impl FnOnce() -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    stream
        .unwrap_or_default()
        .run(f)
        .map(PyArray::from)
        .or_raise()
}

/// Applies an operation of one array.
#[inline]
pub(crate) fn unary(
    a: Operand,
    stream: Option<On>,
    f: impl FnOnce(&Array) -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    let a = a.alone()?;
    made(stream, || f(&a))
}

/// Applies an operation of two arrays or numbers.
#[inline]
pub(crate) fn binary(
    a: Operand,
    b: Operand,
    stream: Option<On>,
    f: impl FnOnce(&Array, &Array) -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    let (a, b) = a.pair(b)?;
    made(stream, || f(&a, &b))
}

/// Applies an operation over axes; none are all.
pub(crate) fn reduction(
    a: Operand,
    axis: Option<Ints>,
    keepdims: bool,
    stream: Option<On>,
    f: impl FnOnce(&Array, Axes) -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    unary(a, stream, |a| f(a, axes(axis, keepdims)))
}

/// Applies an operation along an axis; none is that of the flattened array.
pub(crate) fn along(
    a: Operand,
    axis: Option<i64>,
    stream: Option<On>,
    f: impl FnOnce(&Array, i64) -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    unary(a, stream, |a| match axis {
        Some(axis) => f(a, axis),
        None => f(&a.reshape([-1])?, 0),
    })
}

/// As [`cumulative`], in a dtype.
pub(crate) fn running_total(
    a: Operand,
    axis: Option<i64>,
    reverse: bool,
    inclusive: bool,
    dtype: Option<PyDtype>,
    stream: Option<On>,
    f: impl FnOnce(&Array, Walk) -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    cumulative(a, axis, reverse, inclusive, stream, |a, walk| match dtype {
        Some(PyDtype(dtype)) => f(&a.astype(dtype)?, walk),
        None => f(a, walk),
    })
}

/// Applies an operation that walks along an axis; none is that of the flattened array.
pub(crate) fn cumulative(
    a: Operand,
    axis: Option<i64>,
    reverse: bool,
    inclusive: bool,
    stream: Option<On>,
    f: impl FnOnce(&Array, Walk) -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    along(a, axis, stream, |a, axis| {
        let walk = Walk::along(axis);
        let walk = if reverse { walk.reverse() } else { walk };
        f(a, if inclusive { walk } else { walk.exclusive() })
    })
}
