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
        let mut runs = Runs::new(self, range);
        while runs.count > 0 {
            let mut offsets = runs.offsets;
            for _ in 0..runs.count {
                body(offsets, runs.len);
                for (offset, step) in offsets.iter_mut().zip(runs.step) {
                    *offset += step;
                }
            }
            runs.advance();
        }
    }
}

/// Where a walk over loops is: at some runs of equal length. Its steps are compiled once, whatever
/// is done with the runs.
struct Runs<'a, const N: usize> {
    loops: &'a Loops<N>,
    index: SmallVec<[usize; 6]>,
    /// The operands' offsets at the start of the first of these runs.
    offsets: [isize; N],
    /// From run to run.
    step: [isize; N],
    /// The length of each run.
    len: usize,
    /// The number of runs.
    count: usize,
    /// The elements of these runs and those after them.
    left: usize,
}

impl<'a, const N: usize> Runs<'a, N> {
    #[inline(never)]
    fn new(loops: &'a Loops<N>, range: Range<usize>) -> Self {
        debug_assert!(range.is_empty() || range.end <= loops.elements);
        let inner = loops.sizes.len() - 1;
        let mut runs = Runs {
            loops,
            index: SmallVec::from_elem(0, loops.sizes.len()),
            offsets: [0; N],
            step: inner.checked_sub(1).map_or([0; N], |i| loops.strides[i]),
            len: 0,
            count: 0,
            left: range.len(),
        };
        if runs.left == 0 {
            return runs;
        }
        let mut rest = range.start;
        for (axis, (size, steps)) in loops.sizes.iter().zip(&loops.strides).enumerate().rev() {
            runs.index[axis] = rest % size;
            rest /= size;
            for (offset, step) in runs.offsets.iter_mut().zip(steps) {
                *offset += step * runs.index[axis] as isize;
            }
        }
        runs.measure();
        runs
    }

    /// Finds out how long the run from here on is, and how many like it follow.
    fn measure(&mut self) {
        let sizes = &self.loops.sizes;
        let inner = sizes.len() - 1;
        self.len = (sizes[inner] - self.index[inner]).min(self.left);
        self.count = 1;
        if inner > 0 && self.len == sizes[inner] {
            let rest = sizes[inner - 1] - self.index[inner - 1];
            self.count = rest.min(self.left / self.len);
        }
    }

    /// Goes on to the runs that follow these.
    #[inline(never)]
    fn advance(&mut self) {
        self.left -= self.count * self.len;
        if self.left == 0 {
            self.count = 0;
            return;
        }
        let Loops { sizes, strides, .. } = self.loops;
        let inner = sizes.len() - 1;
        // The last run ended at the end of the inner axis: back to its start, and carry outwards.
        for (offset, step) in self.offsets.iter_mut().zip(strides[inner]) {
            *offset -= step * self.index[inner] as isize;
        }
        self.index[inner] = 0;
        let mut taken = self.count;
        for axis in (0..inner).rev() {
            self.index[axis] += taken;
            for (offset, step) in self.offsets.iter_mut().zip(strides[axis]) {
                *offset += step * taken as isize;
            }
            if self.index[axis] < sizes[axis] {
                break;
            }
            for (offset, step) in self.offsets.iter_mut().zip(strides[axis]) {
                *offset -= step * sizes[axis] as isize;
            }
            self.index[axis] = 0;
            taken = 1;
        }
        self.measure();
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
