//! Owns reductions by sum, product, extremum and truth; means and variances are built on them.

use serde::{Deserialize, Serialize};

use smallvec::SmallVec;

use super::{
    Domain, Family, Gradient, Input, OpInfo, Sample, cumulative::Walk, info::kinds,
    like::Extent,
};
use crate::{
    Array, Axes, Dtype, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
    transforms::compile::sizes_may_change,
};

/// How a reduction combines elements.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::reduce::{Reduce, Reduction};
/// let over = |reduction| Reduce { reduction, axes: [0].into_iter().collect() };
/// let x = array!([2, 3, 4]);
/// assert_eq!(Array::apply_one(over(Reduction::Prod), [x.clone()])?.item::<i32>()?, 24);
/// assert_eq!(Array::apply_one(over(Reduction::Max), [x])?.item::<i32>()?, 4);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reduction {
    /// Their sum; zero of none.
    Sum,
    /// Their product; one of none.
    Prod,
    /// The smallest; NaN if any is.
    Min,
    /// The greatest; NaN if any is.
    Max,
    /// Whether all are nonzero.
    All,
    /// Whether any is nonzero.
    Any,
}

/// Combines elements along axes, which stay with size one.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::reduce::{Reduce, Reduction};
/// let columns = Reduce { reduction: Reduction::Sum, axes: [0].into_iter().collect() };
/// let y = Array::apply_one(columns, [array!([[1, 2], [3, 4]])])?;
/// assert_eq!((y.shape().dims(), y.to_vec::<i32>()?), (&[1, 2][..], vec![4, 6]));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reduce {
    /// How elements combine.
    pub reduction: Reduction,
    /// The axes, sorted.
    pub axes: SmallVec<[usize; 4]>,
}

/// The dtype of sums and products: narrow integers widen to 32 bits.
pub(crate) fn accumulated(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::Bool | Dtype::Int8 | Dtype::Int16 => Dtype::Int32,
        Dtype::Uint8 | Dtype::Uint16 => Dtype::Uint32,
        Dtype::Uint32
        | Dtype::Uint64
        | Dtype::Int32
        | Dtype::Int64
        | Dtype::Float16
        | Dtype::BFloat16
        | Dtype::Float32
        | Dtype::Float64
        | Dtype::Complex64 => dtype,
    }
}

crate::stored!(Reduce);

