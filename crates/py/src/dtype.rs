//! Owns dtypes as Python sees them.

use std::sync::atomic::{AtomicBool, Ordering};

use olivine::{Dtype, DtypeCategory, DtypeKind, ops::dtypes::DtypeOrCategory};
use pyo3::{
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyFloat, PyString, PyTuple},
};

use crate::{
    array::PyArray,
    error::{OrRaise, value_error},
};

/// True while this package answers for `mlx`, whose programs read names such as `mlx.core.float32`.
static STANDS_IN: AtomicBool = AtomicBool::new(false);

/// The name of this module in what is printed.
pub(crate) fn package() -> &'static str {
    if STANDS_IN.load(Ordering::Relaxed) {
        "mlx.core"
    } else {
        "olivine.core"
    }
}

/// Makes dtypes print as MLX's, for programs written for it that read the names.
#[pyfunction]
fn _stand_in(on: bool) {
    STANDS_IN.store(on, Ordering::Relaxed);
}

/// The type of an array's elements.
#[pyclass(
    name = "Dtype",
    module = "olivine.core",
    frozen,
    eq,
    hash,
    from_py_object
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PyDtype(pub(crate) Dtype);

impl From<PyDtype> for Dtype {
    fn from(dtype: PyDtype) -> Self {
        dtype.0
    }
}

#[pymethods]
impl PyDtype {
    /// The bytes of one element.
    #[getter]
    fn size(&self) -> usize {
        self.0.size()
    }

    fn __repr__(&self) -> String {
        format!("{}.{}", package(), self.0.name())
    }

    /// Pickles by name.
    fn __reduce__(&self) -> String {
        python_name(self.0).to_owned()
    }
}

/// The name that Python knows a dtype by: `bool` is taken.
pub(crate) fn python_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Bool => "bool_",
        _ => dtype.name(),
    }
}

/// The number that stands for a dtype in pickles; MLX's has the same.
pub(crate) fn code(dtype: Dtype) -> u8 {
    match dtype {
        Dtype::Bool => 0,
        Dtype::Uint8 => 1,
        Dtype::Uint16 => 2,
        Dtype::Uint32 => 3,
        Dtype::Uint64 => 4,
        Dtype::Int8 => 5,
        Dtype::Int16 => 6,
        Dtype::Int32 => 7,
        Dtype::Int64 => 8,
        Dtype::Float16 => 9,
        Dtype::Float32 => 10,
        Dtype::Float64 => 11,
        Dtype::BFloat16 => 12,
        Dtype::Complex64 => 13,
    }
}

/// The dtype that a number in a pickle stands for.
pub(crate) fn from_code(number: u8) -> Option<Dtype> {
    Dtype::ALL.into_iter().find(|&dtype| code(dtype) == number)
}

/// The categories in the order of their numbers.
const CATEGORIES: [(&str, DtypeCategory); 8] = [
    ("complexfloating", DtypeCategory::ComplexFloating),
    ("floating", DtypeCategory::Floating),
    ("inexact", DtypeCategory::Inexact),
    ("signedinteger", DtypeCategory::SignedInteger),
    ("unsignedinteger", DtypeCategory::UnsignedInteger),
    ("integer", DtypeCategory::Integer),
    ("number", DtypeCategory::Number),
    ("generic", DtypeCategory::Generic),
];

/// `DtypeCategory`, a Python enumeration.
fn category_class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let members = CATEGORIES.iter().zip(0usize..);
        let members = members.map(|((name, _), i)| (*name, i)).collect();
        enumeration(py, "DtypeCategory", members, CATEGORY_DOC)
    })?;
    Ok(class.bind(py))
}

/// A new enumeration of Python, with the names and numbers of its members.
pub(crate) fn enumeration(
    py: Python<'_>,
    name: &str,
    members: Vec<(&str, usize)>,
    doc: &str,
) -> PyResult<Py<PyAny>> {
    let about = PyDict::new(py);
    about.set_item("module", "olivine.core")?;
    let class = py.import("enum")?.getattr("Enum")?;
    let class = class.call((name, members), Some(&about))?;
    class.setattr("__doc__", doc)?;
    // Shown as it is written, without its number.
    class.setattr("__repr__", class.getattr("__str__")?)?;
    Ok(class.unbind())
}

const CATEGORY_DOC: &str = "A family of dtypes.

