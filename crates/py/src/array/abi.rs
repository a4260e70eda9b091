//! Owns the buffer protocol of Python 3.10, whose stable interface does not have it yet.
//!
//! Version 3.11 has made it stable as it was, so the functions and the layout of a view declared here are
//! those of every version since. What no version offers is to give it to a class that PyO3 makes: that
//! is done by filling in the two functions of the class after it was made.

use std::ffi::{c_char, c_int, c_ulong, c_void};

use pyo3::{exceptions::PySystemError, ffi, prelude::*, types::PyType};

pub(super) const WRITABLE: c_int = 0x1;
pub(super) const FORMAT: c_int = 0x4;
pub(super) const ND: c_int = 0x8;
pub(super) const STRIDES: c_int = 0x10 | ND;
pub(super) const C_CONTIGUOUS: c_int = 0x20 | STRIDES;
pub(super) const F_CONTIGUOUS: c_int = 0x40 | STRIDES;
pub(super) const ANY_CONTIGUOUS: c_int = 0x80 | STRIDES;
pub(super) const INDIRECT: c_int = 0x100 | STRIDES;
/// All that there is to know, for reading only.
pub(super) const FULL_RO: c_int = INDIRECT | FORMAT;

/// A view of memory, `Py_buffer` in C.
#[repr(C)]
pub(super) struct View {
    pub(super) buf: *mut c_void,
    pub(super) obj: *mut ffi::PyObject,
    pub(super) len: ffi::Py_ssize_t,
    pub(super) itemsize: ffi::Py_ssize_t,
    pub(super) readonly: c_int,
    pub(super) ndim: c_int,
    pub(super) format: *mut c_char,
    pub(super) shape: *mut ffi::Py_ssize_t,
    pub(super) strides: *mut ffi::Py_ssize_t,
    pub(super) suboffsets: *mut ffi::Py_ssize_t,
    pub(super) internal: *mut c_void,
}

impl View {
    /// A view of nothing, to be filled.
    pub(super) fn empty() -> Self {
        View {
            buf: std::ptr::null_mut(),
            obj: std::ptr::null_mut(),
            len: 0,
            itemsize: 0,
            readonly: 1,
            ndim: 0,
            format: std::ptr::null_mut(),
            shape: std::ptr::null_mut(),
            strides: std::ptr::null_mut(),
            suboffsets: std::ptr::null_mut(),
            internal: std::ptr::null_mut(),
        }
    }
}

unsafe extern "C" {
    #[link_name = "PyObject_CheckBuffer"]
    pub(super) fn check_buffer(object: *mut ffi::PyObject) -> c_int;
    #[link_name = "PyObject_GetBuffer"]
    pub(super) fn get_buffer(object: *mut ffi::PyObject, view: *mut View, flags: c_int) -> c_int;
    #[link_name = "PyBuffer_Release"]
    pub(super) fn release(view: *mut View);
}

/// Fills a view with the memory of an object; −1 with an exception set if it cannot be had.
pub(super) type Get = unsafe extern "C" fn(*mut ffi::PyObject, *mut View, c_int) -> c_int;

/// Takes the memory of a view back.
pub(super) type Release = unsafe extern "C" fn(*mut ffi::PyObject, *mut View);

/// The two functions of a class, `PyBufferProcs` in C.
#[repr(C)]
struct Procs {
    get: Option<Get>,
    release: Option<Release>,
}

/// Where a class has its size, its functions for buffers and its flags, counted in words.
const BASICSIZE: usize = 4;
const AS_BUFFER: usize = 20;
const FLAGS: usize = 21;

/// Lets the objects of a class, and of classes that inherit from it later, lend their memory.
pub(super) fn lend(class: &Bound<'_, PyType>, get: Get, release: Release) -> PyResult<()> {
    let words = class.as_ptr().cast::<usize>();
    let size: usize = class.getattr("__basicsize__")?.extract()?;
    // SAFETY: a class is larger than that, and Python says the same two facts by functions of its
    // stable interface, so that another layout is noticed.
    let as_expected = unsafe {
        let flags: c_ulong = ffi::PyType_GetFlags(class.as_ptr().cast());
        words.add(BASICSIZE).read() == size && words.add(FLAGS).read() == flags as usize
    };
    // SAFETY: as above; the class is one of the heap, which has memory for the functions.
    let procs = unsafe { words.add(AS_BUFFER).cast::<*mut Procs>().read() };
    if !as_expected || procs.is_null() {
        return Err(PySystemError::new_err(
            "this version of Python lays classes out in a way that olivine does not know",
        ));
    }
    // SAFETY: the functions are the class's own, and Python is attached, so nobody else is here.
    unsafe {
        procs.write(Procs {
            get: Some(get),
            release: Some(release),
        });
        ffi::PyType_Modified(class.as_ptr().cast());
    }
    Ok(())
}
