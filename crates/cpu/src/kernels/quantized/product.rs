//! Owns products with packed matrices. With few rows on the left, packed rows are multiplied as they
//! are read; with many, they are unpacked into the panels of a blocked product.

use std::{borrow::Cow, cell::RefCell, marker::PhantomData, ops::Range, sync::OnceLock};

use olivine_core::{
    Call, Result, bf16, dispatch, f16,
    quantized::{Activations, GatherQmm, Quantization, QuantizedMatmul},
};

use super::{
    codes::{Codes, any_nan, scales_of, unpack, with_codes},
    columns,
    convert::bytes,
    dense,
    digits::{self, Digits},
    few::{self, Later, Products, Rows, SPARE, TALL, Vectors},
    integer::{self, Panel, Rounded as RoundedRows},
    no_such, results,
};
use crate::{
    isa::{Isa, per_isa},
    kernels::{
        indices::Positions,
        matmul::{
            MANY, Matrix, Paired, Pairs, Results, Rounded, Side, Singles, Sizes, Target, Wide,
            Words, interleave_many, multiply, multiply_sides, pair, pairs_are_fast,
        },
        row::RowElement,
    },
    pool::{num_threads, parallel_for, parallel_units},
    simd::{Lanes, Narrow},
    tensor::wrong_dtype,
};

/// The most rows on the left for which codes become numbers as they are read: with more, unpacking the packed
/// matrix first is as fast.
const FEW: usize = 48;

/// The same where pairs make large products twice as fast, and where only these are in pairs.
const FEW_IN_PAIRS: usize = 16;
const FEW_BESIDE_PAIRS: usize = 8;

/// The fewest rows on the left that are rounded, where that is asked for: fewer wait for packed rows.
const SOME_ROUNDED: usize = 5;

/// Numbers of a packed row that are read at a time: four rows of them stay in the first cache.
const CHUNK: usize = 1024;

/// The most numbers of a panel: 2 MiB.
const PANEL: usize = 512 * 1024;

/// What products read besides their left sides, and what they write.
trait Number: Rounded + RowElement<Wide = f32> {}
impl Number for f32 {}
impl Number for f16 {}
impl Number for bf16 {}

/// The elements of an operand in row-major order. What is done with their type is done behind this
/// trait, so that products are compiled for each sort of code only.
pub(super) trait Floats: Sync {
    /// Widens a range of them.
    fn widen(&self, range: Range<usize>, to: &mut [f32]);
    /// A range of them as they are stored.
    fn stored(&self, range: Range<usize>) -> &[u8];
    /// Rows of `len` as a side of a product.
    fn rows(&self, len: usize) -> Box<dyn Side<Words = Singles>>;
    /// True if they are of 16 bits.
    fn are_halves(&self) -> bool;
    /// True if pairs are fast with their type.
    fn in_pairs(&self) -> bool;
    /// Rows as a side in pairs, if these are fast.
    fn pairs(&self, len: usize) -> Option<Paired>;
}

impl<T: Number> Floats for Cow<'_, [T]> {
    fn widen(&self, range: Range<usize>, to: &mut [f32]) {
        T::widen_slice(&self[range], to);
    }

    fn stored(&self, range: Range<usize>) -> &[u8] {
        bytes(&self[range])
    }

    fn rows(&self, len: usize) -> Box<dyn Side<Words = Singles>> {
        Box::new(Wide(rows_of(self, len)))
    }

    fn are_halves(&self) -> bool {
        size_of::<T>() == 2
    }

    fn in_pairs(&self) -> bool {
        pairs_are_fast::<T>()
    }

    fn pairs(&self, len: usize) -> Option<Paired> {
        self.in_pairs()
            .then(|| Paired::new(rows_of(self, len), len))
    }
}

fn rows_of<T>(elements: &[T], len: usize) -> Matrix<T> {
    Matrix {
        start: elements.as_ptr(),
        rows: len as isize,
        columns: 1,
    }
}

