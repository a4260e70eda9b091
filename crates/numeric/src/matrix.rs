//! Owns plain matrices, and what the algorithms need to know of numbers.

use faer::{MatMut, MatRef, traits::ComplexField};
use num_complex::Complex;

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

/// A real or complex floating-point number.
///
/// ```
/// use olivine_numeric::Number;
/// fn length<T: Number>(numbers: &[T]) -> f64 {
///     numbers.iter().map(|number| number.size().powi(2)).sum::<f64>().sqrt()
/// }
/// assert_eq!(length(&[3.0f32, 4.0]), 5.0);
/// ```
pub trait Number: ComplexField + Copy + Default + Send + Sync + 'static {
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// Whether no part is infinite or NaN.
    ///
    /// ```
    /// use olivine_numeric::Number;
    /// assert!(Number::finite(1.0f64) && !Number::finite(f64::NAN));
    /// ```
    fn finite(self) -> bool;

    /// The greatest magnitude of a part.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::Number;
    /// assert_eq!((Number::size(-2.0f32), Number::size(Complex::new(3.0f64, -4.0))), (2.0, 4.0));
    /// ```
    fn size(self) -> f64;

    /// The number times a power of two; exact but for overflow and underflow.
    ///
    /// ```
    /// use olivine_numeric::Number;
    /// assert_eq!(Number::scaled(3.0f32, 2.0), 6.0);
    /// ```
    fn scaled(self, factor: f64) -> Self;

    /// The complex conjugate.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::Number;
    /// assert_eq!(Number::conjugate(Complex::new(1.0f64, 2.0)), Complex::new(1.0, -2.0));
    /// ```
    fn conjugate(self) -> Self;

    /// The real part.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::Number;
    /// assert_eq!(Complex::new(1.0f32, 2.0).real_part(), 1.0);
    /// ```
    fn real_part(self) -> f64;

    /// The imaginary part.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::Number;
    /// assert_eq!(Complex::new(1.0f32, 2.0).imaginary_part(), 2.0);
    /// assert_eq!(3.0f64.imaginary_part(), 0.0);
    /// ```
    fn imaginary_part(self) -> f64;

    /// The nearest number.
    ///
    /// ```
    /// use num_complex::Complex;
    /// use olivine_numeric::Number;
    /// assert_eq!(<Complex<f64> as Number>::of(2.0), Complex::new(2.0, 0.0));
    /// ```
    fn of(real: f64) -> Self;

    /// The quotient.
    ///
    /// ```
    /// use olivine_numeric::Number;
    /// assert_eq!(Number::over(3.0f32, 2.0), 1.5);
    /// ```
    fn over(self, other: Self) -> Self;

    /// The number less a product.
    ///
    /// ```
    /// use olivine_numeric::Number;
    /// // Subtracts a product.
    /// assert_eq!(Number::less(10.0f32, 2.0, 3.0), 4.0);
    /// ```
    fn less(self, a: Self, b: Self) -> Self;
}

macro_rules! numbers {
    ($($real:ty),*) => {$(
        impl Number for $real {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            fn finite(self) -> bool {
                self.is_finite()
            }

            fn size(self) -> f64 {
                f64::from(self.abs())
            }

            fn scaled(self, factor: f64) -> Self {
                // In f64, since the factor may lie outside the range of f32.
                (f64::from(self) * factor) as $real
            }

            fn conjugate(self) -> Self {
                self
            }

            fn real_part(self) -> f64 {
                f64::from(self)
            }

            fn imaginary_part(self) -> f64 {
                0.0
            }

            fn of(real: f64) -> Self {
                real as $real
            }

            fn over(self, other: Self) -> Self {
                self / other
            }

            fn less(self, a: Self, b: Self) -> Self {
                self - a * b
            }
        }

        impl Number for Complex<$real> {
            const ZERO: Self = Complex::new(0.0, 0.0);
            const ONE: Self = Complex::new(1.0, 0.0);

            fn finite(self) -> bool {
                self.re.is_finite() && self.im.is_finite()
            }

            fn size(self) -> f64 {
                f64::from(self.re.abs().max(self.im.abs()))
            }

            fn scaled(self, factor: f64) -> Self {
                Complex::new(self.re.scaled(factor), self.im.scaled(factor))
            }

            fn conjugate(self) -> Self {
                self.conj()
            }

            fn real_part(self) -> f64 {
                f64::from(self.re)
            }

            fn imaginary_part(self) -> f64 {
                f64::from(self.im)
            }

            fn of(real: f64) -> Self {
                Complex::new(real as $real, 0.0)
            }

            fn over(self, other: Self) -> Self {
                self / other
            }

            fn less(self, a: Self, b: Self) -> Self {
                self - a * b
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

    /// The matrix with other numbers.
    ///
    /// ```
    /// use olivine_numeric::Matrix;
    /// let a = Matrix { rows: 1, columns: 2, elements: vec![1.0f32, 2.0] };
    /// assert_eq!(a.map(f64::from).elements, [1.0, 2.0]);
    /// ```
    pub fn map<U>(&self, f: impl Fn(T) -> U) -> Matrix<U> {
        Matrix {
            rows: self.rows,
            columns: self.columns,
            elements: self.elements.iter().map(|&x| f(x)).collect(),
        }
    }

    pub(crate) fn faer(&self) -> MatRef<'_, T> {
        MatRef::from_column_major_slice(&self.elements, self.rows, self.columns)
    }

    pub(crate) fn faer_mut(&mut self) -> MatMut<'_, T> {
        MatMut::from_column_major_slice_mut(&mut self.elements, self.rows, self.columns)
    }

    /// The matrix scaled by a power of two so that its greatest element is around one, and the factor
    /// that scales it back. Iterations on it can neither overflow nor lose small matrices.
    pub(crate) fn balanced(&self) -> (Matrix<T>, f64) {
        let greatest = self.elements.iter().map(|x| x.size()).fold(0.0, f64::max);
        if greatest == 0.0 {
            return (self.clone(), 1.0);
        }
        // Subnormal numbers would need a factor beyond the range of f64.
        let back = greatest.log2().ceil().clamp(-1000.0, 1000.0).exp2();
        (self.map(|x| x.scaled(1.0 / back)), back)
    }
}
