"""Owns the types of the native module; tests compare them with the module itself."""

import builtins
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import EllipsisType, ModuleType, TracebackType
from typing import (
    Any,
    ClassVar,
    Concatenate,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    Protocol,
    Self,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    final,
    overload,
    type_check_only,
)

from _typeshed import StrPath, SupportsRead, SupportsWrite
from typing_extensions import Buffer, disjoint_base

from . import cuda as cuda
from . import distributed as distributed
from . import fast as fast
from . import fft as fft
from . import linalg as linalg
from . import metal as metal
from . import random as random

# Also where the arguments do not matter: with `...`, checkers could not infer the types of lambdas.
_P = ParamSpec("_P")
_R = TypeVar("_R")
# The bound lets checkers accept whatever lambdas do with their arguments.
_Tree = TypeVar("_Tree", bound=Any)
_Value = TypeVar("_Value", bound=array | tuple[Any, ...])

@type_check_only
class _HasArray(Protocol):
    def __mlx_array__(self) -> array: ...

@type_check_only
class _HasDLPack(Protocol):
    def __dlpack__(self) -> object: ...
    def __dlpack_device__(self) -> tuple[Any, Any]: ...

# NumPy's arrays and numbers.
@type_check_only
class _HasInterface(Protocol):
    @property
    def __array_interface__(self) -> dict[str, Any]: ...

@type_check_only
class _GivesNumPy(Protocol):
    def __array__(self) -> Any: ...

# What operations take for an array.
_Operand: TypeAlias = (
    array | bool | int | float | complex | _HasArray | _HasDLPack | _HasInterface | Buffer
)
_Operands: TypeAlias = array | Sequence[_Operand]
# What an array can be made of.
_Source: TypeAlias = _Operand | _GivesNumPy | list[Any] | tuple[Any, ...]
_Arrays: TypeAlias = array | list[array] | tuple[array, ...]
# A bool, int, float or complex, by the dtype, which types do not tell. A bool may stand where any
# number is wanted, so this fits there too, but not where a text or a list is wanted.
_Number: TypeAlias = bool | Any
_Ints: TypeAlias = int | Iterable[int]
_Index: TypeAlias = (
    SupportsIndex
    | builtins.slice
    | EllipsisType
    | array
    | list[Any]
    | Buffer
    | _HasInterface
    | None
)
_Indices: TypeAlias = _Index | tuple[_Index, ...]
_AxisTree: TypeAlias = int | Sequence[Any] | Mapping[Any, Any] | None
_DeviceLike: TypeAlias = Device | DeviceType
_StreamLike: TypeAlias = Stream | ThreadLocalStream | _DeviceLike
_StreamOrDevice: TypeAlias = _StreamLike | None
_Kind: TypeAlias = Literal[
    "bool",
    "signed integer",
    "unsigned integer",
    "integral",
    "real floating",
    "complex floating",
    "numeric",
]

__version__: str

class AxisError(ValueError, IndexError): ...

# Arrays

