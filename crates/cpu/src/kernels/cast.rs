//! Owns conversion between dtypes. Halves go by way of `f32`.

use olivine_core::{Call, Complex64, Dtype, Result};

use super::elementwise::{self, Plan};
use super::scalar::map1;
use crate::tensor::wrong_dtype;

/// Converts the input to the output's dtype.
pub(crate) fn run(call: &mut Call) -> Result<()> {
    let (from, to) = (call.input(0).dtype, call.dtype(0));
    let Some(plan) = plan(from, to) else {
        return Err(wrong_dtype("astype", from));
    };
    elementwise::run::<1>(plan, call)
}

fn half(dtype: Dtype) -> Option<Dtype> {
    matches!(dtype, Dtype::Float16 | Dtype::BFloat16).then_some(dtype)
}

/// How to convert between two dtypes.
pub(crate) fn plan(from: Dtype, to: Dtype) -> Option<Plan> {
    let (widen, narrow) = (half(from), half(to));
    let to = if narrow.is_some() { Dtype::Float32 } else { to };
    let plan = match from {
        // Truth values are the numbers 0 and 1.
        Dtype::Bool | Dtype::Uint8 => from_uint8(to),
        Dtype::Uint16 => from_uint16(to),
        Dtype::Uint32 => from_uint32(to),
        Dtype::Uint64 => from_uint64(to),
        Dtype::Int8 => from_int8(to),
        Dtype::Int16 => from_int16(to),
        Dtype::Int32 => from_int32(to),
        Dtype::Int64 => from_int64(to),
        Dtype::Float16 | Dtype::BFloat16 | Dtype::Float32 => from_float32(to),
        Dtype::Float64 => from_float64(to),
        Dtype::Complex64 => from_complex64(to),
    }?;
    Some(Plan {
        widen,
        narrow,
        ..plan
    })
}

// Of whole numbers the last bits are kept, and what lies before them repeats the sign. So the sign
// of the new type never matters, and that of the old one only where numbers become wider.
macro_rules! from_unsigned {
    ($($name:ident $ty:ty;)*) => {$(
        fn $name(to: Dtype) -> Option<Plan> {
            match to {
                Dtype::Bool => map1!(loop1_v3, 1, $ty => u8, |x| (x != 0) as u8),
                Dtype::Uint8 | Dtype::Int8 => map1!(loop1_v3, 1, $ty => u8, |x| x as u8),
                Dtype::Uint16 | Dtype::Int16 => map1!(loop1_v3, 1, $ty => u16, |x| x as u16),
                Dtype::Uint32 | Dtype::Int32 => map1!(loop1_v3, 1, $ty => u32, |x| x as u32),
                Dtype::Uint64 | Dtype::Int64 => map1!(loop1_v3, 1, $ty => u64, |x| x as u64),
                Dtype::Float32 => map1!(loop1_v3, 1, $ty => f32, |x| x as f32),
                Dtype::Float64 => map1!(loop1_v3, 1, $ty => f64, |x| x as f64),
                Dtype::Complex64 => {
                    map1!(loop1_v3, 1, $ty => Complex64, |x| Complex64::new(x as f32, 0.0))
                }
                // `plan` asks for `f32` in their place.
                Dtype::Float16 | Dtype::BFloat16 => None,
            }
        }
    )*};
}

from_unsigned! { from_uint8 u8; from_uint16 u16; from_uint32 u32; from_uint64 u64; }

macro_rules! from_signed {
    ($($name:ident $ty:ty, $same:ident for $($narrow:ident)*,
        $($unsigned:ident $signed:ident $wide:ty),*;)*) => {$(
        fn $name(to: Dtype) -> Option<Plan> {
            match to {
                Dtype::Bool $(| Dtype::$narrow)* => $same(to),
                $(Dtype::$unsigned | Dtype::$signed => {
                    map1!(loop1_v3, 1, $ty => $wide, |x| x as $wide)
                })*
                Dtype::Float32 => map1!(loop1_v3, 1, $ty => f32, |x| x as f32),
                Dtype::Float64 => map1!(loop1_v3, 1, $ty => f64, |x| x as f64),
                Dtype::Complex64 => {
                    map1!(loop1_v3, 1, $ty => Complex64, |x| Complex64::new(x as f32, 0.0))
                }
                Dtype::Float16 | Dtype::BFloat16 => None,
            }
        }
    )*};
}

from_signed! {
    from_int8 i8, from_uint8 for Uint8 Int8,
        Uint16 Int16 u16, Uint32 Int32 u32, Uint64 Int64 u64;
    from_int16 i16, from_uint16 for Uint8 Int8 Uint16 Int16,
        Uint32 Int32 u32, Uint64 Int64 u64;
    from_int32 i32, from_uint32 for Uint8 Int8 Uint16 Int16 Uint32 Int32,
        Uint64 Int64 u64;
    from_int64 i64, from_uint64 for Uint8 Int8 Uint16 Int16 Uint32 Int32 Uint64 Int64,;
}

macro_rules! from_floats {
    ($($name:ident $ty:ty, |$x:ident| $number:expr, $truth:expr, $complex:expr;)*) => {$(
        fn $name(to: Dtype) -> Option<Plan> {
            match to {
                Dtype::Bool => map1!(loop1_v3, 1, $ty => u8, |$x| $truth as u8),
                Dtype::Uint8 => map1!(loop1_v3, 1, $ty => u8, |$x| $number as u8),
                Dtype::Uint16 => map1!(loop1_v3, 1, $ty => u16, |$x| $number as u16),
                Dtype::Uint32 => map1!(loop1_v3, 1, $ty => u32, |$x| $number as u32),
                Dtype::Uint64 => map1!(loop1_v3, 1, $ty => u64, |$x| $number as u64),
                Dtype::Int8 => map1!(loop1_v3, 1, $ty => i8, |$x| $number as i8),
                Dtype::Int16 => map1!(loop1_v3, 1, $ty => i16, |$x| $number as i16),
                Dtype::Int32 => map1!(loop1_v3, 1, $ty => i32, |$x| $number as i32),
                Dtype::Int64 => map1!(loop1_v3, 1, $ty => i64, |$x| $number as i64),
                Dtype::Float32 => map1!(loop1_v3, 1, $ty => f32, |$x| $number as f32),
                Dtype::Float64 => map1!(loop1_v3, 1, $ty => f64, |$x| $number as f64),
                Dtype::Complex64 => map1!(loop1_v3, 1, $ty => Complex64, |$x| $complex),
                Dtype::Float16 | Dtype::BFloat16 => None,
            }
        }
    )*};
}

from_floats! {
    from_float32 f32, |x| x, x != 0.0, Complex64::new(x, 0.0);
    from_float64 f64, |x| x, x != 0.0, Complex64::new(x as f32, 0.0);
    from_complex64 Complex64, |z| z.re, z.re != 0.0 || z.im != 0.0, z;
}
