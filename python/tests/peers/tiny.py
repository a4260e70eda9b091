"""Owns tiny models with random weights: their configurations, weights, tokenizer and data.

It imports ``mlx`` and what was written for it, so it runs where these are: either on the
reference package, or under ``python -m olivine.compat.mlx``.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np

VOCABULARY = 288
BASE: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
EXPERTS = {"num_experts_per_tok": 2}

# What a model has besides BASE; None takes a key away.
MODELS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 32},
    "qwen3_moe": {
        **EXPERTS,
        "head_dim": 32,
        "num_experts": 4,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [0],
        "moe_intermediate_size": 64,
        "norm_topk_prob": True,
    },
    "gemma3": {
        "text_config": {
            **{key: BASE[key] for key in BASE if key not in {"torch_dtype", "tie_word_embeddings"}},
            "model_type": "gemma3_text",
            "num_hidden_layers": 4,
            "head_dim": 32,
            "query_pre_attn_scalar": 32,
            "sliding_window": 16,
            "sliding_window_pattern": 2,
        }
    },
    "mixtral": {**EXPERTS, "num_local_experts": 4},
    "phi3": {},
    "deepseek_v3": {
        **EXPERTS,
        "num_key_value_heads": 4,
        "moe_intermediate_size": 64,
        "n_shared_experts": 1,
        "n_routed_experts": 8,
        "n_group": 2,
        "topk_group": 1,
        "kv_lora_rank": 64,
        "q_lora_rank": 64,
        "qk_rope_head_dim": 32,
        "qk_nope_head_dim": 32,
        "v_head_dim": 32,
        "first_k_dense_replace": 1,
        "routed_scaling_factor": 1.5,
    },
    "gpt_oss": {
        **EXPERTS,
        "num_local_experts": 4,
        "head_dim": 32,
        "sliding_window": 16,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "mamba2": {
        "num_heads": 4,
        "head_dim": 32,
        "state_size": 32,
        "layer_norm_epsilon": 1e-5,
        "conv_kernel": 4,
        "n_groups": 1,
        "use_bias": False,
        "use_conv_bias": True,
        "time_step_limit": [0.001, 100.0],
        "time_step_rank": "auto",
    },
}

WHISPER = {
    "n_mels": 80,
    "n_audio_ctx": 1500,
    "n_audio_state": 64,
    "n_audio_head": 2,
    "n_audio_layer": 2,
    "n_vocab": 51865,
    "n_text_ctx": 448,
    "n_text_state": 64,
    "n_text_head": 2,
    "n_text_layer": 2,
}

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def config_of(name: str) -> dict[str, Any]:
    """Returns the contents of a model's ``config.json``."""
    return {"model_type": name, **BASE, **MODELS[name]}


def random_weights(model: Any, seed: int, embedding: float = 0.5) -> None:
    """Gives a module weights that keep activations near one and choices between tokens clear."""
    import mlx.core as mx
    from mlx.utils import tree_flatten, tree_unflatten

    generator = np.random.default_rng(seed)

    def weight(name: str, old: Any) -> Any:
        if not mx.issubdtype(old.dtype, mx.floating):
            return old
        noise = generator.normal(size=old.shape)
        if old.ndim < 2:
            values = np.array(old.astype(mx.float32)) + 0.1 * noise
        elif "embed" in name:
            values = embedding * noise
        else:
            values = 1.5 * noise / np.sqrt(old.shape[-1])
        return mx.array(values.astype(np.float32))

    named: list[tuple[str, Any]] = sorted(dict(tree_flatten(model.parameters())).items())
    model.update(tree_unflatten([(name, weight(name, old)) for name, old in named]))
    mx.eval(model.parameters())


def make_model(name: str, folder: Path) -> None:
    """Writes a model of a type, with its configuration and a tokenizer, to a new folder."""
    import mlx.core as mx
    from mlx_lm.utils import save_config, save_model

    config = config_of(name)
    module = importlib.import_module(f"mlx_lm.models.{name}")
    mx.random.seed(0)
    # The constructors of some models change the configuration they are given.
    model = module.Model(module.ModelArgs.from_dict(json.loads(json.dumps(config))))
    random_weights(model, seed=sorted(MODELS).index(name))
    save_model(folder, model)
    save_config(config, folder / "config.json")
    make_tokenizer(folder)


def make_tokenizer(folder: Path) -> None:
    """Writes a tokenizer whose tokens are bytes and three marks."""
    import tokenizers

    transformers: Any = importlib.import_module("transformers")
    marks = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*marks.values(), *alphabet])}
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **marks)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)


def make_whisper(folder: Path) -> None:
    """Writes a speech model to a new folder."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_whisper.whisper import ModelDimensions, Whisper

    mx.random.seed(0)
    model = Whisper(ModelDimensions(**WHISPER), mx.float32)
    # Tied to the output, larger embeddings would repeat the last token for ever.
    random_weights(model, seed=100, embedding=0.05)
    folder.mkdir(parents=True)
    mx.save_safetensors(str(folder / "weights.safetensors"), dict(tree_flatten(model.parameters())))
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper", **WHISPER}))


def make_text(folder: Path) -> None:
    """Writes lines to train and validate on."""
    folder.mkdir(parents=True)
    words = ["red", "green", "blue", "stone", "river", "cloud", "seven", "walks"]
    generator = np.random.default_rng(7)
    for part, count in {"train": 40, "valid": 8, "test": 8}.items():
        lines = (
            json.dumps({"text": " ".join(generator.choice(words, size=int(length)))})
            for length in generator.integers(4, 12, size=count)
        )
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")


def sound() -> Any:
    """Returns three seconds of rising tones, sampled 16,000 times a second."""
    time = np.arange(48_000) / 16_000
    tones = np.sum([np.sin(2 * np.pi * (200 * k + 90 * time) * time) / k for k in (1, 2, 3)], 0)
    return (0.2 * tones).astype(np.float32)
