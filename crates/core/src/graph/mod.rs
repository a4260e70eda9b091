//! Owns the graph: nodes, the operations they record, and their evaluation.

mod dot;
mod eval;
mod node;
pub(crate) mod number;
mod program;
mod replay;
mod rules;

use std::{any::Any, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub use dot::to_dot;
pub(crate) use eval::copy_now;
pub use eval::{async_eval, eval, eval_until};
pub(crate) use node::{Inputs, Node, Pending, TraceScope};
pub use program::{Program, Slot, Step};
pub use replay::decomposed;
pub(crate) use replay::outputs_of;
pub use rules::{Batched, Gradients, Jvp, Tangents, Vjp, Vmap};

use crate::{
    Array, Dtype, Error, Result, Shape,
    ops::{
        scalar::{Binary, Unary},
        view::View,
    },
};

/// The shape and dtype of one output.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spec {
    /// The sizes of the axes.
    pub shape: Shape,
    /// The element type.
    pub dtype: Dtype,
}

impl Spec {
    /// A spec of `shape` and `dtype`.
    pub fn new(shape: impl Into<Shape>, dtype: Dtype) -> Self {
        Spec {
            shape: shape.into(),
            dtype,
        }
    }
}

/// The specs of an operation's outputs; nearly always one.
pub type Specs = SmallVec<[Spec; 1]>;

/// The name of a transform that traces a function.
#[derive(Clone, Copy, Debug)]
pub struct Tracer(pub(crate) &'static str);

/// What a node computes from its inputs.
#[derive(Clone, Serialize, Deserialize)]
pub enum Op {
    /// A scalar function of one input.
    Unary(Unary),
    /// A scalar function of two inputs of equal shape and dtype.
    Binary(Binary),
    /// Elementwise choice: condition, value where true, value where false.
    Select,
    /// Conversion to the output's dtype.
    Cast,
    /// A row-major copy.
    Copy,
    /// The same elements under another shape or order; no data moves unless it must.
    View(View),
    /// An argument of a function that the named transform is tracing; it never has a value.
    #[serde(skip)]
    Placeholder(Tracer),
    /// Anything structured.
    Primitive(#[serde(with = "shared")] Arc<dyn Primitive>),
}

impl Op {
    /// The operation's name, as users know it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Unary(unary) => unary.name(),
            Op::Binary(binary) => binary.name(),
            Op::Select => "select",
            Op::Cast => "astype",
            Op::Copy => "contiguous",
            Op::View(view) => view.name(),
            Op::Placeholder(transform) => transform.0,
            Op::Primitive(primitive) => primitive.name(),
        }
    }
}

/// How a shared primitive is written and read: as one that is not shared.
mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Arc, Primitive};

    pub(super) fn serialize<S: Serializer>(
        primitive: &Arc<dyn Primitive>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (**primitive).serialize(serializer)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<Arc<dyn Primitive>, D::Error> {
        Box::<dyn Primitive>::deserialize(deserializer).map(Arc::from)
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::View(view) => view.fmt(f),
            Op::Primitive(primitive) => primitive.fmt(f),
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Select
            | Op::Cast
            | Op::Copy
            | Op::Placeholder(_) => f.write_str(self.name()),
        }
    }
}

/// A structured operation. It lives in one file with its parameters and all its rules.
///
/// See ARCHITECTURE.md for a worked example.
#[typetag::serde]
pub trait Primitive: Any + Send + Sync + fmt::Debug {
    /// The operation's name, as users know it.
    fn name(&self) -> &'static str;

    /// The outputs' shapes and dtypes, or why the inputs do not fit.
    fn infer(&self, inputs: &[Array]) -> Result<Specs>;

    /// The gradient with respect to each wanted input, from the cotangents of the outputs. Where
    /// mathematics has none, return [`Vjp::unsupported`].
    fn vjp(&self, vjp: &Vjp) -> Result<Gradients>;

    /// Whether no gradient is wanted of what lies before the operation, so that nothing of it needs a
    /// rule.
    fn stops_gradients(&self) -> bool {
        false
    }

    /// The tangent of each output, from the tangents of the inputs. [`Jvp::transposed`] serves every
    /// operation whose reverse-mode rule is built from operations with rules.
    fn jvp(&self, jvp: &Jvp) -> Result<Tangents>;

    /// The outputs for a batch of inputs, with the batch along the first axis. [`Vmap::each`] serves
    /// every operation, one part of the batch at a time.
    fn vmap(&self, vmap: &Vmap) -> Result<Batched>;

    /// The same meaning in simpler operations, for backends without a kernel and for tests. Return
    /// [`no_decomposition`] if the operation is itself the simplest form.
    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>>;
}

/// Checks that an operation has exactly as many inputs as it takes; one that was read from a file
/// may have any number.
pub(crate) fn exactly(op: &'static str, count: usize, inputs: &[Array]) -> Result<()> {
    between(op, count, count, inputs)
}

/// As [`exactly`], where some of the inputs may be missing.
pub(crate) fn between(op: &'static str, least: usize, most: usize, inputs: &[Array]) -> Result<()> {
    if (least..=most).contains(&inputs.len()) {
        return Ok(());
    }
    let reason = format!("{} inputs where {least} to {most} belong", inputs.len());
    Err(Error::Argument { op, reason })
}

/// What [`Primitive::decompose`] returns for operations that every backend must implement.
pub fn no_decomposition(op: &'static str) -> Result<Vec<Array>> {
    Err(Error::NoKernel {
        op,
        device: crate::Stream::current().device(),
    })
}
