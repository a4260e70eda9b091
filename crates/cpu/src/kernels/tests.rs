//! Owns tests of scalar kernels through the public API.

use olivine_core::{Array, Complex64, Dtype, Error, Result, bf16, f16, memory};

fn of<T: olivine_core::Element>(values: &[T]) -> Array {
    Array::from_slice(values, [values.len()]).unwrap()
}

#[test]
fn a_sum_of_strided_and_broadcast_inputs_is_elementwise() -> Result<()> {
    let x = Array::from_slice(
        &(0..6000).map(|i| i as f32).collect::<Vec<_>>(),
        [2, 60, 50],
    )?;
    let row = Array::from_slice(&(0..60).map(|i| i as f32).collect::<Vec<_>>(), [60])?;
    let y = x.transpose([2, 0, 1])?.add(&row)?.to_vec::<f32>()?;
    for k in 0..50 {
        for i in 0..2 {
            for j in 0..60 {
                let expected = (i * 3000 + j * 50 + k) as f32 + j as f32;
                assert_eq!(y[k * 120 + i * 60 + j], expected);
            }
        }
    }
    Ok(())
}

#[test]
fn an_output_that_replaces_its_input_is_still_right() -> Result<()> {
    let n = 100_000;
    let mut x = of(&vec![1.0f32; n]);
    for _ in 0..5 {
        x = x.add(1.0)?.multiply(2.0)?;
    }
    assert_eq!(x.to_vec::<f32>()?, vec![94.0; n]);
    Ok(())
}

#[test]
fn halves_round_once_per_operation() -> Result<()> {
    let x = of(&[f16::from_f32(1.0), f16::from_f32(2048.0), f16::MAX]);
    let y = x.add(1.0)?.to_vec::<f16>()?;
    assert_eq!(y, [f16::from_f32(2.0), f16::from_f32(2048.0), f16::MAX]);
    let x = of(&[bf16::from_f32(3.0)]);
    assert_eq!(
        x.divide(7.0)?.to_vec::<bf16>()?,
        [bf16::from_f32(3.0 / 7.0)]
    );
    assert_eq!(x.greater(2.0)?.to_vec::<bool>()?, [true]);
    Ok(())
}

#[test]
fn casts_saturate_and_nonzero_is_true() -> Result<()> {
    let x = of(&[-1.5f32, 300.7, f32::NAN, f32::INFINITY, -0.0]);
    assert_eq!(x.astype(Dtype::Uint8)?.to_vec::<u8>()?, [0, 255, 0, 255, 0]);
    assert_eq!(
        x.astype(Dtype::Int32)?.to_vec::<i32>()?,
        [-1, 300, 0, i32::MAX, 0]
    );
    assert_eq!(
        x.astype(Dtype::Bool)?.to_vec::<bool>()?,
        [true, true, true, true, false]
    );
    let z = of(&[Complex64::new(0.0, 2.0), Complex64::new(3.5, 0.0)]);
    assert_eq!(z.astype(Dtype::Bool)?.to_vec::<bool>()?, [true, true]);
    assert_eq!(z.astype(Dtype::Float32)?.to_vec::<f32>()?, [0.0, 3.5]);
    for from in Dtype::ALL {
        for to in Dtype::ALL {
            let one = Array::ones([3], from)?.astype(to)?.astype(Dtype::Float32)?;
            assert_eq!(one.to_vec::<f32>()?, [1.0; 3], "{from} {to}");
        }
    }
    Ok(())
}

#[test]
fn extrema_propagate_nan() -> Result<()> {
    let (x, nan) = (of(&[1.0f32, f32::NAN, 3.0]), of(&[f32::NAN, 1.0, 2.0]));
    for y in [x.maximum(&nan)?, x.minimum(&nan)?] {
        let y = y.to_vec::<f32>()?;
        assert!(y[0].is_nan() && y[1].is_nan() && !y[2].is_nan());
    }
    Ok(())
}