/// Reads an operand of the dtype of the call's output.
fn floats<'a>(call: &'a Call, i: usize, op: &'static str) -> Result<Box<dyn Floats + 'a>> {
    let dtype = call.dtype(0);
    dispatch!(narrow, dtype, T => Ok(Box::new(dense::<T>(call.input(i), op)?)), else {
        Err(wrong_dtype(op, dtype))
    })
}

/// Scales as they are stored.
pub(super) enum Scales<'a> {
    /// With biases.
    Floats(Box<dyn Floats + 'a>, Box<dyn Floats + 'a>),
    Bytes(Cow<'a, [u8]>),
}

/// Packed matrices, one after the other.
pub(super) struct Packed<'a> {
    pub(super) scheme: Quantization,
    pub(super) codes: Cow<'a, [u32]>,
    pub(super) scales: Scales<'a>,
    /// The rows of one matrix, and the codes in a row.
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Scales and biases as they are multiplied with.
#[derive(Default)]
struct Room {
    scales: Vec<f32>,
    biases: Vec<f32>,
}

impl<'a> Packed<'a> {
    fn new(call: &'a Call, scheme: Quantization, op: &'static str) -> Result<Self> {
        let shape = &call.input(1).shape;
        let scales = if scheme.mode() == olivine_core::quantized::QuantizationMode::Affine {
            Scales::Floats(floats(call, 2, op)?, floats(call, 3, op)?)
        } else {
            Scales::Bytes(dense(call.input(2), op)?)
        };
        Ok(Packed {
            scheme,
            codes: dense(call.input(1), op)?,
            scales,
            rows: shape[shape.rank() - 2],
            columns: shape[shape.rank() - 1] * 32 / scheme.bits(),
        })
    }

    /// Reads the scales and biases of groups; where there are no biases, nothing for them.
    pub(super) fn scales(
        &self,
        groups: Range<usize>,
        to_scales: &mut [f32],
        to_biases: &mut [f32],
    ) {
        match &self.scales {
            Scales::Floats(scales, biases) => {
                scales.widen(groups.clone(), to_scales);
                biases.widen(groups, to_biases);
            }
            Scales::Bytes(scales) => {
                scales_of(&scales[groups], self.scheme.mode(), to_scales);
            }
        }
    }

    /// The scales and biases of groups as they are stored.
    fn stored_scales(&self, groups: Range<usize>) -> [&[u8]; 2] {
        match &self.scales {
            Scales::Floats(scales, biases) => {
                [scales.stored(groups.clone()), biases.stored(groups)]
            }
            Scales::Bytes(scales) => [&scales[groups], &[]],
        }
    }

    /// Writes some words of rows so that neighbours come to lie `step` apart; rows are counted over all
    /// matrices.
    ///
    /// # Safety
    /// There must be room for the words of `step` rows.
    pub(super) unsafe fn interleave<C: Codes>(
        &self,
        rows: Range<usize>,
        words: Range<usize>,
        to: *mut f32,
        step: usize,
    ) {
        let in_row = self.columns * C::BITS / 32;
        for (i, row) in rows.clone().enumerate().step_by(MANY) {
            let some = (rows.end - row).min(MANY);
            let mut lines = [std::ptr::null(); MANY];
            for (line, row) in lines.iter_mut().zip(row..row + some) {
                *line = self.codes[row * in_row..][words.clone()].as_ptr().cast();
            }
            // SAFETY: the rows have these words; the room is the caller's promise.
            unsafe { interleave_many(&lines[..some], words.len(), to.add(i), step) };
        }
    }

    /// The dot product of a row with as many numbers, term by term.
    pub(super) fn dot<C: Codes>(&self, row: usize, x: &[f32]) -> f32 {
        let mut numbers = vec![0.0; x.len()];
        self.read::<C>(row, 0..x.len(), &mut Room::default(), &mut numbers);
        numbers.iter().zip(x).map(|(number, x)| number * x).sum()
    }