They form a tree: ``generic`` holds ``bool_`` and ``number``, ``number`` holds ``integer`` and
``inexact``, ``integer`` holds ``unsignedinteger`` and ``signedinteger``, and ``inexact`` holds
``floating`` and ``complexfloating``.

Example:
    >>> import olivine.core as mx
    >>> mx.issubdtype(mx.float16, mx.inexact)
    True
";

/// A dtype or a category; `None` if the object is neither.
fn dtype_or_category(object: &Bound<'_, PyAny>) -> PyResult<Option<DtypeOrCategory>> {
    let py = object.py();
    if let Ok(dtype) = object.cast::<PyDtype>() {
        return Ok(Some(dtype.get().0.into()));
    }
    if !object.is_instance(category_class(py)?)? {
        return Ok(None);
    }
    let number: usize = object.getattr(intern!(py, "value"))?.extract()?;
    Ok(CATEGORIES
        .get(number)
        .map(|(_, category)| (*category).into()))
}

/// Says whether a dtype or category is, or belongs to, another.
///
/// Args:
///     arg1: A dtype or a category.
///     arg2: A dtype or a category.
///
/// Returns:
///     True if the first is the second or a part of it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.issubdtype(mx.int8, mx.integer), mx.issubdtype(mx.float32, mx.float64)
///     (True, False)
#[pyfunction]
#[pyo3(signature = (arg1, arg2, /))]
fn issubdtype(arg1: &Bound<'_, PyAny>, arg2: &Bound<'_, PyAny>) -> PyResult<bool> {
    let of = |object, which: &str| {
        let invalid = || {
            value_error(format!(
                "[issubdtype] Received invalid type for {which} input."
            ))
        };
        dtype_or_category(object)?.ok_or_else(invalid)
    };
    Ok(olivine::issubdtype(of(arg1, "first")?, of(arg2, "second")?))
}

/// Says whether a dtype is of a kind.
///
/// Args:
///     dtype: The dtype in question.
///     kind: A dtype, one of ``"bool"``, ``"signed integer"``, ``"unsigned integer"``,
///         ``"integral"``, ``"real floating"``, ``"complex floating"`` and ``"numeric"``, or a
///         tuple of these.
///
/// Returns:
///     True if it is of the kind, or of any in the tuple.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.isdtype(mx.float32, ("integral", "real floating"))
///     True
#[pyfunction]
fn isdtype(dtype: PyDtype, kind: &Bound<'_, PyAny>) -> PyResult<bool> {
    fn one(kind: &Bound<'_, PyAny>) -> PyResult<DtypeKind> {
        if let Ok(dtype) = kind.cast::<PyDtype>() {
            return Ok(dtype.get().0.into());
        }
        let Ok(name) = kind.cast::<PyString>() else {
            return Err(value_error(
                "[isdtype] `kind` must be a dtype, a string, or a tuple of dtypes and strings.",
            ));
        };
        name.to_cow()?.parse().or_raise()
    }
    let kinds = match kind.cast::<PyTuple>() {
        Ok(tuple) => tuple
            .iter()
            .map(|kind| one(&kind))
            .collect::<PyResult<Vec<_>>>()?,
        Err(_) => vec![one(kind)?],
    };
    Ok(olivine::isdtype(dtype.0, &kinds))
}

/// The dtype of an array or a dtype.
fn dtype_of(object: &Bound<'_, PyAny>, otherwise: &'static str) -> PyResult<Dtype> {
    if let Ok(dtype) = object.cast::<PyDtype>() {
        return Ok(dtype.get().0);
    }
    match object.cast::<PyArray>() {
        Ok(array) => Ok(array.get().get().dtype()),
        Err(_) => Err(value_error(otherwise)),
    }
}

/// Says whether promotion turns one dtype into another.
///
/// Args:
///     from_: The dtype, or an array that has it.
///     to: The other dtype.
///
/// Returns:
///     True if both together are promoted to ``to``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.can_cast(mx.int8, mx.int16), mx.can_cast(mx.int16, mx.int8)
///     (True, False)
#[pyfunction]
fn can_cast(from_: &Bound<'_, PyAny>, to: PyDtype) -> PyResult<bool> {
    let from = dtype_of(from_, "[can_cast] `from_` must be an array or a dtype.")?;
    Ok(olivine::can_cast(from, to.0))
}

