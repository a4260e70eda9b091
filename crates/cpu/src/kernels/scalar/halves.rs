//! Owns the conversion between blocks of halves and of `f32`, in which halves are computed.

use olivine_core::{Dtype, bf16, f16};

/// Widens `count` halves of `dtype` to `f32`.
///
/// # Safety
/// `source` must hold `count` halves and `target` have room for as many floats, without overlap.
pub(crate) unsafe fn widen(dtype: Dtype, source: *const u8, target: *mut f32, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let target = std::slice::from_raw_parts_mut(target, count);
        if dtype == Dtype::Float16 {
            let source = std::slice::from_raw_parts(source.cast::<f16>(), count);
            for (to, from) in target.iter_mut().zip(source) {
                *to = from.to_f32();
            }
        } else {
            let source = std::slice::from_raw_parts(source.cast::<bf16>(), count);
            for (to, from) in target.iter_mut().zip(source) {
                *to = from.to_f32();
            }
        }
    }
}

/// Rounds `count` floats to halves of `dtype`, ties to even.
///
/// # Safety
/// `source` must hold `count` floats and `target` have room for as many halves, without overlap.
pub(crate) unsafe fn narrow(dtype: Dtype, source: *const f32, target: *mut u8, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let source = std::slice::from_raw_parts(source, count);
        if dtype == Dtype::Float16 {
            let target = std::slice::from_raw_parts_mut(target.cast::<f16>(), count);
            for (to, from) in target.iter_mut().zip(source) {
                *to = f16::from_f32(*from);
            }
        } else {
            let target = std::slice::from_raw_parts_mut(target.cast::<bf16>(), count);
            for (to, from) in target.iter_mut().zip(source) {
                *to = bf16::from_f32(*from);
            }
        }
    }
}
