//! Owns weights packed by other tools than MLX: AWQ, GPTQ and blocks of FP8.

use olivine_core::{
    Array, Dtype, Shape,
    quantized::{Quantization, Quantized},
};

use super::Weights;
use crate::{Result, json::Object, layers::Matrices};

/// A layout of packed weights that `quantization_config` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// AutoAWQ: four bits, outputs interleaved within words.
    Awq { group_size: usize },
    /// AutoGPTQ: four bits along the inputs, in groups that `g_idx` may give each input at will.
    Gptq {
        group_size: usize,
        /// Whether `g_idx` has to be there.
        scattered: bool,
        /// What stored zeros lack: the first version of the format keeps them less one.
        zero_offset: u32,
    },
    /// E4M3 with a scale for each block, channel or tensor.
    Fp8,
    /// gpt-oss: the family reads its own blocks.
    Mxfp4,
}

impl Foreign {
    /// Reads `quantization_config`.
    pub(crate) fn read_config(object: &Object) -> Result<Self> {
        let four_bits = || match object.size("bits", 64)?.unwrap_or(4) {
            4 => Ok(object.size("group_size", 1 << 16)?.unwrap_or(128)),
            _ => Err(object.unsupported("bits", "4")),
        };
        let method = object.required("quant_method", object.string("quant_method")?)?;
        match method {
            "awq" => match object.string("version")?.unwrap_or("gemm") {
                "gemm" | "GEMM" => Ok(Foreign::Awq {
                    group_size: four_bits()?,
                }),
                _ => Err(object.unsupported("version", "gemm")),
            },
            "gptq" => Ok(Foreign::Gptq {
                group_size: four_bits()?,
                scattered: object.bool("desc_act")? == Some(true),
                zero_offset: match object.string("checkpoint_format")?.unwrap_or("gptq") {
                    "gptq" => 1,
                    "gptq_v2" => 0,
                    _ => return Err(object.unsupported("checkpoint_format", "gptq, gptq_v2")),
                },
            }),
            "fp8" => Ok(Foreign::Fp8),
            "mxfp4" => Ok(Foreign::Mxfp4),
            _ => Err(object.unsupported("quant_method", "awq, gptq, fp8, mxfp4")),
        }
    }

    /// The layer at these weights, if it is packed so.
    pub(super) fn read(self, weights: &Weights, shape: &Shape) -> Result<Option<Matrices>> {
        match self {
            Foreign::Awq { group_size } if weights.has("qweight") => {
                let words = Words {
                    interleaved: true,
                    scattered: false,
                    zero_offset: 0,
                };
                Ok(Some(affine(weights, shape, group_size, words)?))
            }
            Foreign::Gptq {
                group_size,
                scattered,
                zero_offset,
            } if weights.has("qweight") => {
                let words = Words {
                    interleaved: false,
                    scattered,
                    zero_offset,
                };
                Ok(Some(affine(weights, shape, group_size, words)?))
            }
            Foreign::Fp8 if weights.has("weight_scale_inv") || weights.has("weight_scale") => {
                Ok(Some(fp8(weights, shape)?))
            }
            _ => Ok(None),
        }
    }
}

struct Words {
    /// Words hold neighbouring outputs, even ones first; otherwise neighbouring inputs.
    interleaved: bool,
    /// Each input says which group it is in.
    scattered: bool,
    zero_offset: u32,
}

