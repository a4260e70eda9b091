//! Owns threads: one pool for everything, and the rule when work is worth splitting.
//!
//! A caller offers its work to the pool and takes part itself, so it finishes even where no thread
//! of the pool ever comes: kernels cannot deadlock, whatever threads the program itself has. Work
//! offered from within work stays on its thread.

use std::{
    any::Any,
    cell::Cell,
    collections::VecDeque,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// Work below this many scalar operations stays on the calling thread: waking another costs more.
const SERIAL: usize = 32 * 1024;

/// The least work, in scalar operations, that is handed out at a time.
const GRAIN: usize = 16 * 1024;

/// How long an idle thread looks for work before it sleeps. Waking takes tens of microseconds on an
/// idle machine and more on a virtual one, and the next kernel mostly comes sooner.
const PATIENCE: Duration = Duration::from_micros(500);

/// How much of that is spent without letting other threads run.
const SPIN: Duration = Duration::from_micros(20);

static CAP: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The number of threads that kernels use, the caller's included.
///
/// By default one for each core; the variable `OLIVINE_NUM_THREADS` or [`set_num_threads`] change it.
///
/// ```
/// assert!(olivine_cpu::num_threads() >= 1);
/// ```
pub fn num_threads() -> usize {
    (pool().helpers + 1).min(CAP.load(Ordering::Relaxed))
}

/// Lets kernels use at most `threads` threads, and returns how many they will use: never more than
/// the pool was started with.
///
/// ```
/// assert_eq!(olivine_cpu::set_num_threads(1), 1);
/// ```
pub fn set_num_threads(threads: usize) -> usize {
    CAP.store(threads.max(1), Ordering::Relaxed);
    num_threads()
}

/// Work that several threads may do at once, each as much as it gets hold of.
struct Job<'a> {
    work: &'a (dyn Fn() + Sync),
    /// Helpers at work on it.
    helpers: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// A job that still wants helpers.
struct Offer {
    job: *const Job<'static>,
    wanted: usize,
}

// SAFETY: the job outlives its offer and its helpers, and is shared by reference only.
unsafe impl Send for Offer {}

#[derive(Default)]
struct Queue {
    offers: VecDeque<Offer>,
    sleeping: usize,
}

struct Pool {
    helpers: usize,
    queue: Mutex<Queue>,
    /// The length of the queue, to look at without the lock.
    offers: AtomicUsize,
    wake: Condvar,
}

thread_local! {
    /// True while this thread does work of the pool.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// The pool, whose threads start on first use.
fn pool() -> &'static Pool {
    static POOL: OnceLock<&'static Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let wanted = std::env::var("OLIVINE_NUM_THREADS").ok();
        let threads = wanted
            .and_then(|text| text.parse::<usize>().ok())
            .or_else(|| thread::available_parallelism().ok().map(usize::from))
            .unwrap_or(1);
        let mut pool = Pool {
            helpers: 0,
            queue: Mutex::default(),
            offers: AtomicUsize::new(0),
            wake: Condvar::new(),
        };
        // Threads need the pool to live for ever, but how many start is known only afterwards; so
        // each waits to be told where the pool is.
        let mut started = Vec::new();
        for i in 1..threads {
            let (sender, receiver) = std::sync::mpsc::channel::<&'static Pool>();
            let name = format!("olivine-kernel-{i}");
            let spawned = thread::Builder::new().name(name).spawn(move || {
                if let Ok(pool) = receiver.recv() {
                    pool.help();
                }
            });
            // Where the system grants no more threads, those that there are do the work.
            if spawned.is_err() {
                break;
            }
            started.push(sender);
        }
        pool.helpers = started.len();
        let pool: &'static Pool = Box::leak(Box::new(pool));
        for sender in started {
            // A thread that is gone would be missed by nobody: callers do all that is left.
            let _ = sender.send(pool);
        }
        pool
    })
}

impl Pool {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread of the pool does, for ever.
    fn help(&self) {
        AT_WORK.set(true);
        loop {
            wait_a_while(|| self.offers.load(Ordering::Relaxed) != 0);
            let mut queue = self.queue();
            while queue.offers.is_empty() {
                queue.sleeping += 1;
                queue = self
                    .wake
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                queue.sleeping -= 1;
            }
            let job = self.take(&mut queue);
            drop(queue);
            if let Some(job) = job {
                // SAFETY: taking it counted this thread as a helper, for whom the caller waits.
                unsafe { Job::help(job) };
            }
        }
    }

    /// Takes one place of the first offer.
    fn take(&self, queue: &mut Queue) -> Option<*const Job<'static>> {
        let offer = queue.offers.front_mut()?;
        let job = offer.job;
        offer.wanted -= 1;
        // SAFETY: while its offer is in the queue, the job is alive.
        unsafe { (*job).helpers.fetch_add(1, Ordering::Relaxed) };
        if offer.wanted == 0 {
            queue.offers.pop_front();
            self.offers.store(queue.offers.len(), Ordering::Relaxed);
        }
        Some(job)
    }

    /// Runs `work` on this thread and on up to `helpers` others at once.
    fn run(&self, helpers: usize, work: &(dyn Fn() + Sync)) {
        let job = Job {
            work,
            helpers: AtomicUsize::new(0),
            caller: thread::current(),
            panic: Mutex::default(),
        };
        let start: *const Job = &raw const job;
        let offered = start.cast::<Job<'static>>();
        let mut queue = self.queue();
        queue.offers.push_back(Offer {
            job: offered,
            wanted: helpers,
        });
        self.offers.store(queue.offers.len(), Ordering::Relaxed);
        let sleeping = queue.sleeping;
        drop(queue);
        for _ in 0..helpers.min(sleeping) {
            self.wake.notify_one();
        }
        {
            // Also when the work panics here, helpers must be gone before the job is.
            let _finish = Finish {
                pool: self,
                job: &job,
                offered,
            };
            at_work(work);
        }
        let panic = job
            .panic
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Job<'_> {
    /// Does what can be done of a job, and reports it.
    ///
    /// # Safety
    /// The job must be alive until its count of helpers, in which this thread is included, is zero.
    unsafe fn help(job: *const Self) {
        // SAFETY: the caller's promise.
        let this = unsafe { &*job };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(this.work)) {
            *this.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
        // The job may be gone as soon as the count says so.
        let caller = this.caller.clone();
        if this.helpers.fetch_sub(1, Ordering::Release) == 1 {
            caller.unpark();
        }
    }
}

