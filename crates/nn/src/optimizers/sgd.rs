//! Owns stochastic gradient descent.

use std::collections::BTreeMap;

use olivine_core::{Result, ops::adamw::AdamW};

use super::{Optimizer, Schedule, parameter_of, state::State};
use crate::Parameters;

/// Gradient descent, with momentum if it is set.
///
/// With momentum it keeps one array for each parameter: `v`, the decaying sum of its gradients.
#[derive(Clone)]
pub struct SGD {
    learning_rate: Schedule,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    state: State<1>,
}

impl SGD {
    /// Plain gradient descent.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        SGD {
            learning_rate: learning_rate.into(),
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            state: State::new(["v"]),
        }
    }

    /// Sets the part of the previous velocity that is kept at each step.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets the momentum and looks ahead along it.
    ///
    /// Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and
    /// momentum in deep learning" (2013).
    pub fn nesterov(mut self, momentum: f64) -> Self {
        (self.momentum, self.nesterov) = (momentum, true);
        self
    }

    /// Sets the part of a parameter that is added to its gradient.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }
}

impl Optimizer for SGD {
    fn apply(&mut self, parameters: &Parameters, gradients: &Parameters) -> Result<Parameters> {
        let rate = self.learning_rate();
        let (mut next, mut arrays) = (Parameters::new(), BTreeMap::new());
        for (name, gradient) in gradients {
            let parameter = parameter_of(parameters, name, gradient)?;
            // Small steps vanish in halves, so they are added up in float32.
            let dtype = AdamW::moment_dtype(parameter.dtype());
            let wide = parameter.astype(dtype)?;
            let mut change = gradient.astype(dtype)?;
            if self.weight_decay != 0.0 {
                change = change.add(wide.multiply(self.weight_decay)?)?;
            }
            if self.momentum != 0.0 {
                let [velocity] = self.state.of(name, parameter, dtype)?;
                let velocity = velocity.multiply(self.momentum)?.add(&change)?;
                change = if self.nesterov {
                    change.add(velocity.multiply(self.momentum)?)?
                } else {
                    velocity.clone()
                };
                arrays.insert(name.clone(), [velocity]);
            }
            let stepped = wide
                .subtract(change.multiply(rate)?)?
                .astype(parameter.dtype())?;
            next.insert(name.clone(), stepped);
        }
        self.state.advance(arrays);
        Ok(next)
    }

    fn state(&self) -> Parameters {
        self.state.save()
    }

    fn load_state(&mut self, state: &Parameters) -> Result<()> {
        self.state.load(state)
    }

    fn steps(&self) -> u64 {
        self.state.step
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate.at(self.state.step)
    }
}
