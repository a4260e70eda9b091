//! Owns scalar functions of one array: what each computes for each dtype.

use olivine_core::{Call, Complex64, Dtype, Result, ops::scalar::Unary};

use super::{
    elementwise::{self, Plan},
    scalar::{complex, integer::Integer, map1, map1_rare, math32, math64},
};
use crate::tensor::wrong_dtype;

/// Runs a scalar function over one input.
pub(crate) fn run(op: Unary, call: &mut Call) -> Result<()> {
    let (input, output) = (call.input(0).dtype, call.dtype(0));
    let Some(plan) = plan(op, input, output) else {
        return Err(wrong_dtype(op.name(), input));
    };
    elementwise::run::<1>(plan, call)
}

/// How to compute `op` from `input` to `output`.
pub(crate) fn plan(op: Unary, input: Dtype, output: Dtype) -> Option<Plan> {
    match input {
        Dtype::Bool => boolean(op),
        Dtype::Uint8 => uint8(op),
        Dtype::Uint16 => uint16(op),
        Dtype::Uint32 => uint32(op),
        Dtype::Uint64 => uint64(op),
        Dtype::Int8 => int8(op),
        Dtype::Int16 => int16(op),
        Dtype::Int32 => int32(op),
        Dtype::Int64 => int64(op),
        Dtype::Float16 | Dtype::BFloat16 => float32(op).map(|plan| Plan {
            widen: Some(input),
            narrow: (output == input).then_some(input),
            ..plan
        }),
        Dtype::Float32 => float32(op),
        Dtype::Float64 => float64(op),
        Dtype::Complex64 => complex64(op),
    }
}

fn boolean(op: Unary) -> Option<Plan> {
    match op {
        Unary::Abs
        | Unary::Ceil
        | Unary::Conjugate
        | Unary::Floor
        | Unary::Real
        | Unary::Round
        | Unary::Sign
        | Unary::Square
        | Unary::Trunc => map1!(loop1_v3, 1, u8 => u8, |x| x),
        Unary::BitwiseInvert | Unary::LogicalNot => map1!(loop1_v3, 1, u8 => u8, |x| x ^ 1),
        Unary::IsFinite => map1!(loop1_v3, 1, u8 => u8, |_| 1),
        Unary::Imag | Unary::IsInf | Unary::IsNan => map1!(loop1_v3, 1, u8 => u8, |_| 0),
        Unary::ArcCos
        | Unary::ArcCosh
        | Unary::ArcSin
        | Unary::ArcSinh
        | Unary::ArcTan
        | Unary::ArcTanh
        | Unary::Cos
        | Unary::Cosh
        | Unary::Erf
        | Unary::ErfInv
        | Unary::Exp
        | Unary::Expm1
        | Unary::Log
        | Unary::Log10
        | Unary::Log1p
        | Unary::Log2
        | Unary::Negative
        | Unary::Reciprocal
        | Unary::Rsqrt
        | Unary::Sigmoid
        | Unary::Sin
        | Unary::Sinh
        | Unary::Sqrt
        | Unary::Tan
        | Unary::Tanh => None,
    }
}

/// Functions of integers of one width that are the same with and without a sign. Which others there
/// are is listed here alone.
macro_rules! signless_functions {
    ($($name:ident $ty:ty),*) => {$(
        fn $name(op: Unary) -> Option<Plan> {
            match op {
                Unary::Ceil
                | Unary::Conjugate
                | Unary::Floor
                | Unary::Real
                | Unary::Round
                | Unary::Trunc => map1!(loop1_v3, 1, $ty => $ty, |x| x),
                Unary::Square => map1!(loop1_v3, 1, $ty => $ty, |x| x.wrapping_mul(x)),
                Unary::Negative => map1!(loop1_v3, 1, $ty => $ty, |x| x.wrapping_neg()),
                Unary::BitwiseInvert => map1!(loop1_v3, 1, $ty => $ty, |x| !x),
                Unary::IsFinite => map1!(loop1_v3, 1, $ty => u8, |_| 1),
                Unary::IsInf | Unary::IsNan => map1!(loop1_v3, 1, $ty => u8, |_| 0),
                Unary::Imag => map1!(loop1_v3, 1, $ty => $ty, |_| 0),
                Unary::Abs
                | Unary::ArcCos
                | Unary::ArcCosh
                | Unary::ArcSin
                | Unary::ArcSinh
                | Unary::ArcTan
                | Unary::ArcTanh
                | Unary::Cos
                | Unary::Cosh
                | Unary::Erf
                | Unary::ErfInv
                | Unary::Exp
                | Unary::Expm1
                | Unary::Log
                | Unary::Log10
                | Unary::Log1p
                | Unary::Log2
                | Unary::LogicalNot
                | Unary::Reciprocal
                | Unary::Rsqrt
                | Unary::Sigmoid
                | Unary::Sign
                | Unary::Sin
                | Unary::Sinh
                | Unary::Sqrt
                | Unary::Tan
                | Unary::Tanh => None,
            }
        }
    )*};
}

