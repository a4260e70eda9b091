"""Owns layers that shift and scale their inputs to a mean of zero and a variance of one."""

from __future__ import annotations

import math
from typing import Any

import olivine.core as mx
from olivine.nn.layers.base import Module


def _check_eps(layer: Module, eps: float) -> None:
    # Without it a constant input would divide zero by zero.
    if eps <= 0:
        raise ValueError(f"[{type(layer).__name__}] eps must be positive, not {eps}")


def _scale_and_shift(layer: Module, x: mx.array) -> mx.array:
    """Apply the learned weight and bias, if the layer has them."""
    return layer.weight * x + layer.bias if "weight" in layer else x


class InstanceNorm(Module):
    """Normalizes each channel of each example over its spatial axes.

    ``weight`` and ``bias``, with ``affine``, have the shape ``(dims,)``.

    Args:
        dims: The number of channels.
        eps: What is added to the variance.
        affine: Whether to scale and shift each channel by learned numbers.

    Raises:
        ValueError: If ``eps`` is not positive, or inputs have fewer than three axes.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.InstanceNorm(2)(mx.array([[[1.0, 5.0], [3.0, 9.0]]])).round(3)
        array([[[-1, -1],
                [1, 1]]], dtype=float32)
    """

    def __init__(self, dims: int, eps: float = 1e-05, affine: bool = False) -> None:
        super().__init__()
        _check_eps(self, eps)
        if affine:
            self.weight = mx.ones((dims,))
            self.bias = mx.zeros((dims,))
        self.dims = dims
        self.eps = eps

    def _extra_repr(self) -> str:
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        """Normalize ``x`` of shape ``(N, ..., dims)``."""
        if x.ndim < 3:
            raise ValueError(f"[InstanceNorm] {x.ndim} axes, but (N, ..., C) has at least 3")
        flat = x.reshape(x.shape[0], -1, x.shape[-1]).swapaxes(1, 2)
        normal = mx.fast.layer_norm(flat, None, None, self.eps)
        return _scale_and_shift(self, normal.swapaxes(1, 2).reshape(x.shape))


