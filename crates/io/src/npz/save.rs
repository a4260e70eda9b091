//! Owns writing `.npz` archives: whole or not at all.

use std::{
    borrow::Borrow,
    collections::HashSet,
    io::{self, Write},
    path::Path,
};

use olivine_core::Array;
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

use super::SUFFIX;
use crate::{
    Error, FileProblem, Result, TensorProblem, npy,
    write::{atomically, write_elements},
};

/// How the arrays of an archive are kept.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_io::{Compression, write_npz};
/// let x = Array::zeros([1000], Dtype::Float32)?;
/// let (mut plain, mut small) = (Vec::new(), Vec::new());
/// write_npz(&mut plain, [("x", &x)], Compression::Stored)?;
/// write_npz(&mut small, [("x", &x)], Compression::Deflated)?;
/// assert!(small.len() * 5 < plain.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are: large but quick, and viewed in place when loaded.
    #[default]
    Stored,
    /// Deflated: smaller.
    Deflated,
}

/// Stored elements start at a multiple of this, so that they can be viewed in place.
const ALIGNMENT: u16 = 64;

/// Larger members need the zip format's 64-bit fields. Deflating may add a little.
const LARGE: usize = u32::MAX as usize - (1 << 24);

/// Writes arrays to an uncompressed `.npz` archive, which appears whole or not at all.
///
/// NumPy's `load` reads it. Fails if a name occurs twice or an array cannot be computed.
///
/// ```
/// # use olivine_cpu as _;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("data.npz");
/// let x = olivine_core::Array::from_slice(&[1i32, 2, 3], [3])?;
/// olivine_io::savez(&path, [("x", &x)])?;
/// assert_eq!(olivine_io::load_npz(&path)?.array("x")?.to_vec::<i32>()?, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn savez<N: AsRef<str>, A: Borrow<Array>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Result<()> {
    save(path.as_ref(), arrays, Compression::Stored)
}

/// Writes arrays to a deflated `.npz` archive, which appears whole or not at all; see [`savez`].
///
/// ```
/// # use olivine_cpu as _;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("data.npz");
/// use olivine_core::{Array, Dtype};
/// olivine_io::savez_compressed(&path, [("x", Array::zeros([1000], Dtype::Float32)?)])?;
/// assert!(std::fs::metadata(&path)?.len() < 400);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn savez_compressed<N: AsRef<str>, A: Borrow<Array>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Result<()> {
    save(path.as_ref(), arrays, Compression::Deflated)
}

fn save<N: AsRef<str>, A: Borrow<Array>>(
    path: &Path,
    arrays: impl IntoIterator<Item = (N, A)>,
    compression: Compression,
) -> Result<()> {
    atomically(path, |writer| {
        let writer = write_archive(ZipWriter::new(writer), path, arrays, compression)?;
        writer.finish().map_err(|error| failed(path, error))?;
        Ok(())
    })
}

/// Writes arrays as a `.npz` archive to any writer.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_io::{Compression, Npz, Source, write_npz};
/// let mut bytes = Vec::new();
/// write_npz(&mut bytes, [("x", Array::scalar(7u8))], Compression::Deflated)?;
/// let file = Npz::new(Source::from_bytes(bytes))?;
/// assert_eq!(file.array("x")?.item::<u8>()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npz<N: AsRef<str>, A: Borrow<Array>>(
    writer: impl Write,
    arrays: impl IntoIterator<Item = (N, A)>,
    compression: Compression,
) -> Result<()> {
    let path = Path::new("<writer>");
    let writer = write_archive(ZipWriter::new_stream(writer), path, arrays, compression)?;
    writer.finish().map_err(|error| failed(path, error))?;
    Ok(())
}

fn write_archive<W: Write + io::Seek, N: AsRef<str>, A: Borrow<Array>>(
    mut writer: ZipWriter<W>,
    path: &Path,
    arrays: impl IntoIterator<Item = (N, A)>,
    compression: Compression,
) -> Result<ZipWriter<W>> {
    let mut names = HashSet::new();
    for (name, array) in arrays {
        let (name, array) = (name.as_ref(), array.borrow());
        let invalid = |problem| Error::Tensor {
            file: path.to_owned(),
            tensor: name.to_owned(),
            problem,
        };
        if !names.insert(name.to_owned()) {
            return Err(invalid(TensorProblem::Duplicate));
        }
        let header = npy::header(array).map_err(|p| invalid(TensorProblem::Member(p)))?;
        let options = SimpleFileOptions::DEFAULT.large_file(array.nbytes() >= LARGE);
        let options = match compression {
            Compression::Stored => options
                .compression_method(CompressionMethod::Stored)
                .with_alignment(ALIGNMENT),
            Compression::Deflated => options.compression_method(CompressionMethod::Deflated),
        };
        writer
            .start_file(format!("{name}{SUFFIX}"), options)
            .map_err(|error| failed(path, error))?;
        writer
            .write_all(&header)
            .map_err(|error| Error::io(path, "write", error))?;
        write_elements(&mut writer, array).map_err(|problem| problem.of_tensor(path, name))?;
    }
    Ok(writer)
}

fn failed(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => Error::io(path, "write", error),
        other => Error::file(
            path,
            FileProblem::Archive {
                reason: other.to_string(),
            },
        ),
    }
}
