//! Owns writing GGUF files: whole or not at all.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    io::Write,
    path::Path,
    sync::Arc,
};

use olivine_core::{Array, Shape};

use super::{
    blocks::Stored,
    header::{ALIGNMENT, ALIGNMENT_KEY, MAGIC, MAX_RANK, VERSION},
    kind::GgufKind,
    packed::{self, Repacked},
    value::{GgufMetadata, GgufValue, GgufValues, code},
};
use crate::{
    Error, FileProblem, Result, TensorProblem,
    write::{atomically, write_elements},
};

/// Writes arrays and metadata to a GGUF file, which appears whole or not at all.
///
/// Halves, `bfloat16`, `float32`, `float64` and signed integers are stored as they are. Three arrays
/// `NAME.weight` (`uint32`), `NAME.scales` and `NAME.biases` (`float16`) with groups of 32 and 4 or 8 bits are stored as
/// one tensor of type `Q4_0`, `Q4_1` or `Q8_0`, so that what [`crate::Gguf::arrays`] returns can be
/// saved again. Fails for other dtypes.
///
/// ```
/// # use olivine_cpu as _;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("model.gguf");
/// use olivine_core::Array;
/// use olivine_io::{GgufMetadata, load_gguf, save_gguf};
/// let w = Array::from_slice(&[1i16, 2, 3, 4], [2, 2])?;
/// save_gguf(&path, [("w", &w)], &GgufMetadata::new())?;
/// assert_eq!(load_gguf(&path)?.info("w").unwrap().stored, "I16");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_gguf<N: Into<String>, A: Borrow<Array>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, A)>,
    metadata: &GgufMetadata,
) -> Result<()> {
    let path = path.as_ref();
    let tensors = contents(path, arrays)?;
    let file = prepare(path, tensors, metadata)?;
    atomically(path, |writer| file.write(path, writer))
}

/// Writes arrays and metadata in GGUF's format to any writer; see [`save_gguf`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_io::{Gguf, GgufMetadata, write_gguf};
/// let mut bytes = Vec::new();
/// write_gguf(&mut bytes, [("w", olivine_core::Array::scalar(1.0f64))], &GgufMetadata::new())?;
/// assert_eq!(Gguf::from_bytes(bytes)?.array("w")?.item::<f64>()?, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_gguf<N: Into<String>, A: Borrow<Array>>(
    mut writer: impl Write,
    arrays: impl IntoIterator<Item = (N, A)>,
    metadata: &GgufMetadata,
) -> Result<()> {
    let path = Path::new(WRITER);
    let tensors = contents(path, arrays)?;
    prepare(path, tensors, metadata)?.write(path, &mut writer)
}

/// Writes plain arrays and metadata in GGUF's format, each array stored as its type says.
///
/// Arrays are computed, packed and freed one after the other, so that one of them is in memory at a
/// time if nobody else holds them.
///
/// # Errors
/// Arrays that are not floating-point, whose rows no blocks fill, or whose numbers no scale of half
/// precision reaches; two of one name; a writer that fails.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_io::{Gguf, GgufKind, GgufMetadata, write_gguf_as};
/// let mut bytes = Vec::new();
/// let w = Array::ones([2, 64], Dtype::Float32)?;
/// write_gguf_as(&mut bytes, [("w".into(), w, GgufKind::Q8_0)], &GgufMetadata::new())?;
/// assert_eq!(Gguf::from_bytes(bytes)?.info("w").unwrap().stored, "Q8_0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_gguf_as(
    mut writer: impl Write,
    arrays: impl IntoIterator<Item = (String, Array, GgufKind)>,
    metadata: &GgufMetadata,
) -> Result<()> {
    let path = Path::new(WRITER);
    let mut names: HashSet<String> = HashSet::new();
    let mut tensors = Vec::new();
    for (name, array, kind) in arrays {
        let columns = array.shape().last().copied().unwrap_or(1);
        let problem = if !names.insert(name.clone()) {
            TensorProblem::Duplicate
        } else if array.ndim() > MAX_RANK {
            TensorProblem::TooManyAxes {
                rank: array.ndim(),
                limit: MAX_RANK,
            }
        } else if !array.dtype().is_float() {
            TensorProblem::NotStorable {
                format: "GGUF",
                dtype: array.dtype(),
                fix: "floating-point numbers are packed",
            }
        } else if !kind.fits(columns) {
            TensorProblem::Malformed {
                reason: format!("blocks of 32 do not fill rows of {columns}"),
            }
        } else {
            tensors.push((name, Content::As(array, kind)));
            continue;
        };
        return Err(Error::Tensor {
            file: path.to_owned(),
            tensor: name,
            problem,
        });
    }
    prepare(path, tensors, metadata)?.write(path, &mut writer)
}

