//! Owns plain matrices, and what the algorithms need to know of numbers.

use faer::{
    MatMut, MatRef,
    traits::math_utils::{imag, mul_real, real},
};
use num_complex::Complex;

use crate::Field;

/// A matrix, column after column.
///
/// ```
/// use olivine_numeric::Matrix;
/// // One column after the other.
/// let a = Matrix { rows: 2, columns: 2, elements: vec![1.0f32, 2.0, 3.0, 4.0] };
/// assert_eq!((a.at(1, 0), a.at(0, 1)), (2.0, 3.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<T> {
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// The elements: the first column from top to bottom, then the next.
    pub elements: Vec<T>,
}

/// An algorithm that works by iteration did not come to an end.
///
/// ```
/// use olivine_numeric::{Failure, Outcome};
/// let outcome: Outcome<f64> = Err(Failure);
/// assert!(outcome.is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure;

/// A real or complex floating-point number. Algorithms work on doubles: other numbers are widened
/// before and rounded once after.
///
/// ```
/// use olivine_numeric::{Field, Matrix, Number};
/// fn quotient<T: Number>(x: T, y: T) -> T {
///     let matrix = |x: T| Matrix { rows: 1, columns: 1, elements: vec![x.double()] };
///     let mut quotient = matrix(x);
///     assert!(T::Double::solve(matrix(y), &mut quotient));
///     T::rounded(quotient.at(0, 0))
/// }
/// assert_eq!(quotient(1.0f32, 3.0), 1.0 / 3.0);
/// ```
pub trait Number: Copy + Send + Sync + 'static {
    /// The type of the same kind in double precision.
    type Double: Field;
    /// The type of magnitudes.
    type Magnitude: Number<Double = f64>;

    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// The same number in double precision.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::Number;
    /// assert_eq!(Complex::new(0.5f32, 2.0).double(), Complex::new(0.5f64, 2.0));
    /// ```
    fn double(self) -> Self::Double;

    /// The nearest number, as a cast finds it: beyond the greatest one lies infinity.
    ///
    /// ```
    /// use olivine_numeric::Number;
    /// assert_eq!(f32::rounded(0.1f64), 0.1f32);
    /// assert_eq!(f32::rounded(-1e300), f32::NEG_INFINITY);
    /// ```
    fn rounded(double: Self::Double) -> Self;

    /// The number nearest to a real one.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::Number;
    /// assert_eq!(<Complex<f64> as Number>::of(2.0), Complex::new(2.0, 0.0));
    /// ```
    fn of(real: f64) -> Self;

    /// Whether no part is infinite or NaN.
    ///
    /// ```
    /// use olivine_numeric::Number;
    /// assert!(Number::finite(1.0f64) && !Number::finite(f64::NAN));
    /// ```
    fn finite(self) -> bool;

    /// The complex conjugate.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::Number;
    /// assert_eq!(Number::conjugate(Complex::new(1.0f64, 2.0)), Complex::new(1.0, -2.0));
    /// ```
    fn conjugate(self) -> Self;
}

macro_rules! numbers {
    ($($real:ty),*) => {$(
        impl Number for $real {
            type Double = f64;
            type Magnitude = $real;

            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            fn double(self) -> f64 {
                f64::from(self)
            }

            fn rounded(double: f64) -> Self {
                double as $real
            }

            fn of(real: f64) -> Self {
                real as $real
            }

            fn finite(self) -> bool {
                self.is_finite()
            }

            fn conjugate(self) -> Self {
                self
            }
        }

        impl Number for Complex<$real> {
            type Double = Complex<f64>;
            type Magnitude = $real;

            const ZERO: Self = Complex::new(0.0, 0.0);
            const ONE: Self = Complex::new(1.0, 0.0);

            fn double(self) -> Complex<f64> {
                Complex::new(self.re.double(), self.im.double())
            }

            fn rounded(double: Complex<f64>) -> Self {
                Complex::new(double.re as $real, double.im as $real)
            }

            fn of(real: f64) -> Self {
                Complex::new(real as $real, 0.0)
            }

            fn finite(self) -> bool {
                self.re.is_finite() && self.im.is_finite()
            }

            fn conjugate(self) -> Self {
                self.conj()
            }
        }
    )*};
}

