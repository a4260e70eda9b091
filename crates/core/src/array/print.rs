//! Owns how arrays are printed: in NumPy's layout and MLX's frame, shortened in the middle.

use std::{
    cell::Cell,
    fmt::{self, Write},
    sync::atomic::{AtomicU32, Ordering},
};

use half::{bf16, f16};

use crate::{Array, Complex64, Result, concatenate, dispatch};

/// Arrays with more elements than this are shortened.
const THRESHOLD: usize = 1000;

/// How many slices of a shortened axis are shown at each end.
const EDGE: usize = 3;

/// The significant digits of floating-point numbers.
const DIGITS: i32 = 6;

/// How arrays are printed. Set for the program with [`set_printoptions`], for a part of it with
/// [`printoptions`], and for one array with a format's precision, as in `{x:.3}`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{PrintOptions, array, printoptions};
/// let options = PrintOptions::new().with_precision(2);
/// assert_eq!(options.precision(), Some(2));
/// let x = array!([1.0, 0.123456]);
/// let text = printoptions(options, || x.to_string());
/// assert_eq!(text, "array([1.00, 0.12], dtype=float32)");
/// assert_eq!(format!("{x:.1}"), "array([1.0, 0.1], dtype=float32)");
/// assert_eq!(x.to_string(), "array([       1, 0.123456], dtype=float32)");
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PrintOptions {
    precision: Option<u16>,
}

impl PrintOptions {
    /// The options that hold where none are set.
    pub const fn new() -> Self {
        PrintOptions { precision: None }
    }

    /// Prints floating-point numbers with this many digits after the point, never in scientific
    /// notation. Without it they have up to six significant digits.
    pub const fn with_precision(self, precision: u16) -> Self {
        PrintOptions {
            precision: Some(precision),
        }
    }

    /// The digits after the point, if their number is fixed.
    pub const fn precision(self) -> Option<u16> {
        self.precision
    }
}

/// The precision of the program's options; this if it has none.
const UNSET: u32 = u32::MAX;

static PRECISION: AtomicU32 = AtomicU32::new(UNSET);

thread_local! {
    static SCOPED: Cell<Option<PrintOptions>> = const { Cell::new(None) };
}

/// Sets how arrays are printed wherever no [`printoptions`] says otherwise.
///
/// ```standalone_crate
/// # use olivine_cpu as _;
/// use olivine_core::{PrintOptions, array, get_printoptions, set_printoptions};
/// set_printoptions(PrintOptions::new().with_precision(3));
/// assert_eq!(array!(2.0).to_string(), "array(2.000, dtype=float32)");
/// assert_eq!(get_printoptions().precision(), Some(3));
/// set_printoptions(PrintOptions::new());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn set_printoptions(options: PrintOptions) {
    let precision = options.precision.map_or(UNSET, u32::from);
    PRECISION.store(precision, Ordering::Relaxed);
}

/// How arrays are printed here: by the innermost [`printoptions`] of this thread, or as
/// [`set_printoptions`] said last.
///
/// ```
/// use olivine_core::{PrintOptions, get_printoptions};
/// assert_eq!(get_printoptions(), PrintOptions::new());
/// ```
pub fn get_printoptions() -> PrintOptions {
    SCOPED.get().unwrap_or_else(|| PrintOptions {
        precision: u16::try_from(PRECISION.load(Ordering::Relaxed)).ok(),
    })
}

/// Runs `f`; what it prints on this thread follows `options`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{PrintOptions, array, printoptions};
/// let fine = PrintOptions::new().with_precision(8);
/// let text = printoptions(fine, || array!(0.1).to_string());
/// assert_eq!(text, "array(0.10000000, dtype=float32)");
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn printoptions<T>(options: PrintOptions, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<PrintOptions>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCOPED.set(self.0);
        }
    }
    let _restore = Restore(SCOPED.replace(Some(options)));
    f()
}

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
        let precision = f
            .precision()
            .or(get_printoptions().precision.map(usize::from));
        match body(self, precision) {
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

fn body(x: &Array, precision: Option<usize>) -> Result<String> {
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
        shown.to_vec::<T>()?.into_iter().map(|x| x.show(precision)).collect::<Vec<String>>()
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

/// A number as text, with so many digits after a floating point.
trait Show {
    fn show(self, precision: Option<usize>) -> String;
}

impl Show for bool {
    fn show(self, _precision: Option<usize>) -> String {
        if self { "True" } else { "False" }.to_owned()
    }
}

macro_rules! show_integers {
    ($($ty:ty),*) => {$(
        impl Show for $ty {
            fn show(self, _precision: Option<usize>) -> String {
                self.to_string()
            }
        }
    )*};
}

show_integers!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! show_floats {
    ($($ty:ty),*) => {$(
        impl Show for $ty {
            fn show(self, precision: Option<usize>) -> String {
                float(f64::from(self), precision)
            }
        }
    )*};
}

show_floats!(f16, bf16, f32, f64);

impl Show for Complex64 {
    fn show(self, precision: Option<usize>) -> String {
        let (re, im) = (self.re.show(precision), self.im.show(precision));
        let sign = if im.starts_with('-') { "" } else { "+" };
        format!("{re}{sign}{im}j")
    }
}

/// A number with a fixed number of digits after the point, or in at most six digits, like C's `%g`.
fn float(x: f64, precision: Option<usize>) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if let Some(precision) = precision {
        return format!("{x:.precision$}");
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
            assert_eq!(float(number, None), text);
        }
        assert_eq!(Complex64::new(-1.5, -0.25).show(None), "-1.5-0.25j");
        assert_eq!(Complex64::new(1.0, 2.0).show(None), "1+2j");
    }

    #[test]
    fn a_precision_fixes_the_digits_after_the_point() {
        let cases = [
            (2.123_456_789, 2, "2.12"),
            (3e10, 1, "30000000000.0"),
            (2.5, 0, "2"),
            (1e-5, 3, "0.000"),
            (f64::NAN, 3, "nan"),
            (f64::NEG_INFINITY, 0, "-inf"),
        ];
        for (number, precision, text) in cases {
            assert_eq!(float(number, Some(precision)), text);
        }
        assert_eq!(Complex64::new(1.0, 2.5).show(Some(2)), "1.00+2.50j");
    }

    #[test]
    fn options_of_a_scope_end_with_it_even_in_a_panic() {
        let fine = PrintOptions::new().with_precision(7);
        let inside = printoptions(fine, || {
            let none = printoptions(PrintOptions::new(), get_printoptions);
            assert_eq!(none, PrintOptions::new());
            get_printoptions()
        });
        assert_eq!(inside, fine);
        let panicked = std::panic::catch_unwind(|| printoptions(fine, || panic!("within")));
        assert!(panicked.is_err());
        assert_eq!(get_printoptions(), PrintOptions::new());
    }
}
