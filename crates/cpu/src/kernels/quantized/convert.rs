//! Owns packing numbers into codes, reading them, and rounding to what codes can hold.

use num_traits::{Float, ToPrimitive, Zero};
use olivine_core::{
    Call, Dtype, Element, Operand, Result, bf16, dispatch, f16,
    quantized::{Dequantize, FromFp8, Quantization, QuantizationMode, Quantize, RoundTo},
};

use super::{
    codes::{
        Codes, E2m1, E4m3, Packer, power, scale_of, to_e2m1_down, to_e2m1_even, to_e4m3, unpack,
        unpack_each, with_codes,
    },
    dense, no_such, results,
};
use crate::{
    pool::parallel_for,
    simd::Narrow,
    tensor::{Output, wrong_dtype},
};

/// A float that is packed, and the type its groups are computed in.
pub(super) trait Real: Element {
    type Wide: Float + Send + Sync + 'static;
    fn wide(self) -> Self::Wide;
    fn of(value: Self::Wide) -> Self;
}

macro_rules! narrow_reals {
    ($($ty:ty),*) => {$(
        impl Real for $ty {
            type Wide = f32;
            #[inline]
            fn wide(self) -> f32 {
                self.widen()
            }
            #[inline]
            fn of(value: f32) -> Self {
                Self::narrow(value)
            }
        }
    )*};
}

narrow_reals!(f32, f16, bf16);

impl Real for f64 {
    type Wide = f64;
    fn wide(self) -> f64 {
        self
    }
    fn of(value: f64) -> f64 {
        value
    }
}

/// A constant in the type of a computation.
fn constant<W: Float>(value: f64) -> W {
    W::from(value).expect("every float type holds it, rounded")
}

/// The nearest `f32`.
fn single<W: Float>(value: W) -> f32 {
    value.to_f32().unwrap_or(f32::NAN)
}

/// The first element of an optional input: the scale for all groups.
fn global(call: &Call, i: usize, op: &'static str) -> Result<Option<f32>> {
    let Some(operand) = call.inputs().get(i) else {
        return Ok(None);
    };
    Ok(dense::<f32>(operand, op)?.first().copied())
}

/// Runs [`Quantize`].
pub(in crate::kernels) fn quantize(primitive: &Quantize, call: &mut Call) -> Result<()> {
    let dtype = call.input(0).dtype;
    dispatch!(float, dtype, T => pack::<T>(primitive.scheme, call), else Err(wrong_dtype("quantize", dtype)))
}

fn pack<T: Real>(scheme: Quantization, call: &mut Call) -> Result<()> {
    let op = "quantize";
    let (group, words) = (
        scheme.group_size(),
        scheme.group_size() * scheme.bits() / 32,
    );
    let scale = global(call, 1, op)?;
    let codes = Output::<u32>::allocate(call, 0, op)?;
    if scheme.mode() == QuantizationMode::Affine {
        let scales = Output::<T>::allocate(call, 1, op)?;
        let biases = Output::<T>::allocate(call, 2, op)?;
        let x = dense::<T>(call.input(0), op)?;
        parallel_for(scales.len(), group * 8, |groups| {
            for i in groups {
                // SAFETY: each group has its own part of the outputs.
                let (codes, scale, bias) = unsafe {
                    let codes = codes.part(i * words..(i + 1) * words);
                    (codes, scales.part(i..i + 1), biases.part(i..i + 1))
                };
                let x = &x[i * group..(i + 1) * group];
                (scale[0], bias[0]) = pack_affine(x, codes, scheme);
            }
        });
    } else {
        let scales = Output::<u8>::allocate(call, 1, op)?;
        let x = dense::<T>(call.input(0), op)?;
        parallel_for(scales.len(), group * 8, |groups| {
            for i in groups {
                // SAFETY: each group has its own part of the outputs.
                let (codes, to) = unsafe {
                    (
                        codes.part(i * words..(i + 1) * words),
                        scales.part(i..i + 1),
                    )
                };
                let x = &x[i * group..(i + 1) * group];
                let (byte, numbers) = scaled(x, scheme, scale, true);
                to[0] = byte;
                let mut packer = Packer::new(codes, scheme);
                for value in numbers {
                    packer.push(match scheme.bits() {
                        8 => u32::from(to_e4m3(single(value))),
                        _ => to_e2m1_down(single(value)),
                    });
                }
            }
        });
    }
    Ok(())
}

