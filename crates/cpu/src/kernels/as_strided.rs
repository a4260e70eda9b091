//! Owns strided looks at row-major memory; only an array that lies otherwise is copied.

use std::sync::Arc;

use olivine_core::{Buffer, Call, Data, Operand, Result, ops::as_strided::AsStrided};

use super::movement::copy_strided;

/// Runs [`AsStrided`].
pub(crate) fn run(strided: &AsStrided, call: &mut Call) -> Result<()> {
    let x = call.input(0);
    let (buffer, start) = row_major(call, x)?;
    let start = start + strided.offset * x.dtype.size();
    // Of an empty result nothing is read, wherever it would lie.
    let offset = if call.shape(0).elements() == 0 {
        0
    } else {
        start
    };
    call.set_output(
        0,
        Data {
            buffer,
            offset,
            strides: strided.strides.clone(),
        },
    );
    Ok(())
}

/// The memory of an operand, or of a copy of it, and the offset in bytes from which on its elements lie
/// in row-major order.
pub(super) fn row_major(call: &Call, x: &Operand) -> Result<(Arc<dyn Buffer>, usize)> {
    if x.is_contiguous() {
        return Ok((x.data.buffer.clone(), x.data.offset));
    }
    let size = x.dtype.size();
    let buffer = call.scratch(x.shape.elements() * size)?;
    let strides = x.shape.contiguous_strides();
    // SAFETY: the scratch memory is fresh and has room for all elements.
    unsafe {
        let source = (x.ptr(), &x.data.strides[..]);
        copy_strided(size, &x.shape, source, (buffer.host().as_ptr(), &strides));
    }
    Ok((buffer, 0))
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Error, Result, grad};

    #[test]
    fn a_pattern_walks_row_major_order_whatever_the_layout() -> Result<()> {
        let x = Array::arange(0, 6, 1)?.reshape([2, 3])?;
        assert_eq!(x.as_strided([3], &[-2], 5)?.to_vec::<i32>()?, [5, 3, 1]);
        assert_eq!(
            x.transpose(..)?.as_strided([3], &[1], 0)?.to_vec::<i32>()?,
            [0, 3, 1]
        );
        let part = x.index((.., 1..))?;
        assert_eq!(
            part.as_strided([2, 2], &[1, 2], 0)?.to_vec::<i32>()?,
            [1, 4, 2, 5]
        );
        Ok(())
    }

    #[test]
    fn a_pattern_that_leaves_the_array_is_an_error() -> Result<()> {
        let x = Array::arange(0, 6, 1)?;
        for (shape, strides, offset) in [
            (&[3usize][..], &[3isize][..], 0),
            (&[2], &[-1], 0),
            (&[1], &[1], 6),
            (&[2], &[isize::MAX], 0),
            (&[2, 2], &[1], 0),
        ] {
            let found = x.as_strided(shape, strides, offset);
            assert!(
                matches!(found, Err(Error::Shape { .. })),
                "{shape:?} {strides:?} {offset}"
            );
        }
        let none = Array::zeros([0], Dtype::Int32)?.as_strided([2, 0], &[7, 7], 3)?;
        assert_eq!(none.to_vec::<i32>()?, [0; 0]);
        Ok(())
    }

    #[test]
    fn what_is_read_twice_has_twice_the_gradient() -> Result<()> {
        let x = Array::ones([4], Dtype::Float32)?;
        let windows = |x: &Array| x.as_strided([3, 2], &[1, 1], 0)?.sum(..);
        assert_eq!(grad(windows)(&x)?.to_vec::<f32>()?, [1.0, 2.0, 2.0, 1.0]);
        Ok(())
    }

    #[test]
    fn writing_into_a_strided_view_leaves_the_array_alone() -> Result<()> {
        let x = Array::arange(0, 4, 1)?;
        x.eval()?;
        let y = x.as_strided([2, 2], &[2, 1], 0)?.index_update((0, 0), 9)?;
        assert_eq!(y.to_vec::<i32>()?, [9, 1, 2, 3]);
        assert_eq!(x.to_vec::<i32>()?, [0, 1, 2, 3]);
        Ok(())
    }
}
