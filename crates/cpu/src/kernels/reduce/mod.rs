//! Owns reductions over any axes of any layout: the loops. What they combine is in `fold`.

mod fold;
#[cfg(test)]
mod tests;

use std::ops::Range;

use olivine_core::{
    Call, Complex64, Dtype, Operand, Result, bf16, f16,
    ops::reduce::{Reduce, Reduction},
};
use smallvec::SmallVec;

pub(super) use self::fold::Ordered;
use self::fold::{AllOf, AnyOf, Fold, LANES, MaxOf, MinOf, ProdOf, SumOf};
use crate::{
    isa::{Isa, per_isa},
    pool::{num_threads, parallel_for},
    simd::Lanes,
    tensor::wrong_dtype,
};

/// Runs the kernel.
pub(super) fn run(reduce: &Reduce, call: &mut Call) -> Result<()> {
    run_on(None, reduce, call)
}

/// Reduces an operand that is no input of the call, or else input 0.
pub(super) fn run_on(given: Option<&Operand>, reduce: &Reduce, call: &mut Call) -> Result<()> {
    let op = olivine_core::graph::Primitive::name(reduce);
    let dtype = given.unwrap_or_else(|| call.input(0)).dtype;
    match Folding::new(reduce.reduction, dtype) {
        Some(folding) if folding.output == call.dtype(0).size() => {
            fold(&folding, given, reduce, call)
        }
        _ => Err(wrong_dtype(op, dtype)),
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

/// A reduction with the types erased, so that the walk through memory is compiled once and only what
/// is done with runs of elements is compiled for each type.
///
/// Sums and totals lie one after the other, each with the bytes of its type.
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
    /// The bytes of an element of the input and of the output, of a sum and of a total.
    input: usize,
    output: usize,
    sum: usize,
    total: usize,
    /// Reduces contiguous rows.
    rows: unsafe fn(Strip),
    /// Takes elements in that are some step apart.
    run: unsafe fn(Total, *const u8, usize, isize) -> Total,
    /// Sets sums, and totals, to those of nothing.
    clear: unsafe fn((*mut u8, usize), (*mut u8, usize)),
    /// Takes one element, of those some step apart, into each sum.
    row: unsafe fn(*mut u8, usize, *const u8, isize),
    /// Adds sums to as many totals, repeatedly, and sets them to those of nothing.
    flush: unsafe fn(*mut u8, *mut u8, usize, usize),
    /// Adds totals to others.
    join_all: unsafe fn(*mut u8, *const u8, usize),
    /// Writes totals as elements of the output that are some step apart.
    write: unsafe fn(*const u8, usize, *mut u8, isize),
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
        // Truth values are the numbers 0 and 1, and sums wrap the same with and without a sign.
        macro_rules! arithmetic {
            ($Fold:ident) => {
                match dtype {
                    Dtype::Bool | Dtype::Uint8 => Self::of::<$Fold<u8>>(),
                    Dtype::Uint16 => Self::of::<$Fold<u16>>(),
                    Dtype::Uint32 | Dtype::Int32 => Self::of::<$Fold<i32>>(),
                    Dtype::Uint64 | Dtype::Int64 => Self::of::<$Fold<i64>>(),
                    Dtype::Int8 => Self::of::<$Fold<i8>>(),
                    Dtype::Int16 => Self::of::<$Fold<i16>>(),
                    Dtype::Float16 => Self::of::<$Fold<f16>>(),
                    Dtype::BFloat16 => Self::of::<$Fold<bf16>>(),
                    Dtype::Float32 => Self::of::<$Fold<f32>>(),
                    Dtype::Float64 => Self::of::<$Fold<f64>>(),
                    Dtype::Complex64 => Self::of::<$Fold<Complex64>>(),
                }
            };
        }
        macro_rules! extremum {
            ($Fold:ident, $truth:ident) => {
                match dtype {
                    Dtype::Bool => Self::of::<$truth>(),
                    Dtype::Uint8 => Self::of::<$Fold<u8>>(),
                    Dtype::Uint16 => Self::of::<$Fold<u16>>(),
                    Dtype::Uint32 => Self::of::<$Fold<u32>>(),
                    Dtype::Uint64 => Self::of::<$Fold<u64>>(),
                    Dtype::Int8 => Self::of::<$Fold<i8>>(),
                    Dtype::Int16 => Self::of::<$Fold<i16>>(),
                    Dtype::Int32 => Self::of::<$Fold<i32>>(),
                    Dtype::Int64 => Self::of::<$Fold<i64>>(),
                    Dtype::Float16 => Self::of::<$Fold<f16>>(),
                    Dtype::BFloat16 => Self::of::<$Fold<bf16>>(),
                    Dtype::Float32 => Self::of::<$Fold<f32>>(),
                    Dtype::Float64 => Self::of::<$Fold<f64>>(),
                    Dtype::Complex64 => Self::of::<$Fold<Complex64>>(),
                }
            };
        }
        Some(match reduction {
            Reduction::Sum => arithmetic!(SumOf),
            Reduction::Prod => arithmetic!(ProdOf),
            Reduction::Min => extremum!(MinOf, AllOf),
            Reduction::Max => extremum!(MaxOf, AnyOf),
            Reduction::All if dtype == Dtype::Bool => Self::of::<AllOf>(),
            Reduction::Any if dtype == Dtype::Bool => Self::of::<AnyOf>(),
            Reduction::All | Reduction::Any => return None,
        })
    }

    fn of<F: Fold>() -> Folding {
        Folding {
            zero: Total::pack(F::ZERO),
            absorb: absorb::<F>,
            join: join::<F>,
            finish: finish::<F>,
            input: size_of::<F::In>(),
            output: size_of::<F::Out>(),
            sum: size_of::<F::Acc>(),
            total: size_of::<F::Total>(),
            rows: fold_rows::<F>,
            run: long_run::<F>,
            clear: clear::<F>,
            row: add_row::<F>,
            flush: flush::<F>,
            join_all: join_all::<F>,
            write: write::<F>,
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

/// Sums or totals of any type.
type Bytes = Vec<u64>;

/// Room for `len` values of `size` bytes, and for one total.
fn resize(bytes: &mut Bytes, len: usize, size: usize) -> *mut u8 {
    let words = (len * size).div_ceil(size_of::<u64>());
    bytes.resize(words.max(2), 0);
    bytes.as_mut_ptr().cast()
}

/// One reduction: where it reads, in which order, and where it writes.
struct Walk<'a> {
    folding: &'a Folding,
    plan: Plan,
    input: *const u8,
    output: *mut u8,
    /// The blocks that the columns are cut in.
    blocks: usize,
}

// SAFETY: threads read the input and write disjoint elements of the output.
unsafe impl Sync for Walk<'_> {}

fn fold(
    folding: &Folding,
    given: Option<&Operand>,
    reduce: &Reduce,
    call: &mut Call,
) -> Result<()> {
    let strides = call.shape(0).contiguous_strides();
    let count = call.shape(0).elements();
    let output = call.allocate(0)?;
    if count == 0 {
        return Ok(());
    }
    let input = given.unwrap_or_else(|| call.input(0));
    let work = input.shape.elements();
    if work == 0 {
        for i in 0..count {
            // SAFETY: an element of the output.
            unsafe { (folding.finish)(folding.zero, output.add(i * folding.output)) };
        }
        return Ok(());
    }
    let plan = Plan::new(reduce, input, &strides);
    let blocks = plan
        .columns
        .map_or(1, |columns| columns.size.div_ceil(BLOCK));
    let walk = Walk {
        folding,
        input: (input.ptr()).wrapping_offset(plan.start * folding.input as isize),
        output,
        blocks,
        plan,
    };
    let plan = &walk.plan;
    if plan.columns.is_none() && plan.reduced.is_empty() && plan.run.input == 1 {
        let kept = elements(&plan.kept);
        if kept >= num_threads() || work < 2 * RUN {
            walk.rows(kept);
            return Ok(());
        }
    }
    let units = elements(&plan.kept) * blocks;
    let cost = work / units;
    if units >= num_threads() || work < 2 * RUN {
        parallel_for(units, cost, |units| {
            let (mut sums, mut totals) = (Bytes::new(), Bytes::new());
            for unit in units {
                walk.piece(unit, 0..plan.shared(), &mut sums, &mut totals);
                walk.write(unit, &totals);
            }
        });
        return Ok(());
    }
    // Few results of much work: threads share each of them.
    let parts = plan.shared().min(num_threads() * 4);
    let step = plan.shared().div_ceil(parts);
    for unit in 0..units {
        let partial: Vec<std::sync::Mutex<Bytes>> = (0..parts)
            .map(|_| std::sync::Mutex::new(Bytes::new()))
            .collect();
        parallel_for(parts, cost / parts, |parts| {
            for part in parts {
                let range =
                    (part * step).min(plan.shared())..((part + 1) * step).min(plan.shared());
                let (mut sums, mut totals) = (Bytes::new(), Bytes::new());
                walk.piece(unit, range, &mut sums, &mut totals);
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
            let (to, from) = (totals.as_mut_ptr().cast(), part.as_ptr().cast());
            // SAFETY: each part has the totals of the unit.
            unsafe { (folding.join_all)(to, from, walk.columns(unit).len()) };
        }
        walk.write(unit, &totals);
    }
    Ok(())
}

impl Walk<'_> {
    /// Reduces contiguous rows: the common case of a last axis, with little to do per row.
    fn rows(&self, kept: usize) {
        let (plan, folding) = (&self.plan, self.folding);
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
                let strip = Strip {
                    input: self.at(self.input, input + first as isize * last.input),
                    output: self.result(output + first as isize * last.output),
                    steps: (last.input, last.output),
                    count,
                    len: plan.run.size,
                    start: folding.zero,
                    each: true,
                };
                // SAFETY: rows within the view, and results that are this thread's alone.
                unsafe { (folding.rows)(strip) };
                row += count;
            }
        });
    }

    /// The address of an element of the input.
    fn at(&self, start: *const u8, offset: isize) -> *const u8 {
        start.wrapping_offset(offset * self.folding.input as isize)
    }

    /// The address of an element of the output.
    fn result(&self, offset: isize) -> *mut u8 {
        let offset = offset * self.folding.output as isize;
        self.output.wrapping_offset(offset)
    }

    /// The columns of a unit: a block of columns at one kept position. Without columns, there is
    /// one total.
    fn columns(&self, unit: usize) -> Range<usize> {
        let first = unit % self.blocks * BLOCK;
        let size = self.plan.columns.map_or(1, |columns| columns.size);
        first..(first + BLOCK).min(size)
    }

    /// Reduces `part` of the shared axis for one unit to totals.
    fn piece(&self, unit: usize, part: Range<usize>, sums: &mut Bytes, totals: &mut Bytes) {
        let (plan, folding) = (&self.plan, self.folding);
        let (offset, _) = locate(&plan.kept, unit / self.blocks);
        let start = self.at(self.input, offset);
        let Some(columns) = plan.columns else {
            let total = self.total(start, part);
            resize(totals, 1, folding.total);
            totals[..2].copy_from_slice(&total.0);
            return;
        };
        let block = self.columns(unit);
        let (first, len) = (block.start, block.len());
        let start = self.at(start, first as isize * columns.input);
        let one_row = [Axis {
            size: 1,
            input: 0,
            output: 0,
            reduced: true,
        }];
        let reduced = if plan.reduced.is_empty() {
            &one_row[..]
        } else {
            &plan.reduced
        };
        let (shared, inner) = reduced.split_first().expect("it has an axis");
        // Rows that follow each other without a gap are taken several at a time, as one long row.
        let (outer, rows) = match inner.split_last() {
            Some((rows, middle)) => (Some(middle), *rows),
            None => (None, *shared),
        };
        let whole_rows =
            columns.input == 1 && rows.input == columns.size as isize && self.blocks == 1;
        let at_once = if whole_rows {
            (BLOCK / 4 / len).clamp(1, rows.size)
        } else {
            1
        };
        let totals = resize(totals, len, folding.total);
        let sums = resize(sums, len * at_once, folding.sum);
        // SAFETY: there is room for as many sums and totals.
        unsafe { (folding.clear)((sums, len * at_once), (totals, len)) };
        let mut taken = 0;
        let mut add_rows = |start: *const u8, range: Range<usize>| {
            let mut row = range.start;
            while row < range.end {
                let some = if range.end - row >= at_once {
                    at_once
                } else {
                    1
                };
                let start = self.at(start, row as isize * rows.input);
                // SAFETY: one or more whole rows within the view, and sums for their columns.
                unsafe { (folding.row)(sums, some * len, start, columns.input) };
                row += some;
                taken += 1;
                if taken % ROWS == 0 {
                    // SAFETY: these are the sums and the totals.
                    unsafe { (folding.flush)(sums, totals, len, at_once) };
                }
            }
        };
        match outer {
            None => add_rows(start, part),
            Some(middle) => {
                let middle_count = elements(middle);
                for i in part {
                    let start = self.at(start, i as isize * shared.input);
                    for j in 0..middle_count {
                        add_rows(self.at(start, locate(middle, j).0), 0..rows.size);
                    }
                }
            }
        }
        // SAFETY: as above.
        unsafe { (folding.flush)(sums, totals, len, at_once) };
    }

    /// The total of `part` of the shared axis where there are no columns.
    fn total(&self, start: *const u8, part: Range<usize>) -> Total {
        let (plan, folding) = (&self.plan, self.folding);
        let Some((shared, inner)) = plan.reduced.split_first() else {
            // Only the run is left, in whole or in part.
            let start = self.at(start, part.start as isize * plan.run.input);
            return self.runs(folding.zero, start, part.len(), 1, 0);
        };
        let len = plan.run.size;
        let Some((last, middle)) = inner.split_last() else {
            let start = self.at(start, part.start as isize * shared.input);
            return self.runs(folding.zero, start, len, part.len(), shared.input);
        };
        let middle_count = elements(middle);
        let mut total = folding.zero;
        for i in part {
            let start = self.at(start, i as isize * shared.input);
            for j in 0..middle_count {
                let start = self.at(start, locate(middle, j).0);
                total = self.runs(total, start, len, last.size, last.input);
            }
        }
        total
    }

    /// Takes `count` runs of `len` elements in, whose starts are `step` apart.
    fn runs(
        &self,
        mut total: Total,
        start: *const u8,
        len: usize,
        count: usize,
        step: isize,
    ) -> Total {
        let (folding, within) = (self.folding, self.plan.run.input);
        if within == 1 {
            let strip = Strip {
                input: start,
                output: (&raw mut total.0).cast(),
                steps: (step, 0),
                count,
                len,
                start: total,
                each: false,
            };
            // SAFETY: runs within the view, and a total of this reduction.
            unsafe { (folding.rows)(strip) };
            return total;
        }
        for i in 0..count as isize {
            let start = self.at(start, i * step);
            // SAFETY: a run within the view.
            total = unsafe { (folding.run)(total, start, len, within) };
        }
        total
    }

    /// Writes the totals of a unit.
    fn write(&self, unit: usize, totals: &Bytes) {
        let (_, offset) = locate(&self.plan.kept, unit / self.blocks);
        let step = self.plan.columns.map_or(0, |columns| columns.output);
        let block = self.columns(unit);
        let to = self.result(offset + block.start as isize * step);
        // SAFETY: the strides lead to elements of the output that are this unit's alone.
        unsafe { (self.folding.write)(totals.as_ptr().cast(), block.len(), to, step) };
    }
}

