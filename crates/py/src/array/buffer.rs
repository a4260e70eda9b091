//! Owns the buffer protocol: memory that Python objects lend, and that arrays lend them.

use std::{
    ffi::{CStr, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use olivine::{Array, Data, Dtype, Shape};
use pyo3::{exceptions::PyBufferError, ffi, prelude::*};
use smallvec::SmallVec;

use super::{
    PyArray, abi,
    foreign::{Foreign, Kind, KindOf, checked_size},
};
use crate::error::{OrRaise, value_error};

/// A buffer that a Python object lends. It is returned when this is dropped.
struct Lent<'py> {
    view: Box<abi::View>,
    _py: Python<'py>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // SAFETY: the view was filled by the object, and Python is attached while `_py` lives.
        unsafe { abi::release(&raw mut *self.view) };
    }
}

impl<'py> Lent<'py> {
    fn by(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut view = Box::new(abi::View::empty());
        // SAFETY: both pointers are valid, and Python is attached.
        let answer = unsafe { abi::get_buffer(object.as_ptr(), &raw mut *view, abi::FULL_RO) };
        if answer != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        Ok(Lent {
            view,
            _py: object.py(),
        })
    }

    fn describe(&self) -> PyResult<Foreign> {
        let view = &*self.view;
        let rank = usize::try_from(view.ndim)
            .ok()
            .filter(|&rank| rank <= 64)
            .ok_or_else(|| value_error("The buffer has too many dimensions."))?;
        if !view.suboffsets.is_null() {
            return Err(value_error("Buffers of pointers cannot be read."));
        }
        let (format, item) = (self.format(), usize::try_from(view.itemsize).unwrap_or(0));
        let (kind, swapped) = parse(format.to_bytes(), item).ok_or_else(|| {
            value_error(format!(
                "Cannot convert a buffer with elements of format {format:?} to an array."
            ))
        })?;
        let mut shape = SmallVec::<[usize; 4]>::new();
        for axis in 0..rank {
            // One axis may go without a shape.
            let size = if view.shape.is_null() {
                if rank > 1 {
                    return Err(value_error("The buffer does not say what shape it has."));
                }
                view.len / view.itemsize.max(1)
            } else {
                // SAFETY: a shape has `ndim` sizes.
                unsafe { *view.shape.add(axis) }
            };
            shape.push(checked_size(size as i64)?);
        }
        let shape = Shape::from(&shape[..]);
        let bytes = shape.checked_bytes(item, "array").or_raise()?;
        if usize::try_from(view.len) != Ok(bytes) || (bytes > 0 && view.buf.is_null()) {
            return Err(value_error(format!(
                "A buffer of {} bytes does not have the shape {shape}.",
                view.len
            )));
        }
        let strides = if view.strides.is_null() {
            Foreign::row_major(&shape, item)
        } else {
            // SAFETY: there are `ndim` strides.
            (0..rank)
                .map(|axis| unsafe { *view.strides.add(axis) })
                .collect()
        };
        Ok(Foreign {
            start: view.buf.cast_const().cast(),
            shape,
            strides,
            kind,
            swapped,
        })
    }

    fn format(&self) -> &CStr {
        if self.view.format.is_null() {
            return c"B";
        }
        // SAFETY: a format is a C string that lives as long as the view.
        unsafe { CStr::from_ptr(self.view.format) }
    }
}

