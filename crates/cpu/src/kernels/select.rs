//! Owns elementwise choice. It moves bytes, so it is compiled once per element size.

use olivine_core::{Call, Result};

use super::elementwise::{self, Plan};
use crate::isa::{Isa, per_isa};

/// Chooses from the second input where the first is true, from the third elsewhere.
pub(crate) fn run(call: &mut Call) -> Result<()> {
    elementwise::run::<3>(plan(call.dtype(0).size()), call)
}

/// How to choose between elements of `size` bytes.
pub(crate) fn plan(size: usize) -> Plan {
    let body = match size {
        1 => choose::<u8>,
        2 => choose::<u16>,
        4 => choose::<u32>,
        _ => choose::<u64>,
    };
    Plan::new(body, 1)
}

trait Bits: Copy + 'static {}
impl Bits for u8 {}
impl Bits for u16 {}
impl Bits for u32 {}
impl Bits for u64 {}

#[inline(always)]
fn body<S: Isa, T: Bits>(condition: &[u8], yes: &[T], no: &[T], y: &mut [T]) {
    for (y, (c, (yes, no))) in y.iter_mut().zip(condition.iter().zip(yes.iter().zip(no))) {
        *y = if *c != 0 { *yes } else { *no };
    }
}

per_isa! { [v3] fn each<T: Bits>(condition: &[u8], yes: &[T], no: &[T], y: &mut [T]) = body; }

unsafe fn choose<T: Bits>(inputs: [*const u8; 3], output: *mut u8, count: usize) {
    // SAFETY: the caller passes `count` elements at each address, and no overlap.
    unsafe {
        each::<T>(
            std::slice::from_raw_parts(inputs[0], count),
            std::slice::from_raw_parts(inputs[1].cast(), count),
            std::slice::from_raw_parts(inputs[2].cast(), count),
            std::slice::from_raw_parts_mut(output.cast(), count),
        );
    }
}
