//! Owns each thread's random state: where draws without a key take their keys from.

use std::{
    cell::{Cell, RefCell},
    hash::{BuildHasher, RandomState},
};

use super::threefry;
use crate::{Array, Error, Result};

thread_local! {
    /// Until a thread is seeded its draws differ from run to run and from other threads'.
    static STATE: Cell<[u32; 2]> = Cell::new(halves(RandomState::new().hash_one(0)));

    /// The state in a function that is being traced, where it is an argument like any other.
    static TRACED: RefCell<Option<Array>> = const { RefCell::new(None) };
}

fn halves(seed: u64) -> [u32; 2] {
    [(seed >> 32) as u32, seed as u32]
}

fn to_array(key: [u32; 2]) -> Array {
    Array::row(key)
}

/// Splits the state: one half replaces it, the other is the key of a draw.
pub(super) fn next_key() -> Result<Array> {
    if let Some(state) = TRACED.take() {
        let halves = super::split(&state, 2)?;
        TRACED.set(Some(halves.at_front(0)));
        return Ok(halves.at_front(1));
    }
    let [a, b, c, d] = threefry::words(STATE.get());
    STATE.set([a, b]);
    Ok(to_array([c, d]))
}

/// Takes this thread's state from `state` while `f` runs, and returns what became of it as well.
pub(crate) fn traced<R>(state: Array, f: impl FnOnce() -> Result<R>) -> Result<(R, Array)> {
    struct Restore(Option<Array>);
    impl Drop for Restore {
        fn drop(&mut self) {
            TRACED.set(self.0.take());
        }
    }
    let _restore = Restore(TRACED.replace(Some(state)));
    let result = f()?;
    let state = TRACED.take().expect("only this function takes the state away");
    Ok((result, state))
}

/// The key that stands for a number.
///
/// ```
/// # use olivine_cpu as _;
/// assert_eq!(olivine_core::random::key(7).to_vec::<u32>()?, [0, 7]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn key(seed: u64) -> Array {
    to_array(halves(seed))
}

/// Makes this thread's draws without a key repeat those that followed the same seed before.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// random::seed(3);
/// let first = random::uniform([2])?.to_vec::<f32>()?;
/// assert_eq!(first, [0.52085847, 0.24485554]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn seed(seed: u64) {
    TRACED.with_borrow_mut(|traced| match traced {
        Some(state) => *state = key(seed),
        None => STATE.set(halves(seed)),
    });
}

/// This thread's state, a key, to be saved and given back to [`set_state`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// random::seed(7);
/// assert_eq!(random::state().to_vec::<u32>()?, random::key(7).to_vec::<u32>()?);
/// random::uniform([1])?;
/// assert_ne!(random::state().to_vec::<u32>()?, random::key(7).to_vec::<u32>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn state() -> Array {
    let traced = TRACED.with_borrow(Clone::clone);
    traced.unwrap_or_else(|| to_array(STATE.get()))
}

/// Continues this thread's draws where [`state`] was taken. Fails if `state` is not a key.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// let saved = random::state();
/// let first = random::uniform([2])?.to_vec::<f32>()?;
/// random::set_state(&saved)?;
/// assert_eq!(random::uniform([2])?.to_vec::<f32>()?, first);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn set_state(state: &Array) -> Result<()> {
    if state.node.is_traced() {
        TRACED.set(Some(state.clone()));
        return Ok(());
    }
    let words = state.to_vec::<u32>()?;
    let key = <[u32; 2]>::try_from(words).map_err(|_| Error::Argument {
        op: "random.set_state",
        reason: format!("a key is two uint32, not an array of shape {}", state.shape()),
    })?;
    STATE.set(key);
    Ok(())
}
