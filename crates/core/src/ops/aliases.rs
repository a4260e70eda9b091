//! Owns second names: those that NumPy or the array API standard give to operations that have
//! another name already.

use super::{OpInfo, view::IntoOrder};
use crate::{Array, Dtype, IntoOperand, Result, Shape, Walk};

/// Lists second names of methods: the name, the method, its other arguments, and what the
/// documentation shows.
macro_rules! aliases {
    (methods {$($name:ident = $original:ident ($($argument:ident: $ty:ty),*) $signature:literal;)*}
     functions {$($free:ident = $named:ident ($($arg:ident: $arg_ty:ty),*) $shown:literal;)*}
     elsewhere {$($other:literal = $of:literal $listed:literal;)*}) => {
        impl Array {
            $(#[doc = concat!("Another name of [`Array::", stringify!($original), "`].")]
            pub fn $name(&self $(, $argument: $ty)*) -> Result<Array> {
                self.$original($($argument),*)
            })*
            $(#[doc = concat!("Another name of [`Array::", stringify!($named), "`].")]
            pub fn $free($($arg: $arg_ty),*) -> Result<Array> {
                Array::$named($($arg),*)
            })*
        }

        /// Each second name, the first one, and the signature.
        const ALIASES: &[(&str, &str, &str)] = &[
            $((stringify!($name), stringify!($original), concat!(stringify!($name), $signature)),)*
            $((stringify!($free), stringify!($named), concat!(stringify!($free), $shown)),)*
            $(($other, $of, concat!($other, $listed)),)*
        ];
    };
}

aliases! {
    methods {
    acos = arccos() "(x)";
    acosh = arccosh() "(x)";
    asin = arcsin() "(x)";
    asinh = arcsinh() "(x)";
    atan = arctan() "(x)";
    atan2 = arctan2(other: impl IntoOperand) "(a, b)";
    atanh = arctanh() "(x)";
    bitwise_left_shift = left_shift(other: impl IntoOperand) "(a, b)";
    bitwise_right_shift = right_shift(other: impl IntoOperand) "(a, b)";
    conj = conjugate() "(x)";
    cumulative_prod = cumprod(walk: impl Into<Walk>) "(x, axis=None, reverse=False, inclusive=True)";
    cumulative_sum = cumsum(walk: impl Into<Walk>) "(x, axis=None, reverse=False, inclusive=True)";
    empty_like = zeros_like() "(x)";
    permute_dims = transpose(order: impl IntoOrder) "(x, axes=None)";
    pow = power(other: impl IntoOperand) "(a, b)";
    }
    functions {
    empty = zeros(shape: impl Into<Shape>, dtype: Dtype) "(shape, dtype=float32)";
    }
    elsewhere {
    "concat" = "concatenate" "(arrays, axis=0)";
    }
}

/// The first name of an operation that has two; any other name as it is.
///
/// ```
/// use olivine_core::ops::aliases::original;
/// assert_eq!((original("acos"), original("exp")), ("arccos", "exp"));
/// ```
pub fn original(name: &str) -> &str {
    ALIASES
        .iter()
        .find(|(alias, ..)| *alias == name)
        .map_or(name, |(_, original, _)| original)
}

/// The entries of the second names, made from those of the first.
pub(super) fn entries(ops: &[OpInfo]) -> Vec<OpInfo> {
    let entry = |&(name, original, signature): &(&'static str, &str, &'static str)| {
        let op = ops.iter().find(|op| op.name == original);
        let op = op
            .expect("a second name belongs to an operation of the list")
            .clone();
        OpInfo {
            name,
            signature,
            ..op
        }
    };
    ALIASES.iter().map(entry).collect()
}
