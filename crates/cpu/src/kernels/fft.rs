//! Owns Fourier transforms: lines along each axis in turn, several at a time and on several threads.
//!
//! A line that holds an infinity or NaN becomes NaN everywhere, whatever the algorithm for its size.

use olivine_core::{
    Call, Complex64, Element, Result,
    fft::{Fft, Kind},
};
use olivine_numeric::fourier::{Complexes, Halves, Reals};

use crate::{
    pool::parallel_for,
    tensor::{Loops, Output, View},
};

const OP: &str = "fft";

const NAN: Complex64 = Complex64::new(f32::NAN, f32::NAN);

/// Lines that are handled together, so that neighbours in memory are read together.
const BLOCK: usize = 8;

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

    /// Where a line starts.
    fn start(self, line: usize) -> usize {
        line / self.step * self.step * self.size + line % self.step
    }

    /// What transforming one line takes, in scalar operations.
    fn cost(self) -> usize {
        self.size * (8 + 4 * self.size.ilog2() as usize)
    }
}

/// Runs the kernel.
pub(super) fn run(fft: &Fft, call: &mut Call) -> Result<()> {
    let rank = call.shape(0).rank();
    let axes: Vec<usize> = fft.axes.iter().map(|axis| rank - axis).collect();
    let scale = fft.scale as f32;
    match (fft.kind, axes.split_last()) {
        (Kind::ToReal(_), Some((&last, others))) => {
            let mut spectrum = vec![Complex64::ZERO; call.input(0).shape.elements()];
            gather(call, &mut spectrum)?;
            let shape = call.input(0).shape.clone();
            complex(&mut spectrum, &shape, others, true);
            let out = Output::<f32>::allocate(call, 0, OP)?;
            let to = Lines::new(call.shape(0), last);
            to_real(&spectrum, Lines::new(&shape, last), &out, to, scale);
        }
        (Kind::FromReal, Some((&last, others))) => {
            let mut line = vec![0.0f32; call.input(0).shape.elements()];
            gather(call, &mut line)?;
            let from = Lines::new(&call.input(0).shape, last);
            let mut out = Output::<Complex64>::allocate(call, 0, OP)?;
            from_real(&line, from, &out, Lines::new(call.shape(0), last), scale);
            complex(out.slice(), call.shape(0), others, false);
        }
        (kind, _) => {
            let mut out = Output::<Complex64>::allocate(call, 0, OP)?;
            gather(call, out.slice())?;
            let inverse = kind == Kind::Inverse;
            complex(out.slice(), call.shape(0), &axes, inverse);
            for z in out.slice() {
                *z *= scale;
            }
        }
    }
    Ok(())
}

/// Copies the input in row-major order.
fn gather<T: Element>(call: &Call, to: &mut [T]) -> Result<()> {
    let view = View::<T>::new(call.input(0), OP)?;
    let loops = Loops::new(view.shape, [view.strides]);
    let [step] = loops.inner_strides();
    let mut at = 0;
    loops.for_each_run(0..to.len(), |[start], length| {
        for (i, to) in to[at..at + length].iter_mut().enumerate() {
            // SAFETY: the loops stay within the operand.
            *to = unsafe { *view.ptr.offset(start + i as isize * step) };
        }
        at += length;
    });
    Ok(())
}

/// Transforms complex numbers in place along axes, without a factor.
fn complex(values: &mut [Complex64], shape: &[usize], axes: &[usize], inverse: bool) {
    if values.is_empty() {
        return;
    }
    for &axis in axes {
        let lines = Lines::new(shape, axis);
        let plan = Complexes::new(lines.size, inverse);
        let out = Output::over(values);
        parallel_for(lines.count.div_ceil(BLOCK), lines.cost() * BLOCK, |range| {
            let mut scratch = plan.scratch();
            let mut room = vec![Complex64::ZERO; BLOCK * lines.size];
            for block in range {
                let first = block * BLOCK;
                let count = BLOCK.min(lines.count - first);
                let room = &mut room[..count * lines.size];
                for i in 0..lines.size {
                    for line in 0..count {
                        let at = lines.start(first + line) + i * lines.step;
                        // SAFETY: each line belongs to one block, and each block to one thread.
                        room[line * lines.size + i] = unsafe { out.part(at..at + 1) }[0];
                    }
                }
                let known: [bool; BLOCK] = std::array::from_fn(|line| {
                    let line = room.chunks_exact(lines.size).nth(line);
                    line.is_some_and(|line| line.iter().all(|z| z.is_finite()))
                });
                plan.run(room, &mut scratch);
                for (line, known) in room.chunks_exact_mut(lines.size).zip(known) {
                    if !known {
                        line.fill(NAN);
                    }
                }
                for i in 0..lines.size {
                    for line in 0..count {
                        let at = lines.start(first + line) + i * lines.step;
                        // SAFETY: as above.
                        let to = unsafe { out.part(at..at + 1) };
                        to[0] = room[line * lines.size + i];
                    }
                }
            }
        });
    }
}

fn from_real(line: &[f32], from: Lines, out: &Output<Complex64>, to: Lines, scale: f32) {
    let plan = Reals::new(from.size);
    parallel_for(
        if line.is_empty() { 0 } else { from.count },
        from.cost(),
        |range| {
            let mut scratch = plan.scratch();
            let mut room = vec![0.0f32; from.size];
            let mut spectrum = vec![Complex64::ZERO; to.size];
            for at in range {
                let start = from.start(at);
                for (i, room) in room.iter_mut().enumerate() {
                    *room = line[start + i * from.step];
                }
                let known = room.iter().all(|x| x.is_finite());
                plan.run(&mut room, &mut spectrum, &mut scratch);
                let start = to.start(at);
                for (i, z) in spectrum.iter().enumerate() {
                    let place = start + i * to.step;
                    // SAFETY: each line is written by one thread.
                    let to = unsafe { out.part(place..place + 1) };
                    to[0] = if known { z * scale } else { NAN };
                }
            }
        },
    );
}

fn to_real(spectrum: &[Complex64], from: Lines, out: &Output<f32>, to: Lines, scale: f32) {
    let plan = Halves::new(to.size);
    parallel_for(
        if spectrum.is_empty() { 0 } else { from.count },
        to.cost(),
        |range| {
            let mut scratch = plan.scratch();
            let mut room = vec![Complex64::ZERO; from.size];
            let mut line = vec![0.0f32; to.size];
            for at in range {
                let start = from.start(at);
                for (i, room) in room.iter_mut().enumerate() {
                    *room = spectrum[start + i * from.step];
                }
                let known = room.iter().all(|z| z.is_finite());
                plan.run(&mut room, &mut line, &mut scratch);
                let start = to.start(at);
                for (i, x) in line.iter().enumerate() {
                    let place = start + i * to.step;
                    // SAFETY: each line is written by one thread.
                    let to = unsafe { out.part(place..place + 1) };
                    to[0] = if known { x * scale } else { f32::NAN };
                }
            }
        },
    );
}
