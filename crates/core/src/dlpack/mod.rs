//! Owns the exchange of tensors with other libraries in one process, by the DLPack specification.
//!
//! A tensor that is exchanged is one structure with a pointer to the elements and a function that
//! frees it. Here [`Dlpack`] owns such a structure and calls that function once.

mod abi;
mod export;
mod import;

use std::{fmt, ptr::NonNull};

pub use abi::{
    CPU, DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPackVersion, DLTensor,
    IS_COPIED, READ_ONLY, VERSION,
};

use crate::Dtype;

/// One of the two structures that tensors are exchanged in: [`DLManagedTensorVersioned`] and, for
/// libraries that know no version, [`DLManagedTensor`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Result, array, dlpack::Managed};
/// fn exchanged<T: Managed>(x: &Array) -> Result<Array> {
///     Array::from_dlpack(x.to_dlpack::<T>(false)?, None)
/// }
/// use olivine_core::dlpack::{DLManagedTensor, DLManagedTensorVersioned};
/// let x = array!([1, 2]);
/// assert_eq!(exchanged::<DLManagedTensor>(&x)?.to_vec::<i32>()?, [1, 2]);
/// assert_eq!(exchanged::<DLManagedTensorVersioned>(&x)?.to_vec::<i32>()?, [1, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Managed: private::Layout {}

impl Managed for DLManagedTensor {}
impl Managed for DLManagedTensorVersioned {}

mod private {
    use std::ffi::c_void;

    use super::{DLManagedTensor, DLManagedTensorVersioned, DLPackVersion, DLTensor, VERSION};

    /// Frees a tensor of type `T`.
    pub(super) type Deleter<T> = unsafe extern "C" fn(*mut T);

    /// What the two structures have in common. Nobody else can implement it.
    pub trait Layout: Sized + 'static {
        /// The version, at an address where there may be nothing else that is known.
        ///
        /// # Safety
        /// `this` must point to a tensor.
        unsafe fn version(this: *const Self) -> DLPackVersion;
        /// The tensor.
        fn tensor(&self) -> &DLTensor;
        /// The tensor, to be filled in.
        fn tensor_mut(&mut self) -> &mut DLTensor;
        /// Where the producer keeps what it needs to free the tensor.
        fn context(&mut self) -> &mut *mut c_void;
        /// What frees the tensor; it lies in the same place in every version.
        ///
        /// # Safety
        /// `this` must point to a tensor.
        unsafe fn deleter(this: *const Self) -> Option<Deleter<Self>>;
        /// A structure with these parts and no context yet.
        fn new(tensor: DLTensor, deleter: Deleter<Self>, flags: u64) -> Self;
    }

    impl Layout for DLManagedTensor {
        unsafe fn version(_this: *const Self) -> DLPackVersion {
            VERSION
        }
        fn tensor(&self) -> &DLTensor {
            &self.dl_tensor
        }
        fn tensor_mut(&mut self) -> &mut DLTensor {
            &mut self.dl_tensor
        }
        fn context(&mut self) -> &mut *mut c_void {
            &mut self.manager_ctx
        }
        unsafe fn deleter(this: *const Self) -> Option<Deleter<Self>> {
            // SAFETY: the caller's pointer is one to a tensor.
            unsafe { (*this).deleter }
        }
        fn new(tensor: DLTensor, deleter: Deleter<Self>, _flags: u64) -> Self {
            DLManagedTensor {
                dl_tensor: tensor,
                manager_ctx: std::ptr::null_mut(),
                deleter: Some(deleter),
            }
        }
    }

    impl Layout for DLManagedTensorVersioned {
        unsafe fn version(this: *const Self) -> DLPackVersion {
            // SAFETY: the caller's pointer is one to a tensor, which starts with its version.
            unsafe { (*this).version }
        }
        fn tensor(&self) -> &DLTensor {
            &self.dl_tensor
        }
        fn tensor_mut(&mut self) -> &mut DLTensor {
            &mut self.dl_tensor
        }
        fn context(&mut self) -> &mut *mut c_void {
            &mut self.manager_ctx
        }
        unsafe fn deleter(this: *const Self) -> Option<Deleter<Self>> {
            // SAFETY: the caller's pointer is one to a tensor.
            unsafe { (*this).deleter }
        }
        fn new(tensor: DLTensor, deleter: Deleter<Self>, flags: u64) -> Self {
            DLManagedTensorVersioned {
                version: VERSION,
                manager_ctx: std::ptr::null_mut(),
                deleter: Some(deleter),
                flags,
                dl_tensor: tensor,
            }
        }
    }
}

/// A tensor to exchange, and the right to free it: dropping it calls its deleter, once.
///
/// [`Array::to_dlpack`](crate::Array::to_dlpack) makes one; [`Dlpack::into_raw`] hands it to another
/// library, and [`Dlpack::from_raw`] takes one over, for
/// [`Array::from_dlpack`](crate::Array::from_dlpack).
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, array, dlpack::Dlpack};
/// let tensor: Dlpack = array!([1.5, 2.5]).to_dlpack(false)?;
/// assert_eq!(Array::from_dlpack(tensor, None)?.to_vec::<f32>()?, [1.5, 2.5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct Dlpack<T: Managed = DLManagedTensorVersioned>(NonNull<T>);

