"""Writes golden/random.json: random numbers of the reference, bit for bit.

Run: `pip install -r crates/conformance/scripts/requirements.txt`, then
`python crates/conformance/scripts/gen_random.py`.

Each case has `op`, the `key` it draws from, `shape`, the arguments, the result's `dtype` and `out` in
the encoding that common.py describes. Float arguments are `*_bits`: float32 bit patterns.
"""

import mlx.core as mx
import numpy as np
from common import dtype_name, encode, mlx_dtype, write_lines

SEEDS = [0, 1, 42, 2**32 + 5, 2**64 - 1]
SHAPES = [[], [1], [2], [5], [2, 3], [17], [0]]


def bits(value):
    """The bit pattern of a number rounded to float32."""
    return int(np.float32(value).view(np.uint32))


def case(op, key, out, **arguments):
    """One golden case."""
    return {"op": op, "key": encode(key), **arguments, "shape": list(out.shape), "dtype": dtype_name(out), "out": encode(out)}


cases = []
for seed in SEEDS:
    key = mx.random.key(seed)
    cases.append({"op": "key", "seed": seed, "shape": [2], "dtype": "uint32", "out": encode(key)})
    for num in (2, 3, 5):
        cases.append(case("split", key, mx.random.split(key, num), num=num))

for seed, shape in [(seed, shape) for seed in SEEDS[:3] for shape in SHAPES]:
    key = mx.random.key(seed)
    for dtype in ("float32", "float16", "bfloat16"):
        out = mx.random.uniform(shape=shape, dtype=mlx_dtype(dtype), key=key)
        cases.append(case("uniform", key, out, low_bits=bits(0), high_bits=bits(1)))
        out = mx.random.normal(shape, dtype=mlx_dtype(dtype), key=key)
        cases.append(case("normal", key, out))
    cases.append(case("gumbel", key, mx.random.gumbel(shape, key=key)))

for seed in SEEDS:
    key = mx.random.key(seed)
    for dtype in ("float32", "float16", "bfloat16"):
        out = mx.random.uniform(-2.5, 10.0, (9,), mlx_dtype(dtype), key)
        cases.append(case("uniform", key, out, low_bits=bits(-2.5), high_bits=bits(10.0)))
        out = mx.random.normal((9,), mlx_dtype(dtype), 1.5, 0.25, key)
        cases.append(case("normal", key, out, loc_bits=bits(1.5), scale_bits=bits(0.25)))
    cases.append(case("normal", key, mx.random.normal((3,), mx.complex64, key=key)))
    for p in (0.0, 0.1, 0.5, 1.0):
        cases.append(case("bernoulli", key, mx.random.bernoulli(p, (16,), key), p_bits=bits(p)))
    for low, high, dtype in [(-5, 10, "int32"), (0, 256, "uint8"), (0, 2**40, "int64"), (3, 3, "int32"), (0, 100, "uint32"), (-100, 100, "int8")]:
        out = mx.random.randint(low, high, (9,), mlx_dtype(dtype), key)
        cases.append(case("randint", key, out, low=low, high=high))
    cases.append(case("permutation", key, mx.random.permutation(10, key=key), length=10))

# Values around the far ends of the normal distribution, where the tail polynomial is used.
key = mx.random.key(7)
normal = mx.random.normal((100_000,), key=key)
tail = np.argsort(-np.abs(np.array(normal)), kind="stable")[:24]
cases.append({
    "op": "normal_at", "key": encode(key), "length": 100_000, "positions": tail.tolist(),
    "shape": [24], "dtype": "float32", "out": encode(normal[mx.array(tail)]),
})

logits = mx.array(np.random.default_rng(3).normal(size=(3, 7)).astype(np.float32) * 2)
one = mx.array([-1.0, 0.5, float("-inf"), 2.0, 0.0])
for seed in SEEDS:
    key = mx.random.key(seed)
    common = {"logits_shape": [3, 7], "logits_bits": encode(logits)}
    cases.append(case("categorical", key, mx.random.categorical(logits, key=key), **common, axis=-1))
    cases.append(case("categorical", key, mx.random.categorical(logits, axis=0, key=key), **common, axis=0))
    cases.append(case("categorical", key, mx.random.categorical(logits, num_samples=4, key=key), **common, axis=-1, num_samples=4))
    cases.append(case("categorical", key, mx.random.categorical(logits, shape=(2, 3), key=key), **common, axis=-1, to_shape=[2, 3]))
    common = {"logits_shape": [5], "logits_bits": encode(one)}
    cases.append(case("categorical", key, mx.random.categorical(one, key=key), **common, axis=-1))
    cases.append(case("categorical", key, mx.random.categorical(one, num_samples=6, key=key), **common, axis=-1, num_samples=6))
    common = {"logits_shape": [1, 5], "logits_bits": encode(one)}
    cases.append(case("categorical", key, mx.random.categorical(one[None], key=key), **common, axis=-1))

# Drawing without a key: the state that `seed` sets is split once per draw.
for seed in (0, 3):
    mx.random.seed(seed)
    draws = [mx.random.uniform(shape=(3,)), mx.random.uniform(shape=(3,)), mx.random.normal((3,))]
    cases.append({"op": "default_state", "seed": seed, "draws": ["uniform", "uniform", "normal"], "shape": [3, 3], "dtype": "float32", "out": sum((encode(d) for d in draws), [])})

write_lines("random.json", {"reference": f"mlx {mx.__version__}"}, {"cases": cases})
