//! Owns convolutions. Those with enough channels are summed in tiles, with fewer multiplications where
//! weights are 3 by 3; in others, what the weights see at each place becomes a row of a matrix, in blocks
//! that stay in the cache, and the rows are multiplied with the weights; where channels do not mix at
//! all, they are summed one by one.

mod direct;
#[cfg(test)]
mod tests;
mod winograd;

use std::ops::Range;

use num_traits::Float;
use olivine_core::{Call, Result, dispatch, ops::conv::Conv};

use super::{
    matmul::{Matrix, Product, Rounded, Sizes},
    quantized::dense,
    row::RowElement,
};
use crate::{
    isa::{Isa, per_isa},
    pool::parallel_for,
    tensor::{Output, wrong_dtype},
};

const OP: &str = "conv_general";

/// The most elements of a block of rows: half a mebibyte of `f32`.
const BLOCK: usize = 128 * 1024;

/// Runs the kernel.
pub(super) fn run(conv: &Conv, call: &mut Call) -> Result<()> {
    let dtype = call.dtype(0);
    dispatch!(narrow, dtype, T => convolve::<T>(conv, call, in_tiles),
    else dispatch!(float, dtype, T => convolve::<T>(conv, call, |_, _, _, _| Ok(false)), else {
        Err(wrong_dtype(OP, dtype))
    }))
}

/// Sums convolutions in tiles, if that suits them.
fn in_tiles<T: RowElement<Wide = f32> + Rounded>(
    call: &Call,
    task: &Task<T>,
    weights: &[f32],
    out: &Output<T>,
) -> Result<bool> {
    if winograd::suits(task) {
        let room = call.scratch(winograd::room_for_weights(task) * size_of::<f32>())?;
        // SAFETY: the room is as large as it says.
        if unsafe { winograd::run(task, weights, room.host().as_ptr().cast(), out) } {
            return Ok(true);
        }
    }
    let suits = direct::suits(task);
    if suits {
        direct::run(task, weights, weights.len() / task.out_channels, out);
    }
    Ok(suits)
}

/// Where weights and input meet along one axis.
struct Axis {
    /// For each place of the result and each weight, the element of the input, if there is one.
    places: Vec<Option<usize>>,
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    flip: bool,
    /// Padding before the first element, which may be negative.
    padding: i64,
    /// The distance of elements once zeros are put between them.
    step: usize,
}

impl Axis {
    fn single() -> Self {
        Axis {
            places: vec![Some(0)],
            input: 1,
            output: 1,
            kernel: 1,
            stride: 1,
            dilation: 1,
            flip: false,
            padding: 0,
            step: 1,
        }
    }

    fn new(conv: &Conv, axis: usize, [input, output, kernel]: [usize; 3]) -> Self {
        let mut axis = Axis {
            places: Vec::with_capacity(output * kernel),
            input,
            output,
            kernel,
            stride: conv.stride[axis],
            dilation: conv.kernel_dilation[axis],
            flip: conv.flip,
            padding: conv.padding[axis].0,
            step: conv.input_dilation[axis],
        };
        for out in 0..output {
            for tap in 0..kernel {
                let place = axis.element(out * axis.stride + axis.reach(tap));
                axis.places.push(place);
            }
        }
        axis
    }

    /// Whether it has one element, which meets one weight.
    fn is_single(&self) -> bool {
        (self.input, self.output, self.kernel) == (1, 1, 1) && self.places == [Some(0)]
    }

    /// How far a weight is from the first element that its place of the result meets.
    fn reach(&self, tap: usize) -> usize {
        let tap = if self.flip {
            self.kernel - 1 - tap
        } else {
            tap
        };
        tap * self.dilation
    }

    /// The element of the input at a place that counts padding and zeros in between.
    fn element(&self, place: usize) -> Option<usize> {
        let (at, step) = (place as i64 - self.padding, self.step as i64);
        let inside = at >= 0 && at % step == 0 && at / step < self.input as i64;
        inside.then(|| (at / step) as usize)
    }

