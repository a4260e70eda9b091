//! Owns what the list of ops says of each: its doc, signature, dtypes and sample calls.

use std::sync::Arc;

use crate::{Array, Dtype, Kind, Result};

/// The group an op is listed under in the documentation.
///
/// ```
/// use olivine_core::ops::{Family, ops};
/// let softmax = ops().iter().find(|op| op.name == "softmax").expect("it is listed");
/// assert_eq!(softmax.family, Family::Reduction);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Scalar functions of one array.
    Unary,
    /// Scalar functions of two arrays.
    Binary,
    /// Choice, conversion and copying.
    Elementwise,
    /// New arrays from nothing.
    Creation,
    /// Reordering, joining and cutting.
    Shape,
    /// Reading and writing by position.
    Indexing,
    /// Sums, extrema, means and the like.
    Reduction,
    /// Orders.
    Sorting,
    /// Products of matrices.
    Linear,
    /// Fused building blocks of neural networks.
    Fast,
    /// Random numbers.
    Random,
    /// Facts about dtypes and shapes; nothing is computed.
    Query,
}

/// The numbers a sample input is filled with.
///
/// ```
/// use olivine_core::ops::{Domain, ops};
/// let log = ops().iter().find(|op| op.name == "log").expect("it is listed");
/// assert_eq!((log.samples)()[0].inputs[0].domain, Domain::Positive);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Roughly normal, both signs; integers within ±9 or from 0 to 9.
    Any,
    /// Above zero, away from it.
    Positive,
    /// Strictly between −1 and 1.
    Unit,
    /// Strictly above 1.
    AboveOne,
    /// Both signs, away from zero.
    NonZero,
    /// Distinct values, so that order is unambiguous.
    Distinct,
    /// Integers from 0 up to, not including, the bound. Always of dtype int32.
    Index(usize),
    /// Truth values. Always of dtype bool.
    Truth,
}

/// One input of a sample.
///
/// ```
/// use olivine_core::ops::{Domain, Input};
/// let input = Input { shape: vec![2, 3], domain: Domain::Unit };
/// assert_eq!(input, Input::new([2, 3], Domain::Unit));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The sizes of its axes.
    pub shape: Vec<usize>,
    /// The numbers it holds.
    pub domain: Domain,
}

impl Input {
    /// An input of `shape` filled from `domain`.
    ///
    /// ```
    /// use olivine_core::ops::{Domain, Input};
    /// assert_eq!(Input::new([4], Domain::Distinct).shape, [4]);
    /// ```
    pub fn new(shape: impl Into<Vec<usize>>, domain: Domain) -> Self {
        Input {
            shape: shape.into(),
            domain,
        }
    }

    /// An input of positions on an axis of size `bound`.
    ///
    /// ```
    /// use olivine_core::ops::{Domain, Input};
    /// assert_eq!(Input::index([3], 10).domain, Domain::Index(10));
    /// ```
    pub fn index(shape: impl Into<Vec<usize>>, bound: usize) -> Self {
        Self::new(shape, Domain::Index(bound))
    }

    /// An input filled with ordinary numbers.
    ///
    /// ```
    /// use olivine_core::ops::{Domain, Input};
    /// assert_eq!(Input::any([2, 2]), Input::new([2, 2], Domain::Any));
    /// ```
    pub fn any(shape: impl Into<Vec<usize>>) -> Self {
        Self::new(shape, Domain::Any)
    }
}

/// Whether, and how, an op has a gradient.
///
/// ```
/// use olivine_core::ops::{Gradient, ops};
/// let find = |name| ops().iter().find(|op| op.name == name).expect("it is listed").gradient;
/// assert_eq!((find("exp"), find("floor")), (Gradient::Smooth, Gradient::Zero));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradient {
    /// It has one everywhere in the samples' domains: checked against finite differences.
    Smooth,
    /// It is zero wherever it exists.
    Zero,
    /// It is a convention that differs from the slope, for this reason; tests of its own check it.
    Estimated(&'static str),
    /// There is none, for this reason.
    None(&'static str),
}

/// The call of a sample: from its inputs to the op's results.
pub type SampleCall = Arc<dyn Fn(&[Array]) -> Result<Vec<Array>> + Send + Sync>;

/// One call of an op with particular shapes and parameters.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::ops::ops;
/// let exp = ops().iter().find(|op| op.name == "exp").expect("it is listed");
/// let sample = &(exp.samples)()[0];
/// let x = Array::zeros(&sample.inputs[0].shape[..], Dtype::Float32)?;
/// assert_eq!((sample.call)(&[x])?[0].max(..)?.item::<f32>()?, 1.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Sample {
    /// The parameters, in words: `"axis=0, keep"`. Empty if there are none.
    pub label: String,
    /// The inputs to make.
    pub inputs: Vec<Input>,
    /// The call.
    pub call: SampleCall,
}

