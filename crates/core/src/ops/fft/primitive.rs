//! Owns the primitive behind all Fourier transforms, with its rules.

use serde::{Deserialize, Serialize};

use crate::{
    Array, Dtype, Error, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
};

/// What kind of numbers go in and come out.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::fft::{Fft, Kind};
/// let spectrum = array!([4.0, 0.0, 0.0]).astype(Dtype::Complex64)?;
/// let transform = Fft { axes: vec![1], kind: Kind::ToReal(4), scale: 0.25 };
/// assert_eq!(Array::apply_one(transform, [spectrum])?.to_vec::<f32>()?, [1.0; 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Complex numbers both, with `exp(-2πi…)`.
    Forward,
    /// Complex numbers both, with `exp(+2πi…)`.
    Inverse,
    /// Real numbers in; of the last axis named the first half of the spectrum out.
    FromReal,
    /// The first half of a spectrum in; real numbers out, this many in the last axis named.
    ToReal(usize),
}

/// A Fourier transform over axes, times a factor.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::fft::{Fft, Kind};
/// let transform = Fft { axes: vec![1], kind: Kind::FromReal, scale: 0.5 };
/// let y = Array::apply_one(transform, [array!([1.0, 1.0, 1.0, 1.0])])?;
/// assert_eq!(y.real()?.to_vec::<f32>()?, [2.0, 0.0, 0.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fft {
    /// The axes, counted from the end: 1 is the last.
    pub axes: Vec<usize>,
    /// What goes in and comes out.
    pub kind: Kind,
    /// What the sums are multiplied by.
    #[serde(with = "crate::graph::number")]
    pub scale: f64,
}

impl Fft {
    /// The axis of which only half a spectrum is kept, counted from the start.
    fn halved(&self, rank: usize) -> Option<usize> {
        self.axes.last().map(|axis| rank - axis)
    }

    fn of(&self, kind: Kind) -> Self {
        Fft { kind, ..self.clone() }
    }
}

/// How often each number of half a spectrum counts in the whole one of a line of `size`.
fn multiplicities(size: usize, dtype: Dtype) -> Result<Array> {
    let once = |i: usize| i == 0 || 2 * i == size;
    let counts: Vec<f32> = (0..=size / 2).map(|i| if once(i) { 1.0 } else { 2.0 }).collect();
    Array::from_slice(&counts, [counts.len()])?.astype(dtype)
}

crate::stored!(Fft);

impl Primitive for Fft {
    fn name(&self) -> &'static str {
        "fft"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let x = &inputs[0];
        let (input, output) = match self.kind {
            Kind::Forward | Kind::Inverse => (Dtype::Complex64, Dtype::Complex64),
            Kind::FromReal => (Dtype::Float32, Dtype::Complex64),
            Kind::ToReal(_) => (Dtype::Complex64, Dtype::Float32),
        };
        if x.dtype() != input {
            let reason = "transforms work on complex64 and float32; convert with astype first";
            return Err(Error::Dtype { op: self.name(), dtype: x.dtype(), reason });
        }
        let mut shape = x.shape().clone();
        for &axis in &self.axes {
            if axis == 0 || axis > x.ndim() || shape[x.ndim() - axis] == 0 {
                let reason = format!("axis -{axis} of shape {shape} has nothing to transform");
                return Err(Error::Shape { op: self.name(), reason });
            }
        }
        if let Some(axis) = self.halved(x.ndim()) {
            let size = shape[axis];
            match self.kind {
                Kind::Forward | Kind::Inverse => {}
                Kind::FromReal => shape = shape.with_axis(axis, size / 2 + 1),
                Kind::ToReal(n) if n > 0 && n / 2 + 1 == size => shape = shape.with_axis(axis, n),
                Kind::ToReal(n) => {
                    let reason = format!("{size} numbers are not half the spectrum of {n}");
                    return Err(Error::Shape { op: self.name(), reason });
                }
            }
        }
        Ok([Spec { shape, dtype: output }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let cotangent = vjp.cotangent();
        vjp.each(|_| {
            let shape = vjp.inputs[0].shape();
            let whole = |kind: Kind, x: &Array| {
                Array::apply_one(self.of(kind), [x.astype(Dtype::Complex64)?])
            };
            // The matrix of a complex transform is symmetric, so it is its own transpose. Others
            // keep or restore half of a spectrum before or after one.
            let gradient = match (self.kind, self.halved(shape.rank())) {
                (Kind::Forward | Kind::Inverse, _) => whole(self.kind, cotangent)?,
                (Kind::FromReal, Some(axis)) => {
                    let mut widths = vec![(0, 0); shape.rank()];
                    widths[axis].1 = shape[axis] - cotangent.shape()[axis];
                    whole(Kind::Forward, &cotangent.pad(&widths, 0.0)?)?.real()?
                }
                (Kind::ToReal(size), Some(axis)) => {
                    let spectrum = whole(Kind::Inverse, cotangent)?.narrow(axis, 0, shape[axis]);
                    let mut column = vec![1; shape.rank()];
                    column[axis] = shape[axis];
                    let counts = multiplicities(size, Dtype::Float32)?.reshape_to(column.into());
                    spectrum.multiply(counts)?
                }
                (Kind::FromReal, None) => cotangent.real()?,
                (Kind::ToReal(_), None) => cotangent.astype(Dtype::Complex64)?,
            };
            Ok(Some(gradient))
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.linear(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(self.clone())
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}
