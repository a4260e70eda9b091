"""Owns layers whose weights are quantized, and the function that puts them into a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import olivine.core as mx
from olivine.nn.layers.base import Module
from olivine.utils import tree_map_with_path

_MODES = {"affine": (64, 4), "mxfp4": (32, 4), "nvfp4": (16, 4), "mxfp8": (32, 8)}
"""The group size and the bits of each mode where none are given."""


def _settings(mode: str, group_size: int | None, bits: int | None) -> tuple[int, int]:
    if mode not in _MODES:
        raise ValueError(f"[quantize] mode is {mode!r}, not one of {', '.join(_MODES)}")
    usual_size, usual_bits = _MODES[mode]
    return group_size or usual_size, bits or usual_bits


def quantize(
    model: Module,
    group_size: int | None = None,
    bits: int | None = None,
    *,
    mode: str = "affine",
    quantize_input: bool = False,
    class_predicate: Callable[[str, Module], bool | dict[str, Any]] | None = None,
) -> None:
    """Replace layers of a model by quantized copies, in place.

    Args:
        model: The model.
        group_size: The number of neighbours that share a scale; by default that of the mode.
        bits: The bits of an element; by default those of the mode.
        mode: The mode of ``olivine.core.quantize``.
        quantize_input: Whether layers are to quantize their inputs too.
        class_predicate: A function of the dotted name of a layer and the layer that says whether
            to replace it, or gives the arguments of its ``to_quantized``. By default every layer
            with that method is replaced.

    Raises:
        ValueError: If the predicate chooses a layer that has no ``to_quantized``, or gives neither
            a bool nor a dictionary.

    Examples:
        >>> import olivine.nn as nn
        >>> model = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        >>> nn.quantize(model, bits=8)
        >>> type(model.layers[0]).__name__
        'QuantizedLinear'
    """
    common: dict[str, Any] = {"group_size": group_size, "bits": bits, "mode": mode}
    if quantize_input:
        # Layers of other packages may not know the argument.
        common["quantize_input"] = True

    def replacement(path: str, layer: Module) -> Module:
        able = hasattr(layer, "to_quantized")
        choice = able if class_predicate is None else class_predicate(path, layer)
        if not choice:
            return layer
        if not able:
            raise ValueError(f"[quantize] {type(layer).__name__} {path!r} has no to_quantized")
        if isinstance(choice, bool):
            quantized: Module = layer.to_quantized(**common)
            return quantized
        if not isinstance(choice, dict):
            raise ValueError(f"[quantize] class_predicate gave a {type(choice).__name__}")  # noqa: TRY004
        arguments = dict(choice)
        if not arguments.get("quantize_input", True):
            del arguments["quantize_input"]
        quantized = layer.to_quantized(**arguments)
        return quantized

    leaves = model.leaf_modules()
    model.update_modules(tree_map_with_path(replacement, leaves, is_leaf=Module.is_module))


class _Quantized(Module):
    """A frozen layer around a quantized matrix ``weight``, its ``scales`` and maybe ``biases``."""

    group_size: int
    bits: int
    mode: str
    biases: mx.array | None

    def _store(self, matrix: mx.array, group_size: int | None, bits: int | None) -> None:
        """Quantize a matrix of shape ``(output_dims, input_dims)`` into this layer."""
        self.weight, self.scales, *biases = mx.quantize(matrix, group_size, bits, mode=self.mode)
        self.biases = biases[0] if biases else None

    def _product(self, x: mx.array) -> mx.array:
        """``x @ matrix.T`` for the matrix that was stored."""
        return mx.quantized_matmul(
            x,
            self["weight"],
            scales=self["scales"],
            biases=self.get("biases"),
            transpose=True,
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
        )

    def _shown_settings(self) -> str:
        return f"group_size={self.group_size}, bits={self.bits}, mode={self.mode}"


class QuantizedEmbedding(_Quantized):
    """An ``Embedding`` whose table is quantized; its parameters are frozen.

    Args:
        num_embeddings: The number of ids.
        dims: The length of a vector.
        group_size: The number of neighbours that share a scale; by default that of the mode.
        bits: The bits of an element; by default those of the mode.
        mode: The mode of ``olivine.core.quantize``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.QuantizedEmbedding(10, 64)(mx.array([1, 2])).shape
        (2, 64)
    """

    def __init__(
        self,
        num_embeddings: int,
        dims: int,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> None:
        super().__init__()
        self.group_size, self.bits = _settings(mode, group_size, bits)
        self.mode = mode
        table = mx.random.normal(shape=(num_embeddings, dims), scale=math.sqrt(1 / dims))
        self._store(table, group_size, bits)
        self.num_embeddings = num_embeddings
        self.dims = dims
        self.freeze()

    def _extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.dims}, {self._shown_settings()}"

    def __call__(self, x: mx.array) -> mx.array:
        """Look up ids of any shape ``(...)``; the result has the shape ``(..., dims)``."""
        biases = self.get("biases")
        return mx.dequantize(
            self["weight"][x],
            scales=self["scales"][x],
            biases=None if biases is None else biases[x],
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
        )

    def as_linear(self, x: mx.array) -> mx.array:
        """Score vectors against the table, as a head that shares its weight does.

        Args:
            x: Vectors of the shape ``(..., dims)``.

        Returns:
            Scores of the shape ``(..., num_embeddings)``.

        Examples:
            >>> import olivine.core as mx
            >>> import olivine.nn as nn
            >>> nn.QuantizedEmbedding(10, 64).as_linear(mx.ones((2, 64))).shape
            (2, 10)
        """
        return self._product(x)

    @classmethod
    def from_embedding(
        cls,
        embedding_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> QuantizedEmbedding:
        """Quantize the table of another layer.

        Args:
            embedding_layer: An ``Embedding``.
            group_size: The number of neighbours that share a scale; by default that of the mode.
            bits: The bits of an element; by default those of the mode.
            mode: The mode of ``olivine.core.quantize``.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.QuantizedEmbedding.from_embedding(nn.Embedding(10, 64), bits=8)
            QuantizedEmbedding(10, 64, group_size=64, bits=8, mode=affine)
        """
        rows, dims = embedding_layer.weight.shape
        layer = cls(rows, dims, group_size, bits, mode=mode)
        layer._store(embedding_layer.weight, group_size, bits)
        return layer


class QuantizedLinear(_Quantized):
    """A ``Linear`` whose matrix is quantized; its parameters are frozen.

    Args:
        input_dims: The length of the last axis of inputs.
        output_dims: The length of the last axis of outputs.
        bias: Whether to add ``bias``, which is not quantized.
        group_size: The number of neighbours that share a scale; by default that of the mode.
        bits: The bits of an element; by default those of the mode.
        mode: The mode of ``olivine.core.quantize``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.QuantizedLinear(64, 8)(mx.ones((2, 64))).shape
        (2, 8)
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> None:
        super().__init__()
        self.group_size, self.bits = _settings(mode, group_size, bits)
        self.mode = mode
        bound = math.sqrt(1 / input_dims)
        matrix = mx.random.uniform(low=-bound, high=bound, shape=(output_dims, input_dims))
        self._store(matrix, group_size, bits)
        if bias:
            self.bias = mx.zeros((output_dims,))
        self.freeze()

    def _extra_repr(self) -> str:
        outputs, words = self.weight.shape
        return (
            f"input_dims={words * 32 // self.bits}, output_dims={outputs}, "
            f"bias={'bias' in self}, {self._shown_settings()}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        """Map ``x`` of shape ``(..., input_dims)`` to ``(..., output_dims)``."""
        y = self._product(x)
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> QuantizedLinear:
        """Quantize the matrix of another layer; its bias is shared and stays trainable.

        Args:
            linear_layer: A ``Linear``.
            group_size: The number of neighbours that share a scale; by default that of the mode.
            bits: The bits of an element; by default those of the mode.
            mode: The mode of ``olivine.core.quantize``.

        Examples:
            >>> import olivine.nn as nn
            >>> layer = nn.QuantizedLinear.from_linear(nn.Linear(64, 8))
            >>> sorted(layer.parameters()), sorted(layer.trainable_parameters())
            (['bias', 'biases', 'scales', 'weight'], ['bias'])
        """
        outputs, inputs = linear_layer.weight.shape
        layer = cls(inputs, outputs, False, group_size, bits, mode=mode)
        layer._store(linear_layer.weight, group_size, bits)
        if "bias" in linear_layer:
            layer.bias = linear_layer.bias
        return layer


class QQLinear(Module):
    """A ``Linear`` without bias that quantizes its inputs and its matrix.

    The matrix is kept whole in training mode and quantized in evaluation mode.

    Args:
        input_dims: The length of the last axis of inputs.
        output_dims: The length of the last axis of outputs.
        group_size: The number of neighbours that share a scale; by default that of the mode.
        bits: The bits of an element; by default those of the mode.
        mode: ``"nvfp4"`` or ``"mxfp8"``.

    Examples:
        >>> import olivine.nn as nn
        >>> layer = nn.QQLinear(64, 8)
        >>> sorted(layer.parameters())
        ['weight']
        >>> sorted(layer.eval().parameters())
        ['scales', 'weight']
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "nvfp4",
    ) -> None:
        super().__init__()
        self.group_size, self.bits = _settings(mode, group_size, bits)
        self.mode = mode
        bound = math.sqrt(1 / input_dims)
        self.weight = mx.random.uniform(low=-bound, high=bound, shape=(output_dims, input_dims))
        self._quantized = False

    def _extra_repr(self) -> str:
        outputs, inputs = self.weight.shape
        if self.weight.dtype == mx.uint32:
            inputs = inputs * 32 // self.bits
        return (
            f"input_dims={inputs}, output_dims={outputs}, group_size={self.group_size}, "
            f"bits={self.bits}, mode={self.mode}"
        )

    def _arguments(self) -> dict[str, Any]:
        return {"group_size": self.group_size, "bits": self.bits, "mode": self.mode}

    def quantize(self) -> None:
        """Quantize the matrix, unless it is already.

        Examples:
            >>> import olivine.nn as nn
            >>> layer = nn.QQLinear(64, 8)
            >>> layer.quantize()
            >>> layer.scales.shape
            (8, 4)
        """
        if not self._quantized:
            parts: Any = mx.quantize(self.weight, **self._arguments())
            self.weight, self.scales = parts
            self._quantized = True

    def dequantize(self) -> None:
        """Make the matrix whole again, as far as it can be, unless it is already.

        Examples:
            >>> import olivine.nn as nn
            >>> layer = nn.QQLinear(64, 8).eval()
            >>> layer.dequantize()
            >>> layer.weight.shape
            (8, 64)
        """
        if self._quantized:
            self.weight = mx.dequantize(self.weight, scales=self.scales, **self._arguments())
            del self.scales
            self._quantized = False

    def _set_training_mode(self, mode: bool) -> None:
        super()._set_training_mode(mode)
        if mode:
            self.dequantize()
        else:
            self.quantize()

    def __call__(self, x: mx.array) -> mx.array:
        """Map ``x`` of shape ``(..., input_dims)`` to ``(..., output_dims)``."""
        return mx.qqmm(x, self["weight"], scales=self.get("scales"), **self._arguments())

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "nvfp4",
    ) -> QQLinear:
        """Take over the matrix of another layer, and its mode of training or evaluation.

        Args:
            linear_layer: A ``Linear`` without bias.
            group_size: The number of neighbours that share a scale; by default that of the mode.
            bits: The bits of an element; by default those of the mode.
            mode: ``"nvfp4"`` or ``"mxfp8"``.

        Raises:
            NotImplementedError: If the other layer has a bias.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.QQLinear.from_linear(nn.Linear(64, 8, bias=False), mode="mxfp8")
            QQLinear(input_dims=64, output_dims=8, group_size=32, bits=8, mode=mxfp8)
        """
        outputs, inputs = linear_layer.weight.shape
        if linear_layer.get("bias") is not None:
            raise NotImplementedError("[QQLinear] a layer with a bias cannot be quantized")
        layer = cls(inputs, outputs, group_size, bits, mode=mode)
        layer.weight = linear_layer.weight
        layer.train(linear_layer.training)
        return layer
