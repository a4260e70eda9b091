//! Owns initialisers: the random values that parameters start from.
//!
//! They draw from this thread's random state, so [`olivine_core::random::seed`] makes a model's
//! start repeatable.

use olivine_core::{
    Array, Error, Result, Shape,
    random::{Normal, Uniform},
};

/// Which sizes of a layer an initialiser keeps the variance steady for.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, random};
/// use olivine_nn::init::{Fan, he_normal};
/// random::seed(0);
/// // Outputs vary as inputs do, or gradients of inputs as those of outputs.
/// let forwards = he_normal([10, 1000], Fan::In, 1.0)?;
/// let backwards = he_normal([10, 1000], Fan::Out, 1.0)?;
/// let deviation = |x: Array| x.std(.., 0)?.item::<f32>();
/// assert!(deviation(forwards)? < deviation(backwards)? / 5.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// The inputs: activations keep their variance.
    In,
    /// The outputs: gradients keep theirs.
    Out,
}

/// Numbers spread evenly between `low` and `high`.
///
/// ```
/// # use olivine_cpu as _;
/// let x = olivine_nn::init::uniform([100], -0.5, 0.5)?;
/// assert!(x.abs()?.max(..)?.item::<f32>()? <= 0.5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn uniform(shape: impl Into<Shape>, low: f32, high: f32) -> Result<Array> {
    Uniform::new(shape).low(low).high(high).sample()
}

/// Normally distributed numbers.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// random::seed(0);
/// let x = olivine_nn::init::normal([10_000], 3.0, 0.5)?;
/// assert!((x.mean(..)?.item::<f32>()? - 3.0).abs() < 0.05);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn normal(shape: impl Into<Shape>, mean: f32, deviation: f32) -> Result<Array> {
    Normal::new(shape).loc(mean).scale(deviation).sample()
}

/// The numbers of inputs and outputs of a weight of shape `(outputs, inputs, …)`; further axes, as
/// a convolution has, multiply both.
fn fans(shape: &Shape) -> Result<(f32, f32)> {
    let [outputs, inputs, field @ ..] = &shape[..] else {
        let reason = format!("a weight has outputs and inputs, but the shape is {shape}");
        return Err(Error::Shape { op: "init", reason });
    };
    let field: usize = field.iter().product();
    // An empty layer divides by one instead of zero.
    Ok((
        (inputs * field).max(1) as f32,
        (outputs * field).max(1) as f32,
    ))
}

/// Evenly spread numbers with variance `gain² * 2 / (inputs + outputs)`. Fails for shapes of fewer
/// than two axes.
///
/// Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
/// networks" (2010).
///
/// ```
/// # use olivine_cpu as _;
/// // The variance is 2 / (inputs + outputs), so no element is beyond the root of three times that.
/// let x = olivine_nn::init::glorot_uniform([100, 200], 1.0)?;
/// assert!(x.abs()?.max(..)?.item::<f32>()? <= (6.0f32 / 300.0).sqrt());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn glorot_uniform(shape: impl Into<Shape>, gain: f32) -> Result<Array> {
    let shape = shape.into();
    let (inputs, outputs) = fans(&shape)?;
    let limit = gain * (6.0 / (inputs + outputs)).sqrt();
    uniform(shape, -limit, limit)
}

/// Normal numbers with variance `gain² * 2 / (inputs + outputs)`. See [`glorot_uniform`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// random::seed(0);
/// let x = olivine_nn::init::glorot_normal([100, 100], 1.0)?;
/// assert!((x.std(.., 0)?.item::<f32>()? - 0.1).abs() < 0.01);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn glorot_normal(shape: impl Into<Shape>, gain: f32) -> Result<Array> {
    let shape = shape.into();
    let (inputs, outputs) = fans(&shape)?;
    normal(shape, 0.0, gain * (2.0 / (inputs + outputs)).sqrt())
}

/// Evenly spread numbers with variance `gain² / fan`; a gain of √2 suits ReLU. Fails for shapes of
/// fewer than two axes.
///
/// Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers" (2015).
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_nn::init::{Fan, he_uniform};
/// let x = he_uniform([10, 300], Fan::In, 1.0)?;
/// assert!(x.abs()?.max(..)?.item::<f32>()? <= 0.1);
/// assert!(he_uniform([10], Fan::In, 1.0).is_err());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn he_uniform(shape: impl Into<Shape>, fan: Fan, gain: f32) -> Result<Array> {
    let shape = shape.into();
    let limit = gain * (3.0 / chosen(fan, fans(&shape)?)).sqrt();
    uniform(shape, -limit, limit)
}

/// Normal numbers with variance `gain² / fan`. See [`he_uniform`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random;
/// use olivine_nn::init::{Fan, he_normal};
/// random::seed(0);
/// let x = he_normal([100, 100], Fan::In, 1.0)?;
/// assert!((x.std(.., 0)?.item::<f32>()? - 0.1).abs() < 0.01);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn he_normal(shape: impl Into<Shape>, fan: Fan, gain: f32) -> Result<Array> {
    let shape = shape.into();
    let deviation = gain / chosen(fan, fans(&shape)?).sqrt();
    normal(shape, 0.0, deviation)
}

fn chosen(fan: Fan, (inputs, outputs): (f32, f32)) -> f32 {
    match fan {
        Fan::In => inputs,
        Fan::Out => outputs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_variance(x: Result<Array>, expected: f32) {
        let x = x.unwrap();
        let (mean, variance) = (x.mean(..).unwrap(), x.var(.., 0).unwrap());
        let (mean, variance) = (mean.item::<f32>().unwrap(), variance.item::<f32>().unwrap());
        assert!(mean.abs() < 0.05 * expected.sqrt(), "mean {mean}");
        assert!(
            (variance / expected - 1.0).abs() < 0.05,
            "{variance} instead of {expected}"
        );
    }

    #[test]
    fn variances_are_those_of_the_papers() {
        olivine_core::random::seed(11);
        assert_variance(glorot_uniform([100, 300], 1.0), 2.0 / 400.0);
        assert_variance(glorot_normal([100, 300], 2.0), 4.0 * 2.0 / 400.0);
        assert_variance(he_uniform([100, 300], Fan::In, 1.0), 1.0 / 300.0);
        assert_variance(he_uniform([100, 30, 3, 3], Fan::In, 1.0), 1.0 / 270.0);
        assert_variance(he_normal([100, 300], Fan::Out, 2.0f32.sqrt()), 2.0 / 100.0);
        assert_variance(
            uniform([30_000], -1.0, 2.0).and_then(|x| x.subtract(0.5)),
            9.0 / 12.0,
        );
    }

    #[test]
    fn a_vector_has_no_fans() {
        assert!(glorot_normal([4], 1.0).is_err());
    }
}
