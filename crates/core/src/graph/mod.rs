//! Owns the graph: nodes, the operations they record, and their evaluation.

mod dot;
mod eval;
mod node;
pub(crate) mod number;
mod program;
mod replay;
mod rules;
#[doc(hidden)]
pub mod stored;

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
pub use stored::Stored;

use crate::{
    Array, Dtype, Error, Result, Shape,
    ops::{
        scalar::{Binary, Unary},
        view::View,
    },
};

/// The shape and dtype of one output.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Dtype, graph::Spec};
/// let spec = Spec::new([2, 3], Dtype::Float16);
/// assert_eq!((spec.shape.elements(), spec.dtype.size()), (6, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spec {
    /// The sizes of the axes.
    pub shape: Shape,
    /// The element type.
    pub dtype: Dtype,
}

impl Spec {
    /// A spec of `shape` and `dtype`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Dtype, graph::Spec};
    /// let x = array!([1.0, 2.0]);
    /// assert_eq!(Spec::new(x.shape(), x.dtype()), Spec::new([2], Dtype::Float32));
    /// ```
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
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, compile};
/// // A placeholder has no value; reading it names the transform that traced the function.
/// let y = compile(|x: &Array| {
///     assert!(x.item::<f32>().unwrap_err().to_string().contains("compile"));
///     x.exp()
/// })(&array!([0.0]))?;
/// assert_eq!(y.item::<f32>()?, 1.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tracer(pub(crate) &'static str);

/// What a node computes from its inputs.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, graph::Program};
/// let x = array!([[1.0, 2.0]]);
/// let program = Program::trace(&[x], |x| Ok(vec![x[0].transpose(..)?.exp()?]))?;
/// let names: Vec<&str> = program.steps.iter().map(|step| step.op.name()).collect();
/// assert_eq!(names, ["transpose", "exp"]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
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
    Primitive(#[serde(with = "stored")] Arc<dyn Primitive>),
}

impl Op {
    /// The operation's name, as users know it.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::graph::Op;
    /// use olivine_core::ops::scalar::Unary;
    /// assert_eq!(Op::Unary(Unary::Exp).name(), "exp");
    /// assert_eq!(Op::Cast.name(), "astype");
    /// ```
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
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, array, grad, Result, graph::{Jvp, Primitive, Spec, Vjp, Vmap}};
/// use olivine_core::graph::{Batched, Gradients, Specs, Tangents};
/// #[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
/// struct Cube;
/// olivine_core::stored!(Cube, "CubeOfTheExample");
/// impl Primitive for Cube {
///     fn name(&self) -> &'static str {
///         "cube"
///     }
///     fn infer(&self, inputs: &[Array]) -> Result<Specs> {
///         Ok([Spec::new(inputs[0].shape(), inputs[0].dtype())].into())
///     }
///     fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
///         vjp.each(|_| {
///             let slope = vjp.inputs[0].square()?.multiply(3)?;
///             vjp.cotangent().multiply(slope).map(Some)
///         })
///     }
///     fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
///         jvp.transposed(self)
///     }
///     fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
///         vmap.lifted(*self)
///     }
///     fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
///         Ok(vec![inputs[0].square()?.multiply(&inputs[0])?])
///     }
/// }
/// let slope = grad(|x: &Array| Array::apply_one(Cube, [x.clone()]))(&array!(2.0))?;
/// assert_eq!(slope.item::<f32>()?, 12.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Primitive: Stored + Any + Send + Sync + fmt::Debug {
    /// The operation's name, as users know it.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{ops::matmul::Matmul, graph::Primitive};
    /// assert_eq!(Matmul.name(), "matmul");
    /// ```
    fn name(&self) -> &'static str;

    /// The outputs' shapes and dtypes, or why the inputs do not fit.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, graph::Spec};
    /// use olivine_core::{ops::matmul::Matmul, graph::Primitive};
    /// let (a, b) = (Array::ones([2, 3], Dtype::Float32)?, Array::ones([3, 4], Dtype::Float32)?);
    /// assert_eq!(Matmul.infer(&[a.clone(), b.clone()])?[0], Spec::new([2, 4], Dtype::Float32));
    /// assert!(Matmul.infer(&[b, a]).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn infer(&self, inputs: &[Array]) -> Result<Specs>;

    /// The gradient with respect to each wanted input, from the cotangents of the outputs. Where
    /// mathematics has none, return [`Vjp::unsupported`].
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, grad, graph::Vjp};
    /// cube! {
    ///     vjp: |vjp: &Vjp| vjp.each(|_| {
    ///         vjp.inputs[0].square()?.multiply(3)?.multiply(vjp.cotangent()).map(Some)
    ///     });
    /// }
    /// assert_eq!(grad(cube)(&array!(2.0))?.item::<f32>()?, 12.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn vjp(&self, vjp: &Vjp) -> Result<Gradients>;

    /// Whether no gradient is wanted of what lies before the operation, so that nothing of it needs a
    /// rule.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{ops::matmul::Matmul, graph::Primitive};
    /// assert!(!Matmul.stops_gradients());
    /// ```
    fn stops_gradients(&self) -> bool {
        false
    }

    /// The tangent of each output, from the tangents of the inputs. [`Jvp::transposed`] serves every
    /// operation whose reverse-mode rule is built from operations with rules.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, jvp, graph::Jvp};
    /// cube! {
    ///     jvp: |rule: &Jvp| {
    ///         let tangent = rule.tangents[0].as_ref().expect("the one input has a tangent");
    ///         let slope = rule.inputs[0].square()?.multiply(3)?;
    ///         Ok([Some(slope.multiply(tangent)?)].into_iter().collect())
    ///     };
    /// }
    /// let (_, tangents) = jvp(|x| Ok(vec![cube(&x[0])?]), &[array!(2.0)], &[array!(10.0)])?;
    /// assert_eq!(tangents[0].item::<f32>()?, 120.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn jvp(&self, jvp: &Jvp) -> Result<Tangents>;

    /// The outputs for a batch of inputs, with the batch along the first axis. [`Vmap::each`] serves
    /// every operation, one part of the batch at a time.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Vmap, vmap};
    /// // A function of elements treats the axis of the batch as any other.
    /// cube! { vmap: |vmap: &Vmap| vmap.lifted(Cube); }
    /// let y = vmap(|x: &Array| cube(x), 0, 0)(&array!([1.0, 2.0]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 8.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn vmap(&self, vmap: &Vmap) -> Result<Batched>;

    /// The same meaning in simpler operations, for backends without a kernel and for tests. Return
    /// [`no_decomposition`] if the operation is itself the simplest form.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, keep};
    /// use olivine_core::{ops::{logsumexp::LogSumExp, matmul::Matmul}, graph::Primitive};
    /// let x = array!([0.0, 0.0]);
    /// let simpler = &LogSumExp.decompose(&[x.clone()])?[0];
    /// assert_eq!(simpler.to_vec::<f32>()?, x.logsumexp(keep(-1))?.to_vec::<f32>()?);
    /// assert!(Matmul.decompose(&[x.clone(), x]).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
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
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Error;
/// use olivine_core::graph::no_decomposition;
/// let error = no_decomposition("matmul").unwrap_err();
/// assert!(matches!(error, Error::NoKernel { op: "matmul", .. }));
/// ```
pub fn no_decomposition(op: &'static str) -> Result<Vec<Array>> {
    Err(Error::NoKernel {
        op,
        device: crate::Stream::current().device(),
    })
}
