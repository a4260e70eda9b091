"""Writes golden/llama*/: tiny random Llamas saved by mlx-lm, with the logits and greedy tokens they must give.

Run: `pip install -r crates/conformance/scripts/requirements.txt`, then
`python crates/conformance/scripts/gen_llama.py`.

- `llama/`: two layers, grouped-query attention, float32, its own output head.
- `llama_scaled/`: bfloat16, tied embeddings, attention and MLP biases, llama3 rope scaling.
- `llama_sharded/`: the weights of `llama_scaled/` in two shards with an index; same expectations.

`expected.json` holds the prompt, the greedy tokens that follow it through the KV cache and the smallest
gap between the best and second-best logit on the way; for bfloat16 also how far rounding moved the prompt's
logits, a fair tolerance for another implementation. `expected.safetensors` holds, in float32: `prompt_logits`
(every position, no cache), `step_logits` (the logits that chose the tokens listed in `steps`) and for bfloat16
also `prompt_logits_float32`, from the same weights widened to float32.
"""

import json
import math
import shutil

import mlx.core as mx
import mlx_lm.utils
import numpy as np
from common import GOLDEN
from mlx.utils import tree_flatten, tree_map, tree_unflatten
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.models.llama import Model, ModelArgs

PROMPT_LENGTH, GREEDY, STEPS = 24, 64, [0, 1, 31, 63]
BASE = {
    "architectures": ["LlamaForCausalLM"],
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 128,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "attention_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "vocab_size": 256,
}
# The original context is so short that the eight frequencies fall into all three bands of the scaling rule.
SCALED = BASE | {
    "attention_bias": True,
    "mlp_bias": True,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}


def build(config, seed, dtype):
    """A model with seeded weights whose logits spread over several units."""
    model = Model(ModelArgs.from_dict(config))
    rng = np.random.default_rng(seed)
    weights = []
    for name, old in sorted(tree_flatten(model.parameters())):
        values = rng.normal(size=old.shape)
        if "norm" in name:
            values = 1 + 0.2 * values
        elif name.endswith("bias"):
            values = 0.3 * values
        elif "embed" in name:
            values = 0.3 * values
        else:
            gain = 3.0 if "lm_head" in name else 1.5
            values = gain * values / math.sqrt(old.shape[-1])
        weights.append((name, mx.array(values.astype(np.float32)).astype(dtype)))
    model.update(tree_unflatten(weights))
    mx.eval(model.parameters())
    return model


def generate(model, prompt):
    """Greedy tokens through the KV cache, the logits that chose them, and the smallest winning margin."""
    cache = make_prompt_cache(model)
    tokens, chosen_by, margin = [], [], float("inf")
    logits = model(mx.array([prompt]), cache=cache)[:, -1]
    for _ in range(GREEDY):
        row = np.array(logits.astype(mx.float32))[0]
        second, best = np.sort(row)[-2:]
        margin = min(margin, float(best - second))
        tokens.append(int(row.argmax()))
        chosen_by.append(row)
        logits = model(mx.array([[tokens[-1]]]), cache=cache)[:, -1]
    return tokens, np.stack(chosen_by), margin


def search(config, dtype, wanted_margin):
    """The first seed with clear winners at every step and a varied text."""
    for seed in range(1000):
        model = build(config, seed, dtype)
        prompt = np.random.default_rng(seed).integers(3, config["vocab_size"], PROMPT_LENGTH).tolist()
        tokens, chosen_by, margin = generate(model, prompt)
        if margin >= wanted_margin and len(set(tokens)) >= 24:
            return model, prompt, tokens, chosen_by, margin
    raise SystemExit("no seed gives a clear enough text")


def save(folder, config, model, shards):
    """The model as mlx-lm writes it, split into `shards` files of about equal size."""

    def make_shards(weights):
        total, size, groups = sum(v.nbytes for v in weights.values()), 0, [{} for _ in range(shards)]
        for name, value in weights.items():
            groups[min(shards - 1, size * shards // total)][name] = value
            size += value.nbytes
        return groups

    shutil.rmtree(folder, ignore_errors=True)
    original, mlx_lm.utils.make_shards = mlx_lm.utils.make_shards, make_shards
    mlx_lm.utils.save_model(folder, model)
    mlx_lm.utils.make_shards = original
    if shards == 1:
        (folder / "model.safetensors.index.json").unlink()
    mlx_lm.utils.save_config(dict(config), folder / "config.json")


def write(name, config, dtype, wanted_margin, shards_also=None):
    """One model folder with its expectations."""
    model, prompt, tokens, chosen_by, margin = search(config, dtype, wanted_margin)
    expected = {
        "prompt_logits": model(mx.array([prompt]))[0].astype(mx.float32),
        "step_logits": mx.array(chosen_by[STEPS]),
    }
    noise = None
    if dtype != mx.float32:
        wide = Model(ModelArgs.from_dict(config))
        wide.update(tree_map(lambda x: x.astype(mx.float32), model.parameters()))
        expected["prompt_logits_float32"] = wide(mx.array([prompt]))[0]
        noise = mx.abs(expected["prompt_logits"] - expected["prompt_logits_float32"]).max().item()
    spread = mx.std(expected["prompt_logits"]).item()
    print(f"{name}: margin {margin:.4f}, logits' deviation {spread:.2f}, bfloat16 noise {noise}, {len(set(tokens))} different tokens")
    facts = {"prompt": prompt, "greedy": tokens, "steps": STEPS, "smallest_margin": round(margin, 6)}
    if noise:
        facts["largest_bfloat16_error"] = round(noise, 6)
    for folder, shards in [(name, 1)] + ([(shards_also, 2)] if shards_also else []):
        save(GOLDEN / folder, config, model, shards)
        if shards == 1:
            mx.save_safetensors(str(GOLDEN / folder / "expected.safetensors"), expected)
            (GOLDEN / folder / "expected.json").write_text(json.dumps(facts) + "\n", encoding="ascii")


write("llama", BASE, mx.float32, 0.01)
write("llama_scaled", SCALED, mx.bfloat16, 0.1, "llama_sharded")
