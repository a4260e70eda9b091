//! Owns how values leave arrays: as Python numbers, lists, text, bytes, NumPy arrays and pickles.

use olivine::{Array, Complex64, Dtype, Kind, Shape, bf16, dispatch, f16};
use pyo3::{
    IntoPyObjectExt, intern,
    prelude::*,
    types::{PyAny, PyBytes, PyComplex, PyDict, PyList, PyMemoryView, PyString, PyTuple},
};

use super::{PyArray, buffer, print};
use crate::{
    dtype::{code, from_code},
    error::{OrRaise, type_error, value_error},
    transforms::eval::compute,
};

/// A number as Python's.
pub(super) trait Number {
    /// The Python object.
    fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>>;
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            #[inline]
            fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                self.into_bound_py_any(py)
            }
        }
    )*};
}

numbers!(bool, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

impl Number for f16 {
    fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        self.to_f32().object(py)
    }
}

impl Number for bf16 {
    fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        self.to_f32().object(py)
    }
}

impl Number for Complex64 {
    fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(PyComplex::from_doubles(py, f64::from(self.re), f64::from(self.im)).into_any())
    }
}

/// The values in row-major order; they are computed and copied with the interpreter released.
fn values<T: olivine::Element>(py: Python<'_>, array: &Array) -> PyResult<Vec<T>> {
    compute(py, &[array])?;
    py.detach(|| array.to_vec::<T>()).or_raise()
}

/// Nested lists of the next values.
fn nested<'py, T: Number + Copy>(
    py: Python<'py>,
    shape: &[usize],
    values: &mut std::slice::Iter<'_, T>,
) -> PyResult<Bound<'py, PyAny>> {
    let [size, rest @ ..] = shape else {
        return values
            .next()
            .ok_or_else(|| value_error("there are too few values"))?
            .object(py);
    };
    if rest.is_empty() {
        let items: Vec<_> = values
            .by_ref()
            .take(*size)
            .map(|value| value.object(py))
            .collect::<PyResult<_>>()?;
        return Ok(PyList::new(py, items)?.into_any());
    }
    let list = PyList::empty(py);
    for _ in 0..*size {
        list.append(nested(py, rest, values)?)?;
    }
    Ok(list.into_any())
}

impl PyArray {
    /// The one value as a Python number.
    pub(super) fn scalar<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.get().size() != 1 {
            return Err(value_error(
                "[convert] Only length-1 arrays can be converted to Python scalars.",
            ));
        }
        let array = self.evaluated(py)?;
        dispatch!(all, array.dtype(), T => array.item::<T>().or_raise()?.object(py))
    }

    /// The bytes of the values in row-major order.
    fn bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let array = self.evaluated(py)?;
        dispatch!(all, array.dtype(), T => {
            let values = values::<T>(py, &array)?;
            // SAFETY: the elements of every dtype are plain bytes without gaps.
            let bytes = unsafe {
                std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(&values[..]))
            };
            Ok(PyBytes::new(py, bytes))
        })
    }
}

