//! Owns products with one packed matrix.

use serde::{Deserialize, Serialize};

use super::{
    Family, GatherQmm, Gradient, Input, OpInfo, Quantization, Quantized, Sample, check_float, kinds,
    matrix, numbered,
    pack::{Dequantize, PACKED, group_sums, packed_inputs, packed_of, plain_codes, schemes},
    shape_error, stacked,
};
use crate::{
    Array, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
};

/// The product of a matrix and a packed one: inputs are the matrix, the codes, their scales and,
/// for affine formats, their biases, all of two axes. The result has the dtype of the first.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::quantized::{Quantization, QuantizedMatmul};
/// let scheme = Quantization::MXFP4;
/// let packed = Array::ones([8, 32], Dtype::Float32)?.quantize(scheme, None)?;
/// let inputs = [Array::ones([1, 32], Dtype::Float32)?, packed.codes, packed.scales];
/// let y = Array::apply_one(QuantizedMatmul { scheme, transpose: true }, inputs)?;
/// assert_eq!(y.to_vec::<f32>()?, [32.0; 8]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct QuantizedMatmul {
    /// The format.
    pub scheme: Quantization,
    /// Whether the packed matrix is transposed.
    pub transpose: bool,
}

impl QuantizedMatmul {
    fn turned(self) -> Self {
        QuantizedMatmul { transpose: !self.transpose, ..self }
    }
}

crate::stored!(QuantizedMatmul);

