//! Owns Einstein summation: sums of products over labelled axes, done pair by pair.

mod parse;
mod path;

use std::borrow::Borrow;

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Result, Shape, ops::reduce::accumulated};
use parse::{Equation, Label};
pub use path::EinsumPath;

const OP: &str = "einsum";

/// An operand, and the label of each of its axes; no label occurs twice.
struct Labelled {
    array: Array,
    labels: Vec<Label>,
}

impl Labelled {
    /// Takes diagonals along labels that an operand repeats, and drops axes that broadcast.
    fn new(array: &Array, labels: &[Label], equation: &Equation) -> Result<Self> {
        let (mut array, mut labels) = (array.clone(), labels.to_vec());
        while let Some((first, second)) = repeated(&labels) {
            array = array.diagonal(0, first as i64, second as i64)?;
            let label = labels.remove(second);
            labels.remove(first);
            labels.push(label);
        }
        let stretched = |axis: &usize| array.shape()[*axis] == 1 && equation.size(labels[*axis]) != 1;
        let kept: Vec<usize> = (0..labels.len()).filter(|axis| !stretched(axis)).collect();
        let shape = kept.iter().map(|&axis| array.shape()[axis]).collect();
        let array = array.reshape_to(shape);
        Ok(Labelled { array, labels: kept.into_iter().map(|axis| labels[axis]).collect() })
    }

    /// Sums over the axes whose labels are not wanted.
    fn sum_unless(self, wanted: impl Fn(Label) -> bool) -> Result<Self> {
        let summed: Vec<usize> =
            (0..self.labels.len()).filter(|&axis| !wanted(self.labels[axis])).collect();
        if summed.is_empty() {
            return Ok(self);
        }
        let array = self.array.sum(&summed[..])?;
        let labels = self.labels.into_iter().filter(|&label| wanted(label)).collect();
        Ok(Labelled { array, labels })
    }

    /// The array with its axes in the order of `labels`; those it does not have get size one.
    fn arranged(&self, labels: &[Label]) -> Array {
        let place = |label: &Label| self.labels.iter().position(|own| own == label);
        let order: SmallVec<[u8; 8]> =
            labels.iter().filter_map(place).map(|axis| axis as u8).collect();
        let sizes = labels.iter().map(|label| place(label).map_or(1, |i| self.array.shape()[i]));
        let shape: Shape = sizes.collect();
        self.array.permuted(order).reshape_to(shape)
    }

    /// The product of two operands, summed over the labels that are not wanted any more.
    fn times(self, other: Labelled, wanted: impl Fn(Label) -> bool) -> Result<Self> {
        let has = |operand: &Labelled, label: &Label| operand.labels.contains(label);
        let a = self.sum_unless(|label| wanted(label) || has(&other, &label))?;
        let b = other.sum_unless(|label| wanted(label) || has(&a, &label))?;
        let (shared, left): (Vec<Label>, Vec<Label>) =
            a.labels.iter().partition(|label| has(&b, label));
        let (batch, summed): (Vec<Label>, Vec<Label>) =
            shared.into_iter().partition(|&label| wanted(label));
        let right: Vec<Label> =
            b.labels.iter().copied().filter(|label| !has(&a, label)).collect();
        let labels = [&batch[..], &left, &right].concat();
        if summed.is_empty() || !a.array.dtype().is_inexact() {
            let all = [&labels[..], &summed].concat();
            let array = a.arranged(&all).multiply(b.arranged(&all))?;
            return Labelled { array, labels: all }.sum_unless(|label| !summed.contains(&label));
        }
        let sizes = |operand: &Labelled, labels: &[Label]| -> Vec<usize> {
            let axis = |label| operand.labels.iter().position(|own| own == label);
            labels.iter().filter_map(axis).map(|axis| operand.array.shape()[axis]).collect()
        };
        let (batch_sizes, rows) = (sizes(&a, &batch), sizes(&a, &left));
        let (columns, depth) = (sizes(&b, &right), sizes(&a, &summed));
        let flat = |sizes: &[usize]| sizes.iter().product::<usize>();
        let matrices = [flat(&batch_sizes), flat(&rows), flat(&depth), flat(&columns)];
        let first = a.arranged(&[&batch[..], &left, &summed].concat());
        let second = b.arranged(&[&batch[..], &summed, &right].concat());
        let first = first.reshape_to(Shape::from([matrices[0], matrices[1], matrices[2]]));
        let second = second.reshape_to(Shape::from([matrices[0], matrices[2], matrices[3]]));
        let shape = [batch_sizes, rows, columns].concat();
        Ok(Labelled { array: first.matmul(&second)?.reshape_to(Shape::from(shape)), labels })
    }
}

/// The places of the first label that stands twice.
fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|second| {
        let first = labels[..second].iter().position(|label| *label == labels[second])?;
        Some((first, second))
    })
}

