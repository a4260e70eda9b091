//! Owns the numerical algorithms that come from elsewhere: decompositions of matrices, by `faer`, and
//! Fourier transforms, by `rustfft` and `realfft`.
//!
//! It knows plain columns of numbers and no arrays, so that the algorithms, which are large generic
//! code, are compiled once and not with every change to a kernel.

mod eigen;
mod factor;
pub mod fourier;
mod matrix;
mod solve;
mod svd;

pub use matrix::{Failure, Matrix, Number};

use num_complex::Complex;

/// What an algorithm that works by iteration gives: its results, or the news that it did not converge.
pub type Outcome<T> = Result<T, Failure>;

/// Singular values, and the left and right singular vectors as columns if they were asked for.
///
/// ```
/// use olivine_numeric::{Field, Matrix, Svd};
/// let a = Matrix { rows: 2, columns: 2, elements: vec![3.0f64, 0.0, 0.0, 4.0] };
/// let Ok(Svd { values, vectors }) = f64::svd(&a, false) else { unreachable!("it converges") };
/// assert!((values[0] - 4.0).abs() < 1e-12 && (values[1] - 3.0).abs() < 1e-12);
/// assert!(vectors.is_none());
/// ```
pub struct Svd<T, R> {
    /// The singular values, greatest first.
    pub values: Vec<R>,
    /// The left and the right vectors, two square matrices.
    pub vectors: Option<(Matrix<T>, Matrix<T>)>,
}

/// Eigenvalues, and eigenvectors as columns if they were asked for.
///
/// ```
/// use olivine_numeric::{Eigen, Field, Matrix};
/// let a = Matrix { rows: 2, columns: 2, elements: vec![2.0f64, 0.0, 0.0, 1.0] };
/// let Ok(Eigen { values, vectors }) = f64::eigh(&a, true) else { unreachable!("it converges") };
/// assert!((values[0] - 1.0).abs() < 1e-12);
/// assert_eq!(vectors.map(|vectors| vectors.columns), Some(2));
/// ```
pub struct Eigen<T, R> {
    /// The eigenvalues.
    pub values: Vec<R>,
    /// The vectors, each of length one.
    pub vectors: Option<Matrix<T>>,
}

/// Numbers whose matrices can be decomposed. Elements must be finite.
///
/// ```
/// use olivine_numeric::{Field, Matrix};
/// fn solved<T: Field>(a: Matrix<T>, mut b: Matrix<T>) -> Option<Vec<T>> {
///     T::solve(a, &mut b).then_some(b.elements)
/// }
/// let a = Matrix { rows: 1, columns: 1, elements: vec![4.0f64] };
/// let b = Matrix { rows: 1, columns: 1, elements: vec![8.0] };
/// assert_eq!(solved(a, b), Some(vec![2.0]));
/// ```
pub trait Field: Number {
    /// The type of magnitudes.
    type Magnitude: Number;
    /// The complex type in which eigenvalues come out.
    type Eigenvalue: Number;

    /// Replaces a Hermitian matrix, of which the lower triangle is read, by its lower Cholesky
    /// factor. False if the matrix is not positive definite.
    ///
    /// ```
    /// use olivine_numeric::{Field, Matrix};
    /// let mut a = Matrix { rows: 2, columns: 2, elements: vec![4.0f64, 2.0, 2.0, 5.0] };
    /// assert!(f64::cholesky(&mut a));
    /// assert_eq!((a.at(0, 0), a.at(1, 0), a.at(1, 1)), (2.0, 1.0, 2.0));
    /// a.elements[0] = -1.0;
    /// assert!(!f64::cholesky(&mut a));
    /// ```
    fn cholesky(a: &mut Matrix<Self>) -> bool;

    /// Replaces a matrix by the factors of its rows in another order: L below the diagonal, U on
    /// and above it. Returns for each row which one it was.
    ///
    /// ```
    /// use olivine_numeric::{Field, Matrix};
    /// // Columns one after the other: [[1, 2], [2, 8]].
    /// let mut a = Matrix { rows: 2, columns: 2, elements: vec![1.0f64, 2.0, 2.0, 8.0] };
    /// assert_eq!(f64::lu(&mut a), [1, 0]);
    /// assert_eq!((a.at(1, 0), a.at(1, 1)), (0.5, -2.0));
    /// ```
    fn lu(a: &mut Matrix<Self>) -> Vec<usize>;

