//! Owns the header of the safetensors format: what is in a file, checked against the file's size.
//!
//! The format: eight bytes of header length, little-endian; a JSON object that maps names to dtype,
//! shape and byte range, and `__metadata__` to strings; the tensors' bytes, without gaps.
//! See <https://github.com/huggingface/safetensors#format>.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use olivine_core::{Dtype, Shape};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, Visitor},
};

use super::Metadata;
use crate::error::{FileProblem, Problem, TensorProblem};

/// The name under which a header keeps what is no tensor.
pub(super) const METADATA: &str = "__metadata__";

/// Bytes of the header's length.
pub(super) const PREFIX: usize = 8;

/// The longest header allowed, as in the format's reference implementation.
pub(super) const MAX_HEADER: usize = 100_000_000;

/// As in NumPy; operations need not expect more.
const MAX_RANK: usize = 64;

/// A dtype as files know it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) name: &'static str,
    bits: usize,
    /// The dtype of arrays, if they can hold it.
    pub(super) dtype: Option<Dtype>,
}

const fn stored(name: &'static str, bits: usize, dtype: Option<Dtype>) -> Stored {
    Stored { name, bits, dtype }
}

static STORED: [Stored; 20] = [
    stored("BOOL", 8, Some(Dtype::Bool)),
    stored("U8", 8, Some(Dtype::Uint8)),
    stored("U16", 16, Some(Dtype::Uint16)),
    stored("U32", 32, Some(Dtype::Uint32)),
    stored("U64", 64, Some(Dtype::Uint64)),
    stored("I8", 8, Some(Dtype::Int8)),
    stored("I16", 16, Some(Dtype::Int16)),
    stored("I32", 32, Some(Dtype::Int32)),
    stored("I64", 64, Some(Dtype::Int64)),
    stored("F16", 16, Some(Dtype::Float16)),
    stored("BF16", 16, Some(Dtype::BFloat16)),
    stored("F32", 32, Some(Dtype::Float32)),
    stored("F64", 64, Some(Dtype::Float64)),
    stored("C64", 64, Some(Dtype::Complex64)),
    stored("F4", 4, None),
    stored("F6_E2M3", 6, None),
    stored("F6_E3M2", 6, None),
    // Arrays have no such dtype; `from_fp8` makes numbers of the bytes.
    stored("F8_E4M3", 8, Some(Dtype::Uint8)),
    stored("F8_E5M2", 8, None),
    stored("F8_E8M0", 8, None),
];

/// How the format spells a dtype.
pub(super) fn stored_name(dtype: Dtype) -> &'static str {
    STORED
        .iter()
        .find(|stored| stored.dtype == Some(dtype))
        .expect("the table has every dtype of arrays")
        .name
}

/// One tensor of a checked header.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) stored: &'static Stored,
    pub(super) shape: Shape,
    /// The first byte, from the file's start.
    pub(super) begin: usize,
    pub(super) bytes: usize,
}

/// A checked header.
#[derive(Debug)]
pub(super) struct Header {
    /// In the order of their bytes.
    pub(super) entries: Vec<Entry>,
    pub(super) metadata: Metadata,
}

/// Reads and checks the header of a whole file.
pub(super) fn parse(file: &[u8]) -> Result<Header, Problem> {
    let bytes = file.len();
    let (&length, rest) = file
        .split_first_chunk::<PREFIX>()
        .ok_or(FileProblem::TooShort { bytes })?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER as u64 {
        let limit = MAX_HEADER;
        return Err(FileProblem::HeaderTooLong { length, limit }.into());
    }
    let (header, data) = rest
        .split_at_checked(length as usize)
        .ok_or(FileProblem::HeaderTruncated { length, bytes })?;
    let header = std::str::from_utf8(header).map_err(|error| FileProblem::HeaderNotUtf8 {
        at: error.valid_up_to(),
    })?;
    let Raw { tensors, metadata } = parse_json(header)?;
    let data_start = bytes - data.len();
    let mut entries = Vec::with_capacity(tensors.len());
    for (name, raw) in tensors {
        match check(&raw, data.len()) {
            Ok((stored, shape, range)) => entries.push(Entry {
                name,
                stored,
                shape,
                begin: data_start + range.start,
                bytes: range.len(),
            }),
            Err(problem) => return Err(Problem::Tensor(name, problem)),
        }
    }
    // Stable, so that empty tensors keep the header's order.
    entries.sort_by_key(|entry| (entry.begin, entry.bytes));
    check_cover(&entries, data_start, bytes)?;
    Ok(Header { entries, metadata })
}