    /// The elements that meet the weights at one place of the result.
    fn taps(&self, out: usize) -> &[Option<usize>] {
        &self.places[out * self.kernel..(out + 1) * self.kernel]
    }
}

/// A convolution of arrays that lie in row-major order.
struct Task<'a, T: RowElement> {
    x: &'a [T],
    batches: usize,
    axes: [Axis; 3],
    channels: usize,
    groups: usize,
    /// Channels of the result.
    out_channels: usize,
}

impl<T: RowElement> Task<'_, T> {
    /// Calls `body` with the number of each weight that meets the input at place `row` of the
    /// result, counted over the batch, and where its channels begin.
    fn for_each_tap(&self, row: usize, mut body: impl FnMut(usize, Option<usize>)) {
        let [a, b, c] = &self.axes;
        let (rest, at_c) = (row / c.output, row % c.output);
        let (rest, at_b) = (rest / b.output, rest % b.output);
        let (batch, at_a) = (rest / a.output, rest % a.output);
        let mut tap = 0;
        for i in a.taps(at_a) {
            for j in b.taps(at_b) {
                for k in c.taps(at_c) {
                    let place = i.zip(*j).zip(*k).map(|((i, j), k)| {
                        (((batch * a.input + i) * b.input + j) * c.input + k) * self.channels
                    });
                    body(tap, place);
                    tap += 1;
                }
            }
        }
    }

    /// What the weights of one group see at place `row`.
    fn gather(&self, row: usize, group: usize, to: &mut [T::Wide]) {
        let size = self.channels / self.groups;
        self.for_each_tap(row, |tap, place| {
            let to = &mut to[tap * size..(tap + 1) * size];
            match place {
                Some(place) => {
                    let start = place + group * size;
                    T::widen_slice(&self.x[start..start + size], to);
                }
                None => to.fill(T::Wide::default()),
            }
        });
    }
}

/// Convolves, in tiles if `tiles` can, which takes the weights of each channel of the result.
fn convolve<T: RowElement>(
    conv: &Conv,
    call: &mut Call,
    tiles: impl FnOnce(&Call, &Task<T>, &[T::Wide], &Output<T>) -> Result<bool>,
) -> Result<()>
where
    T::Wide: Product + Float,
{
    let out = Output::<T>::allocate(call, 0, OP)?;
    if out.len() == 0 {
        return Ok(());
    }
    let x = dense::<T>(call.input(0), OP)?;
    let w = dense::<T>(call.input(1), OP)?;
    let mut widened = Vec::new();
    let weights = T::as_wide(&w).unwrap_or_else(|| {
        widened.resize(w.len(), T::Wide::default());
        T::widen_slice(&w, &mut widened);
        &widened
    });
    let (x_shape, w_shape, shape) = (&call.input(0).shape, &call.input(1).shape, call.shape(0));
    let dims = shape.rank() - 2;
    let axis = |i: usize| match (i + dims).checked_sub(3) {
        Some(i) => Axis::new(conv, i, [x_shape[i + 1], shape[i + 1], w_shape[i + 1]]),
        None => Axis::single(),
    };
    let mut axes = [axis(0), axis(1), axis(2)];
    // Axes with nothing along them come first, so that the last is the longest run, and results do
    // not depend on them.
    axes.sort_by_key(|axis| !axis.is_single());
    let task = Task {
        x: &x,
        batches: x_shape[0],
        axes,
        channels: x_shape[dims + 1],
        groups: conv.groups,
        out_channels: shape[dims + 1],
    };
    let rows = out.len() / task.out_channels;
    let taps: usize = w_shape[1..=dims].iter().product();
    let per_group = (task.channels / task.groups, task.out_channels / task.groups);
    if per_group == (1, 1) {
        channel_by_channel(&task, weights, taps, rows, &out);
    } else if !tiles(call, &task, weights, &out)? {
        by_products(&task, weights, taps * per_group.0, rows, &out);
    }
    Ok(())
}

