//! Owns `olivine.core.random`: draws of random numbers, and the state that they come from.

use olivine::{
    Array, Dtype, Shape,
    random::{
        self, Bernoulli, Categorical, Gumbel, Laplace, MultivariateNormal, Normal, Permutation,
        Randint, TruncatedNormal, Uniform,
    },
};
use pyo3::{
    exceptions::PyIndexError,
    prelude::*,
    types::{PyList, PyTuple},
};

use crate::{
    arg::{Input, Operand, Sizes},
    array::PyArray,
    device::On,
    dtype::PyDtype,
    error::{OrRaise, type_error, value_error},
    ops::submodule,
};

/// The random state of each thread, as a list of one key.
///
/// It may be named among the ``inputs`` and ``outputs`` of :func:`olivine.core.compile`.
#[pyclass(name = "_RandomState", module = "olivine.core.random", frozen)]
struct RandomState;

#[pymethods]
impl RandomState {
    #[expect(clippy::unused_self, reason = "Python passes it")]
    fn __len__(&self) -> usize {
        1
    }

    #[expect(clippy::unused_self, reason = "Python passes it")]
    fn __getitem__(&self, index: isize) -> PyResult<PyArray> {
        match index {
            0 | -1 => Ok(random::state().into()),
            _ => Err(PyIndexError::new_err("the random state is one key")),
        }
    }

    #[expect(clippy::unused_self, reason = "Python passes it")]
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let list = PyList::new(py, [PyArray::from(random::state())])?;
        Ok(list.try_iter()?.into_any())
    }
}

/// A whole number that stands for a key.
struct Seed(u64);

impl<'py> FromPyObject<'_, 'py> for Seed {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let seed = object.extract::<u64>();
        seed.map(Seed).map_err(|_| {
            type_error(format!(
                "a seed is a whole number below 2**64, not {}",
                *object
            ))
        })
    }
}

/// A list or tuple of sizes. A number is none, so that it is not mistaken for another argument.
#[derive(Default)]
struct List(Shape);

impl<'py> FromPyObject<'_, 'py> for List {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if !object.is_instance_of::<PyList>() && !object.is_instance_of::<PyTuple>() {
            return Err(type_error(format!(
                "a shape is a list or tuple of sizes, not {}",
                *object
            )));
        }
        Sizes::extract(object).map(|sizes| List(sizes.0))
    }
}

fn or_float(dtype: Option<PyDtype>) -> Dtype {
    dtype.map_or(Dtype::Float32, Dtype::from)
}

/// Makes a draw on a stream, from a key if there is one.
fn draw<T>(
    stream: Option<On>,
    key: Option<Input>,
    draw: T,
    with: impl FnOnce(T, &Array) -> T,
    sample: impl FnOnce(T) -> olivine::Result<Array>,
) -> PyResult<PyArray> {
    let on = stream.unwrap_or_default();
    on.run(|| {
        sample(match key {
            Some(key) => with(draw, &key.0),
            None => draw,
        })
    })
    .map(PyArray::from)
    .or_raise()
}

/// Makes this thread's draws without a key repeat those that followed the same seed before.
///
/// Args:
///     seed: A whole number from 0 up to, not including, ``2**64``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.seed(3)
///     >>> mx.random.uniform(shape=(2,))
///     array([0.520858, 0.244856], dtype=float32)
#[pyfunction]
fn seed(seed: Seed) {
    random::seed(seed.0);
}

/// The key that stands for a number.
///
/// Args:
///     seed: A whole number from 0 up to, not including, ``2**64``.
///
/// Returns:
///     A key, an array of shape ``(2,)`` and dtype ``uint32``. The same key always gives the same draw.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.key(7)
///     array([0, 7], dtype=uint32)
#[pyfunction]
fn key(seed: Seed) -> PyArray {
    random::key(seed.0).into()
}

/// Keys made from one, which is then not to be used itself.
///
/// Args:
///     key: A key, of shape ``(2,)``.
///     num: How many keys to make.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     The keys, the rows of an array of shape ``(num, 2)``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> first, second = mx.random.split(mx.random.key(0))
///     >>> first
///     array([4146024105, 967050713], dtype=uint32)
#[pyfunction]
#[pyo3(signature = (key, num=2, stream=None))]
fn split(key: Input, num: usize, stream: Option<On>) -> PyResult<PyArray> {
    let on = stream.unwrap_or_default();
    on.run(|| random::split(&key.0, num))
        .map(PyArray::from)
        .or_raise()
}

