"""Owns transposed convolutions, which undo the change of shape of a convolution."""

from __future__ import annotations

from typing import Any

import olivine.core as mx
from olivine.nn.layers.convolution import _Convolution, _per_axis, _uniform_kernel


class ConvTranspose1d(_Convolution):
    """Spreads each element of a sequence by a kernel.

    Inputs have the shape ``(N, L, in_channels)``, ``weight`` has ``(out_channels, kernel_size,
    in_channels)`` and ``bias`` ``(out_channels,)``.

    Args:
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        kernel_size: The length of the kernel.
        stride: The distance in the outputs between neighbours of the inputs.
        padding: The number of elements cut from both ends of the outputs.
        dilation: The distance between elements of the kernel.
        output_padding: The number of elements added to one end of the outputs.
        bias: Whether to add a learned number to each output channel.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ConvTranspose1d(8, 4, kernel_size=3, stride=2)(mx.ones((2, 4, 8))).shape
        (2, 9, 4)
    """

    _shown = ("stride", "padding", "dilation", "output_padding")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        output_padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = _uniform_kernel(out_channels, (kernel_size,), in_channels)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = padding
        self.dilation = dilation
        self.stride = stride
        self.output_padding = output_padding

    def __call__(self, x: mx.array) -> mx.array:
        """Spread ``x`` of shape ``(N, L, in_channels)``."""
        return self._add_bias(
            mx.conv_transpose1d(
                x, self.weight, self.stride, self.padding, self.dilation, self.output_padding
            )
        )


class ConvTranspose2d(_Convolution):
    """Spreads each element of an image by a kernel.

    Inputs have the shape ``(N, H, W, in_channels)``, ``weight`` has ``(out_channels, *kernel_size,
    in_channels)`` and ``bias`` ``(out_channels,)``. Sizes are one number for both axes or a pair.

    Args:
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        kernel_size: The size of the kernel.
        stride: The distance in the outputs between neighbours of the inputs.
        padding: The number of elements cut from all sides of the outputs.
        dilation: The distance between elements of the kernel.
        output_padding: The number of elements added to one end of each axis of the outputs.
        bias: Whether to add a learned number to each output channel.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ConvTranspose2d(8, 3, kernel_size=2, stride=2)(mx.ones((1, 4, 5, 8))).shape
        (1, 8, 10, 3)
    """

    _shown = ("stride", "padding", "dilation", "output_padding")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        output_padding: int | tuple[int, int] = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = _uniform_kernel(out_channels, _per_axis(kernel_size, 2), in_channels)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding: Any = _per_axis(padding, 2)
        self.stride: Any = _per_axis(stride, 2)
        self.dilation: Any = dilation
        self.output_padding: Any = _per_axis(output_padding, 2)

    def __call__(self, x: mx.array) -> mx.array:
        """Spread ``x`` of shape ``(N, H, W, in_channels)``."""
        return self._add_bias(
            mx.conv_transpose2d(
                x, self.weight, self.stride, self.padding, self.dilation, self.output_padding
            )
        )


class ConvTranspose3d(_Convolution):
    """Spreads each element of a volume by a kernel.

    Inputs have the shape ``(N, D, H, W, in_channels)``, ``weight`` has ``(out_channels,
    *kernel_size, in_channels)`` and ``bias`` ``(out_channels,)``. Sizes are one number for all
    axes or one for each.

    Args:
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        kernel_size: The size of the kernel.
        stride: The distance in the outputs between neighbours of the inputs.
        padding: The number of elements cut from all sides of the outputs.
        dilation: The distance between elements of the kernel.
        output_padding: The number of elements added to one end of each axis of the outputs.
        bias: Whether to add a learned number to each output channel.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.ConvTranspose3d(2, 4, kernel_size=2)(mx.ones((1, 3, 4, 5, 2))).shape
        (1, 4, 5, 6, 4)
    """

    _shown = ("stride", "padding", "dilation", "output_padding")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] = 1,
        padding: int | tuple[int, int, int] = 0,
        dilation: int | tuple[int, int, int] = 1,
        output_padding: int | tuple[int, int, int] = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = _uniform_kernel(out_channels, _per_axis(kernel_size, 3), in_channels)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding: Any = _per_axis(padding, 3)
        self.stride: Any = _per_axis(stride, 3)
        self.dilation: Any = dilation
        self.output_padding: Any = _per_axis(output_padding, 3)

    def __call__(self, x: mx.array) -> mx.array:
        """Spread ``x`` of shape ``(N, D, H, W, in_channels)``."""
        return self._add_bias(
            mx.conv_transpose3d(
                x, self.weight, self.stride, self.padding, self.dilation, self.output_padding
            )
        )
