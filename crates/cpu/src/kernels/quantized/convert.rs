//! Owns packing numbers into codes, reading them, and rounding to what codes can hold.

use std::ops::Range;

use num_traits::{Float, Zero as _};
use olivine_core::{
    Call, Dtype, Element, Operand, Result, bf16, dispatch, f16,
    quantized::{Dequantize, FromFp8, Quantization, QuantizationMode, Quantize, RoundTo},
};

use super::{
    codes::{
        Codes, E2m1, E4m3, join, power, scale_of, to_e2m1_down, to_e2m1_even, to_e4m3, unpack,
        unpack_each, with_codes,
    },
    dense, no_such, results,
};
use crate::{
    isa::{Isa, per_isa},
    pool::parallel_for,
    simd::Narrow,
    tensor::{Output, wrong_dtype},
};

/// A type that groups are computed in.
pub(super) trait Wide: Float + Send + Sync + 'static {
    /// The whole number that is nearest to one from 0 to 255; ties go to even.
    fn nearest(self) -> u8;
}

impl Wide for f32 {
    #[inline(always)]
    fn nearest(self) -> u8 {
        // From 2^23 on only whole numbers are floats, so that the addition rounds.
        (self + 8_388_608.0).to_bits() as u8
    }
}

impl Wide for f64 {
    #[inline(always)]
    fn nearest(self) -> u8 {
        (self + 4_503_599_627_370_496.0).to_bits() as u8
    }
}

/// A float that is packed, and the type its groups are computed in.
pub(super) trait Real: Element {
    type Wide: Wide;
    fn wide(self) -> Self::Wide;
    fn of(value: Self::Wide) -> Self;
}

