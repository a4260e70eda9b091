//! Owns packed rows as a side of a blocked product: they are unpacked into its panels.

use std::{cell::RefCell, marker::PhantomData, ops::Range};

use olivine_core::bf16;

use super::{
    codes::Codes,
    few,
    operands::{Packed, Room},
};
use crate::{
    isa::{Isa, per_isa},
    kernels::matmul::{Side, Words, pair},
    simd::{Lanes, Narrow},
};

/// Numbers of a packed row that are read at a time: four rows of them stay in the first cache.
const CHUNK: usize = 1024;

/// The rows of one packed matrix as lines of a blocked product.
pub(super) struct Lines<'a, C, W> {
    packed: &'a Packed<'a>,
    first: usize,
    kind: PhantomData<fn() -> (C, W)>,
}

impl<'a, C: Codes, W> Lines<'a, C, W> {
    pub(super) fn new(packed: &'a Packed<'a>, matrix: usize) -> Self {
        Lines {
            packed,
            first: matrix * packed.rows,
            kind: PhantomData,
        }
    }

    fn read(&self, line: usize, terms: Range<usize>, to: &mut [f32]) {
        thread_local! {
            static ROOM: RefCell<Room> = RefCell::default();
        }
        ROOM.with_borrow_mut(|room| self.packed.read::<C>(self.first + line, terms, room, to));
    }
}

impl<C: Codes, W: Words> Lines<'_, C, W> {
    /// As [`Side::panel`], for codes that fill words: these are interleaved as they are, so that a
    /// register has a word of each line, and unpacked to where their numbers belong.
    ///
    /// # Safety
    /// As for [`Side::panel`].
    unsafe fn unpack_panel(
        &self,
        lines: Range<usize>,
        terms: Range<usize>,
        step: usize,
        (room, to): (*mut f32, *mut f32),
    ) -> bool {
        if !C::IN_WORDS || C::FLOAT8 || !step.is_multiple_of(few::lanes()) {
            return false;
        }
        let (packed, group) = (self.packed, self.packed.scheme.group_size());
        let per_word = 32 / C::BITS;
        let words = terms.len() / per_word;
        let groups = terms.len() / group;
        let mut factors = vec![0.0; 2 * groups * step];
        let (scales, biases) = factors.split_at_mut(groups * step);
        let mut line_scales = vec![0.0; groups];
        let mut line_biases = vec![0.0; groups];
        for (i, line) in lines.clone().enumerate() {
            let first = (self.first + line) * (packed.columns / group) + terms.start / group;
            packed.scales(first..first + groups, &mut line_scales, &mut line_biases);
            for (at, (&scale, &bias)) in line_scales.iter().zip(&line_biases).enumerate() {
                scales[at * step + i] = scale;
                if C::BIASED {
                    biases[at * step + i] = bias + C::CENTRE * scale;
                }
            }
        }
        // Infinite scales and biases have to meet the codes as they stand.
        if factors.iter().any(|factor| !factor.is_finite()) {
            return false;
        }
        let (scales, biases) = factors.split_at(groups * step);
        let rows = self.first + lines.start..self.first + lines.end;
        let first_word = terms.start / per_word;
        // SAFETY: the room is for the words of `step` lines.
        unsafe { packed.interleave::<C>(rows, first_word..first_word + words, room, step) };
        // What was left in the room for lines that there are not meets scales of zero.
        let work = Unpacking {
            words,
            step,
            group: group / per_word,
            room: room.cast(),
            scales: scales.as_ptr(),
            biases: biases.as_ptr(),
            to,
        };
        if W::BF16 {
            unpack_pairs::<C, W>(work);
        } else {
            unpack_words::<C, W>(work);
        }
        true
    }
}

/// Interleaved words and where their numbers go.
#[derive(Clone, Copy)]
struct Unpacking {
    words: usize,
    /// The lines that are interleaved.
    step: usize,
    /// The words of a group.
    group: usize,
    room: *const u32,
    scales: *const f32,
    biases: *const f32,
    to: *mut f32,
}

per_isa! {
    fn unpack_words<C: Codes, W: Words>(work: Unpacking) = unpack_body;
}

per_isa! {
    [bf16]
    fn unpack_pairs<C: Codes, W: Words>(work: Unpacking) = unpack_body;
}

#[inline(always)]
fn unpack_body<S: Lanes, C: Codes, W: Words>(work: Unpacking) {
    let per_word = 32 / C::BITS;
    let numbers = few::Numbers::<S>::new::<C>();
    for word in 0..work.words {
        let factors_of_group = word / work.group * work.step;
        for lane in (0..work.step).step_by(S::N) {
            let factors = factors_of_group + lane;
            // SAFETY: there are `step` words, a multiple of `N`, for each line's word, and as many
            // scales and biases for each group; the panel has room for as many of each code.
            unsafe {
                let words = S::load_words(work.room.add(word * work.step + lane));
                let words = numbers.prepared::<C>(words);
                let (scales, biases) = (
                    S::load(work.scales.add(factors)),
                    S::load(work.biases.add(factors)),
                );
                for code in (0..per_word).step_by(W::TERMS) {
                    let first = numbers.at::<C>(words, code);
                    let mut found = S::mul_add(first, scales, biases);
                    if W::TERMS == 2 {
                        let second = numbers.at::<C>(words, code + 1);
                        found = S::pair(found, S::mul_add(second, scales, biases));
                    }
                    let place = (word * per_word + code) / W::TERMS * work.step + lane;
                    S::store(found, work.to.add(place));
                }
            }
        }
    }
}

impl<C: Codes, W: Words> Side for Lines<'_, C, W> {
    type Words = W;

    unsafe fn line(&self, line: usize, terms: Range<usize>, room: *mut f32) -> *const f32 {
        let words = terms.len() / W::TERMS;
        // SAFETY: the caller promises room; groups have an even number of elements.
        let to = unsafe { std::slice::from_raw_parts_mut(room, words) };
        if W::TERMS == 1 {
            self.read(line, terms, to);
            return room;
        }
        let mut numbers = [0.0; CHUNK];
        for (to, first) in to.chunks_mut(CHUNK / 2).zip(terms.step_by(CHUNK)) {
            let numbers = &mut numbers[..2 * to.len()];
            self.read(line, first..first + numbers.len(), numbers);
            pair_up(numbers, to);
        }
        room
    }

    unsafe fn panel(
        &self,
        lines: Range<usize>,
        terms: Range<usize>,
        step: usize,
        rooms: (*mut f32, *mut f32),
    ) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { self.unpack_panel(lines, terms, step, rooms) }
    }
}

per_isa! {
    /// Rounds numbers to `bf16`, two to a word.
    fn pair_up(numbers: &[f32], to: &mut [f32]) = pair_up_body;
}

#[inline(always)]
fn pair_up_body<S: Isa>(numbers: &[f32], to: &mut [f32]) {
    for (to, two) in to.iter_mut().zip(numbers.chunks_exact(2)) {
        *to = pair(bf16::narrow(two[0]), bf16::narrow(two[1]));
    }
}

/// Some of the lines of another side.
pub(super) struct Picked<'a, W> {
    pub(super) side: &'a dyn Side<Words = W>,
    /// Those on the left of each pair.
    pub(super) lines: &'a [(usize, usize)],
}

impl<W: Words> Side for Picked<'_, W> {
    type Words = W;

    unsafe fn line(&self, line: usize, terms: Range<usize>, room: *mut f32) -> *const f32 {
        // SAFETY: passed on to the caller.
        unsafe { self.side.line(self.lines[line].0, terms, room) }
    }
}
