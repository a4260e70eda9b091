//! Owns the positions of extrema.

use olivine_core::{Call, Complex64, Dtype, Result, bf16, f16, ops::arg_reduce::ArgReduce};

use super::{movement::Source, reduce::Ordered};
use crate::{
    isa::{Isa, per_isa},
    pool::parallel_for,
    tensor::Output,
};

/// Columns that are compared side by side.
const BLOCK: usize = 256;

/// Runs the kernel.
pub(super) fn run(arg: &ArgReduce, call: &mut Call) -> Result<()> {
    // Truth values are in the order of the numbers 0 and 1.
    macro_rules! find {
        ($T:ty) => {
            if arg.greatest {
                greatest::<$T>
            } else {
                least::<$T>
            }
        };
    }
    let find = match call.input(0).dtype {
        Dtype::Bool | Dtype::Uint8 => find!(u8),
        Dtype::Uint16 => find!(u16),
        Dtype::Uint32 => find!(u32),
        Dtype::Uint64 => find!(u64),
        Dtype::Int8 => find!(i8),
        Dtype::Int16 => find!(i16),
        Dtype::Int32 => find!(i32),
        Dtype::Int64 => find!(i64),
        Dtype::Float16 => find!(f16),
        Dtype::BFloat16 => find!(bf16),
        Dtype::Float32 => find!(f32),
        Dtype::Float64 => find!(f64),
        Dtype::Complex64 => find!(Complex64),
    };
    positions(arg, find, call)
}

/// Writes the positions that are looked for, one for each of some lines.
type Find = fn(Lines, &mut [u32]);

fn positions(arg: &ArgReduce, find: Find, call: &mut Call) -> Result<()> {
    let op = olivine_core::graph::Primitive::name(arg);
    let out = Output::<u32>::allocate(call, 0, op)?;
    if out.len() == 0 {
        return Ok(());
    }
    let input = call.input(0);
    let (start, bytes) = (Source::new(input.ptr()), input.dtype.size() as isize);
    let (shape, strides) = (&input.shape[..], &input.data.strides[..]);
    let (size, step) = (shape[arg.axis], strides[arg.axis]);
    let inner: usize = shape[arg.axis + 1..].iter().product();
    let inner_shape = &shape[arg.axis + 1..];
    let inner_strides = &strides[arg.axis + 1..];
    let even = olivine_core::shape::is_contiguous(inner_shape, inner_strides);
    let lines = |offset: isize, across: isize| Lines {
        start: start.get().wrapping_offset(offset * bytes),
        size,
        step,
        across,
    };
    parallel_for(out.len(), size, |range| {
        // SAFETY: ranges are disjoint.
        let to = unsafe { out.part(range.clone()) };
        let mut at = range.start;
        while at < range.end {
            let (outer, column) = (at / inner, at % inner);
            let offset = locate(&shape[..arg.axis], &strides[..arg.axis], outer);
            let (lines, some) = if inner == 1
                && step == 1
                && let Some(axis) = arg.axis.checked_sub(1)
            {
                // Rows along the axis before: many short ones are taken in one go.
                let first = outer % shape[axis];
                (lines(offset, strides[axis]), shape[axis] - first)
            } else {
                let offset = offset + locate(inner_shape, inner_strides, column);
                let some = if even { (inner - column).min(BLOCK) } else { 1 };
                (lines(offset, 1), some)
            };
            let some = some.min(range.end - at);
            find(lines, &mut to[at - range.start..][..some]);
            at += some;
        }
    });
    Ok(())
}

fn locate(shape: &[usize], strides: &[isize], mut position: usize) -> isize {
    let mut offset = 0;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        offset += (position % size) as isize * stride;
        position /= size;
    }
    offset
}

/// Lines of `size` elements that are `step` apart, within a view. The lines are `across` apart:
/// neighbours, and at most [`BLOCK`], unless their elements are neighbours.
#[derive(Clone, Copy)]
struct Lines {
    start: *const u8,
    size: usize,
    step: isize,
    across: isize,
}

per_isa! {
    /// The position in each line of its first greatest element, or first NaN.
    fn greatest<T: Ordered>(lines: Lines, to: &mut [u32]) = greatest_body;
}

#[inline(always)]
fn greatest_body<S: Isa, T: Ordered>(lines: Lines, to: &mut [u32]) {
    first(lines, to, T::over);
}

per_isa! {
    /// The position in each line of its first smallest element, or first NaN.
    fn least<T: Ordered>(lines: Lines, to: &mut [u32]) = least_body;
}

#[inline(always)]
fn least_body<S: Isa, T: Ordered>(lines: Lines, to: &mut [u32]) {
    first(lines, to, T::under);
}

