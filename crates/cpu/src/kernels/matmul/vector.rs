//! Owns products with few rows on one side, which are bound by reading the other matrix: it is
//! read once, as it lies, and never repacked.

use super::{Matrix, Sizes, Target};
use crate::{
    isa::per_isa,
    pool::parallel_for,
    simd::{Lanes, Narrow},
};

/// Computes the product if one side has at most `few` rows and the layout suits; otherwise does
/// nothing and returns false.
///
/// # Safety
/// As for `Product::product`.
pub(super) unsafe fn product<T: Narrow>(
    sizes: Sizes,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    few: usize,
) -> bool {
    let Sizes { m, n, k } = sizes;
    if k == 0 {
        return false;
    }
    if m <= few && b.rows == 1 {
        let target = Target {
            start: out,
            row: 1,
            column: n,
        };
        // SAFETY: passed on to the caller.
        unsafe { rows((b.transposed(), n), (a, m), k, target) };
    } else if n <= few && a.columns == 1 {
        let target = Target::new(out, n);
        // SAFETY: passed on to the caller.
        unsafe { rows((a, m), (b.transposed(), n), k, target) };
    } else if m == 1 && b.columns == 1 {
        // SAFETY: passed on to the caller.
        unsafe { columns(b.transposed(), n, a, k, out) };
    } else if n == 1 && a.rows == 1 {
        // SAFETY: passed on to the caller.
        unsafe { columns(a, m, b.transposed(), k, out) };
    } else {
        return false;
    }
    true
}

/// The rows of a matrix as contiguous `f32`: in place if they are that already, else copied.
struct Vectors<'a> {
    start: *const f32,
    step: isize,
    _copy: std::borrow::Cow<'a, [f32]>,
}

// SAFETY: it is only read.
unsafe impl Sync for Vectors<'_> {}

impl Vectors<'_> {
    unsafe fn new<T: Narrow>(x: Matrix<T>, count: usize, k: usize) -> Self {
        if T::DTYPE == olivine_core::Dtype::Float32 && (x.columns == 1 || k == 1) {
            let start = x.start.cast::<f32>();
            return Vectors {
                start,
                step: x.rows,
                _copy: std::borrow::Cow::Borrowed(&[]),
            };
        }
        let mut copy = Vec::with_capacity(count * k);
        for i in 0..count {
            // SAFETY: the caller promises `count` vectors of `k` elements.
            copy.extend((0..k).map(|j| unsafe { x.at(i, j).read() }.widen()));
        }
        Vectors {
            start: copy.as_ptr(),
            step: k as isize,
            _copy: copy.into(),
        }
    }

    fn at(&self, i: usize) -> *const f32 {
        self.start.wrapping_offset(i as isize * self.step)
    }
}

/// The elements of vectors that meet all rows before the next vectors do: 512 KiB, so that they
/// stay in the second-level cache.
const VECTORS: usize = 128 * 1024;

/// Dot products of each of `count` contiguous rows of `w` with each of `vectors` vectors, which are
/// the columns of the target.
unsafe fn rows<T: Narrow>(
    (w, count): (Matrix<T>, usize),
    (x, vectors): (Matrix<T>, usize),
    k: usize,
    target: Target<T>,
) {
    // SAFETY: passed on to the caller.
    let x = unsafe { Vectors::new(x, vectors, k) };
    let block = (VECTORS / k).clamp(16, 64);
    parallel_for(count, k * vectors / 4, |range| {
        for first in (0..vectors).step_by(block) {
            let last = (first + block).min(vectors);
            for row in range.clone().step_by(4) {
                let tall = (range.end - row).min(4);
                let w: [*const T; 4] = std::array::from_fn(|i| w.at(row + i.min(tall - 1), 0));
                for vector in (first..last).step_by(4) {
                    let wide = (last - vector).min(4);
                    let x: [*const f32; 4] =
                        std::array::from_fn(|i| x.at(vector + i.min(wide - 1)));
                    let dots = dots(w, x, wide, k);
                    for (i, dots) in dots.iter().enumerate().take(tall) {
                        for (j, &dot) in dots.iter().enumerate().take(wide) {
                            let to = target.at(row + i, vector + j);
                            // SAFETY: within the output, at rows that are this thread's alone.
                            unsafe { to.write(T::narrow(dot)) };
                        }
                    }
                }
            }
        }
    });
}

per_isa! {
    /// Dot products of four rows with the first `wide` of four vectors, all of `k` elements.
    pub(in crate::kernels) fn dots<T: Narrow>(w: [*const T; 4], x: [*const f32; 4], wide: usize, k: usize) -> [[f32; 4]; 4] = dots_body;
}

