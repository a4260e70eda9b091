"""Makes random cases on the reference package: inputs, parameters and results, for the Rust suite to replay.

`cargo xtask test` runs it in an environment of its own. By hand:
`python crates/conformance/scripts/differential.py --seed 7 --cases 3000 --out target/differential/cases`.
The committed cases are `--seed 1 --cases 400 --out crates/conformance/golden/differential`.

Writes OUT.json, a case a line: `op`, `args` (as in Python), `in` and `out`, lists of `[dtype, shape, start, layout]`,
and OUT.npz: for each dtype one long vector, in which the values of an array begin at `start`.
"""

import argparse
import faulthandler
import json
import pathlib

import mlx.core as mx
import numpy as np

import cases_products  # noqa: F401 (registers its generators)
from cases import ALL, FLOATS, GENERATORS, INTS, REAL, Random, dtype_name, mlx_dtype, op, resolve

LAYOUTS = ["held", "transposed", "stepped", "reversed", "broadcast"]
PLAIN = ["fast.layer_norm", "searchsorted", "put_along_axis", "scatter", "random.multivariate_normal", "block_masked_mm"]


UNARY = """abs acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh bitwise_invert ceil conj
conjugate cos cosh degrees erf erfinv exp expm1 floor imag isfinite isinf isnan isneginf isposinf log log10 log1p log2
logical_not negative radians real reciprocal rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc""".split()


@op(*UNARY)
def unary(r, name):
    dtype = r.dtype()
    domain = "any" if dtype == "complex64" else r.pick(["any", "edge", "unit", "positive"])
    return {}, [r.values(dtype, r.shape(), domain)], resolve(name)


@op("round")
def rounding(r, name):
    return {}, [r.values(r.dtype(REAL), r.shape(), "edge")], mx.round


BINARY = """add arctan2 atan2 bitwise_and bitwise_or bitwise_xor divide equal floor_divide greater greater_equal less less_equal
logaddexp logical_and logical_or maximum minimum multiply not_equal remainder subtract""".split()


def broadcast_pair(r):
    shape = r.shape()
    other = [1 if r.chance(0.3) else n for n in shape][r.below(len(shape) + 1) :]
    return (shape, other) if r.chance(0.5) else (other, shape)


@op(*BINARY)
def binary(r, name):
    dtype = r.dtype()
    other = dtype if r.chance(0.7) else r.dtype()
    a, b = broadcast_pair(r)
    domain = "any" if "complex64" in (dtype, other) else r.pick(["any", "edge"])
    return {}, [r.values(dtype, a, domain), r.values(other, b, domain)], resolve(name)


@op("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift")
def shift(r, name):
    dtype = r.dtype(INTS)
    a, b = broadcast_pair(r)
    return {}, [r.values(dtype, a, "edge"), mx.abs(r.values(dtype, b, "small"))], resolve(name)


@op("power", "pow")
def power(r, name):
    dtype = r.dtype([*INTS, *FLOATS])
    a, b = broadcast_pair(r)
    if dtype in INTS:
        return {}, [r.values(dtype, a), mx.abs(r.values(dtype, b, "small"))], mx.power
    return {}, [r.values(dtype, a, "positive"), r.values(dtype, b)], mx.power


@op("isclose", "allclose")
def close(r, name):
    x = r.values(r.dtype(FLOATS), r.shape(), "special")
    y = mx.where(r.values("bool", x.shape), x, x + 1e-6)
    args = {"rtol": r.pick([1e-5, 1e-2]), "atol": r.pick([1e-8, 1e-3]), "equal_nan": r.chance(0.5)}
    return args, [x, y], lambda x, y: resolve(name)(x, y, **args)


@op("array_equal")
def array_equal(r, name):
    x = r.values(r.dtype(), r.shape(), "small")
    y = x if r.chance(0.5) else r.values(dtype_name(x), x.shape, "small")
    args = {"equal_nan": r.chance(0.5)}
    return args, [x, mx.array(y)], lambda x, y: mx.array_equal(x, y, **args)


