//! Owns how kernels look at memory: typed views of operands, outputs, and loops over strides.

use std::{marker::PhantomData, ops::Range};

use olivine_core::{Call, Dtype, Element, Error, Operand, Result, Shape};
use smallvec::SmallVec;

/// A typed look at an input of any layout.
///
/// If a kernel lets an output take over an input's memory, it must not hold a slice of that input
/// while it writes.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    pub(crate) ptr: *const T,
    pub(crate) shape: &'a Shape,
    pub(crate) strides: &'a [isize],
}

// SAFETY: a view only reads memory that the operand behind it keeps alive and nobody writes.
unsafe impl<T: Sync> Send for View<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for View<'_, T> {}

impl<'a, T: Element> View<'a, T> {
    /// Views an operand, whose dtype must be `T`'s.
    pub(crate) fn new(operand: &'a Operand, op: &'static str) -> Result<Self> {
        if operand.dtype != T::DTYPE {
            return Err(wrong_dtype(op, operand.dtype));
        }
        Ok(View {
            ptr: operand.ptr().cast(),
            shape: &operand.shape,
            strides: &operand.data.strides,
        })
    }
}

/// The error of a kernel that was handed a dtype `infer` should have kept away.
pub(crate) fn wrong_dtype(op: &'static str, dtype: Dtype) -> Error {
    let reason = "the CPU has no kernel for it; convert with astype first";
    Error::Dtype { op, dtype, reason }
}

/// An output's elements, which threads fill in parts.
///
/// The memory is initialised but holds what was there before.
pub(crate) struct Output<'a, T> {
    ptr: *mut T,
    len: usize,
    marker: PhantomData<&'a mut [T]>,
}

// SAFETY: threads get at disjoint parts only, by the contract of `part`.
unsafe impl<T: Send> Send for Output<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'a, T: Element> Output<'a, T> {
    /// Gives output `i` of a call fresh row-major memory. Its dtype must be `T`'s.
    pub(crate) fn allocate(call: &mut Call<'a>, i: usize, op: &'static str) -> Result<Self> {
        if call.dtype(i) != T::DTYPE {
            return Err(wrong_dtype(op, call.dtype(i)));
        }
        let len = call.shape(i).elements();
        let ptr = call.allocate(i)?.cast();
        Ok(Output {
            ptr,
            len,
            marker: PhantomData,
        })
    }

    /// Lets output `i` take over the memory of an input among `candidates`, if nobody else holds
    /// it and it lies in row-major order; otherwise allocates.
    pub(crate) fn reuse(
        call: &mut Call<'a>,
        i: usize,
        candidates: &[usize],
        op: &'static str,
    ) -> Result<Self> {
        if call.dtype(i) != T::DTYPE {
            return Err(wrong_dtype(op, call.dtype(i)));
        }
        let shape = call.shape(i);
        let strides = shape.contiguous_strides();
        let ptr = call.reuse_or_allocate(i, strides, candidates)?.cast();
        Ok(Output {
            ptr,
            len: shape.elements(),
            marker: PhantomData,
        })
    }

    /// Elements that are ours alone.
    pub(crate) fn over(elements: &'a mut [T]) -> Self {
        Output {
            ptr: elements.as_mut_ptr(),
            len: elements.len(),
            marker: PhantomData,
        }
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The address of the first element.
    pub(crate) fn ptr(&self) -> *mut T {
        self.ptr
    }

    /// All elements.
    pub(crate) fn slice(&mut self) -> &mut [T] {
        // SAFETY: the memory is fresh, ours alone, initialised, and `len` elements long.
        unsafe { std::slice::from_raw_parts_mut(self.ptr, self.len) }
    }

    /// The elements in `range`.
    ///
    /// # Safety
    /// No two parts that are alive at the same time may overlap.
    #[expect(
        clippy::mut_from_ref,
        reason = "threads share the output and take disjoint parts"
    )]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: in bounds by the check above; disjoint by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(range.start), range.len()) }
    }
}

/// Nested loops over one shape with the strides of `N` operands. Axes are merged where that is
/// possible, so that the innermost loop is long.
#[derive(Clone, Debug)]
pub(crate) struct Loops<const N: usize> {
    sizes: SmallVec<[usize; 6]>,
    strides: SmallVec<[[isize; N]; 6]>,
    elements: usize,
}

