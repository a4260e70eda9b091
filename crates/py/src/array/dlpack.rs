//! Owns DLPack as Python speaks it: capsules with tensors that other libraries hand over, and that
//! arrays hand over to them.

#![expect(clippy::unused_self, reason = "Python asks the array for its device")]

use std::{
    ffi::{CStr, c_void},
    ptr::{self, NonNull},
};

use olivine::{
    Array, Data, Dtype, HostBuffer, Result, Shape, dispatch,
    dlpack::{
        CPU, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLTensor, IS_COPIED, READ_ONLY,
        VERSION,
    },
};
use pyo3::{
    exceptions::{PyBufferError, PyTypeError},
    ffi, intern,
    prelude::*,
    types::{PyCapsule, PyDict, PyTuple},
};
use smallvec::SmallVec;

use super::{
    PyArray,
    foreign::{Foreign, Kind, KindOf, checked_size},
};
use crate::error::{OrRaise, value_error};

const CUDA: i32 = 2;
const CUDA_HOST: i32 = 3;
const METAL: i32 = 8;
const ROCM_HOST: i32 = 11;
const CUDA_MANAGED: i32 = 13;

const PLAIN: &CStr = c"dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const USED_PLAIN: &CStr = c"used_dltensor";
const USED_VERSIONED: &CStr = c"used_dltensor_versioned";

/// A tensor that was taken out of its capsule; it is given back when this is dropped.
enum Taken {
    Plain(NonNull<DLManagedTensor>),
    Versioned(NonNull<DLManagedTensorVersioned>),
}

// SAFETY: a tensor may be given back on any thread, and is only read until then.
unsafe impl Send for Taken {}
// SAFETY: as above.
unsafe impl Sync for Taken {}

impl Drop for Taken {
    fn drop(&mut self) {
        // The tensors of Python libraries need the interpreter; when it is gone, so are they.
        Python::try_attach(|_| {
            // SAFETY: the tensor was taken out of its capsule, so it is given back here only.
            unsafe {
                match self {
                    Taken::Plain(tensor) => {
                        if let Some(deleter) = tensor.as_ref().deleter {
                            deleter(tensor.as_ptr());
                        }
                    }
                    Taken::Versioned(tensor) => {
                        if let Some(deleter) = tensor.as_ref().deleter {
                            deleter(tensor.as_ptr());
                        }
                    }
                }
            }
        });
    }
}

impl Taken {
    fn from(capsule: &Bound<'_, PyCapsule>) -> PyResult<Self> {
        let take = |name: &'static CStr, used: &'static CStr| {
            let pointer = capsule.pointer_checked(Some(name))?;
            // SAFETY: the capsule is alive, and the name lives for ever.
            match unsafe { ffi::PyCapsule_SetName(capsule.as_ptr(), used.as_ptr()) } {
                0 => Ok(pointer),
                _ => Err(PyErr::fetch(capsule.py())),
            }
        };
        if capsule.is_valid_checked(Some(VERSIONED)) {
            let tensor = take(VERSIONED, USED_VERSIONED)?.cast::<DLManagedTensorVersioned>();
            let taken = Taken::Versioned(tensor);
            // SAFETY: a capsule of this name holds such a tensor; all versions begin alike.
            let major = unsafe { (*tensor.as_ptr()).version.major };
            if major != 1 {
                return Err(PyBufferError::new_err(format!(
                    "DLPack version {major} is not known"
                )));
            }
            return Ok(taken);
        }
        Ok(Taken::Plain(take(PLAIN, USED_PLAIN)?.cast()))
    }

    fn tensor(&self) -> &DLTensor {
        // SAFETY: the tensor is alive until it is given back.
        unsafe {
            match self {
                Taken::Plain(tensor) => &tensor.as_ref().dl_tensor,
                Taken::Versioned(tensor) => &tensor.as_ref().dl_tensor,
            }
        }
    }

