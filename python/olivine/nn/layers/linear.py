"""Owns linear and bilinear maps."""

from __future__ import annotations

import math
from typing import Any

import olivine.core as mx
from olivine.nn.layers.base import Module
from olivine.nn.layers.quantized import QQLinear, QuantizedLinear


class Identity(Module):
    """Gives back its inputs.

    Args:
        *args: Not used, so that it can stand in for any layer.
        **kwargs: Not used either.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Identity(3, bias=False)(mx.array([1, 2]))
        array([1, 2], dtype=int32)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __call__(self, x: mx.array) -> mx.array:
        """Give back ``x``."""
        return x


class Linear(Module):
    """Multiplies by a learned matrix and adds a learned vector, ``x @ weight.T + bias``.

    ``weight`` has the shape ``(output_dims, input_dims)`` and ``bias`` ``(output_dims,)``; both
    start uniform within ``1 / sqrt(input_dims)`` of zero.

    Args:
        input_dims: The length of the last axis of inputs.
        output_dims: The length of the last axis of outputs.
        bias: Whether to add ``bias``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Linear(4, 8)(mx.ones((2, 3, 4))).shape
        (2, 3, 8)
    """

    def __init__(self, input_dims: int, output_dims: int, bias: bool = True) -> None:
        super().__init__()
        bound = math.sqrt(1 / input_dims)
        self.weight = mx.random.uniform(low=-bound, high=bound, shape=(output_dims, input_dims))
        if bias:
            self.bias = mx.random.uniform(low=-bound, high=bound, shape=(output_dims,))

    def _extra_repr(self) -> str:
        outputs, inputs = self.weight.shape
        return f"input_dims={inputs}, output_dims={outputs}, bias={'bias' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        """Map ``x`` of shape ``(..., input_dims)`` to ``(..., output_dims)``."""
        # Items are found faster than attributes, and every model spends its time here.
        weight: mx.array = self["weight"]
        return mx.addmm(self["bias"], x, weight.T) if "bias" in self else x @ weight.T

    def to_quantized(
        self,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
        quantize_input: bool = False,
    ) -> QuantizedLinear | QQLinear:
        """Make a quantized copy of this layer.

        Args:
            group_size: The number of neighbours that share a scale; by default that of the mode.
            bits: The bits of an element; by default those of the mode.
            mode: The mode of ``olivine.core.quantize``.
            quantize_input: Whether inputs are quantized too, in the modes ``"nvfp4"`` and
                ``"mxfp8"``.

        Raises:
            ValueError: If ``quantize_input`` in another mode.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.Linear(64, 8).to_quantized(bits=8)
            QuantizedLinear(input_dims=64, output_dims=8, bias=True, group_size=64, bits=8, mode=affine)
        """
        if not quantize_input:
            return QuantizedLinear.from_linear(self, group_size, bits, mode)
        if mode not in ("nvfp4", "mxfp8"):
            raise ValueError(f"[Linear] inputs are quantized in nvfp4 and mxfp8, not in {mode}")
        return QQLinear.from_linear(self, group_size, bits, mode)


class Bilinear(Module):
    """Maps a pair of vectors by a learned form, ``x1 @ weight[o].T @ x2 + bias[o]`` for output o.

    ``weight`` has the shape ``(output_dims, input2_dims, input1_dims)`` and ``bias``
    ``(output_dims,)``; both start uniform within ``1 / sqrt(input1_dims)`` of zero.

    Args:
        input1_dims: The length of the last axis of the first inputs.
        input2_dims: The length of the last axis of the second inputs.
        output_dims: The length of the last axis of outputs.
        bias: Whether to add ``bias``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Bilinear(2, 3, 4)(mx.ones((5, 2)), mx.ones((5, 3))).shape
        (5, 4)
    """

    def __init__(
        self, input1_dims: int, input2_dims: int, output_dims: int, bias: bool = True
    ) -> None:
        super().__init__()
        bound = math.sqrt(1 / input1_dims)
        shape = (output_dims, input2_dims, input1_dims)
        self.weight = mx.random.uniform(low=-bound, high=bound, shape=shape)
        if bias:
            self.bias = mx.random.uniform(low=-bound, high=bound, shape=(output_dims,))

    def _extra_repr(self) -> str:
        outputs, second, first = self.weight.shape
        return (
            f"input1_dims={first}, input2_dims={second}, output_dims={outputs}, "
            f"bias={'bias' in self}"
        )

    def __call__(self, x1: mx.array, x2: mx.array) -> mx.array:
        """Map ``(..., input1_dims)`` and ``(..., input2_dims)`` to ``(..., output_dims)``."""
        outputs, second, first = self.weight.shape
        batch = x1.shape[:-1]
        # One matrix product for all rows and outputs, then one small one for each row.
        maps = x1.reshape(-1, first) @ self.weight.reshape(-1, first).T
        y = maps.reshape(-1, outputs, second) @ x2.reshape(-1, second, 1)
        y = y.reshape(*batch, outputs)
        return y + self.bias if "bias" in self else y
