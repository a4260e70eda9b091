//! Owns attention: which way of computing it fits, and what all ways share.

mod backward;
mod decode;
mod forward;
mod packed;
#[cfg(test)]
mod packed_tests;
#[cfg(test)]
mod tests;

pub(super) use backward::run as run_vjp;

use std::ops::Range;

use olivine_core::{
    Call, Dtype, Operand, Result, fast::ScaledDotProductAttention as Attention,
    quantized::QuantizedAttention,
};

use self::packed::Packed;
use super::{
    matmul::{self, Matrix, Sizes, Target, widen},
    norm::narrow,
    row::RowElement,
};
use crate::{
    simd::Narrow,
    tensor::{Output, View},
};

const OP: &str = "scaled_dot_product_attention";

/// Runs the kernel.
pub(super) fn run(attention: Attention, call: &mut Call) -> Result<()> {
    narrow!(OP, call.dtype(0), T => {
        compute::<T>(call, |inputs| Problem::new(attention, inputs))
    })
}

/// Runs the kernel for packed keys and values.
pub(super) fn run_packed(primitive: QuantizedAttention, call: &mut Call) -> Result<()> {
    narrow!(OP, call.dtype(0), T => {
        compute::<T>(call, |inputs| Problem::packed(primitive, inputs))
    })
}

fn compute<T: Narrow + RowElement<Wide = f32>>(
    call: &mut Call,
    problem: impl FnOnce(&[Operand]) -> Result<Problem<T>>,
) -> Result<()> {
    let mut out = Output::<T>::allocate(call, 0, OP)?;
    if out.len() == 0 {
        return Ok(());
    }
    let problem = problem(call.inputs())?;
    if problem.keys == 0 {
        out.slice().fill(T::default());
    } else if problem.queries == 1 && problem.k.in_rows() && problem.v.in_rows() {
        decode::run(&problem, &out);
    } else {
        forward::run(&problem, &out);
    }
    Ok(())
}

/// An operand of four axes, of which the first two choose a matrix.
#[derive(Clone, Copy)]
struct Heads<T> {
    start: *const T,
    strides: [isize; 4],
}

// SAFETY: it only reads memory that the operand behind it keeps alive.
unsafe impl<T: Sync> Send for Heads<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Heads<T> {}

impl<T: olivine_core::Element> Heads<T> {
    fn new(operand: &Operand) -> Result<Self> {
        let view = View::<T>::new(operand, OP)?;
        let strides = std::array::from_fn(|i| view.strides[i]);
        Ok(Heads {
            start: view.ptr,
            strides,
        })
    }

    fn matrix(&self, batch: usize, head: usize) -> Matrix<T> {
        let offset = batch as isize * self.strides[0] + head as isize * self.strides[1];
        Matrix {
            start: self.start.wrapping_offset(offset),
            rows: self.strides[2],
            columns: self.strides[3],
        }
    }

    fn columns(&self) -> isize {
        self.strides[3]
    }
}

/// Keys or values.
enum Side<T> {
    Plain(Heads<T>),
    Packed(Box<Packed<T>>),
}

impl<T: Narrow + RowElement<Wide = f32>> Side<T> {
    /// Whether the numbers of a row are neighbours.
    fn in_rows(&self) -> bool {
        match self {
            Side::Plain(heads) => heads.columns() == 1,
            Side::Packed(_) => true,
        }
    }

    /// Rows of a head, of `size` numbers, as `f32`: in place if they are that, else read into `room`.
    ///
    /// # Safety
    /// There must be these rows.
    unsafe fn wide(
        &self,
        (batch, head): (usize, usize),
        rows: Range<usize>,
        size: usize,
        room: &mut Vec<f32>,
    ) -> Matrix<f32> {
        // SAFETY: passed on to the caller.
        unsafe {
            match self {
                Side::Plain(heads) => {
                    let part = heads.matrix(batch, head).skip(rows.start, 0);
                    wide(part, rows.len(), size, room)
                }
                Side::Packed(packed) => packed.read((batch, head), rows, room),
            }
        }
    }
}

/// A mask over (batch, heads, queries, keys).
#[derive(Clone, Copy)]
enum Mask<T> {
    None,
    /// Where a query sees a key.
    Visible(Heads<bool>),
    /// What is added to scores.
    Added(Heads<T>),
}

/// One call: sizes and operands.
struct Problem<T> {
    scale: f32,
    causal: bool,
    batch: usize,
    heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
    /// The size of a query and a key.
    size: usize,
    /// The size of a value.
    value_size: usize,
    q: Heads<T>,
    k: Side<T>,
    v: Side<T>,
    mask: Mask<T>,
    /// One score for each head, or none at all.
    sinks: Vec<f32>,
}

impl<T: Narrow + RowElement<Wide = f32>> Problem<T> {
    fn new(attention: Attention, inputs: &[Operand]) -> Result<Self> {
        let (q, k, v) = (&inputs[0], &inputs[1], &inputs[2]);
        let sides = [k, v].map(|side| Heads::new(side).map(Side::Plain));
        Self::of(
            attention,
            q,
            &k.shape,
            v.shape[3],
            sides,
            attention.parameters(inputs),
        )
    }