    fn describe(&self) -> PyResult<Foreign> {
        let tensor = self.tensor();
        if !reads(tensor.device.device_type) {
            return Err(value_error("[convert] Unsupported device."));
        }
        let rank = usize::try_from(tensor.ndim)
            .ok()
            .filter(|&rank| rank <= 64)
            .ok_or_else(|| value_error("[convert] The tensor has too many dimensions."))?;
        let of = match tensor.dtype.code {
            0 => Some(KindOf::Signed),
            1 => Some(KindOf::Unsigned),
            2 => Some(KindOf::Float),
            4 => Some(KindOf::Brain),
            5 => Some(KindOf::Complex),
            6 => Some(KindOf::Bool),
            _ => None,
        };
        let kind = of
            .filter(|_| tensor.dtype.lanes == 1 && tensor.dtype.bits.is_multiple_of(8))
            .and_then(|of| Kind::sized(of, usize::from(tensor.dtype.bits / 8)))
            .ok_or_else(|| value_error("[convert] Cannot convert array to mlx."))?;
        let mut shape = SmallVec::<[usize; 4]>::new();
        for axis in 0..rank {
            // SAFETY: a tensor has `ndim` sizes.
            shape.push(checked_size(unsafe { *tensor.shape.add(axis) })?);
        }
        let shape = Shape::from(&shape[..]);
        let bytes = shape.checked_bytes(kind.size(), "from_dlpack").or_raise()?;
        let mut strides = Foreign::row_major(&shape, kind.size());
        if !tensor.strides.is_null() && bytes > 0 {
            for (axis, stride) in strides.iter_mut().enumerate() {
                // SAFETY: a tensor has `ndim` strides, if any.
                let given = unsafe { *tensor.strides.add(axis) };
                if given < 0 {
                    return Err(value_error(
                        "Cannot convert DLPack arrays with negative strides to mlx array.",
                    ));
                }
                *stride = (given as isize)
                    .checked_mul(kind.size() as isize)
                    .ok_or_else(|| value_error("[convert] A stride is too large."))?;
            }
        }
        if bytes > 0 && tensor.data.is_null() {
            return Err(value_error("[convert] The tensor has no data."));
        }
        let offset = tensor.byte_offset as usize;
        Ok(Foreign {
            start: tensor.data.cast_const().cast::<u8>().wrapping_add(offset),
            shape,
            strides,
            kind,
            swapped: false,
        })
    }
}

/// True if the processor reads the memory of such a device.
fn reads(device_type: i32) -> bool {
    matches!(device_type, CPU | CUDA_HOST | ROCM_HOST)
}

/// An array of the tensor that an object hands over, copied or shared.
pub(super) fn imported(
    object: &Bound<'_, PyAny>,
    dtype: Option<Dtype>,
    copy: Option<bool>,
) -> PyResult<Array> {
    let py = object.py();
    let device = object.call_method0(intern!(py, "__dlpack_device__"))?;
    if !reads(device.get_item(0)?.extract()?) {
        return Err(value_error("[convert] Unsupported device."));
    }
    let wishes = PyDict::new(py);
    wishes.set_item(intern!(py, "max_version"), (1, 0))?;
    let method = object.getattr(intern!(py, "__dlpack__"))?;
    let capsule = match method.call((), Some(&wishes)) {
        // Those from before versions do not know the argument.
        Err(error) if error.is_instance_of::<PyTypeError>(py) => method.call0()?,
        answer => answer?,
    };
    let taken = Taken::from(capsule.cast::<PyCapsule>()?)?;
    let foreign = taken.describe()?;
    let same = dtype.is_none_or(|dtype| dtype == foreign.kind.dtype());
    if copy != Some(true) && same {
        let (taken, foreign) = match shared(taken, foreign)? {
            Ok(array) => return Ok(array),
            Err(back) => back,
        };
        if copy.is_none() {
            // SAFETY: the tensor describes readable memory, and `taken` keeps it.
            let array = unsafe { foreign.copy(dtype) };
            drop(taken);
            return array;
        }
    } else if copy != Some(false) {
        // SAFETY: as above.
        let array = unsafe { foreign.copy(dtype) };
        drop(taken);
        return array;
    }
    Err(value_error(
        "[convert] Cannot import a CPU array without a copy.",
    ))
}

