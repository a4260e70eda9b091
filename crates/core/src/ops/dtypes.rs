//! Owns what programs ask about dtypes: their ranges, their categories, and what they convert to.

use super::{Family, Gradient, OpInfo, Sample, info::kinds};
use crate::{Array, Dtype, Error, Kind, Result};

/// The range and precision of a floating-point dtype; of a complex one, those of its parts.
///
/// ```
/// use olivine_core::{Dtype, finfo, FloatInfo};
/// let info: FloatInfo = finfo(Dtype::BFloat16)?;
/// assert_eq!((info.bits, info.eps, info.min), (16, 0.0078125, -info.max));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatInfo {
    /// The dtype of the numbers.
    pub dtype: Dtype,
    /// How many bits one takes.
    pub bits: usize,
    /// The distance from one to the next greater number.
    pub eps: f64,
    /// The greatest finite number.
    pub max: f64,
    /// The least finite number.
    pub min: f64,
    /// The smallest positive number of full precision.
    pub smallest_normal: f64,
}

/// The range of an integer dtype.
///
/// ```
/// use olivine_core::{Dtype, iinfo, IntegerInfo};
/// let info: IntegerInfo = iinfo(Dtype::Int16)?;
/// assert_eq!((info.min, info.max), (-32768, 32767));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerInfo {
    /// The dtype.
    pub dtype: Dtype,
    /// The least number.
    pub min: i64,
    /// The greatest number.
    pub max: u64,
}

/// The range and precision of a floating-point dtype. Fails for others.
///
/// ```
/// use olivine_core::{Dtype, ops::dtypes::finfo};
/// assert_eq!(finfo(Dtype::Float16)?.max, 65504.0);
/// assert!(finfo(Dtype::Int32).is_err());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn finfo(dtype: Dtype) -> Result<FloatInfo> {
    // Digits after the point of the binary fraction, and the greatest exponent.
    let (dtype, digits, exponent) = match dtype {
        Dtype::Float16 => (dtype, 10, 15),
        Dtype::BFloat16 => (dtype, 7, 127),
        Dtype::Float32 | Dtype::Complex64 => (Dtype::Float32, 23, 127),
        Dtype::Float64 => (dtype, 52, 1023),
        Dtype::Bool
        | Dtype::Uint8
        | Dtype::Uint16
        | Dtype::Uint32
        | Dtype::Uint64
        | Dtype::Int8
        | Dtype::Int16
        | Dtype::Int32
        | Dtype::Int64 => {
            let reason = "only floating-point and complex dtypes have a precision";
            return Err(Error::Dtype { op: "finfo", dtype, reason });
        }
    };
    let eps = 2f64.powi(-digits);
    let max = (2.0 - eps) * 2f64.powi(exponent);
    Ok(FloatInfo {
        dtype,
        bits: dtype.size() * 8,
        eps,
        max,
        min: -max,
        smallest_normal: 2f64.powi(1 - exponent),
    })
}

/// The range of an integer dtype. Fails for others, `bool` among them.
///
/// ```
/// use olivine_core::{Dtype, ops::dtypes::iinfo};
/// assert_eq!(iinfo(Dtype::Int8)?.min, -128);
/// assert!(iinfo(Dtype::Bool).is_err());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn iinfo(dtype: Dtype) -> Result<IntegerInfo> {
    let bits = dtype.size() as u32 * 8;
    match dtype.kind() {
        Kind::Unsigned => Ok(IntegerInfo { dtype, min: 0, max: u64::MAX >> (64 - bits) }),
        Kind::Signed => {
            let (min, max) = (i64::MIN >> (64 - bits), (i64::MAX >> (64 - bits)).unsigned_abs());
            Ok(IntegerInfo { dtype, min, max })
        }
        Kind::Bool | Kind::Float | Kind::Complex => {
            let reason = "only integer dtypes have a range of whole numbers";
            Err(Error::Dtype { op: "iinfo", dtype, reason })
        }
    }
}

/// A family of dtypes; they form a tree.
///
/// ```
/// use olivine_core::{Dtype, DtypeCategory, issubdtype};
/// assert!(issubdtype(Dtype::Int8, DtypeCategory::Integer));
/// assert!(issubdtype(DtypeCategory::Floating, DtypeCategory::Inexact));
/// assert!(!issubdtype(Dtype::Bool, DtypeCategory::Number));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtypeCategory {
    /// Every dtype.
    Generic,
    /// All but `bool`.
    Number,
    /// Signed and unsigned integers.
    Integer,
    /// Signed integers.
    SignedInteger,
    /// Unsigned integers.
    UnsignedInteger,
    /// Real and complex floating-point numbers.
    Inexact,
    /// Real floating-point numbers.
    Floating,
    /// Complex floating-point numbers.
    ComplexFloating,
}

