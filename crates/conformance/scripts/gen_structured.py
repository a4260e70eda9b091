"""Writes golden/structured.json: reductions, scans, sorting, indexing, shaping, matmul and the fast ops.

Run: `pip install -r crates/conformance/scripts/requirements.txt`, then
`python crates/conformance/scripts/gen_structured.py`.

A case has `op`, its `args`, `inputs` and `outputs` (each `[dtype, shape, data]` in the encoding that common.py
describes), and a tolerance: `|got - expected| <= atol + rtol * |expected|`; both 0 means equal, NaN matching NaN.
"""

import mlx.core as mx
import numpy as np
from common import DTYPES, dtype_name, encode, from_numpy, mlx_dtype, write_lines

INF, NAN = float("inf"), float("nan")
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 3e-6, "float64": 1e-12, "complex64": 3e-6}
rng = np.random.default_rng(20)
cases = []


def tensor(array):
    """An array in the file's encoding."""
    return [dtype_name(array), list(array.shape), encode(array)]


def add(op, function, inputs, exact=False, rtol=None, **args):
    """Record one case; `function` gets the input arrays."""
    out = function(*inputs)
    outputs = list(out) if isinstance(out, (list, tuple)) else [out]
    if rtol is None:
        rtol = 0.0 if exact else max(TOLERANCE.get(dtype_name(o), 0.0) for o in outputs)
    case = {"op": op, "args": args, "inputs": [tensor(x) for x in inputs], "outputs": [tensor(o) for o in outputs]}
    cases.append(case | {"rtol": rtol, "atol": rtol})


def normal(*shape, dtype="float32"):
    """Standard normal values."""
    return from_numpy(rng.normal(size=shape), dtype)


def small(dtype, *shape):
    """Values that every dtype holds, with ties."""
    values = rng.integers(0 if dtype.startswith("u") else -4, 5, size=shape)
    return from_numpy(values > 0 if dtype == "bool" else values, dtype)


def axis_of(axis):
    """An axis argument as the reference wants it."""
    return tuple(axis) if isinstance(axis, list) else axis


# Reductions.
for op in "sum prod min max mean var std any all argmin argmax logsumexp".split():
    for dtype in DTYPES:
        if dtype == "complex64" and op in ("var", "std", "logsumexp", "argmin", "argmax"):
            continue
        if dtype == "uint64" and op in ("mean", "var", "std"):
            continue  # the reference cannot cast some results
        x = small(dtype, 3, 4)
        every_axis = [(None, False), (0, False), (-1, True)] if dtype in ("int32", "float32") else [(-1, True)]
        rtol = 1e-6 if (op, dtype) == ("logsumexp", "float64") else None  # the reference's exp is float32
        for axis, keepdims in every_axis:
            add(op, lambda a: getattr(mx, op)(a, axis=axis, keepdims=keepdims), [x], rtol=rtol, axis=axis, keepdims=keepdims)
    if not op.startswith("arg"):
        x = normal(2, 3, 4)
        add(op, lambda a: getattr(mx, op)(a, axis=(0, 2)), [x], axis=[0, 2], keepdims=False)
    if op not in ("any", "all"):
        for values in ([1.0, NAN, 3.0, NAN], [INF, -INF, 0.0], [-INF, -INF], [INF, 1.0], [NAN, NAN], [0.0, -0.0]):
            add(op, lambda a: getattr(mx, op)(a), [mx.array(values)], axis=None, keepdims=False)
for op in ("var", "std"):
    for ddof in (1, 4):
        add(op, lambda a: getattr(mx, op)(a, axis=1, ddof=ddof), [normal(3, 4)], axis=1, keepdims=False, ddof=ddof)
for op in ("sum", "prod", "any", "all", "mean"):
    add(op, lambda a: getattr(mx, op)(a, axis=0), [mx.zeros((0, 3))], axis=0, keepdims=False)
add("sum", lambda a: mx.sum(a, axis=1), [mx.full((2, 4096), 1.0, mx.bfloat16)[:, ::64]], axis=1, keepdims=False)

