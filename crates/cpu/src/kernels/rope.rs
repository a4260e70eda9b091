//! Owns rotary position embedding.

use olivine_core::{Call, Result, fast::Rope};

use super::{
    norm::narrow,
    row::{RowElement, Rows},
};
use crate::{
    isa::{Isa, per_isa},
    pool::parallel_for,
    simd::Narrow,
    tensor::{Output, View},
};

const OP: &str = "rope";

/// Runs the kernel.
pub(super) fn run(rope: Rope, call: &mut Call) -> Result<()> {
    narrow!(OP, call.dtype(0), T => rows::<T>(rope, call))
}

/// The cosines and sines of every position and pair.
struct Angles {
    pairs: usize,
    rows: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// A table of `rows` positions from each of `starts` on.
    fn new(rope: Rope, rows: usize, starts: &[i32], speeds: &[f32]) -> Self {
        let pairs = speeds.len();
        let count = starts.len() * rows * pairs;
        let (mut cos, mut sin) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for &start in starts {
            for row in 0..rows {
                let position = (row as f32 + start as f32) * rope.scale;
                for speed in speeds {
                    let (s, c) = (position * speed).sin_cos();
                    cos.push(c);
                    sin.push(if rope.inverse { -s } else { s });
                }
            }
        }
        Angles {
            pairs,
            rows,
            cos,
            sin,
        }
    }

    /// The cosines and sines of one row of one start.
    fn at(&self, start: usize, row: usize) -> (&[f32], &[f32]) {
        let first = (start * self.rows + row) * self.pairs;
        let range = first..first + self.pairs;
        (&self.cos[range.clone()], &self.sin[range])
    }
}

fn rows<T: Narrow + RowElement<Wide = f32>>(rope: Rope, call: &mut Call) -> Result<()> {
    let out = Output::<T>::allocate(call, 0, OP)?;
    if out.len() == 0 {
        return Ok(());
    }
    let (starts, speeds) = rope.parameters(call.inputs());
    let starts = match (rope.offset, starts) {
        (Some(start), _) => vec![start],
        (None, Some(starts)) => {
            let view = View::<i32>::new(starts, OP)?;
            let step = view.strides.first().copied().unwrap_or(0);
            // SAFETY: the stride leads to the elements of a vector or scalar.
            (0..view.shape.elements())
                .map(|i| unsafe { view.ptr.wrapping_offset(i as isize * step).read() })
                .collect()
        }
        (None, None) => vec![0],
    };
    let speeds = match (rope.base, speeds) {
        (Some(base), _) => Rope::speeds(rope.dims, base),
        (None, Some(wavelengths)) => {
            let rows = Rows::new(View::<f32>::new(wavelengths, OP)?);
            let mut speeds = vec![0.0; rows.len()];
            // SAFETY: a vector is one row.
            unsafe { rows.read(0, &mut speeds) };
            speeds.into_iter().map(f32::recip).collect()
        }
        (None, None) => vec![1.0; rope.dims / 2],
    };
    let view = View::<T>::new(call.input(0), OP)?;
    let shape = view.shape;
    let (positions, len) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
    let angles = Angles::new(rope, positions, &starts, &speeds);
    let rows = Rows::new(view);
    // Rows between one entry of the first axis and the next.
    let each = rows.count() / shape[0];
    parallel_for(rows.count(), len * 2, |range| {
        let mut room = vec![T::default(); len];
        for row in range {
            let start = if starts.len() > 1 { row / each } else { 0 };
            let (cos, sin) = angles.at(start, row % positions);
            // SAFETY: each row is one thread's alone, and a row of the view.
            let (from, to) = unsafe {
                (
                    rows.elements(row, &mut room),
                    out.part(row * len..(row + 1) * len),
                )
            };
            to[rope.dims..].copy_from_slice(&from[rope.dims..]);
            let (from, to) = (&from[..rope.dims], &mut to[..rope.dims]);
            if rope.traditional {
                turn_neighbours(from, cos, sin, to);
            } else {
                turn_halves(from, cos, sin, to);
            }
        }
    });
    Ok(())
}