@op("where")
def where(r, name):
    a, b = broadcast_pair(r)
    dtype = r.dtype()
    other = dtype if r.chance(0.6) else r.dtype()
    return {}, [r.values("bool", a), r.values(dtype, b), r.values(other, a)], mx.where


@op("clip")
def clip(r, name):
    dtype = r.dtype(FLOATS)
    low, high = r.values(dtype, []), r.values(dtype, [])
    return {}, [r.values(dtype, r.shape(), "special"), low, high], mx.clip


@op("astype")
def astype(r, name):
    source, target = r.dtype(), r.dtype()
    x = r.values(source, r.shape(), "edge" if source in INTS else "small")
    if source in (*FLOATS, "complex64") and target.startswith("u"):
        x = mx.abs(x)
    return {"dtype": target}, [x], lambda x: x.astype(mlx_dtype(target))


@op("sum", "prod", "min", "max", "mean", "any", "all", "var", "std", "logsumexp")
def reduction(r, name):
    dtype = r.dtype(REAL if name in ("var", "std", "logsumexp") else ALL)
    # Not over empty axes: there the reference sometimes never returns.
    shape = r.full(0)
    special = dtype in FLOATS and name not in ("var", "std", "mean") and r.chance(0.3)
    domain = "special" if special else r.pick(["any", "small"])
    args = {"axis": r.axes(shape), "keepdims": r.chance(0.4)}
    if name in ("var", "std"):
        args["ddof"] = r.below(2)
    keywords = args | ({"axis": tuple(args["axis"])} if isinstance(args["axis"], list) else {})
    return args, [r.values(dtype, shape, domain)], lambda x: resolve(name)(x, **keywords)


@op("count_nonzero")
def count(r, name):
    shape = r.full(0)
    args = {"axis": r.axes(shape), "keepdims": r.chance(0.4)}
    keywords = args | ({"axis": tuple(args["axis"])} if isinstance(args["axis"], list) else {})
    return args, [r.values(r.dtype(), shape, "small")], lambda x: mx.count_nonzero(x, **keywords)


@op("argmin", "argmax")
def arg_reduction(r, name):
    shape = r.full()
    args = {"axis": r.pick([None, r.axis(shape)]), "keepdims": r.chance(0.4)}
    return args, [r.values(r.dtype(REAL), shape, r.pick(["small", "special"]))], lambda x: resolve(name)(x, **args)


@op("softmax")
def softmax(r, name):
    shape = r.full()
    args = {"axis": r.axes(shape)}
    axis = tuple(args["axis"]) if isinstance(args["axis"], list) else args["axis"]
    return args, [r.values(r.dtype(FLOATS), shape)], lambda x: mx.softmax(x, axis=axis, precise=True)


@op("cumsum", "cumprod", "cumulative_sum", "cumulative_prod", "cummax", "cummin", "logcumsumexp")
def scan(r, name):
    shape = r.full()
    dtype = r.dtype(FLOATS if name == "logcumsumexp" else REAL)
    args = {"axis": r.axis(shape), "reverse": r.chance(0.4), "inclusive": r.chance(0.7)}
    return args, [r.values(dtype, shape, r.pick(["any", "small"]))], lambda x: resolve(name)(x, **args)


@op("sort", "argsort")
def sort(r, name):
    shape = r.shape(1)
    args = {"axis": r.axis(shape)}
    dtype = r.dtype(["bool", *REAL])
    return args, [r.values(dtype, shape, r.pick(["small", "edge"]))], lambda x: resolve(name)(x, **args)


@op("partition", "argpartition", "topk")
def partition(r, name):
    """Only what is promised is compared: the kth element, and the set of the largest."""
    shape = r.full(1, 3)
    axis = r.axis(shape)
    k = r.below(shape[axis])
    x = r.values(r.dtype(REAL), shape, "any")
    if name == "topk":
        return {"k": k + 1, "axis": axis}, [x], lambda x: mx.sort(mx.topk(x, k + 1, axis=axis), axis=axis)
    if name == "partition":
        return {"kth": k, "axis": axis}, [x], lambda x: mx.take(mx.partition(x, k, axis=axis), mx.array([k]), axis=axis)

    def kth(x):
        at = mx.take(mx.argpartition(x, k, axis=axis), mx.array([k]), axis=axis)
        return mx.take_along_axis(x, at, axis=axis)

    return {"kth": k, "axis": axis}, [x], kth


