//! Owns the loop around scalar kernels: layouts, halves, threads, and outputs that replace inputs.
//!
//! A [`Loop`] sees only gapless blocks that do not overlap. Strided and broadcast inputs are
//! gathered into blocks on the stack first, halves are widened there, and an output that takes an
//! input's place is written there and copied: so each operation is compiled once per dtype.

use std::{mem::MaybeUninit, sync::Arc};

use olivine_core::{Buffer, Call, Dtype, Operand, Result, shape::Strides};
use smallvec::SmallVec;

use super::{
    copy::{pack_strided, transposed},
    scalar::halves,
};
use crate::{nontemporal::NonTemporal, pool::parallel_for, tensor::Loops};

/// Computes `count` elements of the output from as many of each input. All are gapless and aligned
/// for their types; the output overlaps no input.
pub(crate) type Loop = unsafe fn(inputs: [*const u8; 3], output: *mut u8, count: usize);

/// How to compute an operation for some dtype.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// The loop, over inputs that were widened and to be narrowed where that is asked for.
    pub(crate) body: Loop,
    /// The dtype of halves that the loop takes as `f32`.
    pub(crate) widen: Option<Dtype>,
    /// The dtype of halves that the loop's `f32` results become.
    pub(crate) narrow: Option<Dtype>,
    /// Roughly how many additions an element costs.
    pub(crate) cost: usize,
}

impl Plan {
    /// A plan without conversions.
    pub(crate) fn new(body: Loop, cost: usize) -> Plan {
        Plan {
            body,
            widen: None,
            narrow: None,
            cost,
        }
    }
}

/// Elements in a block: small enough that every block of a call stays in the first-level cache.
pub(super) const BLOCK: usize = 512;

/// Room for a block of any dtype.
type Block = [MaybeUninit<u64>; BLOCK];

const EMPTY: Block = [MaybeUninit::uninit(); BLOCK];

/// Where an input's elements come from, in the order of the output's.
pub(super) enum Source {
    /// Gapless, in the same order.
    Same(*const u8),
    /// One element for all.
    One(*const u8),
    /// Any strides.
    Strided(*const u8, Loops<1>),
}

// SAFETY: a source only reads the memory of an operand that the call keeps alive.
unsafe impl Sync for Source {}

#[derive(Clone, Copy)]
pub(super) struct Address(pub(super) *mut u8);

// SAFETY: threads write disjoint ranges.
unsafe impl Sync for Address {}

impl Address {
    pub(super) fn get(self) -> *mut u8 {
        self.0
    }
}

/// Runs a plan over the first `N` inputs of a call, which have the output's shape.
pub(crate) fn run<const N: usize>(plan: Plan, call: &mut Call) -> Result<()> {
    let shape = call.shape(0);
    let count = shape.elements();
    let kept = kept_order::<N>(call);
    let strides = match &kept {
        Some((_, strides)) => strides.clone(),
        None => shape.contiguous_strides(),
    };
    // The operands' axes in the order of the output's memory, in which it is gapless.
    let axes = kept.as_ref().map(|(axes, _)| &axes[..]);
    let mut packed: [Option<Arc<dyn Buffer>>; N] = [const { None }; N];
    let mut sources = [const { Source::Same(std::ptr::null()) }; N];
    for i in 0..N {
        sources[i] = source(call.input(i), axes, &strides);
        if let Source::Strided(ptr, loops) = &sources[i]
            && count >= LARGE
            && transposed(loops).is_some()
        {
            let (sizes, steps) = (loops.sizes(), loops.strides());
            let steps: SmallVec<[isize; 6]> = steps.iter().map(|[step]| *step).collect();
            let size = call.input(i).dtype.size();
            let buffer = call.scratch(count * size)?;
            let start = buffer.host().as_ptr();
            // SAFETY: the loops are those of the input, and the scratch memory holds `count`
            // elements.
            unsafe { pack_strided(*ptr, sizes, &steps, size, start) };
            packed[i] = Some(buffer);
            sources[i] = Source::Same(start);
        }
    }
    let candidates: [usize; N] = std::array::from_fn(|i| i);
    let output = Address(call.reuse_or_allocate(0, strides, &candidates)?);
    let sizes: [usize; N] = std::array::from_fn(|i| call.input(i).dtype.size());
    let output_size = call.dtype(0).size();
    let replaces = call.inputs()[..N]
        .iter()
        .any(|input| input.ptr().cast_mut() == output.0);
    let work = Work {
        plan,
        sources,
        sizes,
        output_size,
        replaces,
        past: NonTemporal::suits(count * output_size) && !replaces,
    };
    if count <= 1 {
        if count == 1 {
            work.range(output.get(), 0, 1);
        }
        return Ok(());
    }
    parallel_for(count, plan.cost, |range| {
        work.range(output.get(), range.start, range.len());
    });
    Ok(())
}

