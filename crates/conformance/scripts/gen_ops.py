"""Writes golden/ops.json: unary, binary and cast results on edge-case values, for every dtype.

Run: `pip install -r crates/conformance/scripts/requirements.txt`, then
`python crates/conformance/scripts/gen_ops.py`.

The file holds, in the encoding that common.py describes:
- `unary_inputs`, `binary_inputs`, `shift_inputs`: the operands by dtype (one list, or the two operands);
- `unary`, `binary`, `shift`: cases naming `op`, input `dtype`, result `out_dtype` and the results `out`;
- `unsupported`: the (op, dtype) pairs that the reference refuses;
- `cast`: from `dtype` to `out_dtype` on the inputs listed in the case.

`ulps` is how far a float result may lie from `out`, in units in the last place of `out_dtype`; 0 means exact
(the sign of a zero and of a NaN is free). Complex results carry `rel`, a relative tolerance on the modulus.

Behaviour (dtypes, special values, integers) is the reference's. For transcendental functions of real floats
the reference's own kernels are up to 16 ulps off, so the values are NumPy's in float64, rounded, after
checking that the reference agrees loosely; where it knowingly does not (see KNOWN), NumPy's stand.
"""

import math

import mlx.core as mx
import numpy as np
from common import DTYPES, FLOATS, dtype_name, encode, from_numpy, mlx_dtype, to_numpy, write_lines

INF, NAN = float("inf"), float("nan")
EXACT_UNARY = (
    "abs sign negative square floor ceil round logical_not bitwise_invert isnan isinf isfinite isposinf isneginf conj real imag"
).split()
UNARY = EXACT_UNARY + (
    "sqrt rsqrt reciprocal exp expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arccosh arctanh erf erfinv sigmoid degrees radians"
).split()
EXACT_BINARY = (
    "add subtract multiply floor_divide minimum maximum equal not_equal less less_equal greater greater_equal "
    "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor"
).split()
BINARY = EXACT_BINARY + "divide remainder power arctan2 logaddexp".split()

NUMPY_UNARY = {
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
NUMPY_BINARY = {
    "divide": np.divide,
    "power": np.power,
    "arctan2": np.arctan2,
    "logaddexp": np.logaddexp,
}
# The reference flushes exp to 0 and infinity early, and computes these float64 functions in float32.
KNOWN = {"exp", "sigmoid", "erf", "sin", "cos", "logaddexp"}


def unary_inputs(dtype):
    """Edge cases of one dtype."""
    if dtype == "bool":
        return [False, True]
    if dtype == "complex64":
        return np.array([0, 1, -1, 1j, 0.5 - 0.25j, -2 + 3j, 1.5 + 0.5j, -0.75 - 1.25j], np.complex64)
    if dtype in FLOATS:
        values = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.75, -7.3, 1e-3, 12.0, -40.25, 1000.0, INF, -INF, NAN]
        return np.array(values, np.float64)
    info = np.iinfo(dtype)
    signed = [-1, -2, -7, info.min, info.min + 1] if info.min else []
    return np.array([0, 1, 2, 3, 7, 100, info.max - 1, info.max, *signed], dtype)


def binary_inputs(dtype):
    """Two operand lists of one dtype; no minimum by -1, which traps in the reference."""
    if dtype == "bool":
        return [False, False, True, True], [False, True, False, True]
    if dtype == "complex64":
        left = [0, 1, 1 + 2j, 1 + 2j, -1.5j, 2 - 1j, 0.5 + 0.5j]
        right = [1, 1j, 1 + 3j, 1 + 2j, 2 + 1j, -1 - 1j, 2]
        return np.array(left, np.complex64), np.array(right, np.complex64)
    if dtype in FLOATS:
        pairs = [
            (7.5, 2.0), (-7.5, 2.0), (7.5, -2.0), (-7.5, -2.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 0.0), (0.0, -0.0),
            (-0.0, 3.0), (3.0, -3.0), (5.0, INF), (-5.0, INF), (INF, 2.0), (-INF, INF), (INF, INF), (NAN, 1.0),
            (1.0, NAN), (NAN, NAN), (2.0, 0.5), (-8.0, 3.0), (-8.0, 0.5), (0.0, -1.0), (0.25, 2.0), (1.5, 1.5),
        ]
        return tuple(np.array(side, np.float64) for side in zip(*pairs))
    info = np.iinfo(dtype)
    pairs = [(7, 3), (0, 5), (5, 0), (0, 0), (info.max, 1), (info.max, info.max), (info.min, 1), (2, 7), (3, 5), (100, 10), (1, info.max)]
    if info.min:
        pairs += [(-7, 3), (7, -3), (-7, -3), (2, -1), (1, -1), (-1, -1), (-2, 3), (info.min, 2), (info.min, info.max)]
    return tuple(np.array(side, dtype) for side in zip(*pairs))


