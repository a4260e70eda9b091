//! Owns products of a few rows with packed matrices, in each of the ways in which packed rows are multiplied as
//! they are read.

use std::{marker::PhantomData, ops::Range, sync::OnceLock};

use super::{
    codes::{Codes, any_nan},
    convert::bytes,
    digits::{self, Digits},
    few::{self, Later, Products, Rows, SPARE, TALL, Vectors},
    operands::{Job, Packed, Sides},
};
use crate::{
    kernels::matmul::Words,
    pool::{parallel_for, parallel_units},
};

/// How a few vectors are multiplied with packed rows as these are read.
pub(super) trait Way {
    type Vectors: Send + Sync;
    /// The most vectors that are multiplied at a time.
    const WIDE: usize;
    /// Up to [`WIDE`](Way::WIDE) vectors of `len` numbers, which are whole groups.
    fn vectors<'a, C: Codes>(
        vectors: impl ExactSizeIterator<Item = &'a [f32]>,
        len: usize,
        group: usize,
    ) -> Self::Vectors;
    /// The dot products of rows with vectors.
    fn dots<C: Codes>(rows: Rows, vectors: &Self::Vectors, products: &mut Products);
}

/// As `f32`, or in pairs of `bf16`.
pub(super) struct AsNumbers<P>(PhantomData<P>);

impl<P: Words> Way for AsNumbers<P> {
    type Vectors = Vectors;
    const WIDE: usize = few::WIDE;

    fn vectors<'a, C: Codes>(
        vectors: impl ExactSizeIterator<Item = &'a [f32]>,
        len: usize,
        group: usize,
    ) -> Vectors {
        Vectors::new::<C, P>(vectors, len, group)
    }

    fn dots<C: Codes>(rows: Rows, vectors: &Vectors, products: &mut Products) {
        few::dots::<C, P>(rows, vectors, products);
    }
}

/// As whole numbers, digit by digit.
pub(super) struct InDigits;

impl Way for InDigits {
    type Vectors = Digits;
    const WIDE: usize = digits::WIDE;

    fn vectors<'a, C: Codes>(
        vectors: impl ExactSizeIterator<Item = &'a [f32]>,
        len: usize,
        group: usize,
    ) -> Digits {
        Digits::new::<C>(vectors, len, group)
    }

    fn dots<C: Codes>(rows: Rows, vectors: &Digits, products: &mut Products) {
        digits::dots::<C>(rows, vectors, products);
    }
}

/// Rows on the left as they are, and as they are multiplied.
struct Left<V> {
    wide: Vec<f32>,
    blocks: Vec<V>,
}

impl<V: Send + Sync> Left<V> {
    fn new<C: Codes, W: Way<Vectors = V>>(packed: &Packed, job: &Job, sides: &Sides) -> Self {
        let (inner, group) = (sides.inner.max(1), packed.scheme.group_size());
        let wide = sides.wide_rows(job);
        let len = inner * W::WIDE;
        let blocks = made_in_parallel(wide.len().div_ceil(len), 8 * len, |i| {
            let rows = wide[i * len..].chunks(len).next();
            let rows = rows.unwrap_or_default().chunks_exact(inner);
            W::vectors::<C>(rows, sides.inner, group)
        });
        Left { wide, blocks }
    }
}

/// What `make` makes of each number below `count`, in the time of so many operations each.
pub(super) fn made_in_parallel<V: Send + Sync>(
    count: usize,
    cost: usize,
    make: impl Fn(usize) -> V + Sync,
) -> Vec<V> {
    let made: Vec<OnceLock<V>> = (0..count).map(|_| OnceLock::new()).collect();
    parallel_units(count, cost, |range| {
        for i in range {
            made[i].get_or_init(|| make(i));
        }
    });
    let made = made.into_iter().map(OnceLock::into_inner);
    made.map(|one| one.expect("all have been made")).collect()
}

