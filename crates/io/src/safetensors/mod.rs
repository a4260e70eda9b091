//! Owns reading safetensors files: arrays view the mapped file wherever its layout allows.

mod header;
mod save;

#[cfg(test)]
mod hostile_tests;
#[cfg(all(test, not(miri)))]
mod map_tests;
#[cfg(test)]
mod mutation_tests;
#[cfg(test)]
mod read_tests;
#[cfg(test)]
mod samples;
#[cfg(all(test, not(miri)))]
mod save_tests;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io,
    path::{Path, PathBuf},
    ptr::NonNull,
    sync::Arc,
};

use memmap2::Mmap;
use olivine_core::{Array, Buffer, Dtype, HostBuffer, Shape};

use self::header::{Entry, Problem};
pub use self::save::save_safetensors;
use crate::{Error, FileProblem, Result, TensorProblem};

/// What a file says about itself, by key.
pub type Metadata = BTreeMap<String, String>;

/// An open safetensors file, whose arrays are made when asked for.
///
/// Arrays keep the file's memory alive; this handle may be dropped before them.
pub struct SafeTensors {
    path: PathBuf,
    /// The whole file.
    memory: Arc<dyn Buffer>,
    /// The file behind the memory, if there is one.
    file: Option<File>,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    metadata: Metadata,
}

/// What a file states about one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// The sizes of its axes.
    pub shape: &'a Shape,
    /// Its element type; `None` if arrays cannot hold it.
    pub dtype: Option<Dtype>,
    /// The dtype as the file spells it, such as `BF16`.
    pub stored_dtype: &'static str,
    /// The bytes it takes in the file.
    pub bytes: usize,
}

/// Opens a safetensors file by memory map.
///
/// Only the header is read. Arrays view the map without a copy, except truth values, which are
/// checked, and tensors whose bytes do not lie at a multiple of their element size, which are read
/// into memory of their own. While arrays view the file, nobody may shorten it or write to it;
/// replacing it, as [`save_safetensors`] does, is fine.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_io::{Metadata, load_safetensors, save_safetensors};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.safetensors");
/// let bias = Array::from_slice(&[1.0f32, 2.0], [2])?;
/// save_safetensors(&path, [("bias", &bias)], &Metadata::new())?;
///
/// let file = load_safetensors(&path)?;
/// assert_eq!(file.names().collect::<Vec<_>>(), ["bias"]);
/// assert_eq!(file.array("bias")?.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<SafeTensors> {
    let path = path.as_ref();
    let failed = |action| {
        move |error| Error::Io {
            file: path.to_owned(),
            action,
            source: Arc::new(error),
        }
    };
    let invalid = |problem| Error::File {
        file: path.to_owned(),
        problem,
    };
    // Asked before opening, because opening a pipe waits for its writer.
    let facts = std::fs::metadata(path).map_err(failed("open"))?;
    if !facts.is_file() {
        return Err(invalid(FileProblem::NotRegular));
    }
    if facts.len() < header::PREFIX as u64 {
        let bytes = facts.len() as usize;
        return Err(invalid(FileProblem::TooShort { bytes }));
    }
    let file = File::open(path).map_err(failed("open"))?;
    // SAFETY: the map is read-only and private to us. That others leave the file alone cannot be
    // enforced; it is asked for above, as every program that maps files must.
    let map = unsafe { Mmap::map(&file) }.map_err(failed("map"))?;
    SafeTensors::new(path.to_owned(), map, Some(file))
}

