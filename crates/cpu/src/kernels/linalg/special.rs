//! Owns functions of whole matrices: determinants, the pseudo-inverse, the square root. They are
//! computed in `float64`.

use olivine_core::{Call, Element, Result};
use olivine_numeric::{Field, Matrix, Number, Outcome};

use super::{Batch, NO_END, Part, Pieces, cubic, finite, for_each, nan, reals, write};

fn wide<T: Number>(matrix: &Matrix<T>) -> Matrix<f64> {
    matrix.map(Number::real_part)
}

/// The determinants.
pub(in crate::kernels) fn determinant(call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.det";
    fn typed<T: Element + Number>(call: &mut Call) -> Result<()> {
        let out = Pieces::<T>::new(call, 0, 0, OP)?;
        let a = Batch::<T>::new(call, 0, Part::All, OP)?;
        for_each(OP, a.len(), cubic(a.rows, a.rows, 1), |at| {
            // SAFETY: each matrix is visited once.
            let to = unsafe { out.piece(at) };
            let mut a = wide(&a.matrix(at));
            to[0] = if finite(&a) {
                let sign = if olivine_numeric::is_odd(&f64::lu(&mut a)) {
                    -1.0
                } else {
                    1.0
                };
                T::of(
                    (0..a.rows)
                        .map(|i| a.at(i, i))
                        .fold(sign, |product, x| product * x),
                )
            } else {
                nan()
            };
            Ok(())
        })
    }
    reals!(OP, call.dtype(0), T => typed::<T>(call))
}

/// The signs of determinants and the logarithms of their magnitudes.
pub(in crate::kernels) fn sign_and_logarithm(call: &mut Call) -> Result<()> {
    const OP: &str = "linalg.slogdet";
    fn typed<T: Element + Number>(call: &mut Call) -> Result<()> {
        let signs = Pieces::<T>::new(call, 0, 0, OP)?;
        let logarithms = Pieces::<T>::new(call, 1, 0, OP)?;
        let a = Batch::<T>::new(call, 0, Part::All, OP)?;
        for_each(OP, a.len(), cubic(a.rows, a.rows, 1), |at| {
            // SAFETY: each matrix is visited once.
            let (to_sign, to_logarithm) = unsafe { (signs.piece(at), logarithms.piece(at)) };
            let mut a = wide(&a.matrix(at));
            let (mut sign, mut logarithm) = (f64::NAN, f64::NAN);
            if finite(&a) {
                sign = if olivine_numeric::is_odd(&f64::lu(&mut a)) {
                    -1.0
                } else {
                    1.0
                };
                logarithm = 0.0;
                for pivot in (0..a.rows).map(|i| a.at(i, i)) {
                    sign *= if pivot == 0.0 { 0.0 } else { pivot.signum() };
                    logarithm += pivot.abs().ln();
                }
                // After a zero, the other pivots say nothing.
                if sign == 0.0 {
                    (sign, logarithm) = (0.0, f64::NEG_INFINITY);
                }
            }
            (to_sign[0], to_logarithm[0]) = (T::of(sign), T::of(logarithm));
            Ok(())
        })
    }
    reals!(OP, call.dtype(0), T => typed::<T>(call))
}

/// The matrices of cofactors.
pub(in crate::kernels) fn cofactors(call: &mut Call) -> Result<()> {
    each("linalg.det", call, Part::All, olivine_numeric::cofactors)
}

/// The pseudo-inverses.
pub(in crate::kernels) fn pinv(cutoff: f64, call: &mut Call) -> Result<()> {
    each("linalg.pinv", call, Part::All, |a| {
        olivine_numeric::pseudo_inverse(a, cutoff)
    })
}

/// The square roots of symmetric matrices.
pub(in crate::kernels) fn square_root(call: &mut Call) -> Result<()> {
    each(
        "linalg.square_root",
        call,
        Part::Lower,
        olivine_numeric::square_root,
    )
}

/// Applies a function from matrix to matrix.
fn each(
    op: &'static str,
    call: &mut Call,
    part: Part,
    f: impl Fn(&Matrix<f64>) -> Outcome<Matrix<f64>> + Sync,
) -> Result<()> {
    fn typed<T: Element + Number>(
        op: &'static str,
        call: &mut Call,
        part: Part,
        f: impl Fn(&Matrix<f64>) -> Outcome<Matrix<f64>> + Sync,
    ) -> Result<()> {
        let out = Pieces::<T>::new(call, 0, 2, op)?;
        let a = Batch::<T>::new(call, 0, part, op)?;
        for_each(op, a.len(), cubic(a.rows, a.columns, 24), |at| {
            // SAFETY: each matrix is visited once.
            let to = unsafe { out.piece(at) };
            let a = wide(&a.matrix(at));
            if !finite(&a) {
                to.fill(nan());
                return Ok(());
            }
            write(to, &f(&a).map_err(|_| NO_END)?.map(T::of));
            Ok(())
        })
    }
    reals!(op, call.dtype(0), T => typed::<T>(op, call, part, f))
}
