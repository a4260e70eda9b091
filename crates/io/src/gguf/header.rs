//! Owns the front of GGUF files: metadata and the list of tensors, checked against the file's size.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::collections::HashSet;

use olivine_core::Shape;

use super::{
    blocks::Stored,
    value::{GgufMetadata, GgufValue, GgufValues, code},
};
use crate::error::{FileProblem, Problem, TensorProblem};

pub(super) const MAGIC: &[u8; 4] = b"GGUF";

/// The version that is written.
pub(super) const VERSION: u32 = 3;

/// The key of the tensors' alignment, and what it is if the key is absent.
pub(super) const ALIGNMENT_KEY: &str = "general.alignment";
pub(super) const ALIGNMENT: u64 = 32;

/// GGML has four axes; others write more.
pub(super) const MAX_RANK: usize = 8;

/// Arrays inside arrays deeper than this are refused, so that no file overflows the stack.
const MAX_DEPTH: usize = 16;

/// One tensor of a checked header.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) stored: Stored,
    pub(super) shape: Shape,
    /// The first byte, from the file's start.
    pub(super) begin: usize,
    pub(super) bytes: usize,
}

/// A checked header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) entries: Vec<Entry>,
    pub(super) metadata: GgufMetadata,
}

type Result<T, E = FileProblem> = std::result::Result<T, E>;

/// Reads and checks the header of a whole file.
pub(super) fn parse(file: &[u8]) -> Result<Header, Problem> {
    if !MAGIC.starts_with(&file[..file.len().min(MAGIC.len())]) {
        let format = "a GGUF file";
        return Err(FileProblem::NotThisFormat { format }.into());
    }
    let mut reader = Reader { file, at: 0 };
    reader.take("the magic number", MAGIC.len())?;
    let version = reader.u32("the version")?;
    if !(2..=VERSION).contains(&version) {
        let fix = if version.swap_bytes() <= VERSION {
            "its numbers are in big-endian order; convert it for little-endian machines"
        } else {
            "versions 2 and 3 are; convert it with a current tool"
        };
        let problem = FileProblem::UnsupportedVersion {
            format: "GGUF",
            version: version.to_string(),
            fix,
        };
        return Err(problem.into());
    }
    let tensors = reader.u64("the number of tensors")?;
    let pairs = reader.u64("the number of metadata keys")?;
    let mut metadata = GgufMetadata::new();
    for _ in 0..pairs {
        let key = reader.string("a metadata key")?;
        let kind = reader.u32("a metadata value's type")?;
        let value = reader.value(kind)?;
        if metadata.contains_key(&key) {
            return Err(malformed(format!("metadata {key:?}"), "the key occurs twice").into());
        }
        metadata.insert(key, value);
    }
    let alignment = alignment(&metadata)?;
    let mut raw = Vec::new();
    let mut names = HashSet::new();
    for _ in 0..tensors {
        let tensor = reader.tensor()?;
        if !names.insert(tensor.name.clone()) {
            return Err(Problem::Tensor(tensor.name, TensorProblem::Duplicate));
        }
        raw.push(tensor);
    }
    // The padding may be missing if no bytes of tensors follow.
    let start = (reader.at as u64).next_multiple_of(alignment);
    let available = (file.len() as u64).saturating_sub(start);
    let mut entries = Vec::with_capacity(raw.len());
    for tensor in raw {
        match check(&tensor, alignment, available) {
            Ok((stored, shape, bytes)) => entries.push(Entry {
                name: tensor.name,
                stored,
                shape,
                // An empty tensor may lie past the end.
                begin: (start.saturating_add(tensor.offset) as usize).min(file.len()),
                bytes,
            }),
            Err(problem) => return Err(Problem::Tensor(tensor.name, problem)),
        }
    }
    check_overlaps(&entries)?;
    Ok(Header { entries, metadata })
}

fn malformed(what: String, reason: impl Into<String>) -> FileProblem {
    let reason = reason.into();
    FileProblem::MalformedField { what, reason }
}

fn alignment(metadata: &GgufMetadata) -> Result<u64> {
    let Some(value) = metadata.get(ALIGNMENT_KEY) else {
        return Ok(ALIGNMENT);
    };
    let alignment = value.as_i64().and_then(|x| u64::try_from(x).ok());
    alignment
        .filter(|x| x.is_power_of_two() && *x <= 1 << 20)
        .ok_or_else(|| {
            let what = format!("metadata {ALIGNMENT_KEY:?}");
            malformed(what, format!("{value:?} is no power of two up to 2^20"))
        })
}

