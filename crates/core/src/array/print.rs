//! Owns how arrays are printed: in NumPy's layout and MLX's frame, shortened in the middle.

use std::fmt::{self, Write};

use half::{bf16, f16};

use crate::{Array, Complex64, Result, concatenate, dispatch};

/// Arrays with more elements than this are shortened.
const THRESHOLD: usize = 1000;

/// How many slices of a shortened axis are shown at each end.
const EDGE: usize = 3;

/// The significant digits of floating-point numbers.
const DIGITS: i32 = 6;

/// Prints the values, computing them if that has not happened; an error is printed in their place.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// let x = Array::from_slice(&[1, 20, 3, 4], [2, 2])?;
/// assert_eq!(x.to_string(), "array([[ 1, 20],\n       [ 3,  4]], dtype=int32)");
/// # Ok::<(), olivine_core::Error>(())
/// ```
impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match body(self) {
            Ok(body) => write!(f, "array({body}, dtype={})", self.dtype()),
            Err(error) => write!(f, "array(<{error}>, dtype={})", self.dtype()),
        }
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn body(x: &Array) -> Result<String> {
    let shorten = x.size() > THRESHOLD;
    let mut shown = x.clone();
    for (axis, &size) in x.shape().iter().enumerate() {
        if shorten && size > 2 * EDGE {
            let ends = [
                shown.narrow(axis, 0, EDGE),
                shown.narrow(axis, size - EDGE, size),
            ];
            shown = concatenate(&ends, axis as i64)?;
        }
    }
    let words = dispatch!(all, x.dtype(), T => {
        shown.to_vec::<T>()?.into_iter().map(Show::show).collect::<Vec<String>>()
    });
    let width = words.iter().map(String::len).max().unwrap_or(0);
    let layout = Layout {
        full: x.shape(),
        shown: shown.shape(),
        width,
    };
    let mut text = String::new();
    layout.write(0, &mut words.iter(), &mut text);
    Ok(text)
}

struct Layout<'a> {
    full: &'a [usize],
    shown: &'a [usize],
    width: usize,
}

impl Layout<'_> {
    /// Appends the next slice, which has lost its first `axis` axes.
    fn write(&self, axis: usize, words: &mut std::slice::Iter<String>, text: &mut String) {
        let Some(&count) = self.shown.get(axis) else {
            let word = words.next().map_or("", String::as_str);
            // Writing to a string cannot fail.
            let _ = write!(text, "{word:>width$}", width = self.width);
            return;
        };
        if self.shown[axis..].contains(&0) && (count == 0 || self.shown[..axis].contains(&0)) {
            text.push_str("[]");
            return;
        }
        let separator = if axis + 1 == self.shown.len() {
            ", ".to_owned()
        } else {
            format!(",\n{:1$}", "", "array(".len() + axis + 1)
        };
        text.push('[');
        for i in 0..count {
            if i > 0 {
                text.push_str(&separator);
            }
            if i == EDGE && count < self.full[axis] {
                text.push_str("...");
                text.push_str(&separator);
            }
            self.write(axis + 1, words, text);
        }
        text.push(']');
    }
}

/// A number as text.
trait Show {
    fn show(self) -> String;
}

impl Show for bool {
    fn show(self) -> String {
        if self { "True" } else { "False" }.to_owned()
    }
}

macro_rules! show_integers {
    ($($ty:ty),*) => {$(
        impl Show for $ty {
            fn show(self) -> String {
                self.to_string()
            }
        }
    )*};
}

show_integers!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! show_floats {
    ($($ty:ty),*) => {$(
        impl Show for $ty {
            fn show(self) -> String {
                float(f64::from(self))
            }
        }
    )*};
}

show_floats!(f16, bf16, f32, f64);

impl Show for Complex64 {
    fn show(self) -> String {
        let sign = if self.im.is_sign_negative() { "" } else { "+" };
        format!("{}{sign}{}j", self.re.show(), self.im.show())
    }
}

/// A number in at most six digits, like C's `%g`.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{x:.precision$e}", precision = DIGITS as usize - 1);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |digits: &str| {
        let short = digits.trim_end_matches('0').trim_end_matches('.');
        if digits.contains('.') {
            short.to_owned()
        } else {
            digits.to_owned()
        }
    };
    if (-4..DIGITS).contains(&exponent) {
        trimmed(&format!(
            "{x:.precision$}",
            precision = (DIGITS - 1 - exponent) as usize
        ))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_six_digits_and_no_idle_zeros() {
        let cases = [
            (1.0, "1"),
            (2.5, "2.5"),
            (1e-7, "1e-07"),
            (1e10, "1e+10"),
            (1.0 / 3.0, "0.333333"),
            (1_234_567.0, "1.23457e+06"),
            (100_000.0, "100000"),
            (999_999.6, "1e+06"),
            (-0.0, "-0"),
            (0.0001, "0.0001"),
            (-12.50, "-12.5"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (number, text) in cases {
            assert_eq!(float(number), text);
        }
        assert_eq!(Complex64::new(-1.5, -0.25).show(), "-1.5-0.25j");
        assert_eq!(Complex64::new(1.0, 2.0).show(), "1+2j");
    }
}
