//! Owns matrix products: which of the methods below fits a product, and its batches.

mod blocked;
mod halves;
mod sides;
#[cfg(test)]
mod tests;
mod vector;

pub(super) use blocked::{
    Results, Rounded, Scratch, add_products, multiply, multiply_sides, room, tile_size,
};
pub(super) use halves::widen;
pub(super) use sides::{
    MANY, Paired, Pairs, Panels, Side, Singles, Wide, Words, interleave, interleave_many,
    pack as pack_lines, pair, pairs_are_fast,
};

use std::ops::Range;

use half::{bf16, f16};
use olivine_core::{Call, Complex64, Element, Result, dispatch, shape::reshape_strides};
use smallvec::SmallVec;

use super::copy::pack;
use crate::{
    pool::{num_threads, parallel_for},
    tensor::{Loops, Output, View, wrong_dtype},
};

const OP: &str = "matmul";

/// Products of fewer multiplications than this stay on one thread.
const SERIAL: usize = 96 * 96 * 96;

/// Multiplications that a vector unit does in the time the pool counts as one operation.
const PER_COST: usize = 8;

/// A matrix in memory: where it starts, and the distances between rows and columns.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<T> {
    pub(crate) start: *const T,
    pub(crate) rows: isize,
    pub(crate) columns: isize,
}

// SAFETY: a matrix only reads memory that the operand behind it keeps alive.
unsafe impl<T: Sync> Send for Matrix<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Matrix<T> {}

impl<T: Copy> Matrix<T> {
    pub(crate) fn at(self, row: usize, column: usize) -> *const T {
        let offset = row as isize * self.rows + column as isize * self.columns;
        self.start.wrapping_offset(offset)
    }

    fn shifted(self, offset: isize) -> Self {
        Matrix {
            start: self.start.wrapping_offset(offset),
            ..self
        }
    }

    /// The part from a row and column on.
    pub(crate) fn skip(self, row: usize, column: usize) -> Self {
        Matrix {
            start: self.at(row, column),
            ..self
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            ..self
        }
    }
}

/// A matrix to write: where it starts, and the distances between rows and columns.
#[derive(Clone, Copy)]
pub(crate) struct Target<T> {
    pub(crate) start: *mut T,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

// SAFETY: threads write disjoint parts of a target.
unsafe impl<T: Send> Send for Target<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Target<T> {}

impl<T: Copy> Target<T> {
    /// A row-major matrix of `columns` columns.
    pub(crate) fn new(start: *mut T, columns: usize) -> Self {
        Target {
            start,
            row: columns,
            column: 1,
        }
    }

    pub(crate) fn at(self, row: usize, column: usize) -> *mut T {
        self.start
            .wrapping_add(row * self.row + column * self.column)
    }

    /// The part from a row and column on.
    pub(crate) fn skip(self, row: usize, column: usize) -> Self {
        Target {
            start: self.at(row, column),
            ..self
        }
    }
}

/// The sizes of a product: an (m, k) matrix times a (k, n) matrix.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
}

impl Sizes {
    fn work(self) -> usize {
        self.m.saturating_mul(self.n).saturating_mul(self.k)
    }
}

/// Element types and how one product of them is computed.
pub(super) trait Product: Element {
    /// Writes the (m, n) product to row-major `out`, with several threads if `parallel`.
    ///
    /// # Safety
    /// The matrices must hold evaluated elements for the sizes, and `out` be ours alone.
    unsafe fn product(
        sizes: Sizes,
        a: Matrix<Self>,
        b: Matrix<Self>,
        out: *mut Self,
        parallel: bool,
    );
}

macro_rules! through_gemm {
    ($($ty:ty),*) => {$(
        impl Product for $ty {
            unsafe fn product(
                sizes: Sizes, a: Matrix<Self>, b: Matrix<Self>, out: *mut Self, parallel: bool,
            ) {
                let out = Target::new(out, sizes.n);
                let rows = |rows: Range<usize>| {
                    let sizes = Sizes { m: rows.len(), ..sizes };
                    let out = out.at(rows.start, 0);
                    // SAFETY: passed on to the caller; every thread has rows of its own.
                    unsafe { gemm_into(sizes, a.skip(rows.start, 0), b, out) }
                };
                if parallel {
                    parallel_for(sizes.m, sizes.n * sizes.k / PER_COST, rows);
                } else {
                    rows(0..sizes.m);
                }
            }
        }
    )*};
}

