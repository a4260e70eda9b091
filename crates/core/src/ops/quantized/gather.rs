//! Owns products with packed matrices that are chosen by number.

use serde::{Deserialize, Serialize};

use super::{
    Family, Gradient, Input, OpInfo, Quantization, Quantized, Sample, kinds,
    matmul::{bilinear, matrices, no_gradient_of_scales, of_parameter, product as recorded, stacked_arrays},
    matrix, numbered,
    pack::{PACKED, packed_inputs, packed_of, schemes},
    stacked,
};
use crate::{
    Array, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
    ops::scatter::Combine,
};

/// Products of chosen matrices with chosen packed ones. Inputs are matrices and packed parts, all
/// with one leading axis, then, for each product, the numbers of both on these axes.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::quantized::{GatherQmm, Quantization};
/// let scheme = Quantization::MXFP4;
/// let packed = Array::ones([2, 8, 32], Dtype::Float32)?.quantize(scheme, None)?;
/// let x = Array::ones([1, 1, 32], Dtype::Float32)?;
/// let (left, right) = (array!([0]).astype(Dtype::Int64)?, array!([1]).astype(Dtype::Int64)?);
/// let inputs = [x, packed.codes, packed.scales, left, right];
/// let y = Array::apply_one(GatherQmm { scheme, transpose: true }, inputs)?;
/// assert_eq!((y.shape().dims(), y.max(..)?.item::<f32>()?), (&[1, 1, 8][..], 32.0));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GatherQmm {
    /// The format.
    pub scheme: Quantization,
    /// Whether the packed matrices are transposed.
    pub transpose: bool,
}

/// Records the product of inputs of these shapes, or what it means.
pub(super) fn product(primitive: GatherQmm, inputs: Vec<Array>) -> Result<Array> {
    recorded(primitive, inputs)
}

/// The matrices at `places` of the leading axis.
fn chosen(x: &Array, places: &Array) -> Result<Array> {
    x.take(places, 0)
}

/// Zeros of `shape` to whose leading axis `parts` are added at `places`.
pub(in crate::ops) fn added_at(shape: &Shape, places: &Array, parts: &Array) -> Result<Array> {
    let zeros = Array::zeros(shape, parts.dtype())?;
    zeros.scattered(Combine::Add, &[0], std::slice::from_ref(places), parts)
}

/// Places on an axis that has become one with a batch axis before it: `count` for each example.
/// With a batch of places if `batched` or if the axis has one.
pub(in crate::ops) fn places_in_batch(
    vmap: &Vmap,
    of: usize,
    places: usize,
    count: usize,
) -> Result<Array> {
    let given = vmap.input(places).astype(Dtype::Int64)?;
    if !vmap.batched[of] {
        return Ok(given);
    }
    // A negative place counts from the end of its own example.
    let wrapped = given.less(0i64)?.select(given.add(count as i64)?, &given)?;
    let starts = Array::arange(0i64, vmap.size as i64, 1i64)?.multiply(count as i64)?;
    wrapped.add(starts.expand_dims(1)?)
}

/// The input with its batch and its leading axis made one.
pub(in crate::ops) fn folded(vmap: &Vmap, i: usize) -> Array {
    let x = &vmap.inputs[i];
    if !vmap.batched[i] {
        return x.clone();
    }
    let shape = x.shape();
    let rest = shape[2..].iter().copied();
    x.reshape_to(std::iter::once(shape[0] * shape[1]).chain(rest).collect())
}

/// Checks stacks of matrices whose products are taken at places of both, and returns their number.
pub(in crate::ops) fn check_chosen(
    op: &'static str,
    left: &Shape,
    right: &Shape,
    places: &[Array],
) -> Result<usize> {
    if left.rank() != 3 || right.rank() != 3 || left[2] != right[1] {
        let (left, right) = (left.clone(), right.clone());
        return Err(Error::InnerDimensions { op, left, right });
    }
    let count = places[0].size();
    for place in places {
        if !place.dtype().is_integer() {
            let reason = "places are integers";
            return Err(Error::Dtype { op, dtype: place.dtype(), reason });
        }
        if place.shape()[..] != [count] {
            let reason = format!("places of shape {}, not ({count},)", place.shape());
            return Err(Error::Shape { op, reason });
        }
    }
    Ok(count)
}

crate::stored!(GatherQmm);

