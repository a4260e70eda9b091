//! Owns eigenvalues and eigenvectors.

use faer::{
    Par,
    diag::DiagMut,
    dyn_stack::{MemBuffer, MemStack},
    linalg::evd::{
        ComputeEigenvectors, evd_cplx, evd_real, evd_scratch, self_adjoint_evd,
        self_adjoint_evd_scratch,
    },
};
use num_complex::Complex;

use crate::{Eigen, Failure, Matrix, Outcome, matrix::Number};

fn wanted(vectors: bool) -> ComputeEigenvectors {
    if vectors {
        ComputeEigenvectors::Yes
    } else {
        ComputeEigenvectors::No
    }
}

pub(crate) fn eigh<T: Number, R: Number>(a: &Matrix<T>, vectors: bool) -> Outcome<Eigen<T, R>> {
    let n = a.rows;
    let mut room = vectors.then(|| Matrix::identity(n, n));
    if n == 0 {
        return Ok(Eigen {
            values: Vec::new(),
            vectors: room,
        });
    }
    // Only the lower triangle counts, also for the scale, and of the diagonal the real part.
    let mut lower = a.clone();
    for column in 0..n {
        *lower.at_mut(column, column) = T::of(a.at(column, column).real_part());
        for row in 0..column {
            *lower.at_mut(row, column) = a.at(column, row).conjugate();
        }
    }
    let (a, back) = lower.balanced();
    let scratch =
        self_adjoint_evd_scratch::<T>(n, wanted(vectors), Par::Seq, faer::Spec::default());
    let mut memory = MemBuffer::new(scratch);
    let mut values = vec![T::ZERO; n];
    let done = self_adjoint_evd(
        a.faer(),
        DiagMut::from_slice_mut(&mut values),
        room.as_mut().map(Matrix::faer_mut),
        Par::Seq,
        MemStack::new(&mut memory),
        faer::Spec::default(),
    );
    done.map_err(|_| Failure)?;
    let values = values.iter().map(|w| R::of(w.real_part() * back)).collect();
    Ok(Eigen {
        values,
        vectors: room,
    })
}

pub(crate) fn square_root(a: &Matrix<f64>) -> Outcome<Matrix<f64>> {
    let found = eigh::<f64, f64>(a, true)?;
    let vectors = found.vectors.ok_or(Failure)?;
    let n = a.rows;
    let roots: Vec<f64> = found.values.iter().map(|w| w.abs().sqrt()).collect();
    let mut root = Matrix::zeros(n, n);
    for column in 0..n {
        for row in 0..n {
            let terms = roots.iter().enumerate();
            *root.at_mut(row, column) = terms
                .map(|(i, w)| w * vectors.at(row, i) * vectors.at(column, i))
                .sum();
        }
    }
    Ok(root)
}

type Found<T> = Outcome<Eigen<Complex<T>, Complex<T>>>;

pub(crate) fn real(a: &Matrix<f64>, vectors: bool) -> Found<f64> {
    let n = a.rows;
    let mut room = Matrix::<f64>::identity(n, n);
    let (mut re, mut im) = (vec![0.0; n], vec![0.0; n]);
    let (a, back) = a.balanced();
    if n > 0 {
        let no = ComputeEigenvectors::No;
        let scratch = evd_scratch::<f64>(n, no, wanted(vectors), Par::Seq, faer::Spec::default());
        let mut memory = MemBuffer::new(scratch);
        let done = evd_real(
            a.faer(),
            DiagMut::from_slice_mut(&mut re),
            DiagMut::from_slice_mut(&mut im),
            None,
            vectors.then(|| room.faer_mut()),
            Par::Seq,
            MemStack::new(&mut memory),
            faer::Spec::default(),
        );
        done.map_err(|_| Failure)?;
    }
    let values = re.iter().zip(&im);
    let values: Vec<Complex<f64>> = values
        .map(|(&re, &im)| Complex::new(re * back, im * back))
        .collect();
    // The vectors of a conjugate pair are two real columns: the real and the imaginary part.
    let vectors = vectors.then(|| {
        let mut vectors = Matrix::zeros(n, n);
        let mut column = 0;
        while column < n {
            let pair = im[column] != 0.0 && column + 1 < n;
            for row in 0..n {
                let re = room.at(row, column);
                if pair {
                    let im = room.at(row, column + 1);
                    *vectors.at_mut(row, column) = Complex::new(re, im);
                    *vectors.at_mut(row, column + 1) = Complex::new(re, -im);
                } else {
                    *vectors.at_mut(row, column) = Complex::new(re, 0.0);
                }
            }
            column += if pair { 2 } else { 1 };
        }
        normalized(vectors)
    });
    Ok(Eigen { values, vectors })
}

pub(crate) fn complex(a: &Matrix<Complex<f64>>, vectors: bool) -> Found<f64> {
    let n = a.rows;
    let mut room = vectors.then(|| Matrix::<Complex<f64>>::identity(n, n));
    let mut values = vec![Complex::ZERO; n];
    let (a, back) = a.balanced();
    if n > 0 {
        let no = ComputeEigenvectors::No;
        let scratch =
            evd_scratch::<Complex<f64>>(n, no, wanted(vectors), Par::Seq, faer::Spec::default());
        let mut memory = MemBuffer::new(scratch);
        let done = evd_cplx(
            a.faer(),
            DiagMut::from_slice_mut(&mut values),
            None,
            room.as_mut().map(Matrix::faer_mut),
            Par::Seq,
            MemStack::new(&mut memory),
            faer::Spec::default(),
        );
        done.map_err(|_| Failure)?;
    }
    Ok(Eigen {
        values: values.iter().map(|w| w * back).collect(),
        vectors: room.map(normalized),
    })
}

/// Eigenvalues of single precision are found in double precision: they are sensitive.
pub(crate) fn real_single(a: &Matrix<f32>, vectors: bool) -> Found<f32> {
    real(&a.map(f64::from), vectors).map(narrowed)
}

pub(crate) fn complex_single(a: &Matrix<Complex<f32>>, vectors: bool) -> Found<f32> {
    let wide = |z: Complex<f32>| Complex::new(f64::from(z.re), f64::from(z.im));
    complex(&a.map(wide), vectors).map(narrowed)
}

fn narrowed(found: Eigen<Complex<f64>, Complex<f64>>) -> Eigen<Complex<f32>, Complex<f32>> {
    let narrow = |z: Complex<f64>| Complex::new(z.re as f32, z.im as f32);
    Eigen {
        values: found.values.into_iter().map(narrow).collect(),
        vectors: found.vectors.map(|vectors| vectors.map(narrow)),
    }
}

/// Each column with length one and its greatest element real, as LAPACK has them.
fn normalized(vectors: Matrix<Complex<f64>>) -> Matrix<Complex<f64>> {
    let mut vectors = vectors;
    for column in 0..vectors.columns {
        let vector = vectors.column_mut(column);
        let length = vector.iter().map(Complex::norm_sqr).sum::<f64>().sqrt();
        let mut greatest = 0;
        for i in 1..vector.len() {
            if vector[i].norm_sqr() > vector[greatest].norm_sqr() {
                greatest = i;
            }
        }
        if length == 0.0 {
            continue;
        }
        // A real vector keeps its sign.
        let peak = vector[greatest];
        let turn = if peak.im == 0.0 {
            Complex::ONE
        } else {
            peak.conj() / peak.norm()
        };
        for element in vector.iter_mut() {
            *element = *element * turn / length;
        }
        vector[greatest].im = 0.0;
    }
    vectors
}
