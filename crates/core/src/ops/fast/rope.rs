//! Owns rotary position embedding.

use serde::{Deserialize, Serialize};

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, accumulator, check_float, fused, kinds};
use crate::{
    Array, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap},
    shape::Strides,
};

const OP: &str = "rope";

/// The angle that each pair of elements turns by from one position to the next.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::fast::{RopeFrequencies, RopeOptions, rope};
/// let x = array!([[[0.0, 0.0], [1.0, 0.0]]]);
/// let frequencies = RopeFrequencies::Wavelengths(array!([2.0 / std::f32::consts::PI]));
/// // A quarter turn from one position to the next.
/// let y = rope(&x, &RopeOptions { frequencies, ..RopeOptions::new(2) })?;
/// assert!((y.index((0, 1, 1))?.item::<f32>()? - 1.0).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub enum RopeFrequencies {
    /// Pair `i` of `n` turns by `base^(-i / n)`.
    Base(f32),
    /// Pair `i` turns by the reciprocal of element `i` of this vector.
    Wavelengths(Array),
}

/// The position of the first row.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, Tolerance};
/// use olivine_core::fast::{RopeOffset, RopeOptions, rope};
/// let x = Array::ones([1, 4, 8], Dtype::Float32)?;
/// let whole = rope(&x, &RopeOptions::new(8))?;
/// let offset = RopeOffset::At(3);
/// let last = rope(&x.index((.., 3..))?, &RopeOptions { offset, ..RopeOptions::new(8) })?;
/// assert!(last.allclose(whole.index((.., 3..))?, Tolerance::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub enum RopeOffset {
    /// The same for every batch.
    At(i32),
    /// A scalar, or a vector with one position for each entry of the first axis.
    Each(Array),
}

/// How [`rope`] turns.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::fast::{RopeOptions, rope};
/// let x = Array::ones([1, 2, 8], Dtype::Float32)?;
/// // Four elements turn and four stay.
/// let y = rope(&x, &RopeOptions { traditional: true, ..RopeOptions::new(4) })?;
/// assert_eq!(y.index((0, 1, 4..))?.to_vec::<f32>()?, [1.0; 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct RopeOptions {
    /// How many of the last axis's elements turn: an even number. The rest stays as it is.
    pub dims: usize,
    /// True if pairs are neighbours, false if element `i` is paired with `i + dims / 2`.
    pub traditional: bool,
    /// The speed of each pair.
    pub frequencies: RopeFrequencies,
    /// Multiplies positions.
    pub scale: f32,
    /// The position of the first row.
    pub offset: RopeOffset,
}

impl RopeOptions {
    /// Halves of `dims` elements turn with the base 10,000 from position zero on.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::fast::RopeOptions;
    /// let options = RopeOptions::new(64);
    /// assert_eq!((options.dims, options.traditional, options.scale), (64, false, 1.0));
    /// ```
    pub fn new(dims: usize) -> Self {
        RopeOptions {
            dims,
            traditional: false,
            frequencies: RopeFrequencies::Base(10_000.0),
            scale: 1.0,
            offset: RopeOffset::At(0),
        }
    }
}

/// Turns pairs of elements of the last axis by an angle that grows along the axis before it. The
/// inputs after the array are the offsets (int32) and the wavelengths (float32), as far as the
/// fields leave them to inputs.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Tolerance};
/// use olivine_core::fast::Rope;
/// let (base, offset) = (Some(1e4), Some(5));
/// let turn = Rope { dims: 2, traditional: true, base, scale: 1.0, offset, inverse: false };
/// let back = Rope { inverse: true, ..turn };
/// let x = array!([[[3.0, 4.0]]]);
/// let y = Array::apply_one(back, [Array::apply_one(turn, [x.clone()])?])?;
/// assert!(x.allclose(y, Tolerance::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Rope {
    /// How many elements of the last axis turn.
    pub dims: usize,
    /// True if pairs are neighbours.
    pub traditional: bool,
    /// The base of the speeds; an input holds wavelengths if there is none.
    #[serde(with = "crate::graph::number::option")]
    pub base: Option<f32>,
    /// Multiplies positions.
    #[serde(with = "crate::graph::number")]
    pub scale: f32,
    /// The position of the first row; an input holds it if there is none.
    pub offset: Option<i32>,
    /// True to turn backwards, which is the gradient.
    pub inverse: bool,
}

impl Rope {
    /// The offsets and the wavelengths among the inputs.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::fast::Rope;
    /// let (base, offset) = (Some(1e4), None);
    /// let rope = Rope { dims: 2, traditional: true, base, scale: 1.0, offset, inverse: false };
    /// assert_eq!(rope.parameters(&["array", "offsets"]), (Some(&"offsets"), None));
    /// ```
    pub fn parameters<T>(self, inputs: &[T]) -> (Option<&T>, Option<&T>) {
        let offset = self.offset.is_none().then(|| &inputs[1]);
        let wavelengths = self
            .base
            .is_none()
            .then(|| &inputs[1 + usize::from(self.offset.is_none())]);
        (offset, wavelengths)
    }

