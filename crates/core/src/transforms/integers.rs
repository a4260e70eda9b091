//! Owns whether derivatives are taken by integers.

use std::cell::Cell;

use crate::Dtype;

thread_local! {
    static INTEGERS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`; transforms inside it treat integers as numbers that can change a little, whose derivatives
/// are rounded to integers. Between positions there is nothing, so where they would have to change is an
/// error that asks for [`stop_gradient`](crate::stop_gradient). Otherwise the derivative by an integer is
/// zero.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, array, grad, with_integer_derivatives};
/// let slope = grad(|x: &Array| x.square()?.sum(..)?.astype(olivine_core::Dtype::Float32));
/// assert_eq!(slope(&array!([3]))?.to_vec::<i32>()?, [0]);
/// assert_eq!(with_integer_derivatives(|| slope(&array!([3])))?.to_vec::<i32>()?, [6]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn with_integer_derivatives<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            INTEGERS.set(self.0);
        }
    }
    let _restore = Restore(INTEGERS.replace(true));
    f()
}

/// Whether derivatives are taken by integers.
pub(crate) fn by_integers() -> bool {
    INTEGERS.get()
}

/// Whether numbers of a dtype can change a little.
pub(crate) fn is_smooth(dtype: Dtype) -> bool {
    dtype.is_inexact() || (INTEGERS.get() && dtype != Dtype::Bool)
}