# Softmax, always with the precise accumulation of the reference.
for dtype in ("float16", "bfloat16", "float32", "float64", "int32"):
    x = small(dtype, 2, 3, 4)
    rtol = 1e-6 if dtype == "float64" else None
    for axis in (-1, 0, [0, 2], None) if dtype == "float32" else (-1,):
        add("softmax", lambda a: mx.softmax(a, axis=axis_of(axis), precise=True), [x], rtol=rtol, axis=axis)
for values in ([INF, 0.0], [-INF, -INF], [-INF, 0.0], [NAN, 0.0], [1e4, -1e4]):
    add("softmax", lambda a: mx.softmax(a, axis=-1), [mx.array(values)], axis=-1)

# Scans and sorting.
for op in ("cumsum", "cumprod"):
    for dtype in ("bool", "uint8", "int8", "int32", "int64", "float32", "float64", "complex64"):
        add(op, lambda a: getattr(mx, op)(a, axis=1), [small(dtype, 2, 5)], axis=1, reverse=False, inclusive=True)
for op in ("cumsum", "cumprod", "cummax", "cummin"):
    for reverse, inclusive in [(False, True), (True, True), (False, False), (True, False)]:
        for axis in (0, 1, None):
            args = {"axis": axis, "reverse": reverse, "inclusive": inclusive}
            add(op, lambda a: getattr(mx, op)(a, **args), [normal(2, 3)], **args)
for op in ("sort", "argsort"):
    for dtype in DTYPES:
        for axis in (-1, 0, None) if dtype == "float32" else (-1,):
            add(op, lambda a: getattr(mx, op)(a, axis=axis), [small(dtype, 3, 5)], exact=True, axis=axis)
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        x = from_numpy([3.0, NAN, -INF, INF, -0.0, 0.0, NAN, 1.5], dtype)
        add(op, lambda a: getattr(mx, op)(a), [x], exact=True, axis=-1)
for dtype in ("int32", "float32", "bfloat16"):
    # The order within the k largest is not promised, so they are sorted.
    add("topk", lambda a: mx.sort(mx.topk(a, 3, axis=-1), axis=-1), [small(dtype, 3, 7)], exact=True, axis=-1, k=3, then="sort")

# Indexing.
for dtype in DTYPES:
    x = small(dtype, 3, 4)
    add("take", lambda a, i: mx.take(a, i, axis=1), [x, mx.array([[0, -1], [2, 2]])], exact=True, axis=1)
    add("slice", lambda a: a[::-2, 3:0:-1], [x], exact=True, starts=[2, 3], stops=[None, 0], strides=[-2, -1])
    add("pad", lambda a: mx.pad(a, [(1, 2), (0, 1)]), [x], exact=True, widths=[[1, 2], [0, 1]], mode="constant", value=0)
    add("concatenate", lambda a, b: mx.concatenate([a, b], axis=1), [x, small(dtype, 3, 1)], exact=True, axis=1)
    add("tril", lambda a: mx.tril(a, -1), [x], exact=True, k=-1)
    add("triu", lambda a: mx.triu(a, 1), [x], exact=True, k=1)
x = normal(3, 4)
add("take", lambda a, i: mx.take(a, i), [x, mx.array([0, 11, -1, 5], mx.int64)], exact=True, axis=None)
add("take", lambda a, i: mx.take(a, i, axis=0), [x, mx.array([2, 0], mx.uint8)], exact=True, axis=0)
add("take", lambda a, i: mx.take(a, i, axis=0), [x, mx.array(1)], exact=True, axis=0)
add("take", lambda a, i: mx.take(a, i, axis=0), [x, mx.zeros((0,), mx.int32)], exact=True, axis=0)
for shape, axis in [((3, 2), 1), ((1, 4), 0), ((5, 4), 0), ((1, 2), 1), ((3, 1), 1)]:
    index = mx.array(rng.integers(-3, 3, size=shape).astype(np.int32))
    add("take_along_axis", lambda a, i: mx.take_along_axis(a, i, axis=axis), [x, index], exact=True, axis=axis)
