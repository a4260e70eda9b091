"""Records what transformers computes with tiny encoders of the BERT family.

    pip install torch transformers==5.24.0 numpy
    python gen_embed.py

writes ../golden/embed/NAME.json: a configuration, the names and shapes of the tensors, texts as
tokens, and the vectors of their tokens. Weights are made as in gen_models.py.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModel

GOLDEN = Path(__file__).parent.parent / "golden" / "embed"
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 60,
    "max_position_embeddings": 40,
    "hidden_act": "gelu",
}
CONFIGS = {
    "bert": SHAPE | {"model_type": "bert", "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0},
    "xlm-roberta": SHAPE
    | {"model_type": "xlm-roberta", "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
}
TEXTS = [[5, 9, 33, 12, 2], [7], [8, 41, 55, 3, 3, 21, 17, 50, 6, 9, 11]]


def noise(name, count):
    """The noise of gen_models.py with seed 0."""
    start = np.uint64(0xCBF29CE484222325)
    with np.errstate(over="ignore"):
        for byte in f"0:{name}".encode():
            start = (start ^ np.uint64(byte)) * np.uint64(0x100000001B3)
        x = start + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return ((x >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32)


GOLDEN.mkdir(parents=True, exist_ok=True)
for name, config in CONFIGS.items():
    kind = AutoConfig.for_model(**config)
    model = AutoModel.from_config(kind, add_pooling_layer=False).eval()
    tensors, state = {}, {}
    for key, old in model.state_dict().items():
        if not old.dtype.is_floating_point:
            continue
        shape = list(old.shape)
        norm = "LayerNorm.weight" in key
        offset, scale = (1.0 if norm else 0.0), (0.2 if len(shape) < 2 else round(1.5 * math.sqrt(3 / shape[-1]), 4))
        values = np.float32(offset) + np.float32(scale) * noise(key, math.prod(shape))
        state[key] = torch.from_numpy(values.reshape(shape).astype(np.float32))
        tensors[key] = [shape, offset, scale]
    model.load_state_dict(state, strict=False)
    with torch.no_grad():
        vectors = [model(torch.tensor([text])).last_hidden_state[0].numpy() for text in TEXTS]
    out = {
        "config": config,
        "tensors": tensors,
        "texts": TEXTS,
        "vectors": [[round(float(x), 6) for x in v.reshape(-1)] for v in vectors],
    }
    rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in out.items())
    (GOLDEN / f"{name}.json").write_text("{\n" + rows + "\n}\n", encoding="ascii")
