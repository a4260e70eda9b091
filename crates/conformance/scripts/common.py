"""Owns what the golden-file scripts share: dtype names, exact number encoding, and where files go.

Numbers are written so that a reader can rebuild every bit: floats as the unsigned integer of their
bit pattern, complex64 as pairs (real bits, imaginary bits), integers as themselves, bools as 0 or 1.
Every NaN is written as the dtype's canonical quiet NaN, so files do not depend on the machine.
"""

import json
import pathlib

import mlx.core as mx
import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"

DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
]
FLOATS = ["float16", "bfloat16", "float32", "float64"]
CANONICAL_NAN = {"float16": 0x7E00, "bfloat16": 0x7FC0, "float32": 0x7FC00000, "float64": 0x7FF8000000000000}


def mlx_dtype(name):
    """The reference's dtype object for a dtype name."""
    return getattr(mx, "bool_" if name == "bool" else name)


def dtype_name(array):
    """The dtype name of a reference array."""
    return str(array.dtype).removeprefix("mlx.core.").removesuffix("_")


def from_numpy(values, dtype):
    """A reference array of `dtype`, keeping 64-bit values exact."""
    values = np.asarray(values)
    if dtype == "float64":
        return mx.array(values.astype(np.float64).view(np.uint64)).view(mx.float64)
    if dtype in ("float16", "bfloat16"):
        return mx.array(values.astype(np.float32)).astype(mlx_dtype(dtype))
    return mx.array(values.astype(np.bool_ if dtype == "bool" else dtype))


def to_numpy(array):
    """The values of a reference array, bfloat16 widened to float32."""
    if dtype_name(array) == "bfloat16":
        return np.array(array.astype(mx.float32))
    if dtype_name(array) == "float64":
        return np.array(array.view(mx.uint64)).view(np.float64)
    return np.array(array)


def encode(array):
    """The flat list of exact numbers for a reference array."""
    name = dtype_name(array)
    if name == "complex64":
        flat = np.array(array).reshape(-1)
        parts = np.stack([flat.real, flat.imag], -1).reshape(-1).astype(np.float32)
        return encode(mx.array(parts))
    array = mx.contiguous(array.reshape(-1))
    if name in FLOATS:
        bits = {"float16": mx.uint16, "bfloat16": mx.uint16, "float32": mx.uint32, "float64": mx.uint64}[name]
        is_nan = np.isnan(to_numpy(array))
        words = np.array(array.view(bits)).tolist()
        return [CANONICAL_NAN[name] if nan else word for word, nan in zip(words, is_nan.tolist())]
    return [int(value) for value in np.array(array).tolist()]


def write_lines(name, header, groups):
    """Write `{header…, group: [case, …]}` with one case a line, so that diffs stay readable."""
    lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in header.items()]
    for group, cases in groups.items():
        rows = ",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in cases)
        lines.append(f"{json.dumps(group)}: [\n{rows}\n]")
    path = GOLDEN / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")
    print(f"{path.name}: {path.stat().st_size} bytes")
