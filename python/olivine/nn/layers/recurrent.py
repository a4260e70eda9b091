"""Owns layers that go through a sequence step by step and remember."""

from __future__ import annotations

import math
from collections.abc import Callable

import olivine.core as mx
from olivine.nn.layers.activations import tanh
from olivine.nn.layers.base import Module


def _project(x: mx.array, weight: mx.array, bias: mx.array | None) -> mx.array:
    """``x @ weight.T + bias`` for all steps at once."""
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)


class _Recurrent(Module):
    """What recurrent layers share: how parameters start and how they are shown."""

    hidden_size: int

    def _uniform(self, *shape: int) -> mx.array:
        bound = 1 / math.sqrt(self.hidden_size)
        return mx.random.uniform(low=-bound, high=bound, shape=shape)


class RNN(_Recurrent):
    """A recurrent layer, ``h = f(Wxh x + Whh h + bias)`` at each step.

    ``Wxh`` has the shape ``(hidden_size, input_size)``, ``Whh`` ``(hidden_size, hidden_size)`` and
    ``bias`` ``(hidden_size,)``; all start uniform within ``1 / sqrt(hidden_size)`` of zero.

    Args:
        input_size: The number of input features.
        hidden_size: The number of features of the state.
        bias: Whether to add ``bias``.
        nonlinearity: The function ``f``. By default ``tanh``.

    Raises:
        ValueError: If ``nonlinearity`` cannot be called.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.RNN(3, 4)(mx.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Callable[[mx.array], mx.array] | None = None,
    ) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity or tanh
        if not callable(self.nonlinearity):
            raise ValueError(f"[RNN] nonlinearity is {nonlinearity!r}, which cannot be called")  # noqa: TRY004
        self.hidden_size = hidden_size
        self.Wxh = self._uniform(hidden_size, input_size)
        self.Whh = self._uniform(hidden_size, hidden_size)
        self.bias = self._uniform(hidden_size) if bias else None

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self.Wxh.shape[1]}, hidden_size={self.hidden_size}, "
            f"nonlinearity={self.nonlinearity}, bias={self.bias is not None}"
        )

    def __call__(self, x: mx.array, hidden: mx.array | None = None) -> mx.array:
        """Go through a sequence.

        Args:
            x: Inputs of the shape ``(..., steps, input_size)``.
            hidden: The state before the first step, ``(..., hidden_size)``. By default zero.

        Returns:
            The state after each step, ``(..., steps, hidden_size)``.
        """
        inputs = _project(x, self.Wxh, self.bias)
        recur = self.Whh.T
        states = []
        for step in range(x.shape[-2]):
            total = inputs[..., step, :]
            if hidden is not None:
                total = mx.addmm(total, hidden, recur)
            hidden = self.nonlinearity(total)
            states.append(hidden)
        return mx.stack(states, axis=-2)


class GRU(_Recurrent):
    """A gated recurrent unit.

    At each step ``r`` and ``z`` are sigmoids of ``Wx x + Wh h + b``, ``n = tanh(Wx x + b + r *
    (Wh h + bhn))`` and the state becomes ``(1 - z) * n + z * h``. ``Wx`` has the shape
    ``(3 * hidden_size, input_size)``, ``Wh`` ``(3 * hidden_size, hidden_size)`` and ``b``
    ``(3 * hidden_size,)``, with the rows of r, z and n in this order, and ``bhn``
    ``(hidden_size,)``; all start uniform within ``1 / sqrt(hidden_size)`` of zero.

    Args:
        input_size: The number of input features.
        hidden_size: The number of features of the state.
        bias: Whether to add ``b`` and ``bhn``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.GRU(3, 4)(mx.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.Wx = self._uniform(3 * hidden_size, input_size)
        self.Wh = self._uniform(3 * hidden_size, hidden_size)
        self.b = self._uniform(3 * hidden_size) if bias else None
        self.bhn = self._uniform(hidden_size) if bias else None

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self.Wx.shape[1]}, hidden_size={self.hidden_size}, "
            f"bias={self.b is not None}"
        )

    def __call__(self, x: mx.array, hidden: mx.array | None = None) -> mx.array:
        """Go through a sequence.

        Args:
            x: Inputs of the shape ``(..., steps, input_size)``.
            hidden: The state before the first step, ``(..., hidden_size)``. By default zero.

        Returns:
            The state after each step, ``(..., steps, hidden_size)``.
        """
        inputs = _project(x, self.Wx, self.b)
        recur = self.Wh.T
        gates = 2 * self.hidden_size
        states = []
        for step in range(x.shape[-2]):
            now = inputs[..., step, :]
            opening, candidate = now[..., :gates], now[..., gates:]
            memory = self.bhn
            if hidden is not None:
                past = hidden @ recur
                opening = opening + past[..., :gates]
                memory = past[..., gates:] if memory is None else past[..., gates:] + memory
            reset, keep = mx.split(mx.sigmoid(opening), 2, axis=-1)
            if memory is not None:
                candidate = candidate + reset * memory
            fresh = (1 - keep) * mx.tanh(candidate)
            hidden = fresh if hidden is None else fresh + keep * hidden
            states.append(hidden)
        return mx.stack(states, axis=-2)


class LSTM(_Recurrent):
    """A layer with long short-term memory.

    At each step ``i``, ``f`` and ``o`` are sigmoids and ``g`` is the hyperbolic tangent of
    ``Wx x + Wh h + bias``; the cell becomes ``f * c + i * g`` and the state ``o * tanh(c)``.
    ``Wx`` has the shape ``(4 * hidden_size, input_size)``, ``Wh`` ``(4 * hidden_size,
    hidden_size)`` and ``bias`` ``(4 * hidden_size,)``, with the rows of i, f, g and o in this
    order; all start uniform within ``1 / sqrt(hidden_size)`` of zero.

    Args:
        input_size: The number of input features.
        hidden_size: The number of features of the state.
        bias: Whether to add ``bias``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> hidden, cell = nn.LSTM(3, 4)(mx.ones((2, 5, 3)))
        >>> hidden.shape, cell.shape
        ((2, 5, 4), (2, 5, 4))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.Wx = self._uniform(4 * hidden_size, input_size)
        self.Wh = self._uniform(4 * hidden_size, hidden_size)
        self.bias = self._uniform(4 * hidden_size) if bias else None

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self.Wx.shape[1]}, hidden_size={self.hidden_size}, "
            f"bias={self.bias is not None}"
        )

    def __call__(
        self, x: mx.array, hidden: mx.array | None = None, cell: mx.array | None = None
    ) -> tuple[mx.array, mx.array]:
        """Go through a sequence.

        Args:
            x: Inputs of the shape ``(..., steps, input_size)``.
            hidden: The state before the first step, ``(..., hidden_size)``. By default zero.
            cell: The cell before the first step, ``(..., hidden_size)``. By default zero.

        Returns:
            The state and the cell after each step, each ``(..., steps, hidden_size)``.
        """
        inputs = _project(x, self.Wx, self.bias)
        recur = self.Wh.T
        states, cells = [], []
        for step in range(x.shape[-2]):
            total = inputs[..., step, :]
            if hidden is not None:
                total = mx.addmm(total, hidden, recur)
            write, keep, value, read = mx.split(total, 4, axis=-1)
            written = mx.sigmoid(write) * mx.tanh(value)
            cell = written if cell is None else mx.sigmoid(keep) * cell + written
            hidden = mx.sigmoid(read) * mx.tanh(cell)
            states.append(hidden)
            cells.append(cell)
        return mx.stack(states, axis=-2), mx.stack(cells, axis=-2)
