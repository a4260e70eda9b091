//! Owns convolutions with many channels of results. A band of the input is copied with its padding,
//! channel by channel, so that what one weight meets at neighbouring places lies side by side; then a
//! tile of places and channels stays in registers while all weights pass by.

use std::{cell::Cell, ops::Range};

use olivine_core::Dtype;

use super::{Axis, Task};
use crate::{
    isa::per_isa,
    kernels::{
        matmul::{
            Matrix, Panels, Rounded, Singles, Wide, add_products, interleave, pack_lines, tile_size,
        },
        row::RowElement,
    },
    pool::{num_threads, parallel_units},
    simd::Lanes,
    tensor::Output,
};

/// The most elements of a band: a quarter of a mebibyte, which a second-level cache holds.
const BAND: usize = 64 * 1024;

/// The most channels of a tile.
const WIDE: usize = 32;

/// The places of a tile.
const PLACES: [usize; 8] = [14, 12, 10, 8, 6, 4, 2, 1];

thread_local! {
    /// Room for a line and for a band.
    static ROOMS: Cell<(Vec<f32>, Vec<f32>)> = Cell::default();
}

/// True if tiles are worth it.
pub(super) fn suits<T: RowElement>(task: &Task<T>) -> bool {
    let [_, _, last] = &task.axes;
    let empty = task.channels == 0 || task.axes.iter().any(|axis| axis.kernel == 0);
    !empty && last.output >= 4 && task.out_channels / task.groups >= 8
}

/// The part of the result that is computed from one band.
pub(super) struct Part {
    pub(super) batch: usize,
    pub(super) group: usize,
    /// The place along the first axis, and ranges along the others.
    pub(super) first: usize,
    pub(super) second: Range<usize>,
    pub(super) third: Range<usize>,
}

/// How the result is cut.
struct Cuts<'a, T: RowElement> {
    task: &'a Task<'a, T>,
    /// The places of a part along the second and the third axis.
    second: usize,
    third: usize,
}

impl<'a, T: RowElement> Cuts<'a, T> {
    fn new(task: &'a Task<'a, T>) -> Self {
        let [a, b, c] = &task.axes;
        let channels = task.channels / task.groups;
        let size = |b_places, c_places| a.kernel * b.span(b_places) * c.span(c_places) * channels;
        let (mut second, mut third) = (b.output, c.output);
        let others = task.batches * task.groups * a.output;
        let parts = |second, third| others * b.output.div_ceil(second) * c.output.div_ceil(third);
        while second > 1 && (size(second, third) > BAND || parts(second, third) < 4 * num_threads())
        {
            second = second.div_ceil(2);
        }
        while third > 32 && size(second, third) > BAND {
            third = third.div_ceil(2);
        }
        Cuts {
            task,
            second,
            third,
        }
    }

    fn count(&self) -> usize {
        let [a, b, c] = &self.task.axes;
        let (second, third) = (
            b.output.div_ceil(self.second),
            c.output.div_ceil(self.third),
        );
        self.task.batches * self.task.groups * a.output * second * third
    }

    fn part(&self, number: usize) -> Part {
        let [a, b, c] = &self.task.axes;
        let mut rest = number;
        let mut next = |count: usize| {
            let at = rest % count;
            rest /= count;
            at
        };
        let third = next(c.output.div_ceil(self.third)) * self.third;
        let second = next(b.output.div_ceil(self.second)) * self.second;
        let first = next(a.output);
        let group = next(self.task.groups);
        Part {
            batch: rest,
            group,
            first,
            second: second..(second + self.second).min(b.output),
            third: third..(third + self.third).min(c.output),
        }
    }
}

/// Computes the convolution. `weights` are those of each channel of the result, `inner` in number.
pub(super) fn run<T: RowElement<Wide = f32> + Rounded>(
    task: &Task<T>,
    weights: &[f32],
    inner: usize,
    out: &Output<T>,
) {
    let packed = pack(task, weights, inner);
    let [a, b, c] = &task.axes;
    let places = task.batches * a.output * b.output * c.output;
    let cuts = Cuts::new(task);
    let count = cuts.count();
    let cost = (places * task.out_channels / count.max(1)).saturating_mul(inner / 8 + 1);
    parallel_units(count, cost, |parts| {
        for part in parts {
            compute(task, &cuts.part(part), &packed, inner, out);
        }
    });
}

/// The weights of each group in panels.
pub(super) fn pack<T: RowElement>(task: &Task<T>, weights: &[f32], inner: usize) -> Vec<f32> {
    let columns = task.out_channels / task.groups;
    let (_, wide) = tile_size();
    let size = columns.next_multiple_of(wide) * inner;
    let mut packed = vec![0.0f32; size * task.groups];
    let mut room = vec![0.0f32; wide * inner];
    for (group, to) in packed.chunks_exact_mut(size.max(1)).enumerate() {
        let lines = Matrix {
            start: weights[group * columns * inner..].as_ptr(),
            rows: inner as isize,
            columns: 1,
        };
        let rooms = (room.as_mut_ptr(), to.as_mut_ptr());
        let panels = Panels {
            lines: 0..columns,
            terms: 0..inner,
            height: wide,
            fill: true,
        };
        // SAFETY: a group has `columns` lines of weights, and there is room for whole panels.
        unsafe { pack_lines(&Wide(lines), panels, rooms) };
    }
    packed
}

