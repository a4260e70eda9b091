//! Owns element types: the fourteen dtypes, their promotion, and the Rust type behind each.

use std::fmt;

use half::{bf16, f16};

/// A 64-bit complex number: two `f32`.
pub type Complex64 = num_complex::Complex<f32>;

/// The type of an array's elements.
///
/// ```
/// use olivine_core::Dtype;
/// assert_eq!(Dtype::Int32.promote(Dtype::Float16), Dtype::Float16);
/// assert_eq!(Dtype::BFloat16.size(), 2);
/// assert_eq!(Dtype::Float32.to_string(), "float32");
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[repr(u8)]
pub enum Dtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    Uint8,
    /// Unsigned, 16 bits.
    Uint16,
    /// Unsigned, 32 bits.
    Uint32,
    /// Unsigned, 64 bits.
    Uint64,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// IEEE 754 binary16.
    Float16,
    /// The upper half of a binary32.
    BFloat16,
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary64.
    Float64,
    /// Two binary32: real and imaginary part.
    Complex64,
}

/// What sort of number a dtype holds.
///
/// ```
/// use olivine_core::{Dtype, Kind};
/// assert_eq!(Dtype::Uint16.kind(), Kind::Unsigned);
/// assert!(Kind::Bool < Kind::Float);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Truth values.
    Bool,
    /// Integers from zero.
    Unsigned,
    /// Integers of either sign.
    Signed,
    /// Real floating-point numbers.
    Float,
    /// Complex floating-point numbers.
    Complex,
}

impl Dtype {
    /// Every dtype, in promotion order within each kind.
    pub const ALL: [Dtype; 14] = [
        Dtype::Bool,
        Dtype::Uint8,
        Dtype::Uint16,
        Dtype::Uint32,
        Dtype::Uint64,
        Dtype::Int8,
        Dtype::Int16,
        Dtype::Int32,
        Dtype::Int64,
        Dtype::Float16,
        Dtype::BFloat16,
        Dtype::Float32,
        Dtype::Float64,
        Dtype::Complex64,
    ];

    /// Bytes per element.
    ///
    /// ```
    /// use olivine_core::Dtype;
    /// assert_eq!((Dtype::BFloat16.size(), Dtype::Complex64.size()), (2, 8));
    /// ```
    pub const fn size(self) -> usize {
        match self {
            Dtype::Bool | Dtype::Uint8 | Dtype::Int8 => 1,
            Dtype::Uint16 | Dtype::Int16 | Dtype::Float16 | Dtype::BFloat16 => 2,
            Dtype::Uint32 | Dtype::Int32 | Dtype::Float32 => 4,
            Dtype::Uint64 | Dtype::Int64 | Dtype::Float64 | Dtype::Complex64 => 8,
        }
    }

    /// The sort of number this dtype holds.
    ///
    /// ```
    /// use olivine_core::{Dtype, Kind};
    /// assert_eq!(Dtype::Int8.kind(), Kind::Signed);
    /// ```
    pub const fn kind(self) -> Kind {
        match self {
            Dtype::Bool => Kind::Bool,
            Dtype::Uint8 | Dtype::Uint16 | Dtype::Uint32 | Dtype::Uint64 => Kind::Unsigned,
            Dtype::Int8 | Dtype::Int16 | Dtype::Int32 | Dtype::Int64 => Kind::Signed,
            Dtype::Float16 | Dtype::BFloat16 | Dtype::Float32 | Dtype::Float64 => Kind::Float,
            Dtype::Complex64 => Kind::Complex,
        }
    }

