//! Owns recording a graph a second time with primitives replaced by what they stand for.

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;

use super::{Inputs, Node, Op};
use crate::{Array, Error, Result};

/// The values of `arrays`, computed with each primitive still to run replaced by its decomposition.
///
/// Returns `None` if no primitive under `arrays` has one. Backends without a kernel evaluate this
/// way; so tests can tell whether a kernel and the decomposition mean the same.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, graph};
/// let y = Array::from_slice(&[1.0f32, 1.0], [2])?.softmax(-1)?;
/// let simple = graph::decomposed(&[y])?.expect("softmax decomposes");
/// assert_eq!(simple[0].to_vec::<f32>()?, [0.5, 0.5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn decomposed(arrays: &[Array]) -> Result<Option<Vec<Array>>> {
    // Each node's new outputs. The old array is kept, so that its address stays its own.
    let mut done: HashMap<*const Node, (Array, SmallVec<[Array; 1]>)> = HashMap::new();
    let mut replaced = false;
    let mut stack: Vec<Array> = arrays.to_vec();
    while let Some(array) = stack.last().cloned() {
        let key = Arc::as_ptr(&array.node);
        if done.contains_key(&key) {
            stack.pop();
            continue;
        }
        let outputs = match array.node.history() {
            None => outputs_of(&array.node),
            Some((op, inputs)) => {
                let missing = |input: &&Array| !done.contains_key(&Arc::as_ptr(&input.node));
                let missing: Vec<Array> = inputs.iter().filter(missing).cloned().collect();
                if !missing.is_empty() {
                    stack.extend(missing);
                    continue;
                }
                let renew =
                    |input: &Array| done[&Arc::as_ptr(&input.node)].1[input.index as usize].clone();
                let inputs: Inputs = inputs.iter().map(renew).collect();
                match simpler(&array.node, &op, &inputs)? {
                    Some(outputs) => {
                        replaced = true;
                        outputs.into()
                    }
                    None => again(&array.node, op, inputs),
                }
            }
        };
        stack.pop();
        done.insert(key, (array, outputs));
    }
    let renewed = |array: &Array| done[&Arc::as_ptr(&array.node)].1[array.index as usize].clone();
    Ok(replaced.then(|| arrays.iter().map(renewed).collect()))
}

/// The decomposition of one operation, if it has one.
fn simpler(node: &Node, op: &Op, inputs: &[Array]) -> Result<Option<Vec<Array>>> {
    let Op::Primitive(primitive) = op else {
        return Ok(None);
    };
    match node.stream.scope(|| primitive.decompose(inputs)) {
        Err(Error::NoKernel { .. }) => Ok(None),
        result => result.map(Some),
    }
}

/// The same operation on other inputs.
fn again(node: &Node, op: Op, inputs: Inputs) -> SmallVec<[Array; 1]> {
    let node = Node::recorded(op, inputs, node.specs.clone(), node.stream, None);
    outputs_of(&Arc::new(node))
}

/// All outputs of a node.
pub(crate) fn outputs_of(node: &Arc<Node>) -> SmallVec<[Array; 1]> {
    let output = |index| Array {
        node: node.clone(),
        index,
    };
    (0..node.specs.len() as u32).map(output).collect()
}