/// The kind that a format of the `struct` module describes, and whether bytes are swapped.
fn parse(format: &[u8], item: usize) -> Option<(Kind, bool)> {
    let (order, letters) = match format {
        [order @ (b'@' | b'=' | b'<' | b'>' | b'!'), rest @ ..] => (*order, rest),
        _ => (b'@', format),
    };
    let of = match letters {
        b"?" => KindOf::Bool,
        b"B" | b"H" | b"I" | b"L" | b"Q" | b"N" => KindOf::Unsigned,
        b"b" | b"h" | b"i" | b"l" | b"q" | b"n" => KindOf::Signed,
        b"e" | b"f" | b"d" => KindOf::Float,
        b"Zf" | b"Zd" => KindOf::Complex,
        b"bfloat16" => KindOf::Brain,
        _ => return None,
    };
    let kind = Kind::sized(of, item)?;
    let swapped = match order {
        b'<' => cfg!(target_endian = "big"),
        b'>' | b'!' => cfg!(target_endian = "little"),
        _ => false,
    };
    Some((kind, swapped && item > 1))
}

/// True if the object lends a buffer.
pub(super) fn lends(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the object is alive and Python is attached.
    unsafe { abi::check_buffer(object.as_ptr()) != 0 }
}

/// Copies the buffer that an object lends into an array. With `brain`, 16-bit integers are the bits of `bfloat16`.
pub(super) fn copied(
    object: &Bound<'_, PyAny>,
    dtype: Option<Dtype>,
    brain: bool,
) -> PyResult<Array> {
    let lent = Lent::by(object)?;
    let mut foreign = lent.describe()?;
    if brain && foreign.kind == Kind::Native(Dtype::Uint16) {
        foreign.kind = Kind::Native(Dtype::BFloat16);
    }
    // SAFETY: the object promises that its view describes readable memory.
    unsafe { foreign.copy(dtype) }
}

/// The format that Python knows a dtype by.
fn format(dtype: Dtype) -> &'static CStr {
    match dtype {
        Dtype::Bool => c"?",
        Dtype::Uint8 => c"B",
        Dtype::Uint16 => c"H",
        Dtype::Uint32 => c"I",
        Dtype::Uint64 => c"Q",
        Dtype::Int8 => c"b",
        Dtype::Int16 => c"h",
        Dtype::Int32 => c"i",
        Dtype::Int64 => c"q",
        Dtype::Float16 => c"e",
        Dtype::BFloat16 => c"bfloat16",
        Dtype::Float32 => c"f",
        Dtype::Float64 => c"d",
        Dtype::Complex64 => c"Zf",
    }
}

/// What a view that an array lends points to.
struct Loan {
    shape: Vec<ffi::Py_ssize_t>,
    strides: Vec<ffi::Py_ssize_t>,
    /// Keeps the memory, even if the array is pointed at other values in the meantime.
    _data: Data,
}

/// True if neighbours along the axes, taken from the last to the first, follow each other.
fn packed<'a>(axes: impl Iterator<Item = (&'a usize, &'a isize)>) -> bool {
    let mut step = 1isize;
    for (&size, &stride) in axes {
        if size == 0 {
            return true;
        }
        if size > 1 && stride != step {
            return false;
        }
        step = step.saturating_mul(size as isize);
    }
    true
}

