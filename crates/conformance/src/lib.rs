//! Owns the proof that every operation means what it says: a slow reference for each, inputs in
//! every layout, and the comparison between the two. The suite itself is under `tests/`.

// The backends under test register themselves when linked.
use olivine_cpu as _;

pub mod fill;
pub mod golden;
pub mod layout;
pub mod reference;
pub mod report;
pub mod rng;
pub mod tensor;
pub mod tolerance;

pub use report::Report;
pub use rng::Rng;
pub use tensor::{Tensor, Value};
pub use tolerance::Tolerance;
