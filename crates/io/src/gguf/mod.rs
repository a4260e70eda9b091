//! Owns GGUF files: arrays, packed and plain, and typed metadata.

mod blocks;
mod header;
mod kind;
mod packed;
mod save;
mod value;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, io::Read, path::Path};

use olivine_core::{Array, Dtype, Shape, f16, quantized::Quantization};

use self::{blocks::LARGEST_BLOCK, header::Entry};
pub use self::{
    kind::GgufKind,
    save::{save_gguf, write_gguf, write_gguf_as},
    value::{GgufMetadata, GgufValue, GgufValues},
};
use crate::{
    Result, TensorProblem,
    source::{Place, Source, filled},
};

/// An open GGUF file, whose arrays are made when asked for.
///
/// Arrays keep the file's memory alive if they view it; this handle may be dropped before them.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Gguf, GgufMetadata, write_gguf};
/// let mut bytes = Vec::new();
/// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
/// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
/// let file = Gguf::from_bytes(bytes)?;
/// assert_eq!(file.array("w")?.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Gguf {
    source: Source,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    metadata: GgufMetadata,
}

/// What a GGUF file states about one tensor.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Gguf, GgufMetadata, write_gguf};
/// let mut bytes = Vec::new();
/// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
/// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
/// let file = Gguf::from_bytes(bytes)?;
/// let info: olivine_io::GgufInfo = file.info("w").expect("it is there");
/// assert_eq!((info.stored, info.bytes), ("F32", 8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GgufInfo<'a> {
    /// The sizes of its axes; the file has them in the opposite order.
    pub shape: &'a Shape,
    /// Its type as GGUF calls it, such as `Q4_0`.
    pub stored: &'static str,
    /// The bytes it takes in the file.
    pub bytes: usize,
    /// The layout of its packed form, if [`Gguf::packed`] gives one.
    pub packed: Option<Quantization>,
}

/// A quantized tensor in the layout that `quantized_matmul` takes, which stands for the same numbers.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Gguf, GgufMetadata, write_gguf};
/// let mut bytes = Vec::new();
/// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
/// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
/// let file = Gguf::from_bytes(bytes)?;
/// // Plain numbers are not packed.
/// let packed: Option<olivine_io::Packed> = file.packed("w")?;
/// assert!(packed.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Packed {
    /// The quantized weights, packed into `uint32`.
    pub weight: Array,
    /// What they are multiplied by: one number for each group. They are `float16`, or `float32`
    /// where that is what takes to be exact, as for `Q2_K` to `Q6_K`.
    pub scales: Array,
    /// What is added then, in the dtype of the scales.
    pub biases: Array,
    /// The layout: mode `affine` in groups of 32 with 4, 5 or 8 bits, or of 16 with 2, 4 or 6.
    pub scheme: Quantization,
}

/// Opens a GGUF file by memory map.
///
/// Only header and metadata are read. Plain numbers (`F32`, `F16`, `BF16`, `F64`, `I8` to `I64`) view the map
/// without a copy. See [`Gguf::arrays`] for quantized tensors.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_io::{GgufMetadata, GgufValue, load_gguf, save_gguf};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.gguf");
/// let metadata = GgufMetadata::from([("general.name".into(), GgufValue::from("tiny"))]);
/// save_gguf(&path, [("w", Array::scalar(2.0f32))], &metadata)?;
///
/// let file = load_gguf(&path)?;
/// assert_eq!(file.metadata()["general.name"].as_str(), Some("tiny"));
/// assert_eq!(file.array("w")?.item::<f32>()?, 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_gguf(path: impl AsRef<Path>) -> Result<Gguf> {
    Gguf::new(Source::open(path)?)
}

impl Gguf {
    /// Reads a GGUF file from what was opened.
    ///
    /// ```
    /// use olivine_io::{Gguf, Source};
    /// assert!(Gguf::new(Source::from_bytes(&b"GGUF"[..])).is_err());
    /// ```
    pub fn new(source: Source) -> Result<Gguf> {
        let header = header::parse(source.bytes()).map_err(|problem| source.refused(problem))?;
        let names = header.entries.iter().enumerate();
        Ok(Gguf {
            by_name: names.map(|(i, entry)| (entry.name.clone(), i)).collect(),
            entries: header.entries,
            metadata: header.metadata,
            source,
        })
    }

