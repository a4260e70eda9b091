"""Owns the types of ``olivine.core.random``."""

from collections.abc import Iterator
from typing import TypeAlias, final

from . import Dtype, _Operand, _StreamOrDevice, array

_Shape: TypeAlias = list[int] | tuple[int, ...]

@final
class _RandomState:
    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> array: ...
    def __iter__(self) -> Iterator[array]: ...

state: _RandomState

def seed(seed: int) -> None: ...
def key(seed: int) -> array: ...
def split(key: _Operand, num: int = 2, stream: _StreamOrDevice = None) -> array: ...
def uniform(
    low: _Operand = 0,
    high: _Operand = 1,
    shape: _Shape = [],
    dtype: Dtype | None = None,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def normal(
    shape: _Shape = [],
    dtype: Dtype | None = None,
    loc: _Operand | None = None,
    scale: _Operand | None = None,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def multivariate_normal(
    mean: _Operand,
    cov: _Operand,
    shape: _Shape = [],
    dtype: Dtype | None = None,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def randint(
    low: _Operand,
    high: _Operand,
    shape: _Shape = [],
    dtype: Dtype | None = None,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def bernoulli(
    p: _Operand = 0.5,
    shape: _Shape | None = None,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def truncated_normal(
    lower: _Operand,
    upper: _Operand,
    shape: _Shape | None = None,
    dtype: Dtype | None = None,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def gumbel(
    shape: _Shape = [],
    dtype: Dtype | None = None,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def categorical(
    logits: _Operand,
    axis: int = -1,
    shape: _Shape | None = None,
    num_samples: int | None = None,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def laplace(
    shape: _Shape = [],
    dtype: Dtype | None = None,
    loc: _Operand = 0.0,
    scale: _Operand = 1.0,
    key: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def permutation(
    x: _Operand, axis: int = 0, key: _Operand | None = None, stream: _StreamOrDevice = None
) -> array: ...
