//! Owns convolutions with many channels of results. A band of the input is copied with its padding,
//! so that what one weight meets at neighbouring places lies at equal distances; then a tile of
//! places and channels stays in registers while all weights pass by.

use std::ops::Range;

use super::{Axis, Task};
use crate::{
    isa::per_isa,
    kernels::{
        matmul::{Matrix, Panels, Rounded, Wide, pack_lines, tile_size},
        row::RowElement,
    },
    pool::{num_threads, parallel_for},
    simd::Lanes,
    tensor::Output,
};

/// The most elements of a band: a quarter of a mebibyte, which a second-level cache holds.
const BAND: usize = 64 * 1024;

/// The places of a tile.
const PLACES: [usize; 8] = [14, 12, 10, 8, 6, 4, 2, 1];

/// True if tiles are worth it.
pub(super) fn suits<T: RowElement>(task: &Task<T>) -> bool {
    let [_, _, last] = &task.axes;
    let empty = task.channels == 0 || task.axes.iter().any(|axis| axis.kernel == 0);
    !empty && last.output >= 4 && task.out_channels / task.groups >= 8
}

/// The part of the result that is computed from one band.
struct Part {
    batch: usize,
    group: usize,
    /// The place along the first axis, and ranges along the others.
    first: usize,
    second: Range<usize>,
    third: Range<usize>,
}

/// How the result is cut.
struct Cuts<'a, T: RowElement> {
    task: &'a Task<'a, T>,
    /// The places of a part along the second and the third axis.
    second: usize,
    third: usize,
}

