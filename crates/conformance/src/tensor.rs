//! Owns the reference's arrays: a shape, a dtype and one wide number for each element.

use std::cmp::Ordering;

use num_complex::Complex;
use olivine_core::{Array, Complex64, Dtype, Kind, Result, bf16, f16};

/// An element, wider than any dtype holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number; truth values are 0 and 1.
    Int(i128),
    /// A real number.
    Real(f64),
    /// A complex number.
    Complex(Complex<f64>),
}

impl Value {
    /// The number as a real one, without its imaginary part.
    pub fn real(self) -> f64 {
        match self {
            Value::Int(v) => v as f64,
            Value::Real(v) => v,
            Value::Complex(v) => v.re,
        }
    }

    /// The number as a complex one.
    pub fn complex(self) -> Complex<f64> {
        match self {
            Value::Int(_) | Value::Real(_) => Complex::new(self.real(), 0.0),
            Value::Complex(v) => v,
        }
    }

    /// The number as a whole one; its fraction is dropped.
    pub fn int(self) -> i128 {
        match self {
            Value::Int(v) => v,
            Value::Real(_) | Value::Complex(_) => self.real() as i128,
        }
    }

    /// Whether the number counts as true: all but zero do.
    pub fn truth(self) -> bool {
        match self {
            Value::Int(v) => v != 0,
            Value::Real(v) => v != 0.0,
            Value::Complex(v) => v.re != 0.0 || v.im != 0.0,
        }
    }

    /// Whether any part is not a number.
    pub fn is_nan(self) -> bool {
        let z = self.complex();
        z.re.is_nan() || z.im.is_nan()
    }

    /// The order of two numbers, complex ones by real part first; none beside NaN.
    pub fn order(self, other: Value) -> Option<Ordering> {
        if let (Value::Int(a), Value::Int(b)) = (self, other) {
            return Some(a.cmp(&b));
        }
        let (a, b) = (self.complex(), other.complex());
        match a.re.partial_cmp(&b.re)? {
            Ordering::Equal => a.im.partial_cmp(&b.im),
            order => Some(order),
        }
    }

    /// The number as an element of `dtype` holds it: rounded, wrapped or saturated.
    pub fn stored(self, dtype: Dtype) -> Value {
        match dtype {
            Dtype::Bool => Value::Int(i128::from(self.truth())),
            Dtype::Uint8
            | Dtype::Uint16
            | Dtype::Uint32
            | Dtype::Uint64
            | Dtype::Int8
            | Dtype::Int16
            | Dtype::Int32
            | Dtype::Int64 => Value::Int(self.whole(dtype)),
            Dtype::Float16 => Value::Real(f16::from_f64(self.real()).to_f64()),
            Dtype::BFloat16 => Value::Real(bf16::from_f64(self.real()).to_f64()),
            Dtype::Float32 => Value::Real(f64::from(match self {
                Value::Int(v) => v as f32,
                Value::Real(_) | Value::Complex(_) => self.real() as f32,
            })),
            Dtype::Float64 => Value::Real(self.real()),
            Dtype::Complex64 => {
                let z = self.complex();
                Value::Complex(Complex::new(f64::from(z.re as f32), f64::from(z.im as f32)))
            }
        }
    }

    /// Integers wrap; everything else saturates.
    fn whole(self, dtype: Dtype) -> i128 {
        let (low, high) = bounds(dtype);
        match self {
            Value::Int(v) => (v - low).rem_euclid(high - low + 1) + low,
            Value::Real(_) | Value::Complex(_) => (self.real() as i128).clamp(low, high),
        }
    }
}

/// The least and greatest whole number of an integer dtype.
pub fn bounds(dtype: Dtype) -> (i128, i128) {
    let bits = dtype.size() as u32 * 8;
    match dtype.kind() {
        Kind::Bool => (0, 1),
        Kind::Unsigned => (0, (1i128 << bits) - 1),
        Kind::Signed => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        Kind::Float | Kind::Complex => unreachable!("only integers have such bounds"),
    }
}

/// An array of the reference, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The element type.
    pub dtype: Dtype,
    /// The sizes of the axes.
    pub shape: Vec<usize>,
    /// The elements.
    pub values: Vec<Value>,
}

impl Tensor {
    /// A tensor whose values are stored as `dtype` stores them.
    pub fn new(
        dtype: Dtype,
        shape: impl Into<Vec<usize>>,
        values: impl IntoIterator<Item = Value>,
    ) -> Self {
        let shape = shape.into();
        let values: Vec<Value> = values.into_iter().map(|v| v.stored(dtype)).collect();
        assert_eq!(
            values.len(),
            shape.iter().product::<usize>(),
            "values fill the shape {shape:?}"
        );
        Tensor {
            dtype,
            shape,
            values,
        }
    }

    /// A tensor of real numbers.
    pub fn reals(
        dtype: Dtype,
        shape: impl Into<Vec<usize>>,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        Self::new(dtype, shape, values.into_iter().map(Value::Real))
    }

