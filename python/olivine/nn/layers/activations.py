"""Owns activation functions and the layers that apply them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import olivine.core as mx
from olivine.nn.layers.base import Module

F = TypeVar("F", bound=Callable[..., mx.array])


def _fused(function: F) -> F:
    """Compile to one kernel for arrays of any shape.

    The result is an ordinary function of its module, so that models that hold it can be copied
    and pickled.
    """
    compiled: Callable[..., mx.array] = mx.compile(function, shapeless=True)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> mx.array:
        return compiled(*args, **kwargs)

    return cast("F", call)


def sigmoid(x: mx.array) -> mx.array:
    """The logistic function, ``1 / (1 + exp(-x))``, of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.sigmoid(mx.array([0.0]))
        array([0.5], dtype=float32)
    """
    return mx.sigmoid(x)


def relu(x: mx.array) -> mx.array:
    """``max(x, 0)`` of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.relu(mx.array([-1.0, 2.0]))
        array([0, 2], dtype=float32)
    """
    return mx.maximum(x, 0)


@_fused
def relu2(x: mx.array) -> mx.array:
    """``max(x, 0) ** 2`` of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.relu2(mx.array([-1.0, 3.0]))
        array([0, 9], dtype=float32)
    """
    return mx.square(mx.maximum(x, 0))


@_fused
def relu6(x: mx.array) -> mx.array:
    """``min(max(x, 0), 6)`` of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.relu6(mx.array([-1.0, 2.0, 9.0]))
        array([0, 2, 6], dtype=float32)
    """
    return mx.minimum(mx.maximum(x, 0), 6.0)


@_fused
def leaky_relu(x: mx.array, negative_slope: float = 0.01) -> mx.array:
    """``max(x, negative_slope * x)`` of each element.

    Args:
        x: An array of any shape.
        negative_slope: The slope left of zero.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.leaky_relu(mx.array([-2.0, 2.0]), 0.5)
        array([-1, 2], dtype=float32)
    """
    # Where both are equal the gradient goes to the second, so at zero the slope is one.
    return mx.maximum(negative_slope * x, x)


@_fused
def log_softmax(x: mx.array, axis: int = -1) -> mx.array:
    """The logarithm of ``softmax`` along an axis, exact also where a probability underflows.

    Args:
        x: An array of at least one axis.
        axis: The axis that becomes a distribution.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> mx.exp(nn.log_softmax(mx.array([1.0, 1.0])))
        array([0.5, 0.5], dtype=float32)
    """
    # Large scores lose digits to a large logarithm, so take the largest away first.
    shifted = x - mx.stop_gradient(mx.max(x, axis=axis, keepdims=True))
    return shifted - mx.logsumexp(shifted, axis=axis, keepdims=True)


@_fused
def elu(x: mx.array, alpha: float = 1.0) -> mx.array:
    """``x`` right of zero and ``alpha * (exp(x) - 1)`` left of it, for each element.

    Args:
        x: An array of any shape.
        alpha: Minus the limit at minus infinity.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.elu(mx.array([0.0, 2.0]))
        array([0, 2], dtype=float32)
    """
    return mx.where(x > 0, x, alpha * (mx.exp(x) - 1))


def softmax(x: mx.array, axis: int = -1) -> mx.array:
    """``exp(x)`` divided by its sum along an axis.

    Args:
        x: An array of at least one axis.
        axis: The axis that becomes a distribution.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.softmax(mx.array([3.0, 3.0]))
        array([0.5, 0.5], dtype=float32)
    """
    return mx.softmax(x, axis=axis)


def softplus(x: mx.array) -> mx.array:
    """``log(1 + exp(x))`` of each element, without overflow.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.softplus(mx.array([1000.0]))
        array([1000], dtype=float32)
    """
    return mx.logaddexp(x, 0)


@_fused
def softsign(x: mx.array) -> mx.array:
    """``x / (1 + |x|)`` of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.softsign(mx.array([-1.0, 3.0]))
        array([-0.5, 0.75], dtype=float32)
    """
    return x / (1 + mx.abs(x))


@_fused
def softshrink(x: mx.array, lambd: float = 0.5) -> mx.array:
    """Pull each element ``lambd`` towards zero, and to zero what is nearer.

    Args:
        x: An array of any shape.
        lambd: The distance.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.softshrink(mx.array([-2.0, 0.25, 2.0]))
        array([-1.5, 0, 1.5], dtype=float32)
    """
    return mx.where(mx.abs(x) > lambd, x - lambd * mx.sign(x), 0)


@_fused
def celu(x: mx.array, alpha: float = 1.0) -> mx.array:
    """``max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)`` of each element.

    Args:
        x: An array of any shape.
        alpha: Minus the limit at minus infinity.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.celu(mx.array([0.0, 2.0]))
        array([0, 2], dtype=float32)
    """
    below = mx.exp(mx.minimum(x, 0.0) / alpha) - 1
    return mx.maximum(x, 0.0) + alpha * below


@_fused
def silu(x: mx.array) -> mx.array:
    """``x * sigmoid(x)`` of each element, also known as swish.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.silu(mx.array([0.0]))
        array([0], dtype=float32)
    """
    return x * mx.sigmoid(x)


@_fused
def log_sigmoid(x: mx.array) -> mx.array:
    """The logarithm of ``sigmoid`` of each element, exact also where that underflows.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.log_sigmoid(mx.array([-1000.0]))
        array([-1000], dtype=float32)
    """
    return -mx.logaddexp(-x, 0)


@_fused
def gelu(x: mx.array) -> mx.array:
    """``x * P(N <= x)`` for a standard normal ``N``, of each element, by the error function.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.gelu(mx.array([-100.0, 100.0]))
        array([-0, 100], dtype=float32)
    """
    return x * (1 + mx.erf(x / math.sqrt(2))) / 2


@_fused
def gelu_approx(x: mx.array) -> mx.array:
    """``gelu`` by a hyperbolic tangent, right to about 0.0005.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> x = mx.linspace(-5, 5, 101)
        >>> mx.max(mx.abs(nn.gelu_approx(x) - nn.gelu(x))).item() < 0.0005
        True
    """
    # Hendrycks and Gimpel, "Gaussian Error Linear Units", equation 2.
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + mx.tanh(inner))


@_fused
def gelu_fast_approx(x: mx.array) -> mx.array:
    """``gelu`` by a sigmoid, ``x * sigmoid(1.702 * x)``, right to about 0.02.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> x = mx.linspace(-5, 5, 101)
        >>> mx.max(mx.abs(nn.gelu_fast_approx(x) - nn.gelu(x))).item() < 0.0205
        True
    """
    return x * mx.sigmoid(1.702 * x)


def glu(x: mx.array, axis: int = -1) -> mx.array:
    """One half of an axis times the sigmoid of the other half.

    Args:
        x: An array whose ``axis`` has an even length.
        axis: The axis to halve.

    Returns:
        An array with half the length along ``axis``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.glu(mx.array([4.0, 0.0]))
        array([2], dtype=float32)
    """
    values, gates = mx.split(x, 2, axis=axis)
    return values * mx.sigmoid(gates)


@_fused
def step(x: mx.array, threshold: float = 0.0) -> mx.array:
    """1 where an element is at least ``threshold``, 0 elsewhere.

    Args:
        x: An array of any shape.
        threshold: The least element that gives 1.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.step(mx.array([-1.0, 0.0, 1.0]))
        array([0, 1, 1], dtype=int32)
    """
    return mx.where(x >= threshold, 1, 0)


@_fused
def selu(x: mx.array) -> mx.array:
    """``1.0507 * elu(x, 1.67326)`` of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.selu(mx.array([0.0]))
        array([0], dtype=float32)
    """
    return 1.0507 * mx.where(x > 0, x, 1.67326 * (mx.exp(x) - 1))


@_fused
def prelu(x: mx.array, alpha: mx.array) -> mx.array:
    """``max(x, 0) + alpha * min(x, 0)`` of each element.

    Args:
        x: An array of any shape.
        alpha: The slopes left of zero, of a shape that broadcasts with that of ``x``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.prelu(mx.array([-2.0, 2.0]), mx.array([0.25]))
        array([-0.5, 2], dtype=float32)
    """
    # Where both are equal the gradient goes to the second, so at zero both slopes count.
    return mx.maximum(0, x) + alpha * mx.minimum(0, x)


@_fused
def mish(x: mx.array) -> mx.array:
    """``x * tanh(softplus(x))`` of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.mish(mx.array([0.0, 100.0]))
        array([0, 100], dtype=float32)
    """
    return x * mx.tanh(mx.logaddexp(x, 0))


@_fused
def hardswish(x: mx.array) -> mx.array:
    """``x * min(max(x + 3, 0), 6) / 6`` of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.hardswish(mx.array([-3.0, 3.0]))
        array([-0, 3], dtype=float32)
    """
    return x * mx.minimum(mx.maximum(x + 3, 0), 6) / 6


@_fused
def hard_tanh(x: mx.array, min_val: float = -1.0, max_val: float = 1.0) -> mx.array:
    """Each element, but no less than ``min_val`` and no more than ``max_val``.

    Args:
        x: An array of any shape.
        min_val: The least value.
        max_val: The largest value.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.hard_tanh(mx.array([-3.0, 0.5, 3.0]))
        array([-1, 0.5, 1], dtype=float32)
    """
    return mx.minimum(mx.maximum(x, min_val), max_val)


@_fused
def hard_shrink(x: mx.array, lambd: float = 0.5) -> mx.array:
    """Each element, but 0 for those within ``lambd`` of zero.

    Args:
        x: An array of any shape.
        lambd: The distance.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.hard_shrink(mx.array([-2.0, 0.25, 2.0]))
        array([-2, 0, 2], dtype=float32)
    """
    return mx.where(mx.abs(x) > lambd, x, 0)


@_fused
def softmin(x: mx.array, axis: int = -1) -> mx.array:
    """``softmax(-x)`` along an axis.

    Args:
        x: An array of at least one axis.
        axis: The axis that becomes a distribution.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.softmin(mx.array([3.0, 3.0]))
        array([0.5, 0.5], dtype=float32)
    """
    return mx.softmax(-x, axis=axis)


def tanh(x: mx.array) -> mx.array:
    """The hyperbolic tangent of each element.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.tanh(mx.array([0.0]))
        array([0], dtype=float32)
    """
    return mx.tanh(x)


class Sigmoid(Module):
    """Applies ``sigmoid`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Sigmoid()(mx.array([0.0]))
        array([0.5], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``sigmoid`` to each element."""
        return sigmoid(x)


class Mish(Module):
    """Applies ``mish`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Mish()(mx.array([0.0]))
        array([0], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``mish`` to each element."""
        return mish(x)


class ReLU(Module):
    """Applies ``relu`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ReLU()(mx.array([-1.0]))
        array([0], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``relu`` to each element."""
        return relu(x)


class ReLU2(Module):
    """Applies ``relu2`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ReLU2()(mx.array([3.0]))
        array([9], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``relu2`` to each element."""
        return relu2(x)


class ReLU6(Module):
    """Applies ``relu6`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ReLU6()(mx.array([9.0]))
        array([6], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``relu6`` to each element."""
        return relu6(x)


class Softplus(Module):
    """Applies ``softplus`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Softplus()(mx.array([1000.0]))
        array([1000], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``softplus`` to each element."""
        return softplus(x)


class Softsign(Module):
    """Applies ``softsign`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Softsign()(mx.array([3.0]))
        array([0.75], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``softsign`` to each element."""
        return softsign(x)


class SiLU(Module):
    """Applies ``silu`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.SiLU()(mx.array([0.0]))
        array([0], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``silu`` to each element."""
        return silu(x)


class LogSigmoid(Module):
    """Applies ``log_sigmoid`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.LogSigmoid()(mx.array([-1000.0]))
        array([-1000], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``log_sigmoid`` to each element."""
        return log_sigmoid(x)


class Tanh(Module):
    """Applies ``tanh`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Tanh()(mx.array([0.0]))
        array([0], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``tanh`` to each element."""
        return tanh(x)


class Hardswish(Module):
    """Applies ``hardswish`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Hardswish()(mx.array([3.0]))
        array([3], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``hardswish`` to each element."""
        return hardswish(x)


class SELU(Module):
    """Applies ``selu`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.SELU()(mx.array([0.0]))
        array([0], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``selu`` to each element."""
        return selu(x)


class HardTanh(Module):
    """Applies ``hard_tanh`` to an array of any shape.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.HardTanh()(mx.array([5.0]))
        array([1], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``hard_tanh`` to each element."""
        return hard_tanh(x)


class Softmax(Module):
    """Applies ``softmax`` along the last axis.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Softmax()(mx.array([3.0, 3.0]))
        array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``softmax`` along the last axis of ``x``."""
        return softmax(x)


class LogSoftmax(Module):
    """Applies ``log_softmax`` along the last axis.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> mx.exp(nn.LogSoftmax()(mx.array([1.0, 1.0])))
        array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``log_softmax`` along the last axis of ``x``."""
        return log_softmax(x)


class Softmin(Module):
    """Applies ``softmin`` along the last axis.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Softmin()(mx.array([3.0, 3.0]))
        array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``softmin`` along the last axis of ``x``."""
        return softmin(x)


class GLU(Module):
    """Applies ``glu`` with one setting.

    Args:
        axis: The axis to halve.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.GLU()(mx.array([4.0, 0.0]))
        array([2], dtype=float32)
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``glu`` to ``x``."""
        return glu(x, self.axis)


class LeakyReLU(Module):
    """Applies ``leaky_relu`` with one setting.

    Args:
        negative_slope: The slope left of zero.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.LeakyReLU(0.5)(mx.array([-2.0]))
        array([-1], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self._negative_slope = negative_slope

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``leaky_relu`` to ``x``."""
        return leaky_relu(x, self._negative_slope)


class ELU(Module):
    """Applies ``elu`` with one setting.

    Args:
        alpha: Minus the limit at minus infinity.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ELU()(mx.array([2.0]))
        array([2], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self._alpha = alpha

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``elu`` to ``x``."""
        return elu(x, self._alpha)


class CELU(Module):
    """Applies ``celu`` with one setting.

    Args:
        alpha: Minus the limit at minus infinity.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.CELU()(mx.array([2.0]))
        array([2], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self._alpha = alpha

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``celu`` to ``x``."""
        return celu(x, self._alpha)


class Softshrink(Module):
    """Applies ``softshrink`` with one setting.

    Args:
        lambd: The distance to pull towards zero.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Softshrink()(mx.array([2.0]))
        array([1.5], dtype=float32)
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``softshrink`` to ``x``."""
        return softshrink(x, self.lambd)


class HardShrink(Module):
    """Applies ``hard_shrink`` with one setting.

    Args:
        lambd: The largest distance from zero that gives 0.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.HardShrink()(mx.array([0.25]))
        array([0], dtype=float32)
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``hard_shrink`` to ``x``."""
        return hard_shrink(x, self.lambd)


class Step(Module):
    """Applies ``step`` with one setting.

    Args:
        threshold: The least element that gives 1.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Step()(mx.array([-1.0, 1.0]))
        array([0, 1], dtype=int32)
    """

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``step`` to ``x``."""
        return step(x, self.threshold)


class PReLU(Module):
    """Applies ``prelu`` with learned slopes.

    Args:
        num_parameters: The number of slopes: 1, or the length of the last axis of the inputs.
        init: The slopes at the start.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.PReLU()(mx.array([-2.0, 2.0]))
        array([-0.5, 2], dtype=float32)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.weight = mx.full([num_parameters], init)

    def __call__(self, x: mx.array) -> mx.array:
        """Apply ``prelu`` with the slopes ``weight``."""
        return prelu(x, self.weight)


_GELUS = {
    "none": gelu,
    "precise": gelu_approx,
    "tanh": gelu_approx,
    "fast": gelu_fast_approx,
}


class GELU(Module):
    """Applies ``gelu`` or one of its approximations.

    Args:
        approx: ``"none"`` for ``gelu``, ``"precise"`` or ``"tanh"`` for ``gelu_approx``, ``"fast"``
            for ``gelu_fast_approx``.

    Raises:
        ValueError: If ``approx`` is none of these.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.GELU("fast")(mx.array([0.0]))
        array([0], dtype=float32)
    """

    def __init__(self, approx: str = "none") -> None:
        super().__init__()
        if approx not in _GELUS:
            raise ValueError(f"[GELU] approx is {approx!r}, not one of {', '.join(_GELUS)}")
        self._approx = approx

    def __call__(self, x: mx.array) -> mx.array:
        """Apply the chosen function to each element."""
        return _GELUS[self._approx](x)
