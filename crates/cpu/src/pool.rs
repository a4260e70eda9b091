//! Owns threads: one rayon pool for everything, and the rule when work is worth splitting.

use std::{
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Work below this many scalar operations stays on the calling thread: waking another costs more.
const SERIAL: usize = 32 * 1024;

/// The least work, in scalar operations, that is handed out at a time.
const GRAIN: usize = 16 * 1024;

static CAP: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The number of threads that kernels use, the caller's included.
///
/// By default one for each core; the variable `OLIVINE_NUM_THREADS` or [`set_num_threads`] change it.
pub fn num_threads() -> usize {
    started().min(CAP.load(Ordering::Relaxed))
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

/// The size of the pool, which is started on first use.
fn started() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let wanted = std::env::var("OLIVINE_NUM_THREADS").ok();
        if let Some(threads) = wanted.and_then(|text| text.parse::<usize>().ok()) {
            // If the program has started the pool itself, its size stands and the cap obeys.
            let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1));
            let _ = builder.build_global();
            CAP.fetch_min(threads.max(1), Ordering::Relaxed);
        }
        rayon::current_num_threads()
    })
}

/// Calls `body` with ranges that together cover `0..len`, on several threads if the work, `len`
/// times `cost` scalar operations, is worth it. The caller takes part.
pub(crate) fn parallel_for(len: usize, cost: usize, body: impl Fn(Range<usize>) + Sync) {
    let work = len.saturating_mul(cost.max(1));
    if work < SERIAL || len < 2 {
        return body(0..len);
    }
    let threads = num_threads();
    // Four pieces for each thread even out unequal speeds without losing long runs.
    let pieces = (threads * 4).min(work / GRAIN).min(len);
    if threads < 2 || pieces < 2 {
        return body(0..len);
    }
    // Piece borders on multiples of 64 elements keep threads off each other's cache lines.
    let mut piece = len.div_ceil(pieces);
    if piece >= 256 {
        piece = piece.next_multiple_of(64);
    }
    let next = AtomicUsize::new(0);
    let drain = || {
        loop {
            let start = next.fetch_add(piece, Ordering::Relaxed);
            if start >= len {
                break;
            }
            body(start..(start + piece).min(len));
        }
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..threads.min(len.div_ceil(piece)) {
            scope.spawn(|_| drain());
        }
        drain();
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
}
