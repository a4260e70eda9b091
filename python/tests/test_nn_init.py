"""Initializers: the distributions they draw from, and the arrays they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import olivine.core as mx
import pytest
from nn_testing import assert_close, numpy
from olivine import nn

init = nn.init
KINDS: list[Any] = [
    init.constant(2.0),
    init.normal(),
    init.uniform(),
    init.identity(),
    init.glorot_normal(),
    init.glorot_uniform(),
    init.he_normal(),
    init.he_uniform(),
    init.sparse(0.5),
    init.orthogonal(),
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_shape_is_that_of_the_array_but_not_its_dtype(kind: Any) -> None:
    y = kind(mx.zeros((6, 6), mx.int32))
    assert y.shape == (6, 6) and y.dtype == mx.float32


def test_dtypes_are_chosen() -> None:
    makers: list[Any] = [
        init.normal,
        init.uniform,
        init.identity,
        init.glorot_normal,
        init.glorot_uniform,
        init.he_normal,
        init.he_uniform,
        init.orthogonal,
    ]
    for maker in makers:
        assert maker(dtype=mx.float16)(mx.zeros((4, 4))).dtype == mx.float16
    assert init.constant(3, mx.int32)(mx.zeros(2)).tolist() == [3, 3]
    assert init.sparse(0.5, dtype=mx.bfloat16)(mx.zeros((4, 4))).dtype == mx.bfloat16


def moments(y: mx.array) -> tuple[float, float]:
    values = numpy(y)
    return values.mean(), values.std()


def test_normal_and_uniform_have_their_moments() -> None:
    mx.random.seed(0)
    mean, deviation = moments(init.normal(mean=2.0, std=0.5)(mx.zeros((200, 200))))
    assert abs(mean - 2) < 0.02 and abs(deviation - 0.5) < 0.02
    y = init.uniform(-1, 3)(mx.zeros((200, 200)))
    mean, deviation = moments(y)
    assert abs(mean - 1) < 0.03 and abs(deviation - 4 / math.sqrt(12)) < 0.03
    assert numpy(y).min() >= -1 and numpy(y).max() < 3


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("shape", [(300, 100), (60, 3, 3, 40)])
def test_fans_count_the_window_of_a_kernel(uniform: bool, shape: tuple[int, ...]) -> None:
    mx.random.seed(0)
    window = math.prod(shape[1:-1])
    fan_in, fan_out = shape[-1] * window, shape[0] * window
    a = mx.zeros(shape)
    glorot: Any = init.glorot_uniform() if uniform else init.glorot_normal()
    he: Any = init.he_uniform() if uniform else init.he_normal()
    for y, variance in (
        (glorot(a), 2 / (fan_in + fan_out)),
        (glorot(a, gain=3.0), 18 / (fan_in + fan_out)),
        (he(a), 1 / fan_in),
        (he(a, mode="fan_out"), 1 / fan_out),
        (he(a, "fan_in", 2.0), 4 / fan_in),
    ):
        mean, deviation = moments(y)
        assert abs(mean) < 0.03 * deviation * 3
        assert abs(deviation / math.sqrt(variance) - 1) < 0.03
        if uniform:
            assert np.abs(numpy(y)).max() <= math.sqrt(3 * variance) * (1 + 1e-6)


def test_sparse_zeroes_the_same_number_in_each_row() -> None:
    y = numpy(init.sparse(0.3, mean=10)(mx.zeros((50, 10))))
    assert ((y == 0).sum(axis=1) == 3).all()
    assert len({tuple(row == 0) for row in y}) > 10
    assert abs(y[y != 0].mean() - 10) < 0.3


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (4, 7)])
def test_orthogonal_rows_or_columns(shape: tuple[int, int]) -> None:
    q = numpy(init.orthogonal(gain=2.0)(mx.zeros(shape)))
    product = q @ q.T if shape[0] <= shape[1] else q.T @ q
    np.testing.assert_allclose(product, 4 * np.eye(min(shape)), atol=1e-5)


def test_identity_is_square() -> None:
    assert_close(init.identity()(mx.zeros((3, 3))), np.eye(3), 0)


def test_arrays_of_the_wrong_shape_are_refused() -> None:
    for kind, shape in (
        (init.identity(), (2, 3)),
        (init.identity(), (2,)),
        (init.sparse(0.5), (2, 2, 2)),
        (init.orthogonal(), (2,)),
        (init.glorot_normal(), (3,)),
        (init.he_uniform(), (3,)),
    ):
        with pytest.raises(ValueError):
            kind(mx.zeros(shape))
    with pytest.raises(ValueError, match="mode"):
        init.he_normal()(mx.zeros((2, 2)), mode="fan_sum")  # type: ignore[arg-type]