/// Checks one tensor by itself.
fn check(
    raw: &RawTensor,
    alignment: u64,
    available: u64,
) -> Result<(Stored, Shape, usize), TensorProblem> {
    let stored = Stored::from_code(raw.kind).ok_or_else(|| TensorProblem::UnknownDtype {
        dtype: format!("number {}", raw.kind),
    })?;
    let shape: Vec<u64> = raw.sizes.iter().rev().copied().collect();
    let (block, bytes) = stored.block();
    if shape.last().copied().unwrap_or(1) % block as u64 != 0 {
        return Err(TensorProblem::Malformed {
            reason: format!(
                "its last axis of {} is no multiple of the {block} elements in a block of {}",
                shape.last().copied().unwrap_or(1),
                stored.name()
            ),
        });
    }
    if !raw.offset.is_multiple_of(alignment) {
        let reason = format!("its offset {} is no multiple of {alignment}", raw.offset);
        return Err(TensorProblem::Malformed { reason });
    }
    // Sizes of zero are left out, so that what surrounds them must be addressable too.
    let elements = shape
        .iter()
        .filter(|&&size| size != 0)
        .try_fold(1u64, |total, &size| total.checked_mul(size))
        // Eight bytes for each: what an element takes at most once it is unpacked.
        .filter(|total| isize::try_from(total.saturating_mul(8)).is_ok())
        .ok_or_else(|| TensorProblem::TooLarge {
            shape: shape.clone(),
        })?;
    let elements = if shape.contains(&0) { 0 } else { elements };
    let bytes = elements / block as u64 * bytes as u64;
    let end = raw.offset.checked_add(bytes);
    if bytes > 0 && end.is_none_or(|end| end > available) {
        return Err(TensorProblem::OutOfBounds {
            end: end.unwrap_or(u64::MAX),
            available: available as usize,
        });
    }
    let shape = shape.iter().map(|&size| size as usize).collect();
    Ok((stored, shape, bytes as usize))
}

/// Checks that no byte belongs to two tensors: then arrays take no more memory than the file.
fn check_overlaps(entries: &[Entry]) -> Result<(), Problem> {
    let mut order: Vec<&Entry> = entries.iter().filter(|entry| entry.bytes > 0).collect();
    order.sort_by_key(|entry| entry.begin);
    for pair in order.windows(2) {
        if pair[0].begin + pair[0].bytes > pair[1].begin {
            let other = pair[0].name.clone();
            let problem = TensorProblem::Overlap { other };
            return Err(Problem::Tensor(pair[1].name.clone(), problem));
        }
    }
    Ok(())
}

/// A tensor's description as it is written.
struct RawTensor {
    name: String,
    /// The fastest axis first.
    sizes: Vec<u64>,
    kind: u32,
    offset: u64,
}

/// Reads from the front on; never past the end.
struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

macro_rules! numbers {
    ($reader:expr, $what:expr, $count:expr, $variant:ident, $ty:ty) => {{
        let bytes = $reader.elements($what, $count, size_of::<$ty>())?;
        let numbers = bytes.chunks_exact(size_of::<$ty>());
        GgufValues::$variant(
            numbers
                .map(|x| <$ty>::from_le_bytes(x.try_into().expect("chunks have this size")))
                .collect(),
        )
    }};
}

