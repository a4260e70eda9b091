//! Owns second names: those that NumPy or the array API standard give to operations that have
//! another name already.

use super::{OpInfo, view::IntoOrder};
use crate::{Array, Dtype, IntoOperand, Result, Shape, Walk};

/// Lists second names of methods: the name, the method, its other arguments, and what the
/// documentation shows.
macro_rules! aliases {
    (methods {$($name:ident = $original:ident ($($argument:ident: $ty:ty),*) $signature:literal,
        $example:literal $with:literal;)*}
     functions {$($free:ident = $named:ident ($($arg:ident: $arg_ty:ty),*) $shown:literal,
        $given:literal;)*}
     elsewhere {$($other:literal = $of:literal $listed:literal;)*}) => {
        impl Array {
            $(#[doc = concat!("Another name of [`Array::", stringify!($original), "`].")]
            ///
            /// ```
            /// # use olivine_cpu as _;
            /// use olivine_core::array;
            #[doc = concat!("let x = array!(", $example, ");")]
            #[doc = concat!("let y = x.", stringify!($name), $with, "?;")]
            #[doc = concat!("let same = x.", stringify!($original), $with, "?;")]
            /// assert!(y.array_equal(&same, false)?.item::<bool>()?);
            /// # Ok::<(), olivine_core::Error>(())
            /// ```
            pub fn $name(&self $(, $argument: $ty)*) -> Result<Array> {
                self.$original($($argument),*)
            })*
            $(#[doc = concat!("Another name of [`Array::", stringify!($named), "`].")]
            ///
            /// ```
            /// # use olivine_cpu as _;
            /// use olivine_core::{Array, Dtype};
            #[doc = concat!("let x = Array::", stringify!($free), $given, "?;")]
            #[doc = concat!("let y = Array::", stringify!($named), $given, "?;")]
            /// assert!(x.array_equal(&y, false)?.item::<bool>()?);
            /// # Ok::<(), olivine_core::Error>(())
            /// ```
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
    acos = arccos() "(x)", "[0.5]" "()";
    acosh = arccosh() "(x)", "[2.0]" "()";
    asin = arcsin() "(x)", "[0.5]" "()";
    asinh = arcsinh() "(x)", "[0.5]" "()";
    atan = arctan() "(x)", "[0.5]" "()";
    atan2 = arctan2(other: impl IntoOperand) "(a, b)", "[1.0, 2.0]" "(&array!([3.0]))";
    atanh = arctanh() "(x)", "[0.5]" "()";
    bitwise_left_shift = left_shift(other: impl IntoOperand) "(a, b)", "[1, 2]" "(3)";
    bitwise_right_shift = right_shift(other: impl IntoOperand) "(a, b)", "[16, 32]" "(3)";
    conj = conjugate() "(x)", "[1.0, 2.0]" "()";
    cumulative_prod = cumprod(walk: impl Into<Walk>)
        "(x, axis=None, reverse=False, inclusive=True, dtype=None)", "[1, 2, 3]" "(0)";
    cumulative_sum = cumsum(walk: impl Into<Walk>)
        "(x, axis=None, reverse=False, inclusive=True, dtype=None)", "[1, 2, 3]" "(0)";
    empty_like = zeros_like() "(x)", "[1, 2]" "()";
    permute_dims = transpose(order: impl IntoOrder) "(x, axes=None)", "[[1, 2], [3, 4]]" "([1, 0])";
    pow = power(other: impl IntoOperand) "(a, b)", "[2, 3]" "(2)";
    }
    functions {
    empty = zeros(shape: impl Into<Shape>, dtype: Dtype) "(shape, dtype=float32)",
        "([2], Dtype::Int8)";
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
