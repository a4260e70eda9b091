//! Owns what optimisers remember: a step counter and named arrays for each parameter.

use std::collections::BTreeMap;

use olivine_core::{Array, Dtype, Error, Result};

use crate::Parameters;

/// The name of the step counter in a saved state.
const STEP: &str = "step";

/// The step counter and, for each parameter, one array for each slot of the optimiser.
#[derive(Clone)]
pub(super) struct State<const SLOTS: usize> {
    pub(super) step: u64,
    /// The slots' names, which follow the parameter's after a dot.
    names: [&'static str; SLOTS],
    arrays: BTreeMap<String, [Array; SLOTS]>,
}

impl<const SLOTS: usize> State<SLOTS> {
    pub(super) fn new(names: [&'static str; SLOTS]) -> Self {
        State {
            step: 0,
            names,
            arrays: BTreeMap::new(),
        }
    }

    /// The arrays of a parameter; zeros of `dtype` if it has none yet.
    pub(super) fn of(&self, name: &str, parameter: &Array, dtype: Dtype) -> Result<[Array; SLOTS]> {
        let Some(arrays) = self.arrays.get(name) else {
            let zeros = Array::zeros(parameter.shape(), dtype)?;
            return Ok(std::array::from_fn(|_| zeros.clone()));
        };
        for (slot, array) in self.names.iter().zip(arrays) {
            if array.shape() != parameter.shape() || array.dtype() != dtype {
                let reason = format!(
                    "is {} of shape {} but belongs to a parameter of shape {}",
                    array.dtype(),
                    array.shape(),
                    parameter.shape()
                );
                return Err(Error::Parameter {
                    op: "optimizer",
                    name: format!("{name}.{slot}"),
                    reason,
                });
            }
        }
        Ok(arrays.clone())
    }

    /// Ends a step, in which the arrays of some parameters were replaced.
    pub(super) fn advance(&mut self, arrays: BTreeMap<String, [Array; SLOTS]>) {
        self.step += 1;
        self.arrays.extend(arrays);
    }

    pub(super) fn save(&self) -> Parameters {
        let mut saved = Parameters::from([(STEP.to_owned(), Array::scalar(self.step))]);
        for (name, arrays) in &self.arrays {
            for (slot, array) in self.names.iter().zip(arrays) {
                saved.insert(format!("{name}.{slot}"), array.clone());
            }
        }
        saved
    }

    pub(super) fn load(&mut self, saved: &Parameters) -> Result<()> {
        let error = |name: &str, reason: &str| Error::Parameter {
            op: "load_state",
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let step = saved.get(STEP).ok_or_else(|| error(STEP, "is missing"))?;
        let step = step.astype(Dtype::Uint64)?.item::<u64>()?;
        let mut arrays = BTreeMap::new();
        for name in saved.keys().filter(|name| *name != STEP) {
            let parameter = self
                .names
                .iter()
                .find_map(|slot| name.strip_suffix(slot)?.strip_suffix('.'))
                .ok_or_else(|| error(name, "is not part of this optimiser's state"))?;
            let mut slots = Vec::with_capacity(SLOTS);
            for slot in self.names {
                let name = format!("{parameter}.{slot}");
                slots.push(
                    saved
                        .get(&name)
                        .ok_or_else(|| error(&name, "is missing"))?
                        .clone(),
                );
            }
            let slots = slots
                .try_into()
                .unwrap_or_else(|_| unreachable!("one for each slot"));
            arrays.insert(parameter.to_owned(), slots);
        }
        (self.step, self.arrays) = (step, arrays);
        Ok(())
    }
}
