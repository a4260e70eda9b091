//! The facade users depend on: re-exports and the prelude.