numbers!(f32, f64);

impl<T: Number> Matrix<T> {
    /// A matrix of zeros.
    ///
    /// ```
    /// use olivine_numeric::Matrix;
    /// assert_eq!(Matrix::<f32>::zeros(2, 3).elements, [0.0; 6]);
    /// ```
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Matrix {
            rows,
            columns,
            elements: vec![T::ZERO; rows * columns],
        }
    }

    /// Ones on the diagonal, zeros elsewhere.
    ///
    /// ```
    /// use olivine_numeric::Matrix;
    /// assert_eq!(Matrix::<f32>::identity(2, 2).elements, [1.0, 0.0, 0.0, 1.0]);
    /// ```
    pub fn identity(rows: usize, columns: usize) -> Self {
        let mut matrix = Self::zeros(rows, columns);
        for i in 0..rows.min(columns) {
            *matrix.at_mut(i, i) = T::ONE;
        }
        matrix
    }

    /// The element in a row and a column.
    ///
    /// ```
    /// use olivine_numeric::Matrix;
    /// let a = Matrix { rows: 2, columns: 1, elements: vec![5.0f32, 6.0] };
    /// assert_eq!(a.at(1, 0), 6.0);
    /// ```
    pub fn at(&self, row: usize, column: usize) -> T {
        self.elements[column * self.rows + row]
    }

    /// The place of the element in a row and a column.
    ///
    /// ```
    /// use olivine_numeric::Matrix;
    /// let mut a = Matrix::<f32>::zeros(2, 2);
    /// *a.at_mut(1, 0) = 7.0;
    /// assert_eq!(a.elements, [0.0, 7.0, 0.0, 0.0]);
    /// ```
    pub fn at_mut(&mut self, row: usize, column: usize) -> &mut T {
        &mut self.elements[column * self.rows + row]
    }

    /// A column from top to bottom.
    ///
    /// ```
    /// use olivine_numeric::Matrix;
    /// let mut a = Matrix::<f32>::zeros(2, 2);
    /// a.column_mut(1).fill(3.0);
    /// assert_eq!(a.elements, [0.0, 0.0, 3.0, 3.0]);
    /// ```
    pub fn column_mut(&mut self, column: usize) -> &mut [T] {
        &mut self.elements[column * self.rows..][..self.rows]
    }
}

/// The greatest magnitude of a part.
pub(crate) fn size<T: Field>(number: T) -> f64 {
    real(&number).abs().max(imag(&number).abs())
}

impl<T: Field> Matrix<T> {
    pub(crate) fn faer(&self) -> MatRef<'_, T> {
        MatRef::from_column_major_slice(&self.elements, self.rows, self.columns)
    }

    pub(crate) fn faer_mut(&mut self) -> MatMut<'_, T> {
        MatMut::from_column_major_slice_mut(&mut self.elements, self.rows, self.columns)
    }

    /// The matrix scaled by a power of two so that its greatest element is around one, and the factor
    /// that scales it back. Iterations on it can neither overflow nor lose small matrices.
    pub(crate) fn balanced(&self) -> (Matrix<T>, f64) {
        let sizes = self.elements.iter().map(|&x| size(x));
        let greatest = sizes.fold(0.0, f64::max);
        if greatest == 0.0 {
            return (self.clone(), 1.0);
        }
        // Subnormal numbers would need a factor beyond the range of f64.
        let back = greatest.log2().ceil().clamp(-1000.0, 1000.0).exp2();
        let mut scaled = self.clone();
        for element in &mut scaled.elements {
            *element = mul_real(element, &(1.0 / back));
        }
        (scaled, back)
    }
}
