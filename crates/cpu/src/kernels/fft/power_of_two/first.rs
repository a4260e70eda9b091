//! Owns the first pass, which takes a line apart, and all of a transform so short that it needs no
//! other.

use super::{
    Direction, PowerOfTwo,
    butterflies::{Complexes, finish16, transform4, transform8},
    passes::{Results, Sink, Source, kept16, start16},
};
use crate::simd::{Lanes, prefetch_first};

/// The `f32` of two blocks of the widest vectors.
pub(super) const BLOCKS: usize = 2 * BLOCK;
const BLOCK: usize = 2 * 16 * 16;

/// Numbers of a line, so many `f32` apart.
#[derive(Clone, Copy)]
struct Line {
    start: *const f32,
    step: usize,
    inverse: bool,
}

impl<S: Lanes> Source<S> for Line {
    #[inline(always)]
    unsafe fn number(self, i: usize) -> Complexes<S> {
        // SAFETY: the caller's promise.
        let (re, im) = unsafe {
            let at = self.start.add(self.step * i);
            S::split(S::load(at), S::load(at.add(S::N)))
        };
        // Numbers with parts exchanged have the inverse transform with parts exchanged.
        if self.inverse {
            Complexes { re: im, im: re }
        } else {
            Complexes { re, im }
        }
    }
}

/// The transforms, times roots of one, of eight columns of a line that is seen as a matrix of `R` rows:
/// for each column a row, of which the first `R` numbers count.
///
/// # Safety
/// The line must be readable, and the plan have roots for the block.
#[inline(always)]
unsafe fn block8<S: Lanes, const R: usize>(
    plan: &PowerOfTwo,
    block: usize,
    line: Line,
) -> [Complexes<S>; 8] {
    assert!(S::N == 8);
    let mut x = [Complexes::<S>::zero(); R];
    // SAFETY: the caller's promise.
    unsafe {
        for (i, x) in x.iter_mut().enumerate() {
            *x = line.number(i);
        }
        if R == 4 {
            [x[0], x[1], x[2], x[3]] = transform4([x[0], x[1], x[2], x[3]]);
        } else {
            assert!(R == 8);
            transform8(&mut *x.as_mut_ptr().cast::<[Complexes<S>; 8]>());
        }
        let roots = plan.roots.as_ptr().add(16 * (R - 1) * block);
        for (i, x) in x.iter_mut().enumerate().skip(1) {
            *x = x.mul(Complexes::load(roots.add(16 * (i - 1))));
        }
    }
    let mut rows = [Complexes::<S>::zero(); 8];
    for part in 0..2 {
        let mut vectors = [S::splat(0.0); 8];
        for i in 0..8 {
            if S::order(i) < R {
                let x = x[S::order(i)];
                vectors[i] = if part == 0 { x.re } else { x.im };
            }
        }
        let [a, b, c, d, e, f, g, h] = vectors;
        let left = S::transpose_squares([a, b, c, d]);
        let right = S::transpose_squares([e, f, g, h]);
        for i in 0..4 {
            let both = S::exchange_squares([left[i], right[i]]);
            let (first, second) = (S::order(i), S::order(i + 4));
            if part == 0 {
                (rows[first].re, rows[second].re) = (both[0], both[1]);
            } else {
                (rows[first].im, rows[second].im) = (both[0], both[1]);
            }
        }
    }
    rows
}

/// The transform of `8 * R` numbers.
///
/// # Safety
/// The line must be readable and the result writable.
#[inline(always)]
pub(super) unsafe fn whole8<S: Lanes, D: Direction, const R: usize>(
    plan: &PowerOfTwo,
    from: *const f32,
    to: *mut f32,
    scale: f32,
) {
    let line = Line {
        start: from,
        step: 16,
        inverse: D::INVERSE,
    };
    let results = Results {
        to,
        step: 2 * R,
        inverse: D::INVERSE,
        scale: Some(scale),
    };
    // SAFETY: the caller's promise.
    unsafe {
        let mut x = block8::<S, R>(plan, 0, line);
        transform8(&mut x);
        for (i, x) in x.into_iter().enumerate() {
            // Where four numbers of eight count, the next result overwrites the others.
            if R == 8 || i < 7 {
                results.put(i, x);
            } else {
                results.put_half(i, x);
            }
        }
    }
}

/// The first pass: from the line, seen as a matrix of eight rows, to rows of eight numbers, one for each
/// column, the transform of that column times roots of one.
///
/// # Safety
/// The line must be readable and the rows writable.
#[inline(always)]
pub(super) unsafe fn first8<S: Lanes, D: Direction>(
    plan: &PowerOfTwo,
    from: *const f32,
    rows: *mut f32,
) {
    assert!(plan.places.len() == 8);
    for (block, &start) in plan.starts.iter().enumerate() {
        // SAFETY: eight columns of the line, and the rows and roots that the plan has for them.
        unsafe {
            let line = Line {
                start: from.add(16 * block),
                step: 2 * plan.size / 8,
                inverse: D::INVERSE,
            };
            // Rows lie so far apart that few of them are fetched before they are asked for.
            for place in &plan.places {
                prefetch_first(rows.wrapping_add(16 * (start + place)));
            }
            let x = block8::<S, 8>(plan, block, line);
            for (x, place) in x.into_iter().zip(&plan.places) {
                x.store(rows.add(16 * (start + place)));
            }
        }
    }
}

