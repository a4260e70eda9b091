//! Owns writes past the caches: large results would push out what caches hold and not fit in
//! themselves, and each of their lines would be read from memory before it is written there.

use crate::{isa::per_isa, simd::Lanes};

/// Results of so many bytes fill a last-level cache, so what reads them finds none of them there. Tests
/// write smaller ones past the caches too.
const LARGE: usize = if cfg!(test) { 4 << 10 } else { 32 << 20 };

/// The bytes of a line of the cache, which is written as a whole.
pub(crate) const LINE: usize = 64;

/// Writes past the caches. Other threads see what was written once this is dropped.
pub(crate) struct NonTemporal(());

impl NonTemporal {
    /// True if results of so many bytes in all should be written past the caches. Only x86-64 asks for
    /// that: other processors notice by themselves that whole lines are written.
    pub(crate) const fn suits(bytes: usize) -> bool {
        cfg!(all(target_arch = "x86_64", not(miri))) && bytes >= LARGE
    }

    pub(crate) fn new() -> Self {
        NonTemporal(())
    }

    /// Copies bytes. Lines that are copied in part go through the caches.
    ///
    /// # Safety
    /// As many bytes must be readable and writable, and not overlap.
    #[expect(
        clippy::unused_self,
        reason = "what is written is seen once it is dropped"
    )]
    pub(crate) unsafe fn copy(&self, from: *const u8, to: *mut u8, count: usize) {
        let head = to.align_offset(LINE).min(count);
        let tail = head + (count - head) / LINE * LINE;
        // SAFETY: the parts make up what the caller promises.
        unsafe {
            to.copy_from_nonoverlapping(from, head);
            copy_lines(from.add(head), to.add(head), (tail - head) / LINE);
            to.add(tail)
                .copy_from_nonoverlapping(from.add(tail), count - tail);
        }
    }

    /// Copies elements to as many.
    pub(crate) fn copy_slice<T: Copy>(&self, from: &[T], to: &mut [T]) {
        let bytes = size_of_val(from).min(size_of_val(to));
        // SAFETY: both have so many bytes, and one is ours alone.
        unsafe { self.copy(from.as_ptr().cast(), to.as_mut_ptr().cast(), bytes) };
    }

    /// Copies a line, while there is one of these.
    ///
    /// # Safety
    /// It must be readable at `from` and writable at `to`, a multiple of [`LINE`].
    #[inline(always)]
    pub(crate) unsafe fn copy_line<S: Lanes>(from: *const u8, to: *mut u8) {
        for at in (0..LINE).step_by(4 * S::N) {
            // SAFETY: the caller's promise.
            unsafe { S::store_past(S::load(from.add(at).cast()), to.add(at).cast()) };
        }
    }
}

per_isa! {
    /// Copies lines. The caller promises them as for [`NonTemporal::copy_line`].
    fn copy_lines(from: *const u8, to: *mut u8, lines: usize) = copy_lines_body;
}

#[inline(always)]
fn copy_lines_body<S: Lanes>(from: *const u8, to: *mut u8, lines: usize) {
    for line in 0..lines {
        let (from, to) = (from.wrapping_add(line * LINE), to.wrapping_add(line * LINE));
        // SAFETY: one of the lines that the caller promises.
        unsafe { NonTemporal::copy_line::<S>(from, to) };
    }
}

impl Drop for NonTemporal {
    fn drop(&mut self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: SSE is part of the architecture. These writes are not ordered with others without it.
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_any_place_and_length_are_whole() {
        let from: Vec<u8> = (0..1000u32).map(|i| (i * 7 % 251) as u8 + 1).collect();
        for (start, skip) in [(0, 0), (0, 1), (3, 0), (17, 63), (64, 5), (1, 64)] {
            for count in [0, 1, 15, 16, 63, 64, 65, 127, 128, 200, 800] {
                let mut to = vec![0u8; 1000];
                let past = NonTemporal::new();
                // SAFETY: both vectors have more than `start + count` bytes from here on.
                unsafe { past.copy(from.as_ptr().add(start), to.as_mut_ptr().add(skip), count) };
                drop(past);
                assert_eq!(to[skip..skip + count], from[start..start + count]);
                let around = to[..skip].iter().chain(&to[skip + count..]);
                assert!(around.copied().all(|byte| byte == 0), "{skip} {count}");
            }
        }
    }
}
