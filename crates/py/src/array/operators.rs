//! Owns the operators of arrays: `+`, `@`, `==`, `+=` and the like.

use olivine::{Array, Dtype, Kind};
use pyo3::{basic::CompareOp, prelude::*, types::PyNotImplemented};

use crate::{
    arg::Operand,
    array::PyArray,
    error::{OrRaise, value_error},
};

/// An operator's other side; what cannot stand beside an array is an error that says so.
fn beside(other: &Bound<'_, PyAny>, dtype: Dtype, doing: &str) -> PyResult<Array> {
    if let Ok(array) = other.cast_exact::<PyArray>() {
        return Ok(array.get().get());
    }
    match other.extract::<Operand>() {
        Ok(operand) => operand.beside(dtype),
        Err(_) => Err(value_error(format!(
            "Cannot perform {doing} on an {}.array and {}",
            crate::dtype::package(),
            other.get_type().name()?
        ))),
    }
}

impl PyArray {
    #[inline]
    fn forward(
        &self,
        other: &Bound<'_, PyAny>,
        doing: &str,
        f: impl FnOnce(&Array, &Array) -> olivine::Result<Array>,
    ) -> PyResult<Self> {
        let this = self.get();
        let other = beside(other, this.dtype(), doing)?;
        f(&this, &other).map(Self::from).or_raise()
    }

    #[inline]
    fn reversed(
        &self,
        other: &Bound<'_, PyAny>,
        doing: &str,
        f: impl FnOnce(&Array, &Array) -> olivine::Result<Array>,
    ) -> PyResult<Self> {
        self.forward(other, doing, |this, other| f(other, this))
    }

    #[inline]
    fn in_place(
        &self,
        other: &Bound<'_, PyAny>,
        doing: &str,
        f: impl FnOnce(&Array, &Array) -> olivine::Result<Array>,
    ) -> PyResult<()> {
        let this = self.get();
        let other = beside(other, this.dtype(), doing)?;
        self.set(f(&this, &other).or_raise()?);
        Ok(())
    }
}

fn integral(doing: &str, arrays: [&Array; 2]) -> PyResult<()> {
    if arrays.iter().all(|array| {
        matches!(
            array.dtype().kind(),
            Kind::Bool | Kind::Unsigned | Kind::Signed
        )
    }) {
        return Ok(());
    }
    Err(value_error(format!(
        "Floating point types not allowed with {doing}"
    )))
}

impl PyArray {
    fn bitwise(
        &self,
        other: &Bound<'_, PyAny>,
        doing: &str,
        f: impl FnOnce(&Array, &Array) -> olivine::Result<Array>,
    ) -> PyResult<Array> {
        let this = self.get();
        let other = beside(other, this.dtype(), doing)?;
        integral(doing, [&this, &other])?;
        f(&this, &other).or_raise()
    }
}

