"""Owns the types of ``olivine.core.distributed``."""

from collections.abc import Callable
from typing import Any, final

from . import Dtype, _Ints, _Operand, _StreamOrDevice, array

@final
class Group:
    def rank(self) -> int: ...
    def size(self) -> int: ...
    def split(self, color: int, key: int = -1) -> Group: ...

def is_available(backend: str = "any") -> bool: ...
def init(
    strict: bool = False,
    backend: str = "any",
    *,
    all_gather_factory: Callable[..., Any] | None = None,
) -> Group: ...
def all_sum(
    x: _Operand, *, group: Group | None = None, stream: _StreamOrDevice = None
) -> array: ...
def all_max(
    x: _Operand, *, group: Group | None = None, stream: _StreamOrDevice = None
) -> array: ...
def all_min(
    x: _Operand, *, group: Group | None = None, stream: _StreamOrDevice = None
) -> array: ...
def all_gather(
    x: _Operand, *, group: Group | None = None, stream: _StreamOrDevice = None
) -> array: ...
def sum_scatter(
    x: _Operand, *, group: Group | None = None, stream: _StreamOrDevice = None
) -> array: ...
def send(
    x: _Operand, dst: int, *, group: Group | None = None, stream: _StreamOrDevice = None
) -> array: ...
def recv(
    shape: _Ints,
    dtype: Dtype,
    src: int,
    *,
    group: Group | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def recv_like(
    x: _Operand, src: int, *, group: Group | None = None, stream: _StreamOrDevice = None
) -> array: ...
