//! Owns the layouts in memory that inputs are tried in.

use olivine_core::{Array, Index, Result, concatenate};

use crate::{Tensor, Value};

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
    /// Every second element of a larger array along each axis.
    Stepped,
    /// With every axis walked backwards.
    Reversed,
    /// One row repeated without a copy.
    Broadcast,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Layout; 7] = [
        Layout::Held,
        Layout::Temporary,
        Layout::Transposed,
        Layout::Cut,
        Layout::Stepped,
        Layout::Reversed,
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
            Layout::Stepped | Layout::Reversed => {
                let step = if self == Layout::Stepped { 2 } else { -1 };
                let larger = |&n: &usize| if step == 2 && n > 0 { 2 * n - 1 } else { n };
                let stored = Tensor::build(
                    tensor.dtype,
                    tensor.shape.iter().map(larger).collect::<Vec<_>>(),
                    |index| {
                        let place =
                            |(&i, &n): (&usize, &usize)| if step == 2 { i / 2 } else { n - 1 - i };
                        let place: Vec<usize> =
                            index.iter().zip(&tensor.shape).map(place).collect();
                        // Between the elements lies what must not be read.
                        let gap = step == 2 && index.iter().any(|i| i % 2 == 1);
                        if gap {
                            Value::Int(77)
                        } else {
                            tensor.at(&place)
                        }
                    },
                );
                let every = Index::Slice {
                    start: None,
                    stop: None,
                    step,
                };
                stored.to_array()?.index(&vec![every; tensor.rank()][..])
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
