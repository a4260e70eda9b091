"""Owns layers that tell attention where its inputs are."""

from __future__ import annotations

import math

import olivine.core as mx
from olivine.nn.layers.base import Module


class RoPE(Module):
    """Rotates pairs of features by angles that grow with the position.

    Args:
        dims: The number of leading features to rotate.
        traditional: Whether a pair is two neighbours. Otherwise it is one feature of the first
            half and its counterpart in the second.
        base: The ratio of the fastest angle to the slowest, about.
        scale: What positions are multiplied by.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.RoPE(8)(mx.ones((1, 2, 5, 8)), offset=3).shape
        (1, 2, 5, 8)
    """

    def __init__(
        self, dims: int, traditional: bool = False, base: float = 10000, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.dims = dims
        self.traditional = traditional
        self.base = base
        self.scale = scale

    def _extra_repr(self) -> str:
        return f"{self.dims}, traditional={self.traditional}"

    def __call__(self, x: mx.array, offset: int | mx.array = 0) -> mx.array:
        """Rotate ``x`` of shape ``(..., positions, features)``; the first is at ``offset``."""
        return mx.fast.rope(
            x,
            self.dims,
            traditional=self.traditional,
            base=self.base,
            scale=self.scale,
            offset=offset,
        )


class SinusoidalPositionalEncoding(Module):
    """Turns positions into sines and cosines of ``dims / 2`` frequencies.

    Args:
        dims: The number of features, positive and even.
        min_freq: The lowest frequency.
        max_freq: The highest frequency.
        scale: What the features are multiplied by. By default ``sqrt(2 / dims)``.
        cos_first: Whether cosines come before sines.
        full_turns: Whether frequencies count full turns, not radians.

    Raises:
        ValueError: If ``dims`` is not positive and even.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.SinusoidalPositionalEncoding(2)(mx.array([0.0]))
        array([[0, 1]], dtype=float32)
    """

    def __init__(
        self,
        dims: int,
        min_freq: float = 0.0001,
        max_freq: float = 1,
        scale: float | None = None,
        cos_first: bool = False,
        full_turns: bool = False,
    ) -> None:
        super().__init__()
        if dims <= 0 or dims % 2 != 0:
            raise ValueError(
                f"[SinusoidalPositionalEncoding] dims is {dims}, which is not positive and even"
            )
        count = dims // 2
        low, high = math.log(min_freq), math.log(max_freq)
        # Evenly spaced logarithms from the highest frequency down; a lone one is the highest.
        place = 1 - mx.arange(count) / max(count - 1, 1)
        frequencies = mx.exp(place * (high - low) + low)
        self._sigmas = frequencies * (2 * math.pi) if full_turns else frequencies
        self.scale = math.sqrt(2 / dims) if scale is None else scale
        self.cos_first = cos_first

    def __call__(self, x: mx.array) -> mx.array:
        """Encode positions of shape ``(...)`` as ``(..., dims)``."""
        angles = x[..., None] * self._sigmas
        halves = [mx.sin(angles), mx.cos(angles)]
        if self.cos_first:
            halves.reverse()
        y = mx.concatenate(halves, axis=-1)
        return y if self.scale == 1 else y * self.scale


def _alibi_slopes(heads: int) -> list[float]:
    """A geometric sequence from ``2 ** (-8 / heads)``, filled up from the next one if need be."""
    # Press, Smith and Lewis, "Train Short, Test Long", section 3.
    whole: int = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * (i + 1) / whole) for i in range(whole)]
    between = [2.0 ** (-4 * (2 * i + 1) / whole) for i in range(heads - whole)]
    return slopes + between


class ALiBi(Module):
    """Takes from attention scores a multiple of the distance, different for each head.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ALiBi()(mx.zeros((1, 8, 1, 3)))[0, 0]
        array([[0, -0.5, -1]], dtype=float32)
    """

    @staticmethod
    def create_alibi_matrix(
        q_sequence_length: int,
        k_sequence_length: int,
        num_heads: int,
        offset: int = 0,
        dtype: mx.Dtype = mx.float32,
    ) -> mx.array:
        """Make the numbers to add to scores.

        Args:
            q_sequence_length: The position after the last query.
            k_sequence_length: The number of keys.
            num_heads: The number of heads.
            offset: The position of the first query.
            dtype: The dtype of the result.

        Returns:
            An array of the shape ``(1, num_heads, q_sequence_length - offset,
            k_sequence_length)``.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.ALiBi.create_alibi_matrix(2, 2, 8)[0, 1]
            array([[0, -0.25],
                   [-0.25, 0]], dtype=float32)
        """
        queries = mx.arange(offset, q_sequence_length)[:, None]
        keys = mx.arange(0, k_sequence_length)[None]
        slopes = ALiBi.create_alibi_slope(num_heads, dtype)
        return (-mx.abs(queries - keys)[None, None] * slopes).astype(dtype)

    @staticmethod
    def create_alibi_slope(num_heads: int, dtype: mx.Dtype = mx.float32) -> mx.array:
        """Make the multiples, one for each head.

        Args:
            num_heads: The number of heads.
            dtype: The dtype of the result.

        Returns:
            An array of the shape ``(num_heads, 1, 1)``.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.ALiBi.create_alibi_slope(4).flatten()
            array([0.25, 0.0625, 0.015625, 0.00390625], dtype=float32)
        """
        return mx.array(_alibi_slopes(num_heads), dtype=dtype).reshape(-1, 1, 1)

    def __call__(
        self, attention_scores: mx.array, offset: int = 0, mask: mx.array | None = None
    ) -> mx.array:
        """Add to scores of shape ``(N, heads, queries, keys)``, and the mask too."""
        _, heads, queries, keys = attention_scores.shape
        bias = ALiBi.create_alibi_matrix(
            queries + offset, keys, heads, offset, attention_scores.dtype
        )
        return attention_scores + (bias if mask is None else bias + mask)
