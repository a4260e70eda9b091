//! Owns losses: what training makes small.

use olivine_core::{Array, Dtype, Error, Result};

/// How the losses of single elements become the result.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_nn::losses::{Reduction, l1_with};
/// let (x, y) = (array!([1.0, 5.0]), array!([2.0, 3.0]));
/// assert_eq!(l1_with(&x, &y, Reduction::None)?.to_vec::<f32>()?, [1.0, 2.0]);
/// assert_eq!(l1_with(&x, &y, Reduction::Sum)?.item::<f32>()?, 3.0);
/// assert_eq!(l1_with(&x, &y, Reduction::Mean)?.item::<f32>()?, 1.5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// They stay as they are.
    None,
    /// Their mean; NaN of none.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

impl Reduction {
    fn apply(self, losses: &Array) -> Result<Array> {
        match self {
            Reduction::None => Ok(losses.clone()),
            Reduction::Mean => losses.mean(..),
            Reduction::Sum => losses.sum(..),
        }
    }

    /// As [`Reduction::apply`] to losses that were multiplied by weights.
    fn apply_weighted(self, losses: &Array, weights: &Array) -> Result<Array> {
        match self {
            Reduction::None => Ok(losses.clone()),
            Reduction::Mean => losses.sum(..)?.divide(weights.sum(..)?),
            Reduction::Sum => losses.sum(..),
        }
    }
}

fn same_shape(op: &'static str, predictions: &Array, targets: &Array) -> Result<()> {
    if predictions.shape() == targets.shape() {
        return Ok(());
    }
    // Broadcasting here nearly always hides a mistake, such as (n, 1) against (n,).
    let (left, right) = (predictions.shape(), targets.shape());
    let reason = format!("predictions of shape {left} do not fit targets of shape {right}");
    Err(Error::Shape { op, reason })
}

/// The cross entropy between classes, or probabilities of them, and the softmax of logits.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_nn::losses::{CrossEntropy, Reduction};
/// let logits = Array::zeros([2, 4], olivine_core::Dtype::Float32)?;
/// let classes = Array::from_slice(&[3i32, -1], [2])?;
/// let loss = CrossEntropy::new().ignore(-1).of(&logits, &classes)?;
/// assert!((loss.item::<f32>()? - 4.0f32.ln()).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a loss does nothing until it is given logits"]
pub struct CrossEntropy {
    axis: i64,
    weights: Option<Array>,
    ignore: Option<i64>,
    smoothing: f64,
    reduction: Reduction,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl CrossEntropy {
    /// The mean over targets, with the classes' logits in the last axis.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::losses::CrossEntropy;
    /// let loss = CrossEntropy::new().of(&array!([[0.0, 0.0]]), &array!([1]))?;
    /// assert!((loss.item::<f32>()? - 2.0f32.ln()).abs() < 1e-6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new() -> Self {
        CrossEntropy {
            axis: -1,
            weights: None,
            ignore: None,
            smoothing: 0.0,
            reduction: Reduction::Mean,
        }
    }

    /// Sets the axis of the logits that holds the classes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, array, Dtype};
    /// use olivine_nn::losses::CrossEntropy;
    /// let logits = Array::zeros([5, 3], Dtype::Float32)?;
    /// let loss = CrossEntropy::new().axis(0).of(&logits, &array!([0, 1, 4]))?;
    /// assert!((loss.item::<f32>()? - 5.0f32.ln()).abs() < 1e-6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }

    /// Weighs the targets: `weights` has a number for each, zero to leave it out. The mean is
    /// divided by the sum of the weights.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::losses::CrossEntropy;
    /// let logits = array!([[0.0, 0.0], [0.0, 100.0]]);
    /// // The second target, which is far off, does not count.
    /// let loss = CrossEntropy::new().weights(&array!([1.0, 0.0])).of(&logits, &array!([0, 0]))?;
    /// assert!((loss.item::<f32>()? - 2.0f32.ln()).abs() < 1e-6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn weights(mut self, weights: &Array) -> Self {
        self.weights = Some(weights.clone());
        self
    }

    /// Leaves out targets of this class, which need not exist: padding is often −100.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::losses::CrossEntropy;
    /// let logits = array!([[0.0, 0.0], [0.0, 100.0]]);
    /// let loss = CrossEntropy::new().ignore(-100).of(&logits, &array!([0, -100]))?;
    /// assert!((loss.item::<f32>()? - 2.0f32.ln()).abs() < 1e-6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn ignore(mut self, class: i64) -> Self {
        self.ignore = Some(class);
        self
    }

    /// Spreads this part of each target's probability evenly over all classes.
    ///
    /// Source: Szegedy et al., "Rethinking the Inception architecture for computer vision" (2015).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::losses::CrossEntropy;
    /// let (logits, target) = (array!([[100.0, 0.0]]), array!([0]));
    /// // Half of the certainty is spread over both classes.
    /// let loss = CrossEntropy::new().label_smoothing(0.5).of(&logits, &target)?;
    /// assert!((loss.item::<f32>()? - 25.0).abs() < 1e-3);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn label_smoothing(mut self, part: f64) -> Self {
        self.smoothing = part;
        self
    }

    /// Sets what becomes of the targets' losses.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, array, Dtype};
    /// use olivine_nn::losses::{CrossEntropy, Reduction};
    /// let logits = Array::zeros([3, 4], Dtype::Float32)?;
    /// let each = CrossEntropy::new().reduction(Reduction::None).of(&logits, &array!([0, 1, 2]))?;
    /// assert_eq!(each.shape().dims(), &[3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// The loss. `targets` are classes as integers, with the logits' shape less the axis of
    /// classes, or probabilities of the logits' shape.
    ///
    /// Fails if shapes do not fit, if the smoothing is not at least 0 and below 1, or if a class is
    /// to be ignored where targets are probabilities.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::losses::CrossEntropy;
    /// let logits = array!([[0.0, 0.0]]);
    /// // Classes, or a probability for each.
    /// let class = CrossEntropy::new().of(&logits, &array!([1]))?.item::<f32>()?;
    /// let spread = CrossEntropy::new().of(&logits, &array!([[0.5, 0.5]]))?.item::<f32>()?;
    /// assert!((class - spread).abs() < 1e-6);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn of(&self, logits: &Array, targets: &Array) -> Result<Array> {
        let op = "cross_entropy";
        let argument = |reason: String| Err(Error::Argument { op, reason });
        if !(0.0..1.0).contains(&self.smoothing) {
            return argument(format!(
                "a smoothing of {} is not in [0, 1)",
                self.smoothing
            ));
        }
        let axis = logits.shape().axis(self.axis, op)?;
        let expected = logits.shape().without_axis(axis);
        let axis = axis as i64;
        // The log-softmax of one class is its logit less the logarithm of all exponentials' sum,
        // so the log-softmax of all classes is never stored.
        let normalizer = logits.logsumexp(axis)?;
        let mut weights = self.weights.clone();
        let (score, mass) = if targets.dtype().is_inexact() {
            if targets.shape() != logits.shape() {
                let (given, logits) = (targets.shape(), logits.shape());
                let reason = format!("probabilities of shape {given} do not fit logits {logits}");
                return Err(Error::Shape { op, reason });
            }
            if self.ignore.is_some() {
                return argument("a class to ignore needs targets that are classes".to_owned());
            }
            (
                logits.multiply(targets)?.sum(axis)?,
                Some(targets.sum(axis)?),
            )
        } else {
            if *targets.shape() != expected {
                let given = targets.shape();
                let reason = format!(
                    "classes of shape {given} do not fit logits of shape {} whose classes are in axis {axis}",
                    logits.shape()
                );
                return Err(Error::Shape { op, reason });
            }
            let mut targets = targets.clone();
            if let Some(class) = self.ignore {
                let counted = targets.astype(Dtype::Int64)?.not_equal(class)?;
                targets = counted.select(&targets, 0)?;
                let counted = counted.astype(logits.dtype())?;
                weights = Some(match weights {
                    Some(weights) => counted.multiply(weights)?,
                    None => counted,
                });
            }
            let score = logits.take_along_axis(&targets.expand_dims(axis)?, axis)?;
            (score.squeeze(axis)?, None)
        };
        let mut score = score;
        if self.smoothing > 0.0 {
            let mut even = logits.mean(axis)?;
            if let Some(mass) = &mass {
                even = even.multiply(mass)?;
            }
            score = score
                .multiply(1.0 - self.smoothing)?
                .add(even.multiply(self.smoothing)?)?;
        }
        let normalizer = match mass {
            Some(mass) => normalizer.multiply(mass)?,
            None => normalizer,
        };
        let losses = normalizer.subtract(score)?;
        match weights {
            Some(weights) => {
                if *weights.shape() != expected {
                    let given = weights.shape();
                    let reason = format!("weights of shape {given} do not fit targets {expected}");
                    return Err(Error::Shape { op, reason });
                }
                // A left-out target stays out even where its loss is infinite.
                let counted = weights
                    .not_equal(0)?
                    .select(losses.multiply(&weights)?, 0)?;
                self.reduction.apply_weighted(&counted, &weights)
            }
            None => self.reduction.apply(&losses),
        }
    }
}