@op("searchsorted")
def searchsorted(r, name):
    dtype = r.dtype(REAL)
    a = mx.sort(r.values(dtype, [r.below(9)], "small"))
    args = {"side": r.pick(["left", "right"])}
    return args, [a, r.values(dtype, r.shape(0, 2), "small")], lambda a, v: mx.searchsorted(a, v, **args)


@op("reshape", "flatten", "squeeze", "expand_dims", "transpose", "permute_dims", "swapaxes", "moveaxis", "broadcast_to")
def view(r, name):
    shape = r.shape(2) if name in ("transpose", "permute_dims", "swapaxes", "moveaxis") else r.full()
    args = {}
    if name == "reshape":
        args["shape"] = [-1, *shape[1:][::-1]] if r.chance(0.5) else shape[::-1]
    if name == "flatten":
        first = r.below(len(shape))
        args = {"start_axis": first, "end_axis": first + r.below(len(shape) - first)}
    if name == "squeeze":
        at = r.below(len(shape) + 1)
        shape.insert(at, 1)
        args["axis"] = at
    if name == "expand_dims":
        args["axis"] = r.below(len(shape) + 1)
    if name in ("transpose", "permute_dims"):
        args["axes"] = [int(a) for a in r.rng.permutation(len(shape))]
    if name == "swapaxes":
        args = {"axis1": r.axis(shape), "axis2": r.axis(shape)}
    if name == "moveaxis":
        args = {"source": r.axis(shape), "destination": r.axis(shape)}
    if name == "broadcast_to":
        args["shape"] = [r.below(3) + 1, *shape]
    return args, [r.values(r.dtype(), shape)], lambda x: resolve(name)(x, **args)


@op("concatenate", "concat", "stack")
def join(r, name):
    shape = r.shape(1)
    axis = r.axis(shape)
    dtypes = [r.dtype() for _ in range(2)]
    arrays = []
    for i in range(1 + r.below(3)):
        own = list(shape)
        if name != "stack":
            own[axis] = r.below(4)
        arrays.append(r.values(dtypes[i % 2], own))
    return {"axis": axis}, arrays, lambda *x: resolve(name)(list(x), axis=axis)


@op("split")
def split(r, name):
    shape = r.full()
    axis = r.axis(shape)
    sections = r.pick([shape[axis], 1, sorted(r.below(shape[axis] + 2) for _ in range(2))])
    args = {"indices_or_sections": sections, "axis": axis}
    return args, [r.values(r.dtype(), shape)], lambda x: mx.split(x, **args)


@op("pad")
def pad(r, name):
    shape = r.full()
    mode = r.pick(["constant", "edge"])
    widths = [[r.below(3), r.below(3)] for _ in shape]
    args = {"pad_width": widths, "mode": mode, "constant_values": r.below(3) if mode == "constant" else 0}
    keywords = args | {"pad_width": [tuple(w) for w in widths]}
    return args, [r.values(r.dtype(), shape)], lambda x: mx.pad(x, **keywords)