/// Packs a group of whole numbers; returns its scale and bias. NaN becomes code zero.
fn pack_affine<T: Real>(x: &[T], codes: &mut [u32], scheme: Quantization) -> (T, T) {
    let zero = T::Wide::zero();
    let (mut low, mut high) = (T::Wide::infinity(), T::Wide::neg_infinity());
    for x in x {
        let x = x.wide();
        // A NaN loses every comparison.
        low = if x < low { x } else { low };
        high = if x > high { x } else { high };
    }
    let most: T::Wide = constant(f64::from((1u32 << scheme.bits()) - 1));
    let least = constant::<T::Wide>(f64::from(1e-7f32));
    let at_least = |step: T::Wide| if step < least { least } else { step };
    let (scale, bias) = if scheme.bits() == 1 {
        (at_least(high - low), low)
    } else {
        let below = low.abs() > high.abs();
        let step = at_least((high - low) / most);
        let step = if below { step } else { -step };
        // The end that is farther from zero is a whole number of steps, so that zero is as well.
        let edge = if below { low } else { high };
        let count = ties_even(edge / step);
        if count == zero {
            (step, zero)
        } else {
            (edge / count, edge)
        }
    };
    let mut packer = Packer::new(codes, scheme);
    for x in x {
        let count = ties_even((x.wide() - bias) / scale);
        let count = if count > zero { count } else { zero };
        let count = if most < count { most } else { count };
        packer.push(count.to_u32().unwrap_or(0));
    }
    (T::of(scale), T::of(bias))
}

/// The nearest whole number, ties to even.
fn ties_even<W: Float>(x: W) -> W {
    let rounded = x.round();
    let two = W::one() + W::one();
    if (x - x.trunc()).abs() == W::one() / two {
        two * (x / two).round()
    } else {
        rounded
    }
}

/// The byte of a group's scale, and its numbers over that scale. With `stored` they are rounded to
/// their own type on the way, as packing does.
fn scaled<T: Real>(
    x: &[T],
    scheme: Quantization,
    global: Option<f32>,
    stored: bool,
) -> (u8, impl Iterator<Item = T::Wide>) {
    let round = move |value: T::Wide| if stored { T::of(value).wide() } else { value };
    let mut largest = T::Wide::zero();
    for x in x {
        let x = x.wide().abs();
        largest = if x > largest { x } else { largest };
    }
    let (byte, scale, encode) = if scheme.mode() == QuantizationMode::Nvfp4 {
        let encode = global.map_or(1.0, |global| 2688.0 / global);
        let part = round(largest / constant(6.0)) * constant(f64::from(encode));
        let byte = to_e4m3(single(part));
        (byte, E4m3::value(u32::from(byte)), encode)
    } else {
        let most = constant(if scheme.bits() == 8 { 448.0 } else { 6.0 });
        let byte = power_above(single(largest / most));
        (byte, power(byte), 1.0)
    };
    let zero = scale == 0.0;
    let (scale, encode) = (
        constant::<T::Wide>(f64::from(scale)),
        constant(f64::from(encode)),
    );
    let number = move |x: &T| {
        if zero {
            T::Wide::zero()
        } else {
            round(x.wide() / scale) * encode
        }
    };
    (byte, x.iter().map(number))
}

/// The byte of the smallest power of two that is not below `x`; one for zero.
fn power_above(x: f32) -> u8 {
    if x == 0.0 {
        return 127;
    }
    let bits = x.to_bits();
    let (exponent, mantissa) = (bits >> 23, bits & 0x7f_ffff);
    // Subnormal numbers up to 2^-127 have the byte zero, the others that of the smallest normal.
    let above = if exponent == 0 {
        mantissa > 0x40_0000
    } else {
        mantissa > 0
    };
    (exponent + u32::from(above)).min(254) as u8
}

/// Runs [`RoundTo`].
pub(in crate::kernels) fn round_to(primitive: &RoundTo, call: &mut Call) -> Result<()> {
    let dtype = call.input(0).dtype;
    dispatch!(float, dtype, T => rounded::<T>(primitive.scheme, call), else Err(wrong_dtype("qqmm", dtype)))
}

fn rounded<T: Real>(scheme: Quantization, call: &mut Call) -> Result<()> {
    let (op, group) = ("qqmm", scheme.group_size());
    let global = global(call, 1, op)?;
    let out = Output::<T>::allocate(call, 0, op)?;
    let x = dense::<T>(call.input(0), op)?;
    parallel_for(out.len() / group, group * 8, |groups| {
        for i in groups {
            // SAFETY: each group has its own part of the output.
            let out = unsafe { out.part(i * group..(i + 1) * group) };
            let x = &x[i * group..(i + 1) * group];
            let (byte, numbers) = scaled(x, scheme, global, false);
            let scale = constant::<T::Wide>(f64::from(scale_of(byte, scheme.mode())));
            let encode = constant(global.map_or(1.0, |global| f64::from(2688.0 / global)));
            for (to, number) in out.iter_mut().zip(numbers) {
                let number = single(number);
                let near = if number.is_nan() {
                    number
                } else if scheme.bits() == 8 {
                    E4m3::value(u32::from(to_e4m3(number)))
                } else {
                    E2m1::value(to_e2m1_even(number))
                };
                *to = T::of(constant::<T::Wide>(f64::from(near)) * scale / encode);
            }
        }
    });
    Ok(())
}

