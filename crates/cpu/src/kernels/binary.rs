//! Owns scalar functions of two arrays: what each computes for each dtype.

use olivine_core::{Call, Complex64, Dtype, Result, ops::scalar::Binary};

use super::{
    elementwise::{self, Plan},
    scalar::{complex, integer::Integer, map2, math32, math64},
};
use crate::tensor::wrong_dtype;

/// Runs a scalar function over two inputs.
pub(crate) fn run(op: Binary, call: &mut Call) -> Result<()> {
    let (input, output) = (call.input(0).dtype, call.dtype(0));
    let Some(plan) = plan(op, input, output) else {
        return Err(wrong_dtype(op.name(), input));
    };
    elementwise::run::<2>(plan, call)
}

/// How to compute `op` from two of `input` to `output`.
pub(crate) fn plan(op: Binary, input: Dtype, output: Dtype) -> Option<Plan> {
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

fn boolean(op: Binary) -> Option<Plan> {
    macro_rules! boolean {
        ($a:ident, $b:ident => $body:expr) => {
            map2!(loop2_v3, 1, u8 => u8, |$a, $b| $body)
        };
    }
    match op {
        Binary::Add | Binary::BitwiseOr | Binary::LogicalOr | Binary::Maximum => {
            boolean!(a, b => a | b)
        }
        Binary::BitwiseAnd
        | Binary::FloorDivide
        | Binary::LogicalAnd
        | Binary::Minimum
        | Binary::Multiply => boolean!(a, b => a & b),
        Binary::BitwiseXor | Binary::NotEqual | Binary::Subtract => boolean!(a, b => a ^ b),
        Binary::Equal => boolean!(a, b => a ^ b ^ 1),
        Binary::Greater | Binary::Remainder => boolean!(a, b => a & (b ^ 1)),
        Binary::GreaterEqual | Binary::Power => boolean!(a, b => a | (b ^ 1)),
        Binary::Less => boolean!(a, b => b & (a ^ 1)),
        Binary::LessEqual => boolean!(a, b => b | (a ^ 1)),
        Binary::ArcTan2
        | Binary::Divide
        | Binary::LeftShift
        | Binary::LogAddExp
        | Binary::RightShift => None,
    }
}

/// Functions of integers of one width that are the same with and without a sign. Which others there
/// are is listed here alone.
macro_rules! signless_functions {
    ($($name:ident $ty:ty),*) => {$(
        fn $name(op: Binary) -> Option<Plan> {
            match op {
                Binary::Add => map2!(loop2_v3, 1, $ty => $ty, |a, b| a.wrapping_add(b)),
                Binary::BitwiseAnd => map2!(loop2_v3, 1, $ty => $ty, |a, b| a & b),
                Binary::BitwiseOr => map2!(loop2_v3, 1, $ty => $ty, |a, b| a | b),
                Binary::BitwiseXor => map2!(loop2_v3, 1, $ty => $ty, |a, b| a ^ b),
                Binary::Equal => map2!(loop2_v3, 1, $ty => u8, |a, b| (a == b) as u8),
                Binary::LeftShift => map2!(loop2_v3, 1, $ty => $ty, |a, b| a.shift_left(b)),
                Binary::Multiply => map2!(loop2_v3, 1, $ty => $ty, |a, b| a.wrapping_mul(b)),
                Binary::NotEqual => map2!(loop2_v3, 1, $ty => u8, |a, b| (a != b) as u8),
                Binary::Subtract => map2!(loop2_v3, 1, $ty => $ty, |a, b| a.wrapping_sub(b)),
                Binary::ArcTan2
                | Binary::Divide
                | Binary::FloorDivide
                | Binary::Greater
                | Binary::GreaterEqual
                | Binary::Less
                | Binary::LessEqual
                | Binary::LogAddExp
                | Binary::LogicalAnd
                | Binary::LogicalOr
                | Binary::Maximum
                | Binary::Minimum
                | Binary::Power
                | Binary::Remainder
                | Binary::RightShift => None,
            }
        }
    )*};
}

signless_functions! { bits8 u8, bits16 u16, bits32 u32, bits64 u64 }

macro_rules! integer_functions {
    ($($name:ident $ty:ty, $signless:ident;)*) => {$(
        fn $name(op: Binary) -> Option<Plan> {
            match op {
                Binary::FloorDivide => map2!(loop2_v3, 10, $ty => $ty, |a, b| a.floor_divide(b)),
                Binary::Greater => map2!(loop2_v3, 1, $ty => u8, |a, b| (a > b) as u8),
                Binary::GreaterEqual => map2!(loop2_v3, 1, $ty => u8, |a, b| (a >= b) as u8),
                Binary::Less => map2!(loop2_v3, 1, $ty => u8, |a, b| (a < b) as u8),
                Binary::LessEqual => map2!(loop2_v3, 1, $ty => u8, |a, b| (a <= b) as u8),
                Binary::Maximum => map2!(loop2_v3, 1, $ty => $ty, |a, b| a.max(b)),
                Binary::Minimum => map2!(loop2_v3, 1, $ty => $ty, |a, b| a.min(b)),
                Binary::Power => map2!(loop2_v3, 20, $ty => $ty, |a, b| a.power(b)),
                Binary::Remainder => map2!(loop2_v3, 10, $ty => $ty, |a, b| a.floor_remainder(b)),
                Binary::RightShift => map2!(loop2_v3, 1, $ty => $ty, |a, b| a.shift_right(b)),
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
    ($($name:ident $ty:ident $math:ident $run:ident),*) => {$(
        fn $name(op: Binary) -> Option<Plan> {
            match op {
                Binary::Add => map2!($run, 1, $ty => $ty, |a, b| a + b),
                Binary::ArcTan2 => map2!($run, 30, $ty => $ty, |a, b| $math::atan2::<S>(a, b)),
                Binary::Divide => map2!($run, 3, $ty => $ty, |a, b| a / b),
                Binary::Equal => map2!($run, 1, $ty => u8, |a, b| (a == b) as u8),
                Binary::FloorDivide => map2!($run, 4, $ty => $ty, |a, b| (a / b).floor()),
                Binary::Greater => map2!($run, 1, $ty => u8, |a, b| (a > b) as u8),
                Binary::GreaterEqual => map2!($run, 1, $ty => u8, |a, b| (a >= b) as u8),
                Binary::Less => map2!($run, 1, $ty => u8, |a, b| (a < b) as u8),
                Binary::LessEqual => map2!($run, 1, $ty => u8, |a, b| (a <= b) as u8),
                Binary::LogAddExp => map2!($run, 40, $ty => $ty, |a, b| {
                    let (high, low) = if a > b { (a, b) } else { (b, a) };
                    let sum = high + $math::log1p::<S>($math::exp::<S>(low - high));
                    // Equal infinities have no difference.
                    if high == low { high + std::$ty::consts::LN_2 }
                    else if a.is_nan() { a } else { sum }
                }),
                Binary::Maximum => {
                    map2!($run, 1, $ty => $ty, |a, b| if a > b || a.is_nan() { a } else { b })
                }
                Binary::Minimum => {
                    map2!($run, 1, $ty => $ty, |a, b| if a < b || a.is_nan() { a } else { b })
                }
                Binary::Multiply => map2!($run, 1, $ty => $ty, |a, b| a * b),
                Binary::NotEqual => map2!($run, 1, $ty => u8, |a, b| (a != b) as u8),
                Binary::Power => map2!($run, 40, $ty => $ty, |a, b| $math::pow::<S>(a, b)),
                Binary::Remainder => map2!($run, 20, $ty => $ty, |a, b| {
                    let r = a % b;
                    if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
                }),
                Binary::Subtract => map2!($run, 1, $ty => $ty, |a, b| a - b),
                Binary::BitwiseAnd
                | Binary::BitwiseOr
                | Binary::BitwiseXor
                | Binary::LeftShift
                | Binary::LogicalAnd
                | Binary::LogicalOr
                | Binary::RightShift => None,
            }
        }
    )*};
}

float_functions! { float32 f32 math32 loop2, float64 f64 math64 loop2_v3 }

fn complex64(op: Binary) -> Option<Plan> {
    macro_rules! complex {
        ($out:ty, $a:ident, $b:ident => $body:expr) => {
            map2!(loop2_v3, 4, Complex64 => $out, |$a, $b| $body)
        };
    }
    match op {
        Binary::Add => complex!(Complex64, a, b => a + b),
        Binary::Subtract => complex!(Complex64, a, b => a - b),
        Binary::Multiply => complex!(Complex64, a, b => a * b),
        Binary::Divide => complex!(Complex64, a, b => complex::divide(a, b)),
        Binary::Power => complex!(Complex64, a, b => complex::power(a, b)),
        Binary::Maximum => complex!(Complex64, a, b => complex::maximum(a, b)),
        Binary::Minimum => complex!(Complex64, a, b => complex::minimum(a, b)),
        Binary::LogAddExp => {
            map2!(loop2_v3, 80, Complex64 => Complex64, |a, b| complex::logaddexp(a, b))
        }
        Binary::Equal => complex!(u8, a, b => (a == b) as u8),
        Binary::NotEqual => complex!(u8, a, b => (a != b) as u8),
        Binary::Greater => complex!(u8, a, b => complex::less(b, a) as u8),
        Binary::GreaterEqual => complex!(u8, a, b => complex::less_equal(b, a) as u8),
        Binary::Less => complex!(u8, a, b => complex::less(a, b) as u8),
        Binary::LessEqual => complex!(u8, a, b => complex::less_equal(a, b) as u8),
        Binary::ArcTan2
        | Binary::BitwiseAnd
        | Binary::BitwiseOr
        | Binary::BitwiseXor
        | Binary::FloorDivide
        | Binary::LeftShift
        | Binary::LogicalAnd
        | Binary::LogicalOr
        | Binary::Remainder
        | Binary::RightShift => None,
    }
}
