//! Owns products of which both sides are rounded to a format of few bits.

use serde::{Deserialize, Serialize};

use super::{
    Family, Gradient, Input, OpInfo, Quantization, Quantized, Sample, check_float, kinds,
    pack::{packed_inputs, packed_of},
    shape_error,
};
use crate::{
    Array, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// Rounds groups of the last axis to what a float format can hold, ties to even. A second input is
/// the global scale. Gradients pass unchanged, as if nothing were rounded.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_core::quantized::{Quantization, RoundTo};
/// let x = Array::full([1, 32], 1.1f32)?;
/// // Four bits hold 1 and 1.5, times a power of two.
/// let y = Array::apply_one(RoundTo { scheme: Quantization::MXFP4 }, [x])?;
/// assert_eq!(y.max(..)?.item::<f32>()?, 1.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RoundTo {
    /// The format.
    pub scheme: Quantization,
}

crate::stored!(RoundTo);

impl Primitive for RoundTo {
    fn name(&self) -> &'static str {
        "qqmm"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::between(self.name(), 1, 2, inputs)?;
        check_rounded(self.name(), &inputs[0], self.scheme, inputs.get(1))?;
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|i| Ok((i == 0).then(|| vjp.cotangent().clone())))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Ok([jvp.tangents[0].clone()].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        match vmap.batched {
            [_, true] => vmap.each(self),
            _ => Array::apply(*self, vmap.inputs.iter().cloned()),
        }
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The right side of [`Array::qqmm`]: packed, or to be rounded as the left side is.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::quantized::{QqmmWeights, Quantization};
/// let w = Array::ones([8, 32], Dtype::Float32)?;
/// let packed = w.quantize(Quantization::MXFP8, None)?;
/// assert!(matches!(QqmmWeights::from(&w), QqmmWeights::Plain(_)));
/// assert!(matches!(QqmmWeights::from(&packed), QqmmWeights::Packed(_)));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum QqmmWeights<'a> {
    /// Plain numbers of shape `(columns, inner)`.
    Plain(&'a Array),
    /// Packed ones.
    Packed(&'a Quantized),
}

impl<'a> From<&'a Array> for QqmmWeights<'a> {
    fn from(w: &'a Array) -> Self {
        QqmmWeights::Plain(w)
    }
}

impl<'a> From<&'a Quantized> for QqmmWeights<'a> {
    fn from(w: &'a Quantized) -> Self {
        QqmmWeights::Packed(w)
    }
}

/// Checks that an array can be rounded to a format of few bits.
fn check_rounded(
    op: &'static str,
    x: &Array,
    scheme: Quantization,
    global: Option<&Array>,
) -> Result<()> {
    check_float(op, x.dtype())?;
    if scheme.is_affine() {
        let reason = "both sides are rounded to mxfp4, mxfp8 or nvfp4, not affine".to_owned();
        return Err(Error::Argument { op, reason });
    }
    scheme.check_global(op, global)?;
    scheme.groups(op, x).map(|_| ())
}

impl Array {
    /// The array rounded to what a format holds.
    fn rounded_to(
        &self,
        op: &'static str,
        scheme: Quantization,
        global: Option<&Array>,
    ) -> Result<Array> {
        check_rounded(op, self, scheme, global)?;
        let global = global.map(|scale| scale.reshape_to(Shape::scalar()));
        Array::apply_one(RoundTo { scheme }, std::iter::once(self.clone()).chain(global))
    }

    /// Both sides of a product that rounds them.
    fn qqmm_sides<'w>(
        &self,
        op: &'static str,
        w: QqmmWeights<'w>,
        scheme: Quantization,
        global_scales: Option<(&Array, &Array)>,
    ) -> Result<(Array, std::result::Result<Array, &'w Quantized>)> {
        let x = self.rounded_to(op, scheme, global_scales.map(|scales| scales.0))?;
        match w {
            QqmmWeights::Plain(w) => {
                let w = w.rounded_to(op, scheme, global_scales.map(|scales| scales.1))?;
                if w.ndim() < 2 {
                    let reason = format!("weights have at least two axes, not {}", w.shape());
                    return shape_error(op, reason);
                }
                Ok((x, Ok(w)))
            }
            QqmmWeights::Packed(w) if w.scheme == scheme => Ok((x, Err(w))),
            QqmmWeights::Packed(w) => {
                let (mode, given) = (scheme.mode(), w.scheme.mode());
                let reason = format!("the weights are packed as {given}, not {mode}");
                Err(Error::Argument { op, reason })
            }
        }
    }

    /// `x @ w.T` with both sides rounded to `scheme`, in which hardware multiplies them.
    ///
    /// Plain weights are rounded as well; packed ones are in the same format, with their global
    /// scale if they have one. `global_scales` are those of `x` and of plain weights. Gradients with respect to `x` and to plain
    /// weights are those of a product of the rounded sides, passed on as if rounding were the
    /// identity.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// let x = Array::full([2, 32], 1.02f32)?;
    /// let w = Array::ones([3, 32], Dtype::Float32)?;
    /// let y = x.qqmm(&w, Quantization::MXFP8, None)?;
    /// assert_eq!(y.to_vec::<f32>()?, [32.0; 6]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn qqmm<'w>(
        &self,
        w: impl Into<QqmmWeights<'w>>,
        scheme: Quantization,
        global_scales: Option<(&Array, &Array)>,
    ) -> Result<Array> {
        match self.qqmm_sides("qqmm", w.into(), scheme, global_scales)? {
            (x, Ok(w)) => x.matmul(w.swapaxes(-1, -2)?),
            (x, Err(w)) => x.quantized_matmul(w, true),
        }
    }

    /// [`Array::qqmm`] of chosen matrices, as [`Array::gather_qmm`] chooses them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// let x = Array::ones([2, 1, 32], Dtype::Float32)?;
    /// let w = Array::ones([4, 3, 32], Dtype::Float32)?;
    /// let chosen = Array::from_slice(&[3, 0], [2])?;
    /// let y = x.gather_qqmm(&w, None, Some(&chosen), Quantization::MXFP8, None)?;
    /// assert_eq!(y.to_vec::<f32>()?, [32.0; 6]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn gather_qqmm<'w>(
        &self,
        w: impl Into<QqmmWeights<'w>>,
        lhs_indices: Option<&Array>,
        rhs_indices: Option<&Array>,
        scheme: Quantization,
        global_scales: Option<(&Array, &Array)>,
    ) -> Result<Array> {
        match self.qqmm_sides("gather_qqmm", w.into(), scheme, global_scales)? {
            (x, Ok(w)) => x.gather_mm(w.swapaxes(-1, -2)?, lhs_indices, rhs_indices),
            (x, Err(w)) => x.gather_qmm(w, lhs_indices, rhs_indices, true),
        }
    }
}

