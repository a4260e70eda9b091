//! Owns discrete Fourier transforms.
//!
//! They are computed in `complex64`, whatever the dtype of the input. A transform that reads an
//! infinity or NaN gives NaN everywhere.
//!
//! ```
//! # use olivine_cpu as _;
//! use olivine_core::{array, fft::{self, Norm}, Complex64};
//! let spectrum = fft::rfft(&array!([1.0, 0.0, -1.0, 0.0]), None, -1, Norm::Backward)?;
//! let zero = Complex64::new(0.0, 0.0);
//! assert_eq!(spectrum.to_vec::<Complex64>()?, [zero, Complex64::new(2.0, 0.0), zero]);
//! # Ok::<(), olivine_core::Error>(())
//! ```

mod frames;
mod frequencies;
mod primitive;
mod samples;
mod transforms;

pub use frames::{Border, Istft, Stft, istft, stft};
pub use frequencies::{fftfreq, fftshift, ifftshift, rfftfreq};
pub use primitive::{Fft, Kind};
pub(super) use samples::ops;
pub use transforms::{
    Norm, fft, fft2, fftn, ifft, ifft2, ifftn, irfft, irfft2, irfftn, rfft, rfft2, rfftn,
};