/// From this many elements on, transposed inputs are worth a copy in the output's order.
const LARGE: usize = 1 << 14;

/// Axes in the order of memory, outermost first.
pub(super) type Order = SmallVec<[usize; 6]>;

/// The order of axes and the strides that the output takes over from its inputs, if they are
/// gapless but not row-major: computing transposed arrays then costs no more than others.
fn kept_order<const N: usize>(call: &Call) -> Option<(Order, Strides)> {
    let inputs = &call.inputs()[..N];
    if inputs.iter().any(Operand::is_contiguous) {
        return None;
    }
    order_of(
        call.shape(0),
        inputs.iter().map(|input| &input.data.strides),
    )
}

/// The order of the first of some strides over `shape` that leave no gaps.
pub(super) fn order_of<'a>(
    shape: &[usize],
    mut strides: impl Iterator<Item = &'a Strides>,
) -> Option<(Order, Strides)> {
    strides.find_map(|strides| {
        let mut axes: Order = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        axes.sort_by_key(|&axis| std::cmp::Reverse(strides[axis]));
        let mut step = 1;
        for &axis in axes.iter().rev() {
            if strides[axis] != step {
                return None;
            }
            step *= shape[axis] as isize;
        }
        Some((axes, strides.clone()))
    })
}

fn source(input: &Operand, order: Option<&[usize]>, output: &Strides) -> Source {
    Source::new(
        (input.ptr(), &input.data.strides),
        &input.shape,
        order,
        output,
    )
}

impl Source {
    /// Elements at `ptr` with `strides` over `shape`, for an output with strides of its own whose
    /// axes lie in `order`.
    pub(super) fn new(
        (ptr, strides): (*const u8, &Strides),
        shape: &[usize],
        order: Option<&[usize]>,
        output: &Strides,
    ) -> Source {
        let wide = || {
            shape
                .iter()
                .zip(strides)
                .enumerate()
                .filter(|(_, (size, _))| **size != 1)
        };
        if wide().all(|(i, (_, s))| *s == output[i]) {
            return Source::Same(ptr);
        }
        if wide().all(|(_, (_, stride))| *stride == 0) {
            return Source::One(ptr);
        }
        let Some(order) = order else {
            return Source::Strided(ptr, Loops::new(shape, [strides]));
        };
        let shape: SmallVec<[usize; 6]> = order.iter().map(|&axis| shape[axis]).collect();
        let strides: SmallVec<[isize; 6]> = order.iter().map(|&axis| strides[axis]).collect();
        Source::Strided(ptr, Loops::new(&shape, [&strides]))
    }
}

struct Work<const N: usize> {
    plan: Plan,
    sources: [Source; N],
    sizes: [usize; N],
    output_size: usize,
    /// True if the output lies where an input does.
    replaces: bool,
    /// True if it is written past the caches.
    past: bool,
}

impl<const N: usize> Work<N> {
    /// Computes `count` elements from position `start` on.
    fn range(&self, output: *mut u8, start: usize, count: usize) {
        let converts = self.plan.widen.is_some() || self.plan.narrow.is_some();
        let direct = !converts && !self.replaces && !self.past;
        if direct && self.sources.iter().all(|s| matches!(s, Source::Same(_))) {
            let mut inputs = [std::ptr::null(); 3];
            for (input, (source, size)) in
                inputs.iter_mut().zip(self.sources.iter().zip(self.sizes))
            {
                if let Source::Same(ptr) = source {
                    *input = ptr.wrapping_add(start * size);
                }
            }
            // SAFETY: all inputs have the output's elements in its order, from `start` on there are
            // `count`, and the output replaces none of them.
            unsafe {
                (self.plan.body)(inputs, output.wrapping_add(start * self.output_size), count);
            };
            return;
        }
        self.blocks(output, start, count);
    }

