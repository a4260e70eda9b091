//! Owns replaying steps with other shapes than they were traced with.
//!
//! Most operations work their output's shape out from their inputs. Views hold the shapes they were
//! traced with; here sizes that came from the input follow it, and the others stay as they were.

use smallvec::SmallVec;

use super::Step;
use crate::{
    Array, Error, Result, Shape,
    graph::{Inputs, Op},
    ops::view::{Meaning, View},
};

impl Step {
    /// The operation on inputs of other shapes; `olds` are the shapes it was traced with.
    pub(super) fn reshaped(&self, inputs: Inputs, olds: &[&Shape]) -> Result<SmallVec<[Array; 1]>> {
        let old = &self.specs[0].shape;
        let run = || {
            let x = &inputs[0];
            let one = match &self.op {
                Op::Primitive(primitive) => {
                    return Array::apply_shared(
                        primitive.clone(),
                        inputs.iter().cloned().collect(),
                    );
                }
                Op::View(View::Alias) | Op::Placeholder(_) => x.clone(),
                Op::View(View::Reshape(meaning)) => {
                    let shape = follow_reshape(meaning, olds[0], old, x.shape())?;
                    x.reshape_as(shape, meaning.clone())
                }
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

/// Whether a reshape that was read from a file means what it says.
pub(super) fn follows(meaning: &Meaning, from: &Shape, to: &Shape) -> bool {
    let rank = match meaning {
        Meaning::Grouped => Some(to.rank()),
        Meaning::Written {
            before,
            after,
            free,
        } => {
            let (before, after) = (usize::from(*before), usize::from(*after));
            let inside = before + after <= from.rank()
                && before <= usize::from(*free)
                && usize::from(*free) + after < to.rank();
            inside.then_some(to.rank())
        }
        Meaning::Inserted(axes) => {
            let rank = from.rank() + axes.len();
            (ordered(axes) && axes.iter().all(|&axis| usize::from(axis) < rank)).then_some(rank)
        }
        Meaning::Removed(axes) => {
            let inside = axes.iter().all(|&axis| usize::from(axis) < from.rank());
            (ordered(axes) && inside).then(|| from.rank() - axes.len())
        }
        Meaning::Joined { first, last } => (first <= last && usize::from(*last) < from.rank())
            .then(|| from.rank() - usize::from(last - first)),
    };
    rank == Some(to.rank())
        && from.elements() == to.elements()
        && follow_reshape(meaning, from, to, from).is_ok_and(|shape| shape == *to)
}

fn ordered(axes: &[u8]) -> bool {
    axes.windows(2).all(|pair| pair[0] < pair[1])
}

/// A reshape's target for an input of another shape of the same rank.
fn follow_reshape(meaning: &Meaning, from: &Shape, to: &Shape, now: &Shape) -> Result<Shape> {
    let fail = || Error::Shape {
        op: "reshape",
        reason: format!("a reshape traced from {from} to {to} has no meaning for {now}"),
    };
    let shape = match meaning {
        Meaning::Grouped => grouped(from, to, now),
        Meaning::Written {
            before,
            after,
            free,
        } => {
            let (before, after) = (usize::from(*before), usize::from(*after));
            let moved = now.rank() - after;
            let mut sizes: SmallVec<[usize; 4]> = now[..before].into();
            sizes.extend_from_slice(&to[before..to.rank() - after]);
            sizes.extend_from_slice(&now[moved..]);
            let free = usize::from(*free);
            let own = Shape::from(&now[before..moved]).elements();
            let others = (before..to.rank() - after).filter(|&axis| axis != free);
            let others = others.map(|axis| to[axis]).collect::<Shape>().elements();
            let whole = others > 0 && own.is_multiple_of(others);
            if whole {
                sizes[free] = own / others;
            }
            (whole || own == 0).then(|| sizes.into_iter().collect())
        }
        Meaning::Inserted(axes) => {
            let mut shape = now.clone();
            for &axis in axes {
                shape = shape.insert_axis(usize::from(axis), 1);
            }
            Some(shape)
        }
        Meaning::Removed(axes) => {
            let removed = |axis: &usize| axes.contains(&(*axis as u8));
            let single = axes.iter().all(|&axis| now[usize::from(axis)] == 1);
            let kept = (0..now.rank()).filter(|axis| !removed(axis));
            single.then(|| kept.map(|axis| now[axis]).collect())
        }
        Meaning::Joined { first, last } => {
            let (first, last) = (usize::from(*first), usize::from(*last));
            let joined = Shape::from(&now[first..=last]).elements();
            let sizes = now[..first].iter().copied().chain([joined]);
            Some(sizes.chain(now[last + 1..].iter().copied()).collect())
        }
    };
    // A size that does not fit in memory addresses can only stand beside one of zero.
    shape
        .filter(|shape: &Shape| shape.elements() == now.elements())
        .ok_or_else(fail)
}

/// The target found by groups of axes that hold the same elements before and after.
fn grouped(from: &Shape, to: &Shape, now: &Shape) -> Option<Shape> {
    if from == now {
        return Some(to.clone());
    }
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
        follow_group(count(now), count(from), &to[start..j], &mut sizes)?;
    }
    Some(sizes.into_iter().collect())
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
