//! Owns what becomes points and what points become: sums and differences of elements and of weights,
//! and the results, with many channels at once. The matrices are those of Lavin and Gray.

use super::{CHUNK, POINTS};
use crate::{
    isa::per_isa,
    simd::{Lanes, Narrow, prefetch},
};

/// Where the points of a tile go.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    pub(super) channels: usize,
    pub(super) to: *mut f32,
    /// How far chunks of channels are apart, and points.
    pub(super) chunk: usize,
    pub(super) point: usize,
}

per_isa! {
    /// Computes the points of a tile from its elements.
    pub(super) fn spread_tile<T: Narrow>(elements: [[*const T; 4]; 4], spread: Spread) = spread_tile_body;
}

#[inline(always)]
fn spread_tile_body<S: Lanes, T: Narrow>(elements: [[*const T; 4]; 4], spread: Spread) {
    let whole = spread.channels - spread.channels % S::N;
    for channel in (0..whole).step_by(S::N) {
        // SAFETY: each element has so many channels, and so has each point.
        unsafe { spread_channels::<S, T>(elements, channel, channel, spread) };
    }
    if whole < spread.channels {
        let mut rest = [[[0.0f32; CHUNK]; 4]; 4];
        for (rest, elements) in rest
            .iter_mut()
            .flatten()
            .zip(elements.into_iter().flatten())
        {
            for (i, to) in rest.iter_mut().enumerate().take(spread.channels - whole) {
                // SAFETY: so many channels are left.
                *to = unsafe { elements.add(whole + i).read() }.widen();
            }
        }
        let elements = rest
            .each_ref()
            .map(|row| row.each_ref().map(|rest| rest.as_ptr()));
        // SAFETY: a chunk holds a vector, and points have whole chunks.
        unsafe { spread_channels::<S, f32>(elements, 0, whole, spread) };
    }
}

/// # Safety
/// A vector of channels must be readable at `from` of each element, and writable at `to` of each point.
#[inline(always)]
unsafe fn spread_channels<S: Lanes, T: Narrow>(
    elements: [[*const T; 4]; 4],
    from: usize,
    to: usize,
    spread: Spread,
) {
    let to = spread
        .to
        .wrapping_add(to / CHUNK * spread.chunk + to % CHUNK);
    let mut half = [[S::splat(0.0); 4]; 4];
    for j in 0..4 {
        let mut column = [S::splat(0.0); 4];
        for i in 0..4 {
            if i >= 2 && j >= 2 {
                // What the next tile meets first.
                prefetch(elements[i][j].wrapping_add(from + 2 * spread.channels));
            }
            // SAFETY: the caller's promise.
            column[i] = unsafe { T::load::<S>(elements[i][j].add(from)) };
        }
        let column = spread_line::<S>(column);
        for i in 0..4 {
            half[i][j] = column[i];
        }
    }
    for (i, row) in half.into_iter().enumerate() {
        for (j, point) in spread_line::<S>(row).into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { S::store(point, to.add((4 * i + j) * spread.point)) };
        }
    }
}

/// The points of four elements in a line.
#[inline(always)]
fn spread_line<S: Lanes>([a, b, c, d]: [S::F; 4]) -> [S::F; 4] {
    [S::sub(a, c), S::add(b, c), S::sub(c, b), S::sub(b, d)]
}

per_isa! {
    /// Computes the points of three by three weights of each channel, `point` apart. Returns whether all
    /// are finite.
    pub(super) fn spread_weights(taps: [[*const f32; 3]; 3], channels: usize, to: *mut f32, point: usize) -> bool
        = spread_weights_body;
}

