//! Owns Fourier transforms: lines along each axis in turn, on several threads. Lines whose elements
//! lie apart are handled several at a time, so that neighbours in memory are read together.
//!
//! A line that holds an infinity or NaN becomes NaN everywhere, whatever the algorithm for its size.

mod plans;
mod power_of_two;

use std::sync::Arc;

use olivine_core::{
    Buffer, Call, Complex64, Element, Result,
    fft::{Fft, Kind},
};

use plans::{Parts, Plan, complex_lines, half_lines, real_lines};

use super::{
    copy::pack,
    movement::{Source, Target},
};
use crate::{
    isa::{Isa, per_isa},
    pool::parallel_for,
    tensor::{Output, View},
};

const OP: &str = "fft";

/// Lines that are handled together if their elements lie apart: as many numbers fill a line of the
/// cache.
const BLOCK: usize = 8;

/// Lines that are handled together lie this many elements farther apart than they are long, so that
/// they do not compete for the same places in the cache.
const GAP: usize = 8;

/// The lines of one axis of a row-major array: their starts, their size, and how far their elements
/// lie apart.
#[derive(Clone, Copy)]
struct Lines {
    count: usize,
    size: usize,
    step: usize,
}

impl Lines {
    fn new(shape: &[usize], axis: usize) -> Self {
        let size = shape[axis];
        let elements: usize = shape.iter().product();
        Lines {
            count: elements / size,
            size,
            step: shape[axis + 1..].iter().product(),
        }
    }

    /// Blocks of neighbouring lines between two of which no other axis takes a step.
    fn blocks(self) -> usize {
        self.count / self.step * self.step.div_ceil(BLOCK)
    }

    /// Where the first line of a block starts, and the number of lines in it.
    fn block(self, block: usize) -> (usize, usize) {
        let blocks = self.step.div_ceil(BLOCK);
        let first = block % blocks * BLOCK;
        let start = block / blocks * self.step * self.size + first;
        (start, BLOCK.min(self.step - first))
    }

    /// What transforming one line takes, in scalar operations.
    fn cost(self) -> usize {
        self.size * (8 + 4 * self.size.max(2).ilog2() as usize)
    }
}

#[inline(always)]
fn are_finite_body<S: Isa>(numbers: &[f32]) -> bool {
    const INFINITY: u32 = f32::INFINITY.to_bits();
    let strange = |x: &f32| u32::from(x.to_bits() & INFINITY == INFINITY);
    numbers.iter().fold(0, |any, x| any | strange(x)) == 0
}

per_isa! {
    [v3]
    /// True if there is no infinity and no NaN among the numbers.
    fn are_finite(numbers: &[f32]) -> bool = are_finite_body;
}

/// Runs the kernel.
pub(super) fn run(fft: &Fft, call: &mut Call) -> Result<()> {
    let rank = call.shape(0).rank();
    let axes: Vec<usize> = fft.axes.iter().map(|axis| rank - axis).collect();
    let scale = fft.scale as f32;
    let (shape, spectrum) = (call.input(0).shape.clone(), call.shape(0));
    if shape.elements() == 0 || spectrum.elements() == 0 {
        return call.allocate(0).map(|_| ());
    }
    // SAFETY: inputs and outputs have as many numbers as their shapes say, and only this call
    // writes to its output and to its scratch memory.
    unsafe {
        match (fft.kind, axes.split_last()) {
            (Kind::ToReal(_), Some((&last, others))) => {
                let out = Output::<f32>::allocate(call, 0, OP)?;
                let (mut from, mut held) = input::<Complex64>(call)?;
                if !others.is_empty() {
                    let room = call.scratch(shape.elements() * size_of::<Complex64>())?;
                    let start = room.host().as_ptr().cast::<Complex64>();
                    complex(from, start, &shape, others, true, 1.0);
                    (from, held) = (start, Some(room));
                }
                let (lines, to) = (Lines::new(&shape, last), Lines::new(call.shape(0), last));
                transform(&half_lines(to.size), (from, lines), (out.ptr(), to), scale);
                drop(held);
            }
            (Kind::FromReal, Some((&last, others))) => {
                let out = Output::<Complex64>::allocate(call, 0, OP)?.ptr();
                let (from, _held) = input::<f32>(call)?;
                let (lines, to) = (Lines::new(&shape, last), Lines::new(spectrum, last));
                transform(&real_lines(lines.size), (from, lines), (out, to), scale);
                complex(out, out, spectrum, others, false, 1.0);
            }
            (kind, Some(_)) => {
                let out = Output::<Complex64>::reuse(call, 0, &[0], OP)?.ptr();
                let (from, _held) = input::<Complex64>(call)?;
                complex(from, out, &shape, &axes, kind == Kind::Inverse, scale);
            }
            (_, None) => {
                let mut out = Output::<Complex64>::allocate(call, 0, OP)?;
                pack(call.input(0), out.ptr().cast());
                out.slice().iter_mut().for_each(|z| *z *= scale);
            }
        }
    }
    Ok(())
}