macro_rules! narrow_reals {
    ($($ty:ty),*) => {$(
        impl Real for $ty {
            type Wide = f32;
            #[inline(always)]
            fn wide(self) -> f32 {
                self.widen()
            }
            #[inline(always)]
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
    let (op, dtype, scheme) = ("quantize", call.input(0).dtype, primitive.scheme);
    dispatch!(float, dtype, T => {
        with_codes!(scheme, C => pack::<T, C>(scheme, call), else Err(no_such(op, scheme)))
    }, else Err(wrong_dtype(op, dtype)))
}

fn pack<T: Real, C: Codes>(scheme: Quantization, call: &mut Call) -> Result<()> {
    let (op, group) = ("quantize", scheme.group_size());
    let words = group * C::BITS / 32;
    let global = global(call, 1, op)?;
    let codes = Output::<u32>::allocate(call, 0, op)?;
    if C::BIASED {
        let scales = Output::<T>::allocate(call, 1, op)?;
        let biases = Output::<T>::allocate(call, 2, op)?;
        let x = dense::<T>(call.input(0), op)?;
        parallel_for(scales.len(), group * 2, |groups| {
            let Range { start, end } = groups;
            let x = &x[start * group..end * group];
            // SAFETY: threads have disjoint ranges.
            unsafe {
                let codes = bytes_mut(codes.part(start * words..end * words));
                let (scales, biases) = (scales.part(start..end), biases.part(start..end));
                pack_affine::<T, C>(group, x, codes, scales, biases);
            }
        });
    } else {
        let scales = Output::<u8>::allocate(call, 1, op)?;
        let x = dense::<T>(call.input(0), op)?;
        parallel_for(scales.len(), group * 2, |groups| {
            let Range { start, end } = groups;
            let x = &x[start * group..end * group];
            // SAFETY: threads have disjoint ranges.
            unsafe {
                let codes = bytes_mut(codes.part(start * words..end * words));
                pack_floats::<T, C>(scheme, global, x, codes, scales.part(start..end));
            }
        });
    }
    Ok(())
}

/// The most numbers in a group.
const MOST: usize = 128;

per_isa! {
    /// Packs groups of whole numbers. NaN becomes code zero.
    fn pack_affine<T: Real, C: Codes>(
        group: usize, x: &[T], codes: &mut [u8], scales: &mut [T], biases: &mut [T],
    ) = pack_affine_body;
}

#[inline(always)]
fn pack_affine_body<S: Isa, T: Real, C: Codes>(
    group: usize,
    x: &[T],
    codes: &mut [u8],
    scales: &mut [T],
    biases: &mut [T],
) {
    let zero = T::Wide::zero();
    let most: T::Wide = constant(f64::from((1u32 << C::BITS) - 1));
    let least: T::Wide = constant(f64::from(1e-7f32));
    let (mut numbers, mut near) = ([zero; MOST], [0; MOST]);
    let (numbers, near) = (&mut numbers[..group], &mut near[..group]);
    let codes = codes.chunks_exact_mut(group / 8 * C::BITS);
    for (i, (x, codes)) in x.chunks_exact(group).zip(codes).enumerate() {
        for (to, x) in numbers.iter_mut().zip(x) {
            *to = x.wide();
        }
        let (low, high) = ends(numbers);
        let (scale, bias) = if C::BITS == 1 {
            let step = high - low;
            (if step < least { least } else { step }, low)
        } else {
            let below = low.abs() > high.abs();
            let step = (high - low) / most;
            let step = if step < least { least } else { step };
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
        (scales[i], biases[i]) = (T::of(scale), T::of(bias));
        for (to, &x) in near.iter_mut().zip(&*numbers) {
            let count = (x - bias) / scale;
            let count = if count > zero { count } else { zero };
            let count = if most < count { most } else { count };
            *to = count.nearest();
        }
        join::<C>(near, codes);
    }
}

/// The least and the largest number; a NaN loses every comparison.
#[inline(always)]
fn ends<W: Wide>(numbers: &[W]) -> (W, W) {
    let (mut lows, mut highs) = ([W::infinity(); 16], [W::neg_infinity(); 16]);
    for numbers in numbers.chunks_exact(16) {
        for j in 0..16 {
            let x = numbers[j];
            lows[j] = if x < lows[j] { x } else { lows[j] };
            highs[j] = if x > highs[j] { x } else { highs[j] };
        }
    }
    // Each half of what is left with the other.
    for half in [8, 4, 2, 1] {
        for j in 0..half {
            let (low, high) = (lows[j + half], highs[j + half]);
            lows[j] = if low < lows[j] { low } else { lows[j] };
            highs[j] = if high > highs[j] { high } else { highs[j] };
        }
    }
    (lows[0], highs[0])
}

per_isa! {
    /// Packs groups of small floats.
    fn pack_floats<T: Real, C: Codes>(
        scheme: Quantization, global: Option<f32>, x: &[T], codes: &mut [u8], scales: &mut [u8],
    ) = pack_floats_body;
}

#[inline(always)]
fn pack_floats_body<S: Isa, T: Real, C: Codes>(
    scheme: Quantization,
    global: Option<f32>,
    x: &[T],
    codes: &mut [u8],
    scales: &mut [u8],
) {
    let group = scheme.group_size();
    let (mut numbers, mut near) = ([T::Wide::zero(); MOST], [0; MOST]);
    let (numbers, near) = (&mut numbers[..group], &mut near[..group]);
    let codes = codes.chunks_exact_mut(group / 8 * C::BITS);
    for (i, (x, codes)) in x.chunks_exact(group).zip(codes).enumerate() {
        scales[i] = over_scale(x, scheme, global, true, numbers);
        for (to, &number) in near.iter_mut().zip(&*numbers) {
            let number = single(number);
            *to = if C::FLOAT8 {
                to_e4m3(number)
            } else {
                to_e2m1_down(number) as u8
            };
        }
        join::<C>(near, codes);
    }
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

/// Finds the byte of a group's scale, and writes its numbers over that scale. With `stored` they are
/// rounded to their own type on the way, as packing does.
#[inline(always)]
fn over_scale<T: Real>(
    x: &[T],
    scheme: Quantization,
    global: Option<f32>,
    stored: bool,
    numbers: &mut [T::Wide],
) -> u8 {
    for (to, x) in numbers.iter_mut().zip(x) {
        *to = x.wide().abs();
    }
    let (_, largest) = ends(numbers);
    let zero = T::Wide::zero();
    let largest = if largest > zero { largest } else { zero };
    let (byte, scale, encode) = if scheme.mode() == QuantizationMode::Nvfp4 {
        let encode = global.map_or(1.0, |global| 2688.0 / global);
        let part = largest / constant(6.0);
        let part = if stored { T::of(part).wide() } else { part };
        let byte = to_e4m3(single(part * constant(f64::from(encode))));
        (byte, E4m3::value(u32::from(byte)), encode)
    } else {
        let most = constant(if scheme.bits() == 8 { 448.0 } else { 6.0 });
        let byte = power_above(single(largest / most));
        (byte, power(byte), 1.0)
    };
    if scale == 0.0 {
        numbers.fill(zero);
        return byte;
    }
    let (scale, encode) = (
        constant::<T::Wide>(f64::from(scale)),
        constant(f64::from(encode)),
    );
    for (to, x) in numbers.iter_mut().zip(x) {
        let part = x.wide() / scale;
        let part = if stored { T::of(part).wide() } else { part };
        *to = part * encode;
    }
    byte
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
    parallel_for(out.len() / group, group * 2, |groups| {
        let range = groups.start * group..groups.end * group;
        // SAFETY: threads have disjoint ranges.
        let out = unsafe { out.part(range.clone()) };
        round_groups::<T>(scheme, global, &x[range], out);
    });
    Ok(())
}

per_isa! {
    /// Rounds groups to what codes can hold.
    fn round_groups<T: Real>(
        scheme: Quantization, global: Option<f32>, x: &[T], to: &mut [T],
    ) = round_groups_body;
}

#[inline(always)]
fn round_groups_body<S: Isa, T: Real>(
    scheme: Quantization,
    global: Option<f32>,
    x: &[T],
    to: &mut [T],
) {
    let group = scheme.group_size();
    let mut numbers = [T::Wide::zero(); MOST];
    let numbers = &mut numbers[..group];
    let encode = constant(global.map_or(1.0, |global| f64::from(2688.0 / global)));
    for (x, to) in x.chunks_exact(group).zip(to.chunks_exact_mut(group)) {
        let byte = over_scale(x, scheme, global, false, numbers);
        let scale = constant::<T::Wide>(f64::from(scale_of(byte, scheme.mode())));
        for (to, &number) in to.iter_mut().zip(&*numbers) {
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

/// Words as bytes that can be changed.
fn bytes_mut(words: &mut [u32]) -> &mut [u8] {
    let size = size_of_val(words);
    // SAFETY: words are bytes and nothing else, and any bytes are words.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size) }
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
        let mut room = [0.0f32; MOST];
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