@op("repeat", "tile", "roll", "flip", "diff", "diag", "diagonal", "trace", "tril", "triu")
def arrange(r, name):
    shape = r.full(2, 3)
    x = r.values(r.dtype(), shape)
    args = {}
    if name == "repeat":
        args = {"repeats": r.below(4), "axis": r.axis(shape)}
    if name == "tile":
        reps = [1 + r.below(3) for _ in range(1 + r.below(3))]
        return {"reps": reps}, [x], lambda x: mx.tile(x, reps)
    if name == "roll":
        args = {"shift": r.below(13) - 6, "axis": r.axis(shape)}
    if name == "flip":
        args = {"axis": r.axis(shape)}
    if name == "diff":
        x = r.values(r.dtype(FLOATS), shape)
        args = {"n": 1 + r.below(2), "axis": r.axis(shape)}
    if name == "diag":
        x = r.values(r.dtype(), shape[: 1 + r.below(2)])
        args = {"k": r.below(5) - 2}
    if name in ("diagonal", "trace"):
        axes = [int(a) for a in r.rng.permutation(len(shape))[:2]]
        # Never an empty diagonal: see reduction.
        offset = r.below(3) - 1 if min(shape) > 1 else 0
        args = {"offset": offset, "axis1": axes[0], "axis2": axes[1]}
    if name in ("tril", "triu"):
        args = {"k": r.below(5) - 2}
    call = getattr(mx, name, None) or getattr(mx.array, name)
    return args, [x], lambda x: call(x, **args)


@op("take", "take_along_axis", "put_along_axis")
def along(r, name):
    shape = r.full()
    axis = r.axis(shape)
    x = r.values(r.dtype(), shape)
    if name == "take":
        return {"axis": axis}, [x, r.index(r.shape(0, 2), shape[axis])], lambda x, i: mx.take(x, i, axis=axis)
    if name == "take_along_axis":
        own = list(shape)
        own[axis] = 1 + r.below(4)
        return {"axis": axis}, [x, r.index(own, shape[axis])], lambda x, i: mx.take_along_axis(x, i, axis=axis)
    # One position for each row, so that none is written twice.
    own = list(shape)
    own[axis] = 1
    update = r.values(dtype_name(x), own)
    return {"axis": axis}, [x, r.index(own, shape[axis]), update], lambda x, i, v: mx.put_along_axis(x, i, v, axis=axis)


@op("gather", "scatter_add", "scatter_multiply", "scatter_maximum", "scatter_minimum")
def scattered(r, name):
    shape = r.full(2, 3)
    x = r.values(r.dtype(["float32", "int32", "int64", "float64"]), shape, "small")
    count = r.below(6)
    i, j = r.index([count], shape[0]), r.index([count], shape[1])
    if name == "gather":
        return {"axes": [0, 1]}, [x, i, j], lambda x, i, j: x[i, j]
    update = r.values(dtype_name(x), [count, *shape[2:]], "small")
    method = name.removeprefix("scatter_")
    return {"axes": [0, 1]}, [x, i, j, update], lambda x, i, j, u: getattr(x.at[i, j], method)(u)


def random_slices(r, shape):
    slices = []
    for n in shape:
        step = r.pick([1, 1, 2, -1, -2, 3])
        bound = lambda: None if r.chance(0.3) else r.below(2 * n + 3) - n - 1
        slices.append([bound(), bound(), step])
    return slices


@op("slice", "slice_update")
def sliced(r, name):
    shape = r.full()
    slices = random_slices(r, shape)
    index = tuple(slice(*s) for s in slices)
    x = r.values(r.dtype(), shape)
    if name == "slice":
        return {"slices": slices}, [x], lambda x: x[index]

    def assign(x, update):
        x = mx.array(x)
        x[index] = update
        return x

    update = r.values(dtype_name(x), np.zeros(shape)[index].shape)
    return {"slices": slices}, [x, update], assign


@op("matmul")
def matmul(r, name):
    dtype = r.dtype([*FLOATS, "complex64"])
    m, n, k = (1 + r.below(40) if r.chance(0.2) else 1 + r.below(6) for _ in range(3))
    batch = r.full(0, 2)
    left, right = [*batch, m, k], [*(batch if r.chance(0.5) else []), k, n]
    if r.chance(0.1):
        left = [k]
    return {}, [r.values(dtype, left), r.values(dtype, right)], mx.matmul


@op("addmm")
def addmm(r, name):
    dtype = r.dtype(FLOATS)
    m, n, k = (1 + r.below(7) for _ in range(3))
    args = {"alpha": r.pick([1.0, 0.5]), "beta": r.pick([1.0, 2.0, 0.0])}
    inputs = [r.values(dtype, r.pick([[m, n], [n]])), r.values(dtype, [m, k]), r.values(dtype, [k, n])]
    return args, inputs, lambda c, a, b: mx.addmm(c, a, b, **args)


