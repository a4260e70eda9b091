//! Owns tests of attention to packed keys and values against its decomposition in `float64`.

use olivine_core::{
    Array, Dtype, Result,
    fast::ScaledDotProductAttention,
    graph::Primitive,
    quantized::{Quantization, QuantizedAttention},
};

use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

/// The parts of a packed random array, as views of larger ones if `within`.
fn packed(
    random: &mut Random,
    shape: [usize; 4],
    (scheme, dtype): (Quantization, Dtype),
    within: Within,
) -> Result<Vec<Array>> {
    let [batch, heads, keys, size] = shape;
    let room = match within {
        Within::Whole => keys,
        Within::Longer | Within::Turned => keys + 5,
    };
    let plain = random.array(&[batch, heads, room, size], dtype)?;
    let packed = plain.quantize(scheme, None)?;
    let parts = [Some(packed.codes), Some(packed.scales), packed.biases];
    let parts = parts.into_iter().flatten().map(|part| match within {
        Within::Whole => Ok(part),
        Within::Longer => part.index((.., .., 2..keys + 2)),
        // The same elements, with the last axis outermost in memory.
        Within::Turned => {
            let turned = part.transpose([3, 0, 1, 2])?.contiguous()?;
            turned.transpose([1, 2, 3, 0])?.index((.., .., 2..keys + 2))
        }
    });
    parts.collect()
}

#[derive(Clone, Copy, Debug)]
enum Within {
    Whole,
    Longer,
    Turned,
}

fn compare(
    primitive: QuantizedAttention,
    inputs: &[Array],
    dtype: Dtype,
    what: &str,
) -> Result<()> {
    let wide: Result<Vec<Array>> = inputs
        .iter()
        .map(|x| match x.dtype() {
            Dtype::Bool | Dtype::Uint32 | Dtype::Uint8 => Ok(x.clone()),
            _ => x.astype(Dtype::Float64),
        })
        .collect();
    let found = Array::apply_one(primitive, inputs.iter().cloned())?;
    assert_eq!(found.dtype(), dtype);
    let expected = &primitive.decompose(&wide?)?[0];
    let tolerance = rounding(dtype).max(1e-6) * 8.0;
    assert_close(&values(&found)?, &values(expected)?, tolerance, what);
    Ok(())
}

#[test]
fn packed_sides_match_the_decomposition() -> Result<()> {
    let mut random = Random(15);
    let schemes = [
        (Quantization::affine(64, 8)?, Quantization::affine(64, 8)?),
        (Quantization::affine(32, 4)?, Quantization::affine(64, 2)?),
        (Quantization::affine(32, 3)?, Quantization::affine(32, 5)?),
        (Quantization::affine(64, 6)?, Quantization::MXFP8),
        (Quantization::MXFP4, Quantization::NVFP4),
    ];
    let sizes = [
        // Query heads, key heads, queries, keys.
        [8, 2, 1, 700],
        [5, 1, 1, 3],
        [2, 2, 1, 2000],
        [4, 2, 70, 300],
        [2, 1, 9, 4],
    ];
    for dtype in [Dtype::Float32, Dtype::Float16, Dtype::BFloat16] {
        for (keys, values) in schemes {
            for [heads, key_heads, queries, count] in sizes {
                for within in [Within::Whole, Within::Longer, Within::Turned] {
                    let shape = [2, key_heads, count, 64];
                    let mut inputs = vec![random.array(&[2, heads, queries, 64], dtype)?];
                    inputs.extend(packed(&mut random, shape, (keys, dtype), within)?);
                    inputs.extend(packed(&mut random, shape, (values, dtype), within)?);
                    let attention = ScaledDotProductAttention {
                        scale: 0.125,
                        causal: true,
                        mask: false,
                        sinks: false,
                    };
                    let what =
                        format!("{dtype} {keys:?} {values:?} {heads} {queries} {count} {within:?}");
                    let primitive = QuantizedAttention {
                        attention,
                        keys,
                        values,
                    };
                    compare(primitive, &inputs, dtype, &what)?;
                    let full = [2, heads, queries, count];
                    inputs.push(random.array(&full, Dtype::Float32)?.greater(0.3)?);
                    inputs.push(random.array(&[heads], dtype)?);
                    let attention = ScaledDotProductAttention {
                        scale: 0.125,
                        causal: false,
                        mask: true,
                        sinks: true,
                    };
                    let primitive = QuantizedAttention {
                        attention,
                        keys,
                        values,
                    };
                    compare(primitive, &inputs, dtype, &format!("masked {what}"))?;
                }
            }
        }
    }
    Ok(())
}