/// `count` contiguous rows of `len` elements within a view, and where their results go: elements
/// of the output that are one thread's alone.
#[derive(Clone, Copy)]
struct Strip {
    input: *const u8,
    output: *mut u8,
    /// In elements.
    steps: (isize, isize),
    count: usize,
    len: usize,
    /// Whether each row has a result; otherwise, all are added to `start`, and the total is written
    /// as it is.
    each: bool,
    start: Total,
}

per_isa! {
    fn fold_rows<F: Fold>(strip: Strip) = fold_rows_body;
}

#[inline(always)]
fn fold_rows_body<S: Lanes, F: Fold>(strip: Strip) {
    let (input, output) = (strip.input.cast::<F::In>(), strip.output.cast::<F::Out>());
    if strip.each && strip.len < LANES {
        // What `Fold::run` would do with such rows, without its choices.
        for i in 0..strip.count as isize {
            let row = input.wrapping_offset(i * strip.steps.0);
            let mut sum = F::START;
            // SAFETY: a strip consists of such rows and results.
            unsafe {
                for j in 0..strip.len {
                    sum = F::take(sum, row.add(j).read());
                }
                let to = output.wrapping_offset(i * strip.steps.1);
                to.write(F::finish(F::absorb(F::ZERO, sum)));
            }
        }
        return;
    }
    let mut total = F::ZERO;
    if !strip.each {
        // SAFETY: what rows are added to is a total of this reduction.
        total = unsafe { strip.start.unpack() };
    }
    for i in 0..strip.count as isize {
        // SAFETY: a strip consists of such rows and results.
        unsafe {
            let start = input.wrapping_offset(i * strip.steps.0);
            for run in std::slice::from_raw_parts(start, strip.len).chunks(RUN) {
                total = F::absorb(total, F::run::<S>(run));
            }
            if strip.each {
                let to = output.wrapping_offset(i * strip.steps.1);
                to.write(F::finish(total));
                total = F::ZERO;
            }
        }
    }
    if !strip.each {
        // SAFETY: there is room for a total.
        unsafe { strip.output.cast::<F::Total>().write(total) };
    }
}

