//! Owns the cross entropy of logits with class indices.

use super::{Family, Gradient, Input, OpInfo, Sample, accumulator, check_float, kinds};
use crate::{Array, Error, Result};

const OP: &str = "cross_entropy";

/// The cross entropy of the softmax of the last axis with one class each:
/// `logsumexp(logits) - logits[target]`, in `float32`, or in `float64` for such logits.
///
/// Targets are integers of the logits' shape without the last axis. A target that names no class is
/// an error when the result is evaluated.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, fast};
/// let loss = fast::cross_entropy(&array!([[0.0, 0.0]]), &array!([1]))?;
/// assert!((loss.item::<f32>()? - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn cross_entropy(logits: &Array, targets: &Array) -> Result<Array> {
    check_float(OP, logits.dtype())?;
    if !targets.dtype().is_integer() {
        let reason = "targets are the indices of classes, integers";
        return Err(Error::Dtype { op: OP, dtype: targets.dtype(), reason });
    }
    let fits = matches!(&logits.shape()[..], [rest @ .., _] if *rest == targets.shape()[..]);
    if !fits {
        let (targets, logits) = (targets.shape(), logits.shape());
        let reason = format!("targets of shape {targets} for logits of shape {logits}");
        return Err(Error::Shape { op: OP, reason });
    }
    let wide = logits.astype(accumulator(logits.dtype()))?;
    let chosen = wide.take_along_axis(&targets.expand_dims(-1)?, -1)?.squeeze(-1)?;
    wide.logsumexp(-1)?.subtract(chosen)
}

pub(super) fn op() -> OpInfo {
    OpInfo {
        name: OP,
        doc: "The cross entropy of logits with class indices.",
        signature: "cross_entropy(logits, targets)",
        family: Family::Fast,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples: || {
            let sample = |shape: &[usize]| {
                let (classes, rest) = shape.split_last().expect("logits have an axis");
                let inputs = [Input::any(shape), Input::index(rest, *classes)];
                Sample::new("", inputs, |x| cross_entropy(&x[0], &x[1]))
            };
            vec![sample(&[3, 5]), sample(&[7]), sample(&[2, 3, 4]), sample(&[0, 3])]
        },
    }
}
