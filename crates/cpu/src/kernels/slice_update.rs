//! Owns writing into a slice; an array that nobody else holds is written in place.

use olivine_core::{Call, Result, ops::slice_update::SliceUpdate, shape::Strides};

use super::movement::{copy_strided, is_dense};

/// Runs [`SliceUpdate`].
pub(crate) fn run(update: &SliceUpdate, call: &mut Call) -> Result<()> {
    let target = copy_or_reuse(call)?;
    let strides = target.strides;
    let slice = call.input(1);
    if slice.shape.elements() == 0 {
        return Ok(());
    }
    let first: isize = update
        .starts
        .iter()
        .zip(&strides)
        .map(|(&start, &stride)| start as isize * stride)
        .sum();
    // The step along an axis of one element leads nowhere, whatever it is.
    let steps: Strides = strides
        .iter()
        .zip(&update.steps)
        .map(|(a, b)| a.wrapping_mul(*b))
        .collect();
    let size = slice.dtype.size();
    // SAFETY: the slice lies inside the output's shape, and the output is memory of its own: fresh,
    // or taken over from an input that shares it with nobody.
    unsafe {
        let start = target.start.wrapping_offset(first * size as isize);
        copy_strided(
            size,
            &slice.shape,
            (slice.ptr(), &slice.data.strides),
            (start, &steps),
        );
    }
    Ok(())
}

/// Where an output that starts as a copy of the first input lies.
pub(super) struct Copied {
    pub(super) start: *mut u8,
    pub(super) strides: Strides,
}

/// Makes output 0 a copy of input 0, or input 0 itself if nobody else holds it.
pub(super) fn copy_or_reuse(call: &mut Call) -> Result<Copied> {
    let x = call.input(0);
    let strides = if is_dense(&x.shape, &x.data.strides) {
        x.data.strides.clone()
    } else {
        x.shape.contiguous_strides()
    };
    let start = call.reuse_or_allocate(0, strides.clone(), &[0])?;
    let x = call.input(0);
    if start.cast_const() != x.ptr() {
        // SAFETY: the output is fresh memory for as many elements as the input has.
        unsafe {
            let source = (x.ptr(), &x.data.strides[..]);
            copy_strided(x.dtype.size(), &x.shape, source, (start, &strides));
        }
    }
    Ok(Copied { start, strides })
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Result, grad, ops::slice_update::SliceUpdate};

    fn update(x: &Array, slice: &Array, starts: &[usize], steps: &[isize]) -> Result<Array> {
        let primitive = SliceUpdate {
            starts: starts.into(),
            steps: steps.into(),
        };
        Array::apply_one(primitive, [x.clone(), slice.clone()])
    }

    #[test]
    fn only_the_slice_changes() -> Result<()> {
        for dtype in Dtype::ALL {
            let x = Array::zeros([3, 4], dtype)?.contiguous()?;
            let y = update(&x, &Array::ones([2, 2], dtype)?, &[2, 1], &[-2, 2])?;
            let (x, y) = (x.astype(Dtype::Uint8)?, y.astype(Dtype::Uint8)?);
            assert_eq!(
                y.to_vec::<u8>()?,
                [0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1],
                "{dtype}"
            );
            assert_eq!(x.to_vec::<u8>()?, [0; 12], "{dtype}");
        }
        Ok(())
    }

    #[test]
    fn an_array_nobody_else_holds_is_written_in_place() -> Result<()> {
        let mut cache = Array::zeros([2, 100, 8], Dtype::Float32)?
            .transpose([1, 0, 2])?
            .contiguous()?;
        cache.eval()?;
        let address = cache.data()?.buffer.host();
        for step in 0..5 {
            let row = Array::full([1, 2, 8], step as f32)?;
            cache = update(&cache, &row, &[step, 0, 0], &[1, 1, 1])?;
            cache.eval()?;
            assert_eq!(cache.data()?.buffer.host(), address);
        }
        let rows = cache.to_vec::<f32>()?;
        assert!((0..5).all(|step| rows[step * 16..][..16].iter().all(|&v| v == step as f32)));
        let kept = cache.clone();
        cache = update(
            &cache,
            &Array::full([1, 2, 8], 9.0f32)?,
            &[0, 0, 0],
            &[1, 1, 1],
        )?;
        assert_eq!(cache.to_vec::<f32>()?[0], 9.0);
        assert_eq!(kept.to_vec::<f32>()?[0], 0.0);
        Ok(())
    }

    #[test]
    fn a_slice_outside_the_array_is_an_error() -> Result<()> {
        let x = Array::zeros([3], Dtype::Int32)?;
        let slice = Array::ones([2], Dtype::Int32)?;
        assert!(update(&x, &slice, &[2], &[1]).is_err());
        assert!(update(&x, &slice, &[0], &[-1]).is_err());
        assert!(update(&x, &slice.astype(Dtype::Int8)?, &[0], &[1]).is_err());
        Ok(())
    }

    #[test]
    fn the_gradient_of_a_slice_is_zero_elsewhere() -> Result<()> {
        let x = Array::arange(0.0f32, 6.0, 1.0)?;
        let gradient = grad(|x: &Array| x.split(3, 0)?[1].square()?.sum(..))(&x)?;
        assert_eq!(gradient.to_vec::<f32>()?, [0.0, 0.0, 4.0, 6.0, 0.0, 0.0]);
        Ok(())
    }
}
