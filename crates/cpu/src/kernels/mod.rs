//! Owns the kernels: one file per operation, and the one list that registers them.

pub(crate) mod binary;
pub(crate) mod cast;
pub(crate) mod copy;
pub(crate) mod elementwise;
mod scalar;
pub(crate) mod select;
#[cfg(test)]
mod tests;
pub(crate) mod unary;

use olivine_core::KernelTable;

/// The kernels of structured primitives. Each operation adds one line.
#[expect(
    clippy::let_and_return,
    reason = "the lines between are added one for each operation"
)]
pub(crate) fn table() -> KernelTable {
    let table = KernelTable::new();
    table
}
