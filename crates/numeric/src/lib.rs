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
pub struct Svd<T, R> {
    /// The singular values, greatest first.
    pub values: Vec<R>,
    /// The left and the right vectors, two square matrices.
    pub vectors: Option<(Matrix<T>, Matrix<T>)>,
}

/// Eigenvalues, and eigenvectors as columns if they were asked for.
pub struct Eigen<T, R> {
    /// The eigenvalues.
    pub values: Vec<R>,
    /// The vectors, each of length one.
    pub vectors: Option<Matrix<T>>,
}

/// Numbers whose matrices can be decomposed. Elements must be finite.
pub trait Field: Number {
    /// The type of magnitudes.
    type Magnitude: Number;
    /// The complex type in which eigenvalues come out.
    type Eigenvalue: Number;

    /// Replaces a Hermitian matrix, of which the lower triangle is read, by its lower Cholesky
    /// factor. False if the matrix is not positive definite.
    fn cholesky(a: &mut Matrix<Self>) -> bool;

    /// Replaces a matrix by the factors of its rows in another order: L below the diagonal, U on
    /// and above it. Returns for each row which one it was.
    fn lu(a: &mut Matrix<Self>) -> Vec<usize>;

    /// An orthonormal basis Q and an upper triangle R with `Q R = a`; both have as many columns or
    /// rows as the smaller side of `a`.
    fn qr(a: Matrix<Self>) -> (Matrix<Self>, Matrix<Self>);

    /// The singular value decomposition.
    fn svd(a: &Matrix<Self>, vectors: bool) -> Outcome<Svd<Self, Self::Magnitude>>;

    /// Eigenvalues in ascending order, and vectors, of a Hermitian matrix. The lower triangle is read.
    fn eigh(a: &Matrix<Self>, vectors: bool) -> Outcome<Eigen<Self, Self::Magnitude>>;

    /// Eigenvalues and right vectors of a square matrix.
    fn eig(a: &Matrix<Self>, vectors: bool) -> Outcome<Eigen<Self::Eigenvalue, Self::Eigenvalue>>;

    /// Replaces `b` by the solution of `a x = b`. False if `a` is singular.
    fn solve(a: Matrix<Self>, b: &mut Matrix<Self>) -> bool;

    /// Replaces `b` by the solution of `a x = b`, of which one triangle is read. False if the
    /// diagonal has a zero.
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
pub fn cofactors(a: &Matrix<f64>) -> Outcome<Matrix<f64>> {
    svd::cofactors(a)
}

/// The pseudo-inverse. Singular values up to `cutoff` times the greatest count as zero.
pub fn pseudo_inverse(a: &Matrix<f64>, cutoff: f64) -> Outcome<Matrix<f64>> {
    svd::pseudo_inverse(a, cutoff)
}

/// The symmetric square root of a symmetric matrix, negative eigenvalues counted by magnitude. The
/// lower triangle is read.
pub fn square_root(a: &Matrix<f64>) -> Outcome<Matrix<f64>> {
    eigen::square_root(a)
}

/// Whether an order of rows takes an odd number of exchanges.
pub fn is_odd(order: &[usize]) -> bool {
    svd::is_odd(order)
}
