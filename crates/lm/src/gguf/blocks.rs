//! Owns packing weights the way GGUF's types without a bias want it: symmetric around zero.

use olivine_core::{Array, Dtype, Error, Result, f16};

const GROUP: usize = 32;

/// Codes, scales and biases of a matrix in groups of 32 with `bits` of 4 or 8, where every bias is
/// minus half of all codes times the scale: `Q4_0` and `Q8_0`.
///
/// Fails if rows are no whole groups or hold numbers that no half-precision scale reaches.
pub(super) fn symmetric(matrix: &Array, bits: usize) -> Result<[Array; 3]> {
    let refused = |reason: &str| Error::Argument {
        op: "quantize",
        reason: reason.to_owned(),
    };
    let dims = matrix.shape().dims().to_vec();
    let (Some((&columns, rows)), true) = (dims.split_last(), bits == 4 || bits == 8) else {
        return Err(refused("there must be rows, and codes of 4 or 8 bits"));
    };
    if !columns.is_multiple_of(GROUP) {
        return Err(refused("groups of 32 must fill the rows"));
    }
    let values = matrix
        .astype(Dtype::Float32)?
        .contiguous()?
        .to_vec::<f32>()?;
    let groups = values.len() / GROUP;
    let mut words = Vec::with_capacity(groups * bits);
    let (mut scales, mut biases) = (Vec::with_capacity(groups), Vec::with_capacity(groups));
    let centre = (1u32 << (bits - 1)) as f32;
    for group in values.chunks_exact(GROUP) {
        let most = group.iter().fold(
            0.0f32,
            |most, &x| if x.abs() > most.abs() { x } else { most },
        );
        // Four bits reach further below zero, so that is where the largest number goes.
        let scale = f16::from_f32(if bits == 4 {
            most / -8.0
        } else {
            most.abs() / 127.0
        });
        let bias = f16::from_f32(-centre * scale.to_f32());
        if !bias.is_finite() || group.iter().any(|x| !x.is_finite()) {
            return Err(refused(
                "numbers are too large for scales of half precision",
            ));
        }
        scales.push(scale);
        biases.push(bias);
        let each = scale.to_f32();
        let code = |x: f32| {
            if each == 0.0 {
                centre as u32
            } else {
                (x / each + centre).round().clamp(0.0, 2.0 * centre - 1.0) as u32
            }
        };
        for word in group.chunks_exact(32 / bits) {
            let codes = word.iter().zip(0u32..);
            words.push(codes.fold(0, |word, (&x, i)| word | code(x) << (bits as u32 * i)));
        }
    }
    let shape = |last: usize| [rows, &[last]].concat();
    let groups = shape(columns / GROUP);
    Ok([
        Array::from_slice(&words, &shape(columns * bits / 32)[..])?,
        Array::from_slice(&scales, &groups[..])?,
        Array::from_slice(&biases, &groups[..])?,
    ])
}

#[cfg(test)]
mod tests {
    use olivine_core::quantized::{Quantization, Quantized};

    use super::*;

    #[test]
    fn numbers_stay_within_half_a_step() {
        let values: Vec<f32> = (0..128)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0)
            .collect();
        let matrix = Array::from_slice(&values, [2, 64]).unwrap();
        for (bits, step) in [(4, 1.25 / 8.0), (8, 1.25 / 127.0)] {
            let [codes, scales, biases] = symmetric(&matrix, bits).unwrap();
            let packed = Quantized {
                codes,
                scales,
                biases: Some(biases),
                global_scale: None,
                scheme: Quantization::affine(32, bits).unwrap(),
            };
            let own = packed.dequantize(Some(Dtype::Float32)).unwrap();
            for (a, b) in own.to_vec::<f32>().unwrap().iter().zip(&values) {
                // The end opposite to the largest number is cut by up to a step with four bits.
                let allowed = if bits == 4 { 1.0 } else { 0.51 };
                assert!((a - b).abs() <= allowed * step * 1.01, "{a} {b}");
            }
        }
    }

    #[test]
    fn what_cannot_be_packed_is_an_error() {
        let matrix =
            |x: f32, columns: usize| Array::from_slice(&vec![x; columns], [1, columns]).unwrap();
        assert!(symmetric(&matrix(1.0, 33), 8).is_err());
        assert!(symmetric(&matrix(1.0, 32), 5).is_err());
        assert!(symmetric(&matrix(f32::INFINITY, 32), 8).is_err());
        assert!(symmetric(&matrix(1e9, 32), 4).is_err());
        let [codes, ..] = symmetric(&matrix(0.0, 32), 4).unwrap();
        assert_eq!(codes.to_vec::<u32>().unwrap(), [0x8888_8888; 4]);
    }
}