index, other = mx.array([0, 2, -1, 0]), mx.array([1, 3, 0, 1])
add("gather", lambda a, i, j: a[i, j], [x, index, other], exact=True, axes=[0, 1])
add("gather", lambda a, i, j: a[i[:, None], j], [x, index, other], exact=True, axes=[0, 1], outer=True)
for op in ("add", "multiply", "maximum", "minimum"):
    add(f"scatter_{op}", lambda a, i, u: getattr(a.at[i], op)(u), [x, index, normal(4, 4)], axes=[0])
    add(f"scatter_{op}", lambda a, i, j, u: getattr(a.at[i, j], op)(u), [x, index, other, normal(4)], axes=[0, 1])


def assign(a, index, update):
    """A copy of `a` with `a[index] = update`."""
    a = mx.array(a)
    a[index] = update
    return a


slices = (slice(0, 2), slice(None, None, 2))
add("slice_update", lambda a, u: assign(a, slices, u), [x, normal(2, 2)], exact=True, starts=[0, 0], stops=[2, 4], strides=[1, 2])
slices = (slice(None, None, -1), slice(1, 3))
add("slice_update", lambda a, u: assign(a, slices, u), [x, normal(3, 2)], exact=True, starts=[2, 1], stops=[None, 3], strides=[-1, 1])
add("put_along_axis", lambda a, i, u: mx.put_along_axis(a, i, u, axis=1), [x, mx.array([[0], [1], [3]]), normal(3, 1)], exact=True, axis=1)
for mode in ("edge", "reflect", "symmetric"):
    add("pad", lambda a: mx.pad(a, [(2, 1), (1, 2)], mode=mode), [x], exact=True, widths=[[2, 1], [1, 2]], mode=mode)
for indices in (3, [1, 4], [-2], [4, 1], [2, 10]):
    add("split", lambda a: mx.split(a, indices), [mx.arange(6)], exact=True, axis=0, indices=indices)
add("concatenate", lambda a, b: mx.concatenate([a, b]), [mx.array([1, 2]), mx.array([0.5])], exact=True, axis=0)
add("stack", lambda a, b: mx.stack([a, b], axis=1), [x, normal(3, 4)], exact=True, axis=1)
for mask in (mx.array([[True], [False], [True]]), mx.array([0.0, 2.0, NAN, -0.0])):
    add("where", lambda c, a, b: mx.where(c, a, b), [mask, x, mx.array(7)], exact=True)
add("clip", lambda a: mx.clip(a, -0.5, 0.5), [mx.array([-1.0, 0.25, NAN, INF])], exact=True, low=-0.5, high=0.5)

# Making arrays.
for n, m, k in [(3, 3, 0), (2, 4, 1), (4, 2, -1), (2, 2, 5)]:
    add("eye", lambda: mx.eye(n, m, k), [], exact=True, n=n, m=m, k=k)
    add("tri", lambda: mx.tri(n, m, k), [], exact=True, n=n, m=m, k=k)
for start, stop, step in [(0, 5, 1), (5, 0, -2), (0, 5, -1), (0.0, 1.0, 0.25), (1.0, 4.0, 0.7), (-1.5, 2.0, 1.0)]:
    add("arange", lambda: mx.arange(start, stop, step), [], start=start, stop=stop, step=step)
for start, stop, num in [(0, 10, 5), (0, 1, 1), (0, 1, 0), (3, 1, 3), (-1, 1, 7)]:
    add("linspace", lambda: mx.linspace(start, stop, num), [], start=start, stop=stop, num=num)

# Matrix products.
shapes = [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (2, 3, 4)), ((2, 4, 3), (3,)), ((2, 1, 2, 3), (3, 3, 2)), ((2, 0), (0, 3))]
for left, right in shapes:
    add("matmul", mx.matmul, [normal(*left), normal(*right)])
for dtype in ("float16", "bfloat16", "float64"):
    add("matmul", mx.matmul, [normal(3, 5, dtype=dtype), normal(5, 2, dtype=dtype)])
complex_left = mx.array((rng.normal(size=(2, 3)) + 1j * rng.normal(size=(2, 3))).astype(np.complex64))
add("matmul", mx.matmul, [complex_left, mx.array((rng.normal(size=(3, 2)) - 2j).astype(np.complex64))])
add("matmul", mx.matmul, [normal(2, 3), normal(3, 2, dtype="float16")])
add("addmm", lambda c, a, b: mx.addmm(c, a, b, alpha=2.0, beta=0.5), [normal(4), normal(2, 3), normal(3, 4)], alpha=2.0, beta=0.5)

