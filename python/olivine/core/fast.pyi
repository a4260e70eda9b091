"""Owns the types of ``olivine.core.fast``."""

from collections.abc import Callable, Sequence
from typing import Any, final

from . import Dtype, _Ints, _Operand, _Operands, _StreamOrDevice, array

def cross_entropy(
    logits: _Operand, targets: _Operand, *, stream: _StreamOrDevice = None
) -> array: ...
def gated_delta_update(
    q: _Operand,
    k: _Operand,
    v: _Operand,
    gamma: _Operand,
    beta: _Operand,
    initial_state: _Operand | None = None,
    mask: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> list[array]: ...
def layer_norm(
    x: _Operand,
    weight: _Operand | None,
    bias: _Operand | None,
    eps: float,
    *,
    stream: _StreamOrDevice = None,
) -> array: ...
def rms_norm(
    x: _Operand, weight: _Operand | None, eps: float, *, stream: _StreamOrDevice = None
) -> array: ...
def rope(
    a: _Operand,
    dims: int,
    *,
    traditional: bool,
    base: float | None,
    scale: float,
    offset: _Operand,
    freqs: _Operand | None = None,
    stream: _StreamOrDevice = None,
) -> array: ...
def scaled_dot_product_attention(
    q: _Operand,
    k: _Operand,
    v: _Operand,
    *,
    scale: float,
    mask: _Operand | str | None = None,
    sinks: _Operand | None = None,
    force_fused: bool = False,
    stream: _StreamOrDevice = None,
) -> array: ...

@final
class MetalKernel:
    def __call__(
        self,
        *,
        inputs: _Operands,
        output_shapes: Sequence[_Ints],
        output_dtypes: Sequence[Dtype],
        grid: Sequence[int],
        threadgroup: Sequence[int],
        template: Sequence[tuple[str, Any]] | None = None,
        init_value: float | None = None,
        verbose: bool = False,
        stream: _StreamOrDevice = None,
    ) -> list[array]: ...

def metal_kernel(
    name: str,
    input_names: Sequence[str],
    output_names: Sequence[str],
    source: str,
    header: str = "",
    ensure_row_contiguous: bool = True,
    atomic_outputs: bool = False,
    compile_options: dict[str, Any] | None = None,
) -> MetalKernel: ...
def cuda_kernel(
    name: str,
    input_names: Sequence[str],
    output_names: Sequence[str],
    source: str,
    header: str = "",
    ensure_row_contiguous: bool = True,
    shared_memory: int = 0,
) -> Callable[..., list[array]]: ...
def precompiled_cuda_kernel(
    *,
    name: str,
    compiled_source: bytes,
    inputs: _Operands,
    output_shapes: Sequence[_Ints],
    output_dtypes: Sequence[Dtype],
    scalars: Sequence[Any],
    grid: Sequence[int],
    threadgroup: Sequence[int],
    shared_memory: int = 0,
    init_value: float | None = None,
    ensure_row_contiguous: bool = False,
    stream: _StreamOrDevice = None,
) -> list[array]: ...
