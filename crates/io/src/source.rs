//! Owns the bytes of an opened file: mapped, read or given; and how arrays view or copy them.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::Path,
    ptr::NonNull,
    sync::Arc,
};

use memmap2::Mmap;
use olivine_core::{Array, Buffer, Dtype, HostBuffer, Shape};

use crate::{Error, FileProblem, Result, TensorProblem, error::Problem};

/// The bytes of a file, whatever its format.
///
/// Arrays made from it view its memory where their layout allows and keep it alive.
///
/// ```
/// use olivine_io::{Source, write_npy, read_npy};
/// use olivine_core::Array;
/// # use olivine_cpu as _;
/// let mut bytes = Vec::new();
/// write_npy(&mut bytes, &Array::scalar(3i32))?;
/// let source = Source::from_reader(&bytes[..])?;
/// assert_eq!(read_npy(&source)?.item::<i32>()?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Source {
    path: Arc<Path>,
    /// The whole file.
    pub(crate) memory: Arc<dyn Buffer>,
    /// The file behind the memory, if there is one.
    file: Option<Arc<File>>,
    /// The map that the memory is of, if it is.
    map: Option<Arc<Mmap>>,
}

/// A map whose bytes others hold, too.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Source {
    /// Maps a file into memory.
    ///
    /// While arrays view the file, nobody may shorten it or write to it; replacing it, as this
    /// crate's functions that save do, is fine.
    ///
    /// ```
    /// let error = olivine_io::Source::open("/nowhere/weights.npy").unwrap_err();
    /// assert!(error.to_string().contains("weights.npy"));
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Source> {
        let path = path.as_ref();
        let failed = |action| move |error| Error::io(path, action, error);
        // Asked before opening, because opening a pipe waits for its writer.
        let facts = std::fs::metadata(path).map_err(failed("open"))?;
        if !facts.is_file() {
            return Err(Error::file(path, FileProblem::NotRegular));
        }
        let file = File::open(path).map_err(failed("open"))?;
        if facts.len() == 0 {
            // Nothing to map, which some systems refuse.
            return Ok(Source::share(path, Vec::new(), Some(file)));
        }
        // SAFETY: the map is read-only and private to us. That others leave the file alone cannot
        // be enforced; it is asked for above, as every program that maps files must.
        let map = Arc::new(unsafe { Mmap::map(&file) }.map_err(failed("map"))?);
        Ok(Source {
            map: Some(map.clone()),
            ..Source::share(path, Mapped(map), Some(file))
        })
    }

    /// A file that is in memory already: embedded in the program, or downloaded.
    ///
    /// ```
    /// use olivine_io::Source;
    /// static FILE: &[u8] = b"embedded";
    /// assert_eq!(Source::from_bytes(FILE).bytes(), b"embedded");
    /// ```
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Source {
        Source::share(Path::new("<bytes>"), bytes, None)
    }

    /// As [`Source::from_bytes`], with a name for messages.
    pub fn from_named_bytes(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        name: impl AsRef<Path>,
    ) -> Source {
        Source::share(name.as_ref(), bytes, None)
    }

    /// Reads all that a reader has.
    ///
    /// ```
    /// use olivine_io::Source;
    /// let source = Source::from_reader(&b"a stream"[..])?;
    /// assert_eq!(source.bytes(), b"a stream");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_reader(mut reader: impl Read) -> Result<Source> {
        let mut bytes = Vec::new();
        let path = Path::new("<reader>");
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io(path, "read", error))?;
        Ok(Source::share(path, bytes, None))
    }

    /// The same bytes under a name for messages.
    pub(crate) fn named(bytes: Vec<u8>, path: &Path) -> Source {
        Source::share(path, bytes, None)
    }

    fn share(
        path: &Path,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        file: Option<File>,
    ) -> Source {
        let owner = Arc::new(bytes);
        let bytes: &[u8] = (*owner).as_ref();
        let start = NonNull::from(bytes).cast();
        // SAFETY: the slice borrows from what the owner holds, which nobody can reach to change.
        let memory = unsafe { HostBuffer::share(start, bytes.len(), Box::new(owner.clone())) };
        Source {
            path: path.into(),
            memory,
            file: file.map(Arc::new),
            map: None,
        }
    }

    /// The file's path; `<bytes>` or `<reader>` if it is none.
    ///
    /// ```
    /// use olivine_io::Source;
    /// assert_eq!(Source::from_bytes(vec![0]).path().to_str(), Some("<bytes>"));
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All bytes.
    ///
    /// ```
    /// use olivine_io::Source;
    /// assert_eq!(Source::from_bytes(vec![1, 2, 3]).bytes(), [1, 2, 3]);
    /// ```
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer's memory is readable, unchanging, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.memory.host().as_ptr(), self.memory.bytes()) }
    }

    /// Gives back the memory of what was copied and is hardly needed again. If it is, it is read from the file
    /// anew.
    pub(crate) fn release(&self, range: Range<usize>) {
        #[cfg(all(unix, not(miri)))]
        if let Some(map) = &self.map {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: nobody writes to the map, so the file has all that it holds.
            let advised = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
            // Memory that stays is no error.
            drop(advised);
        }
        #[cfg(not(all(unix, not(miri))))]
        let _ = range;
    }

    /// The error of a header that was refused.
    pub(crate) fn refused(&self, problem: Problem) -> Error {
        match problem {
            Problem::File(problem) => self.invalid(problem),
            Problem::Tensor(tensor, problem) => self.invalid_tensor(&tensor, problem),
        }
    }

    pub(crate) fn invalid(&self, problem: FileProblem) -> Error {
        Error::file(&self.path, problem)
    }

    pub(crate) fn invalid_tensor(&self, tensor: &str, problem: TensorProblem) -> Error {
        Error::Tensor {
            file: self.path.to_path_buf(),
            tensor: tensor.to_owned(),
            problem,
        }
    }

    /// The array whose row-major elements lie at `place`, which the caller has checked to be inside.
    ///
    /// Views the memory unless truth values must be checked, bytes swapped or elements aligned.
    pub(crate) fn array(&self, place: &Place) -> std::result::Result<Array, ArrayProblem> {
        let Place { begin, dtype, .. } = *place;
        let address = self.memory.host().as_ptr() as usize + begin;
        let copied = dtype == Dtype::Bool || place.swapped || !address.is_multiple_of(dtype.size());
        let (buffer, offset) = if copied {
            (self.copy(place)?, 0)
        } else {
            (self.memory.clone(), begin)
        };
        // SAFETY: `from_buffer` checks that the elements lie in the buffer. Every pattern of bits is
        // a valid number, and truth values were checked in `copy`.
        unsafe { Array::from_buffer(buffer, offset, place.shape.clone(), dtype) }
            .map_err(ArrayProblem::Array)
    }

    /// Reads an array into memory of its own, aligned for every dtype.
    fn copy(&self, place: &Place) -> std::result::Result<Arc<dyn Buffer>, ArrayProblem> {
        let bytes = place.shape.elements() * place.dtype.size();
        let mut words = words(bytes).ok_or(ArrayProblem::OutOfMemory { bytes })?;
        let start = NonNull::from(words.as_mut_slice()).cast::<u8>();
        // SAFETY: the words are initialised, at least `bytes` bytes long, and borrowed by nobody
        // else while this slice is in use.
        let target = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), bytes) };
        self.read_elements(place.begin, place.dtype, place.swapped, target)?;
        Ok(owned(words, bytes))
    }

    /// Reads elements from a place that the caller has checked to be inside, and checks truth values.
    pub(crate) fn read_elements(
        &self,
        begin: usize,
        dtype: Dtype,
        swapped: bool,
        target: &mut [u8],
    ) -> std::result::Result<(), ArrayProblem> {
        self.read(begin, target).map_err(ArrayProblem::Io)?;
        if swapped {
            // Both halves of a complex number are swapped by themselves.
            let unit = match dtype {
                Dtype::Complex64 => 4,
                dtype => dtype.size(),
            };
            target.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
        }
        if dtype == Dtype::Bool
            && let Some(index) = target.iter().position(|&byte| byte > 1)
        {
            let value = target[index];
            return Err(ArrayProblem::NotBool { index, value });
        }
        Ok(())
    }

    /// Copies bytes. From the file if possible: pages of the map that were touched would stay
    /// resident beside the copy.
    fn read(&self, begin: usize, target: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(file) = &self.file {
            return std::os::unix::fs::FileExt::read_exact_at(&**file, target, begin as u64);
        }
        target.copy_from_slice(&self.bytes()[begin..begin + target.len()]);
        Ok(())
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("path", &self.path)
            .field("bytes", &self.memory.bytes())
            .finish_non_exhaustive()
    }
}

