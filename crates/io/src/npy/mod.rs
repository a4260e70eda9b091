//! Owns NumPy's format for one array: files named `.npy`.

mod header;

#[cfg(test)]
mod tests;

use std::{io::Write, path::Path};

use olivine_core::{Array, Elements};

pub(crate) use self::header::Header;
use crate::{
    Error, FileProblem, Result,
    source::{ArrayProblem, Place, Source},
    write::{atomically, write_elements},
};

/// Opens a `.npy` file by memory map.
///
/// The array views the map without a copy if its bytes are in this machine's order and aligned, as
/// NumPy writes them; truth values are copied and checked. A Fortran-ordered array is a transposed
/// view. Whatever follows the array in the file is ignored, as by NumPy.
///
/// `float16` to `float64`, all integers, `bool` and `complex64` are as NumPy has them; `bfloat16` is
/// stored as raw two-byte elements, `V2`, as MLX and `ml_dtypes` do.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_io::{load_npy, save_npy};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("x.npy");
/// save_npy(&path, &Array::from_slice(&[1.0f32, 2.0], [2])?)?;
/// assert_eq!(load_npy(&path)?.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_npy(path: impl AsRef<Path>) -> Result<Array> {
    read_npy(&Source::open(path)?)
}

/// Reads an array in NumPy's format from what was opened; see [`load_npy`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_io::{Source, read_npy};
/// let file = b"\x93NUMPY\x01\0\x36\0{'descr': '|u1', 'fortran_order': False, 'shape': ()}\n\x2a";
/// assert_eq!(read_npy(&Source::from_bytes(file))?.item::<u8>()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_npy(source: &Source) -> Result<Array> {
    let bytes = source.bytes();
    let header = Header::parse(bytes).map_err(|problem| source.invalid(problem))?;
    header
        .check_size(bytes.len() as u64)
        .map_err(|problem| source.invalid(problem))?;
    array(source, &header, 0).map_err(|problem| problem.of_file(source))
}

/// As [`read_npy`], but the elements are read into memory of their own when the array is evaluated, and
/// only then is it an error if they are not all there.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_io::{Source, read_npy_later};
/// let file = b"\x93NUMPY\x01\0\x36\0{'descr': '|u1', 'fortran_order': False, 'shape': ()}\n";
/// let x = read_npy_later(&Source::from_bytes(file))?;
/// assert!(x.eval().unwrap_err().to_string().contains("truncated"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_npy_later(source: &Source) -> Result<Array> {
    let header = Header::parse(source.bytes()).map_err(|problem| source.invalid(problem))?;
    let mut shape = header.shape.clone();
    if header.fortran {
        shape = shape.dims().iter().rev().copied().collect();
    }
    let (dtype, turned) = (header.dtype, header.fortran && shape.rank() > 1);
    let source = source.clone();
    let array = Array::deferred(shape, dtype, Later { source, header })?;
    Ok(if turned { array.transpose(..)? } else { array })
}

/// The elements of a file that are read later.
struct Later {
    source: Source,
    header: Header,
}

impl Elements for Later {
    fn check(&self) -> olivine_core::Result<()> {
        let size = self.source.bytes().len() as u64;
        self.header
            .check_size(size)
            .map_err(|problem| unread(&self.source.invalid(problem)))
    }

    fn read(&self, target: &mut [u8]) -> olivine_core::Result<()> {
        let Header {
            length,
            dtype,
            swapped,
            ..
        } = self.header;
        self.source
            .read_elements(length, dtype, swapped, target)
            .map_err(|problem| unread(&problem.of_file(&self.source)))
    }
}

fn unread(error: &Error) -> olivine_core::Error {
    let reason = error.to_string();
    olivine_core::Error::Read { reason }
}

/// The array of a checked header; the file in NumPy's format starts `begin` bytes into the source.
pub(crate) fn array(
    source: &Source,
    header: &Header,
    begin: usize,
) -> std::result::Result<Array, ArrayProblem> {
    let mut shape = header.shape.clone();
    if header.fortran {
        // Column-major elements are row-major elements of the transposed array.
        shape = shape.dims().iter().rev().copied().collect();
    }
    let array = source.array(&Place {
        begin: begin + header.length,
        shape,
        dtype: header.dtype,
        swapped: header.swapped,
    })?;
    if header.fortran && array.ndim() > 1 {
        return array.transpose(..).map_err(ArrayProblem::Array);
    }
    Ok(array)
}

/// Writes an array to a `.npy` file, which appears whole or not at all.
///
/// NumPy reads it; see [`load_npy`] for `bfloat16`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npy");
/// olivine_io::save_npy(&path, &array!([1, 2]))?;
/// assert_eq!(olivine_io::load_npy(&path)?.to_vec::<i32>()?, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_npy(path: impl AsRef<Path>, array: &Array) -> Result<()> {
    let path = path.as_ref();
    let header = Header::of(array).map_err(|problem| Error::file(path, problem))?;
    atomically(path, |writer| write(writer, path, &header, array))
}

/// Writes an array in NumPy's format to any writer.
///
/// ```
/// # use olivine_cpu as _;
/// let mut bytes = Vec::new();
/// olivine_io::write_npy(&mut bytes, &olivine_core::Array::scalar(1.5f32))?;
/// assert!(bytes.starts_with(b"\x93NUMPY\x01\0"));
/// assert_eq!(bytes.len(), 64 * 2 + 4);
/// # Ok::<(), olivine_io::Error>(())
/// ```
pub fn write_npy(mut writer: impl Write, array: &Array) -> Result<()> {
    let path = Path::new("<writer>");
    let header = Header::of(array).map_err(|problem| Error::file(path, problem))?;
    write(&mut writer, path, &header, array)
}

fn write(writer: &mut dyn Write, path: &Path, header: &[u8], array: &Array) -> Result<()> {
    writer
        .write_all(header)
        .map_err(|error| Error::io(path, "write", error))?;
    write_elements(writer, array).map_err(|problem| problem.of_file(path))
}

/// The bytes that an array in NumPy's format begins with.
pub(crate) fn header(array: &Array) -> std::result::Result<Vec<u8>, FileProblem> {
    Header::of(array)
}
