//! Owns arrays from nested Rust values, and the `array!` macro that writes them down.

use half::{bf16, f16};

use crate::{Array, Complex64, Dtype, Element, Error, Result, Shape};

/// A number, or an array, slice or vector of nested values of equal shape.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Nested;
/// fn depth<T: Nested>(_: &T) -> usize {
///     T::DEPTH
/// }
/// assert_eq!(depth(&1.0), 0);
/// assert_eq!(depth(&vec![[1, 2], [3, 4]]), 2);
/// ```
pub trait Nested {
    /// The type of the numbers.
    type Item: Element;
    /// How deep the nesting goes.
    const DEPTH: usize;

    /// Appends the sizes, as the first values have them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Nested;
    /// let mut sizes = Vec::new();
    /// vec![[1, 2, 3], [4, 5, 6]].sizes(&mut sizes);
    /// assert_eq!(sizes, [2, 3]);
    /// ```
    fn sizes(&self, sizes: &mut Vec<usize>);

    /// Appends the numbers; fails if a size differs from `sizes`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Nested;
    /// let mut numbers = Vec::new();
    /// [[1, 2], [3, 4]].numbers(&[2, 2], &mut numbers)?;
    /// assert_eq!(numbers, [1, 2, 3, 4]);
    /// assert!([vec![1], vec![2, 3]].numbers(&[2, 1], &mut Vec::new()).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn numbers(&self, sizes: &[usize], numbers: &mut Vec<Self::Item>) -> Result<()>;
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Nested for $ty {
            type Item = $ty;
            const DEPTH: usize = 0;

            fn sizes(&self, _sizes: &mut Vec<usize>) {}

            fn numbers(&self, _sizes: &[usize], numbers: &mut Vec<$ty>) -> Result<()> {
                numbers.push(*self);
                Ok(())
            }
        }
    )*};
}

numbers!(
    bool, u8, u16, u32, u64, i8, i16, i32, i64, f16, bf16, f32, f64, Complex64
);

impl<T: Nested> Nested for [T] {
    type Item = T::Item;
    const DEPTH: usize = T::DEPTH + 1;

    fn sizes(&self, sizes: &mut Vec<usize>) {
        sizes.push(self.len());
        match self.first() {
            Some(first) => first.sizes(sizes),
            None => sizes.extend(std::iter::repeat_n(0, T::DEPTH)),
        }
    }

    fn numbers(&self, sizes: &[usize], numbers: &mut Vec<T::Item>) -> Result<()> {
        let Some((&size, rest)) = sizes.split_first().filter(|(size, _)| **size == self.len())
        else {
            let reason = format!(
                "rows of {} and of {} values do not stack",
                sizes[0],
                self.len()
            );
            return Err(Error::Shape {
                op: "array",
                reason,
            });
        };
        numbers.reserve(size);
        self.iter()
            .try_for_each(|value| value.numbers(rest, numbers))
    }
}

macro_rules! containers {
    ($([$($generics:tt)*] $ty:ty;)*) => {$(
        impl<$($generics)*> Nested for $ty {
            type Item = T::Item;
            const DEPTH: usize = T::DEPTH + 1;

            fn sizes(&self, sizes: &mut Vec<usize>) {
                self[..].sizes(sizes);
            }

            fn numbers(&self, sizes: &[usize], numbers: &mut Vec<T::Item>) -> Result<()> {
                self[..].numbers(sizes, numbers)
            }
        }
    )*};
}

containers! {
    [T: Nested, const N: usize] [T; N];
    [T: Nested] Vec<T>;
}

impl<T: Nested + ?Sized> Nested for &T {
    type Item = T::Item;
    const DEPTH: usize = T::DEPTH;

    fn sizes(&self, sizes: &mut Vec<usize>) {
        (**self).sizes(sizes);
    }

    fn numbers(&self, sizes: &[usize], numbers: &mut Vec<T::Item>) -> Result<()> {
        (**self).numbers(sizes, numbers)
    }
}

