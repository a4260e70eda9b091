"""Owns loss functions."""

from __future__ import annotations

import math
from typing import Literal

import olivine.core as mx

Reduction = Literal["none", "mean", "sum"]
"""What becomes of the losses of all elements: nothing, their mean, or their sum."""


def _reduce(loss: mx.array, reduction: Reduction = "none") -> mx.array:
    if reduction == "none":
        return loss
    if reduction == "mean":
        return mx.mean(loss)
    if reduction == "sum":
        return mx.sum(loss)
    raise ValueError(f"reduction is {reduction!r}, not none, mean or sum")


def _check_same(loss: str, /, **shapes: tuple[int, ...]) -> None:
    """Raise unless all shapes are equal."""
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"[{loss}] shapes differ: {listed}")


def _weigh(name: str, loss: mx.array, weights: mx.array | None) -> mx.array:
    if weights is None:
        return loss
    _check_same(name, loss=loss.shape, weights=weights.shape)
    return loss * weights


def _pick(x: mx.array, ids: mx.array, axis: int) -> mx.array:
    """The element of ``x`` along ``axis`` that ``ids``, which lacks that axis, names."""
    return mx.take_along_axis(x, mx.expand_dims(ids, axis), axis).squeeze(axis)


def cross_entropy(
    logits: mx.array,
    targets: mx.array,
    weights: mx.array | None = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
    reduction: Reduction = "none",
) -> mx.array:
    """Minus the log-probability of the targets.

    Args:
        logits: Scores, whose ``softmax`` along ``axis`` is the prediction.
        targets: Class ids, of the shape of ``logits`` without ``axis``, or probabilities, of the
            shape of ``logits``.
        weights: What each loss is multiplied by.
        axis: The axis of classes.
        label_smoothing: The part of probability to spread over all classes, at least 0 and
            below 1.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        Losses of the shape of ``logits`` without ``axis``, or one number.

    Raises:
        ValueError: If shapes do not match or ``label_smoothing`` is out of range.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> logits = mx.array([[2.0, -1.0], [-1.0, 2.0]])
        >>> nn.losses.cross_entropy(logits, mx.array([0, 1])).round(4)
        array([0.0486, 0.0486], dtype=float32)
        >>> nn.losses.cross_entropy(logits, mx.array([[0.9, 0.1], [0.1, 0.9]])).round(4)
        array([0.3486, 0.3486], dtype=float32)
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"[cross_entropy] label_smoothing is {label_smoothing}, not in [0, 1)")
    probabilities = targets.ndim == logits.ndim
    expected = list(logits.shape)
    if not probabilities:
        del expected[axis]
    if targets.shape != tuple(expected):
        raise ValueError(
            f"[cross_entropy] targets {targets.shape} do not match logits {logits.shape}"
        )
    # Large scores lose digits to a large logarithm, so take the largest away first.
    scores = logits - mx.stop_gradient(mx.max(logits, axis=axis, keepdims=True))
    if probabilities:
        hit = mx.sum(scores * targets, axis=axis)
    else:
        hit = _pick(scores, targets, axis)
    if label_smoothing > 0:
        everywhere = mx.mean(scores, axis=axis)
        hit = (1 - label_smoothing) * hit + label_smoothing * everywhere
    loss = mx.logsumexp(scores, axis=axis) - hit
    return _reduce(_weigh("cross_entropy", loss, weights), reduction)


def binary_cross_entropy(
    inputs: mx.array,
    targets: mx.array,
    weights: mx.array | None = None,
    with_logits: bool = True,
    reduction: Reduction = "mean",
) -> mx.array:
    """Minus the log-probability of yes-or-no targets.

    Args:
        inputs: Scores, or with ``with_logits=False`` probabilities.
        targets: Numbers from 0 to 1, of the shape of ``inputs``.
        weights: What each loss is multiplied by, of the same shape.
        with_logits: Whether ``inputs`` are scores, whose ``sigmoid`` is the prediction.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Raises:
        ValueError: If shapes differ.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.binary_cross_entropy(mx.array([2.0, -2.0]), mx.array([1.0, 0.0])).round(4)
        array(0.1269, dtype=float32)
    """
    _check_same("binary_cross_entropy", inputs=inputs.shape, targets=targets.shape)
    if with_logits:
        loss = mx.logaddexp(0.0, inputs) - inputs * targets
    else:
        # A sure miss costs 100, not infinity, so that gradients stay finite.
        yes = mx.clip(mx.log(inputs), -100, None)
        no = mx.clip(mx.log(1 - inputs), -100, None)
        loss = -(targets * yes + (1 - targets) * no)
    return _reduce(_weigh("binary_cross_entropy", loss, weights), reduction)


def l1_loss(predictions: mx.array, targets: mx.array, reduction: Reduction = "mean") -> mx.array:
    """``|predictions - targets|``.

    Args:
        predictions: An array of any shape.
        targets: An array of the same shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Raises:
        ValueError: If shapes differ.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.l1_loss(mx.array([1.0, 2.0]), mx.array([0.0, 4.0]))
        array(1.5, dtype=float32)
    """
    _check_same("l1_loss", predictions=predictions.shape, targets=targets.shape)
    return _reduce(mx.abs(predictions - targets), reduction)


def mse_loss(predictions: mx.array, targets: mx.array, reduction: Reduction = "mean") -> mx.array:
    """``(predictions - targets) ** 2``.

    Args:
        predictions: An array of any shape.
        targets: An array of the same shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Raises:
        ValueError: If shapes differ.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.mse_loss(mx.array([1.0, 2.0]), mx.array([0.0, 4.0]))
        array(2.5, dtype=float32)
    """
    _check_same("mse_loss", predictions=predictions.shape, targets=targets.shape)
    return _reduce(mx.square(predictions - targets), reduction)


def nll_loss(
    inputs: mx.array, targets: mx.array, axis: int = -1, reduction: Reduction = "none"
) -> mx.array:
    """Minus the given log-probability of the targets.

    Args:
        inputs: Log-probabilities along ``axis``.
        targets: Class ids, of the shape of ``inputs`` without ``axis``.
        axis: The axis of classes.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.nll_loss(mx.array([[-1.0, -2.0], [-3.0, -4.0]]), mx.array([0, 1]))
        array([1, 4], dtype=float32)
    """
    return _reduce(-_pick(inputs, targets, axis), reduction)


def gaussian_nll_loss(
    inputs: mx.array,
    targets: mx.array,
    vars: mx.array,
    full: bool = False,
    eps: float = 1e-06,
    reduction: Reduction = "mean",
) -> mx.array:
    """Minus the log-density of the targets under normal distributions.

    Args:
        inputs: The means.
        targets: An array of the same shape.
        vars: The variances, of the same shape.
        full: Whether to count the constant ``log(2 * pi) / 2``.
        eps: The least variance.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Raises:
        ValueError: If shapes differ.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.gaussian_nll_loss(mx.array([0.0]), mx.array([2.0]), mx.array([1.0]))
        array(2, dtype=float32)
    """
    _check_same("gaussian_nll_loss", inputs=inputs.shape, targets=targets.shape, vars=vars.shape)
    variance = mx.maximum(vars, eps)
    loss = 0.5 * (mx.log(variance) + mx.square(targets - inputs) / variance)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction)


def kl_div_loss(
    inputs: mx.array, targets: mx.array, axis: int = -1, reduction: Reduction = "none"
) -> mx.array:
    """The divergence of predictions from targets, ``sum(exp(targets) * (targets - inputs))``.

    Args:
        inputs: The predicted log-probabilities along ``axis``.
        targets: The true ones, of the same shape.
        axis: The axis of classes.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> p = mx.log(mx.array([[0.5, 0.5]]))
        >>> nn.losses.kl_div_loss(p, p)
        array([0], dtype=float32)
    """
    return _reduce(mx.sum(mx.exp(targets) * (targets - inputs), axis=axis), reduction)


def smooth_l1_loss(
    predictions: mx.array, targets: mx.array, beta: float = 1.0, reduction: Reduction = "mean"
) -> mx.array:
    """``d ** 2 / (2 * beta)`` for distances ``d`` below ``beta``, ``d - beta / 2`` for others.

    Args:
        predictions: An array of any shape.
        targets: An array of the same shape.
        beta: Where the parabola ends.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Raises:
        ValueError: If shapes differ.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.smooth_l1_loss(mx.array([0.5, 3.0]), mx.zeros(2), reduction="none")
        array([0.125, 2.5], dtype=float32)
    """
    _check_same("smooth_l1_loss", predictions=predictions.shape, targets=targets.shape)
    distance = mx.abs(predictions - targets)
    near = 0.5 * mx.square(distance) / beta
    return _reduce(mx.where(distance < beta, near, distance - 0.5 * beta), reduction)


def triplet_loss(
    anchors: mx.array,
    positives: mx.array,
    negatives: mx.array,
    axis: int = -1,
    p: int = 2,
    margin: float = 1.0,
    eps: float = 1e-06,
    reduction: Reduction = "none",
) -> mx.array:
    """How much nearer than ``margin`` negatives are to anchors than positives are, if at all.

    Args:
        anchors: Vectors along ``axis``.
        positives: Vectors that should be near, of the same shape.
        negatives: Vectors that should be far, of the same shape.
        axis: The axis of features.
        p: The order of the norm that measures distance.
        margin: The distance that negatives should be farther.
        eps: What is added to sums of powers.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> a, b, c = mx.array([[0.0, 0.0]]), mx.array([[3.0, 4.0]]), mx.array([[0.0, 2.0]])
        >>> nn.losses.triplet_loss(a, b, c).round(3)
        array([4], dtype=float32)
    """

    def distance(others: mx.array) -> mx.array:
        powers = mx.sum(mx.power(mx.abs(anchors - others), p), axis=axis)
        return mx.power(powers + eps, 1 / p)

    return _reduce(mx.maximum(distance(positives) - distance(negatives) + margin, 0), reduction)


def hinge_loss(inputs: mx.array, targets: mx.array, reduction: Reduction = "none") -> mx.array:
    """``max(0, 1 - inputs * targets)``.

    Args:
        inputs: Scores of any shape.
        targets: -1 or 1, of the same shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.hinge_loss(mx.array([0.5, 2.0]), mx.array([-1, 1]))
        array([1.5, 0], dtype=float32)
    """
    return _reduce(mx.maximum(1 - inputs * targets, 0), reduction)


def huber_loss(
    inputs: mx.array, targets: mx.array, delta: float = 1.0, reduction: Reduction = "none"
) -> mx.array:
    """``d ** 2 / 2`` for distances ``d`` up to ``delta``, ``delta * (d - delta / 2)`` for others.

    Args:
        inputs: An array of any shape.
        targets: An array of the same shape.
        delta: Where the parabola ends.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.huber_loss(mx.array([0.5, 3.0]), mx.zeros(2))
        array([0.125, 2.5], dtype=float32)
    """
    distance = mx.abs(inputs - targets)
    near = mx.minimum(distance, delta)
    return _reduce(0.5 * mx.square(near) + delta * (distance - near), reduction)


def log_cosh_loss(inputs: mx.array, targets: mx.array, reduction: Reduction = "none") -> mx.array:
    """``log(cosh(inputs - targets))``, without overflow.

    Args:
        inputs: An array of any shape.
        targets: An array of the same shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.losses.log_cosh_loss(mx.array([1.0]), mx.array([0.0])).round(4)
        array([0.4338], dtype=float32)
    """
    error = inputs - targets
    return _reduce(mx.logaddexp(error, -error) - math.log(2), reduction)


def cosine_similarity_loss(
    x1: mx.array,
    x2: mx.array,
    axis: int = 1,
    eps: float = 1e-08,
    reduction: Reduction = "none",
) -> mx.array:
    """The cosine of the angle between vectors.

    Args:
        x1: Vectors along ``axis``.
        x2: Vectors along ``axis``, of the same shape.
        axis: The axis of features.
        eps: The least product of lengths to divide by.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> x = mx.array([[3.0, 4.0]])
        >>> nn.losses.cosine_similarity_loss(x, mx.array([[0.0, 1.0]])).round(4)
        array([0.8], dtype=float32)
    """
    lengths = mx.linalg.norm(x1, axis=axis) * mx.linalg.norm(x2, axis=axis)
    return _reduce(mx.sum(x1 * x2, axis=axis) / mx.maximum(lengths, eps), reduction)


def margin_ranking_loss(
    inputs1: mx.array,
    inputs2: mx.array,
    targets: mx.array,
    margin: float = 0.0,
    reduction: Reduction = "none",
) -> mx.array:
    """``max(0, -targets * (inputs1 - inputs2) + margin)``.

    Args:
        inputs1: Scores of any shape.
        inputs2: Other scores, of the same shape.
        targets: 1 where the first should be larger, -1 where the second should, of the same shape.
        margin: By how much.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Raises:
        ValueError: If shapes differ.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> a, b = mx.array([1.0, 1.0]), mx.array([2.0, 2.0])
        >>> nn.losses.margin_ranking_loss(a, b, mx.array([1, -1]))
        array([1, 0], dtype=float32)
    """
    _check_same(
        "margin_ranking_loss",
        inputs1=inputs1.shape,
        inputs2=inputs2.shape,
        targets=targets.shape,
    )
    # Where both are equal the gradient goes to the second, so a pair at the margin still learns.
    return _reduce(mx.maximum(0, margin - targets * (inputs1 - inputs2)), reduction)