impl SafeTensors {
    /// Reads a safetensors file that is in memory already: embedded in the program, or downloaded.
    ///
    /// Arrays view the bytes as they view a mapped file; see [`load_safetensors`].
    ///
    /// ```
    /// use olivine_io::SafeTensors;
    /// static FILE: &[u8] = b"\x3f\0\0\0\0\0\0\0\
    ///     {\"answer\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}      }\x2a";
    /// let answer = SafeTensors::from_bytes(FILE)?.array("answer")?;
    /// assert_eq!(answer.item::<u8>()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<SafeTensors> {
        SafeTensors::new(PathBuf::from("<bytes>"), bytes, None)
    }

    fn new(
        path: PathBuf,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        file: Option<File>,
    ) -> Result<SafeTensors> {
        let owner = Arc::new(bytes);
        let bytes: &[u8] = (*owner).as_ref();
        let header = header::parse(bytes).map_err(|problem| match problem {
            Problem::File(problem) => Error::File {
                file: path.clone(),
                problem,
            },
            Problem::Tensor(tensor, problem) => Error::Tensor {
                file: path.clone(),
                tensor,
                problem,
            },
        })?;
        let start = NonNull::from(bytes).cast();
        // SAFETY: the slice borrows from what the owner holds, which nobody can reach to change.
        let memory = unsafe { HostBuffer::share(start, bytes.len(), Box::new(owner.clone())) };
        let names = header.entries.iter().enumerate();
        Ok(SafeTensors {
            path,
            memory,
            file,
            by_name: names.map(|(i, entry)| (entry.name.clone(), i)).collect(),
            entries: header.entries,
            metadata: header.metadata,
        })
    }

    /// The names of the tensors, in the order of their bytes in the file.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if the file has no tensors.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the file says about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The file's path; `<bytes>` if it was given as bytes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file states about a tensor, if it has one of this name.
    pub fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let entry = &self.entries[*self.by_name.get(name)?];
        Some(TensorInfo {
            shape: &entry.shape,
            dtype: entry.stored.dtype,
            stored_dtype: entry.stored.name,
            bytes: entry.bytes,
        })
    }

    /// The tensor of this name.
    ///
    /// Fails if there is none, if arrays cannot hold its dtype, or if it holds truth values other
    /// than 0 and 1.
    pub fn array(&self, name: &str) -> Result<Array> {
        match self.by_name.get(name) {
            Some(&i) => self.array_at(&self.entries[i]),
            None => Err(self.invalid(name, TensorProblem::Missing)),
        }
    }

    /// All tensors with their names, in the order of their bytes in the file.
    pub fn arrays(&self) -> impl ExactSizeIterator<Item = Result<(&str, Array)>> {
        self.entries
            .iter()
            .map(|entry| Ok((entry.name.as_str(), self.array_at(entry)?)))
    }

    fn array_at(&self, entry: &Entry) -> Result<Array> {
        let stored = entry.stored;
        let dtype = stored.dtype.ok_or_else(|| {
            let dtype = stored.name;
            self.invalid(&entry.name, TensorProblem::UnsupportedDtype { dtype })
        })?;
        let address = self.memory.host().as_ptr() as usize + entry.begin;
        let (buffer, offset) = if dtype == Dtype::Bool || !address.is_multiple_of(dtype.size()) {
            (self.copy(entry, dtype)?, 0)
        } else {
            (self.memory.clone(), entry.begin)
        };
        // SAFETY: the header's check gave the tensor as many bytes as its shape and dtype take.
        // Every pattern of bits is a valid number, and truth values were checked in `copy`.
        Ok(unsafe { Array::from_buffer(buffer, offset, entry.shape.clone(), dtype) }?)
    }

    /// Reads a tensor into memory of its own, aligned for every dtype.
    fn copy(&self, entry: &Entry, dtype: Dtype) -> Result<Arc<dyn Buffer>> {
        let bytes = entry.bytes;
        let mut words: Vec<u64> = Vec::new();
        words
            .try_reserve_exact(bytes.div_ceil(8))
            .map_err(|_| self.invalid(&entry.name, TensorProblem::OutOfMemory { bytes, dtype }))?;
        words.resize(bytes.div_ceil(8), 0);
        let start = NonNull::from(words.as_mut_slice()).cast::<u8>();
        // SAFETY: the words are initialised, at least `bytes` bytes long, and borrowed by nobody
        // else while this slice is in use.
        let target = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), bytes) };
        self.read(entry, target).map_err(|error| Error::Io {
            file: self.path.clone(),
            action: "read",
            source: Arc::new(error),
        })?;
        if dtype == Dtype::Bool
            && let Some(index) = target.iter().position(|&byte| byte > 1)
        {
            let value = target[index];
            return Err(self.invalid(&entry.name, TensorProblem::NotBool { index, value }));
        }
        // SAFETY: the vector is moved but its words stay in place, and nobody else can reach them.
        Ok(unsafe { HostBuffer::share(start, bytes, Box::new(words)) })
    }

    /// Copies a tensor's bytes. From the file if possible: pages of the map that were touched would
    /// stay resident beside the copy.
    fn read(&self, entry: &Entry, target: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(file) = &self.file {
            return std::os::unix::fs::FileExt::read_exact_at(file, target, entry.begin as u64);
        }
        // SAFETY: the header's check found the tensor's bytes inside the file, whose memory is
        // readable while we hold it.
        let source = unsafe {
            let start = self.memory.host().as_ptr().add(entry.begin);
            std::slice::from_raw_parts(start, entry.bytes)
        };
        target.copy_from_slice(source);
        Ok(())
    }

    fn invalid(&self, tensor: &str, problem: TensorProblem) -> Error {
        Error::Tensor {
            file: self.path.clone(),
            tensor: tensor.to_owned(),
            problem,
        }
    }
}

impl std::fmt::Debug for SafeTensors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SafeTensors")
            .field("path", &self.path)
            .field("tensors", &self.entries.len())
            .finish_non_exhaustive()
    }
}