#[inline(always)]
fn first<T: Ordered>(lines: Lines, to: &mut [u32], beats: impl Fn(T, T) -> bool + Copy) {
    let Lines {
        size, step, across, ..
    } = lines;
    let start = lines.start.cast::<T>();
    if step == 1 {
        for (i, to) in to.iter_mut().enumerate() {
            let start = start.wrapping_offset(i as isize * across);
            // SAFETY: a line of neighbours within the view.
            let line = unsafe { std::slice::from_raw_parts(start, size) };
            *to = first_in(line, beats);
        }
        return;
    }
    to.fill(0);
    if let [position] = to {
        let at = |i: usize| {
            // SAFETY: `i` is less than the line's size.
            unsafe { start.wrapping_offset(i as isize * step).read() }
        };
        let mut best = at(0);
        for i in 1..size {
            // The first NaN stands: nothing beats it but another NaN.
            if beats(at(i), best) && !beats(best, best) {
                best = at(i);
                *position = i as u32;
            }
        }
        return;
    }
    let mut best = [T::default(); BLOCK];
    let best = &mut best[..to.len()];
    for i in 0..size {
        let row = start.wrapping_offset(i as isize * step);
        // SAFETY: an element for each of the neighbouring lines.
        let row = unsafe { std::slice::from_raw_parts(row, best.len()) };
        if i == 0 {
            best.copy_from_slice(row);
            continue;
        }
        for ((best, position), &x) in best.iter_mut().zip(to.iter_mut()).zip(row) {
            let better = beats(x, *best) & !beats(*best, *best);
            *best = if better { x } else { *best };
            *position = if better { i as u32 } else { *position };
        }
    }
}

/// The position of the first element that no other beats, in blocks: first the best of each, then
/// where it is.
#[inline(always)]
fn first_in<T: Ordered>(line: &[T], beats: impl Fn(T, T) -> bool + Copy) -> u32 {
    const LANES: usize = 32;
    const RUN: usize = 1024;
    if line.len() < 2 * LANES {
        let mut found = 0;
        for (i, &x) in line.iter().enumerate() {
            if beats(x, line[found]) && !beats(line[found], line[found]) {
                found = i;
            }
        }
        return found as u32;
    }
    let (mut best, mut block) = (line[0], 0);
    for (i, run) in line.chunks(RUN).enumerate() {
        if beats(best, best) {
            break;
        }
        let mut lanes = [run[0]; LANES];
        let (chunks, rest) = run.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane = if beats(x, *lane) { x } else { *lane };
            }
        }
        let pick = |a, b| if beats(b, a) { b } else { a };
        let found = lanes
            .into_iter()
            .chain(rest.iter().copied())
            .fold(run[0], pick);
        if beats(found, best) {
            (best, block) = (found, i);
        }
    }
    let nan = beats(best, best);
    let run = &line[block * RUN..];
    let found = run
        .iter()
        .position(|&x| if nan { beats(x, x) } else { x == best });
    (block * RUN + found.unwrap_or(0)) as u32
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Result};

    use crate::kernels::test_inputs::{Random, values};

    #[test]
    fn positions_of_random_layouts_match_plain_loops() -> Result<()> {
        let mut random = Random(8);
        for dtype in [
            Dtype::Float32,
            Dtype::BFloat16,
            Dtype::Int32,
            Dtype::Float64,
        ] {
            for _ in 0..30 {
                let shape = [
                    1 + random.below(9),
                    1 + random.below(90),
                    1 + random.below(40),
                ];
                let x = random.array(&shape, dtype)?;
                for axis in 0..3 {
                    let moved = values(&x.moveaxis(axis, -1)?)?;
                    let n = shape[axis as usize];
                    let expected: Vec<u32> = moved
                        .chunks(n)
                        .map(|row| {
                            (1..n).fold(0, |best, i| if row[i] > row[best] { i } else { best })
                                as u32
                        })
                        .collect();
                    assert_eq!(
                        x.argmax(axis)?.to_vec::<u32>()?,
                        expected,
                        "{shape:?} {axis}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn the_first_of_equals_and_the_first_nan_are_taken() -> Result<()> {
        let mut row = vec![0.0f32; 3000];
        row[2500] = 1.0;
        row[2600] = 1.0;
        let of = |row: &[f32]| Array::from_slice(row, [row.len()]);
        assert_eq!(of(&row)?.argmax(..)?.item::<u32>()?, 2500);
        row[2700] = f32::NAN;
        row[2800] = f32::NAN;
        let x = of(&row)?;
        assert_eq!(x.argmax(..)?.item::<u32>()?, 2700);
        assert_eq!(x.argmin(..)?.item::<u32>()?, 2700);
        let columns = x
            .reshape([3000, 1])?
            .broadcast_to([3000, 2])?
            .contiguous()?;
        assert_eq!(columns.argmin(0)?.to_vec::<u32>()?, [2700, 2700]);
        assert!(Array::zeros([0], Dtype::Float32)?.argmax(..).is_err());
        Ok(())
    }
}
