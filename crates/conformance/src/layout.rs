//! Owns the layouts in memory that inputs are tried in.

use olivine_core::{Array, Result, concatenate};

use crate::Tensor;

/// How an input lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major, in memory that the caller still holds.
    Held,
    /// Row-major, in memory that only the graph holds, so that a kernel may take it over.
    Temporary,
    /// With its axes stored in reverse order.
    Transposed,
    /// Cut out of a larger array, so that there are gaps between rows and before the start.
    Cut,
    /// One row repeated without a copy.
    Broadcast,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Layout; 5] = [
        Layout::Held,
        Layout::Temporary,
        Layout::Transposed,
        Layout::Cut,
        Layout::Broadcast,
    ];

    /// The values an array of this layout can hold that are nearest to `tensor`'s: for a broadcast
    /// one, its first row repeated.
    pub fn prepare(self, tensor: Tensor) -> Tensor {
        if self != Layout::Broadcast || tensor.rank() == 0 || tensor.values.is_empty() {
            return tensor;
        }
        Tensor::build(tensor.dtype, tensor.shape.clone(), |index| {
            let mut index = index.to_vec();
            index[0] = 0;
            tensor.at(&index)
        })
    }

    /// An array of a prepared tensor's values in this layout, and a handle on memory to watch.
    pub fn lay(self, tensor: &Tensor) -> Result<Array> {
        let scalar = tensor.rank() == 0;
        match self {
            Layout::Held => tensor.to_array(),
            Layout::Temporary => tensor.to_array()?.contiguous(),
            Layout::Transposed => {
                let order: Vec<usize> = (0..tensor.rank()).rev().collect();
                tensor.transposed(&order).to_array()?.transpose(..)
            }
            Layout::Broadcast if scalar || tensor.values.is_empty() => tensor.to_array(),
            Layout::Broadcast => {
                let mut shape = tensor.shape.clone();
                shape[0] = 1;
                let count = tensor.values.len() / tensor.shape[0];
                let row = Tensor::new(tensor.dtype, shape, tensor.values[..count].to_vec());
                row.to_array()?.broadcast_to(&tensor.shape[..])
            }
            Layout::Cut if scalar => tensor.to_array(),
            Layout::Cut => {
                let axis = tensor.rank() as i64 - 1;
                let own = tensor.to_array()?;
                let padded = concatenate(&[&own, &own, &own], axis)?;
                padded.eval()?;
                Ok(padded.split(3, axis)?.swap_remove(1))
            }
        }
    }
}