@disjoint_base
class array:
    def __init__(self, val: _Source, dtype: Dtype | None = None) -> None: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Dtype: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def T(self) -> array: ...
    @property
    def mT(self) -> array: ...
    @property
    def real(self) -> array: ...
    @property
    def imag(self) -> array: ...
    @property
    def at(self) -> ArrayAt: ...
    def __add__(self, other: _Operand, /) -> array: ...
    def __radd__(self, other: _Operand, /) -> array: ...
    def __iadd__(self, other: _Operand, /) -> Self: ...
    def __sub__(self, other: _Operand, /) -> array: ...
    def __rsub__(self, other: _Operand, /) -> array: ...
    def __isub__(self, other: _Operand, /) -> Self: ...
    def __mul__(self, other: _Operand, /) -> array: ...
    def __rmul__(self, other: _Operand, /) -> array: ...
    def __imul__(self, other: _Operand, /) -> Self: ...
    def __truediv__(self, other: _Operand, /) -> array: ...
    def __rtruediv__(self, other: _Operand, /) -> array: ...
    def __itruediv__(self, other: _Operand, /) -> Self: ...
    def __div__(self, other: _Operand) -> array: ...
    def __rdiv__(self, other: _Operand) -> array: ...
    def __floordiv__(self, other: _Operand, /) -> array: ...
    def __rfloordiv__(self, other: _Operand, /) -> array: ...
    def __ifloordiv__(self, other: _Operand, /) -> Self: ...
    def __mod__(self, other: _Operand, /) -> array: ...
    def __rmod__(self, other: _Operand, /) -> array: ...
    def __imod__(self, other: _Operand, /) -> Self: ...
    def __pow__(self, other: _Operand, mod: None = None, /) -> array: ...
    def __rpow__(self, other: _Operand, mod: None = None, /) -> array: ...
    def __ipow__(self, other: _Operand, /) -> Self: ...  # type: ignore[misc]
    def __matmul__(self, other: _Operand, /) -> array: ...
    def __rmatmul__(self, other: _Operand, /) -> array: ...
    def __imatmul__(self, other: _Operand, /) -> Self: ...
    def __and__(self, other: _Operand, /) -> array: ...
    def __rand__(self, other: _Operand, /) -> array: ...
    def __iand__(self, other: _Operand, /) -> Self: ...
    def __or__(self, other: _Operand, /) -> array: ...
    def __ror__(self, other: _Operand, /) -> array: ...
    def __ior__(self, other: _Operand, /) -> Self: ...
    def __xor__(self, other: _Operand, /) -> array: ...
    def __rxor__(self, other: _Operand, /) -> array: ...
    def __ixor__(self, other: _Operand, /) -> Self: ...
    def __lshift__(self, other: _Operand, /) -> array: ...
    def __rlshift__(self, other: _Operand, /) -> array: ...
    def __ilshift__(self, other: _Operand, /) -> Self: ...
    def __rshift__(self, other: _Operand, /) -> array: ...
    def __rrshift__(self, other: _Operand, /) -> array: ...
    def __irshift__(self, other: _Operand, /) -> Self: ...
    def __neg__(self) -> array: ...
    def __pos__(self) -> array: ...
    def __abs__(self) -> array: ...
    def __invert__(self) -> array: ...
    @overload
    def __eq__(self, other: _Operand, /) -> array: ...  # type: ignore[overload-overlap]
    @overload
    def __eq__(self, other: object, /) -> bool: ...
    @overload
    def __ne__(self, other: _Operand, /) -> array: ...  # type: ignore[overload-overlap]
    @overload
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: _Operand, /) -> array: ...
    def __le__(self, other: _Operand, /) -> array: ...
    def __gt__(self, other: _Operand, /) -> array: ...
    def __ge__(self, other: _Operand, /) -> array: ...
    def __hash__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def __complex__(self) -> complex: ...
    def __index__(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> ArrayIterator: ...
    def __getitem__(self, key: _Indices, /) -> array: ...
    def __setitem__(self, key: _Indices, value: _Operand, /) -> None: ...
    def __delitem__(self, key: _Indices, /) -> NoReturn: ...
    def __format__(self, format_spec: str) -> str: ...
    def __bytes__(self) -> bytes: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any: ...
    def __array_namespace__(self, api_version: None = None) -> ModuleType: ...
    def __dlpack__(
        self,
        *,
        stream: object = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __copy__(self) -> array: ...
    def __deepcopy__(self, memo: dict[Any, Any]) -> array: ...
    def __getstate__(self) -> tuple[bytes, tuple[int, ...], int]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def item(self) -> _Number: ...
    def tolist(self) -> list[Any] | Any: ...
    def astype(self, dtype: Dtype, stream: _StreamOrDevice = None) -> array: ...
    def view(self, dtype: Dtype, *, stream: _StreamOrDevice = None) -> array: ...
    def reshape(self, *shape: _Ints, stream: _StreamOrDevice = None) -> array: ...
    def flatten(
        self, start_axis: int = 0, end_axis: int = -1, *, stream: _StreamOrDevice = None
    ) -> array: ...
    def squeeze(self, axis: _Ints | None = None, *, stream: _StreamOrDevice = None) -> array: ...
    def transpose(self, *axes: _Ints, stream: _StreamOrDevice = None) -> array: ...
    def swapaxes(self, axis1: int, axis2: int, *, stream: _StreamOrDevice = None) -> array: ...
    def moveaxis(
        self, source: int, destination: int, *, stream: _StreamOrDevice = None
    ) -> array: ...
    def split(
        self, indices_or_sections: _Ints, axis: int = 0, *, stream: _StreamOrDevice = None
    ) -> list[array]: ...
    def diagonal(
        self, offset: int = 0, axis1: int = 0, axis2: int = 1, stream: _StreamOrDevice = None
    ) -> array: ...
    def diag(self, k: int = 0, *, stream: _StreamOrDevice = None) -> array: ...
    def var(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        ddof: int = 0,
        *,
        correction: int | None = None,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def std(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        ddof: int = 0,
        *,
        correction: int | None = None,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def argmax(
        self, axis: int | None = None, keepdims: bool = False, *, stream: _StreamOrDevice = None
    ) -> array: ...
    def argmin(
        self, axis: int | None = None, keepdims: bool = False, *, stream: _StreamOrDevice = None
    ) -> array: ...
    def round(self, decimals: int = 0, *, stream: _StreamOrDevice = None) -> array: ...
    # Made from the list of ops by `cargo xtask gen`:
    def abs(self, *, stream: _StreamOrDevice = None) -> array: ...
    def conj(self, *, stream: _StreamOrDevice = None) -> array: ...
    def cos(self, *, stream: _StreamOrDevice = None) -> array: ...
    def exp(self, *, stream: _StreamOrDevice = None) -> array: ...
    def log(self, *, stream: _StreamOrDevice = None) -> array: ...
    def log10(self, *, stream: _StreamOrDevice = None) -> array: ...
    def log1p(self, *, stream: _StreamOrDevice = None) -> array: ...
    def log2(self, *, stream: _StreamOrDevice = None) -> array: ...
    def reciprocal(self, *, stream: _StreamOrDevice = None) -> array: ...
    def rsqrt(self, *, stream: _StreamOrDevice = None) -> array: ...
    def sin(self, *, stream: _StreamOrDevice = None) -> array: ...
    def sqrt(self, *, stream: _StreamOrDevice = None) -> array: ...
    def square(self, *, stream: _StreamOrDevice = None) -> array: ...
    def all(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        *,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def any(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        *,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def logsumexp(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        *,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def max(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        *,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def mean(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        *,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def min(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        *,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def prod(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        *,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def sum(
        self,
        axis: _Ints | None = None,
        keepdims: bool = False,
        *,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def cummax(
        self,
        axis: int | None = None,
        *,
        reverse: bool = False,
        inclusive: bool = True,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def cummin(
        self,
        axis: int | None = None,
        *,
        reverse: bool = False,
        inclusive: bool = True,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def logcumsumexp(
        self,
        axis: int | None = None,
        *,
        reverse: bool = False,
        inclusive: bool = True,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def cumprod(
        self,
        axis: int | None = None,
        *,
        reverse: bool = False,
        inclusive: bool = True,
        dtype: Dtype | None = None,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    def cumsum(
        self,
        axis: int | None = None,
        *,
        reverse: bool = False,
        inclusive: bool = True,
        dtype: Dtype | None = None,
        stream: _StreamOrDevice = None,
    ) -> array: ...
    # End of what is made.

@final
class ArrayLike:
    def __new__(cls, object: _Source) -> Self: ...
    def __mlx_array__(self) -> array: ...

@final
class ArrayIterator:
    def __iter__(self) -> Self: ...
    def __next__(self) -> array: ...

@final
class ArrayAt:
    def __getitem__(self, key: _Indices, /) -> ArrayAt: ...
    def add(self, value: _Operand) -> array: ...
    def subtract(self, value: _Operand) -> array: ...
    def multiply(self, value: _Operand) -> array: ...
    def divide(self, value: _Operand) -> array: ...
    def maximum(self, value: _Operand) -> array: ...
    def minimum(self, value: _Operand) -> array: ...

def asarray(a: _Source, /, dtype: Dtype | None = None, *, copy: bool | None = None) -> array: ...
def from_dlpack(x: _HasDLPack, /, *, copy: bool | None = None) -> array: ...

@final
class PrintOptions:
    precision: int
    def __new__(cls, precision: int = -1) -> Self: ...

@final
class _PrintOptionsContext:
    def __new__(cls, options: PrintOptions, /) -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_error: object) -> None: ...

def set_printoptions(precision: int = -1) -> None: ...
def get_printoptions() -> PrintOptions: ...
def printoptions(precision: int = -1) -> _PrintOptionsContext: ...

@type_check_only
@final
class _ArrayNamespaceInfo:
    def capabilities(self) -> dict[str, bool | int]: ...
    def default_device(self) -> Device: ...
    def default_dtypes(self, *, device: Device | None = None) -> dict[str, Dtype]: ...
    def devices(self) -> tuple[Device, ...]: ...
    def dtypes(
        self, *, device: Device | None = None, kind: _Kind | tuple[_Kind, ...] | None = None
    ) -> dict[str, Dtype]: ...

def __array_namespace_info__() -> _ArrayNamespaceInfo: ...

# Devices and streams

@final
class DeviceType(enum.Enum):
    cpu = 0
    gpu = 1

@final
class Device:
    def __new__(cls, type: DeviceType, index: int = 0) -> Self: ...
    @property
    def type(self) -> DeviceType: ...
    @property
    def index(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Stream:
    @property
    def device(self) -> Device: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ThreadLocalStream:
    @property
    def device(self) -> Device: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class StreamContext:
    def __new__(cls, s: _StreamLike) -> Self: ...
    def __enter__(self) -> None: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...

cpu: DeviceType
gpu: DeviceType

def default_device() -> Device: ...
def set_default_device(device: _DeviceLike) -> None: ...
def default_stream(device: _DeviceLike) -> Stream: ...
def set_default_stream(stream: Stream) -> None: ...
def new_stream(device: _DeviceLike) -> Stream: ...
def new_thread_local_stream(device: _DeviceLike) -> ThreadLocalStream: ...
def new_thread_unsafe_stream(device: _DeviceLike) -> Stream: ...
def clear_streams() -> None: ...
def stream(s: _StreamLike) -> StreamContext: ...
def synchronize(stream: _StreamOrDevice = None) -> None: ...
def is_available(device: _DeviceLike) -> bool: ...
def device_count(device_type: DeviceType) -> int: ...
def device_info(d: _DeviceLike | None = None) -> dict[str, str | int]: ...

# Dtypes and constants

@final
class Dtype:
    @property
    def size(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

class DtypeCategory(enum.Enum):
    complexfloating = 0
    floating = 1
    inexact = 2
    signedinteger = 3
    unsignedinteger = 4
    integer = 5
    number = 6
    generic = 7

@final
class finfo:
    def __new__(cls, dtype: Dtype) -> Self: ...
    @property
    def bits(self) -> int: ...
    @property
    def min(self) -> float: ...
    @property
    def max(self) -> float: ...
    @property
    def eps(self) -> float: ...
    @property
    def smallest_normal(self) -> float: ...
    @property
    def dtype(self) -> Dtype: ...

@final
class iinfo:
    def __new__(cls, dtype: Dtype) -> Self: ...
    @property
    def min(self) -> int: ...
    @property
    def max(self) -> int: ...
    @property
    def dtype(self) -> Dtype: ...

def _stand_in(on: bool) -> None: ...
def issubdtype(arg1: Dtype | DtypeCategory, arg2: Dtype | DtypeCategory, /) -> bool: ...
def isdtype(dtype: Dtype, kind: Dtype | _Kind | tuple[Dtype | _Kind, ...]) -> bool: ...
def can_cast(from_: array | Dtype, to: Dtype) -> bool: ...
def result_type(*arrays_and_dtypes: array | Dtype) -> Dtype: ...

bool_: Dtype
uint8: Dtype
uint16: Dtype
uint32: Dtype
uint64: Dtype
int8: Dtype
int16: Dtype
int32: Dtype
int64: Dtype
float16: Dtype
bfloat16: Dtype
float32: Dtype
float64: Dtype
complex64: Dtype

complexfloating: DtypeCategory
floating: DtypeCategory
inexact: DtypeCategory
signedinteger: DtypeCategory
unsignedinteger: DtypeCategory
integer: DtypeCategory
number: DtypeCategory
generic: DtypeCategory

pi: float
e: float
euler_gamma: float
inf: float
nan: float
newaxis: None

# Operations whose arguments are regular

# Made from the list of ops by `cargo xtask gen`:

def abs(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def acos(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def acosh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def arccos(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def arccosh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def arcsin(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def arcsinh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def arctan(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def arctanh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def asin(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def asinh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def atan(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def atanh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def bitwise_invert(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def ceil(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def conj(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def conjugate(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def cos(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def cosh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def degrees(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def erf(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def erfinv(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def exp(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def expm1(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def floor(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def imag(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def isfinite(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def isinf(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def isnan(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def isneginf(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def isposinf(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def log(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def log10(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def log1p(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def log2(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def logical_not(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def negative(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def radians(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def real(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def reciprocal(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def rsqrt(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def sigmoid(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def sign(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def sin(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def sinh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def sqrt(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def square(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def tan(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def tanh(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def trunc(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def add(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def arctan2(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def atan2(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def bitwise_and(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def bitwise_left_shift(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def bitwise_or(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def bitwise_right_shift(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def bitwise_xor(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def divide(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def equal(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def floor_divide(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def greater(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def greater_equal(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def left_shift(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def less(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def less_equal(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def logaddexp(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def logical_and(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def logical_or(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def logical_xor(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def maximum(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def minimum(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def multiply(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def not_equal(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def pow(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def power(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def remainder(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def right_shift(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def subtract(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> array: ...
def all(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def any(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def count_nonzero(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def logsumexp(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def max(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def mean(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def median(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def min(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def prod(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def sum(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def cummax(
    a: _Operand,
    /,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    stream: _StreamOrDevice = None,
) -> array: ...
def cummin(
    a: _Operand,
    /,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    stream: _StreamOrDevice = None,
) -> array: ...
def logcumsumexp(
    a: _Operand,
    /,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    stream: _StreamOrDevice = None,
) -> array: ...
def cumprod(
    a: _Operand,
    /,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    dtype: Dtype | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def cumsum(
    a: _Operand,
    /,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    dtype: Dtype | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def cumulative_prod(
    a: _Operand,
    /,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    dtype: Dtype | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def cumulative_sum(
    a: _Operand,
    /,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    dtype: Dtype | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def argsort(a: _Operand, /, axis: int | None = -1, *, stream: _StreamOrDevice = None) -> array: ...
def sort(a: _Operand, /, axis: int | None = -1, *, stream: _StreamOrDevice = None) -> array: ...

# End of what is made.

# Convolutions

def conv1d(
    input: _Operand,
    weight: _Operand,
    /,
    stride: _Ints = 1,
    padding: _Ints = 0,
    dilation: _Ints = 1,
    groups: int = 1,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def conv2d(
    input: _Operand,
    weight: _Operand,
    /,
    stride: _Ints = 1,
    padding: _Ints = 0,
    dilation: _Ints = 1,
    groups: int = 1,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def conv3d(
    input: _Operand,
    weight: _Operand,
    /,
    stride: _Ints = 1,
    padding: _Ints = 0,
    dilation: _Ints = 1,
    groups: int = 1,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def conv_transpose1d(
    input: _Operand,
    weight: _Operand,
    /,
    stride: _Ints = 1,
    padding: _Ints = 0,
    dilation: _Ints = 1,
    output_padding: _Ints = 0,
    groups: int = 1,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def conv_transpose2d(
    input: _Operand,
    weight: _Operand,
    /,
    stride: _Ints = 1,
    padding: _Ints = 0,
    dilation: _Ints = 1,
    output_padding: _Ints = 0,
    groups: int = 1,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def conv_transpose3d(
    input: _Operand,
    weight: _Operand,
    /,
    stride: _Ints = 1,
    padding: _Ints = 0,
    dilation: _Ints = 1,
    output_padding: _Ints = 0,
    groups: int = 1,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def conv_general(
    input: _Operand,
    weight: _Operand,
    /,
    stride: _Ints = 1,
    padding: _Ints | tuple[_Ints, _Ints] = 0,
    kernel_dilation: _Ints = 1,
    input_dilation: _Ints = 1,
    groups: int = 1,
    flip: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def convolve(
    a: _Operand,
    v: _Operand,
    /,
    mode: Literal["full", "same", "valid"] = "full",
    *,
    stream: _StreamOrDevice = None,
) -> array: ...

# Arrays made from nothing

def arange(
    start: float,
    stop: float | None = None,
    step: float | None = None,
    dtype: Dtype | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    dtype: Dtype | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def full(
    shape: _Ints, vals: _Operand, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def full_like(
    a: _Operand, vals: _Operand, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def zeros(shape: _Ints, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None) -> array: ...
def zeros_like(
    a: _Operand, /, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def ones(shape: _Ints, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None) -> array: ...
def ones_like(
    a: _Operand, /, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def empty(shape: _Ints, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None) -> array: ...
def empty_like(
    a: _Operand, /, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def eye(
    n: int,
    m: int | None = None,
    k: int = 0,
    dtype: Dtype | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def identity(n: int, dtype: Dtype | None = None, *, stream: _StreamOrDevice = None) -> array: ...
def tri(
    n: int,
    m: int | None = None,
    k: int = 0,
    dtype: Dtype | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def tril(x: _Operand, k: int = 0, *, stream: _StreamOrDevice = None) -> array: ...
def triu(x: _Operand, k: int = 0, *, stream: _StreamOrDevice = None) -> array: ...
def meshgrid(
    *arrays: _Operand,
    sparse: bool | None = False,
    indexing: Literal["xy", "ij"] | None = "xy",
    stream: _StreamOrDevice = None,
) -> tuple[array, ...]: ...
def bartlett(M: int, *, stream: _StreamOrDevice = None) -> array: ...
def blackman(M: int, *, stream: _StreamOrDevice = None) -> array: ...
def hamming(M: int, *, stream: _StreamOrDevice = None) -> array: ...
def hanning(M: int, *, stream: _StreamOrDevice = None) -> array: ...

# Repetition, diagonals, borders, and other readings of the same memory

def repeat(
    array: _Operand, repeats: int, axis: int | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def tile(a: _Operand, reps: _Ints, /, *, stream: _StreamOrDevice = None) -> array: ...
def diff(
    a: _Operand, /, n: int = 1, axis: int = -1, *, stream: _StreamOrDevice = None
) -> array: ...
def diag(a: _Operand, /, k: int = 0, *, stream: _StreamOrDevice = None) -> array: ...
def diagonal(
    a: _Operand, offset: int = 0, axis1: int = 0, axis2: int = 1, stream: _StreamOrDevice = None
) -> array: ...
def trace(
    a: _Operand,
    /,
    offset: int = 0,
    axis1: int = 0,
    axis2: int = 1,
    dtype: Dtype | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def pad(
    a: _Operand,
    pad_width: _Ints | Sequence[_Ints],
    mode: Literal["constant", "edge", "reflect", "symmetric"] = "constant",
    constant_values: _Operand = 0,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def as_strided(
    a: _Operand,
    /,
    shape: _Ints | None = None,
    strides: _Ints | None = None,
    offset: int = 0,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def contiguous(
    a: _Operand, /, allow_col_major: bool = False, *, stream: _StreamOrDevice = None
) -> array: ...
def view(a: _Operand, dtype: Dtype, stream: _StreamOrDevice = None) -> array: ...
def astype(a: _Operand, dtype: Dtype, /, *, stream: _StreamOrDevice = None) -> array: ...
def to_fp8(x: _Operand, *, stream: _StreamOrDevice = None) -> array: ...
def from_fp8(x: _Operand, dtype: Dtype = ..., *, stream: _StreamOrDevice = None) -> array: ...

# Joining, cutting and broadcasting

@overload
def atleast_1d(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
@overload
def atleast_1d(*arys: _Operand, stream: _StreamOrDevice = None) -> list[array]: ...
@overload
def atleast_2d(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
@overload
def atleast_2d(*arys: _Operand, stream: _StreamOrDevice = None) -> list[array]: ...
@overload
def atleast_3d(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
@overload
def atleast_3d(*arys: _Operand, stream: _StreamOrDevice = None) -> list[array]: ...
def broadcast_arrays(*arrays: _Operand, stream: _StreamOrDevice = None) -> tuple[array, ...]: ...
def broadcast_shapes(*shapes: _Ints) -> tuple[int, ...]: ...
def broadcast_to(a: _Operand, /, shape: _Ints, *, stream: _StreamOrDevice = None) -> array: ...
def concatenate(
    arrays: _Operands, axis: int | None = 0, *, stream: _StreamOrDevice = None
) -> array: ...
def concat(arrays: _Operands, axis: int | None = 0, *, stream: _StreamOrDevice = None) -> array: ...
def stack(arrays: _Operands, axis: int | None = 0, *, stream: _StreamOrDevice = None) -> array: ...
def split(
    a: _Operand, /, indices_or_sections: _Ints, axis: int = 0, *, stream: _StreamOrDevice = None
) -> list[array]: ...
def unstack(
    x: _Operand, /, *, axis: int = 0, stream: _StreamOrDevice = None
) -> tuple[array, ...]: ...

# Scalar math with parameters, and choosing by a condition

def where(
    condition: _Operand, x: _Operand, y: _Operand, /, *, stream: _StreamOrDevice = None
) -> array: ...
def clip(
    a: _Operand,
    /,
    a_min: _Operand | None,
    a_max: _Operand | None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def round(a: _Operand, /, decimals: int = 0, stream: _StreamOrDevice = None) -> array: ...
def positive(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def divmod(a: _Operand, b: _Operand, stream: _StreamOrDevice = None) -> list[array]: ...
def nan_to_num(
    a: _Operand,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def isclose(
    a: _Operand,
    b: _Operand,
    /,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    *,
    equal_nan: bool = False,
    stream: _StreamOrDevice = None,
) -> array: ...
def allclose(
    a: _Operand,
    b: _Operand,
    /,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    *,
    equal_nan: bool = False,
    stream: _StreamOrDevice = None,
) -> array: ...
def array_equal(
    a: _Operand, b: _Operand, equal_nan: bool = False, stream: _StreamOrDevice = None
) -> array: ...
def hadamard_transform(
    a: _Operand, scale: float | None = None, stream: _StreamOrDevice = None
) -> array: ...
def stop_gradient(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...

# Reading and writing by position

def take(
    a: _Operand, /, indices: _Operand, axis: int | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def take_along_axis(
    a: _Operand, /, indices: _Operand, axis: int | None = -1, *, stream: _StreamOrDevice = None
) -> array: ...
def put_along_axis(
    a: _Operand,
    /,
    indices: _Operand,
    values: _Operand,
    axis: int | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def slice(
    a: _Operand,
    start_indices: _Operand,
    axes: _Ints,
    slice_size: _Ints,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def slice_update(
    a: _Operand,
    update: _Operand,
    start_indices: _Operand,
    axes: _Ints,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...

# Products of vectors and matrices

def matmul(a: _Operand, b: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def addmm(
    c: _Operand,
    a: _Operand,
    b: _Operand,
    /,
    alpha: float = 1.0,
    beta: float = 1.0,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def inner(a: _Operand, b: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def outer(a: _Operand, b: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def kron(a: _Operand, b: _Operand, *, stream: _StreamOrDevice = None) -> array: ...
def vecdot(
    a: _Operand, b: _Operand, /, *, axis: int = -1, stream: _StreamOrDevice = None
) -> array: ...
def tensordot(
    a: _Operand, b: _Operand, /, axes: int | Sequence[_Ints] = 2, *, stream: _StreamOrDevice = None
) -> array: ...
def einsum(subscripts: str, *operands: _Operand, stream: _StreamOrDevice = None) -> array: ...
def einsum_path(subscripts: str, *operands: _Operand) -> tuple[list[tuple[int, ...]], str]: ...
def block_masked_mm(
    a: _Operand,
    b: _Operand,
    /,
    block_size: int = 64,
    mask_out: _Operand | None = None,
    mask_lhs: _Operand | None = None,
    mask_rhs: _Operand | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def gather_mm(
    a: _Operand,
    b: _Operand,
    /,
    lhs_indices: _Operand | None = None,
    rhs_indices: _Operand | None = None,
    *,
    sorted_indices: bool = False,
    stream: _StreamOrDevice = None,
) -> array: ...
def segmented_mm(
    a: _Operand, b: _Operand, /, segments: _Operand, *, stream: _StreamOrDevice = None
) -> array: ...

# Numbers in few bits

def quantize(
    w: _Operand,
    /,
    group_size: int | None = None,
    bits: int | None = None,
    mode: str = "affine",
    *,
    global_scale: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> list[array]: ...
def dequantize(
    w: _Operand,
    /,
    scales: _Operand,
    biases: _Operand | None = None,
    group_size: int | None = None,
    bits: int | None = None,
    mode: str = "affine",
    global_scale: _Operand | None = None,
    dtype: Dtype | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def quantized_matmul(
    x: _Operand,
    w: _Operand,
    /,
    scales: _Operand,
    biases: _Operand | None = None,
    transpose: bool = True,
    group_size: int | None = None,
    bits: int | None = None,
    mode: str = "affine",
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def gather_qmm(
    x: _Operand,
    w: _Operand,
    /,
    scales: _Operand,
    biases: _Operand | None = None,
    lhs_indices: _Operand | None = None,
    rhs_indices: _Operand | None = None,
    transpose: bool = True,
    group_size: int | None = None,
    bits: int | None = None,
    mode: str = "affine",
    global_scale: _Operand | None = None,
    *,
    sorted_indices: bool = False,
    stream: _StreamOrDevice = None,
) -> array: ...
def qqmm(
    x: _Operand,
    w: _Operand,
    scales: _Operand | None = None,
    group_size: int | None = None,
    bits: int | None = None,
    mode: str = "nvfp4",
    global_scale_x: _Operand | None = None,
    global_scale_w: _Operand | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def gather_qqmm(
    x: _Operand,
    w: _Operand,
    /,
    scales: _Operand | None = None,
    lhs_indices: _Operand | None = None,
    rhs_indices: _Operand | None = None,
    group_size: int | None = None,
    bits: int | None = None,
    mode: str = "nvfp4",
    global_scale_x: _Operand | None = None,
    global_scale_w: _Operand | None = None,
    *,
    sorted_indices: bool = False,
    stream: _StreamOrDevice = None,
) -> array: ...

# Reductions with parameters, sorting and searching

def argmax(
    a: _Operand,
    /,
    axis: int | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def argmin(
    a: _Operand,
    /,
    axis: int | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def minmax(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    *,
    stream: _StreamOrDevice = None,
) -> tuple[array, array]: ...
def var(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    ddof: int = 0,
    *,
    correction: int | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def std(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    keepdims: bool = False,
    ddof: int = 0,
    *,
    correction: int | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def softmax(
    a: _Operand,
    /,
    axis: _Ints | None = None,
    *,
    precise: bool = False,
    stream: _StreamOrDevice = None,
) -> array: ...
def partition(
    a: _Operand, /, kth: int, axis: int | None = -1, *, stream: _StreamOrDevice = None
) -> array: ...
def argpartition(
    a: _Operand, /, kth: int, axis: int | None = -1, *, stream: _StreamOrDevice = None
) -> array: ...
def topk(
    a: _Operand, /, k: int, axis: int | None = -1, *, stream: _StreamOrDevice = None
) -> array: ...
def searchsorted(
    sorted_sequence: _Operand,
    values: _Operand,
    /,
    side: Literal["left", "right"] = "left",
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
@overload
def unique(
    a: _Operand,
    /,
    size: int,
    return_index: Literal[False] = False,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    fill_value: _Operand | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
@overload
def unique(
    a: _Operand,
    /,
    size: int,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    fill_value: _Operand | None = None,
    *,
    stream: _StreamOrDevice = None,
) -> tuple[array, ...] | Any: ...

# Reordering axes and elements

def reshape(a: _Operand, /, shape: _Ints, *, stream: _StreamOrDevice = None) -> array: ...
def flatten(
    a: _Operand, /, start_axis: int = 0, end_axis: int = -1, *, stream: _StreamOrDevice = None
) -> array: ...
def unflatten(
    a: _Operand, /, axis: int, shape: _Ints, *, stream: _StreamOrDevice = None
) -> array: ...
def squeeze(
    a: _Operand, /, axis: _Ints | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def expand_dims(a: _Operand, /, axis: _Ints, *, stream: _StreamOrDevice = None) -> array: ...
def transpose(
    a: _Operand, /, axes: _Ints | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def permute_dims(
    a: _Operand, /, axes: _Ints | None = None, *, stream: _StreamOrDevice = None
) -> array: ...
def matrix_transpose(a: _Operand, /, *, stream: _StreamOrDevice = None) -> array: ...
def swapaxes(
    a: _Operand, /, axis1: int, axis2: int, *, stream: _StreamOrDevice = None
) -> array: ...
def moveaxis(
    a: _Operand, /, source: int, destination: int, *, stream: _StreamOrDevice = None
) -> array: ...
def flip(a: _Operand, /, axis: _Ints | None = None, *, stream: _StreamOrDevice = None) -> array: ...
def roll(
    a: _Operand, shift: _Ints, axis: _Ints | None = None, /, *, stream: _StreamOrDevice = None
) -> array: ...

matrix_norm = linalg.norm

# Transforms

@final
class custom_function(Generic[_P, _R]):
    def __new__(cls, f: Callable[_P, _R]) -> Self: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    def vjp(self, f: Callable[..., Any]) -> Self: ...
    def jvp(self, f: Callable[[Any, Any], Any]) -> Self: ...
    def vmap(self, f: Callable[[Any, Any], tuple[Any, Any]]) -> Self: ...

def eval(*args: Any) -> None: ...
def async_eval(*args: Any) -> None: ...
@overload
def depends(inputs: array, dependencies: _Arrays) -> array: ...
@overload
def depends(inputs: list[array] | tuple[array, ...], dependencies: _Arrays) -> list[array]: ...
@overload
def grad(  # type: ignore[overload-overlap]
    fun: Callable[Concatenate[_Tree, _P], array],
    argnums: Literal[0] | None = None,
    argnames: None = None,
) -> Callable[Concatenate[_Tree, _P], _Tree]: ...
@overload
def grad(
    fun: Callable[_P, array], argnums: int | Sequence[int], argnames: None = None
) -> Callable[_P, Any]: ...
@overload
def grad(
    fun: Callable[_P, array],
    argnums: int | Sequence[int] | None = None,
    *,
    argnames: str | Sequence[str],
) -> Callable[_P, tuple[Any, dict[str, Any]]]: ...
@overload
def value_and_grad(  # type: ignore[overload-overlap]
    fun: Callable[Concatenate[_Tree, _P], _Value],
    argnums: Literal[0] | None = None,
    argnames: None = None,
) -> Callable[Concatenate[_Tree, _P], tuple[_Value, _Tree]]: ...
@overload
def value_and_grad(
    fun: Callable[_P, _Value], argnums: int | Sequence[int], argnames: None = None
) -> Callable[_P, tuple[_Value, Any]]: ...
@overload
def value_and_grad(
    fun: Callable[_P, _Value],
    argnums: int | Sequence[int] | None = None,
    *,
    argnames: str | Sequence[str],
) -> Callable[_P, tuple[_Value, tuple[Any, dict[str, Any]]]]: ...
def vjp(
    fun: Callable[_P, _Arrays], primals: _Arrays, cotangents: _Arrays
) -> tuple[list[array], list[array]]: ...
def jvp(
    fun: Callable[_P, _Arrays], primals: _Arrays, tangents: _Arrays
) -> tuple[list[array], list[array]]: ...
def vmap(
    fun: Callable[_P, _R], in_axes: _AxisTree = 0, out_axes: _AxisTree = 0
) -> Callable[_P, _R]: ...
def compile(
    fun: Callable[_P, _R],
    inputs: object = None,
    outputs: object = None,
    shapeless: bool = False,
) -> Callable[_P, _R]: ...
def disable_compile() -> None: ...
def enable_compile() -> None: ...
def checkpoint(fun: Callable[_P, _R]) -> Callable[_P, _R]: ...

# Functions in files

@final
class FunctionExporter:
    def __call__(self, *args: Any, **kwargs: Any) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...
    def close(self) -> None: ...

def exporter(
    file: StrPath,
    fun: Callable[_P, _Arrays],
    *,
    shapeless: bool = False,
    metadata: str | None = None,
) -> FunctionExporter: ...
def export_function(
    file_or_callback: StrPath | Callable[[dict[str, Any]], object],
    fun: Callable[_P, _Arrays],
    *args: _Arrays | dict[str, array],
    shapeless: bool = False,
    metadata: str | None = None,
    **kwargs: array,
) -> None: ...
@overload
def import_function(
    file: StrPath, return_metadata: Literal[False] = False
) -> Callable[..., tuple[array, ...]]: ...
@overload
def import_function(
    file: StrPath, return_metadata: Literal[True]
) -> tuple[Callable[..., tuple[array, ...]], str]: ...
def export_to_dot(file: StrPath | SupportsWrite[str], *args: Any, **kwargs: array) -> None: ...

# Files of arrays

@overload
def load(
    file: StrPath | SupportsRead[bytes],
    /,
    format: Literal["npy"],
    return_metadata: Literal[False] = False,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
@overload
def load(
    file: StrPath | SupportsRead[bytes],
    /,
    format: Literal["npz", "safetensors", "gguf"],
    return_metadata: Literal[False] = False,
    *,
    stream: _StreamOrDevice = None,
) -> dict[str, array]: ...
@overload
def load(
    file: StrPath | SupportsRead[bytes],
    /,
    format: str | None = None,
    return_metadata: Literal[False] = False,
    *,
    stream: _StreamOrDevice = None,
) -> array | dict[str, array]: ...
@overload
def load(
    file: StrPath | SupportsRead[bytes],
    /,
    format: str | None = None,
    *,
    return_metadata: Literal[True],
    stream: _StreamOrDevice = None,
) -> tuple[dict[str, array], dict[str, Any]]: ...
@overload
def load(
    file: StrPath | SupportsRead[bytes],
    /,
    format: str | None,
    return_metadata: Literal[True],
    *,
    stream: _StreamOrDevice = None,
) -> tuple[dict[str, array], dict[str, Any]]: ...
def save(file: StrPath | SupportsWrite[bytes], arr: array) -> None: ...
def savez(file: StrPath | SupportsWrite[bytes], *args: array, **kwargs: array) -> None: ...
def savez_compressed(
    file: StrPath | SupportsWrite[bytes], *args: array, **kwargs: array
) -> None: ...
def save_safetensors(
    file: StrPath | SupportsWrite[bytes],
    arrays: dict[str, array],
    metadata: dict[str, str] | None = None,
) -> None: ...
def save_gguf(
    file: StrPath | SupportsWrite[bytes],
    arrays: dict[str, array],
    metadata: dict[str, Any] | None = None,
) -> None: ...

# Memory

def get_active_memory() -> int: ...
def get_peak_memory() -> int: ...
def reset_peak_memory() -> None: ...
def get_cache_memory() -> int: ...
def get_memory_limit() -> int: ...
def set_memory_limit(limit: int) -> int: ...
def set_cache_limit(limit: int) -> int: ...
def set_wired_limit(limit: int) -> int: ...
def clear_cache() -> None: ...
def get_array_buffer_size(*args: Any) -> int: ...