    /// Reads a GGUF file that is in memory already.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
    /// assert_eq!(file.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Gguf> {
        Gguf::new(Source::from_bytes(bytes))
    }

    /// Reads a GGUF file from a reader, to its end.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &GgufMetadata::new())?;
    /// let file = Gguf::from_reader(&bytes[..])?;
    /// assert_eq!(file.array("w")?.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_reader(reader: impl Read) -> Result<Gguf> {
        Gguf::new(Source::from_reader(reader)?)
    }

    /// The names of the tensors as the file has them, in its order.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
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
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
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
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
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
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
    /// assert_eq!(file.metadata()["general.name"].as_str(), Some("tiny"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metadata(&self) -> &GgufMetadata {
        &self.metadata
    }

    /// The file's path; `<bytes>` or `<reader>` if it is no file.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
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
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
    /// assert_eq!(file.info("w").expect("it is there").shape.dims(), &[2]);
    /// assert!(file.info("v").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn info(&self, name: &str) -> Option<GgufInfo<'_>> {
        let entry = &self.entries[*self.by_name.get(name)?];
        Some(GgufInfo {
            shape: &entry.shape,
            stored: entry.stored.name(),
            bytes: entry.bytes,
            packed: packed::scheme(entry.stored),
        })
    }

    /// The tensor of this name as numbers: a quantized one is dequantized to `float16`.
    ///
    /// Fails if there is none, or if its type has no values that are known here.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
    /// assert_eq!(file.array("w")?.to_vec::<f32>()?, [1.0, 2.0]);
    /// assert!(file.array("v").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn array(&self, name: &str) -> Result<Array> {
        let entry = self.entry(name)?;
        match entry.stored.dtype() {
            Some(dtype) => self.plain(entry, dtype),
            None => self.dequantized(entry),
        }
    }

    /// The tensor of this name in packed form, which is exact; `None` unless its type is `Q4_0`, `Q4_1`,
    /// `Q5_0`, `Q5_1`, `Q8_0`, or one of `Q2_K` to `Q6_K`. Groups of `Q2_K`, `Q3_K` and `Q6_K` are of 16.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.name".into(), "tiny".into())]);
    /// write_gguf(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
    /// let file = Gguf::from_bytes(bytes)?;
    /// assert!(file.packed("w")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn packed(&self, name: &str) -> Result<Option<Packed>> {
        let entry = self.entry(name)?;
        let packed = packed::unpack(entry.stored, &entry.shape, self.bytes(entry))
            .transpose()
            .map_err(|problem| problem.of_tensor(&self.source, name, Dtype::Uint32))?;
        if packed.is_some() {
            self.source.release(entry.begin..entry.begin + entry.bytes);
        }
        Ok(packed)
    }

    /// All arrays with their names, in the order of the file.
    ///
    /// Three types are packed, as in MLX: `Q4_0`, `Q4_1` and `Q8_0` tensors named `NAME.weight` become `NAME.weight`, `NAME.scales` and `NAME.biases`, ready for
    /// `quantized_matmul` with groups of 32 and 4 or 8 bits. All other quantized types are
    /// dequantized to `float16`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// let mut bytes = Vec::new();
    /// write_gguf(&mut bytes, [("a", Array::scalar(1i8)), ("b", Array::scalar(2i8))], &GgufMetadata::new())?;
    /// let arrays = Gguf::from_bytes(bytes)?.arrays()?;
    /// assert_eq!(arrays[1].0, "b");
    /// assert_eq!(arrays[1].1.item::<i8>()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arrays(&self) -> Result<Vec<(String, Array)>> {
        let mut arrays = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let packed = if packed::is_packed_by_mlx(entry.stored) {
                self.packed(&entry.name)?
            } else {
                None
            };
            match packed {
                Some(packed) => {
                    let stem = entry.name.strip_suffix(".weight").unwrap_or(&entry.name);
                    arrays.push((entry.name.clone(), packed.weight));
                    arrays.push((format!("{stem}.scales"), packed.scales));
                    arrays.push((format!("{stem}.biases"), packed.biases));
                }
                None => arrays.push((entry.name.clone(), self.array(&entry.name)?)),
            }
        }
        Ok(arrays)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        match self.by_name.get(name) {
            Some(&i) => Ok(&self.entries[i]),
            None => Err(self.source.invalid_tensor(name, TensorProblem::Missing)),
        }
    }

    fn bytes(&self, entry: &Entry) -> &[u8] {
        &self.source.bytes()[entry.begin..entry.begin + entry.bytes]
    }

    fn plain(&self, entry: &Entry, dtype: Dtype) -> Result<Array> {
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

    fn dequantized(&self, entry: &Entry) -> Result<Array> {
        let Some(unpack) = entry.stored.unpacker() else {
            let dtype = entry.stored.name();
            let problem = TensorProblem::UnsupportedDtype { dtype };
            return Err(self.source.invalid_tensor(&entry.name, problem));
        };
        let (elements, block) = entry.stored.block();
        let bytes = self.bytes(entry);
        let array = filled(entry.shape.clone(), Dtype::Float16, |target| {
            let mut values = [0.0f32; LARGEST_BLOCK];
            let values = &mut values[..elements];
            for (block, target) in bytes
                .chunks_exact(block)
                .zip(target.chunks_exact_mut(2 * elements))
            {
                unpack(block, values);
                for (&value, target) in values.iter().zip(target.chunks_exact_mut(2)) {
                    target.copy_from_slice(&f16::from_f32(value).to_le_bytes());
                }
            }
        })
        .map_err(|problem| problem.of_tensor(&self.source, &entry.name, Dtype::Float16))?;
        self.source.release(entry.begin..entry.begin + entry.bytes);
        Ok(array)
    }
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gguf")
            .field("path", &self.path())
            .field("tensors", &self.entries.len())
            .finish_non_exhaustive()
    }
}
