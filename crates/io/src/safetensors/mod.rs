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
pub(crate) mod samples;
#[cfg(all(test, not(miri)))]
mod save_tests;

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    path::Path,
};

use olivine_core::{Array, Dtype, Shape};

use self::header::Entry;
pub use self::save::{save_safetensors, write_safetensors};
use crate::{
    Error, Result, TensorProblem,
    source::{Place, Source},
};

/// What a file says about itself, by key.
pub type Metadata = BTreeMap<String, String>;

/// An open safetensors file, whose arrays are made when asked for.
///
/// Arrays keep the file's memory alive; this handle may be dropped before them.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Metadata, SafeTensors, write_safetensors};
/// let mut bytes = Vec::new();
/// let metadata = Metadata::from([("format".into(), "pt".into())]);
/// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
/// let file = SafeTensors::from_bytes(bytes)?;
/// assert_eq!(file.array("w")?.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SafeTensors {
    source: Source,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    metadata: Metadata,
}

/// What a file states about one tensor.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Metadata, SafeTensors, write_safetensors};
/// let mut bytes = Vec::new();
/// let metadata = Metadata::from([("format".into(), "pt".into())]);
/// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
/// let file = SafeTensors::from_bytes(bytes)?;
/// let info: olivine_io::TensorInfo = file.info("w").expect("it is there");
/// assert_eq!((info.stored_dtype, info.bytes), ("F32", 8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    SafeTensors::new(Source::open(path)?)
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
        SafeTensors::new(Source::from_bytes(bytes))
    }

    /// Reads a safetensors file from a reader, to its end.
    ///
    /// ```
    /// use olivine_io::SafeTensors;
    /// let file: &[u8] = b"\x02\0\0\0\0\0\0\0{}";
    /// assert!(SafeTensors::from_reader(file)?.is_empty());
    /// # Ok::<(), olivine_io::Error>(())
    /// ```
    pub fn from_reader(reader: impl Read) -> Result<SafeTensors> {
        SafeTensors::new(Source::from_reader(reader)?)
    }

    /// Reads a safetensors file from what was opened.
    ///
    /// ```
    /// use olivine_io::{SafeTensors, Source};
    /// assert!(SafeTensors::new(Source::from_bytes(&b"short"[..])).is_err());
    /// ```
    pub fn new(source: Source) -> Result<SafeTensors> {
        let header = header::parse(source.bytes()).map_err(|problem| source.refused(problem))?;
        let names = header.entries.iter().enumerate();
        Ok(SafeTensors {
            source,
            by_name: names.map(|(i, entry)| (entry.name.clone(), i)).collect(),
            entries: header.entries,
            metadata: header.metadata,
        })
    }

    /// The names of the tensors, in the order of their bytes in the file.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Metadata, SafeTensors, write_safetensors};
    /// let mut bytes = Vec::new();
    /// let metadata = Metadata::from([("format".into(), "pt".into())]);
    /// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = SafeTensors::from_bytes(bytes)?;
    /// assert_eq!(file.names().collect::<Vec<_>>(), ["w"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The number of tensors.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Metadata, SafeTensors, write_safetensors};
    /// let mut bytes = Vec::new();
    /// let metadata = Metadata::from([("format".into(), "pt".into())]);
    /// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = SafeTensors::from_bytes(bytes)?;
    /// assert_eq!(file.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if the file has no tensors.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Metadata, SafeTensors, write_safetensors};
    /// let mut bytes = Vec::new();
    /// let metadata = Metadata::from([("format".into(), "pt".into())]);
    /// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = SafeTensors::from_bytes(bytes)?;
    /// assert!(!file.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the file says about itself.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Metadata, SafeTensors, write_safetensors};
    /// let mut bytes = Vec::new();
    /// let metadata = Metadata::from([("format".into(), "pt".into())]);
    /// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = SafeTensors::from_bytes(bytes)?;
    /// assert_eq!(file.metadata()["format"], "pt");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The file's path; `<bytes>` if it was given as bytes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Metadata, SafeTensors, write_safetensors};
    /// let mut bytes = Vec::new();
    /// let metadata = Metadata::from([("format".into(), "pt".into())]);
    /// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = SafeTensors::from_bytes(bytes)?;
    /// assert_eq!(file.path().to_str(), Some("<bytes>"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// What the file states about a tensor, if it has one of this name.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Metadata, SafeTensors, write_safetensors};
    /// let mut bytes = Vec::new();
    /// let metadata = Metadata::from([("format".into(), "pt".into())]);
    /// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = SafeTensors::from_bytes(bytes)?;
    /// assert_eq!(file.info("w").expect("it is there").shape.dims(), &[2]);
    /// assert!(file.info("v").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Metadata, SafeTensors, write_safetensors};
    /// let mut bytes = Vec::new();
    /// let metadata = Metadata::from([("format".into(), "pt".into())]);
    /// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = SafeTensors::from_bytes(bytes)?;
    /// assert_eq!(file.array("w")?.to_vec::<f32>()?, [1.0, 2.0]);
    /// assert!(file.array("v").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn array(&self, name: &str) -> Result<Array> {
        match self.by_name.get(name) {
            Some(&i) => self.array_at(&self.entries[i]),
            None => Err(self.invalid(name, TensorProblem::Missing)),
        }
    }

    /// All tensors with their names, in the order of their bytes in the file.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Metadata, SafeTensors, write_safetensors};
    /// let mut bytes = Vec::new();
    /// let metadata = Metadata::from([("format".into(), "pt".into())]);
    /// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = SafeTensors::from_bytes(bytes)?;
    /// for item in file.arrays() {
    ///     let (name, array) = item?;
    ///     assert_eq!((name, array.size()), ("w", 2));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        let place = Place {
            begin: entry.begin,
            shape: entry.shape.clone(),
            dtype,
            swapped: false,
        };
        self.source
            .array(&place)
            .map_err(|problem| problem.of_tensor(&self.source, &entry.name, dtype))
    }

    fn invalid(&self, tensor: &str, problem: TensorProblem) -> Error {
        self.source.invalid_tensor(tensor, problem)
    }
}

impl std::fmt::Debug for SafeTensors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SafeTensors")
            .field("path", &self.path())
            .field("tensors", &self.entries.len())
            .finish_non_exhaustive()
    }
}
