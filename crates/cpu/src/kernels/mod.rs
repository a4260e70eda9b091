//! Owns the kernels: one file per operation, and the one list that registers them.

mod arange;
pub(crate) mod binary;
pub(crate) mod cast;
mod concatenate;
pub(crate) mod copy;
mod cumulative;
pub(crate) mod elementwise;
mod gather;
mod indices;
mod merge;
mod movement;
mod scalar;
mod scatter;
pub(crate) mod select;
mod slice_update;
mod sort;
#[cfg(test)]
mod tests;
pub(crate) mod unary;

use olivine_core::{
    KernelTable,
    ops::{
        arange::Arange,
        concatenate::Concatenate,
        cumulative::Cumulate,
        gather::{Gather, GatherAxis},
        scatter::{Scatter, ScatterAxis},
        slice_update::SliceUpdate,
        sort::{ArgSort, Sort},
    },
};

/// The kernels of structured primitives. Each operation adds one line.
pub(crate) fn table() -> KernelTable {
    let mut table = KernelTable::new();
    table.add::<Arange>(arange::run);
    table.add::<ArgSort>(sort::run_arg);
    table.add::<Concatenate>(concatenate::run);
    table.add::<Cumulate>(cumulative::run);
    table.add::<Gather>(gather::run);
    table.add::<GatherAxis>(gather::run_axis);
    table.add::<Scatter>(scatter::run);
    table.add::<ScatterAxis>(scatter::run_axis);
    table.add::<SliceUpdate>(slice_update::run);
    table.add::<Sort>(|_, call| sort::run(call));
    table
}
