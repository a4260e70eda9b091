//! Owns the operands of blocked products: how lines of them become the words of packed panels.
//!
//! A line is a row of the left operand or a column of the right one, and has a term for each
//! product that is summed. A word is what one lane of a register holds: one term as `f32`, or two
//! as `bf16`.

use std::ops::Range;

use half::bf16;
use olivine_core::Dtype;

use super::Matrix;
use crate::{
    isa::{Level, level, per_isa},
    kernels::row,
    simd::{Lanes, Narrow, prefetch, transpose4},
};

/// How words are multiplied.
pub(in crate::kernels) trait Words: Copy + Sync + 'static {
    /// The terms in a word.
    const TERMS: usize;
    /// `a * b + c`, over all terms of the words.
    fn mul_add<S: Lanes>(a: S::F, b: S::F, c: S::F) -> S::F;
    /// The same with one word from memory as all of `a`: see [`Lanes::mul_add_at`].
    ///
    /// # Safety
    /// The word must be readable.
    #[inline(always)]
    unsafe fn mul_add_at<S: Lanes, const AT: usize>(a: *const f32, b: S::F, c: S::F) -> S::F {
        // SAFETY: the caller's promise.
        Self::mul_add::<S>(S::splat(unsafe { a.add(AT).read() }), b, c)
    }
    /// True if only [`Level::Bf16`] is fast with them.
    const BF16: bool;
}

/// One term as `f32`.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Singles;

impl Words for Singles {
    const TERMS: usize = 1;
    const BF16: bool = false;
    #[inline(always)]
    fn mul_add<S: Lanes>(a: S::F, b: S::F, c: S::F) -> S::F {
        S::mul_add(a, b, c)
    }
    #[inline(always)]
    unsafe fn mul_add_at<S: Lanes, const AT: usize>(a: *const f32, b: S::F, c: S::F) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { S::mul_add_at::<AT>(a, b, c) }
    }
}

/// Two terms as `bf16`, the first in the lower half.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Pairs;

impl Words for Pairs {
    const TERMS: usize = 2;
    const BF16: bool = true;
    #[inline(always)]
    fn mul_add<S: Lanes>(a: S::F, b: S::F, c: S::F) -> S::F {
        S::mul_add_pairs(a, b, c)
    }
}

/// True if products of `T` are faster in [`Pairs`] than as `f32` here.
pub(in crate::kernels) fn pairs_are_fast<T: Narrow>() -> bool {
    T::DTYPE == Dtype::BFloat16 && level() == Level::Bf16
}

/// Two terms as one word.
#[inline(always)]
pub(in crate::kernels) fn pair(first: bf16, second: bf16) -> f32 {
    f32::from_bits(u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16)
}

/// An operand of a blocked product. Products take it as an object: it is asked once for a line or a
/// panel, and they are compiled once for all sides.
pub(in crate::kernels) trait Side: Sync {
    type Words: Words;

    /// The words of some terms of a line: where they lie in memory, or in `room`. An odd last term
    /// is paired with zero.
    ///
    /// # Safety
    /// The line and the terms must exist, and `room` be ours and long enough for the words.
    unsafe fn line(&self, line: usize, terms: Range<usize>, room: *mut f32) -> *const f32;

    /// Packs the panel of some lines, whose neighbours come to lie `step` words apart, up to the end
    /// of the step; or does nothing and returns false.
    ///
    /// # Safety
    /// The lines and the terms must exist, and `room` and `to` have room for the words of `step`
    /// lines.
    unsafe fn panel(
        &self,
        _lines: Range<usize>,
        _terms: Range<usize>,
        _step: usize,
        (_room, _to): (*mut f32, *mut f32),
    ) -> bool {
        false
    }

    /// Packs all panels as [`pack`] does, term by term with neighbouring lines together; or does
    /// nothing and returns false, if it is read line by line.
    ///
    /// # Safety
    /// The lines and the terms must exist, and `to` have room for all panels.
    unsafe fn across(&self, _panels: Panels, _to: *mut f32) -> bool {
        false
    }
}

/// Which lines and terms are packed, and how: see [`pack`].
#[derive(Clone)]
pub(in crate::kernels) struct Panels {
    pub(in crate::kernels) lines: Range<usize>,
    pub(in crate::kernels) terms: Range<usize>,
    pub(in crate::kernels) height: usize,
    pub(in crate::kernels) fill: bool,
}

/// The words that a panel gets before the next one does. The first ones of neighbouring panels often
/// compete for the same places in the cache, so a line there should be full before it is left. Terms are
/// asked for as many words ahead: they lie in other pages, where the processor does not expect them.
const RUN: usize = 8;

