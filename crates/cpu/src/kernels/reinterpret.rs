//! Owns looking at bytes as another dtype; only what lies apart or at an odd address is copied.

use olivine_core::{Call, Data, Result, ops::reinterpret::Reinterpret, shape::Strides};

use super::{as_strided::row_major, movement::copy_strided};

/// Runs [`Reinterpret`].
pub(crate) fn run(_: &Reinterpret, call: &mut Call) -> Result<()> {
    let x = call.input(0);
    let (from, to) = (x.dtype.size(), call.dtype(0).size());
    let whole = call.shape(0).elements() > 0;
    if from == to && (!whole || (x.ptr() as usize).is_multiple_of(to)) {
        let data = x.data.clone();
        call.set_output(0, data);
        return Ok(());
    }
    let strides = call.shape(0).contiguous_strides();
    let (buffer, offset) = row_major(call)?;
    if whole && !(buffer.host().as_ptr() as usize + offset).is_multiple_of(to) {
        let bytes = x.shape.elements() * from;
        let aligned = call.scratch(bytes)?;
        // SAFETY: `bytes` bytes lie in row-major order at the source, and the target is fresh.
        unsafe {
            let source = buffer.host().as_ptr().add(offset).cast_const();
            let step = Strides::from_slice(&[1]);
            copy_strided(
                1,
                &[bytes],
                (source, &step),
                (aligned.host().as_ptr(), &step),
            );
        }
        call.set_output(
            0,
            Data {
                buffer: aligned,
                offset: 0,
                strides,
            },
        );
        return Ok(());
    }
    call.set_output(
        0,
        Data {
            buffer,
            offset,
            strides,
        },
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Error, Result, grad};

    #[test]
    fn bytes_go_to_other_dtypes_and_back() -> Result<()> {
        let x = Array::arange(0.0f32, 6.0, 1.0)?.reshape([2, 3])?;
        let turned = x.transpose(..)?;
        let halves = turned.view(Dtype::Uint16)?;
        assert_eq!(halves.shape().dims(), &[3, 4]);
        assert_eq!(halves.to_vec::<u16>()?[..4], [0, 0, 0, 0x4040]);
        assert_eq!(
            halves.view(Dtype::Float32)?.to_vec::<f32>()?,
            turned.to_vec::<f32>()?
        );
        let same = turned.view(Dtype::Int32)?.view(Dtype::Float32)?;
        assert_eq!(same.to_vec::<f32>()?, turned.to_vec::<f32>()?);
        Ok(())
    }

    #[test]
    fn bytes_at_an_odd_address_are_moved() -> Result<()> {
        let bytes = Array::from_slice(&[9u8, 1, 0, 0, 0, 2, 0, 0, 0], [9])?;
        let odd = bytes.index(1..)?;
        assert_eq!(odd.view(Dtype::Uint32)?.to_vec::<u32>()?, [1, 2]);
        Ok(())
    }

    #[test]
    fn any_byte_that_is_not_zero_is_true() -> Result<()> {
        let bytes = Array::from_slice(&[0u8, 1, 2, 255], [4])?;
        assert_eq!(
            bytes.view(Dtype::Bool)?.to_vec::<bool>()?,
            [false, true, true, true]
        );
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        let three = Array::zeros([2, 3], Dtype::Int16)?;
        assert!(matches!(three.view(Dtype::Int32), Err(Error::Shape { .. })));
        assert!(matches!(
            Array::scalar(1.0f32).view(Dtype::Int16),
            Err(Error::Shape { .. })
        ));
        let x = Array::ones([2], Dtype::Float32)?;
        let through = |x: &Array| x.view(Dtype::Int32)?.view(Dtype::Float32)?.sum(..);
        assert_eq!(grad(through)(&x)?.to_vec::<f32>()?, [0.0, 0.0]);
        let halves = |x: &Array| x.view(Dtype::Float16)?.astype(Dtype::Float32)?.sum(..);
        assert!(matches!(grad(halves)(&x), Err(Error::NoGradient { .. })));
        Ok(())
    }
}
