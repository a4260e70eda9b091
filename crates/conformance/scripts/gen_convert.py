"""Records what mlx-lm's conversion makes of a tiny model.

    pip install "mlx[cpu]==0.32.4" mlx-lm==0.32.2
    python gen_convert.py

writes ../golden/convert.json: for each way to pack the model in ../golden/llama, a hash (FNV-1a)
of the bytes of every tensor, and what config.json says of the packing.
"""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_map
from mlx_lm.convert import mixed_quant_predicate_builder
from mlx_lm.utils import load_model, quantize_model

GOLDEN = Path(__file__).parent.parent / "golden"


def fnv(array):
    if array.dtype == mx.bfloat16:
        array = array.view(mx.uint16)
    value = 0xCBF29CE484222325
    for byte in np.array(array).tobytes():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def convert(dtype, mode, group_size=None, bits=None, recipe=None):
    model, config = load_model(GOLDEN / "llama", lazy=True)
    model.update(tree_map(lambda x: x.astype(dtype), model.parameters()))
    predicate = mixed_quant_predicate_builder(recipe, model, group_size) if recipe else None
    model, config = quantize_model(model, config, group_size, bits, mode=mode, quant_predicate=predicate)
    tensors = {name: fnv(value) for name, value in tree_flatten(model.parameters())}
    return {"tensors": tensors, "quantization": config["quantization"]}


ways = {}
for bits in (2, 3, 4, 5, 6, 8):
    ways[f"affine {bits} 64 bfloat16"] = convert(mx.bfloat16, "affine", 64, bits)
ways["affine 4 32 float32"] = convert(mx.float32, "affine", 32, 4)
for mode in ("mxfp4", "mxfp8", "nvfp4"):
    ways[f"{mode} 0 0 bfloat16"] = convert(mx.bfloat16, mode)
for recipe in ("mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"):
    ways[f"{recipe} 0 64 bfloat16"] = convert(mx.bfloat16, "affine", 64, recipe=recipe)
text = ",\n".join(f"{json.dumps(name)}: {json.dumps(way, separators=(',', ':'))}" for name, way in ways.items())
(GOLDEN / "convert.json").write_text("{\n" + text + "\n}\n", encoding="ascii")