/// A side whose lines may lie side by side.
trait Across: Side {
    /// Writes the word at `term` of each of `count` lines from `first` on.
    ///
    /// # Safety
    /// The lines and the term must exist, and `count` words be writable at `to`.
    unsafe fn words<S: Lanes>(&self, first: usize, count: usize, term: usize, to: *mut f32);
    /// Asks for the term, which need not exist, of each of `count` lines.
    fn prefetch(&self, first: usize, count: usize, term: usize);
}

/// The rows of a matrix as lines of `f32`; transpose it for the columns.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Wide<T>(pub(in crate::kernels) Matrix<T>);

impl<T: Narrow> Side for Wide<T> {
    type Words = Singles;

    unsafe fn line(&self, line: usize, terms: Range<usize>, room: *mut f32) -> *const f32 {
        let from = self.0.at(line, terms.start);
        if self.0.columns == 1 && T::DTYPE == Dtype::Float32 {
            return from.cast();
        }
        // SAFETY: the caller promises the line and the room.
        unsafe {
            if self.0.columns == 1 {
                let from = std::slice::from_raw_parts(from, terms.len());
                row::widen(from, std::slice::from_raw_parts_mut(room, terms.len()));
            } else {
                for i in 0..terms.len() {
                    let term = self.0.at(line, terms.start + i).read();
                    room.add(i).write(term.widen());
                }
            }
        }
        room
    }

    unsafe fn across(&self, panels: Panels, to: *mut f32) -> bool {
        let across = self.0.columns != 1 && self.0.rows == 1;
        if across {
            pack_across(self, panels, to);
        }
        across
    }
}

impl<T: Narrow> Across for Wide<T> {
    #[inline(always)]
    unsafe fn words<S: Lanes>(&self, first: usize, count: usize, term: usize, to: *mut f32) {
        let from = self.0.at(first, term);
        let whole = count - count % S::N;
        // SAFETY: the caller promises the lines, which are neighbours.
        unsafe {
            for i in (0..whole).step_by(S::N) {
                S::store(T::load::<S>(from.add(i)), to.add(i));
            }
            // Panels of rows are narrower than the widest registers.
            let fours = whole + (count - whole) / 4 * 4;
            for i in (whole..fours).step_by(4) {
                widen_some::<T, 4>(from.add(i), to.add(i));
            }
            let twos = fours + (count - fours) / 2 * 2;
            if twos > fours {
                widen_some::<T, 2>(from.add(fours), to.add(fours));
            }
            if count > twos {
                widen_some::<T, 1>(from.add(twos), to.add(twos));
            }
        }
    }
    #[inline(always)]
    fn prefetch(&self, first: usize, count: usize, term: usize) {
        prefetch_all(self.0.at(first, term), count);
    }
}

/// The rows of a matrix as lines of pairs; transpose it for the columns.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Paired {
    lines: Matrix<bf16>,
    /// The terms of a line.
    terms: usize,
}

impl Paired {
    /// The rows of a matrix of `bf16`, which `T` has to be, with `terms` terms in each.
    pub(in crate::kernels) fn new<T: Narrow>(rows: Matrix<T>, terms: usize) -> Self {
        debug_assert_eq!(T::DTYPE, Dtype::BFloat16, "only these are read in pairs");
        let lines = Matrix {
            start: rows.start.cast(),
            rows: rows.rows,
            columns: rows.columns,
        };
        Paired { lines, terms }
    }
}

impl Side for Paired {
    type Words = Pairs;

    unsafe fn line(&self, line: usize, terms: Range<usize>, room: *mut f32) -> *const f32 {
        if self.lines.columns == 1 && terms.len().is_multiple_of(2) {
            return self.lines.at(line, terms.start).cast();
        }
        for (word, term) in terms.clone().step_by(2).enumerate() {
            // SAFETY: the caller promises the line and the room.
            unsafe {
                let first = self.lines.at(line, term).read();
                let second = if term + 1 < terms.end {
                    self.lines.at(line, term + 1).read()
                } else {
                    bf16::ZERO
                };
                room.add(word).write(pair(first, second));
            }
        }
        room
    }

    unsafe fn across(&self, panels: Panels, to: *mut f32) -> bool {
        let across = self.lines.columns != 1 && self.lines.rows == 1;
        if across {
            pack_pairs_across(self, panels, to);
        }
        across
    }
}

