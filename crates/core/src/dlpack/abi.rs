//! Owns the structures of the DLPack specification, version 1, as they lie in memory.
//!
//! The specification is at <https://dmlc.github.io/dlpack/latest/c_api.html>.

use std::ffi::c_void;

/// The version of the specification that exported tensors follow.
pub const VERSION: DLPackVersion = DLPackVersion { major: 1, minor: 0 };

/// The flag of a tensor whose elements must not be written.
pub const READ_ONLY: u64 = 1;

/// The flag of a tensor whose memory was copied for whoever asked for it.
pub const IS_COPIED: u64 = 1 << 1;

/// The device type of the processor.
pub const CPU: i32 = 1;

/// The device types of memory that the processor may read like its own: its own, and the host memory
/// that CUDA and ROCm pin.
pub(super) const HOST: [i32; 3] = [CPU, 3, 11];

/// Where a tensor's memory lies.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLDevice {
    /// The kind of device; [`CPU`] is the processor.
    pub device_type: i32,
    /// Which of several devices of a kind.
    pub device_id: i32,
}

/// The type of a tensor's elements.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLDataType {
    /// What the bits mean: 0 signed, 1 unsigned, 2 float, 4 bfloat, 5 complex, 6 bool.
    pub code: u8,
    /// The bits of one element.
    pub bits: u8,
    /// How many numbers one element holds; one unless it is a vector.
    pub lanes: u16,
}

/// A tensor: memory, and how elements lie in it.
#[repr(C)]
#[derive(Debug)]
pub struct DLTensor {
    /// The start of the memory.
    pub data: *mut c_void,
    /// Where the memory lies.
    pub device: DLDevice,
    /// The number of axes.
    pub ndim: i32,
    /// The type of the elements.
    pub dtype: DLDataType,
    /// `ndim` sizes.
    pub shape: *mut i64,
    /// `ndim` distances between neighbours, in elements; null if they lie in row-major order.
    pub strides: *mut i64,
    /// The bytes from `data` to the first element.
    pub byte_offset: u64,
}

/// A tensor with what frees it, as before version 1.
#[repr(C)]
#[derive(Debug)]
pub struct DLManagedTensor {
    /// The tensor.
    pub dl_tensor: DLTensor,
    /// What the producer needs to free the tensor.
    pub manager_ctx: *mut c_void,
    /// Frees the tensor, this structure included.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensor)>,
}

/// A version of the specification.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLPackVersion {
    /// Another one means another layout of the structures.
    pub major: u32,
    /// A greater one means more codes and flags.
    pub minor: u32,
}

/// A tensor with what frees it, its version and its flags.
#[repr(C)]
#[derive(Debug)]
pub struct DLManagedTensorVersioned {
    /// The version of the specification that the tensor follows.
    pub version: DLPackVersion,
    /// What the producer needs to free the tensor.
    pub manager_ctx: *mut c_void,
    /// Frees the tensor, this structure included.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensorVersioned)>,
    /// [`READ_ONLY`], [`IS_COPIED`] and others.
    pub flags: u64,
    /// The tensor.
    pub dl_tensor: DLTensor,
}
