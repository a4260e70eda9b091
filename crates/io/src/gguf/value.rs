//! Owns the values of GGUF metadata.

use std::collections::BTreeMap;

use olivine_core::{Array, Result};

/// What a GGUF file says about itself, by key.
pub type GgufMetadata = BTreeMap<String, GgufValue>;

/// A value of GGUF metadata.
///
/// ```
/// use olivine_io::GgufValue;
/// let value = GgufValue::Uint32(7);
/// assert_eq!(value.as_i64(), Some(7));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GgufValue {
    /// An unsigned integer of 8 bits.
    Uint8(u8),
    /// A signed integer of 8 bits.
    Int8(i8),
    /// An unsigned integer of 16 bits.
    Uint16(u16),
    /// A signed integer of 16 bits.
    Int16(i16),
    /// An unsigned integer of 32 bits.
    Uint32(u32),
    /// A signed integer of 32 bits.
    Int32(i32),
    /// An unsigned integer of 64 bits.
    Uint64(u64),
    /// A signed integer of 64 bits.
    Int64(i64),
    /// A number of single precision.
    Float32(f32),
    /// A number of double precision.
    Float64(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    String(String),
    /// Values of one type.
    Array(GgufValues),
}

/// Values of one type.
///
/// ```
/// use olivine_io::{GgufValue, GgufValues};
/// let list = GgufValue::Array(GgufValues::Int32(vec![1, 2]));
/// assert!(matches!(list, GgufValue::Array(GgufValues::Int32(numbers)) if numbers.len() == 2));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GgufValues {
    /// Unsigned integers of 8 bits.
    Uint8(Vec<u8>),
    /// Signed integers of 8 bits.
    Int8(Vec<i8>),
    /// Unsigned integers of 16 bits.
    Uint16(Vec<u16>),
    /// Signed integers of 16 bits.
    Int16(Vec<i16>),
    /// Unsigned integers of 32 bits.
    Uint32(Vec<u32>),
    /// Signed integers of 32 bits.
    Int32(Vec<i32>),
    /// Unsigned integers of 64 bits.
    Uint64(Vec<u64>),
    /// Signed integers of 64 bits.
    Int64(Vec<i64>),
    /// Numbers of single precision.
    Float32(Vec<f32>),
    /// Numbers of double precision.
    Float64(Vec<f64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Texts.
    String(Vec<String>),
    /// Arrays, which may differ in type and length.
    Array(Vec<GgufValues>),
}

macro_rules! conversions {
    ($($variant:ident $ty:ty),*) => {
        $(
            impl From<$ty> for GgufValue {
                fn from(value: $ty) -> Self {
                    GgufValue::$variant(value)
                }
            }

            impl From<Vec<$ty>> for GgufValue {
                fn from(values: Vec<$ty>) -> Self {
                    GgufValue::Array(GgufValues::$variant(values))
                }
            }
        )*
    };
}

conversions!(
    Uint8 u8, Int8 i8, Uint16 u16, Int16 i16, Uint32 u32, Int32 i32, Uint64 u64, Int64 i64, Float32 f32,
    Float64 f64, Bool bool, String String
);

impl From<&str> for GgufValue {
    fn from(text: &str) -> Self {
        GgufValue::String(text.to_owned())
    }
}

