//! Owns decompositions that are found by iteration: singular values and eigenvalues.

use olivine_core::{Call, Complex64, Element, Result};
use olivine_numeric::{Field, Matrix, Number};

use super::{Batch, NO_END, Part, Pieces, cubic, fields, finite, for_each, nan, write};

/// Singular values, with vectors if there are three outputs: left ones, values, right ones.
pub(in crate::kernels) fn svd(vectors: bool, call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.svd";
    fn typed<T: Field<Magnitude: Element> + Element>(vectors: bool, call: &mut Call) -> Result<()> {
        let values = Pieces::<T::Magnitude>::new(call, usize::from(vectors), 1, OP)?;
        let sides = if vectors {
            Some((
                Pieces::<T>::new(call, 0, 2, OP)?,
                Pieces::<T>::new(call, 2, 2, OP)?,
            ))
        } else {
            None
        };
        let a = Batch::<T>::new(call, 0, Part::All, OP)?;
        for_each(OP, a.len(), cubic(a.rows, a.columns, 16), |at| {
            // SAFETY: each matrix is visited once.
            let (values, sides) = unsafe {
                let sides = sides.as_ref().map(|(u, v)| (u.piece(at), v.piece(at)));
                (values.piece(at), sides)
            };
            let a = a.matrix(at);
            if !finite(&a) {
                values.fill(nan());
                if let Some((u, v)) = sides {
                    u.fill(nan());
                    v.fill(nan());
                }
                return Ok(());
            }
            let found = T::svd(&a, vectors).map_err(|_| NO_END)?;
            values.copy_from_slice(&found.values);
            if let (Some((left, right)), Some((u, v))) = (sides, found.vectors) {
                write(left, &u);
                write_adjoint(right, &v);
            }
            Ok(())
        })
    }
    fields!(OP, call.input(0).dtype, T => typed::<T>(vectors, call))
}

/// Writes the conjugate transpose of a square matrix.
fn write_adjoint<T: Number>(to: &mut [T], matrix: &Matrix<T>) {
    // The columns of the matrix are the rows of the result.
    for (to, from) in to.iter_mut().zip(&matrix.elements) {
        *to = from.conjugate();
    }
}

/// Eigenvalues, and vectors if there are two outputs, of Hermitian matrices.
pub(in crate::kernels) fn eigh(vectors: bool, call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.eigh";
    fn typed<T: Field<Magnitude: Element> + Element>(vectors: bool, call: &mut Call) -> Result<()> {
        let values = Pieces::<T::Magnitude>::new(call, 0, 1, OP)?;
        let columns = if vectors {
            Some(Pieces::<T>::new(call, 1, 2, OP)?)
        } else {
            None
        };
        let a = Batch::<T>::new(call, 0, Part::Lower, OP)?;
        for_each(OP, a.len(), cubic(a.rows, a.rows, 8), |at| {
            // SAFETY: each matrix is visited once.
            let (values, columns) =
                unsafe { (values.piece(at), columns.as_ref().map(|v| v.piece(at))) };
            let a = a.matrix(at);
            if !finite(&a) {
                values.fill(nan());
                if let Some(columns) = columns {
                    columns.fill(nan());
                }
                return Ok(());
            }
            let found = T::eigh(&a, vectors).map_err(|_| NO_END)?;
            values.copy_from_slice(&found.values);
            if let (Some(columns), Some(vectors)) = (columns, found.vectors) {
                write(columns, &vectors);
            }
            Ok(())
        })
    }
    fields!(OP, call.input(0).dtype, T => typed::<T>(vectors, call))
}

/// Eigenvalues, and vectors if there are two outputs, of square matrices; always `complex64`.
pub(in crate::kernels) fn eig(vectors: bool, call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.eig";
    fn narrow<T: Number>(z: T) -> Complex64 {
        Complex64::new(z.real_part() as f32, z.imaginary_part() as f32)
    }
    fn typed<T: Field + Element>(vectors: bool, call: &mut Call) -> Result<()> {
        let values = Pieces::<Complex64>::new(call, 0, 1, OP)?;
        let columns = if vectors {
            Some(Pieces::<Complex64>::new(call, 1, 2, OP)?)
        } else {
            None
        };
        let a = Batch::<T>::new(call, 0, Part::All, OP)?;
        let unknown = Complex64::new(f32::NAN, f32::NAN);
        for_each(OP, a.len(), cubic(a.rows, a.rows, 32), |at| {
            // SAFETY: each matrix is visited once.
            let (values, columns) =
                unsafe { (values.piece(at), columns.as_ref().map(|v| v.piece(at))) };
            let a = a.matrix(at);
            if !finite(&a) {
                values.fill(unknown);
                if let Some(columns) = columns {
                    columns.fill(unknown);
                }
                return Ok(());
            }
            let found = T::eig(&a, vectors).map_err(|_| NO_END)?;
            for (to, &value) in values.iter_mut().zip(&found.values) {
                *to = narrow(value);
            }
            if let (Some(columns), Some(vectors)) = (columns, found.vectors) {
                write(columns, &vectors.map(narrow));
            }
            Ok(())
        })
    }
    fields!(OP, call.input(0).dtype, T => typed::<T>(vectors, call))
}
