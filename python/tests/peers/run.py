"""Owns the comparison of programs written for MLX: on the reference package and on olivine.

usage: python python/tests/peers/run.py --reference PYTHON --olivine PYTHON

Both Pythons need mlx-lm (mlx-whisper too, for the speech model); the first needs mlx, the second
olivine. Every program is the unmodified one. With the reference it is run plainly, with olivine
through ``python -m olivine.compat.mlx``. The table has one line for each thing compared, and the
exit status tells whether all of them agree.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tensors import tensor_hashes

HERE = Path(__file__).parent
MODELS = [
    "llama",
    "qwen2",
    "qwen3",
    "qwen3_moe",
    "gemma3",
    "mixtral",
    "phi3",
    "deepseek_v3",
    "gpt_oss",
    "mamba2",
]
TRAINED = ["llama", "qwen3_moe"]
LOGIT_TOLERANCE = 1e-4
LOSS_TOLERANCE = 1e-3
PROMPT = "seven stones by the river"
TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    check: str
    agrees: bool
    detail: str = ""


@dataclass
class Side:
    """One of the two ways to run a program."""

    name: str
    command: list[str]
    seconds: dict[str, float] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Returns the environment of programs, which must not ask the network for anything."""
        return {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

    def run(self, label: str, *arguments: str, timeout: float = 900) -> str:
        """Runs a program and returns what it prints."""
        begin = time.monotonic()
        result = subprocess.run(
            [*self.command, *arguments],
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=timeout,
            check=False,
        )
        self.seconds[label] = time.monotonic() - begin
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or ["no message"]
            raise RuntimeError(f"{self.name}: exit status {result.returncode}: {lines[-1]}")
        return TERMINAL.sub("", result.stdout)

    def task(self, task: str, folder: Path, *names: str) -> Any:
        """Does a task of ``tasks.py`` and returns its result."""
        with TemporaryDirectory() as scratch:
            result = Path(scratch) / "result.json"
            self.run(task, str(HERE / "tasks.py"), task, str(folder), str(result), *names)
            return json.loads(result.read_text())


def reference_side(python: str) -> Side:
    """Runs programs on the reference package."""
    return Side("reference", [python])


def olivine_side(python: str) -> Side:
    """Runs programs on olivine."""
    return Side("olivine", [python, "-m", "olivine.compat.mlx"])


def errors(check: str, *results: Any) -> Line | None:
    """Returns a line for what failed on either side."""
    for side, result in zip(("reference", "olivine"), results):
        if isinstance(result, dict) and "error" in result:
            return Line(check, False, f"{side}: {result['error']}")
    return None


def compare_logits(ours: Side, reference: Side, folder: Path, models: list[str]) -> Iterator[Line]:
    """Compares logits of a prompt and 64 greedy tokens after it."""
    expected = reference.task("logits", folder, *models)
    found = ours.task("logits", folder, *models)
    for model in models:
        a, b = expected[model], found[model]
        failed = errors(f"{model}: logits", a, b)
        if failed:
            yield failed
            continue
        pairs = [(x, y) for r, s in zip(a["logits"], b["logits"]) for x, y in zip(r, s)]
        largest = max(abs(x) for x, _ in pairs)
        # A NaN on one side only makes the difference NaN, which is not below the tolerance.
        apart = [abs(x - y) / largest for x, y in pairs]
        worst = math.nan if any(map(math.isnan, apart)) else max(apart)
        yield Line(f"{model}: logits", worst < LOGIT_TOLERANCE, f"apart by {worst:.1e} of largest")
        same = [x == y for x, y in zip(a["tokens"], b["tokens"])]
        where = f"differ at {same.index(False)}" if False in same else f"{len(same)} tokens"
        where += f", closest choice {a['gap']:.1e}"
        agrees = a["tokens"] == b["tokens"] and len(same) == 64
        yield Line(f"{model}: greedy tokens", agrees, where)


def compare_quantized(
    ours: Side, reference: Side, folder: Path, models: list[str]
) -> Iterator[Line]:
    """Compares the bytes of what ``mlx_lm.convert -q`` writes, in every mode."""
    expected = reference.task("quantize", folder, *models)
    found = ours.task("quantize", folder, *models)
    for job, a in expected.items():
        b = found[job]
        failed = errors(f"convert -q: {job}", a, b)
        if failed:
            yield failed
            continue
        differing = [name for name in a | b if a.get(name) != b.get(name)]
        detail = f"{len(a)} tensors" if not differing else f"{len(differing)}: {differing[0]} …"
        yield Line(f"convert -q: {job}", bool(a) and not differing, detail)


def compare_training(
    ours: Side, reference: Side, folder: Path, models: list[str]
) -> Iterator[Line]:
    """Compares the losses that ``mlx_lm.lora`` reports at every step."""
    chosen = [model for model in TRAINED if model in models]
    if not chosen:
        return
    expected = reference.task("lora", folder, *chosen)
    found = ours.task("lora", folder, *chosen)
    for model in chosen:
        a, b = expected[model], found[model]
        failed = errors(f"lora: {model}", a, b)
        if failed:
            yield failed
            continue
        worst = max((abs(x - y) for x, y in zip(a, b)), default=float("inf"))
        agrees = len(a) == len(b) > 20 and worst <= LOSS_TOLERANCE and a[-1] < a[0]
        yield Line(f"lora: {model}", agrees, f"{len(a)} losses to {a[-1]:.3f}, {worst:.1e} apart")


def compare_whisper(ours: Side, reference: Side, folder: Path, models: list[str]) -> Iterator[Line]:
    """Compares the tokens of a sound."""
    reference.task("make_whisper", folder)
    expected = reference.task("whisper", folder)
    found = ours.task("whisper", folder)
    for case, a in expected.items():
        b = found[case]
        failed = errors(f"whisper: {case}", a, b)
        detail = f"{len(a.get('tokens', []))} tokens"
        yield failed or Line(f"whisper: {case}", a == b and len(a["tokens"]) > 0, detail)


def answer(port: int, path: str, body: Any = None) -> Any:
    """Sends a request to a server of this machine and returns its answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        text = response.read().decode()
    if body is not None and body.get("stream"):
        events = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
        return [json.loads(event) for event in events if event != "[DONE]"]
    return json.loads(text)


def served(side: Side, folder: Path) -> Any:
    """Starts ``mlx_lm.server`` and returns what it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "mlx_lm", "server", "--model", str(folder / "llama"), "--port", str(port)]
    with TemporaryDirectory() as scratch, (Path(scratch) / "log").open("w+") as log:
        process = subprocess.Popen(
            [*side.command, *command], stdout=log, stderr=log, env=side.environment()
        )
        try:
            deadline = time.monotonic() + 180
            while True:
                try:
                    answer(port, "/health")
                    break
                except (urllib.error.URLError, OSError):
                    if process.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        last = (log.read().strip().splitlines() or ["no message"])[-1]
                        raise RuntimeError(
                            f"{side.name}: the server did not start: {last}"
                        ) from None
                    time.sleep(0.2)
            settings = {"model": str(folder / "llama"), "max_tokens": 24, "temperature": 0.0}
            chat = {"messages": [{"role": "user", "content": PROMPT}], **settings}
            plain = answer(port, "/v1/completions", {"prompt": PROMPT, **settings})
            talk = answer(port, "/v1/chat/completions", chat)
            stream = answer(port, "/v1/chat/completions", {**chat, "stream": True})
            return {
                "completion": [plain["choices"][0]["text"], plain["usage"]["completion_tokens"]],
                "chat": [talk["choices"][0]["message"]["content"], talk["usage"]["total_tokens"]],
                "stream": "".join(
                    event["choices"][0]["delta"].get("content") or ""
                    for event in stream
                    if event["choices"]
                ),
            }
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def compare_commands(
    ours: Side, reference: Side, folder: Path, models: list[str]
) -> Iterator[Line]:
    """Compares ``mlx_lm``'s programs as they are started from the command line."""
    model = str(folder / "llama")

    def generate(side: Side) -> str:
        options = ["--max-tokens", "32", "--temp", "0", "--prompt", PROMPT]
        text = side.run("generate", "-m", "mlx_lm", "generate", "--model", model, *options)
        return text.split("==========")[1]

    def convert(side: Side) -> Any:
        with TemporaryDirectory() as scratch:
            target = Path(scratch) / "out"
            options = ["--hf-path", model, "--mlx-path", str(target), "-q", "--q-bits", "4"]
            side.run("convert", "-m", "mlx_lm", "convert", *options)
            return [tensor_hashes(file) for file in sorted(target.glob("*.safetensors"))]

    def lora(side: Side) -> list[float]:
        with TemporaryDirectory() as scratch:
            options = ["--iters", "3", "--num-layers", "1", "--batch-size", "2"]
            places = ["--data", str(folder / "text"), "--adapter-path", scratch]
            begin = ["-m", "mlx_lm", "lora", "--model", model, "--train", "--test"]
            text = side.run("lora", *begin, *options, *places, "--steps-per-report", "1")
            if not (Path(scratch) / "adapters.safetensors").exists():
                raise RuntimeError(f"{side.name}: no adapters were saved")
            return [float(x) for x in re.findall(r"[Ll]oss:?\s+(\d+\.\d+)", text)]

    def close(a: Any, b: Any) -> bool:
        return len(a) == len(b) > 0 and all(abs(x - y) <= 2e-3 for x, y in zip(a, b))

    equal: Callable[[Any, Any], bool] = lambda a, b: a == b and bool(a)
    programs: list[tuple[str, Callable[[Side], Any], Callable[[Any, Any], bool]]] = [
        ("mlx_lm.generate", generate, equal),
        ("mlx_lm.convert", convert, equal),
        ("mlx_lm.lora", lora, close),
        ("mlx_lm.server", lambda side: served(side, folder), equal),
    ]
    for name, program, agree in programs:
        try:
            a, b = program(reference), program(ours)
        except (RuntimeError, OSError, KeyError, IndexError, subprocess.TimeoutExpired) as error:
            yield Line(f"command: {name}", False, str(error))
            continue
        detail = "" if agree(a, b) else f"{str(a)[:40]!r} and {str(b)[:40]!r}"
        yield Line(f"command: {name}", agree(a, b), detail)