impl Across for Paired {
    #[inline(always)]
    unsafe fn words<S: Lanes>(&self, first: usize, count: usize, term: usize, to: *mut f32) {
        let from = self.lines.at(first, term);
        if term + 1 < self.terms {
            let next = self.lines.at(first, term + 1);
            for i in 0..count {
                // SAFETY: the caller promises the lines, which are neighbours.
                unsafe {
                    let word = pair(from.add(i).read(), next.add(i).read());
                    to.add(i).write(word);
                }
            }
        } else {
            for i in 0..count {
                // SAFETY: as above.
                unsafe { to.add(i).write(pair(from.add(i).read(), bf16::ZERO)) };
            }
        }
    }
    #[inline(always)]
    fn prefetch(&self, first: usize, count: usize, term: usize) {
        prefetch_all(self.lines.at(first, term), count);
        prefetch_all(self.lines.at(first, term + 1), count);
    }
}

/// Converts `N` elements.
///
/// # Safety
/// They must be readable, and writable at `to`.
#[inline(always)]
unsafe fn widen_some<T: Narrow, const N: usize>(from: *const T, to: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let some = from.cast::<[T; N]>().read_unaligned();
        to.cast::<[f32; N]>().write_unaligned(some.map(T::widen));
    }
}

/// Asks for `count` elements.
#[inline(always)]
fn prefetch_all<T>(start: *const T, count: usize) {
    for i in (0..count).step_by(64 / size_of::<T>()) {
        prefetch(start.wrapping_add(i));
    }
}

/// Packs lines in panels of `height`: of each, the first words of its lines come before the second
/// ones. The panels lie one after the other; the last is of the lines that are left, or filled up
/// with zeros if `fill`.
///
/// # Safety
/// The lines and terms must exist, `to` have room for all panels, and `room` for the words of a
/// panel.
pub(in crate::kernels) unsafe fn pack<W: Words>(
    side: &dyn Side<Words = W>,
    panels: Panels,
    (room, to): (*mut f32, *mut f32),
) {
    let words = panels.terms.len().div_ceil(W::TERMS);
    let (height, fill, lines) = (panels.height, panels.fill, panels.lines.clone());
    if fill && !lines.len().is_multiple_of(height) {
        let whole = lines.len() - lines.len() % height;
        // SAFETY: the last panel, which has room for `height` lines.
        unsafe { std::slice::from_raw_parts_mut(to.add(whole * words), height * words) }.fill(0.0);
    }
    // SAFETY: passed on to the caller.
    if unsafe { side.across(panels.clone(), to) } {
        return;
    }
    let terms = panels.terms;
    for first in (0..lines.len()).step_by(height) {
        let count = height.min(lines.len() - first);
        let step = if fill { height } else { count };
        let panel = to.wrapping_add(first * words);
        let from = lines.start + first;
        // SAFETY: passed on to the caller.
        if unsafe { side.panel(from..from + count, terms.clone(), step, (room, panel)) } {
            continue;
        }
        // SAFETY: the lines exist, and each has words in the room to itself; so has the panel.
        unsafe {
            for i in (0..count).step_by(MANY) {
                let some = (count - i).min(MANY);
                let mut from = [std::ptr::null(); MANY];
                for (line, from) in (i..).zip(&mut from[..some]) {
                    let room = room.add(line * words);
                    *from = side.line(lines.start + first + line, terms.clone(), room);
                }
                interleave_many(&from[..some], words, panel.add(i), step);
            }
        }
    }
}

/// The lines that are mostly interleaved at a time.
pub(in crate::kernels) const MANY: usize = 32;

/// As [`interleave`], of any number of lines, in squares of as many words as a register has.
///
/// # Safety
/// As there.
pub(in crate::kernels) unsafe fn interleave_many(
    lines: &[*const f32],
    words: usize,
    to: *mut f32,
    step: usize,
) {
    turn(lines, words, to, step);
}

per_isa! {
    fn turn(lines: &[*const f32], words: usize, to: *mut f32, step: usize) = turn_body;
}

#[inline(always)]
fn turn_body<S: Lanes>(lines: &[*const f32], words: usize, to: *mut f32, step: usize) {
    let whole = words - words % S::N;
    let (squares, rest) = lines.split_at(lines.len() - lines.len() % S::N);
    // SAFETY: the caller's promise.
    unsafe {
        for (i, lines) in squares.chunks_exact(S::N).enumerate() {
            let to = to.add(i * S::N);
            for word in (0..whole).step_by(S::N) {
                let to = to.add(word * step);
                match S::N {
                    16 => turn_square::<S, 4>(lines, word, to, step),
                    _ => turn_square::<S, 2>(lines, word, to, step),
                }
            }
        }
        for (start, lines, words) in [(0, squares, whole..words), (squares.len(), rest, 0..words)] {
            for (i, lines) in lines.chunks(4).enumerate() {
                let mut from = [std::ptr::null(); 4];
                for (from, line) in from.iter_mut().zip(lines) {
                    *from = line.add(words.start);
                }
                let to = to.add(words.start * step + start + 4 * i);
                interleave(&from[..lines.len()], words.len(), to, step);
            }
        }
    }
}