/// Codes of four bits as MLX packs them: by rows of inputs, with a bias of minus zero times scale.
///
/// Where groups are not runs of inputs, since GPTQ took the inputs in order of their activations, no
/// layer of MLX's layout has the same numbers: such a matrix is unpacked.
fn affine(weights: &Weights, shape: &Shape, group_size: usize, words: Words) -> Result<Matrices> {
    let (outputs, inputs) = (shape[0], shape[1]);
    if !inputs.is_multiple_of(group_size) || !outputs.is_multiple_of(8) || !inputs.is_multiple_of(8)
    {
        let reason = format!(
            "{}: groups of {group_size} do not fill {shape}",
            weights.name("")
        );
        return Err(weights.bad(reason));
    }
    let groups = inputs / group_size;
    let zeros = spread(
        &part(weights, "qzeros", &[groups, outputs / 8])?,
        1,
        words.interleaved,
    )?;
    let codes = if words.interleaved {
        let words = part(weights, "qweight", &[inputs, outputs / 8])?;
        spread(&words, 1, true)?
    } else {
        let words = part(weights, "qweight", &[inputs / 8, outputs])?;
        spread(&words, 0, false)?
    };
    let scales = weights.cast(part(weights, "scales", &[groups, outputs])?)?;
    let zeros = zeros.add(words.zero_offset)?.astype(scales.dtype())?;
    let group_of = if words.scattered || weights.has("g_idx") {
        scattered_groups(weights, inputs, group_size)?
    } else {
        None
    };
    if let Some(group_of) = group_of {
        let centred = codes
            .astype(scales.dtype())?
            .subtract(zeros.take(&group_of, 0)?)?;
        let values = centred.multiply(scales.take(&group_of, 0)?)?;
        return Ok(Matrices::Dense {
            weight: values.transpose([1, 0])?.contiguous()?.into(),
        });
    }
    let scheme = Quantization::affine(group_size, 4)
        .map_err(|error| weights.bad(format!("{}: {error}", weights.name(""))))?;
    let scales = scales.transpose([1, 0])?;
    let packed = Quantized {
        codes: gathered(&codes.transpose([1, 0])?)?,
        biases: Some(zeros.transpose([1, 0])?.multiply(&scales)?.negative()?),
        scales,
        global_scale: None,
        scheme,
    };
    Ok(Matrices::Quantized(packed.into()))
}

/// A tensor that has to be there in this shape.
fn part(weights: &Weights, name: &str, dims: &[usize]) -> Result<Array> {
    let found = weights.any(name);
    let found = found.ok_or_else(|| weights.bad(format!("{} is missing", weights.name(name))))?;
    if found.shape().dims() != dims {
        let (name, own, expected) = (weights.name(name), found.shape(), Shape::from(dims));
        return Err(weights.bad(format!("{name} has shape {own}, not {expected}")));
    }
    Ok(found)
}

/// The group of each input, where groups are not runs of neighbours.
fn scattered_groups(weights: &Weights, inputs: usize, group_size: usize) -> Result<Option<Array>> {
    const NAME: &str = "g_idx";
    let group_of = part(weights, NAME, &[inputs])?.astype(Dtype::Int32)?;
    let groups = group_of.to_vec::<i32>()?;
    let last = (inputs / group_size) as i32 - 1;
    if let Some(wrong) = groups.iter().find(|group| !(0..=last).contains(*group)) {
        let name = weights.name(NAME);
        return Err(weights.bad(format!(
            "{name} names group {wrong}; the last one is {last}"
        )));
    }
    let mut inputs = groups.iter().enumerate();
    let in_order = inputs.all(|(input, &group)| group as usize == input / group_size);
    Ok((!in_order).then_some(group_of))
}

/// The eight codes of each word, along `axis`.
fn spread(words: &Array, axis: usize, interleaved: bool) -> Result<Array> {
    const EVEN_FIRST: [u32; 8] = [0, 4, 1, 5, 2, 6, 3, 7];
    let shifts: Vec<u32> = (0..8)
        .map(|i| {
            4 * if interleaved {
                EVEN_FIRST[i as usize]
            } else {
                i
            }
        })
        .collect();
    let words = words.view(Dtype::Uint32)?;
    let (rows, columns) = (words.dim(0)?, words.dim(1)?);
    let lanes = if axis == 0 { [1, 8, 1] } else { [1, 1, 8] };
    let shifts = Array::from_slice(&shifts, lanes)?;
    let codes = words
        .expand_dims(axis as i64 + 1)?
        .right_shift(shifts)?
        .bitwise_and(15u32)?;
    let shape = if axis == 0 {
        [rows * 8, columns]
    } else {
        [rows, columns * 8]
    };
    Ok(codes.reshape(shape)?)
}

