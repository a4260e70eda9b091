//! Owns kernels over numbers in few bits: packing, reading, and products with packed matrices.

mod codes;
mod columns;
mod convert;
mod digits;
mod few;
mod integer;
mod lines;
mod operands;
mod product;
#[cfg(test)]
mod tests;
mod ways;

pub(super) use codes::scale_of;
pub(super) use convert::{bytes, dequantize, from_fp8, quantize, round_to, to_fp8};
pub(super) use product::{gather_qmm, places_of, quantized_matmul};

use std::borrow::Cow;

use olivine_core::{Call, Element, Error, Operand, Result, dispatch, quantized::Quantization};

use super::matmul::{Results, Target};
use crate::tensor::{Loops, Output, View, wrong_dtype};

/// The elements of an operand in row-major order: in place if they lie so, else copied.
pub(super) fn dense<'a, T: Element>(
    operand: &'a Operand,
    op: &'static str,
) -> Result<Cow<'a, [T]>> {
    let view = View::<T>::new(operand, op)?;
    let len = view.shape.elements();
    if operand.is_contiguous() {
        // SAFETY: the operand is evaluated, of dtype T, and its elements lie without gaps.
        return Ok(Cow::Borrowed(unsafe {
            std::slice::from_raw_parts(view.ptr, len)
        }));
    }
    let loops = Loops::new(view.shape, [view.strides]);
    let [step] = loops.inner_strides();
    let mut copy = Vec::with_capacity(len);
    loops.for_each_run(0..len, |[start], run| {
        // SAFETY: the loops lead to elements of the operand.
        copy.extend((0..run as isize).map(|i| unsafe { view.ptr.offset(start + i * step).read() }));
    });
    Ok(Cow::Owned(copy))
}

/// What reads groups of codes: from bytes, the size of a group, scales and biases, to numbers.
pub(super) type Unpack = fn(&[u8], usize, &[f32], &[f32], &mut [f32]);

/// What reads the codes of a format.
pub(super) fn unpack_of(op: &'static str, scheme: Quantization) -> Result<Unpack> {
    codes::with_codes!(scheme, C => Ok(codes::unpack::<C>), else Err(no_such(op, scheme)))
}

/// The error of a format that there are no kernels for.
fn no_such(op: &'static str, scheme: Quantization) -> Error {
    let reason = format!(
        "there are no {} codes of {} bits",
        scheme.mode(),
        scheme.bits()
    );
    Error::Argument { op, reason }
}

/// Where the results of a call go, as rows along the last axis.
fn results(call: &mut Call, op: &'static str) -> Result<Results> {
    let (shape, dtype) = (call.shape(0), call.dtype(0));
    let columns = shape[shape.rank() - 1];
    dispatch!(narrow, dtype, T => {
        let out = Output::<T>::allocate(call, 0, op)?;
        Ok(Results::new(Target::new(out.ptr(), columns)))
    }, else Err(wrong_dtype(op, dtype)))
}
