//! Owns `fft`: Fourier transforms.

use olivine::fft::{self as native, Border, Istft, Norm, Stft};
use pyo3::prelude::*;

use super::functions;
use crate::{
    arg::{Input, Ints, Sizes, axes as all_or, made},
    array::PyArray,
    device::On,
    error::value_error,
};

fn norm_named(name: &str) -> PyResult<Norm> {
    match name {
        "backward" => Ok(Norm::Backward),
        "ortho" => Ok(Norm::Ortho),
        "forward" => Ok(Norm::Forward),
        _ => Err(value_error(format!(
            "[fft] norm is 'backward', 'ortho' or 'forward', not '{name}'"
        ))),
    }
}

macro_rules! transforms {
    ($($one:ident $two:ident $all:ident $what:literal $shown:literal $pair:literal;)*) => {$(
        #[doc = concat!("The ", $what, " along an axis.")]
        ///
        /// Args:
        ///     a: The array.
        ///     n: The size that the axis is cut or filled up with zeros to.
        ///     axis: The axis.
        ///     norm: Which direction is scaled: ``"backward"``, ``"forward"`` or, both, ``"ortho"``.
        ///     stream: Where to compute it.
        ///
        /// Example:
        ///     >>> import olivine.core as mx
        #[doc = concat!("    >>> mx.fft.", stringify!($one), "(mx.array([1.0, 3.0]))")]
        #[doc = concat!("    ", $shown)]
        #[pyfunction]
        #[pyo3(signature = (a, n=None, axis=-1, norm="backward", stream=None), text_signature = "(a, n=None, axis=-1, norm='backward', stream=None)")]
        fn $one(
            a: Input,
            n: Option<i64>,
            axis: i64,
            norm: &str,
            stream: Option<On>,
        ) -> PyResult<PyArray> {
            let norm = norm_named(norm)?;
            let n = n.map(usize::try_from).transpose()
                .map_err(|_| value_error("[fft] n must not be negative"))?;
            made(stream, || native::$one(&a.0, n, axis, norm))
        }

        #[doc = concat!("The ", $what, " over two axes.")]
        ///
        /// Args:
        ///     a: The array.
        ///     s: The sizes that the axes are cut or filled up with zeros to.
        ///     axes: The axes.
        ///     norm: Which direction is scaled: ``"backward"``, ``"forward"`` or, both, ``"ortho"``.
        ///     stream: Where to compute it.
        ///
        /// Example:
        ///     >>> import olivine.core as mx
        #[doc = concat!("    >>> mx.fft.", stringify!($two), "(mx.ones((2, 4))).shape")]
        #[doc = concat!("    ", $pair)]
        #[pyfunction]
        #[pyo3(signature = (a, s=None, axes=Some(Ints(smallvec::smallvec![-2, -1])), norm="backward", stream=None),
            text_signature = "(a, s=None, axes=[-2, -1], norm='backward', stream=None)")]
        fn $two(
            a: Input,
            s: Option<Sizes>,
            axes: Option<Ints>,
            norm: &str,
            stream: Option<On>,
        ) -> PyResult<PyArray> {
            $all(a, s, axes, norm, stream)
        }

        #[doc = concat!("The ", $what, " over axes: by default all, or the last ones that there are sizes for.")]
        ///
        /// Args:
        ///     a: The array.
        ///     s: The sizes that the axes are cut or filled up with zeros to.
        ///     axes: The axes.
        ///     norm: Which direction is scaled: ``"backward"``, ``"forward"`` or, both, ``"ortho"``.
        ///     stream: Where to compute it.
        ///
        /// Example:
        ///     >>> import olivine.core as mx
        #[doc = concat!("    >>> mx.fft.", stringify!($all), "(mx.ones((2, 4))).shape")]
        #[doc = concat!("    ", $pair)]
        #[pyfunction]
        #[pyo3(signature = (a, s=None, axes=None, norm="backward", stream=None))]
        fn $all(
            a: Input,
            s: Option<Sizes>,
            axes: Option<Ints>,
            norm: &str,
            stream: Option<On>,
        ) -> PyResult<PyArray> {
            let norm = norm_named(norm)?;
            if a.0.ndim() == 0 {
                return Err(value_error("[fftn] Requires array with at least one dimension."));
            }
            let sizes = s.as_ref().map(|sizes| sizes.0.dims());
            let axes = axes.as_ref().map(|axes| &axes.0[..]);
            made(stream, || native::$all(&a.0, sizes, axes, norm))
        }
    )*};
}

transforms! {
    fft fft2 fftn "discrete Fourier transform" "array([4+0j, -2+0j], dtype=complex64)" "(2, 4)";
    ifft ifft2 ifftn "inverse discrete Fourier transform" "array([2+0j, -1+0j], dtype=complex64)" "(2, 4)";
    rfft rfft2 rfftn "discrete Fourier transform of real numbers" "array([4+0j, -2+0j], dtype=complex64)" "(2, 3)";
    irfft irfft2 irfftn "inverse of the discrete Fourier transform of real numbers" "array([2, -1], dtype=float32)" "(2, 6)";
}

/// A number of samples; there are some, and they are apart.
fn samples(n: i64, d: f64) -> PyResult<usize> {
    if d == 0.0 {
        return Err(value_error("[fftfreq] d must not be zero"));
    }
    usize::try_from(n)
        .ok()
        .filter(|&n| n > 0)
        .ok_or_else(|| value_error(format!("[fftfreq] n must be positive, not {n}")))
}

