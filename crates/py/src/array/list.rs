//! Owns how numbers in nested lists and tuples become arrays.

use olivine::{Array, Complex64, Dtype, Shape, bf16, dispatch, f16, stack};
use pyo3::{
    prelude::*,
    types::{PyAny, PyBool, PyComplex, PyFloat, PyInt, PyList, PyTuple},
};

use crate::{
    arg::complex,
    array::{PyArray, convert},
    error::{OrRaise, value_error},
};

/// Lists nested deeper than this are refused, among them those that contain themselves.
const DEPTH: usize = 64;

/// A number as a list holds it.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`.
    Wide(u64),
    Float(f64),
    Complex(Complex64),
}

/// A list or a tuple.
enum Sequence<'a, 'py> {
    List(&'a Bound<'py, PyList>),
    Tuple(&'a Bound<'py, PyTuple>),
}

impl<'a, 'py> Sequence<'a, 'py> {
    fn of(object: &'a Bound<'py, PyAny>) -> Option<Self> {
        if let Ok(list) = object.cast::<PyList>() {
            return Some(Sequence::List(list));
        }
        object.cast::<PyTuple>().ok().map(Sequence::Tuple)
    }

    fn len(&self) -> usize {
        match self {
            Sequence::List(list) => list.len(),
            Sequence::Tuple(tuple) => tuple.len(),
        }
    }

    fn each(&self, mut f: impl FnMut(Bound<'py, PyAny>) -> PyResult<()>) -> PyResult<()> {
        match self {
            Sequence::List(list) => list.iter().try_for_each(&mut f),
            Sequence::Tuple(tuple) => tuple.iter().try_for_each(&mut f),
        }
    }
}

/// The sizes and the numbers of nested lists, in order.
#[derive(Default)]
struct Walk {
    /// The lengths met on the way to the first number.
    shape: Vec<usize>,
    /// True once the number of axes is known.
    closed: bool,
    numbers: Vec<Number>,
    /// True if arrays were met; their numbers are not among `numbers`.
    arrays: bool,
    /// The smallest integer met, or zero.
    low: i64,
    /// The greatest integer met, or zero.
    high: u64,
    /// The widest kind met: truth values, integers, floats, complex numbers.
    kind: u8,
}

const UNEVEN: &str = "Initialization encountered non-uniform length.";

impl Walk {
    fn sequence(&mut self, sequence: &Sequence<'_, '_>, depth: usize) -> PyResult<()> {
        let length = sequence.len();
        match self.shape.get(depth) {
            Some(&first) if first != length => return Err(value_error(UNEVEN)),
            Some(_) => {}
            None if self.closed => {
                return Err(value_error("Initialization encountered extra dimension."));
            }
            None if depth == DEPTH => return Err(value_error("The lists are nested too deeply.")),
            None => self.shape.push(length),
        }
        if length == 0 {
            self.closed = true;
            self.kind = self.kind.max(2);
            return Ok(());
        }
        if depth + 1 == self.shape.len() {
            self.numbers.reserve(length);
        }
        sequence.each(|item| self.item(&item, depth + 1))
    }

    fn item(&mut self, item: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        if let Some(number) = self.number(item)? {
            if self.closed && depth != self.shape.len() {
                return Err(value_error(UNEVEN));
            }
            self.closed = true;
            self.numbers.push(number);
            return Ok(());
        }
        if let Some(sequence) = Sequence::of(item) {
            return self.sequence(&sequence, depth);
        }
        let Ok(array) = item.cast::<PyArray>() else {
            return Err(convert::invalid(item));
        };
        let array = array.get().get();
        if !self.closed {
            self.shape.extend(array.shape().iter());
            self.closed = true;
        }
        if self.shape.get(depth..) != Some(array.shape().dims()) {
            return Err(value_error(UNEVEN));
        }
        self.arrays = true;
        Ok(())
    }

    /// The number that an item is, if it is one.
    #[inline]
    fn number(&mut self, item: &Bound<'_, PyAny>) -> PyResult<Option<Number>> {
        let (kind, number) = if item.is_exact_instance_of::<PyFloat>() {
            (2, Number::Float(item.extract()?))
        } else if item.is_exact_instance_of::<PyInt>() {
            (1, self.integer(item)?)
        } else if item.is_instance_of::<PyBool>() {
            (0, Number::Bool(item.is_truthy()?))
        } else if item.is_instance_of::<PyInt>() {
            (1, self.integer(item)?)
        } else if item.is_instance_of::<PyFloat>() {
            (2, Number::Float(item.extract()?))
        } else if item.is_instance_of::<PyComplex>() {
            (3, Number::Complex(complex(item)?))
        } else {
            return Ok(None);
        };
        self.kind = self.kind.max(kind);
        Ok(Some(number))
    }

    fn integer(&mut self, item: &Bound<'_, PyAny>) -> PyResult<Number> {
        if let Ok(value) = item.extract::<i64>() {
            self.low = self.low.min(value);
            self.high = self.high.max(u64::try_from(value).unwrap_or(0));
            return Ok(Number::Int(value));
        }
        let Ok(value) = item.extract::<u64>() else {
            let message = format!("The integer {item} does not fit in 64 bits.");
            return Err(value_error(message));
        };
        self.high = self.high.max(value);
        Ok(Number::Wide(value))
    }