/// An array over the tensor's memory; both back if the elements cannot stay as they are.
fn shared(
    taken: Taken,
    foreign: Foreign,
) -> PyResult<std::result::Result<Array, (Taken, Foreign)>> {
    // Truth values may be any bytes elsewhere, but are 0 or 1 in arrays.
    let dtype = match foreign.kind {
        Kind::Native(dtype) if dtype != Dtype::Bool && dtype == foreign.kind.dtype() => dtype,
        Kind::Native(_) | Kind::Complex128 => return Ok(Err((taken, foreign))),
    };
    let item = dtype.size();
    let aligned = (foreign.start as usize).is_multiple_of(item);
    let Some(start) = NonNull::new(foreign.start.cast_mut()).filter(|_| aligned) else {
        return Ok(Err((taken, foreign)));
    };
    if foreign.shape.elements() == 0 {
        return Ok(Err((taken, foreign)));
    }
    let reach = foreign
        .shape
        .iter()
        .zip(&foreign.strides)
        .try_fold(item, |reach, (&size, &stride)| {
            reach.checked_add((size - 1).checked_mul(stride as usize)?)
        });
    let Some(bytes) = reach.filter(|&bytes| isize::try_from(bytes).is_ok()) else {
        return Err(value_error("[convert] The tensor is too large."));
    };
    let strides = foreign
        .strides
        .iter()
        .map(|&stride| stride / item as isize)
        .collect();
    // SAFETY: the tensor promises readable memory wherever its strides lead, until it is given
    // back; that nobody changes it meanwhile is what sharing asks of the program.
    let array = unsafe {
        let buffer = HostBuffer::share(start, bytes, Box::new(taken));
        Array::from_strided_buffer(buffer, 0, strides, foreign.shape, dtype)
    };
    array.or_raise().map(Ok)
}

/// What a tensor that an array hands over points to.
struct Handed<T> {
    tensor: T,
    _shape: Vec<i64>,
    _strides: Vec<i64>,
    _data: Data,
}

unsafe extern "C" fn give_back_plain(tensor: *mut DLManagedTensor) {
    // SAFETY: the context is the box that holds the tensor; it is given back once.
    drop(unsafe { Box::from_raw((*tensor).manager_ctx.cast::<Handed<DLManagedTensor>>()) });
}

unsafe extern "C" fn give_back_versioned(tensor: *mut DLManagedTensorVersioned) {
    // SAFETY: as above.
    drop(unsafe {
        Box::from_raw(
            (*tensor)
                .manager_ctx
                .cast::<Handed<DLManagedTensorVersioned>>(),
        )
    });
}

/// Gives back the tensor of a capsule that nobody took.
unsafe extern "C" fn drop_capsule(capsule: *mut ffi::PyObject) {
    // SAFETY: Python passes a capsule that was made here; the names say what it holds.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, PLAIN.as_ptr()) != 0 {
            give_back_plain(ffi::PyCapsule_GetPointer(capsule, PLAIN.as_ptr()).cast());
        } else if ffi::PyCapsule_IsValid(capsule, VERSIONED.as_ptr()) != 0 {
            give_back_versioned(ffi::PyCapsule_GetPointer(capsule, VERSIONED.as_ptr()).cast());
        }
    }
}

/// The same values in memory of their own.
pub(super) fn duplicate(array: &Array) -> Result<Array> {
    dispatch!(all, array.dtype(), T => {
        Array::from_slice(&array.to_vec::<T>()?, array.shape().clone())
    })
}

fn handed<T>(
    array: &Array,
    finish: impl FnOnce(DLTensor, *mut c_void) -> T,
) -> PyResult<NonNull<Handed<T>>> {
    let data = array.data().or_raise()?;
    let mut shape: Vec<i64> = array.shape().iter().map(|&size| size as i64).collect();
    let mut strides: Vec<i64> = data.strides.iter().map(|&stride| stride as i64).collect();
    let start = data.buffer.host().as_ptr().wrapping_add(data.offset);
    let tensor = DLTensor {
        data: start.cast(),
        device: DLDevice {
            device_type: CPU,
            device_id: 0,
        },
        ndim: array.ndim() as i32,
        dtype: array.dtype().into(),
        shape: shape.as_mut_ptr(),
        strides: strides.as_mut_ptr(),
        byte_offset: 0,
    };
    let mut place = Box::<Handed<T>>::new_uninit();
    let context = place.as_mut_ptr().cast::<c_void>();
    let whole = Handed {
        tensor: finish(tensor, context),
        _shape: shape,
        _strides: strides,
        _data: data,
    };
    Ok(NonNull::from(Box::leak(Box::write(place, whole))))
}