impl GgufValue {
    /// The text, if it is one.
    ///
    /// ```
    /// use olivine_io::GgufValue;
    /// assert_eq!(GgufValue::from("llama").as_str(), Some("llama"));
    /// assert_eq!(GgufValue::from(1u8).as_str(), None);
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        match self {
            GgufValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, of whatever type, if it is one that `i64` can hold.
    ///
    /// ```
    /// use olivine_io::GgufValue;
    /// assert_eq!(GgufValue::from(32u32).as_i64(), Some(32));
    /// assert_eq!(GgufValue::from(u64::MAX).as_i64(), None);
    /// ```
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            GgufValue::Uint8(x) => Some(x.into()),
            GgufValue::Int8(x) => Some(x.into()),
            GgufValue::Uint16(x) => Some(x.into()),
            GgufValue::Int16(x) => Some(x.into()),
            GgufValue::Uint32(x) => Some(x.into()),
            GgufValue::Int32(x) => Some(x.into()),
            GgufValue::Uint64(x) => x.try_into().ok(),
            GgufValue::Int64(x) => Some(x),
            _ => None,
        }
    }

    /// The number, of whatever type, rounded to double precision; `None` if it is no number.
    ///
    /// ```
    /// use olivine_io::GgufValue;
    /// assert_eq!(GgufValue::from(0.5f32).as_f64(), Some(0.5));
    /// assert_eq!(GgufValue::from(true).as_f64(), None);
    /// ```
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            GgufValue::Float32(x) => Some(x.into()),
            GgufValue::Float64(x) => Some(x),
            GgufValue::Uint64(x) => Some(x as f64),
            _ => self.as_i64().map(|x| x as f64),
        }
    }

    /// The truth value, if it is one.
    ///
    /// ```
    /// assert_eq!(olivine_io::GgufValue::from(true).as_bool(), Some(true));
    /// ```
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            GgufValue::Bool(x) => Some(x),
            _ => None,
        }
    }

    /// The texts, if it is an array of them.
    ///
    /// ```
    /// let names = olivine_io::GgufValue::from(vec!["a".to_owned()]);
    /// assert_eq!(names.strings(), Some(&["a".to_owned()][..]));
    /// ```
    pub fn strings(&self) -> Option<&[String]> {
        match self {
            GgufValue::Array(GgufValues::String(texts)) => Some(texts),
            _ => None,
        }
    }

    /// The value as an array: a scalar of a number or truth value, a vector of several; `None` for
    /// text and for arrays of arrays.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// let value = olivine_io::GgufValue::from(vec![1u16, 2]);
    /// assert_eq!(value.to_array().unwrap()?.to_vec::<u16>()?, [1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn to_array(&self) -> Option<Result<Array>> {
        Some(Ok(match self {
            GgufValue::Uint8(x) => Array::scalar(*x),
            GgufValue::Int8(x) => Array::scalar(*x),
            GgufValue::Uint16(x) => Array::scalar(*x),
            GgufValue::Int16(x) => Array::scalar(*x),
            GgufValue::Uint32(x) => Array::scalar(*x),
            GgufValue::Int32(x) => Array::scalar(*x),
            GgufValue::Uint64(x) => Array::scalar(*x),
            GgufValue::Int64(x) => Array::scalar(*x),
            GgufValue::Float32(x) => Array::scalar(*x),
            GgufValue::Float64(x) => Array::scalar(*x),
            GgufValue::Bool(x) => Array::scalar(*x),
            GgufValue::String(_) => return None,
            GgufValue::Array(values) => return values.to_array(),
        }))
    }
}

impl GgufValues {
    fn to_array(&self) -> Option<Result<Array>> {
        Some(match self {
            GgufValues::Uint8(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Int8(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Uint16(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Int16(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Uint32(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Int32(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Uint64(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Int64(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Float32(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Float64(x) => Array::from_slice(x, [x.len()]),
            GgufValues::Bool(x) => Array::from_slice(x, [x.len()]),
            GgufValues::String(_) | GgufValues::Array(_) => return None,
        })
    }
}

/// The numbers by which files tell types of values.
pub(super) mod code {
    pub(crate) const UINT8: u32 = 0;
    pub(crate) const INT8: u32 = 1;
    pub(crate) const UINT16: u32 = 2;
    pub(crate) const INT16: u32 = 3;
    pub(crate) const UINT32: u32 = 4;
    pub(crate) const INT32: u32 = 5;
    pub(crate) const FLOAT32: u32 = 6;
    pub(crate) const BOOL: u32 = 7;
    pub(crate) const STRING: u32 = 8;
    pub(crate) const ARRAY: u32 = 9;
    pub(crate) const UINT64: u32 = 10;
    pub(crate) const INT64: u32 = 11;
    pub(crate) const FLOAT64: u32 = 12;
}
