//! Owns Adam and AdamW.

use std::{collections::BTreeMap, sync::Arc};

use olivine_core::{Array, Dtype, Result, ops::adamw};

use super::{Optimizer, Schedule, parameter_of, state::State};
use crate::Parameters;

type Predicate = Arc<dyn Fn(&str, &Array) -> bool + Send + Sync>;

/// Adam with weight decay that is not part of the gradient.
///
/// Keeps two arrays for each parameter: `m`, the running mean of its gradients, and `v`, that of
/// their squares, in `float32` for halves. Each step runs as one pass over memory.
///
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019).
///
/// ```
/// use olivine_nn::optimizers::{AdamW, Optimizer, Schedule};
/// let optimizer = AdamW::new(Schedule::cosine(3e-4, 3e-5, 10_000).with_warmup(200))
///     .betas(0.9, 0.95)
///     .weight_decay(0.1)
///     .decay_where(|_, parameter| parameter.ndim() >= 2);
/// assert_eq!(optimizer.learning_rate(), 0.0);
/// ```
#[derive(Clone)]
pub struct AdamW {
    learning_rate: Schedule,
    rule: adamw::AdamW,
    bias_correction: bool,
    decays: Option<Predicate>,
    state: State<2>,
}

impl AdamW {
    /// An optimiser with betas of 0.9 and 0.999, an epsilon of 1e-8 and a weight decay of 0.01.
    ///
    /// ```
    /// use olivine_nn::optimizers::{AdamW, Optimizer};
    /// let optimizer = AdamW::new(3e-4);
    /// assert_eq!((optimizer.learning_rate(), optimizer.steps()), (3e-4, 0));
    /// ```
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        AdamW {
            learning_rate: learning_rate.into(),
            rule: adamw::AdamW {
                beta1: 0.9,
                beta2: 0.999,
                eps: 1e-8,
                weight_decay: 0.01,
            },
            bias_correction: true,
            decays: None,
            state: State::new(["m", "v"]),
        }
    }

    /// Sets how much of the running means of gradients and of their squares is kept at each step.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, AdamW}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = AdamW::new(0.1).betas(0.5, 0.5);
    /// optimizer.apply(&weights, &gradients)?;
    /// // After one step the mean of the gradients, which were one, is the part that is not kept.
    /// assert_eq!(optimizer.state()["w.m"].item::<f32>()?, 0.5);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        (self.rule.beta1, self.rule.beta2) = (beta1, beta2);
        self
    }

    /// Sets what is added to the divisor.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, AdamW}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = AdamW::new(1.0).eps(1.0).weight_decay(0.0).bias_correction(false);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// // A large epsilon makes steps short.
    /// assert!(after > 0.9);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn eps(mut self, eps: f64) -> Self {
        self.rule.eps = eps;
        self
    }

    /// Sets the part of a parameter, times the learning rate, that is taken off at each step.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, AdamW}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = AdamW::new(0.1).weight_decay(0.5).bias_correction(true);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// // The decay takes off half of the rate's part, besides the step.
    /// assert!((after - (1.0 - 0.1 * 0.5 - 0.1)).abs() < 1e-4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.rule.weight_decay = weight_decay;
        self
    }

    /// Limits weight decay to parameters for whose name and value `decays` is true.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, AdamW}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let optimizer = AdamW::new(0.1).bias_correction(true);
    /// let mut optimizer = optimizer.decay_where(|name, _| name != "w");
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// assert!((after - (1.0 - 0.1)).abs() < 1e-4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn decay_where(
        mut self,
        decays: impl Fn(&str, &Array) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.decays = Some(Arc::new(decays));
        self
    }

    /// Sets whether the running means are made up for having started from zero; they are unless
    /// this is set to false.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, AdamW}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = AdamW::new(0.1).weight_decay(0.0).bias_correction(true);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// // The first step is as long as the rate says.
    /// assert!((after - 0.9).abs() < 1e-4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn bias_correction(mut self, bias_correction: bool) -> Self {
        self.bias_correction = bias_correction;
        self
    }
}

