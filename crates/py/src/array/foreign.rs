//! Owns memory of other libraries: what its elements are, and how they are copied.
//!
//! Both the buffer protocol and DLPack describe memory by a pointer, a shape, strides and a type.

use olivine::{Array, Complex64, Dtype, Element, Shape, bf16, f16};
use pyo3::{exceptions::PyOverflowError, prelude::*};
use smallvec::SmallVec;

use crate::error::{OrRaise, value_error};

/// The type of foreign elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Elements as arrays have them.
    Native(Dtype),
    /// Pairs of doubles, which become `complex64`.
    Complex128,
}

impl Kind {
    /// The kind of a C number of some size; none if arrays have no such elements.
    pub(super) fn sized(letter: KindOf, bytes: usize) -> Option<Kind> {
        let dtype = match (letter, bytes) {
            (KindOf::Bool, 1) => Dtype::Bool,
            (KindOf::Unsigned, 1) => Dtype::Uint8,
            (KindOf::Unsigned, 2) => Dtype::Uint16,
            (KindOf::Unsigned, 4) => Dtype::Uint32,
            (KindOf::Unsigned, 8) => Dtype::Uint64,
            (KindOf::Signed, 1) => Dtype::Int8,
            (KindOf::Signed, 2) => Dtype::Int16,
            (KindOf::Signed, 4) => Dtype::Int32,
            (KindOf::Signed, 8) => Dtype::Int64,
            (KindOf::Float, 2) => Dtype::Float16,
            (KindOf::Brain, 2) => Dtype::BFloat16,
            (KindOf::Float, 4) => Dtype::Float32,
            (KindOf::Float, 8) => Dtype::Float64,
            (KindOf::Complex, 8) => Dtype::Complex64,
            (KindOf::Complex, 16) => return Some(Kind::Complex128),
            _ => return None,
        };
        Some(Kind::Native(dtype))
    }

    pub(super) fn size(self) -> usize {
        match self {
            Kind::Native(dtype) => dtype.size(),
            Kind::Complex128 => 16,
        }
    }

    /// The dtype that an array of such elements has if none is asked for.
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Kind::Native(Dtype::Float64) => Dtype::Float32,
            Kind::Native(dtype) => dtype,
            Kind::Complex128 => Dtype::Complex64,
        }
    }
}

/// What a number is, apart from its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KindOf {
    Bool,
    Unsigned,
    Signed,
    Float,
    Brain,
    Complex,
}

/// Memory that someone else keeps alive while this is used.
#[derive(Debug)]
pub(super) struct Foreign {
    /// The element whose indices are all zero.
    pub(super) start: *const u8,
    pub(super) shape: Shape,
    /// Bytes between neighbours along each axis.
    pub(super) strides: SmallVec<[isize; 4]>,
    pub(super) kind: Kind,
    /// True if the bytes of each number stand in the order this machine does not use.
    pub(super) swapped: bool,
}

/// Sizes are limited as in MLX, whose programs count on it.
pub(super) fn checked_size(size: i64) -> PyResult<usize> {
    if i32::try_from(size).is_err() {
        return Err(PyOverflowError::new_err(format!(
            "Shape dimension {size} is outside the supported range [{}, {}]. MLX currently uses \
             32-bit integers for shape dimensions.",
            i32::MIN,
            i32::MAX
        )));
    }
    usize::try_from(size).map_err(|_| value_error(format!("A size must not be {size}.")))
}

impl Foreign {
    /// The strides of a row-major layout, in bytes.
    pub(super) fn row_major(shape: &Shape, item: usize) -> SmallVec<[isize; 4]> {
        let strides = shape.contiguous_strides();
        strides
            .iter()
            .map(|&stride| stride.wrapping_mul(item as isize))
            .collect()
    }

    /// Copies the elements into an array.
    ///
    /// # Safety
    /// The memory must be readable wherever the strides lead.
    pub(super) unsafe fn copy(&self, dtype: Option<Dtype>) -> PyResult<Array> {
        let target = dtype.unwrap_or(self.kind.dtype());
        if let Some((turned, back)) = self.packed() {
            // SAFETY: passed on from the caller; the same elements, with their axes reordered.
            let array = unsafe { turned.copy(dtype)? };
            return array.transpose(&back[..]).or_raise();
        }
        self.shape
            .checked_bytes(self.kind.size(), "array")
            .or_raise()?;
        // SAFETY: passed on from the caller.
        unsafe {
            match self.kind {
                // Bytes other than 0 and 1 are no `bool`.
                Kind::Native(Dtype::Bool) => self.made(|byte: u8| byte != 0),
                Kind::Native(Dtype::Uint8) => self.same::<u8>(),
                Kind::Native(Dtype::Uint16) => self.same::<u16>(),
                Kind::Native(Dtype::Uint32) => self.same::<u32>(),
                Kind::Native(Dtype::Uint64) => self.same::<u64>(),
                Kind::Native(Dtype::Int8) => self.same::<i8>(),
                Kind::Native(Dtype::Int16) => self.same::<i16>(),
                Kind::Native(Dtype::Int32) => self.same::<i32>(),
                Kind::Native(Dtype::Int64) => self.same::<i64>(),
                Kind::Native(Dtype::Float16) => self.same::<f16>(),
                Kind::Native(Dtype::BFloat16) => self.same::<bf16>(),
                Kind::Native(Dtype::Float32) => self.same::<f32>(),
                Kind::Native(Dtype::Float64) if target == Dtype::Float32 => {
                    self.made(|value: f64| value as f32)
                }
                Kind::Native(Dtype::Float64) => self.same::<f64>(),
                Kind::Native(Dtype::Complex64) => {
                    self.made(|pair: [f32; 2]| Complex64::new(pair[0], pair[1]))
                }
                Kind::Complex128 => {
                    self.made(|pair: [f64; 2]| Complex64::new(pair[0] as f32, pair[1] as f32))
                }
            }
        }
        .and_then(|array| array.astype(target))
        .or_raise()
    }

