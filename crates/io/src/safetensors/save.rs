//! Owns writing safetensors files: whole or not at all.

use std::{borrow::Borrow, io::Write, path::Path};

use olivine_core::Array;
use serde_json::{Map, Value, json};

use super::{
    Metadata,
    header::{MAX_HEADER, METADATA, PREFIX, stored_name},
};
use crate::{
    Error, FileProblem, Result, TensorProblem,
    write::{atomically, write_elements},
};

/// Arrays view the data in place only if it starts at a multiple of this.
const ALIGNMENT: usize = 8;

/// Writes arrays to a safetensors file, evaluating them one by one; those given by value are freed
/// as soon as they are written, so that they need not fit into memory together.
///
/// The file appears whole or not at all: the bytes go to a temporary file beside it, which takes its
/// name when all are on the disk. Equal arrays and metadata give equal files: tensors are ordered by
/// element size, largest first, then by name. Arrays that view the old file of the same name stay
/// valid on systems where an open file can be replaced.
///
/// Fails, leaving no trace, if a name occurs twice or is `__metadata__`, if an array cannot be
/// computed, or if the file cannot be written.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_io::{Metadata, load_safetensors, save_safetensors};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("adapters.safetensors");
/// let arrays = [("a", Array::scalar(1i32)), ("b", Array::scalar(2.0f32))];
/// let metadata = Metadata::from([("format".into(), "olivine".into())]);
/// save_safetensors(&path, arrays, &metadata)?;
/// assert_eq!(load_safetensors(&path)?.metadata(), &metadata);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_safetensors<N: Into<String>, A: Borrow<Array>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, A)>,
    metadata: &Metadata,
) -> Result<()> {
    let path = path.as_ref();
    let arrays = sorted(arrays);
    let header = header(path, &arrays, metadata)?;
    atomically(path, |writer| write_all(writer, path, &header, arrays))
}

/// Writes a safetensors file to any writer, evaluating the arrays one by one.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_io::{Metadata, SafeTensors, write_safetensors};
/// let mut bytes = Vec::new();
/// write_safetensors(&mut bytes, [("a", Array::scalar(1i32))], &Metadata::new())?;
/// assert_eq!(SafeTensors::from_bytes(bytes)?.array("a")?.item::<i32>()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_safetensors<N: Into<String>, A: Borrow<Array>>(
    mut writer: impl Write,
    arrays: impl IntoIterator<Item = (N, A)>,
    metadata: &Metadata,
) -> Result<()> {
    let path = Path::new("<writer>");
    let arrays = sorted(arrays);
    let header = header(path, &arrays, metadata)?;
    write_all(&mut writer, path, &header, arrays)
}

fn sorted<N: Into<String>, A: Borrow<Array>>(
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Vec<(String, A)> {
    let mut arrays: Vec<(String, A)> = arrays
        .into_iter()
        .map(|(name, array)| (name.into(), array))
        .collect();
    // Large elements first: then each tensor starts at a multiple of its element size.
    arrays.sort_by(|(left, a), (right, b)| {
        let (a, b) = (a.borrow().dtype().size(), b.borrow().dtype().size());
        b.cmp(&a).then_with(|| left.cmp(right))
    });
    arrays
}

fn write_all<A: Borrow<Array>>(
    writer: &mut dyn Write,
    path: &Path,
    header: &[u8],
    arrays: Vec<(String, A)>,
) -> Result<()> {
    writer
        .write_all(header)
        .map_err(|error| Error::io(path, "write", error))?;
    for (name, array) in arrays {
        // An array that nobody else holds is freed before the next is computed.
        write_elements(writer, array.borrow()).map_err(|problem| problem.of_tensor(path, &name))?;
    }
    Ok(())
}

/// The header's length and text, padded so that the data that follows is aligned.
fn header<A: Borrow<Array>>(
    path: &Path,
    arrays: &[(String, A)],
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let mut map = Map::new();
    if !metadata.is_empty() {
        map.insert(METADATA.to_owned(), json!(metadata));
    }
    let mut end = 0;
    for (name, array) in arrays {
        let invalid = |problem| Error::Tensor {
            file: path.to_owned(),
            tensor: name.clone(),
            problem,
        };
        if name == METADATA {
            return Err(invalid(TensorProblem::Reserved));
        }
        let array = array.borrow();
        let begin = end;
        end += array.nbytes();
        let description = json!({
            "dtype": stored_name(array.dtype()),
            "shape": array.shape().dims(),
            "data_offsets": [begin, end],
        });
        if map.insert(name.clone(), description).is_some() {
            return Err(invalid(TensorProblem::Duplicate));
        }
    }
    let text = Value::Object(map).to_string();
    let length = text.len().next_multiple_of(ALIGNMENT);
    if length > MAX_HEADER {
        return Err(Error::File {
            file: path.to_owned(),
            problem: FileProblem::HeaderTooLong {
                length: length as u64,
                limit: MAX_HEADER,
            },
        });
    }
    let mut header = Vec::with_capacity(PREFIX + length);
    header.extend((length as u64).to_le_bytes());
    header.extend(text.bytes());
    header.resize(PREFIX + length, b' ');
    Ok(header)
}
