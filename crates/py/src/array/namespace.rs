//! Owns what the array API standard asks of a namespace: what it is, and what it can do.

#![expect(clippy::unused_self, reason = "Python asks the object")]

use olivine::{Dtype, DtypeKind, isdtype};
use pyo3::{
    intern,
    prelude::*,
    types::{PyDict, PyModule, PyString, PyTuple},
};

use super::PyArray;
use crate::{
    device::PyDevice,
    dtype::PyDtype,
    error::{OrRaise, type_error, value_error},
};

#[pymethods]
impl PyArray {
    /// The module with the functions of the array API standard.
    ///
    /// Args:
    ///     api_version: Only ``None``, the newest, is known.
    ///
    /// Returns:
    ///     The module ``olivine.core``.
    #[pyo3(signature = (api_version=None))]
    fn __array_namespace__<'py>(
        &self,
        py: Python<'py>,
        api_version: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyModule>> {
        if api_version.is_some() {
            return Err(value_error("There is no choice of api_version yet."));
        }
        py.import(intern!(py, "olivine.core"))
    }
}

/// What this module can do, as the array API standard asks it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> len(mx.__array_namespace_info__().dtypes())
///     12
#[pyclass(name = "ArrayNamespaceInfo", module = "olivine.core", frozen)]
struct ArrayNamespaceInfo;

fn check_device(device: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    match device {
        Some(device) if !device.is_instance_of::<PyDevice>() => {
            Err(type_error("Expected a Device"))
        }
        _ => Ok(()),
    }
}

#[pymethods]
impl ArrayNamespaceInfo {
    /// Whether indices may be truth values, whether shapes may depend on values, and how many axes
    /// programs may count on.
    fn capabilities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let capabilities = PyDict::new(py);
        capabilities.set_item("boolean indexing", false)?;
        capabilities.set_item("data-dependent shapes", false)?;
        capabilities.set_item("max dimensions", 10)?;
        Ok(capabilities)
    }

    /// The device that operations run on if none is named.
    fn default_device<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let module = py.import(intern!(py, "olivine.core"))?;
        module.call_method0(intern!(py, "default_device"))
    }

    /// The dtypes that numbers of each kind get.
    #[pyo3(signature = (*, device=None))]
    fn default_dtypes<'py>(
        &self,
        py: Python<'py>,
        device: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        check_device(device)?;
        let dtypes = PyDict::new(py);
        dtypes.set_item("real floating", PyDtype(Dtype::Float32))?;
        dtypes.set_item("complex floating", PyDtype(Dtype::Complex64))?;
        dtypes.set_item("integral", PyDtype(Dtype::Int32))?;
        dtypes.set_item("indexing", PyDtype(Dtype::Int32))?;
        Ok(dtypes)
    }

    /// All devices, a tuple.
    fn devices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, [PyDevice::of(olivine::Device::Cpu)])
    }

    /// The dtypes by their names.
    ///
    /// Args:
    ///     device: The device that has them.
    ///     kind: A kind as :func:`isdtype` names them, or a tuple of kinds. By default, all.
    ///
    /// Returns:
    ///     A dictionary.
    ///
    /// Raises:
    ///     ValueError: If there is no such kind.
    #[pyo3(signature = (*, device=None, kind=None))]
    fn dtypes<'py>(
        &self,
        py: Python<'py>,
        device: Option<&Bound<'py, PyAny>>,
        kind: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        check_device(device)?;
        let kinds: Option<Vec<DtypeKind>> = match kind {
            None => None,
            Some(kind) => {
                let names: Vec<String> = match kind.cast::<PyString>() {
                    Ok(name) => vec![name.to_string()],
                    Err(_) => kind
                        .cast::<PyTuple>()
                        .map_err(|_| value_error(format!("Unsupported dtype kind: {kind}")))?
                        .extract()?,
                };
                let parsed: olivine::Result<_> = names.iter().map(|name| name.parse()).collect();
                Some(parsed.or_raise()?)
            }
        };
        let dtypes = PyDict::new(py);
        for dtype in Dtype::ALL {
            // The standard has no 16-bit floats.
            let known = !matches!(dtype, Dtype::Float16 | Dtype::BFloat16);
            if known && kinds.as_ref().is_none_or(|kinds| isdtype(dtype, kinds)) {
                dtypes.set_item(dtype.name(), PyDtype(dtype))?;
            }
        }
        Ok(dtypes)
    }
}

/// What this module can do, as the array API standard asks it.
///
/// Returns:
///     An object with the methods ``capabilities``, ``default_device``, ``default_dtypes``,
///     ``devices`` and ``dtypes``.
#[pyfunction]
#[pyo3(name = "__array_namespace_info__")]
fn array_namespace_info() -> ArrayNamespaceInfo {
    ArrayNamespaceInfo
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(array_namespace_info, module)?)
}
