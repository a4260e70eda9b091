//! Owns the order of multiplications: the best one for few operands, a greedy one for more.

use std::fmt;

use super::parse::{Equation, Label};

/// Up to this many operands, every order is tried.
const FEW: usize = 6;

/// An order of multiplications, as [`einsum_path`](super::einsum_path) finds it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, einsum_path, EinsumPath};
/// let a = Array::ones([2, 100], Dtype::Float32)?;
/// let b = Array::ones([100, 50], Dtype::Float32)?;
/// let c = Array::ones([50, 3], Dtype::Float32)?;
/// let path: EinsumPath = einsum_path("ij,jk,kl->il", &[&a, &b, &c])?;
/// assert_eq!(path.contractions, [vec![0, 1], vec![0, 1]]);
/// assert!(path.flops < path.naive_flops);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EinsumPath {
    /// For each step, the places of the operands that are taken out of the list; their product is
    /// put at its end.
    pub contractions: Vec<Vec<usize>>,
    /// The equation, with the result's labels.
    pub equation: String,
    /// The number of labels that one loop over everything would run over.
    pub naive_scaling: usize,
    /// The greatest number of labels of a step.
    pub scaling: usize,
    /// The multiplications and additions of one loop over everything.
    pub naive_flops: u128,
    /// The multiplications and additions of all steps.
    pub flops: u128,
}

impl fmt::Display for EinsumPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  Complete contraction:  {}", self.equation)?;
        writeln!(f, "         Naive scaling:  {}", self.naive_scaling)?;
        writeln!(f, "     Optimized scaling:  {}", self.scaling)?;
        writeln!(f, "      Naive FLOP count:  {}", self.naive_flops)?;
        writeln!(f, "  Optimized FLOP count:  {}", self.flops)
    }
}

/// The labels of an operand, each once, in order.
type Labels = Vec<Label>;

/// What is left to multiply, and what the steps so far have cost.
#[derive(Clone)]
struct State<'a> {
    equation: &'a Equation,
    operands: Vec<Labels>,
    steps: Vec<Vec<usize>>,
    flops: u128,
    scaling: usize,
}

fn union(a: &[Label], b: &[Label]) -> Labels {
    let mut labels = [a, b].concat();
    labels.sort_unstable();
    labels.dedup();
    labels
}

fn elements(equation: &Equation, labels: &[Label]) -> u128 {
    labels
        .iter()
        .fold(1u128, |product, &label| product.saturating_mul(equation.size(label) as u128))
}

/// The cost of multiplying `terms` operands over these labels, and of adding up if any is summed.
fn cost(equation: &Equation, labels: &[Label], terms: usize, sums: bool) -> u128 {
    let each = terms.saturating_sub(1).max(1) + usize::from(sums);
    elements(equation, labels).saturating_mul(each as u128)
}

impl<'a> State<'a> {
    /// The labels of a product, before and after summing.
    fn product(&self, first: usize, second: usize) -> (Labels, Labels) {
        let all = union(&self.operands[first], &self.operands[second]);
        let wanted = |label: &Label| {
            let others = self.operands.iter().enumerate();
            let mut others = others.filter(|(i, _)| *i != first && *i != second);
            self.equation.output.contains(label) || others.any(|(_, other)| other.contains(label))
        };
        let kept = all.iter().copied().filter(|label| wanted(label)).collect();
        (all, kept)
    }

    fn multiply(&self, first: usize, second: usize) -> State<'a> {
        let (all, kept) = self.product(first, second);
        let mut next = self.clone();
        next.flops = next.flops.saturating_add(cost(self.equation, &all, 2, kept.len() < all.len()));
        next.scaling = next.scaling.max(all.len());
        next.operands.remove(second);
        next.operands.remove(first);
        next.operands.push(kept);
        next.steps.push(vec![first, second]);
        next
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let count = self.operands.len();
        (0..count).flat_map(move |first| (first + 1..count).map(move |second| (first, second)))
    }

    /// The cheapest way to the end, if it is cheaper than `limit`.
    fn best(self, limit: &mut u128) -> Option<State<'a>> {
        if self.flops >= *limit {
            return None;
        }
        if self.operands.len() == 1 {
            *limit = self.flops;
            return Some(self);
        }
        let mut found = None;
        for (first, second) in self.pairs() {
            if let Some(better) = self.multiply(first, second).best(limit) {
                found = Some(better);
            }
        }
        found
    }

    /// The pair whose product is smallest beside what it replaces, and cheapest among those.
    fn greedy(&self) -> Option<(usize, usize)> {
        self.pairs().min_by_key(|&(first, second)| {
            let (all, kept) = self.product(first, second);
            let size = |labels: &[Label]| i128::try_from(elements(self.equation, labels));
            let size = |labels: &[Label]| size(labels).unwrap_or(i128::MAX / 4).min(i128::MAX / 4);
            let replaced = size(&self.operands[first]) + size(&self.operands[second]);
            (size(&kept) - replaced, elements(self.equation, &all))
        })
    }
}

/// The order for an equation.
pub(super) fn find(equation: &Equation) -> EinsumPath {
    let operands: Vec<Labels> = equation.inputs.iter().map(|labels| union(labels, &[])).collect();
    let count = operands.len();
    let everything = operands.iter().fold(Labels::new(), |all, labels| union(&all, labels));
    let naive_flops = cost(equation, &everything, count, equation.sums());
    let mut state = State { equation, operands, steps: Vec::new(), flops: 0, scaling: 0 };
    if count == 1 {
        state.steps.push(vec![0]);
        state.flops = naive_flops;
        state.scaling = everything.len();
    } else {
        let start = state.clone();
        while state.operands.len() > 1
            && let Some((first, second)) = state.greedy()
        {
            state = state.multiply(first, second);
        }
        // NumPy's and MLX's order, unless another costs less than half of it.
        let mut limit = state.flops / 2;
        if count <= FEW
            && let Some(better) = start.best(&mut limit)
        {
            state = better;
        }
    }
    EinsumPath {
        contractions: state.steps,
        equation: equation.text.clone(),
        naive_scaling: equation.count(),
        scaling: state.scaling,
        naive_flops,
        flops: state.flops,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    fn path(text: &str, shapes: &[[usize; 2]]) -> EinsumPath {
        let shapes: Vec<Shape> = shapes.iter().map(|&shape| Shape::from(shape)).collect();
        let shapes: Vec<&Shape> = shapes.iter().collect();
        find(&Equation::parse(text, &shapes).expect("it is well formed"))
    }

    #[test]
    fn a_chain_is_multiplied_from_its_narrow_end() {
        let found = path("ij,jk,kl->il", &[[100, 100], [100, 100], [100, 1]]);
        assert_eq!(found.contractions, [[1, 2], [0, 1]]);
        assert_eq!((found.flops, found.scaling), (40_000, 3));
        assert!(found.to_string().contains("Optimized FLOP count:  40000"));
    }

    #[test]
    fn long_chains_are_multiplied_greedily() {
        let shapes = [[4, 4], [4, 4], [4, 4], [4, 4], [4, 4], [4, 4], [4, 4], [4, 1]];
        let found = path("ab,bc,cd,de,ef,fg,gh,hi->ai", &shapes);
        assert_eq!(found.contractions.len(), 7);
        assert_eq!(found.flops, 7 * 2 * 16);
    }

    #[test]
    fn one_operand_needs_no_order() {
        let found = path("ij->ji", &[[2, 3]]);
        assert_eq!((found.contractions, found.flops), (vec![vec![0]], 6));
    }
}
