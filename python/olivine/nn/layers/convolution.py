"""Owns convolutions over one, two and three spatial axes, channels last."""

from __future__ import annotations

import math
from typing import Any

import olivine.core as mx
from olivine.nn.layers.base import Module


def _per_axis(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """One number for each spatial axis, given one for all or a sequence."""
    return (value,) * axes if isinstance(value, int) else value


def _uniform_kernel(out_channels: int, kernel: tuple[int, ...], in_channels: int) -> mx.array:
    """A kernel drawn evenly from plus and minus one over the root of the number of its inputs."""
    bound = math.sqrt(1 / (in_channels * math.prod(kernel)))
    return mx.random.uniform(low=-bound, high=bound, shape=(out_channels, *kernel, in_channels))


def _check_groups(in_channels: int, groups: int) -> None:
    if in_channels % groups != 0:
        raise ValueError(f"[Conv] {in_channels} input channels do not split into {groups} groups")


class _Convolution(Module):
    """What convolutions of all ranks share: the bias and the representation."""

    _shown: tuple[str, ...] = ("stride", "padding", "dilation", "groups")

    weight: mx.array
    bias: mx.array

    def _extra_repr(self) -> str:
        out_channels, *kernel, in_channels = self.weight.shape
        size: Any = kernel[0] if len(kernel) == 1 else tuple(kernel)
        settings = "".join(f"{name}={getattr(self, name)}, " for name in self._shown)
        return (
            f"{in_channels * getattr(self, 'groups', 1)}, {out_channels}, kernel_size={size}, "
            f"{settings}bias={'bias' in self}"
        )

    def _add_bias(self, y: mx.array) -> mx.array:
        return y + self.bias if "bias" in self else y


class Conv1d(_Convolution):
    """Slides a kernel over sequences.

    Inputs have the shape ``(N, L, in_channels)``, ``weight`` has ``(out_channels, kernel_size,
    in_channels / groups)`` and ``bias`` ``(out_channels,)``.

    Args:
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        kernel_size: The length of the kernel.
        stride: The distance between places of the kernel.
        padding: The number of zeros put before and after the inputs.
        dilation: The distance between elements of the kernel.
        groups: The number of groups of channels that do not see each other.
        bias: Whether to add a learned number to each output channel.

    Raises:
        ValueError: If ``groups`` does not divide ``in_channels``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Conv1d(4, 8, kernel_size=3, stride=2)(mx.ones((2, 9, 4))).shape
        (2, 4, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        _check_groups(in_channels, groups)
        self.weight = _uniform_kernel(out_channels, (kernel_size,), in_channels // groups)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = padding
        self.dilation = dilation
        self.stride = stride
        self.groups = groups

    def __call__(self, x: mx.array) -> mx.array:
        """Convolve ``x`` of shape ``(N, L, in_channels)``."""
        return self._add_bias(
            mx.conv1d(x, self.weight, self.stride, self.padding, self.dilation, self.groups)
        )


class Conv2d(_Convolution):
    """Slides a kernel over images.

    Inputs have the shape ``(N, H, W, in_channels)``, ``weight`` has ``(out_channels, *kernel_size,
    in_channels / groups)`` and ``bias`` ``(out_channels,)``. Sizes are one number for both axes or
    a pair.

    Args:
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        kernel_size: The size of the kernel.
        stride: The distance between places of the kernel.
        padding: The number of zeros put around the inputs.
        dilation: The distance between elements of the kernel.
        groups: The number of groups of channels that do not see each other.
        bias: Whether to add a learned number to each output channel.

    Raises:
        ValueError: If ``groups`` does not divide ``in_channels``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Conv2d(3, 8, kernel_size=3, padding=1)(mx.ones((1, 16, 16, 3))).shape
        (1, 16, 16, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        _check_groups(in_channels, groups)
        kernel = _per_axis(kernel_size, 2)
        self.weight = _uniform_kernel(out_channels, kernel, in_channels // groups)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding: Any = _per_axis(padding, 2)
        self.stride: Any = _per_axis(stride, 2)
        self.dilation: Any = dilation
        self.groups = groups

    def __call__(self, x: mx.array) -> mx.array:
        """Convolve ``x`` of shape ``(N, H, W, in_channels)``."""
        return self._add_bias(
            mx.conv2d(x, self.weight, self.stride, self.padding, self.dilation, self.groups)
        )


class Conv3d(_Convolution):
    """Slides a kernel over volumes.

    Inputs have the shape ``(N, D, H, W, in_channels)``, ``weight`` has ``(out_channels,
    *kernel_size, in_channels)`` and ``bias`` ``(out_channels,)``. Sizes are one number for all
    axes or one for each.

    Args:
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        kernel_size: The size of the kernel.
        stride: The distance between places of the kernel.
        padding: The number of zeros put around the inputs.
        dilation: The distance between elements of the kernel.
        bias: Whether to add a learned number to each output channel.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Conv3d(2, 4, kernel_size=2)(mx.ones((1, 4, 5, 6, 2))).shape
        (1, 3, 4, 5, 4)
    """

    _shown = ("stride", "padding", "dilation")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] = 1,
        padding: int | tuple[int, int, int] = 0,
        dilation: int | tuple[int, int, int] = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = _uniform_kernel(out_channels, _per_axis(kernel_size, 3), in_channels)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding: Any = _per_axis(padding, 3)
        self.stride: Any = _per_axis(stride, 3)
        self.dilation: Any = dilation

    def __call__(self, x: mx.array) -> mx.array:
        """Convolve ``x`` of shape ``(N, D, H, W, in_channels)``."""
        return self._add_bias(mx.conv3d(x, self.weight, self.stride, self.padding, self.dilation))
