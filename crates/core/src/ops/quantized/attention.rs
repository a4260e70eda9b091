//! Owns attention to packed keys and values, which are never unpacked whole.

use serde::{Deserialize, Serialize};

use super::{
    Family, Gradient, Input, OpInfo, Quantization, Quantized, Sample, check_float, kinds,
    matmul::{matrices, product},
    pack::{packed_inputs, packed_of},
};
use crate::{
    Array, Dtype, Result,
    fast::{AttentionMask, AttentionOptions, ScaledDotProductAttention},
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Spec, Tangents, Vjp, Vmap},
};

const OP: &str = "quantized_scaled_dot_product_attention";

/// Attention of queries (batch, heads, queries, size) to packed keys and values (batch, key heads,
/// keys, size). Inputs are the queries, the keys' codes, scales and, for affine formats, biases, the
/// same of the values, and then the mask and the sinks, as far as they are there.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::fast::ScaledDotProductAttention;
/// use olivine_core::quantized::{Quantization, QuantizedAttention};
/// let attention = ScaledDotProductAttention { scale: 1.0, causal: false, mask: false, sinks: false };
/// let scheme = Quantization::MXFP8;
/// let one = Array::ones([1, 1, 2, 32], Dtype::Float32)?;
/// let packed = one.quantize(scheme, None)?;
/// let inputs = [one, packed.codes.clone(), packed.scales.clone(), packed.codes, packed.scales];
/// let primitive = QuantizedAttention { attention, keys: scheme, values: scheme };
/// assert_eq!(Array::apply_one(primitive, inputs)?.to_vec::<f32>()?, [1.0; 64]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct QuantizedAttention {
    /// What is done with keys and values.
    pub attention: ScaledDotProductAttention,
    /// The format of the keys.
    pub keys: Quantization,
    /// The format of the values.
    pub values: Quantization,
}

impl QuantizedAttention {
    /// The places of the keys, of the values, and of what comes after them among the inputs.
    ///
    /// ```
    /// use olivine_core::fast::ScaledDotProductAttention;
    /// use olivine_core::quantized::{Quantization, QuantizedAttention};
    /// let attention = ScaledDotProductAttention { scale: 1.0, causal: true, mask: false, sinks: false };
    /// // Affine formats have codes, scales and biases.
    /// let (keys, values) = (Quantization::default(), Quantization::MXFP8);
    /// let places = QuantizedAttention { attention, keys, values }.places();
    /// assert_eq!(places, [1, 4, 6]);
    /// ```
    pub fn places(self) -> [usize; 3] {
        let values = 1 + self.keys.parts();
        [1, values, values + self.values.parts()]
    }

    /// The inputs of attention to what the packed ones stand for, all floats as `float32` or more.
    fn plain(self, inputs: &[Array]) -> Result<Vec<Array>> {
        let [keys, values, rest] = self.places();
        let count = rest + usize::from(self.attention.mask) + usize::from(self.attention.sinks);
        crate::graph::exactly(OP, count, inputs)?;
        let dtype = inputs[0].dtype();
        check_float(OP, dtype)?;
        self.keys.unpacked(OP, &inputs[keys..values], Some(dtype))?;
        self.values.unpacked(OP, &inputs[values..rest], Some(dtype))?;
        let wide = |x: &Array| match x.dtype() {
            Dtype::Bool => Ok(x.clone()),
            own => x.astype(own.promote(Dtype::Float32)),
        };
        let mut plain = vec![
            wide(&inputs[0])?,
            matrices(&inputs[keys..values], dtype, self.keys)?,
            matrices(&inputs[values..rest], dtype, self.values)?,
        ];
        for other in &inputs[rest..] {
            plain.push(wide(other)?);
        }
        Ok(plain)
    }
}

crate::stored!(QuantizedAttention);

