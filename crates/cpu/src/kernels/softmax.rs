//! Owns the softmax over the last axis: each row is read once from memory and written once.

use olivine_core::{Call, Result, dispatch};

use crate::{
    isa::{Isa, per_isa},
    kernels::row::{RowElement, RowWriter, Rows},
    pool::parallel_for,
    tensor::{Output, View, wrong_dtype},
};

const OP: &str = "softmax";

/// Runs the kernel.
pub(super) fn run(call: &mut Call) -> Result<()> {
    dispatch!(float, call.dtype(0), T => rows::<T>(call), else Err(wrong_dtype(OP, call.dtype(0))))
}

fn rows<T: RowElement>(call: &mut Call) -> Result<()> {
    let out = Output::<T>::allocate(call, 0, OP)?;
    if out.len() == 0 {
        return Ok(());
    }
    let rows = Rows::new(View::<T>::new(call.input(0), OP)?);
    let len = rows.len();
    parallel_for(rows.count(), len * 8, |range| {
        let mut room = vec![T::Wide::default(); len];
        let mut writer = RowWriter::new(out.len());
        for row in range {
            // SAFETY: each row is one thread's alone.
            let to = unsafe { out.part(row * len..(row + 1) * len) };
            // SAFETY: the position is that of a row of the view.
            unsafe { rows.read(row, &mut room) };
            T::softmax(&mut room);
            writer.write_wide(&room, to);
        }
    });
    Ok(())
}

per_isa! {
    /// Replaces a row by its softmax.
    pub(in crate::kernels) fn softmax_f32(row: &mut [f32]) = softmax_body;
}

#[inline(always)]
fn softmax_body<S: Isa>(row: &mut [f32]) {
    let shift = max_body::<S>(row);
    let sum = exp_body::<S>(row, shift);
    let scale = 1.0 / sum;
    for x in row {
        *x *= scale;
    }
}

per_isa! {
    /// The logarithm of the sum of exponentials of a row, which is overwritten.
    pub(in crate::kernels) fn logsumexp_f32(row: &mut [f32]) -> f32 = logsumexp_body;
}

#[inline(always)]
fn logsumexp_body<S: Isa>(row: &mut [f32]) -> f32 {
    let greatest = max_body::<S>(row);
    if greatest == f32::INFINITY {
        return if row.iter().any(|x| x.is_nan()) {
            f32::NAN
        } else {
            greatest
        };
    }
    // An infinite maximum is left where it is: subtracting it from itself would give NaN.
    let shift = if greatest == f32::NEG_INFINITY {
        0.0
    } else {
        greatest
    };
    exp_body::<S>(row, shift).ln() + shift
}

const LANES: usize = 32;

/// The greatest of a row; NaN is passed over.
#[inline(always)]
pub(in crate::kernels) fn max_body<S: Isa>(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let greatest = lanes.into_iter().chain(rest.iter().copied());
    greatest.fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Replaces each element by the exponential of it less `shift`, which no element exceeds, and
/// returns their sum.
#[inline(always)]
pub(in crate::kernels) fn exp_body<S: Isa>(row: &mut [f32], shift: f32) -> f32 {
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = exp_of_negative::<S>(*x - shift);
            *lane += *x;
        }
    }
    let mut sum: f32 = lanes.into_iter().sum();
    for x in rest {
        *x = exp_of_negative::<S>(*x - shift);
        sum += *x;
    }
    sum
}

/// `exp(x)` for `x` of at most zero, or NaN. Below −87.3 the result is zero, not subnormal.
#[inline(always)]
pub(in crate::kernels) fn exp_of_negative<S: Isa>(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer, which is left in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let clamped = if x < -87.3 { -87.3 } else { x };
    let rounded = S::fma(clamped, std::f32::consts::LOG2_E, MAGIC);
    let n = rounded - MAGIC;
    // ln 2 in two parts, so that the product with the first is exact.
    let r = S::fma(n, -0.693_359_4, clamped);
    let r = S::fma(n, 2.121_944_4e-4, r);
    // The Taylor series of exp at zero, whose terms after the seventh vanish for |r| <= 0.35.
    let mut p = S::fma(1.0 / 5040.0, r, 1.0 / 720.0);
    p = S::fma(p, r, 1.0 / 120.0);
    p = S::fma(p, r, 1.0 / 24.0);
    p = S::fma(p, r, 1.0 / 6.0);
    p = S::fma(p, r, 0.5);
    p = S::fma(p, r, 1.0);
    p = S::fma(p, r, 1.0);
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.3 { 0.0 } else { p * scale }
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Result, graph::Primitive, ops::softmax::Softmax};

    use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

    #[test]
    fn rows_of_random_layouts_match_plain_loops() -> Result<()> {
        let mut random = Random(6);
        for dtype in [
            Dtype::Float32,
            Dtype::Float64,
            Dtype::Float16,
            Dtype::BFloat16,
        ] {
            for n in [1, 2, 15, 16, 17, 64, 100, 1000] {
                let x = random.array(&[3, 5, n], dtype)?.multiply(30)?;
                let x = if n == 64 { x.transpose([1, 0, 2])? } else { x };
                let mut expected = values(&x)?;
                for row in expected.chunks_mut(n) {
                    let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = row.iter().map(|x| (x - greatest).exp()).sum();
                    for x in row {
                        *x = (*x - greatest).exp() / sum;
                    }
                }
                let found = values(&x.softmax(-1)?)?;
                assert_close(
                    &found,
                    &expected,
                    rounding(dtype) * 4.0,
                    &format!("{dtype} {n}"),
                );
                let decomposed = values(&Softmax.decompose(&[x])?[0])?;
                assert_close(&found, &decomposed, rounding(dtype) * 8.0, "decomposed");
            }
        }
        Ok(())
    }

    #[test]
    fn infinities_and_nan_go_through() -> Result<()> {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        for row in [[inf, 0.0], [-inf, -inf], [nan, 0.0]] {
            let y = Array::from_slice(&row, [2])?.softmax(-1)?.to_vec::<f32>()?;
            assert!(y.iter().any(|y| y.is_nan()), "{row:?}");
        }
        let y = Array::from_slice(&[-inf, 0.0, -200.0], [3])?
            .softmax(-1)?
            .to_vec::<f32>()?;
        assert_eq!(y, [0.0, 1.0, 0.0]);
        Ok(())
    }
}
