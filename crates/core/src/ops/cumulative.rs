//! Owns running sums, products and extrema along an axis.

use serde::{Deserialize, Serialize};

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
    stop_gradient,
};

/// What is kept while walking along an axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::cumulative::{Cumulate, Running};
/// let walk = |running| Cumulate { running, axis: 0, reverse: false, inclusive: true };
/// let x = array!([2, 1, 3]);
/// let products = Array::apply_one(walk(Running::Prod), [x.clone()])?;
/// assert_eq!(products.to_vec::<i32>()?, [2, 2, 6]);
/// let greatest = Array::apply_one(walk(Running::Max), [x])?;
/// assert_eq!(greatest.to_vec::<i32>()?, [2, 2, 3]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Running {
    /// The sum so far.
    Sum,
    /// The product so far.
    Prod,
    /// The greatest so far; NaN from the first NaN on.
    Max,
    /// The smallest so far; NaN from the first NaN on.
    Min,
    /// The logarithm of the sum of exponentials so far, without overflow.
    LogSumExp,
}

/// Each element becomes what all up to it, or all before it, come to.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::cumulative::{Cumulate, Running};
/// let sums = Cumulate { running: Running::Sum, axis: 0, reverse: true, inclusive: false };
/// assert_eq!(Array::apply_one(sums, [array!([1, 2, 3])])?.to_vec::<i32>()?, [5, 3, 0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cumulate {
    /// What is kept.
    pub running: Running,
    /// The axis that is walked along.
    pub axis: usize,
    /// From the last element to the first.
    pub reverse: bool,
    /// Counts the element itself.
    pub inclusive: bool,
}

/// How to walk along an axis: `1`, or `Walk::along(1).reverse().exclusive()`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Walk};
/// let x = array!([[1, 2], [3, 4]]);
/// assert_eq!(x.cumsum(1)?.to_vec::<i32>()?, [1, 3, 3, 7]);
/// assert_eq!(x.cumsum(Walk::along(1).reverse())?.to_vec::<i32>()?, [3, 2, 7, 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    axis: i64,
    reverse: bool,
    inclusive: bool,
}

impl Walk {
    /// From the first element of `axis` to the last, each counting itself.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Walk;
    /// assert_eq!(Walk::along(-1), Walk::from(-1));
    /// ```
    pub fn along(axis: i64) -> Self {
        Walk { axis, reverse: false, inclusive: true }
    }

    /// From the last element to the first.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Walk};
    /// let x = array!([1, 2, 3]);
    /// assert_eq!(x.cumsum(Walk::along(0).reverse())?.to_vec::<i32>()?, [6, 5, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn reverse(self) -> Self {
        Walk { reverse: true, ..self }
    }

    /// Elements do not count themselves: the first result is that of nothing.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Walk};
    /// let x = array!([1, 2, 3]);
    /// assert_eq!(x.cumsum(Walk::along(0).exclusive())?.to_vec::<i32>()?, [0, 1, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn exclusive(self) -> Self {
        Walk { inclusive: false, ..self }
    }
}

macro_rules! walk_from {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Walk {
            fn from(axis: $ty) -> Self {
                Walk::along(axis as i64)
            }
        }
    )*};
}

walk_from!(i32, i64, usize);

crate::stored!(Cumulate);