@op("inner", "outer", "kron", "vecdot", "tensordot")
def product(r, name):
    dtype = r.dtype(FLOATS)
    k = 1 + r.below(6)
    a, b = [*r.full(0, 2), k], [*r.full(0, 2), k]
    args = {}
    if name == "outer":
        a, b = a[-1:], b[-1:]
    if name == "vecdot":
        b, args = a, {"axis": -1}
    if name == "tensordot":
        args = {"axes": [[len(a) - 1], [len(b) - 1]]}
    return args, [r.values(dtype, a), r.values(dtype, b)], lambda a, b: resolve(name)(a, b, **args)


@op("fast.rms_norm", "fast.layer_norm")
def norm(r, name):
    dtype = r.dtype(["float16", "bfloat16", "float32"])
    shape = [*r.full(0, 2), 2 + r.below(15)]
    weights = [r.values(dtype, shape[-1:]) for _ in range(r.below(2 if name == "fast.rms_norm" else 3))]
    args = {"eps": 1e-5}

    def call(x, *w):
        w = [*w, None, None]
        return mx.fast.rms_norm(x, w[0], 1e-5) if name == "fast.rms_norm" else mx.fast.layer_norm(x, w[0], w[1], 1e-5)

    return args, [r.values(dtype, shape), *weights], call


@op("fast.rope")
def rope(r, name):
    shape = [*r.full(1, 2), 1 + r.below(6), 8]
    args = {"dims": r.pick([4, 8]), "traditional": r.chance(0.5), "base": r.pick([10000.0, 500.0])}
    args |= {"scale": r.pick([1.0, 0.5]), "offset": r.below(50)}
    return args, [r.values("float32", shape)], lambda x: mx.fast.rope(x, **args)


@op("fast.scaled_dot_product_attention")
def attention(r, name):
    batch, groups, heads, size = 1 + r.below(2), 1 + r.below(2), 1 + r.below(2), r.pick([4, 8])
    queries, keys = 1 + r.below(6), 6 + r.below(6)
    dtype = r.dtype(["float32", "float16", "bfloat16"])
    q = r.values(dtype, [batch, groups * heads, queries, size])
    k, v = (r.values(dtype, [batch, heads, keys, size]) for _ in range(2))
    args = {"scale": 0.4, "mask": r.pick([None, "causal", "array"])}
    inputs = [q, k, v]
    if args["mask"] == "array":
        inputs.append(r.values(r.pick([dtype, "bool"]), [queries, keys]))

    def call(q, k, v, mask=args["mask"]):
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=0.4, mask=mask)

    return args, inputs, call


@op("arange", "linspace", "eye", "identity", "tri", "zeros", "ones", "full", "bartlett", "blackman", "hamming", "hanning")
def creation(r, name):
    dtype = r.pick(["float32", "int32", "float16"])
    args = {}
    if name == "arange":
        whole = r.chance(0.5)
        args = {"start": r.below(9) - 4, "stop": r.below(20) - 6, "step": r.pick([1, 2, -1, 3])}
        if not whole:
            args = {key: value / 4 for key, value in args.items()}
        return args, [], lambda: mx.arange(args["start"], args["stop"], args["step"])
    if name == "linspace":
        args = {"start": r.below(9) - 4, "stop": r.below(9), "num": r.below(9)}
        return args, [], lambda: mx.linspace(**args)
    if name in ("eye", "tri"):
        args = {"n": 1 + r.below(5), "m": 1 + r.below(5), "k": r.below(5) - 2, "dtype": dtype}
    if name == "identity":
        args = {"n": r.below(5), "dtype": dtype}
    if name in ("zeros", "ones"):
        args = {"shape": r.shape(), "dtype": dtype}
    if name == "full":
        args = {"shape": r.shape(), "vals": r.below(9), "dtype": "float32"}
    if name in ("bartlett", "blackman", "hamming", "hanning"):
        args = {"M": r.below(12)}
        return args, [], lambda: resolve(name)(args["M"])
    keywords = args | {"dtype": mlx_dtype(args["dtype"])}
    return args, [], lambda: resolve(name)(**keywords)