impl<'a> Reader<'a> {
    fn take(&mut self, what: &'static str, bytes: usize) -> Result<&'a [u8]> {
        let rest = &self.file[self.at..];
        let taken = rest.get(..bytes).ok_or(FileProblem::Truncated {
            what,
            needed: bytes as u64,
            available: rest.len() as u64,
        })?;
        self.at += bytes;
        Ok(taken)
    }

    /// The bytes of `count` elements of one size.
    fn elements(&mut self, what: &'static str, count: u64, size: usize) -> Result<&'a [u8]> {
        let needed = count.saturating_mul(size as u64);
        let bytes = usize::try_from(needed).unwrap_or(usize::MAX);
        self.take(what, bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32> {
        let bytes = self.take(what, 4)?;
        Ok(u32::from_le_bytes(
            bytes.try_into().expect("four were taken"),
        ))
    }

    fn u64(&mut self, what: &'static str) -> Result<u64> {
        let bytes = self.take(what, 8)?;
        Ok(u64::from_le_bytes(
            bytes.try_into().expect("eight were taken"),
        ))
    }

    fn string(&mut self, what: &'static str) -> Result<String> {
        let length = self.u64(what)?;
        let at = self.at;
        let bytes = self.elements(what, length, 1)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => {
                let reason = format!("not UTF-8 from byte {} on", at + error.valid_up_to());
                Err(malformed(what.to_owned(), reason))
            }
        }
    }

    fn value(&mut self, kind: u32) -> Result<GgufValue> {
        if kind == code::STRING {
            return Ok(GgufValue::String(self.string("a metadata text")?));
        }
        if kind == code::ARRAY {
            return Ok(GgufValue::Array(self.array(1)?));
        }
        // A scalar is read as an array of one.
        Ok(match self.values(kind, 1, 0)? {
            GgufValues::Uint8(x) => GgufValue::Uint8(x[0]),
            GgufValues::Int8(x) => GgufValue::Int8(x[0]),
            GgufValues::Uint16(x) => GgufValue::Uint16(x[0]),
            GgufValues::Int16(x) => GgufValue::Int16(x[0]),
            GgufValues::Uint32(x) => GgufValue::Uint32(x[0]),
            GgufValues::Int32(x) => GgufValue::Int32(x[0]),
            GgufValues::Uint64(x) => GgufValue::Uint64(x[0]),
            GgufValues::Int64(x) => GgufValue::Int64(x[0]),
            GgufValues::Float32(x) => GgufValue::Float32(x[0]),
            GgufValues::Float64(x) => GgufValue::Float64(x[0]),
            GgufValues::Bool(x) => GgufValue::Bool(x[0]),
            values @ (GgufValues::String(_) | GgufValues::Array(_)) => GgufValue::Array(values),
        })
    }

    fn array(&mut self, depth: usize) -> Result<GgufValues> {
        if depth > MAX_DEPTH {
            let reason = format!("arrays are nested more than {MAX_DEPTH} deep");
            return Err(malformed("metadata".to_owned(), reason));
        }
        let kind = self.u32("a metadata array's type")?;
        let count = self.u64("a metadata array's length")?;
        self.values(kind, count, depth)
    }

    fn values(&mut self, kind: u32, count: u64, depth: usize) -> Result<GgufValues> {
        const WHAT: &str = "a metadata value";
        Ok(match kind {
            code::UINT8 => numbers!(self, WHAT, count, Uint8, u8),
            code::INT8 => numbers!(self, WHAT, count, Int8, i8),
            code::UINT16 => numbers!(self, WHAT, count, Uint16, u16),
            code::INT16 => numbers!(self, WHAT, count, Int16, i16),
            code::UINT32 => numbers!(self, WHAT, count, Uint32, u32),
            code::INT32 => numbers!(self, WHAT, count, Int32, i32),
            code::UINT64 => numbers!(self, WHAT, count, Uint64, u64),
            code::INT64 => numbers!(self, WHAT, count, Int64, i64),
            code::FLOAT32 => numbers!(self, WHAT, count, Float32, f32),
            code::FLOAT64 => numbers!(self, WHAT, count, Float64, f64),
            code::BOOL => {
                let bytes = self.elements(WHAT, count, 1)?;
                if let Some(bad) = bytes.iter().find(|&&byte| byte > 1) {
                    let reason = format!("{bad} is no truth value");
                    return Err(malformed("metadata".to_owned(), reason));
                }
                GgufValues::Bool(bytes.iter().map(|&byte| byte == 1).collect())
            }
            // What follows grows as it is read, so a lying count allocates nothing.
            code::STRING => {
                let texts = (0..count).map(|_| self.string("a metadata text"));
                GgufValues::String(texts.collect::<Result<_>>()?)
            }
            code::ARRAY => {
                let arrays = (0..count).map(|_| self.array(depth + 1));
                GgufValues::Array(arrays.collect::<Result<_>>()?)
            }
            other => {
                let reason = format!("there is no type {other}");
                return Err(malformed("metadata".to_owned(), reason));
            }
        })
    }

    fn tensor(&mut self) -> Result<RawTensor, Problem> {
        let name = self.string("a tensor's name")?;
        let rank = self.u32("a tensor's number of axes")? as usize;
        if rank > MAX_RANK {
            let limit = MAX_RANK;
            return Err(Problem::Tensor(
                name,
                TensorProblem::TooManyAxes { rank, limit },
            ));
        }
        let sizes = (0..rank).map(|_| self.u64("a tensor's shape"));
        let sizes = sizes.collect::<Result<_>>()?;
        let kind = self.u32("a tensor's type")?;
        let offset = self.u64("a tensor's offset")?;
        Ok(RawTensor {
            name,
            sizes,
            kind,
            offset,
        })
    }
}
