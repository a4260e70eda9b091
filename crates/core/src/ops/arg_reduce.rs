//! Owns the positions of extrema.

use serde::{Deserialize, Serialize};

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Axes, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// The position of the first extremum along an axis, which stays with size one.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::arg_reduce::ArgReduce;
/// let greatest = ArgReduce { greatest: true, axis: 1 };
/// let at = Array::apply_one(greatest, [array!([[1.0, 9.0, 9.0]])])?;
/// assert_eq!((at.shape().dims(), at.item::<u32>()?), (&[1, 1][..], 1));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ArgReduce {
    /// True for the greatest element, false for the smallest. The first NaN precedes either.
    pub greatest: bool,
    /// The axis.
    pub axis: usize,
}

crate::stored!(ArgReduce);

impl Primitive for ArgReduce {
    fn name(&self) -> &'static str {
        if self.greatest { "argmax" } else { "argmin" }
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let x = &inputs[0];
        if self.axis >= x.ndim() {
            return Err(Error::Axis { op: self.name(), axis: self.axis as i64, rank: x.ndim() });
        }
        if x.shape()[self.axis] == 0 {
            let reason = format!("axis {} of shape {} is empty", self.axis, x.shape());
            return Err(Error::Shape { op: self.name(), reason });
        }
        let shape = x.shape().with_axis(self.axis, 1);
        Ok([Spec { shape, dtype: Dtype::Uint32 }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(None))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(ArgReduce { axis: self.axis + 1, ..*self })
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    fn arg_reduce(&self, greatest: bool, axes: Axes, op: &'static str) -> Result<Array> {
        let list = axes.resolve(self.ndim(), op)?;
        let (x, axis) = match list[..] {
            [axis] => (self.clone(), axis),
            _ if list.len() == self.ndim() => (self.flatten(0, -1)?, 0),
            _ => {
                let reason = format!("it takes one axis, or all of them, not {list:?}");
                return Err(Error::Argument { op, reason });
            }
        };
        let position = Array::apply_one(ArgReduce { greatest, axis }, [x])?;
        let sizes = self.shape().iter().enumerate();
        let shape: Shape = if axes.keeps_dims() {
            sizes.map(|(i, &n)| if list.contains(&i) { 1 } else { n }).collect()
        } else {
            sizes.filter(|(i, _)| !list.contains(i)).map(|(_, &n)| n).collect()
        };
        Ok(position.reshape_to(shape))
    }

    /// The position of the greatest element along one axis, or in row-major order over all (`..`).
    /// The first NaN counts as greatest; of equal elements the first is taken.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1.0f32, 5.0, 5.0, 2.0], [2, 2])?;
    /// assert_eq!(x.argmax(-1)?.to_vec::<u32>()?, [1, 0]);
    /// assert_eq!(x.argmax(..)?.item::<u32>()?, 1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn argmax(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.arg_reduce(true, axes.into(), "argmax")
    }

    /// The position of the smallest element along one axis, or in row-major order over all (`..`).
    /// The first NaN counts as smallest; of equal elements the first is taken.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1.0f32, 5.0, f32::NAN, 2.0], [2, 2])?;
    /// assert_eq!(x.argmin(-1)?.to_vec::<u32>()?, [0, 0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn argmin(&self, axes: impl Into<Axes>) -> Result<Array> {
        self.arg_reduce(false, axes.into(), "argmin")
    }
}

fn samples(call: fn(&Array, Axes) -> Result<Array>) -> Vec<Sample> {
    let input = |shape: &[usize]| [Input::new(shape, Domain::Distinct)];
    vec![
        Sample::new("axis=None", input(&[3, 4, 5]), move |x| call(&x[0], (..).into())),
        Sample::new("axis=0", input(&[3, 4, 5]), move |x| call(&x[0], 0.into())),
        Sample::new("axis=1, keepdims", input(&[3, 4, 5]), move |x| call(&x[0], crate::keep(1))),
        Sample::new("axis=-1", input(&[3, 130]), move |x| call(&x[0], (-1).into())),
        Sample::new("scalar", input(&[]), move |x| call(&x[0], (..).into())),
        Sample::new("empty result", input(&[0, 3]), move |x| call(&x[0], 1.into())),
    ]
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Reduction,
        kinds: kinds::ALL,
        gradient: Gradient::Zero,
        samples,
    };
    vec![
        op(
            "argmax",
            "The position of the greatest element along an axis.",
            "argmax(x, axis=None, keepdims=False)",
            || samples(Array::argmax),
        ),
        op(
            "argmin",
            "The position of the smallest element along an axis.",
            "argmin(x, axis=None, keepdims=False)",
            || samples(Array::argmin),
        ),
    ]
}
