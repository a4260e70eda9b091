//! Owns stochastic gradient descent.

use std::collections::BTreeMap;

use olivine_core::{Result, ops::adamw::AdamW};

use super::{Optimizer, Schedule, parameter_of, state::State};
use crate::Parameters;

/// Gradient descent, with momentum if it is set.
///
/// With momentum it keeps one array for each parameter: `v`, the decaying sum of its gradients.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_nn::{Parameters, optimizers::{Optimizer, SGD}};
/// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
/// let gradients = weights.clone();
/// let mut optimizer = SGD::new(0.5);
/// let next = optimizer.apply(&weights, &gradients)?;
/// let after = next["w"].item::<f32>()?;
/// assert_eq!(after, 0.5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
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
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, SGD}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = SGD::new(0.25).momentum(0.9);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let next = optimizer.apply(&next, &gradients)?;
    /// // The second step has 0.9 of the first in it.
    /// assert!((next["w"].item::<f32>()? - (0.75 - 0.25 * 1.9)).abs() < 1e-6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets the momentum and looks ahead along it.
    ///
    /// Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and
    /// momentum in deep learning" (2013).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, SGD}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = SGD::new(0.25).nesterov(0.9);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// // Already the first step looks ahead.
    /// assert!((after - (1.0 - 0.25 * 1.9)).abs() < 1e-6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn nesterov(mut self, momentum: f64) -> Self {
        (self.momentum, self.nesterov) = (momentum, true);
        self
    }

    /// Sets the part of a parameter that is added to its gradient.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, SGD}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = SGD::new(0.25).weight_decay(1.0);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// // The gradient is that of the loss, one, plus the parameter itself.
    /// assert_eq!(after, 0.5);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
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
