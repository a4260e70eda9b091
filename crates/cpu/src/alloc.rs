//! Owns memory: a caching allocator, because fresh pages cost more than most arithmetic on them.
//!
//! Freed blocks wait in lists by size class. Small ones are kept in a few shards that threads enter
//! with one atomic exchange; large ones behind one lock, where the oldest give way first.

mod system;

use std::{
    cell::{Cell, UnsafeCell},
    collections::VecDeque,
    ptr::NonNull,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use olivine_core::{
    Buffer, Error, Result,
    memory::{MemoryPool, MemoryUse},
};

pub(crate) use system::{keep_heap, total_memory};

/// Every block starts on a multiple of this and is one long at least.
pub(crate) const ALIGNMENT: usize = 64;

/// Classes split each power of two in this many steps, so at most an eighth of a block is idle.
const STEPS: usize = 8;

/// The largest block kept in shards.
const SMALL: usize = 64 * 1024;

const SMALL_CLASSES: usize = class_of(SMALL) + 1;
const CLASSES: usize = class_of(1 << 47) + 1;

/// The most that one shard keeps.
const SHARD_LIMIT: usize = 4 << 20;

const SHARDS: usize = 8;

/// How often the most memory that was in use has to be returned before a large block that waits is
/// freed. A step of training returns it a few times, and then asks for the same blocks again.
const PATIENCE: usize = 8;

/// What counts as the most memory in use, at least.
const LITTLE: usize = 64 << 20;

/// The smallest class whose blocks hold `bytes`.
const fn class_of(bytes: usize) -> usize {
    let units = bytes.div_ceil(ALIGNMENT);
    if units <= STEPS {
        return units.saturating_sub(1);
    }
    // Within [2^k, 2^(k+1)) units, the three bits after the leading one choose the step.
    let power = (units - 1).ilog2() as usize;
    let step = (units - 1) >> (power - 3);
    (power - 3) * STEPS + step
}

/// The size of a class's blocks.
const fn class_bytes(class: usize) -> usize {
    let units = if class < STEPS {
        class + 1
    } else {
        let power = class / STEPS - 1;
        (class % STEPS + STEPS + 1) << power
    };
    units * ALIGNMENT
}

/// The process's one pool of host memory.
pub(crate) static POOL: Pool = Pool::new();

/// A caching allocator with counters and limits.
pub(crate) struct Pool {
    active: AtomicUsize,
    peak: AtomicUsize,
    limit: AtomicUsize,
    cache_limit: AtomicUsize,
    shards: [Shard; SHARDS],
    large: Mutex<Large>,
}

/// The blocks of small classes that some threads freed.
#[repr(align(128))]
struct Shard {
    busy: AtomicBool,
    lists: UnsafeCell<Lists>,
}

// SAFETY: the blocks in the lists belong to no thread in particular.
unsafe impl Send for Shard {}
// SAFETY: `lists` is touched only by the thread that set `busy`, and the blocks in it are nobody's.
unsafe impl Sync for Shard {}

struct Lists {
    /// The first free block of each class; each block holds the address of the next.
    heads: [*mut u8; SMALL_CLASSES],
    bytes: usize,
}

struct Large {
    /// The free blocks of each class with the time of their return, oldest first.
    lists: [VecDeque<(NonNull<u8>, u64)>; CLASSES],
    bytes: usize,
    /// All bytes that were ever returned.
    clock: u64,
    /// No block was returned before.
    oldest: u64,
}

// SAFETY: the blocks in the lists belong to nobody else.
unsafe impl Send for Large {}

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The shard this thread tries first.
fn home_shard() -> usize {
    SHARD
        .try_with(|home| {
            if home.get() == usize::MAX {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                home.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
            }
            home.get()
        })
        .unwrap_or(0)
}

impl Shard {
    /// Runs `body` on the lists, unless another thread is inside.
    #[inline]
    fn enter<T>(&self, body: impl FnOnce(&mut Lists) -> T) -> Option<T> {
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: `busy` was false, so no other thread holds a reference until we clear it.
        let result = body(unsafe { &mut *self.lists.get() });
        self.busy.store(false, Ordering::Release);
        Some(result)
    }

    /// As `enter`, but waits for its turn. For the rare operations that must see every shard.
    fn enter_waiting<T>(&self, mut body: impl FnMut(&mut Lists) -> T) -> T {
        loop {
            if let Some(result) = self.enter(&mut body) {
                return result;
            }
            std::thread::yield_now();
        }
    }
}

impl Lists {
    #[inline]
    fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        let block = NonNull::new(self.heads[class])?;
        // SAFETY: a block in the list is ours and starts with the address of the next.
        self.heads[class] = unsafe { block.cast::<*mut u8>().read() };
        self.bytes -= class_bytes(class);
        Some(block)
    }

    #[inline]
    fn push(&mut self, class: usize, block: NonNull<u8>) {
        // SAFETY: the block was returned by its last user and is large enough for an address.
        unsafe { block.cast::<*mut u8>().write(self.heads[class]) };
        self.heads[class] = block.as_ptr();
        self.bytes += class_bytes(class);
    }
}

