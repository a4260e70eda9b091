//! Owns writing by position. Threads share the work by columns or by place, never by update, so
//! that repeated positions meet in one thread, in order.

use olivine_core::{
    Call, Operand, Result, Shape, dispatch,
    ops::scatter::{Combine, Scatter, ScatterAxis},
    shape::Strides,
};

use super::{
    gather::Column,
    indices::{Failure, Positions},
    merge::Mergeable,
    movement::{Source, Target, copy_strided},
    slice_update::copy_or_reuse,
};
use crate::{
    pool::{num_threads, parallel_for},
    tensor::Loops,
};

/// Combines a run of updates into a run of the output: address and stride of each, and the length.
type Merge = unsafe fn((*mut u8, isize), (*const u8, isize), usize);

/// Slices at least this long are shared out among threads by columns.
const WIDE: usize = 256;

/// Runs [`Scatter`].
pub(crate) fn run(scatter: &Scatter, call: &mut Call) -> Result<()> {
    let output = copy_or_reuse(call)?;
    let call = &*call;
    let (x, last) = (call.input(0), call.inputs().len() - 1);
    let (indices, updates) = (&call.inputs()[1..last], call.input(last));
    let count = indices[0].shape.elements();
    let mut offsets = vec![0isize; count];
    for (&axis, index) in scatter.axes.iter().zip(indices) {
        let positions = Positions::new("scatter", index, axis, x.shape[axis]);
        let loops = Loops::new(&index.shape, [&index.data.strides]);
        Column::new(positions, loops, output.strides[axis]).add_offsets(0, &mut offsets)?;
    }
    let kept = |axis: &usize| !scatter.axes.contains(axis);
    let rest: Vec<usize> = (0..x.shape.rank()).filter(kept).collect();
    let shape: Shape = rest.iter().map(|&axis| x.shape[axis]).collect();
    let strides: Strides = rest.iter().map(|&axis| output.strides[axis]).collect();
    let inner = Loops::new(&shape, [&strides, &shape.contiguous_strides()]);
    let copied = gapless(call, updates)?;
    let source = Source::new(copied.as_ref().map_or(updates.ptr(), |b| b.host().as_ptr()));
    let (target, size) = (Target::new(output.start), x.dtype.size());
    let merge = merge_for(scatter.combine, x);
    let length = inner.elements();
    let [to_step, from_step] = inner.inner_strides();
    // Combines the columns of update `i`.
    let put = |i: usize, columns: std::ops::Range<usize>| {
        let target = target.get().wrapping_offset(offsets[i] * size as isize);
        let source = source.get().wrapping_add(i * length * size);
        inner.for_each_run(columns, |[to, from], len| {
            let target = target.wrapping_offset(to * size as isize);
            let source = source.wrapping_offset(from * size as isize);
            // SAFETY: the positions were checked, so the slice lies inside the output, which is
            // this call's alone; threads write different columns or different slices.
            unsafe { merge((target, to_step), (source, from_step), len) };
        });
    };
    if length >= WIDE {
        parallel_for(length, count, |columns| {
            (0..count).for_each(|i| put(i, columns.clone()));
        });
        return Ok(());
    }
    // Each thread goes through all updates and takes those that fall into its part of the output.
    let (parts, elements) = (num_threads(), x.shape.elements());
    parallel_for(parts, count * length / parts, |range| {
        let border = |part: usize| (part * elements).div_ceil(parts) as isize;
        let mine = border(range.start)..border(range.end);
        for (i, offset) in offsets.iter().enumerate() {
            if mine.contains(offset) {
                put(i, 0..length);
            }
        }
    });
    Ok(())
}

/// A row-major copy of an operand that has gaps or another order.
pub(super) fn gapless(
    call: &Call,
    operand: &Operand,
) -> Result<Option<std::sync::Arc<dyn olivine_core::Buffer>>> {
    if operand.is_contiguous() {
        return Ok(None);
    }
    let size = operand.dtype.size();
    let buffer = call.scratch(operand.shape.elements() * size)?;
    let strides = operand.shape.contiguous_strides();
    // SAFETY: the scratch memory is fresh and has room for all elements.
    unsafe {
        let source = (operand.ptr(), &operand.data.strides[..]);
        copy_strided(
            size,
            &operand.shape,
            source,
            (buffer.host().as_ptr(), &strides),
        );
    }
    Ok(Some(buffer))
}

