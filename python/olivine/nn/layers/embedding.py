"""Owns the table of vectors that token ids look up."""

from __future__ import annotations

import math

import olivine.core as mx
from olivine.nn.layers.base import Module
from olivine.nn.layers.quantized import QuantizedEmbedding


class Embedding(Module):
    """Looks up a learned vector for each id.

    ``weight`` has the shape ``(num_embeddings, dims)`` and starts normal with variance
    ``1 / dims``.

    Args:
        num_embeddings: The number of ids.
        dims: The length of a vector.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Embedding(10, 4)(mx.array([[1, 2, 3]])).shape
        (1, 3, 4)
    """

    def __init__(self, num_embeddings: int, dims: int) -> None:
        super().__init__()
        deviation = math.sqrt(1 / dims)
        self.weight = mx.random.normal(shape=(num_embeddings, dims), scale=deviation)

    def _extra_repr(self) -> str:
        rows, dims = self.weight.shape
        return f"{rows}, {dims}"

    def __call__(self, x: mx.array) -> mx.array:
        """Look up ids of any shape ``(...)``; the result has the shape ``(..., dims)``."""
        weight: mx.array = self["weight"]
        return weight[x]

    def as_linear(self, x: mx.array) -> mx.array:
        """Score vectors against the table, as a head that shares its weight does.

        Args:
            x: Vectors of the shape ``(..., dims)``.

        Returns:
            Scores of the shape ``(..., num_embeddings)``.

        Examples:
            >>> import olivine.core as mx
            >>> import olivine.nn as nn
            >>> nn.Embedding(10, 4).as_linear(mx.ones((2, 4))).shape
            (2, 10)
        """
        weight: mx.array = self["weight"]
        return x @ weight.T

    def to_quantized(
        self,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
        quantize_input: bool = False,
    ) -> QuantizedEmbedding:
        """Make a quantized copy of this layer.

        Args:
            group_size: The number of neighbours that share a scale; by default that of the mode.
            bits: The bits of an element; by default those of the mode.
            mode: The mode of ``olivine.core.quantize``.
            quantize_input: Must be ``False``; ids are not quantized.

        Raises:
            ValueError: If ``quantize_input``.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.Embedding(10, 64).to_quantized()
            QuantizedEmbedding(10, 64, group_size=64, bits=4, mode=affine)
        """
        if quantize_input:
            raise ValueError("[Embedding] ids cannot be quantized: quantize_input must be False")
        return QuantizedEmbedding.from_embedding(self, group_size, bits, mode)