impl<const N: usize> Loops<N> {
    /// Loops over `shape`; each operand's strides have one entry for each axis.
    pub(crate) fn new(shape: &[usize], strides: [&[isize]; N]) -> Self {
        let mut loops = Loops {
            sizes: SmallVec::new(),
            strides: SmallVec::new(),
            elements: shape.iter().product(),
        };
        for (axis, &size) in shape.iter().enumerate() {
            if size == 1 {
                continue;
            }
            let steps: [isize; N] = std::array::from_fn(|k| strides[k][axis]);
            if let (Some(last), Some(last_steps)) =
                (loops.sizes.last_mut(), loops.strides.last_mut())
                && (0..N).all(|k| last_steps[k] == steps[k] * size as isize)
            {
                *last *= size;
                *last_steps = steps;
            } else {
                loops.sizes.push(size);
                loops.strides.push(steps);
            }
        }
        if loops.sizes.is_empty() {
            loops.sizes.push(1);
            loops.strides.push([0; N]);
        }
        loops
    }

    /// The number of elements.
    pub(crate) fn elements(&self) -> usize {
        self.elements
    }

    /// The merged sizes, outermost first; never empty.
    pub(crate) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The operands' strides along the merged axes.
    pub(crate) fn strides(&self) -> &[[isize; N]] {
        &self.strides
    }

    /// The length of the innermost loop.
    pub(crate) fn inner_len(&self) -> usize {
        self.sizes[self.sizes.len() - 1]
    }

    /// The operands' strides in the innermost loop.
    pub(crate) fn inner_strides(&self) -> [isize; N] {
        self.strides[self.strides.len() - 1]
    }

    /// Calls `body` for runs along the innermost axis that cover the row-major positions in `range`,
    /// with each operand's offset in elements and the run's length.
    #[inline]
    pub(crate) fn for_each_run(
        &self,
        range: Range<usize>,
        mut body: impl FnMut([isize; N], usize),
    ) {
        let (mut left, inner) = (range.len(), self.sizes.len() - 1);
        if left == 0 {
            return;
        }
        debug_assert!(range.end <= self.elements);
        let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, self.sizes.len());
        let mut offsets = [0isize; N];
        let mut rest = range.start;
        for axis in (0..=inner).rev() {
            index[axis] = rest % self.sizes[axis];
            rest /= self.sizes[axis];
            for (offset, step) in offsets.iter_mut().zip(self.strides[axis]) {
                *offset += step * index[axis] as isize;
            }
        }
        loop {
            let run = (self.sizes[inner] - index[inner]).min(left);
            body(offsets, run);
            left -= run;
            if left == 0 {
                return;
            }
            // The run ended at the end of the inner axis: back to its start, and carry outwards.
            for (offset, step) in offsets.iter_mut().zip(self.strides[inner]) {
                *offset -= step * index[inner] as isize;
            }
            index[inner] = 0;
            for axis in (0..inner).rev() {
                index[axis] += 1;
                if index[axis] < self.sizes[axis] {
                    for (offset, step) in offsets.iter_mut().zip(self.strides[axis]) {
                        *offset += step;
                    }
                    break;
                }
                for (offset, step) in offsets.iter_mut().zip(self.strides[axis]) {
                    *offset -= step * (self.sizes[axis] as isize - 1);
                }
                index[axis] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(shape: &[usize], strides: &[isize], range: Range<usize>) -> Vec<isize> {
        let loops = Loops::new(shape, [strides]);
        let [step] = loops.inner_strides();
        let mut seen = Vec::new();
        loops.for_each_run(range, |[start], len| {
            seen.extend((0..len as isize).map(|i| start + i * step));
        });
        seen
    }

    #[test]
    fn contiguous_axes_merge_into_one() {
        let loops = Loops::new(&[2, 3, 4], [&[12, 4, 1], &[12, 4, 1]]);
        assert_eq!(loops.sizes(), [24]);
        let loops = Loops::new(&[2, 3, 4], [&[12, 4, 1], &[0, 4, 1]]);
        assert_eq!(loops.sizes(), [2, 12]);
    }

    #[test]
    fn runs_follow_row_major_order_from_any_start() {
        let expected: Vec<isize> = (0..2)
            .flat_map(|i| (0..3).flat_map(move |j| (0..4).map(move |k| i * 100 + j - 7 * k)))
            .collect();
        for start in 0..24 {
            for end in start..=24 {
                let seen = offsets(&[2, 3, 1, 4], &[100, 1, 55, -7], start..end);
                assert_eq!(seen, expected[start..end]);
            }
        }
    }

    #[test]
    fn a_scalar_is_one_run() {
        assert_eq!(offsets(&[], &[], 0..1), [0]);
        assert_eq!(offsets(&[0, 3], &[3, 1], 0..0), [0; 0]);
    }
}