impl Primitive for Reduce {
    fn name(&self) -> &'static str {
        match self.reduction {
            Reduction::Sum => "sum",
            Reduction::Prod => "prod",
            Reduction::Min => "min",
            Reduction::Max => "max",
            Reduction::All => "all",
            Reduction::Any => "any",
        }
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let x = &inputs[0];
        let mut shape = x.shape().clone();
        for &axis in &self.axes {
            if axis >= x.ndim() {
                return Err(Error::Axis { op: self.name(), axis: axis as i64, rank: x.ndim() });
            }
            if shape[axis] == 0 && matches!(self.reduction, Reduction::Min | Reduction::Max) {
                let reason = format!("axis {axis} of shape {} is empty", x.shape());
                return Err(Error::Shape { op: self.name(), reason });
            }
            shape = shape.with_axis(axis, 1);
        }
        let truth = matches!(self.reduction, Reduction::All | Reduction::Any);
        if truth && x.dtype() != Dtype::Bool {
            let reason = "it takes truth values; convert with astype first";
            return Err(Error::Dtype { op: self.name(), dtype: x.dtype(), reason });
        }
        let dtype = match self.reduction {
            Reduction::Sum | Reduction::Prod => accumulated(x.dtype()),
            Reduction::Min | Reduction::Max => x.dtype(),
            Reduction::All | Reduction::Any => Dtype::Bool,
        };
        Ok([Spec { shape, dtype }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let (x, y, cotangent) = (&vjp.inputs[0], &vjp.outputs[0], vjp.cotangent());
        vjp.each(|_| match self.reduction {
            Reduction::Sum => x.filled_like(&cotangent.astype(x.dtype())?).map(Some),
            Reduction::Prod => product_gradient(x, &self.axes, cotangent).map(Some),
            Reduction::Min | Reduction::Max => {
                // Elements that tie for the extremum share its gradient.
                let hit = x.equal(y)?.astype(x.dtype())?;
                let share = hit.divide(hit.sum(crate::keep(&self.axes[..]))?)?;
                cotangent.multiply(share)?.astype(x.dtype()).map(Some)
            }
            Reduction::All | Reduction::Any => Ok(None),
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        match self.reduction {
            Reduction::Sum => jvp.linear(self),
            Reduction::All | Reduction::Any => jvp.zero(),
            Reduction::Prod => jvp.transposed(self),
            Reduction::Min | Reduction::Max => {
                let [Some(tangent)] = jvp.tangents else { return jvp.zero() };
                // The mean over the elements that tie for the extremum.
                let hit = jvp.inputs[0].equal(&jvp.outputs[0])?;
                let axes = crate::keep(&self.axes[..]);
                let (sum, count) = (hit.select(tangent, 0)?.sum(axes.clone())?, hit.sum(axes)?);
                let mean = if tangent.dtype().is_inexact() {
                    sum.divide(count.astype(tangent.dtype())?)?
                } else {
                    sum.floor_divide(count)?
                };
                Ok([Some(mean.astype(tangent.dtype())?)].into())
            }
        }
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let axes = self.axes.iter().map(|axis| axis + 1).collect();
        vmap.lifted(Reduce { axes, ..*self })
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The gradient of a product is the product of the others: of those before and of those behind, so that
/// nothing is divided by, which might be zero.
fn product_gradient(x: &Array, axes: &[usize], cotangent: &Array) -> Result<Array> {
    if axes.is_empty() {
        return Ok(cotangent.clone());
    }
    let last = x.ndim() - axes.len();
    let kept = (0..x.ndim()).filter(|axis| !axes.contains(axis));
    let order: SmallVec<[u8; 8]> = kept.chain(axes.iter().copied()).map(|axis| axis as u8).collect();
    let mut back: SmallVec<[u8; 8]> = SmallVec::from_elem(0, order.len());
    for (place, &axis) in order.iter().enumerate() {
        back[usize::from(axis)] = place as u8;
    }
    let moved = x.permuted(order);
    let shape = moved.shape().clone();
    let lines = moved.flatten(last as i64, -1)?;
    let walk = Walk::along(-1).exclusive();
    let others = lines.cumprod(walk)?.multiply(lines.cumprod(walk.reverse())?)?;
    cotangent.multiply(others.reshape_to(shape).permuted(back))?.astype(x.dtype())
}

impl Array {
    fn reduce(&self, reduction: Reduction, axes: impl Into<Axes>, op: &'static str) -> Result<Array> {
        let axes = axes.into();
        let list = axes.resolve(self.ndim(), op)?;
        let mut removed: SmallVec<[usize; 4]> = list.iter().copied().collect();
        let reduced = Array::apply_one(Reduce { reduction, axes: list }, [self.clone()])?;
        if axes.keeps_dims() {
            return Ok(reduced);
        }
        removed.sort_unstable();
        Ok(reduced.without_axes(&removed))
    }

    /// The sum over axes. Narrow integers add up in 32 bits, halves in `float32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.sum(0)?.to_vec::<f32>()?, [4.0, 6.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sum(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.reduce(Reduction::Sum, axes, "sum")
    }

    /// The product over axes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([[1, 2], [3, 4]]).prod(1)?.to_vec::<i32>()?, [2, 12]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn prod(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.reduce(Reduction::Prod, axes, "prod")
    }

    /// The smallest element over axes; NaN if any is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([[1.0, 2.0], [f32::NAN, 4.0]]).min(1)?.index(0)?.item::<f32>()?, 1.0);
    /// assert!(array!([1.0, f32::NAN]).min(..)?.item::<f32>()?.is_nan());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn min(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.reduce(Reduction::Min, axes, "min")
    }

    /// The greatest element over axes; NaN if any is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([[1, 5], [7, 4]]).max(0)?.to_vec::<i32>()?, [7, 5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn max(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.reduce(Reduction::Max, axes, "max")
    }

    /// True where all elements over axes are nonzero.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1, 1], [1, 0]]);
    /// assert_eq!(x.all(1)?.to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn all(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.astype(Dtype::Bool)?.reduce(Reduction::All, axes, "all")
    }

