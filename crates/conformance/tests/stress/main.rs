//! Owns the proof that threads, streams and deep graphs do no harm to each other.
//!
//! The mixed test runs for a few seconds; `OLIVINE_STRESS_SECONDS` says for how many.

use olivine_cpu as _;

mod deep;
mod failures;
mod memory;
mod mixed;
mod streams;
mod support;
