"""Owns layers that sum up windows of sequences, images and volumes, channels last."""

from __future__ import annotations

import math
from collections.abc import Sequence

import olivine.core as mx
from olivine.nn.layers.base import Module


def _sizes(layer: str, name: str, value: int | Sequence[int], axes: int) -> list[int]:
    """One number for each spatial axis, given one for all or a sequence."""
    if isinstance(value, int):
        return [value] * axes
    if isinstance(value, (list, tuple)) and len(value) == axes:
        return list(value)
    raise ValueError(f"[{layer}] {name} is {value!r}, not an int or {axes} of them")


def _windows(x: mx.array, kernel: list[int], stride: list[int]) -> mx.array:
    """View ``x`` of shape ``(N, *spatial, C)`` as ``(N, *places, *kernel, C)``."""
    batch, *spatial, channels = x.shape
    if len(spatial) != len(kernel):
        raise ValueError(f"[Pool] {x.ndim} axes, not {len(kernel) + 2}")
    axes = len(kernel)
    if kernel == stride and all(n % k == 0 for n, k in zip(spatial, kernel, strict=True)):
        # Windows that tile the input are a reshape, whose gradient is a reshape too.
        split = [m for n, k in zip(spatial, kernel, strict=True) for m in (n // k, k)]
        places = range(1, 2 * axes, 2)
        offsets = range(2, 2 * axes + 1, 2)
        order = [0, *places, *offsets, 2 * axes + 1]
        return x.reshape(batch, *split, channels).transpose(order)
    places_shape = [(n - k) // s + 1 for n, k, s in zip(spatial, kernel, stride, strict=True)]
    steps = [math.prod(x.shape[axis + 1 :]) for axis in range(x.ndim)]
    inner = steps[1:-1]
    hops = [step * s for step, s in zip(inner, stride, strict=True)]
    return mx.as_strided(
        x,
        (batch, *places_shape, *kernel, channels),
        (steps[0], *hops, *inner, steps[-1]),
    )


class _Pool(Module):
    """A reduction over the windows of some number of spatial axes."""

    _spatial_axes: int
    _fill: float

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None,
        padding: int | Sequence[int],
    ) -> None:
        super().__init__()
        layer, axes = type(self).__name__, self._spatial_axes
        kernel = _sizes(layer, "kernel_size", kernel_size, axes)
        steps = kernel if stride is None else _sizes(layer, "stride", stride, axes)
        margins = _sizes(layer, "padding", padding, axes)
        for name, values in (("kernel_size", kernel), ("stride", steps)):
            if min(values) <= 0:
                raise ValueError(f"[{layer}] {name} is {tuple(values)}, which is not positive")
        if min(margins) < 0:
            raise ValueError(f"[{layer}] padding is {tuple(margins)}, which is negative")
        self._kernel_size = kernel
        self._stride = steps
        self._padding = margins

    def _extra_repr(self) -> str:
        return (
            f"kernel_size={tuple(self._kernel_size)}, stride={tuple(self._stride)}, "
            f"padding={tuple(self._padding)}"
        )

    def _pooled_windows(self, x: mx.array) -> tuple[mx.array, tuple[int, ...]]:
        """The windows of the padded input, and the axes to reduce."""
        if any(self._padding):
            margins = [(0, 0), *((p, p) for p in self._padding), (0, 0)]
            x = mx.pad(x, margins, constant_values=self._fill)
        axes = tuple(range(-self._spatial_axes - 1, -1))
        return _windows(x, self._kernel_size, self._stride), axes


class _MaxPool(_Pool):
    _fill = -math.inf

    def __call__(self, x: mx.array) -> mx.array:
        """Take the largest element of each window and channel."""
        windows, axes = self._pooled_windows(x)
        return mx.max(windows, axis=axes)


class _AvgPool(_Pool):
    _fill = 0.0

    def __call__(self, x: mx.array) -> mx.array:
        """Take the mean of each window and channel."""
        windows, axes = self._pooled_windows(x)
        return mx.mean(windows, axis=axes)


class MaxPool1d(_MaxPool):
    """Takes the largest element of windows of sequences.

    Inputs have the shape ``(N, L, C)``. Sizes are one number or a tuple of one.

    Args:
        kernel_size: The size of a window.
        stride: The distance between windows. By default ``kernel_size``.
        padding: How much is put around the inputs: minus infinity.

    Raises:
        ValueError: If a size is not positive, a padding is negative, or either has another length.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.MaxPool1d(2)(mx.array([[[1.0], [4.0], [2.0], [0.0]]]))
        array([[[4],
                [2]]], dtype=float32)
    """

    _spatial_axes = 1

    def __init__(
        self,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] | None = None,
        padding: int | tuple[int] = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class MaxPool2d(_MaxPool):
    """Takes the largest element of windows of images.

    Inputs have the shape ``(N, H, W, C)``. Sizes are one number for both axes or a pair.

    Args:
        kernel_size: The size of a window.
        stride: The distance between windows. By default ``kernel_size``.
        padding: How much is put around the inputs: minus infinity.

    Raises:
        ValueError: If a size is not positive, a padding is negative, or either has another length.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.MaxPool2d(2)(mx.ones((1, 8, 6, 3))).shape
        (1, 4, 3, 3)
    """

    _spatial_axes = 2

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class MaxPool3d(_MaxPool):
    """Takes the largest element of windows of volumes.

    Inputs have the shape ``(N, D, H, W, C)``. Sizes are one number for all axes or one for each.

    Args:
        kernel_size: The size of a window.
        stride: The distance between windows. By default ``kernel_size``.
        padding: How much is put around the inputs: minus infinity.

    Raises:
        ValueError: If a size is not positive, a padding is negative, or either has another length.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.MaxPool3d(2)(mx.ones((1, 4, 4, 6, 3))).shape
        (1, 2, 2, 3, 3)
    """

    _spatial_axes = 3

    def __init__(
        self,
        kernel_size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] | None = None,
        padding: int | tuple[int, int, int] = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class AvgPool1d(_AvgPool):
    """Takes the mean of windows of sequences.

    Inputs have the shape ``(N, L, C)``. Sizes are one number or a tuple of one.

    Args:
        kernel_size: The size of a window.
        stride: The distance between windows. By default ``kernel_size``.
        padding: How much is put around the inputs: zeros, which count.

    Raises:
        ValueError: If a size is not positive, a padding is negative, or either has another length.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.AvgPool1d(2)(mx.array([[[1.0], [4.0], [2.0], [0.0]]]))
        array([[[2.5],
                [1]]], dtype=float32)
    """

    _spatial_axes = 1

    def __init__(
        self,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] | None = None,
        padding: int | tuple[int] = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class AvgPool2d(_AvgPool):
    """Takes the mean of windows of images.

    Inputs have the shape ``(N, H, W, C)``. Sizes are one number for both axes or a pair.

    Args:
        kernel_size: The size of a window.
        stride: The distance between windows. By default ``kernel_size``.
        padding: How much is put around the inputs: zeros, which count.

    Raises:
        ValueError: If a size is not positive, a padding is negative, or either has another length.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.AvgPool2d(2)(mx.ones((1, 8, 6, 3))).shape
        (1, 4, 3, 3)
    """

    _spatial_axes = 2

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class AvgPool3d(_AvgPool):
    """Takes the mean of windows of volumes.

    Inputs have the shape ``(N, D, H, W, C)``. Sizes are one number for all axes or one for each.

    Args:
        kernel_size: The size of a window.
        stride: The distance between windows. By default ``kernel_size``.
        padding: How much is put around the inputs: zeros, which count.

    Raises:
        ValueError: If a size is not positive, a padding is negative, or either has another length.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.AvgPool3d(2)(mx.ones((1, 4, 4, 6, 3))).shape
        (1, 2, 2, 3, 3)
    """

    _spatial_axes = 3

    def __init__(
        self,
        kernel_size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] | None = None,
        padding: int | tuple[int, int, int] = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
