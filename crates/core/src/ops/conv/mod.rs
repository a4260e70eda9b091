//! Owns convolutions: one operation, and the shapes of arguments it is called with.
//!
//! Arrays have their channels last: inputs `(batch, …, channels in)`, weights `(channels out, …,
//! channels in of a group)`.

mod calls;
mod samples;

pub use calls::{ConvGeneralOptions, ConvOptions, ConvTransposeOptions, ConvolveMode};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// The correlation of an input with weights, along one to three axes.
///
/// The input is spread by `input_dilation`, padded, or cut where the padding is negative, and the
/// weights, spread by `kernel_dilation`, slide over it by `stride`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::conv::Conv;
/// let one = || [1].into_iter().collect();
/// let conv = Conv {
///     stride: one(),
///     padding: [(1, 0)].into_iter().collect(),
///     kernel_dilation: one(),
///     input_dilation: one(),
///     groups: 1,
///     flip: false,
/// };
/// let (x, weight) = (array!([[[1.0], [2.0]]]), array!([[[10.0], [1.0]]]));
/// assert_eq!(Array::apply_one(conv, [x, weight])?.to_vec::<f32>()?, [1.0, 12.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conv {
    /// How far the weights move, along each axis.
    pub stride: SmallVec<[usize; 3]>,
    /// The zeros before and after each axis.
    pub padding: SmallVec<[(i64, i64); 3]>,
    /// The distance between neighbouring weights.
    pub kernel_dilation: SmallVec<[usize; 3]>,
    /// The distance between neighbours of the input.
    pub input_dilation: SmallVec<[usize; 3]>,
    /// Into how many parts channels are divided that do not mix.
    pub groups: usize,
    /// Whether the weights are walked backwards.
    pub flip: bool,
}

/// The size of an axis of `size` that is spread by `dilation`.
fn spread(size: usize, dilation: usize) -> i64 {
    (size as i64 - 1).max(-1) * dilation as i64 + if size == 0 { dilation as i64 } else { 1 }
}

/// The most that sizes, steps and padding may be: sums and products of two are still exact.
const MOST: u64 = 1 << 30;

impl Conv {
    /// The size of an axis of the result; `None` if the weights do not fit in.
    fn output(&self, axis: usize, input: usize, kernel: usize) -> Option<usize> {
        let (before, after) = self.padding[axis];
        let room = spread(input, self.input_dilation[axis]) + before + after;
        let rest = room - spread(kernel, self.kernel_dilation[axis]);
        (rest >= 0 && room >= 0).then(|| rest as usize / self.stride[axis] + 1)
    }

    fn dims(&self) -> usize {
        self.stride.len()
    }

    /// Checks all that the sizes of the result, and kernels, rely on.
    fn check(&self, inputs: &[Array]) -> Result<()> {
        let (op, x, w, dims) = ("conv_general", &inputs[0], &inputs[1], self.dims());
        if x.dtype() != w.dtype() || !x.dtype().is_float() {
            let reason = "input and weights have one floating-point dtype";
            return Err(Error::Dtype { op, dtype: w.dtype(), reason });
        }
        let counts = [self.padding.len(), self.kernel_dilation.len(), self.input_dilation.len()];
        let ranks = [x.ndim(), w.ndim()];
        let steps = self.stride.iter().chain(&self.kernel_dilation).chain(&self.input_dilation);
        let sizes = x.shape().iter().chain(w.shape().iter());
        let ends = self.padding.iter().flat_map(|(before, after)| [before, after]);
        let fits = (1..=3).contains(&dims)
            && counts == [dims; 3]
            && ranks == [dims + 2; 2]
            && steps.clone().all(|&step| step > 0)
            && steps.chain(sizes).all(|&size| size as u64 <= MOST)
            && ends.into_iter().all(|end| end.unsigned_abs() <= MOST);
        if !fits {
            let (x, w) = (x.shape(), w.shape());
            let reason = format!("{self:?} does not fit inputs {x} and weights {w}");
            return Err(Error::Argument { op, reason });
        }
        let (channels, groups) = (x.shape()[dims + 1], self.groups);
        let grouped = groups > 0
            && channels.is_multiple_of(groups)
            && w.shape()[0].is_multiple_of(groups)
            && w.shape()[dims + 1] == channels / groups;
        if grouped {
            return Ok(());
        }
        let (x, w) = (x.shape(), w.shape());
        let reason = format!("the channels of inputs {x} and weights {w} do not make {groups} groups");
        Err(Error::Shape { op, reason })
    }

    /// The gradient of the input, itself a convolution of the cotangent.
    fn of_input(&self, input: &Shape, weight: &Array, cotangent: &Array) -> Result<Array> {
        let (out, kernel) = (cotangent.shape(), weight.shape());
        if input.elements() == 0 || out.elements() == 0 || kernel.elements() == 0 {
            return Array::zeros(input, cotangent.dtype());
        }
        let padding = (0..self.dims()).map(|axis| {
            let size = spread(kernel[axis + 1], self.kernel_dilation[axis]);
            let before = size - 1 - self.padding[axis].0;
            let room = spread(input[axis + 1], self.input_dilation[axis]) + size - 1;
            (before, room - spread(out[axis + 1], self.stride[axis]) - before)
        });
        let turned = Conv {
            stride: self.input_dilation.clone(),
            padding: padding.collect(),
            kernel_dilation: self.kernel_dilation.clone(),
            input_dilation: self.stride.clone(),
            groups: self.groups,
            flip: !self.flip,
        };
        // Channels in and out change places within each group.
        let last = weight.ndim() as i64;
        let grouped = grouped(weight, 0, self.groups).moveaxis(last, 1)?.moveaxis(2, last)?;
        Array::apply_one(turned, [cotangent.clone(), merged(&grouped, 0)])
    }

