//! Owns the Fourier transforms as users call them.

use super::{Fft, Kind};
use crate::{Array, Dtype, Error, Result};

/// Which direction the factor `1 / n` goes with, n being the number of elements in a transform.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::fft::{self, Norm};
/// let x = array!([1.0, 1.0, 1.0, 1.0]);
/// let first = |norm| fft::rfft(&x, None, -1, norm)?.real()?.index(0)?.item::<f32>();
/// assert_eq!(first(Norm::Backward)?, 4.0);
/// assert_eq!(first(Norm::Ortho)?, 2.0);
/// assert_eq!(first(Norm::Forward)?, 1.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// The inverse transform.
    #[default]
    Backward,
    /// Both, each with its square root.
    Ortho,
    /// The forward transform.
    Forward,
}

impl Norm {
    fn scale(self, elements: f64, inverse: bool) -> f64 {
        match (self, inverse) {
            (Norm::Ortho, _) => elements.sqrt().recip(),
            (Norm::Backward, true) | (Norm::Forward, false) => elements.recip(),
            (Norm::Backward, false) | (Norm::Forward, true) => 1.0,
        }
    }
}

/// The four transforms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Inverse,
    FromReal,
    ToReal,
}

/// Cuts an axis, or fills it up with zeros, to a size.
fn resized(x: &Array, axis: usize, size: usize) -> Result<Array> {
    let now = x.shape()[axis];
    if size <= now {
        return Ok(x.narrow(axis, 0, size));
    }
    let mut widths = vec![(0, 0); x.ndim()];
    widths[axis].1 = size - now;
    x.pad(&widths, 0)
}

fn transform(
    op: &'static str,
    x: &Array,
    sizes: Option<&[usize]>,
    axes: Option<&[i64]>,
    norm: Norm,
    way: Way,
) -> Result<Array> {
    let axes: Vec<usize> = match (axes, sizes) {
        (Some(axes), _) => {
            let axes = axes.iter().map(|&axis| x.shape().axis(axis, op));
            axes.collect::<Result<_>>()?
        }
        (None, Some(sizes)) if sizes.len() <= x.ndim() => (x.ndim() - sizes.len()..x.ndim()).collect(),
        (None, Some(sizes)) => {
            let reason = format!("{} sizes for an array of shape {}", sizes.len(), x.shape());
            return Err(Error::Argument { op, reason });
        }
        (None, None) => (0..x.ndim()).collect(),
    };
    if let Some(sizes) = sizes
        && sizes.len() != axes.len()
    {
        let reason = format!("{} sizes for {} axes", sizes.len(), axes.len());
        return Err(Error::Argument { op, reason });
    }
    if (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
        let reason = format!("axes {axes:?} repeat an axis");
        return Err(Error::Argument { op, reason });
    }
    let mut x = x.astype(if way == Way::FromReal { Dtype::Float32 } else { Dtype::Complex64 })?;
    let (mut elements, mut kind) = (1.0, match way {
        Way::Forward => Kind::Forward,
        Way::Inverse => Kind::Inverse,
        Way::FromReal => Kind::FromReal,
        Way::ToReal => Kind::ToReal(1),
    });
    for (i, &axis) in axes.iter().enumerate() {
        let now = x.shape()[axis];
        let halved = way == Way::ToReal && i + 1 == axes.len();
        let whole = if halved { 2 * now.saturating_sub(1) } else { now };
        let size = sizes.map_or(whole, |sizes| sizes[i]);
        if size == 0 {
            let reason = format!("there is no transform of size 0, as wanted for axis {axis}");
            return Err(Error::Argument { op, reason });
        }
        elements *= size as f64;
        if halved {
            kind = Kind::ToReal(size);
        }
        x = resized(&x, axis, if halved { size / 2 + 1 } else { size })?;
    }
    if axes.is_empty() {
        return x.astype(if way == Way::ToReal { Dtype::Float32 } else { Dtype::Complex64 });
    }
    let scale = norm.scale(elements, matches!(way, Way::Inverse | Way::ToReal));
    let axes = axes.iter().map(|axis| x.ndim() - axis).collect();
    Array::apply_one(Fft { axes, kind, scale }, [x])
}

