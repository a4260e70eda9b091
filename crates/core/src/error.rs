//! Owns the error type: one enum whose variants carry the facts of what went wrong.

use crate::{Dtype, Shape};

/// The result of every fallible operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong when a graph is built or evaluated.
///
/// Errors are cheap to clone: when an evaluation fails, every array that depended on the failed
/// one reports the same error.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Error};
/// let a = Array::from_slice(&[1.0f32, 2.0, 3.0], [3])?;
/// let b = Array::from_slice(&[1.0f32, 2.0], [2])?;
/// assert!(matches!(a.add(&b), Err(Error::Broadcast { .. })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two shapes cannot be broadcast together.
    #[error("[{op}] shapes {left} and {right} cannot be broadcast together")]
    Broadcast {
        /// The operation.
        op: &'static str,
        /// The first shape.
        left: Shape,
        /// The second shape.
        right: Shape,
    },
    /// The inner dimensions of a matrix product differ.
    #[error("[{op}] inner dimensions differ: {left} @ {right}")]
    InnerDimensions {
        /// The operation.
        op: &'static str,
        /// The shape of the left matrix.
        left: Shape,
        /// The shape of the right matrix.
        right: Shape,
    },
    /// An axis lies outside the array.
    #[error("[{op}] axis {axis} is out of range for an array with {rank} dimensions")]
    Axis {
        /// The operation.
        op: &'static str,
        /// The axis as it was given.
        axis: i64,
        /// The array's number of dimensions.
        rank: usize,
    },
    /// An index lies outside its axis.
    #[error("[{op}] index {index} is out of range for axis {axis} of size {size}")]
    Index {
        /// The operation.
        op: &'static str,
        /// The index as it was given.
        index: i64,
        /// The axis it was applied to.
        axis: usize,
        /// The axis's size.
        size: usize,
    },
    /// A shape does not fit the operation.
    #[error("[{op}] {reason}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// What does not fit, with the shapes.
        reason: String,
    },
    /// A dtype does not fit the operation.
    #[error("[{op}] {dtype} is not supported: {reason}")]
    Dtype {
        /// The operation.
        op: &'static str,
        /// The dtype that was given.
        dtype: Dtype,
        /// Why it does not fit, or what would.
        reason: &'static str,
    },
    /// An argument has a value the operation cannot use.
    #[error("[{op}] {reason}")]
    Argument {
        /// The operation.
        op: &'static str,
        /// Which argument, its value, and what is allowed.
        reason: String,
    },
    /// A module's parameter is missing, unknown or of the wrong shape.
    #[error("[{op}] parameter `{name}` {reason}")]
    Parameter {
        /// The operation.
        op: &'static str,
        /// The parameter's full name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An operation has no gradient.
    #[error("[{op}] no gradient: {reason}")]
    NoGradient {
        /// The operation.
        op: &'static str,
        /// Why there is none.
        reason: &'static str,
    },
    /// An operation cannot be done for a batch at once.
    #[error("[{op}] no vmap: {reason}")]
    NoBatch {
        /// The operation.
        op: &'static str,
        /// Why it cannot.
        reason: &'static str,
    },
    /// The value of an array was asked for while a transform was tracing the function that made it.
    #[error(
        "[{transform}] the array depends on an argument of a function that is being traced, so it has no \
        value; return it from the function, and evaluate the function's result"
    )]
    Traced {
        /// The transform that traces.
        transform: &'static str,
    },
    /// A backend has no kernel for an operation and the operation has no decomposition.
    #[error("[{op}] {device} has no kernel for this operation")]
    NoKernel {
        /// The operation.
        op: &'static str,
        /// The device the operation was placed on.
        device: crate::Device,
    },
    /// No backend is linked for a device.
    #[error("no backend for {0} is linked into this program; enable the matching cargo feature")]
    NoBackend(crate::Device),
    /// Memory ran out or a limit was reached.
    #[error("out of memory: {requested} bytes were requested with {active} in use{}",
        limit.map(|l| format!(" under a limit of {l}")).unwrap_or_default())]
    OutOfMemory {
        /// The bytes that were requested.
        requested: usize,
        /// The bytes in use at that moment.
        active: usize,
        /// The limit, if one is set.
        limit: Option<usize>,
    },
    /// The elements of an array could not be read.
    #[error("{reason}")]
    Read {
        /// What could not be read, and why.
        reason: String,
    },
    /// A kernel panicked. This is a defect in Olivine.
    #[error("[{op}] internal error: {message}")]
    Internal {
        /// The operation that was running.
        op: &'static str,
        /// The panic's message.
        message: String,
    },
}
