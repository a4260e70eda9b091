//! Owns the suite that runs every op's samples on every backend.