#[test]
fn bool_arithmetic_stays_bool() -> Result<()> {
    let (a, b) = (
        of(&[true, true, false, false]),
        of(&[true, false, true, false]),
    );
    let table: [(Array, [bool; 4]); 6] = [
        (a.add(&b)?, [true, true, true, false]),
        (a.multiply(&b)?, [true, false, false, false]),
        (a.subtract(&b)?, [false, true, true, false]),
        (a.remainder(&b)?, [false, true, false, false]),
        (a.power(&b)?, [true, true, false, true]),
        (a.less_equal(&b)?, [true, false, true, true]),
    ];
    for (result, expected) in table {
        assert_eq!(result.to_vec::<bool>()?, expected);
    }
    Ok(())
}

#[test]
fn select_takes_from_either_side() -> Result<()> {
    let condition = of(&[true, false, true]);
    let y = condition.select(of(&[1i64, 2, 3]), of(&[-1i64, -2, -3]))?;
    assert_eq!(y.to_vec::<i64>()?, [1, -2, 3]);
    Ok(())
}

#[test]
fn impossible_allocations_are_typed_errors() -> Result<()> {
    let x = Array::zeros([1 << 44], Dtype::Float32)?.add(1.0)?;
    assert!(matches!(x.eval(), Err(Error::OutOfMemory { .. })));
    assert!(memory::of(olivine_core::Device::Cpu)?.usage().peak < 1 << 46);
    Ok(())
}

#[test]
fn transposed_inputs_of_any_size_give_the_same_values() -> Result<()> {
    for (rows, columns) in [(3, 5), (40, 50), (257, 131), (1, 300)] {
        let count = rows * columns;
        let a: Vec<f32> = (0..count).map(|i| i as f32).collect();
        let b: Vec<f32> = (0..count).map(|i| (i * 7 % 1000) as f32).collect();
        let x = Array::from_slice(&a, [rows, columns])?;
        let y = Array::from_slice(&b, [columns, rows])?;
        let (xt, yt) = (x.transpose([1, 0])?, y.transpose([1, 0])?);
        let expected: Vec<f32> = (0..count)
            .map(|k| a[k] + b[k % columns * rows + k / columns])
            .collect();
        assert_eq!(x.add(&yt)?.to_vec::<f32>()?, expected);
        assert_eq!(xt.add(&y)?.transpose([1, 0])?.to_vec::<f32>()?, expected);
        // Both transposed alike: the result keeps their layout.
        let doubled = xt.add(&xt)?.add(1.0)?;
        let expected: Vec<f32> = a.iter().map(|v| v + v + 1.0).collect();
        assert_eq!(doubled.transpose([1, 0])?.to_vec::<f32>()?, expected);
        // A broadcast row beside a transposed array.
        let row = Array::from_slice(&a[..rows], [rows])?;
        let shifted = xt.add(&row)?.transpose([1, 0])?.to_vec::<f32>()?;
        for (k, value) in shifted.iter().enumerate() {
            assert_eq!(*value, a[k] + a[k / columns]);
        }
        for dtype in [Dtype::Uint8, Dtype::Int16, Dtype::Float64] {
            let copy = xt
                .astype(dtype)?
                .contiguous()?
                .astype(Dtype::Float32)?
                .to_vec::<f32>()?;
            let plain = x.astype(dtype)?.astype(Dtype::Float32)?.to_vec::<f32>()?;
            for (k, value) in copy.iter().enumerate() {
                assert_eq!(*value, plain[k % rows * columns + k / rows]);
            }
        }
    }
    Ok(())
}

#[test]
fn a_transposed_batch_copies_in_order() -> Result<()> {
    let (batch, rows, columns) = (3, 70, 41);
    let values: Vec<u16> = (0..batch * rows * columns).map(|i| i as u16).collect();
    let x = Array::from_slice(&values, [batch, rows, columns])?;
    let y = x.transpose([0, 2, 1])?.contiguous()?.to_vec::<u16>()?;
    for (k, value) in y.iter().enumerate() {
        let (b, c, r) = (k / (rows * columns), k / rows % columns, k % rows);
        assert_eq!(*value, values[(b * rows + r) * columns + c]);
    }
    let z = x.transpose([2, 0, 1])?.contiguous()?.to_vec::<u16>()?;
    for (k, value) in z.iter().enumerate() {
        let (c, b, r) = (k / (rows * batch), k / rows % batch, k % rows);
        assert_eq!(*value, values[(b * rows + r) * columns + c]);
    }
    Ok(())
}