/// The input's numbers in row-major order, and the memory they are in if they had to be copied.
fn input<T: Element>(call: &Call) -> Result<(*const T, Option<Arc<dyn Buffer>>)> {
    let x = call.input(0);
    let start = View::<T>::new(x, OP)?.ptr;
    if x.is_contiguous() {
        return Ok((start, None));
    }
    let packed = call.scratch(x.shape.elements() * size_of::<T>())?;
    // SAFETY: there is room for the input's numbers.
    unsafe { pack(x, packed.host().as_ptr()) };
    Ok((packed.host().as_ptr().cast_const().cast(), Some(packed)))
}

/// Transforms complex numbers along axes, with a factor.
///
/// # Safety
/// As for [`transform`].
unsafe fn complex(
    mut from: *const Complex64,
    to: *mut Complex64,
    shape: &[usize],
    axes: &[usize],
    inverse: bool,
    scale: f32,
) {
    for (i, &axis) in axes.iter().enumerate() {
        let lines = Lines::new(shape, axis);
        let plan = complex_lines(lines.size, inverse);
        let scale = if i + 1 == axes.len() { scale } else { 1.0 };
        // SAFETY: passed on to the caller.
        unsafe { transform(&plan, (from, lines), (to, lines), scale) };
        from = to;
    }
}

/// Transforms lines, with a factor.
///
/// # Safety
/// There must be as many numbers at both addresses as the lines have. The target must be this
/// thread's alone; it may be the source if the lines have the same sizes.
unsafe fn transform<P: Plan>(
    plan: &P,
    (from, source): (*const P::From, Lines),
    (to, target): (*mut P::To, Lines),
    scale: f32,
) {
    let (from, to) = (Source::new(from.cast()), Target::new(to.cast()));
    let together = if source.step == 1 { 1 } else { BLOCK };
    parallel_for(source.blocks(), source.cost() * together, |range| {
        let mut scratch = plan.scratch();
        let (wide, tall) = (source.size + GAP, target.size + GAP);
        let mut lines = vec![P::From::default(); together * wide];
        // Lines of a size that fills lines of the cache begin with one: they are transformed faster.
        let mut results = vec![P::To::default(); together * tall + GAP];
        let skipped = results.as_ptr().align_offset(GAP * size_of::<Complex64>()) % GAP;
        let results = &mut results[skipped..];
        for block in range {
            let ((first, count), (place, _)) = (source.block(block), target.block(block));
            let from = from.get().cast::<P::From>().wrapping_add(first);
            let to = to.get().cast::<P::To>().wrapping_add(place);
            if source.step == 1 {
                // SAFETY: one of the lines, and each is written by one thread. Lines that begin at
                // one address are one line, which is copied before it is written.
                unsafe {
                    let result = || std::slice::from_raw_parts_mut(to, target.size);
                    let kept = from.addr() != to.addr() && {
                        let line = std::slice::from_raw_parts(from, source.size);
                        transform_kept_line(plan, line, result(), &mut scratch, scale)
                    };
                    if !kept {
                        let line = &mut lines[..source.size];
                        line.as_mut_ptr().copy_from_nonoverlapping(from, line.len());
                        transform_line(plan, line, result(), &mut scratch, scale);
                    }
                }
                continue;
            }
            for i in 0..source.size {
                let numbers = from.wrapping_add(i * source.step);
                for line in 0..count {
                    // SAFETY: a number of one of the lines.
                    lines[line * wide + i] = unsafe { numbers.add(line).read() };
                }
            }
            for line in 0..count {
                let result = &mut results[line * tall..][..target.size];
                let line = &mut lines[line * wide..][..source.size];
                transform_line(plan, line, result, &mut scratch, scale);
            }
            for i in 0..target.size {
                let numbers = to.wrapping_add(i * target.step);
                for line in 0..count {
                    // SAFETY: as above, and each line is written by one thread.
                    unsafe { numbers.add(line).write(results[line * tall + i]) };
                }
            }
        }
    });
}