    /// An orthonormal basis Q and an upper triangle R with `Q R = a`; both have as many columns or
    /// rows as the smaller side of `a`.
    ///
    /// ```
    /// use olivine_numeric::{Field, Matrix};
    /// let (q, r) = f64::qr(Matrix { rows: 2, columns: 1, elements: vec![3.0, 4.0] });
    /// assert_eq!((q.rows, r.rows), (2, 1));
    /// assert!((r.at(0, 0).abs() - 5.0).abs() < 1e-12);
    /// ```
    fn qr(a: Matrix<Self>) -> (Matrix<Self>, Matrix<Self>);

    /// The singular value decomposition.
    ///
    /// ```
    /// use olivine_numeric::{Field, Matrix};
    /// let a = Matrix { rows: 1, columns: 2, elements: vec![3.0f64, 4.0] };
    /// let Ok(found) = f64::svd(&a, true) else { unreachable!("it converges") };
    /// assert!((found.values[0] - 5.0).abs() < 1e-12);
    /// ```
    fn svd(a: &Matrix<Self>, vectors: bool) -> Outcome<Svd<Self, Self::Magnitude>>;

    /// Eigenvalues in ascending order, and vectors, of a Hermitian matrix. The lower triangle is read.
    ///
    /// ```
    /// use olivine_numeric::{Field, Matrix};
    /// let a = Matrix { rows: 2, columns: 2, elements: vec![0.0f64, 1.0, 1.0, 0.0] };
    /// let Ok(found) = f64::eigh(&a, false) else { unreachable!("it converges") };
    /// assert!((found.values[0] + 1.0).abs() < 1e-12 && (found.values[1] - 1.0).abs() < 1e-12);
    /// ```
    fn eigh(a: &Matrix<Self>, vectors: bool) -> Outcome<Eigen<Self, Self::Magnitude>>;

    /// Eigenvalues and right vectors of a square matrix.
    ///
    /// ```
    /// use olivine_numeric::{Field, Matrix, Number};
    /// // A quarter turn: the eigenvalues are i and -i.
    /// let a = Matrix { rows: 2, columns: 2, elements: vec![0.0f64, 1.0, -1.0, 0.0] };
    /// let Ok(found) = f64::eig(&a, false) else { unreachable!("it converges") };
    /// let sizes = found.values.iter().map(|value| value.imaginary_part().abs());
    /// assert!(sizes.into_iter().all(|size| (size - 1.0).abs() < 1e-12));
    /// ```
    fn eig(a: &Matrix<Self>, vectors: bool) -> Outcome<Eigen<Self::Eigenvalue, Self::Eigenvalue>>;

    /// Replaces `b` by the solution of `a x = b`. False if `a` is singular.
    ///
    /// ```
    /// use olivine_numeric::{Field, Matrix};
    /// let mut b = Matrix { rows: 2, columns: 1, elements: vec![2.0f64, 4.0] };
    /// let a = Matrix { rows: 2, columns: 2, elements: vec![2.0, 0.0, 0.0, 8.0] };
    /// assert!(f64::solve(a, &mut b));
    /// assert_eq!(b.elements, [1.0, 0.5]);
    /// assert!(!f64::solve(Matrix::zeros(2, 2), &mut b));
    /// ```
    fn solve(a: Matrix<Self>, b: &mut Matrix<Self>) -> bool;

    /// Replaces `b` by the solution of `a x = b`, of which one triangle is read. False if the
    /// diagonal has a zero.
    ///
    /// ```
    /// use olivine_numeric::{Field, Matrix};
    /// // The number above the diagonal is not read.
    /// let a = Matrix { rows: 2, columns: 2, elements: vec![2.0f64, 2.0, 99.0, 4.0] };
    /// let mut b = Matrix { rows: 2, columns: 1, elements: vec![2.0, 6.0] };
    /// assert!(f64::solve_triangular(&a, false, &mut b));
    /// assert_eq!(b.elements, [1.0, 1.0]);
    /// ```
    fn solve_triangular(a: &Matrix<Self>, upper: bool, b: &mut Matrix<Self>) -> bool;
}