/// Why finite differences say nothing about these gradients.
const ESTIMATED: Gradient = Gradient::Estimated("rounding is taken for the identity");

/// The formats both sides may be rounded to.
const FORMATS: [Quantization; 3] = [Quantization::MXFP4, Quantization::MXFP8, Quantization::NVFP4];

pub(super) fn ops() -> Vec<OpInfo> {
    let qqmm = || {
        let mut samples = Vec::new();
        for scheme in FORMATS {
            let plain = |x: &[usize], w: &[usize]| {
                let label = format!("mode={}, plain", scheme.mode());
                let inputs = [Input::any(x), Input::any(w)];
                Sample::new(label, inputs, move |x| x[0].qqmm(&x[1], scheme, None))
            };
            samples.extend([plain(&[3, 64], &[5, 64]), plain(&[2, 3, 32], &[4, 32])]);
            let label = format!("mode={}, packed", scheme.mode());
            let inputs = [vec![Input::any([3, 64])], packed_inputs(scheme, &[5], 64)].concat();
            samples.push(Sample::new(label, inputs, move |x| {
                x[0].qqmm(&packed_of(scheme, &x[1..])?, scheme, None)
            }));
        }
        let scheme = Quantization::NVFP4;
        let inputs = [Input::any([32]), Input::any([3, 32])];
        samples.push(Sample::new("mode=nvfp4, plain, scales=(3.5, 4.5)", inputs, move |x| {
            let scales = (&Array::scalar(3.5f32), &Array::scalar(4.5f32));
            x[0].qqmm(&x[1], scheme, Some(scales))
        }));
        samples
    };
    let gather = || {
        let case = |scheme: Quantization| {
            let label = format!("mode={}, plain", scheme.mode());
            let inputs =
                [Input::any([4, 2, 32]), Input::any([3, 5, 32]), Input::index([4], 3)];
            Sample::new(label, inputs, move |x| {
                x[0].gather_qqmm(&x[1], None, Some(&x[2]), scheme, None)
            })
        };
        let packed = |scheme: Quantization| {
            let label = format!("mode={}, packed", scheme.mode());
            let mut inputs = vec![Input::any([4, 2, 32])];
            inputs.extend(packed_inputs(scheme, &[3, 5], 32));
            inputs.push(Input::index([4], 3));
            Sample::new(label, inputs, move |x| {
                let w = packed_of(scheme, &x[1..3])?;
                x[0].gather_qqmm(&w, None, Some(&x[3]), scheme, None)
            })
        };
        FORMATS.into_iter().flat_map(|scheme| [case(scheme), packed(scheme)]).collect()
    };
    vec![
        OpInfo {
            name: "qqmm",
            doc: "The product of two matrices that are both rounded to few bits.",
            signature: "qqmm(x, w, scales=None, group_size=None, bits=None, mode='nvfp4', \
                        global_scale_x=None, global_scale_w=None)",
            family: Family::Linear,
            kinds: kinds::FLOAT,
            gradient: ESTIMATED,
            samples: qqmm,
        },
        OpInfo {
            name: "gather_qqmm",
            doc: "Products of chosen matrices that are all rounded to few bits.",
            signature: "gather_qqmm(x, w, scales=None, lhs_indices=None, rhs_indices=None, \
                        group_size=None, bits=None, mode='nvfp4', global_scale_x=None, \
                        global_scale_w=None, *, sorted_indices=False)",
            family: Family::Linear,
            kinds: kinds::FLOAT,
            gradient: ESTIMATED,
            samples: gather,
        },
    ]
}