@op("zeros_like", "ones_like", "full_like")
def like(r, name):
    x = r.values(r.dtype(), r.shape())
    return {}, [x], (lambda x: mx.full_like(x, 3)) if name == "full_like" else resolve(name)


@op("random.uniform", "random.normal", "random.gumbel", "random.randint", "random.bernoulli", "random.split", "random.key")
def randoms(r, name):
    seed = int(r.rng.integers(2**63))
    key = mx.random.key(seed)
    args = {"seed": seed, "shape": r.full(0, 3)}
    if name == "random.key":
        return {"seed": seed}, [], lambda: key
    if name == "random.split":
        count = 1 + r.below(5)
        return {"seed": seed, "num": count}, [], lambda: mx.random.split(key, count)
    if name == "random.randint":
        args |= {"low": -r.below(100), "high": 1 + r.below(1000)}
        return args, [], lambda: mx.random.randint(args["low"], args["high"], args["shape"], key=key)
    if name == "random.bernoulli":
        args |= {"p": r.pick([0.25, 0.5, 0.75])}
        return args, [], lambda: mx.random.bernoulli(args["p"], args["shape"], key=key)
    return args, [], lambda: resolve(name)(shape=args["shape"], key=key)


@op("random.permutation", "random.categorical", "random.truncated_normal")
def more_randoms(r, name):
    args = {"seed": int(r.rng.integers(2**63))}
    key = mx.random.key(args["seed"])
    if name == "random.permutation":
        args["n"] = 1 + r.below(40)
        return args, [], lambda: mx.random.permutation(args["n"], key=key)
    if name == "random.categorical":
        logits = r.values("float32", [2 + r.below(3), 2 + r.below(6)])
        return args, [logits], lambda x: mx.random.categorical(x, key=key)
    args |= {"low": -1.0, "high": 1.5, "shape": r.full(0, 2)}
    return args, [], lambda: mx.random.truncated_normal(args["low"], args["high"], args["shape"], key=key)


@op("fft.fft", "fft.ifft", "fft.rfft", "fft.irfft")
def fft(r, name):
    shape = [*r.full(0, 2), 2 + r.below(12)]
    axis = r.axis(shape)
    real = name == "fft.rfft"
    if shape[axis] < 2:
        axis = -1
    args = {"n": r.pick([None, 2 + r.below(14)]), "axis": axis}
    return args, [r.values("float32" if real else "complex64", shape)], lambda x: resolve(name)(x, **args)


@op("linalg.inv", "linalg.cholesky", "linalg.solve", "linalg.det")
def linear_algebra(r, name):
    n = 1 + r.below(5)
    x = r.values("float32", [*r.full(0, 1), n, n])
    x = x @ mx.swapaxes(x, -1, -2) + 4 * mx.eye(n)
    if name == "linalg.solve":
        b = r.values("float32", [*x.shape[:-1], 2])
        return {}, [x, b], lambda a, b: mx.linalg.solve(a, b, stream=mx.cpu)
    if name == "linalg.det":
        return {}, [x], lambda x: mx.linalg.det(x, stream=mx.cpu)
    return {}, [x], lambda x: resolve(name)(x, stream=mx.cpu)


@op("nan_to_num", "divmod", "median", "logical_xor", "minmax", "unflatten", "positive")
def more(r, name):
    if name == "divmod":
        dtype = r.dtype(REAL)
        return {}, [r.values(dtype, [4]), r.values(dtype, [4], "positive")], mx.divmod
    if name == "logical_xor":
        return {}, [r.values(r.dtype(), [5], "small"), r.values(r.dtype(), [5], "small")], mx.logical_xor
    shape = r.full()
    x = r.values(r.dtype(["float16", "bfloat16", "float32"]), shape, "special" if name == "nan_to_num" else "any")
    if name == "median":
        args = {"axis": r.pick([None, r.axis(shape)]), "keepdims": r.chance(0.4)}
        return args, [x], lambda x: mx.median(x, **args)
    if name == "unflatten":
        shape = [6, *shape]
        args = {"axis": 0, "shape": r.pick([[2, 3], [-1, 2], [6, 1]])}
        return args, [r.values("float32", shape)], lambda x: mx.unflatten(x, **args)
    return {}, [x], resolve(name)