macro_rules! fields {
    ($($ty:ty, $real:ty, $complex:ty, $eig:ident;)*) => {$(
        impl Field for $ty {
            type Magnitude = $real;
            type Eigenvalue = $complex;

            fn cholesky(a: &mut Matrix<Self>) -> bool {
                factor::cholesky(a)
            }

            fn lu(a: &mut Matrix<Self>) -> Vec<usize> {
                factor::lu(a)
            }

            fn qr(a: Matrix<Self>) -> (Matrix<Self>, Matrix<Self>) {
                factor::qr(a)
            }

            fn svd(a: &Matrix<Self>, vectors: bool) -> Outcome<Svd<Self, $real>> {
                svd::svd(a, vectors)
            }

            fn eigh(a: &Matrix<Self>, vectors: bool) -> Outcome<Eigen<Self, $real>> {
                eigen::eigh(a, vectors)
            }

            fn eig(a: &Matrix<Self>, vectors: bool) -> Outcome<Eigen<$complex, $complex>> {
                eigen::$eig(a, vectors)
            }

            fn solve(a: Matrix<Self>, b: &mut Matrix<Self>) -> bool {
                solve::solve(a, b)
            }

            fn solve_triangular(a: &Matrix<Self>, upper: bool, b: &mut Matrix<Self>) -> bool {
                solve::triangular(a, upper, b)
            }
        }
    )*};
}

fields! {
    f32, f32, Complex<f32>, real_single;
    f64, f64, Complex<f64>, real;
    Complex<f32>, f32, Complex<f32>, complex_single;
}

/// The matrix of cofactors, the derivative of the determinant, also where that is zero.
///
/// ```
/// use olivine_numeric::{Matrix, cofactors};
/// let a = Matrix { rows: 2, columns: 2, elements: vec![1.0, 3.0, 2.0, 4.0] };
/// let Ok(found) = cofactors(&a) else { unreachable!("it converges") };
/// assert!((found.at(0, 0) - 4.0).abs() < 1e-9 && (found.at(0, 1) + 3.0).abs() < 1e-9);
/// ```
pub fn cofactors(a: &Matrix<f64>) -> Outcome<Matrix<f64>> {
    svd::cofactors(a)
}

/// The pseudo-inverse. Singular values up to `cutoff` times the greatest count as zero.
///
/// ```
/// use olivine_numeric::{Matrix, pseudo_inverse};
/// let a = Matrix { rows: 2, columns: 2, elements: vec![4.0, 0.0, 0.0, 1e-9] };
/// let Ok(found) = pseudo_inverse(&a, 1e-6) else { unreachable!("it converges") };
/// assert!((found.at(0, 0) - 0.25).abs() < 1e-12 && found.at(1, 1).abs() < 1e-12);
/// ```
pub fn pseudo_inverse(a: &Matrix<f64>, cutoff: f64) -> Outcome<Matrix<f64>> {
    svd::pseudo_inverse(a, cutoff)
}

/// The symmetric square root of a symmetric matrix, negative eigenvalues counted by magnitude. The
/// lower triangle is read.
///
/// ```
/// use olivine_numeric::{Matrix, square_root};
/// let a = Matrix { rows: 2, columns: 2, elements: vec![4.0, 0.0, 0.0, 9.0] };
/// let Ok(root) = square_root(&a) else { unreachable!("it converges") };
/// assert!((root.at(0, 0) - 2.0).abs() < 1e-12 && (root.at(1, 1) - 3.0).abs() < 1e-12);
/// ```
pub fn square_root(a: &Matrix<f64>) -> Outcome<Matrix<f64>> {
    eigen::square_root(a)
}

/// Whether an order of rows takes an odd number of exchanges.
///
/// ```
/// use olivine_numeric::is_odd;
/// assert!(is_odd(&[1, 0, 2]));
/// assert!(!is_odd(&[1, 2, 0]));
/// ```
pub fn is_odd(order: &[usize]) -> bool {
    svd::is_odd(order)
}
