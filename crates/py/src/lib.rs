//! Owns the Python module `olivine.core`: bindings only, no logic that Rust users would miss.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "Python's objects are borrowed however small they are"
)]

mod arg;
mod array;
mod backends;
mod device;
mod distributed;
mod dtype;
mod error;
mod io;
mod memory;
mod ops;
mod random;
mod regular;
mod transforms;
mod tree;

use pyo3::prelude::*;

#[pymodule]
fn core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("AxisError", error::axis_error(py)?)?;
    array::register(module)?;
    device::register(module)?;
    dtype::register(module)?;
    regular::register(module)?;
    ops::register(module)?;
    transforms::register(module)?;
    io::register(module)?;
    random::register(module)?;
    memory::register(module)?;
    backends::register(module)?;
    distributed::register(module)
}