Comparison = Callable[[Side, Side, Path, list[str]], Iterator[Line]]
COMPARISONS: dict[str, Comparison] = {
    "logits": compare_logits,
    "quantize": compare_quantized,
    "lora": compare_training,
    "commands": compare_commands,
    "whisper": compare_whisper,
}


def compare(
    ours: Side, reference: Side, folder: Path, models: list[str], parts: list[str]
) -> Iterator[Line]:
    """Makes the models with the reference and yields the lines of the table."""
    if any(part != "whisper" for part in parts):
        reference.task("make", folder, *dict.fromkeys(["llama", *models]))
    for part in parts:
        try:
            yield from COMPARISONS[part](ours, reference, folder, models)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            yield Line(part, False, str(error))


def main() -> int:
    """Prints the table and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("usage")[0], epilog=(__doc__ or "").split("\n\n")[2]
    )
    parser.add_argument("--reference", required=True, help="a Python with mlx and mlx-lm")
    parser.add_argument("--olivine", required=True, help="a Python with olivine and mlx-lm")
    parser.add_argument("--parts", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    options = parser.parse_args()
    reference, ours = reference_side(options.reference), olivine_side(options.olivine)
    lines = []
    with TemporaryDirectory() as folder:
        for line in compare(ours, reference, Path(folder), options.models, options.parts):
            lines.append(line)
            print(
                f"{'same' if line.agrees else 'DIFFERS':8} {line.check:42} {line.detail}",
                flush=True,
            )
    for task in ours.seconds:
        seconds = f"reference {reference.seconds[task]:.1f} s, olivine {ours.seconds[task]:.1f} s"
        print(f"{'time':8} {task:42} {seconds}")
    wrong = sum(not line.agrees for line in lines)
    print(f"{len(lines) - wrong} of {len(lines)} agree")
    return 1 if wrong or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