impl Optimizer for AdamW {
    fn apply(&mut self, parameters: &Parameters, gradients: &Parameters) -> Result<Parameters> {
        // f64 holds powers of betas near one to enough digits that one less them is exact.
        let correction = |beta: f64| {
            if self.bias_correction {
                1.0 - beta.powf(self.state.step as f64 + 1.0)
            } else {
                1.0
            }
        };
        let rates = [
            self.learning_rate(),
            correction(self.rule.beta1),
            correction(self.rule.beta2),
        ];
        let rates = Array::from_slice(&rates, [3])?;
        let narrow = rates.astype(Dtype::Float32)?;
        let (mut next, mut arrays) = (Parameters::new(), BTreeMap::new());
        for (name, gradient) in gradients {
            let parameter = parameter_of(parameters, name, gradient)?;
            let dtype = adamw::AdamW::moment_dtype(parameter.dtype());
            let [mean, square] = self.state.of(name, parameter, dtype)?;
            let mut rule = self.rule;
            if self
                .decays
                .as_ref()
                .is_some_and(|decays| !decays(name, parameter))
            {
                rule.weight_decay = 0.0;
            }
            let rates = if dtype == Dtype::Float64 {
                &rates
            } else {
                &narrow
            };
            let stepped = rule.step(parameter, gradient, &mean, &square, rates)?;
            next.insert(name.clone(), stepped.parameter);
            arrays.insert(name.clone(), [stepped.mean, stepped.square]);
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

/// Adam: [`AdamW`] without weight decay.
///
/// Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2014).
///
/// ```
/// use olivine_nn::optimizers::{Adam, Optimizer};
/// assert_eq!(Adam::new(1e-3).betas(0.8, 0.99).learning_rate(), 1e-3);
/// ```
#[derive(Clone)]
pub struct Adam(AdamW);

impl Adam {
    /// An optimiser with betas of 0.9 and 0.999 and an epsilon of 1e-8.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, Adam}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = Adam::new(0.1);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// assert!((after - 1.0).abs() > 0.05);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adam(AdamW::new(learning_rate).weight_decay(0.0))
    }

    /// Sets how much of the running means of gradients and of their squares is kept at each step.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, Adam}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = Adam::new(0.1).betas(0.5, 0.5);
    /// optimizer.apply(&weights, &gradients)?;
    /// assert_eq!(optimizer.state()["w.m"].item::<f32>()?, 0.5);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Adam(self.0.betas(beta1, beta2))
    }

    /// Sets what is added to the divisor.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, Adam}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = Adam::new(1.0).eps(1.0).bias_correction(false);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// assert!(after > 0.9);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn eps(self, eps: f64) -> Self {
        Adam(self.0.eps(eps))
    }

    /// Sets whether the running means are made up for having started from zero; they are unless
    /// this is set to false.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Parameters, optimizers::{Optimizer, Adam}};
    /// let weights = Parameters::from([("w".to_owned(), array!([1.0]))]);
    /// let gradients = weights.clone();
    /// let mut optimizer = Adam::new(0.1).bias_correction(true);
    /// let next = optimizer.apply(&weights, &gradients)?;
    /// let after = next["w"].item::<f32>()?;
    /// assert!((after - 0.9).abs() < 1e-4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn bias_correction(self, bias_correction: bool) -> Self {
        Adam(self.0.bias_correction(bias_correction))
    }
}

impl Optimizer for Adam {
    fn apply(&mut self, parameters: &Parameters, gradients: &Parameters) -> Result<Parameters> {
        self.0.apply(parameters, gradients)
    }

    fn state(&self) -> Parameters {
        self.0.state()
    }

    fn load_state(&mut self, state: &Parameters) -> Result<()> {
        self.0.load_state(state)
    }

    fn steps(&self) -> u64 {
        self.0.steps()
    }

    fn learning_rate(&self) -> f64 {
        self.0.learning_rate()
    }
}
