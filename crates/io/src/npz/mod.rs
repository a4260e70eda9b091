//! Owns NumPy's format for several arrays: zip archives of `.npy` files, named `.npz`.

mod save;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io::{Cursor, Read},
    path::Path,
};

use olivine_core::Array;
use zip::{CompressionMethod, ZipArchive, result::ZipError};

pub use self::save::{Compression, savez, savez_compressed, write_npz};
use crate::{
    Error, FileProblem, Result, TensorProblem,
    npy::{self, Header},
    source::Source,
};

/// What the names of arrays in an archive end with.
const SUFFIX: &str = ".npy";

/// No compressed byte of a deflated stream becomes more bytes than this.
const LARGEST_EXPANSION: u64 = 1032;

/// An open `.npz` archive, whose arrays are made when asked for.
///
/// Arrays keep the archive's memory alive if they need it; this handle may be dropped before them.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Compression, Npz, Source, write_npz};
/// let mut bytes = Vec::new();
/// write_npz(&mut bytes, [("w", array!([1.0, 2.0]))], Compression::Stored)?;
/// let file = Npz::new(Source::from_bytes(bytes))?;
/// assert_eq!(file.array("w")?.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Npz {
    source: Source,
    archive: ZipArchive<Cursor<Bytes>>,
    names: Vec<String>,
    /// From an array's name to its number in the archive.
    numbers: HashMap<String, usize>,
}

/// The whole archive, as the zip reader wants to see it.
#[derive(Clone)]
struct Bytes(Source);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Opens a `.npz` archive by memory map.
///
/// Stored arrays view the map where they are aligned, as [`savez`] writes them; deflated ones
/// are unpacked, and checked by their checksums, each time they are asked for.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_io::{load_npz, savez_compressed};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("data.npz");
/// savez_compressed(&path, [("x", Array::scalar(1.5f32)), ("y", Array::scalar(2i32))])?;
/// let file = load_npz(&path)?;
/// assert_eq!(file.names().collect::<Vec<_>>(), ["x", "y"]);
/// assert_eq!(file.array("x")?.item::<f32>()?, 1.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_npz(path: impl AsRef<Path>) -> Result<Npz> {
    Npz::new(Source::open(path)?)
}

impl Npz {
    /// Reads an archive from what was opened. Members that are no `.npy` files are passed over.
    ///
    /// ```
    /// use olivine_io::{Npz, Source};
    /// assert!(Npz::new(Source::from_bytes(&b"no archive"[..])).is_err());
    /// ```
    pub fn new(source: Source) -> Result<Npz> {
        let reader = Cursor::new(Bytes(source.clone()));
        let invalid = |error: ZipError| source.invalid(archive_problem(&error));
        let archive = ZipArchive::new(reader).map_err(invalid)?;
        let (mut names, mut numbers) = (Vec::new(), HashMap::new());
        for number in 0..archive.len() {
            let Some(member) = archive.name_for_index(number) else {
                continue;
            };
            let member = member.map_err(|error| source.invalid(archive_problem(&error)))?;
            let Some(name) = member.strip_suffix(SUFFIX) else {
                continue;
            };
            if numbers.insert(name.to_owned(), number).is_some() {
                return Err(source.invalid_tensor(name, TensorProblem::Duplicate));
            }
            names.push(name.to_owned());
        }
        Ok(Npz {
            source,
            archive,
            names,
            numbers,
        })
    }