    /// The same elements in the order they lie in memory, and the order of axes that leads back;
    /// `None` if they lie in row-major order already, or with gaps.
    fn packed(&self) -> Option<(Foreign, SmallVec<[i64; 4]>)> {
        if self.strides == Self::row_major(&self.shape, self.kind.size()) {
            return None;
        }
        let mut order: SmallVec<[usize; 4]> = (0..self.shape.rank()).collect();
        order.sort_by_key(|&axis| std::cmp::Reverse(self.strides[axis]));
        let shape: Shape = order.iter().map(|&axis| self.shape[axis]).collect();
        let strides: SmallVec<[isize; 4]> = order.iter().map(|&axis| self.strides[axis]).collect();
        if strides != Self::row_major(&shape, self.kind.size()) {
            return None;
        }
        let mut back = SmallVec::from_elem(0, order.len());
        for (i, &axis) in order.iter().enumerate() {
            back[axis] = i as i64;
        }
        let turned = Foreign {
            start: self.start,
            shape,
            strides,
            kind: self.kind,
            swapped: self.swapped,
        };
        Some((turned, back))
    }

    /// Elements that need no change.
    unsafe fn same<T: Element + Swap>(&self) -> olivine::Result<Array> {
        let aligned = (self.start as usize).is_multiple_of(align_of::<T>());
        let packed = self.strides == Self::row_major(&self.shape, size_of::<T>());
        if aligned && packed && !self.swapped && self.shape.elements() > 0 {
            // SAFETY: the caller promises readable memory; it is packed and aligned, and every
            // pattern of bits is a T, as T is a number.
            let values = unsafe {
                std::slice::from_raw_parts(self.start.cast::<T>(), self.shape.elements())
            };
            return Array::from_slice(values, self.shape.clone());
        }
        // SAFETY: passed on from the caller.
        unsafe { self.made(|value: T| value) }
    }

    unsafe fn made<S: Swap, T: Element>(&self, f: impl Fn(S) -> T) -> olivine::Result<Array> {
        let mut values = Vec::with_capacity(self.shape.elements());
        if self.shape.elements() > 0 {
            // SAFETY: passed on from the caller.
            unsafe { self.walk(0, self.start, &f, &mut values) };
        }
        Array::from_slice(&values, self.shape.clone())
    }

    /// Appends the elements from `axis` on, the first of which lies at `start`.
    unsafe fn walk<S: Swap, T>(
        &self,
        axis: usize,
        start: *const u8,
        f: &impl Fn(S) -> T,
        values: &mut Vec<T>,
    ) {
        let read = |place: *const u8| {
            // SAFETY: the caller promises an element here; it need not be aligned.
            let value = unsafe { place.cast::<S>().read_unaligned() };
            f(if self.swapped { value.swap() } else { value })
        };
        let (Some(&size), Some(&stride)) = (self.shape.get(axis), self.strides.get(axis)) else {
            values.push(read(start));
            return;
        };
        if axis + 1 == self.shape.rank() {
            let places = (0..size as isize).map(|i| start.wrapping_offset(i.wrapping_mul(stride)));
            values.extend(places.map(read));
            return;
        }
        for i in 0..size as isize {
            let place = start.wrapping_offset(i.wrapping_mul(stride));
            // SAFETY: passed on from the caller.
            unsafe { self.walk(axis + 1, place, f, values) };
        }
    }
}

/// Numbers whose bytes may stand in the other order.
pub(super) trait Swap: Copy {
    /// The number with its bytes turned round.
    fn swap(self) -> Self;
}

macro_rules! swap {
    ($($ty:ty),*) => {$(
        impl Swap for $ty {
            fn swap(self) -> Self {
                self.swap_bytes()
            }
        }
    )*};
    (bits $($ty:ty),*) => {$(
        impl Swap for $ty {
            fn swap(self) -> Self {
                <$ty>::from_bits(self.to_bits().swap_bytes())
            }
        }
    )*};
}

swap!(u8, u16, u32, u64, i8, i16, i32, i64);
swap!(bits f16, bf16, f32, f64);

impl<S: Swap> Swap for [S; 2] {
    fn swap(self) -> Self {
        self.map(Swap::swap)
    }
}
