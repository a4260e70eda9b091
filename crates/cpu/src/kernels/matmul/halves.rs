//! Owns large products of halves. They are multiplied as `f32`, or in pairs where the processor has
//! instructions for `bf16`, and each result is rounded once.

use super::{
    Matrix, Sizes, Target,
    blocked::{Results, Rounded, multiply_sides},
    sides::{Paired, Wide, pairs_are_fast},
};
use crate::{kernels::row::widen as widen_slice, simd::Narrow};

/// # Safety
/// As for `Product::product`.
pub(super) unsafe fn product<T: Rounded>(
    sizes: Sizes,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    parallel: bool,
) {
    let lines = [a, b.transposed()];
    let out = Results::new(Target::new(out, sizes.n));
    // SAFETY: passed on to the caller.
    unsafe {
        if pairs_are_fast::<T>() {
            let [a, b] = lines.map(|lines| Paired::new(lines, sizes.k));
            multiply_sides(sizes, &a, &b, out, parallel);
        } else {
            let [a, b] = lines.map(Wide);
            multiply_sides(sizes, &a, &b, out, parallel);
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
