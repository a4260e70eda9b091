"""Owns attention and the encoder and decoder stacks made of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import olivine.core as mx
from olivine.nn.layers.activations import relu
from olivine.nn.layers.base import Module
from olivine.nn.layers.dropout import Dropout
from olivine.nn.layers.linear import Linear
from olivine.nn.layers.normalization import LayerNorm
from olivine.nn.utils import checkpoint as recompute

Activation = Callable[[Any], Any]


class MultiHeadAttention(Module):
    """Attention with several heads: each query becomes a mean of values weighted by its keys.

    Args:
        dims: The number of features of all heads together.
        num_heads: The number of heads.
        query_input_dims: The number of features of queries. By default ``dims``.
        key_input_dims: The number of features of keys. By default ``dims``.
        value_input_dims: The number of features of values. By default that of keys.
        value_dims: The number of features of all heads of the projected values. By default
            ``dims``.
        value_output_dims: The number of features of outputs. By default ``dims``.
        bias: Whether the projections add a bias.

    Raises:
        ValueError: If ``num_heads`` does not divide ``dims``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> x = mx.ones((2, 5, 16))
        >>> mask = nn.MultiHeadAttention.create_additive_causal_mask(5)
        >>> nn.MultiHeadAttention(16, 4)(x, x, x, mask).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        query_input_dims: int | None = None,
        key_input_dims: int | None = None,
        value_input_dims: int | None = None,
        value_dims: int | None = None,
        value_output_dims: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if dims % num_heads != 0:
            raise ValueError(
                f"[MultiHeadAttention] {dims} features do not split into {num_heads} heads"
            )
        key_input_dims = key_input_dims or dims
        value_dims = value_dims or dims
        self.num_heads = num_heads
        self.query_proj = Linear(query_input_dims or dims, dims, bias=bias)
        self.key_proj = Linear(key_input_dims, dims, bias=bias)
        self.value_proj = Linear(value_input_dims or key_input_dims, value_dims, bias=bias)
        self.out_proj = Linear(value_dims, value_output_dims or dims, bias=bias)

    def _heads(self, x: mx.array) -> mx.array:
        """Turn ``(N, L, features)`` into ``(N, heads, L, features / heads)``."""
        return mx.unflatten(x, -1, (self.num_heads, -1)).transpose(0, 2, 1, 3)

    def __call__(
        self,
        queries: mx.array,
        keys: mx.array,
        values: mx.array,
        mask: mx.array | None = None,
    ) -> mx.array:
        """Attend.

        Args:
            queries: An array of the shape ``(N, queries, query_input_dims)``.
            keys: An array of the shape ``(N, keys, key_input_dims)``.
            values: An array of the shape ``(N, keys, value_input_dims)``.
            mask: What is added to scores, or whether they count, of a shape that broadcasts to
                ``(N, num_heads, queries, keys)``.

        Returns:
            An array of the shape ``(N, queries, value_output_dims)``.
        """
        q = self._heads(self.query_proj(queries))
        k = self._heads(self.key_proj(keys))
        v = self._heads(self.value_proj(values))
        scale = math.sqrt(1 / q.shape[-1])
        mixed = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
        output: mx.array = self.out_proj(mixed.transpose(0, 2, 1, 3).flatten(-2, -1))
        return output

    @staticmethod
    def create_additive_causal_mask(N: int, dtype: mx.Dtype = mx.float32) -> mx.array:
        """Make a mask that keeps each position from those after it.

        Args:
            N: The number of positions.
            dtype: A floating dtype.

        Returns:
            An array of the shape ``(N, N)``: the lowest finite number above the diagonal, zero
            elsewhere.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.MultiHeadAttention.create_additive_causal_mask(3) == 0
            array([[True, False, False],
                   [True, True, False],
                   [True, True, True]], dtype=bool)
        """
        place = mx.arange(N)
        later = place[:, None] < place[None]
        return later.astype(dtype) * mx.finfo(dtype).min