    /// The name used in files, messages and Python: `float32`, `bool`, ….
    ///
    /// ```
    /// use olivine_core::Dtype;
    /// assert_eq!(Dtype::BFloat16.name(), "bfloat16");
    /// assert_eq!(Dtype::BFloat16.to_string(), "bfloat16");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::Bool => "bool",
            Dtype::Uint8 => "uint8",
            Dtype::Uint16 => "uint16",
            Dtype::Uint32 => "uint32",
            Dtype::Uint64 => "uint64",
            Dtype::Int8 => "int8",
            Dtype::Int16 => "int16",
            Dtype::Int32 => "int32",
            Dtype::Int64 => "int64",
            Dtype::Float16 => "float16",
            Dtype::BFloat16 => "bfloat16",
            Dtype::Float32 => "float32",
            Dtype::Float64 => "float64",
            Dtype::Complex64 => "complex64",
        }
    }

    /// True for real and complex floating-point dtypes.
    ///
    /// ```
    /// use olivine_core::Dtype;
    /// assert!(Dtype::Complex64.is_inexact() && Dtype::Float16.is_inexact());
    /// assert!(!Dtype::Int32.is_inexact());
    /// ```
    pub const fn is_inexact(self) -> bool {
        matches!(self.kind(), Kind::Float | Kind::Complex)
    }

    /// True for real floating-point dtypes.
    ///
    /// ```
    /// use olivine_core::Dtype;
    /// assert!(Dtype::Float16.is_float());
    /// assert!(!Dtype::Complex64.is_float());
    /// ```
    pub const fn is_float(self) -> bool {
        matches!(self.kind(), Kind::Float)
    }

    /// True for signed and unsigned integers, not for `Bool`.
    ///
    /// ```
    /// use olivine_core::Dtype;
    /// assert!(Dtype::Uint8.is_integer());
    /// assert!(!Dtype::Bool.is_integer());
    /// ```
    pub const fn is_integer(self) -> bool {
        matches!(self.kind(), Kind::Signed | Kind::Unsigned)
    }

    /// The dtype of transcendental functions of this dtype: itself where inexact, else `Float32`.
    ///
    /// ```
    /// use olivine_core::Dtype;
    /// assert_eq!(Dtype::Int64.to_inexact(), Dtype::Float32);
    /// assert_eq!(Dtype::Float16.to_inexact(), Dtype::Float16);
    /// ```
    pub const fn to_inexact(self) -> Dtype {
        if self.is_inexact() {
            self
        } else {
            Dtype::Float32
        }
    }

    /// The dtype that holds values of both: MLX's promotion table.
    ///
    /// Half of each sort meet in `Float32`; a 64-bit unsigned integer and a signed one too; any
    /// other unsigned integer and a signed one meet in the next wider signed integer.
    ///
    /// ```
    /// use olivine_core::Dtype;
    /// assert_eq!(Dtype::Uint8.promote(Dtype::Int8), Dtype::Int16);
    /// assert_eq!(Dtype::Int64.promote(Dtype::Float16), Dtype::Float16);
    /// assert_eq!(Dtype::Float16.promote(Dtype::BFloat16), Dtype::Float32);
    /// ```
    pub const fn promote(self, other: Dtype) -> Dtype {
        if self as u8 == other as u8 {
            return self;
        }
        let (low, high) = if (self as u8) < (other as u8) {
            (self, other)
        } else {
            (other, self)
        };
        match (low.kind(), high.kind()) {
            (Kind::Unsigned, Kind::Signed) => {
                if low.size() < high.size() {
                    return high;
                }
                match low.size() {
                    1 => Dtype::Int16,
                    2 => Dtype::Int32,
                    4 => Dtype::Int64,
                    _ => Dtype::Float32,
                }
            }
            (Kind::Float, Kind::Float)
                if matches!((low, high), (Dtype::Float16, Dtype::BFloat16)) =>
            {
                Dtype::Float32
            }
            _ => high,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that arrays can hold. Sealed: there is one for each [`Dtype`].
///
/// ```
/// use olivine_core::{Element, f16};
/// fn bytes<T: Element>(count: usize) -> usize {
///     count * T::DTYPE.size()
/// }
/// assert_eq!(bytes::<f16>(3), 6);
/// ```
pub trait Element:
    sealed::Sealed + Copy + Default + PartialEq + fmt::Debug + Send + Sync + 'static
{
    /// The dtype of this type.
    const DTYPE: Dtype;
}

macro_rules! elements {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl sealed::Sealed for $ty {}
        impl Element for $ty {
            const DTYPE: Dtype = Dtype::$variant;
        }
    )*};
}

elements! {
    bool => Bool, u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    f16 => Float16, bf16 => BFloat16, f32 => Float32, f64 => Float64, Complex64 => Complex64,
}