#[pymethods]
impl PyArray {
    /// Hands the values over to another library, which then shares their memory.
    ///
    /// Args:
    ///     stream: Not used: the values are ready when this returns.
    ///     max_version: The newest version of DLPack that the caller knows.
    ///     dl_device: The kind and number of the device wanted; ``(1, 0)`` is the processor.
    ///     copy: ``True`` copies first; ``False`` fails where a copy is needed.
    ///
    /// Returns:
    ///     A capsule with a tensor of the array's shape, for ``from_dlpack`` functions.
    ///
    /// Raises:
    ///     BufferError: If the device is not the processor.
    ///
    /// Example:
    ///     >>> import olivine.core as mx
    ///     >>> mx.arange(3).__dlpack_device__()
    ///     (1, 0)
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = stream;
        let refuse = |why: &'static str| Err(PyBufferError::new_err(why));
        match dl_device.map(|(kind, _)| kind) {
            None | Some(CPU) => {}
            Some(CUDA | CUDA_MANAGED) => return refuse("CUDA DLPack export is not supported."),
            Some(METAL) => return refuse("Metal DLPack export is not available."),
            Some(_) => return refuse("Cannot export the array to the requested DLPack device."),
        }
        let mut array = self.evaluated(py)?;
        let versioned = max_version.is_some_and(|(major, _)| major >= 1);
        let writable = array.data().or_raise()?.buffer.writable();
        // Without versions there is no way to say that memory must not be written.
        let copied = copy == Some(true) || (!writable && !versioned);
        if copied {
            if copy == Some(false) {
                return refuse(
                    "The array lies in read-only memory, which only DLPack 1 can share.",
                );
            }
            array = py.detach(|| duplicate(&array)).or_raise()?;
        }
        if !versioned {
            let tensor = handed(&array, |tensor, context| DLManagedTensor {
                dl_tensor: tensor,
                manager_ctx: context,
                deleter: Some(give_back_plain),
            })?;
            // SAFETY: the tensor is alive; from here on the capsule owns it.
            return unsafe {
                capsule(
                    py,
                    ptr::addr_of_mut!((*tensor.as_ptr()).tensor).cast(),
                    PLAIN,
                )
            };
        }
        let flags = if copied {
            IS_COPIED
        } else if writable {
            0
        } else {
            READ_ONLY
        };
        let tensor = handed(&array, |tensor, context| DLManagedTensorVersioned {
            version: VERSION,
            manager_ctx: context,
            deleter: Some(give_back_versioned),
            flags,
            dl_tensor: tensor,
        })?;
        // SAFETY: as above.
        unsafe {
            capsule(
                py,
                ptr::addr_of_mut!((*tensor.as_ptr()).tensor).cast(),
                VERSIONED,
            )
        }
    }

    /// The kind and number of the device that the values are on: ``(1, 0)`` for the processor.
    fn __dlpack_device__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (CPU, 0).into_pyobject(py)
    }
}

/// A capsule that owns the tensor at `pointer`.
///
/// # Safety
/// The tensor must have been handed out by `handed`, in the layout that `name` stands for.
unsafe fn capsule<'py>(
    py: Python<'py>,
    pointer: *mut c_void,
    name: &'static CStr,
) -> PyResult<Bound<'py, PyCapsule>> {
    let pointer = NonNull::new(pointer).ok_or_else(|| PyBufferError::new_err("no tensor"))?;
    // SAFETY: the destructor gives back exactly what the name says is there.
    unsafe { PyCapsule::new_with_pointer_and_destructor(py, pointer, name, Some(drop_capsule)) }
}