/// Computes a part of the convolution with packed weights.
pub(super) fn compute<T: RowElement<Wide = f32> + Rounded>(
    task: &Task<T>,
    part: &Part,
    packed: &[f32],
    inner: usize,
    out: &Output<T>,
) {
    let size = packed.len() / task.groups;
    let (mut line, mut band) = ROOMS.take();
    fill(task, part, &mut line, &mut band);
    multiply(task, part, &band, &packed[part.group * size..], inner, out);
    ROOMS.set((line, band));
}

/// How a line of a band lies: for each channel and each distance from a multiple of the stride, the
/// elements that are so far from one.
#[derive(Clone, Copy)]
struct Layout {
    stride: usize,
    /// The elements for each distance.
    run: usize,
    channels: usize,
}

impl Layout {
    fn new<T: RowElement>(task: &Task<T>, part: &Part) -> Self {
        let last = &task.axes[2];
        Layout {
            stride: last.stride,
            run: last.span(part.third.len()).div_ceil(last.stride),
            channels: task.channels / task.groups,
        }
    }

    /// The distance between channels.
    fn step(self) -> usize {
        self.stride * self.run
    }

    fn len(self) -> usize {
        self.step() * self.channels
    }
}

/// Copies what the weights meet in a part of the result; `line` is room for a line of it.
fn fill<T: RowElement<Wide = f32>>(
    task: &Task<T>,
    part: &Part,
    line: &mut Vec<f32>,
    band: &mut Vec<f32>,
) {
    let [a, b, c] = &task.axes;
    let layout = Layout::new(task, part);
    let channels = layout.channels;
    let (tall, long) = (b.span(part.second.len()), c.span(part.third.len()));
    line.resize(long * channels, 0.0);
    band.resize(a.kernel * tall * layout.len(), 0.0);
    let mut lines = band.chunks_exact_mut(layout.len());
    for plane in a.taps(part.first) {
        for row in 0..tall {
            let Some(to) = lines.next() else { return };
            let row = b.element(part.second.start * b.stride + row);
            let Some((plane, row)) = plane.zip(row) else {
                to.fill(0.0);
                continue;
            };
            read(task, part, (plane, row), line);
            for distance in 0..c.stride {
                let columns: Vec<*const f32> = (distance..long)
                    .step_by(c.stride)
                    .map(|column| line[column * channels..].as_ptr())
                    .collect();
                for (i, columns) in columns.chunks(4).enumerate() {
                    let to = to[distance * layout.run + 4 * i..].as_mut_ptr();
                    // SAFETY: each column has `channels` elements, and the line has a run of places
                    // for each channel.
                    unsafe { interleave(columns, channels, to, layout.step()) };
                }
            }
        }
    }
}

/// Reads what the weights meet along the last axis, padding included, with all channels side by side.
fn read<T: RowElement<Wide = f32>>(
    task: &Task<T>,
    part: &Part,
    (plane, row): (usize, usize),
    line: &mut [f32],
) {
    let [_, b, c] = &task.axes;
    let channels = task.channels / task.groups;
    let long = line.len() / channels;
    let start = ((part.batch * task.axes[0].input + plane) * b.input + row) * c.input;
    let place_of = |column: usize| (start + column) * task.channels + part.group * channels;
    let first = part.third.start * c.stride;
    if c.step == 1 && task.groups == 1 {
        // Padding, elements side by side, padding.
        let before = (c.padding - first as i64).clamp(0, long as i64) as usize;
        let from = (first as i64 + before as i64 - c.padding).max(0) as usize;
        let count = (long - before).min(c.input.saturating_sub(from));
        let (padding, rest) = line.split_at_mut(before * channels);
        let (to, rest) = rest.split_at_mut(count * channels);
        padding.fill(0.0);
        rest.fill(0.0);
        let from = place_of(from.min(c.input));
        T::widen_slice(&task.x[from..from + to.len()], to);
        return;
    }
    for (i, to) in line.chunks_exact_mut(channels).enumerate() {
        match c.element(first + i) {
            Some(column) => {
                let from = place_of(column);
                T::widen_slice(&task.x[from..from + channels], to);
            }
            None => to.fill(0.0),
        }
    }
}

