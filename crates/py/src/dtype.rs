//! Owns dtypes as Python sees them.

use std::sync::atomic::{AtomicBool, Ordering};

use olivine::Dtype;
use pyo3::prelude::*;

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

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDtype>()?;
    module.add_function(wrap_pyfunction!(_stand_in, module)?)?;
    for dtype in Dtype::ALL {
        module.add(python_name(dtype), PyDtype(dtype))?;
    }
    Ok(())
}
