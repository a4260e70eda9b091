//! Owns schedules: learning rates that change with the number of steps.

use std::{f64::consts::PI, fmt, sync::Arc};

/// A learning rate for each step, counted from zero. A plain number is a constant one.
///
/// ```
/// use olivine_nn::optimizers::Schedule;
/// let schedule = Schedule::cosine(1.0, 0.1, 100).with_warmup(10);
/// assert_eq!(schedule.at(0), 0.0);
/// assert_eq!(schedule.at(5), 0.5);
/// assert_eq!(schedule.at(10), 1.0);
/// assert_eq!(schedule.at(500), 0.1);
/// ```
#[derive(Clone)]
pub struct Schedule(Arc<dyn Fn(u64) -> f64 + Send + Sync>);

impl Schedule {
    /// The rate that `rate` computes from the number of steps taken.
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// let inverse_root = Schedule::new(|step| 1.0 / (step as f64 + 1.0).sqrt());
    /// assert_eq!(inverse_root.at(3), 0.5);
    /// ```
    pub fn new(rate: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Schedule(Arc::new(rate))
    }

    /// The same rate always.
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// assert_eq!(Schedule::constant(0.1).at(1_000_000), 0.1);
    /// ```
    pub fn constant(rate: f64) -> Self {
        Self::new(move |_| rate)
    }

    /// From `start` to `end` in a straight line of `steps` steps; `end` from then on.
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// let schedule = Schedule::linear(1.0, 0.0, 4);
    /// assert_eq!([0, 1, 4, 9].map(|step| schedule.at(step)), [1.0, 0.75, 0.0, 0.0]);
    /// ```
    pub fn linear(start: f64, end: f64, steps: u64) -> Self {
        Self::new(move |step| start + (end - start) * progress(step, steps))
    }

    /// From `start` to `end` in `steps` steps along half a cosine wave; `end` from then on.
    ///
    /// Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts"
    /// (2016).
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// let schedule = Schedule::cosine(1.0, 0.0, 10);
    /// assert!((schedule.at(5) - 0.5).abs() < 1e-12);
    /// assert_eq!(schedule.at(10), 0.0);
    /// ```
    pub fn cosine(start: f64, end: f64, steps: u64) -> Self {
        Self::new(move |step| {
            let height = 0.5 * (1.0 + (PI * progress(step, steps)).cos());
            end + (start - end) * height
        })
    }

    /// `start`, multiplied by `factor` at each step.
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// assert_eq!(Schedule::exponential(1.0, 0.5).at(3), 0.125);
    /// ```
    pub fn exponential(start: f64, factor: f64) -> Self {
        Self::new(move |step| start * factor.powf(step as f64))
    }

    /// `start`, multiplied by `factor` after every `steps` steps.
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// let schedule = Schedule::step(1.0, 0.5, 10);
    /// assert_eq!([9, 10, 20].map(|step| schedule.at(step)), [1.0, 0.5, 0.25]);
    /// ```
    pub fn step(start: f64, factor: f64, steps: u64) -> Self {
        Self::new(move |step| start * factor.powf((step / steps.max(1)) as f64))
    }

    /// This schedule for `steps` steps, then `next` from its beginning.
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// let schedule = Schedule::constant(1.0).then(3, Schedule::exponential(0.8, 0.5));
    /// assert_eq!([2, 3, 4].map(|step| schedule.at(step)), [1.0, 0.8, 0.4]);
    /// ```
    pub fn then(self, steps: u64, next: Schedule) -> Self {
        Self::new(move |step| match step.checked_sub(steps) {
            Some(after) => next.at(after),
            None => self.at(step),
        })
    }

    /// A straight line of `steps` steps from zero to where this schedule starts, then this one.
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// let schedule = Schedule::constant(1.0).with_warmup(4);
    /// assert_eq!([0, 1, 4].map(|step| schedule.at(step)), [0.0, 0.25, 1.0]);
    /// ```
    pub fn with_warmup(self, steps: u64) -> Self {
        Schedule::linear(0.0, self.at(0), steps).then(steps, self)
    }

    /// The rate after `step` steps.
    ///
    /// ```
    /// use olivine_nn::optimizers::Schedule;
    /// assert_eq!(Schedule::from(0.5).at(7), 0.5);
    /// ```
    pub fn at(&self, step: u64) -> f64 {
        (self.0)(step)
    }
}

/// How much of `steps` has passed, from 0 to 1. No steps have always passed.
fn progress(step: u64, steps: u64) -> f64 {
    if step >= steps {
        1.0
    } else {
        step as f64 / steps as f64
    }
}

impl From<f64> for Schedule {
    fn from(rate: f64) -> Self {
        Schedule::constant(rate)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({}, {}, …)", self.at(0), self.at(1))
    }
}
