//! Owns direct decompositions and systems of equations.

use olivine_core::{Call, Element, Result};
use olivine_numeric::{Field, Matrix};

use super::{Batch, Part, Pieces, SINGULAR, cubic, fields, finite, for_each, nan, reals, write};

/// The lower Cholesky factor.
pub(in crate::kernels) fn cholesky(call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.cholesky";
    fn typed<T: Field + Element>(call: &mut Call) -> Result<()> {
        let out = Pieces::<T>::new(call, 0, 2, OP)?;
        let a = Batch::<T>::new(call, 0, Part::Lower, OP)?;
        for_each(OP, a.len(), cubic(a.rows, a.rows, 1), |at| {
            // SAFETY: each matrix is visited once.
            let to = unsafe { out.piece(at) };
            let mut a = a.matrix(at);
            if !finite(&a) {
                to.fill(nan());
                return Ok(());
            }
            if !T::cholesky(&mut a) {
                return Err("is not positive definite");
            }
            write(to, &a);
            Ok(())
        })
    }
    reals!(OP, call.dtype(0), T => typed::<T>(call))
}

/// The rows' order, exchanges and factors.
pub(in crate::kernels) fn lu(call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.lu";
    fn typed<T: Field + Element>(call: &mut Call) -> Result<()> {
        let factors = Pieces::<T>::new(call, 0, 2, OP)?;
        let pivots = Pieces::<u32>::new(call, 1, 1, OP)?;
        let order = Pieces::<u32>::new(call, 2, 1, OP)?;
        let a = Batch::<T>::new(call, 0, Part::All, OP)?;
        for_each(OP, a.len(), cubic(a.rows, a.columns, 1), |at| {
            // SAFETY: each matrix is visited once.
            let (factors, pivots, order) =
                unsafe { (factors.piece(at), pivots.piece(at), order.piece(at)) };
            let mut a = a.matrix(at);
            let rows = if finite(&a) {
                let rows = T::lu(&mut a);
                write(factors, &a);
                rows
            } else {
                factors.fill(nan());
                (0..a.rows).collect()
            };
            exchanges(&rows, pivots);
            for (to, &row) in order.iter_mut().zip(&rows) {
                *to = row as u32;
            }
            Ok(())
        })
    }
    reals!(OP, call.dtype(0), T => typed::<T>(call))
}

/// The exchanges, each of a row with a later one, that bring rows into an order.
fn exchanges(order: &[usize], pivots: &mut [u32]) {
    // Which row lies at a place, and where a row lies.
    let mut rows: Vec<usize> = (0..order.len()).collect();
    let mut places = rows.clone();
    for (place, pivot) in pivots.iter_mut().enumerate() {
        let other = places[order[place]];
        *pivot = other as u32;
        rows.swap(place, other);
        places[rows[place]] = place;
        places[rows[other]] = other;
    }
}

/// An orthonormal basis and a triangle.
pub(in crate::kernels) fn qr(call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.qr";
    fn typed<T: Field + Element>(call: &mut Call) -> Result<()> {
        let basis = Pieces::<T>::new(call, 0, 2, OP)?;
        let triangle = Pieces::<T>::new(call, 1, 2, OP)?;
        let a = Batch::<T>::new(call, 0, Part::All, OP)?;
        for_each(OP, a.len(), cubic(a.rows, a.columns, 4), |at| {
            // SAFETY: each matrix is visited once.
            let (basis, triangle) = unsafe { (basis.piece(at), triangle.piece(at)) };
            let a = a.matrix(at);
            if finite(&a) {
                let (q, r) = T::qr(a);
                write(basis, &q);
                write(triangle, &r);
            } else {
                basis.fill(nan());
                triangle.fill(nan());
            }
            Ok(())
        })
    }
    reals!(OP, call.dtype(0), T => typed::<T>(call))
}

/// The inverse of a square matrix.
pub(in crate::kernels) fn inverse(call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.inv";
    fn typed<T: Field + Element>(call: &mut Call) -> Result<()> {
        let out = Pieces::<T>::new(call, 0, 2, OP)?;
        let a = Batch::<T>::new(call, 0, Part::All, OP)?;
        for_each(OP, a.len(), cubic(a.rows, a.rows, 2), |at| {
            // SAFETY: each matrix is visited once.
            let to = unsafe { out.piece(at) };
            let a = a.matrix(at);
            let mut x = Matrix::identity(a.rows, a.rows);
            if !finite(&a) {
                to.fill(nan());
                return Ok(());
            }
            if !T::solve(a, &mut x) {
                return Err(SINGULAR);
            }
            write(to, &x);
            Ok(())
        })
    }
    fields!(OP, call.dtype(0), T => typed::<T>(call))
}

/// The solution of a system of equations.
pub(in crate::kernels) fn solve(call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.solve";
    fn typed<T: Field + Element>(call: &mut Call) -> Result<()> {
        let solved = |a: Matrix<T>, b: &mut Matrix<T>| T::solve(a, b);
        systems(OP, call, Part::All, solved)
    }
    fields!(OP, call.dtype(0), T => typed::<T>(call))
}

/// The solution of a system whose matrix is a triangle.
pub(in crate::kernels) fn solve_triangular(upper: bool, call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.solve_triangular";
    fn typed<T: Field + Element>(upper: bool, call: &mut Call) -> Result<()> {
        let part = if upper { Part::Upper } else { Part::Lower };
        let solved = |a: Matrix<T>, b: &mut Matrix<T>| T::solve_triangular(&a, upper, b);
        systems(OP, call, part, solved)
    }
    fields!(OP, call.dtype(0), T => typed::<T>(upper, call))
}

fn systems<T: Field + Element>(
    op: &'static str,
    call: &mut Call,
    part: Part,
    solved: impl Fn(Matrix<T>, &mut Matrix<T>) -> bool + Sync,
) -> Result<()> {
    let out = Pieces::<T>::new(call, 0, 2, op)?;
    let a = Batch::<T>::new(call, 0, part, op)?;
    let b = Batch::<T>::new(call, 1, Part::All, op)?;
    let cost = cubic(a.rows, a.rows.max(b.columns), 1);
    for_each(op, a.len(), cost, |at| {
        // SAFETY: each matrix is visited once.
        let to = unsafe { out.piece(at) };
        let (a, mut b) = (a.matrix(at), b.matrix(at));
        if !finite(&a) || !finite(&b) {
            to.fill(nan());
            return Ok(());
        }
        if !solved(a, &mut b) {
            return Err(SINGULAR);
        }
        write(to, &b);
        Ok(())
    })
}
