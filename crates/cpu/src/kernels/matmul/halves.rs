//! Owns large products of halves: blocks of both matrices are widened to `f32` and multiplied
//! there, and each result is rounded once.

use std::cell::RefCell;

use super::{Matrix, Sizes, Target, single::multiply};
use crate::{
    kernels::row::{narrow, widen as widen_slice},
    pool::parallel_for,
    simd::Narrow,
};

/// The most elements of a widened block of either matrix: 2 MiB.
const BLOCK: usize = 512 * 1024;

thread_local! {
    /// Widened blocks of both matrices, and their product.
    static SCRATCH: RefCell<[Vec<f32>; 3]> = const { RefCell::new([const { Vec::new() }; 3]) };
}

/// # Safety
/// As for `Product::product`.
pub(super) unsafe fn product<T: Narrow>(
    sizes: Sizes,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    parallel: bool,
) {
    let Sizes { m, n, k } = sizes;
    let wide = (BLOCK / k.max(1)).clamp(16, 256).min(n);
    let tall = (BLOCK / k.max(wide)).clamp(16, 512).min(m);
    let target = Target::new(out, n);
    let panels = |panels: std::ops::Range<usize>| {
        let [mut left, mut right, mut result] = SCRATCH.take();
        for panel in panels {
            let column = panel * wide;
            let n = (n - column).min(wide);
            let b = Matrix {
                start: b.at(0, column),
                ..b
            };
            // SAFETY: the panel lies within the matrix.
            let b = unsafe { widen(b, k, n, &mut right) };
            for row in (0..m).step_by(tall) {
                let m = (m - row).min(tall);
                let a = Matrix {
                    start: a.at(row, 0),
                    ..a
                };
                result.resize((m * n).max(result.len()), 0.0);
                // SAFETY: the block lies within the matrix; the result has room.
                unsafe {
                    let a = widen(a, m, k, &mut left);
                    let to = Target::new(result.as_mut_ptr(), n);
                    multiply(Sizes { m, n, k }, a, b, to, false, false);
                }
                for i in 0..m {
                    // SAFETY: a row of columns that are this thread's alone.
                    let to = unsafe {
                        let start = target.at(row + i, column);
                        std::slice::from_raw_parts_mut(start, n)
                    };
                    narrow(&result[i * n..][..n], to);
                }
            }
        }
        SCRATCH.set([left, right, result]);
    };
    let count = n.div_ceil(wide);
    if parallel {
        parallel_for(count, (m * k * wide / super::PER_COST).max(1), panels);
    } else {
        panels(0..count);
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
