"""What the tests of layers share: seeded numbers and comparison with NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import olivine.core as mx

Numbers = Any
"""An array of NumPy's, of float64."""


def numbers(*shape: int, seed: int = 0) -> Numbers:
    """Normal numbers that float32 holds exactly."""
    drawn = np.random.default_rng(seed + 31 * sum(shape)).standard_normal(shape)
    return drawn.astype(np.float32).astype(np.float64)


def array(x: Any) -> mx.array:
    """A float32 array of the same numbers."""
    return mx.array(np.asarray(x, np.float32))


def numpy(x: mx.array) -> Numbers:
    """The numbers of an array, as float64."""
    return np.array(x.astype(mx.float32)).astype(np.float64)


def assert_close(got: mx.array, want: Any, tolerance: float = 1e-5) -> None:
    """Check the shape exactly and the numbers to a tolerance, absolute and relative."""
    want = np.asarray(want)
    assert tuple(got.shape) == want.shape
    np.testing.assert_allclose(numpy(got), want, rtol=tolerance, atol=tolerance)


def sigmoid(x: Numbers) -> Numbers:
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), 1 - 1 / (1 + np.exp(-np.abs(x))))


def softmax(x: Numbers, axis: int = -1) -> Numbers:
    powers: Numbers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def erf(x: Numbers) -> Numbers:
    return np.vectorize(math.erf)(x)


def slope(f: Callable[[Numbers], Numbers], x: Numbers) -> Numbers:
    """The derivative of an elementwise function by central differences."""
    step = 1e-6
    return (f(x + step) - f(x - step)) / (2 * step)
