//! Owns the conversion between halves and `f32`, in which halves are computed.
//!
//! Plain integer arithmetic, so that it vectorises everywhere; `f16` uses the processor's own
//! conversion where the level has one.

use olivine_core::Dtype;

use crate::isa::{Isa, per_isa};

/// 2 to the power 112: the distance between the exponents of `f16` and `f32`.
const REBIAS: f32 = 5.192_297e33;

/// Widens the bits of an `f16`.
#[inline(always)]
fn f16_to_f32(half: u16) -> f32 {
    let sign = (half as u32 & 0x8000) << 16;
    let rest = (half as u32 & 0x7fff) << 13;
    // The product is exact for normal and subnormal numbers alike.
    let finite = (f32::from_bits(rest) * REBIAS).to_bits();
    let special = rest | 0x7f80_0000;
    f32::from_bits(sign | if rest >= 0x0f80_0000 { special } else { finite })
}

/// Rounds to the bits of an `f16`, ties to even.
#[inline(always)]
fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let rest = bits & 0x7fff_ffff;
    // Carries out of the fraction correctly raise the exponent, up to infinity.
    let odd = (rest >> 13) & 1;
    let normal = rest.wrapping_sub(0x3800_0000 - 0xfff).wrapping_add(odd) >> 13;
    // Adding one half puts the fraction of a subnormal in the last bits, rounded.
    let subnormal = (f32::from_bits(rest) + 0.5)
        .to_bits()
        .wrapping_sub(0.5f32.to_bits());
    let special = if rest > 0x7f80_0000 { 0x7e00 } else { 0x7c00 };
    let small = if rest < 0x3880_0000 {
        subnormal
    } else {
        normal
    };
    sign | if rest >= 0x4780_0000 { special } else { small } as u16
}

#[inline(always)]
fn bf16_to_f32(half: u16) -> f32 {
    f32::from_bits((half as u32) << 16)
}

/// Rounds to the bits of a `bf16`, ties to even.
#[inline(always)]
fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding could carry a NaN to infinity.
    let nan = (bits >> 16) | 0x40;
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        nan as u16
    } else {
        rounded as u16
    }
}

#[inline(always)]
fn widen_f16_body<S: Isa>(source: &[u16], target: &mut [f32]) {
    let done = native_widen::<S>(source, target);
    for (to, from) in target[done..].iter_mut().zip(&source[done..]) {
        *to = f16_to_f32(*from);
    }
}

#[inline(always)]
fn narrow_f16_body<S: Isa>(source: &[f32], target: &mut [u16]) {
    let done = native_narrow::<S>(source, target);
    for (to, from) in target[done..].iter_mut().zip(&source[done..]) {
        *to = f32_to_f16(*from);
    }
}

