"""Owns interpolation of sequences, images and volumes to other sizes, channels last."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import olivine.core as mx
from olivine.nn.layers.base import Module

Kernel = Callable[[mx.array], mx.array]
"""The weight of a sample, given its distance."""

Taps = list[tuple[mx.array, mx.array]]
"""For each output a few places of the input along one axis, and their weights."""


def _triangle(distance: mx.array) -> mx.array:
    return mx.maximum(1 - distance, 0)


def _cubic(a: float, distance: mx.array) -> mx.array:
    """The convolution kernel of Keys, which is exact for quadratics where ``a`` is -1/2."""
    d = distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    return mx.where(d <= 1, near, mx.where(d <= 2, far, 0))


def _positions(size: int, scale: float, align_corners: bool) -> mx.array:
    """Where each output lies among the inputs ``0, 1, …, size - 1`` of an axis."""
    count = int(scale * size)
    steps = mx.arange(count, dtype=mx.float32)
    if align_corners:
        return steps * ((size - 1) / max(count - 1, 1))
    return steps * (1 / scale) - ((count - 1) / scale - size + 1) / 2


def _taps(
    size: int, positions: mx.array, offsets: Sequence[int], kernel: Kernel, stretch: float
) -> Taps:
    """Weigh the inputs at some offsets from each position; those beyond the ends are the ends."""
    base = mx.floor(positions)
    taps = []
    for offset in offsets:
        place = base + offset
        weight = kernel(mx.abs(positions - place) / stretch)
        taps.append((place, weight))
    return [(mx.clip(place, 0, size - 1).astype(mx.uint32), weight) for place, weight in taps]


def _linear_taps(size: int, scale: float, align_corners: bool) -> Taps:
    inside = mx.clip(_positions(size, scale, align_corners), 0, size - 1)
    return _taps(size, inside, (0, 1), _triangle, 1)


def _cubic_taps(size: int, scale: float, align_corners: bool) -> Taps:
    positions = _positions(size, scale, align_corners)
    return _taps(size, positions, (-1, 0, 1, 2), partial(_cubic, -0.75), 1)


def _antialias_taps(
    kernel: Kernel, radius: int, size: int, scale: float, align_corners: bool
) -> Taps:
    """Stretch the kernel over all inputs that an output stands for, and none beyond the ends."""
    stretch = max(1, 1 / scale)
    reach = math.ceil(radius * stretch)
    positions = _positions(size, scale, align_corners)

    def inside_only(offset: int) -> tuple[mx.array, mx.array]:
        ((place, weight),) = _taps(size, positions, (offset,), kernel, stretch)
        true_place = mx.floor(positions) + offset
        return place, mx.where((true_place >= 0) & (true_place < size), weight, 0)

    taps = [inside_only(offset) for offset in range(-reach, reach + 1)]
    total = sum((weight for _, weight in taps), mx.zeros_like(positions))
    total = mx.where(total > 0, total, 1)
    return [(place, weight / total) for place, weight in taps]


def _resample(
    x: mx.array,
    scale_factor: tuple[float, ...],
    taps: Callable[[int, float, bool], Taps],
    align_corners: bool,
) -> mx.array:
    """Interpolate one spatial axis after the other."""
    _check_scales(x, scale_factor)
    for axis, scale in enumerate(scale_factor, start=1):
        column = (-1,) + (1,) * (x.ndim - 1 - axis)
        samples = [
            mx.take(x, place, axis=axis) * weight.reshape(column)
            for place, weight in taps(x.shape[axis], scale, align_corners)
        ]
        x = sum(samples[1:], samples[0])
    return x


def _check_scales(x: mx.array, scale_factor: tuple[float, ...]) -> None:
    if len(scale_factor) != x.ndim - 2:
        raise ValueError(
            f"[Upsample] {len(scale_factor)} scale factors for {x.ndim - 2} spatial axes"
        )


def _check_antialias(align_corners: bool, antialias: bool) -> None:
    if antialias and align_corners:
        raise ValueError("[Upsample] antialias and align_corners exclude each other")


def upsample_nearest(x: mx.array, scale_factor: tuple[float, ...]) -> mx.array:
    """Repeat or drop elements.

    Args:
        x: An array of the shape ``(N, *spatial, C)``.
        scale_factor: The ratio of output size to input size for each spatial axis.

    Raises:
        ValueError: If there is not one factor for each spatial axis.

    Examples:
        >>> import olivine.core as mx
        >>> from olivine.nn.layers.upsample import upsample_nearest
        >>> upsample_nearest(mx.array([1, 2]).reshape(1, 2, 1), (2.0,)).flatten()
        array([1, 1, 2, 2], dtype=int32)
    """
    _check_scales(x, scale_factor)
    whole = all(scale == int(scale) for scale in scale_factor)
    for axis, scale in enumerate(scale_factor, start=1):
        if whole:
            x = mx.repeat(x, int(scale), axis=axis)
            continue
        size, count = x.shape[axis], int(scale * x.shape[axis])
        place = mx.arange(count, dtype=mx.float32)
        if count > size:
            place = ((place + 0.5) * (size / count) - 0.5).round()
        else:
            place = place * (size / count)
        x = mx.take(x, place.astype(mx.uint32), axis=axis)
    return x


def upsample_linear(
    x: mx.array,
    scale_factor: tuple[float, ...],
    align_corners: bool = False,
    antialias: bool = False,
) -> mx.array:
    """Interpolate along straight lines.

    Args:
        x: An array of the shape ``(N, *spatial, C)``.
        scale_factor: The ratio of output size to input size for each spatial axis.
        align_corners: Whether the first and last outputs are the first and last inputs.
        antialias: Whether, where a size shrinks, an output averages all inputs it stands for.

    Raises:
        ValueError: If there is not one factor for each spatial axis, or both flags are set.

    Examples:
        >>> import olivine.core as mx
        >>> from olivine.nn.layers.upsample import upsample_linear
        >>> upsample_linear(mx.array([0.0, 2.0]).reshape(1, 2, 1), (1.5,), True).flatten()
        array([0, 1, 2], dtype=float32)
    """
    _check_antialias(align_corners, antialias)
    taps = partial(_antialias_taps, _triangle, 1) if antialias else _linear_taps
    return _resample(x, scale_factor, taps, align_corners)


def upsample_cubic(
    x: mx.array,
    scale_factor: tuple[float, ...],
    align_corners: bool = False,
    antialias: bool = False,
) -> mx.array:
    """Interpolate along cubics.

    Args:
        x: An array of the shape ``(N, *spatial, C)``.
        scale_factor: The ratio of output size to input size for each spatial axis.
        align_corners: Whether the first and last outputs are the first and last inputs.
        antialias: Whether, where a size shrinks, an output averages all inputs it stands for.

    Raises:
        ValueError: If there is not one factor for each spatial axis, or both flags are set.

    Examples:
        >>> import olivine.core as mx
        >>> from olivine.nn.layers.upsample import upsample_cubic
        >>> upsample_cubic(mx.array([0.0, 2.0]).reshape(1, 2, 1), (1.5,), True).flatten()
        array([0, 1, 2], dtype=float32)
    """
    _check_antialias(align_corners, antialias)
    taps = partial(_antialias_taps, partial(_cubic, -0.5), 2) if antialias else _cubic_taps
    return _resample(x, scale_factor, taps, align_corners)


class Upsample(Module):
    """Interpolates spatial axes to other sizes.

    Args:
        scale_factor: The ratio of output size to input size, one number for all spatial axes or
            one for each.
        mode: ``"nearest"``, ``"linear"`` or ``"cubic"``.
        align_corners: Whether the first and last outputs are the first and last inputs; not for
            ``"nearest"``.
        antialias: Whether, where a size shrinks, an output averages all inputs it stands for; not
            for ``"nearest"``, and not with ``align_corners``.

    Raises:
        ValueError: If the mode is unknown, the flags do not go together, or inputs do not have a
            spatial axis for each factor.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.Upsample(2)(mx.array([1, 2]).reshape(1, 1, 2, 1))[0, :, :, 0]
        array([[1, 1, 2, 2],
               [1, 1, 2, 2]], dtype=int32)
        >>> nn.Upsample((1.5, 2), mode="cubic")(mx.ones((1, 4, 4, 3))).shape
        (1, 6, 8, 3)
    """

    scale_factor: float | tuple[float, ...]

    def __init__(
        self,
        scale_factor: float | tuple[float, ...],
        mode: Literal["nearest", "linear", "cubic"] = "nearest",
        align_corners: bool = False,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        if mode not in ("nearest", "linear", "cubic"):
            raise ValueError(f"[Upsample] mode is {mode!r}, not nearest, linear or cubic")
        if antialias and mode == "nearest":
            raise ValueError("[Upsample] antialias needs the mode linear or cubic")
        _check_antialias(align_corners, antialias)
        if isinstance(scale_factor, (list, tuple)):
            self.scale_factor = tuple(map(float, scale_factor))
        else:
            self.scale_factor = float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.antialias = antialias

    def _extra_repr(self) -> str:
        shown = (
            f"scale_factor={self.scale_factor}, mode={self.mode!r}, "
            f"align_corners={self.align_corners}"
        )
        return f"{shown}, antialias=True" if self.antialias else shown

    def __call__(self, x: mx.array) -> mx.array:
        """Interpolate ``x`` of shape ``(N, *spatial, C)``."""
        spatial = x.ndim - 2
        if spatial <= 0:
            raise ValueError(f"[Upsample] {x.ndim} axes, but (N, *spatial, C) has at least 3")
        scales = self.scale_factor
        if not isinstance(scales, tuple):
            scales = (scales,) * spatial
        if self.mode == "nearest":
            return upsample_nearest(x, scales)
        interpolate = upsample_linear if self.mode == "linear" else upsample_cubic
        return interpolate(x, scales, self.align_corners, self.antialias)