/// Runs an expression with a type alias bound to the Rust type of a run-time [`Dtype`].
///
/// The first argument names the types the expression is compiled for: `all`, `real` (all but
/// complex and bool), `integer`, `float`, `narrow` (the floats of at most 32 bits), `inexact`, or
/// `number` (all but bool). Other dtypes take the `else` branch.
///
/// ```
/// use olivine_core::{dispatch, Dtype};
/// fn width(dtype: Dtype) -> usize {
///     dispatch!(all, dtype, T => size_of::<T>())
/// }
/// assert_eq!(width(Dtype::Int16), 2);
/// ```
#[macro_export]
macro_rules! dispatch {
    (@arms $dtype:expr, $T:ident => $body:expr, [$($variant:ident $ty:ty),*], $otherwise:expr) => {
        match $dtype {
            $($crate::Dtype::$variant => { type $T = $ty; $body })*
            _ => $otherwise,
        }
    };
    (all, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::Dtype::Bool => { type $T = bool; $body }
            $crate::Dtype::Uint8 => { type $T = u8; $body }
            $crate::Dtype::Uint16 => { type $T = u16; $body }
            $crate::Dtype::Uint32 => { type $T = u32; $body }
            $crate::Dtype::Uint64 => { type $T = u64; $body }
            $crate::Dtype::Int8 => { type $T = i8; $body }
            $crate::Dtype::Int16 => { type $T = i16; $body }
            $crate::Dtype::Int32 => { type $T = i32; $body }
            $crate::Dtype::Int64 => { type $T = i64; $body }
            $crate::Dtype::Float16 => { type $T = $crate::f16; $body }
            $crate::Dtype::BFloat16 => { type $T = $crate::bf16; $body }
            $crate::Dtype::Float32 => { type $T = f32; $body }
            $crate::Dtype::Float64 => { type $T = f64; $body }
            $crate::Dtype::Complex64 => { type $T = $crate::Complex64; $body }
        }
    };
    (number, $dtype:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        $crate::dispatch!(@arms $dtype, $T => $body, [
            Uint8 u8, Uint16 u16, Uint32 u32, Uint64 u64, Int8 i8, Int16 i16, Int32 i32, Int64 i64,
            Float16 $crate::f16, BFloat16 $crate::bf16, Float32 f32, Float64 f64,
            Complex64 $crate::Complex64], $otherwise)
    };
    (real, $dtype:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        $crate::dispatch!(@arms $dtype, $T => $body, [
            Uint8 u8, Uint16 u16, Uint32 u32, Uint64 u64, Int8 i8, Int16 i16, Int32 i32, Int64 i64,
            Float16 $crate::f16, BFloat16 $crate::bf16, Float32 f32, Float64 f64], $otherwise)
    };
    (integer, $dtype:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        $crate::dispatch!(@arms $dtype, $T => $body, [
            Uint8 u8, Uint16 u16, Uint32 u32, Uint64 u64, Int8 i8, Int16 i16, Int32 i32, Int64 i64],
            $otherwise)
    };
    (float, $dtype:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        $crate::dispatch!(@arms $dtype, $T => $body, [
            Float16 $crate::f16, BFloat16 $crate::bf16, Float32 f32, Float64 f64], $otherwise)
    };
    (narrow, $dtype:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        $crate::dispatch!(@arms $dtype, $T => $body, [
            Float16 $crate::f16, BFloat16 $crate::bf16, Float32 f32], $otherwise)
    };
    (inexact, $dtype:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        $crate::dispatch!(@arms $dtype, $T => $body, [
            Float16 $crate::f16, BFloat16 $crate::bf16, Float32 f32, Float64 f64,
            Complex64 $crate::Complex64], $otherwise)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotion_is_symmetric_and_idempotent() {
        for a in Dtype::ALL {
            assert_eq!(a.promote(a), a);
            for b in Dtype::ALL {
                assert_eq!(a.promote(b), b.promote(a), "{a} {b}");
            }
        }
    }

    #[test]
    fn mixed_signs_widen() {
        assert_eq!(Dtype::Uint8.promote(Dtype::Int8), Dtype::Int16);
        assert_eq!(Dtype::Uint32.promote(Dtype::Int8), Dtype::Int64);
        assert_eq!(Dtype::Uint8.promote(Dtype::Int64), Dtype::Int64);
        assert_eq!(Dtype::Uint64.promote(Dtype::Int64), Dtype::Float32);
        assert_eq!(Dtype::Float16.promote(Dtype::BFloat16), Dtype::Float32);
    }
}
