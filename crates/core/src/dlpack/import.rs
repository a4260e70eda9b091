//! Owns arrays on their way in: what a tensor says is checked before its memory is used.

use std::ptr::NonNull;

use smallvec::SmallVec;

use super::{DLTensor, Dlpack, Managed, abi::HOST, dtype_of};
use crate::{
    Array, Dtype, Error, HostBuffer, Result, Shape, Stream,
    device::{Data, backend},
    graph::Spec,
    shape::Strides,
};

const OP: &str = "from_dlpack";

/// As many axes as NumPy's arrays may have; more are no tensor.
const MOST_AXES: usize = 64;

fn fail(reason: impl Into<String>) -> Error {
    Error::Argument {
        op: OP,
        reason: reason.into(),
    }
}

/// Where a tensor's elements lie.
struct Place {
    spec: Spec,
    strides: Strides,
    /// The element at index zero.
    origin: *const u8,
    /// Bytes before the origin, and from it on, that elements take.
    before: usize,
    after: usize,
}

impl Place {
    fn of(tensor: &DLTensor) -> Result<Place> {
        let (kind, given) = (tensor.device.device_type, tensor.dtype);
        if !HOST.contains(&kind) {
            return Err(fail(format!(
                "the tensor lies on a device of type {kind}, not in the processor's memory"
            )));
        }
        let dtype = dtype_of(given).ok_or_else(|| {
            fail(format!(
                "no dtype has the elements of a tensor of {given:?}"
            ))
        })?;
        let rank = usize::try_from(tensor.ndim)
            .ok()
            .filter(|&rank| rank <= MOST_AXES)
            .ok_or_else(|| fail(format!("a tensor has {} axes", tensor.ndim)))?;
        if rank > 0 && tensor.shape.is_null() {
            return Err(fail("the tensor has axes but no shape"));
        }
        let sizes = (0..rank).map(|axis| {
            // SAFETY: a tensor has as many sizes as axes.
            let size = unsafe { *tensor.shape.add(axis) };
            usize::try_from(size).map_err(|_| fail(format!("axis {axis} has the size {size}")))
        });
        let shape: Shape = sizes
            .collect::<Result<SmallVec<[usize; 4]>>>()?
            .into_iter()
            .collect();
        shape.checked_bytes(dtype.size(), OP)?;
        let mut strides = shape.contiguous_strides();
        if !tensor.strides.is_null() {
            for (axis, stride) in strides.iter_mut().enumerate() {
                // An axis of one element has no neighbours, whatever its stride.
                if shape[axis] > 1 {
                    // SAFETY: a tensor with strides has as many as axes.
                    *stride = unsafe { *tensor.strides.add(axis) } as isize;
                }
            }
        }
        let mut place = Place {
            spec: Spec { shape, dtype },
            strides,
            origin: std::ptr::null(),
            before: 0,
            after: 0,
        };
        if place.spec.shape.elements() == 0 {
            return Ok(place);
        }
        place
            .measure()
            .ok_or_else(|| fail("the tensor's strides reach past the address space"))?;
        let offset = isize::try_from(tensor.byte_offset).ok();
        let address = (tensor.data as isize).checked_add(offset.unwrap_or(isize::MAX));
        if tensor.data.is_null() || address.is_none() {
            return Err(fail("the tensor has elements but no memory"));
        }
        place.origin = tensor
            .data
            .cast::<u8>()
            .wrapping_add(tensor.byte_offset as usize);
        Ok(place)
    }

    /// Finds how far elements reach from the origin; `None` if that is no distance in memory.
    fn measure(&mut self) -> Option<()> {
        let item = self.spec.dtype.size() as isize;
        let (mut low, mut high) = (0isize, item);
        for (&size, &stride) in self.spec.shape.iter().zip(&self.strides) {
            let reach = isize::try_from(size - 1).ok()?;
            let reach = reach.checked_mul(stride)?.checked_mul(item)?;
            if reach < 0 {
                low = low.checked_add(reach)?;
            } else {
                high = high.checked_add(reach)?;
            }
        }
        high.checked_sub(low)?;
        (self.before, self.after) = (low.unsigned_abs(), high.unsigned_abs());
        Some(())
    }