/// The mean cross entropy between classes, or probabilities of them, and the softmax of logits over
/// the last axis. See [`CrossEntropy`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// let logits = Array::zeros([3, 10], Dtype::Float32)?;
/// let classes = Array::from_slice(&[1i32, 5, 9], [3])?;
/// let loss = olivine_nn::losses::cross_entropy(&logits, &classes)?;
/// assert!((loss.item::<f32>()? - 10.0f32.ln()).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn cross_entropy(logits: &Array, targets: &Array) -> Result<Array> {
    CrossEntropy::new().of(logits, targets)
}

/// The mean squared difference. Fails if the shapes differ.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let loss = olivine_nn::losses::mse(&array!([1.0, 2.0]), &array!([1.0, 4.0]))?;
/// assert_eq!(loss.item::<f32>()?, 2.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn mse(predictions: &Array, targets: &Array) -> Result<Array> {
    mse_with(predictions, targets, Reduction::Mean)
}

/// The squared differences, reduced.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_nn::losses::{Reduction, mse_with};
/// let loss = mse_with(&array!([1.0, 2.0]), &array!([1.0, 4.0]), Reduction::Sum)?;
/// assert_eq!(loss.item::<f32>()?, 4.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn mse_with(predictions: &Array, targets: &Array, reduction: Reduction) -> Result<Array> {
    same_shape("mse", predictions, targets)?;
    reduction.apply(&predictions.subtract(targets)?.square()?)
}

/// The mean absolute difference. Fails if the shapes differ.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let loss = olivine_nn::losses::l1(&array!([1.0, 2.0]), &array!([1.0, 4.0]))?;
/// assert_eq!(loss.item::<f32>()?, 1.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn l1(predictions: &Array, targets: &Array) -> Result<Array> {
    l1_with(predictions, targets, Reduction::Mean)
}

/// The absolute differences, reduced.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_nn::losses::{Reduction, l1_with};
/// let each = l1_with(&array!([1.0, 2.0]), &array!([1.0, 4.0]), Reduction::None)?;
/// assert_eq!(each.to_vec::<f32>()?, [0.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn l1_with(predictions: &Array, targets: &Array, reduction: Reduction) -> Result<Array> {
    same_shape("l1", predictions, targets)?;
    reduction.apply(&predictions.subtract(targets)?.abs()?)
}

/// The mean cross entropy between targets in 0 to 1 and the sigmoid of logits. Fails if the shapes
/// differ.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// let loss = olivine_nn::losses::bce_with_logits(&Array::scalar(0.0f32), &Array::scalar(1.0f32))?;
/// assert!((loss.item::<f32>()? - 2.0f32.ln()).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn bce_with_logits(logits: &Array, targets: &Array) -> Result<Array> {
    bce_with_logits_with(logits, targets, Reduction::Mean)
}

/// The cross entropies of [`bce_with_logits`], reduced.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_nn::losses::{Reduction, bce_with_logits_with};
/// let (logits, targets) = (array!([100.0, -100.0]), array!([1.0, 1.0]));
/// let each = bce_with_logits_with(&logits, &targets, Reduction::None)?;
/// assert_eq!(each.to_vec::<f32>()?, [0.0, 100.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn bce_with_logits_with(
    logits: &Array,
    targets: &Array,
    reduction: Reduction,
) -> Result<Array> {
    same_shape("bce_with_logits", logits, targets)?;
    // -t log σ(x) - (1 - t) log(1 - σ(x)) = log(1 + exp(x)) - t x
    reduction.apply(&logits.logaddexp(0)?.subtract(logits.multiply(targets)?)?)
}

/// The mean cross entropy between targets in 0 to 1 and probabilities. Logarithms are held above
/// −100, so that certainty in a wrong answer stays finite. Fails if the shapes differ.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let loss = olivine_nn::losses::bce(&array!([0.5]), &array!([1.0]))?;
/// assert!((loss.item::<f32>()? - 2.0f32.ln()).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn bce(probabilities: &Array, targets: &Array) -> Result<Array> {
    bce_with(probabilities, targets, Reduction::Mean)
}

/// The cross entropies of [`bce`], reduced.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_nn::losses::{Reduction, bce_with};
/// // Certain and wrong: the loss stays finite.
/// let each = bce_with(&array!([1.0, 0.0]), &array!([1.0, 1.0]), Reduction::None)?;
/// assert_eq!(each.to_vec::<f32>()?, [0.0, 100.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn bce_with(probabilities: &Array, targets: &Array, reduction: Reduction) -> Result<Array> {
    const LEAST: f64 = -100.0;
    same_shape("bce", probabilities, targets)?;
    let yes = probabilities.log()?.maximum(LEAST)?.multiply(targets)?;
    let no = probabilities.negative()?.add(1.0)?.log()?.maximum(LEAST)?;
    let no = no.multiply(targets.negative()?.add(1.0)?)?;
    reduction.apply(&yes.add(no)?.negative()?)
}