impl Large {
    fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        let (block, _) = self.lists[class].pop_back()?;
        self.bytes -= class_bytes(class);
        Some(block)
    }

    fn push(&mut self, class: usize, block: NonNull<u8>) {
        self.clock += class_bytes(class) as u64;
        self.lists[class].push_back((block, self.clock));
        self.bytes += class_bytes(class);
    }

    /// Frees blocks that nobody asked for while `window` bytes were returned: what arrays that grow
    /// leave behind would pile up otherwise, each block of another size.
    fn forget(&mut self, window: u64) {
        let since = self.clock.saturating_sub(window);
        if self.oldest >= since {
            return;
        }
        self.oldest = self.clock;
        for class in SMALL_CLASSES..CLASSES {
            while let Some(&(block, time)) = self.lists[class].front() {
                if time >= since {
                    self.oldest = self.oldest.min(time);
                    break;
                }
                self.lists[class].pop_front();
                self.bytes -= class_bytes(class);
                // SAFETY: the block came from `system::allocate` with its class's size.
                unsafe { system::free(block, class_bytes(class)) };
            }
        }
    }

    /// Frees the longest unused blocks until at most `limit` bytes are kept.
    fn shrink(&mut self, limit: usize) {
        while self.bytes > limit {
            let oldest = (0..CLASSES)
                .filter_map(|class| self.lists[class].front().map(|(_, time)| (*time, class)))
                .min();
            let Some((_, class)) = oldest else { return };
            if let Some((block, _)) = self.lists[class].pop_front() {
                self.bytes -= class_bytes(class);
                // SAFETY: the block came from `system::allocate` with its class's size.
                unsafe { system::free(block, class_bytes(class)) };
            }
        }
    }
}

/// A block on loan to an array; it returns to the pool when dropped.
struct Block {
    start: NonNull<u8>,
    bytes: usize,
    class: usize,
    pool: &'static Pool,
}

// SAFETY: the block is plain memory that only the arrays sharing it know of.
unsafe impl Send for Block {}
// SAFETY: as above; writers hold the only reference.
unsafe impl Sync for Block {}

// SAFETY: a block of the class holds at least `bytes` initialised bytes until it is dropped.
unsafe impl Buffer for Block {
    fn host(&self) -> NonNull<u8> {
        self.start
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn writable(&self) -> bool {
        true
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.give_back(self.start, self.class);
    }
}

impl Pool {
    const fn new() -> Self {
        Pool {
            active: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
            cache_limit: AtomicUsize::new(usize::MAX),
            shards: [const {
                Shard {
                    busy: AtomicBool::new(false),
                    lists: UnsafeCell::new(Lists {
                        heads: [std::ptr::null_mut(); SMALL_CLASSES],
                        bytes: 0,
                    }),
                }
            }; SHARDS],
            large: Mutex::new(Large {
                lists: [const { VecDeque::new() }; CLASSES],
                bytes: 0,
                clock: 0,
                oldest: 0,
            }),
        }
    }

    /// Memory for `bytes` bytes, aligned to 64. Its content is initialised but arbitrary.
    pub(crate) fn allocate(&'static self, bytes: usize) -> Result<Arc<dyn Buffer>> {
        let class = if bytes >> 47 == 0 {
            class_of(bytes)
        } else {
            CLASSES
        };
        if class >= CLASSES {
            return Err(self.out_of_memory(bytes, None));
        }
        let size = class_bytes(class);
        let limit = self.limit.load(Ordering::Relaxed);
        if self.active.load(Ordering::Relaxed).saturating_add(size) > limit {
            return Err(self.out_of_memory(bytes, Some(limit)));
        }
        let Some(start) = self.cached(class).or_else(|| self.fresh(size)) else {
            return Err(self.out_of_memory(bytes, None));
        };
        // Counted once the block is there, so that a failure never shows in the peak.
        let active = self.active.fetch_add(size, Ordering::Relaxed) + size;
        if active > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(active, Ordering::Relaxed);
        }
        let block = Block {
            start,
            bytes,
            class,
            pool: self,
        };
        if active > limit {
            // Another thread took what was left meanwhile.
            drop(block);
            return Err(self.out_of_memory(bytes, Some(limit)));
        }
        Ok(Arc::new(block))
    }

