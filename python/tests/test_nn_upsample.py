"""Upsampling against NumPy, one axis after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import olivine.core as mx
import pytest
from nn_testing import Numbers, array, assert_close, numbers
from olivine import nn


def triangle(d: Numbers) -> Numbers:
    return np.maximum(1 - d, 0)


def keys(a: float) -> Callable[[Numbers], Numbers]:
    def kernel(d: Numbers) -> Numbers:
        near = 1 - (a + 3) * d**2 + (a + 2) * d**3
        far = a * (d**3 - 5 * d**2 + 8 * d - 4)
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    return kernel


def matrix(size: int, scale: float, mode: str, align: bool, antialias: bool) -> Numbers:
    """The weight of each input for each output along one axis."""
    count = int(size * scale)
    steps = np.arange(count)
    if align:
        places = steps * (size - 1) / max(count - 1, 1)
    else:
        places = steps / scale - ((count - 1) / scale - size + 1) / 2
    stretch = max(1, 1 / scale) if antialias else 1
    cubic = mode == "cubic"
    kernel = keys(-0.5 if antialias else -0.75) if cubic else triangle
    if antialias:
        weights = kernel(np.abs(places[:, None] - np.arange(size)) / stretch)
        return weights / weights.sum(axis=1, keepdims=True)
    if not cubic:
        places = np.clip(places, 0, size - 1)
    # Beyond the ends the last inputs go on.
    grid = np.arange(-3, size + 3)
    wide = kernel(np.abs(places[:, None] - grid))
    weights = np.zeros((count, size))
    for column, place in enumerate(np.clip(grid, 0, size - 1)):
        weights[:, place] += wide[:, column]
    return weights


def resampled(x: Numbers, scales: Any, *how: Any) -> Numbers:
    for axis, scale in enumerate(scales, start=1):
        weights = matrix(x.shape[axis], scale, *how)
        x = np.moveaxis(np.tensordot(weights, x, axes=(1, axis)), 0, axis)
    return x


HOW = [
    ("linear", False, False),
    ("linear", True, False),
    ("linear", False, True),
    ("cubic", False, False),
    ("cubic", True, False),
    ("cubic", False, True),
]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("scale", [2.0, 1.5, 0.5, 0.4, 2.7])
@pytest.mark.parametrize("shape", [(2, 10, 3), (2, 7, 10, 3), (1, 5, 5, 7, 2)])
def test_interpolation_is_a_weighted_sum(how: Any, scale: float, shape: Any) -> None:
    x = numbers(*shape)
    y = nn.Upsample(scale, *how)(array(x))
    assert_close(y, resampled(x, (scale,) * (len(shape) - 2), *how), 2e-5)


@pytest.mark.parametrize("how", HOW)
def test_each_axis_may_have_its_own_factor(how: Any) -> None:
    x = numbers(2, 6, 8, 3)
    y = nn.Upsample((2, 0.5), *how)(array(x))
    assert_close(y, resampled(x, (2, 0.5), *how), 2e-5)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("scale", [2.0, 1.5, 2.7, 0.3])
@pytest.mark.parametrize("size", [5, 9, 10])
def test_a_constant_stays_constant(how: Any, scale: float, size: int) -> None:
    y = nn.Upsample(scale, *how)(mx.ones((1, size, 1)))
    assert_close(y, np.ones((1, int(scale * size), 1)))


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4, 5, 3), (1, 2, 3, 4, 2)])
def test_nearest_repeats_for_whole_factors(shape: Any) -> None:
    x = numbers(*shape)
    want = x
    for axis in range(1, len(shape) - 1):
        want = want.repeat(3, axis=axis)
    y = nn.Upsample(3)(array(x))
    assert_close(y, want, 0)
    gradient = mx.grad(lambda x: nn.Upsample(3)(x).sum())(array(x))
    assert_close(gradient, np.full(shape, 3.0 ** (len(shape) - 2)), 0)


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5, 2.5])
def test_nearest_takes_the_nearest_for_other_factors(scale: float) -> None:
    size = 8
    count = int(size * scale)
    x = numbers(1, size, size, 2)
    steps = np.arange(count)
    place = np.round((steps + 0.5) / scale - 0.5) if scale > 1 else np.floor(steps / scale)
    index = place.astype(int)
    assert_close(nn.Upsample(scale)(array(x)), x[:, index][:, :, index], 0)


def test_nearest_keeps_the_dtype() -> None:
    x = mx.array([1, 2], mx.int8).reshape(1, 2, 1)
    assert nn.Upsample(2)(x).dtype == mx.int8
    assert nn.Upsample(1.5)(x).dtype == mx.int8


def test_gradients_spread_by_the_same_weights() -> None:
    x, w = numbers(1, 6, 1), numbers(1, 9, 1)
    layer = nn.Upsample(1.5, mode="linear")
    gradient = mx.grad(lambda x: (layer(x) * array(w)).sum())(array(x))
    want = matrix(6, 1.5, "linear", False, False).T @ w[0]
    assert_close(gradient, want[None])


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match="mode"):
        nn.Upsample(2, mode="spline")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="antialias"):
        nn.Upsample(2, antialias=True)
    with pytest.raises(ValueError, match="antialias"):
        nn.Upsample(2, mode="linear", antialias=True, align_corners=True)
    wrong: list[Any] = [(2, (2, 3)), ((2, 2), (1, 4, 3)), ((2,), (1, 4, 4, 3))]
    modes: list[Any] = ["nearest", "linear"]
    for scale, shape in wrong:
        for mode in modes:
            with pytest.raises(ValueError, match="ax"):
                nn.Upsample(scale, mode=mode)(mx.ones(shape))


def test_representation_tells_the_settings() -> None:
    assert repr(nn.Upsample((2, 3), mode="cubic", antialias=True)) == (
        "Upsample(scale_factor=(2.0, 3.0), mode='cubic', align_corners=False, antialias=True)"
    )
    assert math.isclose(nn.Upsample(2).scale_factor, 2)  # type: ignore[arg-type]