impl Primitive for QuantizedAttention {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        let shape = self.attention.infer(&self.plain(inputs)?)?.remove(0).shape;
        Ok([Spec { shape, dtype: inputs[0].dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.through(|inputs| self.decompose(inputs))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.through(|inputs| self.decompose(inputs))
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let plain = self.plain(inputs)?;
        let result = if plain[0].dtype() == Dtype::Float64 {
            self.attention.decompose(&plain)?.remove(0)
        } else {
            Array::apply_one(self.attention, plain)?
        };
        Ok(vec![result.astype(inputs[0].dtype())?])
    }
}

/// As [`scaled_dot_product_attention`](crate::fast::scaled_dot_product_attention), to packed keys and
/// values (batch, key heads, keys, size), which are read in few bits and unpacked where they are
/// multiplied. Halves accumulate in `float32`, and what codes stand for is not rounded to halves.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::fast::AttentionOptions;
/// use olivine_core::quantized::{Quantization, quantized_scaled_dot_product_attention};
/// let q = Array::ones([1, 4, 1, 64], Dtype::Float32)?;
/// let held = Array::ones([1, 2, 5, 64], Dtype::Float32)?.quantize(Quantization::affine(64, 8)?, None)?;
/// let options = AttentionOptions { scale: 0.125, mask: Default::default(), sinks: None };
/// let y = quantized_scaled_dot_product_attention(&q, &held, &held, &options)?;
/// assert_eq!(y.shape().dims(), [1, 4, 1, 64]);
/// assert!((y.mean(..)?.item::<f32>()? - 1.0).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn quantized_scaled_dot_product_attention(
    q: &Array,
    k: &Quantized,
    v: &Quantized,
    options: &AttentionOptions,
) -> Result<Array> {
    let (keys, _) = (k.check(OP)?, v.check(OP)?);
    let dtype = v.product_dtype(k.product_dtype(q.dtype()));
    check_float(OP, dtype)?;
    let scores = (q.ndim() == 4 && keys.rank() == 4)
        .then(|| [q.shape()[0], q.shape()[1], q.shape()[2], keys[2]]);
    let (attention, rest) = options.prepared(OP, dtype, scores)?;
    let mut inputs = vec![k.times_global(q.astype(dtype)?)?];
    inputs.extend(k.arrays(dtype)?);
    inputs.extend(v.arrays(dtype)?);
    inputs.extend(rest);
    let primitive = QuantizedAttention { attention, keys: k.scheme, values: v.scheme };
    v.times_global(product(primitive, inputs)?)
}

pub(super) fn ops() -> Vec<OpInfo> {
    let samples = || {
        let case = |[keys, values]: [Quantization; 2], [heads, queries, key_heads, count]: [usize; 4]| {
            let size = |scheme: Quantization| scheme.group_size().max(32);
            let packed = |scheme: Quantization| packed_inputs(scheme, &[2, key_heads, count], size(scheme));
            let (keys_at, values_at) = (1, 1 + keys.parts());
            let end = values_at + values.parts();
            let queries = Input::any([2, heads, queries, size(keys)]);
            let inputs = [vec![queries], packed(keys), packed(values)].concat();
            let name = |scheme: Quantization| {
                let (group, bits) = (scheme.group_size(), scheme.bits());
                format!("group_size={group}; bits={bits}; mode={}", scheme.mode())
            };
            let label = format!("keys={}, values={}", name(keys), name(values));
            Sample::new(label, inputs, move |x| {
                let options = AttentionOptions { scale: 0.4, mask: AttentionMask::None, sinks: None };
                let k = packed_of(keys, &x[keys_at..values_at])?;
                let v = packed_of(values, &x[values_at..end])?;
                quantized_scaled_dot_product_attention(&x[0], &k, &v, &options)
            })
        };
        let affine = |bits| Quantization::affine(32, bits).expect("a format that there is");
        vec![
            case([affine(8); 2], [4, 3, 2, 5]),
            case([affine(4); 2], [4, 1, 2, 7]),
            case([Quantization::MXFP8, affine(3)], [2, 3, 2, 4]),
            case([affine(8); 2], [2, 3, 1, 0]),
        ]
    };
    vec![OpInfo {
        name: OP,
        doc: "Attention to packed keys and values.",
        signature: "quantized_scaled_dot_product_attention(q, k, v, *, scale, mask=None, sinks=None)",
        family: Family::Fast,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples,
    }]
}