    /// The names of the arrays, in the order of the archive.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Compression, Npz, Source, write_npz};
    /// let mut bytes = Vec::new();
    /// write_npz(&mut bytes, [("w", array!([1.0, 2.0]))], Compression::Stored)?;
    /// let file = Npz::new(Source::from_bytes(bytes))?;
    /// assert_eq!(file.names().collect::<Vec<_>>(), ["w"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The number of arrays.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Compression, Npz, Source, write_npz};
    /// let mut bytes = Vec::new();
    /// write_npz(&mut bytes, [("w", array!([1.0, 2.0]))], Compression::Stored)?;
    /// let file = Npz::new(Source::from_bytes(bytes))?;
    /// assert_eq!(file.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True if the archive has no arrays.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Compression, Npz, Source, write_npz};
    /// let mut bytes = Vec::new();
    /// write_npz(&mut bytes, [("w", array!([1.0, 2.0]))], Compression::Stored)?;
    /// let file = Npz::new(Source::from_bytes(bytes))?;
    /// assert!(!file.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The archive's path; `<bytes>` or `<reader>` if it is no file.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Compression, Npz, Source, write_npz};
    /// let mut bytes = Vec::new();
    /// write_npz(&mut bytes, [("w", array!([1.0, 2.0]))], Compression::Stored)?;
    /// let file = Npz::new(Source::from_bytes(bytes))?;
    /// assert_eq!(file.path().to_str(), Some("<bytes>"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// The array of this name.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Compression, Npz, Source, write_npz};
    /// let mut bytes = Vec::new();
    /// write_npz(&mut bytes, [("w", array!([1.0, 2.0]))], Compression::Stored)?;
    /// let file = Npz::new(Source::from_bytes(bytes))?;
    /// assert_eq!(file.array("w")?.to_vec::<f32>()?, [1.0, 2.0]);
    /// assert!(file.array("v").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn array(&self, name: &str) -> Result<Array> {
        let Some(&number) = self.numbers.get(name) else {
            return Err(self.source.invalid_tensor(name, TensorProblem::Missing));
        };
        let invalid = |problem| self.invalid(name, problem);
        let failed = |error: ZipError| invalid(archive_problem(&error));
        // Cheap: the directory is shared, and the source too.
        let mut archive = self.archive.clone();
        let member = archive.by_index_raw(number).map_err(failed)?;
        if member.encrypted() {
            let reason = "it is encrypted".to_owned();
            return Err(invalid(FileProblem::Archive { reason }));
        }
        let size = member.size();
        if member.compression() == CompressionMethod::Stored {
            let begin = member.data_start().and_then(|at| usize::try_from(at).ok());
            let end = begin.and_then(|begin| begin.checked_add(usize::try_from(size).ok()?));
            let place = begin.zip(end);
            let Some((begin, bytes)) =
                place.and_then(|(a, b)| Some((a, self.source.bytes().get(a..b)?)))
            else {
                return Err(invalid(FileProblem::Truncated {
                    what: "the stored array",
                    needed: size,
                    available: self.source.bytes().len() as u64,
                }));
            };
            let header = Header::parse(bytes).map_err(invalid)?;
            header.check_size(size).map_err(invalid)?;
            return npy::array(&self.source, &header, begin)
                .map_err(|problem| problem.of_tensor(&self.source, name, header.dtype));
        }
        if size / LARGEST_EXPANSION > member.compressed_size() {
            return Err(invalid(FileProblem::Truncated {
                what: "the deflated array",
                needed: size / LARGEST_EXPANSION,
                available: member.compressed_size(),
            }));
        }
        drop(member);
        let mut bytes = Vec::new();
        archive
            .by_index(number)
            .map_err(failed)?
            .read_to_end(&mut bytes)
            .map_err(|error| {
                let reason = error.to_string();
                invalid(FileProblem::Archive { reason })
            })?;
        let header = Header::parse(&bytes).map_err(invalid)?;
        header.check_size(bytes.len() as u64).map_err(invalid)?;
        let unpacked = Source::named(bytes, self.source.path());
        npy::array(&unpacked, &header, 0)
            .map_err(|problem| problem.of_tensor(&self.source, name, header.dtype))
    }

    /// All arrays with their names, in the order of the archive.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Compression, Npz, Source, write_npz};
    /// let mut bytes = Vec::new();
    /// write_npz(&mut bytes, [("w", array!([1.0, 2.0]))], Compression::Stored)?;
    /// let file = Npz::new(Source::from_bytes(bytes))?;
    /// for item in file.arrays() {
    ///     let (name, array) = item?;
    ///     assert_eq!((name, array.size()), ("w", 2));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arrays(&self) -> impl ExactSizeIterator<Item = Result<(&str, Array)>> {
        self.names
            .iter()
            .map(|name| Ok((name.as_str(), self.array(name)?)))
    }

    fn invalid(&self, name: &str, problem: FileProblem) -> Error {
        self.source
            .invalid_tensor(name, TensorProblem::Member(problem))
    }
}

impl std::fmt::Debug for Npz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Npz")
            .field("path", &self.path())
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

fn archive_problem(error: &ZipError) -> FileProblem {
    FileProblem::Archive {
        reason: error.to_string(),
    }
}
