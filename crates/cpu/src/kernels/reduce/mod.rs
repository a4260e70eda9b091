//! Owns reductions over any axes of any layout: the loops. What they combine is in `fold`.

mod fold;
#[cfg(test)]
mod tests;

use std::ops::Range;

use olivine_core::{
    Call, Dtype, Operand, Result, dispatch,
    ops::reduce::{Reduce, Reduction},
};
use smallvec::SmallVec;

pub(super) use self::fold::Ordered;
use self::fold::{AllOf, AnyOf, Fold, MaxOf, MinOf, ProdOf, SumOf};
use crate::{
    isa::{Isa, per_isa},
    pool::{num_threads, parallel_for},
    tensor::{Output, View, wrong_dtype},
};

/// Runs the kernel.
pub(super) fn run(reduce: &Reduce, call: &mut Call) -> Result<()> {
    run_on(None, reduce, call)
}

/// Reduces an operand that is no input of the call, or else input 0.
pub(super) fn run_on(given: Option<&Operand>, reduce: &Reduce, call: &mut Call) -> Result<()> {
    let dtype = given.unwrap_or_else(|| call.input(0)).dtype;
    match reduce.reduction {
        Reduction::Sum => dispatch!(all, dtype, T => fold::<SumOf<T>>(given, reduce, call)),
        Reduction::Prod => dispatch!(all, dtype, T => fold::<ProdOf<T>>(given, reduce, call)),
        Reduction::Min => dispatch!(all, dtype, T => fold::<MinOf<T>>(given, reduce, call)),
        Reduction::Max => dispatch!(all, dtype, T => fold::<MaxOf<T>>(given, reduce, call)),
        Reduction::All if dtype == Dtype::Bool => fold::<AllOf>(given, reduce, call),
        Reduction::Any if dtype == Dtype::Bool => fold::<AnyOf>(given, reduce, call),
        Reduction::All => Err(wrong_dtype("all", dtype)),
        Reduction::Any => Err(wrong_dtype("any", dtype)),
    }
}

/// One axis: its size, and the distances between neighbours in the input and in the output.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    input: isize,
    output: isize,
    reduced: bool,
}

/// How a reduction walks through memory: in the order in which the input lies there.
struct Plan {
    /// Elements from the input's first one to where the walk starts.
    start: isize,
    kept: SmallVec<[Axis; 6]>,
    /// All reduced axes but `run`, outermost first.
    reduced: SmallVec<[Axis; 6]>,
    /// The innermost axis if it is kept.
    columns: Option<Axis>,
    /// The innermost axis if it is reduced.
    run: Axis,
}

impl Plan {
    fn new(reduce: &Reduce, input: &Operand, output: &[isize]) -> Plan {
        let mut start = 0;
        let mut axes: SmallVec<[Axis; 6]> = SmallVec::new();
        for (i, (&size, &stride)) in input.shape.iter().zip(&input.data.strides).enumerate() {
            let reduced = reduce.axes.contains(&i);
            if size == 1 {
                continue;
            }
            let mut axis = Axis {
                size,
                input: stride,
                output: output[i],
                reduced,
            };
            if reduced && stride < 0 {
                // The order within a reduced axis does not matter: walk it forwards.
                start += stride * (size as isize - 1);
                axis.input = -stride;
            }
            axes.push(axis);
        }
        // Largest steps outermost; repeated elements further out still.
        axes.sort_by_key(|axis| match axis.input.unsigned_abs() {
            0 => 0,
            step => usize::MAX - step,
        });
        let mut merged: SmallVec<[Axis; 6]> = SmallVec::new();
        for axis in axes {
            match merged.last_mut() {
                Some(outer)
                    if outer.reduced == axis.reduced
                        && outer.input == axis.input * axis.size as isize
                        && (axis.reduced || outer.output == axis.output * axis.size as isize) =>
                {
                    *outer = Axis {
                        size: outer.size * axis.size,
                        ..axis
                    };
                }
                _ => merged.push(axis),
            }
        }
        let one = Axis {
            size: 1,
            input: 1,
            output: 1,
            reduced: true,
        };
        let (columns, run) = match merged.pop() {
            Some(axis) if axis.reduced => (None, axis),
            Some(axis) => (Some(axis), one),
            None => (None, one),
        };
        let (reduced, kept) = merged.into_iter().partition(|axis| axis.reduced);
        Plan {
            start,
            kept,
            reduced,
            columns,
            run,
        }
    }