    /// Reads part of a row, which begins and ends with groups; rows are counted over all matrices.
    fn read<C: Codes>(&self, row: usize, columns: Range<usize>, room: &mut Room, to: &mut [f32]) {
        let group = self.scheme.group_size();
        let first = row * (self.columns / group);
        let groups = first + columns.start / group..first + columns.end / group;
        room.scales.resize(groups.len(), 0.0);
        room.biases.resize(groups.len(), 0.0);
        self.scales(groups, &mut room.scales, &mut room.biases);
        let start = (row * self.columns + columns.start) * C::BITS / 8;
        let codes = &bytes(&self.codes)[start..start + columns.len() * C::BITS / 8];
        unpack::<C>(codes, group, &room.scales, &room.biases, to);
    }
}

/// The rows of one packed matrix as lines of a blocked product.
struct Lines<'a, C, W> {
    packed: &'a Packed<'a>,
    first: usize,
    kind: PhantomData<fn() -> (C, W)>,
}

impl<'a, C: Codes, W> Lines<'a, C, W> {
    fn new(packed: &'a Packed<'a>, matrix: usize) -> Self {
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
struct Picked<'a, W> {
    side: &'a dyn Side<Words = W>,
    /// Those on the left of each pair.
    lines: &'a [(usize, usize)],
}

impl<W: Words> Side for Picked<'_, W> {
    type Words = W;

    unsafe fn line(&self, line: usize, terms: Range<usize>, room: *mut f32) -> *const f32 {
        // SAFETY: passed on to the caller.
        unsafe { self.side.line(self.lines[line].0, terms, room) }
    }
}

/// The products with one packed matrix: for each, a row on the left and one of the result.
pub(super) struct Job {
    pub(super) matrix: usize,
    /// Pairs of the rows on the left and of the result.
    pub(super) rows: Vec<(usize, usize)>,
}

/// Where rows on the left come from and results go.
pub(super) struct Sides<'a> {
    pub(super) x: Box<dyn Floats + 'a>,
    /// The length of a row on the left.
    pub(super) inner: usize,
    pub(super) out: Results,
    /// The length of a row of the result.
    pub(super) columns: usize,
}

impl Sides<'_> {
    /// The rows of a job as `f32`, one after the other.
    fn wide_rows(&self, job: &Job) -> Vec<f32> {
        let mut wide = vec![0.0; job.rows.len() * self.inner];
        for (to, &(row, _)) in wide.chunks_exact_mut(self.inner.max(1)).zip(&job.rows) {
            self.x.widen(row * self.inner..(row + 1) * self.inner, to);
        }
        wide
    }
}

/// Runs [`QuantizedMatmul`].
pub(in crate::kernels) fn quantized_matmul(
    primitive: &QuantizedMatmul,
    call: &mut Call,
) -> Result<()> {
    let rows = call.input(0).shape[0];
    let jobs = vec![Job {
        matrix: 0,
        rows: (0..rows).map(|row| (row, row)).collect(),
    }];
    let QuantizedMatmul { scheme, transpose } = *primitive;
    run("quantized_matmul", scheme, transpose, &jobs, call)
}

/// Runs [`GatherQmm`].
pub(in crate::kernels) fn gather_qmm(primitive: &GatherQmm, call: &mut Call) -> Result<()> {
    let op = "gather_qmm";
    let places = call.inputs().len() - 2;
    let counts = [call.input(0).shape[0], call.input(1).shape[0]];
    let rows = call.input(0).shape[1];
    let jobs = jobs(op, call, places, counts, rows)?;
    let GatherQmm { scheme, transpose } = *primitive;
    run(op, scheme, transpose, &jobs, call)
}

/// The products of each right side, from the places of both sides.
fn jobs(
    op: &'static str,
    call: &Call,
    places: usize,
    counts: [usize; 2],
    rows: usize,
) -> Result<Vec<Job>> {
    let pairs = places_of(op, call, places, counts)?;
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&i| pairs[i].1);
    let mut jobs: Vec<Job> = Vec::new();
    for i in order {
        let (left, right) = pairs[i];
        if jobs.last().is_none_or(|job| job.matrix != right) {
            jobs.push(Job {
                matrix: right,
                rows: Vec::new(),
            });
        }
        if let Some(job) = jobs.last_mut() {
            job.rows
                .extend((0..rows).map(|row| (left * rows + row, i * rows + row)));
        }
    }
    Ok(jobs)
}