/// Words of eight codes each, the first in the lowest bits, along the last axis.
fn gathered(codes: &Array) -> Result<Array> {
    let (rows, columns) = (codes.dim(0)?, codes.dim(1)?);
    let shifts: Vec<u32> = (0..8).map(|i| 4 * i).collect();
    let shifted = codes
        .reshape([rows, columns / 8, 8])?
        .left_shift(Array::from_slice(&shifts, [8])?)?;
    Ok(shifted.sum(-1)?.astype(Dtype::Uint32)?)
}

/// Plain bfloat16 weights from E4M3 ones.
fn fp8(weights: &Weights, shape: &Shape) -> Result<Matrices> {
    let missing = |name: &str| weights.bad(format!("{} is missing", weights.name(name)));
    let bytes = weights.any("weight").ok_or_else(|| missing("weight"))?;
    weights.ignore("input_scale");
    weights.ignore("activation_scale");
    let scales = weights
        .any("weight_scale_inv")
        .or_else(|| weights.any("weight_scale"));
    let scales = scales
        .ok_or_else(|| missing("weight_scale_inv"))?
        .astype(Dtype::Float32)?;
    if bytes.shape() != shape {
        let (name, own) = (weights.name("weight"), bytes.shape());
        return Err(weights.bad(format!(
            "{name} has shape {own}, the configuration says {shape}"
        )));
    }
    let values = bytes.from_fp8(Dtype::Float32)?;
    let (rows, columns) = (shape[0], shape[1]);
    let scaled = match scales.shape().dims() {
        [] | [1] => values.multiply(scales)?,
        &[each, 1] | &[each] if each == rows => values.multiply(scales.reshape([rows, 1])?)?,
        &[tall, wide] => {
            // Blocks are square, and those at the edges may be cut.
            let block = [128, 64, 32, 16]
                .into_iter()
                .find(|block| rows.div_ceil(*block) == tall && columns.div_ceil(*block) == wide);
            let Some(block) = block else {
                let (name, own) = (weights.name("weight_scale_inv"), scales.shape());
                return Err(weights.bad(format!(
                    "{name} has shape {own}, which makes no blocks of {shape}"
                )));
            };
            let spread = scales.repeat(block, 0)?.repeat(block, 1)?;
            values.multiply(spread.index((..rows, ..columns))?)?
        }
        _ => {
            let (name, own) = (weights.name("weight_scale_inv"), scales.shape());
            return Err(weights.bad(format!(
                "{name} has shape {own}, which fits no known layout"
            )));
        }
    };
    Ok(Matrices::Dense {
        weight: weights.cast(scaled.astype(Dtype::BFloat16)?)?.into(),
    })
}

/// Packed words of mxfp4 from gpt-oss's blocks of bytes (…, blocks, 16).
pub(crate) fn mxfp4_words(blocks: &Array) -> olivine_core::Result<Array> {
    let words = blocks.view(Dtype::Uint32)?;
    let rank = words.ndim();
    let mut shape: Vec<usize> = words.shape().dims().to_vec();
    let last = shape.remove(rank - 1);
    if let Some(blocks) = shape.last_mut() {
        *blocks *= last;
    }
    words.reshape(&shape[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_spread_and_gathered() {
        let words = Array::from_slice(&[0x7654_3210_u32, 0xFEDC_BA98], [1, 2]).unwrap();
        let codes = spread(&words, 1, false).unwrap();
        assert_eq!(
            codes.to_vec::<u32>().unwrap(),
            (0..16).collect::<Vec<u32>>()
        );
        assert_eq!(
            gathered(&codes).unwrap().to_vec::<u32>().unwrap(),
            [0x7654_3210, 0xFEDC_BA98]
        );
        // AutoAWQ's order within a word is 0, 2, 4, 6, 1, 3, 5, 7.
        let codes = spread(&words, 1, true).unwrap();
        assert_eq!(
            codes.to_vec::<u32>().unwrap()[..8],
            [0, 4, 1, 5, 2, 6, 3, 7]
        );
        let tall = spread(&words, 0, false).unwrap();
        assert_eq!(tall.shape().dims(), &[8, 2]);
        assert_eq!(tall.to_vec::<u32>().unwrap()[..4], [0, 8, 1, 9]);
    }
}