/// Sums of products of the operands' elements, in the notation of Einstein.
///
/// Before `->` stands a label for each axis of each operand, after it the labels of the result;
/// what is not named there is summed over. Without `->`, the labels that occur once are kept, in
/// alphabetical order. `...` stands for axes that broadcast; a label that one operand repeats takes
/// its diagonal. Floating-point contractions are matrix products, in the order that
/// [`einsum_path`] finds; narrow integers are summed in 32 bits.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, einsum};
/// let (a, b) = (array!([[1.0, 2.0], [3.0, 4.0]]), array!([10.0, 1.0]));
/// assert_eq!(einsum("ij,j->i", &[&a, &b])?.to_vec::<f32>()?, [12.0, 34.0]);
/// assert_eq!(einsum("ii", &[&a])?.item::<f32>()?, 5.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn einsum<A: Borrow<Array>>(subscripts: &str, operands: &[A]) -> Result<Array> {
    let equation = parsed(subscripts, operands)?;
    let dtypes = operands.iter().map(|array| array.borrow().dtype());
    let mut dtype = dtypes.reduce(crate::Dtype::promote).expect("an equation has an operand");
    if equation.sums() {
        dtype = accumulated(dtype);
    }
    let mut rest: Vec<Labelled> = operands
        .iter()
        .zip(&equation.inputs)
        .map(|(array, labels)| Labelled::new(&array.borrow().astype(dtype)?, labels, &equation))
        .collect::<Result<_>>()?;
    for step in path::find(&equation).contractions {
        let [first, second] = step[..] else { break };
        // The later one first, so that the other keeps its place.
        let (b, a) = (rest.remove(second), rest.remove(first));
        let needed: Vec<Label> = rest.iter().flat_map(|operand| operand.labels.clone()).collect();
        let wanted = |label: Label| equation.output.contains(&label) || needed.contains(&label);
        rest.push(a.times(b, wanted)?);
    }
    let last = rest.pop().expect("contractions leave one operand");
    let last = last.sum_unless(|label| equation.output.contains(&label))?;
    Ok(last.arranged(&equation.output))
}

/// The order in which [`einsum`] multiplies its operands, and what that costs.
///
/// Each step takes the pair that shrinks most, as in NumPy and MLX. For up to six operands, an order
/// that costs less than half of that takes its place.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, einsum_path};
/// let matrix = |n: usize, m: usize| Array::ones([n, m], Dtype::Float32);
/// let path = einsum_path("ij,jk,kl->il", &[matrix(2, 3)?, matrix(3, 4)?, matrix(4, 5)?])?;
/// assert_eq!(path.contractions, [[1, 2], [0, 1]]);
/// assert_eq!((path.naive_flops, path.flops), (360, 180));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn einsum_path<A: Borrow<Array>>(subscripts: &str, operands: &[A]) -> Result<EinsumPath> {
    Ok(path::find(&parsed(subscripts, operands)?))
}

fn parsed<A: Borrow<Array>>(subscripts: &str, operands: &[A]) -> Result<Equation> {
    let shapes: Vec<&Shape> = operands.iter().map(|array| array.borrow().shape()).collect();
    Equation::parse(subscripts, &shapes)
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![
        OpInfo {
            name: OP,
            doc: "Sums of products over labelled axes.",
            signature: "einsum(subscripts, *operands)",
            family: Family::Linear,
            kinds: kinds::ALL,
            gradient: Gradient::Smooth,
            samples: || {
                let sample = |subscripts: &'static str, shapes: &[&[usize]]| {
                    let inputs: Vec<Input> = shapes.iter().map(|&shape| Input::any(shape)).collect();
                    Sample::new(subscripts, inputs, move |x| einsum(subscripts, x))
                };
                vec![
                    sample("ij,jk->ik", &[&[2, 3], &[3, 4]]),
                    sample("ij,jk", &[&[2, 3], &[3, 4]]),
                    sample("ba", &[&[2, 3]]),
                    sample("ii", &[&[3, 3]]),
                    sample("ii->i", &[&[3, 3]]),
                    sample("iji->j", &[&[2, 3, 2]]),
                    sample("i,j->ij", &[&[2], &[3]]),
                    sample("i,i->", &[&[4], &[4]]),
                    sample("ij->", &[&[2, 3]]),
                    sample(",i->i", &[&[], &[3]]),
                    sample("...ij,...jk->...ik", &[&[2, 1, 2, 3], &[2, 3, 2]]),
                    sample("i...,i...", &[&[2, 3], &[2, 3]]),
                    sample("b n d, b m d -> b n m", &[&[2, 3, 2], &[2, 2, 2]]),
                    sample("ij,jk,kl->il", &[&[2, 3], &[3, 2], &[2, 4]]),
                    sample("ab,ac,ad,bcd->", &[&[2, 2], &[2, 3], &[2, 2], &[2, 3, 2]]),
                    sample("ij,ij->ij", &[&[2, 3], &[1, 3]]),
                    sample("ij,jk->ik", &[&[2, 0], &[0, 3]]),
                ]
            },
        },
        OpInfo {
            name: "einsum_path",
            doc: "The order in which einsum multiplies, and its cost.",
            signature: "einsum_path(subscripts, *operands)",
            family: Family::Query,
            kinds: kinds::ALL,
            gradient: Gradient::Zero,
            samples: || {
                vec![Sample::new("ij,jk,kl->il", [], |_| {
                    let matrix = |n: usize, m: usize| Array::ones([n, m], crate::Dtype::Float32);
                    let operands = [matrix(2, 3)?, matrix(3, 4)?, matrix(4, 5)?];
                    let path = einsum_path("ij,jk,kl->il", &operands)?;
                    let pairs = path.contractions.iter().flatten().map(|&i| i as i64);
                    let costs = [path.naive_flops as i64, path.flops as i64];
                    let numbers: Vec<i64> = pairs.chain(costs).collect();
                    Array::from_slice(&numbers, [numbers.len()])
                })]
            },
        },
    ]
}
