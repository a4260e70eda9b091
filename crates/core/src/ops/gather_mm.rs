//! Owns products of matrices that are chosen by number.

use serde::{Deserialize, Serialize};

use super::{
    Family, Gradient, Input, OpInfo, Sample,
    info::kinds,
    quantized::{added_at, check_chosen, folded, matrix, numbered, places_in_batch, places_of, stacked},
};
use crate::{
    Array, Error, IntoOperand, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
};

const OP: &str = "gather_mm";

/// Products of chosen matrices: inputs are two arrays of matrices with one leading axis, and for
/// each product the numbers of both on these axes.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::gather_mm::GatherMm;
/// let (a, b) = (array!([[[1.0]], [[2.0]]]), array!([[[10.0]], [[100.0]]]));
/// let inputs = [a, b, array!([0, 1, 1]), array!([1, 0, 1])];
/// assert_eq!(Array::apply_one(GatherMm, inputs)?.to_vec::<f32>()?, [100.0, 20.0, 200.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GatherMm;

/// Checks that both sides of a product have one floating-point dtype.
pub(super) fn check_factors(op: &'static str, a: &Array, b: &Array) -> Result<()> {
    if a.dtype() == b.dtype() && a.dtype().is_float() {
        return Ok(());
    }
    let reason = "both sides of a product have one floating-point dtype";
    Err(Error::Dtype { op, dtype: b.dtype(), reason })
}

crate::stored!(GatherMm);