/// What is made of the rows on the left of jobs, and which of it is each job's. Jobs mostly have the same
/// rows: those of one token.
pub(super) fn lefts<V>(jobs: &[&Job], make: impl Fn(&Job) -> V) -> (Vec<V>, Vec<usize>) {
    let mut lefts = Vec::new();
    let mut last: Option<&Job> = None;
    let left_of = jobs
        .iter()
        .map(|&job| {
            let same = |last: &Job| {
                let rows = job.rows.iter().map(|row| row.0);
                last.rows.iter().map(|row| row.0).eq(rows)
            };
            if !last.is_some_and(same) {
                lefts.push(make(job));
            }
            last = Some(job);
            lefts.len() - 1
        })
        .collect();
    (lefts, left_of)
}

/// Products of a few rows with each packed row of some matrices, whose codes are read as they are packed.
/// All matrices are shared out at once: one alone may be small, as that of an expert is.
pub(super) fn multiply<C: Codes, W: Way>(packed: &Packed, jobs: &[&Job], sides: &Sides) {
    let (lefts, left_of) = lefts(jobs, |job| Left::new::<C, W>(packed, job, sides));
    let rows: usize = jobs.iter().map(|job| job.rows.len()).sum();
    let cost = sides.inner * (1 + rows / jobs.len().max(1)) / 8;
    parallel_for(jobs.len() * sides.columns, cost, |range| {
        let mut at = range.start;
        while at < range.end {
            let (i, column) = (at / sides.columns, at % sides.columns);
            let columns = column..sides.columns.min(column + range.end - at);
            at += columns.len();
            multiply_columns::<C, W>(packed, jobs[i], &lefts[left_of[i]], sides, columns);
        }
    });
}

/// Products of the rows of a job with some rows of its matrix, which become columns.
fn multiply_columns<C: Codes, W: Way>(
    packed: &Packed,
    job: &Job,
    left: &Left<W::Vectors>,
    sides: &Sides,
    columns: Range<usize>,
) {
    let inner = sides.inner;
    let (groups, len) = (inner / packed.scheme.group_size(), inner * C::BITS / 8);
    let codes = bytes(&packed.codes);
    let mut factors = [(); 2].map(|()| vec![0.0; TALL * groups + SPARE]);
    let mut products = Products::new();
    for column in columns.clone().step_by(TALL) {
        let count = (columns.end - column).min(TALL);
        let row = job.matrix * packed.rows + column;
        let [scales, biases] = &mut factors;
        let all = count * groups;
        let rows = row * groups..(row + count) * groups;
        packed.scales(rows, &mut scales[..all], &mut biases[..all]);
        let after = (columns.end - column - count).min(TALL);
        let later = (row + count) * groups..(row + count + after) * groups;
        let rows = Rows {
            count,
            codes: &codes[row * len..][..(columns.end - column) * len],
            scales: &scales[..],
            biases: &biases[..],
            later: Later {
                stored: packed.stored_scales(later),
                of_row: packed.stored_scales(0..groups).map(<[u8]>::len),
            },
        };
        let mut nan = [false; TALL];
        for (x, &(_, to)) in job.rows.iter().enumerate() {
            if x % W::WIDE == 0 {
                // Packed rows are still in the cache when more vectors meet them.
                W::dots::<C>(rows, &left.blocks[x / W::WIDE], &mut products);
            }
            if C::FLOAT8 && x == 0 {
                let codes = rows.codes.chunks_exact(len);
                for (nan, codes) in nan.iter_mut().zip(codes).take(count) {
                    *nan = any_nan(codes);
                }
            }
            let sums = &mut products.of(x % W::WIDE)[..count];
            for (j, sum) in sums.iter_mut().enumerate() {
                // Infinities have to meet the numbers that codes stand for.
                if !sum.is_finite() || nan[j] {
                    *sum = packed.dot::<C>(row + j, &left.wide[x * inner..][..inner]);
                }
            }
            // SAFETY: within the output, in columns that are this thread's alone.
            unsafe { sides.out.write(sums, to, column) };
        }
    }
}