unsafe fn absorb<F: Fold>(mut total: Total, start: *const u8, len: usize) -> Total {
    fold_rows::<F>(Strip {
        input: start,
        output: (&raw mut total.0).cast(),
        steps: (0, 0),
        count: 1,
        len,
        start: total,
        each: false,
    });
    total
}

fn join<F: Fold>(a: Total, b: Total) -> Total {
    // SAFETY: totals of one folding are of one type.
    Total::pack(unsafe { F::join(a.unpack(), b.unpack()) })
}

unsafe fn finish<F: Fold>(total: Total, output: *mut u8) {
    // SAFETY: the caller passes an element of the output, and a total of this reduction.
    unsafe { output.cast::<F::Out>().write(F::finish(total.unpack())) };
}

unsafe fn clear<F: Fold>((sums, sum_count): (*mut u8, usize), (totals, count): (*mut u8, usize)) {
    for i in 0..sum_count {
        // SAFETY: the caller has room for these sums.
        unsafe { sums.cast::<F::Acc>().add(i).write(F::START) };
    }
    for i in 0..count {
        // SAFETY: the caller has room for these totals.
        unsafe { totals.cast::<F::Total>().add(i).write(F::ZERO) };
    }
}

unsafe fn flush<F: Fold>(sums: *mut u8, totals: *mut u8, len: usize, times: usize) {
    // SAFETY: the caller passes `len` totals and, that many times over, sums.
    let (sums, totals) = unsafe {
        (
            std::slice::from_raw_parts_mut(sums.cast::<F::Acc>(), len * times),
            std::slice::from_raw_parts_mut(totals.cast::<F::Total>(), len),
        )
    };
    for some in sums.chunks_exact_mut(len) {
        for (total, sum) in totals.iter_mut().zip(some) {
            *total = F::absorb(*total, *sum);
            *sum = F::START;
        }
    }
}

