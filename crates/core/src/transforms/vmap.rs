//! Owns vectorisation: it traces a function of one example and replays it for a whole batch.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::{
    Tree,
    tape::{Key, Step, key, outputs_of, steps_between},
};
use crate::{
    Array, Error, Result, Shape,
    graph::{TraceScope, Vmap},
    shape::normalize_axis,
};

/// Which axis of each array in a `T` is the batch; `None` for arrays that all examples share.
///
/// A number, or `None`, stands for all arrays of a tree; tuples, vectors and arrays of such stand
/// for the parts of a tree of their own kind. [`LeafAxes`] lists the arrays one by one.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, vmap};
/// // The first argument has its batch along the last axis; all examples share the second.
/// let f = |(x, y): &(Array, Array)| x.multiply(y)?.sum(..);
/// let columns = array!([[1, 2], [3, 4]]);
/// let sums = vmap(f, (1, None::<i32>), 0)(&(columns, array!([1, 10])))?;
/// assert_eq!(sums.to_vec::<i32>()?, [31, 42]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait BatchAxes<T> {
    /// Appends the axis of each array in `tree`, in the tree's order.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_core::transforms::BatchAxes;
    /// let mut axes = Vec::new();
    /// 0.append(&vec![array!([1]), array!([2])], &mut axes)?;
    /// assert_eq!(axes, [Some(0), Some(0)]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn append(&self, tree: &T, axes: &mut Vec<Option<i64>>) -> Result<()>;
}

/// A batch axis for each array of a tree, in the order of [`Tree::leaves`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, vmap};
/// use olivine_core::transforms::LeafAxes;
/// let add = |x: &Vec<Array>| x[0].add(&x[1]);
/// let axes = LeafAxes(vec![Some(0), None]);
/// let sums = vmap(add, axes, 0)(&vec![array!([1, 2]), array!(10)])?;
/// assert_eq!(sums.to_vec::<i32>()?, [11, 12]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LeafAxes(pub Vec<Option<i64>>);

impl<T> BatchAxes<T> for LeafAxes {
    fn append(&self, _: &T, axes: &mut Vec<Option<i64>>) -> Result<()> {
        axes.extend(&self.0);
        Ok(())
    }
}

macro_rules! same_for_all {
    ($($ty:ty, $axis:ident => $value:expr;)*) => {$(
        impl<T: Tree> BatchAxes<T> for $ty {
            fn append(&self, tree: &T, axes: &mut Vec<Option<i64>>) -> Result<()> {
                let $axis = *self;
                axes.extend(std::iter::repeat_n($value, tree.leaves().len()));
                Ok(())
            }
        }
    )*};
}

same_for_all! {
    i32, axis => Some(i64::from(axis));
    i64, axis => Some(axis);
    Option<i32>, axis => axis.map(i64::from);
    Option<i64>, axis => axis;
}

macro_rules! part_for_part {
    ($($from:ident $tree:ident $index:tt),+) => {
        impl<$($tree, $from: BatchAxes<$tree>),+> BatchAxes<($($tree,)+)> for ($($from,)+) {
            fn append(&self, tree: &($($tree,)+), axes: &mut Vec<Option<i64>>) -> Result<()> {
                $(self.$index.append(&tree.$index, axes)?;)+
                Ok(())
            }
        }
    };
}

part_for_part!(X A 0);
part_for_part!(X A 0, Y B 1);
part_for_part!(X A 0, Y B 1, Z C 2);
part_for_part!(X A 0, Y B 1, Z C 2, W D 3);
part_for_part!(X A 0, Y B 1, Z C 2, W D 3, V E 4);
part_for_part!(X A 0, Y B 1, Z C 2, W D 3, V E 4, U F 5);

fn part_by_part<T, X: BatchAxes<T>>(
    given: &[X],
    tree: &[T],
    axes: &mut Vec<Option<i64>>,
) -> Result<()> {
    if given.len() != tree.len() {
        let reason = format!("{} axes for {} parts of a tree", given.len(), tree.len());
        return Err(Error::Argument { op: "vmap", reason });
    }
    let mut pairs = given.iter().zip(tree);
    pairs.try_for_each(|(given, tree)| given.append(tree, axes))
}

impl<T, X: BatchAxes<T>> BatchAxes<Vec<T>> for Vec<X> {
    fn append(&self, tree: &Vec<T>, axes: &mut Vec<Option<i64>>) -> Result<()> {
        part_by_part(self, tree, axes)
    }
}

impl<T, X: BatchAxes<T>, const N: usize> BatchAxes<Vec<T>> for [X; N] {
    fn append(&self, tree: &Vec<T>, axes: &mut Vec<Option<i64>>) -> Result<()> {
        part_by_part(self, tree, axes)
    }
}

impl<T, X: BatchAxes<T>, const N: usize> BatchAxes<[T; N]> for [X; N] {
    fn append(&self, tree: &[T; N], axes: &mut Vec<Option<i64>>) -> Result<()> {
        part_by_part(self, tree, axes)
    }
}

