//! Owns replaying steps with other shapes than they were traced with.
//!
//! Most operations work their output's shape out from their inputs. Views hold the shapes they were
//! traced with; here sizes that came from the input follow it, and the others stay as they were.

use smallvec::SmallVec;

use super::Step;
use crate::{
    Array, Error, Result, Shape,
    graph::{Inputs, Op},
    ops::view::View,
};

impl Step {
    /// The operation on inputs of other shapes; `olds` are the shapes it was traced with.
    pub(super) fn reshaped(&self, inputs: Inputs, olds: &[&Shape]) -> Result<SmallVec<[Array; 1]>> {
        let old = &self.specs[0].shape;
        let run = || {
            let x = &inputs[0];
            let one = match &self.op {
                Op::Primitive(primitive) => {
                    return Array::apply_shared(primitive.clone(), inputs.iter().cloned());
                }
                Op::View(View::Alias) | Op::Placeholder(_) => x.clone(),
                Op::View(View::Reshape) => x.reshape_to(follow_reshape(olds[0], old, x.shape())?),
                Op::View(View::Transpose(order)) => x.permuted(order.clone()),
                Op::View(View::Broadcast) => {
                    x.broadcast_to(follow_broadcast(olds[0], old, x.shape()))?
                }
                Op::View(View::Slice { starts, steps }) => {
                    let shape = follow_slice(olds[0], (starts, steps), old, x.shape())?;
                    x.sliced(starts.clone(), steps.clone(), shape)
                }
                Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::Copy => {
                    let mut shape = Shape::scalar();
                    for input in &inputs {
                        shape = shape.broadcast(input.shape(), self.op.name())?;
                    }
                    let inputs = inputs.iter().map(|input| input.broadcast_shape(&shape));
                    let dtype = self.specs[0].dtype;
                    Array::record(
                        self.op.clone(),
                        inputs,
                        crate::graph::Spec {
                            shape: shape.clone(),
                            dtype,
                        },
                    )
                }
            };
            Ok([one].into())
        };
        match self.stream {
            Some(stream) => stream.scope(run),
            None => run(),
        }
    }
}

/// A broadcast's target: sizes that were the input's follow it.
fn follow_broadcast(from: &Shape, to: &Shape, now: &Shape) -> Shape {
    let missing = to.rank() - from.rank();
    let size = |axis: usize| match axis.checked_sub(missing) {
        Some(own) if from[own] == to[axis] => now[own],
        _ => to[axis],
    };
    (0..to.rank()).map(size).collect()
}

/// A slice's shape: an axis that was taken whole stays whole, a slice to the end goes to the end.
fn follow_slice(
    from: &Shape,
    (starts, steps): (&[usize], &[isize]),
    to: &Shape,
    now: &Shape,
) -> Result<Shape> {
    let size = |axis: usize| {
        let (start, step) = (starts[axis], steps[axis]);
        if from[axis] == now[axis] {
            return Ok(to[axis]);
        }
        let reach = |n: usize| n.saturating_sub(start).div_ceil(step.unsigned_abs().max(1));
        if step > 0 && to[axis] == reach(from[axis]) {
            return Ok(reach(now[axis]));
        }
        let last = start as isize + step * (to[axis] as isize - 1);
        if to[axis] == 0 || (start < now[axis] && last >= 0 && last < now[axis] as isize) {
            return Ok(to[axis]);
        }
        let reason = format!(
            "a slice of {} elements from {start} in steps of {step} was traced on an axis of size \
             {}, and does not fit one of size {}",
            to[axis], from[axis], now[axis]
        );
        Err(Error::Shape {
            op: "slice",
            reason,
        })
    };
    (0..to.rank()).map(size).collect()
}

/// A reshape's target, found by groups of axes that hold the same elements before and after.
fn follow_reshape(from: &Shape, to: &Shape, now: &Shape) -> Result<Shape> {
    if from == now {
        return Ok(to.clone());
    }
    let fail = || Error::Shape {
        op: "reshape",
        reason: format!("a reshape traced from {from} to {to} has no meaning for {now}"),
    };
    let mut sizes: SmallVec<[usize; 4]> = SmallVec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.rank() || j < to.rank() {
        let (first, start) = (i, j);
        match (from.get(i), to.get(j)) {
            (Some(a), Some(b)) if a == b => (i, j) = (i + 1, j + 1),
            (Some(1), _) => i += 1,
            (_, Some(1)) => j += 1,
            _ => {
                let (mut before, mut after) = (1, 1);
                loop {
                    if before <= after && i < from.rank() {
                        before *= from[i];
                        i += 1;
                    } else if j < to.rank() {
                        after *= to[j];
                        j += 1;
                    } else {
                        break;
                    }
                    if before == after {
                        break;
                    }
                }
            }
        }
        let count = |sizes: &Shape| sizes[first..i].iter().product();
        follow_group(count(now), count(from), &to[start..j], &mut sizes).ok_or_else(fail)?;
    }
    let shape: Shape = sizes.into_iter().collect();
    if shape.elements() == now.elements() {
        return Ok(shape);
    }
    Err(fail())
}

/// Appends the sizes that a group of axes of `to` has when it holds `now` elements.
fn follow_group(
    now: usize,
    before: usize,
    to: &[usize],
    sizes: &mut SmallVec<[usize; 4]>,
) -> Option<()> {
    if now == before {
        sizes.extend_from_slice(to);
        return Some(());
    }
    // The first axis that is not of size one takes up the change.
    let free = to.iter().position(|&size| size != 1).unwrap_or(0);
    let fixed: usize = to.iter().skip(free + 1).product();
    if to.is_empty() || fixed == 0 || !now.is_multiple_of(fixed) {
        return None;
    }
    for (axis, &size) in to.iter().enumerate() {
        sizes.push(if axis == free { now / fixed } else { size });
    }
    Some(())
}
