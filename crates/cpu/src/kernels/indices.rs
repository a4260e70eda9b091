//! Owns reading index arrays: any integer dtype, negative positions wrapped, bounds checked.

use std::sync::{Mutex, PoisonError};

use olivine_core::{Element, Error, Operand, Result, dispatch};

use super::movement::Source;

/// An index array and the axis its positions count along.
pub(crate) struct Positions<'a> {
    op: &'static str,
    operand: &'a Operand,
    start: Source,
    axis: usize,
    size: usize,
}

impl<'a> Positions<'a> {
    /// Reads `operand` as positions on `axis`, which has `size` elements.
    pub(crate) fn new(op: &'static str, operand: &'a Operand, axis: usize, size: usize) -> Self {
        Positions {
            op,
            operand,
            start: Source::new(operand.ptr()),
            axis,
            size,
        }
    }

    /// Hands `place(i, position)` the position of each of `len` indices, the first of which lies
    /// `offset` elements from the array's start and the others `stride` apart.
    pub(crate) fn read(
        &self,
        offset: isize,
        stride: isize,
        len: usize,
        mut place: impl FnMut(usize, usize),
    ) -> Result<()> {
        dispatch!(integer, self.operand.dtype, I => {
            let start = self.start.get().cast::<I>().wrapping_offset(offset);
            for i in 0..len {
                // SAFETY: callers walk the strides of the operand, so the element is inside it.
                let index = unsafe { start.wrapping_offset(i as isize * stride).read() };
                place(i, self.wrap(index)?);
            }
            Ok(())
        }, else Err(Error::Dtype {
            op: self.op,
            dtype: self.operand.dtype,
            reason: "positions are integers",
        }))
    }

    #[inline]
    fn wrap<I: Element + TryInto<i64>>(&self, index: I) -> Result<usize> {
        let index: i64 = index.try_into().unwrap_or(i64::MAX);
        let size = self.size as i64;
        let position = if index < 0 { index + size } else { index };
        if (0..size).contains(&position) {
            Ok(position as usize)
        } else {
            let (op, axis, size) = (self.op, self.axis, self.size);
            Err(Error::Index {
                op,
                index,
                axis,
                size,
            })
        }
    }
}

/// Keeps an error that one of several threads met.
#[derive(Default)]
pub(crate) struct Failure(Mutex<Option<Error>>);

impl Failure {
    /// Remembers the error of a result.
    pub(crate) fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    /// The error, if there was one.
    pub(crate) fn result(self) -> Result<()> {
        let error = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        error.map_or(Ok(()), Err)
    }
}