per_isa! {
    fn turn_halves<T: Narrow>(from: &[T], cos: &[f32], sin: &[f32], to: &mut [T]) = halves_body;
}

#[inline(always)]
fn halves_body<S: Isa, T: Narrow>(from: &[T], cos: &[f32], sin: &[f32], to: &mut [T]) {
    let n = from.len() / 2;
    let (first, second) = from.split_at(n);
    let (to_first, to_second) = to.split_at_mut(n);
    let second = &second[..n];
    let (cos, sin) = (&cos[..n], &sin[..n]);
    let to_second = &mut to_second[..n];
    for i in 0..n {
        let (x, y) = (first[i].widen(), second[i].widen());
        to_first[i] = T::narrow(x * cos[i] - y * sin[i]);
        to_second[i] = T::narrow(x * sin[i] + y * cos[i]);
    }
}

per_isa! {
    fn turn_neighbours<T: Narrow>(from: &[T], cos: &[f32], sin: &[f32], to: &mut [T]) = neighbours_body;
}

#[inline(always)]
fn neighbours_body<S: Isa, T: Narrow>(from: &[T], cos: &[f32], sin: &[f32], to: &mut [T]) {
    let (from, _) = from.as_chunks::<2>();
    let (to, _) = to.as_chunks_mut::<2>();
    for (((from, to), cos), sin) in from.iter().zip(to).zip(cos).zip(sin) {
        let (x, y) = (from[0].widen(), from[1].widen());
        *to = [T::narrow(x * cos - y * sin), T::narrow(x * sin + y * cos)];
    }
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Result, fast::Rope, graph::Primitive};

    use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

    #[test]
    fn turns_match_the_decomposition() -> Result<()> {
        let mut random = Random(11);
        for dtype in [Dtype::Float32, Dtype::Float16, Dtype::BFloat16] {
            for (shape, dims) in [([2, 3, 5, 8], 8), ([2, 1, 40, 64], 32), ([3, 2, 1, 10], 6)] {
                for (traditional, inverse) in [(false, false), (true, false), (false, true)] {
                    let x = random.array(&shape, dtype)?;
                    let offset = Array::from_slice(&[3i32, 0, 50][..shape[0]], [shape[0]])?;
                    let pairs: Vec<f32> = (0..dims / 2).map(|i| 1.0 + i as f32).collect();
                    let wavelengths = Array::from_slice(&pairs, [dims / 2])?;
                    let rope = Rope {
                        dims,
                        traditional,
                        inverse,
                        base: Some(10_000.0),
                        scale: 0.7,
                        offset: Some(5),
                    };
                    let cases = [
                        (rope, vec![x.clone()]),
                        (
                            Rope {
                                offset: None,
                                ..rope
                            },
                            vec![x.clone(), offset.clone()],
                        ),
                        (
                            Rope { base: None, ..rope },
                            vec![x.clone(), wavelengths.clone()],
                        ),
                        (
                            Rope {
                                base: None,
                                offset: None,
                                ..rope
                            },
                            vec![x, offset, wavelengths],
                        ),
                    ];
                    for (rope, inputs) in cases {
                        let mut wide = inputs.clone();
                        wide[0] = wide[0].astype(Dtype::Float64)?;
                        let expected = values(&rope.decompose(&wide)?[0])?;
                        let found = values(&Array::apply_one(rope, inputs)?)?;
                        let tolerance = rounding(dtype).max(1e-6) * 4.0;
                        assert_close(&found, &expected, tolerance, &format!("{rope:?} {dtype}"));
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn turning_back_restores_the_array() -> Result<()> {
        let mut random = Random(12);
        let x = random.array(&[2, 9, 16], Dtype::Float32)?;
        let rope = Rope {
            dims: 12,
            traditional: false,
            inverse: false,
            base: Some(100.0),
            scale: 1.0,
            offset: Some(-3),
        };
        let y = Array::apply_one(rope, [x.clone()])?;
        let back = Array::apply_one(
            Rope {
                inverse: true,
                ..rope
            },
            [y],
        )?;
        assert_close(&values(&back)?, &values(&x)?, 1e-6, "back");
        Ok(())
    }
}
