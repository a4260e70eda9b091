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
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, SGD}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = SGD::new(0.25);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// assert_eq!(after, 0.75);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn apply(&mut self, parameters: &Parameters, gradients: &Parameters) -> Result<Parameters>;

    /// What the optimiser remembers, by name: the number of steps taken as `step`, and arrays of
    /// each parameter as its name with a suffix. It can be saved to a file as it is.
    ///
    /// Evaluate it together with the parameters after each step, so that it does not pile up:
    /// arrays that depend on each other are computed once.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, SGD}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = SGD::new(0.25).momentum(0.9);
    /// optimizer.apply(&weights, &gradients)?;
    /// assert!(optimizer.state().contains_key("step") && optimizer.state().contains_key("w.v"));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn state(&self) -> Parameters;

    /// Continues from a [`state`](Optimizer::state) that was saved.
    ///
    /// Fails, before anything is replaced, if `step` is missing or a name is unknown.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, SGD}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = SGD::new(0.25).momentum(0.9);
    /// optimizer.apply(&weights, &gradients)?;
    /// let mut resumed = SGD::new(0.25).momentum(0.9);
    /// resumed.load_state(&optimizer.state())?;
    /// assert_eq!(resumed.steps(), 1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn load_state(&mut self, state: &Parameters) -> Result<()>;

    /// The number of steps taken.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, SGD}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = SGD::new(0.25);
    /// optimizer.apply(&weights, &gradients)?;
    /// assert_eq!(optimizer.steps(), 1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn steps(&self) -> u64;

    /// The learning rate of the next step.
    ///
    /// ```
    /// use olivine_nn::optimizers::{Optimizer, SGD, Schedule};
    /// assert_eq!(SGD::new(Schedule::linear(1.0, 0.0, 10)).learning_rate(), 1.0);
    /// ```
    fn learning_rate(&self) -> f64;

    /// Takes one step with a model's parameters. See [`Optimizer::apply`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module, optimizers::{Optimizer, SGD}};
    /// let mut model = Linear::without_bias(2, 1)?;
    /// let gradients = model.parameters();
    /// // Against gradients that equal the parameters, a rate of one goes to zero.
    /// SGD::new(1.0).update(&mut model, &gradients)?;
    /// assert_eq!(model.weight.to_vec::<f32>()?, [0.0, 0.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
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