/// Runs [`Dequantize`].
pub(in crate::kernels) fn dequantize(primitive: &Dequantize, call: &mut Call) -> Result<()> {
    let scheme = primitive.scheme;
    with_codes!(scheme, C => match call.dtype(0) {
        Dtype::Float64 => read_each::<C>(scheme, call),
        _ => read::<C>(scheme, call),
    }, else Err(no_such("dequantize", scheme)))
}

/// Elements as bytes.
pub(in crate::kernels) fn bytes<T: Element>(elements: &[T]) -> &[u8] {
    // SAFETY: elements are numbers, which are bytes and nothing else.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), size_of_val(elements)) }
}

/// Some floats as `f32`.
fn singles(operand: &Operand, op: &'static str) -> Result<Vec<f32>> {
    let dtype = operand.dtype;
    dispatch!(narrow, dtype, T => {
        Ok(dense::<T>(operand, op)?.iter().map(|x| x.widen()).collect())
    }, else Err(wrong_dtype(op, dtype)))
}

fn read<C: Codes>(scheme: Quantization, call: &mut Call) -> Result<()> {
    let (op, group) = ("dequantize", scheme.group_size());
    let out = results(call, op)?;
    let groups = call.shape(0).elements() / group;
    let (scales, biases) = if C::BIASED {
        (singles(call.input(1), op)?, singles(call.input(2), op)?)
    } else {
        let scales = dense::<u8>(call.input(1), op)?;
        let of = |&byte: &u8| scale_of(byte, scheme.mode());
        (scales.iter().map(of).collect(), Vec::new())
    };
    let words = dense::<u32>(call.input(0), op)?;
    let (codes, per_group) = (bytes(&words), group / 8 * C::BITS);
    parallel_for(groups, group, |groups| {
        let mut room = [0.0f32; 128];
        for i in groups {
            let biases = if C::BIASED { &biases[i..=i] } else { &[] };
            let codes = &codes[i * per_group..(i + 1) * per_group];
            unpack::<C>(codes, group, &scales[i..=i], biases, &mut room[..group]);
            // SAFETY: each group has its own part of the output.
            unsafe { out.write(&room[..group], 0, i * group) };
        }
    });
    Ok(())
}

fn read_each<C: Codes>(scheme: Quantization, call: &mut Call) -> Result<()> {
    let (op, group) = ("dequantize", scheme.group_size());
    let mut out = Output::<f64>::allocate(call, 0, op)?;
    let words = dense::<u32>(call.input(0), op)?;
    let out = out.slice();
    if C::BIASED {
        let (scales, biases) = (
            dense::<f64>(call.input(1), op)?,
            dense::<f64>(call.input(2), op)?,
        );
        unpack_each::<C>(bytes(&words), |i, value| {
            out[i] = f64::from(value) * scales[i / group] + biases[i / group];
        });
    } else {
        let scales = dense::<u8>(call.input(1), op)?;
        unpack_each::<C>(bytes(&words), |i, value| {
            out[i] = f64::from(value) * f64::from(scale_of(scales[i / group], scheme.mode()));
        });
    }
    Ok(())
}

/// Runs `ToFp8`.
pub(in crate::kernels) fn to_fp8(call: &mut Call) -> Result<()> {
    let (op, dtype) = ("to_fp8", call.input(0).dtype);
    dispatch!(float, dtype, T => {
        let out = Output::<u8>::allocate(call, 0, op)?;
        let x = dense::<T>(call.input(0), op)?;
        parallel_for(out.len(), 4, |range| {
            // SAFETY: threads have disjoint ranges.
            let out = unsafe { out.part(range.clone()) };
            for (to, x) in out.iter_mut().zip(&x[range]) {
                *to = to_e4m3(single(x.wide()));
            }
        });
        Ok(())
    }, else Err(wrong_dtype(op, dtype)))
}

/// Runs [`FromFp8`].
pub(in crate::kernels) fn from_fp8(primitive: FromFp8, call: &mut Call) -> Result<()> {
    let (op, dtype) = ("from_fp8", primitive.dtype);
    dispatch!(float, dtype, T => {
        let out = Output::<T>::allocate(call, 0, op)?;
        let x = dense::<u8>(call.input(0), op)?;
        parallel_for(out.len(), 2, |range| {
            // SAFETY: threads have disjoint ranges.
            let out = unsafe { out.part(range.clone()) };
            for (to, &x) in out.iter_mut().zip(&x[range]) {
                let value = E4m3::value(u32::from(x));
                *to = T::of(constant(f64::from(value)));
            }
        });
        Ok(())
    }, else Err(wrong_dtype(op, dtype)))
}
