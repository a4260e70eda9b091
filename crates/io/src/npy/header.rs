//! Owns the header of NumPy's format: magic bytes, a version, and a Python dictionary as text.
//!
//! See <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use olivine_core::{Array, Dtype, Shape};

use crate::FileProblem;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longer headers describe structured elements, which arrays cannot hold.
const MAX_HEADER: usize = 1 << 20;

/// As NumPy's own limit.
const MAX_RANK: usize = 64;

/// NumPy starts elements at a multiple of this.
const ALIGNMENT: usize = 64;

/// What a file says about its array.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) dtype: Dtype,
    /// True if numbers have their most significant byte first.
    pub(crate) swapped: bool,
    /// True if the first axis varies fastest.
    pub(crate) fortran: bool,
    pub(crate) shape: Shape,
    /// The bytes before the first element.
    pub(crate) length: usize,
}

impl Header {
    /// Reads the header; the elements need not be there.
    pub(crate) fn parse(file: &[u8]) -> Result<Header, FileProblem> {
        const NAME: &str = "an array in NumPy's format";
        let truncated = |what, needed: usize| FileProblem::Truncated {
            what,
            needed: needed as u64,
            available: file.len() as u64,
        };
        let start = &file[..file.len().min(MAGIC.len())];
        if !MAGIC.starts_with(start) {
            return Err(FileProblem::NotThisFormat { format: NAME });
        }
        let Some(&[major, minor]) = file.get(6..8) else {
            return Err(truncated("NumPy's magic number", 8));
        };
        let wide = match (major, minor) {
            (1, 0) => false,
            (2 | 3, 0) => true,
            _ => {
                return Err(FileProblem::UnsupportedVersion {
                    format: "NumPy's format",
                    version: format!("{major}.{minor}"),
                    fix: "versions 1 to 3 are; load it with NumPy and save it again",
                });
            }
        };
        let prefix = if wide { 12 } else { 10 };
        let size = file
            .get(8..prefix)
            .ok_or_else(|| truncated("the header's length", prefix))?;
        let size = size
            .iter()
            .rev()
            .fold(0usize, |size, &byte| size << 8 | byte as usize);
        if size > MAX_HEADER {
            return Err(FileProblem::HeaderTooLong {
                length: size as u64,
                limit: MAX_HEADER,
            });
        }
        let length = prefix + size;
        let text = file
            .get(prefix..length)
            .ok_or_else(|| truncated("the header", length))?;
        let text = std::str::from_utf8(text).map_err(|error| FileProblem::HeaderNotUtf8 {
            at: error.valid_up_to(),
        })?;
        let fields = Parser { text, at: 0 }.fields()?;
        let (dtype, swapped) = element(&fields.descr)?;
        Ok(Header {
            dtype,
            swapped,
            fortran: fields.fortran,
            shape: shape(&fields.shape, dtype)?,
            length,
        })
    }

    /// Checks that a file of `available` bytes has all elements.
    pub(crate) fn check_size(&self, available: u64) -> Result<(), FileProblem> {
        let needed = self.needed();
        if needed <= available {
            return Ok(());
        }
        Err(FileProblem::Truncated {
            what: "the array with its header",
            needed,
            available,
        })
    }

    /// The bytes that header and elements take.
    pub(crate) fn needed(&self) -> u64 {
        (self.shape.elements() * self.dtype.size()) as u64 + self.length as u64
    }

    /// The bytes of an array's header.
    pub(crate) fn of(array: &Array) -> Result<Vec<u8>, FileProblem> {
        let (rank, limit) = (array.ndim(), MAX_RANK);
        if rank > limit {
            return Err(FileProblem::TooManyAxes { rank, limit });
        }
        let sizes: Vec<String> = array.shape().dims().iter().map(usize::to_string).collect();
        let comma = if rank == 1 { "," } else { "" };
        let text = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({}{comma}), }}",
            description(array.dtype()),
            sizes.join(", ")
        );
        let length = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(ALIGNMENT);
        let mut header = Vec::with_capacity(length);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&[1, 0]);
        // 64 axes of 20 digits fit easily.
        header.extend_from_slice(&((length - 10) as u16).to_le_bytes());
        header.extend_from_slice(text.as_bytes());
        header.resize(length - 1, b' ');
        header.push(b'\n');
        Ok(header)
    }
}

/// How the format spells a dtype.
fn description(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Bool => "|b1",
        Dtype::Uint8 => "|u1",
        Dtype::Uint16 => "<u2",
        Dtype::Uint32 => "<u4",
        Dtype::Uint64 => "<u8",
        Dtype::Int8 => "|i1",
        Dtype::Int16 => "<i2",
        Dtype::Int32 => "<i4",
        Dtype::Int64 => "<i8",
        Dtype::Float16 => "<f2",
        Dtype::BFloat16 => "<V2",
        Dtype::Float32 => "<f4",
        Dtype::Float64 => "<f8",
        Dtype::Complex64 => "<c8",
    }
}

