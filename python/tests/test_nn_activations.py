"""Activations against NumPy: values, gradients, extremes, and the layers that apply them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import olivine.core as mx
import pytest
from nn_testing import Numbers, array, assert_close, erf, numbers, sigmoid, slope, softmax
from olivine import nn


def _softplus(x: Numbers) -> Numbers:
    return np.logaddexp(x, 0)


def _elu(x: Numbers, alpha: float = 1.0) -> Numbers:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _tanh_gelu(x: Numbers) -> Numbers:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _log_softmax(x: Numbers) -> Numbers:
    return np.log(softmax(x))


# The function, its layer, and the formula.
ELEMENTWISE: list[tuple[Any, Any, Callable[[Numbers], Numbers]]] = [
    (nn.sigmoid, nn.Sigmoid(), sigmoid),
    (nn.tanh, nn.Tanh(), np.tanh),
    (nn.relu, nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.relu2, nn.ReLU2(), lambda x: np.maximum(x, 0) ** 2),
    (nn.relu6, nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    (nn.leaky_relu, nn.LeakyReLU(), lambda x: np.where(x > 0, x, 0.01 * x)),
    (nn.elu, nn.ELU(), _elu),
    (nn.celu, nn.CELU(), _elu),
    (nn.selu, nn.SELU(), lambda x: 1.0507 * _elu(x, 1.67326)),
    (nn.softplus, nn.Softplus(), _softplus),
    (nn.softsign, nn.Softsign(), lambda x: x / (1 + np.abs(x))),
    (nn.softshrink, nn.Softshrink(), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    (nn.hard_shrink, nn.HardShrink(), lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    (nn.hard_tanh, nn.HardTanh(), lambda x: np.clip(x, -1, 1)),
    (nn.hardswish, nn.Hardswish(), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    (nn.silu, nn.SiLU(), lambda x: x * sigmoid(x)),
    (nn.log_sigmoid, nn.LogSigmoid(), lambda x: -_softplus(-x)),
    (nn.mish, nn.Mish(), lambda x: x * np.tanh(_softplus(x))),
    (nn.gelu, nn.GELU(), lambda x: x * (1 + erf(x / math.sqrt(2))) / 2),
    (nn.gelu_approx, nn.GELU("precise"), _tanh_gelu),
    (nn.gelu_approx, nn.GELU("tanh"), _tanh_gelu),
    (nn.gelu_fast_approx, nn.GELU("fast"), lambda x: x * sigmoid(1.702 * x)),
]
IDS = [repr(layer) for _, layer, _ in ELEMENTWISE]


@pytest.mark.parametrize(("function", "layer", "formula"), ELEMENTWISE, ids=IDS)
def test_functions_and_layers_follow_the_formula(
    function: Any, layer: Any, formula: Callable[[Numbers], Numbers]
) -> None:
    x = 3 * numbers(5, 7)
    assert_close(function(array(x)), formula(x))
    assert_close(layer(array(x)), formula(x))


@pytest.mark.parametrize(("function", "layer", "formula"), ELEMENTWISE, ids=IDS)
def test_gradients_are_the_slopes_of_the_formula(
    function: Any, layer: Any, formula: Callable[[Numbers], Numbers]
) -> None:
    x = 3 * numbers(40)
    gradient = mx.grad(lambda x: function(x).sum())(array(x))
    assert_close(gradient, slope(formula, x), 2e-4)


@pytest.mark.parametrize(("function", "layer", "formula"), ELEMENTWISE, ids=IDS)
def test_half_precision_inputs_give_half_precision_outputs(
    function: Any, layer: Any, formula: Callable[[Numbers], Numbers]
) -> None:
    x = numbers(8)
    for dtype in (mx.float16, mx.bfloat16):
        y = function(array(x).astype(dtype))
        assert y.dtype == dtype
        assert_close(y.astype(mx.float32), formula(x), 0.03)


def test_softmax_and_its_kin_work_along_any_axis() -> None:
    x = 3 * numbers(4, 5, 6)
    for axis in (0, 1, -1):
        assert_close(nn.softmax(array(x), axis=axis), softmax(x, axis))
        assert_close(nn.softmin(array(x), axis=axis), softmax(-x, axis))
        assert_close(nn.log_softmax(array(x), axis=axis), np.log(softmax(x, axis)))


def test_layers_of_distributions_use_the_last_axis() -> None:
    x = numbers(4, 5)
    assert_close(nn.Softmax()(array(x)), softmax(x))
    assert_close(nn.Softmin()(array(x)), softmax(-x))
    assert_close(nn.LogSoftmax()(array(x)), np.log(softmax(x)))


def test_settings_reach_the_function() -> None:
    x = 2 * numbers(20)
    assert_close(nn.LeakyReLU(0.2)(array(x)), np.where(x > 0, x, 0.2 * x))
    assert_close(nn.ELU(0.5)(array(x)), _elu(x, 0.5))
    assert_close(nn.CELU(2.0)(array(x)), np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2)))
    assert_close(nn.Softshrink(1.0)(array(x)), np.sign(x) * np.maximum(np.abs(x) - 1, 0))
    assert_close(nn.HardShrink(1.0)(array(x)), np.where(np.abs(x) > 1, x, 0))
    assert_close(nn.hard_tanh(array(x), -0.5, 0.25), np.clip(x, -0.5, 0.25))


def test_step_gives_integers_and_counts_the_threshold_itself() -> None:
    y = nn.Step(0.5)(mx.array([0.4, 0.5, 0.6]))
    assert y.tolist() == [0, 1, 1]
    assert y.dtype == mx.int32


def test_prelu_learns_one_slope_for_each_channel() -> None:
    layer = nn.PReLU(3, init=0.5)
    layer.weight = mx.array([0.0, 0.5, 1.0])
    x = numbers(4, 3)
    assert_close(layer(array(x)), np.where(x > 0, x, x * np.array([0, 0.5, 1])))
    gradient = mx.grad(lambda w: nn.prelu(array(x), w).sum())(layer.weight)
    assert_close(gradient, np.minimum(x, 0).sum(axis=0))


def test_glu_gates_the_first_half_by_the_second() -> None:
    x = numbers(4, 6)
    assert_close(nn.glu(array(x)), x[:, :3] * sigmoid(x[:, 3:]))
    assert_close(nn.GLU(axis=0)(array(x)), x[:2] * sigmoid(x[2:]))


def test_large_inputs_do_not_overflow() -> None:
    x = mx.array([-1e4, 1e4])
    assert nn.softplus(x).tolist() == [0, 1e4]
    assert nn.log_sigmoid(x).tolist() == [-1e4, 0]
    assert nn.mish(x).tolist() == [0, 1e4]
    assert nn.elu(x).tolist() == [-1, 1e4]
    assert nn.celu(x).tolist() == [-1, 1e4]
    assert nn.log_softmax(x).tolist() == [-2e4, 0]


def test_log_softmax_keeps_the_digits_of_large_scores() -> None:
    x = np.array([10000.0, 10001.0, 9999.0])
    assert_close(nn.log_softmax(array(x)), _log_softmax(x), 1e-6)


def test_unknown_approximations_of_gelu_are_refused() -> None:
    with pytest.raises(ValueError, match="approx"):
        nn.GELU("rough")