class LayerNorm(Module):
    """Normalizes over the last axis.

    ``weight`` and ``bias`` have the shape ``(dims,)``.

    Args:
        dims: The length of the last axis.
        eps: What is added to the variance.
        affine: Whether to scale each feature by a learned number.
        bias: Whether, with ``affine``, to shift it by one too.

    Raises:
        ValueError: If ``eps`` is not positive.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.LayerNorm(2)(mx.array([[1.0, 3.0]])).round(3)
        array([[-1, 1]], dtype=float32)
    """

    def __init__(
        self, dims: int, eps: float = 1e-05, affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        _check_eps(self, eps)
        if affine:
            self.weight = mx.ones((dims,))
            if bias:
                self.bias = mx.zeros((dims,))
        self.eps = eps
        self.dims = dims

    def _extra_repr(self) -> str:
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        """Normalize ``x`` of shape ``(..., dims)``."""
        return mx.fast.layer_norm(x, self.get("weight"), self.get("bias"), self.eps)


class RMSNorm(Module):
    """Divides by the root of the mean square over the last axis, and scales by ``weight``.

    Args:
        dims: The length of the last axis, and of ``weight``.
        eps: What is added to the mean square.

    Raises:
        ValueError: If ``eps`` is not positive.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.RMSNorm(2)(mx.array([[1.0, 7.0]])).round(3)
        array([[0.2, 1.4]], dtype=float32)
    """

    def __init__(self, dims: int, eps: float = 1e-05) -> None:
        super().__init__()
        _check_eps(self, eps)
        self.weight = mx.ones((dims,))
        self.eps = eps

    def _extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"

    def __call__(self, x: mx.array) -> mx.array:
        """Normalize ``x`` of shape ``(..., dims)``."""
        return mx.fast.rms_norm(x, self["weight"], self.eps)


class GroupNorm(Module):
    """Normalizes groups of channels of each example over its spatial axes.

    ``weight`` and ``bias``, with ``affine``, have the shape ``(dims,)``.

    Args:
        num_groups: The number of groups.
        dims: The number of channels.
        eps: What is added to the variance.
        affine: Whether to scale and shift each channel by learned numbers.
        pytorch_compatible: Whether a group is a run of neighbours, as in PyTorch. Otherwise
            group ``g`` has the channels ``g``, ``g + num_groups``, ``g + 2 * num_groups``, ….

    Raises:
        ValueError: If ``eps`` is not positive, or ``dims`` does not split into groups.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> x = mx.array([[1.0, 3.0, 10.0, 30.0]])
        >>> nn.GroupNorm(2, 4, pytorch_compatible=True)(x).round(3)
        array([[-1, 1, -1, 1]], dtype=float32)
        >>> nn.GroupNorm(2, 4)(x).round(3)
        array([[-1, -1, 1, 1]], dtype=float32)
    """

    def __init__(
        self,
        num_groups: int,
        dims: int,
        eps: float = 1e-05,
        affine: bool = True,
        pytorch_compatible: bool = False,
    ) -> None:
        super().__init__()
        _check_eps(self, eps)
        if num_groups <= 0 or dims <= 0 or dims % num_groups != 0:
            raise ValueError(f"[GroupNorm] {dims} channels do not split into {num_groups} groups")
        if affine:
            self.bias = mx.zeros((dims,))
            self.weight = mx.ones((dims,))
        self.num_groups = num_groups
        self.dims = dims
        self.eps = eps
        self.pytorch_compatible = pytorch_compatible

    def _extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.dims}, eps={self.eps}, affine={'weight' in self}, "
            f"pytorch_compatible={self.pytorch_compatible}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        """Normalize ``x`` of shape ``(N, ..., dims)``."""
        groups = self.num_groups
        if not self.pytorch_compatible:
            mixed = x.reshape(x.shape[0], -1, groups)
            mean = mx.mean(mixed, axis=1, keepdims=True)
            variance = mx.var(mixed, axis=1, keepdims=True)
            normal = (mixed - mean) * mx.rsqrt(variance + self.eps)
            return _scale_and_shift(self, normal.reshape(x.shape))
        size = x.shape[-1] // groups
        grouped = x.reshape(x.shape[0], -1, groups, size).swapaxes(1, 2)
        rows = grouped.reshape(x.shape[0], groups, -1)
        normal = mx.fast.layer_norm(rows, None, None, self.eps).reshape(grouped.shape)
        return _scale_and_shift(self, normal.swapaxes(1, 2).reshape(x.shape))


class BatchNorm(Module):
    """Normalizes each channel over the batch and the spatial axes.

    ``weight`` and ``bias``, with ``affine``, and ``running_mean`` and ``running_var``, with
    ``track_running_stats``, have the shape ``(num_features,)``. The running statistics are frozen;
    training moves them by ``momentum`` towards those of each batch, and evaluation uses them.

    Args:
        num_features: The number of channels.
        eps: What is added to the variance.
        momentum: The weight of the newest batch in the running statistics.
        affine: Whether to scale and shift each channel by learned numbers.
        track_running_stats: Whether to keep running statistics.

    Raises:
        ValueError: If ``eps`` is not positive, inputs do not have two to four axes, or a batch to
            train on has only one value in each channel.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> layer = nn.BatchNorm(1)
        >>> layer(mx.array([[1.0], [3.0]])).round(3)
        array([[-1],
               [1]], dtype=float32)
        >>> layer.running_mean, layer.running_var
        (array([0.2], dtype=float32), array([1.1], dtype=float32))
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-05,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        _check_eps(self, eps)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = mx.ones((num_features,))
            self.bias = mx.zeros((num_features,))
        if track_running_stats:
            self.running_mean = mx.zeros((num_features,))
            self.running_var = mx.ones((num_features,))
            self._freeze_statistics()

    def _freeze_statistics(self) -> None:
        self.freeze(keys=["running_mean", "running_var"], recurse=False)

    def unfreeze(self, *args: Any, **kwargs: Any) -> Module:
        """Take parameters back into training, but never the running statistics.

        The arguments are those of ``Module.unfreeze``.

        Examples:
            >>> import olivine.nn as nn
            >>> sorted(nn.BatchNorm(4).unfreeze().trainable_parameters())
            ['bias', 'weight']
        """
        super().unfreeze(*args, **kwargs)
        self._freeze_statistics()
        return self

    def _extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={'weight' in self}, track_running_stats={self.track_running_stats}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        """Normalize ``x`` of shape ``(N, C)``, ``(N, L, C)`` or ``(N, H, W, C)``."""
        if not 2 <= x.ndim <= 4:
            raise ValueError(f"[BatchNorm] {x.ndim} axes, not 2, 3 or 4")
        if not self.training and self.track_running_stats:
            return self._normalize(x, self.running_mean, self.running_var)
        count = math.prod(x.shape[:-1])
        if self.training and count == 1:
            raise ValueError("[BatchNorm] one value in each channel has no variance to train on")
        axes = tuple(range(x.ndim - 1))
        mean = mx.mean(x, axis=axes)
        if self.training and self.track_running_stats:
            step = self.momentum
            unbiased = mx.var(x, axis=axes, ddof=1)
            self.running_mean = (1 - step) * self.running_mean + step * mean
            self.running_var = (1 - step) * self.running_var + step * unbiased
        return self._normalize(x, mean, mx.var(x, axis=axes))

    def _normalize(self, x: mx.array, mean: mx.array, variance: mx.array) -> mx.array:
        return _scale_and_shift(self, (x - mean) * mx.rsqrt(variance + self.eps))
