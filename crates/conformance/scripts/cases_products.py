"""Owns the random cases of products: convolutions, packed numbers, einsum, chosen and masked matrices, decompositions,
and of what else has parameters of its own: strided views, updates, frames of signals, draws."""

import mlx.core as mx
import numpy as np

from cases import ALL, FLOATS, INTS, mlx_dtype, op, resolve

NARROW = ["float32", "float16", "bfloat16"]
FORMATS = [("affine", group, bits) for group in (32, 64, 128) for bits in (2, 3, 4, 5, 6, 8)]
FORMATS += [("mxfp4", 32, 4), ("mxfp8", 32, 8), ("nvfp4", 16, 4)]


def per_axis(r, dims, choices):
    return [r.pick(choices) for _ in range(dims)]


@op("conv1d", "conv2d", "conv3d", "conv_general", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def convolution(r, name):
    dims = 1 + r.below(3) if name == "conv_general" else int(name[-2])
    groups = r.pick([1, 1, 1, 2, 3])
    into, out = groups * (1 + r.below(3)), groups * (1 + r.below(3))
    kernel = [1 + r.below(3) for _ in range(dims)]
    args = {"stride": per_axis(r, dims, [1, 1, 2, 3]), "groups": groups}
    if name == "conv_general":
        args |= {"kernel_dilation": per_axis(r, dims, [1, 1, 2]), "input_dilation": per_axis(r, dims, [1, 1, 2])}
        args |= {"padding": [[r.below(3), r.below(3)] for _ in range(dims)], "flip": r.chance(0.4)}
    else:
        args |= {"padding": per_axis(r, dims, [0, 0, 1, 2]), "dilation": per_axis(r, dims, [1, 1, 2])}
    if "transpose" in name:
        # Where more is cut off than the weights reach, the reference forgets to cut.
        reach = [step * (n - 1) for step, n in zip(args["dilation"], kernel)]
        args["padding"] = [min(pair) for pair in zip(args["padding"], reach)]
        args["output_padding"] = [r.below(2) if s > 1 and r.chance(0.3) else 0 for s in args["stride"]]
    # The reference does not refuse weights that are larger than the input; what it gives is then no convolution.
    steps = args.get("kernel_dilation", args.get("dilation"))
    size = [max(4, step * (n - 1) + 1) + r.below(3) for step, n in zip(steps, kernel)]
    dtype = r.dtype(NARROW)
    inputs = [r.values(dtype, [1 + r.below(2), *size, into]), r.values(dtype, [out, *kernel, into // groups])]
    keywords = {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}
    if name == "conv_general":
        before, after = zip(*args["padding"])
        keywords["padding"] = (list(before), list(after))
    elif dims == 1:
        keywords = {key: value[0] if isinstance(value, tuple) else value for key, value in keywords.items()}
    return args, inputs, lambda x, w: resolve(name)(x, w, **keywords)


@op("convolve")
def convolve(r, name):
    dtype = r.dtype(NARROW)
    args = {"mode": r.pick(["full", "same", "valid"])}
    inputs = [r.values(dtype, [1 + r.below(9)]), r.values(dtype, [1 + r.below(9)])]
    return args, inputs, lambda a, v: mx.convolve(a, v, **args)


def format_of(r, dtypes=NARROW, formats=FORMATS):
    mode, group, bits = r.pick(formats)
    return {"mode": mode, "group_size": group, "bits": bits}, r.dtype(dtypes), max(group, 32)


def packed(r, dtype, shape, form):
    return mx.quantize(r.values(dtype, shape), **form)


@op("quantize", "dequantize")
def quantize(r, name):
    args, dtype, step = format_of(r)
    x = r.values(dtype, [*r.pick([[], [], [2]]), 1 + r.below(2), step * (1 + r.below(2))])
    if name == "quantize":
        return args, [x], lambda x: mx.quantize(x, **args)
    args["dtype"] = r.pick(NARROW)
    form = {key: args[key] for key in ("mode", "group_size", "bits")}
    return args, list(mx.quantize(x, **form)), lambda *parts: mx.dequantize(
        *parts, **form, dtype=mlx_dtype(args["dtype"])
    )


@op("quantized_matmul")
def quantized_matmul(r, name):
    args, dtype, step = format_of(r)
    transpose = r.chance(0.6)
    rows, columns = (8 * (1 + r.below(2)), step * (1 + r.below(2)))
    x = r.values(dtype, [*r.full(0, 1), 1 + r.below(5), columns if transpose else rows])
    parts = packed(r, dtype, [rows, columns], args)
    form = dict(args)
    args["transpose"] = transpose
    return args, [x, *parts], lambda x, *parts: mx.quantized_matmul(x, *parts, transpose=transpose, **form)


@op("gather_qmm")
def gather_qmm(r, name):
    args, dtype, step = format_of(r)
    left, right, count = 1 + r.below(3), 1 + r.below(3), 1 + r.below(4)
    transpose = r.chance(0.6)
    rows, columns = 8, step * (1 + r.below(2))
    x = r.values(dtype, [left, 1 + r.below(3), columns if transpose else rows])
    parts = packed(r, dtype, [right, rows, columns], args)
    places = [mx.array(r.rng.integers(0, n, size=count).astype("uint32")) for n in (left, right)]
    form = dict(args)
    args |= {"transpose": transpose, "parts": len(parts)}

    def call(x, *rest):
        return mx.gather_qmm(x, *rest[:-2], lhs_indices=rest[-2], rhs_indices=rest[-1], transpose=transpose, **form)

    return args, [x, *parts, *places], call


@op("qqmm")
def qqmm(r, name):
    """The reference has it on the processor for one row and packed weights only."""
    args, dtype, step = format_of(r, formats=FORMATS[-3:])
    columns = step * (1 + r.below(3))
    parts = packed(r, dtype, [8, columns], args)
    return args, [r.values(dtype, [1, columns]), *parts], lambda x, *parts: mx.qqmm(x, *parts, **args)


@op("to_fp8", "from_fp8")
def fp8(r, name):
    if name == "to_fp8":
        return {}, [r.values(r.dtype(NARROW), r.shape(), r.pick(["any", "positive"]))], mx.to_fp8
    args = {"dtype": r.pick(NARROW)}
    return args, [r.values("uint8", r.shape(), "edge")], lambda x: mx.from_fp8(x, mlx_dtype(args["dtype"]))


@op("einsum")
def einsum(r, name):
    """One to three operands whose labels have a size each; some repeat, some are summed, some broadcast."""
    sizes = {label: 1 + r.below(4) for label in "abcdef"}
    labels = list(sizes)[: 2 + r.below(5)]
    terms = [[r.pick(labels) for _ in range(1 + r.below(3))] for _ in range(1 + r.below(3))]
    if not r.chance(0.2):
        terms = [list(dict.fromkeys(term)) for term in terms]
    used = sorted({label for term in terms for label in term})
    kept = [label for label in used if r.chance(0.6)]
    order = [kept[int(i)] for i in r.rng.permutation(len(kept))]
    subscripts = ",".join("".join(term) for term in terms)
    if r.chance(0.85):
        subscripts += "->" + "".join(order)
    dtype = r.dtype(["float32", "float16", "float64"])
    inputs = [r.values(dtype, [sizes[label] for label in term]) for term in terms]
    return {"subscripts": subscripts}, inputs, lambda *x: mx.einsum(subscripts, *x)


@op("gather_mm")
def gather_mm(r, name):
    dtype = r.dtype(NARROW)
    left, right, count = 1 + r.below(3), 1 + r.below(3), 1 + r.below(5)
    m, n, k = (1 + r.below(5) for _ in range(3))
    places = [mx.array(r.rng.integers(0, bound, size=count).astype("uint32")) for bound in (left, right)]
    inputs = [r.values(dtype, [left, m, k]), r.values(dtype, [right, k, n]), *places]
    return {}, inputs, lambda a, b, i, j: mx.gather_mm(a, b, lhs_indices=i, rhs_indices=j)


@op("block_masked_mm")
def block_masked_mm(r, name):
    block = r.pick([32, 64])
    m, n, k = (1 + r.below(40) for _ in range(3))
    batch = r.pick([[], [], [2]])
    blocks = {"out": (m, n), "lhs": (m, k), "rhs": (k, n)}
    given = [name for name in blocks if r.chance(0.6)]
    kind = r.pick(["bool", "float32"])
    masks = [r.values(kind, [*batch, *(-(-size // block) for size in blocks[name])]) for name in given]
    args = {"block_size": block, "masks": given}

    def call(a, b, *masks):
        return mx.block_masked_mm(a, b, block, **{f"mask_{name}": mask for name, mask in zip(given, masks)})

    return args, [r.values("float32", [*batch, m, k]), r.values("float32", [*batch, k, n]), *masks], call


@op("segmented_mm")
def segmented_mm(r, name):
    dtype = r.dtype(NARROW)
    m, n, k = 1 + r.below(5), 1 + r.below(5), 4 + r.below(9)
    bounds = np.sort(r.rng.integers(0, k + 1, size=[1 + r.below(4), 2]), axis=1).astype("uint32")
    inputs = [r.values(dtype, [m, k]), r.values(dtype, [k, n]), mx.array(bounds)]
    return {}, inputs, lambda a, b, segments: mx.segmented_mm(a, b, segments)


@op("hadamard_transform")
def hadamard(r, name):
    size = r.pick([1, 2, 4, 8, 16, 32, 12, 24, 20, 40, 28, 56])
    args = {"scale": r.pick([None, 1.0, 0.25])}
    return args, [r.values(r.dtype(NARROW), [*r.full(0, 2), size])], lambda x: mx.hadamard_transform(x, **args)


@op("as_strided")
def as_strided(r, name):
    x = r.values(r.dtype(), [12 + r.below(9)])
    shape = [1 + r.below(3) for _ in range(1 + r.below(3))]
    strides = [r.below(3) for _ in shape]
    reach = sum((n - 1) * step for n, step in zip(shape, strides))
    args = {"shape": shape, "strides": strides, "offset": r.below(x.size - reach)}
    return args, [x], lambda x: mx.as_strided(x, **args)


@op("view")
def reinterpreted(r, name):
    source, target = r.dtype([*INTS, *FLOATS]), r.pick([*INTS, "float32", "float16"])
    args = {"dtype": target}
    return args, [r.values(source, [*r.full(0, 1), 8])], lambda x: x.view(mlx_dtype(target))


@op("contiguous", "stop_gradient", "matrix_transpose", "unstack", "atleast_1d", "atleast_2d", "atleast_3d")
def arranged(r, name):
    shape = r.full(2) if name == "matrix_transpose" else r.full(1 if name == "unstack" else 0)
    x = r.values(r.dtype(), shape)
    if name == "unstack":
        args = {"axis": r.axis(shape)}
        return args, [x], lambda x: mx.unstack(x, **args)
    return {}, [x], (lambda x: mx.swapaxes(x, -1, -2)) if name == "matrix_transpose" else resolve(name)


@op("broadcast_arrays", "meshgrid", "depends")
def together(r, name):
    if name == "meshgrid":
        args = {"sparse": r.chance(0.4), "indexing": r.pick(["xy", "ij"])}
        arrays = [r.values("float32", [1 + r.below(4)]) for _ in range(1 + r.below(3))]
        return args, arrays, lambda *x: mx.meshgrid(*x, **args)
    shape = r.full()
    other = [1 if r.chance(0.4) else n for n in shape][r.below(len(shape) + 1) :]
    arrays = [r.values(r.dtype(), shape), r.values(r.dtype(), other)]
    if name == "depends":
        return {}, arrays, lambda x, y: mx.depends(x, y)
    return {}, arrays, lambda *x: mx.broadcast_arrays(*x)


@op("unique")
def unique(r, name):
    x = r.values(r.dtype(["bool", *INTS, "float32"]), r.full(1, 2), "small")
    args = {"size": x.size + r.below(3), "fill_value": r.below(5)}
    keywords = {"return_index": True, "return_inverse": True, "return_counts": True}

    def call(x):
        values, index, inverse, counts = mx.unique(x, args["size"], fill_value=args["fill_value"], **keywords)
        # Past the last distinct element there is nothing to point at.
        return values, mx.where(counts > 0, index, 0), inverse, counts

    return args, [x], call


METHODS = ["add", "subtract", "multiply", "divide", "maximum", "minimum"]


@op(*(f"x.at[...].{method}" for method in METHODS), "x[...]", "scatter", "scatter_add_axis")
def updates(r, name):
    shape = r.full(2, 3)
    dtype = "float32" if "divide" in name else r.dtype(["float32", "int32", "int64", "float64"])
    x, count = r.values(dtype, shape, "small"), r.below(6)
    if name == "scatter_add_axis":
        axis = r.axis(shape)
        own = [n if i != axis % len(shape) else 1 + r.below(4) for i, n in enumerate(shape)]
        at, values = r.index(own, shape[axis], negative=False), r.values(dtype, own, "small")

        first = axis % len(shape)

        def added(x, at, values):
            chosen = mx.where(at_axis(at, shape, first), mx.expand_dims(values, first), 0)
            return x + mx.sum(chosen, axis=first + 1)

        return {"axis": axis}, [x, at, values], added
    i = r.index([count], shape[0])
    if name == "x[...]":
        return {}, [x, i], lambda x, i: x[i, ..., None]
    if name == "scatter":
        # Each row once, since the order of writing is not promised.
        count = r.below(shape[0] + 1)
        i = mx.array(r.rng.permutation(shape[0])[:count].astype("int32"))

        def written(x, i, u):
            x = mx.array(x)
            x[i] = u
            return x

        return {}, [x, i, r.values(dtype, [count, *shape[1:]], "small")], written
    domain = "positive" if "divide" in name else "small"
    update = r.values(dtype, [count, *shape[1:]], domain)
    method = name.rpartition(".")[2]
    return {"method": method}, [x, i, update], lambda x, i, u: getattr(x.at[i], method)(u)


def at_axis(at, shape, axis):
    """Whether each position along an axis is the one that an update, in a new axis after it, names."""
    line = [1] * (len(shape) + 1)
    line[axis] = shape[axis]
    return mx.expand_dims(at, axis) == mx.arange(shape[axis]).reshape(line)


SQUARE = "slogdet pinv tri_inv cholesky_inv lu lu_factor eigvalsh eig eigh eigvals qr svd solve_triangular".split()


@op(*(f"linalg.{name}" for name in SQUARE))
def decomposition(r, name):
    """Vectors have a sign that no one promises, so what is compared is made of them."""
    n = 1 + r.below(5)
    x = r.values("float32", [*r.full(0, 1), n, n])
    # Far from singular, and eigenvalues apart from each other.
    x = x + mx.diag(mx.arange(1, n + 1).astype(mx.float32) * 6)
    args = {}
    if name == "linalg.solve_triangular":
        args = {"upper": r.chance(0.5)}
        x = mx.triu(x) if args["upper"] else mx.tril(x)
        b = r.values("float32", [*x.shape[:-1], 2])
        return args, [x, b], lambda a, b: mx.linalg.solve_triangular(a, b, stream=mx.cpu, **args)
    if name in ("linalg.tri_inv", "linalg.cholesky_inv"):
        args = {"upper": r.chance(0.5)}
        x = mx.triu(x) if args["upper"] else mx.tril(x)
    if name in ("linalg.eigh", "linalg.eigvalsh"):
        args = {"UPLO": r.pick(["L", "U"])}
    if name in ("linalg.qr", "linalg.svd", "linalg.pinv") and r.chance(0.5):
        x = x[..., : 1 + r.below(n), :]

    def call(x):
        out = resolve(name)(x, stream=mx.cpu, **args)
        if name == "linalg.eigvals":
            return mx.sort(mx.real(out))
        if name == "linalg.eig":
            values, vectors = out
            left = x.astype(mx.complex64) @ vectors
            return mx.sort(mx.real(values)), mx.abs(left - vectors * values[..., None, :]) > 1e-2
        if name == "linalg.eigh":
            values, vectors = out
            return values, (vectors * values[..., None, :]) @ mx.swapaxes(vectors, -1, -2)
        if name == "linalg.qr":
            return mx.abs(out[0]), mx.abs(out[1])
        if name == "linalg.svd":
            u, s, vt = out
            k = s.shape[-1]
            return s, (u[..., :k] * s[..., None, :]) @ vt[..., :k, :]
        return out

    return args, [x], call


@op("linalg.norm", "linalg.cross")
def norm(r, name):
    if name == "linalg.cross":
        shape = [*r.full(0, 2), 3]
        return {"axis": -1}, [r.values("float32", shape), r.values("float32", shape)], mx.linalg.cross
    shape = r.full(1, 3)
    if len(shape) > 1 and r.chance(0.4):
        args = {"ord": r.pick(["fro", "nuc", 1, -1, 2, -2, float("inf")]), "axis": [-2, -1]}
    else:
        args = {"ord": r.pick([None, 0, 1, 2, 3, -1, float("inf"), -float("inf")]), "axis": r.axis(shape)}
    args["keepdims"] = r.chance(0.4)
    keywords = dict(args)
    args["ord"] = str(args["ord"])
    return args, [r.values("float32", shape)], lambda x: mx.linalg.norm(x, stream=mx.cpu, **keywords)


TRANSFORMS = [f"fft.{kind}{dims}" for kind in ("fft", "ifft", "rfft", "irfft") for dims in ("2", "n")]


@op(*TRANSFORMS, "fft.fftshift", "fft.ifftshift", "fft.fftfreq", "fft.rfftfreq")
def transforms(r, name):
    if name.endswith("freq"):
        args = {"n": 1 + r.below(12), "d": r.pick([1.0, 0.5])}
        return args, [], lambda: resolve(name)(**args)
    shape = [2 + r.below(5) for _ in range(2 + r.below(2))]
    if name.endswith("shift"):
        args = {"axis": r.axis(shape)}
        return args, [r.values(r.dtype(ALL), shape)], lambda x: resolve(name)(x, axes=args["axis"])
    args = {"s": r.pick([None, [2 + r.below(5), 2 + r.below(5)]]), "norm": r.pick(["backward", "ortho", "forward"])}
    x = r.values("float32" if ".r" in name else "complex64", shape)
    axes = [-2, -1] if name.endswith("2") or args["s"] else None
    return args, [x], lambda x: resolve(name)(x, s=args["s"], axes=axes, norm=args["norm"])


@op("fft.stft", "fft.istft")
def frames(r, name):
    size = r.pick([4, 6, 8])
    args = {"n_fft": size, "hop_length": r.pick([None, size // 2]), "center": r.chance(0.7)}
    args["hop_length"] = args["hop_length"] or max(size // 4, 1)
    x = r.values("float32", [*r.full(0, 1), 3 * size + r.below(9)])
    if name == "fft.stft":
        args["pad_mode"] = r.pick(["reflect", "constant"])
        return args, [x], lambda x: mx.fft.stft(x, **args)
    spectra = mx.fft.stft(x, **args)
    return args, [spectra], lambda x: mx.fft.istft(x, **args)


@op("cross_entropy")
def cross_entropy(r, name):
    shape = [*r.full(0, 2), 2 + r.below(9)]
    inputs = [r.values(r.dtype(NARROW), shape), r.index(shape[:-1], shape[-1], negative=False)]
    return {}, inputs, mx.fast.cross_entropy


@op("gated_delta_update")
def gated_delta_update(r, name):
    batch, steps, heads, group = 1 + r.below(2), 1 + r.below(5), 1 + r.below(2), 1 + r.below(2)
    keys, values = 1 + r.below(4), 1 + r.below(4)
    q, k = (r.values("float32", [batch, steps, heads, keys], "unit") for _ in range(2))
    v = r.values("float32", [batch, steps, heads * group, values])
    gates = [mx.abs(r.values("float32", [batch, steps, heads * group], "unit")) for _ in range(2)]
    return {}, [q, k, v, *gates], lambda *x: mx.fast.gated_delta_update(*x)


@op("random.laplace", "random.multivariate_normal")
def more_draws(r, name):
    args = {"seed": int(r.rng.integers(2**63)), "shape": r.full(0, 2)}
    key = mx.random.key(args["seed"])
    if name == "random.laplace":
        args |= {"loc": r.pick([0.0, 2.0]), "scale": r.pick([1.0, 0.5])}
        return args, [], lambda: mx.random.laplace(args["shape"], loc=args["loc"], scale=args["scale"], key=key)
    n = 1 + r.below(3)
    root = r.values("float32", [n, n])
    covariance = root @ root.T + mx.eye(n)

    def call(mean, covariance):
        return mx.random.multivariate_normal(mean, covariance, args["shape"], key=key, stream=mx.cpu)

    return args, [r.values("float32", [n]), covariance], call