impl<'a, T: RowElement> Cuts<'a, T> {
    fn new(task: &'a Task<'a, T>, batches: usize) -> Self {
        let [a, b, c] = &task.axes;
        let channels = task.channels / task.groups;
        let size = |b_places, c_places| a.kernel * b.span(b_places) * c.span(c_places) * channels;
        let (mut second, mut third) = (b.output, c.output);
        let others = batches * task.groups * a.output;
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

    fn count(&self, batches: usize) -> usize {
        let [a, b, c] = &self.task.axes;
        let (second, third) = (
            b.output.div_ceil(self.second),
            c.output.div_ceil(self.third),
        );
        batches * self.task.groups * a.output * second * third
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
    let [a, b, c] = &task.axes;
    let places = a.output * b.output * c.output;
    let batches = out.len() / (places * task.out_channels);
    let cuts = Cuts::new(task, batches);
    let count = cuts.count(batches);
    let cost = (places * batches * task.out_channels / count.max(1)).saturating_mul(inner / 8 + 1);
    parallel_for(count, cost, |parts| {
        let mut band = Vec::new();
        for part in parts {
            let part = cuts.part(part);
            fill(task, &part, &mut band);
            let right = &packed[part.group * size..][..size];
            multiply(task, &part, &band, right, inner, out);
        }
    });
}

/// Copies what the weights meet in a part of the result.
fn fill<T: RowElement<Wide = f32>>(task: &Task<T>, part: &Part, band: &mut Vec<f32>) {
    let [a, b, c] = &task.axes;
    let channels = task.channels / task.groups;
    let (tall, long) = (b.span(part.second.len()), c.span(part.third.len()));
    band.resize(a.kernel * tall * long * channels, 0.0);
    let mut lines = band.chunks_exact_mut((long * channels).max(1));
    for plane in a.taps(part.first) {
        for row in 0..tall {
            let Some(line) = lines.next() else { return };
            let row = b.element(part.second.start * b.stride + row);
            let Some((plane, row)) = plane.zip(row) else {
                line.fill(0.0);
                continue;
            };
            let start = ((part.batch * a.input + plane) * b.input + row) * c.input;
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
                continue;
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
    let channels = task.channels / task.groups;
    let columns = task.out_channels / task.groups;
    let (tall, long) = (b.span(part.second.len()), c.span(part.third.len()));
    let mut taps = Vec::with_capacity(inner / channels);
    for plane in 0..a.kernel {
        for row in 0..b.kernel {
            for column in 0..c.kernel {
                let line = plane * tall + b.reach(row);
                taps.push((line * long + c.reach(column)) * channels);
            }
        }
    }
    let (most, wide) = tile_size();
    let count = places_of(part.third.len(), most);
    for panel in 0..columns.div_ceil(wide) {
        let width = (columns - panel * wide).min(wide);
        for row in part.second.clone() {
            let line = (row - part.second.start) * b.stride * long * channels;
            let place = ((part.batch * a.output + part.first) * b.output + row) * c.output;
            let mut done = 0;
            while done < part.third.len() {
                // The last tile goes over some places a second time.
                let first = done.min(part.third.len() - count);
                let tile = Tile {
                    left: band[line + first * c.stride * channels..].as_ptr(),
                    step: c.stride * channels,
                    taps: &taps,
                    channels,
                    right: right[panel * wide * inner..].as_ptr(),
                };
                let mut sums = [[0.0f32; 32]; 14];
                multiply_tile(count, width, tile, &mut sums);
                for (i, sums) in sums.iter().enumerate().take(count) {
                    let place = place + part.third.start + first + i;
                    let start = place * task.out_channels + part.group * columns + panel * wide;
                    // SAFETY: each part writes places and channels of its own.
                    let to = unsafe { out.part(start..start + width) };
                    T::narrow_slice(&sums[..width], to);
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
    /// What the first weights meet at the first place.
    left: *const f32,
    /// How far the places are apart.
    step: usize,
    /// How far from there each weight's channels begin.
    taps: &'a [usize],
    channels: usize,
    /// A panel of weights.
    right: *const f32,
}

per_isa! {
    /// The sums at `places` places, one of [`PLACES`], for `width` channels.
    fn multiply_tile(places: usize, width: usize, tile: Tile, sums: &mut [[f32; 32]; 14]) = multiply_tile_body;
}

#[inline(always)]
fn multiply_tile_body<S: Lanes>(
    places: usize,
    width: usize,
    tile: Tile,
    sums: &mut [[f32; 32]; 14],
) {
    macro_rules! sizes {
        ($($places:literal)*) => {
            match places {
                // SAFETY: the band reaches as far as the weights do from all places, and panels hold
                // weights for the width of a tile.
                $($places if const { $places <= S::TILE.0 } => unsafe {
                    if S::TILE.1 == 1 || width <= S::N {
                        sums_of::<S, $places, 1>(tile, sums);
                    } else {
                        sums_of::<S, $places, 2>(tile, sums);
                    }
                },)*
                _ => unreachable!("no tile has {places} places"),
            }
        };
    }
    sizes!(14 12 10 8 6 4 2 1);
}

/// # Safety
/// The places must lie in the band, and the panel hold weights for the width of a tile.
#[inline(always)]
unsafe fn sums_of<S: Lanes, const P: usize, const V: usize>(
    tile: Tile,
    results: &mut [[f32; 32]; 14],
) {
    let wide = S::TILE.1 * S::N;
    let mut sums = [[S::splat(0.0); V]; P];
    let mut right = tile.right;
    for &tap in tile.taps {
        let left: [*const f32; P] =
            std::array::from_fn(|i| tile.left.wrapping_add(tap + i * tile.step));
        for channel in 0..tile.channels {
            // SAFETY: the caller promises places in the band and a whole panel.
            unsafe {
                let b: [S::F; V] = std::array::from_fn(|j| S::load(right.add(j * S::N)));
                for (left, sums) in left.iter().zip(&mut sums) {
                    let a = S::splat(left.add(channel).read());
                    for (sum, &b) in sums.iter_mut().zip(&b) {
                        *sum = S::mul_add(a, b, *sum);
                    }
                }
                right = right.add(wide);
            }
        }
    }
    for (sums, results) in sums.into_iter().zip(results) {
        for (j, sum) in sums.into_iter().enumerate() {
            // SAFETY: two vectors have at most 32 elements.
            unsafe { S::store(sum, results.as_mut_ptr().add(j * S::N)) };
        }
    }
}

impl Axis {
    /// How many neighbouring elements, padding among them, the weights meet at `places` places.
    fn span(&self, places: usize) -> usize {
        (places - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
    }
}
