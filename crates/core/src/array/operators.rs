//! Owns the operators of Rust on arrays. They panic where the methods return an error.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Sub};

use crate::{Array, IntoOperand, Result};

#[track_caller]
fn expect(result: Result<Array>) -> Array {
    match result {
        Ok(array) => array,
        Err(error) => panic!("{error}"),
    }
}

macro_rules! binary_operators {
    ($($trait:ident $operator:ident $method:ident),* $(,)?) => {$(
        impl<T: IntoOperand> $trait<T> for &Array {
            type Output = Array;
            #[track_caller]
            fn $operator(self, other: T) -> Array {
                expect(Array::$method(&self, other))
            }
        }
        impl<T: IntoOperand> $trait<T> for Array {
            type Output = Array;
            #[track_caller]
            fn $operator(self, other: T) -> Array {
                expect(Array::$method(&self, other))
            }
        }
    )*};
}

/// Operators with a number on the left.
macro_rules! scalar_operators {
    ($($trait:ident $operator:ident $method:ident),* $(,)?) => {$(
        scalar_operators!(@each $trait $operator $method: f32, f64, i32, i64);
    )*};
    (@each $trait:ident $operator:ident $method:ident: $($scalar:ty),*) => {$(
        impl $trait<&Array> for $scalar {
            type Output = Array;
            #[track_caller]
            fn $operator(self, other: &Array) -> Array {
                let left = self.to_operand(other).into_owned();
                expect(Array::$method(&left, other))
            }
        }
        impl $trait<Array> for $scalar {
            type Output = Array;
            #[track_caller]
            fn $operator(self, other: Array) -> Array {
                self.$operator(&other)
            }
        }
    )*};
}

binary_operators! {
    Add add add,
    Sub sub subtract,
    Mul mul multiply,
    Div div divide,
    Rem rem remainder,
    BitAnd bitand bitwise_and,
    BitOr bitor bitwise_or,
    BitXor bitxor bitwise_xor,
}

scalar_operators! {
    Add add add,
    Sub sub subtract,
    Mul mul multiply,
    Div div divide,
    Rem rem remainder,
}

impl Neg for &Array {
    type Output = Array;
    #[track_caller]
    fn neg(self) -> Array {
        expect(self.negative())
    }
}

impl Neg for Array {
    type Output = Array;
    #[track_caller]
    fn neg(self) -> Array {
        expect(self.negative())
    }
}

impl Not for &Array {
    type Output = Array;
    #[track_caller]
    fn not(self) -> Array {
        expect(self.logical_not())
    }
}
