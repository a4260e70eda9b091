"""Owns what one process does with the tiny models; it writes a JSON file that ``run.py`` compares.

usage: tasks.py TASK FOLDER RESULT [NAME …]
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tiny
from tensors import tensor_hashes

PROMPT = [(7 * i * i + 3 * i) % 250 + 3 for i in range(24)]
AFFINE_BITS = (2, 3, 4, 5, 6, 8)
MODES: dict[str, dict[str, Any]] = {
    **{f"affine{bits}": {"q_bits": bits} for bits in AFFINE_BITS},
    **{mode: {"q_mode": mode} for mode in ("mxfp4", "mxfp8", "nvfp4")},
}


def each(names: Iterable[str], work: Callable[[str], Any]) -> dict[str, Any]:
    """Does something for each name, and keeps the message of what fails."""
    results: dict[str, Any] = {}
    for name in names:
        try:
            results[name] = work(name)
        except Exception as error:  # noqa: BLE001 - the table shows whatever went wrong
            results[name] = {"error": f"{type(error).__name__}: {error}"}
    return results


def make(folder: Path, names: list[str]) -> Any:
    """Makes all models."""
    for name in names:
        tiny.make_model(name, folder / name)
    tiny.make_text(folder / "text")
    return {}


def make_whisper(folder: Path, names: list[str]) -> Any:
    """Makes the speech model."""
    tiny.make_whisper(folder / "whisper")
    return {}


def logits(folder: Path, names: list[str]) -> Any:
    """Returns each model's logits for a prompt, and 64 tokens that it continues it with."""
    import mlx.core as mx
    from mlx_lm import load
    from mlx_lm.generate import generate_step

    def work(name: str) -> Any:
        model = load(str(folder / name))[0]
        output = model(mx.array([PROMPT])).astype(mx.float32)
        tokens: list[int] = []
        gaps: list[float] = []
        for token, scores in generate_step(mx.array(PROMPT), model, max_tokens=64):
            best: Any = mx.sort(scores.astype(mx.float32))[-2:].tolist()
            tokens.append(int(token))
            gaps.append(best[1] - best[0])
        return {"logits": np.array(output)[0].tolist(), "tokens": tokens, "gap": min(gaps)}

    return each(names, work)


def quantize(folder: Path, names: list[str]) -> Any:
    """Returns hashes of what ``mlx_lm.convert`` writes, for each model and mode."""
    from mlx_lm.convert import convert

    def work(job: str) -> Any:
        name, mode, dtype = job.split()
        with TemporaryDirectory() as target:
            out = Path(target) / "out"
            convert(str(folder / name), str(out), quantize=True, dtype=dtype, **MODES[mode])
            files = sorted(out.glob("*.safetensors"))
            return {key: value for file in files for key, value in tensor_hashes(file).items()}

    jobs = [f"{name} {mode} float32" for name in names for mode in MODES]
    jobs += [f"llama {mode} {d}" for mode in MODES for d in ("float16", "bfloat16")]
    return each(jobs if "llama" in names else jobs[: len(names) * len(MODES)], work)


def lora(folder: Path, names: list[str]) -> Any:
    """Returns the losses that ``mlx_lm.lora`` reports."""
    program: Any = importlib.import_module("mlx_lm.lora")

    class Recorder:
        def __init__(self) -> None:
            self.losses: list[float] = []

        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            self.losses.append(train_info["train_loss"])

        def on_val_loss_report(self, val_info: dict[str, Any]) -> None:
            self.losses.append(val_info["val_loss"])

    def work(name: str) -> Any:
        recorder = Recorder()
        program.get_reporting_callbacks = lambda *args, **kwargs: recorder
        with TemporaryDirectory() as adapters:
            changes = {
                "model": str(folder / name),
                "data": str(folder / "text"),
                "train": True,
                "iters": 20,
                "batch_size": 4,
                "num_layers": 2,
                "learning_rate": 1e-3,
                "steps_per_report": 1,
                "steps_per_eval": 10,
                "val_batches": 2,
                "max_seq_length": 128,
                "adapter_path": adapters,
                "trust_remote_code": False,
            }
            program.run(types.SimpleNamespace(**{**program.CONFIG_DEFAULTS, **changes}))
        return recorder.losses

    return each(names, work)


def whisper(folder: Path, names: list[str]) -> Any:
    """Returns what the speech model makes of a sound."""
    import mlx_whisper

    def work(name: str) -> Any:
        result = mlx_whisper.transcribe(
            tiny.sound(),
            path_or_hf_repo=str(folder / "whisper"),
            temperature=0.0,
            language=None if name == "detected language" else "en",
            word_timestamps=name == "word timestamps",
            fp16=False,
            logprob_threshold=None,
            no_speech_threshold=None,
            condition_on_previous_text=False,
        )
        words = [w for segment in result["segments"] for w in segment.get("words", [])]
        return {
            "tokens": [token for segment in result["segments"] for token in segment["tokens"]],
            "language": result["language"],
            "words": [[w["word"], round(float(w["start"]), 2)] for w in words],
        }

    return each(["english", "detected language", "word timestamps"], work)


TASKS = [make, make_whisper, logits, quantize, lora, whisper]


def main(task: str, folder: str, result: str, *names: str) -> None:
    """Does one task and writes its result."""
    chosen = {function.__name__: function for function in TASKS}[task]
    with contextlib.redirect_stdout(sys.stderr):
        value = chosen(Path(folder), list(names))
    Path(result).write_text(json.dumps(value))


if __name__ == "__main__":
    main(*sys.argv[1:])
