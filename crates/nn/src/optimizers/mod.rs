//! Owns optimisers: how parameters follow their gradients, and what is remembered between steps.

mod adam;
mod clip;
mod schedule;
mod sgd;
mod state;

pub use adam::{Adam, AdamW};
pub use clip::clip_grad_norm;
use olivine_core::{Error, Result};
pub use schedule::Schedule;
pub use sgd::SGD;

use crate::{Module, Parameters};

/// Moves parameters against their gradients.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_nn::{Linear, Module, Layer, value_and_grad, optimizers::{Optimizer, SGD}};
/// let mut model = Linear::without_bias(1, 1)?;
/// let mut optimizer = SGD::new(0.5);
/// let x = olivine_core::Array::full([1, 1], 2.0f32)?;
/// let before = model.weight.item::<f32>()?;
/// let (_, gradients) = value_and_grad(&model, |model| model.forward(&x)?.sum(..))?;
/// optimizer.update(&mut model, &gradients)?;
/// assert_eq!(model.weight.item::<f32>()?, before - 0.5 * 2.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Optimizer {
    /// Takes one step: the next values of the parameters that `gradients` names. Nothing is
    /// computed until they are evaluated.
    ///
    /// Fails, without taking the step, if a gradient has no parameter of its name and shape.
    fn apply(&mut self, parameters: &Parameters, gradients: &Parameters) -> Result<Parameters>;

    /// What the optimiser remembers, by name: the number of steps taken as `step`, and arrays of
    /// each parameter as its name with a suffix. It can be saved to a file as it is.
    ///
    /// Evaluate it together with the parameters after each step, so that it does not pile up:
    /// arrays that depend on each other are computed once.
    fn state(&self) -> Parameters;

    /// Continues from a [`state`](Optimizer::state) that was saved.
    ///
    /// Fails, before anything is replaced, if `step` is missing or a name is unknown.
    fn load_state(&mut self, state: &Parameters) -> Result<()>;

    /// The number of steps taken.
    fn steps(&self) -> u64;

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Takes one step with a model's parameters. See [`Optimizer::apply`].
    fn update<M: Module + ?Sized>(&mut self, model: &mut M, gradients: &Parameters) -> Result<()>
    where
        Self: Sized,
    {
        let next = self.apply(&model.parameters(), gradients)?;
        model.update(&next)
    }
}

/// The parameter that a gradient belongs to.
fn parameter_of<'a>(
    parameters: &'a Parameters,
    name: &str,
    gradient: &olivine_core::Array,
) -> Result<&'a olivine_core::Array> {
    let error = |reason: String| Error::Parameter {
        op: "optimizer",
        name: name.to_owned(),
        reason,
    };
    let parameter = parameters
        .get(name)
        .ok_or_else(|| error("has a gradient but is not among the parameters".to_owned()))?;
    if parameter.shape() != gradient.shape() {
        let (shape, given) = (parameter.shape(), gradient.shape());
        return Err(error(format!("has shape {shape}, its gradient {given}")));
    }
    if !parameter.dtype().is_float() {
        return Err(error(format!(
            "is of {} and cannot be trained",
            parameter.dtype()
        )));
    }
    Ok(parameter)
}