impl Primitive for GatherMm {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 4, inputs)?;
        let (a, b) = (&inputs[0], &inputs[1]);
        check_factors(OP, a, b)?;
        let count = check_chosen(OP, a.shape(), b.shape(), &inputs[2..])?;
        Ok([Spec::new([count, a.shape()[1], b.shape()[2]], a.dtype())].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let [a, b, left, right] = vjp.inputs else {
            unreachable!("the operation has four inputs");
        };
        let cotangent = vjp.cotangent();
        let each = numbered(&[left.size()])?;
        vjp.each(|i| {
            let (like, places, parts) = match i {
                0 => (a, left, chosen(cotangent, &b.swapaxes(-1, -2)?, &each, right)?),
                1 => (b, right, chosen(&a.swapaxes(-1, -2)?, cotangent, left, &each)?),
                _ => return vjp.of_positions(),
            };
            added_at(like.shape(), places, &parts).map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let [a, b, left, right] = jvp.inputs else {
            unreachable!("the operation has four inputs");
        };
        jvp.check_positions(2..4)?;
        let first = jvp.tangents[0].as_ref().map(|a| chosen(a, b, left, right)).transpose()?;
        let second = jvp.tangents[1].as_ref().map(|b| chosen(a, b, left, right)).transpose()?;
        let sum = match (first, second) {
            (Some(first), Some(second)) => Some(first.add(second)?),
            (first, second) => first.or(second),
        };
        Ok([sum].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let count = vmap.inputs[2].shape()[usize::from(vmap.batched[2])];
        let places = |of: usize| {
            let own = vmap.inputs[of].shape()[usize::from(vmap.batched[of])];
            let places = places_in_batch(vmap, of, of + 2, own)?;
            Ok::<Array, Error>(places.reshape_to(Shape::from([vmap.size * count])))
        };
        let out = chosen(&folded(vmap, 0), &folded(vmap, 1), &places(0)?, &places(1)?)?;
        let (rows, columns) = matrix(&out);
        Ok([out.reshape_to(Shape::from([vmap.size, count, rows, columns]))].into())
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (a, b) = (inputs[0].take(&inputs[2], 0)?, inputs[1].take(&inputs[3], 0)?);
        Ok(vec![a.matmul(b)?])
    }
}

fn chosen(a: &Array, b: &Array, left: &Array, right: &Array) -> Result<Array> {
    Array::apply_one(GatherMm, [a.clone(), b.clone(), left.clone(), right.clone()])
}

impl Array {
    /// Products of chosen matrices of this array and of `other`.
    ///
    /// The indices count the matrices of each side, whatever axes come before the last two; without
    /// them all are taken in order. Both broadcast to each other, and the result has their shape,
    /// then the axes of a product. A place that does not exist is an error when the array is
    /// evaluated. Indices need not be sorted: products with the same right side are computed
    /// together.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let experts = Array::ones([4, 8, 3], Dtype::Float32)?;
    /// let x = Array::ones([5, 1, 8], Dtype::Float32)?;
    /// let chosen = Array::from_slice(&[3, 0, 0, 1, 2], [5])?;
    /// assert_eq!(x.gather_mm(&experts, None, Some(&chosen))?.to_vec::<f32>()?, [8.0; 15]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn gather_mm(
        &self,
        other: impl IntoOperand,
        lhs_indices: Option<&Array>,
        rhs_indices: Option<&Array>,
    ) -> Result<Array> {
        let other = other.to_operand(self);
        if lhs_indices.is_none() && rhs_indices.is_none() {
            return self.matmul(&*other);
        }
        let dtype = self.dtype().promote(other.dtype());
        if !dtype.is_float() {
            let reason = "it takes real floating-point arrays; convert with astype first";
            return Err(Error::Dtype { op: OP, dtype, reason });
        }
        if self.ndim() == 0 || other.ndim() == 0 {
            let reason = format!("scalars have no rows: {} @ {}", self.shape(), other.shape());
            return Err(Error::Shape { op: OP, reason });
        }
        let (mut a, mut b) = (self.astype(dtype)?, other.astype(dtype)?);
        let (row, column) = (a.ndim() == 1, b.ndim() == 1);
        if row {
            a = a.expand_dims(0)?;
        }
        if column {
            b = b.expand_dims(1)?;
        }
        if matrix(&a).1 != matrix(&b).0 {
            let (left, right) = (self.shape().clone(), other.shape().clone());
            return Err(Error::InnerDimensions { op: OP, left, right });
        }
        let (left, right) = places_of(OP, (&a, lhs_indices), (&b, rhs_indices))?;
        let flat = Shape::from([left.size()]);
        let (lefts, rights) = (left.reshape_to(flat.clone()), right.reshape_to(flat));
        let out = chosen(&stacked(&a), &stacked(&b), &lefts, &rights)?;
        let tail = (!row).then_some(matrix(&out).0).into_iter();
        let tail = tail.chain((!column).then_some(matrix(&out).1));
        Ok(out.reshape_to(left.shape().iter().copied().chain(tail).collect()))
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let samples = || {
        let case = |a: &[usize], b: &[usize], places: [Option<&[usize]>; 2]| {
            let mut inputs = vec![Input::any(a), Input::any(b)];
            let count = |shape: &[usize]| shape[..shape.len().saturating_sub(2)].iter().product();
            for (shape, count) in places.iter().zip([count(a), count(b)]) {
                inputs.extend(shape.map(|shape| Input::index(shape, count)));
            }
            let has = places.map(|shape| shape.is_some());
            let word = |has: bool| if has { "given" } else { "all" };
            let label = format!("lhs={}, rhs={}", word(has[0]), word(has[1]));
            Sample::new(label, inputs, move |x| {
                let mut rest = x[2..].iter();
                let left = if has[0] { rest.next() } else { None };
                let right = if has[1] { rest.next() } else { None };
                x[0].gather_mm(&x[1], left, right)
            })
        };
        vec![
            case(&[3, 2, 5], &[2, 5, 4], [Some(&[4]), Some(&[4])]),
            case(&[3, 2, 5], &[2, 2, 5, 4], [Some(&[2, 1]), Some(&[1, 3])]),
            case(&[6, 1, 5], &[3, 5, 4], [None, Some(&[6])]),
            case(&[5, 2, 3], &[2, 3, 4], [Some(&[2]), None]),
            case(&[5], &[3, 5, 2], [None, Some(&[4])]),
            case(&[3, 2, 5], &[5], [Some(&[4]), None]),
            case(&[3, 2, 5], &[2, 5, 4], [Some(&[0]), Some(&[0])]),
            case(&[2, 0, 5], &[2, 5, 4], [Some(&[3]), Some(&[3])]),
            case(&[2, 3, 0], &[2, 0, 4], [Some(&[3]), Some(&[3])]),
            case(&[33, 1, 40], &[2, 40, 9], [None, Some(&[33])]),
        ]
    };
    vec![OpInfo {
        name: OP,
        doc: "Products of chosen matrices.",
        signature: "gather_mm(a, b, lhs_indices=None, rhs_indices=None, *, sorted_indices=False)",
        family: Family::Linear,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples,
    }]
}
