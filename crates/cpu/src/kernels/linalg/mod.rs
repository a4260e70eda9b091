//! Owns the kernels of linear algebra: each matrix of a batch is copied to columns, decomposed on
//! its own, and written back in rows.
//!
//! A matrix that holds an infinity or NaN gives NaN everywhere: the algorithms want finite numbers.

mod eigen;
mod factor;
mod special;

use std::sync::{Mutex, PoisonError};

pub(super) use eigen::{eig, eigh, svd};
pub(super) use factor::{cholesky, inverse, lu, qr, solve, solve_triangular};
use olivine_core::{Call, Element, Error, Result};
use olivine_numeric::{Matrix, Number};
pub(super) use special::{cofactors, determinant, pinv, sign_and_logarithm, square_root};

use crate::{
    pool::parallel_for,
    tensor::{Output, View},
};

/// Runs an expression with a type alias bound to one of the types that have decompositions.
macro_rules! fields {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            olivine_core::Dtype::Float32 => {
                type $T = f32;
                $body
            }
            olivine_core::Dtype::Float64 => {
                type $T = f64;
                $body
            }
            olivine_core::Dtype::Complex64 => {
                type $T = olivine_core::Complex64;
                $body
            }
            other => Err($crate::tensor::wrong_dtype($op, other)),
        }
    };
}

/// As `fields`, for real numbers only.
macro_rules! reals {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            olivine_core::Dtype::Float32 => {
                type $T = f32;
                $body
            }
            olivine_core::Dtype::Float64 => {
                type $T = f64;
                $body
            }
            other => Err($crate::tensor::wrong_dtype($op, other)),
        }
    };
}

use {fields, reals};

/// The elements of a matrix that count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Lower,
    Upper,
}

/// The matrices in the last two axes of an input.
struct Batch<'a, T> {
    view: View<'a, T>,
    rows: usize,
    columns: usize,
    part: Part,
}

impl<'a, T: Element + Number> Batch<'a, T> {
    fn new(call: &'a Call, input: usize, part: Part, op: &'static str) -> Result<Self> {
        let view = View::new(call.input(input), op)?;
        let rank = view.shape.rank();
        Ok(Batch {
            rows: view.shape[rank - 2],
            columns: view.shape[rank - 1],
            view,
            part,
        })
    }

    /// The number of matrices.
    fn len(&self) -> usize {
        let rank = self.view.shape.rank();
        self.view.shape[..rank - 2].iter().product()
    }

    /// One of the matrices, with zeros where it does not count.
    fn matrix(&self, at: usize) -> Matrix<T> {
        let rank = self.view.shape.rank();
        let (mut offset, mut rest) = (0, at);
        for axis in (0..rank - 2).rev() {
            let size = self.view.shape[axis];
            offset += (rest % size) as isize * self.view.strides[axis];
            rest /= size;
        }
        let (down, across) = (self.view.strides[rank - 2], self.view.strides[rank - 1]);
        let mut matrix = Matrix::zeros(self.rows, self.columns);
        for column in 0..self.columns {
            let rows = match self.part {
                Part::All => 0..self.rows,
                Part::Lower => column.min(self.rows)..self.rows,
                Part::Upper => 0..self.rows.min(column + 1),
            };
            let to = &mut matrix.column_mut(column)[rows.clone()];
            for (to, row) in to.iter_mut().zip(rows) {
                let place = offset + row as isize * down + column as isize * across;
                // SAFETY: the index lies within the operand's shape.
                *to = unsafe { *self.view.ptr.offset(place) };
            }
        }
        matrix
    }
}

fn finite<T: Number>(matrix: &Matrix<T>) -> bool {
    matrix.elements.iter().all(|x| x.finite())
}

fn nan<T: Number>() -> T {
    T::of(f64::NAN)
}

/// Where the matrices, or other pieces of equal size, of an output go.
struct Pieces<'a, T> {
    output: Output<'a, T>,
    size: usize,
}

impl<'a, T: Element> Pieces<'a, T> {
    /// Allocates an output whose last `axes` axes are one piece.
    fn new(call: &mut Call<'a>, i: usize, axes: usize, op: &'static str) -> Result<Self> {
        let output = Output::allocate(call, i, op)?;
        let shape = call.shape(i);
        let size = shape[shape.rank() - axes..].iter().product();
        Ok(Pieces { output, size })
    }

    /// One piece.
    ///
    /// # Safety
    /// Each piece is taken by one thread.
    #[expect(
        clippy::mut_from_ref,
        reason = "threads share the output and take disjoint pieces"
    )]
    unsafe fn piece(&self, at: usize) -> &mut [T] {
        // SAFETY: pieces do not overlap, and the caller takes each once.
        unsafe { self.output.part(at * self.size..(at + 1) * self.size) }
    }
}

/// Writes a matrix row by row.
fn write<T: Number>(to: &mut [T], matrix: &Matrix<T>) {
    for (row, to) in to.chunks_exact_mut(matrix.columns.max(1)).enumerate() {
        for (column, to) in to.iter_mut().enumerate() {
            *to = matrix.at(row, column);
        }
    }
}

/// What is wrong with a matrix, to be read after "the matrix".
type Flaw = &'static str;

const SINGULAR: Flaw = "is singular";
const NO_END: Flaw = "makes the iteration fail to converge";

/// Runs `body` for each of `count` matrices, `cost` scalar operations each, on several threads. Of
/// several flawed matrices the first is reported.
fn for_each(
    op: &'static str,
    count: usize,
    cost: usize,
    body: impl Fn(usize) -> std::result::Result<(), Flaw> + Sync,
) -> Result<()> {
    let first: Mutex<Option<(usize, Flaw)>> = Mutex::new(None);
    parallel_for(count, cost, |range| {
        for at in range {
            if let Err(flaw) = body(at) {
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none_or(|(earlier, _)| at < earlier) {
                    *first = Some((at, flaw));
                }
                return;
            }
        }
    });
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some((at, flaw)) => {
            let reason = if count == 1 {
                format!("the matrix {flaw}")
            } else {
                format!("the matrix at position {at} of the batch {flaw}")
            };
            Err(Error::Argument { op, reason })
        }
    }
}

/// The scalar operations that an algorithm of cubic cost takes, about.
fn cubic(rows: usize, columns: usize, factor: usize) -> usize {
    let small = rows.min(columns);
    rows.saturating_mul(columns)
        .saturating_mul(small)
        .saturating_mul(factor)
        .max(64)
}