#[pymethods]
impl PyArray {
    fn __add__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.forward(other, "addition", |a, b| a.add(b))
    }
    fn __radd__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.reversed(other, "addition", |a, b| a.add(b))
    }
    fn __iadd__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.in_place(other, "inplace addition", |a, b| a.add(b))
    }
    fn __sub__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.forward(other, "subtraction", |a, b| a.subtract(b))
    }
    fn __rsub__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.reversed(other, "subtraction", |a, b| a.subtract(b))
    }
    fn __isub__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.in_place(other, "inplace subtraction", |a, b| a.subtract(b))
    }
    fn __mul__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.forward(other, "multiplication", |a, b| a.multiply(b))
    }
    fn __rmul__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.reversed(other, "multiplication", |a, b| a.multiply(b))
    }
    fn __imul__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.in_place(other, "inplace multiplication", |a, b| a.multiply(b))
    }
    fn __truediv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.forward(other, "division", |a, b| a.divide(b))
    }
    fn __rtruediv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.reversed(other, "division", |a, b| a.divide(b))
    }
    fn __itruediv__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        if !matches!(self.get().dtype().kind(), Kind::Float | Kind::Complex) {
            return Err(value_error(
                "In place division cannot be performed on integer arrays.",
            ));
        }
        self.in_place(other, "inplace division", |a, b| a.divide(b))
    }
    fn __div__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__truediv__(other)
    }
    fn __rdiv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__rtruediv__(other)
    }
    fn __floordiv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.forward(other, "floor division", |a, b| a.floor_divide(b))
    }
    fn __rfloordiv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.reversed(other, "floor division", |a, b| a.floor_divide(b))
    }
    fn __ifloordiv__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.in_place(other, "inplace floor division", |a, b| a.floor_divide(b))
    }
    fn __mod__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.forward(other, "modulus", |a, b| a.remainder(b))
    }
    fn __rmod__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.reversed(other, "modulus", |a, b| a.remainder(b))
    }
    fn __imod__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.in_place(other, "inplace modulus", |a, b| a.remainder(b))
    }
    fn __pow__(
        &self,
        other: &Bound<'_, PyAny>,
        modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        match modulo {
            Some(_) => Err(value_error("pow() of arrays takes no modulus")),
            None => self.forward(other, "power", |a, b| a.power(b)),
        }
    }
    fn __rpow__(
        &self,
        other: &Bound<'_, PyAny>,
        modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        match modulo {
            Some(_) => Err(value_error("pow() of arrays takes no modulus")),
            None => self.reversed(other, "power", |a, b| a.power(b)),
        }
    }
    fn __ipow__(
        &self,
        other: &Bound<'_, PyAny>,
        _modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.in_place(other, "inplace power", |a, b| a.power(b))
    }
    fn __matmul__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.forward(other, "matrix multiplication", |a, b| a.matmul(b))
    }
    fn __rmatmul__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.reversed(other, "matrix multiplication", |a, b| a.matmul(b))
    }
    fn __imatmul__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.in_place(other, "inplace matrix multiplication", |a, b| a.matmul(b))
    }
    fn __and__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.bitwise(other, "bitwise and", |a, b| a.bitwise_and(b))
            .map(Self::from)
    }
    fn __rand__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__and__(other)
    }
    fn __iand__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set(self.bitwise(other, "inplace bitwise and", |a, b| a.bitwise_and(b))?);
        Ok(())
    }
    fn __or__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.bitwise(other, "bitwise or", |a, b| a.bitwise_or(b))
            .map(Self::from)
    }
    fn __ror__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__or__(other)
    }
    fn __ior__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set(self.bitwise(other, "inplace bitwise or", |a, b| a.bitwise_or(b))?);
        Ok(())
    }
    fn __xor__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.bitwise(other, "bitwise xor", |a, b| a.bitwise_xor(b))
            .map(Self::from)
    }
    fn __rxor__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__xor__(other)
    }
    fn __ixor__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set(self.bitwise(other, "inplace bitwise xor", |a, b| a.bitwise_xor(b))?);
        Ok(())
    }
    fn __lshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.bitwise(other, "left shift", |a, b| a.left_shift(b))
            .map(Self::from)
    }
    fn __rlshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.bitwise(other, "left shift", |a, b| b.left_shift(a))
            .map(Self::from)
    }
    fn __ilshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set(self.bitwise(other, "inplace left shift", |a, b| a.left_shift(b))?);
        Ok(())
    }
    fn __rshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.bitwise(other, "right shift", |a, b| a.right_shift(b))
            .map(Self::from)
    }
    fn __rrshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.bitwise(other, "right shift", |a, b| b.right_shift(a))
            .map(Self::from)
    }
    fn __irshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set(self.bitwise(other, "inplace right shift", |a, b| a.right_shift(b))?);
        Ok(())
    }
    fn __neg__(&self) -> PyResult<Self> {
        self.get().negative().map(Self::from).or_raise()
    }
    fn __pos__(&self) -> Self {
        self.get().into()
    }
    fn __abs__(&self) -> PyResult<Self> {
        self.get().abs().map(Self::from).or_raise()
    }
    fn __invert__(&self) -> PyResult<Self> {
        let this = self.get();
        integral("bitwise inversion", [&this, &this])?;
        match this.dtype() {
            Dtype::Bool => this.logical_not(),
            _ => this.bitwise_invert(),
        }
        .map(Self::from)
        .or_raise()
    }

    fn __richcmp__<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, PyAny>,
        compare: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let array = match compare {
            CompareOp::Eq | CompareOp::Ne if other.extract::<Operand>().is_err() => {
                return Ok(PyNotImplemented::get(py).to_owned().into_any());
            }
            CompareOp::Eq => self.forward(other, "comparison", |a, b| a.equal(b)),
            CompareOp::Ne => self.forward(other, "comparison", |a, b| a.not_equal(b)),
            CompareOp::Lt => self.forward(other, "less than", |a, b| a.less(b)),
            CompareOp::Le => self.forward(other, "less than or equal", |a, b| a.less_equal(b)),
            CompareOp::Gt => self.forward(other, "greater than", |a, b| a.greater(b)),
            CompareOp::Ge => {
                self.forward(other, "greater than or equal", |a, b| a.greater_equal(b))
            }
        }?;
        Ok(Bound::new(py, array)?.into_any())
    }

    fn __hash__(slf: &Bound<'_, Self>) -> usize {
        // Handles that compare elementwise can only be told apart by what they are.
        slf.as_ptr() as usize >> 4
    }
}