macro_rules! transforms {
    ($($way:ident: $one:ident, $two:ident, $all:ident: $what:literal, $size:literal;)*) => {$(
        #[doc = concat!("The ", $what, " along an axis.")]
        ///
        #[doc = concat!("`n` is ", $size)]
        ///
        /// Fails for transforms of size 0.
        ///
        /// ```
        /// # use olivine_cpu as _;
        /// use olivine_core::{array, fft::{self, Norm}};
        #[doc = concat!("let y = fft::", stringify!($one), "(&array!([[1.0, 2.0, 3.0]]), 5, -1, Norm::Ortho)?;")]
        /// assert_eq!(y.ndim(), 2);
        /// # Ok::<(), olivine_core::Error>(())
        /// ```
        pub fn $one(
            x: &Array,
            n: impl Into<Option<usize>>,
            axis: i64,
            norm: Norm,
        ) -> Result<Array> {
            let (op, n) = (concat!("fft.", stringify!($one)), n.into());
            transform(op, x, n.as_ref().map(std::slice::from_ref), Some(&[axis]), norm, Way::$way)
        }

        #[doc = concat!("The ", $what, " over the last two axes, or two others.")]
        ///
        #[doc = concat!("Of `sizes`, each is ", $size)]
        ///
        /// ```
        /// # use olivine_cpu as _;
        /// use olivine_core::{array, fft::{self, Norm}};
        /// let x = array!([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        #[doc = concat!("let y = fft::", stringify!($two), "(&x, None, None, Norm::Backward)?;")]
        #[doc = concat!("let all = fft::", stringify!($all), "(&x, None, None, Norm::Backward)?;")]
        /// assert!(y.array_equal(&all, false)?.item::<bool>()?);
        /// # Ok::<(), olivine_core::Error>(())
        /// ```
        pub fn $two(
            x: &Array,
            sizes: Option<&[usize]>,
            axes: Option<[i64; 2]>,
            norm: Norm,
        ) -> Result<Array> {
            let op = concat!("fft.", stringify!($two));
            transform(op, x, sizes, Some(&axes.unwrap_or([-2, -1])), norm, Way::$way)
        }

        #[doc = concat!("The ", $what, " over axes: by default the last ones, as many as there are")]
        /// sizes, or all.
        ///
        #[doc = concat!("Of `sizes`, each is ", $size)]
        ///
        /// ```
        /// # use olivine_cpu as _;
        /// use olivine_core::{fft::{self, Norm}, Array, Dtype};
        /// let x = Array::ones([2, 3, 4], Dtype::Float32)?;
        #[doc = concat!("let y = fft::", stringify!($all), "(&x, Some(&[2, 8]), None, Norm::Forward)?;")]
        /// assert_eq!(y.shape()[0], 2);
        /// # Ok::<(), olivine_core::Error>(())
        /// ```
        pub fn $all(
            x: &Array,
            sizes: Option<&[usize]>,
            axes: Option<&[i64]>,
            norm: Norm,
        ) -> Result<Array> {
            transform(concat!("fft.", stringify!($all)), x, sizes, axes, norm, Way::$way)
        }
    )*};
}

transforms! {
    Forward: fft, fft2, fftn: "discrete Fourier transform",
        "the size to which the input is cut, or filled up with zeros, before the transform.";
    Inverse: ifft, ifft2, ifftn: "inverse discrete Fourier transform",
        "the size to which the input is cut, or filled up with zeros, before the transform.";
    FromReal: rfft, rfft2, rfftn:
        "discrete Fourier transform of real numbers, of which the first half is kept in the last axis,",
        "the size to which the input is cut, or filled up with zeros, before the transform. Complex \
        numbers lose their imaginary part.";
    ToReal: irfft, irfft2, irfftn:
        "inverse of the transform of real numbers, from the first half of the spectrum in the last axis,",
        "the size of the result, by default twice the last axis less two for that, to which the input \
        is cut or filled up with zeros.";
}