/// Transforms a line, whose memory is used up, with a factor.
fn transform_line<P: Plan>(
    plan: &P,
    from: &mut [P::From],
    to: &mut [P::To],
    scratch: &mut [Complex64],
    scale: f32,
) {
    let known = are_finite(P::From::parts(from));
    plan.run(from, to, scratch, scale);
    finish(P::To::parts_mut(to), known);
}

/// Transforms a line that stays as it is, with a factor, where the plan can; else returns false.
fn transform_kept_line<P: Plan>(
    plan: &P,
    from: &[P::From],
    to: &mut [P::To],
    scratch: &mut [Complex64],
    scale: f32,
) -> bool {
    if !plan.run_from(from, to, scratch, scale) {
        return false;
    }
    let known = are_finite(P::To::parts(&to[..1])) || are_finite(P::From::parts(from));
    finish(P::To::parts_mut(to), known);
    true
}

/// Makes a transform NaN if its line had something that is not known to be finite.
fn finish(parts: &mut [f32], known: bool) {
    if !known {
        parts.fill(f32::NAN);
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use olivine_core::{
        Array,
        fft::{Norm, fft, ifft, irfft, rfft},
    };

    use super::*;
    use crate::kernels::test_inputs::Random;

    fn random(random: &mut Random, shape: &[usize]) -> Result<Array> {
        let number = |_| Complex64::new(random.unit(), random.unit());
        let numbers: Vec<Complex64> = (0..shape.iter().product()).map(number).collect();
        Array::from_slice(&numbers, shape)
    }

    /// The transform along an axis of a row-major array, by its definition.
    fn naive(x: &Array, axis: usize, sign: f64) -> Result<Vec<(f64, f64)>> {
        let (numbers, lines) = (x.to_vec::<Complex64>()?, Lines::new(x.shape(), axis));
        let mut sums = vec![(0.0, 0.0); numbers.len()];
        for (at, sum) in sums.iter_mut().enumerate() {
            let k = at / lines.step % lines.size;
            for i in 0..lines.size {
                let z = numbers[at - k * lines.step + i * lines.step];
                let angle = sign * TAU * (k * i % lines.size) as f64 / lines.size as f64;
                let (re, im) = (f64::from(z.re), f64::from(z.im));
                sum.0 += re * angle.cos() - im * angle.sin();
                sum.1 += re * angle.sin() + im * angle.cos();
            }
        }
        Ok(sums)
    }

    #[track_caller]
    fn assert_near(found: &Array, expected: &[(f64, f64)], factor: f64) -> Result<()> {
        let found = found.to_vec::<Complex64>()?;
        assert_eq!(found.len(), expected.len());
        for (i, (z, &(re, im))) in found.iter().zip(expected).enumerate() {
            let (x, y) = (f64::from(z.re) - re * factor, f64::from(z.im) - im * factor);
            assert!(x.hypot(y) < 2e-4, "{z} instead of {re} {im} at {i}");
        }
        Ok(())
    }

    #[test]
    fn lines_along_any_axis_have_the_transform_of_its_definition() -> Result<()> {
        let mut numbers = Random(21);
        for shape in [[3, 16, 5], [1, 7, 64], [40, 3, 9], [2, 13, 8], [5, 1, 1]] {
            let x = random(&mut numbers, &shape)?;
            let turned = random(&mut numbers, &[shape[2], shape[0], shape[1]])?;
            for (axis, size) in shape.into_iter().enumerate() {
                for x in [&x, &turned.transpose([1, 2, 0])?] {
                    let n = size as f64;
                    let y = fft(x, None, axis as i64, Norm::Backward)?;
                    assert_near(&y, &naive(x, axis, -1.0)?, 1.0)?;
                    let y = ifft(x, None, axis as i64, Norm::Backward)?;
                    assert_near(&y, &naive(x, axis, 1.0)?, 1.0 / n)?;
                    // The memory of an array that nobody holds is taken over.
                    let twice = fft(&y, None, axis as i64, Norm::Backward)?;
                    drop(y);
                    let same = x.to_vec::<Complex64>()?;
                    let same: Vec<_> = same
                        .iter()
                        .map(|z| (f64::from(z.re), f64::from(z.im)))
                        .collect();
                    assert_near(&twice, &same, 1.0)?;
                }
            }
        }
        Ok(())
    }

    #[test]
    fn real_lines_and_their_spectra_turn_into_each_other() -> Result<()> {
        let mut numbers = Random(22);
        for shape in [[3, 16, 5], [4, 9, 7], [2, 1, 12]] {
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| numbers.unit())
                .collect();
            let x = Array::from_slice(&values, shape)?;
            let pairs: Vec<Complex64> = values.iter().map(|&x| Complex64::new(x, 0.0)).collect();
            let z = Array::from_slice(&pairs, shape)?;
            for axis in 0..3 {
                let (n, half) = (shape[axis], shape[axis] / 2 + 1);
                let lines = Lines::new(&shape, axis);
                let whole = naive(&z, axis, -1.0)?.into_iter().enumerate();
                let first = whole.filter(|(at, _)| at / lines.step % n < half);
                let first: Vec<(f64, f64)> = first.map(|(_, z)| z).collect();
                let y = rfft(&x, None, axis as i64, Norm::Backward)?;
                assert_near(&y, &first, 1.0)?;
                let back = irfft(&y, n, axis as i64, Norm::Backward)?.to_vec::<f32>()?;
                assert!(back.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-5));
            }
        }
        Ok(())
    }

    #[test]
    fn lines_of_any_size_with_infinities_or_nan_become_nan() -> Result<()> {
        for size in [1, 2, 7, 8, 31, 60, 97, 128, 211, 512, 1000, 4096] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for place in [0, size / 3, size - 1] {
                    let mut line = vec![Complex64::new(1.0, 2.0); 2 * size];
                    line[place].im = bad;
                    let x = Array::from_slice(&line, [2, size])?;
                    let y = fft(&x, None, -1, Norm::Backward)?.to_vec::<Complex64>()?;
                    let strange = y[..size].iter().all(|z| z.re.is_nan() && z.im.is_nan());
                    assert!(strange, "{bad} at {place} of {size}");
                    assert!(y[size..].iter().all(|z| z.is_finite()), "{size}");
                }
            }
        }
        // Sums that overflow are no reason.
        let mut line = vec![Complex64::new(f32::MAX, 0.0); 8];
        line[1..].fill(Complex64::new(f32::MAX / 4.0, 0.0));
        let y = fft(&Array::from_slice(&line, [8])?, None, -1, Norm::Backward)?;
        assert_eq!(y.to_vec::<Complex64>()?[0].re, f32::INFINITY);
        Ok(())
    }

    #[test]
    fn only_lines_that_hold_infinities_or_nan_become_nan() -> Result<()> {
        for (bad, axis) in [(f32::NAN, 0), (f32::INFINITY, 1), (f32::NEG_INFINITY, 0)] {
            let mut values = vec![1.0f32; 12 * 16];
            values[5 * 16 + 7] = bad;
            let x = Array::from_slice(&values, [12, 16])?;
            let y = rfft(&x, None, axis, Norm::Ortho)?;
            let width = y.shape()[1];
            for (at, z) in y.to_vec::<Complex64>()?.into_iter().enumerate() {
                let line = if axis == 0 {
                    at % width == 7
                } else {
                    at / width == 5
                };
                assert_eq!(z.re.is_nan() && z.im.is_nan(), line, "{bad} {axis} {at}");
                assert_eq!(z.is_finite(), !line, "{bad} {axis} {at}");
            }
        }
        Ok(())
    }
}