/// Numbers spread evenly from a low end up to, not including, a high end.
///
/// Args:
///     low: The low end: a number, or an array that broadcasts to ``shape``.
///     high: The high end, likewise.
///     shape: The shape of the result.
///     dtype: ``float32``, the default, ``float16`` or ``bfloat16``.
///     key: What determines the numbers. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array of ``shape``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.uniform(shape=(2,), key=mx.random.key(0))
///     array([0.216295, 0.804124], dtype=float32)
#[pyfunction]
#[pyo3(signature = (low=Operand::Int(0), high=Operand::Int(1), shape=List::default(), dtype=None, key=None, stream=None))]
#[pyo3(text_signature = "(low=0, high=1, shape=[], dtype=None, key=None, stream=None)")]
fn uniform(
    low: Operand,
    high: Operand,
    shape: List,
    dtype: Option<PyDtype>,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let mut numbers = Uniform::new(shape.0).dtype(or_float(dtype));
    if !matches!((&low, &high), (Operand::Int(0), Operand::Int(1))) {
        numbers = numbers.low(low.alone()?).high(high.alone()?);
    }
    draw(stream, key, numbers, Uniform::key, Uniform::sample)
}

/// Normally distributed numbers.
///
/// Args:
///     shape: The shape of the result.
///     dtype: A floating-point dtype, or ``complex64``, whose real and imaginary parts have a variance of
///         one half each. By default, ``float32``.
///     loc: The mean: a number, or an array that broadcasts to ``shape``. By default 0.
///     scale: The standard deviation, likewise. By default 1.
///     key: What determines the numbers. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array of ``shape``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.normal((2,), key=mx.random.key(0))
///     array([-0.784766, 0.856445], dtype=float32)
#[pyfunction]
#[pyo3(signature = (shape=List::default(), dtype=None, loc=None, scale=None, key=None, stream=None))]
#[pyo3(text_signature = "(shape=[], dtype=None, loc=None, scale=None, key=None, stream=None)")]
fn normal(
    shape: List,
    dtype: Option<PyDtype>,
    loc: Option<Operand>,
    scale: Option<Operand>,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let mut numbers = Normal::new(shape.0).dtype(or_float(dtype));
    if let Some(loc) = loc {
        numbers = numbers.loc(loc.alone()?);
    }
    if let Some(scale) = scale {
        numbers = numbers.scale(scale.alone()?);
    }
    draw(stream, key, numbers, Normal::key, Normal::sample)
}

/// Vectors whose numbers are normally distributed together.
///
/// Args:
///     mean: The mean, of shape ``(..., n)``.
///     cov: The covariance, of shape ``(..., n, n)``: symmetric and positive semi-definite.
///     shape: The shape that a vector is drawn for each place of. By default, what the leading axes of
///         the parameters broadcast to.
///     dtype: ``float32``.
///     key: What determines the numbers. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array of shape ``(*shape, n)``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.multivariate_normal(mx.zeros((3,)), mx.eye(3), (5,)).shape
///     (5, 3)
#[pyfunction]
#[pyo3(signature = (mean, cov, shape=List::default(), dtype=None, key=None, stream=None))]
#[pyo3(text_signature = "(mean, cov, shape=[], dtype=None, key=None, stream=None)")]
fn multivariate_normal(
    mean: Input,
    cov: Input,
    shape: List,
    dtype: Option<PyDtype>,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    if or_float(dtype) != Dtype::Float32 {
        return Err(value_error("[multivariate_normal] dtype must be float32."));
    }
    let vectors = MultivariateNormal::new(&mean.0, &cov.0).shape(shape.0);
    draw(
        stream,
        key,
        vectors,
        MultivariateNormal::key,
        MultivariateNormal::sample,
    )
}

/// Whole numbers from a low end up to, not including, a high end, all equally likely.
///
/// Args:
///     low: The low end: a number, or an array that broadcasts to ``shape``.
///     high: The high end, likewise.
///     shape: The shape of the result.
///     dtype: An integer dtype, or ``bool_``. By default, ``int32``.
///     key: What determines the numbers. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array of ``shape``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> dice = mx.random.randint(1, 7, (100,))
///     >>> dice.min().item() >= 1 and dice.max().item() <= 6
///     True
#[pyfunction]
#[pyo3(signature = (low, high, shape=List::default(), dtype=None, key=None, stream=None))]
#[pyo3(text_signature = "(low, high, shape=[], dtype=None, key=None, stream=None)")]
fn randint(
    low: Operand,
    high: Operand,
    shape: List,
    dtype: Option<PyDtype>,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let dtype = dtype.map_or(Dtype::Int32, Dtype::from);
    let numbers = Randint::new(shape.0, low.alone()?, high.alone()?).dtype(dtype);
    draw(stream, key, numbers, Randint::key, Randint::sample)
}

