//! Owns random numbers: keys, this thread's state, and the distributions.
//!
//! Every draw is a function of a key, so a program that passes keys repeats itself exactly, on any
//! number of threads. Draws without a key take one from this thread's state, which `seed` sets.
//! Numbers are those of MLX for the same key, bit for bit.
//!
//! ```
//! # use olivine_cpu as _;
//! use olivine_core::{random, Dtype};
//! let key = random::key(42);
//! let weights = random::Normal::new([64, 32]).scale(0.02).dtype(Dtype::BFloat16).key(&key);
//! assert_eq!(weights.sample()?.shape().dims(), &[64, 32]);
//! assert_eq!(random::uniform([3])?.dtype(), Dtype::Float32);
//! # Ok::<(), olivine_core::Error>(())
//! ```

mod bits;
mod categorical;
mod continuous;
mod discrete;
mod multivariate;
mod samples;
mod state;
mod threefry;

pub use bits::{Bits, RandomBits};
pub use categorical::{Categorical, categorical};
pub use continuous::{
    Gumbel, Laplace, Normal, TruncatedNormal, Uniform, gumbel, laplace, normal, truncated_normal,
    uniform,
};
pub use discrete::{Bernoulli, Permutation, Randint, bernoulli, permutation, randint};
pub use multivariate::{MultivariateNormal, multivariate_normal};
pub(super) use samples::ops;
pub(crate) use state::traced;
pub use state::{key, seed, set_state, state};
pub use threefry::{fill_halves, middle_word, threefry2x32};

use crate::{Array, Result, Shape};

/// Random `uint32` of `shape`, all values equally likely. See [`Bits`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Dtype, random};
/// random::seed(0);
/// let first = random::bits([2])?;
/// let second = random::bits([2])?;
/// assert_eq!(first.dtype(), Dtype::Uint32);
/// assert_ne!(first.to_vec::<u32>()?, second.to_vec::<u32>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn bits(shape: impl Into<Shape>) -> Result<Array> {
    Bits::new(shape).sample()
}

/// `count` keys made from one, as the rows of an array. Draw from them and not from `key`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// let keys = random::split(&random::key(0), 3)?;
/// assert_eq!(keys.shape().dims(), &[3, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn split(key: &Array, count: usize) -> Result<Array> {
    Bits::new([count, 2]).key(key).sample()
}