impl Primitive for QuantizedMatmul {
    fn name(&self) -> &'static str {
        "quantized_matmul"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1 + self.scheme.parts(), inputs)?;
        let x = &inputs[0];
        let right = self.scheme.factor(self.name(), &inputs[1..], x.dtype(), self.transpose)?;
        if x.ndim() != 2 || right.rank() != 2 || x.shape()[1] != right[0] {
            let (op, left) = (self.name(), x.shape().clone());
            return Err(Error::InnerDimensions { op, left, right });
        }
        Ok([Spec::new([x.shape()[0], right[1]], x.dtype())].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        if vjp.wanted[1] {
            return vjp.unsupported(PACKED);
        }
        let (x, cotangent) = (&vjp.inputs[0], vjp.cotangent());
        let of_matrix = || {
            let (left, right) = if self.transpose { (cotangent, x) } else { (x, cotangent) };
            left.transpose(..)?.matmul(right)
        };
        vjp.each(|i| match i {
            0 => {
                let rest = vjp.inputs[1..].iter().cloned();
                product(self.turned(), std::iter::once(cotangent.clone()).chain(rest).collect())
                    .map(Some)
            }
            _ if !self.scheme.is_affine() => no_gradient_of_scales(vjp.op),
            _ => of_parameter(&of_matrix()?, &vjp.inputs[1..], i - 1, self.scheme),
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let apply = |inputs| product(*self, inputs);
        Ok([bilinear(jvp, self.scheme, apply)?].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let (size, x) = (vmap.size, &vmap.inputs[0]);
        if !vmap.batched[1..].contains(&true) {
            let (rows, columns) = matrix(x);
            let folded = x.reshape_to(Shape::from([size * rows, columns]));
            let rest = vmap.inputs[1..].iter().cloned();
            let out = product(*self, std::iter::once(folded).chain(rest).collect())?;
            let shape = Shape::from([size, rows, out.shape()[1]]);
            return Ok([out.reshape_to(shape)].into());
        }
        let each = numbered(&[size])?;
        let left = if vmap.batched[0] { each.clone() } else { each.zeros_like()? };
        let mut inputs = vec![vmap.with_axis(0)];
        inputs.extend((1..vmap.inputs.len()).map(|i| vmap.input(i)));
        inputs.extend([left, each]);
        let gather = GatherQmm { scheme: self.scheme, transpose: self.transpose };
        Ok([super::gather::product(gather, inputs)?].into())
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let matrix = matrices(&inputs[1..], inputs[0].dtype(), self.scheme)?;
        let matrix = if self.transpose { matrix.transpose(..)? } else { matrix };
        Ok(vec![inputs[0].matmul(matrix)?.astype(inputs[0].dtype())?])
    }
}

/// The numbers of packed matrices for products with `dtype`: halves are not rounded to it.
pub(super) fn matrices(packed: &[Array], dtype: Dtype, scheme: Quantization) -> Result<Array> {
    let wide = dtype.promote(Dtype::Float32);
    let mut inputs = packed.to_vec();
    for part in &mut inputs[1..] {
        if part.dtype().is_float() {
            *part = part.astype(wide)?;
        }
    }
    Array::apply_one(Dequantize { scheme, dtype: wide }, inputs)
}

/// Records the product, or what it means where there is `float64`, which packed weights are not
/// made for.
pub(super) fn product(primitive: impl Primitive, inputs: Vec<Array>) -> Result<Array> {
    if inputs[0].dtype() == Dtype::Float64 {
        return Ok(primitive.decompose(&inputs)?.remove(0));
    }
    Array::apply_one(primitive, inputs)
}

/// What an operation answers that is asked for the gradient of scales which are not numbers.
pub(super) fn no_gradient_of_scales(op: &'static str) -> Result<Option<Array>> {
    let reason = "the scales of this mode are codes of eight bits";
    Err(Error::NoGradient { op, reason })
}

/// The gradient of the scales (`which` is one) or biases (two) of packed matrices, from that of
/// the numbers they stand for.
pub(super) fn of_parameter(
    gradient: &Array,
    packed: &[Array],
    which: usize,
    scheme: Quantization,
) -> Result<Option<Array>> {
    let each = if which == 1 {
        gradient.multiply(plain_codes(&packed[0], &packed[1], scheme)?)?
    } else {
        gradient.clone()
    };
    Ok(Some(group_sums(&each, scheme)?))
}

/// The tangent of a product that is linear in its first input, and in its scales and biases
/// together.
pub(super) fn bilinear(
    jvp: &Jvp,
    scheme: Quantization,
    apply: impl Fn(Vec<Array>) -> Result<Array>,
) -> Result<Option<Array>> {
    let mut sum: Option<Array> = None;
    let mut add = |part: Array| -> Result<()> {
        sum = Some(match &sum {
            Some(sum) => sum.add(part)?,
            None => part,
        });
        Ok(())
    };
    if let Some(tangent) = &jvp.tangents[0] {
        let mut inputs = jvp.inputs.to_vec();
        inputs[0] = tangent.clone();
        add(apply(inputs)?)?;
    }
    if scheme.is_affine() && jvp.tangents[2..4].iter().any(Option::is_some) {
        let mut inputs = jvp.inputs.to_vec();
        for (input, tangent) in inputs.iter_mut().zip(&jvp.tangents[..4]).skip(2) {
            *input = match tangent {
                Some(tangent) => tangent.clone(),
                None => input.zeros_like()?,
            };
        }
        add(apply(inputs)?)?;
    }
    Ok(sum)
}

impl Quantized {
    /// Checks a product of `x` and the packed matrices, and returns its dtype.
    pub(super) fn check_product(
        &self,
        op: &'static str,
        x: &Array,
        transpose: bool,
    ) -> Result<Dtype> {
        let shape = self.check(op)?;
        let dtype = self.product_dtype(x.dtype());
        check_float(op, dtype)?;
        if x.ndim() == 0 {
            return shape_error(op, "a scalar has no rows".to_owned());
        }
        let inner = shape[shape.rank() - if transpose { 1 } else { 2 }];
        if x.shape()[x.ndim() - 1] != inner {
            let right = if transpose {
                let (batch, last) = shape.split_at(shape.rank() - 2);
                batch.iter().copied().chain([last[1], last[0]]).collect()
            } else {
                shape
            };
            return Err(Error::InnerDimensions { op, left: x.shape().clone(), right });
        }
        Ok(dtype)
    }
}

impl Array {
    /// The matrix product with a packed matrix, transposed or not, which is never unpacked whole.
    ///
    /// `w` may be several matrices; then the axes before the last two of both broadcast. Halves
    /// accumulate in `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// let w = Array::ones([3, 64], Dtype::Float32)?.quantize(Quantization::default(), None)?;
    /// let x = Array::ones([2, 64], Dtype::Float32)?;
    /// assert_eq!(x.quantized_matmul(&w, true)?.to_vec::<f32>()?, [64.0; 6]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn quantized_matmul(&self, w: &Quantized, transpose: bool) -> Result<Array> {
        let op = "quantized_matmul";
        let dtype = w.check_product(op, self, transpose)?;
        let x = self.astype(dtype)?;
        if w.codes.ndim() == 2 {
            let columns = x.shape()[x.ndim() - 1];
            let rows = x.shape()[..x.ndim() - 1].iter().product();
            let mut inputs = vec![x.reshape_to(Shape::from([rows, columns]))];
            inputs.extend(w.arrays(dtype)?);
            let out = product(QuantizedMatmul { scheme: w.scheme, transpose }, inputs)?;
            let shape = x.shape().with_axis(x.ndim() - 1, out.shape()[1]);
            return w.times_global(out.reshape_to(shape));
        }
        let row = x.ndim() == 1;
        let x = if row { x.expand_dims(0)? } else { x };
        let (batch_x, _) = x.shape().split_at(x.ndim() - 2);
        let (batch_w, _) = w.codes.shape().split_at(w.codes.ndim() - 2);
        let batch = Shape::from(batch_x).broadcast(&batch_w.into(), op)?;
        let left = numbered(batch_x)?.broadcast_shape(&batch);
        let right = numbered(batch_w)?.broadcast_shape(&batch);
        let out = x.gather_qmm(w, Some(&left), Some(&right), transpose)?;
        if row { out.squeeze(-2) } else { Ok(out) }
    }
}

/// The arrays of a packed array with all axes before the last two made into one.
pub(super) fn stacked_arrays(w: &Quantized, dtype: Dtype) -> Result<Vec<Array>> {
    Ok(w.arrays(dtype)?.iter().map(stacked).collect())
}

pub(super) fn ops() -> Vec<OpInfo> {
    let samples = || {
        let case = |label: &str, scheme, x: &[usize], w: (&[usize], usize), transpose: bool| {
            let inputs = [vec![Input::any(x)], packed_inputs(scheme, w.0, w.1)].concat();
            let label = format!("{label}, transpose={transpose}");
            Sample::new(label, inputs, move |x| {
                x[0].quantized_matmul(&packed_of(scheme, &x[1..])?, transpose)
            })
        };
        let mut samples = Vec::new();
        for (label, scheme) in schemes() {
            samples.push(case(&label, scheme, &[3, 128], (&[5], 128), true));
            samples.push(case(&label, scheme, &[3, 5], (&[5], 128), false));
        }
        let (label, scheme) = schemes().swap_remove(1);
        samples.extend([
            case(&label, scheme, &[32], (&[7], 32), true),
            case(&label, scheme, &[33, 64], (&[37], 64), true),
            case(&label, scheme, &[2, 3, 32], (&[4], 32), true),
            case(&label, scheme, &[13, 37], (&[37], 96), false),
            case(&label, scheme, &[0, 32], (&[4], 32), true),
            case(&label, scheme, &[3, 32], (&[0], 32), true),
            case(&label, scheme, &[3, 0], (&[0], 32), false),
            case(&label, scheme, &[2, 1, 3, 32], (&[2, 4], 32), true),
            case(&label, scheme, &[2, 3, 4], (&[2, 4], 64), false),
            case(&label, scheme, &[32], (&[2, 4], 32), true),
        ]);
        samples
    };
    vec![OpInfo {
        name: "quantized_matmul",
        doc: "The matrix product with a packed matrix.",
        signature: "quantized_matmul(x, w, scales, biases=None, transpose=True, group_size=None, \
                    bits=None, mode='affine')",
        family: Family::Linear,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples,
    }]
}