/// Runs [`ScatterAxis`].
pub(crate) fn run_axis(scatter: &ScatterAxis, call: &mut Call) -> Result<()> {
    let output = copy_or_reuse(call)?;
    let call = &*call;
    let (x, indices, updates) = (call.input(0), call.input(1), call.input(2));
    let (axis, size) = (scatter.axis, x.dtype.size());
    let without_axis = |strides: &Strides| -> Strides {
        let mut strides = strides.clone();
        strides.remove(axis);
        strides
    };
    let lines = Loops::new(
        &indices.shape.without_axis(axis),
        [
            &without_axis(&output.strides),
            &without_axis(&indices.data.strides),
            &without_axis(&updates.data.strides),
        ],
    );
    let count = indices.shape[axis];
    let stride = output.strides[axis] * size as isize;
    let (index_step, step) = (
        indices.data.strides[axis],
        updates.data.strides[axis] * size as isize,
    );
    let positions = Positions::new("put_along_axis", indices, axis, x.shape[axis]);
    let (source, target) = (Source::new(updates.ptr()), Target::new(output.start));
    let merge = merge_for(scatter.combine, x);
    let failure = Failure::default();
    let steps = lines.inner_strides();
    parallel_for(lines.elements(), 2 * count, |range| {
        let mut result = Ok(());
        lines.for_each_run(range, |from, len| {
            for line in 0..len as isize {
                let [to, index, update] = std::array::from_fn(|k| from[k] + line * steps[k]);
                let target = target.get().wrapping_offset(to * size as isize);
                let source = source.get().wrapping_offset(update * size as isize);
                if result.is_ok() {
                    result = positions.read(index, index_step, count, |i, position| {
                        let target = target.wrapping_offset(position as isize * stride);
                        let source = source.wrapping_offset(i as isize * step);
                        // SAFETY: the position was checked, the other axes are walked inside both
                        // arrays, and each line of the output belongs to one thread.
                        unsafe { merge((target, 0), (source, 0), 1) };
                    });
                }
            }
        });
        failure.note(result);
    });
    failure.result()
}

/// The function that combines runs of the output's dtype.
fn merge_for(combine: Combine, x: &Operand) -> Merge {
    dispatch!(all, x.dtype, T => match combine {
        Combine::Assign => merge::<T, Assign>,
        Combine::Add => merge::<T, Add>,
        Combine::Multiply => merge::<T, Multiply>,
        Combine::Maximum => merge::<T, Maximum>,
        Combine::Minimum => merge::<T, Minimum>,
    })
}

/// Combines `len` elements.
///
/// # Safety
/// Both runs must lie inside memory that is readable and, for the target, writable.
unsafe fn merge<T: Mergeable, R: Rule>(
    (target, to_step): (*mut u8, isize),
    (source, from_step): (*const u8, isize),
    len: usize,
) {
    let (target, source) = (target.cast::<T>(), source.cast::<T>());
    // SAFETY: passed on from the caller; two cases, so that the first becomes vector code.
    unsafe {
        if (to_step, from_step) == (1, 1) {
            for i in 0..len {
                let value = R::apply(target.add(i).read(), source.add(i).read());
                target.add(i).write(value);
            }
        } else {
            for i in 0..len as isize {
                let slot = target.offset(i * to_step);
                slot.write(R::apply(slot.read(), source.offset(i * from_step).read()));
            }
        }
    }
}

/// A [`Combine`] as a type.
trait Rule {
    fn apply<T: Mergeable>(old: T, update: T) -> T;
}

macro_rules! rules {
    ($($rule:ident |$old:ident, $update:ident| $value:expr;)*) => {$(
        struct $rule;
        impl Rule for $rule {
            #[inline(always)]
            fn apply<T: Mergeable>($old: T, $update: T) -> T {
                $value
            }
        }
    )*};
}

