"""Owns what random cases are made of: values, shapes and choices that depend on a seed, and the generators by name."""

import math

import mlx.core as mx
import numpy as np

INTS = "uint8 uint16 uint32 uint64 int8 int16 int32 int64".split()
FLOATS = "float16 bfloat16 float32 float64".split()
REAL = [*INTS, *FLOATS]
ALL = ["bool", *REAL, "complex64"]
mx.set_default_device(mx.cpu)


def mlx_dtype(name):
    return mx.bool_ if name == "bool" else getattr(mx, name)


def dtype_name(array):
    return str(array.dtype).removeprefix("mlx.core.").removesuffix("_")


class Random:
    """Random values, shapes and choices of one case."""

    def __init__(self, seed, number):
        self.rng = np.random.default_rng([seed, number])

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def below(self, n):
        return int(self.rng.integers(n))

    def chance(self, p):
        return bool(self.rng.random() < p)

    def dtype(self, dtypes=ALL):
        return "float32" if "float32" in dtypes and self.chance(0.35) else self.pick(list(dtypes))

    def shape(self, low=0, high=4, sizes=(1, 2, 3, 4, 5, 7)):
        rank = low + self.below(high - low + 1)
        shape = [self.pick(sizes) for _ in range(rank)]
        if rank and self.chance(0.04):
            shape[self.below(rank)] = 0
        return shape

    def full(self, low=1, high=4):
        """A shape without empty axes."""
        return [max(n, 1) for n in self.shape(low, high)]

    def axis(self, shape):
        return self.below(2 * len(shape)) - len(shape)

    def axes(self, shape):
        """None, one axis, or several."""
        if not shape or self.chance(0.25):
            return None
        if self.chance(0.6):
            return self.axis(shape)
        count = 1 + self.below(len(shape))
        axes = self.rng.permutation(len(shape))[:count]
        return [int(a) - (len(shape) if self.chance(0.3) else 0) for a in axes]

    def values(self, dtype, shape, domain="any"):
        """An array of the reference package. Domains: any, edge, special, positive, unit, small, and a bound for indices."""
        size = math.prod(shape)
        rng = self.rng
        if dtype == "bool":
            flat = rng.random(size) < 0.5
        elif dtype in INTS:
            info = np.iinfo(dtype)
            low = 1 if domain == "positive" else (0 if info.min == 0 else -9)
            flat = rng.integers(low, 5 if domain == "small" else 10, size=size).astype(dtype)
            if domain == "edge":
                edges = np.array([info.min, info.max, 0, 1, info.max // 2, info.min // 2 + 1], dtype=dtype)
                flat = np.where(rng.random(size) < 0.3, rng.choice(edges, size), flat)
        elif dtype == "complex64":
            flat = rng.normal(size=size) + 1j * rng.normal(size=size)
        else:
            flat = rng.normal(size=size) * (4 if self.chance(0.3) else 1)
            if domain == "positive":
                flat = np.abs(flat) + 0.1
            if domain == "unit":
                flat = np.tanh(flat) * 0.99
            if domain == "small":
                flat = np.round(flat)
            if domain in ("edge", "special"):
                specials = [np.nan, np.inf, -np.inf, -0.0, 0.0]
                if domain == "edge":
                    tiny = {"float16": 6e-8, "bfloat16": 1e-40, "float32": 1e-45, "float64": 5e-324}[dtype]
                    huge = {"float16": 65504.0, "bfloat16": 3.38e38, "float32": 3.4028235e38, "float64": 1.7e308}[dtype]
                    specials += [tiny, -tiny, huge, -huge, 1.0, -1.0, 0.5, 2.5, -1.5]
                flat = np.where(rng.random(size) < 0.3, rng.choice(specials, size), flat)
        kind = {"bfloat16": "float32"}.get(dtype, dtype)
        array = mx.array(np.asarray(flat).astype(kind).reshape(shape))
        if dtype in ("bfloat16", "float64"):
            # NumPy's doubles would become singles.
            array = mx.array(flat.reshape(shape).tolist(), mlx_dtype(dtype)).reshape(shape)
        return array

    def index(self, shape, bound, negative=True):
        low = -bound if negative else 0
        return mx.array(self.rng.integers(low, bound, size=shape).astype(self.pick(["int32", "int64"])))


GENERATORS = {}


def op(*names):
    """Registers a function from a Random and a name to `(args, inputs, call)`."""

    def register(function):
        for name in names:
            GENERATORS[name] = function
        return function

    return register


def resolve(name):
    """The reference's function of a possibly dotted name."""
    found = mx
    for part in name.split("."):
        found = getattr(found, part)
    return found