impl PyArray {
    /// A view of the memory of the values, which are computed if need be.
    ///
    /// What is written into it changes the values, so write only where nobody else reads.
    ///
    /// `owner` is what Python is told to lend it.
    fn lend(&self, owner: &Bound<'_, PyAny>, flags: c_int) -> PyResult<abi::View> {
        let array = self.evaluated(owner.py())?;
        let data = array.data().or_raise()?;
        let (shape, item) = (array.shape(), array.dtype().size());
        let rows = packed(shape.iter().rev().zip(data.strides.iter().rev()));
        let columns = packed(shape.iter().zip(&data.strides));
        let wants = |flag: c_int| flags & flag == flag;
        let refused = if wants(abi::C_CONTIGUOUS) || !wants(abi::STRIDES) {
            !rows
        } else if wants(abi::F_CONTIGUOUS) {
            !columns
        } else {
            wants(abi::ANY_CONTIGUOUS) && !rows && !columns
        };
        if refused {
            return Err(PyBufferError::new_err("the array is not contiguous"));
        }
        let writable = data.buffer.writable();
        if wants(abi::WRITABLE) && !writable {
            return Err(PyBufferError::new_err("the array lies in read-only memory"));
        }
        let start = data.buffer.host().as_ptr().wrapping_add(data.offset);
        let mut loan = Box::new(Loan {
            shape: shape.iter().map(|&size| size as ffi::Py_ssize_t).collect(),
            strides: data
                .strides
                .iter()
                .map(|&stride| stride * item as isize)
                .collect(),
            _data: data,
        });
        let shown = |flag, at: *mut ffi::Py_ssize_t| if wants(flag) { at } else { ptr::null_mut() };
        Ok(abi::View {
            buf: start.cast::<c_void>(),
            obj: owner.clone().into_ptr(),
            len: array.nbytes() as ffi::Py_ssize_t,
            itemsize: item as ffi::Py_ssize_t,
            readonly: c_int::from(!writable),
            ndim: shape.rank() as c_int,
            format: if wants(abi::FORMAT) {
                format(array.dtype()).as_ptr().cast_mut()
            } else {
                ptr::null_mut()
            },
            shape: shown(abi::ND, loan.shape.as_mut_ptr()),
            strides: shown(abi::STRIDES, loan.strides.as_mut_ptr()),
            suboffsets: ptr::null_mut(),
            internal: Box::into_raw(loan).cast(),
        })
    }
}

#[pymethods]
impl PyArray {
    /// The memory of the values, as Python's `memoryview`.
    fn __buffer__<'py>(slf: &Bound<'py, Self>, flags: c_int) -> PyResult<Bound<'py, PyAny>> {
        let _ = flags;
        let lender = Bound::new(slf.py(), Lender(slf.clone().unbind()))?;
        // SAFETY: Python is attached and the object is alive; a new reference or an exception comes back.
        unsafe {
            let view = ffi::PyMemoryView_FromObject(lender.as_ptr());
            Bound::from_owned_ptr_or_err(slf.py(), view)
        }
    }
}

/// Lends the memory of an array that may be of a class made in Python: from version 3.12 on, such a class
/// lends by `__buffer__`.
#[pyclass(module = "olivine.core", frozen)]
struct Lender(Py<PyArray>);

/// Fills a view of an array for Python.
unsafe extern "C" fn get(object: *mut ffi::PyObject, view: *mut abi::View, flags: c_int) -> c_int {
    // SAFETY: Python calls this while attached.
    let py = unsafe { Python::assume_attached() };
    let lent = catch_unwind(AssertUnwindSafe(|| {
        if view.is_null() {
            return Err(PyBufferError::new_err("there is no view to fill"));
        }
        // SAFETY: Python passes a view to be filled; without an owner it stands for a refusal.
        unsafe { (*view).obj = ptr::null_mut() };
        // SAFETY: the object is alive during the call.
        let object = unsafe { Bound::from_borrowed_ptr(py, object) };
        match object.cast::<Lender>() {
            Ok(lender) => lender.get().0.get().lend(&object, flags),
            Err(_) => object.cast::<PyArray>()?.get().lend(&object, flags),
        }
    }));
    let lent = lent.unwrap_or_else(|_| Err(PyBufferError::new_err("lending has panicked")));
    match lent {
        Ok(filled) => {
            // SAFETY: Python passes a view to be filled; what it held before is not read.
            unsafe { view.write(filled) };
            0
        }
        Err(error) => {
            error.restore(py);
            -1
        }
    }
}

/// Takes the memory of a view back from Python.
unsafe extern "C" fn release(_: *mut ffi::PyObject, view: *mut abi::View) {
    // SAFETY: `internal` is the loan that was put there when the view was filled, and is taken back once.
    drop(unsafe { Box::from_raw((*view).internal.cast::<Loan>()) });
}

/// Lets arrays lend their memory.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    abi::lend(&module.py().get_type::<PyArray>(), get, release)?;
    abi::lend(&module.py().get_type::<Lender>(), get, release)
}