/// Checks one tensor by itself.
fn check(
    raw: &RawTensor,
    available: usize,
) -> Result<(&'static Stored, Shape, std::ops::Range<usize>), TensorProblem> {
    let RawTensor {
        dtype,
        shape,
        data_offsets: [begin, end],
    } = raw;
    let stored = STORED
        .iter()
        .find(|stored| stored.name == dtype)
        .ok_or_else(|| TensorProblem::UnknownDtype {
            dtype: dtype.clone(),
        })?;
    if shape.len() > MAX_RANK {
        return Err(TensorProblem::TooManyAxes {
            rank: shape.len(),
            limit: MAX_RANK,
        });
    }
    if begin > end {
        let (begin, end) = (*begin, *end);
        return Err(TensorProblem::Reversed { begin, end });
    }
    if *end > available as u64 {
        let end = *end;
        return Err(TensorProblem::OutOfBounds { end, available });
    }
    let too_large = || TensorProblem::TooLarge {
        shape: shape.clone(),
    };
    // Sizes of zero are left out, so that what surrounds them must be addressable too.
    let bits = shape
        .iter()
        .filter(|&&size| size != 0)
        .try_fold(stored.bits as u64, |bits, &size| bits.checked_mul(size))
        .filter(|bits| isize::try_from(bits / 8).is_ok())
        .ok_or_else(too_large)?;
    let bits = if shape.contains(&0) { 0 } else { bits };
    let expected = bits.div_ceil(8) as usize;
    if end - begin != expected as u64 || bits % 8 != 0 {
        return Err(TensorProblem::WrongSize {
            shape: shape.clone(),
            dtype: stored.name,
            expected,
            actual: end - begin,
        });
    }
    let shape = shape
        .iter()
        .map(|&size| usize::try_from(size).ok())
        .collect::<Option<Shape>>()
        .ok_or_else(too_large)?;
    Ok((stored, shape, *begin as usize..*end as usize))
}

/// Checks that tensors cover the data: each byte belongs to exactly one.
fn check_cover(entries: &[Entry], data_start: usize, file_end: usize) -> Result<(), Problem> {
    let mut covered = data_start;
    let mut previous = "";
    for entry in entries {
        if entry.begin != covered {
            let problem = if entry.begin > covered {
                let bytes = entry.begin - covered;
                TensorProblem::Gap { bytes }
            } else {
                let other = previous.to_owned();
                TensorProblem::Overlap { other }
            };
            return Err(Problem::Tensor(entry.name.clone(), problem));
        }
        covered += entry.bytes;
        previous = &entry.name;
    }
    if covered == file_end {
        return Ok(());
    }
    let bytes = file_end - covered;
    Err(FileProblem::TrailingBytes { bytes }.into())
}

/// A tensor's description as it is written.
#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

#[derive(Default)]
struct Raw {
    tensors: Vec<(String, RawTensor)>,
    metadata: Metadata,
}

fn parse_json(text: &str) -> Result<Raw, Problem> {
    let mut at = At::Header;
    let mut json = serde_json::Deserializer::from_str(text);
    let raw = RawHeader { at: &mut at }
        .deserialize(&mut json)
        .and_then(|raw| json.end().map(|()| raw));
    raw.map_err(|error| {
        let reason = error.to_string();
        match at {
            At::Header => FileProblem::Malformed { reason }.into(),
            At::Tensor(name) => Problem::Tensor(name, TensorProblem::Malformed { reason }),
            At::Duplicate(name) => Problem::Tensor(name, TensorProblem::Duplicate),
        }
    })
}

/// What was being read when an error arose.
enum At {
    Header,
    Tensor(String),
    Duplicate(String),
}

/// Reads the header's object; a plain map would keep the last of two equal names in silence.
struct RawHeader<'a> {
    at: &'a mut At,
}

impl<'de> DeserializeSeed<'de> for RawHeader<'_> {
    type Value = Raw;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RawHeader<'_> {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors by name")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Raw, M::Error> {
        let mut raw = Raw::default();
        let mut names: HashSet<String> = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                *self.at = At::Duplicate(name);
                return Err(M::Error::custom("a name occurs twice"));
            }
            names.insert(name.clone());
            if name == METADATA {
                let metadata: Option<BTreeMap<String, String>> = map.next_value()?;
                raw.metadata = metadata.unwrap_or_default();
                continue;
            }
            *self.at = At::Tensor(name.clone());
            let tensor = map.next_value()?;
            *self.at = At::Header;
            raw.tensors.push((name, tensor));
        }
        Ok(raw)
    }
}