    #[cold]
    fn out_of_memory(&self, requested: usize, limit: Option<usize>) -> Error {
        Error::OutOfMemory {
            requested,
            active: self.active.load(Ordering::Relaxed),
            limit,
        }
    }

    #[inline]
    fn cached(&self, class: usize) -> Option<NonNull<u8>> {
        if class >= SMALL_CLASSES {
            return self.large().pop(class);
        }
        let home = home_shard();
        self.shards[home].enter(|lists| lists.pop(class)).flatten()
    }

    /// New memory from the system, if necessary in place of what is cached.
    #[cold]
    fn fresh(&self, size: usize) -> Option<NonNull<u8>> {
        if system::never_fits(size) {
            return None;
        }
        system::allocate(size).or_else(|| {
            self.clear_cache();
            system::allocate(size)
        })
    }

    #[inline]
    fn give_back(&self, start: NonNull<u8>, class: usize) {
        let size = class_bytes(class);
        self.active.fetch_sub(size, Ordering::Relaxed);
        let limit = self.cache_limit();
        let kept = if class < SMALL_CLASSES {
            let limit = SHARD_LIMIT.min(limit / SHARDS);
            let keep = |lists: &mut Lists| {
                let fits = lists.bytes + size <= limit;
                if fits {
                    lists.push(class, start);
                }
                fits
            };
            self.shards[home_shard()].enter(keep).unwrap_or(false)
        } else if size <= limit {
            let mut large = self.large();
            large.push(class, start);
            large.shrink(limit);
            let peak = self.peak.load(Ordering::Relaxed);
            large.forget((PATIENCE * peak.max(LITTLE)) as u64);
            true
        } else {
            false
        };
        if !kept {
            // SAFETY: the block came from `system::allocate` with this size and has no user left.
            unsafe { system::free(start, size) };
        }
    }

    fn large(&self) -> MutexGuard<'_, Large> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most that is kept for reuse: a quarter of the machine's memory unless set.
    fn cache_limit(&self) -> usize {
        let limit = self.cache_limit.load(Ordering::Relaxed);
        if limit == usize::MAX {
            static DEFAULT: OnceLock<usize> = OnceLock::new();
            return *DEFAULT.get_or_init(|| system::total_memory().unwrap_or(8 << 30) / 4);
        }
        limit
    }
}

impl MemoryPool for Pool {
    fn usage(&self) -> MemoryUse {
        let small: usize = self
            .shards
            .iter()
            .map(|s| s.enter_waiting(|lists| lists.bytes))
            .sum();
        MemoryUse {
            active: self.active.load(Ordering::Relaxed),
            peak: self.peak.load(Ordering::Relaxed),
            cache: small + self.large().bytes,
        }
    }

