//! Owns reading by position. Rows without gaps, as in an embedding, are copied whole.

use olivine_core::{
    Call, Result,
    ops::gather::{Gather, GatherAxis},
    shape::Strides,
};

use super::{
    indices::{Failure, Positions},
    movement::{Source, Target, by_size},
};
use crate::{pool::parallel_for, tensor::Loops};

/// Positions that are resolved at a time.
const BLOCK: usize = 512;

/// Runs [`Gather`].
pub(crate) fn run(gather: &Gather, call: &mut Call) -> Result<()> {
    let target = Target::new(call.allocate(0)?);
    let call = &*call;
    let x = call.input(0);
    let kept = |axis: &usize| !gather.axes.contains(axis);
    let rest: Vec<usize> = (0..x.shape.rank()).filter(kept).collect();
    let rest_shape: olivine_core::Shape = rest.iter().map(|&axis| x.shape[axis]).collect();
    let rest_strides: Strides = rest.iter().map(|&axis| x.data.strides[axis]).collect();
    let inner = Loops::new(
        &rest_shape,
        [&rest_strides, &rest_shape.contiguous_strides()],
    );
    let columns: Vec<Column> = gather
        .axes
        .iter()
        .zip(&call.inputs()[1..])
        .map(|(&axis, index)| {
            Column::new(
                Positions::new("take", index, axis, x.shape[axis]),
                Loops::new(&index.shape, [&index.data.strides]),
                x.data.strides[axis],
            )
        })
        .collect();
    let (size, source) = (x.dtype.size(), Source::new(x.ptr()));
    let count = call.input(1).shape.elements();
    let failure = Failure::default();
    parallel_for(count, inner.elements() + 2, |range| {
        for start in range.clone().step_by(BLOCK) {
            let end = (start + BLOCK).min(range.end);
            let mut offsets = [0isize; BLOCK];
            let offsets = &mut offsets[..end - start];
            let found = columns
                .iter()
                .try_for_each(|column| column.add_offsets(start, offsets));
            if found.is_err() {
                return failure.note(found);
            }
            // SAFETY: the positions were checked, so each slice lies inside the input; the output
            // has room for all slices and threads write different ones.
            by_size!(size, Word => unsafe {
                let target = target.get().cast::<Word>().add(start * inner.elements());
                copy_slices(offsets, &inner, source.get().cast::<Word>(), target);
            });
        }
    });
    failure.result()
}

/// One index array, and what a step along its axis is worth.
pub(super) struct Column<'a> {
    positions: Positions<'a>,
    loops: Loops<1>,
    stride: isize,
}

impl<'a> Column<'a> {
    /// Positions that `loops` walk, each worth `stride` elements.
    pub(super) fn new(positions: Positions<'a>, loops: Loops<1>, stride: isize) -> Self {
        Column {
            positions,
            loops,
            stride,
        }
    }

    /// Adds what the positions from number `start` on are worth to `offsets`.
    pub(super) fn add_offsets(&self, start: usize, offsets: &mut [isize]) -> Result<()> {
        let mut done = 0;
        let mut result = Ok(());
        let [step] = self.loops.inner_strides();
        self.loops
            .for_each_run(start..start + offsets.len(), |[from], len| {
                if result.is_ok() {
                    let part = &mut offsets[done..done + len];
                    result = self.positions.read(from, step, len, |i, position| {
                        part[i] += position as isize * self.stride;
                    });
                }
                done += len;
            });
        result
    }
}

