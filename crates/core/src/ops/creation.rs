//! Owns arrays made from nothing: filled, counted, diagonal.

use super::OpInfo;
use crate::{Array, Dtype, Element, Result, Shape};

impl Array {
    /// An array of `shape` whose every element is `value`. Takes no memory until written to.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::full([2], 7i32)?.to_vec::<i32>()?, [7, 7]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn full<T: Element>(shape: impl Into<Shape>, value: T) -> Result<Array> {
        Array::scalar(value).broadcast_to(shape)
    }

    /// Zeros.
    pub fn zeros(shape: impl Into<Shape>, dtype: Dtype) -> Result<Array> {
        Array::scalar(false).astype(dtype)?.broadcast_to(shape)
    }

    /// Ones.
    pub fn ones(shape: impl Into<Shape>, dtype: Dtype) -> Result<Array> {
        Array::scalar(true).astype(dtype)?.broadcast_to(shape)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    Vec::new()
}
