//! Owns what `rms_norm` and `layer_norm` share: rows are scaled by the root of a mean square, one
//! after their mean is taken away, and gradients flow back the same way.

use std::sync::Mutex;

use olivine_core::{Call, Operand, Result};

use super::row::{RowElement, RowWriter, Rows};
use crate::{
    isa::{Isa, per_isa},
    pool::parallel_for,
    simd::Narrow,
    tensor::{Output, View},
};

/// A normalisation: what it does to a row, and where its parameters are among the inputs.
#[derive(Clone, Copy)]
pub(super) struct Norm {
    pub(super) op: &'static str,
    pub(super) eps: f32,
    /// Whether the mean is taken away first.
    pub(super) centred: bool,
    pub(super) weight: Option<usize>,
    pub(super) bias: Option<usize>,
}

/// Binds `$T` to `f16`, `bf16` or `f32`.
macro_rules! narrow {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        olivine_core::dispatch!(
            narrow, $dtype, $T => $body, else Err($crate::tensor::wrong_dtype($op, $dtype))
        )
    };
}
pub(super) use narrow;

/// A vector as `f32`.
fn vector(op: &'static str, input: &Operand) -> Result<Vec<f32>> {
    narrow!(op, input.dtype, T => {
        let rows = Rows::new(View::<T>::new(input, op)?);
        let mut wide = vec![0.0; rows.len()];
        // SAFETY: a vector is one row.
        unsafe { rows.read(0, &mut wide) };
        Ok(wide)
    })
}

impl Norm {
    fn parameter(&self, call: &Call, at: Option<usize>) -> Result<Option<Vec<f32>>> {
        at.map(|i| vector(self.op, call.input(i))).transpose()
    }

    /// Normalises the rows of the first input.
    pub(super) fn forward(&self, call: &mut Call) -> Result<()> {
        narrow!(self.op, call.input(0).dtype, T => narrow!(self.op, call.dtype(0), O => {
            self.forward_as::<T, O>(call)
        }))
    }

    fn forward_as<T: RowElement<Wide = f32>, O: Narrow>(&self, call: &mut Call) -> Result<()> {
        let out = Output::<O>::allocate(call, 0, self.op)?;
        if out.len() == 0 {
            return Ok(());
        }
        let weight = self.parameter(call, self.weight)?;
        let bias = self.parameter(call, self.bias)?;
        let rows = Rows::new(View::<T>::new(call.input(0), self.op)?);
        let len = rows.len();
        parallel_for(rows.count(), len, |range| {
            let mut room = vec![0.0; len];
            let mut writer = RowWriter::new(out.len());
            for row in range {
                // SAFETY: each row is one thread's alone, and a row of the view.
                let (to, from) = unsafe {
                    (
                        out.part(row * len..(row + 1) * len),
                        rows.wide(row, &mut room),
                    )
                };
                let (mean, inverse) = moments(from, self.centred, self.eps);
                let parameters = (weight.as_deref(), bias.as_deref());
                writer.write(to, |to| {
                    scale_row::<O>(from, mean, inverse, parameters, to);
                });
            }
        });
        Ok(())
    }

    /// The gradients of the array and its parameters; the last input is the cotangent.
    pub(super) fn backward(&self, call: &mut Call) -> Result<()> {
        let cotangent = call.inputs().len() - 1;
        narrow!(self.op, call.dtype(0), T => {
            narrow!(self.op, call.input(cotangent).dtype, O => self.backward_as::<T, O>(call))
        })
    }

