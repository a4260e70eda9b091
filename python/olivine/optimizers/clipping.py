"""Owns the clipping of gradients."""

from __future__ import annotations

from typing import Any

import olivine.core as mx
from olivine.utils import tree_map, tree_reduce


def clip_grad_norm(grads: Any, max_norm: float) -> tuple[Any, mx.array]:
    """Shortens gradients so that the norm of all of them together is at most ``max_norm``.

    Args:
        grads: The tree of gradients.
        max_norm: The largest norm.

    Returns:
        The gradients, each with its own dtype if that is floating-point, and the norm that
        they had, a scalar.

    Raises:
        ValueError: If ``max_norm`` is negative.

    Example:
        >>> import olivine.core as mx
        >>> from olivine.optimizers import clip_grad_norm
        >>> grads, norm = clip_grad_norm({"a": mx.array([3.0]), "b": mx.array([4.0])}, 1.0)
        >>> norm.item(), round(grads["a"].item(), 3), round(grads["b"].item(), 3)
        (5.0, 0.6, 0.8)
    """
    if max_norm < 0:
        raise ValueError(f"max_norm has to be >=0, not {max_norm}")

    def add_squares(total: mx.array | float, grad: mx.array) -> mx.array:
        # The square of 256 is beyond float16.
        wide = grad.astype(mx.float32) if grad.dtype == mx.float16 else grad
        return total + wide.square().sum()

    norm = mx.sqrt(tree_reduce(add_squares, grads, 0.0))
    scale = mx.minimum(max_norm / (norm + 1e-6), 1.0)

    def shorten(grad: mx.array) -> mx.array:
        short = grad * scale
        return short.astype(grad.dtype) if mx.issubdtype(grad.dtype, mx.floating) else short

    return tree_map(shorten, grads), norm