/// Zeros, aligned for every dtype, that hold at least `bytes`; `None` if memory ran out.
pub(crate) fn words(bytes: usize) -> Option<Vec<u64>> {
    let mut words: Vec<u64> = Vec::new();
    words.try_reserve_exact(bytes.div_ceil(8)).ok()?;
    words.resize(bytes.div_ceil(8), 0);
    Some(words)
}

/// The memory of words as a buffer of `bytes`, which they hold at least.
fn owned(mut words: Vec<u64>, bytes: usize) -> Arc<dyn Buffer> {
    debug_assert!(bytes <= words.len() * 8);
    let start = NonNull::from(words.as_mut_slice()).cast::<u8>();
    // SAFETY: the vector is moved but its words stay in place, and nobody else can reach them.
    unsafe { HostBuffer::share(start, bytes, Box::new(words)) }
}

/// An array whose elements' bytes `fill` writes into fresh memory.
///
/// For dtypes of which every pattern of bits is an element: all but `bool`.
pub(crate) fn filled(
    shape: Shape,
    dtype: Dtype,
    fill: impl FnOnce(&mut [u8]),
) -> std::result::Result<Array, ArrayProblem> {
    debug_assert!(dtype != Dtype::Bool);
    let bytes = shape.elements() * dtype.size();
    let mut words = words(bytes).ok_or(ArrayProblem::OutOfMemory { bytes })?;
    let start = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the words are initialised, at least `bytes` bytes long, and ours alone.
    fill(unsafe { std::slice::from_raw_parts_mut(start, bytes) });
    // SAFETY: the buffer has as many bytes as the elements take, and they are valid numbers.
    unsafe { Array::from_buffer(owned(words, bytes), 0, shape, dtype) }.map_err(ArrayProblem::Array)
}