    /// The size of the axis that threads may share: the outermost reduced one.
    fn shared(&self) -> usize {
        self.reduced.first().map_or(self.run.size, |axis| axis.size)
    }
}

/// Offsets in the input and in the output of a row-major position among `axes`.
fn locate(axes: &[Axis], mut position: usize) -> (isize, isize) {
    let (mut input, mut output) = (0, 0);
    for axis in axes.iter().rev() {
        let index = (position % axis.size) as isize;
        position /= axis.size;
        input += index * axis.input;
        output += index * axis.output;
    }
    (input, output)
}

fn elements(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.size).product()
}

/// Columns that are reduced side by side; their accumulators stay in the first-level cache.
const BLOCK: usize = 1024;

/// Elements, or rows of columns, that are combined before their result joins the total. Short
/// runs keep rounding errors of sums small.
pub(super) const RUN: usize = 1024;
const ROWS: usize = 64;

/// A reduction of contiguous elements that come in pieces, with the types erased.
///
/// It gives the same bits as the kernel does for the same pieces.
#[derive(Clone, Copy)]
pub(super) struct Folding {
    /// The total of nothing.
    pub(super) zero: Total,
    /// Takes contiguous elements in; but for the last piece they are a multiple of [`RUN`].
    pub(super) absorb: unsafe fn(Total, *const u8, usize) -> Total,
    /// The total of two.
    pub(super) join: fn(Total, Total) -> Total,
    /// Writes a total as an element of the output.
    pub(super) finish: unsafe fn(Total, *mut u8),
}

/// A total of any reduction, in its bytes.
#[derive(Clone, Copy)]
pub(super) struct Total([u64; 2]);

impl Total {
    fn pack<T: Copy>(total: T) -> Total {
        const { assert!(size_of::<T>() <= 16 && align_of::<T>() <= 8) };
        let mut bytes = [0u64; 2];
        // SAFETY: the array is large enough and aligned, as was asserted.
        unsafe { bytes.as_mut_ptr().cast::<T>().write(total) };
        Total(bytes)
    }

    /// # Safety
    /// The total must have been packed from a `T`.
    unsafe fn unpack<T: Copy>(self) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.0.as_ptr().cast::<T>().read() }
    }
}

impl Folding {
    /// The reduction of elements of `dtype`; none for dtypes that it does not take.
    pub(super) fn new(reduction: Reduction, dtype: Dtype) -> Option<Folding> {
        Some(match reduction {
            Reduction::Sum => dispatch!(all, dtype, T => Self::of::<SumOf<T>>()),
            Reduction::Prod => dispatch!(all, dtype, T => Self::of::<ProdOf<T>>()),
            Reduction::Min => dispatch!(all, dtype, T => Self::of::<MinOf<T>>()),
            Reduction::Max => dispatch!(all, dtype, T => Self::of::<MaxOf<T>>()),
            Reduction::All if dtype == Dtype::Bool => Self::of::<AllOf>(),
            Reduction::Any if dtype == Dtype::Bool => Self::of::<AnyOf>(),
            Reduction::All | Reduction::Any => return None,
        })
    }

    fn of<F: Fold>() -> Folding {
        unsafe fn absorb<F: Fold>(total: Total, start: *const u8, len: usize) -> Total {
            // SAFETY: the caller passes `len` elements, and a total of this reduction.
            Total::pack(unsafe { long_run::<F>(total.unpack(), start.cast(), len, 1) })
        }
        fn join<F: Fold>(a: Total, b: Total) -> Total {
            // SAFETY: totals of one folding are of one type.
            Total::pack(unsafe { F::join(a.unpack(), b.unpack()) })
        }
        unsafe fn finish<F: Fold>(total: Total, output: *mut u8) {
            // SAFETY: the caller passes an element of the output, and a total of this reduction.
            unsafe { output.cast::<F::Out>().write(F::finish(total.unpack())) };
        }
        Folding {
            zero: Total::pack(F::ZERO),
            absorb: absorb::<F>,
            join: join::<F>,
            finish: finish::<F>,
        }
    }
}