// SAFETY: `from_raw` requires that the tensor may be read and freed on any thread.
unsafe impl<T: Managed> Send for Dlpack<T> {}
// SAFETY: shared, the tensor is only read.
unsafe impl<T: Managed> Sync for Dlpack<T> {}

impl<T: Managed> Dlpack<T> {
    /// Takes over a tensor that some library exported.
    ///
    /// # Safety
    /// `tensor` must point to a tensor as the specification describes it, which nobody else frees.
    /// Until its deleter is called, its elements must be readable, and nobody may write them. The
    /// deleter must be callable on any thread.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, array, dlpack::{DLManagedTensor, Dlpack}};
    /// let raw = array!([1.0, 2.0]).to_dlpack::<DLManagedTensor>(false)?.into_raw();
    /// // SAFETY: the tensor was exported above, and is taken over only here.
    /// let tensor = unsafe { Dlpack::from_raw(raw) };
    /// assert_eq!(Array::from_dlpack(tensor, None)?.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub unsafe fn from_raw(tensor: NonNull<T>) -> Self {
        Dlpack(tensor)
    }

    /// The tensor, for a library that takes over the duty to call its deleter.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, dlpack::DLManagedTensor};
    /// let raw = array!([1, 2]).to_dlpack::<DLManagedTensor>(false)?.into_raw();
    /// // SAFETY: the tensor lives until its deleter is called, once.
    /// unsafe {
    ///     assert_eq!(raw.as_ref().dl_tensor.ndim, 1);
    ///     raw.as_ref().deleter.map(|delete| delete(raw.as_ptr()));
    /// }
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn into_raw(self) -> NonNull<T> {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    /// The tensor's structure.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, dlpack::{DLManagedTensorVersioned, READ_ONLY}};
    /// let tensor = array!([[1, 2]]).to_dlpack::<DLManagedTensorVersioned>(false)?;
    /// assert_eq!(tensor.get()?.dl_tensor.ndim, 2);
    /// assert_eq!(tensor.get()?.flags, READ_ONLY);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    ///
    /// Fails if it follows a version of the specification with another layout.
    pub fn get(&self) -> crate::Result<&T> {
        // SAFETY: the pointer is one to a tensor, by `from_raw`.
        let version = unsafe { T::version(self.0.as_ptr()) };
        if version.major != VERSION.major {
            let DLPackVersion { major, minor } = version;
            return Err(crate::Error::Argument {
                op: "from_dlpack",
                reason: format!("the tensor follows version {major}.{minor} of DLPack, not 1"),
            });
        }
        // SAFETY: as above, and this version's layout is that of `T`.
        Ok(unsafe { self.0.as_ref() })
    }
}

impl<T: Managed> Drop for Dlpack<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer is one to a tensor, and this value alone has the duty to free it.
        unsafe {
            if let Some(deleter) = T::deleter(self.0.as_ptr()) {
                deleter(self.0.as_ptr());
            }
        }
    }
}

impl<T: Managed> fmt::Debug for Dlpack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dlpack").field(&self.0).finish()
    }
}

/// The meanings of a dtype's bits.
mod code {
    pub(super) const INT: u8 = 0;
    pub(super) const UINT: u8 = 1;
    pub(super) const FLOAT: u8 = 2;
    pub(super) const BFLOAT: u8 = 4;
    pub(super) const COMPLEX: u8 = 5;
    pub(super) const BOOL: u8 = 6;
}

impl From<Dtype> for DLDataType {
    /// ```
    /// use olivine_core::{Dtype, dlpack::DLDataType};
    /// let dtype = DLDataType::from(Dtype::BFloat16);
    /// assert_eq!(dtype, DLDataType { code: 4, bits: 16, lanes: 1 });
    /// ```
    fn from(dtype: Dtype) -> Self {
        let code = match dtype {
            Dtype::Bool => code::BOOL,
            Dtype::Uint8 | Dtype::Uint16 | Dtype::Uint32 | Dtype::Uint64 => code::UINT,
            Dtype::Int8 | Dtype::Int16 | Dtype::Int32 | Dtype::Int64 => code::INT,
            Dtype::Float16 | Dtype::Float32 | Dtype::Float64 => code::FLOAT,
            Dtype::BFloat16 => code::BFLOAT,
            Dtype::Complex64 => code::COMPLEX,
        };
        DLDataType {
            code,
            bits: dtype.size() as u8 * 8,
            lanes: 1,
        }
    }
}

/// The dtype of a tensor's elements, if there is one.
fn dtype_of(dtype: DLDataType) -> Option<Dtype> {
    if dtype.lanes != 1 {
        return None;
    }
    Some(match (dtype.code, dtype.bits) {
        (code::BOOL, 8) => Dtype::Bool,
        (code::UINT, 8) => Dtype::Uint8,
        (code::UINT, 16) => Dtype::Uint16,
        (code::UINT, 32) => Dtype::Uint32,
        (code::UINT, 64) => Dtype::Uint64,
        (code::INT, 8) => Dtype::Int8,
        (code::INT, 16) => Dtype::Int16,
        (code::INT, 32) => Dtype::Int32,
        (code::INT, 64) => Dtype::Int64,
        (code::FLOAT, 16) => Dtype::Float16,
        (code::FLOAT, 32) => Dtype::Float32,
        (code::FLOAT, 64) => Dtype::Float64,
        (code::BFLOAT, 16) => Dtype::BFloat16,
        (code::COMPLEX, 64) => Dtype::Complex64,
        _ => return None,
    })
}
