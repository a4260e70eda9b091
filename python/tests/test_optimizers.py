"""Owns the tests of optimizers: their numbers come from the papers' formulas, in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import olivine.core as mx
import olivine.optimizers as optim
import pytest
from olivine.utils import tree_flatten, tree_map, tree_unflatten

Numbers = npt.NDArray[np.float64]
STEPS = 6
RATE = 0.05

OPTIMIZERS = [
    optim.SGD,
    optim.RMSprop,
    optim.Adagrad,
    optim.AdaDelta,
    optim.Adam,
    optim.AdamW,
    optim.Adamax,
    optim.Lion,
    optim.Adafactor,
    optim.Muon,
]


def numbers(*shape: int, seed: int = 0) -> Numbers:
    return np.random.default_rng(seed).normal(size=shape)


def trained(optimizer: optim.Optimizer, start: Numbers, gradients: list[Numbers]) -> Numbers:
    """Returns a parameter after one step for each gradient."""
    parameters = {"w": mx.array(start.astype(np.float32))}
    for gradient in gradients:
        grads = {"w": mx.array(gradient.astype(np.float32))}
        parameters = optimizer.apply_gradients(grads, parameters)
    return np.array(parameters["w"], dtype=np.float64)


def check(optimizer: optim.Optimizer, rule: Callable[[int, Numbers, Numbers], Numbers]) -> None:
    """Compares an optimizer with a rule that takes the step, the parameter and the gradient."""
    start = numbers(3, 4)
    gradients = [numbers(3, 4, seed=step) for step in range(1, STEPS + 1)]
    expected = start
    for step, gradient in enumerate(gradients, start=1):
        expected = rule(step, expected, gradient)
    np.testing.assert_allclose(trained(optimizer, start, gradients), expected, 2e-5, 2e-6)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("dampening", [0.0, 0.3])
def test_sgd(nesterov: bool, dampening: float) -> None:
    if nesterov and dampening:
        with pytest.raises(ValueError, match="dampening"):
            optim.SGD(RATE, momentum=0.9, dampening=dampening, nesterov=True)
        return
    v = np.zeros((3, 4))

    def rule(step: int, w: Numbers, g: Numbers) -> Numbers:
        nonlocal v
        g = g + 0.1 * w
        v = 0.9 * v + (1 - dampening) * g
        return w - RATE * (g + 0.9 * v if nesterov else v)

    check(optim.SGD(RATE, 0.9, 0.1, dampening, nesterov), rule)


def test_sgd_without_momentum_keeps_no_velocity_up_to_date() -> None:
    check(optim.SGD(RATE), lambda step, w, g: w - RATE * g)


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match="momentum"):
        optim.SGD(RATE, nesterov=True)


def test_rmsprop() -> None:
    v = np.zeros((3, 4))

    def rule(step: int, w: Numbers, g: Numbers) -> Numbers:
        nonlocal v
        v = 0.8 * v + 0.2 * g**2
        return w - RATE * g / (np.sqrt(v) + 1e-3)

    check(optim.RMSprop(RATE, alpha=0.8, eps=1e-3), rule)


def test_adagrad() -> None:
    v = np.zeros((3, 4))

    def rule(step: int, w: Numbers, g: Numbers) -> Numbers:
        nonlocal v
        v = v + g**2
        return w - RATE * g / (np.sqrt(v) + 1e-8)

    check(optim.Adagrad(RATE), rule)


def test_adadelta() -> None:
    v, u = np.zeros((3, 4)), np.zeros((3, 4))

    def rule(step: int, w: Numbers, g: Numbers) -> Numbers:
        nonlocal v, u
        v = 0.7 * v + 0.3 * g**2
        d = np.sqrt(u + 1e-3) / np.sqrt(v + 1e-3) * g
        u = 0.7 * u + 0.3 * d**2
        return w - RATE * d

    check(optim.AdaDelta(RATE, rho=0.7, eps=1e-3), rule)


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("correct", [False, True])
def test_adam_and_adamw(decay: float, correct: bool) -> None:
    m, v = np.zeros((3, 4)), np.zeros((3, 4))

    def rule(step: int, w: Numbers, g: Numbers) -> Numbers:
        nonlocal m, v
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + 0.1 * g**2
        mean = m / (1 - 0.8**step) if correct else m
        square = v / (1 - 0.9**step) if correct else v
        return (1 - RATE * decay) * w - RATE * mean / (np.sqrt(square) + 1e-6)

    check(optim.AdamW(RATE, (0.8, 0.9), 1e-6, decay, correct), rule)
    if decay == 0.0:
        m, v = np.zeros((3, 4)), np.zeros((3, 4))
        check(optim.Adam(RATE, (0.8, 0.9), 1e-6, correct), rule)


def test_adamax() -> None:
    m, v = np.zeros((3, 4)), np.zeros((3, 4))

    def rule(step: int, w: Numbers, g: Numbers) -> Numbers:
        nonlocal m, v
        m = 0.9 * m + 0.1 * g
        v = np.maximum(0.999 * v, np.abs(g))
        return w - RATE * m / (v + 1e-8)

    check(optim.Adamax(RATE), rule)


def test_lion() -> None:
    m = np.zeros((3, 4))

    def rule(step: int, w: Numbers, g: Numbers) -> Numbers:
        nonlocal m
        direction = np.sign(0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
        return w - RATE * (direction + 0.3 * w)

    check(optim.Lion(RATE, weight_decay=0.3), rule)


def test_adafactor() -> None:
    row, column, mean = np.zeros(3), np.zeros(4), np.zeros((3, 4))

    def size(x: Numbers) -> float:
        return float(np.sqrt(np.mean(x**2)))

    def rule(step: int, w: Numbers, g: Numbers) -> Numbers:
        nonlocal row, column, mean
        rate = max(1e-3, size(w)) * min(1e-2, 1 / math.sqrt(step))
        keep = 1 - step**-0.8
        row = keep * row + (1 - keep) * np.mean(g**2, axis=1)
        column = keep * column + (1 - keep) * np.mean(g**2, axis=0)
        u = g / np.sqrt(np.outer(row, column) / row.mean())
        u = rate * u / max(1.0, size(u) / 0.5)
        mean = 0.6 * mean + 0.4 * u
        new: Numbers = w * (1 - 0.1 * rate) - mean
        return new

    check(optim.Adafactor(clip_threshold=0.5, beta_1=0.6, weight_decay=0.1), rule)


def test_adafactor_keeps_all_squares_of_a_vector() -> None:
    optimizer = optim.Adafactor(RATE, relative_step=False, scale_parameter=False)
    w, g = numbers(5), numbers(5, seed=1)
    u = g / np.abs(g)  # the first step's mean is the square itself
    np.testing.assert_allclose(trained(optimizer, w, [g]), w - RATE * u, 1e-5, 1e-6)
    assert list(optimizer.state["w"]) == ["exp_avg_sq"]


def test_adafactor_warms_up() -> None:
    optimizer = optim.Adafactor(scale_parameter=False, warmup_init=True)
    moved = trained(optimizer, np.zeros(1), [np.ones(1)] * 3)
    np.testing.assert_allclose(moved, [-6e-6], 1e-4)


@pytest.mark.parametrize("shape", [(3, 4), (5, 2), (4, 2, 3)])
@pytest.mark.parametrize("nesterov", [False, True])
def test_muon(shape: tuple[int, ...], nesterov: bool) -> None:
    w, g = numbers(*shape), numbers(*shape, seed=1)
    full = g + 0.1 * w
    v = 0.05 * full
    step = 0.05 * full + 0.95 * v if nesterov else v
    x = step.reshape(shape[0], -1)
    x = x / np.linalg.norm(x)
    # The polynomial acts on singular values, whichever way the matrix lies.
    left, s, right = np.linalg.svd(x, full_matrices=False)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    expected = w - RATE * max(1, shape[-2] / shape[-1]) ** 0.5 * (left * s @ right).reshape(shape)
    optimizer = optim.Muon(RATE, weight_decay=0.1, nesterov=nesterov)
    np.testing.assert_allclose(trained(optimizer, w, [g]), expected, 1e-4, 1e-5)


def test_muon_steps_along_the_momentum_of_vectors() -> None:
    moved = trained(optim.Muon(RATE, weight_decay=0.0, nesterov=False), np.zeros(2), [np.ones(2)])
    np.testing.assert_allclose(moved, -RATE * 0.05, 1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.RMSprop(RATE, alpha=-1), "alpha"),
        (lambda: optim.RMSprop(RATE, eps=0.0), ">0"),
        (lambda: optim.Adagrad(RATE, eps=0.0), ">0"),
        (lambda: optim.AdaDelta(RATE, rho=-0.1), "rho"),
        (lambda: optim.AdaDelta(RATE, eps=0.0), ">0"),
        (lambda: optim.Adam(RATE, betas=(0.9, 1.0)), "beta2"),
        (lambda: optim.Adam(RATE, eps=-1e-8), "eps"),
        (lambda: optim.Lion(RATE, betas=(-0.1, 0.9)), "beta1"),
        (lambda: optim.MultiOptimizer([optim.SGD(RATE)] * 2), "filters"),
        (lambda: optim.step_decay(1.0, 0.5, 0), "step_size"),
        (lambda: optim.cosine_decay(1.0, 0), "decay_steps"),
        (lambda: optim.linear_schedule(0.0, 1.0, 0), "steps"),
        (lambda: optim.join_schedules([], []), "no schedule"),
        (lambda: optim.join_schedules([abs], [1]), "boundaries"),
        (lambda: optim.clip_grad_norm({}, -1.0), "max_norm"),
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_dtypes_and_structures_are_kept(kind: Any, dtype: Any) -> None:
    parameters = {"a": [mx.ones((3, 2), dtype), (mx.ones((2,), dtype),)], "b": mx.ones((), dtype)}
    optimizer = kind(learning_rate=optim.exponential_decay(0.1, 0.5))
    for _ in range(2):
        new = optimizer.apply_gradients(parameters, parameters)
    leaves = tree_flatten(
        tree_map(lambda p, n: (p.shape, p.dtype) == (n.shape, n.dtype), parameters, new)
    )
    assert [path for path, same in leaves if same] == ["a.0", "a.1.0", "b"]
    slots = [x for path, x in tree_flatten(optimizer.state) if path[0] in "ab"]
    assert slots and all(x.dtype == dtype for x in slots)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_saved_state_continues_where_it_stopped(kind: Any, tmp_path: Path) -> None:
    def gradient(seed: int) -> Any:
        return {"layers": [{"w": mx.array(numbers(3, 2, seed=seed).astype(np.float32))}]}

    schedule = optim.cosine_decay(0.1, 10)
    first = kind(learning_rate=schedule)
    parameters = first.apply_gradients(gradient(1), gradient(0))
    file = str(tmp_path / "state.safetensors")
    mx.save_safetensors(file, tree_flatten(first.state, destination={}))

    second = kind(learning_rate=schedule)
    loaded: Any = mx.load(file)
    second.state = tree_unflatten(loaded)
    a = first.apply_gradients(gradient(2), parameters)
    b = second.apply_gradients(gradient(2), parameters)
    assert mx.array_equal(a["layers"][0]["w"], b["layers"][0]["w"]).item()
    assert second.step.item() == 2


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_compiled_step_follows_the_schedule(kind: Any) -> None:
    def run(compiled: bool) -> Any:
        optimizer = kind(learning_rate=optim.linear_schedule(0.1, 0.0, 4))
        model = {"w": mx.array(numbers(3, 3).astype(np.float32))}
        optimizer.init(model)
        state = [model, optimizer.state]

        def step(gradient: mx.array) -> None:
            optimizer.update(model, {"w": gradient})

        if compiled:
            step = partial(mx.compile, inputs=state, outputs=state)(step)
        for seed in range(1, 5):
            step(mx.array(numbers(3, 3, seed=seed).astype(np.float32)))
            mx.eval(state)
        return model["w"], optimizer

    plain, optimizer = run(compiled=False)
    traced, _ = run(compiled=True)
    assert optimizer.step.item() == 4
    np.testing.assert_allclose(np.array(traced), np.array(plain), 1e-5, 1e-6)


def test_init_leaves_existing_state_alone() -> None:
    optimizer = optim.SGD(RATE, momentum=0.9)
    parameters = {"a": mx.ones((2,)), "list": [{}, {"b": mx.ones((2,))}]}
    optimizer.init({"a": parameters["a"]})
    state, slot = optimizer.state, optimizer.state["a"]
    slot["v"] = mx.full((2,), 7.0)
    optimizer.init(parameters)
    assert optimizer.state is state and state["a"] is slot
    assert slot["v"].tolist() == [7.0, 7.0]
    assert state["list"][0] == {} and state["list"][1]["b"]["v"].tolist() == [0.0, 0.0]


def test_parameters_may_be_more_than_the_gradients() -> None:
    parameters = {"a": mx.ones((1,)), "frozen": mx.ones((1,))}
    assert list(optim.SGD(RATE).apply_gradients({"a": mx.ones((1,))}, parameters)) == ["a"]


def test_the_learning_rate_is_part_of_the_state() -> None:
    optimizer = optim.SGD(0.5)
    assert optimizer.learning_rate.item() == 0.5
    optimizer.learning_rate = 0.25
    assert optimizer.state["learning_rate"].item() == 0.25
    assert optimizer.step.dtype == mx.uint64


def test_a_new_optimizer_schedules_other_values_too() -> None:
    optimizer = optim.Optimizer(schedulers={"mixing": lambda step: step * 2})
    optimizer.update({}, {})
    optimizer.update({}, {})
    assert optimizer.state["mixing"].item() == 2
    with pytest.raises(NotImplementedError, match="init_single"):
        optim.Optimizer().update({"w": mx.ones((1,))}, {"w": mx.ones((1,))})


def test_multi_optimizer_shares_parameters_out() -> None:
    adam, sgd = optim.Adam(0.1), optim.SGD(0.5, momentum=0.9)
    optimizer = optim.MultiOptimizer([adam, sgd], [lambda path, g: g.ndim > 1])
    parameters = {"layers": [{"weight": mx.ones((2, 2)), "bias": mx.ones((2,))}, {}]}
    optimizer.init(parameters)
    assert [path for path, _ in tree_flatten(optimizer.state)] == [
        "states.0.step",
        "states.0.learning_rate",
        "states.0.layers.0.weight.m",
        "states.0.layers.0.weight.v",
        "states.1.step",
        "states.1.learning_rate",
        "states.1.layers.0.bias.v",
    ]
    new = optimizer.apply_gradients(parameters, parameters)
    assert new["layers"][0]["bias"].tolist() == [0.5, 0.5]
    moved = 1 - 0.1 * 0.1 / math.sqrt(0.001)
    np.testing.assert_allclose(np.array(new["layers"][0]["weight"]), moved, 1e-5)


def test_multi_optimizer_state_and_learning_rate_reach_all() -> None:
    def make() -> optim.MultiOptimizer:
        return optim.MultiOptimizer(
            [optim.SGD(0.1), optim.Adam(0.2)], [lambda path, g: path == "a"]
        )

    first, second = make(), make()
    w = {"a": mx.ones((1,)), "b": mx.ones((1,))}
    first.apply_gradients(w, w)
    second.state = tree_unflatten(tree_flatten(first.state))
    assert [inner.step.item() for inner in second.optimizers] == [1, 1]
    second.learning_rate = 0.5
    assert [inner.learning_rate.item() for inner in second.optimizers] == [0.5, 0.5]
    assert second.learning_rate.item() == 0.5
    with pytest.raises(ValueError, match="states"):
        second.state = {"states": []}


@pytest.mark.parametrize("as_array", [False, True])
def test_schedules(as_array: bool) -> None:
    def values(schedule: Any, steps: int = 6) -> list[float]:
        return [float(schedule(mx.array(s, mx.uint64) if as_array else s)) for s in range(steps)]

    def approx(expected: list[float]) -> Any:
        return pytest.approx(expected, rel=1e-5, abs=1e-7)

    assert values(optim.exponential_decay(0.1, 0.9)) == approx([0.1 * 0.9**s for s in range(6)])
    assert values(optim.step_decay(0.1, 0.9, 2)) == approx(
        [0.1 * 0.9 ** (s // 2) for s in range(6)]
    )
    cosine = [0.02 + 0.08 * 0.5 * (1 + math.cos(math.pi * min(s, 4) / 4)) for s in range(6)]
    assert values(optim.cosine_decay(0.1, 4, 0.02)) == approx(cosine)
    linear = [0.5, 0.4, 0.3, 0.2, 0.2, 0.2]
    assert values(optim.linear_schedule(0.5, 0.2, 3)) == approx(linear)


def test_joined_schedules_count_from_their_beginnings() -> None:
    schedules = [
        optim.linear_schedule(0.0, 1.0, 2),
        optim.exponential_decay(1.0, 0.5),
        lambda s: 7.0 + s,
    ]
    joined = optim.join_schedules(schedules, [2, 4])
    assert [joined(step).item() for step in range(6)] == [0.0, 0.5, 1.0, 0.5, 7.0, 8.0]


@pytest.mark.parametrize("max_norm", [0.0, 1.0, 100.0])
def test_clipping_scales_all_gradients_alike(max_norm: float) -> None:
    grads = {"a": [mx.array([3.0, 4.0])], "b": mx.array([[12.0]], mx.bfloat16)}
    clipped, norm = optim.clip_grad_norm(grads, max_norm)
    assert norm.item() == pytest.approx(13.0)
    scale = min(1.0, max_norm / 13.0)
    np.testing.assert_allclose(np.array(clipped["a"][0]), np.array([3.0, 4.0]) * scale, 1e-5)
    assert clipped["b"].dtype == mx.bfloat16
    assert clipped["b"].item() == pytest.approx(12.0 * scale, rel=4e-3)


def test_clipping_squares_half_precision_in_single() -> None:
    clipped, norm = optim.clip_grad_norm([mx.full((4,), 1000.0, mx.float16)], 1.0)
    assert norm.item() == pytest.approx(2000.0)
    assert clipped[0].dtype == mx.float16
    np.testing.assert_allclose(np.array(clipped[0], dtype=np.float32), 0.5, 1e-3)