/// How many parts share the reduction of each of `kept` contiguous rows of `len` elements.
pub(super) fn parts_of_rows(kept: usize, len: usize) -> usize {
    if kept >= num_threads() || kept * len < 2 * RUN {
        1
    } else {
        len.min(num_threads() * 4)
    }
}

struct Pointers<F: Fold> {
    input: *const F::In,
    output: *mut F::Out,
}

// SAFETY: threads read the input and write disjoint elements of the output.
unsafe impl<F: Fold> Sync for Pointers<F> {}

fn fold<F: Fold>(given: Option<&Operand>, reduce: &Reduce, call: &mut Call) -> Result<()> {
    let op = olivine_core::graph::Primitive::name(reduce);
    let strides = call.shape(0).contiguous_strides();
    let mut out = Output::<F::Out>::allocate(call, 0, op)?;
    if out.len() == 0 {
        return Ok(());
    }
    let input = given.unwrap_or_else(|| call.input(0));
    let view = View::<F::In>::new(input, op)?;
    if view.shape.elements() == 0 {
        out.slice().fill(F::finish(F::ZERO));
        return Ok(());
    }
    let plan = Plan::new(reduce, input, &strides);
    let pointers = Pointers::<F> {
        input: view.ptr.wrapping_offset(plan.start),
        output: out.ptr(),
    };
    let work = view.shape.elements();
    if plan.columns.is_none() && plan.reduced.is_empty() && plan.run.input == 1 {
        let kept = elements(&plan.kept);
        if kept >= num_threads() || work < 2 * RUN {
            rows(&plan, &pointers, kept);
            return Ok(());
        }
    }
    let blocks = plan
        .columns
        .map_or(1, |columns| columns.size.div_ceil(BLOCK));
    let units = elements(&plan.kept) * blocks;
    let cost = work / units;
    if units >= num_threads() || work < 2 * RUN {
        parallel_for(units, cost, |units| {
            let mut totals = Vec::new();
            for unit in units {
                piece(
                    &plan,
                    &pointers,
                    (unit, blocks),
                    0..plan.shared(),
                    &mut totals,
                );
                write(&plan, &pointers, (unit, blocks), &totals);
            }
        });
        return Ok(());
    }
    // Few results of much work: threads share each of them.
    let parts = plan.shared().min(num_threads() * 4);
    let step = plan.shared().div_ceil(parts);
    for unit in 0..units {
        let partial: Vec<std::sync::Mutex<Vec<F::Total>>> = (0..parts)
            .map(|_| std::sync::Mutex::new(Vec::new()))
            .collect();
        parallel_for(parts, cost / parts, |parts| {
            for part in parts {
                let range =
                    (part * step).min(plan.shared())..((part + 1) * step).min(plan.shared());
                let mut totals = Vec::new();
                piece(&plan, &pointers, (unit, blocks), range, &mut totals);
                *partial[part]
                    .lock()
                    .expect("no thread panics while it holds this") = totals;
            }
        });
        let mut partial = partial.into_iter().map(|part| {
            part.into_inner()
                .expect("no thread panics while it holds this")
        });
        let mut totals = partial.next().expect("there is at least one part");
        for part in partial {
            for (total, part) in totals.iter_mut().zip(part) {
                *total = F::join(*total, part);
            }
        }
        write(&plan, &pointers, (unit, blocks), &totals);
    }
    Ok(())
}

/// Reduces contiguous rows: the common case of a last axis, with little to do per row.
fn rows<F: Fold>(plan: &Plan, pointers: &Pointers<F>, kept: usize) {
    let (last, outer) = match plan.kept.split_last() {
        Some((last, outer)) => (*last, outer),
        None => (
            Axis {
                size: 1,
                input: 0,
                output: 0,
                reduced: false,
            },
            &[][..],
        ),
    };
    parallel_for(kept, plan.run.size, |range| {
        let mut row = range.start;
        while row < range.end {
            let (input, output) = locate(outer, row / last.size);
            let first = row % last.size;
            let count = (last.size - first).min(range.end - row);
            let input = pointers
                .input
                .wrapping_offset(input + first as isize * last.input);
            let output = pointers
                .output
                .wrapping_offset(output + first as isize * last.output);
            let steps = (last.input, last.output);
            fold_rows::<F>(Strip {
                input,
                output,
                steps,
                count,
                len: plan.run.size,
            });
            row += count;
        }
    });
}

