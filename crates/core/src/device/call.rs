//! Owns what a kernel sees: its inputs' layouts, and the outputs it must produce.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Backend, Buffer, Data};
use crate::{Dtype, Result, Shape, graph::Spec, shape::is_contiguous};

/// One evaluated input of a kernel.
///
/// ```standalone_crate
/// # use olivine_cpu as _;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
/// # use example::*;
/// use olivine_core::{array, Operand};
/// let x = array!([[1u8, 2], [3, 4]]);
/// let input = Operand { shape: x.shape().clone(), dtype: x.dtype(), data: x.data()? };
/// assert!(input.data.buffer.bytes() >= input.shape.elements());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct Operand {
    /// The sizes of its axes.
    pub shape: Shape,
    /// Its element type.
    pub dtype: Dtype,
    /// Where its elements lie.
    pub data: Data,
}

impl Operand {
    /// The address of the element at index zero.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::{array, Operand};
    /// let x = array!([5u8, 6]);
    /// let input = Operand { shape: x.shape().clone(), dtype: x.dtype(), data: x.data()? };
    /// // SAFETY: the operand has two elements.
    /// assert_eq!(unsafe { input.ptr().add(1).read() }, 6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn ptr(&self) -> *const u8 {
        self.data
            .buffer
            .host()
            .as_ptr()
            .wrapping_add(self.data.offset)
    }

    /// True if the elements lie in row-major order without gaps.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::{array, Operand};
    /// let x = array!([[1, 2], [3, 4]]).transpose(..)?;
    /// let input = Operand { shape: x.shape().clone(), dtype: x.dtype(), data: x.data()? };
    /// assert!(!input.is_contiguous());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn is_contiguous(&self) -> bool {
        is_contiguous(&self.shape, &self.data.strides)
    }

    /// True if nobody else can see this memory, so an output may take its place.
    ///
    /// An array that is held elsewhere holds the buffer too, so it is enough that nobody else holds
    /// the buffer. Unlike reading the count, `get_mut` also waits for what a last other holder did
    /// with it.
    fn is_donatable(&mut self) -> bool {
        Arc::get_mut(&mut self.data.buffer).is_some_and(|buffer| buffer.writable())
    }
}