    fn blocks(&self, output: *mut u8, start: usize, count: usize) {
        let mut gathered = [EMPTY; N];
        let mut widened = [EMPTY; N];
        let mut result = EMPTY;
        let mut narrowed = EMPTY;
        let mut inputs = [std::ptr::null(); 3];
        let width = |i: usize| {
            if self.plan.widen.is_some() {
                4
            } else {
                self.sizes[i]
            }
        };
        for i in 0..N {
            if let Source::One(ptr) = &self.sources[i] {
                let mut one = *ptr;
                if let Some(dtype) = self.plan.widen {
                    // SAFETY: one half is read, and the block has room for one float.
                    unsafe { halves::widen(dtype, one, widened[i].as_mut_ptr().cast(), 1) };
                    one = widened[i].as_ptr().cast();
                }
                let block: *mut u8 = gathered[i].as_mut_ptr().cast();
                // SAFETY: the block has room for this many elements of any size.
                unsafe { fill(one, block, width(i), count.min(BLOCK)) };
                inputs[i] = block;
            }
        }
        let past = self.past.then(NonTemporal::new);
        let mut done = 0;
        while done < count {
            let position = start + done;
            // Blocks begin with lines of the cache, wherever the first one does.
            let len = (count - done).min(BLOCK - position % BLOCK);
            for i in 0..N {
                let mut ptr = match &self.sources[i] {
                    Source::One(_) => continue,
                    Source::Same(ptr) => ptr.wrapping_add(position * self.sizes[i]),
                    Source::Strided(ptr, loops) => {
                        let block: *mut u8 = gathered[i].as_mut_ptr().cast();
                        // SAFETY: the loops stay inside the operand; the block holds `len` elements.
                        unsafe { gather(*ptr, loops, position, len, self.sizes[i], block) };
                        block
                    }
                };
                if let Some(dtype) = self.plan.widen {
                    let block: *mut u8 = widened[i].as_mut_ptr().cast();
                    // SAFETY: `len` halves lie at `ptr`, and the block has room for as many floats.
                    unsafe { halves::widen(dtype, ptr, block.cast(), len) };
                    ptr = block;
                }
                inputs[i] = ptr;
            }
            let target = output.wrapping_add(position * self.output_size);
            // SAFETY: every input has `len` elements; the blocks have room for `len`; the output is
            // written in place only where it replaces no input.
            unsafe {
                let mut block = result.as_mut_ptr().cast::<u8>();
                if self.plan.narrow.is_none() && !self.replaces && past.is_none() {
                    block = target;
                }
                (self.plan.body)(inputs, block, len);
                if let Some(dtype) = self.plan.narrow {
                    let halves = narrowed.as_mut_ptr().cast::<u8>();
                    halves::narrow(dtype, block.cast(), halves.cast(), len);
                    block = halves;
                }
                let bytes = len * self.output_size;
                match &past {
                    Some(past) => past.copy(block, target, bytes),
                    None if block != target => target.copy_from_nonoverlapping(block, bytes),
                    None => {}
                }
            }
            done += len;
        }
    }
}

/// Repeats one element of `size` bytes.
///
/// # Safety
/// `target` must have room for `count` elements and be aligned for them.
pub(super) unsafe fn fill(one: *const u8, target: *mut u8, size: usize, count: usize) {
    macro_rules! fill {
        ($ty:ty) => {{
            // SAFETY: the caller's promise; the element is readable.
            unsafe {
                let value = one.cast::<$ty>().read();
                for i in 0..count {
                    target.cast::<$ty>().add(i).write(value);
                }
            }
        }};
    }
    match size {
        1 => fill!(u8),
        2 => fill!(u16),
        4 => fill!(u32),
        _ => fill!(u64),
    }
}

/// Copies the elements at row-major positions `start..start + count` of strided loops to a gapless
/// target.
///
/// # Safety
/// The loops must stay inside readable memory around `source`, and `target` must have room.
pub(crate) unsafe fn gather(
    source: *const u8,
    loops: &Loops<1>,
    start: usize,
    count: usize,
    size: usize,
    target: *mut u8,
) {
    // SAFETY: passed on from the caller.
    unsafe {
        match size {
            1 => gather_as::<u8>(source.cast(), loops, start, count, target.cast()),
            2 => gather_as::<u16>(source.cast(), loops, start, count, target.cast()),
            4 => gather_as::<u32>(source.cast(), loops, start, count, target.cast()),
            _ => gather_as::<u64>(source.cast(), loops, start, count, target.cast()),
        }
    }
}

unsafe fn gather_as<T: Copy>(
    source: *const T,
    loops: &Loops<1>,
    start: usize,
    count: usize,
    mut target: *mut T,
) {
    let [step] = loops.inner_strides();
    loops.for_each_run(start..start + count, |[offset], len| {
        let source = source.wrapping_offset(offset);
        // SAFETY: the run's elements are readable and `target` has room for all runs.
        unsafe {
            if step == 1 {
                target.copy_from_nonoverlapping(source, len);
            } else {
                for i in 0..len {
                    target
                        .add(i)
                        .write(source.wrapping_offset(step * i as isize).read());
                }
            }
            target = target.add(len);
        }
    });
}