/// The dtype that operations on some arrays or dtypes give.
///
/// Args:
///     *arrays_and_dtypes: One or more of them.
///
/// Returns:
///     The dtype that all are promoted to.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.result_type(mx.int8, mx.array(1.0)) == mx.float32
///     True
#[pyfunction]
#[pyo3(signature = (*arrays_and_dtypes))]
fn result_type(arrays_and_dtypes: &Bound<'_, PyTuple>) -> PyResult<PyDtype> {
    if arrays_and_dtypes.is_empty() {
        return Err(value_error(
            "[result_type] At least one array or dtype is required.",
        ));
    }
    let dtypes = arrays_and_dtypes
        .iter()
        .map(|each| dtype_of(&each, "[result_type] Inputs must be arrays or dtypes."))
        .collect::<PyResult<Vec<_>>>()?;
    olivine::result_type(&dtypes).map(PyDtype).or_raise()
}

/// The range and the precision of a floating-point dtype; of a complex one, those of its parts.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.finfo(mx.float16).max
///     65504.0
#[pyclass(name = "finfo", module = "olivine.core", frozen)]
struct FloatInfo(olivine::FloatInfo);

#[pymethods]
impl FloatInfo {
    #[new]
    fn new(dtype: PyDtype) -> PyResult<Self> {
        olivine::finfo(dtype.0).map(FloatInfo).or_raise()
    }

    /// The bits of one number.
    #[getter]
    fn bits(&self) -> usize {
        self.0.bits
    }

    /// The smallest finite number.
    #[getter]
    fn min(&self) -> f64 {
        self.0.min
    }

    /// The greatest finite number.
    #[getter]
    fn max(&self) -> f64 {
        self.0.max
    }

    /// The distance from one to the next greater number.
    #[getter]
    fn eps(&self) -> f64 {
        self.0.eps
    }

    /// The smallest positive number of full precision.
    #[getter]
    fn smallest_normal(&self) -> f64 {
        self.0.smallest_normal
    }

    /// The dtype in question.
    #[getter]
    fn dtype(&self) -> PyDtype {
        PyDtype(self.0.dtype)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let short = |x| PyFloat::new(py, x).call_method1(intern!(py, "__format__"), ("g",));
        let (min, max) = (short(self.0.min)?, short(self.0.max)?);
        Ok(format!(
            "finfo(min={min}, max={max}, dtype={})",
            self.0.dtype
        ))
    }
}

/// The range of an integer dtype.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.iinfo(mx.int8)
///     iinfo(min=-128, max=127, dtype=int8)
#[pyclass(name = "iinfo", module = "olivine.core", frozen)]
struct IntegerInfo(olivine::IntegerInfo);

#[pymethods]
impl IntegerInfo {
    #[new]
    fn new(dtype: PyDtype) -> PyResult<Self> {
        olivine::iinfo(dtype.0).map(IntegerInfo).or_raise()
    }

    /// The smallest number.
    #[getter]
    fn min(&self) -> i64 {
        self.0.min
    }

    /// The greatest number.
    #[getter]
    fn max(&self) -> u64 {
        self.0.max
    }

    /// The dtype in question.
    #[getter]
    fn dtype(&self) -> PyDtype {
        PyDtype(self.0.dtype)
    }

    fn __repr__(&self) -> String {
        format!(
            "iinfo(min={}, max={}, dtype={})",
            self.0.min, self.0.max, self.0.dtype
        )
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<PyDtype>()?;
    module.add_class::<FloatInfo>()?;
    module.add_class::<IntegerInfo>()?;
    module.add_function(wrap_pyfunction!(_stand_in, module)?)?;
    module.add_function(wrap_pyfunction!(issubdtype, module)?)?;
    module.add_function(wrap_pyfunction!(isdtype, module)?)?;
    module.add_function(wrap_pyfunction!(can_cast, module)?)?;
    module.add_function(wrap_pyfunction!(result_type, module)?)?;
    for dtype in Dtype::ALL {
        module.add(python_name(dtype), PyDtype(dtype))?;
    }
    let categories = category_class(py)?;
    module.add("DtypeCategory", categories)?;
    for (name, _) in CATEGORIES {
        module.add(name, categories.getattr(name)?)?;
    }
    module.add("pi", olivine::constants::PI)?;
    module.add("e", olivine::constants::E)?;
    module.add("euler_gamma", olivine::constants::EULER_GAMMA)?;
    module.add("inf", olivine::constants::INF)?;
    module.add("nan", olivine::constants::NAN)?;
    module.add("newaxis", py.None())
}
