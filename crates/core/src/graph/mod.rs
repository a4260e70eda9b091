//! Owns the graph: nodes, the operations they record, and their evaluation.

mod eval;
mod node;
mod replay;

use std::{any::Any, fmt, sync::Arc};

use smallvec::SmallVec;

pub(crate) use eval::copy_now;
pub use eval::{async_eval, eval};
pub(crate) use node::{Inputs, Node, Pending, TraceScope};
pub use replay::decomposed;

use crate::{
    Array, Dtype, Error, Result, Shape,
    ops::{
        scalar::{Binary, Unary},
        view::View,
    },
};

/// The shape and dtype of one output.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// What a node computes from its inputs.
#[derive(Clone)]
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
    /// Anything structured.
    Primitive(Arc<dyn Primitive>),
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
            Op::Primitive(primitive) => primitive.name(),
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::View(view) => view.fmt(f),
            Op::Primitive(primitive) => primitive.fmt(f),
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::Copy => {
                f.write_str(self.name())
            }
        }
    }
}

/// A structured operation. It lives in one file with its parameters and all its rules.
///
/// See ARCHITECTURE.md for a worked example.
pub trait Primitive: Any + Send + Sync + fmt::Debug {
    /// The operation's name, as users know it.
    fn name(&self) -> &'static str;

    /// The outputs' shapes and dtypes, or why the inputs do not fit.
    fn infer(&self, inputs: &[Array]) -> Result<Specs>;

    /// The gradient with respect to each wanted input, from the cotangents of the outputs. Where
    /// mathematics has none, return [`Vjp::unsupported`].
    fn vjp(&self, vjp: &Vjp) -> Result<Gradients>;

    /// The same meaning in simpler operations, for backends without a kernel and for tests. Return
    /// [`no_decomposition`] if the operation is itself the simplest form.
    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>>;
}

/// What [`Primitive::decompose`] returns for operations that every backend must implement.
pub fn no_decomposition(op: &'static str) -> Result<Vec<Array>> {
    Err(Error::NoKernel {
        op,
        device: crate::Stream::current().device(),
    })
}

/// One gradient for each input; `None` where it is zero or was not wanted.
pub type Gradients = SmallVec<[Option<Array>; 3]>;

/// What a reverse-mode rule works with.
pub struct Vjp<'a> {
    pub(crate) op: &'static str,
    /// The inputs of the operation.
    pub inputs: &'a [Array],
    /// Its outputs.
    pub outputs: &'a [Array],
    /// The cotangent of each output; `None` means zero.
    pub cotangents: &'a [Option<Array>],
    /// For each input, whether its gradient is needed.
    pub wanted: &'a [bool],
}

impl Vjp<'_> {
    /// The cotangent of the first output.
    pub fn cotangent(&self) -> &Array {
        self.cotangents[0]
            .as_ref()
            .expect("rules run only when a cotangent reached an output")
    }

    /// Builds the gradients from a rule that is called for each wanted input.
    pub fn each(&self, rule: impl FnMut(usize) -> Result<Option<Array>>) -> Result<Gradients> {
        let mut rule = rule;
        (0..self.inputs.len())
            .map(|i| if self.wanted[i] { rule(i) } else { Ok(None) })
            .collect()
    }

    /// The gradients found by differentiating `f`, the same meaning in simpler operations.
    ///
    /// It is the rule of fused gradients, which are rarely differentiated again.
    pub fn through(&self, f: impl FnOnce(&[Array]) -> Result<Vec<Array>>) -> Result<Gradients> {
        let cotangents = self.cotangents.iter().zip(self.outputs);
        let cotangents: Vec<Array> = cotangents
            .map(|(cotangent, output)| match cotangent {
                Some(cotangent) => Ok(cotangent.clone()),
                None => Array::zeros(output.shape(), output.dtype()),
            })
            .collect::<Result<_>>()?;
        let (_, gradients) = crate::vjp(f, self.inputs, &cotangents)?;
        let wanted = gradients.into_iter().zip(self.wanted);
        Ok(wanted
            .map(|(gradient, &wanted)| wanted.then_some(gradient))
            .collect())
    }

    /// The error of an operation that has no gradient.
    pub fn unsupported(&self, reason: &'static str) -> Result<Gradients> {
        Err(Error::NoGradient {
            op: self.op,
            reason,
        })
    }
}
