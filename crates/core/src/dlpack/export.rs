//! Owns arrays on their way out: evaluated memory as a tensor that keeps it alive.

use std::{ffi::c_void, ptr::NonNull, sync::Arc};

use super::{CPU, DLDevice, DLTensor, Dlpack, IS_COPIED, Managed, READ_ONLY};
use crate::{Array, Result, device::Buffer};

/// An exported tensor and all that its structure points to.
struct Export<T> {
    managed: T,
    shape: Box<[i64]>,
    strides: Box<[i64]>,
    _buffer: Arc<dyn Buffer>,
}

impl Array {
    /// Computes the values and exports them as a tensor, without a copy unless one is asked for.
    ///
    /// The tensor keeps the memory alive. An array's values never change, so whoever takes the
    /// tensor must not write to it; it is marked as [`READ_ONLY`]. A copy belongs to the taker alone
    /// and may be written to. The structure [`DLManagedTensor`](super::DLManagedTensor) has no such
    /// mark: ask for a copy if the taker may write.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, array, dlpack::DLManagedTensorVersioned};
    /// let x = array!([[1, 2, 3], [4, 5, 6]]).transpose(..)?;
    /// let tensor = x.to_dlpack::<DLManagedTensorVersioned>(false)?;
    /// let y = Array::from_dlpack(tensor, Some(false))?;
    /// assert_eq!(y.shape().dims(), &[3, 2]);
    /// assert_eq!(y.to_vec::<i32>()?, [1, 4, 2, 5, 3, 6]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn to_dlpack<T: Managed>(&self, copy: bool) -> Result<Dlpack<T>> {
        let (data, flags) = if copy {
            (self.contiguous()?.data()?, IS_COPIED)
        } else {
            (self.data()?, READ_ONLY)
        };
        let tensor = DLTensor {
            data: data.buffer.host().as_ptr().wrapping_add(data.offset).cast(),
            device: DLDevice {
                device_type: CPU,
                device_id: 0,
            },
            ndim: self.ndim() as i32,
            dtype: self.dtype().into(),
            shape: std::ptr::null_mut(),
            strides: std::ptr::null_mut(),
            byte_offset: 0,
        };
        let raw = Box::into_raw(Box::new(Export {
            managed: T::new(tensor, delete::<T>, flags),
            shape: self.shape().iter().map(|&size| size as i64).collect(),
            strides: data.strides.iter().map(|&step| step as i64).collect(),
            _buffer: data.buffer,
        }));
        // SAFETY: the pointer comes from a box just now, and nobody else has it yet.
        let export = unsafe { &mut *raw };
        let tensor = export.managed.tensor_mut();
        tensor.shape = export.shape.as_mut_ptr();
        tensor.strides = export.strides.as_mut_ptr();
        *export.managed.context() = raw.cast::<c_void>();
        // What frees the tensor has to find the box, so the pointer is one into the whole of it.
        // SAFETY: the field lies within the box.
        let managed = unsafe { NonNull::new_unchecked(&raw mut (*raw).managed) };
        // SAFETY: the structure, what it points to and the buffer live until `delete` drops the box,
        // which any thread may do; no kernel writes to a buffer that somebody else holds.
        Ok(unsafe { Dlpack::from_raw(managed) })
    }
}

/// Drops an export.
///
/// # Safety
/// `managed` must come from [`Array::to_dlpack`] and not have been deleted.
unsafe extern "C" fn delete<T: Managed>(managed: *mut T) {
    // SAFETY: the context of an export is its box.
    unsafe {
        let context = *(*managed).context();
        drop(Box::from_raw(context.cast::<Export<T>>()));
    }
}