    /// True where any element over axes is nonzero.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[0, 1], [0, 0]]);
    /// assert_eq!(x.any(1)?.to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn any(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.astype(Dtype::Bool)?.reduce(Reduction::Any, axes, "any")
    }

    /// The number of elements along axes.
    fn count(&self, axes: &Axes, op: &'static str) -> Result<usize> {
        Ok(axes.resolve(self.ndim(), op)?.iter().map(|&axis| self.shape()[axis]).product())
    }

    /// A sum over axes divided by the number of its elements less `ddof`.
    fn averaged(&self, axes: Axes, ddof: usize, op: &'static str) -> Result<Array> {
        let count = self.count(&axes, op)?;
        let sum = self.sum(axes.clone())?;
        if sizes_may_change() && self.is_traced() {
            // The number follows the shapes that later calls have.
            let extent = Extent { axes: axes.resolve(self.ndim(), op)?.into_iter().collect() };
            let count = Array::apply_one(extent, [self.clone()])?;
            let count = count.subtract(ddof as i64)?.maximum(0i64)?;
            return sum.divide(count.astype(self.dtype())?);
        }
        sum.divide(count.saturating_sub(ddof) as f64)
    }

    /// The mean over axes; NaN of none.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([[1, 2], [3, 4]]).mean(0)?.to_vec::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn mean(&self, axes: impl Into<Axes>) -> Result<Array> {
        let axes = axes.into();
        let dtype = self.dtype().to_inexact();
        // The sum of many halves overflows before the division, so both are done in float32.
        let wide = if dtype.size() == 2 { Dtype::Float32 } else { dtype };
        self.astype(wide)?.averaged(axes, 0, "mean")?.astype(dtype)
    }

    /// The variance over axes, divided by the count less `ddof`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1.0, 2.0, 3.0]);
    /// assert_eq!(x.var(.., 1)?.item::<f32>()?, 1.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn var(&self, axes: impl Into<Axes>, ddof: usize) -> Result<Array> {
        let axes = axes.into();
        let dtype = self.dtype().to_inexact();
        let wide = if dtype.size() == 2 { Dtype::Float32 } else { dtype };
        let x = self.astype(wide)?;
        let distance = x.subtract(x.mean(crate::keep(axes.clone()))?)?.abs()?;
        let result = if dtype == Dtype::Complex64 { Dtype::Float32 } else { dtype };
        distance.square()?.averaged(axes, ddof, "var")?.astype(result)
    }

    /// The number of elements over axes that are not zero, in int32.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1, 0, 2]).count_nonzero(..)?.item::<i32>()?, 2);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn count_nonzero(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.astype(Dtype::Bool)?.sum(axes)
    }

    /// The standard deviation over axes: the square root of [`Array::var`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([2.0, 4.0, 6.0]);
    /// assert_eq!(x.std(.., 1)?.item::<f32>()?, 2.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn std(&self, axes: impl Into<Axes>, ddof: usize) -> Result<Array> {
        self.var(axes, ddof)?.sqrt()
    }
}

type Call = fn(&Array, Axes) -> Result<Array>;

fn samples(call: Call, domain: Domain, of_none: bool) -> Vec<Sample> {
    let input = |shape: &[usize]| [Input::new(shape, domain)];
    let mut samples = vec![
        Sample::new("axis=None", input(&[3, 4, 5]), move |x| call(&x[0], (..).into())),
        Sample::new("axis=0", input(&[3, 4, 5]), move |x| call(&x[0], 0.into())),
        Sample::new("axis=1, keepdims", input(&[3, 4, 5]), move |x| call(&x[0], crate::keep(1))),
        Sample::new("axis=-1", input(&[3, 130]), move |x| call(&x[0], (-1).into())),
        Sample::new("axis=(0, 2)", input(&[3, 4, 5]), move |x| call(&x[0], [0, 2].into())),
        Sample::new("scalar", input(&[]), move |x| call(&x[0], (..).into())),
        Sample::new("empty result", input(&[0, 3]), move |x| call(&x[0], 1.into())),
    ];
    if of_none {
        samples.push(Sample::new("of none", input(&[0, 3]), move |x| call(&x[0], 0.into())));
    }
    samples
}

macro_rules! reductions {
    ($($name:literal, $doc:literal, $signature:literal, $gradient:expr, $domain:ident, $of_none:literal,
        $call:expr;)*) => {
        vec![$({
            fn make() -> Vec<Sample> {
                let mut samples = samples($call, Domain::$domain, $of_none);
                // The root has no slope at zero, which is the deviation of a single number.
                samples.retain(|sample| $name != "std" || sample.label != "scalar");
                samples
            }
            OpInfo {
                name: $name,
                doc: $doc,
                signature: $signature,
                family: Family::Reduction,
                kinds: kinds::ALL,
                gradient: $gradient,
                samples: make,
            }
        }),*]
    };
}

pub(super) fn ops() -> Vec<OpInfo> {
    use Gradient::{Smooth, Zero};
    reductions! {
        "sum", "The sum over axes.", "sum(x, axis=None, keepdims=False)", Smooth, Any, true,
            Array::sum;
        "prod", "The product over axes.", "prod(x, axis=None, keepdims=False)", Smooth, Unit, true,
            Array::prod;
        "min", "The smallest element over axes.", "min(x, axis=None, keepdims=False)", Smooth,
            Distinct, false, Array::min;
        "max", "The greatest element over axes.", "max(x, axis=None, keepdims=False)", Smooth,
            Distinct, false, Array::max;
        "all", "Whether all elements over axes are nonzero.", "all(x, axis=None, keepdims=False)",
            Zero, Any, true, Array::all;
        "any", "Whether any element over axes is nonzero.", "any(x, axis=None, keepdims=False)",
            Zero, Any, true, Array::any;
        "count_nonzero", "The number of nonzero elements over axes.",
            "count_nonzero(x, axis=None, keepdims=False)", Zero, Any, true, Array::count_nonzero;
        "mean", "The mean over axes.", "mean(x, axis=None, keepdims=False)", Smooth, Any, false,
            Array::mean;
        "var", "The variance over axes.", "var(x, axis=None, keepdims=False, ddof=0)", Smooth, Any,
            false, |x, axes| x.var(axes, 0);
        "std", "The standard deviation over axes.", "std(x, axis=None, keepdims=False, ddof=0)",
            Smooth, Any, false, |x, axes| x.std(axes, 0);
    }
}
