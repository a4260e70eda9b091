//! Owns the logarithm of a sum of exponentials over the last axis.

use olivine_core::{Call, Result, dispatch};

use crate::{
    kernels::row::{RowElement, Rows},
    pool::parallel_for,
    tensor::{Output, View, wrong_dtype},
};

const OP: &str = "logsumexp";

/// Runs the kernel.
pub(super) fn run(call: &mut Call) -> Result<()> {
    dispatch!(float, call.dtype(0), T => rows::<T>(call), else Err(wrong_dtype(OP, call.dtype(0))))
}

fn rows<T: RowElement>(call: &mut Call) -> Result<()> {
    let out = Output::<T>::allocate(call, 0, OP)?;
    let rows = Rows::new(View::<T>::new(call.input(0), OP)?);
    parallel_for(out.len(), rows.len() * 8, |range| {
        let mut room = vec![T::Wide::default(); rows.len()];
        // SAFETY: ranges are disjoint.
        let to = unsafe { out.part(range.clone()) };
        for (row, to) in range.zip(to) {
            // SAFETY: there is a row for each element of the output.
            unsafe { rows.read(row, &mut room) };
            *to = T::narrow_one(T::logsumexp(&mut room));
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Result, graph::Primitive, ops::logsumexp::LogSumExp};

    use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

    #[test]
    fn rows_match_the_decomposition() -> Result<()> {
        let mut random = Random(7);
        for dtype in [
            Dtype::Float32,
            Dtype::Float64,
            Dtype::Float16,
            Dtype::BFloat16,
        ] {
            for n in [1, 16, 50, 333] {
                let x = random.array(&[4, n], dtype)?;
                let expected = LogSumExp.decompose(&[x.astype(Dtype::Float64)?])?;
                let found = values(&x.logsumexp(-1)?)?;
                assert_close(
                    &found,
                    &values(&expected[0])?,
                    rounding(dtype) * 2.0,
                    "rows",
                );
            }
        }
        Ok(())
    }

    #[test]
    fn infinities_stay_and_nan_wins() -> Result<()> {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let of = |row: &[f32]| {
            Array::from_slice(row, [row.len()])?
                .logsumexp(-1)?
                .item::<f32>()
        };
        assert_eq!(of(&[-inf, -inf])?, -inf);
        assert_eq!(of(&[inf, -inf])?, inf);
        assert!(of(&[inf, nan])?.is_nan() && of(&[0.0, nan])?.is_nan());
        assert!(Array::zeros([2, 0], Dtype::Float32)?.logsumexp(-1).is_err());
        Ok(())
    }
}