/// How a writer is called in errors.
const WRITER: &str = "<writer>";

/// A file that is ready to be written.
struct File {
    header: Vec<u8>,
    alignment: usize,
    tensors: Vec<(String, Content)>,
}

enum Content {
    Plain(Array, Stored),
    Packed(Repacked),
    As(Array, GgufKind),
}

impl Content {
    fn stored(&self) -> Stored {
        match self {
            Content::Plain(_, stored) => *stored,
            Content::Packed(packed) => packed.stored,
            Content::As(_, kind) => kind.stored(),
        }
    }

    fn shape(&self) -> &Shape {
        match self {
            Content::Plain(array, _) | Content::As(array, _) => array.shape(),
            Content::Packed(packed) => &packed.shape,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Content::Plain(array, _) => array.nbytes(),
            Content::Packed(packed) => packed.bytes.len(),
            Content::As(array, kind) => kind.bytes(array.shape()),
        }
    }
}

fn prepare(path: &Path, tensors: Vec<(String, Content)>, metadata: &GgufMetadata) -> Result<File> {
    let alignment = match metadata.get(ALIGNMENT_KEY) {
        None => ALIGNMENT,
        Some(GgufValue::Uint32(x)) if x.is_power_of_two() && *x <= 1 << 20 => u64::from(*x),
        Some(other) => {
            let problem = FileProblem::MalformedField {
                what: format!("metadata {ALIGNMENT_KEY:?}"),
                reason: format!("{other:?} is no power of two of type uint32 up to 2^20"),
            };
            return Err(Error::file(path, problem));
        }
    };
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_string(&mut header, key);
        put_value(&mut header, value);
    }
    let mut offset = 0;
    for (name, content) in &tensors {
        put_string(&mut header, name);
        let sizes = content.shape().dims();
        header.extend((sizes.len() as u32).to_le_bytes());
        for &size in sizes.iter().rev() {
            header.extend((size as u64).to_le_bytes());
        }
        header.extend(content.stored().code().to_le_bytes());
        header.extend(u64::to_le_bytes(offset));
        offset += (content.bytes() as u64).next_multiple_of(alignment);
    }
    header.resize(header.len().next_multiple_of(alignment as usize), 0);
    Ok(File {
        header,
        alignment: alignment as usize,
        tensors,
    })
}

