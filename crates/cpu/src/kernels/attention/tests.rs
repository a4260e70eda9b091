//! Owns tests of attention against its decomposition in `float64`.

use olivine_core::{
    Array, Dtype, Result,
    fast::{
        AttentionMask, AttentionOptions, ScaledDotProductAttention, ScaledDotProductAttentionVjp,
        scaled_dot_product_attention,
    },
    graph::Primitive,
};

use crate::kernels::test_inputs::{Random, assert_close, rounding, values};

struct Case {
    heads: (usize, usize),
    queries: usize,
    keys: usize,
    size: usize,
    value_size: usize,
}

const CASES: [Case; 8] = [
    Case {
        heads: (2, 2),
        queries: 3,
        keys: 5,
        size: 8,
        value_size: 6,
    },
    Case {
        heads: (8, 2),
        queries: 1,
        keys: 700,
        size: 64,
        value_size: 64,
    },
    Case {
        heads: (5, 1),
        queries: 1,
        keys: 3,
        size: 20,
        value_size: 33,
    },
    Case {
        heads: (3, 3),
        queries: 1,
        keys: 2000,
        size: 40,
        value_size: 24,
    },
    Case {
        heads: (4, 2),
        queries: 70,
        keys: 70,
        size: 16,
        value_size: 16,
    },
    Case {
        heads: (2, 1),
        queries: 130,
        keys: 300,
        size: 33,
        value_size: 17,
    },
    Case {
        heads: (1, 1),
        queries: 9,
        keys: 4,
        size: 8,
        value_size: 8,
    },
    Case {
        heads: (2, 2),
        queries: 65,
        keys: 600,
        size: 8,
        value_size: 8,
    },
];

/// Runs forward and backward by kernel, and by decomposition in `float64`.
fn compare(primitive: ScaledDotProductAttention, inputs: &[Array], dtype: Dtype) -> Result<()> {
    let wide = |inputs: &[Array]| -> Result<Vec<Array>> {
        let widened = inputs.iter().map(|x| match x.dtype() {
            Dtype::Bool => Ok(x.clone()),
            _ => x.astype(Dtype::Float64),
        });
        widened.collect()
    };
    let what = format!(
        "{primitive:?} {dtype} {:?} {:?}",
        inputs[0].shape(),
        inputs[1].shape()
    );
    let tolerance = rounding(dtype).max(1e-6) * 8.0;
    let found = Array::apply_one(primitive, inputs.iter().cloned())?;
    let expected = &primitive.decompose(&wide(inputs)?)?[0];
    assert_close(&values(&found)?, &values(expected)?, tolerance, &what);

    let backward = ScaledDotProductAttentionVjp { forward: primitive };
    let cotangent = Random(3).array(found.shape().dims(), dtype)?;
    let mut inputs = inputs.to_vec();
    inputs.extend([found, cotangent]);
    let found = Array::apply(backward, inputs.iter().cloned())?;
    for (found, expected) in found.iter().zip(backward.decompose(&wide(&inputs)?)?) {
        // Gradients of keys add up over queries, and the rounded output goes into all.
        let tolerance = tolerance * 4.0;
        assert_close(
            &values(found)?,
            &values(&expected)?,
            tolerance,
            &format!("vjp {what}"),
        );
    }
    Ok(())
}

#[test]
fn kernels_match_the_decomposition() -> Result<()> {
    let mut random = Random(13);
    for dtype in [Dtype::Float32, Dtype::Float16, Dtype::BFloat16] {
        for case in CASES {
            let (heads, key_heads) = case.heads;
            let q = random.array(&[2, heads, case.queries, case.size], dtype)?;
            let k = random.array(&[2, key_heads, case.keys, case.size], dtype)?;
            let v = random.array(&[2, key_heads, case.keys, case.value_size], dtype)?;
            let full = [2, heads, case.queries, case.keys];
            let visible = random.array(&full, Dtype::Float32)?.greater(0.3)?;
            let added = random.array(&full, dtype)?;
            let sinks = random.array(&[heads], dtype)?;
            let scale = 1.0 / (case.size as f32).sqrt();
            let plain = ScaledDotProductAttention {
                scale,
                causal: false,
                mask: false,
                sinks: false,
            };
            let inputs = vec![q, k, v];
            let with = |more: &[&Array]| {
                inputs
                    .iter()
                    .chain(more.iter().copied())
                    .cloned()
                    .collect::<Vec<_>>()
            };
            compare(plain, &inputs, dtype)?;
            compare(
                ScaledDotProductAttention {
                    causal: true,
                    ..plain
                },
                &inputs,
                dtype,
            )?;
            let masked = ScaledDotProductAttention {
                mask: true,
                ..plain
            };
            compare(masked, &with(&[&visible]), dtype)?;
            compare(masked, &with(&[&added]), dtype)?;
            let sunk = ScaledDotProductAttention {
                sinks: true,
                ..plain
            };
            compare(sunk, &with(&[&sinks]), dtype)?;
            let both = ScaledDotProductAttention {
                mask: true,
                sinks: true,
                ..plain
            };
            compare(both, &with(&[&visible, &sinks]), dtype)?;
        }
    }
    Ok(())
}

#[test]
fn a_query_that_sees_nothing_gets_the_mean_of_all_values() -> Result<()> {
    let mut random = Random(14);
    for queries in [1, 3, 70] {
        let q = random.array(&[1, 2, queries, 8], Dtype::Float32)?;
        let k = random.array(&[1, 2, 300, 8], Dtype::Float32)?;
        let blind = Array::full([queries, 300], false)?;
        let options = AttentionOptions {
            scale: 1.0,
            mask: AttentionMask::Array(&blind),
            sinks: None,
        };
        let found = scaled_dot_product_attention(&q, &k, &k, &options)?;
        let mean = k
            .mean(olivine_core::keep(2))?
            .broadcast_to([1, 2, queries, 8])?;
        assert_close(&values(&found)?, &values(&mean)?, 1e-5, "mean");
    }
    Ok(())
}

#[test]
fn minus_infinity_everywhere_is_nan_and_no_keys_are_zero() -> Result<()> {
    for queries in [1, 2] {
        let q = Array::ones([1, 1, queries, 4], Dtype::Float32)?;
        let k = Array::ones([1, 1, 300, 4], Dtype::Float32)?;
        let mask = Array::full([queries, 300], f32::NEG_INFINITY)?;
        let options = AttentionOptions {
            scale: 1.0,
            mask: AttentionMask::Array(&mask),
            sinks: None,
        };
        let found = scaled_dot_product_attention(&q, &k, &k, &options)?;
        assert!(found.to_vec::<f32>()?.iter().all(|x| x.is_nan()));
        let none = Array::ones([1, 1, 0, 4], Dtype::Float32)?;
        let options = AttentionOptions {
            scale: 1.0,
            mask: AttentionMask::Causal,
            sinks: None,
        };
        let found = scaled_dot_product_attention(&q, &none, &none, &options)?;
        assert_eq!(found.to_vec::<f32>()?, vec![0.0; 4 * queries]);
    }
    Ok(())
}