impl DtypeCategory {
    /// The category that this one is a part of; none for all dtypes.
    ///
    /// ```
    /// use olivine_core::DtypeCategory;
    /// assert_eq!(DtypeCategory::Floating.parent(), Some(DtypeCategory::Inexact));
    /// assert_eq!(DtypeCategory::Generic.parent(), None);
    /// ```
    pub const fn parent(self) -> Option<DtypeCategory> {
        match self {
            DtypeCategory::Generic => None,
            DtypeCategory::Number => Some(DtypeCategory::Generic),
            DtypeCategory::Integer | DtypeCategory::Inexact => Some(DtypeCategory::Number),
            DtypeCategory::SignedInteger | DtypeCategory::UnsignedInteger => {
                Some(DtypeCategory::Integer)
            }
            DtypeCategory::Floating | DtypeCategory::ComplexFloating => Some(DtypeCategory::Inexact),
        }
    }
}

impl Dtype {
    /// The narrowest category it belongs to.
    ///
    /// ```
    /// use olivine_core::{Dtype, DtypeCategory};
    /// assert_eq!(Dtype::Uint8.category(), DtypeCategory::UnsignedInteger);
    /// assert_eq!(Dtype::Bool.category(), DtypeCategory::Generic);
    /// ```
    pub const fn category(self) -> DtypeCategory {
        match self.kind() {
            Kind::Bool => DtypeCategory::Generic,
            Kind::Unsigned => DtypeCategory::UnsignedInteger,
            Kind::Signed => DtypeCategory::SignedInteger,
            Kind::Float => DtypeCategory::Floating,
            Kind::Complex => DtypeCategory::ComplexFloating,
        }
    }
}

/// A dtype or a category of dtypes.
///
/// ```
/// use olivine_core::Dtype;
/// use olivine_core::ops::dtypes::DtypeOrCategory;
/// assert_eq!(DtypeOrCategory::from(Dtype::Int8), DtypeOrCategory::Dtype(Dtype::Int8));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtypeOrCategory {
    /// One dtype.
    Dtype(Dtype),
    /// All dtypes of a category.
    Category(DtypeCategory),
}

impl From<Dtype> for DtypeOrCategory {
    fn from(dtype: Dtype) -> Self {
        DtypeOrCategory::Dtype(dtype)
    }
}

impl From<DtypeCategory> for DtypeOrCategory {
    fn from(category: DtypeCategory) -> Self {
        DtypeOrCategory::Category(category)
    }
}

/// True if the first is the second or a part of it.
///
/// ```
/// use olivine_core::{Dtype, ops::dtypes::{DtypeCategory, issubdtype}};
/// assert!(issubdtype(Dtype::Float32, DtypeCategory::Inexact));
/// assert!(!issubdtype(Dtype::Float32, Dtype::Float64));
/// assert!(!issubdtype(DtypeCategory::SignedInteger, DtypeCategory::Floating));
/// ```
pub fn issubdtype(
    part: impl Into<DtypeOrCategory>,
    whole: impl Into<DtypeOrCategory>,
) -> bool {
    let own = match (part.into(), whole.into()) {
        (DtypeOrCategory::Dtype(part), DtypeOrCategory::Dtype(whole)) => return part == whole,
        (DtypeOrCategory::Category(_), DtypeOrCategory::Dtype(_)) => return false,
        (DtypeOrCategory::Dtype(part), DtypeOrCategory::Category(whole)) => (part.category(), whole),
        (DtypeOrCategory::Category(part), DtypeOrCategory::Category(whole)) => (part, whole),
    };
    let (mut part, whole) = (Some(own.0), own.1);
    while let Some(category) = part {
        if category == whole {
            return true;
        }
        part = category.parent();
    }
    false
}

/// A kind of dtype as the array API standard names it.
///
/// ```
/// use olivine_core::{Dtype, DtypeKind, isdtype};
/// let kind: DtypeKind = "real floating".parse()?;
/// assert!(isdtype(Dtype::BFloat16, &[DtypeKind::Bool, kind]));
/// assert!("whole".parse::<DtypeKind>().is_err());
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtypeKind {
    /// One dtype.
    Dtype(Dtype),
    /// `"bool"`.
    Bool,
    /// `"signed integer"`.
    SignedInteger,
    /// `"unsigned integer"`.
    UnsignedInteger,
    /// `"integral"`.
    Integral,
    /// `"real floating"`.
    RealFloating,
    /// `"complex floating"`.
    ComplexFloating,
    /// `"numeric"`.
    Numeric,
}

impl From<Dtype> for DtypeKind {
    fn from(dtype: Dtype) -> Self {
        DtypeKind::Dtype(dtype)
    }
}

impl std::str::FromStr for DtypeKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "bool" => DtypeKind::Bool,
            "signed integer" => DtypeKind::SignedInteger,
            "unsigned integer" => DtypeKind::UnsignedInteger,
            "integral" => DtypeKind::Integral,
            "real floating" => DtypeKind::RealFloating,
            "complex floating" => DtypeKind::ComplexFloating,
            "numeric" => DtypeKind::Numeric,
            _ => {
                let reason = format!(
                    "`{name}` is no kind of dtype; there are bool, signed integer, unsigned integer, \
                     integral, real floating, complex floating and numeric"
                );
                return Err(Error::Argument { op: "isdtype", reason });
            }
        })
    }
}

