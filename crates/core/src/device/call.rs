//! Owns what a kernel sees: its inputs' layouts, and the outputs it must produce.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Backend, Buffer, Data};
use crate::{Dtype, Result, Shape, graph::Spec, shape::is_contiguous};

/// One evaluated input of a kernel.
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
    pub fn ptr(&self) -> *const u8 {
        self.data
            .buffer
            .host()
            .as_ptr()
            .wrapping_add(self.data.offset)
    }

    /// True if the elements lie in row-major order without gaps.
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
    pub fn inputs(&self) -> &[Operand] {
        &self.inputs
    }

    /// The input at position `i`.
    pub fn input(&self, i: usize) -> &Operand {
        &self.inputs[i]
    }

    /// The shape of output `i`.
    pub fn shape(&self, i: usize) -> &'a Shape {
        &self.specs[i].shape
    }

    /// The dtype of output `i`.
    pub fn dtype(&self, i: usize) -> Dtype {
        self.specs[i].dtype
    }

    /// Gives output `i` fresh row-major memory and returns its address. The memory is not cleared.
    pub fn allocate(&mut self, i: usize) -> Result<*mut u8> {
        let strides = self.specs[i].shape.contiguous_strides();
        self.allocate_with_strides(i, strides)
    }

    /// Gives output `i` fresh memory that is laid out with `strides`, a permutation of row-major
    /// order without gaps.
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
    pub fn set_output(&mut self, i: usize, data: Data) {
        self.outputs[i] = Some(data);
    }

    /// Scratch memory from the backend's allocator; it is freed when the handle drops.
    pub fn scratch(&self, bytes: usize) -> Result<Arc<dyn Buffer>> {
        self.backend.allocate(bytes)
    }

    pub(crate) fn finish(self) -> SmallVec<[Option<Data>; 1]> {
        self.outputs
    }
}