# Fast ops.
for dtype in ("float32", "float16", "bfloat16"):
    x, w, b = normal(2, 3, 8, dtype=dtype), normal(8, dtype=dtype), normal(8, dtype=dtype)
    add("rms_norm", lambda x, w: mx.fast.rms_norm(x, w, 1e-5), [x, w], eps=1e-5)
    add("rms_norm", lambda x: mx.fast.rms_norm(x, None, 1e-3), [x], eps=1e-3)
    add("layer_norm", lambda x, w, b: mx.fast.layer_norm(x, w, b, 1e-5), [x, w, b], eps=1e-5)
    add("layer_norm", lambda x: mx.fast.layer_norm(x, None, None, 1e-5), [x], eps=1e-5)
    for traditional, dims, base, scale, offset in [
        (False, 8, 10000.0, 1.0, 0), (True, 8, 10000.0, 1.0, 0), (False, 4, 10000.0, 0.5, 3), (True, 6, 500.0, 1.0, 100),
    ]:
        args = {"dims": dims, "traditional": traditional, "base": base, "scale": scale, "offset": offset}
        add("rope", lambda x: mx.fast.rope(x, **args), [x], **args)
x = normal(2, 2, 3, 8)
args = {"dims": 8, "traditional": False, "scale": 1.0}
freqs = mx.array([1.0, 10.0, 50.0, 400.0])
add("rope", lambda x, f: mx.fast.rope(x, base=None, offset=5, freqs=f, **args), [x, freqs], base=None, offset=5, **args)
add("rope", lambda x, o: mx.fast.rope(x, base=100.0, offset=o, **args), [x, mx.array([0, 7])], base=100.0, offset="array", **args)

sdpa = mx.fast.scaled_dot_product_attention
for dtype in ("float32", "float16", "bfloat16"):
    q, k, v = normal(1, 4, 3, 8, dtype=dtype), normal(1, 2, 5, 8, dtype=dtype), normal(1, 2, 5, 8, dtype=dtype)
    add("scaled_dot_product_attention", lambda q, k, v: sdpa(q, k, v, scale=0.3), [q, k, v], scale=0.3, mask=None)
    add("scaled_dot_product_attention", lambda q, k, v: sdpa(q, k, v, scale=0.3, mask="causal"), [q, k, v], scale=0.3, mask="causal")
    bias = normal(3, 5, dtype=dtype)
    add("scaled_dot_product_attention", lambda q, k, v, m: sdpa(q, k, v, scale=0.3, mask=m), [q, k, v, bias], scale=0.3, mask="array")
keep = mx.array(rng.random((1, 4, 3, 5)) > 0.3)
blocked = mx.array([[True, False, True, True, False], [False] * 5, [True] * 5])
q, k, v = normal(1, 4, 3, 8), normal(1, 2, 5, 8), normal(1, 2, 5, 8)
for mask in (keep, keep[0], blocked, blocked[0]):
    add("scaled_dot_product_attention", lambda q, k, v, m: sdpa(q, k, v, scale=0.5, mask=m), [q, k, v, mask], scale=0.5, mask="array")
add("scaled_dot_product_attention", lambda q, k, v: sdpa(q, k, v, scale=0.5, mask="causal"), [normal(1, 2, 7, 8), k, v], scale=0.5, mask="causal")
add("scaled_dot_product_attention", lambda q, k, v, s: sdpa(q, k, v, scale=0.5, sinks=s), [q, k, v, normal(4)], scale=0.5, mask=None, sinks=True)
add("scaled_dot_product_attention", lambda q, k, v: sdpa(q, k, v, scale=0.5), [normal(2, 2, 1, 4), normal(2, 2, 9, 4), normal(2, 2, 9, 6)], scale=0.5, mask=None)

write_lines("structured.json", {"reference": f"mlx {mx.__version__}"}, {"cases": cases})