/// The places on the left and on the right of each product, from two inputs.
pub(in crate::kernels) fn places_of(
    op: &'static str,
    call: &Call,
    first: usize,
    counts: [usize; 2],
) -> Result<Vec<(usize, usize)>> {
    let list = |side: usize| -> Result<Vec<usize>> {
        let operand = call.input(first + side);
        let mut list = vec![0; operand.shape.elements()];
        let stride = operand.data.strides.first().copied().unwrap_or(1);
        let positions = Positions::new(op, operand, 0, counts[side]);
        positions.read(0, stride, list.len(), |i, position| list[i] = position)?;
        Ok(list)
    };
    Ok(list(0)?.into_iter().zip(list(1)?).collect())
}

fn run(
    op: &'static str,
    scheme: Quantization,
    transpose: bool,
    jobs: &[Job],
    call: &mut Call,
) -> Result<()> {
    with_codes!(scheme, C => products::<C>(op, scheme, transpose, jobs, call), else {
        Err(no_such(op, scheme))
    })
}

fn products<C: Codes>(
    op: &'static str,
    scheme: Quantization,
    transpose: bool,
    jobs: &[Job],
    call: &mut Call,
) -> Result<()> {
    let out = results(call, op)?;
    let shape = call.shape(0);
    if shape.elements() == 0 {
        return Ok(());
    }
    let columns = shape[shape.rank() - 1];
    let x = floats(call, 0, op)?;
    let inner = call.input(0).shape.last().copied().unwrap_or(0);
    let sides = Sides {
        x,
        inner,
        out,
        columns,
    };
    let packed = Packed::new(call, scheme, op)?;
    let jobs = jobs.iter().filter(|job| !job.rows.is_empty());
    if inner == 0 {
        let zeros = vec![0.0; columns];
        for (_, to) in jobs.flat_map(|job| &job.rows) {
            // SAFETY: a row of the output.
            unsafe { sides.out.write(&zeros, *to, 0) };
        }
        return Ok(());
    }
    if !transpose {
        let jobs: Vec<&Job> = jobs.collect();
        let some = |range: Range<usize>| {
            for job in &jobs[range] {
                panels::<C>(&packed, job, &sides);
            }
        };
        // Where there are matrices for all threads, as with packed values of attention, these are
        // shared out: each may be a single panel.
        if jobs.len() >= num_threads() {
            parallel_units(jobs.len(), inner * columns, some);
        } else {
            some(0..jobs.len());
        }
        return Ok(());
    }
    let rounds = scheme.activations() == Activations::Int8;
    let (in_pairs, pairs_of_codes) = (sides.x.in_pairs(), sides.x.in_pairs() && C::BITS <= 4);
    let in_digits = sides.x.are_halves() && digits::are_fast();
    let few_rows = match in_pairs {
        true if pairs_of_codes => FEW_IN_PAIRS,
        true => FEW_BESIDE_PAIRS,
        false => FEW,
    };
    let in_columns = in_digits && !in_pairs && columns::takes::<C>(scheme.group_size());
    let (mut waiting, mut by_columns): (Vec<&Job>, Vec<&Job>) = Default::default();
    let mut rows_waiting = 0;
    let some = |jobs: &mut Vec<&Job>| {
        if pairs_of_codes {
            few::<C, AsNumbers<Pairs>>(&packed, jobs, &sides);
        } else if in_digits && digits::takes::<C>() {
            few::<C, InDigits>(&packed, jobs, &sides);
        } else {
            few::<C, AsNumbers<Singles>>(&packed, jobs, &sides);
        }
        jobs.clear();
    };
    for job in jobs {
        let count = job.rows.len();
        if count >= SOME_ROUNDED && rounds && many_rounded::<C>(&packed, job, &sides) {
            // Nothing is left to do.
        } else if in_columns && count >= columns::some::<C>() {
            by_columns.push(job);
        } else if count > few_rows {
            many::<C>(&packed, job, &sides);
        } else {
            waiting.push(job);
            rows_waiting += count;
            if rows_waiting >= TOGETHER {
                some(&mut waiting);
                rows_waiting = 0;
            }
        }
    }
    some(&mut waiting);
    columns::multiply::<C>(&packed, &by_columns, &sides);
    Ok(())
}