    /// A tensor whose element at each index is given by a function.
    pub fn build(
        dtype: Dtype,
        shape: impl Into<Vec<usize>>,
        mut at: impl FnMut(&[usize]) -> Value,
    ) -> Self {
        let shape = shape.into();
        let values: Vec<Value> = indices(&shape).iter().map(|index| at(index)).collect();
        Self::new(dtype, shape, values)
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The element at an index.
    pub fn at(&self, index: &[usize]) -> Value {
        self.values[offset(&self.shape, index)]
    }

    /// The element that broadcasting this tensor puts at an index of the result.
    pub fn at_broadcast(&self, index: &[usize]) -> Value {
        let own = &index[index.len() - self.rank()..];
        let own: Vec<usize> = own
            .iter()
            .zip(&self.shape)
            .map(|(&i, &n)| if n == 1 { 0 } else { i })
            .collect();
        self.at(&own)
    }

    /// The axis that a possibly negative one names.
    pub fn axis(&self, axis: i64) -> usize {
        if axis < 0 {
            (axis + self.rank() as i64) as usize
        } else {
            axis as usize
        }
    }

    /// The same values under another shape of equal size.
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Tensor {
        Tensor::new(self.dtype, shape, self.values.iter().copied())
    }

    /// The axes in another order.
    pub fn transposed(&self, order: &[usize]) -> Tensor {
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        Tensor::build(self.dtype, shape, |index| {
            let mut source = vec![0; order.len()];
            for (i, &axis) in order.iter().enumerate() {
                source[axis] = index[i];
            }
            self.at(&source)
        })
    }

    /// The values converted to another dtype.
    pub fn cast(&self, dtype: Dtype) -> Tensor {
        Tensor::new(dtype, self.shape.clone(), self.values.iter().copied())
    }

    /// The evaluated values of an array.
    pub fn from_array(array: &Array) -> Result<Tensor> {
        macro_rules! read {
            ($ty:ty, $value:expr) => {
                array.to_vec::<$ty>()?.into_iter().map($value).collect()
            };
        }
        let values = match array.dtype() {
            Dtype::Bool => read!(bool, |v| Value::Int(i128::from(v))),
            Dtype::Uint8 => read!(u8, |v| Value::Int(i128::from(v))),
            Dtype::Uint16 => read!(u16, |v| Value::Int(i128::from(v))),
            Dtype::Uint32 => read!(u32, |v| Value::Int(i128::from(v))),
            Dtype::Uint64 => read!(u64, |v| Value::Int(i128::from(v))),
            Dtype::Int8 => read!(i8, |v| Value::Int(i128::from(v))),
            Dtype::Int16 => read!(i16, |v| Value::Int(i128::from(v))),
            Dtype::Int32 => read!(i32, |v| Value::Int(i128::from(v))),
            Dtype::Int64 => read!(i64, |v| Value::Int(i128::from(v))),
            Dtype::Float16 => read!(f16, |v| Value::Real(v.to_f64())),
            Dtype::BFloat16 => read!(bf16, |v| Value::Real(v.to_f64())),
            Dtype::Float32 => read!(f32, |v| Value::Real(f64::from(v))),
            Dtype::Float64 => read!(f64, Value::Real),
            Dtype::Complex64 => {
                read!(Complex64, |v| Value::Complex(Complex::new(
                    f64::from(v.re),
                    f64::from(v.im)
                )))
            }
        };
        Ok(Tensor {
            dtype: array.dtype(),
            shape: array.shape().to_vec(),
            values,
        })
    }

    /// An array of the same values.
    pub fn to_array(&self) -> Result<Array> {
        macro_rules! write {
            ($value:expr) => {{
                let values: Vec<_> = self.values.iter().map($value).collect();
                Array::from_slice(&values, &self.shape[..])
            }};
        }
        match self.dtype {
            Dtype::Bool => write!(|v| v.truth()),
            Dtype::Uint8 => write!(|v| v.int() as u8),
            Dtype::Uint16 => write!(|v| v.int() as u16),
            Dtype::Uint32 => write!(|v| v.int() as u32),
            Dtype::Uint64 => write!(|v| v.int() as u64),
            Dtype::Int8 => write!(|v| v.int() as i8),
            Dtype::Int16 => write!(|v| v.int() as i16),
            Dtype::Int32 => write!(|v| v.int() as i32),
            Dtype::Int64 => write!(|v| v.int() as i64),
            Dtype::Float16 => write!(|v| f16::from_f64(v.real())),
            Dtype::BFloat16 => write!(|v| bf16::from_f64(v.real())),
            Dtype::Float32 => write!(|v| v.real() as f32),
            Dtype::Float64 => write!(|v| v.real()),
            Dtype::Complex64 => {
                write!(|v| {
                    let z = v.complex();
                    Complex64::new(z.re as f32, z.im as f32)
                })
            }
        }
    }

    /// Whether two tensors are equal, NaN matching NaN and a zero matching only its own sign.
    pub fn same(&self, other: &Tensor) -> bool {
        let bits = |v: &Value| match *v {
            Value::Int(v) => (v, 0),
            Value::Real(v) => (i128::from(canonical(v)), 0),
            Value::Complex(z) => (i128::from(canonical(z.re)), canonical(z.im)),
        };
        self.dtype == other.dtype
            && self.shape == other.shape
            && self
                .values
                .iter()
                .map(bits)
                .eq(other.values.iter().map(bits))
    }
}

fn canonical(v: f64) -> u64 {
    if v.is_nan() {
        f64::NAN.to_bits()
    } else {
        v.to_bits()
    }
}

/// Every index of a shape, in row-major order.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for &size in shape {
        all = all
            .iter()
            .flat_map(|head| (0..size).map(move |i| head.iter().copied().chain([i]).collect()))
            .collect();
    }
    all
}

/// The position of an index in row-major order.
pub fn offset(shape: &[usize], index: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |at, (&i, &n)| at * n + i)
}

/// The shape that shapes broadcast to, by NumPy's rule.
pub fn broadcast(shapes: &[&[usize]]) -> Vec<usize> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    (0..rank)
        .map(|i| {
            let sizes = shapes
                .iter()
                .filter_map(|shape| shape.get((i + shape.len()).checked_sub(rank)?));
            sizes.copied().find(|&n| n != 1).unwrap_or(1)
        })
        .collect()
}