    fn backward_as<T, O>(&self, call: &mut Call) -> Result<()>
    where
        T: RowElement<Wide = f32> + Narrow,
        O: RowElement<Wide = f32>,
    {
        let out = Output::<T>::allocate(call, 0, self.op)?;
        let weight = self.parameter(call, self.weight)?;
        let rows = Rows::new(View::<T>::new(call.input(0), self.op)?);
        let cotangents = call
            .inputs()
            .last()
            .expect("the cotangent is the last input");
        let cotangents = Rows::new(View::<O>::new(cotangents, self.op)?);
        let (len, count) = (rows.len(), rows.count());
        // Parts of fixed size, added in order, so that threads do not change the result.
        let size = count.div_ceil(32).max(4);
        let parts = count.div_ceil(size);
        let sums: Vec<Mutex<Vec<f32>>> = (0..parts).map(|_| Mutex::default()).collect();
        let sum_weight = self.weight.is_some();
        let sum_bias = self.bias.is_some();
        parallel_for(parts, size * len * 3, |range| {
            let (mut room, mut other) = (vec![0.0; len], vec![0.0; len]);
            for part in range {
                let mut sum = vec![0.0; len * (usize::from(sum_weight) + usize::from(sum_bias))];
                for row in part * size..((part + 1) * size).min(count) {
                    // SAFETY: each row is one thread's alone, and a row of the views.
                    let (to, x, g) = unsafe {
                        let to = out.part(row * len..(row + 1) * len);
                        (
                            to,
                            rows.wide(row, &mut room),
                            cotangents.wide(row, &mut other),
                        )
                    };
                    let (mean, inverse) = moments(x, self.centred, self.eps);
                    let row = Row {
                        x,
                        g,
                        weight: weight.as_deref(),
                        mean,
                        inverse,
                    };
                    gradient_row::<T>(row, self.centred, to);
                    let (first, second) = sum.split_at_mut(if sum_weight { len } else { 0 });
                    if sum_weight {
                        add_weight(row, first);
                    }
                    if sum_bias {
                        add_bias(row, second);
                    }
                }
                *sums[part]
                    .lock()
                    .expect("no thread panics while it holds this") = sum;
            }
        });
        let mut total = vec![0.0f32; len * (usize::from(sum_weight) + usize::from(sum_bias))];
        for sum in sums {
            let sum = sum
                .into_inner()
                .expect("no thread panics while it holds this");
            for (total, sum) in total.iter_mut().zip(sum) {
                *total += sum;
            }
        }
        let mut outputs = total.chunks(len.max(1));
        for i in [self.weight, self.bias].into_iter().flatten() {
            let sum = outputs.next().unwrap_or(&[]);
            narrow!(self.op, call.dtype(i), W => {
                let mut out = Output::<W>::allocate(call, i, self.op)?;
                W::narrow_slice(sum, out.slice());
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// What one row's gradients depend on.
#[derive(Clone, Copy)]
struct Row<'a> {
    x: &'a [f32],
    g: &'a [f32],
    weight: Option<&'a [f32]>,
    mean: f32,
    inverse: f32,
}

const LANES: usize = 32;

/// The sum of `f` over three rows of equal length, in several partial sums.
#[inline(always)]
fn sum_of(rows: [&[f32]; 3], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let [a, b, c] = rows;
    let ((a, rest_a), (b, rest_b), (c, rest_c)) = (
        a.as_chunks::<LANES>(),
        b.as_chunks::<LANES>(),
        c.as_chunks::<LANES>(),
    );
    let mut lanes = [0.0; LANES];
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i], c[i]);
        }
    }
    let mut sum: f32 = lanes.into_iter().sum();
    for ((&a, &b), &c) in rest_a.iter().zip(rest_b).zip(rest_c) {
        sum += f(a, b, c);
    }
    sum
}

per_isa! {
    /// A row's mean (zero if it is to stay) and what scales the row.
    fn moments(x: &[f32], centred: bool, eps: f32) -> (f32, f32) = moments_body;
}

#[inline(always)]
fn moments_body<S: Isa>(x: &[f32], centred: bool, eps: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = if centred {
        sum_of([x; 3], |x, _, _| x) / count
    } else {
        0.0
    };
    let square = sum_of([x; 3], |x, _, _| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (square + eps).sqrt())
}

per_isa! {
    /// Normalises a row. The result is rounded to `O` before weight and bias, as it is in MLX.
    fn scale_row<O: Narrow>(
        x: &[f32],
        mean: f32,
        inverse: f32,
        parameters: (Option<&[f32]>, Option<&[f32]>),
        to: &mut [O],
    ) = scale_body;
}

#[inline(always)]
fn scale_body<S: Isa, O: Narrow>(
    x: &[f32],
    mean: f32,
    inverse: f32,
    parameters: (Option<&[f32]>, Option<&[f32]>),
    to: &mut [O],
) {
    let len = to.len();
    let x = &x[..len];
    let normal = |x: f32| O::narrow((x - mean) * inverse);
    match parameters {
        (None, None) => {
            for (to, &x) in to.iter_mut().zip(x) {
                *to = normal(x);
            }
        }
        (Some(weight), None) => {
            for ((to, &x), &weight) in to.iter_mut().zip(x).zip(&weight[..len]) {
                *to = O::narrow(normal(x).widen() * weight);
            }
        }
        (None, Some(bias)) => {
            for ((to, &x), &bias) in to.iter_mut().zip(x).zip(&bias[..len]) {
                *to = O::narrow(normal(x).widen() + bias);
            }
        }
        (Some(weight), Some(bias)) => {
            let (weight, bias) = (&weight[..len], &bias[..len]);
            for (((to, &x), &weight), &bias) in to.iter_mut().zip(x).zip(weight).zip(bias) {
                *to = O::narrow(normal(x).widen() * weight + bias);
            }
        }
    }
}