/// The dtype of a description, and whether its bytes are swapped.
fn element(description: &str) -> Result<(Dtype, bool), FileProblem> {
    let (order, name) = match description.as_bytes().first() {
        Some(b'<' | b'>' | b'|' | b'=') => description.split_at(1),
        _ => ("=", description),
    };
    let known = Dtype::ALL
        .into_iter()
        .find(|&dtype| self::description(dtype)[1..] == *name);
    // Raw bytes have no order, so theirs cannot be the other one.
    if let Some(dtype) = known.filter(|&dtype| dtype != Dtype::BFloat16 || order != ">") {
        return Ok((dtype, order == ">" && dtype.size() > 1));
    }
    let fix = match name.as_bytes().first() {
        Some(b'c') => "convert with NumPy's astype('complex64') first",
        Some(b'f' | b'g') => "convert with NumPy's astype('float64') first",
        Some(b'O') => "pickled Python objects are never read, because reading them runs code",
        Some(b'[') => "save the fields of the structure one by one",
        _ => "convert to numbers with NumPy first",
    };
    Err(FileProblem::UnsupportedDtype {
        dtype: description.chars().take(60).collect(),
        fix,
    })
}

/// Checks that a shape's elements can be addressed.
fn shape(sizes: &[u64], dtype: Dtype) -> Result<Shape, FileProblem> {
    let (rank, limit) = (sizes.len(), MAX_RANK);
    if rank > limit {
        return Err(FileProblem::TooManyAxes { rank, limit });
    }
    // Sizes of zero are left out, so that what surrounds them must be addressable too.
    let bytes = sizes
        .iter()
        .filter(|&&size| size != 0)
        .try_fold(dtype.size() as u64, |bytes, &size| bytes.checked_mul(size));
    if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        let shape = sizes.to_vec();
        return Err(FileProblem::TooLarge { shape });
    }
    Ok(sizes.iter().map(|&size| size as usize).collect())
}

/// The dictionary's values.
struct Fields {
    descr: String,
    fortran: bool,
    shape: Vec<u64>,
}

/// Reads the few Python literals that headers are made of.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn fields(mut self) -> Result<Fields, FileProblem> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.take('}') {
            let key = self.string()?;
            self.expect(':')?;
            let twice = match key {
                "descr" => descr.replace(self.description()?).is_some(),
                "fortran_order" => fortran.replace(self.truth()?).is_some(),
                "shape" => shape.replace(self.tuple()?).is_some(),
                _ => return Err(self.malformed(format!("the key {key:?} is not known"))),
            };
            if twice {
                return Err(self.malformed(format!("the key {key:?} occurs twice")));
            }
            if !self.take(',') {
                self.expect('}')?;
                break;
            }
        }
        if !self.rest().trim().is_empty() {
            return Err(self.malformed("text follows the dictionary"));
        }
        let missing = |key| self.malformed(format!("the key {key:?} is missing"));
        Ok(Fields {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran: fortran.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn malformed(&self, reason: impl std::fmt::Display) -> FileProblem {
        let reason = format!("{reason}, at character {}", self.at);
        FileProblem::Malformed { reason }
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Steps over a character if it is next.
    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), FileProblem> {
        if self.take(wanted) {
            return Ok(());
        }
        Err(self.malformed(format!("{wanted:?} is missing")))
    }

    fn string(&mut self) -> Result<&'a str, FileProblem> {
        let quote = if self.take('\'') {
            '\''
        } else {
            self.expect('"')?;
            '"'
        };
        let rest = self.rest();
        let Some(end) = rest.find(quote) else {
            return Err(self.malformed("a string does not end"));
        };
        self.at += end + quote.len_utf8();
        Ok(&rest[..end])
    }

    /// A dtype's name, or as much of a structure as a message needs.
    fn description(&mut self) -> Result<String, FileProblem> {
        self.skip_space();
        if self.rest().starts_with(['[', '(', '{']) {
            // Says that the elements are structures.
            element(self.rest())?;
        }
        self.string().map(str::to_owned)
    }

    fn truth(&mut self) -> Result<bool, FileProblem> {
        self.skip_space();
        for (text, value) in [("True", true), ("False", false)] {
            if self.rest().starts_with(text) {
                self.at += text.len();
                return Ok(value);
            }
        }
        Err(self.malformed("True or False is missing"))
    }

    fn tuple(&mut self) -> Result<Vec<u64>, FileProblem> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            self.skip_space();
            let rest = self.rest();
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let Ok(size) = rest[..digits].parse() else {
                return Err(self.malformed("a size is missing or too large"));
            };
            sizes.push(size);
            self.at += digits;
            // Python 2 marked long integers.
            let _ = self.take('L');
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}
