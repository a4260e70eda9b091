"""Owns layers that zero random parts of their inputs while training."""

from __future__ import annotations

import olivine.core as mx
from olivine.nn.layers.base import Module


class _Dropout(Module):
    """What the layers share. None is a kind of another, so that programs can tell them apart."""

    # How many axes before the channels are dropped together, and how many axes inputs may have.
    _shared_axes = 0
    _ranks: tuple[int, ...] = ()

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"[{type(self).__name__}] p is {p}, which is not in [0, 1)")
        self._p_1 = 1 - p

    def _extra_repr(self) -> str:
        return f"p={1 - self._p_1}"

    def __call__(self, x: mx.array) -> mx.array:
        """Zero random parts of ``x`` in training mode; the shape stays."""
        if self._ranks and x.ndim not in self._ranks:
            expected = " or ".join(map(str, self._ranks))
            raise ValueError(f"[{type(self).__name__}] {x.ndim} axes, not {expected}")
        if self._p_1 == 1 or not self.training:
            return x
        shape = list(x.shape)
        for axis in range(-1 - self._shared_axes, -1):
            shape[axis] = 1
        kept = mx.random.bernoulli(self._p_1, shape)
        return kept * x * (1 / self._p_1)


class Dropout(_Dropout):
    """Zeroes random elements in training, and scales the others so that the mean stays.

    In evaluation mode the inputs pass unchanged.

    Args:
        p: The probability of zero, at least 0 and below 1.

    Raises:
        ValueError: If ``p`` is not in that range.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> layer = nn.Dropout(0.5)
        >>> set(layer(mx.ones(1000)).tolist())
        {0.0, 2.0}
        >>> layer.eval()(mx.ones(3))
        array([1, 1, 1], dtype=float32)
    """


class Dropout2d(_Dropout):
    """Zeroes random channels of images in training, and scales the others so that the mean stays.

    Inputs have the shape ``(N, H, W, C)`` or ``(H, W, C)``. In evaluation mode they pass
    unchanged.

    Args:
        p: The probability of zero, at least 0 and below 1.

    Raises:
        ValueError: If ``p`` is not in that range, or inputs have another number of axes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> y = nn.Dropout2d(0.5)(mx.ones((4, 4, 64)))
        >>> mx.all(y == y[:1, :1]).item()
        True
    """

    _shared_axes = 2
    _ranks = (3, 4)


class Dropout3d(_Dropout):
    """Zeroes random channels of volumes in training, and scales the others so that the mean stays.

    Inputs have the shape ``(N, D, H, W, C)`` or ``(D, H, W, C)``. In evaluation mode they pass
    unchanged.

    Args:
        p: The probability of zero, at least 0 and below 1.

    Raises:
        ValueError: If ``p`` is not in that range, or inputs have another number of axes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> y = nn.Dropout3d(0.5)(mx.ones((2, 4, 4, 64)))
        >>> mx.all(y == y[:1, :1, :1]).item()
        True
    """

    _shared_axes = 3
    _ranks = (4, 5)
