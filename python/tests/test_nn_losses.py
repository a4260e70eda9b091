"""Losses against NumPy: values, weights, reductions, shapes that do not match."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import olivine.core as mx
import pytest
from nn_testing import Numbers, array, assert_close, numbers, sigmoid, softmax
from olivine import nn

losses = nn.losses
A, B, C = numbers(4, 5), numbers(4, 5, seed=1), numbers(4, 5, seed=2)
SIGNS = np.sign(C)
LOG_P, LOG_Q = np.log(softmax(A)), np.log(softmax(B))
IDS = np.array([0, 4, 2, 2])
D = np.abs(A - B)


def picked(x: Numbers) -> Numbers:
    return x[np.arange(4), IDS]


def distance(x: Numbers, y: Numbers, p: int = 2) -> Numbers:
    return ((np.abs(x - y) ** p).sum(-1) + 1e-6) ** (1 / p)


def cosine(x: Numbers, y: Numbers) -> Numbers:
    return (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)


CASES: list[tuple[str, Callable[..., mx.array], tuple[Any, ...], Numbers]] = [
    ("cross_entropy of ids", losses.cross_entropy, (A, IDS), -picked(LOG_P)),
    ("cross_entropy", losses.cross_entropy, (A, softmax(B)), -(softmax(B) * LOG_P).sum(-1)),
    ("nll", losses.nll_loss, (LOG_P, IDS), -picked(LOG_P)),
    ("kl_div", losses.kl_div_loss, (LOG_P, LOG_Q), (softmax(B) * (LOG_Q - LOG_P)).sum(-1)),
    (
        "binary_cross_entropy",
        losses.binary_cross_entropy,
        (A, sigmoid(B)),
        -sigmoid(B) * np.log(sigmoid(A)) - sigmoid(-B) * np.log(sigmoid(-A)),
    ),
    ("l1", losses.l1_loss, (A, B), D),
    ("mse", losses.mse_loss, (A, B), D**2),
    ("smooth_l1", losses.smooth_l1_loss, (A, B), np.where(D < 1, D**2 / 2, D - 0.5)),
    ("huber", losses.huber_loss, (A, B), np.where(D < 1, D**2 / 2, D - 0.5)),
    ("log_cosh", losses.log_cosh_loss, (A, B), np.log(np.cosh(A - B))),
    ("hinge", losses.hinge_loss, (A, SIGNS), np.maximum(0, 1 - A * SIGNS)),
    (
        "gaussian_nll",
        losses.gaussian_nll_loss,
        (A, B, np.abs(C)),
        (np.log(np.abs(C)) + D**2 / np.abs(C)) / 2,
    ),
    (
        "triplet",
        losses.triplet_loss,
        (A, B, C),
        np.maximum(0, distance(A, B) - distance(A, C) + 1),
    ),
    ("cosine_similarity", losses.cosine_similarity_loss, (A, B), cosine(A, B)),
    (
        "margin_ranking",
        losses.margin_ranking_loss,
        (A, B, SIGNS),
        np.maximum(0, -SIGNS * (A - B)),
    ),
]


def given(*arguments: Any) -> list[mx.array]:
    return [mx.array(a) if a.dtype.kind == "i" else array(a) for a in arguments]


@pytest.mark.parametrize(
    ("loss", "arguments", "want"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_losses_follow_the_formula_in_every_reduction(
    loss: Callable[..., mx.array], arguments: tuple[Any, ...], want: Numbers
) -> None:
    assert_close(loss(*given(*arguments), reduction="none"), want)
    assert_close(loss(*given(*arguments), reduction="mean"), want.mean())
    assert_close(loss(*given(*arguments), reduction="sum"), want.sum(), 2e-5)
    with pytest.raises(ValueError, match="reduction"):
        loss(*given(*arguments), reduction="median")


@pytest.mark.parametrize(
    ("loss", "arguments", "want"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_gradients_are_those_of_differences(
    loss: Callable[..., mx.array], arguments: tuple[Any, ...], want: Numbers
) -> None:
    first, *rest = arguments
    way = numbers(*first.shape, seed=5)

    def total(t: mx.array) -> mx.array:
        x = array(first) + t * array(way)
        return loss(x, *given(*rest), reduction="sum")

    step = 1e-2
    differences = (total(mx.array(step)) - total(mx.array(-step))).item() / (2 * step)
    assert abs(mx.grad(total)(mx.array(0.0)).item() - differences) < 0.02 * (1 + abs(differences))


def test_cross_entropy_along_any_axis_with_weights_and_smoothing() -> None:
    x = numbers(4, 6, 5)
    ids = np.argmax(numbers(4, 5), axis=1)[:, None] + np.zeros((4, 5), int)
    log_p = np.log(softmax(x, 1))
    hit = np.take_along_axis(log_p, ids[:, None], 1)[:, 0]
    assert_close(losses.cross_entropy(array(x), mx.array(ids), axis=1), -hit)
    smooth = losses.cross_entropy(array(x), mx.array(ids), axis=1, label_smoothing=0.3)
    assert_close(smooth, -0.7 * hit - 0.3 * log_p.mean(1))
    weights = np.abs(numbers(4, 5))
    weighted = losses.cross_entropy(array(x), mx.array(ids), array(weights), 1, reduction="mean")
    assert_close(weighted, (-hit * weights).mean())


def test_cross_entropy_of_certain_scores_is_exact() -> None:
    x = mx.array([[0.0, -math.inf], [-math.inf, 0.0]])
    assert losses.cross_entropy(x, mx.array([0, 1])).tolist() == [0, 0]
    big = mx.array([[10000.0, 10001.0]])
    assert_close(losses.cross_entropy(big, mx.array([1])), [math.log1p(math.exp(-1))], 1e-6)


def test_binary_cross_entropy_of_probabilities_is_never_infinite() -> None:
    p, t, w = sigmoid(A), (B > 0).astype(float), np.abs(C)
    want = -t * np.log(p) - (1 - t) * np.log(1 - p)
    got = losses.binary_cross_entropy(array(p), array(t), with_logits=False, reduction="none")
    assert_close(got, want, 1e-4)
    weighted = losses.binary_cross_entropy(array(p), array(t), array(w), with_logits=False)
    assert_close(weighted, (want * w).mean(), 1e-4)
    sure = losses.binary_cross_entropy(
        mx.array([0.0, 1.0]), mx.array([1.0, 1.0]), with_logits=False, reduction="none"
    )
    assert sure.tolist() == [100, 0]


def test_settings_of_losses() -> None:
    beta = np.where(D < 0.5, D**2, D - 0.25)
    assert_close(losses.smooth_l1_loss(array(A), array(B), beta=0.5, reduction="none"), beta)
    delta = np.where(D < 2, D**2 / 2, 2 * (D - 1))
    assert_close(losses.huber_loss(array(A), array(B), delta=2.0), delta)
    full = losses.gaussian_nll_loss(array(A), array(B), mx.zeros((4, 5)), full=True, eps=0.5)
    want = (math.log(0.5) + D**2 / 0.5 + math.log(2 * math.pi)) / 2
    assert_close(full, want.mean())
    far = losses.triplet_loss(array(A), array(B), array(C), p=3, margin=0.5)
    assert_close(far, np.maximum(0, distance(A, B, 3) - distance(A, C, 3) + 0.5))
    margin = losses.margin_ranking_loss(array(A), array(B), array(SIGNS), margin=0.5)
    assert_close(margin, np.maximum(0, 0.5 - SIGNS * (A - B)))
    zero = losses.cosine_similarity_loss(mx.zeros((1, 3)), mx.ones((1, 3)))
    assert zero.tolist() == [0]


def test_defaults_of_reduction_are_those_of_each_loss() -> None:
    for loss in (losses.l1_loss, losses.mse_loss, losses.smooth_l1_loss):
        assert loss(array(A), array(B)).shape == ()
    for other in (losses.huber_loss, losses.log_cosh_loss, losses.hinge_loss):
        assert other(array(A), array(B)).shape == (4, 5)


@pytest.mark.parametrize(
    ("loss", "shapes"),
    [
        (losses.cross_entropy, [(4, 5), (5,)]),
        (losses.cross_entropy, [(4, 5), (4, 4)]),
        (losses.cross_entropy, [(4, 5), (4, 5), (4, 5)]),
        (losses.binary_cross_entropy, [(4, 5), (4,)]),
        (losses.binary_cross_entropy, [(4, 5), (4, 5), (5,)]),
        (losses.l1_loss, [(4, 5), (5,)]),
        (losses.mse_loss, [(4, 5), (5,)]),
        (losses.smooth_l1_loss, [(4, 5), (5,)]),
        (losses.gaussian_nll_loss, [(4, 5), (5,), (4, 5)]),
        (losses.gaussian_nll_loss, [(4, 5), (4, 5), (5,)]),
        (losses.margin_ranking_loss, [(4, 5), (4, 5), (5,)]),
    ],
)
def test_shapes_that_do_not_match_are_refused(loss: Callable[..., mx.array], shapes: Any) -> None:
    with pytest.raises(ValueError, match="shape|match"):
        loss(*map(mx.ones, shapes))


def test_label_smoothing_has_a_range() -> None:
    for smoothing in (-0.1, 1.0):
        with pytest.raises(ValueError, match="label_smoothing"):
            losses.cross_entropy(array(A), mx.array(IDS), label_smoothing=smoothing)
