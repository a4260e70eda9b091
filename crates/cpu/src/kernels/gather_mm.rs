//! Owns products of chosen matrices: those with the same right side are one product.

use std::borrow::Cow;

use olivine_core::{Call, Element, Result, dispatch};

use super::{
    matmul::{Matrix, Product, Sizes},
    quantized::{dense, places_of},
};
use crate::tensor::{Output, wrong_dtype};

const OP: &str = "gather_mm";

/// Runs the kernel.
pub(super) fn run(call: &mut Call) -> Result<()> {
    dispatch!(float, call.dtype(0), T => products::<T>(call), else Err(wrong_dtype(OP, call.dtype(0))))
}

fn products<T: Product + Element>(call: &mut Call) -> Result<()> {
    let out = Output::<T>::allocate(call, 0, OP)?;
    let (a_shape, b_shape) = (&call.input(0).shape, &call.input(1).shape);
    let pairs = places_of(OP, call, 2, [a_shape[0], b_shape[0]])?;
    if out.len() == 0 {
        return Ok(());
    }
    let (rows, k, n) = (a_shape[1], a_shape[2], b_shape[2]);
    let a = dense::<T>(call.input(0), OP)?;
    let b = &call.input(1).data.strides;
    let b_start: *const T = call.input(1).ptr().cast();
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&i| pairs[i].1);
    for same in order.chunk_by(|&i, &j| pairs[i].1 == pairs[j].1) {
        let right = pairs[same[0]].1;
        let right = Matrix {
            start: b_start.wrapping_offset(right as isize * b[0]),
            rows: b[1],
            columns: b[2],
        };
        // One product for all, where rows and results are neighbours or few enough to copy.
        let together = rows < 64 && same.len() > 1;
        let parts = if together {
            same.chunks(same.len())
        } else {
            same.chunks(1)
        };
        for part in parts {
            let m = part.len() * rows;
            let block = |i: usize| &a[i * rows * k..(i + 1) * rows * k];
            let left: Cow<[T]> = match part {
                [i] => Cow::Borrowed(block(pairs[*i].0)),
                _ => part
                    .iter()
                    .flat_map(|&i| block(pairs[i].0))
                    .copied()
                    .collect(),
            };
            let a = Matrix {
                start: left.as_ptr(),
                rows: k as isize,
                columns: 1,
            };
            let sizes = Sizes { m, n, k };
            let size = rows * n;
            if let [i] = part {
                // SAFETY: the operands are evaluated and of the shapes that `infer` checked; this
                // part of the output is written by nobody else.
                unsafe {
                    let to = out.part(i * size..(i + 1) * size);
                    T::product(sizes, a, right, to.as_mut_ptr(), true);
                }
                continue;
            }
            let mut results = vec![T::default(); m * n];
            // SAFETY: as above, into memory of our own.
            unsafe { T::product(sizes, a, right, results.as_mut_ptr(), true) };
            for (&i, result) in part.iter().zip(results.chunks_exact(size)) {
                // SAFETY: nobody else writes the output meanwhile.
                unsafe { out.part(i * size..(i + 1) * size) }.copy_from_slice(result);
            }
        }
    }
    Ok(())
}
