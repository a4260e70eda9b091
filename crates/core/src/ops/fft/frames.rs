//! Owns short-time Fourier transforms: spectra of overlapping frames of a signal.

use super::{Norm, fft, ifft, irfft, rfft};
use crate::{Array, Dtype, Error, Result, Shape, ops::scatter::Combine};

/// What a signal is continued with beyond its ends.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::fft::{self, Border, Stft};
/// let x = Array::ones([8], Dtype::Float32)?;
/// let frames = |pad_mode| fft::stft(&x, &Stft { n_fft: 4, pad_mode, ..Stft::default() });
/// // With zeros beyond its ends, the first frame has half of the signal.
/// assert_eq!(frames(Border::Edge)?.index((0, 0))?.real()?.item::<f32>()?, 4.0);
/// assert_eq!(frames(Border::Constant)?.index((0, 0))?.real()?.item::<f32>()?, 2.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// The signal mirrored at its first and last element.
    #[default]
    Reflect,
    /// Zeros.
    Constant,
    /// The first and last element.
    Edge,
}

/// The options of [`stft`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::fft::{self, Stft};
/// let x = Array::ones([16], Dtype::Float32)?;
/// let options = Stft { n_fft: 8, hop_length: Some(4), ..Stft::default() };
/// // Five frames, each with the frequencies from zero to half of the rate.
/// assert_eq!(fft::stft(&x, &options)?.shape().dims(), &[5, 5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stft {
    /// The size of the transform, 2048 by default.
    pub n_fft: usize,
    /// The samples from one frame to the next; a quarter of `n_fft` by default.
    pub hop_length: Option<usize>,
    /// The size of the window if none is given; `n_fft` by default.
    pub win_length: Option<usize>,
    /// The window, in the middle of each frame; rectangular by default.
    pub window: Option<Array>,
    /// Whether the signal is continued at both ends so that frames are centred on their positions.
    pub center: bool,
    /// What it is continued with.
    pub pad_mode: Border,
    /// Which direction has the factor.
    pub norm: Norm,
    /// Whether only frequencies from zero upwards are kept; by default, if the signal is real.
    pub onesided: Option<bool>,
}

impl Default for Stft {
    fn default() -> Self {
        Stft {
            n_fft: 2048,
            hop_length: None,
            win_length: None,
            window: None,
            center: true,
            pad_mode: Border::default(),
            norm: Norm::default(),
            onesided: None,
        }
    }
}

/// The options of [`istft`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::fft::{self, Istft, Stft};
/// let x = array!([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
/// let frames = fft::stft(&x, &Stft { n_fft: 4, ..Stft::default() })?;
/// let back = fft::istft(&frames, &Istft { length: Some(8), ..Istft::default() })?;
/// assert!(back.subtract(&x)?.abs()?.max(..)?.item::<f32>()? < 1e-5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Istft {
    /// The size of the transform; by default what the number of frequencies says, taken as even.
    pub n_fft: Option<usize>,
    /// The samples from one frame to the next; a quarter of `n_fft` by default.
    pub hop_length: Option<usize>,
    /// The size of the window if none is given; `n_fft` by default.
    pub win_length: Option<usize>,
    /// The window that [`stft`] used; rectangular by default.
    pub window: Option<Array>,
    /// Whether the signal was continued at both ends.
    pub center: bool,
    /// Which direction has the factor.
    pub norm: Norm,
    /// Whether there are only frequencies from zero upwards, as by default.
    pub onesided: bool,
    /// The length of the signal, to which it is cut or filled up with zeros.
    pub length: Option<usize>,
}

impl Default for Istft {
    fn default() -> Self {
        Istft {
            n_fft: None,
            hop_length: None,
            win_length: None,
            window: None,
            center: true,
            norm: Norm::default(),
            onesided: true,
            length: None,
        }
    }
}

