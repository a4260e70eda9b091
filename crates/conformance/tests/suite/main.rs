//! Checks every operation: values, layouts, gradients, decompositions, golden results, and random
//! expressions. `OLIVINE_OP=name` restricts the checks of samples to one operation.

mod compiled;
mod decomposition;
mod exotic;
mod forward;
mod fuzz;
mod golden;
mod gradients;
mod hostile;
mod large;
mod quantized;
mod structured;
mod values;
mod vmap;
