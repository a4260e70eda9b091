//! Owns writing safetensors files: whole or not at all.

use std::{
    borrow::Borrow,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use olivine_core::{Array, shape::is_contiguous};
use serde_json::{Map, Value, json};

use super::{
    Metadata,
    header::{MAX_HEADER, METADATA, PREFIX, stored_name},
};
use crate::{Error, FileProblem, Result, TensorProblem};

/// Arrays view the data in place only if it starts at a multiple of this.
const ALIGNMENT: usize = 8;

/// Writes arrays to a safetensors file, evaluating them one by one.
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
    let mut arrays: Vec<(String, A)> = arrays
        .into_iter()
        .map(|(name, array)| (name.into(), array))
        .collect();
    // Large elements first: then each tensor starts at a multiple of its element size.
    arrays.sort_by(|(left, a), (right, b)| {
        let (a, b) = (a.borrow().dtype().size(), b.borrow().dtype().size());
        b.cmp(&a).then_with(|| left.cmp(right))
    });
    let header = header(path, &arrays, metadata)?;
    let mut temporary = Temporary::beside(path)?;
    let failed = |action| {
        move |error| Error::Io {
            file: path.to_owned(),
            action,
            source: Arc::new(error),
        }
    };
    let mut writer = BufWriter::with_capacity(1 << 20, &mut temporary.file);
    writer.write_all(&header).map_err(failed("write"))?;
    for (name, array) in arrays {
        let tensor_failed = |error| Error::Tensor {
            file: path.to_owned(),
            tensor: name.clone(),
            problem: TensorProblem::Evaluation(Arc::new(error)),
        };
        let array = array.borrow();
        let mut data = array.data().map_err(tensor_failed)?;
        if !is_contiguous(array.shape(), &data.strides) {
            // A row-major copy, which lives for this round only.
            let copy = array.contiguous().and_then(|copy| copy.data());
            data = copy.map_err(tensor_failed)?;
        }
        // SAFETY: the data is evaluated and row-major, so its bytes follow each other; the buffer
        // is held until they are written.
        let bytes = unsafe {
            let start = data.buffer.host().as_ptr().add(data.offset);
            std::slice::from_raw_parts(start, array.nbytes())
        };
        writer.write_all(bytes).map_err(failed("write"))?;
    }
    writer.flush().map_err(failed("write"))?;
    drop(writer);
    temporary.rename_to(path).map_err(failed("write"))
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

/// A file that is removed unless it is renamed.
struct Temporary {
    path: PathBuf,
    file: File,
    keep: bool,
}

impl Temporary {
    /// Creates a file in the folder of `target`, because only there a rename is atomic.
    fn beside(target: &Path) -> Result<Temporary> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let failed = |error| Error::Io {
            file: target.to_owned(),
            action: "write",
            source: Arc::new(error),
        };
        if target.file_name().is_none() {
            return Err(failed(io::ErrorKind::InvalidFilename.into()));
        }
        if target.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = target.with_file_name(format!(".olivine-{}-{number}.tmp", process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    return Ok(Temporary {
                        path,
                        file,
                        keep: false,
                    });
                }
                // Left behind by an earlier process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Puts the file on the disk, then in the target's place.
    fn rename_to(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.keep = true;
        #[cfg(unix)]
        {
            let folder = target.parent().filter(|folder| *folder != Path::new(""));
            // The file is complete either way; only whether a power cut undoes the rename is open,
            // and some file systems cannot sync folders.
            let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all());
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            // There is nobody to tell, and the error that brought us here matters more.
            let _ = fs::remove_file(&self.path);
        }
    }
}