signless_functions! { bits8 u8, bits16 u16, bits32 u32, bits64 u64 }

macro_rules! integer_functions {
    ($($name:ident $ty:ty, $signless:ident;)*) => {$(
        fn $name(op: Unary) -> Option<Plan> {
            match op {
                Unary::Abs => map1!(loop1_v3, 1, $ty => $ty, |x| x.magnitude()),
                Unary::Sign => map1!(loop1_v3, 1, $ty => $ty, |x| x.sign()),
                other => $signless(other),
            }
        }
    )*};
}

integer_functions! {
    uint8 u8, bits8; uint16 u16, bits16; uint32 u32, bits32; uint64 u64, bits64;
    int8 i8, bits8; int16 i16, bits16; int32 i32, bits32; int64 i64, bits64;
}

macro_rules! float_functions {
    ($($name:ident $ty:ident $math:ident $run:ident $sin:ident $cos:ident $tan:ident;)*) => {$(
        fn $name(op: Unary) -> Option<Plan> {
            match op {
                Unary::Abs => map1!($run, 1, $ty => $ty, |x| x.abs()),
                Unary::ArcCos => map1!($run, 20, $ty => $ty, |x| $math::acos::<S>(x)),
                Unary::ArcCosh => map1!($run, 30, $ty => $ty, |x| $math::acosh::<S>(x)),
                Unary::ArcSin => map1!($run, 20, $ty => $ty, |x| $math::asin::<S>(x)),
                Unary::ArcSinh => map1!($run, 30, $ty => $ty, |x| $math::asinh::<S>(x)),
                Unary::ArcTan => map1!($run, 20, $ty => $ty, |x| $math::atan::<S>(x)),
                Unary::ArcTanh => map1!($run, 30, $ty => $ty, |x| $math::atanh::<S>(x)),
                Unary::Ceil => map1!($run, 1, $ty => $ty, |x| x.ceil()),
                Unary::Conjugate | Unary::Real => map1!($run, 1, $ty => $ty, |x| x),
                Unary::Cos => map1_rare!($run, 20, $ty, |x| $math::cos::<S>(x),
                    $math::is_large_angle, libm::$cos),
                Unary::Cosh => map1!($run, 20, $ty => $ty, |x| $math::cosh::<S>(x)),
                Unary::Erf => map1!($run, 20, $ty => $ty, |x| $math::erf::<S>(x)),
                Unary::ErfInv => Some($math::erfinv_plan()),
                Unary::Exp => map1!($run, 10, $ty => $ty, |x| $math::exp::<S>(x)),
                Unary::Expm1 => map1!($run, 15, $ty => $ty, |x| $math::expm1::<S>(x)),
                Unary::Floor => map1!($run, 1, $ty => $ty, |x| x.floor()),
                Unary::Imag => map1!($run, 1, $ty => $ty, |_| 0.0),
                Unary::IsFinite => map1!($run, 1, $ty => u8, |x| x.is_finite() as u8),
                Unary::IsInf => map1!($run, 1, $ty => u8, |x| x.is_infinite() as u8),
                Unary::IsNan => map1!($run, 1, $ty => u8, |x| x.is_nan() as u8),
                Unary::Log => map1!($run, 15, $ty => $ty, |x| $math::log::<S>(x)),
                Unary::Log10 => map1!($run, 15, $ty => $ty, |x| $math::log10::<S>(x)),
                Unary::Log1p => map1!($run, 15, $ty => $ty, |x| $math::log1p::<S>(x)),
                Unary::Log2 => map1!($run, 15, $ty => $ty, |x| $math::log2::<S>(x)),
                Unary::Negative => map1!($run, 1, $ty => $ty, |x| -x),
                Unary::Reciprocal => map1!($run, 3, $ty => $ty, |x| 1.0 / x),
                Unary::Round => map1!($run, 1, $ty => $ty, |x| x.round_ties_even()),
                Unary::Rsqrt => map1!($run, 5, $ty => $ty, |x| 1.0 / x.sqrt()),
                Unary::Sigmoid => map1!($run, 15, $ty => $ty, |x| $math::sigmoid::<S>(x)),
                Unary::Sign => {
                    map1!($run, 1, $ty => $ty, |x| (x > 0.0) as u8 as $ty - (x < 0.0) as u8 as $ty)
                }
                Unary::Sin => map1_rare!($run, 20, $ty, |x| $math::sin::<S>(x),
                    $math::is_large_angle, libm::$sin),
                Unary::Sinh => map1!($run, 20, $ty => $ty, |x| $math::sinh::<S>(x)),
                Unary::Sqrt => map1!($run, 3, $ty => $ty, |x| x.sqrt()),
                Unary::Square => map1!($run, 1, $ty => $ty, |x| x * x),
                Unary::Tan => map1_rare!($run, 25, $ty, |x| $math::tan::<S>(x),
                    $math::is_large_angle, libm::$tan),
                Unary::Tanh => map1!($run, 20, $ty => $ty, |x| $math::tanh::<S>(x)),
                Unary::Trunc => map1!($run, 1, $ty => $ty, |x| x.trunc()),
                Unary::BitwiseInvert | Unary::LogicalNot => None,
            }
        }
    )*};
}

