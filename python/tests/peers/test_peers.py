"""Owns the test that programs written for MLX give the same on olivine.

It takes minutes and needs the reference package, so it runs where two variables say with which
Pythons: OLIVINE_PEERS_REFERENCE has mlx and mlx-lm, and OLIVINE_PEERS (the running Python if it is
not set) has olivine and mlx-lm.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import run

REFERENCE = os.environ.get("OLIVINE_PEERS_REFERENCE", "")
OURS = os.environ.get("OLIVINE_PEERS", sys.executable)


def has(python: str, *modules: str) -> bool:
    """Tells whether a Python can find modules."""
    code = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    return subprocess.run([python, "-c", code, *modules], check=False).returncode == 0


@pytest.fixture(scope="module")
def sides() -> tuple[run.Side, run.Side]:
    """Returns olivine's side and the reference's, or skips the tests."""
    if not REFERENCE:
        pytest.skip("OLIVINE_PEERS_REFERENCE names no Python with mlx and mlx-lm")
    if not has(REFERENCE, "mlx", "mlx_lm"):
        pytest.skip(f"{REFERENCE} lacks mlx or mlx-lm")
    if not has(OURS, "olivine", "mlx_lm"):
        pytest.skip(f"{OURS} lacks olivine or mlx-lm")
    return run.olivine_side(OURS), run.reference_side(REFERENCE)


@pytest.mark.parametrize("part", run.COMPARISONS)
def test_programs_give_the_same(
    part: str, sides: tuple[run.Side, run.Side], tmp_path: Path
) -> None:
    if part == "whisper" and not all(has(p, "mlx_whisper") for p in (OURS, REFERENCE)):
        pytest.skip("mlx-whisper is not installed")
    lines: Iterator[run.Line] = run.compare(*sides, tmp_path, run.MODELS, [part])
    table = [(line.check, line.agrees, line.detail) for line in lines]
    assert table
    assert [line for line in table if not line[1]] == []