/// As [`first8`] of sixteen rows, to rows of sixteen numbers. Squares are exchanged when the next block
/// is computed, since a processor that exchanges elements in one of its two units would idle in the
/// other.
///
/// # Safety
/// As for [`first8`], and `BLOCKS` numbers must be writable at `blocks`.
#[inline(always)]
pub(super) unsafe fn first16<S: Lanes, D: Direction>(
    plan: &PowerOfTwo,
    from: *const f32,
    rows: *mut f32,
    (kept, blocks): (*mut f32, *mut f32),
) {
    assert!(S::N == 16 && plan.places.len() == 16);
    // The first time, the squares are whatever is there, and their rows are overwritten.
    let mut before = rows.wrapping_add(32 * plan.starts[0]);
    for (block, &start) in plan.starts.iter().enumerate() {
        // SAFETY: as in `first8`.
        unsafe {
            let line = Line {
                start: from.add(32 * block),
                step: 2 * plan.size / 16,
                inverse: D::INVERSE,
            };
            let roots = plan.roots.as_ptr().add(32 * 15 * block);
            // As in `first8`.
            for place in &plan.places {
                let row = rows.wrapping_add(32 * (start + place));
                prefetch_first(row);
                prefetch_first(row.wrapping_add(16));
            }
            let this = blocks.add(BLOCK * (block % 2));
            let other = blocks.add(BLOCK * ((block + 1) % 2)).cast_const();
            let a = start16::<S>(line, 0, kept);
            exchange::<S>(plan, (other, before), 0);
            let b = start16(line, 1, kept);
            exchange::<S>(plan, (other, before), 1);
            let c = start16(line, 2, kept);
            exchange::<S>(plan, (other, before), 2);
            let d = start16(line, 3, kept);
            exchange::<S>(plan, (other, before), 3);
            let p = turned(finish16::<S, 0>([a[0], b[0], c[0], d[0]]), roots, 0);
            exchange::<S>(plan, (other, before), 4);
            let q = turned(finish16::<S, 1>([a[1], b[1], c[1], d[1]]), roots, 1);
            exchange::<S>(plan, (other, before), 5);
            squares([p[0], q[0], p[2], q[2]], this);
            squares([p[1], q[1], p[3], q[3]], this.add(32 * 8));
            let p = turned(finish16::<S, 2>(kept16(2, kept)), roots, 2);
            exchange::<S>(plan, (other, before), 6);
            let q = turned(finish16::<S, 3>(kept16(3, kept)), roots, 3);
            exchange::<S>(plan, (other, before), 7);
            squares([p[0], q[0], p[2], q[2]], this.add(32 * 4));
            squares([p[1], q[1], p[3], q[3]], this.add(32 * 12));
            before = rows.add(32 * start);
        }
    }
    let last = blocks.wrapping_add(BLOCK * ((plan.starts.len() + 1) % 2));
    for part in 0..8 {
        // SAFETY: as in `first8`.
        unsafe { exchange::<S>(plan, (last, before), part) };
    }
}

/// Products with roots of one.
///
/// # Safety
/// These must be readable.
#[inline(always)]
unsafe fn turned<S: Lanes>(
    mut x: [Complexes<S>; 4],
    roots: *const f32,
    first: usize,
) -> [Complexes<S>; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        if first > 0 {
            x[0] = x[0].mul(Complexes::load(roots.add(2 * S::N * (first - 1))));
        }
        x[1] = x[1].mul(Complexes::load(roots.add(2 * S::N * (first + 3))));
        x[2] = x[2].mul(Complexes::load(roots.add(2 * S::N * (first + 7))));
        x[3] = x[3].mul(Complexes::load(roots.add(2 * S::N * (first + 11))));
    }
    x
}

/// Transposes squares of four vectors and keeps them.
///
/// # Safety
/// There must be room.
#[inline(always)]
unsafe fn squares<S: Lanes>([a, b, c, d]: [Complexes<S>; 4], to: *mut f32) {
    let re = S::transpose_squares([a.re, b.re, c.re, d.re]);
    let im = S::transpose_squares([a.im, b.im, c.im, d.im]);
    for i in 0..4 {
        let (re, im) = (re[i], im[i]);
        // SAFETY: the caller's promise.
        unsafe { Complexes::<S> { re, im }.store(to.add(2 * S::N * i)) };
    }
}

/// An eighth of what is left to do for a block: exchanging squares, and storing rows.
///
/// # Safety
/// The block must be readable, and its rows writable.
#[inline(always)]
unsafe fn exchange<S: Lanes>(
    plan: &PowerOfTwo,
    (block, rows): (*const f32, *mut f32),
    part: usize,
) {
    let (i, part) = (part / 2, part % 2);
    // SAFETY: the caller's promise; there are sixteen places.
    unsafe {
        let from = block.add(32 * i + 16 * part);
        let rows = rows.add(16 * part);
        let four = S::exchange_squares([
            S::load(from),
            S::load(from.add(32 * 4)),
            S::load(from.add(32 * 8)),
            S::load(from.add(32 * 12)),
        ]);
        for (square, vector) in four.into_iter().enumerate() {
            let place = *plan.places.get_unchecked(S::order(4 * square + i));
            S::store(vector, rows.add(32 * place));
        }
    }
}