/// Writes a register of each of `4 G` lines, which are as many as it has words, from `word` on.
///
/// # Safety
/// As for [`interleave`].
#[inline(always)]
unsafe fn turn_square<S: Lanes, const G: usize>(
    lines: &[*const f32],
    word: usize,
    to: *mut f32,
    step: usize,
) {
    assert!(lines.len() == 4 * G && S::N == 4 * G);
    // SAFETY: the caller's promise.
    unsafe {
        let mut fours = [[S::splat(0.0); 4]; G];
        for (four, lines) in fours.iter_mut().zip(lines.chunks_exact(4)) {
            let mut rows = [S::splat(0.0); 4];
            for (row, line) in rows.iter_mut().zip(lines) {
                *row = S::load(line.add(word));
            }
            *four = S::transpose_squares(rows);
        }
        for column in 0..4 {
            let mut some = [S::splat(0.0); G];
            for (some, four) in some.iter_mut().zip(&fours) {
                *some = four[column];
            }
            let some = S::exchange_squares(some);
            for (square, words) in some.iter().enumerate() {
                S::store(*words, to.add((4 * square + column) * step));
            }
        }
    }
}

/// Writes the words of up to four lines so that neighbours come to lie `step` apart.
///
/// # Safety
/// `words` words must be readable at each line, and as many be writable at the steps from `to` on.
#[inline(always)]
pub(in crate::kernels) unsafe fn interleave(
    lines: &[*const f32],
    words: usize,
    to: *mut f32,
    step: usize,
) {
    let mut done = 0;
    // SAFETY: the caller's promise.
    unsafe {
        if let &[a, b, c, d] = lines {
            done = words - words % 4;
            for word in (0..done).step_by(4) {
                let from = [a, b, c, d].map(|line| line.add(word));
                transpose4(from, to.add(word * step), step);
            }
        } else if let &[a, b] = lines {
            // Tiles have two rows more than fours of them.
            for word in 0..words {
                let pair = [a, b].map(|line| line.add(word).read_unaligned());
                to.add(word * step).cast::<[f32; 2]>().write_unaligned(pair);
            }
            done = words;
        }
        for (i, line) in lines.iter().enumerate() {
            for word in done..words {
                to.add(word * step + i)
                    .write(line.add(word).read_unaligned());
            }
        }
    }
}

per_isa! {
    /// As `pack`, for lines whose neighbours lie side by side: all panels take theirs from one run.
    fn pack_across<A: Across>(side: &A, panels: Panels, to: *mut f32) = pack_across_body;
}

per_isa! {
    [bf16]
    /// As `pack_across`, of pairs.
    fn pack_pairs_across<A: Across>(side: &A, panels: Panels, to: *mut f32) = pack_across_body;
}

#[inline(always)]
fn pack_across_body<S: Lanes, A: Across>(side: &A, panels: Panels, to: *mut f32) {
    let Panels {
        lines,
        terms,
        height,
        fill,
    } = panels;
    let words = terms.len().div_ceil(A::Words::TERMS);
    for start in (0..words).step_by(RUN) {
        let run = start..words.min(start + RUN);
        for first in (0..lines.len()).step_by(height) {
            let count = height.min(lines.len() - first);
            let step = if fill { height } else { count };
            let panel = (to.wrapping_add(first * words), step);
            let from = lines.start + first;
            // SAFETY: the caller of `pack` promises the lines, the terms and the room.
            unsafe {
                // Tiles have lengths that the compiler knows.
                if count == S::TILE.1 * S::N {
                    pack_run::<S, A>(side, (from, S::TILE.1 * S::N), terms.start, &run, panel);
                } else if count == S::TILE.0 {
                    pack_run::<S, A>(side, (from, S::TILE.0), terms.start, &run, panel);
                } else {
                    pack_run::<S, A>(side, (from, count), terms.start, &run, panel);
                }
            }
        }
    }
}

/// Packs a run of words of `count` lines from `first` on to a panel, where they lie `step` apart.
///
/// # Safety
/// The lines must exist, and the terms from `term` on, and the words be writable.
#[inline(always)]
unsafe fn pack_run<S: Lanes, A: Across>(
    side: &A,
    (first, count): (usize, usize),
    term: usize,
    run: &Range<usize>,
    (panel, step): (*mut f32, usize),
) {
    for word in run.clone() {
        let term = term + word * A::Words::TERMS;
        side.prefetch(first, count, term + RUN * A::Words::TERMS);
        // SAFETY: passed on to the caller.
        unsafe { side.words::<S>(first, count, term, panel.wrapping_add(word * step)) };
    }
}