/// `count` contiguous rows of `len` elements within a view, and where their results go: elements
/// of the output that are one thread's alone.
struct Strip<F: Fold> {
    input: *const F::In,
    output: *mut F::Out,
    steps: (isize, isize),
    count: usize,
    len: usize,
}

per_isa! {
    fn fold_rows<F: Fold>(strip: Strip<F>) = fold_rows_body;
}

#[inline(always)]
fn fold_rows_body<S: Isa, F: Fold>(strip: Strip<F>) {
    for i in 0..strip.count as isize {
        // SAFETY: a strip consists of such rows and results.
        unsafe {
            let start = strip.input.wrapping_offset(i * strip.steps.0);
            let mut total = F::ZERO;
            for run in std::slice::from_raw_parts(start, strip.len).chunks(RUN) {
                total = F::absorb(total, run_body::<S, F>(run));
            }
            strip
                .output
                .wrapping_offset(i * strip.steps.1)
                .write(F::finish(total));
        }
    }
}

/// Reduces `part` of the shared axis for one unit: a block of columns at one kept position.
fn piece<F: Fold>(
    plan: &Plan,
    pointers: &Pointers<F>,
    (unit, blocks): (usize, usize),
    part: Range<usize>,
    totals: &mut Vec<F::Total>,
) {
    let (offset, _) = locate(&plan.kept, unit / blocks);
    let start = pointers.input.wrapping_offset(offset);
    totals.clear();
    let Some((shared, inner)) = plan.reduced.split_first() else {
        // Only the run is left, in whole or in part.
        if let Some(columns) = plan.columns {
            let first = unit % blocks * BLOCK;
            let len = (columns.size - first).min(BLOCK);
            let mut sums = vec![F::START; len];
            let start = start.wrapping_offset(first as isize * columns.input);
            // SAFETY: a block of columns within the view.
            unsafe { add_row::<F>(&mut sums, start, columns.input) };
            totals.extend(sums.into_iter().map(|sum| F::absorb(F::ZERO, sum)));
        } else {
            let start = start.wrapping_offset(part.start as isize * plan.run.input);
            // SAFETY: a part of a run within the view.
            totals.push(unsafe { long_run::<F>(F::ZERO, start, part.len(), plan.run.input) });
        }
        return;
    };
    let inner_count = elements(inner);
    let Some(columns) = plan.columns else {
        let mut total = F::ZERO;
        for i in part {
            let start = start.wrapping_offset(i as isize * shared.input);
            for j in 0..inner_count {
                let start = start.wrapping_offset(locate(inner, j).0);
                // SAFETY: a run within the view.
                total = unsafe { long_run::<F>(total, start, plan.run.size, plan.run.input) };
            }
        }
        totals.push(total);
        return;
    };
    let first = unit % blocks * BLOCK;
    let len = (columns.size - first).min(BLOCK);
    let start = start.wrapping_offset(first as isize * columns.input);
    // Rows that follow each other without a gap are taken several at a time, as one long row.
    let (outer, rows) = match inner.split_last() {
        Some((rows, _)) => (Some((shared, &inner[..inner.len() - 1])), *rows),
        None => (None, *shared),
    };
    let whole_rows = columns.input == 1 && rows.input == columns.size as isize && blocks == 1;
    let at_once = if whole_rows {
        (BLOCK / 4 / len).clamp(1, rows.size)
    } else {
        1
    };
    totals.resize(len, F::ZERO);
    let mut sums = vec![F::START; len * at_once];
    let mut taken = 0;
    let flush = |sums: &mut [F::Acc], totals: &mut [F::Total]| {
        for some in sums.chunks_mut(len) {
            for (total, sum) in totals.iter_mut().zip(some) {
                *total = F::absorb(*total, *sum);
                *sum = F::START;
            }
        }
    };
    let mut add_rows = |start: *const F::In, range: Range<usize>| {
        let mut row = range.start;
        while row < range.end {
            let some = if range.end - row >= at_once {
                at_once
            } else {
                1
            };
            let start = start.wrapping_offset(row as isize * rows.input);
            // SAFETY: one or more whole rows within the view.
            unsafe { add_row::<F>(&mut sums[..some * len], start, columns.input) };
            row += some;
            taken += 1;
            if taken % ROWS == 0 {
                flush(&mut sums, totals);
            }
        }
    };
    match outer {
        None => add_rows(start, part),
        Some((shared, middle)) => {
            let middle_count = elements(middle);
            for i in part {
                let start = start.wrapping_offset(i as isize * shared.input);
                for j in 0..middle_count {
                    add_rows(start.wrapping_offset(locate(middle, j).0), 0..rows.size);
                }
            }
        }
    }
    flush(&mut sums, totals);
}