rules! {
    Assign |_old, update| update;
    Add |old, update| old.plus(update);
    Multiply |old, update| old.times(update);
    Maximum |old, update| old.greater(update);
    Minimum |old, update| old.lesser(update);
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Error, Result, bf16, ops::scatter::Combine, value_and_grad};

    fn of(values: &[i32]) -> Result<Array> {
        Array::from_slice(values, [values.len()])
    }

    #[test]
    fn the_last_of_repeated_assignments_stays_and_the_others_combine() -> Result<()> {
        let x = of(&[0, 10, 20, 30])?;
        let (at, updates) = (of(&[1, -1, 1])?, of(&[5, 40, 7])?);
        let put = |combine| x.scatter(combine, &[&at], &updates, &[0])?.to_vec::<i32>();
        assert_eq!(put(Combine::Assign)?, [0, 7, 20, 40]);
        assert_eq!(put(Combine::Add)?, [0, 22, 20, 70]);
        assert_eq!(put(Combine::Multiply)?, [0, 350, 20, 1200]);
        assert_eq!(put(Combine::Maximum)?, [0, 10, 20, 40]);
        assert_eq!(put(Combine::Minimum)?, [0, 5, 20, 30]);
        assert_eq!(x.to_vec::<i32>()?, [0, 10, 20, 30]);
        Ok(())
    }

    #[test]
    fn every_dtype_is_added_to() -> Result<()> {
        for dtype in Dtype::ALL {
            let x = Array::zeros([3, 2], dtype)?;
            let updates = of(&[1, 0, 1, 1])?.astype(dtype)?.reshape([2, 2])?;
            let y = x
                .scatter_add(&of(&[2, -1])?, &updates, 0)?
                .astype(Dtype::Int32)?;
            let two = if dtype == Dtype::Bool { 1 } else { 2 };
            assert_eq!(y.to_vec::<i32>()?, [0, 0, 0, 0, two, 1], "{dtype}");
        }
        Ok(())
    }

    #[test]
    fn halves_add_up_in_float32() -> Result<()> {
        let at = Array::zeros([1000], Dtype::Int32)?;
        let y = Array::zeros([1], Dtype::BFloat16)?.scatter_add(&at, 1.0, 0)?;
        assert_eq!(y.to_vec::<bf16>()?, [bf16::from_f32(1000.0)]);
        Ok(())
    }

    #[test]
    fn threads_share_rows_and_columns_without_losing_updates() -> Result<()> {
        for width in [1usize, 40, 700] {
            let (rows, count) = (50, 9000);
            let positions: Vec<i32> = (0..count).map(|i| i * 31 % rows).collect();
            let updates =
                Array::arange(0, count * width as i32, 1)?.reshape([count, width as i32])?;
            let x = Array::zeros([rows as usize, width], Dtype::Int32)?;
            let y = x
                .scatter_add(&of(&positions)?, &updates, 0)?
                .to_vec::<i32>()?;
            let mut expected = vec![0i32; rows as usize * width];
            for (i, &row) in positions.iter().enumerate() {
                for j in 0..width {
                    let slot = &mut expected[row as usize * width + j];
                    *slot = slot.wrapping_add((i * width + j) as i32);
                }
            }
            assert!(y == expected, "width {width}");
        }
        Ok(())
    }

    #[test]
    fn a_position_outside_is_an_error() -> Result<()> {
        let x = Array::zeros([3, 4], Dtype::Float32)?;
        let y = x.scatter_add(&of(&[0, 3])?, 1.0, 0)?;
        assert!(matches!(
            y.eval(),
            Err(Error::Index {
                index: 3,
                axis: 0,
                size: 3,
                ..
            })
        ));
        let y = x.put_along_axis(&Array::from_slice(&[0, 1, -5], [3, 1])?, 1.0, 1)?;
        assert!(matches!(
            y.eval(),
            Err(Error::Index {
                index: -5,
                axis: 1,
                size: 4,
                ..
            })
        ));
        Ok(())
    }

    #[test]
    fn put_along_axis_writes_one_value_for_each_line() -> Result<()> {
        let x = Array::arange(0, 12, 1)?.reshape([3, 4])?;
        let at = Array::from_slice(&[0, 1, 3], [3, 1])?;
        let y = x.put_along_axis(&at, 99, 1)?;
        assert_eq!(y.to_vec::<i32>()?, [99, 1, 2, 3, 4, 99, 6, 7, 8, 9, 10, 99]);
        let t = x
            .transpose(..)?
            .scatter_add_axis(&at.transpose(..)?, 1, 0)?;
        assert_eq!(
            t.transpose(..)?.to_vec::<i32>()?,
            [1, 1, 2, 3, 4, 6, 6, 7, 8, 9, 10, 12]
        );
        Ok(())
    }

    #[test]
    fn only_updates_that_stayed_have_a_gradient() -> Result<()> {
        let x = Array::ones([3], Dtype::Float32)?;
        let updates = Array::ones([3], Dtype::Float32)?;
        let (at, weights) = (
            of(&[0, 0, 2])?,
            Array::from_slice(&[2.0f32, 3.0, 5.0], [3])?,
        );
        let loss = |(x, u): &(Array, Array)| {
            x.scatter(Combine::Assign, &[&at], u, &[0])?
                .multiply(&weights)?
                .sum(..)
        };
        let (_, (dx, du)) = value_and_grad(loss)(&(x, updates))?;
        assert_eq!(dx.to_vec::<f32>()?, [0.0, 3.0, 0.0]);
        assert_eq!(du.to_vec::<f32>()?, [0.0, 2.0, 5.0]);
        Ok(())
    }
}
