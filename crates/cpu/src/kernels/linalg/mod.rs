//! Owns the kernels of linear algebra: each matrix of a batch is copied to columns of doubles,
//! decomposed on its own, and written back in rows, where its numbers are rounded.
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

    /// One of the matrices in double precision, with zeros where it does not count.
    fn matrix(&self, at: usize) -> Matrix<T::Double> {
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
                *to = unsafe { *self.view.ptr.offset(place) }.double();
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
fn write<T: Number>(to: &mut [T], matrix: &Matrix<T::Double>) {
    for (row, to) in to.chunks_exact_mut(matrix.columns.max(1)).enumerate() {
        for (column, to) in to.iter_mut().enumerate() {
            *to = T::rounded(matrix.at(row, column));
        }
    }
}

/// Writes numbers one after the other.
fn write_each<T: Number>(to: &mut [T], numbers: &[T::Double]) {
    for (to, &number) in to.iter_mut().zip(numbers) {
        *to = T::rounded(number);
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

#[cfg(test)]
mod tests {
    use olivine_core::{
        Array, Complex64, Dtype,
        linalg::{
            Triangle, cholesky, det, eig, eigh, inv, lu_factor, qr, slogdet, solve,
            solve_triangular, svd,
        },
    };
    use olivine_numeric::Field;

    use super::*;
    use crate::kernels::test_inputs::Random;

    /// Fails unless results for `float32` are those for `float64`, rounded.
    #[track_caller]
    fn assert_rounded(
        what: &str,
        inputs: &[Array],
        f: impl Fn(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<()> {
        let wide: Result<Vec<Array>> = inputs.iter().map(|x| x.astype(Dtype::Float64)).collect();
        for (i, (narrow, wide)) in f(inputs)?.iter().zip(f(&wide?)?).enumerate() {
            assert_ne!(narrow.dtype(), Dtype::Float64, "{what}: output {i}");
            let rounded = wide.astype(narrow.dtype())?;
            let same = narrow.array_equal(&rounded, true)?.item::<bool>()?;
            assert!(same, "{what}: output {i} is {narrow:?}, not {rounded:?}");
        }
        Ok(())
    }

    #[test]
    fn results_of_single_precision_are_those_of_double_precision_rounded_once() -> Result<()> {
        let mut random = Random(31);
        for (n, columns) in [(1, 3), (3, 2), (17, 5), (40, 41)] {
            let a = random.array(&[2, n, n], Dtype::Float32)?;
            let b = random.array(&[2, n, columns], Dtype::Float32)?;
            // Symmetric and positive definite.
            let positive = a.matmul(a.swapaxes(-1, -2)?)?;
            let positive = positive.add(Array::identity(n, Dtype::Float32)?)?;
            let positive = [positive];
            let wide = [b.clone()];
            assert_rounded("cholesky", &positive, |x| Ok(vec![cholesky(&x[0], false)?]))?;
            assert_rounded("lu_factor", &wide, |x| {
                lu_factor(&x[0]).map(|(factors, pivots)| vec![factors, pivots])
            })?;
            assert_rounded("qr", &wide, |x| qr(&x[0]).map(|(q, r)| vec![q, r]))?;
            assert_rounded("svd", &wide, |x| {
                svd(&x[0]).map(|(u, s, vt)| vec![u, s, vt])
            })?;
            assert_rounded("inv", &positive, |x| Ok(vec![inv(&x[0])?]))?;
            assert_rounded("det", &positive, |x| Ok(vec![det(&x[0])?]))?;
            assert_rounded("slogdet", &positive, |x| {
                slogdet(&x[0]).map(|(sign, logarithm)| vec![sign, logarithm])
            })?;
            assert_rounded("eigh", &positive, |x| {
                eigh(&x[0], Triangle::Lower).map(|(values, vectors)| vec![values, vectors])
            })?;
            assert_rounded("eig", &[a], |x| {
                eig(&x[0]).map(|(values, vectors)| vec![values, vectors])
            })?;
            let system = [positive[0].clone(), b];
            assert_rounded("solve", &system, |x| Ok(vec![solve(&x[0], &x[1])?]))?;
            assert_rounded("solve_triangular", &system, |x| {
                Ok(vec![solve_triangular(&x[0], &x[1], true)?])
            })?;
        }
        Ok(())
    }

    #[test]
    fn complex_systems_are_solved_in_double_precision() -> Result<()> {
        let (n, columns) = (7, 2);
        let mut random = Random(32);
        let mut numbers = |count: usize| -> Vec<Complex64> {
            let number = |_| Complex64::new(random.unit(), random.unit());
            (0..count).map(number).collect()
        };
        let (a, b) = (numbers(n * n), numbers(n * columns));
        // Rows are turned into columns.
        let read = |numbers: &[Complex64], columns: usize| {
            let mut matrix = Matrix::zeros(n, columns);
            for (at, number) in numbers.iter().enumerate() {
                *matrix.at_mut(at / columns, at % columns) = number.double();
            }
            matrix
        };
        let mut x = read(&b, columns);
        assert!(<Complex64 as Number>::Double::solve(read(&a, n), &mut x));
        let mut expected = vec![Complex64::ZERO; n * columns];
        write(&mut expected, &x);
        let (a, b) = (
            Array::from_slice(&a, [n, n])?,
            Array::from_slice(&b, [n, columns])?,
        );
        assert_eq!(solve(&a, &b)?.to_vec::<Complex64>()?, expected);
        Ok(())
    }

    #[test]
    fn what_single_precision_cannot_hold_is_infinite() -> Result<()> {
        let a = Array::from_slice(&[1e30f32, 0.0, 0.0, -1e30], [2, 2])?;
        assert_eq!(det(&a)?.item::<f32>()?, f32::NEG_INFINITY);
        let tiny = Array::from_slice(&[1e-40f32], [1, 1])?;
        assert_eq!(inv(&tiny)?.item::<f32>()?, f32::INFINITY);
        // Steps on the way may leave the range.
        let (q, r) = qr(&Array::from_slice(&[1e-30f32, 1e-30], [2, 1])?)?;
        assert_eq!(q.abs()?.to_vec::<f32>()?, [0.5f32.sqrt(); 2]);
        assert_eq!(
            r.abs()?.item::<f32>()?,
            (2f64.sqrt() * f64::from(1e-30f32)) as f32
        );
        Ok(())
    }
}
