//! Owns products of segments of the inner axis.

use olivine_core::{Call, Result, dispatch};

use super::{
    matmul::{Matrix, Product, Sizes},
    quantized::dense,
};
use crate::tensor::{Output, wrong_dtype};

const OP: &str = "segmented_mm";

/// Runs the kernel.
pub(super) fn run(call: &mut Call) -> Result<()> {
    dispatch!(float, call.dtype(0), T => products::<T>(call), else Err(wrong_dtype(OP, call.dtype(0))))
}

fn products<T: Product>(call: &mut Call) -> Result<()> {
    let out = Output::<T>::allocate(call, 0, OP)?;
    let segments = dense::<i64>(call.input(2), OP)?;
    let matrix = |i: usize| {
        let operand = call.input(i);
        let strides = &operand.data.strides;
        Matrix::<T> {
            start: operand.ptr().cast(),
            rows: strides[0],
            columns: strides[1],
        }
    };
    let (a, b) = (matrix(0), matrix(1));
    let (m, k, n) = (
        call.input(0).shape[0],
        call.input(0).shape[1],
        call.input(1).shape[1],
    );
    if out.len() == 0 {
        return Ok(());
    }
    for (i, bounds) in segments.chunks_exact(2).enumerate() {
        let [start, stop] = [bounds[0], bounds[1]].map(|bound| bound.clamp(0, k as i64) as usize);
        // SAFETY: each segment has a part of the output, and the bounds lie in the matrices.
        unsafe {
            let to = out.part(i * m * n..(i + 1) * m * n);
            if start >= stop {
                to.fill(T::default());
                continue;
            }
            let sizes = Sizes {
                m,
                n,
                k: stop - start,
            };
            T::product(
                sizes,
                a.skip(0, start),
                b.skip(start, 0),
                to.as_mut_ptr(),
                true,
            );
        }
    }
    Ok(())
}