/// The rows of products with several matrices that are shared out at once.
const TOGETHER: usize = 64;

/// How a few vectors are multiplied with packed rows as these are read.
trait Way {
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
struct AsNumbers<P>(PhantomData<P>);

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
struct InDigits;

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
fn few<C: Codes, W: Way>(packed: &Packed, jobs: &[&Job], sides: &Sides) {
    let (lefts, left_of) = lefts(jobs, |job| Left::new::<C, W>(packed, job, sides));
    let rows: usize = jobs.iter().map(|job| job.rows.len()).sum();
    let cost = sides.inner * (1 + rows / jobs.len().max(1)) / 8;
    parallel_for(jobs.len() * sides.columns, cost, |range| {
        let mut at = range.start;
        while at < range.end {
            let (i, column) = (at / sides.columns, at % sides.columns);
            let columns = column..sides.columns.min(column + range.end - at);
            at += columns.len();
            few_columns::<C, W>(packed, jobs[i], &lefts[left_of[i]], sides, columns);
        }
    });
}

/// Products of the rows of a job with some rows of its matrix, which become columns.
fn few_columns<C: Codes, W: Way>(
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

/// Products of many rows with all rows of a packed matrix.
fn many<C: Codes>(packed: &Packed, job: &Job, sides: &Sides) {
    let sizes = Sizes {
        m: job.rows.len(),
        n: sides.columns,
        k: sides.inner,
    };
    let first = job.rows[0].1;
    let together = job
        .rows
        .iter()
        .enumerate()
        .all(|(i, &(_, row))| row == first + i);
    // Results that do not lie together are put where they belong afterwards, as bytes.
    let size = sides.out.size();
    let len = if together { 0 } else { sizes.m * sizes.n };
    let mut apart = vec![0.0f32; (len * size).div_ceil(size_of::<f32>())];
    let out = if together {
        sides.out.skip(first, 0)
    } else {
        sides.out.elsewhere(apart.as_mut_ptr().cast(), sizes.n)
    };
    let lines = &job.rows;
    // SAFETY: the left side has these rows, the packed matrix as many as the result has columns,
    // and the result is ours.
    unsafe {
        if let Some(side) = sides.x.pairs(sides.inner) {
            let left = Picked { side: &side, lines };
            let right = Lines::<C, Pairs>::new(packed, job.matrix);
            multiply_sides(sizes, &left, &right, out, true);
        } else {
            let side = &*sides.x.rows(sides.inner);
            let left = Picked { side, lines };
            let right = Lines::<C, Singles>::new(packed, job.matrix);
            multiply_sides(sizes, &left, &right, out, true);
        }
    }
    if !together {
        for (i, &(_, row)) in job.rows.iter().enumerate() {
            let (from, to) = (out.at(i, 0), sides.out.at(row, 0));
            // SAFETY: a row of results and its place in the output.
            unsafe { to.copy_from_nonoverlapping(from, sizes.n * size) };
        }
    }
}

/// Products of many rows, rounded to whole numbers, with all rows of a packed matrix; or does nothing
/// and returns false, where the codes do not allow it or numbers are not finite.
fn many_rounded<C: Codes>(packed: &Packed, job: &Job, sides: &Sides) -> bool {
    if !integer::takes::<C>() {
        return false;
    }
    let (inner, group) = (sides.inner, packed.scheme.group_size());
    let read = |row: usize, to: &mut [f32]| {
        let (row, _) = job.rows[row];
        sides.x.widen(row * inner..(row + 1) * inner, to);
    };
    let Some(rows) = RoundedRows::new::<C>(job.rows.len(), inner, group, read) else {
        return false;
    };
    let (width, height) = (integer::panel_width(), integer::tile_height());
    let (words, groups) = (inner * C::BITS / 32, inner / group);
    let cost = width * inner * (1 + rows.count() / 16);
    parallel_for(sides.columns.div_ceil(width), cost, |panels| {
        let mut panel_words = vec![0u32; words * width];
        let mut factors = [(); 2].map(|()| vec![0.0; groups * width]);
        let mut line_factors = [(); 2].map(|()| vec![0.0; groups]);
        let mut sums = vec![0.0; height * width];
        for panel in panels {
            let columns = panel * width..sides.columns.min((panel + 1) * width);
            let first = job.matrix * packed.rows + columns.start;
            for (i, row) in (first..first + columns.len()).enumerate() {
                let [scales, biases] = &mut line_factors;
                packed.scales(row * groups..(row + 1) * groups, scales, biases);
                for (to, from) in factors.iter_mut().zip(&line_factors) {
                    for (group, &factor) in from.iter().enumerate() {
                        to[group * width + i] = factor;
                    }
                }
            }
            let lines = first..first + columns.len();
            let to = panel_words.as_mut_ptr().cast();
            // SAFETY: the panel has room for the words of `width` columns.
            unsafe { packed.interleave::<C>(lines, 0..words, to, width) };
            let panel = Panel {
                words: &panel_words,
                scales: &factors[0],
                biases: &factors[1],
            };
            for start in (0..rows.count()).step_by(height) {
                let range = start..rows.count().min(start + height);
                integer::multiply::<C>(&rows, range.clone(), panel, &mut sums);
                for (sums, row) in sums.chunks_exact_mut(width).zip(range) {
                    let sums = &mut sums[..columns.len()];
                    // Infinities have to meet the numbers that codes stand for.
                    for (i, sum) in sums.iter_mut().enumerate() {
                        if !sum.is_finite() {
                            let mut wide = vec![0.0; inner];
                            read(row, &mut wide);
                            *sum = packed.dot::<C>(first + i, &wide);
                        }
                    }
                    // SAFETY: within the output, in columns that are this thread's alone.
                    unsafe { sides.out.write(sums, job.rows[row].1, columns.start) };
                }
            }
        }
    });
    true
}

/// Products of rows with panels of a packed matrix that is not transposed.
fn panels<C: Codes>(packed: &Packed, job: &Job, sides: &Sides) {
    let (inner, group) = (sides.inner, packed.scheme.group_size());
    let start = job.matrix * packed.rows;
    let x = sides.wide_rows(job);
    let wide = (PANEL / inner.max(1)).clamp(16, 256);
    // Panels are cut between groups.
    let wide = (wide - wide % group).max(group);
    let tall = 512.min(job.rows.len());
    let cost = inner * wide * (4 + job.rows.len() / 8);
    parallel_for(sides.columns.div_ceil(wide), cost, |panels| {
        let (mut room, mut numbers) = (Room::default(), vec![0.0f32; wide * inner]);
        let mut result = vec![0.0f32; tall * wide];
        for panel in panels {
            let first = panel * wide;
            let width = (sides.columns - first).min(wide);
            for (i, to) in numbers.chunks_exact_mut(width).enumerate().take(inner) {
                packed.read::<C>(start + i, first..first + width, &mut room, to);
            }
            let right = Matrix {
                start: numbers.as_ptr(),
                rows: width as isize,
                columns: 1,
            };
            for (at, rows) in job.rows.chunks(tall).enumerate() {
                let left = x[at * tall * inner..].as_ptr();
                let left = Matrix {
                    start: left,
                    rows: inner as isize,
                    columns: 1,
                };
                let sizes = Sizes {
                    m: rows.len(),
                    n: width,
                    k: inner,
                };
                let to = Target::new(result.as_mut_ptr(), width);
                // SAFETY: the left side has these rows, the panel was filled, and the result has
                // room for the block.
                unsafe { multiply(sizes, left, right, to, false, false) };
                for (from, &(_, row)) in result.chunks_exact(width).zip(rows) {
                    // SAFETY: part of a row of the output, in columns that are this thread's alone.
                    unsafe { sides.out.write(from, row, first) };
                }
            }
        }
    });
}