/// True if the dtype is of any of the kinds.
///
/// ```
/// use olivine_core::{Dtype, ops::dtypes::{DtypeKind, isdtype}};
/// assert!(isdtype(Dtype::Int8, &["integral".parse()?]));
/// assert!(!isdtype(Dtype::Bool, &[DtypeKind::Numeric, Dtype::Int8.into()]));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn isdtype(dtype: Dtype, kinds: &[DtypeKind]) -> bool {
    kinds.iter().any(|kind| match kind {
        DtypeKind::Dtype(own) => *own == dtype,
        DtypeKind::Bool => dtype.kind() == Kind::Bool,
        DtypeKind::SignedInteger => dtype.kind() == Kind::Signed,
        DtypeKind::UnsignedInteger => dtype.kind() == Kind::Unsigned,
        DtypeKind::Integral => dtype.is_integer(),
        DtypeKind::RealFloating => dtype.is_float(),
        DtypeKind::ComplexFloating => dtype.kind() == Kind::Complex,
        DtypeKind::Numeric => dtype.kind() != Kind::Bool,
    })
}

/// The dtype that holds the values of all. Fails for an empty list.
///
/// ```
/// use olivine_core::{Dtype, ops::dtypes::result_type};
/// assert_eq!(result_type(&[Dtype::Int32, Dtype::Float16])?, Dtype::Float16);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn result_type(dtypes: &[Dtype]) -> Result<Dtype> {
    dtypes.iter().copied().reduce(Dtype::promote).ok_or_else(|| Error::Argument {
        op: "result_type",
        reason: "it takes at least one dtype".to_owned(),
    })
}

/// True if promoting both dtypes gives `to`.
///
/// ```
/// use olivine_core::{Dtype, ops::dtypes::can_cast};
/// assert!(can_cast(Dtype::Int32, Dtype::Float16));
/// assert!(!can_cast(Dtype::Float32, Dtype::Int64));
/// ```
pub fn can_cast(from: Dtype, to: Dtype) -> bool {
    from.promote(to) == to
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Query,
        kinds: kinds::ALL,
        gradient: Gradient::Zero,
        samples,
    };
    /// A sample that asks the same of every dtype.
    fn each(label: &'static str, ask: fn(Dtype) -> Result<f64>) -> Sample {
        Sample::new(label, [], move |_| {
            let answers: Vec<f64> = Dtype::ALL.map(|dtype| ask(dtype).unwrap_or(0.0)).into();
            Array::from_slice(&answers, [answers.len()])
        })
    }
    vec![
        op("finfo", "The range of a floating-point dtype.", "finfo(dtype)", || {
            vec![
                each("max", |dtype| finfo(dtype).map(|info| info.max)),
                each("min", |dtype| finfo(dtype).map(|info| info.min)),
                each("eps", |dtype| finfo(dtype).map(|info| info.eps)),
                each("smallest_normal", |dtype| finfo(dtype).map(|info| info.smallest_normal)),
                each("bits", |dtype| finfo(dtype).map(|info| info.bits as f64)),
            ]
        }),
        op("iinfo", "The range of an integer dtype.", "iinfo(dtype)", || {
            vec![
                each("min", |dtype| iinfo(dtype).map(|info| info.min as f64)),
                each("max", |dtype| iinfo(dtype).map(|info| info.max as f64)),
            ]
        }),
        op("issubdtype", "Whether a dtype belongs to a category.", "issubdtype(a, b)", || {
            vec![
                each("integer", |dtype| Ok(issubdtype(dtype, DtypeCategory::Integer).into())),
                each("inexact", |dtype| Ok(issubdtype(dtype, DtypeCategory::Inexact).into())),
                each("generic", |dtype| Ok(issubdtype(dtype, DtypeCategory::Generic).into())),
                each("number", |dtype| Ok(issubdtype(dtype, DtypeCategory::Number).into())),
                each("float16", |dtype| Ok(issubdtype(dtype, Dtype::Float16).into())),
            ]
        }),
        op("isdtype", "Whether a dtype is of a kind.", "isdtype(dtype, kind)", || {
            vec![
                each("integral", |dtype| Ok(isdtype(dtype, &["integral".parse()?]).into())),
                each("numeric", |dtype| Ok(isdtype(dtype, &["numeric".parse()?]).into())),
                each("float16", |dtype| Ok(isdtype(dtype, &[Dtype::Float16.into()]).into())),
            ]
        }),
        op("result_type", "The dtype that holds all values.", "result_type(*arrays)", || {
            vec![each("int32", |dtype| {
                Ok(f64::from(result_type(&[dtype, Dtype::Int32])? == dtype))
            })]
        }),
        op("can_cast", "Whether promotion gives the second dtype.", "can_cast(from_, to)", || {
            vec![each("int32", |dtype| Ok(f64::from(can_cast(Dtype::Int32, dtype))))]
        }),
    ]
}
