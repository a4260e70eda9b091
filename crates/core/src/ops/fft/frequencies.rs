//! Owns the frequencies that belong to a spectrum, and its order.

use crate::{Array, Axes, Error, Result};

fn check(op: &'static str, n: usize) -> Result<f64> {
    if n == 0 {
        let reason = "there is no transform of size 0".to_owned();
        return Err(Error::Argument { op, reason });
    }
    Ok(n as f64)
}

/// The frequencies of the transform of `n` samples that lie `spacing` apart: from zero upwards, then
/// the negative ones, as `float32`.
///
/// ```
/// # use olivine_cpu as _;
/// let frequencies = olivine_core::fft::fftfreq(5, 0.5)?;
/// assert_eq!(frequencies.to_vec::<f32>()?, [0.0, 0.4, 0.8, -0.8, -0.4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn fftfreq(n: usize, spacing: f64) -> Result<Array> {
    let step = 1.0 / (check("fft.fftfreq", n)? * spacing);
    let position = |i: usize| if i < n.div_ceil(2) { i as f64 } else { i as f64 - n as f64 };
    let frequencies: Vec<f32> = (0..n).map(|i| (position(i) * step) as f32).collect();
    Array::from_slice(&frequencies, [n])
}

/// The frequencies of the transform of `n` real samples that lie `spacing` apart, as `float32`.
///
/// ```
/// # use olivine_cpu as _;
/// assert_eq!(olivine_core::fft::rfftfreq(4, 0.5)?.to_vec::<f32>()?, [0.0, 0.5, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn rfftfreq(n: usize, spacing: f64) -> Result<Array> {
    let step = 1.0 / (check("fft.rfftfreq", n)? * spacing);
    let frequencies: Vec<f32> = (0..=n / 2).map(|i| (i as f64 * step) as f32).collect();
    Array::from_slice(&frequencies, [frequencies.len()])
}

fn shifted(
    op: &'static str,
    x: &Array,
    axes: &Axes,
    shift: impl Fn(usize) -> i64,
) -> Result<Array> {
    let mut x = x.clone();
    for axis in axes.resolve(x.ndim(), op)? {
        x = x.roll(shift(x.shape()[axis]), axis as i64)?;
    }
    Ok(x)
}

/// Moves the zero frequency to the middle of axes.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, fft};
/// assert_eq!(fft::fftshift(&array!([0, 1, 2, -2, -1]), ..)?.to_vec::<i32>()?, [-2, -1, 0, 1, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn fftshift(x: &Array, axes: impl Into<Axes>) -> Result<Array> {
    shifted("fft.fftshift", x, &axes.into(), |size| (size / 2) as i64)
}

/// Moves the zero frequency from the middle of axes back to their start.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, fft};
/// assert_eq!(fft::ifftshift(&array!([-2, -1, 0, 1, 2]), ..)?.to_vec::<i32>()?, [0, 1, 2, -2, -1]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn ifftshift(x: &Array, axes: impl Into<Axes>) -> Result<Array> {
    shifted("fft.ifftshift", x, &axes.into(), |size| -((size / 2) as i64))
}