/// Withdraws an offer and waits for those who took it up.
struct Finish<'a> {
    pool: &'a Pool,
    job: &'a Job<'a>,
    offered: *const Job<'static>,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        let mut queue = self.pool.queue();
        queue.offers.retain(|offer| offer.job != self.offered);
        self.pool
            .offers
            .store(queue.offers.len(), Ordering::Relaxed);
        drop(queue);
        let done = || self.job.helpers.load(Ordering::Acquire) == 0;
        if !wait_a_while(done) {
            while !done() {
                thread::park();
            }
        }
    }
}

/// Waits until `ready`, awake and not for long. Returns whether it is.
fn wait_a_while(ready: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        for _ in 0..16 {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        let waited = begun.elapsed();
        if waited > PATIENCE {
            return false;
        }
        if waited > SPIN {
            thread::yield_now();
        }
    }
}

/// Runs `work`; what it offers meanwhile stays on this thread.
fn at_work(work: impl FnOnce()) {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            AT_WORK.set(self.0);
        }
    }
    let _restore = Restore(AT_WORK.replace(true));
    work();
}

/// Calls `body` with ranges that together cover `0..len`, on several threads if the work, `len`
/// times `cost` scalar operations, is worth it. The caller takes part.
#[inline]
pub(crate) fn parallel_for(len: usize, cost: usize, body: impl Fn(Range<usize>) + Sync) {
    // Four pieces for each thread even out unequal speeds without losing long runs.
    spread(len, cost, 4, &body);
}

/// As [`parallel_for`], for large items: they are handed out one by one.
pub(crate) fn parallel_units(len: usize, cost: usize, body: impl Fn(Range<usize>) + Sync) {
    spread(len, cost, usize::MAX, &body);
}

/// Both, in up to so many pieces for each thread, compiled once for all bodies.
fn spread(len: usize, cost: usize, pieces: usize, body: &(dyn Fn(Range<usize>) + Sync)) {
    let work = len.saturating_mul(cost.max(1));
    if work < SERIAL || len < 2 || AT_WORK.get() {
        return body(0..len);
    }
    let threads = num_threads();
    let pieces = pieces.saturating_mul(threads).min(work / GRAIN).min(len);
    if threads < 2 || pieces < 2 {
        return body(0..len);
    }
    // Piece borders on multiples of 64 elements keep threads off each other's cache lines.
    let mut piece = len.div_ceil(pieces);
    if piece >= 256 {
        piece = piece.next_multiple_of(64);
    }
    let next = AtomicUsize::new(0);
    let helpers = threads.min(len.div_ceil(piece)) - 1;
    pool().run(helpers, &|| {
        loop {
            let start = next.fetch_add(piece, Ordering::Relaxed);
            if start >= len {
                break;
            }
            body(start..(start + piece).min(len));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU8;

    use super::*;

    #[test]
    fn every_item_is_visited_once() {
        for (len, cost) in [
            (0, 1),
            (1, 1_000_000),
            (7, 100_000),
            (100_003, 1),
            (1_000_000, 3),
        ] {
            let visits: Vec<AtomicU8> = (0..len).map(|_| AtomicU8::new(0)).collect();
            parallel_for(len, cost, |range| {
                for visit in &visits[range] {
                    visit.fetch_add(1, Ordering::Relaxed);
                }
            });
            assert!(
                visits.iter().all(|v| v.load(Ordering::Relaxed) == 1),
                "{len} {cost}"
            );
        }
    }

    #[test]
    fn large_items_are_visited_once_and_one_by_one() {
        let visits: Vec<AtomicU8> = (0..37).map(|_| AtomicU8::new(0)).collect();
        parallel_units(visits.len(), 1_000_000, |range| {
            assert!(range.len() == 1 || num_threads() == 1);
            for visit in &visits[range] {
                visit.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(visits.iter().all(|v| v.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn many_callers_share_the_pool_and_each_gets_its_own_sum() {
        thread::scope(|scope| {
            for caller in 0..8 {
                scope.spawn(move || {
                    for round in 0..300 {
                        let sum = AtomicUsize::new(0);
                        parallel_for(1000, 1000, |range| {
                            // Work within work stays on its thread.
                            let part = AtomicUsize::new(0);
                            parallel_for(range.len(), 100_000, |inner| {
                                part.fetch_add(inner.len() * caller, Ordering::Relaxed);
                            });
                            sum.fetch_add(part.into_inner() + range.len(), Ordering::Relaxed);
                        });
                        assert_eq!(sum.into_inner(), 1000 * (caller + 1), "round {round}");
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        for bad in [0, 999] {
            let caught = catch_unwind(|| {
                parallel_for(1000, 1000, |range| {
                    assert!(!range.contains(&bad), "bad item");
                });
            });
            assert!(caught.is_err());
        }
        let count = AtomicUsize::new(0);
        parallel_for(1000, 1000, |range| {
            count.fetch_add(range.len(), Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 1000);
    }
}