#[inline(always)]
fn dots_body<S: Lanes, T: Narrow>(
    w: [*const T; 4],
    x: [*const f32; 4],
    wide: usize,
    k: usize,
) -> [[f32; 4]; 4] {
    match wide {
        1 => dots_of::<S, T, 1>(w, x, k),
        2 => dots_of::<S, T, 2>(w, x, k),
        3 => dots_of::<S, T, 3>(w, x, k),
        _ => dots_of::<S, T, 4>(w, x, k),
    }
}

#[inline(always)]
fn dots_of<S: Lanes, T: Narrow, const M: usize>(
    w: [*const T; 4],
    x: [*const f32; 4],
    k: usize,
) -> [[f32; 4]; 4] {
    let mut sums = [[S::splat(0.0); M]; 4];
    let whole = k - k % S::N;
    let mut at = 0;
    while at < whole {
        // SAFETY: every row and vector has `k` elements, and `at + N` is at most `k`.
        unsafe {
            let x: [S::F; M] = std::array::from_fn(|j| S::load(x[j].add(at)));
            for (row, sums) in w.iter().zip(&mut sums) {
                let w = T::load::<S>(row.add(at));
                for (sum, &x) in sums.iter_mut().zip(&x) {
                    *sum = S::mul_add(w, x, *sum);
                }
            }
        }
        at += S::N;
    }
    let mut dots = [[0.0; 4]; 4];
    for i in 0..4 {
        for j in 0..M {
            dots[i][j] = S::sum(sums[i][j]);
            for rest in whole..k {
                // SAFETY: `rest` is less than `k`.
                dots[i][j] += unsafe { w[i].add(rest).read().widen() * x[j].add(rest).read() };
            }
        }
    }
    dots
}

/// The columns that are summed at a time: their sums stay in the first-level cache.
const BLOCK: usize = 512;

/// Products of `count` rows of `w` with one vector, where it is the columns that are contiguous.
unsafe fn columns<T: Narrow>(w: Matrix<T>, count: usize, x: Matrix<T>, k: usize, out: *mut T) {
    // SAFETY: passed on to the caller.
    let x = unsafe { Vectors::new(x, 1, k) };
    let target = Target::new(out, 1);
    parallel_for(count.div_ceil(BLOCK), k * BLOCK / 8, |blocks| {
        for block in blocks {
            let first = block * BLOCK;
            let len = (count - first).min(BLOCK);
            let mut sums = [0.0f32; BLOCK];
            let mut column = 0;
            while column < k {
                let some = (k - column).min(4);
                // Missing columns repeat the last one, times zero.
                let w: [&[T]; 4] = std::array::from_fn(|i| {
                    let start = w.at(first, column + i.min(some - 1));
                    // SAFETY: `len` contiguous elements of one column.
                    unsafe { std::slice::from_raw_parts(start, len) }
                });
                let x: [f32; 4] = std::array::from_fn(|i| {
                    if i >= some {
                        return 0.0;
                    }
                    // SAFETY: the vector has `k` elements.
                    unsafe { x.at(0).add(column + i).read() }
                });
                if some == 4 {
                    add_columns(&mut sums[..len], w, x);
                } else {
                    for i in 0..some {
                        add_columns(&mut sums[..len], [w[i], &[], &[], &[]], x.map(|_| x[i]));
                    }
                }
                column += some;
            }
            for (i, &sum) in sums[..len].iter().enumerate() {
                // SAFETY: within the output, in a block that is this thread's alone.
                unsafe { target.at(first + i, 0).write(T::narrow(sum)) };
            }
        }
    });
}

per_isa! {
    /// Adds four columns, each times its factor; only the first if the others are empty.
    fn add_columns<T: Narrow>(sums: &mut [f32], w: [&[T]; 4], x: [f32; 4]) = add_columns_body;
}

#[inline(always)]
fn add_columns_body<S: Lanes, T: Narrow>(sums: &mut [f32], w: [&[T]; 4], x: [f32; 4]) {
    let len = sums.len();
    if w[1].len() != len || w[2].len() != len || w[3].len() != len {
        for (sum, w) in sums.iter_mut().zip(w[0]) {
            *sum = S::fma(w.widen(), x[0], *sum);
        }
        return;
    }
    let w = w.map(|w| &w[..len]);
    let factors = x.map(S::splat);
    let whole = len - len % S::N;
    let mut at = 0;
    while at < whole {
        // SAFETY: all slices have `len` elements, and `at + N` is at most `len`.
        unsafe {
            let to = sums.as_mut_ptr().add(at);
            let mut sum = S::load(to);
            for (w, &factor) in w.iter().zip(&factors) {
                sum = S::mul_add(T::load::<S>(w.as_ptr().add(at)), factor, sum);
            }
            S::store(sum, to);
        }
        at += S::N;
    }
    for i in whole..len {
        for (w, &factor) in w.iter().zip(&x) {
            sums[i] = S::fma(w[i].widen(), factor, sums[i]);
        }
    }
}