#[inline(always)]
fn spread_weights_body<S: Lanes>(
    taps: [[*const f32; 3]; 3],
    channels: usize,
    to: *mut f32,
    point: usize,
) -> bool {
    let mut nothing = S::splat(0.0);
    let mut rest = ([[0.0f32; CHUNK]; 9], [[0.0f32; CHUNK]; POINTS]);
    for channel in (0..channels).step_by(S::N) {
        let count = S::N.min(channels - channel);
        let (mut from, mut at, mut target, mut step) = (taps, channel, to, point);
        if count < S::N {
            for (i, taps) in from.iter_mut().flatten().enumerate() {
                // SAFETY: so many channels are left, and a chunk holds them.
                unsafe {
                    let to = rest.0[i].as_mut_ptr();
                    to.copy_from_nonoverlapping(taps.add(channel), count);
                }
                *taps = rest.0[i].as_ptr();
            }
            (at, target, step) = (0, rest.1.as_mut_ptr().cast(), CHUNK);
        }
        let mut half = [[S::splat(0.0); 3]; 4];
        for j in 0..3 {
            let mut column = [S::splat(0.0); 3];
            for i in 0..3 {
                // SAFETY: a vector of channels is there, or was copied.
                column[i] = unsafe { S::load(from[i][j].add(at)) };
            }
            let column = weights_line::<S>(column);
            for i in 0..4 {
                half[i][j] = column[i];
            }
        }
        for (i, row) in half.into_iter().enumerate() {
            for (j, point) in weights_line::<S>(row).into_iter().enumerate() {
                nothing = S::mul_add(point, S::splat(0.0), nothing);
                // SAFETY: each point has room for the channels, or the copy has.
                unsafe { S::store(point, target.add((4 * i + j) * step + at)) };
            }
        }
        if count < S::N {
            for (i, rest) in rest.1.iter().enumerate() {
                // SAFETY: each point has room for the channels that are left.
                unsafe {
                    let to = to.add(i * point + channel);
                    to.copy_from_nonoverlapping(rest.as_ptr(), count);
                }
            }
        }
    }
    S::sum(nothing) == 0.0
}

/// The points of three weights in a line.
#[inline(always)]
fn weights_line<S: Lanes>([a, b, c]: [S::F; 3]) -> [S::F; 4] {
    let half = S::splat(0.5);
    let ends = S::add(a, c);
    let (sum, difference) = (S::add(ends, b), S::sub(ends, b));
    [a, S::mul(sum, half), S::mul(difference, half), c]
}

per_isa! {
    /// Computes four results of each of `columns` channels, and more up to a whole register, from points
    /// that are `point` apart. Returns whether all are finite.
    pub(super) fn gather_tile(from: *const f32, point: usize, columns: usize, to: [*mut f32; 4]) -> bool
        = gather_tile_body;
}

#[inline(always)]
fn gather_tile_body<S: Lanes>(
    from: *const f32,
    point: usize,
    columns: usize,
    to: [*mut f32; 4],
) -> bool {
    let zero = S::splat(0.0);
    let mut nothing = [zero; 4];
    for column in (0..columns).step_by(S::N) {
        let mut half = [[zero; 4]; 2];
        for j in 0..4 {
            let mut line = [zero; 4];
            for (i, sum) in line.iter_mut().enumerate() {
                // SAFETY: the sums of a block have whole registers.
                *sum = unsafe { S::load(from.add((4 * i + j) * point + column)) };
            }
            for (half, sum) in half.iter_mut().zip(gather_line::<S>(line)) {
                half[j] = sum;
            }
        }
        for (i, line) in half.into_iter().enumerate() {
            for (j, result) in gather_line::<S>(line).into_iter().enumerate() {
                let at = 2 * i + j;
                nothing[at] = S::mul_add(result, zero, nothing[at]);
                // SAFETY: the caller has room for whole registers.
                unsafe { S::store(result, to[at].add(column)) };
            }
        }
    }
    let [a, b, c, d] = nothing;
    S::sum(S::add(S::add(a, b), S::add(c, d))) == 0.0
}

/// Two results of four points in a line.
#[inline(always)]
fn gather_line<S: Lanes>([a, b, c, d]: [S::F; 4]) -> [S::F; 2] {
    [S::add(S::add(a, b), c), S::sub(S::sub(b, c), d)]
}
