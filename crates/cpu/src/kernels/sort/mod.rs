//! Owns sorting. Lines are shared out among threads; a long one is sorted by all of them.

mod keys;
mod radix;
#[cfg(test)]
mod tests;

use std::ops::Range;

use olivine_core::{Call, Result, dispatch, ops::sort::ArgSort};

use self::{
    keys::{Key, Ordered, Placed},
    radix::Parts,
};
use super::{
    copy::pack,
    movement::{Source, Target},
};
use crate::{
    pool::{num_threads, parallel_for},
    tensor::Output,
};

/// A line at least this long is worth sorting on several threads.
const LONG: usize = 1 << 16;

/// Parts of a long line have at least this many elements.
const PART: usize = 1 << 14;

/// Lines are sorted by the bytes of keys if they have at least this many elements for each byte:
/// counting takes its time, however short the line.
const SORTED_BY_BYTES: usize = 64;

/// The same where positions are sorted, for which comparisons are faster.
const PLACED_BY_BYTES: usize = 4096;

/// Roughly what sorting a line of `count` elements costs, for each element.
fn cost(count: usize) -> usize {
    8 * (count.max(2).ilog2() as usize)
}

/// True if a few long lines are better sorted one after another, each by all threads.
fn is_long(lines: usize, count: usize) -> bool {
    count >= LONG && num_threads() > 1 && lines < num_threads()
}

/// What lines of `count` elements are sorted with if bytes of keys are better than comparisons:
/// on one thread, for at least `least` elements for each byte.
fn parts<T: Ordered>(count: usize, least: usize, long: bool) -> Option<Parts> {
    let bytes = T::Key::BYTES;
    if long {
        let parts = (2 * num_threads()).min(count / PART);
        return Some(Parts::new(count, bytes, parts));
    }
    // Eight passes take longer than comparing.
    (bytes < 8 && count >= least * bytes).then(|| Parts::new(count, bytes, 1))
}

/// Runs [`Sort`](olivine_core::ops::sort::Sort).
pub(crate) fn run(call: &mut Call) -> Result<()> {
    dispatch!(all, call.input(0).dtype, T => sort::<T>(call))
}

fn sort<T: Ordered>(call: &mut Call) -> Result<()> {
    let strides = call.shape(0).contiguous_strides();
    let start = call.reuse_or_allocate(0, strides, &[0])?;
    let x = call.input(0);
    let (elements, count) = (x.shape.elements(), x.shape[x.shape.rank() - 1]);
    if elements == 0 {
        return Ok(());
    }
    let mut source = x.ptr();
    if !x.is_contiguous() {
        // SAFETY: the output is fresh memory for as many elements as the input has.
        unsafe { pack(x, start) };
        source = start;
    }
    let (source, target) = (Source::new(source), Target::new(start));
    let work = |lines: Range<usize>, mut parts: Option<Parts>, room: *mut T| {
        for line in lines {
            let from = source.get().cast::<T>().wrapping_add(line * count);
            let to = target.get().cast::<T>().wrapping_add(line * count);
            // SAFETY: the output is this call's alone, each line of it belongs to one thread, and
            // the input is elsewhere or is the output itself. The room has a line's length.
            unsafe {
                if let Some(parts) = &mut parts {
                    parts.sort(from, to, room);
                    continue;
                }
                if from != to.cast_const() {
                    to.copy_from_nonoverlapping(from, count);
                }
                std::slice::from_raw_parts_mut(to, count).sort_by_key(|x| x.key());
            }
        }
    };
    let lines = elements / count;
    if is_long(lines, count) {
        let room = call.scratch(count * size_of::<T>())?;
        work(
            0..lines,
            parts::<T>(count, SORTED_BY_BYTES, true),
            room.host().as_ptr().cast(),
        );
    } else {
        parallel_for(lines, count * cost(count), |range| {
            let parts = parts::<T>(count, SORTED_BY_BYTES, false);
            let mut room = Vec::with_capacity(if parts.is_some() { count } else { 0 });
            work(range, parts, room.as_mut_ptr());
        });
    }
    Ok(())
}

/// Runs [`ArgSort`].
pub(crate) fn run_arg(arg: &ArgSort, call: &mut Call) -> Result<()> {
    dispatch!(all, call.input(0).dtype, T => arg_sort::<T>(arg.pivot, call))
}

fn arg_sort<T: Ordered>(pivot: Option<usize>, call: &mut Call) -> Result<()> {
    let output = Output::<u32>::allocate(call, 0, "argsort")?;
    let x = call.input(0);
    let (elements, count) = (x.shape.elements(), x.shape[x.shape.rank() - 1]);
    if elements == 0 {
        return Ok(());
    }
    let packed = if x.is_contiguous() {
        None
    } else {
        let packed = call.scratch(elements * size_of::<T>())?;
        // SAFETY: the scratch memory has room for the input's elements.
        unsafe { pack(x, packed.host().as_ptr()) };
        Some(packed)
    };
    let source = Source::new(match &packed {
        Some(packed) => packed.host().as_ptr(),
        None => x.ptr(),
    });
    let work = |lines: Range<usize>, mut parts: Option<Parts>, room: *mut Item<T>| {
        for line in lines {
            let from = source.get().cast::<T>().wrapping_add(line * count);
            // SAFETY: each line of the output belongs to one thread.
            let to = unsafe { output.part(line * count..(line + 1) * count) };
            if let Some(parts) = &mut parts {
                let rooms = [room, room.wrapping_add(count)];
                // SAFETY: the line is inside the input, and the room has twice its length.
                unsafe { parts.arg_sort(from, to.as_mut_ptr(), rooms) };
                continue;
            }
            // SAFETY: as above.
            let items = unsafe {
                for i in 0..count {
                    room.add(i)
                        .write(Item::<T>::new(from.add(i).read().key(), i));
                }
                std::slice::from_raw_parts_mut(room, count)
            };
            // With the position as the last word, unstable methods give the stable order.
            match pivot {
                Some(pivot) => {
                    items.select_nth_unstable(pivot);
                }
                None => items.sort_unstable(),
            }
            for (to, item) in to.iter_mut().zip(items) {
                *to = item.position();
            }
        }
    };
    let lines = elements / count;
    if pivot.is_none() && is_long(lines, count) {
        let room = call.scratch(2 * count * size_of::<Item<T>>())?;
        work(
            0..lines,
            parts::<T>(count, PLACED_BY_BYTES, true),
            room.host().as_ptr().cast(),
        );
    } else {
        parallel_for(lines, count * cost(count), |range| {
            let parts = parts::<T>(count, PLACED_BY_BYTES, false).filter(|_| pivot.is_none());
            let rooms = if parts.is_some() { 2 } else { 1 };
            let mut room = Vec::with_capacity(rooms * count);
            work(range, parts, room.as_mut_ptr());
        });
    }
    Ok(())
}

/// A key and the position of its element.
type Item<T> = <<T as Ordered>::Key as Key>::Placed;