float_functions! {
    float32 f32 math32 loop1 sinf cosf tanf;
    float64 f64 math64 loop1_v3 sin cos tan;
}

fn complex64(op: Unary) -> Option<Plan> {
    macro_rules! complex {
        ($z:ident => $body:expr) => {
            map1!(loop1_v3, 60, Complex64 => Complex64, |$z| $body)
        };
    }
    match op {
        Unary::Abs => map1!(loop1_v3, 10, Complex64 => f32, |z| z.norm()),
        Unary::Real => map1!(loop1_v3, 1, Complex64 => f32, |z| z.re),
        Unary::Imag => map1!(loop1_v3, 1, Complex64 => f32, |z| z.im),
        Unary::IsFinite => map1!(loop1_v3, 1, Complex64 => u8, |z| z.is_finite() as u8),
        Unary::IsInf => map1!(loop1_v3, 1, Complex64 => u8, |z| z.is_infinite() as u8),
        Unary::IsNan => map1!(loop1_v3, 1, Complex64 => u8, |z| z.is_nan() as u8),
        Unary::Conjugate => complex!(z => z.conj()),
        Unary::Negative => complex!(z => -z),
        Unary::Square => complex!(z => z * z),
        Unary::Round => {
            complex!(z => Complex64::new(z.re.round_ties_even(), z.im.round_ties_even()))
        }
        Unary::ArcCos => complex!(z => complex::acos(z)),
        Unary::ArcCosh => complex!(z => complex::acosh(z)),
        Unary::ArcSin => complex!(z => complex::asin(z)),
        Unary::ArcSinh => complex!(z => complex::asinh(z)),
        Unary::ArcTan => complex!(z => complex::atan(z)),
        Unary::ArcTanh => complex!(z => complex::atanh(z)),
        Unary::Cos => complex!(z => complex::cos(z)),
        Unary::Cosh => complex!(z => complex::cosh(z)),
        Unary::Exp => complex!(z => complex::exp(z)),
        Unary::Log => complex!(z => complex::log(z)),
        Unary::Log10 => complex!(z => complex::log10(z)),
        Unary::Log1p => complex!(z => complex::log1p(z)),
        Unary::Log2 => complex!(z => complex::log2(z)),
        Unary::Reciprocal => complex!(z => complex::reciprocal(z)),
        Unary::Rsqrt => complex!(z => complex::rsqrt(z)),
        Unary::Sign => complex!(z => complex::sign(z)),
        Unary::Sin => complex!(z => complex::sin(z)),
        Unary::Sinh => complex!(z => complex::sinh(z)),
        Unary::Sqrt => complex!(z => complex::sqrt(z)),
        Unary::Tan => complex!(z => complex::tan(z)),
        Unary::Tanh => complex!(z => complex::tanh(z)),
        Unary::BitwiseInvert
        | Unary::Ceil
        | Unary::Erf
        | Unary::ErfInv
        | Unary::Expm1
        | Unary::Floor
        | Unary::LogicalNot
        | Unary::Sigmoid
        | Unary::Trunc => None,
    }
}