/// Widens as many elements as the processor's conversion takes at a time, and returns their number.
#[inline(always)]
fn native_widen<S: Isa>(source: &[u16], target: &mut [f32]) -> usize {
    if !S::F16C {
        return 0;
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
        let count = source.len().min(target.len()) & !7;
        for i in (0..count).step_by(8) {
            // SAFETY: both slices have eight elements from `i` on, and bodies of this level run
            // only where the processor has its instructions.
            unsafe {
                let halves = _mm_loadu_si128(source.as_ptr().add(i).cast());
                _mm256_storeu_ps(target.as_mut_ptr().add(i), _mm256_cvtph_ps(halves));
            }
        }
        count
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::aarch64::{vcvt_f32_f16, vld1_u16, vreinterpret_f16_u16, vst1q_f32};
        let count = source.len().min(target.len()) & !3;
        for i in (0..count).step_by(4) {
            // SAFETY: both slices have four elements from `i` on; NEON is part of the architecture.
            unsafe {
                let halves = vreinterpret_f16_u16(vld1_u16(source.as_ptr().add(i)));
                vst1q_f32(target.as_mut_ptr().add(i), vcvt_f32_f16(halves));
            }
        }
        count
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    unreachable!("{} and {} elements", source.len(), target.len())
}

/// As `native_widen`, the other way.
#[inline(always)]
fn native_narrow<S: Isa>(source: &[f32], target: &mut [u16]) -> usize {
    if !S::F16C {
        return 0;
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{
            _MM_FROUND_TO_NEAREST_INT, _mm_storeu_si128, _mm256_cvtps_ph, _mm256_loadu_ps,
        };
        let count = source.len().min(target.len()) & !7;
        for i in (0..count).step_by(8) {
            // SAFETY: as in `native_widen`.
            unsafe {
                let floats = _mm256_loadu_ps(source.as_ptr().add(i));
                let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(floats);
                _mm_storeu_si128(target.as_mut_ptr().add(i).cast(), halves);
            }
        }
        count
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::aarch64::{vcvt_f16_f32, vld1q_f32, vreinterpret_u16_f16, vst1_u16};
        let count = source.len().min(target.len()) & !3;
        for i in (0..count).step_by(4) {
            // SAFETY: as in `native_widen`.
            unsafe {
                let halves = vcvt_f16_f32(vld1q_f32(source.as_ptr().add(i)));
                vst1_u16(target.as_mut_ptr().add(i), vreinterpret_u16_f16(halves));
            }
        }
        count
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    unreachable!("{} and {} elements", source.len(), target.len())
}

#[inline(always)]
fn widen_bf16_body<S: Isa>(source: &[u16], target: &mut [f32]) {
    for (to, from) in target.iter_mut().zip(source) {
        *to = bf16_to_f32(*from);
    }
}

#[inline(always)]
fn narrow_bf16_body<S: Isa>(source: &[f32], target: &mut [u16]) {
    for (to, from) in target.iter_mut().zip(source) {
        *to = f32_to_bf16(*from);
    }
}

per_isa! {
    /// Widens the bits of `f16` numbers.
    pub(crate) fn widen_f16(source: &[u16], target: &mut [f32]) = widen_f16_body;
}
per_isa! {
    /// Rounds to the bits of `f16` numbers, ties to even.
    pub(crate) fn narrow_f16(source: &[f32], target: &mut [u16]) = narrow_f16_body;
}
per_isa! {
    /// Widens the bits of `bf16` numbers.
    pub(crate) fn widen_bf16(source: &[u16], target: &mut [f32]) = widen_bf16_body;
}
per_isa! {
    /// Rounds to the bits of `bf16` numbers, ties to even.
    pub(crate) fn narrow_bf16(source: &[f32], target: &mut [u16]) = narrow_bf16_body;
}

/// Widens `count` halves of `dtype` to `f32`.
///
/// # Safety
/// `source` must hold `count` halves and `target` have room for as many floats, without overlap.
pub(crate) unsafe fn widen(dtype: Dtype, source: *const u8, target: *mut f32, count: usize) {
    // SAFETY: the caller's promise.
    let (source, target) = unsafe {
        (
            std::slice::from_raw_parts(source.cast(), count),
            std::slice::from_raw_parts_mut(target, count),
        )
    };
    if dtype == Dtype::Float16 {
        widen_f16(source, target);
    } else {
        widen_bf16(source, target);
    }
}

/// Rounds `count` floats to halves of `dtype`, ties to even.
///
/// # Safety
/// `source` must hold `count` floats and `target` have room for as many halves, without overlap.
pub(crate) unsafe fn narrow(dtype: Dtype, source: *const f32, target: *mut u8, count: usize) {
    // SAFETY: the caller's promise.
    let (source, target) = unsafe {
        (
            std::slice::from_raw_parts(source, count),
            std::slice::from_raw_parts_mut(target.cast(), count),
        )
    };
    if dtype == Dtype::Float16 {
        narrow_f16(source, target);
    } else {
        narrow_bf16(source, target);
    }
}

#[cfg(test)]
mod tests {
    use olivine_core::{bf16, f16};

    use super::*;

    #[test]
    fn every_half_widens_exactly_and_comes_back() {
        let halves: Vec<u16> = (0..=u16::MAX).collect();
        let mut floats = vec![0.0; halves.len()];
        let mut back = vec![0; halves.len()];
        widen_f16(&halves, &mut floats);
        narrow_f16(&floats, &mut back);
        for ((half, float), back) in halves.iter().zip(&floats).zip(&back) {
            let exact = f16::from_bits(*half).to_f32();
            assert!(
                *float == exact || (float.is_nan() && exact.is_nan()),
                "{half:x}"
            );
            assert_eq!(
                f16_to_f32(*half).to_bits() & 0xffbf_ffff,
                float.to_bits() & 0xffbf_ffff
            );
            assert!(half == back || exact.is_nan());
        }
        widen_bf16(&halves, &mut floats);
        narrow_bf16(&floats, &mut back);
        for ((half, float), back) in halves.iter().zip(&floats).zip(&back) {
            assert_eq!(float.to_bits(), (*half as u32) << 16);
            assert!(half == back || float.is_nan());
        }
    }

    #[test]
    fn floats_round_to_the_nearest_half() {
        let step = if cfg!(miri) { 10_000_019 } else { 1009 };
        let floats: Vec<f32> = (0..=u32::MAX).step_by(step).map(f32::from_bits).collect();
        let (mut native, mut brain) = (vec![0; floats.len()], vec![0; floats.len()]);
        narrow_f16(&floats, &mut native);
        narrow_bf16(&floats, &mut brain);
        for ((x, native), brain) in floats.iter().zip(native).zip(brain) {
            if x.is_nan() {
                assert!(f16::from_bits(native).is_nan() && bf16::from_bits(brain).is_nan());
                assert!(f16::from_bits(f32_to_f16(*x)).is_nan());
            } else {
                assert_eq!(native, f16::from_f32_const(*x).to_bits(), "{x:e}");
                assert_eq!(f32_to_f16(*x), native, "{x:e}");
                assert_eq!(brain, bf16::from_f32_const(*x).to_bits(), "{x:e}");
            }
        }
    }
}