/// The frequencies of a spectrum of ``n`` numbers, samples being ``d`` apart.
///
/// Args:
///     n: The number of samples.
///     d: The distance between samples.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fft.fftfreq(4)
///     array([0, 0.25, -0.5, -0.25], dtype=float32)
#[pyfunction]
#[pyo3(signature = (n, d=1.0, stream=None))]
fn fftfreq(n: i64, d: f64, stream: Option<On>) -> PyResult<PyArray> {
    let n = samples(n, d)?;
    made(stream, || native::fftfreq(n, d))
}

/// The frequencies of a spectrum of ``n`` real numbers, samples being ``d`` apart.
///
/// Args:
///     n: The number of samples.
///     d: The distance between samples.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fft.rfftfreq(4)
///     array([0, 0.25, 0.5], dtype=float32)
#[pyfunction]
#[pyo3(signature = (n, d=1.0, stream=None))]
fn rfftfreq(n: i64, d: f64, stream: Option<On>) -> PyResult<PyArray> {
    let n = samples(n, d)?;
    made(stream, || native::rfftfreq(n, d))
}

/// The zero frequency moved to the middle of axes.
///
/// Args:
///     a: An array.
///     axes: The axes; by default all.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fft.fftshift(mx.array([0, 1, -1]))
///     array([-1, 0, 1], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, axes=None, stream=None))]
fn fftshift(a: Input, axes: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || native::fftshift(&a.0, all_or(axes, false)))
}

/// The zero frequency moved back to the start of axes.
///
/// Args:
///     a: An array.
///     axes: The axes; by default all.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fft.ifftshift(mx.array([-1, 0, 1]))
///     array([0, 1, -1], dtype=int32)
#[pyfunction]
#[pyo3(signature = (a, axes=None, stream=None))]
fn ifftshift(a: Input, axes: Option<Ints>, stream: Option<On>) -> PyResult<PyArray> {
    made(stream, || native::ifftshift(&a.0, all_or(axes, false)))
}

/// The spectra of overlapping frames of signals, of shape ``(..., frames, frequencies)``.
///
/// Args:
///     x: Signals of shape ``(..., samples)``.
///     n_fft: The size of a frame.
///     hop_length: The distance between frames, by default a quarter of ``n_fft``.
///     win_length: The size of the window, by default ``n_fft``.
///     window: What a frame is multiplied by; by default ones.
///     center: Continues the signal at both ends, so that frames are centred.
///     pad_mode: How it is continued: ``"reflect"``, ``"constant"`` or ``"edge"``.
///     norm: Which direction is scaled: ``"backward"``, ``"forward"`` or, both, ``"ortho"``.
///     onesided: Leaves out the negative frequencies; by default for real signals.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fft.stft(mx.zeros((64,)), n_fft=16).shape
///     (9, 17)
#[pyfunction]
#[pyo3(signature = (x, n_fft=2048, hop_length=None, win_length=None, window=None, center=true,
    pad_mode="reflect", norm="backward", onesided=None, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn stft(
    x: Input,
    n_fft: usize,
    hop_length: Option<usize>,
    win_length: Option<usize>,
    window: Option<Input>,
    center: bool,
    pad_mode: &str,
    norm: &str,
    onesided: Option<bool>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let pad_mode = match pad_mode {
        "reflect" => Border::Reflect,
        "constant" => Border::Constant,
        "edge" => Border::Edge,
        _ => return Err(value_error(format!("[stft] Invalid pad_mode '{pad_mode}'"))),
    };
    let options = Stft {
        n_fft,
        hop_length,
        win_length,
        window: window.map(|Input(window)| window),
        center,
        pad_mode,
        norm: norm_named(norm)?,
        onesided,
    };
    made(stream, || native::stft(&x.0, &options))
}

/// The signals that spectra of overlapping frames belong to: the inverse of :func:`stft`.
///
/// Args:
///     stft_matrix: Spectra of shape ``(..., frames, frequencies)``.
///     n_fft: The size of a frame; by default what the frequencies say.
///     hop_length: The distance between frames, by default a quarter of ``n_fft``.
///     win_length: The size of the window, by default ``n_fft``.
///     window: What frames were multiplied by; by default ones.
///     center: Whether frames were centred.
///     norm: Which direction is scaled: ``"backward"``, ``"forward"`` or, both, ``"ortho"``.
///     onesided: Whether negative frequencies were left out; by default they were.
///     length: The number of samples; by default all.
///     stream: Where to compute it.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fft.istft(mx.fft.stft(mx.ones((64,)), n_fft=16), n_fft=16).shape
///     (64,)
#[pyfunction]
#[pyo3(signature = (stft_matrix, n_fft=None, hop_length=None, win_length=None, window=None, center=true,
    norm="backward", onesided=None, length=None, stream=None))]
#[expect(clippy::too_many_arguments, reason = "the arguments that Python sees")]
fn istft(
    stft_matrix: Input,
    n_fft: Option<usize>,
    hop_length: Option<usize>,
    win_length: Option<usize>,
    window: Option<Input>,
    center: bool,
    norm: &str,
    onesided: Option<bool>,
    length: Option<usize>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let options = Istft {
        n_fft,
        hop_length,
        win_length,
        window: window.map(|Input(window)| window),
        center,
        norm: norm_named(norm)?,
        onesided: onesided.unwrap_or(true),
        length,
    };
    made(stream, || native::istft(&stft_matrix.0, &options))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    functions!(module; fft, fft2, fftn, ifft, ifft2, ifftn, rfft, rfft2, rfftn, irfft, irfft2, irfftn,
        fftfreq, rfftfreq, fftshift, ifftshift, stft, istft);
    Ok(())
}