    /// The angle per position of each pair, for a base.
    ///
    /// ```
    /// use olivine_core::fast::Rope;
    /// let speeds = Rope::speeds(4, 100.0);
    /// assert!((speeds[0] - 1.0).abs() < 1e-6 && (speeds[1] - 0.1).abs() < 1e-6);
    /// ```
    pub fn speeds(dims: usize, base: f32) -> Vec<f32> {
        let pairs = dims / 2;
        let step = base.ln() / pairs as f32;
        (0..pairs).map(|i| (-(i as f32) * step).exp()).collect()
    }

    /// The slice of the last axis that holds the first or second element of every pair.
    fn slice(self, x: &Array, second: bool) -> (SmallVec<[usize; 4]>, Strides, Shape) {
        let last = x.ndim() - 1;
        let mut starts: SmallVec<[usize; 4]> = SmallVec::from_elem(0, x.ndim());
        let mut steps: Strides = SmallVec::from_elem(1, x.ndim());
        if self.traditional {
            starts[last] = usize::from(second);
            steps[last] = 2;
        } else {
            starts[last] = if second { self.dims / 2 } else { 0 };
        }
        (starts, steps, x.shape().with_axis(last, self.dims / 2))
    }
}

crate::stored!(Rope);

impl Primitive for Rope {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        let count = usize::from(self.offset.is_none()) + usize::from(self.base.is_none());
        crate::graph::exactly(OP, 1 + count, inputs)?;
        let x = &inputs[0];
        check_float(OP, x.dtype())?;
        if x.ndim() < 3 {
            let reason = format!("it takes arrays of three or more axes, not of shape {}", x.shape());
            return Err(Error::Shape { op: OP, reason });
        }
        let size = x.shape()[x.ndim() - 1];
        if !self.dims.is_multiple_of(2) || self.dims > size {
            let dims = self.dims;
            let reason = format!("dims is even and at most the last axis's size {size}, not {dims}");
            return Err(Error::Argument { op: OP, reason });
        }
        let (offset, wavelengths) = self.parameters(inputs);
        if let Some(offset) = offset
            && offset.ndim() > 0
            && offset.shape()[..] != [1]
            && offset.shape()[..] != x.shape()[..1]
        {
            let (offset, x) = (offset.shape(), x.shape());
            let reason = format!("offsets of shape {offset} do not fit an array of shape {x}");
            return Err(Error::Shape { op: OP, reason });
        }
        if let Some(wavelengths) = wavelengths
            && wavelengths.shape()[..] != [self.dims / 2]
        {
            let (given, pairs) = (wavelengths.shape(), self.dims / 2);
            let reason = format!("freqs of shape {given} do not fit {pairs} pairs");
            return Err(Error::Shape { op: OP, reason });
        }
        Ok([x.spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let (_, wavelengths) = self.parameters(vjp.wanted);
        if wavelengths == Some(&true) {
            return vjp.through(|inputs| self.decompose(inputs));
        }
        vjp.each(|i| {
            if i > 0 {
                return Ok(None);
            }
            // A rotation's transpose turns back.
            let back = Rope { inverse: !self.inverse, ..*self };
            let inputs = [vjp.cotangent()].into_iter().chain(&vjp.inputs[1..]);
            Array::apply_one(back, inputs.cloned()).map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let single = self.parameters(vmap.inputs).0.is_none_or(|offset| offset.size() == 1);
        if single && vmap.batched[0] && !vmap.batched[1..].contains(&true) {
            return Array::apply(*self, vmap.inputs.iter().cloned());
        }
        vmap.through(|inputs| self.decompose(inputs))
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let x = &inputs[0];
        let (offset, wavelengths) = self.parameters(inputs);
        let wide = accumulator(x.dtype());
        let rows = x.shape()[x.ndim() - 2];
        let steps: Vec<f32> = (0..rows).map(|i| i as f32).collect();
        let mut positions = Array::from_slice(&steps, [rows, 1])?.astype(wide)?;
        positions = match (self.offset, offset) {
            (Some(offset), _) => positions.add(offset as f32)?,
            (None, None) => positions,
            (None, Some(offset)) => {
                // One position for each entry of the first axis.
                let mut shape: Vec<usize> = vec![1; x.ndim()];
                shape[0] = offset.size();
                positions.add(offset.astype(wide)?.reshape(&shape[..])?)?
            }
        };
        let speeds = match (self.base, wavelengths) {
            (Some(base), _) if wide == Dtype::Float64 => {
                let pairs = self.dims / 2;
                let speed = |i| f64::from(base).powf(-(i as f64) / pairs as f64);
                Array::from_slice(&(0..pairs).map(speed).collect::<Vec<_>>(), [pairs])?
            }
            (Some(base), _) => {
                Array::from_slice(&Rope::speeds(self.dims, base), [self.dims / 2])?
            }
            (None, None) => Array::ones([self.dims / 2], Dtype::Float32)?,
            (None, Some(wavelengths)) => wavelengths.astype(wide)?.reciprocal()?,
        };
        let angle = positions.multiply(self.scale)?.multiply(speeds)?;
        let (cos, mut sin) = (angle.cos()?.astype(wide)?, angle.sin()?.astype(wide)?);
        if self.inverse {
            sin = sin.negative()?;
        }
        let part = |second| {
            let (starts, steps, shape) = self.slice(x, second);
            x.sliced(starts, steps, shape).astype(wide)
        };
        let (first, second) = (part(false)?, part(true)?);
        let turned = [
            first.multiply(&cos)?.subtract(second.multiply(&sin)?)?,
            first.multiply(sin)?.add(second.multiply(cos)?)?,
        ];
        let mut result = x.clone();
        for (i, part) in turned.iter().enumerate() {
            let (starts, steps, _) = self.slice(x, i == 1);
            result = result.slice_update_at(&part.astype(x.dtype())?, starts, steps)?;
        }
        Ok(vec![result])
    }
}

/// Turns pairs of elements of the last axis of `x`, whose axis before the last counts positions.
///
/// Row `t` turns pair `i` by the angle `(t + offset) * scale * speed_i`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, fast::{RopeOptions, rope}};
/// let x = Array::from_slice(&[1.0f32, 0.0, 1.0, 0.0], [1, 2, 2])?;
/// let y = rope(&x, &RopeOptions::new(2))?.to_vec::<f32>()?;
/// assert_eq!(y[..2], [1.0, 0.0]);
/// assert!((y[2] - 1f32.cos()).abs() < 1e-6 && (y[3] - 1f32.sin()).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn rope(x: &Array, options: &RopeOptions) -> Result<Array> {
    let mut primitive = Rope {
        dims: options.dims,
        traditional: options.traditional,
        base: None,
        scale: options.scale,
        offset: None,
        inverse: false,
    };
    let mut inputs = vec![x.clone()];
    match &options.offset {
        RopeOffset::At(offset) => primitive.offset = Some(*offset),
        RopeOffset::Each(offsets) if offsets.dtype().is_integer() => {
            inputs.push(offsets.astype(Dtype::Int32)?);
        }
        RopeOffset::Each(offsets) => {
            let reason = "offsets are integers";
            return Err(Error::Dtype { op: OP, dtype: offsets.dtype(), reason });
        }
    }
    match &options.frequencies {
        RopeFrequencies::Base(base) => primitive.base = Some(*base),
        RopeFrequencies::Wavelengths(wavelengths) => {
            inputs.push(wavelengths.astype(Dtype::Float32)?);
        }
    }
    fused(primitive, inputs)
}

pub(super) fn op() -> OpInfo {
    OpInfo {
        name: OP,
        doc: "Turns pairs of elements by angles that grow with their position.",
        signature: "rope(x, dims, *, traditional, base, scale, offset, freqs=None)",
        family: Family::Fast,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples: || {
            let sample = |label: &str, shape: &[usize], options: RopeOptions| {
                Sample::new(label, [Input::any(shape)], move |x| rope(&x[0], &options))
            };
            let plain = RopeOptions::new(8);
            vec![
                sample("dims=8", &[2, 5, 8], plain.clone()),
                sample("dims=4, traditional", &[1, 2, 3, 8], RopeOptions {
                    dims: 4,
                    traditional: true,
                    ..plain.clone()
                }),
                sample("offset=7, scale=.5", &[2, 2, 3, 8], RopeOptions {
                    offset: RopeOffset::At(7),
                    scale: 0.5,
                    ..plain.clone()
                }),
                Sample::new("offset=array", [Input::any([2, 3, 8])], |x| {
                    let offset = RopeOffset::Each(Array::from_slice(&[3i32, 11], [2])?);
                    rope(&x[0], &RopeOptions { offset, ..RopeOptions::new(6) })
                }),
                Sample::new("freqs", [Input::any([1, 3, 4])], |x| {
                    let wavelengths = Array::from_slice(&[1.0f32, 100.0], [2])?;
                    let frequencies = RopeFrequencies::Wavelengths(wavelengths);
                    rope(&x[0], &RopeOptions { frequencies, ..RopeOptions::new(4) })
                }),
                sample("empty", &[0, 3, 8], plain),
            ]
        },
    }
}