/// Blocks of rows times the weights of each group. `inner` is the length of a row.
fn by_products<T: RowElement>(
    task: &Task<T>,
    weights: &[T::Wide],
    inner: usize,
    rows: usize,
    out: &Output<T>,
) where
    T::Wide: Product + Float,
{
    let columns = task.out_channels / task.groups;
    let tall = (BLOCK / inner.max(columns).max(1)).clamp(8, 256).min(rows);
    let blocks = rows.div_ceil(tall);
    let cost = (tall * inner * columns / 8).max(tall * inner);
    parallel_for(blocks * task.groups, cost, |units: Range<usize>| {
        let mut left = vec![T::Wide::default(); tall * inner];
        let mut result = vec![T::Wide::default(); tall * columns];
        for unit in units {
            let (block, group) = (unit / task.groups, unit % task.groups);
            let first = block * tall;
            let count = tall.min(rows - first);
            for (i, to) in left.chunks_exact_mut(inner.max(1)).enumerate().take(count) {
                task.gather(first + i, group, to);
            }
            let right = weights[group * columns * inner..].as_ptr();
            let a = Matrix {
                start: left.as_ptr(),
                rows: inner as isize,
                columns: 1,
            };
            let b = Matrix {
                start: right,
                rows: 1,
                columns: inner as isize,
            };
            let sizes = Sizes {
                m: count,
                n: columns,
                k: inner,
            };
            // SAFETY: the block has been gathered, each group has `columns` rows of weights, and
            // the result has room.
            unsafe { T::Wide::product(sizes, a, b, result.as_mut_ptr(), false) };
            for (i, from) in result.chunks_exact(columns).enumerate().take(count) {
                let start = (first + i) * task.out_channels + group * columns;
                // SAFETY: each unit writes rows and channels of its own.
                T::narrow_slice(from, unsafe { out.part(start..start + columns) });
            }
        }
    });
}

/// Sums where each channel has weights of its own.
fn channel_by_channel<T: RowElement>(
    task: &Task<T>,
    weights: &[T::Wide],
    taps: usize,
    rows: usize,
    out: &Output<T>,
) where
    T::Wide: Float,
{
    let channels = task.channels;
    // The weights of all channels side by side.
    let turned: Vec<T::Wide> = (0..taps * channels)
        .map(|at| weights[at % channels * taps + at / channels])
        .collect();
    parallel_for(rows, taps * channels, |range| {
        let mut sums = vec![T::Wide::default(); channels];
        let mut wide = vec![T::Wide::default(); channels];
        let zeros = vec![T::Wide::default(); channels];
        for row in range {
            sums.fill(T::Wide::default());
            task.for_each_tap(row, |tap, place| {
                // Zeros around the input are multiplied as well: infinite weights make them NaN.
                let x = match place {
                    Some(place) => {
                        let x = &task.x[place..place + channels];
                        T::as_wide(x).unwrap_or_else(|| {
                            T::widen_slice(x, &mut wide);
                            &wide
                        })
                    }
                    None => &zeros,
                };
                add_products(&mut sums, x, &turned[tap * channels..(tap + 1) * channels]);
            });
            // SAFETY: each row is one thread's alone.
            T::narrow_slice(&sums, unsafe {
                out.part(row * channels..(row + 1) * channels)
            });
        }
    });
}

per_isa! {
    /// Adds products of elements to sums.
    fn add_products<W: Float>(sums: &mut [W], x: &[W], w: &[W]) = add_products_body;
}

#[inline(always)]
fn add_products_body<S: Isa, W: Float>(sums: &mut [W], x: &[W], w: &[W]) {
    for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
        *sum = *sum + x * w;
    }
}