/// Copies the slice at each offset to its place in `target`.
///
/// # Safety
/// The slices must lie inside the memory around `source`, and `target` must have room for them.
unsafe fn copy_slices<W: Copy>(
    offsets: &[isize],
    inner: &Loops<2>,
    source: *const W,
    target: *mut W,
) {
    let length = inner.elements();
    let [from_step, to_step] = inner.inner_strides();
    for (i, &offset) in offsets.iter().enumerate() {
        let (source, target) = (
            source.wrapping_offset(offset),
            target.wrapping_add(i * length),
        );
        // SAFETY: passed on from the caller. Complex numbers may be aligned to half a word.
        unsafe {
            if length == 1 {
                target.write_unaligned(source.read_unaligned());
                continue;
            }
            inner.for_each_run(0..length, |[from, to], len| {
                let (source, target) = (source.wrapping_offset(from), target.wrapping_offset(to));
                if (from_step, to_step) == (1, 1) {
                    let bytes = len * size_of::<W>();
                    std::ptr::copy_nonoverlapping(source.cast::<u8>(), target.cast(), bytes);
                } else {
                    for i in 0..len as isize {
                        let value = source.wrapping_offset(i * from_step).read_unaligned();
                        target.wrapping_offset(i * to_step).write_unaligned(value);
                    }
                }
            });
        }
    }
}

