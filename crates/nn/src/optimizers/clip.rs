//! Owns gradient clipping.

use olivine_core::{Array, Dtype, Result, ops::adamw::AdamW};

use crate::Parameters;

/// Scales all gradients down so that their norm together is at most `max_norm`; returns them and
/// the norm they had.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_nn::{Parameters, optimizers::clip_grad_norm};
/// let gradients = Parameters::from([
///     ("a".to_owned(), Array::scalar(3.0f32)),
///     ("b".to_owned(), Array::scalar(4.0f32)),
/// ]);
/// let (clipped, norm) = clip_grad_norm(&gradients, 1.0)?;
/// assert_eq!(norm.item::<f32>()?, 5.0);
/// assert!((clipped["b"].item::<f32>()? - 0.8).abs() < 1e-5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn clip_grad_norm(gradients: &Parameters, max_norm: f64) -> Result<(Parameters, Array)> {
    let mut total = Array::scalar(0.0f32);
    for gradient in gradients.values() {
        let wide = gradient.astype(AdamW::moment_dtype(gradient.dtype()))?;
        total = total.add(wide.square()?.sum(..)?)?;
    }
    let norm = total.sqrt()?;
    // The small number keeps gradients of zero at zero.
    let scale = Array::scalar(max_norm).astype(norm.dtype())?;
    let scale = scale.divide(norm.add(1e-6)?)?.minimum(1.0)?;
    let mut clipped = Parameters::new();
    for (name, gradient) in gradients {
        let factor = scale.astype(gradient.dtype())?;
        clipped.insert(name.clone(), gradient.multiply(factor)?);
    }
    Ok((clipped, norm.astype(Dtype::Float32)?))
}