impl Sample {
    /// A sample with one result.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_core::ops::{Input, Sample};
    /// let sample = Sample::new("twice", [Input::any([2])], |x| x[0].multiply(2));
    /// assert_eq!((sample.call)(&[array!([1, 2])])?[0].to_vec::<i32>()?, [2, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(
        label: impl Into<String>,
        inputs: impl Into<Vec<Input>>,
        call: impl Fn(&[Array]) -> Result<Array> + Send + Sync + 'static,
    ) -> Self {
        fn listed(result: Result<Array>) -> Result<Vec<Array>> {
            Ok(vec![result?])
        }
        Self::many(label, inputs, move |inputs| listed(call(inputs)))
    }

    /// A sample with several results.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_core::ops::{Input, Sample};
    /// let sample = Sample::many("by 2", [Input::any([1])], |x| {
    ///     let (quotient, rest) = x[0].divmod(2)?;
    ///     Ok(vec![quotient, rest])
    /// });
    /// assert_eq!((sample.call)(&[array!([5])])?[1].item::<i32>()?, 1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn many(
        label: impl Into<String>,
        inputs: impl Into<Vec<Input>>,
        call: impl Fn(&[Array]) -> Result<Vec<Array>> + Send + Sync + 'static,
    ) -> Self {
        let (label, inputs, call) = (label.into(), inputs.into(), Arc::new(call));
        Sample {
            label,
            inputs,
            call,
        }
    }
}

/// What there is to know about one public op.
///
/// ```
/// use olivine_core::ops::{OpInfo, ops};
/// let matmul: &OpInfo = ops().iter().find(|op| op.name == "matmul").expect("it is listed");
/// assert_eq!(matmul.signature, "matmul(a, b)");
/// assert!(!(matmul.samples)().is_empty());
/// ```
#[derive(Clone)]
pub struct OpInfo {
    /// The name, MLX's where MLX has the op.
    pub name: &'static str,
    /// One sentence: what it computes.
    pub doc: &'static str,
    /// Its arguments as Python users write them: `softmax(x, axis=None)`.
    pub signature: &'static str,
    /// The group it is listed under.
    pub family: Family,
    /// The kinds of dtype its main inputs may have.
    pub kinds: &'static [Kind],
    /// Its gradient.
    pub gradient: Gradient,
    /// Makes its sample calls.
    pub samples: fn() -> Vec<Sample>,
}

impl OpInfo {
    /// True if arrays of `dtype` may be given.
    ///
    /// ```
    /// use olivine_core::Dtype;
    /// use olivine_core::ops::ops;
    /// let invert = ops().iter().find(|op| op.name == "bitwise_invert").expect("it is listed");
    /// assert!(invert.accepts(Dtype::Uint8) && !invert.accepts(Dtype::Float32));
    /// ```
    pub fn accepts(&self, dtype: Dtype) -> bool {
        self.kinds.contains(&dtype.kind())
    }
}

/// Lists of kinds that ops accept.
pub(crate) mod kinds {
    use crate::Kind::{self, Bool, Complex, Float, Signed, Unsigned};
    pub(crate) const ALL: &[Kind] = &[Bool, Unsigned, Signed, Float, Complex];
    pub(crate) const REAL: &[Kind] = &[Bool, Unsigned, Signed, Float];
    pub(crate) const NUMBER: &[Kind] = &[Unsigned, Signed, Float, Complex];
    pub(crate) const INTEGRAL: &[Kind] = &[Bool, Unsigned, Signed];
    pub(crate) const INEXACT: &[Kind] = &[Float, Complex];
    pub(crate) const FLOAT: &[Kind] = &[Float];
}