    fn packed(primitive: QuantizedAttention, inputs: &[Operand]) -> Result<Self> {
        let [keys, values, rest] = primitive.places();
        let k = Packed::new(primitive.keys, &inputs[keys..values])?;
        let v = Packed::new(primitive.values, &inputs[values..rest])?;
        let value_size = v.size();
        let sides = [k, v].map(|side| Ok(Side::Packed(Box::new(side))));
        // The parameters come after three arrays where nothing is packed.
        let parameters = primitive.attention.parameters(&inputs[rest - 3..]);
        Self::of(
            primitive.attention,
            &inputs[0],
            &inputs[keys].shape,
            value_size,
            sides,
            parameters,
        )
    }

    fn of(
        attention: Attention,
        q: &Operand,
        keys: &[usize],
        value_size: usize,
        [k, v]: [Result<Side<T>>; 2],
        (mask, sinks): (Option<&Operand>, Option<&Operand>),
    ) -> Result<Self> {
        let sinks = match sinks {
            None => Vec::new(),
            Some(sinks) => {
                let view = View::<T>::new(sinks, OP)?;
                let step = view.strides[0];
                // SAFETY: the stride leads to the elements of a vector.
                (0..view.shape.elements())
                    .map(|i| unsafe { view.ptr.wrapping_offset(i as isize * step).read() }.widen())
                    .collect()
            }
        };
        Ok(Problem {
            scale: attention.scale,
            causal: attention.causal,
            batch: q.shape[0],
            heads: q.shape[1],
            key_heads: keys[1],
            queries: q.shape[2],
            keys: keys[2],
            size: q.shape[3],
            value_size,
            q: Heads::new(q)?,
            k: k?,
            v: v?,
            mask: match mask {
                None => Mask::None,
                Some(mask) if mask.dtype == Dtype::Bool => Mask::Visible(Heads::new(mask)?),
                Some(mask) => Mask::Added(Heads::new(mask)?),
            },
            sinks,
        })
    }
}

impl<T: Narrow> Problem<T> {
    /// Query heads for each key head.
    fn group(&self) -> usize {
        self.heads / self.key_heads
    }

    /// How many keys the query at `row` sees by its position.
    fn visible(&self, row: usize) -> usize {
        if self.causal {
            (row + 1 + self.keys)
                .saturating_sub(self.queries)
                .min(self.keys)
        } else {
            self.keys
        }
    }

    /// How many keys at least one of the queries in `first..last` needs: a query that sees none
    /// takes the mean over all.
    fn needed(&self, first: usize, last: usize) -> usize {
        if self.visible(first) == 0 {
            self.keys
        } else {
            self.visible(last - 1)
        }
    }

    /// Applies position and mask to the scores of the query at `row` with the keys from `first` on.
    /// A key that is not seen gets the lowest score, so that a query which sees none weighs all
    /// alike.
    fn apply_mask(&self, batch: usize, head: usize, row: usize, first: usize, scores: &mut [f32]) {
        let visible = self.visible(row).saturating_sub(first).min(scores.len());
        scores[visible..].fill(f32::MIN);
        match self.mask {
            Mask::None => {}
            Mask::Visible(mask) => {
                let mask = mask.matrix(batch, head);
                for (i, score) in scores.iter_mut().enumerate() {
                    // SAFETY: the mask has an element for each query and key.
                    if !unsafe { mask.at(row, first + i).read() } {
                        *score = f32::MIN;
                    }
                }
            }
            Mask::Added(mask) => {
                let mask = mask.matrix(batch, head);
                for (i, score) in scores.iter_mut().enumerate() {
                    // SAFETY: the mask has an element for each query and key.
                    *score += unsafe { mask.at(row, first + i).read() }.widen();
                }
            }
        }
    }
}

/// A (rows, columns) part of a matrix as `f32`: in place if it is that, else widened into `room`.
///
/// # Safety
/// The part must lie within the matrix.
unsafe fn wide<T: Narrow>(
    part: Matrix<T>,
    rows: usize,
    columns: usize,
    room: &mut Vec<f32>,
) -> Matrix<f32> {
    if T::DTYPE == Dtype::Float32 {
        let Matrix {
            start,
            rows,
            columns,
        } = part;
        return Matrix {
            start: start.cast(),
            rows,
            columns,
        };
    }
    // SAFETY: passed on to the caller.
    unsafe { widen(part, rows, columns, room) }
}

/// A row-major matrix in a slice.
fn dense(values: &[f32], columns: usize) -> Matrix<f32> {
    Matrix {
        start: values.as_ptr(),
        rows: columns as isize,
        columns: 1,
    }
}

/// `to = a @ b`, or `to += a @ b`, on this thread.
///
/// # Safety
/// The matrices must be of the sizes.
unsafe fn multiply(
    (m, n, k): (usize, usize, usize),
    a: Matrix<f32>,
    b: Matrix<f32>,
    to: &mut [f32],
    add: bool,
) {
    assert!(to.len() >= m * n);
    let target = Target::new(to.as_mut_ptr(), n);
    // SAFETY: the result has room by the check above; the rest is the caller's promise.
    unsafe { matmul::multiply(Sizes { m, n, k }, a, b, target, add, false) }
}
