//! Owns large products of halves. They are multiplied as `f32`, or in pairs where the processor has
//! instructions for `bf16`, and each result is rounded once.

use half::{bf16, f16};

use super::{
    Matrix, Sizes, Target,
    blocked::{Rounded, multiply_sides},
    sides::{Paired, Wide, pairs_are_fast},
};
use crate::{kernels::row::widen as widen_slice, simd::Narrow};

/// Large products of halves.
pub(super) trait Half: Rounded {
    /// # Safety
    /// As for `Product::product`.
    unsafe fn product(
        sizes: Sizes,
        a: Matrix<Self>,
        b: Matrix<Self>,
        out: *mut Self,
        parallel: bool,
    ) {
        let out = Target::new(out, sizes.n);
        // SAFETY: passed on to the caller.
        unsafe { multiply_sides(sizes, &Wide(a), &Wide(b.transposed()), out, parallel) }
    }
}

impl Half for f16 {}

impl Half for bf16 {
    unsafe fn product(
        sizes: Sizes,
        a: Matrix<Self>,
        b: Matrix<Self>,
        out: *mut Self,
        parallel: bool,
    ) {
        let out = Target::new(out, sizes.n);
        // SAFETY: passed on to the caller.
        unsafe {
            if pairs_are_fast() {
                let [a, b] = [a, b.transposed()].map(|lines| Paired {
                    lines,
                    terms: sizes.k,
                });
                multiply_sides(sizes, &a, &b, out, parallel);
            } else {
                multiply_sides(sizes, &Wide(a), &Wide(b.transposed()), out, parallel);
            }
        }
    }
}

/// A (rows, columns) block as `f32`, in `room`. The axis that is contiguous stays so.
///
/// # Safety
/// The block must consist of evaluated elements.
pub(in crate::kernels) unsafe fn widen<T: Narrow>(
    block: Matrix<T>,
    rows: usize,
    columns: usize,
    room: &mut Vec<f32>,
) -> Matrix<f32> {
    room.resize((rows * columns).max(room.len()), 0.0);
    if block.columns != 1 && block.rows == 1 {
        // SAFETY: the same block, seen from the other side.
        return unsafe { widen(block.transposed(), columns, rows, room) }.transposed();
    }
    for i in 0..rows {
        let to = &mut room[i * columns..][..columns];
        if block.columns == 1 {
            // SAFETY: a row of the block is contiguous and has `columns` elements.
            widen_slice(
                unsafe { std::slice::from_raw_parts(block.at(i, 0), columns) },
                to,
            );
        } else {
            for (j, to) in to.iter_mut().enumerate() {
                // SAFETY: an element of the block.
                *to = unsafe { block.at(i, j).read() }.widen();
            }
        }
    }
    Matrix {
        start: room.as_ptr(),
        rows: columns as isize,
        columns: 1,
    }
}
