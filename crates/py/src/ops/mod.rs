//! Owns the functions on arrays whose arguments are not regular: one file per family.

mod conv;
mod creation;
mod extend;
mod fast;
mod fft;
mod join;
mod linalg;
pub(crate) mod math;
mod metal_kernel;
mod pick;
mod products;
mod quantized;
pub(crate) mod reduce;
mod shape;

use pyo3::prelude::*;

/// Adds functions to a module.
macro_rules! functions {
    ($module:expr; $($name:ident),* $(,)?) => {
        $($module.add_function(wrap_pyfunction!($name, $module)?)?;)*
    };
}
use functions;

/// Adds a submodule, which can be imported by its full name too.
pub(crate) fn submodule<'py>(
    parent: &Bound<'py, PyModule>,
    name: &str,
) -> PyResult<Bound<'py, PyModule>> {
    let py = parent.py();
    let full = format!("olivine.core.{name}");
    let module = PyModule::new(py, &full)?;
    parent.add(name, &module)?;
    py.import("sys")?
        .getattr("modules")?
        .set_item(full, &module)?;
    Ok(module)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    conv::register(module)?;
    creation::register(module)?;
    extend::register(module)?;
    join::register(module)?;
    math::register(module)?;
    pick::register(module)?;
    products::register(module)?;
    quantized::register(module)?;
    reduce::register(module)?;
    shape::register(module)?;
    fast::register(&submodule(module, "fast")?)?;
    fft::register(&submodule(module, "fft")?)?;
    let linalg = submodule(module, "linalg")?;
    linalg::register(&linalg)?;
    module.add("matrix_norm", linalg.getattr("norm")?)
}