impl Primitive for GatherQmm {
    fn name(&self) -> &'static str {
        "gather_qmm"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        let parts = self.scheme.parts();
        crate::graph::exactly(self.name(), 3 + parts, inputs)?;
        let (x, packed) = (&inputs[0], &inputs[1..=parts]);
        let right = self.scheme.factor(self.name(), packed, x.dtype(), self.transpose)?;
        let count = check_chosen(self.name(), x.shape(), &right, &inputs[1 + parts..])?;
        Ok([Spec::new([count, x.shape()[1], right[2]], x.dtype())].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        if vjp.wanted[1] {
            return vjp.unsupported(PACKED);
        }
        let places = vjp.inputs.len() - 2;
        let (left, right) = (&vjp.inputs[places], &vjp.inputs[places + 1]);
        let (x, packed, cotangent) = (&vjp.inputs[0], &vjp.inputs[1..places], vjp.cotangent());
        let of_matrix = || {
            let x = chosen(x, left)?;
            let (a, b) = if self.transpose { (cotangent, &x) } else { (&x, cotangent) };
            let each = a.swapaxes(-1, -2)?.matmul(b)?;
            let (rows, columns) = matrix(&each);
            let shape = Shape::from([packed[0].shape()[0], rows, columns]);
            added_at(&shape, right, &each)
        };
        vjp.each(|i| match i {
            0 => {
                let turned = GatherQmm { transpose: !self.transpose, ..*self };
                let mut inputs = vec![cotangent.clone()];
                inputs.extend(packed.iter().cloned());
                inputs.extend([numbered(&[left.size()])?, right.clone()]);
                added_at(x.shape(), left, &product(turned, inputs)?).map(Some)
            }
            _ if i < places && !self.scheme.is_affine() => no_gradient_of_scales(vjp.op),
            _ if i < places => of_parameter(&of_matrix()?, packed, i - 1, self.scheme),
            _ => vjp.of_positions(),
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.check_positions(jvp.inputs.len() - 2..jvp.inputs.len())?;
        Ok([bilinear(jvp, self.scheme, |inputs| product(*self, inputs))?].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let places = vmap.inputs.len() - 2;
        let count = vmap.inputs[places].shape()[usize::from(vmap.batched[places])];
        let packed_batched = vmap.batched[1..places].contains(&true);
        let own = |i: usize| vmap.inputs[i].shape()[usize::from(vmap.batched[i])];
        let left = places_in_batch(vmap, 0, places, own(0))?;
        // Codes, scales and biases go together.
        let together: Vec<bool> =
            (0..vmap.inputs.len()).map(|i| vmap.batched[i] || i > 0 && i < places && packed_batched).collect();
        let all: Vec<Array> = (0..vmap.inputs.len())
            .map(|i| if together[i] { vmap.input(i) } else { vmap.inputs[i].clone() })
            .collect();
        let vmap = Vmap { op: vmap.op, inputs: &all, batched: &together, size: vmap.size };
        let right = places_in_batch(&vmap, 1, places + 1, all[1].shape()[usize::from(together[1])])?;
        let mut inputs: Vec<Array> = (0..places).map(|i| folded(&vmap, i)).collect();
        let flat = Shape::from([vmap.size * count]);
        inputs.extend([left.reshape_to(flat.clone()), right.reshape_to(flat)]);
        let out = product(*self, inputs)?;
        let (rows, columns) = matrix(&out);
        Ok([out.reshape_to(Shape::from([vmap.size, count, rows, columns]))].into())
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let places = inputs.len() - 2;
        let packed = inputs[1..places].iter().map(|part| chosen(part, &inputs[places + 1]));
        let packed = packed.collect::<Result<Vec<_>>>()?;
        let matrices = matrices(&packed, inputs[0].dtype(), self.scheme)?;
        let matrices = if self.transpose { matrices.swapaxes(-1, -2)? } else { matrices };
        let out = chosen(&inputs[0], &inputs[places])?.matmul(matrices)?;
        Ok(vec![out.astype(inputs[0].dtype())?])
    }
}

/// The places of products on both sides, broadcast to each other: given ones, or all in order.
pub(in crate::ops) fn places_of(
    op: &'static str,
    (x, left): (&Array, Option<&Array>),
    (w, right): (&Array, Option<&Array>),
) -> Result<(Array, Array)> {
    let side = |of: &Array, given: Option<&Array>| match given {
        Some(places) if places.dtype().is_integer() => Ok(places.clone()),
        Some(places) => {
            let reason = "places are integers";
            Err(Error::Dtype { op, dtype: places.dtype(), reason })
        }
        None => numbered(&of.shape()[..of.ndim() - 2]),
    };
    let (left, right) = (side(x, left)?, side(w, right)?);
    let shape = left.shape().broadcast(right.shape(), op)?;
    Ok((left.broadcast_shape(&shape), right.broadcast_shape(&shape)))
}

impl Array {
    /// Products of chosen matrices with chosen packed ones.
    ///
    /// The indices count the matrices of this array and of `w`, whatever axes come before the last
    /// two; without them all are taken in order. Both broadcast to each other, and the result has
    /// their shape, then the axes of a product. A place that does not exist is an error when the
    /// array is evaluated. Indices need not be sorted: products with the same packed matrix are
    /// computed together.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// let experts = Array::ones([4, 3, 64], Dtype::Float32)?.quantize(Quantization::default(), None)?;
    /// let x = Array::ones([5, 1, 64], Dtype::Float32)?;
    /// let chosen = Array::from_slice(&[3, 0, 0, 1, 2], [5])?;
    /// let y = x.gather_qmm(&experts, None, Some(&chosen), true)?;
    /// assert_eq!(y.to_vec::<f32>()?, [64.0; 15]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn gather_qmm(
        &self,
        w: &Quantized,
        lhs_indices: Option<&Array>,
        rhs_indices: Option<&Array>,
        transpose: bool,
    ) -> Result<Array> {
        if lhs_indices.is_none() && rhs_indices.is_none() {
            return self.quantized_matmul(w, transpose);
        }
        let op = "gather_qmm";
        let dtype = w.check_product(op, self, transpose)?;
        let x = if self.ndim() == 1 { self.expand_dims(0)? } else { self.clone() };
        let (left, right) = places_of(op, (&x, lhs_indices), (&w.codes, rhs_indices))?;
        let flat = Shape::from([left.size()]);
        let mut inputs = vec![stacked(&x.astype(dtype)?)];
        inputs.extend(stacked_arrays(w, dtype)?);
        inputs.extend([left.reshape_to(flat.clone()), right.reshape_to(flat)]);
        let out = product(GatherQmm { scheme: w.scheme, transpose }, inputs)?;
        let (rows, columns) = matrix(&out);
        let shape = left.shape().iter().copied().chain([rows, columns]).collect();
        w.times_global(out.reshape_to(shape))
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let samples = || {
        let case = |(label, scheme): (String, Quantization),
                    x: &[usize],
                    w: (&[usize], usize),
                    places: [Option<&[usize]>; 2],
                    transpose: bool| {
            let mut inputs = [vec![Input::any(x)], packed_inputs(scheme, w.0, w.1)].concat();
            let packed = inputs.len();
            let counts = [&x[..x.len() - 2], &w.0[..w.0.len() - 1]];
            for (shape, count) in places.iter().zip(counts) {
                let count: usize = count.iter().product();
                inputs.extend(shape.map(|shape| Input::index(shape, count)));
            }
            let has = places.map(|shape| shape.is_some());
            let word = |has: bool| if has { "given" } else { "all" };
            let label = format!(
                "{label}, transpose={transpose}, lhs={}, rhs={}",
                word(has[0]),
                word(has[1])
            );
            Sample::new(label, inputs, move |x| {
                let mut rest = x[packed..].iter();
                let left = if has[0] { rest.next() } else { None };
                let right = if has[1] { rest.next() } else { None };
                x[0].gather_qmm(&packed_of(scheme, &x[1..packed])?, left, right, transpose)
            })
        };
        let all = schemes();
        let mut samples: Vec<Sample> = all
            .iter()
            .map(|scheme| {
                let places = [Some(&[4][..]), Some(&[4][..])];
                case(scheme.clone(), &[3, 2, 128], (&[2, 5], 128), places, true)
            })
            .collect();
        let scheme = || all[1].clone();
        samples.extend([
            case(scheme(), &[3, 2, 5], (&[2, 5], 64), [Some(&[2, 2]), Some(&[1, 2])], false),
            case(scheme(), &[6, 1, 32], (&[3, 4], 32), [None, Some(&[6])], true),
            case(scheme(), &[2, 1, 32], (&[3, 4], 32), [Some(&[3]), None], true),
            case(scheme(), &[1, 3, 32], (&[2, 2, 4], 32), [None, Some(&[5, 1])], true),
            case(scheme(), &[2, 1, 32], (&[3, 4], 32), [Some(&[0]), Some(&[0])], true),
            case(scheme(), &[30, 1, 32], (&[2, 7], 32), [None, Some(&[30])], true),
        ]);
        samples
    };
    vec![OpInfo {
        name: "gather_qmm",
        doc: "Products of chosen matrices with chosen packed ones.",
        signature: "gather_qmm(x, w, scales, biases=None, lhs_indices=None, rhs_indices=None, \
                    transpose=True, group_size=None, bits=None, mode='affine', *, \
                    sorted_indices=False)",
        family: Family::Linear,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples,
    }]
}
