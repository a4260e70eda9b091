"""Owns layers whose parameters are spread over the processes of a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, cast

import olivine.core as mx
from olivine.nn.layers.base import Module
from olivine.nn.layers.linear import Linear
from olivine.utils import tree_flatten, tree_map_with_path, tree_unflatten

Segments = int | Sequence[int] | Sequence[float]
"""Parts that are each spread on their own: a number of equal ones, or where to cut."""

Cut = int | tuple[int, Segments] | None
"""The axis along which to spread a parameter, maybe with segments; ``None`` leaves it whole."""


@lru_cache
def sum_gradients(group: mx.distributed.Group) -> Callable[[mx.array], mx.array]:
    """Make the identity whose gradient is summed over a group.

    Args:
        group: The processes.

    Returns:
        A function of an array; the same one for the same group.

    Examples:
        >>> import olivine.core as mx
        >>> from olivine.nn.layers.distributed import sum_gradients
        >>> sum_gradients(mx.distributed.init())(mx.array([1.0]))
        array([1], dtype=float32)
    """
    if group.size() == 1:
        return lambda x: x

    def same(x: mx.array) -> mx.array:
        return x

    def summed(x: mx.array, cotangent: mx.array, _: mx.array) -> mx.array:
        return mx.distributed.all_sum(cotangent, group=group)

    function = mx.custom_function(same)
    function.vjp(summed)
    return cast("Callable[[mx.array], mx.array]", function)


def _segments(x: mx.array, segments: Segments, axis: int) -> list[mx.array]:
    """Cut an array into equal parts, at indices, or at fractions of its length."""
    if isinstance(segments, int):
        return list(mx.split(x, segments, axis=axis))
    places = [s if isinstance(s, int) else int(s * x.shape[axis]) for s in segments]
    return list(mx.split(x, places, axis=axis))


def _shard(
    parameters: dict[str, Any],
    cut: Callable[[str, mx.array], Cut],
    group: mx.distributed.Group | None,
) -> dict[str, Any]:
    """The part of each parameter that this process is to hold."""
    group = group or mx.distributed.init()
    size, rank = group.size(), group.rank()

    def own_part(path: str, value: Any) -> Any:
        choice = cut(path, value) if isinstance(value, mx.array) else None
        if choice is None:
            return value
        if isinstance(choice, int):
            choice = (choice, 1)
        if not isinstance(choice, tuple):
            raise ValueError(  # noqa: TRY004
                f"[shard] {path} is to be cut at {choice!r}, not an axis or an axis with segments"
            )
        axis, segments = choice
        parts = [mx.split(s, size, axis=axis)[rank] for s in _segments(value, segments, axis)]
        return mx.contiguous(mx.concatenate(parts, axis=axis))

    sharded: dict[str, Any] = tree_map_with_path(own_part, parameters)
    return sharded


def _cut_outputs(segments: Segments) -> Callable[[str, mx.array], Cut]:
    """Spread the rows of matrices and all of a bias."""

    def cut(path: str, x: mx.array) -> Cut:
        return (-1 if path.endswith("bias") else max(x.ndim - 2, 0)), segments

    return cut


def _cut_inputs(segments: Segments) -> Callable[[str, mx.array], Cut]:
    """Spread the columns of matrices; a bias stays whole."""

    def cut(path: str, x: mx.array) -> Cut:
        return None if path.endswith("bias") else (-1, segments)

    return cut


_CUTS = {"all-to-sharded": _cut_outputs, "sharded-to-all": _cut_inputs}


def _check_sharding(sharding: str) -> None:
    if sharding not in _CUTS:
        raise ValueError(f"[shard] sharding is {sharding!r}, not {' or '.join(_CUTS)}")


def shard_inplace(
    module: Module,
    sharding: str | Callable[[str, mx.array], Cut],
    *,
    segments: Segments = 1,
    group: mx.distributed.Group | None = None,
) -> None:
    """Replace the parameters of a module by the parts that this process is to hold.

    Args:
        module: The module.
        sharding: ``"all-to-sharded"`` spreads outputs, ``"sharded-to-all"`` spreads inputs; or a
            function of the dotted name of a parameter and the parameter that gives the axis, a
            pair of the axis and segments, or ``None`` to leave it whole.
        segments: Parts that are each spread on their own, for matrices that hold several: a
            number, indices, or fractions to cut at.
        group: The processes. By default all.

    Raises:
        ValueError: If ``sharding`` is unknown or gives something else.

    Examples:
        >>> import olivine.nn as nn
        >>> from olivine.nn.layers.distributed import shard_inplace
        >>> layer = nn.Linear(4, 8)
        >>> shard_inplace(layer, "all-to-sharded")
        >>> layer.weight.shape
        (8, 4)
    """
    if isinstance(sharding, str):
        _check_sharding(sharding)
        sharding = _CUTS[sharding](segments)
    module.update(_shard(module.parameters(), sharding, group))


def shard_linear(
    module: Module,
    sharding: str,
    *,
    segments: Segments = 1,
    group: mx.distributed.Group | None = None,
) -> Module:
    """Make the layer that does the part of this process in a linear or quantized linear layer.

    Args:
        module: A ``Linear`` or ``QuantizedLinear``.
        sharding: ``"all-to-sharded"`` spreads outputs, ``"sharded-to-all"`` spreads inputs.
        segments: Parts that are each spread on their own, for matrices that hold several: a
            number, indices, or fractions to cut at.
        group: The processes. By default all.

    Raises:
        ValueError: If ``sharding`` is unknown.

    Examples:
        >>> import olivine.nn as nn
        >>> from olivine.nn.layers.distributed import shard_linear
        >>> shard_linear(nn.Linear(4, 8), "sharded-to-all")
        ShardedToAllLinear(input_dims=4, output_dims=8, bias=True)
    """
    _check_sharding(sharding)
    spread_outputs = sharding == "all-to-sharded"
    if isinstance(module, Linear):
        dense = AllToShardedLinear if spread_outputs else ShardedToAllLinear
        return dense.from_linear(module, segments=segments, group=group)
    quantized = QuantizedAllToShardedLinear if spread_outputs else QuantizedShardedToAllLinear
    return quantized.from_quantized_linear(module, segments=segments, group=group)


class _Sharded(Module):
    """What sharded layers share: their group, and how outputs or inputs are divided."""

    _spreads_outputs: bool
    _cut: Callable[[Segments], Callable[[str, mx.array], Cut]]

    group: mx.distributed.Group

    def _join(
        self, group: mx.distributed.Group | None, input_dims: int, output_dims: int
    ) -> tuple[int, int]:
        """Take the group; the result is the inputs and outputs of this process."""
        self.group = group or mx.distributed.init()
        size = self.group.size()
        whole = output_dims if self._spreads_outputs else input_dims
        if whole % size != 0:
            side = "outputs" if self._spreads_outputs else "inputs"
            raise ValueError(
                f"[{type(self).__name__}] {whole} {side} do not split over {size} processes"
            )
        if self._spreads_outputs:
            return input_dims, output_dims // size
        return input_dims // size, output_dims

    def _shown_dims(self, bits: int = 32) -> str:
        """The dimensions of the whole layer, for a matrix of elements of so many bits in words."""
        outputs, words = self.weight.shape
        inputs = words * 32 // bits
        if self._spreads_outputs:
            outputs *= self.group.size()
        else:
            inputs *= self.group.size()
        return f"input_dims={inputs}, output_dims={outputs}, bias={'bias' in self}"


class _ShardedLinear(_Sharded):
    """A linear layer of which each process holds a part."""

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group: mx.distributed.Group | None = None,
    ) -> None:
        super().__init__()
        bound = math.sqrt(1 / input_dims)
        inputs, outputs = self._join(group, input_dims, output_dims)
        self.weight = mx.random.uniform(low=-bound, high=bound, shape=(outputs, inputs))
        if bias:
            self.bias = mx.random.uniform(low=-bound, high=bound, shape=(outputs,))

    def _extra_repr(self) -> str:
        return self._shown_dims()

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        *,
        segments: Segments = 1,
        group: mx.distributed.Group | None = None,
    ) -> _ShardedLinear:
        """Take the part of this process from a whole layer.

        Args:
            linear_layer: A ``Linear``.
            segments: Parts that are each spread on their own: a number, indices, or fractions.
            group: The processes. By default all.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.AllToShardedLinear.from_linear(nn.Linear(4, 8))
            AllToShardedLinear(input_dims=4, output_dims=8, bias=True)
        """
        outputs, inputs = linear_layer.weight.shape
        layer = cls(inputs, outputs, hasattr(linear_layer, "bias"), group)
        layer.update(_shard(linear_layer.parameters(), cls._cut(segments), group))
        return layer


class AllToShardedLinear(_ShardedLinear):
    """A ``Linear`` of which each process computes a part of the outputs from all inputs.

    Args:
        input_dims: The length of the last axis of inputs.
        output_dims: The length of the last axis of the outputs of all processes together.
        bias: Whether to add a bias.
        group: The processes. By default all.

    Raises:
        ValueError: If outputs do not split over the processes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.AllToShardedLinear(4, 8)(mx.ones((2, 4))).shape
        (2, 8)
    """

    _spreads_outputs = True
    _cut = staticmethod(_cut_outputs)

    def __call__(self, x: mx.array) -> mx.array:
        """Map ``x`` of shape ``(..., input_dims)`` to the outputs of this process."""
        x = sum_gradients(self.group)(x)
        weight: mx.array = self["weight"]
        return mx.addmm(self["bias"], x, weight.T) if "bias" in self else x @ weight.T


class ShardedToAllLinear(_ShardedLinear):
    """A ``Linear`` of which each process has a part of the inputs; all get all outputs.

    Args:
        input_dims: The length of the last axis of the inputs of all processes together.
        output_dims: The length of the last axis of outputs.
        bias: Whether to add a bias.
        group: The processes. By default all.

    Raises:
        ValueError: If inputs do not split over the processes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ShardedToAllLinear(4, 8)(mx.ones((2, 4))).shape
        (2, 8)
    """

    _spreads_outputs = False
    _cut = staticmethod(_cut_inputs)

    def __call__(self, x: mx.array) -> mx.array:
        """Map the inputs of this process to ``(..., output_dims)``."""
        y = mx.distributed.all_sum(x @ self["weight"].T, group=self.group)
        return y + self["bias"] if "bias" in self else y


class _QuantizedSharded(_Sharded):
    """A quantized linear layer of which each process holds a part; its parameters are frozen."""

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
        mode: str = "affine",
        group: mx.distributed.Group | None = None,
    ) -> None:
        super().__init__()
        self.group_size = group_size
        self.bits = bits
        self.mode = mode
        bound = math.sqrt(1 / input_dims)
        inputs, outputs = self._join(group, input_dims, output_dims)
        matrix = mx.random.uniform(low=-bound, high=bound, shape=(outputs, inputs))
        self.weight, self.scales, *biases = mx.quantize(matrix, group_size, bits, mode=mode)
        self.biases = biases[0] if biases else None
        if bias:
            self.bias = mx.zeros((outputs,))
        self.freeze()

    def unfreeze(self, *args: Any, **kwargs: Any) -> Module:
        """Do nothing to this layer, whose parameters stay frozen.

        The arguments are those of ``Module.unfreeze``.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.QuantizedAllToShardedLinear(64, 8).unfreeze().trainable_parameters()
            {}
        """
        super().unfreeze(*args, **kwargs)
        return self.freeze(recurse=False)

    def _extra_repr(self) -> str:
        return (
            f"{self._shown_dims(self.bits)}, group_size={self.group_size}, bits={self.bits}, "
            f"mode={self.mode}"
        )

    def _product(self, x: mx.array) -> mx.array:
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

    @classmethod
    def from_quantized_linear(
        cls,
        quantized_linear_layer: Module,
        *,
        segments: Segments = 1,
        group: mx.distributed.Group | None = None,
    ) -> _QuantizedSharded:
        """Take the part of this process from a whole layer.

        Args:
            quantized_linear_layer: A ``QuantizedLinear``.
            segments: Parts that are each spread on their own: a number, indices, or fractions.
            group: The processes. By default all.

        Examples:
            >>> import olivine.nn as nn
            >>> layer = nn.QuantizedLinear(64, 8, bits=8)
            >>> nn.QuantizedAllToShardedLinear.from_quantized_linear(layer).weight.shape
            (8, 16)
        """
        whole = quantized_linear_layer
        outputs, words = whole.weight.shape
        layer = cls(
            words * 32 // whole.bits,
            outputs,
            hasattr(whole, "bias"),
            group_size=whole.group_size,
            bits=whole.bits,
            mode=getattr(whole, "mode", "affine"),
            group=group,
        )
        layer.update(_shard(whole.parameters(), cls._cut(segments), group))
        return layer


class QuantizedAllToShardedLinear(_QuantizedSharded):
    """A ``QuantizedLinear`` of which each process computes a part of the outputs.

    Args:
        input_dims: The length of the last axis of inputs.
        output_dims: The length of the last axis of the outputs of all processes together.
        bias: Whether to add a bias.
        group_size: The number of neighbours that share a scale.
        bits: The bits of an element.
        mode: The mode of ``olivine.core.quantize``.
        group: The processes. By default all.

    Raises:
        ValueError: If outputs do not split over the processes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.QuantizedAllToShardedLinear(64, 8)(mx.ones((2, 64))).shape
        (2, 8)
    """

    _spreads_outputs = True
    _cut = staticmethod(_cut_outputs)

    def __call__(self, x: mx.array) -> mx.array:
        """Map ``x`` of shape ``(..., input_dims)`` to the outputs of this process."""
        y = self._product(sum_gradients(self.group)(x))
        return y + self["bias"] if "bias" in self else y


class QuantizedShardedToAllLinear(_QuantizedSharded):
    """A ``QuantizedLinear`` of which each process has a part of the inputs.

    Args:
        input_dims: The length of the last axis of the inputs of all processes together.
        output_dims: The length of the last axis of outputs.
        bias: Whether to add a bias.
        group_size: The number of neighbours that share a scale.
        bits: The bits of an element.
        mode: The mode of ``olivine.core.quantize``.
        group: The processes. By default all.

    Raises:
        ValueError: If inputs do not split over the processes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.QuantizedShardedToAllLinear(64, 8)(mx.ones((2, 64))).shape
        (2, 8)
    """

    _spreads_outputs = False
    _cut = staticmethod(_cut_inputs)

    def __call__(self, x: mx.array) -> mx.array:
        """Map the inputs of this process to ``(..., output_dims)``."""
        y = mx.distributed.all_sum(self._product(x), group=self.group)
        return y + self["bias"] if "bias" in self else y


def _shardable(owner: Module, key: str, value: Any) -> bool:
    """Parameters, but not those that are spread already."""
    return not isinstance(value, FullyShardedModule) and Module.valid_parameter_filter(
        owner, key, value
    )


def _gatherer(
    group: mx.distributed.Group,
    shapes: list[tuple[int, ...]],
    compute_dtype: mx.Dtype | None,
) -> Callable[[list[mx.array]], list[mx.array]]:
    """Make the function from parts to whole parameters; its gradient is averaged and spread."""
    size = group.size()
    ends = list(accumulate(math.prod(shape) // size for shape in shapes))[:-1]

    def as_dtype(x: mx.array, dtype: mx.Dtype | None) -> mx.array:
        return x if dtype is None else x.astype(dtype)

    def gather(parts: list[mx.array]) -> list[mx.array]:
        # One message for all: row r of the result is what process r holds.
        own = mx.concatenate([as_dtype(p, compute_dtype).reshape(1, -1) for p in parts], axis=1)
        everything = mx.split(mx.distributed.all_gather(own, group=group), ends, axis=1)
        return [x.reshape(shape) for x, shape in zip(everything, shapes, strict=True)]

    def scatter(
        parts: list[mx.array], cotangents: list[mx.array], _: list[mx.array]
    ) -> list[mx.array]:
        rows = mx.concatenate([c.reshape(size, -1) for c in cotangents], axis=1)
        own = mx.distributed.sum_scatter(rows, group=group) / size
        pieces = mx.split(own, ends, axis=1)
        return [as_dtype(x.reshape(p.shape), p.dtype) for x, p in zip(pieces, parts, strict=True)]

    function = mx.custom_function(gather)
    function.vjp(scatter)
    return cast("Callable[[list[mx.array]], list[mx.array]]", function)


class FullyShardedModule(Module):
    """A module whose parameters are spread over a group, and whole only while it is called.

    Args:
        module: The module; its parameters are replaced by the part of this process.
        group: The processes. By default all.
        compute_dtype: The dtype of the whole parameters. By default their own.

    Raises:
        ValueError: If the first axis of a parameter does not split over the processes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.FullyShardedModule(nn.Linear(4, 8))(mx.ones((2, 4))).shape
        (2, 8)
    """

    _paths: list[str]

    def __init__(
        self,
        module: Module,
        group: mx.distributed.Group | None = None,
        compute_dtype: mx.Dtype | None = None,
    ) -> None:
        super().__init__()
        group = group or mx.distributed.init()
        size = group.size()
        whole = module.filter_and_map(_shardable)
        flat: dict[str, mx.array] = tree_flatten(whole, destination={})
        for path, x in flat.items():
            if x.ndim == 0 or x.shape[0] % size != 0:
                raise ValueError(
                    f"[FullyShardedModule] {path} of shape {x.shape} does not split over "
                    f"{size} processes along its first axis"
                )
        # An ordinary attribute: names are not part of the state.
        object.__setattr__(self, "_paths", list(flat))
        self._gather = _gatherer(group, [x.shape for x in flat.values()], compute_dtype)
        module.update(_shard(whole, lambda path, x: 0, group))
        self.module = module

    def _extra_repr(self) -> str:
        return f"num_sharded_params={len(self._paths)}"

    def _while_whole(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        parts = self.module.filter_and_map(_shardable)
        flat: dict[str, mx.array] = tree_flatten(parts, destination={})
        whole = self._gather(list(flat.values()))
        self.module.update(tree_unflatten(list(zip(self._paths, whole, strict=True))))
        try:
            return fn(*args, **kwargs)
        finally:
            self.module.update(parts)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module with whole parameters."""
        return self._while_whole(self.module, *args, **kwargs)

    def as_linear(self, *args: Any, **kwargs: Any) -> Any:
        """Call ``as_linear`` of the module with whole parameters.

        Examples:
            >>> import olivine.core as mx
            >>> import olivine.nn as nn
            >>> nn.FullyShardedModule(nn.Embedding(10, 4)).as_linear(mx.ones((2, 4))).shape
            (2, 10)
        """
        return self._while_whole(self.module.as_linear, *args, **kwargs)


def fully_shard(
    module: Module,
    *,
    group: mx.distributed.Group | None = None,
    compute_dtype: mx.Dtype | None = None,
) -> Module:
    """Spread the parameters of a module over a group.

    Args:
        module: The module.
        group: The processes. By default all.
        compute_dtype: The dtype of the whole parameters while the module is called.

    Returns:
        A ``FullyShardedModule``; or the module itself if there is one process, if it is spread
        already, or if it has no parameters of its own.

    Examples:
        >>> import olivine.nn as nn
        >>> nn.fully_shard(nn.Linear(4, 8))
        Linear(input_dims=4, output_dims=8, bias=True)
    """
    group = group or mx.distributed.init()
    if group.size() == 1 or isinstance(module, FullyShardedModule):
        return module
    sharded = FullyShardedModule(module, group, compute_dtype)
    return sharded if sharded._paths else module
