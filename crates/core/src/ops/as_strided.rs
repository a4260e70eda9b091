//! Owns reading an array's elements in any pattern of steps through its row-major order.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
    shape::Strides,
};

/// The element at an index is that of the input's row-major order at
/// `offset + sum(index * strides)`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::as_strided::AsStrided;
/// let diagonal = AsStrided { shape: [2].into(), strides: [3].into_iter().collect(), offset: 0 };
/// let x = array!([[1, 2], [3, 4]]);
/// assert_eq!(Array::apply_one(diagonal, [x])?.to_vec::<i32>()?, [1, 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AsStrided {
    /// The sizes of the result's axes.
    pub shape: Shape,
    /// The distance between neighbours along each axis, in elements.
    pub strides: Strides,
    /// Where the first element lies.
    pub offset: usize,
}

impl AsStrided {
    /// The first and the last position that is read; none of an empty result.
    fn reach(&self) -> Option<(i128, i128)> {
        if self.shape.contains(&0) {
            return None;
        }
        let (mut low, mut high) = (self.offset as i128, self.offset as i128);
        for (&size, &stride) in self.shape.iter().zip(&self.strides) {
            let span = (size as i128 - 1).saturating_mul(stride as i128);
            if span < 0 {
                low = low.saturating_add(span);
            } else {
                high = high.saturating_add(span);
            }
        }
        Some((low, high))
    }

    /// The position that each element of the result is read from.
    fn positions(&self) -> Result<Array> {
        let mut positions = Array::full(Shape::scalar(), self.offset as i64)?;
        for (axis, (&size, &stride)) in self.shape.iter().zip(&self.strides).enumerate() {
            let line = Shape::from(vec![1; self.shape.rank()]).with_axis(axis, size);
            let steps = Array::arange(0, size as i64, 1i64)?.multiply(stride as i64)?;
            positions = positions.add(steps.reshape_to(line))?;
        }
        Ok(positions)
    }
}

crate::stored!(AsStrided);

impl Primitive for AsStrided {
    fn name(&self) -> &'static str {
        "as_strided"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let x = &inputs[0];
        let size = x.size() as i128;
        let inside = self.reach().is_none_or(|(low, high)| low >= 0 && high < size);
        if self.strides.len() != self.shape.rank() || !inside {
            let reason = format!(
                "shape {} in steps {:?} from {} does not lie in the {size} elements of shape {}",
                self.shape,
                self.strides,
                self.offset,
                x.shape()
            );
            return Err(Error::Shape { op: self.name(), reason });
        }
        Ok([Spec { shape: self.shape.clone(), dtype: x.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let x = &vjp.inputs[0];
        vjp.each(|_| {
            // An element that is read several times gathers what comes back from each.
            let positions = self.positions()?.flatten(0, -1)?;
            let zeros = Array::zeros([x.size()], x.dtype())?;
            let sums = zeros.scatter_add(&positions, vjp.cotangent().reshape([-1])?, 0)?;
            Ok(Some(sums.reshape_to(x.shape().clone())))
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.linear(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let part: usize = vmap.inputs[0].shape()[1..].iter().product();
        let strides = std::iter::once(part as isize).chain(self.strides.iter().copied());
        vmap.lifted(AsStrided {
            shape: self.shape.insert_axis(0, vmap.size),
            strides: strides.collect(),
            offset: self.offset,
        })
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let flat = inputs[0].reshape([-1])?;
        if self.shape.elements() == 0 {
            return Ok(vec![Array::zeros(&self.shape, flat.dtype())?]);
        }
        Ok(vec![flat.take(&self.positions()?, 0)?])
    }
}

impl Array {
    /// The elements of this array's row-major order that a pattern of steps visits.
    ///
    /// Strides and offset count elements. Fails if the pattern leaves the array. The result is a
    /// view where this array lies in row-major order; several of its elements may be the same.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let windows = Array::arange(0, 5, 1)?.as_strided([3, 3], &[1, 1], 0)?;
    /// assert_eq!(windows.to_vec::<i32>()?, [0, 1, 2, 1, 2, 3, 2, 3, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn as_strided(
        &self,
        shape: impl Into<Shape>,
        strides: &[isize],
        offset: usize,
    ) -> Result<Array> {
        let (shape, strides) = (shape.into(), Strides::from_slice(strides));
        Array::apply_one(AsStrided { shape, strides, offset }, [self.clone()])
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "as_strided",
        doc: "The elements that a pattern of steps visits.",
        signature: "as_strided(x, shape=None, strides=None, offset=0)",
        family: Family::Shape,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            let sample = |x: &[usize], shape: &'static [usize], strides: &'static [isize], offset| {
                let label = format!("{shape:?}, {strides:?}, {offset}");
                Sample::new(label, [Input::any(x)], move |x| x[0].as_strided(shape, strides, offset))
            };
            vec![
                sample(&[7], &[3, 3], &[2, 1], 0),
                sample(&[2, 3], &[3], &[-2], 5),
                sample(&[2, 3], &[2, 2], &[0, 3], 1),
                sample(&[4], &[], &[], 2),
                sample(&[2], &[0, 3], &[9, 9], 0),
            ]
        },
    }]
}
