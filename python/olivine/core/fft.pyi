"""Owns the types of ``olivine.core.fft``."""

from typing import Literal, TypeAlias

from . import _Ints, _Operand, _StreamOrDevice, array

_Norm: TypeAlias = Literal["backward", "ortho", "forward"]

def fft(
    a: _Operand,
    n: int | None = None,
    axis: int = -1,
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def fft2(
    a: _Operand,
    s: _Ints | None = None,
    axes: _Ints | None = [-2, -1],
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def fftn(
    a: _Operand,
    s: _Ints | None = None,
    axes: _Ints | None = None,
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def ifft(
    a: _Operand,
    n: int | None = None,
    axis: int = -1,
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def ifft2(
    a: _Operand,
    s: _Ints | None = None,
    axes: _Ints | None = [-2, -1],
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def ifftn(
    a: _Operand,
    s: _Ints | None = None,
    axes: _Ints | None = None,
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def rfft(
    a: _Operand,
    n: int | None = None,
    axis: int = -1,
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def rfft2(
    a: _Operand,
    s: _Ints | None = None,
    axes: _Ints | None = [-2, -1],
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def rfftn(
    a: _Operand,
    s: _Ints | None = None,
    axes: _Ints | None = None,
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def irfft(
    a: _Operand,
    n: int | None = None,
    axis: int = -1,
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def irfft2(
    a: _Operand,
    s: _Ints | None = None,
    axes: _Ints | None = [-2, -1],
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def irfftn(
    a: _Operand,
    s: _Ints | None = None,
    axes: _Ints | None = None,
    norm: _Norm = "backward",
    stream: _StreamOrDevice = None,
) -> array: ...
def fftfreq(n: int, d: float = 1.0, stream: _StreamOrDevice = None) -> array: ...
def rfftfreq(n: int, d: float = 1.0, stream: _StreamOrDevice = None) -> array: ...
def fftshift(a: _Operand, axes: _Ints | None = None, stream: _StreamOrDevice = None) -> array: ...
def ifftshift(a: _Operand, axes: _Ints | None = None, stream: _StreamOrDevice = None) -> array: ...
def stft(
    x: _Operand,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: _Operand | None = None,
    center: bool = True,
    pad_mode: Literal["reflect", "constant", "edge"] = "reflect",
    norm: _Norm = "backward",
    onesided: bool | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def istft(
    stft_matrix: _Operand,
    n_fft: int | None = None,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: _Operand | None = None,
    center: bool = True,
    norm: _Norm = "backward",
    onesided: bool | None = None,
    length: int | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
