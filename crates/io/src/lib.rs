//! Owns array files; reads by memory map, writes atomically.

// Tests and doctests run on the CPU backend, which registers itself when linked.
#[cfg(test)]
use olivine_cpu as _;

mod error;
mod function;
mod safetensors;

pub use error::{Error, FileProblem, Result, TensorProblem};
pub use function::{Exporter, ImportedFunction, export_function, import_function};
pub use safetensors::{Metadata, SafeTensors, TensorInfo, load_safetensors, save_safetensors};

// Files store little-endian numbers and arrays view them in place.
const _: () = assert!(
    cfg!(target_endian = "little"),
    "big-endian hosts are not supported"
);
