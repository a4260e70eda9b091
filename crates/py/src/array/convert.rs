//! Owns how Python objects become arrays: numbers, nested lists, and objects that hold arrays.

use olivine::{Array, Dtype};
use pyo3::prelude::*;

use crate::{
    arg::Operand,
    array::PyArray,
    error::{OrRaise, value_error},
};

/// An array of a number, nested sequences, or an object that holds an array.
pub(crate) fn array(object: &Bound<'_, PyAny>, dtype: Option<Dtype>) -> PyResult<Array> {
    if let Ok(array) = object.cast::<PyArray>() {
        let array = array.get().get();
        return match dtype {
            Some(dtype) => array.astype(dtype).or_raise(),
            None => Ok(array),
        };
    }
    if let Some(number) = Operand::number(object)? {
        let array = number.alone()?;
        return match dtype {
            Some(dtype) => array.astype(dtype).or_raise(),
            None => Ok(array),
        };
    }
    array_like(object)
}

/// An object that holds an array, such as NumPy's.
pub(crate) fn array_like(object: &Bound<'_, PyAny>) -> PyResult<Array> {
    let name = object.get_type().name()?;
    Err(value_error(format!(
        "Invalid type {name} received in array initialization."
    )))
}
