//! Owns pictures of graphs, in the language of Graphviz.

use std::{any::Any, collections::HashMap, fmt::Write, sync::Arc};

use super::{Node, Op, Spec};
use crate::{Array, ops::fused::Fused};

/// The graph of what is still to be computed for `arrays`, as text that Graphviz draws: `dot -Tsvg`.
///
/// Operations are boxes; arrays that have their values are ellipses; an arrow is an array on its way,
/// with its dtype and shape.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, graph};
/// let text = graph::to_dot(&[array!([1.0, 2.0]).exp()?.sum(..)?]);
/// assert!(text.starts_with("digraph") && text.contains("\"exp\""));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn to_dot(arrays: &[Array]) -> String {
    let mut picture = Picture {
        text: String::from("digraph olivine {\n"),
        names: HashMap::new(),
    };
    for (i, array) in arrays.iter().enumerate() {
        let from = picture.node(&array.node);
        let label = format!("output {i}\\n{}", described(array.spec()));
        let _ = writeln!(picture.text, "  out{i} [shape=ellipse, label=\"{label}\"];");
        picture.arrow(from, &format!("out{i}"), array.spec());
    }
    picture.text.push_str("}\n");
    picture.text
}

/// What an operation is called; a fused one tells its parts.
fn name(op: &Op, inputs: &[Array]) -> String {
    let Op::Primitive(primitive) = op else {
        return op.name().to_owned();
    };
    let any: &dyn Any = &**primitive;
    match any.downcast_ref::<Fused>() {
        Some(fused) => fused.label(inputs),
        None => primitive.name().to_owned(),
    }
}

struct Picture {
    text: String,
    names: HashMap<*const Node, usize>,
}

fn described(spec: &Spec) -> String {
    format!("{} {}", spec.dtype, spec.shape)
}

impl Picture {
    fn arrow(&mut self, from: usize, to: &str, spec: &Spec) {
        // Writing to a string does not fail.
        let _ = writeln!(
            self.text,
            "  n{from} -> {to} [label=\"{}\"];",
            described(spec)
        );
    }

    /// Draws a node and all that it is computed from, and returns its number.
    fn node(&mut self, node: &Arc<Node>) -> usize {
        let mut stack = vec![node.clone()];
        while let Some(node) = stack.pop() {
            let key = Arc::as_ptr(&node);
            if self.names.contains_key(&key) {
                continue;
            }
            let history = if node.data().is_some() {
                None
            } else {
                node.history()
            };
            let Some((op, inputs)) = history else {
                let label = format!("array\\n{}", described(&node.specs[0]));
                self.declare(key, "ellipse", &label);
                continue;
            };
            let missing: Vec<Arc<Node>> = inputs
                .iter()
                .map(|input| input.node.clone())
                .filter(|input| !self.names.contains_key(&Arc::as_ptr(input)))
                .collect();
            if !missing.is_empty() {
                stack.push(node);
                stack.extend(missing);
                continue;
            }
            let shape = if matches!(op, Op::Placeholder(_)) {
                "ellipse"
            } else {
                "box"
            };
            let at = self.declare(key, shape, &name(&op, &inputs));
            for input in &inputs {
                let from = self.names[&Arc::as_ptr(&input.node)];
                self.arrow(from, &format!("n{at}"), input.spec());
            }
        }
        self.names[&Arc::as_ptr(node)]
    }

    fn declare(&mut self, key: *const Node, shape: &str, label: &str) -> usize {
        let at = self.names.len();
        self.names.insert(key, at);
        let _ = writeln!(self.text, "  n{at} [shape={shape}, label=\"{label}\"];");
        at
    }
}