class _Block(Module):
    """A residual block; ``norm_first`` says where its norms are."""

    norm_first: bool
    activation: Activation

    def _residual(
        self, x: mx.array, norm: Module, branch: Callable[[mx.array], mx.array]
    ) -> mx.array:
        normed: mx.array = x + branch(norm(x)) if self.norm_first else norm(x + branch(x))
        return normed

    def _feed_forward(self, x: mx.array, dropout: Module) -> mx.array:
        y: mx.array = self.linear2(dropout(self.activation(self.linear1(x))))
        return y


class TransformerEncoderLayer(_Block):
    """Self-attention and a network of two layers, each with a norm and a residual.

    Args:
        dims: The number of features.
        num_heads: The number of heads.
        mlp_dims: The number of features inside the network. By default ``4 * dims``.
        dropout: The probability of dropout.
        activation: The function between the two layers of the network.
        norm_first: Whether norms come before attention and network, or after the residual.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.TransformerEncoderLayer(16, 4)(mx.ones((2, 5, 16)), None).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Activation = relu,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        mlp_dims = mlp_dims or 4 * dims
        self.attention = MultiHeadAttention(dims, num_heads)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = activation
        self.norm_first = norm_first

    def __call__(self, x: mx.array, mask: mx.array | None) -> mx.array:
        """Encode ``x`` of shape ``(N, L, dims)``."""

        def attend(y: mx.array) -> mx.array:
            return self.dropout1(self.attention(y, y, y, mask))

        x = self._residual(x, self.ln1, attend)
        return self._residual(x, self.ln2, lambda y: self._feed_forward(y, self.dropout2))


class _Stack(Module):
    """Layers one after another and a norm at the end."""

    layers: list[Any]

    def __init__(self, layers: list[Any], dims: int, checkpoint: bool) -> None:
        super().__init__()
        self.layers = layers
        self.ln = LayerNorm(dims)
        self.checkpoint = checkpoint

    def _run(self, x: mx.array, *others: mx.array | None) -> mx.array:
        for layer in self.layers:
            x = (recompute(layer) if self.checkpoint else layer)(x, *others)
        return self.ln(x)


class TransformerEncoder(_Stack):
    """A stack of ``TransformerEncoderLayer`` and a norm.

    Args:
        num_layers: The number of layers.
        dims: The number of features.
        num_heads: The number of heads.
        mlp_dims: The number of features inside the networks. By default ``4 * dims``.
        dropout: The probability of dropout.
        activation: The function inside the networks.
        norm_first: Whether norms come before attention and network, or after the residual.
        checkpoint: Whether to compute layers again for gradients, not to keep what is in them.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.TransformerEncoder(2, 16, 4)(mx.ones((2, 5, 16)), None).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        num_layers: int,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Activation = relu,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        settings = (dims, num_heads, mlp_dims, dropout, activation, norm_first)
        layers = [TransformerEncoderLayer(*settings) for _ in range(num_layers)]
        super().__init__(layers, dims, checkpoint)

    def __call__(self, x: mx.array, mask: mx.array | None) -> mx.array:
        """Encode ``x`` of shape ``(N, L, dims)``."""
        return self._run(x, mask)