/// Runs [`GatherAxis`].
pub(crate) fn run_axis(gather: &GatherAxis, call: &mut Call) -> Result<()> {
    let target = Target::new(call.allocate(0)?);
    let call = &*call;
    let (x, indices) = (call.input(0), call.input(1));
    let axis = gather.axis;
    let stride = x.data.strides[axis];
    // Along the axis only the index decides where to read.
    let mut others = x.data.strides.clone();
    others[axis] = 0;
    let loops = Loops::new(&indices.shape, [&indices.data.strides, &others]);
    let [index_step, step] = loops.inner_strides();
    let positions = Positions::new("take_along_axis", indices, axis, x.shape[axis]);
    let (size, source) = (x.dtype.size(), Source::new(x.ptr()));
    let failure = Failure::default();
    parallel_for(loops.elements(), 2, |range| {
        let mut done = range.start;
        let mut result = Ok(());
        loops.for_each_run(range, |[index, from], len| {
            if result.is_err() {
                return;
            }
            by_size!(size, Word => {
                let source = source.get().cast::<Word>().wrapping_offset(from);
                let target = target.get().cast::<Word>().wrapping_add(done);
                result = positions.read(index, index_step, len, |i, position| {
                    let at = i as isize * step + position as isize * stride;
                    // SAFETY: the position was checked, the other axes are walked inside the
                    // input, and each element of the output is written once.
                    unsafe {
                        let value = source.wrapping_offset(at).read_unaligned();
                        target.wrapping_add(i).write_unaligned(value);
                    }
                });
            });
            done += len;
        });
        failure.note(result);
    });
    failure.result()
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Error, Result, dispatch, value_and_grad};

    fn counted(shape: &[usize]) -> Result<Array> {
        Array::arange(0, shape.iter().product::<usize>() as i32, 1)?.reshape(shape)
    }

    #[test]
    fn take_puts_the_shape_of_the_indices_in_place_of_the_axis() -> Result<()> {
        let x = counted(&[3, 4])?;
        let at = Array::from_slice(&[0i64, -1, 2, 2], [2, 2])?;
        let y = x.take(&at, 1)?;
        assert_eq!(y.shape().dims(), &[3, 2, 2]);
        assert_eq!(y.to_vec::<i32>()?, [0, 3, 2, 2, 4, 7, 6, 6, 8, 11, 10, 10]);
        assert_eq!(
            x.take(&Array::scalar(-1i8), 0)?.to_vec::<i32>()?,
            [8, 9, 10, 11]
        );
        Ok(())
    }

    #[test]
    fn every_dtype_and_layout_is_taken_from() -> Result<()> {
        for dtype in Dtype::ALL {
            let x = counted(&[2, 3, 5])?.astype(dtype)?.transpose([2, 0, 1])?;
            let y = x.take(&Array::from_slice(&[4u32, 0, 3], [3])?, 0)?;
            let expected = counted(&[2, 3, 5])?
                .astype(dtype)?
                .astype(Dtype::Float32)?
                .to_vec::<f32>()?;
            let y = y.astype(Dtype::Float32)?.to_vec::<f32>()?;
            for (i, &row) in [4, 0, 3].iter().enumerate() {
                for j in 0..6 {
                    assert_eq!(y[i * 6 + j], expected[j * 5 + row], "{dtype}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn every_integer_dtype_indexes() -> Result<()> {
        let x = Array::from_slice(&[10.0f64, 11.0, 12.0], [3])?;
        for dtype in Dtype::ALL.into_iter().filter(|dtype| dtype.is_integer()) {
            let at = Array::from_slice(&[2i32, 0], [2])?.astype(dtype)?;
            assert_eq!(x.take(&at, 0)?.to_vec::<f64>()?, [12.0, 10.0], "{dtype}");
            let y = dispatch!(integer, dtype, T => {
                x.take(&Array::from_slice(&[T::MAX], [1])?, 0)?.eval()
            }, else Ok(()));
            assert!(
                matches!(
                    y,
                    Err(Error::Index {
                        axis: 0,
                        size: 3,
                        ..
                    })
                ),
                "{dtype}"
            );
        }
        assert!(matches!(
            x.take(&Array::scalar(true), 0),
            Err(Error::Dtype { .. })
        ));
        Ok(())
    }

    #[test]
    fn positions_wrap_once_and_fail_beyond() -> Result<()> {
        let x = counted(&[4, 2])?;
        let take = |i: i32| x.take(&Array::scalar(i), 0)?.to_vec::<i32>();
        assert_eq!(take(-4)?, [0, 1]);
        let error = |index| Error::Index {
            op: "take",
            index,
            axis: 0,
            size: 4,
        };
        assert_eq!(take(-5), Err(error(-5)));
        assert_eq!(take(4), Err(error(4)));
        let empty = Array::zeros([0, 2], Dtype::Float32)?;
        assert!(matches!(
            empty.take(&Array::scalar(0), 0),
            Err(Error::Shape { .. })
        ));
        let none = Array::zeros([0], Dtype::Int32)?;
        assert_eq!(empty.take(&none, 0)?.to_vec::<f32>()?, [0.0; 0]);
        Ok(())
    }

    #[test]
    fn many_rows_are_taken_by_several_threads() -> Result<()> {
        let x = counted(&[1000, 33])?;
        let rows: Vec<i32> = (0..5000).map(|i| i * 7919 % 1000).collect();
        let y = x
            .take(&Array::from_slice(&rows, [5000])?, 0)?
            .to_vec::<i32>()?;
        for (i, &row) in rows.iter().enumerate() {
            assert!((0..33).all(|j| y[i * 33 + j] == row * 33 + j as i32));
        }
        Ok(())
    }

    #[test]
    fn take_along_axis_walks_the_other_axes() -> Result<()> {
        let x = counted(&[3, 4])?;
        let at = Array::from_slice(&[1, -3, -1, 2, 0, -2], [3, 2])?;
        assert_eq!(
            x.take_along_axis(&at, 1)?.to_vec::<i32>()?,
            [1, 1, 7, 6, 8, 10]
        );
        let at = Array::from_slice(&[0, 1, 2, 0], [1, 4])?;
        assert_eq!(x.take_along_axis(&at, 0)?.to_vec::<i32>()?, [0, 5, 10, 3]);
        let at = Array::from_slice(&[0, 1], [1, 2])?;
        assert_eq!(
            x.take_along_axis(&at, 1)?.to_vec::<i32>()?,
            [0, 1, 4, 5, 8, 9]
        );
        let outside = x.take_along_axis(&Array::from_slice(&[4], [1, 1])?, 1)?;
        assert!(matches!(outside.eval(), Err(Error::Index { index: 4, .. })));
        assert!(x.take_along_axis(&Array::scalar(0), 1).is_err());
        Ok(())
    }

    #[test]
    fn the_gradient_of_an_embedding_adds_up_at_repeated_rows() -> Result<()> {
        let ids = Array::from_slice(&[2, 0, 2], [3])?;
        let weights = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 2])?;
        let loss = |table: &Array| table.take(&ids, 0)?.multiply(&weights)?.sum(..);
        let (_, gradient) = value_and_grad(loss)(&Array::ones([3, 2], Dtype::Float32)?)?;
        assert_eq!(gradient.to_vec::<f32>()?, [3.0, 4.0, 0.0, 0.0, 6.0, 8.0]);
        Ok(())
    }
}
