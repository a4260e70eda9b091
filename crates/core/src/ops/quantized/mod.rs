//! Owns numbers in few bits: the formats, packing and unpacking arrays, and products with packed
//! matrices. The layouts are MLX's, byte for byte.

mod attention;
mod fp8;
mod gather;
mod matmul;
mod pack;
mod rounded;
mod scheme;

pub use attention::{QuantizedAttention, quantized_scaled_dot_product_attention};
pub use fp8::{FromFp8, ToFp8};
pub(super) use gather::{added_at, check_chosen, folded, places_in_batch, places_of};
pub use gather::GatherQmm;
pub use matmul::QuantizedMatmul;
pub use pack::{Dequantize, Quantize};
pub use rounded::{QqmmWeights, RoundTo};
pub use scheme::{Activations, Quantization, QuantizationMode, Quantized, join_codes};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Dtype, Error, Result, Shape};

/// Fails unless `dtype` is a real floating-point one.
fn check_float(op: &'static str, dtype: Dtype) -> Result<()> {
    if dtype.is_float() {
        return Ok(());
    }
    let reason = "it takes real floating-point arrays; convert with astype first";
    Err(Error::Dtype { op, dtype, reason })
}

fn shape_error<T>(op: &'static str, reason: String) -> Result<T> {
    Err(Error::Shape { op, reason })
}

/// The two axes of the matrices in an array that has at least these.
pub(super) fn matrix(x: &Array) -> (usize, usize) {
    (x.shape()[x.ndim() - 2], x.shape()[x.ndim() - 1])
}

/// The array with all axes before the last two made into one.
pub(super) fn stacked(x: &Array) -> Array {
    let (rows, columns) = matrix(x);
    let count = x.shape()[..x.ndim() - 2].iter().product();
    x.reshape_to(Shape::from([count, rows, columns]))
}

/// The numbers of the matrices in `shape`, in row-major order.
pub(super) fn numbered(shape: &[usize]) -> Result<Array> {
    let count: usize = shape.iter().product();
    Ok(Array::arange(0u32, count as u32, 1u32)?.reshape_to(shape.into()))
}

/// Whole numbers that fill packed words: integers below 2^30, as samples make them.
fn words(x: &Array) -> Result<Array> {
    crate::stop_gradient(&x.astype(Dtype::Uint32)?)
}

pub(super) fn ops() -> Vec<OpInfo> {
    let mut ops = pack::ops();
    ops.extend(fp8::ops());
    ops.extend(matmul::ops());
    ops.extend(gather::ops());
    ops.extend(rounded::ops());
    ops.extend(attention::ops());
    ops
}