unsafe fn join_all<F: Fold>(totals: *mut u8, others: *const u8, len: usize) {
    for i in 0..len {
        // SAFETY: the caller passes `len` totals of each.
        unsafe {
            let total = totals.cast::<F::Total>().add(i);
            total.write(F::join(
                total.read(),
                others.cast::<F::Total>().add(i).read(),
            ));
        }
    }
}

unsafe fn write<F: Fold>(totals: *const u8, len: usize, to: *mut u8, step: isize) {
    for i in 0..len {
        // SAFETY: the caller passes `len` totals and as many elements of the output.
        unsafe {
            let total = totals.cast::<F::Total>().add(i).read();
            let to = to.cast::<F::Out>().offset(i as isize * step);
            to.write(F::finish(total));
        }
    }
}

/// Takes `len` elements that are `step` apart into a total.
unsafe fn long_run<F: Fold>(total: Total, start: *const u8, len: usize, step: isize) -> Total {
    let start = start.cast::<F::In>();
    // SAFETY: the caller passes a total of this reduction.
    let mut total: F::Total = unsafe { total.unpack() };
    for first in (0..len).step_by(ROWS) {
        let mut sum = F::START;
        for i in first..(first + ROWS).min(len) {
            // SAFETY: the caller promises `len` elements.
            sum = F::take(sum, unsafe { start.offset(i as isize * step).read() });
        }
        total = F::absorb(total, sum);
    }
    Total::pack(total)
}

/// Takes one row of elements that are `step` apart into as many columns.
unsafe fn add_row<F: Fold>(sums: *mut u8, len: usize, start: *const u8, step: isize) {
    let start = start.cast::<F::In>();
    // SAFETY: the caller passes `len` sums.
    let sums = unsafe { std::slice::from_raw_parts_mut(sums.cast::<F::Acc>(), len) };
    if step == 1 {
        // SAFETY: the caller promises as many neighbours as there are columns.
        add_slice::<F>(sums, unsafe { std::slice::from_raw_parts(start, len) });
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
