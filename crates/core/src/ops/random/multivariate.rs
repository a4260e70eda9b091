//! Owns correlated normal numbers.

use super::Normal;
use crate::{
    Array, Dtype, Error, Result, Shape,
    linalg::SquareRoot,
};

const OP: &str = "random.multivariate_normal";

/// A draw of vectors whose numbers are normally distributed together.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, random::{self, MultivariateNormal}};
/// let (mean, covariance) = (array!([1.0, 2.0]), array!([[4.0, 0.0], [0.0, 0.01]]));
/// let x = MultivariateNormal::new(&mean, &covariance).shape([1000]).key(&random::key(0)).sample()?;
/// assert_eq!(x.shape().dims(), &[1000, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct MultivariateNormal {
    mean: Array,
    covariance: Array,
    shape: Shape,
    key: Option<Array>,
}

impl MultivariateNormal {
    /// Vectors around `mean`, of shape `(…, n)`, with the `covariance`, of shape `(…, n, n)`, which
    /// must be symmetric and positive semi-definite; its lower triangle is read.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// let (mean, covariance) = (array!([1.0, 2.0]), array!([[0.0, 0.0], [0.0, 0.0]]));
    /// // Nothing varies, so each draw is the mean.
    /// let x = random::MultivariateNormal::new(&mean, &covariance).sample()?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(mean: &Array, covariance: &Array) -> Self {
        let (mean, covariance) = (mean.clone(), covariance.clone());
        MultivariateNormal { mean, covariance, shape: Shape::scalar(), key: None }
    }

    /// Sets the shape that one vector is drawn for each place of, with which the leading axes of
    /// both parameters must broadcast. By default, theirs.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// let (mean, covariance) = (array!([1.0, 2.0]), array!([[1.0, 0.0], [0.0, 1.0]]));
    /// let x = random::MultivariateNormal::new(&mean, &covariance).shape([4, 3]).sample()?;
    /// assert_eq!(x.shape().dims(), &[4, 3, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn shape(mut self, shape: impl Into<Shape>) -> Self {
        self.shape = shape.into();
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// let (mean, covariance) = (array!([1.0, 2.0]), array!([[1.0, 0.0], [0.0, 1.0]]));
    /// let key = random::key(2);
    /// let pair = random::MultivariateNormal::new(&mean, &covariance).key(&key);
    /// let draw = || pair.clone().sample()?.to_vec::<f32>();
    /// assert_eq!(draw()?, draw()?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// The vectors, as `float32`. Fails for parameters that do not fit each other.
    ///
    /// Independent numbers are multiplied by the symmetric square root of the covariance.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// // Both numbers of a draw are the same, since they are correlated completely.
    /// let (mean, covariance) = (array!([0.0, 0.0]), array!([[1.0, 1.0], [1.0, 1.0]]));
    /// let x = random::MultivariateNormal::new(&mean, &covariance).key(&random::key(0)).sample()?;
    /// let pair = x.to_vec::<f32>()?;
    /// assert!((pair[0] - pair[1]).abs() < 1e-3);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let MultivariateNormal { mean, covariance, shape, key } = self;
        let (Some((&n, outer)), [batch @ .., rows, columns]) =
            (mean.shape().split_last(), &covariance.shape()[..])
        else {
            let reason = "the mean needs one axis at least, the covariance two".to_owned();
            return Err(Error::Shape { op: OP, reason });
        };
        if (*rows, *columns) != (n, n) {
            let (mean, covariance) = (mean.shape(), covariance.shape());
            let reason = format!("a mean of shape {mean} and a covariance of shape {covariance}");
            return Err(Error::Shape { op: OP, reason: format!("{reason} do not fit") });
        }
        for given in [&mean, &covariance] {
            if given.dtype() == Dtype::Complex64 {
                let reason = "means and covariances are real";
                return Err(Error::Dtype { op: OP, dtype: Dtype::Complex64, reason });
            }
        }
        let places = Shape::from(outer).broadcast(&batch.into(), OP)?.broadcast(&shape, OP)?;
        let mut normal = Normal::new(places.insert_axis(places.rank(), n));
        if let Some(key) = &key {
            normal = normal.key(key);
        }
        let root = Array::apply_one(SquareRoot, [covariance.astype(Dtype::Float32)?])?;
        let spread = normal.sample()?.expand_dims(-2)?.matmul(root)?.squeeze(-2)?;
        mean.astype(Dtype::Float32)?.add(spread)
    }
}

/// Vectors as `float32`, one for each place of `shape`. See [`MultivariateNormal`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, random};
/// let (mean, covariance) = (array!([5.0]), array!([[0.01]]));
/// let x = random::multivariate_normal(&mean, &covariance, [1000])?;
/// assert!((x.mean(..)?.item::<f32>()? - 5.0).abs() < 0.1);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn multivariate_normal(
    mean: &Array,
    covariance: &Array,
    shape: impl Into<Shape>,
) -> Result<Array> {
    MultivariateNormal::new(mean, covariance).shape(shape).sample()
}
