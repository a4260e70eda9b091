"""Gradients of modules, recomputation, and a model that learns."""

from __future__ import annotations

from functools import partial

import numpy as np
import olivine.core as mx
from nn_testing import array, assert_close, numbers, numpy
from olivine import nn
from olivine.nn.utils import checkpoint
from olivine.utils import tree_flatten, tree_map


def test_gradients_are_those_of_the_trainable_parameters() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).freeze(keys="bias")
    x = numbers(5, 3)
    value, gradient = nn.value_and_grad(model, lambda x: model(x).sum())(array(x))
    assert list(tree_flatten(gradient, destination={})) == ["layers.0.weight", "layers.1.weight"]
    first, second = model.layers
    hidden = x @ numpy(first.weight).T + numpy(first.bias)
    assert_close(value, (hidden @ numpy(second.weight).T + numpy(second.bias)).sum(), 1e-4)
    assert_close(gradient["layers"][1]["weight"], np.ones((2, 1)) * hidden.sum(0), 1e-4)
    back = np.ones((5, 2)) @ numpy(second.weight)
    assert_close(gradient["layers"][0]["weight"], back.T @ x, 1e-4)


def test_values_may_be_tuples_and_arguments_may_be_named() -> None:
    model = nn.Linear(2, 1)

    def loss(x: mx.array, *, scale: float) -> tuple[mx.array, str]:
        """The loss."""
        return scale * model(x).sum(), "more"

    step = nn.value_and_grad(model, loss)
    assert step.__doc__ == "The loss."
    (_, more), gradient = step(mx.ones((1, 2)), scale=3.0)
    assert more == "more" and gradient["bias"].tolist() == [3]


def test_what_a_layer_changes_while_it_trains_stays() -> None:
    model = nn.BatchNorm(3)
    x = numbers(6, 3)
    _, gradient = nn.value_and_grad(model, lambda x: model(x).square().sum())(array(x))
    assert sorted(gradient) == ["bias", "weight"]
    assert_close(model.running_mean, 0.1 * x.mean(0))


def test_a_module_may_be_the_argument_of_grad() -> None:
    model = nn.Linear(2, 1)
    gradient = mx.grad(lambda m: m(mx.array([2.0, 3.0])).sum())(model)
    assert gradient["weight"].tolist() == [[2, 3]]


def test_recomputation_gives_the_same_values_and_gradients() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
    x = array(numbers(4, 3))

    again = checkpoint(model)
    want_value, want = nn.value_and_grad(model, lambda: model(x).square().sum())()
    value, got = nn.value_and_grad(model, lambda: again(x).square().sum())()
    assert_close(value, want_value.item(), 1e-6)
    tree_map(lambda a, b: assert_close(a, numpy(b), 1e-6), got, want)


def test_recomputation_of_a_function_of_a_module() -> None:
    model = nn.Linear(3, 2)
    scaled = checkpoint(model, lambda x, scale=1.0: scale * model(x))
    x = array(numbers(4, 3))
    assert_close(scaled(x, scale=2.0), 2 * numpy(model(x)))
    gradient = mx.grad(lambda x: scaled(x, scale=2.0).sum())(x)
    assert_close(gradient, np.ones((4, 2)) @ numpy(model.weight) * 2)


def test_a_small_network_learns_exclusive_or() -> None:
    mx.random.seed(1)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    x = mx.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = mx.array([[0.0], [1.0], [1.0], [0.0]])
    step = nn.value_and_grad(model, lambda: nn.losses.binary_cross_entropy(model(x), y))
    first = step()[0].item()
    for _ in range(400):
        value, gradient = step()
        model.update(tree_map(lambda p, g: p - 0.5 * g, model.trainable_parameters(), gradient))
        mx.eval(model.parameters(), value)
    assert value.item() < 0.05 * first
    assert ((model(x) > 0) == (y > 0)).all().item()


def test_compiled_steps_use_and_change_the_state() -> None:
    model = nn.BatchNorm(2)
    x = array(numbers(8, 2))

    @partial(mx.compile, inputs=model.state, outputs=model.state)
    def run(x: mx.array) -> mx.array:
        return model(x)

    plain = nn.BatchNorm(2)
    for _ in range(3):
        assert_close(run(x), numpy(plain(x)), 1e-5)
    mx.eval(model.state)
    assert_close(model.running_var, numpy(plain.running_var), 1e-5)