class TransformerDecoderLayer(_Block):
    """Self-attention, attention to a memory and a network, each with a norm and a residual.

    Args:
        dims: The number of features.
        num_heads: The number of heads.
        mlp_dims: The number of features inside the network. By default ``4 * dims``.
        dropout: The probability of dropout.
        activation: The function between the two layers of the network.
        norm_first: Whether norms come before attention and network, or after the residual.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> layer = nn.TransformerDecoderLayer(16, 4)
        >>> layer(mx.ones((2, 3, 16)), mx.ones((2, 5, 16)), None, None).shape
        (2, 3, 16)
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Activation = relu,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        mlp_dims = mlp_dims or 4 * dims
        self.self_attention = MultiHeadAttention(dims, num_heads)
        self.cross_attention = MultiHeadAttention(dims, num_heads)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.ln3 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = activation
        self.norm_first = norm_first

    def __call__(
        self,
        x: mx.array,
        memory: mx.array,
        x_mask: mx.array | None,
        memory_mask: mx.array | None,
    ) -> mx.array:
        """Decode ``x`` of shape ``(N, L, dims)`` with a memory of ``(N, M, dims)``."""

        def attend(y: mx.array) -> mx.array:
            return self.dropout1(self.self_attention(y, y, y, x_mask))

        def recall(y: mx.array) -> mx.array:
            return self.dropout2(self.cross_attention(y, memory, memory, memory_mask))

        x = self._residual(x, self.ln1, attend)
        x = self._residual(x, self.ln2, recall)
        return self._residual(x, self.ln3, lambda y: self._feed_forward(y, self.dropout3))


class TransformerDecoder(_Stack):
    """A stack of ``TransformerDecoderLayer`` and a norm.

    Args:
        num_layers: The number of layers.
        dims: The number of features.
        num_heads: The number of heads.
        mlp_dims: The number of features inside the networks. By default ``4 * dims``.
        dropout: The probability of dropout.
        activation: The function inside the networks.
        norm_first: Whether norms come before attention and network, or after the residual.
        checkpoint: Whether to compute layers again for gradients, not to keep what is in them.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> stack = nn.TransformerDecoder(2, 16, 4)
        >>> stack(mx.ones((2, 3, 16)), mx.ones((2, 5, 16)), None, None).shape
        (2, 3, 16)
    """

    def __init__(
        self,
        num_layers: int,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Activation = relu,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        settings = (dims, num_heads, mlp_dims, dropout, activation, norm_first)
        layers = [TransformerDecoderLayer(*settings) for _ in range(num_layers)]
        super().__init__(layers, dims, checkpoint)

    def __call__(
        self,
        x: mx.array,
        memory: mx.array,
        x_mask: mx.array | None,
        memory_mask: mx.array | None,
    ) -> mx.array:
        """Decode ``x`` of shape ``(N, L, dims)`` with a memory of ``(N, M, dims)``."""
        return self._run(x, memory, x_mask, memory_mask)


class Transformer(Module):
    """An encoder of sources and a decoder of targets that attends to it.

    Args:
        dims: The number of features.
        num_heads: The number of heads.
        num_encoder_layers: The number of layers of the encoder.
        num_decoder_layers: The number of layers of the decoder.
        mlp_dims: The number of features inside the networks. By default ``4 * dims``.
        dropout: The probability of dropout.
        activation: The function inside the networks.
        custom_encoder: A module to use as the encoder.
        custom_decoder: A module to use as the decoder.
        norm_first: Whether norms come before attention and network, or after the residual.
        checkpoint: Whether to compute layers again for gradients, not to keep what is in them.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> model = nn.Transformer(16, 4, num_encoder_layers=1, num_decoder_layers=1)
        >>> model(mx.ones((2, 5, 16)), mx.ones((2, 3, 16)), None, None, None).shape
        (2, 3, 16)
    """

    def __init__(
        self,
        dims: int = 512,
        num_heads: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Activation = relu,
        custom_encoder: Any | None = None,
        custom_decoder: Any | None = None,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        settings = (dims, num_heads, mlp_dims, dropout, activation, norm_first, checkpoint)
        if custom_encoder is None:
            custom_encoder = TransformerEncoder(num_encoder_layers, *settings)
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(num_decoder_layers, *settings)
        self.encoder = custom_encoder
        self.decoder = custom_decoder

    def __call__(
        self,
        src: mx.array,
        tgt: mx.array,
        src_mask: mx.array | None,
        tgt_mask: mx.array | None,
        memory_mask: mx.array | None,
    ) -> mx.array:
        """Decode ``tgt`` of shape ``(N, L, dims)`` with ``src`` of ``(N, M, dims)``."""
        memory = self.encoder(src, src_mask)
        decoded: mx.array = self.decoder(tgt, memory, tgt_mask, memory_mask)
        return decoded
