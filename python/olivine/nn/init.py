"""Owns initializers: functions that make starting values of the shape of a given array."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Protocol

import olivine.core as mx

Initializer = Callable[[mx.array], mx.array]
Fan = Literal["fan_in", "fan_out"]


class _WithGain(Protocol):
    def __call__(self, a: mx.array, gain: float = 1.0) -> mx.array: ...


class _WithFan(Protocol):
    def __call__(self, a: mx.array, mode: Fan = "fan_in", gain: float = 1.0) -> mx.array: ...


def constant(value: float, dtype: mx.Dtype = mx.float32) -> Initializer:
    """Make an initializer that repeats one number.

    Args:
        value: The number.
        dtype: The dtype of the values.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.init.constant(0.5)(mx.zeros(2))
        array([0.5, 0.5], dtype=float32)
    """

    def initializer(a: mx.array) -> mx.array:
        return mx.full(a.shape, value, dtype=dtype)

    return initializer


def normal(mean: float = 0.0, std: float = 1.0, dtype: mx.Dtype = mx.float32) -> Initializer:
    """Make an initializer that draws from a normal distribution.

    Args:
        mean: Its mean.
        std: Its standard deviation.
        dtype: The dtype of the values.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.init.normal(std=0.02)(mx.zeros((2, 3))).shape
        (2, 3)
    """

    def initializer(a: mx.array) -> mx.array:
        return mx.random.normal(shape=a.shape, scale=std, loc=mean, dtype=dtype)

    return initializer


def uniform(low: float = 0.0, high: float = 1.0, dtype: mx.Dtype = mx.float32) -> Initializer:
    """Make an initializer that draws evenly between two numbers.

    Args:
        low: The least number.
        high: The number that all are below.
        dtype: The dtype of the values.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> x = nn.init.uniform(2, 3)(mx.zeros(100))
        >>> mx.all((x >= 2) & (x < 3)).item()
        True
    """

    def initializer(a: mx.array) -> mx.array:
        return mx.random.uniform(low, high, a.shape, dtype=dtype)

    return initializer


def identity(dtype: mx.Dtype = mx.float32) -> Initializer:
    """Make an initializer of square matrices with ones on the diagonal.

    Args:
        dtype: The dtype of the values.

    Returns:
        An initializer that raises ``ValueError`` where the array is no square matrix.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.init.identity()(mx.zeros((2, 2)))
        array([[1, 0],
               [0, 1]], dtype=float32)
    """

    # This one's argument has another name in MLX too.
    def initializer(arr: mx.array) -> mx.array:
        if arr.ndim != 2 or arr.shape[0] != arr.shape[1]:
            raise ValueError(f"[identity] {arr.shape} is not the shape of a square matrix")
        return mx.eye(arr.shape[0], dtype=dtype)

    return initializer


def _fans(a: mx.array) -> tuple[int, int]:
    """How many inputs an output of the weight ``a`` has, and how many outputs an input has."""
    if a.ndim < 2:
        raise ValueError(f"[init] a weight of shape {a.shape} does not have inputs and outputs")
    outputs, *window, inputs = a.shape
    return inputs * math.prod(window), outputs * math.prod(window)


def _fan(a: mx.array, mode: Fan) -> int:
    fans = dict(zip(("fan_in", "fan_out"), _fans(a), strict=True))
    if mode not in fans:
        raise ValueError(f"[init] mode is {mode!r}, not fan_in or fan_out")
    return fans[mode]


def glorot_normal(dtype: mx.Dtype = mx.float32) -> _WithGain:
    """Make an initializer with variance ``gain ** 2 * 2 / (fan_in + fan_out)``, normal.

    Args:
        dtype: The dtype of the values.

    Returns:
        An initializer of weights ``(outputs, ..., inputs)`` with the further argument
        ``gain=1.0``. It raises ``ValueError`` where there are fewer than two axes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.init.glorot_normal()(mx.zeros((4, 2)), gain=2.0).shape
        (4, 2)
    """

    def initializer(a: mx.array, gain: float = 1.0) -> mx.array:
        # Glorot and Bengio, "Understanding the difficulty of training deep feedforward networks".
        deviation = gain * math.sqrt(2 / sum(_fans(a)))
        return mx.random.normal(shape=a.shape, scale=deviation, dtype=dtype)

    return initializer


def glorot_uniform(dtype: mx.Dtype = mx.float32) -> _WithGain:
    """Make an initializer with variance ``gain ** 2 * 2 / (fan_in + fan_out)``, uniform.

    Args:
        dtype: The dtype of the values.

    Returns:
        An initializer of weights ``(outputs, ..., inputs)`` with the further argument
        ``gain=1.0``. It raises ``ValueError`` where there are fewer than two axes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> mx.max(mx.abs(nn.init.glorot_uniform()(mx.zeros((4, 2))))).item() <= 1
        True
    """

    def initializer(a: mx.array, gain: float = 1.0) -> mx.array:
        bound = gain * math.sqrt(6 / sum(_fans(a)))
        return mx.random.uniform(-bound, bound, a.shape, dtype=dtype)

    return initializer


def he_normal(dtype: mx.Dtype = mx.float32) -> _WithFan:
    """Make an initializer with variance ``gain ** 2 / fan``, normal.

    Args:
        dtype: The dtype of the values.

    Returns:
        An initializer of weights ``(outputs, ..., inputs)`` with the further arguments
        ``mode="fan_in"``, or ``"fan_out"``, and ``gain=1.0``. It raises ``ValueError`` where there
        are fewer than two axes or the mode is unknown.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.init.he_normal()(mx.zeros((4, 2)), mode="fan_out").shape
        (4, 2)
    """

    def initializer(a: mx.array, mode: Fan = "fan_in", gain: float = 1.0) -> mx.array:
        # He, Zhang, Ren and Sun, "Delving Deep into Rectifiers".
        deviation = gain / math.sqrt(_fan(a, mode))
        return mx.random.normal(shape=a.shape, scale=deviation, dtype=dtype)

    return initializer


def he_uniform(dtype: mx.Dtype = mx.float32) -> _WithFan:
    """Make an initializer with variance ``gain ** 2 / fan``, uniform.

    Args:
        dtype: The dtype of the values.

    Returns:
        An initializer of weights ``(outputs, ..., inputs)`` with the further arguments
        ``mode="fan_in"``, or ``"fan_out"``, and ``gain=1.0``. It raises ``ValueError`` where there
        are fewer than two axes or the mode is unknown.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> mx.max(mx.abs(nn.init.he_uniform()(mx.zeros((4, 3))))).item() <= 1
        True
    """

    def initializer(a: mx.array, mode: Fan = "fan_in", gain: float = 1.0) -> mx.array:
        bound = gain * math.sqrt(3 / _fan(a, mode))
        return mx.random.uniform(-bound, bound, a.shape, dtype=dtype)

    return initializer


def sparse(
    sparsity: float, mean: float = 0.0, std: float = 1.0, dtype: mx.Dtype = mx.float32
) -> Initializer:
    """Make an initializer of matrices with random zeros in each row, and normal numbers else.

    Args:
        sparsity: The part of zeros in a row.
        mean: The mean of the numbers.
        std: Their standard deviation.
        dtype: The dtype of the values.

    Returns:
        An initializer that raises ``ValueError`` where the array is no matrix.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> mx.sum(nn.init.sparse(0.5)(mx.zeros((3, 4))) == 0, axis=1)
        array([2, 2, 2], dtype=int32)
    """

    def initializer(a: mx.array) -> mx.array:
        if a.ndim != 2:
            raise ValueError(f"[sparse] a {a.ndim}D array is not a matrix")
        rows, columns = a.shape
        zeros = math.ceil(sparsity * columns)
        order = mx.argsort(mx.random.uniform(shape=a.shape), axis=1)
        values = mx.random.normal(shape=a.shape, scale=std, loc=mean, dtype=dtype)
        values[mx.arange(rows)[:, None], order[:, :zeros]] = 0
        return values

    return initializer


def orthogonal(gain: float = 1.0, dtype: mx.Dtype = mx.float32) -> Initializer:
    """Make an initializer of random matrices whose rows or columns are orthonormal.

    Args:
        gain: What the matrix is multiplied by.
        dtype: The dtype of the values.

    Returns:
        An initializer that raises ``ValueError`` where the array is no matrix.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> q = nn.init.orthogonal()(mx.zeros((2, 3)))
        >>> mx.allclose(q @ q.T, mx.eye(2), atol=1e-5).item()
        True
    """

    def initializer(a: mx.array) -> mx.array:
        if a.ndim != 2:
            raise ValueError(f"[orthogonal] a {a.ndim}D array is not a matrix")
        rows, columns = a.shape
        size = max(rows, columns)
        q, r = mx.linalg.qr(mx.random.normal(shape=(size, size)), stream=mx.cpu)
        # Fixing the signs makes every rotation equally likely (Mezzadri, arXiv:math-ph/0609050).
        q = q * mx.sign(mx.diag(r))
        return (gain * q[:rows, :columns]).astype(dtype)

    return initializer