/// One run of a kernel: evaluated inputs, and slots for the outputs.
///
/// ```standalone_crate
/// # use olivine_cpu as _;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
/// # use example::*;
/// use olivine_core::{array, Call};
/// // `softmax_with` runs this in the place of a backend's kernel for softmax.
/// let y = softmax_with(&array!([1.0, 2.0]), |call: &mut Call| {
///     let bytes = call.shape(0).checked_bytes(call.dtype(0).size(), "zeros")?;
///     let out = call.allocate(0)?;
///     // SAFETY: the memory is fresh and `bytes` long.
///     unsafe { out.write_bytes(0, bytes) };
///     Ok(())
/// })?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 0.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct Call<'a> {
    backend: &'static dyn Backend,
    inputs: SmallVec<[Operand; 3]>,
    specs: &'a [Spec],
    outputs: SmallVec<[Option<Data>; 1]>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        backend: &'static dyn Backend,
        inputs: SmallVec<[Operand; 3]>,
        specs: &'a [Spec],
    ) -> Self {
        Call {
            backend,
            inputs,
            specs,
            outputs: SmallVec::from_elem(None, specs.len()),
        }
    }

    /// All inputs.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::array;
    /// softmax_with(&array!([1.0, 2.0]), |call| {
    ///     assert_eq!(call.inputs().len(), 1);
    ///     call.allocate(0).map(|_| ())
    /// })?;
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn inputs(&self) -> &[Operand] {
        &self.inputs
    }

    /// The input at position `i`.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::array;
    /// softmax_with(&array!([[1.0, 2.0], [3.0, 4.0]]).transpose(..)?, |call| {
    ///     // Views reach a kernel as they are.
    ///     assert!(!call.input(0).is_contiguous());
    ///     call.allocate(0).map(|_| ())
    /// })?;
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn input(&self, i: usize) -> &Operand {
        &self.inputs[i]
    }

    /// The shape of output `i`.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::array;
    /// softmax_with(&array!([[1.0, 2.0, 3.0]]), |call| {
    ///     assert_eq!(call.shape(0).dims(), &[1, 3]);
    ///     call.allocate(0).map(|_| ())
    /// })?;
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn shape(&self, i: usize) -> &'a Shape {
        &self.specs[i].shape
    }

    /// The dtype of output `i`.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::{array, Dtype};
    /// softmax_with(&array!([1.0, 2.0]), |call| {
    ///     assert_eq!(call.dtype(0), Dtype::Float32);
    ///     call.allocate(0).map(|_| ())
    /// })?;
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dtype(&self, i: usize) -> Dtype {
        self.specs[i].dtype
    }

    /// Gives output `i` fresh row-major memory and returns its address. The memory is not cleared.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::array;
    /// softmax_with(&array!([1.0, 2.0]), |call| {
    ///     let out: *mut u8 = call.allocate(0)?;
    ///     assert_eq!(out as usize % 64, 0);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn allocate(&mut self, i: usize) -> Result<*mut u8> {
        let strides = self.specs[i].shape.contiguous_strides();
        self.allocate_with_strides(i, strides)
    }

    /// Gives output `i` fresh memory that is laid out with `strides`, a permutation of row-major
    /// order without gaps.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::array;
    /// let x = array!([[1.0, 2.0], [3.0, 4.0]]).transpose(..)?;
    /// let y = softmax_with(&x, |call| {
    ///     // As the input is laid out, so that both can be walked in the order of memory.
    ///     let strides = call.input(0).data.strides.clone();
    ///     call.allocate_with_strides(0, strides).map(|_| ())
    /// })?;
    /// assert_eq!(&y.data()?.strides[..], &[1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn allocate_with_strides(
        &mut self,
        i: usize,
        strides: crate::shape::Strides,
    ) -> Result<*mut u8> {
        let spec = &self.specs[i];
        let bytes = spec.shape.checked_bytes(spec.dtype.size(), "allocate")?;
        let buffer = self.backend.allocate(bytes)?;
        let start = buffer.host().as_ptr();
        self.outputs[i] = Some(Data {
            buffer,
            offset: 0,
            strides,
        });
        Ok(start)
    }

    /// Lets output `i` take over the memory of a `candidates` input that nobody else holds and
    /// that is laid out with `strides` already; otherwise allocates. Kernels that use it must
    /// write each element only after reading the inputs at the same position.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::array;
    /// let x = array!([1.0, 2.0]);
    /// let y = softmax_with(&x, |call| {
    ///     let strides = call.input(0).data.strides.clone();
    ///     call.reuse_or_allocate(0, strides, &[0]).map(|_| ())
    /// })?;
    /// // The input is still held here, so the output got memory of its own.
    /// assert_ne!(y.data()?.buffer.host(), x.data()?.buffer.host());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn reuse_or_allocate(
        &mut self,
        i: usize,
        strides: crate::shape::Strides,
        candidates: &[usize],
    ) -> Result<*mut u8> {
        let spec = &self.specs[i];
        for &candidate in candidates {
            let input = &mut self.inputs[candidate];
            if input.dtype.size() == spec.dtype.size()
                && input.shape == spec.shape
                && input.data.strides == strides
                && input.is_donatable()
            {
                let start = input.ptr().cast_mut();
                self.outputs[i] = Some(input.data.clone());
                return Ok(start);
            }
        }
        self.allocate_with_strides(i, strides)
    }

    /// Sets output `i` to memory the kernel obtained itself.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::array;
    /// let x = array!([1.0, 2.0]);
    /// let y = softmax_with(&x, |call| {
    ///     // A view of the input: nothing is copied.
    ///     let data = call.input(0).data.clone();
    ///     call.set_output(0, data);
    ///     Ok(())
    /// })?;
    /// assert_eq!(y.data()?.buffer.host(), x.data()?.buffer.host());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn set_output(&mut self, i: usize, data: Data) {
        self.outputs[i] = Some(data);
    }

    /// Scratch memory from the backend's allocator; it is freed when the handle drops.
    ///
    /// ```standalone_crate
    /// # use olivine_cpu as _;
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/backend.rs")); }
    /// # use example::*;
    /// use olivine_core::array;
    /// softmax_with(&array!([1.0, 2.0]), |call| {
    ///     let room = call.scratch(4096)?;
    ///     assert!(room.writable() && room.bytes() >= 4096);
    ///     call.allocate(0).map(|_| ())
    /// })?;
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn scratch(&self, bytes: usize) -> Result<Arc<dyn Buffer>> {
        self.backend.allocate(bytes)
    }

    pub(crate) fn finish(self) -> SmallVec<[Option<Data>; 1]> {
        self.outputs
    }
}