/// What each tensor of the file will be.
fn contents<N: Into<String>, A: Borrow<Array>>(
    path: &Path,
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Result<Vec<(String, Content)>> {
    let arrays: Vec<(String, A)> = arrays
        .into_iter()
        .map(|(name, array)| (name.into(), array))
        .collect();
    let invalid = |name: &str, problem| Error::Tensor {
        file: path.to_owned(),
        tensor: name.to_owned(),
        problem,
    };
    let mut by_name: HashMap<&str, &Array> = HashMap::new();
    for (name, array) in &arrays {
        if by_name.insert(name, array.borrow()).is_some() {
            return Err(invalid(name, TensorProblem::Duplicate));
        }
        let (rank, limit) = (array.borrow().ndim(), MAX_RANK);
        if rank > limit {
            return Err(invalid(name, TensorProblem::TooManyAxes { rank, limit }));
        }
    }
    // Scales and biases are written with their weights.
    let mut parts: HashSet<String> = HashSet::new();
    let mut packed_weights: HashMap<&str, (&Array, &Array)> = HashMap::new();
    for (name, weight) in &by_name {
        let stem = name.strip_suffix(".weight").unwrap_or(name);
        let (scales, biases) = (format!("{stem}.scales"), format!("{stem}.biases"));
        if let (Some(s), Some(b)) = (by_name.get(&*scales), by_name.get(&*biases))
            && packed::is_packed(weight, s, b)
        {
            packed_weights.insert(name, (s, b));
            parts.extend([scales, biases]);
        }
    }
    let mut contents = Vec::new();
    for (name, array) in &arrays {
        let array = array.borrow();
        if parts.contains(name) {
            continue;
        }
        let content = if let Some((scales, biases)) = packed_weights.get(&**name) {
            let packed = packed::repack(array, scales, biases)
                .map_err(|error| invalid(name, TensorProblem::Evaluation(Arc::new(error))))?;
            packed.map(Content::Packed)
        } else {
            Stored::of(array.dtype()).map(|stored| Content::Plain(array.clone(), stored))
        };
        let Some(content) = content else {
            return Err(invalid(
                name,
                TensorProblem::NotStorable {
                    format: "GGUF",
                    dtype: array.dtype(),
                    fix: "convert with astype first; quantized weights need groups of 32, float16 \
                          scales and biases, and for 8 bits biases of -128 scales",
                },
            ));
        };
        contents.push((name.clone(), content));
    }
    Ok(contents)
}

impl File {
    /// Writes all, and frees each tensor when it has been written.
    fn write(self, path: &Path, writer: &mut dyn Write) -> Result<()> {
        let failed = |error| Error::io(path, "write", error);
        writer.write_all(&self.header).map_err(failed)?;
        for (name, content) in self.tensors {
            let written = match &content {
                Content::Plain(array, _) => write_elements(writer, array),
                Content::Packed(packed) => writer.write_all(&packed.bytes).map_err(Into::into),
                Content::As(array, kind) => kind.write(writer, array),
            };
            written.map_err(|problem| problem.of_tensor(path, &name))?;
            let bytes = content.bytes();
            let padding = bytes.next_multiple_of(self.alignment) - bytes;
            writer.write_all(&vec![0; padding]).map_err(failed)?;
        }
        Ok(())
    }
}

fn put_string(header: &mut Vec<u8>, text: &str) {
    header.extend((text.len() as u64).to_le_bytes());
    header.extend_from_slice(text.as_bytes());
}

macro_rules! put_numbers {
    ($header:expr, $code:expr, $values:expr) => {{
        put_front($header, $code, $values.len());
        $header.extend($values.iter().flat_map(|x| x.to_le_bytes()));
    }};
}

fn put_value(header: &mut Vec<u8>, value: &GgufValue) {
    let mut put = |code: u32, bytes: &[u8]| {
        header.extend(code.to_le_bytes());
        header.extend_from_slice(bytes);
    };
    match value {
        GgufValue::Uint8(x) => put(code::UINT8, &x.to_le_bytes()),
        GgufValue::Int8(x) => put(code::INT8, &x.to_le_bytes()),
        GgufValue::Uint16(x) => put(code::UINT16, &x.to_le_bytes()),
        GgufValue::Int16(x) => put(code::INT16, &x.to_le_bytes()),
        GgufValue::Uint32(x) => put(code::UINT32, &x.to_le_bytes()),
        GgufValue::Int32(x) => put(code::INT32, &x.to_le_bytes()),
        GgufValue::Uint64(x) => put(code::UINT64, &x.to_le_bytes()),
        GgufValue::Int64(x) => put(code::INT64, &x.to_le_bytes()),
        GgufValue::Float32(x) => put(code::FLOAT32, &x.to_le_bytes()),
        GgufValue::Float64(x) => put(code::FLOAT64, &x.to_le_bytes()),
        GgufValue::Bool(x) => put(code::BOOL, &[u8::from(*x)]),
        GgufValue::String(text) => {
            put(code::STRING, &[]);
            put_string(header, text);
        }
        GgufValue::Array(values) => {
            put(code::ARRAY, &[]);
            put_values(header, values);
        }
    }
}

fn put_front(header: &mut Vec<u8>, code: u32, count: usize) {
    header.extend(code.to_le_bytes());
    header.extend((count as u64).to_le_bytes());
}

fn put_values(header: &mut Vec<u8>, values: &GgufValues) {
    match values {
        GgufValues::Uint8(x) => put_numbers!(header, code::UINT8, x),
        GgufValues::Int8(x) => put_numbers!(header, code::INT8, x),
        GgufValues::Uint16(x) => put_numbers!(header, code::UINT16, x),
        GgufValues::Int16(x) => put_numbers!(header, code::INT16, x),
        GgufValues::Uint32(x) => put_numbers!(header, code::UINT32, x),
        GgufValues::Int32(x) => put_numbers!(header, code::INT32, x),
        GgufValues::Uint64(x) => put_numbers!(header, code::UINT64, x),
        GgufValues::Int64(x) => put_numbers!(header, code::INT64, x),
        GgufValues::Float32(x) => put_numbers!(header, code::FLOAT32, x),
        GgufValues::Float64(x) => put_numbers!(header, code::FLOAT64, x),
        GgufValues::Bool(x) => {
            put_front(header, code::BOOL, x.len());
            header.extend(x.iter().map(|&x| u8::from(x)));
        }
        GgufValues::String(texts) => {
            put_front(header, code::STRING, texts.len());
            for text in texts {
                put_string(header, text);
            }
        }
        GgufValues::Array(arrays) => {
            put_front(header, code::ARRAY, arrays.len());
            for values in arrays {
                put_values(header, values);
            }
        }
    }
}
