//! Owns how kernels over the last axis read and write rows: halves are widened to `f32` and gaps
//! are closed on the way in, and results are rounded once on the way out.

use olivine_core::{Element, bf16, f16};

use super::softmax;
use crate::{
    isa::{Isa, per_isa},
    nontemporal::NonTemporal,
    simd::{Lanes, Narrow},
    tensor::{Loops, View},
};

/// An element of rows, and the wider type that rows are computed in.
pub(crate) trait RowElement: Element {
    /// `f32`, or `f64` for itself.
    type Wide: Copy + Default + Send + Sync + 'static;
    fn widen_slice(from: &[Self], to: &mut [Self::Wide]);
    fn narrow_slice(from: &[Self::Wide], to: &mut [Self]);
    /// The same elements, if this is the wide type.
    fn as_wide(from: &[Self]) -> Option<&[Self::Wide]>;
    /// As `as_wide`, the other way.
    fn from_wide(from: &[Self::Wide]) -> Option<&[Self]>;
    fn widen_one(self) -> Self::Wide;
    fn narrow_one(value: Self::Wide) -> Self;
    /// Replaces a row by its softmax.
    fn softmax(row: &mut [Self::Wide]);
    /// The logarithm of the sum of exponentials of a row, which is overwritten.
    fn logsumexp(row: &mut [Self::Wide]) -> Self::Wide;
}

macro_rules! narrow_rows {
    ($($ty:ty, |$from:ident| $same:expr;)*) => {$(
        impl RowElement for $ty {
            type Wide = f32;
            fn widen_slice(from: &[Self], to: &mut [f32]) {
                widen(from, to);
            }
            fn narrow_slice(from: &[f32], to: &mut [Self]) {
                narrow(from, to);
            }
            fn as_wide($from: &[Self]) -> Option<&[f32]> {
                $same
            }
            fn from_wide($from: &[f32]) -> Option<&[Self]> {
                $same
            }
            fn widen_one(self) -> f32 {
                self.widen()
            }
            fn narrow_one(value: f32) -> Self {
                Self::narrow(value)
            }
            fn softmax(row: &mut [f32]) {
                softmax::softmax_f32(row);
            }
            fn logsumexp(row: &mut [f32]) -> f32 {
                softmax::logsumexp_f32(row)
            }
        }
    )*};
}

narrow_rows! {
    f16, |_from| None;
    bf16, |_from| None;
    f32, |from| Some(from);
}

impl RowElement for f64 {
    type Wide = f64;
    fn widen_slice(from: &[f64], to: &mut [f64]) {
        to.copy_from_slice(from);
    }
    fn narrow_slice(from: &[f64], to: &mut [f64]) {
        to.copy_from_slice(from);
    }
    fn as_wide(from: &[f64]) -> Option<&[f64]> {
        Some(from)
    }
    fn from_wide(from: &[f64]) -> Option<&[f64]> {
        Some(from)
    }
    fn widen_one(self) -> f64 {
        self
    }
    fn narrow_one(value: f64) -> f64 {
        value
    }
    fn softmax(row: &mut [f64]) {
        let shift = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for x in row.iter_mut() {
            *x = (*x - shift).exp();
            sum += *x;
        }
        for x in row {
            *x /= sum;
        }
    }
    fn logsumexp(row: &mut [f64]) -> f64 {
        let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shift = if greatest.is_finite() { greatest } else { 0.0 };
        row.iter().map(|x| (x - shift).exp()).sum::<f64>().ln() + shift
    }
}

per_isa! {
    pub(crate) fn widen<T: Narrow>(from: &[T], to: &mut [f32]) = widen_body;
}

#[inline(always)]
fn widen_body<S: Lanes, T: Narrow>(from: &[T], to: &mut [f32]) {
    let len = from.len().min(to.len());
    let whole = len - len % S::N;
    for i in (0..whole).step_by(S::N) {
        // SAFETY: so many elements are left of both.
        unsafe { S::store(T::load::<S>(from.as_ptr().add(i)), to.as_mut_ptr().add(i)) };
    }
    for (to, from) in to.iter_mut().zip(from).skip(whole) {
        *to = from.widen();
    }
}

per_isa! {
    pub(crate) fn narrow<T: Narrow>(from: &[f32], to: &mut [T]) = narrow_body;
}

#[inline(always)]
fn narrow_body<S: Isa, T: Narrow>(from: &[f32], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = T::narrow(*from);
    }
}

/// Writes rows of results that were computed in the wide type, past the caches if they are many.
pub(crate) struct RowWriter<T> {
    past: Option<NonTemporal>,
    /// A row before it is written past the caches.
    room: Vec<T>,
}