    /// Calls `f` with the address of every element, in row-major order.
    fn each(&self, mut f: impl FnMut(*const u8)) {
        let item = self.spec.dtype.size() as isize;
        let shape = &self.spec.shape;
        let mut position: SmallVec<[usize; 4]> = SmallVec::from_elem(0, shape.rank());
        for _ in 0..shape.elements() {
            let steps: isize = position
                .iter()
                .zip(&self.strides)
                .map(|(&i, &stride)| i as isize * stride)
                .sum();
            f(self.origin.wrapping_offset(steps * item));
            for (i, &size) in position.iter_mut().zip(shape.iter()).rev() {
                *i += 1;
                if *i < size {
                    break;
                }
                *i = 0;
            }
        }
    }

    /// True if the elements are valid where they lie: aligned, and nothing but 0 and 1 if `bool`.
    fn usable(&self) -> bool {
        let mut valid = (self.origin as usize).is_multiple_of(self.spec.dtype.size());
        if self.spec.dtype == Dtype::Bool {
            // SAFETY: the tensor's elements are readable.
            self.each(|element| valid &= unsafe { *element } <= 1);
        }
        valid
    }

    /// The elements in memory of our own, in row-major order.
    fn copied(&self) -> Result<Array> {
        let item = self.spec.dtype.size();
        let bytes = self.spec.shape.checked_bytes(item, OP)?;
        let buffer = backend(Stream::current().device())?.allocate(bytes)?;
        let mut target = buffer.host().as_ptr();
        if self.spec.dtype == Dtype::Bool {
            self.each(|element| {
                // SAFETY: the element is readable, and the buffer has a byte for each.
                unsafe {
                    *target = u8::from(*element != 0);
                    target = target.add(1);
                }
            });
        } else if self.strides == self.spec.shape.contiguous_strides() {
            // SAFETY: the elements have no gaps, and the buffer is fresh and holds all of them.
            unsafe { std::ptr::copy_nonoverlapping(self.origin, target, bytes) };
        } else {
            self.each(|element| {
                // SAFETY: the element is readable, and the buffer has `item` bytes for each.
                unsafe {
                    std::ptr::copy_nonoverlapping(element, target, item);
                    target = target.add(item);
                }
            });
        }
        let strides = self.spec.shape.contiguous_strides();
        let data = Data {
            buffer,
            offset: 0,
            strides,
        };
        Ok(Array::from_data(self.spec.clone(), data))
    }
}

impl Array {
    /// An array of a tensor's elements, whatever their strides.
    ///
    /// With `copy` false nothing is ever copied, with true always; without it, only if the elements
    /// cannot stay where they are: if they are not aligned, or bools other than 0 and 1. Without a
    /// copy the tensor is freed when the last array that sees its memory is gone, else at once.
    ///
    /// Fails if the tensor lies on another device, has elements that no [`Dtype`] describes, says
    /// what cannot be, or would have to be copied and may not.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, array, dlpack::DLManagedTensorVersioned};
    /// let x = array!([1.5, 2.5, 3.5]);
    /// let tensor = x.index(1..)?.to_dlpack::<DLManagedTensorVersioned>(false)?;
    /// let y = Array::from_dlpack(tensor, None)?;
    /// drop(x);
    /// assert_eq!(y.to_vec::<f32>()?, [2.5, 3.5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn from_dlpack<T: Managed>(tensor: Dlpack<T>, copy: Option<bool>) -> Result<Array> {
        let place = Place::of(tensor.get()?.tensor())?;
        if place.spec.shape.elements() == 0 {
            return Array::zeros(&place.spec.shape, place.spec.dtype);
        }
        if copy == Some(true) {
            return place.copied();
        }
        if !place.usable() {
            return match copy {
                None => place.copied(),
                Some(_) => Err(fail(
                    "elements that are not aligned, or bools other than 0 and 1, must be copied",
                )),
            };
        }
        let start = place.origin.wrapping_sub(place.before).cast_mut();
        let start = NonNull::new(start).ok_or_else(|| fail("the tensor lies at address zero"))?;
        let bytes = place.before + place.after;
        // SAFETY: whoever made `tensor` promised that its elements are readable and stay as they are
        // until it is dropped; the bytes between the first and the last are only ever read there.
        let buffer = unsafe { HostBuffer::share(start, bytes, Box::new(tensor)) };
        let data = Data {
            buffer,
            offset: place.before,
            strides: place.strides,
        };
        Ok(Array::from_data(place.spec, data))
    }
}