fn write<F: Fold>(
    plan: &Plan,
    pointers: &Pointers<F>,
    (unit, blocks): (usize, usize),
    totals: &[F::Total],
) {
    let (_, offset) = locate(&plan.kept, unit / blocks);
    let step = plan.columns.map_or(0, |columns| columns.output);
    let first = (unit % blocks * BLOCK) as isize;
    for (i, &total) in totals.iter().enumerate() {
        let offset = offset + (first + i as isize) * step;
        // SAFETY: the strides lead to elements of the output that are this unit's alone.
        unsafe { pointers.output.offset(offset).write(F::finish(total)) };
    }
}

/// Reduces `len` elements that are `step` apart into a total.
unsafe fn long_run<F: Fold>(
    mut total: F::Total,
    start: *const F::In,
    len: usize,
    step: isize,
) -> F::Total {
    if step == 1 {
        // SAFETY: the caller promises `len` neighbours.
        let run = unsafe { std::slice::from_raw_parts(start, len) };
        for run in run.chunks(RUN) {
            total = F::absorb(total, one_run::<F>(run));
        }
        return total;
    }
    for first in (0..len).step_by(ROWS) {
        let mut sum = F::START;
        for i in first..(first + ROWS).min(len) {
            // SAFETY: the caller promises `len` elements.
            sum = F::take(sum, unsafe { start.offset(i as isize * step).read() });
        }
        total = F::absorb(total, sum);
    }
    total
}

per_isa! {
    fn one_run<F: Fold>(run: &[F::In]) -> F::Acc = run_body;
}

#[inline(always)]
fn run_body<S: Isa, F: Fold>(run: &[F::In]) -> F::Acc {
    const LANES: usize = 32;
    let mut sum = F::START;
    let (chunks, rest) = run.as_chunks::<LANES>();
    if !chunks.is_empty() {
        let mut lanes = [F::START; LANES];
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane = F::take(*lane, x);
            }
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] = F::combine(lanes[i], lanes[i + width]);
            }
        }
        sum = lanes[0];
    }
    for &x in rest {
        sum = F::take(sum, x);
    }
    sum
}

/// Takes one row of elements that are `step` apart into as many columns.
unsafe fn add_row<F: Fold>(sums: &mut [F::Acc], start: *const F::In, step: isize) {
    if step == 1 {
        // SAFETY: the caller promises as many neighbours as there are columns.
        add_slice::<F>(sums, unsafe {
            std::slice::from_raw_parts(start, sums.len())
        });
        return;
    }
    for (i, sum) in sums.iter_mut().enumerate() {
        // SAFETY: the caller promises an element for each column.
        *sum = F::take(*sum, unsafe { start.offset(i as isize * step).read() });
    }
}

per_isa! {
    fn add_slice<F: Fold>(sums: &mut [F::Acc], row: &[F::In]) = add_slice_body;
}

#[inline(always)]
fn add_slice_body<S: Isa, F: Fold>(sums: &mut [F::Acc], row: &[F::In]) {
    for (sum, &x) in sums.iter_mut().zip(row) {
        *sum = F::take(*sum, x);
    }
}
