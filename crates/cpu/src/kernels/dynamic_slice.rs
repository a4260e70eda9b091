//! Owns slices that begin where an array says: reading is a view, writing is in place where it can.

use olivine_core::{
    Call, Error, Operand, Result,
    ops::dynamic_slice::{DynamicSlice, DynamicSliceUpdate},
};
use smallvec::SmallVec;

use super::{indices::Positions, movement::copy_strided, slice_update::copy_or_reuse};

/// The first element along each axis, once the part is known to lie inside.
fn starts(
    op: &'static str,
    axes: &[usize],
    starts: &Operand,
    shape: &[usize],
    part: &[usize],
) -> Result<SmallVec<[usize; 4]>> {
    let mut places = SmallVec::from_elem(0, shape.len());
    for (i, &axis) in axes.iter().enumerate() {
        let (size, count) = (shape[axis], part[axis]);
        if count == 0 {
            continue;
        }
        let offset = i as isize * starts.data.strides[0];
        Positions::new(op, starts, axis, size).read(offset, 1, 1, |_, at| places[axis] = at)?;
        if places[axis] + count > size {
            return Err(Error::Index {
                op,
                index: (places[axis] + count - 1) as i64,
                axis,
                size,
            });
        }
    }
    Ok(places)
}

/// Runs [`DynamicSlice`].
pub(crate) fn run(slice: &DynamicSlice, call: &mut Call) -> Result<()> {
    let (x, mut data) = (call.input(0), call.input(0).data.clone());
    let places = starts("slice", &slice.axes, call.input(1), &x.shape, &slice.shape)?;
    if slice.shape.elements() > 0 {
        let first: isize = places
            .iter()
            .zip(&data.strides)
            .map(|(&i, step)| i as isize * step)
            .sum();
        data.offset = (data.offset as isize + first * x.dtype.size() as isize) as usize;
    }
    call.set_output(0, data);
    Ok(())
}

/// Runs [`DynamicSliceUpdate`].
pub(crate) fn run_update(update: &DynamicSliceUpdate, call: &mut Call) -> Result<()> {
    let (x, part) = (call.input(0), call.input(1));
    let places = starts(
        "slice_update",
        &update.axes,
        call.input(2),
        &x.shape,
        &part.shape,
    )?;
    let target = copy_or_reuse(call)?;
    let part = call.input(1);
    if part.shape.elements() == 0 {
        return Ok(());
    }
    let size = part.dtype.size();
    let steps = places.iter().zip(&target.strides);
    let first: isize = steps.map(|(&i, step)| i as isize * step).sum();
    // SAFETY: the part lies inside the output's shape, and the output is memory of its own: fresh,
    // or taken over from an input that shares it with nobody.
    unsafe {
        let start = target.start.wrapping_offset(first * size as isize);
        let source = (part.ptr(), &part.data.strides[..]);
        copy_strided(size, &part.shape, source, (start, &target.strides));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Error, Result, grad, vmap};

    #[test]
    fn a_part_begins_where_an_array_says() -> Result<()> {
        let x = Array::arange(0, 12, 1)?.reshape([3, 4])?;
        let at = |values: &[i32]| Array::from_slice(values, [values.len()]);
        let part = |values: &[i32], axes: &[i64], shape: [usize; 2]| {
            x.slice(&at(values)?, axes, shape)?.to_vec::<i32>()
        };
        assert_eq!(part(&[2, 1], &[1, 0], [2, 2])?, [6, 7, 10, 11]);
        assert_eq!(part(&[-1], &[0], [1, 2])?, [8, 9]);
        assert_eq!(part(&[], &[], [1, 2])?, [0, 1]);
        let outside = part(&[2], &[0], [2, 4]);
        assert_eq!(
            outside,
            Err(Error::Index {
                op: "slice",
                index: 3,
                axis: 0,
                size: 3
            })
        );
        assert!(matches!(
            part(&[-4], &[0], [1, 4]),
            Err(Error::Index { index: -4, .. })
        ));
        assert!(matches!(part(&[0], &[0], [4, 4]), Err(Error::Shape { .. })));
        assert!(matches!(
            part(&[0, 0], &[0, 0], [1, 1]),
            Err(Error::Argument { .. })
        ));
        assert!(matches!(
            part(&[0, 0], &[0], [1, 1]),
            Err(Error::Shape { .. })
        ));
        Ok(())
    }

    #[test]
    fn updates_convert_and_take_over_memory_only_if_it_is_free() -> Result<()> {
        let x = Array::zeros([2, 3], Dtype::Int32)?.contiguous()?;
        x.eval()?;
        let at = Array::from_slice(&[1u8, 0], [2])?;
        let y = x.slice_update(2.9, &at, &[1, 0])?;
        assert_eq!(y.to_vec::<i32>()?, [0, 2, 0, 0, 0, 0]);
        assert_eq!(x.to_vec::<i32>()?, [0; 6]);
        let outside = x.slice_update(&Array::ones([2], Dtype::Int32)?, &Array::scalar(2), &[1])?;
        assert!(matches!(outside.eval(), Err(Error::Index { .. })));
        Ok(())
    }

    #[test]
    fn parts_of_a_batch_begin_in_different_places() -> Result<()> {
        let x = Array::arange(0, 8, 1)?.reshape([2, 4])?;
        let at = Array::from_slice(&[0, 2], [2])?;
        let parts = vmap(|(x, at): &(Array, Array)| x.slice(at, &[0], [2]), 0, 0);
        assert_eq!(parts(&(x, at))?.to_vec::<i32>()?, [0, 1, 6, 7]);
        Ok(())
    }

    #[test]
    fn gradients_go_to_the_part_and_to_what_is_left() -> Result<()> {
        let at = Array::scalar(1);
        let x = Array::ones([4], Dtype::Float32)?;
        let read = |x: &Array| x.slice(&at, &[0], [2])?.sum(..);
        assert_eq!(grad(read)(&x)?.to_vec::<f32>()?, [0.0, 1.0, 1.0, 0.0]);
        let write = |x: &Array| x.slice_update(0.0, &at, &[0])?.sum(..);
        assert_eq!(grad(write)(&x)?.to_vec::<f32>()?, [1.0, 0.0, 1.0, 1.0]);
        Ok(())
    }
}
