//! Owns writing: files that appear whole or not at all, and the bytes of arrays.

use std::{
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

use crate::{Error, FileProblem, Result, TensorProblem};

/// Writes a file through a temporary one beside it, which takes its name when all is on the disk.
pub(crate) fn atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<()>,
) -> Result<()> {
    let mut temporary = Temporary::beside(path)?;
    let failed = |error| Error::io(path, "write", error);
    let mut writer = BufWriter::with_capacity(1 << 20, &mut temporary.file);
    write(&mut writer)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    temporary.rename_to(path).map_err(failed)
}

/// Why an array's bytes were not written.
pub(crate) enum WriteProblem {
    Evaluation(olivine_core::Error),
    Io(io::Error),
}

impl From<io::Error> for WriteProblem {
    fn from(error: io::Error) -> Self {
        WriteProblem::Io(error)
    }
}

impl WriteProblem {
    /// The error of a tensor in a file of several.
    pub(crate) fn of_tensor(self, path: &Path, tensor: &str) -> Error {
        match self {
            WriteProblem::Evaluation(error) => Error::Tensor {
                file: path.to_owned(),
                tensor: tensor.to_owned(),
                problem: TensorProblem::Evaluation(Arc::new(error)),
            },
            WriteProblem::Io(error) => Error::io(path, "write", error),
        }
    }

    /// The error of a file that is one array.
    pub(crate) fn of_file(self, path: &Path) -> Error {
        match self {
            WriteProblem::Evaluation(error) => {
                let reason = error.to_string();
                Error::file(path, FileProblem::Evaluation { reason })
            }
            WriteProblem::Io(error) => Error::io(path, "write", error),
        }
    }
}

/// Evaluates an array and writes its elements in row-major order.
pub(crate) fn write_elements(
    writer: &mut dyn Write,
    array: &Array,
) -> std::result::Result<(), WriteProblem> {
    with_elements(array, |bytes| Ok(writer.write_all(bytes)?))
}

/// Evaluates an array and hands over the bytes of its elements in row-major order.
pub(crate) fn with_elements<T>(
    array: &Array,
    take: impl FnOnce(&[u8]) -> std::result::Result<T, WriteProblem>,
) -> std::result::Result<T, WriteProblem> {
    let mut data = array.data().map_err(WriteProblem::Evaluation)?;
    if !is_contiguous(array.shape(), &data.strides) {
        // A row-major copy, which lives for this call only.
        let copy = array.contiguous().and_then(|copy| copy.data());
        data = copy.map_err(WriteProblem::Evaluation)?;
    }
    // SAFETY: the data is evaluated and row-major, so its bytes follow each other; the buffer
    // is held until they have been taken.
    let bytes = unsafe {
        let start = data.buffer.host().as_ptr().add(data.offset);
        std::slice::from_raw_parts(start, array.nbytes())
    };
    take(bytes)
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
        let failed = |error| Error::io(target, "write", error);
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