/// `out = a @ b` on this thread, by the `gemm` crate.
///
/// # Safety
/// As for `Product::product`.
unsafe fn gemm_into<T: Element + num_traits::One + num_traits::Zero>(
    Sizes { m, n, k }: Sizes,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
) {
    let (alpha, beta) = (T::zero(), T::one());
    // SAFETY: the caller promises valid matrices; the strides describe them.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            n as isize,
            false,
            a.start,
            a.columns,
            a.rows,
            b.start,
            b.columns,
            b.rows,
            alpha,
            beta,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

through_gemm!(f64, Complex64);

impl Product for f32 {
    unsafe fn product(
        sizes: Sizes,
        a: Matrix<Self>,
        b: Matrix<Self>,
        out: *mut Self,
        parallel: bool,
    ) {
        // SAFETY: passed on to the caller.
        unsafe {
            if !vector::product(sizes, a, b, out, 16) {
                multiply(sizes, a, b, Target::new(out, sizes.n), false, parallel);
            }
        }
    }
}

macro_rules! through_halves {
    ($($ty:ty),*) => {$(
        impl Product for $ty {
            unsafe fn product(
                sizes: Sizes, a: Matrix<Self>, b: Matrix<Self>, out: *mut Self, parallel: bool,
            ) {
                // SAFETY: passed on to the caller.
                unsafe {
                    if !vector::product(sizes, a, b, out, 64) {
                        halves::product(sizes, a, b, out, parallel);
                    }
                }
            }
        }
    )*};
}

through_halves!(f16, bf16);

/// Runs the kernel.
pub(super) fn run(call: &mut Call) -> Result<()> {
    dispatch!(inexact, call.dtype(0), T => batches::<T>(call), else Err(wrong_dtype(OP, call.dtype(0))))
}

fn batches<T: Product>(call: &mut Call) -> Result<()> {
    let out = Output::<T>::allocate(call, 0, OP)?;
    if out.len() == 0 {
        return Ok(());
    }
    let a = View::<T>::new(call.input(0), OP)?;
    let b = View::<T>::new(call.input(1), OP)?;
    let (outer_a, outer_b) = (a.shape.rank() - 2, b.shape.rank() - 2);
    let sizes = Sizes {
        m: a.shape[outer_a],
        n: b.shape[outer_b + 1],
        k: a.shape[outer_a + 1],
    };
    let matrix = |view: View<T>| Matrix {
        start: view.ptr,
        rows: view.strides[view.shape.rank() - 2],
        columns: view.strides[view.shape.rank() - 1],
    };
    let shape = call.shape(0);
    let batch = &shape[..shape.rank() - 2];
    let count: usize = batch.iter().product();
    if count > 1 && b.shape[..outer_b].iter().all(|&size| size == 1) {
        // One matrix for all batches: their rows make one large product.
        let m = count * sizes.m;
        let mut rows = matrix(a);
        let copy;
        if let Some(strides) = reshape_strides(a.shape, a.strides, &[m, sizes.k]) {
            (rows.rows, rows.columns) = (strides[0], strides[1]);
        } else {
            copy = call.scratch(m * sizes.k * size_of::<T>())?;
            // SAFETY: the memory is fresh and has room for all elements.
            unsafe { pack(call.input(0), copy.host().as_ptr()) };
            (rows.start, rows.rows, rows.columns) =
                (copy.host().as_ptr().cast(), sizes.k as isize, 1);
        }
        let sizes = Sizes { m, ..sizes };
        let parallel = sizes.work() >= SERIAL;
        // SAFETY: the output is ours and as long; the operands are evaluated and of these shapes.
        unsafe { T::product(sizes, rows, matrix(b), out.ptr(), parallel) };
        return Ok(());
    }
    let repeated = |view: View<T>, outer: usize| -> SmallVec<[isize; 4]> {
        let missing = batch.len() - outer;
        let step = |axis: usize| match axis.checked_sub(missing) {
            Some(own) if view.shape[own] != 1 => view.strides[own],
            _ => 0,
        };
        (0..batch.len()).map(step).collect()
    };
    let loops = Loops::new(batch, [&repeated(a, outer_a), &repeated(b, outer_b)]);
    let (a, b) = (matrix(a), matrix(b));
    let one_by_one = |batches: Range<usize>, parallel: bool| {
        let [step_a, step_b] = loops.inner_strides();
        let mut at = batches.start;
        loops.for_each_run(batches, |[offset_a, offset_b], len| {
            for i in 0..len as isize {
                let a = a.shifted(offset_a + i * step_a);
                let b = b.shifted(offset_b + i * step_b);
                let size = sizes.m * sizes.n;
                // SAFETY: each batch writes its own part of the output, and the operands are
                // evaluated and of the shapes that `infer` checked.
                unsafe {
                    let out = out.part(at * size..(at + 1) * size).as_mut_ptr();
                    T::product(sizes, a, b, out, parallel);
                }
                at += 1;
            }
        });
    };
    // Whole matrices to each thread, unless they are too few to go round.
    if count >= 2 * num_threads() || sizes.work() < SERIAL {
        parallel_for(count, sizes.work() / PER_COST, |range| {
            one_by_one(range, false);
        });
    } else {
        one_by_one(0..count, true);
    }
    Ok(())
}
