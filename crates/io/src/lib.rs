//! Owns array files; reads by memory map, writes atomically.

// Tests and doctests run on the CPU backend, which registers itself when linked.
#[cfg(test)]
use olivine_cpu as _;

mod error;
mod function;
mod gguf;
mod load;
mod npy;
mod npz;
mod safetensors;
mod source;
mod write;

pub use error::{Error, FileProblem, Result, TensorProblem};
pub use function::{
    Exporter, ImportedFunction, Traces, export_function, export_to_dot, import_function,
};
pub use gguf::{
    Gguf, GgufInfo, GgufKind, GgufMetadata, GgufValue, GgufValues, Packed, load_gguf, save_gguf,
    write_gguf, write_gguf_as,
};
pub use load::{Contents, Format, Loaded, load, load_as, load_later, load_source, save};
pub use npy::{load_npy, read_npy, read_npy_later, save_npy, write_npy};
pub use npz::{Compression, Npz, load_npz, savez, savez_compressed, write_npz};
pub use safetensors::{
    Metadata, SafeTensors, TensorInfo, load_safetensors, save_safetensors, write_safetensors,
};
pub use source::Source;

// Files store little-endian numbers and arrays view them in place.
const _: () = assert!(
    cfg!(target_endian = "little"),
    "big-endian hosts are not supported"
);
