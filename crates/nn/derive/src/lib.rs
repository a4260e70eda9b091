//! Owns the `Module` derive macro.
