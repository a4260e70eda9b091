//! Owns the tape of a traced function: its nodes in the order in which they can run.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Array,
    graph::{Inputs, Node, Op},
};

pub(crate) use crate::graph::outputs_of;

pub(crate) type Key = *const Node;

/// What tells an array from others while its node is held.
pub(crate) fn key(array: &Array) -> (Key, u32) {
    (Arc::as_ptr(&array.node), array.index)
}

/// One traced node on the way from the leaves to the outputs.
pub(crate) struct Step {
    pub(crate) node: Arc<Node>,
    pub(crate) op: Op,
    pub(crate) inputs: Inputs,
}

/// The nodes that lie between the leaves and the outputs, inputs before their users.
pub(crate) fn steps_between(leaves: &[Array], outputs: &[Array]) -> Vec<Step> {
    struct Frame {
        node: Arc<Node>,
        op: Op,
        inputs: Inputs,
        next: usize,
        reaches: bool,
    }
    let mut reaches: HashMap<Key, bool> = leaves
        .iter()
        .map(|leaf| (Arc::as_ptr(&leaf.node), true))
        .collect();
    let mut steps = Vec::new();
    let mut stack: Vec<Frame> = Vec::new();
    let open = |reaches: &mut HashMap<Key, bool>, node: &Arc<Node>| {
        // Nothing outside a running trace can depend on a leaf.
        let history = if node.is_traced() {
            node.history()
        } else {
            None
        };
        let Some((op, inputs)) = history else {
            reaches.insert(Arc::as_ptr(node), false);
            return None;
        };
        Some(Frame {
            node: node.clone(),
            op,
            inputs,
            next: 0,
            reaches: false,
        })
    };
    for output in outputs {
        if !reaches.contains_key(&Arc::as_ptr(&output.node)) {
            stack.extend(open(&mut reaches, &output.node));
        }
        while let Some(frame) = stack.last_mut() {
            if let Some(input) = frame.inputs.get(frame.next) {
                if let Some(known) = reaches.get(&Arc::as_ptr(&input.node)) {
                    frame.reaches |= known;
                    frame.next += 1;
                } else {
                    let node = input.node.clone();
                    stack.extend(open(&mut reaches, &node));
                }
            } else if let Some(Frame {
                node,
                op,
                inputs,
                reaches: found,
                ..
            }) = stack.pop()
            {
                reaches.insert(Arc::as_ptr(&node), found);
                if found {
                    steps.push(Step { node, op, inputs });
                }
            }
        }
    }
    steps
}