/// Truth values that are true with a given probability.
///
/// Args:
///     p: The probability: a number or a floating-point array.
///     shape: The shape of the result, to which ``p`` must broadcast. By default, the shape of ``p``.
///     key: What determines the values. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array of dtype ``bool_``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.bernoulli(mx.array([0.0, 1.0]))
///     array([False, True], dtype=bool)
#[pyfunction]
#[pyo3(signature = (p=Operand::Float(0.5), shape=None, key=None, stream=None))]
#[pyo3(text_signature = "(p=0.5, shape=None, key=None, stream=None)")]
fn bernoulli(
    p: Operand,
    shape: Option<List>,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let mut values = Bernoulli::new(p.alone()?);
    if let Some(shape) = shape {
        values = values.shape(shape.0);
    }
    draw(stream, key, values, Bernoulli::key, Bernoulli::sample)
}

/// Normally distributed numbers of which only those between two ends are kept.
///
/// Args:
///     lower: The low end: a number or an array.
///     upper: The high end, likewise.
///     shape: The shape of the result. By default, what the ends broadcast to.
///     dtype: ``float32``, the default, ``float16`` or ``bfloat16``.
///     key: What determines the numbers. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array of ``shape``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> x = mx.random.truncated_normal(-2, 1, (100,))
///     >>> x.min().item() >= -2 and x.max().item() <= 1
///     True
#[pyfunction]
#[pyo3(signature = (lower, upper, shape=None, dtype=None, key=None, stream=None))]
#[pyo3(text_signature = "(lower, upper, shape=None, dtype=None, key=None, stream=None)")]
fn truncated_normal(
    lower: Operand,
    upper: Operand,
    shape: Option<List>,
    dtype: Option<PyDtype>,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let (lower, upper) = (lower.alone()?, upper.alone()?);
    let shape = match shape {
        Some(shape) => shape.0,
        None => olivine::broadcast_shapes(&[lower.shape(), upper.shape()]).or_raise()?,
    };
    let numbers = TruncatedNormal::new(shape, lower, upper).dtype(or_float(dtype));
    draw(
        stream,
        key,
        numbers,
        TruncatedNormal::key,
        TruncatedNormal::sample,
    )
}

/// Numbers from the Gumbel distribution.
///
/// Args:
///     shape: The shape of the result.
///     dtype: ``float32``, the default, ``float16`` or ``bfloat16``.
///     key: What determines the numbers. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array of ``shape``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.gumbel((2,), key=mx.random.key(0))
///     array([-0.425993, 1.52325], dtype=float32)
#[pyfunction]
#[pyo3(signature = (shape=List::default(), dtype=None, key=None, stream=None))]
#[pyo3(text_signature = "(shape=[], dtype=None, key=None, stream=None)")]
fn gumbel(
    shape: List,
    dtype: Option<PyDtype>,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let numbers = Gumbel::new(shape.0).dtype(or_float(dtype));
    draw(stream, key, numbers, Gumbel::key, Gumbel::sample)
}

/// Categories whose probabilities are the softmax of logits.
///
/// Args:
///     logits: An array whose ``axis`` has a logit for each category.
///     axis: The axis of the categories.
///     shape: The shape of the result, whose last axes the other axes of ``logits`` broadcast to. By
///         default, those axes.
///     num_samples: How many categories to draw from each distribution, along a new last axis. Not
///         together with ``shape``.
///     key: What determines the categories. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     The numbers of categories, of dtype ``uint32``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> certain = mx.array([[0.0, -mx.inf], [-mx.inf, 0.0]])  # shape (2, 2): two distributions
///     >>> mx.random.categorical(certain)
///     array([0, 1], dtype=uint32)
#[pyfunction]
#[pyo3(signature = (logits, axis=-1, shape=None, num_samples=None, key=None, stream=None))]
#[pyo3(text_signature = "(logits, axis=-1, shape=None, num_samples=None, key=None, stream=None)")]
fn categorical(
    logits: Input,
    axis: i64,
    shape: Option<List>,
    num_samples: Option<usize>,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let mut categories = Categorical::new(&logits.0).axis(axis);
    match (shape, num_samples) {
        (None, None) => {}
        (Some(shape), None) => categories = categories.shape(shape.0),
        (None, Some(count)) => categories = categories.samples(count),
        (Some(_), Some(_)) => {
            return Err(value_error(
                "[categorical] At most one of shape or num_samples can be specified.",
            ));
        }
    }
    draw(
        stream,
        key,
        categories,
        Categorical::key,
        Categorical::sample,
    )
}

