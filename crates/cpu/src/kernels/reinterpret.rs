//! Owns looking at bytes as another dtype; only what lies apart or at an odd address is copied.

use std::{ptr::NonNull, sync::Arc};

use olivine_core::{
    Buffer, Call, Data, Dtype, Operand, Result, ops::reinterpret::Reinterpret, shape::Strides,
};

use super::{as_strided::row_major, movement::copy_strided};

/// Truth values, and the bytes that they were made of.
struct Truths {
    truths: Arc<dyn Buffer>,
    bytes: Arc<dyn Buffer>,
}

// SAFETY: the memory is that of the truth values' own buffer.
unsafe impl Buffer for Truths {
    fn host(&self) -> NonNull<u8> {
        self.truths.host()
    }
    fn bytes(&self) -> usize {
        self.truths.bytes()
    }
    fn writable(&self) -> bool {
        // What is written here would not be in the bytes.
        false
    }
    fn bytes_of_truths(&self) -> Option<&Arc<dyn Buffer>> {
        Some(&self.bytes)
    }
}

/// Runs [`Reinterpret`].
pub(crate) fn run(_: &Reinterpret, call: &mut Call) -> Result<()> {
    if call.dtype(0) == Dtype::Bool {
        return as_truths(call);
    }
    let x = call.input(0);
    let mut data = x.data.clone();
    if let Some(bytes) = x.data.buffer.bytes_of_truths() {
        data.buffer = bytes.clone();
    }
    let x = &Operand {
        shape: x.shape.clone(),
        dtype: x.dtype,
        data,
    };
    let (from, to) = (x.dtype.size(), call.dtype(0).size());
    let whole = call.shape(0).elements() > 0;
    if from == to && (!whole || (x.ptr() as usize).is_multiple_of(to)) {
        let data = x.data.clone();
        call.set_output(0, data);
        return Ok(());
    }
    let strides = call.shape(0).contiguous_strides();
    let (buffer, offset) = row_major(call, x)?;
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

/// Looks at each byte as a truth value.
fn as_truths(call: &mut Call) -> Result<()> {
    let (bytes, offset) = row_major(call, call.input(0))?;
    let count = call.shape(0).elements();
    let truths = call.scratch(count)?;
    let packed = call.scratch(count)?;
    if count > 0 {
        // SAFETY: `count` bytes lie in row-major order at the source, and both targets are fresh and
        // have room for them.
        unsafe {
            let source = bytes.host().as_ptr().add(offset).cast_const();
            std::ptr::copy_nonoverlapping(source, packed.host().as_ptr(), count);
            let source = std::slice::from_raw_parts(source, count);
            let target = std::slice::from_raw_parts_mut(truths.host().as_ptr(), count);
            for (truth, &byte) in target.iter_mut().zip(source) {
                *truth = u8::from(byte != 0);
            }
        }
    }
    let buffer = Arc::new(Truths {
        truths,
        bytes: packed,
    });
    let strides = call.shape(0).contiguous_strides();
    call.set_output(
        0,
        Data {
            buffer,
            offset: 0,
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
    fn bytes_that_were_viewed_as_truths_are_kept() -> Result<()> {
        let bytes = Array::from_slice(&[0u8, 7, 2, 255], [2, 2])?;
        let turned = bytes.transpose(..)?.view(Dtype::Bool)?;
        turned.eval()?;
        assert_eq!(turned.view(Dtype::Uint8)?.to_vec::<u8>()?, [0, 2, 7, 255]);
        let part = turned.index(1)?.view(Dtype::Uint8)?;
        assert_eq!(part.to_vec::<u8>()?, [7, 255]);
        // What is computed from them are truth values.
        let opposite = turned.logical_not()?.view(Dtype::Uint8)?;
        assert_eq!(opposite.to_vec::<u8>()?, [1, 0, 0, 0]);
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
