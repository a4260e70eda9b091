//! Owns joining arrays: each input is copied to its part of the output.

use olivine_core::{Call, Result, ops::concatenate::Concatenate};

use super::movement::copy_strided;

/// Runs [`Concatenate`].
pub(crate) fn run(concatenate: &Concatenate, call: &mut Call) -> Result<()> {
    let strides = call.shape(0).contiguous_strides();
    let start = call.allocate(0)?;
    let mut position = 0;
    for input in call.inputs() {
        let size = input.dtype.size();
        let offset = position * strides[concatenate.axis] * size as isize;
        if input.shape.elements() > 0 {
            // SAFETY: the output is fresh, and `infer` made it as long as the inputs together.
            unsafe {
                let target = (start.wrapping_offset(offset), &strides[..]);
                copy_strided(
                    size,
                    &input.shape,
                    (input.ptr(), &input.data.strides),
                    target,
                );
            }
        }
        position += input.shape[concatenate.axis] as isize;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Error, Result, concatenate, stack, value_and_grad};

    #[test]
    fn arrays_of_any_layout_and_dtype_are_joined() -> Result<()> {
        for dtype in Dtype::ALL {
            let a = Array::arange(0, 6, 1)?
                .astype(dtype)?
                .reshape([3, 2])?
                .transpose(..)?;
            let b = Array::ones([2, 1], dtype)?;
            let y = concatenate(&[&a, &b], 1)?
                .astype(Dtype::Int32)?
                .to_vec::<i32>()?;
            let expected: [i32; 8] = [0, 2, 4, 1, 1, 3, 5, 1];
            let as_bool = dtype == Dtype::Bool;
            let expected = expected.map(|v| if as_bool { i32::from(v != 0) } else { v });
            assert_eq!(y, expected, "{dtype}");
        }
        Ok(())
    }

    #[test]
    fn dtypes_are_promoted_and_shapes_checked() -> Result<()> {
        let (a, b) = (
            Array::from_slice(&[1], [1])?,
            Array::from_slice(&[2.5f32], [1])?,
        );
        assert_eq!(concatenate(&[&a, &b], 0)?.to_vec::<f32>()?, [1.0, 2.5]);
        let empty = Array::zeros([0], Dtype::Float32)?;
        assert_eq!(concatenate(&[&empty, &b], -1)?.to_vec::<f32>()?, [2.5]);
        let row = a.reshape([1, 1])?;
        assert!(matches!(
            concatenate(&[&a, &row], 0),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(
            concatenate::<Array>(&[], 0),
            Err(Error::Argument { .. })
        ));
        assert!(matches!(concatenate(&[&a, &b], 1), Err(Error::Axis { .. })));
        assert!(stack(&[&a, &row], 0).is_err());
        Ok(())
    }

    #[test]
    fn each_part_gets_its_share_of_the_gradient() -> Result<()> {
        let weights = Array::arange(0.0f32, 6.0, 1.0)?.reshape([2, 3])?;
        let loss = |(a, b): &(Array, Array)| concatenate(&[a, b], 1)?.multiply(&weights)?.sum(..);
        let point = (
            Array::ones([2, 1], Dtype::Float32)?,
            Array::ones([2, 2], Dtype::Float32)?,
        );
        let (_, (a, b)) = value_and_grad(loss)(&point)?;
        assert_eq!(a.to_vec::<f32>()?, [0.0, 3.0]);
        assert_eq!(b.to_vec::<f32>()?, [1.0, 2.0, 4.0, 5.0]);
        Ok(())
    }
}