per_isa! {
    fn gradient_row<T: Narrow>(row: Row<'_>, centred: bool, to: &mut [T]) = gradient_body;
}

#[inline(always)]
fn gradient_body<S: Isa, T: Narrow>(row: Row<'_>, centred: bool, to: &mut [T]) {
    match row.weight {
        Some(weight) => gradient_of::<T>(row, weight, centred, to, |g, w| g * w),
        None => gradient_of::<T>(row, row.g, centred, to, |g, _| g),
    }
}

#[inline(always)]
fn gradient_of<T: Narrow>(
    row: Row<'_>,
    weight: &[f32],
    centred: bool,
    to: &mut [T],
    weighted: impl Fn(f32, f32) -> f32,
) {
    let Row {
        x,
        g,
        mean,
        inverse,
        ..
    } = row;
    let normal = |x: f32| (x - mean) * inverse;
    let count = to.len() as f32;
    let rows = [x, g, weight];
    let along = sum_of(rows, |x, g, w| weighted(g, w) * normal(x)) / count;
    let level = if centred {
        sum_of(rows, |_, g, w| weighted(g, w)) / count
    } else {
        0.0
    };
    for (((to, &x), &g), &w) in to.iter_mut().zip(x).zip(g).zip(weight) {
        *to = T::narrow((weighted(g, w) - level - normal(x) * along) * inverse);
    }
}

per_isa! {
    /// Adds a row's part of the weight's gradient.
    fn add_weight(row: Row<'_>, sums: &mut [f32]) = add_weight_body;
}

#[inline(always)]
fn add_weight_body<S: Isa>(row: Row<'_>, sums: &mut [f32]) {
    for ((sum, &x), &g) in sums.iter_mut().zip(row.x).zip(row.g) {
        *sum += g * ((x - row.mean) * row.inverse);
    }
}

per_isa! {
    /// Adds a row's part of the bias's gradient.
    fn add_bias(row: Row<'_>, sums: &mut [f32]) = add_bias_body;
}

#[inline(always)]
fn add_bias_body<S: Isa>(row: Row<'_>, sums: &mut [f32]) {
    for (sum, &g) in sums.iter_mut().zip(row.g) {
        *sum += g;
    }
}

#[cfg(test)]
mod tests {
    use olivine_core::{
        Array, Dtype, Result,
        fast::{LayerNorm, LayerNormVjp, RmsNorm, RmsNormVjp},
        graph::Primitive,
    };

    use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

    /// Runs a primitive by kernel and by decomposition in `float64`, and compares.
    fn compare(primitive: impl Primitive + Copy, inputs: &[Array]) -> Result<()> {
        let found = Array::apply(primitive, inputs.iter().cloned())?;
        let wide: Vec<Array> = inputs
            .iter()
            .map(|x| x.astype(Dtype::Float64))
            .collect::<Result<_>>()?;
        for (found, expected) in found.iter().zip(primitive.decompose(&wide)?) {
            assert_eq!(found.shape(), expected.shape());
            let what = format!("{primitive:?} {}", found.dtype());
            let tolerance = rounding(found.dtype()).max(1e-6) * 4.0;
            assert_close(&values(found)?, &values(&expected)?, tolerance, &what);
        }
        Ok(())
    }

    #[test]
    fn norms_and_their_gradients_match_the_decomposition() -> Result<()> {
        let mut random = Random(9);
        let dtypes = [Dtype::Float32, Dtype::Float16, Dtype::BFloat16];
        for (dtype, shape) in dtypes.into_iter().flat_map(|d| {
            [
                (d, [1, 1, 7]),
                (d, [3, 4, 33]),
                (d, [2, 70, 64]),
                (d, [1, 5, 1000]),
            ]
        }) {
            for (weight, bias) in [(false, false), (true, false), (false, true), (true, true)] {
                let n = shape[2];
                let mut inputs = vec![random.array(&shape, dtype)?];
                if weight {
                    inputs.push(random.array(&[n], dtype)?);
                }
                if bias {
                    inputs.push(random.array(&[n], dtype)?);
                } else {
                    compare(RmsNorm { eps: 1e-5 }, &inputs)?;
                    let mut inputs = inputs.clone();
                    inputs.push(random.array(&shape, dtype)?);
                    compare(RmsNormVjp { eps: 1e-5 }, &inputs)?;
                }
                // A row that broadcasting made constant has no variance; keep it from 1 / eps.
                let forward = LayerNorm {
                    eps: 1e-2,
                    weight,
                    bias,
                };
                compare(forward, &inputs)?;
                inputs.push(random.array(&shape, dtype)?);
                compare(LayerNormVjp { forward }, &inputs)?;
            }
        }
        Ok(())
    }

    #[test]
    fn a_wider_weight_widens_the_result() -> Result<()> {
        let mut random = Random(10);
        let x = random.array(&[3, 8], Dtype::BFloat16)?;
        let w = random.array(&[8], Dtype::Float32)?;
        let y = olivine_core::fast::rms_norm(&x, Some(&w), 1e-5)?;
        assert_eq!(y.dtype(), Dtype::Float32);
        compare(RmsNorm { eps: 1e-5 }, &[x, w])
    }

    #[test]
    fn empty_rows_and_columns_are_empty() -> Result<()> {
        for shape in [[0, 4], [3, 0]] {
            let x = Array::zeros(shape, Dtype::Float32)?;
            let w = Array::ones([shape[1]], Dtype::Float32)?;
            let y = Array::apply(RmsNormVjp { eps: 0.1 }, [x.clone(), w.clone(), x.clone()])?;
            assert!(y[0].to_vec::<f32>()?.is_empty());
            assert_eq!(y[1].to_vec::<f32>()?, vec![0.0; shape[1]]);
            assert!(
                olivine_core::fast::layer_norm(&x, Some(&w), None, 0.1)?
                    .to_vec::<f32>()?
                    .is_empty()
            );
        }
        Ok(())
    }
}