/// The function that computes `f` for every example of a batch at once.
///
/// `f` is written for one example and called once, with arrays that lack the batch axis and have no
/// values; the operations it records are then done for all examples together. `in_axes` says where
/// the batch is in each argument, `out_axes` where to put it in each result; see [`BatchAxes`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, vmap, Array};
/// let dot = |(x, y): &(Array, Array)| x.multiply(y)?.sum(..);
/// // A batch of rows of x, each with the same y.
/// let x = array!([[1.0, 2.0], [3.0, 4.0]]);
/// let dots = vmap(dot, (0, None::<i32>), 0)(&(x, array!([1.0, 10.0])))?;
/// assert_eq!(dots.to_vec::<f32>()?, [21.0, 43.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn vmap<T: Tree, R: Tree>(
    f: impl Fn(&T) -> Result<R>,
    in_axes: impl BatchAxes<T>,
    out_axes: impl BatchAxes<R>,
) -> impl Fn(&T) -> Result<R> {
    move |argument| {
        let scope = TraceScope::open();
        let mut batch = Batch::new(argument, &in_axes)?;
        let mut leaf = batch.moved.iter();
        let mut placeholders = Vec::new();
        let traced = argument.map(&mut |array| {
            let Some(Some(moved)) = leaf.next() else {
                return Ok(array.clone());
            };
            let shape: Shape = moved.shape()[1..].into();
            let placeholder = Array::placeholder("vmap", shape, moved.dtype(), &scope.0);
            placeholders.push(placeholder.clone());
            Ok(placeholder)
        })?;
        let result = f(&traced)?;
        let outputs = result.leaves();
        let axes = axes_of(&result, &outputs, &out_axes)?;
        batch.replay(&placeholders, &outputs)?;
        let mut axes = axes.into_iter();
        result.map(&mut |output| batch.output(output, axes.next().flatten()))
    }
}

/// The axis of each leaf, as it was given.
fn axes_of<T>(tree: &T, leaves: &[Array], given: &impl BatchAxes<T>) -> Result<Vec<Option<i64>>> {
    let mut axes = Vec::new();
    given.append(tree, &mut axes)?;
    if axes.len() != leaves.len() {
        let reason = format!("{} axes for {} arrays", axes.len(), leaves.len());
        return Err(Error::Argument { op: "vmap", reason });
    }
    Ok(axes)
}

/// A batch of examples, and what has been computed for all of them.
struct Batch {
    size: usize,
    /// Each argument with its batch axis in front; `None` if it has none.
    moved: Vec<Option<Array>>,
    /// What stands for an output of a traced node.
    known: HashMap<(Key, u32), Array>,
}

impl Batch {
    fn new<T: Tree>(argument: &T, in_axes: &impl BatchAxes<T>) -> Result<Self> {
        let leaves = argument.leaves();
        let axes = axes_of(argument, &leaves, in_axes)?;
        let mut size = None;
        let mut moved = Vec::with_capacity(leaves.len());
        for (leaf, axis) in leaves.iter().zip(axes) {
            let Some(axis) = axis else {
                moved.push(None);
                continue;
            };
            let axis = normalize_axis(axis, leaf.ndim(), "vmap")?;
            let found = leaf.shape()[axis];
            let size = *size.get_or_insert(found);
            if size != found {
                let reason = format!(
                    "axis {axis} of shape {} does not have the batch's size {size}",
                    leaf.shape()
                );
                return Err(Error::Shape { op: "vmap", reason });
            }
            moved.push(Some(leaf.moveaxis(axis as i64, 0)?));
        }
        let size = size.ok_or_else(|| Error::Argument {
            op: "vmap",
            reason: "no argument has a batch axis".to_owned(),
        })?;
        let known = HashMap::new();
        Ok(Batch { size, moved, known })
    }

    /// Records what lies between the placeholders and the outputs again, for the whole batch.
    fn replay(&mut self, placeholders: &[Array], outputs: &[Array]) -> Result<()> {
        let moved = self.moved.iter().flatten().cloned();
        let arguments = placeholders.iter().map(key).zip(moved);
        self.known.extend(arguments);
        for Step { node, op, inputs } in steps_between(placeholders, outputs) {
            let found: SmallVec<[Option<&Array>; 3]> = inputs
                .iter()
                .map(|input| self.known.get(&key(input)))
                .collect();
            let batched: SmallVec<[bool; 4]> = found.iter().map(Option::is_some).collect();
            let inputs: SmallVec<[Array; 3]> = found
                .into_iter()
                .zip(&inputs)
                .map(|(found, input)| found.unwrap_or(input).clone())
                .collect();
            let rule = Vmap {
                op: op.name(),
                inputs: &inputs,
                batched: &batched,
                size: self.size,
            };
            let results = node.stream.scope(|| op.vmap(&rule, &node.specs))?;
            for (output, result) in outputs_of(&node).iter().zip(results) {
                self.known.insert(key(output), result);
            }
        }
        Ok(())
    }

    /// The batch of an output of the traced function, with the batch axis where it was wanted.
    fn output(&self, output: &Array, axis: Option<i64>) -> Result<Array> {
        match (self.known.get(&key(output)), axis) {
            (Some(batch), Some(axis)) => batch.moveaxis(0, axis),
            (None, None) => Ok(output.clone()),
            (None, Some(axis)) => {
                let shape = output.shape().insert_axis(0, self.size);
                output.broadcast_shape(&shape).moveaxis(0, axis)
            }
            (Some(_), None) => Err(Error::Argument {
                op: "vmap",
                reason: "a result that differs from example to example needs an axis in out_axes"
                    .to_owned(),
            }),
        }
    }
}
