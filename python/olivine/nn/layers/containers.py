"""Owns layers that hold other layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from olivine.nn.layers.base import Module


class Sequential(Module):
    """Calls modules or plain functions one after another.

    Args:
        *modules: What to call, first to last; kept in the list ``layers``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Sequential(nn.Linear(4, 8), nn.relu, nn.Linear(8, 1))(mx.ones((5, 4))).shape
        (5, 1)
    """

    def __init__(self, *modules: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layers: list[Any] = list(modules)

    def __call__(self, x: Any) -> Any:
        """Pass ``x`` through every layer."""
        for layer in self.layers:
            x = layer(x)
        return x
