//! Owns sorting by the bytes of keys, the least significant one first. Each pass counts a byte's
//! values and moves all elements to their places, so that elements with the same byte keep their
//! order. Passes over bytes that all elements share are left out.

use std::ops::Range;

use smallvec::SmallVec;

use super::{
    super::movement::{Source, Target},
    keys::{Key, Ordered, Placed},
};
use crate::pool::parallel_for;

/// How many elements have each value of a byte; then, the places of the next ones.
type Counts = [usize; 256];

/// The numbers of bytes in which some keys differ.
type Bytes = SmallVec<[usize; 8]>;

/// Lines cut into parts that threads work on, and what is counted in each part.
pub(super) struct Parts {
    count: usize,
    /// For each part, the counts of each byte.
    counts: Vec<Counts>,
    /// The bytes of a key.
    bytes: usize,
}

impl Parts {
    /// Cuts lines of `count` elements with keys of `bytes` bytes into `parts`.
    pub(super) fn new(count: usize, bytes: usize, parts: usize) -> Self {
        Parts {
            count,
            counts: vec![[0; 256]; parts * bytes],
            bytes,
        }
    }

    /// Calls `body` for each part with its elements and its counts, on several threads.
    fn each(&mut self, body: &(dyn Fn(Range<usize>, &mut [Counts]) + Sync)) {
        let (count, bytes) = (self.count, self.bytes);
        let parts = self.counts.len() / bytes;
        let size = count.div_ceil(parts);
        let counts = Target::new(self.counts.as_mut_ptr().cast());
        parallel_for(parts, 4 * size, |range| {
            for part in range {
                let start = counts.get().cast::<Counts>().wrapping_add(part * bytes);
                // SAFETY: the counts of this part, which one thread works on.
                let counts = unsafe { std::slice::from_raw_parts_mut(start, bytes) };
                body(
                    (part * size).min(count)..((part + 1) * size).min(count),
                    counts,
                );
            }
        });
    }

    /// The bytes that a line has to be sorted by: none if it is in order already.
    ///
    /// # Safety
    /// The line must be readable at `from`.
    unsafe fn unsorted<T: Ordered>(&mut self, from: *const T) -> Bytes {
        // SAFETY: the caller's promise.
        let line = unsafe { std::slice::from_raw_parts(from, self.count) };
        if line.is_sorted_by_key(|x| x.key()) {
            return Bytes::new();
        }
        // SAFETY: as above.
        unsafe { self.scan(from) }
    }

    /// Counts the values of all bytes. Returns the bytes in which keys differ.
    ///
    /// # Safety
    /// The line must be readable at `from`.
    unsafe fn scan<T: Ordered>(&mut self, from: *const T) -> Bytes {
        let source = Source::new(from.cast());
        self.each(&|range, counts| {
            counts.fill([0; 256]);
            for i in range {
                // SAFETY: part of the line.
                let key = unsafe { source.get().cast::<T>().add(i).read() }.key();
                for (byte, counts) in counts[..T::Key::BYTES].iter_mut().enumerate() {
                    counts[key.byte(byte) as usize] += 1;
                }
            }
        });
        // SAFETY: lines that are sorted have elements.
        let first = unsafe { from.read() }.key();
        let differs = |&byte: &usize| {
            let value = first.byte(byte) as usize;
            let parts = self.counts.iter().skip(byte).step_by(self.bytes);
            parts.map(|counts| counts[value]).sum::<usize>() != self.count
        };
        (0..T::Key::BYTES).filter(differs).collect()
    }

    /// Moves all items to their places by one byte. `again` says whether what is counted for it is
    /// out of date, as items changed parts.
    ///
    /// # Safety
    /// The items must be readable at `from`, and as many be writable at `to`, elsewhere.
    unsafe fn pass<A: Copy, B>(
        &mut self,
        (byte, again): (usize, bool),
        (from, to): (*const A, *mut B),
        value: impl Fn(A) -> u8 + Sync,
        moved: impl Fn(usize, A) -> B + Sync,
    ) {
        let (from, to) = (Source::new(from.cast()), Target::new(to.cast()));
        // SAFETY: positions come from the range of a part.
        let item = |i: usize| unsafe { from.get().cast::<A>().add(i).read() };
        if again && self.counts.len() > self.bytes {
            self.each(&|range, counts| {
                counts[byte] = [0; 256];
                for i in range {
                    counts[byte][value(item(i)) as usize] += 1;
                }
            });
        }
        let mut place = 0;
        for value in 0..256 {
            for counts in self.counts.iter_mut().skip(byte).step_by(self.bytes) {
                let count = std::mem::replace(&mut counts[value], place);
                place += count;
            }
        }
        self.each(&|range, places| {
            let places = &mut places[byte];
            for i in range {
                let item = item(i);
                let place = &mut places[value(item) as usize];
                // SAFETY: a place that is this item's alone, since the counts add up.
                unsafe { to.get().cast::<B>().add(*place).write(moved(i, item)) };
                *place += 1;
            }
        });
    }

    /// Sorts a line of elements.
    ///
    /// # Safety
    /// The line must be readable at `source`, and as many elements writable at `to` and `room`,
    /// all of them elsewhere, but `source` may be `to`.
    pub(super) unsafe fn sort<T: Ordered>(&mut self, source: *const T, to: *mut T, room: *mut T) {
        let mut from = source;
        // SAFETY: the caller's promise; what is read from the output or the room was written by the
        // pass before, and each goes from one to the other.
        unsafe {
            let bytes = self.unsorted(source);
            if source == to.cast_const() && !bytes.len().is_multiple_of(2) {
                room.copy_from_nonoverlapping(source, self.count);
                from = room;
            } else if source != to.cast_const() && bytes.is_empty() {
                to.copy_from_nonoverlapping(source, self.count);
            }
            for (i, &byte) in bytes.iter().enumerate() {
                let to = if (bytes.len() - i).is_multiple_of(2) {
                    room
                } else {
                    to
                };
                let value = |x: T| x.key().byte(byte);
                self.pass((byte, i > 0), (from, to), value, |_, x| x);
                from = to;
            }
        }
    }

    /// Finds the positions that sort a line.
    ///
    /// # Safety
    /// The line must be readable at `from`, and for as many items as it has there must be room at
    /// the other places, all of them elsewhere.
    pub(super) unsafe fn arg_sort<T: Ordered>(
        &mut self,
        from: *const T,
        to: *mut u32,
        [mut room, mut other]: [*mut <T::Key as Key>::Placed; 2],
    ) {
        let placed = |byte| move |x: <T::Key as Key>::Placed| x.key().byte(byte);
        // SAFETY: the caller's promise; what is read from a room was written by the pass before.
        unsafe {
            let bytes = self.unsorted(from);
            match bytes[..] {
                [] => {
                    for i in 0..self.count {
                        to.add(i).write(i as u32);
                    }
                }
                [byte] => {
                    let value = |x: T| x.key().byte(byte);
                    self.pass((byte, false), (from, to), value, |i, _| i as u32);
                }
                [first, ref between @ .., last] => {
                    let value = |x: T| x.key().byte(first);
                    self.pass((first, false), (from, room), value, |i, x| {
                        Placed::new(x.key(), i)
                    });
                    for &byte in between {
                        self.pass((byte, true), (room, other), placed(byte), |_, x| x);
                        std::mem::swap(&mut room, &mut other);
                    }
                    self.pass((last, true), (room, to), placed(last), |_, x| x.position());
                }
            }
        }
    }
}