def shift_inputs(dtype):
    """Values and counts below the width, where C defines the result."""
    info = np.iinfo(dtype)
    counts = [0, 1, 3, info.bits - 1]
    values = [1, 5, info.max, info.min, info.max // 3]
    return np.repeat(np.array(values, dtype), len(counts)), np.tile(np.array(counts, dtype), len(values))


def loosely_equal(ours, theirs, rel):
    """Whether two float arrays agree on special values and within a tolerance."""
    with np.errstate(all="ignore"):
        close = np.abs(ours - theirs) <= rel * np.abs(ours) + rel
    return (np.isnan(ours) & np.isnan(theirs)) | (ours == theirs) | close


def refine(op, dtype, formula, operands, out):
    """Replace the reference's result by the float64 one, once they agree."""
    with np.errstate(all="ignore"):
        exact = from_numpy(formula(*[to_numpy(x).astype(np.float64) for x in operands]), dtype)
    rel = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-6, "float64": 1e-6}[dtype]
    agree = loosely_equal(to_numpy(exact).astype(np.float64), to_numpy(out).astype(np.float64), rel)
    if op not in KNOWN:
        assert agree.all(), (op, dtype, to_numpy(exact)[~agree], to_numpy(out)[~agree])
    elif not agree.all():
        print(f"known difference: {op} {dtype}: exact {to_numpy(exact)[~agree]}, reference {to_numpy(out)[~agree]}")
    return exact


def tolerance(op, exact_ops, dtype, out_dtype):
    """How closely a result must match."""
    if out_dtype == "complex64" or (dtype == "complex64" and out_dtype == "float32"):
        return {"rel": 0.0 if op in exact_ops and op not in ("abs", "sign", "square", "multiply") else 1e-5}
    if op in exact_ops or out_dtype not in FLOATS:
        return {"ulps": 0}
    if op in ("sqrt", "reciprocal", "divide", "remainder"):
        return {"ulps": 1 if out_dtype in ("float16", "bfloat16") else 0}
    if op == "erfinv":
        return {"ulps": 2**30 if out_dtype == "float64" else 4}
    return {"ulps": 1 if out_dtype in ("float16", "bfloat16") else 4}


def run(op, exact_ops, formulas, dtype, operands):
    """One case, or None where the reference refuses the dtype."""
    try:
        out = getattr(mx, op)(*operands)
        mx.eval(out)
    except (ValueError, RuntimeError):
        return None
    out_dtype = dtype_name(out)
    if op in formulas and out_dtype in FLOATS and (dtype not in ("complex64",)):
        if dtype not in FLOATS:
            operands = [x.astype(mx.float32) for x in operands]
        out = refine(op, out_dtype, formulas[op], operands, out)
    result = {"op": op, "dtype": dtype, "out_dtype": out_dtype, "out": encode(out)}
    return result | tolerance(op, exact_ops, dtype, out_dtype)


unary, binary, shift, cast, unsupported = [], [], [], [], []
unary_operands = {dtype: from_numpy(unary_inputs(dtype), dtype) for dtype in DTYPES}
binary_operands = {dtype: [from_numpy(x, dtype) for x in binary_inputs(dtype)] for dtype in DTYPES}
shift_operands = {d: [from_numpy(x, d) for x in shift_inputs(d)] for d in DTYPES if d.lstrip("u").startswith("int")}

for op in UNARY:
    for dtype in DTYPES:
        if op == "erfinv" and dtype == "float64":
            continue  # float32 precision in the reference, and NumPy has none
        case = run(op, EXACT_UNARY, NUMPY_UNARY, dtype, [unary_operands[dtype]])
        (unary.append(case) if case else unsupported.append([op, dtype]))
for op in BINARY:
    for dtype in DTYPES:
        case = run(op, EXACT_BINARY, NUMPY_BINARY, dtype, binary_operands[dtype])
        (binary.append(case) if case else unsupported.append([op, dtype]))
for op in ("left_shift", "right_shift"):
    for dtype, operands in shift_operands.items():
        shift.append(run(op, [op], {}, dtype, operands))
for dtype in DTYPES:
    values = to_numpy(unary_operands[dtype])
    if dtype in FLOATS:
        values = np.array([0.0, -0.0, 0.5, 1.0, 1.75, 2.5, 100.0, 127.0], np.float64)
    if dtype == "complex64":
        values = np.array([0, 1, 2.5 + 1j, 1j, 100 - 3j], np.complex64)
    source = from_numpy(values, dtype)
    for target in DTYPES:
        out = source.astype(mlx_dtype(target))
        cast.append({"dtype": dtype, "in": encode(source), "out_dtype": target, "out": encode(out)})

write_lines(
    "ops.json",
    {
        "reference": f"mlx {mx.__version__}",
        "unary_inputs": {dtype: encode(x) for dtype, x in unary_operands.items()},
        "binary_inputs": {dtype: [encode(x) for x in pair] for dtype, pair in binary_operands.items()},
        "shift_inputs": {dtype: [encode(x) for x in pair] for dtype, pair in shift_operands.items()},
        "unsupported": unsupported,
    },
    {"unary": unary, "binary": binary, "shift": shift, "cast": cast},
)
