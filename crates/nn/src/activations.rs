//! Owns activation functions, as functions and as one layer to build networks from.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

use olivine_core::{Array, Result, keep};

use crate::{Layer, Module, Param};

/// `max(x, 0)`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let y = olivine_nn::relu(&array!([-1.0, 2.0]))?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn relu(x: &Array) -> Result<Array> {
    x.maximum(0)
}

/// `x` where positive, `slope * x` elsewhere.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let y = olivine_nn::leaky_relu(&array!([-1.0, 2.0]), 0.25)?;
/// assert_eq!(y.to_vec::<f32>()?, [-0.25, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn leaky_relu(x: &Array, slope: f64) -> Result<Array> {
    x.greater(0)?.select(x, x.multiply(slope)?)
}

/// `x` where positive, `alpha * (exp(x) - 1)` elsewhere.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let y = olivine_nn::elu(&array!([-1000.0, 2.0]), 0.5)?;
/// assert_eq!(y.to_vec::<f32>()?, [-0.5, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn elu(x: &Array, alpha: f64) -> Result<Array> {
    // The exponential must not overflow where it is not chosen: its gradient would be NaN.
    x.greater(0)?
        .select(x, x.minimum(0)?.expm1()?.multiply(alpha)?)
}

/// The Gaussian error linear unit `x * Φ(x)`, where Φ is the normal distribution function.
///
/// Source: Hendrycks and Gimpel, "Gaussian error linear units" (2016).
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let y = olivine_nn::gelu(&array!([-10.0, 0.0, 10.0]))?.to_vec::<f32>()?;
/// assert!(y[0].abs() < 1e-6 && y[1] == 0.0 && y[2] == 10.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn gelu(x: &Array) -> Result<Array> {
    x.multiply(0.5)?
        .multiply(x.multiply(FRAC_1_SQRT_2)?.erf()?.add(1.0)?)
}

/// The approximation of [`gelu`] by a hyperbolic tangent that many published models use.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let x = array!([-1.0, 0.5, 2.0]);
/// let apart = olivine_nn::gelu_tanh(&x)?.subtract(olivine_nn::gelu(&x)?)?;
/// assert!(apart.abs()?.max(..)?.item::<f32>()? < 1e-3);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn gelu_tanh(x: &Array) -> Result<Array> {
    const SQRT_2_OVER_PI: f64 = FRAC_2_SQRT_PI / SQRT_2;
    let cubic = x.square()?.multiply(0.044715)?.add(1.0)?.multiply(x)?;
    x.multiply(0.5)?
        .multiply(cubic.multiply(SQRT_2_OVER_PI)?.tanh()?.add(1.0)?)
}

/// The sigmoid linear unit `x * sigmoid(x)`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let y = olivine_nn::silu(&array!([0.0, 100.0]))?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 100.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn silu(x: &Array) -> Result<Array> {
    x.multiply(x.sigmoid()?)
}

/// The logistic function `1 / (1 + exp(-x))`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// assert_eq!(olivine_nn::sigmoid(&array!([0.0, 100.0]))?.to_vec::<f32>()?, [0.5, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn sigmoid(x: &Array) -> Result<Array> {
    x.sigmoid()
}

/// The hyperbolic tangent.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// assert_eq!(olivine_nn::tanh(&array!([0.0, 100.0]))?.to_vec::<f32>()?, [0.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn tanh(x: &Array) -> Result<Array> {
    x.tanh()
}

/// `log(1 + exp(x))` without overflow.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let y = olivine_nn::softplus(&array!([-1000.0, 0.0, 1000.0]))?.to_vec::<f32>()?;
/// assert!(y[0] == 0.0 && (y[1] - 2.0f32.ln()).abs() < 1e-6 && y[2] == 1000.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn softplus(x: &Array) -> Result<Array> {
    x.logaddexp(0)
}

/// The softmax over an axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// assert_eq!(olivine_nn::softmax(&array!([[3.0, 3.0]]), -1)?.to_vec::<f32>()?, [0.5, 0.5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn softmax(x: &Array, axis: i64) -> Result<Array> {
    x.softmax(axis)
}

/// The logarithm of the softmax over an axis.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// let y = olivine_nn::log_softmax(&array!([1000.0, 0.0]), -1)?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, -1000.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn log_softmax(x: &Array, axis: i64) -> Result<Array> {
    x.subtract(x.logsumexp(keep(axis))?)
}

/// An activation function as a layer.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_nn::{Activation, Layer};
/// let x = Array::from_slice(&[-2.0f32, 3.0], [2])?;
/// assert_eq!(Activation::Relu.forward(&x)?.to_vec::<f32>()?, [0.0, 3.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// See [`relu`].
    Relu,
    /// See [`leaky_relu`]; holds the slope.
    LeakyRelu(f64),
    /// See [`elu`]; holds alpha.
    Elu(f64),
    /// See [`gelu`].
    Gelu,
    /// See [`gelu_tanh`].
    GeluTanh,
    /// See [`silu`].
    Silu,
    /// See [`sigmoid`].
    Sigmoid,
    /// See [`tanh`].
    Tanh,
    /// See [`softplus`].
    Softplus,
}

impl Module for Activation {
    fn visit(&self, _prefix: &str, _visitor: &mut dyn FnMut(&str, &Param)) {}
    fn visit_mut(&mut self, _prefix: &str, _visitor: &mut dyn FnMut(&str, &mut Param)) {}
    fn set_training(&mut self, _training: bool) {}
}

impl Layer for Activation {
    fn forward(&self, x: &Array) -> Result<Array> {
        match *self {
            Activation::Relu => relu(x),
            Activation::LeakyRelu(slope) => leaky_relu(x, slope),
            Activation::Elu(alpha) => elu(x, alpha),
            Activation::Gelu => gelu(x),
            Activation::GeluTanh => gelu_tanh(x),
            Activation::Silu => silu(x),
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => tanh(x),
            Activation::Softplus => softplus(x),
        }
    }
}