/// Where an array lies in a file.
pub(crate) struct Place {
    /// The first byte.
    pub(crate) begin: usize,
    pub(crate) shape: Shape,
    pub(crate) dtype: Dtype,
    /// True if numbers are stored with their most significant byte first.
    pub(crate) swapped: bool,
}

/// Why no array could be made.
#[derive(Debug)]
pub(crate) enum ArrayProblem {
    NotBool { index: usize, value: u8 },
    OutOfMemory { bytes: usize },
    Io(io::Error),
    Array(olivine_core::Error),
}

impl ArrayProblem {
    /// The error of a tensor in a file of several.
    pub(crate) fn of_tensor(self, source: &Source, tensor: &str, dtype: Dtype) -> Error {
        let problem = match self {
            ArrayProblem::NotBool { index, value } => TensorProblem::NotBool { index, value },
            ArrayProblem::OutOfMemory { bytes } => TensorProblem::OutOfMemory { bytes, dtype },
            ArrayProblem::Io(error) => return Error::io(source.path(), "read", error),
            ArrayProblem::Array(error) => return error.into(),
        };
        source.invalid_tensor(tensor, problem)
    }

    /// The error of a file that is one array.
    pub(crate) fn of_file(self, source: &Source) -> Error {
        let problem = match self {
            ArrayProblem::NotBool { index, value } => FileProblem::NotBool { index, value },
            ArrayProblem::OutOfMemory { bytes } => FileProblem::OutOfMemory { bytes },
            ArrayProblem::Io(error) => return Error::io(source.path(), "read", error),
            ArrayProblem::Array(error) => return error.into(),
        };
        source.invalid(problem)
    }
}