fn refused<T>(op: &'static str, reason: impl Into<String>) -> Result<T> {
    Err(Error::Argument { op, reason: reason.into() })
}

/// The window, filled up with zeros on both sides to the size of a frame, and the hop.
fn settings(
    op: &'static str,
    n_fft: usize,
    hop: Option<usize>,
    win_length: Option<usize>,
    window: Option<&Array>,
) -> Result<(Array, usize)> {
    if n_fft == 0 {
        return refused(op, "there is no transform of size 0");
    }
    let hop = hop.unwrap_or((n_fft / 4).max(1));
    if hop == 0 {
        return refused(op, "frames that are 0 samples apart never end");
    }
    let window = match window {
        Some(window) => window.clone(),
        None => Array::ones([win_length.unwrap_or(n_fft)], Dtype::Float32)?,
    };
    let [size] = window.shape()[..] else {
        return refused(op, format!("a window is a vector, not of shape {}", window.shape()));
    };
    if size > n_fft || win_length.is_some_and(|length| length > n_fft) {
        return refused(op, format!("a window of {size} does not fit transforms of {n_fft}"));
    }
    if window.dtype() == Dtype::Complex64 {
        let reason = "windows are real";
        return Err(Error::Dtype { op, dtype: window.dtype(), reason });
    }
    let before = (n_fft - size) / 2;
    let window = window.astype(Dtype::Float32)?.pad(&[(before, n_fft - size - before)], 0.0)?;
    Ok((window, hop))
}

/// The positions of samples in frames: one row for each frame.
fn places(frames: usize, hop: usize, n_fft: usize) -> Result<Array> {
    let place = (0..frames).flat_map(|frame| (0..n_fft).map(move |i| (frame * hop + i) as i64));
    Array::from_slice(&place.collect::<Vec<_>>(), [frames, n_fft])
}

/// The signal continued by `width` samples at both ends.
fn continued(op: &'static str, x: &Array, width: usize, border: Border) -> Result<Array> {
    let (axis, size) = (x.ndim() - 1, x.shape()[x.ndim() - 1]);
    if border == Border::Constant {
        let mut widths = vec![(0, 0); x.ndim()];
        widths[axis] = (width, width);
        return x.pad(&widths, 0);
    }
    if size == 0 {
        return refused(op, "an empty signal cannot be continued");
    }
    let last = size as i64 - 1;
    let source = |i: i64| match border {
        // A short signal is mirrored back and forth.
        Border::Reflect if last > 0 => {
            let at = i.rem_euclid(2 * last);
            at.min(2 * last - at)
        }
        Border::Reflect | Border::Constant | Border::Edge => i.clamp(0, last),
    };
    let width = width as i64;
    let sources: Vec<i64> = (-width..size as i64 + width).map(source).collect();
    x.take(&Array::from_slice(&sources, [sources.len()])?, -1)
}

/// The short-time Fourier transform: the last axis is cut into overlapping frames, each is
/// multiplied by a window and transformed. The result has the shape `(…, frequencies, frames)`.
///
/// Fails if the signal is shorter than a frame.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{fft::{self, Stft}, Array};
/// let x = Array::arange(0.0f32, 10.0, 1.0)?;
/// let spectra = fft::stft(&x, &Stft { n_fft: 4, ..Stft::default() })?;
/// assert_eq!(spectra.shape().dims(), &[3, 11]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn stft(x: &Array, options: &Stft) -> Result<Array> {
    const OP: &str = "fft.stft";
    let n_fft = options.n_fft;
    let window = options.window.as_ref();
    let (window, hop) = settings(OP, n_fft, options.hop_length, options.win_length, window)?;
    if x.ndim() == 0 {
        return Err(Error::Axis { op: OP, axis: -1, rank: 0 });
    }
    let complex = x.dtype() == Dtype::Complex64;
    let x = x.astype(if complex { Dtype::Complex64 } else { Dtype::Float32 })?;
    let x = if options.center { continued(OP, &x, n_fft / 2, options.pad_mode)? } else { x };
    let size = x.shape()[x.ndim() - 1];
    let Some(rest) = size.checked_sub(n_fft) else {
        return refused(OP, format!("a signal of {size} samples is shorter than a frame of {n_fft}"));
    };
    let frames = x.take(&places(rest / hop + 1, hop, n_fft)?, -1)?.multiply(window)?;
    let spectra = match (options.onesided.unwrap_or(!complex), complex) {
        (true, false) => rfft(&frames, None, -1, options.norm)?,
        (true, true) => {
            let all = fft(&frames, None, -1, options.norm)?;
            all.narrow(all.ndim() - 1, 0, n_fft / 2 + 1)
        }
        (false, _) => fft(&frames, None, -1, options.norm)?,
    };
    spectra.swapaxes(-1, -2)
}

