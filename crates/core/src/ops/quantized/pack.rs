//! Owns turning arrays into codes and back.

use serde::{Deserialize, Serialize};

use super::{
    Family, Gradient, Input, OpInfo, Quantization, Quantized, Sample, check_float, kinds,
    shape_error, words,
};
use crate::{
    Array, Dtype, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// Packs groups of the last axis: codes, scales and, for affine formats, biases. A second input is
/// the global scale.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::quantized::{Quantization, Quantize};
/// let quantize = Quantize { scheme: Quantization::MXFP8 };
/// let parts = Array::apply(quantize, [Array::ones([1, 32], Dtype::Float32)?])?;
/// // Four codes to a word, and one scale.
/// assert_eq!((parts[0].shape().dims(), parts[1].shape().dims()), (&[1, 8][..], &[1, 1][..]));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Quantize {
    /// The format.
    pub scheme: Quantization,
}

/// Reads codes with their scales and, for affine formats, biases.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, f16};
/// use olivine_core::quantized::{Dequantize, Quantization};
/// let packed = Array::ones([1, 32], Dtype::Float32)?.quantize(Quantization::MXFP8, None)?;
/// let dequantize = Dequantize { scheme: packed.scheme, dtype: Dtype::Float16 };
/// let x = Array::apply_one(dequantize, [packed.codes, packed.scales])?;
/// assert_eq!(x.to_vec::<f16>()?, [f16::ONE; 32]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Dequantize {
    /// The format.
    pub scheme: Quantization,
    /// The dtype of the result.
    pub dtype: Dtype,
}

crate::stored!(Quantize);