    fn reset_peak(&self) {
        self.peak
            .store(self.active.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn set_memory_limit(&self, bytes: Option<usize>) -> Option<usize> {
        let previous = self
            .limit
            .swap(bytes.unwrap_or(usize::MAX), Ordering::Relaxed);
        (previous != usize::MAX).then_some(previous)
    }

    fn set_cache_limit(&self, bytes: usize) -> usize {
        let previous = self.cache_limit();
        self.cache_limit
            .store(bytes.min(usize::MAX - 1), Ordering::Relaxed);
        self.large().shrink(bytes);
        if bytes / SHARDS < SHARD_LIMIT {
            self.clear_shards();
        }
        previous
    }

    fn clear_cache(&self) {
        self.large().shrink(0);
        self.clear_shards();
    }
}

impl Pool {
    fn clear_shards(&self) {
        for shard in &self.shards {
            for class in 0..SMALL_CLASSES {
                while let Some(block) = shard.enter_waiting(|lists| lists.pop(class)) {
                    // SAFETY: the block came from `system::allocate` with its class's size.
                    unsafe { system::free(block, class_bytes(class)) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> &'static Pool {
        Box::leak(Box::new(Pool::new()))
    }

    #[test]
    fn classes_hold_their_bytes_and_waste_little() {
        let mut previous = 0;
        for class in 0..CLASSES - 1 {
            let size = class_bytes(class);
            assert!(size > previous && size.is_multiple_of(ALIGNMENT));
            assert_eq!(class_of(size), class, "{size}");
            assert_eq!(class_of(previous + 1), class);
            assert!(size <= ALIGNMENT * STEPS || (size - previous) * STEPS <= size);
            previous = size;
        }
    }

    #[test]
    fn freed_blocks_are_reused_and_counted() {
        let pool = pool();
        for bytes in [0, 1, 100, 5_000, 70_000, 3_000_000] {
            let block = pool.allocate(bytes).unwrap();
            let (start, active) = (block.host(), pool.usage().active);
            assert!(block.bytes() >= bytes && active >= bytes.max(1));
            assert_eq!(start.as_ptr() as usize % ALIGNMENT, 0);
            drop(block);
            assert_eq!(pool.usage().active, 0);
            assert_eq!(pool.usage().cache, active);
            assert_eq!(pool.allocate(bytes).unwrap().host(), start);
            pool.clear_cache();
            assert_eq!(pool.usage().cache, 0);
        }
        assert!(pool.usage().peak >= 3_000_000);
        pool.reset_peak();
        assert_eq!(pool.usage().peak, 0);
    }

    #[test]
    fn what_growing_arrays_leave_behind_is_freed() {
        let pool = pool();
        let mib = 1 << 20;
        let mut largest = 0;
        for size in 1..=64 {
            drop(pool.allocate(size * mib).unwrap());
            largest = pool.usage().cache.max(largest);
        }
        // Over 2 GiB were returned, of which as much as eight times the largest may wait.
        assert!((64 * mib..=9 * 64 * mib).contains(&largest), "{largest}");
        // What is asked for again and again stays.
        let before = pool.usage().cache;
        for _ in 0..100 {
            drop(pool.allocate(64 * mib).unwrap());
            assert!((64 * mib..=before).contains(&pool.usage().cache));
        }
        assert_eq!(pool.usage().cache, 64 * mib);
    }

    #[test]
    fn limits_are_errors_not_aborts() {
        let pool = pool();
        assert_eq!(pool.set_memory_limit(Some(10_000)), None);
        let held = pool.allocate(6_000).unwrap();
        let error = pool.allocate(6_000).err().unwrap();
        assert!(matches!(
            error,
            Error::OutOfMemory {
                requested: 6_000,
                limit: Some(10_000),
                ..
            }
        ));
        drop(held);
        assert!(pool.allocate(6_000).is_ok());
        assert_eq!(pool.set_memory_limit(None), Some(10_000));
        assert!(matches!(
            pool.allocate(usize::MAX / 2),
            Err(Error::OutOfMemory { .. })
        ));
        #[cfg(not(miri))]
        assert!(matches!(
            pool.allocate(1 << 46),
            Err(Error::OutOfMemory { .. })
        ));
        assert_eq!(pool.usage().active, 0);
    }

    #[test]
    fn a_full_cache_drops_its_oldest_blocks() {
        let pool = pool();
        pool.set_cache_limit(5 << 20);
        let (old, new) = (
            pool.allocate(3 << 20).unwrap(),
            pool.allocate(4 << 20).unwrap(),
        );
        let start = new.host();
        drop(old);
        drop(new);
        assert_eq!(pool.usage().cache, 4 << 20);
        assert_eq!(pool.allocate(4 << 20).unwrap().host(), start);
        pool.set_cache_limit(0);
        assert_eq!(pool.usage().cache, 0);
        drop(pool.allocate(100).unwrap());
        assert_eq!(pool.usage().cache, 0);
    }

    #[test]
    fn threads_share_the_pool_without_handing_out_a_block_twice() {
        let pool = pool();
        let rounds = if cfg!(miri) { 20 } else { 2_000 };
        std::thread::scope(|scope| {
            for id in 0..8u8 {
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for round in 0..rounds {
                        let block = pool.allocate(64 * (1 + round % 40)).unwrap();
                        // SAFETY: this thread alone holds the block.
                        unsafe { block.host().write_bytes(id, block.bytes()) };
                        held.push(block);
                        if held.len() > 10 {
                            let block = held.swap_remove(round % 10);
                            for i in 0..block.bytes() {
                                // SAFETY: in bounds and written above.
                                assert_eq!(unsafe { block.host().add(i).read() }, id);
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(pool.usage().active, 0);
        pool.clear_cache();
    }
}