impl Primitive for Cumulate {
    fn name(&self) -> &'static str {
        match self.running {
            Running::Sum => "cumsum",
            Running::Prod => "cumprod",
            Running::Max => "cummax",
            Running::Min => "cummin",
            Running::LogSumExp => "logcumsumexp",
        }
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let x = &inputs[0];
        if self.axis >= x.ndim() {
            return Err(Error::Axis { op: self.name(), axis: self.axis as i64, rank: x.ndim() });
        }
        if self.running == Running::LogSumExp && !x.dtype().is_inexact() {
            let reason = "it takes floating-point arrays";
            return Err(Error::Dtype { op: self.name(), dtype: x.dtype(), reason });
        }
        let counts = self.running == Running::Sum && x.dtype() == Dtype::Bool;
        let dtype = if counts { Dtype::Int32 } else { x.dtype() };
        Ok([Spec { shape: x.shape().clone(), dtype }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let (x, cotangent) = (&vjp.inputs[0], vjp.cotangent());
        vjp.each(|_| {
            if self.running == Running::Sum {
                let back = Cumulate { reverse: !self.reverse, ..*self };
                return Array::apply_one(back, [cotangent.clone()]).map(Some);
            }
            if self.inclusive {
                return self.inclusive_gradient(x, &vjp.outputs[0], cotangent).map(Some);
            }
            // Without the element itself, each result is the one before it with it.
            let whole = Cumulate { inclusive: true, ..*self };
            let y = Array::apply_one(whole, [x.clone()])?;
            let moved = cotangent.neighbour(self.axis, !self.reverse)?;
            whole.inclusive_gradient(x, &y, &moved).map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(Cumulate { axis: self.axis + 1, ..*self })
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// `exp(a - b)`, and zero where either is infinite.
fn exp_difference(a: &Array, b: &Array) -> Result<Array> {
    // Elements that are not used must not make their gradient NaN.
    let finite = b.isfinite()?.logical_and(a.isfinite()?)?;
    let difference = finite.select(a, 0)?.subtract(finite.select(b, 0)?)?;
    finite.select(difference.exp()?, 0)
}

impl Cumulate {
    /// The gradient of what counts the element itself.
    fn inclusive_gradient(&self, x: &Array, y: &Array, cotangent: &Array) -> Result<Array> {
        match self.running {
            Running::Sum => Err(Error::Internal {
                op: self.name(),
                message: "sums have a rule of their own".to_owned(),
            }),
            Running::Prod => {
                // An element's share is the product before it, times what the products from it on
                // pass back to it. Nothing is divided by, so zeros are right.
                let before = Array::apply_one(Cumulate { inclusive: false, ..*self }, [x.clone()])?;
                let factors = x.neighbour(self.axis, !self.reverse)?;
                before.multiply(cotangent.linear_scan(&factors, self.axis, !self.reverse)?)
            }
            Running::Max | Running::Min => {
                // Each result comes from the nearest element at or before it that is equal to it.
                let size = x.shape()[self.axis];
                let mut shape = vec![1; x.ndim()];
                shape[self.axis] = size;
                let places = Array::arange(0, size as i64, 1i64)?.reshape(&shape[..])?;
                let (none, nearest) = if self.reverse {
                    (size as i64 - 1, Running::Min)
                } else {
                    (0, Running::Max)
                };
                let hits = x.equal(y)?.select(places, Array::scalar(none))?;
                let from = Array::apply_one(Cumulate { running: nearest, ..*self }, [hits])?;
                let from = stop_gradient(&from)?;
                cotangent.zeros_like()?.scatter_add_axis(&from, cotangent, self.axis as i64)
            }
            Running::LogSumExp => {
                // Each sum keeps a part of the one before it and gains a part from the element:
                // both are exponentials of differences that are at most zero.
                let size = x.shape()[self.axis];
                if size == 0 {
                    return Ok(cotangent.clone());
                }
                let (front, back) = (y.narrow(self.axis, 0, size - 1), y.narrow(self.axis, 1, size));
                let mut widths = vec![(0, 0); x.ndim()];
                let kept = if self.reverse {
                    widths[self.axis] = (1, 0);
                    exp_difference(&back, &front)?
                } else {
                    widths[self.axis] = (0, 1);
                    exp_difference(&front, &back)?
                };
                let factors = kept.pad(&widths, 0)?;
                let passed = cotangent.linear_scan(&factors, self.axis, !self.reverse)?;
                passed.multiply(exp_difference(x, y)?)
            }
        }
    }
}

impl Array {
    fn cumulate(&self, running: Running, op: &'static str, walk: Walk) -> Result<Array> {
        let Walk { axis, reverse, inclusive } = walk;
        let axis = self.shape().axis(axis, op)?;
        Array::apply_one(Cumulate { running, axis, reverse, inclusive }, [self.clone()])
    }

    /// The running sum along an axis. Integers keep their dtype and wrap; `bool` becomes `int32`;
    /// halves are summed in `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Walk};
    /// let x = Array::from_slice(&[1, 2, 3], [3])?;
    /// assert_eq!(x.cumsum(0)?.to_vec::<i32>()?, [1, 3, 6]);
    /// let rest = x.cumsum(Walk::along(0).reverse().exclusive())?;
    /// assert_eq!(rest.to_vec::<i32>()?, [5, 3, 0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn cumsum(&self, walk: impl Into<Walk>) -> Result<Array> {
        self.cumulate(Running::Sum, "cumsum", walk.into())
    }

    /// The running product along an axis.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1, 2, 3, 4]).cumprod(0)?.to_vec::<i32>()?, [1, 2, 6, 24]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn cumprod(&self, walk: impl Into<Walk>) -> Result<Array> {
        self.cumulate(Running::Prod, "cumprod", walk.into())
    }

    /// The greatest element so far along an axis; NaN from the first NaN on.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1, 3, 2, 5]).cummax(0)?.to_vec::<i32>()?, [1, 3, 3, 5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn cummax(&self, walk: impl Into<Walk>) -> Result<Array> {
        self.cumulate(Running::Max, "cummax", walk.into())
    }

    /// The smallest element so far along an axis; NaN from the first NaN on.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([4, 3, 5, 1]).cummin(0)?.to_vec::<i32>()?, [4, 3, 3, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn cummin(&self, walk: impl Into<Walk>) -> Result<Array> {
        self.cumulate(Running::Min, "cummin", walk.into())
    }

    /// The logarithm of the running sum of exponentials along an axis, without overflow. Integers
    /// become `float32`; halves are summed in `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Walk};
    /// let x = Array::from_slice(&[1000.0f32, 1000.0], [2])?;
    /// let y = x.logcumsumexp(Walk::along(0).reverse())?.to_vec::<f32>()?;
    /// assert!((y[0] - 1000.6931).abs() < 1e-3 && y[1] == 1000.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn logcumsumexp(&self, walk: impl Into<Walk>) -> Result<Array> {
        let dtype = self.dtype().to_inexact();
        // The gradient takes differences of results, for which halves are too short.
        let wide = if dtype.size() == 2 { Dtype::Float32 } else { dtype };
        let sums = self.astype(wide)?.cumulate(Running::LogSumExp, "logcumsumexp", walk.into())?;
        sums.astype(dtype)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    type Call = fn(&Array, Walk) -> Result<Array>;
    fn samples(call: Call, domain: Domain) -> Vec<Sample> {
        let walks = [
            ("axis=0", Walk::along(0)),
            ("axis=-1", Walk::along(-1)),
            ("axis=1, reverse", Walk::along(1).reverse()),
            ("axis=0, exclusive", Walk::along(0).exclusive()),
            ("axis=1, reverse, exclusive", Walk::along(1).reverse().exclusive()),
        ];
        let mut samples: Vec<Sample> = walks
            .into_iter()
            .map(|(label, walk)| {
                Sample::new(label, [Input::new([4, 5], domain)], move |x| call(&x[0], walk))
            })
            .collect();
        samples.push(Sample::new("empty", [Input::any([0, 3])], move |x| call(&x[0], 0.into())));
        samples
    }
    let op = |name, doc, signature, gradient, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Reduction,
        kinds: kinds::ALL,
        gradient,
        samples,
    };
    vec![
        op(
            "cumsum",
            "The running sum.",
            "cumsum(x, axis=None, reverse=False, inclusive=True, dtype=None)",
            Gradient::Smooth,
            || samples(Array::cumsum, Domain::Any),
        ),
        op(
            "cumprod",
            "The running product.",
            "cumprod(x, axis=None, reverse=False, inclusive=True, dtype=None)",
            Gradient::Smooth,
            || samples(Array::cumprod, Domain::Unit),
        ),
        op(
            "cummax",
            "The greatest element so far.",
            "cummax(x, axis=None, reverse=False, inclusive=True)",
            Gradient::Smooth,
            || samples(Array::cummax, Domain::Distinct),
        ),
        op(
            "cummin",
            "The smallest element so far.",
            "cummin(x, axis=None, reverse=False, inclusive=True)",
            Gradient::Smooth,
            || samples(Array::cummin, Domain::Distinct),
        ),
        op(
            "logcumsumexp",
            "The logarithm of the running sum of exponentials, without overflow.",
            "logcumsumexp(x, axis=None, reverse=False, inclusive=True)",
            Gradient::Smooth,
            || samples(Array::logcumsumexp, Domain::Any),
        ),
    ]
}