impl<T: Element> RowWriter<T> {
    /// For a thread's share of `results` in all.
    pub(crate) fn new(results: usize) -> Self {
        let past = NonTemporal::suits(results * size_of::<T>()).then(NonTemporal::new);
        RowWriter {
            past,
            room: Vec::new(),
        }
    }

    /// Writes a row by a function that fills one.
    pub(crate) fn write(&mut self, to: &mut [T], fill: impl FnOnce(&mut [T])) {
        let Some(past) = &self.past else {
            fill(to);
            return;
        };
        self.room.resize(to.len(), T::default());
        fill(&mut self.room);
        past.copy_slice(&self.room, to);
    }
}

impl<T: RowElement> RowWriter<T> {
    /// Writes a row that lies in memory.
    pub(crate) fn write_wide(&mut self, from: &[T::Wide], to: &mut [T]) {
        match (&self.past, T::from_wide(from)) {
            (Some(past), Some(from)) => past.copy_slice(from, to),
            _ => self.write(to, |to| T::narrow_slice(from, to)),
        }
    }
}

/// The rows along the last axis of a view of any layout; a scalar is one row of one element.
pub(crate) struct Rows<'a, T> {
    view: View<'a, T>,
    outer: Loops<1>,
    len: usize,
    step: isize,
}

impl<'a, T: RowElement> Rows<'a, T> {
    pub(crate) fn new(view: View<'a, T>) -> Self {
        let outer = view.shape.rank().saturating_sub(1);
        Rows {
            outer: Loops::new(&view.shape[..outer], [&view.strides[..outer]]),
            len: view.shape.last().copied().unwrap_or(1),
            step: view.strides.last().copied().unwrap_or(1),
            view,
        }
    }

    /// The length of a row.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of rows.
    pub(crate) fn count(&self) -> usize {
        self.outer.elements()
    }

    /// The elements of a row, if they are neighbours.
    ///
    /// # Safety
    /// `row` must be less than the count, and the row not be written to meanwhile.
    pub(crate) unsafe fn slice(&self, row: usize) -> Option<&'a [T]> {
        if self.step != 1 && self.len > 1 {
            return None;
        }
        // SAFETY: the start is that of a row of the view.
        Some(unsafe { std::slice::from_raw_parts(self.start(row), self.len) })
    }

    /// A row as it is, or copied to `room` if its elements are not neighbours.
    ///
    /// # Safety
    /// As for `slice`.
    pub(crate) unsafe fn elements<'b>(&self, row: usize, room: &'b mut [T]) -> &'b [T]
    where
        'a: 'b,
    {
        // SAFETY: passed on to the caller.
        if let Some(slice) = unsafe { self.slice(row) } {
            return slice;
        }
        let start = self.start(row);
        for (i, to) in room.iter_mut().enumerate() {
            // SAFETY: the stride leads to the row's elements.
            *to = unsafe { start.wrapping_offset(i as isize * self.step).read() };
        }
        room
    }

    /// A row in the wider type: as it is if that is its type and it has no gaps, else in `room`.
    ///
    /// # Safety
    /// As for `slice`.
    pub(crate) unsafe fn wide<'b>(&self, row: usize, room: &'b mut [T::Wide]) -> &'b [T::Wide]
    where
        'a: 'b,
    {
        // SAFETY: passed on to the caller.
        unsafe {
            if let Some(slice) = self.slice(row).and_then(T::as_wide) {
                return slice;
            }
            self.read(row, room);
        }
        room
    }

    /// Copies a row.
    ///
    /// # Safety
    /// `row` must be less than the count.
    pub(crate) unsafe fn read(&self, row: usize, to: &mut [T::Wide]) {
        // SAFETY: passed on to the caller.
        if let Some(from) = unsafe { self.slice(row) } {
            T::widen_slice(from, to);
            return;
        }
        let start = self.start(row);
        for (i, to) in to.iter_mut().enumerate() {
            // SAFETY: the stride leads to the row's elements.
            *to = unsafe { start.wrapping_offset(i as isize * self.step).read() }.widen_one();
        }
    }

    fn start(&self, row: usize) -> *const T {
        let (sizes, strides) = (self.outer.sizes(), self.outer.strides());
        let mut position = row;
        let mut offset = 0;
        for (&size, [stride]) in sizes.iter().zip(strides).rev() {
            offset += (position % size) as isize * stride;
            position /= size;
        }
        self.view.ptr.wrapping_offset(offset)
    }
}
