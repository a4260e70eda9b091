//! Owns the boundary to the operating system's memory: zeroed blocks, huge pages for large ones.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    ptr::NonNull,
};

use super::ALIGNMENT;

/// Blocks from this size on are mapped, so that they cost nothing until they are touched, and are returned
/// to the system when they are freed.
#[cfg(all(unix, not(miri)))]
const MAPPED: usize = 256 << 10;

/// The size of a huge page; mapped blocks of several start on a multiple of it.
#[cfg(all(unix, not(miri)))]
const HUGE: usize = 2 << 20;

/// Has the C library keep what is freed in its heap for what is allocated next.
///
/// glibc returns the end of the heap to the system whenever more than 128 KiB are free there, and then a
/// graph of a thousand nodes costs a page fault for every few of them, each time it is recorded. When a
/// mapped block is freed, glibc raises that limit to twice the block's size (`M_TRIM_THRESHOLD` in
/// mallopt(3)). A limit set by the program stays as it is.
pub(crate) fn keep_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    drop(std::hint::black_box(Vec::<u8>::with_capacity(HEAP_BLOCK)));
}

/// Half of what the heap keeps. Smaller blocks are no longer mapped, so it should not be larger than
/// graphs need.
#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
const HEAP_BLOCK: usize = 4 << 20;

/// A zeroed block of `size` bytes, a multiple of [`ALIGNMENT`]; `None` if the system has none left.
pub(super) fn allocate(size: usize) -> Option<NonNull<u8>> {
    #[cfg(all(unix, not(miri)))]
    if size >= MAPPED {
        return map(size);
    }
    let layout = Layout::from_size_align(size, ALIGNMENT).ok()?;
    // SAFETY: the size is not zero, as every class holds at least one unit.
    NonNull::new(unsafe { alloc_zeroed(layout) })
}

/// Returns a block to the system.
///
/// # Safety
/// The block must come from [`allocate`] with the same size, and have no user left.
pub(super) unsafe fn free(start: NonNull<u8>, size: usize) {
    #[cfg(all(unix, not(miri)))]
    if size >= MAPPED {
        // SAFETY: exactly this range was mapped by `map`.
        unsafe { libc::munmap(start.as_ptr().cast(), page_aligned(size)) };
        return;
    }
    let layout = Layout::from_size_align(size, ALIGNMENT).expect("the block was allocated with it");
    // SAFETY: the caller passes a block that `alloc_zeroed` returned for this layout.
    unsafe { dealloc(start.as_ptr(), layout) };
}

/// Mapped sizes are whole pages, of 64 KiB at most on any system we run on.
#[cfg(all(unix, not(miri)))]
const fn page_aligned(size: usize) -> usize {
    size.next_multiple_of(64 * 1024)
}

#[cfg(all(unix, not(miri)))]
fn map(size: usize) -> Option<NonNull<u8>> {
    let size = page_aligned(size);
    let slack = if size >= 2 * HUGE { HUGE } else { 0 };
    // SAFETY: an anonymous private mapping at an address of the system's choice.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size.checked_add(slack)?,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANON,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return None;
    }
    let start: *mut u8 = start.cast();
    if slack == 0 {
        return NonNull::new(start);
    }
    // Cut the mapping so that it starts on a huge page.
    let head = start.align_offset(HUGE);
    let tail = slack - head;
    // SAFETY: both ranges are whole pages of the mapping just made, outside what is kept.
    unsafe {
        if head > 0 {
            libc::munmap(start.cast(), head);
        }
        if tail > 0 {
            libc::munmap(start.add(head + size).cast(), tail);
        }
        let start = start.add(head);
        #[cfg(target_os = "linux")]
        libc::madvise(start.cast(), size, libc::MADV_HUGEPAGE);
        NonNull::new(start)
    }
}

/// The machine's memory in bytes, if the system says so.
pub(crate) fn total_memory() -> Option<usize> {
    #[cfg(all(unix, not(miri)))]
    {
        // SAFETY: reads two constants of the system.
        let (pages, size) = unsafe {
            (
                libc::sysconf(libc::_SC_PHYS_PAGES),
                libc::sysconf(libc::_SC_PAGESIZE),
            )
        };
        if pages > 0 && size > 0 {
            return Some(pages as usize * size as usize);
        }
    }
    None
}

/// True if the machine cannot hold a block of `size` bytes. Systems that promise memory freely would
/// grant it, and end the process when it is used.
pub(super) fn never_fits(size: usize) -> bool {
    /// Smaller blocks are not worth asking for.
    const LARGE: usize = 1 << 30;
    size >= LARGE && total_memory().is_some_and(|total| size > total.saturating_add(swap()))
}

/// The room in bytes for memory that is put aside.
fn swap() -> usize {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        // SAFETY: all fields are numbers, for which zeros are values; the system fills them in.
        let info = unsafe {
            let mut info: libc::sysinfo = std::mem::zeroed();
            if libc::sysinfo(&raw mut info) != 0 {
                return 0;
            }
            info
        };
        (info.totalswap as usize).saturating_mul(info.mem_unit as usize)
    }
    // Elsewhere systems make room as they need it.
    #[cfg(not(all(target_os = "linux", not(miri))))]
    {
        usize::MAX
    }
}
