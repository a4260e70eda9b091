//! Owns what can go wrong with array files: every error names the file, and the tensor if it is one's.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use olivine_core::Dtype;

/// The result of reading or writing array files.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong when array files are read or written.
///
/// ```
/// use olivine_io::{Error, FileProblem, SafeTensors};
/// let error = SafeTensors::from_bytes(&b"short"[..]).err();
/// let Some(Error::File { problem, .. }) = error else { panic!() };
/// assert_eq!(problem, FileProblem::TooShort { bytes: 5 });
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried: `open`, `read`, `write`, ….
        action: &'static str,
        /// Why it failed.
        source: Arc<io::Error>,
    },
    /// The file as a whole is not what it should be.
    #[error("{}: {problem}", file.display())]
    File {
        /// The file; `<bytes>` for a file in memory.
        file: PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// One tensor of a file is not what it should be.
    #[error("{}: tensor {tensor:?}: {problem}", file.display())]
    Tensor {
        /// The file; `<bytes>` for a file in memory.
        file: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        problem: TensorProblem,
    },
    /// An array could not be made or computed.
    #[error(transparent)]
    Array(#[from] olivine_core::Error),
}

impl Error {
    pub(crate) fn io(path: &Path, action: &'static str, error: io::Error) -> Error {
        Error::Io {
            file: path.to_owned(),
            action,
            source: Arc::new(error),
        }
    }

    pub(crate) fn file(path: &Path, problem: FileProblem) -> Error {
        let file = path.to_owned();
        Error::File { file, problem }
    }
}

/// What is wrong with a header, before the file's name is known.
#[derive(Debug)]
pub(crate) enum Problem {
    File(FileProblem),
    Tensor(String, TensorProblem),
}

impl From<FileProblem> for Problem {
    fn from(problem: FileProblem) -> Self {
        Problem::File(problem)
    }
}

/// What is wrong with a file as a whole.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_io::{Error, FileProblem, Gguf};
/// let error = Gguf::from_bytes(&b"no such format, whatever it is"[..]).err();
/// assert!(matches!(error, Some(Error::File { problem: FileProblem::NotThisFormat { .. }, .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// It is a folder, a pipe or a device.
    #[error("not a regular file")]
    NotRegular,
    /// It cannot even hold the length of a header.
    #[error("{bytes} bytes are too short for a safetensors file")]
    TooShort {
        /// The file's size.
        bytes: usize,
    },
    /// Neither its name nor its first bytes tell the format.
    #[error(
        "the format is not known; name the file .npy, .npz, .safetensors or .gguf, or use the \
        function of its format"
    )]
    UnknownFormat,
    /// The format holds something else than what was given.
    #[error("{format} holds {holds}; {fix}")]
    WrongContents {
        /// The format.
        format: &'static str,
        /// What it holds.
        holds: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// It is a file of another format.
    #[error("not {format}: it begins with other bytes")]
    NotThisFormat {
        /// The format that was expected.
        format: &'static str,
    },
    /// The format's version is not known.
    #[error("version {version} of {format} is not known; {fix}")]
    UnsupportedVersion {
        /// The format.
        format: &'static str,
        /// The version that the file states.
        version: String,
        /// What to do.
        fix: &'static str,
    },
    /// It ends too early.
    #[error(
        "truncated: {what} takes {needed} bytes where {available} are left; copy or download the \
        file again"
    )]
    Truncated {
        /// What does not fit.
        what: &'static str,
        /// The bytes it takes.
        needed: u64,
        /// The bytes that are left.
        available: u64,
    },
    /// Arrays cannot hold its elements.
    #[error("arrays cannot hold elements of type {dtype}; {fix}")]
    UnsupportedDtype {
        /// The type as the file spells it.
        dtype: String,
        /// What to do.
        fix: &'static str,
    },
    /// It has more axes than any real array.
    #[error("{rank} axes are over the limit of {limit}")]
    TooManyAxes {
        /// The number of axes.
        rank: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Its element count does not fit in memory addresses.
    #[error("shape {shape:?} has too many elements")]
    TooLarge {
        /// The shape as the file states it.
        shape: Vec<u64>,
    },
    /// A truth value is neither 0 nor 1.
    #[error("element {index} is {value}, which is no truth value")]
    NotBool {
        /// The element's position in the order of the file.
        index: usize,
        /// The byte found there.
        value: u8,
    },
    /// Memory for a copy ran out.
    #[error("no memory for {bytes} bytes")]
    OutOfMemory {
        /// The bytes that were needed.
        bytes: usize,
    },
    /// The archive around the arrays is damaged, or uses what no array file does.
    #[error("the zip archive cannot be read: {reason}")]
    Archive {
        /// Why.
        reason: String,
    },
    /// A number that describes the file has a value that cannot be.
    #[error("{what} is malformed: {reason}")]
    MalformedField {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
    /// The array's values could not be computed.
    #[error("{reason}")]
    Evaluation {
        /// Why.
        reason: String,
    },
    /// The header would be larger than any real one.
    #[error("the header's length of {length} bytes is over the limit of {limit}")]
    HeaderTooLong {
        /// The length the file states.
        length: u64,
        /// The longest header allowed.
        limit: usize,
    },
    /// The file ends inside its header.
    #[error("truncated: a header of {length} bytes does not fit into {bytes} bytes")]
    HeaderTruncated {
        /// The length the file states.
        length: u64,
        /// The file's size.
        bytes: usize,
    },
    /// The header is not text.
    #[error("the header is not UTF-8 from its byte {at} on")]
    HeaderNotUtf8 {
        /// The position of the first bad byte, from the header's start.
        at: usize,
    },
    /// The header is not the JSON it should be.
    #[error("the header is malformed: {reason}")]
    Malformed {
        /// Where and why.
        reason: String,
    },
    /// Bytes at the end belong to no tensor.
    #[error("the last {bytes} bytes belong to no tensor")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
}

/// What is wrong with one tensor.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Metadata, SafeTensors, write_safetensors};
/// let mut bytes = Vec::new();
/// let metadata = Metadata::from([("format".into(), "pt".into())]);
/// write_safetensors(&mut bytes, [("w", array!([1.0, 2.0]))], &metadata)?;
/// let file = SafeTensors::from_bytes(bytes)?;
/// use olivine_io::{Error, TensorProblem};
/// let Err(Error::Tensor { problem, .. }) = file.array("v") else { unreachable!("there is no v") };
/// assert_eq!(problem, TensorProblem::Missing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorProblem {
    /// There is none of this name.
    #[error("not in this file")]
    Missing,
    /// There are two of this name.
    #[error("the name occurs twice")]
    Duplicate,
    /// The name has a meaning of its own in this format.
    #[error("the name is reserved")]
    Reserved,
    /// Its description in the header is not what it should be.
    #[error("malformed description: {reason}")]
    Malformed {
        /// Where and why.
        reason: String,
    },
    /// The format has no such dtype.
    #[error("unknown dtype {dtype:?}")]
    UnknownDtype {
        /// The dtype as the file spells it.
        dtype: String,
    },
    /// The format has this dtype but arrays do not.
    #[error("arrays cannot hold dtype {dtype}")]
    UnsupportedDtype {
        /// The dtype as the file spells it.
        dtype: &'static str,
    },
    /// It has more axes than any real tensor.
    #[error("{rank} axes are over the limit of {limit}")]
    TooManyAxes {
        /// The number of axes.
        rank: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Its element count does not fit in memory addresses.
    #[error("shape {shape:?} has too many elements")]
    TooLarge {
        /// The shape as the file states it.
        shape: Vec<u64>,
    },
    /// Its bytes end before they begin.
    #[error("its bytes begin at {begin} and end before that, at {end}")]
    Reversed {
        /// The stated first byte.
        begin: u64,
        /// The stated end.
        end: u64,
    },
    /// Its bytes lie past the end of the file.
    #[error(
        "its bytes end at {end} but the file has only {available} bytes of data; is it truncated?"
    )]
    OutOfBounds {
        /// The stated end.
        end: u64,
        /// The bytes that follow the header.
        available: usize,
    },
    /// Its shape and dtype need another number of bytes than it has.
    #[error("shape {shape:?} of {dtype} takes {expected} bytes, not {actual}")]
    WrongSize {
        /// The shape.
        shape: Vec<u64>,
        /// The dtype as the file spells it.
        dtype: &'static str,
        /// The bytes this takes.
        expected: usize,
        /// The bytes the file gives it.
        actual: u64,
    },
    /// It shares bytes with another tensor.
    #[error("its bytes overlap those of {other:?}")]
    Overlap {
        /// The other tensor.
        other: String,
    },
    /// Bytes before it belong to no tensor.
    #[error("{bytes} bytes before it belong to no tensor")]
    Gap {
        /// How many.
        bytes: usize,
    },
    /// A truth value is neither 0 nor 1.
    #[error("element {index} is {value}, which is no truth value")]
    NotBool {
        /// The element's position in row-major order.
        index: usize,
        /// The byte found there.
        value: u8,
    },
    /// The format cannot store its dtype.
    #[error("{format} cannot store {dtype}; {fix}")]
    NotStorable {
        /// The format.
        format: &'static str,
        /// The array's dtype.
        dtype: Dtype,
        /// What to do.
        fix: &'static str,
    },
    /// The file of this name inside an archive is not what it should be.
    #[error("{0}")]
    Member(FileProblem),
    /// Memory for a copy ran out.
    #[error("no memory for {bytes} bytes of {dtype}")]
    OutOfMemory {
        /// The bytes that were needed.
        bytes: usize,
        /// The tensor's dtype.
        dtype: Dtype,
    },
    /// Its values could not be computed.
    #[error("{0}")]
    Evaluation(Arc<olivine_core::Error>),
}
