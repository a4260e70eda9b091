"""Writes golden/quantized.json: numbers packed in few bits by the reference, byte for byte, and products with them.

Run: `pip install -r crates/conformance/scripts/requirements.txt`, then
`python crates/conformance/scripts/gen_quantized.py`.

Arrays are `[dtype, shape, data]` in the encoding that common.py describes.
"""

import mlx.core as mx
import numpy as np
from common import dtype_name, encode, from_numpy, write_lines

mx.set_default_device(mx.cpu)
rng = np.random.default_rng(32)

AFFINE = [("affine", group, bits) for group, bits in [(32, 1), (32, 2), (64, 3), (32, 4), (64, 4), (128, 5), (32, 6), (64, 8)]]
FORMATS = AFFINE + [("mxfp4", 32, 4), ("mxfp8", 32, 8), ("nvfp4", 16, 4)]
NARROW = ["float32", "float16", "bfloat16"]


def tensor(array):
    """An array in the file's encoding."""
    return [dtype_name(array), list(array.shape), encode(array)]


def normal(*shape, dtype="float32", spread=0.0):
    """Standard normal values, rows scaled by different factors."""
    values = rng.normal(size=shape) * np.exp(spread * rng.normal(size=(*shape[:-1], 1)))
    return from_numpy(values, dtype)


packed, products, chosen, rounded = [], [], [], []
for mode, group, bits in FORMATS:
    header = {"mode": mode, "group_size": group, "bits": bits}
    args = dict(group_size=group, bits=bits, mode=mode)
    for dtype in NARROW:
        x = normal(1, 128, dtype=dtype, spread=1.5)
        parts = mx.quantize(x, **args)
        case = header | {"x": tensor(x), "parts": [tensor(p) for p in parts]}
        if dtype == "float32":
            case["numbers"] = tensor(mx.dequantize(*parts, **args, dtype=mx.float32))
        packed.append(case)
    edges = np.zeros((3, 128), np.float32)
    edges[1] = 2.5
    edges[2] = np.arange(128) - 17
    x = mx.array(edges)
    parts = mx.quantize(x, **args)
    numbers = mx.dequantize(*parts, **args, dtype=mx.float32)
    packed.append(header | {"x": tensor(x), "parts": [tensor(p) for p in parts], "numbers": tensor(numbers)})
    if mode == "nvfp4":
        for dtype in NARROW:
            x = normal(1, 64, dtype=dtype)
            scale = mx.array(3.7)
            parts = mx.quantize(x, **args, global_scale=scale)
            numbers = mx.dequantize(*parts, **args, global_scale=scale, dtype=mx.float32)
            case = {"x": tensor(x), "parts": [tensor(p) for p in parts], "numbers": tensor(numbers), "global": 3.7}
            packed.append(header | case)
    for transpose in (True, False):
        x = normal(2, 128) if transpose else normal(2, 2)
        parts = mx.quantize(normal(2, 128), **args)
        out = mx.quantized_matmul(x, *parts, transpose=transpose, **args)
        case = {"transpose": transpose, "x": tensor(x), "parts": [tensor(p) for p in parts], "out": tensor(out)}
        products.append(header | case)
    if mode != "affine":
        x = normal(1, 128)
        parts = mx.quantize(normal(2, 128), **args)
        out = mx.qqmm(x, *parts, **args)
        rounded.append(header | {"x": tensor(x), "parts": [tensor(p) for p in parts], "out": tensor(out)})

args = dict(group_size=32, bits=4, mode="affine")
parts = mx.quantize(normal(2, 4, 64), **args)
x = normal(3, 2, 64)
left, right = mx.array([[2, 0], [1, 1]]), mx.array([0, 1])
out = mx.gather_qmm(x, *parts, lhs_indices=left, rhs_indices=right, **args)
case = {"x": tensor(x), "parts": [tensor(p) for p in parts], "places": [tensor(left), tensor(right)], "out": tensor(out)}
chosen.append({"mode": "affine", "group_size": 32, "bits": 4} | case)

floats = np.concatenate([rng.normal(size=200) * np.exp(rng.normal(size=200) * 4), [0.0, -0.0, np.inf, -np.inf]])
ties = np.array([464.0, 480.0, 1e9, 0.0009765625, 0.0029296875, 1.0625, 1.1875, 17.0, 19.0])
fp8 = []
for dtype in NARROW:
    x = from_numpy(np.concatenate([floats, ties, -ties]), dtype)
    fp8.append({"x": tensor(x), "bytes": tensor(mx.to_fp8(x))})
every = mx.array(np.arange(256, dtype=np.uint8))
numbers = [{"x": tensor(every), "out": tensor(mx.from_fp8(every, getattr(mx, dtype)))} for dtype in NARROW]

write_lines(
    "quantized.json",
    {"version": mx.__version__},
    {"packed": packed, "products": products, "chosen": chosen, "rounded": rounded, "to_fp8": fp8, "from_fp8": numbers},
)