/// The signal whose [`stft`] is given: the frames' inverse transforms are multiplied by the window,
/// added where they overlap, and divided by the sum of the squared windows, where that is not zero.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{fft::{self, Istft, Stft}, Array, Tolerance};
/// let x = Array::arange(0.0f32, 10.0, 1.0)?;
/// let spectra = fft::stft(&x, &Stft { n_fft: 4, ..Stft::default() })?;
/// let again = fft::istft(&spectra, &Istft::default())?;
/// assert!(again.subtract(&x)?.abs()?.max(..)?.item::<f32>()? < 1e-5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn istft(spectra: &Array, options: &Istft) -> Result<Array> {
    const OP: &str = "fft.istft";
    let [.., frequencies, count] = spectra.shape()[..] else {
        let reason = format!("{} has no axes for frequencies and frames", spectra.shape());
        return Err(Error::Shape { op: OP, reason });
    };
    let told = if options.onesided { 2 * frequencies.saturating_sub(1) } else { frequencies };
    let n_fft = options.n_fft.unwrap_or(told);
    let window = options.window.as_ref();
    let (window, hop) = settings(OP, n_fft, options.hop_length, options.win_length, window)?;
    if count == 0 {
        return refused(OP, "there is no frame");
    }
    let spectra = spectra.swapaxes(-1, -2)?;
    let frames = if options.onesided {
        irfft(&spectra, n_fft, -1, options.norm)?
    } else {
        ifft(&spectra, n_fft, -1, options.norm)?.real()?
    };
    let frames = frames.multiply(&window)?;
    let total = (count - 1) * hop + n_fft;
    // Adds what lies at the same position of the signal.
    let places = places(count, hop, n_fft)?.reshape([-1])?;
    let overlapped = |frames: &Array| -> Result<Array> {
        let (outer, _) = frames.shape().split_at(frames.ndim() - 2);
        let with = |size: usize| -> Shape { outer.iter().copied().chain([size]).collect() };
        let flat = frames.reshape_to(with(count * n_fft));
        let zeros = Array::zeros(with(total), Dtype::Float32)?;
        let places = places.broadcast_shape(flat.shape());
        zeros.scattered_along(Combine::Add, flat.ndim() - 1, &places, &flat)
    };
    let signal = overlapped(&frames)?;
    let weights = window.square()?.broadcast_shape(&Shape::from([count, n_fft]));
    let weights = overlapped(&weights)?;
    let covered = weights.greater(1e-11)?;
    let signal = covered.select(signal.divide(covered.select(weights, 1.0)?)?, 0.0)?;
    let axis = signal.ndim() - 1;
    let margin = if options.center { n_fft / 2 } else { 0 };
    let length = options.length.unwrap_or(total.saturating_sub(2 * margin));
    let end = (margin + length).min(total);
    let signal = signal.narrow(axis, margin.min(end), end);
    let mut widths = vec![(0, 0); signal.ndim()];
    widths[axis].1 = length - signal.shape()[axis];
    signal.pad(&widths, 0.0)
}