    /// The gradient of the weights: the channels of input and cotangent are batches of a
    /// convolution, and their batches are its channels.
    fn of_weight(&self, input: &Array, weight: &Shape, cotangent: &Array) -> Result<Array> {
        let (x, out) = (input.shape(), cotangent.shape());
        if x.elements() == 0 || out.elements() == 0 || weight.elements() == 0 {
            return Array::zeros(weight, cotangent.dtype());
        }
        let padding = (0..self.dims()).map(|axis| {
            let before = self.padding[axis].0;
            let size = spread(weight[axis + 1], self.kernel_dilation[axis]);
            let room = spread(out[axis + 1], self.stride[axis]) + size - 1;
            (before, room - spread(x[axis + 1], self.input_dilation[axis]) - before)
        });
        let turned = Conv {
            stride: self.kernel_dilation.clone(),
            padding: padding.collect(),
            kernel_dilation: self.stride.clone(),
            input_dilation: self.input_dilation.clone(),
            groups: self.groups,
            flip: false,
        };
        let last = self.dims() as i64 + 1;
        // (batch, …, groups, channels) → (channels, …, groups, batch) → (channels, …, groups * batch).
        let x = grouped(input, last as usize, self.groups).swapaxes(0, -1)?;
        let x = merged(&x, last as usize);
        let kernel = cotangent.swapaxes(0, -1)?;
        let mut weight = Array::apply_one(turned, [x, kernel])?.swapaxes(0, -1)?;
        if self.flip {
            weight = weight.flip(&(1..last).collect::<Vec<i64>>()[..])?;
        }
        Ok(weight)
    }
}

/// The array with an axis divided into `groups` and the rest.
fn grouped(x: &Array, axis: usize, groups: usize) -> Array {
    let size = x.shape()[axis] / groups;
    x.reshape_to(x.shape().with_axis(axis, size).insert_axis(axis, groups))
}

/// The array with an axis and the next made one.
fn merged(x: &Array, axis: usize) -> Array {
    let size = x.shape()[axis] * x.shape()[axis + 1];
    x.reshape_to(x.shape().without_axis(axis).with_axis(axis, size))
}

crate::stored!(Conv);

impl Primitive for Conv {
    fn name(&self) -> &'static str {
        "conv_general"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        let (x, w) = (inputs[0].shape(), inputs[1].shape());
        self.check(inputs)?;
        let mut shape = x.with_axis(x.rank() - 1, w[0]);
        for axis in 0..self.dims() {
            let Some(size) = self.output(axis, x[axis + 1], w[axis + 1]) else {
                let reason = format!(
                    "weights {w} are larger than the input {x} with padding {:?} along axis {}",
                    self.padding[axis],
                    axis + 1
                );
                return Err(Error::Shape { op: "conv_general", reason });
            };
            shape = shape.with_axis(axis + 1, size);
        }
        Ok([Spec::new(shape, inputs[0].dtype())].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let (x, w, cotangent) = (&vjp.inputs[0], &vjp.inputs[1], vjp.cotangent());
        vjp.each(|i| {
            if i == 0 {
                self.of_input(x.shape(), w, cotangent).map(Some)
            } else {
                self.of_weight(x, w.shape(), cotangent).map(Some)
            }
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let mut sum: Option<Array> = None;
        for i in 0..2 {
            if let Some(tangent) = &jvp.tangents[i] {
                let mut inputs = jvp.inputs.to_vec();
                inputs[i] = tangent.clone();
                let part = Array::apply_one(self.clone(), inputs)?;
                sum = Some(match sum {
                    Some(sum) => sum.add(part)?,
                    None => part,
                });
            }
        }
        Ok([sum].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        if vmap.size == 0 {
            return vmap.each(self);
        }
        if !vmap.batched[1] {
            // More of the same batch.
            let (x, w) = (&vmap.inputs[0], &vmap.inputs[1]);
            let out = Array::apply_one(self.clone(), [merged(x, 0), w.clone()])?;
            let count = x.shape()[1];
            let shape = out.shape().with_axis(0, count).insert_axis(0, vmap.size);
            return Ok([out.reshape_to(shape)].into());
        }
        let w = merged(&vmap.inputs[1], 0);
        let (x, groups) = if !vmap.batched[0] && self.groups == 1 {
            // More channels of the result.
            (vmap.inputs[0].clone(), 1)
        } else {
            // Each example's channels are groups of their own.
            let x = vmap.input(0);
            let channels = x.ndim() as i64 - 2;
            (merged(&x.moveaxis(0, channels)?, channels as usize), self.groups * vmap.size)
        };
        let conv = Conv { groups, ..self.clone() };
        let out = Array::apply_one(conv, [x, w])?;
        let last = out.ndim() - 1;
        Ok([grouped(&out, last, vmap.size).moveaxis(last as i64, 0)?].into())
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    samples::ops()
}