#[pymethods]
impl PyArray {
    /// The value of an array with one element, as a Python number.
    ///
    /// Returns:
    ///     A ``bool``, ``int``, ``float`` or ``complex``, by the dtype.
    ///
    /// Raises:
    ///     ValueError: If there is not just one element.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([2.5]).item()
    ///     2.5
    fn item<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.scalar(py)
    }

    /// The values as nested lists of Python numbers.
    ///
    /// Returns:
    ///     Lists nested as deep as the array has axes; a number if it has none.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.array([[1, 2], [3, 4]]).tolist()
    ///     [[1, 2], [3, 4]]
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let array = self.get();
        dispatch!(all, array.dtype(), T => {
            let values = values::<T>(py, &array)?;
            nested(py, array.shape(), &mut values.iter())
        })
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        self.scalar(py)?.is_truthy()
    }

    fn __int__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.get_type::<pyo3::types::PyInt>()
            .call1((self.scalar(py)?,))
    }

    fn __float__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.get_type::<pyo3::types::PyFloat>()
            .call1((self.scalar(py)?,))
    }

    fn __complex__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.get_type::<PyComplex>().call1((self.scalar(py)?,))
    }

    /// The value of an integer array without axes, so that it may index lists.
    fn __index__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let array = self.get();
        if array.ndim() != 0 || !matches!(array.dtype().kind(), Kind::Signed | Kind::Unsigned) {
            return Err(type_error(
                "Only 0-dimensional integer arrays can be converted to an index.",
            ));
        }
        self.scalar(py)
    }

    /// Formats an array without axes as the number in it; other arrays take no format.
    fn __format__<'py>(
        &self,
        py: Python<'py>,
        format_spec: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.get().ndim() == 0 {
            return self
                .scalar(py)?
                .call_method1(intern!(py, "__format__"), (format_spec,));
        }
        if format_spec.len()? > 0 {
            return Err(type_error(
                "unsupported format string passed to array.__format__",
            ));
        }
        print::text(py, &self.evaluated(py)?)?.into_bound_py_any(py)
    }

    /// The bytes of the values in row-major order.
    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.bytes(py)
    }

    /// A NumPy array of the values.
    ///
    /// Args:
    ///     dtype: NumPy's dtype of the elements. By default, the array's own.
    ///     copy: ``True`` copies; ``False`` and ``None`` share the memory unless the dtype differs.
    ///
    /// Returns:
    ///     A NumPy array of the same shape.
    ///
    /// Raises:
    ///     TypeError: If the dtype is ``bfloat16``, which NumPy lacks.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if slf.get().get().dtype() == Dtype::BFloat16 {
            return Err(type_error("bfloat16 arrays cannot be converted to NumPy."));
        }
        let numpy = py.import(intern!(py, "numpy"))?;
        let view = PyMemoryView::from(slf.as_any())?;
        let array = numpy.call_method1(intern!(py, "asarray"), (view,))?;
        let Some(dtype) = dtype else {
            return match copy {
                Some(true) => array.call_method0(intern!(py, "copy")),
                Some(false) | None => Ok(array),
            };
        };
        let wishes = PyDict::new(py);
        wishes.set_item(intern!(py, "copy"), copy == Some(true))?;
        array.call_method(intern!(py, "astype"), (dtype,), Some(&wishes))
    }

    fn __copy__(&self) -> Self {
        self.get().into()
    }

    /// Another array with the same values.
    #[pyo3(signature = (memo))]
    fn __deepcopy__(&self, memo: &Bound<'_, PyDict>) -> Self {
        let _ = memo;
        self.get().into()
    }

    /// The bytes, the shape and the number of the dtype.
    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let array = self.evaluated(py)?;
        let shape = crate::arg::shape_tuple(py, array.shape())?;
        (self.bytes(py)?, shape, code(array.dtype())).into_pyobject(py)
    }

    /// Takes on the values of a pickle: those of MLX, which hold a NumPy array, are known too.
    fn __setstate__(&self, state: &Bound<'_, PyTuple>) -> PyResult<()> {
        let wrong = || value_error("Invalid pickle state of an array.");
        let last = state.len().checked_sub(1).ok_or_else(wrong)?;
        let dtype = from_code(state.get_item(last)?.extract()?).ok_or_else(wrong)?;
        let first = state.get_item(0)?;
        let array = match last {
            1 => {
                let found = buffer::copied(&first, None, dtype == Dtype::BFloat16)?;
                found.astype(dtype).or_raise()?
            }
            2 => {
                let shape: Vec<usize> = state.get_item(1)?.extract()?;
                let bytes = buffer::copied(&first, Some(Dtype::Uint8), false)?;
                restored(&bytes, Shape::from(&shape[..]), dtype)?.ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        };
        self.set(array);
        Ok(())
    }

    /// Pickles as an empty array that takes on the state.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let make = py
            .import(intern!(py, "copyreg"))?
            .getattr(intern!(py, "__newobj__"))?;
        (
            make,
            (slf.get_type(),),
            slf.call_method0(intern!(py, "__getstate__"))?,
        )
            .into_pyobject(py)
    }
}

/// The array whose bytes these are; `None` if there are too many or too few.
fn restored(bytes: &Array, shape: Shape, dtype: Dtype) -> PyResult<Option<Array>> {
    if shape.checked_bytes(dtype.size(), "array").ok() != Some(bytes.size()) {
        return Ok(None);
    }
    let array = if bytes.size() == 0 {
        Array::from_slice::<u8>(&[], [0]).and_then(|none| none.astype(dtype))
    } else {
        bytes.view(dtype)
    };
    array
        .and_then(|flat| flat.reshape(shape))
        .map(Some)
        .or_raise()
}
