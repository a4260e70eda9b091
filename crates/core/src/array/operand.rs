//! Owns what may stand beside an array in an operation: another array, or a Rust number.

use std::borrow::Cow;

use half::{bf16, f16};

use crate::{Array, Complex64, Dtype};

/// An array or a number that takes part in an operation with an array.
///
/// Numbers are weakly typed, as in MLX: they take the array's dtype where it can hold their kind,
/// so `x * 0.5` of a `float16` array stays `float16`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Dtype};
/// let x = array!([1.0, 2.0]).astype(Dtype::Float16)?;
/// // A number takes the array's dtype; an array keeps its own and promotes.
/// assert_eq!(x.multiply(0.5)?.dtype(), Dtype::Float16);
/// assert_eq!(x.multiply(array!([0.5]))?.dtype(), Dtype::Float32);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait IntoOperand {
    /// This operand as an array, given the array it stands beside.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Dtype, IntoOperand};
    /// let x = array!([1, 2]).astype(Dtype::Int8)?;
    /// assert_eq!(3i32.to_operand(&x).dtype(), Dtype::Int8);
    /// assert_eq!(0.5f32.to_operand(&x).dtype(), Dtype::Float32);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn to_operand(&self, beside: &Array) -> Cow<'_, Array>;
}

impl IntoOperand for Array {
    fn to_operand(&self, _beside: &Array) -> Cow<'_, Array> {
        Cow::Borrowed(self)
    }
}

impl<T: IntoOperand + ?Sized> IntoOperand for &T {
    fn to_operand(&self, beside: &Array) -> Cow<'_, Array> {
        (**self).to_operand(beside)
    }
}

macro_rules! float_operands {
    ($($ty:ty),*) => {$(
        impl IntoOperand for $ty {
            fn to_operand(&self, beside: &Array) -> Cow<'_, Array> {
                let value = f64::from(*self);
                Cow::Owned(match beside.dtype() {
                    Dtype::Float16 => Array::scalar(f16::from_f64(value)),
                    Dtype::BFloat16 => Array::scalar(bf16::from_f64(value)),
                    Dtype::Float64 => Array::scalar(value),
                    Dtype::Complex64 => Array::scalar(Complex64::new(value as f32, 0.0)),
                    Dtype::Float32
                    | Dtype::Bool
                    | Dtype::Uint8
                    | Dtype::Uint16
                    | Dtype::Uint32
                    | Dtype::Uint64
                    | Dtype::Int8
                    | Dtype::Int16
                    | Dtype::Int32
                    | Dtype::Int64 => Array::scalar(value as f32),
                })
            }
        }
    )*};
}

float_operands!(f16, bf16, f32, f64);

macro_rules! integer_operands {
    ($($ty:ty),*) => {$(
        impl IntoOperand for $ty {
            fn to_operand(&self, beside: &Array) -> Cow<'_, Array> {
                Cow::Owned(match beside.dtype() {
                    Dtype::Bool => Array::scalar(*self as i32),
                    Dtype::Uint8 => Array::scalar(*self as u8),
                    Dtype::Uint16 => Array::scalar(*self as u16),
                    Dtype::Uint32 => Array::scalar(*self as u32),
                    Dtype::Uint64 => Array::scalar(*self as u64),
                    Dtype::Int8 => Array::scalar(*self as i8),
                    Dtype::Int16 => Array::scalar(*self as i16),
                    Dtype::Int32 => Array::scalar(*self as i32),
                    Dtype::Int64 => Array::scalar(*self as i64),
                    Dtype::Float16 => Array::scalar(f16::from_f64(*self as f64)),
                    Dtype::BFloat16 => Array::scalar(bf16::from_f64(*self as f64)),
                    Dtype::Float32 => Array::scalar(*self as f32),
                    Dtype::Float64 => Array::scalar(*self as f64),
                    Dtype::Complex64 => Array::scalar(Complex64::new(*self as f32, 0.0)),
                })
            }
        }
    )*};
}

integer_operands!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

impl IntoOperand for bool {
    fn to_operand(&self, _beside: &Array) -> Cow<'_, Array> {
        Cow::Owned(Array::scalar(*self))
    }
}

impl IntoOperand for Complex64 {
    fn to_operand(&self, _beside: &Array) -> Cow<'_, Array> {
        Cow::Owned(Array::scalar(*self))
    }
}
