//! Owns counting.

use olivine_core::{
    Call, Dtype, Element, Result, bf16, dispatch, f16,
    ops::arange::{Arange, Progression},
};

use crate::{
    pool::parallel_for,
    tensor::{Output, wrong_dtype},
};

/// Runs [`Arange`].
pub(crate) fn run(arange: &Arange, call: &mut Call) -> Result<()> {
    match (arange.progression, arange.dtype) {
        (Progression::Integer { first, step }, dtype) => dispatch!(integer, dtype, T => {
            // Wrapping in 64 bits and cutting off gives the number modulo two to the width.
            fill(call, |i| -> T { first.wrapping_add((i as i64).wrapping_mul(step)) as T })
        }, else Err(wrong_dtype("arange", dtype))),
        (Progression::Float { first, step }, Dtype::Float16) => {
            fill(call, |i| f16::from_f64(first + i as f64 * step))
        }
        (Progression::Float { first, step }, Dtype::BFloat16) => {
            fill(call, |i| bf16::from_f64(first + i as f64 * step))
        }
        (Progression::Float { first, step }, Dtype::Float32) => {
            fill(call, |i| (first + i as f64 * step) as f32)
        }
        (Progression::Float { first, step }, Dtype::Float64) => {
            fill(call, |i| first + i as f64 * step)
        }
        (Progression::Float { .. }, dtype) => Err(wrong_dtype("arange", dtype)),
    }
}

fn fill<T: Element>(call: &mut Call, value: impl Fn(usize) -> T + Sync) -> Result<()> {
    let output = Output::<T>::allocate(call, 0, "arange")?;
    parallel_for(output.len(), 1, |range| {
        let start = range.start;
        // SAFETY: `parallel_for` hands out disjoint ranges.
        let part = unsafe { output.part(range) };
        for (i, slot) in part.iter_mut().enumerate() {
            *slot = value(start + i);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Error, Result, f16};

    #[test]
    fn counting_stops_before_the_end() -> Result<()> {
        assert_eq!(Array::arange(0, 5, 2)?.to_vec::<i32>()?, [0, 2, 4]);
        assert_eq!(Array::arange(250u8, 255, 3)?.to_vec::<u8>()?, [250, 253]);
        assert_eq!(Array::arange(0, 5, -1)?.to_vec::<i32>()?, [0; 0]);
        let large = 1u64 << 63;
        assert_eq!(
            Array::arange(large, large + 2, 1)?.to_vec::<u64>()?,
            [large, large + 1]
        );
        assert_eq!(
            Array::arange(1.5f32, 4.0, 1.0)?.to_vec::<f32>()?,
            [1.5, 2.5, 3.5]
        );
        let halves = Array::arange(f16::ZERO, f16::from_f32(3.0), f16::ONE)?;
        assert_eq!(halves.astype(Dtype::Int32)?.to_vec::<i32>()?, [0, 1, 2]);
        let long = Array::arange(0.0f32, 100_000.0, 1.0)?.to_vec::<f32>()?;
        assert!(long.iter().enumerate().all(|(i, &x)| x == i as f32));
        Ok(())
    }

    #[test]
    fn impossible_ranges_are_errors() {
        assert!(matches!(
            Array::arange(0, 5, 0),
            Err(Error::Argument { .. })
        ));
        assert!(matches!(
            Array::arange(0.0f32, f32::INFINITY, 1.0),
            Err(Error::Argument { .. })
        ));
        assert!(matches!(
            Array::arange(f64::NAN, 1.0, 1.0),
            Err(Error::Argument { .. })
        ));
        assert!(Array::arange(i64::MIN, i64::MAX, 1).is_err());
    }

    #[test]
    fn linspace_ends_exactly_at_its_end() -> Result<()> {
        let x = Array::linspace(0.0, 0.3, 4, Dtype::Float32)?.to_vec::<f32>()?;
        assert_eq!((x[0], x[3]), (0.0, 0.3));
        assert_eq!(
            Array::linspace(3.0, 9.0, 1, Dtype::Float64)?.to_vec::<f64>()?,
            [3.0]
        );
        assert_eq!(
            Array::linspace(0.0, 10.0, 4, Dtype::Int32)?.to_vec::<i32>()?,
            [0, 3, 6, 10]
        );
        Ok(())
    }
}