impl Array {
    /// An array of nested values: numbers, arrays, slices and vectors of them.
    ///
    /// The dtype is that of the numbers. Fails if rows differ in length.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_nested(&vec![[1i64, 2], [3, 4]])?;
    /// assert_eq!(x.shape().dims(), &[2, 2]);
    /// assert!(Array::from_nested(&[vec![1], vec![2, 3]]).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn from_nested<T: Nested + ?Sized>(values: &T) -> Result<Array> {
        let (mut sizes, mut numbers) = (Vec::new(), Vec::new());
        values.sizes(&mut sizes);
        values.numbers(&sizes, &mut numbers)?;
        Array::from_slice(&numbers, Shape::from(sizes))
    }
}

/// What `array!` expands to. `plain` says that a literal without suffix decided for `f64`.
#[doc(hidden)]
#[track_caller]
pub fn array_literal<T: Nested + ?Sized>(values: &T, plain: bool) -> Array {
    let array = Array::from_nested(values).and_then(|array| {
        let dtype = array.dtype();
        array.astype(if plain && dtype == Dtype::Float64 {
            Dtype::Float32
        } else {
            dtype
        })
    });
    match array {
        Ok(array) => array,
        Err(error) => panic!("{error}"),
    }
}

/// True if source text has a floating-point literal without a suffix.
#[doc(hidden)]
pub const fn has_plain_float(source: &str) -> bool {
    const fn is_word(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'_'
    }
    const fn at(bytes: &[u8], i: usize) -> u8 {
        if i < bytes.len() { bytes[i] } else { 0 }
    }
    let bytes = source.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if !bytes[i].is_ascii_digit() {
            // Skip a whole name, so that its digits are not taken for a number.
            let name = is_word(bytes[i]);
            i += 1;
            while name && is_word(at(bytes, i)) {
                i += 1;
            }
            continue;
        }
        let based = bytes[i] == b'0' && matches!(at(bytes, i + 1), b'x' | b'o' | b'b');
        let mut float = false;
        while at(bytes, i).is_ascii_digit() || at(bytes, i) == b'_' {
            i += 1;
        }
        // `1.5` and `1.` are numbers; `1..` is a range and `1.abs` calls a method.
        let after = at(bytes, i + 1);
        if at(bytes, i) == b'.' && after != b'.' && (after.is_ascii_digit() || !is_word(after)) {
            float = true;
            i += 1;
            while at(bytes, i).is_ascii_digit() || at(bytes, i) == b'_' {
                i += 1;
            }
        }
        if !based && matches!(at(bytes, i), b'e' | b'E') {
            float = true;
            i += 1;
            if matches!(at(bytes, i), b'+' | b'-') {
                i += 1;
            }
            while at(bytes, i).is_ascii_digit() {
                i += 1;
            }
        }
        if float && !is_word(at(bytes, i)) && at(bytes, i - 1) != b'_' {
            return true;
        }
        while is_word(at(bytes, i)) {
            i += 1;
        }
    }
    false
}

/// Makes an array from a literal: a number, or nested lists of numbers.
///
/// Numbers without a suffix become `int32` or `float32`; a suffix, or the type of a variable,
/// decides otherwise: `1.0f64`, `1u8`. Panics if vectors that are nested differ in length; see
/// [`Array::from_nested`] for a `Result`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Dtype};
/// let x = array!([[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!((x.dtype(), x.shape().dims()), (Dtype::Float32, &[2, 2][..]));
/// assert_eq!(array!([1, 2, 3]).dtype(), Dtype::Int32);
/// assert_eq!(array!(1.5f64).dtype(), Dtype::Float64);
/// ```
#[macro_export]
macro_rules! array {
    ($($values:tt)+) => {
        $crate::array_literal(&($($values)+), const { $crate::has_plain_float(stringify!($($values)+)) })
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_floats_are_told_from_other_numbers() {
        for source in [
            "1.0",
            "[[1.0, 2.0]]",
            "-1e5",
            "1.",
            "[x, 2.5e-3]",
            "1_000.5",
        ] {
            assert!(has_plain_float(source), "{source}");
        }
        for source in [
            "1",
            "1.0f64",
            "1f32",
            "2.5_f64",
            "0x1e5",
            "[x1, y.0]",
            "1..3",
            "1e3f64",
            "7u8",
        ] {
            assert!(!has_plain_float(source), "{source}");
        }
    }
}
