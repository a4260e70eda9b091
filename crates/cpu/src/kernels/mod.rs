//! Owns the kernels: one file per operation, and the one list that registers them.

mod arange;
pub(crate) mod binary;
pub(crate) mod cast;
mod concatenate;
pub(crate) mod copy;
pub(crate) mod elementwise;
mod gather;
mod indices;
mod movement;
mod random_bits;
mod scalar;
mod scatter;
mod searchsorted;
pub(crate) mod select;
mod slice_update;
#[cfg(test)]
mod tests;
pub(crate) mod unary;

use olivine_core::{
    KernelTable,
    ops::{
        arange::Arange,
        concatenate::Concatenate,
        gather::{Gather, GatherAxis},
        scatter::{Scatter, ScatterAxis},
        searchsorted::SearchSorted,
        slice_update::SliceUpdate,
    },
    random::RandomBits,
};

/// The kernels of structured primitives. Each operation adds one line.
pub(crate) fn table() -> KernelTable {
    let mut table = KernelTable::new();
    table.add::<Arange>(arange::run);
    table.add::<Concatenate>(concatenate::run);
    table.add::<Gather>(gather::run);
    table.add::<GatherAxis>(gather::run_axis);
    table.add::<RandomBits>(random_bits::run);
    table.add::<Scatter>(scatter::run);
    table.add::<ScatterAxis>(scatter::run_axis);
    table.add::<SearchSorted>(searchsorted::run);
    table.add::<SliceUpdate>(slice_update::run);
    table
}