def lay(array, layout):
    """The same values with other strides; `broadcast` repeats the first row."""
    if layout == "held" or array.ndim == 0 or array.size == 0:
        return array
    if layout == "transposed":
        return mx.contiguous(mx.transpose(array)).transpose()
    if layout == "reversed":
        every = (slice(None, None, -1),) * array.ndim
        return mx.contiguous(array[every])[every]
    if layout == "broadcast":
        return mx.broadcast_to(array[:1], array.shape)
    for axis in range(array.ndim):
        array = mx.repeat(array, 2, axis=axis)
    return array[(slice(None, None, 2),) * array.ndim]


class Store:
    """Values of each dtype, one after the other."""

    def __init__(self):
        self.parts, self.lengths = {}, {}

    def put(self, array, layout=None):
        name = dtype_name(array)
        start = self.lengths.get(name, 0)
        self.parts.setdefault(name, []).append(mx.contiguous(array).reshape(-1))
        self.lengths[name] = start + array.size
        entry = [name, list(array.shape), start]
        return entry + [layout] if layout else entry

    def save(self, path):
        vectors = {name: mx.concatenate(parts) for name, parts in sorted(self.parts.items())}
        if "bfloat16" in vectors:
            # NumPy has none, so their bits are kept.
            vectors["bfloat16"] = vectors["bfloat16"].view(mx.uint16)
        np.savez_compressed(path, **{name: np.array(vector) for name, vector in vectors.items()})


def make(seed, number, name, store):
    """One case, or None if the reference refuses it."""
    r = Random(seed, number)
    args, inputs, call = GENERATORS[name](r, name)
    layouts = [r.pick(LAYOUTS) if r.chance(0.6) else "held" for _ in inputs]
    # Rows of equal numbers have no variance to divide by, and make a matrix singular; repeated positions have no order;
    # and the reference misreads masks of blocks that are not row-major.
    plain = name in PLAIN or name.startswith("linalg.")
    if plain:
        layouts = ["held" for _ in inputs]
    laid = [lay(x, layout) for x, layout in zip(inputs, layouts)]
    try:
        out = call(*laid)
        out = list(out) if isinstance(out, (list, tuple)) else [out]
        mx.eval(out, laid)
    except (ValueError, RuntimeError, TypeError, IndexError):
        return None
    stored = [store.put(x, layout) for x, layout in zip(laid, layouts)]
    return {"seed": number, "op": name, "args": args, "in": stored, "out": [store.put(x) for x in out]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    # If the reference hangs, say where and give up.
    faulthandler.dump_traceback_later(150, exit=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    names = sorted(GENERATORS)
    store, cases, number = Store(), [], 0
    while len(cases) < options.cases:
        name = names[len(cases) % len(names)]
        # What the reference refuses is asked for in another way; a generator that never succeeds is a mistake.
        case = None
        for _ in range(40):
            case = make(options.seed, number, name, store)
            number += 1
            if case is not None:
                break
        if case is None:
            raise SystemExit(f"{name}: the reference refuses every case")
        cases.append(case)
    lines = ",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in cases)
    header = f'"reference": "mlx {mx.__version__}",\n"seed": {options.seed},\n'
    options.out.with_suffix(".json").write_text("{\n" + header + '"cases": [\n' + lines + "\n]\n}\n", encoding="ascii")
    store.save(options.out.with_suffix(".npz"))
    print(f"{len(cases)} cases of {len({case['op'] for case in cases})} operations, seed {options.seed}")


if __name__ == "__main__":
    main()
