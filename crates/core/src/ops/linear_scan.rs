//! Owns linear recurrences along an axis, which the gradients of running products, of running
//! sums of exponentials and of products at positions are made of.

use serde::{Deserialize, Serialize};

use crate::{
    Array, Error, Result, concatenate,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap},
    stop_gradient,
};

/// `s[i] = a[i] * s[i - 1] + b[i]` along an axis, for inputs `a` and `b` of one shape and dtype.
/// The first factor multiplies nothing.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Tolerance};
/// use olivine_core::ops::linear_scan::LinearScan;
/// // Interest of ten per cent on what is there, and a deposit each year.
/// let (factors, deposits) = (array!([1.1, 1.1, 1.1]), array!([100.0, 0.0, 10.0]));
/// let balance = Array::apply_one(LinearScan { axis: 0, reverse: false }, [factors, deposits])?;
/// let expected = array!([100.0, 110.0, 131.0]);
/// assert!(balance.allclose(expected, Tolerance::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LinearScan {
    /// The axis that is walked along.
    pub axis: usize,
    /// From the last element to the first.
    pub reverse: bool,
}

crate::stored!(LinearScan);

impl Primitive for LinearScan {
    fn name(&self) -> &'static str {
        "linear_scan"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        let (a, b) = (inputs[0].spec(), inputs[1].spec());
        if a != b || self.axis >= a.shape.rank() {
            let reason = format!(
                "no axis {} in both of {} and {}",
                self.axis, a.shape, b.shape
            );
            return Err(Error::Shape {
                op: self.name(),
                reason,
            });
        }
        if !a.dtype.is_inexact() {
            let reason = "it takes floating-point arrays";
            return Err(Error::Dtype {
                op: self.name(),
                dtype: a.dtype,
                reason,
            });
        }
        Ok([a.clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        // What a sum passes on to the next is what the next passes back to it.
        let back = LinearScan {
            reverse: !self.reverse,
            ..*self
        };
        let factors = vjp.inputs[0].neighbour(self.axis, !self.reverse)?;
        let terms = Array::apply_one(back, [factors, vjp.cotangent().clone()])?;
        vjp.each(|i| match i {
            0 => terms
                .multiply(vjp.outputs[0].neighbour(self.axis, self.reverse)?)
                .map(Some),
            _ => Ok(Some(terms.clone())),
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let term = match &jvp.tangents[0] {
            Some(factor) => {
                let moved = factor.multiply(jvp.outputs[0].neighbour(self.axis, self.reverse)?)?;
                match &jvp.tangents[1] {
                    Some(term) => moved.add(term)?,
                    None => moved,
                }
            }
            None => jvp.tangents[1].clone().expect("an input has a tangent"),
        };
        Ok([Some(Array::apply_one(
            *self,
            [jvp.inputs[0].clone(), term],
        )?)]
        .into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(LinearScan {
            axis: self.axis + 1,
            ..*self
        })
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (factors, terms) = (&inputs[0], &inputs[1]);
        let size = terms.shape()[self.axis];
        let mut sums: Vec<Array> = Vec::with_capacity(size);
        for i in 0..size {
            let i = if self.reverse { size - 1 - i } else { i };
            let term = terms.narrow(self.axis, i, i + 1);
            sums.push(match sums.last() {
                Some(last) => factors
                    .narrow(self.axis, i, i + 1)
                    .multiply(last)?
                    .add(term)?,
                None => term,
            });
        }
        if sums.is_empty() {
            return Ok(vec![terms.clone()]);
        }
        if self.reverse {
            sums.reverse();
        }
        Ok(vec![concatenate(&sums, self.axis as i64)?])
    }
}

impl Array {
    /// The sums `s[i] = factors[i] * s[i - 1] + self[i]` along a checked axis.
    pub(crate) fn linear_scan(&self, factors: &Array, axis: usize, reverse: bool) -> Result<Array> {
        Array::apply_one(
            LinearScan { axis, reverse },
            [factors.clone(), self.clone()],
        )
    }

    /// For each element the one after it along a checked axis, or the one before; zero where there
    /// is none.
    pub(crate) fn neighbour(&self, axis: usize, after: bool) -> Result<Array> {
        let size = self.shape()[axis];
        if size == 0 {
            return Ok(self.clone());
        }
        let mut widths = vec![(0, 0); self.ndim()];
        if after {
            widths[axis] = (0, 1);
            self.narrow(axis, 1, size).pad(&widths, 0)
        } else {
            widths[axis] = (1, 0);
            self.narrow(axis, 0, size - 1).pad(&widths, 0)
        }
    }

    /// For each element of a line the product of the others of the line that have the same key.
    ///
    /// Keys have the same rank, and the same size along the checked axis. Nothing is divided by, so
    /// zeros are right.
    pub(crate) fn product_of_others(&self, keys: &Array, axis: usize) -> Result<Array> {
        let size = self.shape()[axis];
        if self.size() == 0 {
            return Ok(self.clone());
        }
        let order = stop_gradient(&keys.argsort(axis as i64)?)?;
        let sorted = self.take_along_axis(&order, axis as i64)?;
        let keys = keys.take_along_axis(&order, axis as i64)?;
        let mut line = vec![1; self.ndim()];
        line[axis] = size;
        let places = Array::arange(0, size as i64, 1i64)?.reshape(&line[..])?;
        let before = |after: bool| -> Result<Array> {
            // Where a run of equal keys begins, seen from the side it is walked from.
            let border = if after { size as i64 - 1 } else { 0 };
            let begins = keys.not_equal(keys.neighbour(axis, after)?)?;
            let begins = begins.logical_or(places.equal(border)?)?;
            let factors = begins.select(0, sorted.neighbour(axis, after)?)?;
            let begins = begins.astype(self.dtype())?.broadcast_to(self.shape())?;
            begins.linear_scan(&factors, axis, after)
        };
        let others = before(false)?.multiply(before(true)?)?;
        others.take_along_axis(&order.argsort(axis as i64)?, axis as i64)
    }
}