/// Multiplies a band with the weights of its group.
fn multiply<T: RowElement<Wide = f32> + Rounded>(
    task: &Task<T>,
    part: &Part,
    band: &[f32],
    right: &[f32],
    inner: usize,
    out: &Output<T>,
) {
    let [a, b, c] = &task.axes;
    let layout = Layout::new(task, part);
    let columns = task.out_channels / task.groups;
    let tall = b.span(part.second.len());
    let mut taps = Vec::with_capacity(inner / layout.channels);
    for plane in 0..a.kernel {
        for row in 0..b.kernel {
            for column in 0..c.kernel {
                let line = plane * tall + b.reach(row);
                let (reach, stride) = (c.reach(column), c.stride);
                let within = reach % stride * layout.run + reach / stride;
                taps.push(line * layout.len() + within);
            }
        }
    }
    let (most, wide) = tile_size();
    let count = places_of(part.third.len(), most);
    let in_place = T::DTYPE == Dtype::Float32;
    let mut sums = [[0.0f32; WIDE]; PLACES[0]];
    for panel in 0..columns.div_ceil(wide) {
        let width = (columns - panel * wide).min(wide);
        for row in part.second.clone() {
            let line = (row - part.second.start) * b.stride * layout.len();
            let place = ((part.batch * a.output + part.first) * b.output + row) * c.output;
            let mut done = 0;
            while done < part.third.len() {
                // The last tile goes over some places a second time.
                let first = done.min(part.third.len() - count);
                let place = place + part.third.start + first;
                let start_of = |i: usize| {
                    (place + i) * task.out_channels + part.group * columns + panel * wide
                };
                let direct = in_place && width == wide;
                let (to, to_step) = if direct {
                    (
                        out.ptr().wrapping_add(start_of(0)).cast(),
                        task.out_channels,
                    )
                } else {
                    (sums.as_mut_ptr().cast(), WIDE)
                };
                let tile = Tile {
                    left: band[line + first..].as_ptr(),
                    taps: &taps,
                    channels: layout.channels,
                    step: layout.step(),
                    right: right[panel * wide * inner..].as_ptr(),
                    to,
                    to_step,
                };
                multiply_tile(count, width, tile);
                if !direct {
                    for (i, sums) in sums.iter().enumerate().take(count) {
                        // SAFETY: each part writes places and channels of its own.
                        let to = unsafe { out.part(start_of(i)..start_of(i) + width) };
                        T::narrow_slice(&sums[..width], to);
                    }
                }
                done = first + count;
            }
        }
    }
}

/// How many places tiles have so that few computations are repeated.
fn places_of(len: usize, most: usize) -> usize {
    let fits = PLACES.into_iter().filter(|&places| places <= most.min(len));
    fits.min_by_key(|&places| len.div_ceil(places) * (places + 1))
        .unwrap_or(1)
}

/// Places and channels whose sums stay in registers.
#[derive(Clone, Copy)]
struct Tile<'a> {
    /// What the first weights meet at the first place; the other places follow.
    left: *const f32,
    /// How far from there each weight's first channel is.
    taps: &'a [usize],
    channels: usize,
    /// How far the channels are apart.
    step: usize,
    /// A panel of weights.
    right: *const f32,
    /// Where the sums go, and how far those of neighbouring places lie apart.
    to: *mut f32,
    to_step: usize,
}

per_isa! {
    /// The sums at `places` places, one of [`PLACES`], for `width` channels, and more up to a whole
    /// register.
    fn multiply_tile(places: usize, width: usize, tile: Tile) = multiply_tile_body;
}

#[inline(always)]
fn multiply_tile_body<S: Lanes>(places: usize, width: usize, tile: Tile) {
    macro_rules! sizes {
        ($($places:literal)*) => {
            match places {
                // SAFETY: the band reaches as far as the weights do from all places, panels hold weights
                // for the width of a tile, and so many sums have room.
                $($places if const { $places <= S::TILE.0 } => unsafe {
                    if S::TILE.1 == 1 || width <= S::N {
                        sums_of::<S, $places, 1>(tile);
                    } else {
                        sums_of::<S, $places, 2>(tile);
                    }
                },)*
                _ => unreachable!("no tile has {places} places"),
            }
        };
    }
    sizes!(14 12 10 8 6 4 2 1);
}

/// # Safety
/// The places must lie in the band, the panel hold weights for the width of a tile, and the sums have
/// room.
#[inline(always)]
unsafe fn sums_of<S: Lanes, const P: usize, const V: usize>(tile: Tile) {
    let wide = S::TILE.1 * S::N;
    let mut sums = [[S::splat(0.0); V]; P];
    let mut right = tile.right;
    for &tap in tile.taps {
        let mut left = tile.left.wrapping_add(tap);
        for _ in 0..tile.channels {
            // SAFETY: the caller promises places in the band and a whole panel.
            unsafe {
                add_products::<S, Singles, P, V>(left, right, &mut sums);
                left = left.wrapping_add(tile.step);
                right = right.add(wide);
            }
        }
    }
    // Written out, since an iterator over the array would keep it in memory.
    macro_rules! rows {
        ($($row:literal)*) => {$(
            if $row < P {
                for (j, &sum) in sums[$row].iter().enumerate() {
                    // SAFETY: the caller promises room.
                    unsafe { S::store(sum, tile.to.add($row * tile.to_step + j * S::N)) };
                }
            }
        )*};
    }
    rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
}

impl Axis {
    /// How many neighbouring elements, padding among them, the weights meet at `places` places.
    fn span(&self, places: usize) -> usize {
        (places - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
    }
}