    /// The dtype that holds every number if none is asked for.
    fn dtype(&self) -> PyResult<Dtype> {
        Ok(match self.kind {
            0 => Dtype::Bool,
            1 if i64::try_from(self.high).is_err() && self.low < 0 => {
                return Err(value_error("The integers do not fit in one 64-bit dtype."));
            }
            1 if i64::try_from(self.high).is_err() => Dtype::Uint64,
            1 if i32::try_from(self.low).is_err() || i32::try_from(self.high).is_err() => {
                Dtype::Int64
            }
            1 => Dtype::Int32,
            2 => Dtype::Float32,
            _ => Dtype::Complex64,
        })
    }

    /// Refuses integers far out of range. As in a cast of C, those of 32 bits wrap in narrower
    /// dtypes.
    fn check_range(&self, dtype: Dtype) -> PyResult<()> {
        let (low, high) = match dtype {
            Dtype::Uint64 => (0, u64::MAX),
            Dtype::Int64 => (i64::MIN, i64::MAX as u64),
            Dtype::Uint32 => (0, u64::from(u32::MAX)),
            Dtype::Bool
            | Dtype::Uint8
            | Dtype::Uint16
            | Dtype::Int8
            | Dtype::Int16
            | Dtype::Int32 => (i64::from(i32::MIN), i32::MAX as u64),
            Dtype::Float16
            | Dtype::BFloat16
            | Dtype::Float32
            | Dtype::Float64
            | Dtype::Complex64 => (i64::MIN, u64::MAX),
        };
        let value = if self.low < low {
            self.low.to_string()
        } else if self.high > high {
            self.high.to_string()
        } else {
            return Ok(());
        };
        Err(value_error(format!(
            "Converting {value} to {dtype} would result in overflow."
        )))
    }
}

/// What a number becomes in a dtype. As in C, floats lose their fraction in integers, and integers
/// out of range wrap around.
trait Cast<T> {
    fn cast(self) -> T;
}

macro_rules! cast_to_integers {
    ($($ty:ty),*) => {$(
        impl Cast<$ty> for Number {
            fn cast(self) -> $ty {
                match self {
                    Number::Bool(value) => <$ty>::from(value),
                    Number::Int(value) => value as $ty,
                    Number::Wide(value) => value as $ty,
                    Number::Float(value) if value >= 0.0 => value as u64 as $ty,
                    Number::Float(value) => value as i64 as $ty,
                    Number::Complex(value) => Number::Float(f64::from(value.re)).cast(),
                }
            }
        }
    )*};
}

cast_to_integers!(u8, u16, u32, u64, i8, i16, i32, i64);

impl Cast<bool> for Number {
    fn cast(self) -> bool {
        match self {
            Number::Bool(value) => value,
            Number::Int(value) => value != 0,
            Number::Wide(value) => value != 0,
            Number::Float(value) => value != 0.0,
            Number::Complex(value) => value.re != 0.0 || value.im != 0.0,
        }
    }
}

impl Cast<f64> for Number {
    fn cast(self) -> f64 {
        match self {
            Number::Bool(value) => f64::from(u8::from(value)),
            Number::Int(value) => value as f64,
            Number::Wide(value) => value as f64,
            Number::Float(value) => value,
            Number::Complex(value) => f64::from(value.re),
        }
    }
}

impl Cast<f32> for Number {
    fn cast(self) -> f32 {
        let value: f64 = self.cast();
        value as f32
    }
}

// Narrow floats are rounded by way of `float32`, as in MLX.
impl Cast<f16> for Number {
    fn cast(self) -> f16 {
        f16::from_f32(self.cast())
    }
}

impl Cast<bf16> for Number {
    fn cast(self) -> bf16 {
        bf16::from_f32(self.cast())
    }
}

impl Cast<Complex64> for Number {
    fn cast(self) -> Complex64 {
        match self {
            Number::Complex(value) => value,
            Number::Bool(_) | Number::Int(_) | Number::Wide(_) | Number::Float(_) => {
                Complex64::new(self.cast(), 0.0)
            }
        }
    }
}

/// An array of the numbers and arrays in a list or tuple; `None` if the object is neither.
pub(super) fn array(object: &Bound<'_, PyAny>, dtype: Option<Dtype>) -> PyResult<Option<Array>> {
    let Some(sequence) = Sequence::of(object) else {
        return Ok(None);
    };
    let mut walk = Walk::default();
    walk.sequence(&sequence, 0)?;
    if walk.arrays {
        return stacked(&sequence, dtype).map(Some);
    }
    let dtype = match dtype {
        Some(dtype) => dtype,
        None => walk.dtype()?,
    };
    if walk.kind == 1 {
        walk.check_range(dtype)?;
    }
    let shape = Shape::from(&walk.shape[..]);
    numbers(&walk.numbers, shape, dtype).map(Some)
}

fn numbers(numbers: &[Number], shape: Shape, dtype: Dtype) -> PyResult<Array> {
    dispatch!(all, dtype, T => {
        let values: Vec<T> = numbers.iter().copied().map(Cast::cast).collect();
        Array::from_slice(&values, shape)
    })
    .or_raise()
}

/// A number as an array of a dtype.
pub(super) fn scalar(number: Number, dtype: Dtype) -> Array {
    dispatch!(all, dtype, T => { let value: T = number.cast(); Array::scalar(value) })
}

/// The items of a list with arrays in it, which stay part of the graph, one upon another.
fn stacked(sequence: &Sequence<'_, '_>, dtype: Option<Dtype>) -> PyResult<Array> {
    let mut arrays = Vec::with_capacity(sequence.len());
    sequence.each(|item| {
        arrays.push(convert::array(&item, dtype)?);
        Ok(())
    })?;
    stack(&arrays, 0).or_raise()
}