impl Primitive for Quantize {
    fn name(&self) -> &'static str {
        "quantize"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::between(self.name(), 1, 2, inputs)?;
        let x = &inputs[0];
        check_float(self.name(), x.dtype())?;
        self.scheme.check_global(self.name(), inputs.get(1))?;
        let groups = self.scheme.groups(self.name(), x)?;
        let last = x.ndim() - 1;
        let codes = x.shape().with_axis(last, self.scheme.words(x.shape()[last]));
        let groups = x.shape().with_axis(last, groups);
        let codes = Spec::new(codes, Dtype::Uint32);
        Ok(if self.scheme.is_affine() {
            let parameter = Spec::new(groups, x.dtype());
            [codes, parameter.clone(), parameter].into_iter().collect()
        } else {
            [codes, Spec::new(groups, Dtype::Uint8)].into_iter().collect()
        })
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        if !self.scheme.is_affine() || vjp.cotangents[1..].iter().all(Option::is_none) {
            return vjp.each(|_| Ok(None));
        }
        let filled = |i: usize| match &vjp.cotangents[i] {
            Some(cotangent) => Ok(cotangent.clone()),
            None => vjp.outputs[i].zeros_like(),
        };
        let parameters = |x: &[Array]| affine_parameters(&x[0], self.scheme);
        let (_, gradients) = crate::transforms::pull_back(parameters, vjp.inputs, &[filled(1)?, filled(2)?])?;
        Ok(gradients.into_iter().map(Some).collect())
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let Some(tangent) = jvp.tangents[0].as_ref().filter(|_| self.scheme.is_affine()) else {
            return jvp.zero();
        };
        let parameters = |x: &[Array]| affine_parameters(&x[0], self.scheme);
        let (_, tangents) = crate::jvp(parameters, jvp.inputs, std::slice::from_ref(tangent))?;
        Ok(std::iter::once(None).chain(tangents.into_iter().map(Some)).collect())
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

/// The scales and biases of affine codes as a function of the numbers, for gradients: rounding
/// has a gradient of zero.
fn affine_parameters(x: &Array, scheme: Quantization) -> Result<Vec<Array>> {
    let last = x.ndim() - 1;
    let groups = x.shape().with_axis(last, x.shape()[last] / scheme.group_size());
    let grouped = x.reshape_to(groups.insert_axis(last + 1, scheme.group_size()));
    let (low, high) = (grouped.min(-1)?, grouped.max(-1)?);
    let least = f64::from(1e-7f32);
    if scheme.bits() == 1 {
        return Ok(vec![high.subtract(&low)?.maximum(least)?, low]);
    }
    let steps = ((1u32 << scheme.bits()) - 1) as f32;
    let step = high.subtract(&low)?.divide(steps)?.maximum(least)?;
    let below = low.abs()?.greater(high.abs()?)?;
    let step = below.select(&step, step.negative()?)?;
    let edge = below.select(&low, &high)?;
    let count = edge.divide(&step)?.round()?;
    let none = count.equal(0.0)?;
    let count = none.select(count.ones_like()?, &count)?;
    let scales = none.select(&step, edge.divide(&count)?)?;
    Ok(vec![scales, none.select(edge.zeros_like()?, &edge)?])
}

impl Dequantize {
    /// The same codes read with other scales and biases.
    fn with(&self, codes: &Array, scales: &Array, biases: &Array) -> Result<Array> {
        Array::apply_one(*self, [codes.clone(), scales.clone(), biases.clone()])
    }
}

/// The sums of the groups in the last axis.
pub(super) fn group_sums(x: &Array, scheme: Quantization) -> Result<Array> {
    let last = x.ndim() - 1;
    let groups = x.shape().with_axis(last, x.shape()[last] / scheme.group_size());
    x.reshape_to(groups.insert_axis(last + 1, scheme.group_size())).sum(-1)
}

/// The codes as numbers: what affine codes mean with scales of one and no biases.
pub(super) fn plain_codes(codes: &Array, scales: &Array, scheme: Quantization) -> Result<Array> {
    let read = Dequantize { scheme, dtype: scales.dtype() };
    read.with(codes, &scales.ones_like()?, &scales.zeros_like()?)
}

pub(super) const PACKED: &str = "packed codes are whole numbers";

crate::stored!(Dequantize);

impl Primitive for Dequantize {
    fn name(&self) -> &'static str {
        "dequantize"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        check_float(self.name(), self.dtype)?;
        let shape = self.scheme.unpacked(self.name(), inputs, Some(self.dtype))?;
        Ok([Spec { shape, dtype: self.dtype }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        if vjp.wanted[0] {
            return vjp.unsupported(PACKED);
        }
        if !self.scheme.is_affine() {
            return vjp.each(|_| Ok(None));
        }
        let (cotangent, scales) = (vjp.cotangent(), &vjp.inputs[1]);
        vjp.each(|i| {
            let each = match i {
                1 => {
                    let codes = plain_codes(&vjp.inputs[0], scales, self.scheme)?;
                    cotangent.multiply(codes)?
                }
                _ => cotangent.clone(),
            };
            Ok(Some(group_sums(&each, self.scheme)?.astype(scales.dtype())?))
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        if !self.scheme.is_affine() {
            return jvp.zero();
        }
        let filled = |i: usize| match &jvp.tangents[i] {
            Some(tangent) => Ok(tangent.clone()),
            None => jvp.inputs[i].zeros_like(),
        };
        if jvp.tangents[1..].iter().all(Option::is_none) {
            return jvp.zero();
        }
        Ok([Some(self.with(&jvp.inputs[0], &filled(1)?, &filled(2)?)?)].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    /// The array in few bits, by groups of neighbours in the last axis.
    ///
    /// The array has at least two axes, and groups fill the last one. Codes, scales and biases are
    /// those of MLX, byte for byte. [`Quantization::NVFP4`] may take a `float32` for the whole
    /// array, usually its largest magnitude.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// let x = Array::arange(0.0f32, 32.0, 1.0)?.reshape([1, 32])?;
    /// let packed = x.quantize(Quantization::affine(32, 5)?, None)?;
    /// assert!(packed.dequantize(None)?.array_equal(&x, false)?.item::<bool>()?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn quantize(
        &self,
        scheme: Quantization,
        global_scale: Option<&Array>,
    ) -> Result<Quantized> {
        let op = "quantize";
        check_float(op, self.dtype())?;
        if self.ndim() < 2 {
            return shape_error(op, format!("at least two axes are packed, not {}", self.shape()));
        }
        scheme.groups(op, self)?;
        scheme.check_global(op, global_scale)?;
        let inputs = std::iter::once(self.clone())
            .chain(global_scale.map(|scale| scale.reshape_to(Shape::scalar())));
        let mut parts = Array::apply(Quantize { scheme }, inputs)?.into_iter();
        let mut next = || parts.next().expect("codes and scales, and biases if affine");
        Ok(Quantized {
            codes: next(),
            scales: next(),
            biases: scheme.is_affine().then(next),
            global_scale: global_scale.cloned(),
            scheme,
        })
    }
}

impl Quantized {
    /// The numbers that the codes stand for.
    ///
    /// Without `dtype`, affine codes have the dtype of their scales and biases, others `bfloat16`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// let x = Array::full([1, 32], -3.0f32)?;
    /// let packed = x.quantize(Quantization::MXFP4, None)?;
    /// assert_eq!(packed.dequantize(Some(Dtype::Float32))?.to_vec::<f32>()?, [-3.0; 32]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dequantize(&self, dtype: Option<Dtype>) -> Result<Array> {
        let op = "dequantize";
        self.check(op)?;
        if let Some(dtype) = dtype {
            check_float(op, dtype)?;
        }
        let own = self.biases.as_ref().map(|biases| self.scales.dtype().promote(biases.dtype()));
        let dtype = dtype.or(own).unwrap_or(Dtype::BFloat16);
        // The scale for all is applied before rounding.
        let first = match (own, &self.global_scale) {
            (Some(own), _) => own,
            (None, Some(_)) => dtype.promote(Dtype::Float32),
            (None, None) => dtype,
        };
        let read = Dequantize { scheme: self.scheme, dtype: first };
        self.times_global(Array::apply_one(read, self.arrays(first)?)?)?.astype(dtype)
    }
}

/// Formats that samples are made of: every mode, every number of bits and size of groups.
pub(super) fn schemes() -> Vec<(String, Quantization)> {
    let affine = [(32, 1), (32, 2), (64, 3), (64, 4), (128, 5), (32, 6), (64, 8)];
    let affine = affine.into_iter().map(|(group, bits)| {
        let scheme = Quantization::affine(group, bits).expect("a combination that there is");
        (format!("group_size={group}, bits={bits}, mode=affine"), scheme)
    });
    let floats = [Quantization::MXFP4, Quantization::MXFP8, Quantization::NVFP4];
    let floats = floats.into_iter().map(|scheme| {
        let (group, bits) = (scheme.group_size(), scheme.bits());
        (format!("group_size={group}, bits={bits}, mode={}", scheme.mode()), scheme)
    });
    affine.chain(floats).collect()
}

/// Inputs that make a packed array of `rows` rows: words, scales and biases or bytes of scales.
pub(super) fn packed_inputs(scheme: Quantization, batch: &[usize], columns: usize) -> Vec<Input> {
    let with = |last: usize| [batch, &[last]].concat();
    let words = Input::index(with(scheme.words(columns)), 1 << 30);
    let groups = with(columns / scheme.group_size());
    if scheme.is_affine() {
        vec![words, Input::any(groups.clone()), Input::any(groups)]
    } else {
        vec![words, Input::index(groups, 8)]
    }
}

/// The packed array of such inputs: numbers of about an eighth, none of them NaN.
pub(super) fn packed_of(scheme: Quantization, x: &[Array]) -> Result<Quantized> {
    let few = |x: &Array| x.bitwise_and(0xb7b7_b7b7u32 as i32);
    let bytes = |x: &Array| {
        let around = if scheme == Quantization::NVFP4 { 0x18 } else { 116 };
        crate::stop_gradient(&x.add(around)?.astype(Dtype::Uint8)?)
    };
    let times = |x: &Array, power: usize| {
        // Other dtypes are left for the operation to refuse.
        let factor = 0.5f32.powi(power as i32);
        if x.dtype().is_inexact() { x.multiply(factor) } else { Ok(x.clone()) }
    };
    let affine = scheme.is_affine();
    Ok(Quantized {
        codes: words(&if scheme == Quantization::MXFP8 { few(&x[0])? } else { x[0].clone() })?,
        scales: if affine { times(&x[1], scheme.bits() + 3)? } else { bytes(&x[1])? },
        biases: if affine { Some(times(&x[2], 3)?) } else { None },
        global_scale: None,
        scheme,
    })
}

pub(super) fn ops() -> Vec<OpInfo> {
    let quantize = || {
        let parts = |packed: Quantized| {
            [Some(packed.codes), Some(packed.scales), packed.biases].into_iter().flatten().collect()
        };
        let case = |label: String, scheme, shape: &[usize]| {
            Sample::many(label, [Input::any(shape)], move |x| Ok(parts(x[0].quantize(scheme, None)?)))
        };
        let mut samples: Vec<Sample> =
            schemes().into_iter().map(|(label, scheme)| case(label, scheme, &[3, 128])).collect();
        let label = "group_size=32, bits=4, mode=affine";
        let scheme = Quantization::affine(32, 4).expect("a combination that there is");
        samples.push(case(label.into(), scheme, &[2, 3, 64]));
        samples.push(case(label.into(), scheme, &[0, 32]));
        samples.push(case(label.into(), scheme, &[2, 0]));
        let label = "group_size=16, bits=4, mode=nvfp4, global_scale=3.5";
        samples.push(Sample::many(label, [Input::any([2, 64])], move |x| {
            Ok(parts(x[0].quantize(Quantization::NVFP4, Some(&Array::scalar(3.5f32)))?))
        }));
        samples
    };
    let dequantize = || {
        let case = |label: String, scheme: Quantization, batch: &[usize], columns| {
            let inputs = packed_inputs(scheme, batch, columns);
            Sample::new(label, inputs, move |x| packed_of(scheme, x)?.dequantize(None))
        };
        let affine = || schemes().into_iter().filter(|(_, scheme)| scheme.is_affine());
        let mut samples: Vec<Sample> =
            affine().map(|(label, scheme)| case(label, scheme, &[3], 128)).collect();
        for (label, scheme) in schemes().into_iter().filter(|(_, scheme)| !scheme.is_affine()) {
            // One number gives the dtype.
            let inputs = [packed_inputs(scheme, &[3], 64), vec![Input::any([])]].concat();
            samples.push(Sample::new(format!("{label}, times x"), inputs, move |x| {
                packed_of(scheme, x)?.dequantize(Some(x[2].dtype()))?.multiply(&x[2])
            }));
        }
        let (label, scheme) = affine().next().expect("there are some");
        samples.push(case(label.clone(), scheme, &[2, 3], 64));
        samples.push(case(label, scheme, &[0], 64));
        samples
    };
    vec![
        OpInfo {
            name: "quantize",
            doc: "An array in few bits, by groups of neighbours in the last axis.",
            signature: "quantize(w, group_size=None, bits=None, mode='affine', *, global_scale=None)",
            family: Family::Linear,
            kinds: kinds::FLOAT,
            gradient: Gradient::Smooth,
            samples: quantize,
        },
        OpInfo {
            name: "dequantize",
            doc: "The numbers that codes of few bits stand for.",
            signature: "dequantize(w, scales, biases=None, group_size=None, bits=None, mode='affine', \
                        global_scale=None, dtype=None)",
            family: Family::Linear,
            kinds: kinds::FLOAT,
            gradient: Gradient::Smooth,
            samples: dequantize,
        },
    ]
}