/// Numbers from the Laplace distribution.
///
/// Args:
///     shape: The shape of the result.
///     dtype: A floating-point dtype. By default, ``float32``.
///     loc: The mean.
///     scale: The mean distance from the mean.
///     key: What determines the numbers. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array of ``shape``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.laplace((3, 2)).shape
///     (3, 2)
#[pyfunction]
#[pyo3(signature = (shape=List::default(), dtype=None, loc=Operand::Float(0.0), scale=Operand::Float(1.0), key=None, stream=None))]
#[pyo3(text_signature = "(shape=[], dtype=None, loc=0.0, scale=1.0, key=None, stream=None)")]
fn laplace(
    shape: List,
    dtype: Option<PyDtype>,
    loc: Operand,
    scale: Operand,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    let mut numbers = Laplace::new(shape.0).dtype(or_float(dtype));
    if !matches!(loc, Operand::Float(0.0)) {
        numbers = numbers.loc(loc.alone()?);
    }
    if !matches!(scale, Operand::Float(1.0)) {
        numbers = numbers.scale(scale.alone()?);
    }
    draw(stream, key, numbers, Laplace::key, Laplace::sample)
}

/// The numbers below a bound, or the slices of an array, in random order.
///
/// Args:
///     x: A whole number, for the numbers from 0 up to, not including, it; or an array.
///     axis: The axis of the array to shuffle.
///     key: What determines the order. By default, this thread's random state.
///     stream: Where to compute. By default, the current stream.
///
/// Returns:
///     An array: of dtype ``uint32`` for a number, otherwise like the array.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.random.permutation(5, key=mx.random.key(0))
///     array([1, 2, 0, 4, 3], dtype=uint32)
#[pyfunction]
#[pyo3(signature = (x, axis=0, key=None, stream=None))]
fn permutation(
    x: &Bound<'_, PyAny>,
    axis: i64,
    key: Option<Input>,
    stream: Option<On>,
) -> PyResult<PyArray> {
    if let Ok(bound) = x.extract::<i64>() {
        let bound = usize::try_from(bound)
            .map_err(|_| value_error(format!("[permutation] {bound} is below zero")))?;
        let order = Permutation::new(bound);
        return draw(stream, key, order, Permutation::key, Permutation::sample);
    }
    let x: Input = x.extract()?;
    let axis_size = x.0.shape().axis(axis, "permutation").or_raise()?;
    let order = Permutation::new(x.0.shape()[axis_size]);
    draw(stream, key, order, Permutation::key, |order| {
        x.0.take(&order.sample()?, axis)
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let random = submodule(module, "random")?;
    random.add_class::<RandomState>()?;
    random.add("state", Bound::new(module.py(), RandomState)?)?;
    random.add_function(wrap_pyfunction!(seed, &random)?)?;
    random.add_function(wrap_pyfunction!(key, &random)?)?;
    random.add_function(wrap_pyfunction!(split, &random)?)?;
    random.add_function(wrap_pyfunction!(uniform, &random)?)?;
    random.add_function(wrap_pyfunction!(normal, &random)?)?;
    random.add_function(wrap_pyfunction!(multivariate_normal, &random)?)?;
    random.add_function(wrap_pyfunction!(randint, &random)?)?;
    random.add_function(wrap_pyfunction!(bernoulli, &random)?)?;
    random.add_function(wrap_pyfunction!(truncated_normal, &random)?)?;
    random.add_function(wrap_pyfunction!(gumbel, &random)?)?;
    random.add_function(wrap_pyfunction!(categorical, &random)?)?;
    random.add_function(wrap_pyfunction!(laplace, &random)?)?;
    random.add_function(wrap_pyfunction!(permutation, &random)?)
}
