//! Owns how arrays look in Python: as in MLX, whose programs and their tests compare the text.
//!
//! Axes longer than six elements are shortened, and numbers are not aligned.

use std::sync::atomic::{AtomicI32, Ordering};

use olivine::{Array, Complex64, Data, bf16, dispatch, f16};
use pyo3::{
    intern,
    prelude::*,
    types::{PyString, PyTuple},
};

use super::values::Number;
use crate::error::OrRaise;

/// How many slices of a longer axis are shown at each end.
const EDGE: usize = 3;

/// The precision that stands for six significant digits.
const GENERAL: i32 = -1;

static PRECISION: AtomicI32 = AtomicI32::new(GENERAL);

/// An evaluated array as text.
pub(super) fn text(py: Python<'_>, array: &Array) -> PyResult<String> {
    let precision = match PRECISION.load(Ordering::Relaxed) {
        GENERAL => "g".to_owned(),
        // As in C++, where a negative precision is that of six digits.
        precision if precision < 0 => ".6f".to_owned(),
        precision => format!(".{precision}f"),
    };
    let data = array.data().or_raise()?;
    let printer = Printer {
        py,
        precision: PyString::new(py, &precision),
        shape: array.shape(),
        data: &data,
    };
    let mut text = "array(".to_owned();
    dispatch!(all, array.dtype(), T => printer.write::<T>(0, 0, &mut text))?;
    text.push_str(", dtype=");
    text.push_str(array.dtype().name());
    text.push(')');
    Ok(text)
}

struct Printer<'a, 'py> {
    py: Python<'py>,
    precision: Bound<'py, PyString>,
    shape: &'a [usize],
    data: &'a Data,
}

impl Printer<'_, '_> {
    /// Appends the elements from `axis` on, the first of which is `place` elements from the start.
    fn write<T: Word>(&self, axis: usize, place: isize, text: &mut String) -> PyResult<()> {
        let Some(&size) = self.shape.get(axis) else {
            let start = self
                .data
                .buffer
                .host()
                .as_ptr()
                .wrapping_add(self.data.offset);
            // SAFETY: the data is evaluated and of this dtype, and every index was inside its axis.
            let value = unsafe { start.cast::<T>().offset(place).read() };
            text.push_str(&value.word(self.py, &self.precision)?);
            return Ok(());
        };
        let separator = if axis + 1 == self.shape.len() {
            ", ".to_owned()
        } else {
            format!(",\n{:1$}", "", "array(".len() + axis + 1)
        };
        text.push('[');
        let long = size > 2 * EDGE;
        let (first, last) = if long {
            (EDGE, size - EDGE)
        } else {
            (size, size)
        };
        for i in (0..first).chain(last..size) {
            if i > 0 {
                text.push_str(&separator);
            }
            if long && i == last {
                text.push_str("...");
                text.push_str(&separator);
            }
            self.write::<T>(axis + 1, place + i as isize * self.data.strides[axis], text)?;
        }
        text.push(']');
        Ok(())
    }
}

/// A number as text, in a format of Python's.
trait Word: Copy {
    fn word(self, py: Python<'_>, format: &Bound<'_, PyString>) -> PyResult<String>;
}

macro_rules! plain {
    ($($ty:ty),*) => {$(
        impl Word for $ty {
            fn word(self, _: Python<'_>, _: &Bound<'_, PyString>) -> PyResult<String> {
                Ok(self.to_string())
            }
        }
    )*};
}

plain!(u8, u16, u32, u64, i8, i16, i32, i64);

impl Word for bool {
    fn word(self, _: Python<'_>, _: &Bound<'_, PyString>) -> PyResult<String> {
        Ok(if self { "True" } else { "False" }.to_owned())
    }
}

macro_rules! floats {
    ($($ty:ty),*) => {$(
        impl Word for $ty {
            fn word(self, py: Python<'_>, format: &Bound<'_, PyString>) -> PyResult<String> {
                self.object(py)?.call_method1(intern!(py, "__format__"), (format,))?.extract()
            }
        }
    )*};
}

floats!(f16, bf16, f32, f64);

impl Word for Complex64 {
    fn word(self, py: Python<'_>, format: &Bound<'_, PyString>) -> PyResult<String> {
        let sign = if self.im >= 0.0 || self.im.is_nan() {
            "+"
        } else {
            ""
        };
        Ok(format!(
            "{}{sign}{}j",
            self.re.word(py, format)?,
            self.im.word(py, format)?
        ))
    }
}

/// How arrays are printed.
///
/// Args:
///     precision: The digits after the point; ``-1`` for up to six significant digits.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.PrintOptions(3).precision
///     3
#[pyclass(name = "PrintOptions", module = "olivine.core", from_py_object)]
#[derive(Clone, Copy)]
struct PrintOptions {
    /// The digits after the point; ``-1`` for up to six significant digits.
    #[pyo3(get, set)]
    precision: i32,
}

#[pymethods]
impl PrintOptions {
    #[new]
    #[pyo3(signature = (precision=GENERAL), text_signature = "(precision=-1)")]
    fn new(precision: i32) -> Self {
        PrintOptions { precision }
    }
}

/// Options that hold in the body of a ``with`` statement; :func:`printoptions` makes it.
#[pyclass(name = "_PrintOptionsContext", module = "olivine.core", frozen)]
struct PrintOptionsContext {
    precision: i32,
    before: AtomicI32,
}

#[pymethods]
impl PrintOptionsContext {
    #[new]
    #[pyo3(signature = (options, /))]
    fn new(options: PrintOptions) -> Self {
        PrintOptionsContext {
            precision: options.precision,
            before: AtomicI32::new(GENERAL),
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        let this = slf.get();
        let before = PRECISION.swap(this.precision, Ordering::Relaxed);
        this.before.store(before, Ordering::Relaxed);
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyTuple>) {
        PRECISION.store(self.before.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Sets how arrays are printed from now on.
///
/// Args:
///     precision: The digits after the point; ``-1`` for up to six significant digits.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.set_printoptions(precision=2)
///     >>> mx.array([0.125])
///     array([0.12], dtype=float32)
///     >>> mx.set_printoptions(-1)
///     >>> mx.array([0.125])
///     array([0.125], dtype=float32)
#[pyfunction]
#[pyo3(signature = (precision=GENERAL), text_signature = "(precision=-1)")]
fn set_printoptions(precision: i32) {
    PRECISION.store(precision, Ordering::Relaxed);
}

/// How arrays are printed now.
///
/// Returns:
///     The options.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.get_printoptions().precision
///     -1
#[pyfunction]
fn get_printoptions() -> PrintOptions {
    PrintOptions {
        precision: PRECISION.load(Ordering::Relaxed),
    }
}

/// Sets how arrays are printed in the body of a ``with`` statement.
///
/// Args:
///     precision: The digits after the point; ``-1`` for up to six significant digits.
///
/// Returns:
///     What the ``with`` statement needs.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> with mx.printoptions(precision=1):
///     ...     print(mx.array([2.0]))
///     array([2.0], dtype=float32)
#[pyfunction]
#[pyo3(signature = (precision=GENERAL), text_signature = "(precision=-1)")]
fn printoptions(precision: i32) -> PrintOptionsContext {
    PrintOptionsContext::new(PrintOptions { precision })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PrintOptions>()?;
    module.add_class::<PrintOptionsContext>()?;
    module.add_function(wrap_pyfunction!(set_printoptions, module)?)?;
    module.add_function(wrap_pyfunction!(get_printoptions, module)?)?;
    module.add_function(wrap_pyfunction!(printoptions, module)?)
}
